/* TLM and PLT: the marker segments that say where tile-parts and packets are (T.800 A.7.1, A.7.3).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_INDEX_H
#define J2K_INDEX_H

#include "codestream.h"

/* Both only help to find things, and both may be wrong. So they are used when they agree with everything that
 * is looked at, and else things are done without them. */

/* Entries of the TLM segments, one after the other. */
typedef struct tlm_reader {
    const codestream *cs;
    uint32_t segment;
    size_t used, count;
} tlm_reader;

/* The next tile-part in codestream order: its tile and length. False behind the last one, and where the
 * segments are malformed: then *tile is SIZE_MAX. */
bool j2k_tlm_next(tlm_reader *r, size_t *tile, uint32_t *length);

/* Whether TLM names tiles below num_tiles only, and its lengths lead from the first SOT, at `offset`, exactly
 * to EOC. Every tile-part then lies inside the data. */
bool j2k_tlm_fits(const codestream *cs, const uint8_t *data, size_t size, size_t offset, size_t num_tiles);

/* The next packet length of PLT contents at *next; 0, which no packet has, at their end and for what is not a
 * length below 2^32. */
uint32_t j2k_plt_next(const uint8_t **next, const uint8_t *end);

/* Whether the lengths of a tile-part's PLT add up to `size`, what its packets take. */
bool j2k_plt_fits(byte_span plt, size_t size);

#endif
