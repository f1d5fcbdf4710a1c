/* What the processor can do.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "j2k.h"

#if defined(__x86_64__) || defined(_M_X64) || defined(__i386__) || defined(_M_IX86)
#define CPU_X86 1
#if defined(_MSC_VER) && !defined(__clang__)
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

#ifdef CPU_X86

typedef struct cpuid_leaf {
    unsigned eax, ebx, ecx, edx;
} cpuid_leaf;

/* All zero when the processor does not have the leaf. */
static cpuid_leaf cpuid(unsigned leaf, unsigned subleaf) {
    cpuid_leaf r = {0, 0, 0, 0};
#if defined(_MSC_VER) && !defined(__clang__)
    int v[4];
    __cpuid(v, (int)(leaf & 0x80000000u));
    if ((unsigned)v[0] < leaf)
        return r;
    __cpuidex(v, (int)leaf, (int)subleaf);
    r.eax = (unsigned)v[0], r.ebx = (unsigned)v[1], r.ecx = (unsigned)v[2], r.edx = (unsigned)v[3];
#else
    if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) {
        cpuid_leaf none = {0, 0, 0, 0};
        return none;
    }
#endif
    return r;
}

/* XCR0: which register states the operating system saves. Only to be read when CPUID says OSXSAVE. */
static unsigned extended_state(void) {
#if defined(_MSC_VER) && !defined(__clang__)
    return (unsigned)_xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" /* xgetbv */ : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

static int has_all(unsigned value, unsigned mask) {
    return (value & mask) == mask;
}

/* Intel SDM volume 2A, CPUID: the bits of each leaf that one flag of j2k_cpu stands for. */
unsigned j2k_cpu_flags(void) {
    const unsigned leaf1_sse41 = 1u << 0 | 1u << 9 | 1u << 19;             /* SSE3, SSSE3, SSE4.1 */
    const unsigned leaf1_avx2 = 1u << 12 | 1u << 23 | 1u << 27 | 1u << 28; /* FMA, POPCNT, OSXSAVE, AVX */
    const unsigned leaf7_avx2 = 1u << 3 | 1u << 5 | 1u << 8;               /* BMI1, AVX2, BMI2 */
    const unsigned extended_lzcnt = 1u << 5;
    const unsigned leaf7_avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F DQ CD BW VL */
    /* VBMI, VBMI2, GFNI, BITALG, VPOPCNTDQ */
    const unsigned leaf7c_avx512 = 1u << 1 | 1u << 6 | 1u << 8 | 1u << 12 | 1u << 14;
    const unsigned state_avx = 0x06, state_avx512 = 0xe6;

    unsigned flags = 0;
    cpuid_leaf l1 = cpuid(1, 0);
    if (!has_all(l1.ecx, leaf1_sse41))
        return flags;
    flags |= J2K_CPU_SSE41;
    if (!has_all(l1.ecx, leaf1_avx2))
        return flags;
    unsigned state = extended_state();
    cpuid_leaf l7 = cpuid(7, 0), extended = cpuid(0x80000001u, 0);
    if (!has_all(state, state_avx) || !has_all(l7.ebx, leaf7_avx2) || !has_all(extended.ecx, extended_lzcnt))
        return flags;
    flags |= J2K_CPU_AVX2;
    if (has_all(state, state_avx512) && has_all(l7.ebx, leaf7_avx512) && has_all(l7.ecx, leaf7c_avx512))
        flags |= J2K_CPU_AVX512;
    return flags;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

unsigned j2k_cpu_flags(void) {
    return J2K_CPU_NEON; /* part of the architecture */
}

#else

unsigned j2k_cpu_flags(void) {
    return 0;
}

#endif
