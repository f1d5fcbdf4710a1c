/* Context formation of the Part 1 block encoder, AVX2: a stripe at once.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../ebcot_lanes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx2.h"

/* Slices of labels are spread to bytes, 32 samples at a time; table look-ups of byte shuffles compress
 * them. */
typedef struct emit_tables {
    uint8_t samples[256][8]; /* the bytes i for the bits i that are set, then anything */
    uint8_t pairs[256][8];   /* of samples i: byte i for bit i, then byte 8 + i for bit 4 + i */
    uint8_t run[8][4];       /* run-length and two uniform symbols, decisions in bits 0 to 2 */
} emit_tables;

#define TERNARY(a, b, c, f)      f(a, b, c)
#define COLUMN_LEFT(a, previous) OR(SHL(a, 4), SHR(previous, 60))
#define COLUMN_RIGHT(a, next)    OR(SHR(a, 4), SHL(next, 60))
#include "ebcot_masks.h"

static void fill_tables(emit_tables *tables) {
    memset(tables, 0, sizeof *tables);
    for (unsigned bits = 0; bits < 256; bits++) {
        unsigned n = 0, m = 0;
        for (unsigned i = 0; i < 8; i++)
            if (bits >> i & 1)
                tables->samples[bits][n++] = (uint8_t)i;
        for (unsigned i = 0; i < 4; i++) {
            if (bits >> i & 1)
                tables->pairs[bits][m++] = (uint8_t)i;
            if (bits >> (4 + i) & 1)
                tables->pairs[bits][m++] = (uint8_t)(8 + i);
        }
    }
    for (unsigned d = 0; d < 8; d++)
        for (unsigned i = 0; i < 3; i++)
            tables->run[d][i] = (uint8_t)((i ? CTX_UNIFORM : CTX_RUN) | (d >> i & 1) << MQ_DECISION_SHIFT);
}

/* ---- label slices to symbols ---- */

/* A mask in memory, to be read in halves of 32 samples or in bytes of 2 columns. */
typedef struct stored_mask {
    uint32_t half[8];
} stored_mask;

J2K_INLINE stored_mask store(mask m) {
    stored_mask s;
    _mm256_storeu_si256((mask *)s.half, m);
    return s;
}

/* `value` in the bytes of the samples whose bits are set. */
J2K_INLINE mask spread_bits(uint32_t bits, int value) {
    const mask source = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const mask bit = _mm256_set1_epi64x((int64_t)UINT64_C(0x8040201008040201));
    mask spread = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), source), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(spread, bit), _mm256_set1_epi8((char)value));
}

typedef struct stored_zeros {
    stored_mask bit0, bit1, bit2, bit3, run, members, decision;
} stored_zeros;
typedef struct stored_signs {
    stored_mask bit0, bit1, bit2, members, decision;
} stored_signs;

J2K_INLINE stored_zeros store_zeros(const zero_slices *z) {
    stored_zeros s = {
        store(OR(z->bit0, z->run)), store(z->bit1),    store(z->bit2), store(z->bit3), store(z->run),
        store(z->members),          store(z->decision)};
    return s;
}
J2K_INLINE stored_signs store_signs(const sign_slices *z) {
    stored_signs s = {store(z->bit0), store(z->bit1), store(z->bit2), store(z->members), store(z->decision)};
    return s;
}

/* Symbols of 32 samples, one a byte. */
J2K_INLINE mask zero_bytes(const stored_zeros *z, int h) {
    mask v = OR(spread_bits(z->bit0.half[h], 1), spread_bits(z->bit1.half[h], 2));
    v = OR(v, OR(spread_bits(z->bit2.half[h], 4), spread_bits(z->bit3.half[h], 8)));
    return OR(v, OR(spread_bits(z->run.half[h], 16), spread_bits(z->decision.half[h], 0x80)));
}
J2K_INLINE mask sign_bytes(const stored_signs *s, int h) {
    mask v = OR(spread_bits(s->bit0.half[h], 1), spread_bits(s->bit1.half[h], 2));
    v = OR(v, OR(spread_bits(s->bit2.half[h], 4), spread_bits(s->decision.half[h], 0x80)));
    return OR(v, _mm256_set1_epi8(8));
}

J2K_INLINE __m128i load_8(const void *p) {
    return _mm_loadl_epi64(p);
}

/* Append those of 32 bytes whose samples are members. */
J2K_INLINE uint8_t *put(const emit_tables *t, uint8_t *out, mask bytes, uint32_t members) {
    uint8_t symbols[32];
    _mm256_storeu_si256((mask *)symbols, bytes);
    for (int i = 0; i < 4; i++) {
        unsigned m = members >> 8 * i & 255;
        _mm_storel_epi64((__m128i *)out, _mm_shuffle_epi8(load_8(symbols + 8 * i), load_8(t->samples[m])));
        out += _mm_popcnt_u32(m);
    }
    return out;
}

/* Append the symbols of a column of 4 samples: zero coding, each followed by a sign or not. */
J2K_INLINE uint8_t *put_column(const emit_tables *t, uint8_t *out, const uint8_t *zeros, const uint8_t *signs,
                               unsigned members, unsigned found) {
    unsigned index = members | found << 4;
    uint32_t low, high;
    memcpy(&low, zeros, 4);
    memcpy(&high, signs, 4);
    __m128i both = _mm_set_epi32(0, (int)high, 0, (int)low);
    _mm_storel_epi64((__m128i *)out, _mm_shuffle_epi8(both, load_8(t->pairs[index])));
    return out + _mm_popcnt_u32(index);
}

J2K_INLINE uint8_t *put_zeros(const emit_tables *t, uint8_t *out, const zero_slices *zero) {
    stored_zeros z = store_zeros(zero);
    for (int h = 0; h < 8; h++)
        if (z.members.half[h])
            out = put(t, out, zero_bytes(&z, h), z.members.half[h]);
    return out;
}

J2K_INLINE uint8_t *put_pairs(const emit_tables *t, uint8_t *out, const zero_slices *zero,
                              const sign_slices *sign) {
    stored_zeros z = store_zeros(zero);
    stored_signs s = store_signs(sign);
    for (int h = 0; h < 8; h++) {
        uint32_t members = z.members.half[h], found = s.members.half[h];
        if (!found) {
            if (members)
                out = put(t, out, zero_bytes(&z, h), members);
            continue;
        }
        uint8_t zeros[32], signs[32];
        _mm256_storeu_si256((mask *)zeros, zero_bytes(&z, h));
        _mm256_storeu_si256((mask *)signs, sign_bytes(&s, h));
        for (int i = 0; i < 32; i += 4)
            out = put_column(t, out, zeros + i, signs + i, members >> i & 15, found >> i & 15);
    }
    return out;
}

/* The same with run-length columns that have a 1: runs has a column's run-length symbol in bit 0, and
 * uniform ones in bits 1 and 2; decisions likewise. */
J2K_INLINE uint8_t *put_columns(const emit_tables *t, uint8_t *out, const zero_slices *zero,
                                const sign_slices *sign, mask runs, mask run_decisions) {
    stored_zeros z = store_zeros(zero);
    stored_signs s = store_signs(sign);
    stored_mask r = store(runs), d = store(run_decisions);
    for (int h = 0; h < 8; h++) {
        uint8_t zeros[32], signs[32];
        _mm256_storeu_si256((mask *)zeros, zero_bytes(&z, h));
        _mm256_storeu_si256((mask *)signs, sign_bytes(&s, h));
        for (int i = 0; i < 32; i += 4) {
            memcpy(out, t->run[d.half[h] >> i & 7], 4);
            out += _mm_popcnt_u32(r.half[h] >> i & 7);
            out = put_column(t, out, zeros + i, signs + i, z.members.half[h] >> i & 15,
                             s.members.half[h] >> i & 15);
        }
    }
    return out;
}

/* Magnitude refinement: contexts 14 and 15 for the first one, 16 later. */
J2K_INLINE uint8_t *put_refinements(const emit_tables *t, uint8_t *out, mask first, mask any, mask members,
                                    mask bits) {
    stored_mask f = store(first), a = store(AND(any, first)), m = store(members), d = store(bits);
    for (int h = 0; h < 8; h++) {
        if (!m.half[h])
            continue;
        mask v = _mm256_add_epi8(_mm256_set1_epi8(CTX_REFINE + 2), spread_bits(f.half[h], -2));
        v = _mm256_add_epi8(v, spread_bits(a.half[h], 1));
        out = put(t, out, OR(v, spread_bits(d.half[h], 0x80)), m.half[h]);
    }
    return out;
}

/* ---- distortion ---- */

/* Sum over members of their magnitudes below bit b, with the bits of samples in `flip` turned over, and
 * their number. flip may be NULL. */
static int64_t sum_below(const workspace *w, const mask *members, const mask *flip, unsigned b,
                         uint32_t *count) {
    const mask nibble = _mm256_set1_epi8(15);
    const mask ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3,
                                       1, 2, 2, 3, 2, 3, 3, 4);
    uint8_t at[MAX_STRIPES];
    unsigned stripes = 0;
    uint32_t number = 0;
    for (unsigned s = 0; s < w->stripes; s++) {
        if (is_none(members[s]))
            continue;
        uint64_t words[4];
        _mm256_storeu_si256((mask *)words, members[s]);
        for (int i = 0; i < 4; i++)
            number += (uint32_t)_mm_popcnt_u64(words[i]);
        at[stripes++] = (uint8_t)s;
    }
    *count = number;
    mask total = NONE;
    for (unsigned q = b; q-- > 0;) {
        mask sum = NONE; /* in bytes: 8 at most for each of 16 stripes */
        for (unsigned i = 0; i < stripes; i++) {
            unsigned s = at[i];
            mask bits = AND(members[s], flip ? XOR(flip[s], w->plane[q][s]) : w->plane[q][s]);
            mask low = _mm256_shuffle_epi8(ones, AND(bits, nibble));
            mask high = _mm256_shuffle_epi8(ones, AND(_mm256_srli_epi16(bits, 4), nibble));
            sum = _mm256_add_epi8(sum, _mm256_add_epi8(low, high));
        }
        total = _mm256_add_epi64(_mm256_add_epi64(total, total), _mm256_sad_epu8(sum, NONE));
    }
    uint64_t sums[4];
    _mm256_storeu_si256((mask *)sums, total);
    return (int64_t)(sums[0] + sums[1] + sums[2] + sums[3]);
}

/* ---- loading ---- */

/* Rows of 8 words to their bytes: bytes[j] has byte j of column c and row r at 4 * c + r. */
J2K_INLINE void transpose_columns(const mask rows[4], mask bytes[4]) {
    const mask even = _mm256_set1_epi32(0x00FF00FF);
    mask a02 = OR(AND(rows[0], even), _mm256_slli_epi32(AND(rows[1], even), 8));
    mask a13 = OR(AND(_mm256_srli_epi32(rows[0], 8), even), AND_NOT(rows[1], even));
    mask b02 = OR(AND(rows[2], even), _mm256_slli_epi32(AND(rows[3], even), 8));
    mask b13 = OR(AND(_mm256_srli_epi32(rows[2], 8), even), AND_NOT(rows[3], even));
    bytes[0] = _mm256_blend_epi16(a02, _mm256_slli_epi32(b02, 16), 0xAA);
    bytes[1] = _mm256_blend_epi16(a13, _mm256_slli_epi32(b13, 16), 0xAA);
    bytes[2] = _mm256_blend_epi16(_mm256_srli_epi32(a02, 16), b02, 0xAA);
    bytes[3] = _mm256_blend_epi16(_mm256_srli_epi32(a13, 16), b13, 0xAA);
}

/* A stripe's words to its masks in all planes that there are. */
static void load_stripe(workspace *w, const uint32_t *samples, unsigned s) {
    unsigned width = w->shape.width, height = w->shape.height;
    unsigned planes = w->shape.planes + w->shape.fraction_bits;
    for (unsigned h = 0; h < 8; h++) {
        mask rows[4], bytes[4];
        int columns = (int)width - 8 * (int)h;
        mask inside =
            _mm256_cmpgt_epi32(_mm256_set1_epi32(columns), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        for (unsigned r = 0; r < 4; r++) {
            bool there = 4 * s + r < height && columns > 0;
            rows[r] = NONE;
            if (there)
                rows[r] =
                    _mm256_maskload_epi32((const int *)samples + (size_t)(4 * s + r) * width + 8 * h, inside);
        }
        transpose_columns(rows, bytes);
        uint32_t sign = (uint32_t)_mm256_movemask_epi8(bytes[3]);
        memcpy((char *)&w->plane[MAX_MASK_PLANES][s] + 4 * h, &sign, 4);
        for (unsigned j = 0; 8 * j < planes; j++) {
            mask v = bytes[j];
            for (unsigned p = 8 * j + 8; p-- > 8 * j; v = _mm256_add_epi8(v, v)) {
                uint32_t bits = (uint32_t)_mm256_movemask_epi8(v);
                if (p < MAX_MASK_PLANES)
                    memcpy((char *)&w->plane[p][s] + 4 * h, &bits, 4);
            }
        }
    }
}

#include "ebcot_passes.h"

/* Measured: with 10 lanes at work or fewer the plain coder is faster. */
const lane_kernels j2k_lanes_avx2 = {.num_lanes = 32,
                                     .few_lanes = 10,
                                     .workspace = sizeof(workspace),
                                     .prepare = prepare,
                                     .make_symbols = make_symbols,
                                     .run = j2k_mq_lanes_run_avx2,
                                     .run_narrow = NULL};

#include "target_end.h"
#else
typedef int j2k_no_avx2_contexts;
#endif
