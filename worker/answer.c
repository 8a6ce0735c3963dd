#include "worker/answer.h"

#include <stdio.h>

#include "lib/chunked.h"

#define HEAD_ROOM  4096 /* bytes of an answer's head */
#define PIECES_MAX 24   /* of one send */

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
	if (r->session.len) {
		put(h, SPAN("Mcp-Session-Id: "));
		put(h, r->session);
		put(h, SPAN("\r\n"));
	}
	put_cors(h, r);
	if (r->conn->close)
		put(h, SPAN("Connection: close\r\n"));
	else if (r->http10 && r->keep_alive)
		put(h, SPAN("Connection: keep-alive\r\n"));
}

void answer_send(struct request *r, int status, const char *type,
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
	request_end(r);
}

void answer_text(struct request *r, int status, const char *type,
                 struct span more_fields, struct span body)
{
	struct iovec iov = { (void *)(uintptr_t)body.at, body.len };

	answer_send(r, status, type, more_fields, &iov, 1);
}

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
	answer_send(r, status, types[type],
	            type == REPLY_EVENTS ? EVENT_FIELDS : span_of("", 0), body,
	            n);
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
		request_end(r);
		return;
	}
	if (r->chunked)
		conn_send(r->conn, &iov, 1);
	request_end(r);
}

static void cork(struct reply *reply)
{
	conn_cork(of(reply)->conn);
}

const struct reply_ops answer_ops = {
	.whole = whole,
	.begin = begin_reply,
	.more = more,
	.cork = cork,
	.end = end_reply,
};

/* ---- errors ---- */

static void problem_body(struct buf *b, const struct problem *p, struct span id,
                         enum revision revision)
{
	/* Before 2025-11-25 an error cannot do without one (JSON-RPC 2.0,
	 * section 5). */
	if (id.len == 0 && revision < REVISION_2025_11_25)
		id = SPAN("null");
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

void answer_problem(struct request *r, const struct problem *p, struct span id,
                    struct span fields)
{
	struct buf *b = &r->conn->w->page;

	problem_body(b, p, id, r->caller.revision);
	if (p->status == 200 || r->element) {
		struct iovec iov = { b->bytes, b->len };

		r->reply.ops->whole(&r->reply, p->status, REPLY_JSON, &iov, 1);
		return;
	}
	answer_text(r, p->status, "application/json", fields, buf_span(b));
}

void answer_event(struct reply *reply, struct span json)
{
	const struct span start = SPAN("event: message\ndata: ");
	const struct iovec iov[] = {
		{ (void *)(uintptr_t)start.at, start.len },
		{ (void *)(uintptr_t)json.at, json.len },
		{ (void *)(uintptr_t) "\n\n", 2 },
	};

	reply->ops->more(reply, iov, ARRAY_LEN(iov));
}
