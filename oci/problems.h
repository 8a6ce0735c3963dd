/*
 * problems - what Cloud Guard has found: step function
 * security_list_cloud_guard_problems.
 *
 * Problems of a compartment and everything below it, gravest first. The
 * service's summaries hold no advice; that is asked for one by one, when the
 * call wants it, for those that are shown.
 */
#ifndef OCI_PROBLEMS_H
#define OCI_PROBLEMS_H

#include "lib/base.h"
#include "oci/tool.h"

#define PROBLEMS_RISKS 5 /* CRITICAL, HIGH, MEDIUM, LOW, MINOR */

/* Ask for the problems of a compartment and below; state and risk may be
 * empty. Everything is read. */
struct tool_ask *problems_ask(struct tool_run *run, struct span compartment,
                              struct span state, struct span risk);

/* Count them by risk, gravest first; returns how many there are in all. */
size_t problems_count(struct span answer, size_t counts[PROBLEMS_RISKS]);

extern const struct tool_function problems_functions[];
extern const size_t problems_n_functions;

#endif
