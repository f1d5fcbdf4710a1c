/* Quality targets: from compression ratios and PSNRs to the coding passes of each layer.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "encode.h"
#include "image.h"

/* ---- compression ratio ---- */

static bool layer_takes_everything(const encoder *e, uint32_t layer) {
    double q = e->options.layer_quality[layer];
    if (e->ht_by_step && layer + 1 == e->options.num_layers)
        return true;
    switch (e->options.quality) {
    case J2K_QUALITY_RATIO:
        return q <= 1;
    case J2K_QUALITY_PSNR:
        return q == 0;
    default:
        return layer + 1 == e->options.num_layers;
    }
}

/* Bytes that all packets of layers 0 .. layer may take: the budget of the file less what is around them. */
static uint64_t packet_budget(const encoder *e, uint32_t layer, uint64_t around) {
    double bytes = j2k_encode_layer_bytes(e, layer);
    return bytes > (double)around ? (uint64_t)bytes - around : 0;
}

/* So much of the bytes allowed is to be used. */
static const double ENOUGH = 0.992;

/* The quantiser throws away what could be afforded: a finer step, chosen by how much is missing. */
static bool needs_finer_step(encoder *e, double used, double budget) {
    double finest = j2k_encode_finest_step(e);
    if (!e->irreversible || e->options.base_step > 0 || used >= ENOUGH * budget || e->base_step <= finest ||
        e->rate.max_slope == 0)
        return false;
    e->ratio_step = fmax(e->base_step * fmax(0.97 * used / budget, 0.25), finest);
    return true;
}

static j2k_status layers_by_ratio(encoder *e, uint32_t first, uint32_t end, uint64_t around, bool *finer) {
    uint32_t last = e->options.num_layers - 1;
    for (uint32_t layer = first; layer < end; layer++) {
        if (layer_takes_everything(e, layer)) {
            j2k_rate_everything(&e->rate, layer);
            continue;
        }
        uint64_t budget = packet_budget(e, layer, around), used;
        TRY(j2k_rate_for_bytes(&e->rate, layer, budget, &used));
        if (layer != last)
            continue;
        *finer = *finer || (!e->rate.ht && needs_finer_step(e, (double)used, (double)budget));
    }
    return J2K_OK;
}

/* ---- PSNR ---- */

/* Squared difference between the image and what a decoder makes of the first layers of `data`. */
static j2k_status measure_error(encoder *e, byte_span data, uint32_t layers, double *error) {
    j2k_context *context = e->context;
    if (!context->verifier)
        context->verifier = j2k_context_create(context->num_workers, context->cpu);
    RETURN_IF(!context->verifier, J2K_ERROR_MEMORY);
    j2k_decode_options options;
    j2k_decode_options_init(&options);
    options.max_layers = layers;
    uint32_t n = e->image->num_components;
    j2k_component *views = ARENA_ALLOC(&context->work, j2k_component, n);
    RETURN_IF(!views, J2K_ERROR_MEMORY);
    uint32_t widest = 0;
    for (uint32_t c = 0; c < n; c++) {
        views[c] = e->image->components[c];
        views[c].type = views[c].is_signed ? J2K_INT32 : J2K_UINT32;
        views[c].sample_step = 4;
        views[c].row_stride = (ptrdiff_t)views[c].width * 4;
        views[c].byte_swapped = false;
        views[c].data = j2k_arena_alloc(&context->work, views[c].height, (size_t)views[c].width * 4);
        RETURN_IF(!views[c].data, J2K_ERROR_MEMORY);
        widest = max_u32(widest, views[c].width);
    }
    j2k_image decoded = *e->image;
    decoded.components = views;
    TRY(j2k_decode(context->verifier, data.data, data.size, &options, &decoded));
    int32_t *rows = ARENA_ALLOC(&context->work, int32_t, 2 * (size_t)widest);
    RETURN_IF(!rows, J2K_ERROR_MEMORY);
    *error = 0;
    for (uint32_t c = 0; c < n; c++)
        for (uint32_t y = 0; y < views[c].height; y++) {
            uint32_t width = views[c].width;
            j2k_load_row_int(context->dsp, &e->image->components[c], 0, y, width, rows);
            j2k_load_row_int(context->dsp, &views[c], 0, y, width, rows + width);
            double sum = 0;
            for (uint32_t x = 0; x < width; x++) {
                double d = (double)rows[x] - rows[width + x];
                sum += d * d;
            }
            *error += sum;
        }
    return J2K_OK;
}

/* Write the stream with the layers as they are now into the work arena. */
static j2k_status write_trial(encoder *e, byte_span *data) {
    byte_sink counter = {NULL, 0, 0};
    TRY(j2k_encode_write(e, &counter, true));
    j2k_arena_reset(&e->context->work);
    byte_sink sink = {j2k_arena_alloc(&e->context->work, counter.size, 1), counter.size, 0};
    RETURN_IF(!sink.data, J2K_ERROR_MEMORY);
    TRY(j2k_encode_write(e, &sink, true));
    *data = (byte_span){sink.data, sink.size};
    return J2K_OK;
}

/* The search for one layer. Estimates are errors in the wavelet domain; what they become in the image depends
 * a little on the data (the 9/7 is not quite orthogonal, samples are rounded and clamped), so that they are
 * corrected by what is measured. */
typedef struct psnr_trial {
    double estimate, measured; /* 0: none yet */
} psnr_trial;

typedef struct psnr_search {
    double allowed;   /* squared error allowed */
    double estimate;  /* next to try */
    double near;      /* enough */
    psnr_trial good;  /* the largest estimate known to meet the target */
    psnr_trial bad;   /* the smallest known to miss it */
    psnr_trial best;  /* that meets the target and comes nearest to it */
    unsigned between; /* trials between a good and a bad one */
    unsigned missed;  /* how often, before the target was met once */
    bool done;
} psnr_search;

/* Within 0.002 dB of the target is near enough: that is less than a thousandth of the bytes. With HT each
 * trial costs as much as coding. */
static const double NEAR_ENOUGH = 0.9996, NEAR_ENOUGH_HT = 0.94;
enum { MAX_TRIALS = 14 };

static void search_update(psnr_search *s, double measured) {
    psnr_trial now = {s->estimate, fmax(measured, s->allowed * 1e-6)};
    bool good = measured <= s->allowed;
    if (good && now.measured > s->best.measured)
        s->best = now;
    if (good && s->estimate > s->good.estimate)
        s->good = now;
    if (!good && (s->bad.estimate == 0 || s->estimate < s->bad.estimate))
        s->bad = now;
    if (good && measured >= s->near * s->allowed) {
        s->done = true;
        return;
    }
    double aim = s->allowed * (1 + s->near) / 2;
    if (s->good.estimate > 0 && s->bad.estimate > 0) { /* between the two on a double logarithmic scale */
        double share = log(aim / s->good.measured) / log(s->bad.measured / s->good.measured);
        share = ++s->between > 4 ? 0.5 : fmin(fmax(share, 0.05), 0.95); /* the data may have steps */
        s->estimate = s->good.estimate * pow(s->bad.estimate / s->good.estimate, share);
    } else {
        /* Where estimates are far off, the measured error may not follow for a while. */
        s->missed += !good;
        double most = good ? 4 : pow(0.94, s->missed - 1.0);
        s->estimate *= fmin(fmax(aim / now.measured, 0.1), most);
    }
}

static void fill_by_error(encoder *e, uint32_t first, uint32_t end, const psnr_search *searches) {
    for (uint32_t layer = first; layer < end; layer++) {
        if (layer_takes_everything(e, layer))
            j2k_rate_everything(&e->rate, layer);
        else
            j2k_rate_for_error(&e->rate, layer, searches[layer].estimate);
    }
}

/* Change the last layer pass by pass on the way from `from` to `to` passes of each code-block; the first
 * `moves` of them. Returns how many there are. */
static uint64_t walk(encoder *e, const uint16_t *from, const uint16_t *to, uint64_t moves) {
    uint32_t last = e->options.num_layers - 1;
    uint64_t all = 0;
    for (size_t i = 0; i < e->num_refs; i++) {
        bool down = from[i] > to[i];
        uint64_t way = down ? from[i] - to[i] : to[i] - from[i], left = moves > all ? moves - all : 0;
        uint64_t by = way < left ? way : left;
        e->refs[i].block->u.enc.layer_passes[last] = (uint16_t)(down ? from[i] - by : from[i] + by);
        all += way;
    }
    return all;
}

static void copy_passes(const encoder *e, uint16_t *passes) {
    for (size_t i = 0; i < e->num_refs; i++)
        passes[i] = e->refs[i].block->u.enc.layer_passes[e->options.num_layers - 1];
}

/* Where one threshold misses the target and the next one is far inside (few code-blocks, or bit-planes of the
 * 5/3 that make a difference all at once), go from one to the other pass by pass. */
static j2k_status between_thresholds(encoder *e, psnr_search *searches) {
    enum { MOST_MEASURES = 9 };
    uint32_t last = e->options.num_layers - 1;
    psnr_search *s = &searches[last];
    if (e->ht_target || s->best.estimate == 0 || s->bad.estimate == 0 || s->best.measured > 0.97 * s->allowed)
        return J2K_OK;
    uint16_t *inside = ARENA_ALLOC(&e->context->memory, uint16_t, e->num_refs);
    uint16_t *outside = ARENA_ALLOC(&e->context->memory, uint16_t, e->num_refs);
    RETURN_IF(!inside || !outside, J2K_ERROR_MEMORY);
    copy_passes(e, inside);
    j2k_rate_for_error(&e->rate, last, s->bad.estimate);
    copy_passes(e, outside);
    uint64_t good = 0, bad = walk(e, inside, outside, 0);
    for (int i = 0; i < MOST_MEASURES && bad - good > 1; i++) {
        uint64_t middle = good + (bad - good) / 2;
        byte_span data;
        double measured;
        walk(e, inside, outside, middle);
        TRY(write_trial(e, &data));
        TRY(measure_error(e, data, 0, &measured));
        if (measured <= s->allowed)
            good = middle;
        else
            bad = middle;
    }
    walk(e, inside, outside, good);
    return J2K_OK;
}

static j2k_status layers_by_psnr(encoder *e, uint32_t first, uint32_t end, bool *finer) {
    uint32_t num_layers = e->options.num_layers;
    psnr_search *searches = ARENA_ALLOC_ZERO(&e->context->memory, psnr_search, num_layers);
    RETURN_IF(!searches, J2K_ERROR_MEMORY);
    for (uint32_t layer = first; layer < end; layer++) {
        psnr_search *s = &searches[layer];
        s->done = layer_takes_everything(e, layer);
        s->allowed = j2k_encode_allowed_error(e, e->options.layer_quality[layer]);
        s->near = e->ht_target ? NEAR_ENOUGH_HT : NEAR_ENOUGH;
        s->estimate = j2k_encode_wavelet_error(e, s->allowed * (e->ht_target ? 0.87 : 1));
    }
    for (int trial = 0; trial < MAX_TRIALS; trial++) {
        fill_by_error(e, first, end, searches);
        bool all_done = true;
        for (uint32_t layer = first; layer < end; layer++)
            all_done = all_done && searches[layer].done;
        if (all_done)
            return J2K_OK;
        byte_span data = {NULL, 0};
        if (!e->ht_target)
            TRY(write_trial(e, &data));
        for (uint32_t layer = first; layer < end; layer++) {
            if (searches[layer].done)
                continue;
            double measured, before = searches[layer].estimate;
            if (e->ht_target)
                TRY(j2k_kept_measure(e, (int)layer, &measured));
            else
                TRY(measure_error(e, data, layer + 1, &measured));
            search_update(&searches[layer], measured);
            if (searches[layer].done)
                searches[layer].estimate = before;
        }
    }
    /* Take the best that met the target; where none did, all passes are not enough for it. */
    for (uint32_t layer = first; layer < end; layer++) {
        psnr_search *s = &searches[layer];
        if (s->done)
            continue;
        s->estimate = s->best.estimate;
        *finer = *finer ||
                 (s->good.estimate == 0 && (e->irreversible || e->ht_target) && e->options.base_step == 0);
    }
    fill_by_error(e, first, end, searches);
    bool last = end == num_layers && !searches[num_layers - 1].done;
    return last ? between_thresholds(e, searches) : J2K_OK;
}

/* Cut the layers that take more than `limit` bytes. */
static j2k_status limit_layers(encoder *e, uint64_t limit) {
    for (uint32_t layer = 0; layer < e->options.num_layers; layer++) {
        uint64_t used;
        TRY(j2k_rate_packet_bytes(&e->rate, layer, &used));
        if (used > limit)
            TRY(j2k_rate_for_bytes(&e->rate, layer, limit, &used));
    }
    return J2K_OK;
}

/* max_bytes and max_component_bytes go before every other target. */
static j2k_status apply_limits(encoder *e, uint64_t around) {
    for (uint32_t c = 0; e->options.max_component_bytes && c < e->image->num_components; c++) {
        e->rate.one_component = true;
        e->rate.component = c;
        TRY(limit_layers(e, e->options.max_component_bytes));
    }
    e->rate.one_component = false;
    if (e->options.max_bytes)
        TRY(limit_layers(e, e->options.max_bytes > around ? e->options.max_bytes - around : 0));
    return J2K_OK;
}

static j2k_status fill_layers(encoder *e, uint32_t first, uint32_t end, uint64_t around, bool *finer) {
    switch (e->options.quality) {
    case J2K_QUALITY_RATIO:
        return layers_by_ratio(e, first, end, around, finer);
    case J2K_QUALITY_PSNR:
        return layers_by_psnr(e, first, end, finer);
    default: /* lossless: the first layer takes it all */
        for (uint32_t layer = first; layer < end; layer++)
            j2k_rate_everything(&e->rate, layer);
        return J2K_OK;
    }
}

rate_control j2k_encode_rate_control(const encoder *e, uint32_t num_layers) {
    bool ht = e->options.codeblock_style & J2K_STYLE_HT, colour = e->cs.style.colour_transform;
    return (rate_control){.tiles = e->tiles,
                          .num_tiles = e->num_tiles,
                          .refs = e->refs,
                          .count = e->num_refs,
                          .siz = &e->cs.siz,
                          .num_layers = num_layers,
                          .scratch = &e->context->scratch,
                          .ht = ht,
                          .visual = e->options.visual_weights,
                          .colour = colour || e->image->colour_space == J2K_COLOUR_SYCC,
                          .masking = !ht && e->irreversible && e->options.quality == J2K_QUALITY_RATIO};
}

static j2k_status begin_layers(encoder *e) {
    j2k_context *context = e->context;
    e->rate = j2k_encode_rate_control(e, e->options.num_layers);
    return j2k_rate_prepare(&e->rate, &context->memory);
}

j2k_status j2k_encode_one_layer(encoder *e) {
    TRY(begin_layers(e));
    j2k_rate_everything(&e->rate, e->options.num_layers - 1);
    return J2K_OK;
}

j2k_status j2k_encode_layers(encoder *e, bool *finer) {
    uint32_t last = e->options.num_layers - 1;
    *finer = false;
    TRY(begin_layers(e));
    byte_sink counter = {NULL, 0, 0};
    TRY(j2k_encode_write(e, &counter, false));
    if (e->rate.ht &&
        last > 0) { /* the last layer decides on the HT sets, whose passes the others share out */
        TRY(fill_layers(e, last, last + 1, counter.size, finer));
        if (*finer)
            return J2K_OK;
        j2k_rate_commit(&e->rate);
        TRY(fill_layers(e, 0, last, counter.size, finer));
        *finer = false; /* the lower layers may miss targets that lie between few passes */
    } else {
        TRY(fill_layers(e, 0, last + 1, counter.size, finer));
    }
    return *finer ? J2K_OK : apply_limits(e, counter.size);
}
