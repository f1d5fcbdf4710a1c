/* Regions of interest through maxshift (T.800 annex H): which coefficients belong to the region, and how far
 * they have to be shifted. SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_ROI_H
#define J2K_ROI_H

#include "encode.h"

/* Whether the options describe a region (and not only a component to shift). */
static inline bool j2k_has_region(const j2k_encode_options *options) {
    return options->num_roi_rects > 0 || options->roi_mask != NULL;
}

/* Set the components' roi_shift: that of the options, or for a region as many bits as the largest coefficient
 * outside of it has. Errors: MEMORY; ARGUMENT when the shift given is too small for the background or more
 * than RGN may say. */
j2k_status j2k_roi_plan(encoder *e);

/* Give the subbands of a tile their masks, in the work arena. Nothing is done without a region. */
j2k_status j2k_roi_mask_tile(encoder *e, tile *t);

#endif
