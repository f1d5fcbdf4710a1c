/* The block coders behind one interface.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "block.h"

#include "ebcot.h"

struct block_coder {
    ebcot_encoder *encoder;
    ebcot_decoder *decoder;
};

block_coder *j2k_block_coder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    block_coder *coder = ARENA_ALLOC(memory, block_coder, 1);
    if (!coder)
        return NULL;
    coder->encoder = j2k_ebcot_encoder_create(dsp, cpu, memory);
    coder->decoder = j2k_ebcot_decoder_create(dsp, cpu, memory);
    return coder->encoder && coder->decoder ? coder : NULL;
}

unsigned j2k_block_encode_batch(unsigned cpu, bool ht) {
    (void)cpu;
    (void)ht;
    return 4;
}

unsigned j2k_block_decode_batch(unsigned cpu, bool ht) {
    (void)cpu;
    (void)ht;
    return 4;
}

j2k_status j2k_blocks_encode(block_coder *coder, encode_job *jobs, size_t count, arena *out) {
    for (size_t i = 0; i < count; i++)
        RETURN_IF(jobs[i].style & J2K_STYLE_HT, J2K_ERROR_UNSUPPORTED);
    return j2k_ebcot_encode(coder->encoder, jobs, count, out);
}

j2k_status j2k_blocks_decode(block_coder *coder, decode_job *jobs, size_t count) {
    for (size_t i = 0; i < count; i++)
        RETURN_IF((jobs[i].style & J2K_STYLE_HT) || jobs[i].num_bitplanes > MAX_BITPLANES,
                  J2K_ERROR_UNSUPPORTED);
    j2k_ebcot_decode(coder->decoder, jobs, count);
    return J2K_OK;
}
