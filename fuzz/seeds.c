/* Writes the first inputs of the fuzz targets' corpora: seeds FOLDER.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "../tests/hostile/streams.h"

static void write_seed(const char *folder, const char *target, int number, const uint8_t *data, size_t size) {
    char name[1024];
    snprintf(name, sizeof name, "%.900s/%s/seed-%02d", folder, target, number);
    FILE *file = fopen(name, "wb");
    CHECK(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

int main(int argc, char **argv) {
    static const char *const texts[] = {
        "\3quality_mode=rates;quality_layers=20,10,1;num_resolutions=4",
        "\3codeblock_size=32,32;tile_size=64,64;progression=RPCL;precincts=128,128,64,64;sop=1;eph=1",
        "\3quality_mode=dB;quality_layers=40;irreversible=1;mode=HT;comment=x%20y",
        "\2\20num_resolutions=2\3\10\10\3\2\1abcdefgh", "\1\0\0\0\0\0\0\0\40\1abcdefghijklmnopqrstuvwxyz"};
    CHECK(argc == 2);
    j2k_context *context = j2k_context_create(1, 0);
    for (int kind = 0; kind < NUM_STREAMS; kind++) {
        stream s = make_stream(context, (stream_kind)kind), block = {0};
        write_seed(argv[1], "fuzz_decode", kind, s.data, s.size);
        if (kind == STREAM_STYLES || kind == STREAM_HT || kind == STREAM_TILES)
            write_seed(argv[1], "fuzz_transcode", kind, s.data, s.size);
        if (kind == STREAM_PALETTE || kind == STREAM_TILES)
            write_seed(argv[1], "fuzz_header", kind, s.data, s.size);
        if (kind == STREAM_PALETTE)
            write_seed(argv[1], "fuzz_jp2", kind, s.data, s.size);
        unsigned units = STREAM_WIDTH * STREAM_HEIGHT * STREAM_COMPONENTS / 8;
        put8(&block, 0), put8(&block, units / 32), put8(&block, 0), put8(&block, 3), put8(&block, 0);
        for (size_t i = 0; i < s.size; i++)
            put8(&block, s.data[i]);
        if (kind == STREAM_5_3 || kind == STREAM_HT)
            write_seed(argv[1], "fuzz_plugin", kind, block.data, block.size);
        stream_free(&s);
        stream_free(&block);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        write_seed(argv[1], "fuzz_plugin", NUM_STREAMS + (int)i, (const uint8_t *)texts[i],
                   strlen(texts[i] + 1) + 1);
    uint8_t bytes[200];
    uint64_t state = 1;
    for (int i = 0; i < 8; i++) {
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)test_random(&state);
        write_seed(argv[1], "fuzz_round_trip", i, bytes, sizeof bytes);
    }
    j2k_context_destroy(context);
    return CHECK_RESULT();
}
