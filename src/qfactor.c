/* Quantiser steps by the Qfactor of HTJ2K encoders.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "qfactor.h"

#include <math.h>

#include "tile.h"

/* The scale falls like that of JPEG's quality, never below what the samples' own rounding leaves. */
double j2k_qfactor_step(unsigned qfactor, unsigned depth, double *power) {
    static const double COARSE = 0.04, FINE = 0.10, WEIGHTED = 65, FLAT = 97;
    double q = qfactor, flat = fmin(fmax((q - WEIGHTED) / (FLAT - WEIGHTED), 0), 1);
    double scale = q < 50 ? 50 / q : 2 * (1 - q / 100);
    *power = 1 - flat;
    return (COARSE + (FINE - COARSE) * flat) * scale * exp2(depth) + sqrt(0.5);
}

double j2k_qfactor_weight(unsigned component, unsigned level, unsigned orientation) {
    enum { LEVELS = 5 };
    static const double WEIGHTS[3][LEVELS][2] = {
        /* HL and LH, HH */
        {{0.2758, 0.0901}, {0.8378, 0.7018}, {1, 1}, {1, 1}, {1, 1}},
        {{0.0863, 0.0263}, {0.2564, 0.1362}, {0.4691, 0.3346}, {0.6523, 0.5444}, {0.7797, 0.7078}},
        {{0.1835, 0.0773}, {0.4130, 0.2598}, {0.6464, 0.5040}, {0.8254, 0.7220}, {0.9424, 0.8769}},
    };
    if (orientation == BAND_LL || level < 1 || level > LEVELS)
        return 1;
    return WEIGHTS[component < 3 ? component : 0][level - 1][orientation == BAND_HH];
}
