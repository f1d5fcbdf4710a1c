/* The walk over the main header and the tile-parts, and what their segments together mean for each tile.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "codestream.h"

#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "markers.h"

/* A segment kept until everything that bears on it has been seen. */
typedef struct segment_record {
    struct segment_record *next;
    segment s;
} segment_record;

typedef struct segment_list {
    segment_record *first, *last;
} segment_list;

static j2k_status list_append(segment_list *list, const segment *s, arena *memory) {
    segment_record *record = ARENA_ALLOC(memory, segment_record, 1);
    RETURN_IF(!record, J2K_ERROR_MEMORY);
    record->next = NULL;
    record->s = *s;
    if (list->last)
        list->last->next = record;
    else
        list->first = record;
    list->last = record;
    return J2K_OK;
}

/* Insert a PPM or PPT segment by its index, the first byte. There are at most 256 of a list, so that the walk
 * is bounded; they normally come in order. */
static j2k_status list_insert_indexed(segment_list *list, const segment *s, arena *memory) {
    if (s->size < 1)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "length %zu is wrong", s->size + 2);
    if (!list->last || list->last->s.data[0] < s->data[0])
        return list_append(list, s, memory);
    segment_record **place = &list->first;
    while ((*place)->s.data[0] < s->data[0])
        place = &(*place)->next;
    if ((*place)->s.data[0] == s->data[0])
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "index %u occurs twice", (unsigned)s->data[0]);
    segment_record *record = ARENA_ALLOC(memory, segment_record, 1);
    RETURN_IF(!record, J2K_ERROR_MEMORY);
    *record = (segment_record){*place, *s};
    *place = record;
    return J2K_OK;
}

/* The contents (behind the index byte) of a list's segments as one span: in place when there is one, else
 * copied.
 */
static j2k_status join_indexed(const segment_list *lists[], size_t count, arena *memory, byte_span *joined) {
    size_t total = 0, pieces = 0;
    for (size_t i = 0; i < count; i++)
        for (const segment_record *r = lists[i]->first; r; r = r->next, pieces++) {
            total += r->s.size - 1;
            *joined = (byte_span){r->s.data + 1, r->s.size - 1};
        }
    if (pieces == 1)
        return J2K_OK;
    uint8_t *copy = ARENA_ALLOC(memory, uint8_t, total);
    RETURN_IF(!copy, J2K_ERROR_MEMORY);
    *joined = (byte_span){copy, total};
    for (size_t i = 0; i < count; i++)
        for (const segment_record *r = lists[i]->first; r; r = r->next) {
            memcpy(copy, r->s.data + 1, r->s.size - 1);
            copy += r->s.size - 1;
        }
    return J2K_OK;
}

/* ---- main header ---- */

typedef struct main_reader {
    arena *memory;
    codestream *cs;
    bool has_cod, has_qcd;
    coding_style cod; /* applied to the components without their own COC when the header is complete */
    quantisation qcd;
    uint8_t *own; /* per component: OWN_CODING, OWN_QUANT */
    segment_list poc, ppm, tlm;
    bool bad_tlm;
} main_reader;

enum { OWN_CODING = 1, OWN_QUANT = 2 };

static void warn_if_repeated(const segment *s, bool repeated) {
    if (repeated)
        j2k_segment_warn(s, "occurs again; the last one counts");
}

/* PLT and TLM only help to find things: what is wrong with them is no error. Returns false when the segment
 * cannot be taken up. */
static j2k_status insert_index(segment_list *list, const segment *s, arena *memory, bool *bad) {
    j2k_status status = list_insert_indexed(list, s, memory);
    if (status != J2K_ERROR_CORRUPT)
        return status;
    j2k_warn(s->diag, "%s: not used", s->diag->message);
    s->diag->message[0] = 0;
    *bad = true;
    return J2K_OK;
}

/* Unknown segments are to be skipped (A.1.2). The reserved markers that stand alone mean nothing here; all
 * others may be the mark of damage. */
static void skip_unknown(const segment *s) {
    if (s->data)
        j2k_segment_warn(s, "unknown, skipped");
}

static j2k_status read_main_comment(const segment *s, codestream *cs) {
    if (s->size < 2)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "length %zu is wrong", s->size + 2);
    if (!cs->comment && load_u16(s->data) == 1) { /* Rcom 1: Latin-1 text (table A.44) */
        cs->comment = s->data + 2;
        cs->comment_size = s->size - 2;
    }
    return J2K_OK;
}

static j2k_status read_main_segment(main_reader *m, const segment *s) {
    codestream *cs = m->cs;
    uint32_t n = cs->siz.num_components, component = 0;
    switch (s->marker) {
    case MARKER_CAP:
        return j2k_parse_cap(s, cs);
    case MARKER_COD:
        warn_if_repeated(s, m->has_cod);
        m->has_cod = true;
        return j2k_parse_cod(s, &cs->style, &m->cod);
    case MARKER_QCD:
        warn_if_repeated(s, m->has_qcd);
        m->has_qcd = true;
        return j2k_parse_qcd(s, &m->qcd);
    case MARKER_COC: {
        coding_style coding;
        TRY(j2k_parse_coc(s, n, &component, &coding));
        warn_if_repeated(s, m->own[component] & OWN_CODING);
        m->own[component] |= OWN_CODING;
        cs->components[component].coding = coding;
        return J2K_OK;
    }
    case MARKER_QCC: {
        quantisation quant;
        TRY(j2k_parse_qcc(s, n, &component, &quant));
        warn_if_repeated(s, m->own[component] & OWN_QUANT);
        m->own[component] |= OWN_QUANT;
        cs->components[component].quant = quant;
        return J2K_OK;
    }
    case MARKER_RGN: {
        uint8_t shift = 0;
        TRY(j2k_parse_rgn(s, n, &component, &shift));
        cs->components[component].roi_shift = shift;
        return J2K_OK;
    }
    case MARKER_POC:
        return list_append(&m->poc, s, m->memory);
    case MARKER_PPM:
        return list_insert_indexed(&m->ppm, s, m->memory);
    case MARKER_COM:
        return read_main_comment(s, cs);
    case MARKER_TLM:
        return insert_index(&m->tlm, s, m->memory, &m->bad_tlm);
    case MARKER_PLM: /* PLT, which is beside the packets, is what encoders write */
    case MARKER_CRG:
    case MARKER_CPF:
        return J2K_OK;
    case MARKER_SIZ:
    case MARKER_SOC:
    case MARKER_PPT:
    case MARKER_PLT:
    case MARKER_SOP:
    case MARKER_EPH:
    case MARKER_SOD:
    case MARKER_EOC:
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "does not belong in the main header");
    default:
        if (s->marker >= MARKER_DCO && s->marker <= MARKER_ATK)
            return j2k_segment_fail(s, J2K_ERROR_UNSUPPORTED, "an extension of Part 2");
        skip_unknown(s);
        return J2K_OK;
    }
}

/* Count and take apart the POC segments of a list of lists. */
static j2k_status join_changes(const segment_list *lists[], size_t count, uint32_t num_components,
                               arena *memory, tile_style *style) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        for (const segment_record *r = lists[i]->first; r; r = r->next)
            total += r->s.marker == MARKER_POC ? j2k_poc_count(&r->s, num_components) + 1 : 0;
    if (!total)
        return J2K_OK;
    style->changes = ARENA_ALLOC(memory, progression_change, total);
    RETURN_IF(!style->changes, J2K_ERROR_MEMORY);
    style->num_changes = 0;
    for (size_t i = 0; i < count; i++)
        for (const segment_record *r = lists[i]->first; r; r = r->next)
            if (r->s.marker == MARKER_POC) {
                TRY(j2k_parse_poc(&r->s, num_components, style->changes + style->num_changes));
                style->num_changes += (uint32_t)j2k_poc_count(&r->s, num_components);
            }
    return J2K_OK;
}

/* A component transformation takes three components that are alike (G.2, G.3). */
static const char *transform_conflict(const codestream *cs, const component_style *components) {
    const component_siz *siz = cs->siz.components;
    for (unsigned c = 1; c < 3; c++) {
        if (siz[c].dx != siz[0].dx || siz[c].dy != siz[0].dy)
            return "component transformation of components that differ in size";
        if (components[c].coding.reversible != components[0].coding.reversible)
            return "component transformation of components that differ in their wavelet";
    }
    return NULL;
}

/* Streams that ask for a component transformation of fewer than three components occur; there is only one
 * thing they can mean. */
static void drop_impossible_transform(tile_style *style, const codestream *cs, diagnostics *diag) {
    if (style->colour_transform && cs->siz.num_components < 3) {
        j2k_warn(diag, "COD: component transformation of fewer than 3 components ignored");
        style->colour_transform = 0;
    }
}

static j2k_status join_tlm(main_reader *m) {
    codestream *cs = m->cs;
    size_t count = 0;
    for (const segment_record *r = m->tlm.first; r && !m->bad_tlm; r = r->next)
        count++;
    if (!count)
        return J2K_OK;
    cs->tlm = ARENA_ALLOC(m->memory, byte_span, count);
    RETURN_IF(!cs->tlm, J2K_ERROR_MEMORY);
    for (const segment_record *r = m->tlm.first; r; r = r->next)
        cs->tlm[cs->num_tlm++] = (byte_span){r->s.data + 1, r->s.size - 1};
    return J2K_OK;
}

static j2k_status finish_main(main_reader *m, size_t end, diagnostics *diag) {
    codestream *cs = m->cs;
    if (!m->has_cod || !m->has_qcd)
        return j2k_fail(diag, J2K_ERROR_CORRUPT, "SOT at byte %zu: the main header has no %s", end,
                        m->has_cod ? "QCD" : "COD");
    for (uint32_t c = 0; c < cs->siz.num_components; c++) {
        if (!(m->own[c] & OWN_CODING))
            cs->components[c].coding = m->cod;
        if (!(m->own[c] & OWN_QUANT))
            cs->components[c].quant = m->qcd;
    }
    drop_impossible_transform(&cs->style, cs, diag);
    TRY(join_tlm(m));
    const segment_list *lists[1] = {&m->poc};
    TRY(join_changes(lists, 1, cs->siz.num_components, m->memory, &cs->style));
    if (m->ppm.first) {
        cs->has_ppm = true;
        lists[0] = &m->ppm;
        TRY(join_indexed(lists, 1, m->memory, &cs->ppm));
    }
    return J2K_OK;
}

j2k_status j2k_codestream_read_main(const uint8_t *data, size_t size, arena *memory, codestream *cs,
                                    size_t *first_sot, diagnostics *diag) {
    segment s;
    memset(cs, 0, sizeof *cs);
    TRY(j2k_segment_open(data, 0, size, J2K_ERROR_TRUNCATED, &s, diag));
    if (s.marker != MARKER_SOC)
        return j2k_segment_fail(&s, J2K_ERROR_CORRUPT, "the codestream does not begin with SOC");
    TRY(j2k_segment_open(data, s.next, size, J2K_ERROR_TRUNCATED, &s, diag));
    if (s.marker != MARKER_SIZ)
        return j2k_segment_fail(&s, J2K_ERROR_CORRUPT, "SOC is not followed by SIZ");
    TRY(j2k_parse_siz(&s, memory, &cs->siz));

    main_reader m = {.memory = memory, .cs = cs};
    cs->components = ARENA_ALLOC_ZERO(memory, component_style, cs->siz.num_components);
    m.own = ARENA_ALLOC_ZERO(memory, uint8_t, cs->siz.num_components);
    RETURN_IF(!cs->components || !m.own, J2K_ERROR_MEMORY);
    for (;;) {
        TRY(j2k_segment_open(data, s.next, size, J2K_ERROR_TRUNCATED, &s, diag));
        if (s.marker == MARKER_SOT)
            break;
        TRY(read_main_segment(&m, &s));
    }
    TRY(finish_main(&m, s.offset, diag));
    *first_sot = s.offset;
    return J2K_OK;
}

/* ---- tile-parts ---- */

typedef struct tile_part {
    struct tile_part *next; /* of the same tile, in the order of TPsot */
    uint8_t index;          /* TPsot */
    bool clipped;           /* the data end before the tile-part does */
    byte_span body;
    byte_span ppm;         /* its part of the PPM contents */
    segment_list segments; /* COD, COC, QCD, QCC, RGN, POC */
    segment_list ppt, plt;
    bool bad_plt;
} tile_part;

typedef struct tile_state {
    tile_part *first, *last;
    uint16_t num_parts;
    uint8_t declared; /* largest TNsot */
} tile_state;

typedef struct tiles_reader {
    const uint8_t *data;
    size_t size;
    bool tolerant;
    arena *memory;
    codestream *cs;
    diagnostics *diag;
    tile_state *states;
    size_t num_tiles, num_parts;
    size_t ppm_used;
    size_t style_budget;       /* bytes that own styles of tiles may still take */
    const char *main_conflict; /* why the main header's styles cannot be used, or NULL */
    bool stopped;              /* tolerant: the rest of the data is of no use */
    bool has_eoc;
} tiles_reader;

/* In tolerant mode turn the error just made into a warning. Out of memory stays an error. */
static j2k_status forgive(tiles_reader *t, j2k_status status) {
    if (status == J2K_OK || !t->tolerant || status == J2K_ERROR_MEMORY)
        return status;
    j2k_warn(t->diag, "%s", t->diag->message);
    t->diag->message[0] = 0;
    return J2K_OK;
}

static j2k_status read_part_segment(tiles_reader *t, tile_part *part, const segment *s) {
    switch (s->marker) {
    case MARKER_COD:
    case MARKER_COC:
    case MARKER_QCD:
    case MARKER_QCC:
    case MARKER_RGN:
        /* They belong in the first tile-part (A.4.2), but some encoders repeat them in the others. */
        return list_append(&part->segments, s, t->memory);
    case MARKER_POC:
        return list_append(&part->segments, s, t->memory);
    case MARKER_PPT:
        if (t->cs->has_ppm)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "together with PPM");
        return list_insert_indexed(&part->ppt, s, t->memory);
    case MARKER_PLT:
        return t->cs->keep_packet_lengths ? insert_index(&part->plt, s, t->memory, &part->bad_plt) : J2K_OK;
    case MARKER_COM:
        return J2K_OK;
    case MARKER_SOC:
    case MARKER_CAP:
    case MARKER_SIZ:
    case MARKER_TLM:
    case MARKER_PLM:
    case MARKER_CPF:
    case MARKER_PPM:
    case MARKER_CRG:
    case MARKER_SOT:
    case MARKER_SOP:
    case MARKER_EPH:
    case MARKER_EOC:
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "does not belong in a tile-part header");
    default:
        if (s->marker >= MARKER_DCO && s->marker <= MARKER_ATK)
            return j2k_segment_fail(s, J2K_ERROR_UNSUPPORTED, "an extension of Part 2");
        skip_unknown(s);
        return J2K_OK;
    }
}

/* The segments between SOT and SOD. */
static j2k_status read_part_header(tiles_reader *t, tile_part *part, size_t offset, size_t end) {
    j2k_status beyond = part->clipped ? J2K_ERROR_TRUNCATED : J2K_ERROR_CORRUPT;
    segment s;
    for (;;) {
        TRY(j2k_segment_open(t->data, offset, end, beyond, &s, t->diag));
        offset = s.next;
        if (s.marker == MARKER_SOD)
            break;
        TRY(read_part_segment(t, part, &s));
    }
    part->body = (byte_span){t->data + offset, end - offset};
    return J2K_OK;
}

/* The next Nppm, Ippm of the PPM contents: there is one for each tile-part in codestream order (A.7.4). */
static j2k_status take_ppm(tiles_reader *t, const segment *sot, byte_span *span) {
    const byte_span *ppm = &t->cs->ppm;
    size_t left = ppm->size - t->ppm_used;
    if (!t->cs->has_ppm)
        return J2K_OK;
    if (left < 4)
        return j2k_segment_fail(sot, J2K_ERROR_CORRUPT, "PPM has no packet headers for this tile-part");
    size_t count = load_u32(ppm->data + t->ppm_used);
    t->ppm_used += 4;
    left -= 4;
    if (count > left) {
        t->ppm_used = ppm->size;
        return j2k_segment_fail(sot, J2K_ERROR_CORRUPT, "PPM declares %zu bytes, %zu are left", count, left);
    }
    *span = (byte_span){ppm->data + t->ppm_used, count};
    t->ppm_used += count;
    return J2K_OK;
}

/* Where a tile-part with Psot = 0 ends: at EOC (A.4.2). No marker code occurs in packet data, so that the
 * first EOC is the one; the last two bytes are looked at first, as it is nearly always there. */
static size_t find_eoc(const uint8_t *data, size_t offset, size_t size) {
    if (size - offset >= 2 && load_u16(data + size - 2) == MARKER_EOC)
        return size - 2;
    for (size_t i = offset; i + 1 < size; i++) {
        const uint8_t *p = memchr(data + i, 0xFF, size - 1 - i);
        if (!p)
            break;
        i = (size_t)(p - data);
        if (data[i + 1] == (MARKER_EOC & 0xFF))
            return i;
    }
    return size;
}

static bool wanted(const tiles_reader *t, size_t tile) {
    const image_siz *siz = &t->cs->siz;
    const rect *w = &t->cs->wanted_tiles;
    size_t x = tile % siz->tiles_x, y = tile / siz->tiles_x;
    return rect_empty(*w) || (x >= w->x0 && x < w->x1 && y >= w->y0 && y < w->y1);
}

static j2k_status part_end(tiles_reader *t, const segment *s, const sot_fields *sot, tile_part *part,
                           size_t *end) {
    size_t left = t->size - s->offset;
    if (sot->length == 0) {
        *end = find_eoc(t->data, s->next, t->size);
    } else if (sot->length < SOT_SIZE || sot->length == SOT_SIZE + 1) {
        t->stopped = true;
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "tile-part length %lu is below 14",
                                (unsigned long)sot->length);
    } else if (sot->length > left) {
        part->clipped = true;
        *end = t->size;
        if (!wanted(t, sot->tile))
            return J2K_OK;
        j2k_status status = j2k_segment_fail(s, J2K_ERROR_TRUNCATED, "tile-part of %lu bytes, %zu are left",
                                             (unsigned long)sot->length, left);
        return forgive(t, status);
    } else {
        *end = s->offset + sot->length;
    }
    return J2K_OK;
}

/* Hang the tile-part into its tile's list. Parts normally come in order; a list holds at most 255. */
static j2k_status insert_part(tiles_reader *t, const segment *s, const sot_fields *sot, tile_part *part) {
    tile_state *tile = &t->states[sot->tile];
    if (!tile->last || tile->last->index < part->index) {
        if (tile->last)
            tile->last->next = part;
        else
            tile->first = part;
        tile->last = part;
    } else {
        tile_part **place = &tile->first;
        while ((*place)->index < part->index)
            place = &(*place)->next;
        if ((*place)->index == part->index)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "tile-part %u of tile %lu occurs twice",
                                    (unsigned)part->index, (unsigned long)sot->tile);
        part->next = *place;
        *place = part;
    }
    tile->num_parts++;
    if (tile->declared < sot->num_parts)
        tile->declared = sot->num_parts;
    t->num_parts++;
    return J2K_OK;
}

/* One tile-part, from SOT at `offset` on. *next is set as soon as it is known where the next one begins. */
static j2k_status read_part(tiles_reader *t, size_t offset, size_t *next) {
    segment s;
    sot_fields sot;
    t->stopped = true; /* until the length is known */
    *next = offset;
    TRY(j2k_segment_open(t->data, offset, t->size, J2K_ERROR_TRUNCATED, &s, t->diag));
    TRY(j2k_parse_sot(&s, &sot));
    tile_part *part = ARENA_ALLOC_ZERO(t->memory, tile_part, 1);
    RETURN_IF(!part, J2K_ERROR_MEMORY);
    part->index = sot.part;
    size_t end = 0;
    TRY(part_end(t, &s, &sot, part, &end));
    *next = end;
    t->stopped = false;
    TRY(forgive(t, take_ppm(t, &s, &part->ppm)));
    if (sot.tile >= t->num_tiles)
        return j2k_segment_fail(&s, J2K_ERROR_CORRUPT, "tile %lu of %zu", (unsigned long)sot.tile,
                                t->num_tiles);
    if (!wanted(t, sot.tile))
        return J2K_OK;
    if (sot.length == SOT_SIZE) /* an empty tile-part without SOD, which some encoders wrote */
        part->body = (byte_span){t->data + end, 0};
    else
        TRY(read_part_header(t, part, s.next, end));
    return insert_part(t, &s, &sot, part);
}

/* ---- putting a tile together ---- */

/* Copy the main header's component styles and apply what the tile's headers change, by the precedence of A.6:
 * tile COC > tile COD > main COC > main COD, likewise QCC and QCD. Of repeated segments the last one counts.
 */
static j2k_status own_styles(tiles_reader *t, const segment_list *lists[], size_t count, tile_header *tile) {
    const codestream *cs = t->cs;
    uint32_t n = cs->siz.num_components;
    const segment *cod = NULL, *qcd = NULL;
    bool any = false;
    for (size_t i = 0; i < count; i++)
        for (const segment_record *r = lists[i]->first; r; r = r->next) {
            any = any || r->s.marker != MARKER_POC;
            if (r->s.marker == MARKER_COD)
                cod = &r->s;
            else if (r->s.marker == MARKER_QCD)
                qcd = &r->s;
        }
    if (!any)
        return J2K_OK;
    if (n * sizeof(component_style) > t->style_budget)
        return j2k_fail(
            t->diag, J2K_ERROR_LIMIT,
            "the tile headers change the coding style more often than the stream's size warrants");
    t->style_budget -= n * sizeof(component_style);
    tile->components = ARENA_ALLOC(t->memory, component_style, n);
    RETURN_IF(!tile->components, J2K_ERROR_MEMORY);
    tile->own_styles = true;
    memcpy(tile->components, cs->components, n * sizeof(component_style));
    if (cod) {
        coding_style coding;
        TRY(j2k_parse_cod(cod, &tile->style, &coding));
        for (uint32_t c = 0; c < n; c++)
            tile->components[c].coding = coding;
        drop_impossible_transform(&tile->style, cs, t->diag);
    }
    if (qcd) {
        quantisation quant;
        TRY(j2k_parse_qcd(qcd, &quant));
        for (uint32_t c = 0; c < n; c++)
            tile->components[c].quant = quant;
    }
    for (size_t i = 0; i < count; i++)
        for (const segment_record *r = lists[i]->first; r; r = r->next) {
            uint32_t c = 0;
            component_style one;
            switch (r->s.marker) {
            case MARKER_COC:
                TRY(j2k_parse_coc(&r->s, n, &c, &one.coding));
                tile->components[c].coding = one.coding;
                break;
            case MARKER_QCC:
                TRY(j2k_parse_qcc(&r->s, n, &c, &one.quant));
                tile->components[c].quant = one.quant;
                break;
            case MARKER_RGN:
                TRY(j2k_parse_rgn(&r->s, n, &c, &one.roi_shift));
                tile->components[c].roi_shift = one.roi_shift;
                break;
            default:
                break;
            }
        }
    return J2K_OK;
}

/* Why the styles of all components cannot be used, or NULL. */
static const char *styles_conflict(const codestream *cs, const component_style *components) {
    for (uint32_t c = 0; c < cs->siz.num_components; c++) {
        const char *conflict = j2k_style_conflict(&components[c]);
        if (conflict)
            return conflict;
    }
    return NULL;
}

const char *j2k_main_styles_conflict(const codestream *cs) {
    const char *conflict = styles_conflict(cs, cs->components);
    return !conflict && cs->style.colour_transform ? transform_conflict(cs, cs->components) : conflict;
}

static j2k_status resolve_styles(tiles_reader *t, size_t index, const segment_list *lists[], size_t count,
                                 tile_header *tile) {
    codestream *cs = t->cs;
    tile->style = cs->style;
    tile->components = cs->components;
    TRY(own_styles(t, lists, count, tile));
    TRY(join_changes(lists, count, cs->siz.num_components, t->memory, &tile->style));
    const char *conflict = tile->own_styles ? styles_conflict(cs, tile->components) : t->main_conflict;
    if (!conflict && tile->style.colour_transform)
        conflict = transform_conflict(cs, tile->components);
    if (conflict)
        return j2k_fail(t->diag, J2K_ERROR_CORRUPT, "tile %zu: %s", index, conflict);
    return J2K_OK;
}

/* Join the tile-parts' shares of PPM, or their PPT segments. */
static j2k_status join_packed_headers(tiles_reader *t, const tile_state *state, const segment_list *ppt[],
                                      size_t count, tile_header *tile) {
    byte_span joined = {NULL, 0};
    if (t->cs->has_ppm) {
        size_t total = 0, pieces = 0;
        for (const tile_part *p = state->first; p; p = p->next)
            if (p->ppm.size) {
                total += p->ppm.size;
                pieces++;
                joined = p->ppm;
            }
        if (pieces > 1) {
            uint8_t *copy = ARENA_ALLOC(t->memory, uint8_t, total);
            RETURN_IF(!copy, J2K_ERROR_MEMORY);
            joined = (byte_span){copy, total};
            for (const tile_part *p = state->first; p; p = p->next)
                if (p->ppm.size) {
                    memcpy(copy, p->ppm.data, p->ppm.size);
                    copy += p->ppm.size;
                }
        }
    } else {
        bool any = false;
        for (size_t i = 0; i < count; i++)
            any = any || ppt[i]->first;
        if (!any)
            return J2K_OK;
        TRY(join_indexed(ppt, count, t->memory, &joined));
    }
    tile->packed_headers = ARENA_ALLOC(t->memory, byte_span, 1);
    RETURN_IF(!tile->packed_headers, J2K_ERROR_MEMORY);
    tile->packed_headers[0] = joined;
    tile->num_packed_headers = 1;
    return J2K_OK;
}

/* Cut the list of parts at the first gap in TPsot: what follows cannot be decoded. */
static j2k_status check_sequence(tiles_reader *t, size_t index, tile_state *state, bool *incomplete) {
    unsigned expected = 0;
    tile_part **place = &state->first;
    while (*place && (*place)->index == expected) {
        place = &(*place)->next;
        expected++;
    }
    if (*place || expected < state->declared) {
        *place = NULL;
        *incomplete = true;
        return forgive(t, j2k_fail(t->diag, J2K_ERROR_TRUNCATED, "tile-part %u of tile %zu is missing",
                                   expected, index));
    }
    return J2K_OK;
}

/* PLT of each part; what cannot be joined is left out. */
static j2k_status join_packet_lengths(tiles_reader *t, const tile_state *state, tile_header *tile) {
    if (!t->cs->keep_packet_lengths)
        return J2K_OK;
    tile->packet_lengths = ARENA_ALLOC_ZERO(t->memory, byte_span, tile->num_parts);
    RETURN_IF(!tile->packet_lengths, J2K_ERROR_MEMORY);
    byte_span *out = tile->packet_lengths;
    for (const tile_part *p = state->first; p; p = p->next, out++) {
        const segment_list *list = &p->plt;
        if (list->first && !p->bad_plt)
            TRY(join_indexed(&list, 1, t->memory, out));
    }
    return J2K_OK;
}

static j2k_status finish_tile(tiles_reader *t, size_t index, byte_span *parts) {
    tile_state *state = &t->states[index];
    tile_header *tile = &t->cs->tiles[index];
    const segment_list *lists[256], *ppt[256];
    size_t count = 0;
    TRY(check_sequence(t, index, state, &tile->truncated));
    if (!state->first)
        return J2K_OK;
    tile->parts = parts;
    for (const tile_part *p = state->first; p; p = p->next, count++) {
        lists[count] = &p->segments;
        ppt[count] = &p->ppt;
        parts[count] = p->body;
        if (p->clipped)
            tile->truncated = true;
    }
    tile->num_parts = (uint32_t)count;
    TRY(resolve_styles(t, index, lists, count, tile));
    TRY(join_packed_headers(t, state, ppt, count, tile));
    TRY(join_packet_lengths(t, state, tile));
    tile->present = true;
    return J2K_OK;
}

static j2k_status finish_tiles(tiles_reader *t) {
    codestream *cs = t->cs;
    byte_span *parts = ARENA_ALLOC(t->memory, byte_span, t->num_parts);
    RETURN_IF(!parts, J2K_ERROR_MEMORY);
    size_t missing = 0, first_missing = 0;
    bool incomplete = false;
    for (size_t i = 0; i < t->num_tiles; i++) {
        bool empty = !t->states[i].first;
        size_t num_parts = t->states[i].num_parts;
        if (!wanted(t, i))
            continue;
        if (!empty)
            TRY(forgive(t, finish_tile(t, i, parts)));
        parts += num_parts;
        incomplete = incomplete || !cs->tiles[i].present || cs->tiles[i].truncated;
        if (empty && !missing++)
            first_missing = i;
    }
    cs->truncated = incomplete && !t->has_eoc;
    if (missing &&
        t->has_eoc) { /* left out on purpose, as it seems: such streams occur, and decode elsewhere */
        j2k_warn(t->diag, "%zu of %zu tiles are missing, the first is %zu", missing, t->num_tiles,
                 first_missing);
    } else if (missing) {
        return forgive(t, j2k_fail(t->diag, J2K_ERROR_TRUNCATED,
                                   "%zu of %zu tiles are missing, the first is %zu", missing, t->num_tiles,
                                   first_missing));
    }
    return J2K_OK;
}

/* Tolerant: look for the next SOT (with its constant length field) after damage. */
static bool resynchronise(const tiles_reader *t, size_t *offset) {
    for (size_t i = *offset; i + SOT_SIZE <= t->size; i++) {
        const uint8_t *p = memchr(t->data + i, 0xFF, t->size - i - (SOT_SIZE - 1));
        if (!p)
            return false;
        i = (size_t)(p - t->data);
        if (p[1] == (MARKER_SOT & 0xFF) && load_u16(p + 2) == SOT_SIZE - 2) {
            *offset = i;
            return true;
        }
    }
    return false;
}

static j2k_status walk_parts(tiles_reader *t, size_t offset) {
    for (;;) {
        if (t->size - offset < 2) {
            j2k_warn(t->diag, "byte %zu: EOC is missing", offset);
            return J2K_OK;
        }
        unsigned marker = load_u16(t->data + offset);
        size_t next = offset;
        if (marker == MARKER_EOC) {
            t->has_eoc = true;
            return J2K_OK;
        }
        if (marker == MARKER_SOT) {
            TRY(forgive(t, read_part(t, offset, &next)));
        } else {
            t->stopped = true;
            j2k_status status = j2k_fail(t->diag, J2K_ERROR_CORRUPT,
                                         "byte %zu: SOT or EOC expected, found %04X", offset, marker);
            TRY(forgive(t, status));
        }
        offset = next;
        if (t->stopped) {
            offset++;
            if (!resynchronise(t, &offset))
                return J2K_OK;
            t->stopped = false;
        }
    }
}

/* ---- TLM ---- */

/* TLM is believed when each wanted tile-part is where and what it says, and when the tile-parts themselves
 * say that these are all there are of their tiles. */
static j2k_status read_indexed_parts(tiles_reader *t, size_t offset, bool *complete) {
    tlm_reader r = {.cs = t->cs};
    size_t tile, next;
    uint32_t length;
    *complete = false;
    for (; j2k_tlm_next(&r, &tile, &length); offset += length) {
        if (!wanted(t, tile))
            continue;
        const uint8_t *sot = t->data + offset;
        if (load_u16(sot) != MARKER_SOT || load_u16(sot + 4) != tile || load_u32(sot + 6) != length)
            return J2K_OK;
        TRY(read_part(t, offset, &next));
    }
    for (size_t i = 0; i < t->num_tiles; i++)
        if (wanted(t, i) && (!t->states[i].declared || t->states[i].num_parts != t->states[i].declared))
            return J2K_OK;
    *complete = true;
    return J2K_OK;
}

/* Find the wanted tile-parts by TLM. When it turns out that TLM does not agree with them, nothing has been
 * done. */
static j2k_status read_by_tlm(tiles_reader *t, size_t offset, bool *done) {
    *done = false;
    if (!t->cs->num_tlm || rect_empty(t->cs->wanted_tiles) || t->cs->has_ppm)
        return J2K_OK;
    bool tolerant = t->tolerant;
    size_t warnings = t->diag->warning_size;
    j2k_status status = J2K_OK;
    if (j2k_tlm_fits(t->cs, t->data, t->size, offset, t->num_tiles)) {
        t->tolerant = false;
        status = read_indexed_parts(t, offset, done);
        t->tolerant = tolerant;
    }
    t->has_eoc = *done;
    if (*done || status == J2K_ERROR_MEMORY)
        return status;
    t->diag->message[0] = 0;
    t->diag->warning_size = warnings;
    t->diag->warning[warnings] = 0;
    j2k_warn(t->diag, "TLM does not agree with the tile-parts: not used");
    memset(t->states, 0, t->num_tiles * sizeof *t->states);
    t->num_parts = 0;
    t->stopped = false;
    return J2K_OK;
}

j2k_status j2k_codestream_read_tiles(const uint8_t *data, size_t size, size_t first_sot, bool tolerant,
                                     arena *memory, codestream *cs, diagnostics *diag) {
    tiles_reader t = {
        .data = data, .size = size, .tolerant = tolerant, .memory = memory, .cs = cs, .diag = diag};
    t.num_tiles = (size_t)cs->siz.tiles_x * cs->siz.tiles_y;
    /* A tile that is not empty has at least one packet, so at least one byte, for each component; 512 bytes a
     * byte of data are thus more than any stream needs that repeats COD in every tile. */
    t.style_budget = (size > SIZE_MAX / 1024 ? SIZE_MAX / 2 : size * 512) + ((size_t)64 << 20);
    t.main_conflict = styles_conflict(cs, cs->components);
    cs->tiles = ARENA_ALLOC_ZERO(memory, tile_header, t.num_tiles);
    t.states = ARENA_ALLOC_ZERO(memory, tile_state, t.num_tiles);
    RETURN_IF(!cs->tiles || !t.states, J2K_ERROR_MEMORY);
    bool done;
    TRY(read_by_tlm(&t, first_sot, &done));
    if (!done)
        TRY(walk_parts(&t, first_sot));
    return finish_tiles(&t);
}
