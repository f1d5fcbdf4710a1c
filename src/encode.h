/* The encoder's stages, in the order in which encode.c calls them.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_ENCODE_H
#define J2K_ENCODE_H

#include "blocks.h"
#include "context.h"
#include "rate.h"

/* One call of j2k_encode. Everything lives in the context's arenas. */
typedef struct encoder {
    j2k_context *context;
    const j2k_image *image;
    j2k_encode_options options;
    codestream cs;      /* what the headers will say */
    rect *areas;        /* every component's rectangle on its own grid */
    uint64_t raw_bytes; /* of the caller's samples: what ratios refer to */
    uint64_t num_samples;
    uint64_t bytes_allowed; /* by the profile; 0: any number */
    bool irreversible;
    double base_step; /* quantiser step for a subband of gain 1 */
    ht_choice ht;
    bool ht_by_step;     /* HT: the quantiser step alone makes the quality of the last layer; */
    double ht_step;      /* that step, 0: to be chosen */
    double ht_power;     /* bytes go with the step to the power of minus this */
    plane **kept_planes; /* every tile's coefficients, see encode_tiles.c; NULL: none yet */
    bool kept_irreversible;
    tile *tiles;
    uint32_t num_tiles;
    block_ref *refs; /* all code-blocks of all tiles */
    size_t num_refs;
    rate_control rate;
} encoder;

/* encode_plan.c: check image and options, and derive the headers from them. `refine` counts the attempts:
 * each one halves the quantiser step twice. */
j2k_status j2k_encode_check(encoder *e);
j2k_status j2k_encode_plan(encoder *e, unsigned refine);
/* HT: what the CAP marker segment says; when the guard bits are known. */
void j2k_encode_capabilities(encoder *e);

/* encode_tiles.c: build tile `index` in `memory`, by the headers as they are, with its coefficients, which
 * are in the work arena, or kept for further attempts and not to be changed. */
j2k_status j2k_encode_load_tile(encoder *e, uint32_t index, arena *memory, tile *t);

/* encode_step.c: the base step whose quantiser alone leaves this squared error in the image (irreversible
 * path; the plan's own step does not matter). Transforms the image, or some of its tiles when there are many.
 */
j2k_status j2k_encode_choose_step(encoder *e, double squared_error, double *step);

/* encode_ht.c: the base step with which HT cleanup passes of everything take about so many bytes. */
j2k_status j2k_encode_choose_ht_step(encoder *e, double bytes, double *step);

/* encode_ht.c: what the steps tried so far came to. Values are bytes or squared errors; the target is the
 * most that is allowed. */
typedef struct step_search {
    double good_step, good_value, bad_step, bad_value; /* steps 0: none yet */
    unsigned trials;
    bool last;
} step_search;
/* Judge the result as it is now. *again: code the image once more with e->ht_step. */
j2k_status j2k_encode_judge_ht_step(encoder *e, step_search *search, bool *again);

/* encode_targets.c: bytes that the file may have with the layers up to this one. */
double j2k_encode_layer_bytes(const encoder *e, uint32_t layer);

/* encode_layers.c: squared error of the whole stream as it is now, by decoding it. */
j2k_status j2k_encode_measure(encoder *e, double *squared_error);

/* encode_targets.c: squared error over all samples that a PSNR allows; the peak is 2^depth - 1 of each
 * component. As an error in the wavelet domain it is what is left when the rounding to integers has taken its
 * share. */
double j2k_encode_allowed_error(const encoder *e, double psnr);
double j2k_encode_wavelet_error(const encoder *e, double allowed);

/* encode_layers.c: share out the coding passes among the layers by the quality wanted. *finer: the target
 * cannot be reached with this quantiser step, a finer one would do. */
j2k_status j2k_encode_layers(encoder *e, bool *finer);

/* encode_write.c: the whole file. With packets false only what is around them is written, to know its size.
 */
j2k_status j2k_encode_write(encoder *e, byte_sink *sink, bool packets);

#endif
