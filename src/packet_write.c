/* Writing packets (T.800 B.9, B.10).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "bitio.h"
#include "markers.h"
#include "packet.h"

/* floor(log2(n)) for n >= 1. */
static unsigned log2_floor(uint32_t n) {
    unsigned log = 0;
    while (n >>= 1)
        log++;
    return log;
}

/* The number of coding passes, 1 to 164 (table B.4). */
static void put_pass_count(bit_writer *bits, unsigned n) {
    if (n == 1)
        j2k_bits_put(bits, 0);
    else if (n == 2)
        j2k_bits_put_n(bits, 2, 2);
    else if (n <= 5)
        j2k_bits_put_n(bits, 0xC | (n - 3), 4);
    else if (n <= 36)
        j2k_bits_put_n(bits, 0x1E0 | (n - 6), 9);
    else
        j2k_bits_put_n(bits, 0xFF80 | (n - 37), 16);
}

/* Passes and bytes of a code-block before a layer. Of an HT code-block the passes before the HT set that is
 * sent count as done: they have no place in the packets, and their bit-planes are missing ones. */
static unsigned passes_before(const codeblock *block, uint32_t layer) {
    unsigned passes = block->num_passes && layer ? block->u.enc.layer_passes[layer - 1] : 0;
    return max_u32(passes, block->u.enc.first_pass);
}
static unsigned passes_through(const codeblock *block, uint32_t layer) {
    unsigned passes = block->num_passes ? block->u.enc.layer_passes[layer] : 0;
    return max_u32(passes, block->u.enc.first_pass);
}
static unsigned zero_bitplanes(const codeblock *block) {
    return block->zero_bitplanes + block->u.enc.first_pass / 3u;
}
static uint32_t bytes_of(const codeblock *block, unsigned passes) {
    return passes ? block->u.enc.passes[passes - 1].length : 0;
}

/* How many of the passes [first, end) belong to the codeword segment of the first one. */
static unsigned segment_share(unsigned style, unsigned first, unsigned end) {
    unsigned share = j2k_segment_passes(style, first);
    return share < end - first ? share : end - first;
}

/* The lengths of the codeword segments that passes [first, end) belong to (B.10.7): Lblock grows by as much
 * as the longest needs, then each length takes Lblock + floor(log2(its passes in this packet)) bits. */
static void put_lengths(bit_writer *bits, codeblock *block, unsigned style, unsigned first, unsigned end) {
    unsigned lblock = block->lblock;
    for (unsigned pass = first; pass < end;) {
        unsigned share = segment_share(style, pass, end);
        uint32_t length = bytes_of(block, pass + share) - bytes_of(block, pass);
        unsigned needed = length ? log2_floor(length) + 1 : 0;
        unsigned extra = log2_floor(share);
        if (needed > lblock + extra)
            lblock = needed - extra;
        pass += share;
    }
    for (; block->lblock < lblock; block->lblock++)
        j2k_bits_put(bits, 1);
    j2k_bits_put(bits, 0);
    for (unsigned pass = first; pass < end;) {
        unsigned share = segment_share(style, pass, end);
        uint32_t length = bytes_of(block, pass + share) - bytes_of(block, pass);
        j2k_bits_put_n(bits, length, lblock + log2_floor(share));
        pass += share;
    }
}

static void put_block(bit_writer *bits, precinct *p, uint32_t index, unsigned style, uint32_t layer) {
    codeblock *block = &p->blocks[index];
    unsigned first = passes_before(block, layer), end = passes_through(block, layer);
    bool included = first > block->u.enc.first_pass;
    if (included)
        j2k_bits_put(bits, end > first);
    else
        j2k_tagtree_encode(&p->inclusion, bits, index, layer + 1);
    if (end == first)
        return;
    if (!included)
        j2k_tagtree_encode(&p->zero_bitplanes, bits, index, zero_bitplanes(block) + 1);
    put_pass_count(bits, end - first);
    put_lengths(bits, block, style, first, end);
}

static bool packet_empty(const resolution *res, packet_id id) {
    for (unsigned b = 0; b < res->num_bands; b++) {
        const precinct *p = res->bands[b].precincts[id.precinct];
        for (uint32_t i = 0; p && i < p->blocks_wide * p->blocks_high; i++)
            if (passes_through(&p->blocks[i], id.layer) > passes_before(&p->blocks[i], id.layer))
                return false;
    }
    return true;
}

static void put_header(byte_sink *sink, const resolution *res, packet_id id, unsigned style, bool empty) {
    bit_writer bits;
    j2k_bits_begin(&bits, sink);
    j2k_bits_put(&bits, !empty);
    for (unsigned b = 0; b < res->num_bands && !empty; b++) {
        precinct *p = res->bands[b].precincts[id.precinct];
        for (uint32_t i = 0; i < p->blocks_wide * p->blocks_high; i++)
            put_block(&bits, p, i, style, id.layer);
    }
    j2k_bits_end(&bits);
}

static void put_body(byte_sink *sink, const resolution *res, packet_id id) {
    for (unsigned b = 0; b < res->num_bands; b++) {
        const precinct *p = res->bands[b].precincts[id.precinct];
        for (uint32_t i = 0; i < p->blocks_wide * p->blocks_high; i++) {
            const codeblock *block = &p->blocks[i];
            uint32_t begin = bytes_of(block, passes_before(block, id.layer));
            uint32_t end = bytes_of(block, passes_through(block, id.layer));
            if (end == begin)
                continue;
            j2k_put_bytes(sink, block->u.enc.data + begin, end - begin);
        }
    }
}

j2k_status j2k_packet_write(tile *t, packet_id id, byte_sink *sink, uint32_t packet_number) {
    const tile_component *tc = &t->components[id.component];
    const resolution *res = &tc->resolutions[id.resolution];
    bool empty = packet_empty(res, id);
    if (t->style->sop)
        j2k_write_sop(sink, packet_number);
    put_header(sink, res, id, tc->style->coding.codeblock_style, empty);
    if (t->style->eph)
        j2k_put_u16(sink, MARKER_EPH);
    if (!empty)
        put_body(sink, res, id);
    return J2K_OK;
}

static void prepare_precinct(precinct *p, uint32_t num_layers) {
    j2k_tagtree_clear(&p->inclusion);
    j2k_tagtree_clear(&p->zero_bitplanes);
    for (uint32_t i = 0; i < p->blocks_wide * p->blocks_high; i++) {
        codeblock *block = &p->blocks[i];
        block->lblock = 3;
        if (passes_through(block, num_layers - 1) == block->u.enc.first_pass)
            continue; /* never included: it stays infinite in both trees, which then cost least */
        uint32_t layer = 0;
        while (passes_through(block, layer) == block->u.enc.first_pass)
            layer++;
        j2k_tagtree_set(&p->inclusion, i, layer);
        j2k_tagtree_set(&p->zero_bitplanes, i, zero_bitplanes(block));
    }
}

void j2k_packets_prepare(tile *t) {
    for (uint32_t c = 0; c < t->num_components; c++) {
        for (unsigned r = 0; r < t->components[c].num_resolutions; r++) {
            resolution *res = &t->components[c].resolutions[r];
            for (unsigned b = 0; b < res->num_bands; b++)
                for (size_t p = 0; p < (size_t)res->num_precincts_x * res->num_precincts_y; p++)
                    if (res->bands[b].precincts[p])
                        prepare_precinct(res->bands[b].precincts[p], t->style->num_layers);
        }
    }
}
