/* Reading of single marker segments.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "markers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the frame of a segment ---- */

const char *j2k_marker_name(unsigned marker, char buffer[16]) {
    static const struct {
        uint16_t marker;
        char name[4];
    } names[] = {{MARKER_SOC, "SOC"}, {MARKER_CAP, "CAP"}, {MARKER_SIZ, "SIZ"}, {MARKER_COD, "COD"},
                 {MARKER_COC, "COC"}, {MARKER_TLM, "TLM"}, {MARKER_PLM, "PLM"}, {MARKER_PLT, "PLT"},
                 {MARKER_CPF, "CPF"}, {MARKER_QCD, "QCD"}, {MARKER_QCC, "QCC"}, {MARKER_RGN, "RGN"},
                 {MARKER_POC, "POC"}, {MARKER_PPM, "PPM"}, {MARKER_PPT, "PPT"}, {MARKER_CRG, "CRG"},
                 {MARKER_COM, "COM"}, {MARKER_SOT, "SOT"}, {MARKER_SOP, "SOP"}, {MARKER_EPH, "EPH"},
                 {MARKER_SOD, "SOD"}, {MARKER_EOC, "EOC"}, {0xFF70, "DCO"},     {0xFF71, "VMS"},
                 {0xFF72, "DFS"},     {0xFF73, "ADS"},     {0xFF74, "MCT"},     {0xFF75, "MCC"},
                 {0xFF76, "NLT"},     {0xFF77, "MCO"},     {0xFF78, "CBD"},     {0xFF79, "ATK"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].marker == marker)
            return names[i].name;
    snprintf(buffer, 16, "marker %04X", marker & 0xFFFF);
    return buffer;
}

j2k_status j2k_segment_fail(const segment *s, j2k_status status, const char *format, ...) {
    char text[200], name[16];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return j2k_fail(s->diag, status, "%s at byte %zu: %s", j2k_marker_name(s->marker, name), s->offset, text);
}

void j2k_segment_warn(const segment *s, const char *format, ...) {
    char text[200], name[16];
    va_list arguments;
    if (j2k_warnings_full(s->diag))
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    j2k_warn(s->diag, "%s at byte %zu: %s", j2k_marker_name(s->marker, name), s->offset, text);
}

/* Markers without a segment: delimiters and the reserved range of A.1.2. */
static bool stands_alone(unsigned marker) {
    return (marker >= 0xFF30 && marker <= 0xFF3F) || marker == MARKER_SOC || marker == MARKER_EPH ||
           marker == MARKER_SOD || marker == MARKER_EOC;
}

j2k_status j2k_segment_open(const uint8_t *data, size_t offset, size_t end, j2k_status beyond, segment *s,
                            diagnostics *diag) {
    memset(s, 0, sizeof *s);
    s->offset = offset;
    s->diag = diag;
    if (offset > end || end - offset < 2)
        return j2k_fail(diag, beyond, "byte %zu: a marker is missing", offset);
    s->marker = load_u16(data + offset);
    s->next = offset + 2;
    if (s->marker < 0xFF01 || s->marker == 0xFFFF)
        return j2k_fail(diag, J2K_ERROR_CORRUPT, "byte %zu: %04X is not a marker", offset, s->marker);
    if (stands_alone(s->marker))
        return J2K_OK;
    if (end - offset < 4)
        return j2k_segment_fail(s, beyond, "the length is missing");
    size_t length = load_u16(data + offset + 2);
    if (length < 2)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "length %zu is below 2", length);
    if (length > end - offset - 2)
        return j2k_segment_fail(s, beyond, "length %zu exceeds the %zu bytes left", length, end - offset - 2);
    s->data = data + offset + 4;
    s->size = length - 2;
    s->next = offset + 2 + length;
    return J2K_OK;
}

static j2k_status wrong_length(const segment *s) {
    return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "length %zu is wrong", s->size + 2);
}

/* ---- SIZ, CAP ---- */

static j2k_status check_grid(const segment *s, image_siz *siz) {
    const rect *a = &siz->area;
    if (rect_empty(*a))
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "the image area (%lu,%lu)-(%lu,%lu) is empty",
                                (unsigned long)a->x0, (unsigned long)a->y0, (unsigned long)a->x1,
                                (unsigned long)a->y1);
    if (!siz->tile_width || !siz->tile_height)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "the tile size is %lu x %lu",
                                (unsigned long)siz->tile_width, (unsigned long)siz->tile_height);
    /* Equations B-3 and B-4: the first tile holds at least one point of the image area. */
    if (siz->tile_x0 > a->x0 || siz->tile_y0 > a->y0 || (uint64_t)siz->tile_x0 + siz->tile_width <= a->x0 ||
        (uint64_t)siz->tile_y0 + siz->tile_height <= a->y0)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "the first tile is outside the image area");
    siz->tiles_x = ceil_div(a->x1 - siz->tile_x0, siz->tile_width); /* B-5 */
    siz->tiles_y = ceil_div(a->y1 - siz->tile_y0, siz->tile_height);
    if ((uint64_t)siz->tiles_x * siz->tiles_y > MAX_TILES)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "%lu x %lu tiles are more than 65535",
                                (unsigned long)siz->tiles_x, (unsigned long)siz->tiles_y);
    return J2K_OK;
}

j2k_status j2k_parse_siz(const segment *s, arena *memory, image_siz *siz) {
    const uint8_t *p = s->data;
    if (s->size < 36)
        return wrong_length(s);
    siz->rsiz = (uint16_t)load_u16(p);
    siz->area = (rect){load_u32(p + 10), load_u32(p + 14), load_u32(p + 2), load_u32(p + 6)};
    siz->tile_width = load_u32(p + 18);
    siz->tile_height = load_u32(p + 22);
    siz->tile_x0 = load_u32(p + 26);
    siz->tile_y0 = load_u32(p + 30);
    siz->num_components = load_u16(p + 34);
    if (siz->num_components < 1 || siz->num_components > J2K_MAX_COMPONENTS)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "%lu components; 1 to 16384 are possible",
                                (unsigned long)siz->num_components);
    if (s->size != 36 + 3 * (size_t)siz->num_components)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "length %zu is wrong for %lu components", s->size + 2,
                                (unsigned long)siz->num_components);
    TRY(check_grid(s, siz));
    siz->components = ARENA_ALLOC(memory, component_siz, siz->num_components);
    RETURN_IF(!siz->components, J2K_ERROR_MEMORY);
    p += 36;
    for (uint32_t c = 0; c < siz->num_components; c++, p += 3) {
        component_siz *out = &siz->components[c];
        *out = (component_siz){(uint8_t)((p[0] & 0x7F) + 1), (p[0] & 0x80) != 0, p[1], p[2]};
        if (out->depth > 38)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "component %lu has %u bits; 1 to 38 are possible",
                                    (unsigned long)c, (unsigned)out->depth);
        if (!out->dx || !out->dy)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "component %lu has subsampling %u x %u",
                                    (unsigned long)c, (unsigned)out->dx, (unsigned)out->dy);
    }
    return J2K_OK;
}

/* A.5.2: Pcap, then one 16-bit Ccap for each of its bits that is set, from the top. */
j2k_status j2k_parse_cap(const segment *s, codestream *cs) {
    if (s->size < 4)
        return wrong_length(s);
    uint32_t pcap = load_u32(s->data);
    size_t count = 0, part_15 = 0;
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
        if (bit == CAP_PART_15)
            part_15 = count;
        count += (pcap & bit) != 0;
    }
    if (s->size != 4 + 2 * count)
        return wrong_length(s);
    cs->has_cap = true;
    if (pcap & CAP_PART_15)
        cs->ccap15 = (uint16_t)load_u16(s->data + 4 + 2 * part_15);
    return J2K_OK;
}

/* ---- COD, COC ---- */

/* SPcod / SPcoc: the same fields in both (table A.20). */
static j2k_status parse_coding(const segment *s, const uint8_t *p, size_t size, bool user_precincts,
                               coding_style *coding) {
    memset(coding, 0, sizeof *coding);
    if (size < 5)
        return wrong_length(s);
    if (p[0] > J2K_MAX_LEVELS)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "%u decomposition levels exceed 32", (unsigned)p[0]);
    if (p[1] > 8 || p[2] > 8)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "code-block %s exponent %u exceeds 10",
                                p[1] > 8 ? "width" : "height", (p[1] > 8 ? p[1] : p[2]) + 2u);
    if (p[1] + p[2] > 8)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "code-block exponents %u + %u exceed 12", p[1] + 2u,
                                p[2] + 2u);
    if ((p[3] & 0xC0) == 0x80)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "code-block style %02X is reserved", (unsigned)p[3]);
    if (p[4] > 1)
        return j2k_segment_fail(s, J2K_ERROR_UNSUPPORTED, "wavelet transformation %u is not of Part 1",
                                (unsigned)p[4]);
    coding->levels = p[0];
    coding->codeblock_w_exp = (uint8_t)(p[1] + 2);
    coding->codeblock_h_exp = (uint8_t)(p[2] + 2);
    coding->codeblock_style = p[3];
    coding->reversible = p[4] == 1;
    coding->user_precincts = user_precincts;
    if (size != (user_precincts ? 6 + (size_t)coding->levels : 5))
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "length %zu is wrong for %u decomposition levels",
                                s->size + 2, (unsigned)coding->levels);
    memset(coding->precinct_w_exp, 15, sizeof coding->precinct_w_exp);
    memset(coding->precinct_h_exp, 15, sizeof coding->precinct_h_exp);
    for (unsigned r = 0; user_precincts && r <= coding->levels; r++) {
        coding->precinct_w_exp[r] = p[5 + r] & 15;
        coding->precinct_h_exp[r] = p[5 + r] >> 4;
        /* Table A.21: only the lowest resolution may have precincts of 1 sample; the others are halved into
         * subbands. */
        if (r > 0 && (!coding->precinct_w_exp[r] || !coding->precinct_h_exp[r]))
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "precinct exponent 0 at resolution %u", r);
    }
    return J2K_OK;
}

j2k_status j2k_parse_cod(const segment *s, tile_style *style, coding_style *coding) {
    const uint8_t *p = s->data;
    if (s->size < 10)
        return wrong_length(s);
    if (p[0] & 0xF8)
        return j2k_segment_fail(s, J2K_ERROR_UNSUPPORTED, "coding style %02X is not of Part 1",
                                (unsigned)p[0]);
    if (p[1] > J2K_CPRL)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "progression order %u is unknown", (unsigned)p[1]);
    style->order = p[1];
    style->num_layers = (uint16_t)load_u16(p + 2);
    style->colour_transform = p[4];
    style->sop = (p[0] & 2) != 0;
    style->eph = (p[0] & 4) != 0;
    if (!style->num_layers)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "there are no layers");
    if (p[4] > 1)
        return j2k_segment_fail(s, p[4] <= 7 ? J2K_ERROR_UNSUPPORTED : J2K_ERROR_CORRUPT,
                                "component transformation %u is not of Part 1", (unsigned)p[4]);
    return parse_coding(s, p + 5, s->size - 5, p[0] & 1, coding);
}

/* Ccoc, Cqcc, Crgn: one byte when there are fewer than 257 components, else two. `rest` is what must follow
 * at least. Returns the size of the field, 0 when it is wrong. */
static j2k_status parse_component(const segment *s, uint32_t num_components, size_t rest, uint32_t *component,
                                  size_t *used) {
    *used = num_components < 257 ? 1 : 2;
    if (s->size < *used + rest)
        return wrong_length(s);
    *component = *used == 1 ? s->data[0] : load_u16(s->data);
    if (*component >= num_components)
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "component %lu of %lu", (unsigned long)*component,
                                (unsigned long)num_components);
    return J2K_OK;
}

j2k_status j2k_parse_coc(const segment *s, uint32_t num_components, uint32_t *component,
                         coding_style *coding) {
    size_t used;
    TRY(parse_component(s, num_components, 6, component, &used));
    const uint8_t *p = s->data + used;
    if (p[0] & 0xFE)
        return j2k_segment_fail(s, J2K_ERROR_UNSUPPORTED, "coding style %02X is not of Part 1",
                                (unsigned)p[0]);
    return parse_coding(s, p + 1, s->size - used - 1, p[0] & 1, coding);
}

/* ---- QCD, QCC ---- */

enum { MAX_STEPS = 3 * J2K_MAX_LEVELS + 1 };

static void parse_step(quantisation *quant, size_t band, unsigned field) {
    quant->exponent[band] = (uint8_t)(field >> 11);
    quant->mantissa[band] = (uint16_t)(field & 0x7FF);
}

/* Sqcd, SPqcd and their counterparts in QCC (tables A.27 to A.30). */
static j2k_status parse_quantisation(const segment *s, const uint8_t *p, size_t size, quantisation *quant) {
    memset(quant, 0, sizeof *quant);
    if (size < 2)
        return wrong_length(s);
    unsigned kind = p[0] & 31;
    quant->guard_bits = p[0] >> 5;
    p++;
    size--;
    switch (kind) {
    case QUANT_NONE:
        if (size > MAX_STEPS)
            return wrong_length(s);
        for (size_t b = 0; b < size; b++)
            quant->exponent[b] = p[b] >> 3;
        quant->num_steps = (uint8_t)size;
        break;
    case QUANT_DERIVED:
        if (size != 2)
            return wrong_length(s);
        /* Equation E-5: eps_b = eps_0 - NL + nb. nb is NL for LL and the three bands of the first resolution
         * above it, and one less for each further resolution, so that NL cancels out. */
        for (unsigned b = 0; b < MAX_STEPS; b++) {
            parse_step(quant, b, load_u16(p));
            unsigned below = b ? (b - 1) / 3 : 0;
            quant->exponent[b] = (uint8_t)(quant->exponent[b] > below ? quant->exponent[b] - below : 0);
        }
        quant->num_steps = MAX_STEPS;
        break;
    case QUANT_EXPOUNDED:
        if (size % 2 || size / 2 > MAX_STEPS)
            return wrong_length(s);
        for (size_t b = 0; b < size / 2; b++)
            parse_step(quant, b, load_u16(p + 2 * b));
        quant->num_steps = (uint8_t)(size / 2);
        break;
    default:
        return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "quantisation style %u is unknown", kind);
    }
    quant->kind = (quant_kind)kind;
    return J2K_OK;
}

j2k_status j2k_parse_qcd(const segment *s, quantisation *quant) {
    return parse_quantisation(s, s->data, s->size, quant);
}

j2k_status j2k_parse_qcc(const segment *s, uint32_t num_components, uint32_t *component,
                         quantisation *quant) {
    size_t used;
    TRY(parse_component(s, num_components, 2, component, &used));
    return parse_quantisation(s, s->data + used, s->size - used, quant);
}

const char *j2k_style_conflict(const component_style *style) {
    if (style->quant.num_steps < 3 * style->coding.levels + 1)
        return "fewer step sizes than subbands";
    if (style->coding.reversible && style->quant.kind != QUANT_NONE)
        return "quantisation of the reversible transformation";
    return NULL;
}

/* ---- RGN, POC, SOT ---- */

j2k_status j2k_parse_rgn(const segment *s, uint32_t num_components, uint32_t *component, uint8_t *shift) {
    size_t used;
    TRY(parse_component(s, num_components, 2, component, &used));
    if (s->size != used + 2)
        return wrong_length(s);
    if (s->data[used] != 0)
        return j2k_segment_fail(s, J2K_ERROR_UNSUPPORTED, "region of interest style %u is not of Part 1",
                                (unsigned)s->data[used]);
    if (s->data[used + 1] > 37) /* table A.26 says 0 to 255; more than 37 bits leave nothing to decode */
        return j2k_segment_fail(s, J2K_ERROR_UNSUPPORTED, "region of interest shift %u exceeds 37",
                                (unsigned)s->data[used + 1]);
    *shift = s->data[used + 1];
    return J2K_OK;
}

size_t j2k_poc_count(const segment *s, uint32_t num_components) {
    size_t entry = num_components < 257 ? 7 : 9;
    return s->size % entry ? 0 : s->size / entry;
}

j2k_status j2k_parse_poc(const segment *s, uint32_t num_components, progression_change *changes) {
    size_t count = j2k_poc_count(s, num_components);
    bool wide = num_components >= 257;
    const uint8_t *p = s->data;
    if (!count)
        return wrong_length(s);
    for (size_t i = 0; i < count; i++) {
        unsigned first_resolution = *p++;
        unsigned first_component = wide ? load_u16(p) : *p;
        p += wide ? 2 : 1;
        unsigned end_layer = load_u16(p);
        unsigned end_resolution = p[2];
        p += 3;
        unsigned end_component = wide ? load_u16(p) : *p;
        p += wide ? 2 : 1;
        unsigned order = *p++;
        if (!end_component || end_component > num_components) /* table A.32: 0 stands for all */
            end_component = num_components;
        if (order > J2K_CPRL)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "progression order %u is unknown", order);
        if (first_resolution >= end_resolution || end_resolution > J2K_MAX_RESOLUTIONS)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "resolutions %u to %u are no range",
                                    first_resolution, end_resolution);
        if (first_component >= end_component)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "components %u to %u are no range", first_component,
                                    end_component);
        if (!end_layer)
            return j2k_segment_fail(s, J2K_ERROR_CORRUPT, "a progression without layers");
        changes[i] = (progression_change){(uint16_t)first_component, (uint16_t)end_component,
                                          (uint8_t)first_resolution, (uint8_t)end_resolution,
                                          (uint16_t)end_layer,       (uint8_t)order};
    }
    return J2K_OK;
}

j2k_status j2k_parse_sot(const segment *s, sot_fields *sot) {
    if (s->size != SOT_SIZE - 4)
        return wrong_length(s);
    sot->tile = load_u16(s->data);
    sot->length = load_u32(s->data + 2);
    sot->part = s->data[6];
    sot->num_parts = s->data[7];
    return J2K_OK;
}
