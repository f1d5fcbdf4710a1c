/* The block coders behind one interface.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "block.h"

#include "ebcot_lanes.h"
#include "ht.h"

struct block_coder {
    ebcot_encoder *encoder;
    ebcot_decoder *decoder;
    ht_encoder *ht_encoder;
    ht_decoder *ht_decoder;
};

block_coder *j2k_block_coder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    block_coder *coder = ARENA_ALLOC(memory, block_coder, 1);
    if (!coder)
        return NULL;
    coder->encoder = j2k_ebcot_encoder_create(dsp, cpu, memory);
    coder->decoder = j2k_ebcot_decoder_create(dsp, cpu, memory);
    coder->ht_decoder = j2k_ht_decoder_create(dsp, cpu, memory);
    coder->ht_encoder = j2k_ht_encoder_create(dsp, cpu, memory);
    bool complete = coder->encoder && coder->decoder && coder->ht_encoder && coder->ht_decoder;
    return complete ? coder : NULL;
}

unsigned j2k_block_encode_batch(unsigned cpu, bool ht) {
    const lane_kernels *kernels = ht ? NULL : j2k_lane_kernels_get(cpu);
    /* Lanes run dry at the end of a batch: the more blocks there are for each, the less that matters. */
    return kernels ? 8 * kernels->num_lanes : 4;
}

unsigned j2k_block_decode_batch(unsigned cpu, bool ht) {
    return !ht && (cpu & J2K_CPU_AVX512) ? 256 : 4; /* 32 lanes */
}

j2k_status j2k_blocks_encode(block_coder *coder, encode_job *jobs, size_t count, arena *out) {
    if (count && (jobs->style & J2K_STYLE_HT)) /* all jobs of an encoder have the same style */
        return j2k_ht_encode(coder->ht_encoder, jobs, count, out);
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
            TRY(j2k_ht_decode(coder->ht_decoder, jobs, n));
            continue;
        }
        for (size_t i = 0; i < n; i++)
            RETURN_IF(jobs[i].num_bitplanes > MAX_BITPLANES, J2K_ERROR_UNSUPPORTED);
        j2k_ebcot_decode(coder->decoder, jobs, n);
    }
    return J2K_OK;
}
