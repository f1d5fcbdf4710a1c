/* Tiles with their coefficients, for one attempt at coding or for several.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "encode.h"
#include "transform.h"

/* The wavelet does not depend on the quantiser: an image that is coded in several attempts is transformed
 * once. Larger ones than this are transformed again each time, one tile after the other. */
static const uint64_t MOST_KEPT_SAMPLES = UINT64_C(1) << 26;

static uint32_t count_bands(const tile *t) {
    uint32_t count = 0;
    for (uint32_t c = 0; c < t->num_components; c++)
        for (unsigned r = 0; r < t->components[c].num_resolutions; r++)
            count += t->components[c].resolutions[r].num_bands;
    return count;
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

static j2k_status transform_tile(encoder *e, uint32_t index, arena *memory, tile *t) {
    image_window window = {e->image, e->areas};
    TRY(j2k_tile_build(t, &e->cs.siz, index, &e->cs.style, e->cs.components, memory, &e->context->diag));
    return j2k_tile_forward(e->context, t, window);
}

static j2k_status transform_all(encoder *e) {
    arena *work = &e->context->work;
    uint32_t tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    plane **planes = ARENA_ALLOC(work, plane *, tiles);
    RETURN_IF(!planes, J2K_ERROR_MEMORY);
    for (uint32_t i = 0; i < tiles; i++) {
        tile t;
        TRY(transform_tile(e, i, work, &t));
        planes[i] = ARENA_ALLOC(work, plane, count_bands(&t));
        RETURN_IF(!planes[i], J2K_ERROR_MEMORY);
        exchange_planes(&t, planes[i], false);
    }
    e->kept_planes = planes;
    e->kept_irreversible = e->irreversible;
    return J2K_OK;
}

/* Transforms work in the work arena: another one takes its place meanwhile, and becomes the one of what is
 * kept. */
static j2k_status transform_and_keep(encoder *e) {
    j2k_context *context = e->context;
    arena callers = context->work;
    context->work = context->kept;
    j2k_arena_reset(&context->work);
    e->kept_planes = NULL;
    j2k_status status = transform_all(e);
    context->kept = context->work;
    context->work = callers;
    return status;
}

bool j2k_encode_keeps_tiles(const encoder *e) {
    if (e->options.quality == J2K_QUALITY_MAX_ERROR)
        return true;
    return e->options.quality != J2K_QUALITY_LOSSLESS && e->num_samples <= MOST_KEPT_SAMPLES;
}

j2k_status j2k_encode_load_tile(encoder *e, uint32_t index, arena *memory, tile *t) {
    if (!j2k_encode_keeps_tiles(e))
        return transform_tile(e, index, memory, t);
    if (!e->kept_planes || e->kept_irreversible != e->irreversible)
        TRY(transform_and_keep(e));
    TRY(j2k_tile_build(t, &e->cs.siz, index, &e->cs.style, e->cs.components, memory, &e->context->diag));
    exchange_planes(t, e->kept_planes[index], true);
    return J2K_OK;
}
