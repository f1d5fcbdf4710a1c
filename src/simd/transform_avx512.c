/* The transform kernels for AVX-512.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../dsp.h"

#ifdef J2K_DSP_X86

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi")
#endif

#include "lanes_avx512.h"

#define KERNEL_TABLE(stage) j2k_##stage##_avx512
#include "transform_body.h"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#else

typedef int j2k_transform_avx512_is_empty; /* a translation unit needs a declaration */

#endif
