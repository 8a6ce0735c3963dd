#include "proxy/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "proxy/aside.h"
#include "proxy/backsession.h"
#include "proxy/extension.h"
#include "proxy/forward.h"
#include "proxy/rejoin.h"
#include "proxy/relay.h"
#include "proxy/trace.h"
#include "proxy/waiting.h"

#define KEEP_BYTES 16384 /* of a buffer between two requests */

/* May the backend execute it twice without harm? */
static bool repeatable(const struct message *msg, const struct entry *e)
{
	if (msg->method->id != METHOD_TOOLS_CALL)
		return true;
	return e && (e->flags & (ENTRY_READ_ONLY | ENTRY_IDEMPOTENT));
}

void call_send(struct call *c)
{
	c->form = FORM_UNKNOWN;
	sse_fini(&c->sse); /* of an answer before this one, if any */
	c->status = 0;
	if (c->server == VIEW_LEGACY && !c->aside_settled &&
	    !backsession_ready(c))
		return;
	if (!c->aside_settled && !aside_ready(c)) {
		c->aside_settled = true;
		return;
	}
	c->aside_settled = false;
	if (buf_err(&c->body) < 0 || buf_err(&c->fields) < 0) {
		relay_fail(c, OUTCOME_ERROR, "the request is too large");
		return;
	}
	c->x.ops = &relay_ops;
	c->x.snap = c->snap;
	c->x.backend = c->backend;
	c->x.method = EXCHANGE_POST;
	c->x.body = buf_span(&c->body);
	c->x.fields = buf_span(&c->fields);
	exchange_start(c->proxy->up, &c->x);
}

void call_repeat(struct call *c, struct span members)
{
	struct buf old = c->body;

	c->body = (struct buf){ .max = old.max };
	c->id = ++c->proxy->next_id;
	buf_puts(&c->body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_u64(&c->body, c->id);

	size_t rest_at = c->body.len;
	buf_add(&c->body, old.bytes + c->rest_at, c->params_end - c->rest_at);
	c->params_end = rest_at + (c->params_end - c->rest_at);
	c->rest_at = rest_at;
	buf_add_span(&c->body, members);
	buf_puts(&c->body, "}}");
	buf_free(&old);
	buf_reset(&c->in);
	c->attempt++;
	call_send(c);
}

/* The least one to pass on; -1: none. */
static int log_level(const struct call *c, const struct message *msg)
{
	if (msg->era == VIEW_MODERN)
		return msg->log_level.at ? message_level(msg->log_level) : -1;
	return c->caller.wanted_level ? c->caller.wanted_level - 1
	                              : MESSAGE_LEVEL_USUAL;
}

bool call_takes_input(const struct call *c)
{
	return c->method->id == METHOD_TOOLS_CALL ||
	       c->method->id == METHOD_PROMPTS_GET ||
	       c->method->id == METHOD_RES_READ;
}

/* What the client says of the request itself, not of what it asks for. */
static void take_client(struct call *c, const struct message *msg)
{
	c->client_id.max = MESSAGE_ID_MAX;
	c->client_token.max = MESSAGE_TOKEN_MAX;
	buf_reset(&c->client_id);
	buf_reset(&c->client_token);
	buf_add_span(&c->client_id, msg->id);
	c->has_token = msg->progress_token.at != NULL;
	if (c->has_token)
		buf_add_span(&c->client_token, msg->progress_token);
	c->log_level = log_level(c, msg);
}

void call_renew(struct call *c, const struct message *msg)
{
	bool had_token = c->has_token;

	take_client(c, msg);
	c->has_token = c->has_token && had_token;
}

void call_hold(struct call *c)
{
	if (!c->holds)
		snapshot_ref(c->snap);
	c->holds = true;
}

void call_prepare(struct call *c)
{
	const struct settings *s = c->snap->settings;
	size_t max = (size_t)s->limits_body_bytes + 65536;

	c->parked = c->lost = false;
	c->missing = 0;
	c->aside_settled = false;
	c->retried = false;
	c->attempt++;
	c->running = true;
	c->result_open = false;
	c->passes_types = c->follows_task = false;
	c->retry_ms = 0;
	c->rejoins = 0;
	c->body.max = max;
	c->fields.max = 65536;
	c->client_id.max = MESSAGE_ID_MAX;
	c->client_token.max = MESSAGE_TOKEN_MAX;
	c->task.max = MESSAGE_URI_MAX;
	buf_reset(&c->task);
	c->tool.max = MESSAGE_URI_MAX;
	buf_reset(&c->tool);
	c->in.max = (size_t)s->limits_message_bytes;
	c->out.max = 4 * (size_t)s->limits_message_bytes;
	c->sse.data.max = (size_t)s->limits_message_bytes;
}

void call_start(struct call *c, const struct message *msg,
                const struct h1_head *head, const struct route *route)
{
	const struct settings *s = c->snap->settings;
	const struct backend *b = snapshot_backend(c->snap, route->backend);
	struct trace trace;

	c->entry = route->entry;
	c->method = msg->method;
	c->backend = route->backend;
	c->client = msg->era;
	c->server = route->server;
	/* A legacy client is asked on a stream, or not at all. */
	c->abilities = c->caller.abilities;
	if (c->client == VIEW_LEGACY && !c->reply->accepts_events)
		c->abilities &= EXTENSION_CLIENTS;
	c->abilities = extension_session(c->snap, c->backend, c->abilities);
	c->id = ++c->proxy->next_id;
	c->number = c->id;
	call_prepare(c);
	take_client(c, msg);
	if (msg->method->work == WORK_BY_TASK)
		buf_add_span(&c->task, msg->name);
	if (msg->method->id == METHOD_TOOLS_CALL && !c->entry)
		buf_add(&c->tool, route->public_name, route->public_len);
	trace_read(msg->trace_parent, msg->trace_state, head, &trace);
	forward_message(c, msg, route, &trace);
	if (c->server == VIEW_MODERN)
		forward_fields(c, msg, head, route);
	trace_fields(&trace, &c->fields);
	c->own_fields = c->fields.len;
	backsession_begin(c);
	c->x.repeatable = repeatable(msg, route->entry);

	if (!board_breaker_try(&c->proxy->board->backends[b->slot],
	                       loop_now_ms(c->proxy->loop),
	                       (uint64_t)s->breaker_open_time)) {
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "it failed too often and is left alone for a while");
		return;
	}
	call_send(c);
}

bool call_is_at_legacy(const struct call *c)
{
	return c->server == VIEW_LEGACY &&
	       (exchange_running(&c->x) || c->rejoin.due_ms);
}

struct span call_session_fields(const struct call *c)
{
	return span_from(buf_span(&c->fields), c->own_fields);
}

static void stop(struct call *c, bool tell)
{
	if (!c->running)
		return;
	c->running = false;
	session_forgo(&c->wait);
	/* A legacy backend does not take a closed stream for a cancellation. */
	if (tell && call_is_at_legacy(c))
		relay_cancel(c);
	waiting_end(c);
	aside_leave(c);
	rejoin_stop(c);
	exchange_cancel(&c->x);
}

void call_cancel(struct call *c)
{
	stop(c, c->client == VIEW_MODERN);
}

void call_abort(struct call *c)
{
	stop(c, true);
}

void call_resume(struct call *c)
{
	if (c->running)
		exchange_resume(&c->x);
}

static void shrink(struct buf *b)
{
	buf_reset(b);
	if (b->cap > KEEP_BYTES)
		buf_free(b);
}

struct call *call_take(struct proxy *proxy)
{
	struct call *c = proxy->spare;

	if (c)
		proxy->spare = c->next;
	else
		c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->next = NULL;
	c->proxy = proxy;
	return c;
}

void call_fini(struct call *c)
{
	waiting_end(c);
	aside_leave(c);
	c->running = false;
	c->parked = false;
	session_forgo(&c->wait);
	exchange_cancel(&c->x);
	backsession_end(c);
	rejoin_stop(c);
	shrink(&c->event);
	shrink(&c->event_line);
	shrink(&c->rejoin_fields);
	shrink(&c->given);
	shrink(&c->body);
	shrink(&c->fields);
	shrink(&c->client_id);
	shrink(&c->client_token);
	shrink(&c->task);
	shrink(&c->tool);
	shrink(&c->in);
	shrink(&c->out);
	sse_fini(&c->sse);
	free(c->stream);
	c->stream = NULL;
	if (c->holds)
		snapshot_unref(c->snap);
	c->holds = false;
}

void call_give(struct call *c)
{
	if (!c || c->parked)
		return;
	call_fini(c);
	c->next = c->proxy->spare;
	c->proxy->spare = c;
}

void call_free_spare(struct proxy *proxy)
{
	while (proxy->spare) {
		struct call *c = proxy->spare;

		proxy->spare = c->next;
		buf_free(&c->body);
		buf_free(&c->fields);
		buf_free(&c->given);
		buf_free(&c->event);
		buf_free(&c->event_line);
		buf_free(&c->rejoin_fields);
		buf_free(&c->client_id);
		buf_free(&c->client_token);
		buf_free(&c->task);
		buf_free(&c->in);
		buf_free(&c->out);
		free(c);
	}
}
