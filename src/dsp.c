/* Kernel tables: which one goes with which instruction set.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "dsp.h"

#include "j2k.h"

static const dsp_kernels scalar = {&j2k_dwt_c, &j2k_colour_c, &j2k_quant_c, &j2k_image_c};

const dsp_kernels *j2k_dsp_get(unsigned cpu) {
    (void)cpu;
    return &scalar;
}
