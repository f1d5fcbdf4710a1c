/* The tile tree against the definitions of T.800 annex B, written down a second time sample by sample.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"
#include "colour.h"
#include "quant.h"
#include "random_tile.h"

static bool same(rect a, rect b) {
    return a.x0 == b.x0 && a.y0 == b.y0 && a.x1 == b.x1 && a.y1 == b.y1;
}

static uint32_t precinct_count(const resolution *res) {
    return res->num_precincts_x * res->num_precincts_y;
}

/* Which precinct (numbered as in B-20) the sample (x, y) of a resolution belongs to. */
static uint32_t precinct_of(const resolution *res, uint32_t x, uint32_t y) {
    uint32_t w = 1u << res->precinct_w_exp, h = 1u << res->precinct_h_exp;
    return (y / h - res->area.y0 / h) * res->num_precincts_x + x / w - res->area.x0 / w;
}

/* Every coefficient of the band lies in exactly one code-block, which is the one that the grid puts it into,
 * in a precinct that is the one of the samples it is interleaved into. */
static void check_band(const resolution *res, unsigned r, subband *band, const coding_style *coding,
                       arena *memory) {
    enum { SIDE = 64 };
    static uint8_t covered[SIDE][SIDE];
    uint32_t width = rect_width(band->area), height = rect_height(band->area);
    CHECK(width <= SIDE && height <= SIDE);
    memset(covered, 0, sizeof covered);
    for (uint32_t p = 0; p < precinct_count(res); p++) {
        CHECK(band->precincts[p] == NULL);
        CHECK(j2k_precinct_open(band, res, p, memory) == J2K_OK);
        const precinct *prec = band->precincts[p];
        CHECK(prec && j2k_precinct_open(band, res, p, memory) == J2K_OK && band->precincts[p] == prec);
        CHECK(prec->inclusion.width == prec->blocks_wide && prec->inclusion.height == prec->blocks_high);
        CHECK(prec->zero_bitplanes.width == prec->blocks_wide &&
              prec->zero_bitplanes.height == prec->blocks_high);
        rect area = j2k_precinct_area(band, res, p);
        CHECK((prec->blocks_wide == 0) == rect_empty(area));
        uint64_t samples = 0;
        for (uint32_t k = 0; k < prec->blocks_wide * prec->blocks_high; k++) {
            const codeblock *cb = &prec->blocks[k];
            CHECK(!rect_empty(cb->area) && same(rect_intersect(cb->area, area), cb->area));
            CHECK(cb->lblock == 3 && cb->num_passes == 0 && cb->seen_passes == 0 && !cb->u.dec.first_chunk);
            CHECK(k % prec->blocks_wide == 0 || cb[-1].area.x1 == cb->area.x0);
            CHECK(k < prec->blocks_wide || cb[-(int)prec->blocks_wide].area.y1 == cb->area.y0);
            CHECK(cb->area.x0 >> coding->codeblock_w_exp == (cb->area.x1 - 1) >> coding->codeblock_w_exp);
            CHECK(cb->area.y0 >> coding->codeblock_h_exp == (cb->area.y1 - 1) >> coding->codeblock_h_exp);
            samples += rect_size(cb->area);
            for (uint32_t y = cb->area.y0; y < cb->area.y1; y++)
                for (uint32_t x = cb->area.x0; x < cb->area.x1; x++) {
                    CHECK(!covered[y - band->area.y0][x - band->area.x0]++);
                    uint32_t rx = r ? 2 * x + (band->orientation & 1) : x;
                    uint32_t ry = r ? 2 * y + (band->orientation >> 1) : y;
                    CHECK(rx >= res->area.x0 && rx < res->area.x1 && ry >= res->area.y0 && ry < res->area.y1);
                    CHECK(precinct_of(res, rx, ry) == p);
                }
        }
        CHECK(samples == rect_size(area));
        /* No smaller code-blocks than needed: an inner border is one of the code-block's or the precinct's
         * grid. */
        for (uint32_t k = 1; k < prec->blocks_wide; k++)
            CHECK(prec->blocks[k].area.x0 % (1u << res->codeblock_w_exp) == 0);
    }
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            CHECK(covered[y][x] == 1);
}

static void check_component(const random_image *m, const tile *t, uint32_t c, arena *memory) {
    const tile_component *tc = &t->components[c];
    const component_style *style = &m->styles[c];
    rect area = {ceil_div(t->area.x0, m->component_siz[c].dx), ceil_div(t->area.y0, m->component_siz[c].dy),
                 ceil_div(t->area.x1, m->component_siz[c].dx), ceil_div(t->area.y1, m->component_siz[c].dy)};
    CHECK(same(tc->area, area) && same(tc->window, area) && tc->wanted);
    CHECK(tc->num_resolutions == style->coding.levels + 1 && tc->wanted_resolutions == tc->num_resolutions);
    for (int r = style->coding.levels; r >= 0; r--) {
        const resolution *res = &tc->resolutions[r];
        unsigned level = style->coding.levels - (unsigned)r + (r > 0);
        CHECK(same(res->area, area) && same(res->samples.area, area));
        rect low = {(area.x0 + 1) / 2, (area.y0 + 1) / 2, (area.x1 + 1) / 2, (area.y1 + 1) / 2};
        rect high = {area.x0 / 2, area.y0 / 2, area.x1 / 2, area.y1 / 2};
        CHECK(res->num_bands == (r ? 3 : 1));
        for (unsigned b = 0; b < res->num_bands; b++) {
            const subband *band = &res->bands[b];
            unsigned o = r ? b + 1 : 0; /* LL; HL, LH, HH */
            rect expected = {o & 1 ? high.x0 : low.x0, o & 2 ? high.y0 : low.y0, o & 1 ? high.x1 : low.x1,
                             o & 2 ? high.y1 : low.y1};
            CHECK(band->orientation == o && same(band->area, r ? expected : area));
            CHECK(same(band->coefficients.area, band->area) && band->coefficients.data == NULL);
            int index = r ? 3 * (r - 1) + 1 + (int)b : 0;
            int planes = style->quant.guard_bits + style->quant.exponent[index] - 1;
            CHECK(band->num_bitplanes == planes);
            if (!rect_empty(band->area)) {
                /* E-3: 2^(R_b - eps) (1 + mu / 2^11) with R_b = depth + gain */
                double gain = o == 0 ? 1 : o == 3 ? 4 : 2, nominal = gain;
                for (int i = 0; i < m->component_siz[c].depth; i++)
                    nominal *= 2;
                for (int i = 0; i < style->quant.exponent[index]; i++)
                    nominal /= 2;
                double step =
                    style->coding.reversible ? 1 : nominal * (1 + style->quant.mantissa[index] / 2048.0);
                CHECK(band->step == (float)step);
                double weight = step * step * j2k_basis_energy(style->coding.reversible, level, o);
                if (m->style.colour_transform && c < 3)
                    weight *= j2k_colour_energy(style->coding.reversible, c);
                CHECK(weight > 0 && band->weight / weight > 0.999999 && band->weight / weight < 1.000001);
            }
            check_band(res, (unsigned)r, &tc->resolutions[r].bands[b], &style->coding, memory);
        }
        uint32_t precincts = 0;
        for (uint32_t y = area.y0; y < area.y1; y++)
            for (uint32_t x = area.x0; x < area.x1; x++) {
                uint32_t p = precinct_of(res, x, y);
                CHECK(p < precinct_count(res));
                precincts = p + 1 > precincts ? p + 1 : precincts;
            }
        CHECK(precincts == precinct_count(res)); /* none for an empty resolution */
        area = low;
    }
}

static void random_tiles(void) {
    uint64_t seed = 11;
    arena memory = {0};
    diagnostics diag = {0};
    for (int round = 0; round < 1500; round++) {
        random_image m;
        tile t;
        random_image_make(&seed, &m);
        m.style.colour_transform = m.siz.num_components >= 3 && test_random(&seed) % 2;
        j2k_arena_reset(&memory);
        CHECK(j2k_tile_build(&t, &m.siz, m.tile, &m.style, m.styles, &memory, &diag) == J2K_OK);
        CHECK(t.index == m.tile && t.style == &m.style && t.num_components == m.siz.num_components);
        for (uint32_t c = 0; c < t.num_components; c++)
            check_component(&m, &t, c, &memory);
    }
    j2k_arena_free(&memory);
}

/* The tiles of an image cover it without overlap. */
static void tile_grid(void) {
    uint64_t seed = 12;
    arena memory = {0};
    diagnostics diag = {0};
    for (int round = 0; round < 300; round++) {
        random_image m;
        random_image_make(&seed, &m);
        m.siz.tile_width = (m.siz.tile_width + 3) / 4 + m.siz.area.x0 - m.siz.tile_x0;
        m.siz.tile_height = (m.siz.tile_height + 3) / 4 + m.siz.area.y0 - m.siz.tile_y0;
        m.siz.tiles_x = ceil_div(m.siz.area.x1 - m.siz.tile_x0, m.siz.tile_width);
        m.siz.tiles_y = ceil_div(m.siz.area.y1 - m.siz.tile_y0, m.siz.tile_height);
        uint64_t size = 0;
        for (uint32_t i = 0; i < m.siz.tiles_x * m.siz.tiles_y; i++) {
            tile t;
            j2k_arena_reset(&memory);
            CHECK(j2k_tile_build(&t, &m.siz, i, &m.style, m.styles, &memory, &diag) == J2K_OK);
            CHECK(!rect_empty(t.area) && same(rect_intersect(t.area, m.siz.area), t.area));
            CHECK((t.area.x0 - m.siz.tile_x0) / m.siz.tile_width == i % m.siz.tiles_x);
            CHECK((t.area.x1 - 1 - m.siz.tile_x0) / m.siz.tile_width == i % m.siz.tiles_x);
            CHECK((t.area.y0 - m.siz.tile_y0) / m.siz.tile_height == i / m.siz.tiles_x);
            CHECK((t.area.y1 - 1 - m.siz.tile_y0) / m.siz.tile_height == i / m.siz.tiles_x);
            size += rect_size(t.area);
        }
        CHECK(size == rect_size(m.siz.area));
    }
    j2k_arena_free(&memory);
}

static void one_large_tile(random_image *m, uint32_t width, uint32_t height) {
    memset(m, 0, sizeof *m);
    m->siz.area = (rect){0, 0, width, height};
    m->siz.tile_width = width;
    m->siz.tile_height = height;
    m->siz.tiles_x = m->siz.tiles_y = 1;
    m->siz.num_components = 1;
    m->siz.components = m->component_siz;
    m->component_siz[0] = (component_siz){.depth = 8, .dx = 1, .dy = 1};
    m->style.num_layers = 1;
    m->styles[0].coding = (coding_style){.codeblock_w_exp = 6, .codeblock_h_exp = 6, .reversible = true};
    memset(m->styles[0].coding.precinct_w_exp, 15, J2K_MAX_RESOLUTIONS);
    memset(m->styles[0].coding.precinct_h_exp, 15, J2K_MAX_RESOLUTIONS);
    m->styles[0].quant.exponent[0] = 8;
}

/* What hostile headers may ask for. */
static void limits(void) {
    random_image m;
    tile t;
    arena memory = {.limit = (size_t)1 << 24};
    diagnostics diag = {0};
    /* As wide as a tile can be, with 32 levels. */
    one_large_tile(&m, 0xFFFFFFFF, 40000);
    m.styles[0].coding.levels = 32;
    CHECK(j2k_tile_build(&t, &m.siz, 0, &m.style, m.styles, &memory, &diag) == J2K_OK);
    const resolution *res = t.components[0].resolutions;
    CHECK(res[32].num_precincts_x == 131072 && res[32].num_precincts_y == 2);
    CHECK(res[17].num_precincts_x == 4 && res[17].num_precincts_y == 1);
    CHECK(res[0].num_precincts_x == 1 && res[0].area.x1 == 1 && res[0].area.y1 == 1);
    CHECK(res[1].bands[0].area.x0 == 0 &&
          res[1].bands[0].area.x1 == 1);           /* HL: ceil((2^32 - 1 - 2^31) / 2^32) */
    CHECK(rect_height(res[1].bands[1].area) == 0); /* LH: 40000 < 2^31 */
    j2k_arena_free(&memory);
}

static void refused(void) {
    random_image m;
    tile t;
    arena memory = {.limit = (size_t)1 << 24};
    diagnostics diag = {0};
    /* Precincts of 1 sample: legal at resolution 0 only (table A.21). */
    one_large_tile(&m, 100, 100);
    m.styles[0].coding.levels = 1;
    m.styles[0].coding.precinct_w_exp[0] = 0;
    CHECK(j2k_tile_build(&t, &m.siz, 0, &m.style, m.styles, &memory, &diag) == J2K_OK);
    CHECK(t.components[0].resolutions[0].num_precincts_x == 50 &&
          t.components[0].resolutions[0].num_precincts_y == 1);
    m.styles[0].coding.precinct_h_exp[1] = 0;
    CHECK(j2k_tile_build(&t, &m.siz, 0, &m.style, m.styles, &memory, &diag) == J2K_ERROR_CORRUPT);
    CHECK(strstr(diag.message, "precinct"));
    /* More precincts than 32 bits count, then more than the memory allowed. */
    one_large_tile(&m, 0xFFFFFFFF, 0xFFFFFFFF);
    m.styles[0].coding.precinct_w_exp[0] = m.styles[0].coding.precinct_h_exp[0] = 0;
    CHECK(j2k_tile_build(&t, &m.siz, 0, &m.style, m.styles, &memory, &diag) == J2K_ERROR_UNSUPPORTED);
    one_large_tile(&m, 60000, 60000);
    m.styles[0].coding.precinct_w_exp[0] = m.styles[0].coding.precinct_h_exp[0] = 0;
    j2k_arena_reset(&memory);
    CHECK(j2k_tile_build(&t, &m.siz, 0, &m.style, m.styles, &memory, &diag) == J2K_ERROR_MEMORY);
    /* One precinct with more code-blocks than the memory allowed. */
    one_large_tile(&m, 32768, 32768);
    m.styles[0].coding.codeblock_w_exp = m.styles[0].coding.codeblock_h_exp = 2;
    j2k_arena_reset(&memory);
    CHECK(j2k_tile_build(&t, &m.siz, 0, &m.style, m.styles, &memory, &diag) == J2K_OK);
    resolution *res = &t.components[0].resolutions[0];
    CHECK(j2k_precinct_open(&res->bands[0], res, 0, &memory) == J2K_ERROR_MEMORY);
    CHECK(res->bands[0].precincts[0] == NULL);
    j2k_arena_free(&memory);
}

/* Table D.9: where codeword segments end, as lists of their passes. */
static void expect_segments(unsigned style, const unsigned *lengths, int count) {
    unsigned pass = 0;
    for (int i = 0; i < count; i++) {
        for (unsigned k = 0; k < lengths[i]; k++)
            CHECK(j2k_segment_passes(style, pass + k) == lengths[i] - k);
        pass += lengths[i];
    }
}

static void segments(void) {
    static const unsigned single[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const unsigned bypass[] = {10, 2, 1, 2, 1, 2, 1, 2, 1};
    static const unsigned ht[] = {1, 2, 1, 2, 1, 2};
    expect_segments(J2K_STYLE_TERMALL, single, 14);
    expect_segments(J2K_STYLE_TERMALL | J2K_STYLE_BYPASS, single, 14);
    expect_segments(J2K_STYLE_BYPASS, bypass, 9);
    expect_segments(J2K_STYLE_BYPASS | J2K_STYLE_RESET | J2K_STYLE_PTERM, bypass, 9);
    expect_segments(J2K_STYLE_HT, ht, 6);
    static const unsigned endless[] = {0, J2K_STYLE_RESET, J2K_STYLE_CAUSAL | J2K_STYLE_SEGMENTATION};
    for (int i = 0; i < 3; i++)
        for (unsigned pass = 0; pass < 220; pass++)
            CHECK(j2k_segment_passes(endless[i], pass) == SEGMENT_ENDLESS);
}

int main(void) {
    random_tiles();
    tile_grid();
    limits();
    refused();
    segments();
    return 0;
}
