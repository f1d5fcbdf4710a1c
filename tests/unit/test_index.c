/* TLM and PLT, read byte by byte.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "index.h"

#include <string.h>

#include "check.h"

static const uint8_t EMPTY_TILE_PARTS[] = {0,    0,    0,    0, 0, 0,    0,    0,    0,    0,
                                           0,    0,    0,    0, 0, 0xFF, 0xD9, 0xFF, 0xD9, 0xFF,
                                           0xD9, 0xFF, 0xD9, 0, 0, 0,    0,    0,    0,    0};

/* Contents behind Ztlm. */
static codestream with_tlm(byte_span *spans, uint32_t count) {
    codestream cs;
    memset(&cs, 0, sizeof cs);
    cs.tlm = spans;
    cs.num_tlm = count;
    return cs;
}

static void test_tlm_entries(void) {
    const uint8_t first[] = {0x60, 0, 7, 0, 0, 1, 2, 1, 0, 0, 0, 0, 12}; /* ST = 2, SP = 1 */
    const uint8_t none[] = {0x50};
    const uint8_t second[] = {0x10, 9, 0, 14}; /* ST = 1, SP = 0 */
    const uint8_t third[] = {0x00, 0, 20, 0, 30};
    byte_span spans[] = {{first, sizeof first}, {none, 1}, {second, sizeof second}, {third, sizeof third}};
    codestream cs = with_tlm(spans, 4);
    tlm_reader r = {.cs = &cs};
    const struct {
        size_t tile;
        uint32_t length;
    } expected[] = {{7, 0x102}, {256, 12}, {9, 14}, {3, 20}, {4, 30}};
    size_t tile;
    uint32_t length;
    for (size_t i = 0; i < 5; i++) {
        CHECK(j2k_tlm_next(&r, &tile, &length));
        CHECK(tile == expected[i].tile && length == expected[i].length);
    }
    CHECK(!j2k_tlm_next(&r, &tile, &length));
    CHECK(tile == 0);
}

static void test_malformed_tlm(void) {
    const uint8_t reserved[] = {0x70, 0, 7, 0, 0, 1, 2}, cut[] = {0x60, 0, 7, 0, 0, 1};
    const byte_span bad[] = {{reserved, sizeof reserved}, {cut, sizeof cut}, {cut, 0}};
    for (size_t i = 0; i < 3; i++) {
        byte_span span = bad[i];
        codestream cs = with_tlm(&span, 1);
        tlm_reader r = {.cs = &cs};
        size_t tile = 0;
        uint32_t length;
        CHECK(!j2k_tlm_next(&r, &tile, &length));
        CHECK(tile == SIZE_MAX);
        CHECK(!j2k_tlm_fits(&cs, EMPTY_TILE_PARTS, sizeof EMPTY_TILE_PARTS, 0, 100));
    }
}

static void test_where_tlm_leads(void) {
    uint8_t entries[] = {0x50, 0, 0, 0, 0, 12};
    byte_span span = {entries, sizeof entries};
    codestream cs = with_tlm(&span, 1);
    const uint8_t *data = EMPTY_TILE_PARTS;
    const size_t size = sizeof EMPTY_TILE_PARTS;
    CHECK(j2k_tlm_fits(&cs, data, size, 3, 1)); /* 3 + 12 is where EOC is */
    CHECK(j2k_tlm_fits(&cs, data, size, 5, 1));
    CHECK(!j2k_tlm_fits(&cs, data, size, 4, 1));
    CHECK(!j2k_tlm_fits(&cs, data, 16, 3, 1)); /* EOC cut short */
    CHECK(!j2k_tlm_fits(&cs, data, 14, 3, 1)); /* the tile-part, too */
    entries[1] = 1;
    CHECK(!j2k_tlm_fits(&cs, data, size, 3, 1)); /* no such tile */
    CHECK(j2k_tlm_fits(&cs, data, size, 3, 2));
    entries[5] = 11;
    CHECK(!j2k_tlm_fits(&cs, data, size, 4, 2)); /* less than a SOT segment */
    cs.num_tlm = 0;
    CHECK(!j2k_tlm_fits(&cs, data, size, 15, 2)); /* no tile-part at all */
}

static void test_packet_lengths(void) {
    const uint8_t plt[] = {5, 0x81, 0, 0x83, 0xFF, 0x7F, 1, 0x8F, 0xFF, 0xFF, 0xFF, 0x7F};
    const uint32_t expected[] = {5, 128, 0xFFFF, 1, UINT32_MAX};
    const uint8_t *next = plt, *end = plt + sizeof plt;
    for (size_t i = 0; i < 5; i++)
        CHECK(j2k_plt_next(&next, end) == expected[i]);
    CHECK(next == end && j2k_plt_next(&next, end) == 0);
    const uint8_t endless[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, cut[] = {0x85};
    next = endless;
    CHECK(j2k_plt_next(&next, endless + sizeof endless) == 0);
    next = cut;
    CHECK(j2k_plt_next(&next, cut + 1) == 0);
    const byte_span whole = {plt, 7}, nothing = {NULL, 0};
    CHECK(j2k_plt_fits(whole, 5 + 128 + 0xFFFF + 1));
    CHECK(!j2k_plt_fits(whole, 5 + 128 + 0xFFFF));
    CHECK(!j2k_plt_fits(whole, 5 + 128 + 0xFFFF + 2));
    CHECK(j2k_plt_fits(nothing, 0) && !j2k_plt_fits(nothing, 1));
    const uint8_t zero[] = {3, 0, 2};
    CHECK(!j2k_plt_fits((byte_span){zero, 3}, 5));
    CHECK(!j2k_plt_fits((byte_span){cut, 1}, 5));
}

int main(void) {
    test_tlm_entries();
    test_malformed_tlm();
    test_where_tlm_leads();
    test_packet_lengths();
    return 0;
}
