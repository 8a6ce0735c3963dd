/*
 * fuzz_relay - bytes as a backend's answer, in pieces: what the client gets is
 * one JSON document with its own id, or an event stream that ends with one, or
 * an answer that was broken off.
 *
 * The first three bytes choose eras, method, what the client accepts, the
 * status and where to cut. In the rest a byte 1 stands for many letters, so
 * that answers too large to be held are found as well.
 */
#include "proxy/relay.h"

#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"
#include "proxy/catalog.h"

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

static void set_up(void)
{
	static const char *const items[LIST_KINDS] = {
		[LIST_TOOLS] = "{\"name\":\"t\",\"inputSchema\":" OBJECT "},",
		[LIST_PROMPTS] = "{\"name\":\"p\"},",
		[LIST_RESOURCES] = "{\"uri\":\"x://r\",\"name\":\"r\"},",
	};
	struct catalog_backend known = { .origin = { .eras = ERA_MODERN } };
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
	struct message msg = { .era = how & 1 ? VIEW_MODERN : VIEW_LEGACY };
	struct route route;
	struct problem why;

	msg.method = &method_table[verbs[how >> 2 & 3].method];
	msg.name = verbs[how >> 2 & 3].name;
	msg.id = SPAN("\"c\"");
	msg.capabilities = SPAN("{}");
	msg.log_level = SPAN("\"info\"");
	msg.progress_token = how & 0x40 ? SPAN("5") : span_of(NULL, 0);
	bool found = call_route(snap, &msg, &route, &why);
	assert(found);

	buf_reset(&client.out);
	client.ends = 0;
	client.reply = (struct reply){ .ops = &ops };
	client.reply.accepts_events = how & 0x10;
	client.reply.accepts_json = how & 0x20 || !(how & 0x10);
	proxy.next_id = 0;
	call.proxy = &proxy;
	call.reply = &client.reply;
	call.snap = snap;
	call_start(&call, &msg, &head, &route);
	call.server = how & 2 ? VIEW_MODERN : VIEW_LEGACY;
}

static void play(struct span body, int status, bool length, size_t piece)
{
	struct exchange_head head = { .status = status,
		                      .has_length = length,
		                      .length = length ? body.len : 0 };

	relay_ops.head(&call.x, &head);
	while (exchange_running(&call.x) && body.len) {
		struct span bytes = span_first(body, piece);
		char *copy = malloc(bytes.len);

		memcpy(copy, bytes.at, bytes.len);
		relay_ops.body(&call.x, span_of(copy, bytes.len));
		free(copy);
		body = span_from(body, bytes.len);
	}
	if (!exchange_running(&call.x))
		return;
	exchange_cancel(&call.x);
	relay_ops.end(&call.x, EXCHANGE_COMPLETE, "");
}

static void on_due(struct timer *t)
{
	(void)t;
	loop_stop(proxy.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {
		200, 200, 200, 400, 404, 401, 500, 202
	};
	static struct timer timer;
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
	start(data[0]);
	play(buf_span(&body), statuses[data[1] & 7], data[1] & 8,
	     large ? 9000u + data[2] : data[2] + 1u);
	assert(!client.corked);
	if (!client.ends) /* a session is being opened: it fails on the loop */
		assert(call.retried);
	loop_timer(proxy.loop, &timer, 2, on_due);
	if (!client.ends || ++n % 256 == 0) { /* small messages end there */
		int err = loop_run(proxy.loop);
		assert(err == 0);
	}
	loop_timer_stop(proxy.loop, &timer);
	check_answer();
	call_fini(&call);
	buf_free(&body);
	return 0;
}
