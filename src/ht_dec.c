/* The HT block decoder: cleanup, significance propagation and magnitude refinement passes (T.814 clause 7).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "ht_dec.h"

#include <string.h>

#include "bitops.h"
#include "quant.h"

ht_decoder *j2k_ht_decoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    ht_decoder *decoder = ARENA_ALLOC(memory, ht_decoder, 1);
    if (!decoder)
        return NULL;
    decoder->dsp = dsp;
    decoder->lanes = NULL;
    decoder->wide = NULL;
    decoder->memory = memory;
#if defined(__GNUC__) && defined(__x86_64__)
    if (cpu & J2K_CPU_AVX512) {
        decoder->lanes = j2k_arena_alloc(memory, 1, j2k_ht_decode_workspace_avx512);
        if (!decoder->lanes)
            return NULL;
    }
#else
    (void)cpu;
#endif
    return decoder;
}

/* ---- bits ---- */

static uint64_t load_bits(const uint8_t *bytes) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) /* compilers make one load of it */
        bits |= (uint64_t)bytes[i] << 8 * i;
    return bits;
}

/* At least 57 bits from `position` on; beyond the end there is the padding. */
static uint64_t peek_bits(const bit_string *s, size_t position) {
    position = position < s->end ? position : s->end;
    return load_bits(s->bytes + position / 8) >> position % 8;
}

typedef struct bit_packer {
    uint8_t *out;
    uint64_t bits;
    unsigned count;
} bit_packer;

static void pack(bit_packer *p, unsigned bits, unsigned count) {
    p->bits |= (uint64_t)bits << p->count;
    p->count += count;
    if (p->count >= 8) {
        *p->out++ = (uint8_t)p->bits;
        p->bits >>= 8;
        p->count -= 8;
    }
}

static bit_string finish_bits(bit_packer *p, const uint8_t *start, unsigned padding) {
    bit_string s = {start, (size_t)(p->out - start) * 8 + p->count};
    *p->out = (uint8_t)(p->bits | (uint64_t)padding << p->count);
    memset(p->out + 1, (int)padding, 16);
    return s;
}

/* MagSgn and SigProp: after FF a byte has 7 bits (7.1.2, 7.1.5). */
static bit_string unstuff_forward(const uint8_t *in, size_t size, unsigned padding, uint8_t *out) {
    bit_packer p = {out, 0, 0};
    bool stuffed = false;
    for (size_t i = 0; i < size; i++) {
        pack(&p, stuffed ? in[i] & 0x7Fu : in[i], stuffed ? 7 : 8);
        stuffed = in[i] == 0xFF;
    }
    return finish_bits(&p, out, padding);
}

/* VLC and MagRef are read backwards: a byte whose low 7 bits are set has only these when the one behind it
 * exceeds 8F (7.1.4, 7.1.6). `last` is the one behind in[size - 1]. */
static void unstuff_backward(bit_packer *p, const uint8_t *in, size_t size, unsigned last) {
    while (size) {
        unsigned byte = in[--size];
        pack(p, byte & 0x7F, 7);
        if (!(last > 0x8F && (byte & 0x7F) == 0x7F))
            pack(p, byte >> 7, 1);
        last = byte;
    }
}

/* The VLC stream begins in the upper half of the byte that holds the low bits of Scup, as if its lower half
 * were set. */
static bit_string unstuff_vlc(const ht_set *set, uint8_t *out) {
    bit_packer p = {out, 0, 0};
    unsigned first = set->cleanup[set->cleanup_size - 2] | 0xFu;
    pack(&p, first >> 4, (first & 0x70) == 0x70 ? 3 : 4);
    unstuff_backward(&p, set->cleanup + (set->cleanup_size - set->suffix_size), set->suffix_size - 2, first);
    return finish_bits(&p, out, 0);
}

/* ---- MEL ---- */

static unsigned mel_event(mel_decoder *m) {
    while (!m->zeros && !m->one)
        ht_mel_next_run(m);
    if (m->zeros) {
        m->zeros--;
        return 0;
    }
    m->one = false;
    return 1;
}

/* ---- quads ---- */

typedef struct vlc_reader {
    bit_string string;
    size_t position;
    mel_decoder mel;
} vlc_reader;

/* CxtVLC of a quad (7.3.5). In context 0 a MEL event says whether there is anything significant. */
static uint32_t read_pattern(vlc_reader *v, unsigned context, const uint32_t *table, uint64_t *bits,
                             unsigned *used) {
    if (context == 0 && !mel_event(&v->mel))
        return 0;
    uint32_t entry = table[context << 7 | (*bits & 127)];
    *bits >>= entry >> HT_LENGTH;
    *used += entry >> HT_LENGTH;
    return entry;
}

static unsigned take(uint64_t *bits, unsigned count, unsigned *used) {
    unsigned value = (unsigned)(*bits & ((1u << count) - 1));
    *bits >>= count;
    *used += count;
    return value;
}

/* U-VLC prefix (table 3): value, and the length of the suffix. */
static unsigned read_prefix(uint64_t *bits, unsigned *used, unsigned *suffix) {
    static const struct {
        uint8_t value, length, suffix;
    } prefixes[8] = {{5, 3, 5}, {1, 1, 0}, {2, 2, 0}, {1, 1, 0}, {3, 3, 1}, {1, 1, 0}, {2, 2, 0}, {1, 1, 0}};
    unsigned index = (unsigned)(*bits & 7);
    take(bits, prefixes[index].length, used);
    *suffix = prefixes[index].suffix;
    return prefixes[index].value;
}

/* U-VLC of a pair of quads (7.3.6): prefixes, suffixes, extensions, each for the first quad and the second.
 */
static void read_offsets(vlc_reader *v, bool initial, const uint32_t entry[2], unsigned u[2], uint64_t bits,
                         unsigned *used) {
    unsigned suffix[2] = {0, 0}, extra = 0;
    bool both = (entry[0] & entry[1]) >> HT_U_OFF & 1;
    u[0] = u[1] = 0;
    if (initial && both && mel_event(&v->mel))
        extra = 2;
    if (entry[0] >> HT_U_OFF & 1)
        u[0] = read_prefix(&bits, used, &suffix[0]);
    if (initial && both && !extra && u[0] > 2) /* then the second one is 1 or 2 */
        u[1] = 1 + take(&bits, 1, used);
    else if (entry[1] >> HT_U_OFF & 1)
        u[1] = read_prefix(&bits, used, &suffix[1]);
    unsigned value[2];
    for (unsigned i = 0; i < 2; i++)
        value[i] = take(&bits, suffix[i], used);
    for (unsigned i = 0; i < 2; i++) {
        if (value[i] >= 28) /* only suffixes of 5 bits get there */
            value[i] += 4 * take(&bits, 4, used);
        u[i] += value[i] + (u[i] ? extra : 0);
    }
}

/* Significance patterns and exponent offsets of a quad-row. */
static void read_quads(ht_decoder *d, vlc_reader *v, bool initial, unsigned columns) {
    const uint32_t *table = j2k_ht_decode_cxtvlc[!initial];
    const uint8_t *above = d->patterns + 1;
    unsigned left = 0;
    d->patterns[columns + 1] = d->patterns[columns + 2] = 0;
    for (unsigned q = 0; q < columns; q += 2) {
        uint64_t bits = peek_bits(&v->string, v->position);
        uint32_t entry[2] = {0, 0};
        unsigned used = 0, u[2];
        for (unsigned i = 0; i < 2 && q + i < columns; i++) {
            unsigned context = left;
            if (!initial) { /* the samples above: lower right of the quad to the left, lower row, lower left
                             */
                unsigned upper_left = above[(int)(q + i) - 1], upper = above[q + i],
                         upper_right = above[q + i + 1];
                context |= (upper_left >> 3 | (upper >> 1 & 1)) | (upper >> 3 | (upper_right >> 1 & 1)) << 2;
            }
            entry[i] = read_pattern(v, context, table, &bits, &used);
            left = entry[i] >> HT_RIGHT & 7;
        }
        read_offsets(v, initial, entry, u, bits, &used);
        v->position += used;
        d->quads[q] = (entry[0] & ~255u) | u[0];
        d->quads[q + 1] = (entry[1] & ~255u) | u[1];
    }
    for (unsigned q = 0; q < columns; q++)
        d->patterns[q + 1] = d->quads[q] >> HT_RHO & 15;
}

/* ---- samples ---- */

/* Functions with an argument `wide` are compiled once for samples of 32 bits and once for those of 64; the
 * values of type int64_t and uint64_t in them have as many bits. */
typedef struct magsgn_reader {
    bit_string string;
    size_t position;
    unsigned plane, largest; /* bound of exponents: samples must fit 31 bits, wide 61 */
    int64_t half;            /* the midpoint's bit */
} magsgn_reader;

/* The sample n of a quad: 2 (mu - 1) + sign from its MagSgn bits (7.3.8). */
J2K_INLINE uint64_t read_magsgn(magsgn_reader *m, uint32_t quad, unsigned bound, unsigned n, bool wide) {
    unsigned count = bound - (quad >> (HT_KNOWN + n) & 1);
    uint64_t value = peek_bits(&m->string, m->position);
    if (wide && count > 32)
        value = (value & UINT32_MAX) | peek_bits(&m->string, m->position + 32) << 32;
    value &= (UINT64_C(1) << count) - 1;
    m->position += count;
    return value | (uint64_t)(quad >> (HT_ONES + n) & 1) << count;
}

/* The midpoint's bit of a sample whose last bit-plane is `plane` (see block.h). */
static int64_t midpoint(unsigned plane, bool irreversible) {
    return plane == 0 && !irreversible ? 0 : (int64_t)1 << plane;
}

J2K_INLINE int64_t make_sample(const magsgn_reader *m, uint64_t value, bool wide) {
    int64_t sample = (int64_t)(((value >> 1) + 1) << (m->plane + 1)) + m->half;
    if (!wide && sample > INT32_MAX)
        sample = INT32_MAX;
    return value & 1 ? -sample : sample;
}

/* Samples of a quad-row: `rows` of them are in the block. below: that of the decoder; samples: int32_t or
 * int64_t. */
J2K_INLINE bool read_samples_of(const ht_decoder *d, magsgn_reader *m, bool initial, unsigned width,
                                unsigned rows, void *all_below, void *samples, size_t stride, bool wide) {
    uint32_t *below = all_below;
    uint64_t *wide_below = all_below, upper_left = 0; /* of the quad-row above, which is overwritten */
    for (unsigned x = 0; x < width; x += 2) {
        uint32_t quad = d->quads[x / 2], u = quad & 255;
        uint64_t around = upper_left;
        around |= wide ? wide_below[x] | wide_below[x + 1] | wide_below[x + 2]
                       : below[x] | below[x + 1] | below[x + 2];
        unsigned bound = 1 + u;
        if (!initial && quad >> HT_MANY & 1 && around > 3) /* kappa: exponent of the largest around, less 1 */
            bound = bit_length64(around) - 1 + u;
        if (wide) {
            upper_left = wide_below[x + 1];
            wide_below[x] = wide_below[x + 1] = 0;
        } else {
            upper_left = below[x + 1];
            below[x] = below[x + 1] = 0;
        }
        if (bound > m->largest && quad >> HT_RHO & 15)
            return false;
        for (unsigned n = 0; n < 4; n++) {
            unsigned column = x + (n >> 1), row = n & 1;
            bool significant = quad >> (HT_RHO + n) & 1;
            uint64_t value = significant ? read_magsgn(m, quad, bound, n, wide) : 0;
            int64_t sample = significant ? make_sample(m, value, wide) : 0;
            if (column < width && row < rows && wide)
                ((int64_t *)samples)[row * stride + column] = sample;
            else if (column < width && row < rows)
                ((int32_t *)samples)[row * stride + column] = (int32_t)sample;
            if (row && significant && wide)
                wide_below[column] = value | 1;
            else if (row && significant)
                below[column] = (uint32_t)value | 1;
        }
    }
    return true;
}

static bool read_samples(ht_decoder *d, magsgn_reader *m, bool initial, unsigned width, unsigned rows,
                         int32_t *samples, size_t stride) {
    return read_samples_of(d, m, initial, width, rows, d->below + 2, samples, stride, false);
}

static bool read_wide_samples(ht_decoder *d, magsgn_reader *m, bool initial, unsigned width, unsigned rows,
                              int64_t *samples) {
    return read_samples_of(d, m, initial, width, rows, d->wide->below + 2, samples, width, true);
}

bool j2k_ht_decode_cleanup(ht_decoder *d, const ht_set *set, unsigned width, unsigned height,
                           bool irreversible, int32_t *samples, size_t stride) {
    unsigned columns = (width + 1) / 2;
    size_t prefix = set->cleanup_size - set->suffix_size;
    vlc_reader v = {.string = unstuff_vlc(set, d->vlc)};
    ht_mel_begin(&v.mel, set);
    magsgn_reader m = {
        .string =
            unstuff_forward(set->cleanup, prefix < HT_MAX_MAGSGN ? prefix : HT_MAX_MAGSGN, 0xFF, d->magsgn),
        .plane = set->plane,
        .largest = (set->may_be_wide ? MAX_BITPLANES : 31) - set->plane,
        .half = midpoint(set->plane, irreversible),
    };
    memset(d->patterns, 0, columns + 3);
    memset(d->below, 0, (2 * (size_t)columns + 4) * sizeof *d->below);
    for (unsigned y = 0; y < height; y += 2) {
        read_quads(d, &v, y == 0, columns);
        if (!read_samples(d, &m, y == 0, width, height - y < 2 ? 1 : 2, samples + y * stride, stride)) {
            for (; y < height; y++)
                memset(samples + y * stride, 0, width * sizeof *samples);
            return false;
        }
    }
    return true;
}

/* The same for samples of 64 bits, rows of `width`. */
static bool decode_wide_cleanup(ht_decoder *d, const ht_set *set, unsigned width, unsigned height,
                                bool irreversible) {
    ht_wide_decoder *wide = d->wide;
    unsigned columns = (width + 1) / 2;
    size_t prefix = set->cleanup_size - set->suffix_size;
    vlc_reader v = {.string = unstuff_vlc(set, d->vlc)};
    ht_mel_begin(&v.mel, set);
    magsgn_reader m = {
        .string = unstuff_forward(set->cleanup, prefix < HT_MAX_WIDE_MAGSGN ? prefix : HT_MAX_WIDE_MAGSGN,
                                  0xFF, wide->magsgn),
        .plane = set->plane,
        .largest = 61 - set->plane,
        .half = midpoint(set->plane, irreversible),
    };
    memset(d->patterns, 0, columns + 3);
    memset(wide->below, 0, (2 * (size_t)columns + 4) * sizeof *wide->below);
    for (unsigned y = 0; y < height; y += 2) {
        read_quads(d, &v, y == 0, columns);
        int64_t *samples = wide->samples + (size_t)y * width;
        if (!read_wide_samples(d, &m, y == 0, width, height - y < 2 ? 1 : 2, samples)) {
            memset(samples, 0, (size_t)(height - y) * width * sizeof *samples);
            return false;
        }
    }
    return true;
}

/* ---- refinement passes ---- */

typedef struct refinement {
    const ht_decoder *d;
    uint8_t *cleanup; /* nibble of column x in stripe s at [(s + 1) * pitch + x + 1] */
    uint8_t *now;     /* with those that the significance propagation pass adds */
    size_t pitch;
    unsigned width, height, plane; /* of these passes */
    int32_t half;
    bool causal;
    int32_t *samples;
    size_t stride;
} refinement;

static unsigned stripe_rows(const refinement *r, unsigned y) {
    return r->height - y < 4 ? r->height - y : 4;
}

static void find_significant(refinement *r) {
    size_t size = ((r->height + 3u) / 4 + 2) * r->pitch;
    memset(r->cleanup, 0, size);
    for (unsigned y = 0; y < r->height; y++) {
        uint8_t *row = r->cleanup + (y / 4 + 1) * r->pitch + 1;
        for (unsigned x = 0; x < r->width; x++)
            row[x] |= (uint8_t)((r->samples[y * r->stride + x] != 0) << (y & 3));
    }
    memcpy(r->now, r->cleanup, size);
}

/* Rows -1 to 4 of a stripe's column. */
static unsigned six_rows(const refinement *r, const uint8_t *column) {
    unsigned below = r->causal ? 0 : column[r->pitch] & 1u;
    return column[-(ptrdiff_t)r->pitch] >> 3 | (unsigned)*column << 1 | below << 5;
}

/* A group of at most four columns of a stripe: significance bits, then the signs of what became significant
 * (7.4). */
static void propagate_group(refinement *r, unsigned x0, unsigned y0, const bit_string *s, size_t *position) {
    uint8_t *column = r->now + (y0 / 4 + 1) * r->pitch + x0 + 1;
    unsigned columns = r->width - x0 < 4 ? r->width - x0 : 4, rows = stripe_rows(r, y0), found = 0;
    uint64_t bits = peek_bits(s, *position);
    unsigned used = 0;
    for (unsigned i = 0; i < columns; i++, column++) {
        unsigned sides = six_rows(r, column - 1) | six_rows(r, column + 1), own = six_rows(r, column);
        for (unsigned j = 0; j < rows; j++) {
            if (own >> (j + 1) & 1 || !((sides | own) >> j & 7))
                continue;
            unsigned bit = take(&bits, 1, &used);
            own |= bit << (j + 1);
            found |= bit << (4 * i + j);
        }
        *column = own >> 1 & 15;
    }
    for (unsigned k = 0; found >> k; k++) {
        if (!(found >> k & 1))
            continue;
        int32_t sample = (int32_t)(2u << r->plane) + r->half;
        r->samples[(y0 + (k & 3)) * r->stride + x0 + (k >> 2)] = take(&bits, 1, &used) ? -sample : sample;
    }
    *position += used;
}

/* One more bit of each sample that was significant after the cleanup pass (7.5). */
static void refine_magnitudes(refinement *r, const bit_string *s) {
    size_t position = 0;
    for (unsigned y0 = 0; y0 < r->height; y0 += 4) {
        const uint8_t *row = r->cleanup + (y0 / 4 + 1) * r->pitch + 1;
        for (unsigned x = 0; x < r->width; x++) {
            unsigned nibble = row[x], bits = (unsigned)peek_bits(s, position);
            for (unsigned j = 0; nibble >> j; j++) {
                if (!(nibble >> j & 1))
                    continue;
                /* The midpoint of the plane above goes, its bit and the new midpoint come. */
                int32_t change = r->half - (bits & 1 ? 0 : (int32_t)(2u << r->plane));
                int32_t *sample = &r->samples[(y0 + j) * r->stride + x];
                *sample = wrap_add(*sample, *sample < 0 ? -change : change);
                bits >>= 1;
                position++;
            }
        }
    }
}

static void decode_refinement(ht_decoder *d, const ht_set *set, const decode_job *job, int32_t *samples,
                              size_t stride) {
    refinement r = {
        .cleanup = d->cleanup_nibbles,
        .now = d->nibbles,
        .pitch = job->width + 2u,
        .width = job->width,
        .height = job->height,
        .plane = set->plane - 1,
        .half = (int32_t)midpoint(set->plane - 1, job->sink.irreversible),
        .causal = job->style & J2K_STYLE_CAUSAL,
        .samples = samples,
        .stride = stride,
    };
    find_significant(&r);
    uint32_t size = set->refinement_size;
    bit_string s =
        unstuff_forward(set->refinement, size < HT_MAX_SIGPROP ? size : HT_MAX_SIGPROP, 0, d->refinement);
    size_t position = 0;
    for (unsigned y = 0; y < job->height; y += 4)
        for (unsigned x = 0; x < job->width; x += 4)
            propagate_group(&r, x, y, &s, &position);
    if (set->refinements < 2)
        return;
    bit_packer p = {d->refinement, 0, 0};
    uint32_t used = size < HT_MAX_MAGREF ? size : HT_MAX_MAGREF;
    if (used)
        unstuff_backward(&p, set->refinement + (size - used), used, 0xFF);
    s = finish_bits(&p, d->refinement, 0);
    refine_magnitudes(&r, &s);
}

/* The same for samples of 64 bits. Since a pass changes a sample by its bit and the midpoint alone, it is
 * made on stand-ins of 32 bits, as if it were that of the lowest bit-plane of the irreversible path. */
static void decode_wide_refinement(ht_decoder *d, const ht_set *set, const decode_job *job) {
    enum { KEPT = 8, BIT = 2, HALF = 1 };
    const size_t count = (size_t)job->width * job->height;
    const int64_t bit = (int64_t)2 << (set->plane - 1);
    const int64_t half = midpoint(set->plane - 1, job->sink.irreversible);
    int64_t *samples = d->wide->samples;
    int32_t *small = d->samples[0];
    ht_set lowest = *set;
    decode_job real = *job;
    lowest.plane = 1;
    real.sink.irreversible = true;
    for (size_t i = 0; i < count; i++)
        small[i] = samples[i] < 0 ? -KEPT : samples[i] > 0 ? KEPT : 0;
    decode_refinement(d, &lowest, &real, small, job->width);
    for (size_t i = 0; i < count; i++) {
        int32_t size = small[i] < 0 ? -small[i] : small[i];
        int64_t change = size == BIT + HALF ? bit + half : size == KEPT + HALF ? half : 0;
        if (size == KEPT + HALF - BIT)
            change = half - bit;
        samples[i] += small[i] < 0 ? -change : change;
    }
}

/* ---- codeword segments ---- */

typedef struct chunk_cursor {
    const data_chunk *chunk;
    uint32_t offset;
} chunk_cursor;

/* The next `size` bytes, copied when they came in pieces. NULL when there are fewer, or too many pieces. */
static const uint8_t *next_bytes(chunk_cursor *cursor, uint32_t size, uint8_t *copy, bool *in_pieces) {
    const uint8_t *whole = NULL;
    for (uint32_t done = 0; done < size;) {
        const data_chunk *chunk = cursor->chunk;
        if (!chunk)
            return NULL;
        uint32_t part = chunk->size - cursor->offset;
        if (part > size - done)
            part = size - done;
        if (part == size) {
            whole = chunk->data + cursor->offset;
        } else {
            if (size > HT_MAX_SEGMENT)
                return NULL;
            memcpy(copy + done, chunk->data + cursor->offset, part);
            whole = copy;
            *in_pieces = true;
        }
        done += part;
        cursor->offset += part;
        if (cursor->offset == chunk->size) {
            cursor->chunk = chunk->next;
            cursor->offset = 0;
        }
    }
    return whole;
}

/* Scup (7.1.1) from the last two bytes of a cleanup segment, or 0 when the segment is impossible. */
static uint32_t read_suffix_size(const uint8_t *cleanup, uint32_t size) {
    uint32_t suffix = cleanup[size - 1] * 16u + (cleanup[size - 2] & 15u);
    return suffix >= 2 && suffix <= size && suffix <= HT_MAX_SUFFIX ? suffix : 0;
}

/* Find the last HT set that has a cleanup segment: each set says anew all that the one before it says. Sets
 * without data are placeholders for bit-planes that are left out (B.2). False when a segment contradicts
 * itself. */
static bool find_set(ht_decoder *d, const decode_job *job, ht_set *set) {
    chunk_cursor cursor = {job->chunks, 0};
    unsigned pass = 0;
    memset(set, 0, sizeof *set);
    for (const codeword_segment *seg = job->segments; seg; seg = seg->next) {
        unsigned last = pass + seg->num_passes - 1, first = pass;
        if (!seg->num_passes)
            continue;
        pass += seg->num_passes;
        if (seg->size == 0) { /* refinement passes may be without data, which then read as 0 */
            if (first % 3 && set->cleanup_size)
                set->refinements = last % 3;
            continue;
        }
        bool is_cleanup = last % 3 == 0;
        const uint8_t *data = next_bytes(&cursor, seg->size, d->pieces[!is_cleanup], &set->in_pieces);
        if (!data)
            return false;
        if (!is_cleanup) {
            if (first % 3 == 0 || !set->cleanup_size)
                return false; /* refinement of nothing */
            set->refinement = data;
            set->refinement_size = seg->size;
            set->refinements = last % 3;
            continue;
        }
        if (seg->size < 2 || last / 3 >= job->num_bitplanes)
            return false;
        set->cleanup = data;
        set->cleanup_size = seg->size;
        set->suffix_size = read_suffix_size(data, seg->size);
        set->plane = job->num_bitplanes - 1 - last / 3;
        set->refinements = 0;
        set->refinement_size = 0;
        if (!set->suffix_size) {
            set->cleanup_size = 0;
            return false;
        }
    }
    return true;
}

/* Find what to decode of a job; a block without anything is stored as zeros. */
static j2k_status prepare_block(ht_decoder *d, decode_job *job, ht_set *set, bool *found) {
    job->sound = find_set(d, job, set);
    job->decoded_passes = 0;
    *found = set->cleanup_size != 0;
    if (!*found)
        j2k_zero_block(&job->sink);
    set->may_be_wide = job->most_bitplanes > MAX_BITPLANES;
    if (*found && set->may_be_wide && !d->wide)
        d->wide = ARENA_ALLOC(d->memory, ht_wide_decoder, 1);
    RETURN_IF(*found && set->may_be_wide && !d->wide, J2K_ERROR_MEMORY);
    RETURN_IF(*found && set->plane > (set->may_be_wide ? MAX_WIDE_BITPLANES : MAX_BITPLANES),
              J2K_ERROR_UNSUPPORTED);
    return J2K_OK;
}

/* What is left to do when the cleanup pass is decoded. */
static void finish_block(ht_decoder *d, decode_job *job, const ht_set *set, bool sound, int32_t *samples,
                         size_t stride) {
    job->decoded_passes = (uint16_t)(3 * (job->num_bitplanes - 1u - set->plane) + 1);
    if (!sound) {
        job->sound = false;
    } else if (set->refinements) {
        if (set->plane == 0) { /* no bit-plane is left to refine */
            job->sound = false;
        } else {
            decode_refinement(d, set, job, samples, stride);
            job->decoded_passes = (uint16_t)(job->decoded_passes + set->refinements);
        }
    }
    j2k_dequantise_block(d->dsp, &job->sink, samples, (ptrdiff_t)stride);
}

static void decode_wide(ht_decoder *d, decode_job *job, const ht_set *set) {
    bool sound = decode_wide_cleanup(d, set, job->width, job->height, job->sink.irreversible);
    job->decoded_passes = (uint16_t)(3 * (job->num_bitplanes - 1u - set->plane) + 1);
    if (sound && set->refinements) {
        sound = set->plane != 0;
        if (sound) {
            decode_wide_refinement(d, set, job);
            job->decoded_passes = (uint16_t)(job->decoded_passes + set->refinements);
        }
    }
    job->sound = job->sound && sound;
    j2k_dequantise_block_wide(&job->sink, d->wide->samples, job->width);
}

static void decode_alone(ht_decoder *d, decode_job *job, const ht_set *set) {
    bool sound = set->plane <= MAX_BITPLANES &&
                 j2k_ht_decode_cleanup(d, set, job->width, job->height, job->sink.irreversible, d->samples[0],
                                       job->width);
    if (!sound && set->may_be_wide)
        decode_wide(d, job, set);
    else
        finish_block(d, job, set, sound, d->samples[0], job->width);
}

#if defined(__GNUC__) && defined(__x86_64__)
/* Blocks that lanes can decode; the others have to be decoded in plain C. */
static bool lanes_take(const decode_job *job, const ht_set *set) {
    return job->width <= 64 && job->height <= 64 && set->plane <= 14;
}

static void decode_lanes(ht_decoder *d, decode_job *const *jobs, const ht_lane_block *blocks,
                         unsigned count) {
    if (count < HT_FEW_LANES) {
        for (unsigned i = 0; i < count; i++)
            decode_alone(d, jobs[i], blocks[i].set);
        return;
    }
    j2k_ht_lanes_read_quads_avx512(d->lanes, blocks, count);
    for (unsigned i = 0, n; i < count; i += n) {
        int32_t *samples[2] = {d->samples[0], d->samples[1]};
        bool done[2];
        n = j2k_ht_lanes_read_samples_avx512(d->lanes, i, count, samples, done);
        for (unsigned k = 0; k < n; k++)
            if (done[k])
                finish_block(d, jobs[i + k], blocks[i + k].set, true, samples[k], 64);
        for (unsigned k = 0; k < n; k++) /* this overwrites samples */
            if (!done[k])
                decode_alone(d, jobs[i + k], blocks[i + k].set);
    }
}

static j2k_status decode_many(ht_decoder *d, decode_job *jobs, size_t count) {
    ht_set sets[HT_MAX_LANES];
    ht_lane_block blocks[HT_MAX_LANES];
    decode_job *waiting[HT_MAX_LANES];
    unsigned n = 0;
    for (size_t i = 0; i < count; i++) {
        ht_set set;
        bool found;
        TRY(prepare_block(d, &jobs[i], &set, &found));
        if (!found)
            continue;
        /* Segments in pieces are in a buffer that the next block is going to use. */
        if (!lanes_take(&jobs[i], &set) || set.in_pieces) {
            decode_alone(d, &jobs[i], &set);
            continue;
        }
        sets[n] = set;
        waiting[n] = &jobs[i];
        blocks[n] = (ht_lane_block){&sets[n], jobs[i].width, jobs[i].height,
                                    (int32_t)midpoint(set.plane, jobs[i].sink.irreversible)};
        if (++n == HT_MAX_LANES) {
            decode_lanes(d, waiting, blocks, n);
            n = 0;
        }
    }
    decode_lanes(d, waiting, blocks, n);
    return J2K_OK;
}
#endif

j2k_status j2k_ht_decode(ht_decoder *decoder, decode_job *jobs, size_t count) {
#if defined(__GNUC__) && defined(__x86_64__)
    if (decoder->lanes && count >= HT_FEW_LANES)
        return decode_many(decoder, jobs, count);
#endif
    for (size_t i = 0; i < count; i++) {
        ht_set set;
        bool found;
        TRY(prepare_block(decoder, &jobs[i], &set, &found));
        if (found)
            decode_alone(decoder, &jobs[i], &set);
    }
    return J2K_OK;
}
