/* Codestreams and boxes put together byte by byte, without the code under test.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_STREAM_BUILDER_H
#define TEST_STREAM_BUILDER_H

#include <string.h>

#include "check.h"

typedef struct stream {
    uint8_t *data;
    size_t size, capacity;
} stream;

static inline void put8(stream *s, unsigned value) {
    if (s->size == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 1024;
        s->data = realloc(s->data, s->capacity);
        CHECK(s->data);
    }
    s->data[s->size++] = (uint8_t)value;
}

static inline void put16(stream *s, unsigned value) {
    put8(s, value >> 8 & 255);
    put8(s, value & 255);
}

static inline void put32(stream *s, uint32_t value) {
    put16(s, value >> 16);
    put16(s, value & 65535);
}

static inline void put_text(stream *s, const char *text) {
    while (*text)
        put8(s, (unsigned char)*text++);
}

static inline void stream_free(stream *s) {
    free(s->data);
    memset(s, 0, sizeof *s);
}

/* A marker segment: the length is filled in by seg_end. */
static inline size_t seg_begin(stream *s, unsigned marker) {
    put16(s, marker);
    put16(s, 0);
    return s->size;
}

static inline void seg_end(stream *s, size_t start) {
    size_t length = s->size - start + 2;
    CHECK(length <= 65535);
    s->data[start - 2] = (uint8_t)(length >> 8);
    s->data[start - 1] = (uint8_t)length;
}

/* SIZ of an image at the origin, all components of 8 bits without subsampling. */
static inline void put_siz(stream *s, uint32_t width, uint32_t height, uint32_t tile_width,
                           uint32_t tile_height, unsigned components) {
    size_t start = seg_begin(s, 0xFF51);
    put16(s, 0);
    put32(s, width);
    put32(s, height);
    put32(s, 0);
    put32(s, 0);
    put32(s, tile_width);
    put32(s, tile_height);
    put32(s, 0);
    put32(s, 0);
    put16(s, components);
    for (unsigned c = 0; c < components; c++) {
        put8(s, 7);
        put8(s, 1);
        put8(s, 1);
    }
    seg_end(s, start);
}

/* COD without precinct sizes: LRCP, `layers`, 64 x 64 blocks, 5/3. */
static inline void put_cod(stream *s, unsigned layers, unsigned mct, unsigned levels) {
    size_t start = seg_begin(s, 0xFF52);
    put8(s, 0);
    put8(s, 0);
    put16(s, layers);
    put8(s, mct);
    put8(s, levels);
    put8(s, 4);
    put8(s, 4);
    put8(s, 0);
    put8(s, 1);
    seg_end(s, start);
}

/* QCD without quantisation, 2 guard bits, exponents `first`, first + 1 ... */
static inline void put_qcd(stream *s, unsigned levels, unsigned first) {
    size_t start = seg_begin(s, 0xFF5C);
    put8(s, 2 << 5);
    for (unsigned b = 0; b <= 3 * levels; b++)
        put8(s, (first + b % 3) << 3);
    seg_end(s, start);
}

/* SOT; Psot is filled in by part_end. */
static inline size_t part_begin(stream *s, unsigned tile, unsigned part, unsigned num_parts) {
    size_t start = s->size;
    put16(s, 0xFF90);
    put16(s, 10);
    put16(s, tile);
    put32(s, 0);
    put8(s, part);
    put8(s, num_parts);
    return start;
}

static inline void part_end(stream *s, size_t start) {
    size_t length = s->size - start;
    for (int i = 0; i < 4; i++)
        s->data[start + 6 + i] = (uint8_t)(length >> (24 - 8 * i));
}

/* A whole tile-part with an empty header. */
static inline void put_part(stream *s, unsigned tile, unsigned part, unsigned num_parts, const char *body) {
    size_t start = part_begin(s, tile, part, num_parts);
    put16(s, 0xFF93);
    put_text(s, body);
    part_end(s, start);
}

static inline size_t put_box(stream *s, const char *type) {
    size_t start = s->size;
    put32(s, 0);
    put_text(s, type);
    return start;
}

static inline void box_close(stream *s, size_t start) {
    size_t length = s->size - start;
    for (int i = 0; i < 4; i++)
        s->data[start + i] = (uint8_t)(length >> (24 - 8 * i));
}

#endif
