/* A codestream from its tile trees: headers, tile-parts, packets.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "stream_write.h"

/* How a tile's packets fall into tile-parts, and how long they are. What stands in front of the packets
 * (TNsot, PLT, TLM) says it, so that it has to be known first: from a run that only counts. */
typedef struct tile_plan {
    uint32_t num_packets;
    uint32_t num_parts;
    uint32_t part_start[256]; /* first packet of every part, and the end */
    uint32_t *lengths;        /* of the packets; only with PLT */
} tile_plan;

enum { MAX_TILE_PARTS = 255 }; /* TNsot is one byte */

static uint32_t division_key(char tile_parts, packet_id id) {
    return tile_parts == 'R'   ? id.resolution
           : tile_parts == 'L' ? id.layer
           : tile_parts == 'C' ? id.component
                               : 0;
}

static packet_iterator *begin_packets(const stream_writer *w, tile *t) {
    j2k_arena_reset(&w->context->scratch);
    packet_iterator *it = j2k_packets_begin(t, &w->cs->siz, &w->context->scratch);
    if (it && !w->packets)
        j2k_packets_prepare(t);
    return it;
}

static j2k_status put_packet(const stream_writer *w, tile *t, packet_id id, byte_sink *sink,
                             uint32_t number) {
    return w->packets ? w->packets(w->user, t, id, sink, number) : j2k_packet_write(t, id, sink, number);
}

/* A new tile-part begins where the key changes, until the number of parts that a header can count is used up.
 */
static j2k_status plan_parts(const stream_writer *w, tile *t, tile_plan *plan) {
    *plan = (tile_plan){.num_parts = 1};
    packet_iterator *it = begin_packets(w, t);
    RETURN_IF(!it, J2K_ERROR_MEMORY);
    packet_id id;
    uint32_t key = 0;
    for (; j2k_packets_next(it, &id); plan->num_packets++) {
        uint32_t k = division_key(w->tile_parts, id);
        if (plan->num_packets && k != key && plan->num_parts < MAX_TILE_PARTS)
            plan->part_start[plan->num_parts++] = plan->num_packets;
        key = k;
    }
    plan->part_start[plan->num_parts] = plan->num_packets;
    return J2K_OK;
}

/* Lengths of the packets; while the layers are not known yet, a bound on them. */
static j2k_status plan_lengths(const stream_writer *w, tile *t, bool known, tile_plan *plan) {
    plan->lengths = ARENA_ALLOC(&w->context->work, uint32_t, plan->num_packets);
    packet_iterator *it = begin_packets(w, t);
    RETURN_IF(!plan->lengths || !it, J2K_ERROR_MEMORY);
    packet_id id;
    byte_sink counter = {NULL, 0, 0};
    for (uint32_t n = 0; j2k_packets_next(it, &id); n++) {
        size_t before = counter.size;
        if (known)
            TRY(put_packet(w, t, id, &counter, n));
        plan->lengths[n] = known ? (uint32_t)(counter.size - before) : w->packet_bound;
    }
    return J2K_OK;
}

/* SOT, what the tile's header says, PLT, SOD. */
static j2k_status begin_part(const stream_writer *w, const tile *t, const tile_plan *plan, uint32_t part,
                             byte_sink *sink, size_t *sot) {
    *sot = j2k_write_sot(sink, t->index, part, plan->num_parts);
    if (w->headers && part == 0)
        j2k_write_tile_header(sink, w->cs, &w->headers[t->index]);
    uint32_t first = plan->part_start[part];
    if (w->plt && !j2k_write_plt(sink, plan->lengths + first, plan->part_start[part + 1] - first))
        return j2k_fail(&w->context->diag, J2K_ERROR_UNSUPPORTED, "tile %u has too many packets for PLT",
                        t->index);
    j2k_write_sod(sink);
    return J2K_OK;
}

/* Where the lengths of tile-parts go. */
typedef struct tlm_writer {
    size_t offset;
    uint32_t next;
} tlm_writer;

static void end_part(const stream_writer *w, const tile *t, byte_sink *sink, size_t sot, tlm_writer *tlm) {
    j2k_end_tile_part(sink, sot);
    if (w->tlm)
        j2k_patch_tlm(sink, tlm->offset, tlm->next++, t->index, (uint32_t)(sink->size - sot));
}

static j2k_status write_tile(const stream_writer *w, tile *t, const tile_plan *plan, byte_sink *sink,
                             bool body, tlm_writer *tlm) {
    packet_iterator *it = begin_packets(w, t);
    RETURN_IF(!it, J2K_ERROR_MEMORY);
    packet_id id;
    for (uint32_t part = 0, n = 0; part < plan->num_parts; part++) {
        size_t sot;
        TRY(begin_part(w, t, plan, part, sink, &sot));
        for (; body && n < plan->part_start[part + 1] && j2k_packets_next(it, &id); n++)
            TRY(put_packet(w, t, id, sink, n));
        end_part(w, t, sink, sot, tlm);
    }
    return J2K_OK;
}

j2k_status j2k_stream_write(stream_writer *w, byte_sink *sink, bool body) {
    tile_plan *plans = ARENA_ALLOC(&w->context->work, tile_plan, w->num_tiles);
    RETURN_IF(!plans, J2K_ERROR_MEMORY);
    uint32_t parts = 0;
    for (uint32_t i = 0; i < w->num_tiles; i++) {
        TRY(plan_parts(w, &w->tiles[i], &plans[i]));
        if (w->plt)
            TRY(plan_lengths(w, &w->tiles[i], body, &plans[i]));
        parts += plans[i].num_parts;
    }
    j2k_write_main_header(sink, w->cs, w->comment);
    j2k_write_com(sink, w->note);
    for (size_t i = 0; i < w->num_segments; i++)
        j2k_put_bytes(sink, w->segments[i].data, w->segments[i].size);
    tlm_writer tlm = {0, 0};
    if (w->tlm) {
        if (parts > J2K_MAX_TLM_PARTS)
            return j2k_fail(&w->context->diag, J2K_ERROR_UNSUPPORTED, "%u tile-parts are too many for TLM",
                            parts);
        tlm.offset = j2k_write_tlm(sink, parts);
    }
    for (uint32_t i = 0; i < w->num_tiles; i++)
        TRY(write_tile(w, &w->tiles[i], &plans[i], sink, body, &tlm));
    j2k_write_eoc(sink);
    return J2K_OK;
}
