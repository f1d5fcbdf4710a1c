/* Small valid streams of many kinds, to be damaged: made by the encoder, and rearranged where it cannot make
 * the kind. SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_STREAMS_H
#define TEST_STREAMS_H

#include "../unit/stream_builder.h"
#include "j2k.h"

enum { STREAM_WIDTH = 52, STREAM_HEIGHT = 44, STREAM_COMPONENTS = 3 };

typedef enum stream_kind {
    STREAM_5_3,
    STREAM_9_7,
    STREAM_HT,
    STREAM_HT_9_7,
    STREAM_TILES,
    STREAM_STYLES,
    STREAM_PPT,
    STREAM_PPM,
    STREAM_PALETTE,
    STREAM_16_BIT,
    STREAM_ROI,
    STREAM_SUBSAMPLED,
    STREAM_DEEP,
    STREAM_DEEP_9_7,
    STREAM_DEEP_HT,
    NUM_STREAMS
} stream_kind;

static const char *const stream_names[NUM_STREAMS] = {"5/3, layers, precincts",
                                                      "9/7, ratios",
                                                      "HT, precincts",
                                                      "HT, 9/7, SOP and EPH",
                                                      "tiles in tile-parts, PLT, TLM",
                                                      "bypass, termall, segmentation, pterm, reset, causal",
                                                      "PPT",
                                                      "PPM",
                                                      "JP2 with palette",
                                                      "16 bits, signed",
                                                      "region of interest, RPCL",
                                                      "subsampled, CPRL, tiles",
                                                      "30 bits, PLT, TLM, tiles",
                                                      "9/7, 30 bits, PLT",
                                                      "HT, 30 bits"};

static inline bool is_reversible(stream_kind kind) {
    return kind != STREAM_9_7 && kind != STREAM_HT_9_7 && kind != STREAM_ROI && kind != STREAM_DEEP_9_7;
}

/* Edges, a ramp and noise. */
static inline int stream_sample(unsigned c, unsigned x, unsigned y, unsigned depth) {
    uint64_t seed = 1 + x + 1000 * y + 1000000 * c;
    unsigned noise = test_random(&seed) >> 27, ramp = (3 * x + 2 * y + 17 * c) % 200;
    unsigned value = (x / 9 + y / 7) % 3 == 0 ? 180 + noise : ramp + noise;
    return (int)(value << (depth - 8));
}

static inline void choose_stream(stream_kind kind, j2k_encode_options *o) {
    j2k_encode_options_init(o);
    o->num_resolutions = 4;
    o->codeblock_width = o->codeblock_height = 16;
    switch (kind) {
    case STREAM_5_3:
        o->num_layers = 3;
        o->num_precincts = 1;
        o->precinct_width[0] = o->precinct_height[0] = 32;
        break;
    case STREAM_9_7:
        o->quality = J2K_QUALITY_RATIO;
        o->num_layers = 2;
        o->layer_quality[0] = 20;
        o->layer_quality[1] = 6;
        o->progression = J2K_RLCP;
        break;
    case STREAM_HT:
        o->codeblock_style = J2K_STYLE_HT;
        o->num_precincts = 1;
        o->precinct_width[0] = o->precinct_height[0] = 32;
        break;
    case STREAM_HT_9_7:
        o->codeblock_style = J2K_STYLE_HT;
        o->quality = J2K_QUALITY_PSNR;
        o->layer_quality[0] = 36;
        o->sop = o->eph = true;
        break;
    case STREAM_TILES:
        o->tile_width = o->tile_height = 24;
        o->tile_parts = 'R';
        o->plt = o->tlm = true;
        o->num_layers = 2;
        o->progression = J2K_RLCP;
        break;
    case STREAM_STYLES:
        o->codeblock_style = J2K_STYLE_BYPASS | J2K_STYLE_TERMALL | J2K_STYLE_SEGMENTATION | J2K_STYLE_PTERM |
                             J2K_STYLE_RESET | J2K_STYLE_CAUSAL;
        o->num_layers = 2;
        break;
    case STREAM_PPT:
    case STREAM_PPM:
        o->sop = o->eph = true;
        o->tile_width = 32;
        o->tile_height = 44;
        o->tile_parts = 'R';
        o->progression = J2K_RPCL;
        break;
    case STREAM_PALETTE:
    case STREAM_16_BIT:
        o->colour_transform = 0;
        break;
    case STREAM_ROI:
        o->irreversible = 1;
        o->roi_component = 1;
        o->roi_shift = 7;
        o->progression = J2K_RPCL;
        break;
    case STREAM_DEEP:
        o->tile_width = o->tile_height = 32;
        o->plt = o->tlm = true;
        o->colour_transform = 1;
        break;
    case STREAM_DEEP_HT:
        o->codeblock_style = J2K_STYLE_HT;
        o->colour_transform = 1;
        break;
    case STREAM_DEEP_9_7:
        o->plt = true;
        o->irreversible = 1;
        o->colour_transform = 1;
        o->num_precincts = 1;
        o->precinct_width[0] = o->precinct_height[0] = 16;
        break;
    default:
        o->colour_transform = 0;
        o->progression = J2K_CPRL;
        o->tile_width = 40;
        o->tile_height = 30;
        break;
    }
}

static inline void put_box_of(stream *out, const char *type, const uint8_t *data, size_t size) {
    size_t start = put_box(out, type);
    for (size_t i = 0; i < size; i++)
        put8(out, data[i]);
    box_close(out, start);
}

/* The codestream of three components as the indices of a palette of five columns. */
static inline stream with_palette(const stream *codestream) {
    static const uint8_t signature[] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', 0x0D, 0x0A, 0x87, 0x0A};
    stream out = {0};
    for (size_t i = 0; i < sizeof signature; i++)
        put8(&out, signature[i]);
    put_box_of(&out, "ftyp", (const uint8_t *)"jp2 \0\0\0\0jp2 ", 12);
    size_t header = put_box(&out, "jp2h"), box = put_box(&out, "ihdr");
    put32(&out, STREAM_HEIGHT), put32(&out, STREAM_WIDTH), put16(&out, STREAM_COMPONENTS);
    put8(&out, 7), put8(&out, 7), put16(&out, 0);
    box_close(&out, box);
    put_box_of(&out, "colr", (const uint8_t *)"\1\0\0\0\0\0\20", 7);
    box = put_box(&out, "pclr");
    put16(&out, 256), put8(&out, 5);
    put8(&out, 7), put8(&out, 7), put8(&out, 7), put8(&out, 15), put8(&out, 0x87);
    for (unsigned i = 0; i < 256; i++)
        put8(&out, i), put8(&out, 255 - i), put8(&out, i * 7 & 255), put16(&out, i * 257), put8(&out, i);
    box_close(&out, box);
    box = put_box(&out, "cmap");
    for (unsigned i = 0; i < 5; i++)
        put16(&out, i % 3), put8(&out, 1), put8(&out, i);
    put16(&out, 1), put8(&out, 0), put8(&out, 0);
    box_close(&out, box);
    box = put_box(&out, "cdef");
    put16(&out, 6);
    for (unsigned i = 0; i < 6; i++)
        put16(&out, i), put16(&out, i < 3 ? 0 : 65535), put16(&out, i < 3 ? i + 1 : 65535);
    box_close(&out, box);
    put_box_of(&out, "res ", (const uint8_t *)"\0\0\0\22resc\0\1\0\1\0\1\0\1\0\0", 18);
    box_close(&out, header);
    put_box_of(&out, "xml ", (const uint8_t *)"<x/>", 4);
    put_box_of(&out, "uuid", (const uint8_t *)"0123456789abcdefgh", 18);
    put_box_of(&out, "jp2c", codestream->data, codestream->size);
    return out;
}

static inline bool marker_at(const stream *s, size_t at, unsigned low) {
    return at + 2 <= s->size && s->data[at] == 0xFF && s->data[at + 1] == low;
}

/* Move the packet headers of a tile-part, which stand between SOP and EPH, behind the end of *headers.
 * Neither marker occurs in a header or a body. Returns where the bodies end. */
static inline size_t split_packets(const stream *in, size_t at, size_t end, stream *headers, stream *bodies) {
    while (at < end) {
        CHECK(marker_at(in, at, 0x91));
        for (int i = 0; i < 6; i++)
            put8(bodies, in->data[at++]);
        while (!marker_at(in, at, 0x92))
            put8(headers, in->data[at++]);
        put16(headers, 0xFF92), at += 2;
        while (at < end && !marker_at(in, at, 0x91))
            put8(bodies, in->data[at++]);
    }
    return at;
}

/* A stream with SOP and EPH markers to one with PPM or PPT; each tile-part gets its headers in two PPT
 * segments. */
static inline stream with_packed_headers(const stream *in, bool main_header) {
    stream out = {0}, parts = {0}, ppm = {0};
    size_t at = 0;
    while (!marker_at(in, at, 0x90))
        put8(&out, in->data[at++]);
    while (marker_at(in, at, 0x90)) {
        stream headers = {0}, bodies = {0};
        size_t length = 0, sod = at + 12;
        for (int i = 0; i < 4; i++)
            length = length << 8 | in->data[at + 6 + i];
        CHECK(marker_at(in, sod, 0x93));
        split_packets(in, sod + 2, at + length, &headers, &bodies);
        size_t start = parts.size;
        for (size_t i = at; i < sod; i++)
            put8(&parts, in->data[i]);
        put32(&ppm, (uint32_t)headers.size);
        for (size_t i = 0; i < headers.size; i++)
            put8(&ppm, headers.data[i]);
        for (unsigned half = 0; half < 2 && !main_header; half++) {
            size_t segment = seg_begin(&parts, 0xFF61);
            put8(&parts, half);
            for (size_t i = half ? headers.size / 2 : 0; i < (half ? headers.size : headers.size / 2); i++)
                put8(&parts, headers.data[i]);
            seg_end(&parts, segment);
        }
        put16(&parts, 0xFF93);
        for (size_t i = 0; i < bodies.size; i++)
            put8(&parts, bodies.data[i]);
        part_end(&parts, start);
        stream_free(&headers);
        stream_free(&bodies);
        at += length;
    }
    for (unsigned half = 0; half < 2 && main_header; half++) {
        size_t segment = seg_begin(&out, 0xFF60);
        put8(&out, half);
        for (size_t i = half ? ppm.size / 2 : 0; i < (half ? ppm.size : ppm.size / 2); i++)
            put8(&out, ppm.data[i]);
        seg_end(&out, segment);
    }
    for (size_t i = 0; i < parts.size; i++)
        put8(&out, parts.data[i]);
    put16(&out, 0xFFD9);
    stream_free(&parts);
    stream_free(&ppm);
    return out;
}

/* Freed by the caller with stream_free. */
static inline stream make_stream(j2k_context *context, stream_kind kind) {
    enum { MOST = STREAM_WIDTH * STREAM_HEIGHT };
    static int32_t samples[STREAM_COMPONENTS][MOST];
    j2k_component views[STREAM_COMPONENTS];
    unsigned depth = kind == STREAM_16_BIT ? 16 : kind >= STREAM_DEEP ? 30 : 8;
    for (unsigned c = 0; c < STREAM_COMPONENTS; c++) {
        unsigned step = kind == STREAM_SUBSAMPLED && c ? 2 : 1;
        uint32_t width = (STREAM_WIDTH + step - 1) / step, height = (STREAM_HEIGHT + step - 1) / step;
        for (uint32_t i = 0; i < width * height; i++)
            samples[c][i] = stream_sample(c, i % width, i / width, depth) - (depth == 16 ? 32768 : 0);
        views[c] = (j2k_component){
            .data = samples[c], .row_stride = 4 * (ptrdiff_t)width, .sample_step = 4, .type = J2K_INT32};
        views[c].is_signed = depth == 16;
        views[c].depth = (uint8_t)depth;
        views[c].dx = views[c].dy = step;
        views[c].width = width;
        views[c].height = height;
    }
    j2k_image image = {0, 0, STREAM_WIDTH, STREAM_HEIGHT, STREAM_COMPONENTS, views, J2K_COLOUR_UNKNOWN};
    j2k_encode_options options;
    choose_stream(kind, &options);
    stream coded = {.capacity = 65536};
    coded.data = malloc(coded.capacity);
    CHECK(coded.data);
    j2k_status status = j2k_encode(context, &image, &options, coded.data, coded.capacity, &coded.size);
    if (status != J2K_OK)
        fprintf(stderr, "%s: %s\n", stream_names[kind], j2k_context_message(context));
    CHECK(status == J2K_OK);
    if (kind != STREAM_PALETTE && kind != STREAM_PPT && kind != STREAM_PPM)
        return coded;
    stream result =
        kind == STREAM_PALETTE ? with_palette(&coded) : with_packed_headers(&coded, kind == STREAM_PPM);
    stream_free(&coded);
    return result;
}

#endif
