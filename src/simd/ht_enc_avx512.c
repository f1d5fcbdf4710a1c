/* The cleanup pass of the HT block encoder (T.814), AVX-512: 16 quads at a time.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../ht_enc.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx512.h"

/* Three steps. First all quad-rows are modelled, 32 columns at a time, with magnitudes in 16-bit lanes; what
 * goes to each stream is left in scratch memory as units of bits with their lengths. Then the units are
 * joined: 8 of them in a vector, moved to their places by shifts and summed. Byte stuffing comes last, as a
 * pass over plain bits of its own. */
typedef __m512i vec;

enum {
    HALF = 32,       /* columns a step */
    MAX_STEPS = 128, /* of a code-block: two a quad-row of at most 64 columns */
    MAX_PITCH = 32 + 1024,
    MAX_SAMPLES = 130 * 96 + 64, /* lines of magnitudes with 32 columns of zeros between them */
};

typedef struct workspace {
    uint16_t doubled[MAX_SAMPLES]; /* 2 mu - 1, 0 when mu is 0 */
    uint16_t values[MAX_SAMPLES];  /* 2 (mu - 1) + sign */
    vec magsgn[MAX_STEPS][3]; /* of 8 pairs of quads: bits of the first quads, of the second quads, lengths */
    vec vlc[MAX_STEPS / 2][2]; /* of 16 quads: bits and lengths of 8 units */
    uint64_t magsgn_bits[4096 * 16 / 64 + 64];
    uint64_t vlc_bits[HT_MAX_RAW_VLC / 8 + 64];
    uint64_t events[64]; /* MEL */
} workspace;

const size_t j2k_ht_encode_workspace_avx512 = sizeof(workspace);

#define ZERO            _mm512_setzero_si512()
#define SET16(x)        _mm512_set1_epi16((short)(x))
#define SET32(x)        _mm512_set1_epi32((int)(x))
#define SET64(x)        _mm512_set1_epi64((long long)(x))
#define LOW32           SET64(0xFFFFFFFF)
#define OR_AND(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xF8) /* a | (b & c) */

/* ---- joining units of bits ---- */

/* Bit ranges of units are disjoint, so that OR is addition: running sums modulo 2^64 of all units shifted to
 * their places are stored where a word ends, and differences of neighbours are the words. */
typedef struct joiner {
    vec sum, position; /* in all lanes */
    uint64_t *next, *start;
} joiner;

J2K_INLINE vec prefix_sum(vec x) {
    x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, ZERO, 7));
    x = _mm512_add_epi64(x, _mm512_alignr_epi64(x, ZERO, 6));
    return _mm512_add_epi64(x, _mm512_alignr_epi64(x, ZERO, 4));
}

/* Append 8 units of up to 64 bits, in the order of lanes. */
J2K_INLINE void join8(joiner *j, vec bits, vec length) {
    const vec last = SET64(7);
    vec end = _mm512_add_epi64(prefix_sum(length), j->position), begin = _mm512_sub_epi64(end, length);
    vec low = _mm512_shldv_epi64(bits, ZERO, begin), high = _mm512_shldv_epi64(ZERO, bits, begin);
    vec sum = _mm512_add_epi64(prefix_sum(_mm512_add_epi64(low, high)), j->sum);
    __mmask8 ends = _mm512_test_epi64_mask(_mm512_xor_si512(begin, end), SET64(64));
    _mm512_storeu_si512(j->next, _mm512_maskz_compress_epi64(ends, _mm512_sub_epi64(sum, high)));
    j->next += _mm_popcnt_u32(ends);
    j->sum = _mm512_permutexvar_epi64(last, sum);
    j->position = _mm512_permutexvar_epi64(last, end);
}

/* Append 8 units of two parts, `first` of first_length bits and `second`, together up to 128 bits. */
J2K_INLINE void join8_long(joiner *j, vec first, vec first_length, vec second, vec length) {
    const vec last = SET64(7);
    vec p0 = _mm512_or_si512(first, _mm512_sllv_epi64(second, first_length));
    vec p1 = _mm512_srlv_epi64(second, _mm512_sub_epi64(SET64(64), first_length));
    vec end = _mm512_add_epi64(prefix_sum(length), j->position), begin = _mm512_sub_epi64(end, length);
    vec x0 = _mm512_shldv_epi64(p0, ZERO, begin), x1 = _mm512_shldv_epi64(p1, p0, begin);
    vec x2 = _mm512_shldv_epi64(ZERO, p1, begin);
    vec sum = prefix_sum(_mm512_add_epi64(_mm512_add_epi64(x0, x1), x2));
    sum = _mm512_add_epi64(sum, j->sum);
    vec after_first = _mm512_sub_epi64(_mm512_sub_epi64(sum, x2), x1),
        after_second = _mm512_sub_epi64(sum, x2);
    vec words = _mm512_sub_epi64(_mm512_srli_epi64(end, 6), _mm512_srli_epi64(begin, 6));
    unsigned one = _mm512_test_epi64_mask(words, words), two = _mm512_test_epi64_mask(words, SET64(2));
    unsigned ends = _pdep_u32(one, 0x5555) | _pdep_u32(two, 0xAAAA);
    const vec low = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0),
              high = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    vec a = _mm512_permutex2var_epi64(after_first, low, after_second);
    vec b = _mm512_permutex2var_epi64(after_first, high, after_second);
    _mm512_storeu_si512(j->next, _mm512_maskz_compress_epi64((__mmask8)ends, a));
    j->next += _mm_popcnt_u32(ends & 255);
    _mm512_storeu_si512(j->next, _mm512_maskz_compress_epi64((__mmask8)(ends >> 8), b));
    j->next += _mm_popcnt_u32(ends >> 8);
    j->sum = _mm512_permutexvar_epi64(last, sum);
    j->position = _mm512_permutexvar_epi64(last, end);
}

/* Make plain bits of the sums, `fill` behind them. Returns their number. */
static size_t join_end(joiner *j, uint64_t fill) {
    size_t count = (size_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(j->position));
    *j->next = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(j->sum));
    vec before = ZERO;
    for (uint64_t *p = j->start; p <= j->next; p += 8) {
        vec sums = _mm512_loadu_si512(p);
        _mm512_storeu_si512(p, _mm512_sub_epi64(sums, _mm512_alignr_epi64(sums, before, 7)));
        before = sums;
    }
    *j->next |= fill << (count & 63);
    memset(j->next + 1, (int)(fill & 255), 136);
    return count;
}

/* ---- modelling ---- */

typedef struct step_result {
    vec vlc, vlc_length;       /* of 8 pairs of quads */
    uint32_t context_0, found; /* quads in context 0; quads with a significant sample */
    vec offsets;               /* u of each quad */
} step_result;

/* 16 quads of a quad-row. before: the last step's results that context and neighbours to the left need: OR of
 * the samples of the quads (first row: their patterns). */
J2K_INLINE void model_step(const int initial, const uint16_t *doubled, const uint16_t *values, size_t pitch,
                           __mmask16 inside, vec *before, vec magsgn[3], step_result *r) {
    vec top = _mm512_loadu_si512(doubled), bottom = _mm512_loadu_si512(doubled + pitch);
    vec either = _mm512_or_si512(top, bottom), all = _mm512_or_si512(either, _mm512_slli_epi32(either, 16));
    vec zeros = _mm512_lzcnt_epi32(all); /* 16 - zeros is the quad's largest exponent */
    __mmask32 top_found = _mm512_test_epi16_mask(top, top),
              bottom_found = _mm512_test_epi16_mask(bottom, bottom);
    /* The index into the CxtVLC table is put together in the two columns of a quad and added up. */
    const vec columns = SET32(0x00040001);
    vec parts = _mm512_maskz_mov_epi16(top_found, SET16(16));
    parts = _mm512_mask_add_epi16(parts, bottom_found, parts, SET16(32));
    vec index, kappa = SET32(1);
    if (initial) {
        index = _mm512_madd_epi16(parts, columns);
        vec pattern = _mm512_srli_epi32(index, 4), left = _mm512_alignr_epi32(pattern, *before, 15);
        *before = pattern;
        vec context = _mm512_or_si512(_mm512_srli_epi32(left, 1), _mm512_and_si512(left, SET32(1)));
        index = _mm512_or_si512(index, _mm512_slli_epi32(context, 8));
    } else {
        const uint16_t *above = doubled - pitch;
        vec row = _mm512_loadu_si512(above);
        /* Left columns of quads look to the left, right ones to the right. */
        vec side = _mm512_mask_loadu_epi16(_mm512_loadu_si512(above - 1), 0xAAAAAAAA, above + 1);
        vec around = _mm512_or_si512(row, side);
        vec largest = _mm512_lzcnt_epi32(_mm512_or_si512(around, _mm512_slli_epi32(around, 16)));
        parts = _mm512_mask_add_epi16(parts, _mm512_test_epi16_mask(around, around), parts, SET16(256));
        index = _mm512_madd_epi16(parts, columns);
        vec left = _mm512_alignr_epi32(either, *before, 15);
        *before = either;
        vec pattern = _mm512_and_si512(index, SET32(0xF0));
        __mmask16 many = _mm512_test_epi32_mask(pattern, _mm512_sub_epi32(pattern, SET32(16)));
        index =
            _mm512_mask_add_epi32(index, _mm512_test_epi32_mask(left, SET32(0xFFFF0000)), index, SET32(512));
        kappa = _mm512_mask_max_epi32(kappa, many, kappa, _mm512_sub_epi32(SET32(15), largest));
    }
    vec bound = _mm512_max_epi32(kappa, _mm512_sub_epi32(SET32(16), zeros)),
        u = _mm512_sub_epi32(bound, kappa);
    __mmask16 offset = _mm512_test_epi32_mask(u, u);
    vec bound2 = _mm512_or_si512(bound, _mm512_slli_epi32(bound, 16));
    /* Samples whose exponent is the bound have that bit; without an offset the pattern stays 0. */
    vec count = _mm512_mask_sub_epi32(SET32(0x00100010), offset, bound2, SET32(0x00010001));
    vec at_top = _mm512_srlv_epi16(top, count), at_bottom = _mm512_srlv_epi16(bottom, count);
    vec at_bound = _mm512_add_epi16(_mm512_add_epi16(at_top, at_bottom), at_bottom);
    index = _mm512_add_epi32(index, _mm512_madd_epi16(at_bound, columns));
    vec entry = _mm512_mask_i32gather_epi32(ZERO, inside, index, j2k_ht_encode_cxtvlc[!initial], 4);
    r->context_0 = _mm512_mask_testn_epi32_mask(inside, index, SET32(0x700));
    r->found = _mm512_test_epi32_mask(index, SET32(0xF0));
    r->offsets = u;
    { /* VLC: two codewords, then the pair's U-VLC */
        vec codeword = _mm512_and_si512(_mm512_srli_epi32(entry, 2), SET32(0x7F));
        vec length = _mm512_srli_epi32(entry, 18);
        vec pair = _mm512_and_si512(_mm512_or_si512(u, _mm512_srli_epi64(u, 28)), SET64(0xFF));
        vec uvlc = _mm512_i64gather_epi64(pair, (const long long *)j2k_ht_encode_uvlc[!initial], 8);
        vec first = _mm512_and_si512(length, LOW32),
            both = _mm512_add_epi64(first, _mm512_srli_epi64(length, 32));
        vec bits = OR_AND(_mm512_sllv_epi64(_mm512_srli_epi64(codeword, 32), first), codeword, LOW32);
        r->vlc = _mm512_or_si512(bits, _mm512_sllv_epi64(_mm512_and_si512(uvlc, LOW32), both));
        r->vlc_length = _mm512_add_epi64(both, _mm512_srli_epi64(uvlc, 32));
    }
    { /* MagSgn: from samples to columns to quads */
        const vec known = SET32(0x00010001), low16 = SET32(0xFFFF);
        vec count_top = _mm512_maskz_sub_epi16(top_found, bound2, _mm512_and_si512(entry, known));
        vec count_bottom = _mm512_maskz_sub_epi16(bottom_found, bound2,
                                                  _mm512_and_si512(_mm512_srli_epi32(entry, 1), known));
        vec t = _mm512_andnot_si512(_mm512_sllv_epi16(SET32(-1), count_top), _mm512_loadu_si512(values));
        vec b = _mm512_andnot_si512(_mm512_sllv_epi16(SET32(-1), count_bottom),
                                    _mm512_loadu_si512(values + pitch));
        vec left = _mm512_sllv_epi32(_mm512_and_si512(b, low16), _mm512_and_si512(count_top, low16));
        left = _mm512_ternarylogic_epi32(left, t, low16, 0xF8);
        vec right = _mm512_sllv_epi32(_mm512_srli_epi32(b, 16), _mm512_srli_epi32(count_top, 16));
        right = _mm512_or_si512(_mm512_srli_epi32(t, 16), right);
        vec length = _mm512_add_epi16(count_top, count_bottom), left_length = _mm512_and_si512(length, low16);
        magsgn[0] =
            OR_AND(_mm512_sllv_epi64(_mm512_and_si512(right, LOW32), _mm512_and_si512(left_length, LOW32)),
                   left, LOW32);
        magsgn[1] = _mm512_or_si512(
            _mm512_srli_epi64(left, 32),
            _mm512_sllv_epi64(_mm512_srli_epi64(right, 32), _mm512_srli_epi64(left_length, 32)));
        magsgn[2] = _mm512_add_epi32(left_length, _mm512_srli_epi32(length, 16));
    }
}

/* MEL events in the order of coding, one bit each. */
typedef struct event_list {
    uint64_t *words;
    size_t count;
} event_list;

J2K_INLINE void add_events(event_list *e, uint64_t events, unsigned count) {
    size_t word = e->count >> 6, shift = e->count & 63;
    e->words[word] |= events << shift;
    e->words[word + 1] = shift ? events >> (64 - shift) : 0;
    e->count += count;
}

/* Events of 32 quads of the first quad-row: of each pair, those of its quads in context 0, and whether both
 * offsets exceed 2 when there are two. */
J2K_INLINE void add_initial_events(event_list *e, uint32_t context_0, uint32_t found, uint32_t offset,
                                   uint32_t large) {
    const uint64_t third = UINT64_C(0x249249249249);
    const uint32_t even = 0x55555555u;
    uint64_t coded = _pdep_u64(_pext_u32(context_0, even), third) |
                     _pdep_u64(_pext_u32(context_0, ~even), third << 1) |
                     _pdep_u64(_pext_u32(offset & offset >> 1, even), third << 2);
    uint64_t event = _pdep_u64(_pext_u32(found, even), third) |
                     _pdep_u64(_pext_u32(found, ~even), third << 1) |
                     _pdep_u64(_pext_u32(large & large >> 1, even), third << 2);
    add_events(e, _pext_u64(event, coded), (unsigned)_mm_popcnt_u64(coded));
}

/* Up to 64 columns of a quad-row. */
J2K_INLINE void model_columns(workspace *w, const int initial, size_t offset, size_t pitch, uint32_t inside,
                              size_t step, vec *before, event_list *events) {
    step_result a, b;
    const uint16_t *doubled = w->doubled + offset, *values = w->values + offset;
    model_step(initial, doubled, values, pitch, (__mmask16)inside, before, w->magsgn[step], &a);
    model_step(initial, doubled + HALF, values + HALF, pitch, (__mmask16)(inside >> 16), before,
               w->magsgn[step + 1], &b);
    /* Pairs of pairs make units; the lanes are brought into their order. */
    vec even = _mm512_unpacklo_epi64(a.vlc, b.vlc), odd = _mm512_unpackhi_epi64(a.vlc, b.vlc);
    vec even_length = _mm512_unpacklo_epi64(a.vlc_length, b.vlc_length);
    vec odd_length = _mm512_unpackhi_epi64(a.vlc_length, b.vlc_length);
    const vec order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
    vec bits = _mm512_or_si512(even, _mm512_sllv_epi64(odd, even_length));
    w->vlc[step / 2][0] = _mm512_permutexvar_epi64(order, bits);
    w->vlc[step / 2][1] = _mm512_permutexvar_epi64(order, _mm512_add_epi64(even_length, odd_length));
    uint32_t context_0 = a.context_0 | b.context_0 << 16, found = a.found | b.found << 16;
    if (!initial) {
        add_events(events, _pext_u32(found, context_0), (unsigned)_mm_popcnt_u32(context_0));
        return;
    }
    uint32_t some = _mm512_test_epi32_mask(a.offsets, a.offsets) |
                    (uint32_t)_mm512_test_epi32_mask(b.offsets, b.offsets) << 16;
    uint32_t large = _mm512_cmpgt_epi32_mask(a.offsets, SET32(2)) |
                     (uint32_t)_mm512_cmpgt_epi32_mask(b.offsets, SET32(2)) << 16;
    add_initial_events(events, context_0, found, some, large);
}

/* ---- MEL ---- */

typedef struct mel_writer {
    uint8_t *out;
    unsigned byte, free_bits;
} mel_writer;

J2K_INLINE void mel_bit(mel_writer *m, unsigned bit) {
    m->byte = m->byte << 1 | bit;
    if (--m->free_bits == 0) {
        *m->out++ = (uint8_t)m->byte;
        m->free_bits = m->byte == 0xFF ? 7 : 8;
        m->byte = 0;
    }
}

/* Code all events, a run of zeros and the one behind it at a time. Returns the end of the whole bytes. */
static uint8_t *code_events(const event_list *e, uint8_t *out, partial_byte *rest) {
    mel_writer m = {out, 0, 8};
    unsigned state = 0;
    size_t run = 0;
    for (size_t i = 0; i < e->count;) {
        size_t shift = i & 63, left = 64 - shift < e->count - i ? 64 - shift : e->count - i;
        uint64_t events = e->words[i >> 6] >> shift;
        size_t zeros = events ? (size_t)_tzcnt_u64(events) : 64;
        bool one = zeros < left;
        run += one ? zeros : left;
        i += one ? zeros + 1 : left;
        unsigned exponent = (unsigned)(HT_MEL_EXPONENTS >> 4 * state) & 15;
        while (run >> exponent) {
            mel_bit(&m, 1);
            run -= (size_t)1 << exponent;
            state += state < 12;
            exponent = (unsigned)(HT_MEL_EXPONENTS >> 4 * state) & 15;
        }
        if (!one)
            continue;
        mel_bit(&m, 0);
        while (exponent--)
            mel_bit(&m, run >> exponent & 1);
        run = 0;
        state -= state > 0;
    }
    if (run)
        mel_bit(&m, 1);
    rest->bits = m.byte << m.free_bits;
    rest->mask = (0xFFu << m.free_bits) & 0xFF;
    return m.out;
}

/* ---- byte stuffing ---- */

J2K_INLINE vec bits_from(const uint8_t *raw, size_t position) {
    const uint8_t *p = raw + position / 8;
    return _mm512_shrdv_epi64(_mm512_loadu_si512(p), _mm512_loadu_si512(p + 8), SET64(position & 7));
}

J2K_INLINE unsigned byte_from(const uint8_t *raw, size_t position) {
    return ((unsigned)raw[position / 8] | (unsigned)raw[position / 8 + 1] << 8) >> (position & 7) & 0xFF;
}

/* MagSgn, up to its end: the bits behind it are ones, and a last byte of FF is left out. */
static uint8_t *stuff_magsgn(const uint8_t *raw, size_t count, uint8_t *out) {
    const uint8_t *start = out;
    for (size_t position = 0; position < count;) {
        vec bytes = bits_from(raw, position);
        _mm512_storeu_si512(out, bytes);
        size_t n = (count - position + 7) / 8 < 64 ? (count - position + 7) / 8 : 64;
        uint64_t full = _bzhi_u64(_mm512_cmpeq_epi8_mask(bytes, SET32(-1)), (unsigned)n);
        if (!full) {
            out += n;
            position += n * 8;
            continue;
        }
        n = (size_t)_tzcnt_u64(full) + 1;
        out += n;
        position += 8 * n;
        if (position < count) {
            *out++ = (uint8_t)(byte_from(raw, position) & 0x7F);
            position += 7;
        }
    }
    return out > start && out[-1] == 0xFF ? out - 1 : out;
}

/* VLC: whole bytes downwards from `end`, behind which FF lies. Returns the first of them. */
static uint8_t *stuff_vlc(const uint8_t *raw, size_t count, uint8_t *end, partial_byte *rest) {
    static const uint8_t reversed[64] = {63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48,
                                         47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32,
                                         31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
                                         15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  3,  2,  1,  0};
    const vec order = _mm512_loadu_si512(reversed);
    size_t position = 0;
    uint64_t large = 1; /* the byte before exceeds 8F */
    for (bool last = false; !last;) {
        size_t left = count - position, whole = left / 8, limit = whole + (left % 8 == 7);
        last = whole < 64;
        if (!last)
            whole = limit = 64;
        vec bytes = bits_from(raw, position);
        _mm512_storeu_si512(end - 64, _mm512_permutexvar_epi8(order, bytes));
        uint64_t above = _mm512_cmpgt_epu8_mask(bytes, _mm512_set1_epi8((char)0x8F));
        uint64_t seven =
            _mm512_cmpeq_epi8_mask(_mm512_or_si512(bytes, _mm512_set1_epi8((char)0x80)), SET32(-1));
        uint64_t stuffed = _bzhi_u64(seven & (above << 1 | large), (unsigned)limit);
        if (stuffed) {
            size_t n = (size_t)_tzcnt_u64(stuffed);
            end -= n + 1;
            *end = 0x7F;
            position += 8 * n + 7;
            large = 0;
            last = false;
            continue;
        }
        end -= whole;
        position += 8 * whole;
        if (whole)
            large = above >> (whole - 1) & 1;
    }
    rest->mask = (1u << (count - position)) - 1;
    rest->bits = byte_from(raw, position) & rest->mask;
    return end;
}

/* ---- code-block ---- */

/* Where samples come from: words of sign and magnitude with a shift, integers, or floats with a scale. */
enum { FROM_WORDS, FROM_INTS, FROM_FLOATS };

typedef struct sample_source {
    const uint32_t *data;
    ptrdiff_t stride;
    unsigned shift;
    float scale;
} sample_source;

/* 16 magnitudes, those of 65535 or more as 65535; signs are the top bits of `raw`. */
J2K_INLINE vec magnitudes(const int kind, const sample_source *s, vec raw) {
    vec magnitude;
    if (kind == FROM_WORDS) {
        magnitude = _mm512_and_si512(raw, SET32(INT32_MAX));
        magnitude = _mm512_srl_epi32(magnitude, _mm_cvtsi32_si128((int)s->shift));
    } else if (kind == FROM_INTS) {
        magnitude = _mm512_srl_epi32(_mm512_abs_epi32(raw), _mm_cvtsi32_si128((int)s->shift));
    } else { /* the limit is taken for what is not a number, too */
        __m512 x = _mm512_abs_ps(_mm512_mul_ps(_mm512_castsi512_ps(raw), _mm512_set1_ps(s->scale)));
        return _mm512_cvttps_epi32(_mm512_min_ps(x, _mm512_set1_ps(65535.0f)));
    }
    return _mm512_min_epu32(magnitude, SET32(65535));
}

/* 32 samples as 16-bit magnitudes and signs. Returns the magnitudes. */
J2K_INLINE vec load_samples(const int kind, const sample_source *s, const uint32_t *samples, __mmask32 inside,
                            uint16_t *doubled, uint16_t *values) {
    const vec order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
    vec a = _mm512_maskz_loadu_epi32((__mmask16)inside, samples);
    vec b = _mm512_maskz_loadu_epi32((__mmask16)(inside >> 16), samples + 16);
    vec mu = _mm512_packus_epi32(magnitudes(kind, s, a), magnitudes(kind, s, b));
    vec sign = _mm512_packus_epi32(_mm512_srli_epi32(a, 31), _mm512_srli_epi32(b, 31));
    mu = _mm512_permutexvar_epi64(order, mu);
    sign = _mm512_permutexvar_epi64(order, sign);
    vec d = _mm512_subs_epu16(_mm512_add_epi16(mu, mu), SET16(1));
    _mm512_storeu_si512(doubled, d);
    _mm512_storeu_si512(values,
                        _mm512_ternarylogic_epi32(d, sign, SET16(1), 0x96)); /* (2 mu - 1) ^ 1 ^ sign */
    return mu;
}

/* Fill the lines of magnitudes and return the OR of all; one of more than 15 bits, or of 7FFF, does not fit
 * the lanes. */
J2K_INLINE unsigned load_block(const int kind, const sample_source *s, workspace *w, unsigned width,
                               unsigned height, size_t pitch) {
    vec largest = ZERO, all = ZERO;
    memset(w->doubled, 0, 64);
    for (unsigned y = 0; y < height + (height & 1); y++) {
        uint16_t *line = w->doubled + 32 + y * pitch;
        _mm512_storeu_si512(line + pitch - 32, ZERO); /* the border to the right, and of the next line */
        for (unsigned x = 0; x + 32 < pitch; x += 32) {
            unsigned left = x < width && y < height ? width - x : 0;
            __mmask32 inside = left >= 32 ? UINT32_MAX : (1u << left) - 1;
            const uint32_t *samples = s->data + (left ? (ptrdiff_t)y * s->stride + x : 0);
            vec mu = load_samples(kind, s, samples, inside, line + x, w->values + 32 + y * pitch + x);
            largest = _mm512_max_epu16(largest, mu);
            all = _mm512_or_si512(all, mu);
        }
    }
    if (_mm512_cmpgt_epu16_mask(largest, SET16(0x7FFE)))
        return 0xFFFF;
    unsigned bits = (unsigned)_mm512_reduce_or_epi32(all);
    return (bits | bits >> 16) & 0xFFFF;
}

static void model_block(workspace *w, unsigned width, unsigned height, size_t pitch, event_list *events) {
    size_t step = 0;
    for (unsigned y = 0; y < height; y += 2) {
        vec before = ZERO;
        for (unsigned x = 0; x < width; x += 64, step += 2) {
            unsigned quads = (width - x + 1) / 2;
            uint32_t inside = quads >= 32 ? UINT32_MAX : (1u << quads) - 1;
            size_t offset = 32 + y * pitch + x;
            if (y == 0)
                model_columns(w, 1, offset, pitch, inside, step, &before, events);
            else
                model_columns(w, 0, offset, pitch, inside, step, &before, events);
        }
    }
}

static size_t join_magsgn(workspace *w, size_t steps) {
    joiner j = {ZERO, ZERO, w->magsgn_bits, w->magsgn_bits};
    for (size_t i = 0; i < steps; i++) {
        vec first = w->magsgn[i][0], second = w->magsgn[i][1], lengths = w->magsgn[i][2];
        vec first_length = _mm512_and_si512(lengths, LOW32);
        vec length = _mm512_add_epi64(first_length, _mm512_srli_epi64(lengths, 32));
        if (_mm512_cmpgt_epi64_mask(length, SET64(64)))
            join8_long(&j, first, first_length, second, length);
        else
            join8(&j, _mm512_or_si512(first, _mm512_sllv_epi64(second, first_length)), length);
    }
    return join_end(&j, UINT64_MAX);
}

typedef struct block_layout {
    size_t steps, pitch;
    bool fits;
} block_layout;

static block_layout lay_out(unsigned width, unsigned height) {
    size_t groups = (width + 63) / 64, steps = groups * 2 * ((height + 1) / 2);
    return (block_layout){steps, 64 * groups + 32, steps <= MAX_STEPS && width >= 8};
}

/* From the lines of magnitudes to the segment. */
static size_t encode_loaded(ht_encoder *e, unsigned width, unsigned height, const block_layout *layout,
                            uint8_t *out) {
    workspace *w = e->workspace;
    event_list events = {w->events, 0};
    w->events[0] = 0;
    model_block(w, width, height, layout->pitch, &events);
    /* VLC begins with four set bits where Scup's low bits are going to be. */
    joiner vlc = {SET64(15), SET64(4), w->vlc_bits, w->vlc_bits};
    for (size_t i = 0; i < layout->steps / 2; i++)
        join8(&vlc, w->vlc[i][0], w->vlc[i][1]);
    size_t vlc_count = join_end(&vlc, 0), magsgn_count = join_magsgn(w, layout->steps);
    uint8_t *end = stuff_magsgn((const uint8_t *)w->magsgn_bits, magsgn_count, out);
    uint8_t *vlc_end = e->reversed + sizeof e->reversed;
    vlc_end[-1] = 0xFF;
    suffix_streams suffix = {.mel = e->mel, .vlc_end = vlc_end};
    suffix.mel_end = code_events(&events, e->mel, &suffix.mel_rest);
    suffix.vlc_start = stuff_vlc((const uint8_t *)w->vlc_bits, vlc_count, vlc_end - 1, &suffix.vlc_rest);
    return ht_put_suffix(&suffix, out, end);
}

size_t j2k_ht_encode_cleanup_avx512(ht_encoder *e, unsigned width, unsigned height, unsigned shift,
                                    uint8_t *out) {
    block_layout layout = lay_out(width, height);
    sample_source source = {.data = e->samples, .stride = (ptrdiff_t)width, .shift = shift};
    if (!layout.fits || load_block(FROM_WORDS, &source, e->workspace, width, height, layout.pitch) == 0xFFFF)
        return j2k_ht_encode_cleanup_c(e, width, height, shift, out);
    return encode_loaded(e, width, height, &layout, out);
}

bool j2k_ht_encode_direct_avx512(ht_encoder *e, const encode_job *job, unsigned plane,
                                 unsigned *magnitudes_or, uint8_t *out, size_t *size) {
    block_layout layout = lay_out(job->width, job->height);
    sample_source source = {.data = job->source.data,
                            .stride = job->source.stride,
                            .shift = plane,
                            .scale = job->source.inverse_step};
    if (!layout.fits)
        return false;
    if (job->source.irreversible)
        *magnitudes_or =
            load_block(FROM_FLOATS, &source, e->workspace, job->width, job->height, layout.pitch);
    else
        *magnitudes_or = load_block(FROM_INTS, &source, e->workspace, job->width, job->height, layout.pitch);
    if (*magnitudes_or == 0xFFFF || (uint64_t)*magnitudes_or << plane >> job->num_bitplanes)
        return false;
    *size = *magnitudes_or ? encode_loaded(e, job->width, job->height, &layout, out) : 0;
    return true;
}

#include "target_end.h"
#else
typedef int j2k_no_avx512_ht_encoder;
#endif
