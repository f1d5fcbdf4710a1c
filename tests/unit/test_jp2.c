/* The JP2 file format: boxes found, read, checked against the codestream, and written byte for byte.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "jp2.h"
#include "stream_builder.h"

static arena memory;
static diagnostics diag;
static jp2_file file;

static j2k_status read_data(const uint8_t *data, size_t size, bool tolerant) {
    j2k_arena_reset(&memory);
    memset(&diag, 0, sizeof diag);
    j2k_status status = j2k_jp2_read(data, size, tolerant, &memory, &file, &diag);
    CHECK((status == J2K_OK) == (diag.message[0] == 0) || status == J2K_ERROR_MEMORY);
    return status;
}

static j2k_status read_strict(const stream *s) {
    return read_data(s->data, s->size, false);
}

static j2k_status read_tolerant(const stream *s) {
    return read_data(s->data, s->size, true);
}

static bool has(const char *where, const char *text) {
    if (strstr(where, text))
        return true;
    fprintf(stderr, "\"%s\" is not in: %s\n", text, where);
    return false;
}

#define CHECK_FAILS(stream, status, text)                                                                    \
    do {                                                                                                     \
        CHECK(read_strict(stream) == (status));                                                              \
        CHECK(has(diag.message, text));                                                                      \
    } while (0)

/* ---- building ---- */

static void put_start(stream *s) {
    s->size = 0;
    put32(s, 12);
    put_text(s, "jP  \r\n\x87\n");
    size_t box = put_box(s, "ftyp");
    put_text(s, "jp2 ");
    put32(s, 0);
    put_text(s, "jp2 ");
    box_close(s, box);
}

static void put_ihdr(stream *s, uint32_t width, uint32_t height, unsigned components, unsigned depth_code) {
    size_t box = put_box(s, "ihdr");
    put32(s, height);
    put32(s, width);
    put16(s, components);
    put8(s, depth_code);
    put8(s, 7);
    put8(s, 0);
    put8(s, 0);
    box_close(s, box);
}

static void put_colr(stream *s, uint32_t value) {
    size_t box = put_box(s, "colr");
    put8(s, 1);
    put16(s, 0);
    put32(s, value);
    box_close(s, box);
}

/* A box of the given contents; bytes end with -1. */
static void put_bytes_box(stream *s, const char *type, const int *bytes) {
    size_t box = put_box(s, type);
    for (; *bytes >= 0; bytes++)
        put8(s, (unsigned)*bytes);
    box_close(s, box);
}
#define BOX(s, type, ...) put_bytes_box((s), (type), (const int[]){__VA_ARGS__, -1})

static void put_codestream(stream *s) {
    size_t box = put_box(s, "jp2c");
    put_text(s, "\xFF\x4Fstream");
    box_close(s, box);
}

/* Everything up to and in jp2h; close it with box_close. */
static size_t put_header(stream *s, unsigned components) {
    put_start(s);
    size_t header = put_box(s, "jp2h");
    put_ihdr(s, 30, 20, components, 7);
    put_colr(s, 16);
    return header;
}

static bool found_codestream(void) {
    return file.codestream.size == 8 && !memcmp(file.codestream.data, "\xFF\x4Fstream", 8);
}

/* ---- reading ---- */

static void plain_file(void) {
    stream s = {0};
    box_close(&s, put_header(&s, 3));
    size_t jp2c = s.size;
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && diag.warning[0] == 0 && found_codestream());
    CHECK(file.format == J2K_FORMAT_JP2 && file.width == 30 && file.height == 20 && file.num_components == 3);
    CHECK(file.depth_code == 7 && !file.bpcc && file.colour_space == J2K_COLOUR_SRGB && !file.has_palette);
    CHECK(!file.num_mappings && !file.num_channels && !file.icc_profile.size);
    /* ftyp, jp2h, ihdr, colr, jp2c */
    CHECK(file.num_boxes == 5 && file.boxes[2].type == JP2_BOX_TYPE('i', 'h', 'd', 'r'));
    CHECK(!file.boxes[1].in_header && file.boxes[2].in_header && file.boxes[3].in_header &&
          !file.boxes[4].in_header);
    CHECK(file.boxes[2].size == 14 && file.boxes[4].offset == jp2c + 8 && file.boxes[4].size == 8);

    s.data[s.size - 16 + 3] = 0; /* length 0: to the end */
    put_text(&s, "!");
    CHECK(read_strict(&s) == J2K_OK && file.codestream.size == 9);
    s.data[jp2c + 3] = 200; /* more than there is: the codestream decides whether it matters */
    CHECK(read_strict(&s) == J2K_OK && file.codestream.size == 9);
    CHECK(has(diag.warning, "'jp2c' box at byte 77: it reaches beyond the end of the data"));
    stream_free(&s);
}

static void bare_codestream(void) {
    const uint8_t data[] = {0xFF, 0x4F, 0xFF, 0x51};
    CHECK(read_data(data, 4, false) == J2K_OK && file.format == J2K_FORMAT_CODESTREAM);
    CHECK(file.codestream.data == data && file.codestream.size == 4 && file.num_boxes == 0);
    CHECK(read_data(data, 0, false) == J2K_ERROR_TRUNCATED);
    CHECK(read_data(data, 1, false) == J2K_ERROR_CORRUPT);
    CHECK(read_data(data + 1, 3, true) == J2K_ERROR_CORRUPT);
    CHECK(has(diag.message, "neither a JPEG 2000 codestream nor a JP2 file"));
}

static void long_boxes_and_unknown_ones(void) {
    stream s = {0};
    put_start(&s);
    put32(&s, 1); /* XLBox */
    put_text(&s, "xml ");
    put32(&s, 0);
    put32(&s, 16 + 5);
    put_text(&s, "<xml>");
    size_t header = put_box(&s, "jp2h");
    put_ihdr(&s, 30, 20, 1, 7);
    put_colr(&s, 17);
    BOX(&s, "res ", 1, 2, 3);
    box_close(&s, header);
    put32(&s, 1);
    put_text(&s, "jp2c");
    put32(&s, 0);
    put32(&s, 16 + 8);
    put_text(&s, "\xFF\x4Fstream");
    BOX(&s, "uuid", 1, 2);
    put32(&s, 0);
    put_text(&s, "last and least"); /* an unknown box up to the end */
    CHECK(read_strict(&s) == J2K_OK && diag.warning[0] == 0 && found_codestream());
    CHECK(file.colour_space == J2K_COLOUR_GREY && file.num_boxes == 9);
    CHECK(file.boxes[1].type == JP2_BOX_TYPE('x', 'm', 'l', ' ') && file.boxes[1].size == 5);
    CHECK(!memcmp(s.data + file.boxes[1].offset, "<xml>", 5));
    CHECK(file.boxes[7].type == JP2_BOX_TYPE('u', 'u', 'i', 'd') && file.boxes[7].size == 2);
    CHECK(file.boxes[8].size == 10 && file.boxes[8].offset == s.size - 10);

    /* Damage behind the codestream is no more than worth a warning. */
    put32(&s, 0);
    for (int cut = 1; cut < 13; cut++) {
        s.size--;
        CHECK(read_strict(&s) == J2K_OK && found_codestream());
    }

    put_start(&s);
    put32(&s, 1);
    put_text(&s, "xml ");
    put32(&s, 0);
    put32(&s, 15); /* less than its own header */
    put32(&s, 0);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'xml ' box at byte 32: length 15 is impossible");
    for (unsigned length = 2; length < 8; length++) {
        put_start(&s);
        put32(&s, length);
        put_text(&s, "x\x01y\xFF");
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'x?y?' box at byte 32: length");
        CHECK(read_tolerant(&s) == J2K_ERROR_CORRUPT); /* no way to go on */
    }
    put_start(&s);
    put32(&s, 1);
    put_text(&s, "xml ");
    for (int i = 0; i < 8; i++)
        put8(&s, 0xFF); /* 2^64 - 1 */
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "'xml ' box at byte 32: it reaches beyond the end of the data");
    stream_free(&s);
}

static void brands(void) {
    stream s = {0};
    static const struct {
        const char *brand, *list;
        j2k_format format;
        bool warned;
    } cases[] = {{"jp2 ", "jp2 ", J2K_FORMAT_JP2, false},     {"jph ", "jph ", J2K_FORMAT_JPH, false},
                 {"jph ", "jph jp2 ", J2K_FORMAT_JPH, false}, {"jpx ", "jpx jp2 jpxb", J2K_FORMAT_JP2, false},
                 {"jpx ", "jpx jph ", J2K_FORMAT_JPH, false}, {"jpx ", "jpx ", J2K_FORMAT_JP2, true},
                 {"mjp2", "", J2K_FORMAT_JP2, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_start(&s);
        s.size = 12;
        size_t box = put_box(&s, "ftyp");
        put_text(&s, cases[i].brand);
        put32(&s, 0);
        put_text(&s, cases[i].list);
        box_close(&s, box);
        size_t header = put_box(&s, "jp2h");
        put_ihdr(&s, 30, 20, 1, 7);
        put_colr(&s, 17);
        box_close(&s, header);
        put_codestream(&s);
        CHECK(read_strict(&s) == J2K_OK && file.format == cases[i].format);
        CHECK((diag.warning[0] != 0) == cases[i].warned);
    }
    stream_free(&s);
}

static void missing_and_misplaced_boxes(void) {
    stream s = {0};
    put_start(&s);
    s.size = 12;
    size_t header = put_box(&s, "jp2h");
    put_ihdr(&s, 30, 20, 1, 7);
    put_colr(&s, 17);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'jp2c' box at byte 57: ftyp is missing");
    CHECK(read_tolerant(&s) == J2K_OK && found_codestream() && file.width == 30);

    put_start(&s);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'jp2c' box at byte 32: jp2h is missing");
    CHECK(read_tolerant(&s) == J2K_OK && found_codestream() && file.width == 0);

    box_close(&s, put_header(&s, 1));
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "the file has no codestream");
    CHECK(read_tolerant(&s) == J2K_ERROR_TRUNCATED);

    put_start(&s);
    header = put_box(&s, "jp2h");
    put_colr(&s, 17);
    put_ihdr(&s, 30, 20, 1, 7);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'colr' box at byte 40: it comes before ihdr");
    CHECK(read_tolerant(&s) == J2K_OK && file.width == 30 && file.colour_space == J2K_COLOUR_UNKNOWN);

    put_start(&s);
    box_close(&s, put_box(&s, "jp2h"));
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'jp2h' box at byte 32: ihdr is missing");
    CHECK(read_tolerant(&s) == J2K_OK && found_codestream());

    box_close(&s, put_header(&s, 1)); /* two headers */
    header = put_box(&s, "jp2h");
    put_ihdr(&s, 31, 20, 1, 7);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'jp2h' box at byte 77: it occurs twice");
    CHECK(read_tolerant(&s) == J2K_OK && file.width == 30);

    header = put_header(&s, 1);
    put_ihdr(&s, 31, 20, 1, 7);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'ihdr' box at byte 77: it occurs twice");

    header = put_header(&s, 1); /* a box that is longer than the superbox */
    put32(&s, 100);
    put_text(&s, "res 1234");
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'res ' box at byte 77: it reaches beyond jp2h");
    CHECK(read_tolerant(&s) == J2K_OK && found_codestream());
    header = put_header(&s, 1); /* and one whose header is cut */
    put32(&s, 100);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "byte 77: a box header is cut short");
    CHECK(read_tolerant(&s) == J2K_OK && found_codestream());

    put_start(&s);
    s.data[8] = 0; /* the signature */
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "neither a JPEG 2000 codestream nor a JP2 file");
    put_start(&s);
    s.size = 20;
    box_close(&s, 12);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'ftyp' box at byte 12: 0 bytes are a wrong size");
    stream_free(&s);
}

static void image_header(void) {
    stream s = {0};
    static const struct {
        uint32_t width, height;
        unsigned components;
        const char *text;
    } bad[] = {{0, 20, 1, "'ihdr' box at byte 40: 0 x 20, 1 components"},
               {30, 0, 1, "30 x 0"},
               {30, 20, 0, "0 components"},
               {30, 20, 16385, "16385 components"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_start(&s);
        size_t header = put_box(&s, "jp2h");
        put_ihdr(&s, bad[i].width, bad[i].height, bad[i].components, 7);
        put_colr(&s, 17);
        box_close(&s, header);
        put_codestream(&s);
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT, bad[i].text);
        CHECK(read_tolerant(&s) == J2K_OK && found_codestream());
    }
    put_start(&s);
    size_t header = put_box(&s, "jp2h");
    BOX(&s, "ihdr", 0, 0, 0, 20, 0, 0, 0, 30, 0, 1, 7, 7, 0);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'ihdr' box at byte 40: 13 bytes are a wrong size");

    put_start(&s);
    header = put_box(&s, "jp2h");
    put_ihdr(&s, 30, 20, 3, 255);
    BOX(&s, "bpcc", 7, 0x8B, 15);
    put_colr(&s, 18);
    box_close(&s, header);
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && file.depth_code == 255 && file.bpcc && file.bpcc[1] == 0x8B);
    CHECK(file.colour_space == J2K_COLOUR_SYCC);
    s.data[40 + 22 + 3]--; /* one byte less in bpcc */
    s.data[35]--;
    memmove(s.data + 40 + 22 + 10, s.data + 40 + 22 + 11, s.size - (40 + 22 + 11));
    s.size--;
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'bpcc' box at byte 62: 2 bytes are a wrong size");
    CHECK(read_tolerant(&s) == J2K_OK && !file.bpcc && file.colour_space == J2K_COLOUR_SYCC);
    stream_free(&s);
}

static void colour(void) {
    stream s = {0};
    /* The first colr box that is understood. */
    put_start(&s);
    size_t header = put_box(&s, "jp2h");
    put_ihdr(&s, 30, 20, 3, 7);
    BOX(&s, "colr", 4, 0, 0, 'v', 'e', 'n', 'd', 'o', 'r');
    put_colr(&s, 14); /* CIELab */
    size_t icc = put_box(&s, "colr");
    put8(&s, 2);
    put16(&s, 0);
    put_text(&s, "profile");
    box_close(&s, icc);
    put_colr(&s, 16);
    box_close(&s, header);
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && diag.warning[0] == 0 && file.colour_space == J2K_COLOUR_ICC);
    CHECK(file.icc_profile.size == 7 && !memcmp(file.icc_profile.data, "profile", 7));
    s.data[icc + 8] = 3; /* any ICC profile */
    CHECK(read_strict(&s) == J2K_OK && file.colour_space == J2K_COLOUR_ICC);
    s.data[icc + 8] = 9; /* unknown method: the next one then */
    CHECK(read_strict(&s) == J2K_OK && file.colour_space == J2K_COLOUR_SRGB && !file.icc_profile.size);

    put_start(&s);
    header = put_box(&s, "jp2h");
    put_ihdr(&s, 30, 20, 4, 7);
    put_colr(&s, 12); /* CMYK */
    box_close(&s, header);
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && file.colour_space == J2K_COLOUR_OTHER);

    put_start(&s);
    header = put_box(&s, "jp2h");
    put_ihdr(&s, 30, 20, 4, 7);
    box_close(&s, header);
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && file.colour_space == J2K_COLOUR_UNKNOWN &&
          has(diag.warning, "colr is missing"));

    header = put_header(&s, 1);
    s.size -= 15; /* its colr */
    BOX(&s, "colr", 1, 0);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'colr' box at byte 62: 2 bytes are a wrong size");
    header = put_header(&s, 1);
    s.size -= 15;
    BOX(&s, "colr", 1, 0, 0, 0, 0, 17);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'colr' box at byte 62: 6 bytes are a wrong size");
    stream_free(&s);
}

static j2k_status check_against(uint32_t width, uint32_t height, unsigned components, bool tolerant) {
    image_siz siz = {.area = {5, 7, 5 + width, 7 + height}, .num_components = components};
    memset(&diag, 0, sizeof diag);
    return j2k_jp2_check(&file, &siz, tolerant, &diag);
}

static void palette_and_mapping(void) {
    stream s = {0};
    size_t header = put_header(&s, 1);
    /* 2 entries, 3 columns of 8, 12 (signed) and 4 bits */
    BOX(&s, "pclr", 0, 2, 3, 7, 0x8B, 3, 1, 0, 2, 3, 4, 0, 5, 6);
    BOX(&s, "cmap", 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 2);
    box_close(&s, header);
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && file.has_palette && file.pal.num_entries == 2 &&
          file.pal.num_columns == 3);
    CHECK(file.pal.depths[1] == 0x8B && file.pal.entries[0] == 1 && file.pal.entries[7] == 6);
    CHECK(file.num_mappings == 3 && file.mappings[2].component == 0 && file.mappings[2].type == 1);
    CHECK(file.mappings[2].column == 2 && check_against(30, 20, 1, false) == J2K_OK);
    file.mappings[2].column = 3;
    CHECK(check_against(30, 20, 1, false) == J2K_ERROR_CORRUPT);
    CHECK(has(diag.message, "'cmap' box: channel 2 is component 0, type 1, column 3"));
    file.mappings[2].type = 0; /* direct use: the column does not matter */
    CHECK(check_against(30, 20, 1, false) == J2K_OK);
    file.mappings[2].type = 2;
    CHECK(check_against(30, 20, 1, false) == J2K_ERROR_CORRUPT);
    file.mappings[2].type = 0;
    file.mappings[2].component = 1;
    CHECK(check_against(30, 20, 1, false) == J2K_ERROR_CORRUPT);
    CHECK(check_against(30, 20, 1, true) == J2K_OK && !file.has_palette && file.num_mappings == 0);

    static const struct {
        int bytes[16];
        const char *text;
    } bad[] = {{{0, 0, 1, 7, -1}, "0 entries"},
               {{4, 1, 1, 7, -1}, "1025 entries"},
               {{0, 1, 0, 7, -1}, "of 0 columns"},
               {{0, 1, 2, 7, -1}, "4 bytes are a wrong size"},
               {{0, 2, 1, 7, 1, -1}, "5 bytes are a wrong size"},
               {{0, 1, 1, 8, 1, -1}, "5 bytes are a wrong size"},
               {{0, 1, 1, 38, 1, 1, 1, 1, 1, -1}, "column 0 has 39 bits"},
               {{0, 1, -1}, "2 bytes are a wrong size"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        header = put_header(&s, 1);
        put_bytes_box(&s, "pclr", bad[i].bytes);
        BOX(&s, "cmap", 0, 0, 1, 0);
        box_close(&s, header);
        put_codestream(&s);
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'pclr' box at byte 77: ");
        CHECK(has(diag.message, bad[i].text));
        CHECK(read_tolerant(&s) == J2K_OK && !file.has_palette && file.num_mappings == 0);
    }
    header = put_header(&s, 1); /* a palette that nothing uses */
    BOX(&s, "pclr", 0, 1, 1, 7, 99);
    box_close(&s, header);
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && !file.has_palette && has(diag.warning, "without component mapping"));
    header = put_header(&s, 1);
    BOX(&s, "cmap", 0, 0, 1, 0);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'jp2h' box at byte 32: a component mapping without palette");
    header = put_header(&s, 1);
    BOX(&s, "pclr", 0, 1, 1, 7, 99);
    BOX(&s, "cmap", 0, 0, 1, 0, 0);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'cmap' box at byte 90: 5 bytes are a wrong size");
    for (int twice = 0; twice < 2; twice++) {
        header = put_header(&s, 1);
        BOX(&s, "pclr", 0, 1, 1, 7, 99);
        BOX(&s, "cmap", 0, 0, 1, 0);
        if (twice)
            BOX(&s, "cmap", 0, 0, 1, 0);
        else
            BOX(&s, "pclr", 0, 1, 1, 7, 99);
        box_close(&s, header);
        put_codestream(&s);
        CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "it occurs twice");
        CHECK(read_tolerant(&s) == J2K_OK && file.has_palette && file.num_mappings == 1);
    }
    stream_free(&s);
}

static void channels(void) {
    stream s = {0};
    size_t header = put_header(&s, 4);
    /* N = 4: B G R order, and opacity of the whole image */
    BOX(&s, "cdef", 0, 4, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 2, 0, 2, 0, 0, 0, 1, 0, 3, 0, 1, 0, 0);
    box_close(&s, header);
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && file.num_channels == 4);
    CHECK(file.channels[0].channel == 0 && file.channels[0].type == 0 && file.channels[0].association == 3);
    CHECK(file.channels[3].channel == 3 && file.channels[3].type == 1 && file.channels[3].association == 0);
    CHECK(check_against(30, 20, 4, false) == J2K_OK && diag.warning[0] == 0);
    file.channels[3].association = 65535;
    file.channels[3].type = 65535;
    CHECK(check_against(30, 20, 4, false) == J2K_OK);
    file.channels[3].association = 5;
    CHECK(check_against(30, 20, 4, false) == J2K_ERROR_CORRUPT);
    CHECK(has(diag.message, "'cdef' box: channel 3, type 65535, association 5"));
    file.channels[3].association = 4;
    file.channels[3].channel = 2; /* twice */
    CHECK(check_against(30, 20, 4, false) == J2K_ERROR_CORRUPT);
    file.channels[3].channel = 4;
    CHECK(check_against(30, 20, 4, false) == J2K_ERROR_CORRUPT);
    CHECK(check_against(30, 20, 4, true) == J2K_OK && file.num_channels == 0 && has(diag.warning, "'cdef'"));

    CHECK(read_strict(&s) == J2K_OK);
    file.num_channels = 3;
    CHECK(check_against(30, 20, 4, false) == J2K_ERROR_CORRUPT);
    CHECK(has(diag.message, "3 definitions of 4 channels"));

    header = put_header(&s, 4);
    BOX(&s, "cdef", 0, 2, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'cdef' box at byte 77: 13 bytes are a wrong size");
    CHECK(read_tolerant(&s) == J2K_OK && file.num_channels == 0);
    header = put_header(&s, 4);
    BOX(&s, "cdef", 0, 0);
    box_close(&s, header);
    put_codestream(&s);
    CHECK_FAILS(&s, J2K_ERROR_CORRUPT, "'cdef' box at byte 77: 2 bytes are a wrong size");
    stream_free(&s);
}

static void boxes_and_codestream_agree(void) {
    stream s = {0};
    box_close(&s, put_header(&s, 3));
    put_codestream(&s);
    CHECK(read_strict(&s) == J2K_OK && check_against(30, 20, 3, false) == J2K_OK);
    CHECK(check_against(31, 20, 3, false) == J2K_ERROR_CORRUPT);
    CHECK(has(diag.message, "'ihdr' box: 30 x 20, but the codestream is 31 x 20"));
    CHECK(check_against(30, 21, 3, true) == J2K_OK &&
          has(diag.warning, "30 x 20, but the codestream is 30 x 21"));
    CHECK(check_against(30, 20, 4, false) == J2K_ERROR_CORRUPT);
    CHECK(has(diag.message, "'ihdr' box: 3 components, but the codestream has 4"));
    CHECK(check_against(30, 20, 4, true) == J2K_OK && has(diag.warning, "has 4"));
    const uint8_t bare[] = {0xFF, 0x4F};
    CHECK(read_data(bare, 2, false) == J2K_OK && check_against(1, 2, 3, false) == J2K_OK);
    stream_free(&s);
}

/* ---- damage ---- */

static void put_everything(stream *s) {
    put_start(s);
    BOX(s, "xml ", '<', '>');
    size_t header = put_box(s, "jp2h");
    put_ihdr(s, 30, 20, 1, 255);
    BOX(s, "bpcc", 7);
    put_colr(s, 16);
    BOX(s, "pclr", 0, 2, 3, 7, 7, 7, 1, 2, 3, 4, 5, 6);
    BOX(s, "cmap", 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 2);
    BOX(s, "cdef", 0, 3, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2, 0, 2, 0, 0, 0, 3);
    box_close(s, header);
    put_codestream(s);
    BOX(s, "uuid", 1, 2, 3, 4);
}

/* Read all that was accepted, so that the sanitizer sees it. */
static unsigned touch(void) {
    unsigned sum = 0;
    for (size_t i = 0; i < file.codestream.size; i++)
        sum += file.codestream.data[i];
    for (size_t i = 0; i < file.icc_profile.size; i++)
        sum += file.icc_profile.data[i];
    for (unsigned i = 0; file.bpcc && i < file.num_components; i++)
        sum += file.bpcc[i];
    if (file.has_palette) {
        size_t row = 0;
        for (unsigned i = 0; i < file.pal.num_columns; i++)
            row += ((file.pal.depths[i] & 0x7Fu) + 8) / 8;
        for (size_t i = 0; i < row * file.pal.num_entries; i++)
            sum += file.pal.entries[i];
    }
    CHECK(file.has_palette == (file.num_mappings > 0));
    for (uint32_t i = 0; i < file.num_mappings; i++)
        sum += file.mappings[i].component;
    for (uint32_t i = 0; i < file.num_channels; i++)
        sum += file.channels[i].association;
    return sum;
}

static void truncation_at_every_byte(void) {
    stream s = {0};
    put_everything(&s);
    CHECK(read_strict(&s) == J2K_OK && diag.warning[0] == 0 && check_against(30, 20, 1, false) == J2K_OK);
    size_t jp2c = (size_t)(file.codestream.data - s.data);
    unsigned sum = touch();
    for (size_t size = 0; size < s.size; size++) {
        uint8_t *copy = malloc(size ? size : 1);
        CHECK(copy);
        memcpy(copy, s.data, size);
        for (int tolerant = 0; tolerant < 2; tolerant++) {
            j2k_status status = read_data(copy, size, tolerant);
            CHECK(size >= jp2c ? status == J2K_OK
                               : status == J2K_ERROR_TRUNCATED || status == J2K_ERROR_CORRUPT);
            if (status == J2K_OK)
                sum += touch();
        }
        free(copy);
    }
    CHECK(sum);
    stream_free(&s);
}

static void random_damage(void) {
    stream s = {0};
    put_everything(&s);
    uint64_t seed = 5;
    unsigned accepted = 0, refused = 0, sum = 0;
    for (int round = 0; round < 30000; round++) {
        size_t size = s.size - (test_random(&seed) % 8 ? 0 : test_random(&seed) % s.size);
        uint8_t *copy = malloc(size ? size : 1);
        CHECK(copy);
        memcpy(copy, s.data, size);
        for (unsigned flips = 1 + test_random(&seed) % 4; size && flips--;) {
            size_t at = test_random(&seed) % size;
            static const uint8_t evil[] = {0, 1, 2, 8, 0x7F, 0x80, 0xFF};
            copy[at] = test_random(&seed) % 2 ? evil[test_random(&seed) % 7]
                                              : (uint8_t)(copy[at] ^ 1u << test_random(&seed) % 8);
        }
        for (int tolerant = 0; tolerant < 2; tolerant++) {
            if (read_data(copy, size, tolerant) == J2K_OK) {
                accepted++;
                sum += touch();
                if (check_against(30, 20, 1, tolerant) == J2K_OK) {
                    for (uint32_t i = 0; i < file.num_mappings; i++)
                        CHECK(file.mappings[i].component < 1 &&
                              (file.mappings[i].type == 0 || file.mappings[i].column < file.pal.num_columns));
                    for (uint32_t i = 0; i < file.num_channels; i++)
                        CHECK(file.channels[i].channel < file.num_channels);
                }
            } else {
                refused++;
            }
        }
        free(copy);
    }
    CHECK(accepted > 1000 && refused > 1000 && sum);
    stream_free(&s);
}

static void bounded_cost(void) {
    stream s = {0};
    put_start(&s);
    for (int i = 0; i < 300000; i++) { /* empty boxes */
        put32(&s, 8);
        put_text(&s, "free");
    }
    CHECK_FAILS(&s, J2K_ERROR_TRUNCATED, "no codestream");
    CHECK(file.num_boxes == 300001 && memory.total < 32 * s.size);
    j2k_arena_free(&memory);
    put_everything(&s);
    memory.limit = 64;
    CHECK(read_strict(&s) == J2K_ERROR_MEMORY && read_tolerant(&s) == J2K_ERROR_MEMORY);
    memory.limit = 0;
    stream_free(&s);
}

/* ---- writing ---- */

static codestream make_codestream(image_siz *siz, component_siz *components, unsigned n) {
    codestream cs;
    memset(&cs, 0, sizeof cs);
    for (unsigned c = 0; c < n; c++)
        components[c] = (component_siz){8, false, 1, 1};
    *siz = (image_siz){.area = {3, 4, 33, 24}, .num_components = n, .components = components};
    cs.siz = *siz;
    return cs;
}

static void exact_bytes_of_a_file(void) {
    component_siz components[4];
    image_siz siz;
    codestream cs = make_codestream(&siz, components, 2);
    components[1] = (component_siz){12, true, 1, 1};
    static const uint8_t expected[] = {
        0, 0, 0,   12,  'j', 'P', ' ', ' ', 0x0D, 0x0A, 0x87, 0x0A,               /* signature */
        0, 0, 0,   20,  'f', 't', 'y', 'p', 'j',  'p',  '2',  ' ',                /* brand */
        0, 0, 0,   0,   'j', 'p', '2', ' ',                                       /* version, compatibility */
        0, 0, 0,   77,  'j', 'p', '2', 'h',                                       /* 8 + 22 + 10 + 15 + 22 */
        0, 0, 0,   22,  'i', 'h', 'd', 'r', 0,    0,    0,    20,   0, 0, 0,  30, /* height, width */
        0, 2, 255, 7,   0,   0,                                                   /* NC, BPC, C, UnkC, IPR */
        0, 0, 0,   10,  'b', 'p', 'c', 'c', 7,    0x8B,                           /* 8 bits; 12 bits signed */
        0, 0, 0,   15,  'c', 'o', 'l', 'r', 1,    0,    0,    0,    0, 0, 17,     /* enumerated: greyscale */
        0, 0, 0,   22,  'c', 'd', 'e', 'f', 0,    2,                              /* cdef of 2 channels */
        0, 0, 0,   0,   0,   1,                                                   /* 0: colour 1 */
        0, 1, 255, 255, 255, 255,                                                 /* 1: unspecified */
        0, 0, 0,   11,  'j', 'p', '2', 'c', 'x',  'y',  'z'};
    uint8_t out[sizeof expected + 8];
    byte_sink sink = {out, sizeof out, 0};
    size_t jp2c = j2k_jp2_begin(&sink, &cs, J2K_FORMAT_JP2, J2K_COLOUR_UNKNOWN);
    CHECK(jp2c == sizeof expected - 11 && sink.size == jp2c + 8);
    j2k_put_bytes(&sink, "xyz", 3);
    j2k_jp2_end(&sink, jp2c);
    CHECK(sink.size == sizeof expected);
    for (size_t i = 0; i < sizeof expected; i++)
        if (out[i] != expected[i]) {
            fprintf(stderr, "byte %zu is %u, not %u\n", i, out[i], expected[i]);
            CHECK(!"bytes differ");
        }
    for (size_t capacity = 0; capacity < sizeof expected; capacity++) {
        memset(out, 0xEE, sizeof out);
        sink = (byte_sink){capacity ? out : NULL, capacity, 0};
        jp2c = j2k_jp2_begin(&sink, &cs, J2K_FORMAT_JP2, J2K_COLOUR_UNKNOWN);
        j2k_put_bytes(&sink, "xyz", 3);
        j2k_jp2_end(&sink, jp2c);
        CHECK(sink.size == sizeof expected && !memcmp(out, expected, capacity) && out[capacity] == 0xEE);
    }
    if (sizeof(size_t) > 4) { /* more than 32 bits can say: "to the end of the file" */
        sink = (byte_sink){out, sizeof out, 0};
        jp2c = j2k_jp2_begin(&sink, &cs, J2K_FORMAT_JP2, J2K_COLOUR_UNKNOWN);
        sink.size = jp2c + (size_t)0xFFFFFFFF;
        j2k_jp2_end(&sink, jp2c);
        CHECK(out[jp2c] == 255 && out[jp2c + 3] == 255);
        sink.size += 9;
        j2k_jp2_end(&sink, jp2c);
        CHECK(out[jp2c] == 0 && out[jp2c + 3] == 0);
    }
}

static void written_files_read_back(void) {
    static const struct {
        unsigned components;
        j2k_colour_space asked, written;
        unsigned colours; /* 0: no cdef */
    } cases[] = {
        {1, J2K_COLOUR_UNKNOWN, J2K_COLOUR_GREY, 0}, {1, J2K_COLOUR_SRGB, J2K_COLOUR_GREY, 0},
        {1, J2K_COLOUR_GREY, J2K_COLOUR_GREY, 0},    {2, J2K_COLOUR_UNKNOWN, J2K_COLOUR_GREY, 1},
        {2, J2K_COLOUR_SYCC, J2K_COLOUR_GREY, 1},    {3, J2K_COLOUR_UNKNOWN, J2K_COLOUR_SRGB, 0},
        {3, J2K_COLOUR_SRGB, J2K_COLOUR_SRGB, 0},    {3, J2K_COLOUR_SYCC, J2K_COLOUR_SYCC, 0},
        {3, J2K_COLOUR_GREY, J2K_COLOUR_GREY, 1},    {3, J2K_COLOUR_ICC, J2K_COLOUR_SRGB, 0},
        {4, J2K_COLOUR_UNKNOWN, J2K_COLOUR_SRGB, 3}, {4, J2K_COLOUR_SYCC, J2K_COLOUR_SYCC, 3},
        {5, J2K_COLOUR_UNKNOWN, J2K_COLOUR_GREY, 1}, {5, J2K_COLOUR_SRGB, J2K_COLOUR_SRGB, 3},
        {5, J2K_COLOUR_OTHER, J2K_COLOUR_GREY, 1},   {300, J2K_COLOUR_UNKNOWN, J2K_COLOUR_GREY, 1},
    };
    static component_siz components[300];
    static uint8_t out[4096];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int jph = 0; jph < 2; jph++) {
            unsigned n = cases[i].components;
            image_siz siz;
            codestream cs = make_codestream(&siz, components, n);
            byte_sink sink = {out, sizeof out, 0};
            size_t jp2c = j2k_jp2_begin(&sink, &cs, jph ? J2K_FORMAT_JPH : J2K_FORMAT_JP2, cases[i].asked);
            j2k_put_u16(&sink, 0xFF4F);
            j2k_jp2_end(&sink, jp2c);
            CHECK(sink.size <= sizeof out && read_data(out, sink.size, false) == J2K_OK &&
                  diag.warning[0] == 0);
            CHECK(file.format == (jph ? J2K_FORMAT_JPH : J2K_FORMAT_JP2) && file.codestream.size == 2);
            CHECK(file.colour_space == cases[i].written && file.width == 30 && file.height == 20);
            CHECK(file.num_components == n && file.depth_code == 7 && !file.bpcc);
            CHECK(j2k_jp2_check(&file, &siz, false, &diag) == J2K_OK);
            CHECK(file.num_channels == (cases[i].colours ? n : 0));
            for (unsigned c = 0; c < file.num_channels; c++) {
                bool colour = c < cases[i].colours;
                CHECK(file.channels[c].channel == c && file.channels[c].type == (colour ? 0 : 65535));
                CHECK(file.channels[c].association == (colour ? c + 1 : 65535));
            }
        }
}

int main(void) {
    plain_file();
    bare_codestream();
    long_boxes_and_unknown_ones();
    brands();
    missing_and_misplaced_boxes();
    image_header();
    colour();
    palette_and_mapping();
    channels();
    boxes_and_codestream_agree();
    truncation_at_every_byte();
    random_damage();
    bounded_cost();
    exact_bytes_of_a_file();
    written_files_read_back();
    j2k_arena_free(&memory);
    return 0;
}
