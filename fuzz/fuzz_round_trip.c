/* Fuzz target: any samples with any options through encoder and decoder; lossless must come back exactly.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "j2k.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 24, MAX_SIDE = 96 };

static uint32_t pick(uint8_t byte, uint32_t low, uint32_t high) {
    return low + byte % (high - low + 1);
}

static void choose_options(const uint8_t *h, j2k_encode_options *o) {
    j2k_encode_options_init(o);
    o->format = h[4] & 1 ? J2K_FORMAT_JP2 : J2K_FORMAT_CODESTREAM;
    o->num_layers = pick(h[5], 1, 4);
    o->num_resolutions = pick(h[6], 1, 8);
    unsigned w = pick(h[7], 2, 10), most = 12 - w < 10 ? 12 - w : 10;
    o->codeblock_width = 1u << w;
    o->codeblock_height = 1u << pick(h[8], 2, most);
    o->codeblock_style = h[9] & (h[9] & 0x80 ? 64 : 63);
    o->progression = (j2k_progression)pick(h[10], 0, 4);
    if (h[11] & 1) {
        o->tile_width = pick(h[12], 5, 80);
        o->tile_height = pick(h[13], 5, 80);
    }
    if (h[11] & 2) {
        o->num_precincts = 1;
        o->precinct_width[0] = 1u << pick(h[14], 3, 8);
        o->precinct_height[0] = 1u << pick(h[14] >> 4, 3, 8);
    }
    o->sop = h[11] & 4;
    o->eph = h[11] & 8;
    o->plt = h[11] & 16;
    o->tlm = h[11] & 32;
    o->tile_parts = "\0RLC"[h[11] >> 6];
    o->guard_bits = pick(h[15], 0, 7);
    if (h[16] & 1) {
        o->roi_component = 0;
        o->roi_shift = pick(h[17], 0, 8);
    }
    if (h[16] & 2) {
        o->quality = h[16] & 4 ? J2K_QUALITY_RATIO : J2K_QUALITY_PSNR;
        for (uint32_t i = 0; i < o->num_layers; i++)
            o->layer_quality[i] = h[16] & 4 ? 40.0 - 8.0 * i : 20.0 + 8.0 * i;
        o->irreversible = (int)pick(h[18], 0, 2) - 1;
    }
}

static void round_trip(j2k_context *context, const uint8_t *h, const uint8_t *samples, size_t available) {
    uint32_t width = pick(h[0], 1, MAX_SIDE), height = pick(h[1], 1, MAX_SIDE), n = pick(h[2], 1, 4);
    bool wide = h[3] & 1;
    size_t bytes = (size_t)width * height * n * (wide ? 2 : 1);
    uint8_t *source = calloc(2, bytes), *target = source + bytes;
    j2k_component components[4];
    if (!source)
        return;
    for (size_t i = 0; i < bytes && available; i++)
        source[i] = samples[i % available];
    j2k_image image = {0, 0, width, height, n, components, J2K_COLOUR_UNKNOWN};
    for (uint32_t c = 0; c < n; c++) {
        size_t step = wide ? 2 : 1;
        components[c] = (j2k_component){.data = source + c * step,
                                        .row_stride = (ptrdiff_t)(width * n * step),
                                        .sample_step = (ptrdiff_t)(n * step),
                                        .type = wide ? J2K_UINT16 : J2K_UINT8,
                                        .depth = wide ? 16 : 8,
                                        .dx = 1,
                                        .dy = 1,
                                        .width = width,
                                        .height = height};
    }
    j2k_encode_options options;
    choose_options(h, &options);
    size_t capacity = 2 * j2k_encode_bound(&image, &options), size = 0;
    uint8_t *stream = malloc(capacity);
    j2k_status status =
        stream ? j2k_encode(context, &image, &options, stream, capacity, &size) : J2K_ERROR_MEMORY;
    if (status == J2K_OK) {
        for (uint32_t c = 0; c < n; c++)
            components[c].data = target + c * (wide ? 2 : 1);
        status = j2k_decode(context, stream, size, NULL, &image);
        bool lossless = options.quality == J2K_QUALITY_LOSSLESS;
        if (status != J2K_OK || (lossless && memcmp(source, target, bytes) != 0)) {
            fprintf(stderr, "round trip failed: %s\n", j2k_context_message(context));
            abort();
        }
    }
    free(stream);
    free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEADER)
        return 0;
    j2k_context *context = j2k_context_create(1, data[19] & 1 ? J2K_CPU_ALL : 0);
    if (context)
        round_trip(context, data, data + HEADER, size - HEADER);
    j2k_context_destroy(context);
    return 0;
}
