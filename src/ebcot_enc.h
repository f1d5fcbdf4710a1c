/* Inside the Part 1 block encoder: a code-block as bit masks, and the symbols of its coding passes.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_EBCOT_ENC_H
#define J2K_EBCOT_ENC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebcot.h"
#include "mq.h"

/* ---- context formation ---- */

/* Masks. A word holds 16 columns of a stripe: bit 4 * column + row, so that the order of the bits is the scan
 * order (figure D.1). A block has `words` words a stripe and `stripes` stripes; word (s, k) of a plain array
 * is at s * words + k. Bordered arrays have a zero word around: (s, k) is at (s + 1) * pitch + k + 1, pitch =
 * words + 2.
 *
 * Sizes: 16 or fewer columns take one word a stripe, so that 1024 rows make 256 stripes; wider blocks fill
 * half of their words at least. */
enum { WORD_COLUMNS = 16, WORD_SAMPLES = 64, MAX_WORDS = 256, MAX_BORDERED_WORDS = 258 * 3 };

typedef struct block_shape {
    unsigned width, height;
    unsigned planes;        /* magnitude bit-planes above the fraction: 1 to MAX_BITPLANES, or 0; */
    bool wide;              /* up to MAX_CODED_BITPLANES */
    unsigned fraction_bits; /* below the point of magnitudes */
    uint8_t orientation, style;
    unsigned region_samples; /* coded above a region of interest's shift, in a block with others below it */
} block_shape;

typedef struct ebcot_block {
    block_shape shape;
    unsigned words, stripes, pitch;
    uint64_t *significant; /* bordered */
    uint64_t *negative;    /* bordered */
    uint64_t *visited;     /* coded in this bit-plane's significance pass */
    uint64_t *refined;     /* refined before */
    uint64_t *valid;       /* inside the block */
    uint64_t *bits;        /* bit-plane p at bits + p * stripes * words */
    uint32_t *magnitudes;  /* with fraction bits, in the order of the masks; wide: a window of 31 bits */
} ebcot_block;

/* Where bit-plane p is in the magnitudes that distortions are taken from: p + fraction_bits. Those of a wide
 * block are shifted down by as much as brings this to 30. */
enum { TOP_WINDOW_BIT = 30 };
static inline unsigned distortion_bit(const block_shape *shape, unsigned plane) {
    unsigned bit = plane + shape->fraction_bits;
    return bit < TOP_WINDOW_BIT ? bit : TOP_WINDOW_BIT;
}

/* What a pass adds, in integers: with b = distortion_bit for bit-plane p, the squared error removed is
 * distortion * 2^(2 p - b - 2) quantiser steps squared (and more when the last plane is exact). */
typedef struct pass_sums {
    int64_t distortion;
    uint32_t coded; /* samples that became significant or were refined */
} pass_sums;

/* Symbols that a pass can make at most: a cleanup pass codes 10 decisions for 4 samples (run-length, 2
 * uniform, 4 signs, 3 zero codings), and a segmentation symbol. Writers may overrun by some bytes. */
enum { MAX_PASS_SYMBOLS = MAX_BLOCK_SIZE / 4 * 10 + 4, SYMBOL_SLACK = 64 };

/* Write the symbols of a pass and return their end. Passes have to come in their order. Raw passes make
 * symbols without contexts: only their decisions matter. */
uint8_t *j2k_ebcot_significance(ebcot_block *block, unsigned plane, bool raw, uint8_t *out, pass_sums *sums);
uint8_t *j2k_ebcot_refinement(ebcot_block *block, unsigned plane, uint8_t *out, pass_sums *sums);
uint8_t *j2k_ebcot_cleanup(ebcot_block *block, unsigned plane, uint8_t *out, pass_sums *sums);

/* Take over sign-magnitude words in raster order, rows of `width`: make all masks and clear all states. */
void j2k_ebcot_load(ebcot_block *block, const block_shape *shape, const uint32_t *samples);
/* The same from words with their sign in bit 63; `scratch` has room for as many of 32 bits. Then the window
 * of magnitudes has to be taken for every bit-plane before its first pass. */
void j2k_ebcot_load_wide(ebcot_block *block, const block_shape *shape, const uint64_t *samples,
                         uint32_t *scratch);
void j2k_ebcot_take_window(ebcot_block *block, unsigned plane, const uint64_t *samples, uint32_t *scratch);

/* ---- segments and passes ---- */

/* Words that j2k_quantise_block may read or write behind a block's samples, and room for a code-block's
 * bytes: 2 bits for each of the 4096 * 32 decisions that there can be are 32 KiB, in a wide block twice as
 * many; before each pass there must be room for the worst that it can do, 22 KiB. */
enum { SAMPLE_SLACK = 64, DATA_CAPACITY = 64 * 1024, WIDE_DATA_CAPACITY = 128 * 1024 };

/* Bits packed from the top of each byte; after FF the top bit of the next byte is 0 (D.6). */
typedef struct raw_writer {
    uint8_t *next;
    unsigned byte, free_bits;
} raw_writer;

/* A code-block between context formation and its results: what its passes need and remove is entered as
 * they are coded, in whichever way. */
typedef struct block_coding {
    encode_job *job;
    block_shape shape;
    unsigned num_passes;
    coding_pass *passes;
    double reduction;         /* of the passes so far */
    uint8_t *data, *data_end; /* the bytes; data[-1] exists and is not FF */
    /* the codeword segment being made */
    bool open, raw;
    unsigned first_pass;
    uint8_t *start;
    raw_writer raw_bits;
    mq_mark marks[MAX_WIDE_PASSES];
} block_coding;

/* Quantise a job's samples (rows of its width) and find out the shape; planes is 0 when all magnitudes
 * are. */
j2k_status j2k_coding_load(const dsp_kernels *dsp, encode_job *job, uint32_t *samples, block_shape *shape);

/* The same for a wide job (see j2k_block_is_wide), in words of 64 bits. */
j2k_status j2k_coding_load_wide(encode_job *job, uint64_t *samples, block_shape *shape);

/* Begin coding a block into data, up to data_end. Its passes are allocated in `out`. */
j2k_status j2k_coding_begin(block_coding *coding, encode_job *job, const block_shape *shape, uint8_t *data,
                            uint8_t *data_end, arena *out);

/* Before a pass of `count` symbols: opens a segment when none is open. mq and contexts are set as the pass
 * needs them; *restarted and *reset tell whether they were. INTERNAL when the bytes might not fit. */
typedef struct pass_start {
    bool restarted, reset;
} pass_start;
j2k_status j2k_coding_begin_pass(block_coding *coding, unsigned pass, size_t count, mq_registers *mq,
                                 mq_contexts *contexts, pass_start *start);

/* The symbols of a raw pass. */
void j2k_coding_raw(block_coding *coding, const uint8_t *symbols, size_t count);

/* Whether a codeword segment ends behind a pass. */
static inline bool j2k_coding_ends_segment(const block_coding *coding, unsigned pass) {
    return ebcot_pass_terminates(coding->shape.style, pass) || pass + 1 == coding->num_passes;
}

/* Behind a pass: mq as it left it. Terminates the segment when it ends here. */
void j2k_coding_end_pass(block_coding *coding, unsigned pass, const mq_registers *mq, const pass_sums *sums);

/* Behind the last pass: copies the data into `out` and fills in the job's results. */
j2k_status j2k_coding_finish(block_coding *coding, arena *out);

#endif
