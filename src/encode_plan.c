/* Encoder options: defaults, checks, and the headers that follow from them.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "colour.h"
#include "encode.h"
#include "image.h"
#include "qfactor.h"
#include "markers.h"
#include "profiles.h"
#include "quant.h"
#include "roi.h"

void j2k_encode_options_init(j2k_encode_options *options) {
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->num_layers = 1;
    options->irreversible = -1;
    options->colour_transform = -1;
    options->num_resolutions = 6;
    options->codeblock_width = options->codeblock_height = 64;
    options->guard_bits = 2;
    options->roi_component = -1;
}

size_t j2k_encode_bound(const j2k_image *image, const j2k_encode_options *options) {
    (void)options;
    uint64_t bytes = 65536;
    for (uint32_t c = 0; c < image->num_components; c++) {
        const j2k_component *component = &image->components[c];
        bytes += (uint64_t)component->width * component->height * ((component->depth + 9u) / 8) + 256;
    }
    bytes += bytes / 8;
    return bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

/* ---- checks ---- */

#define REFUSE(...) return j2k_fail(&e->context->diag, J2K_ERROR_ARGUMENT, __VA_ARGS__)

static unsigned sample_bytes(j2k_sample_type type) {
    return type == J2K_UINT8 || type == J2K_INT8 ? 1 : type == J2K_UINT16 || type == J2K_INT16 ? 2 : 4;
}

static bool power_of_two(uint32_t v, uint32_t low, uint32_t high) {
    return v >= low && v <= high && (v & (v - 1)) == 0;
}

static unsigned log2_exact(uint32_t v) {
    unsigned n = 0;
    while (v >>= 1)
        n++;
    return n;
}

static j2k_status check_component(encoder *e, uint32_t index) {
    const j2k_image *image = e->image;
    const j2k_component *c = &image->components[index];
    if (!c->data)
        REFUSE("component %u: data is NULL", index);
    if ((unsigned)c->type > J2K_INT32)
        REFUSE("component %u: unknown sample type %d", index, (int)c->type);
    if (c->depth < 1 || c->depth > J2K_MAX_DEPTH || c->depth > 8 * sample_bytes(c->type))
        REFUSE("component %u: depth %u does not fit its sample type", index, c->depth);
    if (c->dx < 1 || c->dx > 255 || c->dy < 1 || c->dy > 255)
        REFUSE("component %u: subsampling %u x %u is not in 1 to 255", index, c->dx, c->dy);
    rect area = {image->x0, image->y0, image->x1, image->y1};
    area = rect_ceil_div(area, c->dx, c->dy);
    if (rect_empty(area))
        REFUSE("component %u has no samples", index);
    if (c->width != rect_width(area) || c->height != rect_height(area))
        REFUSE("component %u is %u x %u, the image area makes it %u x %u", index, c->width, c->height,
               rect_width(area), rect_height(area));
    if (!j2k_samples_fit(c))
        REFUSE("component %u has samples outside its %u-bit %s range", index, c->depth,
               c->is_signed ? "signed" : "unsigned");
    e->raw_bytes += rect_size(area) * sample_bytes(c->type);
    e->num_samples += rect_size(area);
    return J2K_OK;
}

static j2k_status check_image(encoder *e) {
    const j2k_image *image = e->image;
    if (image->num_components < 1 || image->num_components > J2K_MAX_COMPONENTS || !image->components)
        REFUSE("%u components: 1 to %d are possible", image->num_components, J2K_MAX_COMPONENTS);
    if (image->x1 <= image->x0 || image->y1 <= image->y0)
        REFUSE("the image area (%u, %u) to (%u, %u) is empty", image->x0, image->y0, image->x1, image->y1);
    e->raw_bytes = e->num_samples = 0;
    for (uint32_t c = 0; c < image->num_components; c++)
        TRY(check_component(e, c));
    return J2K_OK;
}

static j2k_status check_max_error(encoder *e) {
    const j2k_encode_options *o = &e->options;
    double bound = o->layer_quality[0];
    if (o->num_layers != 1)
        REFUSE("num_layers %u: a maximum error goes with one layer", o->num_layers);
    if (!(bound >= 0 && bound <= UINT32_MAX && bound == floor(bound)))
        REFUSE("maximum error %g is not an integer of 0 or more", bound);
    if (bound == 0 && o->irreversible == 1)
        REFUSE("irreversible 1: a maximum error of 0 needs the reversible wavelet");
    if (o->max_bytes || o->max_component_bytes)
        REFUSE("max_bytes and max_component_bytes exclude a maximum error");
    return J2K_OK;
}

static j2k_status check_quality(encoder *e) {
    const j2k_encode_options *o = &e->options;
    if (o->num_layers < 1 || o->num_layers > J2K_MAX_LAYERS)
        REFUSE("num_layers %u is not in 1 to %d", o->num_layers, J2K_MAX_LAYERS);
    if ((unsigned)o->quality > J2K_QUALITY_MAX_ERROR)
        REFUSE("unknown quality mode %d", (int)o->quality);
    if (o->quality == J2K_QUALITY_LOSSLESS)
        return J2K_OK;
    if (o->quality == J2K_QUALITY_MAX_ERROR)
        return check_max_error(e);
    bool ratio = o->quality == J2K_QUALITY_RATIO;
    for (uint32_t i = 0; i < o->num_layers; i++) {
        double q = o->layer_quality[i];
        if (!(q >= 0 && q <= 1e9))
            REFUSE("layer %u: quality %g is not a %s", i, q, ratio ? "compression ratio" : "PSNR in dB");
        double before = i ? o->layer_quality[i - 1] : 0;
        bool everything_before = i && (ratio ? before <= 1 : before == 0);
        bool ordered = i == 0 || (!everything_before && (ratio ? q < before : q > before || q == 0));
        if (!ordered)
            REFUSE("layer %u: %s %g must be %s that of the layer before, %g", i, ratio ? "ratio" : "PSNR", q,
                   ratio ? "below" : "above", before);
    }
    return J2K_OK;
}

/* Every packet must be inside the bounds of some change. */
static j2k_status check_progression_changes(encoder *e) {
    const j2k_encode_options *o = &e->options;
    if (o->num_changes > J2K_MAX_PROGRESSION_CHANGES)
        REFUSE("%u progression_changes: at most %d are possible", o->num_changes,
               J2K_MAX_PROGRESSION_CHANGES);
    for (uint32_t i = 0; i < o->num_changes; i++) {
        const j2k_progression_change *change = &o->changes[i];
        if (change->first_resolution >= change->end_resolution ||
            change->end_resolution > J2K_MAX_RESOLUTIONS)
            REFUSE("progression_changes: entry %u has resolutions %u to %u", i, change->first_resolution,
                   change->end_resolution);
        if (change->first_component >= change->end_component ||
            change->end_component > e->image->num_components)
            REFUSE("progression_changes: entry %u has components %u to %u of %u", i, change->first_component,
                   change->end_component, e->image->num_components);
        if (change->end_layer < 1 || change->end_layer > o->num_layers)
            REFUSE("progression_changes: entry %u has layers up to %u of %u", i, change->end_layer,
                   o->num_layers);
        if ((unsigned)change->order > J2K_CPRL)
            REFUSE("progression_changes: entry %u has the unknown progression %d", i, (int)change->order);
    }
    for (uint32_t c = 0; o->num_changes && c < e->image->num_components; c++)
        for (uint32_t r = 0; r < o->num_resolutions; r++) {
            bool sent = false;
            for (uint32_t i = 0; i < o->num_changes && !sent; i++) {
                const j2k_progression_change *change = &o->changes[i];
                sent = change->end_layer == o->num_layers && c >= change->first_component &&
                       c < change->end_component && r >= change->first_resolution &&
                       r < change->end_resolution;
            }
            if (!sent)
                REFUSE("progression_changes do not send all layers of component %u, resolution %u", c, r);
        }
    return J2K_OK;
}

static j2k_status check_roi(encoder *e) {
    const j2k_encode_options *o = &e->options;
    const j2k_image *image = e->image;
    if (o->qfactor > 100)
        REFUSE("qfactor %u is not in 0 to 100", o->qfactor);
    if (o->qfactor && (o->base_step > 0 || o->quality != J2K_QUALITY_LOSSLESS || o->irreversible == 0))
        REFUSE("qfactor goes with the 9/7 wavelet and without base_step and any other quality");
    if (o->roi_component >= (int)image->num_components || o->roi_component < -1)
        REFUSE("roi_component %d: the image has %u components", o->roi_component, image->num_components);
    if (o->roi_shift > 37)
        REFUSE("roi_shift %u is not in 0 to 37", o->roi_shift);
    if (j2k_has_region(o) && (o->codeblock_style & J2K_STYLE_HT))
        REFUSE("roi_rects, roi_mask: HT code-blocks have no bit-planes that could come first");
    for (uint32_t i = 0; i < o->num_roi_rects; i++) {
        const j2k_rectangle *r = &o->roi_rects[i];
        if (r->x0 >= r->x1 || r->y0 >= r->y1 || r->x1 > image->x1 - image->x0 ||
            r->y1 > image->y1 - image->y0)
            REFUSE("roi_rects: (%u, %u) to (%u, %u) is not a rectangle inside the image of %u x %u", r->x0,
                   r->y0, r->x1, r->y1, image->x1 - image->x0, image->y1 - image->y0);
    }
    return J2K_OK;
}

static j2k_status check_structure(encoder *e) {
    const j2k_encode_options *o = &e->options;
    if ((unsigned)o->format > J2K_FORMAT_JPH)
        REFUSE("unknown format %d", (int)o->format);
    if (o->irreversible < -1 || o->irreversible > 1)
        REFUSE("irreversible %d is not -1, 0 or 1", o->irreversible);
    if (o->colour_transform < -1 || o->colour_transform > 1)
        REFUSE("colour_transform %d is not -1, 0 or 1", o->colour_transform);
    if (o->num_resolutions < 1 || o->num_resolutions > J2K_MAX_RESOLUTIONS)
        REFUSE("num_resolutions %u is not in 1 to %d", o->num_resolutions, J2K_MAX_RESOLUTIONS);
    if (!power_of_two(o->codeblock_width, 4, 1024) || !power_of_two(o->codeblock_height, 4, 1024) ||
        o->codeblock_width * o->codeblock_height > MAX_BLOCK_SIZE)
        REFUSE("code-block size %u x %u: powers of two from 4 to 1024 with a product of at most 4096 are "
               "possible",
               o->codeblock_width, o->codeblock_height);
    if (o->codeblock_style >= 128)
        REFUSE("unknown code-block style %u", o->codeblock_style);
    if ((o->codeblock_style & J2K_STYLE_HT) && (o->codeblock_style & ~(J2K_STYLE_HT | J2K_STYLE_CAUSAL)))
        REFUSE("code-block style %u: high-throughput coding goes with none but the vertically causal style",
               o->codeblock_style);
    if ((unsigned)o->progression > J2K_CPRL)
        REFUSE("unknown progression %d", (int)o->progression);
    if ((o->tile_width == 0) != (o->tile_height == 0))
        REFUSE("tile size %u x %u: both or none must be 0", o->tile_width, o->tile_height);
    if (o->tile_width) {
        if (o->tile_x0 > e->image->x0 || o->tile_y0 > e->image->y0 ||
            (uint64_t)o->tile_x0 + o->tile_width <= e->image->x0 ||
            (uint64_t)o->tile_y0 + o->tile_height <= e->image->y0)
            REFUSE("tile grid origin (%u, %u): the first tile must contain the image origin (%u, %u)",
                   o->tile_x0, o->tile_y0, e->image->x0, e->image->y0);
    }
    if (o->num_precincts > J2K_MAX_RESOLUTIONS)
        REFUSE("%u precinct sizes: at most %d are possible", o->num_precincts, J2K_MAX_RESOLUTIONS);
    for (uint32_t i = 0; i < o->num_precincts; i++)
        if (!power_of_two(o->precinct_width[i], i + 1 < o->num_resolutions ? 2 : 1, 32768) ||
            !power_of_two(o->precinct_height[i], i + 1 < o->num_resolutions ? 2 : 1, 32768))
            REFUSE("precinct size %u x %u: powers of two up to 32768 are possible, from 2 (lowest "
                   "resolution: 1)",
                   o->precinct_width[i], o->precinct_height[i]);
    if (o->guard_bits > 7)
        REFUSE("guard_bits %u is not in 0 to 7", o->guard_bits);
    if (!(o->base_step >= 0 && o->base_step <= 65536))
        REFUSE("base_step %g is not in 0 to 65536", o->base_step);
    TRY(check_progression_changes(e));
    TRY(check_roi(e));
    if (o->tile_parts && !strchr("RLC", o->tile_parts))
        REFUSE("tile_parts '%c' is not 'R', 'L' or 'C'", o->tile_parts);
    if ((o->comment && strlen(o->comment) > 65000) || (o->note && strlen(o->note) > 65000))
        REFUSE("the comment or the note is longer than 65000 bytes");
    return J2K_OK;
}

/* What the profile allows at its frame rate. Where nothing may be lost it is checked in the end. */
static j2k_status limit_bytes(encoder *e) {
    j2k_encode_options *o = &e->options;
    uint64_t bytes, component_bytes;
    j2k_profile_limits(o, &bytes, &component_bytes);
    e->bytes_allowed = bytes;
    bool lossless = o->quality == J2K_QUALITY_LOSSLESS && o->irreversible <= 0;
    if (bytes && !lossless && (!o->max_bytes || o->max_bytes > bytes))
        o->max_bytes = bytes;
    if (component_bytes && !lossless && (!o->max_component_bytes || o->max_component_bytes > component_bytes))
        o->max_component_bytes = component_bytes - SOT_SIZE - 2;
    return J2K_OK;
}

j2k_status j2k_encode_check(encoder *e) {
    TRY(check_image(e));
    TRY(check_quality(e));
    if (e->options.peak_of_range && e->options.quality == J2K_QUALITY_PSNR)
        TRY(j2k_encode_find_range(e));
    TRY(check_structure(e));
    TRY(j2k_profile_check(&e->options, e->image, &e->context->diag));
    return limit_bytes(e);
}

/* ---- plan ---- */

static bool equal_geometry(const j2k_component *a, const j2k_component *b) {
    return a->dx == b->dx && a->dy == b->dy && a->depth == b->depth && a->is_signed == b->is_signed;
}

static j2k_status plan_colour_transform(encoder *e) {
    const j2k_image *image = e->image;
    const j2k_component *c = image->components;
    bool possible = image->num_components >= 3 && equal_geometry(c, c + 1) && equal_geometry(c, c + 2);
    int wanted = e->options.colour_transform;
    if (wanted == 1 && !possible)
        REFUSE("colour_transform: the first three components must exist and agree in size, depth and sign");
    if (wanted == -1)
        wanted = possible && image->num_components <= 4 && image->colour_space != J2K_COLOUR_SYCC;
    e->cs.style.colour_transform = (uint8_t)wanted;
    return J2K_OK;
}

static j2k_status plan_siz(encoder *e) {
    const j2k_image *image = e->image;
    const j2k_encode_options *o = &e->options;
    image_siz *siz = &e->cs.siz;
    siz->rsiz = o->rsiz;
    siz->area = (rect){image->x0, image->y0, image->x1, image->y1};
    siz->tile_x0 = o->tile_width ? o->tile_x0 : 0;
    siz->tile_y0 = o->tile_width ? o->tile_y0 : 0;
    siz->tile_width = o->tile_width ? o->tile_width : image->x1;
    siz->tile_height = o->tile_width ? o->tile_height : image->y1;
    siz->tiles_x = ceil_div(image->x1 - siz->tile_x0, siz->tile_width);
    siz->tiles_y = ceil_div(image->y1 - siz->tile_y0, siz->tile_height);
    if ((uint64_t)siz->tiles_x * siz->tiles_y > 65535)
        REFUSE("tile size %u x %u makes %llu tiles: at most 65535 are possible", siz->tile_width,
               siz->tile_height, (unsigned long long)siz->tiles_x * siz->tiles_y);
    siz->num_components = image->num_components;
    siz->components = ARENA_ALLOC_ZERO(&e->context->memory, component_siz, image->num_components);
    e->areas = ARENA_ALLOC(&e->context->memory, rect, image->num_components);
    RETURN_IF(!siz->components || !e->areas, J2K_ERROR_MEMORY);
    for (uint32_t c = 0; c < image->num_components; c++) {
        const j2k_component *component = &image->components[c];
        siz->components[c] = (component_siz){component->depth, component->is_signed, (uint8_t)component->dx,
                                             (uint8_t)component->dy};
        e->areas[c] = rect_ceil_div(siz->area, component->dx, component->dy);
    }
    return J2K_OK;
}

/* As many levels as asked for, but not beyond the point where the largest tile is one sample. */
static uint8_t plan_levels(const encoder *e) {
    const image_siz *siz = &e->cs.siz;
    uint32_t width = min_u32(rect_width(siz->area), siz->tile_width);
    uint32_t height = min_u32(rect_height(siz->area), siz->tile_height);
    uint32_t size = max_u32(width, height), levels = 0;
    while (levels + 1 < e->options.num_resolutions && (size >> (levels + 1)) > 0)
        levels++;
    return (uint8_t)levels;
}

static void plan_precincts(const encoder *e, coding_style *style) {
    const j2k_encode_options *o = &e->options;
    bool fixed = j2k_profile_fixes_precincts(o->rsiz); /* and so when the image has fewer levels */
    style->user_precincts = fixed || o->num_precincts > 0;
    unsigned w = 15, h = 15;
    for (unsigned i = 0; i <= style->levels; i++) { /* from the highest resolution down */
        unsigned r = style->levels - i;
        if (i < o->num_precincts) {
            w = log2_exact(o->precinct_width[i]);
            h = log2_exact(o->precinct_height[i]);
        } else if (o->num_precincts) {
            w = w > 1 ? w - 1 : 1;
            h = h > 1 ? h - 1 : 1;
        }
        w = fixed ? 7 + (r > 0) : w;
        h = fixed ? 7 + (r > 0) : h;
        style->precinct_w_exp[r] = (uint8_t)(r ? max_u32(w, 1) : w);
        style->precinct_h_exp[r] = (uint8_t)(r ? max_u32(h, 1) : h);
    }
}

/* POC: what the options say, or for 4K cinema everything but the highest resolution first. */
static j2k_status plan_changes(encoder *e) {
    const j2k_encode_options *o = &e->options;
    tile_style *style = &e->cs.style;
    unsigned levels = e->cs.components[0].coding.levels;
    bool split = j2k_profile_splits_resolutions(o->rsiz) && levels > 0;
    style->num_changes = split ? 2 : o->num_changes;
    style->changes = ARENA_ALLOC(&e->context->memory, progression_change, style->num_changes);
    RETURN_IF(!style->changes, J2K_ERROR_MEMORY);
    for (uint32_t i = 0; i < style->num_changes; i++) {
        const j2k_progression_change *c = &o->changes[i];
        style->changes[i] = (progression_change){(uint16_t)c->first_component, (uint16_t)c->end_component,
                                                 (uint8_t)c->first_resolution, (uint8_t)c->end_resolution,
                                                 (uint16_t)c->end_layer,       (uint8_t)c->order};
        if (split)
            style->changes[i] = (progression_change){0,
                                                     (uint16_t)e->image->num_components,
                                                     (uint8_t)(i ? levels : 0),
                                                     (uint8_t)(i ? levels + 1 : levels),
                                                     (uint16_t)o->num_layers,
                                                     J2K_CPRL};
    }
    return J2K_OK;
}

/* The three transformed components weigh nearly the same in the image: one set of steps serves them, which
 * saves two QCC. */
static double mean_colour_energy(void) {
    return (j2k_colour_energy(false, 0) + j2k_colour_energy(false, 1) + j2k_colour_energy(false, 2)) / 3;
}

double j2k_encode_unit_step(const encoder *e) {
    return e->cs.style.colour_transform ? sqrt(mean_colour_energy()) : 1;
}

/* The step to begin with: a fine one, so that rate control and not the quantiser shapes the result. For
 * ratios and PSNRs see encode_ratio.c and encode_step.c. */
static double choose_base_step(const encoder *e) {
    const j2k_encode_options *o = &e->options;
    if (o->base_step > 0)
        return o->base_step;
    double quality = o->layer_quality[o->num_layers - 1];
    double step = o->quality == J2K_QUALITY_RATIO && quality >= 4 ? 1 : 0.5;
    return step * j2k_encode_unit_step(e);
}

/* Steps that make an error of one step in any subband weigh the same in the image (E.1, J.8): inversely to
 * the norm of the subband's synthesis basis. Reversible subbands only need their exponent: depth + gain
 * (E-4), or the largest that the field holds; guard bits make up for the rest (see fit_guard_bits). */
static void plan_quantisation(const encoder *e, uint32_t component, quantisation *q) {
    unsigned depth = e->image->components[component].depth,
             levels = e->cs.components[component].coding.levels;
    const bool transformed = e->cs.style.colour_transform && component < 3;
    double colour = transformed ? mean_colour_energy() : 1, power = 0, base = e->base_step;
    if (e->options.qfactor) {
        base = j2k_qfactor_step(e->options.qfactor, depth, &power);
        colour = transformed ? j2k_colour_energy(false, component) / j2k_colour_energy(false, 0) : 1;
    }
    q->kind = !e->irreversible                  ? QUANT_NONE
              : e->options.derived_quantisation ? QUANT_DERIVED
                                                : QUANT_EXPOUNDED;
    q->guard_bits = (uint8_t)e->options.guard_bits;
    for (unsigned i = 0; i <= 3 * levels; i++) {
        unsigned orientation = i == 0 ? BAND_LL : (i - 1) % 3 + 1;
        unsigned level = i == 0 ? levels : levels - (i - 1) / 3;
        if (!e->irreversible) {
            q->exponent[i] = (uint8_t)min_u32(depth + subband_gain(orientation), 31);
            q->mantissa[i] = 0;
        } else if (q->kind == QUANT_DERIVED && i > 0) { /* equation E-5 */
            q->exponent[i] = (uint8_t)(q->exponent[0] - levels + level);
            q->mantissa[i] = q->mantissa[0];
        } else {
            double step = base / sqrt(colour * j2k_basis_energy(false, level, orientation));
            if (power > 0)
                step /= pow(j2k_qfactor_weight(transformed ? component : 0, level, orientation), power);
            if ((int)((i + 2) / 3) == e->tuned)
                step *= (double)e->tuned_factor;
            j2k_quant_encode_step(step, depth, orientation, &q->exponent[i], &q->mantissa[i]);
            if (q->kind == QUANT_DERIVED && q->exponent[0] < levels)
                q->exponent[0] = (uint8_t)levels;
        }
    }
}

void j2k_encode_quantise(encoder *e) {
    for (uint32_t c = 0; c < e->image->num_components; c++) {
        component_style *style = e->cs.components;
        bool transformed = e->cs.style.colour_transform && (c == 3 || (c < 3 && e->options.qfactor));
        if (c && !transformed && e->image->components[c].depth == e->image->components[c - 1].depth)
            style[c].quant = style[c - 1].quant;
        else
            plan_quantisation(e, c, &style[c].quant);
    }
}

/* A step slightly finer than the one that should meet the target, for what the histogram does not know. */
static j2k_status refine_base_step(encoder *e, unsigned refine) {
    static const double MARGIN = 0.98;
    const j2k_encode_options *o = &e->options;
    double psnr = o->layer_quality[o->num_layers - 1];
    if (!e->irreversible || o->base_step > 0 || e->ht_target)
        return J2K_OK;
    /* A region of interest wants a step that is finer than what the whole image can have. */
    bool even = !j2k_has_region(o) && !o->roi_shift;
    if (o->quality == J2K_QUALITY_RATIO && psnr > 1 && even && !(o->codeblock_style & J2K_STYLE_HT)) {
        double bytes = j2k_encode_layer_bytes(e, o->num_layers - 1);
        if (e->ratio_step > 0)
            e->base_step = e->ratio_step;
        else
            TRY(j2k_encode_choose_ratio_step(e, bytes, &e->base_step));
        return J2K_OK;
    }
    if (o->quality == J2K_QUALITY_PSNR && psnr > 0) {
        double allowed = j2k_encode_allowed_error(e, psnr);
        TRY(j2k_encode_choose_step(e, j2k_encode_wavelet_error(e, allowed), &e->base_step));
        e->base_step *= MARGIN;
    }
    e->base_step = ldexp(e->base_step, -(int)(o->quality == J2K_QUALITY_PSNR ? refine : 2 * refine));
    return J2K_OK;
}

/* An HT code-block is coded most efficiently by its cleanup pass alone; with the 9/7 the quantiser step gives
 * it any quality, and is the better way to it. With the 5/3 there are only bit-planes (see encode_ht.c). */
static void plan_ht(encoder *e, bool everything) {
    const j2k_encode_options *o = &e->options;
    bool ht = o->codeblock_style & J2K_STYLE_HT;
    everything = everything || o->quality == J2K_QUALITY_MAX_ERROR;
    bool cut = o->max_component_bytes || (o->max_bytes && (everything || o->quality != J2K_QUALITY_RATIO));
    e->ht_target =
        ht && !everything && !cut && !(e->irreversible && o->base_step > 0) && o->roi_component < 0;
    for (uint32_t c = 0; c < e->image->num_components; c++) /* no component is wide */
        e->ht_target = e->ht_target && e->image->components[c].depth <= 24;
    e->tuned = -1;
    e->ht_by_step = e->ht_target && e->irreversible;
    e->ht.step = 0;
    e->ht.sets = e->ht_by_step || (everything && !cut) ? 1 : MAX_CODED_BITPLANES;
    e->ht.refine = e->ht.sets > 1 && !e->ht_target;
    e->ht.measure = e->ht.sets > 1 || (o->num_layers > 1 && o->quality != J2K_QUALITY_LOSSLESS);
}

j2k_status j2k_encode_plan(encoder *e, unsigned refine) {
    const j2k_encode_options *o = &e->options;
    memset(&e->cs, 0, sizeof e->cs);
    TRY(plan_siz(e));
    TRY(plan_colour_transform(e));
    double last = o->layer_quality[o->num_layers - 1];
    bool everything =
        o->quality == J2K_QUALITY_LOSSLESS || (o->quality == J2K_QUALITY_RATIO ? last <= 1 : last == 0);
    e->irreversible = o->irreversible >= 0 ? o->irreversible : !everything || o->qfactor;
    e->base_step = choose_base_step(e);
    plan_ht(e, everything);
    tile_style *style = &e->cs.style;
    style->order = (uint8_t)o->progression;
    style->num_layers = (uint16_t)o->num_layers;
    style->sop = o->sop;
    style->eph = o->eph;
    e->cs.components = ARENA_ALLOC_ZERO(&e->context->memory, component_style, e->image->num_components);
    RETURN_IF(!e->cs.components, J2K_ERROR_MEMORY);
    coding_style coding = {.levels = plan_levels(e),
                           .codeblock_w_exp = (uint8_t)log2_exact(o->codeblock_width),
                           .codeblock_h_exp = (uint8_t)log2_exact(o->codeblock_height),
                           .codeblock_style = (uint8_t)o->codeblock_style,
                           .reversible = !e->irreversible};
    plan_precincts(e, &coding);
    for (uint32_t c = 0; c < e->image->num_components; c++)
        e->cs.components[c].coding = coding;
    TRY(plan_changes(e));
    j2k_encode_quantise(e);
    double planned = e->base_step;
    TRY(refine_base_step(e, refine));
    if (!e->coded && e->base_step != planned)
        j2k_encode_quantise(e);
    return j2k_roi_plan(e);
}

void j2k_encode_capabilities(encoder *e) {
    if (e->options.codeblock_style & J2K_STYLE_HT)
        e->cs.ccap15 = j2k_ht_capabilities(&e->cs, NULL);
}
