/* Fuzz target: any boxes around a small codestream.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

#include "jp2.h"

static const uint8_t signature[] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', 0x0D, 0x0A, 0x87, 0x0A};

/* 8 x 8, three components, one empty packet each: SOC, SIZ, COD, QCD, SOT, SOD, packets, EOC behind a box
 * header. */
static const uint8_t codestream_box[] = {
    0,    0, 0,  98, 'j', 'p', '2', 'c', 0xFF, 0x4F, 0xFF, 0x51, 0,    47,   0,    0, 0,    0,    0,    8,
    0,    0, 0,  8,  0,   0,   0,   0,   0,    0,    0,    0,    0,    0,    0,    8, 0,    0,    0,    8,
    0,    0, 0,  0,  0,   0,   0,   0,   0,    3,    7,    1,    1,    7,    1,    1, 7,    1,    1,    0xFF,
    0x52, 0, 12, 0,  0,   0,   1,   0,   0,    4,    4,    0,    1,    0xFF, 0x5C, 0, 4,    0x40, 0x40, 0xFF,
    0x90, 0, 10, 0,  0,   0,   0,   0,   17,   0,    1,    0xFF, 0x93, 0,    0,    0, 0xFF, 0xD9};

/* Whether the input brings its own codestream. */
static bool has_codestream(const uint8_t *data, size_t size) {
    for (size_t i = 0; i + 4 <= size; i++)
        if (memcmp(data + i, "jp2c", 4) == 0)
            return true;
    return false;
}

static unsigned touch_file(const jp2_file *file, const uint8_t *data) {
    unsigned sum = 0;
    for (uint32_t i = 0; i < file->num_boxes; i++)
        sum += fuzz_touch(data + file->boxes[i].offset, file->boxes[i].size);
    sum += fuzz_touch(file->icc_profile.data, file->icc_profile.size);
    if (file->bpcc)
        sum += fuzz_touch(file->bpcc, file->num_components);
    if (file->has_palette) {
        size_t row = 0;
        for (unsigned c = 0; c < file->pal.num_columns; c++)
            row += ((file->pal.depths[c] & 0x7Fu) + 8) / 8;
        sum += fuzz_touch(file->pal.entries, row * file->pal.num_entries);
    }
    for (uint32_t i = 0; i < file->num_mappings; i++)
        sum += file->mappings[i].component + file->mappings[i].column;
    for (uint32_t i = 0; i < file->num_channels; i++)
        sum += file->channels[i].association;
    return sum;
}

static void read_boxes(const uint8_t *data, size_t size, bool tolerant) {
    arena memory = {.limit = FUZZ_MEMORY};
    diagnostics diag = {.message = ""};
    jp2_file file;
    codestream cs;
    size_t first_sot;
    if (j2k_jp2_read(data, size, tolerant, &memory, &file, &diag) == J2K_OK &&
        j2k_codestream_read_main(file.codestream.data, file.codestream.size, &memory, &cs, &first_sot,
                                 &diag) == J2K_OK &&
        j2k_jp2_check(&file, &cs.siz, tolerant, &diag) == J2K_OK) {
        for (uint32_t i = 0; i < file.num_mappings; i++)
            REQUIRE(file.mappings[i].component < cs.siz.num_components);
        volatile unsigned sum = touch_file(&file, data);
        (void)sum;
    }
    j2k_arena_free(&memory);
}

_Static_assert(sizeof codestream_box == 98, "the length in its header");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t head = size >= 4 && memcmp(data, signature, 4) == 0 ? 0 : sizeof signature;
    size_t tail = has_codestream(data, size) ? 0 : sizeof codestream_box;
    uint8_t *file = malloc(head + size + tail);
    if (!file)
        return 0;
    if (head)
        memcpy(file, signature, head);
    if (size)
        memcpy(file + head, data, size);
    if (tail)
        memcpy(file + head + size, codestream_box, tail);
    size_t all = head + size + tail;
    j2k_context *context = j2k_context_create(1, 0);
    for (int tolerant = 0; tolerant < 2 && context; tolerant++) {
        read_boxes(file, all, tolerant);
        j2k_decode_options options;
        fuzz_limits(&options);
        options.max_pixels = 1 << 12; /* the boxes are what matters here */
        options.tolerant = tolerant;
        j2k_image image;
        REQUIRE(decode_any(context, file, all, &options, &image) != J2K_ERROR_INTERNAL);
        image_free(&image);
    }
    j2k_context_destroy(context);
    free(file);
    return 0;
}
