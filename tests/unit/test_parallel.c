/* The thread pool: every index exactly once, worker numbers in range, reuse, pools of one, work after a fork.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#if !defined(_WIN32)
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "check.h"
#include "parallel.h"

enum { MAX_COUNT = 5000 };

typedef struct counts {
    atomic_int runs[MAX_COUNT];
    unsigned workers;
    atomic_int in_use[64]; /* a worker number must not be in use twice at once */
    atomic_bool clash;
} counts;

static void count_task(void *user, size_t index, unsigned worker) {
    counts *c = user;
    if (worker >= c->workers || atomic_fetch_add(&c->in_use[worker], 1) != 0)
        atomic_store(&c->clash, true);
    atomic_fetch_add(&c->runs[index], 1);
    atomic_fetch_sub(&c->in_use[worker], 1);
}

static void run(thread_pool *pool, size_t count) {
    static counts c;
    memset(&c, 0, sizeof c);
    c.workers = j2k_pool_size(pool);
    j2k_parallel_for(pool, count, count_task, &c);
    CHECK(!atomic_load(&c.clash));
    for (size_t i = 0; i < MAX_COUNT; i++)
        CHECK(atomic_load(&c.runs[i]) == (i < count));
}

int main(void) {
    static const unsigned sizes[] = {1, 2, 3, 8};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        thread_pool *pool = j2k_pool_create(sizes[s]);
        CHECK(pool && j2k_pool_size(pool) == sizes[s]);
        for (int round = 0; round < 200; round++)
            run(pool, (size_t)round * 7 % 50);
        run(pool, MAX_COUNT);
#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { /* the parent's threads are not here: the pool must notice */
            run(pool, 1000);
            j2k_pool_destroy(pool);
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        run(pool, 1000);
#endif
        j2k_pool_destroy(pool);
    }
    thread_pool *unused = j2k_pool_create(4);
    j2k_pool_destroy(unused);
    return 0;
}
