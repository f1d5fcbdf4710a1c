/* Work that a stream may cause beyond what its size and the samples wanted pay for (docs/robustness.md).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_BUDGET_H
#define J2K_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* One of them lasts for a call of j2k_decode. A unit stands for some 100 ns or 500 bytes: a resolution of a
 * tile-component built, a code-block opened, eight places for precincts, sixteen steps that deliver no
 * packet.
 */
typedef struct budget {
    uint64_t left;
    bool exceeded; /* a request was refused */
} budget;

enum {
    BUDGET_BASE = 1 << 20, /* what any stream may take */
    BUDGET_PER_BYTE = 16,  /* more than a stream needs that spends a byte on every packet */
    BUDGET_SAMPLES = 8,    /* samples wanted that pay for a unit: a code-block has 16 or more */
    BUDGET_PRECINCTS = 8,  /* places for precincts that are a unit */
    BUDGET_STEPS = 16      /* steps of the packet iterator that are a unit */
};

/* False when there is not that much left. A NULL budget has no end. */
static inline bool budget_spend(budget *b, uint64_t units) {
    if (!b)
        return true;
    b->exceeded = b->exceeded || units > b->left;
    b->left -= units > b->left ? b->left : units;
    return !b->exceeded;
}

#endif
