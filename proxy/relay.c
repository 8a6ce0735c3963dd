#include "proxy/relay.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/value.h"
#include "proxy/aside.h"
#include "proxy/backsession.h"
#include "proxy/deliver.h"
#include "proxy/downgrade.h"
#include "proxy/passing.h"
#include "proxy/rejoin.h"
#include "proxy/sealed.h"
#include "proxy/task.h"
#include "proxy/waiting.h"

static const struct scan_want wanted[RELAY_WANTS] = {
	[RELAY_ID] = { SPAN_INIT("id"), SCAN_ROOT },
	[RELAY_METHOD_NAME] = { SPAN_INIT("method"), SCAN_ROOT },
	[RELAY_PARAMS] = { SPAN_INIT("params"), SCAN_ROOT },
	[RELAY_RESULT] = { SPAN_INIT("result"), SCAN_ROOT },
	[RELAY_ERROR] = { SPAN_INIT("error"), SCAN_ROOT },
	[RELAY_PARAMS_TOKEN] = { SPAN_INIT("progressToken"), RELAY_PARAMS },
	[RELAY_PARAMS_LEVEL] = { SPAN_INIT("level"), RELAY_PARAMS },
	[RELAY_RESULT_TYPE] = { SPAN_INIT("resultType"), RELAY_RESULT },
	[RELAY_RESULT_TTL] = { SPAN_INIT("ttlMs"), RELAY_RESULT },
	[RELAY_RESULT_SCOPE] = { SPAN_INIT("cacheScope"), RELAY_RESULT },
	[RELAY_RESULT_IS_ERROR] = { SPAN_INIT("isError"), RELAY_RESULT },
	[RELAY_RESULT_REQUESTS] = { SPAN_INIT("inputRequests"), RELAY_RESULT },
	[RELAY_RESULT_STATE] = { SPAN_INIT("requestState"), RELAY_RESULT },
	[RELAY_ERROR_CODE] = { SPAN_INIT("code"), RELAY_ERROR },
	[RELAY_ERROR_MESSAGE] = { SPAN_INIT("message"), RELAY_ERROR },
	[RELAY_ERROR_DATA] = { SPAN_INIT("data"), RELAY_ERROR },
};

/* ---- messages before the last ---- */

void relay_event(struct call *c, const struct parts *p)
{
	struct reply *r = c->reply;
	struct parts event = { .n = 0 };

	if (!r || !r->accepts_events)
		return; /* this client asked for one JSON document */
	if (!r->begun)
		r->ops->begin(r, 200, REPLY_EVENTS);
	parts_add(&event, rejoin_line(c));
	parts_add(&event, SPAN("event: message\ndata: "));
	for (int i = 0; i < p->n; i++)
		event.iov[event.n++] = p->iov[i];
	parts_add(&event, SPAN("\n\n"));
	r->ops->more(r, event.iov, event.n);
	if (r->full)
		exchange_pause(&c->x);
}

static void on_progress(struct call *c, struct span text,
                        const struct span *found)
{
	struct parts p = { .n = 0 };
	struct span token = found[RELAY_PARAMS_TOKEN];
	int64_t n;

	if (!c->has_token || !value_integer(token, &n) ||
	    (uint64_t)n != c->number)
		return; /* nobody asked for it */
	parts_add(&p, span_of(text.at, (size_t)(token.at - text.at)));
	parts_add(&p, buf_span(&c->client_token));
	parts_add(&p,
	          span_from(text, (size_t)(token.at - text.at) + token.len));
	relay_event(c, &p);
}

static void on_notification(struct call *c, struct span text,
                            const struct span *found)
{
	struct parts p = { .n = 0 };

	if (value_string_eq(found[RELAY_METHOD_NAME],
	                    SPAN("notifications/progress"))) {
		on_progress(c, text, found);
		return;
	}
	if (c->client == VIEW_LEGACY && (c->abilities & CLIENT_URL) &&
	    value_string_eq(found[RELAY_METHOD_NAME],
	                    SPAN("notifications/elicitation/complete"))) {
		parts_add(&p, text);
		relay_event(c, &p);
		return;
	}
	if (!value_string_eq(found[RELAY_METHOD_NAME],
	                     SPAN("notifications/message")))
		return; /* not about this request */
	if (c->log_level < 0 ||
	    message_level(found[RELAY_PARAMS_LEVEL]) < c->log_level)
		return;
	parts_add(&p, text);
	relay_event(c, &p);
}

void relay_post(struct call *c, struct span body)
{
	/* The session that the call runs in, which may not be the newest. */
	session_post(c->proxy->sessions, c->snap, c->backend,
	             call_session_fields(c), body);
}

void call_post_cancelled(struct proxy *proxy, struct snapshot *snap,
                         uint32_t backend, struct span fields, uint64_t id)
{
	char text[128];
	int n = snprintf(text, sizeof(text),
	                 "{\"jsonrpc\":\"2.0\",\"method\":"
	                 "\"notifications/cancelled\",\"params\":{"
	                 "\"requestId\":%llu}}",
	                 (unsigned long long)id);

	session_post(proxy->sessions, snap, backend, fields,
	             span_of(text, (size_t)n));
}

void relay_cancel(struct call *c)
{
	if (c->follows_task)
		task_stop(c);
	else
		call_post_cancelled(c->proxy, c->snap, c->backend,
		                    call_session_fields(c), c->id);
}

enum revision relay_revision(const struct call *c)
{
	enum revision revision;
	struct span version = snapshot_text(
		c->snap, snapshot_origin(c->snap, c->backend)->legacy_version);

	return message_legacy_version(version, &revision) ? revision
	                                                  : REVISION_2025_03_26;
}

/* Can this client be asked that, on its own stream, by this backend? */
static bool can_be_asked(const struct call *c, const struct span *found)
{
	struct span params = found[RELAY_PARAMS];

	return c->client == VIEW_LEGACY && c->server == VIEW_LEGACY &&
	       question_allowed(
		       question_kind(found[RELAY_METHOD_NAME], params), params,
		       downgrade_abilities(relay_revision(c), c->abilities));
}

/*
 * Pass a question on, under an id that any worker can read, so that whoever
 * gets the answer knows where it belongs.
 */
static bool ask_client(struct call *c, const struct span *found)
{
	enum question_kind kind =
		question_kind(found[RELAY_METHOD_NAME], found[RELAY_PARAMS]);
	struct buf params = { .max = SIZE_MAX / 4 };
	struct buf id = { .max = SEALED_MAX };
	struct parts p = { .n = 0 };
	struct span own = found[RELAY_ID];
	struct sealed q = {
		.kind = SEALED_QUESTION,
		.backend = sealed_backend(c->snap, c->backend),
		.texts = { span_from(buf_span(&c->fields), c->own_fields),
		           own },
	};
	bool good;

	buf_putc(&id, '"');
	good = own.len <= SEALED_ID_MAX &&
	       sealed_write(c->snap, caller_id(&c->caller), &q, &id);
	if (!good) {
		buf_free(&id);
		return false;
	}
	buf_putc(&id, '"');
	question_params(kind, found[RELAY_PARAMS], c->caller.revision,
	                span_of("", 0), &params);
	parts_add(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	parts_add(&p, buf_span(&id));
	parts_add(&p, SPAN(",\"method\":\""));
	parts_add(&p, question_method(kind));
	parts_add(&p, SPAN("\",\"params\":"));
	parts_add(&p, buf_span(&params));
	parts_add(&p, SPAN("}"));
	good = buf_err(&params) == 0;
	if (good)
		relay_event(c, &p);
	buf_free(&params);
	buf_free(&id);
	return good;
}

/*
 * A backend asks something of its client: one that declared it can is asked;
 * for the others we say what they would, and answer ping ourselves.
 */
static void on_request(struct call *c, const struct span *found)
{
	struct buf answer = { .max = 1024 };
	bool ping = value_string_eq(found[RELAY_METHOD_NAME], SPAN("ping"));

	if (can_be_asked(c, found) && ask_client(c, found))
		return;
	if (waiting_park(c, found[RELAY_ID], found[RELAY_METHOD_NAME],
	                 found[RELAY_PARAMS]))
		return;
	enum question_kind kind =
		question_kind(found[RELAY_METHOD_NAME], found[RELAY_PARAMS]);

	if (kind < QUESTION_KINDS)
		c->missing = (uint8_t)(kind + 1);
	buf_puts(&answer, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&answer, found[RELAY_ID]);
	buf_puts(&answer, ping ? ",\"result\":{}}"
	                       : ",\"error\":{\"code\":-32601,\"message\":"
	                         "\"The client does not have this feature\"}}");
	if (buf_err(&answer) == 0 && c->server == VIEW_LEGACY)
		relay_post(c, buf_span(&answer));
	buf_free(&answer);
}

void relay_apart(struct call *c, struct span text)
{
	struct span found[RELAY_WANTS];
	struct scan_error why;

	if (scan_document(text, wanted, RELAY_WANTS, found, &why) == SCAN_OK &&
	    found[RELAY_METHOD_NAME].at && found[RELAY_ID].at)
		on_request(c, found);
}

bool relay_our_id(const struct call *c, struct span raw)
{
	int64_t n;

	return value_integer(raw, &n) && (uint64_t)n == c->id;
}

/* One whole JSON-RPC object. The call may be over when it returns. */
static void on_object(struct call *c, struct span text,
                      const struct span *found)
{
	bool answer = found[RELAY_RESULT].at || found[RELAY_ERROR].at;

	if (found[RELAY_METHOD_NAME].at && !answer) {
		if (found[RELAY_ID].at)
			on_request(c, found);
		else
			on_notification(c, text, found);
		return;
	}
	if (!answer || (found[RELAY_RESULT].at && found[RELAY_ERROR].at)) {
		relay_nonsense(c,
		               "it sent something that is no JSON-RPC message");
		return;
	}
	/* An error of the transport has no id: nobody could read ours. */
	if (!relay_our_id(c, found[RELAY_ID]) &&
	    (found[RELAY_RESULT].at ||
	     value_type(found[RELAY_ID]) == VALUE_STRING ||
	     value_type(found[RELAY_ID]) == VALUE_NUMBER)) {
		relay_nonsense(c, "it answered a request that was not made");
		return;
	}
	if (found[RELAY_RESULT].at)
		deliver_result(c, found);
	else
		deliver_error(c, found);
}

static bool on_message(struct call *c, struct span text);

/* 2025-03-26 backends may put several messages into an array. */
static bool on_batch(struct call *c, struct span text)
{
	struct value_iter it;
	struct span item;
	uint32_t attempt = c->attempt;

	value_iter_init(&it, text);
	while (relay_works(c, attempt) && value_array_next(&it, &item))
		if (value_type(item) != VALUE_OBJECT || !on_message(c, item))
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
	       value_integer(found[RELAY_ERROR_CODE], &code) &&
	       code == RPC_LEGACY && !relay_our_id(c, found[RELAY_ID]);
}

static void again(struct call *c)
{
	exchange_cancel(&c->x);
	backsession_lost(c);
	c->retried = true;
	c->attempt++;
	buf_reset(&c->in);
	call_send(c);
}

/* False: this is not a JSON text. */
static bool on_message(struct call *c, struct span text)
{
	struct span found[RELAY_WANTS];
	struct scan_error why;

	if (scan_document(text, wanted, RELAY_WANTS, found, &why) != SCAN_OK)
		return false;
	if (value_type(text) == VALUE_ARRAY)
		return on_batch(c, text);
	if (value_type(text) != VALUE_OBJECT)
		return false;
	if (session_gone(c, found))
		again(c);
	else
		on_object(c, text, found);
	return true;
}

/* ---- a whole text ---- */

struct span relay_one_line(struct buf *room, struct span text)
{
	if (sse_data_safe(text))
		return text;
	if (text.at != room->bytes) {
		buf_reset(room);
		buf_add_span(room, text);
		text = buf_span(room);
	}
	for (size_t i = 0; i < text.len; i++)
		if (room->bytes[i] == '\n' || room->bytes[i] == '\r')
			room->bytes[i] = ' ';
	return text;
}

/* One of several texts. A carriage return between its tokens would end the line
 * of an event; only what is valid may be rewritten. */
static bool on_line(struct call *c, struct span line)
{
	struct buf room = { .max = line.len };
	struct scan_error why;
	bool good;

	if (!c->reply->accepts_events || sse_data_safe(line) ||
	    scan_document(line, NULL, 0, NULL, &why) != SCAN_OK)
		return on_message(c, line);
	line = relay_one_line(&room, line);
	good = buf_err(&room) == 0 && on_message(c, line);
	buf_free(&room);
	return good;
}

/* Several JSON texts with line ends between them. */
static void on_lines(struct call *c, struct span text)
{
	uint32_t attempt = c->attempt;

	while (relay_works(c, attempt) && text.len) {
		size_t n = span_find(text, '\n');
		struct span line = span_first(text, n);

		text = span_from(text, n + 1);
		while (line.len && (*line.at == ' ' || *line.at == '\r'))
			line = span_from(line, 1);
		while (line.len && (line.at[line.len - 1] == '\r' ||
		                    line.at[line.len - 1] == ' '))
			line.len--;
		if (line.len && !on_line(c, line)) {
			relay_nonsense(c, "its answer is not valid JSON");
			return;
		}
	}
}

static bool white(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void on_whole(struct call *c, struct span text)
{
	struct scan_error why;

	while (text.len && white(text.at[text.len - 1]))
		text.len--;
	/* One text over many lines, and not a text on each. */
	if (c->reply->accepts_events && !sse_data_safe(text) &&
	    scan_document(text, NULL, 0, NULL, &why) == SCAN_OK)
		text = relay_one_line(&c->in, text);
	if (on_message(c, text))
		return;
	if (span_find(text, '\n') < text.len)
		on_lines(c, text);
	else
		relay_nonsense(c, "its answer is not valid JSON");
}

/* ---- what comes from the exchange ---- */

static void on_head(struct exchange *x, const struct exchange_head *head)
{
	struct call *c = CONTAINER_OF(x, struct call, x);

	c->status = head->status;
	c->gathers = false;
	c->whole = head->has_length ? head->length : 0;
	if (x->method == EXCHANGE_GET && head->status == 409 &&
	    rejoin_possible(c)) {
		/* It has not noticed that the stream before is gone. */
		exchange_cancel(x);
		rejoin_later(c);
		return;
	}
	if (x->method == EXCHANGE_GET && head->status != 200) {
		aside_abandon(c);
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "its stream broke, and it does not go on with it "
		           "(%d)",
		           head->status);
		return;
	}
	if (head->status == 401 || head->status == 403)
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "it refuses the gateway's credentials (%d)",
		           head->status);
}

static bool sse_field(struct span s)
{
	static const struct span starts[] = {
		SPAN_INIT("event:"), SPAN_INIT("data:"), SPAN_INIT("id:"),
		SPAN_INIT("retry:"), SPAN_INIT(":")
	};

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
	/* Room for all of it at once, when its head said how much. */
	if (c->in.len == 0 && c->whole <= CALL_WINDOW)
		buf_reserve(&c->in, (size_t)c->whole);
	buf_add_span(&c->in, bytes);
	if (buf_err(&c->in) < 0) {
		relay_nonsense(c, c->gathers
		                          ? "its result asks for input or is a "
		                            "task, and is over "
		                            "limits.message_bytes"
		                          : "its answer is too large");
		return;
	}
	/* Ids of tasks are replaced in what is whole. */
	if (c->in.len <= CALL_WINDOW || c->status >= 300 || c->gathers ||
	    c->method->work == WORK_BY_TASK)
		return;
	c->gathers = c->server == VIEW_MODERN && passing_must_not(c);
	if (!c->gathers)
		passing_begin(c);
}

/* A client that knows an id can ask for what comes behind it. */
static void pass_id(struct call *c)
{
	struct reply *r = c->reply;
	struct span line = rejoin_line(c);
	struct parts event = { .n = 0 };
	char retry[40];
	int n = 0;

	if (!line.len || !r || !r->accepts_events)
		return;
	if (!r->begun)
		r->ops->begin(r, 200, REPLY_EVENTS);
	if (c->retry_ms)
		n = snprintf(retry, sizeof(retry), "retry: %llu\n",
		             (unsigned long long)c->retry_ms);
	parts_add(&event, line);
	parts_add(&event, span_of(retry, (size_t)n));
	parts_add(&event, SPAN("data:\n\n"));
	r->ops->more(r, event.iov, event.n);
}

static void read_events(struct call *c, struct span bytes)
{
	struct sse_event event;
	uint32_t attempt = c->attempt;

	while (relay_works(c, attempt)) {
		switch (sse_next(&c->sse, &bytes, &event)) {
		case SSE_MORE:
			return;
		case SSE_TOO_LARGE:
			relay_nonsense(c, "one of its events is over "
			                  "limits.message_bytes");
			return;
		case SSE_EVENT:
			break;
		}
		rejoin_note(c, &event);
		/* Of another type it is not for us. */
		if (!span_is(event.type, "message"))
			continue;
		if (event.data.len == 0) { /* it carries an id, and no more */
			pass_id(c);
			continue;
		}
		event.data = relay_one_line(&c->in, event.data);
		if (!on_message(c, event.data))
			relay_nonsense(c,
			               "one of its events is not valid JSON");
	}
}

/* All events of one piece leave together. */
static void on_events(struct call *c, struct span bytes)
{
	struct proxy *proxy = c->proxy;

	c->reply->ops->cork(c->reply);
	read_events(c, bytes);
	proxy->uncork(proxy);
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
		passing_more(c, bytes);
		break;
	case FORM_EVENTS:
		on_events(c, bytes);
		break;
	}
}

/* An event stream has ended, and no answer was in it. */
static void on_stream_over(struct call *c)
{
	if (rejoin_possible(c)) {
		rejoin_later(c);
		return;
	}
	aside_abandon(c);
	relay_nonsense(c, "its event stream ended without a result");
}

static void on_complete(struct call *c)
{
	uint32_t attempt = c->attempt;

	switch ((enum call_form)c->form) {
	case FORM_WHOLE:
		on_whole(c, buf_span(&c->in));
		if (relay_works(c, attempt))
			relay_nonsense(c, "its answer has no result");
		return;
	case FORM_STREAM:
		passing_end(c);
		return;
	case FORM_EVENTS:
		on_stream_over(c);
		return;
	case FORM_UNKNOWN:
		break;
	}
	/* The rest of a stream, and nothing was left of it yet. */
	if (c->x.method == EXCHANGE_GET) {
		on_stream_over(c);
		return;
	}
	if (session_gone(c, NULL)) {
		again(c);
		return;
	}
	if (c->status < 300)
		aside_abandon(c);
	relay_fail(c, OUTCOME_UNAVAILABLE, "it answered %d without a body",
	           c->status);
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct call *c = CONTAINER_OF(x, struct call, x);

	if (!c->reply) /* parked: what to do is decided when it goes on */
		c->lost = true;
	else if (why == EXCHANGE_COMPLETE)
		on_complete(c);
	else if (rejoin_possible(c) &&
	         (c->form == FORM_EVENTS || c->x.method == EXCHANGE_GET))
		rejoin_later(c);
	else {
		if (why != EXCHANGE_REFUSED && why != EXCHANGE_BUSY)
			aside_abandon(c);
		relay_fail(c, OUTCOME_UNAVAILABLE, "%s", detail);
	}
}

const struct exchange_ops relay_ops = {
	.head = on_head,
	.body = on_body,
	.end = on_end,
};
