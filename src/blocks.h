/* All code-blocks of a tile through the block coders, on all workers.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_BLOCKS_H
#define J2K_BLOCKS_H

#include "context.h"
#include "tile.h"

/* A code-block with the branches of the tree it hangs on. */
typedef struct block_ref {
    codeblock *block;
    subband *band;
    const tile_component *component;
    uint32_t component_index;
} block_ref;

/* List the code-blocks of all opened precincts of a tile in `memory`, in tree order. Of components and
 * resolutions that are not wanted only when `all`. */
j2k_status j2k_blocks_collect(const tile *t, bool all, arena *memory, block_ref **refs, size_t *count);

/* Encoder: the most magnitude bit-planes that a code-block can get: those of its subband if all seven
 * possible guard bits were used. */
unsigned j2k_block_plane_limit(const block_ref *ref);

/* Encoder: open all precincts and list their code-blocks in `memory`. */
j2k_status j2k_tile_open_blocks(tile *t, arena *memory, block_ref **refs, size_t *count);

/* Encoder: code the code-blocks' coefficients. Data and passes go to the workers' results arenas.
 * zero_bitplanes is left relative to j2k_block_plane_limit (see j2k_encode_fit_guard_bits). */
j2k_status j2k_blocks_encode_all(j2k_context *context, const block_ref *refs, size_t count, ht_choice ht);

/* Both. */
j2k_status j2k_tile_encode_blocks(j2k_context *context, tile *t, ht_choice ht, arena *memory,
                                  block_ref **refs, size_t *count);

/* Decoder: fill all coefficient planes that j2k_tile_inverse_prepare allocated. *sound is false when a
 * code-block's data contradict themselves. */
j2k_status j2k_tile_decode_blocks(j2k_context *context, tile *t, bool *sound);

#endif
