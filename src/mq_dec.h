/* The MQ decoder (T.800 annex C.3) and the reading of codeword segments: bit-unstuffing, decisions, raw bits.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_MQ_DEC_H
#define J2K_MQ_DEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bitops.h"
#include "mq.h"

/* The conditional moves of a decision are spelled out in assembly where that is possible: compilers turn the
 * C form back into a branch that is mispredicted about every fourth time. Define J2K_NO_ASM for the C form.
 */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(J2K_NO_ASM)
#define MQ_DEC_ASM 1
#else
#define MQ_DEC_ASM 0
#endif

J2K_INLINE uint32_t load_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

J2K_INLINE void store_be32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* ---- bit-unstuffing
 *
 * The bytes of a codeword segment are turned into one plain string of bits before anything is decoded: 8 bits
 * a byte, 7 behind an FF, carries resolved, and ones without end behind the last byte or in front of a marker
 * (FF followed by a byte above 8F), as D.4.1 and BYTEIN (figure C.19) want. The decoders then read any number
 * of bits at once and need no byte-in logic.
 *
 * BYTEIN adds the carry of a byte 80..8F behind FF only when it comes to that byte; here it is there from the
 * start. That makes no difference to a codeword that an encoder can make: its interval never reaches across
 * such a carry. Damaged data may decode to something else than with BYTEIN, but always to the same. */

enum {
    /* Bytes of one codeword segment that are looked at. A block of 4096 samples and 30 bit-planes has fewer
     * than 4096 * 33 + 120 decisions, and none costs more than 17/3 bits on average (the worst cycle in table
     * C.2, 43 - 44 - 45 - 43), so that 112 KiB with stuffed bits can never be used up. */
    MQ_MAX_SEGMENT = 1 << 17,
    MQ_BITS_PREFIX = 8,  /* in front of the string: room for the carry out of the first bit */
    MQ_BITS_PADDING = 64 /* behind it: ones */
};

typedef struct unstuffer {
    uint64_t window; /* the last `count` bits, right-aligned; above them leftovers */
    unsigned count;  /* at most 47 between calls */
    bool after_ff, ended, raw;
    uint8_t *out; /* where the bits before the window went */
} unstuffer;

/* buffer: MQ_BITS_PREFIX + bytes + MQ_BITS_PADDING bytes. raw: a segment of the arithmetic coding bypass,
 * which has no carries. */
J2K_INLINE void unstuff_begin(unstuffer *u, uint8_t *buffer, bool raw) {
    memset(buffer, 0, MQ_BITS_PREFIX);
    u->window = 0;
    u->count = 0;
    u->after_ff = u->ended = false;
    u->raw = raw;
    u->out = buffer + MQ_BITS_PREFIX;
}

/* A byte 80..8F behind FF: add its carry. The prefix ends the run of FF at the latest. */
static inline void unstuff_carry(unstuffer *u, unsigned byte) {
    uint64_t sum = ((u->window & (((uint64_t)1 << u->count) - 1)) << 7) + byte;
    if (sum >> (u->count + 7)) {
        uint8_t *p = u->out;
        do
            p--;
        while (++*p == 0);
    }
    u->window = sum;
}

static inline void unstuff(unstuffer *u, const uint8_t *data, size_t size) {
    uint64_t window = u->window;
    unsigned count = u->count;
    const uint8_t *end = data + size;
    if (u->ended)
        return;
    while (data < end) {
        if (count <= 24 && !u->after_ff && end - data >= 4) { /* four bytes at once if none is FF */
            uint32_t word = load_be32(data);
            if (!((~word - 0x01010101u) & word & 0x80808080u)) {
                window = window << 32 | word;
                count += 32;
                data += 4;
                if (count >= 48) {
                    count -= 32;
                    store_be32(u->out, (uint32_t)(window >> count));
                    u->out += 4;
                }
                continue;
            }
        }
        unsigned byte = *data++;
        if (u->after_ff) {
            if (byte > 0x8F) {
                u->ended = true;
                break;
            }
            if (byte >= 0x80 && !u->raw) {
                u->window = window;
                u->count = count;
                unstuff_carry(u, byte);
                window = u->window;
            } else {
                window = window << 7 | (byte & 0x7F);
            }
            count += 7;
        } else {
            window = window << 8 | byte;
            count += 8;
        }
        u->after_ff = byte == 0xFF;
        if (count >= 48) {
            count -= 32;
            store_be32(u->out, (uint32_t)(window >> count));
            u->out += 4;
        }
    }
    u->window = window;
    u->count = count;
}

/* Returns where only ones follow: readers stop advancing there. */
static inline const uint8_t *unstuff_end(unstuffer *u) {
    uint64_t bits = ~(uint64_t)0;
    if (u->count)
        bits = u->window << (64 - u->count) | bits >> u->count;
    store_be32(u->out, (uint32_t)(bits >> 32));
    store_be32(u->out + 4, (uint32_t)bits);
    memset(u->out + 8, 0xFF, 32);
    return u->out + 8;
}

/* ---- decisions */

/* One context's state in a word: Qe in the top 16 bits, the indices of the next states after an LPS and an
 * MPS in bits 16 to 23 and 8 to 15, the MPS in bit 0. Index: 2 * (row of table C.2) + MPS. */
enum { MQ_DEC_STATES = 2 * MQ_NUM_STATES };
#define MQ_QE_MASK 0xFFFF000000000000u

static inline void mq_dec_states(uint64_t states[MQ_DEC_STATES]) {
#define MQ_DEC_STATE(index, qe, nmps, nlps, swap)                                                            \
    states[2 * (index)] =                                                                                    \
        (uint64_t)(qe) << 48 | (uint64_t)(2 * (nlps) + (swap)) << 16 | (uint64_t)(2 * (nmps)) << 8;          \
    states[2 * (index) + 1] = (uint64_t)(qe) << 48 | (uint64_t)(2 * (nlps) + 1 - (swap)) << 16 |             \
                              (uint64_t)(2 * (nmps) + 1) << 8 | 1;
    MQ_STATE_LIST(MQ_DEC_STATE)
#undef MQ_DEC_STATE
}

/* The registers A and Chigh of figure C.20 are the top 16 bits of `a` and `c`; below Chigh lie `count` more
 * bits, at least 15 before every decision, which is the most that one renormalisation takes. For raw bits
 * the next bit is the top bit of `c`, and count bits in all are there. */
typedef struct mq_reader {
    uint64_t a, c;
    int count;
    const uint8_t *next, *end;
} mq_reader;

/* INITDEC (figure C.20). buffer and end: as of unstuff_begin and unstuff_end. */
J2K_INLINE void mq_open(mq_reader *r, const uint8_t *buffer, const uint8_t *end, bool raw) {
    const uint8_t *bits = buffer + MQ_BITS_PREFIX;
    r->a = (uint64_t)1 << 63;
    r->c = raw ? (uint64_t)load_be32(bits) << 32 : (uint64_t)bits[-1] << 63 | (uint64_t)load_be32(bits) << 31;
    r->count = raw ? 32 : 17;
    r->next = bits + 4;
    r->end = end;
}

J2K_INLINE unsigned mq_decode(mq_reader *r, uint64_t *context, const uint64_t *states) {
    uint64_t state = *context, qe = state & MQ_QE_MASK;
    uint64_t next_mps = states[(uint8_t)(state >> 8)], next_lps = states[(uint8_t)(state >> 16)];
    uint32_t lps;
#if MQ_DEC_ASM
    /* a -= qe, the state stays when a >= 8000 (then neither exchange nor renormalisation are due); exchange =
     * a < qe; lower = c < qe: then a = qe, else c -= qe; lps = lower ^ exchange. */
    uint64_t upper;
    uint32_t exchange;
    __asm__("mov %[c], %[upper]\n\t"
            "sub %[qe], %[a]\n\t"
            "cmovs %[state], %[next]\n\t"
            "cmp %[qe], %[a]\n\t"
            "setb %b[exchange]\n\t"
            "sub %[qe], %[upper]\n\t"
            "cmovae %[upper], %[c]\n\t"
            "cmovb %[qe], %[a]\n\t"
            "setb %b[lps]\n\t"
            "xor %b[exchange], %b[lps]\n\t"
            "cmovne %[next_lps], %[next]"
            : [a] "+&r"(r->a), [c] "+&r"(r->c), [next] "+&r"(next_mps), [upper] "=&r"(upper),
              [exchange] "=&q"(exchange), [lps] "=&q"(lps)
            : [qe] "r"(qe), [state] "r"(state), [next_lps] "r"(next_lps)
            : "cc");
    lps = (uint8_t)lps;
    *context = next_mps;
#else
    uint64_t a = r->a - qe;
    uint64_t lower = (uint64_t)0 - (r->c < qe); /* masks instead of branches */
    lps = (uint32_t)(lower & 1) ^ (a < qe);
    uint64_t lps_mask = (uint64_t)0 - lps, stays = (uint64_t)0 - (a >> 63);
    r->c -= qe & ~lower;
    r->a = a ^ ((a ^ qe) & lower);
    next_mps ^= (next_mps ^ state) & stays;
    *context = next_mps ^ ((next_mps ^ next_lps) & lps_mask);
#endif
    unsigned shift = leading_zeros64(r->a);
    r->a <<= shift;
    r->c <<= shift;
    r->count -= (int)shift;
    if (J2K_UNLIKELY(r->count < 15)) {
        r->c |= (uint64_t)load_be32(r->next) << (16 - r->count);
        r->count += 32;
        r->next += 4;
        if (r->next > r->end)
            r->next = r->end;
    }
    return (unsigned)(state & 1) ^ lps;
}

J2K_INLINE unsigned raw_decode(mq_reader *r) {
    unsigned bit = (unsigned)(r->c >> 63);
    r->c <<= 1;
    if (J2K_UNLIKELY(--r->count == 0)) {
        r->c = (uint64_t)load_be32(r->next) << 32;
        r->count = 32;
        r->next += 4;
        if (r->next > r->end)
            r->next = r->end;
    }
    return bit;
}

#endif
