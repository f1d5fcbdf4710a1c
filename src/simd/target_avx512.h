/* Compile what follows for AVX-512, whatever the flags on the command line are; target_end.h ends it.
 * SPDX-License-Identifier: BSD-3-Clause */
#if defined(__clang__)
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,fma,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,"      \
                          "avx512vbmi,avx512vbmi2,gfni,avx512bitalg,avx512vpopcntdq"))),                     \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt,fma,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")
#pragma GCC target("avx512vbmi,avx512vbmi2,gfni,avx512bitalg,avx512vpopcntdq")
#endif
