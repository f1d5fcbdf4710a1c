/* Quantisation between coefficient planes and the integers of a code-block (T.800 annex E), one code-block at
 * a time. SPDX-License-Identifier: BSD-3-Clause */
#include "quant.h"

#include <math.h>
#include <string.h>

#include "error.h"

/* The largest float below 2^31. */
#define LARGEST_FLOAT_MAGNITUDE 2147483520.0f

/* ---- scalar kernels ---- */

static inline uint32_t magnitude(int32_t x) {
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

static uint32_t quantise_int_c(const int32_t *J2K_RESTRICT in, size_t n, uint32_t *J2K_RESTRICT out) {
    uint32_t all = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t m = magnitude(in[i]);
        m = m > INT32_MAX ? INT32_MAX : m;
        all |= m;
        out[i] = m | ((uint32_t)in[i] & 0x80000000u);
    }
    return all;
}

static uint32_t quantise_float_c(const float *J2K_RESTRICT in, float scale, size_t n,
                                 uint32_t *J2K_RESTRICT out) {
    uint32_t all = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], 4);
        float x = in[i] * scale;
        x = x < 0.0f ? -x : x;
        float limited = x < LARGEST_FLOAT_MAGNITUDE ? x : LARGEST_FLOAT_MAGNITUDE;
        uint32_t m = (uint32_t)(int32_t)limited;
        m = x > LARGEST_FLOAT_MAGNITUDE ? INT32_MAX : m;
        all |= m;
        out[i] = m | (bits & 0x80000000u);
    }
    return all;
}

static void dequantise_int_c(const int32_t *J2K_RESTRICT in, size_t n, int32_t *J2K_RESTRICT out) {
    for (size_t i = 0; i < n; i++)
        out[i] = wrap_add(in[i], (int32_t)((uint32_t)in[i] >> 31)) >> 1; /* towards zero */
}

static void dequantise_float_c(const int32_t *J2K_RESTRICT in, float scale, size_t n,
                               float *J2K_RESTRICT out) {
    for (size_t i = 0; i < n; i++)
        out[i] = (float)in[i] * scale;
}

static void requantise_float_c(const float *J2K_RESTRICT in, float scale, float half_step, size_t n,
                               float *J2K_RESTRICT out) {
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        quantise_float_c(in + i, scale, 1, &word);
        uint32_t m = word & INT32_MAX, doubled = m ? 2 * m + 1 : 0, bits;
        float value = (float)(int32_t)doubled * half_step;
        memcpy(&bits, &value, 4);
        bits |= word & 0x80000000u;
        memcpy(&out[i], &bits, 4);
    }
}

static void cut_int_c(const int32_t *J2K_RESTRICT in, unsigned plane, size_t n, int32_t *J2K_RESTRICT out) {
    const uint32_t low = (UINT32_C(1) << plane) - 1, half = low ? (low >> 1) + 1 : 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t m = magnitude(in[i]), limited = m > INT32_MAX ? INT32_MAX : m;
        uint32_t value = limited > low ? (limited & ~low) | half : 0;
        out[i] = (int32_t)(in[i] < 0 ? 0u - value : value);
    }
}

static inline void add_cut(cut_sums *sums, size_t lane, float magnitude, float half) {
    float limited = magnitude < 1e9f ? magnitude : 1e9f, whole = (float)(int32_t)limited;
    float left = limited - (whole > 0.0f ? whole + half : 0.0f);
    sums->energy[lane] += limited * limited;
    sums->error[lane] += left * left;
}

static void cut_error_int_c(const int32_t *in, float scale, float half, size_t n, cut_sums *sums) {
    for (size_t i = 0; i < n; i++) {
        uint32_t m = magnitude(in[i]);
        add_cut(sums, i % CUT_LANES, (float)(int32_t)(m > INT32_MAX ? INT32_MAX : m) * scale, half);
    }
}

static void cut_error_float_c(const float *in, float scale, float half, size_t n, cut_sums *sums) {
    for (size_t i = 0; i < n; i++)
        add_cut(sums, i % CUT_LANES, fabsf(in[i] * scale), half);
}

const quant_kernels j2k_quant_c = {quantise_int_c,     quantise_float_c, dequantise_int_c, dequantise_float_c,
                                   requantise_float_c, cut_int_c,        cut_error_int_c,  cut_error_float_c};

/* ---- code-blocks ---- */

/* Maxshift (H.1): magnitudes of the row up by `shift` bits, of all samples or those of the mask. */
static uint32_t shift_up(uint32_t *row, unsigned n, unsigned shift, const uint8_t *mask) {
    uint32_t all = 0;
    for (unsigned i = 0; i < n; i++) {
        uint32_t m = row[i] & INT32_MAX;
        if (m && (!mask || mask[i]))
            m = shift > 30 || m > (uint32_t)INT32_MAX >> shift ? INT32_MAX : m << shift;
        all |= m;
        row[i] = (row[i] & 0x80000000u) | m;
    }
    return all;
}

/* Maxshift undone: magnitudes of at least 2^shift go down. When the bit for the midpoint falls off, it is set
 * again below the new point. */
static void shift_down(const int32_t *in, unsigned n, unsigned shift, int32_t *out) {
    for (unsigned i = 0; i < n; i++) {
        uint32_t m = magnitude(in[i]);
        if (shift < 31 && m >> (shift + 1))
            m = m >> shift | ((m & ((1u << shift) - 1)) != 0);
        out[i] = in[i] < 0 ? (int32_t)(0u - m) : (int32_t)m;
    }
}

uint32_t j2k_quantise_block(const dsp_kernels *dsp, const block_source *source, unsigned width,
                            unsigned height, unsigned fraction_bits, uint32_t *out, ptrdiff_t out_stride) {
    const quant_kernels *kernels = dsp->quant;
    const float scale = source->inverse_step * (float)(1u << fraction_bits);
    uint32_t all = 0;
    for (unsigned y = 0; y < height; y++, out += out_stride) {
        uint32_t row = 0;
        if (source->wide) {
            j2k_quantise_row_wide(source, y, width, fraction_bits, out);
            for (unsigned x = 0; x < width; x++)
                row |= out[x] & INT32_MAX;
        } else if (source->irreversible)
            row =
                kernels->quantise_float((const float *)source->data + y * source->stride, scale, width, out);
        else
            row = kernels->quantise_int((const int32_t *)source->data + y * source->stride, width, out);
        if (source->roi_shift)
            row = shift_up(out, width, source->roi_shift,
                           source->roi_mask ? source->roi_mask + (ptrdiff_t)y * source->roi_stride : NULL);
        all |= row;
    }
    return all;
}

void j2k_dequantise_block(const dsp_kernels *dsp, const block_sink *sink, const int32_t *in,
                          ptrdiff_t in_stride) {
    enum { CHUNK = 256 };
    int32_t shifted[CHUNK];
    const quant_kernels *kernels = dsp->quant;
    const unsigned chunk = sink->roi_shift ? CHUNK : sink->width;
    in += sink->skip_y * in_stride + sink->skip_x;
    for (unsigned y = 0; y < sink->height; y++, in += in_stride) {
        for (unsigned x = 0; x < sink->width; x += chunk) {
            const unsigned n = sink->width - x < chunk ? sink->width - x : chunk;
            const int32_t *row = in + x;
            if (sink->roi_shift) {
                shift_down(row, n, sink->roi_shift, shifted);
                row = shifted;
            }
            ptrdiff_t to = (ptrdiff_t)y * sink->stride + (ptrdiff_t)x;
            if (sink->wide)
                j2k_dequantise_row_wide(sink, y, x, row, n);
            else if (sink->irreversible)
                kernels->dequantise_float(row, sink->step * 0.5f, n, (float *)sink->data + to);
            else
                kernels->dequantise_int(row, n, (int32_t *)sink->data + to);
        }
    }
}

void j2k_zero_block(const block_sink *sink) {
    const size_t element = element_size(sink->wide);
    for (unsigned y = 0; y < sink->height; y++) /* real zeros have the same bits */
        if (sink->width)
            memset((char *)sink->data + (ptrdiff_t)(element * y) * sink->stride, 0, element * sink->width);
}

/* ---- step sizes ---- */

float j2k_quant_step(unsigned depth, unsigned orientation, unsigned exponent, unsigned mantissa) {
    int range = (int)(depth + subband_gain(orientation)); /* R_b, equation E-4 */
    return (float)ldexp(1.0 + mantissa / 2048.0, range - (int)exponent);
}

void j2k_quant_encode_step(double step, unsigned depth, unsigned orientation, uint8_t *exponent,
                           uint16_t *mantissa) {
    const int range = (int)(depth + subband_gain(orientation));
    int power = 0;
    double fraction = step > 0 ? 2 * frexp(step, &power) : 0; /* step = fraction * 2^(power - 1), in [1, 2) */
    int e = range - (power - 1);
    if (!(fraction >= 1.0) || e > 31) { /* smaller than the fields can say */
        *exponent = 31;
        *mantissa = 0;
    } else if (e < 0 || !(fraction < 2.0)) { /* larger, or infinite */
        *exponent = 0;
        *mantissa = 2047;
    } else {
        *exponent = (uint8_t)e;
        *mantissa = (uint16_t)((fraction - 1.0) * 2048.0);
    }
}
