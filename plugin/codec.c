/* One array to one stream and back, as both Blosc2's callbacks and the array functions need it.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "mask.h"
#include "note.h"
#include "state.h"

/* Components on the stack for the images that blocks usually are. */
enum { FEW_COMPONENTS = 4 };

/* To meet a PSNR of floats, beyond the first one. */
enum { MAX_ATTEMPTS = 5 };

static j2k_status check_place(const layout *l, const params *p, diagnosis *why) {
    if ((uint64_t)p->offset[0] + l->width > UINT32_MAX || (uint64_t)p->offset[1] + l->height > UINT32_MAX)
        return fail(why, J2K_ERROR_ARGUMENT, "offset: %lld, %lld is too large for a block of %u x %u",
                    (long long)p->offset[0], (long long)p->offset[1], (unsigned)l->width,
                    (unsigned)l->height);
    return J2K_OK;
}

static j2k_status engine_failed(const j2k_context *context, j2k_status status, diagnosis *why) {
    const char *message = j2k_context_message(context);
    return fail(why, status, "%s", message[0] ? message : j2k_status_string(status));
}

static j2k_status out_of_memory(diagnosis *why) {
    return fail(why, J2K_ERROR_MEMORY, "out of memory");
}

/* Code the samples at data, laid out as l says, with a note. */
static j2k_status encode_image(j2k_context *context, const layout *l, const params *p, const note *n,
                               const void *data, void *out, size_t capacity, size_t *size, diagnosis *why) {
    j2k_encode_options options;
    j2k_status status = params_to_options(p, l, &options, why);
    if (status == J2K_OK)
        status = check_place(l, p, why);
    if (status != J2K_OK)
        return status;
    char text[NOTE_CAPACITY];
    note_format(n, text);
    options.note = text;
    j2k_component few[FEW_COMPONENTS];
    j2k_component *components = few;
    if (l->num_components > FEW_COMPONENTS)
        components = malloc(l->num_components * sizeof *components);
    if (!components)
        return out_of_memory(why);
    j2k_image image;
    /* The engine only reads. */
    layout_set_image(l, (uint32_t)p->offset[0], (uint32_t)p->offset[1], (void *)(uintptr_t)data, components,
                     &image);
    status = j2k_encode(context, &image, &options, out, capacity, size);
    if (components != few)
        free(components);
    if (status == J2K_OK)
        return status;
    engine_failed(context, status, why);
    char what[100];
    snprintf(what, sizeof what, "encoding %u x %u x %u samples of dtype %s", (unsigned)l->height,
             (unsigned)l->width, (unsigned)l->num_components, l->dtype);
    return fail_in(why, status, what);
}

static j2k_status encode_integers(j2k_context *context, const layout *array, const params *p, note *n,
                                  const void *data, void *out, size_t capacity, size_t *size,
                                  diagnosis *why) {
    layout l = *array;
    j2k_status status = layout_set_depth(&l, p->significant_bits, data, why);
    if (status != J2K_OK)
        return status;
    uint32_t plain_size = l.depth <= 8 ? 1 : l.depth <= 16 ? 2 : 4;
    if (!l.is_bool && plain_size != l.sample_size)
        memcpy(n->dtype, l.name, sizeof n->dtype);
    return encode_image(context, &l, p, n, data, out, capacity, size, why);
}

/* What a box behind the codestream takes is taken off the targets of size. */
static j2k_status make_room(const layout *l, size_t box_size, params *p, diagnosis *why) {
    if (p->cod_format == FORMAT_J2K)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "nan: \"mask\" needs a file to put the mask in; cod_format must be "
                    "GRK_FMT_JP2");
    double bytes = (double)layout_size(l);
    for (int64_t i = 0; p->quality_mode == QUALITY_RATES && i < p->num_quality_layers; i++) {
        double left = bytes / p->quality_layers[i] - (double)box_size;
        double least = bytes / 1e8 * (double)(i + 1); /* ratios decrease */
        p->quality_layers[i] = bytes / (left > least ? left : least);
    }
    if (p->max_cs_size > 0)
        p->max_cs_size = p->max_cs_size > (int64_t)box_size ? p->max_cs_size - (int64_t)box_size : 1;
    return J2K_OK;
}

static j2k_status append(const uint8_t *box, size_t box_size, void *out, size_t capacity, size_t *size,
                         diagnosis *why) {
    if (box_size > capacity - *size)
        return fail(why, J2K_ERROR_BUFFER, "the output buffer is too small");
    memcpy((uint8_t *)out + *size, box, box_size);
    *size += box_size;
    return J2K_OK;
}

static j2k_status decode_with(j2k_context *context, const void *data, size_t size, void *out, size_t out_size,
                              diagnosis *why);

/* The engine's PSNR leaves out that floats are rounded once more, and counts what stands for values that are
 * not finite. So decode, measure, and ask for more where it was not enough. samples: memory for the samples.
 */
static j2k_status check_error(j2k_context *context, const layout *l, float_plan *plan, const note *n,
                              const void *data, const void *stream, size_t size, void *samples, double margin,
                              bool *enough, diagnosis *why) {
    j2k_status status = decode_with(context, stream, size, samples, (size_t)layout_size(l), why);
    if (status != J2K_OK)
        return status;
    double error = floats_error(l, data, samples, note_swapped(n));
    *enough = error <= plan->allowed;
    for (int64_t i = 0; !*enough && i < plan->coding.num_quality_layers; i++)
        plan->coding.quality_layers[i] += 20 * log10(error / plan->allowed) + margin;
    return J2K_OK;
}

/* integers, mask: memory for the samples, mask only when some are not finite. */
static j2k_status encode_mapped(j2k_context *context, const layout *array, float_plan *plan, note *n,
                                const void *data, void *integers, uint8_t *mask, void *out, size_t capacity,
                                size_t *size, diagnosis *why) {
    layout l = *array;
    l.depth = plan->depth;
    l.type = sample_type(l.sample_size, false);
    l.byte_swapped = false;
    floats_to_integers(array, &plan->map, data, integers, mask);
    memcpy(n->dtype, l.name, sizeof n->dtype);
    n->floats = plan->map;
    uint8_t *box = NULL;
    size_t box_size = 0;
    j2k_status status = J2K_OK;
    if (mask)
        status = mask_encode(context, &l, mask, &box, &box_size, why);
    if (status == J2K_OK && mask)
        status = make_room(&l, box_size, &plan->coding, why);
    bool enough = plan->allowed == 0;
    for (int attempt = 0; status == J2K_OK && attempt < MAX_ATTEMPTS; attempt++) {
        status = encode_image(context, &l, &plan->coding, n, integers, out, capacity, size, why);
        if (status == J2K_OK && mask)
            status = append(box, box_size, out, capacity, size, why);
        if (enough || status != J2K_OK)
            break;
        status = check_error(context, array, plan, n, data, out, *size, integers, ldexp(0.005, 2 * attempt),
                             &enough, why);
        if (enough || status != J2K_OK)
            break;
        floats_to_integers(array, &plan->map, data, integers, mask);
    }
    free(box);
    return status == J2K_OK && !enough ? J2K_ERROR_LIMIT : status;
}

static j2k_status encode_planned(j2k_context *context, const layout *l, const params *p, float_plan *plan,
                                 note *n, const void *data, void *integers, void *out, size_t capacity,
                                 size_t *size, diagnosis *why) {
    j2k_status status = floats_plan(l, p, data, plan, why);
    if (status != J2K_OK)
        return status;
    uint8_t *mask = plan->map.masked ? malloc((size_t)layout_samples(l)) : NULL;
    if (plan->map.masked && !mask)
        return out_of_memory(why);
    status = encode_mapped(context, l, plan, n, data, integers, mask, out, capacity, size, why);
    free(mask);
    return status;
}

static j2k_status encode_floats(j2k_context *context, const layout *l, const params *p, note *n,
                                const void *data, void *out, size_t capacity, size_t *size, diagnosis *why) {
    float_plan *plan = malloc(sizeof *plan);
    void *integers = malloc((size_t)layout_size(l));
    j2k_status status =
        plan && integers ? layout_check_bits(l, p->significant_bits, why) : out_of_memory(why);
    if (status == J2K_OK)
        status = encode_planned(context, l, p, plan, n, data, integers, out, capacity, size, why);
    if (status == J2K_ERROR_LIMIT) { /* the PSNR is out of reach of lossy coding */
        params everything = *p;
        params_make_lossless(&everything);
        status = encode_planned(context, l, &everything, plan, n, data, integers, out, capacity, size, why);
    }
    free(integers);
    free(plan);
    return status;
}

j2k_status codec_encode(const layout *l, const params *p, unsigned num_threads, bool in_blosc2,
                        const void *data, void *out, size_t capacity, size_t *size, diagnosis *why) {
    note n;
    memset(&n, 0, sizeof n);
    if (in_blosc2 && l->byte_swapped) {
        n.little_endian = machine_is_big_endian();
        n.big_endian = !n.little_endian;
    }
    j2k_context *context = state_take_context(num_threads);
    if (!context)
        return out_of_memory(why);
    j2k_status status = l->is_float ? encode_floats(context, l, p, &n, data, out, capacity, size, why)
                                    : encode_integers(context, l, p, &n, data, out, capacity, size, why);
    state_give_context(context, num_threads);
    /* Samples of 32 bits can be more than the engine's coders take, with HT for instance. Raw they are
     * lossless too. */
    bool deep = in_blosc2 && l->sample_size == 4 && !params_lossy(p);
    return status == J2K_ERROR_UNSUPPORTED && deep ? J2K_ERROR_BUFFER : status;
}

/* ---- decoding ---- */

/* The layout that the stream has in a buffer of out_size bytes. */
static j2k_status layout_of_stream(const j2k_header *header, size_t out_size, layout *l, diagnosis *why) {
    const j2k_component_info *first = &header->components[0];
    memset(l, 0, sizeof *l);
    for (uint32_t c = 1; c < header->num_components; c++) {
        const j2k_component_info *info = &header->components[c];
        if (info->width != first->width || info->height != first->height)
            return fail(why, J2K_ERROR_UNSUPPORTED, "components of different size do not make a block");
    }
    /* No product below passes 2^64: samples are at most out_size when it matters, components at most 16384.
     */
    uint64_t samples = (uint64_t)first->width * first->height;
    uint64_t all = samples <= out_size ? samples * header->num_components : 0;
    if (all == 0 || (out_size != all && out_size != 2 * all && out_size != 4 * all))
        return fail(why, J2K_ERROR_CORRUPT,
                    "an image of %u x %u x %u samples does not make a block of %llu bytes",
                    (unsigned)first->height, (unsigned)first->width, (unsigned)header->num_components,
                    (unsigned long long)out_size);
    l->sample_size = (uint32_t)(out_size / all);
    l->width = first->width;
    l->height = first->height;
    l->num_components = header->num_components;
    return J2K_OK;
}

/* Give each component its own depth and sign. */
static j2k_status set_types(const j2k_header *header, const layout *l, j2k_component *components,
                            diagnosis *why) {
    for (uint32_t c = 0; c < header->num_components; c++) {
        const j2k_component_info *info = &header->components[c];
        if (info->depth > 8 * l->sample_size)
            return fail(why, J2K_ERROR_CORRUPT, "samples of %u bits in a block of %u-bit elements",
                        info->depth, 8 * (unsigned)l->sample_size);
        components[c].type = sample_type(l->sample_size, info->is_signed);
        components[c].is_signed = info->is_signed;
        components[c].depth = info->depth;
        components[c].dx = info->dx;
        components[c].dy = info->dy;
    }
    return J2K_OK;
}

static j2k_status restore_floats(j2k_context *context, const void *data, size_t size, const layout *l,
                                 const note *n, void *samples, diagnosis *why) {
    uint32_t float_size = strcmp(n->dtype, "float16") == 0 ? 2 : 4;
    if (l->sample_size != float_size)
        return fail(why, J2K_ERROR_CORRUPT, "samples of dtype %s in a block of %u-bit elements", n->dtype,
                    8 * (unsigned)l->sample_size);
    uint8_t *mask = NULL;
    j2k_status status = J2K_OK;
    if (n->floats.masked) {
        mask = malloc((size_t)layout_samples(l));
        status = mask ? mask_decode(context, data, size, l, mask, why) : out_of_memory(why);
    }
    if (status == J2K_OK)
        integers_to_floats(&n->floats, float_size, note_swapped(n), samples, (size_t)layout_samples(l), mask);
    free(mask);
    return status;
}

static j2k_status decode_with(j2k_context *context, const void *data, size_t size, void *out, size_t out_size,
                              diagnosis *why) {
    j2k_decode_options options;
    j2k_decode_options_init(&options);
    options.max_pixels = out_size;
    options.max_memory = ((uint64_t)1 << 28) + (uint64_t)out_size * 64;
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    j2k_status status = j2k_read_header(context, data, size, &options, &header);
    if (status != J2K_OK)
        return engine_failed(context, status, why);
    layout l;
    note n;
    status = layout_of_stream(&header, out_size, &l, why);
    if (status == J2K_OK)
        status = note_read((const char *)data + header.codestream_offset, header.codestream_size, &n, why);
    if (status != J2K_OK)
        return status;
    l.byte_swapped = !n.floats.kind && note_swapped(&n); /* floats are still to be made */
    j2k_component *components = malloc(l.num_components * sizeof *components);
    if (!components)
        return out_of_memory(why);
    j2k_image image;
    layout_set_image(&l, 0, 0, out, components, &image);
    image.x0 = header.x0;
    image.y0 = header.y0;
    image.x1 = header.x1;
    image.y1 = header.y1;
    image.colour_space = header.colour_space;
    status = set_types(&header, &l, components, why);
    if (status == J2K_OK) {
        status = j2k_decode(context, data, size, &options, &image);
        if (status != J2K_OK)
            engine_failed(context, status, why);
    }
    free(components);
    return status == J2K_OK && n.floats.kind ? restore_floats(context, data, size, &l, &n, out, why) : status;
}

j2k_status codec_decode(const void *data, size_t size, unsigned num_threads, void *out, size_t out_size,
                        diagnosis *why) {
    j2k_context *context = state_take_context(num_threads);
    if (!context)
        return out_of_memory(why);
    j2k_status status = decode_with(context, data, size, out, out_size, why);
    state_give_context(context, num_threads);
    return status == J2K_OK ? status : fail_in(why, status, "decoding a block");
}
