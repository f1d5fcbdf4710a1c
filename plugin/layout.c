/* From an array's dtype and shape to an image, and back.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

enum {
    MAX_INTERLEAVED =
        16, /* a last dimension up to this, and smaller than the two before it, counts as components */
    MAX_TILES = 65535 /* T.800 A.4.2, Isot */
};

bool machine_is_big_endian(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 0;
}

j2k_sample_type sample_type(uint32_t sample_size, bool is_signed) {
    if (sample_size == 1)
        return is_signed ? J2K_INT8 : J2K_UINT8;
    if (sample_size == 2)
        return is_signed ? J2K_INT16 : J2K_UINT16;
    return is_signed ? J2K_INT32 : J2K_UINT32;
}

/* Names that stand for a dtype's text where a program gives the name instead. */
static const char *text_of_name(const char *dtype) {
    static const char *const names[][2] = {{"bool", "|b1"},    {"int8", "|i1"},    {"uint8", "|u1"},
                                           {"int16", "=i2"},   {"uint16", "=u2"},  {"int32", "=i4"},
                                           {"uint32", "=u4"},  {"int64", "=i8"},   {"uint64", "=u8"},
                                           {"float16", "=f2"}, {"float32", "=f4"}, {"float64", "=f8"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(dtype, names[i][0]) == 0)
            return names[i][1];
    }
    return dtype;
}

j2k_status layout_set_dtype(layout *l, const char *dtype, uint32_t typesize, diagnosis *why) {
    snprintf(l->dtype, sizeof l->dtype, "%s", dtype);
    const char *text = text_of_name(dtype);
    char order = '=';
    if (*text == '<' || *text == '>' || *text == '|' || *text == '=')
        order = *text++;
    char kind = *text;
    char *end = NULL;
    unsigned long size = kind ? strtoul(text + 1, &end, 10) : 0;
    if (!kind || end == text + 1 || *end || size > 64)
        size = 0;
    bool any = (kind == 'u' && size == 1) || ((kind == 'S' || kind == 'V') && size == typesize);
    if (typesize && any) {
        kind = 'u';
        size = typesize;
    }
    bool known =
        (kind == 'b' && size == 1) || ((kind == 'u' || kind == 'i') && (size == 1 || size == 2 || size == 4));
    if (!known)
        return fail(
            why, J2K_ERROR_UNSUPPORTED,
            "dtype %s is not supported; supported are bool, int8, uint8, int16, uint16, int32 and uint32",
            l->dtype);
    if (typesize && size != typesize)
        return fail(why, J2K_ERROR_ARGUMENT, "dtype %s has %lu bytes, but the array's typesize is %lu",
                    l->dtype, size, (unsigned long)typesize);
    l->sample_size = (uint32_t)size;
    l->is_bool = kind == 'b';
    l->is_signed = kind == 'i';
    l->depth = (uint8_t)(8 * size); /* bool too: plugins that decode whole bytes read it */
    l->type = sample_type(l->sample_size, l->is_signed);
    l->byte_swapped =
        size > 1 && ((order == '>' && !machine_is_big_endian()) || (order == '<' && machine_is_big_endian()));
    return J2K_OK;
}

static j2k_status set_geometry(layout *l, int64_t planes, int64_t rows, int64_t columns, int64_t components,
                               diagnosis *why) {
    if (columns > UINT32_MAX || rows > UINT32_MAX || planes > UINT32_MAX / rows)
        return fail(why, J2K_ERROR_UNSUPPORTED, "a block of %lld x %lld x %lld elements is too large",
                    (long long)planes, (long long)rows, (long long)columns);
    int64_t planes_per_tile = (planes + MAX_TILES - 1) / MAX_TILES;
    l->width = (uint32_t)columns;
    l->height = (uint32_t)(planes * rows);
    l->tile_height = (uint32_t)(planes_per_tile * rows);
    l->num_components = (uint32_t)components;
    return J2K_OK;
}

j2k_status layout_set_shape(layout *l, int ndim, const int64_t *shape, diagnosis *why) {
    uint64_t total = l->sample_size;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 1)
            return fail(why, J2K_ERROR_ARGUMENT, "dimension %d of the block has length %lld", i,
                        (long long)shape[i]);
        if (total > UINT64_MAX / 4 / (uint64_t)shape[i])
            return fail(why, J2K_ERROR_UNSUPPORTED, "the block is too large");
        total *= (uint64_t)shape[i];
    }
    while (ndim > 0 && shape[0] == 1) {
        shape++;
        ndim--;
    }
    if (ndim < 2)
        return set_geometry(l, 1, 1, ndim ? shape[0] : 1, 1, why);
    int64_t components = 1;
    if (ndim > 2 && shape[ndim - 1] <= MAX_INTERLEAVED && shape[ndim - 1] < shape[ndim - 2] &&
        shape[ndim - 1] < shape[ndim - 3])
        components = shape[--ndim];
    int64_t planes = 1;
    for (int i = 0; i < ndim - 2; i++)
        planes *= shape[i];
    return set_geometry(l, planes, shape[ndim - 2], shape[ndim - 1], components, why);
}

static uint32_t load32(const uint8_t *bytes, bool swapped) {
    uint32_t v;
    memcpy(&v, bytes, sizeof v);
    return swapped ? v >> 24 | (v >> 8 & 0xFF00) | (v << 8 & 0xFF0000) | v << 24 : v;
}

void layout_fit_depth(layout *l, const void *data) {
    if (l->sample_size != 4)
        return;
    /* A negative number needs the bits of its complement, and both kinds one for the sign. */
    const uint8_t *bytes = data;
    uint64_t count = layout_size(l) / 4;
    uint32_t used = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t v = load32(bytes + 4 * i, l->byte_swapped);
        used |= l->is_signed && v >> 31 ? ~v : v;
    }
    uint8_t depth = l->is_signed;
    for (; used; used >>= 1)
        depth++;
    l->depth = depth > 8 ? depth : 8;
}

uint64_t layout_size(const layout *l) {
    return (uint64_t)l->width * l->height * l->num_components * l->sample_size;
}
