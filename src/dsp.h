/* Kernel tables: a scalar reference for every kernel, replaced per instruction set.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_DSP_H
#define J2K_DSP_H

#include <stddef.h>
#include <stdint.h>

/* A const table per instruction set; the context picks one at its creation. Kernels never allocate and have
 * no state. Lengths may be 0. Pointers need no alignment beyond that of their type. Every version of a kernel
 * gives the same result bit for bit: float kernels use the same operations in the same order and are built
 * without contraction. Signed sums wrap around, since a hostile stream can make any of them overflow. */

/* T.800 annex F. "Extended" rows: see dwt.c. All rows but the results of forward*_row and those of scale lie
 * in the scratch memory of dwt.c and have DWT_SLACK elements behind their end (the half rows behind the
 * longer one's) that may be read and, behind rows to be written, overwritten. */
enum { DWT_SLACK = 112 };

typedef struct dwt_kernels {
    /* One lifting step over rows, in place on x; a and b may be the same row. */
    void (*predict53)(int32_t *x, const int32_t *a, const int32_t *b, size_t n);      /* x -= (a + b) >> 1 */
    void (*update53)(int32_t *x, const int32_t *a, const int32_t *b, size_t n);       /* x += (a+b+2) >> 2 */
    void (*undo_predict53)(int32_t *x, const int32_t *a, const int32_t *b, size_t n); /* x += (a + b) >> 1 */
    void (*undo_update53)(int32_t *x, const int32_t *a, const int32_t *b, size_t n);  /* x -= (a+b+2) >> 2 */
    void (*lift97)(float *x, const float *a, const float *b, float factor, size_t n); /* x += f * (a + b) */

    /* All lifting steps that one more pair of rows allows; equal to the single steps in their order.
     * forward53: predict odd from even and below, then update even from above and odd.
     * inverse53: undo the update of even by above and below (high-pass rows), then undo the prediction of
     * above by even_above and even. */
    void (*forward53)(int32_t *even, int32_t *odd, const int32_t *above, const int32_t *below, size_t n);
    void (*inverse53)(int32_t *even, int32_t *above, const int32_t *even_above, const int32_t *below,
                      size_t n);
    /* The four steps with factors[0..3], each on the next older row: odd[0] from even[0] and ahead, even[0]
     * from odd[1] and odd[0], odd[1] from even[1] and even[0], even[1] from behind and odd[1]. The inverse is
     * the same chain of dependences with other factors, high-pass rows taking the part of the even ones. */
    void (*chain97)(const float *ahead, float *x0, float *x1, float *x2, float *x3, const float *behind,
                    const float factors[4], size_t n);

    /* Horizontal transform of an extended row x of two samples or more, whose first sample is x[parity]: the
     * high-pass results belong to x[1], x[3], ..., the low-pass ones to x[2 * parity], x[2 * parity + 2], ...
     */
    void (*forward53_row)(const int32_t *x, unsigned parity, size_t num_low, size_t num_high, int32_t *low,
                          int32_t *high);
    /* scratch: two extended half rows */
    void (*forward97_row)(const float *x, unsigned parity, size_t num_low, size_t num_high, float *low,
                          float *high, float low_scale, float high_scale, float *even, float *odd);
    /* Samples x[0] .. x[2 * pairs - 1] from extended half rows, which are overwritten. */
    void (*inverse53_row)(int32_t *even, int32_t *odd, size_t pairs, int32_t *x);
    void (*inverse97_row)(float *even, float *odd, size_t pairs, float *x);
    void (*scale)(const float *in, float factor, size_t n, float *out);
} dwt_kernels;

/* T.800 annex G, in place. */
typedef struct colour_kernels {
    void (*rct_forward)(int32_t *c0, int32_t *c1, int32_t *c2, size_t n);
    void (*rct_inverse)(int32_t *c0, int32_t *c1, int32_t *c2, size_t n);
    void (*ict_forward)(float *c0, float *c1, float *c2, size_t n);
    void (*ict_inverse)(float *c0, float *c1, float *c2, size_t n);
} colour_kernels;

struct cut_sums;

/* T.800 annex E, one row of a code-block. The first two return the OR of the magnitudes. */
typedef struct quant_kernels {
    uint32_t (*quantise_int)(const int32_t *in, size_t n, uint32_t *out);
    uint32_t (*quantise_float)(const float *in, float scale, size_t n, uint32_t *out);
    void (*dequantise_int)(const int32_t *in, size_t n, int32_t *out);
    void (*dequantise_float)(const int32_t *in, float scale, size_t n, float *out);
    /* Both, with midpoints in between: 2 m + 1 times half_step, m being the magnitude, or 0. */
    void (*requantise_float)(const float *in, float scale, float half_step, size_t n, float *out);
    /* Magnitudes without their bits below bit-plane `plane`, midpoints in their place unless that is 0. */
    void (*cut_int)(const int32_t *in, unsigned plane, size_t n, int32_t *out);
    /* Squares of coefficients times scale, and of what is left of them when their magnitudes are cut to
     * integers and given back with `half` added (0 stays 0). Column x adds to lane x mod 16. */
    void (*cut_error_int)(const int32_t *in, float scale, float half, size_t n, struct cut_sums *sums);
    void (*cut_error_float)(const float *in, float scale, float half, size_t n, struct cut_sums *sums);
} quant_kernels;

enum { CUT_LANES = 16 };
typedef struct cut_sums {
    float energy[CUT_LANES], error[CUT_LANES];
} cut_sums;

/* Samples that lie one after the other, or interleaved by three (suffix x3), in the machine's byte order.
 * Loading subtracts the offset; storing adds it and clamps to 0 .. max (offset 2^(depth-1), max < 2^16). */
typedef struct image_kernels {
    void (*load_u8)(const uint8_t *in, size_t n, int32_t offset, int32_t *out);
    void (*load_u8x3)(const uint8_t *in, size_t n, int32_t offset, int32_t *out);
    void (*load_u16)(const uint16_t *in, size_t n, int32_t offset, int32_t *out);
    void (*load_u16x3)(const uint16_t *in, size_t n, int32_t offset, int32_t *out);
    void (*store_u8)(const int32_t *in, size_t n, int32_t offset, int32_t max, uint8_t *out);
    void (*store_u8x3)(const int32_t *in, size_t n, int32_t offset, int32_t max, uint8_t *out);
    void (*store_u16)(const int32_t *in, size_t n, int32_t offset, int32_t max, uint16_t *out);
    void (*store_u16x3)(const int32_t *in, size_t n, int32_t offset, int32_t max, uint16_t *out);
    /* Three interleaved components together with their transform. */
    void (*load_rgb8_rct)(const uint8_t *in, size_t n, int32_t offset, int32_t *c0, int32_t *c1, int32_t *c2);
    void (*load_rgb8_ict)(const uint8_t *in, size_t n, int32_t offset, float *c0, float *c1, float *c2);
    void (*store_rgb8_rct)(const int32_t *c0, const int32_t *c1, const int32_t *c2, size_t n, int32_t offset,
                           int32_t max, uint8_t *out);
    void (*store_rgb8_ict)(const float *c0, const float *c1, const float *c2, size_t n, int32_t offset,
                           int32_t max, uint8_t *out);
    void (*int_to_float)(const int32_t *in, size_t n, float *out);
    /* to nearest, half away from zero, limited to +-2^30; NaN gives the lower limit */
    void (*float_to_int)(const float *in, size_t n, int32_t *out);
} image_kernels;

typedef struct dsp_kernels {
    const dwt_kernels *dwt;
    const colour_kernels *colour;
    const quant_kernels *quant;
    const image_kernels *image;
} dsp_kernels;

/* The best table that these j2k_cpu flags allow; 0 gives the scalar reference. */
const dsp_kernels *j2k_dsp_get(unsigned cpu);

/* The parts of the scalar table, each in its stage's file. */
extern const dwt_kernels j2k_dwt_c;
extern const colour_kernels j2k_colour_c;
extern const quant_kernels j2k_quant_c;
extern const image_kernels j2k_image_c;

#if defined(__x86_64__) || defined(_M_X64)
#define J2K_DSP_X86 1
extern const dwt_kernels j2k_dwt_avx2, j2k_dwt_avx512;
extern const colour_kernels j2k_colour_avx2, j2k_colour_avx512;
extern const quant_kernels j2k_quant_avx2, j2k_quant_avx512;
extern const image_kernels j2k_image_avx2, j2k_image_avx512;
#endif

/* Sums that wrap around. */
static inline int32_t wrap_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}
static inline int32_t wrap_sub(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}
static inline int64_t wrap_add64(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
static inline int64_t wrap_sub64(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

#endif
