/* The block coders behind one interface.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "block.h"

#include "ebcot_lanes.h"
#include "ht.h"

/* Coders are made at first use: an encoder of many lanes reserves more memory than a decoder would like. */
struct block_coder {
    const dsp_kernels *dsp;
    unsigned cpu;
    arena *memory;
    ebcot_encoder *encoder;
    ebcot_decoder *decoder;
    ht_encoder *ht_encoder;
    ht_decoder *ht_decoder;
};

block_coder *j2k_block_coder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    block_coder *coder = ARENA_ALLOC_ZERO(memory, block_coder, 1);
    if (coder) {
        coder->dsp = dsp;
        coder->cpu = cpu;
        coder->memory = memory;
    }
    return coder;
}

/* Make a coder unless there is one. */
#define NEED(coder, member, create)                                                                          \
    do {                                                                                                     \
        if (!(coder)->member)                                                                                \
            (coder)->member = create((coder)->dsp, (coder)->cpu, (coder)->memory);                           \
        RETURN_IF(!(coder)->member, J2K_ERROR_MEMORY);                                                       \
    } while (0)

unsigned j2k_block_encode_batch(unsigned cpu, bool ht) {
    const lane_kernels *kernels = ht ? NULL : j2k_lane_kernels_get(cpu);
    /* Lanes run dry at the end of a batch: the more blocks there are for each, the less that matters. */
    return kernels ? 8 * kernels->num_lanes : 4;
}

unsigned j2k_block_decode_batch(unsigned cpu, bool ht) {
    if (!(cpu & J2K_CPU_AVX512))
        return 4;
    return ht ? 64 : 256; /* 32 lanes both, but those of HT start together */
}

j2k_status j2k_blocks_encode(block_coder *coder, encode_job *jobs, size_t count, arena *out) {
    if (count && (jobs->style & J2K_STYLE_HT)) { /* all jobs of an encoder have the same style */
        NEED(coder, ht_encoder, j2k_ht_encoder_create);
        return j2k_ht_encode(coder->ht_encoder, jobs, count, out);
    }
    NEED(coder, encoder, j2k_ebcot_encoder_create);
    return j2k_ebcot_encode(coder->encoder, jobs, count, out);
}

/* Jobs of the same coder in a row from the first one on. */
static size_t same_coder(const decode_job *jobs, size_t count) {
    size_t n = 1;
    while (n < count && ((jobs[n].style ^ jobs[0].style) & J2K_STYLE_HT) == 0)
        n++;
    return n;
}

j2k_status j2k_blocks_decode(block_coder *coder, decode_job *jobs, size_t count) {
    for (size_t n; count; jobs += n, count -= n) {
        n = same_coder(jobs, count);
        if (jobs->style & J2K_STYLE_HT) {
            NEED(coder, ht_decoder, j2k_ht_decoder_create);
            TRY(j2k_ht_decode(coder->ht_decoder, jobs, n));
            continue;
        }
        NEED(coder, decoder, j2k_ebcot_decoder_create);
        for (size_t i = 0; i < n; i++)
            RETURN_IF(jobs[i].num_bitplanes > MAX_WIDE_BITPLANES, J2K_ERROR_UNSUPPORTED);
        TRY(j2k_ebcot_decode(coder->decoder, jobs, n));
    }
    return J2K_OK;
}
