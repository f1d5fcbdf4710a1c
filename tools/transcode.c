/* j2k transcode: rewrite a JPEG 2000 file without decoding it to samples.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "transcode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image_file.h"

enum { STATUS_USAGE = 2 };

static const char usage_text[] =
    "usage: j2k transcode [OPTIONS] INPUT OUTPUT\n"
    "\n"
    "Rewrites a JPEG 2000 codestream or file; what is decoded from it stays bit for bit the same. What no "
    "option "
    "names stays as it\nis. \"-\" is standard input or output.\n"
    "\n"
    "  --ht, --part1              block coding: high-throughput (Part 15), or that of Part 1\n"
    "  --style LIST               of Part 1: bypass,reset,termall,pterm,segmentation or none\n"
    "  --progression LRCP|RLCP|RPCL|PCRL|CPRL\n"
    "  --merge-layers             one layer of all\n"
    "  --sop, --eph, --plt, --tlm, --no-sop, --no-eph, --no-plt, --no-tlm\n"
    "  --tile-parts R|L|C         new tile-part at each resolution, layer or component (default: one a "
    "tile)\n"
    "  --format j2k|jp2|jph       default: boxes stay if there are any\n"
    "  --tolerant                 transcode what is there of truncated or damaged data\n"
    "  --max-pixels N, --max-memory N\n"
    "  --threads N                threads, 0: one a processor (default 1)\n"
    "  --no-simd                  plain C only\n"
    "  --repeat N                 do the work N times in memory and print the best time\n";

typedef struct job {
    j2k_transcode_options options;
    const char *files[2];
    unsigned num_files, threads, cpu_mask, repeat;
} job;

typedef struct name {
    const char *text;
    int value;
} name;

static const name progressions[] = {{"LRCP", J2K_LRCP}, {"RLCP", J2K_RLCP}, {"RPCL", J2K_RPCL},
                                    {"PCRL", J2K_PCRL}, {"CPRL", J2K_CPRL}, {NULL, 0}};
static const name formats[] = {
    {"j2k", J2K_FORMAT_CODESTREAM}, {"jp2", J2K_FORMAT_JP2}, {"jph", J2K_FORMAT_JPH}, {NULL, 0}};
static const name styles[] = {{"bypass", J2K_STYLE_BYPASS},
                              {"reset", J2K_STYLE_RESET},
                              {"termall", J2K_STYLE_TERMALL},
                              {"pterm", J2K_STYLE_PTERM},
                              {"segmentation", J2K_STYLE_SEGMENTATION},
                              {"none", 0},
                              {NULL, 0}};

/* The OR of the values of comma-separated names; -1 when one is unknown. */
static int find_names(const name *names, const char *text) {
    int values = 0;
    for (size_t length; *text; text += length + (text[length] == ',')) {
        const name *n = names;
        length = strcspn(text, ",");
        while (n->text && (strlen(n->text) != length || strncmp(n->text, text, length) != 0))
            n++;
        if (!n->text)
            return -1;
        values |= n->value;
    }
    return values;
}

static bool parse_number(const char *text, uint64_t limit, uint64_t *value) {
    char *end;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *value <= limit;
}

/* Options without a value. */
static bool set_flag(job *j, const char *option) {
    j2k_transcode_options *o = &j->options;
    const struct {
        const char *text;
        int *place, value;
    } flags[] = {{"--ht", &o->ht, 1},      {"--part1", &o->ht, 0},   {"--sop", &o->sop, 1},
                 {"--eph", &o->eph, 1},    {"--plt", &o->plt, 1},    {"--tlm", &o->tlm, 1},
                 {"--no-sop", &o->sop, 0}, {"--no-eph", &o->eph, 0}, {"--no-plt", &o->plt, 0},
                 {"--no-tlm", &o->tlm, 0}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(option, flags[i].text) == 0) {
            *flags[i].place = flags[i].value;
            return true;
        }
    if (strcmp(option, "--merge-layers") == 0)
        o->merge_layers = true;
    else if (strcmp(option, "--tolerant") == 0)
        o->tolerant = true;
    else if (strcmp(option, "--no-simd") == 0)
        j->cpu_mask = 0;
    else
        return false;
    return true;
}

typedef enum outcome { DONE, BAD_VALUE, UNKNOWN } outcome;

static outcome set_value(job *j, const char *option, const char *value) {
    j2k_transcode_options *o = &j->options;
    uint64_t number = 0;
    const struct {
        const char *text;
        const name *names;
        int *place;
    } lists[] = {{"--progression", progressions, &o->progression},
                 {"--format", formats, &o->format},
                 {"--style", styles, &o->codeblock_style}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(option, lists[i].text) == 0) {
            bool one = lists[i].names == styles || !strchr(value, ',');
            *lists[i].place = *value && one ? find_names(lists[i].names, value) : -1;
            return *lists[i].place < 0 ? BAD_VALUE : DONE;
        }
    if (strcmp(option, "--tile-parts") == 0) {
        o->tile_parts = value[0];
        return value[0] && strchr("RLC", value[0]) && !value[1] ? DONE : BAD_VALUE;
    }
    bool small = strcmp(option, "--threads") == 0 || strcmp(option, "--repeat") == 0;
    bool valid = parse_number(value, small ? 65535 : UINT64_MAX, &number);
    if (strcmp(option, "--threads") == 0)
        j->threads = (unsigned)number;
    else if (strcmp(option, "--repeat") == 0)
        j->repeat = (unsigned)number;
    else if (strcmp(option, "--max-pixels") == 0)
        o->max_pixels = number;
    else if (strcmp(option, "--max-memory") == 0)
        o->max_memory = number;
    else
        return UNKNOWN;
    return valid && !(small && strcmp(option, "--repeat") == 0 && !number) ? DONE : BAD_VALUE;
}

static bool parse(job *j, int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        if (argument[0] != '-' || !argument[1]) {
            if (j->num_files == 2)
                return complain("one input and one output file");
            j->files[j->num_files++] = argument;
        } else if (!set_flag(j, argument)) {
            const char *value = i + 1 < argc ? argv[i + 1] : "";
            outcome result = set_value(j, argument, value);
            if (result == UNKNOWN)
                return complain("unknown option %s (see j2k transcode --help)", argument);
            if (result == BAD_VALUE)
                return complain("bad value for %s: %s", argument, value);
            i++;
        }
    }
    return j->num_files == 2 || complain("give an input and an output file (see j2k transcode --help)");
}

static double seconds_now(void) {
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool run(const job *j, j2k_context *context) {
    unsigned char *data, *out = NULL;
    size_t size, out_size = 0, capacity;
    if (!read_file(j->files[0], &data, &size))
        return false;
    j2k_status status = J2K_ERROR_BUFFER;
    double best = 1e30;
    capacity = size + size / 4 + 4096;
    for (unsigned done = 0; done < j->repeat && status != J2K_ERROR_MEMORY;) {
        if (!out)
            out = malloc(capacity);
        if (!out) {
            status = J2K_ERROR_MEMORY;
            break;
        }
        double start = seconds_now();
        status = j2k_transcode(context, data, size, &j->options, out, capacity, &out_size);
        double taken = seconds_now() - start;
        if (status == J2K_ERROR_BUFFER) {
            free(out);
            out = NULL;
            capacity = out_size;
            continue;
        }
        best = taken < best ? taken : best;
        done++;
        if (status != J2K_OK)
            break;
    }
    bool ok = status == J2K_OK;
    const char *message = j2k_context_message(context), *warning = j2k_context_warning(context);
    if (!ok)
        complain("%s: %s%s%s", j->files[0], j2k_status_string(status), *message ? ": " : "", message);
    if (ok && *warning)
        fprintf(stderr, "j2k: %s: warning: %s\n", j->files[0], warning);
    ok = ok && write_file(j->files[1], out, out_size);
    if (ok && j->repeat > 1)
        fprintf(stderr, "transcode: %zu bytes to %zu, best of %u: %.6f s\n", size, out_size, j->repeat, best);
    free(out);
    free(data);
    return ok;
}

int transcode_main(int argc, char **argv) {
    job j = {.threads = 1, .cpu_mask = J2K_CPU_ALL, .repeat = 1};
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage_text, stdout);
            return EXIT_SUCCESS;
        }
    j2k_transcode_options_init(&j.options);
    if (!parse(&j, argc, argv))
        return STATUS_USAGE;
    j2k_context *context = j2k_context_create(j.threads, j.cpu_mask);
    if (!context) {
        complain("out of memory");
        return EXIT_FAILURE;
    }
    bool ok = run(&j, context);
    j2k_context_destroy(context);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
