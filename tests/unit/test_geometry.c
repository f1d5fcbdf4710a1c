/* Rectangles: divisions against 64-bit arithmetic, subbands against level-by-level halving.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"
#include "geometry.h"

static void divisions(void) {
    static const uint32_t edges[] = {0,   1,          2,          3,          7,          8,
                                     255, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF};
    enum { N = sizeof edges / sizeof *edges };
    for (int i = 0; i < N; i++) {
        uint64_t a = edges[i];
        for (int k = 1; k < N; k++)
            CHECK(ceil_div(edges[i], edges[k]) == a / edges[k] + (a % edges[k] != 0));
        for (unsigned shift = 0; shift < 64; shift++) {
            uint64_t quotient = a >> shift, rest = a - (quotient << shift);
            CHECK(floor_shift(edges[i], shift) == quotient);
            CHECK(ceil_shift(edges[i], shift) == quotient + (rest != 0));
        }
    }
}

static void rectangles(void) {
    rect a = {2, 3, 10, 9}, b = {5, 0, 20, 4}, c = {10, 3, 12, 9};
    CHECK(rect_width(a) == 8 && rect_height(a) == 6 && rect_size(a) == 48 && !rect_empty(a));
    rect ab = rect_intersect(a, b);
    CHECK(ab.x0 == 5 && ab.y0 == 3 && ab.x1 == 10 && ab.y1 == 4);
    rect ac = rect_intersect(a, c);
    CHECK(rect_empty(ac) && rect_width(ac) == 0 && rect_height(ac) == 0);
    rect reversed = {5, 5, 4, 4};
    CHECK(rect_empty(reversed) && rect_size(reversed) == 0);
    rect all = {0, 0, 0xFFFFFFFF, 0xFFFFFFFF};
    CHECK(rect_size(all) == (uint64_t)0xFFFFFFFF * 0xFFFFFFFF);
    rect halves = rect_ceil_div(a, 3, 2);
    CHECK(halves.x0 == 1 && halves.y0 == 2 && halves.x1 == 4 && halves.y1 == 5);
}

/* One decomposition sends the even coordinates of [begin, end) to the low band and the odd ones to the high
 * band (T.800 F.3.1): count what a bound becomes by halving again and again. */
static uint32_t halve(uint32_t v, unsigned high) {
    return high ? v / 2 : v / 2 + v % 2;
}

static void subbands(void) {
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        uint32_t v = test_random(&seed) >> (test_random(&seed) % 32);
        for (unsigned level = 1; level <= 32; level++) {
            uint32_t low = v;
            for (unsigned k = 1; k < level; k++)
                low = halve(low, 0);
            CHECK(subband_coordinate(v, level, 0) == halve(low, 0));
            CHECK(subband_coordinate(v, level, 1) == halve(low, 1));
        }
        CHECK(subband_coordinate(v, 0, 0) == v);
    }
    rect hl = subband_rect((rect){3, 3, 10, 10}, 1, 1, 0); /* odd columns 3 5 7 9, even rows 4 6 8 */
    CHECK(hl.x0 == 1 && hl.x1 == 5 && hl.y0 == 2 && hl.y1 == 5);
}

int main(void) {
    divisions();
    rectangles();
    subbands();
    return 0;
}
