/* j2k: JPEG 2000 (ITU-T T.800 | ISO/IEC 15444-1) encoder and decoder on memory buffers.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_H
#define J2K_H

/* How to use it: create a j2k_context (it owns the thread pool and all reusable memory), describe the samples
 * with a j2k_image (views on the caller's own memory, planar or interleaved), and call j2k_encode, or
 * j2k_read_header followed by j2k_decode.
 *
 * Thread safety: a context may be used by one thread at a time; any number of contexts may be used at once.
 * The library has no mutable globals, never prints, never aborts, and never reads the environment.
 *
 * Extensible structs begin with struct_size; set it with the *_init function that goes with the struct.
 * Fields added by later versions are taken as their defaults when the caller's struct is shorter. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#if defined(J2K_BUILD_SHARED)
#define J2K_API __declspec(dllexport)
#else
#define J2K_API
#endif
#elif defined(__GNUC__)
#define J2K_API __attribute__((visibility("default")))
#else
#define J2K_API
#endif

#define J2K_VERSION "1.0.0"

/* Limits of this implementation (and, where named, of the standard). */
enum {
    J2K_MAX_COMPONENTS = 16384, /* T.800 table A.9, Csiz */
    J2K_MAX_TILES = 65535,      /* T.800 table A.4, Isot */
    J2K_MAX_LEVELS = 32,        /* decomposition levels, T.800 table A.15 */
    J2K_MAX_RESOLUTIONS = 33,   /* levels + 1 */
    J2K_MAX_LAYERS = 256,       /* layers that j2k_encode can make; streams may hold 65535 */
    J2K_MAX_DEPTH = 32          /* bits a sample */
};

/* Every function that can fail returns one of these. j2k_context_message gives the details. */
typedef enum j2k_status {
    J2K_OK = 0,
    J2K_ERROR_ARGUMENT = -1,    /* a parameter is out of range or contradicts another; the message names it */
    J2K_ERROR_MEMORY = -2,      /* an allocation failed */
    J2K_ERROR_BUFFER = -3,      /* the output buffer is too small */
    J2K_ERROR_TRUNCATED = -4,   /* the data end before the image is complete */
    J2K_ERROR_CORRUPT = -5,     /* the data contradict the standard; the message names marker and offset */
    J2K_ERROR_UNSUPPORTED = -6, /* legal, but outside what this library handles */
    J2K_ERROR_LIMIT = -7,       /* a limit of j2k_decode_options was exceeded */
    J2K_ERROR_INTERNAL = -8     /* a bug in this library */
} j2k_status;

/* English text for a status; never NULL, static storage. */
J2K_API const char *j2k_status_string(j2k_status status);

/* Version of the library, for example "1.0.0". */
J2K_API const char *j2k_version(void);

/* ---- context
 * ---------------------------------------------------------------------------------------------------- */

typedef struct j2k_context j2k_context;

/* Make a context. num_threads: worker threads to use, the calling one included; 1 runs everything in the
 * caller, 0 means one a processor. Threads are started at the first job that can use them. cpu_mask:
 * instruction sets that may be used, an OR of j2k_cpu flags; 0 allows none (the scalar reference code),
 * J2K_CPU_ALL allows all that the processor has. Returns NULL when memory runs out. */
J2K_API j2k_context *j2k_context_create(unsigned num_threads, unsigned cpu_mask);

/* Free the context, its threads and its memory. NULL is allowed. */
J2K_API void j2k_context_destroy(j2k_context *context);

/* Message of the last failed call on this context ("" when there was none); valid until the next call on it.
 */
J2K_API const char *j2k_context_message(const j2k_context *context);

/* Warnings of the last tolerant decode ("" when there were none); valid until the next call on the context.
 */
J2K_API const char *j2k_context_warning(const j2k_context *context);

enum j2k_cpu {
    J2K_CPU_SSE41 = 1u << 0,
    J2K_CPU_AVX2 = 1u << 1,   /* AVX2, BMI1, BMI2, LZCNT, POPCNT, FMA */
    J2K_CPU_AVX512 = 1u << 2, /* AVX-512 F, BW, CD, DQ, VL, VBMI, VBMI2, GFNI, BITALG, VPOPCNTDQ */
    J2K_CPU_NEON = 1u << 3,
    J2K_CPU_ALL = 0x7FFFFFFF
};

/* The j2k_cpu flags that this processor has. */
J2K_API unsigned j2k_cpu_flags(void);

/* ---- images
 * ----------------------------------------------------------------------------------------------------- */

typedef enum j2k_sample_type {
    J2K_UINT8 = 0,
    J2K_INT8 = 1,
    J2K_UINT16 = 2,
    J2K_INT16 = 3,
    J2K_UINT32 = 4,
    J2K_INT32 = 5
} j2k_sample_type;

/* A view of one component's samples. Sample (x, y) of the component's own grid, counted from its upper left
 * corner, is at (char *)data + y * row_stride + x * sample_step. Both steps are in bytes; neither alignment
 * nor contiguity is needed. */
typedef struct j2k_component {
    void *data;
    ptrdiff_t row_stride;
    ptrdiff_t sample_step;
    j2k_sample_type type;
    bool byte_swapped; /* the samples are in the other byte order than this machine's */
    bool is_signed;    /* of the coded component; the type may be wider, and samples must fit the depth */
    uint8_t depth;     /* bits a sample, 1 to 32 */
    uint32_t dx, dy;   /* subsampling (XRsiz, YRsiz), 1 to 255 */
    uint32_t
        width; /* samples a row; j2k_encode checks them against the reference grid, j2k_decode against the */
    uint32_t height; /* geometry that j2k_read_header gives for the same options */
} j2k_component;

typedef enum j2k_colour_space {
    J2K_COLOUR_UNKNOWN =
        0, /* JP2: written as greyscale for 1-2 components, sRGB for 3 or 4, else enumerated "unknown" */
    J2K_COLOUR_SRGB = 16, /* values of EnumCS, T.800 table I.10 */
    J2K_COLOUR_GREY = 17,
    J2K_COLOUR_SYCC = 18,
    J2K_COLOUR_ICC = -1, /* a restricted or full ICC profile is in the file */
    J2K_COLOUR_OTHER = -2
} j2k_colour_space;

/* An image on the reference grid (T.800 annex B.2): the image area is [x0, x1) x [y0, y1), and component c
 * has ceil(x1 / dx) - ceil(x0 / dx) columns, rows likewise. */
typedef struct j2k_image {
    uint32_t x0, y0, x1, y1;
    uint32_t num_components;
    j2k_component *components;
    j2k_colour_space colour_space;
} j2k_image;

/* ---- encoding
 * --------------------------------------------------------------------------------------------------- */

typedef enum j2k_format { J2K_FORMAT_CODESTREAM = 0, J2K_FORMAT_JP2 = 1, J2K_FORMAT_JPH = 2 } j2k_format;

typedef enum j2k_progression {
    J2K_LRCP = 0,
    J2K_RLCP = 1,
    J2K_RPCL = 2,
    J2K_PCRL = 3,
    J2K_CPRL = 4
} j2k_progression;

typedef enum j2k_quality_mode {
    J2K_QUALITY_LOSSLESS = 0, /* everything is kept; bit-exact with the reversible wavelet */
    J2K_QUALITY_RATIO =
        1, /* layer_quality[i] = raw bytes / coded bytes; decreasing; 1 or less means "everything" */
    J2K_QUALITY_PSNR =
        2, /* layer_quality[i] = PSNR in dB, peak 2^depth - 1; increasing; 0 means "everything" */
    J2K_QUALITY_MAX_ERROR = 3 /* layer_quality[0], an integer: no sample of any component, as j2k_decode gives
                                 it, differs from the original by more; one layer; 0 is lossless. What is
                                 smallest is taken: 9/7 or lossless 5/3 (irreversible 0: always the latter) */
} j2k_quality_mode;

/* Code-block style, T.800 table A.19; combine with OR. */
enum j2k_codeblock_style {
    J2K_STYLE_BYPASS = 1,        /* selective arithmetic coding bypass ("LAZY") */
    J2K_STYLE_RESET = 2,         /* reset context probabilities on coding pass boundaries */
    J2K_STYLE_TERMALL = 4,       /* termination on each coding pass */
    J2K_STYLE_CAUSAL = 8,        /* vertically causal context */
    J2K_STYLE_PTERM = 16,        /* predictable termination */
    J2K_STYLE_SEGMENTATION = 32, /* segmentation symbols */
    J2K_STYLE_HT = 64            /* high-throughput block coding, T.814 */
};

/* One entry of a POC marker segment (T.800 A.6.6): the packets inside these bounds that no entry before it
 * sent, in this order. Ends are exclusive. */
typedef struct j2k_progression_change {
    uint32_t first_resolution, end_resolution; /* end: at most 33, may exceed what there is */
    uint32_t first_component, end_component;   /* end: at most the number of components */
    uint32_t end_layer;                        /* at most num_layers */
    j2k_progression order;
} j2k_progression_change;

/* A rectangle on the reference grid, counted from the image's upper left corner; ends are exclusive. */
typedef struct j2k_rectangle {
    uint32_t x0, y0, x1, y1;
} j2k_rectangle;

enum { J2K_MAX_PROGRESSION_CHANGES = 32 };

typedef struct j2k_encode_options {
    size_t struct_size;
    j2k_format format;                    /* default J2K_FORMAT_CODESTREAM */
    j2k_quality_mode quality;             /* default J2K_QUALITY_LOSSLESS */
    uint32_t num_layers;                  /* 1 to J2K_MAX_LAYERS; default 1 */
    double layer_quality[J2K_MAX_LAYERS]; /* see j2k_quality_mode; ignored when lossless */
    int irreversible;         /* 0: 5/3 wavelet, 1: 9/7, -1 (default): 5/3 when lossless, else 9/7 */
    int colour_transform;     /* 0: none, 1: RCT or ICT on the first three components, -1 (default): as 1 when
                                 there     are 3 or 4 components of equal size and depth and colour_space is not
                                 SYCC
                               */
    uint32_t num_resolutions; /* 1 to 33, default 6; fewer are used when the image is small */
    uint32_t codeblock_width; /* powers of two, 4 to 1024, product at most 4096; default 64 x 64 */
    uint32_t codeblock_height;
    uint32_t codeblock_style;         /* OR of j2k_codeblock_style; default 0 */
    j2k_progression progression;      /* default J2K_LRCP */
    uint32_t tile_width, tile_height; /* in reference grid points; 0 (default): one tile */
    uint32_t tile_x0, tile_y0; /* origin of the tile grid, at most (x0, y0) of the image; default 0, 0 */
    uint32_t num_precincts; /* precinct sizes given, highest resolution first; the last one is halved for the
                               rest; 0 (default): what rsiz prescribes, else one precinct a resolution */
    uint32_t precinct_width[J2K_MAX_RESOLUTIONS]; /* powers of two, 1 to 32768 */
    uint32_t precinct_height[J2K_MAX_RESOLUTIONS];
    uint32_t guard_bits;       /* 0 to 7, default 2 */
    bool derived_quantisation; /* 9/7: signal one step and derive the others (default false: one step a
                                  subband) */
    double base_step;  /* 9/7: quantiser step for a subband of gain 1, in sample units; 0 (default): chosen */
    int roi_component; /* component with a region of interest; -1 (default): none, or all when rectangles or a
                          mask are given */
    uint32_t roi_shift; /* bits to shift it up by (maxshift, annex H), 0 to 37; 0 with rectangles or a mask:
                           as many as it takes */
    bool sop, eph;      /* write SOP / EPH markers; default false */
    char tile_parts; /* new tile-part at each 'R'esolution, 'L'ayer or 'C'omponent; 0 (default): one a tile */
    uint64_t max_bytes;           /* upper bound of the whole result, 0 (default): none */
    uint64_t max_component_bytes; /* upper bound of one component's packets, 0 (default): none */
    uint16_t rsiz; /* profile and levels (table A.10), default 0: none. What contradicts it is refused: see
                      j2k_encode_options_set_profile */
    bool plt, tlm; /* write PLT / TLM markers; default false */
    const char *comment;  /* text for a COM segment; NULL (default) or "": none */
    const char *note;     /* text for one more COM segment, behind the comment's; likewise */
    uint32_t frame_rate;  /* images a second, by which some profiles limit the bytes; 0 (default): 24 for
                             digital  cinema, else no limit */
    uint32_t num_changes; /* of the progression order, up to J2K_MAX_PROGRESSION_CHANGES; default 0. Together
                             they must send all packets */
    j2k_progression_change changes[J2K_MAX_PROGRESSION_CHANGES];
    uint32_t num_roi_rects; /* region of interest: the union of rectangles ... */
    const j2k_rectangle *roi_rects;
    const uint8_t *roi_mask;   /* ... and of the reference grid points whose byte is not 0: rows of the image
                                  area,   from its upper left corner; NULL (default): none */
    ptrdiff_t roi_mask_stride; /* bytes from row to row */
    bool visual_weights; /* rate control counts errors as far as the eye sees them (T.800 J.12), at a distance
                            of 2000 samples; PSNR and maximum error targets stay what they are. Default false
                          */
    bool peak_of_range; /* PSNR targets refer to the largest less the smallest sample of all components (up to
                           31 bits) instead of 2^depth - 1; default false */
    uint32_t qfactor;   /* 1 to 100, or 0 (default): none. With the 9/7 and J2K_QUALITY_LOSSLESS: quantiser
                           steps by    the Qfactor of HTJ2K encoders, coded in one pass; see src/qfactor.h */
} j2k_encode_options;

/* Set all fields to their defaults. */
J2K_API void j2k_encode_options_init(j2k_encode_options *options);

/* Set rsiz, and what that profile prescribes in options: wavelet, progression, code-block size,
 * tile-parts, TLM, guard bits, and a number of resolutions that fits the tile size in options and an image of
 * width x height (0: not known). j2k_encode refuses options and images that contradict the profile, and
 * limits the bytes where the profile does (by frame_rate). Enforced are profiles 0 and 1, digital cinema,
 * broadcast and IMF (T.800 A.10); the profile for long-term storage is signalled only. Errors: ARGUMENT for
 * an unknown rsiz. */
J2K_API j2k_status j2k_encode_options_set_profile(j2k_encode_options *options, uint16_t rsiz, uint32_t width,
                                                  uint32_t height);

/* Check options against the profile that they name, and against the image unless it is NULL. The reason goes
 * to message[0 .. capacity), always terminated when capacity is not 0. */
J2K_API j2k_status j2k_check_profile(const j2k_encode_options *options, const j2k_image *image, char *message,
                                     size_t capacity);

/* A buffer size that nearly always suffices for the image (a second attempt with a larger one is always
 * possible). */
J2K_API size_t j2k_encode_bound(const j2k_image *image, const j2k_encode_options *options);

/* Encode image into out[0 .. capacity) and set *size to the byte count. The samples are read in place.
 * Errors: ARGUMENT, MEMORY, BUFFER (nothing beyond capacity is touched), UNSUPPORTED. Output bytes do not
 * depend on the number of threads or on the instruction set. */
J2K_API j2k_status j2k_encode(j2k_context *context, const j2k_image *image, const j2k_encode_options *options,
                              void *out, size_t capacity, size_t *size);

/* ---- decoding
 * --------------------------------------------------------------------------------------------------- */

typedef struct j2k_decode_options {
    size_t struct_size;
    uint32_t reduce;     /* resolution levels to discard; more than a tile has is an error; default 0 */
    uint32_t max_layers; /* quality layers to decode, 0 (default): all */
    bool use_region;     /* decode only the region below; default false */
    uint32_t region_x0, region_y0, region_x1,
        region_y1;              /* reference grid points from the image's upper left corner */
    const uint32_t *components; /* indices of the components wanted, ascending; NULL (default): all */
    uint32_t num_components;
    bool tolerant; /* decode what is there of truncated or damaged data, with a warning; default false */
    uint64_t max_pixels; /* limit on the samples returned, all components together; default 2^32 */
    uint64_t
        max_memory;          /* limit on the memory in use for one call, the caller's samples and some MB of a
                                thread's tables not counted, in bytes; 0 (default): 2^32 + 1024 for a byte of data */
    uint32_t max_components; /* limit on the components in the stream; default J2K_MAX_COMPONENTS */
    uint32_t max_tiles;      /* limit on the tiles in the stream; default J2K_MAX_TILES */
    uint64_t max_incomplete; /* tolerant: limit on the samples returned when a part of the data is missing;
                                0 (default): 2^24 + 1024 for a byte of data */
} j2k_decode_options;

J2K_API void j2k_decode_options_init(j2k_decode_options *options);

/* What the header says of one component. */
typedef struct j2k_component_info {
    uint8_t depth;
    bool is_signed;
    uint32_t dx, dy;
    uint32_t full_width, full_height; /* of the whole component */
    uint32_t width, height;           /* of what j2k_decode returns for the same options */
    bool wanted;                      /* false when the options leave the component out */
} j2k_component_info;

/* What the headers say. The pointers lead into the context or the data and are valid until the next call on
 * the context. Values of COD are those of the main header. */
typedef struct j2k_header {
    size_t struct_size;
    j2k_format format;
    uint32_t x0, y0, x1, y1;
    uint32_t tile_x0, tile_y0, tile_width, tile_height, num_tiles;
    uint32_t num_components;
    const j2k_component_info *components;
    j2k_colour_space colour_space;
    const uint8_t *icc_profile;
    size_t icc_profile_size;
    uint16_t rsiz;
    bool irreversible;
    bool colour_transform;
    uint32_t num_layers, num_resolutions, codeblock_width, codeblock_height, codeblock_style;
    uint32_t guard_bits;
    j2k_progression progression;
    bool sop, eph;
    const char *comment; /* text of the first Latin-1 COM segment, not terminated; NULL when there is none */
    size_t comment_size;
    size_t codestream_offset, codestream_size; /* where the contiguous codestream lies in the data */
    uint32_t palette_entries, palette_columns; /* 0 when there is no palette */
} j2k_header;

/* Read the headers of a codestream or a JP2/JPH file (the format is detected). options may be NULL. */
J2K_API j2k_status j2k_read_header(j2k_context *context, const void *data, size_t size,
                                   const j2k_decode_options *options, j2k_header *header);

/* Decode into the caller's samples. image->components has header.num_components entries; those not wanted are
 * ignored, the others must have width and height as in the header and a type that holds the depth. Samples
 * are stored in place, clamped to the depth. options must be those given to j2k_read_header (NULL for the
 * defaults). After an error the samples are undefined. */
J2K_API j2k_status j2k_decode(j2k_context *context, const void *data, size_t size,
                              const j2k_decode_options *options, const j2k_image *image);

/* ---- transcoding
 * ------------------------------------------------------------------------------------------------ */

/* Every field keeps what the stream has when it is negative, which is the default. */
typedef struct j2k_transcode_options {
    size_t struct_size;
    int ht;              /* 1: to high-throughput coding (T.814), 0: to the block coding of Part 1 */
    int codeblock_style; /* of Part 1 code-blocks: OR of j2k_codeblock_style, but J2K_STYLE_HT is not possible
                            and J2K_STYLE_CAUSAL always stays as it is; code-blocks that come from HT have
                            none by default */
    int progression;     /* a j2k_progression; progression changes (POC) are then dropped */
    int format;   /* a j2k_format; JP2 and JPH keep all boxes of either, and make each other's type where the
                     block coding needs it (negative) */
    int sop, eph; /* 0 or 1: SOP / EPH markers */
    int plt, tlm; /* 0 or 1: PLT / TLM markers; those of the tile-parts written */
    bool merge_layers; /* one layer of all; code-blocks that change to or from HT always come to this */
    char tile_parts; /* new tile-part at each 'R'esolution, 'L'ayer or 'C'omponent; 0 (default): one a tile */
    bool tolerant;   /* transcode what is there of truncated or damaged data, with a warning; damage in boxes
                        and   in code-blocks that are only moved stays; default false */
    uint64_t max_pixels, max_memory; /* limits and their defaults are those of j2k_decode_options */
    uint32_t max_components, max_tiles;
    uint64_t max_incomplete;
} j2k_transcode_options;

J2K_API void j2k_transcode_options_init(j2k_transcode_options *options);

/* Rewrite a codestream or JP2/JPH file without decoding it to samples: what is decoded from the result is bit
 * for bit the same, with any decoder. Where block coding and layers stay as they are, packets are moved as
 * they are; otherwise code-blocks are decoded to their quantised coefficients and coded again, to the very
 * coding pass with which each ends (T.814 7, T.800 annex D). Quantisation, tiles, precincts, code-block
 * sizes, regions of interest, comments and boxes stay; packed packet headers (PPM, PPT) are put back into the
 * packets; a profile in Rsiz is dropped where it might no longer be true.
 *
 * Writes into out[0 .. capacity) and sets *out_size to the byte count, also when that exceeds the capacity
 * (then the status is BUFFER and `out` is undefined). options may be NULL. Errors: ARGUMENT, MEMORY, BUFFER,
 * TRUNCATED, CORRUPT, UNSUPPORTED, LIMIT. Output bytes do not depend on the number of threads or on the
 * instruction set. */
J2K_API j2k_status j2k_transcode(j2k_context *context, const void *data, size_t size,
                                 const j2k_transcode_options *options, void *out, size_t capacity,
                                 size_t *out_size);

#ifdef __cplusplus
}
#endif

#endif
