/* Codestreams for the tests of their reader: built segment by segment, read in either mode.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_CODESTREAM_FIXTURE_H
#define TEST_CODESTREAM_FIXTURE_H

#include "codestream.h"
#include "stream_builder.h"

static arena memory;
static diagnostics diag;
static codestream cs;
static size_t first_sot;

static inline j2k_status read_stream(const uint8_t *data, size_t size, bool tolerant) {
    j2k_arena_reset(&memory);
    memset(&diag, 0, sizeof diag);
    j2k_status status = j2k_codestream_read_main(data, size, &memory, &cs, &first_sot, &diag);
    if (status == J2K_OK)
        status = j2k_codestream_read_tiles(data, size, first_sot, tolerant, &memory, &cs, &diag);
    CHECK((status == J2K_OK) == (diag.message[0] == 0) || status == J2K_ERROR_MEMORY);
    return status;
}

static inline j2k_status read_strict(const stream *s) {
    return read_stream(s->data, s->size, false);
}

static inline j2k_status read_tolerant(const stream *s) {
    return read_stream(s->data, s->size, true);
}

static inline bool has(const char *where, const char *text) {
    if (strstr(where, text))
        return true;
    fprintf(stderr, "\"%s\" is not in: %s\n", text, where);
    return false;
}

#define CHECK_FAILS(stream, status, text)                                                                    \
    do {                                                                                                     \
        CHECK(read_strict(stream) == (status));                                                              \
        CHECK(has(diag.message, text));                                                                      \
    } while (0)

static inline bool span_is(byte_span span, const char *text) {
    return span.size == strlen(text) && !memcmp(span.data, text, span.size);
}

/* SOC, SIZ with square tiles in a row, COD with 1 level and 2 layers, QCD with exponents 8 9 10 8. */
static inline void put_header(stream *s, unsigned tiles, unsigned components) {
    s->size = 0;
    put16(s, 0xFF4F);
    put_siz(s, 16 * tiles, 16, 16, 16, components);
    put_cod(s, 2, 0, 1);
    put_qcd(s, 1, 8);
}

/* Contents end with -1. */
static inline void put_segment(stream *s, unsigned marker, const int *bytes) {
    size_t start = seg_begin(s, marker);
    for (; *bytes >= 0; bytes++)
        put8(s, (unsigned)*bytes);
    seg_end(s, start);
}
#define SEGMENT(s, marker, ...) put_segment((s), (marker), (const int[]){__VA_ARGS__, -1})

static inline void put_text_segment(stream *s, unsigned marker, unsigned index, const char *text) {
    size_t start = seg_begin(s, marker);
    put8(s, index);
    put_text(s, text);
    seg_end(s, start);
}

/* COC of levels `levels` for component c. */
static inline void put_coc(stream *s, unsigned c, unsigned levels) {
    SEGMENT(s, 0xFF53, (int)c, 0, (int)levels, 4, 4, 0, 1);
}

static inline void put_qcc(stream *s, unsigned c, unsigned exponent) {
    int e = (int)exponent << 3;
    SEGMENT(s, 0xFF5D, (int)c, 0x40, e, e, e, e, e, e, e, e, e, e, e, e, e);
}

static inline void put_poc(stream *s, unsigned end_layer, unsigned order) {
    SEGMENT(s, 0xFF5F, 0, 0, 0, (int)end_layer, 33, 0, (int)order);
}

/* Nppm, Ippm for five tile-parts of three tiles, in codestream order. */
static inline void put_ppm_contents(stream *s) {
    const char *headers[] = {"b0", "", "c0 long", "a1", "b1"};
    for (int i = 0; i < 5; i++) {
        put32(s, (uint32_t)strlen(headers[i]));
        put_text(s, headers[i]);
    }
}

#endif
