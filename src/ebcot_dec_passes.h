/* The coding passes of the Part 1 block decoder (T.800 D.3), compiled once per instruction set: include it
 * and take EBCOT_DEC_KERNELS. SPDX-License-Identifier: BSD-3-Clause */
#include "ebcot_dec_window.h"

/* ---- passes */

J2K_INLINE unsigned decode_zero(block_state *b, mq_reader *mq, uint64_t w, unsigned p, bool raw) {
    if (raw)
        return raw_decode(mq);
    return mq_decode(mq, &b->contexts[b->zero[zero_index(w >> (p - 7))]], b->tables->states);
}

/* Sign of the sample at bit p (D.3.2): 1 is negative. */
J2K_INLINE unsigned decode_sign(block_state *b, mq_reader *mq, uint64_t w, uint64_t n, unsigned p, bool raw) {
    if (raw)
        return raw_decode(mq);
    unsigned context = b->tables->sign[sign_index(w >> (p - 7), n >> (p - 7))];
    return mq_decode(mq, &b->contexts[context & 31], b->tables->states) ^ context >> 7;
}

/* Significance propagation (D.3.1). Members are found from the masks; each sample that becomes significant
 * adds the neighbours that come later in the scan. */
J2K_INLINE void significance_pass(block_state *b, uint64_t *magnitude, bool raw) {
    mq_reader mq = b->mq;
    for (unsigned stripe = 0; stripe < b->stripes; stripe++) {
        size_t i = (size_t)(stripe + 1) * b->pitch + 1;
        for (size_t end = i + b->chunks; i < end; i++) {
            uint64_t w = b->significant[i], valid = b->valid[i];
            uint64_t members = with_neighbours(w) & ~w & valid, visited = members, became = 0;
            b->visited[i] = members;
            if (!members)
                continue;
            uint64_t n = b->negative[i];
            do {
                unsigned p = lowest_bit64(members);
                uint64_t bit = members & (0 - members);
                if (decode_zero(b, &mq, w, p, raw)) {
                    n |= (uint64_t)decode_sign(b, &mq, w, n, p, raw) << p;
                    w |= bit;
                    became |= bit;
                    uint64_t add = (bit << 1 | ((bit << 8) - (bit << 5))) & ~w & valid;
                    members |= add;
                    visited |= add;
                }
                members ^= bit;
            } while (members);
            if (became) {
                b->visited[i] = visited;
                b->significant[i] = w;
                b->negative[i] = n;
                magnitude[i] |= became;
                ebcot_spread(b->significant, b->negative, i, b->pitch, b->causal, became, n & became);
            }
        }
    }
    b->mq = mq;
}

/* Magnitude refinement (D.3.3). */
J2K_INLINE void refinement_pass(block_state *b, uint64_t *magnitude, bool raw) {
    mq_reader mq = b->mq;
    for (unsigned stripe = 0; stripe < b->stripes; stripe++) {
        size_t i = (size_t)(stripe + 1) * b->pitch + 1;
        for (size_t end = i + b->chunks; i < end; i++) {
            uint64_t w = b->significant[i];
            uint64_t members = w & b->valid[i] & ~b->visited[i], ones = 0;
            if (!members)
                continue;
            uint64_t again = b->refined[i], first = with_neighbours(w) & ~again;
            b->refined[i] = again | members;
            do {
                unsigned p = lowest_bit64(members);
                uint64_t bit;
                if (raw)
                    bit = raw_decode(&mq);
                else
                    bit = mq_decode(&mq, &b->contexts[CTX_REFINE + (first >> p & 1) + 2 * (again >> p & 1)],
                                    b->tables->states);
                ones |= bit << p;
                members &= members - 1;
            } while (members);
            magnitude[i] |= ones;
        }
    }
    b->mq = mq;
}

/* Cleanup (D.3.4), with run-length coding of quiet columns of four samples. */
J2K_INLINE void cleanup_pass(block_state *b, uint64_t *magnitude) {
    mq_reader mq = b->mq;
    const uint64_t *states = b->tables->states;
    for (unsigned stripe = 0; stripe < b->stripes; stripe++) {
        size_t i = (size_t)(stripe + 1) * b->pitch + 1;
        uint64_t full = b->height - stripe * STRIPE_ROWS >= STRIPE_ROWS ? ~(uint64_t)0 : 0;
        for (size_t end = i + b->chunks; i < end; i++) {
            uint64_t w = b->significant[i];
            uint64_t members = b->valid[i] & ~(w | b->visited[i]), became = 0;
            if (!members)
                continue;
            uint64_t n = b->negative[i], quiet = quiet_columns(w) & members & full;
            do {
                unsigned p = lowest_bit64(members);
                uint64_t bit = members & (0 - members);
                if (bit & quiet) {
                    if (!mq_decode(&mq, &b->contexts[CTX_RUN], states)) {
                        members &= ~((bit << 4) - bit);
                        continue;
                    }
                    unsigned row = mq_decode(&mq, &b->contexts[CTX_UNIFORM], states) << 1;
                    row |= mq_decode(&mq, &b->contexts[CTX_UNIFORM], states);
                    members &= ~((bit << row) - bit);
                    bit <<= row;
                    p += row;
                } else if (!decode_zero(b, &mq, w, p, false)) {
                    members ^= bit;
                    continue;
                }
                n |= (uint64_t)decode_sign(b, &mq, w, n, p, false) << p;
                w |= bit;
                became |= bit;
                quiet &= ~((bit << 7) - (bit << 3)); /* row 1 of the next column */
                members ^= bit;
            } while (members);
            if (became) {
                b->significant[i] = w;
                b->negative[i] = n;
                magnitude[i] |= became;
                ebcot_spread(b->significant, b->negative, i, b->pitch, b->causal, became, n & became);
            }
        }
    }
    b->mq = mq;
}

static void decode_pass(block_state *b, unsigned kind, bool raw, uint64_t *magnitude) {
    if (kind == PASS_CLEANUP)
        cleanup_pass(b, magnitude);
    else if (kind == PASS_SIGNIFICANCE && !raw)
        significance_pass(b, magnitude, false);
    else if (kind == PASS_SIGNIFICANCE)
        significance_pass(b, magnitude, true);
    else if (!raw)
        refinement_pass(b, magnitude, false);
    else
        refinement_pass(b, magnitude, true);
}

/* ---- integers */

/* The own samples of row 0 of a word, one in each byte, from the left. */
J2K_INLINE uint64_t row_to_bytes(uint64_t w) {
#if defined(EBCOT_DEC_BMI2)
    return _pdep_u64(_pext_u64(w, WINDOW_OWN0), 0x0101010101010101u);
#else
    /* Bits 0, 6, 12 and 18 of either half go to 0, 8, 16 and 24: the multiplication adds copies shifted by
     * 0, 2, 4 and 6, and no carry reaches those four places. */
    w >>= 6;
    w = (w & 0x41041) | (w & (uint64_t)0x41041 << 24) << 8;
    return w * 0x55 & 0x0101010101010101u;
#endif
}

J2K_INLINE void store_row_bytes(uint8_t out[8], uint64_t bytes) {
    for (unsigned c = 0; c < 8; c++)
        out[c] = (uint8_t)(bytes >> 8 * c);
}

static void assemble(block_state *b, unsigned lowest, unsigned highest) {
    size_t width = (size_t)b->chunks * CHUNK_COLUMNS;
    for (unsigned stripe = 0; stripe < b->stripes; stripe++) {
        for (unsigned chunk = 0; chunk < b->chunks; chunk++) {
            size_t i = (size_t)(stripe + 1) * b->pitch + 1 + chunk;
            int32_t *out = b->samples + stripe * STRIPE_ROWS * width + chunk * CHUNK_COLUMNS;
            unsigned top = highest; /* the upper planes are often empty */
            while (top > lowest && !b->planes[(size_t)top * b->slot + i])
                top--;
            for (unsigned row = 1; row <= STRIPE_ROWS; row++, out += width) {
                uint8_t bytes[4][8], sign[8];
                store_row_bytes(sign, row_to_bytes(b->negative[i] >> row));
                for (unsigned group = 0; group < 4; group++) {
                    unsigned low = 8 * group > lowest ? 8 * group : lowest;
                    unsigned high = 8 * group + 7 < top ? 8 * group + 7 : top;
                    uint64_t sum = 0;
                    for (unsigned q = high + 1; q-- > low;)
                        sum += sum + row_to_bytes(b->planes[(size_t)q * b->slot + i] >> row);
                    store_row_bytes(bytes[group], low <= high ? sum << (low - 8 * group) : 0);
                }
                for (unsigned c = 0; c < 8; c++) {
                    uint32_t magnitude = bytes[0][c] | (uint32_t)bytes[1][c] << 8 |
                                         (uint32_t)bytes[2][c] << 16 | (uint32_t)bytes[3][c] << 24;
                    uint32_t negate = 0u - sign[c];
                    out[c] = (int32_t)((magnitude ^ negate) - negate);
                }
            }
        }
    }
}

static const ebcot_dec_kernels EBCOT_DEC_KERNELS = {decode_pass, assemble};
