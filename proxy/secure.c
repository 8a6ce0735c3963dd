#include "proxy/secure.h"

#include <stdlib.h>
#include <string.h>

#include "lib/fetch.h"
#include "lib/version.h"
#include "proxy/link.h"

#define FIELDS_MAX 16384 /* bytes of header lines of one request */
#define USER_AGENT "User-Agent: oci-mcp-gateway/" VERSION

static void fetched_head(struct fetch *f, const struct fetch_head *head)
{
	struct exchange *x = fetch_owner(f);
	struct span length = fetch_field(f, SPAN("content-length"));
	struct exchange_head h = {
		.status = head->status,
		.content_type = head->content_type,
		.session_id = head->mcp_session_id,
	};

	h.has_length = span_u64(length, UINT64_MAX, &h.length);
	if (head->status < 500)
		board_breaker_ok(
			&x->up->board->backends[exchange_backend(x)->slot]);
	x->ops->head(x, &h);
}

static size_t fetched_body(struct fetch *f, struct span body)
{
	struct exchange *x = fetch_owner(f);

	if (x->paused)
		return FETCH_PAUSE;
	x->received += body.len;
	x->ops->body(x, body);
	return body.len;
}

static void fetched_end(struct fetch *f, int err, const char *sentence)
{
	struct exchange *x = fetch_owner(f);
	enum exchange_end why = EXCHANGE_BROKEN;

	switch (err) {
	case 0:
		why = EXCHANGE_COMPLETE;
		break;
	case -EHOSTUNREACH:
	case -ECONNREFUSED:
	case -EKEYREJECTED:
		why = EXCHANGE_REFUSED;
		break;
	case -ETIMEDOUT:
		why = EXCHANGE_TIMEOUT;
		break;
	case -EMSGSIZE:
		why = EXCHANGE_TOO_LARGE;
		break;
	case -EBADMSG:
		why = EXCHANGE_GARBAGE;
		break;
	default:
		break;
	}
	exchange_finish(x, why, sentence);
}

static const struct fetch_events fetched = {
	.on_head = fetched_head,
	.on_body = fetched_body,
	.on_end = fetched_end,
};

static const struct {
	struct span method;
	struct span lines[3];
	size_t n_lines;
} verbs[] = {
	[EXCHANGE_POST] = { { "POST", 4 },
	                    { { USER_AGENT, sizeof(USER_AGENT) - 1 },
	                      { "Content-Type: application/json", 30 },
	                      { "Accept: application/json, text/event-stream",
	                        43 } },
	                    3 },
	[EXCHANGE_GET] = { { "GET", 3 },
	                   { { USER_AGENT, sizeof(USER_AGENT) - 1 },
	                     { "Accept: text/event-stream", 25 } },
	                   2 },
	[EXCHANGE_DELETE] = { { "DELETE", 6 },
	                      { { USER_AGENT, sizeof(USER_AGENT) - 1 } },
	                      1 },
};

void secure_start(struct exchange *x)
{
	const struct backend *b = exchange_backend(x);
	const struct origin *o = snapshot_origin(x->snap, x->backend);
	char fields[FIELDS_MAX];
	struct span own = snapshot_text(x->snap, b->fields);

	if (!x->up->fetcher)
		x->up->fetcher = fetcher_new(x->up->loop);
	if (!x->up->fetcher || o->n_addresses == 0 ||
	    own.len + x->fields.len > sizeof(fields)) {
		exchange_fail_later(x);
		return;
	}
	memcpy(fields, own.at, own.len);
	if (x->fields.len)
		memcpy(fields + own.len, x->fields.at, x->fields.len);

	struct fetch_request req = {
		.method = verbs[x->method].method,
		.url = snapshot_text(x->snap, b->url),
		.lines = verbs[x->method].lines,
		.n_lines = verbs[x->method].n_lines,
		.fields = span_of(fields, own.len + x->fields.len),
		.body = x->method == EXCHANGE_POST ? x->body : SPAN(""),
		.repeatable = x->repeatable,
		.addresses = o->addresses,
		.n_addresses = o->n_addresses,
		.ca_pem = snapshot_text(x->snap, b->ca_pem),
		.connect_timeout_ms = b->connect_timeout_ms,
		.answer_timeout_ms =
			x->stream ? b->stream_idle_ms : b->request_timeout_ms,
		.idle_timeout_ms = b->stream_idle_ms,
		.unused_ms = (uint64_t)x->snap->settings->upstream_idle_timeout,
		.max_bytes = x->stream ? 0
		                       : (uint64_t)x->snap->settings
		                                 ->limits_response_bytes,
		.events = &fetched,
		.owner = x,
	};
	x->fetch = fetch_start(x->up->fetcher, &req);
	if (!x->fetch) {
		exchange_fail_later(x);
		return;
	}
	x->state = FETCHING;
	exchange_take(x);
}

void secure_hand_over(struct exchange *x)
{
	fetch_hand_over(x->fetch, &fetched, x);
}
