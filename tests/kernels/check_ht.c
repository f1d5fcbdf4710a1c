/* The HT block coders of every instruction set against the scalar ones, and how fast they are: check_ht
 * --bench FILE [COPIES], where FILE holds code-blocks, each as int32 width, height, orientation and the
 * coefficients. SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <time.h>

#include "../unit/ht_cases.h"
#include "ht_enc.h"

static const struct {
    const char *name;
    unsigned mask;
} versions[] = {{"AVX2", J2K_CPU_AVX2 | J2K_CPU_SSE41}, {"all", J2K_CPU_ALL}};
enum { NUM_VERSIONS = sizeof versions / sizeof *versions, NUM_CASES = 40 };

typedef struct coders {
    arena memory;
    ht_encoder *encoder;
    ht_decoder *decoder;
} coders;

static coders make_coders(unsigned cpu) {
    coders c = {0};
    cpu &= j2k_cpu_flags();
    c.encoder = j2k_ht_encoder_create(j2k_dsp_get(cpu), cpu, &c.memory);
    c.decoder = j2k_ht_decoder_create(j2k_dsp_get(cpu), cpu, &c.memory);
    CHECK(c.encoder && c.decoder);
    return c;
}

static void pick_shape(unsigned kind, unsigned *width, unsigned *height) {
    unsigned size = 2 + ht_pick(9), other = 2 + ht_pick(11 - size > 8 ? 9 : 11 - size);
    *width = kind % 2 ? 64 : 1u << size;
    *height = kind % 2 ? 64 : 1u << other;
    if (kind % 3 == 0) {
        *width -= ht_pick(*width);
        *height -= ht_pick(*height);
    }
}

static void compare_encoders(ht_encoder *scalar, ht_encoder *other, const char *name, unsigned rounds) {
    static ht_case a, b;
    arena out = {0};
    for (unsigned round = 0; round < rounds; round++) {
        unsigned width, height;
        pick_shape(round, &width, &height);
        ht_case_fill(&a, width, height, 1 + ht_pick(round % 4 ? 15 : 26), round / 2);
        b = a;
        j2k_arena_reset(&out);
        unsigned sets = round % 3 ? 30 : 1, style = round % 7 ? 0 : J2K_STYLE_CAUSAL;
        ht_case_encode(&a, scalar, sets, style, &out);
        ht_case_encode(&b, other, sets, style, &out);
        CHECK(a.encoded.energy == b.encoded.energy);
        for (unsigned pass = 0; pass < a.encoded.num_passes; pass++) {
            const coding_pass *x = &a.encoded.passes[pass], *y = &b.encoded.passes[pass];
            if (x->length != y->length || x->reduction != y->reduction)
                printf("%s: %u x %u, pass %u: %u bytes for %u\n", name, width, height, pass,
                       (unsigned)y->length, (unsigned)x->length);
            CHECK(x->length == y->length && x->reduction == y->reduction);
        }
        if (a.planes)
            CHECK(!memcmp(a.encoded.data, b.encoded.data, a.encoded.passes[a.encoded.num_passes - 1].length));
    }
    j2k_arena_free(&out);
}

/* Floats, some of them too large or not numbers, with bit-planes that do not suffice now and then. */
static void compare_floats(ht_encoder *scalar, ht_encoder *other, unsigned rounds) {
    static float coefficients[MAX_BLOCK_SIZE];
    arena out = {0};
    for (unsigned round = 0; round < rounds; round++) {
        unsigned width, height;
        pick_shape(round, &width, &height);
        for (unsigned i = 0; i < width * height; i++) {
            float magnitude = ldexpf((float)ht_pick(1 << 20), (int)ht_pick(round % 2 ? 16 : 24) - 26);
            coefficients[i] = ht_pick(2) ? -magnitude : magnitude;
        }
        if (round % 8 == 1)
            coefficients[ht_pick(width * height)] = round % 16 == 1 ? NAN : 3e38f;
        encode_job a = {.source = {.data = coefficients,
                                   .stride = (ptrdiff_t)width,
                                   .irreversible = true,
                                   .inverse_step = 0.75f + (float)ht_pick(3)},
                        .width = (uint16_t)width,
                        .height = (uint16_t)height,
                        .style = J2K_STYLE_HT,
                        .num_bitplanes = (uint8_t)(round % 5 ? 30 : 1 + ht_pick(14))};
        encode_job b = a;
        j2k_arena_reset(&out);
        j2k_status status = j2k_ht_encode(scalar, &a, 1, &out);
        CHECK(j2k_ht_encode(other, &b, 1, &out) == status);
        if (status != J2K_OK)
            continue;
        CHECK(a.num_passes == b.num_passes && a.zero_bitplanes == b.zero_bitplanes);
        uint32_t size = a.num_passes ? a.passes[a.num_passes - 1].length : 0;
        CHECK(!size || b.passes[b.num_passes - 1].length == size);
        CHECK(!size || !memcmp(a.data, b.data, size));
    }
    j2k_arena_free(&out);
}

/* Blocks in groups, some of them damaged, in a random order of shapes. */
static void compare_decoders(const coders *scalar, ht_decoder *other, unsigned rounds) {
    static ht_case cases[NUM_CASES];
    static int32_t expected[NUM_CASES][MAX_BLOCK_SIZE];
    arena out = {0};
    for (unsigned round = 0; round < rounds; round++) {
        decode_job jobs[NUM_CASES];
        bool sound[NUM_CASES];
        unsigned count = 1 + ht_pick(NUM_CASES), irreversible = ht_pick(2);
        j2k_arena_reset(&out);
        for (unsigned i = 0; i < count; i++) {
            ht_case *c = &cases[i];
            unsigned width, height;
            pick_shape(round + ht_pick(2), &width, &height);
            do
                ht_case_fill(c, width, height, 1 + ht_pick(round % 4 ? 15 : 30), round + ht_pick(2));
            while (!c->planes);
            ht_case_encode(c, scalar->encoder, round % 3 ? 1 : 30, 0, &out);
            unsigned plane = round % 3 ? 0 : ht_pick(c->planes);
            ht_case_job(c, plane, plane ? ht_pick(3) : 0, ht_pick(2));
            c->job.sink.irreversible = irreversible;
            c->job.sink.step = 0.75f;
            if (round % 5 == 1)
                for (unsigned n = ht_pick(4), k; n && c->chunks[0].size; n--) {
                    k = ht_pick(2) ? ht_pick(c->chunks[0].size)
                                   : c->chunks[0].size - 1 - ht_pick(2) % c->chunks[0].size;
                    c->bytes[0][k] = (uint8_t)test_random(&ht_seed);
                }
            jobs[i] = c->job;
            memset(c->decoded, 0x55, sizeof c->decoded);
            CHECK(j2k_ht_decode(scalar->decoder, &c->job, 1) == J2K_OK);
            sound[i] = c->job.sound;
            memcpy(expected[i], c->decoded, sizeof expected[i]);
            memset(c->decoded, 0x55, sizeof c->decoded);
        }
        CHECK(j2k_ht_decode(other, jobs, count) == J2K_OK);
        for (unsigned i = 0; i < count; i++) {
            CHECK(jobs[i].sound == sound[i]);
            CHECK(!memcmp(cases[i].decoded, expected[i], sizeof expected[i]));
        }
    }
    for (unsigned i = 0; i < NUM_CASES; i++)
        ht_case_free(&cases[i]);
    j2k_arena_free(&out);
}

/* ---- speed ---- */

enum { MAX_BENCH = 4096 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t read_blocks(const char *name, encode_job *jobs) {
    FILE *file = fopen(name, "rb");
    CHECK(file);
    int32_t header[3];
    size_t count = 0;
    while (count < MAX_BENCH && fread(header, 4, 3, file) == 3) {
        size_t samples = (size_t)header[0] * (size_t)header[1];
        int32_t *data = malloc(4 * samples);
        CHECK(data && fread(data, 4, samples, file) == samples);
        jobs[count++] = (encode_job){.source = {.data = data, .stride = header[0]},
                                     .width = (uint16_t)header[0],
                                     .height = (uint16_t)header[1],
                                     .style = J2K_STYLE_HT,
                                     .num_bitplanes = 30};
    }
    fclose(file);
    return count;
}

static void bench(const char *name, unsigned repeats) {
    static encode_job jobs[MAX_BENCH];
    static decode_job decodes[MAX_BENCH];
    static codeword_segment segments[MAX_BENCH];
    static data_chunk chunks[MAX_BENCH];
    size_t count = read_blocks(name, jobs), samples = 0, bytes = 0;
    for (size_t i = 0; i < count; i++)
        samples += (size_t)jobs[i].width * jobs[i].height;
    unsigned masks[] = {0, versions[0].mask, versions[1].mask};
    for (unsigned v = 0; v < 3; v++) {
        coders c = make_coders(masks[v]);
        arena out = {0};
        double encode = 1e9, decode = 1e9;
        for (unsigned r = 0; r < repeats; r++) {
            j2k_arena_reset(&out);
            double start = seconds();
            CHECK(j2k_ht_encode(c.encoder, jobs, count, &out) == J2K_OK);
            double t = seconds() - start;
            encode = t < encode ? t : encode;
        }
        bytes = 0;
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            const encode_job *e = &jobs[i];
            if (!e->num_passes)
                continue;
            uint32_t size = e->passes[e->num_passes - 1].length;
            bytes += size;
            segments[n] = (codeword_segment){NULL, 1, true, size};
            chunks[n] = (data_chunk){NULL, e->data, size, 0};
            decodes[n] = (decode_job){.sink = {.data = malloc(4 * (size_t)e->width * e->height),
                                               .stride = e->width,
                                               .width = e->width,
                                               .height = e->height},
                                      .width = e->width,
                                      .height = e->height,
                                      .style = J2K_STYLE_HT,
                                      .num_bitplanes = 1,
                                      .num_passes = 1,
                                      .data_size = size,
                                      .segments = &segments[n],
                                      .chunks = &chunks[n]};
            n++;
        }
        for (unsigned r = 0; r < repeats; r++) {
            double start = seconds();
            CHECK(j2k_ht_decode(c.decoder, decodes, n) == J2K_OK);
            double t = seconds() - start;
            decode = t < decode ? t : decode;
        }
        for (size_t i = 0; i < n; i++)
            free(decodes[i].sink.data);
        printf("%-6s %zu blocks, %.2f bits a sample: encode %.2f, decode %.2f ns a sample\n",
               v ? versions[v - 1].name : "scalar", count, 8.0 * (double)bytes / (double)samples,
               1e9 * encode / (double)samples, 1e9 * decode / (double)samples);
        j2k_arena_free(&out);
        j2k_arena_free(&c.memory);
    }
}

int main(int argc, char **argv) {
    if (argc > 2) {
        bench(argv[2], argc > 3 ? (unsigned)atoi(argv[3]) : 20);
        return 0;
    }
    coders scalar = make_coders(0);
    for (unsigned v = 0; v < NUM_VERSIONS; v++) {
        coders other = make_coders(versions[v].mask);
        compare_encoders(scalar.encoder, other.encoder, versions[v].name, 600);
        compare_floats(scalar.encoder, other.encoder, 600);
        compare_decoders(&scalar, other.decoder, 40);
        j2k_arena_free(&other.memory);
    }
    j2k_arena_free(&scalar.memory);
    return CHECK_RESULT();
}
