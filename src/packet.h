/* Packets: headers and bodies (T.800 B.9, B.10).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_PACKET_H
#define J2K_PACKET_H

#include "progression.h"
#include "tile.h"

/* Read all packets of a tile from its tile-parts and hang the code-blocks' data chunks and codeword segments
 * into the tree. Packets of layers >= max_layers (0: no limit), and of resolutions and components that are
 * not wanted, are parsed and their data dropped; reading stops early when no later packet can be wanted. Data
 * are referenced, not copied; only code-blocks that lie in their band's window (coefficients.area) get any.
 * Where PLT is at hand (header->packet_lengths) and fits, packets of no use are passed over by it, and
 * t->packets_skipped says so: an error in either mode may then be PLT's, and reading without it is in order.
 * Strict: data that end early, lengths beyond the end, more bit-planes than the
 * subband has, wrong SOP numbers are errors. Tolerant: reading stops there with a warning and *complete =
 * false. MEMORY, and UNSUPPORTED for mixed HT streams with BYPASS or TERMALL, are errors in both modes. */
j2k_status j2k_packets_read(tile *t, const tile_header *header, const image_siz *siz, uint32_t max_layers,
                            bool tolerant, arena *memory, bool *complete, diagnostics *diag);

/* What a transcoder wants to know of the packets read. */
typedef struct packet_record { /* a packet as it is in the data, without SOP and EPH */
    packet_id id;
    byte_span header, body;
} packet_record;

typedef struct pass_record { /* what a code-block has when a layer brought something for it */
    codeblock *block;
    uint32_t layer;
    uint16_t num_passes;
} pass_record;

typedef struct packet_log {
    bool want_packets, want_passes;
    packet_record *packets;
    pass_record *passes;
    size_t num_packets, max_packets, num_passes, max_passes;
} packet_log;

/* The same as j2k_packets_read for all layers, and enter into the log what it wants, in codestream order. Its
 * arrays grow in `memory`. */
j2k_status j2k_packets_read_logged(tile *t, const tile_header *header, const image_siz *siz, bool tolerant,
                                   packet_log *log, arena *memory, bool *complete, diagnostics *diag);

/* Encoder. Write packet `id`; codeblock.u.enc.layer_passes says what belongs to it. With a capacity of 0 only
 * the size is counted (headers exactly, bodies by their lengths). Needs precincts opened and
 * j2k_packets_prepare called before the first packet of each run over the tile. MEMORY is the only error. */
j2k_status j2k_packet_write(tile *t, packet_id id, byte_sink *sink, uint32_t packet_number);

/* Encoder. Reset all state that writing packets changes (tag trees, lblock), and enter the
 * code-blocks' first layers and zero bit-planes into the tag trees. layer_passes of all code-blocks must be
 * set for num_layers of the tile. */
void j2k_packets_prepare(tile *t);

#endif
