/* Part 1 block coding (T.800 annex D): what encoder and decoder share, and the two coders' entry points.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_EBCOT_H
#define J2K_EBCOT_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "block.h"
#include "dsp.h"
#include "error.h"

/* The contexts of table D.7 by our numbers (the standard leaves numbering free). */
enum {
    CTX_ZERO = 0,     /* zero coding, table D.1: 0 to 8 */
    CTX_SIGN = 9,     /* sign coding, table D.3: 9 to 13 */
    CTX_REFINE = 14,  /* magnitude refinement, table D.4: 14 to 16 */
    CTX_RUN = 17,     /* run-length */
    CTX_UNIFORM = 18, /* uniform */
    NUM_CONTEXTS = 19
};

/* Initial MQ state of every context (table D.7): index into table C.2; the MPS is 0. */
extern const uint8_t j2k_initial_states[NUM_CONTEXTS];

/* Neighbourhood index: the 3 x 3 significance states in column-major order, so that it is read from masks
 * whose columns are runs of bits:
 *
 *     bit 0 | 3 | 6        left above   | above  | right above
 *         1 | 4 | 7        left         | itself | right
 *         2 | 5 | 8        left below   | below  | right below
 *
 * Bit 4 (the sample itself) makes no difference. */
enum {
    NEIGHBOUR_LEFT = 1 << 1,
    NEIGHBOUR_ABOVE = 1 << 3,
    NEIGHBOUR_BELOW = 1 << 5,
    NEIGHBOUR_RIGHT = 1 << 7
};

/* Zero coding context (table D.1), by orientation (BAND_LL..) and neighbourhood. */
extern const uint8_t j2k_zero_contexts[4][512];

/* Sign coding (tables D.2 and D.3): context in the low 5 bits, XORbit in bit 7. Index: significance of
 * left, above, below, right neighbour in bits 0 to 3, and their signs (1: negative) in bits 4 to 7; signs
 * of insignificant neighbours make no difference. */
extern const uint8_t j2k_sign_contexts[256];

/* Magnitude refinement (table D.4): CTX_REFINE + 2 after the first refinement of a sample, else CTX_REFINE
 * + 1 with, CTX_REFINE without significant neighbours. */

/* Kinds of coding passes: pass number n of a code-block (0 is the first cleanup pass) is of kind (n + 2) %
 * 3, in bit-plane planes - 1 - (n + 2) / 3. */
enum { PASS_SIGNIFICANCE = 0, PASS_REFINEMENT = 1, PASS_CLEANUP = 2 };

/* Whether a pass is coded raw: with BYPASS, significance and refinement passes from the fifth bit-plane on
 * (table D.9). */
static inline int ebcot_pass_is_raw(unsigned style, unsigned pass) {
    return (style & J2K_STYLE_BYPASS) && pass >= 10 && (pass + 2) % 3 != PASS_CLEANUP;
}

/* Whether a codeword segment ends behind a pass (table D.9): always with TERMALL; with BYPASS behind the
 * fourth cleanup pass, the refinement passes and the cleanup passes from there on. The last pass of all
 * ends its segment anyway. */
static inline int ebcot_pass_terminates(unsigned style, unsigned pass) {
    return (style & J2K_STYLE_TERMALL) ||
           ((style & J2K_STYLE_BYPASS) && pass >= 9 && (pass + 2) % 3 != PASS_SIGNIFICANCE);
}

typedef struct ebcot_encoder ebcot_encoder;
typedef struct ebcot_decoder ebcot_decoder;

/* Make a coder; its scratch lives in `memory`. cpu: j2k_cpu flags that may be used. NULL when memory runs
 * out. */
ebcot_encoder *j2k_ebcot_encoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory);
ebcot_decoder *j2k_ebcot_decoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory);

/* Code jobs, none of them HT; results go to `out` (see j2k_blocks_encode). The caller of the decoder has
 * checked num_bitplanes and the block's size; it can only run out of memory. */
j2k_status j2k_ebcot_encode(ebcot_encoder *encoder, encode_job *jobs, size_t count, arena *out);
j2k_status j2k_ebcot_decode(ebcot_decoder *decoder, decode_job *jobs, size_t count);

#endif
