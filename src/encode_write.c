/* The encoder's last stage: boxes, headers, tile-parts, packets.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "encode.h"
#include "jp2.h"
#include "packet.h"

enum { MAX_TILE_PARTS = 255 }; /* TNsot is one byte */

static uint32_t division_key(char tile_parts, packet_id id) {
    return tile_parts == 'R'   ? id.resolution
           : tile_parts == 'L' ? id.layer
           : tile_parts == 'C' ? id.component
                               : 0;
}

/* A new tile-part begins where the key changes, until the number of parts that a header can count is used up.
 */
static j2k_status count_parts(const encoder *e, tile *t, uint32_t *parts) {
    *parts = 1;
    if (!e->options.tile_parts)
        return J2K_OK;
    j2k_arena_reset(&e->context->scratch);
    packet_iterator *it = j2k_packets_begin(t, &e->cs.siz, &e->context->scratch);
    RETURN_IF(!it, J2K_ERROR_MEMORY);
    j2k_packets_prepare(t);
    packet_id id;
    uint32_t key = 0;
    byte_sink counter = {NULL, 0, 0};
    for (uint32_t n = 0; j2k_packets_next(it, &id); n++) {
        uint32_t k = division_key(e->options.tile_parts, id);
        if (n && k != key && *parts < MAX_TILE_PARTS)
            ++*parts;
        key = k;
        TRY(j2k_packet_write(t, id, &counter, n));
    }
    return J2K_OK;
}

static j2k_status write_tile(encoder *e, tile *t, byte_sink *sink, bool packets) {
    uint32_t parts, part = 0, key = 0;
    TRY(count_parts(e, t, &parts));
    size_t sot = j2k_begin_tile_part(sink, t->index, 0, parts);
    if (!packets) {
        for (part = 1; part < parts; part++)
            j2k_begin_tile_part(sink, t->index, part, parts);
        return J2K_OK;
    }
    j2k_arena_reset(&e->context->scratch);
    packet_iterator *it = j2k_packets_begin(t, &e->cs.siz, &e->context->scratch);
    RETURN_IF(!it, J2K_ERROR_MEMORY);
    j2k_packets_prepare(t);
    packet_id id;
    for (uint32_t n = 0; j2k_packets_next(it, &id); n++) {
        uint32_t k = division_key(e->options.tile_parts, id);
        if (n && k != key && part + 1 < parts) {
            j2k_end_tile_part(sink, sot);
            sot = j2k_begin_tile_part(sink, t->index, ++part, parts);
        }
        key = k;
        TRY(j2k_packet_write(t, id, sink, n));
    }
    j2k_end_tile_part(sink, sot);
    return J2K_OK;
}

j2k_status j2k_encode_write(encoder *e, byte_sink *sink, bool packets) {
    bool boxes = e->options.format != J2K_FORMAT_CODESTREAM;
    size_t jp2c = 0;
    if (boxes)
        jp2c = j2k_jp2_begin(sink, &e->cs, e->options.format, e->image->colour_space);
    const char *comment = e->options.comment ? e->options.comment : "blosc2-grok j2k " J2K_VERSION;
    j2k_write_main_header(sink, &e->cs, comment);
    for (uint32_t i = 0; i < e->num_tiles; i++)
        TRY(write_tile(e, &e->tiles[i], sink, packets));
    j2k_write_eoc(sink);
    if (boxes)
        j2k_jp2_end(sink, jp2c);
    return J2K_OK;
}
