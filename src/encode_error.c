/* Maximum error: no sample may differ from the original by more than a bound.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "encode.h"
#include "image.h"
#include "transform.h"

/* A quantiser alone leaves errors that are nearly normally distributed, so that the largest of a million is
 * five times their deviation, and a step for which even that one is inside the bound wastes a bit a sample.
 * Here the step is larger, and the few samples outside are brought in by changing coefficients: what they are
 * off beyond the bound is taken back from the image, transformed (the wavelet is linear), added to the
 * coefficients, and those that are near an edge of the quantiser's intervals fall into the next one; again
 * and again until no sample is outside. (That is an alternating projection onto the images inside the bound
 * and those that the quantiser can say.) A decoder needs to know nothing of it. Steps are tried from where
 * this works easily to where it does no longer; the smallest result counts, or lossless coding when that is
 * smaller. */

enum {
    MOST_STEPS = 40,
    FRACTION = 16,     /* differences and corrections are in units of 1/16 */
    PUSH = 3,          /* the least correction: less would not move a coefficient */
    MOST_ROUNDS = 120, /* of corrections at one step */
};

/* Corrections are a part of what is missing: more of it makes the coefficients of many samples move at once.
 */
static const double EAGERNESS = 0.3;
/* Eight rounds are to bring so many of the samples inside. */
static const double SLOWEST = 0.88;
/* Ratio of successive steps. */
static const double FACTOR = 1.08;

typedef struct bounded {
    encoder *e;
    int32_t bound;
    int32_t margin;       /* in 1/16: for decoders that round the other way */
    void **originals;     /* coefficients of every subband, as the wavelet made them */
    j2k_component *views; /* of the decoded image, and then of corrections: 32-bit samples */
    j2k_image decoded;
} bounded;

/* ---- subbands ---- */

typedef void (*band_task)(const bounded *b, size_t index, subband *band, subband *other);

static size_t plane_bytes(const plane *p) {
    return (size_t)p->stride * rect_height(p->area) * sizeof(float);
}

/* Visit all subbands of a tile (`index` counts those of all tiles), with those of another tree of the same
 * shape. */
static size_t visit_bands(const bounded *b, tile *t, tile *other, size_t index, band_task task) {
    for (uint32_t c = 0; c < t->num_components; c++)
        for (unsigned r = 0; r < t->components[c].num_resolutions; r++)
            for (unsigned i = 0; i < t->components[c].resolutions[r].num_bands; i++, index++)
                task(b, index, &t->components[c].resolutions[r].bands[i],
                     other ? &other->components[c].resolutions[r].bands[i] : NULL);
    return index;
}

static void visit_all(const bounded *b, band_task task) {
    size_t index = 0;
    for (uint32_t i = 0; i < b->e->num_tiles; i++)
        index = visit_bands(b, &b->e->tiles[i], NULL, index, task);
}

static void restore_band(const bounded *b, size_t index, subband *band, subband *other) {
    (void)other;
    memcpy(band->coefficients.data, b->originals[index], plane_bytes(&band->coefficients));
}

static void copy_band(const bounded *b, size_t index, subband *band, subband *other) {
    (void)other;
    b->originals[index] = j2k_arena_alloc(&b->e->context->memory, plane_bytes(&band->coefficients), 1);
    if (b->originals[index])
        memcpy(b->originals[index], band->coefficients.data, plane_bytes(&band->coefficients));
}

static void add_band(const bounded *b, size_t index, subband *band, subband *other) {
    (void)b;
    (void)index;
    float *to = band->coefficients.data;
    const float *from = other->coefficients.data;
    for (uint32_t y = 0; y < rect_height(band->area); y++) {
        for (uint32_t x = 0; x < rect_width(band->area); x++)
            to[x] += from[x] * (1.0f / FRACTION);
        to += band->coefficients.stride;
        from += other->coefficients.stride;
    }
}

static void count_band(const bounded *b, size_t index, subband *band, subband *other) {
    (void)band;
    (void)other;
    *(size_t *)b->originals = index + 1;
}

/* ---- samples ---- */

static j2k_status make_views(bounded *b) {
    encoder *e = b->e;
    uint32_t n = e->image->num_components;
    b->views = ARENA_ALLOC(&e->context->memory, j2k_component, n);
    RETURN_IF(!b->views, J2K_ERROR_MEMORY);
    for (uint32_t c = 0; c < n; c++) {
        j2k_component *v = &b->views[c];
        *v = e->image->components[c];
        v->sample_step = 4;
        v->row_stride = (ptrdiff_t)v->width * 4;
        v->byte_swapped = false;
        v->data = j2k_arena_alloc(&e->context->memory, v->height, (size_t)v->row_stride);
        RETURN_IF(!v->data, J2K_ERROR_MEMORY);
    }
    b->decoded = *e->image;
    b->decoded.components = b->views;
    return J2K_OK;
}

/* What the views hold: decoded samples, the same in units of 1/16, or corrections, which have a sign and no
 * level shift. */
typedef enum view_kind { DECODED, DECODED_FINE, CORRECTIONS } view_kind;

static void set_view_types(const bounded *b, view_kind kind) {
    for (uint32_t c = 0; c < b->decoded.num_components; c++) {
        const j2k_component *original = &b->e->image->components[c];
        b->views[c].is_signed = kind == CORRECTIONS || original->is_signed;
        b->views[c].type = b->views[c].is_signed ? J2K_INT32 : J2K_UINT32;
        b->views[c].depth =
            kind == CORRECTIONS ? 30 : (uint8_t)(original->depth + (kind == DECODED_FINE ? 4 : 0));
    }
}

/* How far a sample is outside, in units of 1/16: other decoders may round the other way what is nearer to the
 * bound than the margin. */
static int32_t outside(const bounded *b, int32_t difference) {
    int64_t size = difference < 0 ? -(int64_t)difference : difference;
    int64_t most = (int64_t)FRACTION * b->bound + FRACTION / 2 - b->margin;
    return size > most ? (int32_t)(size - most) : 0;
}

/* Find the samples outside the bound and replace the decoded samples by what brings them back. */
static j2k_status find_corrections(const bounded *b, uint64_t *samples) {
    j2k_context *context = b->e->context;
    *samples = 0;
    for (uint32_t c = 0; c < b->decoded.num_components; c++) {
        const j2k_component *v = &b->views[c];
        arena_mark before = j2k_arena_mark(&context->work);
        int32_t *row = ARENA_ALLOC(&context->work, int32_t, v->width);
        RETURN_IF(!row, J2K_ERROR_MEMORY);
        int32_t shift =
            v->is_signed ? 0 : (int32_t)((uint32_t)1 << (v->depth - 1)); /* rows are loaded without */
        for (uint32_t y = 0; y < v->height; y++) {
            int32_t *decoded = (int32_t *)(void *)((char *)v->data + (ptrdiff_t)y * v->row_stride);
            j2k_load_row_int(context->dsp, &b->e->image->components[c], 0, y, v->width, row);
            for (uint32_t x = 0; x < v->width; x++) {
                int32_t d = row[x] * FRACTION - (decoded[x] - shift), more = outside(b, d);
                int32_t by = more ? (int32_t)(EAGERNESS * more) + PUSH : 0;
                *samples += more > 0;
                decoded[x] = d < 0 ? -by : by;
            }
        }
        j2k_arena_release(&context->work, before);
    }
    return J2K_OK;
}

/* Whether all decoded samples are inside the bound. */
static j2k_status check_samples(const bounded *b, bool *inside) {
    j2k_context *context = b->e->context;
    *inside = true;
    for (uint32_t c = 0; c < b->decoded.num_components; c++) {
        const j2k_component *v = &b->views[c];
        int32_t *rows = ARENA_ALLOC(&context->work, int32_t, 2 * (size_t)v->width);
        RETURN_IF(!rows, J2K_ERROR_MEMORY);
        for (uint32_t y = 0; y < v->height; y++) {
            j2k_load_row_int(context->dsp, &b->e->image->components[c], 0, y, v->width, rows);
            j2k_load_row_int(context->dsp, v, 0, y, v->width, rows + v->width);
            for (uint32_t x = 0; x < v->width; x++) {
                int32_t d = rows[x] - rows[v->width + x];
                *inside = *inside && d <= b->bound && d >= -b->bound;
            }
        }
    }
    return J2K_OK;
}

/* Transform the corrections and add them to the coefficients. */
static j2k_status add_corrections(bounded *b) {
    encoder *e = b->e;
    image_window window = {&b->decoded, e->areas};
    set_view_types(b, CORRECTIONS);
    for (uint32_t i = 0; i < e->num_tiles; i++) {
        tile correction;
        arena_mark before = j2k_arena_mark(&e->context->work);
        TRY(j2k_tile_build(&correction, &e->cs.siz, i, &e->cs.style, e->cs.components, &e->context->work,
                           &e->context->diag));
        TRY(j2k_tile_forward(e->context, &correction, window));
        visit_bands(b, &e->tiles[i], &correction, 0, add_band);
        j2k_arena_release(&e->context->work, before);
    }
    return J2K_OK;
}

/* ---- steps ---- */

static void set_step(bounded *b, double step) {
    encoder *e = b->e;
    e->base_step = step;
    j2k_encode_quantise(e);
    j2k_kept_requantise(e);
}

/* Bring all samples inside the bound at this step, if that works. */
static j2k_status project(bounded *b, double step, bool *inside) {
    set_step(b, step);
    visit_all(b, restore_band);
    uint64_t before = UINT64_MAX;
    *inside = false;
    b->e->decoded_scale = FRACTION;
    for (unsigned round = 0; round < MOST_ROUNDS; round++) {
        uint64_t samples;
        set_view_types(b, DECODED_FINE);
        TRY(j2k_kept_decode(b->e, -1, &b->decoded));
        TRY(find_corrections(b, &samples));
        *inside = samples == 0;
        if (*inside || (round % 8 == 7 && (double)samples > SLOWEST * (double)before))
            return J2K_OK;
        if (round % 8 == 7 || round == 0)
            before = samples;
        TRY(add_corrections(b));
    }
    return J2K_OK;
}

static j2k_status code(bounded *b, uint64_t *size) {
    encoder *e = b->e;
    TRY(j2k_kept_code(e, -1, 1));
    TRY(j2k_encode_fit_guard_bits(e));
    j2k_encode_capabilities(e);
    TRY(j2k_encode_one_layer(e));
    byte_sink counter = {NULL, 0, 0};
    TRY(j2k_encode_write(e, &counter, true));
    *size = counter.size;
    return J2K_OK;
}

/* Decode the stream as it will be written. */
static j2k_status verify(bounded *b, uint64_t size, bool *sound) {
    encoder *e = b->e;
    j2k_context *context = e->context;
    byte_sink sink = {j2k_arena_alloc(&context->memory, (size_t)size, 1), (size_t)size, 0};
    RETURN_IF(!sink.data, J2K_ERROR_MEMORY);
    TRY(j2k_encode_write(e, &sink, true));
    if (!context->verifier)
        context->verifier = j2k_context_create(context->num_workers, context->cpu);
    RETURN_IF(!context->verifier, J2K_ERROR_MEMORY);
    set_view_types(b, DECODED);
    TRY(j2k_decode(context->verifier, sink.data, sink.size, NULL, &b->decoded));
    j2k_arena_reset(&context->work);
    return check_samples(b, sound);
}

static j2k_status begin(bounded *b) {
    encoder *e = b->e;
    size_t count = 0;
    TRY(j2k_kept_begin(e));
    b->originals = (void **)&count;
    visit_all(b, count_band);
    void **originals = ARENA_ALLOC_ZERO(&e->context->memory, void *, count);
    RETURN_IF(!originals, J2K_ERROR_MEMORY);
    b->originals = originals;
    visit_all(b, copy_band);
    for (size_t i = 0; i < count; i++)
        RETURN_IF(!originals[i], J2K_ERROR_MEMORY);
    return make_views(b);
}

j2k_status j2k_encode_bounded(encoder *e, uint64_t lossless, bool *found) {
    bounded b = {.e = e, .bound = (int32_t)fmin(e->options.layer_quality[0], 1 << 26), .margin = 1};
    for (uint32_t c = 0; c < e->image->num_components; c++) /* some have constants of four digits only */
        b.margin = e->image->components[c].depth > 10 ? 4 : b.margin;
    TRY(begin(&b));
    /* The error's deviation is about a third of the step: begin where three deviations are inside. */
    double best_step = 0, step = 0.85 * b.bound * j2k_encode_unit_step(e) + 0.3;
    uint64_t best = lossless, last = UINT64_MAX;
    bool inside, any = false, upwards = true;
    for (unsigned trial = 0, worse = 0; trial < MOST_STEPS && worse < (upwards ? 2 : 1); trial++) {
        TRY(project(&b, step, &inside));
        uint64_t size = UINT64_MAX;
        if (inside)
            TRY(code(&b, &size));
        if (trial == 0)
            upwards = inside;
        any = any || inside;
        worse += any && size >= last;
        last = size;
        if (size < best) {
            best = size;
            best_step = step;
        }
        step *= upwards ? FACTOR : 1 / FACTOR;
    }
    *found = best_step > 0;
    if (!*found)
        return J2K_OK;
    TRY(project(&b, best_step, &inside));
    TRY(code(&b, &best));
    return verify(&b, best, found);
}
