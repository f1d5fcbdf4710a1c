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

/* NumPy's names and texts of dtypes; those behind the first NUM_SUPPORTED are only known by name. */
static const char *const dtypes[][2] = {{"bool", "|b1"},    {"int8", "|i1"},    {"uint8", "|u1"},
                                        {"int16", "=i2"},   {"uint16", "=u2"},  {"int32", "=i4"},
                                        {"uint32", "=u4"},  {"float16", "=f2"}, {"float32", "=f4"},
                                        {"float64", "=f8"}, {"int64", "=i8"},   {"uint64", "=u8"}};
enum { NUM_SUPPORTED = 9, NUM_DTYPES = sizeof dtypes / sizeof dtypes[0] };

/* A program may give the name in place of the text. */
static const char *text_of_name(const char *dtype) {
    for (size_t i = 0; i < NUM_DTYPES; i++) {
        if (strcmp(dtype, dtypes[i][0]) == 0)
            return dtypes[i][1];
    }
    return dtype;
}

/* The name of a supported dtype, else NULL. */
static const char *known_name(char kind, unsigned long size) {
    for (size_t i = 0; i < NUM_SUPPORTED; i++) {
        if (dtypes[i][1][1] == kind && (unsigned long)(dtypes[i][1][2] - '0') == size)
            return dtypes[i][0];
    }
    return NULL;
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
    const char *name = known_name(kind, size);
    if (!name)
        return fail(
            why, J2K_ERROR_UNSUPPORTED,
            "dtype %s is not supported; supported are bool, int8, uint8, int16, uint16, int32, uint32, "
            "float16 and float32",
            l->dtype);
    snprintf(l->name, sizeof l->name, "%s", name);
    if (typesize && size != typesize)
        return fail(why, J2K_ERROR_ARGUMENT, "dtype %s has %lu bytes, but the array's typesize is %lu",
                    l->dtype, size, (unsigned long)typesize);
    l->sample_size = (uint32_t)size;
    l->is_bool = kind == 'b';
    l->is_float = kind == 'f';
    l->is_signed = kind == 'i';
    l->depth = (uint8_t)(8 * size); /* bool too: plugins that decode whole bytes read it */
    l->type = sample_type(l->sample_size, l->is_signed);
    l->byte_swapped =
        size > 1 && ((order == '>' && !machine_is_big_endian()) || (order == '<' && machine_is_big_endian()));
    return J2K_OK;
}

bool layout_axes_good(const char *axes) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    size_t length = strlen(axes);
    if (length == 0)
        return true;
    for (size_t i = 0; i < length; i++) {
        if (!strchr(letters, axes[i]) || strchr(axes + i + 1, axes[i]))
            return false;
    }
    if (axes[length - 1] == 'c')
        length--;
    for (size_t i = 0; i + 2 < length; i++) {
        if (strchr("xyc", axes[i]))
            return false;
    }
    if (length == 1)
        return axes[0] == 'x';
    return length >= 2 && axes[length - 2] == 'y' && axes[length - 1] == 'x';
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

/* Dimensions of the image at the end of the shape: spatial ones, and one of components or none. */
typedef struct image_dimensions {
    int spatial, components;
} image_dimensions;

static image_dimensions guess_dimensions(int ndim, const int64_t *shape) {
    bool few = ndim > 2 && shape[ndim - 1] <= MAX_INTERLEAVED && shape[ndim - 1] < shape[ndim - 2] &&
               shape[ndim - 1] < shape[ndim - 3];
    int left = ndim - few;
    return (image_dimensions){left < 2 ? left : 2, few};
}

static image_dimensions named_dimensions(const char *axes) {
    return (image_dimensions){strchr(axes, 'y') ? 2 : 1, strchr(axes, 'c') != NULL};
}

static j2k_status check_lengths(const layout *l, int ndim, const int64_t *shape, diagnosis *why) {
    uint64_t total = l->sample_size;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 1)
            return fail(why, J2K_ERROR_ARGUMENT, "dimension %d of the block has length %lld", i,
                        (long long)shape[i]);
        if (total > UINT64_MAX / 4 / (uint64_t)shape[i])
            return fail(why, J2K_ERROR_UNSUPPORTED, "the block is too large");
        total *= (uint64_t)shape[i];
    }
    return J2K_OK;
}

j2k_status layout_set_shape(layout *l, int ndim, const int64_t *shape, const char *axes, diagnosis *why) {
    j2k_status status = check_lengths(l, ndim, shape, why);
    if (status != J2K_OK)
        return status;
    if (*axes && strlen(axes) != (size_t)ndim)
        return fail(why, J2K_ERROR_ARGUMENT, "axes: \"%s\" names %d dimensions, but the array has %d", axes,
                    (int)strlen(axes), ndim);
    while (!*axes && ndim > 0 && shape[0] == 1) {
        shape++;
        ndim--;
    }
    image_dimensions d = *axes ? named_dimensions(axes) : guess_dimensions(ndim, shape);
    int64_t components = d.components ? shape[--ndim] : 1;
    int64_t columns = d.spatial > 0 ? shape[--ndim] : 1;
    int64_t rows = d.spatial > 1 ? shape[--ndim] : 1;
    int64_t planes = 1;
    for (int i = 0; i < ndim; i++)
        planes *= shape[i];
    if (components > J2K_MAX_COMPONENTS)
        return fail(why, J2K_ERROR_UNSUPPORTED, "axes: %lld components; allowed: 1 to %d",
                    (long long)components, (int)J2K_MAX_COMPONENTS);
    return set_geometry(l, planes, rows, columns, components, why);
}

static uint32_t load32(const uint8_t *bytes, bool swapped) {
    uint32_t v;
    memcpy(&v, bytes, sizeof v);
    return swapped ? v >> 24 | (v >> 8 & 0xFF00) | (v << 8 & 0xFF0000) | v << 24 : v;
}

static uint64_t load(const uint8_t *bytes, uint32_t size, bool swapped) {
    if (size == 1)
        return *bytes;
    if (size == 2) {
        uint16_t v;
        memcpy(&v, bytes, sizeof v);
        return swapped ? (uint16_t)(v >> 8 | v << 8) : v;
    }
    return load32(bytes, swapped);
}

/* A negative number needs the bits of its complement, and both kinds one for the sign. */
static uint8_t bits_needed(const layout *l, const void *data) {
    const uint8_t *bytes = data;
    uint64_t count = layout_samples(l), used = 0;
    const uint64_t sign = (uint64_t)1 << (8 * l->sample_size - 1), all = 2 * sign - 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t v = load(bytes + i * l->sample_size, l->sample_size, l->byte_swapped);
        used |= l->is_signed && (v & sign) ? ~v & all : v;
    }
    uint8_t depth = l->is_signed;
    for (; used; used >>= 1)
        depth++;
    return depth;
}

j2k_status layout_check_bits(const layout *l, int64_t significant_bits, diagnosis *why) {
    unsigned most = l->is_bool || l->is_float ? 0 : 8 * (unsigned)l->sample_size;
    if (significant_bits > most)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "significant_bits: %lld is not allowed for dtype %s; allowed: 0 to %u",
                    (long long)significant_bits, l->dtype, most);
    return J2K_OK;
}

j2k_status layout_set_depth(layout *l, int64_t significant_bits, const void *data, diagnosis *why) {
    j2k_status status = layout_check_bits(l, significant_bits, why);
    if (status != J2K_OK)
        return status;
    if (!significant_bits && l->sample_size < 4)
        return J2K_OK;
    uint8_t needed = bits_needed(l, data);
    if (significant_bits && needed > significant_bits)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "significant_bits: %lld is not enough for the data, which need %u",
                    (long long)significant_bits, needed);
    l->depth = significant_bits ? (uint8_t)significant_bits : needed > 8 ? needed : 8;
    return J2K_OK;
}

void layout_set_image(const layout *l, uint32_t x0, uint32_t y0, void *data, j2k_component *components,
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
    image->x0 = x0;
    image->y0 = y0;
    image->x1 = x0 + l->width;
    image->y1 = y0 + l->height;
    image->num_components = l->num_components;
    image->components = components;
    image->colour_space = J2K_COLOUR_UNKNOWN;
}

uint64_t layout_samples(const layout *l) {
    return (uint64_t)l->width * l->height * l->num_components;
}

uint64_t layout_size(const layout *l) {
    return layout_samples(l) * l->sample_size;
}
