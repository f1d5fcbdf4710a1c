/* The order of packets: five progressions and their changes (T.800 B.12).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_PROGRESSION_H
#define J2K_PROGRESSION_H

#include "tile.h"

typedef struct packet_id {
    uint32_t component;
    uint32_t resolution;
    uint32_t precinct;
    uint32_t layer;
} packet_id;

/* Iterates over the packets of a tile in codestream order. Packets that an earlier progression change (POC)
 * has sent are left out. A step takes O(log(components * resolutions)) amortised, whatever the tile's size:
 * there is no stepping over sample positions. */
typedef struct packet_iterator packet_iterator;

/* NULL when memory runs out. The iterator lives in `memory`. */
packet_iterator *j2k_packets_begin(const tile *t, const image_siz *siz, arena *memory);
/* false at the end. */
bool j2k_packets_next(packet_iterator *it, packet_id *id);

#endif
