/* The MQ encoder for 64 or 32 code-blocks at once, AVX-512 (T.800 annex C.2): no gathers, no scatters.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../ebcot_lanes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "mq_enc_columns.h"
#include "target_avx512.h"

/* How a step works.
 *
 * States: one vector of 64 bytes for each of the 19 contexts. A lane's state is picked by a tree of blends
 * that the bits of the symbols steer, and written back by comparing the symbol with each context. Qe, next
 * states and shift counts are byte permutes in tables of 64.
 *
 * Registers: A and C in 16-bit elements, the even lanes and the odd lanes apart; C in two halves that a
 * funnel shift moves together.
 *
 * Byte-out happens in every step, for the lanes that a mask names. A finished byte has to be known at
 * once, since an FF changes what follows; it goes with its lane's number, compressed, to a log that is
 * replayed into the lanes' buffers one chunk later, in between the steps, where it costs nothing. */

/* Constants are read from memory through a pointer that the compiler cannot see through: it would
 * otherwise rebuild each of them in every step. */
#define X64(x)                                                                                               \
    {                                                                                                        \
        x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x,   \
            x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x      \
    }
#define X32(x)                                                                                               \
    { x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x }
/* Numbers of the even lanes, plus n, in the upper bytes. */
#define E(n, i) ((n) + 2 * (i)) << 8
#define LANES(n, low)                                                                                        \
    {                                                                                                        \
        E(n, 0) | low, E(n, 1) | low, E(n, 2) | low, E(n, 3) | low, E(n, 4) | low, E(n, 5) | low,            \
            E(n, 6) | low, E(n, 7) | low, E(n, 8) | low, E(n, 9) | low, E(n, 10) | low, E(n, 11) | low,      \
            E(n, 12) | low, E(n, 13) | low, E(n, 14) | low, E(n, 15) | low, E(n, 16) | low, E(n, 17) | low,  \
            E(n, 18) | low, E(n, 19) | low, E(n, 20) | low, E(n, 21) | low, E(n, 22) | low, E(n, 23) | low,  \
            E(n, 24) | low, E(n, 25) | low, E(n, 26) | low, E(n, 27) | low, E(n, 28) | low, E(n, 29) | low,  \
            E(n, 30) | low, E(n, 31) | low                                                                   \
    }

/* Tables of table C.2; entry 63 is the state of no-ops, with Qe 0. */
typedef struct constants {
    uint8_t context[NUM_CONTEXTS][64], bit[5][64], context_mask[64], mps[64], no_op[64];
    uint8_t qe_low[64], qe_high[64], next_mps[64], next_lps[64], shift[64];
    uint16_t w1[32], w2[32], w7[32], w8[32], w15[32], w255[32], w7ff[32], w80[32];
    uint16_t lane[2][32], lane_ff[2][32]; /* even, odd */
} constants;

static const constants table __attribute__((aligned(64))) = {
    {X64(0), X64(1), X64(2), X64(3), X64(4), X64(5), X64(6), X64(7), X64(8), X64(9), X64(10), X64(11),
     X64(12), X64(13), X64(14), X64(15), X64(16), X64(17), X64(18)},
    {X64(1), X64(2), X64(4), X64(8), X64(16)},
    X64(31),
    X64(0x80),
    X64(63),
    {MQ_STATE_LIST(QE_LOW)},
    {MQ_STATE_LIST(QE_HIGH)},
    {MQ_STATE_LIST(NEXT_MPS)[63] = 63},
    {MQ_STATE_LIST(NEXT_LPS)[63] = 63},
    {MQ_STATE_LIST(SHIFT)},
    X32(1),
    X32(2),
    X32(7),
    X32(8),
    X32(15),
    X32(255),
    X32(0x7FF),
    X32(0x80),
    {LANES(0, 0), LANES(1, 0)},
    {LANES(0, 255), LANES(1, 255)},
};

#define EVEN_BYTES UINT64_C(0x5555555555555555)

#define NUM_LANES 64
#include "mq_enc_avx512_body.h"
#define NUM_LANES 32
#include "mq_enc_avx512_body.h"

#include "target_end.h"
#else
typedef int j2k_no_avx512;
#endif
