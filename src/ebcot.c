/* Context tables of Part 1 block coding (T.800 annex D), computed by the compiler.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "ebcot.h"

const uint8_t j2k_initial_states[NUM_CONTEXTS] = {[CTX_ZERO] = 4, [CTX_RUN] = 3, [CTX_UNIFORM] = 46};

/* Repeat a macro of an index for 0..7, 0..63 and 0..511. */
#define TIMES8(X, i)                                                                                         \
    X((i)), X((i) + 1), X((i) + 2), X((i) + 3), X((i) + 4), X((i) + 5), X((i) + 6), X((i) + 7)
#define TIMES64(X, i)                                                                                        \
    TIMES8(X, i), TIMES8(X, (i) + 8), TIMES8(X, (i) + 16), TIMES8(X, (i) + 24), TIMES8(X, (i) + 32),         \
        TIMES8(X, (i) + 40), TIMES8(X, (i) + 48), TIMES8(X, (i) + 56)
#define TIMES256(X, i) TIMES64(X, i), TIMES64(X, (i) + 64), TIMES64(X, (i) + 128), TIMES64(X, (i) + 192)
#define TIMES512(X)    TIMES256(X, 0), TIMES256(X, 256)

#define BIT(i, n)           ((i) >> (n)&1)
#define NIBBLE(constant, n) (uint8_t)((constant) >> (4 * (n)) & 15)
#define AT_MOST(x, limit)   ((x) > (limit) ? (limit) : (x))

/* Sums of horizontal, vertical and diagonal neighbours of a neighbourhood index. */
#define SUM_H(i) (BIT(i, 1) + BIT(i, 7))
#define SUM_V(i) (BIT(i, 3) + BIT(i, 5))
#define SUM_D(i) (BIT(i, 0) + BIT(i, 2) + BIT(i, 6) + BIT(i, 8))

/* Table D.1 as nibbles. LL and LH: one constant for each horizontal sum 0 to 2, nibble 3 V + min(D, 2).
 * HH: nibble 3 min(D, 3) + min(H + V, 2). */
#define ZERO_LL(h, v, d)                                                                                     \
    NIBBLE((h) == 0 ? 0x444333210ULL : (h) == 1 ? 0x777777665ULL : 0x888888888ULL, 3 * (v) + AT_MOST(d, 2))
#define ZERO_HH(hv, d) NIBBLE(0x888776543210ULL, 3 * AT_MOST(d, 3) + AT_MOST(hv, 2))

#define ENTRY_LL(i) ZERO_LL(SUM_H(i), SUM_V(i), SUM_D(i))
#define ENTRY_HL(i) ZERO_LL(SUM_V(i), SUM_H(i), SUM_D(i))
#define ENTRY_HH(i) ZERO_HH(SUM_H(i) + SUM_V(i), SUM_D(i))

const uint8_t j2k_zero_contexts[4][512] = {[BAND_LL] = {TIMES512(ENTRY_LL)},
                                           [BAND_HL] = {TIMES512(ENTRY_HL)},
                                           [BAND_LH] = {TIMES512(ENTRY_LL)},
                                           [BAND_HH] = {TIMES512(ENTRY_HH)}};

/* Table D.2: contributions of two neighbours, clipped to -1..1, here plus 1; table D.3: nibble 3 (H + 1) +
 * (V + 1) holds the context minus CTX_SIGN and, in bit 3, the XORbit. */
#define SIGNED(i, n)          (BIT(i, n) * (1 - 2 * BIT(i, (n) + 4)))
#define CONTRIBUTION(i, a, b) NIBBLE(0x22100UL, SIGNED(i, a) + SIGNED(i, b) + 2)
#define SIGN_NIBBLE(i)        NIBBLE(0x432109ABCULL, 3 * CONTRIBUTION(i, 0, 3) + CONTRIBUTION(i, 1, 2))
#define ENTRY_SIGN(i)         (uint8_t)((CTX_SIGN + (SIGN_NIBBLE(i) & 7)) | (SIGN_NIBBLE(i) >> 3) << 7)

const uint8_t j2k_sign_contexts[256] = {TIMES256(ENTRY_SIGN, 0)};
