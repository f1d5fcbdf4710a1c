/* What the tests of the transforms share: checks that count failures, and random numbers.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRANSFORM_CHECK_H
#define TEST_TRANSFORM_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int check_failures, check_count;

/* Prints the place and the message (printf style) when the condition does not hold. */
#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        check_count++;                                                                                       \
        if (!(condition) && check_failures++ < 20) {                                                         \
            printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                           \
            printf(__VA_ARGS__);                                                                             \
            printf("\n");                                                                                    \
        }                                                                                                    \
    } while (0)

/* The exit status of the test program. */
static inline int check_result(void) {
    printf("%d checks, %d failures\n", check_count, check_failures);
    return check_failures != 0 || check_count == 0;
}

/* xorshift64*: G. Marsaglia, S. Vigna. */
static uint64_t random_state = 0x9E3779B97F4A7C15u;

static inline uint32_t random_u32(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Du) >> 32);
}

/* In [0, n). */
static inline uint32_t random_below(uint32_t n) {
    return (uint32_t)((uint64_t)random_u32() * n >> 32);
}

static inline void *check_alloc(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p) {
        printf("out of memory\n");
        exit(2);
    }
    return p;
}

#endif
