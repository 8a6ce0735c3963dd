#include "worker/pages.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/version.h"
#include "proxy/own.h"
#include "worker/metrics.h"

#define RESOURCE "/.well-known/oauth-protected-resource"
#define JSON     "application/json"

/* --- probes ---------------------------------------------------------------
 */

static int health(const struct page_input *in, struct buf *out)
{
	uint64_t up_ms = clock_mono_ms() - in->board->started_ms;
	struct span version =
		snapshot_text(in->snap, in->snap->head->program_version);

	buf_addf(out,
	         "{\"status\":\"ok\",\"uptime_seconds\":%" PRIu64
	         ",\"version\":",
	         up_ms / 1000);
	buf_add_json(out, version.len ? version : SPAN(VERSION));
	buf_puts(out, "}\n");
	return 200;
}

/*
 * Why no request should be sent here, or NULL. A degraded backend is good
 * enough: were it not, one failed round of probes would take every replica
 * out of the load balancer at once.
 */
static const char *not_ready(const struct page_input *in,
                             const struct own_tally *tally)
{
	const struct board *b = in->board;

	if (atomic_load_explicit(&b->draining, memory_order_relaxed))
		return "draining";
	/* Once is enough: a reload must not take every replica out at once. */
	if (atomic_load_explicit(&b->discovered_generation,
	                         memory_order_relaxed) == 0)
		return "registry_not_initialized";
	if (tally->total && !tally->healthy && !tally->degraded)
		return "no_healthy_backends";
	return NULL;
}

static struct span backend_name(const struct snapshot *snap, uint32_t i)
{
	return snapshot_text(snap, snapshot_backend(snap, i)->name);
}

static int ready(const struct page_input *in, struct buf *out)
{
	struct own_tally tally = own_tally(in->snap, in->board);
	const char *reason = not_ready(in, &tally);

	if (reason)
		buf_addf(out, "{\"status\":\"not_ready\",\"reason\":\"%s\"",
		         reason);
	else
		buf_puts(out, "{\"status\":\"ready\"");
	buf_addf(out,
	         ",\"total\":%" PRIu32 ",\"healthy\":%" PRIu32
	         ",\"degraded\":%" PRIu32 ",\"backends\":{",
	         tally.total, tally.healthy, tally.degraded);
	for (uint32_t i = 0; i < tally.total; i++) {
		buf_puts(out, i ? "," : "");
		buf_add_json(out, backend_name(in->snap, i));
		buf_addf(out, ":\"%s\"",
		         health_name(own_health(in->snap, in->board, i)));
	}
	buf_puts(out, "}}\n");
	return reason ? 503 : 200;
}

/* --- metrics --------------------------------------------------------------
 */

static int metrics(const struct page_input *in, struct buf *out)
{
	if (!in->snap->settings->enable_metrics) {
		buf_puts(out, "# switched off: enable_metrics is false\n");
		return 404;
	}
	metrics_write(in->snap, in->board, out);
	return 200;
}

/* --- metadata of the protected resource -----------------------------------
 */

/* The URL by which clients know the endpoint; empty when nobody says it. */
static void find_resource(const struct page_input *in, struct buf *url)
{
	const struct header *head = in->snap->head;

	if (head->public_url.len) {
		buf_add_span(url, snapshot_text(in->snap, head->public_url));
	} else if (in->host.len) {
		buf_puts(url, in->secure ? "https://" : "http://");
		buf_add_span(url, in->host);
		buf_add_span(url, snapshot_text(in->snap, head->path));
	}
}

static void put_list(const struct page_input *in, struct ref list,
                     const struct scope_set *only, struct buf *out)
{
	const struct ref *texts = snapshot_array(in->snap, list);
	bool first = true;

	buf_putc(out, '[');
	for (uint32_t i = 0; i < list.len; i++) {
		if (only && !scope_set_has(only, i))
			continue;
		buf_puts(out, first ? "" : ",");
		buf_add_json(out, snapshot_text(in->snap, texts[i]));
		first = false;
	}
	buf_putc(out, ']');
}

static int no_metadata(struct buf *out, const char *why)
{
	buf_addf(out,
	         "{\"error\":\"not_found\",\"error_description\":\"%s\"}\n",
	         why);
	return 404;
}

static void put_metadata(const struct page_input *in, struct span resource,
                         struct buf *out)
{
	const struct header *head = in->snap->head;

	buf_puts(out, "{\"resource\":");
	buf_add_json(out, resource);
	buf_puts(out, ",\"authorization_servers\":");
	put_list(in, head->authorization_servers, NULL, out);
	/* RFC 9728, section 3.2: a list without elements is left out. */
	if (!scope_set_empty(&head->required)) {
		buf_puts(out, ",\"scopes_supported\":");
		put_list(in, head->scopes, &head->required, out);
	}
	buf_puts(out, ",\"bearer_methods_supported\":[\"header\"],"
	              "\"resource_name\":");
	buf_add_json(out, snapshot_text(in->snap, head->name));
	buf_puts(out, "}\n");
}

static int metadata(const struct page_input *in, struct buf *out)
{
	struct buf url = { .max = 2 * TEXT_MAX };
	int status = 200;

	find_resource(in, &url);
	/* RFC 9728 allows a resource without one; MCP demands one at least. */
	if (!in->snap->head->authorization_servers.len)
		status = no_metadata(
			out, "This gateway names no authorization server; its "
			     "administrator can set "
			     "auth.authorization_servers");
	else if (buf_err(&url))
		status = 500;
	else if (!url.len)
		status = no_metadata(
			out, "The request has no Host field, and public_url "
			     "is not set");
	else
		put_metadata(in, buf_span(&url), out);
	buf_free(&url);
	return status;
}

/* --- pages ----------------------------------------------------------------
 */

static const struct {
	const char *type;
	int (*write)(const struct page_input *in, struct buf *out);
} pages[PAGES] = {
	[PAGE_HEALTH] = { JSON, health },
	[PAGE_READY] = { JSON, ready },
	[PAGE_METRICS] = { "text/plain; version=0.0.4; charset=utf-8",
	                   metrics },
	[PAGE_RESOURCE_METADATA] = { JSON, metadata },
};

bool page_find(struct span path, struct span mcp_path, enum page *out)
{
	static const struct {
		const char *path;
		enum page page;
	} paths[] = {
		{ "/health", PAGE_HEALTH },
		{ "/healthz", PAGE_HEALTH },
		{ "/ready", PAGE_READY },
		{ "/readyz", PAGE_READY },
		{ "/metrics", PAGE_METRICS },
		{ RESOURCE, PAGE_RESOURCE_METADATA },
	};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (span_is(path, paths[i].path)) {
			*out = paths[i].page;
			return true;
		}
	if (!span_starts(path, SPAN(RESOURCE)) ||
	    !span_eq(span_from(path, sizeof(RESOURCE) - 1), mcp_path))
		return false;
	*out = PAGE_RESOURCE_METADATA;
	return true;
}

const char *page_type(enum page page)
{
	return pages[page].type;
}

int page_write(enum page page, const struct page_input *in, struct buf *body)
{
	int status = pages[page].write(in, body);

	if (!buf_err(body))
		return status;
	buf_reset(body);
	return 500;
}
