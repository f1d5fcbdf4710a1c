/* Inside the Part 1 block encoder: a code-block as bit masks, and the symbols of its coding passes.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_EBCOT_ENC_H
#define J2K_EBCOT_ENC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebcot.h"
#include "mq.h"

/* Masks. A word holds 16 columns of a stripe: bit 4 * column + row, so that the order of the bits is the scan
 * order (figure D.1). A block has `words` words a stripe and `stripes` stripes; word (s, k) of a plain array
 * is at s * words + k. Bordered arrays have a zero word around: (s, k) is at (s + 1) * pitch + k + 1, pitch =
 * words + 2.
 *
 * Sizes: 16 or fewer columns take one word a stripe, so that 1024 rows make 256 stripes; wider blocks fill
 * half of their words at least. */
enum { WORD_COLUMNS = 16, WORD_SAMPLES = 64, MAX_WORDS = 256, MAX_BORDERED_WORDS = 258 * 3 };

typedef struct ebcot_block {
    unsigned words, stripes, pitch, width, height;
    unsigned planes;        /* magnitude bit-planes above the fraction: 1 to MAX_BITPLANES */
    unsigned fraction_bits; /* below the point of magnitudes */
    uint8_t orientation, style;
    uint64_t *significant; /* bordered */
    uint64_t *negative;    /* bordered */
    uint64_t *visited;     /* coded in this bit-plane's significance pass */
    uint64_t *refined;     /* refined before */
    uint64_t *valid;       /* inside the block */
    uint64_t *bits;        /* bit-plane p at bits + p * stripes * words */
    uint32_t *magnitudes;  /* with fraction bits, in the order of the masks */
} ebcot_block;

/* What a pass adds, in integers: with b = p + fraction_bits for bit-plane p, the squared error removed is
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

/* Fill magnitudes, negative and valid from sign-magnitude words in raster order, clear the states, and make
 * the bit-planes. width, height, words, stripes, pitch, planes and fraction_bits are set. */
void j2k_ebcot_load(ebcot_block *block, const uint32_t *samples, size_t stride);

#endif
