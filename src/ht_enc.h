/* The HT block encoder's parts that the versions for other instruction sets share.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_HT_ENC_H
#define J2K_HT_ENC_H

#include <string.h>

#include "ht.h"

enum {
    HT_MAX_CLEANUP = 24 * 1024, /* bytes of a cleanup segment: MagSgn 4096 * 31 bits stuffed, and a suffix */
    HT_MAX_REFINEMENT = 4 * 1024, /* of a refinement segment */
    HT_MAX_RAW_MAGSGN = 4096 * 31 / 8,
    HT_MAX_RAW_VLC = 4096 - 64,
    HT_MAX_MEL = 512,
    HT_DATA_CAPACITY = 512 * 1024,   /* all HT sets of a code-block: 30 of them together have half of this */
    HT_MAX_WIDE_CLEANUP = 48 * 1024, /* the same where samples have up to 61 bits */
    HT_MAX_WIDE_RAW_MAGSGN = 4096 * 61 / 8,
    HT_WIDE_DATA_CAPACITY = 1536 * 1024,
    HT_SLACK = 128
};

/* What wide code-blocks (see j2k_block_is_wide) need on top. */
typedef struct ht_wide_encoder {
    uint64_t samples[MAX_BLOCK_SIZE];
    uint8_t magsgn[HT_MAX_WIDE_RAW_MAGSGN + HT_SLACK];
    uint8_t data[HT_WIDE_DATA_CAPACITY + HT_SLACK];
} ht_wide_encoder;

struct ht_encoder {
    ht_wide_encoder *wide; /* made at first use */
    arena *memory;
    const dsp_kernels *dsp;
    size_t (*encode_cleanup)(ht_encoder *e, unsigned width, unsigned height, unsigned shift, uint8_t *out);
    /* A bit-plane's cleanup pass straight from the job's coefficients, and the OR of their magnitudes from
     * that bit-plane up (0: nothing is written); false: that is not possible. Floats: bit-plane 0 only. NULL:
     * there is no such version. */
    bool (*encode_direct)(ht_encoder *e, const encode_job *job, unsigned plane, unsigned *magnitudes_or,
                          uint8_t *out, size_t *size);
    void *workspace;                                   /* of the instruction set's version */
    uint32_t samples[MAX_BLOCK_SIZE + 64];             /* as quantised: sign, magnitude, fraction */
    uint8_t exponents[2][HT_MAX_QUAD_COLUMNS * 2 + 4]; /* of the lower samples of the last two quad-rows */
    uint8_t magsgn[HT_MAX_RAW_MAGSGN + HT_SLACK];      /* bits without stuffing */
    uint8_t vlc[HT_MAX_RAW_VLC + HT_SLACK];
    uint8_t mel[HT_MAX_MEL + HT_SLACK];
    uint8_t reversed[HT_MAX_RAW_VLC * 8 / 7 + HT_SLACK]; /* a stream that grows from the end */
    uint8_t nibbles[2][(HT_MAX_QUADS + 2) * 3 + 64];
    uint8_t data[HT_DATA_CAPACITY + HT_SLACK];
};

/* A byte in the making at the end of a stuffed stream: what there is of it, as a mask and its bits. */
typedef struct partial_byte {
    unsigned mask, bits;
} partial_byte;

/* Whether two streams that meet can share their last bytes; FF there could begin a marker. */
static inline bool can_share(partial_byte a, partial_byte b, unsigned *byte) {
    *byte = a.bits | b.bits;
    return !((*byte ^ a.bits) & a.mask) && !((*byte ^ b.bits) & b.mask) && *byte != 0xFF;
}

/* The streams behind MagSgn: MEL grows up, VLC down towards it; the last 12 bits are the size of both
 * (7.1.1). */
typedef struct suffix_streams {
    uint8_t *mel, *mel_end;       /* whole bytes, with room for one more */
    uint8_t *vlc_start, *vlc_end; /* with room for one more in front; the last byte is FF */
    partial_byte mel_rest, vlc_rest;
} suffix_streams;

/* Put them behind MagSgn, which takes out .. end. Returns the size of the segment. */
static inline size_t ht_put_suffix(suffix_streams *s, uint8_t *out, uint8_t *end) {
    unsigned shared;
    if (s->mel_rest.mask | s->vlc_rest.mask) {
        if (can_share(s->mel_rest, s->vlc_rest, &shared) && s->vlc_end - s->vlc_start > 1) {
            *s->mel_end++ = (uint8_t)shared;
        } else {
            *s->mel_end++ = (uint8_t)s->mel_rest.bits;
            *--s->vlc_start = (uint8_t)s->vlc_rest.bits;
        }
    }
    size_t mel_size = (size_t)(s->mel_end - s->mel), size = mel_size + (size_t)(s->vlc_end - s->vlc_start);
    memcpy(end, s->mel, mel_size);
    memcpy(end + mel_size, s->vlc_start, size - mel_size);
    end += size;
    end[-1] = (uint8_t)(size >> 4);
    end[-2] = (uint8_t)((end[-2] & 0xF0) | (size & 15));
    return (size_t)(end - out);
}

/* The cleanup pass of the bit-plane that is `shift` bits above the lowest of the samples (fraction included).
 * Writes at most HT_MAX_CLEANUP bytes, and may overwrite HT_SLACK more; returns their number. */
size_t j2k_ht_encode_cleanup_c(ht_encoder *e, unsigned width, unsigned height, unsigned shift, uint8_t *out);
/* The same; it hands over to the one above what does not fit its 16-bit lanes. */
size_t j2k_ht_encode_cleanup_avx512(ht_encoder *e, unsigned width, unsigned height, unsigned shift,
                                    uint8_t *out);
bool j2k_ht_encode_direct_avx512(ht_encoder *e, const encode_job *job, unsigned plane,
                                 unsigned *magnitudes_or, uint8_t *out, size_t *size);
extern const size_t j2k_ht_encode_workspace_avx512;

#endif
