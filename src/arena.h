/* Arenas: memory handed out by advancing a pointer and given back all at once.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_ARENA_H
#define J2K_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* An arena keeps a list of chunks. Memory handed out is aligned to 64 bytes and lives until the arena is
 * reset or freed; a reset keeps the chunks for the next job, so that a context that codes images of one size
 * stops allocating after the first. Not thread-safe: one arena belongs to one worker at a time. */
typedef struct arena {
    struct arena_chunk *first;   /* all chunks, in the order of their use */
    struct arena_chunk *current; /* the one being handed out */
    size_t used;                 /* bytes handed out from current */
    size_t total;                /* bytes handed out from all chunks since the last reset */
    size_t limit;                /* total may not exceed it; 0: no limit */
} arena;

/* count * size bytes (checked), NULL when memory or the limit is exceeded. A zero-sized request gives a valid
 * pointer. */
void *j2k_arena_alloc(arena *a, size_t count, size_t size);      /* contents undefined */
void *j2k_arena_alloc_zero(arena *a, size_t count, size_t size); /* zeroed */
void j2k_arena_reset(arena *a);
void j2k_arena_free(arena *a);

/* Where an arena stands; going back there gives all that was handed out since. */
typedef struct arena_mark {
    struct arena_chunk *current;
    size_t used, total;
} arena_mark;
arena_mark j2k_arena_mark(const arena *a);
void j2k_arena_release(arena *a, arena_mark mark);

#define ARENA_ALLOC(a, type, count)      ((type *)j2k_arena_alloc((a), (count), sizeof(type)))
#define ARENA_ALLOC_ZERO(a, type, count) ((type *)j2k_arena_alloc_zero((a), (count), sizeof(type)))

#endif
