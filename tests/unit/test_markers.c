/* Single marker segments: fields at their places in the tables of T.800 annex A, every range checked, and the
 * exact bytes of a header.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "markers.h"
#include "stream_builder.h"

static diagnostics diag;

/* Open the one segment that `s` holds. */
static segment open_segment(const stream *s) {
    segment out;
    memset(&diag, 0, sizeof diag);
    CHECK(j2k_segment_open(s->data, 0, s->size, J2K_ERROR_TRUNCATED, &out, &diag) == J2K_OK);
    CHECK(out.next == s->size);
    return out;
}

/* A segment of the given contents; bytes end with -1. */
static segment make_segment(stream *s, unsigned marker, const int *bytes) {
    s->size = 0;
    size_t start = seg_begin(s, marker);
    for (; *bytes >= 0; bytes++)
        put8(s, (unsigned)*bytes);
    seg_end(s, start);
    return open_segment(s);
}

#define SEGMENT(s, marker, ...) make_segment((s), (marker), (const int[]){__VA_ARGS__, -1})

static bool message_has(const char *text) {
    if (strstr(diag.message, text))
        return true;
    fprintf(stderr, "message is: %s\n", diag.message);
    return false;
}

#define CHECK_FAILS(call, status, text)                                                                      \
    do {                                                                                                     \
        CHECK((call) == (status));                                                                           \
        CHECK(message_has(text));                                                                            \
    } while (0)

static void frame_of_a_segment(void) {
    segment s;
    const uint8_t com[] = {0, 0, 0, 0xFF, 0x64, 0, 5, 0, 1, 'x'};
    CHECK(j2k_segment_open(com, 3, sizeof com, J2K_ERROR_TRUNCATED, &s, &diag) == J2K_OK);
    CHECK(s.marker == 0xFF64 && s.offset == 3 && s.data == com + 7 && s.size == 3 && s.next == 10);
    for (size_t end = 3; end < sizeof com; end++)
        CHECK(j2k_segment_open(com, 3, end, J2K_ERROR_TRUNCATED, &s, &diag) == J2K_ERROR_TRUNCATED);
    CHECK_FAILS(j2k_segment_open(com, 3, 9, J2K_ERROR_CORRUPT, &s, &diag), J2K_ERROR_CORRUPT,
                "COM at byte 3: length 5 exceeds the 4 bytes left");
    CHECK_FAILS(j2k_segment_open(com, 0, sizeof com, J2K_ERROR_CORRUPT, &s, &diag), J2K_ERROR_CORRUPT,
                "byte 0: 0000 is not a marker");
    const uint8_t tiny[] = {0xFF, 0x52, 0, 1};
    CHECK_FAILS(j2k_segment_open(tiny, 0, 4, J2K_ERROR_TRUNCATED, &s, &diag), J2K_ERROR_CORRUPT,
                "COD at byte 0: length 1 is below 2");
    /* FF30 to FF3F and the delimiters have no length field (A.1.2); the others have one. */
    for (unsigned m = 0xFF01; m <= 0xFFFE; m++) {
        const uint8_t alone[] = {(uint8_t)(m >> 8), (uint8_t)m, 0, 2};
        bool has_length =
            !((m >= 0xFF30 && m <= 0xFF3F) || m == 0xFF4F || m == 0xFF92 || m == 0xFF93 || m == 0xFFD9);
        CHECK(j2k_segment_open(alone, 0, 4, J2K_ERROR_TRUNCATED, &s, &diag) == J2K_OK);
        CHECK(s.next == (has_length ? 4u : 2u) && s.size == 0);
        CHECK(j2k_segment_open(alone, 0, 2, J2K_ERROR_TRUNCATED, &s, &diag) ==
              (has_length ? J2K_ERROR_TRUNCATED : J2K_OK));
    }
    char buffer[16];
    CHECK(!strcmp(j2k_marker_name(0xFF5F, buffer), "POC"));
    CHECK(!strcmp(j2k_marker_name(0xFF45, buffer), "marker FF45"));
}

/* ---- SIZ ---- */

typedef struct siz_fields { /* in the order of table A.9 */
    uint32_t grid[8];       /* Xsiz Ysiz XOsiz YOsiz XTsiz YTsiz XTOsiz YTOsiz */
    unsigned components;
    uint8_t component[3]; /* Ssiz XRsiz YRsiz, the same for all */
    int extra;            /* bytes more than there should be */
} siz_fields;

static j2k_status parse_siz(const siz_fields *f, image_siz *siz) {
    static arena memory;
    stream s = {0};
    j2k_arena_reset(&memory);
    size_t start = seg_begin(&s, 0xFF51);
    put16(&s, 2);
    for (int i = 0; i < 8; i++)
        put32(&s, f->grid[i]);
    put16(&s, f->components);
    for (int i = 0; i < (int)(3 * f->components) + f->extra; i++)
        put8(&s, f->component[i % 3]);
    seg_end(&s, start);
    segment siz_segment = open_segment(&s);
    j2k_status status = j2k_parse_siz(&siz_segment, &memory, siz);
    stream_free(&s);
    if (f->components == 0xFFFF) /* the last call: give the memory back */
        j2k_arena_free(&memory);
    return status;
}

static void siz(void) {
    image_siz siz;
    const siz_fields good = {{1000, 800, 100, 7, 300, 256, 50, 0}, 2, {0x8B, 2, 3}, 0};
    siz_fields f = good;
    CHECK(parse_siz(&f, &siz) == J2K_OK);
    CHECK(siz.rsiz == 2 && siz.num_components == 2);
    CHECK(siz.area.x0 == 100 && siz.area.y0 == 7 && siz.area.x1 == 1000 && siz.area.y1 == 800);
    CHECK(siz.tile_width == 300 && siz.tile_height == 256 && siz.tile_x0 == 50 && siz.tile_y0 == 0);
    CHECK(siz.tiles_x == 4 && siz.tiles_y == 4); /* ceil(950 / 300), ceil(800 / 256) */
    CHECK(siz.components[1].depth == 12 && siz.components[1].is_signed);
    CHECK(siz.components[1].dx == 2 && siz.components[1].dy == 3);

    f.component[0] = 37; /* 38 bits, unsigned */
    CHECK(parse_siz(&f, &siz) == J2K_OK && siz.components[0].depth == 38 && !siz.components[0].is_signed);
    f.component[0] = 38;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "SIZ at byte 0: component 0 has 39 bits");
    f = good, f.component[1] = 0;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "subsampling 0 x 3");
    f = good, f.component[2] = 0;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "subsampling 2 x 0");
    f = good, f.component[2] = 255;
    CHECK(parse_siz(&f, &siz) == J2K_OK && siz.components[0].dy == 255);

    f = good, f.grid[0] = 100; /* Xsiz = XOsiz */
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "is empty");
    f = good, f.grid[3] = 800; /* YOsiz = Ysiz */
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "is empty");
    f = good, f.grid[4] = 0;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "tile size");
    f = good, f.grid[5] = 0;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "tile size");
    f = good, f.grid[6] = 101; /* XTOsiz > XOsiz */
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "first tile");
    f = good, f.grid[7] = 8;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "first tile");
    f = good, f.grid[4] = 50; /* XTOsiz + XTsiz = XOsiz: the first tile holds nothing */
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "first tile");
    f = good, f.grid[4] = 51;
    CHECK(parse_siz(&f, &siz) == J2K_OK && siz.tiles_x == 19);
    f = good, f.grid[5] = 7;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "first tile");

    /* The largest grid there is, and tiles that would overflow 32 bits. */
    f = (siz_fields){{0xFFFFFFFF, 0xFFFFFFFF, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0}, 1, {7, 1, 1}, 0};
    CHECK(parse_siz(&f, &siz) == J2K_OK && siz.tiles_x == 1 && siz.tiles_y == 1);
    f = (siz_fields){{0xFFFFFFFF, 10, 0xFFFFFFF0, 0, 0xFFFFFFFF, 10, 0xFFFFFFF0, 0}, 1, {7, 1, 1}, 0};
    CHECK(parse_siz(&f, &siz) == J2K_OK && siz.tiles_x == 1);
    /* Isot numbers 65535 tiles. */
    f = (siz_fields){{257, 255, 0, 0, 1, 1, 0, 0}, 1, {7, 1, 1}, 0};
    CHECK(parse_siz(&f, &siz) == J2K_OK && siz.tiles_x * siz.tiles_y == 65535);
    f = (siz_fields){{256, 256, 0, 0, 1, 1, 0, 0}, 1, {7, 1, 1}, 0};
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "256 x 256 tiles");
    f.grid[0] = f.grid[1] = 0xFFFFFFFF; /* 2^64 - 2^33 + 1 tiles */
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "4294967295 x 4294967295 tiles");

    f = good, f.components = 0;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "0 components");
    f = good, f.components = 16384;
    CHECK(parse_siz(&f, &siz) == J2K_OK && siz.components[16383].dy == 3);
    f.components = 16385;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "16385 components");
    f = good, f.extra = 1;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "length 45 is wrong for 2 components");
    f.extra = -1;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "length 43 is wrong for 2 components");
    f.components = 0xFFFF, f.extra = -3 * 0xFFFF;
    CHECK_FAILS(parse_siz(&f, &siz), J2K_ERROR_CORRUPT, "65535 components");
    stream s = {0};
    segment tiny = SEGMENT(&s, 0xFF51, 0, 0, 0, 0, 0);
    CHECK_FAILS(j2k_parse_siz(&tiny, NULL, &siz), J2K_ERROR_CORRUPT, "length 7 is wrong");
    stream_free(&s);
}

/* ---- CAP ---- */

static void cap(void) {
    stream s = {0};
    codestream cs = {0};
    segment c = SEGMENT(&s, 0xFF50, 0, 2, 0, 0, 0x12, 0x34); /* Pcap: bit 15 from the top */
    CHECK(j2k_parse_cap(&c, &cs) == J2K_OK && cs.has_cap && cs.ccap15 == 0x1234);
    cs = (codestream){0};
    c = SEGMENT(&s, 0xFF50, 0x40, 2, 0, 1, 0xAA, 0xAA, 0x56, 0x78, 0xBB, 0xBB); /* parts 2, 15 and 32 */
    CHECK(j2k_parse_cap(&c, &cs) == J2K_OK && cs.ccap15 == 0x5678);
    cs = (codestream){0};
    c = SEGMENT(&s, 0xFF50, 0x40, 0, 0, 0, 0xAA, 0xAA);
    CHECK(j2k_parse_cap(&c, &cs) == J2K_OK && cs.has_cap && cs.ccap15 == 0);
    c = SEGMENT(&s, 0xFF50, 0x40, 2, 0, 0, 0xAA, 0xAA);
    CHECK_FAILS(j2k_parse_cap(&c, &cs), J2K_ERROR_CORRUPT, "CAP at byte 0: length 8 is wrong");
    c = SEGMENT(&s, 0xFF50, 0, 2, 0);
    CHECK_FAILS(j2k_parse_cap(&c, &cs), J2K_ERROR_CORRUPT, "length 5 is wrong");
    stream_free(&s);
}

/* ---- COD, COC ---- */

static void cod(void) {
    stream s = {0};
    tile_style style = {0};
    coding_style coding;
    /* Scod: precincts, SOP, EPH; RPCL, 258 layers, MCT; 2 levels, 32 x 128 blocks, all styles of T.800, 9/7
     */
    segment c = SEGMENT(&s, 0xFF52, 7, 2, 1, 2, 1, 2, 3, 5, 0x3F, 0, 0x01, 0x98, 0xFA);
    CHECK(j2k_parse_cod(&c, &style, &coding) == J2K_OK);
    CHECK(style.order == J2K_RPCL && style.num_layers == 258 && style.colour_transform == 1 && style.sop &&
          style.eph);
    CHECK(coding.levels == 2 && coding.codeblock_w_exp == 5 && coding.codeblock_h_exp == 7);
    CHECK(coding.codeblock_style == 0x3F && !coding.reversible && coding.user_precincts);
    CHECK(coding.precinct_w_exp[0] == 1 && coding.precinct_h_exp[0] == 0);
    CHECK(coding.precinct_w_exp[1] == 8 && coding.precinct_h_exp[1] == 9);
    CHECK(coding.precinct_w_exp[2] == 10 && coding.precinct_h_exp[2] == 15);

    c = SEGMENT(&s, 0xFF52, 0, 4, 0xFF, 0xFF, 0, 32, 8, 0, 0,
                1); /* CPRL, 65535 layers, 32 levels, 1024 x 4 */
    CHECK(j2k_parse_cod(&c, &style, &coding) == J2K_OK);
    CHECK(style.order == J2K_CPRL && style.num_layers == 65535 && !style.colour_transform && !style.sop &&
          !style.eph);
    CHECK(coding.levels == 32 && coding.codeblock_w_exp == 10 && coding.codeblock_h_exp == 2);
    CHECK(coding.reversible && !coding.user_precincts);
    for (int r = 0; r <= 32; r++)
        CHECK(coding.precinct_w_exp[r] == 15 && coding.precinct_h_exp[r] == 15);

    /* One field wrong at a time. */
    static const struct {
        int position, value;
        j2k_status status;
        const char *text;
    } bad[] = {
        {0, 0x08, J2K_ERROR_UNSUPPORTED, "COD at byte 0: coding style 08"},
        {0, 1, J2K_ERROR_CORRUPT, "length 12 is wrong for 1 decomposition levels"},
        {1, 5, J2K_ERROR_CORRUPT, "progression order 5"},
        {3, 0, J2K_ERROR_CORRUPT, "no layers"},
        {4, 2, J2K_ERROR_UNSUPPORTED, "component transformation 2"}, /* T.801 has 0 to 7 */
        {4, 8, J2K_ERROR_CORRUPT, "component transformation 8"},
        {5, 33, J2K_ERROR_CORRUPT, "33 decomposition levels exceed 32"},
        {6, 9, J2K_ERROR_CORRUPT, "code-block width exponent 11 exceeds 10"},
        {7, 9, J2K_ERROR_CORRUPT, "code-block height exponent 11 exceeds 10"},
        {7, 255, J2K_ERROR_CORRUPT, "code-block height exponent 257 exceeds 10"},
        {7, 5, J2K_ERROR_CORRUPT, "code-block exponents 6 + 7 exceed 12"},
        {8, 0x80, J2K_ERROR_CORRUPT, "code-block style 80 is reserved"},
        {9, 2, J2K_ERROR_UNSUPPORTED, "wavelet transformation 2"},
    };
    const int good[] = {0, 0, 0, 1, 0, 1, 4, 4, 0, 1, -1};
    c = make_segment(&s, 0xFF52, good);
    CHECK(j2k_parse_cod(&c, &style, &coding) == J2K_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int bytes[sizeof good / sizeof good[0]];
        memcpy(bytes, good, sizeof good);
        bytes[bad[i].position] = bad[i].value;
        c = make_segment(&s, 0xFF52, bytes);
        CHECK_FAILS(j2k_parse_cod(&c, &style, &coding), bad[i].status, bad[i].text);
    }
    /* HT, and HT mixed with Part 1 (T.814). */
    c = SEGMENT(&s, 0xFF52, 0, 0, 0, 1, 0, 1, 4, 4, 0x48, 1);
    CHECK(j2k_parse_cod(&c, &style, &coding) == J2K_OK &&
          coding.codeblock_style == (J2K_STYLE_HT | J2K_STYLE_CAUSAL));
    c = SEGMENT(&s, 0xFF52, 0, 0, 0, 1, 0, 1, 4, 4, 0xC0, 1);
    CHECK(j2k_parse_cod(&c, &style, &coding) == J2K_OK && coding.codeblock_style == 0xC0);
    c = SEGMENT(&s, 0xFF52, 0, 0, 0, 1, 0, 1, 4, 4, 0);
    CHECK_FAILS(j2k_parse_cod(&c, &style, &coding), J2K_ERROR_CORRUPT, "length 11 is wrong");
    c = SEGMENT(&s, 0xFF52, 0, 0, 0, 1, 0, 1, 4, 4, 0, 1, 0);
    CHECK_FAILS(j2k_parse_cod(&c, &style, &coding), J2K_ERROR_CORRUPT, "length 13 is wrong");
    /* Precincts of size 1 are for the lowest resolution only (table A.21). */
    c = SEGMENT(&s, 0xFF52, 1, 0, 0, 1, 0, 1, 4, 4, 0, 1, 0x00, 0x11);
    CHECK(j2k_parse_cod(&c, &style, &coding) == J2K_OK);
    c = SEGMENT(&s, 0xFF52, 1, 0, 0, 1, 0, 1, 4, 4, 0, 1, 0x00, 0x10);
    CHECK_FAILS(j2k_parse_cod(&c, &style, &coding), J2K_ERROR_CORRUPT, "precinct exponent 0 at resolution 1");
    c = SEGMENT(&s, 0xFF52, 1, 0, 0, 1, 0, 1, 4, 4, 0, 1, 0x00, 0x01);
    CHECK_FAILS(j2k_parse_cod(&c, &style, &coding), J2K_ERROR_CORRUPT, "precinct exponent 0 at resolution 1");
    stream_free(&s);
}

static void coc(void) {
    stream s = {0};
    coding_style coding;
    uint32_t component;
    segment c = SEGMENT(&s, 0xFF53, 200, 1, 1, 2, 3, 4, 1, 0x77, 0x88);
    CHECK(j2k_parse_coc(&c, 256, &component, &coding) == J2K_OK);
    CHECK(component == 200 && coding.levels == 1 && coding.codeblock_w_exp == 4 &&
          coding.codeblock_h_exp == 5);
    CHECK(coding.codeblock_style == J2K_STYLE_TERMALL && coding.reversible && coding.precinct_h_exp[1] == 8);
    c = SEGMENT(&s, 0xFF53, 1, 0, 0, 1, 2, 3, 4, 0); /* from 257 components on, Ccoc has two bytes */
    CHECK(j2k_parse_coc(&c, 257, &component, &coding) == J2K_OK);
    CHECK(component == 256 && coding.levels == 1 && !coding.reversible && !coding.user_precincts);
    c = SEGMENT(&s, 0xFF53, 1, 1, 0, 1, 2, 3, 4, 0);
    CHECK_FAILS(j2k_parse_coc(&c, 257, &component, &coding), J2K_ERROR_CORRUPT, "component 257 of 257");
    c = SEGMENT(&s, 0xFF53, 3, 0, 1, 2, 3, 4, 0);
    CHECK_FAILS(j2k_parse_coc(&c, 3, &component, &coding), J2K_ERROR_CORRUPT,
                "COC at byte 0: component 3 of 3");
    CHECK(j2k_parse_coc(&c, 4, &component, &coding) == J2K_OK);
    c = SEGMENT(&s, 0xFF53, 0, 2, 1, 2, 3, 4, 0); /* SOP is for COD only */
    CHECK_FAILS(j2k_parse_coc(&c, 3, &component, &coding), J2K_ERROR_UNSUPPORTED, "coding style 02");
    c = SEGMENT(&s, 0xFF53, 0, 0, 1, 2, 3, 4);
    CHECK_FAILS(j2k_parse_coc(&c, 3, &component, &coding), J2K_ERROR_CORRUPT, "length 8 is wrong");
    c = SEGMENT(&s, 0xFF53, 0, 0, 33, 2, 3, 4, 0);
    CHECK_FAILS(j2k_parse_coc(&c, 3, &component, &coding), J2K_ERROR_CORRUPT, "33 decomposition levels");
    stream_free(&s);
}

/* ---- QCD, QCC ---- */

static void qcd(void) {
    stream s = {0};
    quantisation q;
    /* Sqcd: style in the low 5 bits, guard bits in the top 3 (table A.28). Exponents in the top 5 bits. */
    segment c = SEGMENT(&s, 0xFF5C, 0xE0, 8 << 3, 9 << 3, 9 << 3, 31 << 3);
    CHECK(j2k_parse_qcd(&c, &q) == J2K_OK);
    CHECK(q.kind == QUANT_NONE && q.guard_bits == 7 && q.num_steps == 4);
    CHECK(q.exponent[0] == 8 && q.exponent[1] == 9 && q.exponent[2] == 9 && q.exponent[3] == 31);
    CHECK(q.mantissa[0] == 0 && q.mantissa[3] == 0);

    c = SEGMENT(&s, 0xFF5C, 0x22, 0x6F, 0x12, 0x77, 0xFF, 0xFF, 0xFF, 0x00, 0x00);
    CHECK(j2k_parse_qcd(&c, &q) == J2K_OK && q.kind == QUANT_EXPOUNDED && q.guard_bits == 1 &&
          q.num_steps == 4);
    CHECK(q.exponent[0] == 13 && q.mantissa[0] == 0x712); /* 0x6F12 = 01101 11100010010 */
    CHECK(q.exponent[1] == 14 && q.mantissa[1] == 0x7FF);
    CHECK(q.exponent[2] == 31 && q.mantissa[2] == 0x7FF && q.exponent[3] == 0 && q.mantissa[3] == 0);

    /* Derived: eps_b = eps_0 - NL + nb (E-5). With NL = 3: LL3 HL3 LH3 HH3 have nb = 3, level 2 bands 2, ...
     */
    c = SEGMENT(&s, 0xFF5C, 0x41, 0x6F, 0x12);
    CHECK(j2k_parse_qcd(&c, &q) == J2K_OK && q.kind == QUANT_DERIVED && q.guard_bits == 2);
    const int expected[] = {13, 13, 13, 13, 12, 12, 12, 11, 11, 11};
    for (int b = 0; b < 10; b++)
        CHECK(q.exponent[b] == expected[b] && q.mantissa[b] == 0x712);
    CHECK(q.exponent[96] == 0); /* 13 - 31 does not go below zero */

    c = SEGMENT(&s, 0xFF5C, 0x43, 0x6F, 0x12);
    CHECK_FAILS(j2k_parse_qcd(&c, &q), J2K_ERROR_CORRUPT, "QCD at byte 0: quantisation style 3");
    c = SEGMENT(&s, 0xFF5C, 0x41, 0x6F, 0x12, 0x6F, 0x12);
    CHECK_FAILS(j2k_parse_qcd(&c, &q), J2K_ERROR_CORRUPT, "length 7 is wrong");
    c = SEGMENT(&s, 0xFF5C, 0x42, 0x6F, 0x12, 0x6F);
    CHECK_FAILS(j2k_parse_qcd(&c, &q), J2K_ERROR_CORRUPT, "length 6 is wrong");
    c = SEGMENT(&s, 0xFF5C, 0x40);
    CHECK_FAILS(j2k_parse_qcd(&c, &q), J2K_ERROR_CORRUPT, "length 3 is wrong");
    /* 97 subbands are the most there can be. */
    for (int kind = 0; kind <= 2; kind += 2)
        for (int n = 97; n <= 98; n++) {
            int bytes[1 + 2 * 98 + 1];
            int size = kind ? 2 * n : n;
            bytes[0] = kind;
            for (int i = 1; i <= size; i++)
                bytes[i] = 0x48;
            bytes[1 + size] = -1;
            c = make_segment(&s, 0xFF5C, bytes);
            if (n == 97)
                CHECK(j2k_parse_qcd(&c, &q) == J2K_OK && q.num_steps == 97 && q.exponent[96] == 9);
            else
                CHECK_FAILS(j2k_parse_qcd(&c, &q), J2K_ERROR_CORRUPT, "is wrong");
        }
    uint32_t component;
    c = SEGMENT(&s, 0xFF5D, 2, 0x40, 0x48);
    CHECK(j2k_parse_qcc(&c, 3, &component, &q) == J2K_OK && component == 2 && q.exponent[0] == 9);
    CHECK_FAILS(j2k_parse_qcc(&c, 2, &component, &q), J2K_ERROR_CORRUPT, "QCC at byte 0: component 2 of 2");
    c = SEGMENT(&s, 0xFF5D, 0x12, 0x34, 0x40, 0x48);
    CHECK(j2k_parse_qcc(&c, 16384, &component, &q) == J2K_OK && component == 0x1234 && q.num_steps == 1);
    c = SEGMENT(&s, 0xFF5D, 2, 0x40);
    CHECK_FAILS(j2k_parse_qcc(&c, 3, &component, &q), J2K_ERROR_CORRUPT, "length 4 is wrong");
    stream_free(&s);
}

static void coding_and_quantisation_fit(void) {
    component_style style = {0};
    style.coding.levels = 2;
    style.coding.reversible = true;
    style.quant.num_steps = 7;
    CHECK(!j2k_style_conflict(&style));
    style.quant.num_steps = 6;
    CHECK(j2k_style_conflict(&style));
    style.quant.num_steps = 10; /* more than needed does no harm */
    CHECK(!j2k_style_conflict(&style));
    style.quant.kind = QUANT_EXPOUNDED;
    CHECK(j2k_style_conflict(&style));
    style.coding.reversible = false;
    CHECK(!j2k_style_conflict(&style));
}

/* ---- RGN, POC, SOT ---- */

static void rgn(void) {
    stream s = {0};
    uint32_t component;
    uint8_t shift = 0;
    segment c = SEGMENT(&s, 0xFF5E, 1, 0, 37);
    CHECK(j2k_parse_rgn(&c, 3, &component, &shift) == J2K_OK && component == 1 && shift == 37);
    c = SEGMENT(&s, 0xFF5E, 1, 2, 0, 11);
    CHECK(j2k_parse_rgn(&c, 300, &component, &shift) == J2K_OK && component == 258 && shift == 11);
    c = SEGMENT(&s, 0xFF5E, 1, 0, 38);
    CHECK_FAILS(j2k_parse_rgn(&c, 3, &component, &shift), J2K_ERROR_UNSUPPORTED,
                "RGN at byte 0: region of interest shift 38");
    c = SEGMENT(&s, 0xFF5E, 1, 1, 3);
    CHECK_FAILS(j2k_parse_rgn(&c, 3, &component, &shift), J2K_ERROR_UNSUPPORTED, "style 1");
    c = SEGMENT(&s, 0xFF5E, 3, 0, 3);
    CHECK_FAILS(j2k_parse_rgn(&c, 3, &component, &shift), J2K_ERROR_CORRUPT, "component 3 of 3");
    c = SEGMENT(&s, 0xFF5E, 1, 0, 3, 0);
    CHECK_FAILS(j2k_parse_rgn(&c, 3, &component, &shift), J2K_ERROR_CORRUPT, "length 6 is wrong");
    c = SEGMENT(&s, 0xFF5E, 1, 0);
    CHECK_FAILS(j2k_parse_rgn(&c, 3, &component, &shift), J2K_ERROR_CORRUPT, "length 4 is wrong");
    stream_free(&s);
}

static void poc(void) {
    stream s = {0};
    progression_change p[2];
    segment c = SEGMENT(&s, 0xFF5F, 1, 2, 0x01, 0x02, 33, 3, 4, 0, 0, 0, 9, 1, 0, 0);
    CHECK(j2k_poc_count(&c, 5) == 2 && j2k_parse_poc(&c, 5, p) == J2K_OK);
    CHECK(p[0].first_resolution == 1 && p[0].first_component == 2 && p[0].end_layer == 258);
    CHECK(p[0].end_resolution == 33 && p[0].end_component == 3 && p[0].order == J2K_CPRL);
    CHECK(p[1].first_resolution == 0 && p[1].end_component == 5 && p[1].order == J2K_LRCP); /* CEpoc 0: all */
    c = SEGMENT(&s, 0xFF5F, 0, 1, 2, 0, 9, 1, 1, 3, 2); /* 16-bit component numbers */
    CHECK(j2k_poc_count(&c, 300) == 1 && j2k_parse_poc(&c, 300, p) == J2K_OK);
    CHECK(p[0].first_component == 258 && p[0].end_component == 259 && p[0].end_layer == 9 &&
          p[0].order == J2K_RPCL);
    c = SEGMENT(&s, 0xFF5F, 0, 0, 0, 9, 1, 200, 0); /* beyond the last component: clipped */
    CHECK(j2k_parse_poc(&c, 5, p) == J2K_OK && p[0].end_component == 5);

    c = SEGMENT(&s, 0xFF5F, 0, 0, 0, 9, 1, 5, 5);
    CHECK_FAILS(j2k_parse_poc(&c, 5, p), J2K_ERROR_CORRUPT, "POC at byte 0: progression order 5");
    c = SEGMENT(&s, 0xFF5F, 1, 0, 0, 9, 1, 5, 0);
    CHECK_FAILS(j2k_parse_poc(&c, 5, p), J2K_ERROR_CORRUPT, "resolutions 1 to 1");
    c = SEGMENT(&s, 0xFF5F, 1, 0, 0, 9, 34, 5, 0);
    CHECK_FAILS(j2k_parse_poc(&c, 5, p), J2K_ERROR_CORRUPT, "resolutions 1 to 34");
    c = SEGMENT(&s, 0xFF5F, 0, 3, 0, 9, 1, 3, 0);
    CHECK_FAILS(j2k_parse_poc(&c, 5, p), J2K_ERROR_CORRUPT, "components 3 to 3");
    c = SEGMENT(&s, 0xFF5F, 0, 5, 0, 9, 1, 0, 0);
    CHECK_FAILS(j2k_parse_poc(&c, 5, p), J2K_ERROR_CORRUPT, "components 5 to 5");
    c = SEGMENT(&s, 0xFF5F, 0, 0, 0, 0, 1, 5, 0);
    CHECK_FAILS(j2k_parse_poc(&c, 5, p), J2K_ERROR_CORRUPT, "without layers");
    c = SEGMENT(&s, 0xFF5F, 0, 0, 0, 9, 1, 5);
    CHECK_FAILS(j2k_parse_poc(&c, 5, p), J2K_ERROR_CORRUPT, "length 8 is wrong");
    stream_free(&s);
}

static void sot(void) {
    stream s = {0};
    sot_fields f;
    segment c = SEGMENT(&s, 0xFF90, 0x12, 0x34, 0x89, 0xAB, 0xCD, 0xEF, 254, 255);
    CHECK(j2k_parse_sot(&c, &f) == J2K_OK);
    CHECK(f.tile == 0x1234 && f.length == 0x89ABCDEF && f.part == 254 && f.num_parts == 255);
    c = SEGMENT(&s, 0xFF90, 0x12, 0x34, 0x89, 0xAB, 0xCD, 0xEF, 254);
    CHECK_FAILS(j2k_parse_sot(&c, &f), J2K_ERROR_CORRUPT, "SOT at byte 0: length 9 is wrong");
    stream_free(&s);
}

/* ---- writing ---- */

static const uint8_t HEADER[] = {
    0xFF, 0x4F,                                  /* SOC */
    0xFF, 0x51, 0, 47,   0x40, 0x02,             /* SIZ, Lsiz, Rsiz (bit 14: CAP) */
    0,    0,    3, 0xE8, 0,    0,    3,    0x20, /* Xsiz 1000, Ysiz 800 */
    0,    0,    0, 100,  0,    0,    0,    7,    /* XOsiz, YOsiz */
    0,    0,    1, 0x2C, 0,    0,    1,    0,    /* XTsiz 300, YTsiz 256 */
    0,    0,    0, 50,   0,    0,    0,    0,    /* XTOsiz, YTOsiz */
    0,    3,    7, 1,    1,    0x8B, 2,    1,    15,   2,
    2,                                                       /* 3 components: 8 bits; 12 signed; 16 */
    0xFF, 0x50, 0, 8,    0,    2,    0,    0,    0x00, 0x05, /* CAP: Pcap15, Ccap15 */
    0xFF, 0x52, 0, 14,   7,    3,    0,    9,    1,          /* COD: precincts SOP EPH, PCRL, 9 layers, MCT */
    1,    4,    3, 0x40, 1,    0x77, 0x98,                   /* 1 level, 64 x 32, HT, 5/3, precincts */
    0xFF, 0x53, 0, 9,    1,    0,    0,    4,    3,    0,
    0, /* COC: component 1, no precincts, 0 levels, 64 x 32, 9/7 */
    0xFF, 0x5C, 0, 7,    0x40, 64,   72,   72,   80, /* QCD: none, 2 guard bits, exponents 8 9 9 10 */
    0xFF, 0x5D, 0, 6,    1,    0x22, 0x6F, 0x12, /* QCC: component 1, expounded, 1 guard bit, 13 and 0x712 */
    0xFF, 0x5E, 0, 5,    2,    0,    11,         /* RGN: component 2, shift 11 */
    0xFF, 0x64, 0, 9,    0,    1,    'h',  'e',  'l',  'l',
    'o' /* COM */
};

static void exact_bytes_of_a_header(void) {
    component_siz sizes[3] = {{8, false, 1, 1}, {12, true, 2, 1}, {16, false, 2, 2}};
    component_style styles[3];
    memset(styles, 0, sizeof styles);
    for (int c = 0; c < 3; c++) {
        coding_style *coding = &styles[c].coding;
        *coding = (coding_style){.levels = 1, .codeblock_w_exp = 6, .codeblock_h_exp = 5, .reversible = true};
        coding->codeblock_style = J2K_STYLE_HT;
        coding->user_precincts = true;
        coding->precinct_w_exp[0] = coding->precinct_h_exp[0] = 7;
        coding->precinct_w_exp[1] = 8;
        coding->precinct_h_exp[1] = 9;
        quantisation *quant = &styles[c].quant;
        quant->guard_bits = 2;
        quant->exponent[0] = 8, quant->exponent[1] = quant->exponent[2] = 9, quant->exponent[3] = 10;
    }
    styles[1].coding = (coding_style){.levels = 0, .codeblock_w_exp = 6, .codeblock_h_exp = 5};
    styles[1].quant = (quantisation){.kind = QUANT_EXPOUNDED, .guard_bits = 1};
    styles[1].quant.exponent[0] = 13, styles[1].quant.mantissa[0] = 0x712;
    styles[2].roi_shift = 11;
    styles[2].quant.exponent[4] = 99;       /* beyond the subbands: not a difference */
    styles[2].coding.precinct_w_exp[2] = 1; /* likewise */
    codestream cs = {0};
    cs.siz = (image_siz){2, {100, 7, 1000, 800}, 50, 0, 300, 256, 4, 4, 3, sizes};
    cs.style =
        (tile_style){.order = J2K_PCRL, .num_layers = 9, .colour_transform = 1, .sop = true, .eph = true};
    cs.components = styles;
    cs.ccap15 = 5;

    uint8_t out[sizeof HEADER + 8];
    byte_sink sink = {out, sizeof out, 0};
    j2k_write_main_header(&sink, &cs, "hello");
    CHECK(sink.size == sizeof HEADER);
    for (size_t i = 0; i < sizeof HEADER; i++)
        if (out[i] != HEADER[i]) {
            fprintf(stderr, "byte %zu is %02X, not %02X\n", i, out[i], HEADER[i]);
            CHECK(!"bytes differ");
        }
    /* Every smaller capacity: the same prefix, the true size, and nothing behind the capacity. */
    for (size_t capacity = 0; capacity < sizeof HEADER; capacity++) {
        memset(out, 0xEE, sizeof out);
        sink = (byte_sink){capacity ? out : NULL, capacity, 0};
        j2k_write_main_header(&sink, &cs, "hello");
        CHECK(sink.size == sizeof HEADER && !memcmp(out, HEADER, capacity) && out[capacity] == 0xEE);
    }
    /* Without HT neither CAP nor bit 14 of Rsiz; no comment, no COM. */
    for (int c = 0; c < 3; c++)
        styles[c].coding.codeblock_style = 0;
    sink = (byte_sink){out, sizeof out, 0};
    j2k_write_main_header(&sink, &cs, "");
    CHECK(sink.size == sizeof HEADER - 10 - 11 && out[6] == 0 && out[7] == 2 && out[51] == 0xFF &&
          out[52] == 0x52);
}

/* How many segments with this marker a header of two components has. */
static unsigned count_markers(const component_style styles[2], unsigned marker) {
    component_siz sizes[2] = {{8, false, 1, 1}, {8, false, 1, 1}};
    codestream cs = {0};
    uint8_t out[512];
    byte_sink sink = {out, sizeof out, 0};
    cs.siz = (image_siz){0, {0, 0, 1, 1}, 0, 0, 1, 1, 1, 1, 2, sizes};
    cs.components = (component_style *)styles;
    cs.style.num_layers = 1;
    j2k_write_main_header(&sink, &cs, NULL);
    CHECK(sink.size <= sizeof out);
    unsigned count = 0;
    segment s;
    for (size_t offset = 2; offset < sink.size; offset = s.next) {
        CHECK(j2k_segment_open(out, offset, sink.size, J2K_ERROR_TRUNCATED, &s, &diag) == J2K_OK);
        count += s.marker == marker;
    }
    return count;
}

static void own_segments_where_components_differ(void) {
    component_style same[2], styles[2];
    memset(same, 0, sizeof same);
    for (int c = 0; c < 2; c++) {
        coding_style *coding = &same[c].coding;
        *coding =
            (coding_style){.levels = 1, .codeblock_w_exp = 6, .codeblock_h_exp = 5, .user_precincts = true};
        memset(coding->precinct_w_exp, 5, sizeof coding->precinct_w_exp);
        memset(coding->precinct_h_exp, 5, sizeof coding->precinct_h_exp);
        same[c].quant = (quantisation){.kind = QUANT_EXPOUNDED, .guard_bits = 1};
    }
    CHECK(count_markers(same, MARKER_COC) == 0 && count_markers(same, MARKER_QCC) == 0);
    for (int field = 0; field < 13; field++) {
        memcpy(styles, same, sizeof styles);
        coding_style *coding = &styles[1].coding;
        quantisation *quant = &styles[1].quant;
        switch (field) {
        case 0:
            coding->levels = 0; /* both: there are fewer subbands */
            break;
        case 1:
            coding->codeblock_w_exp = 2;
            break;
        case 2:
            coding->codeblock_h_exp = 2;
            break;
        case 3:
            coding->codeblock_style = 1;
            break;
        case 4:
            coding->reversible = true;
            break;
        case 5:
            coding->user_precincts = false;
            break;
        case 6:
            coding->precinct_w_exp[1] = 6;
            break;
        case 7:
            coding->precinct_h_exp[1] = 6;
            break;
        case 8:
            quant->kind = QUANT_NONE;
            break;
        case 9:
            quant->guard_bits = 2;
            break;
        case 10:
            quant->exponent[3] = 1;
            break;
        case 11:
            quant->mantissa[3] = 1;
            break;
        case 12:
            coding->levels = 2;
            break;
        }
        CHECK(count_markers(styles, MARKER_COC) == (field <= 7 || field == 12));
        CHECK(count_markers(styles, MARKER_QCC) == (field >= 8 || field == 0));
    }
}

static void long_comment(void) {
    component_siz size = {8, false, 1, 1};
    component_style style;
    memset(&style, 0, sizeof style);
    style.coding.codeblock_w_exp = style.coding.codeblock_h_exp = 6;
    codestream cs = {0};
    cs.siz = (image_siz){0, {0, 0, 1, 1}, 0, 0, 1, 1, 1, 1, 1, &size};
    cs.components = &style;
    char *text = malloc(70001);
    uint8_t *out = malloc(80000);
    CHECK(text && out);
    memset(text, 'a', 70000);
    text[70000] = 0;
    byte_sink sink = {out, 80000, 0};
    j2k_write_main_header(&sink, &cs, NULL);
    size_t start = sink.size;
    sink.size = 0;
    j2k_write_main_header(&sink, &cs, text);
    CHECK(sink.size == start + 6 + 65531 + 6 + 4469); /* two segments, the first one full */
    CHECK(out[start + 2] == 0xFF && out[start + 3] == 0xFF);
    CHECK(out[start + 65537] == 0xFF && out[start + 65538] == 0x64 && out[start + 65539] == 4473 >> 8);
    free(text);
    free(out);
}

static void tlm(void) {
    enum { PER_SEGMENT = 10921, PARTS = PER_SEGMENT + 3 }; /* (65535 - 4) / 6 entries a segment */
    uint8_t *out = malloc(70000);
    CHECK(out);
    memset(out, 0xEE, 70000);
    byte_sink sink = {out, 70000, 5};
    CHECK(j2k_write_tlm(&sink, PARTS) == 5);
    CHECK(sink.size == 5 + 6 + 6 * PER_SEGMENT + 6 + 6 * 3);
    for (uint32_t i = 0; i < PARTS; i++)
        j2k_patch_tlm(&sink, 5, i, i + 7, 0x01000000 + i);
    const uint8_t *p = out + 5;
    for (unsigned index = 0, i = 0; index < 2; index++) {
        unsigned count = index ? 3 : PER_SEGMENT;
        CHECK(p[0] == 0xFF && p[1] == 0x55 && load_u16(p + 2) == 4 + 6 * count);
        CHECK(p[4] == index && p[5] == 0x60); /* Ztlm; Stlm: 16-bit Ttlm, 32-bit Ptlm (table A.34) */
        p += 6;
        for (unsigned k = 0; k < count; k++, i++, p += 6)
            CHECK(load_u16(p) == i + 7 && load_u32(p + 2) == 0x01000000 + i);
    }
    CHECK(p == out + sink.size && *p == 0xEE);
    sink = (byte_sink){out, 70000, 0};
    j2k_write_tlm(&sink, 0);
    CHECK(sink.size == 0);
    free(out);
}

static void plt(void) {
    uint8_t out[64];
    byte_sink sink = {out, sizeof out, 0};
    const uint32_t lengths[] = {0, 1, 127, 128, 16383, 16384, 0xFFFFFFFF};
    const uint8_t expected[] = {0xFF, 0x58, 0,    18,   0,    0x00, 0x01, 0x7F, 0x81, 0x00,
                                0xFF, 0x7F, 0x81, 0x80, 0x00, 0x8F, 0xFF, 0xFF, 0xFF, 0x7F};
    CHECK(j2k_write_plt(&sink, lengths, 7));
    CHECK(sink.size == sizeof expected && !memcmp(out, expected, sizeof expected));
    sink.size = 0;
    CHECK(j2k_write_plt(&sink, lengths, 0) && sink.size == 0);

    /* A length does not run over the end of a segment, which holds 65532 bytes of them. */
    enum { COUNT = 65531 + 2 + 100 };
    uint32_t *many = malloc(COUNT * sizeof *many);
    uint8_t *big = malloc(70000);
    CHECK(many && big);
    for (int i = 0; i < COUNT; i++)
        many[i] = 1;
    many[65531] = 300;
    sink = (byte_sink){big, 70000, 0};
    CHECK(j2k_write_plt(&sink, many, COUNT));
    CHECK(load_u16(big + 2) == 3 + 65531 && sink.size == 5 + 65531 + 5 + 2 + 101);
    CHECK(big[5 + 65531] == 0xFF && big[5 + 65532] == 0x58 && big[5 + 65531 + 4] == 1);
    free(big);
    free(many);

    /* More than 256 segments. */
    size_t too_many = (size_t)256 * 65532 + 1;
    many = calloc(too_many, sizeof *many);
    CHECK(many);
    sink = (byte_sink){NULL, 0, 0};
    CHECK(j2k_write_plt(&sink, many, too_many - 1) && sink.size == (size_t)256 * 65537);
    sink.size = 10;
    CHECK(!j2k_write_plt(&sink, many, too_many) && sink.size == 10);
    free(many);
}

static void tile_part_frame(void) {
    uint8_t out[32];
    byte_sink sink = {out, sizeof out, 3};
    size_t sot = j2k_begin_tile_part(&sink, 0x1234, 5, 6);
    j2k_put_bytes(&sink, "abc", 3);
    j2k_end_tile_part(&sink, sot);
    j2k_write_eoc(&sink);
    const uint8_t expected[] = {0xFF, 0x90, 0,    10,   0x12, 0x34, 0,   0,    0,   17,
                                5,    6,    0xFF, 0x93, 'a',  'b',  'c', 0xFF, 0xD9};
    CHECK(sot == 3 && sink.size == 3 + sizeof expected && !memcmp(out + 3, expected, sizeof expected));
    /* A patch that runs over the capacity stops there. */
    memset(out, 0xEE, sizeof out);
    sink = (byte_sink){out, 8, 20};
    j2k_patch_u32(&sink, 6, 0x01020304);
    CHECK(out[6] == 1 && out[7] == 2 && out[8] == 0xEE);
    j2k_patch_u32(&sink, 100, 0x01020304);
    j2k_patch_u16(&sink, 2, 0x0506);
    CHECK(out[2] == 5 && out[3] == 6);
    /* Beyond 4 GiB Psot says "to EOC". */
    if (sizeof(size_t) > 4) {
        sink = (byte_sink){out, sizeof out, 0};
        sot = j2k_begin_tile_part(&sink, 0, 0, 1);
        sink.size += (size_t)0xFFFFFFFF - 14;
        j2k_end_tile_part(&sink, sot);
        CHECK(load_u32(out + 6) == 0xFFFFFFFF);
        sink.size += 9;
        j2k_end_tile_part(&sink, sot);
        CHECK(load_u32(out + 6) == 0);
    }
}

int main(void) {
    frame_of_a_segment();
    siz();
    cap();
    cod();
    coc();
    qcd();
    coding_and_quantisation_fit();
    rgn();
    poc();
    sot();
    exact_bytes_of_a_header();
    own_segments_where_components_differ();
    long_comment();
    tlm();
    plt();
    tile_part_frame();
    return 0;
}
