/* The end of what target_avx2.h or target_avx512.h began.
 * SPDX-License-Identifier: BSD-3-Clause */
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
