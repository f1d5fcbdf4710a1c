/* The scalar coding passes of the Part 1 block decoder, compiled for BMI1, BMI2, LZCNT and AVX2.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx2.h"

#define EBCOT_DEC_BMI2
#include "../ebcot_dec_passes.h"

const ebcot_dec_kernels *j2k_ebcot_dec_kernels_avx2(void) {
    return &EBCOT_DEC_KERNELS;
}

#include "target_end.h"

#else
#include "../ebcot_dec.h"

const ebcot_dec_kernels *j2k_ebcot_dec_kernels_avx2(void) {
    return NULL;
}
#endif
