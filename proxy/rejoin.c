#include "proxy/rejoin.h"

#include "lib/clock.h"
#include "proxy/relay.h"

void rejoin_note(struct call *c, const struct sse_event *event)
{
	c->retry_ms = c->sse.retry_ms;
	if (event->data.len)
		c->rejoins = 0;
	if (c->server != VIEW_LEGACY || event->id.len == 0 ||
	    span_eq(event->id, buf_span(&c->event)))
		return;
	/* It goes into a header line. */
	for (size_t i = 0; i < event->id.len; i++) {
		unsigned char b = (unsigned char)event->id.at[i];

		if (b < 0x20 || b == 0x7f)
			return;
	}
	c->rejoins = 0;
	c->event.max = SSE_ID_MAX;
	buf_reset(&c->event);
	buf_add_span(&c->event, event->id);
}

struct span rejoin_line(struct call *c)
{
	struct sealed s = {
		.kind = SEALED_EVENT,
		.round = (uint32_t)c->method->id,
		.call = c->id,
		.digest = c->number,
		.texts = { call_session_fields(c), buf_span(&c->event),
		           buf_span(&c->client_id),
		           buf_span(&c->client_token) },
	};

	if (c->client != VIEW_LEGACY || !c->caller.session || !c->event.len)
		return span_of("", 0);
	s.backend = sealed_backend(c->snap, c->backend);
	s.expires_s =
		(clock_utc_ms() + c->snap->settings->session_lifetime) / 1000;
	c->event_line.max = SEALED_MAX;
	buf_reset(&c->event_line);
	buf_puts(&c->event_line, "id: ");
	if (!sealed_write(c->snap, caller_id(&c->caller), &s, &c->event_line))
		return span_of("", 0);
	buf_putc(&c->event_line, '\n');
	return buf_err(&c->event_line) == 0 ? buf_span(&c->event_line)
	                                    : span_of("", 0);
}

bool rejoin_possible(const struct call *c)
{
	return c->server == VIEW_LEGACY && c->event.len &&
	       c->rejoins < REJOIN_TRIES_MAX;
}

static void ask(struct call *c)
{
	c->form = FORM_UNKNOWN;
	c->status = 0;
	sse_fini(&c->sse);
	buf_reset(&c->in);
	c->rejoin_fields.max = SEALED_MAX;
	buf_reset(&c->rejoin_fields);
	buf_add_span(&c->rejoin_fields, call_session_fields(c));
	buf_puts(&c->rejoin_fields, "Last-Event-ID: ");
	buf_add_span(&c->rejoin_fields, buf_span(&c->event));
	buf_puts(&c->rejoin_fields, "\r\n");
	if (buf_err(&c->rejoin_fields) < 0) {
		relay_fail(c, OUTCOME_ERROR, "the request is too large");
		return;
	}
	c->x.ops = &relay_ops;
	c->x.snap = c->snap;
	c->x.backend = c->backend;
	c->x.method = EXCHANGE_GET;
	c->x.body = span_of("", 0);
	c->x.fields = buf_span(&c->rejoin_fields);
	c->x.repeatable = true;
	exchange_start(c->proxy->up, &c->x);
}

static void on_due(struct timer *t)
{
	ask(CONTAINER_OF(t, struct call, rejoin));
}

void rejoin_later(struct call *c)
{
	uint64_t in_ms = c->retry_ms ? c->retry_ms : REJOIN_WAIT_MS;

	c->rejoins++;
	in_ms = MIN(MAX(in_ms, REJOIN_LEAST_MS), REJOIN_MOST_MS);
	loop_timer(c->proxy->loop, &c->rejoin, in_ms, on_due);
}

void rejoin_stop(struct call *c)
{
	if (c->rejoin.due_ms)
		loop_timer_stop(c->proxy->loop, &c->rejoin);
}

void rejoin_start(struct call *c, const struct sealed *s, uint32_t backend)
{
	call_prepare(c);
	c->entry = NULL;
	c->method = &method_table[s->round];
	c->backend = backend;
	c->client = VIEW_LEGACY;
	c->server = VIEW_LEGACY;
	c->abilities = c->caller.abilities;
	c->id = s->call;
	c->number = s->digest;
	c->has_token = s->texts[3].len > 0;
	c->log_level = c->caller.wanted_level ? c->caller.wanted_level - 1
	                                      : MESSAGE_LEVEL_USUAL;
	buf_add_span(&c->client_id, s->texts[2]);
	buf_add_span(&c->client_token, s->texts[3]);
	buf_add_span(&c->fields, s->texts[0]);
	c->own_fields = 0;
	c->event.max = SSE_ID_MAX;
	buf_add_span(&c->event, s->texts[1]);
	loop_soon(c->proxy->loop, &c->rejoin, on_due);
}
