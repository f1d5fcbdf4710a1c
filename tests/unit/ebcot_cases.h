/* Code-blocks for tests of the Part 1 block decoder: random coefficients, encoded by the plain coder,
 * damaged, cut into packets, and compared. SPDX-License-Identifier: BSD-3-Clause */
#ifndef EBCOT_CASES_H
#define EBCOT_CASES_H

#include <stdio.h>

#include "ebcot.h"
#include "plain_ebcot.h"

static unsigned agree_count, agree_excused;
static int expect_failures, expect_count;

/* Prints the place and a message (printf style) when the condition does not hold. */
#define EXPECT(condition, ...)                                                                               \
    do {                                                                                                     \
        expect_count++;                                                                                      \
        if (!(condition) && expect_failures++ < 20) {                                                        \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                           \
            printf(__VA_ARGS__);                                                                             \
            printf("\n");                                                                                    \
        }                                                                                                    \
    } while (0)

/* The exit status of the test program. */
static int expect_result(void) {
    printf("%d checks, %d failures, %u comparisons, %u excused\n", expect_count, expect_failures, agree_count,
           agree_excused);
    return expect_failures != 0 || expect_count == 0;
}

/* A random number in [0, limit); xorshift64* (G. Marsaglia, S. Vigna). */
static unsigned pick(unsigned limit) {
    static uint64_t state = 0x9E3779B97F4A7C15u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned)(((state * 0x2545F4914F6CDD1Du) >> 32) * limit >> 32);
}

enum { NUM_CASES = 70, CASE_BYTES = 1 << 17, CASE_CHUNKS = 8 };

typedef struct ebcot_case {
    int width, height, orientation;
    unsigned style, planes;
    int32_t coefficients[MAX_BLOCK_SIZE];
    plain_stream stream;
    uint8_t buffer[CASE_BYTES]; /* stream.data points behind its first byte */
    /* the job and its results */
    data_chunk chunks[CASE_CHUNKS];
    uint8_t *chunk_data[CASE_CHUNKS]; /* each in memory of its own size, for sanitizers */
    codeword_segment segments[PLAIN_MAX_PASSES];
    decode_job job;
    int32_t integers[MAX_BLOCK_SIZE];
    float floats[MAX_BLOCK_SIZE];
} ebcot_case;

typedef struct fixture {
    arena memory;
    ebcot_decoder *decoder;
    ebcot_case *cases; /* NUM_CASES */
} fixture;

static fixture *fixture_create(unsigned cpu) {
    fixture *f = calloc(1, sizeof *f);
    f->cases = calloc(NUM_CASES, sizeof *f->cases);
    f->decoder = j2k_ebcot_decoder_create(j2k_dsp_get(cpu), cpu, &f->memory);
    return f;
}

static void case_free(ebcot_case *c) {
    for (unsigned i = 0; i < CASE_CHUNKS; i++) {
        free(c->chunk_data[i]);
        c->chunk_data[i] = NULL;
    }
}

static void fixture_free(fixture *f) {
    for (unsigned i = 0; i < NUM_CASES; i++)
        case_free(&f->cases[i]);
    j2k_arena_free(&f->memory);
    free(f->cases);
    free(f);
}

/* Random coefficients of up to `planes` bits, of one of several kinds, and their codeword segments. */
static void case_make(ebcot_case *c, int width, int height, int orientation, unsigned style,
                      unsigned planes) {
    unsigned kind = pick(5), density = 1 + pick(100);
    c->width = width;
    c->height = height;
    c->orientation = orientation;
    c->style = style;
    c->planes = planes;
    for (int i = 0; i < width * height; i++) {
        uint32_t limit = ((uint32_t)1 << planes) - 1, m = 0;
        if (kind == 0) /* any value */
            m = pick(limit) + pick(2);
        else if (kind == 1) /* as transformed images: mostly small */
            m = pick(limit) >> pick(planes);
        else if (kind == 2) /* rare samples of any size */
            m = pick(100) < density / 4 ? pick(limit) + 1 : 0;
        else if (kind == 3) /* extreme */
            m = pick(100) < density ? limit : 0;
        else /* patches */
            m = (i / width / 9 + i % width / 11) % 3 ? 0 : pick(limit) >> (planes / 2);
        c->coefficients[i] = pick(2) ? -(int32_t)m : (int32_t)m;
    }
    c->stream.data = c->buffer + 1;
    plain_encode(c->coefficients, width, height, orientation, style, planes, 3 * planes - 2, &c->stream);
}

static inline void case_keep_passes(ebcot_case *c, unsigned num_passes) {
    plain_stream *s = &c->stream;
    unsigned passes = 0, n = 0;
    size_t size = 0;
    for (; passes < num_passes; n++) {
        if (s->segment_passes[n] > num_passes - passes)
            s->segment_passes[n] = num_passes - passes;
        passes += s->segment_passes[n];
        size += s->segment_size[n];
    }
    s->num_passes = passes;
    s->num_segments = n;
    s->size = size;
}

enum { DAMAGE_NONE, DAMAGE_TRUNCATE, DAMAGE_FLIP, DAMAGE_RANDOM, DAMAGE_MARKERS, DAMAGE_PASSES, NUM_DAMAGES };

static void case_damage(ebcot_case *c, unsigned damage) {
    plain_stream *s = &c->stream;
    unsigned victim = pick(s->num_segments);
    size_t begin = 0, size = s->segment_size[victim];
    for (unsigned n = 0; n < victim; n++)
        begin += s->segment_size[n];
    if (damage == DAMAGE_TRUNCATE) {
        size_t keep = pick((unsigned)size + 1);
        memmove(s->data + begin + keep, s->data + begin + size, s->size - begin - size);
        s->segment_size[victim] = keep;
        s->size -= size - keep;
    } else if (damage == DAMAGE_FLIP && s->size) {
        s->data[pick((unsigned)s->size)] ^= (uint8_t)(1 << pick(8));
    } else if (damage == DAMAGE_RANDOM) {
        for (size_t i = 0; i < s->size; i++)
            s->data[i] = (uint8_t)pick(256);
    } else if (damage == DAMAGE_MARKERS) {
        for (size_t i = 0; i < s->size; i++)
            if (pick(16) == 0)
                s->data[i] = pick(2) ? 0xFF : (uint8_t)(0x70 + pick(0x30));
    } else if (damage == DAMAGE_PASSES) {
        s->segment_passes[s->num_segments - 1] += 1 + pick(3);
    }
}

/* Make the job: the bytes are cut into chunks anywhere, some of them empty. */
static void case_job(ebcot_case *c, bool irreversible) {
    size_t at = 0;
    unsigned count = 1 + pick(CASE_CHUNKS), num_passes = 0;
    case_free(c);
    for (unsigned i = 0; i < count; i++) {
        size_t left = c->stream.size - at;
        size_t part = i == count - 1 ? left : pick((unsigned)left + 1) / (1 + i % 3);
        c->chunk_data[i] = malloc(part ? part : 1);
        memcpy(c->chunk_data[i], c->stream.data + at, part);
        c->chunks[i] =
            (data_chunk){i == count - 1 ? NULL : &c->chunks[i + 1], c->chunk_data[i], (uint32_t)part, 0};
        at += part;
    }
    for (unsigned i = 0; i < c->stream.num_segments; i++) {
        c->segments[i] = (codeword_segment){i + 1 == c->stream.num_segments ? NULL : &c->segments[i + 1],
                                            (uint16_t)c->stream.segment_passes[i], 164,
                                            (uint32_t)c->stream.segment_size[i]};
        num_passes += c->stream.segment_passes[i];
    }
    memset(c->integers, 0x55, sizeof c->integers);
    memset(c->floats, 0x55, sizeof c->floats);
    c->job = (decode_job){
        .sink = {.data = irreversible ? (void *)c->floats : (void *)c->integers,
                 .stride = c->width,
                 .irreversible = irreversible,
                 .step = 1,
                 .width = (uint16_t)c->width,
                 .height = (uint16_t)c->height},
        .width = (uint16_t)c->width,
        .height = (uint16_t)c->height,
        .orientation = (uint8_t)c->orientation,
        .style = (uint8_t)c->style,
        .num_bitplanes = (uint8_t)c->planes,
        .num_passes = (uint16_t)num_passes,
        .data_size = (uint32_t)c->stream.size,
        .chunks = c->chunks,
        .segments = c->segments,
    };
}

/* Twice the decoded value of sample i. (The reversible path stores (2 m + 2^p) / 2: exact but for p = 0,
 * where there is no midpoint on that path.) */
static inline int64_t case_result(const ebcot_case *c, int i, bool irreversible) {
    return irreversible ? (int64_t)(c->floats[i] * 2) : 2 * (int64_t)c->integers[i];
}

/* Compare with the plain decoder. Data that carry the code value out of its interval, as no codeword does,
 * are excused: see mq_dec.h. */
static inline bool case_agrees(const ebcot_case *c, bool irreversible) {
    int64_t *expected = malloc(MAX_BLOCK_SIZE * sizeof *expected);
    bool escaped, sound = plain_decode(&c->stream, c->width, c->height, c->orientation, c->style, c->planes,
                                       !irreversible, expected, &escaped);
    bool same = sound == c->job.sound;
    for (int i = 0; i < c->width * c->height; i++)
        same &= case_result(c, i, irreversible) == expected[i];
    agree_count++;
    if (escaped && !same) {
        agree_excused++;
        same = true;
    }
    if (!same)
        printf("differs: %dx%d orientation %d style %u planes %u passes %u sound %d/%d\n", c->width,
               c->height, c->orientation, c->style, c->planes, c->job.num_passes, sound, c->job.sound);
    free(expected);
    return same;
}

#endif
