/* The encoder's last stage: boxes around the codestream.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "encode.h"
#include "jp2.h"
#include "stream_write.h"

j2k_status j2k_encode_write(encoder *e, byte_sink *sink, bool packets) {
    stream_writer w = {.context = e->context,
                       .cs = &e->cs,
                       .tiles = e->tiles,
                       .num_tiles = e->num_tiles,
                       .tile_parts = e->options.tile_parts,
                       .plt = e->options.plt,
                       .tlm = e->options.tlm,
                       .comment = e->options.comment,
                       .note = e->options.note,
                       .packet_bound = min_u32((uint32_t)e->raw_bytes, 0x0FFFFFFF)};
    bool boxes = e->options.format != J2K_FORMAT_CODESTREAM;
    size_t jp2c = 0;
    if (boxes)
        jp2c = j2k_jp2_begin(sink, &e->cs, e->options.format, e->image->colour_space);
    TRY(j2k_stream_write(&w, sink, packets));
    if (boxes)
        j2k_jp2_end(sink, jp2c);
    return J2K_OK;
}
