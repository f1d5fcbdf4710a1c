/* Code-blocks of more than 30 bit-planes, and 64-bit coefficients, against the plain coder of Part 1.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "block.h"
#include "plain_ebcot.h"
#include "quant.h"
#include "transform_check.h"

enum { BYTES = 1 << 18 };

typedef struct wide_case {
    unsigned width, height, orientation, style, planes;
    int64_t coefficients[MAX_BLOCK_SIZE];
} wide_case;

static int64_t random_wide(unsigned bits) {
    uint64_t random = 0;
    for (unsigned i = 0; i < 4; i++)
        random = random << 16 | random_below(1 << 16);
    return (int64_t)(random & ((UINT64_C(1) << bits) - 1));
}

static void make_case(wide_case *c) {
    static const uint8_t sizes[][2] = {{1, 1}, {3, 5}, {17, 9}, {32, 32}, {40, 11}, {5, 64}};
    const unsigned size = random_below(6), kind = random_below(3);
    /* Predictable termination is not the plain encoder's. */
    c->style = random_below(2) ? random_below(64) & ~(unsigned)J2K_STYLE_PTERM : 0;
    c->width = sizes[size][0];
    c->height = sizes[size][1];
    c->orientation = random_below(4);
    c->planes = 31 + random_below(MAX_CODED_BITPLANES - 30);
    for (unsigned i = 0; i < c->width * c->height; i++) {
        int64_t m = kind == 0   ? random_wide(c->planes)
                    : kind == 1 ? random_wide(c->planes) >> random_below(c->planes)
                                : (random_below(3) ? 0 : ((int64_t)1 << c->planes) - 1);
        c->coefficients[i] = random_below(2) ? -m : m;
    }
    c->coefficients[random_below(c->width * c->height)] = ((int64_t)1 << (c->planes - 1)) + random_wide(30);
}

/* The first `passes` passes that our encoder made, as the plain decoder takes them. */
static void make_stream(const encode_job *job, unsigned passes, plain_stream *s) {
    unsigned first = 0;
    size_t begin = 0;
    s->num_passes = passes;
    s->num_segments = 0;
    s->data = (uint8_t *)(uintptr_t)job->data;
    s->size = job->passes[passes - 1].length;
    for (unsigned pass = 0; pass < passes; pass++) {
        if (pass + 1 < passes && !plain_terminates(job->style, pass))
            continue;
        s->segment_passes[s->num_segments] = pass + 1 - first;
        s->segment_size[s->num_segments++] = job->passes[pass].length - begin;
        begin = job->passes[pass].length;
        first = pass + 1;
    }
}

/* Our passes decode to the coefficients, and each one to the error that its reduction says. */
static void check_encoder(block_coder *coder, const wide_case *c, arena *out) {
    encode_job job = {.source = {.data = c->coefficients, .stride = (ptrdiff_t)c->width, .wide = true},
                      .width = (uint16_t)c->width,
                      .height = (uint16_t)c->height,
                      .orientation = (uint8_t)c->orientation,
                      .style = (uint8_t)c->style,
                      .num_bitplanes = (uint8_t)(c->planes + 2)};
    CHECK(j2k_block_is_wide(&job), "%u planes", c->planes);
    CHECK(j2k_blocks_encode(coder, &job, 1, out) == J2K_OK, "%u planes", c->planes);
    CHECK(job.zero_bitplanes == 2 && job.num_passes == 3 * c->planes - 2, "%u passes, %u planes",
          job.num_passes, c->planes);
    int64_t decoded[MAX_BLOCK_SIZE];
    plain_stream stream;
    const unsigned step = 1 + random_below(12);
    for (unsigned passes = job.num_passes;; passes -= step) {
        bool escaped;
        make_stream(&job, passes, &stream);
        CHECK(plain_decode(&stream, (int)c->width, (int)c->height, (int)c->orientation, c->style, c->planes,
                           true, decoded, &escaped),
              "%u of %u passes, style %u", passes, job.num_passes, c->style);
        double error = 0;
        for (unsigned i = 0; i < c->width * c->height; i++) {
            double e = (double)(decoded[i] - 2 * c->coefficients[i]) / 2;
            error += e * e;
        }
        CHECK(passes < job.num_passes || error == 0, "not lossless, style %u, %u planes", c->style,
              c->planes);
        CHECK(fabs(job.energy - job.passes[passes - 1].reduction - error) <= 1e-6 * job.energy,
              "%u of %u passes: error %g, said %g of %g", passes, job.num_passes, error,
              job.energy - job.passes[passes - 1].reduction, job.energy);
        if (passes <= step)
            break;
    }
}

/* The plain encoder's passes, all or some, in every kind of sink. */
static void check_decoder(block_coder *coder, const wide_case *c) {
    static uint8_t bytes[BYTES];
    static int64_t integers[MAX_BLOCK_SIZE], expected[MAX_BLOCK_SIZE];
    static double reals[MAX_BLOCK_SIZE];
    plain_stream stream = {.data = bytes + 1};
    const unsigned passes = random_below(2) ? 3 * c->planes - 2 : 1 + random_below(3 * c->planes - 2);
    const int w = (int)c->width, h = (int)c->height;
    bool escaped;
    plain_encode_wide(c->coefficients, w, h, (int)c->orientation, c->style, c->planes, passes, &stream);
    data_chunk chunk = {NULL, stream.data, (uint32_t)stream.size, 0};
    codeword_segment segments[PLAIN_MAX_PASSES];
    for (unsigned i = 0; i < stream.num_segments; i++)
        segments[i] = (codeword_segment){.next = i + 1 < stream.num_segments ? &segments[i + 1] : NULL,
                                         .num_passes = (uint16_t)stream.segment_passes[i],
                                         .size = (uint32_t)stream.segment_size[i]};
    for (int real = 0; real < 2; real++) {
        decode_job job = {.sink = {.data = real ? (void *)reals : (void *)integers,
                                   .stride = w,
                                   .wide = true,
                                   .irreversible = real,
                                   .step = 0.5f,
                                   .width = (uint16_t)w,
                                   .height = (uint16_t)h},
                          .width = (uint16_t)w,
                          .height = (uint16_t)h,
                          .orientation = (uint8_t)c->orientation,
                          .style = (uint8_t)c->style,
                          .num_bitplanes = (uint8_t)c->planes,
                          .num_passes = (uint16_t)passes,
                          .data_size = (uint32_t)stream.size,
                          .chunks = &chunk,
                          .segments = segments};
        CHECK(j2k_blocks_decode(coder, &job, 1) == J2K_OK, "%u planes", c->planes);
        CHECK(plain_decode(&stream, w, h, (int)c->orientation, c->style, c->planes, !real, expected,
                           &escaped) == job.sound,
              "sound %d", job.sound);
        for (int i = 0; i < w * h; i++) {
            bool same = real ? reals[i] == (double)expected[i] / 4 : integers[i] == expected[i] / 2;
            CHECK(same, "sample %d of %d x %d, style %u, pass %u of %u, real %d", i, w, h, c->style, passes,
                  3 * c->planes - 2, real);
            if (!same)
                return;
        }
    }
}

/* Maxshift (H.1) beyond 30 bit-planes, from and to coefficients of 32 bits. */
static void check_region(block_coder *coder, bool ht, arena *out) {
    enum { SIZE = 24 };
    int32_t in[SIZE * SIZE], back[SIZE * SIZE];
    const unsigned bits = 12 + random_below(14),
                   shift = 31 - bits + random_below(bits + MAX_CODED_BITPLANES - 30 - bits);
    for (unsigned i = 0; i < SIZE * SIZE; i++)
        in[i] = (int32_t)random_wide(bits) * (random_below(2) ? -1 : 1) * (int32_t)(i % 5 != 0);
    in[0] = 1 << (bits - 1);
    encode_job job = {.source = {.data = in, .stride = SIZE, .roi_shift = (uint8_t)shift},
                      .width = SIZE,
                      .height = SIZE,
                      .style = ht ? J2K_STYLE_HT : 0,
                      .num_bitplanes = MAX_WIDE_BITPLANES};
    CHECK(j2k_blocks_encode(coder, &job, 1, out) == J2K_OK, "%u bits shifted by %u", bits, shift);
    CHECK(job.zero_bitplanes == MAX_WIDE_BITPLANES - bits - shift, "%u planes are missing",
          job.zero_bitplanes);
    data_chunk chunk = {NULL, job.data, job.passes[job.num_passes - 1].length, 0};
    codeword_segment segment = {.num_passes = ht ? 1 : job.num_passes, .size = chunk.size};
    decode_job decode = {
        .sink = {.data = back, .stride = SIZE, .roi_shift = (uint8_t)shift, .width = SIZE, .height = SIZE},
        .width = SIZE,
        .height = SIZE,
        .style = job.style,
        .num_bitplanes = ht ? 1 : (uint8_t)(bits + shift),
        .most_bitplanes = MAX_WIDE_BITPLANES,
        .num_passes = segment.num_passes,
        .data_size = chunk.size,
        .chunks = &chunk,
        .segments = &segment};
    CHECK(j2k_blocks_decode(coder, &decode, 1) == J2K_OK && decode.sound, "%u bits shifted by %u", bits,
          shift);
    CHECK(memcmp(in, back, sizeof in) == 0, "%u bits shifted by %u, HT %d", bits, shift, ht);
}

/* What does not fit is limited, not wrapped. */
static void check_limits(void) {
    int64_t integers[3] = {INT64_MIN, INT64_MAX, -5},
            doubled[3] = {-7, (int64_t)1 << 60, -((int64_t)1 << 60)};
    double reals[4] = {1e300, -1e300, -2.75, 0};
    uint64_t out[4];
    int32_t stored[3];
    block_source source = {.data = integers, .stride = 3, .wide = true};
    CHECK(j2k_quantise_block_wide(&source, 3, 1, 0, out) == INT64_MAX, "OR of the magnitudes");
    CHECK(out[0] == UINT64_MAX && out[1] == INT64_MAX && out[2] == ((UINT64_C(1) << 63) | 5), "integers");
    source.roi_shift = 62;
    j2k_quantise_block_wide(&source, 3, 1, 0, out);
    CHECK(out[2] == UINT64_MAX, "a shift that does not fit");
    source = (block_source){
        .data = reals, .stride = 4, .wide = true, .irreversible = true, .wide_inverse_step = 2};
    j2k_quantise_block_wide(&source, 4, 1, 1, out);
    CHECK(out[0] < UINT64_C(1) << 62 && out[0] > UINT64_C(1) << 61 && out[1] == (out[0] | UINT64_C(1) << 63),
          "large real numbers");
    CHECK(out[2] == ((UINT64_C(1) << 63) | 11) && out[3] == 0, "real numbers");
    block_sink sink = {.data = stored, .stride = 3, .width = 3, .height = 1};
    j2k_dequantise_block_wide(&sink, doubled, 3);
    CHECK(stored[0] == -3 && stored[1] == INT32_MAX && stored[2] == -INT32_MAX, "32-bit coefficients");
}

int main(void) {
    static wide_case c;
    const unsigned masks[] = {0, J2K_CPU_ALL};
    for (unsigned m = 0; m < 2; m++) {
        const unsigned cpu = j2k_cpu_flags() & masks[m];
        arena memory = {0}, out = {0};
        block_coder *coder = j2k_block_coder_create(j2k_dsp_get(cpu), cpu, &memory);
        CHECK(coder, "no coder");
        for (unsigned i = 0; i < 60; i++) {
            make_case(&c);
            check_encoder(coder, &c, &out);
            check_decoder(coder, &c);
            check_region(coder, i % 2, &out);
            j2k_arena_reset(&out);
        }
        j2k_arena_free(&memory);
        j2k_arena_free(&out);
    }
    check_limits();
    return check_result();
}
