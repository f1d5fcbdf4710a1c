/* Reading of TLM and PLT.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "index.h"

#include "markers.h"

bool j2k_tlm_next(tlm_reader *r, size_t *tile, uint32_t *length) {
    for (; r->segment < r->cs->num_tlm; r->segment++, r->used = 0) {
        const byte_span *s = &r->cs->tlm[r->segment];
        *tile = SIZE_MAX;
        if (s->size < 1)
            return false;
        unsigned tile_bytes = s->data[0] >> 4 & 3, length_bytes = s->data[0] >> 6 & 1 ? 4 : 2; /* ST, SP */
        size_t left = s->size - 1 - r->used;
        const uint8_t *p = s->data + 1 + r->used;
        if (tile_bytes == 3 || (left && left < tile_bytes + length_bytes))
            return false;
        if (!left)
            continue;
        /* ST = 0: the tiles have one tile-part each, in order. */
        *tile = tile_bytes == 0 ? r->count : tile_bytes == 1 ? p[0] : load_u16(p);
        *length = length_bytes == 2 ? load_u16(p + tile_bytes) : load_u32(p + tile_bytes);
        r->used += tile_bytes + length_bytes;
        r->count++;
        return true;
    }
    *tile = 0;
    return false;
}

bool j2k_tlm_fits(const codestream *cs, const uint8_t *data, size_t size, size_t offset, size_t num_tiles) {
    tlm_reader r = {.cs = cs};
    size_t tile;
    uint32_t length;
    while (j2k_tlm_next(&r, &tile, &length)) {
        if (tile >= num_tiles || length < SOT_SIZE || length > size - offset)
            return false;
        offset += length;
    }
    return tile == 0 && r.count && size - offset >= 2 && load_u16(data + offset) == MARKER_EOC;
}

uint32_t j2k_plt_next(const uint8_t **next, const uint8_t *end) {
    uint64_t length = 0;
    while (*next < end && length <= UINT32_MAX >> 7) {
        unsigned byte = *(*next)++;
        length = length << 7 | (byte & 0x7F);
        if (!(byte & 0x80))
            return (uint32_t)length;
    }
    return 0;
}

bool j2k_plt_fits(byte_span plt, size_t size) {
    const uint8_t *next = plt.data, *end = plt.size ? next + plt.size : next;
    while (next < end) {
        uint32_t length = j2k_plt_next(&next, end);
        if (!length || length > size)
            return false;
        size -= length;
    }
    return size == 0;
}
