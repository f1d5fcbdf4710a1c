/* Quantisation against T.800 annexes E and H.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "quant.h"

#include <math.h>
#include <string.h>

#include "transform_check.h"

enum { MAX_WIDTH = 70, MAX_HEIGHT = 6, STRIDE = MAX_WIDTH + 5, PATTERN = 0x5A5A5A5A };

static int32_t random_int(void) {
    switch (random_below(6)) {
    case 0:
        return INT32_MIN + (int32_t)random_below(3);
    case 1:
        return INT32_MAX - (int32_t)random_below(3);
    case 2:
        return (int32_t)random_below(9) - 4;
    default:
        return (int32_t)random_u32() >> random_below(32);
    }
}

/* The word for a magnitude. */
static uint32_t expected_word(double magnitude, bool negative, unsigned fraction_bits, unsigned roi_shift) {
    double m = floor(ldexp(magnitude, (int)fraction_bits));
    m = ldexp(m > INT32_MAX ? INT32_MAX : m, (int)roi_shift);
    return (uint32_t)(m > INT32_MAX ? INT32_MAX : m) | (negative ? 0x80000000u : 0);
}

static void check_quantise(const dsp_kernels *dsp) {
    for (int round = 0; round < 600; round++) {
        const unsigned width = 1 + random_below(MAX_WIDTH), height = 1 + random_below(MAX_HEIGHT);
        const bool irreversible = random_u32() & 1;
        int32_t ints[STRIDE * MAX_HEIGHT];
        float floats[STRIDE * MAX_HEIGHT];
        uint32_t out[STRIDE * MAX_HEIGHT], all = 0, expected_all = 0;
        for (size_t i = 0; i < STRIDE * MAX_HEIGHT; i++) {
            ints[i] = random_int();
            floats[i] = (float)ldexp((double)random_int(), -(int)random_below(40));
            out[i] = PATTERN;
        }
        floats[0] = -0.0f;
        block_source source = {.data = irreversible ? (void *)floats : (void *)ints,
                               .stride = STRIDE,
                               .irreversible = irreversible,
                               .inverse_step = irreversible ? 0.37f * (float)random_below(1000) : 1.0f,
                               .roi_shift = random_below(3) ? 0 : (uint8_t)random_below(38)};
        const unsigned fraction_bits = irreversible ? random_below(8) : 0;
        all = j2k_quantise_block(dsp, &source, width, height, fraction_bits, out, STRIDE);
        for (unsigned y = 0; y < MAX_HEIGHT; y++)
            for (unsigned x = 0; x < STRIDE; x++) {
                const unsigned i = y * STRIDE + x;
                uint32_t expected = PATTERN;
                if (x < width && y < height) {
                    if (irreversible) /* the product is a float */
                        expected = expected_word((float)(fabs((double)floats[i]) * source.inverse_step),
                                                 signbit(floats[i]) != 0, fraction_bits, source.roi_shift);
                    else
                        expected = expected_word(fabs((double)ints[i]), ints[i] < 0, 0, source.roi_shift);
                    expected_all |= expected & INT32_MAX;
                }
                CHECK(out[i] == expected, "(%u, %u) is %08x, not %08x; irreversible %d, roi %u", x, y, out[i],
                      expected, irreversible, source.roi_shift);
            }
        CHECK(all == expected_all, "OR of all is %08x, not %08x", all, expected_all);
    }
}

static void check_special_floats(const dsp_kernels *dsp) {
    float in[5] = {INFINITY, -INFINITY, NAN, 2147483648.0f, -2147483520.0f};
    uint32_t out[5];
    block_source source = {.data = in, .stride = 5, .irreversible = true, .inverse_step = 1.0f};
    j2k_quantise_block(dsp, &source, 5, 1, 0, out, 5);
    CHECK(out[0] == INT32_MAX && out[1] == UINT32_MAX && out[3] == INT32_MAX, "saturation");
    CHECK(out[4] == (0x80000000u | 2147483520u), "largest exact magnitude");
}

/* E.1.2 with r = 1/2 as block.h describes it, and H.1 before it. */
static double expected_value(int32_t in, bool irreversible, float step, unsigned roi) {
    double m = fabs((double)in) / 2; /* magnitude and half bits */
    if (floor(m) >= ldexp(1, (int)roi) && roi) {
        double down = ldexp(m, -(int)roi), half = floor(2 * down) / 2;
        m = half < down ? floor(half) + 0.5 : half; /* the midpoint below the shifted magnitude */
    }
    if (!irreversible)
        m = floor(m);
    double v = irreversible ? (double)((float)(2 * m) * (step * 0.5f)) : m;
    return in < 0 ? -v : v;
}

static void check_dequantise(const dsp_kernels *dsp) {
    for (int round = 0; round < 600; round++) {
        int32_t in[STRIDE * MAX_HEIGHT], out[STRIDE * MAX_HEIGHT];
        block_sink sink = {.irreversible = random_u32() & 1,
                           .step =
                               ldexpf(1.0f + (float)random_below(2048) / 2048.0f, (int)random_below(20) - 12),
                           .roi_shift = random_below(2) ? 0 : (uint8_t)(1 + random_below(37)),
                           .stride = STRIDE,
                           .data = out};
        sink.skip_x = (uint16_t)random_below(MAX_WIDTH);
        sink.skip_y = (uint16_t)random_below(MAX_HEIGHT);
        sink.width = (uint16_t)(1 + random_below(MAX_WIDTH - sink.skip_x));
        sink.height = (uint16_t)(1 + random_below(MAX_HEIGHT - sink.skip_y));
        for (size_t i = 0; i < STRIDE * MAX_HEIGHT; i++) {
            in[i] = random_int();
            out[i] = PATTERN;
        }
        j2k_dequantise_block(dsp, &sink, in, STRIDE);
        for (unsigned y = 0; y < MAX_HEIGHT; y++)
            for (unsigned x = 0; x < STRIDE; x++) {
                const int32_t got = out[y * STRIDE + x];
                if (x >= sink.width || y >= sink.height) {
                    CHECK(got == PATTERN, "wrote outside at (%u, %u)", x, y);
                    continue;
                }
                float f;
                memcpy(&f, &got, 4);
                int32_t source = in[(y + sink.skip_y) * STRIDE + x + sink.skip_x];
                if (source == INT32_MIN && !sink.irreversible && !sink.roi_shift)
                    continue; /* outside of what a coder makes */
                double expected = expected_value(source, sink.irreversible, sink.step, sink.roi_shift);
                double value = got;
                if (sink.irreversible)
                    value = f;
                CHECK(value == expected, "%d -> %.9g, not %.9g; irreversible %d, roi %u", source, value,
                      expected, sink.irreversible, sink.roi_shift);
            }
        j2k_zero_block(&sink);
        for (unsigned y = 0; y < MAX_HEIGHT; y++)
            for (unsigned x = 0; x < STRIDE; x++)
                CHECK(out[y * STRIDE + x] == (x < sink.width && y < sink.height ? 0 : PATTERN), "zero");
    }
}

/* Equation E-3, and its inverse. */
static void check_steps(void) {
    for (unsigned depth = 1; depth <= 38; depth++)
        for (unsigned orientation = 0; orientation < 4; orientation++) {
            const unsigned gain = (unsigned[]){0, 1, 1, 2}[orientation]; /* table E.1 */
            for (unsigned exponent = 0; exponent < 32; exponent++)
                for (unsigned i = 0; i < 8; i++) {
                    const unsigned mantissa = i ? random_below(2048) : 2047;
                    const double expected =
                        pow(2, (double)(depth + gain) - exponent) * (1 + mantissa / 2048.0);
                    const float step = j2k_quant_step(depth, orientation, exponent, mantissa);
                    CHECK(step == expected, "%g, not %g", (double)step, expected);
                    uint8_t e;
                    uint16_t m;
                    j2k_quant_encode_step(expected, depth, orientation, &e, &m);
                    CHECK(e == exponent && m == mantissa, "%u/%u, not %u/%u", e, m, exponent, mantissa);
                    /* a little more than a step that the fields hold, but less than the next one */
                    j2k_quant_encode_step(expected * (1 + 1.0 / 8192), depth, orientation, &e, &m);
                    CHECK(e == exponent && m == mantissa, "from below: %u/%u, not %u/%u", e, m, exponent,
                          mantissa);
                }
            uint8_t e;
            uint16_t m;
            j2k_quant_encode_step(0, depth, orientation, &e, &m);
            CHECK(e == 31 && m == 0, "zero");
            j2k_quant_encode_step(1e-30, depth, orientation, &e, &m);
            CHECK(e == 31 && m == 0, "tiny");
            j2k_quant_encode_step(1e30, depth, orientation, &e, &m);
            CHECK(e == 0 && m == 2047, "huge");
        }
}

int main(void) {
    const unsigned masks[] = {0, J2K_CPU_SSE41, J2K_CPU_SSE41 | J2K_CPU_AVX2, J2K_CPU_ALL};
    for (unsigned m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        const dsp_kernels *dsp = j2k_dsp_get(j2k_cpu_flags() & masks[m]);
        check_quantise(dsp);
        check_special_floats(dsp);
        check_dequantise(dsp);
    }
    check_steps();
    return check_result();
}
