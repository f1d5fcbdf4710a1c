/* The Grok names that C programs written for the earlier blosc2_grok plugin use; names only, nothing of Grok
 * is behind them. SPDX-License-Identifier: BSD-3-Clause */
#ifndef BLOSC2_GROK_COMPAT_GROK_H
#define BLOSC2_GROK_COMPAT_GROK_H

/* A program that fills grk_cparameters and passes it in blosc2_grok_params compiles against this header
 * unchanged and must be compiled against it: the layout is this project's own, and the plugin refuses a
 * struct that was not initialised with grk_compress_set_default_params. What a field means, and which of them
 * have no effect here, is said beside it.
 *
 * No symbol named grk_* is exported (the two functions below are inline), so that a process may load Grok
 * itself too. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GRK_PATH_LEN               4096
#define GRK_MAX_LAYERS             256
#define GRK_NUM_COMMENTS_SUPPORTED 256
#define GRK_J2K_MAX_DECOMP_LVLS    32
#define GRK_J2K_MAXRLVLS           (GRK_J2K_MAX_DECOMP_LVLS + 1)

typedef enum {
    GRK_PROG_UNKNOWN = -1,
    GRK_LRCP = 0,
    GRK_RLCP = 1,
    GRK_RPCL = 2,
    GRK_PCRL = 3,
    GRK_CPRL = 4,
    GRK_NUM_PROGRESSION_ORDERS = 5
} GRK_PROG_ORDER;

typedef enum {
    GRK_CLRSPC_UNKNOWN = 0,
    GRK_CLRSPC_SRGB = 2,
    GRK_CLRSPC_GRAY = 3,
    GRK_CLRSPC_SYCC = 4,
    GRK_CLRSPC_EYCC = 5,
    GRK_CLRSPC_CMYK = 6,
    GRK_CLRSPC_DEFAULT_CIE = 7,
    GRK_CLRSPC_CUSTOM_CIE = 8,
    GRK_CLRSPC_ICC = 9
} GRK_COLOR_SPACE;

typedef enum { GRK_RATE_CONTROL_BISECT = 0, GRK_RATE_CONTROL_PCRD_OPT = 1 } GRK_RATE_CONTROL_ALGORITHM;

typedef enum {
    GRK_FMT_UNK = 0,
    GRK_FMT_J2K = 1,
    GRK_FMT_JP2 = 2,
    GRK_FMT_PXM = 3,
    GRK_FMT_PGX = 4,
    GRK_FMT_PAM = 5,
    GRK_FMT_BMP = 6,
    GRK_FMT_TIF = 7,
    GRK_FMT_RAW = 8,
    GRK_FMT_PNG = 9,
    GRK_FMT_RAWL = 10,
    GRK_FMT_JPG = 11
} GRK_SUPPORTED_FILE_FMT;

/* Code-block style, for cblk_sty. */
#define GRK_CBLKSTY_LAZY     0x001
#define GRK_CBLKSTY_RESET    0x002
#define GRK_CBLKSTY_TERMALL  0x004
#define GRK_CBLKSTY_VSC      0x008
#define GRK_CBLKSTY_PTERM    0x010
#define GRK_CBLKSTY_SEGSYM   0x020
#define GRK_CBLKSTY_HT       0x040
#define GRK_CBLKSTY_HT_MIXED 0x080
#define GRK_CBLKSTY_HT_PHLD  0x100
#define GRK_JPH_RSIZ_FLAG    0x4000

/* Capabilities, for rsiz (T.800 table A.10 and its amendments). */
#define GRK_PROFILE_NONE                  0x0000
#define GRK_PROFILE_0                     0x0001
#define GRK_PROFILE_1                     0x0002
#define GRK_PROFILE_CINEMA_2K             0x0003
#define GRK_PROFILE_CINEMA_4K             0x0004
#define GRK_PROFILE_CINEMA_S2K            0x0005
#define GRK_PROFILE_CINEMA_S4K            0x0006
#define GRK_PROFILE_CINEMA_LTS            0x0007
#define GRK_PROFILE_BC_SINGLE             0x0100
#define GRK_PROFILE_BC_MULTI              0x0200
#define GRK_PROFILE_BC_MULTI_R            0x0300
#define GRK_PROFILE_BC_MASK               0x030F
#define GRK_PROFILE_IMF_2K                0x0400
#define GRK_PROFILE_IMF_4K                0x0500
#define GRK_PROFILE_IMF_8K                0x0600
#define GRK_PROFILE_IMF_2K_R              0x0700
#define GRK_PROFILE_IMF_4K_R              0x0800
#define GRK_PROFILE_IMF_8K_R              0x0900
#define GRK_PROFILE_MASK                  0x0FFF
#define GRK_PROFILE_PART2                 0x8000
#define GRK_PROFILE_PART2_EXTENSIONS_MASK 0x3FFF

/* Progression order changes; numpocs above 0 is refused. */
typedef struct grk_progression {
    uint16_t layS, layE;
    uint8_t resS, resE;
    uint16_t compS, compE;
    uint64_t precS, precE;
    GRK_PROG_ORDER specifiedCompressionPocProg;
    GRK_PROG_ORDER progression;
    char progressionString[5];
} grk_progression;

/* Raw input files; no effect. */
typedef struct grk_raw_comp_cparameters {
    uint8_t dx, dy;
} grk_raw_comp_cparameters;

typedef struct grk_raw_cparameters {
    uint32_t width, height;
    uint16_t numcomps;
    uint8_t prec;
    bool sgnd;
    grk_raw_comp_cparameters *comps;
} grk_raw_cparameters;

typedef struct grk_cparameters {
    uint64_t signature; /* set by grk_compress_set_default_params: leave it alone */
    bool tile_size_on; /* tiles of t_width x t_height; default false: one tile, in a stack one tile a plane */
    uint32_t tx0, ty0; /* origin of the tile grid */
    uint32_t t_width, t_height;
    uint16_t numlayers;               /* quality layers, with one of the two modes below; default 1 */
    bool allocationByRateDistoration; /* layer_rate[i]: raw bytes over coded bytes, decreasing */
    double layer_rate[GRK_MAX_LAYERS];
    bool allocationByQuality; /* layer_distortion[i]: PSNR in dB, increasing */
    double layer_distortion[GRK_MAX_LAYERS];
    char *comment[GRK_NUM_COMMENTS_SUPPORTED]; /* the first one is written into the stream unless it is binary
                                                */
    uint16_t comment_len[GRK_NUM_COMMENTS_SUPPORTED];
    bool is_binary_comment[GRK_NUM_COMMENTS_SUPPORTED];
    size_t num_comments;
    uint8_t csty;     /* 2: SOP markers, 4: EPH markers */
    uint8_t numgbits; /* guard bits, default 2 */
    GRK_PROG_ORDER prog_order;
    grk_progression progression[GRK_J2K_MAXRLVLS];
    uint32_t numpocs;
    uint8_t numresolution;               /* default 6 */
    uint32_t cblockw_init, cblockh_init; /* default 64 x 64 */
    uint16_t cblk_sty;                   /* OR of GRK_CBLKSTY_* */
    int irreversible;   /* 0: 5/3, 1: 9/7; default -1: 5/3 when lossless, 9/7 with a rate or PSNR target */
    int32_t roi_compno; /* default -1: none */
    uint32_t roi_shift;
    uint32_t res_spec; /* precinct sizes given, highest resolution first */
    uint32_t prcw_init[GRK_J2K_MAXRLVLS];
    uint32_t prch_init[GRK_J2K_MAXRLVLS];
    char infile[GRK_PATH_LEN];  /* no effect */
    char outfile[GRK_PATH_LEN]; /* no effect */
    uint32_t image_offset_x0, image_offset_y0;
    uint8_t subsampling_dx, subsampling_dy; /* 1 */
    GRK_SUPPORTED_FILE_FMT decod_format;    /* no effect */
    GRK_SUPPORTED_FILE_FMT cod_format;      /* GRK_FMT_J2K or GRK_FMT_JP2 (default) */
    grk_raw_cparameters raw_cp;
    bool enableTilePartGeneration;         /* new tile-parts as the next field says */
    uint8_t newTilePartProgressionDivider; /* 'R', 'L' or 'C'; default 0: 'R' */
    int mct;                /* 0: none, 1: RCT or ICT; default -1 (or 255): for three or four components */
    void *mct_data;         /* must be NULL */
    uint64_t max_cs_size;   /* upper bound of the coded bytes of a block, 0: none */
    uint64_t max_comp_size; /* upper bound of the coded bytes of one component, 0: none */
    uint16_t rsiz;
    uint16_t framerate;                      /* no effect */
    bool write_capture_resolution_from_file; /* no effect, as the five fields after it */
    double capture_resolution_from_file[2];
    bool write_capture_resolution;
    double capture_resolution[2];
    bool write_display_resolution;
    double display_resolution[2];
    bool apply_icc_;                                 /* no effect */
    GRK_RATE_CONTROL_ALGORITHM rateControlAlgorithm; /* no effect */
    uint32_t numThreads; /* threads that code one block; default 0: as many as help */
    int32_t deviceId;    /* no effect, as the three fields after it */
    uint32_t duration;
    uint32_t kernelBuildOptions;
    uint32_t repeats;
    bool writePLT, writeTLM;    /* write these markers */
    bool verbose;               /* errors are also printed to stderr */
    bool sharedMemoryInterface; /* no effect */
} grk_cparameters;

/* The plugin writes into Blosc2's buffers: no field has an effect. */
typedef struct grk_stream_params {
    const char *file;
    uint8_t *buf;
    size_t buf_len;
    size_t len;
} grk_stream_params;

#define BLOSC2_GROK_CPARAMETERS_SIGNATURE UINT64_C(0x32304B4F52473242) /* "B2GROK02" */

static inline void grk_compress_set_default_params(grk_cparameters *parameters) {
    memset(parameters, 0, sizeof *parameters);
    parameters->signature = BLOSC2_GROK_CPARAMETERS_SIGNATURE;
    parameters->numlayers = 1;
    parameters->numgbits = 2;
    parameters->prog_order = GRK_LRCP;
    parameters->numresolution = 6;
    parameters->cblockw_init = 64;
    parameters->cblockh_init = 64;
    parameters->irreversible = -1;
    parameters->roi_compno = -1;
    parameters->subsampling_dx = 1;
    parameters->subsampling_dy = 1;
    parameters->cod_format = GRK_FMT_JP2;
    parameters->mct = -1;
    parameters->repeats = 1;
}

static inline void grk_set_default_stream_params(grk_stream_params *parameters) {
    memset(parameters, 0, sizeof *parameters);
}

#ifdef __cplusplus
}
#endif

#endif
