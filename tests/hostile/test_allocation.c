/* Every allocation of an encoding and of a decoding fails in turn: an error each time, or the same result,
 * and nothing is lost (the address sanitizer's build looks for leaks). SPDX-License-Identifier: BSD-3-Clause
 */
#define OWN_ARENAS
#include "own_memory.h"

#include "decode_any.h"
#include "streams.h"

static size_t image_size(const j2k_component *view) {
    return (size_t)view->width * view->height * 4;
}

static void check_same(const j2k_image *a, const j2k_image *b) {
    CHECK(a->num_components == b->num_components);
    for (uint32_t c = 0; c < a->num_components; c++)
        CHECK(memcmp(a->components[c].data, b->components[c].data, image_size(&a->components[c])) == 0);
}

/* Requests that a new context makes until the image is decoded; `fails_at` of them fails. */
static j2k_status decode_once(const stream *s, unsigned threads, unsigned cpu, bool tolerant,
                              unsigned long fails_at, unsigned long *requests, j2k_image *image) {
    memory_requests = 0;
    memory_fails_at = fails_at;
    memset(image, 0, sizeof *image);
    j2k_context *context = j2k_context_create(threads, cpu);
    j2k_decode_options options;
    j2k_decode_options_init(&options);
    options.tolerant = tolerant;
    j2k_status status = context ? decode_any(context, s->data, s->size, &options, image) : J2K_ERROR_MEMORY;
    if (context && status != J2K_OK)
        CHECK(j2k_context_message(context)[0]);
    *requests = memory_requests;
    memory_fails_at = 0;
    if (context && status == J2K_ERROR_MEMORY) { /* the context is still of use */
        image_free(image);
        CHECK(decode_any(context, s->data, s->size, &options, image) == J2K_OK);
    }
    j2k_context_destroy(context);
    return status;
}

static unsigned long decode_failing(const stream *s, unsigned threads, unsigned cpu, bool tolerant) {
    unsigned long all, requests;
    unsigned survived = 0;
    j2k_image whole, image;
    CHECK(decode_once(s, threads, cpu, tolerant, 0, &all, &whole) == J2K_OK);
    for (unsigned long k = 1; k <= all; k++) {
        j2k_status status = decode_once(s, threads, cpu, tolerant, k, &requests, &image);
        CHECK(status == J2K_OK || status == J2K_ERROR_MEMORY);
        /* Threads and the lanes' tables can be done without. */
        CHECK(status != J2K_OK || threads > 1 || cpu);
        if (image.num_components)
            check_same(&image, &whole);
        survived += status == J2K_OK;
        image_free(&image);
    }
    CHECK(survived < all / 2);
    image_free(&whole);
    return all;
}

/* The kinds' own options, with what takes more memory than a lossless layer. */
static j2k_status encode_once(stream_kind kind, unsigned cpu, unsigned long fails_at,
                              unsigned long *requests) {
    enum { MOST = STREAM_WIDTH * STREAM_HEIGHT };
    static uint8_t samples[MOST], out[65536];
    for (unsigned i = 0; i < MOST; i++)
        samples[i] = (uint8_t)stream_sample(0, i % STREAM_WIDTH, i / STREAM_WIDTH, 8);
    j2k_component view = {.data = samples, .row_stride = STREAM_WIDTH, .sample_step = 1, .type = J2K_UINT8};
    view.depth = 8;
    view.dx = view.dy = 1;
    view.width = STREAM_WIDTH;
    view.height = STREAM_HEIGHT;
    j2k_image image = {0, 0, STREAM_WIDTH, STREAM_HEIGHT, 1, &view, J2K_COLOUR_UNKNOWN};
    j2k_encode_options options;
    choose_stream(kind, &options);
    options.colour_transform = 0;
    options.roi_component = -1;
    options.roi_shift = 0;
    memory_requests = 0;
    memory_fails_at = fails_at;
    j2k_context *context = j2k_context_create(1, cpu);
    size_t size = 0;
    j2k_status status =
        context ? j2k_encode(context, &image, &options, out, sizeof out, &size) : J2K_ERROR_MEMORY;
    if (context && status != J2K_OK)
        CHECK(j2k_context_message(context)[0]);
    *requests = memory_requests;
    memory_fails_at = 0;
    j2k_context_destroy(context);
    return status;
}

static unsigned long encode_failing(stream_kind kind, unsigned cpu) {
    unsigned long all, requests;
    CHECK(encode_once(kind, cpu, 0, &all) == J2K_OK);
    for (unsigned long k = 1; k <= all; k++)
        CHECK(encode_once(kind, cpu, k, &requests) == J2K_ERROR_MEMORY);
    return all;
}

int main(void) {
    unsigned long decoded = 0, encoded = 0;
    for (int kind = 0; kind < NUM_STREAMS; kind++) {
        j2k_context *context = j2k_context_create(1, 0);
        stream s = make_stream(context, (stream_kind)kind);
        j2k_context_destroy(context);
        bool quick = getenv("J2K_SANITIZED") != NULL;
        if (!quick || kind % 2)
            decoded += decode_failing(&s, 1, 0, false);
        if (!quick || kind % 2 == 0)
            decoded += decode_failing(&s, 1, J2K_CPU_ALL, true);
        if (kind == STREAM_TILES)
            decoded += decode_failing(&s, 3, 0, false);
        stream_free(&s);
        if (kind != STREAM_PPT && kind != STREAM_PPM && kind != STREAM_PALETTE && kind != STREAM_SUBSAMPLED)
            encoded += encode_failing((stream_kind)kind, kind & 1 ? 0 : J2K_CPU_ALL);
    }
    printf("%lu requests of decoders and %lu of encoders failed\n", decoded, encoded);
    return CHECK_RESULT();
}
