/* The Part 1 block encoder: coding passes, codeword segments, and what each pass costs and gains.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "bitops.h"
#include "ebcot_enc.h"
#include "quant.h"

/* A code-block's bytes before they are copied to the caller's arena: far more than 30 bit-planes can fill
 * (about 2 bits for each of 4096 * 32 decisions); the check before every pass needs room for the worst case
 * of one pass on top. */
enum { DATA_CAPACITY = 128 * 1024 };

struct ebcot_encoder {
    const dsp_kernels *dsp;
    unsigned cpu;
    ebcot_block block;
    mq_encoder mq;
    mq_mark marks[MAX_PASSES];
    uint64_t significant[MAX_BORDERED_WORDS], negative[MAX_BORDERED_WORDS];
    uint64_t visited[MAX_WORDS], refined[MAX_WORDS], valid[MAX_WORDS];
    uint64_t bits[MAX_BITPLANES * MAX_WORDS];
    uint32_t magnitudes[MAX_WORDS * WORD_SAMPLES];
    uint32_t samples[MAX_BLOCK_SIZE + 64];
    uint8_t symbols[MAX_PASS_SYMBOLS + SYMBOL_SLACK];
    uint8_t data[DATA_CAPACITY + 1]; /* one byte in front of the first segment */
};

ebcot_encoder *j2k_ebcot_encoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    ebcot_encoder *encoder = ARENA_ALLOC(memory, ebcot_encoder, 1);
    if (!encoder)
        return NULL;
    encoder->dsp = dsp;
    encoder->cpu = cpu;
    ebcot_block *block = &encoder->block;
    memset(block, 0, sizeof *block);
    block->significant = encoder->significant;
    block->negative = encoder->negative;
    block->visited = encoder->visited;
    block->refined = encoder->refined;
    block->valid = encoder->valid;
    block->bits = encoder->bits;
    block->magnitudes = encoder->magnitudes;
    encoder->data[0] = 0;
    return encoder;
}

/* ---- loading ---- */

/* Transpose 32 x 32 bits: bit i of word k becomes bit k of word i. */
static void transpose32(uint32_t words[32]) {
    uint32_t mask = 0x0000FFFF;
    for (unsigned step = 16; step; step /= 2, mask ^= mask << step)
        for (unsigned k = 0; k < 32; k = (k + step + 1) & ~step) {
            uint32_t t = (words[k] >> step ^ words[k + step]) & mask;
            words[k] ^= t << step;
            words[k + step] ^= t;
        }
}

/* One word: magnitudes in scan order, signs, and the samples inside the block. */
static void load_word(ebcot_block *block, const uint32_t *samples, size_t stride, unsigned rows,
                      unsigned columns, size_t index, size_t bordered) {
    uint32_t *magnitudes = block->magnitudes + index * WORD_SAMPLES;
    uint64_t negative = 0, valid = 0;
    if (rows < 4 || columns < WORD_COLUMNS)
        memset(magnitudes, 0, WORD_SAMPLES * sizeof *magnitudes);
    for (unsigned r = 0; r < rows; r++) {
        const uint32_t *row = samples + r * stride;
        for (unsigned c = 0; c < columns; c++) {
            magnitudes[4 * c + r] = row[c] & 0x7FFFFFFF;
            negative |= (uint64_t)(row[c] >> 31) << (4 * c + r);
        }
        valid |= UINT64_C(0x1111111111111111) << r;
    }
    if (columns < WORD_COLUMNS)
        valid &= (UINT64_C(1) << 4 * columns) - 1;
    block->negative[bordered] = negative;
    block->valid[index] = valid;
    uint32_t planes[WORD_SAMPLES];
    for (unsigned i = 0; i < WORD_SAMPLES; i++)
        planes[i] = magnitudes[i] >> block->fraction_bits;
    transpose32(planes);
    transpose32(planes + 32);
    size_t plane_words = (size_t)block->stripes * block->words;
    for (unsigned p = 0; p < block->planes; p++)
        block->bits[p * plane_words + index] = planes[p] | (uint64_t)planes[32 + p] << 32;
}

void j2k_ebcot_load(ebcot_block *block, const uint32_t *samples, size_t stride) {
    size_t bordered_words = (size_t)(block->stripes + 2) * block->pitch;
    size_t plane_words = (size_t)block->stripes * block->words;
    memset(block->significant, 0, bordered_words * sizeof *block->significant);
    memset(block->negative, 0, bordered_words * sizeof *block->negative);
    memset(block->visited, 0, plane_words * sizeof *block->visited);
    memset(block->refined, 0, plane_words * sizeof *block->refined);
    for (unsigned s = 0; s < block->stripes; s++) {
        unsigned rows = block->height - 4 * s < 4 ? block->height - 4 * s : 4;
        for (unsigned k = 0; k < block->words; k++) {
            unsigned left = block->width - WORD_COLUMNS * k;
            load_word(block, samples + 4 * s * stride + WORD_COLUMNS * k, stride, rows,
                      left < WORD_COLUMNS ? left : WORD_COLUMNS, (size_t)s * block->words + k,
                      (size_t)(s + 1) * block->pitch + k + 1);
        }
    }
}

/* Bits below the binary point: enough for distortions to be exact to a percent, and none that could push the
 * magnitude bits out of 31. They are none with a region of interest, whose shift would make them magnitude
 * bits. */
static unsigned fraction_bits(const encode_job *job) {
    enum { WANTED = 7 };
    if (!job->source.irreversible || job->source.roi_shift || job->num_bitplanes >= 31)
        return 0;
    return job->num_bitplanes + WANTED <= 31 ? WANTED : 31U - job->num_bitplanes;
}

/* Quantise and load a job's samples. block->planes is 0 when all are. */
static j2k_status load_block(ebcot_encoder *encoder, const encode_job *job) {
    ebcot_block *block = &encoder->block;
    RETURN_IF(!job->width || !job->height || job->width > 1024 || job->height > 1024 ||
                  (unsigned)job->width * job->height > MAX_BLOCK_SIZE,
              J2K_ERROR_INTERNAL);
    unsigned fraction = fraction_bits(job);
    uint32_t all = j2k_quantise_block(encoder->dsp, &job->source, job->width, job->height, fraction,
                                      encoder->samples, job->width);
    unsigned length = bit_length32(all);
    block->planes = length > fraction ? length - fraction : 0;
    if (block->planes > job->num_bitplanes) {
        /* More than the guard bits allow for: exact coding is impossible, and the nearest that can be said of
         * a real number is the largest magnitude. */
        RETURN_IF(!job->source.irreversible, J2K_ERROR_UNSUPPORTED);
        block->planes = job->num_bitplanes;
        uint32_t largest = (uint32_t)((UINT64_C(1) << (block->planes + fraction)) - 1);
        for (unsigned i = 0; i < (unsigned)job->width * job->height; i++) {
            uint32_t sample = encoder->samples[i], magnitude = sample & 0x7FFFFFFF;
            encoder->samples[i] = (sample & 0x80000000) | (magnitude < largest ? magnitude : largest);
        }
    }
    RETURN_IF(block->planes > MAX_BITPLANES, J2K_ERROR_UNSUPPORTED);
    if (block->planes == 0)
        return J2K_OK;
    block->width = job->width;
    block->height = job->height;
    block->words = (job->width + WORD_COLUMNS - 1U) / WORD_COLUMNS;
    block->stripes = (job->height + 3U) / 4;
    block->pitch = block->words + 2;
    block->fraction_bits = fraction;
    block->orientation = job->orientation;
    block->style = job->style;
    j2k_ebcot_load(block, encoder->samples, job->width);
    return J2K_OK;
}

/* ---- raw segments ---- */

/* Bits packed from the top of each byte; after FF the top bit of the next byte is 0 (D.6). */
typedef struct raw_writer {
    uint8_t *next;
    unsigned byte, free_bits;
} raw_writer;

static void raw_begin(raw_writer *raw, uint8_t *start) {
    raw->next = start;
    raw->byte = 0;
    raw->free_bits = 8;
}

static void raw_encode(raw_writer *raw, const uint8_t *symbols, size_t count) {
    uint8_t *next = raw->next;
    unsigned byte = raw->byte, free_bits = raw->free_bits;
    for (const uint8_t *end = symbols + count; symbols < end; symbols++) {
        byte = byte << 1 | *symbols >> MQ_DECISION_SHIFT;
        if (--free_bits == 0) {
            *next++ = (uint8_t)byte;
            free_bits = byte == 0xFF ? 7 : 8;
            byte = 0;
        }
    }
    raw->next = next;
    raw->byte = byte;
    raw->free_bits = free_bits;
}

/* Bytes that hold everything so far, the started one included. */
static size_t raw_length(const raw_writer *raw, const uint8_t *segment) {
    bool started =
        raw->free_bits < 7 || (raw->free_bits == 7 && (raw->next == segment || raw->next[-1] != 0xFF));
    return (size_t)(raw->next - segment) + started;
}

/* End a segment: the rest of the last byte is filled with 0 1 0 1..., as predictable termination wants. A
 * last byte of FF is not allowed; a decoder supplies it itself, but predictable termination says what follows
 * it.
 */
static uint8_t *raw_flush(raw_writer *raw, const uint8_t *segment, bool predictable) {
    bool after_ff = raw->next > segment && raw->next[-1] == 0xFF;
    bool started = raw_length(raw, segment) > (size_t)(raw->next - segment);
    if (!started && !after_ff)
        return raw->next;
    if (!started && !predictable)
        return raw->next - 1;
    unsigned byte = raw->byte;
    for (unsigned bit = 0; raw->free_bits; raw->free_bits--, bit ^= 1)
        byte = byte << 1 | bit;
    *raw->next++ = (uint8_t)byte;
    return raw->next;
}

/* ---- passes ---- */

/* A codeword segment in the making. */
typedef struct segment {
    uint8_t *start;
    unsigned first_pass;
    bool raw;
    raw_writer raw_bits;
} segment;

static uint8_t *make_symbols(ebcot_block *block, unsigned pass, bool raw, uint8_t *out, pass_sums *sums) {
    unsigned plane = block->planes - 1 - (pass + 2) / 3;
    switch ((pass + 2) % 3) {
    case PASS_SIGNIFICANCE:
        return j2k_ebcot_significance(block, plane, raw, out, sums);
    case PASS_REFINEMENT:
        return j2k_ebcot_refinement(block, plane, out, sums);
    default:
        return j2k_ebcot_cleanup(block, plane, out, sums);
    }
}

/* The squared error that a pass removes, in quantiser steps squared. Sums are integers and scales powers of
 * two, so that nothing is rounded. Planes below a region of interest's shift hold only zeros. */
static double pass_reduction(const ebcot_block *block, const block_source *source, unsigned pass,
                             const pass_sums *sums) {
    unsigned plane = block->planes - 1 - (pass + 2) / 3, roi_shift = source->roi_shift;
    if (plane < roi_shift)
        return 0;
    int64_t distortion = sums->distortion;
    unsigned b = plane + block->fraction_bits;
    /* The last bit-plane makes integers exact: the half step that midpoints are off is removed as well. */
    if (!source->irreversible && plane == roi_shift)
        distortion += (int64_t)sums->coded << b;
    return ldexp((double)distortion, 2 * (int)(plane - roi_shift) - (int)b - 2);
}

/* Terminate the segment and enter the lengths of its passes. Returns its end, where the next one starts. */
static uint8_t *end_segment(ebcot_encoder *encoder, segment *seg, unsigned last_pass, coding_pass *passes) {
    bool predictable = encoder->block.style & J2K_STYLE_PTERM;
    uint8_t *end;
    if (seg->raw)
        end = raw_flush(&seg->raw_bits, seg->start, predictable);
    else
        end = predictable ? j2k_mq_flush_predictable(&encoder->mq) : j2k_mq_flush(&encoder->mq);
    uint32_t offset = (uint32_t)(seg->start - encoder->data) - 1;
    size_t full = (size_t)(end - seg->start), length = 0;
    for (unsigned pass = seg->first_pass; pass <= last_pass; pass++) {
        const mq_mark *mark = &encoder->marks[pass];
        size_t needed;
        if (predictable && pass == last_pass) {
            needed = full;
        } else if (seg->raw) {
            needed = mark->bytes < full ? mark->bytes : full;
            while (needed && seg->start[needed - 1] == 0xFF)
                needed--;
        } else {
            needed = j2k_mq_truncate(seg->start, full, mark);
        }
        if (needed > length)
            length = needed;
        passes[pass].length = offset + (uint32_t)length;
    }
    return seg->start + length;
}

/* Code all passes into encoder->data. */
static j2k_status encode_passes(ebcot_encoder *encoder, const encode_job *job, coding_pass *passes,
                                unsigned num_passes) {
    ebcot_block *block = &encoder->block;
    mq_encoder *mq = &encoder->mq;
    segment seg = {encoder->data + 1, 0, false, {NULL, 0, 0}};
    uint8_t *end = encoder->data + sizeof encoder->data;
    double reduction = 0;
    bool open = false;
    for (unsigned pass = 0; pass < num_passes; pass++) {
        if (!open) {
            seg.first_pass = pass;
            seg.raw = ebcot_pass_is_raw(block->style, pass);
            if (seg.raw)
                raw_begin(&seg.raw_bits, seg.start);
            else
                j2k_mq_begin(mq, seg.start);
        }
        if (pass == 0 || (block->style & J2K_STYLE_RESET))
            j2k_mq_set_contexts(mq, j2k_initial_states, NUM_CONTEXTS);
        pass_sums sums = {0, 0};
        uint8_t *symbols_end = make_symbols(block, pass, seg.raw, encoder->symbols, &sums);
        size_t count = (size_t)(symbols_end - encoder->symbols);
        const uint8_t *next = seg.raw ? seg.raw_bits.next : mq->next;
        RETURN_IF((size_t)(end - next) < MQ_BYTES_BOUND(count), J2K_ERROR_INTERNAL);
        if (seg.raw) {
            raw_encode(&seg.raw_bits, encoder->symbols, count);
            encoder->marks[pass].bytes = (uint32_t)raw_length(&seg.raw_bits, seg.start);
        } else {
            j2k_mq_encode(mq, encoder->symbols, count);
            j2k_mq_get_mark(mq, seg.start, &encoder->marks[pass]);
        }
        reduction += pass_reduction(block, &job->source, pass, &sums);
        passes[pass].reduction = reduction;
        open = !ebcot_pass_terminates(block->style, pass) && pass + 1 < num_passes;
        if (!open)
            seg.start = end_segment(encoder, &seg, pass, passes);
    }
    return J2K_OK;
}

static j2k_status encode_block(ebcot_encoder *encoder, encode_job *job, arena *out) {
    TRY(load_block(encoder, job));
    unsigned planes = encoder->block.planes;
    job->zero_bitplanes = (uint8_t)(job->num_bitplanes - planes);
    job->num_passes = planes ? (uint16_t)(3 * planes - 2) : 0;
    job->passes = NULL;
    job->data = NULL;
    if (planes == 0)
        return J2K_OK;
    coding_pass *passes = ARENA_ALLOC(out, coding_pass, job->num_passes);
    RETURN_IF(!passes, J2K_ERROR_MEMORY);
    TRY(encode_passes(encoder, job, passes, job->num_passes));
    uint32_t size = passes[job->num_passes - 1].length;
    uint8_t *data = ARENA_ALLOC(out, uint8_t, size);
    RETURN_IF(!data, J2K_ERROR_MEMORY);
    memcpy(data, encoder->data + 1, size);
    job->passes = passes;
    job->data = data;
    return J2K_OK;
}

j2k_status j2k_ebcot_encode(ebcot_encoder *encoder, encode_job *jobs, size_t count, arena *out) {
    for (size_t i = 0; i < count; i++)
        TRY(encode_block(encoder, &jobs[i], out));
    return J2K_OK;
}
