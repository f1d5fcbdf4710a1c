/* Reading a blosc2_schunk whose layout depends on the version of C-Blosc2 that made it.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "schunk.h"

/* Whether a word can be the address of a heap object. Lengths, counters and flags cannot: they are small or
 * not aligned. */
static bool is_object(const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    return address >= 65536 && address % sizeof(void *) == 0;
}

/* Layouts are told apart by the pattern that the tail must show at its true place: three pointers that are
 * never NULL, a length, then an array of pointers filled up to nmetalayers and NULL after it. A schunk of
 * another layout shows at this place the same words moved by one or more, and each such shift puts a word of
 * the wrong kind into at least one of these positions: a pointer where the first unused metalayer should be
 * NULL, or a count in the place of a pointer. */
static bool is_tail(const abi_schunk_tail *tail) {
    if (!is_object(tail->storage) || !is_object(tail->cctx) || !is_object(tail->dctx))
        return false;
    if ((tail->frame && !is_object(tail->frame)) || (tail->data && !is_object(tail->data)))
        return false;
    if (tail->nchunks < 0 || tail->nbytes < 0 || tail->cbytes < 0 || tail->nmetalayers > ABI_MAX_METALAYERS)
        return false;
    for (int i = 0; i < ABI_MAX_METALAYERS; i++) {
        if (i < tail->nmetalayers ? !is_object(tail->metalayers[i]) : tail->metalayers[i] != NULL)
            return false;
    }
    return true;
}

static metalayer_view find(const abi_schunk_tail *tail, const char *name) {
    for (int i = 0; i < tail->nmetalayers; i++) {
        const abi_metalayer *layer = tail->metalayers[i];
        if (layer->name && strcmp(layer->name, name) == 0 && layer->content && layer->content_len >= 0)
            return (metalayer_view){layer->content, (size_t)layer->content_len};
    }
    return (metalayer_view){NULL, 0};
}

bool schunk_find_metalayers(const void *schunk, schunk_metalayers *found) {
    const abi_schunk_tail *tails[] = {&((const abi_schunk_v2 *)schunk)->tail,
                                      &((const abi_schunk_v3 *)schunk)->tail};
    const abi_schunk_tail *tail = NULL;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        if (!is_tail(tails[i]))
            continue;
        if (tail) /* both fit: cannot happen, see above; if it does, do not guess */
            return false;
        tail = tails[i];
    }
    if (!tail)
        return false;
    found->b2nd = find(tail, "b2nd");
    found->jpeg2000 = find(tail, "jpeg2000");
    return true;
}

/* ---- the b2nd metalayer: [version, ndim, shape, chunkshape, blockshape, dtype_format, dtype]
 * -------------------- */

typedef struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool good;
} reader;

static uint64_t take(reader *r, size_t bytes) {
    if ((size_t)(r->end - r->next) < bytes)
        r->good = false;
    if (!r->good)
        return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | *r->next++;
    return value;
}

static void expect(reader *r, uint64_t byte) {
    if (take(r, 1) != byte)
        r->good = false;
}

/* An array of ndim integers, each with its type byte; C-Blosc2 writes the array's head as 0x90 + ndim even
 * for 16. */
static void take_lengths(reader *r, int ndim, uint64_t type, size_t bytes, int64_t *lengths) {
    expect(r, (uint64_t)(0x90 + ndim));
    for (int i = 0; i < ndim; i++) {
        expect(r, type);
        uint64_t value = take(r, bytes);
        if (value > (bytes == 8 ? INT64_MAX : INT32_MAX))
            r->good = false;
        lengths[i] = (int64_t)value;
    }
}

bool b2nd_parse(metalayer_view view, b2nd_array *array) {
    reader r = {view.content, view.content + view.size, true};
    int64_t lengths[ABI_MAX_DIM];
    memset(array, 0, sizeof *array);
    expect(&r, 0x97);
    (void)take(&r, 1); /* version */
    uint64_t ndim = take(&r, 1);
    if (!r.good || ndim > ABI_MAX_DIM)
        return false;
    array->ndim = (int)ndim;
    take_lengths(&r, array->ndim, 0xd3, 8, array->shape);
    take_lengths(&r, array->ndim, 0xd2, 4, lengths);
    for (int i = 0; i < array->ndim; i++)
        array->chunkshape[i] = (int32_t)lengths[i];
    take_lengths(&r, array->ndim, 0xd2, 4, lengths);
    for (int i = 0; i < array->ndim; i++)
        array->blockshape[i] = (int32_t)lengths[i];
    array->dtype_format = (int)take(&r, 1);
    expect(&r, 0xdb);
    uint64_t length = take(&r, 4);
    if (!r.good || length > (size_t)(r.end - r.next))
        return false;
    size_t kept = length < sizeof array->dtype ? (size_t)length : sizeof array->dtype - 1;
    if (kept)
        memcpy(array->dtype, r.next, kept);
    return true;
}

int64_t b2nd_blocks_per_chunk(const b2nd_array *array) {
    int64_t blocks = 1;
    for (int i = 0; i < array->ndim; i++) {
        int64_t chunk = array->chunkshape[i], block = array->blockshape[i];
        if (chunk <= 0 || block <= 0)
            return 1;
        blocks *= (chunk + block - 1) / block;
        if (blocks > INT32_MAX)
            return INT32_MAX;
    }
    return blocks;
}
