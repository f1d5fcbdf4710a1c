/* libblosc2_j2k, libblosc2_htj2k and libblosc2_openhtj2k: other names by which C-Blosc2 finds the codec.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "blosc2_abi.h"
#include "family.h"

/* The build compiles this file once a name, with ALIAS_ENCODER, ALIAS_DECODER and ALIAS_STYLE (0 or
 * J2K_STYLE_HT). */
#include "j2k.h"

#define TEXT_OF(name) #name
#define TEXT(name)    TEXT_OF(name)

extern FAMILY_EXPORT codec_info info;
codec_info info = {TEXT(ALIAS_ENCODER), TEXT(ALIAS_DECODER)};

FAMILY_EXPORT int ALIAS_ENCODER(const uint8_t *input, int32_t input_len, uint8_t *output, int32_t output_len,
                                uint8_t meta, blosc2_cparams *cparams, const void *chunk);
FAMILY_EXPORT int ALIAS_DECODER(const uint8_t *input, int32_t input_len, uint8_t *output, int32_t output_len,
                                uint8_t meta, blosc2_dparams *dparams, const void *chunk);

int ALIAS_ENCODER(const uint8_t *input, int32_t input_len, uint8_t *output, int32_t output_len, uint8_t meta,
                  blosc2_cparams *cparams, const void *chunk) {
    (void)chunk;
    return j2k_plugin_encode(ALIAS_STYLE, input, input_len, output, output_len, meta, cparams);
}

int ALIAS_DECODER(const uint8_t *input, int32_t input_len, uint8_t *output, int32_t output_len, uint8_t meta,
                  blosc2_dparams *dparams, const void *chunk) {
    (void)meta;
    (void)chunk;
    return j2k_plugin_decode(input, input_len, output, output_len, dparams);
}
