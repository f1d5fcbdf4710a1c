/* The columns of table C.2 for MQ_STATE_LIST, as look-up tables of bytes for the vector MQ encoders.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_MQ_ENC_COLUMNS_H
#define J2K_MQ_ENC_COLUMNS_H

/* Qe in two bytes; the next states (bit 7: the MPS flips); the shift that brings Qe back to 0x8000. */
#define QE_LOW(i, qe, nmps, nlps, flips)   [i] = (qe)&255,
#define QE_HIGH(i, qe, nmps, nlps, flips)  [i] = (qe) >> 8,
#define NEXT_MPS(i, qe, nmps, nlps, flips) [i] = nmps,
#define NEXT_LPS(i, qe, nmps, nlps, flips) [i] = (nlps) | (flips) << 7,
#define SHIFT(i, qe, nmps, nlps, flips)                                                                      \
    [i] = (qe) >= 0x8000   ? 0                                                                               \
          : (qe) >= 0x4000 ? 1                                                                               \
          : (qe) >= 0x2000 ? 2                                                                               \
          : (qe) >= 0x1000 ? 3                                                                               \
          : (qe) >= 0x800  ? 4                                                                               \
          : (qe) >= 0x400  ? 5                                                                               \
          : (qe) >= 0x200  ? 6                                                                               \
          : (qe) >= 0x100  ? 7                                                                               \
          : (qe) >= 0x80   ? 8                                                                               \
          : (qe) >= 0x40   ? 9                                                                               \
          : (qe) >= 0x20   ? 10                                                                              \
          : (qe) >= 0x10   ? 11                                                                              \
          : (qe) >= 8      ? 12                                                                              \
          : (qe) >= 4      ? 13                                                                              \
          : (qe) >= 2      ? 14                                                                              \
                           : 15,

#endif
