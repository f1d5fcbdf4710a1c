/* The table of parameters: names, types, defaults, ranges, meanings; their text form; what they mean to the
 * engine. SPDX-License-Identifier: BSD-3-Clause */
#ifndef PARAMS_H
#define PARAMS_H

#include "layout.h"

struct grk_cparameters;

enum { QUALITY_NONE = 0, QUALITY_RATES = 1, QUALITY_DB = 2, QUALITY_MAX_ERROR = 3 }; /* of quality_mode */

enum { AUTOMATIC = -1 }; /* of irreversible and mct */

enum { NAN_REFUSE = 0, NAN_MASK = 1 }; /* of nan */

enum { FORMAT_UNKNOWN = 0, FORMAT_J2K = 1, FORMAT_JP2 = 2 }; /* of cod_format, as in GRK_SUPPORTED_FILE_FMT */

enum { MAX_ROI_RECTS = 64, COMMENT_CAPACITY = 1024 };

/* Count of pairs, and one behind the other. Read and written as one array. */
typedef struct pair_list {
    int64_t count_and_values[1 + 2 * J2K_MAX_RESOLUTIONS];
} pair_list;
typedef struct rect_list {
    int64_t count;
    j2k_rectangle rects[MAX_ROI_RECTS];
} rect_list;

/* Values of all parameters, which the table addresses by offset. */
typedef struct params {
    int64_t tile_size[2], tile_offset[2];
    int64_t quality_mode;
    int64_t num_quality_layers;
    double quality_layers[J2K_MAX_LAYERS];
    int64_t qfactor;
    double quantization_step;
    int64_t numgbits, progression, num_resolutions, codeblock_size[2], mode, irreversible;
    int64_t roi_compno, roi_shift, offset[2], decod_format, cod_format;
    int64_t tile_parts /* 0, 'R', 'L', 'C' */, mct, max_cs_size, max_comp_size, rsiz, framerate, apply_icc,
        rate_control;
    int64_t num_threads, device_id, duration, repeats, verbose;
    int64_t plt, tlm, sop, eph, visual_weights, psnr_peak;
    int64_t significant_bits, nan_policy;
    char axes[MAX_AXES + 1];
    pair_list precincts; /* from the highest resolution down; of none there is one precinct a resolution */
    rect_list roi_rects;
    char comment[COMMENT_CAPACITY]; /* Latin-1 */
    const uint8_t
        *roi_mask;  /* not in the table: a byte for each sample of a component, raster order; NULL: none */
    uint64_t given; /* bit i: row i of the table was named, or set in a C struct to other than its default */
} params;

void params_set_defaults(params *p);

/* Give the parameters that were not given the values that the profile rsiz prescribes, for images like l or,
 * when it is NULL, any image. */
void params_take_profile(params *p, const layout *l);

/* Change what text names; length may go beyond the text's end at a NUL. On error nothing is changed. */
j2k_status params_parse(params *p, const char *text, size_t length, diagnosis *why);

/* Whether text begins with the word "defaults", which puts all parameters but num_threads and verbose back:
 * then nothing that was set before matters to the coded bytes. */
bool params_text_is_complete(const char *text, size_t length);

/* Write the text form that makes these parameters of any others: "defaults", then what was given or differs
 * from the table's defaults. num_threads and verbose are left out, since they are no matter of the array's.
 * Length as below. */
size_t params_format_complete(const params *p, char *text, size_t capacity);

/* Write the text form of all parameters of the table, as they count with the profile; returns its length,
 * terminates it within capacity. */
size_t params_format(const params *p, char *text, size_t capacity);

/* Take over a C program's parameters. */
j2k_status params_from_grok(params *p, const struct grk_cparameters *grok, diagnosis *why);

/* Check what no row of the table can check alone. */
j2k_status params_check(const params *p, diagnosis *why);

/* Check numbers that did not come through the text form: every row's range, then params_check. */
j2k_status params_check_rows(params *p, diagnosis *why);

/* The value of a choice, or one that params_check_rows refuses. */
int64_t params_choice(const char *parameter_name, const char *choice_name);

/* A codec_meta other than 0: a ratio of meta / 10 and one layer, for this array. */
void params_apply_meta(params *p, uint8_t meta);

/* Whether decoded samples may differ from the originals. */
bool params_lossy(const params *p);

/* The largest difference allowed, 0 when none is set. */
double params_max_error(const params *p);

/* Ask for everything, with the reversible wavelet. */
void params_make_lossless(params *p);

/* The engine's options. The comment leads into p. */
j2k_status params_to_options(const params *p, const layout *l, j2k_encode_options *options, diagnosis *why);

#endif
