/* The kernels of dsp.h for samples, colour, wavelet and quantisation, written once for vectors of LANES
 * 32-bit lanes. The file that includes it has included a lanes_*.h and says by KERNEL_TABLE(stage) how the
 * tables are called. SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "../dsp.h"

/* Each kernel does the same operations in the same order as its reference (suffix _c in the stage's file), so
 * that float results agree bit for bit. Rows that the wavelet keeps in its own scratch have slack behind
 * them, and whole vectors are read and written there; everything else is exact to the element. */

J2K_INLINE vf vf_next(vf a, vf b) {
    return vf_from_bits(vi_next(vf_bits(a), vf_bits(b)));
}
J2K_INLINE vf vf_previous(vf a, vf b) {
    return vf_from_bits(vi_previous(vf_bits(a), vf_bits(b)));
}
J2K_INLINE void vf_load_split(const float *p, vf *even, vf *odd) {
    vi e, o;
    vi_load_split(p, &e, &o);
    *even = vf_from_bits(e);
    *odd = vf_from_bits(o);
}

/* Store the lanes that lie before the end of a row of which `left` elements remain. */
J2K_INLINE void vi_store_left(int32_t *p, size_t left, vi v) {
    if (left >= LANES)
        vi_store(p, v);
    else
        vi_store_n(p, left, v);
}
J2K_INLINE void vf_store_left(float *p, size_t left, vf v) {
    if (left >= LANES)
        vf_store(p, v);
    else
        vf_store_n(p, left, v);
}

/* ---- vertical lifting ---- */

J2K_INLINE vi half_sum(vi a, vi b) {
    return vi_sar(vi_add(a, b), 1);
}
J2K_INLINE vi quarter_sum(vi a, vi b) {
    return vi_sar(vi_add(vi_add(a, b), vi_set(2)), 2);
}
J2K_INLINE vf lifted(vf x, vf factor, vf a, vf b) {
    return vf_add(x, vf_mul(factor, vf_add(a, b)));
}

static void predict53(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i += LANES)
        vi_store(x + i, vi_sub(vi_load(x + i), half_sum(vi_load(a + i), vi_load(b + i))));
}

static void update53(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i += LANES)
        vi_store(x + i, vi_add(vi_load(x + i), quarter_sum(vi_load(a + i), vi_load(b + i))));
}

static void undo_predict53(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i += LANES)
        vi_store(x + i, vi_add(vi_load(x + i), half_sum(vi_load(a + i), vi_load(b + i))));
}

static void undo_update53(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i += LANES)
        vi_store(x + i, vi_sub(vi_load(x + i), quarter_sum(vi_load(a + i), vi_load(b + i))));
}

static void lift97(float *J2K_RESTRICT x, const float *a, const float *b, float factor, size_t n) {
    const vf f = vf_set(factor);
    for (size_t i = 0; i < n; i += LANES)
        vf_store(x + i, lifted(vf_load(x + i), f, vf_load(a + i), vf_load(b + i)));
}

static void forward53(int32_t *J2K_RESTRICT even, int32_t *J2K_RESTRICT odd,
                      const int32_t *J2K_RESTRICT above, const int32_t *J2K_RESTRICT below, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vi e = vi_load(even + i);
        vi high = vi_sub(vi_load(odd + i), half_sum(e, vi_load(below + i)));
        vi_store(odd + i, high);
        vi_store(even + i, vi_add(e, quarter_sum(vi_load(above + i), high)));
    }
}

static void inverse53(int32_t *J2K_RESTRICT even, int32_t *J2K_RESTRICT above,
                      const int32_t *J2K_RESTRICT even_above, const int32_t *J2K_RESTRICT below, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        vi a = vi_load(above + i);
        vi x = vi_sub(vi_load(even + i), quarter_sum(a, vi_load(below + i)));
        vi_store(even + i, x);
        vi_store(above + i, vi_add(a, half_sum(vi_load(even_above + i), x)));
    }
}

static void chain97(const float *J2K_RESTRICT ahead, float *J2K_RESTRICT x0, float *J2K_RESTRICT x1,
                    float *J2K_RESTRICT x2, float *J2K_RESTRICT x3, const float *J2K_RESTRICT behind,
                    const float factors[4], size_t n) {
    const vf f0 = vf_set(factors[0]), f1 = vf_set(factors[1]), f2 = vf_set(factors[2]),
             f3 = vf_set(factors[3]);
    for (size_t i = 0; i < n; i += LANES) {
        vf v1 = vf_load(x1 + i), v2 = vf_load(x2 + i), v3 = vf_load(x3 + i);
        vf y0 = lifted(vf_load(x0 + i), f0, v1, vf_load(ahead + i));
        vf y1 = lifted(v1, f1, v2, y0);
        vf y2 = lifted(v2, f2, v3, y1);
        vf_store(x0 + i, y0);
        vf_store(x1 + i, y1);
        vf_store(x2 + i, y2);
        vf_store(x3 + i, lifted(v3, f3, vf_load(behind + i), y2));
    }
}

/* ---- horizontal transform ---- */

/* A row at parity 1 begins with a high-pass sample. It is treated as one at parity 0 that begins at the next
 * sample; its first high-pass result is then the one before index 0. */
static void forward53_row(const int32_t *x, unsigned parity, size_t num_low, size_t num_high,
                          int32_t *J2K_RESTRICT low, int32_t *J2K_RESTRICT high) {
    x += 2 * parity;
    const int32_t before = wrap_sub(x[-1], wrap_add(x[-2], x[0]) >> 1);
    if (parity) {
        *high++ = before;
        num_high--;
    }
    vi high_before = vi_set(before), even, odd, next_even, next_odd;
    vi_load_split(x, &even, &odd);
    for (size_t i = 0; i < num_low; i += LANES) {
        vi_load_split(x + 2 * (i + LANES), &next_even, &next_odd);
        vi h = vi_sub(odd, half_sum(even, vi_next(even, next_even)));
        vi l = vi_add(even, quarter_sum(vi_previous(high_before, h), h));
        if (i + LANES <= num_high) {
            vi_store(high + i, h);
            vi_store(low + i, l);
        } else {
            vi_store_left(low + i, num_low - i, l);
            vi_store_left(high + i, num_high - i, h);
        }
        high_before = h, even = next_even, odd = next_odd;
    }
}

static void inverse53_row(int32_t *J2K_RESTRICT even, int32_t *J2K_RESTRICT odd, size_t pairs,
                          int32_t *J2K_RESTRICT x) {
    vi e = vi_sub(vi_load(even), quarter_sum(vi_load(odd - 1), vi_load(odd)));
    for (size_t i = 0; i < pairs; i += LANES) {
        const size_t j = i + LANES;
        vi next = vi_sub(vi_load(even + j), quarter_sum(vi_load(odd + j - 1), vi_load(odd + j)));
        vi o = vi_add(vi_load(odd + i), half_sum(e, vi_next(e, next)));
        vi_store_merged(x + 2 * i, e, o);
        e = next;
    }
}

static const float ALPHA = -1.586134342059924f, BETA = -0.052980118572961f, GAMMA = 0.882911075530934f,
                   DELTA = 0.443506852043971f;

/* One step on a single sample. */
J2K_INLINE float lift1(float x, float factor, float a, float b) {
    return x + factor * (a + b);
}

/* All four steps in one pass: when the samples 2i .. of a block are there, the first two steps can be done on
 * block i and the last two on the block before. What block 0 needs of its predecessor is computed first. */
static void forward97_row(const float *J2K_RESTRICT x, unsigned parity, size_t num_low, size_t num_high,
                          float *J2K_RESTRICT low, float *J2K_RESTRICT high, float low_scale,
                          float high_scale, float *J2K_RESTRICT unused_even, float *J2K_RESTRICT unused_odd) {
    (void)unused_even, (void)unused_odd;
    x += 2 * parity;
    /* indices -4 .. 0 of the row after the steps named */
    const float odd1_3 = lift1(x[-3], ALPHA, x[-4], x[-2]), odd1_1 = lift1(x[-1], ALPHA, x[-2], x[0]);
    const float even1_2 = lift1(x[-2], BETA, odd1_3, odd1_1);
    const float even1_0 = lift1(x[0], BETA, odd1_1, lift1(x[1], ALPHA, x[0], x[2]));
    const float before = lift1(odd1_1, GAMMA, even1_2, even1_0);
    if (parity) {
        *high++ = before * high_scale;
        num_high--;
    }

    const vf alpha = vf_set(ALPHA), beta = vf_set(BETA), gamma = vf_set(GAMMA), delta = vf_set(DELTA);
    const vf scale0 = vf_set(low_scale), scale1 = vf_set(high_scale);
    vf even, odd, even_ahead, odd_ahead;
    vf_load_split(x, &even, &odd);
    vf_load_split(x + 2 * LANES, &even_ahead, &odd_ahead);
    vf odd1 = lifted(odd, alpha, even, vf_next(even, even_ahead));
    vf even1 = lifted(even, beta, vf_previous(vf_set(odd1_1), odd1), odd1);
    vf odd2_before = vf_set(before);
    for (size_t i = 0; i < num_low; i += LANES) {
        even = even_ahead, odd = odd_ahead;
        vf_load_split(x + 2 * i + 4 * LANES, &even_ahead, &odd_ahead);
        vf odd1_ahead = lifted(odd, alpha, even, vf_next(even, even_ahead));
        vf even1_ahead = lifted(even, beta, vf_previous(odd1, odd1_ahead), odd1_ahead);
        vf odd2 = lifted(odd1, gamma, even1, vf_next(even1, even1_ahead));
        vf even2 = lifted(even1, delta, vf_previous(odd2_before, odd2), odd2);
        vf l = vf_mul(even2, scale0), h = vf_mul(odd2, scale1);
        if (i + LANES <= num_high) {
            vf_store(low + i, l);
            vf_store(high + i, h);
        } else {
            vf_store_left(low + i, num_low - i, l);
            vf_store_left(high + i, num_high - i, h);
        }
        odd1 = odd1_ahead, even1 = even1_ahead, odd2_before = odd2;
    }
}

/* As forward97_row: two blocks ahead with the first step, one with the second and third. */
static void inverse97_row(float *J2K_RESTRICT even, float *J2K_RESTRICT odd, size_t pairs,
                          float *J2K_RESTRICT x) {
    const float even1_2 = lift1(even[-1], -DELTA, odd[-2], odd[-1]);
    const float even1_0 = lift1(even[0], -DELTA, odd[-1], odd[0]);
    const float odd1_1 = lift1(odd[-1], -GAMMA, even1_2, even1_0);

    const vf alpha = vf_set(-ALPHA), beta = vf_set(-BETA), gamma = vf_set(-GAMMA), delta = vf_set(-DELTA);
    vf odd0 = vf_load(odd), odd0_ahead = vf_load(odd + LANES);
    vf even1 = lifted(vf_load(even), delta, vf_load(odd - 1), odd0);
    vf even1_ahead = lifted(vf_load(even + LANES), delta, vf_load(odd + LANES - 1), odd0_ahead);
    vf odd1 = lifted(odd0, gamma, even1, vf_next(even1, even1_ahead));
    vf even2 = lifted(even1, beta, vf_previous(vf_set(odd1_1), odd1), odd1);
    for (size_t i = 0; i < pairs; i += LANES) {
        const size_t j = i + 2 * LANES;
        odd0 = odd0_ahead, even1 = even1_ahead;
        odd0_ahead = vf_load(odd + j);
        even1_ahead = lifted(vf_load(even + j), delta, vf_load(odd + j - 1), odd0_ahead);
        vf odd1_ahead = lifted(odd0, gamma, even1, vf_next(even1, even1_ahead));
        vf even2_ahead = lifted(even1, beta, vf_previous(odd1, odd1_ahead), odd1_ahead);
        vf odd2 = lifted(odd1, alpha, even2, vf_next(even2, even2_ahead));
        vi_store_merged(x + 2 * i, vf_bits(even2), vf_bits(odd2));
        odd1 = odd1_ahead, even2 = even2_ahead;
    }
}

static void scale(const float *J2K_RESTRICT in, float factor, size_t n, float *J2K_RESTRICT out) {
    const vf f = vf_set(factor);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(out + i, vf_mul(vf_load(in + i), f));
    if (i < n)
        vf_store_n(out + i, n - i, vf_mul(vf_load_n(in + i, n - i), f));
}

const dwt_kernels KERNEL_TABLE(dwt) = {
    .predict53 = predict53,
    .update53 = update53,
    .undo_predict53 = undo_predict53,
    .undo_update53 = undo_update53,
    .lift97 = lift97,
    .forward53 = forward53,
    .inverse53 = inverse53,
    .chain97 = chain97,
    .forward53_row = forward53_row,
    .forward97_row = forward97_row,
    .inverse53_row = inverse53_row,
    .inverse97_row = inverse97_row,
    .scale = scale,
};

/* ---- colour ---- */

J2K_INLINE void rct_forward_lanes(vi *c0, vi *c1, vi *c2) {
    vi r = *c0, g = *c1, b = *c2;
    *c0 = vi_sar(vi_add(vi_add(r, b), vi_add(g, g)), 2);
    *c1 = vi_sub(b, g);
    *c2 = vi_sub(r, g);
}

J2K_INLINE void rct_inverse_lanes(vi *c0, vi *c1, vi *c2) {
    vi y1 = *c1, y2 = *c2, g = vi_sub(*c0, vi_sar(vi_add(y1, y2), 2));
    *c0 = vi_add(y2, g);
    *c1 = g;
    *c2 = vi_add(y1, g);
}

J2K_INLINE vf weighted(vf a, float wa, vf b, float wb, vf c, float wc) {
    return vf_sub(vf_sub(vf_mul(vf_set(wa), a), vf_mul(vf_set(wb), b)), vf_mul(vf_set(wc), c));
}

J2K_INLINE void ict_forward_lanes(vf *c0, vf *c1, vf *c2) {
    vf r = *c0, g = *c1, b = *c2;
    *c0 = vf_add(vf_add(vf_mul(vf_set(0.299001713f), r), vf_mul(vf_set(0.587000310f), g)),
                 vf_mul(vf_set(0.113997978f), b));
    *c1 = weighted(b, 0.500001141f, r, 0.168736858f, g, 0.331264283f);
    *c2 = weighted(r, 0.499998778f, g, 0.418687810f, b, 0.081310968f);
}

J2K_INLINE void ict_inverse_lanes(vf *c0, vf *c1, vf *c2) {
    vf y0 = *c0, y1 = *c1, y2 = *c2;
    *c0 = vf_add(y0, vf_mul(vf_set(1.402f), y2));
    *c1 = vf_sub(vf_sub(y0, vf_mul(vf_set(0.34413f), y1)), vf_mul(vf_set(0.71414f), y2));
    *c2 = vf_add(y0, vf_mul(vf_set(1.772f), y1));
}

#define DEFINE_COLOUR(name, type, v)                                                                         \
    static void name(type *J2K_RESTRICT c0, type *J2K_RESTRICT c1, type *J2K_RESTRICT c2, size_t n) {        \
        size_t i = 0;                                                                                        \
        v a, b, c;                                                                                           \
        for (; i + LANES <= n; i += LANES) {                                                                 \
            a = v##_load(c0 + i), b = v##_load(c1 + i), c = v##_load(c2 + i);                                \
            name##_lanes(&a, &b, &c);                                                                        \
            v##_store(c0 + i, a), v##_store(c1 + i, b), v##_store(c2 + i, c);                                \
        }                                                                                                    \
        if (i < n) {                                                                                         \
            a = v##_load_n(c0 + i, n - i), b = v##_load_n(c1 + i, n - i), c = v##_load_n(c2 + i, n - i);     \
            name##_lanes(&a, &b, &c);                                                                        \
            v##_store_n(c0 + i, n - i, a), v##_store_n(c1 + i, n - i, b), v##_store_n(c2 + i, n - i, c);     \
        }                                                                                                    \
    }
DEFINE_COLOUR(rct_forward, int32_t, vi)
DEFINE_COLOUR(rct_inverse, int32_t, vi)
DEFINE_COLOUR(ict_forward, float, vf)
DEFINE_COLOUR(ict_inverse, float, vf)

const colour_kernels KERNEL_TABLE(colour) = {rct_forward, rct_inverse, ict_forward, ict_inverse};

/* ---- quantisation ---- */

J2K_INLINE vi sign_bit(vi v) {
    return vi_and(v, vi_set(INT32_MIN));
}

J2K_INLINE vi quantise_int_lanes(vi x, vi *all) {
    vi m = vi_min_unsigned(vi_abs(x), vi_set(INT32_MAX));
    *all = vi_or(*all, m);
    return vi_or(m, sign_bit(x));
}

static uint32_t quantise_int(const int32_t *J2K_RESTRICT in, size_t n, uint32_t *J2K_RESTRICT out) {
    int32_t *words = (int32_t *)out;
    vi all = vi_set(0);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vi_store(words + i, quantise_int_lanes(vi_load(in + i), &all));
    if (i < n)
        vi_store_n(words + i, n - i, quantise_int_lanes(vi_load_n(in + i, n - i), &all));
    return vi_or_lanes(all);
}

J2K_INLINE vi quantise_float_lanes(vf x, vf factor, vi *all) {
    const vf largest = vf_set(2147483520.0f);
    vf product = vf_from_bits(vi_and(vf_bits(vf_mul(x, factor)), vi_set(INT32_MAX)));
    vi m = vf_select_greater(product, largest, vi_set(INT32_MAX), vf_truncate(vf_min(product, largest)));
    *all = vi_or(*all, m);
    return vi_or(m, sign_bit(vf_bits(x)));
}

static uint32_t quantise_float(const float *J2K_RESTRICT in, float factor, size_t n,
                               uint32_t *J2K_RESTRICT out) {
    int32_t *words = (int32_t *)out;
    const vf f = vf_set(factor);
    vi all = vi_set(0);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vi_store(words + i, quantise_float_lanes(vf_load(in + i), f, &all));
    if (i < n)
        vi_store_n(words + i, n - i, quantise_float_lanes(vf_load_n(in + i, n - i), f, &all));
    return vi_or_lanes(all);
}

J2K_INLINE vi dequantise_int_lanes(vi x) {
    return vi_sar(vi_add(x, vi_shr(x, 31)), 1);
}

static void dequantise_int(const int32_t *J2K_RESTRICT in, size_t n, int32_t *J2K_RESTRICT out) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vi_store(out + i, dequantise_int_lanes(vi_load(in + i)));
    if (i < n)
        vi_store_n(out + i, n - i, dequantise_int_lanes(vi_load_n(in + i, n - i)));
}

static void dequantise_float(const int32_t *J2K_RESTRICT in, float factor, size_t n,
                             float *J2K_RESTRICT out) {
    const vf f = vf_set(factor);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(out + i, vf_mul(vf_from_int(vi_load(in + i)), f));
    if (i < n)
        vf_store_n(out + i, n - i, vf_mul(vf_from_int(vi_load_n(in + i, n - i)), f));
}

J2K_INLINE vf requantise_lanes(vf x, vf scale, vf half_step) {
    vi all = vi_set(0), word = quantise_float_lanes(x, scale, &all), m = vi_and(word, vi_set(INT32_MAX));
    vi doubled = vi_add(vi_add(m, m), vi_set(1));
    doubled = vf_select_greater(vf_from_int(m), vf_set(0.0f), doubled, vi_set(0));
    vf value = vf_mul(vf_from_int(doubled), half_step);
    return vf_from_bits(vi_or(vf_bits(value), sign_bit(word)));
}

static void requantise_float(const float *J2K_RESTRICT in, float scale, float half_step, size_t n,
                             float *J2K_RESTRICT out) {
    const vf s = vf_set(scale), h = vf_set(half_step);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(out + i, requantise_lanes(vf_load(in + i), s, h));
    if (i < n)
        vf_store_n(out + i, n - i, requantise_lanes(vf_load_n(in + i, n - i), s, h));
}

/* |x| is below 2^31, so that differences of magnitudes do not overflow. */
J2K_INLINE vi cut_lanes(vi x, uint32_t low, uint32_t half) {
    vi m = vi_min_unsigned(vi_abs(x), vi_set(INT32_MAX)),
       zero = vi_sar(vi_sub(m, vi_set((int32_t)low + 1)), 31);
    vi value =
        vi_and(vi_or(vi_and(m, vi_set((int32_t)~low)), vi_set((int32_t)half)), vi_sub(vi_set(-1), zero));
    vi negative = vi_sar(x, 31);
    return vi_sub(vi_sub(vi_or(value, negative), vi_and(value, negative)), negative);
}

static void cut_int(const int32_t *J2K_RESTRICT in, unsigned plane, size_t n, int32_t *J2K_RESTRICT out) {
    const uint32_t low = (UINT32_C(1) << plane) - 1, half = low ? (low >> 1) + 1 : 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vi_store(out + i, cut_lanes(vi_load(in + i), low, half));
    if (i < n)
        vi_store_n(out + i, n - i, cut_lanes(vi_load_n(in + i, n - i), low, half));
}

J2K_INLINE void add_cut(cut_sums *sums, size_t lane, vf magnitude, vf half) {
    vf limited = vf_min(magnitude, vf_set(1e9f)), whole = vf_from_int(vf_truncate(limited));
    vi given = vf_select_greater(whole, vf_set(0.0f), vf_bits(vf_add(whole, half)), vi_set(0));
    vf left = vf_sub(limited, vf_from_bits(given));
    float *energy = sums->energy + lane, *error = sums->error + lane;
    vf_store(energy, vf_add(vf_load(energy), vf_mul(limited, limited)));
    vf_store(error, vf_add(vf_load(error), vf_mul(left, left)));
}

J2K_INLINE vf int_magnitude(vi x, float scale) {
    return vf_mul(vf_from_int(vi_min_unsigned(vi_abs(x), vi_set(INT32_MAX))), vf_set(scale));
}
J2K_INLINE vf float_magnitude(vf x, float scale) {
    return vf_from_bits(vi_and(vf_bits(vf_mul(x, vf_set(scale))), vi_set(INT32_MAX)));
}

static void cut_error_int(const int32_t *in, float scale, float half, size_t n, cut_sums *sums) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        add_cut(sums, i % CUT_LANES, int_magnitude(vi_load(in + i), scale), vf_set(half));
    if (i < n)
        add_cut(sums, i % CUT_LANES, int_magnitude(vi_load_n(in + i, n - i), scale), vf_set(half));
}

static void cut_error_float(const float *in, float scale, float half, size_t n, cut_sums *sums) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        add_cut(sums, i % CUT_LANES, float_magnitude(vf_load(in + i), scale), vf_set(half));
    if (i < n)
        add_cut(sums, i % CUT_LANES, float_magnitude(vf_load_n(in + i, n - i), scale), vf_set(half));
}

const quant_kernels KERNEL_TABLE(quant) = {quantise_int,     quantise_float, dequantise_int, dequantise_float,
                                           requantise_float, cut_int,        cut_error_int,  cut_error_float};

/* ---- samples ---- */

#define DEFINE_LOAD(bits)                                                                                    \
    static void load_u##bits(const uint##bits##_t *J2K_RESTRICT in, size_t n, int32_t offset,                \
                             int32_t *J2K_RESTRICT out) {                                                    \
        size_t i = 0;                                                                                        \
        for (; i + LANES <= n; i += LANES)                                                                   \
            vi_store(out + i, vi_sub(vi_load_u##bits(in + i), vi_set(offset)));                              \
        j2k_image_c.load_u##bits(in + i, n - i, offset, out + i);                                            \
    }
DEFINE_LOAD(8)
DEFINE_LOAD(16)

/* Level shift undone, clamped to 0 .. max. */
J2K_INLINE vi sample_lanes(vi x, int32_t offset, int32_t max) {
    return vi_add(vi_min(vi_max(x, vi_set(-offset)), vi_set(max - offset)), vi_set(offset));
}

#define DEFINE_STORE(bits)                                                                                   \
    static void store_u##bits(const int32_t *J2K_RESTRICT in, size_t n, int32_t offset, int32_t max,         \
                              uint##bits##_t *J2K_RESTRICT out) {                                            \
        size_t i = 0;                                                                                        \
        for (; i + LANES <= n; i += LANES)                                                                   \
            vi_store_u##bits(out + i, sample_lanes(vi_load(in + i), offset, max));                           \
        j2k_image_c.store_u##bits(in + i, n - i, offset, max, out + i);                                      \
    }
DEFINE_STORE(8)
DEFINE_STORE(16)

static void int_to_float(const int32_t *J2K_RESTRICT in, size_t n, float *J2K_RESTRICT out) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(out + i, vf_from_int(vi_load(in + i)));
    if (i < n)
        vf_store_n(out + i, n - i, vf_from_int(vi_load_n(in + i, n - i)));
}

J2K_INLINE vi float_to_int_lanes(vf x) {
    const vf limit = vf_set(1073741824.0f);
    vf half = vf_from_bits(vi_or(sign_bit(vf_bits(x)), vf_bits(vf_set(0.49999997f))));
    return vf_truncate(vf_min(vf_max(vf_add(x, half), vf_sub(vf_set(0), limit)), limit));
}

static void float_to_int(const float *J2K_RESTRICT in, size_t n, int32_t *J2K_RESTRICT out) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vi_store(out + i, float_to_int_lanes(vf_load(in + i)));
    if (i < n)
        vi_store_n(out + i, n - i, float_to_int_lanes(vf_load_n(in + i, n - i)));
}

static void load_u8x3(const uint8_t *J2K_RESTRICT in, size_t n, int32_t offset, int32_t *J2K_RESTRICT out) {
    size_t i = 0;
    for (; i + LANES < n; i += LANES) { /* the other two components of the last sample may not be there */
        vi r, g, b;
        vi_load_rgb8(in + 3 * i, &r, &g, &b);
        vi_store(out + i, vi_sub(r, vi_set(offset)));
    }
    j2k_image_c.load_u8x3(in + 3 * i, n - i, offset, out + i);
}

static void load_rgb8_rct(const uint8_t *J2K_RESTRICT in, size_t n, int32_t offset, int32_t *J2K_RESTRICT c0,
                          int32_t *J2K_RESTRICT c1, int32_t *J2K_RESTRICT c2) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vi r, g, b;
        vi_load_rgb8(in + 3 * i, &r, &g, &b);
        rct_forward_lanes(&r, &g, &b);
        vi_store(c0 + i, vi_sub(r, vi_set(offset))); /* it cancels out in the others */
        vi_store(c1 + i, g);
        vi_store(c2 + i, b);
    }
    j2k_image_c.load_rgb8_rct(in + 3 * i, n - i, offset, c0 + i, c1 + i, c2 + i);
}

static void load_rgb8_ict(const uint8_t *J2K_RESTRICT in, size_t n, int32_t offset, float *J2K_RESTRICT c0,
                          float *J2K_RESTRICT c1, float *J2K_RESTRICT c2) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vi r, g, b;
        vi_load_rgb8(in + 3 * i, &r, &g, &b);
        vf fr = vf_from_int(vi_sub(r, vi_set(offset))), fg = vf_from_int(vi_sub(g, vi_set(offset)));
        vf fb = vf_from_int(vi_sub(b, vi_set(offset)));
        ict_forward_lanes(&fr, &fg, &fb);
        vf_store(c0 + i, fr);
        vf_store(c1 + i, fg);
        vf_store(c2 + i, fb);
    }
    j2k_image_c.load_rgb8_ict(in + 3 * i, n - i, offset, c0 + i, c1 + i, c2 + i);
}

static void store_rgb8_rct(const int32_t *J2K_RESTRICT c0, const int32_t *J2K_RESTRICT c1,
                           const int32_t *J2K_RESTRICT c2, size_t n, int32_t offset, int32_t max,
                           uint8_t *J2K_RESTRICT out) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vi r = vi_load(c0 + i), g = vi_load(c1 + i), b = vi_load(c2 + i);
        rct_inverse_lanes(&r, &g, &b);
        vi_store_rgb8(out + 3 * i, sample_lanes(r, offset, max), sample_lanes(g, offset, max),
                      sample_lanes(b, offset, max));
    }
    j2k_image_c.store_rgb8_rct(c0 + i, c1 + i, c2 + i, n - i, offset, max, out + 3 * i);
}

static void store_rgb8_ict(const float *J2K_RESTRICT c0, const float *J2K_RESTRICT c1,
                           const float *J2K_RESTRICT c2, size_t n, int32_t offset, int32_t max,
                           uint8_t *J2K_RESTRICT out) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf r = vf_load(c0 + i), g = vf_load(c1 + i), b = vf_load(c2 + i);
        ict_inverse_lanes(&r, &g, &b);
        vi_store_rgb8(out + 3 * i, sample_lanes(float_to_int_lanes(r), offset, max),
                      sample_lanes(float_to_int_lanes(g), offset, max),
                      sample_lanes(float_to_int_lanes(b), offset, max));
    }
    j2k_image_c.store_rgb8_ict(c0 + i, c1 + i, c2 + i, n - i, offset, max, out + 3 * i);
}

/* Samples of one component alone among three, and 16-bit ones, are left to the reference. */
static void load_u16x3(const uint16_t *in, size_t n, int32_t offset, int32_t *out) {
    j2k_image_c.load_u16x3(in, n, offset, out);
}
static void store_u8x3(const int32_t *in, size_t n, int32_t offset, int32_t max, uint8_t *out) {
    j2k_image_c.store_u8x3(in, n, offset, max, out);
}
static void store_u16x3(const int32_t *in, size_t n, int32_t offset, int32_t max, uint16_t *out) {
    j2k_image_c.store_u16x3(in, n, offset, max, out);
}

const image_kernels KERNEL_TABLE(image) = {
    .load_u8 = load_u8,
    .load_u8x3 = load_u8x3,
    .load_u16 = load_u16,
    .load_u16x3 = load_u16x3,
    .store_u8 = store_u8,
    .store_u8x3 = store_u8x3,
    .store_u16 = store_u16,
    .store_u16x3 = store_u16x3,
    .load_rgb8_rct = load_rgb8_rct,
    .load_rgb8_ict = load_rgb8_ict,
    .store_rgb8_rct = store_rgb8_rct,
    .store_rgb8_ict = store_rgb8_ict,
    .int_to_float = int_to_float,
    .float_to_int = float_to_int,
};
