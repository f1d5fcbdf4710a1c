/* The decoder: headers, then tile by tile packets, code-blocks, wavelet, colour and samples.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "blocks.h"
#include "context.h"
#include "image.h"
#include "jp2.h"
#include "packet.h"
#include "transform.h"

/* One call of j2k_read_header or j2k_decode. Everything lives in the context's arenas. */
typedef struct decoder {
    j2k_context *context;
    byte_span data; /* the codestream */
    j2k_decode_options options;
    jp2_file file;
    codestream cs;
    size_t first_sot;
    rect region;      /* what is wanted on the reference grid */
    uint64_t samples; /* that are returned */
    budget budget;
    rect *areas; /* what is returned of every component, on its own grid at the resolution wanted */
    j2k_component_info *components;
} decoder;

void j2k_decode_options_init(j2k_decode_options *options) {
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->max_pixels = (uint64_t)1 << 32;
    options->max_components = J2K_MAX_COMPONENTS;
    options->max_tiles = J2K_MAX_TILES;
}

/* ---- headers ---- */

static j2k_status choose_region(decoder *d) {
    rect area = d->cs.siz.area;
    d->region = area;
    const j2k_decode_options *o = &d->options;
    if (!o->use_region)
        return J2K_OK;
    if (o->region_x0 >= o->region_x1 || o->region_y0 >= o->region_y1 || o->region_x1 > rect_width(area) ||
        o->region_y1 > rect_height(area))
        return j2k_fail(&d->context->diag, J2K_ERROR_ARGUMENT,
                        "region (%u, %u) to (%u, %u) is empty or not inside the image of %u x %u",
                        o->region_x0, o->region_y0, o->region_x1, o->region_y1, rect_width(area),
                        rect_height(area));
    d->region = (rect){area.x0 + o->region_x0, area.y0 + o->region_y0, area.x0 + o->region_x1,
                       area.y0 + o->region_y1};
    return J2K_OK;
}

static j2k_status choose_components(decoder *d) {
    uint32_t n = d->cs.siz.num_components;
    const j2k_decode_options *o = &d->options;
    for (uint32_t c = 0; c < n; c++)
        d->components[c].wanted = o->components == NULL;
    for (uint32_t i = 0; o->components && i < o->num_components; i++) {
        if (o->components[i] >= n || (i && o->components[i] <= o->components[i - 1]))
            return j2k_fail(&d->context->diag, J2K_ERROR_ARGUMENT,
                            "components: index %u is out of order or not below %u", o->components[i], n);
        d->components[o->components[i]].wanted = true;
    }
    return J2K_OK;
}

static j2k_status check_limits(const decoder *d) {
    const image_siz *siz = &d->cs.siz;
    uint32_t tiles = siz->tiles_x * siz->tiles_y;
    if (siz->num_components > d->options.max_components)
        return j2k_fail(&d->context->diag, J2K_ERROR_LIMIT, "%u components are more than max_components, %u",
                        siz->num_components, d->options.max_components);
    if (tiles > d->options.max_tiles)
        return j2k_fail(&d->context->diag, J2K_ERROR_LIMIT, "%u tiles are more than max_tiles, %u", tiles,
                        d->options.max_tiles);
    return J2K_OK;
}

/* Sizes of the components, whole and as the options want them. */
static j2k_status describe_components(decoder *d) {
    const image_siz *siz = &d->cs.siz;
    diagnostics *diag = &d->context->diag;
    d->components = ARENA_ALLOC_ZERO(&d->context->memory, j2k_component_info, siz->num_components);
    d->areas = ARENA_ALLOC_ZERO(&d->context->memory, rect, siz->num_components);
    RETURN_IF(!d->components || !d->areas, J2K_ERROR_MEMORY);
    TRY(check_limits(d));
    TRY(choose_region(d));
    TRY(choose_components(d));
    for (uint32_t c = 0; c < siz->num_components; c++) {
        const component_siz *cs = &siz->components[c];
        j2k_component_info *info = &d->components[c];
        if (cs->depth > J2K_MAX_DEPTH && info->wanted)
            return j2k_fail(diag, J2K_ERROR_UNSUPPORTED,
                            "component %u has %u bits a sample: at most %d are supported", c, cs->depth,
                            J2K_MAX_DEPTH);
        rect full = rect_ceil_div(siz->area, cs->dx, cs->dy);
        d->areas[c] = rect_ceil_shift(rect_ceil_div(d->region, cs->dx, cs->dy), d->options.reduce);
        info->depth = cs->depth;
        info->is_signed = cs->is_signed;
        info->dx = cs->dx;
        info->dy = cs->dy;
        info->full_width = rect_width(full);
        info->full_height = rect_height(full);
        info->width = rect_width(d->areas[c]);
        info->height = rect_height(d->areas[c]);
        uint64_t more = info->wanted ? rect_size(d->areas[c]) : 0;
        bool too_many = more > d->options.max_pixels - d->samples; /* which never exceeds it */
        d->samples += more;
        if (too_many)
            return j2k_fail(diag, J2K_ERROR_LIMIT,
                            "the image has more than the %llu samples allowed (max_pixels)",
                            (unsigned long long)d->options.max_pixels);
    }
    return J2K_OK;
}

static j2k_status read_headers(decoder *d, const void *data, size_t size, const j2k_decode_options *options) {
    j2k_context *context = d->context;
    context->diag.message[0] = context->diag.warning[0] = 0;
    context->diag.warning_size = 0;
    if (!data && size)
        return j2k_fail(&context->diag, J2K_ERROR_ARGUMENT, "data is NULL");
    j2k_decode_options_init(&d->options);
    if (options) {
        size_t known = options->struct_size < sizeof d->options ? options->struct_size : sizeof d->options;
        memcpy(&d->options, options, known);
    }
    uint64_t memory = d->options.max_memory;
    if (memory == 0)
        memory = ((uint64_t)1 << 32) + (uint64_t)size * 1024;
    context->memory.limit = memory < SIZE_MAX ? (size_t)memory : SIZE_MAX;
    j2k_arena_reset(&context->memory);
    TRY(j2k_jp2_read(data, size, d->options.tolerant, &context->memory, &d->file, &context->diag));
    d->data = d->file.codestream;
    TRY(j2k_codestream_read_main(d->data.data, d->data.size, &context->memory, &d->cs, &d->first_sot,
                                 &context->diag));
    TRY(j2k_jp2_check(&d->file, &d->cs.siz, d->options.tolerant, &context->diag));
    return describe_components(d);
}

static void fill_header(const decoder *d, const void *data, j2k_header *out) {
    const coding_style *coding = &d->cs.components[0].coding;
    const image_siz *siz = &d->cs.siz;
    j2k_header h = {
        .struct_size = sizeof h,
        .format = d->file.format,
        .x0 = siz->area.x0,
        .y0 = siz->area.y0,
        .x1 = siz->area.x1,
        .y1 = siz->area.y1,
        .tile_x0 = siz->tile_x0,
        .tile_y0 = siz->tile_y0,
        .tile_width = siz->tile_width,
        .tile_height = siz->tile_height,
        .num_tiles = siz->tiles_x * siz->tiles_y,
        .num_components = siz->num_components,
        .components = d->components,
        .colour_space = d->file.colour_space,
        .icc_profile = d->file.icc_profile.data,
        .icc_profile_size = d->file.icc_profile.size,
        .rsiz = siz->rsiz,
        .irreversible = !coding->reversible,
        .colour_transform = d->cs.style.colour_transform != 0,
        .num_layers = d->cs.style.num_layers,
        .num_resolutions = coding->levels + 1u,
        .codeblock_width = 1u << coding->codeblock_w_exp,
        .codeblock_height = 1u << coding->codeblock_h_exp,
        .codeblock_style = coding->codeblock_style,
        .guard_bits = d->cs.components[0].quant.guard_bits,
        .progression = (j2k_progression)d->cs.style.order,
        .sop = d->cs.style.sop,
        .eph = d->cs.style.eph,
        .comment = (const char *)d->cs.comment,
        .comment_size = d->cs.comment_size,
        .codestream_offset = (size_t)(d->data.data - (const uint8_t *)data),
        .codestream_size = d->data.size,
        .palette_entries = d->file.has_palette ? d->file.pal.num_entries : 0,
        .palette_columns = d->file.has_palette ? d->file.pal.num_columns : 0,
    };
    size_t known = out->struct_size && out->struct_size < sizeof h ? out->struct_size : sizeof h;
    h.struct_size = known;
    memcpy(out, &h, known);
}

static j2k_status finish(j2k_context *context, j2k_status status) {
    if (status == J2K_ERROR_MEMORY && !context->diag.message[0])
        return j2k_fail(&context->diag, status, "out of memory, or more than max_memory is needed");
    if (status != J2K_OK && !context->diag.message[0])
        return j2k_fail(&context->diag, status, "%s", j2k_status_string(status));
    return status;
}

j2k_status j2k_read_header(j2k_context *context, const void *data, size_t size,
                           const j2k_decode_options *options, j2k_header *header) {
    if (!context || !header)
        return J2K_ERROR_ARGUMENT;
    decoder d = {.context = context};
    TRY(finish(context, read_headers(&d, data, size, options)));
    fill_header(&d, data, header);
    return J2K_OK;
}

/* ---- tiles ---- */

/* The beginning of gigabytes is cheaply claimed. */
static j2k_status check_incomplete(const decoder *d) {
    uint64_t most = d->options.max_incomplete;
    if (most == 0)
        most = ((uint64_t)1 << 24) + (uint64_t)d->data.size * 1024;
    if (d->samples > most)
        return j2k_fail(&d->context->diag, J2K_ERROR_LIMIT,
                        "%zu bytes of incomplete data claim %llu samples; %llu are allowed (max_incomplete)",
                        d->data.size, (unsigned long long)d->samples, (unsigned long long)most);
    return J2K_OK;
}

static bool component_wanted(const void *user, uint32_t component) {
    const decoder *d = user;
    return d->components[component].wanted;
}

/* Before anything is allocated for a tile: what it costs, and whether its data can hold the packets that are
 * wanted.
 */
static j2k_status check_tile(decoder *d, uint32_t index) {
    const tile_header *header = &d->cs.tiles[index];
    tile_demand demand = {.wanted = component_wanted, .user = d, .reduce = d->options.reduce};
    TRY(j2k_tile_afford(&d->cs.siz, index, header->components, &demand, &d->budget, &d->context->diag));
    if (d->options.tolerant || header->style.num_changes)
        return J2K_OK;
    uint32_t layers = header->style.num_layers;
    if (d->options.max_layers)
        layers = min_u32(layers, d->options.max_layers);
    size_t bytes = 0;
    for (uint32_t i = 0; i < header->num_parts && !header->num_packed_headers; i++)
        bytes += header->parts[i].size;
    for (uint32_t i = 0; i < header->num_packed_headers; i++)
        bytes += header->packed_headers[i].size;
    if (demand.packets > bytes / layers)
        return j2k_fail(&d->context->diag, J2K_ERROR_TRUNCATED,
                        "tile %u: %zu bytes cannot hold %llu packets of each of %u layers", index, bytes,
                        (unsigned long long)demand.packets, layers);
    return J2K_OK;
}

/* Mark what is wanted of a tile, at which resolution. With a colour transform the first three components need
 * each other. */
static j2k_status tile_select(decoder *d, tile *t, bool *anything) {
    bool colour = t->style->colour_transform != 0, any_of_three = false;
    for (uint32_t c = 0; colour && c < 3; c++)
        any_of_three = any_of_three || d->components[c].wanted;
    *anything = false;
    for (uint32_t c = 0; c < t->num_components; c++) {
        tile_component *tc = &t->components[c];
        tc->wanted = d->components[c].wanted || (colour && c < 3 && any_of_three);
        if (tc->wanted && d->options.reduce >= tc->num_resolutions)
            return j2k_fail(&d->context->diag, J2K_ERROR_ARGUMENT,
                            "reduce %u: component %u of tile %u has only %u decomposition levels",
                            d->options.reduce, c, t->index, tc->num_resolutions - 1u);
        tc->wanted_resolutions =
            (uint8_t)(d->options.reduce < tc->num_resolutions ? tc->num_resolutions - d->options.reduce : 1);
        tc->window = rect_intersect(tc->resolutions[tc->wanted_resolutions - 1].area, d->areas[c]);
        *anything = *anything || (tc->wanted && !rect_empty(tc->window));
    }
    const tile_component *tc = t->components;
    if (colour && any_of_three)
        for (uint32_t c = 1; c < 3; c++)
            if (memcmp(&tc[c].window, &tc[0].window, sizeof tc[c].window) != 0 ||
                tc[c].style->coding.reversible != tc[0].style->coding.reversible)
                return j2k_fail(&d->context->diag, J2K_ERROR_CORRUPT,
                                "tile %u: a component transform on components of different size or wavelet",
                                t->index);
    return J2K_OK;
}

/* Mid-grey for all that no tile is going to overwrite. */
static void fill_missing_tiles(const decoder *d, const j2k_image *image) {
    for (uint32_t c = 0; c < image->num_components; c++)
        for (uint32_t y = 0; image->components[c].data && y < rect_height(d->areas[c]); y++)
            j2k_fill_row(&image->components[c], 0, y, rect_width(d->areas[c]));
}

/* The tile without any data: what there is of it, and what is wanted. */
static j2k_status begin_tile(decoder *d, uint32_t index, tile *t, bool *anything) {
    j2k_context *context = d->context;
    const tile_header *header = &d->cs.tiles[index];
    if (!header->present) /* is mid-grey already */
        return J2K_OK;
    j2k_arena_reset(&context->work);
    size_t used = context->memory.total, limit = context->memory.limit;
    context->work.limit = limit > used ? limit - used : 1;
    TRY(check_tile(d, index));
    TRY(j2k_tile_build(t, &d->cs.siz, index, &header->style, header->components, &context->work,
                       &context->diag));
    t->budget = &d->budget;
    TRY(tile_select(d, t, anything));
    if (*anything)
        j2k_tile_inverse_windows(t);
    return J2K_OK;
}

/* From packets to coefficients. */
static j2k_status decode_coefficients(decoder *d, tile *t, const tile_header *header, bool *sound) {
    j2k_context *context = d->context;
    bool complete = true;
    *sound = true;
    TRY(j2k_packets_read(t, header, &d->cs.siz, d->options.max_layers, d->options.tolerant, &context->work,
                         &complete, &context->diag));
    if (!complete)
        TRY(check_incomplete(d));
    TRY(j2k_tile_inverse_prepare(context, t));
    return j2k_tile_decode_blocks(context, t, sound);
}

static j2k_status decode_tile(decoder *d, uint32_t index, const j2k_image *image) {
    j2k_context *context = d->context;
    const tile_header *header = &d->cs.tiles[index];
    tile t;
    bool anything = false, sound;
    TRY(begin_tile(d, index, &t, &anything));
    if (!anything)
        return J2K_OK;
    j2k_status status = decode_coefficients(d, &t, header, &sound);
    if (t.packets_skipped && (status == J2K_ERROR_CORRUPT || status == J2K_ERROR_TRUNCATED ||
                              status == J2K_ERROR_UNSUPPORTED || !sound)) {
        /* It may have been PLT that misled: read all packets. */
        tile_header plain = *header;
        plain.packet_lengths = NULL;
        context->diag.message[0] = 0;
        j2k_warn(&context->diag, "tile %u: PLT does not agree with the packets: not used", index);
        TRY(begin_tile(d, index, &t, &anything));
        status = decode_coefficients(d, &t, &plain, &sound);
    }
    TRY(status);
    if (!sound) {
        if (!d->options.tolerant)
            return j2k_fail(&context->diag, J2K_ERROR_CORRUPT,
                            "tile %u: the data of a code-block contradict themselves", index);
        j2k_warn(&context->diag, "tile %u: the data of a code-block contradict themselves", index);
    }
    image_window window = {image, d->areas};
    return j2k_tile_inverse(context, &t, window);
}

/* The views that the caller gave, checked; those that are not wanted get no data. */
static j2k_status check_views(decoder *d, const j2k_image *image, j2k_image *views) {
    diagnostics *diag = &d->context->diag;
    uint32_t n = d->cs.siz.num_components;
    if (image->num_components != n || !image->components)
        return j2k_fail(diag, J2K_ERROR_ARGUMENT, "the image has %u components, %u were given", n,
                        image->num_components);
    *views = *image;
    views->components = ARENA_ALLOC(&d->context->memory, j2k_component, n);
    RETURN_IF(!views->components, J2K_ERROR_MEMORY);
    for (uint32_t c = 0; c < n; c++) {
        j2k_component *view = &views->components[c];
        const j2k_component_info *info = &d->components[c];
        *view = image->components[c];
        if (!info->wanted) {
            view->data = NULL;
            continue;
        }
        static const uint8_t bits[] = {8, 8, 16, 16, 32, 32};
        if (!view->data || (unsigned)view->type > J2K_INT32)
            return j2k_fail(diag, J2K_ERROR_ARGUMENT, "component %u: data is NULL or the sample type unknown",
                            c);
        if (view->width != info->width || view->height != info->height)
            return j2k_fail(diag, J2K_ERROR_ARGUMENT, "component %u is %u x %u, the view %u x %u", c,
                            info->width, info->height, view->width, view->height);
        if (info->depth > bits[view->type])
            return j2k_fail(diag, J2K_ERROR_ARGUMENT, "component %u has %u bits, the view's samples %u", c,
                            info->depth, bits[view->type]);
        view->depth = info->depth;
        view->is_signed = info->is_signed;
    }
    return J2K_OK;
}

/* The tiles that the region touches. */
static rect touched_tiles(const decoder *d) {
    const image_siz *siz = &d->cs.siz;
    rect tiles = {(d->region.x0 - siz->tile_x0) / siz->tile_width,
                  (d->region.y0 - siz->tile_y0) / siz->tile_height,
                  (d->region.x1 - 1 - siz->tile_x0) / siz->tile_width + 1,
                  (d->region.y1 - 1 - siz->tile_y0) / siz->tile_height + 1};
    return tiles;
}

static j2k_status prepare_missing_tiles(const decoder *d, rect tiles, const j2k_image *views) {
    for (uint32_t y = tiles.y0; y < tiles.y1; y++)
        for (uint32_t x = tiles.x0; x < tiles.x1; x++) {
            uint32_t index = y * d->cs.siz.tiles_x + x;
            if (d->cs.tiles[index].present)
                continue;
            if (!d->options.tolerant)
                return j2k_fail(&d->context->diag, J2K_ERROR_TRUNCATED, "tile %u is missing", index);
            TRY(check_incomplete(d));
            fill_missing_tiles(d, views);
            return J2K_OK;
        }
    return J2K_OK;
}

/* Whether packets of these tiles may be of no use. */
static bool is_partial(const decoder *d) {
    const j2k_decode_options *o = &d->options;
    return o->use_region || o->reduce || o->max_layers || o->components;
}

static j2k_status decode_image(decoder *d, const void *data, size_t size, const j2k_decode_options *options,
                               const j2k_image *image) {
    j2k_context *context = d->context;
    TRY(read_headers(d, data, size, options));
    j2k_image views;
    TRY(check_views(d, image, &views));
    rect tiles = touched_tiles(d);
    if (d->options.use_region)
        d->cs.wanted_tiles = tiles;
    d->cs.keep_packet_lengths = is_partial(d);
    TRY(j2k_codestream_read_tiles(d->data.data, d->data.size, d->first_sot, d->options.tolerant,
                                  &context->memory, &d->cs, &context->diag));
    d->budget.left = BUDGET_BASE + BUDGET_PER_BYTE * (uint64_t)d->data.size + d->samples / BUDGET_SAMPLES;
    TRY(prepare_missing_tiles(d, tiles, &views));
    for (uint32_t y = tiles.y0; y < tiles.y1; y++)
        for (uint32_t x = tiles.x0; x < tiles.x1; x++)
            TRY(decode_tile(d, y * d->cs.siz.tiles_x + x, &views));
    return J2K_OK;
}

j2k_status j2k_decode(j2k_context *context, const void *data, size_t size, const j2k_decode_options *options,
                      const j2k_image *image) {
    if (!context)
        return J2K_ERROR_ARGUMENT;
    if (!image)
        return j2k_fail(&context->diag, J2K_ERROR_ARGUMENT, "image is NULL");
    decoder d = {.context = context};
    return finish(context, decode_image(&d, data, size, options, image));
}
