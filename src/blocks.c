/* All code-blocks of a tile through the block coders, on all workers.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "blocks.h"

#include <math.h>
#include <string.h>

/* A range of jobs is one task: as many as the coder likes at once, fewer when there would not be enough for
 * all workers. */
typedef struct job_list {
    j2k_context *context;
    encode_job *encode;
    decode_job *decode;
    size_t count, batch;
} job_list;

static size_t batch_size(const j2k_context *context, size_t count, unsigned preferred) {
    size_t fair = (count + context->num_workers - 1) / context->num_workers;
    size_t batch = fair < preferred ? fair : preferred;
    return batch ? batch : 1;
}

static size_t batch_count(const job_list *list, size_t index) {
    size_t left = list->count - index * list->batch;
    return left < list->batch ? left : list->batch;
}

/* Visit the bands of a tile in tree order. */
typedef struct band_cursor {
    const tile *t;
    uint32_t component;
    unsigned resolution, band;
    bool all, started;
} band_cursor;

static bool next_band(band_cursor *at) {
    if (at->started)
        at->band++;
    at->started = true;
    for (; at->component < at->t->num_components; at->component++, at->resolution = at->band = 0) {
        const tile_component *tc = &at->t->components[at->component];
        if (!at->all && (!tc->wanted || rect_empty(tc->window)))
            continue;
        unsigned resolutions = at->all ? tc->num_resolutions : tc->wanted_resolutions;
        for (; at->resolution < resolutions; at->resolution++, at->band = 0)
            if (at->band < tc->resolutions[at->resolution].num_bands)
                return true;
    }
    return false;
}

static size_t num_precincts(const resolution *res) {
    return (size_t)res->num_precincts_x * res->num_precincts_y;
}

j2k_status j2k_blocks_collect(const tile *t, bool all, arena *memory, block_ref **refs, size_t *count) {
    size_t n = 0;
    block_ref *list = NULL;
    for (int fill = 0; fill < 2; fill++) { /* count, then fill */
        n = 0;
        band_cursor at = {.t = t, .all = all};
        while (next_band(&at)) {
            const tile_component *tc = &t->components[at.component];
            resolution *res = &tc->resolutions[at.resolution];
            subband *band = &res->bands[at.band];
            for (size_t p = 0; p < num_precincts(res); p++) {
                precinct *prec = band->precincts[p];
                size_t blocks = prec ? (size_t)prec->blocks_wide * prec->blocks_high : 0;
                for (size_t k = 0; fill && k < blocks; k++) {
                    block_ref ref = {&prec->blocks[k], band, tc, at.component};
                    list[n + k] = ref;
                }
                n += blocks;
            }
        }
        if (!fill)
            list = ARENA_ALLOC(memory, block_ref, n);
        RETURN_IF(!list, J2K_ERROR_MEMORY);
    }
    *refs = list;
    *count = n;
    return J2K_OK;
}

/* ---- encoder ---- */

static j2k_status open_precincts(tile *t, arena *memory) {
    band_cursor at = {.t = t, .all = true};
    while (next_band(&at)) {
        resolution *res = &t->components[at.component].resolutions[at.resolution];
        for (size_t p = 0; p < num_precincts(res); p++)
            TRY(j2k_precinct_open(&res->bands[at.band], res, (uint32_t)p, memory));
    }
    return J2K_OK;
}

unsigned j2k_block_plane_limit(const block_ref *ref) {
    const component_style *style = ref->component->style;
    unsigned planes = ref->band->num_bitplanes + style->roi_shift + 7u - style->quant.guard_bits;
    return planes < MAX_WIDE_BITPLANES ? planes : MAX_WIDE_BITPLANES;
}

/* The lower one of the two bit-planes between which a quantiser of this step, for coefficients of weight 1,
 * lies. */
static unsigned plane_below(const subband *band, double step) {
    double plane = log2(step / sqrt(band->weight));
    return plane >= 1 ? (unsigned)fmin(plane, MAX_CODED_BITPLANES - 1) : 0;
}

static const uint8_t *mask_of(const block_ref *ref) {
    const tile_component *tc = ref->component;
    for (unsigned r = 0; tc->roi_masks && r < tc->num_resolutions; r++) {
        const resolution *res = &tc->resolutions[r];
        for (unsigned b = 0; b < res->num_bands; b++)
            if (ref->band == &res->bands[b])
                return tc->roi_masks[3 * r + b];
    }
    return NULL;
}

/* A code-block with samples on both sides of the region's border keeps the mask. */
static void set_region(const block_ref *ref, rect area, block_source *source) {
    const subband *band = ref->band;
    const uint8_t *m = mask_of(ref);
    if (!m)
        return;
    ptrdiff_t stride = (ptrdiff_t)rect_width(band->area);
    m += (ptrdiff_t)(area.y0 - band->area.y0) * stride + (area.x0 - band->area.x0);
    uint64_t inside = 0;
    for (uint32_t y = 0; y < rect_height(area); y++)
        for (uint32_t x = 0; x < rect_width(area); x++)
            inside += m[(ptrdiff_t)y * stride + (ptrdiff_t)x] != 0;
    if (inside == 0)
        source->roi_shift = 0;
    else if (inside < rect_size(area)) {
        source->roi_mask = m;
        source->roi_stride = stride;
    }
}

static encode_job make_encode_job(const block_ref *ref, ht_choice ht) {
    const subband *band = ref->band;
    const component_style *style = ref->component->style;
    rect area = ref->block->area;
    const plane *p = &band->coefficients;
    size_t offset = (size_t)(area.y0 - p->area.y0) * (size_t)p->stride + (area.x0 - p->area.x0);
    if (ht.step > 0) {
        unsigned plane = plane_below(band, ht.step);
        ht.lowest = (uint8_t)(plane && ht.sets > 2 ? plane - 1 : plane);
    }
    encode_job job = {
        .source = {.data = (const char *)p->data + element_size(ref->component->wide) * offset,
                   .wide = ref->component->wide,
                   .stride = p->stride,
                   .irreversible = !style->coding.reversible,
                   .inverse_step = 1.0f / band->step,
                   .wide_inverse_step = 1.0 / band->step,
                   .roi_shift = style->roi_shift},
        .width = (uint16_t)rect_width(area),
        .height = (uint16_t)rect_height(area),
        .orientation = band->orientation,
        .style = style->coding.codeblock_style,
        .num_bitplanes = (uint8_t)j2k_block_plane_limit(ref),
        .ht = ht,
    };
    set_region(ref, area, &job.source);
    return job;
}

static void encode_task(void *user, size_t index, unsigned worker_index) {
    const job_list *list = user;
    worker *w = &list->context->workers[worker_index];
    block_coder *coder = j2k_worker_coder(list->context, worker_index);
    if (w->status != J2K_OK)
        return;
    w->status =
        j2k_blocks_encode(coder, list->encode + index * list->batch, batch_count(list, index), &w->results);
}

static j2k_status run_encode_jobs(j2k_context *context, encode_job *jobs, size_t count) {
    job_list list = {.context = context, .encode = jobs, .count = count};
    bool ht = count && (jobs[0].style & J2K_STYLE_HT);
    list.batch = batch_size(context, count, j2k_block_encode_batch(context->cpu, ht));
    j2k_workers_begin(context);
    j2k_parallel_for(context->pool, (count + list.batch - 1) / list.batch, encode_task, &list);
    return j2k_workers_status(context);
}

j2k_status j2k_tile_open_blocks(tile *t, arena *memory, block_ref **refs, size_t *count) {
    TRY(open_precincts(t, memory));
    return j2k_blocks_collect(t, true, memory, refs, count);
}

j2k_status j2k_blocks_encode_all(j2k_context *context, const block_ref *refs, size_t count, ht_choice ht) {
    arena_mark before = j2k_arena_mark(&context->work);
    encode_job *jobs = ARENA_ALLOC(&context->work, encode_job, count);
    RETURN_IF(!jobs, J2K_ERROR_MEMORY);
    for (size_t i = 0; i < count; i++)
        jobs[i] = make_encode_job(&refs[i], ht);
    TRY(run_encode_jobs(context, jobs, count));
    for (size_t i = 0; i < count; i++) {
        codeblock *cb = refs[i].block;
        cb->zero_bitplanes = jobs[i].zero_bitplanes;
        cb->num_passes = jobs[i].num_passes;
        cb->u.enc.data = jobs[i].data;
        cb->u.enc.passes = jobs[i].passes;
        cb->u.enc.energy = jobs[i].energy;
    }
    j2k_arena_release(&context->work, before);
    return J2K_OK;
}

j2k_status j2k_tile_encode_blocks(j2k_context *context, tile *t, ht_choice ht, arena *memory,
                                  block_ref **refs, size_t *count) {
    TRY(j2k_tile_open_blocks(t, memory, refs, count));
    return j2k_blocks_encode_all(context, *refs, *count, ht);
}

/* ---- decoder ---- */

/* Set the part of `area` that lies in the plane to zero. */
static void zero_area(const plane *p, rect area, bool wide) {
    const ptrdiff_t element = (ptrdiff_t)element_size(wide);
    area = rect_intersect(area, p->area);
    for (uint32_t y = area.y0; y < area.y1; y++)
        memset((char *)p->data +
                   element * ((ptrdiff_t)(y - p->area.y0) * p->stride + (ptrdiff_t)(area.x0 - p->area.x0)),
               0, (size_t)(rect_width(area) * element));
}

static decode_job make_decode_job(const block_ref *ref, rect stored) {
    const subband *band = ref->band;
    const component_style *style = ref->component->style;
    const codeblock *cb = ref->block;
    const plane *p = &band->coefficients;
    size_t offset = (size_t)(stored.y0 - p->area.y0) * (size_t)p->stride + (stored.x0 - p->area.x0);
    unsigned planes = band->num_bitplanes + style->roi_shift;
    uint32_t size = 0;
    for (const data_chunk *chunk = cb->u.dec.first_chunk; chunk; chunk = chunk->next)
        size += chunk->size;
    decode_job job = {
        .sink = {.data = (char *)p->data + element_size(ref->component->wide) * offset,
                 .wide = ref->component->wide,
                 .stride = p->stride,
                 .irreversible = !style->coding.reversible,
                 .step = band->step,
                 .roi_shift = style->roi_shift,
                 .skip_x = (uint16_t)(stored.x0 - cb->area.x0),
                 .skip_y = (uint16_t)(stored.y0 - cb->area.y0),
                 .width = (uint16_t)rect_width(stored),
                 .height = (uint16_t)rect_height(stored)},
        .width = (uint16_t)rect_width(cb->area),
        .height = (uint16_t)rect_height(cb->area),
        .orientation = band->orientation,
        .style = (uint8_t)codeblock_style(cb, style->coding.codeblock_style),
        .num_bitplanes =
            (uint8_t)(cb->num_passes && planes > cb->zero_bitplanes ? planes - cb->zero_bitplanes : 0),
        .most_bitplanes = (uint8_t)planes,
        .num_passes = cb->num_passes,
        .data_size = size,
        .chunks = cb->u.dec.first_chunk,
        .segments = cb->u.dec.first_segment,
        .sound = true,
    };
    return job;
}

static void decode_task(void *user, size_t index, unsigned worker_index) {
    const job_list *list = user;
    worker *w = &list->context->workers[worker_index];
    block_coder *coder = j2k_worker_coder(list->context, worker_index);
    if (w->status != J2K_OK)
        return;
    decode_job *jobs = list->decode + index * list->batch;
    size_t count = batch_count(list, index);
    w->status = j2k_blocks_decode(coder, jobs, count);
    for (size_t i = 0; i < count; i++)
        w->sound = w->sound && jobs[i].sound;
}

/* Precincts that no packet opened have no code-blocks: their coefficients are zero. */
static void zero_unopened(const tile *t) {
    band_cursor at = {.t = t};
    while (next_band(&at)) {
        const resolution *res = &t->components[at.component].resolutions[at.resolution];
        const subband *band = &res->bands[at.band];
        if (rect_empty(band->coefficients.area))
            continue;
        for (size_t p = 0; p < num_precincts(res); p++)
            if (!band->precincts[p])
                zero_area(&band->coefficients, j2k_precinct_area(band, res, (uint32_t)p),
                          t->components[at.component].wide);
    }
}

j2k_status j2k_tile_decode_blocks(j2k_context *context, tile *t, bool *sound) {
    block_ref *refs;
    size_t count, jobs = 0;
    TRY(j2k_blocks_collect(t, false, &context->work, &refs, &count));
    zero_unopened(t);
    decode_job *list = ARENA_ALLOC(&context->work, decode_job, count);
    RETURN_IF(!list, J2K_ERROR_MEMORY);
    bool ht = false;
    for (size_t i = 0; i < count; i++) {
        rect stored = rect_intersect(refs[i].block->area, refs[i].band->coefficients.area);
        if (rect_empty(stored))
            continue;
        list[jobs] = make_decode_job(&refs[i], stored);
        ht = ht || (list[jobs].style & J2K_STYLE_HT);
        jobs++;
    }
    job_list tasks = {.context = context, .decode = list, .count = jobs};
    tasks.batch = batch_size(context, jobs, j2k_block_decode_batch(context->cpu, ht));
    j2k_workers_begin(context);
    j2k_parallel_for(context->pool, (jobs + tasks.batch - 1) / tasks.batch, decode_task, &tasks);
    TRY(j2k_workers_status(context));
    for (unsigned i = 0; i < context->num_workers; i++)
        *sound = *sound && context->workers[i].sound;
    return J2K_OK;
}
