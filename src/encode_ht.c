/* HT with the 9/7: the quantiser step for a compression ratio or a PSNR.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "encode.h"
#include "transform.h"

/* HT codewords cannot be cut, and coding a bit-plane in two halves (refinement passes) costs more than coding
 * it whole. But with a quantiser there is no need to: a step s times as large leaves out as much as log2(s)
 * bit-planes, for any s. So everything is coded, by cleanup passes alone, and the step is what is searched
 * for: it is estimated, the image is coded, and where the result is off the step is corrected from what came
 * out. */

enum {
    SAMPLED_TILES = 16,  /* tiles looked at, at most */
    SAMPLED_BLOCKS = 96, /* code-blocks that are enough for an estimate */
    MAX_TRIALS = 9
};

/* How near is near enough: at least so much of the bytes or the error allowed. */
static const double ENOUGH_BYTES = 0.985, ENOUGH_ERROR = 0.97;

static j2k_status sample_tiles(encoder *e, double bytes[MAX_BITPLANES]) {
    j2k_context *context = e->context;
    uint32_t tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    uint32_t every = (tiles + SAMPLED_TILES - 1) / SAMPLED_TILES;
    double blocks = (double)e->num_samples / (e->options.codeblock_width * e->options.codeblock_height);
    unsigned every_block = (unsigned)fmin(fmax(blocks / every / SAMPLED_BLOCKS, 1), 16);
    image_window window = {e->image, e->areas};
    for (uint32_t i = 0; i < tiles; i += every) {
        tile t;
        double tile_bytes[MAX_BITPLANES] = {0};
        memset(&t, 0, sizeof t);
        j2k_arena_reset(&context->work);
        TRY(j2k_tile_build(&t, &e->cs.siz, i, &e->cs.style, e->cs.components, &context->work,
                           &context->diag));
        TRY(j2k_tile_forward(context, &t, window));
        TRY(j2k_tile_sample_ht(context, &t, every_block, tile_bytes));
        for (unsigned plane = 0; plane < MAX_BITPLANES; plane++)
            bytes[plane] += tile_bytes[plane] * every;
    }
    for (unsigned i = 0; i < context->num_workers; i++)
        j2k_arena_reset(&context->workers[i].results);
    return J2K_OK;
}

j2k_status j2k_encode_choose_ht_step(encoder *e, double wanted, double *step) {
    double bytes[MAX_BITPLANES] = {0};
    TRY(sample_tiles(e, bytes));
    wanted = fmax(wanted, 16);
    /* Where the bytes of bit-plane `plane` and the next are above and below what is wanted; beyond the lowest
     * each one adds as much as the lowest did. */
    double position = 0;
    unsigned plane = 0;
    while (plane + 2 < MAX_BITPLANES && bytes[plane + 1] > wanted)
        plane++;
    if (bytes[0] <= wanted && bytes[0] > bytes[1])
        position = -(wanted - bytes[0]) / (bytes[0] - bytes[1]);
    else if (bytes[plane] > wanted)
        position = plane + log(bytes[plane] / wanted) / log(bytes[plane] / fmax(bytes[plane + 1], 1));
    *step = e->base_step * exp2(fmin(fmax(position, -12), MAX_BITPLANES));
    return J2K_OK;
}

static double next_step(const encoder *e, const step_search *s, double allowed) {
    bool ratio = e->options.quality == J2K_QUALITY_RATIO;
    double aim = allowed * (1 + (ratio ? ENOUGH_BYTES : ENOUGH_ERROR)) / 2;
    if (s->good_step > 0 && s->bad_step > 0) { /* between the two on a double logarithmic scale */
        double share = log(aim / s->good_value) / log(s->bad_value / s->good_value);
        share = s->trials % 4 == 3 ? 0.5 : fmin(fmax(share, 0.02), 0.98);
        return s->good_step * pow(s->bad_step / s->good_step, share);
    }
    double step = s->good_step > 0 ? s->good_step : s->bad_step;
    double value = s->good_step > 0 ? s->good_value : s->bad_value;
    /* Bytes go with about the power -0.7 of the step, errors with 1.5. */
    double power = ratio ? -1 / 0.7 : 1 / 1.5;
    return step * fmin(fmax(pow(aim / fmax(value, aim * 1e-3), power), 0.1), 10);
}

j2k_status j2k_encode_judge_ht_step(encoder *e, step_search *s, bool *again) {
    uint32_t last = e->options.num_layers - 1;
    double value, allowed, enough;
    *again = false;
    if (s->last)
        return J2K_OK;
    if (e->options.quality == J2K_QUALITY_RATIO) {
        byte_sink counter = {NULL, 0, 0};
        TRY(j2k_encode_write(e, &counter, true));
        value = (double)counter.size;
        allowed = j2k_encode_layer_bytes(e, last);
        enough = ENOUGH_BYTES * allowed;
    } else {
        TRY(j2k_encode_measure(e, &value));
        allowed = j2k_encode_allowed_error(e, e->options.layer_quality[last]);
        enough = ENOUGH_ERROR * allowed;
    }
    value = fmax(value, allowed * 1e-6);
    if (value <= allowed && value >= enough)
        return J2K_OK;
    /* Of steps that meet the target the one that comes nearest to it is the best. */
    if (value <= allowed && (s->good_step == 0 || value > s->good_value)) {
        s->good_step = e->base_step;
        s->good_value = value;
    }
    if (value > allowed && (s->bad_step == 0 || value < s->bad_value)) {
        s->bad_step = e->base_step;
        s->bad_value = value;
    }
    bool finest = value <= allowed && e->base_step<1e-6, coarsest = value> allowed && e->base_step > 1e6;
    if (++s->trials < MAX_TRIALS && !finest && !coarsest) {
        e->ht_step = next_step(e, s, allowed);
    } else {
        s->last = true;
        if (s->good_step == 0 || s->good_step == e->base_step)
            return J2K_OK;
        e->ht_step = s->good_step;
    }
    *again = true;
    return J2K_OK;
}
