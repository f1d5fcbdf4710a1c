/* The Part 1 block decoder for many code-blocks at once, one in each 32-bit lane of AVX-512 registers.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx512.h"

#include "../ebcot_dec_window.h"
#include "../quant.h"

/* How it works. One step decodes one MQ decision in each lane, whatever coding pass the lane's block is in:
 * zero coding, sign, refinement or run-length (the two uniform decisions behind a run-length one are made on
 * the spot). A lane works on one chunk of its block (see the window layout in ebcot_dec.h). Its 64-bit words
 * are kept as two vectors of 32-bit halves and turned right, before each step, until the next member of the
 * pass is the lowest bit of m0; then its neighbourhood is in the low half of the other words, always at the
 * same place, and only the turning sees the high halves. Scalar code gives a lane that has run out of members
 * its next chunk, pass or block.
 *
 * MQ states are one byte a context, the index into table C.2 and the MPS in bit 7: the 16 contexts of a lane
 * are 4 vectors of 4 bytes a lane. While a lane is in a refinement pass, the 3 refinement contexts take the
 * place of the first 4. The uniform context never changes and is not kept. */

typedef __m512i vec;

enum {
    LANES = 16,
    GROUPS = 2,
    LANE_WORDS = 208,        /* enough for 64 x 64 to 16 x 256 */
    LANE_SEGMENT = 16 << 10, /* bytes */
    LANE_BITS = MQ_BITS_PREFIX + LANE_SEGMENT + MQ_BITS_PADDING + 5 * 64,
    /* Lanes are kept off each other's cache sets. */
    LANE_MEMORY = (NUM_STATE_ARRAYS * LANE_WORDS + 511) / 512 * 512 + 5 * 8,
    MAX_PARTS = 8,    /* chunks that a refinement pass takes at once */
    LANE_RUN = 14,    /* number of the run-length context */
    SCALAR_BELOW = 8, /* so few blocks are left to the scalar decoder */
};

/* Arrays of a lane's block, in units of LANE_WORDS: the order of block_state. */
enum {
    SIGNIFICANT = 0 * LANE_WORDS,
    NEGATIVE = 1 * LANE_WORDS,
    VISITED = 2 * LANE_WORDS,
    REFINED = 3 * LANE_WORDS,
    VALID = 4 * LANE_WORDS
};

/* One lane's scalar side. What every chunk needs is in the first cache line. */
typedef struct lane {
    uint64_t *words;     /* of the block: SIGNIFICANT.. */
    uint64_t *magnitude; /* bit-plane of the pass */
    uint64_t members;    /* of the current chunk when it was begun */
    uint32_t word;       /* index of the current chunk */
    uint32_t first;      /* of its stripe */
    uint32_t last;       /* of the last stripe */
    uint32_t pitch;
    uint8_t todo;            /* chunks of the stripe that may have members, one bit each */
    uint8_t chunks;          /* one bit each */
    uint8_t kind;            /* of the pass */
    bool causal, short_last; /* the last stripe has fewer than 4 rows */
    bool busy;
    uint32_t parked;    /* states of the contexts that are not in the vectors */
    unsigned num_parts; /* refinement: the chunks packed, and which samples of each */
    struct {
        uint64_t members;
        uint32_t word;
    } parts[MAX_PARTS];
    block_state b;
} lane;

/* The vectors of 16 lanes. Some are there twice: a step reads those of its phase and writes the others. */
typedef struct lane_group {
    vec a, c, c_low, count, next, end; /* as in mq_reader: c is its upper half, next and end are offsets */
    vec states[4];
    vec m0, m1;       /* members */
    vec w0[2], w1[2]; /* significance */
    vec n0[2], n1[2]; /* signs; bits decoded in a refinement pass */
    vec x0, x1;       /* refined before (refinement), valid (significance), quiet columns (cleanup) */
    vec turned[2];    /* by how many bits in all */
    vec columns;      /* picks the column tables: orientation, or refinement */
    vec special;      /* context (as in tables) of samples in x */
    __mmask16 sign;   /* the current sample's sign is next */
    __mmask16 refine, significance; /* kinds of passes */
    __mmask16 alive;
} lane_group;

typedef struct lane_tables {
    /* Contexts are given by where their state is: bits 0 to 4 the place in its vector, bits 5 and 6 the
     * vector. Bit 7 is the XORbit. */
    uint8_t columns[64];      /* what a column of neighbours adds to the index into `zero` */
    uint8_t zero[128];        /* zero coding and refinement contexts */
    uint8_t sign_columns[64]; /* what a column adds to the index into `sign` */
    uint8_t sign[64];
    uint8_t qe_low[64], qe_high[64], next_mps[64], next_lps[64]; /* table C.2; next: XOR on the state byte */
    /* Constants of a step, in memory because compilers would rather rebuild them in every step. */
    uint64_t column_places, sign_places;
    uint32_t one, below31, column_bits, sign_ends, sign_sides, own_bit, behind, column_reach, not_run,
        not_two;
    uint32_t context_odd, context_high, context_flip, mps, fifteen;
} lane_tables;

struct ebcot_dec_lanes {
    lane_tables tables;
    lane_group groups[GROUPS];
    lane lanes[GROUPS * LANES];
    const ebcot_dec_kernels *scalar;
    const dsp_kernels *dsp;
    const uint8_t *base; /* of next and end */
    decode_job *const *jobs;
    size_t num_jobs, next_job;
    unsigned busy; /* lanes */
};

/* ---- tables */

enum {
    COLUMNS_LL_SIDE = 0 << 3, /* sub-tables of lane_tables.columns */
    COLUMNS_LL_OWN = 1 << 3,
    COLUMNS_HL_SIDE = 2 << 3,
    COLUMNS_HL_OWN = 3 << 3,
    COLUMNS_HH_SIDE = 4 << 3,
    COLUMNS_HH_OWN = 5 << 3,
    COLUMNS_REFINE_OWN = 6 << 3,
    COLUMNS_NONE = 7 << 3,
    ZERO_LL = 0,     /* indices into lane_tables.zero: h + 3 v + 9 d */
    ZERO_HH = 45,    /* h + v + 5 d */
    ZERO_REFINE = 70 /* 1: with neighbours */
};

static uint8_t context_place(unsigned context) {
    return (uint8_t)(8 * (context & 3) | (context >> 2) << 5);
}

static unsigned neighbourhood(unsigned h, unsigned v, unsigned d) {
    static const uint16_t sides[3] = {0, 1 << 1, 1 << 1 | 1 << 7}, ends[3] = {0, 1 << 3, 1 << 3 | 1 << 5};
    static const uint16_t corners[5] = {0, 1 << 0, 1 << 0 | 1 << 2, 1 << 0 | 1 << 2 | 1 << 6,
                                        1 << 0 | 1 << 2 | 1 << 6 | 1 << 8};
    return sides[h] | ends[v] | corners[d];
}

static void make_zero_tables(lane_tables *t) {
    memset(t->columns, 0, sizeof t->columns);
    memset(t->zero, 0, sizeof t->zero);
    t->zero[ZERO_REFINE] = context_place(0);
    t->zero[ZERO_REFINE + 1] = context_place(1);
    for (unsigned i = 0; i < 8; i++) {
        unsigned middle = i >> 1 & 1, ends = (i & 1) + (i >> 2);
        t->columns[COLUMNS_LL_SIDE + i] = (uint8_t)(middle + 9 * ends);
        t->columns[COLUMNS_LL_OWN + i] = (uint8_t)(ZERO_LL + 3 * ends);
        t->columns[COLUMNS_HL_SIDE + i] = (uint8_t)(3 * middle + 9 * ends);
        t->columns[COLUMNS_HL_OWN + i] = (uint8_t)(ZERO_LL + ends);
        t->columns[COLUMNS_HH_SIDE + i] = (uint8_t)(middle + 5 * ends);
        t->columns[COLUMNS_HH_OWN + i] = (uint8_t)(ZERO_HH + ends);
        t->columns[COLUMNS_REFINE_OWN + i] = (uint8_t)(ZERO_REFINE + middle);
    }
    for (unsigned h = 0; h <= 2; h++)
        for (unsigned v = 0; v <= 2; v++)
            for (unsigned d = 0; d <= 4; d++) {
                unsigned n = neighbourhood(h, v, d);
                t->zero[ZERO_LL + h + 3 * v + 9 * d] = context_place(j2k_zero_contexts[BAND_LL][n]);
                t->zero[ZERO_HH + h + v + 5 * d] = context_place(j2k_zero_contexts[BAND_HH][n]);
            }
}

/* Sign coding: the significance of a column's samples is in bits 0 to 2, their signs are in bits 3 to 5. A
 * side column has only its middle, the own one its ends; a positive side adds 1 and a negative one 3, the own
 * column's contribution adds 8 or 16. */
static void make_sign_tables(lane_tables *t) {
    static const int8_t contribution[7] = {0, 1, 1, -1, 0, 0, -1};
    memset(t->sign_columns, 0, sizeof t->sign_columns);
    memset(t->sign, 0, sizeof t->sign);
    t->sign_columns[1 << 1] = 1;
    t->sign_columns[1 << 1 | 1 << 4] = 3;
    for (int above = -1; above <= 1; above++)
        for (int below = -1; below <= 1; below++) {
            unsigned i = (above != 0) | (above < 0) << 3 | (below != 0) << 2 | (below < 0) << 5;
            int sum = above + below;
            if (i)
                t->sign_columns[i] = sum > 0 ? 8 : sum < 0 ? 16 : 0;
        }
    for (unsigned h = 0; h < 7; h++)
        for (int v = -1; v <= 1; v++) {
            unsigned n = 0;
            if (contribution[h]) /* by the left neighbour */
                n |= contribution[h] > 0 ? 0x01 : 0x11;
            if (v) /* by the one above */
                n |= v > 0 ? 0x02 : 0x22;
            unsigned context = j2k_sign_contexts[n];
            t->sign[h + (v > 0   ? 8
                         : v < 0 ? 16
                                 : 0)] = (uint8_t)(context_place(context & 31) | (context & 0x80));
        }
}

static void make_state_tables(lane_tables *t) {
    memset(t->qe_low, 0, sizeof t->qe_low);
    memset(t->qe_high, 0, sizeof t->qe_high);
    memset(t->next_mps, 0, sizeof t->next_mps);
    memset(t->next_lps, 0, sizeof t->next_lps);
#define LANE_STATE(index, qe, nmps, nlps, swap)                                                              \
    t->qe_low[index] = (qe)&0xFF;                                                                            \
    t->qe_high[index] = (qe) >> 8;                                                                           \
    t->next_mps[index] = (index) ^ (nmps);                                                                   \
    t->next_lps[index] = (index) ^ (nlps) ^ ((swap) << 7);
    MQ_STATE_LIST(LANE_STATE)
#undef LANE_STATE
}

static void make_constants(lane_tables *t) {
    /* The sample is bit 7 of its words; the columns of its neighbourhood begin at bits 0, 6 and 12. Signs are
     * taken three bits higher. The upper lane of a 64-bit word has the same at 32. */
    t->column_places = 0x2C2C26200C0C0600;
    t->sign_places = 0x2929231D0909033D;
    t->column_bits = 0x00070707;
    t->sign_sides = 0x00020502; /* significance */
    t->sign_ends = 0x00102810;  /* signs */
    t->one = 1;
    t->below31 = 0x7FFFFFFF;
    t->own_bit = 1 << 7;
    t->behind = 0xE2;       /* from the sample at bit 0: the next row, three rows of the next column */
    t->column_reach = 0x7F; /* up to the upper row of the next column */
    t->not_run = ~0xFu;     /* all but a column */
    t->not_two = ~3u;
    t->context_odd = 32;
    t->context_high = 64;
    t->context_flip = 128;
    t->mps = 128;
    t->fifteen = 15;
}

/* ---- creation */

ebcot_dec_lanes *j2k_ebcot_dec_lanes_create(const ebcot_dec_tables *tables, const ebcot_dec_kernels *scalar,
                                            const dsp_kernels *dsp, int32_t *samples, arena *memory) {
    ebcot_dec_lanes *l = ARENA_ALLOC(memory, ebcot_dec_lanes, 1);
    uint64_t *words = ARENA_ALLOC(memory, uint64_t, (size_t)GROUPS * LANES * LANE_MEMORY);
    uint8_t *bits = ARENA_ALLOC(memory, uint8_t, (size_t)GROUPS * LANES * LANE_BITS);
    if (!l || !words || !bits)
        return NULL;
    make_zero_tables(&l->tables);
    make_sign_tables(&l->tables);
    make_state_tables(&l->tables);
    make_constants(&l->tables);
    for (size_t i = 0; i < GROUPS * LANES; i++)
        l->lanes[i].b = (block_state){.tables = tables,
                                      .samples = samples,
                                      .memory = words + i * LANE_MEMORY,
                                      .bits = bits + i * LANE_BITS,
                                      .array_words = LANE_WORDS,
                                      .max_segment = LANE_SEGMENT};
    memset(bits, 0, LANE_BITS);
    l->base = bits;
    l->scalar = scalar;
    l->dsp = dsp;
    return l;
}

bool j2k_ebcot_dec_lanes_take(const decode_job *job) {
    return job->num_passes && job->num_bitplanes && job->width <= 8 * CHUNK_COLUMNS &&
           job->data_size <= LANE_SEGMENT && ebcot_block_words(job->width, job->height) <= LANE_WORDS;
}

/* ---- the scalar side: chunks, passes, blocks */

static inline uint64_t turn_left(uint64_t x, unsigned count) {
    return x << (count & 63) | x >> (-count & 63);
}

/* One element of a vector in memory. */
J2K_INLINE uint32_t get(const vec *v, unsigned lane_index) {
    uint32_t x;
    memcpy(&x, (const char *)v + 4 * lane_index, 4);
    return x;
}

J2K_INLINE void set(vec *v, __mmask16 lane_bit, uint32_t x) {
    *v = _mm512_mask_set1_epi32(*v, lane_bit, (int)x);
}

J2K_INLINE void set64(vec *low, vec *high, __mmask16 lane_bit, uint64_t x) {
    set(low, lane_bit, (uint32_t)x);
    set(high, lane_bit, (uint32_t)(x >> 32));
}

/* Write a finished chunk back. */
J2K_INLINE void end_chunk(lane *l, uint64_t w, uint64_t n) {
    if (l->kind == PASS_REFINEMENT) {
        n >>= 7;
        for (unsigned k = 0; k < l->num_parts; k++) {
            uint64_t members = l->parts[k].members;
            l->magnitude[l->parts[k].word] |= _pdep_u64(n, members);
            n >>= _mm_popcnt_u64(members);
        }
        return;
    }
    uint64_t *own = l->words + l->word;
    uint64_t old = own[SIGNIFICANT], became = w ^ old;
    if (!became)
        return;
    own[SIGNIFICANT] = w;
    own[NEGATIVE] = n;
    l->magnitude[l->word] |= became;
    if (l->kind == PASS_SIGNIFICANCE) /* all that became members */
        own[VISITED] =
            l->members | ((became << 1 | became << 5 | became << 6 | became << 7) & ~old & own[VALID]);
    ebcot_spread(own + SIGNIFICANT, own + NEGATIVE, 0, l->pitch, l->causal, became, n & became);
    /* The chunk to the right may have got members; the padding behind the last one never has. */
    l->todo |= (uint8_t)((became >> 48 & WINDOW_COLUMN ? 2u : 0u) << (l->word - l->first));
}

/* The chunks of a stripe that have members. */
J2K_INLINE uint8_t scan_stripe(const lane *l) {
    uint64_t *words = l->words + l->first;
    const __mmask8 chunks = l->chunks;
    vec w = _mm512_maskz_loadu_epi64(chunks, words + SIGNIFICANT);
    vec valid = _mm512_maskz_loadu_epi64(chunks, words + VALID), m;
    if (l->kind == PASS_SIGNIFICANCE) {
        vec ends = _mm512_or_si512(_mm512_slli_epi64(w, 1), _mm512_srli_epi64(w, 1));
        vec column = _mm512_or_si512(w, ends);
        vec near =
            _mm512_ternarylogic_epi64(ends, _mm512_slli_epi64(column, 6), _mm512_srli_epi64(column, 6), 0xFE);
        m = _mm512_ternarylogic_epi64(near, w, valid, 0x20); /* near & ~w & valid */
        _mm512_mask_storeu_epi64(words + VISITED, chunks, m);
    } else {
        vec visited = _mm512_maskz_loadu_epi64(chunks, words + VISITED);
        if (l->kind == PASS_REFINEMENT)
            m = _mm512_ternarylogic_epi64(w, visited, valid, 0x20); /* w & ~visited & valid */
        else
            m = _mm512_ternarylogic_epi64(w, visited, valid, 0x02); /* ~w & ~visited & valid */
    }
    return _mm512_test_epi64_mask(m, m);
}

/* A refinement pass: the members of several chunks, packed. Their contexts do not depend on what is decoded.
 */
J2K_INLINE bool next_refinements(lane_group *g, lane *l, __mmask16 lane_bit, unsigned phase) {
    uint64_t near = 0, again = 0;
    unsigned count = 0, parts = 0;
    do {
        while (l->todo == 0 && l->first != l->last) {
            l->first += l->pitch;
            l->todo = scan_stripe(l);
        }
        if (l->todo == 0)
            break;
        uint32_t word = l->first + lowest_bit64(l->todo);
        l->todo &= (uint8_t)(l->todo - 1);
        uint64_t *own = l->words + word, w = own[SIGNIFICANT], refined = own[REFINED];
        uint64_t members = w & own[VALID] & ~own[VISITED];
        own[REFINED] = refined | members;
        near |= _pext_u64(with_neighbours(w), members) << count;
        again |= _pext_u64(refined, members) << count;
        l->parts[parts].word = word;
        l->parts[parts++].members = members;
        count += (unsigned)_mm_popcnt_u64(members);
    } while (count <= 57 - 32 && parts < MAX_PARTS);
    if (count == 0)
        return false;
    l->num_parts = parts;
    set64(&g->m0, &g->m1, lane_bit, ((uint64_t)1 << count) - 1);
    set64(&g->w0[phase ^ 1], &g->w1[phase ^ 1], lane_bit, near << 7);
    set64(&g->n0[phase ^ 1], &g->n1[phase ^ 1], lane_bit, 0);
    set64(&g->x0, &g->x1, lane_bit, again);
    set(&g->turned[phase ^ 1], lane_bit, 0);
    return true;
}

/* Give the lane its next chunk with members. False at the end of the pass. */
J2K_INLINE bool next_chunk(lane_group *g, lane *l, __mmask16 lane_bit, unsigned phase) {
    uint64_t w, n = 0, x = 0, members, *own;
    if (l->kind == PASS_REFINEMENT)
        return next_refinements(g, l, lane_bit, phase);
    for (;;) {
        while (l->todo == 0) {
            if (l->first == l->last)
                return false;
            l->first += l->pitch;
            l->todo = scan_stripe(l);
        }
        l->word = l->first + lowest_bit64(l->todo);
        l->todo &= (uint8_t)(l->todo - 1);
        own = l->words + l->word;
        w = own[SIGNIFICANT];
        uint64_t valid = own[VALID];
        n = own[NEGATIVE];
        if (l->kind == PASS_SIGNIFICANCE) {
            members = with_neighbours(w) & ~w & valid;
            own[VISITED] = members;
            x = valid;
        } else {
            members = valid & ~(w | own[VISITED]);
            if (l->first != l->last || !l->short_last)
                x = quiet_columns(w) & members;
        }
        if (members)
            break;
    }
    l->members = members;
    set64(&g->m0, &g->m1, lane_bit, members >> 7);
    set64(&g->w0[phase ^ 1], &g->w1[phase ^ 1], lane_bit, w);
    set64(&g->n0[phase ^ 1], &g->n1[phase ^ 1], lane_bit, n);
    set64(&g->x0, &g->x1, lane_bit, x >> 7);
    set(&g->turned[phase ^ 1], lane_bit, 0);
    return true;
}

/* The state bytes at the start of a block and after a RESET. */
static void reset_states(lane_group *g, lane *l, __mmask16 lane_bit) {
    set(&g->states[0], lane_bit, j2k_initial_states[CTX_ZERO]);
    set(&g->states[1], lane_bit, 0);
    set(&g->states[2], lane_bit, 0);
    set(&g->states[3], lane_bit, (uint32_t)j2k_initial_states[CTX_RUN] << 8 * (LANE_RUN & 3));
    l->parked = 0;
    g->refine &= (__mmask16)~lane_bit;
}

static void export_mq(const ebcot_dec_lanes *all, const lane_group *g, lane *l, unsigned index) {
    mq_reader *mq = &l->b.mq;
    mq->a = (uint64_t)get(&g->a, index) << 32;
    mq->c = (uint64_t)get(&g->c, index) << 32 | get(&g->c_low, index);
    mq->count = (int)get(&g->count, index);
    mq->next = all->base + get(&g->next, index);
    mq->end = all->base + get(&g->end, index);
}

static void import_mq(const ebcot_dec_lanes *all, lane_group *g, const lane *l, __mmask16 lane_bit) {
    const mq_reader *mq = &l->b.mq;
    set(&g->a, lane_bit, (uint32_t)(mq->a >> 32));
    set64(&g->c_low, &g->c, lane_bit, mq->c);
    set(&g->count, lane_bit, (uint32_t)mq->count);
    set(&g->next, lane_bit, (uint32_t)(mq->next - all->base));
    set(&g->end, lane_bit, (uint32_t)(mq->end - all->base));
}

static uint64_t scalar_state(const lane *l, unsigned state_byte) {
    return l->b.tables->states[2 * (state_byte & 63) + (state_byte >> 7)];
}

/* Decode the rest of the lane's block, from the next pass on, by the scalar decoder. */
static void finish_scalar(ebcot_dec_lanes *all, lane_group *g, lane *l, unsigned index) {
    block_state *b = &l->b;
    uint32_t states[4], refinement = l->parked;
    for (unsigned i = 0; i < 4; i++)
        states[i] = get(&g->states[i], index);
    if (g->refine >> index & 1) {
        refinement = states[0];
        states[0] = l->parked;
    }
    for (unsigned i = 0; i < CTX_REFINE; i++)
        b->contexts[i] = scalar_state(l, states[i >> 2] >> 8 * (i & 3) & 0xFF);
    b->contexts[CTX_RUN] = scalar_state(l, states[LANE_RUN >> 2] >> 8 * (LANE_RUN & 3) & 0xFF);
    for (unsigned i = 0; i < 3; i++)
        b->contexts[CTX_REFINE + i] = scalar_state(l, refinement >> 8 * i & 0xFF);
    do
        all->scalar->decode_pass(b, b->kind, b->raw, b->magnitude);
    while (j2k_block_end_pass(b) && j2k_block_next_pass(b));
}

/* Make the vectors fit the lane's pass. */
static void begin_pass(lane_group *g, lane *l, unsigned index) {
    const __mmask16 lane_bit = (__mmask16)(1u << index);
    const block_state *b = &l->b;
    const bool refine = b->kind == PASS_REFINEMENT;
    unsigned orientation = b->job->orientation, side = COLUMNS_LL_SIDE, own = COLUMNS_LL_OWN;
    if (orientation == BAND_HL) {
        side = COLUMNS_HL_SIDE;
        own = COLUMNS_HL_OWN;
    }
    if (orientation == BAND_HH) {
        side = COLUMNS_HH_SIDE;
        own = COLUMNS_HH_OWN;
    }
    if (refine) {
        side = COLUMNS_NONE;
        own = COLUMNS_REFINE_OWN;
    }
    set(&g->columns, lane_bit, side | own << 8 | side << 16);
    set(&g->special, lane_bit, context_place(refine ? 2 : LANE_RUN));
    if (refine != (bool)(g->refine >> index & 1)) {
        uint32_t states = get(&g->states[0], index);
        set(&g->states[0], lane_bit, l->parked);
        l->parked = states;
        g->refine ^= lane_bit;
    }
    g->significance &= (__mmask16)~lane_bit;
    if (b->kind == PASS_SIGNIFICANCE)
        g->significance |= lane_bit;
    l->words = b->memory;
    l->magnitude = b->magnitude;
    l->kind = (uint8_t)b->kind;
    l->causal = b->causal;
    l->pitch = b->pitch;
    l->chunks = (uint8_t)((1u << b->chunks) - 1);
    l->short_last = b->height % STRIPE_ROWS != 0;
    l->last = b->stripes * b->pitch + 1;
    l->first = 1; /* the padding in front of the first stripe */
    l->todo = 0;
}

/* The lane's pass is over (or it has no block): on to its next pass or a new block. False when there is none.
 */
static __attribute__((noinline)) bool next_pass(ebcot_dec_lanes *all, lane_group *g, lane *l,
                                                unsigned index) {
    const __mmask16 lane_bit = (__mmask16)(1u << index);
    block_state *b = &l->b;
    bool more = false, fresh = false;
    if (l->busy) {
        export_mq(all, g, l, index);
        more = j2k_block_end_pass(b) && j2k_block_next_pass(b);
    }
    for (;;) {
        if (more && all->next_job == all->num_jobs && all->busy < SCALAR_BELOW && !fresh) {
            if (b->job->style & J2K_STYLE_RESET)
                reset_states(g, l, lane_bit);
            finish_scalar(all, g, l, index);
            more = false;
        }
        if (more && b->raw) {
            all->scalar->decode_pass(b, b->kind, true, b->magnitude);
            more = j2k_block_end_pass(b) && j2k_block_next_pass(b);
            continue;
        }
        if (more)
            break;
        if (l->busy) {
            j2k_block_finish(b, all->scalar, all->dsp);
            all->busy--;
        }
        l->busy = all->next_job < all->num_jobs;
        if (!l->busy)
            return false;
        j2k_block_begin(b, all->jobs[all->next_job++]);
        all->busy++;
        fresh = true;
        more = j2k_block_next_pass(b);
    }
    if (fresh || (b->job->style & J2K_STYLE_RESET))
        reset_states(g, l, lane_bit);
    import_mq(all, g, l, lane_bit);
    begin_pass(g, l, index);
    return true;
}

/* Lanes without members left. */
J2K_INLINE unsigned idle_lanes(const lane_group *g) {
    return g->alive & _mm512_testn_epi32_mask(_mm512_or_si512(g->m0, g->m1), _mm512_set1_epi32(-1));
}

/* Give idle lanes their next work. They have been idle in the step before, which has the given phase: what it
 * read of them is what they ended with, so that none of this waits for the step. */
J2K_INLINE void feed(ebcot_dec_lanes *all, lane_group *g, lane *lanes, unsigned idle, unsigned phase) {
    if (!idle)
        return;
    do {
        unsigned index = lowest_bit64(idle), turned = get(&g->turned[phase], index);
        __mmask16 lane_bit = (__mmask16)(1u << index);
        lane *l = &lanes[index];
        idle &= idle - 1;
        if (l->busy)
            end_chunk(
                l, turn_left((uint64_t)get(&g->w1[phase], index) << 32 | get(&g->w0[phase], index), turned),
                turn_left((uint64_t)get(&g->n1[phase], index) << 32 | get(&g->n0[phase], index), turned));
        while (!l->busy || !next_chunk(g, l, lane_bit, phase)) {
            if (!next_pass(all, g, l, index)) {
                g->alive &= (__mmask16)~lane_bit;
                set(&g->count, lane_bit, 40);
                break;
            }
        }
    } while (idle);
}

/* ---- the vector side */

/* Fill up the code values to at least 41 bits behind the 16 in use. (Bits beyond the whole bytes that are
 * counted come again with the next bytes.) */
J2K_INLINE void refill(lane_group *g, const uint8_t *base) {
    const vec swap = _mm512_set4_epi32(0x0C0D0E0F, 0x08090A0B, 0x04050607, 0x00010203);
    const vec sixteen = _mm512_set1_epi32(16);
    vec bits = _mm512_shuffle_epi8(_mm512_i32gather_epi32(g->next, base, 1), swap);
    vec down = _mm512_add_epi32(g->count, sixteen), up = _mm512_sub_epi32(sixteen, g->count);
    g->c = _mm512_or_si512(g->c, _mm512_srlv_epi32(bits, down));
    g->c_low = _mm512_ternarylogic_epi32(g->c_low, _mm512_sllv_epi32(bits, up),
                                         _mm512_srlv_epi32(bits, _mm512_sub_epi32(g->count, sixteen)), 0xFE);
    vec bytes = _mm512_srli_epi32(_mm512_sub_epi32(_mm512_set1_epi32(48), g->count), 3);
    bytes = _mm512_min_epu32(bytes, _mm512_set1_epi32(4));
    g->next = _mm512_min_epu32(_mm512_add_epi32(g->next, bytes), g->end);
    g->count = _mm512_add_epi32(g->count, _mm512_slli_epi32(bytes, 3));
}

/* One decision with Qe in the top 16 bits (0: none). Returns where it is an LPS; *changes: where the
 * register was renormalised. */
J2K_INLINE __mmask16 decide(lane_group *g, vec qe, __mmask16 *changes) {
    vec a = _mm512_sub_epi32(g->a, qe);
    __mmask16 upper = _mm512_cmpge_epu32_mask(g->c, qe), exchange = _mm512_cmplt_epu32_mask(a, qe);
    vec c = _mm512_mask_sub_epi32(g->c, upper, g->c, qe);
    a = _mm512_mask_mov_epi32(qe, upper, a);
    vec shift = _mm512_lzcnt_epi32(a);
    g->a = _mm512_sllv_epi32(a, shift);
    g->c = _mm512_shldv_epi32(c, g->c_low, shift);
    g->c_low = _mm512_sllv_epi32(g->c_low, shift);
    g->count = _mm512_sub_epi32(g->count, shift);
    *changes = _mm512_test_epi32_mask(shift, shift);
    return _kxnor_mask16(upper, exchange);
}

#define TABLE(name)    _mm512_loadu_si512(t->name)
#define CONSTANT(name) _mm512_set1_epi32((int)t->name)

/* A decision on its way through the parts of a step. */
typedef struct decision {
    vec m0, m1, w0, n0, x0;
    vec context, if_mps, if_lps, qe;
    __mmask16 active;          /* lanes that decide */
    __mmask16 rest;            /* a sign or a refinement: nothing follows from the decision */
    __mmask16 run;             /* a run-length decision */
    __mmask16 odd, high, flip; /* bits of the context */
    __mmask16 mps;
} decision;

/* Turn to the next member; if it is not within 31 bits, by so much without a decision. */
J2K_INLINE void turn_to_member(lane_group *g, const lane_tables *t, decision *d, unsigned phase) {
    const vec one = CONSTANT(one);
    vec m0 = g->m0, w0 = g->w0[phase], n0 = g->n0[phase], w1 = g->w1[phase], n1 = g->n1[phase];
    vec turn = _mm512_popcnt_epi32(
        _mm512_ternarylogic_epi32(m0, _mm512_sub_epi32(m0, one), CONSTANT(below31), 0x08));
    d->m0 = _mm512_shrdv_epi32(m0, g->m1, turn);
    d->active = _mm512_test_epi32_mask(d->m0, one);
    d->w0 = _mm512_shrdv_epi32(w0, w1, turn);
    d->n0 = _mm512_shrdv_epi32(n0, n1, turn);
    d->x0 = _mm512_shrdv_epi32(g->x0, g->x1, turn);
    d->m1 = _mm512_srlv_epi32(g->m1, turn);
    g->x1 = _mm512_srlv_epi32(g->x1, turn);
    g->w1[phase ^ 1] = _mm512_shrdv_epi32(w1, w0, turn);
    g->n1[phase ^ 1] = _mm512_shrdv_epi32(n1, n0, turn);
    g->turned[phase ^ 1] = _mm512_add_epi32(g->turned[phase], turn);
}

/* The context: of zero coding or refinement, of the sign, or of samples in x. */
J2K_INLINE void find_context(const lane_group *g, const lane_tables *t, decision *d) {
    const vec zero = _mm512_setzero_si512();
    vec w = _mm512_multishift_epi64_epi8(_mm512_set1_epi64((long long)t->column_places), d->w0);
    vec n = _mm512_multishift_epi64_epi8(_mm512_set1_epi64((long long)t->sign_places), d->n0);
    vec i = _mm512_ternarylogic_epi32(w, CONSTANT(column_bits), g->columns, 0xEA);
    vec k =
        _mm512_ternarylogic_epi32(n, CONSTANT(sign_ends), _mm512_and_si512(w, CONSTANT(sign_sides)), 0xEA);
    i = _mm512_dbsad_epu8(_mm512_permutexvar_epi8(i, TABLE(columns)), zero, 0);
    k = _mm512_dbsad_epu8(_mm512_permutexvar_epi8(k, TABLE(sign_columns)), zero, 0);
    vec context = _mm512_permutex2var_epi8(TABLE(zero), i, _mm512_loadu_si512(t->zero + 64));
    k = _mm512_permutexvar_epi8(k, TABLE(sign));
    __mmask16 special = _mm512_mask_test_epi32_mask(_knot_mask16(g->significance), d->x0, CONSTANT(one));
    context = _mm512_mask_mov_epi32(context, special, g->special);
    d->context = _mm512_mask_mov_epi32(context, g->sign, k);
    d->rest = _kor_mask16(g->refine, g->sign);
    d->run = _kandn_mask16(d->rest, special);
}

/* The context's state, and what table C.2 says about it. */
J2K_INLINE void find_state(const lane_group *g, const lane_tables *t, decision *d) {
    d->odd = _mm512_test_epi32_mask(d->context, CONSTANT(context_odd));
    d->high = _mm512_test_epi32_mask(d->context, CONSTANT(context_high));
    d->flip = _mm512_mask_test_epi32_mask(g->sign, d->context, CONSTANT(context_flip));
    vec state = _mm512_mask_mov_epi32(_mm512_mask_mov_epi32(g->states[0], d->odd, g->states[1]), d->high,
                                      _mm512_mask_mov_epi32(g->states[2], d->odd, g->states[3]));
    state = _mm512_rorv_epi32(state, d->context);
    d->mps = _mm512_test_epi32_mask(state, CONSTANT(mps));
    vec index = _mm512_shuffle_epi8(state, _mm512_set4_epi32(0x0C0C0C0C, 0x08080808, 0x04040404, 0));
    vec qe = _mm512_maskz_permutexvar_epi8(0x4444444444444444, index, TABLE(qe_low));
    qe = _mm512_mask_permutexvar_epi8(qe, 0x8888888888888888, index, TABLE(qe_high));
    d->qe = _mm512_maskz_mov_epi32(d->active, qe);
    d->if_mps = _mm512_maskz_permutexvar_epi8(0x1111111111111111, index, TABLE(next_mps));
    d->if_lps = _mm512_maskz_permutexvar_epi8(0x1111111111111111, index, TABLE(next_lps));
}

/* The decision and what follows from it. A sample (or a run's column) is done unless it was found to be
 * significant. */
J2K_INLINE void follow(lane_group *g, const lane_tables *t, decision *d, const uint8_t *base,
                       unsigned phase) {
    __mmask16 changes, lps = decide(g, d->qe, &changes);
    __mmask16 bit = _kand_mask16(_kxor_mask16(d->mps, lps), d->active);
    vec change = _mm512_rolv_epi32(_mm512_mask_mov_epi32(d->if_mps, lps, d->if_lps), d->context);
    __mmask16 odd = _kand_mask16(d->odd, changes), even = _kandn_mask16(d->odd, changes);
    vec *s = g->states;
    s[0] = _mm512_mask_xor_epi32(s[0], _kandn_mask16(d->high, even), s[0], change);
    s[1] = _mm512_mask_xor_epi32(s[1], _kandn_mask16(d->high, odd), s[1], change);
    s[2] = _mm512_mask_xor_epi32(s[2], _kand_mask16(d->high, even), s[2], change);
    s[3] = _mm512_mask_xor_epi32(s[3], _kand_mask16(d->high, odd), s[3], change);

    const __mmask16 found = _kandn_mask16(d->rest, bit), sign = g->sign;
    vec m0 = d->m0;
    m0 = _mm512_mask_andnot_epi32(m0, _knot_mask16(found), CONSTANT(one), m0);
    m0 = _mm512_mask_and_epi32(m0, _kandn_mask16(found, d->run), m0, CONSTANT(not_run));
    /* A new significant sample makes those behind it members in a significance pass (the next row, and three
     * in the next column), and the next column not quiet in a cleanup pass. */
    vec add = _mm512_ternarylogic_epi32(_mm512_srli_epi32(d->w0, 7), d->x0, CONSTANT(behind), 0x08);
    m0 = _mm512_mask_or_epi32(m0, _kand_mask16(sign, g->significance), m0, add);
    g->x0 =
        _mm512_mask_andnot_epi32(d->x0, _kandn_mask16(g->significance, sign), CONSTANT(column_reach), d->x0);
    g->w0[phase ^ 1] = _mm512_mask_or_epi32(d->w0, sign, d->w0, CONSTANT(own_bit));
    __mmask16 negative = _kand_mask16(d->rest, _kxor_mask16(bit, d->flip));
    g->n0[phase ^ 1] = _mm512_mask_or_epi32(d->n0, negative, d->n0, CONSTANT(own_bit));
    g->sign = found;
    g->m1 = d->m1;

    __mmask16 runs = _kand_mask16(found, d->run);
    if (__builtin_expect(runs, 0)) { /* which row: two uniform decisions (state 46, which never changes) */
        vec uniform = _mm512_maskz_set1_epi32(runs, 0x56010000);
        __mmask16 row2, row1;
        refill(g, base);
        row2 = _kand_mask16(decide(g, uniform, &changes), runs);
        row1 = _kand_mask16(decide(g, uniform, &changes), runs);
        m0 = _mm512_mask_and_epi32(m0, row2, m0, CONSTANT(not_two));
        m0 = _mm512_mask_and_epi32(m0, row1, m0, _mm512_sub_epi32(m0, CONSTANT(one)));
    }
    g->m0 = m0;
    if (__builtin_expect(_mm512_cmplt_epi32_mask(g->count, CONSTANT(fifteen)), 0))
        refill(g, base);
}

J2K_INLINE void step(lane_group *g, const lane_tables *t, const uint8_t *base, unsigned phase) {
    decision d;
    turn_to_member(g, t, &d, phase);
    find_context(g, t, &d);
    find_state(g, t, &d);
    follow(g, t, &d, base, phase);
}

/* Two groups at once, part by part: one alone would not keep the processor busy. */
J2K_INLINE void step2(lane_group *g, const lane_tables *t, const uint8_t *base, unsigned phase) {
    decision d, e;
    turn_to_member(g, t, &d, phase);
    turn_to_member(g + 1, t, &e, phase);
    find_context(g, t, &d);
    find_context(g + 1, t, &e);
    find_state(g, t, &d);
    find_state(g + 1, t, &e);
    follow(g, t, &d, base, phase);
    follow(g + 1, t, &e, base, phase);
}

void j2k_ebcot_dec_lanes_decode(ebcot_dec_lanes *all, decode_job *const *jobs, size_t count) {
    all->jobs = jobs;
    all->num_jobs = count;
    all->next_job = 0;
    all->busy = 0;
    memset(all->groups, 0, sizeof all->groups);
    for (unsigned i = 0; i < GROUPS; i++) {
        all->groups[i].a = _mm512_set1_epi32((int)0x80000000);
        all->groups[i].count = _mm512_set1_epi32(40);
        all->groups[i].alive = 0xFFFF;
    }
    for (unsigned i = 0; i < GROUPS * LANES; i++)
        all->lanes[i].busy = false;
    lane_group *first = &all->groups[0], *second = &all->groups[1];
    unsigned phase = 0;
    do {
        /* Lanes wait for one step after their last member, so that feeding them and the step go on at the
         * same time. */
        unsigned idle = idle_lanes(first), idle2 = idle_lanes(second);
        if (second->alive)
            step2(first, &all->tables, all->base, phase);
        else
            step(first, &all->tables, all->base, phase);
        feed(all, first, all->lanes, idle, phase);
        feed(all, second, all->lanes + LANES, idle2, phase);
        phase ^= 1;
    } while (first->alive | second->alive);
}

#include "target_end.h"

#else
#include "../ebcot_dec.h"

ebcot_dec_lanes *j2k_ebcot_dec_lanes_create(const ebcot_dec_tables *tables, const ebcot_dec_kernels *scalar,
                                            const dsp_kernels *dsp, int32_t *samples, arena *memory) {
    (void)tables;
    (void)scalar;
    (void)dsp;
    (void)samples;
    (void)memory;
    return NULL;
}

bool j2k_ebcot_dec_lanes_take(const decode_job *job) {
    (void)job;
    return false;
}

void j2k_ebcot_dec_lanes_decode(ebcot_dec_lanes *lanes, decode_job *const *jobs, size_t count) {
    (void)lanes;
    (void)jobs;
    (void)count;
}
#endif
