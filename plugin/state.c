/* What the plugin keeps for the process: default parameters, idle engine contexts, the last error.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "state.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <pthread.h>
#endif

enum { MAX_IDLE_CONTEXTS = 64 };

typedef struct idle_context {
    j2k_context *context; /* NULL: free slot */
    unsigned num_threads;
} idle_context;

static struct {
    bool has_defaults;
    params defaults;
    bool defaults_bad;
    diagnosis defaults_why;
    idle_context idle[MAX_IDLE_CONTEXTS];
    diagnosis last_error;
    bool forks_watched;
} state;

/* ---- the lock
 * --------------------------------------------------------------------------------------------------- */

#if defined(_WIN32)

static SRWLOCK mutex = SRWLOCK_INIT;

static void lock(void) {
    AcquireSRWLockExclusive(&mutex);
}
static void unlock(void) {
    ReleaseSRWLockExclusive(&mutex);
}

#else

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void) {
    pthread_mutex_lock(&mutex);
}
static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&mutex);
}

/* Contexts with worker threads are lost in the child, where these threads do not exist: using one would wait
 * for them forever, and so would destroying it. */
static void after_fork_in_child(void) {
    for (int i = 0; i < MAX_IDLE_CONTEXTS; i++) {
        if (state.idle[i].num_threads != 1)
            state.idle[i].context = NULL;
    }
    pthread_mutex_unlock(&mutex);
}

static void lock(void) {
    pthread_mutex_lock(&mutex);
    if (!state.forks_watched)
        state.forks_watched = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

static void unlock(void) {
    pthread_mutex_unlock(&mutex);
}

#endif

/* ---- defaults
 * --------------------------------------------------------------------------------------------------- */

static params *locked_defaults(void) {
    if (!state.has_defaults) {
        params_set_defaults(&state.defaults);
        state.has_defaults = true;
    }
    return &state.defaults;
}

j2k_status state_get_defaults(params *p, diagnosis *why) {
    lock();
    *p = *locked_defaults();
    bool bad = state.defaults_bad;
    if (bad)
        *why = state.defaults_why;
    unlock();
    return bad ? J2K_ERROR_ARGUMENT : J2K_OK;
}

void state_set_defaults(const params *p, const diagnosis *why) {
    lock();
    if (p)
        *locked_defaults() = *p;
    state.defaults_bad = why != NULL;
    if (why)
        state.defaults_why = *why;
    unlock();
}

j2k_status state_change_defaults(const char *text, diagnosis *why) {
    j2k_status status = J2K_OK;
    lock();
    params *p = locked_defaults();
    if (text)
        status = params_parse(p, text, strlen(text), why);
    else
        params_set_defaults(p);
    if (status == J2K_OK)
        state.defaults_bad = false;
    unlock();
    return status;
}

/* ---- contexts
 * --------------------------------------------------------------------------------------------------- */

j2k_context *state_take_context(unsigned num_threads) {
    j2k_context *context = NULL;
    lock();
    for (int i = 0; i < MAX_IDLE_CONTEXTS && !context; i++) {
        if (state.idle[i].context && state.idle[i].num_threads == num_threads) {
            context = state.idle[i].context;
            state.idle[i].context = NULL;
        }
    }
    unlock();
    return context ? context : j2k_context_create(num_threads, J2K_CPU_ALL);
}

void state_give_context(j2k_context *context, unsigned num_threads) {
    lock();
    for (int i = 0; i < MAX_IDLE_CONTEXTS && context; i++) {
        if (!state.idle[i].context) {
            state.idle[i] = (idle_context){context, num_threads};
            context = NULL;
        }
    }
    unlock();
    j2k_context_destroy(context);
}

void state_free_contexts(void) {
    idle_context idle[MAX_IDLE_CONTEXTS];
    lock();
    memcpy(idle, state.idle, sizeof idle);
    memset(state.idle, 0, sizeof state.idle);
    unlock();
    for (int i = 0; i < MAX_IDLE_CONTEXTS; i++)
        j2k_context_destroy(idle[i].context);
}

/* ---- errors
 * ----------------------------------------------------------------------------------------------------- */

j2k_status fail(diagnosis *why, j2k_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return status;
}

j2k_status fail_in(diagnosis *why, j2k_status status, const char *what) {
    diagnosis inner = *why;
    snprintf(why->text, sizeof why->text, "%.100s: %.400s", what, inner.text);
    return status;
}

void state_report(const diagnosis *why, bool verbose) {
    lock();
    state.last_error = *why;
    unlock();
    if (verbose)
        fprintf(stderr, "blosc2_grok: %s\n", why->text);
}

size_t state_last_error(char *text, size_t capacity) {
    lock();
    size_t length = strlen(state.last_error.text);
    if (capacity)
        snprintf(text, capacity, "%s", state.last_error.text);
    unlock();
    return length;
}
