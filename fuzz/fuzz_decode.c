/* Fuzz target: any bytes through the decoder, with any options.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

/* The last bytes of the input choose the options, so that files serve as seeds as they are. */
enum { CHOICES = 8 };

static const uint32_t second_component[] = {1};

static void choose_options(const uint8_t *choice, j2k_decode_options *options) {
    fuzz_limits(options);
    options->tolerant = choice[0] & 1;
    options->reduce = choice[0] >> 1 & 3;
    options->max_layers = choice[0] >> 3 & 3;
    if ((choice[1] & 0x18) == 0x18) {
        options->components = second_component;
        options->num_components = 1;
    }
}

/* A region anywhere in the image. */
static void choose_region(const uint8_t *choice, const j2k_header *header, j2k_decode_options *options) {
    uint32_t width = header->x1 - header->x0, height = header->y1 - header->y0;
    options->use_region = true;
    options->region_x0 = (uint32_t)((uint64_t)width * choice[2] / 256);
    options->region_y0 = (uint32_t)((uint64_t)height * choice[3] / 256);
    options->region_x1 =
        options->region_x0 + 1 + (uint32_t)((uint64_t)(width - options->region_x0 - 1) * choice[4] / 255);
    options->region_y1 =
        options->region_y0 + 1 + (uint32_t)((uint64_t)(height - options->region_y0 - 1) * choice[5] / 255);
}

/* Samples as narrow as they fit, interleaved or not, or in 32 bits. */
static void choose_types(uint8_t choice, j2k_image *image) {
    for (uint32_t c = 0; c < image->num_components && choice & 1; c++) {
        j2k_component *view = &image->components[c];
        bool is_signed = view->type == J2K_INT32;
        view->type = choice & 2 ? (is_signed ? J2K_INT8 : J2K_UINT8) : (is_signed ? J2K_INT16 : J2K_UINT16);
        view->byte_swapped = choice & 4;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < CHOICES)
        return 0;
    const uint8_t *choice = data + size - CHOICES;
    j2k_context *context = j2k_context_create(1, choice[1] & 1 ? J2K_CPU_ALL : 0);
    if (!context)
        return 0;
    j2k_decode_options options;
    choose_options(choice, &options);
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    if (choice[1] & 2 && j2k_read_header(context, data, size, NULL, &header) == J2K_OK)
        choose_region(choice, &header, &options);
    j2k_image image = {0};
    j2k_status status = j2k_read_header(context, data, size, &options, &header);
    if (status == J2K_OK && image_for(&header, &image)) {
        choose_types(choice[1] >> 5, &image);
        status = j2k_decode(context, data, size, &options, &image);
    }
    REQUIRE(status != J2K_ERROR_INTERNAL);
    REQUIRE(status == J2K_OK || j2k_context_message(context)[0]);
    image_free(&image);
    j2k_context_destroy(context);
    return 0;
}
