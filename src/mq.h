/* The MQ arithmetic coder: probability states (T.800 table C.2) and the scalar encoder (C.2).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_MQ_H
#define J2K_MQ_H

#include <stddef.h>
#include <stdint.h>

enum { MQ_NUM_STATES = 47 };

/* Table C.2: X(index, Qe, NMPS, NLPS, SWITCH), in order. Every coder builds its own packing from it. */
#define MQ_STATE_LIST(X)                                                                                     \
    X(0, 0x5601, 1, 1, 1)                                                                                    \
    X(1, 0x3401, 2, 6, 0)                                                                                    \
    X(2, 0x1801, 3, 9, 0)                                                                                    \
    X(3, 0x0AC1, 4, 12, 0)                                                                                   \
    X(4, 0x0521, 5, 29, 0)                                                                                   \
    X(5, 0x0221, 38, 33, 0)                                                                                  \
    X(6, 0x5601, 7, 6, 1)                                                                                    \
    X(7, 0x5401, 8, 14, 0)                                                                                   \
    X(8, 0x4801, 9, 14, 0)                                                                                   \
    X(9, 0x3801, 10, 14, 0)                                                                                  \
    X(10, 0x3001, 11, 17, 0)                                                                                 \
    X(11, 0x2401, 12, 18, 0)                                                                                 \
    X(12, 0x1C01, 13, 20, 0)                                                                                 \
    X(13, 0x1601, 29, 21, 0)                                                                                 \
    X(14, 0x5601, 15, 14, 1)                                                                                 \
    X(15, 0x5401, 16, 14, 0)                                                                                 \
    X(16, 0x5101, 17, 15, 0)                                                                                 \
    X(17, 0x4801, 18, 16, 0)                                                                                 \
    X(18, 0x3801, 19, 17, 0)                                                                                 \
    X(19, 0x3401, 20, 18, 0)                                                                                 \
    X(20, 0x3001, 21, 19, 0)                                                                                 \
    X(21, 0x2801, 22, 19, 0)                                                                                 \
    X(22, 0x2401, 23, 20, 0)                                                                                 \
    X(23, 0x2201, 24, 21, 0)                                                                                 \
    X(24, 0x1C01, 25, 22, 0)                                                                                 \
    X(25, 0x1801, 26, 23, 0)                                                                                 \
    X(26, 0x1601, 27, 24, 0)                                                                                 \
    X(27, 0x1401, 28, 25, 0)                                                                                 \
    X(28, 0x1201, 29, 26, 0)                                                                                 \
    X(29, 0x1101, 30, 27, 0)                                                                                 \
    X(30, 0x0AC1, 31, 28, 0)                                                                                 \
    X(31, 0x09C1, 32, 29, 0)                                                                                 \
    X(32, 0x08A1, 33, 30, 0)                                                                                 \
    X(33, 0x0521, 34, 31, 0)                                                                                 \
    X(34, 0x0441, 35, 32, 0)                                                                                 \
    X(35, 0x02A1, 36, 33, 0)                                                                                 \
    X(36, 0x0221, 37, 34, 0)                                                                                 \
    X(37, 0x0141, 38, 35, 0)                                                                                 \
    X(38, 0x0111, 39, 36, 0)                                                                                 \
    X(39, 0x0085, 40, 37, 0)                                                                                 \
    X(40, 0x0049, 41, 38, 0)                                                                                 \
    X(41, 0x0025, 42, 39, 0)                                                                                 \
    X(42, 0x0015, 43, 40, 0)                                                                                 \
    X(43, 0x0009, 44, 41, 0)                                                                                 \
    X(44, 0x0005, 45, 42, 0)                                                                                 \
    X(45, 0x0001, 45, 43, 0)                                                                                 \
    X(46, 0x5601, 46, 46, 0)

/* ---- the scalar encoder ---- */

/* A symbol is one decision: the context in the low 5 bits, the decision in bit 7. Context formation writes
 * arrays of them, and the coders read these. */
enum { MQ_DECISION_SHIFT = 7, MQ_CONTEXT_MASK = 31, MQ_MAX_CONTEXTS = 32 };

/* Registers of figure C.3. B is the byte that may still get a carry; it is not in memory yet. */
typedef struct mq_registers {
    uint8_t *next; /* where B goes */
    uint64_t c;
    uint32_t a;
    uint32_t b;
    int32_t ct;
} mq_registers;

/* Per context 4 * index into table C.2 + 2 * MPS. */
typedef struct mq_contexts {
    uint8_t state[MQ_MAX_CONTEXTS];
} mq_contexts;

/* The coder's state behind a coding pass, from which the length that the pass needs is found later. */
typedef struct mq_mark {
    uint32_t bytes; /* of the segment, up to and including B */
    uint32_t c;
    uint16_t a;
    uint8_t b, ct;
} mq_mark;

/* Set contexts to states of table C.2 (MPS 0). */
void j2k_mq_set_contexts(mq_contexts *contexts, const uint8_t *indices, unsigned count);

/* Start a codeword segment at `start` (INITENC). The byte before it takes part as the first B: it must
 * exist, is stored again with the value that it has, and may not be FF. */
void j2k_mq_begin(mq_registers *mq, uint8_t *start);

/* Code symbols. At most MQ_BYTES_BOUND(count) bytes are written from `next` on, a flush included. */
void j2k_mq_encode(mq_registers *mq, mq_contexts *contexts, const uint8_t *symbols, size_t count);

/* A decision shifts the interval by 15 bits at most, and of 8 bits in a byte 7 are new at least. */
#define MQ_BYTES_BOUND(count) ((size_t)(count)*15 / 7 + 16)

void j2k_mq_get_mark(const mq_registers *mq, const uint8_t *segment, mq_mark *mark);

/* End the segment; return its end. The last byte is never FF. */
uint8_t *j2k_mq_flush(mq_registers *mq);             /* figure C.11 */
uint8_t *j2k_mq_flush_predictable(mq_registers *mq); /* D.4.2 */

/* The least number of bytes of a finished segment from which a decoder, that reads ones behind them,
 * decodes every symbol before the mark. */
size_t j2k_mq_truncate(const uint8_t *segment, size_t length, const mq_mark *mark);

#endif
