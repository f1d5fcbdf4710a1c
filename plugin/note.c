/* What a stream says, in a COM segment of its own, of the array that it was made from.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "note.h"

static const char prefix[] = "blosc2-grok: ";

static const char *const mapping_names[] = {"", "ordered", "scaled"};

bool note_swapped(const note *n) {
    return machine_is_big_endian() ? n->little_endian : n->big_endian;
}

uint32_t note_sample_size(const note *n, const j2k_header *header) {
    size_t length = strlen(n->dtype);
    if (length < 4)
        return 0;
    bool is_signed = n->dtype[0] == 'i';
    char last = n->dtype[length - 1]; /* of int8, int16, int32 and so on */
    uint32_t size = last == '8' ? 1 : last == '6' ? 2 : 4;
    for (uint32_t c = 0; c < header->num_components; c++) {
        const j2k_component_info *info = &header->components[c];
        if (info->is_signed != is_signed || info->depth > 8 * size)
            return 0;
    }
    return size;
}

static void add(char *text, const char *item) {
    size_t length = strlen(text);
    snprintf(text + length, NOTE_CAPACITY - length, "%s%s", length ? "; " : prefix, item);
}

void note_format(const note *n, char text[NOTE_CAPACITY]) {
    char item[80];
    text[0] = 0;
    if (n->big_endian || n->little_endian)
        add(text, n->big_endian ? "byteorder=big" : "byteorder=little");
    if (n->dtype[0]) {
        snprintf(item, sizeof item, "dtype=%s", n->dtype);
        add(text, item);
    }
    const float_map *map = &n->floats;
    if (map->kind == FLOATS_NONE)
        return;
    snprintf(item, sizeof item, "values=%s; first=%lld", mapping_names[map->kind], (long long)map->first);
    add(text, item);
    if (map->kind == FLOATS_SCALED) {
        snprintf(item, sizeof item, "step=%lld*2^%d", (long long)map->mantissa, map->exponent);
        add(text, item);
    }
    if (map->masked)
        add(text, "nonfinite=uuid");
}

/* ---- reading ---- */

typedef struct cursor {
    const char *next, *end;
} cursor;

static bool take_text(cursor *c, const char *text) {
    size_t length = strlen(text);
    if ((size_t)(c->end - c->next) < length || memcmp(c->next, text, length) != 0)
        return false;
    c->next += length;
    return true;
}

/* A decimal integer of at most 16 digits. */
static bool take_integer(cursor *c, int64_t *value) {
    bool negative = take_text(c, "-");
    const char *start = c->next;
    *value = 0;
    for (; c->next < c->end && *c->next >= '0' && *c->next <= '9' && c->next - start < 17; c->next++)
        *value = 10 * *value + (*c->next - '0');
    if (negative)
        *value = -*value;
    return c->next > start && c->next - start <= 16;
}

static bool take_step(cursor *c, float_map *map) {
    int64_t exponent;
    if (!take_integer(c, &map->mantissa) || !take_text(c, "*2^") || !take_integer(c, &exponent))
        return false;
    map->exponent = (int)exponent;
    return map->mantissa > 0 && exponent >= -1200 && exponent <= 1200;
}

static bool take_dtype(cursor *c, note *n) {
    size_t length = 0;
    while (c->next < c->end && *c->next != ';' && length + 1 < sizeof n->dtype)
        n->dtype[length++] = *c->next++;
    n->dtype[length] = 0;
    return length > 0;
}

static bool take_item(cursor *c, note *n) {
    if (take_text(c, "byteorder=big"))
        return n->big_endian = true;
    if (take_text(c, "byteorder=little"))
        return n->little_endian = true;
    if (take_text(c, "dtype="))
        return take_dtype(c, n);
    if (take_text(c, "first="))
        return take_integer(c, &n->floats.first);
    if (take_text(c, "step="))
        return take_step(c, &n->floats);
    if (take_text(c, "nonfinite=uuid"))
        return n->floats.masked = true;
    if (take_text(c, "values=ordered")) {
        n->floats.kind = FLOATS_ORDERED;
        return true;
    }
    if (take_text(c, "values=scaled")) {
        n->floats.kind = FLOATS_SCALED;
        return true;
    }
    return false;
}

static j2k_status parse(cursor c, note *n, diagnosis *why) {
    static const char *const dtypes[] = {"int8",  "uint8",  "int16",   "uint16",
                                         "int32", "uint32", "float16", "float32"};
    const char *text = c.next;
    bool known = take_item(&c, n);
    while (known && take_text(&c, "; "))
        known = take_item(&c, n);
    if (!known || c.next != c.end)
        return fail(why, J2K_ERROR_UNSUPPORTED, "a note in the stream says something unknown: \"%.*s\"",
                    (int)(c.end - text < 150 ? c.end - text : 150), text);
    bool is_float = strncmp(n->dtype, "float", 5) == 0;
    bool known_dtype = !n->dtype[0];
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        known_dtype |= strcmp(n->dtype, dtypes[i]) == 0;
    bool mapped = n->floats.kind != FLOATS_NONE;
    bool sensible = is_float == mapped && (n->floats.kind == FLOATS_SCALED) == (n->floats.mantissa > 0) &&
                    (n->floats.kind != FLOATS_ORDERED || n->floats.first >= 0);
    if (!known_dtype || !sensible)
        return fail(why, J2K_ERROR_CORRUPT, "a note in the stream makes no sense: \"%.*s\"",
                    (int)(c.end - text < 150 ? c.end - text : 150), text);
    return J2K_OK;
}

static unsigned load16(const uint8_t *bytes) {
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* Marker segments of the main header (T.800 A.1): a marker, then the length of what follows it. */
j2k_status note_read(const void *codestream, size_t size, note *n, diagnosis *why) {
    enum { SOC = 0xFF4F, COM = 0xFF64, SOT = 0xFF90, LATIN_1 = 1, HEAD = 6 };
    const uint8_t *bytes = codestream;
    memset(n, 0, sizeof *n);
    if (size < 2 || load16(bytes) != SOC)
        return J2K_OK;
    for (size_t at = 2; at + 4 <= size && load16(bytes + at) != SOT;) {
        size_t length = load16(bytes + at + 2);
        if (length < 2 || length + 2 > size - at)
            return J2K_OK; /* the engine says what is wrong with it */
        if (load16(bytes + at) == COM && length >= 4 && load16(bytes + at + 4) == LATIN_1) {
            cursor c = {(const char *)bytes + at + HEAD, (const char *)bytes + at + 2 + length};
            if (take_text(&c, prefix))
                return parse(c, n, why);
        }
        at += 2 + length;
    }
    return J2K_OK;
}
