/* A plain encoder and decoder of code-blocks, written sample by sample from T.800 annexes C and D, to check
 * the engine's coders against. Slow, and without anything in common with them but the standard.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_EBCOT_REFERENCE_H
#define TEST_EBCOT_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

enum {
    REF_BYPASS = 1,
    REF_RESET = 2,
    REF_TERMALL = 4,
    REF_CAUSAL = 8,
    REF_PTERM = 16,
    REF_SEGMENTATION = 32
};
enum { REF_MAX_PASSES = 3 * 31, REF_MAX_BYTES = 1 << 17 };

/* ---- table C.2 ---- */

static const uint16_t ref_qe[47] = {
    0x5601, 0x3401, 0x1801, 0x0AC1, 0x0521, 0x0221, 0x5601, 0x5401, 0x4801, 0x3801, 0x3001, 0x2401,
    0x1C01, 0x1601, 0x5601, 0x5401, 0x5101, 0x4801, 0x3801, 0x3401, 0x3001, 0x2801, 0x2401, 0x2201,
    0x1C01, 0x1801, 0x1601, 0x1401, 0x1201, 0x1101, 0x0AC1, 0x09C1, 0x08A1, 0x0521, 0x0441, 0x02A1,
    0x0221, 0x0141, 0x0111, 0x0085, 0x0049, 0x0025, 0x0015, 0x0009, 0x0005, 0x0001, 0x5601};
static const uint8_t ref_nmps[47] = {1,  2,  3,  4,  5,  38, 7,  8,  9,  10, 11, 12, 13, 29, 15, 16,
                                     17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
                                     33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 45, 46};
static const uint8_t ref_nlps[47] = {1,  6,  9,  12, 29, 33, 6,  14, 14, 14, 17, 18, 20, 21, 14, 14,
                                     15, 16, 17, 18, 19, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
                                     30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 46};

/* ---- one codeword segment, written or read: MQ (annex C) or raw (D.6) ---- */

typedef struct ref_coder {
    bool decoding, raw;
    uint8_t *data; /* encoder: data[0] is the byte in front of the segment */
    size_t size;   /* decoder: bytes there are; ones follow */
    size_t bp;
    uint32_t a, c;
    int ct;
    uint8_t index[19], mps[19];
} ref_coder;

static void ref_reset_contexts(ref_coder *r) {
    memset(r->index, 0, sizeof r->index);
    memset(r->mps, 0, sizeof r->mps);
    r->index[0] = 4;
    r->index[17] = 3;
    r->index[18] = 46;
}

static unsigned ref_byte(const ref_coder *r, size_t at) {
    return at < r->size ? r->data[at] : 0xFF;
}

static void ref_byte_in(ref_coder *r) {
    if (ref_byte(r, r->bp) == 0xFF) {
        if (ref_byte(r, r->bp + 1) > 0x8F) {
            r->c += 0xFF00;
            r->ct = 8;
        } else {
            r->bp++;
            r->c += ref_byte(r, r->bp) << 9;
            r->ct = 7;
        }
    } else {
        r->bp++;
        r->c += ref_byte(r, r->bp) << 8;
        r->ct = 8;
    }
}

static void ref_byte_out(ref_coder *r) {
    uint8_t *b = r->data;
    if (b[r->bp] != 0xFF && r->c >= 0x8000000) {
        b[r->bp]++;
        r->c &= 0x7FFFFFF;
    }
    if (b[r->bp] == 0xFF) {
        b[++r->bp] = (uint8_t)(r->c >> 20);
        r->c &= 0xFFFFF;
        r->ct = 7;
    } else {
        b[++r->bp] = (uint8_t)(r->c >> 19);
        r->c &= 0x7FFFF;
        r->ct = 8;
    }
}

static void ref_start(ref_coder *r, bool raw) {
    r->raw = raw;
    r->bp = 0;
    r->c = 0;
    r->a = 0x8000;
    r->ct = 12;
    if (!r->decoding) {
        r->data[0] = 0;
        if (raw)
            r->ct = 8;
    } else if (raw) {
        r->ct = 0;
        r->a = 0; /* the byte before */
    } else {
        r->c = ref_byte(r, 0) << 16;
        ref_byte_in(r);
        r->c <<= 7;
        r->ct -= 7;
    }
}

static void ref_renormalise(ref_coder *r) {
    do {
        if (r->decoding && r->ct == 0)
            ref_byte_in(r);
        r->a <<= 1;
        r->c <<= 1;
        r->ct--;
        if (!r->decoding && r->ct == 0)
            ref_byte_out(r);
    } while (!(r->a & 0x8000));
}

static void ref_adapt(ref_coder *r, unsigned ctx, bool lps) {
    unsigned i = r->index[ctx];
    if (lps && (i == 0 || i == 6 || i == 14))
        r->mps[ctx] ^= 1;
    r->index[ctx] = lps ? ref_nlps[i] : ref_nmps[i];
}

static void ref_mq_encode(ref_coder *r, unsigned ctx, unsigned d) {
    uint32_t qe = ref_qe[r->index[ctx]];
    r->a -= qe;
    bool lps = d != r->mps[ctx], small = r->a < qe;
    if (!lps && (r->a & 0x8000)) {
        r->c += qe;
        return;
    }
    if (lps != small)
        r->a = qe;
    else
        r->c += qe;
    ref_adapt(r, ctx, lps);
    ref_renormalise(r);
}

static unsigned ref_mq_decode(ref_coder *r, unsigned ctx) {
    uint32_t qe = ref_qe[r->index[ctx]];
    r->a -= qe;
    bool lower = r->c >> 16 < qe;
    if (!lower) {
        r->c -= qe << 16;
        if (r->a & 0x8000)
            return r->mps[ctx];
    }
    bool lps = lower != (r->a < qe);
    unsigned d = r->mps[ctx] ^ lps;
    if (lower)
        r->a = qe;
    ref_adapt(r, ctx, lps);
    ref_renormalise(r);
    return d;
}

static unsigned ref_raw(ref_coder *r, unsigned d) {
    if (r->decoding) {
        if (r->ct == 0) {
            bool ff = r->a == 0xFF;
            r->a = ref_byte(r, r->bp);
            r->bp++;
            r->ct = 8;
            if (ff && r->a <= 0x8F)
                r->ct = 7;
        }
        r->ct--;
        return r->a >> r->ct & 1;
    }
    r->c = r->c << 1 | d;
    if (--r->ct == 0) {
        r->data[++r->bp] = (uint8_t)r->c;
        r->ct = r->c == 0xFF ? 7 : 8;
        r->c = 0;
    }
    return d;
}

/* Code decision d (encoder) or return it (decoder). */
static unsigned ref_code(ref_coder *r, unsigned ctx, unsigned d) {
    if (r->raw)
        return ref_raw(r, d);
    if (r->decoding)
        return ref_mq_decode(r, ctx);
    ref_mq_encode(r, ctx, d);
    return d;
}

/* Terminate; returns the number of bytes of the segment. */
static size_t ref_finish(ref_coder *r, bool predictable) {
    if (r->raw) {
        bool after_ff = r->bp && r->data[r->bp] == 0xFF;
        if (r->ct == 8 || (r->ct == 7 && after_ff && !predictable))
            return after_ff ? r->bp - 1 : r->bp;
        for (unsigned bit = 0; r->ct; r->ct--, bit ^= 1)
            r->c = r->c << 1 | bit;
        r->data[++r->bp] = (uint8_t)r->c;
        return r->bp;
    }
    if (predictable) {
        for (int k = 11 - r->ct + 1; k > 0; k -= r->ct) {
            r->c <<= r->ct;
            r->ct = 0;
            ref_byte_out(r);
        }
    } else {
        uint32_t limit = r->c + r->a;
        r->c |= 0xFFFF;
        if (r->c >= limit)
            r->c -= 0x8000;
        r->c <<= r->ct;
        ref_byte_out(r);
        r->c <<= r->ct;
        ref_byte_out(r);
    }
    return r->data[r->bp] == 0xFF ? r->bp - 1 : r->bp;
}

/* ---- code-block (annex D) ---- */

enum { REF_LL = 0, REF_HL = 1, REF_LH = 2, REF_HH = 3 };

typedef struct ref_block {
    int width, height, planes;
    unsigned orientation, style;
    bool wrong_segmentation;
    uint32_t *magnitude; /* encoder: to be coded; decoder: what is known */
    uint8_t *sign;
    uint8_t *plane;                           /* the last bit-plane that each sample was coded in */
    uint8_t *significant, *visited, *refined; /* (height + 2) rows of width + 2 */
    ref_coder coder;
} ref_block;

static uint8_t *ref_state(const ref_block *b, uint8_t *states, int x, int y) {
    return states + (size_t)(y + 1) * (size_t)(b->width + 2) + x + 1;
}

/* Significance of a neighbour as sample row y0 sees it: with vertically causal contexts the next stripe
 * does not exist. */
static int ref_sig(const ref_block *b, int x, int y, int y0) {
    if ((b->style & REF_CAUSAL) && y > y0 && y % 4 == 0)
        return 0;
    return *ref_state(b, b->significant, x, y);
}

static void ref_sums(const ref_block *b, int x, int y, int *h, int *v, int *d) {
    *h = ref_sig(b, x - 1, y, y) + ref_sig(b, x + 1, y, y);
    *v = ref_sig(b, x, y - 1, y) + ref_sig(b, x, y + 1, y);
    *d = ref_sig(b, x - 1, y - 1, y) + ref_sig(b, x + 1, y - 1, y) + ref_sig(b, x - 1, y + 1, y) +
         ref_sig(b, x + 1, y + 1, y);
}

/* Table D.1. */
static unsigned ref_zero_context(const ref_block *b, int x, int y) {
    int h, v, d;
    ref_sums(b, x, y, &h, &v, &d);
    if (b->orientation == REF_HH) {
        int hv = h + v;
        if (d >= 3)
            return 8;
        if (d == 2)
            return hv >= 1 ? 7 : 6;
        if (d == 1)
            return hv >= 2 ? 5 : hv == 1 ? 4 : 3;
        return hv >= 2 ? 2 : hv == 1 ? 1 : 0;
    }
    if (b->orientation == REF_HL) {
        int t = h;
        h = v;
        v = t;
    }
    if (h == 2)
        return 8;
    if (h == 1)
        return v >= 1 ? 7 : d >= 1 ? 6 : 5;
    if (v == 2)
        return 4;
    if (v == 1)
        return 3;
    return d >= 2 ? 2 : d == 1 ? 1 : 0;
}

static int ref_contribution(const ref_block *b, int x, int y, int y0) {
    if (!ref_sig(b, x, y, y0))
        return 0;
    return b->sign[y * b->width + x] ? -1 : 1;
}

static int ref_clip(int x) {
    return x > 1 ? 1 : x < -1 ? -1 : x;
}

static void ref_code_sign(ref_block *b, int x, int y) {
    uint8_t *sign = &b->sign[y * b->width + x];
    /* Neighbours outside the block are never significant, and are not asked for their sign. */
    int h = ref_clip(ref_contribution(b, x - 1, y, y) + ref_contribution(b, x + 1, y, y));
    int v = ref_clip(ref_contribution(b, x, y - 1, y) + ref_contribution(b, x, y + 1, y));
    static const uint8_t context[3][3] = {{13, 12, 11}, {10, 9, 10}, {11, 12, 13}};
    static const uint8_t flip[3][3] = {{1, 1, 1}, {1, 0, 0}, {0, 0, 0}};
    unsigned x_or = b->coder.raw ? 0 : flip[h + 1][v + 1];
    *sign = (uint8_t)(ref_code(&b->coder, context[h + 1][v + 1], *sign ^ x_or) ^ x_or);
    *ref_state(b, b->significant, x, y) = 1;
}

/* The bit of a sample in a plane; the decoder's is known after it was coded. */
static unsigned ref_code_bit(ref_block *b, int x, int y, int plane, unsigned ctx) {
    uint32_t *m = &b->magnitude[y * b->width + x];
    unsigned bit = ref_code(&b->coder, ctx, *m >> plane & 1);
    if (b->coder.decoding)
        *m |= (uint32_t)bit << plane;
    b->plane[y * b->width + x] = (uint8_t)plane;
    return bit;
}

static void ref_significance_pass(ref_block *b, int x, int y, int plane) {
    int h, v, d;
    ref_sums(b, x, y, &h, &v, &d);
    if (*ref_state(b, b->significant, x, y) || h + v + d == 0)
        return;
    *ref_state(b, b->visited, x, y) = 1;
    if (ref_code_bit(b, x, y, plane, ref_zero_context(b, x, y)))
        ref_code_sign(b, x, y);
}

static void ref_refinement_pass(ref_block *b, int x, int y, int plane) {
    if (!*ref_state(b, b->significant, x, y) || *ref_state(b, b->visited, x, y))
        return;
    int h, v, d;
    ref_sums(b, x, y, &h, &v, &d);
    uint8_t *refined = ref_state(b, b->refined, x, y);
    ref_code_bit(b, x, y, plane, *refined ? 16 : h + v + d ? 15 : 14);
    *refined = 1;
}

/* One column of a stripe in the cleanup pass (D.3.4). */
static void ref_cleanup_column(ref_block *b, int x, int y0, int y1, int plane) {
    int y = y0;
    bool run = y1 - y0 == 4;
    for (int i = y0; run && i < y1; i++)
        run = !*ref_state(b, b->significant, x, i) && !*ref_state(b, b->visited, x, i) &&
              ref_zero_context(b, x, i) == 0;
    if (run) {
        int first = 0;
        if (!b->coder.decoding)
            while (first < 4 && !(b->magnitude[(y0 + first) * b->width + x] >> plane & 1))
                first++;
        if (!ref_code(&b->coder, 17, first < 4))
            return;
        unsigned high = ref_code(&b->coder, 18, (unsigned)first >> 1 & 1);
        first = (int)(high << 1 | ref_code(&b->coder, 18, (unsigned)first & 1));
        y = y0 + first;
        b->magnitude[y * b->width + x] |= UINT32_C(1) << plane;
        b->plane[y * b->width + x] = (uint8_t)plane;
        ref_code_sign(b, x, y++);
    }
    for (; y < y1; y++)
        if (!*ref_state(b, b->significant, x, y) && !*ref_state(b, b->visited, x, y))
            if (ref_code_bit(b, x, y, plane, ref_zero_context(b, x, y)))
                ref_code_sign(b, x, y);
}

static void ref_pass(ref_block *b, int pass) {
    int plane = b->planes - 1 - (pass + 2) / 3, kind = (pass + 2) % 3;
    for (int y0 = 0; y0 < b->height; y0 += 4)
        for (int x = 0; x < b->width; x++) {
            int y1 = y0 + 4 < b->height ? y0 + 4 : b->height;
            if (kind == 2)
                ref_cleanup_column(b, x, y0, y1, plane);
            else
                for (int y = y0; y < y1; y++)
                    if (kind == 0)
                        ref_significance_pass(b, x, y, plane);
                    else
                        ref_refinement_pass(b, x, y, plane);
        }
    if (kind == 2) {
        memset(b->visited, 0, (size_t)(b->width + 2) * (size_t)(b->height + 2));
        if (b->style & REF_SEGMENTATION)
            for (unsigned i = 0; i < 4; i++)
                if (ref_code(&b->coder, 18, ~i & 1) != (~i & 1))
                    b->wrong_segmentation = true;
    }
}

/* Table D.9. */
static bool ref_is_raw(unsigned style, int pass) {
    return (style & REF_BYPASS) && pass >= 10 && (pass + 2) % 3 != 2;
}
static bool ref_terminates(unsigned style, int pass, int num_passes) {
    if ((style & REF_TERMALL) || pass == num_passes - 1)
        return true;
    return (style & REF_BYPASS) && (pass == 9 || (pass >= 10 && (pass + 2) % 3 != 0));
}

static ref_block ref_block_create(int width, int height, int planes, unsigned orientation, unsigned style) {
    size_t states = (size_t)(width + 2) * (size_t)(height + 2), samples = (size_t)width * (size_t)height;
    ref_block b = {width, height, planes, orientation, style, false, NULL, NULL, NULL, NULL, NULL, NULL, {0}};
    b.magnitude = calloc(samples, sizeof *b.magnitude);
    b.sign = calloc(samples, 1);
    b.plane = calloc(samples, 1);
    b.significant = calloc(states, 1);
    b.visited = calloc(states, 1);
    b.refined = calloc(states, 1);
    CHECK(b.magnitude && b.sign && b.plane && b.significant && b.visited && b.refined);
    return b;
}

static void ref_block_free(ref_block *b) {
    free(b->magnitude);
    free(b->sign);
    free(b->plane);
    free(b->significant);
    free(b->visited);
    free(b->refined);
}

/* What the reference encoder makes: the segments' bytes one after another. */
typedef struct ref_result {
    int num_segments;
    int last_pass[REF_MAX_PASSES]; /* of each segment */
    size_t size[REF_MAX_PASSES];
    uint8_t *bytes[REF_MAX_PASSES];
    uint8_t storage[REF_MAX_BYTES * 2];
} ref_result;

/* Encode b->magnitude and b->sign. */
static void ref_encode(ref_block *b, ref_result *result) {
    int num_passes = 3 * b->planes - 2;
    uint8_t *next = result->storage;
    result->num_segments = 0;
    b->coder.decoding = false;
    bool open = false;
    for (int pass = 0; pass < num_passes; pass++) {
        if (!open) {
            b->coder.data = next;
            ref_start(&b->coder, ref_is_raw(b->style, pass));
        }
        if (pass == 0 || (b->style & REF_RESET))
            ref_reset_contexts(&b->coder);
        ref_pass(b, pass);
        open = !ref_terminates(b->style, pass, num_passes);
        if (!open) {
            int s = result->num_segments++;
            result->size[s] = ref_finish(&b->coder, b->style & REF_PTERM);
            result->bytes[s] = next + 1;
            result->last_pass[s] = pass;
            next += result->size[s] + 8;
            CHECK(next < result->storage + REF_MAX_BYTES);
        }
    }
}

/* Decode the first num_passes passes. length[i]: bytes that there are for passes 0 .. i (all segments up
 * to there); only the entries of last passes of segments and the last one are used. b has planes, zeros
 * and no signs. */
static void ref_decode(ref_block *b, uint8_t *data, const uint32_t *length, int num_passes,
                       int total_passes) {
    bool open = false;
    uint32_t start = 0;
    b->coder.decoding = true;
    for (int pass = 0; pass < num_passes; pass++) {
        if (!open) {
            int last = pass;
            while (last < num_passes - 1 && !ref_terminates(b->style, last, total_passes))
                last++;
            b->coder.data = data + start;
            b->coder.size = length[last] - start;
            start = length[last];
            ref_start(&b->coder, ref_is_raw(b->style, pass));
        }
        if (pass == 0 || (b->style & REF_RESET))
            ref_reset_contexts(&b->coder);
        ref_pass(b, pass);
        open = !ref_terminates(b->style, pass, total_passes);
    }
}

#endif
