/* Neighbourhoods in the block decoder's windows (see ebcot_dec.h for their layout).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_EBCOT_DEC_WINDOW_H
#define J2K_EBCOT_DEC_WINDOW_H

#include "ebcot_dec.h"

/* Own samples (and meaningless bits around) with a significant neighbour. */
J2K_INLINE uint64_t with_neighbours(uint64_t w) {
    uint64_t vertical = w << 1 | w >> 1, columns = w | vertical;
    return vertical | columns << 6 | columns >> 6;
}

/* Table index for the 3 x 3 neighbourhood n (its upper left sample in bit 0, columns of 6 bits): the columns
 * at bits 0, 6 and 12 are folded into 0 to 2, 6 and 8, and 3 to 5. */
J2K_INLINE unsigned zero_index(uint64_t n) {
    return (unsigned)(n & 0x147) | (unsigned)(n >> 9 & 0x38);
}

/* Left, above, below and right are bits 1, 6, 8 and 13; the signs go one further up, then 13 and 14 are
 * folded into 4 and 5. */
J2K_INLINE unsigned sign_index(uint64_t n, uint64_t negative) {
    unsigned both = (unsigned)(n & 0x2142) | (unsigned)(negative & 0x2142) << 1;
    return (both | both >> 9) & 0x3F6;
}

/* Own columns of which all 3 x 6 neighbours are insignificant, as bits in row 1. */
J2K_INLINE uint64_t quiet_columns(uint64_t w) {
    uint64_t any = w | w >> 1;
    any |= any >> 2;
    any |= w >> 4 | w >> 5;
    any &= WINDOW_ROW0;
    any |= any << 6 | any >> 6;
    return (~any & WINDOW_OWN0) << 1;
}

/* Samples of word i have become significant: show it to the words around, corners included for the
 * significance itself. A stripe does not see the one below it when contexts are vertically causal. (Bits 60
 * to 63 of words become meaningless by this.) */
J2K_INLINE void ebcot_spread(uint64_t *s, uint64_t *n, ptrdiff_t i, ptrdiff_t pitch, bool causal,
                             uint64_t became, uint64_t negative) {
    s[i - 1] |= became << 48;
    s[i + 1] |= became >> 48;
    n[i - 1] |= negative << 48;
    n[i + 1] |= negative >> 48;
    uint64_t below = became >> 4 & WINDOW_ROW0;
    s[i + pitch - 1] |= below << 48;
    s[i + pitch] |= below;
    s[i + pitch + 1] |= below >> 48;
    n[i + pitch] |= negative >> 4 & WINDOW_ROW0;
    if (!causal) {
        uint64_t above = became << 4 & WINDOW_ROW5;
        s[i - pitch - 1] |= above << 48;
        s[i - pitch] |= above;
        s[i - pitch + 1] |= above >> 48;
        n[i - pitch] |= negative << 4 & WINDOW_ROW5;
    }
}

#endif
