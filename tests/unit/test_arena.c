/* Arenas: alignment, limits, reuse after a reset, overflow of the size computation.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "arena.h"
#include "check.h"

static void aligned_and_disjoint(void) {
    arena a = {0};
    uint64_t seed = 1;
    enum { N = 500 };
    unsigned char *blocks[N];
    size_t sizes[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            sizes[i] = test_random(&seed) % 5000;
            blocks[i] = j2k_arena_alloc(&a, sizes[i], 1);
            CHECK(blocks[i] && (uintptr_t)blocks[i] % 64 == 0);
            memset(blocks[i], i & 255, sizes[i]);
        }
        for (int i = 0; i < N; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                CHECK(blocks[i][k] == (i & 255));
        j2k_arena_reset(&a);
        CHECK(a.total == 0);
    }
    j2k_arena_free(&a);
}

static void reset_keeps_memory(void) {
    arena a = {0};
    void *first = j2k_arena_alloc(&a, 1000, 1);
    CHECK(j2k_arena_alloc(&a, 1 << 20, 1));
    j2k_arena_reset(&a);
    CHECK(j2k_arena_alloc(&a, 1000, 1) == first);
    /* A request that the first chunk cannot hold finds the second one again. */
    void *big = j2k_arena_alloc(&a, 1 << 20, 1);
    j2k_arena_reset(&a);
    CHECK(j2k_arena_alloc(&a, 1 << 20, 1) == big);
    j2k_arena_free(&a);
}

static void limit_and_overflow(void) {
    arena a = {.limit = 10000};
    CHECK(!j2k_arena_alloc(&a, 10001, 1));
    CHECK(j2k_arena_alloc(&a, 9000, 1));
    CHECK(!j2k_arena_alloc(&a, 2000, 1));
    CHECK(!j2k_arena_alloc(&a, SIZE_MAX, 2));
    CHECK(!j2k_arena_alloc(&a, SIZE_MAX / 2, 2));
    CHECK(!j2k_arena_alloc(&a, SIZE_MAX - 1, 1));
    CHECK(j2k_arena_alloc(&a, 0, 8));
    j2k_arena_reset(&a);
    unsigned char *z = j2k_arena_alloc_zero(&a, 100, 10);
    CHECK(z);
    for (int i = 0; i < 1000; i++)
        CHECK(z[i] == 0);
    j2k_arena_free(&a);
    CHECK(a.limit == 10000);
}

int main(void) {
    aligned_and_disjoint();
    reset_keeps_memory();
    limit_and_overflow();
    return 0;
}
