/* Every version of the Part 1 block encoder against the scalar one: same bytes, lengths and squared errors.
 * Arguments: rounds and a number for another random sequence, or --bench FILE...: time to encode the
 * code-blocks of files that hold, one after another, int32 width, height, orientation and the coefficients.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../unit/check.h"
#include "arena.h"
#include "dsp.h"
#include "ebcot.h"

enum { MAX_JOBS = 300 };

typedef struct version {
    const char *name;
    unsigned cpu;
} version;

static const version versions[] = {
    {"scalar", 0}, {"avx2", J2K_CPU_SSE41 | J2K_CPU_AVX2}, {"avx512", J2K_CPU_ALL}};
enum { NUM_VERSIONS = sizeof versions / sizeof *versions };

static uint64_t seed = 77;

static unsigned below(unsigned n) {
    return test_random(&seed) % n;
}

/* Random coefficients: a density and a distribution for each block. */
static void fill(int32_t *block, float *reals, unsigned samples, unsigned planes) {
    unsigned density = below(5), kind = below(4);
    uint32_t limit = (uint32_t)((UINT64_C(1) << planes) - 1);
    for (unsigned i = 0; i < samples; i++) {
        uint32_t m = test_random(&seed) & limit;
        if (kind == 0)
            m >>= below(planes + 1);
        else if (kind == 1)
            m = limit;
        if (density && below(1u << (2 * density)))
            m = 0;
        block[i] = below(2) ? -(int32_t)m : (int32_t)m;
        reals[i] = (float)block[i] * 0.37f;
    }
}

static void compare(const encode_job *a, const encode_job *b) {
    CHECK(a->num_passes == b->num_passes && a->zero_bitplanes == b->zero_bitplanes && a->energy == b->energy);
    for (unsigned p = 0; p < a->num_passes; p++) {
        CHECK(a->passes[p].length == b->passes[p].length);
        CHECK(a->passes[p].reduction == b->passes[p].reduction);
    }
    if (a->num_passes)
        CHECK(memcmp(a->data, b->data, a->passes[a->num_passes - 1].length) == 0);
}

static ebcot_encoder *create(const version *v, arena *memory) {
    ebcot_encoder *encoder =
        j2k_ebcot_encoder_create(j2k_dsp_get(v->cpu & j2k_cpu_flags()), v->cpu & j2k_cpu_flags(), memory);
    CHECK(encoder);
    return encoder;
}

/* Random batches of random blocks. */
static void check(ebcot_encoder *const *encoders, unsigned rounds) {
    static int32_t samples[MAX_JOBS][MAX_BLOCK_SIZE];
    static float reals[MAX_JOBS][MAX_BLOCK_SIZE];
    static encode_job jobs[NUM_VERSIONS][MAX_JOBS];
    arena out[NUM_VERSIONS];
    memset(out, 0, sizeof out);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned count = round % 4 == 0 ? 1 + below(MAX_JOBS) : 1 + below(20);
        unsigned style = below(3) ? below(64) : 0, mixed = below(3) == 0;
        for (unsigned i = 0; i < count; i++) {
            encode_job job;
            memset(&job, 0, sizeof job);
            unsigned shape = below(12);
            job.width = shape < 4 ? 64 : (uint16_t)(1 + below(64));
            job.height = shape < 4 ? 64 : (uint16_t)(1 + below(64));
            if (shape == 11) {
                job.width = (uint16_t)(4u << below(9));
                job.height = (uint16_t)(MAX_BLOCK_SIZE / job.width);
            }
            unsigned planes = below(8) ? 1 + below(11) : 1 + below(MAX_BITPLANES);
            fill(samples[i], reals[i], (unsigned)job.width * job.height, planes);
            job.source.irreversible = below(2);
            job.source.data = job.source.irreversible ? (const void *)reals[i] : (const void *)samples[i];
            job.source.stride = job.width;
            job.source.inverse_step = 0.9f;
            job.orientation = (uint8_t)below(4);
            job.style = (uint8_t)(mixed ? below(64) : style);
            job.num_bitplanes = (uint8_t)(planes + below(3));
            for (unsigned v = 0; v < NUM_VERSIONS; v++)
                jobs[v][i] = job;
        }
        for (unsigned v = 0; v < NUM_VERSIONS; v++) {
            j2k_arena_reset(&out[v]);
            CHECK(j2k_ebcot_encode(encoders[v], jobs[v], count, &out[v]) == J2K_OK);
            for (unsigned i = 0; i < count; i++)
                compare(&jobs[0][i], &jobs[v][i]);
        }
    }
    for (unsigned v = 0; v < NUM_VERSIONS; v++)
        j2k_arena_free(&out[v]);
}

static double now(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t read_jobs(const char *path, encode_job **jobs, size_t *samples) {
    FILE *file = fopen(path, "rb");
    CHECK(file);
    size_t count = 0;
    int32_t head[3];
    *jobs = NULL;
    *samples = 0;
    while (fread(head, sizeof head, 1, file) == 1) {
        *jobs = realloc(*jobs, (count + 1) * sizeof **jobs);
        CHECK(*jobs);
        encode_job *job = &(*jobs)[count++];
        memset(job, 0, sizeof *job);
        job->width = (uint16_t)head[0];
        job->height = (uint16_t)head[1];
        job->orientation = (uint8_t)head[2];
        job->num_bitplanes = MAX_BITPLANES;
        job->source.stride = head[0];
        size_t size = (size_t)head[0] * (size_t)head[1];
        void *data = malloc(size * 4);
        CHECK(data && fread(data, 4, size, file) == size);
        job->source.data = data;
        *samples += size;
    }
    fclose(file);
    return count;
}

static void bench(ebcot_encoder *const *encoders, const char *path) {
    encode_job *jobs;
    size_t samples, count = read_jobs(path, &jobs, &samples);
    arena out;
    memset(&out, 0, sizeof out);
    for (unsigned v = 0; v < NUM_VERSIONS; v++) {
        if (v && (versions[v].cpu & j2k_cpu_flags()) == (versions[v - 1].cpu & j2k_cpu_flags()))
            continue;
        for (unsigned style = 0; style < 64; style = style ? style * 2 : 1) {
            double best = 1e9;
            uint64_t bytes = 0;
            for (unsigned repeat = 0; repeat < 15; repeat++) {
                j2k_arena_reset(&out);
                for (size_t i = 0; i < count; i++)
                    jobs[i].style = (uint8_t)style;
                double start = now();
                CHECK(j2k_ebcot_encode(encoders[v], jobs, count, &out) == J2K_OK);
                double time = now() - start;
                best = time < best ? time : best;
            }
            for (size_t i = 0; i < count; i++)
                bytes += jobs[i].num_passes ? jobs[i].passes[jobs[i].num_passes - 1].length : 0;
            printf("%s %s style %u: %.2f ns a sample, %.4f bits a sample\n", path, versions[v].name, style,
                   best / (double)samples * 1e9, 8.0 * (double)bytes / (double)samples);
        }
    }
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)jobs[i].source.data);
    free(jobs);
    j2k_arena_free(&out);
}

int main(int argc, char **argv) {
    arena memory;
    memset(&memory, 0, sizeof memory);
    ebcot_encoder *encoders[NUM_VERSIONS];
    for (unsigned v = 0; v < NUM_VERSIONS; v++)
        encoders[v] = create(&versions[v], &memory);
    if (argc > 2 && strcmp(argv[1], "--bench") == 0) {
        for (int i = 2; i < argc; i++)
            bench(encoders, argv[i]);
    } else {
        unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 40;
        seed += argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
        check(encoders, rounds);
    }
    j2k_arena_free(&memory);
    return 0;
}
