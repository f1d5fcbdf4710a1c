/* The HT block decoder's parts that the versions for other instruction sets share.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_HT_DEC_H
#define J2K_HT_DEC_H

#include <string.h>

#include "ht.h"

enum {
    HT_MAX_SUFFIX = 4079, /* Scup: bytes of the MEL and VLC streams together */
    /* A code-block has at most 4096 samples of 31 MagSgn bits, at least 7 in each byte; what is beyond is
     * never read. */
    HT_MAX_MAGSGN = 4096 * 31 / 7 + 1,
    HT_MAX_SIGPROP = 4096 * 2 / 7 + 2, /* a significance and a sign bit a sample */
    HT_MAX_MAGREF = 4096 / 7 + 2,
    HT_MAX_WIDE_MAGSGN = 4096 * 61 / 7 + 1,
    HT_MAX_SEGMENT = 49152, /* a codeword segment in pieces must fit */
    HT_PADDING = 64         /* bytes behind unstuffed bits */
};

/* What is decoded of a code-block: the last HT set that there are data for. */
typedef struct ht_set {
    const uint8_t *cleanup, *refinement;
    uint32_t cleanup_size;    /* Lcup, at least 2; 0: there is nothing to decode */
    uint32_t suffix_size;     /* Scup */
    uint32_t refinement_size; /* Lref */
    unsigned refinements;     /* passes behind the cleanup pass, 0 to 2 */
    unsigned plane;           /* of the cleanup pass */
    bool may_be_wide;         /* samples may have more than MAX_BITPLANES bits: then these are no error */
    bool in_pieces;           /* a segment had to be copied */
} ht_set;

/* A string of bits without stuffing, padded behind its end. */
typedef struct bit_string {
    const uint8_t *bytes;
    size_t end; /* bits before the padding */
} bit_string;

/* The MEL decoder (7.3.3): events come in runs of zeros that may end in a one. */
typedef struct mel_decoder {
    const uint8_t *next, *end;
    uint64_t bits;      /* from the top */
    unsigned available; /* of them */
    unsigned state;
    unsigned zeros; /* events left of the run, */
    bool one;       /* and whether it ends in a one */
    bool stuffed;   /* the last byte was FF */
} mel_decoder;

static inline void ht_mel_begin(mel_decoder *m, const ht_set *set) {
    memset(m, 0, sizeof *m);
    m->next = set->cleanup + (set->cleanup_size - set->suffix_size);
    m->end = set->cleanup + set->cleanup_size - 1;
}

/* Bytes are read from the top bit down, those behind FF have 7 bits; beyond the end all bits are set. */
static inline void ht_mel_fill(mel_decoder *m) {
    while (m->available <= 48) {
        unsigned byte = 0xFF, count = m->stuffed ? 7 : 8;
        if (m->next < m->end) {
            byte = *m->next++;
            if (m->next == m->end)
                byte |= 0xF; /* there the low bits of Scup are */
        }
        m->bits |= (uint64_t)(byte & (0xFFu >> (8 - count))) << (64 - m->available - count);
        m->available += count;
        m->stuffed = byte == 0xFF;
    }
}

static inline void ht_mel_next_run(mel_decoder *m) {
    if (m->available < 8)
        ht_mel_fill(m);
    unsigned exponent = (unsigned)(HT_MEL_EXPONENTS >> 4 * m->state) & 15;
    if (m->bits >> 63) {
        m->zeros = 1u << exponent;
        m->one = false;
        m->state += m->state < 12;
        exponent = 0;
    } else {
        m->zeros = (unsigned)(m->bits >> (63 - exponent)); /* the top bit is 0 */
        m->one = true;
        m->state -= m->state > 0;
    }
    m->bits <<= 1 + exponent;
    m->available -= 1 + exponent;
}

/* What code-blocks of more than MAX_BITPLANES bit-planes need on top. */
typedef struct ht_wide_decoder {
    int64_t samples[MAX_BLOCK_SIZE];
    uint64_t below[2 * HT_MAX_QUAD_COLUMNS + 8];
    uint8_t magsgn[HT_MAX_WIDE_MAGSGN + HT_PADDING];
} ht_wide_decoder;

struct ht_decoder {
    ht_wide_decoder *wide; /* made at first use */
    arena *memory;
    const dsp_kernels *dsp;
    void *lanes; /* workspace of the version that decodes many blocks at once, NULL: there is none */
    int32_t samples[2][MAX_BLOCK_SIZE + 64];
    uint32_t
        quads[HT_MAX_QUAD_COLUMNS + 4]; /* of the current quad-row: table entry, offset u in bits 0 to 7 */
    uint8_t
        patterns[HT_MAX_QUAD_COLUMNS + 4]; /* significance of the quad-row above, one quad further right */
    uint32_t below[2 * HT_MAX_QUAD_COLUMNS + 8]; /* its lower samples' 2 mu - 1, two columns further right */
    uint8_t magsgn[HT_MAX_MAGSGN + HT_PADDING];
    uint8_t vlc[HT_MAX_SUFFIX + HT_PADDING];
    uint8_t refinement[HT_MAX_SIGPROP + HT_MAX_MAGREF + 2 * HT_PADDING];
    uint8_t pieces[2][HT_MAX_SEGMENT]; /* segments that came in pieces */
    /* Significance by stripes of 4 rows, a nibble a column, with a border of one all round. */
    uint8_t cleanup_nibbles[(HT_MAX_QUADS + 2) * 3 + 64];
    uint8_t nibbles[(HT_MAX_QUADS + 2) * 3 + 64];
};

/* Decode the cleanup pass of a set into samples of `stride`, as block.h says of what decoders give. False
 * when the data contradict themselves; samples from there on are 0. */
bool j2k_ht_decode_cleanup(ht_decoder *d, const ht_set *set, unsigned width, unsigned height,
                           bool irreversible, int32_t *samples, size_t stride);

/* ---- many code-blocks at once ---- */

enum { HT_MAX_LANES = 32, HT_FEW_LANES = 3 };

/* A code-block of at most 64 x 64 samples, with a bit-plane of at most 14. */
typedef struct ht_lane_block {
    const ht_set *set;
    unsigned width, height;
    int32_t half; /* the midpoint's bit */
} ht_lane_block;

extern const size_t j2k_ht_decode_workspace_avx512;
/* Read MEL and VLC of up to HT_MAX_LANES blocks. */
void j2k_ht_lanes_read_quads_avx512(void *workspace, const ht_lane_block *blocks, unsigned count);
/* Then, of blocks `first` and first + 1 as far as they go together, read MagSgn into samples[] of 64 x 64.
 * Returns how many blocks, 1 or 2; done[]: false where it has to be done in plain C. */
unsigned j2k_ht_lanes_read_samples_avx512(void *workspace, unsigned first, unsigned count,
                                          int32_t *samples[2], bool done[2]);

#endif
