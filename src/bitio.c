/* Packet header bits with bit stuffing (T.800 B.10.1).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "bitio.h"

void j2k_bits_open(bit_reader *reader, const uint8_t *data, size_t size) {
    reader->next = data;
    reader->end = size ? data + size : data;
    reader->buffer = 0;
    reader->bits = 0;
    reader->overrun = false;
}

void j2k_bits_fill(bit_reader *reader) {
    reader->bits = reader->buffer == 0xFF ? 7 : 8;
    if (reader->next < reader->end) {
        reader->buffer = *reader->next++;
    } else {
        reader->buffer = 0;
        reader->overrun = true;
    }
}

uint32_t j2k_bits_get_n(bit_reader *reader, unsigned count) {
    uint32_t value = 0;
    while (count) {
        if (reader->bits == 0)
            j2k_bits_fill(reader);
        unsigned take = count < reader->bits ? count : reader->bits;
        reader->bits -= take;
        count -= take;
        value = value << take | (reader->buffer >> reader->bits & ((1u << take) - 1));
    }
    return value;
}

const uint8_t *j2k_bits_close(bit_reader *reader) {
    if (reader->buffer == 0xFF)
        j2k_bits_fill(reader);
    reader->bits = 0;
    return reader->next;
}

void j2k_bits_begin(bit_writer *writer, byte_sink *sink) {
    writer->sink = sink;
    writer->buffer = 0;
    writer->free_bits = 8;
}

void j2k_bits_flush(bit_writer *writer) {
    byte_sink *sink = writer->sink;
    if (sink->size < sink->capacity)
        sink->data[sink->size] = (uint8_t)writer->buffer;
    sink->size++;
    writer->free_bits = writer->buffer == 0xFF ? 7 : 8;
    writer->buffer = 0;
}

void j2k_bits_put_n(bit_writer *writer, uint32_t value, unsigned count) {
    while (count) {
        unsigned take = count < writer->free_bits ? count : writer->free_bits;
        count -= take;
        writer->buffer = writer->buffer << take | (value >> count & ((1u << take) - 1));
        writer->free_bits -= take;
        if (writer->free_bits == 0)
            j2k_bits_flush(writer);
    }
}

void j2k_bits_end(bit_writer *writer) {
    if (writer->free_bits < 8) { /* bits are waiting, or the byte before was FF */
        writer->buffer <<= writer->free_bits;
        j2k_bits_flush(writer);
    }
}
