/* Code-blocks for tests of the HT block coders: random coefficients, their codewords, and what a decoder must
 * make of them, computed from the coefficients alone. SPDX-License-Identifier: BSD-3-Clause */
#ifndef HT_CASES_H
#define HT_CASES_H

#include <string.h>

#include "check.h"
#include "ht.h"

typedef struct ht_case {
    unsigned width, height, style, planes; /* planes: bits of the largest magnitude */
    int32_t coefficients[MAX_BLOCK_SIZE];
    encode_job encoded;
    decode_job job;
    uint8_t *bytes[2]; /* of the job's two segments, in memory of their own size, for sanitizers */
    codeword_segment segments[2];
    data_chunk chunks[2];
    int32_t decoded[MAX_BLOCK_SIZE], expected[MAX_BLOCK_SIZE];
} ht_case;

static uint64_t ht_seed = 0x9E3779B97F4A7C15u;

static inline unsigned ht_pick(unsigned limit) {
    return (unsigned)((uint64_t)test_random(&ht_seed) * limit >> 32);
}

/* Magnitudes of mostly fewer than `planes` bits: clustered, sparse or full, as `kind` says. */
static inline void ht_case_fill(ht_case *c, unsigned width, unsigned height, unsigned planes, unsigned kind) {
    c->width = width;
    c->height = height;
    c->planes = 0;
    uint32_t all = 0;
    for (unsigned i = 0; i < width * height; i++) {
        unsigned x = i % width, y = i / width, bits = planes;
        if (kind % 4 == 0)
            bits = ht_pick(planes + 1);
        else if (kind % 4 == 1)
            bits = ht_pick(8) ? 0 : ht_pick(planes + 1);
        else if (kind % 4 == 2)
            bits = planes * ((x / 8 + y / 8) % 3) / 2 ? ht_pick(planes + 1) : ht_pick(2);
        uint32_t magnitude =
            test_random(&ht_seed) & (uint32_t)((UINT64_C(1) << (bits < planes ? bits : planes)) - 1);
        if (kind % 16 == 15)
            magnitude = ht_pick(2) ? (1u << planes) - 1 : 0;
        all |= magnitude;
        c->coefficients[i] = ht_pick(2) ? -(int32_t)magnitude : (int32_t)magnitude;
    }
    while (all >> c->planes)
        c->planes++;
}

static inline void ht_case_encode(ht_case *c, ht_encoder *encoder, unsigned sets, unsigned style,
                                  arena *out) {
    c->style = style | J2K_STYLE_HT;
    c->encoded = (encode_job){.source = {.data = c->coefficients, .stride = (ptrdiff_t)c->width},
                              .width = (uint16_t)c->width,
                              .height = (uint16_t)c->height,
                              .style = (uint8_t)c->style,
                              .num_bitplanes = 30,
                              .ht = {.sets = (uint8_t)sets, .measure = sets > 1, .refine = sets > 1}};
    CHECK(j2k_ht_encode(encoder, &c->encoded, 1, out) == J2K_OK);
    CHECK(c->encoded.zero_bitplanes == 30 - c->planes);
    CHECK(c->encoded.num_passes == (c->planes ? 3 * c->planes - 2 : 0));
}

static inline void ht_case_free(ht_case *c) {
    for (unsigned i = 0; i < 2; i++) {
        free(c->bytes[i]);
        c->bytes[i] = NULL;
    }
}

static inline void ht_case_segment(ht_case *c, unsigned index, unsigned passes, const uint8_t *data,
                                   uint32_t size) {
    c->bytes[index] = malloc(size ? size : 1);
    CHECK(c->bytes[index]);
    if (size)
        memcpy(c->bytes[index], data, size);
    c->segments[index] = (codeword_segment){NULL, (uint16_t)passes, true, size};
    c->chunks[index] = (data_chunk){NULL, c->bytes[index], size, 0};
    if (index) {
        c->segments[0].next = &c->segments[1];
        c->chunks[0].next = &c->chunks[1];
    }
    c->job.num_passes = (uint16_t)(c->job.num_passes + passes);
    c->job.data_size += size;
}

/* A decoder job for the HT set whose cleanup pass is of `plane`, with so many refinement passes;
 * `placeholders`: the sets before it are there as placeholder passes. */
static inline void ht_case_job(ht_case *c, unsigned plane, unsigned refinements, bool placeholders) {
    ht_case_free(c);
    unsigned set = c->planes - 1 - plane, pass = 3 * set;
    const coding_pass *passes = c->encoded.passes;
    uint32_t begin = pass ? passes[pass - 1].length : 0;
    c->job = (decode_job){.sink = {.data = c->decoded,
                                   .stride = (ptrdiff_t)c->width,
                                   .width = (uint16_t)c->width,
                                   .height = (uint16_t)c->height},
                          .width = (uint16_t)c->width,
                          .height = (uint16_t)c->height,
                          .style = (uint8_t)c->style,
                          .num_bitplanes = (uint8_t)(placeholders ? c->planes : plane + 1),
                          .segments = c->segments,
                          .chunks = c->chunks};
    ht_case_segment(c, 0, placeholders ? pass + 1 : 1, c->encoded.data + begin, passes[pass].length - begin);
    if (refinements)
        ht_case_segment(c, 1, refinements, c->encoded.data + passes[pass].length,
                        passes[pass + refinements].length - passes[pass].length);
}

static inline uint32_t ht_magnitude(const ht_case *c, unsigned x, unsigned y) {
    int32_t v = c->coefficients[y * c->width + x];
    return v < 0 ? 0u - (uint32_t)v : (uint32_t)v;
}

/* The coefficient as far as bit-planes down to `plane` say it, with the midpoint. */
static inline int32_t ht_truncated(const ht_case *c, unsigned x, unsigned y, unsigned plane) {
    uint32_t magnitude = ht_magnitude(c, x, y) >> plane << plane;
    if (magnitude && plane)
        magnitude += 1u << (plane - 1);
    return c->coefficients[y * c->width + x] < 0 ? -(int32_t)magnitude : (int32_t)magnitude;
}

/* Position in the scan of the significance propagation pass. */
static inline unsigned ht_scan(const ht_case *c, unsigned x, unsigned y) {
    return (y / 4 * c->width + x) * 4 + y % 4;
}

/* Whether a sample is coded by the significance propagation pass: one of its neighbours was significant in
 * the cleanup pass, or became so before it. */
static inline bool ht_member(const ht_case *c, const bool *found, unsigned x, unsigned y, unsigned plane) {
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) {
            unsigned nx = x + (unsigned)dx, ny = y + (unsigned)dy;
            if ((!dx && !dy) || nx >= c->width || ny >= c->height)
                continue;
            if ((c->style & J2K_STYLE_CAUSAL) && ny / 4 > y / 4)
                continue;
            if (ht_magnitude(c, nx, ny) >> plane)
                return true;
            if (found[ny * c->width + nx] && ht_scan(c, nx, ny) < ht_scan(c, x, y))
                return true;
        }
    return false;
}

/* Fill c->expected for a set and its passes. */
static inline void ht_case_expect(ht_case *c, unsigned plane, unsigned refinements) {
    static bool found[MAX_BLOCK_SIZE];
    memset(found, 0, sizeof found);
    for (unsigned y0 = 0; y0 < c->height; y0 += 4)
        for (unsigned x = 0; x < c->width; x++)
            for (unsigned y = y0; y < c->height && y < y0 + 4; y++) {
                unsigned i = y * c->width + x;
                bool significant = ht_magnitude(c, x, y) >> plane;
                if (refinements && !significant && ht_member(c, found, x, y, plane))
                    found[i] = ht_magnitude(c, x, y) >> (plane - 1) & 1;
                bool finer = found[i] || (refinements == 2 && significant);
                c->expected[i] = significant || found[i] ? ht_truncated(c, x, y, plane - finer) : 0;
            }
}

#endif
