/* Vectors of sixteen 32-bit lanes for transform_body.h.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_LANES_AVX512_H
#define J2K_LANES_AVX512_H

#include <immintrin.h>

#include "../error.h"

enum { LANES = 16 };
typedef __m512i vi;
typedef __m512 vf;

/* Pointers need no more alignment than a uint8_t. */
J2K_INLINE vi vi_load(const void *p) {
    return _mm512_loadu_si512(p);
}
J2K_INLINE void vi_store(void *p, vi v) {
    _mm512_storeu_si512(p, v);
}
J2K_INLINE vi vi_set(int32_t x) {
    return _mm512_set1_epi32(x);
}
J2K_INLINE vi vi_add(vi a, vi b) {
    return _mm512_add_epi32(a, b);
}
J2K_INLINE vi vi_sub(vi a, vi b) {
    return _mm512_sub_epi32(a, b);
}
J2K_INLINE vi vi_and(vi a, vi b) {
    return _mm512_and_si512(a, b);
}
J2K_INLINE vi vi_or(vi a, vi b) {
    return _mm512_or_si512(a, b);
}
J2K_INLINE vi vi_min(vi a, vi b) {
    return _mm512_min_epi32(a, b);
}
J2K_INLINE vi vi_max(vi a, vi b) {
    return _mm512_max_epi32(a, b);
}
J2K_INLINE vi vi_min_unsigned(vi a, vi b) {
    return _mm512_min_epu32(a, b);
}
J2K_INLINE vi vi_abs(vi a) {
    return _mm512_abs_epi32(a);
}
#define vi_sar(v, count) _mm512_srai_epi32((v), (count))
#define vi_shr(v, count) _mm512_srli_epi32((v), (count))

J2K_INLINE vf vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}
J2K_INLINE void vf_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}
J2K_INLINE vf vf_set(float x) {
    return _mm512_set1_ps(x);
}
J2K_INLINE vf vf_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}
J2K_INLINE vf vf_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}
J2K_INLINE vf vf_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}
/* a < b ? a : b, so b where a is NaN; and the same with > */
J2K_INLINE vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
J2K_INLINE vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
J2K_INLINE vi vf_bits(vf v) {
    return _mm512_castps_si512(v);
}
J2K_INLINE vf vf_from_bits(vi v) {
    return _mm512_castsi512_ps(v);
}
J2K_INLINE vf vf_from_int(vi v) {
    return _mm512_cvtepi32_ps(v);
}
J2K_INLINE vi vf_truncate(vf v) {
    return _mm512_cvttps_epi32(v);
}
/* x > limit ? a : b */
J2K_INLINE vi vf_select_greater(vf x, vf limit, vi a, vi b) {
    return _mm512_mask_mov_epi32(b, _mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ), a);
}

/* The first n lanes only, 0 <= n < LANES. */
J2K_INLINE __mmask16 lane_mask(size_t n) {
    return (__mmask16)((1u << n) - 1);
}
J2K_INLINE vi vi_load_n(const int32_t *p, size_t n) {
    return _mm512_maskz_loadu_epi32(lane_mask(n), p);
}
J2K_INLINE void vi_store_n(int32_t *p, size_t n, vi v) {
    _mm512_mask_storeu_epi32(p, lane_mask(n), v);
}
J2K_INLINE vf vf_load_n(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(lane_mask(n), p);
}
J2K_INLINE void vf_store_n(float *p, size_t n, vf v) {
    _mm512_mask_storeu_ps(p, lane_mask(n), v);
}

/* a[1] .. a[15], b[0] */
J2K_INLINE vi vi_next(vi a, vi b) {
    return _mm512_alignr_epi32(b, a, 1);
}
/* a[15], b[0] .. b[14] */
J2K_INLINE vi vi_previous(vi a, vi b) {
    return _mm512_alignr_epi32(b, a, 15);
}

/* p[0], p[2], ... and p[1], p[3], ... */
J2K_INLINE void vi_load_split(const void *p, vi *even, vi *odd) {
    const vi evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const vi odds = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    vi a = vi_load(p), b = vi_load((const char *)p + 64);
    *even = _mm512_permutex2var_epi32(a, evens, b);
    *odd = _mm512_permutex2var_epi32(a, odds, b);
}
J2K_INLINE void vi_store_merged(void *p, vi even, vi odd) {
    const vi low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const vi high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    vi_store(p, _mm512_permutex2var_epi32(even, low, odd));
    vi_store((char *)p + 64, _mm512_permutex2var_epi32(even, high, odd));
}

J2K_INLINE uint32_t vi_or_lanes(vi v) {
    return (uint32_t)_mm512_reduce_or_epi32(v);
}

/* LANES samples widened. */
J2K_INLINE vi vi_load_u8(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
J2K_INLINE vi vi_load_u16(const uint16_t *p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}
/* LANES numbers that fit, narrowed. */
J2K_INLINE void vi_store_u8(uint8_t *p, vi v) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(v));
}
J2K_INLINE void vi_store_u16(uint16_t *p, vi v) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(v));
}
/* LANES pixels of three samples. */
J2K_INLINE void vi_load_rgb8(const uint8_t *p, vi *r, vi *g, vi *b) {
    const vi step = _mm512_set1_epi32(3), one = _mm512_set1_epi32(1);
    const vi lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const vi reds = _mm512_mullo_epi32(lane, step), greens = vi_add(reds, one), blues = vi_add(greens, one);
    const __mmask64 lowest = 0x1111111111111111u; /* one byte a lane */
    __m512i v = _mm512_maskz_loadu_epi8(0xFFFFFFFFFFFFu, p);
    *r = _mm512_maskz_permutexvar_epi8(lowest, reds, v);
    *g = _mm512_maskz_permutexvar_epi8(lowest, greens, v);
    *b = _mm512_maskz_permutexvar_epi8(lowest, blues, v);
}
J2K_INLINE void vi_store_rgb8(uint8_t *p, vi r, vi g, vi b) {
    const __m512i drop =
        _mm512_set_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 62, 61, 60, 58, 57, 56, 54, 53, 52,
                        50, 49, 48, 46, 45, 44, 42, 41, 40, 38, 37, 36, 34, 33, 32, 30, 29, 28, 26, 25, 24,
                        22, 21, 20, 18, 17, 16, 14, 13, 12, 10, 9, 8, 6, 5, 4, 2, 1, 0);
    __m512i v = _mm512_or_si512(r, _mm512_or_si512(_mm512_slli_epi32(g, 8), _mm512_slli_epi32(b, 16)));
    _mm512_mask_storeu_epi8(p, 0xFFFFFFFFFFFFu, _mm512_permutexvar_epi8(drop, v));
}

#endif
