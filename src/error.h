/* Status codes, error messages and the two macros that pass them on.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_ERROR_H
#define J2K_ERROR_H

#include "j2k.h"

#if defined(__GNUC__)
#define J2K_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define J2K_LIKELY(x)           __builtin_expect(!!(x), 1)
#define J2K_UNLIKELY(x)         __builtin_expect(!!(x), 0)
#define J2K_INLINE              static inline __attribute__((always_inline))
#define J2K_RESTRICT            __restrict__
#else
#define J2K_PRINTF(text, first)
#define J2K_LIKELY(x)   (x)
#define J2K_UNLIKELY(x) (x)
#define J2K_INLINE      static inline
#define J2K_RESTRICT    __restrict
#endif

/* Where messages go. One per context, used by the thread that called the API, never by workers: these return
 * a status only. Warnings (tolerant decoding) are appended, one a line, until the buffer is full. */
typedef struct diagnostics {
    char message[320];
    char warning[1024];
    size_t warning_size;
} diagnostics;

/* Format the message and return status, so that a check reads `return j2k_fail(d, J2K_ERROR_CORRUPT, "...",
 * ...)`. */
j2k_status j2k_fail(diagnostics *diag, j2k_status status, const char *format, ...) J2K_PRINTF(3, 4);
void j2k_warn(diagnostics *diag, const char *format, ...) J2K_PRINTF(2, 3);

/* Whether there is no room for another warning: what comes then is not worth formatting. */
static inline bool j2k_warnings_full(const diagnostics *diag) {
    return sizeof diag->warning - diag->warning_size < 2;
}

#define TRY(expression)                                                                                      \
    do {                                                                                                     \
        j2k_status try_status_ = (expression);                                                               \
        if (J2K_UNLIKELY(try_status_ != J2K_OK))                                                             \
            return try_status_;                                                                              \
    } while (0)

#define RETURN_IF(condition, status)                                                                         \
    do {                                                                                                     \
        if (J2K_UNLIKELY(condition))                                                                         \
            return (status);                                                                                 \
    } while (0)

#endif
