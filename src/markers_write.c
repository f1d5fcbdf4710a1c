/* Writing of marker segments, and the byte sink they go to.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "markers.h"

/* ---- byte sink ---- */

void j2k_put_bytes(byte_sink *sink, const void *bytes, size_t count) {
    if (sink->size < sink->capacity && count) {
        size_t room = sink->capacity - sink->size;
        memcpy(sink->data + sink->size, bytes, count < room ? count : room);
    }
    sink->size += count;
}

void j2k_put_u8(byte_sink *sink, unsigned value) {
    if (sink->size < sink->capacity)
        sink->data[sink->size] = (uint8_t)value;
    sink->size++;
}

void j2k_put_u16(byte_sink *sink, unsigned value) {
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    j2k_put_bytes(sink, bytes, 2);
}

void j2k_put_u32(byte_sink *sink, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    j2k_put_bytes(sink, bytes, 4);
}

static void patch(byte_sink *sink, size_t offset, uint32_t value, unsigned count) {
    for (unsigned i = 0; i < count && offset < sink->capacity; i++, offset++)
        sink->data[offset] = (uint8_t)(value >> 8 * (count - 1 - i));
}

void j2k_patch_u32(byte_sink *sink, size_t offset, uint32_t value) {
    patch(sink, offset, value, 4);
}

void j2k_patch_u16(byte_sink *sink, size_t offset, unsigned value) {
    patch(sink, offset, value, 2);
}

/* ---- main header ---- */

static bool is_ht(const codestream *cs) {
    for (uint32_t c = 0; c < cs->siz.num_components; c++)
        if (cs->components[c].coding.codeblock_style & J2K_STYLE_HT)
            return true;
    return cs->has_cap;
}

static void write_siz(byte_sink *sink, const codestream *cs) {
    const image_siz *siz = &cs->siz;
    j2k_put_u16(sink, MARKER_SIZ);
    j2k_put_u16(sink, 38 + 3 * siz->num_components);
    j2k_put_u16(sink, siz->rsiz | (is_ht(cs) ? 0x4000u : 0)); /* bit 14: CAP follows (T.814 table A.2) */
    j2k_put_u32(sink, siz->area.x1);
    j2k_put_u32(sink, siz->area.y1);
    j2k_put_u32(sink, siz->area.x0);
    j2k_put_u32(sink, siz->area.y0);
    j2k_put_u32(sink, siz->tile_width);
    j2k_put_u32(sink, siz->tile_height);
    j2k_put_u32(sink, siz->tile_x0);
    j2k_put_u32(sink, siz->tile_y0);
    j2k_put_u16(sink, siz->num_components);
    for (uint32_t c = 0; c < siz->num_components; c++) {
        const component_siz *component = &siz->components[c];
        j2k_put_u8(sink, (component->depth - 1u) | (component->is_signed ? 0x80u : 0));
        j2k_put_u8(sink, component->dx);
        j2k_put_u8(sink, component->dy);
    }
}

static void write_cap(byte_sink *sink, const codestream *cs) {
    j2k_put_u16(sink, MARKER_CAP);
    j2k_put_u16(sink, 8);
    j2k_put_u32(sink, CAP_PART_15);
    j2k_put_u16(sink, cs->ccap15);
}

/* The parameter of table A.3 for so many magnitude bits. */
static unsigned magnitude_bound(unsigned bits) {
    return bits < 28 ? (bits > 8 ? bits - 8 : 0) : bits < 72 ? 19 + (bits - 27 + 3) / 4 : 31;
}

uint16_t j2k_ht_capabilities(const codestream *cs, const tile_header *tiles) {
    unsigned bits = 0, caps = 0, others = 0;
    uint32_t num_tiles = tiles ? cs->siz.tiles_x * cs->siz.tiles_y : 0;
    for (uint32_t i = 0; i <= num_tiles; i++) {
        const component_style *styles = i < num_tiles ? tiles[i].components : cs->components;
        if (i < num_tiles && styles == cs->components)
            continue;
        caps |= i < num_tiles ? CAP_HETEROGENEOUS : 0;
        for (uint32_t c = 0; c < cs->siz.num_components; c++) {
            const component_style *style = &styles[c];
            bool is_coded_ht = style->coding.codeblock_style & J2K_STYLE_HT;
            others += !is_coded_ht;
            if (!is_coded_ht)
                continue;
            caps |= style->roi_shift ? CAP_RGN : 0;
            caps |= style->coding.reversible ? 0 : CAP_HTIRV;
            for (unsigned b = 0; b <= 3u * style->coding.levels; b++)
                bits = max_u32(bits, style->quant.guard_bits + style->quant.exponent[b] + style->roi_shift);
        }
    }
    return (uint16_t)(caps | (others ? CAP_HTDECLARED : 0) | magnitude_bound(bits ? bits - 1 : 0));
}

static unsigned coding_size(const coding_style *coding) {
    return 5u + (coding->user_precincts ? coding->levels + 1u : 0);
}

static void write_coding(byte_sink *sink, const coding_style *coding) {
    j2k_put_u8(sink, coding->levels);
    j2k_put_u8(sink, coding->codeblock_w_exp - 2u);
    j2k_put_u8(sink, coding->codeblock_h_exp - 2u);
    j2k_put_u8(sink, coding->codeblock_style);
    j2k_put_u8(sink, coding->reversible);
    for (unsigned r = 0; coding->user_precincts && r <= coding->levels; r++)
        j2k_put_u8(sink, coding->precinct_w_exp[r] | (unsigned)coding->precinct_h_exp[r] << 4);
}

static bool same_coding(const coding_style *a, const coding_style *b) {
    bool same = a->levels == b->levels && a->codeblock_w_exp == b->codeblock_w_exp &&
                a->codeblock_h_exp == b->codeblock_h_exp && a->codeblock_style == b->codeblock_style &&
                a->reversible == b->reversible && a->user_precincts == b->user_precincts;
    if (same && a->user_precincts)
        same = !memcmp(a->precinct_w_exp, b->precinct_w_exp, a->levels + 1u) &&
               !memcmp(a->precinct_h_exp, b->precinct_h_exp, a->levels + 1u);
    return same;
}

static void put_component(byte_sink *sink, const codestream *cs, uint32_t component) {
    if (cs->siz.num_components < 257)
        j2k_put_u8(sink, component);
    else
        j2k_put_u16(sink, component);
}

static unsigned component_field(const codestream *cs) {
    return cs->siz.num_components < 257 ? 1 : 2;
}

static void write_cod(byte_sink *sink, const codestream *cs) {
    const coding_style *coding = &cs->components[0].coding;
    j2k_put_u16(sink, MARKER_COD);
    j2k_put_u16(sink, 7 + coding_size(coding));
    j2k_put_u8(sink, (coding->user_precincts ? 1u : 0) | (cs->style.sop ? 2u : 0) | (cs->style.eph ? 4u : 0));
    j2k_put_u8(sink, cs->style.order);
    j2k_put_u16(sink, cs->style.num_layers);
    j2k_put_u8(sink, cs->style.colour_transform);
    write_coding(sink, coding);
    for (uint32_t c = 1; c < cs->siz.num_components; c++) {
        const coding_style *other = &cs->components[c].coding;
        if (same_coding(coding, other))
            continue;
        j2k_put_u16(sink, MARKER_COC);
        j2k_put_u16(sink, 3 + component_field(cs) + coding_size(other));
        put_component(sink, cs, c);
        j2k_put_u8(sink, other->user_precincts);
        write_coding(sink, other);
    }
}

static unsigned num_steps(const component_style *style) {
    return style->quant.kind == QUANT_DERIVED ? 1 : 3u * style->coding.levels + 1;
}

static unsigned quant_size(const component_style *style) {
    return 1 + num_steps(style) * (style->quant.kind == QUANT_NONE ? 1 : 2);
}

static void write_quant(byte_sink *sink, const component_style *style) {
    const quantisation *quant = &style->quant;
    j2k_put_u8(sink, (unsigned)quant->kind | (unsigned)quant->guard_bits << 5);
    for (unsigned b = 0; b < num_steps(style); b++) {
        if (quant->kind == QUANT_NONE)
            j2k_put_u8(sink, (unsigned)quant->exponent[b] << 3);
        else
            j2k_put_u16(sink, (unsigned)quant->exponent[b] << 11 | quant->mantissa[b]);
    }
}

static bool same_quant(const component_style *a, const component_style *b) {
    if (a->quant.kind != b->quant.kind || a->quant.guard_bits != b->quant.guard_bits ||
        num_steps(a) != num_steps(b))
        return false;
    for (unsigned i = 0; i < num_steps(a); i++)
        if (a->quant.exponent[i] != b->quant.exponent[i] ||
            (a->quant.kind != QUANT_NONE && a->quant.mantissa[i] != b->quant.mantissa[i]))
            return false;
    return true;
}

static void write_qcd(byte_sink *sink, const codestream *cs) {
    j2k_put_u16(sink, MARKER_QCD);
    j2k_put_u16(sink, 2 + quant_size(&cs->components[0]));
    write_quant(sink, &cs->components[0]);
    for (uint32_t c = 1; c < cs->siz.num_components; c++) {
        const component_style *other = &cs->components[c];
        if (same_quant(&cs->components[0], other))
            continue;
        j2k_put_u16(sink, MARKER_QCC);
        j2k_put_u16(sink, 2 + component_field(cs) + quant_size(other));
        put_component(sink, cs, c);
        write_quant(sink, other);
    }
}

static void write_rgn(byte_sink *sink, const codestream *cs, uint32_t component) {
    j2k_put_u16(sink, MARKER_RGN);
    j2k_put_u16(sink, 4 + component_field(cs));
    put_component(sink, cs, component);
    j2k_put_u8(sink, 0); /* Srgn: implicit, Maxshift */
    j2k_put_u8(sink, cs->components[component].roi_shift);
}

/* A.6.6. One entry has 7 bytes, or 9 when component numbers take two; CEpoc 0 means 256 in one byte. */
static void write_poc(byte_sink *sink, const codestream *cs) {
    const tile_style *style = &cs->style;
    if (!style->num_changes)
        return;
    j2k_put_u16(sink, MARKER_POC);
    j2k_put_u16(sink, 2 + (5 + 2 * component_field(cs)) * style->num_changes);
    for (uint32_t i = 0; i < style->num_changes; i++) {
        const progression_change *change = &style->changes[i];
        j2k_put_u8(sink, change->first_resolution);
        put_component(sink, cs, change->first_component);
        j2k_put_u16(sink, change->end_layer);
        j2k_put_u8(sink, change->end_resolution);
        put_component(sink, cs, change->end_component & (cs->siz.num_components < 257 ? 255u : 65535u));
        j2k_put_u8(sink, change->order);
    }
}

void j2k_write_com(byte_sink *sink, const char *text) {
    enum { MAX_TEXT = 65535 - 4 };
    size_t left = text ? strlen(text) : 0;
    while (left) {
        size_t count = left < MAX_TEXT ? left : MAX_TEXT;
        j2k_put_u16(sink, MARKER_COM);
        j2k_put_u16(sink, (unsigned)(4 + count));
        j2k_put_u16(sink, 1); /* Rcom: Latin-1 */
        j2k_put_bytes(sink, text, count);
        text += count;
        left -= count;
    }
}

void j2k_write_main_header(byte_sink *sink, const codestream *cs, const char *comment) {
    j2k_put_u16(sink, MARKER_SOC);
    write_siz(sink, cs);
    if (is_ht(cs))
        write_cap(sink, cs);
    write_cod(sink, cs);
    write_qcd(sink, cs);
    for (uint32_t c = 0; c < cs->siz.num_components; c++)
        if (cs->components[c].roi_shift)
            write_rgn(sink, cs, c);
    write_poc(sink, cs);
    j2k_write_com(sink, comment);
}

static bool same_tile_style(const tile_style *a, const tile_style *b) {
    return a->order == b->order && a->num_layers == b->num_layers &&
           a->colour_transform == b->colour_transform && a->sop == b->sop && a->eph == b->eph;
}

void j2k_write_tile_header(byte_sink *sink, const codestream *cs, const tile_header *tile) {
    codestream own = *cs;
    own.style = tile->style;
    own.components = tile->components;
    bool coding = !same_tile_style(&own.style, &cs->style), quant = false;
    for (uint32_t c = 0; c < cs->siz.num_components; c++) {
        coding = coding || !same_coding(&own.components[c].coding, &cs->components[c].coding);
        quant = quant || !same_quant(&own.components[c], &cs->components[c]);
    }
    if (coding)
        write_cod(sink, &own);
    if (quant)
        write_qcd(sink, &own);
    for (uint32_t c = 0; c < cs->siz.num_components; c++)
        if (own.components[c].roi_shift != cs->components[c].roi_shift)
            write_rgn(sink, &own, c);
    if (own.style.changes != cs->style.changes)
        write_poc(sink, &own);
}

/* ---- TLM, PLT ---- */

/* A TLM segment: Ltlm, Ztlm, Stlm, then Ttlm (16 bits) and Ptlm (32 bits) for each tile-part (A.7.1). */
enum { TLM_HEAD = 6, TLM_ENTRY = 6, TLM_ENTRIES = (65535 - 4) / TLM_ENTRY };

size_t j2k_write_tlm(byte_sink *sink, uint32_t num_parts) {
    size_t offset = sink->size;
    for (unsigned index = 0; num_parts; index++) {
        uint32_t count = min_u32(num_parts, TLM_ENTRIES);
        j2k_put_u16(sink, MARKER_TLM);
        j2k_put_u16(sink, 4 + TLM_ENTRY * count);
        j2k_put_u8(sink, index);
        j2k_put_u8(sink, 0x60); /* ST = 2, SP = 1 */
        for (uint32_t i = 0; i < count; i++) {
            j2k_put_u16(sink, 0);
            j2k_put_u32(sink, 0);
        }
        num_parts -= count;
    }
    return offset;
}

void j2k_patch_tlm(byte_sink *sink, size_t tlm_offset, uint32_t index, uint32_t tile, uint32_t length) {
    size_t offset = tlm_offset + (size_t)(index / TLM_ENTRIES + 1) * TLM_HEAD + (size_t)index * TLM_ENTRY;
    j2k_patch_u16(sink, offset, tile);
    j2k_patch_u32(sink, offset + 2, length);
}

static unsigned packet_length_bytes(uint32_t length) {
    unsigned count = 1;
    while (length >>= 7)
        count++;
    return count;
}

bool j2k_write_plt(byte_sink *sink, const uint32_t *lengths, size_t count) {
    enum { MAX_CONTENTS = 65535 - 3 };
    byte_sink before = *sink;
    unsigned index = 0;
    for (size_t i = 0; i < count; index++) {
        size_t end = i, size = 0;
        for (; end < count; end++) {
            unsigned bytes = packet_length_bytes(lengths[end]);
            if (size + bytes > MAX_CONTENTS)
                break;
            size += bytes;
        }
        if (index > 255) {
            *sink = before;
            return false;
        }
        j2k_put_u16(sink, MARKER_PLT);
        j2k_put_u16(sink, (unsigned)(3 + size));
        j2k_put_u8(sink, index);
        for (; i < end; i++) /* 7 bits a byte from the top; all but the last have the top bit set (A.7.3) */
            for (unsigned left = packet_length_bytes(lengths[i]); left--;)
                j2k_put_u8(sink, ((lengths[i] >> 7 * left) & 0x7F) | (left ? 0x80u : 0));
    }
    return true;
}

/* ---- tile-parts ---- */

size_t j2k_write_sot(byte_sink *sink, uint32_t tile, uint32_t part, uint32_t num_parts) {
    size_t offset = sink->size;
    j2k_put_u16(sink, MARKER_SOT);
    j2k_put_u16(sink, SOT_SIZE - 2);
    j2k_put_u16(sink, tile);
    j2k_put_u32(sink, 0); /* Psot */
    j2k_put_u8(sink, part);
    j2k_put_u8(sink, num_parts);
    return offset;
}

void j2k_write_sod(byte_sink *sink) {
    j2k_put_u16(sink, MARKER_SOD);
}

size_t j2k_begin_tile_part(byte_sink *sink, uint32_t tile, uint32_t part, uint32_t num_parts) {
    size_t offset = j2k_write_sot(sink, tile, part, num_parts);
    j2k_write_sod(sink);
    return offset;
}

void j2k_end_tile_part(byte_sink *sink, size_t sot_offset) {
    size_t length = sink->size - sot_offset;
    /* Psot 0 means "up to EOC", which a tile-part beyond 4 GiB can only be when it is the last one. */
    j2k_patch_u32(sink, sot_offset + 6, length > UINT32_MAX ? 0 : (uint32_t)length);
}

void j2k_write_sop(byte_sink *sink, uint32_t number) {
    j2k_put_u16(sink, MARKER_SOP);
    j2k_put_u16(sink, 4);
    j2k_put_u16(sink, number & 0xFFFF);
}

void j2k_write_eoc(byte_sink *sink) {
    j2k_put_u16(sink, MARKER_EOC);
}
