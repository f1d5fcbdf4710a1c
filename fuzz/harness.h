/* What all fuzz targets share: the entry point, and memory whose every allocation sanitizers know.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#define OWN_ARENAS
#include "../tests/hostile/own_memory.h"

#include "../tests/hostile/decode_any.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_PIXELS = 1 << 20, FUZZ_MEMORY = 256 << 20 };

/* Stop here when something is not as it has to be. */
#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

static inline void fuzz_limits(j2k_decode_options *options) {
    j2k_decode_options_init(options);
    options->max_pixels = FUZZ_PIXELS;
    options->max_memory = FUZZ_MEMORY;
}

/* Read every byte, so that a span that leads out of the data is seen. */
static inline unsigned fuzz_touch(const void *data, size_t size) {
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += ((const uint8_t *)data)[i];
    return sum;
}

#endif
