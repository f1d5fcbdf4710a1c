/* The HT block encoder's parts that the versions for other instruction sets share.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_HT_ENC_H
#define J2K_HT_ENC_H

#include "ht.h"

enum {
    HT_MAX_CLEANUP = 24 * 1024, /* bytes of a cleanup segment: MagSgn 4096 * 31 bits stuffed, and a suffix */
    HT_MAX_REFINEMENT = 4 * 1024, /* of a refinement segment */
    HT_MAX_RAW_MAGSGN = 4096 * 31 / 8,
    HT_MAX_RAW_VLC = 4096 - 64,
    HT_MAX_MEL = 512,
    HT_DATA_CAPACITY = 512 * 1024, /* all HT sets of a code-block: 30 of them together have half of this */
    HT_SLACK = 128
};

struct ht_encoder {
    const dsp_kernels *dsp;
    unsigned cpu;
    uint32_t samples[MAX_BLOCK_SIZE + 64];             /* as quantised: sign, magnitude, fraction */
    uint8_t exponents[2][HT_MAX_QUAD_COLUMNS * 2 + 4]; /* of the lower samples of the last two quad-rows */
    uint8_t magsgn[HT_MAX_RAW_MAGSGN + HT_SLACK];      /* bits without stuffing */
    uint8_t vlc[HT_MAX_RAW_VLC + HT_SLACK];
    uint8_t mel[HT_MAX_MEL + HT_SLACK];
    uint8_t reversed[HT_MAX_RAW_VLC * 8 / 7 + HT_SLACK]; /* a stream that grows from the end */
    uint8_t nibbles[2][(HT_MAX_QUADS + 2) * 3 + 64];
    uint8_t data[HT_DATA_CAPACITY + HT_SLACK];
};

/* The cleanup pass of the bit-plane that is `shift` bits above the lowest of the samples (fraction included).
 * Writes at most HT_MAX_CLEANUP bytes, and may overwrite HT_SLACK more; returns their number. */
size_t j2k_ht_encode_cleanup(ht_encoder *e, unsigned width, unsigned height, unsigned shift, uint8_t *out);

#endif
