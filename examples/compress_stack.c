/* Compresses a stack of 16-bit slices into a Blosc2 file with JPEG 2000, one slice a block, and checks it.
 * SPDX-License-Identifier: BSD-3-Clause */

/* Build (the paths come from the two Python packages):
 *
 *   B=$(python -c "import blosc2, os; print(os.path.dirname(blosc2.__file__))")
 *   G=$(python -c "import blosc2_grok, os; print(os.path.dirname(blosc2_grok.__file__))")
 *   cc compress_stack.c -I"$G/include" -I"$B/include" -L"$G" -L"$B/lib" -lblosc2_grok -lblosc2 -lm \
 *      -Wl,-rpath,"$G" -Wl,-rpath,"$B/lib" -o compress_stack
 *
 * Run: compress_stack OUTPUT.b2nd [RATIO [WIDTH HEIGHT SLICES INPUT.raw]]
 * RATIO 0 is lossless. INPUT.raw holds little-endian unsigned 16-bit samples, slice after slice; without it a
 * stack is made up. */

#include "blosc2_grok.h"

#include "blosc2/codecs-registry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct stack {
    int64_t width, height, slices;
    uint16_t *samples;
    int64_t bytes;
} stack;

/* Something like a tomogram: a disc with rings that change from slice to slice, and detector noise. */
static void make_up(stack *s) {
    uint32_t state = 1;
    for (int64_t z = 0; z < s->slices; z++)
        for (int64_t y = 0; y < s->height; y++)
            for (int64_t x = 0; x < s->width; x++) {
                double dx = (double)x - 0.5 * (double)s->width, dy = (double)y - 0.5 * (double)s->height;
                double radius = sqrt(dx * dx + dy * dy) / (0.45 * (double)s->height);
                state = state * 1664525u + 1013904223u;
                double value = 900.0 + (double)(state >> 26);
                if (radius < 1.0)
                    value += 700.0 + 200.0 * sin(12.0 * radius + 0.4 * (double)z);
                s->samples[(z * s->height + y) * s->width + x] = (uint16_t)value;
            }
}

static int read_samples(stack *s, const char *path) {
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        perror(path);
        return -1;
    }
    size_t got = fread(s->samples, 1, (size_t)s->bytes, stream);
    fclose(stream);
    if (got == (size_t)s->bytes)
        return 0;
    fprintf(stderr, "%s is too short: %lld bytes are needed\n", path, (long long)s->bytes);
    return -1;
}

static void print_last_error(const char *what) {
    char message[512];
    blosc2_grok_last_error(message, sizeof message);
    fprintf(stderr, "%s failed: %s\n", what, message);
}

/* Compress with parameters that belong to this array alone; ratio 0 means lossless. */
static int compress(const stack *s, const char *path, double ratio) {
    blosc2_grok_params params;
    memset(&params, 0, sizeof params);
    grk_compress_set_default_params(&params.compressParams);
    grk_set_default_stream_params(&params.streamParams);
    params.compressParams.cod_format = GRK_FMT_JP2;
    if (ratio > 0) {
        params.compressParams.allocationByRateDistoration = true;
        params.compressParams.numlayers = 1;
        params.compressParams.layer_rate[0] = ratio;
    }

    blosc2_cparams cparams = BLOSC2_CPARAMS_DEFAULTS;
    cparams.typesize = sizeof(uint16_t);
    cparams.compcode = BLOSC_CODEC_GROK;
    cparams.splitmode = BLOSC_NEVER_SPLIT;
    memset(cparams.filters, 0, sizeof cparams.filters);
    cparams.nthreads = 2; /* blocks, that is slices, are coded side by side */
    cparams.codec_params = &params;

    blosc2_storage storage = BLOSC2_STORAGE_DEFAULTS;
    storage.cparams = &cparams;
    storage.contiguous = true;
    storage.urlpath = (char *)path;

    int64_t shape[3] = {s->slices, s->height, s->width};
    int32_t chunk[3] = {(int32_t)(s->slices < 4 ? s->slices : 4), (int32_t)s->height, (int32_t)s->width};
    int32_t block[3] = {1, (int32_t)s->height, (int32_t)s->width};
    b2nd_context_t *context =
        b2nd_create_ctx(&storage, 3, shape, chunk, block, "<u2", DTYPE_NUMPY_FORMAT, NULL, 0);
    if (context == NULL)
        return -1;
    b2nd_array_t *array = NULL;
    int code = b2nd_from_cbuffer(context, &array, s->samples, s->bytes);
    if (code < 0)
        print_last_error("compression");
    else
        printf("%lld slices of %lld x %lld: %lld bytes in, %lld out, ratio %.3f\n", (long long)s->slices,
               (long long)s->width, (long long)s->height, (long long)s->bytes, (long long)array->sc->cbytes,
               (double)s->bytes / (double)array->sc->cbytes);
    if (array != NULL)
        b2nd_free(array);
    b2nd_free_ctx(context);
    return code < 0 ? -1 : 0;
}

/* Open the file and compare it with the samples. */
static int check(const stack *s, const char *path, int lossless) {
    b2nd_array_t *array = NULL;
    if (b2nd_open(path, &array) < 0) {
        fprintf(stderr, "cannot open %s\n", path);
        return -1;
    }
    uint16_t *samples = malloc((size_t)s->bytes);
    int code = samples == NULL ? -1 : b2nd_to_cbuffer(array, samples, s->bytes);
    b2nd_free(array);
    if (code < 0) {
        print_last_error("decompression");
        free(samples);
        return -1;
    }
    double sum = 0;
    int largest = 0;
    int64_t count = s->bytes / 2;
    for (int64_t i = 0; i < count; i++) {
        int difference = abs((int)samples[i] - (int)s->samples[i]);
        largest = difference > largest ? difference : largest;
        sum += (double)difference * difference;
    }
    free(samples);
    if (largest == 0)
        printf("read again: exact\n");
    else
        printf("read again: largest error %d, PSNR %.2f dB (peak 65535)\n", largest,
               10.0 * log10(65535.0 * 65535.0 / (sum / (double)count)));
    return lossless && largest != 0 ? -1 : 0;
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3 && argc != 7) {
        fprintf(stderr, "usage: %s OUTPUT.b2nd [RATIO [WIDTH HEIGHT SLICES INPUT.raw]]\n", argv[0]);
        return 2;
    }
    double ratio = argc > 2 ? atof(argv[2]) : 0;
    stack s = {320, 256, 12, NULL, 0};
    if (argc == 7) {
        s.width = atoll(argv[3]);
        s.height = atoll(argv[4]);
        s.slices = atoll(argv[5]);
    }
    if (s.width < 1 || s.height < 1 || s.slices < 1 || s.width > 65535 || s.height > 65535 ||
        s.slices > 65535) {
        fprintf(stderr, "sizes must be from 1 to 65535\n");
        return 2;
    }
    s.bytes = s.width * s.height * s.slices * 2;
    s.samples = malloc((size_t)s.bytes);
    if (s.samples == NULL) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    int code = 0;
    if (argc == 7)
        code = read_samples(&s, argv[6]);
    else
        make_up(&s);
    blosc2_init();
    remove(argv[1]);
    if (code == 0)
        code = compress(&s, argv[1], ratio);
    if (code == 0)
        code = check(&s, argv[1], ratio <= 0);
    blosc2_destroy();
    free(s.samples);
    return code == 0 ? 0 : 1;
}
