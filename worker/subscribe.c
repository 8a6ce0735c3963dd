#include "worker/subscribe.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "lib/value.h"
#include "proxy/tap.h"
#include "worker/answer.h"
#include "worker/handover.h"
#include "worker/local.h"
#include "worker/stream.h"

#define BODY_MAX 65536
#define LOOK_MS  10   /* between two looks at whether it has taken effect */
#define HOLD_MS  1000 /* and for how long */
#define PEERS_MS 300  /* for a replica that may have the stream */

/* A subscription that the backend is asked for. */
struct subscribing {
	struct request *r;
	struct reply reply; /* of the call; ours, to see how it ends */
	struct tap tap;     /* to a modern backend */
	struct timer timer; /* its time, then the end of it */
	uint64_t from_ms;   /* when it is answered at the earliest ... */
	uint64_t until_ms;  /* ... and at the latest */
	struct problem why; /* it is refused; status 0: it is not */
	struct buf id, own; /* raw id of the request; the backend's URI */
	size_t len;
	char uri[]; /* public */
};

void subscribe_end(struct subscribing *s)
{
	if (!s)
		return;
	loop_timer_stop(s->r->conn->w->loop, &s->timer);
	if (s->tap.loop)
		tap_fini(&s->tap);
	buf_free(&s->id);
	buf_free(&s->own);
	free(s);
}

static struct span backend_name(const struct request *r)
{
	return snapshot_text(r->snap,
	                     snapshot_backend(r->snap, r->backend)->name);
}

/* The backend has accepted it. False fills *why: there is no room. */
static bool record(struct subscribing *s, struct problem *why)
{
	struct request *r = s->r;
	struct worker *w = r->conn->w;
	struct span uri = span_of(s->uri, s->len);

	if (!r->caller.session)
		return true;
	if (!clients_subscribe(&w->board->clients, w->index, r->caller.session,
	                       uri, r->caller.session_expires_s,
	                       clock_utc_ms() / 1000)) {
		problem_set(why, 200, RPC_BUSY,
		            "Too many resources are subscribed to");
		return false;
	}
	stream_resubscribe(w, r->caller.session);
	return true;
}

static void on_look(struct timer *t)
{
	struct subscribing *s = CONTAINER_OF(t, struct subscribing, timer);
	struct request *r = s->r;
	struct loop *loop = r->conn->w->loop;

	if ((loop_now_ms(loop) >= s->from_ms &&
	     clients_settled(&r->conn->w->board->clients, r->caller.session,
	                     span_of(s->uri, s->len))) ||
	    loop_now_ms(loop) >= s->until_ms)
		local_empty(r, buf_span(&s->id));
	else
		loop_timer(loop, t, LOOK_MS, on_look);
}

/* It is recorded. The worker with the session's stream hears of it in a moment:
 * what happens behind our answer is told. */
static void answer_soon(struct subscribing *s)
{
	const struct request *r = s->r;
	struct loop *loop = r->conn->w->loop;
	bool elsewhere =
		r->snap->head->peers.len && r->caller.session &&
		!clients_held(&r->conn->w->board->clients, r->caller.session);

	s->from_ms = loop_now_ms(loop) + (elsewhere ? PEERS_MS : 0);
	s->until_ms = loop_now_ms(loop) + HOLD_MS;
	loop_soon(loop, &s->timer, on_look);
}

/* ---- a legacy backend ---- */

/* Nobody listens in the session that was asked in. */
static void take_back(struct subscribing *s)
{
	struct request *r = s->r;
	struct proxy *proxy = &r->conn->w->proxy;
	struct buf body = { .max = BODY_MAX };

	buf_puts(&body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_u64(&body, ++proxy->next_id);
	buf_puts(&body, ",\"method\":\"resources/unsubscribe\","
	                "\"params\":{\"uri\":");
	buf_add_json(&body, buf_span(&s->own));
	buf_puts(&body, "}}");
	if (buf_err(&body) == 0)
		session_post(proxy->sessions, r->snap, r->backend,
		             call_session_fields(r->call), buf_span(&body));
	buf_free(&body);
}

static struct subscribing *of(struct reply *reply)
{
	return CONTAINER_OF(reply, struct subscribing, reply);
}

/* What is behind us sees the request's own reply. */
static struct reply *behind(struct reply *reply)
{
	struct reply *r = &of(reply)->r->reply;

	r->outcome = reply->outcome;
	r->error = reply->error;
	return r;
}

static void whole(struct reply *reply, int status, enum reply_type type,
                  const struct iovec *body, int n)
{
	struct subscribing *s = of(reply);
	struct reply *r = behind(reply);
	struct problem p;

	if (reply->outcome == OUTCOME_SUCCESS) {
		take_back(s);
		if (!record(s, &p)) {
			r->outcome = OUTCOME_ERROR;
			answer_problem(s->r, &p, buf_span(&s->id),
			               span_of("", 0));
			return;
		}
		answer_soon(s);
		return;
	}
	r->ops->whole(r, status, type, body, n);
}

/* An answer too large to be one to this is passed on, and means nothing. */
static void begin(struct reply *reply, int status, enum reply_type type)
{
	struct reply *r = behind(reply);

	reply->begun = true;
	r->ops->begin(r, status, type);
}

static void more(struct reply *reply, const struct iovec *body, int n)
{
	struct reply *r = behind(reply);

	r->ops->more(r, body, n);
	reply->full = r->full;
}

static void cork(struct reply *reply)
{
	struct reply *r = behind(reply);

	r->ops->cork(r);
}

static void end(struct reply *reply, bool complete)
{
	struct reply *r = behind(reply);

	r->ops->end(r, complete);
}

static const struct reply_ops call_ops = {
	.whole = whole,
	.begin = begin,
	.more = more,
	.cork = cork,
	.end = end,
};

static void ask_legacy(struct subscribing *s, const struct h1_request *head,
                       const struct message *m, const struct route *route)
{
	struct request *r = s->r;

	r->call = call_take(&r->conn->w->proxy);
	if (!r->call) {
		request_busy(r, m->id);
		return;
	}
	s->reply = (struct reply){ .ops = &call_ops,
		                   .outcome = OUTCOME_ERROR,
		                   .accepts_json = true };
	r->call->caller = r->caller;
	r->call->reply = &s->reply;
	r->call->snap = r->snap;
	call_start(r->call, m, &head->head, route);
}

/* ---- a modern backend ---- */

static void on_decided(struct timer *t)
{
	struct subscribing *s = CONTAINER_OF(t, struct subscribing, timer);
	struct request *r = s->r;

	tap_close(&s->tap);
	if (!s->why.status && record(s, &s->why)) {
		answer_soon(s);
		return;
	}
	answer_problem(r, &s->why, buf_span(&s->id), span_of("", 0));
}

static void decide(struct subscribing *s)
{
	loop_soon(s->r->conn->w->loop, &s->timer, on_decided);
}

static void on_late(struct timer *t)
{
	struct subscribing *s = CONTAINER_OF(t, struct subscribing, timer);

	s->r->reply.outcome = OUTCOME_UNAVAILABLE;
	problem_set(&s->why, 200, RPC_INTERNAL,
	            "Backend %.*s: no answer within request_timeout",
	            SPAN_ARG(backend_name(s->r)));
	on_decided(t);
}

static bool contains(struct span array, struct span uri)
{
	struct value_iter it;
	struct span raw;

	if (value_type(array) != VALUE_ARRAY)
		return false;
	value_iter_init(&it, array);
	while (value_array_next(&it, &raw))
		if (value_string_eq(raw, uri))
			return true;
	return false;
}

static void on_open(struct tap *t, struct span uris, struct span tasks)
{
	struct subscribing *s = t->owner;

	(void)tasks;
	if (!contains(uris, buf_span(&s->own)))
		problem_set(&s->why, 200, RPC_INVALID_PARAMS,
		            "Backend %.*s does not tell of changes of this "
		            "resource",
		            SPAN_ARG(backend_name(s->r)));
	decide(s);
}

static void on_updated(struct tap *t, struct span uri)
{
	(void)t;
	(void)uri;
}

/* Its own code, where that means the same to a legacy client. */
static int code_of(struct span error)
{
	int64_t code;

	if (!value_integer(value_get(error, SPAN("code")), &code) ||
	    code < INT32_MIN || code > INT32_MAX ||
	    (code <= -32000 && code >= -32099))
		return RPC_INTERNAL;
	return (int)code;
}

static void on_end(struct tap *t, enum tap_end why, struct span error)
{
	struct subscribing *s = t->owner;
	struct span says =
		span_str(why == TAP_LOST ? "it does not answer"
	                                 : "it does not tell of changes");
	struct span raw = value_get(error, SPAN("message"));
	char text[TAP_ERROR_MAX];
	int n = value_type(raw) == VALUE_STRING
	                ? value_string(raw, text, sizeof(text))
	                : 0;

	if (n > 0)
		says = span_of(text, (size_t)n);
	if (why == TAP_LOST)
		s->r->reply.outcome = OUTCOME_UNAVAILABLE;
	problem_set(&s->why, 200, code_of(error), "Backend %.*s: %.*s",
	            SPAN_ARG(backend_name(s->r)), SPAN_ARG(says));
	decide(s);
}

static const struct tap_ops tap_ops = {
	.open = on_open,
	.updated = on_updated,
	.end = on_end,
};

static void ask_modern(struct subscribing *s)
{
	struct request *r = s->r;
	struct worker *w = r->conn->w;
	struct buf raw = { .max = BODY_MAX };

	s->tap = (struct tap){ .ops = &tap_ops,
		               .owner = s,
		               .up = w->proxy.up,
		               .sessions = w->proxy.sessions,
		               .loop = w->loop };
	buf_add_json(&raw, buf_span(&s->own));
	tap_listen(&s->tap, r->snap, r->backend, buf_span(&raw),
	           span_of("", 0));
	buf_free(&raw);
	loop_timer(w->loop, &s->timer,
	           snapshot_backend(r->snap, r->backend)->request_timeout_ms,
	           on_late);
}

/* ---- both ---- */

static struct subscribing *make(struct request *r, const struct message *m,
                                const struct route *route)
{
	struct subscribing *s = calloc(1, sizeof(*s) + route->public_len);

	if (!s)
		return NULL;
	s->r = r;
	s->len = route->public_len;
	memcpy(s->uri, route->public_name, s->len);
	s->id.max = MESSAGE_ID_MAX;
	s->own.max = MESSAGE_URI_MAX;
	buf_add_span(&s->id, m->id);
	buf_add(&s->own, route->name, route->name_len);
	return s;
}

static bool may_subscribe(struct request *r, const struct route *route,
                          struct problem *p)
{
	enum view_era era;

	if (!watch_era(r->snap, route->backend, WATCH_RESOURCE, &era)) {
		problem_set(p, 200, RPC_INVALID_PARAMS,
		            "Backend %.*s does not tell of changes of its "
		            "resources",
		            SPAN_ARG(backend_name(r)));
		return false;
	}
	if (route->public_len > CLIENTS_URI_MAX) {
		problem_set(p, 200, RPC_INVALID_PARAMS,
		            "A URI of more than %d bytes cannot be "
		            "subscribed to",
		            CLIENTS_URI_MAX);
		return false;
	}
	return true;
}

static void unsubscribe(struct request *r, struct span uri)
{
	struct worker *w = r->conn->w;

	clients_unsubscribe(&w->board->clients, w->index, r->caller.session,
	                    uri);
	stream_resubscribe(w, r->caller.session);
}

void subscribe_start(struct request *r, const struct h1_request *head,
                     struct span body, const struct message *m,
                     const struct route *route)
{
	struct problem p;

	if (r->caller.session)
		handover_tell(r, head, body, false);
	if (m->method->id == METHOD_UNSUBSCRIBE) {
		if (r->caller.session)
			unsubscribe(r, span_of(route->public_name,
			                       route->public_len));
		local_empty(r, m->id);
		return;
	}
	if (!may_subscribe(r, route, &p)) {
		answer_problem(r, &p, m->id, span_of("", 0));
		return;
	}
	r->subscribing = make(r, m, route);
	if (!r->subscribing) {
		request_busy(r, m->id);
	} else if (route->server == VIEW_LEGACY) {
		ask_legacy(r->subscribing, head, m, route);
	} else {
		ask_modern(r->subscribing);
	}
}
