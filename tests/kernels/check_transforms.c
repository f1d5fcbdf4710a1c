/* Every version of the kernels for samples, colour, wavelet and quantisation against the scalar reference, on
 * random and extreme input. With --bench: their speed, and that of the stages together.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "../unit/transform_check.h"
#include "colour.h"
#include "dsp.h"
#include "dwt.h"
#include "image.h"
#include "j2k.h"
#include "quant.h"

/* ---- buffers ---- */

enum { MAX_LENGTH = 300, MARGIN = DWT_SLACK + 48, BUFFER = MAX_LENGTH * 3 + 2 * MARGIN, NUM_BUFFERS = 8 };

/* Two equal sets of buffers: one for the reference, one for the version under test. Kernels may read beyond
 * what they are given as far as their contract says, but write only what the reference writes: the whole sets
 * are compared. Some kernels may overwrite scratch; those buffers are made equal before. */
typedef struct buffers {
    int32_t data[NUM_BUFFERS][BUFFER];
} buffers;

static buffers expected, got;

static float random_float(unsigned kind) {
    if (kind == 1)
        return random_u32() & 1 ? 32767.5f : -32768.0f;
    if (kind == 2)
        return (float)(int32_t)random_u32();
    return (float)((int32_t)random_u32() >> 16) / 16.0f;
}

static int32_t random_int(unsigned kind) {
    if (kind == 1)
        return random_u32() & 1 ? 32767 : -32768;
    if (kind == 2)
        return (int32_t)random_u32();
    return (int32_t)random_u32() >> 22;
}

static void fill(bool floats) {
    const unsigned kind = random_below(4);
    for (int b = 0; b < NUM_BUFFERS; b++)
        for (int i = 0; i < BUFFER; i++) {
            float f = random_float(kind);
            if (floats)
                memcpy(&expected.data[b][i], &f, 4);
            else
                expected.data[b][i] = random_int(kind);
        }
    got = expected;
}

/* Buffer b has slack behind element n: what is there does not count. */
static void forget_slack(int b, int offset, size_t n) {
    const size_t at = MARGIN + (size_t)offset + n;
    memcpy(got.data[b] + at, expected.data[b] + at, 4 * DWT_SLACK);
}

static bool same(void) {
    return memcmp(&expected, &got, sizeof got) == 0;
}

#define INT(set, b)   ((set).data[b] + MARGIN + offset)
#define FLOAT(set, b) ((float *)(void *)((set).data[b] + MARGIN + offset))

static const char *version; /* under test */

#define CHECK_SAME(kernel) CHECK(same(), "%s of %s differs, n %zu, offset %d", #kernel, version, n, offset)

/* ---- kernels ---- */

static void forget_slacks(int count, int offset, size_t n) {
    for (int b = 0; b < count; b++)
        forget_slack(b, offset, n);
}

#define CHECK_STEP(kernel)                                                                                   \
    do {                                                                                                     \
        fill(false);                                                                                         \
        c->kernel(INT(expected, 0), INT(expected, 1), INT(expected, 2), n);                                  \
        v->kernel(INT(got, 0), INT(got, 1), INT(got, 2), n);                                                 \
        forget_slacks(2, offset, n);                                                                         \
        CHECK_SAME(kernel);                                                                                  \
        c->kernel(INT(expected, 0), INT(expected, 1), INT(expected, 1), n);                                  \
        v->kernel(INT(got, 0), INT(got, 1), INT(got, 1), n);                                                 \
        forget_slacks(2, offset, n);                                                                         \
        CHECK_SAME(kernel);                                                                                  \
    } while (0)

#define CHECK_PAIR(kernel)                                                                                   \
    do {                                                                                                     \
        fill(false);                                                                                         \
        c->kernel(INT(expected, 0), INT(expected, 1), INT(expected, 2), INT(expected, 3), n);                \
        v->kernel(INT(got, 0), INT(got, 1), INT(got, 2), INT(got, 3), n);                                    \
        forget_slacks(2, offset, n);                                                                         \
        CHECK_SAME(kernel);                                                                                  \
    } while (0)

static void check_vertical(const dwt_kernels *c, const dwt_kernels *v, size_t n, int offset) {
    static const float factors[4] = {-1.5861f, -0.05298f, 0.8829f, 0.4435f};
    CHECK_STEP(predict53);
    CHECK_STEP(update53);
    CHECK_STEP(undo_predict53);
    CHECK_STEP(undo_update53);
    CHECK_PAIR(forward53);
    CHECK_PAIR(inverse53);
    fill(true);
    c->lift97(FLOAT(expected, 0), FLOAT(expected, 1), FLOAT(expected, 1), 0.25f, n);
    v->lift97(FLOAT(got, 0), FLOAT(got, 1), FLOAT(got, 1), 0.25f, n);
    forget_slacks(1, offset, n);
    CHECK_SAME(lift97);
    fill(true);
    c->chain97(FLOAT(expected, 0), FLOAT(expected, 1), FLOAT(expected, 2), FLOAT(expected, 3),
               FLOAT(expected, 4), FLOAT(expected, 5), factors, n);
    v->chain97(FLOAT(got, 0), FLOAT(got, 1), FLOAT(got, 2), FLOAT(got, 3), FLOAT(got, 4), FLOAT(got, 5),
               factors, n);
    forget_slacks(5, offset, n);
    CHECK_SAME(chain97);
}

/* Scratch rows are buffers 6 and 7. */
static void forget_scratch(void) {
    memcpy(got.data[6], expected.data[6], sizeof got.data[6]);
    memcpy(got.data[7], expected.data[7], sizeof got.data[7]);
}

static void check_horizontal(const dwt_kernels *c, const dwt_kernels *v, size_t n, int offset) {
    const unsigned parity = random_u32() & 1;
    const size_t num_low = (parity + n + 1) / 2 - parity, num_high = (parity + n) / 2;
    fill(false);
    c->forward53_row(INT(expected, 0), parity, num_low, num_high, INT(expected, 1), INT(expected, 2));
    v->forward53_row(INT(got, 0), parity, num_low, num_high, INT(got, 1), INT(got, 2));
    CHECK_SAME(forward53_row);
    fill(true);
    c->forward97_row(FLOAT(expected, 0), parity, num_low, num_high, FLOAT(expected, 1), FLOAT(expected, 2),
                     0.75f, 1.25f, FLOAT(expected, 6), FLOAT(expected, 7));
    v->forward97_row(FLOAT(got, 0), parity, num_low, num_high, FLOAT(got, 1), FLOAT(got, 2), 0.75f, 1.25f,
                     FLOAT(got, 6), FLOAT(got, 7));
    forget_scratch();
    CHECK_SAME(forward97_row);

    const size_t pairs = n / 2;
    fill(false);
    c->inverse53_row(INT(expected, 6), INT(expected, 7), pairs, INT(expected, 0));
    v->inverse53_row(INT(got, 6), INT(got, 7), pairs, INT(got, 0));
    forget_scratch();
    forget_slack(0, offset, 2 * pairs);
    CHECK_SAME(inverse53_row);
    fill(true);
    c->inverse97_row(FLOAT(expected, 6), FLOAT(expected, 7), pairs, FLOAT(expected, 0));
    v->inverse97_row(FLOAT(got, 6), FLOAT(got, 7), pairs, FLOAT(got, 0));
    forget_scratch();
    forget_slack(0, offset, 2 * pairs);
    CHECK_SAME(inverse97_row);
    fill(true);
    c->scale(FLOAT(expected, 0), 0.7f, n, FLOAT(expected, 1));
    v->scale(FLOAT(got, 0), 0.7f, n, FLOAT(got, 1));
    CHECK_SAME(scale);
}

static void check_colour(const colour_kernels *c, const colour_kernels *v, size_t n, int offset) {
    fill(false);
    c->rct_forward(INT(expected, 0), INT(expected, 1), INT(expected, 2), n);
    v->rct_forward(INT(got, 0), INT(got, 1), INT(got, 2), n);
    CHECK_SAME(rct_forward);
    fill(false);
    c->rct_inverse(INT(expected, 0), INT(expected, 1), INT(expected, 2), n);
    v->rct_inverse(INT(got, 0), INT(got, 1), INT(got, 2), n);
    CHECK_SAME(rct_inverse);
    fill(true);
    c->ict_forward(FLOAT(expected, 0), FLOAT(expected, 1), FLOAT(expected, 2), n);
    v->ict_forward(FLOAT(got, 0), FLOAT(got, 1), FLOAT(got, 2), n);
    CHECK_SAME(ict_forward);
    fill(true);
    c->ict_inverse(FLOAT(expected, 0), FLOAT(expected, 1), FLOAT(expected, 2), n);
    v->ict_inverse(FLOAT(got, 0), FLOAT(got, 1), FLOAT(got, 2), n);
    CHECK_SAME(ict_inverse);
}

static void check_quant(const quant_kernels *c, const quant_kernels *v, size_t n, int offset) {
    fill(false);
    INT(expected, 0)[0] = INT(got, 0)[0] = INT32_MIN;
    uint32_t all = c->quantise_int(INT(expected, 0), n, (uint32_t *)INT(expected, 1));
    CHECK(all == v->quantise_int(INT(got, 0), n, (uint32_t *)INT(got, 1)), "OR of quantise_int");
    CHECK_SAME(quantise_int);
    for (unsigned plane = 0; plane < 3; plane++) {
        c->cut_int(INT(expected, 0), plane, n, INT(expected, 1));
        v->cut_int(INT(got, 0), plane, n, INT(got, 1));
        CHECK_SAME(cut_int);
        cut_sums a, b;
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        c->cut_error_int(INT(expected, 0), 1.0f / (float)(1 << plane), plane ? 0.5f : 0.0f, n, &a);
        v->cut_error_int(INT(got, 0), 1.0f / (float)(1 << plane), plane ? 0.5f : 0.0f, n, &b);
        CHECK(memcmp(&a, &b, sizeof a) == 0, "cut_error_int");
    }
    c->dequantise_int(INT(expected, 0), n, INT(expected, 1));
    v->dequantise_int(INT(got, 0), n, INT(got, 1));
    CHECK_SAME(dequantise_int);
    c->dequantise_float(INT(expected, 0), 0.037f, n, FLOAT(expected, 1));
    v->dequantise_float(INT(got, 0), 0.037f, n, FLOAT(got, 1));
    CHECK_SAME(dequantise_float);
    fill(true);
    all = c->quantise_float(FLOAT(expected, 0), 1.7f, n, (uint32_t *)INT(expected, 1));
    CHECK(all == v->quantise_float(FLOAT(got, 0), 1.7f, n, (uint32_t *)INT(got, 1)), "OR of quantise_float");
    CHECK_SAME(quantise_float);
    c->requantise_float(FLOAT(expected, 0), 1.7f, 0.3f, n, FLOAT(expected, 1));
    v->requantise_float(FLOAT(got, 0), 1.7f, 0.3f, n, FLOAT(got, 1));
    CHECK_SAME(requantise_float);
    cut_sums a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    c->cut_error_float(FLOAT(expected, 0), 1.7f, 0.5f, n, &a);
    v->cut_error_float(FLOAT(got, 0), 1.7f, 0.5f, n, &b);
    CHECK(memcmp(&a, &b, sizeof a) == 0, "cut_error_float");
}

#define CHECK_LOAD(kernel, type)                                                                             \
    do {                                                                                                     \
        c->kernel((const type *)(const void *)INT(expected, 0), n, 128, INT(expected, 1));                   \
        v->kernel((const type *)(const void *)INT(got, 0), n, 128, INT(got, 1));                             \
        CHECK_SAME(kernel);                                                                                  \
    } while (0)

#define CHECK_STORE(kernel, type, max)                                                                       \
    do {                                                                                                     \
        const int32_t top = 1 + (int32_t)random_below(max);                                                  \
        c->kernel(INT(expected, 0), n, top / 2 + 1, top, (type *)(void *)INT(expected, 1));                  \
        v->kernel(INT(got, 0), n, top / 2 + 1, top, (type *)(void *)INT(got, 1));                            \
        CHECK_SAME(kernel);                                                                                  \
    } while (0)

static void check_image(const image_kernels *c, const image_kernels *v, size_t n, int offset) {
    fill(false);
    CHECK_LOAD(load_u8, uint8_t);
    CHECK_LOAD(load_u8x3, uint8_t);
    CHECK_LOAD(load_u16, uint16_t);
    CHECK_LOAD(load_u16x3, uint16_t);
    CHECK_STORE(store_u8, uint8_t, 255);
    CHECK_STORE(store_u8x3, uint8_t, 255);
    CHECK_STORE(store_u16, uint16_t, 65535);
    CHECK_STORE(store_u16x3, uint16_t, 65535);
    const int32_t top = 1 + (int32_t)random_below(255);
    c->load_rgb8_rct((uint8_t *)INT(expected, 0), n, 128, INT(expected, 1), INT(expected, 2),
                     INT(expected, 3));
    v->load_rgb8_rct((uint8_t *)INT(got, 0), n, 128, INT(got, 1), INT(got, 2), INT(got, 3));
    CHECK_SAME(load_rgb8_rct);
    c->store_rgb8_rct(INT(expected, 1), INT(expected, 2), INT(expected, 3), n, top / 2 + 1, top,
                      (uint8_t *)INT(expected, 4));
    v->store_rgb8_rct(INT(got, 1), INT(got, 2), INT(got, 3), n, top / 2 + 1, top, (uint8_t *)INT(got, 4));
    CHECK_SAME(store_rgb8_rct);
    c->load_rgb8_ict((uint8_t *)INT(expected, 0), n, 128, FLOAT(expected, 1), FLOAT(expected, 2),
                     FLOAT(expected, 3));
    v->load_rgb8_ict((uint8_t *)INT(got, 0), n, 128, FLOAT(got, 1), FLOAT(got, 2), FLOAT(got, 3));
    CHECK_SAME(load_rgb8_ict);
    c->int_to_float(INT(expected, 0), n, FLOAT(expected, 1));
    v->int_to_float(INT(got, 0), n, FLOAT(got, 1));
    CHECK_SAME(int_to_float);
    fill(true);
    c->float_to_int(FLOAT(expected, 0), n, INT(expected, 1));
    v->float_to_int(FLOAT(got, 0), n, INT(got, 1));
    CHECK_SAME(float_to_int);
    c->store_rgb8_ict(FLOAT(expected, 1), FLOAT(expected, 2), FLOAT(expected, 3), n, top / 2 + 1, top,
                      (uint8_t *)INT(expected, 4));
    v->store_rgb8_ict(FLOAT(got, 1), FLOAT(got, 2), FLOAT(got, 3), n, top / 2 + 1, top,
                      (uint8_t *)INT(got, 4));
    CHECK_SAME(store_rgb8_ict);
}

/* ---- speed ---- */

static double seconds(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best time of several runs of `statement`, which takes care of `samples` samples; prints ns a sample. */
#define BENCH(name, samples, statement)                                                                      \
    do {                                                                                                     \
        double best = 1e9;                                                                                   \
        for (int run = 0; run < 30; run++) {                                                                 \
            double start = seconds();                                                                        \
            for (int repeat = 0; repeat < 20; repeat++) {                                                    \
                statement;                                                                                   \
            }                                                                                                \
            double time = (seconds() - start) / 20;                                                          \
            best = time < best ? time : best;                                                                \
        }                                                                                                    \
        printf("%-8s %-18s %7.3f ns a sample\n", version, name, best * 1e9 / (double)(samples));             \
    } while (0)

enum { BENCH_WIDTH = 2048 };
static int32_t bench_rows[8][BENCH_WIDTH + 512];

static void bench_kernels(const dsp_kernels *k) {
    static const float factors[4] = {-1.5861f, -0.05298f, 0.8829f, 0.4435f};
    const size_t n = BENCH_WIDTH;
    int32_t *r[8];
    float *f[8];
    for (int i = 0; i < 8; i++) {
        r[i] = bench_rows[i] + 64 + 16 * i;
        f[i] = (float *)(void *)r[i];
    }
    memset(bench_rows, 0, sizeof bench_rows); /* zero as int and float: no slow numbers on repetition */
    BENCH("load_u8", n, k->image->load_u8((const uint8_t *)r[0], n, 128, r[1]));
    BENCH("load_u8x3", n, k->image->load_u8x3((const uint8_t *)r[0], n, 128, r[1]));
    BENCH("load_u16", n, k->image->load_u16((const uint16_t *)(void *)r[0], n, 128, r[1]));
    BENCH("store_u8", n, k->image->store_u8(r[0], n, 128, 255, (uint8_t *)r[1]));
    BENCH("store_u8x3", n, k->image->store_u8x3(r[0], n, 128, 255, (uint8_t *)r[1]));
    BENCH("store_u16", n, k->image->store_u16(r[0], n, 128, 255, (uint16_t *)(void *)r[1]));
    BENCH("load_rgb8_rct", 3 * n, k->image->load_rgb8_rct((uint8_t *)r[0], n, 128, r[1], r[2], r[3]));
    BENCH("load_rgb8_ict", 3 * n, k->image->load_rgb8_ict((uint8_t *)r[0], n, 128, f[1], f[2], f[3]));
    BENCH("store_rgb8_rct", 3 * n, k->image->store_rgb8_rct(r[1], r[2], r[3], n, 128, 255, (uint8_t *)r[0]));
    BENCH("store_rgb8_ict", 3 * n, k->image->store_rgb8_ict(f[1], f[2], f[3], n, 128, 255, (uint8_t *)r[0]));
    BENCH("int_to_float", n, k->image->int_to_float(r[0], n, f[1]));
    BENCH("float_to_int", n, k->image->float_to_int(f[0], n, r[1]));
    BENCH("rct_forward", 3 * n, k->colour->rct_forward(r[0], r[1], r[2], n));
    BENCH("rct_inverse", 3 * n, k->colour->rct_inverse(r[0], r[1], r[2], n));
    BENCH("ict_forward", 3 * n, k->colour->ict_forward(f[0], f[1], f[2], n));
    BENCH("ict_inverse", 3 * n, k->colour->ict_inverse(f[0], f[1], f[2], n));
    BENCH("forward53", 2 * n, k->dwt->forward53(r[0], r[1], r[2], r[3], n));
    BENCH("inverse53", 2 * n, k->dwt->inverse53(r[0], r[1], r[2], r[3], n));
    BENCH("chain97", 2 * n, k->dwt->chain97(f[0], f[1], f[2], f[3], f[4], f[5], factors, n));
    BENCH("forward53_row", n, k->dwt->forward53_row(r[0], 0, n / 2, n / 2, r[1], r[2]));
    BENCH("inverse53_row", n, k->dwt->inverse53_row(r[0], r[1], n / 2, r[2]));
    BENCH("forward97_row", n, k->dwt->forward97_row(f[0], 0, n / 2, n / 2, f[1], f[2], 1, 1, f[3], f[4]));
    BENCH("inverse97_row", n, k->dwt->inverse97_row(f[0], f[1], n / 2, f[2]));
    BENCH("scale", n, k->dwt->scale(f[0], 1.5f, n, f[1]));
    BENCH("quantise_int", n, k->quant->quantise_int(r[0], n, (uint32_t *)r[1]));
    BENCH("quantise_float", n, k->quant->quantise_float(f[0], 1.5f, n, (uint32_t *)r[1]));
    BENCH("dequantise_int", n, k->quant->dequantise_int(r[0], n, r[1]));
    BENCH("dequantise_float", n, k->quant->dequantise_float(r[0], 1.5f, n, f[1]));
}

/* ---- the stages together: image -> subbands -> image ---- */

enum { LEVELS = 5 };

typedef struct bench_image {
    unsigned components;
    rect areas[LEVELS + 1]; /* per resolution, lowest first */
    plane bands[3][LEVELS][3], samples[3][LEVELS + 1];
    j2k_component views[3];
    void *scratch[3];
} bench_image;

static plane bench_plane(rect area) {
    plane p = {.area = area, .stride = (ptrdiff_t)((rect_width(area) + 15) / 16 * 16)};
    p.stride += p.stride % 1024 ? 0 : 16;
    p.data = check_alloc(((size_t)p.stride * rect_height(area) + 32) * 4 + 64);
    memset(p.data, 0, ((size_t)p.stride * rect_height(area) + 32) * 4 + 64);
    p.data = (char *)p.data + (64 - (uintptr_t)p.data % 64) % 64; /* never freed */
    return p;
}

static void bench_image_make(bench_image *b, uint32_t width, uint32_t height, unsigned components,
                             j2k_sample_type type) {
    memset(b, 0, sizeof *b);
    b->components = components;
    const unsigned bytes = type == J2K_UINT8 ? 1 : 2;
    unsigned char *memory = check_alloc((size_t)width * height * components * bytes + 64);
    for (size_t i = 0; i < (size_t)width * height * components * bytes; i++)
        memory[i] = (unsigned char)(i * 7 + random_below(64));
    for (unsigned r = 0; r <= LEVELS; r++) {
        rect full = {0, 0, width, height};
        b->areas[r] = rect_ceil_shift(full, LEVELS - r);
    }
    for (unsigned c = 0; c < components; c++) {
        b->views[c] = (j2k_component){.data = memory + c * bytes,
                                      .row_stride = (ptrdiff_t)((size_t)width * components * bytes),
                                      .sample_step = components * bytes,
                                      .type = type,
                                      .depth = (uint8_t)(8 * bytes),
                                      .width = width,
                                      .height = height};
        for (unsigned r = 0; r < LEVELS; r++) {
            for (unsigned o = 1; o <= 3; o++)
                b->bands[c][r][o - 1] = bench_plane(subband_rect(b->areas[r + 1], 1, o & 1, o >> 1));
            b->samples[c][r] = bench_plane(b->areas[r]);
        }
        b->scratch[c] = check_alloc(j2k_dwt_scratch_size(width, false) + 64);
        b->scratch[c] = (char *)b->scratch[c] + (64 - (uintptr_t)b->scratch[c] % 64);
    }
}

static void begin_level(bench_image *b, const dsp_kernels *k, bool reversible, unsigned c, unsigned r,
                        dwt_forward *f) {
    f->ll = b->samples[c][r - 1];
    f->hl = b->bands[c][r - 1][0], f->lh = b->bands[c][r - 1][1], f->hh = b->bands[c][r - 1][2];
    j2k_dwt_forward_begin(f, k, reversible, false, b->areas[r], b->areas[r].y0, b->areas[r].y1,
                          b->scratch[c]);
}

static void bench_forward(bench_image *b, const dsp_kernels *k, bool reversible) {
    dwt_forward f[3];
    const uint32_t width = rect_width(b->areas[LEVELS]), height = rect_height(b->areas[LEVELS]);
    for (unsigned c = 0; c < b->components; c++)
        begin_level(b, k, reversible, c, LEVELS, &f[c]);
    for (uint32_t y = 0; y < height; y++) {
        void *r[3] = {NULL, NULL, NULL};
        for (unsigned c = 0; c < b->components; c++)
            r[c] = j2k_dwt_forward_row(&f[c]);
        if (b->components == 3 && reversible)
            j2k_load_colour_int(k, b->views, 0, y, width, r[0], r[1], r[2]);
        else if (b->components == 3)
            j2k_load_colour_float(k, b->views, 0, y, width, r[0], r[1], r[2]);
        else if (reversible)
            j2k_load_row_int(k, b->views, 0, y, width, r[0]);
        else
            j2k_load_row_float(k, b->views, 0, y, width, r[0]);
        for (unsigned c = 0; c < b->components; c++)
            j2k_dwt_forward_push(&f[c], r[c]);
    }
    for (unsigned r = LEVELS - 1; r >= 1; r--)
        for (unsigned c = 0; c < b->components; c++) {
            begin_level(b, k, reversible, c, r, &f[c]);
            plane p = b->samples[c][r];
            while (f[c].next_row < f[c].end_row)
                j2k_dwt_forward_push(&f[c], (int32_t *)p.data + (ptrdiff_t)f[c].next_row * p.stride);
        }
}

static void begin_inverse(bench_image *b, const dsp_kernels *k, bool reversible, unsigned c, unsigned r,
                          dwt_inverse *v) {
    j2k_dwt_inverse_begin(v, k, reversible, false, b->areas[r], b->areas[r], b->samples[c][r - 1],
                          b->bands[c][r - 1][0], b->bands[c][r - 1][1], b->bands[c][r - 1][2], b->scratch[c]);
}

static void bench_inverse(bench_image *b, const dsp_kernels *k, bool reversible) {
    dwt_inverse v[3];
    const uint32_t width = rect_width(b->areas[LEVELS]), height = rect_height(b->areas[LEVELS]);
    for (unsigned r = 1; r < LEVELS; r++)
        for (unsigned c = 0; c < b->components; c++) {
            begin_inverse(b, k, reversible, c, r, &v[c]);
            plane p = b->samples[c][r];
            for (uint32_t y = p.area.y0; y < p.area.y1; y++)
                j2k_dwt_inverse_pull(&v[c], (int32_t *)p.data + (ptrdiff_t)y * p.stride);
        }
    for (unsigned c = 0; c < b->components; c++)
        begin_inverse(b, k, reversible, c, LEVELS, &v[c]);
    for (uint32_t y = 0; y < height; y++) {
        const void *r[3] = {NULL, NULL, NULL};
        for (unsigned c = 0; c < b->components; c++)
            r[c] = j2k_dwt_inverse_next(&v[c]);
        if (b->components == 3 && reversible)
            j2k_store_colour_int(k, b->views, 0, y, width, r[0], r[1], r[2]);
        else if (b->components == 3)
            j2k_store_colour_float(k, b->views, 0, y, width, r[0], r[1], r[2]);
        else if (reversible)
            j2k_store_row_int(k, b->views, 0, y, width, r[0]);
        else
            j2k_store_row_float(k, b->views, 0, y, width, r[0]);
    }
}

static void bench_stages(const dsp_kernels *k, const char *name, bench_image *b) {
    const double samples = (double)rect_size(b->areas[LEVELS]) * b->components;
    for (int reversible = 1; reversible >= 0; reversible--) {
        double best[2] = {1e9, 1e9};
        for (int run = 0; run < 12; run++) {
            double start = seconds();
            bench_forward(b, k, reversible);
            double middle = seconds();
            bench_inverse(b, k, reversible);
            double end = seconds();
            best[0] = middle - start < best[0] ? middle - start : best[0];
            best[1] = end - middle < best[1] ? end - middle : best[1];
        }
        printf("%-8s %-18s %s  forward %7.1f  inverse %7.1f Msamples/s\n", version, name,
               reversible ? "5/3" : "9/7", samples / best[0] / 1e6, samples / best[1] / 1e6);
    }
}

int main(int argc, char **argv) {
    const bool bench = argc > 1 && strcmp(argv[1], "--bench") == 0;
    const unsigned all = j2k_cpu_flags();
    const struct {
        const char *name;
        unsigned flags;
    } versions[] = {{"scalar", 0},
                    {"SSE4.1", J2K_CPU_SSE41},
                    {"AVX2", J2K_CPU_SSE41 | J2K_CPU_AVX2},
                    {"AVX-512", J2K_CPU_SSE41 | J2K_CPU_AVX2 | J2K_CPU_AVX512},
                    {"NEON", J2K_CPU_NEON}};
    const dsp_kernels *c = j2k_dsp_get(0), *last = NULL;
    static bench_image small, large, grey;
    if (bench) {
        bench_image_make(&small, 768, 512, 3, J2K_UINT8);
        bench_image_make(&large, 4096, 3072, 3, J2K_UINT8);
        bench_image_make(&grey, 2048, 2048, 1, J2K_UINT16);
    }
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if ((versions[i].flags & all) != versions[i].flags)
            continue;
        const dsp_kernels *v = j2k_dsp_get(versions[i].flags);
        version = versions[i].name;
        if (v == last)
            continue;
        last = v;
        for (int round = 0; round < 300; round++) {
            const size_t n = random_below(random_below(2) ? MAX_LENGTH : 20);
            const int offset = (int)random_below(17);
            check_vertical(c->dwt, v->dwt, n, offset);
            check_horizontal(c->dwt, v->dwt, n + 2, offset);
            check_colour(c->colour, v->colour, n, offset);
            check_quant(c->quant, v->quant, n, offset);
            check_image(c->image, v->image, n, offset);
        }
        if (bench) {
            bench_kernels(v);
            bench_stages(v, "768x512 RGB8", &small);
            bench_stages(v, "4096x3072 RGB8", &large);
            bench_stages(v, "2048x2048 grey16", &grey);
        }
    }
    return check_result();
}
