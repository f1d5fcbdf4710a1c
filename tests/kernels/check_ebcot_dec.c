/* The Part 1 block decoder of every instruction set against the scalar one, on valid and damaged data; and
 * how fast they are: check_ebcot_dec --bench FILE [COPIES [STYLE [FIRST_VERSION]]], where FILE holds
 * code-blocks, each as int32 width, height, orientation (as in the standard's order LL, HL, LH, HH) and the
 * coefficients. SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 199309L
#include <time.h>

#include "../unit/ebcot_cases.h"

static const struct {
    const char *name;
    unsigned mask;
} versions[] = {{"scalar", 0}, {"AVX2", J2K_CPU_AVX2 | J2K_CPU_SSE41}, {"all", J2K_CPU_ALL}};
enum { NUM_VERSIONS = sizeof versions / sizeof *versions };

static void make_jobs(fixture *f, size_t count, unsigned kind) {
    for (size_t k = 0; k < count; k++) {
        ebcot_case *c = &f->cases[k];
        int width = 64, height = 64;
        if (kind % 3 == 1) {
            width = 1 + (int)pick(64);
            height = 1 + (int)pick(64);
        } else if (kind % 3 == 2) {
            int size = (int)pick(9); /* 4 x 1024 to 1024 x 4, clipped now and then */
            width = (4 << size) - (int)pick(2) * (int)pick(4);
            height = (1024 >> size) - (int)pick(2) * (int)pick(4);
        }
        unsigned style = kind % 2 ? pick(64) : 0, planes = 1 + pick(kind % 5 ? 11 : 30);
        case_make(c, width, height, (int)pick(4), style, planes);
        if (kind % 4 == 1)
            case_keep_passes(c, 1 + pick(c->stream.num_passes));
        if (kind % 4 >= 2)
            case_damage(c, pick(NUM_DAMAGES));
    }
}

static void compare(fixture *f, ebcot_decoder *other, size_t count, const char *name) {
    decode_job jobs[NUM_CASES];
    bool sound[NUM_CASES];
    bool irreversible = pick(2);
    static float expected[NUM_CASES][MAX_BLOCK_SIZE];
    for (size_t k = 0; k < count; k++) {
        ebcot_case *c = &f->cases[k];
        case_job(c, irreversible);
        jobs[k] = c->job;
        j2k_ebcot_decode(f->decoder, &c->job, 1);
        sound[k] = c->job.sound;
        memcpy(expected[k], c->job.sink.data, sizeof expected[k]);
        memset(c->job.sink.data, 0x55, sizeof expected[k]);
    }
    j2k_ebcot_decode(other, jobs, count);
    for (size_t k = 0; k < count; k++) {
        const ebcot_case *c = &f->cases[k];
        size_t size = sizeof(float) * (size_t)c->width * (size_t)c->height;
        EXPECT(sound[k] == jobs[k].sound, "%s, style %u", name, c->style);
        EXPECT(!memcmp(expected[k], jobs[k].sink.data, size),
               "%s, job %zu of %zu: %dx%d orientation %d style %u planes %u passes %u", name, k, count,
               c->width, c->height, c->orientation, c->style, c->planes, jobs[k].num_passes);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int bench(const char *path, size_t copies, unsigned style, unsigned first) {
    FILE *file = fopen(path, "rb");
    int32_t head[3];
    size_t count = 0, samples = 0, bytes = 0;
    ebcot_case *cases[1000];
    if (!file)
        return 2;
    while (count < 1000 && fread(head, sizeof head, 1, file) == 1) {
        ebcot_case *c = calloc(1, sizeof *c);
        c->width = head[0];
        c->height = head[1];
        c->orientation = head[2];
        c->style = style;
        size_t size = (size_t)c->width * (size_t)c->height;
        if (size > MAX_BLOCK_SIZE || fread(c->coefficients, 4, size, file) != size)
            return 2;
        int32_t all = 0;
        for (size_t i = 0; i < size; i++)
            all |= abs(c->coefficients[i]);
        while (all >> c->planes)
            c->planes++;
        c->stream.data = c->buffer + 1;
        plain_encode(c->coefficients, c->width, c->height, c->orientation, style, c->planes,
                     c->planes ? 3 * c->planes - 2 : 0, &c->stream);
        case_job(c, false);
        samples += size;
        bytes += c->stream.size;
        cases[count++] = c;
    }
    fclose(file);
    decode_job *jobs = malloc(count * copies * sizeof *jobs);
    for (size_t i = 0; i < count * copies; i++)
        jobs[i] = cases[i % count]->job;
    printf("%s: %zu blocks, %zu samples, %.3f bytes/sample\n", path, count, samples,
           (double)bytes / (double)samples);
    for (unsigned v = first; v < NUM_VERSIONS; v++) {
        fixture *f = fixture_create(versions[v].mask & j2k_cpu_flags());
        double best = 1e9;
        for (unsigned r = 0; r < 40; r++) {
            double start = now();
            j2k_ebcot_decode(f->decoder, jobs, count * copies);
            double time = now() - start;
            best = time < best ? time : best;
        }
        bool same = true;
        for (size_t i = 0; i < count; i++)
            for (int k = 0; k < cases[i]->width * cases[i]->height; k++)
                same &= cases[i]->coefficients[k] == cases[i]->integers[k];
        printf("  %-8s %.2f ns/sample %s\n", versions[v].name, best * 1e9 / (double)(samples * copies),
               same ? "exact" : "WRONG");
        fixture_free(f);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "--bench"))
        return bench(argv[2], argc > 3 ? strtoul(argv[3], NULL, 10) : 1,
                     argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0,
                     argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0);
    fixture *f = fixture_create(0);
    for (unsigned v = 1; v < NUM_VERSIONS; v++) {
        arena memory = {0};
        unsigned cpu = versions[v].mask & j2k_cpu_flags();
        ebcot_decoder *other = j2k_ebcot_decoder_create(j2k_dsp_get(0), cpu, &memory);
        for (unsigned n = 0; n < 30; n++) {
            size_t count = 1 + pick(n % 3 ? NUM_CASES : 4);
            make_jobs(f, count, n);
            compare(f, other, count, versions[v].name);
        }
        j2k_arena_free(&memory);
    }
    fixture_free(f);
    return expect_result();
}
