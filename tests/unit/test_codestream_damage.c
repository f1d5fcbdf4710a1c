/* Codestreams that are cut, damaged or hostile, and what is written read back.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "codestream_fixture.h"

/* ---- damage ---- */

/* A stream with everything in it. */
static void put_everything(stream *s) {
    put_header(s, 3, 3);
    put_coc(s, 1, 2);
    put_qcc(s, 1, 15);
    SEGMENT(s, 0xFF5E, 0, 0, 3);
    put_poc(s, 2, 1);
    SEGMENT(s, 0xFF64, 0, 1, 't', 'e', 'x', 't');
    size_t part = part_begin(s, 1, 0, 2);
    put_cod(s, 4, 1, 2);
    put_qcd(s, 2, 9);
    put_poc(s, 4, 2);
    put_text_segment(s, 0xFF61, 0, "packed");
    put16(s, 0xFF93);
    put_text(s, "b0");
    part_end(s, part);
    put_part(s, 0, 0, 1, "a0");
    part = part_begin(s, 1, 1, 2);
    put_text_segment(s, 0xFF61, 1, "more");
    put16(s, 0xFF93);
    part_end(s, part);
    part = part_begin(s, 2, 0, 1);
    put_coc(s, 2, 1);
    put16(s, 0xFF93);
    put_text(s, "c0");
    part_end(s, part);
    put16(s, 0xFFD9);
}

/* Whatever was accepted must be usable: every span readable, every tile complete. Returns a sum over all
 * bytes, so that the sanitizer sees them read. */
static unsigned touch(void) {
    unsigned sum = 0;
    size_t tiles = (size_t)cs.siz.tiles_x * cs.siz.tiles_y;
    for (size_t i = 0; i < cs.comment_size; i++)
        sum += cs.comment[i];
    for (size_t i = 0; i < tiles; i++) {
        const tile_header *t = &cs.tiles[i];
        if (!t->present)
            continue;
        CHECK(t->num_parts >= 1 && t->num_parts <= 255 && t->components && t->style.num_layers);
        CHECK(t->style.order <= J2K_CPRL && t->style.colour_transform <= 1);
        for (uint32_t p = 0; p < t->num_parts; p++)
            for (size_t k = 0; k < t->parts[p].size; k++)
                sum += t->parts[p].data[k];
        for (uint32_t p = 0; p < t->num_packed_headers; p++)
            for (size_t k = 0; k < t->packed_headers[p].size; k++)
                sum += t->packed_headers[p].data[k];
        for (uint32_t p = 0; p < t->style.num_changes; p++) {
            const progression_change *change = &t->style.changes[p];
            CHECK(change->first_component < change->end_component);
            CHECK(change->end_component <= cs.siz.num_components);
            CHECK(change->first_resolution < change->end_resolution && change->end_resolution <= 33);
        }
        for (uint32_t c = 0; c < cs.siz.num_components; c++) {
            const component_style *style = &t->components[c];
            CHECK(style->coding.levels <= 32 && style->quant.num_steps > 3 * style->coding.levels);
            CHECK(style->coding.codeblock_w_exp >= 2 && style->coding.codeblock_h_exp >= 2);
            CHECK(style->coding.codeblock_w_exp + style->coding.codeblock_h_exp <= 12);
            CHECK(style->roi_shift <= 37);
        }
    }
    return sum;
}

static void truncation_at_every_byte(void) {
    stream s = {0};
    put_everything(&s);
    CHECK(read_strict(&s) == J2K_OK && diag.warning[0] == 0);
    CHECK(span_is(cs.tiles[1].packed_headers[0], "packedmore") && cs.tiles[1].style.num_changes == 1);
    size_t sot = first_sot;
    unsigned sum = 0;
    for (size_t size = 0; size < s.size; size++) {
        uint8_t *copy = malloc(size ? size : 1); /* its own block, so that reading beyond it is seen */
        CHECK(copy);
        memcpy(copy, s.data, size);
        j2k_status status = read_stream(copy, size, false);
        if (size >= s.size - 2) /* only EOC is missing */
            CHECK(status == J2K_OK && !cs.truncated);
        else
            CHECK(status == J2K_ERROR_TRUNCATED);
        status = read_stream(copy, size, true);
        if (size < sot + 12) { /* reading the main header takes a whole SOT */
            CHECK(status == J2K_ERROR_TRUNCATED);
        } else {
            CHECK(status == J2K_OK && cs.truncated == (size < s.size - 2));
            sum += touch();
        }
        free(copy);
    }
    CHECK(sum);
    stream_free(&s);
}

static void random_damage(void) {
    stream bases[3] = {{0}, {0}, {0}};
    put_everything(&bases[0]);
    put_header(&bases[1], 3, 1);
    size_t start = seg_begin(&bases[1], 0xFF60);
    put8(&bases[1], 0);
    put_ppm_contents(&bases[1]);
    seg_end(&bases[1], start);
    for (unsigned i = 0; i < 5; i++)
        put_part(&bases[1], i % 3, i / 3, 0, "body");
    put16(&bases[1], 0xFFD9);
    put_header(&bases[2], 8, 2);
    for (unsigned i = 0; i < 24; i++)
        put_part(&bases[2], i % 8, i / 8, 3, "\xFF\x90\x00\x0A");
    put16(&bases[2], 0xFFD9);
    uint64_t seed = 20;
    unsigned accepted = 0, refused = 0, sum = 0;
    for (int round = 0; round < 30000; round++) {
        const stream *base = &bases[round % 3];
        size_t size = base->size - (test_random(&seed) % 8 ? 0 : test_random(&seed) % base->size);
        uint8_t *copy = malloc(size ? size : 1);
        CHECK(copy);
        memcpy(copy, base->data, size);
        for (unsigned flips = 1 + test_random(&seed) % 4; size && flips--;) {
            size_t at = test_random(&seed) % size;
            unsigned kind = test_random(&seed) % 4;
            static const uint8_t evil[] = {0, 1, 0x7F, 0x80, 0xFF, 0x90, 0x93, 0xD9};
            copy[at] = kind == 0   ? evil[test_random(&seed) % 8]
                       : kind == 1 ? (uint8_t)test_random(&seed)
                                   : (uint8_t)(copy[at] ^ 1u << test_random(&seed) % 8);
        }
        for (int tolerant = 0; tolerant < 2; tolerant++) {
            if (read_stream(copy, size, tolerant) == J2K_OK) {
                accepted++;
                sum += touch();
            } else {
                refused++;
            }
        }
        free(copy);
    }
    CHECK(accepted > 1000 && refused > 1000 && sum);
    for (int i = 0; i < 3; i++)
        stream_free(&bases[i]);
}

/* Memory and time stay in proportion to the stream, whatever it declares. */
static void bounded_cost(void) {
    stream s = {0};
    s.size = 0;
    put16(&s, 0xFF4F);
    put_siz(&s, 257, 255, 1, 1, 16384); /* the most tiles and components that there can be */
    put_cod(&s, 1, 0, 1);
    put_qcd(&s, 1, 8);
    size_t head = s.size;
    for (unsigned tile = 0; tile < 65535; tile++)
        put_part(&s, tile, 0, 1, "");
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && memory.total < 64u << 20);

    /* COD in each of them would take 6 MB a tile; no real stream of this size needs that. */
    s.size = head;
    for (unsigned tile = 0; tile < 65535; tile++) {
        size_t part = part_begin(&s, tile, 0, 1);
        put_cod(&s, 1, 0, 1);
        put16(&s, 0xFF93);
        part_end(&s, part);
    }
    put16(&s, 0xFFD9);
    CHECK_FAILS(&s, J2K_ERROR_LIMIT, "more often than the stream's size warrants");
    CHECK(memory.total < s.size * 600 + (100u << 20));

    /* The same with three components is what real streams do. */
    s.size = 0;
    put16(&s, 0xFF4F);
    put_siz(&s, 257, 255, 1, 1, 3);
    put_cod(&s, 1, 0, 1);
    put_qcd(&s, 1, 8);
    for (unsigned tile = 0; tile < 65535; tile++) {
        size_t part = part_begin(&s, tile, 0, 1);
        put_cod(&s, 1 + tile % 7, 0, 1);
        put16(&s, 0xFF93);
        put_text(&s, "abc");
        part_end(&s, part);
    }
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && cs.tiles[65534].style.num_layers == 1 + 65534 % 7);

    /* Many CODs for one tile of many components: each is looked at once, the last one counts. */
    s.size = 0;
    put16(&s, 0xFF4F);
    put_siz(&s, 16, 16, 16, 16, 16384);
    put_cod(&s, 1, 0, 1);
    put_qcd(&s, 1, 8);
    size_t part = part_begin(&s, 0, 0, 1);
    for (int i = 0; i < 20000; i++)
        put_cod(&s, 1 + i % 100, 0, 1);
    put16(&s, 0xFF93);
    part_end(&s, part);
    put16(&s, 0xFFD9);
    CHECK(read_strict(&s) == J2K_OK && cs.tiles[0].style.num_layers == 1 + 19999 % 100);

    /* Nothing but SOT look-alikes after damage. */
    put_header(&s, 1, 1);
    for (int i = 0; i < 200000; i++) {
        put32(&s, 0xFF90000A);
        put8(&s, 0);
    }
    CHECK(read_tolerant(&s) == J2K_OK && cs.truncated);

    /* The arena's limit is an out-of-memory error in either mode. */
    s.size = 0;
    put_everything(&s);
    j2k_arena_free(&memory);
    for (memory.limit = 64; memory.limit < 64 * 60; memory.limit += 64) {
        j2k_status strict = read_stream(s.data, s.size, false);
        j2k_status tolerant = read_stream(s.data, s.size, true);
        CHECK(strict == tolerant && (strict == J2K_OK || strict == J2K_ERROR_MEMORY));
    }
    memory.limit = 0;
    stream_free(&s);
}

/* ---- round trip ---- */

static unsigned below(uint64_t *seed, unsigned n) {
    return test_random(seed) % n;
}

static void random_style(uint64_t *seed, component_style *style) {
    memset(style, 0, sizeof *style);
    coding_style *coding = &style->coding;
    coding->levels = (uint8_t)below(seed, 33);
    coding->codeblock_w_exp = (uint8_t)(2 + below(seed, 9));
    coding->codeblock_h_exp = (uint8_t)(2 + below(seed, 11u - coding->codeblock_w_exp));
    coding->codeblock_style = (uint8_t)below(seed, 64);
    coding->reversible = below(seed, 2);
    coding->user_precincts = below(seed, 2);
    for (unsigned r = 0; r <= 32; r++) {
        bool given = coding->user_precincts && r <= coding->levels;
        coding->precinct_w_exp[r] = given ? (uint8_t)(1 + below(seed, 15)) : 15;
        coding->precinct_h_exp[r] = given ? (uint8_t)(1 + below(seed, 15)) : 15;
    }
    quantisation *quant = &style->quant;
    quant->kind = coding->reversible ? QUANT_NONE : (quant_kind)(1 + below(seed, 2));
    quant->guard_bits = (uint8_t)below(seed, 8);
    for (unsigned b = 0; b <= 3u * coding->levels; b++) {
        quant->exponent[b] = (uint8_t)below(seed, 32);
        quant->mantissa[b] = quant->kind == QUANT_NONE ? 0 : (uint16_t)below(seed, 2048);
        if (quant->kind == QUANT_DERIVED && b) {
            int e = quant->exponent[0] - (int)((b - 1) / 3); /* E-5 */
            quant->exponent[b] = (uint8_t)(e < 0 ? 0 : e);
            quant->mantissa[b] = quant->mantissa[0];
        }
    }
    if (below(seed, 3) == 0)
        style->roi_shift = (uint8_t)below(seed, 38);
}

static void round_trip(void) {
    uint64_t seed = 3;
    const unsigned counts[] = {1, 2, 3, 5, 256, 257, 300};
    for (int round = 0; round < 150; round++) {
        codestream out;
        memset(&out, 0, sizeof out);
        uint32_t n = out.siz.num_components = counts[below(&seed, 7)];
        component_siz *sizes = calloc(n, sizeof *sizes);
        component_style *styles = calloc(n, sizeof *styles);
        CHECK(sizes && styles);
        for (uint32_t c = 0; c < n; c++) {
            sizes[c] = (component_siz){(uint8_t)(1 + below(&seed, 38)), below(&seed, 2),
                                       (uint8_t)(1 + below(&seed, 255)), (uint8_t)(1 + below(&seed, 255))};
            if (c == 0 || below(&seed, 2))
                random_style(&seed, &styles[c]);
            else
                styles[c] = styles[0];
        }
        out.siz.components = sizes;
        out.components = styles;
        out.siz.rsiz = (uint16_t)below(&seed, 0x4000);
        out.siz.tile_x0 = test_random(&seed) >> (8 + below(&seed, 24));
        out.siz.tile_y0 = test_random(&seed) >> (8 + below(&seed, 24));
        out.siz.tile_width = 1 + (test_random(&seed) >> (8 + below(&seed, 24)));
        out.siz.tile_height = 1 + (test_random(&seed) >> (8 + below(&seed, 24)));
        out.siz.area.x0 = out.siz.tile_x0 + below(&seed, out.siz.tile_width);
        out.siz.area.y0 = out.siz.tile_y0 + below(&seed, out.siz.tile_height);
        out.siz.tiles_x = 1 + below(&seed, 5);
        out.siz.tiles_y = 1 + below(&seed, 5);
        out.siz.area.x1 = out.siz.tile_x0 + out.siz.tile_width * out.siz.tiles_x;
        out.siz.area.y1 = out.siz.tile_y0 + out.siz.tile_height * out.siz.tiles_y;
        out.style = (tile_style){.order = (uint8_t)below(&seed, 5),
                                 .num_layers = (uint16_t)(1 + below(&seed, 65535)),
                                 .sop = below(&seed, 2),
                                 .eph = below(&seed, 2)};

        size_t capacity = 200000;
        uint8_t *data = malloc(capacity);
        CHECK(data);
        byte_sink sink = {data, capacity, 0};
        j2k_write_main_header(&sink, &out, "round trip");
        uint32_t tiles = out.siz.tiles_x * out.siz.tiles_y, parts = 1 + below(&seed, 3);
        const uint32_t lengths[] = {1, 200, 70000};
        size_t tlm = j2k_write_tlm(&sink, tiles * parts);
        for (uint32_t part = 0, index = 0; part < parts; part++)
            for (uint32_t tile = 0; tile < tiles; tile++, index++) {
                size_t sot = j2k_write_sot(&sink, tile, part, parts);
                CHECK(j2k_write_plt(&sink, lengths, 3));
                j2k_write_sod(&sink);
                j2k_put_u16(&sink, tile * 256 + part);
                j2k_end_tile_part(&sink, sot);
                j2k_patch_tlm(&sink, tlm, index, tile, (uint32_t)(sink.size - sot));
            }
        j2k_write_eoc(&sink);
        CHECK(sink.size <= capacity);

        CHECK(read_stream(data, sink.size, false) == J2K_OK && diag.warning[0] == 0);
        CHECK(cs.siz.rsiz == out.siz.rsiz && !memcmp(&cs.siz.area, &out.siz.area, sizeof(rect)));
        CHECK(cs.siz.tile_x0 == out.siz.tile_x0 && cs.siz.tile_y0 == out.siz.tile_y0);
        CHECK(cs.siz.tile_width == out.siz.tile_width && cs.siz.tile_height == out.siz.tile_height);
        CHECK(cs.siz.tiles_x == out.siz.tiles_x && cs.siz.tiles_y == out.siz.tiles_y);
        CHECK(cs.siz.num_components == n && !memcmp(cs.siz.components, sizes, n * sizeof *sizes));
        CHECK(cs.style.order == out.style.order && cs.style.num_layers == out.style.num_layers);
        CHECK(cs.style.sop == out.style.sop && cs.style.eph == out.style.eph && !cs.style.colour_transform);
        CHECK(cs.comment_size == 10 && !memcmp(cs.comment, "round trip", 10));
        for (uint32_t c = 0; c < n; c++) {
            const component_style *a = &styles[c], *b = &cs.components[c];
            unsigned bands = 3u * a->coding.levels + 1;
            CHECK(!memcmp(&a->coding, &b->coding, sizeof a->coding) && a->roi_shift == b->roi_shift);
            CHECK(a->quant.kind == b->quant.kind && a->quant.guard_bits == b->quant.guard_bits);
            CHECK(!memcmp(a->quant.exponent, b->quant.exponent, bands));
            CHECK(!memcmp(a->quant.mantissa, b->quant.mantissa, bands * 2));
        }
        for (uint32_t tile = 0; tile < tiles; tile++) {
            CHECK(cs.tiles[tile].present && cs.tiles[tile].num_parts == parts && !cs.tiles[tile].own_styles);
            for (uint32_t part = 0; part < parts; part++) {
                byte_span body = cs.tiles[tile].parts[part];
                CHECK(body.size == 2 && body.data[0] == tile && body.data[1] == part);
            }
        }
        free(data);
        free(sizes);
        free(styles);
    }
}

int main(void) {
    truncation_at_every_byte();
    random_damage();
    bounded_cost();
    round_trip();
    j2k_arena_free(&memory);
    return 0;
}
