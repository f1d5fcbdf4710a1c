/* The Part 1 block encoder on many code-blocks at once: the state of the lanes, and what an instruction set
 * provides.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_EBCOT_LANES_H
#define J2K_EBCOT_LANES_H

#include "ebcot_enc.h"

/* MQ coding is sequential in a code-block, but code-blocks are independent: lane l of a vector codes the
 * symbols of one block. Streams are cut into chunks of 16 symbols, which are transposed to one vector a
 * symbol; passes are filled up with no-ops to whole chunks, so that lanes stop where passes end. */
enum { MAX_LANES = 64, LANE_CHUNK = 16, LANE_NO_OP = 31 };

/* Room for the bytes of a chunk, and of a vector store behind them. One symbol finishes two bytes at most:
 * the shift of up to 15 bits cannot complete a third. */
enum { LANE_LOG = LANE_CHUNK * MAX_LANES * 2 + 64 };

/* A lane's state of a context: index into table C.2 in bits 0 to 5, MPS in bit 7. Registers are those of
 * mq_registers with C in two halves. Vectors of 16-bit elements hold the even lanes in one half and the
 * odd ones in the other: see lane_element. */
typedef struct mq_lanes {
    _Alignas(64) uint8_t states[NUM_CONTEXTS][MAX_LANES];
    uint16_t a[MAX_LANES], c_low[MAX_LANES], c_high[MAX_LANES], ct[MAX_LANES], b[MAX_LANES];
    const uint8_t *source[MAX_LANES]; /* next chunk */
    uint32_t advance[MAX_LANES]; /* LANE_CHUNK, or 0 for an idle lane, whose chunk of no-ops is repeated */
    uint8_t
        *next[MAX_LANES + 1]; /* where finished bytes go; the last one is for a lane that does not exist */
    /* Bytes finished in the last chunk, not yet in place: lane in the upper byte. They are put where they
     * belong during the next chunk, or by j2k_lanes_settle. Behind them there is room for others. */
    uint16_t *pending, *pending_end;
    uint16_t logs[2][LANE_LOG];
    uint8_t nowhere[LANE_CHUNK * 3 * 5]; /* bytes of the lane that does not exist */
} mq_lanes;

static inline unsigned lane_element(unsigned lane, unsigned num_lanes) {
    return (lane & 1) * (num_lanes / 2) + lane / 2;
}

/* Symbols of a block's pass: symbols[start .. start + count), followed by no-ops up to a multiple of
 * LANE_CHUNK, where the next pass starts. */
typedef struct pass_symbols {
    uint32_t start, count;
    pass_sums sums;
} pass_symbols;

/* Symbols of a whole block of 64 x 64: every sample is coded once a bit-plane, with one sign; in each
 * column of a stripe a run-length symbol and two uniform ones come once on top; segmentation symbols; and
 * no-ops. */
enum {
    MAX_BLOCK_SYMBOLS = MAX_BLOCK_SIZE * (MAX_BITPLANES + 1) + MAX_BLOCK_SIZE / 4 * 2 + MAX_PASSES * (16 + 4)
};

typedef struct lane_kernels {
    unsigned num_lanes; /* 32 or 64 */
    unsigned few_lanes; /* with so many or fewer at work, coding them one after
                           another is faster */
    size_t workspace;   /* bytes for make_symbols, aligned to 64 */
    void (*prepare)(void *workspace);
    /* The symbols of all passes of a block of at most 64 x 64 samples (sign-magnitude words, rows of its
     * width); shape->planes > 0. */
    void (*make_symbols)(void *workspace, const block_shape *shape, const uint32_t *samples, uint8_t *symbols,
                         pass_symbols *passes);
    /* Code `chunks` chunks in every lane. */
    void (*run)(mq_lanes *lanes, size_t chunks);
    /* The same with half as many lanes, for when no more are at work; NULL when that is no faster. */
    void (*run_narrow)(mq_lanes *lanes, size_t chunks);
} lane_kernels;

/* Put a finished byte in its place. */
J2K_INLINE void lane_byte(uint8_t **next, uint16_t event) {
    unsigned lane = event >> 8;
    *next[lane]++ = (uint8_t)event;
}

void j2k_mq_lanes_run_avx512(mq_lanes *lanes, size_t chunks);
void j2k_mq_lanes_run_avx512vl(mq_lanes *lanes, size_t chunks); /* 32 lanes */
void j2k_mq_lanes_run_avx2(mq_lanes *lanes, size_t chunks);
extern const lane_kernels j2k_lanes_avx512, j2k_lanes_avx2;

/* The kernels for these j2k_cpu flags, NULL when there are none. */
const lane_kernels *j2k_lane_kernels_get(unsigned cpu);

typedef struct lane_encoder lane_encoder;

/* NULL when memory runs out. */
lane_encoder *j2k_lane_encoder_create(const dsp_kernels *dsp, const lane_kernels *kernels, arena *memory);

/* Blocks that lanes can code; the others have to be coded in plain C. */
static inline bool lanes_take(const encode_job *job) {
    return job->width <= 64 && job->height <= 64;
}

enum { LANE_GROUP = 1024 };

/* Code at most LANE_GROUP jobs, all of which the lanes take. The array is sorted. */
j2k_status j2k_lanes_encode(lane_encoder *encoder, encode_job **jobs, size_t count, arena *out);

#endif
