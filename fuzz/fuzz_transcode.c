/* Fuzz target: any bytes through the transcoder, with any options; what both decode is the same.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

/* The last bytes of the input choose the options, so that files serve as seeds as they are. */
enum { CHOICES = 8, CAPACITY = 1 << 20 };

static int maybe(unsigned choice, unsigned values) {
    return (int)(choice % (values + 1)) - 1;
}

static void choose_options(const uint8_t *choice, j2k_transcode_options *o) {
    j2k_transcode_options_init(o);
    o->max_pixels = FUZZ_PIXELS;
    o->max_memory = FUZZ_MEMORY;
    o->ht = maybe(choice[0], 2);
    o->codeblock_style = choice[1] & 1 ? (choice[1] >> 1 & 0x37) : -1;
    o->progression = maybe(choice[2], 5);
    o->format = maybe(choice[2] / 6, 3);
    o->sop = maybe(choice[3], 2);
    o->eph = maybe(choice[3] / 3, 2);
    o->plt = maybe(choice[3] / 9, 2);
    o->tlm = maybe(choice[3] / 27, 2);
    o->merge_layers = choice[4] & 1;
    o->tile_parts = "\0RLC"[choice[4] >> 1 & 3];
    o->tolerant = choice[4] >> 3 & 1;
}

static bool same_image(const j2k_image *a, const j2k_image *b) {
    bool same = a->num_components == b->num_components;
    for (uint32_t c = 0; c < a->num_components && same; c++) {
        const j2k_component *x = &a->components[c], *y = &b->components[c];
        same = x->width == y->width && x->height == y->height &&
               memcmp(x->data, y->data, (size_t)x->width * x->height * 4) == 0;
    }
    return same;
}

static void check_samples(j2k_context *context, const uint8_t *data, size_t size, const uint8_t *out,
                          size_t out_size) {
    j2k_decode_options options;
    fuzz_limits(&options);
    j2k_image before, after = {0};
    if (decode_any(context, data, size, &options, &before) == J2K_OK) {
        REQUIRE(decode_any(context, out, out_size, &options, &after) == J2K_OK);
        REQUIRE(same_image(&before, &after));
    }
    image_free(&before);
    image_free(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t out[CAPACITY];
    if (size < CHOICES)
        return 0;
    const uint8_t *choice = data + size - CHOICES;
    j2k_context *context = j2k_context_create(1, choice[5] & 1 ? J2K_CPU_ALL : 0);
    if (!context)
        return 0;
    j2k_transcode_options options;
    choose_options(choice, &options);
    size_t out_size = 0;
    j2k_status status = j2k_transcode(context, data, size, &options, out, sizeof out, &out_size);
    REQUIRE(status != J2K_ERROR_INTERNAL);
    REQUIRE(status == J2K_OK || j2k_context_message(context)[0]);
    if (status == J2K_OK && !options.tolerant)
        check_samples(context, data, size, out, out_size);
    j2k_context_destroy(context);
    return 0;
}
