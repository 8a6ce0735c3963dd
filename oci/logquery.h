/*
 * logquery - logs: queries of Log Analytics, its sources, and searches of the
 * Logging service.
 *
 * Log Analytics keeps everything under a namespace of the tenancy, which has to
 * be looked up first, and which is there only when the tenancy uses it.
 */
#ifndef OCI_LOGQUERY_H
#define OCI_LOGQUERY_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/tool.h"

/* How far a search of the Logging service may look back. */
#define LOGQUERY_SEARCH_DAYS_MAX 14

/* Ask for the tenancy's namespaces (ListNamespaces). */
struct tool_ask *logquery_ask_namespaces(struct tool_run *run);

/* The namespace that is in use; empty when the tenancy has none, or the request
 * failed. */
struct span logquery_namespace(struct tool_run *run,
                               const struct tool_ask *namespaces);

/* Why there is none, for a person. */
struct span logquery_no_namespace(const struct tool_ask *namespaces);

/* A query; subtree looks into the compartments below as well. */
struct logquery {
	struct span namespace, compartment, text;
	int64_t start_s, end_s;
	int64_t limit; /* rows */
	bool subtree;
};

/* Run it (Log Analytics API, Query), at once. */
struct tool_ask *logquery_ask(struct tool_run *run,
                              const struct logquery *query);

/* May text stand in single quotes in a query of either language? */
bool logquery_is_plain(struct span text);

extern const struct tool_function logquery_functions[];
extern const size_t logquery_n_functions;

#endif
