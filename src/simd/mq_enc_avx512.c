/* The MQ encoder for 64 code-blocks at once, AVX-512 (T.800 annex C.2): no gathers, no scatters.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../ebcot_lanes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

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
typedef __m512i vec;

#define EVEN_BYTES UINT64_C(0x5555555555555555)

/* Registers of the even or of the odd lanes. B has the lane's number in its upper byte. */
typedef struct half {
    vec a, c_low, c_high, ct, b;
} half;

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
#define QE_LOW(i, qe, nmps, nlps, flips)   [i] = (qe)&255,
#define QE_HIGH(i, qe, nmps, nlps, flips)  [i] = (qe) >> 8,
#define NEXT_MPS(i, qe, nmps, nlps, flips) [i] = nmps,
#define NEXT_LPS(i, qe, nmps, nlps, flips) [i] = (nlps) | (flips) << 7,
#define SHIFT(i, qe, nmps, nlps, flips)                                                                      \
    [i] = (qe) >= 0x8000   ? 0                                                                               \
          : (qe) >= 0x4000 ? 1                                                                               \
          : (qe) >= 0x2000 ? 2                                                                               \
          : (qe) >= 0x1000 ? 3                                                                               \
          : (qe) >= 0x800  ? 4                                                                               \
          : (qe) >= 0x400  ? 5                                                                               \
          : (qe) >= 0x200  ? 6                                                                               \
          : (qe) >= 0x100  ? 7                                                                               \
          : (qe) >= 0x80   ? 8                                                                               \
          : (qe) >= 0x40   ? 9                                                                               \
          : (qe) >= 0x20   ? 10                                                                              \
          : (qe) >= 0x10   ? 11                                                                              \
          : (qe) >= 8      ? 12                                                                              \
          : (qe) >= 4      ? 13                                                                              \
          : (qe) >= 2      ? 14                                                                              \
                           : 15,

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

J2K_INLINE vec constant(const void *p) {
    return _mm512_load_si512(p);
}
#define K(member) constant(k->member)

/* One step of 32 lanes. add: the interval becomes A - Qe, and C moves up by Qe; else it becomes Qe (C.2.5
 * and C.2.6 with the conditional exchange). Returns A - Qe, whose top bit tells whether an MPS
 * renormalises. */
J2K_INLINE vec step_half(half *h, vec qe, vec qe_shift, __mmask32 lps, unsigned odd, uint16_t **log_end,
                         const constants *k) {
    uint16_t *log = *log_end;
    vec rest = _mm512_sub_epi16(h->a, qe);
    __mmask32 smaller = _mm512_cmplt_epu16_mask(rest, qe), add = _kxnor_mask32(lps, smaller);
    /* A - Qe is at least 0x8000 - 0x5601: it needs a shift of 2 at most, 2 - (A >> 14) saturated. */
    vec shift = _mm512_mask_subs_epu16(qe_shift, add, K(w2), _mm512_srli_epi16(rest, 14));
    h->a = _mm512_sllv_epi16(_mm512_mask_mov_epi16(qe, add, rest), shift);
    vec low = _mm512_mask_add_epi16(h->c_low, add, h->c_low, qe);
    __mmask32 carry = _mm512_cmplt_epu16_mask(low, h->c_low);
    vec high = _mm512_mask_add_epi16(h->c_high, carry, h->c_high, K(w1));
    vec ct = h->ct, b = h->b, part = _mm512_min_epu16(shift, ct);
    __mmask32 out = _mm512_cmpge_epu16_mask(shift, ct);
    for (;;) {
        high = _mm512_shldv_epi16(high, low, part);
        low = _mm512_sllv_epi16(low, part);
        shift = _mm512_sub_epi16(shift, part);
        ct = _mm512_sub_epi16(ct, part);
        /* Bits 16 to 27 of C are in `high`: a carry is bit 11, the byte bits 3 to 10, or 4 to 11 behind an
         * FF. */
        __mmask32 no_ff = _mm512_mask_cmpneq_epi16_mask(out, b, K(lane_ff[odd]));
        vec finished = _mm512_mask_add_epi16(b, no_ff, b, _mm512_srli_epi16(high, 11));
        __mmask32 ff = _mm512_mask_cmpeq_epi16_mask(out, finished, K(lane_ff[odd]));
        high = _mm512_mask_mov_epi16(high, no_ff, _mm512_and_si512(high, K(w7ff)));
        vec byte = _mm512_mask_srli_epi16(_mm512_srli_epi16(high, 3), ff, high, 4);
        _mm512_storeu_si512(log, _mm512_maskz_compress_epi16(out, finished));
        log += _mm_popcnt_u32(_cvtmask32_u32(out));
        b = _mm512_mask_add_epi16(b, out, byte, K(lane[odd]));
        vec kept = _mm512_mask_mov_epi16(K(w7), ff, K(w15));
        high = _mm512_mask_mov_epi16(high, out, _mm512_and_si512(high, kept));
        ct = _mm512_mask_mov_epi16(ct, out, K(w8));
        ct = _mm512_mask_sub_epi16(ct, ff, ct, K(w1));
        out = _mm512_mask_cmpge_epu16_mask(out, shift, ct);
        if (J2K_LIKELY(_kortestz_mask32_u8(out, out)))
            break;
        part = _mm512_maskz_mov_epi16(out, ct);
    }
    h->c_high = _mm512_shldv_epi16(high, low, shift);
    h->c_low = _mm512_sllv_epi16(low, shift);
    h->ct = _mm512_sub_epi16(ct, shift);
    h->b = b;
    *log_end = log;
    return rest;
}

#define BLEND(mask, zero, one) _mm512_mask_mov_epi8(zero, mask, one)

/* Every lane's state of its symbol's context. */
J2K_INLINE vec pick_states(const vec *t, vec symbols, const constants *k) {
    __mmask64 b0 = _mm512_test_epi8_mask(symbols, K(bit[0])), b1 = _mm512_test_epi8_mask(symbols, K(bit[1]));
    __mmask64 b2 = _mm512_test_epi8_mask(symbols, K(bit[2])), b3 = _mm512_test_epi8_mask(symbols, K(bit[3]));
    __mmask64 b4 = _mm512_test_epi8_mask(symbols, K(bit[4]));
    vec p0 = BLEND(b1, BLEND(b0, t[0], t[1]), BLEND(b0, t[2], t[3]));
    vec p1 = BLEND(b1, BLEND(b0, t[4], t[5]), BLEND(b0, t[6], t[7]));
    vec p2 = BLEND(b1, BLEND(b0, t[8], t[9]), BLEND(b0, t[10], t[11]));
    vec p3 = BLEND(b1, BLEND(b0, t[12], t[13]), BLEND(b0, t[14], t[15]));
    vec p4 = BLEND(b1, BLEND(b0, t[16], t[17]), BLEND(b0, t[18], K(no_op)));
    return BLEND(b4, BLEND(b3, BLEND(b2, p0, p1), BLEND(b2, p2, p3)), p4);
}

/* One symbol in every lane. */
J2K_INLINE uint16_t *step(vec *states, half *even, half *odd, vec symbols, uint16_t *log,
                          const constants *k) {
    __asm__ volatile("" : "+r"(k), "+r"(states) : : "memory");
    vec s = pick_states(states, symbols, k);
    vec qe_low = _mm512_permutexvar_epi8(s, K(qe_low)), qe_high = _mm512_permutexvar_epi8(s, K(qe_high));
    vec shift = _mm512_permutexvar_epi8(s, K(shift));
    vec differs = _mm512_xor_si512(symbols, s); /* bit 7: decision is not the MPS */
    __mmask64 lps = _mm512_movepi8_mask(differs);
    __mmask32 lps_even = _mm512_test_epi16_mask(differs, K(w80)), lps_odd = _mm512_movepi16_mask(differs);
    vec qe_e = _mm512_mask_mov_epi8(_mm512_slli_epi16(qe_high, 8), EVEN_BYTES, qe_low);
    vec qe_o = _mm512_mask_mov_epi8(_mm512_srli_epi16(qe_low, 8), ~EVEN_BYTES, qe_high);
    vec shift_e = _mm512_and_si512(shift, K(w255)), shift_o = _mm512_srli_epi16(shift, 8);
    vec rest_e = step_half(even, qe_e, shift_e, lps_even, 0, &log, k);
    vec rest_o = step_half(odd, qe_o, shift_o, lps_odd, 1, &log, k);
    /* The state changes with a renormalisation: after an LPS, or when A - Qe lost its top bit. */
    vec next = _mm512_permutexvar_epi8(s, K(next_mps));
    next = _mm512_mask_permutexvar_epi8(next, lps, s, K(next_lps));
    next = _mm512_ternarylogic_epi64(next, s, K(mps), 0xF0 ^ (0xCC & 0xAA)); /* next ^ (s & 0x80) */
    vec rests = _mm512_mask_mov_epi8(_mm512_srli_epi16(rest_e, 8), ~EVEN_BYTES, rest_o);
    __mmask64 top = _mm512_movepi8_mask(rests);
    next = _mm512_mask_mov_epi8(next, _kandn_mask64(lps, top), s);
    vec context = _mm512_and_si512(symbols, K(context_mask));
#pragma GCC unroll 19
    for (int i = 0; i < NUM_CONTEXTS; i++)
        states[i] = BLEND(_mm512_cmpeq_epi8_mask(context, K(context[i])), states[i], next);
    return log;
}

J2K_INLINE vec load_quarters(const uint8_t *const *source) {
    vec v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)source[0]));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)source[16]), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)source[32]), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)source[48]), 3);
}

/* The next chunk of every lane as 16 vectors, one a symbol. */
J2K_INLINE void load_chunk(mq_lanes *lanes, size_t chunk, vec symbols[16]) {
    enum { AHEAD = 256 }; /* bytes */
    vec t[16];
    for (int i = 0; i < 16; i++)
        symbols[i] = load_quarters(lanes->source + i);
    for (int i = 0; i < 64; i++)
        lanes->source[i] += lanes->advance[i];
    for (size_t i = chunk & 3; i < 64; i += 4) /* a line lasts four chunks */
        _mm_prefetch((const char *)lanes->source[i] + AHEAD, _MM_HINT_T0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            t[2 * i] = _mm512_unpacklo_epi8(symbols[i], symbols[i + 8]);
            t[2 * i + 1] = _mm512_unpackhi_epi8(symbols[i], symbols[i + 8]);
        }
        for (int i = 0; i < 8; i++) {
            symbols[2 * i] = _mm512_unpacklo_epi8(t[i], t[i + 8]);
            symbols[2 * i + 1] = _mm512_unpackhi_epi8(t[i], t[i + 8]);
        }
    }
}

static half load_half(const mq_lanes *lanes, unsigned odd) {
    half h = {_mm512_loadu_si512(lanes->a + 32 * odd), _mm512_loadu_si512(lanes->c_low + 32 * odd),
              _mm512_loadu_si512(lanes->c_high + 32 * odd), _mm512_loadu_si512(lanes->ct + 32 * odd),
              _mm512_or_si512(_mm512_loadu_si512(lanes->b + 32 * odd), constant(table.lane[odd]))};
    return h;
}

static void store_half(mq_lanes *lanes, unsigned odd, const half *h) {
    _mm512_storeu_si512(lanes->a + 32 * odd, h->a);
    _mm512_storeu_si512(lanes->c_low + 32 * odd, h->c_low);
    _mm512_storeu_si512(lanes->c_high + 32 * odd, h->c_high);
    _mm512_storeu_si512(lanes->ct + 32 * odd, h->ct);
    _mm512_storeu_si512(lanes->b + 32 * odd, _mm512_and_si512(h->b, constant(table.w255)));
}

void j2k_mq_lanes_run_avx512(mq_lanes *lanes, size_t chunks) {
    vec states[NUM_CONTEXTS], symbols[LANE_CHUNK];
    half even = load_half(lanes, 0), odd = load_half(lanes, 1);
    for (int i = 0; i < NUM_CONTEXTS; i++)
        states[i] = _mm512_loadu_si512(lanes->states[i]);
    uint16_t *old = lanes->pending, *old_end = lanes->pending_end;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        load_chunk(lanes, chunk, symbols);
        /* Rounded up to a whole number of events a step with those of a lane that does not exist. */
        size_t per_step = ((size_t)(old_end - old) + LANE_CHUNK - 1) / LANE_CHUNK;
        for (uint16_t *e = old_end; e < old + LANE_CHUNK * per_step; e++)
            *e = MAX_LANES << 8;
        lanes->next[MAX_LANES] = lanes->nowhere;
        const uint16_t *event = old;
        uint16_t *current = old == lanes->logs[0] ? lanes->logs[1] : lanes->logs[0], *log = current;
        for (int i = 0; i < LANE_CHUNK; i++) {
            log = step(states, &even, &odd, symbols[i], log, &table);
            for (size_t n = 0; n < per_step; n++)
                lane_byte(lanes->next, *event++);
        }
        old = current;
        old_end = log;
    }
    lanes->pending = old;
    lanes->pending_end = old_end;
    for (int i = 0; i < NUM_CONTEXTS; i++)
        _mm512_storeu_si512(lanes->states[i], states[i]);
    store_half(lanes, 0, &even);
    store_half(lanes, 1, &odd);
}

#include "target_end.h"
#else
typedef int j2k_no_avx512;
#endif
