/*
 * fuzz_relay - bytes as a backend's answer, in pieces: what the client gets is
 * one JSON document with its own id, or an event stream that ends with one, or
 * an answer that was broken off.
 *
 * The first three bytes choose eras, method, what the client accepts, the
 * status and where to cut. In the rest a byte 1 stands for many letters, so
 * that answers too large to be held are found as well.
 *
 * When the first byte says that the client can be asked, the rest is several
 * texts, each ended by a byte that says how the backend's answer goes on: 2 it
 * stays open, 3 it breaks, 4 it is complete. A text is what the backend says,
 * or the client's answer while the call waits for that.
 */
#include "proxy/relay.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/scan.h"
#include "lib/value.h"
#include "proxy/catalog.h"
#include "proxy/link.h"
#include "proxy/waiting.h"

#define EVENT   "event: message\ndata: "
#define OBJECT  "{\"type\":\"object\"}"
#define LETTERS (CALL_WINDOW + 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct client {
	struct reply reply;
	struct buf out;
	enum reply_type type;
	unsigned ends;
	bool complete, corked;
} client = { .out = { .max = 64 << 20 } };

static struct proxy proxy;
static struct snapshot *snap;
static struct call call;

/* ---- time ---- */

static uint64_t passed_ms;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long result = syscall(SYS_clock_gettime, clock, t);

	if (clock == CLOCK_MONOTONIC)
		t->tv_sec += (time_t)(passed_ms / 1000);
	if (clock == CLOCK_MONOTONIC)
		t->tv_nsec += (long)(passed_ms % 1000) * 1000000;
	t->tv_sec += t->tv_nsec / 1000000000;
	t->tv_nsec %= 1000000000;
	return (int)result;
}

/* Nothing is ever ready, and nobody waits for what is not. */
int epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
	(void)fd;
	(void)events;
	(void)n;
	passed_ms += timeout_ms > 0 ? (unsigned)timeout_ms : 0;
	return 0;
}

static void on_due(struct timer *t)
{
	(void)t;
	loop_stop(proxy.loop);
}

static void pass(uint64_t ms)
{
	static struct timer timer;

	loop_timer(proxy.loop, &timer, ms, on_due);
	int err = loop_run(proxy.loop);
	assert(err == 0);
	loop_timer_stop(proxy.loop, &timer);
}

/* ---- the client ---- */

static void more(struct reply *r, const struct iovec *body, int n)
{
	assert(client.ends == 0 && r->begun);
	for (int i = 0; i < n; i++)
		buf_add(&client.out, body[i].iov_base, body[i].iov_len);
}

static void begin(struct reply *r, int status, enum reply_type type)
{
	assert(!r->begun && status == 200);
	r->begun = true;
	client.type = type;
}

static void cork(struct reply *r)
{
	(void)r;
	assert(!client.corked);
	client.corked = true;
}

static void uncork(struct proxy *p)
{
	(void)p;
	assert(client.corked);
	client.corked = false;
}

static void end(struct reply *r, bool complete)
{
	(void)r;
	client.ends++;
	client.complete = complete;
	/* As in a worker: the call ends with its request. */
	if (!call.parked)
		call_fini(&call);
}

static void whole(struct reply *r, int status, enum reply_type type,
                  const struct iovec *body, int n)
{
	assert(!r->begun && status >= 200 && status < 500);
	r->begun = true;
	client.type = type;
	more(r, body, n);
	end(r, true);
}

static const struct reply_ops ops = {
	.whole = whole,
	.begin = begin,
	.more = more,
	.cork = cork,
	.end = end,
};

static void check_text(struct span text, bool last)
{
	struct scan_error why;
	struct span id = value_get(text, SPAN("id"));
	bool answer = value_get(text, SPAN("result")).at ||
	              value_get(text, SPAN("error")).at;

	if (scan_document(text, NULL, 0, NULL, &why) != SCAN_OK)
		abort();
	if (last && (!span_is(id, "\"c\"") || !answer))
		abort();
	if (!last && !value_get(text, SPAN("method")).at)
		abort();
}

static void check_answer(void)
{
	struct span in = buf_span(&client.out);

	assert(client.ends == 1 && buf_err(&client.out) == 0);
	if (client.complete && client.type == REPLY_JSON)
		check_text(in, true);
	while (client.type == REPLY_EVENTS && client.complete && in.len) {
		if (span_starts(in, SPAN("id: gw2.")))
			in = span_from(in, span_find(in, '\n') + 1);
		if (span_starts(in, SPAN("data:\n\n"))) {
			in = span_from(in, 7);
			continue;
		}
		const char *close = memmem(in.at, in.len, "\n\n", 2);

		assert(close && span_starts(in, SPAN(EVENT)));
		size_t n = (size_t)(close - in.at) - strlen(EVENT);
		struct span text = span_of(in.at + strlen(EVENT), n);

		in = span_from(in, strlen(EVENT) + n + 2);
		check_text(text, in.len == 0);
		assert(span_find(text, '\n') == n &&
		       span_find(text, '\r') == n);
	}
}

/* ---- the gateway ---- */

static void config(struct builder *b)
{
	struct settings settings = { .limits_body_bytes = 1 << 20,
		                     .limits_message_bytes = 1 << 20,
		                     .limits_response_bytes = 1 << 24,
		                     .limits_waiting_calls = 1,
		                     .session_lifetime = 1000000,
		                     .interactive_timeout = 60000,
		                     .breaker_failures = 1000000 };
	struct backend backend = { .flags = BACKEND_NAMESPACE,
		                   .max_connections = 8,
		                   .connect_timeout_ms = 1000 };

	builder_init(b);
	backend.name = backend.identifier = builder_text(b, SPAN("b"));
	struct ref r = builder_array(b, &settings, 1, sizeof(settings));
	builder_header(b)->settings = r;
	r = builder_array(b, &backend, 1, sizeof(backend));
	builder_header(b)->backends = r;
	builder_end_config(b);
}

static void here(const struct proxy *p, const struct snapshot *s,
                 struct place *place)
{
	(void)p;
	(void)s;
	*place = (struct place){ .worker = 1 };
}

static void set_up(void)
{
	static const char *const items[LIST_KINDS] = {
		[LIST_TOOLS] = "{\"name\":\"t\",\"inputSchema\":" OBJECT "},",
		[LIST_PROMPTS] = "{\"name\":\"p\"},",
		[LIST_RESOURCES] = "{\"uri\":\"x://r\",\"name\":\"r\"},",
	};
	struct catalog_backend known = { .origin = { .eras = ERA_MODERN },
		                         .legacy_version = "2025-11-25" };
	struct catalog_backend *all[BACKENDS_MAX] = { &known };
	struct catalog_era *era = &known.eras[VIEW_MODERN];
	struct builder b;
	int fd, err;

	err = board_new(16, 16, &proxy.board, &fd);
	assert(err == 0);
	config(&b);
	era->known = true;
	for (size_t i = 0; i < LIST_KINDS; i++) {
		era->items[i].max = 1 << 16;
		buf_puts(&era->items[i], items[i] ? items[i] : "");
	}
	err = catalog_build(&b, proxy.board, all);
	assert(err == 0);
	for (size_t i = 0; i < LIST_KINDS; i++)
		buf_free(&era->items[i]);
	err = snapshot_open(builder_freeze(&b), &snap);
	assert(err == 0);
	proxy.loop = loop_new();
	proxy.slot = &proxy.board->workers[0];
	proxy.up = upstream_new(proxy.loop, proxy.board, proxy.slot);
	proxy.sessions = sessions_new(proxy.up, proxy.loop);
	proxy.uncork = uncork;
	proxy.here = here;
	err = crypto_init();
	assert(err == 0);
}

static void take(struct message *msg, uint8_t how)
{
	*msg = (struct message){
		.era = how & 1 ? VIEW_MODERN : VIEW_LEGACY,
		.id = SPAN("\"c\""),
		.capabilities = SPAN("{}"),
		.log_level = SPAN("\"info\""),
		.progress_token = how & 0x40 ? SPAN("5") : span_of(NULL, 0),
	};
	buf_reset(&client.out);
	client.ends = 0;
	client.reply = (struct reply){ .ops = &ops };
	client.reply.accepts_events = how & 0x10;
	client.reply.accepts_json = how & 0x20 || !(how & 0x10);
}

/* The backend has no address: its exchange waits for us to play it. */
static void start(uint8_t how)
{
	static const struct h1_head head;
	static const struct {
		int method;
		struct span name;
	} verbs[] = {
		{ METHOD_TOOLS_CALL, { "\"b_t\"", 5 } },
		{ METHOD_PROMPTS_GET, { "\"b_p\"", 5 } },
		{ METHOD_RES_READ, { "\"x://b/r\"", 9 } },
		{ METHOD_TOOLS_CALL, { "\"b_t\"", 5 } },
	};
	struct message msg;
	struct route route;
	struct problem why;

	take(&msg, how);
	msg.method = &method_table[verbs[how >> 2 & 3].method];
	msg.name = verbs[how >> 2 & 3].name;
	bool found = route_find(snap, &msg, &route, &why);
	assert(found);

	proxy.next_id = 0;
	call.proxy = &proxy;
	call.reply = &client.reply;
	call.snap = snap;
	call.caller = (struct caller){
		.abilities = how & 0x80 ? CLIENT_MASK : 0,
		.session = how & 0x80,
		.revision = how & 1 ? REVISION_2026_07_28 : REVISION_2025_11_25,
	};
	call_start(&call, &msg, &head, &route);
	call.server = how & 2 ? VIEW_MODERN : VIEW_LEGACY;
}

static void say(struct span body, size_t piece)
{
	while (exchange_running(&call.x) && !call.x.paused && body.len) {
		struct span bytes = span_first(body, piece);
		char *copy = malloc(bytes.len);

		memcpy(copy, bytes.at, bytes.len);
		relay_ops.body(&call.x, span_of(copy, bytes.len));
		free(copy);
		body = span_from(body, bytes.len);
	}
}

static void stop(enum exchange_end why)
{
	if (!exchange_running(&call.x))
		return;
	exchange_cancel(&call.x);
	relay_ops.end(&call.x, why, "");
}

/* ---- a client that is asked ---- */

/* As if it had been connected. */
static void connect_it(void)
{
	if (call.rejoin.due_ms) {
		loop_timer_stop(proxy.loop, &call.rejoin);
		call.rejoin.on_due(&call.rejoin);
	}
	if (call.x.state != FAILING)
		return;
	loop_timer_stop(proxy.loop, &call.x.timer);
	exchange_take(&call.x);
	call.x.state = ANSWERING;
}

/* The call that the client's answer says is parked. */
static void check_parked(void)
{
	struct span in = buf_span(&client.out), id;
	const char *at = memmem(in.at, in.len, "\"requestState\":\"", 16);
	struct sealed_room room;
	struct sealed s;

	assert(client.ends == 1 && at);
	/* Its backend says nothing until the client is back. */
	assert(!call.rejoin.due_ms);
	assert(call.x.paused || !exchange_running(&call.x));
	id = span_from(in, (size_t)(at + 16 - in.at));
	id = span_first(id, span_find(id, '"'));
	enum sealed_result result = sealed_read(
		snap, SPAN(""), SEALED_BIT(SEALED_PARKED), id, 0, &s, &room);
	assert(result == SEALED_OK && waiting_find(&proxy, &s) == &call);
	sealed_free(&room);
}

/* Every question that the client was asked on its stream. */
static void answer_all(struct span result)
{
	static struct buf asked = { .max = 64 << 20 };
	struct span in;

	buf_reset(&asked);
	buf_add_span(&asked, buf_span(&client.out));
	in = buf_span(&asked);
	while (proxy.n_waiting && !call.parked && in.len) {
		size_t n = span_find(in, '\n');
		struct span text = span_first(in, n), id;
		struct sealed_room room = { .large = { 0 } };
		struct sealed s;

		in = span_from(in, n + 1);
		if (span_starts(text, SPAN("data: ")) && text.len > 6 &&
		    value_string_plain(
			    value_get(span_from(text, 6), SPAN("id")), &id) &&
		    sealed_read(snap, SPAN(""), SEALED_BIT(SEALED_INPUT), id, 0,
		                &s, &room) == SEALED_OK)
			waiting_answer(&proxy, &s, result);
		sealed_free(&room);
	}
}

static void act(uint8_t how, struct span text, char then, int status,
                size_t piece)
{
	struct exchange_head head = { .status = status };
	enum exchange_end why = then == 3 ? EXCHANGE_BROKEN : EXCHANGE_COMPLETE;
	struct scan_error error;
	struct message msg;
	bool object = text.len && *text.at == '{' &&
	              scan_document(text, NULL, 0, NULL, &error) == SCAN_OK;

	connect_it();
	if (call.parked) {
		if (then != 2)
			stop(why);
		take(&msg, how);
		msg.input_responses = object ? text : span_of(NULL, 0);
		waiting_resume(&call, &msg, &client.reply);
	} else if (exchange_running(&call.x)) {
		if (!call.status)
			relay_ops.head(&call.x, &head);
		say(text, piece);
		if (then != 2)
			stop(why);
	} else {
		answer_all(object ? text : span_of("", 0));
	}
	pass(WAITING_GATHER_MS + 1);
}

static bool is_end(char c)
{
	return c >= 2 && c <= 4;
}

static void ask(uint8_t how, struct span in, int status, size_t piece)
{
	start(how);
	connect_it();
	while (in.len && (!client.ends || call.parked)) {
		size_t n = 0;

		while (n < in.len && !is_end(in.at[n]))
			n++;
		act(how, span_first(in, n), n < in.len ? in.at[n] : 4, status,
		    piece);
		in = span_from(in, n + 1);
		assert(!client.corked && client.ends <= 1);
		if (call.parked)
			check_parked();
		if (client.ends)
			check_answer();
	}
	if (!client.ends)
		call_cancel(&call);
	else if (call.parked)
		call_fini(&call);
	assert(proxy.n_waiting == 0 && !proxy.waiting);
}

/* ---- one answer ---- */

static void play(struct span body, int status, bool length, size_t piece)
{
	struct exchange_head head = { .status = status,
		                      .has_length = length,
		                      .length = length ? body.len : 0 };

	relay_ops.head(&call.x, &head);
	say(body, piece);
	stop(EXCHANGE_COMPLETE);
	assert(!client.corked);
	/* Sessions that are opened, and streams that are asked for again. */
	for (int i = 0; i < 100 && !client.ends; i++)
		pass(1000);
	check_answer();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {
		200, 200, 200, 400, 404, 401, 500, 202
	};
	struct buf body = { .max = 8 << 20 };
	static unsigned n;
	bool large = false;

	if (!snap)
		set_up();
	if (size < 3)
		return 0;
	for (size_t i = 3; i < size; i++) {
		if (data[i] != 1 || large) {
			buf_putc(&body, (char)data[i]);
			continue;
		}
		large = true;
		memset(buf_reserve(&body, LETTERS), 'a', LETTERS);
		buf_commit(&body, LETTERS);
	}
	int status = statuses[data[1] & 7];
	size_t piece = large ? 9000u + data[2] : data[2] + 1u;
	if (data[0] & 0x80) {
		ask(data[0], buf_span(&body), status, piece);
	} else {
		start(data[0]);
		play(buf_span(&body), status, data[1] & 8, piece);
	}
	call_fini(&call);
	if (++n % 256 == 0) /* small messages end there */
		pass(2);
	buf_free(&body);
	return 0;
}
