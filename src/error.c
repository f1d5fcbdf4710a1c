/* Status codes and error messages.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

j2k_status j2k_fail(diagnostics *diag, j2k_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(diag->message, sizeof diag->message, format, arguments);
    va_end(arguments);
    return status;
}

void j2k_warn(diagnostics *diag, const char *format, ...) {
    size_t left = sizeof diag->warning - diag->warning_size;
    if (j2k_warnings_full(diag))
        return;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(diag->warning + diag->warning_size, left, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n + 1 >= left) { /* does not fit: keep the whole lines before it */
        diag->warning[diag->warning_size] = 0;
        diag->warning_size = sizeof diag->warning - 1;
        return;
    }
    diag->warning_size += (size_t)n;
    diag->warning[diag->warning_size++] = '\n';
    diag->warning[diag->warning_size] = 0;
}

const char *j2k_status_string(j2k_status status) {
    switch (status) {
    case J2K_OK:
        return "no error";
    case J2K_ERROR_ARGUMENT:
        return "invalid argument";
    case J2K_ERROR_MEMORY:
        return "out of memory";
    case J2K_ERROR_BUFFER:
        return "output buffer too small";
    case J2K_ERROR_TRUNCATED:
        return "data end too early";
    case J2K_ERROR_CORRUPT:
        return "corrupt data";
    case J2K_ERROR_UNSUPPORTED:
        return "unsupported feature";
    case J2K_ERROR_LIMIT:
        return "limit exceeded";
    case J2K_ERROR_INTERNAL:
        return "internal error";
    }
    return "unknown status";
}
