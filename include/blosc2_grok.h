/* blosc2_grok: the JPEG 2000 codec plugin for C-Blosc2: parameters, errors, and coding of arrays without
 * Blosc2. SPDX-License-Identifier: BSD-3-Clause */
#ifndef BLOSC2_GROK_H
#define BLOSC2_GROK_H

/* How a C program uses it: select codec BLOSC_CODEC_GROK (37) with filters off and splitmode
 * BLOSC_NEVER_SPLIT in blosc2_cparams, link with -lblosc2_grok, and that is all; C-Blosc2 finds the codec in
 * the program. Parameters come from three places, each overriding the one before it:
 *   1. the defaults of the process: blosc2_grok_set_default_params or blosc2_grok_set_defaults;
 *   2. blosc2_cparams.compcode_meta: when not 0, a compression ratio of compcode_meta / 10, for that array
 * only;
 *   3. for one array: blosc2_cparams.codec_params pointing at a blosc2_grok_params, or a metalayer named
 * "jpeg2000" that holds parameters in text form. The text form is "name=value;name=value", for example
 * "quality_mode=rates;quality_layers=10;num_resolutions=6"; names, values and meanings are in a table that
 * blosc2_grok_parameter gives. The word "defaults" in place of a name and value puts back everything before
 * it but num_threads and verbose: a metalayer that begins with it does not depend on the process.
 *
 * Thread safety: everything here may be called from any thread at any time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef BLOSC2_GROK_NO_BLOSC2
#include <stdio.h>
#include "blosc2.h"
#include "b2nd.h"
#endif

#include "compat/grok.h"

#if defined(_WIN32)
#define BLOSC2_GROK_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define BLOSC2_GROK_EXPORT __attribute__((visibility("default")))
#else
#define BLOSC2_GROK_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Parameters of one array, for blosc2_cparams.codec_params. Initialise compressParams with
 * grk_compress_set_default_params; the struct must live as long as the array is written to. */
typedef struct {
    grk_cparameters compressParams;
    grk_stream_params streamParams;
} blosc2_grok_params;

/* Reset the defaults of the process, then set the threads a block and whether errors are printed. Need not be
 * called. */
BLOSC2_GROK_EXPORT void blosc2_grok_init(uint32_t nthreads, bool verbose);

/* Free the memory and threads that the plugin keeps between blocks. It can be used again afterwards. */
BLOSC2_GROK_EXPORT void blosc2_grok_destroy(void);

/* Set all defaults of the process. quality_mode: NULL (lossless), "rates" or "dB", with numlayers numbers in
 * quality_layers. Pairs are (width, height) or (x, y). mct: -1 automatic, 0, 1. A bad value leaves the
 * defaults as they were, and because this function cannot return an error, every block that would use them
 * fails with a message that names the parameter, until they are set again. */
BLOSC2_GROK_EXPORT void blosc2_grok_set_default_params(
    const int64_t *tile_size, const int64_t *tile_offset, int numlayers, char *quality_mode,
    const double *quality_layers, int numgbits, char *progression, int num_resolutions,
    const int64_t *codeblock_size, int cblk_style, bool irreversible, int roi_compno, int roi_shift,
    const int64_t *precinct_size, const int64_t *offset, GRK_SUPPORTED_FILE_FMT decod_format,
    GRK_SUPPORTED_FILE_FMT cod_format, bool enableTilePartGeneration, int mct, int max_cs_size,
    int max_comp_size, int rsiz, int framerate, bool apply_icc_,
    GRK_RATE_CONTROL_ALGORITHM rateControlAlgorithm, int num_threads, int deviceId, int duration, int repeats,
    bool verbose);

/* Change the defaults that are named in text; the others keep their values. NULL resets all. Returns 0, or a
 * negative number with the reason in blosc2_grok_last_error: then nothing was changed. */
BLOSC2_GROK_EXPORT int blosc2_grok_set_defaults(const char *text);

/* Write the defaults of the process in text form into text[0 .. capacity), always terminated when capacity is
 * not 0. Returns the length of the whole text. */
BLOSC2_GROK_EXPORT size_t blosc2_grok_get_defaults(char *text, size_t capacity);

/* One row of the table of parameters. All strings are static. */
typedef struct {
    const char *name;
    const char
        *type; /* "integer", "number", "choice", "flags", "pair", "numbers", "pairs", "rects" or "text" */
    const char *default_value; /* in text form */
    const char *allowed;       /* what values are allowed */
    const char *meaning;
    const char *peers; /* the options of Grok's (grk) and OpenJPEG's (opj) programs that it corresponds to */
} blosc2_grok_parameter_info;

/* The parameter with this index, counted from 0; false when there are no more. */
BLOSC2_GROK_EXPORT bool blosc2_grok_parameter(int index, blosc2_grok_parameter_info *parameter);

/* Copy the message of the last failure in this process, of any thread, into text[0 .. capacity), always
 * terminated when capacity is not 0. Returns the length of the whole message, 0 when there was no failure. */
BLOSC2_GROK_EXPORT size_t blosc2_grok_last_error(char *text, size_t capacity);

/* ---- arrays without Blosc2: what the Python package calls
 * ------------------------------------------------------- */

/* The functions below return 0 or a negative j2k_status, and then a message in error[0 .. error_capacity). */

/* Encode a contiguous array of ndim dimensions into *data, of *size bytes, to be freed with blosc2_grok_free.
 * dtype is NumPy's
 * ("|u1", "<i2", ">u2"); parameters in text form override the defaults of the process; NULL: none. Leading
 * dimensions of 1 are dropped; (H, W) is an image of one component, (H, W, C) with C at most 16 and smaller
 * than H and W one of C, and other leading dimensions are planes, one below the other, one tile each. */
BLOSC2_GROK_EXPORT int blosc2_grok_encode_array(const void *array, const char *dtype, int ndim,
                                                const int64_t *shape, const char *parameters, void **data,
                                                size_t *size, char *error, size_t error_capacity);

/* The same with a region of interest beside that of the parameters: roi_mask is NULL, or has a byte for each
 * sample of one component in the order of the array, roi_mask_size in all, which is not 0 inside the region.
 */
BLOSC2_GROK_EXPORT int blosc2_grok_encode_region(const void *array, const char *dtype, int ndim,
                                                 const int64_t *shape, const uint8_t *roi_mask,
                                                 size_t roi_mask_size, const char *parameters, void **data,
                                                 size_t *size, char *error, size_t error_capacity);
BLOSC2_GROK_EXPORT void blosc2_grok_free(void *data);

/* Parse parameters in text form over the defaults of the process, and write all there are then into text[0 ..
 * capacity). */
BLOSC2_GROK_EXPORT int blosc2_grok_parse_parameters(const char *parameters, char *text, size_t capacity,
                                                    char *error, size_t error_capacity);

/* Check parameters against an array's dtype and block shape before there are data, and write those that the
 * array is to be stored with, the process's defaults and the given ones over them, into text[0 .. capacity):
 * the content of a metalayer "jpeg2000" with which nothing set later in any process changes how the array is
 * coded. */
BLOSC2_GROK_EXPORT int blosc2_grok_prepare_array(const char *dtype, int ndim, const int64_t *blockshape,
                                                 const char *parameters, char *text, size_t capacity,
                                                 char *error, size_t error_capacity);

/* What to decode; NULL where a pointer to it is taken means everything. */
typedef struct {
    uint32_t reduce;      /* resolution levels to leave out */
    uint32_t layers;      /* quality layers to decode, 0: all */
    uint32_t use_region;  /* 0 or 1 */
    uint32_t region[4];   /* x0, y0, x1, y1 from the upper left corner of the image, at full resolution */
    uint32_t num_threads; /* 0: as many as the machine has processors */
    uint32_t tolerant;    /* 0 or 1: decode what is there of truncated or damaged data */
    uint32_t num_components;
    const uint32_t *components; /* indices of the components wanted, ascending; NULL: all */
} blosc2_grok_selection;

/* Describe a stream as a JSON object of *size bytes in *json, to be freed with blosc2_grok_free: format,
 * geometry, parameters and, for each component, depth, sign, subsampling and the size that decoding the
 * selection gives. */
BLOSC2_GROK_EXPORT int blosc2_grok_describe(const void *data, size_t size,
                                            const blosc2_grok_selection *selection, void **json,
                                            size_t *json_size, char *error, size_t error_capacity);

/* Decode num_components components, all there are, each into its own view: samples[c] with steps in bytes and
 * sample type types[c], a j2k_sample_type. Width and height are those of blosc2_grok_describe for the same
 * selection; samples[c] of components that are not wanted is not looked at. On success error holds the
 * warnings of a tolerant decode, one a line. */
BLOSC2_GROK_EXPORT int blosc2_grok_decode_components(const void *data, size_t size,
                                                     const blosc2_grok_selection *selection,
                                                     uint32_t num_components, void *const *samples,
                                                     const int64_t *row_strides, const int64_t *sample_steps,
                                                     const int32_t *types, char *error,
                                                     size_t error_capacity);

/* Turn the unsigned integers that a stream of floats decodes to (blosc2_grok_describe: dtype, values) into
 * these floats, in place: count samples of sample_size bytes (2 or 4) side by side. codes: NULL, or one for
 * each sample: 0 as it is, 1 NaN, 2 infinity, 3 minus infinity. */
BLOSC2_GROK_EXPORT int blosc2_grok_restore_floats(const void *data, size_t size, void *samples, size_t count,
                                                  size_t sample_size, const uint8_t *codes, char *error,
                                                  size_t error_capacity);

#ifdef __cplusplus
}
#endif

#endif
