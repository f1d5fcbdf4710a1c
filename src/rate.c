/* Rate control: post-compression rate-distortion optimisation (T.800 annex J.14).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "rate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One threshold for all leaves a remainder that is less than the next step of the code-block whose turn it
 * is. Smaller steps of other code-blocks may still fit in: what matters where there are few code-blocks. */
typedef struct rate_step {
    float slope;
    uint32_t bytes;
    double error;
    uint16_t passes; /* of the code-block, when the step is taken */
    size_t index;    /* of the code-block */
} rate_step;

/* Bytes that are as good as all. */
static const double FULL = 0.9998;
/* Below this the last few bytes are worth some time. */
static const double ENOUGH = 0.996;

/* The bytes that passes 0 .. pass cost. Of HT passes only those of the same HT set count. */
static int64_t pass_cost(const rate_control *rc, const codeblock *cb, unsigned pass) {
    unsigned set = pass / 3 * 3;
    uint32_t before = rc->ht && set ? cb->u.enc.passes[set - 1].length : 0;
    return (int64_t)cb->u.enc.passes[pass].length - before;
}

/* A region of interest is coded before everything else (H.1): its passes, those of the bit-planes above the
 * shift, count as their shifted coefficients do. */
static double priority(const rate_control *rc, const block_ref *ref, unsigned pass) {
    unsigned shift = ref->component->style->roi_shift;
    unsigned below =
        (pass + 2) / 3 + shift; /* bit-planes that the pass does not reach, if it is the region's */
    return shift && !rc->ht && below < (ref->block->num_passes + 2u) / 3 ? ldexp(1, 2 * (int)shift) : 1;
}

/* The slopes along a convex hull decrease, so that "all hull points of at least this slope" is the best
 * choice of passes for the bytes it takes, and a single threshold serves all code-blocks. A pass that takes
 * no bytes joins the next point. An HT set that takes no more bytes than one before it replaces it. */
static void find_hull(const rate_control *rc, const block_ref *ref, double weight, float *slopes) {
    const codeblock *cb = ref->block;
    uint16_t hull[256]; /* pass numbers; a code-block has at most MAX_PASSES */
    unsigned points = 0;
    for (unsigned i = 0; i < cb->num_passes; i++)
        slopes[i] = 0;
    for (unsigned i = cb->u.enc.first_pass; i < cb->num_passes; i++) {
        const coding_pass *pass = &cb->u.enc.passes[i];
        int64_t bytes = pass_cost(rc, cb, i);
        if (rc->ht && bytes == 0)
            continue; /* not tried */
        for (;;) {
            int top = points ? hull[points - 1] : -1;
            double gain = (pass->reduction - (top < 0 ? 0 : cb->u.enc.passes[top].reduction)) * weight;
            int64_t cost = bytes - (top < 0 ? 0 : pass_cost(rc, cb, (unsigned)top));
            if (gain <= 0)
                break;
            double slope = cost > 0 ? gain * priority(rc, ref, i) / (double)cost : HUGE_VAL;
            if (top >= 0 && slope >= slopes[top]) {
                slopes[hull[--points]] = 0;
                continue;
            }
            slopes[i] = slope < 1e37 ? (float)slope : 1e37f;
            if (slopes[i] > 0)
                hull[points++] = (uint16_t)i;
            break;
        }
    }
}

/* Errors hide where there is structure. Weighing them by the inverse of a code-block's mean energy to this
 * small power, within each subband, costs 0.002 dB on average and raises the structural similarity at all
 * rates; larger powers trade one for the other. The offset is in squared sample units of 8 bits. */
static const double MASKING_POWER = 0.1, MASKING_OFFSET = 30;

static double log_activity(const rate_control *rc, const block_ref *ref) {
    double unit = exp2(2.0 * rc->siz->components[ref->component_index].depth - 16);
    double energy = ref->block->u.enc.energy * ref->band->weight / (double)rect_size(ref->block->area);
    return log(energy / unit + MASKING_OFFSET);
}

/* Mean over the code-blocks of the subband that refs[first] belongs to. */
static double mean_log_activity(const rate_control *rc, size_t first) {
    double sum = 0, area = 0;
    for (size_t i = first; i < rc->count && rc->refs[i].band == rc->refs[first].band; i++) {
        double size = (double)rect_size(rc->refs[i].block->area);
        sum += size * log_activity(rc, &rc->refs[i]);
        area += size;
    }
    return sum / area;
}

static double visual_weight(const rate_control *rc, const block_ref *ref) {
    uint32_t c = rc->colour ? ref->component_index : 0;
    visual_kind kind = c == 1 ? VISUAL_CB : c == 2 ? VISUAL_CR : VISUAL_LUMINANCE;
    return rc->visual ? j2k_visual_weight(kind, ref->band->level, ref->band->orientation) : 1;
}

static void find_slopes(rate_control *rc) {
    rc->min_slope = HUGE_VALF;
    rc->max_slope = 0;
    double weight = 0, mean = 0;
    for (size_t i = 0; i < rc->count; i++) {
        const block_ref *ref = &rc->refs[i];
        const codeblock *cb = ref->block;
        bool masked = rc->masking && ref->band->orientation != BAND_LL;
        if (i == 0 || ref->band != ref[-1].band) {
            weight = ref->band->weight * visual_weight(rc, ref);
            mean = masked ? mean_log_activity(rc, i) : 0;
        }
        double factor = masked ? exp(MASKING_POWER * (mean - log_activity(rc, ref))) : 1;
        find_hull(rc, ref, weight * factor, cb->u.enc.slopes);
        for (unsigned p = 0; p < cb->num_passes; p++)
            if (cb->u.enc.slopes[p] > 0) {
                rc->min_slope = fminf(rc->min_slope, cb->u.enc.slopes[p]);
                rc->max_slope = fmaxf(rc->max_slope, cb->u.enc.slopes[p]);
            }
    }
}

j2k_status j2k_rate_prepare(rate_control *rc, arena *memory) {
    size_t passes = 0;
    for (size_t i = 0; i < rc->count; i++)
        passes += rc->refs[i].block->num_passes;
    float *slopes = ARENA_ALLOC(memory, float, passes);
    RETURN_IF(rc->count > SIZE_MAX / 2 / rc->num_layers, J2K_ERROR_MEMORY);
    uint16_t *layers = ARENA_ALLOC_ZERO(memory, uint16_t, rc->count * rc->num_layers);
    rc->steps = ARENA_ALLOC(memory, rate_step, rc->count);
    RETURN_IF(!slopes || !layers || !rc->steps, J2K_ERROR_MEMORY);
    for (size_t i = 0; i < rc->count; i++) {
        codeblock *cb = rc->refs[i].block;
        cb->u.enc.slopes = slopes;
        cb->u.enc.layer_passes = layers;
        slopes += cb->num_passes;
        layers += rc->num_layers;
    }
    find_slopes(rc);
    return J2K_OK;
}

static unsigned passes_below(const codeblock *cb, uint32_t layer) {
    return layer ? cb->u.enc.layer_passes[layer - 1] : 0;
}

static bool considered(const rate_control *rc, const block_ref *ref) {
    return !rc->one_component || ref->component_index == rc->component;
}

static void take_passes(const rate_control *rc, codeblock *cb, uint32_t layer, unsigned passes) {
    cb->u.enc.layer_passes[layer] = (uint16_t)passes;
    if (rc->ht && !rc->committed)
        cb->u.enc.first_pass = (uint16_t)(passes ? (passes - 1) / 3 * 3 : 0);
}

void j2k_rate_commit(rate_control *rc) {
    for (size_t i = 0; i < rc->count; i++) {
        codeblock *cb = rc->refs[i].block;
        cb->num_passes = cb->u.enc.layer_passes[rc->num_layers - 1];
        memset(cb->u.enc.layer_passes, 0, (rc->num_layers - 1) * sizeof *cb->u.enc.layer_passes);
    }
    rc->committed = true;
    find_slopes(rc);
}

void j2k_rate_everything(rate_control *rc, uint32_t layer) {
    for (size_t i = 0; i < rc->count; i++)
        take_passes(rc, rc->refs[i].block, layer, rc->refs[i].block->num_passes);
}

/* Fill `layer` with all hull points of at least this slope. */
static void fill_layer(rate_control *rc, uint32_t layer, float threshold) {
    for (size_t i = 0; i < rc->count; i++) {
        if (!considered(rc, &rc->refs[i]))
            continue;
        codeblock *cb = rc->refs[i].block;
        unsigned below = passes_below(cb, layer), n = cb->num_passes;
        while (n > below && !(cb->u.enc.slopes[n - 1] > 0 && cb->u.enc.slopes[n - 1] >= threshold))
            n--;
        take_passes(rc, cb, layer, n);
    }
}

double j2k_rate_error_left(const rate_control *rc, uint32_t layer) {
    double error = 0;
    for (size_t i = 0; i < rc->count; i++) {
        const codeblock *cb = rc->refs[i].block;
        unsigned n = cb->u.enc.layer_passes[layer];
        double left = cb->u.enc.energy - (n > cb->u.enc.first_pass ? cb->u.enc.passes[n - 1].reduction : 0);
        error += left * rc->refs[i].band->weight;
    }
    return error;
}

/* ---- single steps ---- */

/* The step of code-block `index` between two pass counts, which is to leave it at `passes`. */
static rate_step make_step(const rate_control *rc, size_t index, unsigned from, unsigned to,
                           unsigned passes) {
    const block_ref *ref = &rc->refs[index];
    const codeblock *cb = ref->block;
    int64_t bytes = pass_cost(rc, cb, to - 1) - (from ? pass_cost(rc, cb, from - 1) : 0);
    double before = from ? cb->u.enc.passes[from - 1].reduction : 0;
    rate_step step = {.slope = cb->u.enc.slopes[to - 1],
                      .bytes = (uint32_t)(bytes > 0 ? bytes : 0),
                      .error = (cb->u.enc.passes[to - 1].reduction - before) * ref->band->weight,
                      .passes = (uint16_t)passes,
                      .index = index};
    return step;
}

static int by_rising_slope(const void *a, const void *b) {
    const rate_step *x = a, *y = b;
    if (x->slope != y->slope)
        return x->slope < y->slope ? -1 : 1;
    return x->index != y->index ? (x->index < y->index ? -1 : 1) : 0;
}
static int by_falling_slope(const void *a, const void *b) {
    return by_rising_slope(b, a);
}

/* The best step of a code-block that fits into the bytes: to any of its passes, on the hull or not. */
static bool best_step(const rate_control *rc, size_t index, uint32_t layer, uint64_t bytes, rate_step *best) {
    const codeblock *cb = rc->refs[index].block;
    unsigned from = cb->u.enc.layer_passes[layer];
    best->slope = 0;
    for (unsigned to = from + 1; to <= cb->num_passes; to++) {
        if (rc->ht && !(cb->u.enc.slopes[to - 1] > 0))
            continue; /* HT sets are alternatives: not each of them is a step */
        rate_step step = make_step(rc, index, from, to, to);
        if (step.bytes > bytes)
            break;
        step.slope = (float)(step.error / fmax(step.bytes, 0.5));
        if (step.slope > best->slope)
            *best = step;
    }
    return best->slope > 0;
}

static size_t list_steps(rate_control *rc, uint32_t layer, uint64_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < rc->count; i++)
        if (considered(rc, &rc->refs[i]) && best_step(rc, i, layer, bytes, &rc->steps[n]))
            n++;
    qsort(rc->steps, n, sizeof *rc->steps, by_falling_slope);
    return n;
}

/* Exchange a code-block's number of passes for the step's: done twice, the step is undone. */
static void swap_passes(const rate_control *rc, uint32_t layer, rate_step *step) {
    codeblock *cb = rc->refs[step->index].block;
    uint16_t before = cb->u.enc.layer_passes[layer];
    take_passes(rc, cb, layer, step->passes);
    step->passes = before;
}

/* Take the best steps that fit with some bytes each for the growth of packet headers. Returns whether any was
 * taken. */
static j2k_status add_steps(rate_control *rc, uint32_t layer, uint64_t bytes, uint64_t *used, bool *any) {
    enum { HEADER_BYTES = 3 };
    uint64_t left = bytes - *used, size;
    size_t n = list_steps(rc, layer, left), taken = 0;
    for (size_t i = 0; i < n; i++) {
        rate_step step = rc->steps[i];
        if (step.bytes + HEADER_BYTES > left)
            continue;
        left -= step.bytes + HEADER_BYTES;
        swap_passes(rc, layer, &step);
        rc->steps[taken++] = step;
    }
    *any = taken > 0;
    if (!taken)
        return J2K_OK;
    TRY(j2k_rate_packet_bytes(rc, layer, &size));
    if (size <= bytes) {
        *used = size;
        return J2K_OK;
    }
    *any = false;
    while (taken > 0)
        swap_passes(rc, layer, &rc->steps[--taken]);
    return J2K_OK;
}

/* The same step by step, each one counted: for the last few bytes of small images. */
static j2k_status try_steps(rate_control *rc, uint32_t layer, uint64_t bytes, uint64_t *used, bool *any) {
    enum { MOST_TRIES = 64 };
    *any = false;
    size_t n = list_steps(rc, layer, bytes - *used);
    for (size_t i = 0; i < n && i < MOST_TRIES; i++) {
        uint64_t size;
        if (rc->steps[i].bytes > bytes - *used)
            continue;
        swap_passes(rc, layer, &rc->steps[i]);
        TRY(j2k_rate_packet_bytes(rc, layer, &size));
        if (size <= bytes) {
            *used = size;
            *any = true;
        } else {
            swap_passes(rc, layer, &rc->steps[i]);
        }
    }
    return J2K_OK;
}

/* Use up what the threshold leaves. */
static j2k_status fill_up(rate_control *rc, uint32_t layer, uint64_t bytes, uint64_t *used) {
    enum { MOST_ROUNDS = 12 };
    bool any = true;
    for (int round = 0; any && round < MOST_ROUNDS && (double)*used < FULL * (double)bytes; round++) {
        TRY(add_steps(rc, layer, bytes, used, &any));
        if (!any && (double)*used < ENOUGH * (double)bytes)
            TRY(try_steps(rc, layer, bytes, used, &any));
    }
    return J2K_OK;
}

/* The best step back of a code-block that adds at most `error`: to any number of passes from `below` on, on
 * the hull or not. Its slope is bytes for error. */
static bool best_step_back(const rate_control *rc, size_t index, uint32_t layer, double error,
                           rate_step *best) {
    const codeblock *cb = rc->refs[index].block;
    unsigned to = cb->u.enc.layer_passes[layer], below = passes_below(cb, layer);
    best->slope = 0;
    for (unsigned from = to; from-- > below;) {
        if (rc->ht && from && !(cb->u.enc.slopes[from - 1] > 0))
            continue;
        rate_step step = make_step(rc, index, from, to, from);
        if (step.error > error)
            break;
        step.slope = step.error > 0 ? (float)fmin(step.bytes / step.error, 1e37) : 1e37F;
        if (step.bytes > 0 && step.slope > best->slope)
            *best = step;
    }
    return best->slope > 0;
}

/* Leave out the passes with most bytes for the error that is left to be had. */
static void drop_steps(rate_control *rc, uint32_t layer, double error) {
    enum { MOST_ROUNDS = 6 };
    bool any = true;
    for (int round = 0; any && round < MOST_ROUNDS; round++) {
        size_t n = 0;
        any = false;
        for (size_t i = 0; i < rc->count; i++)
            if (best_step_back(rc, i, layer, error, &rc->steps[n]))
                n++;
        qsort(rc->steps, n, sizeof *rc->steps, by_falling_slope);
        for (size_t i = 0; i < n; i++)
            if (rc->steps[i].error <= error) {
                error -= rc->steps[i].error;
                take_passes(rc, rc->refs[rc->steps[i].index].block, layer, rc->steps[i].passes);
                any = true;
            }
    }
}

/* ---- targets ---- */

j2k_status j2k_rate_packet_bytes(rate_control *rc, uint32_t layer, uint64_t *bytes) {
    *bytes = 0;
    for (uint32_t i = 0; i < rc->num_tiles; i++) {
        tile *t = &rc->tiles[i];
        tile_style shorter = *t->style; /* as if there were no layers above */
        shorter.num_layers = (uint16_t)(layer + 1);
        const tile_style *style = t->style;
        t->style = &shorter;
        j2k_arena_reset(rc->scratch);
        packet_iterator *it = j2k_packets_begin(t, rc->siz, rc->scratch);
        j2k_status status = it ? J2K_OK : J2K_ERROR_MEMORY;
        if (it)
            j2k_packets_prepare(t);
        packet_id id;
        byte_sink counter = {NULL, 0, 0};
        for (uint32_t n = 0; status == J2K_OK && j2k_packets_next(it, &id); n++)
            if (!rc->one_component || id.component == rc->component)
                status = j2k_packet_write(t, id, &counter, n);
        t->style = style;
        TRY(status);
        *bytes += counter.size;
    }
    return J2K_OK;
}

/* Search the threshold on a logarithmic scale. Between a threshold that fits and one that does not, the bytes
 * are close to a power law, so that interpolation (with bisection as a safeguard) needs few packet counts. */
j2k_status j2k_rate_for_bytes(rate_control *rc, uint32_t layer, uint64_t bytes, uint64_t *used) {
    fill_layer(rc, layer, HUGE_VALF);
    TRY(j2k_rate_packet_bytes(rc, layer, used));
    if (*used > bytes || rc->max_slope == 0)
        return J2K_OK; /* not even empty packets fit: the caller gets the smallest there is */
    fill_layer(rc, layer, 0);
    uint64_t all;
    TRY(j2k_rate_packet_bytes(rc, layer, &all));
    if (all <= bytes) {
        *used = all;
        return J2K_OK;
    }
    double fits = log2((double)rc->max_slope) + 1e-3, over = log2((double)rc->min_slope);
    double fits_bytes = (double)*used, over_bytes = (double)all;
    for (int step = 0; step < 40 && fits - over > 1e-6; step++) {
        double share = log((double)bytes / fits_bytes) / log(over_bytes / fits_bytes);
        if (step % 3 == 2 || !(share > 0.02 && share < 0.98))
            share = 0.5;
        double middle = fits - share * (fits - over);
        uint64_t size;
        fill_layer(rc, layer, (float)exp2(middle));
        TRY(j2k_rate_packet_bytes(rc, layer, &size));
        if (size <= bytes) {
            fits = middle;
            fits_bytes = (double)size;
            *used = size;
            if ((double)size >= FULL * (double)bytes)
                return J2K_OK;
        } else {
            over = middle;
            over_bytes = (double)size;
        }
    }
    fill_layer(rc, layer, (float)exp2(fits));
    return fill_up(rc, layer, bytes, used);
}

void j2k_rate_for_error(rate_control *rc, uint32_t layer, double squared_error) {
    fill_layer(rc, layer, HUGE_VALF);
    if (rc->max_slope == 0 || j2k_rate_error_left(rc, layer) <= squared_error)
        return;
    double over = log2((double)rc->max_slope) + 1e-3, fits = log2((double)rc->min_slope) - 1e-3;
    for (int step = 0; step < 40 && over - fits > 1e-6; step++) {
        double middle = (over + fits) / 2;
        fill_layer(rc, layer, (float)exp2(middle));
        if (j2k_rate_error_left(rc, layer) <= squared_error)
            fits = middle;
        else
            over = middle;
    }
    fill_layer(rc, layer, (float)exp2(fits));
    drop_steps(rc, layer, squared_error - j2k_rate_error_left(rc, layer));
}
