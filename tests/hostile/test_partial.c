/* Regions, reduced resolutions and selected components are what decoding everything gives there, with and
 * without PLT and TLM, also where these are wrong; and what cannot be asked for is refused.
 * SPDX-License-Identifier: BSD-3-Clause */
#define OWN_ARENAS
#include "own_memory.h"

#include "decode_any.h"
#include "streams.h"

static j2k_context *context;

static uint32_t ceil_div(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

/* The part of component c that a region gives, in samples of the reduced component. */
static void check_part(const j2k_decode_options *o, const j2k_header *header, const j2k_image *whole,
                       const j2k_image *part, uint32_t c) {
    const j2k_component *all = &whole->components[c], *some = &part->components[c];
    uint32_t x0 = ceil_div(ceil_div(o->region_x0, header->components[c].dx), 1u << o->reduce);
    uint32_t y0 = ceil_div(ceil_div(o->region_y0, header->components[c].dy), 1u << o->reduce);
    CHECK(x0 + some->width <= all->width && y0 + some->height <= all->height);
    for (uint32_t y = 0; y < some->height; y++)
        CHECK(memcmp((uint32_t *)some->data + (size_t)y * some->width,
                     (uint32_t *)all->data + (size_t)(y0 + y) * all->width + x0,
                     (size_t)some->width * 4) == 0);
}

static void check_parts(const stream *s) {
    static const uint32_t regions[][4] = {
        {0, 0, 1, 1}, {51, 43, 52, 44}, {7, 5, 40, 33}, {23, 0, 25, 44}, {1, 29, 52, 32}};
    static const uint32_t first_and_last[] = {0, 2}, second[] = {1};
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    for (uint32_t reduce = 0; reduce < 3; reduce++) {
        j2k_decode_options o;
        j2k_decode_options_init(&o);
        o.reduce = reduce;
        j2k_image whole, part;
        CHECK(decode_any(context, s->data, s->size, &o, &whole) == J2K_OK);
        o.use_region = true;
        for (size_t k = 0; k < sizeof regions / sizeof regions[0]; k++) {
            o.region_x0 = regions[k][0];
            o.region_y0 = regions[k][1];
            o.region_x1 = regions[k][2];
            o.region_y1 = regions[k][3];
            o.components = k == 2 ? first_and_last : k == 3 ? second : NULL;
            o.num_components = k == 2 ? 2 : 1;
            CHECK(decode_any(context, s->data, s->size, &o, &part) == J2K_OK);
            CHECK(j2k_read_header(context, s->data, s->size, &o, &header) == J2K_OK);
            for (uint32_t c = 0; c < STREAM_COMPONENTS; c++) {
                CHECK(header.components[c].wanted == (k == 2 ? c != 1 : k != 3 || c == 1));
                if (header.components[c].wanted)
                    check_part(&o, &header, &whole, &part, c);
            }
            image_free(&part);
        }
        image_free(&whole);
    }
}

/* Spoil the contents of every segment of a marker, which only helps to find things. */
static void check_wrong_index(const stream *s, unsigned low) {
    unsigned found = 0;
    for (size_t i = 0; i + 8 < s->size; i++) {
        if (!marker_at(s, i, low) || s->data[i + 2])
            continue;
        size_t length = s->data[i + 3];
        for (size_t k = 4; k < 2 + length && i + k < s->size; k += 1 + k / 3) {
            uint8_t kept = s->data[i + k];
            s->data[i + k] ^= 5;
            check_parts(s);
            s->data[i + k] = kept;
        }
        found++;
        if (low == 0x58)
            i += 200;
    }
    CHECK(found);
}

static void check_refusals(const stream *s) {
    static const uint32_t twice[] = {1, 1}, beyond[] = {3};
    j2k_decode_options good, o;
    j2k_decode_options_init(&good);
    j2k_image image, wrong;
    j2k_header header;
    header.struct_size = 8;
    CHECK(j2k_read_header(context, s->data, s->size, &good, &header) == J2K_OK && header.struct_size == 8);
    header.struct_size = sizeof header;
#define REFUSED(options, status)                                                                             \
    do {                                                                                                     \
        CHECK(j2k_read_header(context, s->data, s->size, (options), &header) == (status));                   \
        CHECK(j2k_context_message(context)[0]);                                                              \
    } while (0)
    o = good, o.use_region = true, o.region_x1 = 53, o.region_y1 = 1;
    REFUSED(&o, J2K_ERROR_ARGUMENT);
    o.region_x1 = 0;
    REFUSED(&o, J2K_ERROR_ARGUMENT);
    o = good, o.components = twice, o.num_components = 2;
    REFUSED(&o, J2K_ERROR_ARGUMENT);
    o.components = beyond, o.num_components = 1;
    REFUSED(&o, J2K_ERROR_ARGUMENT);
    o = good, o.max_components = 2;
    REFUSED(&o, J2K_ERROR_LIMIT);
    o = good, o.max_tiles = 3;
    REFUSED(&o, J2K_ERROR_LIMIT);
    o = good, o.max_pixels = STREAM_WIDTH * STREAM_HEIGHT * STREAM_COMPONENTS - 1;
    REFUSED(&o, J2K_ERROR_LIMIT);
    o = good, o.max_memory = 100;
    REFUSED(&o, J2K_ERROR_MEMORY);
    o = good,
    o.struct_size = offsetof(j2k_decode_options, max_memory); /* of a version without what follows */
    o.max_memory = 100;
    CHECK(j2k_read_header(context, s->data, s->size, &o, &header) == J2K_OK);
    CHECK(j2k_read_header(context, NULL, 5, NULL, &header) == J2K_ERROR_ARGUMENT);
    CHECK(j2k_read_header(context, s->data, s->size, NULL, NULL) == J2K_ERROR_ARGUMENT);
    o = good, o.reduce = 4; /* of three levels */
    CHECK(decode_any(context, s->data, s->size, &o, &image) == J2K_ERROR_ARGUMENT);
    image_free(&image);
    CHECK(decode_any(context, s->data, s->size, &good, &image) == J2K_OK);
    CHECK(j2k_decode(context, s->data, s->size, &good, NULL) == J2K_ERROR_ARGUMENT);
    CHECK(j2k_decode(NULL, s->data, s->size, &good, &image) == J2K_ERROR_ARGUMENT);
    wrong = image, wrong.num_components--;
    CHECK(j2k_decode(context, s->data, s->size, &good, &wrong) == J2K_ERROR_ARGUMENT);
    j2k_component kept = image.components[0];
    image.components[0].width--;
    CHECK(j2k_decode(context, s->data, s->size, &good, &image) == J2K_ERROR_ARGUMENT);
    image.components[0] = kept, image.components[0].data = NULL;
    CHECK(j2k_decode(context, s->data, s->size, &good, &image) == J2K_ERROR_ARGUMENT);
    image.components[0] = kept, image.components[0].type = (j2k_sample_type)6;
    CHECK(j2k_decode(context, s->data, s->size, &good, &image) == J2K_ERROR_ARGUMENT);
    image.components[0] = kept;
    CHECK(j2k_decode(context, s->data, s->size, &good, &image) == J2K_OK);
    image_free(&image);
}

static void check_status_strings(void) {
    for (int i = J2K_ERROR_INTERNAL; i <= J2K_OK; i++)
        for (int k = J2K_ERROR_INTERNAL - 1; k < i; k++)
            CHECK(strcmp(j2k_status_string((j2k_status)i), j2k_status_string((j2k_status)k)) != 0);
    CHECK(strcmp(j2k_version(), J2K_VERSION) == 0);
}

int main(void) {
    context = j2k_context_create(1, J2K_CPU_ALL);
    CHECK(context);
    for (int kind = 0; kind < NUM_STREAMS; kind++) {
        stream s = make_stream(context, (stream_kind)kind);
        check_parts(&s);
        if (kind == STREAM_TILES) {
            check_refusals(&s);
            check_wrong_index(&s, 0x55);
        }
        if (kind == STREAM_DEEP || kind == STREAM_DEEP_9_7)
            check_wrong_index(&s, 0x58);
        stream_free(&s);
    }
    check_status_strings();
    j2k_context_destroy(context);
    return CHECK_RESULT();
}
