/* Quantisation of code-blocks where 32 bits are not enough: wide coefficients, or more than MAX_BITPLANES
 * bit-planes. Plain C. SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "quant.h"

#define SIGN_BIT UINT64_C(0x8000000000000000)

/* The largest double below 2^62: what real magnitudes are limited to. */
#define LARGEST_REAL_MAGNITUDE 4611686018427387392.0

static uint64_t magnitude_of(int64_t x) {
    return x < 0 ? 0u - (uint64_t)x : (uint64_t)x;
}

/* Coefficient `at` of a source as sign and magnitude; `scale` is for real ones. */
static uint64_t quantise(const block_source *source, ptrdiff_t at, double scale) {
    if (!source->irreversible) {
        int64_t x = source->wide ? ((const int64_t *)source->data)[at] : ((const int32_t *)source->data)[at];
        uint64_t m = magnitude_of(x);
        return (m > INT64_MAX ? INT64_MAX : m) | (x < 0 ? SIGN_BIT : 0);
    }
    double x = source->wide ? ((const double *)source->data)[at] : ((const float *)source->data)[at];
    double m = fabs(x) * scale;
    m = m < LARGEST_REAL_MAGNITUDE ? m : LARGEST_REAL_MAGNITUDE;
    return (uint64_t)m | (signbit(x) ? SIGN_BIT : 0);
}

static double scale_of(const block_source *source, unsigned fraction_bits) {
    double inverse_step = source->wide ? source->wide_inverse_step : source->inverse_step;
    return ldexp(inverse_step, (int)fraction_bits);
}

/* Maxshift (H.1). */
static uint64_t shift_up(uint64_t word, unsigned shift) {
    uint64_t m = word & INT64_MAX;
    m = m > (uint64_t)INT64_MAX >> shift ? INT64_MAX : m << shift;
    return (word & SIGN_BIT) | m;
}

static bool in_region(const block_source *source, unsigned x, unsigned y) {
    return !source->roi_mask || source->roi_mask[y * source->roi_stride + (ptrdiff_t)x];
}

uint64_t j2k_quantise_block_wide(const block_source *source, unsigned width, unsigned height,
                                 unsigned fraction_bits, uint64_t *out) {
    const double scale = scale_of(source, fraction_bits);
    uint64_t all = 0;
    for (unsigned y = 0; y < height; y++) {
        for (unsigned x = 0; x < width; x++) {
            uint64_t word = quantise(source, y * source->stride + (ptrdiff_t)x, scale);
            *out = in_region(source, x, y) ? shift_up(word, source->roi_shift) : word;
            all |= *out++ & INT64_MAX;
        }
    }
    return all;
}

void j2k_quantise_row_wide(const block_source *source, unsigned y, unsigned width, unsigned fraction_bits,
                           uint32_t *out) {
    const double scale = scale_of(source, fraction_bits);
    for (unsigned x = 0; x < width; x++) {
        uint64_t word = quantise(source, y * source->stride + (ptrdiff_t)x, scale), m = word & INT64_MAX;
        out[x] = (uint32_t)(word >> 32 & 0x80000000u) | (m > INT32_MAX ? INT32_MAX : (uint32_t)m);
    }
}

bool j2k_block_is_wide(const encode_job *job) {
    const block_source *source = &job->source;
    if (job->num_bitplanes <= MAX_BITPLANES)
        return false;
    const double scale = scale_of(source, 0);
    uint64_t all = 0;
    for (unsigned y = 0; y < job->height; y++)
        for (unsigned x = 0; x < job->width; x++)
            if (in_region(source, x, y)) /* the others are below the shift */
                all |= quantise(source, y * source->stride + (ptrdiff_t)x, scale) & INT64_MAX;
    return (shift_up(all, source->roi_shift) & INT64_MAX) >> MAX_BITPLANES != 0;
}

/* ---- decoder ---- */

/* Maxshift undone, as in quant.c. */
static uint64_t shift_down(uint64_t m, unsigned shift) {
    if (shift < 63 && m >> (shift + 1))
        m = m >> shift | ((m & ((UINT64_C(1) << shift) - 1)) != 0);
    return m;
}

static int64_t clamp_to(int64_t x, int64_t limit) {
    return x < -limit ? -limit : x > limit ? limit : x;
}

/* Store a number that has one bit below the point as coefficient `at` of a sink. */
static void dequantise(const block_sink *sink, ptrdiff_t at, int64_t doubled, double half_step) {
    if (sink->irreversible && sink->wide)
        ((double *)sink->data)[at] = (double)doubled * half_step;
    else if (sink->irreversible)
        ((float *)sink->data)[at] = (float)((double)doubled * half_step);
    else if (sink->wide)
        ((int64_t *)sink->data)[at] = doubled / 2;
    else
        ((int32_t *)sink->data)[at] = (int32_t)clamp_to(doubled / 2, INT32_MAX);
}

void j2k_dequantise_block_wide(const block_sink *sink, const int64_t *in, ptrdiff_t in_stride) {
    const double half_step = sink->step * 0.5;
    in += sink->skip_y * in_stride + sink->skip_x;
    for (unsigned y = 0; y < sink->height; y++, in += in_stride) {
        for (unsigned x = 0; x < sink->width; x++) {
            int64_t m = (int64_t)shift_down(magnitude_of(in[x]), sink->roi_shift);
            dequantise(sink, y * sink->stride + (ptrdiff_t)x, in[x] < 0 ? -m : m, half_step);
        }
    }
}

void j2k_dequantise_row_wide(const block_sink *sink, unsigned y, unsigned first, const int32_t *in,
                             unsigned n) {
    const double half_step = sink->step * 0.5;
    for (unsigned x = 0; x < n; x++)
        dequantise(sink, y * sink->stride + (ptrdiff_t)(first + x), in[x], half_step);
}
