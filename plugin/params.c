/* The table of parameters: names, types, defaults, ranges, meanings; their text form; what they mean to the
 * engine. SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stddef.h>
#include <string.h>

#define BLOSC2_GROK_NO_BLOSC2
#include "blosc2_grok.h"
#include "params_table.h"

static const choice booleans[] = {{"false", 0}, {"true", 1}, {"False", 0}, {"True", 1}, {NULL, 0}};
static const choice divisions[] = {{"false", 0}, {"true", 'R'}, {"False", 0}, {"True", 'R'}, {"1", 'R'},
                                   {"R", 'R'},   {"L", 'L'},    {"C", 'C'},   {NULL, 0}};
static const choice peaks[] = {{"depth", 0}, {"range", 1}, {NULL, 0}};
static const choice tristate[] = {{"auto", -1}, {"false", 0}, {"true", 1}, {"None", -1},
                                  {"False", 0}, {"True", 1},  {NULL, 0}};
static const choice transforms[] = {{"auto", -1}, {"0", 0},    {"1", 1}, {"None", -1},
                                    {"false", 0}, {"true", 1}, {NULL, 0}};
static const choice qualities[] = {
    {"none", QUALITY_NONE}, {"rates", QUALITY_RATES}, {"dB", QUALITY_DB}, {"max_error", QUALITY_MAX_ERROR},
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
static const choice nan_policies[] = {{"refuse", NAN_REFUSE}, {"mask", NAN_MASK}, {NULL, 0}};
static const choice rate_controls[] = {{"BISECT", 0}, {"PCRD_OPT", 1}, {NULL, 0}};

#define ROW(name_, type_, member, low, high, choices, default_value, allowed, meaning, peers)                \
    { name_, type_, offsetof(params, member), low, high, choices, default_value, allowed, meaning, peers }

static const parameter table[] = {
    ROW("tile_size", PAIR, tile_size, 0, UINT32_MAX, NULL, "0,0", "(width, height), or (0, 0)",
        "Size of a tile; (0, 0): one tile, in a stack one tile a plane", "grk -t, opj -t"),
    ROW("tile_offset", PAIR, tile_offset, 0, UINT32_MAX, NULL, "0,0", "(x, y), at most offset",
        "Origin of the tile grid", "grk -T, opj -T"),
    ROW("quality_mode", CHOICE, quality_mode, 0, 0, qualities, "none",
        "None, \"rates\", \"dB\" or \"max_error\"",
        "None: lossless; \"rates\": quality_layers are compression ratios; \"dB\": they are PSNRs in dB; "
        "\"max_error\": the one number there is the largest difference that a decoded value may have",
        "grk -r or -q, opj -r or -q"),
    ROW("quality_layers", NUMBERS, quality_layers, 0, 0, NULL, "",
        "up to 256 numbers, decreasing for \"rates\", increasing for \"dB\"", "Target of each quality layer",
        "grk -r or -q, opj -r or -q"),
    ROW("qfactor", INTEGER, qfactor, 0, 100, NULL, "0", "1 (worst) to 100 (best), or 0: none",
        "Quality in one pass, as other HTJ2K encoders have it: quantiser steps by what the eye sees", ""),
    ROW("quantization_step", NUMBER, quantization_step, 0, 0, NULL, "0", "0 to 65536",
        "9/7 wavelet in one pass: quantiser step in the image, in units of the samples; 0: none", ""),
    ROW("numgbits", INTEGER, numgbits, 0, 7, NULL, "2", "0 to 7", "Guard bits", "grk -N, opj -GuardBits"),
    ROW("progression", CHOICE, progression, 0, 0, progressions, "LRCP",
        "\"LRCP\", \"RLCP\", \"RPCL\", \"PCRL\" or \"CPRL\"",
        "Order of the packets (L: layer, R: resolution, P: position, C: component)", "grk -p, opj -p"),
    ROW("num_resolutions", INTEGER, num_resolutions, 1, J2K_MAX_RESOLUTIONS, NULL, "6", "1 to 33",
        "Resolutions, the full one included; small images get fewer", "grk -n, opj -n"),
    ROW("codeblock_size", PAIR, codeblock_size, 4, 1024, NULL, "64,64",
        "(width, height), powers of two from 4 to 1024, with a product of at most 4096",
        "Size of a code-block", "grk -b, opj -b"),
    ROW("mode", FLAGS, mode, 0, 0, modes, "DEFAULT", "a GrkMode, or several of them combined with |",
        "Code-block style", "grk -M, opj -M"),
    ROW("irreversible", CHOICE, irreversible, 0, 0, tristate, "auto", "None, False or True",
        "True: 9/7 wavelet; False: 5/3 wavelet; None: 5/3 when lossless, 9/7 with a quality_mode",
        "grk -I, opj -I"),
    ROW("roi_compno", INTEGER, roi_compno, -1, J2K_MAX_COMPONENTS - 1, NULL, "-1", "-1 to 16383",
        "Component to code first as region of interest; -1: none, or with roi_rects all",
        "grk -R c=, opj -ROI c="),
    ROW("roi_shift", INTEGER, roi_shift, 0, 37, NULL, "0", "0 to 37",
        "Bits by which the region is shifted up (maxshift); 0: none, or with roi_rects as many as it takes",
        "grk -R U=, opj -ROI U="),
    ROW("precinct_size", PAIRS, precincts, 0, 32768, NULL, "0,0",
        "(width, height), powers of two up to 32768; several such pairs; or (0, 0)",
        "Size of a precinct at full resolution, then at the lower ones; the last pair is halved for the "
        "rest; (0, 0): what rsiz prescribes, else one precinct a resolution",
        "grk -c, opj -c"),
    ROW("offset", PAIR, offset, 0, INT32_MAX, NULL, "0,0", "(x, y)",
        "Place of the image on the reference grid", "grk -d, opj -d"),
    ROW("decod_format", CHOICE, decod_format, 0, 0, file_formats, "GRK_FMT_UNK", "a GrkFileFmt",
        "No effect: the format of a stream is detected", "grk -K"),
    ROW("cod_format", CHOICE, cod_format, 0, 0, stream_formats, "GRK_FMT_JP2",
        "GRK_FMT_JP2, GRK_FMT_J2K, or GRK_FMT_UNK (as GRK_FMT_JP2)", "JP2 file or raw codestream",
        "grk -O, opj -OutFor"),
    ROW("enableTilePartGeneration", CHOICE, tile_parts, 0, 0, divisions, "false",
        "False, True, \"R\", \"L\" or \"C\"",
        "A tile-part for each resolution (True or \"R\"), quality layer (\"L\") or component (\"C\")",
        "grk -u, opj -TP"),
    ROW("mct", CHOICE, mct, 0, 0, transforms, "auto", "-1, 0 or 1",
        "Colour transform; -1: for three or four components; 0: never; 1: on the first three components",
        "grk -Y, opj -mct"),
    ROW("max_cs_size", INTEGER, max_cs_size, 0, INT64_MAX, NULL, "0", "0 or more",
        "Upper bound of a block's coded bytes; 0: none", ""),
    ROW("max_comp_size", INTEGER, max_comp_size, 0, INT64_MAX, NULL, "0", "0 or more",
        "Upper bound of one component's coded bytes; 0: none", ""),
    ROW("rsiz", INTEGER, rsiz, 0, 0x0FFF, NULL, "0", "a GrkProfile of Part 1, with its level (0 to 4095)",
        "Profile: prescribes parameters that are not given, and refuses what contradicts it",
        "grk -Z, -w, -x, -U, -z; opj -cinema2K, -cinema4K, -IMF"),
    ROW("framerate", INTEGER, framerate, 0, UINT16_MAX, NULL, "0", "0 to 65535",
        "Images a second, by which a profile limits the bytes; 0: 24 for cinema, else no limit",
        "grk -w, -U, -z; opj -cinema2K, -IMF"),
    ROW("apply_icc_", CHOICE, apply_icc, 0, 0, booleans, "false", "False or True", "No effect", ""),
    ROW("rateControlAlgorithm", CHOICE, rate_control, 0, 0, rate_controls, "BISECT", "a GrkRateControl",
        "No effect: rate control is always PCRD-opt over all coding passes", "grk -A"),
    ROW("num_threads", INTEGER, num_threads, 0, 1024, NULL, "0", "0 to 1024",
        "Threads that work on one block; 0: as many as help", "grk -H, opj -threads"),
    ROW("deviceId", INTEGER, device_id, INT32_MIN, INT32_MAX, NULL, "0", "an integer", "No effect", "grk -G"),
    ROW("duration", INTEGER, duration, 0, INT32_MAX, NULL, "0", "0 or more", "No effect", "grk -J"),
    ROW("repeats", INTEGER, repeats, 0, INT32_MAX, NULL, "1", "0 or more", "No effect", "grk -e"),
    ROW("verbose", CHOICE, verbose, 0, 0, booleans, "false", "False or True",
        "Print errors of blocks to stderr as well", "grk -v"),
    ROW("write_plt", CHOICE, plt, 0, 0, booleans, "false", "False or True",
        "PLT marker segments: lengths of the packets of each tile-part", "grk -L, opj -PLT"),
    ROW("write_tlm", CHOICE, tlm, 0, 0, booleans, "false", "False or True",
        "TLM marker segments: lengths of all tile-parts", "grk -X, opj -TLM"),
    ROW("write_sop", CHOICE, sop, 0, 0, booleans, "false", "False or True",
        "An SOP marker segment before each packet", "grk -S, opj -SOP"),
    ROW("write_eph", CHOICE, eph, 0, 0, booleans, "false", "False or True",
        "An EPH marker behind each packet header", "grk -E, opj -EPH"),
    ROW("axes", TEXT, axes, 0, MAX_AXES + 1, NULL, "",
        "a letter for each dimension: planes first, then yx or yxc (one dimension: x or xc)",
        "What the dimensions are; empty: the last is c when it is at most 16 and smaller than the two before "
        "it",
        ""),
    ROW("significant_bits", INTEGER, significant_bits, 0, 32, NULL, "0", "0 to the bits of the dtype",
        "Bits that the values use, as the stream declares them; 0: all of an 8- or 16-bit dtype, as many as "
        "a "
        "block needs of a 32-bit one",
        ""),
    ROW("nan", CHOICE, nan_policy, 0, 0, nan_policies, "refuse", "\"refuse\" or \"mask\"",
        "NaN and infinities in lossy coding of floats: an error, or kept exactly beside the image", ""),
    ROW("roi_rects", RECTS, roi_rects, 0, UINT32_MAX, NULL, "",
        "up to 64 tuples (x0, y0, x1, y1) with x0 < x1 and y0 < y1, inside the image",
        "Region of interest, coded before all else: rectangles, counted from the upper left corner; encode() "
        "takes a mask too",
        ""),
    ROW("psnr_peak", CHOICE, psnr_peak, 0, 0, peaks, "depth", "\"depth\" or \"range\"",
        "What \"dB\" refers to: the largest value of the depth (2^bits - 1), or the largest less the "
        "smallest "
        "value in the block",
        ""),
    ROW("visual_weights", CHOICE, visual_weights, 0, 0, booleans, "false", "False or True",
        "Rate control weighs errors by the eye's contrast sensitivity, at a distance of 2000 samples", ""),
    ROW("comment", TEXT, comment, 0, COMMENT_CAPACITY, NULL, "", "up to 1023 characters of Latin-1",
        "Text of a COM marker segment", "grk -C, opj -C"),
};

enum { NUM_PARAMETERS = sizeof table / sizeof table[0] };

bool blosc2_grok_parameter(int index, blosc2_grok_parameter_info *info) {
    static const char *const type_names[] = {"integer", "number", "choice", "flags", "pair",
                                             "numbers", "pairs",  "rects",  "text"};
    if (index < 0 || index >= NUM_PARAMETERS || !info)
        return false;
    const parameter *row = &table[index];
    *info = (blosc2_grok_parameter_info){row->name,    type_names[row->type], row->default_value,
                                         row->allowed, row->meaning,          row->peers};
    return true;
}

const parameter *params_row(int index) {
    return index < NUM_PARAMETERS ? &table[index] : NULL;
}

const parameter *params_find(const char *name, size_t length, int *index) {
    for (*index = 0; *index < NUM_PARAMETERS; (*index)++) {
        const parameter *row = &table[*index];
        if (strlen(row->name) == length && memcmp(row->name, name, length) == 0)
            return row;
    }
    return NULL;
}

void params_set_defaults(params *p) {
    memset(p, 0, sizeof *p);
    for (int i = 0; i < NUM_PARAMETERS; i++)
        (void)params_parse_value(p, &table[i], table[i].default_value, strlen(table[i].default_value));
}

/* ---- profiles ---- */

static bool given(const params *p, const char *name) {
    int index;
    return params_find(name, strlen(name), &index) && (p->given >> index & 1);
}

void params_take_profile(params *p, const layout *l) {
    j2k_encode_options o;
    j2k_encode_options_init(&o);
    o.tile_width = (uint32_t)p->tile_size[0];
    o.tile_height = (uint32_t)p->tile_size[1];
    o.irreversible = (int)p->irreversible;
    if (given(p, "num_resolutions"))
        o.num_resolutions = (uint32_t)p->num_resolutions;
    if (p->rsiz < 0 || p->rsiz > UINT16_MAX ||
        j2k_encode_options_set_profile(&o, (uint16_t)p->rsiz, l ? l->width : 0, l ? l->height : 0) != J2K_OK)
        return; /* params_check tells */
    if (p->rsiz == 0)
        return;
    if (!given(p, "num_resolutions"))
        p->num_resolutions = o.num_resolutions;
    if (!given(p, "codeblock_size")) {
        p->codeblock_size[0] = o.codeblock_width;
        p->codeblock_size[1] = o.codeblock_height;
    }
    if (!given(p, "irreversible"))
        p->irreversible = o.irreversible;
    if (!given(p, "numgbits"))
        p->numgbits = o.guard_bits;
    if (!given(p, "progression"))
        p->progression = o.progression;
    if (!given(p, "enableTilePartGeneration"))
        p->tile_parts = o.tile_parts;
    if (!given(p, "write_tlm"))
        p->tlm = o.tlm;
}

/* ---- other doors
 * ------------------------------------------------------------------------------------------------ */

void params_apply_meta(params *p, uint8_t meta) {
    p->quality_mode = QUALITY_RATES;
    p->num_quality_layers = 1;
    p->quality_layers[0] = meta / 10.0;
}

j2k_status params_check_rows(params *p, diagnosis *why) {
    char text[4 * COMMENT_CAPACITY];
    for (int i = 0; i < NUM_PARAMETERS; i++) {
        const parameter *row = &table[i];
        if (row->type == NUMBERS)
            continue;
        size_t length = params_format_value(p, row, text, sizeof text);
        if (length >= sizeof text || !params_parse_value(p, row, text, length))
            return fail(why, J2K_ERROR_ARGUMENT, "%s: %.60s is not allowed; allowed: %s", row->name, text,
                        row->allowed);
        if (strcmp(text, row->default_value))
            p->given |= UINT64_C(1) << i;
    }
    for (int64_t i = 0; i < p->num_quality_layers; i++) {
        if (!(p->quality_layers[i] >= 0) || !isfinite(p->quality_layers[i]))
            return fail(why, J2K_ERROR_ARGUMENT,
                        "quality_layers: %g is not allowed; allowed: numbers of 0 or more",
                        p->quality_layers[i]);
    }
    return params_check(p, why);
}

int64_t params_choice(const char *parameter_name, const char *choice_name) {
    int index;
    const parameter *row = params_find(parameter_name, strlen(parameter_name), &index);
    int64_t value;
    return params_parse_choice(row, choice_name, strlen(choice_name), &value) ? value : INT64_MAX;
}

/* ---- to the engine
 * ---------------------------------------------------------------------------------------------- */

/* A last layer that asks for everything is lossless with the 5/3 wavelet. */
static bool keeps_everything(const params *p) {
    if (p->quality_mode == QUALITY_NONE)
        return p->qfactor == 0 && !(p->quantization_step > 0);
    double last = p->quality_layers[p->num_quality_layers - 1];
    return p->quality_mode == QUALITY_RATES ? last <= 1 : last <= 0;
}

bool params_lossy(const params *p) {
    params resolved = *p;
    params_take_profile(&resolved, NULL);
    p = &resolved;
    return !keeps_everything(p) || p->irreversible == 1 || p->max_cs_size > 0 || p->max_comp_size > 0;
}

double params_max_error(const params *p) {
    return p->quality_mode == QUALITY_MAX_ERROR ? p->quality_layers[0] : 0;
}

void params_make_lossless(params *p) {
    p->quality_mode = QUALITY_NONE;
    p->num_quality_layers = 0;
    p->qfactor = 0;
    p->quantization_step = 0;
    p->irreversible = AUTOMATIC;
}

/* What does not depend on the image. The comment leads into p. */
static void set_options(const params *p, j2k_encode_options *o) {
    j2k_encode_options_init(o);
    o->format = p->cod_format == FORMAT_J2K     ? J2K_FORMAT_CODESTREAM
                : (p->mode & J2K_STYLE_HT) != 0 ? J2K_FORMAT_JPH
                                                : J2K_FORMAT_JP2;
    if (p->quality_mode != QUALITY_NONE) {
        o->quality = p->quality_mode == QUALITY_RATES ? J2K_QUALITY_RATIO
                     : p->quality_mode == QUALITY_DB  ? J2K_QUALITY_PSNR
                                                      : J2K_QUALITY_MAX_ERROR;
        o->num_layers = (uint32_t)p->num_quality_layers;
        memcpy(o->layer_quality, p->quality_layers, o->num_layers * sizeof o->layer_quality[0]);
        if (o->quality == J2K_QUALITY_MAX_ERROR) /* differences are integers */
            o->layer_quality[0] = floor(fmin(o->layer_quality[0], UINT32_MAX));
    }
    bool either = o->quality == J2K_QUALITY_MAX_ERROR; /* what is smaller */
    o->irreversible = p->irreversible != AUTOMATIC ? (int)p->irreversible
                      : either                     ? -1
                                                   : !keeps_everything(p);
    o->qfactor = (uint32_t)p->qfactor;
    o->base_step = p->quantization_step;
    o->colour_transform = (int)p->mct;
    o->num_resolutions = (uint32_t)p->num_resolutions;
    o->codeblock_width = (uint32_t)p->codeblock_size[0];
    o->codeblock_height = (uint32_t)p->codeblock_size[1];
    o->codeblock_style = (uint32_t)p->mode;
    o->progression = (j2k_progression)p->progression;
    o->tile_width = (uint32_t)p->tile_size[0];
    o->tile_height = (uint32_t)p->tile_size[1];
    o->tile_x0 = (uint32_t)p->tile_offset[0];
    o->tile_y0 = (uint32_t)p->tile_offset[1];
    o->num_precincts = (uint32_t)p->precincts.count_and_values[0];
    for (uint32_t i = 0; i < o->num_precincts; i++) {
        o->precinct_width[i] = (uint32_t)p->precincts.count_and_values[1 + 2 * i];
        o->precinct_height[i] = (uint32_t)p->precincts.count_and_values[2 + 2 * i];
    }
    o->guard_bits = (uint32_t)p->numgbits;
    bool region = p->roi_rects.count || p->roi_mask;
    o->roi_component = p->roi_shift || region ? (int)p->roi_compno : -1;
    o->roi_shift = p->roi_compno < 0 && !region ? 0 : (uint32_t)p->roi_shift;
    o->num_roi_rects = (uint32_t)p->roi_rects.count;
    o->roi_mask = p->roi_mask;
    o->sop = p->sop;
    o->eph = p->eph;
    o->tile_parts = (char)p->tile_parts;
    o->max_bytes = (uint64_t)p->max_cs_size;
    o->max_component_bytes = (uint64_t)p->max_comp_size;
    o->rsiz = (uint16_t)p->rsiz;
    o->plt = p->plt;
    o->visual_weights = p->visual_weights != 0;
    o->peak_of_range = p->psnr_peak != 0;
    o->tlm = p->tlm;
    o->frame_rate = (uint32_t)p->framerate;
    o->comment = p->comment[0] ? p->comment : NULL;
}

j2k_status params_to_options(const params *p, const layout *l, j2k_encode_options *o, diagnosis *why) {
    if (l->is_bool && params_lossy(p))
        return fail(why, J2K_ERROR_UNSUPPORTED, "dtype bool can only be coded without loss");
    params resolved = *p;
    params_take_profile(&resolved, l);
    set_options(&resolved, o);
    o->comment = p->comment[0] ? p->comment : NULL;
    o->roi_rects = p->roi_rects.rects;
    o->roi_mask_stride = (ptrdiff_t)l->width;
    if (l->num_components < 3)
        o->colour_transform = 0;
    if (!o->tile_width && l->tile_height < l->height) { /* a stack: the tile grid follows the planes */
        o->tile_width = l->width;
        o->tile_height = l->tile_height;
        o->tile_x0 = (uint32_t)p->offset[0];
        o->tile_y0 = (uint32_t)p->offset[1];
    }
    return J2K_OK;
}

/* ---- checks ---- */

static j2k_status refuse_size(diagnosis *why, const char *name, const int64_t *size) {
    int index;
    return fail(why, J2K_ERROR_ARGUMENT, "%s: %lld x %lld is not allowed; allowed: %s", name,
                (long long)size[0], (long long)size[1], params_find(name, strlen(name), &index)->allowed);
}

static j2k_status check_steps(const params *p, diagnosis *why) {
    const char *name = p->qfactor ? "qfactor" : "quantization_step";
    if (!p->qfactor && !(p->quantization_step > 0))
        return J2K_OK;
    if (p->quality_mode != QUALITY_NONE)
        return fail(why, J2K_ERROR_ARGUMENT, "%s goes with no quality_mode: it sets the quality itself",
                    name);
    if (p->qfactor && p->quantization_step > 0)
        return fail(why, J2K_ERROR_ARGUMENT, "qfactor and quantization_step exclude each other");
    if (p->irreversible == 0)
        return fail(why, J2K_ERROR_ARGUMENT, "%s needs the 9/7 wavelet; irreversible is False", name);
    if (!(p->quantization_step <= 65536))
        return fail(why, J2K_ERROR_ARGUMENT, "quantization_step: %g is not allowed; allowed: 0 to 65536",
                    p->quantization_step);
    return J2K_OK;
}

static j2k_status check_layers(const params *p, diagnosis *why) {
    if (p->quality_mode == QUALITY_NONE)
        return J2K_OK;
    if (p->num_quality_layers < 1)
        return fail(why, J2K_ERROR_ARGUMENT, "quality_layers: a quality_mode needs at least one number");
    if (p->quality_mode == QUALITY_MAX_ERROR && p->num_quality_layers > 1)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "quality_layers: %d numbers; quality_mode \"max_error\" takes one",
                    (int)p->num_quality_layers);
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

static j2k_status check_profile(const params *p, diagnosis *why) {
    char message[320];
    params resolved = *p;
    j2k_encode_options options;
    params_take_profile(&resolved, NULL);
    set_options(&resolved, &options);
    j2k_status status = j2k_check_profile(&options, NULL, message, sizeof message);
    return status == J2K_OK ? status : fail(why, status, "%s", message);
}

j2k_status params_check(const params *p, diagnosis *why) {
    const int64_t *cb = p->codeblock_size, *tile = p->tile_size;
    if ((p->mode & J2K_STYLE_HT) && (p->mode & ~(J2K_STYLE_HT | J2K_STYLE_CAUSAL)))
        return fail(why, J2K_ERROR_ARGUMENT, "mode: HT can be combined with VSC only");
    if (!is_power_of_two(cb[0]) || !is_power_of_two(cb[1]) || cb[0] * cb[1] > 4096)
        return refuse_size(why, "codeblock_size", cb);
    for (int64_t i = 0; i < p->precincts.count_and_values[0]; i++) {
        const int64_t *size = p->precincts.count_and_values + 1 + 2 * i;
        if (!is_power_of_two(size[0]) || !is_power_of_two(size[1]))
            return refuse_size(why, "precinct_size", size);
    }
    if ((tile[0] == 0) != (tile[1] == 0))
        return refuse_size(why, "tile_size", tile);
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
    if (!layout_axes_good(p->axes))
        return fail(
            why, J2K_ERROR_ARGUMENT,
            "axes: \"%s\" is not allowed; allowed: a letter for each dimension: planes first, then yx or "
            "yxc (one dimension: x or xc)",
            p->axes);
    j2k_status status = check_layers(p, why);
    if (status == J2K_OK)
        status = check_steps(p, why);
    return status == J2K_OK ? check_profile(p, why) : status;
}
