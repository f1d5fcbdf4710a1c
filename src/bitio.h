/* Packet header bits with bit stuffing: after a byte FF the next byte's top bit is 0 (T.800 B.10.1).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_BITIO_H
#define J2K_BITIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codestream.h"

typedef struct bit_reader {
    const uint8_t *next, *end;
    unsigned buffer; /* current byte */
    unsigned bits;   /* bits of it not yet read */
    bool overrun;    /* more was asked for than there is; zeros are returned from then on */
} bit_reader;

void j2k_bits_open(bit_reader *reader, const uint8_t *data, size_t size);
void j2k_bits_fill(bit_reader *reader);                      /* internal: take the next byte */
uint32_t j2k_bits_get_n(bit_reader *reader, unsigned count); /* 0 to 32 bits, most significant first */
/* Skip to the byte boundary (and the stuffed byte behind FF); returns the address behind the header. */
const uint8_t *j2k_bits_close(bit_reader *reader);

static inline unsigned j2k_bits_get(bit_reader *reader) { /* one bit */
    if (reader->bits == 0)
        j2k_bits_fill(reader);
    return reader->buffer >> --reader->bits & 1;
}

typedef struct bit_writer {
    byte_sink *sink;
    unsigned buffer;    /* bits of the current byte */
    unsigned free_bits; /* how many it still takes: of 8, or of 7 when the byte before was FF */
} bit_writer;

void j2k_bits_begin(bit_writer *writer, byte_sink *sink);
void j2k_bits_flush(bit_writer *writer); /* internal: emit the current byte, which is full */
void j2k_bits_put_n(bit_writer *writer, uint32_t value, unsigned count); /* 0 to 32 bits */
void j2k_bits_end(bit_writer *writer); /* pads with zeros; an FF at the end is followed by 00 */

static inline void j2k_bits_put(bit_writer *writer, unsigned bit) {
    writer->buffer = writer->buffer << 1 | bit;
    if (--writer->free_bits == 0)
        j2k_bits_flush(writer);
}

#endif
