/* Code-blocks from one block coder to another, by way of their quantised coefficients.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "recode.h"

#include <string.h>

#include "bitops.h"

/* Why no sample changes. A decoder makes a sample from the bits of its magnitude down to the last bit-plane
 * that was coded for it; where in the packets they came from makes no difference. A code-block that ends with
 *
 *   a cleanup pass       of bit-plane p says all samples down to p: so does an HT cleanup pass of p.
 *   a refinement pass    of p says all samples but those that are still 0: the same, these being coded as 0.
 *   a significance pass  of p says the samples that were 0 and have significant neighbours down to p and the
 * others down to p + 1: so do an HT cleanup pass of p + 1 and an HT significance propagation pass of p, which
 * visits the same samples (T.814 7.4, T.800 D.3.1), causal or not.
 *
 * The other way round it is the same; the two refinement passes of HT visit what those of Part 1 do. */

/* What becomes of one code-block. */
typedef struct block_result {
    const uint8_t *data;
    const coding_pass *passes;
    uint16_t num_passes;
    uint16_t passes_lost; /* before the first pass: of bit-planes that hold nothing */
    int16_t zero_bitplanes;
} block_result;

/* A code-block on its way: the jobs of both coders, and what the first one left. */
typedef struct recoding {
    size_t index; /* of the code-block */
    unsigned style;
    unsigned plane;     /* the last bit-plane that was coded, in part or as a whole */
    unsigned planes;    /* bit-planes from the top one that holds something down to that one */
    unsigned last_kind; /* of pass: 0 cleanup, 1 significance, 2 refinement */
} recoding;

typedef struct recoder {
    j2k_context *context;
    const recode_plan *plan;
    block_ref *refs;
    block_result *results;
    recoding *recodings;
    decode_job *decode;
    encode_job *encode;
    size_t count, batch; /* code-blocks to be coded anew */
    int64_t **samples;   /* of each worker: `block_words` for each block of a batch */
    size_t block_words;
} recoder;

/* Words of 64 bits that a block's samples take. */
enum { NARROW_WORDS = MAX_BLOCK_SIZE / 2 + 32, WIDE_WORDS = MAX_BLOCK_SIZE };

/* ---- code-blocks that stay as they are ---- */

/* The bytes in one piece, and the lengths of passes where layers and codeword segments end. */
static j2k_status join_block(const codeblock *block, arena *memory, block_result *result) {
    const data_chunk *chunk = block->u.dec.first_chunk;
    coding_pass *passes = ARENA_ALLOC_ZERO(memory, coding_pass, block->num_passes);
    uint8_t *out = NULL;
    RETURN_IF(!passes, J2K_ERROR_MEMORY);
    result->num_passes = block->num_passes;
    result->passes = passes;
    result->data = chunk ? chunk->data : NULL;
    if (chunk && chunk->next) {
        result->data = out = ARENA_ALLOC(memory, uint8_t, block->u.dec.num_bytes);
        RETURN_IF(!out, J2K_ERROR_MEMORY);
    }
    unsigned pass = 0;
    uint32_t length = 0;
    for (; chunk; chunk = chunk->next) {
        while (pass < chunk->num_passes)
            passes[pass++].length = length;
        if (out)
            memcpy(out + length, chunk->data, chunk->size);
        length += chunk->size;
        passes[pass - 1].length = length;
    }
    while (pass < block->num_passes)
        passes[pass++].length = length;
    return J2K_OK;
}

/* ---- from coder to coder ---- */

static decode_job make_decode_job(const block_ref *ref, uint8_t style) {
    const codeblock *block = ref->block;
    unsigned planes = ref->band->num_bitplanes + ref->component->style->roi_shift;
    unsigned coded = planes > block->zero_bitplanes ? planes - block->zero_bitplanes : 0;
    unsigned most = style & J2K_STYLE_HT ? planes : coded; /* in HT missing bit-planes need not be empty */
    uint16_t width = (uint16_t)rect_width(block->area), height = (uint16_t)rect_height(block->area);
    decode_job job = {
        /* As integers, which are not shifted down for a region of interest: what was coded. */
        .sink = {.wide = most > MAX_BITPLANES, .stride = width, .step = 1, .width = width, .height = height},
        .width = width,
        .height = height,
        .orientation = ref->band->orientation,
        .style = style,
        .num_bitplanes = (uint8_t)coded,
        .most_bitplanes = (uint8_t)planes,
        .num_passes = block->num_passes,
        .data_size = block->u.dec.num_bytes,
        .chunks = block->u.dec.first_chunk,
        .segments = block->u.dec.first_segment,
        .sound = true,
    };
    return job;
}

/* Move the last bit-plane to the bottom. Below it there are midpoints, or nothing. A midpoint in it, of a
 * sample that its significance pass did not visit, may stay: no pass that is kept codes it. Returns the OR of
 * all magnitudes. */
static uint64_t drop_planes(int32_t *samples, size_t count, unsigned plane) {
    uint32_t all = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t sign = (uint32_t)(samples[i] >> 31), magnitude = ((uint32_t)samples[i] ^ sign) - sign;
        magnitude >>= plane;
        all |= magnitude;
        samples[i] = (int32_t)((magnitude ^ sign) - sign);
    }
    return all;
}

static uint64_t drop_wide_planes(int64_t *samples, size_t count, unsigned plane) {
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t sign = (uint64_t)(samples[i] >> 63), magnitude = ((uint64_t)samples[i] ^ sign) - sign;
        magnitude >>= plane;
        all |= magnitude;
        samples[i] = (int64_t)((magnitude ^ sign) - sign);
    }
    return all;
}

/* Wide samples of few enough bit-planes become narrow ones in their place. */
static void narrow(decode_job *job, unsigned planes) {
    const int64_t *from = job->sink.data;
    int32_t *to = job->sink.data;
    if (!job->sink.wide || planes > MAX_BITPLANES)
        return;
    for (size_t i = 0; i < (size_t)job->width * job->height; i++) {
        int32_t sample = (int32_t)from[i];
        memcpy(&to[i], &sample, sizeof sample);
    }
    job->sink.wide = false;
}

static encode_job make_encode_job(const decode_job *from, const recoding *r) {
    encode_job job = {
        .source = {.data = from->sink.data,
                   .wide = from->sink.wide,
                   .stride = from->sink.stride,
                   .inverse_step = 1,
                   .wide_inverse_step = 1},
        .width = from->width,
        .height = from->height,
        .orientation = from->orientation,
        .style = (uint8_t)r->style,
        .num_bitplanes = (uint8_t)r->planes,
    };
    if ((r->style & J2K_STYLE_HT) && r->last_kind == 1)
        job.ht = (ht_choice){.sets = 1, .lowest = 1, .measure = true, .refine = true};
    return job;
}

static j2k_status encode_runs(block_coder *coder, encode_job *jobs, size_t count, arena *out) {
    for (size_t n; count; jobs += n, count -= n) { /* all jobs of a call are of one coder */
        n = 1;
        while (n < count && ((jobs[n].style ^ jobs[0].style) & J2K_STYLE_HT) == 0)
            n++;
        TRY(j2k_blocks_encode(coder, jobs, n, out));
    }
    return J2K_OK;
}

/* What is sent of an HT code-block: the one cleanup pass, and the significance propagation pass where it
 * ended with one. The passes before are those of bit-planes that are counted as missing. */
static void keep_ht(const encode_job *job, const recoding *r, block_result *result) {
    unsigned partial = r->last_kind == 1, first = 3 * (r->planes - 1 - partial);
    result->passes = job->passes + first;
    result->num_passes = (uint16_t)(1 + partial);
    result->zero_bitplanes = (int16_t)(result->zero_bitplanes + (int)(r->planes - 1 - partial));
}

/* The passes behind the last one that there was are not sent. */
static void keep_part_1(const encode_job *job, const recoding *r, const decode_job *from,
                        block_result *result) {
    unsigned dropped = r->last_kind ? 3 - r->last_kind : 0;
    result->passes = job->passes;
    result->num_passes = (uint16_t)(job->num_passes > dropped ? job->num_passes - dropped : 0);
    if (!(from->style & J2K_STYLE_HT))
        result->passes_lost = (uint16_t)(3 * (from->num_bitplanes - r->plane - r->planes));
}

/* One batch: decode, encode, and say what to send. */
static j2k_status recode_batch(const recoder *re, block_coder *coder, size_t first, size_t count,
                               int64_t *samples, worker *w) {
    decode_job *decode = re->decode + first;
    encode_job *encode = re->encode + first;
    recoding *recodings = re->recodings + first;
    for (size_t i = 0; i < count; i++)
        decode[i].sink.data = samples + i * re->block_words;
    TRY(j2k_blocks_decode(coder, decode, count));
    size_t n = 0; /* of blocks that are not all 0; recodings and jobs of these move up */
    for (size_t i = 0; i < count; i++) {
        recoding r = recodings[i];
        w->sound = w->sound && decode[i].sound;
        if (!decode[i].decoded_passes)
            continue;
        unsigned last = decode[i].decoded_passes - 1u;
        r.last_kind = last % 3;
        r.plane = decode[i].num_bitplanes - 1u - (last + 2) / 3;
        size_t size = (size_t)decode[i].width * decode[i].height;
        void *block = decode[i].sink.data;
        r.planes = bit_length64(decode[i].sink.wide ? drop_wide_planes(block, size, r.plane)
                                                    : drop_planes(block, size, r.plane));
        if (r.planes <= (r.last_kind == 1)) /* nothing, or what cannot be: significance around nothing */
            continue;
        recodings[n] = r;
        decode[n] = decode[i];
        narrow(&decode[n], r.planes);
        encode[n] = make_encode_job(&decode[n], &r);
        n++;
    }
    TRY(encode_runs(coder, encode, n, &w->results));
    for (size_t i = 0; i < n; i++) {
        const recoding *r = &recodings[i];
        const block_ref *ref = &re->refs[r->index];
        block_result *result = &re->results[r->index];
        unsigned have = ref->band->num_bitplanes + ref->component->style->roi_shift;
        result->data = encode[i].data;
        result->zero_bitplanes = (int16_t)((int)have - (int)(r->plane + r->planes));
        if (r->style & J2K_STYLE_HT)
            keep_ht(&encode[i], r, result);
        else
            keep_part_1(&encode[i], r, &decode[i], result);
    }
    return J2K_OK;
}

static void recode_task(void *user, size_t index, unsigned worker_index) {
    const recoder *re = user;
    worker *w = &re->context->workers[worker_index];
    block_coder *coder = j2k_worker_coder(re->context, worker_index);
    if (w->status != J2K_OK)
        return;
    size_t first = index * re->batch, left = re->count - first;
    w->status =
        recode_batch(re, coder, first, left < re->batch ? left : re->batch, re->samples[worker_index], w);
}

static j2k_status allocate_jobs(recoder *re, size_t count) {
    arena *work = &re->context->work;
    re->recodings = ARENA_ALLOC(work, recoding, count);
    re->decode = ARENA_ALLOC(work, decode_job, count);
    re->encode = ARENA_ALLOC(work, encode_job, count);
    re->samples = ARENA_ALLOC(work, int64_t *, re->context->num_workers);
    RETURN_IF(!re->recodings || !re->decode || !re->encode || !re->samples, J2K_ERROR_MEMORY);
    return J2K_OK;
}

static j2k_status run_batches(recoder *re, bool *sound) {
    j2k_context *context = re->context;
    size_t fair = (re->count + context->num_workers - 1) / context->num_workers, preferred = 0;
    re->block_words = NARROW_WORDS;
    for (size_t i = 0; i < re->count; i++) {
        size_t decode = j2k_block_decode_batch(context->cpu, re->decode[i].style & J2K_STYLE_HT);
        size_t encode = j2k_block_encode_batch(context->cpu, re->recodings[i].style & J2K_STYLE_HT);
        size_t larger = decode > encode ? decode : encode;
        preferred = larger > preferred ? larger : preferred;
        re->block_words = re->decode[i].sink.wide ? WIDE_WORDS : re->block_words;
    }
    re->batch = fair < preferred ? fair : preferred;
    if (!re->count)
        return J2K_OK;
    for (unsigned i = 0; i < context->num_workers; i++) {
        re->samples[i] = ARENA_ALLOC(&context->work, int64_t, re->batch * re->block_words + 8);
        RETURN_IF(!re->samples[i], J2K_ERROR_MEMORY);
    }
    j2k_workers_begin(context);
    j2k_parallel_for(context->pool, (re->count + re->batch - 1) / re->batch, recode_task, re);
    TRY(j2k_workers_status(context));
    for (unsigned i = 0; i < context->num_workers; i++)
        *sound = *sound && context->workers[i].sound;
    return J2K_OK;
}

/* ---- layers ---- */

/* Fill in the passes up to each layer, first as they were read. */
static j2k_status enter_layers(const recoder *re, size_t count) {
    const recode_plan *plan = re->plan;
    for (size_t i = 0; i < count; i++) {
        codeblock *block = re->refs[i].block;
        if (!block->num_passes)
            continue;
        block->u.enc.layer_passes = ARENA_ALLOC_ZERO(plan->memory, uint16_t, plan->num_layers);
        RETURN_IF(!block->u.enc.layer_passes, J2K_ERROR_MEMORY);
        if (plan->num_layers == 1)
            block->u.enc.layer_passes[0] = block->num_passes;
    }
    for (size_t i = 0; plan->num_layers > 1 && i < plan->log->num_passes; i++) {
        const pass_record *record = &plan->log->passes[i];
        if (record->block->num_passes)
            record->block->u.enc.layer_passes[record->layer] = record->num_passes;
    }
    for (size_t i = 0; plan->num_layers > 1 && i < count; i++) {
        codeblock *block = re->refs[i].block;
        unsigned lost = re->results[i].passes_lost, before = 0;
        for (uint32_t layer = 0; block->num_passes && layer < plan->num_layers; layer++) {
            uint16_t *passes = &block->u.enc.layer_passes[layer];
            unsigned kept = *passes > lost ? *passes - lost : 0;
            before = kept > before ? kept : before;
            *passes = (uint16_t)(before < block->num_passes ? before : block->num_passes);
        }
    }
    return J2K_OK;
}

/* From what the decoder wants to what the encoder's packet writer wants. */
static void turn_block(codeblock *block, const block_result *result) {
    memset(&block->u, 0, sizeof block->u);
    block->num_passes = result->num_passes;
    block->u.enc.data = result->data;
    block->u.enc.passes = result->passes;
    block->part_1 = false;
}

/* ---- tiles ---- */

j2k_status j2k_tile_recode(j2k_context *context, tile *t, const recode_plan *plan, recoded_tile *result,
                           bool *sound) {
    recoder re = {.context = context, .plan = plan};
    TRY(j2k_blocks_collect(t, true, plan->memory, &re.refs, &result->count));
    size_t count = result->count;
    result->refs = re.refs;
    result->zero_bitplanes = ARENA_ALLOC(plan->memory, int16_t, count);
    re.results = ARENA_ALLOC_ZERO(&context->work, block_result, count);
    RETURN_IF(!result->zero_bitplanes || !re.results, J2K_ERROR_MEMORY);
    TRY(allocate_jobs(&re, count));
    for (size_t i = 0; i < count; i++) {
        const block_ref *ref = &re.refs[i];
        if (!ref->block->num_passes)
            continue;
        unsigned old = ref->component->style->coding.codeblock_style;
        unsigned wanted = plan->styles[ref->component_index].coding.codeblock_style;
        re.results[i].zero_bitplanes = ref->block->zero_bitplanes;
        if (wanted == old && !(old & J2K_STYLE_HT)) {
            TRY(join_block(ref->block, plan->memory, &re.results[i]));
            continue;
        }
        re.recodings[re.count] = (recoding){.index = i, .style = wanted};
        re.decode[re.count++] = make_decode_job(ref, (uint8_t)codeblock_style(ref->block, old));
    }
    TRY(run_batches(&re, sound));
    for (size_t i = 0; i < count; i++) {
        turn_block(re.refs[i].block, &re.results[i]);
        result->zero_bitplanes[i] = re.results[i].zero_bitplanes;
    }
    return enter_layers(&re, count);
}

void j2k_recode_finish(const recoded_tile *tile, unsigned more) {
    for (size_t i = 0; i < tile->count; i++)
        tile->refs[i].block->zero_bitplanes = (uint8_t)(tile->zero_bitplanes[i] + (int)more);
}
