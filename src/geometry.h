/* Rectangles and integer division: the arithmetic of T.800 annex B.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_GEOMETRY_H
#define J2K_GEOMETRY_H

#include <stdbool.h>
#include <stdint.h>

/* Half-open: [x0, x1) x [y0, y1). Empty when x1 <= x0 or y1 <= y0. */
typedef struct rect {
    uint32_t x0, y0, x1, y1;
} rect;

static inline uint32_t rect_width(rect r) {
    return r.x1 > r.x0 ? r.x1 - r.x0 : 0;
}
static inline uint32_t rect_height(rect r) {
    return r.y1 > r.y0 ? r.y1 - r.y0 : 0;
}
static inline bool rect_empty(rect r) {
    return r.x1 <= r.x0 || r.y1 <= r.y0;
}
static inline uint64_t rect_size(rect r) {
    return (uint64_t)rect_width(r) * rect_height(r);
}

static inline uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}
static inline uint32_t max_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static inline rect rect_intersect(rect a, rect b) {
    rect r = {max_u32(a.x0, b.x0), max_u32(a.y0, b.y0), min_u32(a.x1, b.x1), min_u32(a.y1, b.y1)};
    if (rect_empty(r))
        r.x1 = r.x0, r.y1 = r.y0;
    return r;
}

static inline uint32_t ceil_div(uint32_t a, uint32_t b) {
    return (uint32_t)(((uint64_t)a + b - 1) / b);
}

/* a / 2^shift rounded up, shift 0 to 63. */
static inline uint32_t ceil_shift(uint32_t a, unsigned shift) {
    return shift > 32 ? a != 0 : (uint32_t)(((uint64_t)a + ((uint64_t)1 << shift) - 1) >> shift);
}
static inline uint32_t floor_shift(uint32_t a, unsigned shift) {
    return shift > 31 ? 0 : a >> shift;
}

static inline rect rect_ceil_div(rect r, uint32_t dx, uint32_t dy) {
    rect q = {ceil_div(r.x0, dx), ceil_div(r.y0, dy), ceil_div(r.x1, dx), ceil_div(r.y1, dy)};
    return q;
}
static inline rect rect_ceil_shift(rect r, unsigned shift) {
    rect q = {ceil_shift(r.x0, shift), ceil_shift(r.y0, shift), ceil_shift(r.x1, shift),
              ceil_shift(r.y1, shift)};
    return q;
}

/* A subband's rectangle (T.800 equation B-15) from its tile-component's: level nb >= 1 is the number of
 * decompositions, xo and yo are 1 for high-pass in that direction. ceil((v - 2^(nb-1) * o) / 2^nb) without
 * going below zero. */
static inline uint32_t subband_coordinate(uint32_t v, unsigned nb, unsigned o) {
    uint64_t offset = o ? (uint64_t)1 << (nb - 1) : 0;
    return v <= offset ? 0 : (uint32_t)(((uint64_t)v - offset + ((uint64_t)1 << nb) - 1) >> nb);
}
static inline rect subband_rect(rect t, unsigned nb, unsigned xo, unsigned yo) {
    rect b = {subband_coordinate(t.x0, nb, xo), subband_coordinate(t.y0, nb, yo),
              subband_coordinate(t.x1, nb, xo), subband_coordinate(t.y1, nb, yo)};
    return b;
}

#endif
