#include "worker/request.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/chunked.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "proxy/lists.h"
#include "proxy/own.h"
#include "worker/pages.h"
#include "worker/record.h"

#define HEAD_ROOM   4096 /* bytes of an answer's head */
#define PIECES_MAX  24   /* of one send */
#define PAGE_MAX    (96u << 20)
#define PAGE_KEEP   65536 /* of the page buffer between two requests */
#define CLIENT_GONE 499   /* the status recorded when the client left */

static const struct reply_ops reply_ops;

/* ---- begin and end ---- */

static struct request *take(struct worker *w)
{
	struct request *r = w->spare_requests;

	if (r) {
		w->spare_requests = r->next;
		r->next = NULL;
		return r;
	}
	r = calloc(1, sizeof(*r));
	if (r)
		count_own(&w->me->memory_bytes, sizeof(*r));
	return r;
}

static bool id_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

/* The client's request id when it is harmless, else one of ours. */
static void set_request_id(struct request *r, struct worker *w,
                           const struct h1_head *head)
{
	static const char digits[] = "0123456789abcdef";
	struct span given =
		head ? h1_value(head, H1_X_REQUEST_ID) : span_of(NULL, 0);
	bool good = given.len > 0 && given.len <= REQUEST_ID_MAX;
	uint64_t n = w->id_base + w->next_request++;

	for (size_t i = 0; good && i < given.len; i++)
		good = id_byte((unsigned char)given.at[i]);
	if (good) {
		memcpy(r->request_id, given.at, given.len);
		r->request_id_len = given.len;
		return;
	}
	for (size_t i = 0; i < 16; i++)
		r->request_id[i] = digits[n >> (60 - 4 * i) & 15];
	r->request_id_len = 16;
}

static void set_client(struct request *r, const struct conn *c,
                       const struct h1_head *head)
{
	const struct snapshot *snap = r->snap;

	r->client = c->peer;
	r->proxied_tls = false;
	if (!c->trusted)
		return;
	if (h1_has(head, H1_X_FORWARDED_FOR))
		r->client = ip_forwarded_for(
			h1_last_value(head, H1_X_FORWARDED_FOR),
			snapshot_array(snap, snap->head->trusted),
			snap->head->trusted.len, c->peer);
	r->proxied_tls = span_eq_nocase(
		h1_last_value(head, H1_X_FORWARDED_PROTO), SPAN("https"));
}

static struct request *begin(struct conn *c, const struct h1_request *head)
{
	struct worker *w = c->w;
	struct request *r = take(w);

	if (!r)
		return NULL;
	r->conn = c;
	c->req = r;
	r->snap = snapshot_ref(w->snap);
	r->reply =
		(struct reply){ .ops = &reply_ops, .outcome = OUTCOME_ERROR };
	r->started_us = clock_mono_us();
	r->bytes_in = 0;
	r->bytes_out = 0;
	r->entry = NULL;
	r->method = NULL;
	r->status = 0;
	r->backend = UINT32_MAX;
	r->chunked = false;
	r->head_only = false;
	r->endpoint = false;
	r->allow_origin = false;
	r->listens = 0;
	r->verb = H1_OTHER;
	r->principal.everything = true;
	r->path[0] = '\0';
	r->keep_alive = false;
	set_request_id(r, w, head ? &head->head : NULL);
	if (!head) {
		r->client = c->peer;
		return r;
	}
	set_client(r, c, &head->head);
	r->verb = head->method;
	r->head_only = head->method == H1_HEAD;
	r->keep_alive = head->head.keep_alive;
	r->http10 = head->head.minor == 0;

	size_t n = MIN(head->path.len, sizeof(r->path) - 1);
	memcpy(r->path, head->path.at, n);
	r->path[n] = '\0';
	return r;
}

static void leave_streams(struct request *r)
{
	if (!r->prev)
		return;
	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->prev = NULL;
	r->next = NULL;
	count_own(&r->worker->me->streams_open, (uint64_t)-1);
}

static void recycle(struct worker *w, struct request *r)
{
	leave_streams(r);
	call_fini(&r->call);
	buf_reset(&r->listen_id);
	snapshot_unref(r->snap);
	r->snap = NULL;
	r->conn = NULL;
	r->next = w->spare_requests;
	w->spare_requests = r;
}

/* The answer is complete. r is gone afterwards. */
static void end(struct request *r)
{
	struct conn *c = r->conn;
	struct worker *w = c->w;

	record_request(w, r);
	recycle(w, r);
	conn_done(c);
}

void request_cancel(struct request *r)
{
	struct worker *w = r->conn->w;

	call_cancel(&r->call);
	if (r->status == 0)
		r->status = CLIENT_GONE;
	/* A subscription ends in no other way. */
	r->reply.outcome = r->prev ? OUTCOME_SUCCESS : OUTCOME_CANCELLED;
	record_request(w, r);
	recycle(w, r);
}

void request_fini(struct worker *w)
{
	while (w->spare_requests) {
		struct request *r = w->spare_requests;

		w->spare_requests = r->next;
		buf_free(&r->call.body);
		buf_free(&r->call.fields);
		buf_free(&r->call.client_id);
		buf_free(&r->call.client_token);
		buf_free(&r->call.in);
		buf_free(&r->call.out);
		buf_free(&r->listen_id);
		free(r);
	}
}

/* ---- heads of answers ---- */

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Error";
}

struct head {
	char bytes[HEAD_ROOM];
	size_t len;
};

static void put(struct head *h, struct span s)
{
	if (s.len > sizeof(h->bytes) - h->len)
		return; /* every caller's text is bounded far below */
	memcpy(h->bytes + h->len, s.at, s.len);
	h->len += s.len;
}

static void put_number(struct head *h, uint64_t n)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	put(h, span_of(digits + at, sizeof(digits) - at));
}

static void put_status(struct head *h, int status)
{
	if (status == 200) {
		put(h, SPAN("HTTP/1.1 200 OK\r\n"));
		return;
	}
	put(h, SPAN("HTTP/1.1 "));
	put_number(h, (uint64_t)status);
	put(h, SPAN(" "));
	put(h, span_str(reason(status)));
	put(h, SPAN("\r\n"));
}

/* Fields of CORS for a browser that may read the answer (Fetch, 3.2). */
static void put_cors(struct head *h, const struct request *r)
{
	if (!r->allow_origin)
		return;
	put(h, SPAN("Access-Control-Allow-Origin: "));
	put(h, span_str(r->origin));
	put(h, SPAN("\r\nVary: Origin\r\nAccess-Control-Expose-Headers: "
	            "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, "
	            "X-Request-Id\r\n"));
}

static void put_common(struct head *h, struct request *r, int status)
{
	put_status(h, status);
	put(h, serve_date(r->conn->w));
	put(h, SPAN("X-Request-Id: "));
	put(h, span_of(r->request_id, r->request_id_len));
	put(h, SPAN("\r\n"));
	put_cors(h, r);
	if (r->conn->close)
		put(h, SPAN("Connection: close\r\n"));
	else if (r->http10 && r->keep_alive)
		put(h, SPAN("Connection: keep-alive\r\n"));
}

/*
 * A complete answer. more_fields are lines with CR LF; type is a media type or
 * NULL.
 */
static void answer(struct request *r, int status, const char *type,
                   struct span more_fields, const struct iovec *body, int n)
{
	struct head h;
	struct iovec iov[PIECES_MAX];
	uint64_t length = 0;
	int count = 1;

	assert(n < PIECES_MAX);
	for (int i = 0; i < n; i++)
		length += body[i].iov_len;
	h.len = 0;
	put_common(&h, r, status);
	if (type) {
		put(&h, SPAN("Content-Type: "));
		put(&h, span_str(type));
		put(&h, SPAN("\r\n"));
	}
	put(&h, more_fields);
	/* 204 has no length (RFC 9110, section 8.6). */
	if (status != 204) {
		put(&h, SPAN("Content-Length: "));
		put_number(&h, length);
		put(&h, SPAN("\r\n"));
	}
	put(&h, SPAN("\r\n"));
	iov[0] = (struct iovec){ h.bytes, h.len };
	if (!r->head_only)
		for (int i = 0; i < n; i++)
			if (body[i].iov_len)
				iov[count++] = body[i];
	r->status = status;
	r->bytes_out = h.len + (r->head_only ? 0 : length);
	conn_send(r->conn, iov, count);
	end(r);
}

static void answer_text(struct request *r, int status, const char *type,
                        struct span more_fields, struct span body)
{
	struct iovec iov = { (void *)(uintptr_t)body.at, body.len };

	answer(r, status, type, more_fields, &iov, 1);
}

/* ---- the reply that the proxy sees ---- */

static struct request *of(struct reply *reply)
{
	return CONTAINER_OF(reply, struct request, reply);
}

static const char *const types[] = {
	[REPLY_JSON] = "application/json",
	[REPLY_EVENTS] = "text/event-stream",
	[REPLY_NONE] = NULL,
};

#define EVENT_FIELDS                                     \
	SPAN("Cache-Control: no-cache, no-transform\r\n" \
	     "X-Accel-Buffering: no\r\n")

static void whole(struct reply *reply, int status, enum reply_type type,
                  const struct iovec *body, int n)
{
	struct request *r = of(reply);
	struct iovec event[PIECES_MAX];

	if (type == REPLY_JSON && !reply->accepts_json) {
		/* The client takes nothing but an event stream: one event. */
		event[0] = (struct iovec){
			(void *)(uintptr_t) "event: message\ndata: ", 21
		};
		memcpy(event + 1, body, (size_t)n * sizeof(*body));
		event[n + 1] = (struct iovec){ (void *)(uintptr_t) "\n\n", 2 };
		body = event;
		n += 2;
		type = REPLY_EVENTS;
	}
	answer(r, status, types[type],
	       type == REPLY_EVENTS ? EVENT_FIELDS : span_of("", 0), body, n);
}

static void begin_reply(struct reply *reply, int status, enum reply_type type)
{
	struct request *r = of(reply);
	struct head h = { .len = 0 };

	reply->begun = true;
	r->status = status;
	r->events = type == REPLY_EVENTS;
	/* An old client cannot read chunks: the end of the connection ends it
	 */
	r->chunked = !r->http10;
	if (r->http10)
		r->conn->close = true;
	put_common(&h, r, status);
	put(&h, SPAN("Content-Type: "));
	put(&h, span_str(types[type]));
	put(&h, SPAN("\r\n"));
	if (type == REPLY_EVENTS)
		put(&h, EVENT_FIELDS);
	put(&h, r->chunked ? SPAN("Transfer-Encoding: chunked\r\n\r\n")
	                   : SPAN("\r\n"));

	struct iovec iov = { h.bytes, h.len };
	r->bytes_out += h.len;
	conn_send(r->conn, &iov, 1);
	loop_timer(r->conn->w->loop, &r->conn->timer,
	           (uint64_t)r->snap->settings->keepalive_interval,
	           r->conn->timer.on_due);
}

static void more(struct reply *reply, const struct iovec *body, int n)
{
	struct request *r = of(reply);
	struct iovec iov[PIECES_MAX];
	char size[CHUNKED_HEAD_MAX];
	uint64_t length = 0;
	int count = 0;

	assert(n + 2 <= PIECES_MAX);
	for (int i = 0; i < n; i++)
		length += body[i].iov_len;
	if (length == 0)
		return;
	if (r->chunked)
		iov[count++] =
			(struct iovec){ size, chunked_head(size, length) };
	for (int i = 0; i < n; i++)
		if (body[i].iov_len)
			iov[count++] = body[i];
	if (r->chunked)
		iov[count++] = (struct iovec){ (void *)(uintptr_t) "\r\n", 2 };
	r->bytes_out += length;
	conn_send(r->conn, iov, count);
}

static void end_reply(struct reply *reply, bool complete)
{
	struct request *r = of(reply);
	struct iovec iov = { (void *)(uintptr_t) "0\r\n\r\n", 5 };

	if (!complete) {
		/* No last chunk: the client sees that it is not whole. */
		conn_break(r->conn);
		end(r);
		return;
	}
	if (r->chunked)
		conn_send(r->conn, &iov, 1);
	end(r);
}

static const struct reply_ops reply_ops = {
	.whole = whole,
	.begin = begin_reply,
	.more = more,
	.end = end_reply,
};

/* ---- errors ---- */

static void problem_body(struct buf *b, const struct problem *p, struct span id)
{
	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\"");
	if (id.len) {
		buf_puts(b, ",\"id\":");
		buf_add_span(b, id);
	}
	buf_addf(b, ",\"error\":{\"code\":%d,\"message\":", p->code);
	buf_add_json(b, span_str(p->text));
	if (p->data[0]) {
		buf_puts(b, ",\"data\":");
		buf_puts(b, p->data);
	}
	buf_puts(b, "}}");
}

/* An error of the endpoint: JSON-RPC, whatever went wrong. */
static void refuse(struct request *r, const struct problem *p, struct span id,
                   struct span fields)
{
	struct buf *b = &r->conn->w->page;

	problem_body(b, p, id);
	if (p->status == 200) {
		struct iovec iov = { b->bytes, b->len };

		r->reply.ops->whole(&r->reply, 200, REPLY_JSON, &iov, 1);
		return;
	}
	answer_text(r, p->status, "application/json", fields, buf_span(b));
}

void request_refuse(struct conn *c, int status, const char *text)
{
	struct problem p;
	struct request *r = begin(c, NULL);

	c->close = true;
	c->state = CONN_BUSY;
	if (!r) {
		conn_abort(c);
		return;
	}
	problem_set(&p, status,
	            status == 429 || status == 503 ? RPC_BUSY
	                                           : RPC_INVALID_REQUEST,
	            "%s", text);
	refuse(r, &p, span_of("", 0),
	       status == 429 || status == 503 ? SPAN("Retry-After: 1\r\n")
	                                      : span_of("", 0));
}

/* ---- host and origin ---- */

/* The host of an authority, without its port. */
static struct span host_of(struct span authority)
{
	if (authority.len && *authority.at == '[') {
		size_t close = span_find(authority, ']');

		return span_first(authority, close + 1);
	}
	return span_first(authority, span_find(authority, ':'));
}

static bool is_loopback(struct span host)
{
	struct ip ip;
	struct span bare = host;

	if (bare.len > 2 && *bare.at == '[')
		bare = span_of(bare.at + 1, bare.len - 2);
	return span_eq_nocase(host, SPAN("localhost")) ||
	       (ip_parse(bare, &ip) && ip_is_loopback(&ip));
}

static bool listed(const struct snapshot *snap, struct ref list,
                   struct span value, bool *any)
{
	const struct ref *rows = snapshot_array(snap, list);

	*any = false;
	for (uint32_t i = 0; i < list.len; i++) {
		struct span row = snapshot_text(snap, rows[i]);

		if (span_is(row, "*")) {
			*any = true;
			return true;
		}
		if (span_eq_nocase(row, value))
			return true;
	}
	return false;
}

/*
 * Against DNS rebinding: a page of another site whose name was made to point
 * here says its own name in Host (MCP, "Security Warning" of the transport).
 */
static bool host_allowed(const struct worker *w, const struct snapshot *snap,
                         struct span host)
{
	bool any;

	if (snap->head->allowed_hosts.len)
		return listed(snap, snap->head->allowed_hosts, host, &any) ||
		       listed(snap, snap->head->allowed_hosts, host_of(host),
		              &any);
	/* With a token or a certificate in between, such a page gets nothing.
	 */
	return !w->loopback_only || snap->settings->auth_enabled || w->tls ||
	       is_loopback(host_of(host));
}

static bool origin_allowed(const struct worker *w, const struct snapshot *snap,
                           struct span origin, struct span host)
{
	bool any;
	size_t colon = span_find(origin, ':');
	struct span authority = span_from(origin, colon + 3);

	if (listed(snap, snap->head->cors_origins, origin, &any)) {
		/* "*" cannot mean a strange page and an open local port. */
		return !any || snap->settings->auth_enabled ||
		       !w->loopback_only || is_loopback(host_of(authority));
	}
	if (colon + 3 > origin.len || span_is(origin, "null"))
		return false;
	return span_eq_nocase(authority, host) ||
	       (w->loopback_only && is_loopback(host_of(authority)));
}

static bool check_source(struct request *r, const struct h1_request *head,
                         struct problem *p)
{
	const struct worker *w = r->conn->w;
	struct span host = h1_value(&head->head, H1_HOST);
	struct span origin = h1_value(&head->head, H1_ORIGIN);

	if (!host_allowed(w, r->snap, host)) {
		problem_set(p, 403, RPC_FORBIDDEN,
		            "This Host is not served here; see allowed_hosts");
		return false;
	}
	if (!h1_has(&head->head, H1_ORIGIN))
		return true;
	if (head->head.seen[H1_ORIGIN] != 1 ||
	    origin.len >= sizeof(r->origin) ||
	    !origin_allowed(w, r->snap, origin, host)) {
		problem_set(p, 403, RPC_FORBIDDEN,
		            "This Origin is not allowed; see cors_origins");
		return false;
	}
	memcpy(r->origin, origin.at, origin.len);
	r->origin[origin.len] = '\0';
	r->allow_origin = true;
	return true;
}

/* ---- identity and permission ---- */

static bool secure(const struct request *r)
{
	return r->conn->tls || r->proxied_tls;
}

static void add_scopes(const struct snapshot *snap, const struct scope_set *set,
                       struct buf *out)
{
	const struct ref *names = snapshot_array(snap, snap->head->scopes);
	bool first = true;

	for (uint32_t i = 0; i < snap->head->scopes.len; i++) {
		if (!scope_set_has(set, i))
			continue;
		buf_puts(out, first ? "" : " ");
		first = false;
		buf_add_span(out, snapshot_text(snap, names[i]));
	}
}

/* Where the metadata of RFC 9728 is: the path goes behind the well-known. */
static void add_metadata_url(struct request *r, struct span host,
                             struct buf *out)
{
	const struct header *h = r->snap->head;
	struct span url = snapshot_text(r->snap, h->public_url);
	struct span path = snapshot_text(r->snap, h->path);
	size_t scheme = 0;

	if (url.len) {
		scheme = span_find(url, '/') + 2;

		struct span rest = span_from(url, scheme);
		size_t slash = span_find(rest, '/');

		path = span_from(rest, slash);
		buf_add_span(out, span_first(url, scheme + slash));
	} else {
		buf_puts(out, secure(r) ? "https://" : "http://");
		buf_add_span(out, host);
	}
	buf_puts(out, "/.well-known/oauth-protected-resource");
	if (!span_is(path, "/"))
		buf_add_span(out, path);
}

/*
 * The challenge of RFC 6750, section 3, with the pointer of RFC 9728, section
 * 5.1. needs: scopes that are asked for.
 */
static void challenge(struct request *r, struct span host, const char *error,
                      const char *description, const struct scope_set *needs,
                      struct buf *out)
{
	bool first = true;

	buf_puts(out, "WWW-Authenticate: Bearer");
	if (error) {
		buf_addf(out, " error=\"%s\", error_description=\"%s\"", error,
		         description);
		first = false;
	}
	if (!scope_set_empty(needs)) {
		buf_puts(out, first ? " scope=\"" : ", scope=\"");
		add_scopes(r->snap, needs, out);
		buf_putc(out, '"');
		first = false;
	}
	if (r->snap->head->authorization_servers.len) {
		buf_puts(out, first ? " resource_metadata=\""
		                    : ", resource_metadata=\"");
		add_metadata_url(r, host, out);
		buf_putc(out, '"');
		first = false;
	}
	if (first)
		buf_puts(out, " realm=\"mcp\"");
	buf_puts(out, "\r\n");
}

static bool deny(struct request *r, struct span host, struct problem *p,
                 const char *error, const char *description,
                 const struct scope_set *needs, struct span id)
{
	struct buf fields = { .max = HEAD_ROOM / 2 };

	challenge(r, host, error, description, needs, &fields);
	r->reply.outcome = OUTCOME_UNAUTHORIZED;
	r->reply.error =
		p->status == 401 ? "not authenticated" : "a scope is missing";
	refuse(r, p, id,
	       buf_err(&fields) == 0
	               ? buf_span(&fields)
	               : SPAN("WWW-Authenticate: Bearer realm=\"mcp\"\r\n"));
	buf_free(&fields);
	return false;
}

/* False: answered with 401, 403 or 503. */
static bool identify(struct request *r, const struct h1_request *head)
{
	struct worker *w = r->conn->w;
	const struct h1_head *h = &head->head;
	struct span host = h1_value(h, H1_HOST);
	struct span field = h1_value(h, H1_AUTHORIZATION);
	const char *why = "";
	struct problem p;
	enum identity_result result = IDENTITY_INVALID;

	if (h->seen[H1_AUTHORIZATION] > 1)
		why = "More than one Authorization field";
	else
		result = identity_check(w->identity, r->snap, field,
		                        loop_now_ms(w->loop), &r->principal,
		                        &why);
	if (result != IDENTITY_OK)
		r->principal.everything = true; /* shown as anonymous */
	switch (result) {
	case IDENTITY_OK:
		break;
	case IDENTITY_MISSING:
		problem_set(&p, 401, RPC_UNAUTHORIZED,
		            "Authentication required: send Authorization: "
		            "Bearer and a token");
		return deny(r, host, &p, NULL, NULL, &r->snap->head->required,
		            span_of("", 0));
	case IDENTITY_INVALID:
		problem_set(&p, 401, RPC_UNAUTHORIZED, "Invalid token: %s",
		            why);
		return deny(r, host, &p, "invalid_token", why,
		            &r->snap->head->required, span_of("", 0));
	case IDENTITY_BUSY:
		problem_set(&p, 503, RPC_BUSY,
		            "Too many new tokens at once; try again");
		refuse(r, &p, span_of("", 0), SPAN("Retry-After: 1\r\n"));
		return false;
	}
	if (r->principal.everything ||
	    scope_set_covers(&r->principal.who.scopes,
	                     &r->snap->head->required))
		return true;
	problem_set(&p, 403, RPC_FORBIDDEN,
	            "The token lacks a scope that every request needs");
	return deny(r, host, &p, "insufficient_scope",
	            "The token lacks a scope that every request needs",
	            &r->snap->head->required, span_of("", 0));
}

static const struct scope_set *scopes_of(const struct request *r)
{
	return r->principal.everything ? NULL : &r->principal.who.scopes;
}

/* May this caller use that? False: answered with 403. */
static bool permit(struct request *r, const struct h1_request *head,
                   const struct scope_set *needs, struct span id)
{
	struct scope_set all = r->snap->head->required;
	struct problem p;

	if (r->principal.everything ||
	    scope_set_covers(&r->principal.who.scopes, needs))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(all.bits); i++)
		all.bits[i] |= needs->bits[i];
	problem_set(&p, 403, RPC_FORBIDDEN,
	            "The token lacks a scope that this needs");
	return deny(r, h1_value(&head->head, H1_HOST), &p, "insufficient_scope",
	            "The token lacks a scope that this needs", &all, id);
}

/* ---- pages ---- */

static void serve_page(struct request *r, const struct h1_request *head,
                       enum page page)
{
	struct worker *w = r->conn->w;
	struct page_input in = {
		.snap = r->snap,
		.board = w->board,
		.host = h1_value(&head->head, H1_HOST),
		.secure = secure(r),
	};
	struct problem p;

	if (r->verb != H1_GET && r->verb != H1_HEAD) {
		problem_set(&p, 405, RPC_INVALID_REQUEST,
		            "Use GET for this path");
		refuse(r, &p, span_of("", 0), SPAN("Allow: GET, HEAD\r\n"));
		return;
	}
	r->reply.outcome = OUTCOME_SUCCESS;
	buf_reset(&w->page);
	int status = page_write(page, &in, &w->page);
	answer_text(r, status, page_type(page),
	            SPAN("Cache-Control: no-store\r\n"), buf_span(&w->page));
}

/* What a browser asks before it sends the real request (Fetch, 3.2.2). */
static void serve_preflight(struct request *r)
{
	static const char fields[] =
		"Allow: POST, OPTIONS\r\n"
		"Access-Control-Allow-Methods: POST, GET, DELETE, OPTIONS\r\n"
		"Access-Control-Allow-Headers: Authorization, Content-Type, "
		"Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, "
		"Mcp-Method, Mcp-Name, X-Request-Id, traceparent, tracestate, "
		"baggage\r\n"
		"Access-Control-Max-Age: 7200\r\n";

	r->reply.outcome = OUTCOME_SUCCESS;
	answer(r, 204, NULL, span_str(fields), NULL, 0);
}

/* ---- methods that the gateway answers itself ---- */

static void start_result(struct buf *b, struct span id)
{
	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(b, id);
	buf_puts(b, ",\"result\":{");
}

static void send_result(struct request *r)
{
	struct buf *b = &r->conn->w->page;

	struct iovec iov = { b->bytes, b->len };

	r->reply.outcome = OUTCOME_SUCCESS;
	r->reply.ops->whole(&r->reply, 200, REPLY_JSON, &iov, 1);
}

static void add_capabilities(struct buf *b, uint32_t abilities, bool modern)
{
	static const struct {
		uint32_t ability;
		const char *legacy, *modern;
	} rows[] = {
		{ ABILITY_TOOLS, "\"tools\":{}",
		  "\"tools\":{\"listChanged\":true}" },
		{ ABILITY_PROMPTS, "\"prompts\":{}",
		  "\"prompts\":{\"listChanged\":true}" },
		{ ABILITY_RESOURCES, "\"resources\":{}",
		  "\"resources\":{\"listChanged\":true}" },
		{ ABILITY_COMPLETIONS, "\"completions\":{}",
		  "\"completions\":{}" },
		{ ABILITY_LOGGING, "\"logging\":{}", "\"logging\":{}" },
	};
	bool first = true;

	buf_puts(b, "\"capabilities\":{");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!(abilities & rows[i].ability))
			continue;
		buf_puts(b, first ? "" : ",");
		buf_puts(b, modern ? rows[i].modern : rows[i].legacy);
		first = false;
	}
	buf_putc(b, '}');
}

static void add_instructions(struct request *r, struct buf *b)
{
	struct span text = snapshot_text(r->snap, r->snap->head->instructions);

	if (text.len == 0)
		return;
	buf_puts(b, ",\"instructions\":");
	buf_add_json(b, text);
}

static void initialize(struct request *r, const struct message *m)
{
	const struct view *view = snapshot_view(r->snap, VIEW_LEGACY);
	struct buf *b = &r->conn->w->page;
	struct span wanted, version = SPAN(MESSAGE_LEGACY_NEWEST);

	if (scan_string_plain(m->protocol_version, &wanted) &&
	    message_legacy_version(wanted))
		version = wanted;
	start_result(b, m->id);
	buf_puts(b, "\"protocolVersion\":");
	buf_add_json(b, version);
	buf_putc(b, ',');
	add_capabilities(b, view->abilities, false);
	buf_puts(b, ",\"serverInfo\":{\"name\":");
	buf_add_json(b, snapshot_text(r->snap, r->snap->head->name));
	buf_puts(b, ",\"version\":");
	buf_add_json(b, snapshot_text(r->snap, r->snap->head->program_version));
	buf_putc(b, '}');
	add_instructions(r, b);
	buf_puts(b, "}}");
	send_result(r);
}

static void discover(struct request *r, const struct message *m)
{
	const struct view *view = snapshot_view(r->snap, VIEW_MODERN);
	struct buf *b = &r->conn->w->page;

	start_result(b, m->id);
	buf_puts(b, "\"supportedVersions\":[\"" MESSAGE_MODERN "\"],");
	add_capabilities(b, view->abilities, true);
	add_instructions(r, b);
	lists_modern_members(r->snap, true, b);
	buf_puts(b, "}}");
	send_result(r);
}

static void empty_result(struct request *r, const struct message *m)
{
	struct buf *b = &r->conn->w->page;

	start_result(b, m->id);
	buf_puts(b, "}}");
	send_result(r);
}

static void set_level(struct request *r, const struct message *m)
{
	struct problem p;

	if (message_level(m->level) < 0) {
		problem_set(&p, 200, RPC_INVALID_PARAMS,
		            "params.level must be one of debug, info, notice, "
		            "warning, error, critical, alert, emergency");
		refuse(r, &p, m->id, span_of("", 0));
		return;
	}
	empty_result(r, m);
}

static void list(struct request *r, const struct message *m)
{
	struct problem p;

	if (!lists_reply(r->snap, m, scopes_of(r), &r->conn->w->page, &r->reply,
	                 &p))
		refuse(r, &p, m->id, span_of("", 0));
}

static void call_own(struct request *r, const struct message *m,
                     const struct entry *e)
{
	struct worker *w = r->conn->w;
	struct buf *b = &w->page;
	struct problem p;

	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(b, m->id);
	buf_puts(b, ",\"result\":");
	if (!own_call((enum own_tool)e->backend, r->snap, w->board,
	              m->arguments, b, &p)) {
		refuse(r, &p, m->id, span_of("", 0));
		return;
	}
	if (m->era == VIEW_MODERN && b->len) {
		b->len--; /* the result's closing brace */
		lists_modern_members(r->snap, false, b);
		buf_putc(b, '}');
	}
	buf_putc(b, '}');
	send_result(r);
}

/* ---- subscriptions/listen ---- */

static const struct {
	uint8_t bit;
	const char *flag, *notification;
	enum list_kind kinds[2];
} listens[] = {
	{ LISTENS_TOOLS,
	  "toolsListChanged",
	  "notifications/tools/list_changed",
	  { LIST_TOOLS, LIST_TOOLS } },
	{ LISTENS_PROMPTS,
	  "promptsListChanged",
	  "notifications/prompts/list_changed",
	  { LIST_PROMPTS, LIST_PROMPTS } },
	{ LISTENS_RESOURCES,
	  "resourcesListChanged",
	  "notifications/resources/list_changed",
	  { LIST_RESOURCES, LIST_TEMPLATES } },
};

static void send_event(struct request *r, const struct buf *json)
{
	struct iovec iov[] = {
		{ (void *)(uintptr_t) "event: message\ndata: ", 21 },
		{ json->bytes, json->len },
		{ (void *)(uintptr_t) "\n\n", 2 },
	};

	r->reply.ops->more(&r->reply, iov, ARRAY_LEN(iov));
}

static void subscribe(struct request *r, const struct message *m)
{
	struct worker *w = r->conn->w;
	struct buf *b = &w->page;
	struct problem p;
	bool first = true;

	if (m->notifications.at && scan_type(m->notifications) != SCAN_OBJECT) {
		problem_set(&p, 200, RPC_INVALID_PARAMS,
		            "params.notifications must be an object");
		refuse(r, &p, m->id, span_of("", 0));
		return;
	}
	buf_reset(b);
	buf_puts(b, "{\"jsonrpc\":\"2.0\",\"method\":"
	            "\"notifications/subscriptions/acknowledged\",\"params\":{"
	            "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
	buf_add_span(b, m->id);
	buf_puts(b, "},\"notifications\":{");
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		struct span want =
			scan_get(m->notifications, span_str(listens[i].flag));

		if (scan_type(want) != SCAN_TRUE)
			continue;
		r->listens |= listens[i].bit;
		buf_addf(b, "%s\"%s\":true", first ? "" : ",", listens[i].flag);
		first = false;
	}
	buf_puts(b, "}}}");
	r->listen_id.max = MESSAGE_ID_MAX;
	buf_reset(&r->listen_id);
	buf_add_span(&r->listen_id, m->id);
	r->worker = w;
	r->next = w->streams;
	if (r->next)
		r->next->prev = &r->next;
	r->prev = &w->streams;
	w->streams = r;
	count_own(&w->me->streams_open, 1);
	r->reply.ops->begin(&r->reply, 200, REPLY_EVENTS);
	send_event(r, b);
	if (w->draining)
		request_end_streams(w);
}

static bool same_list(const struct snapshot *a, const struct snapshot *b,
                      enum list_kind kind)
{
	const struct list *x = &snapshot_view(a, VIEW_MODERN)->lists[kind];
	const struct list *y = &snapshot_view(b, VIEW_MODERN)->lists[kind];

	return x->items.len == y->items.len &&
	       memcmp(a->base + x->items.off, b->base + y->items.off,
	              x->items.len) == 0;
}

static void notify(struct request *r, const char *notification)
{
	struct buf *b = &r->worker->page;

	buf_reset(b);
	buf_addf(b,
	         "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"_meta\":"
	         "{\"io.modelcontextprotocol/subscriptionId\":",
	         notification);
	buf_add_span(b, buf_span(&r->listen_id));
	buf_puts(b, "}}}");
	send_event(r, b);
}

void request_catalog_changed(struct worker *w, const struct snapshot *old,
                             const struct snapshot *now)
{
	for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
		struct request *next;

		if (same_list(old, now, listens[i].kinds[0]) &&
		    same_list(old, now, listens[i].kinds[1]))
			continue;
		for (struct request *r = w->streams; r; r = next) {
			next = r->next;
			if (r->listens & listens[i].bit)
				notify(r, listens[i].notification);
		}
	}
}

void request_end_streams(struct worker *w)
{
	struct buf *b = &w->page;

	while (w->streams) {
		struct request *r = w->streams;

		start_result(b, buf_span(&r->listen_id));
		buf_puts(b, "\"resultType\":\"complete\",\"_meta\":{"
		            "\"io.modelcontextprotocol/subscriptionId\":");
		buf_add_span(b, buf_span(&r->listen_id));
		buf_puts(b, "}}}");
		send_event(r, b);
		leave_streams(r);
		r->reply.outcome = OUTCOME_SUCCESS;
		r->reply.ops->end(&r->reply, true);
	}
}

void request_keepalive(struct request *r)
{
	struct iovec iov = { (void *)(uintptr_t) ":\n\n", 3 };

	if (r->reply.begun && r->events && !r->reply.full)
		r->reply.ops->more(&r->reply, &iov, 1);
}

void request_drained(struct request *r)
{
	call_resume(&r->call);
}

/* ---- methods that a backend answers ---- */

static void forward(struct request *r, const struct h1_request *head,
                    const struct message *m)
{
	struct worker *w = r->conn->w;
	struct route route;
	struct problem p;
	const struct scope_set *needs;

	if (!call_route(r->snap, m, &route, &p)) {
		refuse(r, &p, m->id, span_of("", 0));
		return;
	}
	r->entry = route.entry;
	if (!route.own)
		r->backend = route.backend;
	needs = route.entry ? &route.entry->needs
	                    : &snapshot_backend(r->snap, route.backend)->needs;
	if (!permit(r, head, needs, m->id))
		return;
	if (route.own) {
		call_own(r, m, route.entry);
		return;
	}
	if (m->era == VIEW_MODERN && m->method->id == METHOD_TOOLS_CALL &&
	    !call_check_params(r->snap, route.entry, &head->head, m->arguments,
	                       &p)) {
		refuse(r, &p, m->id, span_of("", 0));
		return;
	}
	r->call.proxy = &w->proxy;
	r->call.reply = &r->reply;
	r->call.snap = r->snap;
	call_start(&r->call, m, &head->head, &route);
}

static void dispatch(struct request *r, const struct h1_request *head,
                     const struct message *m)
{
	const struct view *view = snapshot_view(r->snap, m->era);
	struct problem p;

	r->method = m->method;
	r->era = m->era;
	if (m->method->ability && !(view->abilities & m->method->ability)) {
		problem_set(&p, m->era == VIEW_MODERN ? 404 : 200,
		            RPC_NO_METHOD,
		            "Method not found: no backend offers %.*s",
		            SPAN_ARG(m->method->name));
		refuse(r, &p, m->id, span_of("", 0));
		return;
	}
	switch (m->method->work) {
	case WORK_INITIALIZE:
		initialize(r, m);
		return;
	case WORK_EMPTY:
		empty_result(r, m);
		return;
	case WORK_SET_LEVEL:
		set_level(r, m);
		return;
	case WORK_DISCOVER:
		discover(r, m);
		return;
	case WORK_LISTEN:
		subscribe(r, m);
		return;
	case WORK_LIST:
		list(r, m);
		return;
	case WORK_BY_NAME:
	case WORK_BY_URI:
	case WORK_BY_REF:
		forward(r, head, m);
		return;
	}
}

/* ---- the endpoint ---- */

/*
 * Does the client ask for event streams by name? One that takes anything
 * ("curl" says so by default) gets a single JSON document.
 */
static bool names_events(const struct h1_head *h)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (h->fields[i].known == H1_ACCEPT &&
		    memmem(h->fields[i].value.at, h->fields[i].value.len,
		           "event-stream", 12))
			return true;
	return false;
}

static bool check_head(struct request *r, const struct h1_request *head)
{
	const struct h1_head *h = &head->head;
	struct problem p;

	if (r->verb != H1_POST) {
		problem_set(&p, 405, RPC_INVALID_REQUEST,
		            "POST a JSON-RPC message to this path; probes are "
		            "answered at /health and /ready");
		refuse(r, &p, span_of("", 0), SPAN("Allow: POST, OPTIONS\r\n"));
		return false;
	}
	if (!h1_media_type_is(h1_value(h, H1_CONTENT_TYPE),
	                      SPAN("application/json")) ||
	    h->seen[H1_CONTENT_TYPE] != 1 ||
	    !h1_charset_ok(h1_value(h, H1_CONTENT_TYPE))) {
		problem_set(&p, 415, RPC_INVALID_REQUEST,
		            "Content-Type must be application/json (UTF-8)");
		refuse(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	if (h1_has(h, H1_CONTENT_ENCODING) &&
	    !span_eq_nocase(h1_value(h, H1_CONTENT_ENCODING),
	                    SPAN("identity"))) {
		problem_set(&p, 415, RPC_INVALID_REQUEST,
		            "Content-Encoding is not accepted; send the body "
		            "as it is");
		refuse(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	r->reply.accepts_json =
		h1_head_accepts(h, SPAN("application"), SPAN("json"));
	/* Streams go only to clients that ask for them by name. */
	r->reply.accepts_events =
		h1_has(h, H1_ACCEPT) &&
		h1_head_accepts(h, SPAN("text"), SPAN("event-stream")) &&
		names_events(h);
	if (!r->reply.accepts_json && !r->reply.accepts_events) {
		problem_set(&p, 406, RPC_INVALID_REQUEST,
		            "Accept must allow application/json or "
		            "text/event-stream");
		refuse(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	return true;
}

/* Everything that can be judged without the body. False: answered. */
static bool judge(struct request *r, const struct h1_request *head,
                  enum page *page, bool *is_page)
{
	struct span path = snapshot_text(r->snap, r->snap->head->path);
	struct problem p;

	*is_page = page_find(head->path, path, page);
	r->endpoint = !*is_page && span_eq(head->path, path);
	/* Probes by address or by any name must work. */
	if (*is_page && *page != PAGE_RESOURCE_METADATA)
		return true;
	if (!check_source(r, head, &p)) {
		refuse(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	if (*is_page)
		return true;
	if (!r->endpoint) {
		problem_set(&p, 404, RPC_INVALID_REQUEST,
		            "Not found: the MCP endpoint is %.*s",
		            SPAN_ARG(path));
		refuse(r, &p, span_of("", 0), span_of("", 0));
		return false;
	}
	if (r->verb == H1_OPTIONS)
		return true;
	return identify(r, head) && check_head(r, head);
}

bool request_precheck(struct conn *c, const struct h1_request *head)
{
	struct request *r = begin(c, head);
	enum page page;
	bool is_page;

	if (!r) {
		conn_abort(c);
		return false;
	}
	c->close = true; /* its body would come behind the answer */
	if (!judge(r, head, &page, &is_page))
		return false;
	c->close = false;
	c->req = NULL;
	recycle(c->w, r);
	return true;
}

void request_serve(struct conn *c, const struct h1_request *head,
                   struct span body)
{
	struct request *r = begin(c, head);
	struct message m;
	struct problem p;
	enum page page;
	bool is_page;

	if (!r) {
		conn_abort(c);
		return;
	}
	r->bytes_in = head->head.bytes + body.len;
	if (!judge(r, head, &page, &is_page))
		return;
	if (is_page) {
		serve_page(r, head, page);
		return;
	}
	if (r->verb == H1_OPTIONS) {
		serve_preflight(r);
		return;
	}
	if (!message_read(&head->head, body, &m, &p)) {
		r->method = m.method;
		r->era = m.era;
		refuse(r, &p, m.id, span_of("", 0));
		return;
	}
	if (m.kind == MESSAGE_REQUEST) {
		dispatch(r, head, &m);
		return;
	}
	/* Notifications and answers to nobody: taken, nothing to say. */
	r->reply.outcome = OUTCOME_SUCCESS;
	answer(r, 202, NULL, span_of("", 0), NULL, 0);
}
