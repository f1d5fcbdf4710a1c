/* The block coders' interface: batches of code-blocks, Part 1 (T.800 annexes C and D) or HT (T.814).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_BLOCK_H
#define J2K_BLOCK_H

#include "arena.h"
#include "dsp.h"
#include "error.h"
#include "tile.h"

/* Block coders work on many code-blocks at once (SIMD lanes), so they take arrays of jobs. They load and
 * store coefficients themselves, block by block, through quant.h, so that the samples of one block stay in
 * cache between quantisation and coding and no whole-image pass is needed for it. */

enum {
    MAX_BLOCK_SIZE = 4096, /* samples */
    MAX_BITPLANES = 30,    /* magnitude bits a coder handles in 32 bits, one bit being kept for midpoints */
    MAX_PASSES = 3 * MAX_BITPLANES - 2,
    /* Code-blocks of more bit-planes are wide: they are coded in plain C in 64 bits. Samples of 32 bits make
     * 36 (see component_is_wide), the standard allows 37 (E-2) and as many again above them for a region of
     * interest. Of those 74, 60 are decoded; the encoder stops at 55, because a packet cannot say more than
     * 164 passes (table B.4). */
    MAX_WIDE_BITPLANES = 60,
    MAX_CODED_BITPLANES = 55,
    MAX_WIDE_PASSES = 3 * MAX_WIDE_BITPLANES - 2
};

/* Where an encoder finds a code-block's coefficients, and how they become integers (E.1). */
typedef struct block_source {
    const void *data;         /* upper left coefficient: int32_t (reversible) or float (irreversible) */
    ptrdiff_t stride;         /* in elements */
    bool wide;                /* data are int64_t or double */
    bool irreversible;        /* real data: magnitude = floor(|x| * inverse_step) */
    uint8_t roi_shift;        /* bits to shift magnitudes up (maxshift, annex H) */
    float inverse_step;       /* 1 / Delta_b */
    double wide_inverse_step; /* the same for wide data */
    const uint8_t *roi_mask;  /* which magnitudes: NULL: all; else those whose byte is not 0. The others are
                                 below 2^roi_shift */
    ptrdiff_t roi_stride;     /* of the mask, bytes from row to row */
} block_source;

/* What rate control wants to know of an HT code-block (see ht_enc.c). */
typedef struct ht_choice {
    uint8_t sets;   /* from how many bit-planes that of the cleanup pass is to be chosen; 0: as 1, */
    uint8_t lowest; /* the lowest of them */
    bool measure;   /* distortions, */
    bool refine;    /* and with them refinement passes below each bit-plane */
    float step; /* 0, or: `sets` (2 or 4) sets, half of them on each side of the bit-plane that a quantiser
                   of this step for coefficients of weight 1 would leave; lowest is not looked at */
} ht_choice;

typedef struct encode_job {
    block_source source;
    uint16_t width, height;
    uint8_t orientation;   /* BAND_LL.. */
    uint8_t style;         /* OR of j2k_codeblock_style */
    uint8_t num_bitplanes; /* Mb + ROI shift: zero_bitplanes = num_bitplanes - coded planes */
    ht_choice ht;
    /* results */
    uint8_t zero_bitplanes; /* num_bitplanes when all samples are 0: num_passes is 0 then */
    uint16_t num_passes;
    coding_pass *passes; /* in the arena given */
    const uint8_t *data; /* in the arena given; passes[num_passes - 1].length bytes */
    double energy;       /* sum of the squared coded magnitudes (fraction bits included), in quantiser steps
                          * squared: the       squared error that is left without any pass */
} encode_job;

/* Where a decoder puts a code-block's coefficients, and how integers become coefficients (E.1.2). Only the
 * part of the block inside the window is stored. */
typedef struct block_sink {
    void *data;       /* int32_t or float: the place of sample (skip_x, skip_y) of the block */
    ptrdiff_t stride; /* in elements */
    bool wide;        /* data are int64_t or double */
    bool irreversible;
    float step; /* Delta_b */
    uint8_t roi_shift;
    uint16_t skip_x, skip_y; /* columns and rows of the block left of and above the window */
    uint16_t width, height;  /* stored size */
} block_sink;

typedef struct decode_job {
    block_sink sink;
    uint16_t width, height;
    uint8_t orientation, style;
    uint8_t num_bitplanes;  /* magnitude bit-planes of the block: Mb + ROI shift - zero_bitplanes, at most
                               MAX_WIDE_BITPLANES */
    uint8_t most_bitplanes; /* HT: bits that a sample may have, Mb + ROI shift; 0: as MAX_BITPLANES */
    uint16_t num_passes;    /* 0: the block is all zero */
    uint32_t data_size;     /* bytes in all chunks */
    const data_chunk *chunks;
    const codeword_segment *segments;
    /* result: false when the data contradict themselves (wrong segmentation symbol, predictable termination
     * violated, more passes than bit-planes); what was decoded up to there is stored all the same */
    bool sound;
    /* result: the coding passes that the samples show. Of an HT code-block they are numbered as in Part 1,
     * all bit-planes down to that of the cleanup pass counting as coded. */
    uint16_t decoded_passes;
} decode_job;

/* The integers between block coder and quantiser. Encoder: magnitudes carry `fraction_bits` bits below the
 * binary point (of the irreversible path, for true distortions; 0 on the reversible one). Decoder: one bit
 * below the point, for the midpoint of the interval of uncertainty: a sample whose bit-planes down to p were
 * decoded comes back as +-(2 m + 2^p) with m the magnitude decoded, or +-2 m when p = 0 on the reversible
 * path. */

/* One worker's coder: holds the scratch memory. */
typedef struct block_coder block_coder;

/* Bytes of scratch and its set-up; memory comes from `memory` and lives as long as that arena. cpu: flags
 * allowed. NULL when memory runs out. */
block_coder *j2k_block_coder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory);

/* How many jobs one call should get for the coder to be fast (64 with SIMD lanes, else 1 or a few); more are
 * welcome. */
unsigned j2k_block_encode_batch(unsigned cpu, bool ht);
unsigned j2k_block_decode_batch(unsigned cpu, bool ht);

/* Code all jobs. Results do not depend on how blocks are grouped. MEMORY and UNSUPPORTED (more than
 * MAX_CODED_BITPLANES or MAX_WIDE_BITPLANES bit-planes) are the errors. `out` keeps the results until it is
 * reset. */
j2k_status j2k_blocks_encode(block_coder *coder, encode_job *jobs, size_t count, arena *out);
j2k_status j2k_blocks_decode(block_coder *coder, decode_job *jobs, size_t count);

#endif
