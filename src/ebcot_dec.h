/* The Part 1 block decoder's state of one code-block, shared by its scalar and vector versions.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_EBCOT_DEC_H
#define J2K_EBCOT_DEC_H

#include "ebcot.h"
#include "mq_dec.h"

/* The window layout. A code-block is cut into stripes of 4 rows and these into chunks of 8 columns. Whatever
 * there is one bit a sample of lies in one 64-bit word a chunk, which holds 10 columns of 6 bits: column c is
 * bits 6c to 6c + 5, rows 1 to 4 and columns 1 to 8 are the chunk's own samples, and the rest are the samples
 * around it.
 *
 *      column  0   1   2        8   9
 *      row 0   0   6  12  ...  48  54     the stripe above
 *      row 1   1   7  13  ...  49  55   \
 *      ...                               the stripe
 *      row 4   4  10  16  ...  52  58   /
 *      row 5   5  11  17  ...  53  59     the stripe below
 *
 * Bit order is scan order (D.1), and the 3 x 3 neighbourhood of the sample at bit p is (word >> (p - 7)) &
 * 0x7147 wherever it lies. What the words hold of their neighbours is kept up to date by whoever changes a
 * word (see ebcot_spread), so that decoding a chunk touches nothing else. */
#define WINDOW_ROW0   0x0041041041041041u /* row 0 of all columns */
#define WINDOW_ROW5   (WINDOW_ROW0 << 5)
#define WINDOW_COLUMN 0x3Fu                               /* column 0 */
#define WINDOW_OWN0   (WINDOW_ROW0 & 0x003FFFFFFFFFFFC0u) /* row 0 of the own columns */
#define WINDOW_OWN    (WINDOW_OWN0 << 1 | WINDOW_OWN0 << 2 | WINDOW_OWN0 << 3 | WINDOW_OWN0 << 4)

enum {
    CHUNK_COLUMNS = 8,
    STRIPE_ROWS = 4,
    MAX_STATE_CHUNKS = 256, /* 4 x 1024 samples: 256 stripes of one chunk */
    /* Words of a block: every stripe has one word of padding in front, there is one padding stripe above and
     * one below, and one word behind them: (stripes + 2) * (chunks + 1) + 1, at most for 4 x 1024. */
    MAX_STATE_WORDS = (MAX_STATE_CHUNKS + 2) * 2 + 4,
    MAX_SLOTS = MAX_BITPLANES + 1, /* see block_state.planes */
    MAX_WIDE_SLOTS = MAX_WIDE_BITPLANES + 1
};

/* The tables a decoder works from, made when it is created. */
typedef struct ebcot_dec_tables {
    uint64_t states[MQ_DEC_STATES];
    /* Zero coding contexts per orientation; index: see zero_index */
    uint8_t zero[4][512];
    /* Sign contexts, XORbit in bit 7; index: see sign_index */
    uint8_t sign[1024];
} ebcot_dec_tables;

/* Where the bytes of the next codeword segment are. */
typedef struct chunk_cursor {
    const data_chunk *chunk;
    uint32_t offset;
} chunk_cursor;

typedef struct block_state {
    unsigned width, height;
    unsigned chunks, stripes; /* in a stripe; in the block */
    unsigned pitch;           /* words from stripe to stripe; the first own word is pitch + 1 */
    unsigned words;           /* with padding */
    bool causal;              /* vertically causal contexts (D.7) */
    const uint8_t *zero;      /* of the orientation */
    const ebcot_dec_tables *tables;

    /* Where decoding is: the pass to decode next */
    decode_job *job;
    chunk_cursor cursor;
    const codeword_segment *segment; /* the one behind the current segment */
    unsigned left;                   /* passes left in the current segment */
    unsigned pass;                   /* passes decoded */
    unsigned kind;                   /* of the current pass: PASS_.. */
    bool raw;                        /* the current segment has no arithmetic coding */
    bool opened;                     /* the current pass is the first of its segment */
    uint64_t *magnitude;             /* bit-plane of the current pass */

    mq_reader mq;
    uint64_t contexts[NUM_CONTEXTS]; /* MQ states as in tables->states */

    /* One word a chunk each */
    uint64_t *significant; /* with borders */
    uint64_t *negative;    /* signs of significant samples, with borders (corners undefined) */
    uint64_t *visited;     /* coded in this bit-plane's significance propagation pass */
    uint64_t *refined;     /* magnitude refined at least once */
    uint64_t *valid;       /* own samples inside the block */
    /* Magnitudes, doubled: slot q holds the bits of value 2^q of the result (see block.h), so bit-plane p is
     * slot p + 1; slot q begins at q * slot. */
    uint64_t *planes;
    unsigned slot; /* words from array to array; of the planes, too */

    /* Memory, given by the owner */
    uint64_t *memory;      /* NUM_STATE_ARRAYS arrays */
    unsigned array_words;  /* of each array; 0: as many as the block needs */
    uint8_t *bits;         /* of the current segment, unstuffed; see unstuff_begin */
    uint32_t max_segment;  /* bytes; longer ones are cut off */
    int32_t *samples;      /* the result, chunks * 8 a row; MAX_STATE_SAMPLES */
    int64_t *wide_samples; /* the same of a block of more than MAX_BITPLANES bit-planes, else not used */
} block_state;

enum {
    NUM_STATE_ARRAYS = 5 + MAX_SLOTS,
    NUM_WIDE_STATE_ARRAYS = 5 + MAX_WIDE_SLOTS,
    MAX_STATE_SAMPLES = MAX_STATE_CHUNKS * CHUNK_COLUMNS * STRIPE_ROWS
};

/* Words that a block of this size needs, in groups of eight. */
static inline unsigned ebcot_block_words(unsigned width, unsigned height) {
    unsigned chunks = (width + CHUNK_COLUMNS - 1) / CHUNK_COLUMNS;
    unsigned stripes = (height + STRIPE_ROWS - 1) / STRIPE_ROWS;
    return ((stripes + 2) * (chunks + 1) + 1 + 7) / 8 * 8;
}

/* Decoding a block: begin, then as long as next_pass returns true decode the pass it says (b->kind, raw,
 * magnitude) and call end_pass, until that returns false; then finish. job->sound is cleared on the way where
 * the data contradict themselves. next_pass opens codeword segments: then it sets b->opened and b->mq. */
void j2k_block_begin(block_state *b, decode_job *job);
bool j2k_block_next_pass(block_state *b);
bool j2k_block_end_pass(block_state *b);

typedef struct ebcot_dec_kernels ebcot_dec_kernels;
void j2k_block_finish(block_state *b, const ebcot_dec_kernels *kernels, const dsp_kernels *dsp);
/* All of it */
void j2k_block_decode(block_state *b, const ebcot_dec_kernels *kernels, const dsp_kernels *dsp,
                      decode_job *job);

/* What exists once per instruction set. */
struct ebcot_dec_kernels {
    /* Decode one coding pass of the given kind into a bit-plane; raw: with the arithmetic coding bypass. */
    void (*decode_pass)(block_state *b, unsigned kind, bool raw, uint64_t *magnitude);
    /* Slots `lowest` to `highest` and the signs to b->samples. */
    void (*assemble)(block_state *b, unsigned lowest, unsigned highest);
};

/* NULL when the compiler or the processor family cannot. */
const ebcot_dec_kernels *j2k_ebcot_dec_kernels_avx2(void);

/* Replaces kernels->assemble, if that is possible. */
void j2k_ebcot_dec_assemble_avx512(ebcot_dec_kernels *kernels);

/* The decoder of many blocks at once: see simd/ebcot_dec_avx512.c. */
typedef struct ebcot_dec_lanes ebcot_dec_lanes;

/* NULL when memory runs out or there is none for this machine. */
ebcot_dec_lanes *j2k_ebcot_dec_lanes_create(const ebcot_dec_tables *tables, const ebcot_dec_kernels *scalar,
                                            const dsp_kernels *dsp, int32_t *samples, arena *memory);
/* Whether the lanes can take this job. */
bool j2k_ebcot_dec_lanes_take(const decode_job *job);
void j2k_ebcot_dec_lanes_decode(ebcot_dec_lanes *lanes, decode_job *const *jobs, size_t count);

enum { EBCOT_DEC_LANES_MIN = 10 /* jobs from which on the lanes are faster */ };

#endif
