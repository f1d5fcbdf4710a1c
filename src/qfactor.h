/* Quantiser steps by the Qfactor of HTJ2K encoders.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_QFACTOR_H
#define J2K_QFACTOR_H

/* The Qfactor is to HTJ2K what its quality is to JPEG: 1 to 100, the same number giving about the same
 * visible quality. D. Taubman, A. Naman, R. Mathew, M. Smith, O. Watanabe, P.-A. Lemieux, "High Throughput
 * JPEG 2000 (HTJ2K): Algorithm, Performance and Potential" (white paper, htj2k.com); visual weights: W. Zeng,
 * S. Daly, S. Lei, "An overview of the visual optimization tools in JPEG 2000", Signal Processing: Image
 * Communication 17 (2002), table 2. */

/* The step of a subband of norm 1 and weight 1, in sample units: for samples of `depth` bits. *power: how far
 * visual weights count, from 1 (Qfactors up to 65) to 0 (from 97 on). */
double j2k_qfactor_step(unsigned qfactor, unsigned depth, double *power);

/* The visual weight that divides a subband's step. component: 0 luminance, 1 Cb, 2 Cr. level: decompositions,
 * 1 or more; LL has weight 1. */
double j2k_qfactor_weight(unsigned component, unsigned level, unsigned orientation);

#endif
