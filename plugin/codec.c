/* One array to one stream and back, as both Blosc2's callbacks and the array functions need it.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "state.h"

/* In the COM segment of a stream whose array is stored in the other byte order than the machine's. */
static const char order_big[] = "blosc2-grok: byteorder=big";
static const char order_little[] = "blosc2-grok: byteorder=little";

/* Components on the stack for the images that blocks usually are. */
enum { FEW_COMPONENTS = 4 };

static void set_image(const layout *l, const params *p, void *data, j2k_component *components,
                      j2k_image *image) {
    memset(components, 0, l->num_components * sizeof *components);
    for (uint32_t c = 0; c < l->num_components; c++) {
        j2k_component *component = &components[c];
        component->data = (char *)data + (size_t)c * l->sample_size;
        component->sample_step = (ptrdiff_t)l->sample_size * l->num_components;
        component->row_stride = component->sample_step * l->width;
        component->type = l->type;
        component->byte_swapped = l->byte_swapped;
        component->is_signed = l->is_signed;
        component->depth = l->depth;
        component->dx = component->dy = 1;
        component->width = l->width;
        component->height = l->height;
    }
    image->x0 = (uint32_t)p->offset[0];
    image->y0 = (uint32_t)p->offset[1];
    image->x1 = image->x0 + l->width;
    image->y1 = image->y0 + l->height;
    image->num_components = l->num_components;
    image->components = components;
    image->colour_space = J2K_COLOUR_UNKNOWN;
}

static j2k_status check_place(const layout *l, const params *p, diagnosis *why) {
    if ((uint64_t)p->offset[0] + l->width > UINT32_MAX || (uint64_t)p->offset[1] + l->height > UINT32_MAX)
        return fail(why, J2K_ERROR_ARGUMENT, "offset: %lld, %lld is too large for a block of %u x %u",
                    (long long)p->offset[0], (long long)p->offset[1], (unsigned)l->width,
                    (unsigned)l->height);
    return J2K_OK;
}

static const char *byte_order_comment(void) {
    return machine_is_big_endian() ? order_little : order_big;
}

static j2k_status engine_failed(const j2k_context *context, j2k_status status, diagnosis *why) {
    const char *message = j2k_context_message(context);
    return fail(why, status, "%s", message[0] ? message : j2k_status_string(status));
}

static j2k_status out_of_memory(diagnosis *why) {
    return fail(why, J2K_ERROR_MEMORY, "out of memory");
}

j2k_status codec_encode(const layout *l, const params *p, unsigned num_threads, bool mark_byte_order,
                        const void *data, void *out, size_t capacity, size_t *size, diagnosis *why) {
    if (l->depth > ENCODER_DEPTH)
        return fail(why, J2K_ERROR_UNSUPPORTED, "dtype %s: the values need %u bits; at most %d are supported",
                    l->dtype, l->depth, ENCODER_DEPTH);
    j2k_encode_options options;
    j2k_status status = params_to_options(p, l, &options, why);
    if (status == J2K_OK)
        status = check_place(l, p, why);
    if (status != J2K_OK)
        return status;
    if (mark_byte_order && l->byte_swapped)
        options.comment = byte_order_comment();
    j2k_component few[FEW_COMPONENTS];
    j2k_component *components = few;
    if (l->num_components > FEW_COMPONENTS)
        components = malloc(l->num_components * sizeof *components);
    j2k_context *context = components ? state_take_context(num_threads) : NULL;
    if (context) {
        j2k_image image;
        set_image(l, p, (void *)(uintptr_t)data, components, &image); /* the engine only reads */
        status = j2k_encode(context, &image, &options, out, capacity, size);
        if (status != J2K_OK) {
            engine_failed(context, status, why);
            char what[100];
            snprintf(what, sizeof what, "encoding %u x %u x %u samples of dtype %s", (unsigned)l->height,
                     (unsigned)l->width, (unsigned)l->num_components, l->dtype);
            fail_in(why, status, what);
        }
        state_give_context(context, num_threads);
    } else {
        status = out_of_memory(why);
    }
    if (components != few)
        free(components);
    return status;
}

static bool has_comment(const j2k_header *header, const char *text) {
    return header->comment && header->comment_size == strlen(text) &&
           memcmp(header->comment, text, strlen(text)) == 0;
}

/* The layout that the stream has in a buffer of out_size bytes. */
static j2k_status layout_of_stream(const j2k_header *header, size_t out_size, layout *l, diagnosis *why) {
    const j2k_component_info *first = &header->components[0];
    memset(l, 0, sizeof *l);
    for (uint32_t c = 1; c < header->num_components; c++) {
        const j2k_component_info *info = &header->components[c];
        if (info->width != first->width || info->height != first->height)
            return fail(why, J2K_ERROR_UNSUPPORTED, "components of different size do not make a block");
    }
    /* No product below passes 2^64: samples are at most out_size when it matters, components at most 16384.
     */
    uint64_t samples = (uint64_t)first->width * first->height;
    uint64_t all = samples <= out_size ? samples * header->num_components : 0;
    if (all == 0 || (out_size != all && out_size != 2 * all && out_size != 4 * all))
        return fail(why, J2K_ERROR_CORRUPT,
                    "an image of %u x %u x %u samples does not make a block of %llu bytes",
                    (unsigned)first->height, (unsigned)first->width, (unsigned)header->num_components,
                    (unsigned long long)out_size);
    l->sample_size = (uint32_t)(out_size / all);
    l->width = first->width;
    l->height = first->height;
    l->num_components = header->num_components;
    bool marked = has_comment(header, order_big) || has_comment(header, order_little);
    l->byte_swapped = marked && has_comment(header, byte_order_comment());
    return J2K_OK;
}

/* Give each component its own depth and sign. */
static j2k_status set_types(const j2k_header *header, const layout *l, j2k_component *components,
                            diagnosis *why) {
    for (uint32_t c = 0; c < header->num_components; c++) {
        const j2k_component_info *info = &header->components[c];
        if (info->depth > 8 * l->sample_size)
            return fail(why, J2K_ERROR_CORRUPT, "samples of %u bits in a block of %u-bit elements",
                        info->depth, 8 * (unsigned)l->sample_size);
        components[c].type = sample_type(l->sample_size, info->is_signed);
        components[c].is_signed = info->is_signed;
        components[c].depth = info->depth;
        components[c].dx = info->dx;
        components[c].dy = info->dy;
    }
    return J2K_OK;
}

static j2k_status decode_with(j2k_context *context, const void *data, size_t size, void *out, size_t out_size,
                              diagnosis *why) {
    j2k_decode_options options;
    j2k_decode_options_init(&options);
    options.max_pixels = out_size;
    options.max_memory = ((uint64_t)1 << 28) + (uint64_t)out_size * 64;
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    j2k_status status = j2k_read_header(context, data, size, &options, &header);
    if (status != J2K_OK)
        return engine_failed(context, status, why);
    layout l;
    status = layout_of_stream(&header, out_size, &l, why);
    if (status != J2K_OK)
        return status;
    j2k_component *components = malloc(l.num_components * sizeof *components);
    if (!components)
        return out_of_memory(why);
    params place;
    memset(&place, 0, sizeof place);
    j2k_image image;
    set_image(&l, &place, out, components, &image);
    image.x0 = header.x0;
    image.y0 = header.y0;
    image.x1 = header.x1;
    image.y1 = header.y1;
    image.colour_space = header.colour_space;
    status = set_types(&header, &l, components, why);
    if (status == J2K_OK) {
        status = j2k_decode(context, data, size, &options, &image);
        if (status != J2K_OK)
            engine_failed(context, status, why);
    }
    free(components);
    return status;
}

j2k_status codec_decode(const void *data, size_t size, unsigned num_threads, void *out, size_t out_size,
                        diagnosis *why) {
    j2k_context *context = state_take_context(num_threads);
    if (!context)
        return out_of_memory(why);
    j2k_status status = decode_with(context, data, size, out, out_size, why);
    state_give_context(context, num_threads);
    return status == J2K_OK ? status : fail_in(why, status, "decoding a block");
}
