/* The rows of the table of parameters, for the files that read and write them.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef PARAMS_TABLE_H
#define PARAMS_TABLE_H

#include "params.h"

typedef struct choice {
    const char *name; /* of several names of one value the first is the one written */
    int64_t value;
} choice;

typedef enum parameter_type {
    INTEGER, /* int64_t */
    NUMBER,  /* double, 0 or more */
    CHOICE,  /* int64_t */
    FLAGS,   /* int64_t */
    PAIR,    /* int64_t[2] */
    NUMBERS, /* quality_layers */
    PAIRS,   /* pair_list: "256,256|128,128" */
    RECTS,   /* rect_list: "x0,y0,x1,y1|x0,y0,x1,y1" */
    TEXT     /* char[high]; in text form "%3B" is a semicolon, "%25" a percent sign */
} parameter_type;

typedef struct parameter {
    const char *name;
    parameter_type type;
    size_t offset;
    int64_t low, high;     /* INTEGER, PAIR, PAIRS, RECTS */
    const choice *choices; /* CHOICE, FLAGS; ends with a NULL name */
    const char *default_value;
    const char *allowed;
    const char *meaning;
    const char *peers; /* options of Grok's and OpenJPEG's programs */
} parameter;

/* A row, NULL beyond the last one; their number is at most 64. */
const parameter *params_row(int index);
/* By name, which need not be terminated; NULL when there is none. Its index goes to *index. */
const parameter *params_find(const char *name, size_t length, int *index);

/* A value in text form into p; false when it is not allowed. */
bool params_parse_value(params *p, const parameter *row, const char *text, size_t length);
/* The value in text form into text[0 .. capacity), terminated; returns its length. */
size_t params_format_value(const params *p, const parameter *row, char *text, size_t capacity);
/* A choice's value by its name or number. */
bool params_parse_choice(const parameter *row, const char *text, size_t length, int64_t *value);

static inline bool is_power_of_two(int64_t value) {
    return value > 0 && (value & (value - 1)) == 0;
}

#endif
