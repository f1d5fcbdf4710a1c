/* Quantisation between coefficient planes and the integers of a code-block (T.800 annex E), one code-block at
 * a time. SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_QUANT_H
#define J2K_QUANT_H

#include "block.h"
#include "codestream.h"

/* Load a code-block for encoding into out[height][out_stride]: sign-magnitude words, bit 31 the sign, the
 * rest magnitude << roi_shift, with `fraction_bits` bits below the point on the irreversible path (floor(|x|
 * * inverse_step * 2^fraction_bits)). Returns the OR of all magnitudes (fraction included). Values saturate
 * at 2^31 - 1. */
uint32_t j2k_quantise_block(const dsp_kernels *dsp, const block_source *source, unsigned width,
                            unsigned height, unsigned fraction_bits, uint32_t *out, ptrdiff_t out_stride);

/* Store a decoded code-block. in[height][in_stride]: two's complement with one bit below the point (see
 * block.h). Reversible: in / 2 towards zero; irreversible: in * (step / 2). Undoes the ROI shift first:
 * magnitudes >= 2^roi_shift are shifted down (H.1). */
void j2k_dequantise_block(const dsp_kernels *dsp, const block_sink *sink, const int32_t *in,
                          ptrdiff_t in_stride);
/* The same where more than MAX_BITPLANES bit-planes need 64 bits; rows lie without gaps when loaded, and
 * words have their sign in bit 63 and saturate at 2^63 - 1. Real magnitudes are limited to less than 2^62. */
uint64_t j2k_quantise_block_wide(const block_source *source, unsigned width, unsigned height,
                                 unsigned fraction_bits, uint64_t *out);
void j2k_dequantise_block_wide(const block_sink *sink, const int64_t *in, ptrdiff_t in_stride);
/* Whether a job needs that: decided by its coefficients, not by the bit-planes that it might have. */
bool j2k_block_is_wide(const encode_job *job);

/* A row between wide coefficients and 32-bit integers, ROI shift not included; `in` goes to the elements from
 * `first` on. */
void j2k_quantise_row_wide(const block_source *source, unsigned y, unsigned width, unsigned fraction_bits,
                           uint32_t *out);
void j2k_dequantise_row_wide(const block_sink *sink, unsigned y, unsigned first, const int32_t *in,
                             unsigned n);

/* Store zeros for a block without passes. */
void j2k_zero_block(const block_sink *sink);

/* Delta_b of equation E-3 for exponent, mantissa and a nominal range of R_b = depth + gain_b bits. */
float j2k_quant_step(unsigned depth, unsigned orientation, unsigned exponent, unsigned mantissa);
/* The exponent and mantissa (11 bits) whose step is nearest to `step` from below or equal; clamped to what
 * the fields hold. */
void j2k_quant_encode_step(double step, unsigned depth, unsigned orientation, uint8_t *exponent,
                           uint16_t *mantissa);
/* log2 of the nominal gain of a subband: 0 LL, 1 HL and LH, 2 HH (table E.1). */
static inline unsigned subband_gain(unsigned orientation) {
    return orientation == 0 ? 0 : orientation == 3 ? 2 : 1;
}

#endif
