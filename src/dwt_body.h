/* What the wavelet transform does to the elements of rows: included by dwt.c once for 32-bit elements (INT
 * int32_t, REAL float) and once for 64-bit ones (int64_t, double). SPDX-License-Identifier: BSD-3-Clause */

/* Also to be defined: NAME(x), the name of a function or table here; CALL(l, x, ...), a call of the kernel x
 * that the lifting l uses; ADD and SUB, sums of INT that wrap around. All of them are undefined at the end.
 */

enum { NAME(element_size) = sizeof(INT) };
#define SIZE NAME(element_size)

/* Table F.4. */
static const REAL NAME(FORWARD_97)[4] = {(REAL)-1.586134342059924, (REAL)-0.052980118572961,
                                         (REAL)0.882911075530934, (REAL)0.443506852043971};
static const REAL NAME(INVERSE_97)[4] = {(REAL)-0.443506852043971, (REAL)-0.882911075530934,
                                         (REAL)0.052980118572961, (REAL)1.586134342059924};

/* ---- scalar kernels ---- */

static void NAME(predict53)(INT *J2K_RESTRICT x, const INT *a, const INT *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = SUB(x[i], ADD(a[i], b[i]) >> 1);
}

static void NAME(update53)(INT *J2K_RESTRICT x, const INT *a, const INT *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = ADD(x[i], ADD(ADD(a[i], b[i]), 2) >> 2);
}

static void NAME(undo_predict53)(INT *J2K_RESTRICT x, const INT *a, const INT *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = ADD(x[i], ADD(a[i], b[i]) >> 1);
}

static void NAME(undo_update53)(INT *J2K_RESTRICT x, const INT *a, const INT *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = SUB(x[i], ADD(ADD(a[i], b[i]), 2) >> 2);
}

static void NAME(lift97)(REAL *J2K_RESTRICT x, const REAL *a, const REAL *b, REAL factor, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] + factor * (a[i] + b[i]);
}

static void NAME(forward53)(INT *J2K_RESTRICT even, INT *J2K_RESTRICT odd, const INT *J2K_RESTRICT above,
                            const INT *J2K_RESTRICT below, size_t n) {
    for (size_t i = 0; i < n; i++) {
        INT high = SUB(odd[i], ADD(even[i], below[i]) >> 1);
        odd[i] = high;
        even[i] = ADD(even[i], ADD(ADD(above[i], high), 2) >> 2);
    }
}

static void NAME(inverse53)(INT *J2K_RESTRICT even, INT *J2K_RESTRICT above,
                            const INT *J2K_RESTRICT even_above, const INT *J2K_RESTRICT below, size_t n) {
    for (size_t i = 0; i < n; i++) {
        INT x = SUB(even[i], ADD(ADD(above[i], below[i]), 2) >> 2);
        even[i] = x;
        above[i] = ADD(above[i], ADD(even_above[i], x) >> 1);
    }
}

static void NAME(chain97)(const REAL *J2K_RESTRICT ahead, REAL *J2K_RESTRICT x0, REAL *J2K_RESTRICT x1,
                          REAL *J2K_RESTRICT x2, REAL *J2K_RESTRICT x3, const REAL *J2K_RESTRICT behind,
                          const REAL factors[4], size_t n) {
    const REAL f0 = factors[0], f1 = factors[1], f2 = factors[2], f3 = factors[3];
    for (size_t i = 0; i < n; i++) {
        REAL y0 = x0[i] + f0 * (x1[i] + ahead[i]);
        REAL y1 = x1[i] + f1 * (x2[i] + y0);
        REAL y2 = x2[i] + f2 * (x3[i] + y1);
        x0[i] = y0;
        x1[i] = y1;
        x2[i] = y2;
        x3[i] = x3[i] + f3 * (behind[i] + y2);
    }
}

static void NAME(forward53_row)(const INT *x, unsigned parity, size_t num_low, size_t num_high,
                                INT *J2K_RESTRICT low, INT *J2K_RESTRICT high) {
    for (size_t i = 0; i < num_high; i++)
        high[i] = SUB(x[2 * i + 1], ADD(x[2 * i], x[2 * i + 2]) >> 1);
    x += 2 * parity;
    for (size_t i = 0; i < num_low; i++) {
        const INT *c = x + 2 * i;
        INT left = SUB(c[-1], ADD(c[-2], c[0]) >> 1);
        INT right = SUB(c[1], ADD(c[0], c[2]) >> 1);
        low[i] = ADD(c[0], ADD(ADD(left, right), 2) >> 2);
    }
}

static void NAME(inverse53_row)(INT *J2K_RESTRICT even, INT *J2K_RESTRICT odd, size_t pairs,
                                INT *J2K_RESTRICT x) {
    NAME(undo_update53)(even, odd - 1, odd, pairs + 1);
    NAME(undo_predict53)(odd, even, even + 1, pairs);
    for (size_t i = 0; i < pairs; i++) {
        x[2 * i] = even[i];
        x[2 * i + 1] = odd[i];
    }
}

static void NAME(forward97_row)(const REAL *J2K_RESTRICT x, unsigned parity, size_t num_low, size_t num_high,
                                REAL *J2K_RESTRICT low, REAL *J2K_RESTRICT high, REAL low_scale,
                                REAL high_scale, REAL *J2K_RESTRICT even, REAL *J2K_RESTRICT odd) {
    const size_t pairs = parity + num_low > num_high ? parity + num_low : num_high;
    even -= 2, odd -= 2, x -= 4; /* the first results depend on x[-4] */
    for (size_t i = 0; i < pairs + 4; i++) {
        even[i] = x[2 * i];
        odd[i] = x[2 * i + 1];
    }
    NAME(lift97)(odd, even, even + 1, NAME(FORWARD_97)[0], pairs + 3);
    NAME(lift97)(even + 1, odd, odd + 1, NAME(FORWARD_97)[1], pairs + 2);
    NAME(lift97)(odd + 1, even + 1, even + 2, NAME(FORWARD_97)[2], pairs + 1);
    NAME(lift97)(even + 2, odd + 1, odd + 2, NAME(FORWARD_97)[3], pairs);
    even += 2 + parity, odd += 2;
    for (size_t i = 0; i < num_low; i++)
        low[i] = even[i] * low_scale;
    for (size_t i = 0; i < num_high; i++)
        high[i] = odd[i] * high_scale;
}

static void NAME(inverse97_row)(REAL *J2K_RESTRICT even, REAL *J2K_RESTRICT odd, size_t pairs,
                                REAL *J2K_RESTRICT x) {
    NAME(lift97)(even - 1, odd - 2, odd - 1, NAME(INVERSE_97)[0], pairs + 3);
    NAME(lift97)(odd - 1, even - 1, even, NAME(INVERSE_97)[1], pairs + 2);
    NAME(lift97)(even, odd - 1, odd, NAME(INVERSE_97)[2], pairs + 1);
    NAME(lift97)(odd, even, even + 1, NAME(INVERSE_97)[3], pairs);
    for (size_t i = 0; i < pairs; i++) {
        x[2 * i] = even[i];
        x[2 * i + 1] = odd[i];
    }
}

static void NAME(scale)(const REAL *J2K_RESTRICT in, REAL factor, size_t n, REAL *J2K_RESTRICT out) {
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * factor;
}

/* ---- rows ---- */

/* Extend the row x[0 .. n) at both ends. Elements are moved as bytes, whatever their type. */
static void NAME(extend_row)(void *row, size_t n) {
    unsigned char *x = row;
    for (ptrdiff_t i = 1; i <= EXTENSION; i++) {
        ptrdiff_t right = (ptrdiff_t)n - 1 + i;
        memcpy(x - SIZE * i, x + SIZE * mirror(-i, (ptrdiff_t)n), SIZE);
        memcpy(x + SIZE * right, x + SIZE * mirror(right, (ptrdiff_t)n), SIZE);
    }
}

/* The same for a row that is split into half rows, position p being even[p / 2] or odd[p / 2]; the row begins
 * at position `parity`. */
static void NAME(extend_half_rows)(void *even, void *odd, unsigned parity, size_t n) {
    unsigned char *half[2] = {even, odd};
    for (ptrdiff_t i = 1; i <= EXTENSION; i++) {
        ptrdiff_t to[2] = {-i, (ptrdiff_t)n - 1 + i};
        for (int end = 0; end < 2; end++) {
            ptrdiff_t p = to[end] + (ptrdiff_t)parity;
            ptrdiff_t from = mirror(to[end], (ptrdiff_t)n) + (ptrdiff_t)parity;
            unsigned char *base = half[p & 1];
            memcpy(base + SIZE * ((p - (p & 1)) / 2), base + SIZE * (from / 2), SIZE);
        }
    }
}

/* ---- vertical lifting ---- */

/* Step k on row y from its neighbours, at the ends of the signal from the same one twice. */
static void NAME(lifting_step)(const dwt_lifting *l, unsigned k, uint64_t y) {
    void *x = lifting_row(l, y);
    const void *a = lifting_row(l, y > l->first ? y - 1 : y + 1);
    const void *b = lifting_row(l, y + 1 < l->end ? y + 1 : y - 1);
    if (!l->reversible)
        CALL(l, lift97, x, a, b, l->first_odd ? NAME(FORWARD_97)[k] : NAME(INVERSE_97)[k], l->width);
    else if (l->first_odd && k == 0)
        CALL(l, predict53, x, a, b, l->width);
    else if (l->first_odd)
        CALL(l, update53, x, a, b, l->width);
    else if (k == 0)
        CALL(l, undo_update53, x, a, b, l->width);
    else
        CALL(l, undo_predict53, x, a, b, l->width);
}

/* All steps that row y, one of those that the second step changes, makes possible. y may lie beyond the end:
 * the rows left over are finished then. */
static void NAME(lifting_chain)(const dwt_lifting *l, uint64_t y) {
    const unsigned steps = l->num_steps;
    if (y < l->end && y >= (uint64_t)l->first + steps + 1) {
        if (!l->reversible)
            CALL(l, chain97, lifting_row(l, y), lifting_row(l, y - 1), lifting_row(l, y - 2),
                 lifting_row(l, y - 3), lifting_row(l, y - 4), lifting_row(l, y - 5),
                 l->first_odd ? NAME(FORWARD_97) : NAME(INVERSE_97), l->width);
        else if (l->first_odd)
            CALL(l, forward53, lifting_row(l, y - 2), lifting_row(l, y - 1), lifting_row(l, y - 3),
                 lifting_row(l, y), l->width);
        else
            CALL(l, inverse53, lifting_row(l, y - 1), lifting_row(l, y - 2), lifting_row(l, y - 3),
                 lifting_row(l, y), l->width);
        return;
    }
    for (unsigned k = 0; k < steps; k++)
        if (y >= (uint64_t)l->first + k + 1 && y - 1 - k < l->end)
            NAME(lifting_step)(l, k, y - 1 - k);
}

/* ---- horizontal transform ---- */

/* Horizontal transform of the finished row y into its two bands. */
static void NAME(forward_emit)(dwt_forward *f, uint32_t y) {
    dwt_lifting *l = &f->lifting;
    if (y < f->out_y0 || y >= f->out_y1 || l->width == 0)
        return;
    const unsigned parity = l->column, is_high = y & 1;
    const uint32_t low_x0 = f->area.x0 / 2 + parity, high_x0 = f->area.x0 / 2;
    const size_t num_low = (parity + (size_t)l->width + 1) / 2 - parity,
                 num_high = (parity + (size_t)l->width) / 2;
    void *low = plane_row(is_high ? &f->lh : &f->ll, low_x0, y / 2, l->wide);
    void *high = plane_row(is_high ? &f->hh : &f->hl, high_x0, y / 2, l->wide);
    void *x = lifting_row(l, y);

    if (l->reversible) {
        INT *row = x;
        if (rect_height(f->area) == 1 && is_high)
            for (uint32_t i = 0; i < l->width; i++)
                row[i] = ADD(row[i], row[i]);
        if (l->width == 1) {
            if (parity)
                *(INT *)high = ADD(row[0], row[0]);
            else
                *(INT *)low = row[0];
            return;
        }
        NAME(extend_row)(x, l->width);
        CALL(l, forward53_row, buffer_row(l, y), parity, num_low, num_high, low, high);
        return;
    }

    /* F.4.8.2 steps 5 and 6, or F.4.6 for signals of length 1, in both directions. */
    const bool row_alone = rect_height(f->area) == 1, column_alone = l->width == 1;
    double vertical = row_alone ? (is_high ? 2.0 : 1.0) : (is_high ? K : 1 / K);
    REAL low_scale = (REAL)(vertical * (column_alone ? 1.0 : 1 / K));
    REAL high_scale = (REAL)(vertical * (column_alone ? 2.0 : K));
    if (column_alone) {
        if (parity)
            *(REAL *)high = *(REAL *)x * high_scale;
        else
            *(REAL *)low = *(REAL *)x * low_scale;
        return;
    }
    NAME(extend_row)(x, l->width);
    CALL(l, forward97_row, buffer_row(l, y), parity, num_low, num_high, low, high, low_scale, high_scale,
         l->even, l->odd);
}

/* Row y of the level from its two bands, horizontally transformed. */
static void NAME(inverse_load)(dwt_inverse *v, uint32_t y) {
    dwt_lifting *l = &v->lifting;
    const unsigned parity = l->column, is_high = y & 1;
    const size_t num_low = (parity + (size_t)l->width + 1) / 2 - parity;
    const size_t num_high = (parity + (size_t)l->width) / 2;
    const void *low = plane_row(is_high ? &v->lh : &v->ll, l->x0 / 2 + parity, y / 2, l->wide);
    const void *high = plane_row(is_high ? &v->hh : &v->hl, l->x0 / 2, y / 2, l->wide);
    const bool row_alone = rect_height(v->area) == 1, column_alone = rect_width(v->area) == 1;
    void *x = lifting_row(l, y);

    if (l->reversible) {
        INT *row = x;
        if (column_alone) {
            row[0] = parity ? *(const INT *)high >> 1 : *(const INT *)low;
        } else {
            memcpy((INT *)l->even + parity, low, SIZE * num_low);
            memcpy(l->odd, high, SIZE * num_high);
            NAME(extend_half_rows)(l->even, l->odd, parity, l->width);
            CALL(l, inverse53_row, l->even, l->odd, (parity + (size_t)l->width + 1) / 2, buffer_row(l, y));
        }
        if (row_alone && is_high)
            for (uint32_t i = 0; i < l->width; i++)
                row[i] >>= 1;
        return;
    }

    /* F.3.8.2 steps 1 and 2, or F.3.6 for signals of length 1, in both directions. */
    double vertical = row_alone ? (is_high ? 0.5 : 1.0) : (is_high ? 1 / K : K);
    REAL low_scale = (REAL)(vertical * (column_alone ? 1.0 : K));
    REAL high_scale = (REAL)(vertical * (column_alone ? 0.5 : 1 / K));
    if (column_alone) {
        *(REAL *)x = parity ? *(const REAL *)high * high_scale : *(const REAL *)low * low_scale;
        return;
    }
    CALL(l, scale, low, low_scale, num_low, (REAL *)l->even + parity);
    CALL(l, scale, high, high_scale, num_high, l->odd);
    NAME(extend_half_rows)(l->even, l->odd, parity, l->width);
    CALL(l, inverse97_row, l->even, l->odd, (parity + (size_t)l->width + 1) / 2, buffer_row(l, y));
}

#undef INT
#undef REAL
#undef NAME
#undef CALL
#undef ADD
#undef SUB
#undef SIZE
