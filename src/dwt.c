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

/* Table F.4. */
static const float ALPHA = -1.586134342059924f, BETA = -0.052980118572961f, GAMMA = 0.882911075530934f,
                   DELTA = 0.443506852043971f;
static const float FORWARD_97[4] = {-1.586134342059924f, -0.052980118572961f, 0.882911075530934f,
                                    0.443506852043971f};
static const float INVERSE_97[4] = {-0.443506852043971f, -0.882911075530934f, 0.052980118572961f,
                                    1.586134342059924f};
static const double K = 1.230174104914001;

/* ---- scalar kernels ---- */

static void predict53_c(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = wrap_sub(x[i], wrap_add(a[i], b[i]) >> 1);
}

static void update53_c(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = wrap_add(x[i], wrap_add(wrap_add(a[i], b[i]), 2) >> 2);
}

static void undo_predict53_c(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = wrap_add(x[i], wrap_add(a[i], b[i]) >> 1);
}

static void undo_update53_c(int32_t *J2K_RESTRICT x, const int32_t *a, const int32_t *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = wrap_sub(x[i], wrap_add(wrap_add(a[i], b[i]), 2) >> 2);
}

static void lift97_c(float *J2K_RESTRICT x, const float *a, const float *b, float factor, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] + factor * (a[i] + b[i]);
}

static void forward53_c(int32_t *J2K_RESTRICT even, int32_t *J2K_RESTRICT odd,
                        const int32_t *J2K_RESTRICT above, const int32_t *J2K_RESTRICT below, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t high = wrap_sub(odd[i], wrap_add(even[i], below[i]) >> 1);
        odd[i] = high;
        even[i] = wrap_add(even[i], wrap_add(wrap_add(above[i], high), 2) >> 2);
    }
}

static void inverse53_c(int32_t *J2K_RESTRICT even, int32_t *J2K_RESTRICT above,
                        const int32_t *J2K_RESTRICT even_above, const int32_t *J2K_RESTRICT below, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t x = wrap_sub(even[i], wrap_add(wrap_add(above[i], below[i]), 2) >> 2);
        even[i] = x;
        above[i] = wrap_add(above[i], wrap_add(even_above[i], x) >> 1);
    }
}

static void chain97_c(const float *J2K_RESTRICT ahead, float *J2K_RESTRICT x0, float *J2K_RESTRICT x1,
                      float *J2K_RESTRICT x2, float *J2K_RESTRICT x3, const float *J2K_RESTRICT behind,
                      const float factors[4], size_t n) {
    const float f0 = factors[0], f1 = factors[1], f2 = factors[2], f3 = factors[3];
    for (size_t i = 0; i < n; i++) {
        float y0 = x0[i] + f0 * (x1[i] + ahead[i]);
        float y1 = x1[i] + f1 * (x2[i] + y0);
        float y2 = x2[i] + f2 * (x3[i] + y1);
        x0[i] = y0;
        x1[i] = y1;
        x2[i] = y2;
        x3[i] = x3[i] + f3 * (behind[i] + y2);
    }
}

static void forward53_row_c(const int32_t *x, unsigned parity, size_t num_low, size_t num_high,
                            int32_t *J2K_RESTRICT low, int32_t *J2K_RESTRICT high) {
    for (size_t i = 0; i < num_high; i++)
        high[i] = wrap_sub(x[2 * i + 1], wrap_add(x[2 * i], x[2 * i + 2]) >> 1);
    x += 2 * parity;
    for (size_t i = 0; i < num_low; i++) {
        const int32_t *c = x + 2 * i;
        int32_t left = wrap_sub(c[-1], wrap_add(c[-2], c[0]) >> 1);
        int32_t right = wrap_sub(c[1], wrap_add(c[0], c[2]) >> 1);
        low[i] = wrap_add(c[0], wrap_add(wrap_add(left, right), 2) >> 2);
    }
}

static void inverse53_row_c(int32_t *J2K_RESTRICT even, int32_t *J2K_RESTRICT odd, size_t pairs,
                            int32_t *J2K_RESTRICT x) {
    undo_update53_c(even, odd - 1, odd, pairs + 1);
    undo_predict53_c(odd, even, even + 1, pairs);
    for (size_t i = 0; i < pairs; i++) {
        x[2 * i] = even[i];
        x[2 * i + 1] = odd[i];
    }
}

static void forward97_row_c(const float *J2K_RESTRICT x, unsigned parity, size_t num_low, size_t num_high,
                            float *J2K_RESTRICT low, float *J2K_RESTRICT high, float low_scale,
                            float high_scale, float *J2K_RESTRICT even, float *J2K_RESTRICT odd) {
    const size_t pairs = parity + num_low > num_high ? parity + num_low : num_high;
    even -= 2, odd -= 2, x -= 4; /* the first results depend on x[-4] */
    for (size_t i = 0; i < pairs + 4; i++) {
        even[i] = x[2 * i];
        odd[i] = x[2 * i + 1];
    }
    lift97_c(odd, even, even + 1, ALPHA, pairs + 3);
    lift97_c(even + 1, odd, odd + 1, BETA, pairs + 2);
    lift97_c(odd + 1, even + 1, even + 2, GAMMA, pairs + 1);
    lift97_c(even + 2, odd + 1, odd + 2, DELTA, pairs);
    even += 2 + parity, odd += 2;
    for (size_t i = 0; i < num_low; i++)
        low[i] = even[i] * low_scale;
    for (size_t i = 0; i < num_high; i++)
        high[i] = odd[i] * high_scale;
}

static void inverse97_row_c(float *J2K_RESTRICT even, float *J2K_RESTRICT odd, size_t pairs,
                            float *J2K_RESTRICT x) {
    lift97_c(even - 1, odd - 2, odd - 1, -DELTA, pairs + 3);
    lift97_c(odd - 1, even - 1, even, -GAMMA, pairs + 2);
    lift97_c(even, odd - 1, odd, -BETA, pairs + 1);
    lift97_c(odd, even, even + 1, -ALPHA, pairs);
    for (size_t i = 0; i < pairs; i++) {
        x[2 * i] = even[i];
        x[2 * i + 1] = odd[i];
    }
}

static void scale_c(const float *J2K_RESTRICT in, float factor, size_t n, float *J2K_RESTRICT out) {
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * factor;
}

const dwt_kernels j2k_dwt_c = {
    predict53_c,     update53_c,      undo_predict53_c, undo_update53_c, lift97_c,
    forward53_c,     inverse53_c,     chain97_c,        forward53_row_c, forward97_row_c,
    inverse53_row_c, inverse97_row_c, scale_c,
};

/* ---- rows and rectangles ---- */

/* Elements from one row of the scratch to the next: an odd number of 64-byte lines, so that rows do not fall
 * on the same cache sets. */
static size_t row_stride(size_t width) {
    size_t lines = (width + ROW_MARGIN + ROW_SLACK + 15) / 16;
    return (lines | 1) * 16;
}

size_t j2k_dwt_scratch_size(uint32_t width) {
    /* A window takes the columns next to it too. */
    return NUM_ROWS * 4 * row_stride((size_t)width + 2 * DWT_REACH_97);
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
static void *plane_row(const plane *p, uint32_t x, uint32_t y) {
    if (!p->data)
        return NULL;
    ptrdiff_t offset = (ptrdiff_t)(y - p->area.y0) * p->stride + (ptrdiff_t)(x - p->area.x0);
    return (int32_t *)p->data + offset; /* float has the same size */
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

/* Extend the row x[0 .. n) at both ends. Elements are moved as 32-bit words, whatever their type. */
static void extend_row(void *row, size_t n) {
    unsigned char *x = row;
    for (ptrdiff_t i = 1; i <= EXTENSION; i++) {
        ptrdiff_t right = (ptrdiff_t)n - 1 + i;
        memcpy(x - 4 * i, x + 4 * mirror(-i, (ptrdiff_t)n), 4);
        memcpy(x + 4 * right, x + 4 * mirror(right, (ptrdiff_t)n), 4);
    }
}

/* The same for a row that is split into half rows, position p being even[p / 2] or odd[p / 2]; the row begins
 * at position `parity`. */
static void extend_half_rows(void *even, void *odd, unsigned parity, size_t n) {
    unsigned char *half[2] = {even, odd};
    for (ptrdiff_t i = 1; i <= EXTENSION; i++) {
        ptrdiff_t to[2] = {-i, (ptrdiff_t)n - 1 + i};
        for (int end = 0; end < 2; end++) {
            ptrdiff_t p = to[end] + (ptrdiff_t)parity;
            ptrdiff_t from = mirror(to[end], (ptrdiff_t)n) + (ptrdiff_t)parity;
            unsigned char *base = half[p & 1];
            memcpy(base + 4 * ((p - (p & 1)) / 2), base + 4 * (from / 2), 4);
        }
    }
}

/* ---- vertical lifting ---- */

static void lifting_begin(dwt_lifting *l, const dsp_kernels *dsp, bool reversible, bool forward, rect part,
                          void *scratch) {
    l->kernels = dsp->dwt;
    l->reversible = reversible;
    l->num_steps = reversible ? 2 : 4;
    l->first_odd = forward;
    l->column = part.x0 & 1;
    l->first = part.y0;
    l->end = part.y1;
    l->x0 = part.x0;
    l->width = rect_width(part);
    size_t stride = row_stride(l->width);
    int32_t *row = (int32_t *)scratch + ROW_MARGIN;
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
    return (int32_t *)buffer_row(l, y) + l->column;
}

/* Step k on row y from its neighbours, at the ends of the signal from the same one twice. */
static void lifting_step(const dwt_lifting *l, unsigned k, uint64_t y) {
    void *x = lifting_row(l, y);
    const void *a = lifting_row(l, y > l->first ? y - 1 : y + 1);
    const void *b = lifting_row(l, y + 1 < l->end ? y + 1 : y - 1);
    const dwt_kernels *kernels = l->kernels;
    if (!l->reversible)
        kernels->lift97(x, a, b, l->first_odd ? FORWARD_97[k] : INVERSE_97[k], l->width);
    else if (l->first_odd)
        (k == 0 ? kernels->predict53 : kernels->update53)(x, a, b, l->width);
    else
        (k == 0 ? kernels->undo_update53 : kernels->undo_predict53)(x, a, b, l->width);
}

/* All steps that row y, one of those that the second step changes, makes possible. y may lie beyond the end:
 * the rows left over are finished then. */
static void lifting_chain(const dwt_lifting *l, uint64_t y) {
    const unsigned steps = l->num_steps;
    if (y < l->end && y >= (uint64_t)l->first + steps + 1) {
        if (!l->reversible)
            l->kernels->chain97(lifting_row(l, y), lifting_row(l, y - 1), lifting_row(l, y - 2),
                                lifting_row(l, y - 3), lifting_row(l, y - 4), lifting_row(l, y - 5),
                                l->first_odd ? FORWARD_97 : INVERSE_97, l->width);
        else if (l->first_odd)
            l->kernels->forward53(lifting_row(l, y - 2), lifting_row(l, y - 1), lifting_row(l, y - 3),
                                  lifting_row(l, y), l->width);
        else
            l->kernels->inverse53(lifting_row(l, y - 1), lifting_row(l, y - 2), lifting_row(l, y - 3),
                                  lifting_row(l, y), l->width);
        return;
    }
    for (unsigned k = 0; k < steps; k++)
        if (y >= (uint64_t)l->first + k + 1 && y - 1 - k < l->end)
            lifting_step(l, k, y - 1 - k);
}

/* ---- forward ---- */

void j2k_dwt_forward_begin(dwt_forward *f, const dsp_kernels *dsp, bool reversible, rect area,
                           uint32_t out_y0, uint32_t out_y1, void *scratch) {
    rect part = area;
    part.y0 = out_y0, part.y1 = out_y1;
    reach(reversible, area.y0, area.y1, &part.y0, &part.y1);
    /* The last row of a stripe that ends inside of the level is odd and needs one row less below it. */
    if (part.y1 == out_y1 + (reversible ? DWT_REACH_53 : DWT_REACH_97))
        part.y1--;
    lifting_begin(&f->lifting, dsp, reversible, true, part, scratch);
    f->area = area;
    f->out_y0 = out_y0;
    f->out_y1 = out_y1;
    f->next_row = part.y0;
    f->end_row = part.y1;
}

/* Horizontal transform of the finished row y into its two bands. */
static void forward_emit(dwt_forward *f, uint32_t y) {
    dwt_lifting *l = &f->lifting;
    if (y < f->out_y0 || y >= f->out_y1 || l->width == 0)
        return;
    const unsigned parity = l->column, is_high = y & 1;
    const uint32_t low_x0 = f->area.x0 / 2 + parity, high_x0 = f->area.x0 / 2;
    const size_t num_low = (parity + (size_t)l->width + 1) / 2 - parity,
                 num_high = (parity + (size_t)l->width) / 2;
    void *low = plane_row(is_high ? &f->lh : &f->ll, low_x0, y / 2);
    void *high = plane_row(is_high ? &f->hh : &f->hl, high_x0, y / 2);
    void *x = lifting_row(l, y);

    if (l->reversible) {
        int32_t *row = x;
        if (rect_height(f->area) == 1 && is_high)
            for (uint32_t i = 0; i < l->width; i++)
                row[i] = wrap_add(row[i], row[i]);
        if (l->width == 1) {
            if (parity)
                *(int32_t *)high = wrap_add(row[0], row[0]);
            else
                *(int32_t *)low = row[0];
            return;
        }
        extend_row(x, l->width);
        l->kernels->forward53_row(buffer_row(l, y), parity, num_low, num_high, low, high);
        return;
    }

    /* F.4.8.2 steps 5 and 6, or F.4.6 for signals of length 1, in both directions. */
    const bool row_alone = rect_height(f->area) == 1, column_alone = l->width == 1;
    double vertical = row_alone ? (is_high ? 2.0 : 1.0) : (is_high ? K : 1 / K);
    float low_scale = (float)(vertical * (column_alone ? 1.0 : 1 / K));
    float high_scale = (float)(vertical * (column_alone ? 2.0 : K));
    if (column_alone) {
        if (parity)
            *(float *)high = *(float *)x * high_scale;
        else
            *(float *)low = *(float *)x * low_scale;
        return;
    }
    extend_row(x, l->width);
    l->kernels->forward97_row(buffer_row(l, y), parity, num_low, num_high, low, high, low_scale, high_scale,
                              l->even, l->odd);
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
        memcpy(to, row, 4 * (size_t)l->width);
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

void j2k_dwt_inverse_begin(dwt_inverse *v, const dsp_kernels *dsp, bool reversible, rect area, rect window,
                           plane ll, plane hl, plane lh, plane hh, void *scratch) {
    lifting_begin(&v->lifting, dsp, reversible, false, reach_rect(reversible, area, window), scratch);
    v->area = area;
    v->window = window;
    v->ll = ll, v->hl = hl, v->lh = lh, v->hh = hh;
    v->next_row = window.y0;
    v->next_load = v->lifting.first;
}

/* Row y of the level from its two bands, horizontally transformed. */
static void inverse_load(dwt_inverse *v, uint32_t y) {
    dwt_lifting *l = &v->lifting;
    const unsigned parity = l->column, is_high = y & 1;
    const size_t num_low = (parity + (size_t)l->width + 1) / 2 - parity;
    const size_t num_high = (parity + (size_t)l->width) / 2;
    const void *low = plane_row(is_high ? &v->lh : &v->ll, l->x0 / 2 + parity, y / 2);
    const void *high = plane_row(is_high ? &v->hh : &v->hl, l->x0 / 2, y / 2);
    const bool row_alone = rect_height(v->area) == 1, column_alone = rect_width(v->area) == 1;
    void *x = lifting_row(l, y);

    if (l->reversible) {
        int32_t *row = x;
        if (column_alone) {
            row[0] = parity ? *(const int32_t *)high >> 1 : *(const int32_t *)low;
        } else {
            memcpy((int32_t *)l->even + parity, low, 4 * num_low);
            memcpy(l->odd, high, 4 * num_high);
            extend_half_rows(l->even, l->odd, parity, l->width);
            l->kernels->inverse53_row(l->even, l->odd, (parity + (size_t)l->width + 1) / 2, buffer_row(l, y));
        }
        if (row_alone && is_high)
            for (uint32_t i = 0; i < l->width; i++)
                row[i] >>= 1;
        return;
    }

    /* F.3.8.2 steps 1 and 2, or F.3.6 for signals of length 1, in both directions. */
    double vertical = row_alone ? (is_high ? 0.5 : 1.0) : (is_high ? 1 / K : K);
    float low_scale = (float)(vertical * (column_alone ? 1.0 : K));
    float high_scale = (float)(vertical * (column_alone ? 0.5 : 1 / K));
    if (column_alone) {
        *(float *)x = parity ? *(const float *)high * high_scale : *(const float *)low * low_scale;
        return;
    }
    l->kernels->scale(low, low_scale, num_low, (float *)l->even + parity);
    l->kernels->scale(high, high_scale, num_high, l->odd);
    extend_half_rows(l->even, l->odd, parity, l->width);
    l->kernels->inverse97_row(l->even, l->odd, (parity + (size_t)l->width + 1) / 2, buffer_row(l, y));
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
    return (int32_t *)lifting_row(&v->lifting, y) + (v->window.x0 - v->lifting.x0);
}

void j2k_dwt_inverse_pull(dwt_inverse *v, void *out) {
    const void *row = j2k_dwt_inverse_next(v);
    if (row)
        memcpy(out, row, 4 * (size_t)rect_width(v->window));
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
