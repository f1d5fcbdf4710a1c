/* Component transforms RCT and ICT (T.800 annex G) on rows.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "colour.h"

#include "error.h"

/* G.2: reversible. */
static void rct_forward_c(int32_t *J2K_RESTRICT c0, int32_t *J2K_RESTRICT c1, int32_t *J2K_RESTRICT c2,
                          size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t r = c0[i], g = c1[i], b = c2[i];
        c0[i] = wrap_add(wrap_add(r, b), wrap_add(g, g)) >> 2;
        c1[i] = wrap_sub(b, g);
        c2[i] = wrap_sub(r, g);
    }
}

static void rct_inverse_c(int32_t *J2K_RESTRICT c0, int32_t *J2K_RESTRICT c1, int32_t *J2K_RESTRICT c2,
                          size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t y0 = c0[i], y1 = c1[i], y2 = c2[i];
        int32_t g = wrap_sub(y0, wrap_add(y1, y2) >> 2);
        c0[i] = wrap_add(y2, g);
        c1[i] = g;
        c2[i] = wrap_add(y1, g);
    }
}

/* G.3: irreversible. The coefficients are those of the matrix that undoes ict_inverse_c exactly, which the
 * standard fixes to five decimals; its own forward matrix (0.299, 0.587, ...) differs by up to 1.5e-5 and
 * would cost a level at 16 bits. */
static void ict_forward_c(float *J2K_RESTRICT c0, float *J2K_RESTRICT c1, float *J2K_RESTRICT c2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float r = c0[i], g = c1[i], b = c2[i];
        c0[i] = 0.299001713f * r + 0.587000310f * g + 0.113997978f * b;
        c1[i] = 0.500001141f * b - 0.168736858f * r - 0.331264283f * g;
        c2[i] = 0.499998778f * r - 0.418687810f * g - 0.081310968f * b;
    }
}

static void ict_inverse_c(float *J2K_RESTRICT c0, float *J2K_RESTRICT c1, float *J2K_RESTRICT c2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float y0 = c0[i], y1 = c1[i], y2 = c2[i];
        c0[i] = y0 + 1.402f * y2;
        c1[i] = y0 - 0.34413f * y1 - 0.71414f * y2;
        c2[i] = y0 + 1.772f * y1;
    }
}

const colour_kernels j2k_colour_c = {rct_forward_c, rct_inverse_c, ict_forward_c, ict_inverse_c};

void j2k_rct_forward(const dsp_kernels *dsp, int32_t *c0, int32_t *c1, int32_t *c2, size_t n) {
    dsp->colour->rct_forward(c0, c1, c2, n);
}

void j2k_rct_inverse(const dsp_kernels *dsp, int32_t *c0, int32_t *c1, int32_t *c2, size_t n) {
    dsp->colour->rct_inverse(c0, c1, c2, n);
}

void j2k_ict_forward(const dsp_kernels *dsp, float *c0, float *c1, float *c2, size_t n) {
    dsp->colour->ict_forward(c0, c1, c2, n);
}

void j2k_ict_inverse(const dsp_kernels *dsp, float *c0, float *c1, float *c2, size_t n) {
    dsp->colour->ict_inverse(c0, c1, c2, n);
}

/* ---- wide components ---- */

void j2k_rct_forward_wide(int64_t *c0, int64_t *c1, int64_t *c2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t r = c0[i], g = c1[i], b = c2[i];
        c0[i] = wrap_add64(wrap_add64(r, b), wrap_add64(g, g)) >> 2;
        c1[i] = wrap_sub64(b, g);
        c2[i] = wrap_sub64(r, g);
    }
}

void j2k_rct_inverse_wide(int64_t *c0, int64_t *c1, int64_t *c2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t y0 = c0[i], y1 = c1[i], y2 = c2[i];
        int64_t g = wrap_sub64(y0, wrap_add64(y1, y2) >> 2);
        c0[i] = wrap_add64(y2, g);
        c1[i] = g;
        c2[i] = wrap_add64(y1, g);
    }
}

/* See ict_forward_c; to the last place, since 32-bit samples need more than nine digits. */
void j2k_ict_forward_wide(double *c0, double *c1, double *c2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double r = c0[i], g = c1[i], b = c2[i];
        c0[i] = 0.29900171263634356 * r + 0.58700030962577876 * g + 0.11399797773787768 * b;
        c1[i] = -0.16873685814692074 * r - 0.33126428308452527 * g + 0.50000114123144601 * b;
        c2[i] = 0.49999877843342116 * r - 0.41868781000412181 * g - 0.081310968429299343 * b;
    }
}

void j2k_ict_inverse_wide(double *c0, double *c1, double *c2, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double y0 = c0[i], y1 = c1[i], y2 = c2[i];
        c0[i] = y0 + 1.402 * y2;
        c1[i] = y0 - 0.34413 * y1 - 0.71414 * y2;
        c2[i] = y0 + 1.772 * y1;
    }
}

double j2k_colour_energy(bool reversible, unsigned component) {
    if (component == 0)
        return 3.0; /* Y0 adds itself to all three */
    if (reversible) /* without the rounding: -1/4 twice and 3/4 once, see rct_inverse_c */
        return (1.0 + 1.0 + 9.0) / 16.0;
    if (component == 1)
        return 0.34413 * 0.34413 + 1.772 * 1.772;
    return 1.402 * 1.402 + 0.71414 * 0.71414;
}
