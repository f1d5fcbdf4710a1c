/* The Part 1 block encoder against the plain one of ebcot_reference.h: its bytes; what a plain decoder makes
 * of them cut off behind every pass; that they could not be shorter; and the squared errors claimed.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "dsp.h"
#include "ebcot.h"
#include "ebcot_reference.h"

typedef enum test_data { SPARSE, DENSE, GEOMETRIC, ONES, EDGES, NUM_DATA } test_data;

/* One code-block's coefficients in 1/128 quantiser steps, in both forms that encoders take. */
typedef struct test_block {
    unsigned width, height, planes;
    uint32_t fixed[MAX_BLOCK_SIZE]; /* magnitude * 128 */
    uint8_t negative[MAX_BLOCK_SIZE];
    int32_t integers[MAX_BLOCK_SIZE];
    float reals[MAX_BLOCK_SIZE];
} test_block;

typedef struct statistics {
    unsigned long blocks, passes, decoded, tight, tested;
} statistics;

static uint64_t seed = 20240901;

static unsigned below(unsigned n) {
    return test_random(&seed) % n;
}

static void fill(test_block *t, unsigned width, unsigned height, unsigned planes, test_data data) {
    t->width = width;
    t->height = height;
    uint32_t all = 0;
    for (unsigned i = 0; i < width * height; i++) {
        uint32_t random = test_random(&seed) & (uint32_t)((UINT64_C(1) << planes) - 1), m = random;
        if (data == SPARSE && below(40))
            m = 0;
        else if (data == GEOMETRIC)
            m >>= below(planes + 2);
        else if (data == ONES)
            m = (uint32_t)((UINT64_C(1) << planes) - 1);
        else if (data == EDGES)
            m = (i % width == 0 || i % width == width - 1 || i < width) ? random : 0;
        t->integers[i] = below(2) || (data == ONES && i % 3) ? -(int32_t)m : (int32_t)m;
        all |= m;
    }
    t->planes = 0;
    while (all >> t->planes)
        t->planes++;
}

/* The same with fractions when asked for: magnitudes below 2^17, so that floats hold them. */
static void add_fractions(test_block *t, bool fractions) {
    for (unsigned i = 0; i < t->width * t->height; i++) {
        uint32_t m = (uint32_t)(t->integers[i] < 0 ? -(int64_t)t->integers[i] : t->integers[i]);
        t->fixed[i] = fractions ? m * 128 + below(128) : 0;
        t->negative[i] = fractions ? t->integers[i] < 0 || (m == 0 && below(2)) : t->integers[i] < 0;
        t->reals[i] = (float)t->fixed[i] / 128 * (t->negative[i] ? -1.0f : 1.0f);
    }
}

static encode_job make_job(const test_block *t, unsigned orientation, unsigned style, bool fractions) {
    encode_job job;
    memset(&job, 0, sizeof job);
    job.source.data = fractions ? (const void *)t->reals : (const void *)t->integers;
    job.source.stride = (ptrdiff_t)t->width;
    job.source.irreversible = fractions;
    job.source.inverse_step = 1;
    job.width = (uint16_t)t->width;
    job.height = (uint16_t)t->height;
    job.orientation = (uint8_t)orientation;
    job.style = (uint8_t)style;
    job.num_bitplanes = (uint8_t)(t->planes + below(3));
    return job;
}

static uint32_t integer_magnitude(const test_block *t, unsigned i) {
    int64_t v = t->integers[i];
    return (uint32_t)(v < 0 ? -v : v);
}

/* The reference encoder's bytes begin with ours, segment by segment, and are ours when termination is
 * predictable. */
static void compare_bytes(const encode_job *job, const test_block *t) {
    static ref_result result;
    ref_block b = ref_block_create(job->width, job->height, (int)t->planes, job->orientation, job->style);
    for (unsigned i = 0; i < t->width * t->height; i++) {
        b.magnitude[i] = integer_magnitude(t, i);
        b.sign[i] = t->negative[i];
    }
    ref_encode(&b, &result);
    uint32_t start = 0;
    for (int s = 0; s < result.num_segments; s++) {
        uint32_t end = job->passes[result.last_pass[s]].length, size = end - start;
        CHECK(end >= start && size <= result.size[s]);
        CHECK(memcmp(job->data + start, result.bytes[s], size) == 0);
        CHECK(size == 0 || job->data[end - 1] != 0xFF);
        if (job->style & REF_PTERM)
            CHECK(size == result.size[s]);
        start = end;
    }
    ref_block_free(&b);
}

/* Decode passes 0 .. last from the bytes that they need, less `missing`. Returns whether every magnitude
 * and sign is right, and in *error the squared error with midpoints. */
static bool decode_prefix(const encode_job *job, const test_block *t, unsigned last, unsigned missing,
                          double *error) {
    static uint32_t lengths[REF_MAX_PASSES];
    ref_block full = ref_block_create(job->width, job->height, (int)t->planes, job->orientation, job->style);
    for (unsigned i = 0; i < job->num_passes; i++)
        lengths[i] = job->passes[i].length;
    lengths[last] -= missing;
    /* A copy of just these bytes, so that the address sanitizer sees reads behind them. */
    uint8_t *data = malloc(lengths[last] + 1);
    CHECK(data);
    memcpy(data, job->data, lengths[last]);
    ref_decode(&full, data, lengths, (int)last + 1, job->num_passes);
    bool right = !full.wrong_segmentation;
    *error = 0;
    bool fractions = job->source.irreversible;
    for (unsigned i = 0; i < t->width * t->height; i++) {
        double true_value = fractions ? t->fixed[i] / 128.0 : integer_magnitude(t, i), value = 0;
        uint32_t m = full.magnitude[i];
        if (m) {
            unsigned plane = full.plane[i];
            right &= integer_magnitude(t, i) >> plane == m >> plane && full.sign[i] == t->negative[i];
            value = m + (plane == 0 && !fractions ? 0 : ldexp(0.5, (int)plane));
        } else if (integer_magnitude(t, i)) {
            /* Not significant so far: no pass may have coded a one of it. */
            unsigned top = 0;
            while (integer_magnitude(t, i) >> (top + 1))
                top++;
            unsigned plane = t->planes - 1 - (last + 2) / 3;
            right &= top <= plane && !(top == plane && (last + 2) % 3 == 2);
            if (top == plane)
                right &= *ref_state(&full, full.visited, (int)(i % t->width), (int)(i / t->width)) == 0;
        }
        *error += (true_value - value) * (true_value - value);
    }
    free(data);
    ref_block_free(&full);
    return right;
}

static void check_block(ebcot_encoder *encoder, const test_block *t, unsigned orientation, unsigned style,
                        bool fractions, bool all_passes, statistics *stats) {
    arena out;
    memset(&out, 0, sizeof out);
    encode_job job = make_job(t, orientation, style, fractions);
    CHECK(j2k_ebcot_encode(encoder, &job, 1, &out) == J2K_OK);
    CHECK(job.zero_bitplanes == job.num_bitplanes - t->planes);
    CHECK(job.num_passes == (t->planes ? 3 * t->planes - 2 : 0));
    stats->blocks++;
    if (job.num_passes)
        compare_bytes(&job, t);
    double energy = 0;
    for (unsigned i = 0; i < t->width * t->height; i++) {
        double v = fractions ? t->fixed[i] / 128.0 : integer_magnitude(t, i);
        energy += v * v;
    }
    CHECK(fabs(energy - job.energy) <= 1e-12 * energy);
    for (unsigned pass = 0; pass < job.num_passes; pass++) {
        uint32_t length = job.passes[pass].length, before = pass ? job.passes[pass - 1].length : 0;
        CHECK(length >= before);
        CHECK(length == 0 || job.data[length - 1] != 0xFF);
        stats->passes++;
        if (!all_passes && pass != job.num_passes - 1U && below(job.num_passes) > 4)
            continue;
        double error;
        CHECK(decode_prefix(&job, t, pass, 0, &error));
        stats->decoded++;
        if (fabs(energy - error - job.passes[pass].reduction) > 1e-9 * energy + 1e-6) {
            fprintf(stderr, "pass %u of %u: claimed %.9g, true %.9g\n", pass, job.num_passes,
                    job.passes[pass].reduction, energy - error);
            CHECK(!"distortion");
        }
        bool last_of_predictable = (style & REF_PTERM) && ref_terminates(style, (int)pass, job.num_passes);
        if (length > before && !last_of_predictable && !ref_is_raw(style, (int)pass)) {
            stats->tested++;
            stats->tight += !decode_prefix(&job, t, pass, 1, &error);
        }
    }
    j2k_arena_free(&out);
}

/* With a region of interest magnitudes are shifted up (annex H): the first passes are those of the block
 * without it, and those of the planes shifted in remove nothing. */
static void check_roi(ebcot_encoder *encoder, test_block *t) {
    enum { ROI_SHIFT = 5 };
    arena out;
    memset(&out, 0, sizeof out);
    fill(t, 33, 21, 9, GEOMETRIC);
    add_fractions(t, false);
    encode_job plain = make_job(t, BAND_HL, 0, false), shifted = plain;
    shifted.source.roi_shift = ROI_SHIFT;
    shifted.num_bitplanes = (uint8_t)(plain.num_bitplanes + ROI_SHIFT);
    CHECK(j2k_ebcot_encode(encoder, &plain, 1, &out) == J2K_OK);
    CHECK(j2k_ebcot_encode(encoder, &shifted, 1, &out) == J2K_OK);
    CHECK(shifted.zero_bitplanes == plain.zero_bitplanes && shifted.energy == plain.energy);
    CHECK(shifted.num_passes == plain.num_passes + 3 * ROI_SHIFT);
    for (unsigned pass = 0; pass < shifted.num_passes; pass++) {
        unsigned same = pass < plain.num_passes ? pass : plain.num_passes - 1U;
        CHECK(shifted.passes[pass].reduction == plain.passes[same].reduction);
        /* Where a pass may be cut depends on what follows, within the 27 bits of C. */
        CHECK(pass >= plain.num_passes || shifted.passes[pass].length <= plain.passes[pass].length + 3);
        CHECK(pass >= plain.num_passes || shifted.passes[pass].length + 3 >= plain.passes[pass].length);
    }
    j2k_arena_free(&out);
}

/* Magnitudes that need more bit-planes than there are: an error when exact coding is asked for, else the
 * largest that there is. Blocks of zeros have no passes. */
static void check_limits(ebcot_encoder *encoder, test_block *t) {
    arena out;
    memset(&out, 0, sizeof out);
    fill(t, 16, 16, 6, ONES);
    add_fractions(t, true);
    encode_job job = make_job(t, BAND_LL, 0, false);
    job.num_bitplanes = 5;
    CHECK(j2k_ebcot_encode(encoder, &job, 1, &out) == J2K_ERROR_UNSUPPORTED);
    job = make_job(t, BAND_LL, 0, true);
    job.num_bitplanes = 5;
    CHECK(j2k_ebcot_encode(encoder, &job, 1, &out) == J2K_OK);
    CHECK(job.num_passes == 13 && job.zero_bitplanes == 0);
    for (unsigned i = 0; i < 256; i++)
        t->integers[i] = t->integers[i] < 0 ? -31 : 31;
    t->planes = 5;
    compare_bytes(&job, t);
    memset(t->integers, 0, sizeof t->integers);
    job = make_job(t, BAND_LL, 0, false);
    CHECK(j2k_ebcot_encode(encoder, &job, 1, &out) == J2K_OK);
    CHECK(job.num_passes == 0 && job.zero_bitplanes == job.num_bitplanes && job.energy == 0);
    j2k_arena_free(&out);
}

int main(void) {
    static test_block t;
    static const unsigned shapes[][2] = {{64, 64},  {32, 32},  {4, 4},   {1024, 4}, {4, 1024},
                                         {16, 256}, {256, 16}, {1, 1},   {1, 7},    {9, 1},
                                         {5, 3},    {17, 9},   {63, 61}, {128, 32}, {33, 18},
                                         {3, 300},  {1023, 3}, {15, 33}, {48, 64},  {65, 12}};
    arena memory;
    memset(&memory, 0, sizeof memory);
    statistics stats = {0, 0, 0, 0, 0};
    unsigned cpus[3] = {0, J2K_CPU_SSE41 | J2K_CPU_AVX2, J2K_CPU_ALL};
    for (unsigned c = 0; c < 3; c++) {
        ebcot_encoder *encoder = j2k_ebcot_encoder_create(j2k_dsp_get(cpus[c] & j2k_cpu_flags()),
                                                          cpus[c] & j2k_cpu_flags(), &memory);
        CHECK(encoder);
        check_roi(encoder, &t);
        check_limits(encoder, &t);
        for (unsigned style = 0; style < 64; style++)
            for (unsigned orientation = 0; orientation < 4; orientation++) {
                unsigned width = 1 + below(20), height = 1 + below(20), planes = 1 + below(12);
                bool fractions = below(2);
                fill(&t, width, height, planes, (test_data)below(NUM_DATA));
                add_fractions(&t, fractions);
                check_block(encoder, &t, orientation, style, fractions, true, &stats);
            }
        for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (unsigned data = 0; data < NUM_DATA; data++) {
                bool fractions = below(2);
                fill(&t, shapes[i][0], shapes[i][1], 1 + below(fractions ? 17 : MAX_BITPLANES),
                     (test_data)data);
                add_fractions(&t, fractions);
                unsigned style = below(64);
                check_block(encoder, &t, below(4), style, fractions, false, &stats);
                check_block(encoder, &t, below(4), 0, fractions, false, &stats);
            }
    }
    printf("%lu blocks, %lu passes, %lu truncations decoded; one byte less fails %lu of %lu times\n",
           stats.blocks, stats.passes, stats.decoded, stats.tight, stats.tested);
    CHECK(stats.tight * 100 >= stats.tested * 99);
    j2k_arena_free(&memory);
    return 0;
}
