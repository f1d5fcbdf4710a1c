/* The HT block encoder: cleanup, significance propagation and magnitude refinement passes (T.814).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "ht_enc.h"

#include <math.h>
#include <string.h>

#include "bitops.h"
#include "quant.h"

/* HT sets as truncation points. A cleanup pass says all of a code-block down to its bit-plane, so that an HT
 * code-block is truncated by choosing the bit-plane of the one cleanup pass that is sent, and whether its
 * significance propagation and magnitude refinement passes, which say half of the next bit-plane each, go
 * with it. The alternatives are numbered as the passes of Part 1: pass 3 k is the cleanup pass of the k-th
 * bit-plane from the top and begins HT set k. Their data lie one after the other in this order; a set that
 * was not tried has no bytes and removes no error. The packet writer leaves out all sets before the one
 * chosen and counts their bit-planes as missing, which any HT decoder understands (placeholder passes would
 * say the same). */

ht_encoder *j2k_ht_encoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    ht_encoder *encoder = ARENA_ALLOC(memory, ht_encoder, 1);
    if (!encoder)
        return NULL;
    encoder->dsp = dsp;
    encoder->encode_cleanup = j2k_ht_encode_cleanup_c;
    encoder->encode_direct = NULL;
    encoder->workspace = NULL;
    encoder->wide = NULL;
    encoder->memory = memory;
#if defined(__GNUC__) && defined(__x86_64__)
    if (cpu & J2K_CPU_AVX512) {
        encoder->workspace = j2k_arena_alloc(memory, 1, j2k_ht_encode_workspace_avx512);
        if (!encoder->workspace)
            return NULL;
        encoder->encode_cleanup = j2k_ht_encode_cleanup_avx512;
        encoder->encode_direct = j2k_ht_encode_direct_avx512;
    }
#else
    (void)cpu;
#endif
    return encoder;
}

/* ---- bits without stuffing ---- */

typedef struct bit_sink {
    uint8_t *start, *out;
    uint64_t bits;
    unsigned count; /* below 8 */
} bit_sink;

static void bits_begin(bit_sink *s, uint8_t *start) {
    *s = (bit_sink){start, start, 0, 0};
}

/* Append up to 56 bits. */
static void put_bits(bit_sink *s, uint64_t bits, unsigned count) {
    s->bits |= bits << s->count;
    s->count += count;
    for (unsigned i = 0; i < 8; i++) /* compilers make one store of it */
        s->out[i] = (uint8_t)(s->bits >> 8 * i);
    s->out += s->count / 8;
    s->bits >>= s->count & ~7u;
    s->count &= 7;
}

/* Set the bits behind the end, of the last byte and some more, and return the number of bits. */
static size_t bits_end(bit_sink *s, unsigned fill) {
    *s->out = (uint8_t)(s->bits | (uint64_t)fill << s->count);
    memset(s->out + 1, (int)fill, 8);
    return (size_t)(s->out - s->start) * 8 + s->count;
}

static unsigned get_byte(const uint8_t *bytes, size_t position) {
    return ((unsigned)bytes[position / 8] | (unsigned)bytes[position / 8 + 1] << 8) >> position % 8 & 0xFF;
}

/* MagSgn and SigProp: the byte behind FF has 7 bits. Returns the end of the whole bytes; `last` gets the
 * rest. */
static uint8_t *stuff_forward(const uint8_t *raw, size_t count, uint8_t *out, partial_byte *last) {
    size_t position = 0;
    unsigned width = 8;
    for (; position + width <= count; position += width, width = *out++ == 0xFF ? 7 : 8)
        *out = (uint8_t)(get_byte(raw, position) & (0xFFu >> (8 - width)));
    size_t rest = count - position;
    last->bits = get_byte(raw, position) & ((1u << rest) - 1);
    last->mask = ((1u << rest) - 1) | (width == 7 ? 0x80u : 0); /* the bit stuffed counts */
    return out;
}

/* VLC and MagRef grow towards lower addresses: a byte of seven set bits has no eighth when the one behind it,
 * written before, exceeds 8F. Returns the first of the whole bytes. */
static uint8_t *stuff_backward(const uint8_t *raw, size_t count, uint8_t *end, unsigned before,
                               partial_byte *last) {
    size_t position = 0;
    for (;;) {
        bool short_byte = before > 0x8F && (get_byte(raw, position) & 0x7F) == 0x7F;
        unsigned width = short_byte ? 7 : 8;
        if (position + width > count)
            break;
        before = get_byte(raw, position) & (0xFFu >> (8 - width));
        *--end = (uint8_t)before;
        position += width;
    }
    size_t rest = count - position;
    last->bits = get_byte(raw, position) & ((1u << rest) - 1);
    last->mask = (1u << rest) - 1;
    return end;
}

/* ---- MEL ---- */

typedef struct mel_encoder {
    uint8_t *out;
    unsigned byte, free_bits, state, run;
    bool stuffed;
} mel_encoder;

static void mel_put_bit(mel_encoder *m, unsigned bit) {
    m->byte |= bit << --m->free_bits;
    if (m->free_bits)
        return;
    *m->out++ = (uint8_t)m->byte;
    m->stuffed = m->byte == 0xFF;
    m->free_bits = m->stuffed ? 7 : 8;
    m->byte = 0;
}

static void mel_put(mel_encoder *m, bool event) {
    unsigned exponent = (unsigned)(HT_MEL_EXPONENTS >> 4 * m->state) & 15;
    if (!event) {
        if (++m->run >> exponent) {
            mel_put_bit(m, 1);
            m->run = 0;
            m->state += m->state < 12;
        }
        return;
    }
    mel_put_bit(m, 0);
    while (exponent--)
        mel_put_bit(m, m->run >> exponent & 1);
    m->run = 0;
    m->state -= m->state > 0;
}

static partial_byte mel_end(mel_encoder *m) {
    if (m->run)
        mel_put_bit(m, 1);
    partial_byte last = {(0xFFu << m->free_bits) & 0xFF, m->byte};
    return last;
}

/* ---- cleanup pass ---- */

typedef struct cleanup {
    ht_encoder *e;
    unsigned width, height, shift;
    bit_sink magsgn, vlc;
    mel_encoder mel;
} cleanup;

/* Functions with an argument `wide` are compiled once for samples of 32 bits and once for those of 64; values
 * of type uint64_t in them have as many bits. */
typedef struct quad {
    unsigned pattern;     /* significance */
    unsigned exponent[4]; /* of 2 mu - 1; 0 for insignificant samples */
    uint64_t value[4];    /* 2 (mu - 1) + sign */
    unsigned offset;      /* u */
} quad;

/* The magnitude and the sign of a sample as quantised. */
J2K_INLINE uint64_t magnitude_at(const ht_encoder *e, size_t index, bool wide) {
    return wide ? e->wide->samples[index] & INT64_MAX : e->samples[index] & INT32_MAX;
}
J2K_INLINE unsigned sign_at(const ht_encoder *e, size_t index, bool wide) {
    return wide ? (unsigned)(e->wide->samples[index] >> 63) : e->samples[index] >> 31;
}

J2K_INLINE void load_quad(const cleanup *c, unsigned x, unsigned y, quad *q, bool wide) {
    q->pattern = 0;
    for (unsigned n = 0; n < 4; n++) {
        unsigned column = x + (n >> 1), row = y + (n & 1);
        bool inside = column < c->width && row < c->height;
        size_t index = inside ? (size_t)row * c->width + column : 0;
        uint64_t mu = inside ? magnitude_at(c->e, index, wide) >> c->shift : 0;
        q->exponent[n] = mu ? bit_length64(2 * mu - 1) : 0;
        q->value[n] = mu ? 2 * (mu - 1) + sign_at(c->e, index, wide) : 0;
        q->pattern |= (unsigned)(mu != 0) << n;
    }
}

static unsigned largest_of(const unsigned exponent[4]) {
    unsigned a = exponent[0] > exponent[1] ? exponent[0] : exponent[1];
    unsigned b = exponent[2] > exponent[3] ? exponent[2] : exponent[3];
    return a > b ? a : b;
}

/* The exponent predicted from the samples above: kappa of 7.3.7. */
static unsigned predict_exponent(const uint8_t *above, unsigned pattern) {
    unsigned largest = 0;
    for (unsigned i = 0; i < 4; i++)
        largest = above[i] > largest ? above[i] : largest;
    return (pattern & (pattern - 1)) && largest > 2 ? largest - 1 : 1;
}

/* Code a quad but for its U-VLC bits. `above`: exponents of the four samples around its upper edge. Returns
 * its part of the next quad's context. */
J2K_INLINE unsigned put_quad(cleanup *c, bool initial, const uint8_t *above, unsigned left, quad *q,
                             bool wide) {
    unsigned context = left, pattern = q->pattern;
    if (!initial)
        context |= (above[0] || above[1] ? 1u : 0) | (above[2] || above[3] ? 4u : 0);
    if (context == 0)
        mel_put(&c->mel, pattern != 0);
    unsigned kappa = initial ? 1 : predict_exponent(above, pattern), largest = largest_of(q->exponent);
    unsigned bound = largest > kappa ? largest : kappa, at_bound = 0;
    q->offset = bound - kappa;
    for (unsigned n = 0; q->offset && n < 4; n++)
        at_bound |= (unsigned)(q->exponent[n] == largest) << n;
    uint32_t entry = j2k_ht_encode_cxtvlc[!initial][context << 8 | pattern << 4 | at_bound];
    put_bits(&c->vlc, entry >> 2 & 0x7F, entry >> 18);
    unsigned known = (entry & 3) | (entry >> 16 & 3) << 2;
    for (unsigned n = 0; n < 4; n++) {
        unsigned count = pattern >> n & 1 ? bound - (known >> n & 1) : 0;
        uint64_t bits = q->value[n] & ((UINT64_C(1) << count) - 1);
        if (wide && count > 32) {
            put_bits(&c->magsgn, bits & UINT32_MAX, 32);
            bits >>= 32;
            count -= 32;
        }
        put_bits(&c->magsgn, bits, count);
    }
    if (initial)
        return (pattern & 1) | (pattern >> 1);
    return (pattern & 12 ? 2 : 0);
}

/* U-VLC of one offset (table 3 of T.814). */
typedef struct offset_code {
    unsigned prefix, prefix_bits, suffix, suffix_bits, extension, extension_bits;
} offset_code;

static offset_code code_offset(unsigned u) {
    if (u <= 2) {
        offset_code code = {u, u, 0, 0, 0, 0}; /* 1 -> "1", 2 -> "01": the value is its own bits and length */
        return code;
    }
    if (u <= 4) {
        offset_code code = {4, 3, u - 3, 1, 0, 0};
        return code;
    }
    unsigned large = u >= 33, rest = u - 33;
    offset_code code = {0, 3, large ? 28 + rest % 4 : u - 5, 5, large ? rest / 4 : 0, large ? 4 : 0};
    return code;
}

static void put_offsets(cleanup *c, bool initial, unsigned u0, unsigned u1) {
    if (initial && u0 && u1)
        mel_put(&c->mel, u0 > 2 && u1 > 2);
    if (u0 < 16 && u1 < 16) {
        uint64_t entry = j2k_ht_encode_uvlc[!initial][u0 | u1 << 4];
        put_bits(&c->vlc, (uint32_t)entry, (unsigned)(entry >> 32));
        return;
    }
    bool both_large = initial && u0 > 2 && u1 > 2, short_second = initial && u0 > 2 && u1 && u1 <= 2;
    offset_code a = code_offset(both_large ? u0 - 2 : u0), b = code_offset(both_large ? u1 - 2 : u1);
    put_bits(&c->vlc, a.prefix, a.prefix_bits);
    if (short_second)
        put_bits(&c->vlc, u1 - 1, 1);
    else
        put_bits(&c->vlc, b.prefix, b.prefix_bits);
    put_bits(&c->vlc, a.suffix, a.suffix_bits);
    put_bits(&c->vlc, b.suffix, b.suffix_bits);
    put_bits(&c->vlc, a.extension, a.extension_bits);
    put_bits(&c->vlc, b.extension, b.extension_bits);
}

J2K_INLINE void put_quad_row(cleanup *c, unsigned y, bool wide) {
    bool initial = y == 0;
    uint8_t *above = c->e->exponents[(y / 2 + 1) & 1],
            *below = c->e->exponents[y / 2 & 1]; /* column x at [x + 1] */
    unsigned left = 0;
    for (unsigned x = 0; x < c->width; x += 4) {
        quad q[2];
        unsigned offset[2] = {0, 0};
        for (unsigned i = 0; i < 2 && x + 2 * i < c->width; i++) {
            unsigned column = x + 2 * i;
            load_quad(c, column, y, &q[i], wide);
            left = put_quad(c, initial, above + column, left, &q[i], wide);
            offset[i] = q[i].offset;
            below[column + 1] = (uint8_t)q[i].exponent[1];
            below[column + 2] = (uint8_t)q[i].exponent[3];
        }
        put_offsets(c, initial, offset[0], offset[1]);
    }
    below[0] = below[(c->width + 1) / 2 * 2 + 1] = 0;
}

/* The three streams together. */
static size_t join_streams(cleanup *c, uint8_t *out) {
    size_t magsgn_bits = bits_end(&c->magsgn, 0xFF), vlc_bits = bits_end(&c->vlc, 0);
    partial_byte rest, mel, vlc;
    uint8_t *end = stuff_forward(c->magsgn.start, magsgn_bits, out, &rest);
    if (rest.mask & 0x7F) { /* the rest is filled with ones, as a decoder does beyond the end */
        unsigned last = (rest.bits | ~rest.mask) & (rest.mask & 0x80 ? 0x7Fu : 0xFFu);
        *end++ = (uint8_t)last;
    }
    if (end > out && end[-1] == 0xFF)
        end--;
    mel = mel_end(&c->mel);
    uint8_t *vlc_end = c->e->reversed + sizeof c->e->reversed;
    *--vlc_end = 0xFF;
    uint8_t *vlc_start = stuff_backward(c->vlc.start, vlc_bits, vlc_end, 0xFF, &vlc);
    suffix_streams suffix = {c->e->mel, c->mel.out, vlc_start, vlc_end + 1, mel, vlc};
    return ht_put_suffix(&suffix, out, end);
}

J2K_INLINE size_t encode_cleanup(ht_encoder *e, unsigned width, unsigned height, unsigned shift, uint8_t *out,
                                 bool wide) {
    cleanup c = {.e = e, .width = width, .height = height, .shift = shift};
    c.mel = (mel_encoder){.out = e->mel, .free_bits = 8};
    bits_begin(&c.magsgn, wide ? e->wide->magsgn : e->magsgn);
    bits_begin(&c.vlc, e->vlc);
    put_bits(&c.vlc, 15, 4); /* the place of Scup's low bits */
    memset(e->exponents[1], 0, (size_t)width + 4);
    for (unsigned y = 0; y < height; y += 2)
        put_quad_row(&c, y, wide);
    return join_streams(&c, out);
}

size_t j2k_ht_encode_cleanup_c(ht_encoder *e, unsigned width, unsigned height, unsigned shift, uint8_t *out) {
    return encode_cleanup(e, width, height, shift, out, false);
}

static size_t encode_wide_cleanup(ht_encoder *e, unsigned width, unsigned height, unsigned shift,
                                  uint8_t *out) {
    return encode_cleanup(e, width, height, shift, out, true);
}

/* ---- refinement passes ---- */

/* What the passes of bit-plane `shift` need: significance by stripes of 4 rows, a nibble a column, as the
 * cleanup pass of the bit-plane above left it, and with what is found on the way. */
typedef struct refine {
    ht_encoder *e;
    unsigned width, height, shift;
    bool causal;
    size_t pitch;
    bit_sink significance, magnitude;
} refine;

static unsigned stripe_rows(const refine *r, unsigned y) {
    return r->height - y < 4 ? r->height - y : 4;
}

static unsigned bit_of(const refine *r, unsigned x, unsigned y) {
    return r->e->samples[y * r->width + x] >> r->shift & 1;
}

static void find_significant(refine *r) {
    uint8_t *cleanup_pass = r->e->nibbles[0];
    size_t size = ((r->height + 3u) / 4 + 2) * r->pitch;
    memset(cleanup_pass, 0, size);
    for (unsigned y = 0; y < r->height; y++) {
        uint8_t *row = cleanup_pass + (y / 4 + 1) * r->pitch + 1;
        for (unsigned x = 0; x < r->width; x++) {
            bool significant = (r->e->samples[y * r->width + x] & INT32_MAX) >> r->shift > 1;
            row[x] |= (uint8_t)((unsigned)significant << (y & 3));
        }
    }
    memcpy(r->e->nibbles[1], cleanup_pass, size);
}

/* Rows -1 to 4 of a stripe's column. */
static unsigned six_rows(const refine *r, const uint8_t *column) {
    unsigned below = r->causal ? 0 : column[r->pitch] & 1u;
    return column[-(ptrdiff_t)r->pitch] >> 3 | (unsigned)*column << 1 | below << 5;
}

/* A group of at most four columns of a stripe: significance, then the signs of what became significant. */
static void propagate_group(refine *r, unsigned x0, unsigned y0) {
    uint8_t *column = r->e->nibbles[1] + (y0 / 4 + 1) * r->pitch + x0 + 1;
    unsigned columns = r->width - x0 < 4 ? r->width - x0 : 4, rows = stripe_rows(r, y0);
    unsigned signs = 0, found = 0;
    for (unsigned i = 0; i < columns; i++, column++) {
        unsigned sides = six_rows(r, column - 1) | six_rows(r, column + 1), own = six_rows(r, column);
        for (unsigned j = 0; j < rows; j++) {
            if (own >> (j + 1) & 1 || !((sides | own) >> j & 7))
                continue;
            unsigned bit = bit_of(r, x0 + i, y0 + j);
            put_bits(&r->significance, bit, 1);
            own |= bit << (j + 1);
            if (bit)
                signs |= (r->e->samples[(y0 + j) * r->width + x0 + i] >> 31) << found++;
        }
        *column = own >> 1 & 15;
    }
    put_bits(&r->significance, signs, found);
}

static void refine_magnitudes(refine *r) {
    for (unsigned y0 = 0; y0 < r->height; y0 += 4) {
        const uint8_t *row = r->e->nibbles[0] + (y0 / 4 + 1) * r->pitch + 1;
        for (unsigned x = 0; x < r->width; x++)
            for (unsigned j = 0; row[x] >> j; j++)
                if (row[x] >> j & 1)
                    put_bits(&r->magnitude, bit_of(r, x, y0 + j), 1);
    }
}

/* Code both passes into one segment and return its size; *first is the size that the first pass needs. */
static size_t encode_refinement(ht_encoder *e, const encode_job *job, unsigned shift, uint8_t *out,
                                size_t *first) {
    refine r = {.e = e,
                .width = job->width,
                .height = job->height,
                .shift = shift,
                .causal = job->style & J2K_STYLE_CAUSAL,
                .pitch = job->width + 2u};
    find_significant(&r);
    bits_begin(&r.significance, e->magsgn);
    bits_begin(&r.magnitude, e->vlc);
    for (unsigned y = 0; y < job->height; y += 4)
        for (unsigned x = 0; x < job->width; x += 4)
            propagate_group(&r, x, y);
    refine_magnitudes(&r);
    partial_byte significance, magnitude;
    size_t significance_bits = bits_end(&r.significance, 0), magnitude_bits = bits_end(&r.magnitude, 0);
    uint8_t *end = stuff_forward(e->magsgn, significance_bits, out, &significance);
    uint8_t *reversed_end = e->reversed + sizeof e->reversed;
    uint8_t *start = stuff_backward(e->vlc, magnitude_bits, reversed_end, 0xFF, &magnitude);
    unsigned shared;
    if (can_share(significance, magnitude, &shared) && (significance.mask | magnitude.mask)) {
        *end++ = (uint8_t)shared;
    } else {
        if (significance.mask)
            *end++ = (uint8_t)significance.bits;
        if (magnitude.mask)
            *--start = (uint8_t)magnitude.bits;
    }
    *first = (size_t)(end - out);
    memcpy(end, start, (size_t)(reversed_end - start));
    return *first + (size_t)(reversed_end - start);
}

/* The same for wide samples: what the passes look at goes to the lowest bits of 32-bit ones. */
static size_t encode_wide_refinement(ht_encoder *e, const encode_job *job, unsigned shift, uint8_t *out,
                                     size_t *first) {
    for (size_t i = 0; i < (size_t)job->width * job->height; i++) {
        uint64_t magnitude = magnitude_at(e, i, true) >> shift;
        e->samples[i] =
            (uint32_t)(magnitude & 1) | (magnitude > 1 ? 2u : 0u) | (uint32_t)sign_at(e, i, true) << 31;
    }
    return encode_refinement(e, job, 0, out, first);
}

/* ---- distortion ---- */

/* The squared error that the passes of an HT set leave, in quantiser steps squared: after the cleanup pass,
 * after the significance propagation pass and after the magnitude refinement pass. `shift` is the cleanup
 * pass's, `fraction` that of bit-plane 0. Magnitudes and reconstructions are taken with one more fraction
 * bit, so that midpoints are integers. */
J2K_INLINE void measure_errors(const ht_encoder *e, const encode_job *job, unsigned shift, unsigned fraction,
                               double error[3], bool wide) {
    const bool exact = shift == fraction && !job->source.irreversible;
    const uint64_t half = exact ? 0 : UINT64_C(1) << shift, quarter = half / 2;
    const bool next_exact = shift == fraction + 1 && !job->source.irreversible;
    double sum[3] = {0, 0, 0};
    for (unsigned y = 0; y < job->height; y++) {
        const uint8_t *row = e->nibbles[1] + (y / 4 + 1) * (job->width + 2u) + 1;
        double part[3] = {0, 0, 0};
        for (unsigned x = 0; x < job->width; x++) {
            uint64_t magnitude = magnitude_at(e, (size_t)y * job->width + x, wide) * 2;
            uint64_t mu = magnitude >> (shift + 1), finer = shift ? magnitude >> shift : 0;
            bool found = job->ht.refine && shift > fraction && (row[x] >> (y & 3) & 1);
            double coarse =
                mu ? (double)((int64_t)magnitude - (int64_t)((mu << (shift + 1)) + half)) : (double)magnitude;
            double fine =
                (double)((int64_t)magnitude - (int64_t)((finer << shift) + (next_exact ? 0 : quarter)));
            part[0] += coarse * coarse;
            part[1] += found && !mu ? fine * fine : coarse * coarse;
            part[2] += found ? fine * fine : coarse * coarse;
        }
        for (unsigned i = 0; i < 3; i++)
            sum[i] += part[i];
    }
    for (unsigned i = 0; i < 3; i++)
        error[i] = ldexp(sum[i], -2 * (int)(fraction + 1));
}

/* ---- code-blocks ---- */

/* Bits below the binary point: as many as fit, up to what makes distortions exact to a percent. */
static unsigned fraction_bits(const encode_job *job, bool wide) {
    enum { WANTED = 5 };
    if (!job->source.irreversible || job->source.roi_shift)
        return 0;
    unsigned planes = job->num_bitplanes < MAX_BITPLANES ? job->num_bitplanes : MAX_BITPLANES;
    return planes + WANTED <= 31 || wide ? WANTED : 31U - planes;
}

static double block_energy(const ht_encoder *e, size_t count, unsigned fraction, bool wide) {
    double energy = 0;
    for (size_t i = 0; i < count; i++) {
        double magnitude = (double)magnitude_at(e, i, wide);
        energy += magnitude * magnitude;
    }
    return ldexp(energy, -2 * (int)fraction);
}

/* Quantise; *planes is how many bit-planes the samples have. */
static j2k_status load_block(ht_encoder *e, encode_job *job, unsigned fraction, unsigned *planes, bool wide) {
    RETURN_IF(!job->width || !job->height || job->width > 1024 || job->height > 1024 ||
                  (unsigned)job->width * job->height > MAX_BLOCK_SIZE,
              J2K_ERROR_INTERNAL);
    size_t count = (size_t)job->width * job->height;
    uint64_t all =
        wide ? j2k_quantise_block_wide(&job->source, job->width, job->height, fraction, e->wide->samples)
             : j2k_quantise_block(e->dsp, &job->source, job->width, job->height, fraction, e->samples,
                                  job->width);
    unsigned length = bit_length64(all);
    *planes = length > fraction ? length - fraction : 0;
    if (*planes > job->num_bitplanes) { /* see the Part 1 encoder */
        RETURN_IF(!job->source.irreversible, J2K_ERROR_UNSUPPORTED);
        *planes = job->num_bitplanes;
        uint64_t largest = (UINT64_C(1) << (*planes + fraction)) - 1, sign = ~(uint64_t)INT64_MAX;
        for (size_t i = 0; i < count; i++) {
            if (magnitude_at(e, i, wide) <= largest)
                continue;
            if (wide)
                e->wide->samples[i] = (e->wide->samples[i] & sign) | largest;
            else
                e->samples[i] = (e->samples[i] & 0x80000000) | (uint32_t)largest;
        }
    }
    RETURN_IF(*planes > (wide ? MAX_CODED_BITPLANES : MAX_BITPLANES), J2K_ERROR_UNSUPPORTED);
    return J2K_OK;
}

/* One HT set, appended to the block's data. */
static j2k_status encode_set(ht_encoder *e, const encode_job *job, unsigned plane, unsigned fraction,
                             coding_pass *passes, size_t *size, bool wide) {
    uint8_t *data = wide ? e->wide->data : e->data;
    size_t most = HT_MAX_REFINEMENT + (wide ? HT_MAX_WIDE_CLEANUP : HT_MAX_CLEANUP);
    RETURN_IF(*size + most > (wide ? HT_WIDE_DATA_CAPACITY : HT_DATA_CAPACITY), J2K_ERROR_INTERNAL);
    unsigned shift = plane + fraction;
    *size +=
        (wide ? encode_wide_cleanup : e->encode_cleanup)(e, job->width, job->height, shift, data + *size);
    const bool refine = job->ht.refine;
    const unsigned count = plane > job->ht.lowest || (plane && refine) ? 3 : 1;
    for (unsigned i = 0; i < count; i++)
        passes[i].length = (uint32_t)*size;
    if (!job->ht.measure)
        return J2K_OK;
    double error[3];
    if (refine && plane) {
        size_t first, both = (wide ? encode_wide_refinement : encode_refinement)(e, job, shift - 1,
                                                                                 data + *size, &first);
        passes[1].length = (uint32_t)(*size + first);
        passes[2].length = (uint32_t)(*size + both);
        *size += both;
    }
    if (wide)
        measure_errors(e, job, shift, fraction, error, true);
    else
        measure_errors(e, job, shift, fraction, error, false);
    for (unsigned i = 0; i < count; i++)
        passes[i].reduction = job->energy - error[refine ? i : 0];
    return J2K_OK;
}

static j2k_status begin_results(encode_job *job, unsigned planes, arena *out) {
    unsigned lowest = job->ht.lowest, coded = planes > lowest ? planes - lowest : 0;
    job->zero_bitplanes = (uint8_t)(job->num_bitplanes - planes);
    job->num_passes = coded ? (uint16_t)(3 * coded - 2) : 0;
    if (coded && lowest && job->ht.refine) /* the passes between the lowest bit-plane and the next */
        job->num_passes += 2;
    job->data = NULL;
    job->passes = NULL;
    if (coded)
        job->passes = ARENA_ALLOC_ZERO(out, coding_pass, job->num_passes);
    return coded && !job->passes ? J2K_ERROR_MEMORY : J2K_OK;
}

static j2k_status keep_data(const uint8_t *coded, encode_job *job, size_t size, arena *out) {
    uint8_t *data = ARENA_ALLOC(out, uint8_t, size);
    RETURN_IF(!data, J2K_ERROR_MEMORY);
    memcpy(data, coded, size);
    job->data = data;
    return J2K_OK;
}

/* ---- cleanup passes alone ---- */

enum { MOST_SETS = 4 };

/* Squared error of a code-block that is cut off below a bit-plane, and without any pass, in quantiser steps
 * squared.
 */
static void measure_cut(const ht_encoder *e, const encode_job *job, unsigned plane, double *energy,
                        double *error) {
    const block_source *source = &job->source;
    const float scale = ldexpf(source->irreversible ? source->inverse_step : 1, -(int)plane);
    const float half = plane || source->irreversible ? 0.5f : 0;
    cut_sums sums;
    memset(&sums, 0, sizeof sums);
    for (unsigned y = 0; y < job->height; y++) {
        if (source->irreversible)
            e->dsp->quant->cut_error_float((const float *)source->data + y * source->stride, scale, half,
                                           job->width, &sums);
        else
            e->dsp->quant->cut_error_int((const int32_t *)source->data + y * source->stride, scale, half,
                                         job->width, &sums);
    }
    *energy = *error = 0;
    for (unsigned i = 0; i < CUT_LANES; i++) {
        *energy += (double)sums.energy[i];
        *error += (double)sums.error[i];
    }
    *energy = ldexp(*energy, 2 * (int)plane);
    *error = ldexp(*error, 2 * (int)plane);
}

/* The cleanup pass of one bit-plane to e->data + at. *planes is what the block has in all, from this
 * bit-plane up. */
static j2k_status encode_plane(ht_encoder *e, encode_job *job, unsigned plane, size_t at, unsigned *planes,
                               size_t *size) {
    unsigned all;
    if (e->encode_direct && !job->source.roi_shift && !job->source.wide &&
        !(plane && job->source.irreversible) && e->encode_direct(e, job, plane, &all, e->data + at, size)) {
        *planes = all ? bit_length32(all) + plane : 0;
        return J2K_OK;
    }
    TRY(load_block(e, job, 0, planes, false));
    *size = *planes > plane ? e->encode_cleanup(e, job->width, job->height, plane, e->data + at) : 0;
    return J2K_OK;
}

/* Alternatives that are bit-planes' cleanup passes, nothing between them. */
static j2k_status encode_cleanups(ht_encoder *e, encode_job *job, arena *out) {
    unsigned sets = job->ht.sets > 1 ? job->ht.sets : 1, planes = 0;
    RETURN_IF(sets > MOST_SETS, J2K_ERROR_INTERNAL);
    size_t sizes[MOST_SETS], end = 0;
    for (unsigned i = sets; i-- > 0; end += sizes[i])
        TRY(encode_plane(e, job, job->ht.lowest + i, end, &planes, &sizes[i]));
    double error = 0;
    job->energy = 0;
    if (job->ht.measure)
        measure_cut(e, job, job->ht.lowest, &job->energy, &error);
    TRY(begin_results(job, planes, out));
    if (job->num_passes == 0)
        return J2K_OK;
    coding_pass *pass = &job->passes[job->num_passes - 1];
    *pass = (coding_pass){(uint32_t)end, job->energy - error};
    size_t before = end - sizes[0];
    for (unsigned i = 1; i < sets && sizes[i]; before -= sizes[i++]) {
        double energy;
        measure_cut(e, job, job->ht.lowest + i, &energy, &error);
        for (unsigned k = 0; k < 3; k++) /* its refinement passes are none */
            *--pass = (coding_pass){(uint32_t)before, job->energy - error};
    }
    return keep_data(e->data, job, end, out);
}

static j2k_status encode_block(ht_encoder *e, encode_job *job, arena *out) {
    const bool wide = j2k_block_is_wide(job);
    if (!job->ht.refine && !wide && !job->source.wide)
        return encode_cleanups(e, job, out);
    if (wide && !e->wide)
        e->wide = ARENA_ALLOC(e->memory, ht_wide_encoder, 1);
    RETURN_IF(wide && !e->wide, J2K_ERROR_MEMORY);
    unsigned fraction = job->ht.measure ? fraction_bits(job, wide) : 0, planes;
    TRY(load_block(e, job, fraction, &planes, wide));
    job->energy = job->ht.measure ? block_energy(e, (size_t)job->width * job->height, fraction, wide) : 0;
    TRY(begin_results(job, planes, out));
    if (job->num_passes == 0)
        return J2K_OK;
    size_t size = 0;
    unsigned end = job->ht.lowest + (job->ht.sets ? job->ht.sets : 1u);
    for (unsigned plane = planes; plane-- > job->ht.lowest;)
        if (plane < end)
            TRY(encode_set(e, job, plane, fraction, job->passes + 3 * (planes - 1 - plane), &size, wide));
    return keep_data(wide ? e->wide->data : e->data, job, size, out);
}

j2k_status j2k_ht_encode(ht_encoder *encoder, encode_job *jobs, size_t count, arena *out) {
    for (size_t i = 0; i < count; i++)
        TRY(encode_block(encoder, &jobs[i], out));
    return J2K_OK;
}
