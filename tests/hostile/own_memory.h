/* Memory under the tests' control: a program that includes this links without src/platform.c, whose requests
 * are counted here and can be made to fail one by one. With OWN_ARENAS it links without src/arena.c too:
 * every allocation of an arena is then one of the system's, which can fail, and beyond which sanitizers see
 * reads and writes. SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_OWN_MEMORY_H
#define TEST_OWN_MEMORY_H

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong memory_requests;  /* so far */
static unsigned long memory_fails_at; /* this request, counted from 1, is refused; 0: none */
static size_t memory_taken;           /* by arenas, in all, in bytes; for programs with one thread */

static inline bool memory_refused(void) {
    return atomic_fetch_add(&memory_requests, 1) + 1 == memory_fails_at;
}

static void *own_malloc(size_t size) {
    return memory_refused() ? NULL : malloc(size);
}
static void *own_calloc(size_t count, size_t size) {
    return memory_refused() ? NULL : calloc(count, size);
}
static int own_memalign(void **pointer, size_t alignment, size_t size) {
    memory_taken += size;
    return memory_refused() ? -1 : posix_memalign(pointer, alignment, size);
}
static int own_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                      void *argument) {
    return memory_refused() ? -1 : pthread_create(thread, attributes, run, argument);
}

#define malloc         own_malloc
#define calloc         own_calloc
#define posix_memalign own_memalign
#define pthread_create own_thread
#include "../../src/platform.c"
#undef malloc
#undef calloc
#undef posix_memalign
#undef pthread_create

#if defined(OWN_ARENAS)
#include "arena.h"

typedef struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    void *block;
} arena_chunk;

void *j2k_arena_alloc(arena *a, size_t count, size_t size) {
    enum { ALIGN = 64 };
    if (size && count > (SIZE_MAX - 2 * ALIGN) / size)
        return NULL;
    size_t bytes = count && size ? (count * size + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    if (a->limit && (bytes > a->limit || a->total > a->limit - bytes))
        return NULL;
    arena_chunk *chunk = malloc(sizeof *chunk);
    void *block = j2k_aligned_alloc(ALIGN, bytes);
    if (!chunk || !block) {
        free(chunk);
        free(block);
        return NULL;
    }
    *chunk = (arena_chunk){a->first, bytes, block};
    a->first = chunk;
    a->total += bytes;
    return block;
}

void *j2k_arena_alloc_zero(arena *a, size_t count, size_t size) {
    void *result = j2k_arena_alloc(a, count, size);
    if (result && count && size)
        memset(result, 0, count * size);
    return result;
}

arena_mark j2k_arena_mark(const arena *a) {
    arena_mark mark = {a->first, 0, a->total};
    return mark;
}

void j2k_arena_release(arena *a, arena_mark mark) {
    while (a->first != mark.current) {
        arena_chunk *chunk = a->first;
        a->first = chunk->next;
        free(chunk->block);
        free(chunk);
    }
    a->total = mark.total;
}

void j2k_arena_reset(arena *a) {
    arena_mark empty = {NULL, 0, 0};
    j2k_arena_release(a, empty);
}

void j2k_arena_free(arena *a) {
    j2k_arena_reset(a);
}
#endif

#endif
