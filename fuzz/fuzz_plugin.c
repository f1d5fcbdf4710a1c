/* Fuzz target: the plugin with hostile blocks, metalayers and parameter texts.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

#define BLOSC2_GROK_NO_BLOSC2
#include "blosc2_abi.h"
#include "blosc2_grok_public.h"
#include "plugin.h"

enum { MOST_BYTES = 1 << 16 };

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static unsigned take(input *in, unsigned most) {
    if (!in->size)
        return 0;
    in->size--;
    return *in->data++ % (most + 1);
}

/* A part of the input of its own, so that reading beyond it is seen. */
static uint8_t *take_part(input *in, size_t *size) {
    size_t wanted = take(in, 255);
    *size = wanted < in->size ? wanted : in->size;
    uint8_t *part = malloc(*size + 1);
    if (part) {
        memcpy(part, in->data, *size);
        part[*size] = 0;
        uint8_t *exact = realloc(part, *size ? *size : 1);
        part = exact ? exact : part;
    }
    in->data += *size;
    in->size -= *size;
    return part;
}

/* A block of what Blosc2 takes for this codec's output. */
static void decode_block(input *in) {
    static uint8_t output[MOST_BYTES];
    int32_t size = (int32_t)(1 + take(in, 255) * 16 + take(in, 15)) * (1 << take(in, 4));
    abi_schunk_head head = {.blocksize = size, .chunksize = size};
    blosc2_dparams dparams = {1, take(in, 1) ? &head : NULL};
    uint8_t *block = malloc(in->size ? in->size : 1);
    if (block && size <= MOST_BYTES) {
        memcpy(block, in->data, in->size);
        int result = blosc2_grok_decoder(block, (int32_t)in->size, output, size, 0, &dparams, NULL);
        REQUIRE(result <= size);
    }
    free(block);
}

/* Encode and decode through the callbacks; what was encoded without loss comes back. */
static void encode_block(input *in) {
    static uint8_t samples[MOST_BYTES], coded[MOST_BYTES], decoded[MOST_BYTES];
    abi_metalayer layers[2] = {{.name = (char *)(uintptr_t) "b2nd"},
                               {.name = (char *)(uintptr_t) "jpeg2000"}};
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        layers[i].content = take_part(in, &sizes[i]);
        layers[i].content_len = (int32_t)sizes[i];
    }
    abi_schunk_v3 schunk;
    memset(&schunk, 0, sizeof schunk);
    schunk.tail.storage = schunk.tail.cctx = schunk.tail.dctx = &schunk;
    schunk.tail.nmetalayers = (uint16_t)take(in, 2);
    for (int i = 0; i < schunk.tail.nmetalayers; i++)
        schunk.tail.metalayers[i] = &layers[schunk.tail.nmetalayers == 1 ? 1 : i];
    blosc2_cparams cparams;
    memset(&cparams, 0, sizeof cparams);
    cparams.typesize = 1 << take(in, 3);
    cparams.nthreads = 1;
    cparams.filters[5] = (uint8_t)take(in, 4);
    cparams.schunk = take(in, 7) ? &schunk : NULL;
    uint8_t meta = (uint8_t)(take(in, 3) ? 0 : take(in, 255));
    int32_t size = (int32_t)(take(in, 255) + 1) * (int32_t)(take(in, 7) + 1) * 4;
    for (int32_t i = 0; i < size; i++)
        samples[i] = in->size ? in->data[(size_t)i % in->size] : (uint8_t)i;
    int length = blosc2_grok_encoder(samples, size, coded, (int32_t)sizeof coded, meta, &cparams, NULL);
    if (length > 0) {
        blosc2_dparams dparams = {1, NULL};
        int result = blosc2_grok_decoder(coded, length, decoded, size, meta, &dparams, NULL);
        REQUIRE(result == size);
    }
    free(layers[0].content);
    free(layers[1].content);
}

static void array_functions(input *in) {
    static const char *const dtypes[] = {"|u1", "<i2", ">u2", "<u4", "<f4", "|b1", "", "<c8"};
    int64_t shape[4];
    char error[200];
    size_t length;
    char *text = (char *)take_part(in, &length);
    int ndim = (int)take(in, 4);
    for (int i = 0; i < 4; i++)
        shape[i] = (int64_t)take(in, 24) - (i == 3 && take(in, 15) == 0);
    const char *dtype = dtypes[take(in, 7)];
    static uint8_t samples[25 * 25 * 25 * 25 * 4];
    void *coded = NULL, *json = NULL;
    size_t size = 0, json_size = 0;
    char *terminated = text && length ? realloc(text, length + 1) : NULL;
    if (terminated) {
        terminated[length] = 0;
        text = terminated;
    }
    int64_t all = 1;
    for (int i = 0; i < ndim; i++)
        all *= shape[i];
    if (all <= 4096 && blosc2_grok_encode_array(samples, dtype, ndim, shape, terminated, &coded, &size, error,
                                                sizeof error) == 0) {
        REQUIRE(blosc2_grok_describe(coded, size, NULL, &json, &json_size, error, sizeof error) == 0);
        blosc2_grok_free(json);
        blosc2_grok_free(coded);
    }
    free(text);
    blosc2_grok_selection selection = {.reduce = take(in, 8), .layers = take(in, 3), .num_threads = 1};
    if (blosc2_grok_describe(in->data, in->size, &selection, &json, &json_size, error, sizeof error) == 0)
        blosc2_grok_free(json);
}

static void parameter_text(input *in) {
    char *text = malloc(in->size + 1), out[4096];
    if (!text)
        return;
    memcpy(text, in->data, in->size);
    text[in->size] = 0;
    if (blosc2_grok_set_defaults(text) == 0) { /* the text form of what was understood means the same */
        size_t length = blosc2_grok_get_defaults(out, sizeof out);
        if (length < sizeof out) {
            char *again = malloc(length + 1);
            REQUIRE(again && blosc2_grok_set_defaults(NULL) == 0 && blosc2_grok_set_defaults(out) == 0);
            REQUIRE(blosc2_grok_get_defaults(again, length + 1) == length && strcmp(again, out) == 0);
            free(again);
        }
    }
    REQUIRE(blosc2_grok_set_defaults(NULL) == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    switch (take(&in, 3)) {
    case 0:
        decode_block(&in);
        break;
    case 1:
        encode_block(&in);
        break;
    case 2:
        array_functions(&in);
        break;
    default:
        parameter_text(&in);
        break;
    }
    blosc2_grok_destroy();
    return 0;
}
