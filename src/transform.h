/* Sample rows to subbands and back for one tile: level shift, colour transform and wavelet, fused row by row.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_TRANSFORM_H
#define J2K_TRANSFORM_H

#include "context.h"
#include "tile.h"

/* Components [first, first + count) that go through a colour transform together (count 3), or one alone. */
typedef struct component_group {
    uint32_t first, count;
} component_group;

/* The caller's samples as seen from a tile: sample (x, y) of component c on the (reduced) component grid is
 * the view's sample (x - areas[c].x0, y - areas[c].y0). */
typedef struct image_window {
    const j2k_image *image;
    const rect *areas; /* one per component */
} image_window;

/* Allocate the coefficient planes of all resolutions in context->work, fill them from the image. Uses all
 * workers. */
j2k_status j2k_tile_forward(j2k_context *context, tile *t, image_window window);

/* Choose for every wanted component which part of every subband its window needs: the areas of the planes,
 * which are not allocated yet. To be called before the packets are read. */
void j2k_tile_inverse_windows(tile *t);

/* Allocate these planes in context->work. To be called before the code-blocks are decoded. */
j2k_status j2k_tile_inverse_prepare(j2k_context *context, tile *t);

/* Subbands to samples. Components without a view (data NULL) are left out. */
j2k_status j2k_tile_inverse(j2k_context *context, tile *t, image_window window);

#endif
