/* Which samples are NaN or infinite: an image of its own in a box behind the codestream.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef MASK_H
#define MASK_H

#include "layout.h"

/* The box: type uuid, the UUID, then a raw codestream of Part 1, lossless, of the same width, height and
 * number of components as the image, with 2 bits a sample: 0 finite, 1 NaN, 2 infinity, 3 minus infinity. */

/* Make the box for a code a sample, components interleaved; *box is to be freed. */
j2k_status mask_encode(j2k_context *context, const layout *l, const uint8_t *mask, uint8_t **box,
                       size_t *size, diagnosis *why);

/* Read it from a file into a code a sample of an image that is laid out as l says. */
j2k_status mask_decode(j2k_context *context, const void *file, size_t size, const layout *l, uint8_t *mask,
                       diagnosis *why);

#endif
