/* The text form of parameters: "name=value;name=value".
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "params_table.h"

/* ---- pieces of text ---- */

/* A piece of text, not terminated, without spaces around it. */
typedef struct span {
    const char *text;
    size_t length;
} span;

static span trim(const char *text, size_t length) {
    while (length && (*text == ' ' || *text == '\t' || *text == '\n')) {
        text++;
        length--;
    }
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t' || text[length - 1] == '\n'))
        length--;
    return (span){text, length};
}

/* Split off the first piece of *rest at the separator; false when nothing is left. */
static bool next_piece(span *rest, char separator, span *piece) {
    if (!rest->text)
        return false;
    const char *found = rest->length ? memchr(rest->text, separator, rest->length) : NULL;
    size_t length = found ? (size_t)(found - rest->text) : rest->length;
    *piece = trim(rest->text, length);
    *rest = found ? (span){found + 1, rest->length - length - 1} : (span){NULL, 0};
    return true;
}

static bool same(span a, const char *b) {
    return strlen(b) == a.length && memcmp(a.text, b, a.length) == 0;
}

/* strtoll and strtod need terminated text; strtod follows the locale's decimal point, so numbers are read
 * here. */
static bool parse_integer(span s, int64_t *value) {
    bool negative = s.length && *s.text == '-';
    if (s.length && (*s.text == '-' || *s.text == '+'))
        s = (span){s.text + 1, s.length - 1};
    if (s.length == 0 || s.length > 18)
        return false;
    int64_t result = 0;
    for (size_t i = 0; i < s.length; i++) {
        if (s.text[i] < '0' || s.text[i] > '9')
            return false;
        result = 10 * result + (s.text[i] - '0');
    }
    *value = negative ? -result : result;
    return true;
}

/* Digits with an optional point and exponent. The value is exact for up to 15 digits and exponents up to 22,
 * and within a few units in the last place beyond that, which is more than a ratio or a PSNR needs. */
static bool parse_number(span s, double *value) {
    double mantissa = 0;
    int exponent = 0, digits = 0;
    bool point = false;
    size_t i = s.length && *s.text == '+' ? 1 : 0;
    for (; i < s.length; i++) {
        char c = s.text[i];
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            mantissa = 10 * mantissa + (c - '0');
            exponent -= point;
            if (++digits > 300)
                return false;
        } else {
            break;
        }
    }
    if (!digits)
        return false;
    if (i < s.length && (s.text[i] == 'e' || s.text[i] == 'E')) {
        int64_t given;
        if (!parse_integer((span){s.text + i + 1, s.length - i - 1}, &given) || given > 300 || given < -300)
            return false;
        exponent += (int)given;
        i = s.length;
    }
    *value = exponent < 0 ? mantissa / pow(10, -exponent) : mantissa * pow(10, exponent);
    return i == s.length && isfinite(*value);
}

/* ---- reading ---- */

bool params_parse_choice(const parameter *row, const char *text, size_t length, int64_t *value) {
    span s = {text, length};
    int64_t number;
    bool is_number = parse_integer(s, &number);
    for (const choice *c = row->choices; c->name; c++) {
        if (same(s, c->name)) {
            *value = c->value;
            return true;
        }
    }
    for (const choice *c = row->choices; c->name && is_number; c++) {
        if (number == c->value) {
            *value = number;
            return true;
        }
    }
    return false;
}

static bool parse_flags(const parameter *row, span s, int64_t *value) {
    int64_t all = 0;
    for (const choice *c = row->choices; c->name; c++)
        all |= c->value;
    if (parse_integer(s, value))
        return *value >= 0 && (*value & ~all) == 0;
    *value = 0;
    for (span piece; next_piece(&s, '|', &piece);) {
        int64_t flag;
        if (!params_parse_choice(row, piece.text, piece.length, &flag))
            return false;
        *value |= flag;
    }
    return true;
}

static bool parse_tuple(const parameter *row, span s, int64_t *values, int count) {
    for (int i = 0; i < count; i++) {
        span piece;
        if (!next_piece(&s, ',', &piece) || !parse_integer(piece, &values[i]) || values[i] < row->low ||
            values[i] > row->high)
            return false;
    }
    return s.text == NULL;
}

/* Pairs with | between them. Nothing, and one pair of zeros, are none. */
static bool parse_pairs(const parameter *row, span s, int64_t *list) {
    int64_t count = 0;
    span piece;
    while (s.length && next_piece(&s, '|', &piece)) {
        if (count == J2K_MAX_RESOLUTIONS || !parse_tuple(row, piece, list + 1 + 2 * count, 2))
            return false;
        count++;
    }
    list[0] = count == 1 && list[1] == 0 && list[2] == 0 ? 0 : count;
    return true;
}

static bool parse_rects(const parameter *row, span s, rect_list *list) {
    span piece;
    list->count = 0;
    while (s.length && next_piece(&s, '|', &piece)) {
        int64_t v[4];
        if (list->count == MAX_ROI_RECTS || !parse_tuple(row, piece, v, 4) || v[0] >= v[2] || v[1] >= v[3])
            return false;
        list->rects[list->count++] =
            (j2k_rectangle){(uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2], (uint32_t)v[3]};
    }
    return true;
}

static bool parse_numbers(params *p, span s) {
    double numbers[J2K_MAX_LAYERS];
    int64_t count = 0;
    span piece;
    while (s.length && next_piece(&s, ',', &piece)) {
        if (count == J2K_MAX_LAYERS || !parse_number(piece, &numbers[count++]))
            return false;
    }
    if (count)
        memcpy(p->quality_layers, numbers, (size_t)count * sizeof numbers[0]);
    p->num_quality_layers = count;
    return true;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static bool parse_text(const parameter *row, char *out, span s) {
    char text[COMMENT_CAPACITY];
    size_t n = 0;
    for (size_t i = 0; i < s.length; i++, n++) {
        char c = s.text[i];
        if (n + 1 >= (size_t)row->high)
            return false;
        if (c == '%') {
            int high = i + 2 < s.length ? hex_digit(s.text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(s.text[i + 2]) : -1;
            if (low < 0 || high + low == 0)
                return false;
            c = (char)(unsigned char)(16 * high + low);
            i += 2;
        }
        text[n] = c;
    }
    text[n] = 0;
    memcpy(out, text, n + 1);
    return true;
}

bool params_parse_value(params *p, const parameter *row, const char *text, size_t length) {
    span s = {text, length};
    void *at = (char *)p + row->offset;
    int64_t *value = at;
    switch (row->type) {
    case INTEGER:
        return parse_integer(s, value) && *value >= row->low && *value <= row->high;
    case NUMBER:
        return parse_number(s, at);
    case CHOICE:
        return params_parse_choice(row, text, length, value);
    case FLAGS:
        return parse_flags(row, s, value);
    case PAIR:
        return parse_tuple(row, s, value, 2);
    case NUMBERS:
        return parse_numbers(p, s);
    case PAIRS:
        return parse_pairs(row, s, value);
    case RECTS:
        return parse_rects(row, s, at);
    case TEXT:
        return parse_text(row, at, s);
    }
    return false;
}

/* Append to text[0 .. capacity), counting also what does not fit. */
typedef struct writer {
    char *text;
    size_t capacity, length;
} writer;

static void put(writer *w, const char *text) {
    for (; *text; text++, w->length++) {
        if (w->length + 1 < w->capacity)
            w->text[w->length] = *text;
    }
    if (w->capacity)
        w->text[w->length < w->capacity ? w->length : w->capacity - 1] = 0;
}

static j2k_status unknown_name(span name, diagnosis *why) {
    char names[800];
    writer w = {names, sizeof names, 0};
    for (int i = 0; params_row(i); i++) {
        put(&w, i ? ", " : "");
        put(&w, params_row(i)->name);
    }
    return fail(why, J2K_ERROR_ARGUMENT, "unknown parameter '%.*s'; known are %s",
                (int)(name.length < 40 ? name.length : 40), name.text, names);
}

static bool is_defaults(span s) {
    static const char word[] = "defaults";
    return s.length == sizeof word - 1 && memcmp(s.text, word, s.length) == 0;
}

static void put_back(params *p) {
    int64_t num_threads = p->num_threads, verbose = p->verbose;
    params_set_defaults(p);
    p->num_threads = num_threads;
    p->verbose = verbose;
}

bool params_text_is_complete(const char *text, size_t length) {
    span rest = {text, length}, piece;
    return next_piece(&rest, ';', &piece) && is_defaults(piece);
}

static int count_bits(uint64_t bits) {
    int count = 0;
    for (; bits; bits &= bits - 1)
        count++;
    return count;
}

/* Rows whose values are not the defaults. Where all rows are named, as in a complete set of parameters, only
 * these count as given. */
static uint64_t differing(const params *p) {
    uint64_t rows = 0;
    char text[4 * COMMENT_CAPACITY];
    for (int i = 0; params_row(i); i++) {
        params_format_value(p, params_row(i), text, sizeof text);
        if (strcmp(text, params_row(i)->default_value))
            rows |= UINT64_C(1) << i;
    }
    return rows;
}

j2k_status params_parse(params *p, const char *text, size_t length, diagnosis *why) {
    const char *end = length ? memchr(text, 0, length) : NULL;
    span rest = {text, end ? (size_t)(end - text) : length};
    span piece;
    params result = *p;
    bool layers_given = false;
    uint64_t named = 0;
    while (next_piece(&rest, ';', &piece)) {
        if (!piece.length)
            continue;
        const char *equals = memchr(piece.text, '=', piece.length);
        if (is_defaults(piece)) {
            put_back(&result);
            continue;
        }
        if (!equals)
            return fail(why, J2K_ERROR_ARGUMENT, "parameter '%.*s' has no value; the form is name=value",
                        (int)(piece.length < 60 ? piece.length : 60), piece.text);
        span name = trim(piece.text, (size_t)(equals - piece.text));
        span value = trim(equals + 1, (size_t)(piece.text + piece.length - equals - 1));
        int index;
        const parameter *row = params_find(name.text, name.length, &index);
        if (!row)
            return unknown_name(name, why);
        if (!params_parse_value(&result, row, value.text, value.length))
            return fail(why, J2K_ERROR_ARGUMENT, "%s: %.*s is not allowed; allowed: %s", row->name,
                        (int)(value.length < 60 ? value.length : 60), value.text, row->allowed);
        named |= UINT64_C(1) << index;
        layers_given |= row->type == NUMBERS && result.num_quality_layers > 0;
    }
    result.given = params_row(count_bits(named)) ? result.given | named : differing(&result);
    if (layers_given && result.quality_mode == QUALITY_NONE)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "quality_layers needs a quality_mode; allowed: \"rates\", \"dB\" or \"max_error\"");
    j2k_status status = params_check(&result, why);
    if (status == J2K_OK)
        *p = result;
    return status;
}

/* ---- writing ---- */

static void put_integer(writer *w, int64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    put(w, digits);
}

/* With a point whatever the locale says. */
static void put_number(writer *w, double value) {
    char digits[40];
    double back = value + 1;
    for (int precision = 15; precision <= 17 && (precision == 15 || back != value); precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        for (char *c = digits; *c; c++) {
            if (*c == ',')
                *c = '.';
        }
        if (!parse_number((span){digits, strlen(digits)}, &back))
            break;
    }
    put(w, digits);
}

static void put_tuple(writer *w, const int64_t *values, int count) {
    for (int i = 0; i < count; i++) {
        put(w, i ? "," : "");
        put_integer(w, values[i]);
    }
}

static void put_pairs(writer *w, const int64_t *list) {
    for (int64_t i = 0; i < list[0]; i++) {
        put(w, i ? "|" : "");
        put_tuple(w, list + 1 + 2 * i, 2);
    }
    if (list[0] == 0)
        put(w, "0,0");
}

static void put_rects(writer *w, const rect_list *list) {
    for (int64_t i = 0; i < list->count; i++) {
        const j2k_rectangle *r = &list->rects[i];
        const int64_t values[4] = {r->x0, r->y0, r->x1, r->y1};
        put(w, i ? "|" : "");
        put_tuple(w, values, 4);
    }
}

/* What would end a value, what trimming would take away, and the sign that says so. */
static void put_text(writer *w, const char *text) {
    for (size_t i = 0; text[i]; i++) {
        char piece[4] = {text[i], 0, 0, 0};
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == ';' || c == '%' || c > '~')
            snprintf(piece, sizeof piece, "%%%02X", c);
        put(w, c == ' ' && i && text[i + 1] ? " " : piece);
    }
}

static void put_choice(writer *w, const parameter *row, int64_t value) {
    for (const choice *c = row->choices; c->name; c++) {
        if (c->value == value) {
            put(w, c->name);
            return;
        }
    }
    put_integer(w, value);
}

static void put_value(writer *w, const params *p, const parameter *row) {
    const void *at = (const char *)p + row->offset;
    const int64_t *value = at;
    switch (row->type) {
    case CHOICE:
        put_choice(w, row, *value);
        return;
    case PAIR:
        put_tuple(w, value, 2);
        return;
    case NUMBERS:
        for (int64_t i = 0; i < p->num_quality_layers; i++) {
            put(w, i ? "," : "");
            put_number(w, p->quality_layers[i]);
        }
        return;
    case NUMBER:
        put_number(w, *(const double *)at);
        return;
    case INTEGER:
    case FLAGS:
        put_integer(w, *value);
        return;
    case PAIRS:
        put_pairs(w, value);
        return;
    case RECTS:
        put_rects(w, at);
        return;
    case TEXT:
        put_text(w, at);
        return;
    }
}

size_t params_format_value(const params *p, const parameter *row, char *text, size_t capacity) {
    writer w = {text, capacity, 0};
    put(&w, "");
    put_value(&w, p, row);
    return w.length;
}

size_t params_format_complete(const params *p, char *text, size_t capacity) {
    params defaults;
    params_set_defaults(&defaults);
    writer w = {text, capacity, 0};
    put(&w, "defaults");
    for (int i = 0; params_row(i); i++) {
        const parameter *row = params_row(i);
        char value[4 * COMMENT_CAPACITY], standard[4 * COMMENT_CAPACITY];
        params_format_value(p, row, value, sizeof value);
        params_format_value(&defaults, row, standard, sizeof standard);
        bool standard_only = strcmp(value, standard) == 0 && !(p->given >> i & 1);
        if (standard_only || strcmp(row->name, "num_threads") == 0 || strcmp(row->name, "verbose") == 0)
            continue;
        put(&w, ";");
        put(&w, row->name);
        put(&w, "=");
        put_value(&w, p, row);
    }
    return w.length;
}

size_t params_format(const params *p, char *text, size_t capacity) {
    params shown = *p;
    params_take_profile(&shown, NULL);
    writer w = {text, capacity, 0};
    put(&w, "");
    for (int i = 0; params_row(i); i++) {
        put(&w, i ? ";" : "");
        put(&w, params_row(i)->name);
        put(&w, "=");
        put_value(&w, &shown, params_row(i));
    }
    return w.length;
}
