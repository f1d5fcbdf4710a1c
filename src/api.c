/* Contexts: creation, threads, messages.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "context.h"
#include "platform.h"

const char *j2k_version(void) {
    return J2K_VERSION;
}

j2k_context *j2k_context_create(unsigned num_threads, unsigned cpu_mask) {
    j2k_context *context = j2k_zero_alloc(1, sizeof *context);
    if (!context)
        return NULL;
    context->cpu = j2k_cpu_flags() & cpu_mask;
    context->dsp = j2k_dsp_get(context->cpu);
    context->num_workers = num_threads ? num_threads : j2k_processor_count();
    context->pool = j2k_pool_create(context->num_workers);
    context->workers = j2k_zero_alloc(context->num_workers, sizeof *context->workers);
    if (!context->pool || !context->workers) {
        j2k_context_destroy(context);
        return NULL;
    }
    return context;
}

void j2k_context_destroy(j2k_context *context) {
    if (!context)
        return;
    j2k_context_destroy(context->verifier);
    j2k_pool_destroy(context->pool);
    for (unsigned i = 0; context->workers && i < context->num_workers; i++) {
        j2k_arena_free(&context->workers[i].scratch);
        j2k_arena_free(&context->workers[i].results);
    }
    j2k_zero_free(context->workers);
    j2k_arena_free(&context->memory);
    j2k_arena_free(&context->work);
    j2k_arena_free(&context->scratch);
    j2k_arena_free(&context->kept);
    j2k_zero_free(context);
}

const char *j2k_context_message(const j2k_context *context) {
    return context->diag.message;
}
const char *j2k_context_warning(const j2k_context *context) {
    return context->diag.warning;
}

void j2k_workers_begin(j2k_context *context) {
    for (unsigned i = 0; i < context->num_workers; i++) {
        context->workers[i].status = J2K_OK;
        context->workers[i].sound = true;
    }
}

j2k_status j2k_workers_status(const j2k_context *context) {
    for (unsigned i = 0; i < context->num_workers; i++)
        TRY(context->workers[i].status);
    return J2K_OK;
}

block_coder *j2k_worker_coder(j2k_context *context, unsigned index) {
    worker *w = &context->workers[index];
    if (!w->coder) {
        w->coder = j2k_block_coder_create(context->dsp, context->cpu, &w->scratch);
        if (!w->coder && w->status == J2K_OK)
            w->status = J2K_ERROR_MEMORY;
    }
    return w->coder;
}
