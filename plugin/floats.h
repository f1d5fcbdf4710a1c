/* Floating-point samples as the integers of an image, and back.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef FLOATS_H
#define FLOATS_H

#include "params.h"

typedef enum float_mapping {
    FLOATS_NONE = 0,
    /* The bit pattern, changed so that a larger number has a larger pattern: every pattern there is can be
     * kept. pattern = first + sample; a pattern at or above the middle, 2^31 or 2^15, stands for the bits
     * pattern - middle, one below it for those of a negative number, all of them inverted. */
    FLOATS_ORDERED = 1,
    /* number = (first + sample) * mantissa * 2^exponent */
    FLOATS_SCALED = 2
} float_mapping;

typedef struct float_map {
    float_mapping kind;
    int64_t first;
    int64_t mantissa; /* FLOATS_SCALED; positive, less than 2^53 */
    int exponent;
    bool masked; /* the stream says beside the image which samples are NaN or infinite */
} float_map;

/* Codes of the mask. */
enum { MASK_FINITE = 0, MASK_NAN = 1, MASK_INFINITY = 2, MASK_MINUS_INFINITY = 3, MASK_BITS = 2 };

/* A block of floats as the engine is to code it. */
typedef struct float_plan {
    float_map map;
    uint8_t depth;  /* bits a sample, unsigned */
    params coding;  /* the parameters, with targets as the integers need them */
    double allowed; /* with a PSNR, the root mean square error that the last layer may leave; else 0 */
} float_plan;

/* Decide how the block at data is coded. Lossless coding keeps every bit pattern. A max_error is kept by a
 * quantiser of twice that step, coded without loss; a ratio or a PSNR by lossy coding of 12 to 24 bits that
 * span the block's range, to which the PSNR refers. Where a lossless mapping needs no more bits, it is taken
 * instead. Errors: ARGUMENT for NaN and
 * infinities in lossy coding unless params.nan_policy masks them. */
j2k_status floats_plan(const layout *l, const params *p, const void *data, float_plan *plan, diagnosis *why);

/* Root mean square error of decoded floats, over the finite ones of the block at data. swapped: the decoded
 * ones are in the other byte order. */
double floats_error(const layout *l, const void *data, const void *decoded, bool swapped);

/* Write the integers of the block's samples, unsigned, as wide as the floats and in this machine's byte
 * order. mask: NULL, or a code for every sample. Samples that are not finite repeat the finite one before
 * them. */
void floats_to_integers(const layout *l, const float_map *map, const void *data, void *integers,
                        uint8_t *mask);

/* Turn integers into floats in place. sample_size: 2 or 4. mask: NULL, or a code for every sample. swapped:
 * write the other byte order. */
void integers_to_floats(const float_map *map, uint32_t sample_size, bool swapped, void *samples, size_t count,
                        const uint8_t *mask);

#endif
