/* A small thread pool: parallel_for over indices.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "parallel.h"

#include <stdatomic.h>
#include "platform.h"

/* The job is described by the fields below `mutex`; a worker that sees a new generation takes indices from
 * `next` until none are left, then reports by lowering `busy`. Everything but `next` is read and written
 * under the mutex. */
struct thread_pool {
    unsigned size;
    unsigned started; /* threads running, at most size - 1 */
    bool tried;       /* threads are started once only */
    long process;     /* where they were started: after a fork they are gone */
    struct pool_thread {
        thread_pool *pool;
        j2k_thread *thread;
        unsigned worker;
    } * threads;
    j2k_mutex *mutex;
    j2k_condition *work, *done;
    unsigned long generation;
    unsigned busy;
    bool stop;
    parallel_task *task;
    void *user;
    size_t count;
    atomic_size_t next;
};

static void run_indices(thread_pool *pool, parallel_task *task, void *user, size_t count, unsigned worker) {
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (index >= count)
            return;
        task(user, index, worker);
    }
}

static void thread_main(void *argument) {
    struct pool_thread *self = argument;
    thread_pool *pool = self->pool;
    unsigned long seen = 0;
    j2k_mutex_lock(pool->mutex);
    for (;;) {
        while (!pool->stop && pool->generation == seen)
            j2k_condition_wait(pool->work, pool->mutex);
        if (pool->stop)
            break;
        seen = pool->generation;
        parallel_task *task = pool->task;
        void *user = pool->user;
        size_t count = pool->count;
        j2k_mutex_unlock(pool->mutex);
        run_indices(pool, task, user, count, self->worker);
        j2k_mutex_lock(pool->mutex);
        if (--pool->busy == 0)
            j2k_condition_broadcast(pool->done);
    }
    j2k_mutex_unlock(pool->mutex);
}

static bool pool_sync_create(thread_pool *pool) {
    pool->mutex = j2k_mutex_create();
    pool->work = j2k_condition_create();
    pool->done = j2k_condition_create();
    return pool->mutex && pool->work && pool->done;
}

static void pool_sync_destroy(thread_pool *pool) {
    j2k_condition_destroy(pool->work);
    j2k_condition_destroy(pool->done);
    j2k_mutex_destroy(pool->mutex);
    pool->work = pool->done = NULL;
    pool->mutex = NULL;
}

thread_pool *j2k_pool_create(unsigned num_threads) {
    thread_pool *pool = j2k_zero_alloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->size = num_threads ? num_threads : 1;
    atomic_init(&pool->next, 0);
    return pool;
}

unsigned j2k_pool_size(const thread_pool *pool) {
    return pool->size;
}

/* Start the threads. A thread's first view of `generation` must be the current one, hence no job may be under
 * way. */
static void pool_start(thread_pool *pool) {
    pool->tried = true;
    pool->process = j2k_process_id();
    pool->generation = 0;
    pool->threads = j2k_zero_alloc(pool->size - 1, sizeof *pool->threads);
    if (!pool->threads)
        return;
    if (!pool_sync_create(pool)) {
        pool_sync_destroy(pool);
        return;
    }
    for (unsigned i = 0; i + 1 < pool->size; i++) {
        struct pool_thread *t = &pool->threads[i];
        t->pool = pool;
        t->worker = i + 1;
        t->thread = j2k_thread_start(thread_main, t);
        if (!t->thread)
            break;
        pool->started++;
    }
}

/* In the child of a fork neither the threads nor a sane state of their locks exist: leave them behind (a few
 * hundred bytes) and begin anew. */
static void pool_forget_parent(thread_pool *pool) {
    pool->tried = false;
    pool->started = 0;
    pool->threads = NULL;
    pool->mutex = NULL;
    pool->work = pool->done = NULL;
}

void j2k_pool_destroy(thread_pool *pool) {
    if (!pool)
        return;
    if (pool->tried && pool->process != j2k_process_id())
        pool_forget_parent(pool);
    if (pool->started) {
        j2k_mutex_lock(pool->mutex);
        pool->stop = true;
        j2k_condition_broadcast(pool->work);
        j2k_mutex_unlock(pool->mutex);
        for (unsigned i = 0; i < pool->started; i++)
            j2k_thread_join(pool->threads[i].thread);
    }
    pool_sync_destroy(pool);
    j2k_zero_free(pool->threads);
    j2k_zero_free(pool);
}

void j2k_parallel_for(thread_pool *pool, size_t count, parallel_task *task, void *user) {
    if (count > 1 && pool->size > 1) {
        if (pool->tried && pool->process != j2k_process_id())
            pool_forget_parent(pool);
        if (!pool->tried)
            pool_start(pool);
    }
    if (count <= 1 || pool->started == 0) {
        for (size_t i = 0; i < count; i++)
            task(user, i, 0);
        return;
    }
    j2k_mutex_lock(pool->mutex);
    pool->task = task;
    pool->user = user;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->busy = pool->started;
    pool->generation++;
    j2k_condition_broadcast(pool->work);
    j2k_mutex_unlock(pool->mutex);
    run_indices(pool, task, user, count, 0);
    j2k_mutex_lock(pool->mutex);
    while (pool->busy)
        j2k_condition_wait(pool->done, pool->mutex);
    j2k_mutex_unlock(pool->mutex);
}
