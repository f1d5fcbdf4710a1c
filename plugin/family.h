/* What the shared objects of the other codec names call in libblosc2_grok. The names do not begin with
 * blosc2_, so that no plugin has an undefined symbol that looks like one of C-Blosc2's.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAMILY_H
#define FAMILY_H

#include <stdint.h>

#if defined(_WIN32)
#define FAMILY_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define FAMILY_EXPORT __attribute__((visibility("default")))
#else
#define FAMILY_EXPORT
#endif

struct blosc2_cparams;
struct blosc2_dparams;

/* As blosc2_grok_encoder, with these j2k_codeblock_style flags added to the parameters' own. */
FAMILY_EXPORT int j2k_plugin_encode(uint32_t style, const uint8_t *input, int32_t input_len, uint8_t *output,
                                    int32_t output_len, uint8_t meta, struct blosc2_cparams *cparams);

/* As blosc2_grok_decoder. */
FAMILY_EXPORT int j2k_plugin_decode(const uint8_t *input, int32_t input_len, uint8_t *output,
                                    int32_t output_len, struct blosc2_dparams *dparams);

#endif
