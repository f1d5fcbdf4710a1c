/* High-throughput block coding (T.814): what decoder and encoder share, and their entry points.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_HT_H
#define J2K_HT_H

#include "arena.h"
#include "block.h"
#include "dsp.h"
#include "error.h"

/* A code-block is a grid of quads, 2 x 2 samples numbered upper left, lower left, upper right, lower right.
 * All tables come in pairs: [0] for the first quad-row of a code-block, [1] for the others. */
enum { HT_MAX_QUADS = 1024, HT_MAX_QUAD_COLUMNS = 512 };

/* CxtVLC decoding: entry of context << 7 | next 7 bits. An entry of 0 means that no codeword matches. */
extern const uint32_t j2k_ht_decode_cxtvlc[2][1024];
enum {
    HT_RHO = 8,     /* bits 8 to 11: significance pattern */
    HT_KNOWN = 12,  /* bits 12 to 15: e_k, samples whose top MagSgn bit is known */
    HT_ONES = 16,   /* bits 16 to 19: e_1, what it is */
    HT_MANY = 20,   /* bit 20: more than one significant sample */
    HT_U_OFF = 21,  /* bit 21: U-VLC bits follow */
    HT_RIGHT = 24,  /* bits 24 to 26: what the quad adds to the context of the one to its right */
    HT_LENGTH = 28, /* bits 28 to 31: length of the codeword */
};

/* CxtVLC encoding: entry of context << 8 | significance pattern << 4 | samples of the largest exponent (0
 * without an exponent offset). Bits 0, 1, 16, 17: e_k of samples 0 to 3; 2 to 8: codeword; 18 to 20: its
 * length. */
extern const uint32_t j2k_ht_encode_cxtvlc[2][2048];

/* U-VLC of a pair of quads with offsets of less than 16: entry of u0 | u1 << 4; bits, and their number << 32.
 */
extern const uint64_t j2k_ht_encode_uvlc[2][256];

/* Exponents of the MEL coder's 13 states (table 2 of T.814), 4 bits each. */
#define HT_MEL_EXPONENTS UINT64_C(0x5433222111000)

typedef struct ht_decoder ht_decoder;
typedef struct ht_encoder ht_encoder;

/* Make a coder; its scratch lives in `memory`. cpu: j2k_cpu flags that may be used. NULL when memory runs
 * out. */
ht_decoder *j2k_ht_decoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory);
ht_encoder *j2k_ht_encoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory);

/* Code jobs, all of them HT (see j2k_blocks_decode and j2k_blocks_encode). */
j2k_status j2k_ht_decode(ht_decoder *decoder, decode_job *jobs, size_t count);
j2k_status j2k_ht_encode(ht_encoder *encoder, encode_job *jobs, size_t count, arena *out);

#endif
