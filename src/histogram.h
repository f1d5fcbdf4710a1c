/* How large an image's wavelet coefficients are: what errors and sizes are predicted from.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_HISTOGRAM_H
#define J2K_HISTOGRAM_H

#include "tile.h"

/* Coefficients counted by magnitude in steps of an eighth of an octave. Magnitudes are scaled such that a
 * unit of error in any coefficient is a unit of error in the image. */
enum {
    HISTOGRAM_BINS_PER_OCTAVE = 8,
    HISTOGRAM_LOWEST = -12, /* log2 of where the second bin begins; the first takes all that is smaller */
    HISTOGRAM_BINS = 44 * HISTOGRAM_BINS_PER_OCTAVE
};

typedef struct magnitudes {
    uint64_t bins[HISTOGRAM_BINS];
} magnitudes;

/* Count the coefficients in an area of a subband, of every `every`-th row (if there are enough of them) as if
 * the rows between were alike, and all `share` times. */
void j2k_histogram_add(magnitudes *h, const subband *band, bool reversible, rect area, uint32_t every,
                       uint32_t share);

/* Squared error that a quantiser of this step (for coefficients of weight 1) leaves in the image, midpoints
 * being reconstructed. */
double j2k_histogram_error(const magnitudes *h, double step);

/* The step that leaves this error. */
double j2k_histogram_step_for_error(const magnitudes *h, double squared_error);

/* Bytes that HT cleanup passes take at this step, packet headers not included: within some percent. */
double j2k_histogram_ht_bytes(const magnitudes *h, double step);
double j2k_histogram_step_for_ht_bytes(const magnitudes *h, double bytes);

#endif
