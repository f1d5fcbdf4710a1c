/* The encoder: one call a stage, as in the block diagram of T.800 annex J.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "encode.h"

#include <string.h>

#include "profiles.h"
#include "roi.h"

/* Level shift, colour transform, wavelet (encode_tiles.c), quantisation and block coding of all tiles.
 * Coefficients are needed for one tile at a time only; the tree and the coded passes stay. */
j2k_status j2k_encode_code_tiles(encoder *e) {
    j2k_context *context = e->context;
    e->num_tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    e->tiles = ARENA_ALLOC_ZERO(&context->memory, tile, e->num_tiles);
    block_ref **refs = ARENA_ALLOC(&context->memory, block_ref *, e->num_tiles);
    size_t *counts = ARENA_ALLOC(&context->memory, size_t, e->num_tiles);
    RETURN_IF(!e->tiles || !refs || !counts, J2K_ERROR_MEMORY);
    e->num_refs = 0;
    for (uint32_t i = 0; i < e->num_tiles; i++) {
        tile *t = &e->tiles[i];
        j2k_arena_reset(&context->work);
        TRY(j2k_encode_load_tile(e, i, &context->memory, t));
        TRY(j2k_roi_mask_tile(e, t));
        TRY(j2k_tile_encode_blocks(context, t, e->ht, &context->memory, &refs[i], &counts[i]));
        e->num_refs += counts[i];
    }
    if (e->num_tiles == 1) {
        e->refs = refs[0];
        return J2K_OK;
    }
    e->refs = ARENA_ALLOC(&context->memory, block_ref, e->num_refs);
    RETURN_IF(!e->refs, J2K_ERROR_MEMORY);
    for (size_t i = 0, n = 0; i < e->num_tiles; n += counts[i++])
        if (counts[i])
            memcpy(e->refs + n, refs[i], counts[i] * sizeof *refs[i]);
    return J2K_OK;
}

/* The block coders counted missing bit-planes from a limit that allows for all guard bits. Find how many the
 * data need (two are enough for anything but extreme patterns, E.1), and count from the subbands' own number
 * of bit-planes. */
j2k_status j2k_encode_fit_guard_bits(encoder *e) {
    unsigned more = 0;
    for (size_t i = 0; i < e->num_refs; i++) {
        const block_ref *ref = &e->refs[i];
        codeblock *cb = ref->block;
        cb->zero_bitplanes = (uint8_t)(j2k_block_plane_limit(ref) - cb->zero_bitplanes); /* planes coded */
        unsigned have = ref->band->num_bitplanes + ref->component->style->roi_shift;
        if (cb->zero_bitplanes > have)
            more = max_u32(more, cb->zero_bitplanes - have);
    }
    const subband *last = NULL;
    for (size_t i = 0; i < e->num_refs; i++) {
        const block_ref *ref = &e->refs[i];
        codeblock *cb = ref->block;
        if (ref->band != last)
            ref->band->num_bitplanes = (uint8_t)(ref->band->num_bitplanes + more);
        last = ref->band;
        unsigned have = ref->band->num_bitplanes + ref->component->style->roi_shift;
        cb->zero_bitplanes = (uint8_t)(have - cb->zero_bitplanes);
    }
    for (uint32_t c = 0; c < e->cs.siz.num_components; c++) {
        quantisation *q = &e->cs.components[c].quant;
        unsigned wanted = j2k_profile_guard_bits(e->options.rsiz);
        if (wanted && more)
            return j2k_fail(
                &e->context->diag, J2K_ERROR_UNSUPPORTED,
                "component %u: the coefficients need %u guard bits, the profile of rsiz %u has %u", c,
                q->guard_bits + more, e->options.rsiz, wanted);
        if (q->guard_bits + more > 7)
            return j2k_fail(&e->context->diag, J2K_ERROR_UNSUPPORTED,
                            "component %u: coefficients exceed the range of its depth by %u bits", c, more);
        q->guard_bits = (uint8_t)(q->guard_bits + more);
    }
    return J2K_OK;
}

/* A quantiser step that turns out too coarse for the target is refined; three times cover 6 bits. */
enum { MAX_REFINE = 4 };

static void reset(encoder *e) {
    j2k_arena_reset(&e->context->memory);
    for (unsigned i = 0; i < e->context->num_workers; i++)
        j2k_arena_reset(&e->context->workers[i].results);
    e->coded = false;
}

/* The attempts at the quality wanted. The result is in e, ready to be written. */
static j2k_status encode_quality(encoder *e) {
    bool finer = true;
    for (unsigned refine = 0; finer && refine < MAX_REFINE; refine++) {
        reset(e);
        TRY(j2k_encode_plan(e, refine));
        if (e->ht_target) {
            TRY(j2k_encode_ht_target(e));
            break;
        }
        if (!e->coded) {
            TRY(j2k_encode_code_tiles(e));
            TRY(j2k_encode_fit_guard_bits(e));
        }
        j2k_encode_capabilities(e);
        TRY(j2k_encode_layers(e, &finer));
    }
    return J2K_OK;
}

/* Lossless, or with errors up to a bound when that is smaller. */
static j2k_status encode_max_error(encoder *e) {
    const j2k_encode_options wanted = e->options;
    bool possible = wanted.irreversible != 0 && wanted.layer_quality[0] > 0, found = false;
    for (uint32_t c = 0; c < e->image->num_components; c++) /* no component is wide */
        possible = possible && e->image->components[c].depth <= 24;
    uint64_t lossless = UINT64_MAX;
    if (wanted.irreversible != 1) {
        e->options.quality = J2K_QUALITY_LOSSLESS;
        e->options.irreversible = 0;
        TRY(encode_quality(e));
        byte_sink counter = {NULL, 0, 0};
        TRY(j2k_encode_write(e, &counter, true));
        lossless = counter.size;
    }
    if (possible) {
        reset(e);
        e->options = wanted;
        TRY(j2k_encode_plan(e, 0));
        TRY(j2k_encode_bounded(e, lossless, &found));
    }
    if (found)
        return J2K_OK;
    if (wanted.irreversible == 1)
        return j2k_fail(&e->context->diag, J2K_ERROR_UNSUPPORTED,
                        "the 9/7 wavelet does not keep this image within a maximum error of %g",
                        wanted.layer_quality[0]);
    e->options.quality = J2K_QUALITY_LOSSLESS;
    e->options.irreversible = 0;
    return possible ? encode_quality(e) : J2K_OK;
}

static j2k_status encode_image(encoder *e, byte_sink *sink) {
    e->context->memory.limit = e->context->work.limit = e->context->scratch.limit = 0;
    TRY(j2k_encode_check(e));
    TRY(e->options.quality == J2K_QUALITY_MAX_ERROR ? encode_max_error(e) : encode_quality(e));
    TRY(j2k_encode_write(e, sink, true));
    if (e->bytes_allowed && sink->size > e->bytes_allowed) {
        char name[80];
        j2k_profile_describe(e->options.rsiz, name, sizeof name);
        return j2k_fail(&e->context->diag, J2K_ERROR_ARGUMENT,
                        "%s: %zu bytes; framerate and level allow %llu", name, sink->size,
                        (unsigned long long)e->bytes_allowed);
    }
    if (sink->size > sink->capacity)
        return j2k_fail(&e->context->diag, J2K_ERROR_BUFFER,
                        "the result takes %zu bytes, the output buffer has %zu", sink->size, sink->capacity);
    return J2K_OK;
}

j2k_status j2k_encode(j2k_context *context, const j2k_image *image, const j2k_encode_options *options,
                      void *out, size_t capacity, size_t *size) {
    if (!context)
        return J2K_ERROR_ARGUMENT;
    context->diag.message[0] = 0;
    if (!image || !size || (!out && capacity))
        return j2k_fail(&context->diag, J2K_ERROR_ARGUMENT, "image, size and out must not be NULL");
    *size = 0;
    encoder e = {.context = context, .image = image, .decoded_scale = 1};
    j2k_encode_options_init(&e.options);
    if (options) {
        size_t known = options->struct_size < sizeof e.options ? options->struct_size : sizeof e.options;
        memcpy(&e.options, options, known);
    }
    byte_sink sink = {out, capacity, 0};
    j2k_status status = encode_image(&e, &sink);
    if (status == J2K_ERROR_MEMORY && !context->diag.message[0])
        j2k_fail(&context->diag, status, "out of memory");
    if (status == J2K_ERROR_UNSUPPORTED && !context->diag.message[0])
        j2k_fail(&context->diag, status, "a code-block has more than %d bit-planes, ROI shift included",
                 MAX_CODED_BITPLANES);
    if (status == J2K_OK)
        *size = sink.size;
    return status;
}
