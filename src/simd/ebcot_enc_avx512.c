/* Context formation of the Part 1 block encoder, AVX-512: a stripe at once.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../ebcot_lanes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx512.h"

/* Bit matrix transposes turn slices of labels into bytes, 64 at a time; a slice that marks what is not a
 * symbol compresses them. */
typedef __m512i vec;

/* Byte indices that bring 8 slices of 8 samples together in each 64-bit element, for quarter q of a
 * stripe. Two vectors are looked up at a time: slices 0 to 3 of a label, slices 0 to 2 of a sign label
 * with its validity, the flags (validity in slice 6, decision in slice 7), and any single slice. */
typedef struct slice_order {
    uint8_t label[4][64], sign[4][64], flags[4][64], single[4][64];
} slice_order;

typedef struct emit_tables {
    slice_order plain;  /* samples in scan order */
    slice_order paired; /* in the order that unpacking makes scan order of */
    uint8_t refine[4][64];
    /* 12 symbols a column: run-length, two uniform, (zero coding, sign) of four rows, nothing */
    uint8_t column_pairs[3][64], column_run[3][64];
    uint64_t column_run_mask[3];
} emit_tables;

#define TERNARY(a, b, c, f)      _mm256_ternarylogic_epi64(a, b, c, f(0xF0, 0xCC, 0xAA) & 255)
#define COLUMN_LEFT(a, previous) _mm256_shldi_epi64(a, previous, 4)
#define COLUMN_RIGHT(a, next)    _mm256_shrdi_epi64(a, next, 4)
#include "ebcot_masks.h"

/* ---- label slices to symbols ---- */

/* Slice i goes to byte 7 - i of an element: the bit matrix product takes rows from the top. */
static void fill_slice_order(slice_order *order, unsigned quarter, unsigned element, unsigned group) {
    uint8_t *label = order->label[quarter] + 8 * element, *sign = order->sign[quarter] + 8 * element;
    uint8_t *flags = order->flags[quarter] + 8 * element, *single = order->single[quarter] + 8 * element;
    for (unsigned i = 0; i < 4; i++)
        label[7 - i] = (uint8_t)(32 * i + group);
    for (unsigned i = 0; i < 3; i++)
        sign[7 - i] = (uint8_t)(32 * i + group);
    sign[7 - 6] = (uint8_t)(32 * 3 + group);
    flags[7 - 6] = (uint8_t)group;
    flags[7 - 7] = (uint8_t)(32 + group);
    for (unsigned i = 0; i < 8; i++)
        single[i] = (uint8_t)group;
}

static void fill_tables(emit_tables *index) {
    memset(index, 0, sizeof *index);
    for (unsigned q = 0; q < 4; q++)
        for (unsigned element = 0; element < 8; element++) {
            unsigned group = 8 * q + element;
            fill_slice_order(&index->plain, q, element, group);
            fill_slice_order(&index->paired, q, element, 8 * q + element / 2 + (element & 1 ? 4 : 0));
            /* any neighbour, 4 times "first", nothing, validity, decision */
            static const uint8_t source[8] = {0, 1, 1, 1, 1, 0, 2, 3};
            for (unsigned i = 0; i < 8; i++)
                index->refine[q][8 * element + 7 - i] = (uint8_t)(32 * source[i] + group);
        }
    for (unsigned i = 0; i < 192; i++) {
        unsigned column = i / 12, slot = i % 12;
        bool pair = slot >= 3 && slot < 11;
        if (pair)
            index->column_pairs[i / 64][i % 64] =
                (uint8_t)(column * 4 + (slot - 3) / 2 + (slot - 3) % 2 * 64);
        else
            index->column_run[i / 64][i % 64] = (uint8_t)(column * 4 + (slot < 3 ? slot : 3));
        index->column_run_mask[i / 64] |= (uint64_t)!pair << i % 64;
    }
}

/* Bytes of each element, as a mask: bits of m8. */
#define BYTES(m8)    ((__mmask64)(UINT64_C(0x0101010101010101) * (m8)))
#define SLICES_0_3   BYTES(0xF0)
#define SLICES_0_2_6 BYTES(0xE2)
#define SLICES_6_7   BYTES(0x03)
#define SLICE_4      BYTES(0x08)
#define SLICE_7      BYTES(0x01)
#define NOT_SLICE_5  BYTES(0xFB)
#define NOT_SYMBOL   0x40 /* slice 6 */

J2K_INLINE vec both(mask low, mask high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
J2K_INLINE vec load(const void *p) {
    return _mm512_load_si512(p);
}

/* Elements of 8 slices to 8 bytes of 8 bits; `constant` is added to each. */
#define TRANSPOSE(v, constant)                                                                               \
    _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((int64_t)UINT64_C(0x8040201008040201)), v, constant)

/* Append the bytes that are symbols. */
J2K_INLINE uint8_t *put(uint8_t *out, vec symbols) {
    __mmask64 valid = _mm512_testn_epi8_mask(symbols, _mm512_set1_epi8(NOT_SYMBOL));
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(valid, symbols));
    return out + _mm_popcnt_u64(_cvtmask64_u64(valid));
}

/* The slices of a stripe, two or so to a vector. */
typedef struct packed_slices {
    vec label01, label23, flags, run, sign01, sign2v, sign_decision;
} packed_slices;

J2K_INLINE packed_slices pack_zero(const zero_slices *z) {
    packed_slices p;
    p.label01 = both(OR(z->bit0, z->run), z->bit1);
    p.label23 = both(z->bit2, z->bit3);
    p.flags = both(NOT(z->members), z->decision);
    p.run = _mm512_castsi256_si512(z->run);
    p.sign01 = p.sign2v = p.sign_decision = _mm512_setzero_si512();
    return p;
}
J2K_INLINE void pack_sign(packed_slices *p, const sign_slices *s) {
    p->sign01 = both(s->bit0, s->bit1);
    p->sign2v = both(s->bit2, NOT(s->members));
    p->sign_decision = _mm512_castsi256_si512(s->decision);
}
J2K_INLINE vec zero_bytes(const packed_slices *p, const slice_order *order, int q) {
    vec v = _mm512_maskz_permutex2var_epi8(SLICES_0_3, p->label01, load(order->label[q]), p->label23);
    return _mm512_mask_permutexvar_epi8(v, SLICES_6_7, load(order->flags[q]), p->flags);
}
J2K_INLINE vec sign_bytes(const packed_slices *p, const slice_order *order, int q) {
    vec v = _mm512_maskz_permutex2var_epi8(SLICES_0_2_6, p->sign01, load(order->sign[q]), p->sign2v);
    v = _mm512_mask_permutexvar_epi8(v, SLICE_7, load(order->single[q]), p->sign_decision);
    return TRANSPOSE(v, 8);
}

/* Zero coding alone. `run` goes to slice 4: it makes context 1 the run-length context. */
J2K_INLINE uint8_t *put_zeros(const emit_tables *index, uint8_t *out, const zero_slices *zero) {
    packed_slices p = pack_zero(zero);
    for (int q = 0; q < 4; q++) {
        vec v = zero_bytes(&p, &index->plain, q);
        v = _mm512_mask_permutexvar_epi8(v, SLICE_4, load(index->plain.single[q]), p.run);
        out = put(out, TRANSPOSE(v, 0));
    }
    return out;
}

/* Zero coding, each followed by a sign or nothing. */
J2K_INLINE uint8_t *put_pairs(const emit_tables *index, uint8_t *out, const zero_slices *zero,
                              const sign_slices *sign) {
    packed_slices p = pack_zero(zero);
    pack_sign(&p, sign);
    for (int q = 0; q < 4; q++) {
        vec v = zero_bytes(&p, &index->paired, q);
        v = _mm512_mask_permutexvar_epi8(v, SLICE_4, load(index->paired.single[q]), p.run);
        vec zeros = TRANSPOSE(v, 0), signs = sign_bytes(&p, &index->paired, q);
        out = put(out, _mm512_unpacklo_epi8(zeros, signs));
        out = put(out, _mm512_unpackhi_epi8(zeros, signs));
    }
    return out;
}

/* The same with run-length columns that have a 1: runs has a column's run-length symbol in bit 0, and
 * uniform ones in bits 1 and 2; decisions likewise. */
J2K_INLINE uint8_t *put_columns(const emit_tables *index, uint8_t *out, const zero_slices *zero,
                                const sign_slices *sign, mask runs, mask run_decisions) {
    packed_slices p = pack_zero(zero);
    pack_sign(&p, sign);
    uint64_t present[4], decisions[4];
    _mm256_storeu_si256((mask *)present, runs);
    _mm256_storeu_si256((mask *)decisions, run_decisions);
    const vec symbols = _mm512_set1_epi32(NOT_SYMBOL << 24 | CTX_UNIFORM << 16 | CTX_UNIFORM << 8 | CTX_RUN);
    for (int q = 0; q < 4; q++) {
        vec zeros = TRANSPOSE(zero_bytes(&p, &index->plain, q), 0), signs = sign_bytes(&p, &index->plain, q);
        vec run = _mm512_mask_blend_epi8(_cvtu64_mask64(present[q]), _mm512_set1_epi8(NOT_SYMBOL), symbols);
        run =
            _mm512_mask_or_epi64(run, 0xFF, run, _mm512_maskz_set1_epi8(_cvtu64_mask64(decisions[q]), -128));
        for (int t = 0; t < 3; t++) {
            vec v = _mm512_permutex2var_epi8(zeros, load(index->column_pairs[t]), signs);
            v = _mm512_mask_permutexvar_epi8(v, index->column_run_mask[t], load(index->column_run[t]), run);
            out = put(out, v);
        }
    }
    return out;
}

/* Magnitude refinement: contexts 14 and 15 for the first one, 16 = 0x10 later. */
J2K_INLINE uint8_t *put_refinements(const emit_tables *index, uint8_t *out, mask first, mask any,
                                    mask members, mask bits) {
    vec labels = both(AND(any, first), first), flags = both(NOT(members), bits);
    for (int q = 0; q < 4; q++) {
        vec v = _mm512_maskz_permutex2var_epi8(NOT_SLICE_5, labels, load(index->refine[q]), flags);
        out = put(out, TRANSPOSE(v, 0x10));
    }
    return out;
}

/* ---- distortion ---- */

J2K_INLINE vec pair_of(const mask *stripes, unsigned pair) {
    return _mm512_loadu_si512(stripes + 2 * pair);
}

/* Sum over members of their magnitudes below bit b, with the bits of samples in `flip` turned over, and
 * their number. flip may be NULL. */
static int64_t sum_below(const workspace *w, const mask *members, const mask *flip, unsigned b,
                         uint32_t *count) {
    vec total = _mm512_setzero_si512(), number = total;
    for (unsigned pair = 0; 2 * pair < w->stripes; pair++) {
        vec m = pair_of(members, pair), sum = _mm512_setzero_si512();
        if (_mm512_test_epi64_mask(m, m) == 0)
            continue;
        vec x = flip ? pair_of(flip, pair) : _mm512_setzero_si512();
        for (unsigned q = b; q-- > 0;) {
            vec bits = _mm512_ternarylogic_epi64(m, pair_of(w->plane[q], pair), x, 0xF0 & (0xCC ^ 0xAA));
            sum = _mm512_add_epi64(_mm512_add_epi64(sum, sum), _mm512_popcnt_epi64(bits));
        }
        total = _mm512_add_epi64(total, sum);
        number = _mm512_add_epi64(number, _mm512_popcnt_epi64(m));
    }
    *count = (uint32_t)_mm512_reduce_add_epi64(number);
    return _mm512_reduce_add_epi64(total);
}

/* ---- loading ---- */

/* 16 columns of a stripe: rows[r] has the words of row r. planes[j] gets bit-planes 8j to 8j + 7, one in
 * each 64-bit element, bit 4 * column + row. */
J2K_INLINE void transpose_columns(const vec rows[4], vec planes[4]) {
    /* Bytes 0 and 1 of two rows interleaved, so that 16-bit blends put the four rows of a column together;
     * then, for each byte of the words, 8 bytes of two columns and four rows make the rows of a bit
     * matrix. */
    static const uint8_t interleave[64] __attribute__((aligned(64))) = {
        0,  64,  1,  65,  4,  68,  5,  69,  8,  72,  9,  73,  12, 76,  13, 77,  16, 80,  17, 81,  20, 84,
        21, 85,  24, 88,  25, 89,  28, 92,  29, 93,  32, 96,  33, 97,  36, 100, 37, 101, 40, 104, 41, 105,
        44, 108, 45, 109, 48, 112, 49, 113, 52, 116, 53, 117, 56, 120, 57, 121, 60, 124, 61, 125};
    static const uint8_t gather[64] __attribute__((aligned(64))) = {
        0,  8,  16, 24, 32, 40, 48, 56, 1,  9,  17, 25, 33, 41, 49, 57, 2,  10, 18, 26, 34, 42,
        50, 58, 3,  11, 19, 27, 35, 43, 51, 59, 4,  12, 20, 28, 36, 44, 52, 60, 5,  13, 21, 29,
        37, 45, 53, 61, 6,  14, 22, 30, 38, 46, 54, 62, 7,  15, 23, 31, 39, 47, 55, 63};
    const vec low = load(interleave), high = _mm512_add_epi8(low, _mm512_set1_epi8(2));
    const vec reverse = _mm512_set4_epi32(0x08090A0B, 0x0C0D0E0F, 0x00010203, 0x04050607);
    vec a = _mm512_permutex2var_epi8(rows[0], low, rows[1]),
        b = _mm512_permutex2var_epi8(rows[2], low, rows[3]);
    vec c = _mm512_permutex2var_epi8(rows[0], high, rows[1]),
        d = _mm512_permutex2var_epi8(rows[2], high, rows[3]);
    const __mmask32 odd = 0xAAAAAAAA;
    vec t[4] = {_mm512_mask_blend_epi16(odd, a, _mm512_slli_epi32(b, 16)),
                _mm512_mask_blend_epi16(odd, _mm512_srli_epi32(a, 16), b),
                _mm512_mask_blend_epi16(odd, c, _mm512_slli_epi32(d, 16)),
                _mm512_mask_blend_epi16(odd, _mm512_srli_epi32(c, 16), d)};
    for (int j = 0; j < 4; j++)
        planes[j] = _mm512_permutexvar_epi8(load(gather), TRANSPOSE(_mm512_shuffle_epi8(t[j], reverse), 0));
}

/* A stripe's words to its masks in all planes. */
J2K_INLINE void load_stripe(workspace *w, const uint32_t *samples, unsigned s) {
    vec planes[4][4]; /* [j][quarter] */
    unsigned width = w->shape.width, height = w->shape.height;
    for (unsigned q = 0; q < 4; q++) {
        vec rows[4], quarter[4];
        unsigned columns = width > 16 * q ? width - 16 * q : 0;
        __mmask16 inside = columns >= 16 ? 0xFFFF : (__mmask16)((1U << columns) - 1);
        for (unsigned r = 0; r < 4; r++) {
            bool there = 4 * s + r < height && columns;
            rows[r] = there ? _mm512_maskz_loadu_epi32(inside, samples + (size_t)(4 * s + r) * width + 16 * q)
                            : _mm512_setzero_si512();
        }
        transpose_columns(rows, quarter);
        for (int j = 0; j < 4; j++)
            planes[j][q] = quarter[j];
    }
    const vec even = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
              odd = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (int j = 0; j < 4; j++) { /* 8 planes of 4 quarters */
        vec low01 = _mm512_unpacklo_epi64(planes[j][0], planes[j][1]),
            low23 = _mm512_unpacklo_epi64(planes[j][2], planes[j][3]);
        vec high01 = _mm512_unpackhi_epi64(planes[j][0], planes[j][1]),
            high23 = _mm512_unpackhi_epi64(planes[j][2], planes[j][3]);
        vec p02 = _mm512_permutex2var_epi64(low01, even, low23),
            p13 = _mm512_permutex2var_epi64(high01, even, high23);
        vec p46 = _mm512_permutex2var_epi64(low01, odd, low23),
            p57 = _mm512_permutex2var_epi64(high01, odd, high23);
        mask *out = &w->plane[8 * j][s];
        out[0] = _mm512_castsi512_si256(p02);
        out[MAX_STRIPES] = _mm512_castsi512_si256(p13);
        out[2 * MAX_STRIPES] = _mm512_extracti64x4_epi64(p02, 1);
        out[3 * MAX_STRIPES] = _mm512_extracti64x4_epi64(p13, 1);
        out[4 * MAX_STRIPES] = _mm512_castsi512_si256(p46);
        out[5 * MAX_STRIPES] = _mm512_castsi512_si256(p57);
        out[6 * MAX_STRIPES] = _mm512_extracti64x4_epi64(p46, 1);
        out[7 * MAX_STRIPES] = _mm512_extracti64x4_epi64(p57, 1); /* of the last j: the signs */
    }
}

#include "ebcot_passes.h"

/* Measured: with 6 lanes at work or fewer the plain coder is faster. */
const lane_kernels j2k_lanes_avx512 = {.num_lanes = 64,
                                       .few_lanes = 6,
                                       .workspace = sizeof(workspace),
                                       .prepare = prepare,
                                       .make_symbols = make_symbols,
                                       .run = j2k_mq_lanes_run_avx512,
                                       .run_narrow = j2k_mq_lanes_run_avx512vl};

#include "target_end.h"
#else
typedef int j2k_no_avx512_contexts;
#endif
