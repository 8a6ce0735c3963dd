#include "proxy/waiting.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/value.h"
#include "proxy/aside.h"
#include "proxy/downgrade.h"
#include "proxy/rejoin.h"
#include "proxy/relay.h"

#define RETRIES_MAX 5   /* of a state without a question */
#define KEY_MAX     256 /* bytes of a backend's key of an input request */

/* One of the things that are asked. */
struct question {
	enum question_kind kind;
	bool open;
	uint32_t number;   /* parked: its key is q<number> */
	struct buf id;     /* raw: the backend's id, or its key */
	struct buf params; /* parked: as the client reads them */
	struct buf shown;  /* asked: the id that the client was told, raw */
	struct buf answer; /* asked: raw */
};

struct waiting {
	struct call *call;
	struct waiting *next, **prev; /* of the worker */
	struct timer timer;
	uint32_t round, retries, numbers;
	size_t n;
	struct buf state; /* asked: the backend's, raw; empty: none */
	struct question q[WAITING_QUESTIONS_MAX];
};

/* ---- of one call ---- */

static void drop(struct question *q)
{
	buf_free(&q->id);
	buf_free(&q->params);
	buf_free(&q->shown);
	buf_free(&q->answer);
	*q = (struct question){ .kind = QUESTION_KINDS };
}

/* NULL: too many wait, and the call has failed. */
static struct waiting *get(struct call *c)
{
	struct proxy *proxy = c->proxy;
	struct waiting *w = c->waiting;

	if (w)
		return w;
	if (proxy->n_waiting <
	    (uint64_t)c->snap->settings->limits_waiting_calls)
		w = calloc(1, sizeof(*w));
	if (!w) {
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "it asks its client, and too many calls wait for "
		           "that already (limits.waiting_calls)");
		return NULL;
	}
	w->call = c;
	c->waiting = w;
	w->next = proxy->waiting;
	if (w->next)
		w->next->prev = &w->next;
	w->prev = &proxy->waiting;
	proxy->waiting = w;
	proxy->n_waiting++;
	return w;
}

void waiting_end(struct call *c)
{
	struct waiting *w = c->waiting;

	if (!w)
		return;
	c->waiting = NULL;
	loop_timer_stop(c->proxy->loop, &w->timer);
	for (size_t i = 0; i < w->n; i++)
		drop(&w->q[i]);
	buf_free(&w->state);
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	c->proxy->n_waiting--;
	free(w);
}

/* Those that were answered make room. */
static void compact(struct waiting *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (!w->q[i].open) {
			drop(&w->q[i]);
			continue;
		}
		if (n != i) {
			w->q[n] = w->q[i];
			w->q[i] = (struct question){ .open = false };
		}
		n++;
	}
	w->n = n;
}

static struct question *add(struct waiting *w, enum question_kind kind,
                            struct span id)
{
	struct question *q = &w->q[w->n];

	assert(w->n < WAITING_QUESTIONS_MAX);
	w->n++;
	*q = (struct question){
		.kind = kind,
		.open = true,
		.number = ++w->numbers,
		.id = { .max = KEY_MAX + SEALED_ID_MAX },
		.params = { .max = SIZE_MAX / 4 },
		.shown = { .max = SEALED_MAX },
		.answer = { .max = SIZE_MAX / 4 },
	};
	buf_add_span(&q->id, id);
	return q;
}

static int64_t expires_s(const struct call *c)
{
	/* A moment longer than the timer: that one has the better words. */
	return (clock_utc_ms() + c->snap->settings->interactive_timeout) /
	               1000 +
	       2;
}

uint64_t waiting_digest(struct span method, struct span name,
                        struct span arguments)
{
	static const uint8_t key[CRYPTO_SIPHASH_LEN] = "requests' digest";
	const struct span parts[] = { method, name, arguments };
	uint64_t digest = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		digest = digest * 0x9e3779b97f4a7c15u +
		         crypto_siphash(key, parts[i]);
	return digest;
}

uint64_t waiting_call_digest(const struct call *c)
{
	struct span params = value_get(buf_span(&c->body), SPAN("params"));
	struct span raw = value_get(params, c->method->work == WORK_BY_URI
	                                            ? SPAN("uri")
	                                            : SPAN("name"));
	char name[MESSAGE_URI_MAX];
	int n = value_string(raw, name, sizeof(name));

	if (c->follows_task) /* its body asks for the task by now */
		return c->digest;
	return waiting_digest(c->method->name,
	                      span_of(name, n < 0 ? 0 : (size_t)n),
	                      value_get(params, SPAN("arguments")));
}

/* ---- a legacy backend asks a modern client ---- */

static void answer_backend(struct call *c, const struct question *q,
                           const char *member, struct span value)
{
	struct buf body = { .max = SIZE_MAX / 4 };

	buf_puts(&body, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&body, buf_span(&q->id));
	buf_addf(&body, ",\"%s\":", member);
	buf_add_span(&body, value);
	buf_putc(&body, '}');
	if (buf_err(&body) == 0)
		relay_post(c, buf_span(&body));
	buf_free(&body);
}

#define NO_ANSWER                                                 \
	SPAN("{\"code\":-32603,\"message\":\"The client did not " \
	     "answer\"}")

static void decline_all(struct waiting *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct span result = question_declined(w->q[i].kind);

		if (!w->q[i].open)
			continue;
		answer_backend(w->call, &w->q[i],
		               result.len ? "result" : "error",
		               result.len ? result : NO_ANSWER);
	}
}

/* Nobody came back: the backend need not go on. */
static void abandon(struct waiting *w)
{
	struct call *c = w->call;

	decline_all(w);
	relay_cancel(c);
	exchange_cancel(&c->x);
	c->parked = false;
	call_give(c);
}

static void on_abandoned(struct timer *t)
{
	abandon(CONTAINER_OF(t, struct waiting, timer));
}

/* The result that ends the client's request. False: it cannot be made. */
static bool compose(struct waiting *w, struct buf *out)
{
	struct call *c = w->call;
	struct sealed s = {
		.kind = SEALED_PARKED,
		.backend = sealed_backend(c->snap, c->backend),
		.round = ++w->round,
		.expires_s = expires_s(c),
		.call = c->number,
		.digest = waiting_call_digest(c),
	};

	c->proxy->here(c->proxy, c->snap, &s.place);
	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(out, buf_span(&c->client_id));
	buf_puts(out, ",\"result\":{\"resultType\":\"input_required\","
	              "\"inputRequests\":{");
	for (size_t i = 0; i < w->n; i++) {
		buf_addf(out, "%s\"q%u\":{\"method\":\"%.*s\",\"params\":",
		         i ? "," : "", w->q[i].number,
		         SPAN_ARG(question_method(w->q[i].kind)));
		buf_add_span(out, buf_span(&w->q[i].params));
		buf_putc(out, '}');
	}
	buf_puts(out, "},\"requestState\":\"");
	if (!sealed_write(c->snap, caller_id(&c->caller), &s, out))
		return false;
	buf_puts(out, "\"}}");
	return buf_err(out) == 0;
}

/* Nothing of its backend comes while it is parked: an answer waits; a stream
 * that ended is gone on with when the client is back. */
static void hush(struct call *c)
{
	if (exchange_running(&c->x)) {
		exchange_pause(&c->x);
		return;
	}
	rejoin_stop(c);
	c->lost = true;
}

static void on_gathered(struct timer *t)
{
	struct waiting *w = CONTAINER_OF(t, struct waiting, timer);
	struct call *c = w->call;
	struct reply *r = c->reply;
	struct buf out = { .max = SIZE_MAX / 4 };

	if (!compose(w, &out)) {
		buf_free(&out);
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "what it asks its client is too large");
		return;
	}
	hush(c);
	c->parked = true;
	c->reply = NULL;
	call_hold(c);
	loop_timer(c->proxy->loop, &w->timer,
	           (uint64_t)c->snap->settings->interactive_timeout,
	           on_abandoned);
	r->outcome = OUTCOME_SUCCESS;
	relay_finish(r, 200, buf_span(&out));
	buf_free(&out);
}

bool waiting_park(struct call *c, struct span id, struct span method,
                  struct span params)
{
	enum question_kind kind = question_kind(method, params);
	struct waiting *w;
	struct question *q;

	if (c->client != VIEW_MODERN || c->server != VIEW_LEGACY ||
	    !call_takes_input(c) || id.len > SEALED_ID_MAX ||
	    !question_allowed(
		    kind, params,
		    downgrade_abilities(relay_revision(c), c->abilities)))
		return false;
	if (c->waiting && c->waiting->n == WAITING_QUESTIONS_MAX)
		return false;
	w = get(c);
	if (!w)
		return true;
	q = add(w, kind, id);
	question_params(kind, params, REVISION_2026_07_28, span_of("", 0),
	                &q->params);
	if (!w->timer.due_ms)
		loop_timer(c->proxy->loop, &w->timer, WAITING_GATHER_MS,
		           on_gathered);
	return true;
}

struct call *waiting_find(struct proxy *proxy, const struct sealed *state)
{
	for (struct waiting *w = proxy->waiting; w; w = w->next)
		if (w->call->parked && w->call->number == state->call &&
		    w->round == state->round)
			return w->call;
	return NULL;
}

static void pass_answer(struct call *c, struct question *q, struct span result)
{
	struct buf out = { .max = SIZE_MAX / 4 };

	if (question_result(q->kind, result, relay_revision(c), &out) &&
	    buf_err(&out) == 0)
		answer_backend(c, q, "result", buf_span(&out));
	else
		answer_backend(c, q, "error",
		               SPAN("{\"code\":-32602,\"message\":\"The client "
		                    "answered in several blocks, which this "
		                    "protocol revision does not have\"}"));
	q->open = false;
	buf_free(&out);
}

void waiting_resume(struct call *c, const struct message *msg,
                    struct reply *reply)
{
	struct waiting *w = c->waiting;

	c->parked = false;
	c->reply = reply;
	call_renew(c, msg);
	loop_timer_stop(c->proxy->loop, &w->timer);
	if (c->lost && !rejoin_possible(c)) {
		aside_abandon(c);
		relay_fail(c, OUTCOME_UNAVAILABLE,
		           "the connection to it broke while the client was "
		           "asked");
		return;
	}
	for (size_t i = 0; i < w->n; i++) {
		char key[16];
		int n = snprintf(key, sizeof(key), "q%u", w->q[i].number);
		struct span answer = value_get(msg->input_responses,
		                               span_of(key, (size_t)n));

		if (value_type(answer) == VALUE_OBJECT)
			pass_answer(c, &w->q[i], answer);
	}
	compact(w);
	if (w->n) /* ask for the rest again */
		loop_timer(c->proxy->loop, &w->timer, WAITING_GATHER_MS,
		           on_gathered);
	if (!c->lost) {
		exchange_resume(&c->x);
		return;
	}
	c->lost = false;
	rejoin_later(c);
}

/* ---- a modern backend asks a legacy client ---- */

/* "notifications/cancelled" for what is still open. */
static void withdraw(struct waiting *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct parts p = { .n = 0 };

		if (!w->q[i].open || !w->q[i].shown.len)
			continue;
		parts_add(&p, SPAN("{\"jsonrpc\":\"2.0\",\"method\":"
		                   "\"notifications/cancelled\",\"params\":{"
		                   "\"requestId\":"));
		parts_add(&p, buf_span(&w->q[i].shown));
		parts_add(&p, SPAN("}}"));
		relay_event(w->call, &p);
	}
}

static void on_unanswered(struct timer *t)
{
	struct waiting *w = CONTAINER_OF(t, struct waiting, timer);

	withdraw(w);
	relay_fail(w->call, OUTCOME_UNAVAILABLE,
	           "its client did not answer its question within "
	           "interactive_timeout");
}

/* All is answered: the request once more, with the answers. */
static void call_again(struct waiting *w)
{
	struct call *c = w->call;
	struct buf extra = { .max = SIZE_MAX / 4 };

	loop_timer_stop(c->proxy->loop, &w->timer);
	if (w->n) {
		buf_puts(&extra, ",\"inputResponses\":{");
		for (size_t i = 0; i < w->n; i++) {
			buf_puts(&extra, i ? "," : "");
			buf_add_span(&extra, buf_span(&w->q[i].id));
			buf_putc(&extra, ':');
			buf_add_span(&extra, buf_span(&w->q[i].answer));
		}
		buf_putc(&extra, '}');
	}
	if (w->state.len) {
		buf_puts(&extra, ",\"requestState\":");
		buf_add_span(&extra, buf_span(&w->state));
	}
	for (size_t i = 0; i < w->n; i++)
		drop(&w->q[i]);
	w->n = 0;
	if (buf_err(&extra) == 0)
		call_repeat(c, buf_span(&extra));
	else
		relay_fail(c, OUTCOME_ERROR, "the answers are too large");
	buf_free(&extra);
}

static void on_retry(struct timer *t)
{
	call_again(CONTAINER_OF(t, struct waiting, timer));
}

/* One question as a request on the client's stream. */
static bool show(struct waiting *w, size_t i, struct span params)
{
	struct call *c = w->call;
	struct question *q = &w->q[i];
	struct parts p = { .n = 0 };
	struct buf adapted = { .max = SIZE_MAX / 4 };
	char own_id[64];
	int n = snprintf(own_id, sizeof(own_id), "%016llx-%llu-%u",
	                 (unsigned long long)c->proxy->board->instance,
	                 (unsigned long long)c->number, q->number);
	struct sealed s = {
		.kind = SEALED_INPUT,
		.round = w->round,
		.expires_s = expires_s(c),
		.call = c->number,
		.texts = { buf_span(&q->id) },
	};
	bool good;

	c->proxy->here(c->proxy, c->snap, &s.place);
	buf_putc(&q->shown, '"');
	good = sealed_write(c->snap, caller_id(&c->caller), &s, &q->shown);
	buf_putc(&q->shown, '"');
	question_params(q->kind, params, c->caller.revision,
	                span_of(own_id, (size_t)n), &adapted);
	parts_add(&p, SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
	parts_add(&p, buf_span(&q->shown));
	parts_add(&p, SPAN(",\"method\":\""));
	parts_add(&p, question_method(q->kind));
	parts_add(&p, SPAN("\",\"params\":"));
	parts_add(&p, buf_span(&adapted));
	parts_add(&p, SPAN("}"));
	good = good && buf_err(&adapted) == 0;
	if (good)
		relay_event(c, &p);
	buf_free(&adapted);
	return good;
}

/* Take what is asked; NULL: all of it can be asked, else why not. */
static const char *take(struct waiting *w, struct span requests,
                        struct span params[WAITING_QUESTIONS_MAX])
{
	struct value_iter it;
	struct span key, value;

	if (!requests.at)
		return NULL;
	if (value_type(requests) != VALUE_OBJECT)
		return "its inputRequests are no object";
	value_iter_init(&it, requests);
	while (value_object_next(&it, &key, &value)) {
		enum question_kind kind;

		if (w->n == WAITING_QUESTIONS_MAX)
			return "it asks too much at the same time";
		if (value_type(value) != VALUE_OBJECT || key.len > KEY_MAX)
			return "one of its inputRequests does not hold";
		params[w->n] = value_get(value, SPAN("params"));
		kind = question_kind(value_get(value, SPAN("method")),
		                     params[w->n]);
		if (!question_allowed(kind, params[w->n], w->call->abilities))
			return "it asks for what this client has not declared "
			       "it can answer";
		add(w, kind, key);
	}
	return NULL;
}

static const char *begin(struct waiting *w, struct span requests,
                         struct span state)
{
	struct span params[WAITING_QUESTIONS_MAX] = { { NULL, 0 } };
	const char *why;

	if (++w->round > WAITING_ROUNDS_MAX)
		return "it asks its client again and again";
	if (state.at && (value_type(state) != VALUE_STRING ||
	                 state.len > WAITING_STATE_MAX))
		return "its requestState is no string, or too long";
	w->state.max = WAITING_STATE_MAX;
	buf_reset(&w->state);
	buf_add_span(&w->state, state);
	why = take(w, requests, params);
	if (why)
		return why;
	if (w->n == 0 && !state.at)
		return "it asks for input and does not say which";
	for (size_t i = 0; i < w->n; i++)
		if (!show(w, i, params[i]))
			return "what it asks its client is too large";
	return NULL;
}

void waiting_ask(struct call *c, struct span requests, struct span state)
{
	struct waiting *w;
	const char *why;

	if (!c->reply->accepts_events) {
		relay_fail(c, OUTCOME_ERROR,
		           "it asks its client, who takes no event stream");
		return;
	}
	w = get(c);
	if (!w)
		return;
	why = begin(w, requests, state);
	if (why) {
		withdraw(w);
		relay_nonsense(c, why);
		return;
	}
	/* The spans above were of its answer, which is done with now. */
	exchange_detach(&c->x);
	c->attempt++; /* whoever reads it has nothing more to do */
	if (w->n) {
		w->retries = 0;
		loop_timer(c->proxy->loop, &w->timer,
		           (uint64_t)c->snap->settings->interactive_timeout,
		           on_unanswered);
	} else if (w->retries < RETRIES_MAX) {
		loop_timer(c->proxy->loop, &w->timer,
		           (uint64_t)WAITING_RETRY_MS << w->retries++,
		           on_retry);
	} else {
		relay_nonsense(c, "it is busy and does not answer");
	}
}

static struct waiting *find_asked(struct proxy *proxy, const struct sealed *s)
{
	for (struct waiting *w = proxy->waiting; w; w = w->next)
		if (!w->call->parked && w->call->client == VIEW_LEGACY &&
		    w->call->number == s->call && w->round == s->round)
			return w;
	return NULL;
}

static bool all_answered(const struct waiting *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->q[i].open)
			return false;
	return true;
}

void waiting_answer(struct proxy *proxy, const struct sealed *s,
                    struct span result)
{
	struct waiting *w = find_asked(proxy, s);
	struct question *q = NULL;

	for (size_t i = 0; w && i < w->n; i++)
		if (w->q[i].open && span_eq(buf_span(&w->q[i].id), s->texts[0]))
			q = &w->q[i];
	if (!q)
		return;
	if (value_type(result) != VALUE_OBJECT)
		result = question_declined(q->kind);
	q->open = false;
	if (result.len == 0) {
		withdraw(w);
		relay_fail(w->call, OUTCOME_ERROR,
		           "its client refused to answer its question (%.*s)",
		           SPAN_ARG(question_method(q->kind)));
		return;
	}
	buf_add_span(&q->answer, result);
	if (all_answered(w))
		call_again(w);
}

void waiting_end_all(struct proxy *proxy)
{
	struct waiting *next;

	for (struct waiting *w = proxy->waiting; w; w = next) {
		next = w->next;
		if (w->call->parked)
			abandon(w);
	}
}
