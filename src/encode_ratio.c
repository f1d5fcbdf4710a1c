/* Part 1 with the 9/7: the quantiser step for a compression ratio.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "encode.h"
#include "jp2.h"
#include "markers.h"

/* Truncation makes any rate out of any fine step, but not equally well: the convex hull of coding passes has
 * its best points where a bit-plane is complete, good ones behind the significance propagation passes, and is
 * up to 0.6 dB worse between them. Steps a power of two apart give the same passes, so that it is the step's
 * place within an octave, its phase, that has to be chosen. And a step that leaves few passes to throw away
 * saves the time to code them.
 *
 * So the image is coded on trial with a power of two (of a large image some code-blocks are). The passes say
 * how many bytes they take with 1, 2, 4 ... times the trial's step, from which follows the step whose last
 * bit-plane just fits into the bytes wanted: that is the second trial. The one that leaves less error is
 * taken. Where it is the first, or trials cost little, the place half an octave below complete bit-planes is
 * tried as well. */

enum {
    MOST_TRIALS = 8,
    SAMPLED_BLOCKS = 512, /* code-blocks that are enough to choose by */
    MOST_SKIPPED = 16,
    MAX_OCTAVES = 12,
    FEW_BYTES = 16384,
    BIN_BITS = 4, /* slopes in bins of 1/16 octave */
    NUM_BINS = 1 << (8 + BIN_BITS),
};

/* What a code-block adds to packet headers, about. */
static const double HEADER_BYTES = 3;

/* All tiles and their code-blocks, coded. */
typedef struct coded_image {
    tile *tiles; /* NULL: not */
    uint32_t num_tiles;
    block_ref *refs;
    size_t num_refs;
    uint8_t guard_bits; /* that the data turned out to need */
} coded_image;

/* A trial: what the passes of all code-blocks at this base step come to. */
typedef struct trial {
    coded_image coded; /* when all of it was coded */
    double step;
    double bytes[MAX_OCTAVES]; /* of all passes when the lowest 0, 1, 2 ... bit-planes are left out */
    double error;              /* that is left when the best passes fill the bytes wanted; */
    bool enough;               /* false: all of them do not fill the bytes */
} trial;

typedef struct slope_bin {
    double bytes, error;
} slope_bin;

typedef struct chooser {
    encoder *e;
    double wanted;  /* bytes of packets */
    unsigned every; /* of so many code-blocks one is tried */
    uint32_t every_tile;
    slope_bin *bins;
} chooser;

static unsigned bin_of(float slope) {
    uint32_t bits;
    memcpy(&bits, &slope, sizeof bits);
    return bits >> (23 - BIN_BITS);
}

/* Enter a code-block's passes; returns its squared error without any. */
static double enter_block(const chooser *c, const block_ref *ref, double share, trial *t) {
    const codeblock *cb = ref->block;
    double weight = ref->band->weight;
    for (unsigned k = 0, n = cb->num_passes; k < MAX_OCTAVES && n > 0; k++, n = n > 3 ? n - 3 : 0)
        t->bytes[k] += share * (cb->u.enc.passes[n - 1].length + HEADER_BYTES);
    double reduction = 0, length = -HEADER_BYTES;
    for (unsigned i = 0; i < cb->num_passes; i++) {
        if (!(cb->u.enc.slopes[i] > 0))
            continue;
        const coding_pass *pass = &cb->u.enc.passes[i];
        slope_bin *bin = &c->bins[bin_of(cb->u.enc.slopes[i])];
        bin->bytes += share * (pass->length - length);
        bin->error += share * weight * (pass->reduction - reduction);
        length = pass->length;
        reduction = pass->reduction;
    }
    return share * weight * cb->u.enc.energy;
}

/* The best passes that fit, and what they leave. */
static void fill_bytes(const chooser *c, double energy, trial *t) {
    double bytes = 0, removed = 0;
    t->enough = false;
    for (unsigned i = NUM_BINS; i-- > 0 && !t->enough;) {
        slope_bin bin = c->bins[i];
        double fits = bytes + bin.bytes <= c->wanted ? 1 : (c->wanted - bytes) / bin.bytes;
        removed += fits * bin.error;
        bytes += bin.bytes;
        t->enough = fits < 1;
    }
    t->error = energy - removed;
}

/* The same as it will be in the end: where there are few passes it matters which of them fit. */
static j2k_status fill_exactly(const chooser *c, rate_control *rate, trial *t) {
    uint64_t used;
    TRY(j2k_rate_for_bytes(rate, 0, (uint64_t)c->wanted, &used));
    t->error = fmax(j2k_rate_error_left(rate, 0), 1e-9);
    t->enough = (double)used >= 0.99 * c->wanted;
    return J2K_OK;
}

static j2k_status code_all(const chooser *c, trial *t, double *energy) {
    encoder *e = c->e;
    TRY(j2k_encode_code_tiles(e));
    TRY(j2k_encode_fit_guard_bits(e));
    t->coded =
        (coded_image){e->tiles, e->num_tiles, e->refs, e->num_refs, e->cs.components[0].quant.guard_bits};
    rate_control rate = j2k_encode_rate_control(e, 1);
    TRY(j2k_rate_prepare(&rate, &e->context->memory));
    for (size_t k = 0; k < rate.count; k++)
        *energy += enter_block(c, &rate.refs[k], 1, t);
    return c->wanted < FEW_BYTES ? fill_exactly(c, &rate, t) : J2K_OK;
}

/* Keep some code-blocks of the subbands that have many; shares[i]: how many refs[i] stands for. */
static size_t thin_out(const chooser *c, block_ref *refs, size_t count, double *shares) {
    size_t kept = 0;
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && refs[i + n].band == refs[i].band;)
            n++;
        size_t first = kept;
        for (size_t k = i; k < i + n; k++)
            if (n < 4 * (size_t)c->every || j2k_kept_in_sample(k - i, c->every))
                refs[kept++] = refs[k];
        for (size_t k = first; k < kept; k++)
            shares[k] = (double)n / (double)(kept - first) * c->every_tile;
    }
    return kept;
}

static j2k_status code_sample(const chooser *c, trial *t, double *energy) {
    encoder *e = c->e;
    j2k_context *context = e->context;
    for (unsigned i = 0; i < context->num_workers; i++)
        j2k_arena_reset(&context->workers[i].results);
    for (uint32_t i = 0; i < e->cs.siz.tiles_x * e->cs.siz.tiles_y; i += c->every_tile) {
        tile some;
        rate_control rate = j2k_encode_rate_control(e, 1);
        j2k_arena_reset(&context->work);
        TRY(j2k_encode_load_tile(e, i, &context->work, &some));
        TRY(j2k_tile_open_blocks(&some, &context->work, &rate.refs, &rate.count));
        double *shares = ARENA_ALLOC(&context->work, double, rate.count);
        RETURN_IF(!shares, J2K_ERROR_MEMORY);
        rate.count = thin_out(c, rate.refs, rate.count, shares);
        TRY(j2k_blocks_encode_all(context, rate.refs, rate.count, e->ht));
        TRY(j2k_rate_prepare(&rate, &context->work));
        for (size_t k = 0; k < rate.count; k++)
            *energy += enter_block(c, &rate.refs[k], shares[k], t);
    }
    return J2K_OK;
}

static j2k_status try_step(const chooser *c, double step, trial *t) {
    c->e->base_step = step;
    j2k_encode_quantise(c->e);
    memset(t, 0, sizeof *t);
    memset(c->bins, 0, NUM_BINS * sizeof *c->bins);
    t->step = step;
    double energy = 0;
    bool all = c->every == 1 && c->every_tile == 1;
    TRY(all ? code_all(c, t, &energy) : code_sample(c, t, &energy));
    if (t->error == 0)
        fill_bytes(c, energy, t);
    return J2K_OK;
}

/* The step, in octaves above the trial's, with which all passes take just the bytes wanted. */
static double octaves_to_fill(const chooser *c, const trial *t) {
    double wanted = log2(c->wanted), y[MAX_OCTAVES];
    unsigned n = 0;
    for (; n < MAX_OCTAVES && t->bytes[n] > 0; n++)
        y[n] = log2(t->bytes[n]);
    if (n < 2)
        return 0;
    unsigned k = 0;
    while (k + 2 < n && y[k + 1] > wanted)
        k++;
    /* A parabola through three points, corrected from the chord. */
    double f = (y[k] - wanted) / fmax(y[k] - y[k + 1], 1e-3);
    unsigned first = k + 2 < n ? k : k ? k - 1 : k;
    double bend = n > 2 ? (y[first] - 2 * y[first + 1] + y[first + 2]) / 2 : 0;
    if (f > 0 && f < 1)
        f += bend * f * (f - 1) / fmax(y[k] - y[k + 1], 1e-3);
    return k + fmin(fmax(f, -3), 6);
}

/* The power of two (times the mean norm of the colour transform) not above step. */
static double power_of_two(const encoder *e, double step) {
    double unit = j2k_encode_unit_step(e);
    return unit * exp2(floor(log2(step / unit)));
}

/* Whether a step has the place within an octave that was tried already. */
static bool tried(const trial *trials, unsigned count, double step) {
    for (unsigned i = 0; i < count; i++) {
        double octaves = log2(trials[i].step / step);
        if (trials[i].enough && fabs(octaves - floor(octaves + 0.5)) < 0.03)
            return true;
    }
    return false;
}

/* What was coded on trial is the result. */
static void take_over(encoder *e, const trial *t) {
    e->base_step = t->step;
    j2k_encode_quantise(e);
    for (uint32_t c = 0; c < e->cs.siz.num_components; c++)
        e->cs.components[c].quant.guard_bits = t->coded.guard_bits;
    e->tiles = t->coded.tiles;
    e->num_tiles = t->coded.num_tiles;
    e->refs = t->coded.refs;
    e->num_refs = t->coded.num_refs;
    e->coded = true;
}

static size_t header_bytes(encoder *e) {
    byte_sink counter = {NULL, 0, 0};
    if (e->options.format != J2K_FORMAT_CODESTREAM)
        j2k_jp2_begin(&counter, &e->cs, e->options.format, e->image->colour_space);
    j2k_write_main_header(&counter, &e->cs, e->options.comment);
    j2k_write_com(&counter, e->options.note);
    j2k_write_eoc(&counter);
    return counter.size;
}

j2k_status j2k_encode_choose_ratio_step(encoder *e, double bytes, double *step) {
    static const double COMPLETE = 0.05, SAMPLED_COMPLETE = 0.08, HALF = 0.47;
    static const double LOW_RATE = 0.3; /* bits a sample */
    uint32_t tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    double blocks = (double)e->num_samples / (e->options.codeblock_width * e->options.codeblock_height);
    double around = (double)header_bytes(e) + 14.0 * tiles;
    chooser c = {.e = e, .wanted = fmax(bytes - around, 8), .every_tile = 1};
    c.every = (unsigned)fmin(fmax(blocks / SAMPLED_BLOCKS, 1), MOST_SKIPPED);
    if (!j2k_encode_keeps_tiles(e))
        c.every_tile = tiles / MOST_SKIPPED + 1;
    c.bins = ARENA_ALLOC(&e->context->memory, slope_bin, NUM_BINS);
    RETURN_IF(!c.bins, J2K_ERROR_MEMORY);
    trial trials[MOST_TRIALS];
    unsigned count = 0, best = 0;
    double fills = 0, finest = j2k_encode_finest_step(e), guess;
    bool sampled = c.every > 1 || c.every_tile > 1;
    TRY(j2k_encode_guess_step(e, c.wanted, &guess));
    /* At low rates a few code-blocks are worth passes of one bit-plane more. */
    double more = 8 * c.wanted / (double)e->num_samples < LOW_RATE ? 0.5 : 1;
    double next = fmax(power_of_two(e, guess * 0.97 * more), finest);
    do { /* a power of two that is fine enough */
        TRY(try_step(&c, next, &trials[count]));
        fills = next * exp2(octaves_to_fill(&c, &trials[count]));
        next = fmax(power_of_two(e, fmin(fills * 0.97 * more, next * 0.5)), finest);
    } while (!trials[count++].enough && trials[count - 1].step > finest && count < MOST_TRIALS / 2);
    best = count - 1;
    const double below[] = {sampled ? SAMPLED_COMPLETE : COMPLETE, HALF};
    for (unsigned i = 0; i < 2 && trials[best].enough; i++) {
        next = fmax(fills * more * exp2(-below[i]), finest);
        if (tried(trials, count, next) || (i > 0 && !sampled && (best != 0 || count < 2)))
            continue;
        TRY(try_step(&c, next, &trials[count]));
        if (trials[count].enough && trials[count].error < trials[best].error)
            best = count;
        count++;
    }
    *step = trials[best].step;
    if (trials[best].coded.tiles)
        take_over(e, &trials[best]);
    /* No finer than needed: by whole octaves nothing changes but the passes that are thrown away. */
    double octaves = floor(log2(fills / *step) - 0.02);
    if (sampled && trials[best].enough)
        *step *= exp2(fmax(octaves, 0));
    return J2K_OK;
}
