/* The MQ encoder (T.800 annex C.2), and how much of its output a decoder needs.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "mq.h"

#include "bitops.h"

/* What a decision does in a state: one row for each of 4 * index + 2 * MPS + decision. */
typedef struct mq_row {
    uint16_t qe;
    uint8_t is_lps;
    uint8_t next; /* 4 * index + 2 * MPS after renormalisation */
} mq_row;

/* clang-format off */
#define ROWS(index, qe, nmps, nlps, flips)                                                                   \
    {qe, 0, 4 * (nmps)}, {qe, 1, 4 * (nlps) + 2 * (flips)},                                                  \
    {qe, 1, 4 * (nlps) + 2 * !(flips)}, {qe, 0, 4 * (nmps) + 2},
/* clang-format on */

static const mq_row mq_rows[4 * MQ_NUM_STATES] = {MQ_STATE_LIST(ROWS)};

/* Hide a value's origin from the optimiser: compilers turn arithmetic with masks back into branches, and
 * every one of these would be mispredicted. */
#if defined(__GNUC__)
#define OPAQUE(x) __asm__("" : "+r"(x))
#else
#define OPAQUE(x) ((void)0)
#endif

void j2k_mq_set_contexts(mq_contexts *contexts, const uint8_t *indices, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        contexts->state[i] = (uint8_t)(4 * indices[i]);
}

void j2k_mq_begin(mq_registers *mq, uint8_t *start) {
    mq->next = start - 1;
    mq->b = *mq->next; /* no carry ever reaches it: the code begins below it with a 0 */
    mq->c = 0;
    mq->a = 0x8000;
    mq->ct = 12;
}

/* BYTEOUT (figure C.8), repeated while a shift by several bits has completed more than one byte. C keeps
 * the bits that were shifted too far: with CT <= 0 the byte is at bit 19 - CT. */
#define BYTE_OUT(next, b, c, ct)                                                                             \
    do {                                                                                                     \
        int at = 19 - (ct);                                                                                  \
        uint32_t byte = (uint32_t)((c) >> at); /* with the carry in bit 8 */                                 \
        if (J2K_LIKELY((b) != 0xFF)) {                                                                       \
            (b) += byte >> 8;                                                                                \
            byte &= 0xFF;                                                                                    \
            if (J2K_LIKELY((b) != 0xFF)) {                                                                   \
                *(next)++ = (uint8_t)(b);                                                                    \
                (b) = byte;                                                                                  \
                (c) &= (UINT64_C(1) << at) - 1;                                                              \
                (ct) += 8;                                                                                   \
                continue;                                                                                    \
            }                                                                                                \
        }                                                                                                    \
        *(next)++ = 0xFF; /* 7 bits follow, below a place for the carry */                                   \
        (b) = byte >> 1;                                                                                     \
        (c) &= (UINT64_C(1) << (at + 1)) - 1;                                                                \
        (ct) += 7;                                                                                           \
    } while ((ct) <= 0)

void j2k_mq_encode(mq_registers *mq, mq_contexts *contexts, const uint8_t *symbols, size_t count) {
    uint8_t *next = mq->next;
    uint64_t c = mq->c;
    uint32_t a = mq->a, b = mq->b;
    int32_t ct = mq->ct;
    for (const uint8_t *end = symbols + count; symbols < end; symbols++) {
        unsigned symbol = *symbols;
        uint8_t *state = &contexts->state[symbol & MQ_CONTEXT_MASK];
        unsigned before = *state;
        mq_row row = mq_rows[before | symbol >> MQ_DECISION_SHIFT];
        uint32_t qe = row.qe, rest = a - qe;
        /* CODEMPS and CODELPS (figures C.6 and C.7) without branches: the interval becomes Qe, at the
         * lower end, for an LPS unless Qe is the larger part, and for an MPS when it is (conditional
         * exchange). */
        uint32_t take_qe = 0U - (((rest - qe) >> 31) ^ row.is_lps);
        OPAQUE(take_qe);
        uint32_t interval = rest ^ ((rest ^ qe) & take_qe);
        c += qe & ~take_qe;
        unsigned shift = leading_zeros32(interval) - 16;
        uint32_t renormalised = 0U - ((0U - shift) >> 31);
        OPAQUE(renormalised);
        *state = (uint8_t)(before ^ ((before ^ row.next) & renormalised));
        a = interval << shift;
        c <<= shift;
        ct -= (int32_t)shift;
        if (ct <= 0)
            BYTE_OUT(next, b, c, ct);
    }
    mq->next = next;
    mq->c = c;
    mq->a = a;
    mq->b = b;
    mq->ct = ct;
}

void j2k_mq_get_mark(const mq_registers *mq, const uint8_t *segment, mq_mark *mark) {
    mark->bytes = (uint32_t)(mq->next + 1 - segment);
    mark->c = (uint32_t)mq->c;
    mark->a = (uint16_t)mq->a;
    mark->b = (uint8_t)mq->b;
    mark->ct = (uint8_t)mq->ct;
}

/* One byte-out of what is in C after shifting it by CT. */
static void shift_byte_out(mq_registers *mq) {
    mq->c <<= mq->ct;
    mq->ct = 0;
    BYTE_OUT(mq->next, mq->b, mq->c, mq->ct);
}

/* Store B unless it is FF, which a decoder supplies itself. */
static uint8_t *store_last_byte(mq_registers *mq) {
    if (mq->b != 0xFF)
        *mq->next++ = (uint8_t)mq->b;
    return mq->next;
}

uint8_t *j2k_mq_flush(mq_registers *mq) {
    /* SETBITS (figure C.12): as many ones as fit below the upper end of the interval. */
    uint64_t limit = mq->c + mq->a;
    mq->c |= 0xFFFF;
    if (mq->c >= limit)
        mq->c -= 0x8000;
    shift_byte_out(mq);
    shift_byte_out(mq);
    return store_last_byte(mq);
}

uint8_t *j2k_mq_flush_predictable(mq_registers *mq) {
    int bits = 11 - mq->ct + 1; /* that must leave C */
    while (bits > 0) {
        shift_byte_out(mq);
        bits -= mq->ct;
    }
    return store_last_byte(mq);
}

/* The value that a decoder sees when the bytes from `length` on are replaced by ones, relative to B as it
 * was at the mark, in units of the mark's A. Stuffed bits make bytes after FF overlap by one bit, so that
 * a carry there adds to the byte before. */
static uint64_t decoder_value(const uint8_t *segment, size_t length, const mq_mark *mark) {
    unsigned wanted = 27U - mark->ct, bits = 0;
    size_t at = mark->bytes;
    uint64_t value = 0;
    bool after_ff = false;
    if (at > 0) {
        uint8_t last = segment[at - 1];
        value = (uint64_t)last - mark->b;
        after_ff = last == 0xFF;
    }
    while (bits < wanted || (after_ff && at < length)) {
        if (at >= length) {
            value = value << 8 | 0xFF;
            bits += 8;
            continue;
        }
        unsigned width = after_ff ? 7 : 8;
        value = (value << width) + segment[at];
        bits += width;
        after_ff = segment[at++] == 0xFF;
    }
    return value >> (bits - wanted);
}

static bool decodes(const mq_mark *mark, uint64_t value) {
    return value >= mark->c && value - mark->c < mark->a;
}

/* All bits of segment[at] that are not stuffed are ones. */
static bool is_ones(const uint8_t *segment, size_t at) {
    return segment[at] == 0xFF || (at > 0 && segment[at] == 0x7F && segment[at - 1] == 0xFF);
}

size_t j2k_mq_truncate(const uint8_t *segment, size_t length, const mq_mark *mark) {
    /* A decoder decodes right up to the mark if and only if its value lies in [C, C + A). The whole
     * segment's does, and so does that of its first bytes until the ones lift it too far. 27 bits below B
     * matter. */
    size_t first = mark->bytes; /* the first byte behind B */
    size_t n = first + 6 < length ? first + 6 : length;
    while (n < length && !decodes(mark, decoder_value(segment, n, mark)))
        n++;
    while (n > first && decodes(mark, decoder_value(segment, n - 1, mark)))
        n--;
    if (n > first || n == 0)
        return n;
    /* Leave out B too: the difference between ones and B comes on top. */
    uint64_t ones = n > 1 && segment[n - 2] == 0xFF ? 0x7F : 0xFF;
    unsigned wanted = 27U - mark->ct;
    uint64_t value = ((ones - mark->b + 1) << wanted) - 1;
    if (!decodes(mark, value))
        return n;
    /* And ones before it are what the decoder reads anyway. */
    for (n--; n > 0 && is_ones(segment, n - 1);)
        n--;
    return n;
}
