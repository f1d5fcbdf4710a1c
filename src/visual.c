/* Visual weights of subbands (T.800 J.12).
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "rate.h"

/* Contrast sensitivity at a spatial frequency in cycles a degree, 1 at most and nowhere less at lower
 * frequencies than at higher ones: the eye may come closer than assumed. Luminance: Movshon and Kiorpes,
 * "Analysis of the development of spatial contrast sensitivity in monkey and human infants", 1988. Colour
 * differences: Johnson and Fairchild, "A top down description of S-CIELAB and CIEDE2000", 2003. */
static double luminance_sensitivity(double f) {
    static const double PEAK = 4; /* where f^0.8 exp(-0.2 f) is greatest */
    return f <= PEAK ? 1 : pow(f / PEAK, 0.8) * exp(-0.2 * (f - PEAK));
}
static double red_green_sensitivity(double f) {
    return (109.1413 * exp(-0.00038 * pow(f, 3.4244)) + 93.5971 * exp(-0.00367 * pow(f, 2.1677))) / 202.7384;
}
static double blue_yellow_sensitivity(double f) {
    return (7.0328 + 40.6910 * exp(-0.10391 * pow(f, 1.6487))) / 47.7238;
}

double j2k_visual_weight(visual_kind kind, unsigned level, unsigned orientation) {
    /* Samples a degree at a distance of 2000 samples, one of the distances of table J.24; the middle of the
     * subband's octave, along the diagonal for HH. */
    static const double SAMPLES_A_DEGREE = 2000 * 3.14159265358979323846 / 180, MIDDLE = 0.75;
    if (orientation == BAND_LL || level == 0)
        return 1;
    double f = ldexp(SAMPLES_A_DEGREE, -(int)level) * MIDDLE * (orientation == BAND_HH ? sqrt(2) : 1);
    double sensitivity = kind == VISUAL_CB   ? blue_yellow_sensitivity(f)
                         : kind == VISUAL_CR ? red_green_sensitivity(f)
                                             : luminance_sensitivity(f);
    return sensitivity * sensitivity;
}
