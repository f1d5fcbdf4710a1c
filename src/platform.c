/* The only door to the operating system: aligned memory, threads, processor count.
 * SPDX-License-Identifier: BSD-3-Clause */
#if !defined(_WIN32) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity; on other systems it does no harm */
#endif
#include "platform.h"

#include <stdlib.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <malloc.h>
#include <process.h>
#include <windows.h>
#else
#include <pthread.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif
#endif

void *j2k_zero_alloc(size_t count, size_t size) {
    return calloc(count, size);
}
void j2k_zero_free(void *pointer) {
    free(pointer);
}

#if defined(_WIN32)

void *j2k_aligned_alloc(size_t alignment, size_t size) {
    return _aligned_malloc(size, alignment);
}
void j2k_aligned_free(void *pointer) {
    _aligned_free(pointer);
}

unsigned j2k_processor_count(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors ? (unsigned)info.dwNumberOfProcessors : 1;
}

long j2k_process_id(void) {
    return (long)GetCurrentProcessId();
}

struct j2k_thread {
    HANDLE handle;
    void (*run)(void *);
    void *argument;
};

static unsigned __stdcall thread_main(void *p) {
    j2k_thread *thread = p;
    thread->run(thread->argument);
    return 0;
}

j2k_thread *j2k_thread_start(void (*run)(void *), void *argument) {
    j2k_thread *thread = malloc(sizeof *thread);
    if (!thread)
        return NULL;
    thread->run = run;
    thread->argument = argument;
    thread->handle = (HANDLE)_beginthreadex(NULL, 0, thread_main, thread, 0, NULL);
    if (!thread->handle) {
        free(thread);
        return NULL;
    }
    return thread;
}

void j2k_thread_join(j2k_thread *thread) {
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
    free(thread);
}

struct j2k_mutex {
    SRWLOCK lock;
};
struct j2k_condition {
    CONDITION_VARIABLE variable;
};

j2k_mutex *j2k_mutex_create(void) {
    j2k_mutex *mutex = malloc(sizeof *mutex);
    if (mutex)
        InitializeSRWLock(&mutex->lock);
    return mutex;
}
void j2k_mutex_destroy(j2k_mutex *mutex) {
    free(mutex);
}
void j2k_mutex_lock(j2k_mutex *mutex) {
    AcquireSRWLockExclusive(&mutex->lock);
}
void j2k_mutex_unlock(j2k_mutex *mutex) {
    ReleaseSRWLockExclusive(&mutex->lock);
}

j2k_condition *j2k_condition_create(void) {
    j2k_condition *condition = malloc(sizeof *condition);
    if (condition)
        InitializeConditionVariable(&condition->variable);
    return condition;
}
void j2k_condition_destroy(j2k_condition *condition) {
    free(condition);
}
void j2k_condition_wait(j2k_condition *condition, j2k_mutex *mutex) {
    SleepConditionVariableSRW(&condition->variable, &mutex->lock, INFINITE, 0);
}
void j2k_condition_broadcast(j2k_condition *condition) {
    WakeAllConditionVariable(&condition->variable);
}

#else /* POSIX */

void *j2k_aligned_alloc(size_t alignment, size_t size) {
    void *pointer = NULL;
    return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
}
void j2k_aligned_free(void *pointer) {
    free(pointer);
}

unsigned j2k_processor_count(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

long j2k_process_id(void) {
    return (long)getpid();
}

struct j2k_thread {
    pthread_t id;
    void (*run)(void *);
    void *argument;
};

static void *thread_main(void *p) {
    j2k_thread *thread = p;
    thread->run(thread->argument);
    return NULL;
}

j2k_thread *j2k_thread_start(void (*run)(void *), void *argument) {
    j2k_thread *thread = malloc(sizeof *thread);
    if (!thread)
        return NULL;
    thread->run = run;
    thread->argument = argument;
    if (pthread_create(&thread->id, NULL, thread_main, thread) != 0) {
        free(thread);
        return NULL;
    }
    return thread;
}

void j2k_thread_join(j2k_thread *thread) {
    pthread_join(thread->id, NULL);
    free(thread);
}

struct j2k_mutex {
    pthread_mutex_t mutex;
};
struct j2k_condition {
    pthread_cond_t condition;
};

j2k_mutex *j2k_mutex_create(void) {
    j2k_mutex *mutex = malloc(sizeof *mutex);
    if (mutex && pthread_mutex_init(&mutex->mutex, NULL) != 0) {
        free(mutex);
        return NULL;
    }
    return mutex;
}
void j2k_mutex_destroy(j2k_mutex *mutex) {
    if (mutex)
        pthread_mutex_destroy(&mutex->mutex);
    free(mutex);
}
void j2k_mutex_lock(j2k_mutex *mutex) {
    pthread_mutex_lock(&mutex->mutex);
}
void j2k_mutex_unlock(j2k_mutex *mutex) {
    pthread_mutex_unlock(&mutex->mutex);
}

j2k_condition *j2k_condition_create(void) {
    j2k_condition *condition = malloc(sizeof *condition);
    if (condition && pthread_cond_init(&condition->condition, NULL) != 0) {
        free(condition);
        return NULL;
    }
    return condition;
}
void j2k_condition_destroy(j2k_condition *condition) {
    if (condition)
        pthread_cond_destroy(&condition->condition);
    free(condition);
}
void j2k_condition_wait(j2k_condition *condition, j2k_mutex *mutex) {
    pthread_cond_wait(&condition->condition, &mutex->mutex);
}
void j2k_condition_broadcast(j2k_condition *condition) {
    pthread_cond_broadcast(&condition->condition);
}

#endif
