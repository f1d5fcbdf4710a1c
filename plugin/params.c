/* The table of parameters: names, types, defaults, ranges, meanings; their text form; what they mean to the
 * engine. SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOSC2_GROK_NO_BLOSC2
#include "blosc2_grok.h"
#include "params.h"

typedef struct choice {
    const char *name; /* of several names of one value the first is the one written */
    int64_t value;
} choice;

typedef enum parameter_type { INTEGER, CHOICE, FLAGS, PAIR, NUMBERS } parameter_type;

typedef struct parameter {
    const char *name;
    parameter_type type;
    size_t offset;
    int64_t low, high;     /* INTEGER, PAIR */
    const choice *choices; /* CHOICE, FLAGS; ends with a NULL name */
    const char *default_value;
    const char *allowed;
    const char *meaning;
} parameter;

static const choice booleans[] = {{"false", 0}, {"true", 1}, {"False", 0}, {"True", 1}, {NULL, 0}};
static const choice tristate[] = {{"auto", -1}, {"false", 0}, {"true", 1}, {"None", -1},
                                  {"False", 0}, {"True", 1},  {NULL, 0}};
static const choice transforms[] = {{"auto", -1}, {"0", 0},    {"1", 1}, {"None", -1},
                                    {"false", 0}, {"true", 1}, {NULL, 0}};
static const choice qualities[] = {{"none", QUALITY_NONE}, {"rates", QUALITY_RATES}, {"dB", QUALITY_DB},
                                   {"None", QUALITY_NONE}, {"", QUALITY_NONE},       {NULL, 0}};
static const choice progressions[] = {{"LRCP", J2K_LRCP}, {"RLCP", J2K_RLCP}, {"RPCL", J2K_RPCL},
                                      {"PCRL", J2K_PCRL}, {"CPRL", J2K_CPRL}, {NULL, 0}};
static const choice modes[] = {{"DEFAULT", 0},
                               {"LAZY", J2K_STYLE_BYPASS},
                               {"RESET", J2K_STYLE_RESET},
                               {"TERMALL", J2K_STYLE_TERMALL},
                               {"VSC", J2K_STYLE_CAUSAL},
                               {"PTERM", J2K_STYLE_PTERM},
                               {"SEGSYM", J2K_STYLE_SEGMENTATION},
                               {"HT", J2K_STYLE_HT},
                               {NULL, 0}};
static const choice stream_formats[] = {{"GRK_FMT_UNK", GRK_FMT_UNK}, {"GRK_FMT_J2K", GRK_FMT_J2K},
                                        {"GRK_FMT_JP2", GRK_FMT_JP2}, {"J2K", GRK_FMT_J2K},
                                        {"JP2", GRK_FMT_JP2},         {NULL, 0}};
static const choice file_formats[] = {{"GRK_FMT_UNK", GRK_FMT_UNK},
                                      {"GRK_FMT_J2K", GRK_FMT_J2K},
                                      {"GRK_FMT_JP2", GRK_FMT_JP2},
                                      {"GRK_FMT_PXM", GRK_FMT_PXM},
                                      {"GRK_FMT_PGX", GRK_FMT_PGX},
                                      {"GRK_FMT_PAM", GRK_FMT_PAM},
                                      {"GRK_FMT_BMP", GRK_FMT_BMP},
                                      {"GRK_FMT_TIF", GRK_FMT_TIF},
                                      {"GRK_FMT_RAW", GRK_FMT_RAW},
                                      {"GRK_FMT_PNG", GRK_FMT_PNG},
                                      {"GRK_FMT_RAWL", GRK_FMT_RAWL},
                                      {"GRK_FMT_JPG", GRK_FMT_JPG},
                                      {NULL, 0}};
static const choice rate_controls[] = {{"BISECT", 0}, {"PCRD_OPT", 1}, {NULL, 0}};

#define ROW(name_, type_, member, low, high, choices, default_value, allowed, meaning)                       \
    { name_, type_, offsetof(params, member), low, high, choices, default_value, allowed, meaning }

static const parameter table[] = {
    ROW("tile_size", PAIR, tile_size, 0, UINT32_MAX, NULL, "0,0", "(width, height), or (0, 0)",
        "Size of a tile; (0, 0): one tile, in a stack one tile a plane"),
    ROW("tile_offset", PAIR, tile_offset, 0, UINT32_MAX, NULL, "0,0", "(x, y), at most offset",
        "Origin of the tile grid"),
    ROW("quality_mode", CHOICE, quality_mode, 0, 0, qualities, "none", "None, \"rates\" or \"dB\"",
        "None: lossless; \"rates\": quality_layers are compression ratios; \"dB\": they are PSNRs in dB"),
    ROW("quality_layers", NUMBERS, quality_layers, 0, 0, NULL, "",
        "up to 256 numbers, decreasing for \"rates\", increasing for \"dB\"", "Target of each quality layer"),
    ROW("numgbits", INTEGER, numgbits, 0, 7, NULL, "2", "0 to 7", "Guard bits"),
    ROW("progression", CHOICE, progression, 0, 0, progressions, "LRCP",
        "\"LRCP\", \"RLCP\", \"RPCL\", \"PCRL\" or \"CPRL\"",
        "Order of the packets (L: layer, R: resolution, P: position, C: component)"),
    ROW("num_resolutions", INTEGER, num_resolutions, 1, J2K_MAX_RESOLUTIONS, NULL, "6", "1 to 33",
        "Resolutions, the full one included; small images get fewer"),
    ROW("codeblock_size", PAIR, codeblock_size, 4, 1024, NULL, "64,64",
        "(width, height), powers of two from 4 to 1024, with a product of at most 4096",
        "Size of a code-block"),
    ROW("mode", FLAGS, mode, 0, 0, modes, "DEFAULT", "a GrkMode, or several of them combined with |",
        "Code-block style"),
    ROW("irreversible", CHOICE, irreversible, 0, 0, tristate, "auto", "None, False or True",
        "True: 9/7 wavelet; False: 5/3 wavelet; None: 5/3 when lossless, 9/7 with a quality_mode"),
    ROW("roi_compno", INTEGER, roi_compno, -1, J2K_MAX_COMPONENTS - 1, NULL, "-1", "-1 to 16383",
        "Component to code first as region of interest; -1: none"),
    ROW("roi_shift", INTEGER, roi_shift, 0, 37, NULL, "0", "0 to 37",
        "Bits by which that component is shifted up"),
    ROW("precinct_size", PAIR, precinct_size, 0, 32768, NULL, "0,0",
        "(width, height), powers of two up to 32768, or (0, 0)",
        "Size of a precinct at full resolution; (0, 0): one precinct"),
    ROW("offset", PAIR, offset, 0, INT32_MAX, NULL, "0,0", "(x, y)",
        "Place of the image on the reference grid"),
    ROW("decod_format", CHOICE, decod_format, 0, 0, file_formats, "GRK_FMT_UNK", "a GrkFileFmt",
        "No effect: the format of a stream is detected"),
    ROW("cod_format", CHOICE, cod_format, 0, 0, stream_formats, "GRK_FMT_JP2",
        "GRK_FMT_JP2, GRK_FMT_J2K, or GRK_FMT_UNK (as GRK_FMT_JP2)", "JP2 file or raw codestream"),
    ROW("enableTilePartGeneration", CHOICE, tile_parts, 0, 0, booleans, "false", "False or True",
        "A tile-part for each resolution"),
    ROW("mct", CHOICE, mct, 0, 0, transforms, "auto", "-1, 0 or 1",
        "Colour transform; -1: for three or four components; 0: never; 1: on the first three components"),
    ROW("max_cs_size", INTEGER, max_cs_size, 0, INT64_MAX, NULL, "0", "0 or more",
        "Upper bound of a block's coded bytes; 0: none"),
    ROW("max_comp_size", INTEGER, max_comp_size, 0, INT64_MAX, NULL, "0", "0 or more",
        "Upper bound of one component's coded bytes; 0: none"),
    ROW("rsiz", INTEGER, rsiz, 0, 0x0FFF, NULL, "0", "a GrkProfile of Part 1, with its level (0 to 4095)",
        "Profile to signal; it is not enforced"),
    ROW("framerate", INTEGER, framerate, 0, UINT16_MAX, NULL, "0", "0 to 65535", "No effect"),
    ROW("apply_icc_", CHOICE, apply_icc, 0, 0, booleans, "false", "False or True", "No effect"),
    ROW("rateControlAlgorithm", CHOICE, rate_control, 0, 0, rate_controls, "BISECT", "a GrkRateControl",
        "No effect: rate control is always PCRD-opt over all coding passes"),
    ROW("num_threads", INTEGER, num_threads, 0, 1024, NULL, "0", "0 to 1024",
        "Threads that work on one block; 0: as many as help"),
    ROW("deviceId", INTEGER, device_id, INT32_MIN, INT32_MAX, NULL, "0", "an integer", "No effect"),
    ROW("duration", INTEGER, duration, 0, INT32_MAX, NULL, "0", "0 or more", "No effect"),
    ROW("repeats", INTEGER, repeats, 0, INT32_MAX, NULL, "1", "0 or more", "No effect"),
    ROW("verbose", CHOICE, verbose, 0, 0, booleans, "false", "False or True",
        "Print errors of blocks to stderr as well"),
};

enum { NUM_PARAMETERS = sizeof table / sizeof table[0] };

bool blosc2_grok_parameter(int index, blosc2_grok_parameter_info *info) {
    static const char *const type_names[] = {"integer", "choice", "flags", "pair", "numbers"};
    if (index < 0 || index >= NUM_PARAMETERS || !info)
        return false;
    const parameter *row = &table[index];
    *info = (blosc2_grok_parameter_info){row->name, type_names[row->type], row->default_value, row->allowed,
                                         row->meaning};
    return true;
}

static int64_t *field(params *p, const parameter *row) {
    return (int64_t *)(void *)((char *)p + row->offset);
}

static const int64_t *const_field(const params *p, const parameter *row) {
    return (const int64_t *)(const void *)((const char *)p + row->offset);
}

/* ---- text form
 * -------------------------------------------------------------------------------------------------- */

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

static bool parse_choice(const parameter *row, span s, int64_t *value) {
    int64_t number;
    bool is_number = parse_integer(s, &number);
    for (const choice *c = row->choices; c->name; c++) {
        if (same(s, c->name) || (is_number && number == c->value)) {
            *value = c->value;
            return true;
        }
    }
    return false;
}

/* A number, or names combined with |. */
static bool parse_flags(const parameter *row, span s, int64_t *value) {
    int64_t all = 0;
    for (const choice *c = row->choices; c->name; c++)
        all |= c->value;
    if (parse_integer(s, value))
        return *value >= 0 && (*value & ~all) == 0;
    *value = 0;
    for (span piece; next_piece(&s, '|', &piece);) {
        int64_t flag;
        if (!parse_choice(row, piece, &flag))
            return false;
        *value |= flag;
    }
    return true;
}

static bool parse_pair(const parameter *row, span s, int64_t *values) {
    for (int i = 0; i < 2; i++) {
        span piece;
        if (!next_piece(&s, ',', &piece) || !parse_integer(piece, &values[i]) || values[i] < row->low ||
            values[i] > row->high)
            return false;
    }
    return s.text == NULL;
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

static bool parse_value(params *p, const parameter *row, span s) {
    int64_t *value = field(p, row);
    switch (row->type) {
    case INTEGER:
        return parse_integer(s, value) && *value >= row->low && *value <= row->high;
    case CHOICE:
        return parse_choice(row, s, value);
    case FLAGS:
        return parse_flags(row, s, value);
    case PAIR:
        return parse_pair(row, s, value);
    case NUMBERS:
        return parse_numbers(p, s);
    }
    return false;
}

static const parameter *find_row(span name) {
    for (int i = 0; i < NUM_PARAMETERS; i++) {
        if (same(name, table[i].name))
            return &table[i];
    }
    return NULL;
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
    char names[512];
    writer w = {names, sizeof names, 0};
    for (int i = 0; i < NUM_PARAMETERS; i++) {
        put(&w, i ? ", " : "");
        put(&w, table[i].name);
    }
    return fail(why, J2K_ERROR_ARGUMENT, "unknown parameter '%.*s'; known are %s",
                (int)(name.length < 40 ? name.length : 40), name.text, names);
}

static bool is_power_of_two(int64_t value) {
    return value > 0 && (value & (value - 1)) == 0;
}

j2k_status params_parse(params *p, const char *text, size_t length, diagnosis *why) {
    const char *end = length ? memchr(text, 0, length) : NULL;
    span rest = {text, end ? (size_t)(end - text) : length};
    span piece;
    params result = *p;
    bool layers_given = false;
    while (next_piece(&rest, ';', &piece)) {
        if (!piece.length)
            continue;
        const char *equals = memchr(piece.text, '=', piece.length);
        if (!equals)
            return fail(why, J2K_ERROR_ARGUMENT, "parameter '%.*s' has no value; the form is name=value",
                        (int)(piece.length < 60 ? piece.length : 60), piece.text);
        span name = trim(piece.text, (size_t)(equals - piece.text));
        span value = trim(equals + 1, (size_t)(piece.text + piece.length - equals - 1));
        const parameter *row = find_row(name);
        if (!row)
            return unknown_name(name, why);
        if (!parse_value(&result, row, value))
            return fail(why, J2K_ERROR_ARGUMENT, "%s: %.*s is not allowed; allowed: %s", row->name,
                        (int)(value.length < 60 ? value.length : 60), value.text, row->allowed);
        layers_given |= row->type == NUMBERS && result.num_quality_layers > 0;
    }
    if (layers_given && result.quality_mode == QUALITY_NONE)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "quality_layers needs a quality_mode; allowed: \"rates\" or \"dB\"");
    j2k_status status = params_check(&result, why);
    if (status == J2K_OK)
        *p = result;
    return status;
}

j2k_status params_check(const params *p, diagnosis *why) {
    const int64_t *cb = p->codeblock_size, *precinct = p->precinct_size, *tile = p->tile_size;
    if ((p->mode & J2K_STYLE_HT) && (p->mode & ~(J2K_STYLE_HT | J2K_STYLE_CAUSAL)))
        return fail(why, J2K_ERROR_ARGUMENT, "mode: HT can be combined with VSC only");
    if (!is_power_of_two(cb[0]) || !is_power_of_two(cb[1]) || cb[0] * cb[1] > 4096)
        return fail(why, J2K_ERROR_ARGUMENT, "codeblock_size: %lld x %lld is not allowed; allowed: %s",
                    (long long)cb[0], (long long)cb[1], find_row((span){"codeblock_size", 14})->allowed);
    if ((precinct[0] || precinct[1]) && (!is_power_of_two(precinct[0]) || !is_power_of_two(precinct[1])))
        return fail(why, J2K_ERROR_ARGUMENT, "precinct_size: %lld x %lld is not allowed; allowed: %s",
                    (long long)precinct[0], (long long)precinct[1],
                    find_row((span){"precinct_size", 13})->allowed);
    if ((tile[0] == 0) != (tile[1] == 0))
        return fail(why, J2K_ERROR_ARGUMENT,
                    "tile_size: %lld x %lld is not allowed; allowed: (width, height), or (0, 0)",
                    (long long)tile[0], (long long)tile[1]);
    for (int i = 0; i < 2; i++) {
        /* T.800 B.3: the first tile holds the image's upper left corner. */
        int64_t origin = p->tile_offset[i], size = p->tile_size[i], corner = p->offset[i];
        if (origin > corner || (size && origin + size <= corner))
            return fail(why, J2K_ERROR_ARGUMENT,
                        "tile_offset: %lld is not allowed with offset %lld and tile_size %lld; allowed: "
                        "tile_offset <= offset < "
                        "tile_offset + tile_size",
                        (long long)origin, (long long)corner, (long long)size);
    }
    if (p->quality_mode == QUALITY_NONE)
        return J2K_OK;
    if (p->num_quality_layers < 1)
        return fail(why, J2K_ERROR_ARGUMENT, "quality_layers: a quality_mode needs at least one number");
    for (int64_t i = 1; i < p->num_quality_layers; i++) {
        double before = p->quality_layers[i - 1], here = p->quality_layers[i];
        bool rises = p->quality_mode == QUALITY_RATES ? here < before : here > before || here == 0;
        if (!rises)
            return fail(why, J2K_ERROR_ARGUMENT,
                        "quality_layers: %g after %g; the numbers must %s from layer to layer with "
                        "quality_mode \"%s\"",
                        here, before, p->quality_mode == QUALITY_RATES ? "decrease" : "increase",
                        p->quality_mode == QUALITY_RATES ? "rates" : "dB");
    }
    return J2K_OK;
}

void params_set_defaults(params *p) {
    memset(p, 0, sizeof *p);
    p->tile_part_divider = 'R';
    for (int i = 0; i < NUM_PARAMETERS; i++)
        (void)parse_value(p, &table[i], (span){table[i].default_value, strlen(table[i].default_value)});
}

static void put_integer(writer *w, int64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    put(w, digits);
}

/* With a point whatever the locale says. */
static void put_number(writer *w, double value) {
    char digits[40];
    snprintf(digits, sizeof digits, "%.15g", value);
    for (char *c = digits; *c; c++) {
        if (*c == ',')
            *c = '.';
    }
    put(w, digits);
}

static void put_value(writer *w, const params *p, const parameter *row) {
    const int64_t *value = const_field(p, row);
    switch (row->type) {
    case CHOICE:
        for (const choice *c = row->choices; c->name; c++) {
            if (c->value == *value) {
                put(w, c->name);
                return;
            }
        }
        put_integer(w, *value);
        return;
    case PAIR:
        put_integer(w, value[0]);
        put(w, ",");
        put_integer(w, value[1]);
        return;
    case NUMBERS:
        for (int64_t i = 0; i < p->num_quality_layers; i++) {
            put(w, i ? "," : "");
            put_number(w, p->quality_layers[i]);
        }
        return;
    case INTEGER:
    case FLAGS:
        put_integer(w, *value);
        return;
    }
}

size_t params_format(const params *p, char *text, size_t capacity) {
    writer w = {text, capacity, 0};
    put(&w, "");
    for (int i = 0; i < NUM_PARAMETERS; i++) {
        put(&w, i ? ";" : "");
        put(&w, table[i].name);
        put(&w, "=");
        put_value(&w, p, &table[i]);
    }
    return w.length;
}

/* ---- other doors
 * ------------------------------------------------------------------------------------------------ */

void params_apply_meta(params *p, uint8_t meta) {
    p->quality_mode = QUALITY_RATES;
    p->num_quality_layers = 1;
    p->quality_layers[0] = meta / 10.0;
}

j2k_status params_check_rows(params *p, diagnosis *why) {
    for (int i = 0; i < NUM_PARAMETERS; i++) {
        const parameter *row = &table[i];
        if (row->type == NUMBERS)
            continue;
        char text[64];
        writer w = {text, sizeof text, 0};
        put_value(&w, p, row);
        if (!parse_value(p, row, (span){text, w.length}))
            return fail(why, J2K_ERROR_ARGUMENT, "%s: %s is not allowed; allowed: %s", row->name, text,
                        row->allowed);
    }
    for (int64_t i = 0; i < p->num_quality_layers; i++) {
        if (!(p->quality_layers[i] >= 0) || !isfinite(p->quality_layers[i]))
            return fail(why, J2K_ERROR_ARGUMENT,
                        "quality_layers: %g is not allowed; allowed: numbers of 0 or more",
                        p->quality_layers[i]);
    }
    return params_check(p, why);
}

static j2k_status take_layers(params *p, const grk_cparameters *g, diagnosis *why) {
    if (!g->allocationByRateDistoration && !g->allocationByQuality)
        return J2K_OK;
    if (g->allocationByRateDistoration && g->allocationByQuality)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "allocationByRateDistoration and allocationByQuality exclude each other");
    if (g->numlayers < 1 || g->numlayers > J2K_MAX_LAYERS)
        return fail(why, J2K_ERROR_ARGUMENT, "numlayers: %d is not allowed; allowed: 1 to %d", g->numlayers,
                    (int)J2K_MAX_LAYERS);
    p->quality_mode = g->allocationByQuality ? QUALITY_DB : QUALITY_RATES;
    p->num_quality_layers = g->numlayers;
    memcpy(p->quality_layers, g->allocationByQuality ? g->layer_distortion : g->layer_rate,
           g->numlayers * sizeof g->layer_rate[0]);
    return J2K_OK;
}

static j2k_status take_precincts(params *p, const grk_cparameters *g, diagnosis *why) {
    if (g->res_spec > J2K_MAX_RESOLUTIONS)
        return fail(why, J2K_ERROR_ARGUMENT, "res_spec: %u is not allowed; allowed: 0 to 33",
                    (unsigned)g->res_spec);
    for (uint32_t i = 0; i < g->res_spec; i++) {
        uint32_t width = g->prcw_init[i], height = g->prch_init[i];
        if (!is_power_of_two(width) || !is_power_of_two(height) || width > 32768 || height > 32768)
            return fail(why, J2K_ERROR_ARGUMENT,
                        "prcw_init, prch_init: %u x %u is not allowed; allowed: powers of two up to "
                        "32768",
                        (unsigned)width, (unsigned)height);
        p->precinct_width[i] = width;
        p->precinct_height[i] = height;
    }
    p->num_precincts = g->res_spec;
    return J2K_OK;
}

static j2k_status refuse(const grk_cparameters *g, diagnosis *why) {
    if (g->signature != BLOSC2_GROK_CPARAMETERS_SIGNATURE)
        return fail(
            why, J2K_ERROR_ARGUMENT,
            "codec_params is not a blosc2_grok_params initialised with grk_compress_set_default_params "
            "(or the program was compiled against another grok.h)");
    if (g->numpocs)
        return fail(why, J2K_ERROR_UNSUPPORTED, "numpocs: progression order changes are not supported");
    if (g->mct_data || g->mct == 2)
        return fail(why, J2K_ERROR_UNSUPPORTED,
                    "mct: custom transforms are not supported; allowed: -1, 0 or 1");
    if (g->subsampling_dx > 1 || g->subsampling_dy > 1)
        return fail(why, J2K_ERROR_UNSUPPORTED, "subsampling_dx, subsampling_dy: only 1 is supported");
    uint8_t divider = g->newTilePartProgressionDivider;
    if (divider && divider != 'R' && divider != 'L' && divider != 'C')
        return fail(why, J2K_ERROR_ARGUMENT, "newTilePartProgressionDivider: allowed: 0, 'R', 'L' or 'C'");
    return J2K_OK;
}

static void take_comment(params *p, const grk_cparameters *g) {
    if (g->num_comments < 1 || !g->comment[0] || g->is_binary_comment[0])
        return;
    size_t length = g->comment_len[0];
    if (length >= sizeof p->comment)
        length = sizeof p->comment - 1;
    memcpy(p->comment, g->comment[0], length);
    p->comment[length] = 0;
}

j2k_status params_from_grok(params *p, const grk_cparameters *g, diagnosis *why) {
    j2k_status status = refuse(g, why);
    if (status != J2K_OK)
        return status;
    params_set_defaults(p);
    if (g->tile_size_on) {
        p->tile_size[0] = g->t_width;
        p->tile_size[1] = g->t_height;
    }
    p->tile_offset[0] = g->tx0;
    p->tile_offset[1] = g->ty0;
    p->sop = g->csty & 2;
    p->eph = g->csty & 4;
    p->numgbits = g->numgbits;
    p->progression = g->prog_order;
    p->num_resolutions = g->numresolution;
    p->codeblock_size[0] = g->cblockw_init;
    p->codeblock_size[1] = g->cblockh_init;
    p->mode = g->cblk_sty;
    p->irreversible = g->irreversible;
    p->roi_compno = g->roi_compno;
    p->roi_shift = g->roi_shift;
    p->offset[0] = g->image_offset_x0;
    p->offset[1] = g->image_offset_y0;
    p->decod_format = g->decod_format;
    p->cod_format = g->cod_format;
    p->tile_parts = g->enableTilePartGeneration;
    if (g->newTilePartProgressionDivider)
        p->tile_part_divider = (char)g->newTilePartProgressionDivider;
    p->mct = g->mct == 255 ? AUTOMATIC : g->mct;
    p->max_cs_size = (int64_t)(g->max_cs_size & INT64_MAX);
    p->max_comp_size = (int64_t)(g->max_comp_size & INT64_MAX);
    p->rsiz = g->rsiz;
    p->plt = g->writePLT;
    p->tlm = g->writeTLM;
    p->num_threads = g->numThreads;
    p->verbose = g->verbose;
    take_comment(p, g);
    status = take_layers(p, g, why);
    if (status == J2K_OK)
        status = take_precincts(p, g, why);
    return status == J2K_OK ? params_check_rows(p, why) : status;
}

int64_t params_choice(const char *parameter_name, const char *choice_name) {
    const parameter *row = find_row((span){parameter_name, strlen(parameter_name)});
    int64_t value;
    return parse_choice(row, (span){choice_name, strlen(choice_name)}, &value) ? value : INT64_MAX;
}

/* ---- to the engine
 * ---------------------------------------------------------------------------------------------- */

/* A last layer that asks for everything is lossless with the 5/3 wavelet. */
static bool keeps_everything(const params *p) {
    if (p->quality_mode == QUALITY_NONE)
        return true;
    double last = p->quality_layers[p->num_quality_layers - 1];
    return p->quality_mode == QUALITY_RATES ? last <= 1 : last <= 0;
}

bool params_lossy(const params *p) {
    return !keeps_everything(p) || p->irreversible == 1 || p->max_cs_size > 0 || p->max_comp_size > 0;
}

j2k_status params_to_options(const params *p, const layout *l, j2k_encode_options *o, diagnosis *why) {
    if (l->is_bool && params_lossy(p))
        return fail(why, J2K_ERROR_UNSUPPORTED, "dtype bool can only be coded without loss");
    j2k_encode_options_init(o);
    o->format = p->cod_format == FORMAT_J2K     ? J2K_FORMAT_CODESTREAM
                : (p->mode & J2K_STYLE_HT) != 0 ? J2K_FORMAT_JPH
                                                : J2K_FORMAT_JP2;
    if (p->quality_mode != QUALITY_NONE) {
        o->quality = p->quality_mode == QUALITY_RATES ? J2K_QUALITY_RATIO : J2K_QUALITY_PSNR;
        o->num_layers = (uint32_t)p->num_quality_layers;
        memcpy(o->layer_quality, p->quality_layers, o->num_layers * sizeof o->layer_quality[0]);
    }
    o->irreversible = p->irreversible == AUTOMATIC ? !keeps_everything(p) : (int)p->irreversible;
    o->colour_transform = l->num_components < 3 ? 0 : (int)p->mct;
    o->num_resolutions = (uint32_t)p->num_resolutions;
    o->codeblock_width = (uint32_t)p->codeblock_size[0];
    o->codeblock_height = (uint32_t)p->codeblock_size[1];
    o->codeblock_style = (uint32_t)p->mode;
    o->progression = (j2k_progression)p->progression;
    o->tile_width = (uint32_t)p->tile_size[0];
    o->tile_height = (uint32_t)p->tile_size[1];
    o->tile_x0 = (uint32_t)p->tile_offset[0];
    o->tile_y0 = (uint32_t)p->tile_offset[1];
    if (!o->tile_width && l->tile_height < l->height) { /* a stack: the tile grid follows the planes */
        o->tile_width = l->width;
        o->tile_height = l->tile_height;
        o->tile_x0 = (uint32_t)p->offset[0];
        o->tile_y0 = (uint32_t)p->offset[1];
    }
    o->num_precincts = p->num_precincts;
    memcpy(o->precinct_width, p->precinct_width, sizeof o->precinct_width);
    memcpy(o->precinct_height, p->precinct_height, sizeof o->precinct_height);
    if (!p->num_precincts && p->precinct_size[0]) {
        o->num_precincts = 1;
        o->precinct_width[0] = (uint32_t)p->precinct_size[0];
        o->precinct_height[0] = (uint32_t)p->precinct_size[1];
    }
    o->guard_bits = (uint32_t)p->numgbits;
    o->roi_component = p->roi_shift ? (int)p->roi_compno : -1;
    o->roi_shift = p->roi_compno < 0 ? 0 : (uint32_t)p->roi_shift;
    o->sop = p->sop;
    o->eph = p->eph;
    o->tile_parts = p->tile_parts ? p->tile_part_divider : 0;
    o->max_bytes = (uint64_t)p->max_cs_size;
    o->max_component_bytes = (uint64_t)p->max_comp_size;
    o->rsiz = (uint16_t)p->rsiz;
    o->plt = p->plt;
    o->tlm = p->tlm;
    o->comment = p->comment[0] ? p->comment : NULL;
    return J2K_OK;
}
