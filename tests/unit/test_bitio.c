/* Packet header bits: stuffing by hand-computed bytes, round trips, running over the end.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "bitio.h"
#include "check.h"

static void expect_bytes(const char *bits, const uint8_t *expected, size_t size) {
    uint8_t out[64];
    byte_sink sink = {out, sizeof out, 0}, counter = {NULL, 0, 0};
    bit_writer writer, dry;
    j2k_bits_begin(&writer, &sink);
    j2k_bits_begin(&dry, &counter);
    for (const char *b = bits; *b; b++) {
        j2k_bits_put(&writer, *b == '1');
        j2k_bits_put(&dry, *b == '1');
    }
    j2k_bits_end(&writer);
    j2k_bits_end(&dry);
    CHECK(sink.size == size && counter.size == size);
    CHECK(memcmp(out, expected, size) == 0);
    bit_reader reader;
    j2k_bits_open(&reader, out, size);
    for (const char *b = bits; *b; b++)
        CHECK(j2k_bits_get(&reader) == (unsigned)(*b == '1'));
    CHECK(j2k_bits_close(&reader) == out + size);
    CHECK(!reader.overrun);
}

/* T.800 B.10.1: bits fill bytes from the top; a byte behind FF begins with a 0; FF is never the last byte. */
static void stuffing(void) {
    expect_bytes("1", (uint8_t[]){0x80}, 1);
    expect_bytes("0", (uint8_t[]){0x00}, 1);
    expect_bytes("10100101", (uint8_t[]){0xA5}, 1);
    expect_bytes("101001011", (uint8_t[]){0xA5, 0x80}, 2);
    expect_bytes("11111111", (uint8_t[]){0xFF, 0x00}, 2);
    expect_bytes("111111111", (uint8_t[]){0xFF, 0x40}, 2);
    expect_bytes("111111111111111", (uint8_t[]){0xFF, 0x7F}, 2);
    expect_bytes("1111111111111111", (uint8_t[]){0xFF, 0x7F, 0x80}, 3);
    expect_bytes("00000000"
                 "11111111"
                 "1111111"
                 "11111111",
                 (uint8_t[]){0x00, 0xFF, 0x7F, 0xFF, 0x00}, 5);
}

static void random_round_trips(void) {
    enum { FIELDS = 200 };
    uint64_t seed = 1;
    for (int round = 0; round < 500; round++) {
        uint8_t out[FIELDS * 5];
        uint32_t values[FIELDS];
        unsigned counts[FIELDS];
        byte_sink sink = {out, sizeof out, 0};
        bit_writer writer;
        j2k_bits_begin(&writer, &sink);
        for (int i = 0; i < FIELDS; i++) {
            counts[i] = test_random(&seed) % 33;
            values[i] = round % 2 ? 0xFFFFFFFF : test_random(&seed); /* ones: stuffing all the time */
            if (counts[i] < 32)
                values[i] &= ((uint32_t)1 << counts[i]) - 1;
            j2k_bits_put_n(&writer, values[i], counts[i]);
        }
        j2k_bits_end(&writer);
        CHECK(sink.size <= sizeof out);
        for (size_t i = 0; i + 1 < sink.size; i++)
            CHECK(out[i] != 0xFF || out[i + 1] < 0x80);
        CHECK(out[sink.size - 1] != 0xFF);
        bit_reader reader;
        j2k_bits_open(&reader, out, sink.size);
        for (int i = 0; i < FIELDS; i++)
            CHECK(j2k_bits_get_n(&reader, counts[i]) == values[i]);
        CHECK(j2k_bits_close(&reader) == out + sink.size && !reader.overrun);
    }
}

static void bounded_sink(void) {
    uint8_t out[4] = {0, 0, 0xAA, 0xAA};
    byte_sink sink = {out, 2, 0};
    bit_writer writer;
    j2k_bits_begin(&writer, &sink);
    j2k_bits_put_n(&writer, 0x12345678, 32);
    j2k_bits_end(&writer);
    CHECK(sink.size == 4 && out[0] == 0x12 && out[1] == 0x34 && out[2] == 0xAA && out[3] == 0xAA);
}

static void overrun(void) {
    bit_reader reader;
    j2k_bits_open(&reader, NULL, 0);
    CHECK(!reader.overrun && j2k_bits_get(&reader) == 0 && reader.overrun);
    static const uint8_t ff[] = {0xFF};
    j2k_bits_open(&reader, ff, 1);
    CHECK(j2k_bits_get_n(&reader, 8) == 0xFF && !reader.overrun);
    CHECK(j2k_bits_close(&reader) == ff + 1 && reader.overrun); /* the byte behind FF is missing */
    j2k_bits_open(&reader, ff, 1);
    CHECK(j2k_bits_get_n(&reader, 32) == 0xFF000000u && reader.overrun);
}

int main(void) {
    stuffing();
    random_round_trips();
    bounded_sink();
    overrun();
    return 0;
}
