/* Marker segments of the codestream, one at a time: found, and taken apart into fields (T.800 annex A).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_MARKERS_H
#define J2K_MARKERS_H

#include "codestream.h"

/* T.800 table A.2, T.814 (CAP, CPF) and the markers of T.801 that change the meaning of the data. */
enum {
    MARKER_SOC = 0xFF4F,
    MARKER_CAP = 0xFF50,
    MARKER_SIZ = 0xFF51,
    MARKER_COD = 0xFF52,
    MARKER_COC = 0xFF53,
    MARKER_TLM = 0xFF55,
    MARKER_PLM = 0xFF57,
    MARKER_PLT = 0xFF58,
    MARKER_CPF = 0xFF59,
    MARKER_QCD = 0xFF5C,
    MARKER_QCC = 0xFF5D,
    MARKER_RGN = 0xFF5E,
    MARKER_POC = 0xFF5F,
    MARKER_PPM = 0xFF60,
    MARKER_PPT = 0xFF61,
    MARKER_CRG = 0xFF63,
    MARKER_COM = 0xFF64,
    MARKER_DCO = 0xFF70, /* FF70 to FF79: T.801 */
    MARKER_ATK = 0xFF79,
    MARKER_SOT = 0xFF90,
    MARKER_SOP = 0xFF91,
    MARKER_EPH = 0xFF92,
    MARKER_SOD = 0xFF93,
    MARKER_EOC = 0xFFD9
};

enum {
    SOT_SIZE = 12,        /* marker, Lsot, Isot, Psot, TPsot, TNsot */
    MAX_TILES = 65535,    /* Isot is 0 to 65534 (table A.5) */
    CAP_PART_15 = 0x20000 /* Pcap of T.814: the 15th bit from the top */
};

/* A marker and what follows it up to the next one. */
typedef struct segment {
    unsigned marker;
    size_t offset;       /* of the marker, from SOC */
    const uint8_t *data; /* behind the length field; NULL for markers that stand alone */
    size_t size;
    size_t next; /* offset behind the segment */
    diagnostics *diag;
} segment;

/* The marker at `offset`, which must be followed by its whole segment before `end`. What is behind `end` is
 * the caller's to know: `beyond` is the status when the segment reaches there. */
j2k_status j2k_segment_open(const uint8_t *data, size_t offset, size_t end, j2k_status beyond, segment *s,
                            diagnostics *diag);

/* "SIZ", or "marker FF45". The buffer is used for the latter. */
const char *j2k_marker_name(unsigned marker, char buffer[16]);

/* Errors and warnings that begin with "COD at byte 106: ". */
j2k_status j2k_segment_fail(const segment *s, j2k_status status, const char *format, ...) J2K_PRINTF(3, 4);
void j2k_segment_warn(const segment *s, const char *format, ...) J2K_PRINTF(2, 3);

j2k_status j2k_parse_siz(const segment *s, arena *memory, image_siz *siz);
j2k_status j2k_parse_cap(const segment *s, codestream *cs);
/* COD fills everything of style but the POC changes. */
j2k_status j2k_parse_cod(const segment *s, tile_style *style, coding_style *coding);
j2k_status j2k_parse_coc(const segment *s, uint32_t num_components, uint32_t *component,
                         coding_style *coding);
j2k_status j2k_parse_qcd(const segment *s, quantisation *quant);
j2k_status j2k_parse_qcc(const segment *s, uint32_t num_components, uint32_t *component, quantisation *quant);
j2k_status j2k_parse_rgn(const segment *s, uint32_t num_components, uint32_t *component, uint8_t *shift);
/* Number of entries of a POC segment; 0 when its length is wrong. */
size_t j2k_poc_count(const segment *s, uint32_t num_components);
j2k_status j2k_parse_poc(const segment *s, uint32_t num_components, progression_change *changes);

typedef struct sot_fields {
    uint32_t tile;
    uint32_t length; /* Psot */
    uint8_t part, num_parts;
} sot_fields;

j2k_status j2k_parse_sot(const segment *s, sot_fields *sot);

/* Coding style and quantisation of a tile-component must fit together: enough step sizes for the levels, a
 * quantisation style that the transformation allows. NULL when they do, else what is wrong. */
const char *j2k_style_conflict(const component_style *style);

static inline unsigned load_u16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}
static inline uint32_t load_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
