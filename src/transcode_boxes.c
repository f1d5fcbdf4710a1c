/* The boxes of a JP2 or JPH file around another codestream (T.800 annex I).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "transcode_boxes.h"

#include "markers.h"

enum {
    BOX_FTYP = JP2_BOX_TYPE('f', 't', 'y', 'p'),
    BOX_JP2C = JP2_BOX_TYPE('j', 'p', '2', 'c'),
    BRAND_JP2 = JP2_BOX_TYPE('j', 'p', '2', ' '),
    BRAND_JPH = JP2_BOX_TYPE('j', 'p', 'h', ' '),
    SIGNATURE_SIZE = 12
};

/* Brand and compatibility list (I.5.2) with JP2 and JPH replaced by what the file now is; other brands stay.
 */
static void write_ftyp(byte_sink *sink, const uint8_t *from, size_t size, uint32_t brand) {
    size_t offset = sink->size;
    bool listed = false;
    uint32_t old = load_u32(from);
    j2k_put_u32(sink, 0);
    j2k_put_u32(sink, BOX_FTYP);
    j2k_put_u32(sink, old == BRAND_JP2 || old == BRAND_JPH ? brand : old);
    j2k_put_bytes(sink, from + 4, 4); /* MinV */
    for (size_t i = 8; i + 4 <= size; i += 4) {
        uint32_t other = load_u32(from + i);
        if (other == BRAND_JP2 || other == BRAND_JPH) {
            if (!listed)
                j2k_put_u32(sink, brand);
            listed = true;
        } else {
            j2k_put_u32(sink, other);
        }
    }
    if (!listed)
        j2k_put_u32(sink, brand);
    j2k_patch_u32(sink, offset, (uint32_t)(sink->size - offset));
}

/* The boxes follow each other without gaps: where one ends the next one begins. */
static size_t copy_boxes(byte_sink *sink, const jp2_file *file, bool behind, uint32_t brand) {
    const uint8_t *data = file->codestream.data;
    bool seen = false;
    size_t begin = SIGNATURE_SIZE, count = 0, stream = 0;
    for (uint32_t i = 0; i < file->num_boxes; i++) /* offsets count from the beginning of the data */
        if (file->boxes[i].type == BOX_JP2C && !file->boxes[i].in_header && !stream)
            stream = file->boxes[i].offset;
    data -= stream;
    if (!behind)
        j2k_put_bytes(sink, data, SIGNATURE_SIZE);
    for (uint32_t i = 0; i < file->num_boxes; i++) {
        const jp2_box *box = &file->boxes[i];
        if (box->in_header)
            continue;
        size_t end = box->offset + box->size;
        if (box->offset == stream) {
            seen = true;
        } else if (seen == behind) {
            if (box->type == BOX_FTYP && box->size >= 8)
                write_ftyp(sink, data + box->offset, box->size, brand);
            else
                j2k_put_bytes(sink, data + begin, end - begin);
            count++;
        }
        begin = end;
    }
    return count;
}

size_t j2k_boxes_begin(byte_sink *sink, const jp2_file *file, const codestream *cs, j2k_format format) {
    if (file->format == J2K_FORMAT_CODESTREAM)
        return j2k_jp2_begin(sink, cs, format, J2K_COLOUR_UNKNOWN);
    copy_boxes(sink, file, false, format == J2K_FORMAT_JPH ? BRAND_JPH : BRAND_JP2);
    size_t offset = sink->size;
    j2k_put_u32(sink, 0);
    j2k_put_u32(sink, BOX_JP2C);
    return offset;
}

j2k_status j2k_boxes_end(byte_sink *sink, const jp2_file *file, size_t jp2c_offset, diagnostics *diag) {
    j2k_jp2_end(sink, jp2c_offset);
    size_t size = sink->size - jp2c_offset;
    if (file->format == J2K_FORMAT_CODESTREAM)
        return J2K_OK;
    size_t behind = copy_boxes(sink, file, true, 0);
    if (behind && size > UINT32_MAX)
        return j2k_fail(diag, J2K_ERROR_UNSUPPORTED, "a codestream of 4 GiB with boxes behind it");
    return J2K_OK;
}
