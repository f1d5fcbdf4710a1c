/* Sample views: rows of the caller's image to and from the engine's rows, level shift and clamping
 * included. SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_IMAGE_H
#define J2K_IMAGE_H

#include "dsp.h"
#include "error.h"

/* Load samples [x0, x0 + n) of row y of a component (its own grid, from its upper left corner) and subtract
 * the level shift 2^(depth-1) of unsigned components (G.1). As int32_t or float. */
void j2k_load_row_int(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                      int32_t *out);
void j2k_load_row_float(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                        float *out);

/* Undo the level shift, round to nearest (float: half away from zero or to even, but the same for every ISA),
 * clamp to the depth and store. NaN cannot occur. */
void j2k_store_row_int(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                       const int32_t *in);
void j2k_store_row_float(const dsp_kernels *dsp, const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n,
                         const float *in);

/* Three components with their forward colour transform (RCT or ICT) at once, and the way back: the same as
 * loading three rows and transforming them, or transforming and storing them, but faster where the samples
 * lie interleaved. c: the three views, all of the same size and depth. When storing, views whose data is NULL
 * are left out. */
void j2k_load_colour_int(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                         uint32_t n, int32_t *c0, int32_t *c1, int32_t *c2);
void j2k_load_colour_float(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                           uint32_t n, float *c0, float *c1, float *c2);
void j2k_store_colour_int(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                          uint32_t n, const int32_t *c0, const int32_t *c1, const int32_t *c2);
void j2k_store_colour_float(const dsp_kernels *dsp, const j2k_component c[3], uint32_t x0, uint32_t y,
                            uint32_t n, const float *c0, const float *c1, const float *c2);

/* The same for wide components, one or three with their transform: rows of int64_t (reversible) or double. */
void j2k_load_wide(const dsp_kernels *dsp, const j2k_component *c, uint32_t count, uint32_t x0, uint32_t y,
                   uint32_t n, bool reversible, void *const rows[3]);
void j2k_store_wide(const dsp_kernels *dsp, const j2k_component *c, uint32_t count, uint32_t x0, uint32_t y,
                    uint32_t n, bool reversible, const void *const rows[3]);

/* Store the same sample (before the level shift is undone: 0 gives mid-grey) for tiles that are missing. */
void j2k_fill_row(const j2k_component *c, uint32_t x0, uint32_t y, uint32_t n);

/* The smallest and largest sample of the rows given that are out of the component's declared depth are an
 * ARGUMENT error: true when all samples of the image's component fit its depth and sign. Only needed where
 * the type is wider than the depth. */
bool j2k_samples_fit(const j2k_component *c);

#endif
