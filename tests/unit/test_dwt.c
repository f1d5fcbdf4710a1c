/* The wavelet transform against the equations of T.800 annex F, written down directly.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "dwt.h"

#include <math.h>
#include <string.h>

#include "transform_check.h"
#include "j2k.h"

/* ---- T.800 annex F, one sample at a time ---- */

/* An interleaved signal with coordinates i0 .. i1 - 1; any coordinate may be read (F.3.7: equation F-4). Both
 * wavelets are computed in double; the reversible one rounds with floor, which is exact there. */
typedef struct signal {
    double *data;
    int64_t i0, i1;
} signal;

static double *at(signal s, int64_t i) {
    int64_t period = 2 * (s.i1 - s.i0 - 1), m = (i - s.i0) % period;
    if (m < 0)
        m += period;
    return &s.data[m < s.i1 - s.i0 ? m : period - m];
}

/* y[i] += f(neighbours) for all coordinates of one parity in and around the signal: extension first, then the
 * steps on ever fewer samples, as in F.3.8 and F.4.8. Because at() mirrors, doing it on the signal itself is
 * the same as doing it on the extended one. */
static void step(signal s, int parity, double factor, double offset, bool rounded) {
    for (int64_t i = s.i0; i < s.i1; i++)
        if ((i & 1) == parity) {
            double change = factor * (*at(s, i - 1) + *at(s, i + 1)) + offset;
            *at(s, i) += rounded ? floor(change) : change;
        }
}

static const double A = -1.586134342059924, B = -0.052980118572961, G = 0.882911075530934,
                    D = 0.443506852043971, KAPPA = 1.230174104914001;

static void forward_1d(signal s, bool reversible) {
    if (s.i1 - s.i0 == 1) { /* F.4.6 */
        if (s.i0 & 1)
            s.data[0] *= 2;
        return;
    }
    if (reversible) { /* equations F-9, F-10: Y(2n+1) = X - floor((a + b) / 2) */
        for (int64_t i = s.i0; i < s.i1; i++)
            if (i & 1)
                *at(s, i) -= floor((*at(s, i - 1) + *at(s, i + 1)) / 2);
        step(s, 0, 0.25, 0.5, true);
        return;
    }
    step(s, 1, A, 0, false);
    step(s, 0, B, 0, false);
    step(s, 1, G, 0, false);
    step(s, 0, D, 0, false);
    for (int64_t i = s.i0; i < s.i1; i++)
        *at(s, i) *= i & 1 ? KAPPA : 1 / KAPPA;
}

static void inverse_1d(signal s, bool reversible) {
    if (s.i1 - s.i0 == 1) { /* F.3.6 */
        if (s.i0 & 1)
            s.data[0] = reversible ? floor(s.data[0] / 2) : s.data[0] / 2;
        return;
    }
    if (reversible) { /* equations F-5, F-6 */
        for (int64_t i = s.i0; i < s.i1; i++)
            if (!(i & 1))
                *at(s, i) -= floor((*at(s, i - 1) + *at(s, i + 1) + 2) / 4);
        step(s, 1, 0.5, 0, true);
        return;
    }
    for (int64_t i = s.i0; i < s.i1; i++)
        *at(s, i) *= i & 1 ? 1 / KAPPA : KAPPA;
    step(s, 0, -D, 0, false);
    step(s, 1, -G, 0, false);
    step(s, 0, -B, 0, false);
    step(s, 1, -A, 0, false);
}

static void columns(double *image, rect area, bool reversible, void (*transform)(signal, bool)) {
    const size_t w = rect_width(area), h = rect_height(area);
    double *column = check_alloc(h * sizeof *column);
    for (size_t x = 0; x < w; x++) {
        for (size_t y = 0; y < h; y++)
            column[y] = image[y * w + x];
        transform((signal){column, area.y0, area.y1}, reversible);
        for (size_t y = 0; y < h; y++)
            image[y * w + x] = column[y];
    }
    free(column);
}

static void rows(double *image, rect area, bool reversible, void (*transform)(signal, bool)) {
    for (size_t y = 0; y < rect_height(area); y++)
        transform((signal){image + y * rect_width(area), area.x0, area.x1}, reversible);
}

/* F.4.2: columns, then rows; F.3.2: rows, then columns. The subbands stay interleaved. */
static void reference_forward(double *image, rect area, bool reversible) {
    columns(image, area, reversible, forward_1d);
    rows(image, area, reversible, forward_1d);
}

static void reference_inverse(double *image, rect area, bool reversible) {
    rows(image, area, reversible, inverse_1d);
    columns(image, area, reversible, inverse_1d);
}

/* ---- planes ---- */

/* A plane of 32-bit elements whose surroundings hold a pattern that must survive. */
enum { GUARD = 16, PATTERN = 0x5A5A5A5A };

typedef struct guarded {
    plane plane;
    int32_t *memory;
    size_t size;
} guarded;

static guarded guarded_plane(rect area) {
    guarded g;
    g.plane.area = area;
    g.plane.stride = (ptrdiff_t)rect_width(area) + GUARD;
    g.size = (size_t)g.plane.stride * (rect_height(area) + 1) + GUARD;
    g.memory = check_alloc(4 * g.size);
    for (size_t i = 0; i < g.size; i++)
        g.memory[i] = PATTERN;
    g.plane.data = rect_empty(area) ? NULL : g.memory + GUARD;
    return g;
}

static bool guards_intact(const guarded *g) {
    const size_t w = rect_width(g->plane.area), h = rect_height(g->plane.area);
    for (size_t i = 0; i < g->size; i++) {
        bool inside = i >= GUARD && (i - GUARD) / (size_t)g->plane.stride < h &&
                      (i - GUARD) % (size_t)g->plane.stride < w;
        if (!inside && g->memory[i] != PATTERN)
            return false;
    }
    return true;
}

/* The element of the interleaved level at (x, y), in the band it belongs to. */
static int32_t *band_element(guarded bands[4], uint32_t x, uint32_t y) {
    const plane *p = &bands[(y & 1) << 1 | (x & 1)].plane;
    return (int32_t *)p->data + (ptrdiff_t)(y / 2 - p->area.y0) * p->stride + (ptrdiff_t)(x / 2 - p->area.x0);
}

static double element_value(const int32_t *e, bool reversible) {
    float f;
    if (reversible)
        return *e;
    memcpy(&f, e, 4);
    return f;
}

static void set_element(int32_t *e, bool reversible, double value) {
    float f = (float)value;
    if (reversible)
        *e = (int32_t)value;
    else
        memcpy(e, &f, 4);
}

static void make_bands(rect area, guarded bands[4]) {
    for (unsigned b = 0; b < 4; b++)
        bands[b] = guarded_plane(subband_rect(area, 1, b & 1, b >> 1));
}

static void free_bands(guarded bands[4]) {
    for (unsigned b = 0; b < 4; b++)
        free(bands[b].memory);
}

/* 64-byte aligned scratch of exactly the promised size, so that a sanitizer sees what goes beyond. */
typedef struct scratch {
    void *memory, *aligned;
} scratch;

static scratch scratch_for(uint32_t width) {
    scratch s;
    size_t size = j2k_dwt_scratch_size(width, false);
    s.memory = check_alloc(size + 64);
    size_t skip = 64 - (uintptr_t)s.memory % 64;
    s.aligned = (char *)s.memory + skip;
    memset(s.aligned, 0xA5, size);
    return s;
}

/* ---- running the engine ---- */

static uint32_t even_below(uint32_t v) {
    return v & ~1u;
}

/* Forward in stripes of `stripe` rows (0: one). image holds width x height 32-bit elements. */
static void run_forward(const dsp_kernels *dsp, bool reversible, rect area, const int32_t *image,
                        uint32_t stripe, guarded bands[4]) {
    const size_t w = rect_width(area);
    scratch s = scratch_for(rect_width(area));
    int32_t *row = check_alloc(4 * w);
    for (uint32_t y0 = area.y0; y0 < area.y1;) {
        uint32_t y1 = stripe && area.y1 - y0 > stripe ? even_below(y0 + stripe) : area.y1;
        dwt_forward f;
        f.ll = bands[0].plane, f.hl = bands[1].plane, f.lh = bands[2].plane, f.hh = bands[3].plane;
        j2k_dwt_forward_begin(&f, dsp, reversible, false, area, y0, y1, s.aligned);
        CHECK(f.next_row >= area.y0 && f.end_row <= area.y1, "rows %u..%u", f.next_row, f.end_row);
        while (f.next_row < f.end_row) {
            const int32_t *source = image + (f.next_row - area.y0) * w;
            if (random_below(3) == 0) { /* made in place */
                memcpy(j2k_dwt_forward_row(&f), source, 4 * w);
                j2k_dwt_forward_push(&f, j2k_dwt_forward_row(&f));
                continue;
            }
            memcpy(row, source, 4 * w);
            j2k_dwt_forward_push(&f, row);
            CHECK(memcmp(row, source, 4 * w) == 0, "the row pushed was changed");
        }
        y0 = y1;
    }
    free(row);
    free(s.memory);
}

/* Inverse of a window in stripes of `stripe` rows into out, window-sized. */
static void run_inverse(const dsp_kernels *dsp, bool reversible, rect area, rect window, guarded bands[4],
                        uint32_t stripe, int32_t *out) {
    const size_t w = rect_width(window);
    scratch s = scratch_for(rect_width(window));
    int32_t *row = check_alloc(4 * (w + 1));
    for (uint32_t y0 = window.y0; y0 < window.y1;) {
        uint32_t y1 = stripe && window.y1 - y0 > stripe ? y0 + stripe : window.y1;
        rect part = window;
        part.y0 = y0, part.y1 = y1;
        dwt_inverse v;
        j2k_dwt_inverse_begin(&v, dsp, reversible, false, area, part, bands[0].plane, bands[1].plane,
                              bands[2].plane, bands[3].plane, s.aligned);
        for (uint32_t y = y0; y < y1; y++) {
            row[w] = PATTERN;
            if (random_below(3) == 0)
                memcpy(row, j2k_dwt_inverse_next(&v), 4 * w);
            else
                j2k_dwt_inverse_pull(&v, row);
            CHECK(row[w] == PATTERN, "wrote beyond the row");
            memcpy(out + (y - window.y0) * w, row, 4 * w);
        }
        CHECK(!j2k_dwt_inverse_next(&v), "more rows than the window has");
        y0 = y1;
    }
    free(row);
    free(s.memory);
}

/* ---- the tests ---- */

static rect random_area(uint32_t limit) {
    rect r;
    uint32_t origin = random_below(8) ? 9 : 0x7FFFFF00;
    r.x0 = origin + random_below(4);
    r.y0 = origin + random_below(4);
    r.x1 = r.x0 + 1 + random_below(random_below(3) ? limit : 8);
    r.y1 = r.y0 + 1 + random_below(random_below(3) ? limit : 8);
    return r;
}

static rect random_window(rect area) {
    rect w;
    w.x0 = area.x0 + random_below(rect_width(area));
    w.y0 = area.y0 + random_below(rect_height(area));
    w.x1 = w.x0 + 1 + random_below(area.x1 - w.x0);
    w.y1 = w.y0 + 1 + random_below(area.y1 - w.y0);
    return w;
}

/* Noise, or the extremes of `bits` bits, or small numbers. */
static double random_sample(unsigned kind, unsigned bits) {
    const double limit = (double)(1u << (bits - 1));
    switch (kind) {
    case 0:
        return (double)random_u32() / 4294967296.0 * 2 * limit - limit;
    case 1:
        return random_u32() & 1 ? limit - 1 : -limit;
    default:
        return (double)random_below(5) - 2;
    }
}

#define AREA_FORMAT    "[%u,%u)x[%u,%u)"
#define AREA_VALUES(r) (r).x0, (r).x1, (r).y0, (r).y1

/* Largest difference between the bands and the interleaved reference. */
static double band_error(guarded bands[4], rect area, bool reversible, const double *reference) {
    double worst = 0;
    for (uint32_t y = area.y0; y < area.y1; y++)
        for (uint32_t x = area.x0; x < area.x1; x++) {
            double expected = reference[(size_t)(y - area.y0) * rect_width(area) + (x - area.x0)];
            double error = fabs(element_value(band_element(bands, x, y), reversible) - expected);
            worst = error > worst ? error : worst;
        }
    return worst;
}

static void check_crop(const int32_t *part, rect window, const int32_t *whole, rect area, const char *what) {
    const size_t w = rect_width(window);
    for (uint32_t y = window.y0; y < window.y1; y++) {
        const int32_t *expected = whole + (size_t)(y - area.y0) * rect_width(area) + (window.x0 - area.x0);
        if (memcmp(part + (y - window.y0) * w, expected, 4 * w) != 0) {
            CHECK(false, "%s: window " AREA_FORMAT " of " AREA_FORMAT " row %u", what, AREA_VALUES(window),
                  AREA_VALUES(area), y);
            return;
        }
    }
    check_count++;
}

/* Copies of the bands that cover just what the window needs. */
static void needed_bands(bool reversible, rect area, rect window, guarded bands[4], guarded needed[4]) {
    for (unsigned b = 0; b < 4; b++) {
        needed[b] = guarded_plane(j2k_dwt_needed(reversible, area, window, b));
        rect r = needed[b].plane.area;
        CHECK(rect_empty(r) || (r.x0 >= bands[b].plane.area.x0 && r.x1 <= bands[b].plane.area.x1 &&
                                r.y0 >= bands[b].plane.area.y0 && r.y1 <= bands[b].plane.area.y1),
              "needed area outside of the band");
        for (uint32_t y = r.y0; y < r.y1; y++)
            for (uint32_t x = r.x0; x < r.x1; x++)
                *band_element(needed, 2 * x + (b & 1), 2 * y + (b >> 1)) =
                    *band_element(bands, 2 * x + (b & 1), 2 * y + (b >> 1));
    }
}

/* One random level: against the reference, back again, in stripes, in windows. */
static void check_level(const dsp_kernels *dsp, bool reversible, rect area) {
    const unsigned bits = reversible ? 1 + random_below(27) : 16, kind = random_below(3);
    const size_t count = (size_t)rect_size(area);
    double *reference = check_alloc(count * sizeof *reference);
    int32_t *image = check_alloc(4 * count), *back = check_alloc(4 * count);
    for (size_t i = 0; i < count; i++) {
        reference[i] = floor(random_sample(kind, bits));
        set_element(&image[i], reversible, reference[i]);
    }
    guarded whole[4], striped[4];
    make_bands(area, whole);
    make_bands(area, striped);

    run_forward(dsp, reversible, area, image, 0, whole);
    reference_forward(reference, area, reversible);
    const double tolerance = reversible ? 0 : 0.125; /* 2^-20 of the largest coefficients */
    double error = band_error(whole, area, reversible, reference);
    CHECK(error <= tolerance, "forward, reversible %d, " AREA_FORMAT ": %g", reversible, AREA_VALUES(area),
          error);
    run_forward(dsp, reversible, area, image, 2 + 2 * random_below(8), striped);
    for (unsigned b = 0; b < 4; b++) {
        CHECK(guards_intact(&whole[b]) && guards_intact(&striped[b]), "wrote outside of band %u", b);
        CHECK(memcmp(whole[b].memory, striped[b].memory, 4 * whole[b].size) == 0,
              "stripes differ, reversible %d, " AREA_FORMAT ", band %u", reversible, AREA_VALUES(area), b);
    }

    run_inverse(dsp, reversible, area, area, whole, 0, back);
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs(element_value(&back[i], reversible) - element_value(&image[i], reversible)));
    CHECK(worst <= tolerance, "inverse, reversible %d, " AREA_FORMAT ": %g", reversible, AREA_VALUES(area),
          worst);

    int32_t *part = check_alloc(4 * count);
    for (int i = 0; i < 4; i++) {
        rect window = i ? random_window(area) : area;
        guarded needed[4];
        needed_bands(reversible, area, window, whole, needed);
        run_inverse(dsp, reversible, area, window, needed, random_below(2) ? 1 + random_below(9) : 0, part);
        check_crop(part, window, back, area, reversible ? "5/3" : "9/7");
        free_bands(needed);
    }
    free(part);
    free_bands(whole);
    free_bands(striped);
    free(image);
    free(back);
    free(reference);
}

/* ---- elements of 64 bits ---- */

static void *wide_element(const plane bands[4], uint32_t x, uint32_t y) {
    const plane *p = &bands[(x & 1) + 2 * (y & 1)];
    return (char *)p->data + 8 * ((ptrdiff_t)(y / 2 - p->area.y0) * p->stride + (x / 2 - p->area.x0));
}

static double wide_value(const void *element, bool reversible) {
    return reversible ? (double)*(const int64_t *)element : *(const double *)element;
}

/* Samples of 32 bits, the RCT's bit included 33: the 5/3 is exact in the reference's doubles too. */
static void check_wide(const dsp_kernels *dsp, bool reversible, rect area) {
    const size_t w = rect_width(area), count = (size_t)rect_size(area);
    double *reference = check_alloc(count * sizeof *reference),
           *samples = check_alloc(count * sizeof *samples);
    plane bands[4];
    void *memory = check_alloc(j2k_dwt_scratch_size((uint32_t)w, true) + 64);
    void *scratch = (char *)memory + (64 - (uintptr_t)memory % 64);
    unsigned char *row = check_alloc(8 * w);
    for (unsigned b = 0; b < 4; b++) {
        bands[b].area = subband_rect(area, 1, b & 1, b >> 1);
        bands[b].stride = (ptrdiff_t)rect_width(bands[b].area) + 3;
        bands[b].data = check_alloc(8 * (size_t)bands[b].stride * (rect_height(bands[b].area) + 1));
    }
    const unsigned kind = random_below(3);
    for (size_t i = 0; i < count; i++)
        reference[i] = samples[i] = floor(random_sample(kind, 32) * 2);
    dwt_forward f = {.ll = bands[0], .hl = bands[1], .lh = bands[2], .hh = bands[3]};
    j2k_dwt_forward_begin(&f, dsp, reversible, true, area, area.y0, area.y1, scratch);
    for (uint32_t y = area.y0; y < area.y1; y++) {
        for (size_t x = 0; x < w; x++)
            if (reversible)
                ((int64_t *)(void *)row)[x] = (int64_t)samples[(y - area.y0) * w + x];
            else
                ((double *)(void *)row)[x] = samples[(y - area.y0) * w + x];
        j2k_dwt_forward_push(&f, row);
    }
    reference_forward(reference, area, reversible);
    const double tolerance = reversible ? 0 : 1e-4; /* 2^-49 of the largest coefficients */
    double worst = 0;
    for (uint32_t y = area.y0; y < area.y1; y++)
        for (uint32_t x = area.x0; x < area.x1; x++)
            worst = fmax(worst, fabs(wide_value(wide_element(bands, x, y), reversible) -
                                     reference[(y - area.y0) * w + (x - area.x0)]));
    CHECK(worst <= tolerance, "wide forward, reversible %d, " AREA_FORMAT ": %g", reversible,
          AREA_VALUES(area), worst);
    dwt_inverse v;
    worst = 0;
    j2k_dwt_inverse_begin(&v, dsp, reversible, true, area, area, bands[0], bands[1], bands[2], bands[3],
                          scratch);
    for (uint32_t y = area.y0; y < area.y1; y++) {
        j2k_dwt_inverse_pull(&v, row);
        for (size_t x = 0; x < w; x++)
            worst = fmax(worst, fabs(wide_value(row + 8 * x, reversible) - samples[(y - area.y0) * w + x]));
    }
    CHECK(worst <= tolerance, "wide inverse, reversible %d, " AREA_FORMAT ": %g", reversible,
          AREA_VALUES(area), worst);
    for (unsigned b = 0; b < 4; b++)
        free(bands[b].data);
    free(memory);
    free(row);
    free(samples);
    free(reference);
}

/* Coefficients that no encoder made: the inverse against the reference, odd numbers in single samples
 * included. */
static void check_inverse(const dsp_kernels *dsp, bool reversible, rect area) {
    const size_t count = (size_t)rect_size(area);
    double *reference = check_alloc(count * sizeof *reference);
    int32_t *out = check_alloc(4 * count);
    guarded bands[4];
    make_bands(area, bands);
    for (uint32_t y = area.y0; y < area.y1; y++)
        for (uint32_t x = area.x0; x < area.x1; x++) {
            double v = floor(random_sample(random_below(3), 16));
            reference[(size_t)(y - area.y0) * rect_width(area) + (x - area.x0)] = v;
            set_element(band_element(bands, x, y), reversible, v);
        }
    reference_inverse(reference, area, reversible);
    run_inverse(dsp, reversible, area, area, bands, 0, out);
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs(element_value(&out[i], reversible) - reference[i]));
    CHECK(worst <= (reversible ? 0 : 0.125), "inverse, reversible %d, " AREA_FORMAT ": %g", reversible,
          AREA_VALUES(area), worst);
    free_bands(bands);
    free(out);
    free(reference);
}

/* Table E.1 and F.3.8.2: gain 1 for a constant in LL, 2 for the highest frequency in each high-pass
 * direction. */
static void check_gain(const dsp_kernels *dsp, bool reversible) {
    const rect area = {3, 2, 50, 41};
    const size_t w = rect_width(area);
    int32_t image[47 * 39];
    guarded bands[4];
    make_bands(area, bands);
    for (unsigned b = 0; b < 4; b++) {
        for (uint32_t y = area.y0; y < area.y1; y++)
            for (uint32_t x = area.x0; x < area.x1; x++) {
                bool negative = ((b & 1) && (x & 1)) != ((b >> 1) && (y & 1));
                set_element(&image[(y - area.y0) * w + (x - area.x0)], reversible, negative ? -100 : 100);
            }
        run_forward(dsp, reversible, area, image, 0, bands);
        for (uint32_t y = area.y0; y < area.y1; y++)
            for (uint32_t x = area.x0; x < area.x1; x++) {
                unsigned band = (y & 1) << 1 | (x & 1);
                double gain = (b & 1 ? 2 : 1) * (b >> 1 ? 2 : 1);
                double v = fabs(element_value(band_element(bands, x, y), reversible));
                CHECK(fabs(v - (band == b ? 100 * gain : 0)) < 1e-3, "band %u for input %u: %g", band, b, v);
            }
    }
    free_bands(bands);
}

/* j2k_basis_energy against impulses in the middle of each subband, through the float transform itself: the
 * 9/7 norms as they are; the 5/3 ones with impulses so large that the rounding does not matter. */
static void check_energy(const dsp_kernels *dsp, bool reversible, unsigned levels) {
    const uint32_t size = 32u << levels;
    const double height = reversible ? 1 << 20 : 1;
    int32_t *image = check_alloc(4 * (size_t)size * size);
    for (unsigned b = 0; b < 4; b++) {
        uint32_t n = 32;
        memset(image, 0, 4 * (size_t)n * n);
        for (unsigned level = levels; level >= 1; level--, n *= 2) {
            const rect area = {0, 0, 2 * n, 2 * n};
            guarded bands[4];
            make_bands(area, bands);
            for (unsigned i = 0; i < 4; i++)
                for (uint32_t y = 0; y < n; y++)
                    memset((int32_t *)bands[i].plane.data + y * bands[i].plane.stride, 0, 4 * (size_t)n);
            for (uint32_t y = 0; y < n && level < levels; y++)
                memcpy((int32_t *)bands[0].plane.data + y * bands[0].plane.stride, image + y * n,
                       4 * (size_t)n);
            if (level == levels)
                set_element((int32_t *)bands[b].plane.data + 16 * bands[b].plane.stride + 16, reversible,
                            height);
            run_inverse(dsp, reversible, area, area, bands, 0, image);
            free_bands(bands);
        }
        double energy = 0;
        for (size_t i = 0; i < (size_t)n * n; i++) {
            double v = element_value(&image[i], reversible) / height;
            energy += v * v;
        }
        double expected = j2k_basis_energy(reversible, levels, b);
        CHECK(fabs(energy / expected - 1) < 1e-4, "reversible %d, level %u, band %u: %.9g, table %.9g",
              reversible, levels, b, energy, expected);
    }
    free(image);
}

int main(void) {
    const unsigned all = j2k_cpu_flags();
    const unsigned masks[] = {0, J2K_CPU_SSE41, J2K_CPU_SSE41 | J2K_CPU_AVX2, J2K_CPU_ALL};
    for (unsigned m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        const dsp_kernels *dsp = j2k_dsp_get(all & masks[m]);
        if (m && dsp == j2k_dsp_get(all & masks[m - 1]))
            continue;
        for (int reversible = 0; reversible < 2; reversible++) {
            for (uint32_t i = 0; i < 4 * 7 * 7; i++) { /* all small sizes at all parities */
                const rect area = {2 + (i & 1), 4 + (i >> 1 & 1), 3 + (i & 1) + i / 4 % 7,
                                   5 + (i >> 1 & 1) + i / 28};
                check_level(dsp, reversible, area);
                check_inverse(dsp, reversible, area);
            }
            for (int i = 0; i < 150; i++) {
                check_level(dsp, reversible, random_area(90));
                check_inverse(dsp, reversible, random_area(40));
            }
            for (int i = 0; i < 100 && m == 0; i++)
                check_wide(dsp, reversible, random_area(i % 2 ? 60 : 5));
            check_gain(dsp, reversible);
            for (unsigned level = 1; level <= 4; level++)
                check_energy(dsp, reversible, level);
        }
    }
    CHECK(j2k_basis_energy(true, 0, 0) == 1 && j2k_basis_energy(false, 0, 0) == 1, "no decomposition");
    for (unsigned b = 0; b < 4; b++) /* beyond the table */
        for (unsigned level = 11; level <= 32; level++)
            CHECK(fabs(j2k_basis_energy(b & 1, level, b) / j2k_basis_energy(b & 1, level - 1, b) - 4) < 1e-3,
                  "level %u", level);
    return check_result();
}
