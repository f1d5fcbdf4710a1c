/* The Part 1 block decoder (T.800 annex D): codeword segments, coding passes in their order, results.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "ebcot_dec_passes.h"
#include "quant.h"

struct ebcot_decoder {
    const dsp_kernels *dsp;
    ebcot_dec_kernels kernels;
    ebcot_dec_tables tables;
    block_state block;
    block_state *wide; /* for blocks of more than MAX_BITPLANES bit-planes; made at first use */
    arena *memory;
    ebcot_dec_lanes *lanes; /* may be NULL */
    int32_t samples[MAX_STATE_SAMPLES];
};

static void make_tables(ebcot_dec_tables *t) {
    mq_dec_states(t->states);
    for (unsigned i = 0; i < 512; i++) {
        /* the bits of zero_index to those of j2k_zero_contexts */
        unsigned n = (i & 7) | (i >> 6 & 1) << 3 | (i >> 8 & 1) << 5 | (i >> 3 & 7) << 6;
        for (unsigned orientation = 0; orientation < 4; orientation++)
            t->zero[orientation][i] = j2k_zero_contexts[orientation][n];
    }
    for (unsigned i = 0; i < 1024; i++) {
        unsigned n = (i >> 1 & 1) | (i >> 6 & 1) << 1 | (i >> 8 & 1) << 2 | (i >> 4 & 1) << 3;
        unsigned s = (i >> 2 & 1) | (i >> 7 & 1) << 1 | (i >> 9 & 1) << 2 | (i >> 5 & 1) << 3;
        t->sign[i] = j2k_sign_contexts[n | s << 4];
    }
}

ebcot_decoder *j2k_ebcot_decoder_create(const dsp_kernels *dsp, unsigned cpu, arena *memory) {
    ebcot_decoder *d = ARENA_ALLOC(memory, ebcot_decoder, 1);
    if (!d)
        return NULL;
    d->dsp = dsp;
    d->kernels = EBCOT_DEC_KERNELS;
    if ((cpu & J2K_CPU_AVX2) && j2k_ebcot_dec_kernels_avx2())
        d->kernels = *j2k_ebcot_dec_kernels_avx2();
    if (cpu & J2K_CPU_AVX512)
        j2k_ebcot_dec_assemble_avx512(&d->kernels);
    d->wide = NULL;
    d->memory = memory;
    make_tables(&d->tables);
    d->block = (block_state){
        .tables = &d->tables,
        .samples = d->samples,
        .memory = ARENA_ALLOC(memory, uint64_t, (size_t)NUM_STATE_ARRAYS * MAX_STATE_WORDS),
        .bits = ARENA_ALLOC(memory, uint8_t, MQ_BITS_PREFIX + MQ_MAX_SEGMENT + MQ_BITS_PADDING),
        .max_segment = MQ_MAX_SEGMENT,
    };
    if (!d->block.memory || !d->block.bits)
        return NULL;
    d->lanes = NULL;
    if (cpu & J2K_CPU_AVX512)
        d->lanes = j2k_ebcot_dec_lanes_create(&d->tables, &d->kernels, dsp, d->samples, memory);
    return d;
}

/* The state of wide blocks, or NULL when memory runs out. Their segments have twice as many decisions. */
static block_state *wide_state(ebcot_decoder *d) {
    enum { MAX_SEGMENT = 2 * MQ_MAX_SEGMENT };
    if (d->wide)
        return d->wide;
    block_state *b = ARENA_ALLOC(d->memory, block_state, 1);
    if (!b)
        return NULL;
    *b = (block_state){
        .tables = &d->tables,
        .samples = d->samples,
        .wide_samples = ARENA_ALLOC(d->memory, int64_t, MAX_STATE_SAMPLES),
        .memory = ARENA_ALLOC(d->memory, uint64_t, (size_t)NUM_WIDE_STATE_ARRAYS * MAX_STATE_WORDS),
        .bits = ARENA_ALLOC(d->memory, uint8_t, MQ_BITS_PREFIX + MAX_SEGMENT + MQ_BITS_PADDING),
        .max_segment = MAX_SEGMENT,
    };
    if (b->wide_samples && b->memory && b->bits)
        d->wide = b;
    return d->wide;
}

/* ---- a code-block's state */

static void reset_contexts(block_state *b) {
    for (unsigned i = 0; i < NUM_CONTEXTS; i++)
        b->contexts[i] = b->tables->states[2 * j2k_initial_states[i]];
}

static void make_valid(block_state *b) {
    for (unsigned stripe = 0; stripe < b->stripes; stripe++) {
        unsigned rows = b->height - stripe * STRIPE_ROWS;
        uint64_t all = WINDOW_OWN;
        if (rows < STRIPE_ROWS)
            all = WINDOW_OWN0 * ((2u << rows) - 2);
        uint64_t *valid = b->valid + (size_t)(stripe + 1) * b->pitch + 1;
        for (unsigned chunk = 0; chunk < b->chunks; chunk++) {
            unsigned columns = b->width - chunk * CHUNK_COLUMNS;
            valid[chunk] = columns >= CHUNK_COLUMNS ? all : all & (((uint64_t)1 << 6 * (columns + 1)) - 1);
        }
    }
}

void j2k_block_begin(block_state *b, decode_job *job) {
    b->width = job->width;
    b->height = job->height;
    b->chunks = (job->width + CHUNK_COLUMNS - 1u) / CHUNK_COLUMNS;
    b->stripes = (job->height + STRIPE_ROWS - 1u) / STRIPE_ROWS;
    b->pitch = b->chunks + 1;
    b->words = ebcot_block_words(job->width, job->height);
    b->causal = (job->style & J2K_STYLE_CAUSAL) != 0;
    b->zero = b->tables->zero[job->orientation & 3];
    b->slot = b->array_words ? b->array_words : b->words;
    b->significant = b->memory;
    b->negative = b->significant + b->slot;
    b->visited = b->negative + b->slot;
    b->refined = b->visited + b->slot;
    b->valid = b->refined + b->slot;
    b->planes = b->valid + b->slot;
    for (unsigned i = 0; i < 5u + 1 + job->num_bitplanes; i++)
        memset(b->memory + (size_t)i * b->slot, 0, b->words * sizeof *b->memory);
    make_valid(b);
    reset_contexts(b);

    b->job = job;
    b->cursor = (chunk_cursor){job->chunks, 0};
    b->segment = job->segments;
    b->left = 0;
    b->pass = 0;
    job->sound = job->num_passes == 0 || job->num_bitplanes != 0;
}

/* ---- codeword segments and passes */

/* Open the next segment: unstuff its bytes, which may come from several packets, and leave the cursor behind
 * it. */
static void open_segment(block_state *b) {
    unstuffer u;
    chunk_cursor *cursor = &b->cursor;
    uint32_t size = b->segment->size, wanted = size < b->max_segment ? size : b->max_segment;
    b->raw = ebcot_pass_is_raw(b->job->style, b->pass);
    b->left = b->segment->num_passes;
    b->segment = b->segment->next;
    unstuff_begin(&u, b->bits, b->raw);
    while (size && cursor->chunk) {
        uint32_t part = cursor->chunk->size - cursor->offset;
        if (part > size)
            part = size;
        uint32_t used = part < wanted ? part : wanted;
        if (used)
            unstuff(&u, cursor->chunk->data + cursor->offset, used);
        wanted -= used;
        size -= part;
        cursor->offset += part;
        if (cursor->offset == cursor->chunk->size) {
            cursor->chunk = cursor->chunk->next;
            cursor->offset = 0;
        }
    }
    mq_open(&b->mq, b->bits, unstuff_end(&u), b->raw);
}

bool j2k_block_next_pass(block_state *b) {
    decode_job *job = b->job;
    if (b->pass >= job->num_passes || !job->num_bitplanes)
        return false;
    b->opened = false;
    while (b->left == 0 && b->segment) {
        open_segment(b);
        b->opened = true;
    }
    if (b->left == 0 || b->pass == 3u * job->num_bitplanes - 2 ||
        b->raw != (bool)ebcot_pass_is_raw(job->style, b->pass)) {
        job->sound = false;
        return false;
    }
    b->left--;
    b->kind = (b->pass + 2) % 3;
    b->magnitude = b->planes + (job->num_bitplanes - (b->pass + 2) / 3) * (size_t)b->slot;
    return true;
}

/* The four symbols behind a cleanup pass (D.5) must be 1010. */
static bool read_segmentation_symbol(block_state *b) {
    unsigned symbol = 0;
    for (unsigned i = 0; i < 4; i++)
        symbol = symbol << 1 | mq_decode(&b->mq, &b->contexts[CTX_UNIFORM], b->tables->states);
    return symbol == 0xA;
}

bool j2k_block_end_pass(block_state *b) {
    const unsigned style = b->job->style;
    b->pass++;
    if (b->kind == PASS_CLEANUP && (style & J2K_STYLE_SEGMENTATION) && !read_segmentation_symbol(b)) {
        /* Behind the last pass it says nothing: rate control may keep a pass and cut off its symbol. */
        b->job->sound = b->job->sound && b->pass == b->job->num_passes;
        return false;
    }
    if (style & J2K_STYLE_RESET)
        reset_contexts(b);
    return true;
}

/* ---- results */

/* Add the midpoints of the intervals of uncertainty (E.1.1.2 with r = 1/2): a sample whose last bit-plane is
 * p gets the bit below it, which is slot p. After a significance propagation pass only the visited samples
 * are in its bit-plane, the others are one up; after the other passes all significant samples are. Returns
 * the lowest slot in use. */
static unsigned add_midpoints(block_state *b) {
    unsigned last = b->pass - 1, bitplane = b->job->num_bitplanes - 1u - (last + 2) / 3;
    bool partial = (last + 2) % 3 == PASS_SIGNIFICANCE;
    bool exact = bitplane == 0 && !b->job->sink.irreversible; /* nothing below the last bit */
    uint64_t *half = b->planes + (size_t)bitplane * b->slot, *above = half + b->slot;
    if (partial || !exact) {
        for (size_t i = b->pitch + 1; i < b->words - b->pitch - 1; i++) {
            uint64_t significant = b->significant[i] & WINDOW_OWN;
            uint64_t coded = partial ? significant & b->visited[i] : significant;
            if (!exact)
                half[i] = coded;
            above[i] |= significant & ~coded;
        }
    }
    return exact ? 1 : bitplane;
}

/* Slots 31 and up, then those below, are numbers of 32 bits; both have the sample's sign. */
static void assemble_wide(block_state *b, const ebcot_dec_kernels *kernels, unsigned lowest,
                          unsigned highest) {
    enum { LOW_SLOTS = 31 };
    const size_t count = (size_t)b->stripes * STRIPE_ROWS * b->chunks * CHUNK_COLUMNS;
    uint64_t *planes = b->planes;
    b->planes += (size_t)LOW_SLOTS * b->slot;
    kernels->assemble(b, lowest > LOW_SLOTS ? lowest - LOW_SLOTS : 0, highest - LOW_SLOTS);
    b->planes = planes;
    for (size_t i = 0; i < count; i++)
        b->wide_samples[i] = b->samples[i] * ((int64_t)1 << LOW_SLOTS);
    if (lowest >= LOW_SLOTS)
        return;
    kernels->assemble(b, lowest, LOW_SLOTS - 1);
    for (size_t i = 0; i < count; i++)
        b->wide_samples[i] += b->samples[i];
}

void j2k_block_finish(block_state *b, const ebcot_dec_kernels *kernels, const dsp_kernels *dsp) {
    decode_job *job = b->job;
    job->decoded_passes = (uint16_t)b->pass;
    if (b->pass == 0) {
        j2k_zero_block(&job->sink);
        return;
    }
    const unsigned lowest = add_midpoints(b);
    if (job->num_bitplanes > MAX_BITPLANES) {
        assemble_wide(b, kernels, lowest, job->num_bitplanes);
        j2k_dequantise_block_wide(&job->sink, b->wide_samples, (ptrdiff_t)b->chunks * CHUNK_COLUMNS);
        return;
    }
    kernels->assemble(b, lowest, job->num_bitplanes);
    j2k_dequantise_block(dsp, &job->sink, b->samples, (ptrdiff_t)b->chunks * CHUNK_COLUMNS);
}

void j2k_block_decode(block_state *b, const ebcot_dec_kernels *kernels, const dsp_kernels *dsp,
                      decode_job *job) {
    j2k_block_begin(b, job);
    while (j2k_block_next_pass(b)) {
        kernels->decode_pass(b, b->kind, b->raw, b->magnitude);
        if (!j2k_block_end_pass(b))
            break;
    }
    j2k_block_finish(b, kernels, dsp);
}

/* Longest first: the lanes then end at about the same time. */
static int compare_jobs(const void *a, const void *b) {
    const decode_job *x = *(decode_job *const *)a, *y = *(decode_job *const *)b;
    if (x->data_size != y->data_size)
        return x->data_size < y->data_size ? 1 : -1;
    return x < y ? -1 : x > y;
}

j2k_status j2k_ebcot_decode(ebcot_decoder *d, decode_job *jobs, size_t count) {
    enum { MAX_GROUP = 1024 };
    decode_job *group[MAX_GROUP];
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++) {
        if (d->lanes && jobs[i].num_bitplanes <= MAX_BITPLANES && j2k_ebcot_dec_lanes_take(&jobs[i]))
            group[waiting++] = &jobs[i];
        else if (jobs[i].num_bitplanes <= MAX_BITPLANES)
            j2k_block_decode(&d->block, &d->kernels, d->dsp, &jobs[i]);
        else if (wide_state(d))
            j2k_block_decode(d->wide, &d->kernels, d->dsp, &jobs[i]);
        else
            return J2K_ERROR_MEMORY;
        if (waiting < MAX_GROUP && i + 1 < count)
            continue;
        if (waiting >= EBCOT_DEC_LANES_MIN) {
            qsort(group, waiting, sizeof *group, compare_jobs);
            j2k_ebcot_dec_lanes_decode(d->lanes, group, waiting);
        } else {
            for (size_t k = 0; k < waiting; k++)
                j2k_block_decode(&d->block, &d->kernels, d->dsp, group[k]);
        }
        waiting = 0;
    }
    return J2K_OK;
}
