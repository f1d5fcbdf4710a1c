/* Coding arrays without Blosc2: flat functions that any language can call.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOSC2_GROK_NO_BLOSC2
#include "blosc2_grok.h"
#include "codec.h"
#include "note.h"
#include "state.h"

static int finish(j2k_status status, const diagnosis *why, char *error, size_t error_capacity) {
    if (error && error_capacity)
        snprintf(error, error_capacity, "%s", status == J2K_OK ? "" : why->text);
    if (status != J2K_OK)
        state_report(why, false);
    return status;
}

void blosc2_grok_free(void *data) {
    free(data);
}

/* ---- encoding
 * --------------------------------------------------------------------------------------------------- */

static j2k_status encode_growing(const layout *l, const params *p, const void *array, void **data,
                                 size_t *size, diagnosis *why) {
    uint64_t capacity = layout_size(l) + layout_size(l) / 4 + 4096;
    unsigned threads = (unsigned)p->num_threads;
    for (;;) {
        if (capacity > SIZE_MAX / 4)
            return fail(why, J2K_ERROR_MEMORY, "out of memory");
        void *out = malloc((size_t)capacity);
        if (!out)
            return fail(why, J2K_ERROR_MEMORY, "out of memory");
        j2k_status status = codec_encode(l, p, threads, false, array, out, (size_t)capacity, size, why);
        if (status == J2K_OK) {
            void *exact = realloc(out, *size);
            *data = exact ? exact : out;
            return J2K_OK;
        }
        free(out);
        if (status != J2K_ERROR_BUFFER)
            return status;
        capacity *= 2;
    }
}

/* Parameters given in text form, over the defaults of the process. */
static j2k_status collect(const char *parameters, params *p, diagnosis *why) {
    j2k_status status = state_get_defaults(p, why);
    size_t length = parameters ? strlen(parameters) : 0;
    if (status != J2K_OK && !(parameters && params_text_is_complete(parameters, length)))
        return status;
    return parameters ? params_parse(p, parameters, length, why) : status;
}

int blosc2_grok_encode_array(const void *array, const char *dtype, int ndim, const int64_t *shape,
                             const char *parameters, void **data, size_t *size, char *error,
                             size_t error_capacity) {
    return blosc2_grok_encode_region(array, dtype, ndim, shape, NULL, 0, parameters, data, size, error,
                                     error_capacity);
}

int blosc2_grok_encode_region(const void *array, const char *dtype, int ndim, const int64_t *shape,
                              const uint8_t *roi_mask, size_t roi_mask_size, const char *parameters,
                              void **data, size_t *size, char *error, size_t error_capacity) {
    diagnosis why = {""};
    params p;
    layout l;
    memset(&l, 0, sizeof l);
    j2k_status status = collect(parameters, &p, &why);
    if (status == J2K_OK)
        status = layout_set_dtype(&l, dtype, 0, &why);
    if (status == J2K_OK)
        status = layout_set_shape(&l, ndim, shape, p.axes, &why);
    if (status == J2K_OK && roi_mask && roi_mask_size != (uint64_t)l.width * l.height)
        status = fail(&why, J2K_ERROR_ARGUMENT, "roi_mask: %zu samples do not mask an image of %u x %u",
                      roi_mask_size, (unsigned)l.height, (unsigned)l.width);
    p.roi_mask = roi_mask;
    if (status == J2K_OK)
        status = encode_growing(&l, &p, array, data, size, &why);
    return finish(status, &why, error, error_capacity);
}

/* What can be said of parameters before there are data. */
static j2k_status check_array(const params *p, const char *dtype, int ndim, const int64_t *blockshape,
                              diagnosis *why) {
    layout l;
    memset(&l, 0, sizeof l);
    j2k_status status = layout_set_dtype(&l, dtype, 0, why);
    if (status == J2K_OK)
        status = layout_set_shape(&l, ndim, blockshape, p->axes, why);
    if (status == J2K_OK)
        status = layout_check_bits(&l, p->significant_bits, why);
    if (status != J2K_OK)
        return status;
    params coding = *p;
    if (l.is_float && params_max_error(p) > 0)
        params_make_lossless(&coding);
    j2k_encode_options options;
    return params_to_options(&coding, &l, &options, why);
}

static const char too_long[] = "the parameters' text form is too long";

int blosc2_grok_parse_parameters(const char *parameters, char *text, size_t capacity, char *error,
                                 size_t error_capacity) {
    diagnosis why = {""};
    params p;
    j2k_status status = collect(parameters, &p, &why);
    if (status == J2K_OK && params_format(&p, text, capacity) >= capacity)
        status = fail(&why, J2K_ERROR_BUFFER, "%s", too_long);
    return finish(status, &why, error, error_capacity);
}

int blosc2_grok_prepare_array(const char *dtype, int ndim, const int64_t *blockshape, const char *parameters,
                              char *text, size_t capacity, char *error, size_t error_capacity) {
    diagnosis why = {""};
    params p;
    j2k_status status = collect(parameters, &p, &why);
    if (status == J2K_OK)
        status = check_array(&p, dtype, ndim, blockshape, &why);
    if (status == J2K_OK && params_format_complete(&p, text, capacity) >= capacity)
        status = fail(&why, J2K_ERROR_BUFFER, "%s", too_long);
    return finish(status, &why, error, error_capacity);
}

/* ---- decoding
 * --------------------------------------------------------------------------------------------------- */

static unsigned set_selection(const blosc2_grok_selection *selection, j2k_decode_options *options) {
    j2k_decode_options_init(options);
    if (!selection)
        return 0;
    options->reduce = selection->reduce;
    options->max_layers = selection->layers;
    options->use_region = selection->use_region != 0;
    options->region_x0 = selection->region[0];
    options->region_y0 = selection->region[1];
    options->region_x1 = selection->region[2];
    options->region_y1 = selection->region[3];
    options->tolerant = selection->tolerant != 0;
    options->components = selection->components;
    options->num_components = selection->num_components;
    return selection->num_threads;
}

static j2k_status read_header(j2k_context *context, const void *data, size_t size,
                              const j2k_decode_options *options, j2k_header *header, diagnosis *why) {
    memset(header, 0, sizeof *header);
    header->struct_size = sizeof *header;
    j2k_status status = j2k_read_header(context, data, size, options, header);
    return status == J2K_OK ? status : fail(why, status, "%s", j2k_context_message(context));
}

static j2k_status note_of(const void *data, const j2k_header *header, note *n, diagnosis *why) {
    return note_read((const char *)data + header->codestream_offset, header->codestream_size, n, why);
}

/* JSON text that grows. */
typedef struct json {
    char *text;
    size_t length, capacity;
    bool failed;
} json;

static void add(json *j, const char *format, ...) PLUGIN_PRINTF(2, 3);

static void add(json *j, const char *format, ...) {
    if (j->capacity - j->length < 512) {
        size_t capacity = 2 * j->capacity + 4096;
        char *text = realloc(j->text, capacity);
        if (!text) {
            j->failed = true;
            return;
        }
        j->text = text;
        j->capacity = capacity;
    }
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(j->text + j->length, j->capacity - j->length, format, arguments);
    va_end(arguments);
    if (written > 0 && (size_t)written < j->capacity - j->length)
        j->length += (size_t)written;
}

/* Latin-1 text. */
static void add_text(json *j, const char *text, size_t length) {
    add(j, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            add(j, "\\u%04x", c);
        else
            add(j, "%c", c);
    }
    add(j, "\"");
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static void add_component(json *j, const j2k_component_info *c) {
    add(j, "{\"depth\": %u, \"signed\": %s, \"dx\": %u, \"dy\": %u, ", c->depth, truth(c->is_signed),
        (unsigned)c->dx, (unsigned)c->dy);
    add(j, "\"full_width\": %u, \"full_height\": %u, \"width\": %u, \"height\": %u}", (unsigned)c->full_width,
        (unsigned)c->full_height, (unsigned)c->width, (unsigned)c->height);
}

static void add_header(json *j, const j2k_header *h, const note *n) {
    static const char *const formats[] = {"codestream", "jp2", "jph"};
    static const char *const progressions[] = {"LRCP", "RLCP", "RPCL", "PCRL", "CPRL"};
    add(j, "{\"format\": \"%s\", ", formats[h->format <= J2K_FORMAT_JPH ? h->format : 0]);
    add(j, "\"x0\": %u, \"y0\": %u, \"x1\": %u, \"y1\": %u, ", (unsigned)h->x0, (unsigned)h->y0,
        (unsigned)h->x1, (unsigned)h->y1);
    add(j, "\"tile_x0\": %u, \"tile_y0\": %u, \"tile_width\": %u, \"tile_height\": %u, \"num_tiles\": %u, ",
        (unsigned)h->tile_x0, (unsigned)h->tile_y0, (unsigned)h->tile_width, (unsigned)h->tile_height,
        (unsigned)h->num_tiles);
    add(j, "\"colour_space\": %d, \"icc_profile_size\": %llu, \"rsiz\": %u, \"irreversible\": %s, ",
        (int)h->colour_space, (unsigned long long)h->icc_profile_size, h->rsiz, truth(h->irreversible));
    add(j, "\"colour_transform\": %s, \"num_layers\": %u, \"num_resolutions\": %u, ",
        truth(h->colour_transform), (unsigned)h->num_layers, (unsigned)h->num_resolutions);
    add(j, "\"codeblock_width\": %u, \"codeblock_height\": %u, \"codeblock_style\": %u, \"guard_bits\": %u, ",
        (unsigned)h->codeblock_width, (unsigned)h->codeblock_height, (unsigned)h->codeblock_style,
        (unsigned)h->guard_bits);
    add(j, "\"progression\": \"%s\", \"sop\": %s, \"eph\": %s, ",
        progressions[h->progression <= J2K_CPRL ? h->progression : 0], truth(h->sop), truth(h->eph));
    add(j,
        "\"codestream_offset\": %llu, \"codestream_size\": %llu, \"palette_entries\": %u, "
        "\"palette_columns\": %u, ",
        (unsigned long long)h->codestream_offset, (unsigned long long)h->codestream_size,
        (unsigned)h->palette_entries, (unsigned)h->palette_columns);
    add(j, "\"comment\": ");
    if (h->comment)
        add_text(j, h->comment, h->comment_size);
    else
        add(j, "null");
    static const char *const mappings[] = {"null", "\"ordered\"", "\"scaled\""};
    bool noted = note_sample_size(n, h) != 0;
    const char *quote = noted ? "\"" : "";
    add(j, ", \"dtype\": %s%s%s, \"values\": %s, \"nonfinite\": %s", quote, noted ? n->dtype : "null", quote,
        mappings[noted ? n->floats.kind : FLOATS_NONE], truth(noted && n->floats.masked));
    add(j, ", \"components\": [");
    for (uint32_t c = 0; c < h->num_components; c++) {
        add(j, c ? ", " : "");
        add_component(j, &h->components[c]);
    }
    add(j, "]}");
}

int blosc2_grok_describe(const void *data, size_t size, const blosc2_grok_selection *selection,
                         void **json_text, size_t *json_size, char *error, size_t error_capacity) {
    diagnosis why = {""};
    j2k_decode_options options;
    set_selection(selection, &options);
    j2k_context *context = state_take_context(1);
    if (!context)
        return finish(fail(&why, J2K_ERROR_MEMORY, "out of memory"), &why, error, error_capacity);
    j2k_header header;
    json j = {NULL, 0, 0, false};
    j2k_status status = read_header(context, data, size, &options, &header, &why);
    note n;
    if (status == J2K_OK)
        status = note_of(data, &header, &n, &why);
    if (status == J2K_OK) {
        add_header(&j, &header, &n);
        if (j.failed) {
            free(j.text);
            status = fail(&why, J2K_ERROR_MEMORY, "out of memory");
        } else {
            *json_text = j.text;
            *json_size = j.length;
        }
    }
    state_give_context(context, 1);
    return finish(status, &why, error, error_capacity);
}

static j2k_status decode_components(j2k_context *context, const void *data, size_t size,
                                    const j2k_decode_options *options, uint32_t num_components,
                                    void *const *samples, const int64_t *row_strides,
                                    const int64_t *sample_steps, const int32_t *types, diagnosis *why) {
    j2k_header header;
    j2k_status status = read_header(context, data, size, options, &header, why);
    if (status != J2K_OK)
        return status;
    if (num_components != header.num_components)
        return fail(why, J2K_ERROR_ARGUMENT, "%u views for %u components", (unsigned)num_components,
                    (unsigned)header.num_components);
    j2k_component *components = calloc(num_components, sizeof *components);
    if (!components)
        return fail(why, J2K_ERROR_MEMORY, "out of memory");
    for (uint32_t c = 0; c < num_components; c++) {
        const j2k_component_info *info = &header.components[c];
        components[c] = (j2k_component){.data = samples[c],
                                        .row_stride = (ptrdiff_t)row_strides[c],
                                        .sample_step = (ptrdiff_t)sample_steps[c],
                                        .type = (j2k_sample_type)types[c],
                                        .is_signed = info->is_signed,
                                        .depth = info->depth,
                                        .dx = info->dx,
                                        .dy = info->dy,
                                        .width = info->width,
                                        .height = info->height};
    }
    j2k_image image = {header.x0,      header.y0,  header.x1,          header.y1,
                       num_components, components, header.colour_space};
    status = j2k_decode(context, data, size, options, &image);
    free(components);
    return status == J2K_OK ? status : fail(why, status, "%s", j2k_context_message(context));
}

int blosc2_grok_decode_components(const void *data, size_t size, const blosc2_grok_selection *selection,
                                  uint32_t num_components, void *const *samples, const int64_t *row_strides,
                                  const int64_t *sample_steps, const int32_t *types, char *error,
                                  size_t error_capacity) {
    diagnosis why = {""};
    j2k_decode_options options;
    unsigned threads = set_selection(selection, &options);
    j2k_context *context = state_take_context(threads);
    if (!context)
        return finish(fail(&why, J2K_ERROR_MEMORY, "out of memory"), &why, error, error_capacity);
    j2k_status status = decode_components(context, data, size, &options, num_components, samples, row_strides,
                                          sample_steps, types, &why);
    char warning[sizeof why.text] = "";
    if (options.tolerant)
        snprintf(warning, sizeof warning, "%s", j2k_context_warning(context));
    state_give_context(context, threads);
    int result = finish(status, &why, error, error_capacity);
    if (status == J2K_OK && error && error_capacity)
        snprintf(error, error_capacity, "%s", warning);
    return result;
}

static j2k_status restore_floats(const note *n, void *samples, size_t count, size_t sample_size,
                                 const uint8_t *codes, diagnosis *why) {
    if (!n->floats.kind || sample_size != (strcmp(n->dtype, "float16") == 0 ? 2 : 4))
        return fail(why, J2K_ERROR_ARGUMENT, "the stream does not hold floats of %u bytes",
                    (unsigned)sample_size);
    integers_to_floats(&n->floats, (uint32_t)sample_size, false, samples, count, codes);
    return J2K_OK;
}

int blosc2_grok_restore_floats(const void *data, size_t size, void *samples, size_t count, size_t sample_size,
                               const uint8_t *codes, char *error, size_t error_capacity) {
    diagnosis why = {""};
    j2k_decode_options options;
    set_selection(NULL, &options);
    j2k_context *context = state_take_context(1);
    if (!context)
        return finish(fail(&why, J2K_ERROR_MEMORY, "out of memory"), &why, error, error_capacity);
    j2k_header header;
    note n;
    j2k_status status = read_header(context, data, size, &options, &header, &why);
    if (status == J2K_OK)
        status = note_of(data, &header, &n, &why);
    state_give_context(context, 1);
    if (status == J2K_OK)
        status = restore_floats(&n, samples, count, sample_size, codes, &why);
    return finish(status, &why, error, error_capacity);
}
