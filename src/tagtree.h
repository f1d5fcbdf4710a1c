/* Tag trees (T.800 B.10.2).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_TAGTREE_H
#define J2K_TAGTREE_H

#include <stdbool.h>

#include "arena.h"
#include "bitio.h"

typedef struct tagtree_node {
    struct tagtree_node *parent;
    uint16_t value; /* encoder: minimum over the leaves below; decoder: known once low == value */
    uint16_t low;   /* the value is known to be at least this */
    bool known;
} tagtree_node;

typedef struct tagtree {
    tagtree_node *nodes; /* leaves first, raster order */
    uint32_t width, height, num_nodes;
} tagtree;

/* Nodes of a tree over width x height leaves. */
size_t j2k_tagtree_size(uint32_t width, uint32_t height);
/* Set the tree up in `nodes`, room for j2k_tagtree_size nodes, and clear it. */
void j2k_tagtree_init(tagtree *tree, uint32_t width, uint32_t height, tagtree_node *nodes);
/* Both at once; false when memory runs out. All values are "infinite" (0xFFFF) at first. */
bool j2k_tagtree_create(tagtree *tree, uint32_t width, uint32_t height, arena *memory);
void j2k_tagtree_reset(tagtree *tree); /* forget what was coded, keep the values */
void j2k_tagtree_clear(tagtree *tree); /* forget the values too */
void j2k_tagtree_set(tagtree *tree, uint32_t leaf, unsigned value); /* encoder */
/* Code whether leaf's value is < threshold, and its value when it is. Thresholds may not decrease from call
 * to call. */
void j2k_tagtree_encode(tagtree *tree, bit_writer *bits, uint32_t leaf, unsigned threshold);
bool j2k_tagtree_decode(tagtree *tree, bit_reader *bits, uint32_t leaf, unsigned threshold);

#endif
