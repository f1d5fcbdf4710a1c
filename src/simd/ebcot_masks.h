/* Stripe masks of the Part 1 block encoder and the contexts of T.800 annex D.3 on them: the part that
 * instruction sets with 256-bit vectors share.
 * SPDX-License-Identifier: BSD-3-Clause */

/* A stripe of 64 columns is a mask of 256 bits, bit 4 * column + row, so that bit order is scan order.
 * Contexts come from logic on such masks: what the scan has passed and what it has not are two masks, and
 * only the significance pass, where samples make later ones members, needs to iterate. Context labels come
 * out as bit slices; each instruction set has its way of making bytes of them.
 *
 * To be defined before: emit_tables (what these ways need), COLUMN_LEFT(a, previous) and COLUMN_RIGHT(a,
 * next) for 64-bit elements a with their neighbours, and TERNARY(a, b, c, f) for masks a, b, c and a macro
 * f of three operands. */
typedef __m256i mask;

enum { MAX_STRIPES = 16, MAX_MASK_PLANES = 31 };

#define AND(a, b)     _mm256_and_si256(a, b)
#define OR(a, b)      _mm256_or_si256(a, b)
#define XOR(a, b)     _mm256_xor_si256(a, b)
#define AND_NOT(a, b) _mm256_andnot_si256(b, a) /* a & ~b */
#define NOT(a)        AND_NOT(ALL, a)
#define SHL(a, n)     _mm256_slli_epi64(a, n)
#define SHR(a, n)     _mm256_srli_epi64(a, n)
#define ALL           _mm256_set1_epi64x(-1)
#define ROWS(nibble)  _mm256_set1_epi64x((int64_t)(UINT64_C(0x1111111111111111) * (nibble)))
#define NONE          _mm256_setzero_si256()

/* Functions of three masks: name, and what it is of a, b and c. */
#define F_OR3(a, b, c)        ((a) | (b) | (c))
#define F_XOR3(a, b, c)       ((a) ^ (b) ^ (c))
#define F_MAJORITY(a, b, c)   (((a) & (b)) | ((a) & (c)) | ((b) & (c)))
#define F_OR_AND(a, b, c)     ((a) | ((b) & (c)))
#define F_AND_OR(a, b, c)     (((a) & (b)) | (c))
#define F_AND_ANY(a, b, c)    ((a) & ((b) | (c)))
#define F_ANY_AND(a, b, c)    (((a) | (b)) & (c))
#define F_ANY_UNLESS(a, b, c) (~(a) & ((b) | (c)))
#define F_CHOOSE(a, b, c)     (((a) & (b)) | (~(a) & (c)))
#define F_CHOOSE_NOT(a, b, c) (((a) & ~(b)) | (~(a) & (c)))
#define F_OR_UNLESS(a, b, c)  ((a) | (~(b) & (c)))
#define F_AND_OR_NOT(a, b, c) ((a) & ((b) | ~(c)))
#define F_UNLESS_OR(a, b, c)  ((~(a) & (b)) | (c))
#define F_OR_NEITHER(a, b, c) ((a) | (~(b) & ~(c)))
#define F_NEITHER(a, b, c)    (~((a) | (b)) & (c))
#define F_AND_IF_NOT(a, b, c) ((a) & (~(b) | (c)))
#define F_HH_LOW(a, b, c)     (((a) & ((c) | ~(b))) | (~(a) & (b) & ~(c)))
#define DEFINE_TERNARY(name, f)                                                                              \
    J2K_INLINE mask name(mask a, mask b, mask c) {                                                           \
        return TERNARY(a, b, c, f);                                                                          \
    }
DEFINE_TERNARY(or3, F_OR3)
DEFINE_TERNARY(xor3, F_XOR3)
DEFINE_TERNARY(majority, F_MAJORITY)
DEFINE_TERNARY(or_and, F_OR_AND)
DEFINE_TERNARY(and_or, F_AND_OR)
DEFINE_TERNARY(and_any, F_AND_ANY)
DEFINE_TERNARY(any_and, F_ANY_AND)
DEFINE_TERNARY(any_unless, F_ANY_UNLESS)
DEFINE_TERNARY(choose, F_CHOOSE)
DEFINE_TERNARY(choose_not, F_CHOOSE_NOT)
DEFINE_TERNARY(or_unless, F_OR_UNLESS)
DEFINE_TERNARY(and_or_not, F_AND_OR_NOT)
DEFINE_TERNARY(unless_or, F_UNLESS_OR)
DEFINE_TERNARY(or_neither, F_OR_NEITHER)
DEFINE_TERNARY(neither, F_NEITHER)
DEFINE_TERNARY(and_if_not, F_AND_IF_NOT)
DEFINE_TERNARY(hh_low, F_HH_LOW)

J2K_INLINE bool is_none(mask a) {
    return _mm256_testz_si256(a, a);
}

/* The mask of the column to the left or right of each sample. */
J2K_INLINE mask column_left(mask a) {
    return COLUMN_LEFT(a, _mm256_blend_epi32(_mm256_permute4x64_epi64(a, 0x90), NONE, 0x03));
}
J2K_INLINE mask column_right(mask a) {
    return COLUMN_RIGHT(a, _mm256_blend_epi32(_mm256_permute4x64_epi64(a, 0x39), NONE, 0xC0));
}
/* The mask of the row above or below each sample, the stripe above or below given. */
J2K_INLINE mask row_above(mask a, mask stripe_above) {
    return choose(ROWS(0xE), SHL(a, 1), SHR(stripe_above, 3));
}
J2K_INLINE mask row_below(mask a, mask stripe_below) {
    return choose(ROWS(0x7), SHR(a, 1), SHL(stripe_below, 3));
}

typedef struct neighbours {
    mask left, right, above, below, left_above, left_below, right_above, right_below;
} neighbours;

/* Symbols as bit slices: of context labels, with the samples that have such a symbol, and decisions. */
typedef struct zero_slices {
    mask bit0, bit1, bit2, bit3;
    mask run; /* in place of zero coding's context: run-length (bits 0 and 4) */
    mask members, decision;
} zero_slices;
/* Context bits 0 to 2; bit 3 is always set. */
typedef struct sign_slices {
    mask bit0, bit1, bit2;
    mask members, decision;
} sign_slices;

/* Signs of a stripe and of its four neighbours; they do not change. */
typedef struct sign_masks {
    mask own, left, right, above, below;
} sign_masks;

typedef struct workspace {
    mask plane[MAX_MASK_PLANES + 1][MAX_STRIPES]; /* of the samples; the last one: signs */
    sign_masks signs[MAX_STRIPES];
    mask valid[MAX_STRIPES], full[MAX_STRIPES]; /* full: bit 0 of columns with 4 samples */
    mask before[MAX_STRIPES + 2];               /* significant at the beginning of the bit-plane */
    mask now[MAX_STRIPES + 2];                  /* significant */
    mask visited[MAX_STRIPES], refined[MAX_STRIPES];
    mask found[MAX_STRIPES]; /* became significant in the pass */
    emit_tables tables;
    block_shape shape;
    unsigned stripes;
} workspace;

/* ---- contexts ---- */

/* What the scan sees around each sample: `after` of those that come before it, `before` of the others.
 * above and below are the stripes next to it. */
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
    mask column = or3(own, up, down);
    return or3(OR(up, down), column_left(column), column_right(column));
}

/* Zero coding (table D.1): d1 etc. mean D >= 1 etc. */
J2K_INLINE zero_slices zero_coding(const neighbours *n, unsigned orientation, mask members, mask bits) {
    mask parity = xor3(n->left_above, n->right_above, n->left_below);
    mask two = majority(n->left_above, n->right_above, n->left_below);
    mask d1 = or3(parity, two, n->right_below);
    mask d2 = or_and(two, parity, n->right_below);
    mask h1 = OR(n->left, n->right), h2 = AND(n->left, n->right);
    mask v1 = OR(n->above, n->below), v2 = AND(n->above, n->below);
    zero_slices z;
    z.run = NONE;
    z.members = members;
    z.decision = bits;
    if (orientation == BAND_HH) {
        mask d3 = and_any(two, parity, n->right_below);
        mask hv1 = OR(h1, v1), hv2 = OR(and_or(h1, v1, h2), v2);
        z.bit3 = d3;
        z.bit2 = any_unless(d3, d2, AND(d1, hv1));
        /* D = 2: 1; D = 1: H + V = 0; D = 0: H + V >= 2 */
        z.bit1 = AND_NOT(OR(d2, choose_not(d1, hv1, hv2)), d3);
        /* D = 2: H + V >= 1; D = 1: H + V = 0 or >= 2; D = 0: H + V = 1 */
        mask low = hh_low(d1, hv1, hv2);
        z.bit0 = AND_NOT(choose(d2, hv1, low), d3);
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
    z.bit2 = or_unless(one_h, h1, v2);
    mask high = or_unless(one_v, v1, d2);
    z.bit1 = or_unless(and_any(one_h, v1, d1), h1, high);
    mask low = or_unless(one_v, v1, one_d);
    z.bit0 = or_unless(and_or_not(one_h, v1, d1), h1, low);
    return z;
}

/* Sign coding (tables D.2 and D.3): bits 0 to 2 of the contexts 9 to 13. _p and _n: contribution is 1 or
 * -1. */
J2K_INLINE sign_slices sign_coding(const neighbours *n, const sign_masks *s, mask members) {
    mask left_n = AND(n->left, s->left), left_p = AND_NOT(n->left, s->left);
    mask right_n = AND(n->right, s->right), right_p = AND_NOT(n->right, s->right);
    mask above_n = AND(n->above, s->above), above_p = AND_NOT(n->above, s->above);
    mask below_n = AND(n->below, s->below), below_p = AND_NOT(n->below, s->below);
    mask h_p = OR(AND_NOT(left_p, right_n), AND_NOT(right_p, left_n));
    mask h_n = OR(AND_NOT(left_n, right_p), AND_NOT(right_n, left_p));
    mask v_p = OR(AND_NOT(above_p, below_n), AND_NOT(below_p, above_n));
    mask v_n = OR(AND_NOT(above_n, below_p), AND_NOT(below_n, above_p));
    mask h = OR(h_p, h_n), v = OR(v_p, v_n);
    mask opposite = and_or(h_p, v_n, AND(h_n, v_p));
    mask same = and_or(h_p, v_p, AND(h_n, v_n));
    sign_slices r;
    r.members = members;
    r.bit2 = AND_NOT(h, opposite);
    r.bit1 = unless_or(h, v, opposite);
    r.bit0 = or_neither(OR(opposite, same), h, v);
    r.decision = XOR(s->own, or_unless(h_n, h_p, v_n));
    return r;
}
