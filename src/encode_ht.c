/* HT with the 9/7: the quantiser step for a compression ratio or a PSNR.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "encode.h"

/* HT codewords cannot be cut, and coding a bit-plane in two halves (refinement passes) costs more than coding
 * it whole. But with a quantiser there is no need to: a step s times as large leaves out as much as log2(s)
 * bit-planes, for any s. So everything is coded, by cleanup passes alone, and the step is what is searched
 * for: it is estimated, the image is coded, and where the result is off the step is corrected from what came
 * out. */

enum {
    SAMPLED_TILES = 16,       /* tiles looked at, at most */
    SAMPLED_POINTS = 1 << 23, /* samples in them, about */
    SAMPLED_BLOCKS = 64,      /* code-blocks that are enough for an estimate */
    MAX_ESTIMATES = 8,
    MAX_TRIALS = 9
};

/* How near is near enough: at least so much of the bytes or the error allowed. */
static const double ENOUGH_BYTES = 0.975, ENOUGH_ERROR = 0.97;

/* Finer steps change no sample any more; and of deep samples they would need more bit-planes than there are.
 */
static double finest_step(const encoder *e) {
    unsigned depth = 0;
    for (uint32_t c = 0; c < e->image->num_components; c++)
        depth = max_u32(depth, e->image->components[c].depth);
    return ldexp(1, depth > 21 ? (int)depth - 26 : -5);
}

typedef struct sample {
    encode_job *jobs[SAMPLED_TILES];
    const subband **bands[SAMPLED_TILES];
    size_t counts[SAMPLED_TILES];
    unsigned num_tiles;
    double share; /* bytes of the image for one of the sample */
} sample;

/* Transform some tiles and choose code-blocks; all stays in the work arena. */
static j2k_status take_sample(encoder *e, sample *s) {
    j2k_context *context = e->context;
    uint32_t tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    double affordable = fmax(SAMPLED_POINTS / ((double)e->num_samples / tiles), 1);
    double every_tile = ceil(tiles / fmin(affordable, SAMPLED_TILES));
    double blocks = (double)e->num_samples / (e->options.codeblock_width * e->options.codeblock_height);
    unsigned every = (unsigned)fmin(fmax(blocks / every_tile / SAMPLED_BLOCKS, 1), 24);
    j2k_arena_reset(&context->work);
    for (double i = 0; i < tiles && s->num_tiles < SAMPLED_TILES; i += every_tile, s->num_tiles++) {
        tile *t = ARENA_ALLOC_ZERO(&context->work, tile, 1);
        RETURN_IF(!t, J2K_ERROR_MEMORY);
        TRY(j2k_encode_load_tile(e, (uint32_t)i, &context->work, t));
        TRY(j2k_tile_sample_blocks(context, t, every, &s->jobs[s->num_tiles], &s->bands[s->num_tiles],
                                   &s->counts[s->num_tiles]));
    }
    s->share = (double)tiles / s->num_tiles * every;
    return J2K_OK;
}

/* Bytes of the image when steps are `factor` times as large as before, and the base step is `step`. With the
 * 5/3 there are only bit-planes. */
static j2k_status estimate_bytes(encoder *e, sample *s, double factor, double step, double *bytes) {
    *bytes = 0;
    for (unsigned i = 0; i < s->num_tiles; i++) {
        for (size_t k = 0; k < s->counts[i]; k++) {
            s->jobs[i][k].source.inverse_step /= (float)factor;
            if (!e->irreversible)
                s->jobs[i][k].ht.lowest = (uint8_t)j2k_plane_of_step(s->bands[i][k], step);
        }
        double tile_bytes;
        TRY(j2k_sampled_bytes(e->context, s->jobs[i], s->counts[i], &tile_bytes));
        *bytes += tile_bytes * s->share;
    }
    return J2K_OK;
}

j2k_status j2k_encode_choose_ht_step(encoder *e, double wanted, double *step) {
    sample s = {0};
    TRY(take_sample(e, &s));
    /* log2 of factors: too many bytes at low, too few at high */
    double now = 0, coded = 0, low = log2(finest_step(e) / e->base_step), high = 24, bytes;
    double low_bytes = 0, high_bytes = 0, before = 0, before_bytes = 0;
    wanted = fmax((1 + ENOUGH_BYTES) / 2 * wanted, 16);
    e->ht_power = 0.7;
    for (unsigned i = 0; i < MAX_ESTIMATES; i++) {
        TRY(estimate_bytes(e, &s, exp2(now - coded), e->base_step * exp2(now), &bytes));
        coded = now;
        bytes = fmax(bytes, 1);
        if (before_bytes > 0 && fabs(coded - before) > 0.02)
            e->ht_power = fmin(fmax(log2(before_bytes / bytes) / (coded - before), 0.3), 2);
        before = coded;
        before_bytes = bytes;
        if (fabs(bytes / wanted - 1) < 0.005)
            break;
        if (bytes > wanted) {
            low = now;
            low_bytes = bytes;
        } else {
            high = now;
            high_bytes = bytes;
        }
        if (low_bytes > 0 && high_bytes > 0)
            now = low + (high - low) * log(low_bytes / wanted) / log(low_bytes / high_bytes);
        else
            now = fmin(fmax(now + log2(bytes / wanted) / e->ht_power, low), high);
    }
    for (unsigned i = 0; i < e->context->num_workers; i++)
        j2k_arena_reset(&e->context->workers[i].results);
    *step = e->base_step * exp2(coded);
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
    double power = ratio ? -1 / e->ht_power : 1 / 1.5; /* errors go with about this power of the step */
    step *= fmin(fmax(pow(aim / fmax(value, aim * 1e-3), power), 0.1), 10);
    return fmax(step, finest_step(e));
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
    bool too_coarse = (e->options.quality == J2K_QUALITY_RATIO) == (value <= allowed);
    bool end = too_coarse ? e->base_step <= finest_step(e) * 1.0001 : e->base_step > 1e6;
    if (++s->trials < MAX_TRIALS && !end) {
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
