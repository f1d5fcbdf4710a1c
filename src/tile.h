/* The tile tree: tile, tile-component, resolution, subband, precinct, code-block (T.800 annex B).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_TILE_H
#define J2K_TILE_H

#include "arena.h"
#include "budget.h"
#include "codestream.h"
#include "geometry.h"
#include "tagtree.h"

/* Coefficients or samples of one rectangle: int32_t on the reversible path, float on the irreversible one; in
 * wide tile-components int64_t and double. Element (x, y), in the coordinates of the subband or resolution it
 * belongs to, is at data
 * + (y - area.y0) * stride + (x - area.x0). Rows are aligned to 64 bytes and may be read (not written) up to
 * 64 bytes past their end. */
typedef struct plane {
    void *data;
    ptrdiff_t stride; /* in elements */
    rect area;        /* what is stored: the window of the subband or resolution */
} plane;

/* Bytes of an element of a plane or row. */
static inline size_t element_size(bool wide) {
    return wide ? 8 : 4;
}

/* Encoder: the state of a code-block after one of its coding passes. */
typedef struct coding_pass {
    uint32_t length; /* bytes of the code-block's data that a decoder needs for this and all earlier passes */
    double reduction; /* squared error removed by this and all earlier passes, in quantiser steps squared */
} coding_pass;

/* Decoder: one packet's contribution to a codeword segment. */
typedef struct data_chunk {
    struct data_chunk *next;
    const uint8_t *data;
    uint32_t size;
    uint16_t num_passes; /* of the code-block, up to the end of this */
} data_chunk;

/* Decoder: a codeword segment, that is the passes up to a termination. Without BYPASS and TERMALL a
 * code-block has one. */
typedef struct codeword_segment {
    struct codeword_segment *next;
    uint16_t num_passes; /* HT: the placeholder passes before the first cleanup pass included */
    bool complete;       /* its last pass is there: what follows begins another segment */
    uint32_t size;
} codeword_segment;

typedef struct codeblock {
    rect area;              /* in subband coordinates */
    uint8_t zero_bitplanes; /* missing most significant bit-planes (P in B.10.5) */
    uint8_t lblock;         /* state of the length signalling, B.10.7.1 */
    uint16_t num_passes;    /* encoder: coded; decoder: passes whose data are kept */
    uint16_t seen_passes;   /* decoder: passes in all packets read so far, those dropped included */
    bool seen_cleanup;      /* decoder, HT: the first cleanup pass is among them */
    bool part_1;            /* decoder: not HT, in a stream that mixes both */
    union {
        struct { /* encoder */
            const uint8_t *data;
            const coding_pass *passes; /* num_passes entries */
            uint16_t *layer_passes;    /* passes in layers 0..l, per layer, cumulative; set by rate control */
            uint16_t first_pass; /* HT: where the HT set begins that is sent; passes before it are not */
            double energy;       /* squared error without any pass, in quantiser steps squared */
            float *slopes;       /* rate control: hull slope per pass, 0 where it is no truncation point */
        } enc;
        struct { /* decoder */
            data_chunk *first_chunk, *last_chunk;
            codeword_segment *first_segment, *last_segment;
            uint32_t num_bytes; /* in all chunks */
        } dec;
    } u;
} codeblock;

/* The code-block style that counts for a code-block: without the HT bits where it is coded as in Part 1. */
static inline unsigned codeblock_style(const codeblock *block, unsigned style) {
    return block->part_1 ? style & ~((unsigned)J2K_STYLE_HT | J2K_STYLE_HT_MIXED) : style;
}

/* A precinct of one subband. It is made by j2k_precinct_open when a packet first needs it, so that a header
 * that declares many precincts costs little. */
typedef struct precinct {
    codeblock *blocks; /* raster order */
    uint32_t blocks_wide, blocks_high;
    tagtree inclusion, zero_bitplanes;
} precinct;

/* Orientation of a subband (table B.1): HL is high-pass horizontally. */
enum { BAND_LL = 0, BAND_HL = 1, BAND_LH = 2, BAND_HH = 3 };

typedef struct subband {
    uint8_t orientation, level; /* decompositions down to it; 0: none */
    uint8_t num_bitplanes;      /* Mb of equation E-2, ROI shift not included */
    rect area;
    plane coefficients; /* data NULL when nothing of the band is needed; area is the window needed */
    float step;         /* quantiser step Delta_b (E-3), 1 on the reversible path */
    double weight; /* squared error in the image (sample units) for one squared unit of error in a coefficient
                      divided by step: (step * L2 norm of the synthesis basis * component's colour gain)^2 */
    precinct **precincts; /* num_precincts_x * num_precincts_y of the resolution, each NULL until opened */
} subband;

typedef struct resolution {
    rect area; /* trx0.. of equation B-14 */
    uint32_t num_precincts_x, num_precincts_y;
    uint8_t precinct_w_exp, precinct_h_exp;   /* PPx, PPy */
    uint8_t codeblock_w_exp, codeblock_h_exp; /* xcb', ycb' of equation B-17 */
    uint8_t num_bands;                        /* 1 for the lowest resolution, else 3 (HL, LH, HH) */
    subband bands[3];
    plane samples; /* LL input of the next higher resolution; the lowest resolution's is bands[0].coefficients
                      and the highest wanted one is never stored (it is made row by row) */
} resolution;

typedef struct tile_component {
    rect area; /* tcx0.. of equation B-12 */
    const component_style *style;
    uint8_t num_resolutions;    /* levels + 1 */
    uint8_t wanted_resolutions; /* num_resolutions - reduce, at least 1 */
    bool wide;                  /* its planes have elements of 64 bits: see component_is_wide in tile.c */
    bool wanted;                /* false: its packets are parsed but nothing is decoded */
    rect window; /* what is wanted of resolutions[wanted_resolutions - 1], in its coordinates */
    resolution *resolutions;
    const uint8_t **roi_masks; /* encoder, while the tile is coded: for subband b of resolution r, at 3 r + b,
                                  a byte for each coefficient, rows of the band's width, not 0 inside the
                                  region of interest. NULL: all coefficients have the same shift */
} tile_component;

typedef struct tile {
    uint32_t index;
    rect area;
    const tile_style *style;
    uint32_t num_components;
    tile_component *components;
    budget
        *budget; /* decoder: what opening code-blocks and looking for packets is taken from; NULL: no end */
    bool packets_skipped; /* decoder: some packets were passed over by the lengths that PLT gives */
} tile;

/* Build the tree of tile `index` in `memory`: all rectangles, precinct counts, steps and bit-planes; no
 * precincts and no coefficients; everything is wanted. `components` and `style` must outlive the tile.
 * Errors: MEMORY, CORRUPT (a combination that the standard rules out), UNSUPPORTED (2^32 precincts or more).
 */
j2k_status j2k_tile_build(tile *t, const image_siz *siz, uint32_t index, const tile_style *style,
                          const component_style *components, arena *memory, diagnostics *diag);

/* Take what building the tile costs from the budget, and count the packets (one layer of them) that the first
 * `resolutions` - reduce resolutions of the components wanted need; each takes at least one byte. Errors:
 * LIMIT.
 */
typedef struct tile_demand {
    bool (*wanted)(const void *user, uint32_t component);
    const void *user;
    uint32_t reduce;
    uint64_t packets; /* result */
} tile_demand;
j2k_status j2k_tile_afford(const image_siz *siz, uint32_t index, const component_style *components,
                           tile_demand *demand, budget *budget, diagnostics *diag);

/* Code-blocks that j2k_precinct_open would make. */
uint64_t j2k_precinct_block_count(const subband *band, const resolution *res, uint32_t precinct_index);

/* Encoder: take over the components' quantisation, which has changed since j2k_tile_build. */
void j2k_tile_requantise(tile *t, const image_siz *siz);

/* Make one precinct of one subband with its code-blocks and tag trees (no-op when that is done). The only
 * error is MEMORY. */
j2k_status j2k_precinct_open(subband *band, const resolution *res, uint32_t precinct_index, arena *memory);

/* The area that precinct `precinct_index` covers in a subband, in subband coordinates, clipped to the band.
 */
rect j2k_precinct_area(const subband *band, const resolution *res, uint32_t precinct_index);

/* How many passes from pass number `first_pass` on (0 is the first cleanup pass) belong to one codeword
 * segment under this code-block style (table D.9); counted from the middle of a segment, what is left of it.
 * SEGMENT_ENDLESS, more passes than any code-block has, when it is never terminated. */
enum { SEGMENT_ENDLESS = 255 };
unsigned j2k_segment_passes(unsigned codeblock_style, unsigned first_pass);

/* Squared L2 norm of the synthesis basis of a subband: `level` >= 1 decompositions (0: the only band of a
 * component without decomposition), as measured on the inverse transform. */
double j2k_basis_energy(bool reversible, unsigned level, unsigned orientation);

#endif
