/* The Part 1 block encoder: one code-block after another in plain C, or handed to lanes.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "ebcot_lanes.h"
#include "quant.h"

/* What wide blocks need on top. */
typedef struct wide_scratch {
    uint64_t samples[MAX_BLOCK_SIZE];
    uint64_t bits[MAX_CODED_BITPLANES * MAX_WORDS];
    uint8_t data[1 + WIDE_DATA_CAPACITY];
} wide_scratch;

struct ebcot_encoder {
    const dsp_kernels *dsp;
    const lane_kernels *kernels; /* NULL when the processor has no lanes */
    lane_encoder *lanes;         /* made at first use */
    wide_scratch *wide;          /* likewise */
    arena *memory;
    ebcot_block block;
    block_coding coding;
    uint64_t significant[MAX_BORDERED_WORDS], negative[MAX_BORDERED_WORDS];
    uint64_t visited[MAX_WORDS], refined[MAX_WORDS], valid[MAX_WORDS];
    uint64_t bits[MAX_BITPLANES * MAX_WORDS];
    uint32_t magnitudes[MAX_WORDS * WORD_SAMPLES];
    uint32_t samples[MAX_BLOCK_SIZE + SAMPLE_SLACK];
    uint8_t symbols[MAX_PASS_SYMBOLS + SYMBOL_SLACK];
    uint8_t data[1 + DATA_CAPACITY];
};

ebcot_encoder *j2k_ebcot_encoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    ebcot_encoder *encoder = ARENA_ALLOC(memory, ebcot_encoder, 1);
    if (!encoder)
        return NULL;
    encoder->dsp = dsp;
    encoder->kernels = j2k_lane_kernels_get(cpu);
    encoder->lanes = NULL;
    encoder->wide = NULL;
    encoder->memory = memory;
    ebcot_block *block = &encoder->block;
    block->significant = encoder->significant;
    block->negative = encoder->negative;
    block->visited = encoder->visited;
    block->refined = encoder->refined;
    block->valid = encoder->valid;
    block->magnitudes = encoder->magnitudes;
    encoder->data[0] = 0;
    return encoder;
}

static uint8_t *make_symbols(ebcot_block *block, unsigned pass, uint8_t *out, pass_sums *sums) {
    unsigned plane = block->shape.planes - 1 - (pass + 2) / 3;
    sums->distortion = 0;
    sums->coded = 0;
    switch ((pass + 2) % 3) {
    case PASS_SIGNIFICANCE:
        return j2k_ebcot_significance(block, plane, ebcot_pass_is_raw(block->shape.style, pass), out, sums);
    case PASS_REFINEMENT:
        return j2k_ebcot_refinement(block, plane, out, sums);
    default:
        return j2k_ebcot_cleanup(block, plane, out, sums);
    }
}

/* Code a block whose masks are loaded. */
static j2k_status encode_passes(ebcot_encoder *encoder, arena *out) {
    block_coding *coding = &encoder->coding;
    mq_registers mq = {0};
    mq_contexts contexts;
    for (unsigned pass = 0; pass < coding->num_passes; pass++) {
        pass_sums sums;
        pass_start start;
        if (coding->shape.wide && (pass == 0 || (pass + 2) % 3 == PASS_SIGNIFICANCE))
            j2k_ebcot_take_window(&encoder->block, coding->shape.planes - 1 - (pass + 2) / 3,
                                  encoder->wide->samples, encoder->samples);
        const uint8_t *end = make_symbols(&encoder->block, pass, encoder->symbols, &sums);
        size_t count = (size_t)(end - encoder->symbols);
        TRY(j2k_coding_begin_pass(coding, pass, count, &mq, &contexts, &start));
        if (coding->raw)
            j2k_coding_raw(coding, encoder->symbols, count);
        else
            j2k_mq_encode(&mq, &contexts, encoder->symbols, count);
        j2k_coding_end_pass(coding, pass, &mq, &sums);
    }
    return j2k_coding_finish(coding, out);
}

static j2k_status encode_block(ebcot_encoder *encoder, encode_job *job, arena *out) {
    block_shape shape;
    TRY(j2k_coding_load(encoder->dsp, job, encoder->samples, &shape));
    TRY(j2k_coding_begin(&encoder->coding, job, &shape, encoder->data + 1,
                         encoder->data + sizeof encoder->data, out));
    encoder->block.bits = encoder->bits;
    if (encoder->coding.num_passes)
        j2k_ebcot_load(&encoder->block, &shape, encoder->samples);
    return encode_passes(encoder, out);
}

static j2k_status encode_wide_block(ebcot_encoder *encoder, encode_job *job, arena *out) {
    block_shape shape;
    if (!encoder->wide)
        encoder->wide = ARENA_ALLOC(encoder->memory, wide_scratch, 1);
    wide_scratch *wide = encoder->wide;
    RETURN_IF(!wide, J2K_ERROR_MEMORY);
    wide->data[0] = 0;
    TRY(j2k_coding_load_wide(job, wide->samples, &shape));
    TRY(j2k_coding_begin(&encoder->coding, job, &shape, wide->data + 1, wide->data + sizeof wide->data, out));
    encoder->block.bits = wide->bits;
    if (encoder->coding.num_passes)
        j2k_ebcot_load_wide(&encoder->block, &shape, wide->samples, encoder->samples);
    return encode_passes(encoder, out);
}

j2k_status j2k_ebcot_encode(ebcot_encoder *encoder, encode_job *jobs, size_t count, arena *out) {
    encode_job *group[LANE_GROUP];
    while (count) {
        size_t size = count < LANE_GROUP ? count : LANE_GROUP, in_lanes = 0;
        for (size_t i = 0; i < size; i++) {
            if (j2k_block_is_wide(&jobs[i]))
                TRY(encode_wide_block(encoder, &jobs[i], out));
            else if (encoder->kernels && lanes_take(&jobs[i]))
                group[in_lanes++] = &jobs[i];
            else
                TRY(encode_block(encoder, &jobs[i], out));
        }
        if (in_lanes && !encoder->lanes)
            encoder->lanes = j2k_lane_encoder_create(encoder->dsp, encoder->kernels, encoder->memory);
        RETURN_IF(in_lanes && !encoder->lanes, J2K_ERROR_MEMORY);
        if (in_lanes)
            TRY(j2k_lanes_encode(encoder->lanes, group, in_lanes, out));
        jobs += size;
        count -= size;
    }
    return J2K_OK;
}
