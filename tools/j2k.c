/* j2k: command-line JPEG 2000 encoder, decoder and header reader over include/j2k.h.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "image_file.h"
#include "transcode.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Exit status: what was asked for cannot be done (EXIT_FAILURE) or was not understood. */
enum { EXIT_USAGE = 2, MAX_LIST = 1024 };

static const char usage_text[] =
    "usage: j2k encode [OPTIONS] -o OUTPUT.{j2k,jp2,jph} INPUT...\n"
    "       j2k decode [OPTIONS] -o OUTPUT.{pgm,ppm,pgx,raw} INPUT\n"
    "       j2k info   [OPTIONS] INPUT\n"
    "       j2k transcode [OPTIONS] INPUT OUTPUT     (j2k transcode --help)\n"
    "\n"
    "Images are PGM or PPM files (binary), one PGX file a component, or raw samples. \"-\" is standard input "
    "or output.\n"
    "\n"
    "Common options\n"
    "  -o, --output NAME          write to NAME; the file appears when it is complete\n"
    "  --threads N                threads, 0: one a processor (default 1)\n"
    "  --cpu LIST                 instruction sets allowed: all (default), none, or sse41,avx2,avx512,neon\n"
    "  --repeat N                 do the work N times in memory and print the best time\n"
    "  --raw W,H,COMPONENTS,DEPTH,u|s   geometry of raw input; for raw output not needed\n"
    "  --big-endian, --interleaved      layout of raw samples (default: little endian, one component after "
    "another)\n"
    "\n"
    "Encoding options\n"
    "  --format j2k|jp2|jph       default: by the name of the output\n"
    "  --ratio R[,R...]           compression ratios, one a layer, decreasing; 1: everything\n"
    "  --psnr D[,D...]            PSNR targets in dB, one a layer, increasing; 0: everything\n"
    "  --max-error E              no sample is off by more than E\n"
    "  --visual                   rate control weighs errors as the eye does\n"
    "  --peak-of-range            PSNR targets refer to the samples' own range\n"
    "  --layers N                 layers of a lossless stream\n"
    "  --reversible, --irreversible     5/3 or 9/7 wavelet (default: 5/3 when lossless, else 9/7)\n"
    "  --mct 0|1|auto             colour transform (default auto)\n"
    "  --colour unknown|srgb|grey|sycc  colour space of the input\n"
    "  --resolutions N            decomposition levels + 1 (default 6)\n"
    "  --codeblock WxH            default 64x64\n"
    "  --style LIST               bypass,reset,termall,causal,pterm,segmentation,ht or a number (default "
    "none)\n"
    "  --progression LRCP|RLCP|RPCL|PCRL|CPRL\n"
    "  --tile WxH, --tile-offset X,Y, --offset X,Y\n"
    "  --precincts WxH[,WxH...]   highest resolution first; the last one is halved for the rest\n"
    "  --subsampling DXxDY[,...]  of the components; the last one stands for the rest\n"
    "  --guard-bits N, --derived, --base-step S   quantisation\n"
    "  --change R0,C0,L1,R1,C1,ORDER  progression order change (POC); may be repeated, must send all "
    "packets\n"
    "  --qfactor Q                1 to 100: visible quality in one pass, as other HTJ2K encoders have it\n"
    "  --roi COMPONENT,SHIFT      shift a component up (maxshift)\n"
    "  --roi-rect X0,Y0,X1,Y1     rectangle to code first, counted from the image's corner; may be repeated\n"
    "  --sop, --eph, --plt, --tlm write these markers\n"
    "  --tile-parts R|L|C         new tile-part at each resolution, layer or component\n"
    "  --rsiz N                   profile (T.800 table A.10): sets what it prescribes, which options behind "
    "it\n"
    "                             may change as far as it allows\n"
    "  --max-bytes N, --max-component-bytes N, --frame-rate N, --comment TEXT\n"
    "\n"
    "Decoding options (info takes the first four: it prints the geometry that they give)\n"
    "  --reduce N                 resolution levels to discard\n"
    "  --max-layers N             quality layers to decode\n"
    "  --region X0,Y0,X1,Y1       reference grid points from the image's upper left corner\n"
    "  --components I[,I...]      only these components\n"
    "  --tolerant                 decode what is there of truncated or damaged data\n"
    "  --max-pixels N, --max-memory N, --max-components N, --max-tiles N, --max-incomplete N   limits\n"
    "  --json                     info: print JSON\n";

typedef enum command { COMMAND_ENCODE = 1, COMMAND_DECODE = 2, COMMAND_INFO = 4 } command;

/* Everything the command line says. */
enum { MAX_ROI_RECTS = 64 };

typedef struct request {
    command command;
    j2k_encode_options encode;
    j2k_decode_options decode;
    j2k_colour_space colour_space;
    const char *output;
    const char **inputs;
    size_t num_inputs;
    raw_layout raw;
    uint32_t (*subsampling)[2];
    size_t num_subsampling;
    uint32_t *component_list;
    j2k_rectangle roi_rects[MAX_ROI_RECTS];
    uint32_t x0, y0;
    bool format_given, json;
    uint32_t threads, cpu_mask, repeat;
} request;

/* ---- values
 * ----------------------------------------------------------------------------------------------------- */

static bool parse_u64(const char *text, uint64_t *value, const char **end) {
    char *stop;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &stop, 0);
    *end = stop;
    return errno == 0;
}

/* Up to max numbers; separators holds what may stand between two of them. Returns how many, 0 when malformed.
 */
static size_t parse_list(const char *text, const char *separators, uint32_t *values, size_t max) {
    for (size_t n = 0; n < max;) {
        uint64_t value;
        if (!parse_u64(text, &value, &text) || value > UINT32_MAX)
            return 0;
        values[n++] = (uint32_t)value;
        if (*text == '\0')
            return n;
        if (strchr(separators, *text++) == NULL)
            return 0;
    }
    return 0;
}

static bool parse_u32(const char *text, uint32_t *value) {
    return parse_list(text, "", value, 1) == 1;
}

static bool parse_whole(const char *text, uint64_t *value) {
    return parse_u64(text, value, &text) && *text == '\0';
}

static bool parse_pair(const char *text, const char *separators, uint32_t *a, uint32_t *b) {
    uint32_t values[2];
    if (parse_list(text, separators, values, 2) != 2)
        return false;
    *a = values[0];
    *b = values[1];
    return true;
}

static bool parse_reals(const char *text, double *values, uint32_t max, uint32_t *count) {
    for (*count = 0; *count < max;) {
        char *stop;
        values[(*count)++] = strtod(text, &stop);
        if (stop == text || !isfinite(values[*count - 1]))
            return false;
        if (*stop == '\0')
            return true;
        if (*stop != ',')
            return false;
        text = stop + 1;
    }
    return false;
}

/* A comma-separated list of names, each standing for a flag. */
typedef struct flag_name {
    const char *name;
    uint32_t flag;
} flag_name;

static bool parse_flags(const char *text, const flag_name *names, uint32_t *flags) {
    *flags = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        const flag_name *n = names;
        while (n->name != NULL && (strlen(n->name) != length || strncmp(n->name, text, length) != 0))
            n++;
        if (n->name == NULL)
            return false;
        *flags |= n->flag;
        text += length;
        if (*text == ',')
            text++;
    }
    return true;
}

static const flag_name style_names[] = {{"bypass", J2K_STYLE_BYPASS},
                                        {"reset", J2K_STYLE_RESET},
                                        {"termall", J2K_STYLE_TERMALL},
                                        {"causal", J2K_STYLE_CAUSAL},
                                        {"pterm", J2K_STYLE_PTERM},
                                        {"segmentation", J2K_STYLE_SEGMENTATION},
                                        {"ht", J2K_STYLE_HT},
                                        {"none", 0},
                                        {NULL, 0}};

static const flag_name cpu_names[] = {{"all", J2K_CPU_ALL},
                                      {"none", 0},
                                      {"sse41", J2K_CPU_SSE41},
                                      {"avx2", J2K_CPU_AVX2},
                                      {"avx512", J2K_CPU_AVX512},
                                      {"neon", J2K_CPU_NEON},
                                      {NULL, 0}};

static const flag_name progression_names[] = {{"LRCP", J2K_LRCP}, {"RLCP", J2K_RLCP}, {"RPCL", J2K_RPCL},
                                              {"PCRL", J2K_PCRL}, {"CPRL", J2K_CPRL}, {NULL, 0}};

static const flag_name format_names[] = {
    {"j2k", J2K_FORMAT_CODESTREAM}, {"jp2", J2K_FORMAT_JP2}, {"jph", J2K_FORMAT_JPH}, {NULL, 0}};

/* One of the names. */
static bool parse_choice(const char *text, const flag_name *names, uint32_t *value) {
    return *text != '\0' && strchr(text, ',') == NULL && parse_flags(text, names, value);
}

/* ---- options
 * ---------------------------------------------------------------------------------------------------- */

typedef bool (*option_handler)(request *r, const char *value);

/* Handlers that only store a number or a flag are made by these. */
#define STORE_U32(name, field)                                                                               \
    static bool set_##name(request *r, const char *value) {                                                  \
        return parse_u32(value, &r->field);                                                                  \
    }
#define STORE_U64(name, field)                                                                               \
    static bool set_##name(request *r, const char *value) {                                                  \
        return parse_whole(value, &r->field);                                                                \
    }
#define STORE_FLAG(name, field, constant)                                                                    \
    static bool set_##name(request *r, const char *value) {                                                  \
        (void)value;                                                                                         \
        r->field = constant;                                                                                 \
        return true;                                                                                         \
    }

STORE_U32(threads, threads)
STORE_U32(repeat, repeat)
STORE_FLAG(big_endian, raw.big_endian, true)
STORE_FLAG(interleaved, raw.interleaved, true)
STORE_U32(layers, encode.num_layers)
STORE_FLAG(reversible, encode.irreversible, 0)
STORE_FLAG(irreversible, encode.irreversible, 1)
STORE_U32(resolutions, encode.num_resolutions)
STORE_U32(guard_bits, encode.guard_bits)
STORE_U32(qfactor, encode.qfactor)
STORE_FLAG(derived, encode.derived_quantisation, true)
STORE_FLAG(visual, encode.visual_weights, true)
STORE_FLAG(peak_of_range, encode.peak_of_range, true)
STORE_FLAG(sop, encode.sop, true)
STORE_FLAG(eph, encode.eph, true)
STORE_FLAG(plt, encode.plt, true)
STORE_FLAG(tlm, encode.tlm, true)
STORE_U64(max_bytes, encode.max_bytes)
STORE_U64(max_component_bytes, encode.max_component_bytes)
STORE_U32(reduce, decode.reduce)
STORE_U32(max_layers, decode.max_layers)
STORE_FLAG(tolerant, decode.tolerant, true)
STORE_U64(max_pixels, decode.max_pixels)
STORE_U64(max_memory, decode.max_memory)
STORE_U32(max_components, decode.max_components)
STORE_U32(max_tiles, decode.max_tiles)
STORE_U64(max_incomplete, decode.max_incomplete)
STORE_FLAG(json, json, true)

static bool set_output(request *r, const char *value) {
    r->output = value;
    return *value != '\0';
}

static bool set_comment(request *r, const char *value) {
    r->encode.comment = value;
    return true;
}

static bool set_cpu(request *r, const char *value) {
    return *value != '\0' && parse_flags(value, cpu_names, &r->cpu_mask);
}

static bool set_raw(request *r, const char *value) {
    uint32_t v[4];
    char text[64];
    size_t length = strlen(value);
    if (length < 9 || length >= sizeof text || value[length - 2] != ',')
        return false;
    memcpy(text, value, length - 2);
    text[length - 2] = '\0';
    if (parse_list(text, ",", v, 4) != 4 || v[0] == 0 || v[1] == 0 || v[2] == 0 ||
        v[2] > J2K_MAX_COMPONENTS || v[3] == 0 || v[3] > J2K_MAX_DEPTH)
        return false;
    r->raw.width = v[0];
    r->raw.height = v[1];
    r->raw.num_components = v[2];
    r->raw.depth = v[3];
    r->raw.is_signed = value[length - 1] == 's';
    return r->raw.is_signed || value[length - 1] == 'u';
}

static bool set_format(request *r, const char *value) {
    uint32_t format;
    if (!parse_choice(value, format_names, &format))
        return false;
    r->encode.format = (j2k_format)format;
    r->format_given = true;
    return true;
}

static bool set_ratio(request *r, const char *value) {
    r->encode.quality = J2K_QUALITY_RATIO;
    return parse_reals(value, r->encode.layer_quality, J2K_MAX_LAYERS, &r->encode.num_layers);
}

static bool set_max_error(request *r, const char *value) {
    r->encode.quality = J2K_QUALITY_MAX_ERROR;
    return parse_reals(value, r->encode.layer_quality, 1, &r->encode.num_layers);
}

static bool set_psnr(request *r, const char *value) {
    r->encode.quality = J2K_QUALITY_PSNR;
    return parse_reals(value, r->encode.layer_quality, J2K_MAX_LAYERS, &r->encode.num_layers);
}

static bool set_mct(request *r, const char *value) {
    static const flag_name names[] = {{"0", 0}, {"1", 1}, {"auto", 2}, {NULL, 0}};
    uint32_t choice;
    if (!parse_choice(value, names, &choice))
        return false;
    r->encode.colour_transform = choice == 2 ? -1 : (int)choice;
    return true;
}

static bool set_colour(request *r, const char *value) {
    static const flag_name names[] = {{"unknown", J2K_COLOUR_UNKNOWN},
                                      {"srgb", J2K_COLOUR_SRGB},
                                      {"grey", J2K_COLOUR_GREY},
                                      {"sycc", J2K_COLOUR_SYCC},
                                      {NULL, 0}};
    uint32_t space;
    if (!parse_choice(value, names, &space))
        return false;
    r->colour_space = (j2k_colour_space)space;
    return true;
}

static bool set_codeblock(request *r, const char *value) {
    return parse_pair(value, "x,", &r->encode.codeblock_width, &r->encode.codeblock_height);
}

static bool set_style(request *r, const char *value) {
    return parse_u32(value, &r->encode.codeblock_style) ||
           (*value != '\0' && parse_flags(value, style_names, &r->encode.codeblock_style));
}

static bool set_progression(request *r, const char *value) {
    uint32_t order;
    if (!parse_choice(value, progression_names, &order))
        return false;
    r->encode.progression = (j2k_progression)order;
    return true;
}

/* R0,C0,L1,R1,C1,ORDER as OpenJPEG's program takes it: first resolution and component, ends of layers,
 * resolutions and components. */
static bool set_change(request *r, const char *value) {
    const char *last = strrchr(value, ',');
    char numbers[80];
    uint32_t v[5];
    j2k_progression kept = r->encode.progression;
    if (!last || (size_t)(last - value) >= sizeof numbers ||
        r->encode.num_changes == J2K_MAX_PROGRESSION_CHANGES)
        return false;
    memcpy(numbers, value, (size_t)(last - value));
    numbers[last - value] = 0;
    if (parse_list(numbers, ",", v, 5) != 5 || !set_progression(r, last + 1))
        return false;
    r->encode.changes[r->encode.num_changes++] = (j2k_progression_change){.first_resolution = v[0],
                                                                          .first_component = v[1],
                                                                          .end_layer = v[2],
                                                                          .end_resolution = v[3],
                                                                          .end_component = v[4],
                                                                          .order = r->encode.progression};
    r->encode.progression = kept;
    return true;
}

static bool set_tile(request *r, const char *value) {
    return parse_pair(value, "x,", &r->encode.tile_width, &r->encode.tile_height);
}

static bool set_tile_offset(request *r, const char *value) {
    return parse_pair(value, ",", &r->encode.tile_x0, &r->encode.tile_y0);
}

static bool set_offset(request *r, const char *value) {
    return parse_pair(value, ",", &r->x0, &r->y0);
}

static bool set_precincts(request *r, const char *value) {
    uint32_t v[2 * J2K_MAX_RESOLUTIONS];
    size_t n = parse_list(value, "x,", v, 2 * J2K_MAX_RESOLUTIONS);
    if (n == 0 || n % 2 != 0)
        return false;
    r->encode.num_precincts = (uint32_t)(n / 2);
    for (size_t i = 0; i < n / 2; i++) {
        r->encode.precinct_width[i] = v[2 * i];
        r->encode.precinct_height[i] = v[2 * i + 1];
    }
    return true;
}

static bool set_subsampling(request *r, const char *value) {
    size_t n = parse_list(value, "x,", r->subsampling[0], 2 * MAX_LIST);
    if (n == 0 || n % 2 != 0)
        return false;
    r->num_subsampling = n / 2;
    for (size_t i = 0; i < n / 2; i++)
        if (r->subsampling[i][0] < 1 || r->subsampling[i][0] > 255 || r->subsampling[i][1] < 1 ||
            r->subsampling[i][1] > 255)
            return false;
    return true;
}

static bool set_base_step(request *r, const char *value) {
    uint32_t count;
    return parse_reals(value, &r->encode.base_step, 1, &count);
}

static bool set_roi(request *r, const char *value) {
    uint32_t component;
    if (!parse_pair(value, ",", &component, &r->encode.roi_shift) || component >= J2K_MAX_COMPONENTS)
        return false;
    r->encode.roi_component = (int)component;
    return true;
}

static bool set_roi_rect(request *r, const char *value) {
    uint32_t v[4], n = r->encode.num_roi_rects;
    if (n == MAX_ROI_RECTS || parse_list(value, ",", v, 4) != 4)
        return false;
    r->roi_rects[n] = (j2k_rectangle){v[0], v[1], v[2], v[3]};
    r->encode.roi_rects = r->roi_rects;
    r->encode.num_roi_rects++;
    return true;
}

static bool set_tile_parts(request *r, const char *value) {
    r->encode.tile_parts = value[0];
    return value[0] != '\0' && strchr("RLC", value[0]) != NULL && value[1] == '\0';
}

static bool set_rsiz(request *r, const char *value) {
    uint32_t rsiz;
    if (!parse_u32(value, &rsiz) || rsiz > 65535)
        return false;
    return j2k_encode_options_set_profile(&r->encode, (uint16_t)rsiz, 0, 0) == J2K_OK;
}

static bool set_frame_rate(request *r, const char *value) {
    return parse_u32(value, &r->encode.frame_rate);
}

static bool set_region(request *r, const char *value) {
    uint32_t v[4];
    if (parse_list(value, ",", v, 4) != 4)
        return false;
    r->decode.use_region = true;
    r->decode.region_x0 = v[0];
    r->decode.region_y0 = v[1];
    r->decode.region_x1 = v[2];
    r->decode.region_y1 = v[3];
    return true;
}

static bool set_components(request *r, const char *value) {
    size_t n = parse_list(value, ",", r->component_list, MAX_LIST);
    r->decode.components = r->component_list;
    r->decode.num_components = (uint32_t)n;
    return n > 0;
}

enum {
    ALL = COMMAND_ENCODE | COMMAND_DECODE | COMMAND_INFO,
    CODING = COMMAND_ENCODE | COMMAND_DECODE,
    ENC = COMMAND_ENCODE,
    DEC = COMMAND_DECODE,
    READ = COMMAND_DECODE | COMMAND_INFO
};

static const struct option {
    const char *name;
    unsigned commands;
    bool has_value;
    option_handler handler;
} options[] = {
    {"-o", CODING, true, set_output},
    {"--output", CODING, true, set_output},
    {"--threads", ALL, true, set_threads},
    {"--cpu", ALL, true, set_cpu},
    {"--repeat", CODING, true, set_repeat},
    {"--raw", CODING, true, set_raw},
    {"--big-endian", CODING, false, set_big_endian},
    {"--interleaved", CODING, false, set_interleaved},
    {"--format", ENC, true, set_format},
    {"--ratio", ENC, true, set_ratio},
    {"--psnr", ENC, true, set_psnr},
    {"--max-error", ENC, true, set_max_error},
    {"--visual", ENC, false, set_visual},
    {"--peak-of-range", ENC, false, set_peak_of_range},
    {"--layers", ENC, true, set_layers},
    {"--reversible", ENC, false, set_reversible},
    {"--irreversible", ENC, false, set_irreversible},
    {"--mct", ENC, true, set_mct},
    {"--colour", ENC, true, set_colour},
    {"--resolutions", ENC, true, set_resolutions},
    {"--codeblock", ENC, true, set_codeblock},
    {"--style", ENC, true, set_style},
    {"--progression", ENC, true, set_progression},
    {"--change", ENC, true, set_change},
    {"--tile", ENC, true, set_tile},
    {"--tile-offset", ENC, true, set_tile_offset},
    {"--offset", ENC, true, set_offset},
    {"--precincts", ENC, true, set_precincts},
    {"--subsampling", ENC, true, set_subsampling},
    {"--guard-bits", ENC, true, set_guard_bits},
    {"--derived", ENC, false, set_derived},
    {"--base-step", ENC, true, set_base_step},
    {"--qfactor", ENC, true, set_qfactor},
    {"--roi", ENC, true, set_roi},
    {"--roi-rect", ENC, true, set_roi_rect},
    {"--sop", ENC, false, set_sop},
    {"--eph", ENC, false, set_eph},
    {"--plt", ENC, false, set_plt},
    {"--tlm", ENC, false, set_tlm},
    {"--tile-parts", ENC, true, set_tile_parts},
    {"--max-bytes", ENC, true, set_max_bytes},
    {"--max-component-bytes", ENC, true, set_max_component_bytes},
    {"--rsiz", ENC, true, set_rsiz},
    {"--frame-rate", ENC, true, set_frame_rate},
    {"--comment", ENC, true, set_comment},
    {"--reduce", READ, true, set_reduce},
    {"--max-layers", READ, true, set_max_layers},
    {"--region", READ, true, set_region},
    {"--components", READ, true, set_components},
    {"--tolerant", READ, false, set_tolerant},
    {"--max-pixels", READ, true, set_max_pixels},
    {"--max-memory", READ, true, set_max_memory},
    {"--max-components", READ, true, set_max_components},
    {"--max-tiles", READ, true, set_max_tiles},
    {"--max-incomplete", READ, true, set_max_incomplete},
    {"--json", COMMAND_INFO, false, set_json},
};

/* "--name=value" or "--name" followed by the value in the next argument. */
static bool parse_option(request *r, int argc, char **argv, int *index) {
    const char *argument = argv[*index], *value = NULL;
    size_t length = strcspn(argument, "=");
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const struct option *o = &options[i];
        if (strlen(o->name) != length || strncmp(o->name, argument, length) != 0)
            continue;
        if (!(o->commands & (unsigned)r->command))
            return complain("%s does not apply to this command", o->name);
        if (o->has_value && argument[length] == '=')
            value = argument + length + 1;
        else if (o->has_value && *index + 1 < argc)
            value = argv[++*index];
        else if (o->has_value)
            return complain("%s needs a value", o->name);
        else if (argument[length] == '=')
            return complain("%s takes no value", o->name);
        return o->handler(r, value) ? true : complain("bad value for %s: %s", o->name, value ? value : "");
    }
    return complain("unknown option %s (see j2k --help)", argument);
}

static bool parse_arguments(request *r, int argc, char **argv) {
    bool only_files = false;
    for (int i = 2; i < argc; i++) {
        if (!only_files && strcmp(argv[i], "--") == 0)
            only_files = true;
        else if (!only_files && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!parse_option(r, argc, argv, &i))
                return false;
        } else
            r->inputs[r->num_inputs++] = argv[i];
    }
    if (r->num_inputs == 0)
        return complain("no input file (see j2k --help)");
    if (r->command != COMMAND_ENCODE && r->num_inputs > 1)
        return complain("one input file at a time");
    if (r->command != COMMAND_INFO && r->output == NULL)
        return complain("no output file: give -o NAME");
    if (r->repeat == 0)
        return complain("bad value for --repeat: 0");
    return true;
}

/* ---- commands
 * --------------------------------------------------------------------------------------------------- */

static double seconds_now(void) {
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool report(const char *path, const j2k_context *context, j2k_status status) {
    const char *message = j2k_context_message(context);
    return complain("%s: %s%s%s", path, j2k_status_string(status), *message ? ": " : "", message);
}

/* One line each, the file's name before the first. */
static void print_warnings(const char *path, const char *text) {
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    if (length > 0)
        fprintf(stderr, "j2k: %s: warning: %.*s\n", path, (int)length, text);
}

static uint64_t sample_bytes(const j2k_image *image) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < image->num_components; i++) {
        const j2k_component *c = &image->components[i];
        if (c->data != NULL)
            total += (uint64_t)c->width * c->height * (c->depth <= 8 ? 1 : c->depth <= 16 ? 2 : 4);
    }
    return total;
}

static void print_time(const request *r, const char *what, const j2k_image *image, size_t coded,
                       double best) {
    uint64_t bytes = sample_bytes(image);
    fprintf(stderr, "%s: %" PRIu64 " bytes raw, %zu coded, best of %" PRIu32 ": %.6f s, %.2f MB/s\n", what,
            bytes, coded, r->repeat, best, best > 0 ? (double)bytes / best / 1e6 : 0.0);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool run_encode(request *r, j2k_context *context) {
    image_file file;
    unsigned char *out = NULL;
    size_t size = 0;
    double best = 1e30;
    j2k_status status = J2K_OK;
    if (!r->format_given)
        r->encode.format = ends_with(r->output, ".jp2")   ? J2K_FORMAT_JP2
                           : ends_with(r->output, ".jph") ? J2K_FORMAT_JPH
                                                          : J2K_FORMAT_CODESTREAM;
    if (!image_read(r->inputs, r->num_inputs, &r->raw, r->subsampling, r->num_subsampling, r->x0, r->y0,
                    &file))
        return false;
    file.image.colour_space = r->colour_space;
    size_t capacity = j2k_encode_bound(&file.image, &r->encode);
    for (int attempt = 0;; attempt++) {
        free(out);
        out = capacity > 0 ? malloc(capacity) : malloc(1);
        if (out == NULL) {
            complain("out of memory (%zu bytes)", capacity);
            break;
        }
        for (uint32_t i = 0; i < r->repeat; i++) {
            double start = seconds_now();
            status = j2k_encode(context, &file.image, &r->encode, out, capacity, &size);
            double taken = seconds_now() - start;
            best = taken < best ? taken : best;
            if (status != J2K_OK)
                break;
        }
        if (status != J2K_ERROR_BUFFER || attempt == 4 || capacity > SIZE_MAX / 2 - 4096)
            break;
        capacity = capacity * 2 + 4096;
    }
    bool ok = out != NULL;
    if (ok && status != J2K_OK)
        ok = report(r->inputs[0], context, status);
    if (ok)
        ok = write_file(r->output, out, size);
    if (ok && r->repeat > 1)
        print_time(r, "encode", &file.image, size, best);
    free(out);
    image_release(&file);
    return ok;
}

static bool run_decode(request *r, j2k_context *context) {
    unsigned char *data;
    size_t size;
    j2k_header header = {.struct_size = sizeof header};
    image_file file;
    double best = 1e30;
    bool ok;
    image_kind kind = image_kind_of(r->output);
    if (kind == IMAGE_UNKNOWN && strcmp(r->output, "-") == 0)
        kind = IMAGE_RAW;
    if (kind == IMAGE_UNKNOWN)
        return complain("%s: unknown kind of image (known: .pgm .ppm .pgx .raw)", r->output);
    if (!read_file(r->inputs[0], &data, &size))
        return false;
    j2k_status status = j2k_read_header(context, data, size, &r->decode, &header);
    if (status != J2K_OK) {
        ok = report(r->inputs[0], context, status);
    } else if ((ok = image_prepare(&header, kind, &r->raw, &file))) {
        for (uint32_t i = 0; ok && i < r->repeat; i++) {
            double start = seconds_now();
            status = j2k_decode(context, data, size, &r->decode, &file.image);
            double taken = seconds_now() - start;
            best = taken < best ? taken : best;
            if (status != J2K_OK)
                ok = report(r->inputs[0], context, status);
        }
        if (ok)
            print_warnings(r->inputs[0], j2k_context_warning(context));
        ok = ok && image_write(&file, kind, &r->raw, r->output);
        if (ok && r->repeat > 1)
            print_time(r, "decode", &file.image, size, best);
        image_release(&file);
    }
    free(data);
    return ok;
}

static const char *name_of(const flag_name *names, uint32_t value) {
    for (; names->name != NULL; names++)
        if (names->flag == value)
            return names->name;
    return "unknown";
}

static void print_json_text(const char *text, size_t size) {
    putchar('"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7E || c == '"' || c == '\\')
            printf("\\u%04x", c); /* Latin-1 and Unicode agree on these */
        else
            putchar(c);
    }
    putchar('"');
}

/* Print the header as JSON, or the same without braces and quotes, one field a line. */
static void print_header(const j2k_header *h, bool json) {
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"x0", h->x0},
        {"y0", h->y0},
        {"x1", h->x1},
        {"y1", h->y1},
        {"tile_x0", h->tile_x0},
        {"tile_y0", h->tile_y0},
        {"tile_width", h->tile_width},
        {"tile_height", h->tile_height},
        {"num_tiles", h->num_tiles},
        {"num_components", h->num_components},
        {"rsiz", h->rsiz},
        {"irreversible", h->irreversible},
        {"colour_transform", h->colour_transform},
        {"num_layers", h->num_layers},
        {"num_resolutions", h->num_resolutions},
        {"codeblock_width", h->codeblock_width},
        {"codeblock_height", h->codeblock_height},
        {"codeblock_style", h->codeblock_style},
        {"guard_bits", h->guard_bits},
        {"sop", h->sop},
        {"eph", h->eph},
        {"codestream_offset", h->codestream_offset},
        {"codestream_size", h->codestream_size},
        {"palette_entries", h->palette_entries},
        {"palette_columns", h->palette_columns},
        {"icc_profile_size", h->icc_profile_size},
    };
    const char *quote = json ? "\"" : "", *end = json ? ",\n" : "\n";
    printf("%s%sformat%s: %s%s%s%s", json ? "{" : "", quote, quote, quote, name_of(format_names, h->format),
           quote, end);
    printf("%sprogression%s: %s%s%s%s", quote, quote, quote, name_of(progression_names, h->progression),
           quote, end);
    printf("%scolour_space%s: %d%s", quote, quote, (int)h->colour_space, end);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        printf("%s%s%s: %" PRIu64 "%s", quote, fields[i].name, quote, fields[i].value, end);
    if (h->comment != NULL) {
        printf("%scomment%s: ", quote, quote);
        print_json_text(h->comment, h->comment_size);
        fputs(end, stdout);
    }
    if (json)
        fputs("\"components\": [", stdout);
    for (uint32_t i = 0; i < h->num_components; i++) {
        const j2k_component_info *c = &h->components[i];
        printf(json ? "%s{\"depth\": %u, \"signed\": %s, \"dx\": %" PRIu32 ", \"dy\": %" PRIu32
                      ", \"full_width\": %" PRIu32 ", \"full_height\": %" PRIu32 ", \"width\": %" PRIu32
                      ", \"height\": %" PRIu32 ", \"wanted\": %s}"
                    : "%scomponent: depth %u, signed %s, subsampling %" PRIu32 " x %" PRIu32
                      ", full size %" PRIu32 " x %" PRIu32 ", size %" PRIu32 " x %" PRIu32 ", wanted %s\n",
               json && i > 0 ? ",\n" : "", (unsigned)c->depth, c->is_signed ? "true" : "false", c->dx, c->dy,
               c->full_width, c->full_height, c->width, c->height, c->wanted ? "true" : "false");
    }
    if (json)
        fputs("]}\n", stdout);
}

static bool run_info(request *r, j2k_context *context) {
    unsigned char *data;
    size_t size;
    j2k_header header = {.struct_size = sizeof header};
    if (!read_file(r->inputs[0], &data, &size))
        return false;
    j2k_status status = j2k_read_header(context, data, size, &r->decode, &header);
    bool ok = status == J2K_OK || report(r->inputs[0], context, status);
    if (ok)
        print_header(&header, r->json);
    free(data);
    return ok;
}

static int run(request *r, int argc, char **argv) {
    if (!parse_arguments(r, argc, argv))
        return EXIT_USAGE;
    j2k_context *context = j2k_context_create(r->threads, r->cpu_mask);
    if (context == NULL) {
        complain("out of memory");
        return EXIT_FAILURE;
    }
    bool ok = r->command == COMMAND_ENCODE   ? run_encode(r, context)
              : r->command == COMMAND_DECODE ? run_decode(r, context)
                                             : run_info(r, context);
    j2k_context_destroy(context);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    request r = {.threads = 1, .cpu_mask = J2K_CPU_ALL, .repeat = 1, .num_subsampling = 1};
    static const flag_name commands[] = {
        {"encode", COMMAND_ENCODE}, {"decode", COMMAND_DECODE}, {"info", COMMAND_INFO}, {NULL, 0}};
    uint32_t chosen;
    if (argc > 1 && strcmp(argv[1], "transcode") == 0)
        return transcode_main(argc - 2, argv + 2);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage_text, stdout);
            return EXIT_SUCCESS;
        }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("j2k %s\n", j2k_version());
        return EXIT_SUCCESS;
    }
    if (argc < 2 || !parse_choice(argv[1], commands, &chosen)) {
        fputs(usage_text, stderr);
        return EXIT_USAGE;
    }
    r.command = (command)chosen;
    j2k_encode_options_init(&r.encode);
    j2k_decode_options_init(&r.decode);
    r.inputs = calloc((size_t)argc, sizeof *r.inputs);
    r.component_list = calloc(MAX_LIST, sizeof *r.component_list);
    r.subsampling = calloc(MAX_LIST, sizeof *r.subsampling);
    int result = EXIT_FAILURE;
    if (r.inputs == NULL || r.component_list == NULL || r.subsampling == NULL) {
        complain("out of memory");
    } else {
        r.subsampling[0][0] = r.subsampling[0][1] = 1;
        result = run(&r, argc, argv);
    }
    free(r.inputs);
    free(r.component_list);
    free(r.subsampling);
    return result;
}
