#include "worker/batch.h"

#include <stdlib.h>

#include "lib/value.h"
#include "worker/answer.h"

#define NOTE_MAX 512 /* bytes of an error of ours */

/* An element at work. */
struct element {
	struct batch *batch;
	struct request *r;  /* NULL: the place is free */
	struct span id;     /* raw; empty: it wants no answer */
	struct buf answer;  /* what has come of one in pieces */
	bool pieces, large; /* it comes in pieces; they are too many */
};

struct batch {
	struct request *whole;
	struct buf head_text, body; /* as they came */
	struct h1_request head;     /* of head_text */
	struct value_iter rest;     /* of body: what is not begun yet */
	size_t left;                /* elements in rest */
	size_t at_work;
	bool beginning;     /* inside begin_some() */
	bool events;        /* the answer is an event stream; else an array */
	struct buf answers; /* "[", and what is ready with commas between */
	struct element elements[BATCH_AT_ONCE];
};

static void begin_some(struct batch *b);

/* ---- what is ready ---- */

static size_t held(const struct batch *b)
{
	size_t sum = b->answers.len;

	for (size_t i = 0; i < BATCH_AT_ONCE; i++)
		sum += b->elements[i].answer.len;
	return sum;
}

static bool fits(const struct batch *b, size_t more)
{
	size_t most = (size_t)b->whole->snap->settings->limits_message_bytes;
	size_t now = held(b);

	return now <= most && more <= most - now;
}

static void pass(struct batch *b, const struct iovec *iov, int n)
{
	struct reply *to = &b->whole->reply;

	to->ops->more(to, iov, n);
}

/* From now on it is an event stream; what is ready goes out first. */
static void open_events(struct batch *b)
{
	struct reply *to = &b->whole->reply;
	struct value_iter it;
	struct span answer;

	if (b->events)
		return;
	b->events = true;
	to->ops->begin(to, 200, REPLY_EVENTS);
	if (b->answers.len == 0)
		return;
	buf_putc(&b->answers, ']');
	value_iter_init(&it, buf_span(&b->answers));
	while (value_array_next(&it, &answer))
		answer_event(to, answer);
	buf_free(&b->answers);
}

/* White space between tokens is no line end in here, so that it can stand in an
 * event. Only what is valid JSON may be rewritten. */
static void add_answer(struct batch *b, struct buf *json)
{
	struct reply *to = &b->whole->reply;

	for (size_t i = 0; i < json->len; i++)
		if (json->bytes[i] == '\n' || json->bytes[i] == '\r')
			json->bytes[i] = ' ';
	if (!to->accepts_json)
		open_events(b);
	if (b->events) {
		answer_event(to, buf_span(json));
		return;
	}
	buf_putc(&b->answers, b->answers.len ? ',' : '[');
	buf_add_span(&b->answers, buf_span(json));
}

static void add_error(struct batch *b, const struct element *e,
                      const char *text)
{
	struct buf json = { .max = NOTE_MAX + MESSAGE_ID_MAX };

	e->r->reply.outcome = OUTCOME_ERROR;
	e->r->reply.error = text;
	buf_puts(&json, "{\"jsonrpc\":\"2.0\",\"id\":");
	buf_add_span(&json, e->id.len ? e->id : SPAN("null"));
	buf_addf(&json, ",\"error\":{\"code\":%d,\"message\":", RPC_INTERNAL);
	buf_add_json(&json, span_str(text));
	buf_puts(&json, "}}");
	add_answer(b, &json);
	buf_free(&json);
}

static void add_too_large(struct batch *b, const struct element *e)
{
	add_error(
		b, e,
		"The answers to this batch are over limits.message_bytes; ask "
		"for this one alone");
}

/* ---- the way back of one element ---- */

static struct element *of(struct reply *reply)
{
	return CONTAINER_OF(reply, struct request, reply)->element;
}

static void end_element(struct element *e)
{
	struct batch *b = e->batch;
	struct request *r = e->r;

	e->r = NULL;
	buf_free(&e->answer);
	b->at_work--;
	request_end_element(r);
	begin_some(b);
}

static void gather(struct element *e, const struct iovec *iov, int n)
{
	struct batch *b = e->batch;
	size_t length = 0;

	for (int i = 0; i < n; i++)
		length += iov[i].iov_len;
	e->r->bytes_out += length;
	/* What is ready need not be held for a client that takes events. */
	if (!fits(b, length) && b->whole->reply.accepts_events)
		open_events(b);
	e->large = e->large || !fits(b, length);
	for (int i = 0; i < n && !e->large; i++)
		buf_add(&e->answer, iov[i].iov_base, iov[i].iov_len);
	if (buf_err(&e->answer) < 0)
		e->large = true;
	if (e->large)
		buf_free(&e->answer);
}

/* What was gathered is complete. */
static void add_gathered(struct element *e)
{
	struct batch *b = e->batch;
	struct buf json = e->answer;

	/* It does not count twice while it moves. */
	e->answer = (struct buf){ .max = json.max };
	if (e->large)
		add_too_large(b, e);
	else
		add_answer(b, &json);
	buf_free(&json);
}

static void whole(struct reply *reply, int status, enum reply_type type,
                  const struct iovec *body, int n)
{
	struct element *e = of(reply);

	e->r->status = status;
	if (type == REPLY_EVENTS) {
		open_events(e->batch);
		pass(e->batch, body, n);
	} else if (type == REPLY_JSON) {
		gather(e, body, n);
		add_gathered(e);
	}
	end_element(e);
}

static void begin_reply(struct reply *reply, int status, enum reply_type type)
{
	struct element *e = of(reply);

	reply->begun = true;
	e->r->status = status;
	e->r->events = type == REPLY_EVENTS;
	e->pieces = type == REPLY_JSON;
	if (e->batch->whole->reply.accepts_events)
		open_events(e->batch);
}

static void more(struct reply *reply, const struct iovec *body, int n)
{
	struct element *e = of(reply);
	struct call *call = e->r->call;

	if (!e->pieces) { /* events, each of them whole */
		pass(e->batch, body, n);
		reply->full = e->batch->whole->reply.full;
		return;
	}
	gather(e, body, n);
	/* A call that has ended says so by end(). */
	if (!e->large || !call || !call->running)
		return;
	call_cancel(call);
	add_too_large(e->batch, e);
	end_element(e);
}

static void end_reply(struct reply *reply, bool complete)
{
	struct element *e = of(reply);

	if (!complete)
		add_error(e->batch, e, "The answer broke off");
	else if (e->pieces)
		add_gathered(e);
	end_element(e);
}

static void cork(struct reply *reply)
{
	struct reply *to = &of(reply)->batch->whole->reply;

	to->ops->cork(to);
}

static const struct reply_ops ops = {
	.whole = whole,
	.begin = begin_reply,
	.more = more,
	.cork = cork,
	.end = end_reply,
};

/* ---- the elements, one after the other ---- */

static bool refuse(struct problem *why, const char *text)
{
	problem_set(why, 400, RPC_INVALID_REQUEST, "%s", text);
	return false;
}

static bool read_element(const struct h1_head *head, struct span text,
                         struct message *m, struct problem *why)
{
	memset(m, 0, sizeof(*m));
	why->has_id = false;
	if (value_type(text) != VALUE_OBJECT)
		return refuse(why, "An element of a batch must be an object");
	if (!message_read(head, text, m, why))
		return false;
	if (m->method && m->method->id == METHOD_INITIALIZE)
		return refuse(why, "initialize must not be in a batch");
	return true;
}

static void begin_element(struct batch *b, struct span text)
{
	struct element *e = b->elements;
	struct message m;
	struct problem p;

	while (e->r)
		e++;
	e->r = request_element(b->whole, e, &ops);
	if (!e->r)
		abort(); /* no memory for one small structure */
	b->at_work++;
	e->pieces = false;
	e->large = false;
	e->r->bytes_in = text.len;

	bool good = read_element(&b->head.head, text, &m, &p);
	e->id = good || p.has_id ? m.id : span_of("", 0);
	if (good) {
		request_message(e->r, &b->head, text, &m);
		return;
	}
	e->r->method = m.method;
	e->r->era = m.era;
	answer_problem(e->r, &p, e->id, span_of("", 0));
}

static void finish(struct batch *b)
{
	struct request *r = b->whole;
	struct iovec iov;

	r->reply.outcome = OUTCOME_SUCCESS;
	if (b->events) {
		r->reply.ops->end(&r->reply, true);
		return;
	}
	if (b->answers.len == 0 && buf_err(&b->answers) == 0) {
		r->reply.ops->whole(&r->reply, 202, REPLY_NONE, NULL, 0);
		return;
	}
	buf_putc(&b->answers, ']');
	if (buf_err(&b->answers) < 0) {
		request_busy(r, span_of("", 0));
		return;
	}
	iov = (struct iovec){ b->answers.bytes, b->answers.len };
	r->reply.ops->whole(&r->reply, 200, REPLY_JSON, &iov, 1);
}

/*
 * Begin as many as may be at work; the last to end finishes the batch. One that
 * is answered at once ends inside of this. A client that reads slowly gets no
 * new ones to read.
 */
static void begin_some(struct batch *b)
{
	struct span text;

	if (b->beginning)
		return;
	b->beginning = true;
	for (; b->left && b->at_work < BATCH_AT_ONCE && !b->whole->reply.full &&
	       value_array_next(&b->rest, &text);
	     b->left--)
		begin_element(b, text);
	b->beginning = false;
	if (b->at_work == 0 && b->left == 0)
		finish(b);
}

/* ---- the whole ---- */

static bool check(const struct request *r, struct span body, size_t *n,
                  struct problem *why)
{
	int64_t most = r->snap->settings->limits_batch;
	struct value_iter it;
	struct span text;

	*n = 0;
	if (!message_batch_allowed(r->caller.revision, why))
		return false;
	value_iter_init(&it, body);
	while (*n <= (size_t)most && value_array_next(&it, &text))
		++*n;
	if (*n == 0)
		return refuse(why, "A batch must not be empty");
	return *n <= (size_t)most ||
	       refuse(why, "The batch has more messages than limits.batch");
}

static struct batch *new_batch(struct request *r, size_t n)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		abort(); /* a few kilobytes: the process is done for */
	b->whole = r;
	b->left = n;
	b->answers.max = SIZE_MAX / 4; /* fits() is the limit */
	for (size_t i = 0; i < BATCH_AT_ONCE; i++)
		b->elements[i] = (struct element){
			.batch = b,
			.answer = { .max = SIZE_MAX / 4 },
		};
	return b;
}

/* What is not begun at once needs head and body later. */
static bool keep(struct batch *b, const struct h1_request *head,
                 struct span body)
{
	const char *start = head->method_text.at;
	struct span text = span_of(start, (size_t)(body.at - start));
	enum h1_result result;

	b->head_text.max = text.len;
	b->body.max = body.len;
	buf_add_span(&b->head_text, text);
	buf_add_span(&b->body, body);
	if (buf_err(&b->head_text) < 0 || buf_err(&b->body) < 0)
		return false;
	result = h1_parse_request(buf_span(&b->head_text), 0,
	                          &b->whole->conn->w->limits, &b->head);
	assert(result == H1_OK); /* it was, a moment ago */
	value_iter_init(&b->rest, buf_span(&b->body));
	return true;
}

void batch_start(struct request *r, const struct h1_request *head,
                 struct span body)
{
	struct problem p;
	size_t n;

	if (!check(r, body, &n, &p)) {
		answer_problem(r, &p, span_of("", 0), span_of("", 0));
		return;
	}
	r->batch = new_batch(r, n);
	if (keep(r->batch, head, body)) {
		begin_some(r->batch);
		return;
	}
	request_busy(r, span_of("", 0));
}

void batch_cancel(struct batch *b)
{
	b->left = 0;
	for (size_t i = 0; i < BATCH_AT_ONCE; i++) {
		struct request *r = b->elements[i].r;

		b->elements[i].r = NULL;
		if (r)
			request_cancel(r);
	}
}

void batch_resume(struct batch *b)
{
	/* What ends meanwhile must not take the batch away. */
	b->beginning = true;
	for (size_t i = 0; i < BATCH_AT_ONCE; i++) {
		struct request *r = b->elements[i].r;

		if (!r || !r->reply.full)
			continue;
		r->reply.full = false;
		request_drained(r);
	}
	b->beginning = false;
	begin_some(b);
}

void batch_free(struct batch *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < BATCH_AT_ONCE; i++)
		buf_free(&b->elements[i].answer);
	buf_free(&b->head_text);
	buf_free(&b->body);
	buf_free(&b->answers);
	free(b);
}
