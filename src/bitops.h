/* Bit counting on words, by the compiler's builtins where there are some.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_BITOPS_H
#define J2K_BITOPS_H

#include <stdint.h>

#include "error.h"

/* Index of the lowest set bit; x != 0. */
J2K_INLINE unsigned lowest_bit64(uint64_t x) {
#if defined(__GNUC__)
    return (unsigned)__builtin_ctzll(x);
#else
    unsigned n = 0;
    for (unsigned step = 32; step; step /= 2)
        if (!(x & ((UINT64_C(1) << step) - 1))) {
            x >>= step;
            n += step;
        }
    return n;
#endif
}

/* Leading zeros of 32 bits; x != 0. */
J2K_INLINE unsigned leading_zeros32(uint32_t x) {
#if defined(__GNUC__)
    return (unsigned)__builtin_clz(x);
#else
    unsigned n = 0;
    for (unsigned step = 16; step; step /= 2)
        if (!(x >> (32 - step))) {
            x <<= step;
            n += step;
        }
    return n;
#endif
}

/* Leading zeros of 64 bits; x != 0. */
J2K_INLINE unsigned leading_zeros64(uint64_t x) {
#if defined(__GNUC__)
    return (unsigned)__builtin_clzll(x);
#else
    unsigned n = 0;
    for (unsigned step = 32; step; step /= 2)
        if (!(x >> (64 - step))) {
            n += step;
            x <<= step;
        }
    return n;
#endif
}

/* Number of bits of the smallest integer type that holds x: 0 for 0. */
J2K_INLINE unsigned bit_length32(uint32_t x) {
    return x ? 32 - leading_zeros32(x) : 0;
}

J2K_INLINE unsigned bit_length64(uint64_t x) {
    return x ? 64 - leading_zeros64(x) : 0;
}

#endif
