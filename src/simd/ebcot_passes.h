/* The coding passes of the Part 1 block encoder on stripe masks: the part that instruction sets share.
 * SPDX-License-Identifier: BSD-3-Clause */

/* To be defined before, besides ebcot_masks.h: how symbols are written (put_zeros, put_pairs, put_columns,
 * put_refinements), sum_below, load_stripe and fill_tables. */

J2K_INLINE mask stripe_below(const workspace *w, const mask *stripes, unsigned s) {
    return w->shape.style & J2K_STYLE_CAUSAL ? NONE : stripes[s + 2];
}

/* Members and, through *found, what becomes significant: newly significant samples make later neighbours
 * members, until nothing changes. */
J2K_INLINE mask spread(mask members, mask candidates, mask bits, mask *found) {
    mask ones = AND(candidates, bits), all = AND(members, bits);
    for (;;) {
        mask reach[2];
        for (int i = 0; i < 2; i++) { /* twice before testing for the end */
            mask down = and_or(SHL(all, 1), ROWS(0xE), all);
            mask around = and_or(SHR(all, 1), ROWS(0x7), down);
            reach[i] = OR(down, column_left(around));
            mask next = and_or(reach[i], ones, all);
            if (i == 1 && is_none(AND_NOT(next, all))) {
                *found = all;
                return and_or(reach[1], candidates, members);
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
        zero_slices zero = zero_coding(&n, w->shape.orientation, members, bits);
        if (is_none(found)) {
            out = put_zeros(&w->tables, out, &zero);
        } else {
            sign_slices sign = sign_coding(&n, &w->signs[s], found);
            if (raw)
                sign.decision = w->signs[s].own;
            out = put_pairs(&w->tables, out, &zero, &sign);
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
        out = put_refinements(&w->tables, out, first, any, members, plane[s]);
    }
    return out;
}

/* Bit 0 of the columns that are run-length coded (D.3.4): four samples, all insignificant and with context
 * 0 when the scan comes to the column. */
J2K_INLINE mask run_columns(const neighbours *n, mask before, mask above, mask full) {
    mask taken = or3(or3(n->left, n->right, before), n->left_above, n->right_above);
    taken = OR(taken, or3(n->left_below, n->right_below, n->below));
    taken = and_or(ROWS(1), SHR(above, 3), taken);
    taken = OR(taken, SHR(taken, 1));
    return neither(taken, SHR(taken, 2), full);
}

J2K_INLINE uint8_t *cleanup_stripe(workspace *w, unsigned s, mask bits, mask candidates, uint8_t *out) {
    mask before = w->now[s + 1], after = w->before[s + 1], above = w->before[s],
         below = stripe_below(w, w->now, s);
    neighbours n = look_around(before, after, above, below);
    mask runs = run_columns(&n, before, above, w->full[s]), run_rows = _mm256_sub_epi64(SHL(runs, 4), runs);
    mask found = AND_NOT(bits, before), run_ones = AND(run_rows, found);
    if (is_none(run_ones)) {
        /* A run-length symbol takes the place of row 0. */
        mask members = and_if_not(candidates, run_rows, runs);
        zero_slices zero = zero_coding(&n, w->shape.orientation, members, bits);
        zero.run = runs;
        if (is_none(found))
            return put_zeros(&w->tables, out, &zero);
        sign_slices sign = sign_coding(&n, &w->signs[s], found);
        return put_pairs(&w->tables, out, &zero, &sign);
    }
    /* Rows from the first 1 of a run-length column on, and behind it. */
    mask from = and_or(SHL(run_ones, 1), ROWS(0xE), run_ones);
    from = and_or(SHL(from, 2), ROWS(0xC), from);
    mask behind = AND(SHL(from, 1), ROWS(0xE)), first = AND_NOT(from, behind);
    mask members = and_if_not(candidates, run_rows, behind);
    /* Decisions: run-length 1 in bit 0; the row of the first 1, high bit in bit 1 and low bit in bit 2. */
    mask has_one = AND(SHR(from, 3), ROWS(1));
    mask symbols = or3(runs, SHL(has_one, 1), SHL(has_one, 2));
    mask high = any_and(SHR(first, 1), SHR(first, 2), ROWS(2));
    mask low = any_and(SHL(first, 1), SHR(first, 1), ROWS(4));
    zero_slices zero = zero_coding(&n, w->shape.orientation, members, bits);
    sign_slices sign = sign_coding(&n, &w->signs[s], found);
    return put_columns(&w->tables, out, &zero, &sign, symbols, or3(has_one, high, low));
}

/* Everything left is coded, so that significance behind the pass is known at once; `before` becomes that. */
static uint8_t *cleanup_pass(workspace *w, unsigned p, uint8_t *out) {
    const mask *plane = w->plane[p + w->shape.fraction_bits];
    for (unsigned s = 0; s < w->stripes; s++) {
        mask before = w->now[s + 1], bits = plane[s], above = w->before[s],
             below = stripe_below(w, w->now, s);
        w->before[s + 1] = OR(before, bits);
        w->found[s] = AND_NOT(bits, before);
        mask candidates = neither(before, w->visited[s], w->valid[s]);
        if (is_none(candidates))
            continue;
        mask near = or3(OR(before, bits), AND(below, ROWS(1)), AND(above, ROWS(8)));
        if (is_none(near) && w->shape.height - 4 * s >= 4) { /* nothing anywhere: run-lengths without a 1 */
            _mm256_storeu_si256((mask *)out, _mm256_set1_epi8(CTX_RUN));
            _mm256_storeu_si256((mask *)(out + 32), _mm256_set1_epi8(CTX_RUN));
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

/* See add_significance and j2k_ebcot_refinement in ebcot_contexts.c. */
static void significance_sums(const workspace *w, unsigned p, pass_sums *sums) {
    unsigned b = p + w->shape.fraction_bits;
    int64_t rest = sum_below(w, w->found, NULL, b, &sums->coded);
    sums->distortion = 12 * rest + ((int64_t)3 * sums->coded << b);
}

/* What counts is 4 * (rest of the ones - rest of the zeros) + (3 * zeros - ones) * 2^b. In each plane
 * below b there are as many more members with (bit b, its bit) = (1, 1) than with (0, 1) as there are ones
 * more than members whose two bits differ: one sum does. */
static void refinement_sums(const workspace *w, unsigned p, pass_sums *sums) {
    unsigned b = p + w->shape.fraction_bits;
    int64_t ones = 0;
    for (unsigned s = 0; s < w->stripes; s++) {
        uint64_t words[4];
        _mm256_storeu_si256((mask *)words, AND(w->before[s + 1], w->plane[b][s]));
        for (int i = 0; i < 4; i++)
            ones += _mm_popcnt_u64(words[i]);
    }
    int64_t differing = sum_below(w, w->before + 1, w->plane[b], b, &sums->coded);
    int64_t rest = ones * (((int64_t)1 << b) - 1) - differing;
    sums->distortion = 4 * rest + (3 * (int64_t)sums->coded - 4 * ones) * ((int64_t)1 << b);
}

/* ---- the whole block ---- */

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
    fill_tables(&w->tables);
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
