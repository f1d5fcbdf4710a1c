/* Context formation of the Part 1 block encoder (T.800 annex D.3), AVX-512: a
 * stripe at once. SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../ebcot_lanes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx512.h"

/* A stripe of 64 columns is a mask of 256 bits, bit 4 * column + row, so that
 * bit order is scan order. Contexts come from logic on such masks: what the
 * scan has passed and what it has not are two masks, and only the significance
 * pass, where samples make later ones members, needs to iterate. Context labels
 * come out as bit slices; bit matrix transposes turn them into bytes, 64 at a
 * time, and a slice that marks what is not a symbol compresses them. */
typedef __m256i mask;
typedef __m512i vec;

enum { MAX_STRIPES = 16, MAX_MASK_PLANES = 31 };

/* Ternary logic: functions of three masks a, b, c. */
#define A                 0xF0
#define B                 0xCC
#define C                 0xAA
#define LOGIC(a, b, c, f) _mm256_ternarylogic_epi64(a, b, c, (f)&255)
#define OR3               (A | B | C)
#define A_OR_B_AND_C      (A | (B & C))
#define A_AND_B_OR_C      ((A & B) | C)
#define B_IF_A_ELSE_C     ((A & B) | (~A & C))
#define AND(a, b)         _mm256_and_si256(a, b)
#define OR(a, b)          _mm256_or_si256(a, b)
#define XOR(a, b)         _mm256_xor_si256(a, b)
#define AND_NOT(a, b)     _mm256_andnot_si256(b, a) /* a & ~b */
#define NOT(a)            AND_NOT(ALL, a)
#define SHL(a, n)         _mm256_slli_epi64(a, n)
#define SHR(a, n)         _mm256_srli_epi64(a, n)
#define ALL               _mm256_set1_epi64x(-1)
#define ROWS(nibble)      _mm256_set1_epi64x((int64_t)(UINT64_C(0x1111111111111111) * (nibble)))
#define NONE              _mm256_setzero_si256()

J2K_INLINE bool is_none(mask a) {
    return _mm256_testz_si256(a, a);
}

/* The mask of the column to the left or right of each sample. */
J2K_INLINE mask column_left(mask a) {
    return _mm256_shldi_epi64(a, _mm256_maskz_permutex_epi64(0xE, a, 0x90), 4);
}
J2K_INLINE mask column_right(mask a) {
    return _mm256_shrdi_epi64(a, _mm256_maskz_permutex_epi64(0x7, a, 0x39), 4);
}
/* The mask of the row above or below each sample, the stripe above or below
 * given. */
J2K_INLINE mask row_above(mask a, mask stripe_above) {
    return LOGIC(ROWS(0xE), SHL(a, 1), SHR(stripe_above, 3), B_IF_A_ELSE_C);
}
J2K_INLINE mask row_below(mask a, mask stripe_below) {
    return LOGIC(ROWS(0x7), SHR(a, 1), SHL(stripe_below, 3), B_IF_A_ELSE_C);
}

typedef struct neighbours {
    mask left, right, above, below, left_above, left_below, right_above, right_below;
} neighbours;

/* Slices of a context label; sign labels are relative to CTX_SIGN, and have
 * their decisions. */
typedef struct zero_slices {
    mask bit0, bit1, bit2, bit3;
} zero_slices;
typedef struct sign_slices {
    mask bit0, bit1, bit2, decision;
} sign_slices;

/* Signs of a stripe and of its four neighbours; they do not change. */
typedef struct sign_masks {
    mask own, left, right, above, below;
} sign_masks;

/* Byte indices that bring 8 slices of 8 samples together in each 64-bit
 * element, for quarter q of a stripe. Two vectors are looked up at a time:
 * slices 0 to 3 of a label, slices 0 to 2 of a sign label with its validity,
 * the flags (validity in slice 6, decision in slice 7), and any single slice.
 */
typedef struct slice_order {
    uint8_t label[4][64], sign[4][64], flags[4][64], single[4][64];
} slice_order;

typedef struct slice_indices {
    slice_order plain;  /* samples in scan order */
    slice_order paired; /* in the order that unpacking makes scan order of */
    uint8_t refine[4][64];
    /* 12 symbols a column: run-length, two uniform, (zero coding, sign) of four
     * rows, nothing */
    uint8_t column_pairs[3][64], column_run[3][64];
    uint64_t column_run_mask[3];
} slice_indices;

typedef struct workspace {
    mask plane[MAX_MASK_PLANES + 1][MAX_STRIPES]; /* of the samples; the last one: signs */
    sign_masks signs[MAX_STRIPES];
    mask valid[MAX_STRIPES], full[MAX_STRIPES]; /* full: bit 0 of columns with 4 samples */
    mask before[MAX_STRIPES + 2];               /* significant at the beginning of the bit-plane */
    mask now[MAX_STRIPES + 2];                  /* significant */
    mask visited[MAX_STRIPES], refined[MAX_STRIPES];
    mask found[MAX_STRIPES]; /* became significant in the pass */
    slice_indices index;
    block_shape shape;
    unsigned stripes;
} workspace;

/* ---- label slices to symbols ---- */

/* Slice i goes to byte 7 - i of an element: the bit matrix product takes rows
 * from the top. */
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

static void fill_slice_indices(slice_indices *index) {
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
    vec label01, label23, flags, sign01, sign2v, sign_decision;
} packed_slices;

J2K_INLINE packed_slices pack_zero(const zero_slices *z, mask members, mask bits) {
    packed_slices p;
    p.label01 = both(z->bit0, z->bit1);
    p.label23 = both(z->bit2, z->bit3);
    p.flags = both(NOT(members), bits);
    p.sign01 = p.sign2v = p.sign_decision = _mm512_setzero_si512();
    return p;
}
J2K_INLINE void pack_sign(packed_slices *p, const sign_slices *s, mask members) {
    p->sign01 = both(s->bit0, s->bit1);
    p->sign2v = both(s->bit2, NOT(members));
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

/* Zero coding alone. `run` goes to slice 4: it makes context 1 the run-length
 * context. */
J2K_INLINE uint8_t *put_zeros(const slice_indices *index, uint8_t *out, const packed_slices *p, mask run) {
    for (int q = 0; q < 4; q++) {
        vec v = zero_bytes(p, &index->plain, q);
        v = _mm512_mask_permutexvar_epi8(v, SLICE_4, load(index->plain.single[q]),
                                         _mm512_castsi256_si512(run));
        out = put(out, TRANSPOSE(v, 0));
    }
    return out;
}

/* Zero coding, each followed by a sign or nothing. */
J2K_INLINE uint8_t *put_pairs(const slice_indices *index, uint8_t *out, const packed_slices *p, mask run) {
    for (int q = 0; q < 4; q++) {
        vec v = zero_bytes(p, &index->paired, q);
        v = _mm512_mask_permutexvar_epi8(v, SLICE_4, load(index->paired.single[q]),
                                         _mm512_castsi256_si512(run));
        vec zeros = TRANSPOSE(v, 0), signs = sign_bytes(p, &index->paired, q);
        out = put(out, _mm512_unpacklo_epi8(zeros, signs));
        out = put(out, _mm512_unpackhi_epi8(zeros, signs));
    }
    return out;
}

/* The same with run-length columns that have a 1: runs has a column's
 * run-length symbol in bit 0, and uniform ones in bits 1 and 2; decisions
 * likewise. */
J2K_INLINE uint8_t *put_columns(const slice_indices *index, uint8_t *out, const packed_slices *p, mask runs,
                                mask run_decisions) {
    uint64_t present[4], decisions[4];
    _mm256_storeu_si256((mask *)present, runs);
    _mm256_storeu_si256((mask *)decisions, run_decisions);
    const vec symbols = _mm512_set1_epi32(NOT_SYMBOL << 24 | CTX_UNIFORM << 16 | CTX_UNIFORM << 8 | CTX_RUN);
    for (int q = 0; q < 4; q++) {
        vec zeros = TRANSPOSE(zero_bytes(p, &index->plain, q), 0), signs = sign_bytes(p, &index->plain, q);
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

/* Magnitude refinement: contexts 14 and 15 for the first one, 16 = 0x10 later.
 */
J2K_INLINE uint8_t *put_refinements(const slice_indices *index, uint8_t *out, mask first, mask any,
                                    mask members, mask bits) {
    vec labels = both(AND(any, first), first), flags = both(NOT(members), bits);
    for (int q = 0; q < 4; q++) {
        vec v = _mm512_maskz_permutex2var_epi8(NOT_SLICE_5, labels, load(index->refine[q]), flags);
        out = put(out, TRANSPOSE(v, 0x10));
    }
    return out;
}

/* ---- contexts ---- */

/* What the scan sees around each sample: `after` of those that come before it,
 * `before` of the others. above and below are the stripes next to it. */
J2K_INLINE neighbours look_around(mask before, mask after, mask above, mask below) {
    mask up = row_above(after, above), down = row_below(before, below);
    neighbours n;
    n.above = up;
    n.below = down;
    n.left = column_left(after);
    n.right = column_right(before);
    n.left_above = column_left(up);
    n.right_above = column_right(row_above(before, above));
    n.left_below = column_left(row_below(after, below));
    n.right_below = column_right(down);
    return n;
}

/* Samples with a significant neighbour, all masks being of one moment. */
J2K_INLINE mask any_neighbour(mask own, mask above, mask below) {
    mask up = row_above(own, above), down = row_below(own, below);
    mask column = LOGIC(own, up, down, OR3);
    return LOGIC(OR(up, down), column_left(column), column_right(column), OR3);
}

/* Zero coding (table D.1): d1 etc. mean D >= 1 etc. */
J2K_INLINE zero_slices zero_coding(const neighbours *n, unsigned orientation) {
    mask parity = LOGIC(n->left_above, n->right_above, n->left_below, A ^ B ^ C);
    mask two = LOGIC(n->left_above, n->right_above, n->left_below, (A & B) | (A & C) | (B & C));
    mask d1 = LOGIC(parity, two, n->right_below, OR3);
    mask d2 = LOGIC(two, parity, n->right_below, A_OR_B_AND_C);
    mask h1 = OR(n->left, n->right), h2 = AND(n->left, n->right);
    mask v1 = OR(n->above, n->below), v2 = AND(n->above, n->below);
    zero_slices z;
    if (orientation == BAND_HH) {
        mask d3 = LOGIC(two, parity, n->right_below, A & (B | C));
        mask hv1 = OR(h1, v1), hv2 = OR(LOGIC(h1, v1, h2, A_AND_B_OR_C), v2);
        z.bit3 = d3;
        z.bit2 = LOGIC(d3, d2, AND(d1, hv1), ~A & (B | C));
        /* D = 2: 1; D = 1: H + V = 0; D = 0: H + V >= 2 */
        z.bit1 = AND_NOT(OR(d2, LOGIC(d1, hv1, hv2, (A & ~B) | (~A & C))), d3);
        /* D = 2: H + V >= 1; D = 1: H + V = 0 or >= 2; D = 0: H + V = 1 */
        mask low = LOGIC(d1, hv1, hv2, (A & (C | ~B)) | (~A & B & ~C));
        z.bit0 = AND_NOT(LOGIC(d2, hv1, low, B_IF_A_ELSE_C), d3);
        return z;
    }
    if (orientation == BAND_HL) {
        mask t1 = h1, t2 = h2;
        h1 = v1;
        h2 = v2;
        v1 = t1;
        v2 = t2;
    }
    mask one_h = AND_NOT(h1, h2), one_v = AND_NOT(v1, v2), one_d = AND_NOT(d1, d2);
    z.bit3 = h2;
    z.bit2 = LOGIC(one_h, h1, v2, A | (~B & C));
    mask high = LOGIC(one_v, v1, d2, A | (~B & C));
    z.bit1 = LOGIC(LOGIC(one_h, v1, d1, A & (B | C)), h1, high, A | (~B & C));
    mask low = LOGIC(one_v, v1, one_d, A | (~B & C));
    z.bit0 = LOGIC(LOGIC(one_h, v1, d1, A & (B | ~C)), h1, low, A | (~B & C));
    return z;
}

/* Sign coding (tables D.2 and D.3): bits 0 to 2 of the contexts 9 to 13. _p and
 * _n: contribution is 1 or -1. */
J2K_INLINE sign_slices sign_coding(const neighbours *n, const sign_masks *s) {
    mask left_n = AND(n->left, s->left), left_p = AND_NOT(n->left, s->left);
    mask right_n = AND(n->right, s->right), right_p = AND_NOT(n->right, s->right);
    mask above_n = AND(n->above, s->above), above_p = AND_NOT(n->above, s->above);
    mask below_n = AND(n->below, s->below), below_p = AND_NOT(n->below, s->below);
    mask h_p = OR(AND_NOT(left_p, right_n), AND_NOT(right_p, left_n));
    mask h_n = OR(AND_NOT(left_n, right_p), AND_NOT(right_n, left_p));
    mask v_p = OR(AND_NOT(above_p, below_n), AND_NOT(below_p, above_n));
    mask v_n = OR(AND_NOT(above_n, below_p), AND_NOT(below_n, above_p));
    mask h = OR(h_p, h_n), v = OR(v_p, v_n);
    mask opposite = LOGIC(h_p, v_n, AND(h_n, v_p), A_AND_B_OR_C);
    mask same = LOGIC(h_p, v_p, AND(h_n, v_n), A_AND_B_OR_C);
    sign_slices r;
    r.bit2 = AND_NOT(h, opposite);
    r.bit1 = LOGIC(h, v, opposite, (~A & B) | C);
    r.bit0 = LOGIC(OR(opposite, same), h, v, A | (~B & ~C));
    r.decision = XOR(s->own, LOGIC(h_n, h_p, v_n, A | (~B & C)));
    return r;
}

/* ---- passes ---- */

J2K_INLINE mask stripe_below(const workspace *w, const mask *stripes, unsigned s) {
    return w->shape.style & J2K_STYLE_CAUSAL ? NONE : stripes[s + 2];
}

/* Members and, through *found, what becomes significant: newly significant
 * samples make later neighbours members, until nothing changes. */
J2K_INLINE mask spread(mask members, mask candidates, mask bits, mask *found) {
    mask ones = AND(candidates, bits), all = AND(members, bits);
    for (;;) {
        mask reach[2];
        for (int i = 0; i < 2; i++) { /* twice before testing for the end */
            mask down = LOGIC(SHL(all, 1), ROWS(0xE), all, A_AND_B_OR_C);
            mask around = LOGIC(SHR(all, 1), ROWS(0x7), down, A_AND_B_OR_C);
            reach[i] = OR(down, column_left(around));
            mask next = LOGIC(reach[i], ones, all, A_AND_B_OR_C);
            if (i == 1 && is_none(AND_NOT(next, all))) {
                *found = all;
                return LOGIC(reach[1], candidates, members, A_AND_B_OR_C);
            }
            all = next;
        }
    }
}

static uint8_t *significance_pass(workspace *w, unsigned p, bool raw, uint8_t *out) {
    const mask *plane = w->plane[p + w->shape.fraction_bits];
    for (unsigned s = 0; s < w->stripes; s++) {
        mask before = w->before[s + 1], above = w->now[s], below = stripe_below(w, w->before, s);
        mask bits = plane[s], candidates = AND_NOT(w->valid[s], before);
        mask members = AND(any_neighbour(before, above, below), candidates);
        w->visited[s] = members;
        w->found[s] = NONE;
        if (is_none(members))
            continue;
        mask found;
        members = spread(members, candidates, bits, &found);
        w->visited[s] = members;
        w->found[s] = found;
        mask after = OR(before, found);
        w->now[s + 1] = after;
        neighbours n = look_around(before, after, above, below);
        zero_slices zero = zero_coding(&n, w->shape.orientation);
        packed_slices packed = pack_zero(&zero, members, bits);
        if (is_none(found)) {
            out = put_zeros(&w->index, out, &packed, NONE);
        } else {
            sign_slices sign = sign_coding(&n, &w->signs[s]);
            if (raw)
                sign.decision = w->signs[s].own;
            pack_sign(&packed, &sign, found);
            out = put_pairs(&w->index, out, &packed, NONE);
        }
    }
    return out;
}

static uint8_t *refinement_pass(workspace *w, unsigned p, uint8_t *out) {
    const mask *plane = w->plane[p + w->shape.fraction_bits];
    for (unsigned s = 0; s < w->stripes; s++) {
        mask members = w->before[s + 1], first = AND_NOT(members, w->refined[s]), any = NONE;
        if (is_none(members))
            continue;
        w->refined[s] = members;
        if (!is_none(first))
            any = any_neighbour(w->now[s + 1], w->now[s], stripe_below(w, w->now, s));
        out = put_refinements(&w->index, out, first, any, members, plane[s]);
    }
    return out;
}

/* Bit 0 of the columns that are run-length coded (D.3.4): four samples, all
 * insignificant and with context 0 when the scan comes to the column. */
J2K_INLINE mask run_columns(const neighbours *n, mask before, mask above, mask full) {
    mask taken = LOGIC(LOGIC(n->left, n->right, before, OR3), n->left_above, n->right_above, OR3);
    taken = OR(taken, LOGIC(n->left_below, n->right_below, n->below, OR3));
    taken = LOGIC(ROWS(1), SHR(above, 3), taken, A_AND_B_OR_C);
    taken = OR(taken, SHR(taken, 1));
    return LOGIC(taken, SHR(taken, 2), full, ~(A | B) & C);
}

J2K_INLINE uint8_t *cleanup_stripe(workspace *w, unsigned s, mask bits, mask candidates, uint8_t *out) {
    mask before = w->now[s + 1], after = w->before[s + 1], above = w->before[s],
         below = stripe_below(w, w->now, s);
    neighbours n = look_around(before, after, above, below);
    mask runs = run_columns(&n, before, above, w->full[s]), run_rows = _mm256_sub_epi64(SHL(runs, 4), runs);
    mask found = AND_NOT(bits, before), run_ones = AND(run_rows, found);
    zero_slices zero = zero_coding(&n, w->shape.orientation);
    if (is_none(run_ones)) {
        /* A run-length symbol takes the place of row 0: context 17. */
        mask members = LOGIC(candidates, run_rows, runs, A & (~B | C));
        zero.bit0 = OR(zero.bit0, runs);
        packed_slices packed = pack_zero(&zero, members, bits);
        if (is_none(found))
            return put_zeros(&w->index, out, &packed, runs);
        sign_slices sign = sign_coding(&n, &w->signs[s]);
        pack_sign(&packed, &sign, found);
        return put_pairs(&w->index, out, &packed, runs);
    }
    /* Rows from the first 1 of a run-length column on, and behind it. */
    mask from = LOGIC(SHL(run_ones, 1), ROWS(0xE), run_ones, A_AND_B_OR_C);
    from = LOGIC(SHL(from, 2), ROWS(0xC), from, A_AND_B_OR_C);
    mask behind = AND(SHL(from, 1), ROWS(0xE)), first = AND_NOT(from, behind);
    mask members = LOGIC(candidates, run_rows, behind, A & (~B | C));
    /* Decisions: run-length 1 in bit 0; the row of the first 1, high bit in bit 1
     * and low bit in bit 2. */
    mask has_one = AND(SHR(from, 3), ROWS(1));
    mask symbols = LOGIC(runs, SHL(has_one, 1), SHL(has_one, 2), OR3);
    mask high = LOGIC(SHR(first, 1), SHR(first, 2), ROWS(2), (A | B) & C);
    mask low = LOGIC(SHL(first, 1), SHR(first, 1), ROWS(4), (A | B) & C);
    packed_slices packed = pack_zero(&zero, members, bits);
    sign_slices sign = sign_coding(&n, &w->signs[s]);
    pack_sign(&packed, &sign, found);
    return put_columns(&w->index, out, &packed, symbols, LOGIC(has_one, high, low, OR3));
}

/* Everything left is coded, so that significance behind the pass is known at
 * once; `before` becomes that. */
static uint8_t *cleanup_pass(workspace *w, unsigned p, uint8_t *out) {
    const mask *plane = w->plane[p + w->shape.fraction_bits];
    for (unsigned s = 0; s < w->stripes; s++) {
        mask before = w->now[s + 1], bits = plane[s], above = w->before[s],
             below = stripe_below(w, w->now, s);
        w->before[s + 1] = OR(before, bits);
        w->found[s] = AND_NOT(bits, before);
        mask candidates = LOGIC(before, w->visited[s], w->valid[s], ~(A | B) & C);
        if (is_none(candidates))
            continue;
        mask near = LOGIC(OR(before, bits), AND(below, ROWS(1)), AND(above, ROWS(8)), OR3);
        if (is_none(near) && w->shape.height - 4 * s >= 4) { /* nothing anywhere: run-lengths without a 1 */
            _mm512_storeu_si512(out, _mm512_set1_epi8(CTX_RUN));
            out += w->shape.width;
            continue;
        }
        out = cleanup_stripe(w, s, bits, candidates, out);
    }
    for (unsigned s = 0; s < w->stripes; s++) {
        w->now[s + 1] = w->before[s + 1];
        w->visited[s] = NONE;
    }
    if (w->shape.style & J2K_STYLE_SEGMENTATION) {
        static const uint8_t symbols[4] = {CTX_UNIFORM | 0x80, CTX_UNIFORM, CTX_UNIFORM | 0x80, CTX_UNIFORM};
        memcpy(out, symbols, 4);
        out += 4;
    }
    return out;
}

/* ---- distortion ---- */

J2K_INLINE vec pair_of(const mask *stripes, unsigned pair) {
    return _mm512_loadu_si512(stripes + 2 * pair);
}

/* Sum over members of their magnitudes below bit b, and their number. */
static int64_t sum_below(const workspace *w, const mask *members, unsigned b, uint32_t *count) {
    vec total = _mm512_setzero_si512(), number = total;
    for (unsigned pair = 0; 2 * pair < w->stripes; pair++) {
        vec m = pair_of(members, pair), sum = _mm512_setzero_si512();
        if (_mm512_test_epi64_mask(m, m) == 0)
            continue;
        for (unsigned q = b; q-- > 0;) {
            vec ones = _mm512_popcnt_epi64(_mm512_and_si512(m, pair_of(w->plane[q], pair)));
            sum = _mm512_add_epi64(_mm512_add_epi64(sum, sum), ones);
        }
        total = _mm512_add_epi64(total, sum);
        number = _mm512_add_epi64(number, _mm512_popcnt_epi64(m));
    }
    *count = (uint32_t)_mm512_reduce_add_epi64(number);
    return _mm512_reduce_add_epi64(total);
}

/* See add_significance and j2k_ebcot_refinement in ebcot_contexts.c. */
static void significance_sums(const workspace *w, unsigned p, pass_sums *sums) {
    unsigned b = p + w->shape.fraction_bits;
    int64_t rest = sum_below(w, w->found, b, &sums->coded);
    sums->distortion = 12 * rest + ((int64_t)3 * sums->coded << b);
}

static void refinement_sums(const workspace *w, unsigned p, pass_sums *sums) {
    unsigned b = p + w->shape.fraction_bits;
    mask zeros[MAX_STRIPES];
    for (unsigned s = 0; s < MAX_STRIPES; s++)
        zeros[s] = AND_NOT(w->before[s + 1], w->plane[b][s]);
    uint32_t num_zeros;
    int64_t all_rest = sum_below(w, w->before + 1, b, &sums->coded);
    int64_t zeros_rest = sum_below(w, zeros, b, &num_zeros);
    int64_t num_ones = (int64_t)sums->coded - num_zeros;
    sums->distortion =
        4 * (all_rest - 2 * zeros_rest) + (3 * (int64_t)num_zeros - num_ones) * ((int64_t)1 << b);
}

/* ---- loading ---- */

/* 16 columns of a stripe: rows[r] has the words of row r. planes[j] gets
 * bit-planes 8j to 8j + 7, one in each 64-bit element, bit 4 * column + row. */
J2K_INLINE void transpose_columns(const vec rows[4], vec planes[4]) {
    /* Bytes 0 and 1 of two rows interleaved, so that 16-bit blends put the four
     * rows of a column together; then, for each byte of the words, 8 bytes of two
     * columns and four rows make the rows of a bit matrix. */
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

static void load_block(workspace *w, const block_shape *shape, const uint32_t *samples) {
    w->shape = *shape;
    w->stripes = (shape->height + 3) / 4;
    unsigned stripes = w->stripes;
    uint64_t columns[4];
    for (unsigned q = 0; q < 4; q++) {
        unsigned left = shape->width > 16 * q ? shape->width - 16 * q : 0;
        columns[q] = left >= 16 ? UINT64_MAX : (UINT64_C(1) << 4 * left) - 1;
    }
    mask inside = _mm256_loadu_si256((const mask *)columns);
    for (unsigned s = 0; s < stripes; s++) {
        load_stripe(w, samples, s);
        unsigned rows = shape->height - 4 * s < 4 ? shape->height - 4 * s : 4;
        w->valid[s] = AND(inside, ROWS((1U << rows) - 1));
        w->full[s] = rows == 4 ? AND(inside, ROWS(1)) : NONE;
        w->refined[s] = w->visited[s] = NONE;
    }
    for (unsigned s = 0; s < stripes; s++) {
        mask own = w->plane[MAX_MASK_PLANES][s];
        mask above = s ? w->plane[MAX_MASK_PLANES][s - 1] : NONE;
        mask below = s + 1 < stripes ? w->plane[MAX_MASK_PLANES][s + 1] : NONE;
        sign_masks signs = {own, column_left(own), column_right(own), row_above(own, above),
                            row_below(own, below)};
        w->signs[s] = signs;
    }
    for (unsigned s = 0; s < stripes + 2; s++)
        w->before[s] = w->now[s] = NONE;
    if (stripes % 2) { /* sums take stripes in pairs */
        w->found[stripes] = NONE;
        w->before[stripes + 1] = NONE;
    }
}

static void prepare(void *workspace_memory) {
    workspace *w = workspace_memory;
    memset(w, 0, sizeof *w);
    fill_slice_indices(&w->index);
}

static void make_symbols(void *workspace_memory, const block_shape *shape, const uint32_t *samples,
                         uint8_t *symbols, pass_symbols *passes) {
    workspace *w = workspace_memory;
    load_block(w, shape, samples);
    uint8_t *out = symbols;
    for (unsigned pass = 0; pass < 3 * shape->planes - 2; pass++, passes++) {
        unsigned plane = shape->planes - 1 - (pass + 2) / 3;
        passes->start = (uint32_t)(out - symbols);
        switch ((pass + 2) % 3) {
        case PASS_SIGNIFICANCE:
            out = significance_pass(w, plane, ebcot_pass_is_raw(shape->style, pass), out);
            significance_sums(w, plane, &passes->sums);
            break;
        case PASS_REFINEMENT:
            out = refinement_pass(w, plane, out);
            refinement_sums(w, plane, &passes->sums);
            break;
        default:
            out = cleanup_pass(w, plane, out);
            significance_sums(w, plane, &passes->sums);
        }
        passes->count = (uint32_t)(out - symbols) - passes->start;
        _mm_storeu_si128((__m128i *)out, _mm_set1_epi8(LANE_NO_OP));
        out = symbols + (passes->start + passes->count + LANE_CHUNK - 1) / LANE_CHUNK * LANE_CHUNK;
    }
}

/* Measured: below 10 lanes at work the plain coder is faster. */
const lane_kernels j2k_lanes_avx512 = {64,      10,           sizeof(workspace),
                                       prepare, make_symbols, j2k_mq_lanes_run_avx512};

#include "target_end.h"
#else
typedef int j2k_no_avx512_contexts;
#endif
