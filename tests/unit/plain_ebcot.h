/* A plain Part 1 block coder for tests, written straight from T.800 annexes C and D: no masks, no tables
 * beyond C.2, one bit after the other. It shares nothing with the code under test but the numbers of the
 * styles. SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLAIN_EBCOT_H
#define PLAIN_EBCOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLAIN_BYPASS = 1,
    PLAIN_RESET = 2,
    PLAIN_TERMALL = 4,
    PLAIN_CAUSAL = 8,
    PLAIN_PTERM = 16,
    PLAIN_SEGMENTATION = 32
};

enum { PLAIN_RUN = 17, PLAIN_UNIFORM = 18 };

typedef struct plain_row {
    uint16_t qe;
    uint8_t nmps, nlps, swap;
} plain_row;

/* Table C.2. */
static const plain_row plain_table[47] = {
    {0x5601, 1, 1, 1},   {0x3401, 2, 6, 0},   {0x1801, 3, 9, 0},   {0x0AC1, 4, 12, 0},  {0x0521, 5, 29, 0},
    {0x0221, 38, 33, 0}, {0x5601, 7, 6, 1},   {0x5401, 8, 14, 0},  {0x4801, 9, 14, 0},  {0x3801, 10, 14, 0},
    {0x3001, 11, 17, 0}, {0x2401, 12, 18, 0}, {0x1C01, 13, 20, 0}, {0x1601, 29, 21, 0}, {0x5601, 15, 14, 1},
    {0x5401, 16, 14, 0}, {0x5101, 17, 15, 0}, {0x4801, 18, 16, 0}, {0x3801, 19, 17, 0}, {0x3401, 20, 18, 0},
    {0x3001, 21, 19, 0}, {0x2801, 22, 19, 0}, {0x2401, 23, 20, 0}, {0x2201, 24, 21, 0}, {0x1C01, 25, 22, 0},
    {0x1801, 26, 23, 0}, {0x1601, 27, 24, 0}, {0x1401, 28, 25, 0}, {0x1201, 29, 26, 0}, {0x1101, 30, 27, 0},
    {0x0AC1, 31, 28, 0}, {0x09C1, 32, 29, 0}, {0x08A1, 33, 30, 0}, {0x0521, 34, 31, 0}, {0x0441, 35, 32, 0},
    {0x02A1, 36, 33, 0}, {0x0221, 37, 34, 0}, {0x0141, 38, 35, 0}, {0x0111, 39, 36, 0}, {0x0085, 40, 37, 0},
    {0x0049, 41, 38, 0}, {0x0025, 42, 39, 0}, {0x0015, 43, 40, 0}, {0x0009, 44, 41, 0}, {0x0005, 45, 42, 0},
    {0x0001, 45, 43, 0}, {0x5601, 46, 46, 0},
};

/* ---- the entropy coders */

typedef struct plain_coder {
    bool encoding, raw;
    uint32_t a, c;
    int ct;
    uint8_t index[19], mps[19];
    /* decoding: the segment; beyond `size` bytes are FF (D.4.1) */
    const uint8_t *data;
    size_t size, bp;
    bool escaped; /* C >= A: no encoder makes that */
    /* encoding: out[bp] is byte B; out[0] is in front of the first */
    uint8_t *out;
} plain_coder;

static void plain_reset(plain_coder *m) {
    memset(m->index, 0, sizeof m->index);
    memset(m->mps, 0, sizeof m->mps);
    m->index[0] = 4;
    m->index[PLAIN_RUN] = 3;
    m->index[PLAIN_UNIFORM] = 46;
}

static unsigned plain_byte(const plain_coder *m, size_t i) {
    return i < m->size ? m->data[i] : 0xFF;
}

static void plain_byte_in(plain_coder *m) { /* figure C.19 */
    if (plain_byte(m, m->bp) == 0xFF) {
        unsigned b1 = plain_byte(m, m->bp + 1);
        if (b1 > 0x8F) {
            m->c += 0xFF00;
            m->ct = 8;
        } else {
            m->bp++;
            m->c += b1 << 9;
            m->ct = 7;
            m->escaped |= m->c >> 16 >= m->a;
        }
    } else {
        m->bp++;
        m->c += plain_byte(m, m->bp) << 8;
        m->ct = 8;
    }
}

static void plain_open_decoder(plain_coder *m, const uint8_t *data, size_t size, bool raw) {
    m->data = data;
    m->size = size;
    m->raw = raw;
    m->bp = 0;
    m->ct = 0;
    m->c = 0;
    if (!raw) {         /* figure C.20 */
        m->a = 0x10000; /* (FF 8x at the start makes C = A, and nobody disagrees about that) */
        m->c = plain_byte(m, 0) << 16;
        plain_byte_in(m);
        m->c <<= 7;
        m->ct -= 7;
        m->a = 0x8000;
    }
}

static unsigned plain_mq_decode(plain_coder *m, unsigned cx) { /* figures C.15 to C.18 */
    const plain_row *row = &plain_table[m->index[cx]];
    unsigned d;
    m->a -= row->qe;
    if ((m->c >> 16) < row->qe) {
        bool lps = m->a >= row->qe;
        m->a = row->qe;
        d = lps ? 1u - m->mps[cx] : m->mps[cx];
        if (lps && row->swap)
            m->mps[cx] ^= 1;
        m->index[cx] = lps ? row->nlps : row->nmps;
    } else {
        m->c -= (uint32_t)row->qe << 16;
        if (m->a & 0x8000)
            return m->mps[cx];
        bool lps = m->a < row->qe;
        d = lps ? 1u - m->mps[cx] : m->mps[cx];
        if (lps && row->swap)
            m->mps[cx] ^= 1;
        m->index[cx] = lps ? row->nlps : row->nmps;
    }
    do {
        if (m->ct == 0)
            plain_byte_in(m);
        m->a <<= 1;
        m->c <<= 1;
        m->ct--;
    } while (!(m->a & 0x8000));
    return d;
}

/* Raw bits (D.6): most significant first; behind an FF a byte has 7. Ones behind the end or a marker. */
static unsigned plain_raw_decode(plain_coder *m) {
    if (m->ct == 0) {
        bool after_ff = m->bp > 0 && plain_byte(m, m->bp - 1) == 0xFF;
        unsigned byte = plain_byte(m, m->bp);
        if (after_ff && byte > 0x8F) {
            m->size = m->bp; /* ends here; from now on FF */
            byte = 0xFF;
        }
        m->ct = after_ff ? 7 : 8;
        m->c = byte;
        m->bp++;
    }
    m->ct--;
    return m->c >> m->ct & 1;
}

static void plain_byte_out(plain_coder *m) { /* figure C.8 */
    bool stuff = m->out[m->bp] == 0xFF;
    if (!stuff && m->c >= 0x8000000) {
        m->out[m->bp]++;
        if (m->out[m->bp] == 0xFF) {
            m->c &= 0x7FFFFFF;
            stuff = true;
        }
    }
    m->bp++;
    if (stuff) {
        m->out[m->bp] = (uint8_t)(m->c >> 20);
        m->c &= 0xFFFFF;
        m->ct = 7;
    } else {
        m->out[m->bp] = (uint8_t)(m->c >> 19);
        m->c &= 0x7FFFF;
        m->ct = 8;
    }
}

/* out: one byte in front of the segment, which is changed (to 0). */
static void plain_open_encoder(plain_coder *m, uint8_t *out, bool raw) {
    m->out = out;
    m->out[0] = 0;
    m->bp = 0;
    m->raw = raw;
    m->a = 0x8000;
    m->c = 0;
    m->ct = raw ? 8 : 12;
}

static void plain_mq_encode(plain_coder *m, unsigned cx, unsigned d) { /* figures C.3 to C.7 */
    const plain_row *row = &plain_table[m->index[cx]];
    m->a -= row->qe;
    if (d == m->mps[cx]) {
        if (m->a & 0x8000) {
            m->c += row->qe;
            return;
        }
        if (m->a < row->qe)
            m->a = row->qe;
        else
            m->c += row->qe;
        m->index[cx] = row->nmps;
    } else {
        if (m->a < row->qe)
            m->c += row->qe;
        else
            m->a = row->qe;
        if (row->swap)
            m->mps[cx] ^= 1;
        m->index[cx] = row->nlps;
    }
    do {
        m->a <<= 1;
        m->c <<= 1;
        if (--m->ct == 0)
            plain_byte_out(m);
    } while (!(m->a & 0x8000));
}

static void plain_raw_encode(plain_coder *m, unsigned d) {
    if (m->ct == 0) {
        m->out[++m->bp] = (uint8_t)m->c;
        m->ct = m->c == 0xFF ? 7 : 8;
        m->c = 0;
    }
    m->ct--;
    m->c |= d << m->ct;
}

/* Terminate the segment; returns its size. */
static size_t plain_flush(plain_coder *m) {
    if (m->raw) {
        if (m->bp == 0 && m->ct == 8)
            return 0; /* nothing was coded */
        m->out[++m->bp] = (uint8_t)m->c;
        if (m->c == 0xFF) /* a segment does not end in FF */
            m->out[++m->bp] = 0;
        return m->bp;
    }
    uint32_t limit = m->c + m->a; /* figures C.11 and C.12 */
    m->c |= 0xFFFF;
    if (m->c >= limit)
        m->c -= 0x8000;
    m->c <<= m->ct;
    plain_byte_out(m);
    m->c <<= m->ct;
    plain_byte_out(m);
    return m->out[m->bp] == 0xFF ? m->bp - 1 : m->bp;
}

static unsigned plain_code(plain_coder *m, unsigned cx, unsigned d) {
    if (!m->encoding)
        return m->raw ? plain_raw_decode(m) : plain_mq_decode(m, cx);
    if (m->raw)
        plain_raw_encode(m, d);
    else
        plain_mq_encode(m, cx, d);
    return d;
}

/* ---- the coding passes, for encoding and decoding alike */

typedef struct plain_sample {
    uint64_t magnitude; /* decoding: bits found so far */
    bool negative, significant, visited, refined;
    uint8_t last_plane; /* decoding: the last bit-plane in which it was coded */
} plain_sample;

typedef struct plain_block {
    plain_coder coder;
    int width, height, orientation;
    unsigned style;
    plain_sample *samples; /* width * height */
} plain_block;

/* The sample at (x, y) when it is significant as seen from row `from`. */
static const plain_sample *plain_at(const plain_block *b, int x, int y, int from) {
    if (x < 0 || y < 0 || x >= b->width || y >= b->height)
        return NULL;
    if ((b->style & PLAIN_CAUSAL) && y / 4 > from / 4)
        return NULL;
    const plain_sample *s = &b->samples[y * b->width + x];
    return s->significant ? s : NULL;
}

static unsigned plain_zero_context(const plain_block *b, int x, int y, int *any) { /* table D.1 */
    int h = 0, v = 0, d = 0;
    for (int i = -1; i <= 1; i += 2) {
        h += plain_at(b, x + i, y, y) != NULL;
        v += plain_at(b, x, y + i, y) != NULL;
        for (int k = -1; k <= 1; k += 2)
            d += plain_at(b, x + i, y + k, y) != NULL;
    }
    *any = h + v + d;
    if (b->orientation == 3) {
        int hv = h + v;
        if (d >= 3)
            return 8;
        if (d == 2)
            return hv >= 1 ? 7 : 6;
        if (d == 1)
            return hv >= 2 ? 5 : hv == 1 ? 4 : 3;
        return hv >= 2 ? 2 : (unsigned)hv;
    }
    if (b->orientation == 1) {
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
    return d >= 2 ? 2 : (unsigned)d;
}

static int plain_contribution(const plain_sample *p, const plain_sample *q) { /* table D.2 */
    int sum = (p ? p->negative ? -1 : 1 : 0) + (q ? q->negative ? -1 : 1 : 0);
    return sum > 0 ? 1 : sum < 0 ? -1 : 0;
}

static void plain_sign(plain_block *b, int x, int y, unsigned plane) { /* table D.3 */
    static const struct {
        int8_t h, v;
        uint8_t cx, flip;
    } table[9] = {{1, 1, 13, 0},  {1, 0, 12, 0},  {1, -1, 11, 0}, {0, 1, 10, 0},  {0, 0, 9, 0},
                  {0, -1, 10, 1}, {-1, 1, 11, 1}, {-1, 0, 12, 1}, {-1, -1, 13, 1}};
    plain_sample *s = &b->samples[y * b->width + x];
    int h = plain_contribution(plain_at(b, x - 1, y, y), plain_at(b, x + 1, y, y));
    int v = plain_contribution(plain_at(b, x, y - 1, y), plain_at(b, x, y + 1, y));
    int i = 0;
    while (table[i].h != h || table[i].v != v)
        i++;
    if (b->coder.raw)
        s->negative = plain_code(&b->coder, 0, s->negative);
    else
        s->negative = plain_code(&b->coder, table[i].cx, s->negative ^ table[i].flip) ^ table[i].flip;
    s->significant = true;
    if (!b->coder.encoding) {
        s->magnitude |= (uint64_t)1 << plane;
        s->last_plane = (uint8_t)plane;
    }
}

static void plain_refine(plain_block *b, int x, int y, unsigned plane) {
    plain_sample *s = &b->samples[y * b->width + x];
    int any;
    plain_zero_context(b, x, y, &any);
    unsigned bit = plain_code(&b->coder, s->refined ? 16 : any ? 15 : 14, s->magnitude >> plane & 1);
    s->refined = true;
    if (!b->coder.encoding) {
        s->magnitude |= (uint64_t)bit << plane;
        s->last_plane = (uint8_t)plane;
    }
}

/* Run-length coding of a column that begins at (x, y), if it applies (D.3.4): returns how many samples are
 * done; the one behind them, if fewer than 4, is significant and needs its sign. -1 when it does not apply.
 */
static int plain_run(plain_block *b, int x, int y, unsigned plane) {
    if (y + 4 > b->height)
        return -1;
    for (int k = 0; k < 4; k++) {
        const plain_sample *s = &b->samples[(y + k) * b->width + x];
        int any;
        plain_zero_context(b, x, y + k, &any);
        if (s->significant || s->visited || any)
            return -1;
    }
    int zeros = 0;
    while (b->coder.encoding && zeros < 4 && !(b->samples[(y + zeros) * b->width + x].magnitude >> plane & 1))
        zeros++;
    if (!plain_code(&b->coder, PLAIN_RUN, zeros < 4))
        return 4;
    int high = (int)plain_code(&b->coder, PLAIN_UNIFORM, (unsigned)zeros >> 1 & 1);
    return 2 * high + (int)plain_code(&b->coder, PLAIN_UNIFORM, (unsigned)zeros & 1);
}

/* kind: 0 significance propagation, 1 refinement, 2 cleanup. False: wrong segmentation symbol. */
static bool plain_pass(plain_block *b, unsigned kind, unsigned plane) {
    for (int top = 0; top < b->height; top += 4) {
        for (int x = 0; x < b->width; x++) {
            int y = top, skipped = kind == 2 ? plain_run(b, x, top, plane) : -1;
            if (skipped == 4)
                continue;
            if (skipped >= 0) {
                y += skipped;
                plain_sign(b, x, y++, plane);
            }
            for (; y < top + 4 && y < b->height; y++) {
                plain_sample *s = &b->samples[y * b->width + x];
                int any;
                unsigned cx = plain_zero_context(b, x, y, &any);
                if (kind == 1) {
                    if (s->significant && !s->visited)
                        plain_refine(b, x, y, plane);
                } else if (!s->significant && (kind == 0 ? any != 0 : !s->visited)) {
                    s->visited = kind == 0;
                    if (plain_code(&b->coder, cx, s->magnitude >> plane & 1))
                        plain_sign(b, x, y, plane);
                }
            }
        }
    }
    if (kind != 2)
        return true;
    for (int i = 0; i < b->width * b->height; i++)
        b->samples[i].visited = false;
    if (!(b->style & PLAIN_SEGMENTATION))
        return true;
    unsigned symbol = 0;
    for (int i = 0; i < 4; i++)
        symbol = 2 * symbol + plain_code(&b->coder, PLAIN_UNIFORM, (i & 1) == 0);
    return symbol == 0xA;
}

/* ---- segments (table D.9) */

/* Pass 0 is the first cleanup pass; kinds go 2 0 1 2 0 1 2 ... */
static bool plain_is_raw(unsigned style, unsigned pass) {
    return (style & PLAIN_BYPASS) && pass >= 10 && pass % 3 != 0;
}

static bool plain_terminates(unsigned style, unsigned pass) {
    if (style & PLAIN_TERMALL)
        return true;
    return (style & PLAIN_BYPASS) && pass >= 9 && pass % 3 != 1;
}

enum { PLAIN_MAX_PASSES = 3 * 60 };

typedef struct plain_stream {
    unsigned num_passes, num_segments;
    unsigned segment_passes[PLAIN_MAX_PASSES];
    size_t segment_size[PLAIN_MAX_PASSES];
    uint8_t *data; /* the caller's, with one byte to spare in front */
    size_t size;
} plain_stream;

/* Encode two's complement coefficients with `planes` bit-planes, the first num_passes passes. out->data: at
 * least 64 + 8 bytes a sample. */
static void plain_encode_wide(const int64_t *coefficients, int width, int height, int orientation,
                              unsigned style, unsigned planes, unsigned num_passes, plain_stream *out) {
    plain_block b = {.width = width, .height = height, .orientation = orientation, .style = style};
    b.coder.encoding = true;
    b.samples = calloc((size_t)width * (size_t)height, sizeof *b.samples);
    for (int i = 0; i < width * height; i++) {
        b.samples[i].negative = coefficients[i] < 0;
        b.samples[i].magnitude = (uint64_t)llabs(coefficients[i]);
    }
    plain_reset(&b.coder);
    out->num_passes = num_passes;
    out->num_segments = 0;
    out->size = 0;
    unsigned begun = 0;
    uint8_t kept = 0;
    for (unsigned pass = 0; pass < num_passes; pass++) {
        if (pass == begun)
            kept = out->data[out->size - 1];
        if (pass == begun)
            plain_open_encoder(&b.coder, out->data + out->size - 1, plain_is_raw(style, pass));
        plain_pass(&b, (pass + 2) % 3, planes - 1 - (pass + 2) / 3);
        if (pass == num_passes - 1 || plain_terminates(style, pass)) {
            out->segment_passes[out->num_segments] = pass + 1 - begun;
            out->segment_size[out->num_segments] = plain_flush(&b.coder);
            out->data[out->size - 1] = kept;
            out->size += out->segment_size[out->num_segments++];
            begun = pass + 1;
        }
        if (style & PLAIN_RESET)
            plain_reset(&b.coder);
    }
    free(b.samples);
}

static inline void plain_encode(const int32_t *coefficients, int width, int height, int orientation,
                                unsigned style, unsigned planes, unsigned num_passes, plain_stream *out) {
    int64_t *wide = malloc((size_t)width * (size_t)height * sizeof *wide);
    for (int i = 0; i < width * height; i++)
        wide[i] = coefficients[i];
    plain_encode_wide(wide, width, height, orientation, style, planes, num_passes, out);
    free(wide);
}

/* Decode; doubled[i] is +-(2 m + 2^p) with p the last bit-plane of the sample, or +-2 m when p is 0 and
 * `exact` is set. *escaped: some codeword is none that an encoder makes. Returns false when the data
 * contradict themselves. */
static bool plain_decode(const plain_stream *in, int width, int height, int orientation, unsigned style,
                         unsigned planes, bool exact, int64_t *doubled, bool *escaped) {
    plain_block b = {.width = width, .height = height, .orientation = orientation, .style = style};
    bool sound = true;
    size_t at = 0;
    unsigned pass = 0;
    b.samples = calloc((size_t)width * (size_t)height, sizeof *b.samples);
    plain_reset(&b.coder);
    for (unsigned s = 0; s < in->num_segments && sound; s++) {
        plain_open_decoder(&b.coder, in->data + at, in->segment_size[s], plain_is_raw(style, pass));
        at += in->segment_size[s];
        for (unsigned n = 0; n < in->segment_passes[s] && sound; n++, pass++) {
            if (pass == 3 * planes - 2) {
                sound = false;
                break;
            }
            unsigned kind = (pass + 2) % 3, plane = planes - 1 - (pass + 2) / 3;
            /* Behind the last pass a wrong segmentation symbol says nothing: it may have been cut off. */
            sound = plain_pass(&b, kind, plane) || pass + 1 == in->num_passes;
            /* Significant samples not coded in this bit-plane yet keep their last_plane. */
            if (style & PLAIN_RESET)
                plain_reset(&b.coder);
        }
    }
    for (int i = 0; i < width * height; i++) {
        const plain_sample *s = &b.samples[i];
        int64_t value = 2 * (int64_t)s->magnitude;
        if (value && (s->last_plane || !exact))
            value += (int64_t)1 << s->last_plane;
        doubled[i] = s->negative ? -value : value;
    }
    *escaped = b.coder.escaped;
    free(b.samples);
    return sound;
}

#endif
