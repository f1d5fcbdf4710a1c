/* The transform kernels for AVX2.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../dsp.h"

#ifdef J2K_DSP_X86

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#include "lanes_avx2.h"

#define KERNEL_TABLE(stage) j2k_##stage##_avx2
#include "transform_body.h"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#else

typedef int j2k_transform_avx2_is_empty; /* a translation unit needs a declaration */

#endif
