/* A small thread pool: parallel_for over indices.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_PARALLEL_H
#define J2K_PARALLEL_H

#include <stddef.h>

/* The calling thread is worker 0. Threads start at the first parallel_for with more than one index; a pool
 * whose threads cannot be started works with those it has. A pool of one never starts any. */
typedef struct thread_pool thread_pool;

thread_pool *j2k_pool_create(unsigned num_threads); /* NULL when memory runs out; num_threads >= 1 */
void j2k_pool_destroy(thread_pool *pool);
unsigned
j2k_pool_size(const thread_pool *pool); /* workers, the caller included: worker indices are below it */

/* Run task(user, index, worker) for every index in [0, count), in any order, each worker taking the next
 * index that is free; returns when all are done. Two tasks run at once only with different worker numbers.
 * Not reentrant. */
typedef void parallel_task(void *user, size_t index, unsigned worker);
void j2k_parallel_for(thread_pool *pool, size_t count, parallel_task *task, void *user);

#endif
