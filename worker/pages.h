/*
 * pages - what the worker answers to a plain GET: probes, metrics, metadata.
 *
 * Written from the snapshot and the board alone, so any worker answers for
 * all of them, without asking anybody. Nobody is asked for a token here
 * (RFC 9728, section 3, and every orchestrator demand that), so nothing is in
 * the pages for probes that a stranger should not know: names of backends and
 * a word for each. Names of tools are in the metrics: keep those inside.
 */
#ifndef WORKER_PAGES_H
#define WORKER_PAGES_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/span.h"
#include "shm/board.h"
#include "shm/snapshot.h"

enum page {
	PAGE_HEALTH,            /* this worker answers: /health, /healthz */
	PAGE_READY,             /* send traffic here: /ready, /readyz */
	PAGE_METRICS,           /* Prometheus, text format 0.0.4: /metrics */
	PAGE_RESOURCE_METADATA, /* RFC 9728, section 3.2 */
	PAGES,
};

/* What a page is written from. */
struct page_input {
	const struct snapshot *snap;
	const struct board *board;
	struct span host; /* of the request: its Host field, validated */
	bool secure;      /* the client came by https, as far as we know */
};

/*
 * The page of a path (no query), for an endpoint at mcp_path. RFC 9728,
 * section 3.1, puts the well-known part between host and path, so metadata is
 * at /.well-known/oauth-protected-resource<mcp_path>, and clients that were
 * written before that look without the path. False: no page.
 */
bool page_find(struct span path, struct span mcp_path, enum page *out);

/* The Content-Type of a page, whatever its status. */
const char *page_type(enum page page);

/*
 * Append the page's body. Returns the HTTP status:
 *	200  HEALTH always; READY when requests should be sent here
 *	404  METRICS when enable_metrics is off; RESOURCE_METADATA when no
 *	     authorization server is configured; the body says so
 *	500  the body does not fit into its buffer, or memory is short; there
 *	     is no body then. METRICS needs up to 8 KiB for each worker that
 *	     ever was, 8 KiB for each backend and 4 KiB for each tool that
 *	     was called, on top of 8 KiB
 *	503  READY when not; the body has the reason: "draining",
 *	     "registry_not_initialized" or "no_healthy_backends"
 */
int page_write(enum page page, const struct page_input *in, struct buf *body);

#endif
