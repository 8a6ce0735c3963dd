/*
 * trace - the trace a request belongs to (W3C Trace Context).
 *
 * It comes in params._meta, which counts first, or in header fields of the same
 * names, and goes on to the backend in both (MCP 2026-07-28, "Trace context").
 * What does not hold is ignored, and the request is served without a trace.
 */
#ifndef PROXY_TRACE_H
#define PROXY_TRACE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/h1.h"
#include "lib/span.h"

#define TRACE_PARENT_MAX 128 /* bytes; version 00 has 55 */
#define TRACE_STATE_MAX  512 /* bytes (W3C Trace Context, section 3.3.1.5) */

struct trace {
	size_t parent_len, state_len; /* parent_len 0: no trace */
	char parent[TRACE_PARENT_MAX], state[TRACE_STATE_MAX];
};

/* parent and state are the members of params._meta, raw, or empty. */
void trace_read(struct span parent, struct span state,
                const struct h1_head *head, struct trace *trace);

/* Append its header lines. */
void trace_fields(const struct trace *trace, struct buf *out);

/* Append its members of _meta, with a comma before them unless *first. */
void trace_members(const struct trace *trace, bool *first, struct buf *out);

#endif
