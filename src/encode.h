/* The encoder's stages, in the order in which encode.c calls them.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_ENCODE_H
#define J2K_ENCODE_H

#include "blocks.h"
#include "context.h"
#include "histogram.h"
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
    double range;           /* of the samples, when PSNRs refer to it; else 0 */
    bool irreversible;
    double base_step; /* quantiser step for a subband of gain 1 */
    ht_choice ht;
    bool ht_target;      /* HT: a ratio or a PSNR is wanted, see encode_ht.c; */
    bool ht_by_step;     /* with the 9/7 the quantiser step alone makes the quality of the last layer */
    int tuned;           /* subbands of this resolution (-1: none) */
    float tuned_factor;  /* have steps so many times as large as others */
    double ratio_step;   /* Part 1: the base step that a ratio needs, found in an earlier attempt; 0: none */
    float decoded_scale; /* 9/7: j2k_kept_decode makes samples so many times as large */
    bool coded;          /* tiles are coded with base_step already */
    plane **kept_planes; /* every tile's coefficients, see encode_tiles.c; NULL: none yet */
    bool kept_irreversible;
    size_t *first_ref; /* of each tile in `refs`, and the end; encode_kept.c */
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

/* Whether coefficients are kept, so that loading a tile again costs little. */
bool j2k_encode_keeps_tiles(const encoder *e);

/* encode_step.c: the base step whose quantiser alone leaves this squared error in the image (irreversible
 * path; the plan's own step does not matter). Transforms the image, or some of its tiles when there are many.
 */
j2k_status j2k_encode_choose_step(encoder *e, double squared_error, double *step);

/* The same for bytes, roughly. */
j2k_status j2k_encode_guess_step(encoder *e, double bytes, double *step);
/* No finer base step is of any use. */
double j2k_encode_finest_step(const encoder *e);

/* encode_ratio.c: the base step with which packets of so many bytes in all say most. */
j2k_status j2k_encode_choose_ratio_step(encoder *e, double bytes, double *step);

/* encode.c: code all tiles with the quantisation that the headers have now. */
j2k_status j2k_encode_code_tiles(encoder *e);

/* encode.c: find out how many guard bits the data need, when code-blocks have been coded. */
j2k_status j2k_encode_fit_guard_bits(encoder *e);

/* encode_plan.c: enter the steps that e->base_step stands for into the headers. */
void j2k_encode_quantise(encoder *e);
/* The base step that is one step of a typical component: 1, or the norm of the colour transform. */
double j2k_encode_unit_step(const encoder *e);

/* encode_ht.c: code all tiles with HT such that the target of the last layer is met, and fill the layers. */
j2k_status j2k_encode_ht_target(encoder *e);

/* encode_kept.c: build all tiles and transform them; tiles and code-blocks are in e->tiles and e->refs. */
j2k_status j2k_kept_begin(encoder *e);
/* Count coefficients, enough of them. */
j2k_status j2k_kept_histogram(encoder *e, magnitudes *h);
/* With the 9/7: squared error in the image as the subbands' weights make it, when all bit-planes are decoded.
 */
j2k_status j2k_kept_wavelet_error(encoder *e, double *squared_error);
/* Let the tiles take over a new quantisation. All code-blocks must be coded again, or those of the subbands
 * whose step has changed. */
void j2k_kept_requantise(encoder *e);
/* Code the code-blocks of one resolution (-1: all), of those every `every`-th. */
j2k_status j2k_kept_code(encoder *e, int resolution, unsigned every);
/* Whether code-block `index` is among them: not always the same one of a group, which could be the same
 * column of the image each time. */
bool j2k_kept_in_sample(size_t index, unsigned every);
/* What a decoder makes of the coefficients when code-blocks are decoded as far as `layer` says (-1: all
 * bit-planes). */
j2k_status j2k_kept_decode(encoder *e, int layer, const j2k_image *decoded);
/* Squared error in the image when code-blocks are decoded as far as `layer` says (-1: all bit-planes). */
j2k_status j2k_kept_measure(encoder *e, int layer, double *squared_error);

/* encode_error.c: code all tiles with the 9/7 such that no sample is off by more than layer_quality[0], in
 * fewer bytes than `lossless`; found: that is possible. */
j2k_status j2k_encode_bounded(encoder *e, uint64_t lossless, bool *found);

/* encode_targets.c: bytes that the file may have with the layers up to this one. */
double j2k_encode_layer_bytes(const encoder *e, uint32_t layer);

/* encode_targets.c: the largest sample of all components less the smallest. */
j2k_status j2k_encode_find_range(encoder *e);

/* encode_targets.c: squared error over all samples that a PSNR allows; the peak is the range of the samples
 * if that is wanted, else 2^depth - 1 of each component. As an error in the wavelet domain it is what is left
 * when the rounding to integers has taken its share. */
double j2k_encode_allowed_error(const encoder *e, double psnr);
double j2k_encode_wavelet_error(const encoder *e, double allowed);

/* encode_layers.c: rate control of the tiles as they are. */
rate_control j2k_encode_rate_control(const encoder *e, uint32_t num_layers);

/* encode_layers.c: share out the coding passes among the layers by the quality wanted. *finer: the target
 * cannot be reached with this quantiser step, a finer one would do. */
j2k_status j2k_encode_layers(encoder *e, bool *finer);
/* Put everything into the last layer. */
j2k_status j2k_encode_one_layer(encoder *e);

/* encode_write.c: the whole file. With packets false only what is around them is written, to know its size.
 */
j2k_status j2k_encode_write(encoder *e, byte_sink *sink, bool packets);

#endif
