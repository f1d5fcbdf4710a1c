/* Reading and writing of the boxes around a codestream.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "jp2.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "markers.h"

enum {
    BOX_SIGNATURE = JP2_BOX_TYPE('j', 'P', ' ', ' '),
    BOX_FTYP = JP2_BOX_TYPE('f', 't', 'y', 'p'),
    BOX_JP2H = JP2_BOX_TYPE('j', 'p', '2', 'h'),
    BOX_IHDR = JP2_BOX_TYPE('i', 'h', 'd', 'r'),
    BOX_BPCC = JP2_BOX_TYPE('b', 'p', 'c', 'c'),
    BOX_COLR = JP2_BOX_TYPE('c', 'o', 'l', 'r'),
    BOX_PCLR = JP2_BOX_TYPE('p', 'c', 'l', 'r'),
    BOX_CMAP = JP2_BOX_TYPE('c', 'm', 'a', 'p'),
    BOX_CDEF = JP2_BOX_TYPE('c', 'd', 'e', 'f'),
    BOX_JP2C = JP2_BOX_TYPE('j', 'p', '2', 'c'),
    BRAND_JP2 = JP2_BOX_TYPE('j', 'p', '2', ' '),
    BRAND_JPH = JP2_BOX_TYPE('j', 'p', 'h', ' ')
};

/* The first box of every file (I.5.1): length 12, "jP  ", and CR LF 87 LF to detect damage by transfer. */
static const uint8_t SIGNATURE[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', 0x0D, 0x0A, 0x87, 0x0A};

typedef struct box {
    uint32_t type;
    size_t offset; /* of the box */
    const uint8_t *data;
    size_t size;
    size_t next;
    bool cut; /* it claims more than there is */
} box;

typedef struct jp2_reader {
    const uint8_t *data;
    size_t size;
    bool tolerant;
    arena *memory;
    jp2_file *file;
    diagnostics *diag;
    uint32_t boxes_capacity;
    bool has_ftyp, has_jp2h, has_ihdr, has_colr, has_codestream;
    bool colour_known; /* a colr box that is understood has been read */
} jp2_reader;

static j2k_status box_fail(const jp2_reader *r, const box *b, j2k_status status, const char *format, ...)
    J2K_PRINTF(4, 5);

static j2k_status box_fail(const jp2_reader *r, const box *b, j2k_status status, const char *format, ...) {
    char text[200], name[5];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (unsigned i = 0; i < 4; i++) {
        unsigned c = b->type >> (24 - 8 * i) & 0xFF;
        name[i] = c < 0x20 || c > 0x7E ? '?' : (char)c;
    }
    name[4] = 0;
    return j2k_fail(r->diag, status, "'%s' box at byte %zu: %s", name, b->offset, text);
}

/* In tolerant mode turn the error just made into a warning. */
static j2k_status forgive(jp2_reader *r, j2k_status status) {
    if (status == J2K_OK || !r->tolerant || status == J2K_ERROR_MEMORY)
        return status;
    j2k_warn(r->diag, "%s", r->diag->message);
    r->diag->message[0] = 0;
    return J2K_OK;
}

/* The box at `offset`; its length may be 0 (to the end) or 1 (64 bits follow the type), see I.4. */
static j2k_status box_open(const jp2_reader *r, size_t offset, size_t end, box *b) {
    memset(b, 0, sizeof *b);
    b->offset = offset;
    if (end - offset < 8)
        return j2k_fail(r->diag, J2K_ERROR_TRUNCATED, "byte %zu: a box header is cut short", offset);
    const uint8_t *p = r->data + offset;
    uint64_t length = load_u32(p), head = 8;
    b->type = load_u32(p + 4);
    if (length == 1) {
        head = 16;
        if (end - offset < 16)
            return box_fail(r, b, J2K_ERROR_TRUNCATED, "the header is cut short");
        length = (uint64_t)load_u32(p + 8) << 32 | load_u32(p + 12);
    } else if (length == 0) {
        length = end - offset;
    }
    if (length < head)
        return box_fail(r, b, J2K_ERROR_CORRUPT, "length %llu is impossible", (unsigned long long)length);
    if (length > end - offset) {
        b->cut = true;
        length = end - offset;
    }
    b->data = p + head;
    b->size = (size_t)(length - head);
    b->next = offset + (size_t)length;
    return J2K_OK;
}

static j2k_status box_record(jp2_reader *r, const box *b, bool in_header) {
    jp2_file *file = r->file;
    if (file->num_boxes == r->boxes_capacity) {
        RETURN_IF(r->boxes_capacity > UINT32_MAX / 2, J2K_ERROR_MEMORY);
        uint32_t capacity = r->boxes_capacity ? 2 * r->boxes_capacity : 16;
        jp2_box *boxes = ARENA_ALLOC(r->memory, jp2_box, capacity);
        RETURN_IF(!boxes, J2K_ERROR_MEMORY);
        if (file->num_boxes)
            memcpy(boxes, file->boxes, file->num_boxes * sizeof *boxes);
        file->boxes = boxes;
        r->boxes_capacity = capacity;
    }
    file->boxes[file->num_boxes++] = (jp2_box){b->type, in_header, (size_t)(b->data - r->data), b->size};
    return J2K_OK;
}

/* ---- the boxes inside jp2h ---- */

static j2k_status wrong_size(const jp2_reader *r, const box *b) {
    return box_fail(r, b, J2K_ERROR_CORRUPT, "%zu bytes are a wrong size", b->size);
}

/* I.5.3.1 */
static j2k_status read_ihdr(jp2_reader *r, const box *b) {
    jp2_file *file = r->file;
    if (b->size != 14)
        return wrong_size(r, b);
    file->height = load_u32(b->data);
    file->width = load_u32(b->data + 4);
    file->num_components = (uint16_t)load_u16(b->data + 8);
    file->depth_code = b->data[10];
    if (!file->height || !file->width || !file->num_components || file->num_components > J2K_MAX_COMPONENTS)
        return box_fail(r, b, J2K_ERROR_CORRUPT, "%lu x %lu, %u components", (unsigned long)file->width,
                        (unsigned long)file->height, (unsigned)file->num_components);
    if (b->data[11] != 7)
        j2k_warn(r->diag, "'ihdr' box at byte %zu: compression type %u is not 7", b->offset,
                 (unsigned)b->data[11]);
    r->has_ihdr = true;
    return J2K_OK;
}

/* I.5.3.2 */
static j2k_status read_bpcc(jp2_reader *r, const box *b) {
    if (b->size != r->file->num_components)
        return wrong_size(r, b);
    r->file->bpcc = b->data;
    return J2K_OK;
}

/* I.5.3.3. Of several boxes the first that can be made use of counts; what is no method of Part 1 is passed
 * over. */
static j2k_status read_colr(jp2_reader *r, const box *b) {
    jp2_file *file = r->file;
    if (b->size < 3)
        return wrong_size(r, b);
    r->has_colr = true;
    if (r->colour_known)
        return J2K_OK;
    switch (b->data[0]) {
    case 1: {
        if (b->size < 7)
            return wrong_size(r, b);
        uint32_t value = load_u32(b->data + 3);
        r->colour_known = value == (uint32_t)J2K_COLOUR_SRGB || value == (uint32_t)J2K_COLOUR_GREY ||
                          value == (uint32_t)J2K_COLOUR_SYCC;
        file->colour_space = r->colour_known ? (j2k_colour_space)value : J2K_COLOUR_OTHER;
        break;
    }
    case 2: /* restricted ICC profile */
    case 3: /* any ICC profile (T.801) */
        r->colour_known = true;
        file->colour_space = J2K_COLOUR_ICC;
        file->icc_profile = (byte_span){b->data + 3, b->size - 3};
        break;
    default:
        file->colour_space = J2K_COLOUR_OTHER;
        break;
    }
    return J2K_OK;
}

/* I.5.3.4 */
static j2k_status read_pclr(jp2_reader *r, const box *b) {
    palette *pal = &r->file->pal;
    if (b->size < 3)
        return wrong_size(r, b);
    unsigned entries = load_u16(b->data), columns = b->data[2];
    if (!entries || entries > 1024 || !columns)
        return box_fail(r, b, J2K_ERROR_CORRUPT, "%u entries of %u columns", entries, columns);
    if (b->size < 3 + (size_t)columns)
        return wrong_size(r, b);
    size_t row = 0;
    for (unsigned i = 0; i < columns; i++) {
        unsigned depth = (b->data[3 + i] & 0x7Fu) + 1;
        if (depth > 38)
            return box_fail(r, b, J2K_ERROR_CORRUPT, "column %u has %u bits", i, depth);
        row += (depth + 7) / 8;
    }
    if (b->size < 3 + columns + entries * row)
        return wrong_size(r, b);
    *pal = (palette){(uint16_t)entries, (uint8_t)columns, b->data + 3, b->data + 3 + columns};
    r->file->has_palette = true;
    return J2K_OK;
}

/* I.5.3.5 */
static j2k_status read_cmap(jp2_reader *r, const box *b) {
    jp2_file *file = r->file;
    size_t count = b->size / 4;
    if (!count || b->size % 4 || count > 65535)
        return wrong_size(r, b);
    file->mappings = ARENA_ALLOC(r->memory, component_mapping, count);
    RETURN_IF(!file->mappings, J2K_ERROR_MEMORY);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = b->data + 4 * i;
        file->mappings[i] = (component_mapping){(uint16_t)load_u16(p), p[2], p[3]};
    }
    file->num_mappings = (uint32_t)count;
    return J2K_OK;
}

/* I.5.3.6 */
static j2k_status read_cdef(jp2_reader *r, const box *b) {
    jp2_file *file = r->file;
    size_t count = b->size < 2 ? 0 : load_u16(b->data);
    if (!count || b->size < 2 + 6 * count)
        return wrong_size(r, b);
    file->channels = ARENA_ALLOC(r->memory, channel_definition, count);
    RETURN_IF(!file->channels, J2K_ERROR_MEMORY);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = b->data + 2 + 6 * i;
        file->channels[i] =
            (channel_definition){(uint16_t)load_u16(p), (uint16_t)load_u16(p + 2), (uint16_t)load_u16(p + 4)};
    }
    file->num_channels = (uint32_t)count;
    return J2K_OK;
}

static j2k_status read_header_box(jp2_reader *r, const box *b) {
    jp2_file *file = r->file;
    if (b->cut)
        return box_fail(r, b, J2K_ERROR_CORRUPT, "it reaches beyond jp2h");
    if (!r->has_ihdr) {
        if (b->type != BOX_IHDR)
            return box_fail(r, b, J2K_ERROR_CORRUPT, "it comes before ihdr");
        return read_ihdr(r, b);
    }
    switch (b->type) {
    case BOX_IHDR:
        return box_fail(r, b, J2K_ERROR_CORRUPT, "it occurs twice");
    case BOX_BPCC:
        return read_bpcc(r, b);
    case BOX_COLR:
        return read_colr(r, b);
    case BOX_PCLR:
        return file->has_palette ? box_fail(r, b, J2K_ERROR_CORRUPT, "it occurs twice") : read_pclr(r, b);
    case BOX_CMAP:
        return file->mappings ? box_fail(r, b, J2K_ERROR_CORRUPT, "it occurs twice") : read_cmap(r, b);
    case BOX_CDEF:
        return file->channels ? box_fail(r, b, J2K_ERROR_CORRUPT, "it occurs twice") : read_cdef(r, b);
    default:
        return J2K_OK;
    }
}

static void drop_palette(jp2_file *file) {
    file->has_palette = false;
    file->num_mappings = 0;
    file->mappings = NULL;
}

static void drop_channels(jp2_file *file) {
    file->num_channels = 0;
    file->channels = NULL;
}

/* pclr and cmap come together (I.5.3.4). A palette that nothing refers to is of no consequence. */
static j2k_status check_palette(jp2_reader *r, const box *b) {
    jp2_file *file = r->file;
    if (file->has_palette && !file->mappings) {
        j2k_warn(r->diag, "'jp2h' box at byte %zu: a palette without component mapping ignored", b->offset);
        drop_palette(file);
    } else if (file->mappings && !file->has_palette) {
        drop_palette(file);
        return box_fail(r, b, J2K_ERROR_CORRUPT, "a component mapping without palette");
    }
    return J2K_OK;
}

static j2k_status read_jp2h(jp2_reader *r, const box *header) {
    size_t offset = (size_t)(header->data - r->data), end = header->next;
    box b;
    if (r->has_jp2h)
        return box_fail(r, header, J2K_ERROR_CORRUPT, "it occurs twice");
    r->has_jp2h = true;
    while (offset < end) {
        j2k_status status = box_open(r, offset, end, &b);
        if (status != J2K_OK) {
            TRY(forgive(r, status));
            break;
        }
        TRY(box_record(r, &b, true));
        TRY(forgive(r, read_header_box(r, &b)));
        offset = b.next;
    }
    if (!r->has_ihdr)
        TRY(forgive(r, box_fail(r, header, J2K_ERROR_CORRUPT, "ihdr is missing")));
    if (!r->has_colr)
        j2k_warn(r->diag, "'jp2h' box at byte %zu: colr is missing", header->offset);
    return forgive(r, check_palette(r, header));
}

/* ---- the file ---- */

/* I.5.2: brand, version, then the compatibility list. */
static j2k_status read_ftyp(jp2_reader *r, const box *b) {
    if (b->size < 8)
        return wrong_size(r, b);
    bool jp2 = false, jph = load_u32(b->data) == BRAND_JPH;
    for (size_t i = 8; i + 4 <= b->size; i += 4) {
        jp2 = jp2 || load_u32(b->data + i) == BRAND_JP2;
        jph = jph || load_u32(b->data + i) == BRAND_JPH;
    }
    jp2 = jp2 || load_u32(b->data) == BRAND_JP2;
    if (!jp2 && !jph)
        j2k_warn(r->diag, "'ftyp' box at byte %zu: neither JP2 nor JPH", b->offset);
    r->file->format = jph && !jp2 ? J2K_FORMAT_JPH : J2K_FORMAT_JP2;
    if (load_u32(b->data) == BRAND_JPH)
        r->file->format = J2K_FORMAT_JPH;
    r->has_ftyp = true;
    return J2K_OK;
}

static j2k_status read_top_box(jp2_reader *r, const box *b) {
    if (b->type == BOX_JP2C) {
        if (b->cut)
            j2k_warn(r->diag, "'jp2c' box at byte %zu: it reaches beyond the end of the data", b->offset);
        if (!r->has_ftyp || !r->has_jp2h)
            TRY(forgive(r,
                        box_fail(r, b, J2K_ERROR_CORRUPT, "%s is missing", r->has_ftyp ? "jp2h" : "ftyp")));
        r->file->codestream = (byte_span){b->data, b->size};
        r->has_codestream = true;
        return J2K_OK;
    }
    if (b->cut)
        TRY(forgive(r, box_fail(r, b, J2K_ERROR_TRUNCATED, "it reaches beyond the end of the data")));
    if (b->type == BOX_FTYP)
        return forgive(r, read_ftyp(r, b));
    if (b->type == BOX_JP2H)
        return forgive(r, read_jp2h(r, b));
    return J2K_OK;
}

static j2k_status read_boxes(jp2_reader *r) {
    size_t offset = sizeof SIGNATURE;
    box b;
    while (offset < r->size) {
        j2k_status status = box_open(r, offset, r->size, &b);
        if (status != J2K_OK) {
            if (!r->has_codestream)
                return status;
            j2k_warn(r->diag, "%s", r->diag->message);
            r->diag->message[0] = 0;
            break;
        }
        TRY(box_record(r, &b, false));
        if (!r->has_codestream)
            TRY(read_top_box(r, &b));
        else if (b.cut)
            j2k_warn(r->diag, "byte %zu: the last box is cut short", b.offset);
        offset = b.next;
    }
    return J2K_OK;
}

j2k_status j2k_jp2_read(const uint8_t *data, size_t size, bool tolerant, arena *memory, jp2_file *file,
                        diagnostics *diag) {
    jp2_reader r = {data, size, tolerant, memory, file, diag, 0, false, false, false, false, false, false};
    memset(file, 0, sizeof *file);
    if (size >= 2 && load_u16(data) == MARKER_SOC) {
        file->format = J2K_FORMAT_CODESTREAM;
        file->codestream = (byte_span){data, size};
        return J2K_OK;
    }
    file->format = J2K_FORMAT_JP2;
    size_t head = size < sizeof SIGNATURE ? size : sizeof SIGNATURE;
    if (!head)
        return j2k_fail(diag, J2K_ERROR_TRUNCATED, "there are no data");
    if (memcmp(data, SIGNATURE, head) != 0)
        return j2k_fail(diag, J2K_ERROR_CORRUPT, "neither a JPEG 2000 codestream nor a JP2 file");
    if (size < sizeof SIGNATURE)
        return j2k_fail(diag, J2K_ERROR_TRUNCATED, "the data end in the JP2 signature");
    TRY(read_boxes(&r));
    if (!r.has_codestream)
        return j2k_fail(diag, J2K_ERROR_TRUNCATED, "the file has no codestream ('jp2c' box)");
    return J2K_OK;
}

/* ---- boxes against codestream ---- */

static j2k_status check_mappings(const jp2_file *file, uint32_t num_components, diagnostics *diag) {
    for (uint32_t i = 0; i < file->num_mappings; i++) {
        const component_mapping *m = &file->mappings[i];
        if (m->component >= num_components || m->type > 1 ||
            (m->type == 1 && m->column >= file->pal.num_columns))
            return j2k_fail(diag, J2K_ERROR_CORRUPT,
                            "'cmap' box: channel %lu is component %u, type %u, column %u", (unsigned long)i,
                            (unsigned)m->component, (unsigned)m->type, (unsigned)m->column);
    }
    return J2K_OK;
}

/* Each channel exactly once, and associations with colours that exist (table I.17: 1 to the number of
 * colours, 0 and 65535 are no single colour). */
static j2k_status check_channels(const jp2_file *file, uint32_t num_channels, diagnostics *diag) {
    uint8_t seen[65536 / 8] = {0};
    if (file->num_channels != num_channels)
        return j2k_fail(diag, J2K_ERROR_CORRUPT, "'cdef' box: %lu definitions of %lu channels",
                        (unsigned long)file->num_channels, (unsigned long)num_channels);
    for (uint32_t i = 0; i < file->num_channels; i++) {
        const channel_definition *c = &file->channels[i];
        if (c->channel >= num_channels || (c->association > num_channels && c->association != 65535) ||
            (seen[c->channel >> 3] >> (c->channel & 7) & 1))
            return j2k_fail(diag, J2K_ERROR_CORRUPT, "'cdef' box: channel %u, type %u, association %u",
                            (unsigned)c->channel, (unsigned)c->type, (unsigned)c->association);
        seen[c->channel >> 3] |= (uint8_t)(1u << (c->channel & 7));
    }
    return J2K_OK;
}

j2k_status j2k_jp2_check(jp2_file *file, const image_siz *siz, bool tolerant, diagnostics *diag) {
    jp2_reader r = {.tolerant = tolerant, .file = file, .diag = diag};
    if (!file->num_components) /* a bare codestream, or (tolerant) no ihdr */
        return J2K_OK;
    if (file->width != rect_width(siz->area) || file->height != rect_height(siz->area))
        TRY(forgive(
            &r, j2k_fail(diag, J2K_ERROR_CORRUPT, "'ihdr' box: %lu x %lu, but the codestream is %lu x %lu",
                         (unsigned long)file->width, (unsigned long)file->height,
                         (unsigned long)rect_width(siz->area), (unsigned long)rect_height(siz->area))));
    if (file->num_components != siz->num_components)
        TRY(forgive(&r,
                    j2k_fail(diag, J2K_ERROR_CORRUPT, "'ihdr' box: %u components, but the codestream has %lu",
                             (unsigned)file->num_components, (unsigned long)siz->num_components)));
    j2k_status status = check_mappings(file, siz->num_components, diag);
    if (status != J2K_OK) {
        TRY(forgive(&r, status));
        drop_palette(file);
    }
    if (file->num_channels) {
        uint32_t channels = file->has_palette ? file->num_mappings : siz->num_components;
        status = check_channels(file, channels, diag);
        if (status != J2K_OK) {
            TRY(forgive(&r, status));
            drop_channels(file);
        }
    }
    return J2K_OK;
}

/* ---- writing ---- */

/* Length to be patched by box_end. */
static size_t box_begin(byte_sink *sink, uint32_t type) {
    size_t offset = sink->size;
    j2k_put_u32(sink, 0);
    j2k_put_u32(sink, type);
    return offset;
}

static void box_end(byte_sink *sink, size_t offset) {
    size_t length = sink->size - offset;
    /* Only jp2c can be that long; it is the last box, for which 0 says "to the end of the file". */
    j2k_patch_u32(sink, offset, length > UINT32_MAX ? 0 : (uint32_t)length);
}

static uint8_t depth_code(const component_siz *c) {
    return (uint8_t)((c->depth - 1) | (c->is_signed ? 0x80 : 0));
}

static void write_depths(byte_sink *sink, const image_siz *siz, bool same) {
    size_t offset = box_begin(sink, BOX_IHDR);
    j2k_put_u32(sink, rect_height(siz->area));
    j2k_put_u32(sink, rect_width(siz->area));
    j2k_put_u16(sink, siz->num_components);
    j2k_put_u8(sink, same ? depth_code(&siz->components[0]) : 255);
    j2k_put_u8(sink, 7); /* C: the only compression type */
    j2k_put_u8(sink, 0); /* UnkC: the colour space is known */
    j2k_put_u8(sink, 0); /* IPR: none */
    box_end(sink, offset);
    if (same)
        return;
    offset = box_begin(sink, BOX_BPCC);
    for (uint32_t c = 0; c < siz->num_components; c++)
        j2k_put_u8(sink, depth_code(&siz->components[c]));
    box_end(sink, offset);
}

/* Components beyond the colours are declared as channels of unspecified type, so that a reader does not take
 * them for colours or opacity. */
static void write_cdef(byte_sink *sink, uint32_t num_components, uint32_t num_colours) {
    size_t offset = box_begin(sink, BOX_CDEF);
    j2k_put_u16(sink, num_components);
    for (uint32_t c = 0; c < num_components; c++) {
        bool colour = c < num_colours;
        j2k_put_u16(sink, c);
        j2k_put_u16(sink, colour ? 0 : 65535);
        j2k_put_u16(sink, colour ? c + 1 : 65535);
    }
    box_end(sink, offset);
}

size_t j2k_jp2_begin(byte_sink *sink, const codestream *cs, j2k_format format,
                     j2k_colour_space colour_space) {
    const image_siz *siz = &cs->siz;
    uint32_t n = siz->num_components;
    uint32_t brand = format == J2K_FORMAT_JPH ? BRAND_JPH : BRAND_JP2;
    bool same = true;
    for (uint32_t c = 1; c < n; c++)
        same = same && depth_code(&siz->components[c]) == depth_code(&siz->components[0]);
    bool is_colour = colour_space == J2K_COLOUR_SRGB || colour_space == J2K_COLOUR_SYCC;
    if (colour_space != J2K_COLOUR_GREY && !(is_colour && n >= 3))
        colour_space = n == 3 || n == 4 ? J2K_COLOUR_SRGB : J2K_COLOUR_GREY;

    j2k_put_bytes(sink, SIGNATURE, sizeof SIGNATURE);
    size_t ftyp = box_begin(sink, BOX_FTYP);
    j2k_put_u32(sink, brand);
    j2k_put_u32(sink, 0); /* MinV */
    j2k_put_u32(sink, brand);
    box_end(sink, ftyp);

    size_t header = box_begin(sink, BOX_JP2H);
    write_depths(sink, siz, same);
    size_t colr = box_begin(sink, BOX_COLR);
    j2k_put_u8(sink, 1); /* METH: enumerated */
    j2k_put_u8(sink, 0); /* PREC */
    j2k_put_u8(sink, 0); /* APPROX */
    j2k_put_u32(sink, (uint32_t)colour_space);
    box_end(sink, colr);
    uint32_t colours = colour_space == J2K_COLOUR_GREY ? 1 : 3;
    if (n > colours)
        write_cdef(sink, n, colours);
    box_end(sink, header);
    return box_begin(sink, BOX_JP2C);
}

void j2k_jp2_end(byte_sink *sink, size_t jp2c_offset) {
    box_end(sink, jp2c_offset);
}
