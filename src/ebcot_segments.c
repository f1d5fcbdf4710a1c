/* What becomes of a code-block's symbols: codeword segments, and what each pass needs and removes.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "bitops.h"
#include "ebcot_enc.h"
#include "quant.h"

/* ---- loading ---- */

/* Bits below the binary point: enough for distortions to be exact to a percent, and none that could push
 * the magnitude bits out of 31. They are none with a region of interest, whose shift would make them
 * magnitude bits. */
static unsigned fraction_bits(const encode_job *job) {
    enum { WANTED = 7 };
    unsigned planes = job->num_bitplanes < MAX_BITPLANES ? job->num_bitplanes : MAX_BITPLANES;
    if (!job->source.irreversible || job->source.roi_shift)
        return 0;
    return planes + WANTED <= 31 ? WANTED : 31U - planes;
}

/* Sum of squared magnitudes of at most `length` bits, in units of 2^shift squared. Integers wherever they
 * cannot overflow: their sum does not depend on the order. */
static double block_energy(const uint32_t *samples, size_t count, unsigned length, unsigned shift) {
    double energy = 0;
    if (length <= 26) {
        uint64_t sum = 0; /* 2^12 samples of less than 2^52 */
        for (size_t i = 0; i < count; i++) {
            uint32_t magnitude = samples[i] & 0x7FFFFFFF;
            sum += (uint64_t)magnitude * magnitude;
        }
        energy = (double)sum;
    } else {
        for (size_t i = 0; i < count; i++) {
            double magnitude = samples[i] & 0x7FFFFFFF;
            energy += magnitude * magnitude;
        }
    }
    return ldexp(energy, -2 * (int)shift);
}

/* What a sample's magnitude was before maxshift, and how many samples of a block with a mask were shifted:
 * those that reach above the shift (annex H). */
static uint64_t unshifted(uint64_t magnitude, unsigned roi_shift) {
    return magnitude >> roi_shift ? magnitude >> roi_shift : magnitude;
}

static void region_energy(const uint32_t *samples, size_t count, encode_job *job, block_shape *shape) {
    double energy = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t magnitude = samples[i] & 0x7FFFFFFF;
        double m = (double)unshifted(magnitude, job->source.roi_shift);
        energy += m * m;
        shape->region_samples += magnitude >> job->source.roi_shift != 0;
    }
    job->energy = energy;
}

static void region_energy_wide(const uint64_t *samples, size_t count, encode_job *job, block_shape *shape) {
    double energy = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t magnitude = samples[i] & INT64_MAX;
        double m = (double)unshifted(magnitude, job->source.roi_shift);
        energy += m * m;
        shape->region_samples += magnitude >> job->source.roi_shift != 0;
    }
    job->energy = energy;
}

/* More magnitude bits than the guard bits allow for: exact coding is impossible, and the nearest that can
 * be said of a real number is the largest magnitude. */
static void saturate(uint32_t *samples, size_t count, unsigned bits) {
    uint32_t largest = (uint32_t)((UINT64_C(1) << bits) - 1);
    for (size_t i = 0; i < count; i++) {
        uint32_t magnitude = samples[i] & 0x7FFFFFFF;
        samples[i] = (samples[i] & 0x80000000) | (magnitude < largest ? magnitude : largest);
    }
}

j2k_status j2k_coding_load(const dsp_kernels *dsp, encode_job *job, uint32_t *samples, block_shape *shape) {
    size_t count = (size_t)job->width * job->height;
    RETURN_IF(!count || job->width > 1024 || job->height > 1024 || count > MAX_BLOCK_SIZE,
              J2K_ERROR_INTERNAL);
    unsigned fraction = fraction_bits(job);
    uint32_t all =
        j2k_quantise_block(dsp, &job->source, job->width, job->height, fraction, samples, job->width);
    unsigned length = bit_length32(all);
    unsigned planes = length > fraction ? length - fraction : 0;
    if (planes > job->num_bitplanes) {
        RETURN_IF(!job->source.irreversible, J2K_ERROR_UNSUPPORTED);
        planes = job->num_bitplanes;
        saturate(samples, count, planes + fraction);
        length = planes + fraction;
    }
    /* All of an integer's energy is removed in the end: then it need not be summed up here. */
    job->energy = 0;
    if (job->source.irreversible)
        job->energy = block_energy(samples, count, length, fraction + job->source.roi_shift);
    RETURN_IF(planes > MAX_BITPLANES, J2K_ERROR_UNSUPPORTED);
    block_shape result = {job->width, job->height, planes, false, fraction, job->orientation, job->style, 0};
    if (job->source.roi_mask)
        region_energy(samples, count, job, &result);
    *shape = result;
    return J2K_OK;
}

j2k_status j2k_coding_load_wide(encode_job *job, uint64_t *samples, block_shape *shape) {
    enum { FRACTION = 7 }; /* real numbers have at most 37 bits above the point */
    size_t count = (size_t)job->width * job->height;
    RETURN_IF(!count || job->width > 1024 || job->height > 1024 || count > MAX_BLOCK_SIZE,
              J2K_ERROR_INTERNAL);
    bool real = job->source.irreversible;
    unsigned fraction = real && !job->source.roi_shift ? FRACTION : 0;
    uint64_t all = j2k_quantise_block_wide(&job->source, job->width, job->height, fraction, samples);
    unsigned length = bit_length64(all), planes = length > fraction ? length - fraction : 0;
    if (planes > job->num_bitplanes) {
        RETURN_IF(!real, J2K_ERROR_UNSUPPORTED);
        planes = job->num_bitplanes;
        uint64_t largest = (UINT64_C(1) << (planes + fraction)) - 1, sign = ~(uint64_t)INT64_MAX;
        for (size_t i = 0; i < count; i++)
            if ((samples[i] & INT64_MAX) > largest)
                samples[i] = (samples[i] & sign) | largest;
    }
    RETURN_IF(planes > MAX_CODED_BITPLANES, J2K_ERROR_UNSUPPORTED);
    double energy = 0;
    for (size_t i = 0; i < count && real; i++) {
        double magnitude = (double)(samples[i] & INT64_MAX);
        energy += magnitude * magnitude;
    }
    job->energy = ldexp(energy, -2 * (int)(fraction + job->source.roi_shift));
    block_shape result = {job->width, job->height, planes, true, fraction, job->orientation, job->style, 0};
    if (job->source.roi_mask)
        region_energy_wide(samples, count, job, &result);
    *shape = result;
    return J2K_OK;
}

/* ---- raw segments ---- */

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
 * last byte of FF is not allowed; a decoder supplies it itself, but predictable termination says what
 * follows it. */
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

void j2k_coding_raw(block_coding *coding, const uint8_t *symbols, size_t count) {
    raw_encode(&coding->raw_bits, symbols, count);
}

/* ---- passes ---- */

j2k_status j2k_coding_begin(block_coding *coding, encode_job *job, const block_shape *shape, uint8_t *data,
                            uint8_t *data_end, arena *out) {
    job->zero_bitplanes = (uint8_t)(job->num_bitplanes - shape->planes);
    job->num_passes = shape->planes ? (uint16_t)(3 * shape->planes - 2) : 0;
    job->passes = NULL;
    job->data = NULL;
    coding->job = job;
    coding->shape = *shape;
    coding->num_passes = job->num_passes;
    coding->passes = NULL;
    coding->reduction = 0;
    coding->data = coding->start = data;
    coding->data_end = data_end;
    coding->open = false;
    if (coding->num_passes == 0)
        return J2K_OK;
    coding->passes = ARENA_ALLOC(out, coding_pass, coding->num_passes);
    return coding->passes ? J2K_OK : J2K_ERROR_MEMORY;
}

j2k_status j2k_coding_begin_pass(block_coding *coding, unsigned pass, size_t count, mq_registers *mq,
                                 mq_contexts *contexts, pass_start *start) {
    unsigned style = coding->shape.style;
    start->restarted = !coding->open;
    start->reset = pass == 0 || (style & J2K_STYLE_RESET);
    if (!coding->open) {
        coding->open = true;
        coding->first_pass = pass;
        coding->raw = ebcot_pass_is_raw(style, pass);
        if (coding->raw)
            raw_begin(&coding->raw_bits, coding->start);
        else
            j2k_mq_begin(mq, coding->start);
    }
    if (start->reset)
        j2k_mq_set_contexts(contexts, j2k_initial_states, NUM_CONTEXTS);
    const uint8_t *next = coding->raw ? coding->raw_bits.next : mq->next;
    return (size_t)(coding->data_end - next) < MQ_BYTES_BOUND(count) ? J2K_ERROR_INTERNAL : J2K_OK;
}

/* Below the shift, samples outside of the region are coded, and those inside are refined with zeros, which
 * removes nothing: what the sums count for them (see j2k_ebcot_refinement) is taken out again. */
static double background_reduction(const block_shape *shape, const block_source *source, unsigned plane,
                                   unsigned pass, const pass_sums *sums) {
    unsigned b = distortion_bit(shape, plane);
    int64_t distortion = sums->distortion, coded = sums->coded;
    if ((pass + 2) % 3 == PASS_REFINEMENT) {
        distortion -= 3 * (int64_t)shape->region_samples * ((int64_t)1 << b);
        coded -= shape->region_samples;
    }
    if (!source->irreversible && plane == 0)
        distortion += coded << b;
    return ldexp((double)distortion, 2 * (int)plane - (int)b - 2);
}

/* The squared error that a pass removes, in quantiser steps squared. Sums are integers and scales powers
 * of two, so that nothing is rounded. Planes below a region of interest's shift hold only zeros. */
static double pass_reduction(const block_shape *shape, const block_source *source, unsigned pass,
                             const pass_sums *sums) {
    unsigned plane = shape->planes - 1 - (pass + 2) / 3, roi_shift = source->roi_shift;
    if (plane < roi_shift)
        return source->roi_mask ? background_reduction(shape, source, plane, pass, sums) : 0;
    int64_t distortion = sums->distortion;
    unsigned b = distortion_bit(shape, plane);
    /* The last bit-plane makes integers exact: the half step that midpoints are off is removed as well. */
    if (!source->irreversible && plane == roi_shift)
        distortion += (int64_t)sums->coded << b;
    return ldexp((double)distortion, 2 * (int)(plane - roi_shift) - (int)b - 2);
}

/* Terminate the segment and enter the lengths of its passes. */
static void end_segment(block_coding *coding, unsigned last_pass, const mq_registers *mq) {
    bool predictable = coding->shape.style & J2K_STYLE_PTERM;
    const uint8_t *end;
    mq_registers registers = *mq;
    if (coding->raw)
        end = raw_flush(&coding->raw_bits, coding->start, predictable);
    else
        end = predictable ? j2k_mq_flush_predictable(&registers) : j2k_mq_flush(&registers);
    uint32_t offset = (uint32_t)(coding->start - coding->data);
    size_t full = (size_t)(end - coding->start), length = 0;
    for (unsigned pass = coding->first_pass; pass <= last_pass; pass++) {
        const mq_mark *mark = &coding->marks[pass];
        size_t needed;
        if (predictable && pass == last_pass) {
            needed = full;
        } else if (coding->raw) {
            needed = mark->bytes < full ? mark->bytes : full;
            while (needed && coding->start[needed - 1] == 0xFF)
                needed--;
        } else {
            needed = j2k_mq_truncate(coding->start, full, mark);
        }
        if (needed > length)
            length = needed;
        coding->passes[pass].length = offset + (uint32_t)length;
    }
    coding->start += length;
    coding->open = false;
}

void j2k_coding_end_pass(block_coding *coding, unsigned pass, const mq_registers *mq, const pass_sums *sums) {
    if (coding->raw)
        coding->marks[pass].bytes = (uint32_t)raw_length(&coding->raw_bits, coding->start);
    else
        j2k_mq_get_mark(mq, coding->start, &coding->marks[pass]);
    coding->reduction += pass_reduction(&coding->shape, &coding->job->source, pass, sums);
    coding->passes[pass].reduction = coding->reduction;
    if (j2k_coding_ends_segment(coding, pass))
        end_segment(coding, pass, mq);
}

j2k_status j2k_coding_finish(block_coding *coding, arena *out) {
    if (coding->num_passes == 0)
        return J2K_OK;
    uint32_t size = coding->passes[coding->num_passes - 1].length;
    uint8_t *data = ARENA_ALLOC(out, uint8_t, size);
    RETURN_IF(!data, J2K_ERROR_MEMORY);
    memcpy(data, coding->data, size);
    if (!coding->job->source.irreversible)
        coding->job->energy = coding->reduction;
    coding->job->passes = coding->passes;
    coding->job->data = data;
    return J2K_OK;
}
