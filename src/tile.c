/* Building the tile tree: the partitions of T.800 annex B, with quantiser steps and bit-planes.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "tile.h"

#include <string.h>

#include "colour.h"
#include "quant.h"

/* Equations B-7 to B-10. */
static rect tile_area(const image_siz *siz, uint32_t index) {
    uint64_t p = index % siz->tiles_x, q = index / siz->tiles_x;
    uint64_t x0 = siz->tile_x0 + p * siz->tile_width, x1 = x0 + siz->tile_width;
    uint64_t y0 = siz->tile_y0 + q * siz->tile_height, y1 = y0 + siz->tile_height;
    rect area = siz->area;
    area.x0 = x0 > area.x0 ? (uint32_t)(x0 < area.x1 ? x0 : area.x1) : area.x0;
    area.y0 = y0 > area.y0 ? (uint32_t)(y0 < area.y1 ? y0 : area.y1) : area.y0;
    area.x1 = x1 < area.x1 ? (uint32_t)x1 : area.x1;
    area.y1 = y1 < area.y1 ? (uint32_t)y1 : area.y1;
    return area;
}

/* Number of partition cells of size 2^exp, anchored at 0, that [begin, end) touches (equation B-16). */
static uint32_t cell_count(uint32_t begin, uint32_t end, unsigned exp) {
    return end > begin ? ceil_shift(end, exp) - floor_shift(begin, exp) : 0;
}

typedef struct tile_builder {
    tile *tile;
    const image_siz *siz;
    arena *memory;
    diagnostics *diag;
} tile_builder;

/* Step, weight and number of bit-planes; `level` as in subband_rect. */
static void quantise_band(const tile *t, const image_siz *siz, uint32_t component, unsigned level, unsigned r,
                          subband *band) {
    const tile_component *tc = &t->components[component];
    const quantisation *quant = &tc->style->quant;
    bool reversible = tc->style->coding.reversible;
    unsigned orientation = band->orientation;
    unsigned index = r == 0 ? 0 : 3 * (r - 1) + orientation;      /* place in QCD and QCC, A.6.4 */
    unsigned planes = quant->guard_bits + quant->exponent[index]; /* equation E-2 */
    band->num_bitplanes = (uint8_t)(planes ? planes - 1 : 0);
    band->step = 1;
    if (rect_empty(band->area))
        return;
    if (!reversible)
        band->step = j2k_quant_step(siz->components[component].depth, orientation, quant->exponent[index],
                                    quant->mantissa[index]);
    band->weight = (double)band->step * band->step * j2k_basis_energy(reversible, level, orientation);
    if (t->style->colour_transform && component < 3)
        band->weight *= j2k_colour_energy(reversible, component);
}

void j2k_tile_requantise(tile *t, const image_siz *siz) {
    for (uint32_t c = 0; c < t->num_components; c++) {
        tile_component *tc = &t->components[c];
        for (unsigned r = 0; r < tc->num_resolutions; r++)
            for (unsigned i = 0; i < tc->resolutions[r].num_bands; i++)
                quantise_band(t, siz, c, tc->num_resolutions - 1u - r + (r > 0), r,
                              &tc->resolutions[r].bands[i]);
    }
}

static void build_band(const tile_builder *b, uint32_t component, unsigned level, unsigned r,
                       unsigned orientation, subband *band) {
    const tile_component *tc = &b->tile->components[component];
    band->orientation = (uint8_t)orientation;
    band->level = (uint8_t)level;
    band->area = subband_rect(tc->area, level, orientation & 1, orientation >> 1);
    band->coefficients.area = band->area;
    quantise_band(b->tile, b->siz, component, level, r, band);
}

static j2k_status build_resolution(const tile_builder *b, uint32_t component, unsigned r, resolution *res) {
    const tile_component *tc = &b->tile->components[component];
    const coding_style *coding = &tc->style->coding;
    unsigned down = coding->levels - r;
    unsigned halved = r > 0; /* precincts of resolutions above the lowest are half as large in the subbands */
    res->area = rect_ceil_shift(tc->area, down);
    res->samples.area = res->area;
    res->precinct_w_exp = coding->precinct_w_exp[r];
    res->precinct_h_exp = coding->precinct_h_exp[r];
    if (res->precinct_w_exp < halved || res->precinct_h_exp < halved) /* table A.21 */
        return j2k_fail(b->diag, J2K_ERROR_CORRUPT,
                        "tile %u, component %u: a precinct size of 1 at resolution %u, allowed only at 0",
                        (unsigned)b->tile->index, (unsigned)component, r);
    res->codeblock_w_exp =
        (uint8_t)min_u32(coding->codeblock_w_exp, res->precinct_w_exp - halved); /* equation B-17 */
    res->codeblock_h_exp = (uint8_t)min_u32(coding->codeblock_h_exp, res->precinct_h_exp - halved);
    if (!rect_empty(res->area)) {
        res->num_precincts_x = cell_count(res->area.x0, res->area.x1, res->precinct_w_exp);
        res->num_precincts_y = cell_count(res->area.y0, res->area.y1, res->precinct_h_exp);
        if ((uint64_t)res->num_precincts_x * res->num_precincts_y > UINT32_MAX)
            return j2k_fail(b->diag, J2K_ERROR_UNSUPPORTED,
                            "tile %u, component %u, resolution %u: %u x %u precincts are too many",
                            (unsigned)b->tile->index, (unsigned)component, r, (unsigned)res->num_precincts_x,
                            (unsigned)res->num_precincts_y);
    }
    res->num_bands = r == 0 ? 1 : 3;
    for (unsigned i = 0; i < res->num_bands; i++)
        build_band(b, component, down + halved, r, i + halved, &res->bands[i]);
    return J2K_OK;
}

static size_t precinct_count(const resolution *res) {
    return (size_t)res->num_precincts_x * res->num_precincts_y;
}

/* Whether 32-bit elements could not hold what an encoder makes of samples of this depth.
 *
 * Reversible: samples of d bits are at most 2^(d-1) after the level shift, the differences of the RCT 2^d.
 * The 5/3 in both directions multiplies that by at most 8.22, the largest sum of absolute values of a
 * subband's analysis filter (HH of many levels; LL 2.95, HL and LH 4.92), and roundings add a few units. With
 * 27 bits, one for the RCT included, coefficients stay below 2^29.1 and sums of two below 2^31. 64 bits hold
 * 2^35.1, which 32-bit samples come to with the RCT, as well as the 2^60 that code-blocks can have at most.
 *
 * Irreversible: a float holds samples of 24 bits exactly, and its rounding errors then stay about 140 dB
 * below the peak; doubles have room for everything else.
 *
 * What a stream that no encoder made makes of them is undefined but harmless: integers wrap around. */
static bool component_is_wide(unsigned depth, bool reversible, bool transformed) {
    return reversible ? depth + transformed > 27 : depth > 24;
}

/* Components that go through a colour transform together have elements of the same size. */
static bool plan_wide(const tile_builder *b, uint32_t component, const component_style *styles) {
    const bool transformed = b->tile->style->colour_transform && component < 3;
    const uint32_t first = transformed ? 0 : component;
    const uint32_t end = transformed ? min_u32(3, b->siz->num_components) : component + 1;
    bool wide = false;
    for (uint32_t c = first; c < end; c++)
        wide |= component_is_wide(b->siz->components[c].depth, styles[c].coding.reversible, transformed);
    return wide;
}

static j2k_status build_component(const tile_builder *b, uint32_t component, const component_style *style) {
    tile_component *tc = &b->tile->components[component];
    const component_siz *siz = &b->siz->components[component];
    tc->area = rect_ceil_div(b->tile->area, siz->dx, siz->dy); /* equation B-12 */
    tc->style = style;
    tc->num_resolutions = (uint8_t)(style->coding.levels + 1);
    tc->wanted_resolutions = tc->num_resolutions;
    tc->wanted = true;
    tc->window = tc->area;
    tc->resolutions = ARENA_ALLOC_ZERO(b->memory, resolution, tc->num_resolutions);
    RETURN_IF(!tc->resolutions, J2K_ERROR_MEMORY);
    uint64_t count = 0;
    for (unsigned r = 0; r < tc->num_resolutions; r++) {
        resolution *res = &tc->resolutions[r];
        TRY(build_resolution(b, component, r, res));
        count += (uint64_t)res->num_bands * res->num_precincts_x * res->num_precincts_y;
    }
    RETURN_IF(count > SIZE_MAX / sizeof(precinct *), J2K_ERROR_MEMORY);
    precinct **precincts = ARENA_ALLOC_ZERO(b->memory, precinct *, (size_t)count);
    RETURN_IF(!precincts, J2K_ERROR_MEMORY);
    for (unsigned r = 0; r < tc->num_resolutions; r++) {
        resolution *res = &tc->resolutions[r];
        for (unsigned i = 0; i < res->num_bands; i++) {
            res->bands[i].precincts = precincts;
            precincts += precinct_count(res);
        }
    }
    return J2K_OK;
}

j2k_status j2k_tile_build(tile *t, const image_siz *siz, uint32_t index, const tile_style *style,
                          const component_style *components, arena *memory, diagnostics *diag) {
    tile_builder builder = {t, siz, memory, diag};
    memset(t, 0, sizeof *t);
    t->index = index;
    t->area = tile_area(siz, index);
    t->style = style;
    t->num_components = siz->num_components;
    t->components = ARENA_ALLOC_ZERO(memory, tile_component, siz->num_components);
    j2k_status status = t->components ? J2K_OK : J2K_ERROR_MEMORY;
    for (uint32_t c = 0; c < siz->num_components && status == J2K_OK; c++) {
        status = build_component(&builder, c, &components[c]);
        t->components[c].wide = plan_wide(&builder, c, components);
    }
    if (status == J2K_ERROR_MEMORY)
        return j2k_fail(diag, status, "tile %u: no memory for its structure", (unsigned)index);
    return status;
}

/* ---- what a tile costs ---- */

j2k_status j2k_tile_afford(const image_siz *siz, uint32_t index, const component_style *components,
                           tile_demand *demand, budget *budget, diagnostics *diag) {
    const rect area = tile_area(siz, index);
    uint64_t resolutions = 0;
    demand->packets = 0;
    for (uint32_t c = 0; c < siz->num_components; c++)
        resolutions += components[c].coding.levels + 1u;
    bool enough = budget_spend(budget, resolutions);
    for (uint32_t c = 0; c < siz->num_components && enough; c++) {
        const coding_style *coding = &components[c].coding;
        rect whole = rect_ceil_div(area, siz->components[c].dx, siz->components[c].dy);
        uint64_t all = 0, needed = 0;
        for (unsigned r = 0; r <= coding->levels && !rect_empty(whole); r++) {
            rect res = rect_ceil_shift(whole, coding->levels - r);
            uint64_t count = rect_empty(res)
                                 ? 0
                                 : (uint64_t)cell_count(res.x0, res.x1, coding->precinct_w_exp[r]) *
                                       cell_count(res.y0, res.y1, coding->precinct_h_exp[r]);
            all += count / BUDGET_PRECINCTS * (r ? 3 : 1);
            if (r + (uint64_t)demand->reduce <= coding->levels)
                needed += count;
        }
        enough = budget_spend(budget, all);
        if (enough && demand->wanted(demand->user, c))
            demand->packets += needed;
    }
    if (!enough)
        return j2k_fail(diag, J2K_ERROR_LIMIT,
                        "tile %u: more components, resolutions and precincts than the stream's size warrants",
                        (unsigned)index);
    return J2K_OK;
}

/* ---- precincts ---- */

rect j2k_precinct_area(const subband *band, const resolution *res, uint32_t precinct_index) {
    unsigned halved = band->orientation != BAND_LL;
    unsigned w_exp = res->precinct_w_exp - halved, h_exp = res->precinct_h_exp - halved;
    uint64_t x = floor_shift(res->area.x0, res->precinct_w_exp) + precinct_index % res->num_precincts_x;
    uint64_t y = floor_shift(res->area.y0, res->precinct_h_exp) + precinct_index / res->num_precincts_x;
    rect area = band->area;
    /* x << w_exp lies below the resolution's x1; only the end of the last cell may leave 32 bits. */
    area.x0 = max_u32(area.x0, (uint32_t)(x << w_exp));
    area.y0 = max_u32(area.y0, (uint32_t)(y << h_exp));
    if ((x + 1) << w_exp < area.x1)
        area.x1 = (uint32_t)((x + 1) << w_exp);
    if ((y + 1) << h_exp < area.y1)
        area.y1 = (uint32_t)((y + 1) << h_exp);
    if (rect_empty(area)) {
        area.x1 = area.x0;
        area.y1 = area.y0;
    }
    return area;
}

/* One allocation holds the precinct, its code-blocks and the nodes of both tag trees, in the order of their
 * needs for alignment. */
enum { PRECINCT_HEAD = (sizeof(precinct) + 15) / 16 * 16 };

static precinct *precinct_alloc(uint64_t blocks, size_t nodes, arena *memory) {
    uint64_t size = PRECINCT_HEAD + blocks * sizeof(codeblock) + (uint64_t)nodes * 2 * sizeof(tagtree_node);
    return size > SIZE_MAX ? NULL : j2k_arena_alloc(memory, 1, (size_t)size);
}

static rect precinct_blocks(const subband *band, const resolution *res, uint32_t precinct_index,
                            uint32_t *wide, uint32_t *high) {
    rect area = j2k_precinct_area(band, res, precinct_index);
    bool empty = rect_empty(area);
    *wide = empty ? 0 : cell_count(area.x0, area.x1, res->codeblock_w_exp);
    *high = empty ? 0 : cell_count(area.y0, area.y1, res->codeblock_h_exp);
    return area;
}

uint64_t j2k_precinct_block_count(const subband *band, const resolution *res, uint32_t precinct_index) {
    uint32_t wide, high;
    precinct_blocks(band, res, precinct_index, &wide, &high);
    return (uint64_t)wide * high;
}

j2k_status j2k_precinct_open(subband *band, const resolution *res, uint32_t precinct_index, arena *memory) {
    if (band->precincts[precinct_index])
        return J2K_OK;
    uint32_t wide, high;
    rect area = precinct_blocks(band, res, precinct_index, &wide, &high);
    /* At most 2^13 each way, since precincts have at most 2^15 columns and code-blocks at least 4 unless the
     * precinct is smaller. */
    size_t nodes = j2k_tagtree_size(wide, high);
    precinct *p = precinct_alloc((uint64_t)wide * high, nodes, memory);
    RETURN_IF(!p, J2K_ERROR_MEMORY);
    p->blocks_wide = wide;
    p->blocks_high = high;
    p->blocks = (codeblock *)((char *)p + PRECINCT_HEAD);
    tagtree_node *tree = (tagtree_node *)(p->blocks + (size_t)wide * high);
    j2k_tagtree_init(&p->inclusion, wide, high, tree);
    j2k_tagtree_init(&p->zero_bitplanes, wide, high, tree + nodes);
    codeblock *block = p->blocks;
    uint64_t first_x = floor_shift(area.x0, res->codeblock_w_exp);
    uint64_t first_y = floor_shift(area.y0, res->codeblock_h_exp);
    for (uint64_t y = first_y; y < first_y + high; y++) {
        for (uint64_t x = first_x; x < first_x + wide; x++, block++) {
            uint64_t x1 = (x + 1) << res->codeblock_w_exp, y1 = (y + 1) << res->codeblock_h_exp;
            memset(block, 0, sizeof *block);
            block->area.x0 = max_u32(area.x0, (uint32_t)(x << res->codeblock_w_exp));
            block->area.y0 = max_u32(area.y0, (uint32_t)(y << res->codeblock_h_exp));
            block->area.x1 = x1 < area.x1 ? (uint32_t)x1 : area.x1;
            block->area.y1 = y1 < area.y1 ? (uint32_t)y1 : area.y1;
            block->lblock = 3;
        }
    }
    band->precincts[precinct_index] = p;
    return J2K_OK;
}

unsigned j2k_segment_passes(unsigned codeblock_style, unsigned first_pass) {
    /* Pass p > 0 is of kind (p - 1) % 3: 0 significance propagation, 1 magnitude refinement, 2 cleanup. */
    unsigned kind = (first_pass + 2) % 3;
    if (codeblock_style & J2K_STYLE_HT) /* HT cleanup, then both refinement passes in one segment (T.814) */
        return kind == 0 ? 2 : 1;
    if (codeblock_style & J2K_STYLE_TERMALL)
        return 1;
    if (codeblock_style & J2K_STYLE_BYPASS) {
        /* Arithmetic coding up to the cleanup pass of the fourth bit-plane, then the two raw passes of a
         * bit-plane in one segment and its cleanup pass in another. */
        if (first_pass < 10)
            return 10 - first_pass;
        return kind == 0 ? 2 : 1;
    }
    return SEGMENT_ENDLESS;
}
