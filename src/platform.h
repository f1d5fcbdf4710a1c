/* The only door to the operating system: aligned memory, threads, processor count.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_PLATFORM_H
#define J2K_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

/* alignment: a power of two, at least sizeof(void *). NULL when memory runs out. Free with j2k_aligned_free.
 */
void *j2k_aligned_alloc(size_t alignment, size_t size);
void j2k_aligned_free(void *pointer);

/* count * size bytes of zeros, and their end; with j2k_aligned_alloc all memory that the engine takes. */
void *j2k_zero_alloc(size_t count, size_t size);
void j2k_zero_free(void *pointer);

/* Processors that this process may run on, at least 1. */
unsigned j2k_processor_count(void);

/* Changes in a child process after fork(), where the parent's threads do not exist. */
long j2k_process_id(void);

typedef struct j2k_thread j2k_thread;
typedef struct j2k_mutex j2k_mutex;
typedef struct j2k_condition j2k_condition;

/* NULL when the system refuses. */
j2k_thread *j2k_thread_start(void (*run)(void *), void *argument);
void j2k_thread_join(j2k_thread *thread); /* waits for its end and frees it */

j2k_mutex *j2k_mutex_create(void);
void j2k_mutex_destroy(j2k_mutex *mutex);
void j2k_mutex_lock(j2k_mutex *mutex);
void j2k_mutex_unlock(j2k_mutex *mutex);

j2k_condition *j2k_condition_create(void);
void j2k_condition_destroy(j2k_condition *condition);
void j2k_condition_wait(j2k_condition *condition, j2k_mutex *mutex);
void j2k_condition_broadcast(j2k_condition *condition);

#endif
