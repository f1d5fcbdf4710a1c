/* Context formation of the Part 1 block encoder (T.800 annex D.3) on 64-bit masks, plain C.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "bitops.h"
#include "ebcot_enc.h"

/* Rows of all columns. */
#define ROW(r)   (UINT64_C(0x1111111111111111) << (r))
#define NOT_TOP  (~ROW(0))
#define NOT_LAST (~ROW(3))

/* Significance (or signs) around every sample of a word. */
typedef struct neighbours {
    uint64_t left, right, above, below;
    uint64_t left_above, left_below, right_above, right_below;
} neighbours;

/* Bit slices of a context label, and the decision. */
typedef struct label_slices {
    uint64_t bit0, bit1, bit2, bit3, decision;
} label_slices;

/* The row above of every sample, given the word of the stripe above; likewise below. */
J2K_INLINE uint64_t row_above(uint64_t word, uint64_t word_above) {
    return (word << 1 & NOT_TOP) | (word_above >> 3 & ROW(0));
}
J2K_INLINE uint64_t row_below(uint64_t word, uint64_t word_below) {
    return (word >> 1 & NOT_LAST) | (word_below << 3 & ROW(3));
}
/* The column to the left of every sample, given the word to the left; likewise right. */
J2K_INLINE uint64_t column_left(uint64_t word, uint64_t word_left) {
    return word << 4 | word_left >> 60;
}
J2K_INLINE uint64_t column_right(uint64_t word, uint64_t word_right) {
    return word >> 4 | word_right << 60;
}

/* The neighbourhoods as the scan sees them: samples scanned earlier in the word (above, left) by `after`,
 * the word's mask behind the pass; later ones by `before`. `at` points to the word in a bordered array;
 * words scanned earlier are already updated there. `causal` hides the stripe below (D.7). */
J2K_INLINE neighbours look_around(const uint64_t *at, ptrdiff_t pitch, uint64_t before, uint64_t after,
                                  bool causal) {
    const uint64_t *up = at - pitch, *down = at + pitch;
    uint64_t down_left = causal ? 0 : down[-1], down_mid = causal ? 0 : down[0];
    uint64_t down_right = causal ? 0 : down[1];
    uint64_t above_after = row_above(after, up[0]), below_before = row_below(before, down_mid);
    neighbours n;
    n.left = column_left(after, at[-1]);
    n.right = column_right(before, at[1]);
    n.above = above_after;
    n.below = below_before;
    n.left_above = column_left(above_after, row_above(at[-1], up[-1]));
    n.right_above = column_right(row_above(before, up[0]), row_above(at[1], up[1]));
    n.left_below = column_left(row_below(after, down_mid), row_below(at[-1], down_left));
    n.right_below = column_right(below_before, row_below(at[1], down_right));
    return n;
}

J2K_INLINE uint64_t any_neighbour(const neighbours *n) {
    return n->left | n->right | n->above | n->below | n->left_above | n->left_below | n->right_above |
           n->right_below;
}

/* Zero coding contexts (table D.1) in bits 0 to 3. */
J2K_INLINE label_slices zero_coding(const neighbours *n, unsigned orientation, uint64_t decision) {
    uint64_t parity = n->left_above ^ n->right_above ^ n->left_below;
    uint64_t two = (n->left_above & n->right_above) | (n->left_below & (n->left_above | n->right_above));
    uint64_t d1 = parity | two | n->right_below, d2 = two | (parity & n->right_below); /* D >= 1, >= 2 */
    uint64_t d3 = two & (parity | n->right_below);
    bool swap = orientation == BAND_HL;
    uint64_t ha = swap ? n->above : n->left, hb = swap ? n->below : n->right;
    uint64_t va = swap ? n->left : n->above, vb = swap ? n->right : n->below;
    uint64_t h1 = ha | hb, h2 = ha & hb, v1 = va | vb, v2 = va & vb; /* H >= 1, >= 2; V >= 1, >= 2 */
    label_slices s;
    s.decision = decision;
    if (orientation == BAND_HH) {
        uint64_t hv1 = h1 | v1, hv2 = (h1 & v1) | h2 | v2; /* H + V >= 1, >= 2 */
        uint64_t only2 = d2 & ~d3, only1 = d1 & ~d2, none = ~d1;
        s.bit3 = d3;
        s.bit2 = only2 | (only1 & hv1);
        s.bit1 = only2 | (only1 & ~hv1) | (none & hv2);
        s.bit0 = (only2 & hv1) | (only1 & (hv2 | ~hv1)) | (none & hv1 & ~hv2);
    } else {
        uint64_t only1 = h1 & ~h2, none = ~h1;
        s.bit3 = h2;
        s.bit2 = only1 | (none & v2);
        s.bit1 = (only1 & (v1 | d1)) | (none & ((v1 & ~v2) | (~v1 & d2)));
        s.bit0 = (only1 & (v1 | ~d1)) | (none & ((v1 & ~v2) | (~v1 & d1 & ~d2)));
    }
    return s;
}

/* Sign coding (tables D.2, D.3): slices of context - CTX_SIGN in bits 0 to 2. */
J2K_INLINE label_slices sign_coding(const neighbours *n, const uint64_t *negative, ptrdiff_t pitch) {
    uint64_t own = negative[0];
    uint64_t left = column_left(own, negative[-1]), right = column_right(own, negative[1]);
    uint64_t above = row_above(own, negative[-pitch]), below = row_below(own, negative[pitch]);
    uint64_t left_n = n->left & left, left_p = n->left & ~left;
    uint64_t right_n = n->right & right, right_p = n->right & ~right;
    uint64_t above_n = n->above & above, above_p = n->above & ~above;
    uint64_t below_n = n->below & below, below_p = n->below & ~below;
    uint64_t h_p = (left_p & ~right_n) | (right_p & ~left_n), h_n = (left_n & ~right_p) | (right_n & ~left_p);
    uint64_t v_p = (above_p & ~below_n) | (below_p & ~above_n);
    uint64_t v_n = (above_n & ~below_p) | (below_n & ~above_p);
    uint64_t h = h_p | h_n, v = v_p | v_n;
    uint64_t same = (h_p & v_p) | (h_n & v_n), opposite = (h_p & v_n) | (h_n & v_p);
    /* 0: H = V = 0, 1: H = 0, 2: opposite, 3: V = 0, 4: same */
    label_slices s;
    s.bit2 = same;
    s.bit1 = h & ~same;
    s.bit0 = h ^ v;
    s.bit0 &= ~(same | opposite);
    s.bit3 = 0;
    s.decision = own ^ (h_n | (~h & v_n));
    return s;
}

J2K_INLINE unsigned bit_at(uint64_t word, unsigned at) {
    return word >> at & 1;
}

J2K_INLINE uint8_t zero_symbol(const label_slices *s, unsigned at) {
    return (uint8_t)(bit_at(s->bit0, at) | bit_at(s->bit1, at) << 1 | bit_at(s->bit2, at) << 2 |
                     bit_at(s->bit3, at) << 3 | bit_at(s->decision, at) << MQ_DECISION_SHIFT);
}
J2K_INLINE uint8_t sign_symbol(const label_slices *s, unsigned at) {
    return (uint8_t)(CTX_SIGN + (bit_at(s->bit0, at) | bit_at(s->bit1, at) << 1 | bit_at(s->bit2, at) << 2) +
                     (bit_at(s->decision, at) << MQ_DECISION_SHIFT));
}

/* Distortion of samples that become significant: with z = (magnitude mod 2^b) / 2^b the squared error
 * falls by (0.75 + 3 z) 2^(2p). */
J2K_INLINE void add_significance(pass_sums *sums, const uint32_t *magnitudes, uint64_t members, unsigned b) {
    uint32_t below = (UINT32_C(1) << b) - 1;
    for (; members; members &= members - 1) {
        sums->distortion += 12 * (int64_t)(magnitudes[lowest_bit64(members)] & below) + ((int64_t)3 << b);
        sums->coded++;
    }
}

uint8_t *j2k_ebcot_significance(ebcot_block *block, unsigned plane, bool raw, uint8_t *out, pass_sums *sums) {
    ptrdiff_t pitch = block->pitch;
    bool causal = block->shape.style & J2K_STYLE_CAUSAL;
    size_t index = 0;
    const uint64_t *plane_bits = block->bits + (size_t)plane * block->stripes * block->words;
    for (unsigned s = 0; s < block->stripes; s++) {
        for (unsigned k = 0; k < block->words; k++, index++) {
            size_t bordered = (size_t)((s + 1) * pitch + k + 1);
            uint64_t *at = block->significant + bordered;
            uint64_t before = *at, candidates = block->valid[index] & ~before;
            neighbours n = look_around(at, pitch, before, before, causal);
            uint64_t members = any_neighbour(&n) & candidates;
            block->visited[index] = 0;
            if (!members)
                continue;
            /* What becomes significant makes later neighbours members: the next row, the next column. */
            uint64_t bits = plane_bits[index], found = members & bits;
            for (uint64_t last = 0; found != last;) {
                last = found;
                uint64_t down = (found << 1 & NOT_TOP) | found;
                uint64_t reach = down | (down >> 1 & NOT_LAST);
                members |= (down | reach << 4) & candidates;
                found = members & bits;
            }
            block->visited[index] = members;
            if (!found) {
                label_slices zero = zero_coding(&n, block->shape.orientation, 0);
                for (uint64_t m = members; m; m &= m - 1)
                    *out++ = zero_symbol(&zero, lowest_bit64(m));
                continue;
            }
            n = look_around(at, pitch, before, before | found, causal);
            *at = before | found;
            label_slices zero = zero_coding(&n, block->shape.orientation, bits);
            label_slices sign = sign_coding(&n, block->negative + bordered, pitch);
            if (raw)
                sign.decision = block->negative[bordered];
            for (uint64_t m = members; m; m &= m - 1) {
                unsigned i = lowest_bit64(m);
                out[0] = zero_symbol(&zero, i);
                out[1] = sign_symbol(&sign, i);
                out += 1 + bit_at(bits, i);
            }
            add_significance(sums, block->magnitudes + index * WORD_SAMPLES, found,
                             distortion_bit(&block->shape, plane));
        }
    }
    return out;
}

uint8_t *j2k_ebcot_refinement(ebcot_block *block, unsigned plane, uint8_t *out, pass_sums *sums) {
    ptrdiff_t pitch = block->pitch;
    bool causal = block->shape.style & J2K_STYLE_CAUSAL;
    unsigned b = distortion_bit(&block->shape, plane);
    uint32_t below = (UINT32_C(1) << b) - 1;
    int64_t all_rest = 0, zeros_rest = 0;
    uint32_t count = 0, ones = 0;
    size_t index = 0;
    const uint64_t *plane_bits = block->bits + (size_t)plane * block->stripes * block->words;
    for (unsigned s = 0; s < block->stripes; s++) {
        for (unsigned k = 0; k < block->words; k++, index++) {
            const uint64_t *at = block->significant + (size_t)((s + 1) * pitch + k + 1);
            uint64_t members = *at & ~block->visited[index];
            if (!members)
                continue;
            uint64_t bits = plane_bits[index], again = block->refined[index] & members, any = 0;
            block->refined[index] = members;
            if (members & ~again) {
                neighbours n = look_around(at, pitch, *at, *at, causal);
                any = any_neighbour(&n) & ~again;
            }
            const uint32_t *magnitudes = block->magnitudes + index * WORD_SAMPLES;
            for (uint64_t m = members; m; m &= m - 1) {
                unsigned i = lowest_bit64(m), one = bit_at(bits, i);
                *out++ = (uint8_t)(CTX_REFINE + bit_at(any, i) + 2 * bit_at(again, i) +
                                   (one << MQ_DECISION_SHIFT));
                uint32_t rest = magnitudes[i] & below;
                all_rest += rest;
                zeros_rest += rest & (one - 1);
                ones += one;
                count++;
            }
        }
    }
    /* With y = (magnitude mod 2^(b+1)) / 2^b the squared error falls by (y - 1.25) 2^(2p) when the bit is
     * 1 and by (0.75 - y) 2^(2p) when it is 0. */
    sums->distortion +=
        4 * (all_rest - 2 * zeros_rest) + (3 * ((int64_t)count - ones) - ones) * ((int64_t)1 << b);
    sums->coded += count;
    return out;
}

/* The columns that are run-length coded (D.3.4): four samples, none of them coded yet and all with context
 * 0. In bit 0 of each column. */
J2K_INLINE uint64_t run_columns(uint64_t taken, const neighbours *n, uint64_t valid) {
    uint64_t t = taken | any_neighbour(n) | ~valid;
    t |= t >> 1;
    t |= t >> 2;
    return ~t & ROW(0);
}

/* The symbols of a run-length column whose first sample is `at`, and of the sign of the first 1 in it. */
J2K_INLINE uint8_t *put_run(uint8_t *out, unsigned at, uint64_t bits, const label_slices *sign) {
    unsigned column = bits >> at & 15;
    if (column == 0) {
        *out = CTX_RUN;
        return out + 1;
    }
    unsigned row = lowest_bit64(column);
    out[0] = CTX_RUN | 1 << MQ_DECISION_SHIFT;
    out[1] = (uint8_t)(CTX_UNIFORM | row >> 1 << MQ_DECISION_SHIFT);
    out[2] = (uint8_t)(CTX_UNIFORM | (row & 1) << MQ_DECISION_SHIFT);
    out[3] = sign_symbol(sign, at + row);
    return out + 4;
}

/* Rows below the first 1 of each run-length column: their bits are coded one by one. */
J2K_INLINE uint64_t behind_first_one(uint64_t run_rows, uint64_t bits) {
    uint64_t t = run_rows & bits;
    t |= t << 1 & NOT_TOP;
    t |= t << 2 & (ROW(2) | ROW(3));
    return t << 1 & NOT_TOP;
}

J2K_INLINE uint8_t *cleanup_word(ebcot_block *block, size_t index, size_t bordered, uint64_t bits,
                                 bool causal, uint8_t *out, uint64_t *found) {
    uint64_t *at = block->significant + bordered;
    uint64_t before = *at, valid = block->valid[index];
    uint64_t candidates = valid & ~(before | block->visited[index]);
    *found = 0;
    if (!candidates)
        return out;
    *found = bits & candidates;
    neighbours n = look_around(at, block->pitch, before, before | *found, causal);
    /* The contexts of a run-length column are those at its beginning: what is found in it does not count,
     * but in the columns to the left it does. */
    neighbours start = n;
    start.above = row_above(before, at[-(ptrdiff_t)block->pitch]);
    uint64_t runs = run_columns(before | block->visited[index], &start, valid);
    *at = before | *found;
    if (!*found && runs == (valid & ROW(0))) {
        for (uint64_t m = runs; m; m &= m - 1)
            *out++ = CTX_RUN;
        return out;
    }
    label_slices zero = zero_coding(&n, block->shape.orientation, bits), sign = {0, 0, 0, 0, 0};
    if (*found)
        sign = sign_coding(&n, block->negative + bordered, block->pitch);
    uint64_t run_rows = (runs << 4) - runs;
    uint64_t members = (candidates & ~run_rows) | (behind_first_one(run_rows, bits)) | runs;
    for (uint64_t m = members; m; m &= m - 1) {
        unsigned i = lowest_bit64(m);
        if (bit_at(runs, i)) {
            out = put_run(out, i, bits, &sign);
        } else {
            out[0] = zero_symbol(&zero, i);
            out[1] = sign_symbol(&sign, i);
            out += 1 + bit_at(bits, i);
        }
    }
    return out;
}

uint8_t *j2k_ebcot_cleanup(ebcot_block *block, unsigned plane, uint8_t *out, pass_sums *sums) {
    bool causal = block->shape.style & J2K_STYLE_CAUSAL;
    size_t index = 0;
    const uint64_t *plane_bits = block->bits + (size_t)plane * block->stripes * block->words;
    for (unsigned s = 0; s < block->stripes; s++) {
        for (unsigned k = 0; k < block->words; k++, index++) {
            uint64_t found;
            out = cleanup_word(block, index, (size_t)(s + 1) * block->pitch + k + 1, plane_bits[index],
                               causal, out, &found);
            block->visited[index] = 0;
            add_significance(sums, block->magnitudes + index * WORD_SAMPLES, found,
                             distortion_bit(&block->shape, plane));
        }
    }
    if (block->shape.style & J2K_STYLE_SEGMENTATION) { /* D.5: the symbol 1010 */
        out[0] = out[2] = CTX_UNIFORM | 1 << MQ_DECISION_SHIFT;
        out[1] = out[3] = CTX_UNIFORM;
        out += 4;
    }
    return out;
}

/* ---- loading ---- */

/* Transpose 32 x 32 bits: bit i of word k becomes bit k of word i. */
static void transpose32(uint32_t words[32]) {
    uint32_t mask = 0x0000FFFF;
    for (unsigned step = 16; step; step /= 2, mask ^= mask << step)
        for (unsigned k = 0; k < 32; k = (k + step + 1) & ~step) {
            uint32_t t = (words[k] >> step ^ words[k + step]) & mask;
            words[k] ^= t << step;
            words[k + step] ^= t;
        }
}

/* A part of a block: the samples of one word, in raster order, rows of `stride`. */
typedef struct word_part {
    const uint32_t *samples;
    size_t stride;
    unsigned rows, columns;
    size_t index, bordered; /* of the word in plain and in bordered arrays */
} word_part;

static word_part part_at(const ebcot_block *block, const uint32_t *samples, unsigned s, unsigned k) {
    const block_shape *shape = &block->shape;
    unsigned below = shape->height - 4 * s, right = shape->width - WORD_COLUMNS * k;
    word_part part = {
        .samples = samples + 4 * s * (size_t)shape->width + WORD_COLUMNS * k,
        .stride = shape->width,
        .rows = below < 4 ? below : 4,
        .columns = right < WORD_COLUMNS ? right : WORD_COLUMNS,
        .index = (size_t)s * block->words + k,
        .bordered = (size_t)(s + 1) * block->pitch + k + 1,
    };
    return part;
}

/* Magnitudes in scan order, signs, and the samples inside the block. */
J2K_INLINE void load_word(ebcot_block *block, const word_part *part) {
    uint32_t *magnitudes = block->magnitudes + part->index * WORD_SAMPLES;
    uint64_t negative = 0, valid = 0;
    if (part->rows < 4 || part->columns < WORD_COLUMNS)
        memset(magnitudes, 0, WORD_SAMPLES * sizeof *magnitudes);
    for (unsigned r = 0; r < part->rows; r++) {
        const uint32_t *row = part->samples + r * part->stride;
        for (unsigned c = 0; c < part->columns; c++) {
            magnitudes[4 * c + r] = row[c] & 0x7FFFFFFF;
            negative |= (uint64_t)(row[c] >> 31) << (4 * c + r);
        }
        valid |= UINT64_C(0x1111111111111111) << r;
    }
    if (part->columns < WORD_COLUMNS)
        valid &= (UINT64_C(1) << 4 * part->columns) - 1;
    block->negative[part->bordered] = negative;
    block->valid[part->index] = valid;
}

/* Bit-planes first .. end - 1 of a word from its magnitudes, where the first one is bit `shift`. */
J2K_INLINE void load_planes(ebcot_block *block, size_t index, unsigned shift, unsigned first, unsigned end) {
    const uint32_t *magnitudes = block->magnitudes + index * WORD_SAMPLES;
    uint32_t planes[WORD_SAMPLES];
    for (unsigned i = 0; i < WORD_SAMPLES; i++)
        planes[i] = magnitudes[i] >> shift;
    transpose32(planes);
    transpose32(planes + 32);
    size_t plane_words = (size_t)block->stripes * block->words;
    for (unsigned p = first; p < end; p++)
        block->bits[p * plane_words + index] = planes[p - first] | (uint64_t)planes[32 + p - first] << 32;
}

static void clear_states(ebcot_block *block, const block_shape *shape) {
    block->shape = *shape;
    block->words = (shape->width + WORD_COLUMNS - 1) / WORD_COLUMNS;
    block->stripes = (shape->height + 3) / 4;
    block->pitch = block->words + 2;
    size_t bordered_words = (size_t)(block->stripes + 2) * block->pitch;
    size_t plane_words = (size_t)block->stripes * block->words;
    memset(block->significant, 0, bordered_words * sizeof *block->significant);
    memset(block->negative, 0, bordered_words * sizeof *block->negative);
    memset(block->visited, 0, plane_words * sizeof *block->visited);
    memset(block->refined, 0, plane_words * sizeof *block->refined);
}

/* Signs and magnitudes of all words, and the bit-planes that they hold. */
static void load_words(ebcot_block *block, const uint32_t *samples, unsigned shift, unsigned first,
                       unsigned end) {
    for (unsigned s = 0; s < block->stripes; s++) {
        for (unsigned k = 0; k < block->words; k++) {
            word_part part = part_at(block, samples, s, k);
            load_word(block, &part);
            if (first < end)
                load_planes(block, part.index, shift, first, end);
        }
    }
}

void j2k_ebcot_load(ebcot_block *block, const block_shape *shape, const uint32_t *samples) {
    clear_states(block, shape);
    load_words(block, samples, shape->fraction_bits, 0, shape->planes);
}

/* ---- wide blocks: 31 bits of the magnitudes at once */

enum { WINDOW_BITS = TOP_WINDOW_BIT + 1 };

static void cut_window(const block_shape *shape, const uint64_t *samples, unsigned lowest, uint32_t *out) {
    for (size_t i = 0; i < (size_t)shape->width * shape->height; i++)
        out[i] = (uint32_t)(samples[i] >> 32 & 0x80000000) |
                 (uint32_t)((samples[i] & INT64_MAX) >> lowest & ((UINT64_C(1) << WINDOW_BITS) - 1));
}

void j2k_ebcot_load_wide(ebcot_block *block, const block_shape *shape, const uint64_t *samples,
                         uint32_t *scratch) {
    clear_states(block, shape);
    unsigned bits = shape->planes + shape->fraction_bits, first = 0;
    for (unsigned lowest = 0; lowest < bits; lowest += WINDOW_BITS) {
        unsigned top = bits < lowest + WINDOW_BITS ? bits : lowest + WINDOW_BITS;
        unsigned end = top - shape->fraction_bits;
        cut_window(shape, samples, lowest, scratch);
        load_words(block, scratch, lowest ? 0 : shape->fraction_bits, first, end);
        first = end;
    }
}

void j2k_ebcot_take_window(ebcot_block *block, unsigned plane, const uint64_t *samples, uint32_t *scratch) {
    const block_shape *shape = &block->shape;
    cut_window(shape, samples, plane + shape->fraction_bits - distortion_bit(shape, plane), scratch);
    load_words(block, scratch, 0, 0, 0);
}
