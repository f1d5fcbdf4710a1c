/* The codec callbacks of libblosc2_grok, for programs that register the codec themselves with
 * blosc2_register_codec. SPDX-License-Identifier: BSD-3-Clause */
#ifndef BLOSC2_GROK_PUBLIC_H
#define BLOSC2_GROK_PUBLIC_H

#include "blosc2_grok.h"

#ifndef BLOSC2_GROK_NO_BLOSC2
#include "blosc2/codecs-registry.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Encode one block of input_len bytes into output[0 .. output_len). Returns the bytes written, 0 when they do
 * not fit (C-Blosc2 then stores the block as it is), or a negative number with the reason in
 * blosc2_grok_last_error. */
BLOSC2_GROK_EXPORT int blosc2_grok_encoder(const uint8_t *input, int32_t input_len, uint8_t *output,
                                           int32_t output_len, uint8_t meta, blosc2_cparams *cparams,
                                           const void *chunk);

/* Decode one block into exactly output_len bytes. Returns output_len or a negative number, as above. */
BLOSC2_GROK_EXPORT int blosc2_grok_decoder(const uint8_t *input, int32_t input_len, uint8_t *output,
                                           int32_t output_len, uint8_t meta, blosc2_dparams *dparams,
                                           const void *chunk);

#ifdef __cplusplus
}
#endif

#endif
