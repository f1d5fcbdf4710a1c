/* Vectors of eight 32-bit lanes for transform_body.h.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_LANES_AVX2_H
#define J2K_LANES_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "../error.h"

enum { LANES = 8 };
typedef __m256i vi;
typedef __m256 vf;

/* Pointers need no more alignment than a uint8_t. */
J2K_INLINE vi vi_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}
J2K_INLINE void vi_store(void *p, vi v) {
    _mm256_storeu_si256((__m256i *)p, v);
}
J2K_INLINE vi vi_set(int32_t x) {
    return _mm256_set1_epi32(x);
}
J2K_INLINE vi vi_add(vi a, vi b) {
    return _mm256_add_epi32(a, b);
}
J2K_INLINE vi vi_sub(vi a, vi b) {
    return _mm256_sub_epi32(a, b);
}
J2K_INLINE vi vi_and(vi a, vi b) {
    return _mm256_and_si256(a, b);
}
J2K_INLINE vi vi_or(vi a, vi b) {
    return _mm256_or_si256(a, b);
}
J2K_INLINE vi vi_min(vi a, vi b) {
    return _mm256_min_epi32(a, b);
}
J2K_INLINE vi vi_max(vi a, vi b) {
    return _mm256_max_epi32(a, b);
}
J2K_INLINE vi vi_min_unsigned(vi a, vi b) {
    return _mm256_min_epu32(a, b);
}
J2K_INLINE vi vi_abs(vi a) {
    return _mm256_abs_epi32(a);
}
#define vi_sar(v, count) _mm256_srai_epi32((v), (count))
#define vi_shr(v, count) _mm256_srli_epi32((v), (count))

J2K_INLINE vf vf_load(const float *p) {
    return _mm256_loadu_ps(p);
}
J2K_INLINE void vf_store(float *p, vf v) {
    _mm256_storeu_ps(p, v);
}
J2K_INLINE vf vf_set(float x) {
    return _mm256_set1_ps(x);
}
J2K_INLINE vf vf_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}
J2K_INLINE vf vf_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}
J2K_INLINE vf vf_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}
/* a < b ? a : b, so b where a is NaN; and the same with > */
J2K_INLINE vf vf_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}
J2K_INLINE vf vf_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}
J2K_INLINE vi vf_bits(vf v) {
    return _mm256_castps_si256(v);
}
J2K_INLINE vf vf_from_bits(vi v) {
    return _mm256_castsi256_ps(v);
}
J2K_INLINE vf vf_from_int(vi v) {
    return _mm256_cvtepi32_ps(v);
}
J2K_INLINE vi vf_truncate(vf v) {
    return _mm256_cvttps_epi32(v);
}
/* x > limit ? a : b */
J2K_INLINE vi vf_select_greater(vf x, vf limit, vi a, vi b) {
    return _mm256_blendv_epi8(b, a, _mm256_castps_si256(_mm256_cmp_ps(x, limit, _CMP_GT_OQ)));
}

/* The first n lanes only, 0 <= n < LANES. */
J2K_INLINE vi lane_mask(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
J2K_INLINE vi vi_load_n(const int32_t *p, size_t n) {
    return _mm256_maskload_epi32(p, lane_mask(n));
}
J2K_INLINE void vi_store_n(int32_t *p, size_t n, vi v) {
    _mm256_maskstore_epi32(p, lane_mask(n), v);
}
J2K_INLINE vf vf_load_n(const float *p, size_t n) {
    return _mm256_maskload_ps(p, lane_mask(n));
}
J2K_INLINE void vf_store_n(float *p, size_t n, vf v) {
    _mm256_maskstore_ps(p, lane_mask(n), v);
}

/* a[1] .. a[7], b[0] */
J2K_INLINE vi vi_next(vi a, vi b) {
    return _mm256_alignr_epi8(_mm256_permute2x128_si256(a, b, 0x21), a, 4);
}
/* a[7], b[0] .. b[6] */
J2K_INLINE vi vi_previous(vi a, vi b) {
    return _mm256_alignr_epi8(b, _mm256_permute2x128_si256(a, b, 0x21), 12);
}

/* p[0], p[2], ... and p[1], p[3], ... */
J2K_INLINE void vi_load_split(const void *p, vi *even, vi *odd) {
    const __m128i *q = (const __m128i *)p;
    /* halves crosswise, so that the shuffles stay within 128 bits */
    __m256i a =
        _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(q)), _mm_loadu_si128(q + 2), 1);
    __m256i b =
        _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(q + 1)), _mm_loadu_si128(q + 3), 1);
    __m256 fa = _mm256_castsi256_ps(a), fb = _mm256_castsi256_ps(b);
    *even = _mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0x88));
    *odd = _mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0xDD));
}
J2K_INLINE void vi_store_merged(void *p, vi even, vi odd) {
    vi a = _mm256_unpacklo_epi32(even, odd), b = _mm256_unpackhi_epi32(even, odd);
    vi_store(p, _mm256_permute2x128_si256(a, b, 0x20));
    vi_store((char *)p + 32, _mm256_permute2x128_si256(a, b, 0x31));
}

J2K_INLINE uint32_t vi_or_lanes(vi v) {
    __m128i x = _mm_or_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    x = _mm_or_si128(x, _mm_shuffle_epi32(x, 0x4E));
    x = _mm_or_si128(x, _mm_shuffle_epi32(x, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(x);
}

/* LANES samples widened. */
J2K_INLINE vi vi_load_u8(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
J2K_INLINE vi vi_load_u16(const uint16_t *p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}
/* LANES numbers that fit, narrowed. */
J2K_INLINE void vi_store_u8(uint8_t *p, vi v) {
    __m256i words = _mm256_packus_epi32(v, v), bytes = _mm256_packus_epi16(words, words);
    int32_t low = _mm256_cvtsi256_si32(bytes), high = _mm256_extract_epi32(bytes, 4);
    memcpy(p, &low, 4);
    memcpy(p + 4, &high, 4);
}
J2K_INLINE void vi_store_u16(uint16_t *p, vi v) {
    __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(words));
}
/* LANES pixels of three samples. */
J2K_INLINE void vi_load_rgb8(const uint8_t *p, vi *r, vi *g, vi *b) {
    /* pixels 0 to 3 are bytes 0 .. 11 of the lower half, 4 to 7 bytes 4 .. 15 of the upper one */
    __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
                                        _mm_loadu_si128((const __m128i *)(p + 8)), 1);
    const __m256i reds = _mm256_setr_epi8(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1, 4, -1,
                                          -1, -1, 7, -1, -1, -1, 10, -1, -1, -1, 13, -1, -1, -1);
    const __m256i next = _mm256_set1_epi32(1);
    *r = _mm256_shuffle_epi8(v, reds);
    *g = _mm256_shuffle_epi8(v, _mm256_add_epi32(reds, next));
    *b = _mm256_shuffle_epi8(v, _mm256_add_epi32(reds, _mm256_add_epi32(next, next)));
}
J2K_INLINE void vi_store_rgb8(uint8_t *p, vi r, vi g, vi b) {
    const __m256i drop = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4,
                                          5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    __m256i v = _mm256_or_si256(r, _mm256_or_si256(_mm256_slli_epi32(g, 8), _mm256_slli_epi32(b, 16)));
    v = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(v, drop), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(v));
    _mm_storel_epi64((__m128i *)(p + 16), _mm256_extracti128_si256(v, 1));
}

#endif
