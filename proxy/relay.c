#include "proxy/relay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "proxy/catalog.h"

#define PARTS_MAX 12

/* What is looked for in a backend's message. */
enum want {
	ID,
	METHOD_NAME,
	PARAMS,
	RESULT,
	ERROR,
	PARAMS_TOKEN,
	PARAMS_LEVEL,
	RESULT_TYPE,
	RESULT_TTL,
	RESULT_SCOPE,
	RESULT_IS_ERROR,
	RESULT_CONTENTS,
	ERROR_CODE,
	ERROR_MESSAGE,
	ERROR_DATA,
	WANTS,
};

#define KEY(text)                      \
	{                              \
		text, sizeof(text) - 1 \
	}

static const struct scan_want wanted[WANTS] = {
	[ID] = { KEY("id"), SCAN_ROOT },
	[METHOD_NAME] = { KEY("method"), SCAN_ROOT },
	[PARAMS] = { KEY("params"), SCAN_ROOT },
	[RESULT] = { KEY("result"), SCAN_ROOT },
	[ERROR] = { KEY("error"), SCAN_ROOT },
	[PARAMS_TOKEN] = { KEY("progressToken"), PARAMS },
	[PARAMS_LEVEL] = { KEY("level"), PARAMS },
	[RESULT_TYPE] = { KEY("resultType"), RESULT },
	[RESULT_TTL] = { KEY("ttlMs"), RESULT },
	[RESULT_SCOPE] = { KEY("cacheScope"), RESULT },
	[RESULT_IS_ERROR] = { KEY("isError"), RESULT },
	[RESULT_CONTENTS] = { KEY("contents"), RESULT },
	[ERROR_CODE] = { KEY("code"), ERROR },
	[ERROR_MESSAGE] = { KEY("message"), ERROR },
	[ERROR_DATA] = { KEY("data"), ERROR },
};

/* Of an answer that streams: its root and what may be missing in result. */
enum passing {
	PASS_ID,
	PASS_METHOD,
	PASS_RESULT,
	PASS_ERROR,
	PASS_TYPE,
	PASSING
};

static const struct scan_want passing[PASSING] = {
	[PASS_ID] = { KEY("id"), SCAN_ROOT },
	[PASS_METHOD] = { KEY("method"), SCAN_ROOT },
	[PASS_RESULT] = { KEY("result"), SCAN_ROOT },
	[PASS_ERROR] = { KEY("error"), SCAN_ROOT },
	[PASS_TYPE] = { KEY("resultType"), PASS_RESULT },
};

/* The bytes of an answer, in pieces that need not be copied together. */
struct parts {
	struct iovec iov[PARTS_MAX];
	int n;
};

static void part(struct parts *p, struct span s)
{
	assert(p->n < PARTS_MAX);
	p->iov[p->n].iov_base = (void *)(uintptr_t)s.at;
	p->iov[p->n].iov_len = s.len;
	p->n++;
}

static struct span backend_name(const struct call *c)
{
	return snapshot_text(c->snap,
	                     snapshot_backend(c->snap, c->backend)->name);
}

/* ---- the end ---- */

/* The last message of the answer, whole or as the last event. */
static void finish(struct call *c, int status, struct parts *p)
{
	struct reply *r = c->reply;
	struct parts event = { .n = 0 };

	c->running = false;
	exchange_detach(&c->x);
	if (!r->begun && r->accepts_json) {
		r->ops->whole(r, status, REPLY_JSON, p->iov, p->n);
		return;
	}
	part(&event, SPAN("event: message\ndata: "));
	for (int i = 0; i < p->n; i++)
		event.iov[event.n++] = p->iov[i];
	part(&event, SPAN("\n\n"));
	if (!r->begun) {
		r->ops->whole(r, status, REPLY_EVENTS, event.iov, event.n);
		return;
	}
	r->ops->more(r, event.iov, event.n);
	r->ops->end(r, true);
}

/* A JSON-RPC error in our words. */
static void finish_error(struct call *c, int status, int code,
                         struct span message_json, struct span data_json)
{
	struct parts p = { .n = 0 };
	char number[32];
	int n = snprintf(number, sizeof(number), "%d", code);

	part(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	part(&p, buf_span(&c->client_id));
	part(&p, SPAN(",\"error\":{\"code\":"));
	part(&p, span_of(number, (size_t)n));
	part(&p, SPAN(",\"message\":"));
	part(&p, message_json);
	if (data_json.len) {
		part(&p, SPAN(",\"data\":"));
		part(&p, data_json);
	}
	part(&p, SPAN("}}"));
	finish(c, status, &p);
}

void relay_fail(struct call *c, enum outcome outcome, const char *fmt, ...)
{
	char why[CALL_TEXT / 2];
	va_list args;
	struct buf json = { .max = 4 * CALL_TEXT };
	struct buf data = { .max = 1024 };

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	snprintf(c->text, sizeof(c->text), "Backend %.*s: %s",
	         SPAN_ARG(backend_name(c)), why);
	c->reply->outcome = outcome;
	c->reply->error = c->text;
	if (c->result_open) {
		/* The client has half a result: it must see a broken answer. */
		c->running = false;
		exchange_cancel(&c->x);
		c->reply->ops->end(c->reply, false);
		return;
	}
	exchange_cancel(&c->x);
	buf_add_json(&json, span_str(c->text));
	buf_puts(&data, "{\"backend\":");
	buf_add_json(&data, backend_name(c));
	buf_puts(&data, "}");
	finish_error(c, 200, RPC_INTERNAL, buf_span(&json), buf_span(&data));
	buf_free(&json);
	buf_free(&data);
}

static void nonsense(struct call *c, const char *what)
{
	relay_fail(c, OUTCOME_UNAVAILABLE, "%s", what);
}

/* ---- results ---- */

static bool takes_input(const struct call *c)
{
	return c->client == VIEW_MODERN &&
	       (c->method->id == METHOD_TOOLS_CALL ||
	        c->method->id == METHOD_PROMPTS_GET ||
	        c->method->id == METHOD_RES_READ);
}

/* contents[].uri become public URIs again. */
static void add_contents(struct call *c, struct span contents)
{
	struct span identifier = snapshot_text(
		c->snap, snapshot_backend(c->snap, c->backend)->identifier);
	struct scan_iter items, members;
	struct span item, key, value;
	bool first = true;

	buf_putc(&c->out, '[');
	scan_iter_init(&items, contents);
	while (scan_array_next(&items, &item)) {
		bool first_member = true;

		buf_puts(&c->out, first ? "" : ",");
		first = false;
		if (scan_type(item) != SCAN_OBJECT) {
			buf_add_span(&c->out, item);
			continue;
		}
		buf_putc(&c->out, '{');
		scan_iter_init(&members, item);
		while (scan_object_next(&members, &key, &value)) {
			char uri[MESSAGE_URI_MAX];
			int n = -1;

			buf_puts(&c->out, first_member ? "" : ",");
			first_member = false;
			buf_add_span(&c->out, key);
			buf_putc(&c->out, ':');
			if (scan_string_eq(key, SPAN("uri")))
				n = scan_string(value, uri, sizeof(uri));
			if (n > 0) {
				struct buf text = { .max = 2 *
					                   MESSAGE_URI_MAX };

				catalog_public_uri(identifier,
				                   span_of(uri, (size_t)n),
				                   &text);
				buf_add_json(&c->out, buf_span(&text));
				buf_free(&text);
			} else {
				buf_add_span(&c->out, value);
			}
		}
		buf_putc(&c->out, '}');
	}
	buf_putc(&c->out, ']');
}

static bool renames_contents(const struct call *c, const struct span *found)
{
	return c->method->id == METHOD_RES_READ &&
	       (snapshot_backend(c->snap, c->backend)->flags &
	        BACKEND_NAMESPACE) &&
	       scan_type(found[RESULT_CONTENTS]) == SCAN_ARRAY;
}

static bool legacy_drops(struct span key)
{
	return scan_string_eq(key, SPAN("resultType")) ||
	       scan_string_eq(key, SPAN("ttlMs")) ||
	       scan_string_eq(key, SPAN("cacheScope"));
}

/*
 * The result written anew, for what cannot be done by adding at its end:
 * members that a legacy client must not see, public URIs.
 */
static struct span rewrite(struct call *c, const struct span *found)
{
	struct scan_iter it;
	struct span key, value;
	bool first = true;

	buf_reset(&c->out);
	buf_putc(&c->out, '{');
	scan_iter_init(&it, found[RESULT]);
	while (scan_object_next(&it, &key, &value)) {
		if (c->client == VIEW_LEGACY && legacy_drops(key))
			continue;
		buf_puts(&c->out, first ? "" : ",");
		first = false;
		buf_add_span(&c->out, key);
		buf_putc(&c->out, ':');
		if (value.at == found[RESULT_CONTENTS].at &&
		    renames_contents(c, found))
			add_contents(c, value);
		else
			buf_add_span(&c->out, value);
	}
	buf_putc(&c->out, '}');
	return buf_span(&c->out);
}

/* What a modern result must have and this one has not; with its comma. */
static struct span missing(const struct call *c, const struct span *found,
                           bool empty)
{
	bool cacheable =
		c->method->id == METHOD_RES_READ &&
		!scan_string_eq(found[RESULT_TYPE], SPAN("input_required"));
	bool type = !found[RESULT_TYPE].at;
	bool hints =
		cacheable && (!found[RESULT_TTL].at || !found[RESULT_SCOPE].at);

	if (c->client != VIEW_MODERN)
		return span_of("", 0);
	if (type && hints)
		return empty ? SPAN("\"resultType\":\"complete\",\"ttlMs\":0,"
		                    "\"cacheScope\":\"private\"")
		             : SPAN(",\"resultType\":\"complete\",\"ttlMs\":0,"
		                    "\"cacheScope\":\"private\"");
	if (type)
		return empty ? SPAN("\"resultType\":\"complete\"")
		             : SPAN(",\"resultType\":\"complete\"");
	if (hints && !found[RESULT_TTL].at && !found[RESULT_SCOPE].at)
		return SPAN(",\"ttlMs\":0,\"cacheScope\":\"private\"");
	if (hints)
		return found[RESULT_TTL].at
		               ? SPAN(",\"cacheScope\":\"private\"")
		               : SPAN(",\"ttlMs\":0");
	return span_of("", 0);
}

/* Does the result's type make sense to this client? */
static bool check_type(struct call *c, struct span type)
{
	if (!type.at || scan_string_eq(type, SPAN("complete")))
		return true;
	if (scan_string_eq(type, SPAN("input_required"))) {
		if (takes_input(c))
			return true;
		relay_fail(c, OUTCOME_ERROR,
		           "it asks for input in a way that this client's "
		           "protocol revision does not have");
		return false;
	}
	nonsense(c, "its result is of a type that was not asked for");
	return false;
}

static void on_result(struct call *c, const struct span *found)
{
	struct span result = found[RESULT];
	struct parts p = { .n = 0 };

	if (scan_type(result) != SCAN_OBJECT) {
		nonsense(c, "its result is not an object");
		return;
	}
	if (!check_type(c, found[RESULT_TYPE]))
		return;
	c->reply->outcome = scan_type(found[RESULT_IS_ERROR]) == SCAN_TRUE
	                            ? OUTCOME_TOOL_ERROR
	                            : OUTCOME_SUCCESS;
	if (renames_contents(c, found) ||
	    (c->client == VIEW_LEGACY &&
	     (found[RESULT_TYPE].at || found[RESULT_TTL].at ||
	      found[RESULT_SCOPE].at))) {
		result = rewrite(c, found);
		if (buf_err(&c->out) < 0) {
			nonsense(c, "its result is too large");
			return;
		}
	}
	part(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	part(&p, buf_span(&c->client_id));
	part(&p, SPAN(",\"result\":"));

	struct scan_iter it;
	struct span key, value;
	scan_iter_init(&it, result);
	struct span add =
		missing(c, found, !scan_object_next(&it, &key, &value));
	if (add.len) {
		part(&p, span_first(result, result.len - 1));
		part(&p, add);
		part(&p, SPAN("}}"));
	} else {
		part(&p, result);
		part(&p, SPAN("}"));
	}
	finish(c, 200, &p);
}

/* ---- errors of the backend ---- */

/* Codes that mean something only between the backend and us. */
static bool ours_alone(int64_t code)
{
	return code == RPC_HEADER_MISMATCH || code == RPC_UNSUPPORTED_VERSION ||
	       (code <= -32023 && code >= -32099);
}

static void on_error(struct call *c, const struct span *found)
{
	int64_t code;
	int status = 200;

	if (!scan_integer(found[ERROR_CODE], &code) || code < INT32_MIN ||
	    code > INT32_MAX ||
	    scan_type(found[ERROR_MESSAGE]) != SCAN_STRING) {
		nonsense(c, "its error has no code or no message");
		return;
	}
	if (ours_alone(code)) {
		relay_fail(c, OUTCOME_ERROR,
		           "it refuses how the gateway speaks to it (%d)",
		           (int)code);
		return;
	}
	if (c->client == VIEW_MODERN) {
		if (code == RPC_LEGACY_NO_RESOURCE)
			code = RPC_INVALID_PARAMS;
		else if (code <= -32000 && code >= -32019)
			code = RPC_INTERNAL;
		else if (code == RPC_MISSING_CAPABILITY)
			status = 400;
		else if (code == RPC_NO_METHOD)
			status = 404;
	} else if (code == RPC_MISSING_CAPABILITY) {
		relay_fail(c, OUTCOME_ERROR,
		           "it needs a client feature that this client has not "
		           "declared");
		return;
	}
	c->reply->outcome = OUTCOME_ERROR;
	c->reply->error = "the backend answered with an error";
	finish_error(c, status, (int)code, found[ERROR_MESSAGE],
	             found[ERROR_DATA]);
}

/* ---- messages before the last ---- */

static void pass_event(struct call *c, struct parts *p)
{
	struct reply *r = c->reply;
	struct parts event = { .n = 0 };

	if (!r->accepts_events)
		return; /* this client asked for one JSON document */
	if (!r->begun)
		r->ops->begin(r, 200, REPLY_EVENTS);
	part(&event, SPAN("event: message\ndata: "));
	for (int i = 0; i < p->n; i++)
		event.iov[event.n++] = p->iov[i];
	part(&event, SPAN("\n\n"));
	r->ops->more(r, event.iov, event.n);
	if (r->full)
		exchange_pause(&c->x);
}

static void on_progress(struct call *c, struct span text,
                        const struct span *found)
{
	struct parts p = { .n = 0 };
	struct span token = found[PARAMS_TOKEN];
	int64_t n;

	if (!c->has_token || !scan_integer(token, &n) || (uint64_t)n != c->id)
		return; /* nobody asked for it */
	part(&p, span_of(text.at, (size_t)(token.at - text.at)));
	part(&p, buf_span(&c->client_token));
	part(&p, span_from(text, (size_t)(token.at - text.at) + token.len));
	pass_event(c, &p);
}

static void on_notification(struct call *c, struct span text,
                            const struct span *found)
{
	struct parts p = { .n = 0 };

	if (scan_string_eq(found[METHOD_NAME],
	                   SPAN("notifications/progress"))) {
		on_progress(c, text, found);
		return;
	}
	if (!scan_string_eq(found[METHOD_NAME], SPAN("notifications/message")))
		return; /* not about this request */
	if (c->log_level < 0 ||
	    message_level(found[PARAMS_LEVEL]) < c->log_level)
		return;
	part(&p, text);
	pass_event(c, &p);
}

/*
 * A legacy backend asks something of its client. We declared that we can do
 * nothing, so all there is to answer is ping.
 */
static void on_request(struct call *c, const struct span *found)
{
	struct buf answer = { .max = 1024 };
	bool ping = scan_string_eq(found[METHOD_NAME], SPAN("ping"));

	buf_puts(&answer, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&answer, found[ID]);
	buf_puts(&answer, ping ? ",\"result\":{}}"
	                       : ",\"error\":{\"code\":-32601,\"message\":"
	                         "\"The client does not have this feature\"}}");
	if (buf_err(&answer) == 0 && c->server == VIEW_LEGACY)
		session_post(c->proxy->sessions, c->snap, c->backend, true,
		             buf_span(&answer));
	buf_free(&answer);
}

static bool our_id(const struct call *c, struct span raw)
{
	int64_t n;

	return scan_integer(raw, &n) && (uint64_t)n == c->id;
}

/* One whole JSON-RPC object. The call may be over when it returns. */
static void on_object(struct call *c, struct span text,
                      const struct span *found)
{
	bool answer = found[RESULT].at || found[ERROR].at;

	if (found[METHOD_NAME].at && !answer) {
		if (found[ID].at)
			on_request(c, found);
		else
			on_notification(c, text, found);
		return;
	}
	if (!answer || (found[RESULT].at && found[ERROR].at)) {
		nonsense(c, "it sent something that is no JSON-RPC message");
		return;
	}
	/* An error of the transport has no id: nobody could read ours. */
	if (!our_id(c, found[ID]) &&
	    (found[RESULT].at || scan_type(found[ID]) == SCAN_STRING ||
	     scan_type(found[ID]) == SCAN_NUMBER)) {
		nonsense(c, "it answered a request that was not made");
		return;
	}
	if (found[RESULT].at)
		on_result(c, found);
	else
		on_error(c, found);
}

static bool on_message(struct call *c, struct span text);

/* Is the call that a loop began with still being answered? */
static bool works(const struct call *c, uint32_t attempt)
{
	return c->running && c->attempt == attempt;
}

/* 2025-03-26 backends may put several messages into an array. */
static bool on_batch(struct call *c, struct span text)
{
	struct scan_iter it;
	struct span item;
	uint32_t attempt = c->attempt;

	scan_iter_init(&it, text);
	while (works(c, attempt) && scan_array_next(&it, &item))
		if (scan_type(item) != SCAN_OBJECT || !on_message(c, item))
			return false;
	return true;
}

/*
 * A session the backend forgot: nothing was executed, so once more with a new
 * one. Servers say it with 404, and some with 400 and no id.
 */
static bool session_gone(struct call *c, const struct span *found)
{
	int64_t code;

	if (c->server != VIEW_LEGACY || c->retried)
		return false;
	if (c->status == 404)
		return true;
	return c->status == 400 && found &&
	       scan_integer(found[ERROR_CODE], &code) && code == RPC_LEGACY &&
	       !our_id(c, found[ID]);
}

static void again(struct call *c)
{
	exchange_cancel(&c->x);
	session_lost(c->proxy->sessions, c->snap, c->backend, c->session);
	c->retried = true;
	c->attempt++;
	buf_reset(&c->in);
	call_send(c);
}

/* False: this is not a JSON text. */
static bool on_message(struct call *c, struct span text)
{
	struct span found[WANTS];
	struct scan_error why;

	if (scan_document(text, wanted, WANTS, found, &why) != SCAN_OK)
		return false;
	if (scan_type(text) == SCAN_ARRAY)
		return on_batch(c, text);
	if (scan_type(text) != SCAN_OBJECT)
		return false;
	if (session_gone(c, found))
		again(c);
	else
		on_object(c, text, found);
	return true;
}

/* ---- a whole text ---- */

/* Several JSON texts with line ends between them. */
static void on_lines(struct call *c, struct span text)
{
	uint32_t attempt = c->attempt;

	while (works(c, attempt) && text.len) {
		size_t n = span_find(text, '\n');
		struct span line = span_first(text, n);

		text = span_from(text, n + 1);
		while (line.len && (*line.at == ' ' || *line.at == '\r'))
			line = span_from(line, 1);
		while (line.len && (line.at[line.len - 1] == '\r' ||
		                    line.at[line.len - 1] == ' '))
			line.len--;
		if (line.len && !on_message(c, line)) {
			nonsense(c, "its answer is not valid JSON");
			return;
		}
	}
}

static void on_whole(struct call *c, struct span text)
{
	if (on_message(c, text))
		return;
	if (span_find(text, '\n') < text.len)
		on_lines(c, text);
	else
		nonsense(c, "its answer is not valid JSON");
}

/* ---- a text that streams through ---- */

static void open_result(struct call *c)
{
	struct reply *r = c->reply;
	struct parts p = { .n = 0 };
	struct span id;

	if (scan_stream_kept(c->stream, PASS_ID, &id) && !our_id(c, id)) {
		nonsense(c, "it answered a request that was not made");
		return;
	}
	c->result_open = true;
	r->ops->begin(r, 200, r->accepts_json ? REPLY_JSON : REPLY_EVENTS);
	if (!r->accepts_json)
		part(&p, SPAN("event: message\ndata: "));
	part(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	part(&p, buf_span(&c->client_id));
	part(&p, SPAN(",\"result\":"));
	r->ops->more(r, p.iov, p.n);
}

static void pass_result(struct call *c, struct span bytes)
{
	struct parts p = { .n = 0 };

	/* Line ends between tokens would end an event's line. */
	if (!c->reply->accepts_json && !sse_data_safe(bytes)) {
		buf_reset(&c->out);
		buf_add_span(&c->out, bytes);
		for (size_t i = 0; i < c->out.len; i++)
			if (c->out.bytes[i] == '\n' || c->out.bytes[i] == '\r')
				c->out.bytes[i] = ' ';
		bytes = buf_span(&c->out);
	}
	part(&p, bytes);
	c->reply->ops->more(c->reply, p.iov, p.n);
}

static void close_result(struct call *c)
{
	struct parts p = { .n = 0 };

	if (c->client == VIEW_MODERN && !scan_stream_seen(c->stream, PASS_TYPE))
		part(&p, c->stream->empty
		                 ? SPAN("\"resultType\":\"complete\"")
		                 : SPAN(",\"resultType\":\"complete\""));
	if (c->client == VIEW_MODERN && c->method->id == METHOD_RES_READ)
		part(&p, SPAN(",\"ttlMs\":0,\"cacheScope\":\"private\""));
	part(&p, SPAN("}"));
	c->reply->ops->more(c->reply, p.iov, p.n);
}

/* The text is complete: was it ours? */
static void end_stream(struct call *c)
{
	struct reply *r = c->reply;
	struct scan_error why;
	struct parts p = { .n = 0 };
	struct span id;

	if (scan_stream_end(c->stream, &why) != SCAN_OK || !c->result_open ||
	    !scan_stream_kept(c->stream, PASS_ID, &id) || !our_id(c, id)) {
		nonsense(c, "its answer is not valid JSON, or not to our "
		            "request");
		return;
	}
	c->running = false;
	c->reply->outcome = OUTCOME_SUCCESS;
	exchange_detach(&c->x);
	part(&p, SPAN("}"));
	if (!r->accepts_json)
		part(&p, SPAN("\n\n"));
	r->ops->more(r, p.iov, p.n);
	r->ops->end(r, true);
}

static void on_stream(struct call *c, struct span in)
{
	struct span bytes;
	uint32_t attempt = c->attempt;

	while (works(c, attempt)) {
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
				nonsense(c, "it answered with an error that "
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
			nonsense(c, "its answer is not valid JSON");
			return;
		}
	}
}

/* Too long to be held: from here on it streams. */
static void begin_stream(struct call *c)
{
	c->stream = malloc(sizeof(*c->stream));
	if (!c->stream) {
		nonsense(c, "its answer is too large");
		return;
	}
	scan_stream_init(c->stream, passing, PASSING, 1u << PASS_ID);
	c->form = FORM_STREAM;

	uint32_t attempt = c->attempt;
	on_stream(c, buf_span(&c->in));
	if (works(c, attempt))
		buf_free(&c->in);
}

/* ---- what comes from the exchange ---- */

static void on_head(struct exchange *x, const struct exchange_head *head)
{
	struct call *c = CONTAINER_OF(x, struct call, x);

	c->status = head->status;
	c->whole = head->has_length ? head->length : 0;
	if (head->status == 401 || head->status == 403)
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "it refuses the gateway's credentials (%d)",
		           head->status);
}

static bool sse_field(struct span s)
{
	static const struct span starts[] = { KEY("event:"), KEY("data:"),
		                              KEY("id:"), KEY("retry:"),
		                              KEY(":") };

	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		size_t n = MIN(s.len, starts[i].len);

		if (n && memcmp(s.at, starts[i].at, n) == 0)
			return true;
	}
	return false;
}

/* JSON or events? What the bytes are counts, not what the head calls them. */
static void sniff(struct call *c, struct span *bytes)
{
	struct span s = *bytes;

	while (s.len && (*s.at == ' ' || *s.at == '\n' || *s.at == '\r' ||
	                 *s.at == '\t'))
		s = span_from(s, 1);
	if (s.len == 0)
		return;
	if (*s.at == '{' || *s.at == '[')
		c->form = FORM_WHOLE;
	else if (sse_field(s) || (unsigned char)*s.at == 0xef)
		c->form = FORM_EVENTS;
	else if (c->status == 404 && c->server == VIEW_LEGACY && !c->retried)
		again(c);
	else
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "it answered %d with something that is neither JSON "
		           "nor an event stream",
		           c->status);
}

static void on_whole_piece(struct call *c, struct span bytes)
{
	/* The usual case: all of it at once, nothing to gather. */
	if (c->in.len == 0 && c->whole && bytes.len == c->whole) {
		on_whole(c, bytes);
		return;
	}
	buf_add_span(&c->in, bytes);
	if (buf_err(&c->in) < 0) {
		nonsense(c, "its answer is too large");
		return;
	}
	if (c->in.len > CALL_WINDOW && c->status < 300)
		begin_stream(c);
}

static void on_events(struct call *c, struct span bytes)
{
	struct sse_event event;
	uint32_t attempt = c->attempt;

	while (works(c, attempt)) {
		switch (sse_next(&c->sse, &bytes, &event)) {
		case SSE_MORE:
			return;
		case SSE_TOO_LARGE:
			nonsense(c, "one of its events is over "
			            "limits.message_bytes");
			return;
		case SSE_EVENT:
			break;
		}
		/*
		 * Without data it only carries an id to resume from; of
		 * another type it is not for us.
		 */
		if (event.data.len == 0 || !span_is(event.type, "message"))
			continue;
		if (!sse_data_safe(event.data)) {
			buf_reset(&c->out);
			buf_add_span(&c->out, event.data);
			for (size_t i = 0; i < c->out.len; i++)
				if (c->out.bytes[i] == '\n' ||
				    c->out.bytes[i] == '\r')
					c->out.bytes[i] = ' ';
			buf_reset(&c->in);
			buf_add_span(&c->in, buf_span(&c->out));
			event.data = buf_span(&c->in);
		}
		if (!on_message(c, event.data))
			nonsense(c, "one of its events is not valid JSON");
	}
}

static void on_body(struct exchange *x, struct span bytes)
{
	struct call *c = CONTAINER_OF(x, struct call, x);

	if (c->form == FORM_UNKNOWN)
		sniff(c, &bytes);
	if (!c->running || !exchange_running(x))
		return;
	switch ((enum call_form)c->form) {
	case FORM_UNKNOWN:
		break;
	case FORM_WHOLE:
		on_whole_piece(c, bytes);
		break;
	case FORM_STREAM:
		on_stream(c, bytes);
		break;
	case FORM_EVENTS:
		on_events(c, bytes);
		break;
	}
}

static void on_complete(struct call *c)
{
	uint32_t attempt = c->attempt;

	switch ((enum call_form)c->form) {
	case FORM_WHOLE:
		on_whole(c, buf_span(&c->in));
		if (works(c, attempt))
			nonsense(c, "its answer has no result");
		return;
	case FORM_STREAM:
		end_stream(c);
		return;
	case FORM_EVENTS:
		nonsense(c, "its event stream ended without a result");
		return;
	case FORM_UNKNOWN:
		break;
	}
	if (session_gone(c, NULL)) {
		again(c);
		return;
	}
	relay_fail(c, OUTCOME_UNAVAILABLE, "it answered %d without a body",
	           c->status);
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct call *c = CONTAINER_OF(x, struct call, x);

	if (why == EXCHANGE_COMPLETE)
		on_complete(c);
	else
		relay_fail(c, OUTCOME_UNAVAILABLE, "%s", detail);
}

const struct exchange_ops relay_ops = {
	.head = on_head,
	.body = on_body,
	.end = on_end,
};
