/* The Part 1 block decoder against a plain coder written from annexes C and D: all styles, shapes, partial
 * and damaged data. SPDX-License-Identifier: BSD-3-Clause */
#include "ebcot_cases.h"

/* The coefficients cut off below bit-plane p, doubled, with midpoint. */
static int64_t cut(int32_t x, unsigned p, bool exact) {
    int64_t m = (int64_t)(labs(x) >> p << p) * 2;
    if (m && (p || !exact))
        m += (int64_t)1 << p;
    return x < 0 ? -m : m;
}

static void decode_one(fixture *f, ebcot_case *c, bool irreversible) {
    case_job(c, irreversible);
    j2k_ebcot_decode(f->decoder, &c->job, 1);
}

static void check_exact(fixture *f, int width, int height, unsigned style) {
    ebcot_case *c = &f->cases[0];
    case_make(c, width, height, (int)pick(4), style, 1 + pick(style % 4 ? 12 : 30));
    decode_one(f, c, false);
    EXPECT(c->job.sound, "style %u", style);
    bool same = true;
    for (int i = 0; i < width * height; i++)
        same &= c->integers[i] == c->coefficients[i];
    EXPECT(same, "%dx%d style %u planes %u", width, height, style, c->planes);
}

static void test_exact(fixture *f) {
    static const int shapes[][2] = {{64, 64},  {1, 1},    {4, 4},    {1024, 4}, {4, 1024}, {32, 32},
                                    {1, 1024}, {1024, 1}, {7, 5},    {17, 3},   {64, 61},  {33, 64},
                                    {3, 300},  {300, 9},  {128, 32}, {9, 455}};
    for (unsigned style = 0; style < 64; style++)
        check_exact(f, 1 + (int)pick(64), 1 + (int)pick(64), style);
    for (unsigned n = 0; n < sizeof shapes / sizeof *shapes; n++)
        for (unsigned k = 0; k < 8; k++)
            check_exact(f, shapes[n][0], shapes[n][1], k ? pick(64) : 0);
}

/* Fewer passes than there are: complete planes against the coefficients, everything against the plain
 * decoder. */
static void test_partial(fixture *f) {
    for (unsigned n = 0; n < 150; n++) {
        ebcot_case *c = &f->cases[0];
        unsigned style = pick(64), planes = 1 + pick(14);
        int width = 1 + (int)pick(64), height = 1 + (int)pick(64);
        bool irreversible = n & 1;
        case_make(c, width, height, (int)pick(4), style, planes);
        case_keep_passes(c, 1 + pick(c->stream.num_passes));
        decode_one(f, c, irreversible);
        EXPECT(c->job.sound, "style %u", c->job.style);
        EXPECT(case_agrees(c, irreversible), "plain decoder");
        if (c->stream.num_passes % 3 == 1) {
            unsigned p = planes - 1 - c->stream.num_passes / 3;
            bool same = true;
            for (int i = 0; i < width * height; i++)
                same &= case_result(c, i, irreversible) == cut(c->coefficients[i], p, !irreversible);
            EXPECT(same, "coefficients");
        }
    }
}

/* Truncated, flipped and random bytes decode as in the plain decoder. */
static void test_damaged(fixture *f) {
    for (unsigned n = 0; n < 600; n++) {
        ebcot_case *c = &f->cases[0];
        unsigned style = pick(64), planes = 1 + pick(n % 8 ? 12 : 30);
        int width = 1 + (int)pick(40), height = 1 + (int)pick(40);
        case_make(c, width, height, (int)pick(4), style, planes);
        case_damage(c, n % NUM_DAMAGES);
        bool irreversible = planes < 22 && (n & 16);
        decode_one(f, c, irreversible);
        EXPECT(case_agrees(c, irreversible), "plain decoder");
    }
}

/* Bytes that make carries behind FF, in long runs, as no encoder does: the two decoders may differ (see
 * mq_dec.h), but the result is always the same. */
static void test_carries(fixture *f) {
    for (unsigned n = 0; n < 40; n++) {
        ebcot_case *c = &f->cases[0];
        case_make(c, 1 + (int)pick(64), 1 + (int)pick(64), 0, n & 4 ? PLAIN_TERMALL : 0, 10);
        for (size_t i = 0; i < c->stream.size; i++) {
            unsigned r = pick(8);
            bool after_ff = i && c->stream.data[i - 1] == 0xFF;
            if (after_ff)
                c->stream.data[i] = (uint8_t)(r < 3 ? 0x7F : r < 6 ? 0x80 : 0x80 + pick(16));
            else if (r < 6)
                c->stream.data[i] = 0xFF;
        }
        decode_one(f, c, false);
        EXPECT(c->job.sound, "refused");
        EXPECT(case_agrees(c, false), "plain decoder");
        int32_t first[MAX_BLOCK_SIZE];
        memcpy(first, c->integers, sizeof first);
        decode_one(f, c, false);
        EXPECT(!memcmp(first, c->integers, sizeof first), "changed");
    }
}

/* Jobs that contradict themselves. */
static void test_contradictions(fixture *f) {
    ebcot_case *c = &f->cases[0];
    case_make(c, 64, 64, 0, 0, 5);
    case_job(c, false);
    c->job.num_bitplanes = 4; /* 13 passes in 4 bit-planes */
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(!c->job.sound, "accepted");

    case_job(c, false);
    c->job.num_passes++; /* more than the segments have */
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(!c->job.sound, "accepted");
    bool same = true;
    for (int i = 0; i < 4096; i++)
        same &= c->integers[i] == c->coefficients[i];
    EXPECT(same, "coefficients");

    case_job(c, false);
    c->job.segments = NULL;
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(!c->job.sound, "accepted");
    same = true;
    for (int i = 0; i < 4096; i++)
        same &= c->integers[i] == 0;
    EXPECT(same, "coefficients");

    case_job(c, false);
    c->job.num_bitplanes = 0;
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(!c->job.sound, "accepted");

    case_job(c, false);
    c->job.num_passes = 0;
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(c->job.sound, "style %u", c->job.style);

    case_job(c, false);
    c->job.chunks = NULL; /* all ones */
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(c->job.sound, "style %u", c->job.style);

    case_job(c, false);
    c->job.style = J2K_STYLE_BYPASS; /* one segment with arithmetic and raw passes */
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(!c->job.sound, "accepted");

    /* A segment longer than anything that can be used. */
    size_t size = 400000;
    uint8_t *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)pick(256);
    data_chunk chunk = {NULL, data, (uint32_t)size, 0};
    codeword_segment segment = {NULL, MAX_PASSES, 164, (uint32_t)size};
    case_job(c, false);
    c->job.num_bitplanes = MAX_BITPLANES;
    c->job.num_passes = MAX_PASSES;
    c->job.data_size = (uint32_t)size;
    c->job.chunks = &chunk;
    c->job.segments = &segment;
    j2k_ebcot_decode(f->decoder, &c->job, 1);
    EXPECT(c->job.sound, "style %u", c->job.style);
    free(data);
}

/* Several jobs in one call give what each gives alone. */
static void test_batches(fixture *f) {
    for (unsigned n = 0; n < 12; n++) {
        size_t count = 1 + pick(NUM_CASES);
        decode_job jobs[NUM_CASES];
        for (size_t k = 0; k < count; k++) {
            ebcot_case *c = &f->cases[k];
            unsigned style = n % 3 == 0 ? 0 : pick(64);
            case_make(c, 1 + (int)pick(64), 1 + (int)pick(64), (int)pick(4), style, 1 + pick(12));
            case_damage(c, pick(NUM_DAMAGES));
            case_job(c, false);
            jobs[k] = c->job;
        }
        j2k_ebcot_decode(f->decoder, jobs, count);
        for (size_t k = 0; k < count; k++) {
            f->cases[k].job.sound = jobs[k].sound;
            EXPECT(case_agrees(&f->cases[k], false), "plain decoder");
        }
    }
}

int main(void) {
    const unsigned masks[] = {0, J2K_CPU_AVX2, J2K_CPU_ALL};
    for (unsigned m = 0; m < sizeof masks / sizeof *masks; m++) {
        fixture *f = fixture_create(masks[m] & j2k_cpu_flags());
        test_exact(f);
        test_partial(f);
        test_damaged(f);
        test_carries(f);
        test_contradictions(f);
        test_batches(f);
        fixture_free(f);
    }
    return expect_result();
}
