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
    bool is_float;
    bool byte_swapped;
    uint32_t sample_size; /* bytes */
    uint32_t width;
    uint32_t height;      /* rows of all planes together */
    uint32_t tile_height; /* rows of one plane, or of several when there are more planes than tiles may be */
    uint32_t num_components;
    char dtype[40]; /* for messages */
    char name[16];  /* NumPy's name of the dtype, without the byte order */
} layout;

/* Set type, depth, sign, byte order and sample_size from NumPy's dtype text. typesize: bytes an element, or 0
 * to take it from the dtype. When a C program gives no dtype, C-Blosc2 stores "|u1" or "|S2" for elements of
 * two bytes, and HDF5's Blosc2 filter always stores "|V2": with a typesize all of these mean unsigned
 * integers of that size. */
j2k_status layout_set_dtype(layout *l, const char *dtype, uint32_t typesize, diagnosis *why);

enum { MAX_AXES = 16 };

/* Whether text says what dimensions are: different letters, the last of them yx or yxc, or x or xc alone; ""
 * is good. */
bool layout_axes_good(const char *axes);

/* Set the geometry from the shape. axes: one letter a dimension, or "": then leading dimensions of 1 are
 * dropped, and a last one of at most 16 that is smaller than the two before it counts components. Dimensions
 * in front of the image's are planes, one below the other. */
j2k_status layout_set_shape(layout *l, int ndim, const int64_t *shape, const char *axes, diagnosis *why);

/* Set the depth of integers: the significant bits that the program declares, which are an ARGUMENT error when
 * the data need more; when it declares none (0), as many as 32-bit data need, since deep samples cost time.
 */
j2k_status layout_set_depth(layout *l, int64_t significant_bits, const void *data, diagnosis *why);

/* Whether so many significant bits can be declared for the dtype. */
j2k_status layout_check_bits(const layout *l, int64_t significant_bits, diagnosis *why);

/* Samples, and bytes, of the whole array. */
uint64_t layout_samples(const layout *l);
uint64_t layout_size(const layout *l);

/* Describe contiguous memory of the layout as an image whose upper left corner is (x0, y0). */
void layout_set_image(const layout *l, uint32_t x0, uint32_t y0, void *data, j2k_component *components,
                      j2k_image *image);

/* Whether the samples of one element are stored most significant byte first on this machine. */
bool machine_is_big_endian(void);

/* Type for samples of so many bytes (1, 2 or 4). */
j2k_sample_type sample_type(uint32_t sample_size, bool is_signed);

#endif
