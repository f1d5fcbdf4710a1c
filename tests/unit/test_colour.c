/* Component transforms against T.800 annex G.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "colour.h"

#include <math.h>
#include <string.h>

#include "j2k.h"
#include "transform_check.h"

enum { MAX_LENGTH = 150 };

/* Equations G-1 to G-6 in exact arithmetic: floor(x / 4) for numbers of either sign. */
static int64_t floor_quarter(int64_t x) {
    return (int64_t)floor((double)x / 4);
}

static int32_t random_sample(unsigned kind, unsigned bits) {
    int32_t limit = 1 << (bits - 1);
    if (kind == 0)
        return (int32_t)random_below((uint32_t)limit * 2) - limit;
    return random_u32() & 1 ? limit - 1 : -limit;
}

static void check_rct(const dsp_kernels *dsp) {
    for (int round = 0; round < 400; round++) {
        int32_t samples[3][MAX_LENGTH], c[3][MAX_LENGTH];
        const size_t n = random_below(MAX_LENGTH);
        const unsigned bits = 1 + random_below(28), kind = random_below(2);
        for (unsigned k = 0; k < 3; k++)
            for (size_t i = 0; i < MAX_LENGTH; i++)
                c[k][i] = samples[k][i] = random_sample(kind, bits);
        j2k_rct_forward(dsp, c[0], c[1], c[2], n);
        for (size_t i = 0; i < MAX_LENGTH; i++) {
            int64_t r = samples[0][i], g = samples[1][i], b = samples[2][i];
            bool inside = i < n;
            CHECK(c[0][i] == (inside ? floor_quarter(r + 2 * g + b) : r), "Y0 at %zu of %zu", i, n);
            CHECK(c[1][i] == (inside ? b - g : g), "Y1 at %zu of %zu", i, n);
            CHECK(c[2][i] == (inside ? r - g : b), "Y2 at %zu of %zu", i, n);
        }
        j2k_rct_inverse(dsp, c[0], c[1], c[2], n);
        CHECK(memcmp(c, samples, sizeof c) == 0, "not restored, n %zu", n);
    }
}

/* Equations G-9 to G-14. The inverse is exact up to float's precision, the forward one to five decimals (the
 * standard's two matrices are not quite inverse to each other; ours are). */
static void check_ict(const dsp_kernels *dsp) {
    static const double forward[3][3] = {
        {0.299, 0.587, 0.114}, {-0.16875, -0.33126, 0.5}, {0.5, -0.41869, -0.08131}};
    static const double inverse[3][3] = {{1, 0, 1.402}, {1, -0.34413, -0.71414}, {1, 1.772, 0}};
    for (int round = 0; round < 400; round++) {
        float samples[3][MAX_LENGTH], c[3][MAX_LENGTH], back[3][MAX_LENGTH];
        const size_t n = random_below(MAX_LENGTH);
        const unsigned bits = 1 + random_below(16), kind = random_below(2);
        for (unsigned k = 0; k < 3; k++)
            for (size_t i = 0; i < MAX_LENGTH; i++)
                c[k][i] = samples[k][i] = (float)random_sample(kind, bits);
        const double tolerance = ldexp(1, (int)bits - 21);
        j2k_ict_forward(dsp, c[0], c[1], c[2], n);
        memcpy(back, c, sizeof c);
        j2k_ict_inverse(dsp, back[0], back[1], back[2], n);
        for (unsigned k = 0; k < 3; k++)
            for (size_t i = 0; i < MAX_LENGTH; i++) {
                double y = 0, x = 0;
                for (unsigned j = 0; j < 3; j++) {
                    y += forward[k][j] * samples[j][i];
                    x += inverse[k][j] * c[j][i];
                }
                if (i >= n) {
                    CHECK(c[k][i] == samples[k][i] && back[k][i] == samples[k][i], "wrote beyond the end");
                    continue;
                }
                CHECK(fabs(c[k][i] - y) <= tolerance + ldexp(2e-5, (int)bits), "forward %u at %zu: %g", k, i,
                      c[k][i] - y);
                CHECK(fabs(back[k][i] - x) <= tolerance, "inverse %u at %zu: %g", k, i, back[k][i] - x);
                CHECK(fabs(back[k][i] - samples[k][i]) <= 2 * tolerance, "not restored: %g",
                      back[k][i] - samples[k][i]);
            }
    }
}

/* The energy of a change in one transformed component, through the inverse transform itself. Steps of 64
 * keep the rounding of the RCT out of it. */
static void check_energy(const dsp_kernels *dsp) {
    for (unsigned k = 0; k < 3; k++) {
        int32_t a[3] = {640, 64, 128};
        float f[3] = {0, 0, 0};
        int32_t base[3] = {640, 64, 128};
        a[k] += 64;
        f[k] = 1;
        j2k_rct_inverse(dsp, &a[0], &a[1], &a[2], 1);
        j2k_rct_inverse(dsp, &base[0], &base[1], &base[2], 1);
        j2k_ict_inverse(dsp, &f[0], &f[1], &f[2], 1);
        double reversible = 0, irreversible = 0;
        for (unsigned j = 0; j < 3; j++) {
            reversible += (a[j] - base[j]) / 64.0 * ((a[j] - base[j]) / 64.0);
            irreversible += (double)f[j] * f[j];
        }
        CHECK(fabs(j2k_colour_energy(true, k) - reversible) < 1e-9, "RCT %u: %g", k, reversible);
        CHECK(fabs(j2k_colour_energy(false, k) - irreversible) < 1e-5, "ICT %u: %g", k, irreversible);
    }
}

/* Rows of 64 bits, samples of 32. */
static void check_wide(void) {
    for (int round = 0; round < 100; round++) {
        int64_t samples[3][MAX_LENGTH], c[3][MAX_LENGTH];
        double reals[3][MAX_LENGTH];
        const size_t n = random_below(MAX_LENGTH);
        for (unsigned k = 0; k < 3; k++)
            for (size_t i = 0; i < MAX_LENGTH; i++) {
                int64_t v = round % 2          ? (int64_t)random_u32() + INT32_MIN
                            : random_u32() & 1 ? INT32_MIN
                                               : INT32_MAX;
                c[k][i] = samples[k][i] = v;
                reals[k][i] = (double)v;
            }
        j2k_rct_forward_wide(c[0], c[1], c[2], n);
        for (size_t i = 0; i < n; i++) {
            int64_t r = samples[0][i], g = samples[1][i], b = samples[2][i];
            CHECK(c[0][i] == floor_quarter(r + 2 * g + b) && c[1][i] == b - g && c[2][i] == r - g,
                  "wide RCT at %zu of %zu", i, n);
        }
        j2k_rct_inverse_wide(c[0], c[1], c[2], n);
        CHECK(memcmp(c, samples, sizeof c) == 0, "wide RCT not restored, n %zu", n);
        j2k_ict_forward_wide(reals[0], reals[1], reals[2], n);
        for (size_t i = 0; i < n; i++) { /* G.3 to its own accuracy; the inverse below is exact */
            double y =
                0.299 * (double)samples[0][i] + 0.587 * (double)samples[1][i] + 0.114 * (double)samples[2][i];
            CHECK(fabs(reals[0][i] - y) < 3e-5 * 4294967296.0, "wide ICT at %zu of %zu", i, n);
        }
        j2k_ict_inverse_wide(reals[0], reals[1], reals[2], n);
        for (unsigned k = 0; k < 3; k++)
            for (size_t i = 0; i < MAX_LENGTH; i++)
                CHECK(fabs(reals[k][i] - (double)samples[k][i]) < 1e-5, "wide ICT not restored: %g",
                      reals[k][i] - (double)samples[k][i]);
    }
}

int main(void) {
    check_wide();
    const unsigned masks[] = {0, J2K_CPU_SSE41, J2K_CPU_SSE41 | J2K_CPU_AVX2, J2K_CPU_ALL};
    for (unsigned m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        const dsp_kernels *dsp = j2k_dsp_get(j2k_cpu_flags() & masks[m]);
        check_rct(dsp);
        check_ict(dsp);
        check_energy(dsp);
    }
    return check_result();
}
