/* The MQ encoder for 32 code-blocks at once, AVX2 (T.800 annex C.2): no gathers, no scatters.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../ebcot_lanes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "mq_enc_columns.h"
#include "target_avx2.h"

/* As mq_enc_avx512.c, with other means: shifts by k are multiplications by 2^k, tables of 48 entries are
 * three byte shuffles and two blends, and a mask is a vector. Finished bytes are logged as whole vectors
 * with a mask of lanes. */
typedef __m256i vec;

enum { LANES = 32 };

/* Registers of the even or of the odd lanes. */
typedef struct half {
    vec a, c_low, c_high, ct, b;
} half;

/* Bytes that lanes have finished. Byte LANES is for a lane that does not exist. */
typedef struct event {
    uint32_t lanes;
    uint8_t bytes[LANES + 4];
} event;

/* Tables of table C.2 and powers of two, 16 bytes at a time; entry 47 is the state of no-ops, with Qe 0. */
static const uint8_t qe_low_table[48] = {MQ_STATE_LIST(QE_LOW)};
static const uint8_t qe_high_table[48] = {MQ_STATE_LIST(QE_HIGH)};
static const uint8_t shift_table[48] = {MQ_STATE_LIST(SHIFT)};
static const uint8_t next_mps_table[48] = {MQ_STATE_LIST(NEXT_MPS)[47] = 47};
static const uint8_t next_lps_table[48] = {MQ_STATE_LIST(NEXT_LPS)[47] = 47};
static const uint8_t power_table[16] = {1, 2, 4, 8, 16, 32, 64, 128};

typedef struct tables {
    vec qe_low[3], qe_high[3], shift[3], next_mps[3], next_lps[3], power;
} tables;

J2K_INLINE vec load_vec(const void *p) {
    return _mm256_loadu_si256(p);
}

static vec load_16(const uint8_t *table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
}

static void load_table(vec out[3], const uint8_t *table) {
    for (int i = 0; i < 3; i++)
        out[i] = load_16(table + 16 * i);
}

#define W(x) _mm256_set1_epi16((short)(x))
/* Bytes of `one` where the mask's top bits are set. */
#define BLEND(mask, zero, one) _mm256_blendv_epi8(zero, one, mask)

/* 2^x in 16-bit elements, x from 0 to 15: bytes x and x - 8, of which one is 0 to 7. */
J2K_INLINE vec power_of_two(vec x, const tables *t) {
    return _mm256_shuffle_epi8(t->power, _mm256_xor_si256(_mm256_mullo_epi16(x, W(0x0101)), W(0x0800)));
}

/* Entries of a table of 48; bit4 and bit5 have these bits of the indices in their top bits. */
J2K_INLINE vec look_up(const vec table[3], vec index, vec bit4, vec bit5) {
    vec low = BLEND(bit4, _mm256_shuffle_epi8(table[0], index), _mm256_shuffle_epi8(table[1], index));
    return BLEND(bit5, low, _mm256_shuffle_epi8(table[2], index));
}

/* C and A of a half moved up by `shift` bits. */
J2K_INLINE void move_up(half *h, vec shift, const tables *t) {
    vec factor = power_of_two(shift, t);
    h->c_high = _mm256_or_si256(_mm256_mullo_epi16(h->c_high, factor), _mm256_mulhi_epu16(h->c_low, factor));
    h->c_low = _mm256_mullo_epi16(h->c_low, factor);
    h->a = _mm256_mullo_epi16(h->a, factor);
}

/* What a step of 16 lanes leaves: A - Qe, and the bytes that the mask's lanes finished last. */
typedef struct half_result {
    vec rest, out, finished;
} half_result;

/* One step of 16 lanes. The interval becomes A - Qe, and C moves up by Qe, or it becomes Qe (C.2.5 and
 * C.2.6 with the conditional exchange). Bytes but the last of a step go to the log at once; odd tells
 * which lanes they are of. */
J2K_INLINE half_result step_half(half *h, vec qe, vec qe_shift, vec lps, bool odd, event **log,
                                 const tables *t) {
    half_result r;
    r.rest = _mm256_sub_epi16(h->a, qe);
    vec larger = _mm256_cmpeq_epi16(_mm256_max_epu16(r.rest, qe), r.rest),
        add = _mm256_xor_si256(lps, larger);
    /* A - Qe is at least 0x8000 - 0x5601: it needs a shift of 2 at most. */
    vec shift = BLEND(add, qe_shift, _mm256_subs_epu16(W(2), _mm256_srli_epi16(r.rest, 14)));
    h->a = BLEND(add, qe, r.rest);
    vec low = _mm256_add_epi16(h->c_low, _mm256_and_si256(qe, add));
    vec no_carry = _mm256_cmpeq_epi16(_mm256_max_epu16(low, h->c_low), low);
    h->c_high = _mm256_add_epi16(h->c_high, _mm256_add_epi16(no_carry, W(1)));
    h->c_low = low;
    vec part = _mm256_min_epu16(shift, h->ct);
    r.out = _mm256_cmpeq_epi16(part, h->ct);
    for (;;) {
        move_up(h, part, t);
        shift = _mm256_sub_epi16(shift, part);
        h->ct = _mm256_sub_epi16(h->ct, part);
        /* Bits 16 to 27 of C are in c_high: a carry is bit 11, the byte bits 3 to 10, or 4 to 11 behind an
         * FF. */
        vec no_ff = _mm256_andnot_si256(_mm256_cmpeq_epi16(h->b, W(255)), r.out);
        r.finished = _mm256_add_epi16(h->b, _mm256_and_si256(_mm256_srli_epi16(h->c_high, 11), no_ff));
        vec ff = _mm256_and_si256(r.out, _mm256_cmpeq_epi16(r.finished, W(255)));
        vec high = _mm256_andnot_si256(_mm256_and_si256(no_ff, W(0xF800)), h->c_high);
        vec byte = BLEND(ff, _mm256_srli_epi16(high, 3), _mm256_srli_epi16(high, 4));
        h->b = BLEND(r.out, h->b, byte);
        vec kept = _mm256_or_si256(_mm256_and_si256(ff, W(8)), W(7));
        h->c_high = BLEND(r.out, high, _mm256_and_si256(high, kept));
        h->ct = _mm256_add_epi16(h->ct, _mm256_add_epi16(_mm256_and_si256(r.out, W(8)), ff));
        vec again = _mm256_and_si256(r.out, _mm256_cmpeq_epi16(_mm256_min_epu16(shift, h->ct), h->ct));
        if (J2K_LIKELY(_mm256_testz_si256(again, again)))
            break;
        (*log)->lanes = (uint32_t)_mm256_movemask_epi8(r.out) & (odd ? 0xAAAAAAAAU : 0x55555555U);
        _mm256_storeu_si256((vec *)(*log)->bytes, odd ? _mm256_slli_epi16(r.finished, 8) : r.finished);
        ++*log;
        r.out = again;
        part = _mm256_and_si256(again, h->ct);
    }
    move_up(h, shift, t);
    h->ct = _mm256_sub_epi16(h->ct, shift);
    return r;
}

/* Every lane's state of its symbol's context. Left shifts bring the bits of the symbols to the tops of
 * bytes. */
#define S(context) load_vec(s[context])
J2K_INLINE vec pick_states(uint8_t (*s)[MAX_LANES], vec symbols) {
    vec b0 = _mm256_slli_epi16(symbols, 7), b1 = _mm256_slli_epi16(symbols, 6);
    vec b2 = _mm256_slli_epi16(symbols, 5), b3 = _mm256_slli_epi16(symbols, 4);
    vec b4 = _mm256_slli_epi16(symbols, 3), no_op = _mm256_set1_epi8(47);
    vec p0 = BLEND(b1, BLEND(b0, S(0), S(1)), BLEND(b0, S(2), S(3)));
    vec p1 = BLEND(b1, BLEND(b0, S(4), S(5)), BLEND(b0, S(6), S(7)));
    vec p2 = BLEND(b1, BLEND(b0, S(8), S(9)), BLEND(b0, S(10), S(11)));
    vec p3 = BLEND(b1, BLEND(b0, S(12), S(13)), BLEND(b0, S(14), S(15)));
    vec p4 = BLEND(b1, BLEND(b0, S(16), S(17)), BLEND(b0, S(18), no_op));
    return BLEND(b4, BLEND(b3, BLEND(b2, p0, p1), BLEND(b2, p2, p3)), p4);
}

/* One symbol in every lane. */
J2K_INLINE event *step(uint8_t (*states)[MAX_LANES], half *even, half *odd, vec symbols, event *log,
                       const tables *t) {
    vec s = pick_states(states, symbols), low_byte = W(0x00FF);
    vec index = _mm256_and_si256(s, _mm256_set1_epi8(0x3F));
    vec bit4 = _mm256_slli_epi16(s, 3), bit5 = _mm256_slli_epi16(s, 2);
    vec qe_low = look_up(t->qe_low, index, bit4, bit5), qe_high = look_up(t->qe_high, index, bit4, bit5);
    vec shift = look_up(t->shift, index, bit4, bit5);
    vec lps = _mm256_xor_si256(symbols, s); /* bit 7: decision is not the MPS */
    vec lps_even = _mm256_srai_epi16(_mm256_slli_epi16(lps, 8), 15), lps_odd = _mm256_srai_epi16(lps, 15);
    vec qe_e = _mm256_or_si256(_mm256_slli_epi16(qe_high, 8), _mm256_and_si256(qe_low, low_byte));
    vec qe_o = _mm256_or_si256(_mm256_srli_epi16(qe_low, 8), _mm256_andnot_si256(low_byte, qe_high));
    vec shift_e = _mm256_and_si256(shift, low_byte), shift_o = _mm256_srli_epi16(shift, 8);
    half_result e = step_half(even, qe_e, shift_e, lps_even, false, &log, t);
    half_result o = step_half(odd, qe_o, shift_o, lps_odd, true, &log, t);
    log->lanes = (uint32_t)_mm256_movemask_epi8(BLEND(low_byte, o.out, e.out));
    _mm256_storeu_si256((vec *)log->bytes, _mm256_or_si256(e.finished, _mm256_slli_epi16(o.finished, 8)));
    log++;
    /* The state changes with a renormalisation: after an LPS, or when A - Qe lost its top bit. */
    vec next = BLEND(lps, look_up(t->next_mps, index, bit4, bit5), look_up(t->next_lps, index, bit4, bit5));
    next = _mm256_xor_si256(next, _mm256_and_si256(s, _mm256_set1_epi8(-128)));
    vec top = BLEND(low_byte, o.rest, _mm256_srli_epi16(e.rest, 8));
    next = BLEND(_mm256_andnot_si256(lps, top), next, s);
    vec context = _mm256_and_si256(symbols, _mm256_set1_epi8(MQ_CONTEXT_MASK));
#pragma GCC unroll 19
    for (int c = 0; c < NUM_CONTEXTS; c++) {
        vec matches = _mm256_cmpeq_epi8(context, _mm256_set1_epi8((char)c));
        _mm256_storeu_si256((vec *)states[c], BLEND(matches, load_vec(states[c]), next));
    }
    return log;
}

/* The next chunk of every lane as 16 vectors, one a symbol. */
J2K_INLINE void load_chunk(mq_lanes *lanes, vec symbols[LANE_CHUNK]) {
    vec t[16];
    for (int i = 0; i < 16; i++)
        symbols[i] = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)lanes->source[i])),
            _mm_loadu_si128((const __m128i *)lanes->source[i + 16]), 1);
    for (int i = 0; i < LANES; i++)
        lanes->source[i] += lanes->advance[i];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            t[2 * i] = _mm256_unpacklo_epi8(symbols[i], symbols[i + 8]);
            t[2 * i + 1] = _mm256_unpackhi_epi8(symbols[i], symbols[i + 8]);
        }
        for (int i = 0; i < 8; i++) {
            symbols[2 * i] = _mm256_unpacklo_epi8(t[i], t[i + 8]);
            symbols[2 * i + 1] = _mm256_unpackhi_epi8(t[i], t[i + 8]);
        }
    }
}

/* Put logged bytes in their places: five of each event without a branch, which is more than most have; an
 * empty mask's lowest bit is number 32, the lane that does not exist. */
static void replay(mq_lanes *lanes, const event *log, const event *end) {
    uint8_t **next = lanes->next;
    next[LANES] = lanes->nowhere;
    for (; log < end; log++) {
        uint32_t left = log->lanes;
        for (int i = 0; i < 5; i++) {
            unsigned lane = _tzcnt_u32(left);
            left = _blsr_u32(left);
            *next[lane]++ = log->bytes[lane];
        }
        while (J2K_UNLIKELY(left)) {
            unsigned lane = _tzcnt_u32(left);
            left = _blsr_u32(left);
            *next[lane]++ = log->bytes[lane];
        }
    }
}

static half load_half(const mq_lanes *lanes, unsigned odd) {
    unsigned at = LANES / 2 * odd;
    half h = {_mm256_loadu_si256((const vec *)(lanes->a + at)),
              _mm256_loadu_si256((const vec *)(lanes->c_low + at)),
              _mm256_loadu_si256((const vec *)(lanes->c_high + at)),
              _mm256_loadu_si256((const vec *)(lanes->ct + at)),
              _mm256_loadu_si256((const vec *)(lanes->b + at))};
    return h;
}

static void store_half(mq_lanes *lanes, unsigned odd, const half *h) {
    unsigned at = LANES / 2 * odd;
    _mm256_storeu_si256((vec *)(lanes->a + at), h->a);
    _mm256_storeu_si256((vec *)(lanes->c_low + at), h->c_low);
    _mm256_storeu_si256((vec *)(lanes->c_high + at), h->c_high);
    _mm256_storeu_si256((vec *)(lanes->ct + at), h->ct);
    _mm256_storeu_si256((vec *)(lanes->b + at), h->b);
}

void j2k_mq_lanes_run_avx2(mq_lanes *lanes, size_t chunks) {
    event log[LANE_CHUNK * 3]; /* a step finishes two bytes a lane at most: see LANE_LOG */
    tables t;
    load_table(t.qe_low, qe_low_table);
    load_table(t.qe_high, qe_high_table);
    load_table(t.shift, shift_table);
    load_table(t.next_mps, next_mps_table);
    load_table(t.next_lps, next_lps_table);
    t.power = load_16(power_table);
    vec symbols[LANE_CHUNK];
    half even = load_half(lanes, 0), odd = load_half(lanes, 1);
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        load_chunk(lanes, symbols);
        event *end = log;
        for (int i = 0; i < LANE_CHUNK; i++)
            end = step(lanes->states, &even, &odd, symbols[i], end, &t);
        replay(lanes, log, end);
    }
    store_half(lanes, 0, &even);
    store_half(lanes, 1, &odd);
}

#include "target_end.h"
#else
typedef int j2k_no_avx2_mq;
#endif
