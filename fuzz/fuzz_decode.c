/* Fuzz target: any bytes through the decoder, strict or tolerant, whole, reduced or a region.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "j2k.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PIXELS = 1 << 20, MAX_MEMORY = 256 << 20 };

/* The last byte of the input chooses the options, so that files serve as seeds as they are. */
static void choose_options(uint8_t choice, j2k_decode_options *options) {
    j2k_decode_options_init(options);
    options->max_pixels = MAX_PIXELS;
    options->max_memory = MAX_MEMORY;
    options->tolerant = choice & 1;
    options->reduce = choice >> 1 & 3;
    options->max_layers = choice >> 3 & 3;
}

/* Ask for an odd region when the image is large enough for one. */
static void choose_region(const j2k_header *header, j2k_decode_options *options) {
    uint32_t width = header->x1 - header->x0, height = header->y1 - header->y0;
    if (width < 8 || height < 8)
        return;
    options->use_region = true;
    options->region_x0 = width / 3;
    options->region_y0 = height / 5;
    options->region_x1 = width / 3 + width / 4 + 1;
    options->region_y1 = height / 5 + height / 2 + 1;
}

static void decode(j2k_context *context, const uint8_t *data, size_t size,
                   const j2k_decode_options *options) {
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    if (j2k_read_header(context, data, size, options, &header) != J2K_OK)
        return;
    j2k_image image = {.num_components = header.num_components};
    image.components = calloc(header.num_components, sizeof *image.components);
    bool complete = image.components != NULL;
    for (uint32_t c = 0; complete && c < header.num_components; c++) {
        j2k_component *component = &image.components[c];
        component->width = header.components[c].width;
        component->height = header.components[c].height;
        component->type = header.components[c].is_signed ? J2K_INT32 : J2K_UINT32;
        component->sample_step = 4;
        component->row_stride = (ptrdiff_t)component->width * 4;
        component->data = malloc((size_t)component->width * component->height * 4 + 1);
        complete = component->data != NULL;
    }
    if (complete)
        (void)j2k_decode(context, data, size, options, &image);
    for (uint32_t c = 0; image.components && c < image.num_components; c++)
        free(image.components[c].data);
    free(image.components);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    uint8_t choice = data[size - 1];
    j2k_context *context = j2k_context_create(1, choice & 0x40 ? J2K_CPU_ALL : 0);
    if (!context)
        return 0;
    j2k_decode_options options;
    choose_options(choice, &options);
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    if (choice & 0x20 && j2k_read_header(context, data, size, &options, &header) == J2K_OK)
        choose_region(&header, &options);
    decode(context, data, size, &options);
    j2k_context_destroy(context);
    return 0;
}
