/* Sample views: rows of the caller's image to and from the engine's rows, level shift and clamping
 * included. SPDX-License-Identifier: BSD-3-Clause */
#include "image.h"

#include <string.h>

#include "colour.h"

enum { CHUNK = 512 }; /* samples converted at once where a row needs two steps */

/* ---- scalar kernels ---- */

static inline int32_t clamp(int32_t x, int32_t low, int32_t high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}

#define DEFINE_LOAD(name, type, step)                                                                        \
    static void name(const type *J2K_RESTRICT in, size_t n, int32_t offset, int32_t *J2K_RESTRICT out) {     \
        for (size_t i = 0; i < n; i++)                                                                       \
            out[i] = in[(step)*i] - offset;                                                                  \
    }
DEFINE_LOAD(load_u8_c, uint8_t, 1)
DEFINE_LOAD(load_u8x3_c, uint8_t, 3)
DEFINE_LOAD(load_u16_c, uint16_t, 1)
DEFINE_LOAD(load_u16x3_c, uint16_t, 3)

#define DEFINE_STORE(name, type, step)                                                                       \
    static void name(const int32_t *J2K_RESTRICT in, size_t n, int32_t offset, int32_t max,                  \
                     type *J2K_RESTRICT out) {                                                               \
        for (size_t i = 0; i < n; i++)                                                                       \
            out[(step)*i] = (type)(clamp(in[i], -offset, max - offset) + offset);                            \
    }
DEFINE_STORE(store_u8_c, uint8_t, 1)
DEFINE_STORE(store_u8x3_c, uint8_t, 3)
DEFINE_STORE(store_u16_c, uint16_t, 1)
DEFINE_STORE(store_u16x3_c, uint16_t, 3)

static void int_to_float_c(const int32_t *J2K_RESTRICT in, size_t n, float *J2K_RESTRICT out) {
    for (size_t i = 0; i < n; i++)
        out[i] = (float)in[i];
}

static void float_to_int_c(const float *J2K_RESTRICT in, size_t n, int32_t *J2K_RESTRICT out) {
    /* The number below one half: with one half itself, 0.5 - 2^-25 and large odd numbers would go up too. */
    const float half = 0.49999997f, limit = 1073741824.0f;
    for (size_t i = 0; i < n; i++) {
        float x = in[i] + (in[i] < 0.0f ? -half : half);
        x = x > -limit ? x : -limit;
        x = x < limit ? x : limit;
        out[i] = (int32_t)x;
    }
}

static void load_rgb8_rct_c(const uint8_t *J2K_RESTRICT in, size_t n, int32_t offset,
                            int32_t *J2K_RESTRICT c0, int32_t *J2K_RESTRICT c1, int32_t *J2K_RESTRICT c2) {
    for (size_t i = 0; i < n; i++) {
        c0[i] = in[3 * i] - offset;
        c1[i] = in[3 * i + 1] - offset;
        c2[i] = in[3 * i + 2] - offset;
    }
    j2k_colour_c.rct_forward(c0, c1, c2, n);
}

static void load_rgb8_ict_c(const uint8_t *J2K_RESTRICT in, size_t n, int32_t offset, float *J2K_RESTRICT c0,
                            float *J2K_RESTRICT c1, float *J2K_RESTRICT c2) {
    for (size_t i = 0; i < n; i++) {
        c0[i] = (float)(in[3 * i] - offset);
        c1[i] = (float)(in[3 * i + 1] - offset);
        c2[i] = (float)(in[3 * i + 2] - offset);
    }
    j2k_colour_c.ict_forward(c0, c1, c2, n);
}

static void store_rgb8_rct_c(const int32_t *J2K_RESTRICT c0, const int32_t *J2K_RESTRICT c1,
                             const int32_t *J2K_RESTRICT c2, size_t n, int32_t offset, int32_t max,
                             uint8_t *J2K_RESTRICT out) {
    int32_t rows[3][CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t count = n - done < CHUNK ? n - done : CHUNK;
        memcpy(rows[0], c0 + done, 4 * count);
        memcpy(rows[1], c1 + done, 4 * count);
        memcpy(rows[2], c2 + done, 4 * count);
        j2k_colour_c.rct_inverse(rows[0], rows[1], rows[2], count);
        for (int k = 0; k < 3; k++)
            store_u8x3_c(rows[k], count, offset, max, out + 3 * done + k);
    }
}

static void store_rgb8_ict_c(const float *J2K_RESTRICT c0, const float *J2K_RESTRICT c1,
                             const float *J2K_RESTRICT c2, size_t n, int32_t offset, int32_t max,
                             uint8_t *J2K_RESTRICT out) {
    float rows[3][CHUNK];
    int32_t samples[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t count = n - done < CHUNK ? n - done : CHUNK;
        memcpy(rows[0], c0 + done, 4 * count);
        memcpy(rows[1], c1 + done, 4 * count);
        memcpy(rows[2], c2 + done, 4 * count);
        j2k_colour_c.ict_inverse(rows[0], rows[1], rows[2], count);
        for (int k = 0; k < 3; k++) {
            float_to_int_c(rows[k], count, samples);
            store_u8x3_c(samples, count, offset, max, out + 3 * done + k);
        }
    }
}

const image_kernels j2k_image_c = {
    .load_u8 = load_u8_c,
    .load_u8x3 = load_u8x3_c,
    .load_u16 = load_u16_c,
    .load_u16x3 = load_u16x3_c,
    .store_u8 = store_u8_c,
    .store_u8x3 = store_u8x3_c,
    .store_u16 = store_u16_c,
    .store_u16x3 = store_u16x3_c,
    .load_rgb8_rct = load_rgb8_rct_c,
    .load_rgb8_ict = load_rgb8_ict_c,
    .store_rgb8_rct = store_rgb8_rct_c,
    .store_rgb8_ict = store_rgb8_ict_c,
    .int_to_float = int_to_float_c,
    .float_to_int = float_to_int_c,
};

/* ---- samples of any type ---- */

static unsigned type_size(j2k_sample_type type) {
    return type <= J2K_INT8 ? 1 : type <= J2K_INT16 ? 2 : 4;
}

static bool type_is_signed(j2k_sample_type type) {
    return type == J2K_INT8 || type == J2K_INT16 || type == J2K_INT32;
}

static inline uint16_t swap16(uint16_t v) {
    return (uint16_t)(v << 8 | v >> 8);
}

static inline uint32_t swap32(uint32_t v) {
    return v << 24 | (v & 0xFF00u) << 8 | (v >> 8 & 0xFF00u) | v >> 24;
}

static inline uint32_t sample_bits(const unsigned char *p, unsigned size, bool swapped) {
    if (size == 1)
        return *p;
    if (size == 2) {
        uint16_t v;
        memcpy(&v, p, 2);
        return swapped ? swap16(v) : v;
    }
    uint32_t v;
    memcpy(&v, p, 4);
    return swapped ? swap32(v) : v;
}

static inline void put_sample_bits(unsigned char *p, unsigned size, bool swapped, uint32_t bits) {
    if (size == 1) {
        *p = (unsigned char)bits;
    } else if (size == 2) {
        uint16_t v = (uint16_t)bits;
        v = swapped ? swap16(v) : v;
        memcpy(p, &v, 2);
    } else {
        uint32_t v = swapped ? swap32(bits) : bits;
        memcpy(p, &v, 4);
    }
}

/* 2^(depth-1) for unsigned components (equation G-1), as the number modulo 2^32 to add or subtract. */
static uint32_t level_shift(const j2k_component *c) {
    return c->is_signed || c->depth == 0 ? 0 : (uint32_t)1 << (c->depth - 1);
}

/* Sample (x, y) of the component. */
static unsigned char *sample_at(const j2k_component *c, uint32_t x, uint32_t y) {
    return (unsigned char *)c->data + (ptrdiff_t)y * c->row_stride + (ptrdiff_t)x * c->sample_step;
}

/* Samples less the level shift, from a place that needs no alignment. Size, sign and order are constants
 * where this is inlined, and so is the step of contiguous samples, which lets a compiler make vectors of
 * them. */
J2K_INLINE void gather_step(const unsigned char *in, ptrdiff_t step, uint32_t n, uint32_t shift,
                            unsigned size, bool is_signed, bool swapped, int32_t *J2K_RESTRICT out) {
    const unsigned unused = 32 - 8 * size;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = sample_bits(in + (ptrdiff_t)i * step, size, swapped);
        if (is_signed)
            v = (uint32_t)((int32_t)(v << unused) >> unused);
        out[i] = (int32_t)(v - shift);
    }
}

J2K_INLINE void gather(const unsigned char *in, ptrdiff_t step, uint32_t n, uint32_t shift, unsigned size,
                       bool is_signed, bool swapped, int32_t *out) {
    if (step == (ptrdiff_t)size)
        gather_step(in, (ptrdiff_t)size, n, shift, size, is_signed, swapped, out);
    else
        gather_step(in, step, n, shift, size, is_signed, swapped, out);
}

static void load_any(const unsigned char *in, ptrdiff_t step, uint32_t n, uint32_t shift,
                     j2k_sample_type type, bool swapped, int32_t *out) {
    switch ((unsigned)type * 2 + swapped) {
    case J2K_UINT8 * 2:
    case J2K_UINT8 * 2 + 1:
        gather(in, step, n, shift, 1, false, false, out);
        break;
    case J2K_INT8 * 2:
    case J2K_INT8 * 2 + 1:
        gather(in, step, n, shift, 1, true, false, out);
        break;
    case J2K_UINT16 * 2:
        gather(in, step, n, shift, 2, false, false, out);
        break;
    case J2K_UINT16 * 2 + 1:
        gather(in, step, n, shift, 2, false, true, out);
        break;
    case J2K_INT16 * 2:
        gather(in, step, n, shift, 2, true, false, out);
        break;
    case J2K_INT16 * 2 + 1:
        gather(in, step, n, shift, 2, true, true, out);
        break;
    case J2K_UINT32 * 2:
    case J2K_INT32 * 2:
        gather(in, step, n, shift, 4, false, false, out);
        break;
    default:
        gather(in, step, n, shift, 4, false, true, out);
        break;
    }
}

static bool is_aligned(const void *p, size_t alignment) {
    return (uintptr_t)p % alignment == 0;
}

void j2k_load_row_int(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                      int32_t *out) {
    const image_kernels *kernels = dsp->image;
    const unsigned char *in = sample_at(c, x0, y);
    const uint32_t shift = level_shift(c);
    if (c->type == J2K_UINT8 && c->sample_step == 1)
        kernels->load_u8(in, n, (int32_t)shift, out);
    else if (c->type == J2K_UINT8 && c->sample_step == 3)
        kernels->load_u8x3(in, n, (int32_t)shift, out);
    else if (c->type == J2K_UINT16 && !c->byte_swapped && c->sample_step == 2 && is_aligned(in, 2))
        kernels->load_u16((const uint16_t *)(const void *)in, n, (int32_t)shift, out);
    else if (c->type == J2K_UINT16 && !c->byte_swapped && c->sample_step == 6 && is_aligned(in, 2))
        kernels->load_u16x3((const uint16_t *)(const void *)in, n, (int32_t)shift, out);
    else
        load_any(in, c->sample_step, n, shift, c->type, c->byte_swapped, out);
}

void j2k_load_row_float(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                        float *out) {
    int32_t samples[CHUNK];
    for (uint32_t done = 0; done < n;) {
        uint32_t count = n - done < CHUNK ? n - done : CHUNK;
        j2k_load_row_int(dsp, c, x0 + done, y, count, samples);
        dsp->image->int_to_float(samples, count, out + done);
        done += count;
    }
}

/* The smallest and largest sample that the component's depth and sign allow. */
static void sample_range(const j2k_component *c, int64_t *low, int64_t *high) {
    const unsigned depth = c->depth ? c->depth : 1;
    *low = c->is_signed ? -((int64_t)1 << (depth - 1)) : 0;
    *high = ((int64_t)1 << (c->is_signed ? depth - 1 : depth)) - 1;
}

J2K_INLINE void scatter_step(const int32_t *J2K_RESTRICT in, uint32_t n, uint32_t shift, int32_t low,
                             int32_t high, unsigned size, bool swapped, unsigned char *J2K_RESTRICT out,
                             ptrdiff_t step) {
    for (uint32_t i = 0; i < n; i++)
        put_sample_bits(out + (ptrdiff_t)i * step, size, swapped, (uint32_t)clamp(in[i], low, high) + shift);
}

J2K_INLINE void scatter(const int32_t *in, uint32_t n, uint32_t shift, int32_t low, int32_t high,
                        unsigned size, bool swapped, unsigned char *out, ptrdiff_t step) {
    if (step == (ptrdiff_t)size)
        scatter_step(in, n, shift, low, high, size, swapped, out, (ptrdiff_t)size);
    else
        scatter_step(in, n, shift, low, high, size, swapped, out, step);
}

static void store_any(const int32_t *in, uint32_t n, uint32_t shift, int32_t low, int32_t high, unsigned size,
                      bool swapped, unsigned char *out, ptrdiff_t step) {
    if (size == 1)
        scatter(in, n, shift, low, high, 1, false, out, step);
    else if (size == 2 && !swapped)
        scatter(in, n, shift, low, high, 2, false, out, step);
    else if (size == 2)
        scatter(in, n, shift, low, high, 2, true, out, step);
    else if (!swapped)
        scatter(in, n, shift, low, high, 4, false, out, step);
    else
        scatter(in, n, shift, low, high, 4, true, out, step);
}

void j2k_store_row_int(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                       const int32_t *in) {
    const image_kernels *kernels = dsp->image;
    unsigned char *out = sample_at(c, x0, y);
    const uint32_t shift = level_shift(c);
    int64_t low, high;
    sample_range(c, &low, &high);
    const bool plain = !c->is_signed && !c->byte_swapped && c->depth <= 8 * type_size(c->type);
    if (plain && c->type == J2K_UINT8 && c->sample_step == 1)
        kernels->store_u8(in, n, (int32_t)shift, (int32_t)high, out);
    else if (plain && c->type == J2K_UINT8 && c->sample_step == 3)
        kernels->store_u8x3(in, n, (int32_t)shift, (int32_t)high, out);
    else if (plain && c->type == J2K_UINT16 && c->sample_step == 2 && is_aligned(out, 2))
        kernels->store_u16(in, n, (int32_t)shift, (int32_t)high, (uint16_t *)(void *)out);
    else if (plain && c->type == J2K_UINT16 && c->sample_step == 6 && is_aligned(out, 2))
        kernels->store_u16x3(in, n, (int32_t)shift, (int32_t)high, (uint16_t *)(void *)out);
    else
        store_any(in, n, shift, (int32_t)(low - shift), (int32_t)(high - shift), type_size(c->type),
                  c->byte_swapped, out, c->sample_step);
}

void j2k_store_row_float(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                         const float *in) {
    int32_t samples[CHUNK];
    for (uint32_t done = 0; done < n;) {
        uint32_t count = n - done < CHUNK ? n - done : CHUNK;
        dsp->image->float_to_int(in + done, count, samples);
        j2k_store_row_int(dsp, c, x0 + done, y, count, samples);
        done += count;
    }
}

/* ---- three components and their transform ---- */

/* Eight bits each, red, green and blue of a pixel side by side. */
static bool is_rgb8(const j2k_component c[3]) {
    const unsigned char *first = c[0].data;
    for (int k = 0; k < 3; k++)
        if (c[k].data != first + k || c[k].type != J2K_UINT8 || c[k].sample_step != 3 || c[k].is_signed ||
            c[k].row_stride != c[0].row_stride || c[k].depth != c[0].depth || c[k].depth > 8)
            return false;
    return true;
}

void j2k_load_colour_int(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                         uint32_t n, int32_t *c0, int32_t *c1, int32_t *c2) {
    if (c[0].data && is_rgb8(c)) {
        dsp->image->load_rgb8_rct(sample_at(c, x0, y), n, (int32_t)level_shift(c), c0, c1, c2);
        return;
    }
    j2k_load_row_int(dsp, &c[0], x0, y, n, c0);
    j2k_load_row_int(dsp, &c[1], x0, y, n, c1);
    j2k_load_row_int(dsp, &c[2], x0, y, n, c2);
    dsp->colour->rct_forward(c0, c1, c2, n);
}

void j2k_load_colour_float(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                           uint32_t n, float *c0, float *c1, float *c2) {
    if (c[0].data && is_rgb8(c)) {
        dsp->image->load_rgb8_ict(sample_at(c, x0, y), n, (int32_t)level_shift(c), c0, c1, c2);
        return;
    }
    j2k_load_row_float(dsp, &c[0], x0, y, n, c0);
    j2k_load_row_float(dsp, &c[1], x0, y, n, c1);
    j2k_load_row_float(dsp, &c[2], x0, y, n, c2);
    dsp->colour->ict_forward(c0, c1, c2, n);
}

void j2k_store_colour_int(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                          uint32_t n, const int32_t *c0, const int32_t *c1, const int32_t *c2) {
    if (c[0].data && is_rgb8(c)) {
        int64_t low, high;
        sample_range(c, &low, &high);
        dsp->image->store_rgb8_rct(c0, c1, c2, n, (int32_t)level_shift(c), (int32_t)high,
                                   sample_at(c, x0, y));
        return;
    }
    int32_t rows[3][CHUNK];
    for (uint32_t done = 0; done < n;) {
        const uint32_t count = n - done < CHUNK ? n - done : CHUNK;
        memcpy(rows[0], c0 + done, 4 * (size_t)count);
        memcpy(rows[1], c1 + done, 4 * (size_t)count);
        memcpy(rows[2], c2 + done, 4 * (size_t)count);
        dsp->colour->rct_inverse(rows[0], rows[1], rows[2], count);
        for (int k = 0; k < 3; k++)
            if (c[k].data)
                j2k_store_row_int(dsp, &c[k], x0 + done, y, count, rows[k]);
        done += count;
    }
}

void j2k_store_colour_float(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                            uint32_t n, const float *c0, const float *c1, const float *c2) {
    if (c[0].data && is_rgb8(c)) {
        int64_t low, high;
        sample_range(c, &low, &high);
        dsp->image->store_rgb8_ict(c0, c1, c2, n, (int32_t)level_shift(c), (int32_t)high,
                                   sample_at(c, x0, y));
        return;
    }
    float rows[3][CHUNK];
    for (uint32_t done = 0; done < n;) {
        const uint32_t count = n - done < CHUNK ? n - done : CHUNK;
        memcpy(rows[0], c0 + done, 4 * (size_t)count);
        memcpy(rows[1], c1 + done, 4 * (size_t)count);
        memcpy(rows[2], c2 + done, 4 * (size_t)count);
        dsp->colour->ict_inverse(rows[0], rows[1], rows[2], count);
        for (int k = 0; k < 3; k++)
            if (c[k].data)
                j2k_store_row_float(dsp, &c[k], x0 + done, y, count, rows[k]);
        done += count;
    }
}

/* ---- wide components: samples less the level shift still are 32-bit numbers ---- */

static int32_t clamp_wide(int64_t x) {
    return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : (int32_t)x;
}

/* To nearest, half away from zero; NaN gives the lower limit. */
static int32_t round_wide(double x) {
    if (!(x > INT32_MIN))
        return INT32_MIN;
    const double half = 0.49999999999999994; /* see float_to_int_c */
    return x >= INT32_MAX ? INT32_MAX : (int32_t)(x < 0 ? x - half : x + half);
}

static void load_row_wide(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                          bool reversible, void *out) {
    int32_t samples[CHUNK];
    for (uint32_t done = 0, count; done < n; done += count) {
        count = n - done < CHUNK ? n - done : CHUNK;
        j2k_load_row_int(dsp, c, x0 + done, y, count, samples);
        for (uint32_t i = 0; i < count && reversible; i++)
            ((int64_t *)out)[done + i] = samples[i];
        for (uint32_t i = 0; i < count && !reversible; i++)
            ((double *)out)[done + i] = samples[i];
    }
}

void j2k_load_wide(const dsp_kernels *dsp, const j2k_component *c, uint32_t count, uint32_t x0, uint32_t y,
                   uint32_t n, bool reversible, void *const rows[3]) {
    for (uint32_t k = 0; k < count; k++)
        load_row_wide(dsp, &c[k], x0, y, n, reversible, rows[k]);
    if (count == 3 && reversible)
        j2k_rct_forward_wide(rows[0], rows[1], rows[2], n);
    else if (count == 3)
        j2k_ict_forward_wide(rows[0], rows[1], rows[2], n);
}

/* A chunk's worth of a row, which is stored and may be changed. */
typedef union wide_chunk {
    int64_t integers[CHUNK];
    double reals[CHUNK];
} wide_chunk;

void j2k_store_wide(const dsp_kernels *dsp, const j2k_component *c, uint32_t count, uint32_t x0, uint32_t y,
                    uint32_t n, bool reversible, const void *const rows[3]) {
    wide_chunk chunk[3];
    int32_t samples[CHUNK];
    for (uint32_t done = 0, part; done < n; done += part) {
        part = n - done < CHUNK ? n - done : CHUNK;
        for (uint32_t k = 0; k < count; k++)
            memcpy(&chunk[k], (const char *)rows[k] + 8 * (size_t)done, 8 * (size_t)part);
        if (count == 3 && reversible)
            j2k_rct_inverse_wide(chunk[0].integers, chunk[1].integers, chunk[2].integers, part);
        else if (count == 3)
            j2k_ict_inverse_wide(chunk[0].reals, chunk[1].reals, chunk[2].reals, part);
        for (uint32_t k = 0; k < count; k++) {
            if (!c[k].data)
                continue;
            for (uint32_t i = 0; i < part; i++)
                samples[i] = reversible ? clamp_wide(chunk[k].integers[i]) : round_wide(chunk[k].reals[i]);
            j2k_store_row_int(dsp, &c[k], x0 + done, y, part, samples);
        }
    }
}

/* ---- other ---- */

void j2k_fill_row(const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n) {
    const unsigned size = type_size(c->type);
    const uint32_t value = level_shift(c);
    unsigned char *out = sample_at(c, x0, y);
    for (uint32_t i = 0; i < n; i++, out += c->sample_step)
        put_sample_bits(out, size, c->byte_swapped, value);
}

bool j2k_samples_fit(const j2k_component *c) {
    const bool type_signed = type_is_signed(c->type);
    const unsigned bits = 8 * type_size(c->type);
    if (type_signed == c->is_signed && c->depth >= bits)
        return true;
    if (!type_signed && c->depth >= bits + c->is_signed)
        return true;
    int64_t low, high;
    sample_range(c, &low, &high);
    for (uint32_t y = 0; y < c->height; y++) {
        int32_t samples[CHUNK];
        for (uint32_t x = 0; x < c->width; x += CHUNK) {
            const uint32_t n = c->width - x < CHUNK ? c->width - x : CHUNK;
            load_any(sample_at(c, x, y), c->sample_step, n, 0, c->type, c->byte_swapped, samples);
            bool fits = true;
            for (uint32_t i = 0; i < n; i++) {
                int64_t v = type_signed ? samples[i] : (int64_t)(uint32_t)samples[i];
                fits &= v >= low && v <= high;
            }
            if (!fits)
                return false;
            if (c->width - x <= CHUNK)
                break;
        }
    }
    return true;
}
