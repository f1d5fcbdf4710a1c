/* Reading packets (T.800 B.9, B.10), the input being hostile: every packet takes at least one byte, and the
 * work that it causes is bounded by the bits it brings and by the code-blocks that it opens.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "bitio.h"
#include "index.h"
#include "markers.h"
#include "packet.h"

/* What a packet adds to one codeword segment: known once the header is read, applied when the body is there.
 */
typedef struct contribution {
    codeblock *block;
    uint32_t length;
    uint16_t passes;
    bool complete; /* the segment ends with it */
    bool outside;  /* the code-block is outside the window */
} contribution;

/* A code-block has at most 4096 samples, so that a coding pass never takes anything like this. The bound
 * keeps all sums over a code-block, which has less than SEGMENT_ENDLESS passes, below 2^32. */
enum { MAX_CONTRIBUTION = 0xFFFFFF };

typedef struct packet_reader {
    tile *tile;
    const tile_header *header;
    arena *memory;
    diagnostics *diag;
    uint32_t max_layers;
    const uint8_t *next, *end; /* what is left of the current tile-part */
    uint32_t next_part;
    const uint8_t *lengths, *lengths_end; /* what is left of its PLT; NULL when there is none that fits */
    bool outside;                         /* the code-block whose header is read is outside the window */
    bool packed;                          /* headers come from PPM or PPT */
    const uint8_t *packed_next, *packed_end;
    packet_id id;          /* the current packet, */
    uint64_t number;       /* the how-many-eth it is in the tile, */
    contribution *pending; /* and what its header says */
    size_t num_pending, max_pending;
    data_chunk *chunks; /* unused nodes */
    codeword_segment *segments;
    size_t num_chunks, num_segments;
    uint32_t end_resolution, end_component; /* no packet beyond them is wanted */
    packet_log *log;                        /* NULL: nobody wants one */
} packet_reader;

/* Message for an error in the current packet. */
static j2k_status fail(const packet_reader *r, j2k_status status, const char *what) {
    return j2k_fail(r->diag, status,
                    "tile %u, packet %llu (layer %u, resolution %u, component %u, precinct %u): %s",
                    (unsigned)r->tile->index, (unsigned long long)r->number, (unsigned)r->id.layer,
                    (unsigned)r->id.resolution, (unsigned)r->id.component, (unsigned)r->id.precinct, what);
}

static j2k_status out_of_memory(const packet_reader *r) {
    return fail(r, J2K_ERROR_MEMORY, "out of memory");
}

/* ---- where the bytes come from ---- */

/* Packed headers may go on from one marker segment to the next (A.7.4, A.7.5): join them. */
static j2k_status open_packed_headers(packet_reader *r) {
    const tile_header *h = r->header;
    r->packed = h->num_packed_headers > 0;
    if (!r->packed)
        return J2K_OK;
    size_t size = 0;
    for (uint32_t i = 0; i < h->num_packed_headers; i++)
        size += h->packed_headers[i].size;
    r->packed_next = h->packed_headers[0].data;
    if (h->num_packed_headers > 1) {
        uint8_t *joined = ARENA_ALLOC(r->memory, uint8_t, size);
        RETURN_IF(!joined, out_of_memory(r));
        r->packed_next = joined;
        for (uint32_t i = 0; i < h->num_packed_headers; i++) {
            if (h->packed_headers[i].size)
                memcpy(joined, h->packed_headers[i].data, h->packed_headers[i].size);
            joined += h->packed_headers[i].size;
        }
    }
    r->packed_end = size ? r->packed_next + size : r->packed_next;
    return J2K_OK;
}

static size_t bytes_left(const packet_reader *r) {
    return (size_t)(r->end - r->next);
}

/* A packet does not cross tile-parts (B.9 with A.4.2): before its first byte is read, go to the part that has
 * one. */
static void skip_finished_parts(packet_reader *r) {
    while (r->next == r->end && r->next_part < r->header->num_parts) {
        const byte_span *part = &r->header->parts[r->next_part++];
        r->next = part->data;
        r->end = part->size ? part->data + part->size : part->data;
        r->lengths = NULL;
        const byte_span *plt =
            r->header->packet_lengths && !r->log ? r->header->packet_lengths + r->next_part - 1 : NULL;
        if (plt && plt->size && !r->packed && j2k_plt_fits(*plt, part->size)) {
            r->lengths = plt->data;
            r->lengths_end = plt->data + plt->size;
        }
    }
}

static bool at_marker(const uint8_t *next, const uint8_t *end, unsigned marker) {
    return end - next >= 2 && next[0] == marker >> 8 && next[1] == (marker & 0xFF);
}

/* SOP may be left out even where COD announces it (A.8.1). FF91 can begin neither a packet header nor a body,
 * so that one that was not announced is recognised all the same. */
static j2k_status skip_sop(packet_reader *r) {
    if (!at_marker(r->next, r->end, MARKER_SOP))
        return J2K_OK;
    if (bytes_left(r) < 6)
        return fail(r, J2K_ERROR_TRUNCATED, "the data end in its SOP marker segment");
    if (r->next[2] != 0 || r->next[3] != 4)
        return fail(r, J2K_ERROR_CORRUPT, "its SOP marker segment has a wrong length");
    if ((r->next[4] << 8 | r->next[5]) != (int)(r->number & 0xFFFF))
        return fail(r, J2K_ERROR_CORRUPT, "its SOP marker segment has a wrong number");
    r->next += 6;
    return J2K_OK;
}

/* ---- packet header ---- */

/* The number of coding passes, 1 to 164 (table B.4). */
static unsigned get_pass_count(bit_reader *bits) {
    if (!j2k_bits_get(bits))
        return 1;
    if (!j2k_bits_get(bits))
        return 2;
    unsigned n = j2k_bits_get_n(bits, 2);
    if (n < 3)
        return 3 + n;
    n = j2k_bits_get_n(bits, 5);
    if (n < 31)
        return 6 + n;
    return 37 + j2k_bits_get_n(bits, 7);
}

static unsigned log2_floor(unsigned n) {
    unsigned log = 0;
    while (n >>= 1)
        log++;
    return log;
}

static j2k_status add_pending(packet_reader *r, codeblock *block, uint32_t length, unsigned passes,
                              bool complete) {
    if (r->num_pending == r->max_pending) {
        size_t larger = r->max_pending ? 2 * r->max_pending : 256;
        contribution *pending = ARENA_ALLOC(r->memory, contribution, larger);
        RETURN_IF(!pending, out_of_memory(r));
        if (r->num_pending)
            memcpy(pending, r->pending, r->num_pending * sizeof *pending);
        r->pending = pending;
        r->max_pending = larger;
    }
    contribution c = {block, length, (uint16_t)passes, complete, r->outside};
    r->pending[r->num_pending++] = c;
    return J2K_OK;
}

/* One length field: Lblock + floor(log2(passes)) bits, `have` of which were read before with the value
 * `length`. */
static j2k_status read_length(packet_reader *r, bit_reader *bits, const codeblock *block, unsigned passes,
                              unsigned have, uint32_t *length) {
    unsigned width = block->lblock + log2_floor(passes);
    if (width > 32)
        return fail(r, J2K_ERROR_CORRUPT, "a code-block length of more than 32 bits");
    uint64_t value = (uint64_t)(have ? *length : 0) << (width - have) | j2k_bits_get_n(bits, width - have);
    if (value > MAX_CONTRIBUTION)
        return fail(r, J2K_ERROR_CORRUPT, "a code-block with more bytes than its coding passes can have");
    *length = (uint32_t)value;
    return J2K_OK;
}

/* `left` new passes of an HT code-block whose first cleanup pass has not been seen (T.814): they may all be
 * placeholders, which take no bytes, or the last one of them that a cleanup pass can be is the first cleanup
 * pass. In the latter case the length is of the passes up to there and not zero; in the former, the length
 * field is as long as for all of them. In mixed streams the first length that is not zero also tells whether
 * the code-block is HT: the field of a first cleanup pass has a spare bit at its top. *taken is how many
 * passes were dealt with. */
static j2k_status read_first_cleanup(packet_reader *r, bit_reader *bits, codeblock *block, unsigned style,
                                     unsigned left, unsigned *taken) {
    bool mixed = style & J2K_STYLE_HT_MIXED;
    unsigned refinement = (block->seen_passes + left - 1) % 3; /* passes behind the last possible cleanup */
    uint32_t length = 0;
    unsigned have = 0;
    if (left > refinement) {
        *taken = left - refinement;
        TRY(read_length(r, bits, block, *taken, 0, &length));
        have = block->lblock + log2_floor(*taken);
        bool spare = block->lblock > 3 && length > 1 && !(length >> (have - 1));
        if (length && (!mixed || spare)) {
            block->seen_cleanup = true;
            return add_pending(r, block, length, *taken, true);
        }
    }
    *taken = left;
    TRY(read_length(r, bits, block, left, have, &length));
    if (length && mixed) {
        block->part_1 = true;
        if (j2k_segment_passes(codeblock_style(block, style), block->seen_passes) != SEGMENT_ENDLESS)
            return fail(r, J2K_ERROR_UNSUPPORTED, "mixed block coding with BYPASS or TERMALL");
    } else if (length) {
        return fail(r, J2K_ERROR_CORRUPT, "an HT code-block with bytes before its first cleanup pass");
    }
    return add_pending(r, block, length, left, false);
}

/* Passes and lengths of a code-block that the packet includes (B.10.6, B.10.7). */
static j2k_status read_block_lengths(packet_reader *r, bit_reader *bits, codeblock *block, unsigned style) {
    unsigned left = get_pass_count(bits);
    while (j2k_bits_get(bits) && !bits->overrun)
        if (++block->lblock > 32)
            return fail(r, J2K_ERROR_CORRUPT, "a code-block length of more than 32 bits");
    if (block->seen_passes + left >= SEGMENT_ENDLESS)
        return fail(r, J2K_ERROR_CORRUPT, "a code-block with more coding passes than there can be");
    while (left && !bits->overrun) {
        unsigned share;
        if ((style & J2K_STYLE_HT) && !block->seen_cleanup && !block->part_1) {
            TRY(read_first_cleanup(r, bits, block, style, left, &share));
        } else {
            unsigned whole = j2k_segment_passes(codeblock_style(block, style), block->seen_passes);
            uint32_t length = 0;
            share = min_u32(whole, left);
            TRY(read_length(r, bits, block, share, 0, &length));
            TRY(add_pending(r, block, length, share, share == whole));
        }
        block->seen_passes = (uint16_t)(block->seen_passes + share);
        left -= share;
    }
    return J2K_OK;
}

/* A code-block in this packet for the first time: its missing bit-planes (B.10.5). */
static j2k_status read_zero_bitplanes(packet_reader *r, bit_reader *bits, precinct *p, uint32_t index,
                                      unsigned limit) {
    unsigned planes = 0;
    while (!j2k_tagtree_decode(&p->zero_bitplanes, bits, index, planes + 1) && !bits->overrun)
        if (++planes > limit)
            return fail(r, J2K_ERROR_CORRUPT,
                        "a code-block with more missing bit-planes than its subband has");
    p->blocks[index].zero_bitplanes = (uint8_t)planes;
    return J2K_OK;
}

/* After the inclusion tree said no to a block: the level (0: leaves) of the highest node that the answer
 * holds for. The blocks under that node need no look. */
static unsigned excluded_level(const tagtree *tree, uint32_t index, unsigned threshold) {
    unsigned level = 0;
    for (const tagtree_node *up = tree->nodes[index].parent; up && up->low >= threshold; up = up->parent)
        level++;
    return level;
}

static uint32_t behind_cell(uint32_t position, unsigned level) {
    return ((position >> level) + 1) << level;
}

/* Columns and rows that are known to hold no more included blocks are skipped, so that the time taken depends
 * on the bits read, not on the number of blocks. */
static j2k_status read_precinct_header(packet_reader *r, bit_reader *bits, const subband *band,
                                       unsigned style, unsigned planes) {
    precinct *p = band->precincts[r->id.precinct];
    uint32_t next_row;
    for (uint32_t y = 0; y < p->blocks_high; y = next_row) {
        next_row = p->blocks_high;
        for (uint32_t x = 0; x < p->blocks_wide;) {
            uint32_t index = y * p->blocks_wide + x;
            codeblock *block = &p->blocks[index];
            bool first = block->seen_passes == 0;
            if (first && !j2k_tagtree_decode(&p->inclusion, bits, index, r->id.layer + 1)) {
                unsigned level = excluded_level(&p->inclusion, index, r->id.layer + 1);
                x = behind_cell(x, level);
                next_row = min_u32(next_row, behind_cell(y, level));
                continue;
            }
            x++;
            next_row = y + 1;
            if (first)
                TRY(read_zero_bitplanes(r, bits, p, index, planes));
            else if (!j2k_bits_get(bits))
                continue;
            r->outside = rect_empty(rect_intersect(block->area, band->coefficients.area));
            TRY(read_block_lengths(r, bits, block, style));
            if (bits->overrun)
                return J2K_OK; /* the caller looks at it */
        }
    }
    return J2K_OK;
}

static j2k_status open_precinct(packet_reader *r, subband *band, const resolution *res) {
    if (band->precincts[r->id.precinct])
        return J2K_OK;
    if (!budget_spend(r->tile->budget, j2k_precinct_block_count(band, res, r->id.precinct)))
        return fail(r, J2K_ERROR_LIMIT,
                    "more code-blocks than the stream's size and the samples wanted warrant");
    RETURN_IF(j2k_precinct_open(band, res, r->id.precinct, r->memory) != J2K_OK, out_of_memory(r));
    return J2K_OK;
}

static j2k_status read_header(packet_reader *r, resolution *res, const component_style *style) {
    const uint8_t **next = r->packed ? &r->packed_next : &r->next;
    const uint8_t *end = r->packed ? r->packed_end : r->end;
    bit_reader bits;
    j2k_bits_open(&bits, *next, (size_t)(end - *next));
    r->num_pending = 0;
    if (j2k_bits_get(&bits)) {
        for (unsigned b = 0; b < res->num_bands && !bits.overrun; b++) {
            subband *band = &res->bands[b];
            TRY(open_precinct(r, band, res));
            TRY(read_precinct_header(r, &bits, band, style->coding.codeblock_style,
                                     min_u32(band->num_bitplanes + style->roi_shift, UINT8_MAX)));
        }
    }
    *next = j2k_bits_close(&bits);
    if (bits.overrun)
        return fail(r, J2K_ERROR_TRUNCATED, "the data end in its header");
    if (!r->tile->style->eph)
        return J2K_OK;
    if (end - *next < 2)
        return fail(r, J2K_ERROR_TRUNCATED, "the data end before its EPH marker");
    if (!at_marker(*next, end, MARKER_EPH))
        return fail(r, J2K_ERROR_CORRUPT, "its EPH marker is missing");
    *next += 2;
    return J2K_OK;
}

/* ---- log ---- */

/* Room for one more element of a growing array, or NULL. */
static void *grow(const packet_reader *r, void *array, size_t element, size_t count, size_t *capacity) {
    if (count < *capacity)
        return array;
    size_t larger = *capacity ? 2 * *capacity : 256;
    void *grown = j2k_arena_alloc(r->memory, larger, element);
    if (grown && count)
        memcpy(grown, array, count * element);
    *capacity = grown ? larger : *capacity;
    return grown;
}

static j2k_status log_packet(const packet_reader *r, byte_span header, byte_span body) {
    packet_log *log = r->log;
    if (!log || !log->want_packets)
        return J2K_OK;
    log->packets = grow(r, log->packets, sizeof *log->packets, log->num_packets, &log->max_packets);
    RETURN_IF(!log->packets, out_of_memory(r));
    log->packets[log->num_packets++] = (packet_record){r->id, header, body};
    return J2K_OK;
}

/* What code-block c->block has with this contribution. */
static j2k_status log_passes(const packet_reader *r, const contribution *c) {
    packet_log *log = r->log;
    if (!log || !log->want_passes)
        return J2K_OK;
    log->passes = grow(r, log->passes, sizeof *log->passes, log->num_passes, &log->max_passes);
    RETURN_IF(!log->passes, out_of_memory(r));
    log->passes[log->num_passes++] = (pass_record){c->block, r->id.layer, c->block->num_passes};
    return J2K_OK;
}

/* ---- packet body ---- */

enum { NODES_AT_ONCE = 256 };

static data_chunk *new_chunk(packet_reader *r) {
    if (r->num_chunks == 0) {
        r->chunks = ARENA_ALLOC(r->memory, data_chunk, NODES_AT_ONCE);
        r->num_chunks = r->chunks ? NODES_AT_ONCE : 0;
    }
    return r->num_chunks ? &r->chunks[--r->num_chunks] : NULL;
}

static codeword_segment *new_segment(packet_reader *r) {
    if (r->num_segments == 0) {
        r->segments = ARENA_ALLOC(r->memory, codeword_segment, NODES_AT_ONCE);
        r->num_segments = r->segments ? NODES_AT_ONCE : 0;
    }
    return r->num_segments ? &r->segments[--r->num_segments] : NULL;
}

/* Hang a contribution whose bytes are at r->next into its code-block. */
static j2k_status keep(packet_reader *r, const contribution *c) {
    codeblock *block = c->block;
    codeword_segment *last = block->u.dec.last_segment;
    if (!last || last->complete) {
        codeword_segment *fresh = new_segment(r);
        RETURN_IF(!fresh, out_of_memory(r));
        fresh->next = NULL;
        fresh->num_passes = 0;
        fresh->size = 0;
        if (last)
            last->next = fresh;
        else
            block->u.dec.first_segment = fresh;
        block->u.dec.last_segment = last = fresh;
    }
    last->num_passes = (uint16_t)(last->num_passes + c->passes);
    last->size += c->length;
    last->complete = c->complete;
    block->num_passes = (uint16_t)(block->num_passes + c->passes);
    block->u.dec.num_bytes += c->length;
    TRY(log_passes(r, c));
    if (c->length == 0)
        return J2K_OK;
    data_chunk *chunk = new_chunk(r);
    RETURN_IF(!chunk, out_of_memory(r));
    chunk->next = NULL;
    chunk->data = r->next;
    chunk->size = c->length;
    chunk->num_passes = block->num_passes;
    if (block->u.dec.last_chunk)
        block->u.dec.last_chunk->next = chunk;
    else
        block->u.dec.first_chunk = chunk;
    block->u.dec.last_chunk = chunk;
    return J2K_OK;
}

static j2k_status read_body(packet_reader *r, bool wanted) {
    for (size_t i = 0; i < r->num_pending; i++) {
        const contribution *c = &r->pending[i];
        if (c->length > bytes_left(r))
            return fail(r, J2K_ERROR_TRUNCATED, "the data end in its body");
        if (wanted && !c->outside)
            TRY(keep(r, c));
        if (c->length)
            r->next += c->length;
    }
    return J2K_OK;
}

/* ---- packets ---- */

/* Whether some subband's window needs the precinct. One that it does not need is never read, so that what its
 * packets leave behind for each other does not matter. */
static bool precinct_in_window(const resolution *res, uint32_t index) {
    for (unsigned b = 0; b < res->num_bands; b++) {
        const subband *band = &res->bands[b];
        if (!rect_empty(rect_intersect(j2k_precinct_area(band, res, index), band->coefficients.area)))
            return true;
    }
    return false;
}

static j2k_status read_packet(packet_reader *r) {
    tile_component *tc = &r->tile->components[r->id.component];
    resolution *res = &tc->resolutions[r->id.resolution];
    bool wanted = tc->wanted && r->id.resolution < tc->wanted_resolutions && r->id.layer < r->max_layers;
    skip_finished_parts(r);
    const uint8_t *begin = r->next;
    size_t length = 0;
    if (r->lengths) {
        length = j2k_plt_next(&r->lengths, r->lengths_end);
        if (length && !(wanted && precinct_in_window(res, r->id.precinct))) {
            r->next += length;
            r->tile->packets_skipped = true;
            return J2K_OK;
        }
    }
    TRY(skip_sop(r));
    if (r->packed ? r->packed_next == r->packed_end : r->next == r->end)
        return fail(r, J2K_ERROR_TRUNCATED, "the data end before it");
    byte_span header = {r->packed ? r->packed_next : r->next, 0}, body = {NULL, 0};
    TRY(read_header(r, res, tc->style));
    header.size = (size_t)((r->packed ? r->packed_next : r->next) - header.data);
    header.size -= r->tile->style->eph ? 2 : 0;
    body.data = r->next;
    TRY(read_body(r, wanted));
    body.size = (size_t)(r->next - body.data);
    if (r->lengths && (size_t)(r->next - begin) != length) {
        if (r->tile->packets_skipped)
            return fail(r, J2K_ERROR_CORRUPT, "its length is not what PLT says");
        r->lengths = NULL;
    }
    return log_packet(r, header, body);
}

static void find_wanted_range(packet_reader *r) {
    for (uint32_t c = 0; c < r->tile->num_components; c++) {
        const tile_component *tc = &r->tile->components[c];
        if (!tc->wanted)
            continue;
        r->end_component = c + 1;
        r->end_resolution = max_u32(r->end_resolution, tc->wanted_resolutions);
    }
}

/* Whether neither this packet nor any after it is wanted: its order's outermost loop has left the wanted
 * range. */
static bool rest_unwanted(const packet_reader *r) {
    if (r->end_component == 0)
        return true;
    if (r->tile->style->num_changes)
        return false;
    switch (r->tile->style->order) {
    case J2K_LRCP:
        return r->id.layer >= r->max_layers;
    case J2K_RLCP:
    case J2K_RPCL:
        return r->id.resolution >= r->end_resolution;
    case J2K_CPRL:
        return r->id.component >= r->end_component;
    default:
        return false;
    }
}

static j2k_status read_packets(packet_reader *r, const image_siz *siz, bool tolerant, bool *complete) {
    *complete = true;
    find_wanted_range(r);
    packet_iterator *it = j2k_packets_begin(r->tile, siz, r->memory);
    RETURN_IF(!it, out_of_memory(r));
    j2k_status status = open_packed_headers(r);
    for (; status == J2K_OK && j2k_packets_next(it, &r->id) && !rest_unwanted(r); r->number++)
        status = read_packet(r);
    if (status == J2K_OK && r->tile->budget && r->tile->budget->exceeded)
        return fail(r, J2K_ERROR_LIMIT, "more progression order changes than the stream's size warrants");
    if (tolerant && !r->tile->packets_skipped &&
        (status == J2K_ERROR_TRUNCATED || status == J2K_ERROR_CORRUPT)) {
        j2k_warn(r->diag, "%s", r->diag->message);
        r->diag->message[0] = 0;
        *complete = false;
        return J2K_OK;
    }
    return status;
}

j2k_status j2k_packets_read(tile *t, const tile_header *header, const image_siz *siz, uint32_t max_layers,
                            bool tolerant, arena *memory, bool *complete, diagnostics *diag) {
    packet_reader r = {.tile = t, .header = header, .memory = memory, .diag = diag};
    r.max_layers = max_layers ? max_layers : UINT32_MAX;
    return read_packets(&r, siz, tolerant, complete);
}

j2k_status j2k_packets_read_logged(tile *t, const tile_header *header, const image_siz *siz, bool tolerant,
                                   packet_log *log, arena *memory, bool *complete, diagnostics *diag) {
    packet_reader r = {
        .tile = t, .header = header, .memory = memory, .diag = diag, .max_layers = UINT32_MAX, .log = log};
    return read_packets(&r, siz, tolerant, complete);
}
