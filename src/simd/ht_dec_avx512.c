/* The cleanup pass of the HT block decoder (T.814), AVX-512: 16 or 32 code-blocks at a time.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../ht_dec.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx512.h"

/* Two steps. The first one reads MEL and VLC, each code-block in a 32-bit lane of its own, and leaves pattern
 * and offset of every quad. The second one reads MagSgn of one code-block, or of two in turn whose latencies
 * hide each other: exponent bounds of a quad-row give the number of bits of its samples, prefix sums their
 * places. All streams are freed of stuffing before, in bulk. What does not fit (long offsets, samples of many
 * bits) is left to the scalar decoder, which also decides what is wrong with it. */
typedef __m512i vec;

enum {
    LANES = 16,
    QUADS = 32,                /* of a quad-row */
    VLC_PITCH = 4800,          /* bytes of a lane's VLC bits */
    MAX_VLC_BITS = 19456 + 64, /* 512 pairs of quads with 38 bits */
    MAX_VLC_BYTES = 3072,      /* that many bytes hold them, stuffing included */
    PATTERN_PITCH = QUADS * 32 + 16,
    MAGSGN_PADDING = 1536 /* the bits that one quad-row can take, and the width of loads */
};

typedef struct lane_mel {
    mel_decoder decoder;
    unsigned decoded; /* events */
    unsigned used;
    uint64_t events[24];
} lane_mel;

typedef struct lane_state {
    vec window[3];     /* 32 bits each, from the one that the next bit is in */
    vec position;      /* in the first of them, 0 to 31 */
    vec next;          /* index of window[2] */
    vec events, event; /* 32 MEL events, and a bit at the next one */
    vec left;          /* entry of the quad to the left */
    __mmask16 odd;     /* an offset has an extension */
} lane_state;

typedef struct lane_group {
    uint8_t vlc[LANES * VLC_PITCH];
    vec row[2][QUADS + 4]; /* quads of this row and the one above, from [1] on; [0] and the last stay 0 */
    __mmask16 active[QUADS + 2];
    lane_mel mel[LANES];
    unsigned rows, quads; /* of the largest code-block */
    lane_state state;
    uint32_t
        info[LANES * PATTERN_PITCH]; /* of each code-block, 32 quads a row: entry, and u + 1 in bits 0 to 7 */
} lane_group;

typedef struct workspace {
    lane_group groups[2];
    const ht_lane_block *blocks;
    uint8_t magsgn[2][HT_MAX_MAGSGN + MAGSGN_PADDING + 64];
    uint8_t stuffed[64 + HT_MAX_MAGSGN + 256]; /* a stream with room on both sides */
} workspace;

const size_t j2k_ht_decode_workspace_avx512 = sizeof(workspace);

#define ZERO            _mm512_setzero_si512()
#define SET8(x)         _mm512_set1_epi8((char)(x))
#define SET32(x)        _mm512_set1_epi32((int)(x))
#define OR_AND(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xA8) /* (a | b) & c */
#define AND_OR(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xEA) /* (a & b) | c */
#define SELECT(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xCA) /* a ? b : c */

/* ---- stuffing ---- */

/* Join bytes, those marked having 7 bits, and drop `skip` bits at the start: runs of whole bytes are copied
 * with a growing shift. Returns the number of bits. */
static size_t join_bytes(const uint8_t *in, size_t size, const uint64_t *marks, size_t words, size_t skip,
                         uint8_t *out) {
    size_t done = 0, word = 0;
    uint64_t mark = marks[0];
    for (;;) {
        while (!mark && ++word < words)
            mark = marks[word];
        size_t next = word < words ? 64 * word + (size_t)_tzcnt_u64(mark) : size;
        size_t end = (8 * (next + 1) - skip) / 8 + 1; /* copy through the marked byte */
        const vec shift = _mm512_set1_epi64((long long)(skip & 7));
        for (size_t i = done; i < end; i += 64) {
            const uint8_t *p = in + i + skip / 8;
            _mm512_storeu_si512(out + i,
                                _mm512_shrdv_epi64(_mm512_loadu_si512(p), _mm512_loadu_si512(p + 8), shift));
        }
        if (word >= words)
            return 8 * size - skip;
        mark &= mark - 1;
        skip++;
        /* The byte in which the marked one ends now holds bits of the next one. */
        size_t position = 8 * (next + 1) - skip;
        unsigned low = (1u << (position & 7)) - 1;
        done = position / 8;
        const uint8_t *p = in + done + skip / 8;
        unsigned bits = ((unsigned)p[0] | (unsigned)p[1] << 8) >> (skip & 7);
        out[done] = (uint8_t)((out[done] & low) | (bits & ~low));
        done++;
    }
}

/* Set all bits from `count` on in so many more bytes. */
static void pad_bits(uint8_t *bits, size_t count, unsigned fill, size_t bytes) {
    size_t byte = count / 8;
    unsigned low = (1u << (count & 7)) - 1;
    bits[byte] = (uint8_t)((bits[byte] & low) | (fill & ~low));
    memset(bits + byte + 1, (int)fill, bytes);
}

static size_t unstuff_magsgn(workspace *w, const ht_set *set, uint8_t *out) {
    size_t size = set->cleanup_size - set->suffix_size, words;
    size = size < HT_MAX_MAGSGN ? size : HT_MAX_MAGSGN;
    uint64_t marks[HT_MAX_MAGSGN / 64 + 2];
    uint8_t *in = w->stuffed + 64;
    in[-1] = 0;
    memcpy(in, set->cleanup, size);
    memset(in + size, 0, 192);
    words = (size + 63) / 64;
    for (size_t i = 0; i < words; i++) /* behind FF */
        marks[i] = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(in + 64 * i - 1), SET8(-1));
    if (size % 64)
        marks[words - 1] &= (UINT64_C(1) << size % 64) - 1;
    if (!words)
        marks[words++] = 0;
    size_t count = join_bytes(in, size, marks, words, 0, out);
    pad_bits(out, count, 0xFF, MAGSGN_PADDING);
    return count;
}

/* VLC bytes are put in the order of reading first; the last byte but one counts with 4 bits. */
static void unstuff_vlc(workspace *w, const ht_set *set, uint8_t *out) {
    size_t size = set->suffix_size - 1, words;
    size = size < MAX_VLC_BYTES ? size : MAX_VLC_BYTES;
    uint64_t marks[MAX_VLC_BYTES / 64 + 2];
    uint8_t *in = w->stuffed + 64;
    const uint8_t *last = set->cleanup + set->cleanup_size - 2;
    in[-1] = 0xFF;
    for (size_t i = 0; i < size; i++)
        in[i] = *(last - i);
    in[0] |= 0xF;
    memset(in + size, 0, 192);
    words = (size + 63) / 64;
    const vec seven = SET8(0x7F);
    for (size_t i = 0; i < words; i++) {
        vec bytes = _mm512_loadu_si512(in + 64 * i), before = _mm512_loadu_si512(in + 64 * i - 1);
        marks[i] = _mm512_cmpeq_epi8_mask(_mm512_and_si512(bytes, seven), seven) &
                   _mm512_cmpgt_epu8_mask(before, SET8(0x8F));
    }
    if (size % 64)
        marks[words - 1] &= (UINT64_C(1) << size % 64) - 1;
    size_t count = join_bytes(in, size, marks, words, 4, out);
    pad_bits(out, count, 0, count < MAX_VLC_BITS ? (MAX_VLC_BITS - count) / 8 + 16 : 16);
}

/* ---- MEL ---- */

/* Decode until there are `wanted` events. */
static void decode_events(lane_mel *m, unsigned wanted) {
    while (m->decoded < wanted) {
        ht_mel_next_run(&m->decoder);
        m->decoded += m->decoder.zeros;
        if (m->decoder.one) {
            m->events[m->decoded / 64] |= UINT64_C(1) << m->decoded % 64;
            m->decoded++;
        }
    }
}

/* Give every lane its next 32 events; `first`: none of the last ones have been used. */
static void load_events(lane_group *g, unsigned count, bool first) {
    uint32_t used[LANES], events[LANES] = {0};
    vec next = g->state.event, all = SET32(32);
    vec taken =
        _mm512_mask_sub_epi32(all, _mm512_test_epi32_mask(next, next), SET32(31), _mm512_lzcnt_epi32(next));
    _mm512_storeu_si512(used, taken);
    for (unsigned i = 0; i < count; i++) {
        lane_mel *m = &g->mel[i];
        m->used += first ? 0 : used[i];
        decode_events(m, m->used + 32);
        unsigned word = m->used / 64, shift = m->used % 64;
        uint64_t high = shift ? m->events[word + 1] << (64 - shift) : 0;
        events[i] = (uint32_t)(m->events[word] >> shift | high);
    }
    g->state.events = _mm512_loadu_si512(events);
    g->state.event = SET32(1);
}

/* ---- quads ---- */

/* U-VLC prefixes (table 3): index is the next 3 bits, and 8 with an offset. Value + 1 in bits 0 to 5, length
 * of the suffix in 8 to 11, its mask in 16 to 20, length of both in 22 to 26, of the prefix in 28 to 31. */
#define PREFIX(length, suffix, value)                                                                        \
    (((uint32_t)(value) + 1) | ((uint32_t)(suffix) << 8) | (((1u << (suffix)) - 1) << 16) |                  \
     ((uint32_t)((length) + (suffix)) << 22) | ((uint32_t)(length) << 28))
static const uint32_t prefixes[16] = {1,
                                      1,
                                      1,
                                      1,
                                      1,
                                      1,
                                      1,
                                      1,
                                      PREFIX(3, 5, 5),
                                      PREFIX(1, 0, 1),
                                      PREFIX(2, 0, 2),
                                      PREFIX(1, 0, 1),
                                      PREFIX(3, 1, 3),
                                      PREFIX(1, 0, 1),
                                      PREFIX(2, 0, 2),
                                      PREFIX(1, 0, 1)};

/* CxtVLC of a quad: `above` is what the row above adds to the index, context << 7. */
J2K_INLINE vec read_quad(lane_state *s, vec above, vec *bits, __mmask16 active, const uint32_t *table) {
    vec context = AND_OR(_mm512_srli_epi32(s->left, HT_RIGHT - 7), SET32(0x380), above);
    vec index = AND_OR(*bits, SET32(127), context);
    vec entry = _mm512_mask_i32gather_epi32(ZERO, active, index, table, 4);
    __mmask16 context_0 = _mm512_mask_testn_epi32_mask(active, context, context);
    __mmask16 nothing = _mm512_mask_testn_epi32_mask(context_0, s->events, s->event);
    s->event = _mm512_mask_slli_epi32(s->event, context_0, s->event, 1);
    entry = _mm512_mask_mov_epi32(entry, nothing, ZERO);
    *bits = _mm512_srlv_epi32(*bits, _mm512_srli_epi32(entry, HT_LENGTH));
    s->left = entry;
    return entry;
}

/* Two quads: patterns, then offsets. up: quads of the row above. */
J2K_INLINE void read_pair(lane_state *s, const vec *up, vec *row, unsigned q, const __mmask16 *active,
                          const int initial, const uint8_t *vlc) {
    const uint32_t *table = j2k_ht_decode_cxtvlc[!initial];
    vec bits = _mm512_shrdv_epi32(s->window[0], s->window[1], s->position), above0 = ZERO, above1 = ZERO;
    if (!initial) {
        /* The lower samples of the quads above: bit 11 of one and bit 9 of the next are neighbours. */
        const vec lower_left = SET32(1 << (HT_RHO + 1));
        const vec *x = up + q;
        vec g0 = OR_AND(_mm512_srli_epi32(x[-1], 2), x[0], lower_left);
        vec g1 = OR_AND(_mm512_srli_epi32(x[0], 2), x[1], lower_left);
        vec g2 = OR_AND(_mm512_srli_epi32(x[1], 2), x[2], lower_left);
        above0 = _mm512_or_si512(_mm512_srli_epi32(g0, 2), g1);
        above1 = _mm512_or_si512(_mm512_srli_epi32(g1, 2), g2);
    }
    vec e0 = read_quad(s, above0, &bits, active[q], table),
        e1 = read_quad(s, above1, &bits, active[q + 1], table);
    const vec lookup = _mm512_loadu_si512(prefixes), c8 = SET32(8), c31 = SET32(31), c63 = SET32(63);
    vec p0 = _mm512_permutexvar_epi32(SELECT(c8, _mm512_srli_epi32(e0, HT_U_OFF - 3), bits), lookup);
    bits = _mm512_srlv_epi32(bits, _mm512_srli_epi32(p0, 28));
    vec p1 = _mm512_permutexvar_epi32(SELECT(c8, _mm512_srli_epi32(e1, HT_U_OFF - 3), bits), lookup);
    vec more = ZERO;
    if (initial) { /* an event says that both offsets exceed 2; else, if the first does, the second has one
                      bit */
        __mmask16 both = _mm512_test_epi32_mask(_mm512_and_si512(e0, e1), SET32(1 << HT_U_OFF));
        __mmask16 large = _mm512_mask_test_epi32_mask(both, s->events, s->event);
        s->event = _mm512_mask_slli_epi32(s->event, both, s->event, 1);
        more = _mm512_maskz_set1_epi32(large, 2);
        __mmask16 one_bit =
            _mm512_mask_cmpgt_epu32_mask(both & (__mmask16)~large, _mm512_srli_epi32(p0, 28), SET32(2));
        vec value = _mm512_add_epi32(SET32(PREFIX(1, 0, 1)), _mm512_and_si512(bits, SET32(1)));
        p1 = _mm512_mask_mov_epi32(p1, one_bit, value);
    }
    bits = _mm512_srlv_epi32(bits, _mm512_srli_epi32(p1, 28));
    vec s0 = _mm512_ternarylogic_epi32(_mm512_srli_epi32(p0, 16), bits, c31, 0x80);
    bits = _mm512_srlv_epi32(bits, _mm512_and_si512(_mm512_srli_epi32(p0, 8), SET32(15)));
    vec s1 = _mm512_ternarylogic_epi32(_mm512_srli_epi32(p1, 16), bits, c31, 0x80);
    s->odd |= _mm512_cmpgt_epu32_mask(_mm512_max_epu32(s0, s1), SET32(27));
    if (initial) {
        s0 = _mm512_add_epi32(s0, more);
        s1 = _mm512_add_epi32(s1, more);
    }
    row[q] = _mm512_add_epi32(AND_OR(p0, c63, e0), s0);
    row[q + 1] = _mm512_add_epi32(AND_OR(p1, c63, e1), s1);
    vec used = _mm512_add_epi32(_mm512_srli_epi32(e0, HT_LENGTH), _mm512_srli_epi32(e1, HT_LENGTH));
    used = _mm512_add_epi32(used, _mm512_and_si512(_mm512_srli_epi32(_mm512_add_epi32(p0, p1), 22), c31));
    vec position = _mm512_add_epi32(s->position, used);
    __mmask16 refill = _mm512_cmpgt_epu32_mask(position, c31);
    s->position = _mm512_and_si512(position, c31);
    s->window[0] = _mm512_mask_mov_epi32(s->window[0], refill, s->window[1]);
    s->window[1] = _mm512_mask_mov_epi32(s->window[1], refill, s->window[2]);
    s->next = _mm512_mask_add_epi32(s->next, refill, s->next, SET32(1));
    s->window[2] = _mm512_mask_i32gather_epi32(s->window[2], refill, s->next, (const int *)vlc, 4);
}

/* 16 quads of 16 lanes become 16 quads in a row for each lane. */
J2K_INLINE void transpose(const vec *in, uint32_t *out, size_t pitch) {
    vec t[16], u[16];
#pragma GCC unroll 16
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(in[2 * i], in[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(in[2 * i], in[2 * i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        u[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) {
        vec a = _mm512_shuffle_i32x4(u[j], u[4 + j], 0x44),
            b = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0x44);
        vec c = _mm512_shuffle_i32x4(u[j], u[4 + j], 0xEE),
            d = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0xEE);
        _mm512_store_si512(out + (size_t)j * pitch, _mm512_shuffle_i32x4(a, b, 0x88));
        _mm512_store_si512(out + (size_t)(4 + j) * pitch, _mm512_shuffle_i32x4(a, b, 0xDD));
        _mm512_store_si512(out + (size_t)(8 + j) * pitch, _mm512_shuffle_i32x4(c, d, 0x88));
        _mm512_store_si512(out + (size_t)(12 + j) * pitch, _mm512_shuffle_i32x4(c, d, 0xDD));
    }
}

static void open_group(workspace *w, lane_group *g, const ht_lane_block *blocks, unsigned count) {
    g->rows = g->quads = 0;
    memset(g->active, 0, sizeof g->active);
    memset(g->mel, 0, sizeof g->mel);
    memset(g->row, 0, sizeof g->row);
    for (unsigned i = 0; i < count; i++) {
        unsigned quads = (blocks[i].width + 1) / 2, rows = (blocks[i].height + 1) / 2;
        unstuff_vlc(w, blocks[i].set, g->vlc + (size_t)i * VLC_PITCH);
        ht_mel_begin(&g->mel[i].decoder, blocks[i].set);
        g->quads = quads > g->quads ? quads : g->quads;
        g->rows = rows > g->rows ? rows : g->rows;
        for (unsigned q = 0; q < quads; q++)
            g->active[q] |= (__mmask16)(1u << i);
    }
    lane_state *s = &g->state;
    const vec lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __mmask16 lanes = (__mmask16)((1u << count) - 1);
    vec word = _mm512_mullo_epi32(lane, SET32(VLC_PITCH / 4));
    for (unsigned i = 0; i < 3; i++) {
        s->window[i] = _mm512_mask_i32gather_epi32(ZERO, lanes, word, (const int *)g->vlc, 4);
        s->next = word;
        word = _mm512_add_epi32(word, SET32(1));
    }
    s->position = ZERO;
    s->odd = 0;
}

/* Patterns and offsets of one group, or of two in one stream of instructions. */
J2K_INLINE void read_groups(lane_group *g, const unsigned *counts, const unsigned groups) {
    unsigned rows = 0, quads = 0;
    for (unsigned i = 0; i < groups; i++) {
        rows = g[i].rows > rows ? g[i].rows : rows;
        quads = g[i].quads > quads ? g[i].quads : quads;
    }
    for (unsigned r = 0; r < rows; r++) {
        lane_state s[2];
        for (unsigned i = 0; i < groups; i++) {
            load_events(&g[i], counts[i], r == 0);
            s[i] = g[i].state;
            s[i].left = ZERO;
        }
        const unsigned now = r & 1, before = now ^ 1;
        for (unsigned q = 0; q < quads; q += 2) {
            for (unsigned i = 0; i < groups; i++) {
                lane_group *h = &g[i];
                if (r == 0 && q == QUADS / 2) { /* up to 3 events a pair in the first row */
                    h->state = s[i];
                    load_events(h, counts[i], false);
                    s[i] = h->state;
                }
                if (r == 0)
                    read_pair(&s[i], h->row[before] + 1, h->row[now] + 1, q, h->active, 1, h->vlc);
                else
                    read_pair(&s[i], h->row[before] + 1, h->row[now] + 1, q, h->active, 0, h->vlc);
            }
        }
        for (unsigned i = 0; i < groups; i++) {
            g[i].state = s[i];
            for (unsigned q = 0; q < quads; q += 16)
                transpose(g[i].row[now] + 1 + q, g[i].info + r * QUADS + q, PATTERN_PITCH);
        }
    }
}

static __attribute__((noinline)) void read_one_group(lane_group *g, const unsigned *counts) {
    read_groups(g, counts, 1);
}
static __attribute__((noinline)) void read_two_groups(lane_group *g, const unsigned *counts) {
    read_groups(g, counts, 2);
}

/* ---- samples ---- */

/* Nibbles to bytes of 0 or FF. */
static const uint32_t spread_nibble[16] = {
    0,          0xFF,       0xFF00,     0xFFFF,     0xFF0000,   0xFF00FF,   0xFFFF00,   0xFFFFFF,
    0xFF000000, 0xFF0000FF, 0xFF00FF00, 0xFF00FFFF, 0xFFFF0000, 0xFFFF00FF, 0xFFFFFF00, 0xFFFFFFFF};

#define INDEX_VECTOR_8(base, f)                                                                              \
    f(base), f(base + 1), f(base + 2), f(base + 3), f(base + 4), f(base + 5), f(base + 6), f(base + 7)
#define INDEX_VECTOR_64(f)                                                                                   \
    {                                                                                                        \
        INDEX_VECTOR_8(0, f), INDEX_VECTOR_8(8, f), INDEX_VECTOR_8(16, f), INDEX_VECTOR_8(24, f),            \
            INDEX_VECTOR_8(32, f), INDEX_VECTOR_8(40, f), INDEX_VECTOR_8(48, f), INDEX_VECTOR_8(56, f)       \
    }
#define HALF(i)       ((i) / 2)
#define HALF_UPPER(i) (32 + (i) / 2)
#define FIRST_OF_4(i) ((i) & ~3)
static const uint8_t twice_lower[64] = INDEX_VECTOR_64(HALF), twice_upper[64] = INDEX_VECTOR_64(HALF_UPPER);
static const uint8_t first_byte[64] = INDEX_VECTOR_64(FIRST_OF_4);
static const uint32_t even_columns[16] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
static const uint32_t odd_columns[16] = {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31};

typedef struct magsgn_state {
    const uint32_t *info;
    const uint8_t *bits;
    int32_t *out;
    unsigned rows;
    unsigned plane, most; /* exponents that samples of the slow path may have */
    vec half;
    vec zeros[2]; /* leading zeros of the largest lower sample around each quad of the row above, see below */
    vec base, end;
    bool odd;
} magsgn_state;

typedef struct row_plan {
    vec count[2], significant[2], ones[2], offset[2], before[2]; /* by samples, by quads, and within quads */
    uint64_t slow;
} row_plan;

J2K_INLINE vec prefix_sum(vec x) {
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, ZERO, 15));
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, ZERO, 14));
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, ZERO, 12));
    return _mm512_add_epi32(x, _mm512_alignr_epi32(x, ZERO, 8));
}

/* Exponent bounds, bit counts and positions of a quad-row of 16 * parts quads. */
J2K_INLINE void plan_row(magsgn_state *m, row_plan *p, const unsigned parts) {
    const vec spread = _mm512_loadu_si512(spread_nibble), first = _mm512_loadu_si512(first_byte);
    const vec spread_1 = _mm512_and_si512(spread, SET8(1));
    vec total[2];
    uint64_t many = 0, slow = 0;
#pragma GCC unroll 2
    for (unsigned v = 0; v < parts; v++) {
        vec quad = _mm512_load_si512(m->info + 16 * v);
        p->significant[v] = _mm512_permutexvar_epi32(_mm512_srli_epi32(quad, HT_RHO), spread);
        vec known = _mm512_permutexvar_epi32(_mm512_srli_epi32(quad, HT_KNOWN), spread_1);
        p->ones[v] = _mm512_permutexvar_epi32(_mm512_srli_epi32(quad, HT_ONES), spread);
        /* u + 1, and kappa - 1 where there is more than one significant sample */
        vec bound = _mm512_mask_add_epi32(quad, _mm512_test_epi32_mask(quad, SET32(1 << HT_MANY)), quad,
                                          _mm512_subs_epu16(SET32(23), m->zeros[v]));
        vec bounds = _mm512_and_si512(_mm512_shuffle_epi8(bound, first), p->significant[v]);
        p->count[v] = _mm512_sub_epi8(bounds, _mm512_and_si512(known, p->significant[v]));
        many |= _mm512_cmpgt_epu8_mask(bounds, SET8(m->most));
        slow |= _mm512_cmpgt_epu8_mask(bounds, SET8(16));
        vec sums = _mm512_add_epi32(p->count[v], _mm512_slli_epi32(p->count[v], 8));
        sums = _mm512_add_epi32(sums, _mm512_slli_epi32(sums, 16));
        total[v] = _mm512_srli_epi32(sums, 24);
        p->before[v] = _mm512_slli_epi32(sums, 8);
    }
    m->odd |= many != 0;
    p->slow = slow | _mm512_cmpgt_epi32_mask(total[0], SET32(57));
    if (parts == 2) { /* both sums at once, in halves of 16 bits */
        p->slow |= _mm512_cmpgt_epi32_mask(total[1], SET32(57));
        vec sums = prefix_sum(_mm512_or_si512(total[0], _mm512_slli_epi32(total[1], 16)));
        vec begin = _mm512_alignr_epi32(sums, ZERO, 15), all = _mm512_permutexvar_epi32(SET32(15), sums);
        p->offset[0] = _mm512_add_epi32(m->base, _mm512_and_si512(begin, SET32(0xFFFF)));
        m->base = _mm512_add_epi32(m->base, _mm512_and_si512(all, SET32(0xFFFF)));
        p->offset[1] = _mm512_add_epi32(m->base, _mm512_srli_epi32(begin, 16));
        m->base = _mm512_add_epi32(m->base, _mm512_srli_epi32(all, 16));
    } else {
        vec sums = prefix_sum(total[0]);
        p->offset[0] = _mm512_add_epi32(m->base, _mm512_alignr_epi32(sums, ZERO, 15));
        m->base = _mm512_add_epi32(m->base, _mm512_permutexvar_epi32(SET32(15), sums));
    }
    m->base = _mm512_min_epu32(m->base, m->end);
    m->info += QUADS;
}

/* Sign and magnitude mu, as a signed number, to what decoders give. */
J2K_INLINE void store_samples(const magsgn_state *m, int32_t *out, vec mu) {
    vec value = _mm512_sll_epi32(mu, _mm_cvtsi32_si128((int)m->plane + 1));
    __mmask16 some = _mm512_test_epi32_mask(mu, mu), negative = _mm512_movepi32_mask(mu);
    value = _mm512_mask_add_epi32(value, some, value, m->half);
    value = _mm512_mask_sub_epi32(value, negative, value, _mm512_add_epi32(m->half, m->half));
    _mm512_storeu_si512(out, value);
}

/* Samples of at most 16 bits, 57 a quad: two rows of 16 columns at a time. Returns the lower row's values <<
 * 7, with something below that does not matter, since exponents of 0, 1 and 2 act alike. */
J2K_INLINE vec fast_samples(const magsgn_state *m, const row_plan *p, unsigned v, unsigned h) {
    const vec first = _mm512_loadu_si512(first_byte), all = SET8(-1);
    const vec twice = _mm512_loadu_si512(h ? twice_upper : twice_lower);
    vec in_quad =
        _mm512_add_epi8(p->before[v], _mm512_shuffle_epi8(_mm512_and_si512(p->offset[v], SET32(7)), first));
    vec byte = _mm512_srli_epi32(p->offset[v], 3);
    __m256i bytes = h ? _mm512_extracti64x4_epi64(byte, 1) : _mm512_castsi512_si256(byte);
    vec bits = _mm512_i32gather_epi64(bytes, (const long long *)(const void *)m->bits, 1);
    /* Two bytes from each sample's place: vpmultishiftqb takes 8 bits for each byte. */
    vec place = _mm512_add_epi16(_mm512_permutexvar_epi8(twice, in_quad), _mm512_set1_epi16(0x0800));
    vec count = _mm512_maskz_permutexvar_epi8(UINT64_C(0x5555555555555555), twice, p->count[v]);
    __mmask64 significant = _mm512_movepi8_mask(p->significant[v]), ones = _mm512_movepi8_mask(p->ones[v]);
    __mmask32 found = (__mmask32)(h ? significant >> 32 : significant),
              top = (__mmask32)(h ? ones >> 32 : ones);
    vec value = _mm512_multishift_epi64_epi8(place, bits), above = _mm512_sllv_epi16(all, count);
    value = _mm512_andnot_si512(above, value);
    value = _mm512_mask_sub_epi16(value, top, value, above); /* the known bit: + 2^count */
    __mmask32 negative = _mm512_mask_test_epi16_mask(found, value, _mm512_set1_epi16(1));
    vec mu = _mm512_maskz_add_epi16(found, _mm512_srli_epi16(value, 1), _mm512_set1_epi16(1));
    vec low = _mm512_and_si512(mu, SET32(0xFFFF)), high = _mm512_srli_epi32(mu, 16);
    __mmask16 low_negative = (__mmask16)_pext_u32(negative, 0x55555555u);
    __mmask16 high_negative = (__mmask16)_pext_u32(negative, 0xAAAAAAAAu);
    store_samples(m, m->out + 32 * v + 16 * h, _mm512_mask_sub_epi32(low, low_negative, ZERO, low));
    store_samples(m, m->out + 64 + 32 * v + 16 * h, _mm512_mask_sub_epi32(high, high_negative, ZERO, high));
    return _mm512_srli_epi32(value, 9);
}

/* Samples of up to 25 bits, 4 quads at a time: a sample a lane. Returns values << 7. */
static vec slow_quads(const magsgn_state *m, const row_plan *p, unsigned v, unsigned quad, int32_t *out) {
    const vec lane = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    uint32_t before[16], count[16];
    _mm512_storeu_si512(before, p->before[v]);
    _mm512_storeu_si512(count, p->count[v]);
    vec position = _mm512_permutexvar_epi32(_mm512_add_epi32(lane, SET32(quad)), p->offset[v]);
    position =
        _mm512_add_epi32(position, _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(before + quad))));
    vec counts = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(count + quad)));
    __mmask16 found = (__mmask16)(_mm512_movepi8_mask(p->significant[v]) >> 4 * quad);
    __mmask16 top = (__mmask16)(_mm512_movepi8_mask(p->ones[v]) >> 4 * quad);
    vec bits = _mm512_i32gather_epi32(_mm512_srli_epi32(position, 3), (const int *)(const void *)m->bits, 1);
    vec value = _mm512_srlv_epi32(bits, _mm512_and_si512(position, SET32(7)));
    vec above = _mm512_sllv_epi32(SET32(-1), counts);
    value = _mm512_andnot_si512(above, value);
    value = _mm512_mask_sub_epi32(value, top, value, above);
    vec mu = _mm512_maskz_add_epi32(found, _mm512_srli_epi32(value, 1), SET32(1));
    mu = _mm512_mask_sub_epi32(mu, _mm512_mask_test_epi32_mask(found, value, SET32(1)), ZERO, mu);
    int32_t samples[16];
    store_samples(m, samples, mu);
    for (unsigned i = 0; i < 16; i++)
        out[(i & 1) * 64 + i / 2] = samples[i];
    return _mm512_slli_epi32(value, 7);
}

static void slow_samples(const magsgn_state *m, const row_plan *p, unsigned parts, vec lower[4]) {
    const vec odd = _mm512_loadu_si512(odd_columns);
    for (unsigned i = 0; i < 4 * parts; i++) { /* 8 quads, 16 columns */
        unsigned v = i / 4, quad = 4 * (i % 4);
        int32_t *out = m->out + 8 * i;
        vec a = slow_quads(m, p, v, quad, out);
        i++;
        vec b = slow_quads(m, p, v, quad + 4, out + 8);
        lower[i / 2] = _mm512_permutex2var_epi32(a, odd, b);
    }
}

/* Samples of a quad-row, and the largest of the lower ones around each quad of the next. */
J2K_INLINE void read_row(magsgn_state *m, const row_plan *p, const unsigned parts) {
    vec lower[4], around[4];
    if (J2K_LIKELY(!p->slow)) {
#pragma GCC unroll 4
        for (unsigned i = 0; i < 2 * parts; i++)
            lower[i] = fast_samples(m, p, i / 2, i % 2);
    } else {
        slow_samples(m, p, parts, lower);
    }
    m->out += 128;
#pragma GCC unroll 4
    for (unsigned i = 0; i < 2 * parts; i++) { /* even columns look to the left, odd ones to the right */
        vec before = i ? lower[i - 1] : ZERO, behind = i + 1 < 2 * parts ? lower[i + 1] : ZERO;
        vec side = _mm512_alignr_epi32(lower[i], before, 15);
        side = _mm512_mask_alignr_epi32(side, 0xAAAA, behind, lower[i], 1);
        around[i] = _mm512_max_epu32(lower[i], side);
    }
    const vec even = _mm512_loadu_si512(even_columns), odd = _mm512_loadu_si512(odd_columns);
#pragma GCC unroll 2
    for (unsigned v = 0; v < parts; v++) {
        vec left = _mm512_permutex2var_epi32(around[2 * v], even, around[2 * v + 1]);
        vec right = _mm512_permutex2var_epi32(around[2 * v], odd, around[2 * v + 1]);
        m->zeros[v] = _mm512_lzcnt_epi32(_mm512_max_epu32(left, right));
    }
}

/* One code-block, or two in turn. */
J2K_INLINE void read_blocks(magsgn_state *given, const unsigned count, const unsigned parts) {
    magsgn_state m[2];
    row_plan p[2];
    unsigned together = given[0].rows;
#pragma GCC unroll 2
    for (unsigned k = 0; k < count; k++) {
        m[k] = given[k];
        together = m[k].rows < together ? m[k].rows : together;
    }
    for (unsigned r = 0; r < together; r++) {
#pragma GCC unroll 2
        for (unsigned k = 0; k < count; k++)
            plan_row(&m[k], &p[k], parts);
#pragma GCC unroll 2
        for (unsigned k = 0; k < count; k++)
            read_row(&m[k], &p[k], parts);
    }
    for (unsigned k = 0; k < count; k++) {
        for (unsigned r = together; r < m[k].rows; r++) {
            plan_row(&m[k], &p[k], parts);
            read_row(&m[k], &p[k], parts);
        }
        given[k].odd = m[k].odd;
    }
}
static __attribute__((noinline)) void read_narrow(magsgn_state *m) {
    read_blocks(m, 1, 1);
}
static __attribute__((noinline)) void read_wide(magsgn_state *m) {
    read_blocks(m, 1, 2);
}
static __attribute__((noinline)) void read_two_narrow(magsgn_state *m) {
    read_blocks(m, 2, 1);
}
static __attribute__((noinline)) void read_two_wide(magsgn_state *m) {
    read_blocks(m, 2, 2);
}

/* ---- entry points ---- */

void j2k_ht_lanes_read_quads_avx512(void *memory, const ht_lane_block *blocks, unsigned count) {
    workspace *w = memory;
    const unsigned counts[2] = {count < LANES ? count : LANES, count < LANES ? 0 : count - LANES};
    w->blocks = blocks;
    open_group(w, &w->groups[0], blocks, counts[0]);
    if (counts[1]) {
        open_group(w, &w->groups[1], blocks + LANES, counts[1]);
        read_two_groups(w->groups, counts);
    } else {
        read_one_group(w->groups, counts);
    }
}

static bool is_wide(const ht_lane_block *b) {
    return b->width > 32;
}

unsigned j2k_ht_lanes_read_samples_avx512(void *memory, unsigned first, unsigned count, int32_t *samples[2],
                                          bool done[2]) {
    workspace *w = memory;
    magsgn_state m[2];
    unsigned n = 0;
    bool wide = is_wide(&w->blocks[first]);
    for (; n < 2 && first + n < count && is_wide(&w->blocks[first + n]) == wide; n++) {
        const ht_lane_block *b = &w->blocks[first + n];
        const lane_group *g = &w->groups[(first + n) / LANES];
        const unsigned lane = (first + n) % LANES, plane = b->set->plane;
        size_t end = unstuff_magsgn(w, b->set, w->magsgn[n]);
        m[n] = (magsgn_state){.info = g->info + (size_t)lane * PATTERN_PITCH,
                              .bits = w->magsgn[n],
                              .out = samples[n],
                              .rows = (b->height + 1) / 2,
                              .plane = plane,
                              .most = plane > 6 ? 31 - plane : 25,
                              .half = SET32(b->half),
                              .zeros = {SET32(32), SET32(32)},
                              .base = ZERO,
                              .end = SET32(end),
                              .odd = g->state.odd >> lane & 1};
    }
    if (n == 2 && wide)
        read_two_wide(m);
    else if (n == 2)
        read_two_narrow(m);
    else if (wide)
        read_wide(m);
    else
        read_narrow(m);
    for (unsigned i = 0; i < n; i++)
        done[i] = !m[i].odd;
    return n;
}

#include "target_end.h"
#else
typedef int j2k_no_avx512_ht_decoder;
#endif
