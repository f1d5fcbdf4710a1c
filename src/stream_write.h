/* A codestream from its tile trees: headers, tile-parts and packets, for encoder and transcoder.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_STREAM_WRITE_H
#define J2K_STREAM_WRITE_H

#include "context.h"
#include "packet.h"

/* Write packet `id`, the number-th of its tile, with the markers that the tile's style asks for. */
typedef j2k_status (*packet_source)(void *user, tile *t, packet_id id, byte_sink *sink, uint32_t number);

typedef struct stream_writer {
    j2k_context *context;       /* its work arena takes plans, its scratch arena is reset at will */
    const codestream *cs;       /* what the main header says */
    const tile_header *headers; /* of all tiles, where they say something else; NULL: they do not */
    tile *tiles;
    uint32_t num_tiles;
    char tile_parts; /* new tile-part at each 'R'esolution, 'L'ayer or 'C'omponent; 0: one a tile */
    bool plt, tlm;
    const char *comment, *note; /* for COM segments, or NULL */
    byte_span *segments;        /* marker segments that follow in the main header as they are */
    size_t num_segments;
    packet_source packets; /* NULL: j2k_packet_write, of tiles ready for j2k_packets_prepare */
    void *user;
    uint32_t packet_bound; /* of a packet's bytes, while its true length is not known */
} stream_writer;

/* From SOC to EOC. With `body` false all packets are left out: that tells the size of what is around them.
 * Errors: MEMORY, UNSUPPORTED (too many packets for PLT, too many tile-parts for TLM). */
j2k_status j2k_stream_write(stream_writer *w, byte_sink *sink, bool body);

#endif
