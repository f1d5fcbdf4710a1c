/* The codestream's structure: what the main and tile-part headers say, read and written (T.800 annex A).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_CODESTREAM_H
#define J2K_CODESTREAM_H

#include "arena.h"
#include "error.h"
#include "geometry.h"

/* SIZ, one component (T.800 table A.11). */
typedef struct component_siz {
    uint8_t depth; /* 1 to 38 in the standard */
    bool is_signed;
    uint8_t dx, dy;
} component_siz;

/* SIZ (A.5.1). */
typedef struct image_siz {
    uint16_t rsiz;
    rect area; /* image area on the reference grid: XOsiz, YOsiz, Xsiz, Ysiz */
    uint32_t tile_x0, tile_y0, tile_width, tile_height; /* XTOsiz, YTOsiz, XTsiz, YTsiz */
    uint32_t tiles_x, tiles_y;
    uint32_t num_components;
    component_siz *components;
} image_siz;

/* Bit 7 of the code-block style, only together with J2K_STYLE_HT: each code-block may be HT or Part 1
 * (T.814 table A.4). */
enum { J2K_STYLE_HT_MIXED = 0x80 };

/* COD / COC, the part that belongs to a tile-component (tables A.15, A.20, A.23). */
typedef struct coding_style {
    uint8_t levels;          /* decomposition levels, 0 to 32 */
    uint8_t codeblock_w_exp; /* log2 of the width, 2 to 10; w + h <= 12 */
    uint8_t codeblock_h_exp;
    uint8_t codeblock_style; /* OR of j2k_codeblock_style; J2K_STYLE_HT_MIXED may be there */
    bool reversible;         /* 5/3 */
    uint8_t precinct_w_exp[J2K_MAX_RESOLUTIONS]; /* PPx per resolution, lowest first; 15 when not signalled */
    uint8_t precinct_h_exp[J2K_MAX_RESOLUTIONS];
    bool user_precincts; /* sizes are (to be) signalled */
} coding_style;

typedef enum quant_kind { QUANT_NONE = 0, QUANT_DERIVED = 1, QUANT_EXPOUNDED = 2 } quant_kind;

/* QCD / QCC (tables A.27 to A.30). Subbands are counted LL, then HL LH HH per resolution; for QUANT_DERIVED
 * the reader fills all of them by equation E-5. */
typedef struct quantisation {
    quant_kind kind;
    uint8_t guard_bits;
    uint8_t exponent[3 * J2K_MAX_LEVELS + 1];
    uint16_t mantissa[3 * J2K_MAX_LEVELS + 1]; /* 11 bits */
    uint8_t num_steps; /* entries that the marker segment gave or, for QUANT_DERIVED, that follow from it. Set
                          by the reader, which also checks that they suffice; not looked at by the writer */
} quantisation;

/* COD, the part that belongs to the whole tile (table A.14), and POC changes (A.6.6). */
typedef struct progression_change {
    uint16_t first_component, end_component;  /* CSpoc, CEpoc (end is exclusive and at most num_components) */
    uint8_t first_resolution, end_resolution; /* end is exclusive; may exceed what a component has */
    uint16_t end_layer;                       /* exclusive; may exceed num_layers */
    uint8_t order;                            /* j2k_progression */
} progression_change;

typedef struct tile_style {
    uint8_t order; /* j2k_progression */
    uint16_t num_layers;
    uint8_t colour_transform; /* 0 or 1 (SGcod, MCT) */
    bool sop, eph;
    uint32_t num_changes; /* POC entries that apply to this tile, 0: none */
    progression_change *changes;
} tile_style;

/* Everything that is resolved per tile-component: what COD/COC, QCD/QCC and RGN leave after their precedence
 * (tile COC > tile COD > main COC > main COD, A.6). */
typedef struct component_style {
    coding_style coding;
    quantisation quant;
    uint8_t roi_shift;
} component_style;

/* A stretch of bytes in the input. */
typedef struct byte_span {
    const uint8_t *data;
    size_t size;
} byte_span;

/* One tile as the tile-part headers describe it, complete after j2k_codestream_read. */
typedef struct tile_header {
    bool present;    /* at least one tile-part was found */
    bool own_styles; /* components[] is the tile's own copy, not the main header's */
    tile_style style;
    component_style *components; /* num_components */
    uint32_t num_parts;
    byte_span *parts; /* packet data of each tile-part, in the order of TPsot */
    /* PPM / PPT contents for this tile in order, joined: one span, or 0 when the headers are in the packet
     * data. */
    uint32_t num_packed_headers;
    byte_span *packed_headers;
    byte_span *packet_lengths; /* PLT contents of each part, joined; size 0 where a part has none. NULL when
                                  they were not asked for */
    bool truncated;            /* data of the last part ended early (tolerant mode) */
} tile_header;

typedef struct codestream {
    image_siz siz;
    tile_style style;            /* main header */
    component_style *components; /* main header */
    uint16_t ccap15;             /* CAP: Ccap15 of T.814, 0 when absent */
    bool has_cap;
    const uint8_t *comment; /* first Latin-1 COM */
    size_t comment_size;
    bool has_ppm;      /* all packet headers are in the main header */
    byte_span ppm;     /* contents of all PPM segments in the order of Zppm: Nppm, Ippm for each tile-part */
    uint32_t num_tlm;  /* TLM segments, in the order of Ztlm; 0 when they contradict each other, too */
    byte_span *tlm;    /* their contents behind Ztlm */
    rect wanted_tiles; /* what j2k_codestream_read_tiles looks into, in tile columns and rows; set by its
                          caller, empty: all. Other tiles are then not `present` */
    bool keep_packet_lengths; /* likewise: fill tile_header.packet_lengths */
    tile_header *tiles;       /* tiles_x * tiles_y; NULL when only the main header was read */
    bool truncated;           /* tolerant mode: the stream ended before EOC */
} codestream;

/* Read the main header (SOC to the first SOT). Everything is allocated in `memory`; spans point into data.
 * `max_pixels` is not checked here. Errors name the marker and its offset (from SOC). */
j2k_status j2k_codestream_read_main(const uint8_t *data, size_t size, arena *memory, codestream *cs,
                                    size_t *first_sot, diagnostics *diag);

/* Read all tile-part headers from first_sot on and fill cs->tiles. Tile-parts may come in any order and
 * interleaved. In tolerant mode what is missing or damaged is warned about and left out (the tile is then not
 * present, or `truncated`); otherwise it is an error. A missing EOC is accepted, with a warning, when all
 * tile-parts are complete; so are tiles without any tile-part when there is an EOC (they are not `present`).
 * When not all tiles are wanted, TLM says where their parts are; a TLM that does not agree with what is there
 * is not used, with a warning: then the parts are walked from SOT to SOT.
 * Time and memory are O(size + tiles + components). */
j2k_status j2k_codestream_read_tiles(const uint8_t *data, size_t size, size_t first_sot, bool tolerant,
                                     arena *memory, codestream *cs, diagnostics *diag);

/* Why the main header's styles cannot be used for a tile that says nothing itself; NULL: they can. */
const char *j2k_main_styles_conflict(const codestream *cs);

/* ---- writing ---- */

/* A bounded output buffer: bytes beyond capacity are counted, not written, so that `size > capacity` at the
 * end means "does not fit" and the true size is known. */
typedef struct byte_sink {
    uint8_t *data;
    size_t capacity;
    size_t size;
} byte_sink;

/* data may be NULL when capacity is 0: only the size is counted. */
void j2k_put_bytes(byte_sink *sink, const void *bytes, size_t count);
void j2k_put_u8(byte_sink *sink, unsigned value);
void j2k_put_u16(byte_sink *sink, unsigned value);
void j2k_put_u32(byte_sink *sink, uint32_t value);
/* Overwrite 4 bytes at offset with a big-endian value, as far as they lie inside the capacity. */
void j2k_patch_u32(byte_sink *sink, size_t offset, uint32_t value);
void j2k_patch_u16(byte_sink *sink, size_t offset, unsigned value);

/* SOC, SIZ, CAP (when cs->has_cap or a component is HT; bit 14 of Rsiz is then set), COD, COC (components
 * that differ from component 0), QCD, QCC, RGN, POC (at most J2K_MAX_CHANGES), COM (comment NULL or "":
 * none).
 */
void j2k_write_main_header(byte_sink *sink, const codestream *cs, const char *comment);

/* COM segments with Latin-1 text, as many as its length needs; NULL or "": none. */
void j2k_write_com(byte_sink *sink, const char *text);

/* Ccap15 (T.814 table A.3) of a stream whose HT code-blocks have one HT set each; tiles: NULL, or the headers
 * of all tiles. */
enum {
    CAP_HTDECLARED = 2 << 14, /* some tile-components are HT, others are not */
    CAP_RGN = 1 << 12,
    CAP_HETEROGENEOUS = 1 << 11, /* tiles differ */
    CAP_HTIRV = 1 << 5,          /* the 9/7 is used */
    CAP_MAGB = 31                /* bound of magnitude bits */
};
uint16_t j2k_ht_capabilities(const codestream *cs, const tile_header *tiles);

/* What the styles of a tile say that those of the main header do not: COD and COC, QCD and QCC, RGN, POC
 * (when its changes are not the main header's own array). */
enum { J2K_MAX_CHANGES = (65535 - 2) / 9 };
void j2k_write_tile_header(byte_sink *sink, const codestream *cs, const tile_header *tile);

/* TLM segments with room for num_parts tile-parts, right behind the main header; returns the offset of the
 * first one. num_parts must not exceed J2K_MAX_TLM_PARTS. j2k_patch_tlm enters tile-part `index` (in
 * codestream order) and its length Psot. */
enum { J2K_MAX_TLM_PARTS = 256 * 10921 };
size_t j2k_write_tlm(byte_sink *sink, uint32_t num_parts);
void j2k_patch_tlm(byte_sink *sink, size_t tlm_offset, uint32_t index, uint32_t tile, uint32_t length);

/* SOT (12 bytes; Psot is patched by j2k_end_tile_part) and SOD. Returns the offset of the SOT marker. */
size_t j2k_begin_tile_part(byte_sink *sink, uint32_t tile, uint32_t part, uint32_t num_parts);
void j2k_end_tile_part(byte_sink *sink, size_t sot_offset);
/* The same in two steps, for what stands between SOT and SOD: PLT. */
size_t j2k_write_sot(byte_sink *sink, uint32_t tile, uint32_t part, uint32_t num_parts);
/* PLT segments with the byte counts (header and body) of the tile-part's packets in order; returns false,
 * with nothing written, when they need more than the 256 segments there may be. */
bool j2k_write_plt(byte_sink *sink, const uint32_t *lengths, size_t count);
void j2k_write_sod(byte_sink *sink);
void j2k_write_sop(byte_sink *sink, uint32_t number);
void j2k_write_eoc(byte_sink *sink);

#endif
