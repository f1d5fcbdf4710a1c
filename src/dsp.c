/* Kernel tables: which one goes with which instruction set.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "dsp.h"

#include "j2k.h"

static const dsp_kernels scalar = {&j2k_dwt_c, &j2k_colour_c, &j2k_quant_c, &j2k_image_c};
#ifdef J2K_DSP_X86
static const dsp_kernels avx2 = {&j2k_dwt_avx2, &j2k_colour_avx2, &j2k_quant_avx2, &j2k_image_avx2};
static const dsp_kernels avx512 = {&j2k_dwt_avx512, &j2k_colour_avx512, &j2k_quant_avx512, &j2k_image_avx512};
#endif

const dsp_kernels *j2k_dsp_get(unsigned cpu) {
#ifdef J2K_DSP_X86
    if (cpu & J2K_CPU_AVX512)
        return &avx512;
    if (cpu & J2K_CPU_AVX2)
        return &avx2;
#else
    (void)cpu; /* the reference kernels are what a compiler makes vectors of by itself */
#endif
    return &scalar;
}
