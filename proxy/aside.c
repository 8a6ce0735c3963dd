#include "proxy/aside.h"

#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"
#include "proxy/extension.h"
#include "proxy/relay.h"

#define EVENT_MAX (1u << 20) /* bytes of one message */
#define TRIES_MAX 10         /* while the backend has another stream */
#define AGAIN_MS  50         /* between two of them */

enum state { CLOSED, OPENING, OPEN, REFUSED };

struct aside {
	struct exchange x;
	struct timer timer; /* while it opens, then while it is idle */
	struct proxy *proxy;
	struct aside *next, **prev;
	struct call *calls;
	size_t n_calls;
	struct snapshot *snap; /* held while it exists */
	uint32_t backend;      /* index in snap */
	struct buf fields;     /* of the session: which one it is */
	struct sse sse;
	enum state state;
	uint32_t tries; /* while another stream of the session is there */
	bool orphans; /* calls that nobody waits for may go on in the session */
};

/* ---- of one stream ---- */

static void close_stream(struct aside *a)
{
	exchange_cancel(&a->x);
	sse_fini(&a->sse);
	a->state = CLOSED;
}

static void free_aside(struct aside *a)
{
	assert(!a->calls);
	close_stream(a);
	loop_timer_stop(a->proxy->loop, &a->timer);
	*a->prev = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->proxy->n_asides--;
	snapshot_unref(a->snap);
	buf_free(&a->fields);
	free(a);
}

static void on_idle(struct timer *t)
{
	struct aside *a = CONTAINER_OF(t, struct aside, timer);

	if (!a->calls)
		free_aside(a);
}

/* It is known whether there is one: those who waited go. */
static void settle(struct aside *a, enum state state)
{
	struct call *c = a->calls;

	if (a->state != OPENING)
		return;
	a->state = state;
	loop_timer_stop(a->proxy->loop, &a->timer);
	while (c) {
		struct call *next = c->aside_next;

		/* Sending may fail, and end the call. */
		if (c->aside_waits) {
			c->aside_waits = false;
			call_send(c);
		}
		c = next;
	}
}

/* There is none: those who wait go, and others need not wait, or try again. */
static void conclude(struct aside *a, enum state state)
{
	if (a->state == OPENING)
		settle(a, state);
	else
		a->state = state;
}

static void on_late(struct timer *t)
{
	settle(CONTAINER_OF(t, struct aside, timer), OPEN);
}

/* ---- what comes ---- */

static void refuse(struct aside *a, struct span id, const char *member)
{
	struct buf body = { .max = 1024 };

	buf_puts(&body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&body, id);
	buf_puts(&body, member);
	if (buf_err(&body) == 0 && id.len <= SEALED_ID_MAX)
		session_post(a->proxy->sessions, a->snap, a->backend,
		             buf_span(&a->fields), buf_span(&body));
	buf_free(&body);
}

#define UNKNOWN                                                              \
	",\"error\":{\"code\":-32603,\"message\":\"It cannot be told which " \
	"request this belongs to: ask on that request's own stream\"}}"

/* All that can have asked is one call, or are calls of one caller of which one
 * runs: then it is that one, since those that are parked have asked already. */
static struct call *only_call(const struct aside *a)
{
	struct call *only = NULL;

	if (a->orphans)
		return NULL;
	for (struct call *c = a->calls; c; c = c->aside_next) {
		if (!span_eq(caller_id(&c->caller),
		             caller_id(&a->calls->caller)))
			return NULL;
		if (c->parked)
			continue;
		if (only)
			return NULL;
		only = c;
	}
	return only ? only : a->n_calls == 1 ? a->calls : NULL;
}

static void on_message(struct aside *a, struct span text)
{
	static const struct scan_want want[] = {
		{ { "id", 2 }, SCAN_ROOT },
		{ { "method", 6 }, SCAN_ROOT },
	};
	struct span found[ARRAY_LEN(want)];
	struct scan_error why;
	struct call *c;

	if (scan_document(text, want, ARRAY_LEN(want), found, &why) !=
	            SCAN_OK ||
	    !found[0].at || value_type(found[1]) != VALUE_STRING)
		return; /* notifications belong to no call */
	if (value_string_eq(found[1], SPAN("ping")))
		refuse(a, found[0], ",\"result\":{}}");
	else if ((c = only_call(a)))
		relay_apart(c, text);
	else
		refuse(a, found[0], UNKNOWN);
}

static void ask(struct aside *a);

static void on_again(struct timer *t)
{
	ask(CONTAINER_OF(t, struct aside, timer));
}

static void on_head(struct exchange *x, const struct exchange_head *head)
{
	struct aside *a = CONTAINER_OF(x, struct aside, x);

	if (head->status == 200) {
		settle(a, OPEN);
		return;
	}
	exchange_cancel(x);
	sse_fini(&a->sse);
	if (head->status == 409 && a->state == OPENING &&
	    a->tries++ < TRIES_MAX) {
		/* It has not noticed yet that another stream has ended. */
		loop_timer(a->proxy->loop, &a->timer, AGAIN_MS, on_again);
		return;
	}
	/* It has none, or cannot give it now. */
	conclude(a,
	         head->status == 405 || head->status == 404 ? REFUSED : CLOSED);
}

static void on_body(struct exchange *x, struct span bytes)
{
	struct aside *a = CONTAINER_OF(x, struct aside, x);
	struct sse_event event;
	enum sse_result result;

	while ((result = sse_next(&a->sse, &bytes, &event)) == SSE_EVENT)
		if (event.data.len && span_is(event.type, "message"))
			on_message(a, event.data);
	if (result == SSE_TOO_LARGE)
		close_stream(a);
}

static void on_end(struct exchange *x, enum exchange_end why,
                   const char *detail)
{
	struct aside *a = CONTAINER_OF(x, struct aside, x);

	(void)why;
	(void)detail;
	sse_fini(&a->sse);
	conclude(a, CLOSED); /* the next call opens it again */
}

static const struct exchange_ops ops = {
	.head = on_head,
	.body = on_body,
	.end = on_end,
};

static void ask(struct aside *a)
{
	a->state = OPENING;
	a->sse = (struct sse){ .data = { .max = EVENT_MAX } };
	a->x.ops = &ops;
	a->x.snap = a->snap;
	a->x.backend = a->backend;
	a->x.method = EXCHANGE_GET;
	a->x.stream = true;
	a->x.repeatable = true;
	a->x.fields = buf_span(&a->fields);
	exchange_start(a->proxy->up, &a->x);
	loop_timer(a->proxy->loop, &a->timer, ASIDE_WAIT_MS, on_late);
}

static void open_stream(struct aside *a)
{
	a->tries = 0;
	ask(a);
}

/* ---- of calls ---- */

static struct aside *find(const struct call *c)
{
	struct span fields = call_session_fields(c);
	uint32_t slot = snapshot_backend(c->snap, c->backend)->slot;

	for (struct aside *a = c->proxy->asides; a; a = a->next)
		if (span_eq(buf_span(&a->fields), fields) &&
		    snapshot_backend(a->snap, a->backend)->slot == slot)
			return a;
	return NULL;
}

static struct aside *make(struct call *c)
{
	struct proxy *proxy = c->proxy;
	struct aside *a =
		proxy->n_asides < ASIDE_MAX ? calloc(1, sizeof(*a)) : NULL;

	if (!a)
		return NULL;
	a->proxy = proxy;
	a->snap = snapshot_ref(c->snap);
	a->backend = c->backend;
	a->fields.max = SIZE_MAX / 4;
	buf_add_span(&a->fields, call_session_fields(c));
	a->next = proxy->asides;
	if (a->next)
		a->next->prev = &a->next;
	a->prev = &proxy->asides;
	proxy->asides = a;
	proxy->n_asides++;
	return a;
}

static void join(struct aside *a, struct call *c)
{
	c->aside = a;
	c->aside_next = a->calls;
	if (c->aside_next)
		c->aside_next->aside_prev = &c->aside_next;
	c->aside_prev = &a->calls;
	a->calls = c;
	a->n_calls++;
}

static void leave(struct aside *a, struct call *c)
{
	*c->aside_prev = c->aside_next;
	if (c->aside_next)
		c->aside_next->aside_prev = c->aside_prev;
	c->aside = NULL;
	c->aside_waits = false;
	if (--a->n_calls)
		return;
	if (a->state == OPENING)
		close_stream(a);
	/* One for one call ends with it; one of a client may be needed by
	   another worker next, and a server knows one stream a session. */
	loop_timer(a->proxy->loop, &a->timer,
	           c->single || c->given.len ? 0 : ASIDE_IDLE_MS, on_idle);
}

/*
 * Its backend goes on with c, and may still ask: then nobody else in a session
 * of several callers may be asked in its place. Later calls get a new one.
 */
static void orphan(struct aside *a, const struct call *c)
{
	if (c->key.owner || a->state == REFUSED)
		return;
	a->orphans = true;
	session_lost(c->proxy->sessions, c->snap, c->backend, c->key,
	             c->session);
}

void aside_abandon(struct call *c)
{
	if (c->aside)
		orphan(c->aside, c);
}

void aside_leave(struct call *c)
{
	struct aside *a = c->aside;

	if (!a)
		return;
	if (call_is_at_legacy(c))
		orphan(a, c);
	leave(a, c);
}

bool aside_ready(struct call *c)
{
	struct span fields = call_session_fields(c);
	struct aside *a;

	if (c->aside)
		leave(c->aside, c);
	/* Without a session id there is no stream that is this session's. */
	if (c->server != VIEW_LEGACY || !(c->abilities & ~EXTENSION_CLIENTS) ||
	    !call_takes_input(c) ||
	    !span_starts(fields, SPAN("Mcp-Session-Id: ")))
		return true;
	a = find(c);
	if (!a)
		a = make(c);
	if (!a)
		return true;
	join(a, c);
	if (a->state == CLOSED)
		open_stream(a);
	else if (a->state != OPENING)
		loop_timer_stop(a->proxy->loop, &a->timer);
	c->aside_waits = a->state == OPENING;
	return !c->aside_waits;
}

void aside_end_all(struct proxy *proxy)
{
	struct aside *next;

	for (struct aside *a = proxy->asides; a; a = next) {
		next = a->next;
		while (a->calls)
			aside_leave(a->calls);
		free_aside(a);
	}
}
