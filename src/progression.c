/* The order of packets (T.800 B.12), over a list of cursors instead of sample positions.
 *
 * A cursor stands for one resolution of one tile-component that has precincts. A progression volume (the
 * whole tile, or one POC change) takes the cursors inside its bounds, sorts them into groups that the outer
 * loops of its order go through one after the other, and walks each group in one of two ways:
 *
 *   LRCP  one group                         layer by layer
 *   RLCP  a group per resolution            layer by layer
 *   RPCL  a group per resolution            by position
 *   PCRL  one group                         by position
 *   CPRL  a group per component             by position
 *
 * Since every volume takes whole cursors, all precincts of a cursor have the same number of layers sent when
 * a volume begins: one number per cursor remembers what later volumes must leave out.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "progression.h"

typedef struct cursor {
    uint32_t component, resolution;
    uint32_t num_precincts, wide;
    uint32_t precinct, column; /* the one whose turn is next, and its column */
    uint16_t first_layer;      /* layers below it have been sent */
    uint64_t position; /* of that precinct on the reference grid: y in the upper half, x in the lower */
    uint64_t row_step, column_step; /* distance of precincts on the reference grid, 2^PPy 2^(NL-r) YRsiz */
    uint64_t row_origin, column_origin; /* where the first row would begin if the tile did not cut it */
} cursor;

struct packet_iterator {
    const tile *tile;
    const image_siz *siz;
    progression_change volume; /* the current one, clipped to the tile */
    uint32_t next_change;
    uint16_t *layers_sent; /* [component][resolution], NULL when there is only one volume */
    cursor *cursors;       /* those of the volume, in the order of their groups */
    uint32_t *heap;        /* by position: the cursors of the group, earliest first */
    uint32_t num_cursors;
    uint32_t group_begin, group_end;
    uint32_t heap_size;
    uint32_t current; /* cursor whose precinct is being sent */
    uint32_t layer;
    uint32_t most_resolutions; /* of any component */
    uint32_t steps;            /* that delivered no packet, not yet paid for */
    bool by_position;
    bool in_group;
};

enum { SENT_STRIDE = J2K_MAX_RESOLUTIONS };

static uint16_t *layers_sent(const packet_iterator *it, uint32_t component, uint32_t r) {
    return &it->layers_sent[(size_t)component * SENT_STRIDE + r];
}

/* ---- cursors ---- */

/* Where the loops over y and x of B.12.1.3 to B.12.1.5 meet the precinct. They meet a row of precincts at the
 * multiple of row_step where it begins, and one that begins before the tile at the tile's first row; columns
 * likewise. Hence positions ascend with the precinct index. */
static void cursor_locate(cursor *c, const rect *area) {
    uint64_t y = c->row_origin + c->precinct / c->wide * c->row_step;
    uint64_t x = c->column_origin + c->column * c->column_step;
    y = y > area->y0 ? y : area->y0;
    x = x > area->x0 ? x : area->x0;
    c->position = y << 32 | x; /* both lie inside the tile, below 2^32 */
}

static void cursor_begin(cursor *c, const packet_iterator *it, uint32_t component, uint32_t r) {
    const tile_component *tc = &it->tile->components[component];
    const resolution *res = &tc->resolutions[r];
    unsigned down = tc->num_resolutions - 1u - r;
    c->component = component;
    c->resolution = r;
    c->wide = res->num_precincts_x;
    c->num_precincts = res->num_precincts_x * res->num_precincts_y;
    c->precinct = 0;
    c->column = 0;
    c->first_layer = it->layers_sent ? *layers_sent(it, component, r) : 0;
    c->row_step = (uint64_t)it->siz->components[component].dy << (res->precinct_h_exp + down);
    c->column_step = (uint64_t)it->siz->components[component].dx << (res->precinct_w_exp + down);
    c->row_origin = floor_shift(res->area.y0, res->precinct_h_exp) * c->row_step;
    c->column_origin = floor_shift(res->area.x0, res->precinct_w_exp) * c->column_step;
    cursor_locate(c, &it->tile->area);
}

/* Steps that deliver no packet are paid for. */
static bool pay_steps(packet_iterator *it, uint32_t count) {
    it->steps += count;
    if (it->steps < BUDGET_STEPS)
        return true;
    uint64_t units = it->steps / BUDGET_STEPS;
    it->steps %= BUDGET_STEPS;
    return budget_spend(it->tile->budget, units);
}

/* Append the cursor of a resolution if it has packets left in the current volume. */
static void add_cursor(packet_iterator *it, uint32_t component, uint32_t r) {
    const tile_component *tc = &it->tile->components[component];
    if (r >= tc->num_resolutions || tc->resolutions[r].num_precincts_x == 0)
        return;
    unsigned sent = it->layers_sent ? *layers_sent(it, component, r) : 0;
    if (sent >= it->volume.end_layer)
        return;
    cursor_begin(&it->cursors[it->num_cursors++], it, component, r);
}

/* ---- heap of cursors by position; among equals the order of the group (component, then resolution) ---- */

static bool comes_before(const packet_iterator *it, uint32_t a, uint32_t b) {
    uint64_t pa = it->cursors[a].position, pb = it->cursors[b].position;
    return pa != pb ? pa < pb : a < b;
}

static void sift_down(packet_iterator *it, uint32_t place) {
    uint32_t moved = it->heap[place];
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= it->heap_size)
            break;
        if (child + 1 < it->heap_size && comes_before(it, it->heap[child + 1], it->heap[child]))
            child++;
        if (!comes_before(it, it->heap[child], moved))
            break;
        it->heap[place] = it->heap[child];
        place = child;
    }
    it->heap[place] = moved;
}

static void heap_build(packet_iterator *it) {
    it->heap_size = it->group_end - it->group_begin;
    for (uint32_t i = 0; i < it->heap_size; i++)
        it->heap[i] = it->group_begin + i;
    for (uint32_t i = it->heap_size / 2; i--;)
        sift_down(it, i);
}

/* ---- volumes and groups ---- */

/* Take up the next volume; false after the last one, and when the budget does not allow to look for it. */
static bool next_volume(packet_iterator *it) {
    const tile *t = it->tile;
    const tile_style *style = t->style;
    if (style->num_changes == 0) {
        if (it->next_change++)
            return false;
        it->volume.order = style->order;
        it->volume.first_component = 0;
        it->volume.end_component = (uint16_t)t->num_components;
        it->volume.first_resolution = 0;
        it->volume.end_resolution = (uint8_t)it->most_resolutions;
        it->volume.end_layer = style->num_layers;
    } else {
        for (uint32_t i = 0; i < it->num_cursors; i++) { /* what the volume before has sent */
            const cursor *c = &it->cursors[i];
            *layers_sent(it, c->component, c->resolution) = it->volume.end_layer;
        }
        if (it->next_change == style->num_changes)
            return false;
        it->volume = style->changes[it->next_change++];
        it->volume.end_component = (uint16_t)min_u32(it->volume.end_component, t->num_components);
        it->volume.end_resolution = (uint8_t)min_u32(it->volume.end_resolution, it->most_resolutions);
        it->volume.end_layer = (uint16_t)min_u32(it->volume.end_layer, style->num_layers);
    }
    const progression_change *v = &it->volume;
    it->num_cursors = 0;
    it->group_end = 0;
    it->by_position = v->order == J2K_RPCL || v->order == J2K_PCRL || v->order == J2K_CPRL;
    if (v->first_component < v->end_component && v->first_resolution < v->end_resolution &&
        !pay_steps(it, (uint32_t)(v->end_component - v->first_component) *
                           (uint32_t)(v->end_resolution - v->first_resolution)))
        return false;
    if (v->order == J2K_PCRL || v->order == J2K_CPRL) {
        for (uint32_t c = v->first_component; c < v->end_component; c++)
            for (uint32_t r = v->first_resolution; r < v->end_resolution; r++)
                add_cursor(it, c, r);
    } else {
        for (uint32_t r = v->first_resolution; r < v->end_resolution; r++)
            for (uint32_t c = v->first_component; c < v->end_component; c++)
                add_cursor(it, c, r);
    }
    return true;
}

static bool same_group(const packet_iterator *it, const cursor *a, const cursor *b) {
    switch (it->volume.order) {
    case J2K_RLCP:
    case J2K_RPCL:
        return a->resolution == b->resolution;
    case J2K_CPRL:
        return a->component == b->component;
    default:
        return true;
    }
}

/* Take up the next group of the volume; false when the volume is done. */
static bool next_group(packet_iterator *it) {
    it->group_begin = it->group_end;
    if (it->group_begin == it->num_cursors)
        return false;
    const cursor *first = &it->cursors[it->group_begin];
    uint32_t layer = first->first_layer;
    while (it->group_end < it->num_cursors && same_group(it, first, &it->cursors[it->group_end])) {
        layer = min_u32(layer, it->cursors[it->group_end].first_layer);
        it->group_end++;
    }
    if (it->by_position) {
        heap_build(it);
        it->current = it->heap[0];
        it->layer = it->cursors[it->current].first_layer;
    } else {
        it->current = it->group_begin;
        it->layer = layer;
    }
    return true;
}

/* ---- the two walks: deliver the packet whose turn it is and move on; false when the group is done ---- */

static void deliver(const packet_iterator *it, const cursor *c, packet_id *id) {
    id->component = c->component;
    id->resolution = c->resolution;
    id->precinct = c->precinct;
    id->layer = it->layer;
}

static bool next_by_layer(packet_iterator *it, packet_id *id) {
    for (; it->layer < it->volume.end_layer; it->layer++, it->current = it->group_begin) {
        for (; it->current < it->group_end; it->current++) {
            cursor *c = &it->cursors[it->current];
            if (c->precinct < c->num_precincts && c->first_layer <= it->layer) {
                deliver(it, c, id);
                c->precinct++;
                return true;
            }
            if (c->first_layer > it->layer && !pay_steps(it, 1))
                return false;
            c->precinct = 0; /* for the next layer */
        }
    }
    return false;
}

static bool next_by_position(packet_iterator *it, packet_id *id) {
    if (it->heap_size == 0)
        return false;
    cursor *c = &it->cursors[it->current];
    deliver(it, c, id);
    if (++it->layer < it->volume.end_layer)
        return true;
    if (++c->precinct < c->num_precincts) {
        c->column = c->column + 1 < c->wide ? c->column + 1 : 0;
        cursor_locate(c, &it->tile->area);
    } else if (--it->heap_size) {
        it->heap[0] = it->heap[it->heap_size];
    } else {
        return true;
    }
    sift_down(it, 0);
    it->current = it->heap[0];
    it->layer = it->cursors[it->current].first_layer;
    return true;
}

packet_iterator *j2k_packets_begin(const tile *t, const image_siz *siz, arena *memory) {
    packet_iterator *it = ARENA_ALLOC_ZERO(memory, packet_iterator, 1);
    if (!it)
        return NULL;
    it->tile = t;
    it->siz = siz;
    size_t count = 0;
    for (uint32_t c = 0; c < t->num_components; c++)
        it->most_resolutions = max_u32(it->most_resolutions, t->components[c].num_resolutions);
    for (uint32_t c = 0; c < t->num_components; c++)
        for (unsigned r = 0; r < t->components[c].num_resolutions; r++)
            count += t->components[c].resolutions[r].num_precincts_x != 0;
    it->cursors = ARENA_ALLOC(memory, cursor, count);
    it->heap = ARENA_ALLOC(memory, uint32_t, count);
    if (!it->cursors || !it->heap)
        return NULL;
    if (t->style->num_changes) {
        it->layers_sent = ARENA_ALLOC_ZERO(memory, uint16_t, (size_t)t->num_components * SENT_STRIDE);
        if (!it->layers_sent)
            return NULL;
    }
    return it;
}

bool j2k_packets_next(packet_iterator *it, packet_id *id) {
    for (;;) {
        if (it->in_group) {
            if (it->by_position ? next_by_position(it, id) : next_by_layer(it, id))
                return true;
            it->in_group = false;
            if (it->tile->budget && it->tile->budget->exceeded)
                return false;
        }
        while (!next_group(it))
            if (!next_volume(it))
                return false;
        it->in_group = true;
    }
}
