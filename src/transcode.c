/* The transcoder: from packets to packets, by way of quantised coefficients only where the block coding
 * changes. SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "jp2.h"
#include "markers.h"
#include "recode.h"
#include "stream_write.h"
#include "transcode_boxes.h"

/* Where the packets of a tile are: those of precinct p of a resolution begin at first[component][resolution]
 * + p * num_layers. */
typedef struct packet_index {
    const packet_record **packets; /* NULL: there was none */
    uint32_t (*first)[J2K_MAX_RESOLUTIONS];
    uint32_t num_layers;
} packet_index;

/* One call of j2k_transcode. Everything lives in the context's arenas. */
typedef struct transcoder {
    j2k_context *context;
    j2k_transcode_options options;
    jp2_file file;
    codestream cs;  /* as it is read */
    codestream out; /* as it will be written */
    tile *tiles;
    uint32_t num_tiles;
    tile_header *headers;
    packet_index *indices; /* of all tiles, when packets are moved as they are */
    recoded_tile *recoded; /* of all tiles, otherwise */
    byte_span *segments;
    size_t num_segments;
    bool has_plt, has_tlm;
    uint64_t samples; /* of all components */
    uint64_t packets; /* of the tiles whose packets may be missing */
    budget budget;
} transcoder;

void j2k_transcode_options_init(j2k_transcode_options *options) {
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->ht = options->codeblock_style = options->progression = options->format = -1;
    options->sop = options->eph = options->plt = options->tlm = -1;
    j2k_decode_options limits;
    j2k_decode_options_init(&limits);
    options->max_pixels = limits.max_pixels;
    options->max_memory = limits.max_memory;
    options->max_components = limits.max_components;
    options->max_tiles = limits.max_tiles;
    options->max_incomplete = limits.max_incomplete;
}

/* ---- headers ---- */

#define REFUSE(...) return j2k_fail(&t->context->diag, J2K_ERROR_ARGUMENT, __VA_ARGS__)

static j2k_status check_options(transcoder *t) {
    const j2k_transcode_options *o = &t->options;
    if (o->ht > 1)
        REFUSE("ht %d is not -1, 0 or 1", o->ht);
    if (o->codeblock_style >= J2K_STYLE_HT)
        REFUSE("codeblock_style %d is not -1 or an OR of Part 1 styles, 0 to 63", o->codeblock_style);
    if (o->progression > J2K_CPRL)
        REFUSE("unknown progression %d", o->progression);
    if (o->format > J2K_FORMAT_JPH)
        REFUSE("unknown format %d", o->format);
    if (o->sop > 1 || o->eph > 1 || o->plt > 1 || o->tlm > 1)
        REFUSE("sop %d, eph %d, plt %d and tlm %d must be -1, 0 or 1", o->sop, o->eph, o->plt, o->tlm);
    if (o->tile_parts && !strchr("RLC", o->tile_parts))
        REFUSE("tile_parts '%c' is not 'R', 'L' or 'C'", o->tile_parts);
    return J2K_OK;
}

static j2k_status check_size(transcoder *t) {
    const image_siz *siz = &t->cs.siz;
    const j2k_transcode_options *o = &t->options;
    diagnostics *diag = &t->context->diag;
    t->num_tiles = siz->tiles_x * siz->tiles_y;
    if (siz->num_components > o->max_components)
        return j2k_fail(diag, J2K_ERROR_LIMIT, "%u components are more than max_components, %u",
                        siz->num_components, o->max_components);
    if (t->num_tiles > o->max_tiles)
        return j2k_fail(diag, J2K_ERROR_LIMIT, "%u tiles are more than max_tiles, %u", t->num_tiles,
                        o->max_tiles);
    for (uint32_t c = 0; c < siz->num_components; c++) {
        t->samples += rect_size(rect_ceil_div(siz->area, siz->components[c].dx, siz->components[c].dy));
        if (t->samples > o->max_pixels)
            return j2k_fail(diag, J2K_ERROR_LIMIT,
                            "the image has more than the %llu samples allowed (max_pixels)",
                            (unsigned long long)o->max_pixels);
    }
    return J2K_OK;
}

/* Marker segments of the main header that say nothing about how packets are coded stay; of those that
 * describe what is written anew, it matters whether there are any. */
static j2k_status scan_headers(transcoder *t, size_t first_sot) {
    diagnostics *diag = &t->context->diag;
    byte_span data = t->file.codestream;
    segment s;
    for (int fill = 0; fill < 2; fill++) {
        t->num_segments = 0;
        for (size_t offset = 0; offset < first_sot; offset = s.next) {
            TRY(j2k_segment_open(data.data, offset, data.size, J2K_ERROR_TRUNCATED, &s, diag));
            t->has_tlm = t->has_tlm || s.marker == MARKER_TLM;
            if (s.marker != MARKER_COM && s.marker != MARKER_CRG)
                continue;
            if (fill)
                t->segments[t->num_segments] = (byte_span){data.data + s.offset, s.next - s.offset};
            t->num_segments++;
        }
        if (!fill)
            t->segments = ARENA_ALLOC(&t->context->memory, byte_span, t->num_segments);
        RETURN_IF(!t->segments, J2K_ERROR_MEMORY);
    }
    for (size_t offset = first_sot; offset < data.size; offset = s.next) {
        TRY(j2k_segment_open(data.data, offset, data.size, J2K_ERROR_TRUNCATED, &s, diag));
        t->has_plt = t->has_plt || s.marker == MARKER_PLT;
        if (s.marker == MARKER_SOD)
            break;
    }
    return J2K_OK;
}

static j2k_status read_headers(transcoder *t, const uint8_t *data, size_t size) {
    j2k_context *context = t->context;
    diagnostics *diag = &context->diag;
    size_t first_sot;
    bool tolerant = t->options.tolerant;
    TRY(j2k_jp2_read(data, size, tolerant, &context->memory, &t->file, diag));
    byte_span stream = t->file.codestream;
    TRY(j2k_codestream_read_main(stream.data, stream.size, &context->memory, &t->cs, &first_sot, diag));
    TRY(j2k_jp2_check(&t->file, &t->cs.siz, tolerant, diag));
    TRY(check_size(t));
    TRY(scan_headers(t, first_sot));
    return j2k_codestream_read_tiles(stream.data, stream.size, first_sot, tolerant, &context->memory, &t->cs,
                                     diag);
}

/* ---- what is wanted ---- */

/* Code-block style of a tile-component. */
static uint8_t wanted_style(const j2k_transcode_options *o, unsigned style, bool rebuilt) {
    unsigned causal = style & J2K_STYLE_CAUSAL;
    bool was_ht = style & J2K_STYLE_HT, ht = o->ht < 0 ? was_ht : o->ht;
    if (ht && was_ht && !rebuilt)
        return (uint8_t)style;
    if (ht)
        return (uint8_t)(J2K_STYLE_HT | causal);
    if (o->codeblock_style >= 0)
        return (uint8_t)(((unsigned)o->codeblock_style & ~(unsigned)J2K_STYLE_CAUSAL) | causal);
    return (uint8_t)(was_ht ? causal : style);
}

typedef struct changes {
    bool block_coding; /* of any code-block */
    bool ht;           /* from or to HT */
} changes;

static void compare_styles(const j2k_transcode_options *o, const component_style *styles, uint32_t count,
                           changes *found) {
    for (uint32_t c = 0; c < count; c++) {
        unsigned old = styles[c].coding.codeblock_style, wanted = wanted_style(o, old, false);
        found->block_coding = found->block_coding || old != wanted;
        found->ht = found->ht || (old != wanted && ((old | wanted) & J2K_STYLE_HT));
    }
}

static bool any_ht(const component_style *styles, uint32_t count) {
    for (uint32_t c = 0; c < count; c++)
        if (styles[c].coding.codeblock_style & J2K_STYLE_HT)
            return true;
    return false;
}

static j2k_status plan_components(transcoder *t, const component_style *from, bool rebuild,
                                  component_style **to) {
    uint32_t n = t->cs.siz.num_components;
    *to = ARENA_ALLOC(&t->context->memory, component_style, n);
    RETURN_IF(!*to, J2K_ERROR_MEMORY);
    memcpy(*to, from, n * sizeof **to);
    for (uint32_t c = 0; c < n; c++)
        (*to)[c].coding.codeblock_style = wanted_style(&t->options, from[c].coding.codeblock_style, rebuild);
    return J2K_OK;
}

static void plan_style(const j2k_transcode_options *o, bool one_layer, tile_style *style) {
    if (o->progression >= 0) {
        style->order = (uint8_t)o->progression;
        style->num_changes = 0;
        style->changes = NULL;
    }
    style->sop = o->sop < 0 ? style->sop : o->sop;
    style->eph = o->eph < 0 ? style->eph : o->eph;
    style->num_layers = one_layer ? 1 : style->num_layers;
}

/* Decide what becomes of the headers. *rebuild: packets cannot just be moved. */
static j2k_status plan_headers(transcoder *t, bool *rebuild) {
    const j2k_transcode_options *o = &t->options;
    uint32_t n = t->cs.siz.num_components;
    changes found = {false, false};
    bool layered = t->cs.style.num_layers > 1, damaged = t->cs.truncated;
    compare_styles(o, t->cs.components, n, &found);
    for (uint32_t i = 0; i < t->num_tiles; i++) {
        const tile_header *header = &t->cs.tiles[i];
        if (header->present && header->own_styles)
            compare_styles(o, header->components, n, &found);
        layered = layered || (header->present && header->style.num_layers > 1);
        damaged = damaged || !header->present || header->truncated;
    }
    *rebuild = found.block_coding || (o->merge_layers && layered) || damaged;
    bool one_layer = o->merge_layers || found.ht;
    t->out = t->cs;
    TRY(plan_components(t, t->cs.components, *rebuild, &t->out.components));
    plan_style(o, one_layer, &t->out.style);
    t->headers = ARENA_ALLOC_ZERO(&t->context->memory, tile_header, t->num_tiles);
    RETURN_IF(!t->headers, J2K_ERROR_MEMORY);
    for (uint32_t i = 0; i < t->num_tiles; i++) {
        const tile_header *from = &t->cs.tiles[i];
        tile_header *to = &t->headers[i];
        to->style = t->out.style;
        to->components = t->out.components;
        if (!from->present)
            continue;
        to->style = from->style;
        plan_style(o, one_layer, &to->style);
        if (from->own_styles)
            TRY(plan_components(t, from->components, *rebuild, &to->components));
        if (to->style.num_changes > J2K_MAX_CHANGES)
            return j2k_fail(&t->context->diag, J2K_ERROR_UNSUPPORTED,
                            "tile %u has %u progression changes: give a progression to drop them", i,
                            (unsigned)to->style.num_changes);
    }
    return J2K_OK;
}

/* ---- tiles ---- */

static bool every_component(const void *user, uint32_t component) {
    (void)user;
    (void)component;
    return true;
}

/* Before anything is allocated for a tile: what it costs, and whether its data can hold its packets. Packets
 * that are missing (tolerant), or that progression changes leave out, are written as empty ones, some for
 * each byte. */
static j2k_status check_tile(transcoder *t, const tile_header *header, uint32_t index) {
    enum { MISSING_PER_BYTE = 64, MISSING_BASE = 1 << 20 };
    diagnostics *diag = &t->context->diag;
    const tile_style *style = header->present ? &header->style : &t->cs.style;
    tile_demand demand = {.wanted = every_component};
    TRY(j2k_tile_afford(&t->cs.siz, index, header->present ? header->components : t->cs.components, &demand,
                        &t->budget, diag));
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < header->num_parts && !header->num_packed_headers; i++)
        bytes += header->parts[i].size;
    for (uint32_t i = 0; i < header->num_packed_headers; i++)
        bytes += header->packed_headers[i].size;
    bool all_there = !t->options.tolerant && !style->num_changes;
    if (all_there && demand.packets > bytes / style->num_layers)
        return j2k_fail(diag, J2K_ERROR_TRUNCATED,
                        "tile %u: %llu bytes cannot hold %llu packets of each of %u layers", index,
                        (unsigned long long)bytes, (unsigned long long)demand.packets, style->num_layers);
    if (all_there)
        return J2K_OK;
    uint64_t most = t->file.codestream.size * (uint64_t)MISSING_PER_BYTE + MISSING_BASE;
    most = (most < UINT32_MAX / 2 ? most : UINT32_MAX / 2) - t->packets;
    if (demand.packets > most / style->num_layers)
        return j2k_fail(diag, J2K_ERROR_LIMIT, "tile %u: more packets than the stream's size warrants",
                        index);
    t->packets += demand.packets * style->num_layers;
    return J2K_OK;
}

/* The beginning of gigabytes is cheaply claimed. */
static j2k_status check_incomplete(const transcoder *t) {
    uint64_t most = t->options.max_incomplete, size = t->file.codestream.size;
    if (most == 0)
        most = ((uint64_t)1 << 24) + size * 1024;
    if (t->samples > most)
        return j2k_fail(&t->context->diag, J2K_ERROR_LIMIT,
                        "%llu bytes of incomplete data claim %llu samples; %llu are allowed (max_incomplete)",
                        (unsigned long long)size, (unsigned long long)t->samples, (unsigned long long)most);
    return J2K_OK;
}

static j2k_status index_packets(transcoder *t, const tile *tile, const packet_log *log, packet_index *index) {
    arena *memory = &t->context->memory;
    uint32_t count = 0;
    index->num_layers = tile->style->num_layers;
    index->first = j2k_arena_alloc(memory, tile->num_components, sizeof *index->first);
    RETURN_IF(!index->first, J2K_ERROR_MEMORY);
    for (uint32_t c = 0; c < tile->num_components; c++)
        for (unsigned r = 0; r < tile->components[c].num_resolutions; r++) {
            const resolution *res = &tile->components[c].resolutions[r];
            index->first[c][r] = count;
            count += res->num_precincts_x * res->num_precincts_y * index->num_layers;
        }
    index->packets = ARENA_ALLOC_ZERO(memory, const packet_record *, count);
    RETURN_IF(!index->packets, J2K_ERROR_MEMORY);
    for (size_t i = 0; i < log->num_packets; i++) {
        packet_id id = log->packets[i].id;
        index->packets[index->first[id.component][id.resolution] + id.precinct * index->num_layers +
                       id.layer] = &log->packets[i];
    }
    return J2K_OK;
}

static j2k_status recode_tile(transcoder *t, uint32_t index, const packet_log *log) {
    j2k_context *context = t->context;
    bool sound = true;
    recode_plan plan = {.styles = t->headers[index].components,
                        .num_layers = t->headers[index].style.num_layers,
                        .log = log,
                        .memory = &context->memory};
    TRY(j2k_tile_recode(context, &t->tiles[index], &plan, &t->recoded[index], &sound));
    if (sound)
        return J2K_OK;
    if (!t->options.tolerant)
        return j2k_fail(&context->diag, J2K_ERROR_CORRUPT,
                        "tile %u: the data of a code-block contradict themselves", index);
    j2k_warn(&context->diag, "tile %u: the data of a code-block contradict themselves", index);
    return J2K_OK;
}

static j2k_status read_tile(transcoder *t, uint32_t index, bool rebuild) {
    j2k_context *context = t->context;
    const tile_header *header = &t->cs.tiles[index];
    tile *tile = &t->tiles[index];
    bool present = header->present, complete = present;
    j2k_arena_reset(&context->work);
    TRY(check_tile(t, header, index));
    TRY(j2k_tile_build(tile, &t->cs.siz, index, present ? &header->style : &t->cs.style,
                       present ? header->components : t->cs.components, &context->memory, &context->diag));
    packet_log log = {.want_packets = !rebuild, .want_passes = rebuild};
    tile->budget = &t->budget;
    if (!present && j2k_main_styles_conflict(&t->cs))
        return j2k_fail(&context->diag, J2K_ERROR_CORRUPT,
                        "tile %u is missing, and without its header there is %s", index,
                        j2k_main_styles_conflict(&t->cs));
    if (present)
        TRY(j2k_packets_read_logged(tile, header, &t->cs.siz, t->options.tolerant, &log, &context->memory,
                                    &complete, &context->diag));
    else if (!t->options.tolerant)
        return j2k_fail(&context->diag, J2K_ERROR_TRUNCATED, "tile %u is missing", index);
    if (!complete)
        TRY(check_incomplete(t));
    if (rebuild)
        TRY(recode_tile(t, index, &log));
    else
        TRY(index_packets(t, tile, &log, &t->indices[index]));
    tile->budget = NULL;
    tile->style = &t->headers[index].style; /* from here on it is what will be written */
    for (uint32_t c = 0; c < tile->num_components; c++)
        tile->components[c].style = &t->headers[index].components[c];
    return J2K_OK;
}

/* HT code-blocks may have more bit-planes than their subband: these need more guard bits to be said in
 * Part 1. */
static j2k_status fit_guard_bits(transcoder *t) {
    int lowest = 0;
    for (uint32_t i = 0; i < t->num_tiles; i++)
        for (size_t k = 0; k < t->recoded[i].count; k++)
            lowest = t->recoded[i].zero_bitplanes[k] < lowest ? t->recoded[i].zero_bitplanes[k] : lowest;
    unsigned more = (unsigned)-lowest;
    for (uint32_t i = 0; i < t->num_tiles; i++)
        j2k_recode_finish(&t->recoded[i], more);
    for (uint32_t i = 0; more && i <= t->num_tiles; i++) {
        component_style *styles = i < t->num_tiles ? t->headers[i].components : t->out.components;
        if (i < t->num_tiles && styles == t->out.components)
            continue;
        for (uint32_t c = 0; c < t->out.siz.num_components; c++) {
            if (styles[c].quant.guard_bits + more > 7)
                return j2k_fail(&t->context->diag, J2K_ERROR_UNSUPPORTED,
                                "component %u: coefficients exceed the range of its depth by %u bits", c,
                                more);
            styles[c].quant.guard_bits = (uint8_t)(styles[c].quant.guard_bits + more);
        }
    }
    return J2K_OK;
}

/* ---- writing ---- */

static j2k_status move_packet(void *user, tile *t, packet_id id, byte_sink *sink, uint32_t number) {
    const transcoder *tr = user;
    const packet_index *index = &tr->indices[t->index];
    const packet_record *packet =
        index
            ->packets[index->first[id.component][id.resolution] + id.precinct * index->num_layers + id.layer];
    if (t->style->sop)
        j2k_write_sop(sink, number);
    if (packet)
        j2k_put_bytes(sink, packet->header.data, packet->header.size);
    else
        j2k_put_u8(sink, 0); /* an empty packet */
    if (t->style->eph)
        j2k_put_u16(sink, MARKER_EPH);
    if (packet)
        j2k_put_bytes(sink, packet->body.data, packet->body.size);
    return J2K_OK;
}

/* Rsiz and CAP. Profiles 0 and 1 (A.10) say nothing about the order of packets or of markers. */
static void plan_capabilities(transcoder *t, bool rebuild) {
    unsigned profile = t->cs.siz.rsiz & 0x3FFFu;
    t->out.siz.rsiz = (uint16_t)(!rebuild && profile <= 2 ? profile : 0);
    bool ht = any_ht(t->out.components, t->out.siz.num_components);
    for (uint32_t i = 0; i < t->num_tiles; i++)
        ht = ht || any_ht(t->headers[i].components, t->out.siz.num_components);
    t->out.has_cap = ht;
    if (ht && (rebuild || !t->cs.has_cap)) {
        unsigned magnitudes = t->cs.has_cap ? t->cs.ccap15 & CAP_MAGB : 0;
        t->out.ccap15 = j2k_ht_capabilities(&t->out, t->headers);
        if ((t->out.ccap15 & CAP_MAGB) < magnitudes)
            t->out.ccap15 = (uint16_t)((t->out.ccap15 & ~(unsigned)CAP_MAGB) | magnitudes);
    }
}

static j2k_status write_all(transcoder *t, bool rebuild, byte_sink *sink) {
    const j2k_transcode_options *o = &t->options;
    plan_capabilities(t, rebuild);
    j2k_format format = t->file.format;
    if (o->format >= 0)
        format = (j2k_format)o->format;
    else if (format != J2K_FORMAT_CODESTREAM)
        format = t->out.has_cap ? J2K_FORMAT_JPH : J2K_FORMAT_JP2;
    stream_writer w = {.context = t->context,
                       .cs = &t->out,
                       .headers = t->headers,
                       .tiles = t->tiles,
                       .num_tiles = t->num_tiles,
                       .tile_parts = o->tile_parts,
                       .plt = o->plt < 0 ? t->has_plt : o->plt,
                       .tlm = o->tlm < 0 ? t->has_tlm : o->tlm,
                       .segments = t->segments,
                       .num_segments = t->num_segments,
                       .packets = rebuild ? NULL : move_packet,
                       .user = t};
    j2k_arena_reset(&t->context->work);
    size_t jp2c = 0;
    if (format != J2K_FORMAT_CODESTREAM)
        jp2c = j2k_boxes_begin(sink, &t->file, &t->out, format);
    TRY(j2k_stream_write(&w, sink, true));
    if (format != J2K_FORMAT_CODESTREAM)
        TRY(j2k_boxes_end(sink, &t->file, jp2c, &t->context->diag));
    return J2K_OK;
}

/* ---- all of it ---- */

static j2k_status transcode(transcoder *t, const void *data, size_t size, byte_sink *sink) {
    j2k_context *context = t->context;
    bool rebuild;
    TRY(check_options(t));
    TRY(read_headers(t, data, size));
    t->budget.left =
        BUDGET_BASE + BUDGET_PER_BYTE * (uint64_t)t->file.codestream.size + t->samples / BUDGET_SAMPLES;
    TRY(plan_headers(t, &rebuild));
    t->tiles = ARENA_ALLOC_ZERO(&context->memory, tile, t->num_tiles);
    t->indices = ARENA_ALLOC_ZERO(&context->memory, packet_index, t->num_tiles);
    t->recoded = ARENA_ALLOC_ZERO(&context->memory, recoded_tile, t->num_tiles);
    RETURN_IF(!t->tiles || !t->indices || !t->recoded, J2K_ERROR_MEMORY);
    for (uint32_t i = 0; i < t->num_tiles; i++)
        TRY(read_tile(t, i, rebuild));
    if (rebuild)
        TRY(fit_guard_bits(t));
    TRY(write_all(t, rebuild, sink));
    if (sink->size > sink->capacity)
        return j2k_fail(&context->diag, J2K_ERROR_BUFFER,
                        "the result takes %zu bytes, the output buffer has %zu", sink->size, sink->capacity);
    return J2K_OK;
}

static void set_memory_limit(j2k_context *context, size_t limit) {
    context->memory.limit = context->work.limit = context->scratch.limit = limit;
    for (unsigned i = 0; i < context->num_workers; i++)
        context->workers[i].results.limit = limit;
}

j2k_status j2k_transcode(j2k_context *context, const void *data, size_t size,
                         const j2k_transcode_options *options, void *out, size_t capacity, size_t *out_size) {
    if (!context)
        return J2K_ERROR_ARGUMENT;
    diagnostics *diag = &context->diag;
    diag->message[0] = diag->warning[0] = 0;
    diag->warning_size = 0;
    if ((!data && size) || !out_size || (!out && capacity))
        return j2k_fail(diag, J2K_ERROR_ARGUMENT, "data, out and out_size must not be NULL");
    *out_size = 0;
    transcoder t = {.context = context};
    j2k_transcode_options_init(&t.options);
    if (options) {
        size_t known = options->struct_size < sizeof t.options ? options->struct_size : sizeof t.options;
        memcpy(&t.options, options, known);
    }
    uint64_t memory =
        t.options.max_memory ? t.options.max_memory : ((uint64_t)1 << 32) + (uint64_t)size * 1024;
    set_memory_limit(context, memory < SIZE_MAX ? (size_t)memory : SIZE_MAX);
    j2k_arena_reset(&context->memory);
    for (unsigned i = 0; i < context->num_workers; i++)
        j2k_arena_reset(&context->workers[i].results);
    byte_sink sink = {out, capacity, 0};
    j2k_status status = transcode(&t, data, size, &sink);
    set_memory_limit(context, 0);
    if (status == J2K_OK || status == J2K_ERROR_BUFFER)
        *out_size = sink.size;
    if (status == J2K_ERROR_MEMORY && !diag->message[0])
        return j2k_fail(diag, status, "out of memory, or more than max_memory is needed");
    if (status != J2K_OK && !diag->message[0])
        return j2k_fail(diag, status, "%s", j2k_status_string(status));
    return status;
}
