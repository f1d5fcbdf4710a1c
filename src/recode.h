/* Code-blocks from one block coder to another, or as they are from the packets read to those to be written.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_RECODE_H
#define J2K_RECODE_H

#include "blocks.h"
#include "packet.h"

/* How a tile is to be coded. */
typedef struct recode_plan {
    const component_style *styles; /* of all components: the code-block styles wanted */
    uint32_t num_layers;           /* that of the tile to keep its layers, or 1 to make one of them */
    const packet_log *log;         /* with passes, where layers are kept */
    arena *memory;                 /* for what must live until the packets are written */
} recode_plan;

/* A tile whose code-blocks are ready to be written but for their missing bit-planes. */
typedef struct recoded_tile {
    block_ref *refs;
    int16_t *zero_bitplanes; /* of each; below 0: more guard bits are needed */
    size_t count;
} recoded_tile;

/* Turn the code-blocks of a tile that j2k_packets_read filled into those that j2k_packet_write wants. Samples
 * come out of either the same: a code-block keeps the bit-planes that it has, and where it ends within a
 * bit-plane, so does the new one. *sound is false when a code-block's data contradict themselves; what was
 * decoded up to there is kept. Takes the work arena; coded bytes go to the workers' results arenas. Errors:
 * MEMORY, UNSUPPORTED. */
j2k_status j2k_tile_recode(j2k_context *context, tile *t, const recode_plan *plan, recoded_tile *result,
                           bool *sound);

/* Enter the missing bit-planes when the guard bits are known: `more` than before. */
void j2k_recode_finish(const recoded_tile *tile, unsigned more);

#endif
