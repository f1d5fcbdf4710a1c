/* Component transforms RCT and ICT (T.800 annex G) on rows.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_COLOUR_H
#define J2K_COLOUR_H

#include <stdbool.h>

#include "dsp.h"

/* In place on three rows of n elements, after level shift (forward) and before it is undone (inverse). */
void j2k_rct_forward(const dsp_kernels *dsp, int32_t *c0, int32_t *c1, int32_t *c2, size_t n);
void j2k_rct_inverse(const dsp_kernels *dsp, int32_t *c0, int32_t *c1, int32_t *c2, size_t n);
void j2k_ict_forward(const dsp_kernels *dsp, float *c0, float *c1, float *c2, size_t n);
void j2k_ict_inverse(const dsp_kernels *dsp, float *c0, float *c1, float *c2, size_t n);

/* The same for wide components; always in plain C. */
void j2k_rct_forward_wide(int64_t *c0, int64_t *c1, int64_t *c2, size_t n);
void j2k_rct_inverse_wide(int64_t *c0, int64_t *c1, int64_t *c2, size_t n);
void j2k_ict_forward_wide(double *c0, double *c1, double *c2, size_t n);
void j2k_ict_inverse_wide(double *c0, double *c1, double *c2, size_t n);

/* Squared L2 norm of the inverse transform's column for component c (0 to 2): how much one squared unit of
 * error in the transformed component adds to the squared error over the three image components. */
double j2k_colour_energy(bool reversible, unsigned component);

#endif
