/* The discrete wavelet transform, row by row: one decomposition level at a time (T.800 annex F).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "dwt.h"

#include <string.h>

#include "basis_energy.h"
#include "error.h"

/* How it works
 *
 * Vertically, a level is a sequence of rows on which the lifting steps of F.3.8 and F.4.8 act in place: the
 * first step changes every second row by its two neighbours, the next step the other rows, and so on; two
 * steps for 5/3 and four for 9/7. In the forward direction the odd rows come first, in the inverse the even
 * ones; otherwise the two are alike. When row y (of the kind that comes second) has arrived, step 0 can be
 * done on row y-1, then step 1 on y-2, ... up to the last step, on row y-S for S steps: a chain. Row y-S and
 * row y-S+1 have all their steps then, and a ring of S+2 rows holds everything.
 *
 * The symmetric extension (F.3.7) of a signal is symmetric after every step too, so at the first and last row
 * a missing neighbour is simply the one on the other side. A stripe or window is treated as a signal that
 * begins and ends DWT_REACH rows outside of it (or at the level's own border); mirroring there spoils only
 * rows that nobody wants.
 *
 * Horizontally, a row is split into its even and odd samples ("half rows") so that the steps are plain loops.
 * Rows are extended at both ends by copying EXTENSION samples, which leaves no boundary cases in the kernels.
 * Sample x of a row, counted from the even coordinate at or before its first one, is element x of its buffer.
 *
 * F.4.2 transforms columns before rows, F.3.2 rows before columns; with 5/3 the order matters.
 *
 * 9/7: the scaling by K of both directions is one multiplication per coefficient: nothing for HL and LH. */

enum {
    EXTENSION = 8,                         /* samples copied at each end of a row: 5 are needed */
    ROW_MARGIN = 16,                       /* elements in front of a row: extension and alignment */
    ROW_SLACK = EXTENSION + 1 + DWT_SLACK, /* elements behind a row; a row may begin one element later */
    NUM_ROWS = 8                           /* the ring and two half rows */
};

static const double K = 1.230174104914001;

/* ---- rows and rectangles ---- */

/* Elements from one row of the scratch to the next: an odd number of 64-byte lines, so that rows do not fall
 * on the same cache sets. */
static size_t row_stride(size_t width) {
    size_t lines = (width + ROW_MARGIN + ROW_SLACK + 15) / 16;
    return (lines | 1) * 16;
}

size_t j2k_dwt_scratch_size(uint32_t width, bool wide) {
    /* A window takes the columns next to it too. */
    return NUM_ROWS * element_size(wide) * row_stride((size_t)width + 2 * DWT_REACH_97);
}

/* The interval that `from` .. `to` of a level depends on. */
static void reach(bool reversible, uint32_t lower, uint32_t upper, uint32_t *from, uint32_t *to) {
    uint32_t r = reversible ? DWT_REACH_53 : DWT_REACH_97;
    *from = *from - lower > r ? *from - r : lower;
    *to = upper - *to > r ? *to + r : upper;
}

/* The columns and rows of the interleaved level that take part in making a window of it. */
static rect reach_rect(bool reversible, rect area, rect window) {
    rect r = window;
    reach(reversible, area.x0, area.x1, &r.x0, &r.x1);
    reach(reversible, area.y0, area.y1, &r.y0, &r.y1);
    return r;
}

rect j2k_dwt_needed(bool reversible, rect area, rect window, unsigned orientation) {
    window = rect_intersect(window, area);
    rect r = rect_empty(window) ? window : reach_rect(reversible, area, window);
    /* sample 2n of the level comes from n of the low-pass band, 2n + 1 from n of the high-pass band */
    return subband_rect(r, 1, orientation & 1, orientation >> 1);
}

/* Row y of a band from column x on. NULL for a band without data, which is empty. */
static void *plane_row(const plane *p, uint32_t x, uint32_t y, bool wide) {
    if (!p->data)
        return NULL;
    ptrdiff_t offset = (ptrdiff_t)(y - p->area.y0) * p->stride + (ptrdiff_t)(x - p->area.x0);
    return (char *)p->data + offset * (ptrdiff_t)element_size(wide);
}

/* Where the sample at position p outside of [0, n) has its mirror image, n >= 2 (equation F-4). */
static ptrdiff_t mirror(ptrdiff_t p, ptrdiff_t n) {
    for (;;) {
        if (p < 0)
            p = -p;
        if (p < n)
            return p;
        p = 2 * (n - 1) - p;
    }
}

/* ---- vertical lifting ---- */

static void lifting_begin(dwt_lifting *l, const dsp_kernels *dsp, bool reversible, bool wide, bool forward,
                          rect part, void *scratch) {
    l->kernels = dsp->dwt;
    l->reversible = reversible;
    l->wide = wide;
    l->num_steps = reversible ? 2 : 4;
    l->first_odd = forward;
    l->column = part.x0 & 1;
    l->first = part.y0;
    l->end = part.y1;
    l->x0 = part.x0;
    l->width = rect_width(part);
    const size_t element = element_size(wide), stride = element * row_stride(l->width);
    char *row = (char *)scratch + element * ROW_MARGIN;
    for (int i = 0; i < 6; i++, row += stride)
        l->rows[i] = row;
    l->even = row;
    l->odd = row + stride;
}

/* Element 0 of the buffer of row y. */
static void *buffer_row(const dwt_lifting *l, uint64_t y) {
    return l->rows[y % (l->num_steps + 2u)];
}

/* The samples of row y. */
static void *lifting_row(const dwt_lifting *l, uint64_t y) {
    return (char *)buffer_row(l, y) + element_size(l->wide) * l->column;
}

/* ---- elements of 32 and 64 bits ---- */

#define INT             int32_t
#define REAL            float
#define NAME(x)         x##_c
#define CALL(l, x, ...) (l)->kernels->x(__VA_ARGS__)
#define ADD             wrap_add
#define SUB             wrap_sub
#include "dwt_body.h"

#define INT             int64_t
#define REAL            double
#define NAME(x)         x##_wide
#define CALL(l, x, ...) x##_wide(__VA_ARGS__)
#define ADD             wrap_add64
#define SUB             wrap_sub64
#include "dwt_body.h"

const dwt_kernels j2k_dwt_c = {
    predict53_c,     update53_c,      undo_predict53_c, undo_update53_c, lift97_c,
    forward53_c,     inverse53_c,     chain97_c,        forward53_row_c, forward97_row_c,
    inverse53_row_c, inverse97_row_c, scale_c,
};

/* All steps that row y makes possible. */
static void lifting_chain(const dwt_lifting *l, uint64_t y) {
    (l->wide ? lifting_chain_wide : lifting_chain_c)(l, y);
}

/* ---- forward ---- */

void j2k_dwt_forward_begin(dwt_forward *f, const dsp_kernels *dsp, bool reversible, bool wide, rect area,
                           uint32_t out_y0, uint32_t out_y1, void *scratch) {
    rect part = area;
    part.y0 = out_y0, part.y1 = out_y1;
    reach(reversible, area.y0, area.y1, &part.y0, &part.y1);
    /* The last row of a stripe that ends inside of the level is odd and needs one row less below it. */
    if (part.y1 == out_y1 + (reversible ? DWT_REACH_53 : DWT_REACH_97))
        part.y1--;
    lifting_begin(&f->lifting, dsp, reversible, wide, true, part, scratch);
    f->area = area;
    f->out_y0 = out_y0;
    f->out_y1 = out_y1;
    f->next_row = part.y0;
    f->end_row = part.y1;
}

static void forward_emit(dwt_forward *f, uint32_t y) {
    (f->lifting.wide ? forward_emit_wide : forward_emit_c)(f, y);
}

/* Emit the rows that the chain of row y finished. */
static void forward_emit_chain(dwt_forward *f, uint64_t y) {
    const dwt_lifting *l = &f->lifting;
    for (uint64_t row = y; row < y + 2; row++)
        if (row >= (uint64_t)l->first + l->num_steps && row - l->num_steps < l->end)
            forward_emit(f, (uint32_t)(row - l->num_steps));
}

void *j2k_dwt_forward_row(dwt_forward *f) {
    return lifting_row(&f->lifting, f->next_row);
}

void j2k_dwt_forward_push(dwt_forward *f, const void *row) {
    dwt_lifting *l = &f->lifting;
    uint64_t y = f->next_row;
    if (y >= f->end_row)
        return;
    void *to = lifting_row(l, y);
    if (row != to)
        memcpy(to, row, element_size(l->wide) * l->width);
    f->next_row++;
    if (rect_height(f->area) == 1) {
        forward_emit(f, (uint32_t)y);
        return;
    }
    if ((y & 1) == 0) {
        lifting_chain(l, y);
        forward_emit_chain(f, y);
    }
    if (f->next_row < f->end_row)
        return;
    for (y += 2 - (y & 1); y <= (uint64_t)l->end + l->num_steps; y += 2) {
        lifting_chain(l, y);
        forward_emit_chain(f, y);
    }
}

/* ---- inverse ---- */

void j2k_dwt_inverse_begin(dwt_inverse *v, const dsp_kernels *dsp, bool reversible, bool wide, rect area,
                           rect window, plane ll, plane hl, plane lh, plane hh, void *scratch) {
    lifting_begin(&v->lifting, dsp, reversible, wide, false, reach_rect(reversible, area, window), scratch);
    v->area = area;
    v->window = window;
    v->ll = ll, v->hl = hl, v->lh = lh, v->hh = hh;
    v->next_row = window.y0;
    v->next_load = v->lifting.first;
}

static void inverse_load(dwt_inverse *v, uint32_t y) {
    (v->lifting.wide ? inverse_load_wide : inverse_load_c)(v, y);
}

/* Load rows until row y has all its steps. */
static void inverse_advance(dwt_inverse *v, uint64_t y) {
    dwt_lifting *l = &v->lifting;
    if (rect_height(v->area) == 1) {
        inverse_load(v, (uint32_t)y);
        return;
    }
    for (;;) {
        /* The last chain was that of the last odd row before next_load. */
        uint64_t chain = v->next_load - (v->next_load & 1 ? 2 : 1);
        if (v->next_load > (uint64_t)l->first + 1 && y + l->num_steps < chain + 2)
            return;
        uint64_t row = v->next_load++;
        if (row < l->end)
            inverse_load(v, (uint32_t)row);
        if (row & 1)
            lifting_chain(l, row);
    }
}

const void *j2k_dwt_inverse_next(dwt_inverse *v) {
    uint32_t y = v->next_row;
    if (y >= v->window.y1 || rect_empty(v->window))
        return NULL;
    v->next_row++;
    inverse_advance(v, y);
    return (char *)lifting_row(&v->lifting, y) +
           element_size(v->lifting.wide) * (v->window.x0 - v->lifting.x0);
}

void j2k_dwt_inverse_pull(dwt_inverse *v, void *out) {
    const void *row = j2k_dwt_inverse_next(v);
    if (row)
        memcpy(out, row, element_size(v->lifting.wide) * rect_width(v->window));
}

/* ---- norms ---- */

double j2k_basis_energy(bool reversible, unsigned level, unsigned orientation) {
    if (level == 0)
        return 1.0;
    /* Beyond the table one more decomposition doubles the length of a basis vector and so its energy. */
    double deeper = 1.0;
    for (; level > BASIS_LEVELS; level--)
        deeper *= 4.0;
    const double *e = (reversible ? BASIS_ENERGY_53 : BASIS_ENERGY_97)[level - 1];
    return deeper * e[orientation & 1] * e[orientation >> 1 & 1];
}
