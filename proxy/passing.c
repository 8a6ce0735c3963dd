#include "proxy/passing.h"

#include <stdlib.h>

#include "proxy/relay.h"

/* What is looked for: at the root, and what may be missing in result. */
enum passing {
	PASS_ID,
	PASS_METHOD,
	PASS_RESULT,
	PASS_ERROR,
	PASS_TYPE,
	PASS_TTL,
	PASS_SCOPE,
	PASS_ALWAYS, /* from here on of modern backends only */
	PASS_REQUESTS = PASS_ALWAYS,
	PASS_STATE,
	PASS_TASK,
	PASSING
};

static const struct scan_want passing[PASSING] = {
	[PASS_ID] = { SPAN_INIT("id"), SCAN_ROOT },
	[PASS_METHOD] = { SPAN_INIT("method"), SCAN_ROOT },
	[PASS_RESULT] = { SPAN_INIT("result"), SCAN_ROOT },
	[PASS_ERROR] = { SPAN_INIT("error"), SCAN_ROOT },
	[PASS_TYPE] = { SPAN_INIT("resultType"), PASS_RESULT },
	[PASS_TTL] = { SPAN_INIT("ttlMs"), PASS_RESULT },
	[PASS_SCOPE] = { SPAN_INIT("cacheScope"), PASS_RESULT },
	[PASS_REQUESTS] = { SPAN_INIT("inputRequests"), PASS_RESULT },
	[PASS_STATE] = { SPAN_INIT("requestState"), PASS_RESULT },
	[PASS_TASK] = { SPAN_INIT("taskId"), PASS_RESULT },
};

static void init(const struct call *c, struct scan_stream *s)
{
	size_t n = c->server == VIEW_MODERN ? PASSING : PASS_ALWAYS;

	scan_stream_init(s, passing, n, 1u << PASS_ID);
}

/*
 * Has the result, as far as it came, a member that must not go out as the
 * backend wrote it? Its type would tell as well, but often stands last, and
 * without one of these it holds nothing that is secret.
 */
static bool must_change(const struct call *c, const struct scan_stream *s)
{
	return (call_takes_input(c) && (scan_stream_seen(s, PASS_REQUESTS) ||
	                                scan_stream_seen(s, PASS_STATE))) ||
	       (c->method->id == METHOD_TOOLS_CALL &&
	        scan_stream_seen(s, PASS_TASK));
}

bool passing_must_not(const struct call *c)
{
	struct span in = buf_span(&c->in), bytes;
	struct scan_stream s;
	enum scan_event event;

	init(c, &s);
	do
		event = scan_stream_next(&s, &in, &bytes);
	while (event != SCAN_MORE && event != SCAN_DONE && event != SCAN_BAD);
	return must_change(c, &s);
}

static void open_result(struct call *c)
{
	struct reply *r = c->reply;
	struct parts p = { .n = 0 };
	struct span id;

	if (scan_stream_kept(c->stream, PASS_ID, &id) && !relay_our_id(c, id)) {
		relay_nonsense(c, "it answered a request that was not made");
		return;
	}
	c->result_open = true;
	r->ops->begin(r, 200, r->accepts_json ? REPLY_JSON : REPLY_EVENTS);
	if (!r->accepts_json)
		parts_add(&p, SPAN("event: message\ndata: "));
	parts_add(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	parts_add(&p, buf_span(&c->client_id));
	parts_add(&p, SPAN(",\"result\":"));
	r->ops->more(r, p.iov, p.n);
}

static void pass_result(struct call *c, struct span bytes)
{
	struct parts p = { .n = 0 };

	/* A name is known before the first byte of its value goes out. */
	if (must_change(c, c->stream)) {
		relay_nonsense(c,
		               "its result was passing on already when it "
		               "turned out to ask for input or to be a task");
		return;
	}
	if (!c->reply->accepts_json)
		bytes = relay_one_line(&c->out, bytes);
	parts_add(&p, bytes);
	c->reply->ops->more(c->reply, p.iov, p.n);
}

static void close_result(struct call *c)
{
	bool modern = c->client == VIEW_MODERN;
	bool hints = modern && c->method->id == METHOD_RES_READ;
	struct parts p = { .n = 0 };

	if (modern && !scan_stream_seen(c->stream, PASS_TYPE))
		parts_add(&p, c->stream->empty
		                      ? SPAN("\"resultType\":\"complete\"")
		                      : SPAN(",\"resultType\":\"complete\""));
	if (hints && !scan_stream_seen(c->stream, PASS_TTL))
		parts_add(&p, SPAN(",\"ttlMs\":0"));
	if (hints && !scan_stream_seen(c->stream, PASS_SCOPE))
		parts_add(&p, SPAN(",\"cacheScope\":\"private\""));
	parts_add(&p, SPAN("}"));
	c->reply->ops->more(c->reply, p.iov, p.n);
}

void passing_end(struct call *c)
{
	struct reply *r = c->reply;
	struct scan_error why;
	struct parts p = { .n = 0 };
	struct span id;

	if (scan_stream_end(c->stream, &why) != SCAN_OK || !c->result_open ||
	    !scan_stream_kept(c->stream, PASS_ID, &id) ||
	    !relay_our_id(c, id)) {
		relay_nonsense(c, "its answer is not valid JSON, or not to our "
		                  "request");
		return;
	}
	c->running = false;
	c->reply->outcome = OUTCOME_SUCCESS;
	exchange_detach(&c->x);
	parts_add(&p, SPAN("}"));
	if (!r->accepts_json)
		parts_add(&p, SPAN("\n\n"));
	r->ops->more(r, p.iov, p.n);
	r->ops->end(r, true);
}

void passing_more(struct call *c, struct span in)
{
	struct span bytes;
	uint32_t attempt = c->attempt;

	while (relay_works(c, attempt)) {
		switch (scan_stream_next(c->stream, &in, &bytes)) {
		case SCAN_MORE:
		case SCAN_DONE:
			if (c->reply->full)
				exchange_pause(&c->x);
			return;
		case SCAN_BEGIN:
			if (c->stream->member == PASS_RESULT)
				open_result(c);
			else if (c->stream->member != PASS_ID)
				relay_nonsense(c,
				               "it answered with an error that "
				               "is too large");
			break;
		case SCAN_VALUE:
			if (c->stream->member == PASS_RESULT)
				pass_result(c, bytes);
			break;
		case SCAN_CLOSE:
			if (c->stream->member == PASS_RESULT)
				close_result(c);
			break;
		case SCAN_END:
			break;
		case SCAN_BAD:
			relay_nonsense(c, "its answer is not valid JSON");
			return;
		}
	}
}

void passing_begin(struct call *c)
{
	c->stream = malloc(sizeof(*c->stream));
	if (!c->stream) {
		relay_nonsense(c, "its answer is too large");
		return;
	}
	init(c, c->stream);
	c->form = FORM_STREAM;

	uint32_t attempt = c->attempt;
	passing_more(c, buf_span(&c->in));
	if (relay_works(c, attempt))
		buf_free(&c->in);
}
