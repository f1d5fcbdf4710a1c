/* What a j2k_context owns.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_CONTEXT_H
#define J2K_CONTEXT_H

#include "arena.h"
#include "block.h"
#include "dsp.h"
#include "error.h"
#include "parallel.h"

/* What one worker of the pool uses for itself. */
typedef struct worker {
    arena scratch;      /* its block coder, for the life of the context */
    arena results;      /* encoder: the code-blocks' bytes and passes, until the image is done */
    block_coder *coder; /* made at first use */
    j2k_status status;  /* of its tasks since j2k_workers_reset: the first failure */
    bool sound;         /* decoder: no block contradicted itself */
} worker;

struct j2k_context {
    diagnostics diag;
    unsigned cpu; /* j2k_cpu flags allowed and present */
    const dsp_kernels *dsp;
    thread_pool *pool;
    unsigned num_workers;
    worker *workers;
    arena memory;                 /* headers, tile trees: as long as the image needs them */
    arena work;                   /* coefficients and row buffers of one tile */
    arena scratch;                /* short-lived: packet iterators of dry runs */
    arena kept;                   /* encoder: coefficients of all tiles, for more than one attempt */
    struct j2k_context *verifier; /* encoder: decodes what it wrote to measure the PSNR; made at first use */
};

/* Before a parallel section: clear statuses. After it: the first failure of any worker. */
void j2k_workers_begin(j2k_context *context);
j2k_status j2k_workers_status(const j2k_context *context);

/* The worker's block coder, made at first use; NULL when memory runs out (status is set then). */
block_coder *j2k_worker_coder(j2k_context *context, unsigned index);

#endif
