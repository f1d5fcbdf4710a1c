/* Sample rows to subbands and back for one tile: level shift, colour transform
 * and wavelet, fused row by row. SPDX-License-Identifier: BSD-3-Clause */
#include "transform.h"

#include "dwt.h"
#include "image.h"

/* Rows below which a stripe is not worth a thread: the rows that a stripe makes
 * again stay under a tenth. */
enum { MIN_STRIPE_ROWS = 64, STRIPES_PER_WORKER = 2 };

/* One pass over the rows of some level of all components, cut into stripes. */
typedef struct row_pass {
    j2k_context *context;
    tile *t;
    image_window window;
    uint32_t num_stripes;
    uint32_t depth; /* forward: levels done before this one */
    uint32_t level; /* inverse: the resolution to make */
    char *scratch;  /* per worker: scratch_size bytes */
    size_t scratch_size;
    size_t dwt_size; /* of each of the three DWTs in it */
} row_pass;

static uint32_t num_groups(const tile *t) {
    return t->style->colour_transform ? t->num_components - 2 : t->num_components;
}

static component_group group_at(const tile *t, uint32_t index) {
    component_group g = {index, 1};
    if (t->style->colour_transform) {
        g.first = index ? index + 2 : 0;
        g.count = index ? 1 : 3;
    }
    return g;
}

static void *plane_row(plane p, uint32_t y, bool wide) {
    return (char *)p.data + (ptrdiff_t)(y - p.area.y0) * p.stride * (ptrdiff_t)element_size(wide);
}

static j2k_status plane_alloc(plane *p, rect area, bool wide, arena *memory) {
    uint64_t stride = ((uint64_t)rect_width(area) + 15) / 16 * 16;
    if (stride % 1024 == 0) /* whole pages: rows would fall on the same cache sets */
        stride += 16;
    RETURN_IF(stride > SIZE_MAX / 16 / ((uint64_t)rect_height(area) + 1), J2K_ERROR_MEMORY);
    uint64_t elements = stride * rect_height(area) + 16;
    p->area = area;
    p->stride = (ptrdiff_t)stride;
    p->data = j2k_arena_alloc(memory, (size_t)elements, element_size(wide));
    return p->data ? J2K_OK : J2K_ERROR_MEMORY;
}

/* Bounds of stripe `index` in rows [y0, y1): even coordinates, except for the
 * ends. */
static void stripe_bounds(uint32_t y0, uint32_t y1, uint32_t index, uint32_t count, uint32_t *from,
                          uint32_t *to) {
    uint64_t height = y1 - y0;
    uint32_t a = (uint32_t)(y0 + height * index / count) & ~1u;
    uint32_t b = (uint32_t)(y0 + height * (index + 1) / count) & ~1u;
    *from = index == 0 ? y0 : max_u32(a, y0);
    *to = index + 1 == count ? y1 : max_u32(b, y0);
}

/* Set num_stripes and the scratch of a pass over levels of at most this width
 * and height; wide: some of them are. */
static j2k_status pass_setup(row_pass *pass, uint32_t width, uint32_t height, bool wide) {
    unsigned workers = pass->context->num_workers;
    uint32_t stripes = height / MIN_STRIPE_ROWS;
    pass->num_stripes = workers == 1 ? 1 : max_u32(1, min_u32(stripes, workers * STRIPES_PER_WORKER));
    pass->dwt_size = (j2k_dwt_scratch_size(width, wide) + 63) / 64 * 64;
    pass->scratch_size = 3 * pass->dwt_size;
    pass->scratch = j2k_arena_alloc(&pass->context->work, workers, pass->scratch_size);
    return pass->scratch ? J2K_OK : J2K_ERROR_MEMORY;
}

static void *pass_dwt_scratch(const row_pass *pass, unsigned worker, uint32_t i) {
    return pass->scratch + worker * pass->scratch_size + i * pass->dwt_size;
}

/* ---- forward ---- */

static j2k_status forward_allocate(tile *t, arena *memory) {
    for (uint32_t c = 0; c < t->num_components; c++) {
        tile_component *tc = &t->components[c];
        for (unsigned r = 0; r < tc->num_resolutions; r++) {
            resolution *res = &tc->resolutions[r];
            for (unsigned b = 0; b < res->num_bands; b++)
                TRY(plane_alloc(&res->bands[b].coefficients, res->bands[b].area, tc->wide, memory));
            if (r == 0)
                res->samples = res->bands[0].coefficients;
            else if (r + 1u < tc->num_resolutions)
                TRY(plane_alloc(&res->samples, res->area, tc->wide, memory));
        }
    }
    return J2K_OK;
}

/* Begin rows [from, to) of the level that makes resolution r - 1 out of
 * resolution r. */
static void forward_begin(const row_pass *pass, const tile_component *tc, unsigned r, uint32_t from,
                          uint32_t to, void *scratch, dwt_forward *f) {
    const resolution *res = &tc->resolutions[r];
    f->ll = tc->resolutions[r - 1].samples;
    f->hl = res->bands[0].coefficients;
    f->lh = res->bands[1].coefficients;
    f->hh = res->bands[2].coefficients;
    j2k_dwt_forward_begin(f, pass->context->dsp, tc->style->coding.reversible, tc->wide, res->area, from, to,
                          scratch);
}

/* Row y of a group of components, colour transform included. */
static void load_rows(const row_pass *pass, component_group g, uint32_t y, void *const rows[3]) {
    const dsp_kernels *dsp = pass->context->dsp;
    const tile_component *tc = &pass->t->components[g.first];
    const j2k_component *views = &pass->window.image->components[g.first];
    rect origin = pass->window.areas[g.first];
    const bool reversible = tc->style->coding.reversible;
    uint32_t x = tc->area.x0 - origin.x0, n = rect_width(tc->area);
    y -= origin.y0;
    if (tc->wide)
        j2k_load_wide(dsp, views, g.count, x, y, n, reversible, rows);
    else if (g.count == 3 && reversible)
        j2k_load_colour_int(dsp, views, x, y, n, rows[0], rows[1], rows[2]);
    else if (g.count == 3)
        j2k_load_colour_float(dsp, views, x, y, n, rows[0], rows[1], rows[2]);
    else if (reversible)
        j2k_load_row_int(dsp, views, x, y, n, rows[0]);
    else
        j2k_load_row_float(dsp, views, x, y, n, rows[0]);
}

/* First level: rows of the image through the colour transform into the wavelet,
 * for one group and stripe. */
static void forward_image_task(void *user, size_t index, unsigned worker) {
    const row_pass *pass = user;
    component_group g = group_at(pass->t, (uint32_t)(index / pass->num_stripes));
    uint32_t stripe = (uint32_t)(index % pass->num_stripes);
    const tile_component *tc = &pass->t->components[g.first];
    if (rect_empty(tc->area))
        return;
    const bool has_level = tc->num_resolutions > 1;
    uint32_t from, to;
    stripe_bounds(tc->area.y0, tc->area.y1, stripe, pass->num_stripes, &from, &to);
    if (from >= to)
        return;
    dwt_forward f[3];
    for (uint32_t i = 0; i < g.count && has_level; i++)
        forward_begin(pass, tc + i, tc->num_resolutions - 1u, from, to, pass_dwt_scratch(pass, worker, i),
                      &f[i]);
    if (has_level) {
        from = f[0].next_row;
        to = f[0].end_row;
    }
    for (uint32_t y = from; y < to; y++) {
        void *rows[3] = {NULL, NULL, NULL};
        for (uint32_t i = 0; i < g.count; i++)
            rows[i] =
                has_level ? j2k_dwt_forward_row(&f[i]) : plane_row(tc[i].resolutions[0].samples, y, tc->wide);
        load_rows(pass, g, y, rows);
        for (uint32_t i = 0; i < g.count && has_level; i++)
            j2k_dwt_forward_push(&f[i], rows[i]);
    }
}

/* Further levels, for one component and stripe. */
static void forward_level_task(void *user, size_t index, unsigned worker) {
    const row_pass *pass = user;
    const tile_component *tc = &pass->t->components[index / pass->num_stripes];
    if (tc->num_resolutions <= pass->depth + 1 || rect_empty(tc->area))
        return;
    unsigned r = tc->num_resolutions - 1u - pass->depth;
    rect area = tc->resolutions[r].area;
    uint32_t from, to;
    stripe_bounds(area.y0, area.y1, (uint32_t)(index % pass->num_stripes), pass->num_stripes, &from, &to);
    if (from >= to)
        return;
    dwt_forward f;
    forward_begin(pass, tc, r, from, to, pass_dwt_scratch(pass, worker, 0), &f);
    while (f.next_row < f.end_row) {
        uint32_t y = f.next_row;
        j2k_dwt_forward_push(&f, plane_row(tc->resolutions[r].samples, y, tc->wide));
    }
}

static bool any_wide(const tile *t) {
    bool wide = false;
    for (uint32_t c = 0; c < t->num_components; c++)
        wide |= t->components[c].wide;
    return wide;
}

/* Widest and highest resolution `depth` levels below the top one, and how many
 * levels there are at most. */
static void largest_level(const tile *t, unsigned depth, uint32_t *width, uint32_t *height,
                          unsigned *levels) {
    *width = *height = 0;
    *levels = 0;
    for (uint32_t c = 0; c < t->num_components; c++) {
        const tile_component *tc = &t->components[c];
        *levels = max_u32(*levels, tc->num_resolutions - 1u);
        if (tc->num_resolutions <= depth)
            continue;
        rect area = tc->resolutions[tc->num_resolutions - 1u - depth].area;
        *width = max_u32(*width, rect_width(area));
        *height = max_u32(*height, rect_height(area));
    }
}

j2k_status j2k_tile_forward(j2k_context *context, tile *t, image_window window) {
    TRY(forward_allocate(t, &context->work));
    uint32_t width, height;
    unsigned levels;
    largest_level(t, 0, &width, &height, &levels);
    row_pass pass = {.context = context, .t = t, .window = window};
    TRY(pass_setup(&pass, width, height, any_wide(t)));
    j2k_parallel_for(context->pool, (size_t)num_groups(t) * pass.num_stripes, forward_image_task, &pass);
    for (pass.depth = 1; pass.depth < levels; pass.depth++) {
        largest_level(t, pass.depth, &width, &height, &levels);
        pass.num_stripes = max_u32(1, min_u32(pass.num_stripes, height / MIN_STRIPE_ROWS));
        j2k_parallel_for(context->pool, (size_t)t->num_components * pass.num_stripes, forward_level_task,
                         &pass);
    }
    return J2K_OK;
}

/* ---- inverse ---- */

static void component_windows(tile_component *tc) {
    const bool reversible = tc->style->coding.reversible;
    rect window = tc->window;
    for (int r = tc->wanted_resolutions - 1; r >= 0; r--) {
        resolution *res = &tc->resolutions[r];
        res->samples.area = window;
        if (r == 0)
            res->bands[0].coefficients.area = window;
        for (unsigned b = 0; r && b < 3; b++)
            res->bands[b].coefficients.area =
                rect_empty(window) ? window
                                   : j2k_dwt_needed(reversible, res->area, window, res->bands[b].orientation);
        if (r && !rect_empty(window))
            window = j2k_dwt_needed(reversible, res->area, window, BAND_LL);
    }
}

void j2k_tile_inverse_windows(tile *t) {
    for (uint32_t c = 0; c < t->num_components; c++)
        if (t->components[c].wanted)
            component_windows(&t->components[c]);
}

static j2k_status component_prepare(tile_component *tc, arena *memory) {
    for (int r = tc->wanted_resolutions - 1; r >= 0; r--) {
        resolution *res = &tc->resolutions[r];
        if (r && r + 1 < tc->wanted_resolutions)
            TRY(plane_alloc(&res->samples, res->samples.area, tc->wide, memory));
        for (unsigned b = 0; b < res->num_bands; b++)
            TRY(plane_alloc(&res->bands[b].coefficients, res->bands[b].coefficients.area, tc->wide, memory));
        if (r == 0)
            res->samples = res->bands[0].coefficients;
    }
    return J2K_OK;
}

j2k_status j2k_tile_inverse_prepare(j2k_context *context, tile *t) {
    for (uint32_t c = 0; c < t->num_components; c++)
        if (t->components[c].wanted && !rect_empty(t->components[c].window))
            TRY(component_prepare(&t->components[c], &context->work));
    return J2K_OK;
}

/* Begin making rows [from, to) of `window` in resolution r >= 1. */
static void inverse_begin(const row_pass *pass, const tile_component *tc, unsigned r, rect window,
                          uint32_t from, uint32_t to, void *scratch, dwt_inverse *v) {
    const resolution *res = &tc->resolutions[r];
    window.y0 = from;
    window.y1 = to;
    j2k_dwt_inverse_begin(v, pass->context->dsp, tc->style->coding.reversible, tc->wide, res->area, window,
                          tc->resolutions[r - 1].samples, res->bands[0].coefficients,
                          res->bands[1].coefficients, res->bands[2].coefficients, scratch);
}

/* Make resolution pass->level of one component, one stripe. */
static void inverse_level_task(void *user, size_t index, unsigned worker) {
    const row_pass *pass = user;
    const tile_component *tc = &pass->t->components[index / pass->num_stripes];
    if (!tc->wanted || rect_empty(tc->window) || tc->wanted_resolutions <= pass->level + 1)
        return;
    plane out = tc->resolutions[pass->level].samples;
    uint32_t from, to;
    stripe_bounds(out.area.y0, out.area.y1, (uint32_t)(index % pass->num_stripes), pass->num_stripes, &from,
                  &to);
    if (from >= to)
        return;
    dwt_inverse v;
    inverse_begin(pass, tc, pass->level, out.area, from, to, pass_dwt_scratch(pass, worker, 0), &v);
    for (uint32_t y = from; y < to; y++)
        j2k_dwt_inverse_pull(&v, plane_row(out, y, tc->wide));
}

/* Row y of a group of components to the image, inverse colour transform
 * included. */
static void store_rows(const row_pass *pass, component_group g, uint32_t y, const void *const rows[3]) {
    const dsp_kernels *dsp = pass->context->dsp;
    const tile_component *tc = &pass->t->components[g.first];
    const j2k_component *views = &pass->window.image->components[g.first];
    rect origin = pass->window.areas[g.first];
    const bool reversible = tc->style->coding.reversible;
    uint32_t x = tc->window.x0 - origin.x0, n = rect_width(tc->window);
    y -= origin.y0;
    if (tc->wide)
        j2k_store_wide(dsp, views, g.count, x, y, n, reversible, rows);
    else if (g.count == 3 && reversible)
        j2k_store_colour_int(dsp, views, x, y, n, rows[0], rows[1], rows[2]);
    else if (g.count == 3)
        j2k_store_colour_float(dsp, views, x, y, n, rows[0], rows[1], rows[2]);
    else if (views->data && reversible)
        j2k_store_row_int(dsp, views, x, y, n, rows[0]);
    else if (views->data)
        j2k_store_row_float(dsp, views, x, y, n, rows[0]);
}

/* Last level: rows out of the wavelet through the inverse colour transform into
 * the image, for one group and stripe. */
static void inverse_image_task(void *user, size_t index, unsigned worker) {
    const row_pass *pass = user;
    component_group g = group_at(pass->t, (uint32_t)(index / pass->num_stripes));
    const tile_component *tc = &pass->t->components[g.first];
    if (!tc->wanted || rect_empty(tc->window))
        return;
    uint32_t from, to;
    stripe_bounds(tc->window.y0, tc->window.y1, (uint32_t)(index % pass->num_stripes), pass->num_stripes,
                  &from, &to);
    if (from >= to)
        return;
    dwt_inverse v[3];
    for (uint32_t i = 0; i < g.count; i++)
        if (tc[i].wanted_resolutions > 1)
            inverse_begin(pass, tc + i, tc[i].wanted_resolutions - 1u, tc->window, from, to,
                          pass_dwt_scratch(pass, worker, i), &v[i]);
    for (uint32_t y = from; y < to; y++) {
        const void *rows[3] = {NULL, NULL, NULL};
        for (uint32_t i = 0; i < g.count; i++)
            rows[i] = tc[i].wanted_resolutions > 1 ? j2k_dwt_inverse_next(&v[i])
                                                   : plane_row(tc[i].resolutions[0].samples, y, tc->wide);
        store_rows(pass, g, y, rows);
    }
}

j2k_status j2k_tile_inverse(j2k_context *context, tile *t, image_window window) {
    row_pass pass = {.context = context, .t = t, .window = window};
    uint32_t width = 0, height = 0;
    unsigned levels = 0;
    for (uint32_t c = 0; c < t->num_components; c++) {
        const tile_component *tc = &t->components[c];
        if (!tc->wanted)
            continue;
        width = max_u32(width, rect_width(tc->window));
        height = max_u32(height, rect_height(tc->window));
        levels = max_u32(levels, tc->wanted_resolutions);
        for (unsigned r = 0; r + 1u < tc->wanted_resolutions;
             r++) /* windows of lower levels may be wider by a margin */
            width = max_u32(width, rect_width(tc->resolutions[r].samples.area));
    }
    TRY(pass_setup(&pass, width, height, any_wide(t)));
    uint32_t stripes = pass.num_stripes;
    for (pass.level = 1; pass.level + 1 < levels; pass.level++) {
        pass.num_stripes =
            max_u32(1, min_u32(stripes, (height >> (levels - 1 - pass.level)) / MIN_STRIPE_ROWS));
        j2k_parallel_for(context->pool, (size_t)t->num_components * pass.num_stripes, inverse_level_task,
                         &pass);
    }
    pass.num_stripes = stripes;
    j2k_parallel_for(context->pool, (size_t)num_groups(t) * pass.num_stripes, inverse_image_task, &pass);
    return J2K_OK;
}
