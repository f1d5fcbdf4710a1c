/* The codec plugin: what C-Blosc2 looks up and calls, and the parameters of the process.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#define BLOSC2_GROK_NO_BLOSC2
#include "blosc2_abi.h"
#include "blosc2_grok_public.h"
#include "codec.h"
#include "family.h"
#include "schunk.h"
#include "state.h"

extern BLOSC2_GROK_EXPORT codec_info info;
codec_info info = {"blosc2_grok_encoder", "blosc2_grok_decoder"};

static int blosc2_error(j2k_status status) {
    switch (status) {
    case J2K_ERROR_ARGUMENT:
        return ABI_ERROR_CODEC_PARAM;
    case J2K_ERROR_MEMORY:
        return ABI_ERROR_MEMORY;
    case J2K_ERROR_UNSUPPORTED:
        return ABI_ERROR_CODEC_SUPPORT;
    case J2K_ERROR_TRUNCATED:
    case J2K_ERROR_CORRUPT:
    case J2K_ERROR_LIMIT:
        return ABI_ERROR_DATA;
    default:
        return ABI_ERROR_FAILURE;
    }
}

/* ---- encoding
 * --------------------------------------------------------------------------------------------------- */

/* What is known of the block that is to be encoded. */
typedef struct block {
    const blosc2_cparams *cparams;
    int32_t size;
    metalayer_view text; /* parameters of the array */
    bool is_array;       /* described by a b2nd metalayer */
    b2nd_array array;
    layout layout;
    int64_t blocks_per_chunk;
} block;

/* A block without array metadata is one row of unsigned integers. */
static j2k_status set_row(block *b, diagnosis *why) {
    int32_t typesize = b->cparams->typesize;
    if (typesize != 1 && typesize != 2 && typesize != 4)
        return fail(
            why, J2K_ERROR_UNSUPPORTED,
            "data without array metadata and with typesize %d are not supported; supported are 1, 2 and 4",
            (int)typesize);
    int64_t length = b->size / typesize;
    j2k_status status = layout_set_dtype(&b->layout, "|u1", (uint32_t)typesize, why);
    return status == J2K_OK ? layout_set_shape(&b->layout, 1, &length, "", why) : status;
}

static j2k_status set_array(block *b, const params *p, diagnosis *why) {
    if (b->array.dtype_format != 0)
        return fail(why, J2K_ERROR_UNSUPPORTED, "dtype format %d is not supported; only NumPy's (0) is",
                    b->array.dtype_format);
    int64_t shape[ABI_MAX_DIM];
    for (int i = 0; i < b->array.ndim; i++)
        shape[i] = b->array.blockshape[i];
    j2k_status status = layout_set_dtype(&b->layout, b->array.dtype, (uint32_t)b->cparams->typesize, why);
    if (status == J2K_OK)
        status = layout_set_shape(&b->layout, b->array.ndim, shape, p->axes, why);
    return status;
}

static j2k_status read_metalayers(block *b, diagnosis *why) {
    if (!b->cparams->schunk)
        return J2K_OK;
    schunk_metalayers layers;
    if (!schunk_find_metalayers(b->cparams->schunk, &layers))
        return fail(why, J2K_ERROR_UNSUPPORTED,
                    "this version of C-Blosc2 lays out blosc2_schunk in a way that this version of "
                    "blosc2_grok does not know; please upgrade blosc2-grok");
    b->text = layers.jpeg2000;
    b->is_array = layers.b2nd.content != NULL;
    if (b->is_array && !b2nd_parse(layers.b2nd, &b->array))
        return fail(why, J2K_ERROR_CORRUPT, "the array's b2nd metalayer is malformed");
    return J2K_OK;
}

static j2k_status set_layout(block *b, const params *p, diagnosis *why) {
    j2k_status status = b->is_array ? set_array(b, p, why) : set_row(b, why);
    if (status != J2K_OK)
        return status;
    b->blocks_per_chunk = b->is_array ? b2nd_blocks_per_chunk(&b->array) : 1;
    if (layout_size(&b->layout) != (uint64_t)b->size)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "a block of %d bytes where the array's blocks have %llu; set splitmode to NEVER_SPLIT",
                    (int)b->size, (unsigned long long)layout_size(&b->layout));
    return J2K_OK;
}

/* The text in a metalayer: as a C program writes it, or as python-blosc2 does: a MessagePack string or byte
 * string. */
static metalayer_view unpack(metalayer_view m) {
    if (m.size < 1 || m.content[0] < 0x80)
        return m;
    uint8_t head = m.content[0];
    size_t length = head & 31, length_bytes = 0; /* fixstr */
    if (head == 0xd9 || head == 0xc4)
        length_bytes = 1;
    else if (head == 0xda || head == 0xc5)
        length_bytes = 2;
    else if (head < 0xa0 || head > 0xbf)
        return m;
    if (m.size < 1 + length_bytes)
        return m;
    if (length_bytes)
        length = 0;
    for (size_t i = 0; i < length_bytes; i++)
        length = length << 8 | m.content[1 + i];
    if (m.size != 1 + length_bytes + length)
        return m;
    return (metalayer_view){m.content + 1 + length_bytes, length};
}

/* Defaults, then codec_meta, then what the program or the array says; the last that names a quality mode
 * decides on it. When the array says everything, nothing of the process matters, not even that its defaults
 * are bad. */
static j2k_status collect_params(const block *b, uint8_t meta, uint32_t style, params *p, diagnosis *why) {
    const blosc2_grok_params *given = b->cparams->codec_params;
    metalayer_view text = unpack(b->text);
    bool complete = text.content && params_text_is_complete((const char *)text.content, text.size);
    j2k_status status = given ? params_from_grok(p, &given->compressParams, why) : state_get_defaults(p, why);
    if (status != J2K_OK && !complete)
        return given ? fail_in(why, status, "codec_params") : status;
    if (meta && !(given && p->quality_mode != QUALITY_NONE))
        params_apply_meta(p, meta);
    if (text.content) {
        status = params_parse(p, (const char *)text.content, text.size, why);
        if (status != J2K_OK)
            return fail_in(why, status, "metalayer jpeg2000");
    }
    p->mode |= style;
    return params_check(p, why);
}

/* Lossy coding of shuffled bytes would destroy the data. */
static j2k_status check_filters(const block *b, const params *p, diagnosis *why) {
    if (!params_lossy(p))
        return J2K_OK;
    for (int i = 0; i < ABI_MAX_FILTERS; i++) {
        uint8_t filter = b->cparams->filters[i];
        bool harmless = filter == ABI_NOFILTER || filter == ABI_TRUNC_PREC || filter == ABI_INT_TRUNC ||
                        (filter == ABI_SHUFFLE && b->layout.sample_size == 1);
        if (!harmless)
            return fail(why, J2K_ERROR_ARGUMENT,
                        "lossy coding needs the samples as they are, but filter %d rearranges them; set "
                        "filters to none",
                        filter);
    }
    return J2K_OK;
}

/* Blosc2's threads code the blocks of a chunk; those that a chunk leaves idle can help with one block. */
static unsigned threads_per_block(int64_t asked, int blosc2_threads, int64_t blocks) {
    if (asked > 0)
        return (unsigned)asked;
    if (blocks < 1 || blosc2_threads <= blocks)
        return 1;
    return (unsigned)(blosc2_threads / blocks);
}

static j2k_status encode_block(block *b, const uint8_t *input, uint8_t *output, int32_t capacity,
                               uint8_t meta, uint32_t style, params *p, size_t *size, diagnosis *why) {
    j2k_status status = read_metalayers(b, why);
    if (status == J2K_OK)
        status = collect_params(b, meta, style, p, why);
    if (status == J2K_OK)
        status = set_layout(b, p, why);
    if (status == J2K_OK)
        status = check_filters(b, p, why);
    if (status != J2K_OK)
        return status;
    unsigned threads = threads_per_block(p->num_threads, b->cparams->nthreads, b->blocks_per_chunk);
    return codec_encode(&b->layout, p, threads, true, input, output, (size_t)capacity, size, why);
}

int j2k_plugin_encode(uint32_t style, const uint8_t *input, int32_t input_len, uint8_t *output,
                      int32_t output_len, uint8_t meta, blosc2_cparams *cparams) {
    diagnosis why = {""};
    params p;
    if (!input || !output || !cparams || input_len <= 0)
        return ABI_ERROR_CODEC_PARAM;
    if (output_len <= 0)
        return 0;
    (void)state_get_defaults(&p, &why); /* for verbose, should it fail before the parameters are known */
    block b;
    memset(&b, 0, sizeof b);
    b.cparams = cparams;
    b.size = input_len;
    size_t size = 0;
    j2k_status status = encode_block(&b, input, output, output_len, meta, style, &p, &size, &why);
    if (status == J2K_ERROR_BUFFER)
        return 0;
    if (status != J2K_OK) {
        state_report(&why, p.verbose != 0);
        return blosc2_error(status);
    }
    return (int)size;
}

int blosc2_grok_encoder(const uint8_t *input, int32_t input_len, uint8_t *output, int32_t output_len,
                        uint8_t meta, blosc2_cparams *cparams, const void *chunk) {
    (void)chunk;
    return j2k_plugin_encode(0, input, input_len, output, output_len, meta, cparams);
}

/* ---- decoding
 * --------------------------------------------------------------------------------------------------- */

/* Blocks in the chunk: the head of the schunk holds both sizes in every version. */
static int64_t blocks_of(const blosc2_dparams *dparams) {
    const abi_schunk_head *schunk = dparams->schunk;
    if (!schunk || schunk->blocksize <= 0 || schunk->chunksize <= 0)
        return INT32_MAX;
    return ((int64_t)schunk->chunksize + schunk->blocksize - 1) / schunk->blocksize;
}

int j2k_plugin_decode(const uint8_t *input, int32_t input_len, uint8_t *output, int32_t output_len,
                      blosc2_dparams *dparams) {
    diagnosis why = {""};
    params p;
    if (!input || !output || input_len <= 0 || output_len <= 0)
        return ABI_ERROR_CODEC_PARAM;
    (void)state_get_defaults(&p, &why); /* bad ones concern the encoder only */
    unsigned threads =
        threads_per_block(p.num_threads, dparams ? dparams->nthreads : 1, dparams ? blocks_of(dparams) : 1);
    j2k_status status = codec_decode(input, (size_t)input_len, threads, output, (size_t)output_len, &why);
    if (status != J2K_OK) {
        state_report(&why, p.verbose != 0);
        return blosc2_error(status);
    }
    return output_len;
}

int blosc2_grok_decoder(const uint8_t *input, int32_t input_len, uint8_t *output, int32_t output_len,
                        uint8_t meta, blosc2_dparams *dparams, const void *chunk) {
    (void)meta;
    (void)chunk;
    return j2k_plugin_decode(input, input_len, output, output_len, dparams);
}

/* ---- parameters of the process
 * ---------------------------------------------------------------------------------- */

void blosc2_grok_init(uint32_t nthreads, bool verbose) {
    params p;
    params_set_defaults(&p);
    p.num_threads = nthreads < 1024 ? nthreads : 1024;
    p.verbose = verbose;
    state_set_defaults(&p, NULL);
}

void blosc2_grok_destroy(void) {
    state_free_contexts();
}

static j2k_status set_quality(params *p, int numlayers, const char *mode, const double *layers,
                              diagnosis *why) {
    if (!mode)
        return J2K_OK;
    if (numlayers < 0 || numlayers > J2K_MAX_LAYERS || (numlayers > 0 && !layers))
        return fail(why, J2K_ERROR_ARGUMENT, "numlayers: %d is not allowed; allowed: 0 to %d", numlayers,
                    (int)J2K_MAX_LAYERS);
    p->quality_mode = params_choice("quality_mode", mode);
    p->num_quality_layers = numlayers;
    if (numlayers)
        memcpy(p->quality_layers, layers, (size_t)numlayers * sizeof layers[0]);
    return J2K_OK;
}

void blosc2_grok_set_default_params(const int64_t *tile_size, const int64_t *tile_offset, int numlayers,
                                    char *quality_mode, const double *quality_layers, int numgbits,
                                    char *progression, int num_resolutions, const int64_t *codeblock_size,
                                    int cblk_style, bool irreversible, int roi_compno, int roi_shift,
                                    const int64_t *precinct_size, const int64_t *offset,
                                    GRK_SUPPORTED_FILE_FMT decod_format, GRK_SUPPORTED_FILE_FMT cod_format,
                                    bool enableTilePartGeneration, int mct, int max_cs_size,
                                    int max_comp_size, int rsiz, int framerate, bool apply_icc_,
                                    GRK_RATE_CONTROL_ALGORITHM rateControlAlgorithm, int num_threads,
                                    int deviceId, int duration, int repeats, bool verbose) {
    diagnosis why = {""};
    params p;
    params_set_defaults(&p);
    memcpy(p.tile_size, tile_size, sizeof p.tile_size);
    memcpy(p.tile_offset, tile_offset, sizeof p.tile_offset);
    memcpy(p.codeblock_size, codeblock_size, sizeof p.codeblock_size);
    if (precinct_size[0] || precinct_size[1]) {
        p.precincts.count_and_values[0] = 1;
        memcpy(p.precincts.count_and_values + 1, precinct_size, 2 * sizeof precinct_size[0]);
    }
    memcpy(p.offset, offset, sizeof p.offset);
    p.numgbits = numgbits;
    p.progression = params_choice("progression", progression ? progression : "LRCP");
    p.num_resolutions = num_resolutions;
    p.mode = cblk_style;
    p.irreversible = irreversible;
    p.roi_compno = roi_compno;
    p.roi_shift = roi_shift;
    p.decod_format = decod_format;
    p.cod_format = cod_format;
    p.tile_parts = enableTilePartGeneration ? 'R' : 0;
    p.mct = mct == 255 ? AUTOMATIC : mct;
    p.max_cs_size = max_cs_size;
    p.max_comp_size = max_comp_size;
    p.rsiz = rsiz;
    p.framerate = framerate;
    p.apply_icc = apply_icc_;
    p.rate_control = rateControlAlgorithm;
    p.num_threads = num_threads;
    p.device_id = deviceId;
    p.duration = duration;
    p.repeats = repeats;
    p.verbose = verbose;
    j2k_status status = set_quality(&p, numlayers, quality_mode, quality_layers, &why);
    if (status == J2K_OK)
        status = params_check_rows(&p, &why);
    if (status != J2K_OK) {
        fail_in(&why, status, "blosc2_grok_set_default_params");
        state_report(&why, verbose);
    }
    state_set_defaults(status == J2K_OK ? &p : NULL, status == J2K_OK ? NULL : &why);
}

int blosc2_grok_set_defaults(const char *text) {
    diagnosis why = {""};
    j2k_status status = state_change_defaults(text, &why);
    if (status != J2K_OK)
        state_report(&why, false);
    return status;
}

size_t blosc2_grok_get_defaults(char *text, size_t capacity) {
    diagnosis why;
    params p;
    (void)state_get_defaults(&p, &why); /* those that were good last, when they are bad now */
    return params_format(&p, text, capacity);
}

size_t blosc2_grok_last_error(char *text, size_t capacity) {
    return state_last_error(text, capacity);
}
