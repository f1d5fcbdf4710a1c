/* The steps of the MQ encoder on vectors of 32 or 64 lanes: see mq_enc_avx512.c, which includes this once for
 * each width.
 * SPDX-License-Identifier: BSD-3-Clause */

/* NUM_LANES is defined before. */
#if NUM_LANES == 64
#define vec                   __m512i
#define byte_mask             __mmask64
#define word_mask             __mmask32
#define OP(name)              _mm512_##name
#define NAME(name)            name##_64
#define half                  half_64
#define RUN                   j2k_mq_lanes_run_avx512
#define AND_VEC(a, b)         _mm512_and_si512(a, b)
#define OR_VEC(a, b)          _mm512_or_si512(a, b)
#define XOR_VEC(a, b)         _mm512_xor_si512(a, b)
#define LOAD_VEC(p)           _mm512_loadu_si512(p)
#define STORE_VEC(p, v)       _mm512_storeu_si512(p, v)
#define LOOK_UP(table, index) _mm512_permutexvar_epi8(index, K(table))
#else
#define vec                   __m256i
#define byte_mask             __mmask32
#define word_mask             __mmask16
#define OP(name)              _mm256_##name
#define NAME(name)            name##_32
#define half                  half_32
#define RUN                   j2k_mq_lanes_run_avx512vl
#define AND_VEC(a, b)         _mm256_and_si256(a, b)
#define OR_VEC(a, b)          _mm256_or_si256(a, b)
#define XOR_VEC(a, b)         _mm256_xor_si256(a, b)
#define LOAD_VEC(p)           _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE_VEC(p, v)       _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define LOOK_UP(table, index) _mm256_permutex2var_epi8(K(table), index, LOAD_VEC(k->table + 32))
#endif
#define K(member) LOAD_VEC(k->member)

/* Registers of the even or of the odd lanes. B has the lane's number in its upper byte. */
typedef struct half {
    vec a, c_low, c_high, ct, b;
} half;

/* One step of the even or odd lanes. add: the interval becomes A - Qe, and C moves up by Qe; else it
 * becomes Qe (C.2.5 and C.2.6 with the conditional exchange). Returns A - Qe, whose top bit tells whether
 * an MPS renormalises. */
J2K_INLINE vec NAME(step_half)(half *h, vec qe, vec qe_shift, word_mask lps, unsigned odd, uint16_t **log_end,
                               const constants *k) {
    uint16_t *log = *log_end;
    vec rest = OP(sub_epi16)(h->a, qe);
    word_mask smaller = OP(cmplt_epu16_mask)(rest, qe), add = (word_mask) ~(lps ^ smaller);
    /* A - Qe is at least 0x8000 - 0x5601: it needs a shift of 2 at most, 2 - (A >> 14) saturated. */
    vec shift = OP(mask_subs_epu16)(qe_shift, add, K(w2), OP(srli_epi16)(rest, 14));
    h->a = OP(sllv_epi16)(OP(mask_mov_epi16)(qe, add, rest), shift);
    vec low = OP(mask_add_epi16)(h->c_low, add, h->c_low, qe);
    word_mask carry = OP(cmplt_epu16_mask)(low, h->c_low);
    vec high = OP(mask_add_epi16)(h->c_high, carry, h->c_high, K(w1));
    vec ct = h->ct, b = h->b, part = OP(min_epu16)(shift, ct);
    word_mask out = OP(cmpge_epu16_mask)(shift, ct);
    for (;;) {
        high = OP(shldv_epi16)(high, low, part);
        low = OP(sllv_epi16)(low, part);
        shift = OP(sub_epi16)(shift, part);
        ct = OP(sub_epi16)(ct, part);
        /* Bits 16 to 27 of C are in `high`: a carry is bit 11, the byte bits 3 to 10, or 4 to 11 behind an
         * FF. */
        word_mask no_ff = OP(mask_cmpneq_epi16_mask)(out, b, K(lane_ff[odd]));
        vec finished = OP(mask_add_epi16)(b, no_ff, b, OP(srli_epi16)(high, 11));
        word_mask ff = OP(mask_cmpeq_epi16_mask)(out, finished, K(lane_ff[odd]));
        high = OP(mask_mov_epi16)(high, no_ff, AND_VEC(high, K(w7ff)));
        vec byte = OP(mask_srli_epi16)(OP(srli_epi16)(high, 3), ff, high, 4);
        STORE_VEC(log, OP(maskz_compress_epi16)(out, finished));
        log += _mm_popcnt_u32(out);
        b = OP(mask_add_epi16)(b, out, byte, K(lane[odd]));
        vec kept = OP(mask_mov_epi16)(K(w7), ff, K(w15));
        high = OP(mask_mov_epi16)(high, out, AND_VEC(high, kept));
        ct = OP(mask_mov_epi16)(ct, out, K(w8));
        ct = OP(mask_sub_epi16)(ct, ff, ct, K(w1));
        out = OP(mask_cmpge_epu16_mask)(out, shift, ct);
        if (J2K_LIKELY(out == 0))
            break;
        part = OP(maskz_mov_epi16)(out, ct);
    }
    h->c_high = OP(shldv_epi16)(high, low, shift);
    h->c_low = OP(sllv_epi16)(low, shift);
    h->ct = OP(sub_epi16)(ct, shift);
    h->b = b;
    *log_end = log;
    return rest;
}

#define BLEND(mask, zero, one) OP(mask_mov_epi8)(zero, mask, one)

#define S(context) LOAD_VEC(t[context])
/* Every lane's state of its symbol's context. */
J2K_INLINE vec NAME(pick_states)(uint8_t (*t)[MAX_LANES], vec symbols, const constants *k) {
    byte_mask b0 = OP(test_epi8_mask)(symbols, K(bit[0])), b1 = OP(test_epi8_mask)(symbols, K(bit[1]));
    byte_mask b2 = OP(test_epi8_mask)(symbols, K(bit[2])), b3 = OP(test_epi8_mask)(symbols, K(bit[3]));
    byte_mask b4 = OP(test_epi8_mask)(symbols, K(bit[4]));
    vec p0 = BLEND(b1, BLEND(b0, S(0), S(1)), BLEND(b0, S(2), S(3)));
    vec p1 = BLEND(b1, BLEND(b0, S(4), S(5)), BLEND(b0, S(6), S(7)));
    vec p2 = BLEND(b1, BLEND(b0, S(8), S(9)), BLEND(b0, S(10), S(11)));
    vec p3 = BLEND(b1, BLEND(b0, S(12), S(13)), BLEND(b0, S(14), S(15)));
    vec p4 = BLEND(b1, BLEND(b0, S(16), S(17)), BLEND(b0, S(18), K(no_op)));
    return BLEND(b4, BLEND(b3, BLEND(b2, p0, p1), BLEND(b2, p2, p3)), p4);
}

/* One symbol in every lane. */
J2K_INLINE uint16_t *NAME(step)(uint8_t (*states)[MAX_LANES], half *even, half *odd, vec symbols,
                                uint16_t *log, const constants *k) {
    __asm__ volatile("" : "+r"(k), "+r"(states) : : "memory");
    vec s = NAME(pick_states)(states, symbols, k);
    vec qe_low = LOOK_UP(qe_low, s), qe_high = LOOK_UP(qe_high, s);
    vec shift = LOOK_UP(shift, s);
    vec differs = XOR_VEC(symbols, s); /* bit 7: decision is not the MPS */
    byte_mask lps = OP(movepi8_mask)(differs);
    word_mask lps_even = OP(test_epi16_mask)(differs, K(w80)), lps_odd = OP(movepi16_mask)(differs);
    vec qe_e = OP(mask_mov_epi8)(OP(slli_epi16)(qe_high, 8), (byte_mask)EVEN_BYTES, qe_low);
    vec qe_o = OP(mask_mov_epi8)(OP(srli_epi16)(qe_low, 8), (byte_mask)~EVEN_BYTES, qe_high);
    vec shift_e = AND_VEC(shift, K(w255)), shift_o = OP(srli_epi16)(shift, 8);
    vec rest_e = NAME(step_half)(even, qe_e, shift_e, lps_even, 0, &log, k);
    vec rest_o = NAME(step_half)(odd, qe_o, shift_o, lps_odd, 1, &log, k);
    /* The state changes with a renormalisation: after an LPS, or when A - Qe lost its top bit. */
    vec next = LOOK_UP(next_mps, s);
    next = BLEND(lps, next, LOOK_UP(next_lps, s));
    next = OP(ternarylogic_epi64)(next, s, K(mps), 0xF0 ^ (0xCC & 0xAA)); /* next ^ (s & 0x80) */
    vec rests = OP(mask_mov_epi8)(OP(srli_epi16)(rest_e, 8), (byte_mask)~EVEN_BYTES, rest_o);
    byte_mask top = OP(movepi8_mask)(rests);
    next = OP(mask_mov_epi8)(next, (byte_mask)(~lps & top), s);
    vec context = AND_VEC(symbols, K(context_mask));
#pragma GCC unroll 19
    for (int i = 0; i < NUM_CONTEXTS; i++) {
        vec changed = BLEND(OP(cmpeq_epi8_mask)(context, K(context[i])), LOAD_VEC(states[i]), next);
        __asm__(""
                : "+v"(changed)); /* or else it becomes a masked store, for which the next load has to wait */
        STORE_VEC(states[i], changed);
    }
    return log;
}

/* 16 symbols of each of lanes 0, 16, ... of `source`. */
J2K_INLINE vec NAME(load_lanes)(const uint8_t *const *source) {
#if NUM_LANES == 64
    vec v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)source[0]));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)source[16]), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)source[32]), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)source[48]), 3);
#else
    vec v = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)source[0]));
    return _mm256_inserti128_si256(v, _mm_loadu_si128((const __m128i *)source[16]), 1);
#endif
}

/* The next chunk of every lane as 16 vectors, one a symbol. */
J2K_INLINE void NAME(load_chunk)(mq_lanes *lanes, size_t chunk, vec symbols[16]) {
    enum { AHEAD = 256 }; /* bytes */
    vec t[16];
    for (int i = 0; i < 16; i++)
        symbols[i] = NAME(load_lanes)(lanes->source + i);
    for (int i = 0; i < NUM_LANES; i++)
        lanes->source[i] += lanes->advance[i];
    for (size_t i = chunk & 3; i < NUM_LANES; i += 4) /* a line lasts four chunks */
        _mm_prefetch((const char *)lanes->source[i] + AHEAD, _MM_HINT_T0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            t[2 * i] = OP(unpacklo_epi8)(symbols[i], symbols[i + 8]);
            t[2 * i + 1] = OP(unpackhi_epi8)(symbols[i], symbols[i + 8]);
        }
        for (int i = 0; i < 8; i++) {
            symbols[2 * i] = OP(unpacklo_epi8)(t[i], t[i + 8]);
            symbols[2 * i + 1] = OP(unpackhi_epi8)(t[i], t[i + 8]);
        }
    }
}

static half NAME(load_half)(const mq_lanes *lanes, unsigned odd) {
    half h = {LOAD_VEC(lanes->a + NUM_LANES / 2 * odd), LOAD_VEC(lanes->c_low + NUM_LANES / 2 * odd),
              LOAD_VEC(lanes->c_high + NUM_LANES / 2 * odd), LOAD_VEC(lanes->ct + NUM_LANES / 2 * odd),
              OR_VEC(LOAD_VEC(lanes->b + NUM_LANES / 2 * odd), LOAD_VEC(table.lane[odd]))};
    return h;
}

static void NAME(store_half)(mq_lanes *lanes, unsigned odd, const half *h) {
    STORE_VEC(lanes->a + NUM_LANES / 2 * odd, h->a);
    STORE_VEC(lanes->c_low + NUM_LANES / 2 * odd, h->c_low);
    STORE_VEC(lanes->c_high + NUM_LANES / 2 * odd, h->c_high);
    STORE_VEC(lanes->ct + NUM_LANES / 2 * odd, h->ct);
    STORE_VEC(lanes->b + NUM_LANES / 2 * odd, AND_VEC(h->b, LOAD_VEC(table.w255)));
}

void RUN(mq_lanes *lanes, size_t chunks) {
    vec symbols[LANE_CHUNK];
    half even = NAME(load_half)(lanes, 0), odd = NAME(load_half)(lanes, 1);
    uint16_t *old = lanes->pending, *old_end = lanes->pending_end;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        NAME(load_chunk)(lanes, chunk, symbols);
        /* Rounded up to a whole number of events a step with those of a lane that does not exist. */
        size_t per_step = ((size_t)(old_end - old) + LANE_CHUNK - 1) / LANE_CHUNK;
        for (uint16_t *e = old_end; e < old + LANE_CHUNK * per_step; e++)
            *e = MAX_LANES << 8;
        lanes->next[MAX_LANES] = lanes->nowhere;
        const uint16_t *event = old;
        uint16_t *current = old == lanes->logs[0] ? lanes->logs[1] : lanes->logs[0], *log = current;
        for (int i = 0; i < LANE_CHUNK; i++) {
            log = NAME(step)(lanes->states, &even, &odd, symbols[i], log, &table);
            for (size_t n = 0; n < per_step; n++)
                lane_byte(lanes->next, *event++);
        }
        old = current;
        old_end = log;
    }
    lanes->pending = old;
    lanes->pending_end = old_end;
    NAME(store_half)(lanes, 0, &even);
    NAME(store_half)(lanes, 1, &odd);
}

#undef vec
#undef byte_mask
#undef word_mask
#undef OP
#undef NAME
#undef half
#undef RUN
#undef AND_VEC
#undef OR_VEC
#undef XOR_VEC
#undef LOAD_VEC
#undef STORE_VEC
#undef LOOK_UP
#undef K
#undef BLEND
#undef S
#undef NUM_LANES
