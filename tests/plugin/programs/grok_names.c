/* A program as they were written for the earlier plugin: Grok's names, parameters through codec_params,
 * blocks of three dimensions. It compiles as C and as C++. Usage: grok_names FILE.b2nd RATIO (0: lossless)
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <b2nd.h>
#include <blosc2.h>
#include <blosc2/codecs-registry.h>
#include <blosc2_grok.h>
#include <grok.h>

#define PLANES 3
#define HEIGHT 120
#define WIDTH  160

static uint16_t image[PLANES * HEIGHT * WIDTH];
static uint16_t decoded[PLANES * HEIGHT * WIDTH];

static void make_image(void) {
    unsigned noise = 1;
    for (int z = 0; z < PLANES; z++) {
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                noise = noise * 1103515245u + 12345u;
                image[(z * HEIGHT + y) * WIDTH + x] =
                    (uint16_t)(2000 + 900 * sin(x / 9.0 + z) * cos(y / 11.0) + (noise >> 16) % 20);
            }
        }
    }
}

static double compare(void) {
    double error = 0;
    for (size_t i = 0; i < sizeof image / sizeof image[0]; i++)
        error += ((double)image[i] - decoded[i]) * ((double)image[i] - decoded[i]);
    return sqrt(error / (sizeof image / sizeof image[0]));
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    double ratio = atof(argv[2]);
    make_image();
    blosc2_init();
    blosc2_grok_init(0, false);

    blosc2_grok_params codec_params;
    memset(&codec_params, 0, sizeof codec_params);
    grk_compress_set_default_params(&codec_params.compressParams);
    codec_params.compressParams.cod_format = GRK_FMT_JP2;
    codec_params.compressParams.numThreads = 1;
    if (ratio > 0) {
        codec_params.compressParams.numlayers = 1;
        codec_params.compressParams.allocationByRateDistoration = true;
        codec_params.compressParams.layer_rate[0] = ratio;
    }
    codec_params.compressParams.prog_order = GRK_RPCL;
    codec_params.compressParams.numresolution = 4;
    codec_params.compressParams.cblk_sty = GRK_CBLKSTY_SEGSYM;
    char comment[] = "written by grok_names.c";
    codec_params.compressParams.comment[0] = comment;
    codec_params.compressParams.comment_len[0] = (uint16_t)strlen(comment);
    codec_params.compressParams.num_comments = 1;
    grk_set_default_stream_params(&codec_params.streamParams);

    blosc2_cparams cparams = BLOSC2_CPARAMS_DEFAULTS;
    cparams.compcode = BLOSC_CODEC_GROK;
    cparams.typesize = sizeof(uint16_t);
    cparams.splitmode = BLOSC_NEVER_SPLIT;
    for (int i = 0; i < BLOSC2_MAX_FILTERS; i++)
        cparams.filters[i] = 0;
    cparams.codec_params = &codec_params;
    blosc2_dparams dparams = BLOSC2_DPARAMS_DEFAULTS;
    blosc2_storage storage = BLOSC2_STORAGE_DEFAULTS;
    storage.cparams = &cparams;
    storage.dparams = &dparams;
    storage.contiguous = true;
    storage.urlpath = argv[1];

    int64_t shape[] = {PLANES, HEIGHT, WIDTH};
    int32_t chunkshape[] = {1, HEIGHT, WIDTH};
    b2nd_context_t *context = b2nd_create_ctx(&storage, 3, shape, chunkshape, chunkshape, NULL, 0, NULL, 0);
    b2nd_array_t *array;
    if (b2nd_from_cbuffer(context, &array, image, sizeof image) < 0) {
        char reason[500];
        blosc2_grok_last_error(reason, sizeof reason);
        printf("error %s\n", reason);
        return 1;
    }
    if (b2nd_to_cbuffer(array, decoded, sizeof decoded) < 0)
        return 3;
    printf("ratio %.3f rms %.4f\n", (double)array->sc->nbytes / (double)array->sc->cbytes, compare());
    b2nd_free(array);
    b2nd_free_ctx(context);
    blosc2_grok_destroy();
    blosc2_destroy();
    return 0;
}
