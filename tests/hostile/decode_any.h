/* Any bytes through the decoder, as a careful program would do it.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_DECODE_ANY_H
#define TEST_DECODE_ANY_H

#include <stdlib.h>
#include <string.h>

#include "j2k.h"

/* Room for all components, in 32 bits each, that is touched only where it is written. False when memory runs
 * out. */
static inline bool image_for(const j2k_header *header, j2k_image *image) {
    memset(image, 0, sizeof *image);
    image->components = calloc(header->num_components, sizeof *image->components);
    image->num_components = image->components ? header->num_components : 0;
    for (uint32_t c = 0; c < image->num_components; c++) {
        j2k_component *view = &image->components[c];
        const j2k_component_info *info = &header->components[c];
        if (!info->wanted)
            continue;
        *view = (j2k_component){.width = info->width, .height = info->height, .sample_step = 4};
        view->type = info->is_signed ? J2K_INT32 : J2K_UINT32;
        view->row_stride = (ptrdiff_t)info->width * 4;
        size_t samples = (size_t)info->width * info->height;
        view->data = samples < SIZE_MAX / 8 ? calloc(samples + 1, 4) : NULL;
        if (!view->data)
            return false;
    }
    return image->components != NULL;
}

static inline void image_free(j2k_image *image) {
    for (uint32_t c = 0; c < image->num_components; c++)
        free(image->components[c].data);
    free(image->components);
    memset(image, 0, sizeof *image);
}

/* Header and image. *image is freed by the caller, also after errors. */
static inline j2k_status decode_any(j2k_context *context, const void *data, size_t size,
                                    const j2k_decode_options *options, j2k_image *image) {
    j2k_header header;
    memset(&header, 0, sizeof header);
    memset(image, 0, sizeof *image);
    header.struct_size = sizeof header;
    j2k_status status = j2k_read_header(context, data, size, options, &header);
    if (status == J2K_OK && !image_for(&header, image))
        status = J2K_ERROR_MEMORY;
    return status == J2K_OK ? j2k_decode(context, data, size, options, image) : status;
}

#endif
