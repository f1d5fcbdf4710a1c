/* What all files of the plugin share: messages.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stddef.h>

#include "j2k.h"

#if defined(__GNUC__)
#define PLUGIN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define PLUGIN_PRINTF(text, first)
#endif

/* Why something failed: one per call, on the stack of the call. */
typedef struct diagnosis {
    char text[1024];
} diagnosis;

/* Format the message and return status. */
j2k_status fail(diagnosis *why, j2k_status status, const char *format, ...) PLUGIN_PRINTF(3, 4);

/* Put "what: " before the message there is, and return status. */
j2k_status fail_in(diagnosis *why, j2k_status status, const char *what);

#endif
