/* The discrete wavelet transform, row by row: one decomposition level at a time (T.800 annex F).
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_DWT_H
#define J2K_DWT_H

#include "arena.h"
#include "dsp.h"
#include "tile.h"

/* Both directions keep a few rows in a rolling window instead of a whole level: rows go in (or come out) one
 * after the other, the horizontal transform is done on a row at once, the vertical one as soon as its
 * neighbours are there. A level can be cut into stripes of rows that threads do independently: each stripe
 * first takes the few rows above it that it needs again. Every stripe of every split gives the same numbers,
 * since each output depends on the same inputs by the same operations in the same order.
 *
 * Elements are int32_t (5/3) or float (9/7); wide, int64_t or double, always in plain C. Irreversible lifting
 * constants and the scaling K are those of table F.4, with the low-pass gain 1 and high-pass gain 2
 * convention of the standard (F.3.8.2, F.4.8.2). */

enum {
    DWT_REACH_53 = 2, /* rows (columns) of the interleaved level needed beyond an output row, either way */
    DWT_REACH_97 = 4
};

/* The vertical lifting of both directions: a ring of rows, lifted in place (dwt.c). */
typedef struct dwt_lifting {
    const dwt_kernels *kernels;
    bool reversible;
    bool wide;
    uint8_t num_steps;   /* 2 (5/3) or 4 (9/7) */
    uint8_t first_odd;   /* parity of the rows that the first step changes: 1 forward, 0 inverse */
    uint8_t column;      /* parity of the first column: where rows begin in their buffers */
    uint32_t first, end; /* rows of the interleaved level that take part */
    uint32_t x0, width;  /* columns that take part */
    void *rows[6];       /* row y is rows[y % (num_steps + 2)] */
    void *even, *odd;    /* half rows for the horizontal transform */
} dwt_lifting;

/* ---- forward: one level, res rows in -> LL, HL, LH, HH rows out ---- */

typedef struct dwt_forward {
    dwt_lifting lifting;
    rect area;               /* of the level's input, resolution coordinates: parity of x0, y0 matters */
    plane ll, hl, lh, hh;    /* outputs, set by the caller before or after j2k_dwt_forward_begin; a band's
                                data may be NULL only when it is empty */
    uint32_t out_y0, out_y1; /* stripe: output rows whose interleaved row (2n or 2n+1) lies in it */
    uint32_t next_row;       /* row that the next push must bring */
    uint32_t end_row;        /* pushes end here */
} dwt_forward;

/* Bytes of scratch for one dwt_forward on an area, or one dwt_inverse on a window, of at most this width. */
size_t j2k_dwt_scratch_size(uint32_t width, bool wide);

/* Begin a stripe of a level, all of whose planes are wide or not: output rows [out_y0, out_y1) in interleaved
 * coordinates, a sub-range of area's rows whose bounds (other than area.y0 and area.y1 themselves) are even.
 * Afterwards rows first_row .. end_row - 1 (see the fields next_row and end_row) are to be pushed in order.
 * scratch: j2k_dwt_scratch_size bytes, 64-byte aligned. */
void j2k_dwt_forward_begin(dwt_forward *f, const dsp_kernels *dsp, bool reversible, bool wide, rect area,
                           uint32_t out_y0, uint32_t out_y1, void *scratch);
/* One input row of width(area) elements. The row is not changed. */
void j2k_dwt_forward_push(dwt_forward *f, const void *row);
/* Where the next row may be made in place, to push it without a copy: width(area) elements. Valid until the
 * next push, and only while next_row < end_row. */
void *j2k_dwt_forward_row(dwt_forward *f);

/* ---- inverse: one level, LL, HL, LH, HH rows -> res rows out ---- */

typedef struct dwt_inverse {
    dwt_lifting lifting;
    rect area;            /* of the whole level in resolution coordinates (for parity and mirroring) */
    rect window;          /* rows and columns to make */
    plane ll, hl, lh, hh; /* inputs: their areas must cover what the window needs (j2k_dwt_needed) */
    uint32_t next_row;    /* row that the next pull makes */
    uint64_t next_load;   /* row that the lifting takes next; beyond lifting.end at the end */
} dwt_inverse;

/* What a window of a level needs of the bands one level below: a rectangle per orientation, clipped to the
 * band's area. For the whole area it is the whole band. */
rect j2k_dwt_needed(bool reversible, rect area, rect window, unsigned orientation);

/* Begin making rows window.y0 .. window.y1 - 1 (a stripe: any sub-range of rows). */
void j2k_dwt_inverse_begin(dwt_inverse *v, const dsp_kernels *dsp, bool reversible, bool wide, rect area,
                           rect window, plane ll, plane hl, plane lh, plane hh, void *scratch);
/* The next row: width(window) elements to out. */
void j2k_dwt_inverse_pull(dwt_inverse *v, void *out);
/* The same without a copy: the row stays valid until the next call and must not be changed. NULL when all
 * rows have been made. */
const void *j2k_dwt_inverse_next(dwt_inverse *v);

#endif
