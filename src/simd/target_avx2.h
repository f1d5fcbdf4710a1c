/* Compile what follows for AVX2 and its companions, whatever the flags on the command line are; target_end.h
 * ends it. SPDX-License-Identifier: BSD-3-Clause */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt,fma")
#endif
