/* Sample views: every type, byte order and stride, level shift, rounding and clamping.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "image.h"

#include <math.h>
#include <string.h>

#include "colour.h"
#include "transform_check.h"

enum { MAX_WIDTH = 700, HEIGHT = 3, BYTES = 16 * 1024 };

static unsigned type_bits(j2k_sample_type type) {
    return (unsigned[]){8, 8, 16, 16, 32, 32}[type];
}

static bool type_signed(j2k_sample_type type) {
    return type & 1;
}

/* The sample as a number, byte by byte; `big` is the byte order that the view declares. */
static int64_t read_sample(const unsigned char *p, j2k_sample_type type, bool big) {
    const unsigned bytes = type_bits(type) / 8;
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    int64_t value = (int64_t)v;
    if (type_signed(type) && v >> (8 * bytes - 1))
        value -= (int64_t)1 << 8 * bytes;
    return value;
}

static void write_sample(unsigned char *p, j2k_sample_type type, bool big, int64_t value) {
    const unsigned bytes = type_bits(type) / 8;
    for (unsigned i = 0; i < bytes; i++)
        p[big ? bytes - 1 - i : i] = (unsigned char)((uint64_t)value >> 8 * i);
}

static bool machine_is_big(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 0;
}

typedef struct view {
    j2k_component c;
    bool big;
    unsigned char *memory;
    int64_t low, high; /* range of the depth */
} view;

/* A view of random type, stride, depth and place within `memory` (BYTES bytes). */
static view random_view(unsigned char *memory) {
    view v = {.memory = memory};
    j2k_component *c = &v.c;
    c->type = (j2k_sample_type)random_below(6);
    c->byte_swapped = random_below(3) == 0;
    v.big = c->byte_swapped != machine_is_big();
    const unsigned bytes = type_bits(c->type) / 8;
    const unsigned interleaved = (unsigned[]){1, 1, 3, 3, 4, 2}[random_below(6)];
    const unsigned gap = random_below(5) ? 0 : random_below(4);
    c->is_signed = type_signed(c->type) ? random_below(4) != 0 : random_below(8) == 0;
    /* what the type holds: one bit less where the signs differ */
    unsigned most = type_bits(c->type) - (c->is_signed != type_signed(c->type) && type_signed(c->type));
    c->depth = (uint8_t)(random_below(2) ? most : 1 + random_below(most));
    const unsigned step = bytes * interleaved + gap;
    uint32_t limit = (BYTES - 64) / HEIGHT / step;
    limit = limit < MAX_WIDTH ? limit : MAX_WIDTH;
    c->width = 1 + random_below(limit);
    c->height = HEIGHT;
    c->sample_step = step;
    c->row_stride = (ptrdiff_t)(step * c->width + random_below(9));
    c->data = memory + random_below(2) * random_below(8);
    if (random_below(4) == 0) { /* upside down */
        c->data = (unsigned char *)c->data + (HEIGHT - 1) * c->row_stride;
        c->row_stride = -c->row_stride;
    }
    if (random_below(4) == 0) { /* right to left */
        c->data = (unsigned char *)c->data + (c->width - 1) * c->sample_step;
        c->sample_step = -c->sample_step;
    }
    v.low = c->is_signed ? -((int64_t)1 << (c->depth - 1)) : 0;
    v.high = ((int64_t)1 << (c->depth - c->is_signed)) - 1;
    return v;
}

static unsigned char *sample_place(const view *v, uint32_t x, uint32_t y) {
    return (unsigned char *)v->c.data + (ptrdiff_t)y * v->c.row_stride + (ptrdiff_t)x * v->c.sample_step;
}

static int64_t level_shift(const view *v) {
    return v->c.is_signed ? 0 : (int64_t)1 << (v->c.depth - 1);
}

static void check_load(const dsp_kernels *dsp, unsigned char *memory) {
    view v = random_view(memory);
    const uint32_t x0 = random_below(v.c.width), n = random_below(v.c.width - x0 + 1);
    for (uint32_t y = 0; y < HEIGHT; y++) {
        int32_t ints[MAX_WIDTH + 1];
        float floats[MAX_WIDTH + 1];
        ints[n] = 77;
        floats[n] = 77;
        j2k_load_row_int(dsp, &v.c, x0, y, n, ints);
        j2k_load_row_float(dsp, &v.c, x0, y, n, floats);
        CHECK(ints[n] == 77 && floats[n] == 77, "wrote beyond %u samples", n);
        for (uint32_t x = 0; x < n; x++) {
            int64_t expected = read_sample(sample_place(&v, x0 + x, y), v.c.type, v.big) - level_shift(&v);
            CHECK(ints[x] == (int32_t)(uint32_t)expected, "type %d, depth %u, step %d: %d, not %lld",
                  v.c.type, v.c.depth, (int)v.c.sample_step, ints[x], (long long)expected);
            CHECK(floats[x] == (float)(int32_t)(uint32_t)expected, "float, type %d", v.c.type);
        }
    }
}

static int64_t limit(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* A number that an inverse transform could give: near the range, at its ends, or absurd. */
static int32_t random_result(const view *v) {
    switch (random_below(8)) {
    case 0:
        return (int32_t)random_u32();
    case 1:
        return INT32_MAX - (int32_t)random_below(2);
    case 2:
        return INT32_MIN + (int32_t)random_below(2);
    case 3:
        return (int32_t)limit(v->high - level_shift(v) + random_below(5) - 2, INT32_MIN, INT32_MAX);
    case 4:
        return (int32_t)limit(v->low - level_shift(v) + random_below(5) - 2, INT32_MIN, INT32_MAX);
    default:
        return (int32_t)(v->low - level_shift(v) + (int64_t)(random_u32() >> (32 - v->c.depth)));
    }
}

static void check_store(const dsp_kernels *dsp, unsigned char *memory) {
    view v = random_view(memory);
    const bool as_float = random_u32() & 1;
    const uint32_t x0 = random_below(v.c.width), n = random_below(v.c.width - x0 + 1),
                   y = random_below(HEIGHT);
    unsigned char *expected = check_alloc(BYTES);
    int32_t ints[MAX_WIDTH];
    float floats[MAX_WIDTH];
    memcpy(expected, memory, BYTES);
    for (uint32_t x = 0; x < n; x++) {
        int64_t rounded;
        ints[x] = random_result(&v);
        rounded = ints[x];
        if (as_float) {
            floats[x] = (float)ints[x];
            if (fabsf(floats[x]) < 1e6f)
                floats[x] += (float)random_below(16) / 16.0f;
            /* exact halves go away from zero; beyond 2^30 the value is limited */
            double magnitude = floor(fabs((double)floats[x]) + 0.5);
            rounded = (int64_t)(floats[x] < 0 ? -magnitude : magnitude);
            rounded = limit(rounded, -(1 << 30), 1 << 30);
        }
        rounded = limit(rounded + level_shift(&v), v.low, v.high);
        write_sample(expected + (sample_place(&v, x0 + x, y) - memory), v.c.type, v.big, rounded);
    }
    if (as_float)
        j2k_store_row_float(dsp, &v.c, x0, y, n, floats);
    else
        j2k_store_row_int(dsp, &v.c, x0, y, n, ints);
    CHECK(memcmp(memory, expected, BYTES) == 0, "store, float %d, type %d, depth %u, signed %d, step %d",
          as_float, v.c.type, v.c.depth, v.c.is_signed, (int)v.c.sample_step);
    memcpy(memory, expected, BYTES);

    j2k_fill_row(&v.c, x0, y, n);
    for (uint32_t x = 0; x < n; x++)
        write_sample(expected + (sample_place(&v, x0 + x, y) - memory), v.c.type, v.big, level_shift(&v));
    CHECK(memcmp(memory, expected, BYTES) == 0, "fill, type %d, depth %u", v.c.type, v.c.depth);
    free(expected);
}

/* Three views, mostly of the samples of interleaved pixels: the same as one after the other. */
static void check_three(const dsp_kernels *dsp, unsigned char *memory) {
    enum { WIDTH = 600 };
    j2k_component c[3];
    const bool wide = random_below(4) == 0, planar = random_below(4) == 0, as_float = random_u32() & 1;
    const unsigned bytes = wide ? 2 : 1, first = random_below(3);
    const uint32_t x0 = random_below(WIDTH / 2), n = random_below(WIDTH / 2 + 1);
    const unsigned depth = random_below(2) ? 8 * bytes : 1 + random_below(8 * bytes);
    for (unsigned k = 0; k < 3; k++)
        c[k] = (j2k_component){.data = memory + bytes * (planar      ? k * WIDTH
                                                         : first % 2 ? 2 - k
                                                                     : k),
                               .row_stride = 6 * WIDTH,
                               .sample_step = bytes * (planar ? 1 : 3),
                               .type = wide ? J2K_UINT16 : J2K_UINT8,
                               .depth = (uint8_t)depth,
                               .width = WIDTH,
                               .height = 2};
    int32_t ints[3][WIDTH], one[3][WIDTH];
    float floats[3][WIDTH], one_float[3][WIDTH];
    for (unsigned k = 0; k < 3; k++) {
        j2k_load_row_int(dsp, &c[k], x0, 1, n, one[k]);
        j2k_load_row_float(dsp, &c[k], x0, 1, n, one_float[k]);
    }
    j2k_rct_forward(dsp, one[0], one[1], one[2], n);
    j2k_ict_forward(dsp, one_float[0], one_float[1], one_float[2], n);
    j2k_load_colour_int(dsp, c, x0, 1, n, ints[0], ints[1], ints[2]);
    j2k_load_colour_float(dsp, c, x0, 1, n, floats[0], floats[1], floats[2]);
    for (unsigned k = 0; k < 3; k++)
        CHECK(memcmp(ints[k], one[k], 4 * n) == 0 && memcmp(floats[k], one_float[k], 4 * n) == 0,
              "load %u of three, planar %d, wide %d, n %u", k, planar, wide, n);

    for (unsigned k = 0; k < 3; k++)
        for (uint32_t x = 0; x < n; x++) { /* beyond the range too */
            one[k][x] = ints[k][x] += (int32_t)random_below(65) - 32;
            one_float[k][x] = floats[k][x] += (float)random_below(1000) / 16 - 30;
        }
    if (random_below(4) == 0)
        c[random_below(3)].data = NULL;
    unsigned char *expected = check_alloc(BYTES), *before = check_alloc(BYTES);
    memcpy(before, memory, BYTES);
    j2k_rct_inverse(dsp, one[0], one[1], one[2], n);
    j2k_ict_inverse(dsp, one_float[0], one_float[1], one_float[2], n);
    for (unsigned k = 0; k < 3; k++)
        if (c[k].data && as_float)
            j2k_store_row_float(dsp, &c[k], x0, 1, n, one_float[k]);
        else if (c[k].data)
            j2k_store_row_int(dsp, &c[k], x0, 1, n, one[k]);
    memcpy(expected, memory, BYTES);
    memcpy(memory, before, BYTES);
    if (as_float)
        j2k_store_colour_float(dsp, c, x0, 1, n, floats[0], floats[1], floats[2]);
    else
        j2k_store_colour_int(dsp, c, x0, 1, n, ints[0], ints[1], ints[2]);
    CHECK(memcmp(memory, expected, BYTES) == 0, "store of three, planar %d, wide %d, float %d, n %u", planar,
          wide, as_float, n);
    free(expected);
    free(before);
}

static void check_not_a_number(const dsp_kernels *dsp) {
    const float in[6] = {NAN, INFINITY, -INFINITY, -0.5f, 0.49f, 254.5f - 128.0f};
    unsigned char out[6];
    j2k_component c = {.data = out, .sample_step = 1, .depth = 8, .type = J2K_UINT8, .width = 6, .height = 1};
    j2k_store_row_float(dsp, &c, 0, 0, 6, in);
    CHECK(out[0] == 0 && out[1] == 255 && out[2] == 0, "%u %u %u", out[0], out[1], out[2]);
    CHECK(out[3] == 127 && out[4] == 128 && out[5] == 255, "%u %u %u", out[3], out[4], out[5]);
}

static void check_fit(unsigned char *memory) {
    view v = random_view(memory);
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < v.c.width; x++) {
            int64_t value = v.low + (int64_t)(random_u32() >> (32 - v.c.depth));
            value = random_below(4) ? value : random_below(2) ? v.low : v.high;
            write_sample(sample_place(&v, x, y), v.c.type, v.big, value);
        }
    /* The range of the depth may not be what the type holds. */
    const unsigned bits = type_bits(v.c.type);
    const int64_t type_low = type_signed(v.c.type) ? -((int64_t)1 << (bits - 1)) : 0;
    const int64_t type_high = ((int64_t)1 << (bits - type_signed(v.c.type))) - 1;
    if (v.low < type_low)
        return; /* a signed component in an unsigned type: negative samples cannot be written */
    CHECK(j2k_samples_fit(&v.c), "type %d, depth %u, signed %d", v.c.type, v.c.depth, v.c.is_signed);
    int64_t bad = random_u32() & 1 ? v.high + 1 : v.low - 1;
    if (bad < type_low || bad > type_high)
        return;
    write_sample(sample_place(&v, random_below(v.c.width), random_below(HEIGHT)), v.c.type, v.big, bad);
    CHECK(!j2k_samples_fit(&v.c), "type %d, depth %u, signed %d, bad %lld", v.c.type, v.c.depth,
          v.c.is_signed, (long long)bad);
}

int main(void) {
    const unsigned masks[] = {0, J2K_CPU_SSE41, J2K_CPU_SSE41 | J2K_CPU_AVX2, J2K_CPU_ALL};
    unsigned char *memory = check_alloc(BYTES);
    for (unsigned m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        const dsp_kernels *dsp = j2k_dsp_get(j2k_cpu_flags() & masks[m]);
        for (int round = 0; round < 1500; round++) {
            for (size_t i = 0; i < BYTES; i++)
                memory[i] = (unsigned char)random_u32();
            check_load(dsp, memory);
            check_store(dsp, memory);
            check_fit(memory);
            check_three(dsp, memory);
        }
        check_not_a_number(dsp);
    }
    free(memory);
    return check_result();
}
