/* From an array's dtype and shape to an image, and back.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "j2k.h"
#include "plugin.h"

/* An array as an image: its raster order, components interleaved, is the array's memory order. */
typedef struct layout {
    j2k_sample_type type;
    uint8_t depth;
    bool is_signed;
    bool is_bool;
    bool byte_swapped;
    uint32_t sample_size; /* bytes */
    uint32_t width;
    uint32_t height;      /* rows of all planes together */
    uint32_t tile_height; /* rows of one plane, or of several when there are more planes than tiles may be */
    uint32_t num_components;
    char dtype[40]; /* for messages */
} layout;

/* Set type, depth, sign, byte order and sample_size from NumPy's dtype text. typesize: bytes an element, or 0
 * to take it from the dtype. When a C program gives no dtype, C-Blosc2 stores "|u1" or "|S2" for elements of
 * two bytes, and HDF5's Blosc2 filter always stores "|V2": with a typesize all of these mean unsigned
 * integers of that size. */
j2k_status layout_set_dtype(layout *l, const char *dtype, uint32_t typesize, diagnosis *why);

/* Set the geometry from the shape. */
j2k_status layout_set_shape(layout *l, int ndim, const int64_t *shape, diagnosis *why);

/* Of 32-bit samples: lower the depth to the bits that these need, since the engine's encoder takes at most
 * ENCODER_DEPTH. */
enum { ENCODER_DEPTH = 26 };
void layout_fit_depth(layout *l, const void *data);

/* Bytes of the whole array. */
uint64_t layout_size(const layout *l);

/* Whether the samples of one element are stored most significant byte first on this machine. */
bool machine_is_big_endian(void);

/* Type for samples of so many bytes (1, 2 or 4). */
j2k_sample_type sample_type(uint32_t sample_size, bool is_signed);

#endif
