/* Profiles: what a codestream may be that claims to follow one (T.800 A.10).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_PROFILES_H
#define J2K_PROFILES_H

#include "error.h"
#include "j2k.h"

/* Refuse options, and an image unless it is NULL, that contradict the profile options->rsiz. */
j2k_status j2k_profile_check(const j2k_encode_options *options, const j2k_image *image, diagnostics *diag);

/* Bytes that a codestream and the packets of one of its components may have at the profile's, level's and
 * options' frame rate; 0: no limit. */
void j2k_profile_limits(const j2k_encode_options *options, uint64_t *bytes, uint64_t *component_bytes);

/* The number of guard bits that the profile asks for, 0: any. */
unsigned j2k_profile_guard_bits(uint16_t rsiz);

/* Whether precincts are 128 x 128 in the lowest resolution and 256 x 256 above. */
bool j2k_profile_fixes_precincts(uint16_t rsiz);

/* Whether the packets of the highest resolution come last, behind a progression order change (4K cinema). */
bool j2k_profile_splits_resolutions(uint16_t rsiz);

/* "profile Cinema 2K (rsiz 3)" */
void j2k_profile_describe(uint16_t rsiz, char *text, size_t capacity);

#endif
