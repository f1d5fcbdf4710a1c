/* The JP2 / JPH file format (T.800 annex I, T.814 annex): boxes around the codestream.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_JP2_H
#define J2K_JP2_H

#include "codestream.h"

typedef struct palette {
    uint16_t num_entries; /* 1 to 1024 */
    uint8_t num_columns;
    const uint8_t *depths;  /* Bi fields, num_columns */
    const uint8_t *entries; /* raw box contents */
} palette;

typedef struct component_mapping { /* cmap */
    uint16_t component;
    uint8_t type; /* 0 direct, 1 through the palette */
    uint8_t column;
} component_mapping;

typedef struct channel_definition { /* cdef */
    uint16_t channel, type, association;
} channel_definition;

/* Any box, as found. */
typedef struct jp2_box {
    uint32_t type;       /* four characters, the first one on top */
    bool in_header;      /* inside jp2h, else on the file's top level */
    size_t offset, size; /* of the contents, from the beginning of the data */
} jp2_box;

#define JP2_BOX_TYPE(a, b, c, d)                                                                             \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

typedef struct jp2_file {
    j2k_format format; /* J2K_FORMAT_CODESTREAM when the data begin with SOC */
    byte_span codestream;
    uint32_t width, height; /* ihdr */
    uint16_t num_components;
    uint8_t depth_code;            /* BPC: 255 when bpcc says it per component */
    const uint8_t *bpcc;           /* num_components bytes, or NULL */
    j2k_colour_space colour_space; /* of the first colr box understood */
    byte_span icc_profile;
    bool has_palette;
    palette pal;
    uint32_t num_mappings;
    component_mapping *mappings;
    uint32_t num_channels;
    channel_definition *channels;
    uint32_t num_boxes; /* all boxes in file order, those that are not understood (xml, uuid ...) included */
    jp2_box *boxes;
} jp2_file;

/* Find the codestream and read the boxes that matter. A jp2c box of length 0, or that claims more than there
 * is (with a warning), reaches to the end of the data. In tolerant mode damaged optional boxes are warned
 * about and passed over. Boxes behind the codestream are listed; damage there is only warned about. Errors
 * name box and offset. */
j2k_status j2k_jp2_read(const uint8_t *data, size_t size, bool tolerant, arena *memory, jp2_file *file,
                        diagnostics *diag);

/* Compare the boxes with the codestream's SIZ: size and number of components of ihdr, palette mappings and
 * channel definitions that lead beyond the components there are. Strict: CORRUPT; tolerant: a warning, and
 * palette and channels are dropped from *file. Where only the size differs, SIZ counts and it is a warning.
 */
j2k_status j2k_jp2_check(jp2_file *file, const image_siz *siz, bool tolerant, diagnostics *diag);

/* Write signature, ftyp (brand 'jp2 ' or 'jph '), jp2h (ihdr, bpcc if depths or signs differ, an enumerated
 * colr, and cdef where there are more components than colours: the extra ones are "unspecified"), and the
 * jp2c header; returns the offset of the jp2c box. Colour spaces that the components cannot be (sRGB of two
 * components) and those without an enumerated value become sRGB for 3 or 4 components, else grey.
 * j2k_jp2_end patches the box's length when the codestream has been written. */
size_t j2k_jp2_begin(byte_sink *sink, const codestream *cs, j2k_format format, j2k_colour_space colour_space);
void j2k_jp2_end(byte_sink *sink, size_t jp2c_offset);

#endif
