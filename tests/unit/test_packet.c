/* Packets: the example of the standard, headers composed by hand, and what the reader makes of written, cut,
 * damaged and random packets.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "packet.h"
#include "random_tile.h"

/* ---- bits by hand ---- */

/* Pack a string of 0, 1 and blanks as B.10.1 says, and append it. */
static void append_bits(uint8_t *out, size_t *size, const char *bits) {
    unsigned byte = 0, count = 0, full = 8;
    for (; *bits; bits++) {
        if (*bits == ' ')
            continue;
        byte = byte << 1 | (*bits == '1');
        if (++count == full) {
            out[(*size)++] = (uint8_t)byte;
            full = byte == 0xFF ? 7 : 8;
            byte = count = 0;
        }
    }
    if (count || full == 7)
        out[(*size)++] = (uint8_t)(byte << (full - count));
}

/* A tile of one component without decomposition: one packet a layer. */
typedef struct single_tile {
    random_image image;
    tile tile;
    arena memory;
    diagnostics diag;
} single_tile;

static void single_tile_make(single_tile *s, uint32_t width, uint32_t height, unsigned style,
                             unsigned layers) {
    memset(s, 0, sizeof *s);
    random_image *m = &s->image;
    m->siz.area = (rect){0, 0, width, height};
    m->siz.tile_width = width;
    m->siz.tile_height = height;
    m->siz.tiles_x = m->siz.tiles_y = 1;
    m->siz.num_components = 1;
    m->siz.components = m->component_siz;
    m->component_siz[0] = (component_siz){.depth = 8, .dx = 1, .dy = 1};
    m->style.num_layers = (uint16_t)layers;
    m->styles[0].coding = (coding_style){.codeblock_w_exp = 4, .codeblock_h_exp = 4, .reversible = true};
    m->styles[0].coding.codeblock_style = (uint8_t)style;
    m->styles[0].coding.precinct_w_exp[0] = m->styles[0].coding.precinct_h_exp[0] = 15;
    m->styles[0].quant.exponent[0] = 10;
    m->styles[0].quant.guard_bits = 1; /* Mb = 10 */
    CHECK(j2k_tile_build(&s->tile, &m->siz, 0, &m->style, m->styles, &s->memory, &s->diag) == J2K_OK);
}

static codeblock *single_block(single_tile *s, uint32_t index) {
    precinct *p = s->tile.components[0].resolutions[0].bands[0].precincts[0];
    CHECK(p && index < p->blocks_wide * p->blocks_high);
    return &p->blocks[index];
}

static j2k_status single_read(single_tile *s, const uint8_t *data, size_t size, bool tolerant,
                              bool *complete) {
    byte_span part = {data, size};
    tile_header header = {.present = true, .num_parts = 1, .parts = &part};
    return j2k_packets_read(&s->tile, &header, &s->image.siz, 0, tolerant, &s->memory, complete, &s->diag);
}

static uint8_t *copy_bytes(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    CHECK(copy);
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

static void expect_status(single_tile *s, const uint8_t *data, size_t size, j2k_status expected,
                          const char *word) {
    bool complete;
    uint8_t *copy = copy_bytes(data, size);
    j2k_status status = single_read(s, copy, size, false, &complete);
    CHECK(status == expected);
    if (word)
        CHECK(strstr(s->diag.message, word));
    free(copy);
    j2k_arena_free(&s->memory);
}

/* Table B.5: six code-blocks, the first two layers. Code-blocks (0,0) and (1,0) are in layer 0, (1,1) and
 * (2,1) join in layer 1; missing bit-planes are 3 4 7 / 3 3 6. */
static const char *const example_headers[2] = {
    "1  111 000111 1100 0 0100  1 01 10 10 00100  0  0  0",
    "1  1 1100 0 1010  0  10  0  1 1 0 0 001  1 00011 0 0 010",
};
static const size_t example_bodies[2] = {4 + 4, 10 + 1 + 2};

static void example_read(void) {
    static const struct {
        unsigned passes, planes;
        size_t bytes;
    } expected[6] = {{6, 3, 14}, {2, 4, 4}, {0, 0, 0}, {0, 0, 0}, {1, 3, 1}, {1, 6, 2}};
    single_tile s;
    uint8_t data[64];
    size_t size = 0;
    bool complete = false;
    single_tile_make(&s, 48, 32, 0, 2);
    for (int layer = 0; layer < 2; layer++) {
        append_bits(data, &size, example_headers[layer]);
        for (size_t i = 0; i < example_bodies[layer]; i++)
            data[size++] = (uint8_t)(0x10 * (layer + 1) + i);
    }
    CHECK(single_read(&s, data, size, false, &complete) == J2K_OK && complete);
    for (uint32_t i = 0; i < 6; i++) {
        const codeblock *cb = single_block(&s, i);
        CHECK(cb->num_passes == expected[i].passes && cb->zero_bitplanes == expected[i].planes);
        size_t bytes = 0;
        for (const data_chunk *c = cb->u.dec.first_chunk; c; c = c->next)
            bytes += c->size;
        CHECK(bytes == expected[i].bytes);
        const codeword_segment *segment = cb->u.dec.first_segment;
        CHECK(segment ? segment->num_passes == cb->num_passes && segment->size == bytes && !segment->next
                      : cb->num_passes == 0);
    }
    /* Bodies in the order of the code-blocks. */
    CHECK(single_block(&s, 0)->u.dec.first_chunk->data[0] == 0x10);
    CHECK(single_block(&s, 0)->u.dec.last_chunk->data[9] == 0x29);
    CHECK(single_block(&s, 1)->u.dec.first_chunk->data[0] == 0x14);
    CHECK(single_block(&s, 4)->u.dec.first_chunk->data[0] == 0x2A);
    CHECK(single_block(&s, 5)->u.dec.first_chunk->data[1] == 0x2C);
    j2k_arena_free(&s.memory);
}

/* The encoder's side of a code-block: lengths[i] bytes after pass i. */
static void give_passes(codeblock *cb, unsigned planes, unsigned num_passes, const uint32_t *lengths,
                        const uint8_t *data, arena *memory, uint16_t *layer_passes) {
    coding_pass *passes = ARENA_ALLOC_ZERO(memory, coding_pass, num_passes + 1);
    CHECK(passes);
    for (unsigned i = 0; i < num_passes; i++)
        passes[i].length = lengths[i];
    cb->zero_bitplanes = (uint8_t)planes;
    cb->num_passes = (uint16_t)num_passes;
    cb->u.enc.data = data;
    cb->u.enc.passes = passes;
    cb->u.enc.layer_passes = layer_passes;
}

static size_t single_write(single_tile *s, unsigned layers, uint8_t *out, size_t capacity) {
    byte_sink sink = {out, capacity, 0};
    j2k_packets_prepare(&s->tile);
    for (uint32_t l = 0; l < layers; l++)
        CHECK(j2k_packet_write(&s->tile, (packet_id){.layer = l}, &sink, l) == J2K_OK);
    return sink.size;
}

/* The same from the writer. The example signals 4 bytes of code-block (1,0) with one bit more than is needed,
 * as its text remarks: here that code-block has 20 bytes, which need them. Code-blocks (2,0) and (0,1) follow
 * in a layer that is not looked at. */
static void example_write(void) {
    static const char *const headers[2] = {
        "1  111 000111 1100 0 0100  1 01 10 10 10100  0  0  0",
        "1  1 1100 0 1010  0  10  0  1 1 0 0 001  1 00011 0 0 010",
    };
    static const uint32_t lengths[6][6] = {{1, 2, 4, 5, 6, 14}, {9, 20}, {1}, {1}, {1}, {2}};
    static const unsigned planes[6] = {3, 4, 7, 3, 3, 6};
    static uint16_t layers[6][3] = {{3, 6, 6}, {2, 2, 2}, {0, 0, 1}, {0, 0, 1}, {0, 1, 1}, {0, 1, 1}};
    uint8_t bytes[6][20], expected[128], out[128];
    single_tile s;
    single_tile_make(&s, 48, 32, 0, 3);
    resolution *res = &s.tile.components[0].resolutions[0];
    CHECK(j2k_precinct_open(&res->bands[0], res, 0, &s.memory) == J2K_OK);
    for (uint32_t i = 0; i < 6; i++) {
        memset(bytes[i], (int)(0x11 * (i + 1)), sizeof bytes[i]);
        give_passes(single_block(&s, i), planes[i], layers[i][2], lengths[i], bytes[i], &s.memory, layers[i]);
    }
    size_t size = 0;
    append_bits(expected, &size, headers[0]);
    memset(expected + size, 0x11, 4);
    memset(expected + size + 4, 0x22, 20);
    size += 24;
    append_bits(expected, &size, headers[1]);
    memset(expected + size, 0x11, 10);
    memset(expected + size + 10, 0x55, 1);
    memset(expected + size + 11, 0x66, 2);
    size += 13;
    CHECK(single_write(&s, 2, out, sizeof out) == size && memcmp(out, expected, size) == 0);
    CHECK(single_write(&s, 2, NULL, 0) == size);
    j2k_arena_free(&s.memory);
}

/* Tables B.4 and D.9 with one code-block: `code` is the header's end, after inclusion and no missing
 * bit-plane. */
static void expect_header(unsigned style, unsigned passes, const uint32_t *lengths, const char *code) {
    static uint8_t expected[1 << 16], out[1 << 16], data[1 << 16];
    char bits[512] = "1 1 1 ";
    uint16_t layer_passes = (uint16_t)passes;
    single_tile s;
    single_tile_make(&s, 16, 16, style, 1);
    resolution *res = &s.tile.components[0].resolutions[0];
    CHECK(j2k_precinct_open(&res->bands[0], res, 0, &s.memory) == J2K_OK);
    give_passes(single_block(&s, 0), 0, passes, lengths, data, &s.memory, &layer_passes);
    size_t size = 0, body = lengths[passes - 1];
    strcat(bits, code);
    append_bits(expected, &size, bits);
    memset(expected + size, 0, body);
    size += body;
    CHECK(single_write(&s, 1, out, sizeof out) == size && memcmp(out, expected, size) == 0);
    j2k_arena_free(&s.memory);

    bool complete = false;
    single_tile_make(&s, 16, 16, style, 1);
    CHECK(single_read(&s, out, size, false, &complete) == J2K_OK && complete);
    const codeblock *cb = single_block(&s, 0);
    CHECK(cb->num_passes == passes && cb->zero_bitplanes == 0);
    unsigned first = 0;
    for (const codeword_segment *g = cb->u.dec.first_segment; g; first += g->num_passes, g = g->next) {
        CHECK(g->num_passes && g->complete == (g->num_passes == j2k_segment_passes(style, first)));
        CHECK(g->size == lengths[first + g->num_passes - 1] - (first ? lengths[first - 1] : 0));
    }
    CHECK(first == passes);
    j2k_arena_free(&s.memory);
}

static void headers_by_hand(void) {
    uint32_t lengths[164];
    for (unsigned i = 0; i < 164; i++)
        lengths[i] = i + 1; /* pass i makes it i + 1 bytes */
    expect_header(0, 1, lengths, "0  0 001");
    expect_header(0, 2, lengths, "10  0 0010");
    expect_header(0, 3, lengths, "1100  0 0011");
    expect_header(0, 4, lengths, "1101  0 00100");
    expect_header(0, 5, lengths, "1110  0 00101");
    expect_header(0, 6, lengths, "1111 00000  0 00110");
    expect_header(0, 7, lengths, "1111 00001  0 00111");
    expect_header(0, 36, lengths, "1111 11110  0 00100100");
    expect_header(0, 37, lengths, "1111 11111 0000000  0 00100101");
    expect_header(0, 164, lengths, "1111 11111 1111111  0 0010100100");
    expect_header(J2K_STYLE_TERMALL, 3, lengths, "1100  0 001 001 001");
    expect_header(J2K_STYLE_BYPASS, 10, lengths, "1111 00100  0 001010");
    expect_header(J2K_STYLE_BYPASS, 13, lengths, "1111 00111  0 001010 0010 001"); /* 10, 2, 1 passes */
    expect_header(J2K_STYLE_BYPASS, 14, lengths, "1111 01000  0 001010 0010 001 001");
    /* Lblock grows once for all segments, by what the neediest of them asks for. */
    static const uint32_t uneven[3] = {7, 8 + 7, 100 + 8 + 7}; /* 7, 8 and 100 bytes: 3, 4 and 7 bits */
    expect_header(J2K_STYLE_TERMALL, 3, uneven, "1100  1111 0 0000111 0001000 1100100");
    static const uint32_t none[2] = {0, 0};
    expect_header(0, 2, none, "10  0 0000");
    static const uint32_t large[1] = {40000};
    expect_header(0, 1, large, "0  1111111111111 0 1001110001000000");
}

/* HT code-blocks (T.814): placeholder passes take no bytes and come in threes before the first cleanup pass.
 */
static void ht_placeholders(void) {
    /* One packet: 3 placeholders and the cleanup pass (7 bytes), then both refinement passes (2 bytes). */
    static const char *const at_once = "1 1 1 1111 00000 0 00111 0010";
    /* Three packets: 3 placeholders (length fields of 3 and 1 bits, all 0); the cleanup pass (5 bytes) and
     * one refinement pass (1 byte); the other one (3 bytes). */
    static const char *const in_steps[3] = {"1 1 1 1100 0 000 0", "1 1 10 0 101 001", "1 1 0 0 011"};
    static const unsigned bodies[3] = {0, 6, 3};
    uint8_t data[64] = {0};
    size_t size = 0;
    bool complete;
    single_tile s;
    append_bits(data, &size, at_once);
    single_tile_make(&s, 16, 16, J2K_STYLE_HT, 1);
    CHECK(single_read(&s, data, size + 9, false, &complete) == J2K_OK);
    const codeword_segment *first = single_block(&s, 0)->u.dec.first_segment;
    CHECK(single_block(&s, 0)->num_passes == 6 && first && first->num_passes == 4 && first->size == 7);
    CHECK(first->next && first->next->num_passes == 2 && first->next->size == 2 && !first->next->next);
    j2k_arena_free(&s.memory);

    size = 0;
    memset(data, 0, sizeof data);
    for (int i = 0; i < 3; i++) {
        append_bits(data, &size, in_steps[i]);
        size += bodies[i];
    }
    single_tile_make(&s, 16, 16, J2K_STYLE_HT, 3);
    CHECK(single_read(&s, data, size, false, &complete) == J2K_OK);
    first = single_block(&s, 0)->u.dec.first_segment;
    CHECK(single_block(&s, 0)->num_passes == 6 && first && first->num_passes == 4 && first->size == 5);
    CHECK(first->next && first->next->num_passes == 2 && first->next->size == 4 && !first->next->next);
    j2k_arena_free(&s.memory);

    size = 0;
    append_bits(data, &size, "1 1 1 1100 0 000 1"); /* a byte for placeholders */
    single_tile_make(&s, 16, 16, J2K_STYLE_HT, 1);
    expect_status(&s, data, size + 1, J2K_ERROR_CORRUPT, "cleanup");
}

/* Mixed streams: the first length tells HT code-blocks, whose field has a spare bit, from the others. */
static void ht_mixed(void) {
    enum { MIXED = J2K_STYLE_HT | J2K_STYLE_HT_MIXED };
    static const char *const headers[3] = {"1 1 1 0 10 0101", "1 1 1 0 0 101", "1 1 1 1100 0 1100"};
    static const unsigned passes[3] = {1, 1, 3}, bodies[3] = {5, 5, 12};
    bool complete;
    for (int i = 0; i < 3; i++) {
        uint8_t data[64] = {0};
        size_t size = 0;
        single_tile s;
        append_bits(data, &size, headers[i]);
        single_tile_make(&s, 16, 16, MIXED, 1);
        CHECK(single_read(&s, data, size + bodies[i], false, &complete) == J2K_OK && complete);
        const codeblock *cb = single_block(&s, 0);
        const codeword_segment *segment = cb->u.dec.first_segment;
        CHECK(cb->num_passes == passes[i] && cb->part_1 == (i > 0) && cb->seen_cleanup == (i == 0));
        CHECK(segment && segment->num_passes == passes[i] && segment->size == bodies[i] && !segment->next);
        CHECK(codeblock_style(cb, MIXED | J2K_STYLE_CAUSAL) == (i ? 0u : MIXED) + J2K_STYLE_CAUSAL);
        j2k_arena_free(&s.memory);
        if (i == 1) {
            single_tile_make(&s, 16, 16, MIXED | J2K_STYLE_TERMALL, 1);
            expect_status(&s, data, size + bodies[i], J2K_ERROR_UNSUPPORTED, "mixed");
        }
    }
}

/* ---- random tiles through writer and reader ---- */

typedef struct written {
    random_image image;
    tile tile;
    arena memory;
    uint8_t *bytes; /* all packets one after the other */
    size_t size;
    size_t *starts, *header_ends; /* of each packet; SOP and EPH belong to the header */
    size_t num_packets;
} written;

enum { MAX_BLOCK_PASSES = 60, MAX_TEST_PACKETS = 20000 };

static void random_block(uint64_t *seed, codeblock *cb, unsigned style, unsigned planes, unsigned layers,
                         arena *memory) {
    uint32_t lengths[MAX_BLOCK_PASSES], length = 0;
    unsigned skipped =
        style & J2K_STYLE_HT && planes > 4 ? 3 * random_in(seed, 0, 2) : 0; /* of other HT sets */
    unsigned most = style & J2K_STYLE_HT ? skipped + 3 : test_random(seed) % 8 ? 12 : MAX_BLOCK_PASSES;
    unsigned passes = test_random(seed) % 3 ? random_in(seed, skipped, most) : 0;
    uint32_t largest = test_random(seed) % 20 ? 12 : 700;
    for (unsigned i = 0; i < passes; i++)
        lengths[i] = length += test_random(seed) % 4 ? random_in(seed, 0, largest) : 0;
    if (style & J2K_STYLE_HT) /* a cleanup pass takes two bytes at least */
        for (unsigned i = 0; i < passes; i++)
            length = lengths[i] += 2 * (i + 1);
    uint8_t *data = ARENA_ALLOC(memory, uint8_t, length);
    uint16_t *layer_passes = ARENA_ALLOC(memory, uint16_t, layers);
    CHECK(data && layer_passes);
    for (uint32_t i = 0; i < length; i++)
        data[i] = (uint8_t)(test_random(seed) % 8 ? test_random(seed) & 0x7F : i + 1 < length ? 0xFF : 0);
    unsigned before = 0;
    for (unsigned l = 0; l < layers; l++)
        layer_passes[l] =
            (uint16_t)(before = test_random(seed) % 2 ? random_in(seed, before, passes) : before);
    give_passes(cb, random_in(seed, 0, planes - skipped / 3), passes, lengths, data, memory, layer_passes);
    cb->u.enc.first_pass = (uint16_t)(passes ? skipped : 0);
}

/* Bytes of the first `passes` passes; those of HT sets that are not sent are left out anyway. */
static uint32_t bytes_of(const codeblock *cb, unsigned passes) {
    passes = passes > cb->u.enc.first_pass ? passes : cb->u.enc.first_pass;
    return passes ? cb->u.enc.passes[passes - 1].length : 0;
}

static uint32_t body_size(const written *w, packet_id id) {
    const resolution *res = &w->tile.components[id.component].resolutions[id.resolution];
    uint32_t size = 0;
    for (unsigned b = 0; b < res->num_bands; b++) {
        const precinct *p = res->bands[b].precincts[id.precinct];
        for (uint32_t i = 0; i < p->blocks_wide * p->blocks_high; i++) {
            const codeblock *cb = &p->blocks[i];
            size += bytes_of(cb, cb->u.enc.layer_passes[id.layer]) -
                    bytes_of(cb, id.layer ? cb->u.enc.layer_passes[id.layer - 1] : 0);
        }
    }
    return size;
}

static void write_random(uint64_t *seed, written *w) {
    static const uint8_t styles[] = {0,
                                     0,
                                     J2K_STYLE_BYPASS,
                                     J2K_STYLE_TERMALL,
                                     J2K_STYLE_BYPASS | J2K_STYLE_TERMALL,
                                     J2K_STYLE_HT,
                                     J2K_STYLE_RESET | J2K_STYLE_CAUSAL};
    diagnostics diag = {0};
    random_image *m = &w->image;
    random_image_make(seed, m);
    m->style.sop = test_random(seed) % 2;
    m->style.eph = test_random(seed) % 2;
    if (test_random(seed) % 4 == 0) {
        m->style.num_changes = 2; /* the second takes what the first leaves */
        m->changes[0] = (progression_change){0, 2, 0, 2, 2, (uint8_t)random_in(seed, 0, 4)};
        m->changes[1] = (progression_change){0, 16384, 0, 33, 65535, (uint8_t)random_in(seed, 0, 4)};
    }
    for (uint32_t c = 0; c < m->siz.num_components; c++)
        m->styles[c].coding.codeblock_style = styles[test_random(seed) % sizeof styles];
    j2k_arena_reset(&w->memory);
    CHECK(j2k_tile_build(&w->tile, &m->siz, m->tile, &m->style, m->styles, &w->memory, &diag) == J2K_OK);
    for (uint32_t c = 0; c < m->siz.num_components; c++) {
        const component_style *style = &m->styles[c];
        for (unsigned r = 0; r < w->tile.components[c].num_resolutions; r++) {
            resolution *res = &w->tile.components[c].resolutions[r];
            for (unsigned b = 0; b < res->num_bands; b++) {
                for (uint32_t k = 0; k < res->num_precincts_x * res->num_precincts_y; k++) {
                    CHECK(j2k_precinct_open(&res->bands[b], res, k, &w->memory) == J2K_OK);
                    precinct *p = res->bands[b].precincts[k];
                    for (uint32_t i = 0; i < p->blocks_wide * p->blocks_high; i++)
                        random_block(seed, &p->blocks[i], style->coding.codeblock_style,
                                     res->bands[b].num_bitplanes + style->roi_shift, m->style.num_layers,
                                     &w->memory);
                }
            }
        }
    }
    /* Count first, then write: both give the same size. */
    for (int dry = 1; dry >= 0; dry--) {
        packet_iterator *it = j2k_packets_begin(&w->tile, &m->siz, &w->memory);
        byte_sink sink = {dry ? NULL : w->bytes, dry ? 0 : w->size, 0};
        packet_id id;
        CHECK(it);
        j2k_packets_prepare(&w->tile);
        w->num_packets = 0;
        while (j2k_packets_next(it, &id)) {
            CHECK(w->num_packets < MAX_TEST_PACKETS);
            w->starts[w->num_packets] = sink.size;
            CHECK(j2k_packet_write(&w->tile, id, &sink, (uint32_t)w->num_packets) == J2K_OK);
            CHECK(sink.size > w->starts[w->num_packets]);
            w->header_ends[w->num_packets++] = sink.size - body_size(w, id);
        }
        if (dry) {
            w->size = sink.size;
            w->bytes = ARENA_ALLOC(&w->memory, uint8_t, w->size + 1);
            CHECK(w->bytes);
        } else {
            CHECK(sink.size == w->size);
        }
        w->starts[w->num_packets] = w->size;
    }
}

static void written_create(written *w) {
    memset(w, 0, sizeof *w);
    w->starts = malloc((MAX_TEST_PACKETS + 1) * sizeof *w->starts);
    w->header_ends = malloc((MAX_TEST_PACKETS + 1) * sizeof *w->header_ends);
    CHECK(w->starts && w->header_ends);
}

static void written_free(written *w) {
    free(w->starts);
    free(w->header_ends);
    j2k_arena_free(&w->memory);
}

/* Some tile-parts, each of whole packets, in memory blocks of their own, so that a sanitizer sees any access
 * beyond one; headers where they are or packed. */
enum { MAX_TEST_PARTS = 6 };
typedef struct parts {
    tile_header header;
    byte_span spans[MAX_TEST_PARTS], packed[3];
} parts;

static void append(byte_span *span, const uint8_t *bytes, size_t size) {
    uint8_t *data = realloc((uint8_t *)span->data, span->size + size + 1);
    CHECK(data);
    if (size)
        memcpy(data + span->size, bytes, size);
    span->data = data;
    span->size += size;
}

static void cut(uint64_t *seed, const written *w, bool packed, parts *p) {
    memset(p, 0, sizeof *p);
    p->header.present = true;
    p->header.parts = p->spans;
    p->header.packed_headers = p->packed;
    p->header.num_parts = random_in(seed, 1, MAX_TEST_PARTS);
    byte_span headers = {NULL, 0};
    uint32_t part = 0;
    for (size_t i = 0; i < w->num_packets; i++) {
        size_t sop = w->image.style.sop ? 6 : 0, start = w->starts[i], header_end = w->header_ends[i];
        while (part + 1 < p->header.num_parts && test_random(seed) % 8 == 0)
            part++;
        if (packed) {
            append(&p->spans[part], w->bytes + start, sop);
            append(&headers, w->bytes + start + sop, header_end - start - sop);
            append(&p->spans[part], w->bytes + header_end, w->starts[i + 1] - header_end);
        } else {
            append(&p->spans[part], w->bytes + start, w->starts[i + 1] - start);
        }
    }
    if (packed) { /* several marker segments, cut anywhere */
        p->header.num_packed_headers = random_in(seed, 1, 3);
        for (size_t i = 0; i < headers.size; i++)
            append(&p->packed[i * p->header.num_packed_headers / headers.size], headers.data + i, 1);
    }
    free((uint8_t *)headers.data);
}

static void parts_free(parts *p) {
    for (int i = 0; i < MAX_TEST_PARTS; i++)
        free((uint8_t *)p->spans[i].data);
    for (int i = 0; i < 3; i++)
        free((uint8_t *)p->packed[i].data);
}

/* A code-block as read has the passes, segments and bytes of `passes` passes as written. */
static void check_block(const codeblock *in, const codeblock *out, unsigned passes, unsigned style) {
    unsigned skipped = in->u.enc.first_pass;
    passes = passes > skipped ? passes - skipped : 0;
    CHECK(out->num_passes == passes);
    if (passes)
        CHECK(out->zero_bitplanes == in->zero_bitplanes + skipped / 3);
    const uint8_t *data = in->u.enc.data + bytes_of(in, skipped);
    size_t size = 0, expected = bytes_of(in, skipped + passes) - bytes_of(in, skipped);
    for (const data_chunk *c = out->u.dec.first_chunk; c; c = c->next) {
        CHECK(c->size && size + c->size <= expected && memcmp(c->data, data + size, c->size) == 0);
        size += c->size;
    }
    CHECK(size == expected);
    unsigned first = 0;
    for (const codeword_segment *g = out->u.dec.first_segment; g; first += g->num_passes, g = g->next) {
        unsigned whole = j2k_segment_passes(style, first);
        CHECK(g->num_passes <= whole && g->complete == (g->num_passes == whole) && (g->complete || !g->next));
        CHECK(g->size == bytes_of(in, skipped + first + g->num_passes) - bytes_of(in, skipped + first));
    }
    CHECK(first == passes);
}

/* Compare what was read with what was written: each code-block has the passes of the layers wanted. */
static void check_tile(const written *w, const tile *t, uint32_t max_layers) {
    uint32_t layers = w->image.style.num_layers,
             last = max_layers && max_layers < layers ? max_layers : layers;
    for (uint32_t c = 0; c < t->num_components; c++) {
        const tile_component *tc = &t->components[c];
        for (unsigned r = 0; r < tc->num_resolutions; r++) {
            const resolution *in = &w->tile.components[c].resolutions[r], *out = &tc->resolutions[r];
            bool wanted = tc->wanted && r < tc->wanted_resolutions;
            for (unsigned b = 0; b < in->num_bands; b++) {
                for (uint32_t k = 0; k < in->num_precincts_x * in->num_precincts_y; k++) {
                    const precinct *pi = in->bands[b].precincts[k], *po = out->bands[b].precincts[k];
                    for (uint32_t i = 0; i < pi->blocks_wide * pi->blocks_high; i++) {
                        unsigned passes = wanted ? pi->blocks[i].u.enc.layer_passes[last - 1] : 0;
                        CHECK(po || passes <= pi->blocks[i].u.enc.first_pass);
                        if (po)
                            check_block(&pi->blocks[i], &po->blocks[i], passes,
                                        tc->style->coding.codeblock_style);
                    }
                }
            }
        }
    }
}

static void round_trips(void) {
    uint64_t seed = 31;
    written w;
    arena memory = {0};
    size_t packets = 0;
    written_create(&w);
    for (int round = 0; round < 600; round++) {
        parts p;
        tile t;
        diagnostics diag = {0};
        bool complete = false;
        uint32_t max_layers = round % 3 ? 0 : random_in(&seed, 1, 5);
        write_random(&seed, &w);
        cut(&seed, &w, round % 4 == 1, &p);
        j2k_arena_reset(&memory);
        CHECK(j2k_tile_build(&t, &w.image.siz, w.image.tile, &w.image.style, w.image.styles, &memory,
                             &diag) == J2K_OK);
        for (uint32_t c = 0; c < t.num_components && round % 2; c++) {
            t.components[c].wanted = test_random(&seed) % 3 != 0;
            t.components[c].wanted_resolutions =
                (uint8_t)random_in(&seed, 1, t.components[c].num_resolutions);
        }
        j2k_status status = j2k_packets_read(&t, &p.header, &w.image.siz, max_layers, round % 5 == 0, &memory,
                                             &complete, &diag);
        if (status != J2K_OK || !complete)
            fprintf(stderr, "%s\n", status ? diag.message : diag.warning);
        CHECK(status == J2K_OK && complete);
        check_tile(&w, &t, max_layers);
        parts_free(&p);
        packets += w.num_packets;
    }
    CHECK(packets > 50000);
    written_free(&w);
    j2k_arena_free(&memory);
}

/* Every block's data lie inside the input, and its segments add up: what a decoder relies on. */
static void check_sound(const tile *t, const uint8_t *data, size_t size) {
    for (uint32_t c = 0; c < t->num_components; c++) {
        for (unsigned r = 0; r < t->components[c].num_resolutions; r++) {
            const resolution *res = &t->components[c].resolutions[r];
            for (unsigned b = 0; b < res->num_bands; b++) {
                for (uint32_t k = 0; k < res->num_precincts_x * res->num_precincts_y; k++) {
                    const precinct *p = res->bands[b].precincts[k];
                    for (uint32_t i = 0; p && i < p->blocks_wide * p->blocks_high; i++) {
                        const codeblock *cb = &p->blocks[i];
                        uint64_t bytes = 0, in_segments = 0;
                        unsigned passes = 0;
                        for (const data_chunk *d = cb->u.dec.first_chunk; d; bytes += d->size, d = d->next)
                            CHECK(d->data >= data && d->size <= size && d->data <= data + size - d->size);
                        for (const codeword_segment *g = cb->u.dec.first_segment; g; g = g->next) {
                            CHECK(g->num_passes && (g->complete || !g->next));
                            in_segments += g->size;
                            passes += g->num_passes;
                        }
                        CHECK(bytes == in_segments && bytes <= UINT32_MAX && passes == cb->num_passes);
                        CHECK(passes < SEGMENT_ENDLESS);
                        CHECK(!passes || cb->zero_bitplanes <=
                                             res->bands[b].num_bitplanes + t->components[c].style->roi_shift);
                    }
                }
            }
        }
    }
}

static j2k_status read_bytes(const written *w, tile *t, const uint8_t *data, size_t size, bool tolerant,
                             arena *memory, bool *complete, diagnostics *diag) {
    byte_span part = {data, size};
    tile_header header = {.present = true, .num_parts = 1, .parts = &part};
    memset(diag, 0, sizeof *diag);
    j2k_arena_reset(memory);
    CHECK(j2k_tile_build(t, &w->image.siz, w->image.tile, &w->image.style, w->image.styles, memory, diag) ==
          J2K_OK);
    return j2k_packets_read(t, &header, &w->image.siz, 0, tolerant, memory, complete, diag);
}

/* Cut anywhere: an error that says so, or, tolerantly, all whole packets before the cut. */
static void truncated(void) {
    uint64_t seed = 41;
    written w;
    arena memory = {0};
    diagnostics diag;
    tile t;
    written_create(&w);
    for (int round = 0; round < 60; round++) {
        write_random(&seed, &w);
        for (int i = 0; i < 30; i++) {
            size_t size = w.size ? test_random(&seed) % w.size : 0;
            uint8_t *data = copy_bytes(w.bytes, size);
            bool complete = true;
            if (w.size) {
                CHECK(read_bytes(&w, &t, data, size, false, &memory, &complete, &diag) ==
                      J2K_ERROR_TRUNCATED);
                CHECK(strstr(diag.message, "packet"));
                check_sound(&t, data, size);
                CHECK(read_bytes(&w, &t, data, size, true, &memory, &complete, &diag) == J2K_OK);
                CHECK(!complete && diag.message[0] == 0 && strstr(diag.warning, "packet"));
                check_sound(&t, data, size);
            }
            free(data);
        }
    }
    written_free(&w);
    j2k_arena_free(&memory);
}

/* Damage: no access outside, no endless work, sound results; run under the sanitizers as well. */
static void damaged(void) {
    uint64_t seed = 51;
    written w;
    arena memory = {.limit = (size_t)1 << 26};
    diagnostics diag;
    tile t;
    size_t errors = 0;
    written_create(&w);
    for (int round = 0; round < 100; round++) {
        write_random(&seed, &w);
        for (int i = 0; i < 40; i++) {
            size_t size = i % 2 ? w.size : random_in(&seed, 0, 3000);
            uint8_t *data = copy_bytes(w.bytes, i % 2 ? size : 0);
            bool complete;
            if (i % 2 == 0) {
                data = realloc(data, size + 1);
                CHECK(data);
                for (size_t k = 0; k < size; k++)
                    data[k] = (uint8_t)(i % 4 ? test_random(&seed) : test_random(&seed) | test_random(&seed));
            }
            for (int k = 0; k < 4 && size && i % 2; k++)
                data[test_random(&seed) % size] ^= (uint8_t)(1u << test_random(&seed) % 8);
            j2k_status status = read_bytes(&w, &t, data, size, false, &memory, &complete, &diag);
            CHECK(status == J2K_OK || status == J2K_ERROR_TRUNCATED || status == J2K_ERROR_CORRUPT);
            CHECK((status == J2K_OK) == (diag.message[0] == 0));
            errors += status != J2K_OK;
            check_sound(&t, data, size);
            CHECK(read_bytes(&w, &t, data, size, true, &memory, &complete, &diag) == J2K_OK);
            CHECK(complete == (status == J2K_OK));
            check_sound(&t, data, size);
            free(data);
        }
    }
    CHECK(errors > 1000);
    written_free(&w);
    j2k_arena_free(&memory);
}

static void markers_and_limits(void) {
    single_tile s;
    /* SOP: may be left out, its number counts packets; EPH: may not. */
    static const uint8_t sop[] = {0xFF, 0x91, 0, 4, 0, 0, 0x00, 0xFF, 0x91, 0, 4, 0, 1, 0x00};
    static const uint8_t second_only[] = {0x00, 0xFF, 0x91, 0, 4, 0, 1, 0x00};
    static const uint8_t wrong_number[] = {0xFF, 0x91, 0, 4, 0, 0, 0x00, 0xFF, 0x91, 0, 4, 0, 2, 0x00};
    static const uint8_t wrong_length[] = {0xFF, 0x91, 0, 5, 0, 0, 0x00, 0x00};
    static const uint8_t eph[] = {0x00, 0xFF, 0x92, 0x00, 0xFF, 0x92};
    single_tile_make(&s, 16, 16, 0, 2);
    s.image.style.sop = true;
    expect_status(&s, sop, sizeof sop, J2K_OK, NULL);
    single_tile_make(&s, 16, 16, 0, 2);
    s.image.style.sop = true;
    expect_status(&s, second_only, sizeof second_only, J2K_OK, NULL);
    single_tile_make(&s, 16, 16, 0, 2);
    s.image.style.sop = true;
    expect_status(&s, wrong_number, sizeof wrong_number, J2K_ERROR_CORRUPT, "SOP");
    single_tile_make(&s, 16, 16, 0, 2);
    s.image.style.sop = true;
    expect_status(&s, wrong_length, sizeof wrong_length, J2K_ERROR_CORRUPT, "SOP");
    single_tile_make(&s, 16, 16, 0, 2);
    s.image.style.sop = true;
    expect_status(&s, sop, 10, J2K_ERROR_TRUNCATED, "SOP");
    single_tile_make(&s, 16, 16, 0, 2);
    s.image.style.eph = true;
    expect_status(&s, eph, sizeof eph, J2K_OK, NULL);
    single_tile_make(&s, 16, 16, 0, 2);
    s.image.style.eph = true;
    expect_status(&s, second_only, sizeof second_only, J2K_ERROR_CORRUPT, "EPH");

    uint8_t data[64];
    size_t size = 0;
    append_bits(data, &size,
                "1 1 00000000001 0 0 000"); /* 10 missing bit-planes of 10: the block decoder's to judge */
    single_tile_make(&s, 16, 16, 0, 1);
    expect_status(&s, data, size, J2K_OK, NULL);
    size = 0;
    append_bits(data, &size, "1 1 000000000001 0 0 000");
    single_tile_make(&s, 16, 16, 0, 1);
    expect_status(&s, data, size, J2K_ERROR_CORRUPT, "bit-planes");
    single_tile_make(&s, 16, 16, 0, 1);
    s.image.styles[0].roi_shift = 1; /* annex H: one bit-plane more */
    expect_status(&s, data, size, J2K_OK, NULL);
    size = 0;
    append_bits(data, &size, "1 1 1 0 11111111111111111111111111111111111111111111111111 0 111");
    single_tile_make(&s, 16, 16, 0, 1);
    expect_status(&s, data, size, J2K_ERROR_CORRUPT, "length");
    size = 0; /* 164 passes and 164 more */
    append_bits(data, &size, "1 1 1 1111 11111 1111111 0 0000000000");
    append_bits(data, &size, "1 1 1111 11111 1111111 0 0000000000");
    single_tile_make(&s, 16, 16, 0, 2);
    expect_status(&s, data, size, J2K_ERROR_CORRUPT, "passes");

    single_tile_make(&s, 16, 16, 0, 1);
    s.memory.limit = s.memory.total;
    expect_status(&s, data, size, J2K_ERROR_MEMORY, "memory");
}

/* Packets of a code-block grid of 2^26 that say as little as they can: without leaving out what is known not
 * to be included, each would take a tenth of a second. */
static void many_blocks(void) {
    single_tile s;
    enum { LAYERS = 20000, SIZE = 3 + LAYERS };
    static uint8_t data[SIZE];
    bool complete;
    single_tile_make(&s, 4096, 4096, 0, LAYERS);
    s.image.styles[0].coding.codeblock_w_exp = s.image.styles[0].coding.codeblock_h_exp = 2;
    CHECK(j2k_tile_build(&s.tile, &s.image.siz, 0, &s.image.style, s.image.styles, &s.memory, &s.diag) ==
          J2K_OK);
    /* First the upper nodes of the tree become known: 1, then 0 for the four below them. After that every
     * packet says 0 for each of those. */
    memset(data, 0x80, sizeof data); /* non-empty; then "not below" at the root */
    CHECK(single_read(&s, data, SIZE, false, &complete) == J2K_OK && complete);
    j2k_arena_free(&s.memory);
    single_tile_make(&s, 4096, 4096, 0, LAYERS);
    s.image.styles[0].coding.codeblock_w_exp = s.image.styles[0].coding.codeblock_h_exp = 2;
    CHECK(j2k_tile_build(&s.tile, &s.image.siz, 0, &s.image.style, s.image.styles, &s.memory, &s.diag) ==
          J2K_OK);
    data[0] = 0xC0; /* the root is known to be 0, its four children are not below 1 */
    CHECK(single_read(&s, data, SIZE, false, &complete) == J2K_OK && complete);
    CHECK(single_block(&s, 0)->num_passes == 0);
    j2k_arena_free(&s.memory);
}

int main(void) {
    example_read();
    example_write();
    headers_by_hand();
    ht_placeholders();
    ht_mixed();
    round_trips();
    truncated();
    damaged();
    markers_and_limits();
    many_blocks();
    return 0;
}
