/* The bounds of docs/robustness.md: streams made to be slow or large against the time and memory that their
 * size and the samples wanted allow. An argument prints a row for each. SPDX-License-Identifier: BSD-3-Clause
 */
#include "own_memory.h"

#include <time.h>

#include "../unit/stream_builder.h"
#include "decode_any.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 20
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SLOWER 20
#endif
#endif
#ifndef SLOWER
#define SLOWER 2 /* a busy machine, or one that is not the latest */
#endif

static bool verbose;
static stream s;

/* ---- the bounds ---- */

static double most_seconds(double bytes, double samples) {
    return SLOWER * (0.5 + 4e-6 * bytes + 1e-6 * samples);
}

static double most_memory(double bytes, double samples) {
    return (double)(1 << 28) + 12288 * bytes + 32 * samples;
}

static void run(const char *name, const j2k_decode_options *options) {
    memory_taken = 0;
    clock_t start = clock();
    j2k_context *context = j2k_context_create(1, 0);
    CHECK(context);
    j2k_image image;
    j2k_status status = decode_any(context, s.data, s.size, options, &image);
    double samples = 0;
    for (uint32_t c = 0; c < image.num_components; c++)
        samples += (double)image.components[c].width * image.components[c].height;
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC, memory = (double)memory_taken;
    if (verbose)
        printf("%-34s %c %9zu bytes %11.0f samples %7.3f s %8.1f MiB  %d %.90s\n", name,
               options->tolerant ? 't' : 's', s.size, samples, seconds, memory / (1 << 20), (int)status,
               j2k_context_message(context));
    CHECK(seconds <= most_seconds((double)s.size, samples));
    CHECK(memory <= most_memory((double)s.size, samples));
    CHECK((status == J2K_OK) == (j2k_context_message(context)[0] == 0));
    CHECK(status != J2K_ERROR_INTERNAL && status != J2K_ERROR_ARGUMENT);
    image_free(&image);
    j2k_context_destroy(context);
}

/* Strict and tolerant, the whole image. */
static void check_stream(const char *name) {
    j2k_decode_options options;
    j2k_decode_options_init(&options);
    run(name, &options);
    options.tolerant = true;
    run(name, &options);
}

/* Little is wanted of what may be very large. */
static void check_corner(const char *name, uint32_t reduce) {
    j2k_decode_options options;
    j2k_decode_options_init(&options);
    options.use_region = true;
    options.region_x1 = options.region_y1 = 1;
    options.reduce = reduce;
    run(name, &options);
    options.tolerant = true;
    run(name, &options);
}

/* ---- parts of streams ---- */

/* A packet header's bits, with the stuffing of B.10.1. */
typedef struct header_bits {
    unsigned byte, room;
} header_bits;

static void put_bits(header_bits *b, unsigned value, unsigned count) {
    while (count--) {
        b->byte = b->byte << 1 | (value >> count & 1);
        if (--b->room == 0) {
            put8(&s, b->byte);
            b->room = b->byte == 0xFF ? 7 : 8;
            b->byte = 0;
        }
    }
}

static header_bits bits_begin(void) {
    return (header_bits){0, 8};
}

static void bits_end(header_bits *b) {
    if (b->room < 8)
        put8(&s, b->byte << b->room);
}

static void put_cod_with(unsigned order, unsigned layers, unsigned levels, unsigned block_exp, unsigned style,
                         int precinct) {
    size_t start = seg_begin(&s, 0xFF52);
    put8(&s, precinct >= 0);
    put8(&s, order);
    put16(&s, layers);
    put8(&s, 0);
    put8(&s, levels);
    put8(&s, block_exp - 2);
    put8(&s, block_exp - 2);
    put8(&s, style);
    put8(&s, 1);
    for (unsigned r = 0; precinct >= 0 && r <= levels; r++)
        put8(&s, (unsigned)precinct);
    seg_end(&s, start);
}

static void put_siz_with(uint32_t width, uint32_t height, uint32_t tile_width, uint32_t tile_height,
                         unsigned components, unsigned subsampling) {
    put_siz(&s, width, height, tile_width, tile_height, components);
    for (unsigned c = 0; c < components; c++) {
        s.data[s.size - 3 * c - 1] = (uint8_t)subsampling;
        s.data[s.size - 3 * c - 2] = (uint8_t)subsampling;
    }
}

static void begin(void) {
    s.size = 0;
    put16(&s, 0xFF4F);
}

static void put_zeros(size_t count) {
    while (count--)
        put8(&s, 0);
}

/* A tile-part with `count` bytes of `value` as packets. */
static void put_tile(unsigned tile, unsigned part, unsigned num_parts, unsigned value, size_t count) {
    size_t start = part_begin(&s, tile, part, num_parts);
    put16(&s, 0xFF93);
    while (count--)
        put8(&s, value);
    part_end(&s, start);
}

static void put_eoc(void) {
    put16(&s, 0xFFD9);
}

static void put_changes(size_t count, unsigned components, unsigned end_layer, unsigned order) {
    while (count) {
        size_t now = count < 7000 ? count : 7000, start = seg_begin(&s, 0xFF5F);
        for (size_t i = 0; i < now; i++) {
            put8(&s, 0);
            if (components >= 257)
                put8(&s, 0);
            put8(&s, 0);
            put16(&s, end_layer);
            put8(&s, 33);
            if (components >= 257)
                put8(&s, components >> 8);
            put8(&s, components & 255);
            put8(&s, order);
        }
        seg_end(&s, start);
        count -= now;
    }
}

/* ---- adversaries ---- */

static void huge_and_empty(void) {
    begin();
    put_siz(&s, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 1);
    put_cod(&s, 1, 0, 32);
    put_qcd(&s, 32, 8);
    put_tile(0, 0, 1, 0, 40);
    put_eoc();
    check_stream("4 G x 4 G samples");
    check_corner("4 G x 4 G samples, corner", 0);
    check_corner("4 G x 4 G samples, corner, reduced", 32);
    begin();
    put_siz(&s, 65535, 65535, 65535, 65535, 1);
    put_cod(&s, 1, 0, 5);
    put_qcd(&s, 5, 8);
    put_tile(0, 0, 1, 0, 6);
    put_eoc();
    check_corner("65535 x 65535 zeros, corner", 0);
    begin();
    put_siz(&s, 3000, 3000, 3000, 3000, 1);
    put_cod(&s, 1, 0, 5);
    put_qcd(&s, 5, 8);
    put_tile(0, 0, 1, 0, 6);
    put_eoc();
    check_stream("3000 x 3000 zeros");
}

/* Limits that a careless caller has lifted, and sizes whose product passes 64 bits: it is memory that ends
 * it. */
static void without_limits(void) {
    for (unsigned components = 1; components <= 3; components += 2) {
        begin();
        put_siz(&s, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, components);
        put_cod(&s, 1, 0, 1);
        put_qcd(&s, 1, 8);
        put_tile(0, 0, 1, 0, 40);
        put_eoc();
        j2k_decode_options options;
        j2k_decode_options_init(&options);
        options.max_pixels = options.max_memory = options.max_incomplete = UINT64_MAX;
        uint32_t nothing;
        j2k_component views[3];
        for (unsigned c = 0; c < components; c++)
            views[c] = (j2k_component){
                .data = &nothing, .type = J2K_UINT32, .width = 0xFFFFFFFF, .height = 0xFFFFFFFF};
        j2k_image image = {.num_components = components, .components = views};
        for (int tolerant = 0; tolerant < 2; tolerant++) {
            j2k_context *context = j2k_context_create(1, 0);
            CHECK(context);
            options.tolerant = tolerant;
            j2k_status status = j2k_decode(context, s.data, s.size, &options, &image);
            if (verbose)
                printf("without limits: %d %s\n", (int)status, j2k_context_message(context));
            j2k_status alone =
                tolerant ? J2K_ERROR_UNSUPPORTED : J2K_ERROR_TRUNCATED; /* too many precincts */
            CHECK(status == (components > 1 ? J2K_ERROR_LIMIT : alone));
            j2k_context_destroy(context);
        }
    }
}

static void many_tiles(void) {
    for (unsigned components = 1; components <= (SLOWER > 2 ? 128 : 16384); components *= 128) {
        for (unsigned subsampling = components > 128 ? 255 : 1; subsampling <= 255; subsampling += 254) {
            begin();
            put_siz_with(65535, 1, 1, 1, components, subsampling);
            put_cod(&s, 1, 0, 32);
            put_qcd(&s, 32, 8);
            put_tile(0, 0, 1, 0, 40);
            put_eoc();
            check_stream("65535 tiles, one is there");
            s.size -= 2;
            for (unsigned tile = 1; tile < (SLOWER > 2 ? 2000 : 20000); tile++)
                put_tile(tile, 0, 1, 0, 0);
            put_eoc();
            check_stream("65535 tiles, and thousands empty");
        }
    }
    begin();
    put_siz(&s, 255, 256, 1, 1, 1);
    put_cod(&s, 1, 0, 0);
    put_qcd(&s, 0, 8);
    for (unsigned part = 255; part--;)
        for (unsigned tile = 0; tile < 100; tile++)
            put_tile(tile * 600, part, 255, 0, 1);
    put_eoc();
    check_stream("tile-parts last one first");
}

static void many_components(void) {
    for (unsigned levels = 0; levels <= (SLOWER > 2 ? 0 : 32); levels += 32) {
        begin();
        put_siz(&s, 1, 1, 1, 1, 16384);
        put_cod(&s, 1, 0, levels);
        put_qcd(&s, levels, 8);
        put_tile(0, 0, 1, 0, 16384 * (levels + 1));
        put_eoc();
        check_stream("16384 components");
        s.size -= 2 + 16383 * (levels + 1);
        check_stream("16384 components, no packets");
    }
}

static void many_packets(void) {
    begin();
    put_siz(&s, 64, 64, 64, 64, 10);
    put_cod(&s, 65535, 0, 0);
    put_qcd(&s, 0, 8);
    put_tile(0, 0, 1, 0, 655350);
    put_eoc();
    check_stream("65535 empty layers");
    for (unsigned value = 0; value < 256; value += 85) {
        begin();
        put_siz(&s, 700, 700, 700, 700, 1);
        put_cod_with(0, 65535, 0, 2, 0, 0x00);
        put_qcd(&s, 0, 8);
        put_tile(0, 0, 1, value, 600000);
        put_eoc();
        check_stream("precincts of one sample");
        begin();
        put_siz(&s, 700, 700, 700, 700, 1);
        put_cod_with(2, 1, 5, 2, 0, 0x11);
        put_qcd(&s, 5, 8);
        put_tile(0, 0, 1, value, 600000);
        put_eoc();
        check_stream("precincts of 2 x 2");
        check_corner("precincts of 2 x 2, corner", 5);
    }
    begin();
    put_siz(&s, 0x7FFFFFFF, 2, 0x7FFFFFFF, 2, 1);
    put_cod_with(0, 1, 1, 2, 0, 0x11);
    put_qcd(&s, 1, 8);
    put_tile(0, 0, 1, 0x80, 40);
    put_eoc();
    check_corner("2^30 precincts", 1);
}

static void many_blocks(void) {
    for (unsigned value = 0x80; value < 256; value += 85) {
        begin();
        put_siz(&s, 32768, 32768, 32768, 32768, 1);
        put_cod_with(0, 65535, 5, 2, 0, -1);
        put_qcd(&s, 5, 8);
        put_tile(0, 0, 1, value, 200000);
        put_eoc();
        check_corner("2^26 code-blocks, corner", 0);
        check_corner("2^26 code-blocks, reduced", 5);
        begin();
        put_siz(&s, 2000, 2000, 2000, 2000, 1);
        put_cod_with(0, 65535, 0, 2, 4, -1);
        put_qcd(&s, 0, 8);
        put_tile(0, 0, 1, value, 500000);
        put_eoc();
        check_stream("250000 code-blocks");
    }
    uint64_t seed = 1;
    begin();
    put_siz(&s, 2000, 2000, 2000, 2000, 1);
    put_cod_with(0, 65535, 0, 2, 4, -1);
    put_qcd(&s, 0, 8);
    put_tile(0, 0, 1, 0, 500000);
    for (size_t i = s.size - 500000; i < s.size;
         i++) /* few ones: deep into the tag trees, seldom out of them */
        s.data[i] = (uint8_t)(test_random(&seed) & test_random(&seed));
    put_eoc();
    check_stream("random tag trees");
}

/* As many passes as 30 bit-planes have, without a byte for them. */
static void many_passes(void) {
    static const uint8_t styles[] = {0, J2K_STYLE_BYPASS, J2K_STYLE_TERMALL,
                                     J2K_STYLE_TERMALL | J2K_STYLE_SEGMENTATION, J2K_STYLE_HT};
    enum { PASSES = 88 };
    for (size_t k = 0; k < sizeof styles; k++) {
        begin();
        put_siz(&s, 64 * 64, 64, 64 * 64, 64, 1);
        put_cod_with(0, 1, 0, 6, styles[k], 0x66);
        size_t start = seg_begin(&s, 0xFF5C);
        put8(&s, 1 << 5);
        put8(&s, 30 << 3);
        seg_end(&s, start);
        size_t part = part_begin(&s, 0, 0, 1);
        put16(&s, 0xFF93);
        for (unsigned block = 0; block < 64; block++) {
            header_bits b = bits_begin();
            put_bits(&b, 7, 3); /* not empty, included, all bit-planes */
            put_bits(&b, 511, 9);
            put_bits(&b, PASSES - 37, 7);
            put_bits(&b, 0, 1);
            put_bits(&b, 0, 16); /* zero for all lengths that there are */
            for (unsigned pass = 0; styles[k] & 5 && pass < PASSES; pass++)
                put_bits(&b, 0, 3);
            bits_end(&b);
        }
        part_end(&s, part);
        put_eoc();
        check_stream("passes without data");
    }
}

static void many_changes(void) {
    begin();
    put_siz(&s, 1, 1, 1, 1, 16384);
    put_cod(&s, 1, 0, 2);
    put_qcd(&s, 2, 8);
    put_changes(20000, 16384, 1, 0);
    put_tile(0, 0, 1, 0, 3 * 16384);
    put_eoc();
    check_stream("20000 progression changes");
    begin();
    put_siz(&s, 2000, 1, 1, 1, 3);
    put_cod(&s, 1, 0, 2);
    put_qcd(&s, 2, 8);
    put_changes(20000, 3, 1, 2);
    for (unsigned tile = 0; tile < 2000; tile++)
        put_tile(tile, 0, 1, 0, 9);
    put_eoc();
    check_stream("20000 changes in each of 2000 tiles");
    /* Each change has one new component, for which it goes through the layers that all others have sent. */
    enum { OLD = 100, LAYERS = 1000, NEW = 150 };
    begin();
    put_siz(&s, 1, 1, 1, 1, OLD + NEW);
    put_cod(&s, LAYERS, 0, 0);
    put_qcd(&s, 0, 8);
    for (unsigned i = 0; i <= NEW; i++)
        put_changes(1, OLD + i, LAYERS, 0);
    put_tile(0, 0, 1, 0, (size_t)(OLD + NEW) * LAYERS);
    put_eoc();
    check_stream("changes that skip");
}

static void many_segments(void) {
    static const struct {
        unsigned marker, size;
    } kinds[] = {{0xFF64, 4}, {0xFF30, 0}, {0xFF01, 0}, {0xFF63, 2}, {0xFF58, 1}, {0xFF57, 1}, {0xFF5E, 3}};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        begin();
        put_siz(&s, 8, 8, 8, 8, 1);
        put_cod(&s, 1, 0, 0);
        put_qcd(&s, 0, 8);
        for (int tile = 0; tile < 2; tile++) {
            size_t start = tile ? part_begin(&s, 0, 0, 1) : 0;
            for (int i = 0; i < 60000; i++) {
                if (kinds[k].marker == 0xFF30) {
                    put16(&s, 0xFF30);
                    continue;
                }
                size_t begun = seg_begin(&s, kinds[k].marker);
                put_zeros(kinds[k].size);
                seg_end(&s, begun);
            }
            if (tile) {
                put16(&s, 0xFF93);
                put8(&s, 0);
                part_end(&s, start);
            }
        }
        put_eoc();
        check_stream("60000 segments in both headers");
    }
    begin();
    put_siz(&s, 4000, 1, 1, 1, 16384);
    put_cod(&s, 1, 0, 0);
    put_qcd(&s, 0, 8);
    for (unsigned tile = 0; tile < 4000; tile++) { /* each needs its own copy of all components' styles */
        size_t start = part_begin(&s, tile, 0, 1);
        size_t begun = seg_begin(&s, 0xFF5E);
        put16(&s, 0);
        put8(&s, 0);
        put8(&s, 1);
        seg_end(&s, begun);
        put16(&s, 0xFF93);
        part_end(&s, start);
    }
    put_eoc();
    check_stream("4000 tiles with their own styles");
}

static void packed_headers(void) {
    begin();
    put_siz(&s, 255, 1, 1, 1, 1);
    put_cod(&s, 1, 0, 0);
    put_qcd(&s, 0, 8);
    for (unsigned i = 0; i < 256; i++) {
        size_t start = seg_begin(&s, 0xFF60);
        put8(&s, 255 - i);
        for (unsigned k = 0; k < 400; k++)
            put32(&s, k == 399 ? 0xFFFFFFFF : 0);
        seg_end(&s, start);
    }
    for (unsigned tile = 0; tile < 255; tile++)
        for (unsigned part = 0; part < 100; part++)
            put_tile(tile, part, 100, 0, 0);
    put_eoc();
    check_stream("PPM, 256 segments the wrong way");
    begin();
    put_siz(&s, 1, 1, 1, 1, 1);
    put_cod(&s, 65535, 0, 0);
    put_qcd(&s, 0, 8);
    for (unsigned part = 0; part < 255; part++) {
        size_t start = part_begin(&s, 0, part, 255);
        for (unsigned i = 256; i--;) {
            size_t begun = seg_begin(&s, 0xFF61);
            put8(&s, i);
            put8(&s, 0);
            seg_end(&s, begun);
        }
        put16(&s, 0xFF93);
        part_end(&s, start);
    }
    put_eoc();
    check_stream("PPT, 256 segments in 255 parts");
}

/* Ends of tile-parts that are looked for again and again. */
static void lost_ends(void) {
    for (unsigned kind = 0; kind < 4; kind++) {
        begin();
        put_siz(&s, 255, 1, 1, 1, 1);
        put_cod(&s, 1, 0, 0);
        put_qcd(&s, 0, 8);
        for (unsigned i = 0; i < 40000; i++) {
            put16(&s, 0xFF90);
            put16(&s, 10);
            put16(&s, kind == 0 ? 300 : i % 255);
            put32(&s, kind == 1 ? 13 : kind == 2 ? 0 : kind == 3 ? 12 : 14);
            put16(&s, i / 255 << 8);
            put16(&s, 0xFF93);
        }
        check_stream("40000 tile-parts with wrong ends");
    }
}

static void boxes(void) {
    static const uint8_t signature[] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', 0x0D, 0x0A, 0x87, 0x0A};
    for (unsigned kind = 0; kind < 4; kind++) {
        s.size = 0;
        for (size_t i = 0; i < sizeof signature; i++)
            put8(&s, signature[i]);
        size_t header = kind == 1 || kind == 3 ? put_box(&s, "jp2h") : 0;
        for (unsigned i = 0; i < 60000; i++) {
            size_t start = put_box(&s, kind == 3 ? "jp2h" : kind == 2 ? "uuid" : "xml ");
            if (kind != 3)
                box_close(&s, start);
        }
        if (header)
            box_close(&s, header);
        put_zeros(4);
        check_stream(kind == 3 ? "60000 nested boxes" : "60000 boxes");
    }
    s.size = 0;
    for (size_t i = 0; i < sizeof signature; i++)
        put8(&s, signature[i]);
    size_t ftyp = put_box(&s, "ftyp");
    put_text(&s, "jp2 ");
    put_zeros(60000);
    box_close(&s, ftyp);
    size_t header = put_box(&s, "jp2h"), box = put_box(&s, "ihdr");
    put32(&s, 8), put32(&s, 8), put16(&s, 1), put8(&s, 7), put8(&s, 7), put16(&s, 0);
    box_close(&s, box);
    box = put_box(&s, "pclr");
    put16(&s, 1024), put8(&s, 255);
    for (int i = 0; i < 255; i++)
        put8(&s, 7);
    put_zeros(1024 * 255);
    box_close(&s, box);
    box = put_box(&s, "cmap");
    for (unsigned i = 0; i < 65535; i++)
        put16(&s, 0), put8(&s, 1), put8(&s, i % 255);
    box_close(&s, box);
    box = put_box(&s, "cdef");
    put16(&s, 65535);
    for (unsigned i = 0; i < 65535; i++)
        put16(&s, i), put16(&s, 0), put16(&s, 0);
    box_close(&s, box);
    box_close(&s, header);
    box = put_box(&s, "jp2c");
    put16(&s, 0xFF4F);
    put_siz(&s, 8, 8, 8, 8, 1);
    put_cod(&s, 1, 0, 0);
    put_qcd(&s, 0, 8);
    put_tile(0, 0, 1, 0, 1);
    put_eoc();
    box_close(&s, box);
    check_stream("palette to 65535 channels");
}

int main(int argc, char **argv) {
    verbose = argc > 1 && argv[1][0];
    huge_and_empty();
    without_limits();
    many_tiles();
    many_components();
    many_packets();
    many_blocks();
    many_passes();
    many_changes();
    many_segments();
    packed_headers();
    lost_ends();
    boxes();
    stream_free(&s);
    return CHECK_RESULT();
}
