/* Tag trees (T.800 B.10.2): a quad-tree of minima over a rectangle of numbers, coded from the root down.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "tagtree.h"

enum {
    INFINITE = 0xFFFF,
    MAX_DEPTH = 33 /* levels of a tree over 2^32 x 2^32 leaves */
};

size_t j2k_tagtree_size(uint32_t width, uint32_t height) {
    size_t count = 0;
    if (width == 0 || height == 0)
        return 0;
    while (width > 1 || height > 1) {
        count += (size_t)width * height;
        width = width / 2 + (width & 1);
        height = height / 2 + (height & 1);
    }
    return count + 1;
}

void j2k_tagtree_init(tagtree *tree, uint32_t width, uint32_t height, tagtree_node *nodes) {
    tree->nodes = nodes;
    tree->width = width;
    tree->height = height;
    tree->num_nodes = (uint32_t)j2k_tagtree_size(width, height);
    if (tree->num_nodes == 0)
        return;
    tagtree_node *level = nodes;
    while (width > 1 || height > 1) {
        tagtree_node *above = level + (size_t)width * height;
        uint32_t above_width = width / 2 + (width & 1);
        for (uint32_t y = 0; y < height; y++)
            for (uint32_t x = 0; x < width; x++)
                level[(size_t)y * width + x].parent = above + (size_t)(y / 2) * above_width + x / 2;
        level = above;
        width = above_width;
        height = height / 2 + (height & 1);
    }
    level->parent = NULL;
    j2k_tagtree_clear(tree);
}

bool j2k_tagtree_create(tagtree *tree, uint32_t width, uint32_t height, arena *memory) {
    tagtree_node *nodes = ARENA_ALLOC(memory, tagtree_node, j2k_tagtree_size(width, height));
    if (!nodes)
        return false;
    j2k_tagtree_init(tree, width, height, nodes);
    return true;
}

void j2k_tagtree_reset(tagtree *tree) {
    for (uint32_t i = 0; i < tree->num_nodes; i++) {
        tree->nodes[i].low = 0;
        tree->nodes[i].known = false;
    }
}

void j2k_tagtree_clear(tagtree *tree) {
    for (uint32_t i = 0; i < tree->num_nodes; i++) {
        tree->nodes[i].value = INFINITE;
        tree->nodes[i].low = 0;
        tree->nodes[i].known = false;
    }
}

void j2k_tagtree_set(tagtree *tree, uint32_t leaf, unsigned value) {
    for (tagtree_node *node = &tree->nodes[leaf]; node && node->value > value; node = node->parent)
        node->value = (uint16_t)value;
}

/* The nodes that coding up to `threshold` can tell more about, from the leaf up, and the one above them: a
 * node that is known, or known to reach the threshold, has no unfinished node above itself. */
static unsigned open_path(tagtree_node *leaf, unsigned threshold, tagtree_node *path[MAX_DEPTH]) {
    unsigned depth = 0;
    for (tagtree_node *node = leaf; node; node = node->parent) {
        path[depth++] = node;
        if (node->known || node->low >= threshold)
            break;
    }
    return depth;
}

void j2k_tagtree_encode(tagtree *tree, bit_writer *bits, uint32_t leaf, unsigned threshold) {
    tagtree_node *path[MAX_DEPTH];
    unsigned low = 0;
    for (unsigned depth = open_path(&tree->nodes[leaf], threshold, path); depth--;) {
        tagtree_node *node = path[depth];
        if (low < node->low)
            low = node->low;
        while (low < threshold && low < node->value) {
            j2k_bits_put(bits, 0);
            low++;
        }
        if (low < threshold && !node->known) {
            j2k_bits_put(bits, 1);
            node->known = true;
        }
        node->low = (uint16_t)low;
    }
}

bool j2k_tagtree_decode(tagtree *tree, bit_reader *bits, uint32_t leaf, unsigned threshold) {
    tagtree_node *path[MAX_DEPTH];
    unsigned low = 0;
    for (unsigned depth = open_path(&tree->nodes[leaf], threshold, path); depth--;) {
        tagtree_node *node = path[depth];
        if (low < node->low)
            low = node->low;
        while (low < threshold && !node->known) {
            if (j2k_bits_get(bits)) {
                node->known = true;
                node->value = (uint16_t)low;
            } else {
                low++;
            }
        }
        node->low = (uint16_t)low;
    }
    return tree->nodes[leaf].known && tree->nodes[leaf].value < threshold;
}
