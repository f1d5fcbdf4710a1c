/* Tag trees: the example of the standard, and comparison with the procedure of T.800 B.10.2 as it is written.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "check.h"
#include "tagtree.h"

static void sizes(void) {
    CHECK(j2k_tagtree_size(0, 5) == 0 && j2k_tagtree_size(5, 0) == 0);
    CHECK(j2k_tagtree_size(1, 1) == 1);
    CHECK(j2k_tagtree_size(2, 1) == 3);
    CHECK(j2k_tagtree_size(6, 3) == 18 + 6 + 2 + 1);
    CHECK(j2k_tagtree_size(5, 1) == 5 + 3 + 2 + 1);
}

/* The note at the end of B.10.2: the array of figure B.12 begins 01111 001 101; the codes of the other values
 * were worked out by hand from the figure. */
static void example(void) {
    static const unsigned values[18] = {1, 3, 2, 3, 2, 3, 2, 2, 1, 4, 3, 2, 2, 2, 2, 2, 1, 2};
    static const char *codes[6] = {"01111", "001", "101", "001", "1011", "01"};
    arena memory = {0};
    tagtree tree, decoded;
    CHECK(j2k_tagtree_create(&tree, 6, 3, &memory) && j2k_tagtree_create(&decoded, 6, 3, &memory));
    CHECK(tree.num_nodes == 27);
    for (uint32_t i = 0; i < 18; i++)
        j2k_tagtree_set(&tree, i, values[i]);
    uint8_t out[32];
    byte_sink sink = {out, sizeof out, 0};
    bit_writer writer;
    j2k_bits_begin(&writer, &sink);
    for (uint32_t i = 0; i < 18; i++)
        j2k_tagtree_encode(&tree, &writer, i, values[i] + 1);
    j2k_bits_end(&writer);
    bit_reader reader;
    j2k_bits_open(&reader, out, sink.size);
    for (int i = 0; i < 6; i++)
        for (const char *b = codes[i]; *b; b++)
            CHECK(j2k_bits_get(&reader) == (unsigned)(*b == '1'));
    j2k_bits_open(&reader, out, sink.size);
    for (uint32_t i = 0; i < 18; i++) {
        unsigned v = 0;
        while (!j2k_tagtree_decode(&decoded, &reader, i, v + 1))
            v++;
        CHECK(v == values[i]);
    }
    CHECK(j2k_bits_close(&reader) == out + sink.size && !reader.overrun);
    j2k_arena_free(&memory);
}

/* The procedure in the words of B.10.2 on plain arrays: levels[0] are the leaves. */
enum { MAX_SIDE = 20, MAX_LEVELS = 6 };
typedef struct plain_tree {
    int width[MAX_LEVELS], height[MAX_LEVELS], num_levels;
    unsigned value[MAX_LEVELS][MAX_SIDE * MAX_SIDE], low[MAX_LEVELS][MAX_SIDE * MAX_SIDE];
    int finished[MAX_LEVELS][MAX_SIDE * MAX_SIDE];
} plain_tree;

static void plain_build(plain_tree *t, int width, int height, const unsigned *values) {
    memset(t, 0, sizeof *t);
    t->width[0] = width;
    t->height[0] = height;
    memcpy(t->value[0], values, sizeof *values * (size_t)(width * height));
    int n = 0;
    for (; t->width[n] * t->height[n] > 1; n++) {
        t->width[n + 1] = (t->width[n] + 1) / 2;
        t->height[n + 1] = (t->height[n] + 1) / 2;
        for (int i = 0; i < t->width[n + 1] * t->height[n + 1]; i++)
            t->value[n + 1][i] = 0xFFFF;
        for (int y = 0; y < t->height[n]; y++)
            for (int x = 0; x < t->width[n]; x++) {
                unsigned *up = &t->value[n + 1][y / 2 * t->width[n + 1] + x / 2];
                unsigned v = t->value[n][y * t->width[n] + x];
                *up = v < *up ? v : *up;
            }
    }
    t->num_levels = n + 1;
}

static size_t plain_encode(plain_tree *t, int x, int y, unsigned threshold, char *bits) {
    size_t n = 0;
    unsigned low = 0;
    for (int k = t->num_levels - 1; k >= 0; k--) {
        int i = (y >> k) * t->width[k] + (x >> k);
        if (t->low[k][i] < low)
            t->low[k][i] = low;
        while (!t->finished[k][i] && t->low[k][i] < threshold) {
            if (t->low[k][i] < t->value[k][i]) {
                bits[n++] = 0;
                t->low[k][i]++;
            } else {
                bits[n++] = 1;
                t->finished[k][i] = 1;
            }
        }
        low = t->low[k][i];
    }
    return n;
}

static void random_trees(void) {
    uint64_t seed = 7;
    static plain_tree plain;
    static char bits[1 << 16];
    static uint8_t out[1 << 14];
    arena memory = {0};
    for (int round = 0; round < 2000; round++) {
        int width = 1 + (int)(test_random(&seed) % MAX_SIDE),
            height = 1 + (int)(test_random(&seed) % MAX_SIDE);
        int leaves = width * height;
        unsigned values[MAX_SIDE * MAX_SIDE], thresholds[MAX_SIDE * MAX_SIDE] = {0},
                                                                    spread = test_random(&seed) % 9;
        tagtree tree, decoded;
        j2k_arena_reset(&memory);
        CHECK(j2k_tagtree_create(&tree, (uint32_t)width, (uint32_t)height, &memory));
        CHECK(j2k_tagtree_create(&decoded, (uint32_t)width, (uint32_t)height, &memory));
        if (round % 3 == 0) { /* what was coded before leaves no trace */
            byte_sink counter = {NULL, 0, 0};
            bit_writer dry;
            j2k_bits_begin(&dry, &counter);
            j2k_tagtree_set(&tree, 0, 0);
            j2k_tagtree_encode(&tree, &dry, 0, 3);
            j2k_tagtree_clear(&tree);
        }
        for (int i = 0; i < leaves; i++) {
            values[i] = test_random(&seed) % 20 == 0 ? 0xFFFF : test_random(&seed) % (spread + 1);
            j2k_tagtree_set(&tree, (uint32_t)i, values[i]);
        }
        if (round % 3 == 1) {
            byte_sink counter = {NULL, 0, 0};
            bit_writer dry;
            j2k_bits_begin(&dry, &counter);
            j2k_tagtree_encode(&tree, &dry, (uint32_t)leaves - 1, 5);
            j2k_tagtree_reset(&tree);
        }
        plain_build(&plain, width, height, values);
        byte_sink sink = {out, sizeof out, 0};
        bit_writer writer;
        size_t n = 0;
        uint32_t order[300];
        unsigned asked[300];
        j2k_bits_begin(&writer, &sink);
        for (int q = 0; q < 300; q++) {
            uint32_t leaf = order[q] = test_random(&seed) % (uint32_t)leaves;
            thresholds[leaf] += test_random(&seed) % 4;
            asked[q] = thresholds[leaf];
            j2k_tagtree_encode(&tree, &writer, leaf, asked[q]);
            n += plain_encode(&plain, (int)leaf % width, (int)leaf / width, asked[q], bits + n);
        }
        j2k_bits_end(&writer);
        bit_reader reader;
        j2k_bits_open(&reader, out, sink.size);
        for (size_t i = 0; i < n; i++)
            CHECK(j2k_bits_get(&reader) == (unsigned)bits[i]);
        CHECK(j2k_bits_close(&reader) == out + sink.size && !reader.overrun);
        j2k_bits_open(&reader, out, sink.size);
        for (int q = 0; q < 300; q++) {
            bool below = j2k_tagtree_decode(&decoded, &reader, order[q], asked[q]);
            CHECK(below == (values[order[q]] < asked[q]));
            if (below)
                CHECK(decoded.nodes[order[q]].value == values[order[q]]);
        }
        CHECK(j2k_bits_close(&reader) == out + sink.size && !reader.overrun);
    }
    j2k_arena_free(&memory);
}

static void memory_limit(void) {
    arena memory = {.limit = 1000};
    tagtree tree;
    CHECK(!j2k_tagtree_create(&tree, 100, 100, &memory));
    j2k_arena_free(&memory);
}

int main(void) {
    sizes();
    example();
    random_trees();
    memory_limit();
    return 0;
}
