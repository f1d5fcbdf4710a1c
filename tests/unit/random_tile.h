/* Small random images: geometry, styles and quantisation for tests of tiles, progressions and packets.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_RANDOM_TILE_H
#define TEST_RANDOM_TILE_H

#include <string.h>

#include "check.h"
#include "tile.h"

enum { MAX_TEST_COMPONENTS = 4, MAX_TEST_CHANGES = 5 };

typedef struct random_image {
    image_siz siz;
    component_siz component_siz[MAX_TEST_COMPONENTS];
    tile_style style;
    component_style styles[MAX_TEST_COMPONENTS];
    progression_change changes[MAX_TEST_CHANGES];
    uint32_t tile; /* one of its tiles */
} random_image;

/* A number in [low, high]. */
static inline uint32_t random_in(uint64_t *seed, uint32_t low, uint32_t high) {
    return low + test_random(seed) % (high - low + 1);
}

static inline void random_component(uint64_t *seed, random_image *m, uint32_t c) {
    component_siz *siz = &m->component_siz[c];
    siz->depth = (uint8_t)random_in(seed, 1, 16);
    siz->dx = (uint8_t)random_in(seed, 1, test_random(seed) % 2 ? 4 : 1);
    siz->dy = (uint8_t)random_in(seed, 1, test_random(seed) % 2 ? 4 : 1);
    coding_style *coding = &m->styles[c].coding;
    coding->levels = (uint8_t)random_in(seed, 0, 4);
    coding->codeblock_w_exp = (uint8_t)random_in(seed, 2, 4);
    coding->codeblock_h_exp = (uint8_t)random_in(seed, 2, 4);
    coding->reversible = test_random(seed) % 2;
    bool largest = test_random(seed) % 3 == 0;
    for (int r = 0; r <= coding->levels; r++) {
        coding->precinct_w_exp[r] = (uint8_t)(largest ? 15 : random_in(seed, r > 0, 5));
        coding->precinct_h_exp[r] = (uint8_t)(largest ? 15 : random_in(seed, r > 0, 5));
    }
    quantisation *quant = &m->styles[c].quant;
    quant->kind = coding->reversible ? QUANT_NONE : QUANT_EXPOUNDED;
    quant->guard_bits = (uint8_t)random_in(seed, 0, 3);
    for (int b = 0; b <= 3 * coding->levels; b++) {
        quant->exponent[b] = (uint8_t)random_in(seed, 1, 20);
        quant->mantissa[b] = (uint16_t)(coding->reversible ? 0 : random_in(seed, 0, 2047));
    }
    m->styles[c].roi_shift = (uint8_t)(test_random(seed) % 4 ? 0 : random_in(seed, 0, 12));
}

static inline void random_image_make(uint64_t *seed, random_image *m) {
    memset(m, 0, sizeof *m);
    image_siz *siz = &m->siz;
    siz->area.x0 = random_in(seed, 0, 40);
    siz->area.y0 = random_in(seed, 0, 40);
    siz->area.x1 = siz->area.x0 + random_in(seed, 1, 60);
    siz->area.y1 = siz->area.y0 + random_in(seed, 1, 60);
    siz->tile_x0 = random_in(seed, 0, siz->area.x0);
    siz->tile_y0 = random_in(seed, 0, siz->area.y0);
    siz->tile_width = random_in(seed, siz->area.x0 - siz->tile_x0 + 1, 80);
    siz->tile_height = random_in(seed, siz->area.y0 - siz->tile_y0 + 1, 80);
    siz->tiles_x = (siz->area.x1 - siz->tile_x0 + siz->tile_width - 1) / siz->tile_width;
    siz->tiles_y = (siz->area.y1 - siz->tile_y0 + siz->tile_height - 1) / siz->tile_height;
    siz->num_components = random_in(seed, 1, MAX_TEST_COMPONENTS);
    siz->components = m->component_siz;
    for (uint32_t c = 0; c < siz->num_components; c++)
        random_component(seed, m, c);
    m->style.order = (uint8_t)random_in(seed, J2K_LRCP, J2K_CPRL);
    m->style.num_layers = (uint16_t)random_in(seed, 1, 5);
    m->style.changes = m->changes;
    m->tile = random_in(seed, 0, siz->tiles_x * siz->tiles_y - 1);
}

static inline void random_changes(uint64_t *seed, random_image *m) {
    m->style.num_changes = random_in(seed, 1, MAX_TEST_CHANGES);
    for (uint32_t i = 0; i < m->style.num_changes; i++) {
        progression_change *p = &m->changes[i];
        p->order = (uint8_t)random_in(seed, J2K_LRCP, J2K_CPRL);
        p->first_component = (uint16_t)random_in(seed, 0, 3);
        p->end_component = (uint16_t)random_in(seed, p->first_component + 1u, 5);
        p->first_resolution = (uint8_t)random_in(seed, 0, 4);
        p->end_resolution = (uint8_t)random_in(seed, p->first_resolution + 1u, 6);
        p->end_layer = (uint16_t)random_in(seed, 1, 6);
    }
}

#endif
