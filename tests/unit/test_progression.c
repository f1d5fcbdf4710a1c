/* The order of packets against the loops of T.800 B.12.1, which step over every position of the reference
 * grid. SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"
#include "progression.h"
#include "random_tile.h"

enum { MAX_PACKETS = 400000, MAX_PRECINCTS = 8192 };

typedef struct reference {
    const random_image *image;
    const tile *tile;
    progression_change volume;
    packet_id *packets;
    size_t count;
    uint16_t next_layer[MAX_TEST_COMPONENTS][5][MAX_PRECINCTS];
} reference;

static void emit(reference *f, uint32_t l, uint32_t r, uint32_t c, uint32_t k) {
    uint16_t *next = &f->next_layer[c][r][k];
    if (l < *next)
        return; /* sent already: "no packet is ever repeated" */
    CHECK(l == *next && f->count < MAX_PACKETS);
    ++*next;
    packet_id id = {c, r, k, l};
    f->packets[f->count++] = id;
}

static uint32_t precincts(const reference *f, uint32_t c, uint32_t r) {
    const tile_component *tc = &f->tile->components[c];
    if (r >= tc->num_resolutions)
        return 0;
    uint32_t n = tc->resolutions[r].num_precincts_x * tc->resolutions[r].num_precincts_y;
    CHECK(n <= MAX_PRECINCTS);
    return n;
}

/* "if ((y divisible by YRsiz(i) 2^(PPy + NL - r)) or ((y == ty0) and (try0 2^(NL - r) not divisible by 2^(PPy
 * + NL - r))))", the same for x, "for the next precinct k if one exists": k by equation B-20. */
static void visit(reference *f, uint32_t y, uint32_t x, uint32_t c, uint32_t r) {
    const tile_component *tc = &f->tile->components[c];
    if (precincts(f, c, r) == 0)
        return;
    const coding_style *coding = &f->image->styles[c].coding;
    unsigned down = coding->levels - r, ppx = coding->precinct_w_exp[r], ppy = coding->precinct_h_exp[r];
    uint64_t dx = f->image->component_siz[c].dx, dy = f->image->component_siz[c].dy;
    uint64_t trx0 = tc->resolutions[r].area.x0, try0 = tc->resolutions[r].area.y0;
    bool row = y % (dy << (ppy + down)) == 0 ||
               (y == f->tile->area.y0 && (try0 << down) % ((uint64_t)1 << (ppy + down)) != 0);
    bool column = x % (dx << (ppx + down)) == 0 ||
                  (x == f->tile->area.x0 && (trx0 << down) % ((uint64_t)1 << (ppx + down)) != 0);
    if (!row || !column)
        return;
    uint64_t px = (x + (dx << down) - 1) / (dx << down), py = (y + (dy << down) - 1) / (dy << down);
    uint64_t k =
        (px >> ppx) - (trx0 >> ppx) + tc->resolutions[r].num_precincts_x * ((py >> ppy) - (try0 >> ppy));
    CHECK(k < precincts(f, c, r));
    for (uint32_t l = 0; l < f->volume.end_layer; l++)
        emit(f, l, r, c, (uint32_t)k);
}

static void run_volume(reference *f) {
    const progression_change *v = &f->volume;
    rect a = f->tile->area;
    switch (v->order) {
    case J2K_LRCP:
        for (uint32_t l = 0; l < v->end_layer; l++)
            for (uint32_t r = v->first_resolution; r < v->end_resolution; r++)
                for (uint32_t c = v->first_component; c < v->end_component; c++)
                    for (uint32_t k = 0; k < precincts(f, c, r); k++)
                        emit(f, l, r, c, k);
        break;
    case J2K_RLCP:
        for (uint32_t r = v->first_resolution; r < v->end_resolution; r++)
            for (uint32_t l = 0; l < v->end_layer; l++)
                for (uint32_t c = v->first_component; c < v->end_component; c++)
                    for (uint32_t k = 0; k < precincts(f, c, r); k++)
                        emit(f, l, r, c, k);
        break;
    case J2K_RPCL:
        for (uint32_t r = v->first_resolution; r < v->end_resolution; r++)
            for (uint32_t y = a.y0; y < a.y1; y++)
                for (uint32_t x = a.x0; x < a.x1; x++)
                    for (uint32_t c = v->first_component; c < v->end_component; c++)
                        visit(f, y, x, c, r);
        break;
    case J2K_PCRL:
        for (uint32_t y = a.y0; y < a.y1; y++)
            for (uint32_t x = a.x0; x < a.x1; x++)
                for (uint32_t c = v->first_component; c < v->end_component; c++)
                    for (uint32_t r = v->first_resolution; r < v->end_resolution; r++)
                        visit(f, y, x, c, r);
        break;
    default:
        CHECK(v->order == J2K_CPRL);
        for (uint32_t c = v->first_component; c < v->end_component; c++)
            for (uint32_t y = a.y0; y < a.y1; y++)
                for (uint32_t x = a.x0; x < a.x1; x++)
                    for (uint32_t r = v->first_resolution; r < v->end_resolution; r++)
                        visit(f, y, x, c, r);
    }
}

static void run_reference(reference *f) {
    const tile_style *style = &f->image->style;
    uint32_t components = f->tile->num_components;
    f->count = 0;
    memset(f->next_layer, 0, sizeof f->next_layer);
    f->volume = (progression_change){0, (uint16_t)components, 0, 5, style->num_layers, style->order};
    if (style->num_changes == 0)
        run_volume(f);
    for (uint32_t i = 0; i < style->num_changes; i++) {
        f->volume = style->changes[i];
        f->volume.end_component = (uint16_t)min_u32(f->volume.end_component, components);
        f->volume.end_resolution = (uint8_t)min_u32(f->volume.end_resolution, 5);
        f->volume.end_layer = (uint16_t)min_u32(f->volume.end_layer, style->num_layers);
        run_volume(f);
    }
}

static void compare_with_loops(void) {
    uint64_t seed = 21;
    static reference f;
    static random_image m;
    arena memory = {0};
    diagnostics diag = {0};
    size_t total = 0, all_sent = 0;
    f.packets = malloc(MAX_PACKETS * sizeof *f.packets);
    CHECK(f.packets);
    for (int round = 0; round < 1500; round++) {
        tile t;
        random_image_make(&seed, &m);
        if (round % 3 == 0)
            random_changes(&seed, &m);
        j2k_arena_reset(&memory);
        CHECK(j2k_tile_build(&t, &m.siz, m.tile, &m.style, m.styles, &memory, &diag) == J2K_OK);
        f.image = &m;
        f.tile = &t;
        run_reference(&f);
        packet_iterator *it = j2k_packets_begin(&t, &m.siz, &memory);
        CHECK(it);
        packet_id id;
        size_t n = 0;
        for (; j2k_packets_next(it, &id); n++) {
            CHECK(n < f.count);
            CHECK(id.component == f.packets[n].component && id.resolution == f.packets[n].resolution);
            CHECK(id.precinct == f.packets[n].precinct && id.layer == f.packets[n].layer);
        }
        CHECK(n == f.count);
        CHECK(!j2k_packets_next(it, &id)); /* it stays at its end */
        total += n;
        if (m.style.num_changes == 0) { /* the loops themselves reach every packet */
            size_t expected = 0;
            for (uint32_t c = 0; c < t.num_components; c++)
                for (uint32_t r = 0; r < 5; r++)
                    expected += (size_t)precincts(&f, c, r) * m.style.num_layers;
            CHECK(n == expected);
            all_sent++;
        }
    }
    CHECK(total > 100000 && all_sent == 1000);
    free(f.packets);
    j2k_arena_free(&memory);
}

/* Hostile geometry costs what its packets cost, not what its area or its empty loops cost: these would not
 * end. */
static void large_and_empty(void) {
    static random_image m;
    arena memory = {.limit = (size_t)1 << 30};
    diagnostics diag = {0};
    enum { COMPONENTS = 16384 };
    component_siz *siz = calloc(COMPONENTS, sizeof *siz);
    component_style *styles = calloc(COMPONENTS, sizeof *styles);
    CHECK(siz && styles);
    for (int c = 0; c < COMPONENTS; c++) {
        siz[c] = (component_siz){.depth = 8, .dx = 255, .dy = 255};
        styles[c].coding =
            (coding_style){.levels = 4, .codeblock_w_exp = 6, .codeblock_h_exp = 6, .reversible = true};
        memset(styles[c].coding.precinct_w_exp, 15, J2K_MAX_RESOLUTIONS);
        memset(styles[c].coding.precinct_h_exp, 15, J2K_MAX_RESOLUTIONS);
    }
    m.siz.components = siz;
    m.siz.tiles_x = m.siz.tiles_y = 1;
    m.style.num_layers = 65535;
    for (uint8_t order = J2K_LRCP; order <= J2K_CPRL; order++) {
        m.style.order = order;
        for (int empty = 0; empty < 2; empty++) {
            /* An image between the samples of all components but the last; one of 2^32 - 1 columns and rows.
             */
            uint32_t begin = empty ? 1 : 0, end = empty ? 255 : 0xFFFFFFFF;
            m.siz.num_components = empty ? COMPONENTS : 16;
            m.siz.area = (rect){begin, begin, end, end};
            m.siz.tile_width = m.siz.tile_height = 0xFFFFFFFF;
            siz[COMPONENTS - 1].dx = siz[COMPONENTS - 1].dy = empty ? 1 : 255;
            tile t;
            packet_id id;
            j2k_arena_reset(&memory);
            CHECK(j2k_tile_build(&t, &m.siz, 0, &m.style, styles, &memory, &diag) == J2K_OK);
            packet_iterator *it = j2k_packets_begin(&t, &m.siz, &memory);
            CHECK(it);
            size_t n = 0;
            for (; n < 300000 && j2k_packets_next(it, &id); n++)
                CHECK(!empty || id.component == COMPONENTS - 1);
            CHECK(n == 300000); /* 5 resolutions, 65535 layers */
            if (empty) {
                while (j2k_packets_next(it, &id))
                    n++;
                CHECK(n == 5 * 65535);
            }
        }
    }
    free(siz);
    free(styles);
    j2k_arena_free(&memory);
}

static void memory_limit(void) {
    uint64_t seed = 5;
    random_image m;
    tile t;
    arena memory = {0};
    diagnostics diag = {0};
    random_image_make(&seed, &m);
    CHECK(j2k_tile_build(&t, &m.siz, m.tile, &m.style, m.styles, &memory, &diag) == J2K_OK);
    arena small = {.limit = 64};
    CHECK(j2k_packets_begin(&t, &m.siz, &small) == NULL);
    j2k_arena_free(&small);
    j2k_arena_free(&memory);
}

int main(void) {
    compare_with_loops();
    large_and_empty();
    memory_limit();
    return 0;
}
