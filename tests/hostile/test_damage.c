/* Truncated and altered streams, strict and tolerant: an error or an image, in bounded time and memory, and
 * what tolerant decoding keeps is the undamaged image's. SPDX-License-Identifier: BSD-3-Clause */
#define OWN_ARENAS
#include "own_memory.h"

#include <time.h>

#include "decode_any.h"
#include "streams.h"

enum { CUTS = 200 };

static j2k_context *contexts[2]; /* scalar, and all that the processor has */
static j2k_decode_options options[2];
static double slowest;

/* Decode; the result must be one of those that damage may have. */
static j2k_status attempt(const uint8_t *data, size_t size, bool tolerant, unsigned isa, j2k_image *image) {
    clock_t start = clock();
    memory_taken = 0;
    j2k_context *context = contexts[isa];
    j2k_status status = decode_any(context, data, size, &options[tolerant], image);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    slowest = seconds > slowest ? seconds : slowest;
    CHECK(memory_taken < (size_t)256 << 20);
    CHECK(seconds < 1 || getenv("J2K_SANITIZED"));
    switch (status) {
    case J2K_OK:
        CHECK(!j2k_context_message(context)[0]);
        break;
    case J2K_ERROR_TRUNCATED:
    case J2K_ERROR_CORRUPT:
    case J2K_ERROR_UNSUPPORTED:
    case J2K_ERROR_LIMIT:
        CHECK(j2k_context_message(context)[0]);
        break;
    default:
        fprintf(stderr, "status %d: %s\n", (int)status, j2k_context_message(context));
        CHECK(false);
    }
    return status;
}

static bool same_image(const j2k_image *a, const j2k_image *b) {
    if (a->num_components != b->num_components)
        return false;
    for (uint32_t c = 0; c < a->num_components; c++) {
        const j2k_component *x = &a->components[c], *y = &b->components[c];
        if (x->width != y->width || x->height != y->height ||
            memcmp(x->data, y->data, (size_t)x->width * x->height * 4) != 0)
            return false;
    }
    return true;
}

/* A truncated stream is an error, or has all the samples (what is missing is EOC, or a box behind the
 * codestream); tolerant decoding of one that has headers gives an image, with a warning unless it is the
 * whole one. */
static void cut_short(stream_kind kind, const stream *s, const j2k_image *whole) {
    size_t decoded = 0;
    for (unsigned i = 0; i < CUTS; i++) {
        size_t size = s->size * i / CUTS;
        uint8_t *copy = malloc(size + 1); /* so that reading beyond it is seen */
        CHECK(copy);
        memcpy(copy, s->data, size);
        copy = realloc(copy, size ? size : 1);
        for (int tolerant = 0; tolerant < 2; tolerant++) {
            j2k_image image;
            j2k_status status = attempt(copy, size, tolerant, i & 1, &image);
            if (!tolerant)
                CHECK(status != J2K_OK || same_image(&image, whole));
            else if (status == J2K_OK)
                CHECK(same_image(&image, whole) || j2k_context_warning(contexts[i & 1])[0]);
            if (tolerant)
                decoded += status == J2K_OK;
            image_free(&image);
        }
        free(copy);
    }
    CHECK(decoded > CUTS / 3);
    printf("%-52s %zu of %d prefixes decode tolerantly\n", stream_names[kind], decoded, CUTS);
}

static void flip(const stream *s, unsigned flips, uint64_t seed) {
    uint8_t *copy = malloc(s->size);
    CHECK(copy);
    for (unsigned i = 0; i < flips; i++) {
        memcpy(copy, s->data, s->size);
        for (unsigned n = 1 + i % 3; n--;) { /* every second one in the headers */
            size_t range = i & 1 && s->size > 200 ? 200 : s->size;
            copy[test_random(&seed) % range] = (uint8_t)test_random(&seed);
        }
        j2k_image image;
        attempt(copy, s->size, i & 2, i >> 2 & 1, &image);
        image_free(&image);
    }
    free(copy);
}

/* One tile of several is damaged: the others are decoded all the same, and are exact. */
static void lose_a_tile(const stream *s, const j2k_image *whole) {
    uint8_t *copy = malloc(s->size);
    CHECK(copy);
    memcpy(copy, s->data, s->size);
    size_t last = 0;
    for (size_t i = 0; i + 12 < s->size; i++)
        if (marker_at(s, i, 0x90) && s->data[i + 3] == 10)
            last = i;
    memset(copy + last + 14, 0xFF, s->size - last - 16);
    j2k_image image;
    CHECK(attempt(copy, s->size, false, 0, &image) != J2K_OK);
    image_free(&image);
    CHECK(attempt(copy, s->size, true, 0, &image) == J2K_OK);
    CHECK(j2k_context_warning(contexts[0])[0]);
    const j2k_component *a = &whole->components[0], *b = &image.components[0];
    for (uint32_t y = 0; y < a->height; y++) /* the last tile begins at (40, 30) */
        for (uint32_t x = 0; x < a->width; x++)
            CHECK((x >= 40 && y >= 30) ||
                  ((uint32_t *)a->data)[y * a->width + x] == ((uint32_t *)b->data)[y * a->width + x]);
    CHECK(!same_image(&image, whole));
    image_free(&image);
    free(copy);
}

int main(int argc, char **argv) {
    unsigned flips = argc > 1 ? (unsigned)atoi(argv[1]) : getenv("J2K_SANITIZED") ? 300 : 2000;
    for (int i = 0; i < 2; i++) {
        contexts[i] = j2k_context_create(1, i ? J2K_CPU_ALL : 0);
        CHECK(contexts[i]);
        j2k_decode_options_init(&options[i]);
        options[i].tolerant = i;
    }
    for (int kind = 0; kind < NUM_STREAMS; kind++) {
        stream s = make_stream(contexts[0], (stream_kind)kind);
        j2k_image whole;
        j2k_status status = attempt(s.data, s.size, false, 0, &whole);
        if (status != J2K_OK)
            fprintf(stderr, "%s: %s\n", stream_names[kind], j2k_context_message(contexts[0]));
        CHECK(status == J2K_OK);
        cut_short((stream_kind)kind, &s, &whole);
        flip(&s, flips, 1 + (uint64_t)kind);
        if (kind == STREAM_SUBSAMPLED)
            lose_a_tile(&s, &whole);
        image_free(&whole);
        stream_free(&s);
    }
    printf("slowest: %.3f s\n", slowest);
    j2k_context_destroy(contexts[0]);
    j2k_context_destroy(contexts[1]);
    return CHECK_RESULT();
}
