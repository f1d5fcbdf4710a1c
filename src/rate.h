/* Rate control: post-compression rate-distortion optimisation (T.800 annex J.14).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_RATE_H
#define J2K_RATE_H

#include "blocks.h"
#include "packet.h"
#include "tile.h"

/* All code-blocks of an image that compete for its bytes. */
typedef struct rate_control {
    tile *tiles;
    uint32_t num_tiles;
    const image_siz *siz;
    uint32_t num_layers;
    block_ref *refs; /* of all tiles */
    size_t count;
    arena *scratch;     /* reset at will */
    bool ht;            /* HT sets are alternatives; */
    bool committed;     /* one of each code-block has been chosen */
    bool one_component; /* only the passes and packets of `component` are looked at; the others stay as they
                           are */
    uint32_t component;
    bool visual;  /* weigh errors by how visible they are; */
    bool colour;  /* the first three components are luminance and colour differences */
    bool masking; /* weigh errors a little less in code-blocks with much in them */
    float min_slope, max_slope;
    struct rate_step *steps; /* room for one step of every code-block */
} rate_control;

/* What errors in a subband of this level and orientation count, in visual terms, as a factor of squared
 * errors. */
typedef enum visual_kind { VISUAL_LUMINANCE, VISUAL_CB, VISUAL_CR } visual_kind;
double j2k_visual_weight(visual_kind kind, unsigned level, unsigned orientation);

/* Find each code-block's truncation points, which are the convex hull of its passes in the (bytes, squared
 * error) plane: sets u.enc.slopes (squared error per byte at a hull point, 0 elsewhere) and allocates
 * u.enc.layer_passes, all in `memory`. */
j2k_status j2k_rate_prepare(rate_control *rc, arena *memory);

/* HT: make the choice of HT sets that the last layer now stands for final. The other layers are empty then
 * and share out the passes of that choice only. */
void j2k_rate_commit(rate_control *rc);

/* Put all passes that are not in lower layers into `layer`. */
void j2k_rate_everything(rate_control *rc, uint32_t layer);

/* Fill `layer`, on top of the layers below it, with the best passes such that all packets of layers 0 ..
 * layer take at most `bytes`; without room for anything they stay empty. *used is their size. */
j2k_status j2k_rate_for_bytes(rate_control *rc, uint32_t layer, uint64_t bytes, uint64_t *used);

/* Fill `layer` with the best passes until the squared error left is at most `squared_error` (or nothing is
 * left to add). */
void j2k_rate_for_error(rate_control *rc, uint32_t layer, double squared_error);

/* Squared error that layers 0 .. layer leave. */
double j2k_rate_error_left(const rate_control *rc, uint32_t layer);

/* Bytes of all packets of layers 0 .. layer. */
j2k_status j2k_rate_packet_bytes(rate_control *rc, uint32_t layer, uint64_t *bytes);

#endif
