/* Coefficients of all tiles, kept so that quantisation and block coding can be tried more than once.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "encode.h"
#include "image.h"
#include "transform.h"

/* The wavelet's output does not depend on the quantiser, so that an attempt with another step costs block
 * coding only, and its error in the image an inverse transform only. Of images too large to be kept (see
 * encode_tiles.c) each attempt transforms the tiles again. */

/* Coefficients of tile i, unless they are there, into the work arena. */
static j2k_status load_tile(encoder *e, uint32_t i) {
    if (j2k_encode_keeps_tiles(e))
        return J2K_OK;
    image_window window = {e->image, e->areas};
    j2k_arena_reset(&e->context->work);
    return j2k_tile_forward(e->context, &e->tiles[i], window);
}

j2k_status j2k_kept_begin(encoder *e) {
    j2k_context *context = e->context;
    e->num_tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    e->first_ref = ARENA_ALLOC(&context->memory, size_t, e->num_tiles + 1);
    e->tiles = ARENA_ALLOC_ZERO(&context->memory, tile, e->num_tiles);
    block_ref **refs = ARENA_ALLOC(&context->memory, block_ref *, e->num_tiles);
    RETURN_IF(!e->tiles || !refs || !e->first_ref, J2K_ERROR_MEMORY);
    size_t *first = e->first_ref;
    first[0] = 0;
    j2k_arena_reset(&context->work);
    for (uint32_t i = 0; i < e->num_tiles; i++) {
        tile *t = &e->tiles[i];
        size_t count;
        if (j2k_encode_keeps_tiles(e))
            TRY(j2k_encode_load_tile(e, i, &context->memory, t));
        else
            TRY(j2k_tile_build(t, &e->cs.siz, i, &e->cs.style, e->cs.components, &context->memory,
                               &context->diag));
        TRY(j2k_tile_open_blocks(t, &context->memory, &refs[i], &count));
        first[i + 1] = first[i] + count;
    }
    e->num_refs = first[e->num_tiles];
    e->refs = refs[0];
    if (e->num_tiles == 1)
        return J2K_OK;
    e->refs = ARENA_ALLOC(&context->memory, block_ref, e->num_refs);
    RETURN_IF(!e->refs, J2K_ERROR_MEMORY);
    for (uint32_t i = 0; i < e->num_tiles; i++)
        if (first[i + 1] > first[i])
            memcpy(e->refs + first[i], refs[i], (first[i + 1] - first[i]) * sizeof *refs[i]);
    return J2K_OK;
}

/* Of small subbands a larger share is counted: they weigh more. */
static void count_tile(magnitudes *h, const tile *t, uint32_t every, uint32_t share) {
    for (uint32_t c = 0; c < t->num_components; c++) {
        const tile_component *tc = &t->components[c];
        for (unsigned r = 0; r < tc->num_resolutions; r++)
            for (unsigned b = 0; b < tc->resolutions[r].num_bands; b++) {
                const subband *band = &tc->resolutions[r].bands[b];
                uint32_t less = every >> (tc->num_resolutions - 1u - r);
                if (!rect_empty(band->area))
                    j2k_histogram_add(h, band, tc->style->coding.reversible, band->area, less ? less : 1,
                                      share);
            }
    }
}

j2k_status j2k_kept_histogram(encoder *e, magnitudes *h) {
    enum { EVERY_ROW = 12, ENOUGH = 1 << 17, ENOUGH_TILES = 64 };
    memset(h, 0, sizeof *h);
    uint32_t share = j2k_encode_keeps_tiles(e) ? 1 : (e->num_tiles + ENOUGH_TILES - 1) / ENOUGH_TILES;
    uint64_t every = e->num_samples / share / ENOUGH;
    for (uint32_t i = 0; i < e->num_tiles; i += share) {
        TRY(load_tile(e, i));
        count_tile(h, &e->tiles[i], every > EVERY_ROW ? (uint32_t)every : EVERY_ROW, share);
    }
    return J2K_OK;
}

/* ---- errors in the wavelet domain ---- */

typedef struct error_list {
    const dsp_kernels *dsp;
    const block_ref *refs;
    size_t count;
    double *errors;
} error_list;

enum { REF_BATCH = 16 };

static void error_task(void *user, size_t index, unsigned worker) {
    const error_list *list = user;
    (void)worker;
    for (size_t i = index * REF_BATCH; i < list->count && i < (index + 1) * REF_BATCH; i++) {
        const block_ref *ref = &list->refs[i];
        const plane *p = &ref->band->coefficients;
        rect area = ref->block->area;
        const float *row = (const float *)p->data + (ptrdiff_t)(area.y0 - p->area.y0) * p->stride +
                           (ptrdiff_t)(area.x0 - p->area.x0);
        cut_sums sums;
        memset(&sums, 0, sizeof sums);
        for (uint32_t y = area.y0; y < area.y1; y++, row += p->stride)
            list->dsp->quant->cut_error_float(row, 1.0f / ref->band->step, 0.5f, rect_width(area), &sums);
        double error = 0;
        for (unsigned k = 0; k < CUT_LANES; k++)
            error += (double)sums.error[k];
        list->errors[i] = error * ref->band->weight;
    }
}

j2k_status j2k_kept_wavelet_error(encoder *e, double *squared_error) {
    j2k_context *context = e->context;
    arena_mark before = j2k_arena_mark(&context->memory);
    double *errors = ARENA_ALLOC(&context->memory, double, e->num_refs);
    RETURN_IF(!errors, J2K_ERROR_MEMORY);
    *squared_error = 0;
    for (uint32_t i = 0; i < e->num_tiles; i++) {
        TRY(load_tile(e, i));
        error_list list = {context->dsp, e->refs + e->first_ref[i], e->first_ref[i + 1] - e->first_ref[i],
                           errors};
        j2k_parallel_for(context->pool, (list.count + REF_BATCH - 1) / REF_BATCH, error_task, &list);
        for (size_t k = 0; k < list.count; k++)
            *squared_error += errors[k];
    }
    j2k_arena_release(&context->memory, before);
    return J2K_OK;
}

void j2k_kept_requantise(encoder *e) {
    for (uint32_t i = 0; i < e->num_tiles; i++)
        j2k_tile_requantise(&e->tiles[i], &e->cs.siz);
}

static bool in_resolution(const block_ref *ref, int resolution) {
    const subband *bands = ref->component->resolutions[resolution].bands;
    return resolution < ref->component->num_resolutions && ref->band >= bands && ref->band < bands + 3;
}

bool j2k_kept_in_sample(size_t index, unsigned every) {
    uint64_t group = index / every;
    return index % every == (uint32_t)(group * UINT64_C(0x9E3779B97F4A7C15) >> 40) % every;
}

static j2k_status code_refs(encoder *e, size_t from, size_t to, int resolution, unsigned every) {
    j2k_context *context = e->context;
    if (resolution < 0 && every <= 1)
        return j2k_blocks_encode_all(context, e->refs + from, to - from, e->ht);
    arena_mark before = j2k_arena_mark(&context->work);
    block_ref *chosen = ARENA_ALLOC(&context->work, block_ref, to - from);
    RETURN_IF(!chosen, J2K_ERROR_MEMORY);
    size_t count = 0;
    for (size_t i = from; i < to; i++)
        if ((resolution < 0 || in_resolution(&e->refs[i], resolution)) && j2k_kept_in_sample(i, every))
            chosen[count++] = e->refs[i];
    TRY(j2k_blocks_encode_all(context, chosen, count, e->ht));
    j2k_arena_release(&context->work, before);
    return J2K_OK;
}

j2k_status j2k_kept_code(encoder *e, int resolution, unsigned every) {
    if (resolution < 0)
        for (unsigned i = 0; i < e->context->num_workers; i++)
            j2k_arena_reset(&e->context->workers[i].results);
    if (j2k_encode_keeps_tiles(e))
        return code_refs(e, 0, e->num_refs, resolution, every);
    for (uint32_t i = 0; i < e->num_tiles; i++) {
        TRY(load_tile(e, i));
        TRY(code_refs(e, e->first_ref[i], e->first_ref[i + 1], resolution, every));
    }
    return J2K_OK;
}

/* ---- what a decoder makes of it ---- */

/* A code-block of which the bit-planes below `plane` are cut off. */
typedef struct rebuild_job {
    const char *from;
    char *to;
    ptrdiff_t from_pitch, to_pitch; /* bytes */
    uint32_t width, height;
    float step, scale; /* of the quantiser; of the result */
    bool reversible, nothing;
    uint8_t plane;
} rebuild_job;

typedef struct rebuild_list {
    const dsp_kernels *dsp;
    const rebuild_job *jobs;
    size_t count;
} rebuild_list;

static void rebuild_task(void *user, size_t index, unsigned worker) {
    const rebuild_list *list = user;
    (void)worker;
    for (size_t i = index * REF_BATCH; i < list->count && i < (index + 1) * REF_BATCH; i++) {
        const rebuild_job *job = &list->jobs[i];
        for (uint32_t y = 0; y < job->height; y++) {
            const void *in = job->from + (ptrdiff_t)y * job->from_pitch;
            void *out = job->to + (ptrdiff_t)y * job->to_pitch;
            if (job->nothing)
                memset(out, 0, 4 * (size_t)job->width);
            else if (job->reversible)
                list->dsp->quant->cut_int(in, job->plane, job->width, out);
            else
                list->dsp->quant->requantise_float(in, 1.0f / job->step, job->step * 0.5f * job->scale,
                                                   job->width, out);
        }
    }
}

static char *place_of(const plane *p, rect area) {
    return (char *)p->data +
           4 * ((ptrdiff_t)(area.y0 - p->area.y0) * p->stride + (ptrdiff_t)(area.x0 - p->area.x0));
}

/* What a decoder gets of a code-block: with `layer`, the cleanup pass at the end of that layer. */
static void cut_block(const block_ref *ref, int layer, rebuild_job *job) {
    const codeblock *cb = ref->block;
    if (layer < 0)
        return;
    unsigned passes = cb->u.enc.layer_passes[layer];
    unsigned planes = ref->band->num_bitplanes + ref->component->style->roi_shift - cb->zero_bitplanes;
    job->nothing = passes <= cb->u.enc.first_pass;
    job->plane = (uint8_t)(job->nothing ? 0 : planes - 1 - (passes - 1) / 3);
}

/* Copy the planes of a tile's subbands to a list, or from it. */
static void exchange_planes(tile *t, plane *planes, bool to_tile) {
    for (uint32_t c = 0; c < t->num_components; c++)
        for (unsigned r = 0; r < t->components[c].num_resolutions; r++) {
            resolution *res = &t->components[c].resolutions[r];
            for (unsigned b = 0; b < res->num_bands; b++, planes++) {
                if (to_tile)
                    res->bands[b].coefficients = *planes;
                else
                    *planes = res->bands[b].coefficients;
            }
        }
}

/* Decode a tile from its own coefficients. */
static j2k_status rebuild_tile(encoder *e, uint32_t index, int layer, image_window window) {
    j2k_context *context = e->context;
    tile *t = &e->tiles[index];
    const block_ref *refs = e->refs + e->first_ref[index];
    size_t count = e->first_ref[index + 1] - e->first_ref[index], bands = 0;
    for (uint32_t c = 0; c < t->num_components; c++)
        bands += 3 * (size_t)t->components[c].num_resolutions;
    rebuild_job *jobs = ARENA_ALLOC_ZERO(&context->work, rebuild_job, count);
    plane *own = ARENA_ALLOC(&context->work, plane, bands);
    RETURN_IF(!jobs || !own, J2K_ERROR_MEMORY);
    for (size_t i = 0; i < count; i++) {
        const plane *p = &refs[i].band->coefficients;
        rect area = refs[i].block->area;
        jobs[i] = (rebuild_job){.from = place_of(p, area),
                                .from_pitch = 4 * p->stride,
                                .width = rect_width(area),
                                .height = rect_height(area),
                                .step = refs[i].band->step,
                                .scale = e->decoded_scale,
                                .reversible = refs[i].component->style->coding.reversible};
        cut_block(&refs[i], layer, &jobs[i]);
    }
    exchange_planes(t, own, false);
    j2k_status status = j2k_tile_inverse_prepare(context, t);
    for (size_t i = 0; i < count && status == J2K_OK; i++) {
        const plane *p = &refs[i].band->coefficients;
        jobs[i].to = place_of(p, refs[i].block->area);
        jobs[i].to_pitch = 4 * p->stride;
    }
    if (status == J2K_OK) {
        rebuild_list list = {context->dsp, jobs, count};
        j2k_parallel_for(context->pool, (count + REF_BATCH - 1) / REF_BATCH, rebuild_task, &list);
        status = j2k_tile_inverse(context, t, window);
    }
    exchange_planes(t, own, true);
    return status;
}

/* ---- comparison ---- */

static size_t type_size(j2k_sample_type type) {
    return type == J2K_UINT8 || type == J2K_INT8 ? 1 : type == J2K_UINT16 || type == J2K_INT16 ? 2 : 4;
}

/* Whether components lie sample by sample beside each other, as in an RGB image. */
static bool is_interleaved(const j2k_image *image) {
    const j2k_component *c = image->components;
    for (uint32_t i = 0; i < image->num_components; i++)
        if (c[i].type != c[0].type || c[i].width != c[0].width || c[i].height != c[0].height ||
            (const char *)c[i].data != (const char *)c[0].data + i * type_size(c[0].type) ||
            c[i].sample_step != (ptrdiff_t)(image->num_components * type_size(c[0].type)) ||
            c[i].row_stride != c[0].row_stride || c[i].byte_swapped)
            return false;
    return true;
}

static j2k_status make_views(const j2k_image *image, bool interleaved, arena *memory, j2k_component *views) {
    for (uint32_t i = 0; i < image->num_components; i++) {
        j2k_component *v = &views[i];
        size_t size = type_size(image->components[i].type);
        *v = image->components[i];
        v->byte_swapped = false;
        if (interleaved && i) {
            v->data = (char *)views[0].data + i * size;
            v->row_stride = views[0].row_stride;
            continue;
        }
        v->sample_step = (ptrdiff_t)(interleaved ? image->num_components * size : size);
        v->row_stride = v->sample_step * (ptrdiff_t)v->width;
        v->data = j2k_arena_alloc(memory, v->height, (size_t)v->row_stride);
        RETURN_IF(!v->data, J2K_ERROR_MEMORY);
    }
    return J2K_OK;
}

static uint64_t difference_u8(const uint8_t *a, const uint8_t *b, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n;) {
        size_t end = n - i < 4096 ? n : i + 4096;
        uint32_t part = 0;
        for (; i < end; i++) {
            int32_t d = a[i] - b[i];
            part += (uint32_t)(d * d);
        }
        sum += part;
    }
    return sum;
}

static uint64_t difference_u16(const uint16_t *a, const uint16_t *b, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t d = a[i] > b[i] ? (uint32_t)(a[i] - b[i]) : (uint32_t)(b[i] - a[i]);
        sum += (uint64_t)(d * d);
    }
    return sum;
}

static double difference_i32(const int32_t *a, const int32_t *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - b[i];
        sum += d * d;
    }
    return sum;
}

typedef struct comparison {
    const j2k_context *context;
    const j2k_component *original, *decoded;
    size_t samples; /* of a row of unsigned samples one after the other; 0: rows must be loaded */
    uint32_t rows;
    int32_t *scratch; /* two rows a worker */
    double *sums;     /* of the stripes */
} comparison;

enum { COMPARED_ROWS = 32 };

static void compare_task(void *user, size_t index, unsigned worker) {
    const comparison *c = user;
    uint32_t from = (uint32_t)index * COMPARED_ROWS;
    uint32_t end = c->rows - from < COMPARED_ROWS ? c->rows : from + COMPARED_ROWS;
    double sum = 0;
    for (uint32_t y = from; y < end; y++) {
        const char *a = (const char *)c->original->data + (ptrdiff_t)y * c->original->row_stride;
        const char *b = (const char *)c->decoded->data + (ptrdiff_t)y * c->decoded->row_stride;
        if (c->samples && c->original->type == J2K_UINT8) {
            sum += (double)difference_u8((const uint8_t *)a, (const uint8_t *)b, c->samples);
        } else if (c->samples) {
            sum += (double)difference_u16((const uint16_t *)(const void *)a,
                                          (const uint16_t *)(const void *)b, c->samples);
        } else {
            uint32_t n = c->original->width;
            int32_t *rows = c->scratch + 2 * (size_t)worker * n;
            j2k_load_row_int(c->context->dsp, c->original, 0, y, n, rows);
            j2k_load_row_int(c->context->dsp, c->decoded, 0, y, n, rows + n);
            sum += difference_i32(rows, rows + n, n);
        }
    }
    c->sums[index] = sum;
}

static j2k_status compare(j2k_context *context, const j2k_component *original, const j2k_component *decoded,
                          uint32_t interleaved, double *error) {
    size_t size = type_size(original->type);
    bool dense =
        original->sample_step == (ptrdiff_t)(size * interleaved) && !original->byte_swapped &&
        (original->type == J2K_UINT8 || (original->type == J2K_UINT16 && (uintptr_t)original->data % 2 == 0 &&
                                         original->row_stride % 2 == 0));
    size_t stripes = ((size_t)original->height + COMPARED_ROWS - 1) / COMPARED_ROWS;
    comparison c = {
        .context = context,
        .original = original,
        .decoded = decoded,
        .samples = dense ? (size_t)original->width * interleaved : 0,
        .rows = original->height,
        .scratch = ARENA_ALLOC(&context->work, int32_t, 2 * (size_t)original->width * context->num_workers),
        .sums = ARENA_ALLOC(&context->work, double, stripes)};
    RETURN_IF(!c.scratch || !c.sums, J2K_ERROR_MEMORY);
    j2k_parallel_for(context->pool, stripes, compare_task, &c);
    for (size_t i = 0; i < stripes; i++)
        *error += c.sums[i];
    return J2K_OK;
}

j2k_status j2k_kept_decode(encoder *e, int layer, const j2k_image *decoded) {
    image_window window = {decoded, e->areas};
    for (uint32_t i = 0; i < e->num_tiles; i++) {
        TRY(load_tile(e, i));
        arena_mark clean = j2k_arena_mark(&e->context->work);
        TRY(rebuild_tile(e, i, layer, window));
        j2k_arena_release(&e->context->work, clean);
    }
    return J2K_OK;
}

j2k_status j2k_kept_measure(encoder *e, int layer, double *squared_error) {
    j2k_context *context = e->context;
    const uint32_t n = e->image->num_components;
    bool interleaved = is_interleaved(e->image);
    if (!j2k_encode_keeps_tiles(e))
        j2k_arena_reset(&context->work);
    arena_mark work = j2k_arena_mark(&context->work), memory = j2k_arena_mark(&context->memory);
    j2k_component *views = ARENA_ALLOC(&context->memory, j2k_component, n);
    RETURN_IF(!views, J2K_ERROR_MEMORY);
    TRY(make_views(e->image, interleaved, &context->memory, views));
    j2k_image decoded = *e->image;
    decoded.components = views;
    TRY(j2k_kept_decode(e, layer, &decoded));
    *squared_error = 0;
    for (uint32_t c = 0; c < (interleaved ? 1 : n); c++)
        TRY(compare(context, &e->image->components[c], &views[c], interleaved ? n : 1, squared_error));
    j2k_arena_release(&context->work, work);
    j2k_arena_release(&context->memory, memory);
    return J2K_OK;
}
