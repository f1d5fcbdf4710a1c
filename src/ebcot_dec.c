/* The Part 1 block decoder (T.800 annex D): codeword segments, coding passes in their order, results.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "ebcot_dec_passes.h"
#include "quant.h"

struct ebcot_decoder {
    const dsp_kernels *dsp;
    const ebcot_dec_kernels *kernels;
    ebcot_dec_tables tables;
    block_state block;
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
    ebcot_decoder *decoder = ARENA_ALLOC(memory, ebcot_decoder, 1);
    if (!decoder)
        return NULL;
    decoder->dsp = dsp;
    decoder->kernels = &EBCOT_DEC_KERNELS;
    (void)cpu;
    make_tables(&decoder->tables);
    decoder->block.tables = &decoder->tables;
    return decoder;
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

static void begin_block(block_state *b, const decode_job *job) {
    b->width = job->width;
    b->height = job->height;
    b->chunks = (job->width + CHUNK_COLUMNS - 1u) / CHUNK_COLUMNS;
    b->stripes = (job->height + STRIPE_ROWS - 1u) / STRIPE_ROWS;
    b->pitch = b->chunks + 1;
    b->words = (b->stripes + 2) * b->pitch + 1;
    b->causal = (job->style & J2K_STYLE_CAUSAL) != 0;
    b->zero = b->tables->zero[job->orientation & 3];
    memset(b->significant, 0, b->words * sizeof *b->significant);
    memset(b->negative, 0, b->words * sizeof *b->negative);
    memset(b->visited, 0, b->words * sizeof *b->visited);
    memset(b->refined, 0, b->words * sizeof *b->refined);
    memset(b->planes, 0, (job->num_bitplanes + (size_t)1) * b->words * sizeof *b->planes);
    make_valid(b);
    reset_contexts(b);
}

/* ---- codeword segments */

typedef struct chunk_cursor {
    const data_chunk *chunk;
    uint32_t offset;
} chunk_cursor;

/* Open a segment: unstuff its bytes, which may come from several packets, and leave the cursor behind it. */
static void open_segment(block_state *b, chunk_cursor *cursor, uint32_t size, bool raw) {
    unstuffer u;
    uint32_t wanted = size < MQ_MAX_SEGMENT ? size : MQ_MAX_SEGMENT;
    unstuff_begin(&u, b->bits, raw);
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
    mq_open(&b->mq, b->bits, unstuff_end(&u), raw);
}

/* The four symbols behind a cleanup pass (D.5) must be 1010. */
static bool read_segmentation_symbol(block_state *b) {
    unsigned symbol = 0;
    for (unsigned i = 0; i < 4; i++)
        symbol = symbol << 1 | mq_decode(&b->mq, &b->contexts[CTX_UNIFORM], b->tables->states);
    return symbol == 0xA;
}

/* ---- decoding */

/* Decode the job's passes and return how many there were. job->sound is cleared where they end early. */
static unsigned decode_passes(ebcot_decoder *d, decode_job *job) {
    block_state *b = &d->block;
    const unsigned style = job->style, possible = 3u * job->num_bitplanes - 2;
    chunk_cursor cursor = {job->chunks, 0};
    const codeword_segment *segment = job->segments;
    unsigned pass = 0;
    for (; segment && pass < job->num_passes; segment = segment->next) {
        bool raw = ebcot_pass_is_raw(style, pass);
        open_segment(b, &cursor, segment->size, raw);
        for (unsigned n = segment->num_passes; n && pass < job->num_passes; n--) {
            if (pass == possible || raw != (bool)ebcot_pass_is_raw(style, pass)) {
                job->sound = false;
                return pass;
            }
            unsigned kind = (pass + 2) % 3, bitplane = job->num_bitplanes - 1u - (pass + 2) / 3;
            d->kernels->decode_pass(b, kind, raw, b->planes + (bitplane + (size_t)1) * b->words);
            pass++;
            if (kind == PASS_CLEANUP && (style & J2K_STYLE_SEGMENTATION) && !read_segmentation_symbol(b)) {
                job->sound = false;
                return pass;
            }
            if (style & J2K_STYLE_RESET)
                reset_contexts(b);
        }
    }
    if (pass < job->num_passes)
        job->sound = false;
    return pass;
}

/* Add the midpoints of the intervals of uncertainty (E.1.1.2 with r = 1/2): a sample whose last bit-plane is
 * p gets the bit below it, which is slot p. After a significance propagation pass only the visited samples
 * are in its bit-plane, the others are one up; after the other passes all significant samples are. Returns
 * the lowest slot in use. */
static unsigned add_midpoints(block_state *b, unsigned last_pass, unsigned num_bitplanes, bool irreversible) {
    unsigned bitplane = num_bitplanes - 1 - (last_pass + 2) / 3;
    bool partial = (last_pass + 2) % 3 == PASS_SIGNIFICANCE;
    bool exact = bitplane == 0 && !irreversible; /* nothing below the last bit */
    uint64_t *half = b->planes + (size_t)bitplane * b->words, *above = half + b->words;
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

static void decode_block(ebcot_decoder *d, decode_job *job) {
    block_state *b = &d->block;
    unsigned passes = 0;
    job->sound = true;
    if (job->num_passes && job->num_bitplanes) {
        begin_block(b, job);
        passes = decode_passes(d, job);
    } else if (job->num_passes) {
        job->sound = false;
    }
    if (!passes) {
        j2k_zero_block(&job->sink);
        return;
    }
    unsigned lowest = add_midpoints(b, passes - 1, job->num_bitplanes, job->sink.irreversible);
    d->kernels->assemble(b, lowest, job->num_bitplanes);
    j2k_dequantise_block(d->dsp, &job->sink, b->samples, (ptrdiff_t)b->chunks * CHUNK_COLUMNS);
}

void j2k_ebcot_decode(ebcot_decoder *decoder, decode_job *jobs, size_t count) {
    for (size_t i = 0; i < count; i++)
        decode_block(decoder, &jobs[i]);
}
