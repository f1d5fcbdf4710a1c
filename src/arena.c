/* Arenas: memory handed out by advancing a pointer and given back all at once.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#include "platform.h"

enum { ARENA_ALIGN = 64 };

typedef struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity;
} arena_chunk;

/* The payload begins at the first aligned address behind the chunk's header. */
enum { CHUNK_HEADER = ARENA_ALIGN };
static const size_t CHUNK_MIN = 64 * 1024;

static arena_chunk *chunk_create(size_t capacity) {
    if (capacity > SIZE_MAX - CHUNK_HEADER)
        return NULL;
    arena_chunk *chunk = j2k_aligned_alloc(ARENA_ALIGN, CHUNK_HEADER + capacity);
    if (chunk) {
        chunk->next = NULL;
        chunk->capacity = capacity;
    }
    return chunk;
}

/* Make a chunk with room for `size` bytes the current one: the next kept chunk that fits, else a new one. New
 * chunks double the arena, so that their number stays logarithmic. Kept chunks that are too small are skipped
 * until the reset. */
static int arena_advance(arena *a, size_t size) {
    arena_chunk *last = a->current;
    for (arena_chunk *c = last ? last->next : a->first; c; c = c->next) {
        last = c;
        if (c->capacity >= size) {
            a->current = c;
            a->used = 0;
            return 1;
        }
    }
    size_t capacity = a->total > CHUNK_MIN ? a->total : CHUNK_MIN;
    if (a->limit && capacity > a->limit - a->total)
        capacity = a->limit - a->total;
    if (capacity < size)
        capacity = size;
    arena_chunk *chunk = chunk_create(capacity);
    if (!chunk && capacity > size)
        chunk = chunk_create(size);
    if (!chunk)
        return 0;
    if (last)
        last->next = chunk;
    else
        a->first = chunk;
    a->current = chunk;
    a->used = 0;
    return 1;
}

void *j2k_arena_alloc(arena *a, size_t count, size_t size) {
    if (size && count > (SIZE_MAX - 2 * ARENA_ALIGN) / size)
        return NULL;
    size_t bytes = (count * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (bytes == 0)
        bytes = ARENA_ALIGN;
    if (a->limit && (bytes > a->limit || a->total > a->limit - bytes))
        return NULL;
    if (!a->current || a->current->capacity - a->used < bytes)
        if (!arena_advance(a, bytes))
            return NULL;
    void *result = (char *)a->current + CHUNK_HEADER + a->used;
    a->used += bytes;
    a->total += bytes;
    return result;
}

void *j2k_arena_alloc_zero(arena *a, size_t count, size_t size) {
    void *result = j2k_arena_alloc(a, count, size);
    if (result && count && size)
        memset(result, 0, count * size);
    return result;
}

void j2k_arena_reset(arena *a) {
    a->current = NULL;
    a->used = 0;
    a->total = 0;
}

arena_mark j2k_arena_mark(const arena *a) {
    arena_mark mark = {a->current, a->used, a->total};
    return mark;
}

void j2k_arena_release(arena *a, arena_mark mark) {
    a->current = mark.current;
    a->used = mark.used;
    a->total = mark.total;
}

void j2k_arena_free(arena *a) {
    for (arena_chunk *c = a->first; c;) {
        arena_chunk *next = c->next;
        j2k_aligned_free(c);
        c = next;
    }
    size_t limit = a->limit;
    memset(a, 0, sizeof *a);
    a->limit = limit;
}
