/* HT block coders: round trips of all code-block shapes, bit-planes and passes; distortions; damaged
 * codewords. SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "ht_cases.h"

typedef struct fixture {
    arena memory, out;
    ht_encoder *encoder;
    ht_decoder *decoder;
    ht_case c;
} fixture;

static void decode_and_compare(fixture *f, unsigned plane, unsigned refinements, bool placeholders) {
    ht_case *c = &f->c;
    ht_case_job(c, plane, refinements, placeholders);
    ht_case_expect(c, plane, refinements);
    memset(c->decoded, 0x55, sizeof c->decoded);
    CHECK(j2k_ht_decode(f->decoder, &c->job, 1) == J2K_OK);
    CHECK(c->job.sound);
    CHECK(!memcmp(c->decoded, c->expected, sizeof(int32_t) * c->width * c->height));
}

/* The reduction that a pass claims against what the decoder shows. */
static void check_reduction(const ht_case *c, const coding_pass *pass) {
    double energy = 0, left = 0;
    for (unsigned i = 0; i < c->width * c->height; i++) {
        double x = c->coefficients[i], d = x - c->decoded[i];
        energy += x * x;
        left += d * d;
    }
    CHECK(fabs(c->encoded.energy - energy) <= 1e-9 * energy);
    CHECK(fabs(pass->reduction - (energy - left)) <= 1e-9 * energy);
}

static void pick_shape(unsigned *width, unsigned *height) {
    unsigned w = 2 + ht_pick(9), h = 2 + ht_pick(11 - w > 8 ? 9 : 11 - w);
    *width = 1u << w;
    *height = 1u << h;
    if (ht_pick(2))
        *width -= ht_pick(*width);
    if (ht_pick(2))
        *height -= ht_pick(*height);
}

static void test_round_trips(fixture *f) {
    for (unsigned round = 0; round < 700; round++) {
        ht_case *c = &f->c;
        unsigned width, height, planes = 1 + ht_pick(round % 3 ? 12 : 30);
        pick_shape(&width, &height);
        ht_case_fill(c, width, height, planes, round);
        j2k_arena_reset(&f->out);
        ht_case_encode(c, f->encoder, 30, round % 5 ? 0 : J2K_STYLE_CAUSAL, &f->out);
        if (!c->planes)
            continue;
        for (unsigned plane = 0; plane < c->planes; plane++) {
            unsigned first = 3 * (c->planes - 1 - plane);
            for (unsigned refinements = 0; refinements <= (plane ? 2u : 0u); refinements++) {
                decode_and_compare(f, plane, refinements, round & 1);
                check_reduction(c, &c->encoded.passes[first + refinements]);
            }
        }
        /* The lowest set alone is the same. */
        unsigned last = c->encoded.num_passes - 1u;
        uint32_t begin = last ? c->encoded.passes[last - 1].length : 0,
                 size = c->encoded.passes[last].length - begin;
        const uint8_t *data = c->encoded.data + begin;
        ht_case_encode(c, f->encoder, 1, c->style, &f->out);
        CHECK(c->encoded.passes[last].length == size && !memcmp(c->encoded.data, data, size));
        decode_and_compare(f, 0, 0, false);
    }
}

/* All HT sets up to a pass, one after the other, in two chunks that a codeword segment crosses: the last set
 * counts. A refinement segment without bytes reads as zeros. */
static void test_many_sets(fixture *f) {
    enum { MAX_SEGMENTS = 2 * 12 };
    ht_case *c = &f->c;
    for (unsigned round = 0; round < 60; round++) {
        unsigned width, height;
        pick_shape(&width, &height);
        ht_case_fill(c, width, height, 2 + ht_pick(11), round);
        j2k_arena_reset(&f->out);
        ht_case_encode(c, f->encoder, 30, 0, &f->out);
        if (c->planes < 2)
            continue;
        unsigned last = 1 + ht_pick(c->encoded.num_passes - 1u), set = last / 3, plane = c->planes - 1 - set;
        const coding_pass *passes = c->encoded.passes;
        codeword_segment segments[MAX_SEGMENTS];
        unsigned count = 0;
        for (unsigned pass = 0, end; pass <= last; pass = end, count++) {
            end = pass % 3 == 1 && pass < last ? pass + 2 : pass + 1;
            uint32_t begin = pass ? passes[pass - 1].length : 0;
            segments[count] = (codeword_segment){&segments[count + 1], (uint16_t)(end - pass), true,
                                                 passes[end - 1].length - begin};
        }
        segments[count - 1].next = NULL;
        ht_case_job(c, plane, 0, true);
        uint32_t size = passes[last].length, cut = ht_pick(size + 1);
        data_chunk chunks[2] = {{&chunks[1], c->encoded.data, cut, 0},
                                {NULL, c->encoded.data + cut, size - cut, 0}};
        c->job.segments = segments;
        c->job.chunks = cut ? chunks : &chunks[1];
        if (cut == size)
            chunks[0].next = NULL;
        c->job.data_size = size;
        c->job.num_passes = (uint16_t)(last + 1);
        ht_case_expect(c, plane, last % 3);
        CHECK(j2k_ht_decode(f->decoder, &c->job, 1) == J2K_OK);
        CHECK(c->job.sound && c->job.decoded_passes == last + 1);
        CHECK(!memcmp(c->decoded, c->expected, sizeof(int32_t) * c->width * c->height));
    }
}

/* No codeword segment may hold FF followed by more than 8F, or end with FF (B.10.7 of T.800 has packet bodies
 * without marker codes). */
static void test_no_markers(fixture *f) {
    for (unsigned round = 0; round < 400; round++) {
        ht_case *c = &f->c;
        ht_case_fill(c, 64, 64, 1 + ht_pick(16), round % 2 ? 15 : round);
        j2k_arena_reset(&f->out);
        ht_case_encode(c, f->encoder, 30, 0, &f->out);
        uint32_t begin = 0;
        for (unsigned pass = 0; pass < c->encoded.num_passes; pass++) {
            uint32_t end = c->encoded.passes[pass].length;
            for (uint32_t i = begin; i < end; i++)
                CHECK(c->encoded.data[i] != 0xFF || (i + 1 < end && c->encoded.data[i + 1] <= 0x8F));
            begin = end;
        }
    }
}

static void test_zero(fixture *f) {
    ht_case *c = &f->c;
    ht_case_fill(c, 32, 32, 0, 0);
    ht_case_encode(c, f->encoder, 1, 0, &f->out);
    CHECK(c->encoded.num_passes == 0);
    c->job = (decode_job){.sink = {.data = c->decoded, .stride = 32, .width = 32, .height = 32},
                          .width = 32,
                          .height = 32,
                          .style = J2K_STYLE_HT,
                          .num_bitplanes = 5};
    memset(c->decoded, 0x55, sizeof c->decoded);
    CHECK(j2k_ht_decode(f->decoder, &c->job, 1) == J2K_OK && c->job.sound);
    for (unsigned i = 0; i < 1024; i++)
        CHECK(c->decoded[i] == 0);
}

/* Damage of all kinds: sanitizers watch, and what is decoded stays inside the block. */
static void damage(ht_case *c) {
    unsigned index = c->segments[0].next ? ht_pick(2) : 0;
    uint32_t *size = &c->chunks[index].size;
    switch (ht_pick(6)) {
    case 0: /* the segment ends early */
        c->chunks[index].size = c->segments[index].size = ht_pick(*size + 1);
        break;
    case 1: /* the data end early */
        *size = ht_pick(*size + 1);
        break;
    case 2:
        c->job.num_bitplanes = (uint8_t)(1 + ht_pick(31));
        break;
    case 3: /* Scup */
        if (*size >= 2) {
            c->bytes[index][*size - 1] = (uint8_t)test_random(&ht_seed);
            c->bytes[index][*size - 2] = (uint8_t)test_random(&ht_seed);
        }
        break;
    case 4:
        c->segments[index].num_passes = (uint16_t)ht_pick(8);
        break;
    default:
        for (unsigned n = 1 + ht_pick(8); n && *size; n--)
            c->bytes[index][ht_pick(*size)] = (uint8_t)test_random(&ht_seed);
    }
}

static void test_damaged(fixture *f) {
    for (unsigned round = 0; round < 6000; round++) {
        ht_case *c = &f->c;
        if (round % 20 == 0) {
            unsigned width, height;
            pick_shape(&width, &height);
            ht_case_fill(c, width, height, 1 + ht_pick(20), round / 20);
            j2k_arena_reset(&f->out);
            ht_case_encode(c, f->encoder, 30, 0, &f->out);
        }
        if (!c->planes)
            continue;
        unsigned plane = ht_pick(c->planes);
        ht_case_job(c, plane, plane ? ht_pick(3) : 0, ht_pick(2));
        c->job.sink.irreversible = ht_pick(2);
        c->job.sink.step = 1;
        for (unsigned n = 1 + ht_pick(3); n; n--)
            damage(c);
        size_t count = (size_t)c->width * c->height;
        memset(c->decoded, 0x55, sizeof c->decoded);
        j2k_status status = j2k_ht_decode(f->decoder, &c->job, 1);
        CHECK(status == J2K_OK || status == J2K_ERROR_UNSUPPORTED);
        for (size_t i = count; i < MAX_BLOCK_SIZE; i++)
            CHECK(c->decoded[i] == 0x55555555);
    }
}

int main(void) {
    fixture *f = calloc(1, sizeof *f);
    CHECK(f);
    f->encoder = j2k_ht_encoder_create(j2k_dsp_get(0), 0, &f->memory);
    f->decoder = j2k_ht_decoder_create(j2k_dsp_get(0), 0, &f->memory);
    CHECK(f->encoder && f->decoder);
    test_zero(f);
    test_round_trips(f);
    test_many_sets(f);
    test_no_markers(f);
    test_damaged(f);
    ht_case_free(&f->c);
    j2k_arena_free(&f->memory);
    j2k_arena_free(&f->out);
    free(f);
    return CHECK_RESULT();
}
