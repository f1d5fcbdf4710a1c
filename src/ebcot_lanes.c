/* The Part 1 block encoder on many code-blocks at once: which lane codes what.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "ebcot_lanes.h"

#include <string.h>

#include "bitops.h"
#include "quant.h"

/* The block that a lane works on: all its symbols are there, and passes before `pass` are coded. */
typedef struct lane {
    block_coding coding;
    unsigned pass;
    pass_symbols passes[MAX_PASSES];
    uint8_t *symbols;
    uint8_t *data; /* DATA_CAPACITY bytes; data[-1] exists */
} lane;

struct lane_encoder {
    const dsp_kernels *dsp;
    const lane_kernels *kernels;
    void *workspace;
    mq_lanes mq;
    unsigned num_lanes;      /* of the vectors in use */
    int32_t left[MAX_LANES]; /* chunks to the end of the pass; idle lanes have many */
    unsigned busy;
    lane *lanes[MAX_LANES];
    lane memory[MAX_LANES];
    /* the call's jobs */
    encode_job **jobs;
    size_t count, next_job;
    arena *out;
    uint32_t samples[MAX_BLOCK_SIZE + SAMPLE_SLACK];
    uint8_t idle_symbols[LANE_CHUNK];
};

enum { IDLE = INT32_MAX };

/* Buffers of all lanes at the same offset in a page would compete for the same cache sets. */
enum {
    SYMBOLS_PITCH = (MAX_BLOCK_SYMBOLS + SYMBOL_SLACK + 4095) / 4096 * 4096 + 320,
    DATA_PITCH = DATA_CAPACITY + 64 + 192
};

const lane_kernels *j2k_lane_kernels_get(unsigned cpu) {
#if defined(__GNUC__) && defined(__x86_64__)
    if (cpu & J2K_CPU_AVX512)
        return &j2k_lanes_avx512;
    if (cpu & J2K_CPU_AVX2)
        return &j2k_lanes_avx2;
#endif
    (void)cpu;
    return NULL;
}

lane_encoder *j2k_lane_encoder_create(const dsp_kernels *dsp, const lane_kernels *kernels, arena *memory) {
    lane_encoder *e = ARENA_ALLOC(memory, lane_encoder, 1);
    uint8_t *workspace = ARENA_ALLOC(memory, uint8_t, kernels->workspace);
    uint8_t *symbols = ARENA_ALLOC(memory, uint8_t, (size_t)kernels->num_lanes * SYMBOLS_PITCH);
    uint8_t *data = ARENA_ALLOC(memory, uint8_t, (size_t)kernels->num_lanes * DATA_PITCH);
    if (!e || !workspace || !symbols || !data)
        return NULL;
    e->dsp = dsp;
    e->kernels = kernels;
    e->workspace = workspace;
    kernels->prepare(workspace);
    memset(e->idle_symbols, LANE_NO_OP, sizeof e->idle_symbols);
    for (unsigned l = 0; l < kernels->num_lanes; l++) {
        e->lanes[l] = &e->memory[l];
        e->lanes[l]->symbols = symbols + (size_t)l * SYMBOLS_PITCH;
        e->lanes[l]->data = data + (size_t)l * DATA_PITCH + 64;
        e->lanes[l]->data[-1] = 0;
    }
    return e;
}

/* ---- a lane's registers ---- */

/* Put all finished bytes in place. */
static void settle(mq_lanes *m) {
    for (const uint16_t *event = m->pending; event < m->pending_end; event++)
        lane_byte(m->next, *event);
    m->pending_end = m->pending;
}

static mq_registers get_registers(const lane_encoder *e, unsigned l) {
    const mq_lanes *m = &e->mq;
    unsigned i = lane_element(l, e->num_lanes);
    size_t pending = 0;
    for (const uint16_t *event = m->pending; event < m->pending_end; event++)
        pending += *event >> 8 == l;
    uint8_t *next = pending ? m->next[l] + pending : m->next[l]; /* NULL in a lane that never had a job */
    mq_registers mq = {next, (uint32_t)m->c_high[i] << 16 | m->c_low[i], m->a[i], m->b[i], m->ct[i]};
    return mq;
}

static void put_registers(lane_encoder *e, unsigned l, const mq_registers *mq) {
    mq_lanes *m = &e->mq;
    unsigned i = lane_element(l, e->num_lanes);
    m->next[l] = mq->next;
    m->c_high[i] = (uint16_t)(mq->c >> 16);
    m->c_low[i] = (uint16_t)mq->c;
    m->a[i] = (uint16_t)mq->a;
    m->b[i] = (uint16_t)mq->b;
    m->ct[i] = (uint16_t)mq->ct;
}

/* Plain contexts are 4 * index + 2 * MPS; those of lanes have the MPS in bit 7. */
static void get_contexts(const lane_encoder *e, unsigned l, mq_contexts *contexts) {
    for (unsigned c = 0; c < NUM_CONTEXTS; c++) {
        unsigned s = e->mq.states[c][l];
        contexts->state[c] = (uint8_t)((s & 63) << 2 | (s >> 6 & 2));
    }
}

static void put_contexts(lane_encoder *e, unsigned l, const mq_contexts *contexts) {
    for (unsigned c = 0; c < NUM_CONTEXTS; c++) {
        unsigned s = contexts->state[c];
        e->mq.states[c][l] = (uint8_t)(s >> 2 | (s & 2) << 6);
    }
}

static void make_idle(lane_encoder *e, unsigned l) {
    e->left[l] = IDLE;
    e->mq.source[l] = e->idle_symbols;
    e->mq.advance[l] = 0;
}

/* ---- scheduling ---- */

/* Give the lane the next job whose samples are not all zero. *found is false when there is none. */
static j2k_status take_job(lane_encoder *e, lane *lane, bool *found) {
    *found = false;
    while (!*found && e->next_job < e->count) {
        encode_job *job = e->jobs[e->next_job++];
        block_shape shape;
        TRY(j2k_coding_load(e->dsp, job, e->samples, &shape));
        TRY(j2k_coding_begin(&lane->coding, job, &shape, lane->data, lane->data + DATA_CAPACITY, e->out));
        if (shape.planes == 0)
            continue;
        e->kernels->make_symbols(e->workspace, &shape, e->samples, lane->symbols, lane->passes);
        lane->pass = 0;
        *found = true;
    }
    return J2K_OK;
}

/* Go on to the next pass that the vectors have to code; passes that are raw or empty are done here, and
 * blocks that are complete are put out and replaced. */
static j2k_status next_pass(lane_encoder *e, unsigned l) {
    lane *lane = e->lanes[l];
    for (;;) {
        if (lane->pass == lane->coding.num_passes) {
            bool found;
            TRY(j2k_coding_finish(&lane->coding, e->out));
            TRY(take_job(e, lane, &found));
            if (!found) {
                make_idle(e, l);
                e->busy--;
                return J2K_OK;
            }
        }
        const pass_symbols *pass = &lane->passes[lane->pass];
        mq_registers mq = get_registers(e, l);
        mq_contexts contexts;
        pass_start start;
        TRY(j2k_coding_begin_pass(&lane->coding, lane->pass, pass->count, &mq, &contexts, &start));
        if (start.reset)
            put_contexts(e, l, &contexts);
        if (start.restarted && !lane->coding.raw)
            put_registers(e, l, &mq);
        if (!lane->coding.raw && pass->count) {
            e->mq.source[l] = lane->symbols + pass->start;
            e->mq.advance[l] = LANE_CHUNK;
            e->left[l] = (int32_t)((pass->count + LANE_CHUNK - 1) / LANE_CHUNK);
            return J2K_OK;
        }
        if (lane->coding.raw) {
            j2k_coding_raw(&lane->coding, lane->symbols + pass->start, pass->count);
        } else if (j2k_coding_ends_segment(&lane->coding, lane->pass)) {
            settle(&e->mq);
            mq = get_registers(e, l);
        }
        j2k_coding_end_pass(&lane->coding, lane->pass, &mq, &pass->sums);
        lane->pass++;
    }
}

static j2k_status end_pass(lane_encoder *e, unsigned l) {
    lane *lane = e->lanes[l];
    if (j2k_coding_ends_segment(&lane->coding, lane->pass))
        settle(&e->mq);
    mq_registers mq = get_registers(e, l);
    j2k_coding_end_pass(&lane->coding, lane->pass, &mq, &lane->passes[lane->pass].sums);
    lane->pass++;
    return next_pass(e, l);
}

/* Code the rest of a lane's block by the plain coder. */
static j2k_status finish_lane(lane_encoder *e, unsigned l) {
    lane *lane = e->lanes[l];
    block_coding *coding = &lane->coding;
    mq_registers mq = get_registers(e, l);
    mq_contexts contexts;
    get_contexts(e, l, &contexts);
    const uint8_t *symbols = e->mq.source[l];
    for (bool begun = true; lane->pass < coding->num_passes; begun = false, lane->pass++) {
        const pass_symbols *pass = &lane->passes[lane->pass];
        const uint8_t *end = lane->symbols + pass->start + pass->count;
        if (!begun) {
            pass_start start;
            TRY(j2k_coding_begin_pass(coding, lane->pass, pass->count, &mq, &contexts, &start));
            symbols = lane->symbols + pass->start;
        }
        size_t count = symbols < end ? (size_t)(end - symbols) : 0;
        if (coding->raw)
            j2k_coding_raw(coding, symbols, count);
        else
            j2k_mq_encode(&mq, &contexts, symbols, count);
        j2k_coding_end_pass(coding, lane->pass, &mq, &pass->sums);
    }
    return j2k_coding_finish(coding, e->out);
}

/* About how many symbols a job will have: the bits of its magnitudes, from every eighth row. */
static uint32_t estimate(const encode_job *job) {
    const block_source *source = &job->source;
    uint32_t bits = 0, rows = 0;
    for (unsigned y = job->height / 2 % 8; y < job->height; y += 8, rows++) {
        const int32_t *integers = (const int32_t *)source->data + y * source->stride;
        const float *reals = (const float *)source->data + y * source->stride;
        uint32_t words[1024];
        if (source->wide) {
            j2k_quantise_row_wide(source, y, job->width, 0, words);
            for (unsigned x = 0; x < job->width; x++)
                bits += bit_length32(words[x] & INT32_MAX);
            continue;
        }
        for (unsigned x = 0; x < job->width; x++) {
            float v = source->irreversible ? reals[x] * source->inverse_step : (float)integers[x];
            v = (v < 0 ? -v : v) + 1;
            uint32_t pattern;
            memcpy(&pattern, &v, sizeof pattern);
            bits += (pattern >> 23) - 127; /* log2 */
        }
    }
    return rows ? bits * job->height / rows : 0;
}

/* Order jobs by falling length: what is started last should end soon. */
static void sort_jobs(encode_job **jobs, size_t count) {
    enum { BUCKETS = 1024, SHIFT = 7 };
    encode_job *sorted[LANE_GROUP];
    uint16_t keys[LANE_GROUP], end[BUCKETS] = {0};
    for (size_t i = 0; i < count; i++) {
        uint32_t key = estimate(jobs[i]) >> SHIFT;
        keys[i] = (uint16_t)(BUCKETS - 1 - (key < BUCKETS ? key : BUCKETS - 1));
        end[keys[i]]++;
    }
    for (unsigned b = 1; b < BUCKETS; b++)
        end[b] = (uint16_t)(end[b] + end[b - 1]);
    for (size_t i = count; i-- > 0;)
        sorted[--end[keys[i]]] = jobs[i];
    memcpy(jobs, sorted, count * sizeof *jobs);
}

/* Move the lanes that are at work to the front and halve the vectors. */
static void narrow(lane_encoder *e) {
    mq_registers registers[MAX_LANES / 2];
    mq_contexts contexts[MAX_LANES / 2];
    unsigned count = 0;
    settle(&e->mq);
    for (unsigned l = 0; l < e->num_lanes; l++) {
        if (!e->mq.advance[l])
            continue;
        registers[count] = get_registers(e, l);
        get_contexts(e, l, &contexts[count]);
        lane *moved = e->lanes[l];
        e->lanes[l] = e->lanes[count];
        e->lanes[count] = moved;
        e->mq.source[count] = e->mq.source[l];
        e->left[count++] = e->left[l];
    }
    e->num_lanes /= 2;
    for (unsigned l = 0; l < e->num_lanes; l++) {
        const mq_registers idle = {NULL, 0, 0x8000, 0, 12};
        put_registers(e, l, l < count ? &registers[l] : &idle);
        e->mq.advance[l] = LANE_CHUNK;
        if (l < count)
            put_contexts(e, l, &contexts[l]);
        else
            make_idle(e, l);
    }
}

/* Give every lane a job. */
static j2k_status start_lanes(lane_encoder *e) {
    memset(&e->mq, 0, sizeof e->mq);
    e->mq.pending = e->mq.pending_end = e->mq.logs[0];
    e->num_lanes = e->kernels->num_lanes;
    if (e->kernels->run_narrow && e->count <= e->num_lanes / 2)
        e->num_lanes /= 2;
    e->busy = e->num_lanes;
    for (unsigned l = 0; l < e->num_lanes; l++) {
        const mq_registers idle = {NULL, 0, 0x8000, 0, 12};
        put_registers(e, l, &idle);
        e->lanes[l]->coding.num_passes = e->lanes[l]->pass = 0; /* "complete", with nothing to put out */
        TRY(next_pass(e, l));
    }
    return J2K_OK;
}

/* Code to the next end of a pass in any lane. */
static j2k_status run_lanes(lane_encoder *e) {
    bool narrow_run = e->num_lanes < e->kernels->num_lanes;
    int32_t chunks = IDLE;
    for (unsigned l = 0; l < e->num_lanes; l++)
        chunks = e->left[l] < chunks ? e->left[l] : chunks;
    (narrow_run ? e->kernels->run_narrow : e->kernels->run)(&e->mq, (size_t)chunks);
    for (unsigned l = 0; l < e->num_lanes; l++) {
        e->left[l] -= chunks;
        if (e->left[l] == 0)
            TRY(end_pass(e, l));
    }
    return J2K_OK;
}

j2k_status j2k_lanes_encode(lane_encoder *e, encode_job **jobs, size_t count, arena *out) {
    sort_jobs(jobs, count);
    e->jobs = jobs;
    e->count = count;
    e->next_job = 0;
    e->out = out;
    TRY(start_lanes(e));
    while (e->busy > e->kernels->few_lanes || (e->busy && e->next_job < count)) {
        if (e->kernels->run_narrow && e->num_lanes == e->kernels->num_lanes && e->next_job == count &&
            e->busy <= e->num_lanes / 2)
            narrow(e);
        TRY(run_lanes(e));
    }
    settle(&e->mq);
    for (unsigned l = 0; l < e->num_lanes; l++)
        if (e->mq.advance[l])
            TRY(finish_lane(e, l));
    return J2K_OK;
}
