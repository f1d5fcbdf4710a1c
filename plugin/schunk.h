/* Reading a blosc2_schunk whose layout depends on the version of C-Blosc2 that made it.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef SCHUNK_H
#define SCHUNK_H

#include "blosc2_abi.h"

/* A metalayer's content, a view on the schunk's own memory; content is NULL when there is none of that name.
 */
typedef struct metalayer_view {
    const uint8_t *content;
    size_t size;
} metalayer_view;

/* The metalayers that the plugin reads. */
typedef struct schunk_metalayers {
    metalayer_view b2nd;
    metalayer_view jpeg2000;
} schunk_metalayers;

/* Find them. False when the schunk has none of the layouts known here; nothing can be said of it then. */
bool schunk_find_metalayers(const void *schunk, schunk_metalayers *found);

/* What the b2nd metalayer says of an array. */
typedef struct b2nd_array {
    int ndim;
    int64_t shape[ABI_MAX_DIM];
    int32_t chunkshape[ABI_MAX_DIM];
    int32_t blockshape[ABI_MAX_DIM];
    char dtype[128];  /* NumPy's, cut when longer; always terminated */
    int dtype_format; /* 0: NumPy */
} b2nd_array;

/* Parse the metalayer's MessagePack; false when it is malformed. */
bool b2nd_parse(metalayer_view view, b2nd_array *array);

/* Blocks in a chunk. */
int64_t b2nd_blocks_per_chunk(const b2nd_array *array);

#endif
