/* One array to one stream and back, as both Blosc2's callbacks and the array functions need it.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef CODEC_H
#define CODEC_H

#include "params.h"

/* Encode the array at data, laid out as l says, into out[0 .. capacity). J2K_ERROR_BUFFER: it does not fit.
 * in_blosc2: the array is restored byte for byte by codec_decode, so the byte order of a byte-swapped one is
 * noted in the stream, and data too deep for lossless coding "do not fit", since Blosc2 then stores them as
 * they are. */
j2k_status codec_encode(const layout *l, const params *p, unsigned num_threads, bool in_blosc2,
                        const void *data, void *out, size_t capacity, size_t *size, diagnosis *why);

/* Decode a stream into exactly out_size bytes: raster order, components interleaved, samples as wide as
 * out_size asks for. */
j2k_status codec_decode(const void *data, size_t size, unsigned num_threads, void *out, size_t out_size,
                        diagnosis *why);

#endif
