/* Whole codestreams: precedence of the headers, tile-parts in every order, packed packet headers.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "codestream_fixture.h"

/* ---- headers ---- */

static void smallest_stream(void) {
    stream s = {0};
    put_header(&s, 1, 1);
    size_t sot = s.size;
    put_part(&s, 0, 0, 1, "data");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && first_sot == sot && diag.warning[0] == 0);
    CHECK(cs.siz.num_components == 1 && cs.siz.tiles_x == 1 && cs.siz.tiles_y == 1);
    CHECK(cs.style.order == J2K_LRCP && cs.style.num_layers == 2 && cs.components[0].coding.levels == 1);
    CHECK(!cs.has_cap && !cs.has_ppm && !cs.comment && !cs.truncated);
    const tile_header *t = &cs.tiles[0];
    CHECK(t->present && !t->own_styles && !t->truncated && t->components == cs.components);
    CHECK(t->style.num_layers == 2 && t->num_parts == 1 && span_is(t->parts[0], "data"));
    CHECK(t->num_packed_headers == 0 && t->style.num_changes == 0);
    stream_free(&s);
}

static void main_component_segments_outrank_the_defaults_in_any_order(void) {
    stream s = {0};
    put16(&s, 0xFF4F);
    put_siz(&s, 16, 16, 16, 16, 3);
    put_coc(&s, 1, 3);
    put_qcc(&s, 1, 20);
    put_cod(&s, 2, 0, 1);
    put_qcd(&s, 1, 8);
    put_coc(&s, 2, 4);
    put_qcc(&s, 2, 21);
    SEGMENT(&s, 0xFF5E, 2, 0, 5);
    put_part(&s, 0, 0, 1, "");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK);
    const component_style *c = cs.tiles[0].components;
    CHECK(c[0].coding.levels == 1 && c[1].coding.levels == 3 && c[2].coding.levels == 4);
    CHECK(c[0].quant.exponent[0] == 8 && c[1].quant.exponent[0] == 20 && c[2].quant.exponent[0] == 21);
    CHECK(c[0].roi_shift == 0 && c[1].roi_shift == 0 && c[2].roi_shift == 5);
    stream_free(&s);
}

static void tile_segments_outrank_main_ones(void) {
    stream s = {0};
    /* Component 0: main COD only; 1: main COC; 2: tile COC. Tile 0 has COD and QCD, tile 1 only COC and QCC.
     */
    put_header(&s, 3, 3);
    put_coc(&s, 1, 2);
    put_qcc(&s, 1, 15);
    SEGMENT(&s, 0xFF5E, 0, 0, 3);
    SEGMENT(&s, 0xFF5E, 1, 0, 4);
    for (unsigned tile = 0; tile < 3; tile++) {
        size_t part = part_begin(&s, tile, 0, 1);
        if (tile < 2) {
            put_coc(&s, 2, 4); /* before COD, which must not matter */
            put_qcc(&s, 2, 17);
            SEGMENT(&s, 0xFF5E, 1, 0, 6);
        }
        if (tile == 0) {
            put_cod(&s, 7, 1, 3);
            put_qcd(&s, 3, 12);
        }
        put16(&s, 0xFF93);
        part_end(&s, part);
    }
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK);
    const tile_header *t = cs.tiles;
    CHECK(t[0].own_styles && t[1].own_styles && !t[2].own_styles);
    CHECK(t[0].style.num_layers == 7 && t[0].style.colour_transform == 1);
    CHECK(t[1].style.num_layers == 2 && t[1].style.colour_transform == 0);
    const unsigned levels[3][3] = {{3, 3, 4}, {1, 2, 4}, {1, 2, 1}};
    const unsigned exponents[3][3] = {{12, 12, 17}, {8, 15, 17}, {8, 15, 8}};
    const unsigned shifts[3][3] = {{3, 6, 0}, {3, 6, 0}, {3, 4, 0}};
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++) {
            CHECK(t[i].components[c].coding.levels == levels[i][c]);
            CHECK(t[i].components[c].quant.exponent[0] == exponents[i][c]);
            CHECK(t[i].components[c].roi_shift == shifts[i][c]);
        }
    stream_free(&s);
}

/* Some encoders write COD and QCD into every tile-part but the first. */
static void style_segments_in_later_tile_parts(void) {
    stream s = {0};
    put_header(&s, 1, 1);
    put_part(&s, 0, 0, 2, "a");
    size_t part = part_begin(&s, 0, 1, 2);
    put_cod(&s, 3, 0, 0);
    put_qcd(&s, 0, 9);
    put16(&s, 0xFF93);
    put_text(&s, "b");
    part_end(&s, part);
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK);
    CHECK(cs.tiles[0].own_styles && cs.tiles[0].style.num_layers == 3 && cs.tiles[0].num_parts == 2);
    stream_free(&s);
}

static void other_segments_of_the_main_header(void) {
    stream s = {0};
    put_header(&s, 1, 1);
    SEGMENT(&s, 0xFF64, 0, 0, 'b', 'i', 'n');      /* binary */
    SEGMENT(&s, 0xFF64, 0, 1, 't', 'e', 'x', 't'); /* the first Latin-1 text */
    SEGMENT(&s, 0xFF64, 0, 1, 'm', 'o', 'r', 'e');
    SEGMENT(&s, 0xFF55, 0, 0x60, 0, 0, 0, 0, 0, 18);
    SEGMENT(&s, 0xFF57, 0, 1, 4);
    SEGMENT(&s, 0xFF63, 0, 1, 0, 1);
    SEGMENT(&s, 0xFF59, 0, 1);
    SEGMENT(&s, 0xFF50, 0, 2, 0, 0, 0, 9);
    SEGMENT(&s, 0xFF6E, 0xFF, 0x90, 0, 10); /* unknown; what looks like a marker inside is none */
    for (unsigned m = 0xFF30; m <= 0xFF3F; m++)
        put16(&s, m);
    put_part(&s, 0, 0, 1, "data");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK);
    CHECK(has(diag.warning, "marker FF6E at byte ") && !strstr(diag.warning, "FF3"));
    CHECK(cs.comment_size == 4 && !memcmp(cs.comment, "text", 4) && cs.has_cap && cs.ccap15 == 9);
    CHECK(span_is(cs.tiles[0].parts[0], "data"));

    for (unsigned m = 0xFF70; m <= 0xFF79; m++) { /* extensions of T.801 that change what the data mean */
        put_header(&s, 1, 1);
        SEGMENT(&s, m, 0, 0);
        CHECK_FAILS(&s, J2K_ERROR_UNSUPPORTED, "an extension of Part 2");
    }
    const unsigned misplaced[] = {0xFF4F, 0xFF51, 0xFF58, 0xFF61, 0xFF91, 0xFF92, 0xFF93, 0xFFD9};
    for (size_t i = 0; i < sizeof misplaced / sizeof misplaced[0]; i++) {
        put_header(&s, 1, 1);
        put16(&s, misplaced[i]);
        put16(&s, 4);
        put32(&s, 0);
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "does not belong in the main header");
    }
    put_header(&s, 1, 1);
    SEGMENT(&s, 0xFF64, 0);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "COM at byte 68: length 3 is wrong");
    /* A repeated COD is against A.6.1; the last one counts. */
    put_header(&s, 1, 1);
    put_cod(&s, 5, 0, 1);
    put_part(&s, 0, 0, 1, "");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && cs.style.num_layers == 5);
    CHECK(has(diag.warning, "COD at byte 68: occurs again"));
    stream_free(&s);
}

static void broken_main_headers(void) {
    stream s = {0};
    put16(&s, 0xFF51);
    put16(&s, 2);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "does not begin with SOC");
    s.size = 0;
    put16(&s, 0xFF4F);
    put_cod(&s, 1, 0, 1);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "COD at byte 2: SOC is not followed by SIZ");
    for (int missing = 0; missing < 2; missing++) {
        s.size = 0;
        put16(&s, 0xFF4F);
        put_siz(&s, 16, 16, 16, 16, 1);
        if (missing == 0)
            put_qcd(&s, 1, 8);
        else
            put_cod(&s, 1, 0, 1);
        put_part(&s, 0, 0, 1, "");
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT,
                    missing == 0 ? "the main header has no COD" : "the main header has no QCD");
    }
    put_header(&s, 1, 1);
    size_t at = s.size;
    put32(&s, 0x12345678);
    CHECK(at == 68);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "byte 68: 1234 is not a marker");
    /* What does not fit together shows as soon as a tile uses it. */
    s.size = 0;
    put16(&s, 0xFF4F);
    put_siz(&s, 16, 16, 16, 16, 1);
    put_cod(&s, 1, 0, 5);
    put_qcd(&s, 4, 8);
    put_part(&s, 0, 0, 1, "");
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "tile 0: fewer step sizes than subbands");
    CHECK(read_tolerant(&s) == J2K_OK && !cs.tiles[0].present);
    stream_free(&s);
}

static void component_transformation(void) {
    stream s = {0};
    /* Of two components: can only be ignored. */
    for (unsigned components = 1; components <= 3; components++) {
        s.size = 0;
        put16(&s, 0xFF4F);
        put_siz(&s, 16, 16, 16, 16, components);
        put_cod(&s, 1, 1, 1);
        put_qcd(&s, 1, 8);
        put_part(&s, 0, 0, 1, "");
        put16(&s, 0xFFD9);
        CHECK(read_strict(&s) == J2K_OK);
        CHECK(cs.tiles[0].style.colour_transform == (components == 3) &&
              !diag.warning[0] == (components == 3));
    }
    s.data[46] = 2; /* XRsiz of component 1 */
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "components that differ in size");
    s.data[46] = 1;
    s.data[50] = 2; /* YRsiz of component 2 */
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "components that differ in size");
    s.data[50] = 1;
    CHECK(read_strict(&s) == J2K_OK);
    s.size -= 2 + 14;
    SEGMENT(&s, 0xFF53, 2, 0, 1, 4, 4, 0, 0); /* 9/7 */
    put_part(&s, 0, 0, 1, "");
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "components that differ in their wavelet");
    put_header(&s, 1, 1); /* COD of a tile */
    size_t part = part_begin(&s, 0, 0, 1);
    put_cod(&s, 1, 1, 1);
    put16(&s, 0xFF93);
    part_end(&s, part);
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && cs.tiles[0].own_styles && !cs.tiles[0].style.colour_transform);
    stream_free(&s);
}

/* ---- progression changes ---- */

static void progression_changes(void) {
    stream s = {0};
    put_header(&s, 3, 2);
    put_poc(&s, 1, 0);
    put_poc(&s, 2, 4);
    put_part(&s, 0, 0, 1, "");
    size_t part = part_begin(&s, 1, 0, 2); /* overrides the main header's */
    put_poc(&s, 1, 3);
    put16(&s, 0xFF93);
    part_end(&s, part);
    part = part_begin(&s, 2, 0, 1); /* COD in a tile does not (A.6.6) */
    put_cod(&s, 9, 0, 1);
    put16(&s, 0xFF93);
    part_end(&s, part);
    part = part_begin(&s, 1, 1, 2); /* continues tile 1's */
    put_poc(&s, 2, 2);
    put_poc(&s, 3, 1);
    put16(&s, 0xFF93);
    part_end(&s, part);
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK);
    const tile_style *t0 = &cs.tiles[0].style, *t1 = &cs.tiles[1].style, *t2 = &cs.tiles[2].style;
    CHECK(t0->num_changes == 2 && t0->changes == cs.style.changes);
    CHECK(t0->changes[0].order == 0 && t0->changes[1].order == 4 && t0->changes[1].end_component == 2);
    CHECK(t1->num_changes == 3 && t1->changes[0].order == 3 && t1->changes[1].order == 2);
    CHECK(t1->changes[2].order == 1 && t1->changes[2].end_layer == 3 && !cs.tiles[1].own_styles);
    CHECK(t2->num_changes == 2 && t2->changes == cs.style.changes && t2->num_layers == 9);

    put_header(&s, 1, 1);
    SEGMENT(&s, 0xFF5F, 0, 0, 0, 1, 33, 0);
    put_part(&s, 0, 0, 1, "");
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "POC at byte 68: length 8 is wrong");
    put_header(&s, 1, 1);
    part = part_begin(&s, 0, 0, 1);
    put_poc(&s, 1, 7);
    put16(&s, 0xFF93);
    part_end(&s, part);
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "POC at byte 80: progression order 7");
    stream_free(&s);
}

/* ---- tile-parts ---- */

static void tile_parts_in_every_order(void) {
    stream s = {0};
    put_header(&s, 3, 1);
    put_part(&s, 2, 1, 0, "c1");
    put_part(&s, 0, 0, 0, "a0");
    put_part(&s, 1, 0, 2, "b0");
    put_part(&s, 2, 3, 4, "c3");
    put_part(&s, 2, 0, 0, "");
    put_part(&s, 1, 1, 0, "b1");
    put_part(&s, 2, 2, 0, "c2");
    put16(&s, 0xFFD9);
    put_text(&s, "behind EOC");
    CHECK(read_strict(&s) == J2K_OK);
    const tile_header *t = cs.tiles;
    CHECK(t[0].num_parts == 1 && span_is(t[0].parts[0], "a0"));
    CHECK(t[1].num_parts == 2 && span_is(t[1].parts[0], "b0") && span_is(t[1].parts[1], "b1"));
    CHECK(t[2].num_parts == 4 && span_is(t[2].parts[0], "") && span_is(t[2].parts[1], "c1"));
    CHECK(span_is(t[2].parts[2], "c2") && span_is(t[2].parts[3], "c3"));

    /* More parts than TNsot says: occurs (a count of 5 for parts 0 to 5), and is no loss. */
    put_header(&s, 1, 1);
    put_part(&s, 0, 0, 1, "a");
    put_part(&s, 0, 1, 1, "b");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && cs.tiles[0].num_parts == 2);

    /* As many parts as there can be, the last first. */
    put_header(&s, 1, 1);
    for (int part = 254; part >= 0; part--)
        put_part(&s, 0, (unsigned)part, 255, part % 2 ? "x" : "");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && cs.tiles[0].num_parts == 255);
    for (int part = 0; part < 255; part++)
        CHECK(span_is(cs.tiles[0].parts[part], part % 2 ? "x" : ""));
    stream_free(&s);
}

static void lost_tile_parts(void) {
    stream s = {0};
    put_header(&s, 2, 1);
    put_part(&s, 1, 0, 1, "b0");
    put_part(&s, 0, 0, 3, "a0");
    put_part(&s, 0, 2, 3, "a2"); /* part 1 is missing */
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "tile-part 1 of tile 0 is missing");
    CHECK(read_tolerant(&s) == J2K_OK && has(diag.warning, "tile-part 1 of tile 0 is missing"));
    CHECK(cs.tiles[0].present && cs.tiles[0].truncated && cs.tiles[0].num_parts == 1);
    CHECK(span_is(cs.tiles[0].parts[0], "a0") && span_is(cs.tiles[1].parts[0], "b0"));
    CHECK(!cs.tiles[1].truncated && !cs.truncated);

    put_header(&s, 2, 1);
    put_part(&s, 1, 0, 1, "b0");
    put_part(&s, 0, 1, 0, "a1"); /* the first part is missing, and no TNsot says so */
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "tile-part 0 of tile 0 is missing");
    CHECK(read_tolerant(&s) == J2K_OK && !cs.tiles[0].present && cs.tiles[1].present);

    put_header(&s, 2, 1);
    put_part(&s, 1, 0, 2, "b0"); /* the last part is missing */
    put_part(&s, 0, 0, 1, "a0");
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "tile-part 1 of tile 1 is missing");

    put_header(&s, 1, 1);
    put_part(&s, 0, 0, 0, "a0");
    put_part(&s, 0, 0, 0, "again");
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "SOT at byte 84: tile-part 0 of tile 0 occurs twice");
    CHECK(read_tolerant(&s) == J2K_OK && cs.tiles[0].num_parts == 1 && span_is(cs.tiles[0].parts[0], "a0"));

    put_header(&s, 2, 1);
    put_part(&s, 2, 0, 1, "c0");
    put_part(&s, 0, 0, 1, "a0");
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "SOT at byte 68: tile 2 of 2");
    CHECK(read_tolerant(&s) == J2K_OK && cs.tiles[0].present && !cs.tiles[1].present);

    /* A whole tile left out before EOC is no truncation. */
    put_header(&s, 2, 1);
    put_part(&s, 1, 0, 1, "b0");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && has(diag.warning, "1 of 2 tiles are missing, the first is 0"));
    CHECK(!cs.tiles[0].present && cs.tiles[1].present && !cs.truncated);
    s.size -= 2;
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "1 of 2 tiles are missing, the first is 0");
    CHECK(read_tolerant(&s) == J2K_OK && cs.truncated);
    stream_free(&s);
}

static void tile_part_lengths(void) {
    stream s = {0};
    /* Psot = 0: up to EOC. */
    put_header(&s, 1, 1);
    size_t sot = s.size;
    put_part(&s, 0, 0, 1, "data");
    memset(s.data + sot + 6, 0, 4);
    CHECK(read_strict(&s) == J2K_OK && span_is(cs.tiles[0].parts[0], "data")); /* without EOC: all there is */
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && span_is(cs.tiles[0].parts[0], "data"));
    put_text(&s, "xyz");
    CHECK(read_strict(&s) == J2K_OK && span_is(cs.tiles[0].parts[0], "data"));
    put8(&s, 0xFF);
    CHECK(read_strict(&s) == J2K_OK && span_is(cs.tiles[0].parts[0], "data"));

    /* What looks like EOC in the packets (it cannot be in a sound stream) is passed over when the data end
     * with EOC. */
    s.size = sot;
    put_part(&s, 0, 0, 1, "a\xFF\xD9z");
    memset(s.data + sot + 6, 0, 4);
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && span_is(cs.tiles[0].parts[0], "a\xFF\xD9z"));

    /* Psot = 12: an empty tile-part without SOD. */
    put_header(&s, 2, 1);
    part_end(&s, part_begin(&s, 0, 0, 1));
    put_part(&s, 1, 0, 1, "b");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && cs.tiles[0].num_parts == 1 && cs.tiles[0].parts[0].size == 0);
    CHECK(span_is(cs.tiles[1].parts[0], "b"));

    for (unsigned length = 1; length < 14; length++)
        if (length != 12) {
            put_header(&s, 2, 1);
            sot = s.size;
            put_part(&s, 0, 0, 1, "a");
            put_part(&s, 1, 0, 1, "b");
            put16(&s, 0xFFD9);
            s.data[sot + 9] = (uint8_t)length;
            CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "is below 14");
            /* Tolerant: the next SOT is found. */
            CHECK(read_tolerant(&s) == J2K_OK && !cs.tiles[0].present && span_is(cs.tiles[1].parts[0], "b"));
        }

    /* Psot ends inside the body, so that no marker follows. */
    put_header(&s, 2, 1);
    sot = s.size;
    put_part(&s, 0, 0, 1, "\xFF\x90\xFF tail");
    put_part(&s, 1, 0, 1, "b");
    put16(&s, 0xFFD9);
    s.data[sot + 9] -= 5;
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "SOT or EOC expected, found 2074");
    CHECK(read_tolerant(&s) == J2K_OK && cs.tiles[0].present && span_is(cs.tiles[1].parts[0], "b"));

    /* Psot ends before SOD. */
    put_header(&s, 1, 1);
    sot = part_begin(&s, 0, 0, 1);
    put_cod(&s, 1, 0, 1);
    part_end(&s, sot);
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "byte 94: a marker is missing");
    s.data[sot + 9] -= 1; /* and inside COD */
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "COD at byte 80: length 12 exceeds the 11 bytes left");

    /* Markers that do not belong there. */
    const unsigned misplaced[] = {0xFF4F, 0xFF50, 0xFF51, 0xFF55, 0xFF57, 0xFF59,
                                  0xFF60, 0xFF63, 0xFF90, 0xFF91, 0xFF92, 0xFFD9};
    for (size_t i = 0; i < sizeof misplaced / sizeof misplaced[0]; i++) {
        put_header(&s, 1, 1);
        sot = part_begin(&s, 0, 0, 1);
        put16(&s, misplaced[i]);
        put16(&s, 4);
        put32(&s, 0);
        put16(&s, 0xFF93);
        part_end(&s, sot);
        put16(&s, 0xFFD9);
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "does not belong in a tile-part header");
    }
    put_header(&s, 1, 1);
    sot = part_begin(&s, 0, 0, 1);
    SEGMENT(&s, 0xFF72, 1, 2, 3);
    put16(&s, 0xFF93);
    part_end(&s, sot);
    CHECK_FAILS(&s, J2K_ERROR_UNSUPPORTED, "DFS at byte 80: an extension of Part 2");
    /* and those that do, or are unknown. */
    put_header(&s, 1, 1);
    sot = part_begin(&s, 0, 0, 1);
    SEGMENT(&s, 0xFF58, 0, 4);
    SEGMENT(&s, 0xFF64, 0, 1, 'x');
    SEGMENT(&s, 0xFF6E, 0xFF, 0x93);
    put16(&s, 0xFF31);
    put16(&s, 0xFF93);
    put_text(&s, "data");
    part_end(&s, sot);
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && span_is(cs.tiles[0].parts[0], "data") && !cs.comment);
    stream_free(&s);
}

static void missing_eoc(void) {
    stream s = {0};
    put_header(&s, 1, 1);
    put_part(&s, 0, 0, 1, "data");
    CHECK(read_strict(&s) == J2K_OK && !cs.truncated && has(diag.warning, "byte 86: EOC is missing"));
    put8(&s, 0xFF); /* half of it */
    CHECK(read_strict(&s) == J2K_OK && !cs.truncated);
    put8(&s, 0xD8);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "byte 86: SOT or EOC expected, found FFD8");
    CHECK(read_tolerant(&s) == J2K_OK && !cs.truncated && !cs.tiles[0].truncated);
    stream_free(&s);
}

/* ---- packed packet headers ---- */

static void ppm_split_anywhere(void) {
    stream s = {0}, contents = {0};
    put_ppm_contents(&contents);
    for (size_t cut = 0; cut <= contents.size; cut++)
        for (int order = 0; order < 2; order++) {
            put_header(&s, 3, 1);
            for (int piece = 0; piece < 2; piece++) {
                int index = order ? 1 - piece : piece; /* the segments may come in any order of Zppm */
                size_t start = seg_begin(&s, 0xFF60);
                put8(&s, index ? 200 : 3);
                for (size_t i = index ? cut : 0; i < (index ? contents.size : cut); i++)
                    put8(&s, contents.data[i]);
                seg_end(&s, start);
            }
            put_part(&s, 1, 0, 2, "B0");
            put_part(&s, 0, 0, 2, "A0");
            put_part(&s, 2, 0, 1, "C0");
            put_part(&s, 0, 1, 2, "A1");
            put_part(&s, 1, 1, 2, "B1");
            put16(&s, 0xFFD9);
            CHECK(read_strict(&s) == J2K_OK && cs.has_ppm);
            const char *expected[] = {"a1", "b0b1", "c0 long"};
            for (int t = 0; t < 3; t++)
                CHECK(cs.tiles[t].num_packed_headers == 1 &&
                      span_is(cs.tiles[t].packed_headers[0], expected[t]));
        }
    /* Too few of them. */
    for (size_t cut = 0; cut < contents.size; cut++) {
        put_header(&s, 2, 1);
        size_t start = seg_begin(&s, 0xFF60);
        put8(&s, 0);
        for (size_t i = 0; i < cut; i++)
            put8(&s, contents.data[i]);
        seg_end(&s, start);
        for (unsigned part = 0; part < 5; part++)
            put_part(&s, 0, part, 0, "");
        put_part(&s, 1, 0, 0, "");
        put16(&s, 0xFFD9);
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "PPM");
        CHECK(read_tolerant(&s) == J2K_OK && cs.tiles[1].present && cs.tiles[1].num_packed_headers == 1);
        CHECK(cs.tiles[1].packed_headers[0].size == 0);
    }
    put_header(&s, 1, 1);
    put_text_segment(&s, 0xFF60, 7, "");
    put_text_segment(&s, 0xFF60, 7, "");
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "PPM at byte 73: index 7 occurs twice");
    put_header(&s, 1, 1);
    put32(&s, 0xFF600002);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "PPM at byte 68: length 2 is wrong");
    stream_free(&s);
    stream_free(&contents);
}

static void ppt(void) {
    stream s = {0};
    put_header(&s, 3, 1);
    size_t part = part_begin(&s, 0, 1, 2); /* the second part comes first in the codestream */
    put_text_segment(&s, 0xFF61, 0, "a1;");
    put16(&s, 0xFF93);
    part_end(&s, part);
    part = part_begin(&s, 0, 0, 2);
    put_text_segment(&s, 0xFF61, 2, "two;");
    put_text_segment(&s, 0xFF61, 0, "zero;");
    put_text_segment(&s, 0xFF61, 1, "one;");
    put16(&s, 0xFF93);
    part_end(&s, part);
    part = part_begin(&s, 1, 0, 1);
    put_text_segment(&s, 0xFF61, 255, "only");
    put16(&s, 0xFF93);
    part_end(&s, part);
    put_part(&s, 2, 0, 1, "headers inside");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && !cs.has_ppm);
    CHECK(cs.tiles[0].num_packed_headers == 1 && span_is(cs.tiles[0].packed_headers[0], "zero;one;two;a1;"));
    CHECK(cs.tiles[1].num_packed_headers == 1 && span_is(cs.tiles[1].packed_headers[0], "only"));
    CHECK(cs.tiles[1].packed_headers[0].data > s.data &&
          cs.tiles[1].packed_headers[0].data < s.data + s.size);
    CHECK(cs.tiles[2].num_packed_headers == 0);

    put_header(&s, 1, 1);
    part = part_begin(&s, 0, 0, 1);
    put_text_segment(&s, 0xFF61, 5, "");
    put_text_segment(&s, 0xFF61, 4, "");
    put_text_segment(&s, 0xFF61, 5, "");
    put16(&s, 0xFF93);
    part_end(&s, part);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "PPT at byte 90: index 5 occurs twice");

    put_header(&s, 1, 1);
    SEGMENT(&s, 0xFF60, 0, 0, 0, 0, 1, 'x');
    part = part_begin(&s, 0, 0, 1);
    put_text_segment(&s, 0xFF61, 0, "y");
    put16(&s, 0xFF93);
    part_end(&s, part);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "PPT at byte 90: together with PPM");
    stream_free(&s);
}

int main(void) {
    smallest_stream();
    main_component_segments_outrank_the_defaults_in_any_order();
    tile_segments_outrank_main_ones();
    style_segments_in_later_tile_parts();
    other_segments_of_the_main_header();
    broken_main_headers();
    component_transformation();
    progression_changes();
    tile_parts_in_every_order();
    lost_tile_parts();
    tile_part_lengths();
    missing_eoc();
    ppm_split_anywhere();
    ppt();
    j2k_arena_free(&memory);
    return 0;
}
