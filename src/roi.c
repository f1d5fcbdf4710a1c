/* Regions of interest through maxshift (T.800 annex H): which coefficients belong to the region, and how far
 * they have to be shifted. SPDX-License-Identifier: BSD-3-Clause */
#include "roi.h"

#include <math.h>
#include <string.h>

/* A byte for each sample of a rectangle, rows without gaps. */
typedef struct mask {
    uint8_t *data;
    rect area;
} mask;

static j2k_status mask_alloc(mask *m, rect area, arena *memory) {
    m->area = area;
    m->data = j2k_arena_alloc_zero(memory, rect_height(area), rect_width(area));
    return m->data ? J2K_OK : J2K_ERROR_MEMORY;
}

static uint8_t *mask_row(const mask *m, uint32_t y) {
    return m->data + (size_t)(y - m->area.y0) * rect_width(m->area);
}

/* ---- the region in the image ---- */

/* A sample belongs to the region when any point of its cell on the reference grid does. */
static void add_rectangle(mask *m, rect r, uint32_t dx, uint32_t dy) {
    rect cells = {r.x0 / dx, r.y0 / dy, ceil_div(r.x1, dx), ceil_div(r.y1, dy)};
    cells = rect_intersect(cells, m->area);
    for (uint32_t y = cells.y0; y < cells.y1; y++)
        memset(mask_row(m, y) + (cells.x0 - m->area.x0), 1, rect_width(cells));
}

static void add_points(mask *m, const encoder *e, uint32_t dx, uint32_t dy) {
    const j2k_image *image = e->image;
    for (uint32_t y = image->y0; y < image->y1; y++) {
        const uint8_t *points = e->options.roi_mask + (ptrdiff_t)(y - image->y0) * e->options.roi_mask_stride;
        if (y / dy < m->area.y0 || y / dy >= m->area.y1)
            continue;
        uint8_t *row = mask_row(m, y / dy);
        for (uint32_t x = image->x0; x < image->x1; x++)
            if (points[x - image->x0] && x / dx >= m->area.x0 && x / dx < m->area.x1)
                row[x / dx - m->area.x0] = 1;
    }
}

static j2k_status image_mask(encoder *e, uint32_t component, rect area, mask *m) {
    const j2k_encode_options *o = &e->options;
    const component_siz *siz = &e->cs.siz.components[component];
    TRY(mask_alloc(m, area, &e->context->work));
    for (uint32_t i = 0; i < o->num_roi_rects; i++) {
        const j2k_rectangle *r = &o->roi_rects[i];
        rect points = {r->x0 + e->image->x0, r->y0 + e->image->y0, r->x1 + e->image->x0,
                       r->y1 + e->image->y0};
        add_rectangle(m, points, siz->dx, siz->dy);
    }
    if (o->roi_mask)
        add_points(m, e, siz->dx, siz->dy);
    return J2K_OK;
}

/* ---- from a resolution to its subbands (H.2) ---- */

/* The coefficient with index k is at position 2k of the resolution in the low-pass band and 2k + 1 in the
 * high-pass band, and takes part in the samples that are no further away than the synthesis filter reaches.
 * The symmetric extension adds none: the mirror image of a coefficient is always further away. */
static uint32_t filter_reach(bool reversible, unsigned high) {
    return reversible ? 1 + high : 3 + high;
}

/* Positions [*from, *to) of [begin, end) that a coefficient takes part in. */
static void affected(uint32_t k, unsigned high, uint32_t reach, uint32_t begin, uint32_t end, uint32_t *from,
                     uint32_t *to) {
    uint64_t at = 2 * (uint64_t)k + high;
    *from = at > (uint64_t)begin + reach ? (uint32_t)(at - reach) : begin;
    *to = at + reach + 1 < end ? (uint32_t)(at + reach + 1) : end;
}

static void split_columns(const mask *in, bool reversible, unsigned high, mask *out) {
    uint32_t reach = filter_reach(reversible, high);
    for (uint32_t y = in->area.y0; y < in->area.y1; y++) {
        const uint8_t *row = mask_row(in, y);
        uint8_t *to_row = mask_row(out, y);
        for (uint32_t k = out->area.x0; k < out->area.x1; k++) {
            uint32_t from, to;
            affected(k, high, reach, in->area.x0, in->area.x1, &from, &to);
            if (from < to)
                to_row[k - out->area.x0] = memchr(row + (from - in->area.x0), 1, to - from) != NULL;
        }
    }
}

static void split_rows(const mask *in, bool reversible, unsigned high, mask *out) {
    uint32_t reach = filter_reach(reversible, high), width = rect_width(in->area);
    for (uint32_t k = out->area.y0; k < out->area.y1; k++) {
        uint8_t *to_row = mask_row(out, k);
        uint32_t from, to;
        affected(k, high, reach, in->area.y0, in->area.y1, &from, &to);
        for (uint32_t y = from; y < to; y++) {
            const uint8_t *row = mask_row(in, y);
            for (uint32_t x = 0; x < width; x++)
                to_row[x] |= row[x];
        }
    }
}

/* The mask of one subband of a resolution. */
static j2k_status split(const mask *in, bool reversible, unsigned orientation, rect area, arena *memory,
                        mask *out) {
    mask columns;
    rect half = {area.x0, in->area.y0, area.x1, in->area.y1};
    TRY(mask_alloc(&columns, half, memory));
    TRY(mask_alloc(out, area, memory));
    split_columns(in, reversible, orientation & 1, &columns);
    split_rows(&columns, reversible, orientation >> 1, out);
    return J2K_OK;
}

static bool has_roi(const encoder *e, uint32_t component) {
    return e->options.roi_component < 0 || e->options.roi_component == (int)component;
}

static j2k_status mask_component(encoder *e, uint32_t component, tile_component *tc) {
    arena *memory = &e->context->work;
    const bool reversible = tc->style->coding.reversible;
    mask here, lower = {NULL, {0, 0, 0, 0}};
    tc->roi_masks = ARENA_ALLOC(memory, const uint8_t *, 3 * (size_t)tc->num_resolutions);
    RETURN_IF(!tc->roi_masks, J2K_ERROR_MEMORY);
    TRY(image_mask(e, component, tc->area, &here));
    for (unsigned r = tc->num_resolutions - 1u; r > 0; r--, here = lower) {
        resolution *res = &tc->resolutions[r];
        for (unsigned b = 0; b < res->num_bands; b++) {
            subband *band = &res->bands[b];
            mask m;
            TRY(split(&here, reversible, band->orientation, band->area, memory, &m));
            tc->roi_masks[3 * r + b] = m.data;
        }
        TRY(split(&here, reversible, BAND_LL, tc->resolutions[r - 1].area, memory, &lower));
    }
    tc->roi_masks[0] = here.data;
    return J2K_OK;
}

j2k_status j2k_roi_mask_tile(encoder *e, tile *t) {
    if (!j2k_has_region(&e->options))
        return J2K_OK;
    for (uint32_t c = 0; c < t->num_components; c++)
        if (has_roi(e, c))
            TRY(mask_component(e, c, &t->components[c]));
    return J2K_OK;
}

/* ---- the shift ---- */

static double magnitude_at(const plane *p, bool wide, bool reversible, ptrdiff_t at) {
    if (wide)
        return fabs(reversible ? (double)((const int64_t *)p->data)[at] : ((const double *)p->data)[at]);
    return fabs(reversible ? (double)((const int32_t *)p->data)[at] : (double)((const float *)p->data)[at]);
}

/* The largest quantised magnitude outside of the region. */
static double background(const tile_component *tc, unsigned r, unsigned b) {
    const subband *band = &tc->resolutions[r].bands[b];
    const plane *p = &band->coefficients;
    const uint8_t *m = tc->roi_masks[3 * r + b];
    const bool reversible = tc->style->coding.reversible;
    double largest = 0;
    for (uint32_t y = 0; y < rect_height(p->area); y++)
        for (uint32_t x = 0; x < rect_width(p->area); x++)
            if (!*m++)
                largest = fmax(
                    largest, magnitude_at(p, tc->wide, reversible, (ptrdiff_t)y * p->stride + (ptrdiff_t)x));
    return reversible ? largest : largest / band->step;
}

static j2k_status measure_background(encoder *e, double *largest) {
    uint32_t tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    for (uint32_t i = 0; i < tiles; i++) {
        tile t;
        j2k_arena_reset(&e->context->work);
        TRY(j2k_encode_load_tile(e, i, &e->context->work, &t));
        TRY(j2k_roi_mask_tile(e, &t));
        for (uint32_t c = 0; c < t.num_components; c++)
            for (unsigned r = 0; has_roi(e, c) && r < t.components[c].num_resolutions; r++)
                for (unsigned b = 0; b < t.components[c].resolutions[r].num_bands; b++)
                    *largest = fmax(*largest, background(&t.components[c], r, b));
    }
    return J2K_OK;
}

j2k_status j2k_roi_plan(encoder *e) {
    enum { MAX_SHIFT = 37 }; /* of RGN, in every profile */
    const j2k_encode_options *o = &e->options;
    unsigned shift = o->roi_shift;
    if (j2k_has_region(o)) {
        double largest = 0;
        int bits;
        TRY(measure_background(e, &largest));
        frexp(floor(largest * (1 + 1e-6)), &bits); /* quantisers work in single precision */
        /* One bit more than H.1 asks for: OpenJPEG's decoder compares coefficients that have a bit below the
         * point with 2^shift. */
        shift = shift ? shift : (unsigned)bits + 1;
        if (shift < (unsigned)bits || shift > MAX_SHIFT)
            return j2k_fail(&e->context->diag, J2K_ERROR_ARGUMENT,
                            "roi_shift %u: the samples outside of the region need %d; at most %d is possible",
                            shift, bits, MAX_SHIFT);
    }
    for (uint32_t c = 0; c < e->cs.siz.num_components; c++) {
        bool shifted = j2k_has_region(o) ? has_roi(e, c) : o->roi_component == (int)c;
        e->cs.components[c].roi_shift = shifted ? (uint8_t)shift : 0;
    }
    return J2K_OK;
}
