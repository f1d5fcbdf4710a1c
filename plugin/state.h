/* What the plugin keeps for the process: default parameters, idle engine contexts, the last error.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef STATE_H
#define STATE_H

#include "params.h"

/* One lock guards all of it; it is held for copies only, never while a block is coded. After a fork the child
 * goes on with the parent's defaults and without its contexts' threads. */

/* Copy the defaults. Fails, having copied them, when they were last set to something bad through
 * blosc2_grok_set_default_params.
 */
j2k_status state_get_defaults(params *p, diagnosis *why);

/* Replace the defaults; why: NULL, or what makes them unusable. */
void state_set_defaults(const params *p, const diagnosis *why);

/* Parse text onto the defaults, or reset them when it is NULL, in one step. */
j2k_status state_change_defaults(const char *text, diagnosis *why);

/* An engine context for so many threads (0: one a processor), used before or new; NULL when memory runs out.
 * It belongs to the caller until it is given back. */
j2k_context *state_take_context(unsigned num_threads);
void state_give_context(j2k_context *context, unsigned num_threads);

/* Free the idle contexts. */
void state_free_contexts(void);

/* Remember the message as the last error, and print it when verbose. */
void state_report(const diagnosis *why, bool verbose);
size_t state_last_error(char *text, size_t capacity);

#endif
