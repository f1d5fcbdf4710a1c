/* What the plugin knows of C-Blosc2's binary interface: only what has the same place in every version, or is
 * told apart. SPDX-License-Identifier: BSD-3-Clause */
#ifndef BLOSC2_ABI_H
#define BLOSC2_ABI_H

/* Why not blosc2.h: one binary of the plugin serves several copies of C-Blosc2 in one process (python-blosc2
 * has one inside, hdf5plugin another, a C program a third), whose structs differ, and its inline functions
 * call functions of libblosc2 that such a process cannot resolve. tests/plugin compares these declarations
 * with the headers of every blosc2 package it has. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ABI_MAX_FILTERS = 6,
    ABI_MAX_METALAYERS = 16,
    ABI_MAX_DIM = 16,
    /* Filters that leave samples where they are. */
    ABI_NOFILTER = 0,
    ABI_SHUFFLE = 1,
    ABI_TRUNC_PREC = 4,
    ABI_INT_TRUNC = 36,
    /* Errors. */
    ABI_ERROR_FAILURE = -1,
    ABI_ERROR_DATA = -3,
    ABI_ERROR_MEMORY = -4,
    ABI_ERROR_CODEC_SUPPORT = -7,
    ABI_ERROR_CODEC_PARAM = -8
};

/* The same since C-Blosc2 2.0 up to the type size and nthreads, since 2.8 in what follows. */
typedef struct blosc2_cparams {
    uint8_t compcode;
    uint8_t compcode_meta;
    uint8_t clevel;
    int use_dict;
    int32_t typesize;
    int16_t nthreads;
    int32_t blocksize;
    int32_t splitmode;
    void *schunk;
    uint8_t filters[ABI_MAX_FILTERS];
    uint8_t filters_meta[ABI_MAX_FILTERS];
    void *prefilter;
    void *preparams;
    void *tuner_params;
    int tuner_id;
    bool instr_codec;
    void *codec_params;
} blosc2_cparams;

/* The head of blosc2_dparams. */
typedef struct blosc2_dparams {
    int16_t nthreads;
    void *schunk;
} blosc2_dparams;

/* What C-Blosc2 looks up under the name `info` in a plugin. */
typedef struct codec_info {
    char *encoder;
    char *decoder;
} codec_info;

typedef struct abi_metalayer {
    char *name;
    uint8_t *content;
    int32_t content_len;
} abi_metalayer;

/* blosc2_schunk begins alike in every version; its metalayers lie in the part that moved. */
#define ABI_SCHUNK_HEAD                                                                                      \
    uint8_t version;                                                                                         \
    uint8_t compcode;                                                                                        \
    uint8_t compcode_meta;                                                                                   \
    uint8_t clevel;                                                                                          \
    uint8_t splitmode;                                                                                       \
    int32_t typesize;                                                                                        \
    int32_t blocksize;                                                                                       \
    int32_t chunksize;

typedef struct abi_schunk_head {
    ABI_SCHUNK_HEAD
} abi_schunk_head;

typedef struct abi_schunk_tail {
    int64_t nchunks;
    int64_t current_nchunk;
    int64_t nbytes;
    int64_t cbytes;
    uint8_t **data;
    size_t data_len;
    void *storage;
    void *frame;
    void *cctx;
    void *dctx;
    abi_metalayer *metalayers[ABI_MAX_METALAYERS];
    uint16_t nmetalayers;
} abi_schunk_tail;

/* C-Blosc2 2.2 to 2.23 (python-blosc2 up to 4.1). */
typedef struct abi_schunk_v2 {
    ABI_SCHUNK_HEAD
    uint8_t filters[ABI_MAX_FILTERS];
    uint8_t filters_meta[ABI_MAX_FILTERS];
    abi_schunk_tail tail;
} abi_schunk_v2;

/* C-Blosc2 3.0 and later (python-blosc2 since 4.2): flags2 and use_dict came in before the filters. */
typedef struct abi_schunk_v3 {
    ABI_SCHUNK_HEAD
    uint8_t flags2;
    uint8_t use_dict;
    uint8_t filters[ABI_MAX_FILTERS];
    uint8_t filters_meta[ABI_MAX_FILTERS];
    abi_schunk_tail tail;
} abi_schunk_v3;

#endif
