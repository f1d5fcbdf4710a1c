/* Which samples are NaN or infinite: an image of its own in a box behind the codestream.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "floats.h"
#include "mask.h"

static const uint8_t uuid[16] = {0xec, 0x97, 0x85, 0xa3, 0xc3, 0x1d, 0x4b, 0x55,
                                 0xb5, 0x80, 0xe0, 0x1c, 0x02, 0x4b, 0x79, 0x0c};

enum { BOX_HEAD = 8, UUID_HEAD = BOX_HEAD + sizeof uuid };

static void store32(uint8_t *bytes, uint32_t value) {
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint64_t load_be(const uint8_t *bytes, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

static j2k_status failed(const j2k_context *context, j2k_status status, diagnosis *why) {
    return fail(why, status, "the mask of values that are not finite: %s",
                status == J2K_ERROR_MEMORY ? "out of memory" : j2k_context_message(context));
}

static layout mask_layout(const layout *l) {
    layout m = *l;
    m.type = J2K_UINT8;
    m.depth = MASK_BITS;
    m.is_signed = m.byte_swapped = false;
    m.sample_size = 1;
    return m;
}

/* Codes have no smooth parts that a wavelet could use, hence one resolution. */
static void set_options(const layout *l, j2k_encode_options *options) {
    j2k_encode_options_init(options);
    options->num_resolutions = 1;
    options->colour_transform = 0;
    if (l->tile_height < l->height) {
        options->tile_width = l->width;
        options->tile_height = l->tile_height;
    }
}

j2k_status mask_encode(j2k_context *context, const layout *l, const uint8_t *mask, uint8_t **box,
                       size_t *size, diagnosis *why) {
    const layout m = mask_layout(l);
    j2k_encode_options options;
    set_options(&m, &options);
    *box = NULL;
    j2k_status status = J2K_ERROR_MEMORY;
    j2k_component *components = calloc(m.num_components, sizeof *components);
    if (components) {
        j2k_image image;
        layout_set_image(&m, 0, 0, (void *)(uintptr_t)mask, components, &image); /* the engine only reads */
        size_t capacity =
            UUID_HEAD + j2k_encode_bound(&image, &options) + 64 * (size_t)(m.height / m.tile_height);
        *box = capacity < UINT32_MAX ? malloc(capacity) : NULL;
        if (*box)
            status = j2k_encode(context, &image, &options, *box + UUID_HEAD, capacity - UUID_HEAD, size);
    }
    free(components);
    if (status != J2K_OK) {
        free(*box);
        *box = NULL;
        return failed(context, status, why);
    }
    *size += UUID_HEAD;
    store32(*box, (uint32_t)*size);
    memcpy(*box + 4, "uuid", 4);
    memcpy(*box + BOX_HEAD, uuid, sizeof uuid);
    return J2K_OK;
}

/* The content of the box among those of a file (T.800 I.4); NULL when it is not there. */
static const uint8_t *find(const uint8_t *file, size_t size, size_t *content_size) {
    for (size_t at = 0; size - at >= BOX_HEAD;) {
        uint64_t length = load_be(file + at, 4), head = BOX_HEAD;
        if (length == 1 && size - at >= 16) {
            length = load_be(file + at + 8, 8);
            head = 16;
        }
        if (length < head || length > size - at)
            return NULL;
        if (length >= UUID_HEAD && memcmp(file + at + 4, "uuid", 4) == 0 &&
            memcmp(file + at + BOX_HEAD, uuid, sizeof uuid) == 0) {
            *content_size = (size_t)length - UUID_HEAD;
            return file + at + UUID_HEAD;
        }
        at += (size_t)length;
    }
    return NULL;
}

static bool matches(const j2k_header *header, const layout *l) {
    bool same = header->num_components == l->num_components;
    for (uint32_t c = 0; same && c < header->num_components; c++) {
        const j2k_component_info *info = &header->components[c];
        same = info->width == l->width && info->height == l->height && info->depth <= 8 && !info->is_signed;
    }
    return same;
}

static j2k_status decode_found(j2k_context *context, const uint8_t *data, size_t size, const layout *l,
                               uint8_t *mask, diagnosis *why) {
    j2k_decode_options options;
    j2k_decode_options_init(&options);
    options.max_pixels = layout_samples(l);
    options.max_memory = ((uint64_t)1 << 28) + 64 * layout_samples(l);
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    j2k_status status = j2k_read_header(context, data, size, &options, &header);
    if (status != J2K_OK)
        return failed(context, status, why);
    if (!matches(&header, l))
        return fail(why, J2K_ERROR_CORRUPT, "the mask of values that are not finite is of another size");
    layout m = mask_layout(l);
    j2k_component *components = calloc(m.num_components, sizeof *components);
    if (!components)
        return failed(context, J2K_ERROR_MEMORY, why);
    j2k_image image;
    layout_set_image(&m, header.x0, header.y0, mask, components, &image);
    for (uint32_t c = 0; c < m.num_components; c++)
        components[c].depth = header.components[c].depth;
    status = j2k_decode(context, data, size, &options, &image);
    free(components);
    return status == J2K_OK ? status : failed(context, status, why);
}

j2k_status mask_decode(j2k_context *context, const void *file, size_t size, const layout *l, uint8_t *mask,
                       diagnosis *why) {
    size_t content_size = 0;
    const uint8_t *content = find(file, size, &content_size);
    if (!content)
        return fail(why, J2K_ERROR_CORRUPT, "the mask of values that are not finite is missing");
    return decode_found(context, content, content_size, l, mask, why);
}
