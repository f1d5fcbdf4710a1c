/* HT: what the quantiser has to be for a compression ratio or a PSNR.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "encode.h"

/* HT codewords cannot be cut, and coding a bit-plane in two halves (refinement passes) costs more than coding
 * it whole. With the 9/7 there is no need to: a step s times as large leaves out as much as log2(s)
 * bit-planes, for any s. So everything is coded, by cleanup passes alone, and the step is what is searched
 * for. With the 5/3 every code-block is coded down to the two bit-planes on both sides of such a step, and
 * rate control takes one of them.
 *
 * Time is what HT is chosen for, so that everything is done once if possible: the wavelet transform always;
 * block coding once for a PSNR, because the error of a step is measured before (by an inverse transform of
 * the quantised coefficients), and about once for a ratio, because a histogram of the coefficients predicts
 * sizes. */

enum {
    SAMPLED_BLOCKS = 128, /* code-blocks that say how good the prediction is, */
    SAMPLED_FROM = 4,     /* where there are so many times as many */
    FEW_BLOCKS = 64,      /* so few can do with more bit-planes to choose from */
    MAX_TRIALS = 12,
};

/* How near is near enough: at least so much of the bytes or the error allowed; and what is aimed at. */
static const double ENOUGH_BYTES = 0.975, AIM_BYTES = 0.989, ENOUGH_ERROR = 0.935, AIM_ERROR = 0.965;

/* A difference up to so much is made up for by the steps of one resolution, if that is up to so much of its
 * bytes: unequal steps cost a little. */
static const double TUNED = 0.03, TUNED_RESOLUTION = 0.14;

/* Finer steps change no sample any more; and of deep samples they would need more bit-planes than there are.
 */
static double finest_step(const encoder *e) {
    unsigned depth = 0;
    for (uint32_t c = 0; c < e->image->num_components; c++)
        depth = max_u32(depth, e->image->components[c].depth);
    return ldexp(1, depth > 21 ? (int)depth - 26 : -5);
}

static const double COARSEST_STEP = 1e7;

/* With the 5/3: all bit-planes are kept; and what is aimed at, since its errors grow more than the weights
 * say. */
static const double FINEST_PLANES = 0.25, AIM_PLANES_ERROR = 0.87;

/* Steps tried, and their bytes or squared errors. */
typedef struct step_search {
    const magnitudes *h;
    double allowed;              /* bytes or squared error */
    double fine, fine_value;     /* the coarsest step known to be too fine, 0: none */
    double coarse, coarse_value; /* the finest known to be too coarse */
    double best, best_value;     /* of those that are allowed, the one that comes nearest */
} step_search;

static void note_trial(step_search *s, bool too_fine, double step, double value) {
    if (too_fine && step > s->fine) {
        s->fine = step;
        s->fine_value = value;
    }
    if (!too_fine && (s->coarse == 0 || step < s->coarse)) {
        s->coarse = step;
        s->coarse_value = value;
    }
    if (value <= s->allowed && (s->best == 0 || value > s->best_value)) {
        s->best = step;
        s->best_value = value;
    }
}

/* Keep a predicted step between those that are known; a prediction that does not is replaced by interpolation
 * on a double logarithmic scale. */
static double bounded_step(const encoder *e, const step_search *s, double step, double aim, unsigned trial) {
    if (s->fine > 0 && s->coarse > 0 && !(step > s->fine && step < s->coarse && trial < 4)) {
        double share =
            log(fmax(aim, 1e-9) / s->fine_value) / log(fmax(s->coarse_value, 1e-9) / s->fine_value);
        share = trial % 3 == 2 ? 0.5 : fmin(fmax(share, 0.03), 0.97);
        return s->fine * pow(s->coarse / s->fine, share);
    }
    return fmin(fmax(step, finest_step(e)), COARSEST_STEP);
}

static void set_step(encoder *e, double step, int tuned, double factor) {
    e->base_step = step;
    e->tuned = tuned;
    e->tuned_factor = (float)factor;
    j2k_encode_quantise(e);
    j2k_kept_requantise(e);
}

/* ---- bytes ---- */

static j2k_status count_bytes(encoder *e, double *bytes) {
    TRY(j2k_encode_fit_guard_bits(e));
    j2k_encode_capabilities(e);
    TRY(j2k_encode_one_layer(e));
    byte_sink counter = {NULL, 0, 0};
    TRY(j2k_encode_write(e, &counter, true));
    *bytes = (double)counter.size;
    return J2K_OK;
}

static double coded_bytes(const block_ref *ref) {
    const codeblock *cb = ref->block;
    return cb->num_passes ? cb->u.enc.passes[cb->num_passes - 1].length : 0;
}

/* How many times as large as predicted code-blocks are, from a sample. */
static j2k_status sample_blocks(encoder *e, unsigned every, double *correction) {
    double bytes = 0;
    TRY(j2k_kept_code(e, -1, every));
    magnitudes *h = ARENA_ALLOC_ZERO(&e->context->work, magnitudes, 1);
    RETURN_IF(!h, J2K_ERROR_MEMORY);
    for (size_t i = 0; i < e->num_refs; i++) {
        const block_ref *ref = &e->refs[i];
        if (!j2k_kept_in_sample(i, every))
            continue;
        j2k_histogram_add(h, ref->band, false, ref->block->area, 4, 1);
        bytes += coded_bytes(ref);
    }
    *correction = fmin(fmax(bytes / fmax(j2k_histogram_ht_bytes(h, e->base_step), 1), 0.25), 4);
    return J2K_OK;
}

/* Bytes around the code-blocks, about. */
static j2k_status bytes_around(encoder *e, double *bytes) {
    byte_sink counter = {NULL, 0, 0};
    TRY(j2k_encode_write(e, &counter, false));
    *bytes = (double)counter.size + 1.5 * (double)e->num_refs;
    return J2K_OK;
}

/* Go back to counting missing bit-planes from the block coders' limit, for code-blocks that are not coded
 * again. */
static void unfit_guard_bits(encoder *e) {
    for (size_t i = 0; i < e->num_refs; i++) {
        const block_ref *ref = &e->refs[i];
        unsigned have = ref->band->num_bitplanes + ref->component->style->roi_shift;
        unsigned planes = have - ref->block->zero_bitplanes;
        ref->block->zero_bitplanes = (uint8_t)(j2k_block_plane_limit(ref) - planes);
    }
}

/* Make up for `missing` bytes by the steps of the resolution with the fewest code-blocks that can. *done:
 * there is one. */
static j2k_status tune(encoder *e, const step_search *s, double missing, bool *done) {
    double bytes[J2K_MAX_RESOLUTIONS] = {0};
    *done = false;
    if (e->options.derived_quantisation)
        return J2K_OK;
    for (size_t i = 0; i < e->num_refs; i++) {
        const tile_component *tc = e->refs[i].component;
        unsigned r = 0;
        while (r + 1u < tc->num_resolutions && !(e->refs[i].band >= tc->resolutions[r].bands &&
                                                 e->refs[i].band < tc->resolutions[r].bands + 3))
            r++;
        bytes[r] += coded_bytes(&e->refs[i]);
    }
    for (int r = 0; r < J2K_MAX_RESOLUTIONS && !*done; r++) {
        if (!(fabs(missing) < TUNED_RESOLUTION * bytes[r]))
            continue;
        double step = e->base_step, near = step * 1.1;
        double power =
            log(j2k_histogram_ht_bytes(s->h, step) / fmax(j2k_histogram_ht_bytes(s->h, near), 1)) / log(1.1);
        unfit_guard_bits(e);
        set_step(e, step, r, pow(1 + missing / bytes[r], -1 / fmin(fmax(power, 0.3), 2)));
        TRY(j2k_kept_code(e, r, 1));
        *done = true;
    }
    return J2K_OK;
}

static bool enough_bytes(const step_search *s, double bytes) {
    return bytes <= s->allowed && bytes >= ENOUGH_BYTES * s->allowed;
}

static j2k_status search_ratio(encoder *e, step_search *s) {
    double around, correction = 1;
    TRY(bytes_around(e, &around));
    const double aim = AIM_BYTES * s->allowed;
    double step = j2k_histogram_step_for_ht_bytes(s->h, fmax(aim - around, 8));
    if (e->num_refs >= SAMPLED_FROM * SAMPLED_BLOCKS) {
        set_step(e, bounded_step(e, s, step, aim, 0), -1, 1);
        TRY(sample_blocks(e, (unsigned)(e->num_refs / SAMPLED_BLOCKS), &correction));
        step = j2k_histogram_step_for_ht_bytes(s->h, fmax(aim - around, 8) / correction);
    }
    for (unsigned trial = 0; trial < MAX_TRIALS; trial++) {
        double bytes;
        bool tuned = false;
        step = bounded_step(e, s, step, aim, trial);
        set_step(e, step, -1, 1);
        TRY(j2k_kept_code(e, -1, 1));
        TRY(count_bytes(e, &bytes));
        if (enough_bytes(s, bytes))
            return J2K_OK;
        bool too_fine = bytes > s->allowed;
        note_trial(s, too_fine, step, bytes);
        if (!too_fine && step <= finest_step(e) * 1.0001)
            return J2K_OK;
        if (fabs(bytes - aim) < TUNED * aim || trial > 3)
            TRY(tune(e, s, aim - bytes, &tuned));
        if (tuned) {
            double now;
            TRY(count_bytes(e, &now));
            if (enough_bytes(s, now))
                return J2K_OK;
        }
        correction = bytes / (j2k_histogram_ht_bytes(s->h, step) + around);
        step = j2k_histogram_step_for_ht_bytes(s->h, fmax(aim / correction - around, 1));
    }
    set_step(e, s->best > 0 ? s->best : COARSEST_STEP, -1, 1);
    TRY(j2k_kept_code(e, -1, 1));
    double bytes;
    return count_bytes(e, &bytes);
}

/* ---- squared errors ---- */

static j2k_status search_psnr(encoder *e, step_search *s) {
    const double aim = AIM_ERROR * s->allowed;
    double wanted = j2k_encode_wavelet_error(e, aim), before = -1, exact;
    set_step(e, bounded_step(e, s, j2k_histogram_step_for_error(s->h, wanted), aim, 0), -1, 1);
    TRY(j2k_kept_wavelet_error(e, &exact));
    wanted *= j2k_histogram_error(s->h, e->base_step) / fmax(exact, 1e-9 * wanted);
    for (unsigned trial = 0; trial < MAX_TRIALS; trial++) {
        double error, step = bounded_step(e, s, j2k_histogram_step_for_error(s->h, wanted), aim, trial);
        set_step(e, step, -1, 1);
        TRY(j2k_kept_measure(e, -1, &error));
        note_trial(s, error <= s->allowed, step, error);
        bool end = step <= finest_step(e) * 1.0001 || (error <= s->allowed && error == before);
        before = error; /* that stays: nothing is left but zeros */
        if ((error <= s->allowed && error >= ENOUGH_ERROR * s->allowed) || end)
            break;
        wanted *= fmin(fmax(aim / fmax(error, 1e-9 * aim), 0.05), 20);
    }
    if (s->best > 0 && s->best != e->base_step)
        set_step(e, s->best, -1, 1);
    TRY(j2k_kept_code(e, -1, 1));
    TRY(j2k_encode_fit_guard_bits(e));
    j2k_encode_capabilities(e);
    return J2K_OK;
}

/* ---- bit-planes ---- */

/* What the uppermost and the lowest of all code-blocks' HT sets come to. */
typedef struct alternatives {
    double upper_bytes, lower_bytes, upper_error, lower_error; /* errors in the wavelet domain */
} alternatives;

static alternatives sum_alternatives(const encoder *e) {
    alternatives sum = {0, 0, 0, 0};
    for (size_t i = 0; i < e->num_refs; i++) {
        const codeblock *cb = e->refs[i].block;
        const coding_pass *lower = cb->num_passes ? &cb->u.enc.passes[cb->num_passes - 1] : NULL;
        unsigned above = 3u * (e->ht.sets - 1u), below = cb->num_passes > 3 ? lower[-1].length : 0;
        const coding_pass *upper = cb->num_passes > above ? lower - above : NULL;
        double weight = e->refs[i].band->weight;
        sum.upper_bytes += upper ? upper->length : 0;
        sum.lower_bytes += lower ? lower->length - below : 0;
        sum.upper_error += weight * (cb->u.enc.energy - (upper ? upper->reduction : 0));
        sum.lower_error += weight * (cb->u.enc.energy - (lower ? lower->reduction : 0));
    }
    return sum;
}

/* By how much the step has to change for the target to lie between the alternatives; 1: it does. */
static double change_of_step(const alternatives *a, bool ratio, double wanted) {
    if (ratio && wanted < a->upper_bytes)
        return fmax(pow(2, (a->upper_bytes / wanted - 1) * 3), 1.25);
    if (ratio && wanted > a->lower_bytes)
        return fmin(pow(2, (a->lower_bytes / wanted - 1) * 3), 0.8);
    if (!ratio && wanted > 0.8 * a->upper_error)
        return 1.4;
    if (!ratio && wanted < 1.25 * a->lower_error)
        return 1 / 1.4;
    return 1;
}

static j2k_status code_planes(encoder *e, double step) {
    e->ht.step = (float)step;
    j2k_kept_requantise(e);
    return j2k_kept_code(e, -1, 1);
}

static j2k_status fill_planes(encoder *e, bool *finer) {
    TRY(j2k_encode_fit_guard_bits(e));
    j2k_encode_capabilities(e);
    return j2k_encode_layers(e, finer);
}

/* With the 5/3: fill all layers. */
static j2k_status search_planes(encoder *e, step_search *s) {
    bool ratio = e->options.quality == J2K_QUALITY_RATIO;
    double around, step;
    TRY(bytes_around(e, &around));
    double wanted = ratio ? fmax(AIM_BYTES * s->allowed - around, 8)
                          : j2k_encode_wavelet_error(e, AIM_PLANES_ERROR * s->allowed);
    step = ratio ? j2k_histogram_step_for_ht_bytes(s->h, wanted) : j2k_histogram_step_for_error(s->h, wanted);
    bool finer = false;
    e->ht.sets = e->num_refs < FEW_BLOCKS ? 4 : 2;
    for (unsigned trial = 0; trial < MAX_TRIALS; trial++) {
        step = fmax(step, FINEST_PLANES);
        TRY(code_planes(e, step));
        alternatives both = sum_alternatives(e);
        double factor = change_of_step(&both, ratio, wanted);
        if (factor == 1 || (factor < 1 && step == FINEST_PLANES) || trial + 1 == MAX_TRIALS) {
            TRY(fill_planes(e, &finer));
            if (!finer || step == FINEST_PLANES)
                return J2K_OK;
            factor = 0.5;
        }
        step *= factor;
    }
    /* Tiny images, of which the estimates say little: down until the target is met. */
    while (finer && step > FINEST_PLANES) {
        step = fmax(step / 2, FINEST_PLANES);
        TRY(code_planes(e, step));
        TRY(fill_planes(e, &finer));
    }
    return J2K_OK;
}

j2k_status j2k_encode_ht_target(encoder *e) {
    uint32_t last = e->options.num_layers - 1;
    bool ratio = e->options.quality == J2K_QUALITY_RATIO, finer;
    magnitudes *h = ARENA_ALLOC(&e->context->memory, magnitudes, 1);
    RETURN_IF(!h, J2K_ERROR_MEMORY);
    TRY(j2k_kept_begin(e));
    TRY(j2k_kept_histogram(e, h));
    step_search s = {.h = h};
    s.allowed =
        ratio ? j2k_encode_layer_bytes(e, last) : j2k_encode_allowed_error(e, e->options.layer_quality[last]);
    if (!e->irreversible)
        return search_planes(e, &s);
    TRY(ratio ? search_ratio(e, &s) : search_psnr(e, &s));
    return j2k_encode_layers(e, &finer);
}
