#include "worker/handover.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/fetch.h"
#include "lib/log.h"
#include "proxy/waiting.h"
#include "tests/unit/fixture_worker.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define BORN 4711

static const uint8_t keys[2][32] = { { 1, 2, 3 }, { 4, 5, 6 } };

static struct settings settings;
static struct fixture_setup setup;
static bool has_previous;
static struct peer own, peers[2];
static size_t n_peers;
static const char *certificate; /* of this one; NULL: it speaks no TLS */
static struct place parked;     /* where the call waits that say() resumes */
static struct worker *w;
static struct fixture_server *there; /* another worker, or replica */
static struct fixture_caller caller;

static void more(struct builder *b)
{
	struct ref r = builder_array(b, peers, n_peers, sizeof(peers[0]));

	builder_header(b)->peers = r;
	builder_header(b)->replica = own;
	if (certificate) {
		r = builder_text(b, span_str(certificate));
		builder_header(b)->tls_cert = r;
	}
	memcpy(builder_header(b)->session_keys, keys, sizeof(keys));
	builder_header(b)->has_previous_key = has_previous;
}

static void build(void)
{
	fixture_worker_build(&w, fixture_snapshot(&setup, 1, &settings, more));
}

static void begin(void)
{
	struct board *board = fixture_board();

	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&settings);
	settings.auth_enabled = 0;
	setup = (struct fixture_setup){
		.name = "b",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_MODERN | ERA_LEGACY,
		.items = { [VIEW_MODERN] = { ITEM("t") },
		           [VIEW_LEGACY] = { ITEM("t") } },
	};
	build();
	there = fixture_server_new(w->loop);
	atomic_store(&board->n_workers, 2);
	atomic_store(&board->workers[1].pid, 1);
	atomic_store(&board->workers[1].started_ms, BORN);
	atomic_store(&board->workers[1].handover_port,
	             fixture_server_port(there));
	parked = (struct place){ .instance = board->instance,
		                 .worker = 1,
		                 .born_ms = BORN };
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_server_free(there);
	fixture_worker_free(w);
}

TestSuite(handover, .init = begin, .fini = end, .timeout = 60);

/* ---- the field ---- */

#define PROOF_LEN (2 * CRYPTO_HASH_LEN)

/* What only a holder of the key can say. */
static const char *proof(const uint8_t key[32])
{
	static char text[PROOF_LEN + 1];
	uint8_t hash[CRYPTO_HASH_LEN];

	crypto_cache_hash(key, SPAN("handed over by a gateway"), hash);
	crypto_hex_encode(span_of(hash, sizeof(hash)), text);
	return text;
}

static enum handover_hops hops(const char *fields)
{
	struct h1_request request;
	struct message msg;

	fixture_read(fields,
	             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
	             &request, &msg);
	return handover_hops(w->snap, &request.head);
}

static enum handover_hops hops_of(const char *value)
{
	char line[512];

	snprintf(line, sizeof(line), "Gateway-Handover: %s\r\n", value);
	return hops(line);
}

Test(handover, the_field)
{
	static const struct {
		const char *format; /* %s is the proof */
		enum handover_hops hops;
	} rows[] = {
		{ "1 %s", HANDOVER_REPLICA }, { "2 %s", HANDOVER_WORKER },
		{ "0 %s", HANDOVER_NONE },    { "3 %s", HANDOVER_NONE },
		{ "9 %s", HANDOVER_NONE },    { "11 %s", HANDOVER_NONE },
		{ "-1 %s", HANDOVER_NONE },   { "1%s", HANDOVER_NONE },
		{ "1  %s", HANDOVER_NONE },   { "1\t%s", HANDOVER_NONE },
		{ "%s", HANDOVER_NONE },      { "1 %s0", HANDOVER_NONE },
		{ "1 %s 2", HANDOVER_NONE },  { "1 %s, 1 %s", HANDOVER_NONE },
		{ "1", HANDOVER_NONE },       { "1 ", HANDOVER_NONE },
		{ "", HANDOVER_NONE },
	};
	char value[400];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *p = proof(keys[0]);
		const char *at = strstr(rows[i].format, "%s");

		snprintf(value, sizeof(value), "%.*s%s%s",
		         (int)(at ? at - rows[i].format
		                  : (ptrdiff_t)strlen(rows[i].format)),
		         rows[i].format, at ? p : "", at ? at + 2 : "");
		cr_expect_eq(hops_of(value), rows[i].hops, "%s", value);
	}
	cr_expect_eq(hops(""), HANDOVER_NONE);
	snprintf(value, sizeof(value),
	         "Gateway-Handover: 1 %s\r\nGateway-Handover: 1 %s\r\n",
	         proof(keys[0]), proof(keys[0]));
	cr_expect_eq(hops(value), HANDOVER_NONE, "twice");
}

Test(handover, the_keys)
{
	static const uint8_t zero[32];
	char value[200];

	for (int previous = 0; previous < 2; previous++) {
		has_previous = previous;
		build();
		snprintf(value, sizeof(value), "1 %s", proof(keys[0]));
		cr_expect_eq(hops_of(value), HANDOVER_REPLICA);
		snprintf(value, sizeof(value), "1 %s", proof(keys[1]));
		cr_expect_eq(hops_of(value),
		             previous ? HANDOVER_REPLICA : HANDOVER_NONE);
		snprintf(value, sizeof(value), "1 %s", proof(zero));
		cr_expect_eq(hops_of(value), HANDOVER_NONE);
	}
}

Test(handover, no_character_of_it_can_be_changed_or_cut)
{
	char value[200], changed[200];

	snprintf(value, sizeof(value), "2 %s", proof(keys[0]));
	for (size_t i = 1; value[i]; i++) {
		memcpy(changed, value, sizeof(value));
		changed[i] = value[i] == '0' ? '1' : '0';
		cr_assert_eq(hops_of(changed), HANDOVER_NONE, "%zu", i);
		memcpy(changed, value, i);
		changed[i] = '\0';
		cr_assert_eq(hops_of(changed), HANDOVER_NONE, "%zu", i);
		if (value[i] < 'a')
			continue;
		memcpy(changed, value, sizeof(value));
		changed[i] = (char)(value[i] - 32);
		cr_assert_eq(hops_of(changed), HANDOVER_NONE, "%zu", i);
	}
}

/* ---- places ---- */

Test(handover, places)
{
	struct request r = { .conn = w->conns, .snap = w->snap };
	uint64_t mine = w->board->instance;
	struct ip a, b;
	struct slot *slot = &w->board->workers[1];

	cr_assert(ip_parse(SPAN("192.0.2.1"), &a));
	cr_assert(ip_parse(SPAN("192.0.2.2"), &b));
	own = (struct peer){ .address = a, .port = 9000 };
	build();
	r.snap = w->snap;
	const struct {
		struct place place;
		bool can[3]; /* by how far it has come */
	} rows[] = {
		/* a worker of this machine */
		{ { .instance = mine, .worker = 1, .born_ms = BORN },
		  { true, true, false } },
		{ { .instance = mine, .worker = 1, .born_ms = BORN - 1 },
		  { false, false, false } },
		{ { .instance = mine, .worker = 2, .born_ms = 0 },
		  { false, false, false } },
		{ { .instance = mine, .worker = WORKERS_MAX },
		  { false, false, false } },
		{ { .instance = mine, .worker = UINT32_MAX },
		  { false, false, false } },
		/* the same, which a replica knows by its address too */
		{ { .instance = mine,
		    .worker = 1,
		    .born_ms = BORN,
		    .address = b,
		    .port = 9 },
		  { true, true, false } },
		/* a replica */
		{ { .instance = mine + 1, .address = b, .port = 9000 },
		  { true, false, false } },
		{ { .instance = mine + 1, .address = a, .port = 9001 },
		  { true, false, false } },
		{ { .instance = mine + 1, .address = a, .port = 9000 },
		  { false, false, false } },
		{ { .instance = mine + 1, .address = b, .port = 0 },
		  { false, false, false } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (uint8_t n = HANDOVER_NONE; n <= HANDOVER_WORKER; n++) {
			r.hops = n;
			cr_expect_eq(handover_can(&r, &rows[i].place),
			             rows[i].can[n], "%zu %u", i, n);
		}
	r.hops = HANDOVER_NONE;
	atomic_store(&slot->pid, 0);
	cr_expect_not(handover_can(&r, &rows[0].place), "it is dead");
	atomic_store(&slot->pid, 1);
	atomic_store(&slot->handover_port, 0);
	cr_expect_not(handover_can(&r, &rows[0].place), "it has no port");
}

Test(handover, this_very_worker)
{
	struct place here = handover_here(w, w->snap), other;

	cr_expect(handover_is_here(w, &here));
	other = here;
	other.instance++;
	cr_expect_not(handover_is_here(w, &other));
	other = here;
	other.worker++;
	cr_expect_not(handover_is_here(w, &other));
	other = here;
	other.born_ms++;
	cr_expect_not(handover_is_here(w, &other), "its successor is not it");
}

/* ---- a request ---- */

#define META                                                          \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":"     \
	"\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities" \
	"\":{}}"
#define MODERN                                        \
	"MCP-Protocol-Version: 2026-07-28\r\n"        \
	"Mcp-Method: tools/call\r\nMcp-Name: b_t\r\n" \
	"Accept: application/json, text/event-stream\r\n"

/* The request that resumes the parked call. The caller's to free. */
static char *resuming(const char *fields)
{
	struct sealed s = {
		.kind = SEALED_PARKED,
		.backend = sealed_backend(w->snap, 0),
		.round = 1,
		.expires_s = clock_utc_ms() / 1000 + 100,
		.digest = waiting_digest(SPAN("tools/call"), SPAN("t"),
		                         SPAN("{}")),
		.place = parked,
	};
	struct buf state = { .max = 4096 };
	char head[2048], *body, *text;

	cr_assert(sealed_write(w->snap, SPAN("anonymous"), &s, &state));
	cr_assert_gt(asprintf(&body,
	                      "{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"method\":"
	                      "\"tools/call\",\"params\":{\"name\":\"b_t\","
	                      "\"arguments\":{},\"requestState\":\"%.*s\","
	                      "\"inputResponses\":{}," META "}}",
	                      SPAN_ARG(buf_span(&state))),
	             0);
	snprintf(head, sizeof(head), MODERN "%s", fields);
	text = fixture_post(head, body);
	free(body);
	buf_free(&state);
	return text;
}

static void say(const char *fields)
{
	char *text = resuming(fields);

	fixture_hang_up(&caller);
	fixture_call(&caller, w);
	fixture_say(&caller, span_str(text), 0);
	free(text);
}

static void play(struct fixture_answer a)
{
	static struct fixture_answer script;

	script = a;
	fixture_server_play(there, &script, 1);
}

Test(handover, what_travels)
{
	char line[200];

	play((struct fixture_answer){ .body = "{\"x\":1}" });
	say("Authorization: Bearer secret\r\nX-Other: y\r\n"
	    "Gateway-Handover: 2 forged\r\nX-Request-Id: req-7\r\n"
	    "X-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n"
	    "Connection: keep-alive\r\nTE: trailers\r\n"
	    "Accept-Encoding: gzip\r\nX-Empty:\r\n");
	fixture_await(&caller, 1);
	cr_assert_eq(fixture_server_requests(there), 1u);
	struct span got = fixture_server_request(there, 0);
	static const char *const there_[] = {
		"POST /mcp HTTP/1.1\r\n",
		"\r\nHost: localhost\r\n",
		"\r\nAuthorization: Bearer secret\r\n",
		"\r\nX-Other: y\r\n",
		"\r\nX-Request-Id: req-7\r\n",
		"\r\nMcp-Method: tools/call\r\n",
		"\r\nContent-Type: application/json\r\n",
		"\r\nX-Forwarded-Proto: http\r\n",
		"\"arguments\":{},\"requestState\":\"gw2.",
	};
	static const char *const not_there[] = {
		"forged", "9.9.9.9", "TE:", "gzip", "X-Empty", "Expect",
	};

	for (size_t i = 0; i < ARRAY_LEN(there_); i++)
		cr_expect(fixture_has(got, there_[i]), "%s in %.*s", there_[i],
		          SPAN_ARG(got));
	for (size_t i = 0; i < ARRAY_LEN(not_there); i++)
		cr_expect_not(fixture_has(got, not_there[i]), "%s",
		              not_there[i]);
	snprintf(line, sizeof(line), "\r\nGateway-Handover: 2 %s\r\n",
	         proof(keys[0]));
	cr_expect(fixture_has(got, line), "%.*s", SPAN_ARG(got));
	cr_expect_eq(fixture_status(&caller, 0), 200);
	cr_expect(span_is(fixture_answer_body(&caller, 0), "{\"x\":1}"));
}

/* A request is used again for the next one; what it was called is not. */
Test(handover, ids_of_requests)
{
	static const char *const ids[] = { "a-long-id-of-a-request", "b" };
	char line[80];

	play((struct fixture_answer){ .body = "{}" });
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		snprintf(line, sizeof(line), "X-Request-Id: %s\r\n", ids[i]);
		say(line);
		fixture_await(&caller, 1);
		cr_expect(fixture_has(fixture_server_request(there, i), line),
		          "%.*s", SPAN_ARG(fixture_server_request(there, i)));
	}
}

static void park_in_replica(void)
{
	struct ip loopback;

	cr_assert(ip_parse(SPAN("127.0.0.1"), &loopback));
	parked = (struct place){ .instance = w->board->instance + 1,
		                 .address = loopback,
		                 .port = fixture_server_port(there) };
}

/* A caller's token does not leave in the clear when this one has TLS. */
Test(handover, never_without_tls)
{
	park_in_replica();
	play((struct fixture_answer){ .body = "{}" });
	say("");
	fixture_await(&caller, 1);
	cr_expect_eq(fixture_server_requests(there), 1u, "none has TLS");
	certificate = "a certificate";
	build();
	say("");
	fixture_await(&caller, 1);
	cr_expect(fixture_has(fixture_answer_body(&caller, 0),
	                      "make the call again"));
	cr_expect_eq(fixture_server_requests(there), 1u);
}

static bool nobody(void *arg)
{
	return fixture_server_open(arg) == 0;
}

/* So many requests have come there. */
static bool asked(void *arg)
{
	return fixture_server_requests(there) >= *(size_t *)arg;
}

static uint64_t counted(void)
{
	uint32_t slot = snapshot_backend(w->snap, 0)->slot;
	uint64_t sum = 0;

	for (size_t i = 0; i < OUTCOMES; i++)
		sum += count_read(&w->board->backends[slot].calls[i]);
	return sum;
}

/* Where it is served, and only when it is served nowhere, here. */
Test(handover, who_counts_it)
{
	static const struct {
		struct fixture_answer answer;
		uint64_t counted;
	} rows[] = {
		{ { .body = "{}" }, 0 },
		{ { .raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
		    .then = THEN_CLOSE },
		  0 },
		{ { .raw = "", .then = THEN_CLOSE }, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t before = counted();

		play(rows[i].answer);
		say("");
		fixture_await(&caller, 1);
		cr_expect_eq(counted() - before, rows[i].counted, "%zu", i);
	}
	/* The client leaves while the worker there is at it. */
	uint64_t before = counted();
	size_t n = fixture_server_requests(there) + 1;

	play((struct fixture_answer){ .raw = "", .then = THEN_SILENT });
	say("");
	cr_assert(fixture_run(w->loop, asked, &n));
	fixture_hang_up(&caller);
	cr_expect(fixture_run(w->loop, nobody, there));
	cr_expect_eq(counted(), before);
	fixture_call(&caller, w);
}

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

/* What the worker there says, and what the client sees of it. */
Test(handover, answers)
{
	static const struct {
		struct fixture_answer answer;
		int status;
		const char *body; /* some of it */
	} rows[] = {
		{ { .body = "{\"x\":1}" }, 200, "{\"x\":1}" },
		{ { .body = "{\"x\":1}", .chunked = true, .piece = 1 },
		  200,
		  "{\"x\":1}" },
		{ { .status = 404, .body = "{\"e\":1}" }, 404, "{\"e\":1}" },
		{ { .status = 202, .body = "" }, 202, "" },
		{ { .raw = STREAM "Transfer-Encoding: chunked\r\n\r\n"
		                  "a\r\ndata: {}\n\n\r\n0\r\n\r\n" },
		  200,
		  "data: {}\n\n" },
		{ { .raw = STREAM "Content-Length: 10\r\n\r\ndata: {}\n\n",
		    .piece = 3 },
		  200,
		  "data: {}\n\n" },
		/* What breaks is an error that says what to do. */
		{ { .raw = "", .then = THEN_CLOSE },
		  200,
		  "may have been executed" },
		{ { .raw = "", .then = THEN_RESET },
		  200,
		  "may have been executed" },
		{ { .raw = "junk\r\n\r\n", .then = THEN_CLOSE },
		  200,
		  "may have been executed" },
		{ { .raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
		    .then = THEN_CLOSE },
		  200,
		  "may have been executed" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		play(rows[i].answer);
		say("");
		fixture_await(&caller, 1);
		cr_expect_eq(fixture_status(&caller, 0), rows[i].status, "%zu",
		             i);
		cr_expect(!rows[i].body[0] ||
		                  fixture_has(fixture_answer_body(&caller, 0),
		                              rows[i].body),
		          "%zu: %.*s", i,
		          SPAN_ARG(fixture_answer_body(&caller, 0)));
		fixture_server_hang_up(there);
		fixture_pause(w->loop, 5);
	}
}

/* Over all limits of one message, and of what is held. */
#define LARGE 3000000

static char *large(void)
{
	char *text = malloc(LARGE + 1);

	cr_assert_not_null(text);
	for (size_t i = 0; i < LARGE; i++)
		text[i] = (char)('a' + i * 7 % 26);
	text[0] = text[LARGE - 1] = '"';
	text[LARGE] = '\0';
	return text;
}

/* Does the worker hold more than the client takes? */
static bool full(void)
{
	return w->conns->req && w->conns->req->reply.full;
}

/* A large answer that was paid for is not lost, whoever reads slowly. */
Test(handover, large_answers)
{
	static const struct {
		bool chunked, deaf;
	} rows[] = { { false, false }, { true, false }, { true, true } };
	char *text = large();

	settings.limits_message_bytes = 1000;
	build();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		play((struct fixture_answer){ .body = text,
		                              .chunked = rows[i].chunked });
		say("");
		caller.deaf = rows[i].deaf;
		while (rows[i].deaf && !full())
			fixture_pause(w->loop, 1);
		caller.deaf = false;
		loop_set(w->loop, &caller.src, EPOLLIN);
		fixture_await(&caller, 1);
		cr_expect_eq(fixture_status(&caller, 0), 200, "%zu", i);
		cr_expect(span_is(fixture_answer_body(&caller, 0), text),
		          "%zu: %zu bytes", i,
		          fixture_answer_body(&caller, 0).len);
	}
	free(text);
}

/* Around what is held: whole or in pieces, it is the same. */
Test(handover, answers_as_large_as_what_is_held)
{
	char *text = large();

	for (size_t n = HANDOVER_HELD_MAX - 1; n < HANDOVER_HELD_MAX + 2; n++) {
		text[n] = '\0';
		play((struct fixture_answer){ .body = text });
		say("");
		fixture_await(&caller, 1);
		cr_expect(span_is(fixture_answer_body(&caller, 0), text), "%zu",
		          n);
		text[n] = 'x';
	}
	free(text);
}

Test(handover, a_large_answer_that_breaks_is_seen_to_break)
{
	struct buf raw = { .max = 2 * LARGE };
	char *text = large();

	buf_puts(&raw, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	               "Content-Length: 9999999\r\n\r\n");
	buf_puts(&raw, text);
	buf_putc(&raw, '\0');
	play((struct fixture_answer){ .raw = raw.bytes, .then = THEN_CLOSE });
	say("");
	cr_assert(fixture_await_end(&caller));
	cr_expect_gt(caller.in.len, LARGE / 2);
	cr_expect_eq(fixture_answers(&caller), 0u, "it has no end");
	buf_free(&raw);
	free(text);
}

Test(handover, a_stream_that_breaks_is_seen_to_break)
{
	play((struct fixture_answer){ .raw = STREAM
	                              "Transfer-Encoding: chunked\r\n\r\n"
	                              "a\r\ndata: {}\n\n\r\n",
	                              .then = THEN_CLOSE });
	say("");
	cr_assert(fixture_await_end(&caller));
	cr_expect(fixture_has(buf_span(&caller.in), "data: {}"));
	cr_expect_eq(fixture_answers(&caller), 0u, "it has no end");
}

Test(handover, nobody_is_there)
{
	fixture_server_deaf(there);
	fixture_pause(w->loop, 1);
	say("");
	fixture_await(&caller, 1);
	cr_expect(fixture_has(fixture_answer_body(&caller, 0),
	                      "make the call again"));
	cr_expect(fixture_has(fixture_answer_body(&caller, 0), "\"id\":\"i\""));
}

/* A worker of this machine may take its time; of a replica nobody knows
 * whether it is still there. */
Test(handover, no_answer_in_time)
{
	settings.interactive_timeout = 50;
	setup.request_timeout_ms = setup.idle_timeout_ms = 50;
	build();
	play((struct fixture_answer){ .raw = "", .then = THEN_SILENT });
	say("");
	fixture_pause(w->loop, HANDOVER_LATE_MS + 100);
	fixture_server_say(there, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	                          "\r\n{}");
	fixture_await(&caller, 1);
	cr_expect(span_is(fixture_answer_body(&caller, 0), "{}"));

	park_in_replica();
	say("");
	fixture_await(&caller, 1);
	cr_expect(fixture_has(fixture_answer_body(&caller, 0),
	                      "may have been executed"));
}

/* The client goes away: before an answer, and inside of one. */
Test(handover, a_client_that_leaves)
{
	static const struct fixture_answer answers[] = {
		{ .raw = "", .then = THEN_SILENT },
		{ .raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
		  .then = THEN_SILENT },
		{ .raw = STREAM "\r\ndata: 1\n\n", .then = THEN_SILENT },
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		play(answers[i]);
		say("");
		while (fixture_server_requests(there) <= i)
			fixture_pause(w->loop, 1);
		fixture_pause(w->loop, 5);
		fixture_hang_up(&caller);
		cr_expect(fixture_run(w->loop, nobody, there), "%zu", i);
		fixture_call(&caller, w);
	}
}

/* ---- the port of the workers ---- */

Test(handover, the_port_of_the_workers_is_for_them_alone)
{
	static const char *const paths[] = { "/mcp", "/health", "/metrics" };
	char text[600];

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		for (int hop = 0; hop <= 3; hop++) {
			fixture_hang_up(&caller);
			fixture_call(&caller, w);
			w->conns->handover = true;
			snprintf(text, sizeof(text),
			         "GET %s HTTP/1.1\r\nHost: localhost\r\n"
			         "Gateway-Handover: %d %s\r\n\r\n",
			         paths[i], hop, proof(keys[0]));
			fixture_say(&caller, span_str(text), 0);
			fixture_await(&caller, 1);
			cr_expect_eq(fixture_status(&caller, 0) == 403,
			             hop != HANDOVER_WORKER, "%s %d: %d",
			             paths[i], hop, fixture_status(&caller, 0));
		}
}

/* What was handed over as far as it may go is not handed on. */
Test(handover, it_does_not_go_in_circles)
{
	char line[200];

	snprintf(line, sizeof(line), "Gateway-Handover: 2 %s\r\n",
	         proof(keys[0]));
	say(line);
	fixture_await(&caller, 1);
	cr_expect(fixture_has(fixture_answer_body(&caller, 0),
	                      "The process that kept this call has ended"),
	          "%.*s", SPAN_ARG(fixture_answer_body(&caller, 0)));
	cr_expect_eq(fixture_server_requests(there), 0u);
}

/* ---- telling all ---- */

static size_t told;

static void tell(enum handover_hops hop, bool workers, size_t expected)
{
	struct request r = { .conn = w->conns, .snap = w->snap, .hops = hop };
	struct h1_request request;
	struct message msg;

	fixture_read("X-A: b\r\n",
	             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}",
	             &request, &msg);
	r.request_id_len = 2;
	memcpy(r.request_id, "id", 2);
	handover_tell(&r, &request, SPAN("{}"), workers);
	told += expected;
	cr_expect(fixture_run(w->loop, asked, &told), "%zu of %zu",
	          fixture_server_requests(there), told);
	fixture_pause(w->loop, 10);
	cr_expect_eq(fixture_server_requests(there), told, "%d %d", hop,
	             workers);
}

Test(handover, who_is_told)
{
	struct ip loopback;

	cr_assert(ip_parse(SPAN("127.0.0.1"), &loopback));
	peers[0] = peers[1] =
		(struct peer){ .address = loopback,
		               .port = fixture_server_port(there) };
	n_peers = 2;
	build();
	play((struct fixture_answer){ .status = 202, .body = "" });
	tell(HANDOVER_NONE, true, 3);
	tell(HANDOVER_NONE, false, 2);
	tell(HANDOVER_REPLICA, true, 1);
	tell(HANDOVER_REPLICA, false, 0);
	tell(HANDOVER_WORKER, true, 0);
	atomic_store(&w->board->workers[1].pid, 0);
	tell(HANDOVER_NONE, true, 2);
}

/* The log, to be read. */
static int open_log(void)
{
	int out = memfd_create("log", MFD_CLOEXEC);
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", out);
	log_set_fd(out);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* What was logged since the last time; "" when nothing was. */
static const char *logged(int fd)
{
	static char text[8192];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	cr_assert_geq(n, 0);
	text[n] = '\0';
	return text;
}

static bool all_told(void *arg)
{
	(void)arg;
	return w->n_news == 0;
}

/* What fails says where and why, and not each time. */
Test(handover, failures_are_logged)
{
	int in = open_log();
	char peer[80];
	struct ip loopback;
	const char *line;

	cr_assert(ip_parse(SPAN("127.0.0.1"), &loopback));
	peers[0] = (struct peer){ .address = loopback,
		                  .port = fixture_server_port(there) };
	n_peers = 1;
	build();
	snprintf(peer, sizeof(peer), "\"address\":\"127.0.0.1:%u\"",
	         fixture_server_port(there));

	play((struct fixture_answer){ .status = 202, .body = "" });
	tell(HANDOVER_NONE, false, 1);
	cr_assert(fixture_run(w->loop, all_told, NULL));
	cr_expect_str_eq(logged(in), "");

	play((struct fixture_answer){ .status = 401, .body = "" });
	tell(HANDOVER_NONE, false, 1);
	cr_assert(fixture_run(w->loop, all_told, NULL));
	line = logged(in);
	cr_expect(strstr(line, "news did not reach") && strstr(line, peer) &&
	                  strstr(line, "HTTP status 401"),
	          "%s", line);

	play((struct fixture_answer){ .raw = "", .then = THEN_CLOSE });
	for (int i = 0; i < 3; i++) {
		say("");
		fixture_await(&caller, 1);
	}
	cr_expect_str_eq(logged(in), "", "too soon");
	w->handover_quiet_ms = loop_now_ms(w->loop);
	say("");
	fixture_await(&caller, 1);
	line = logged(in);
	cr_expect(strstr(line, "could not be handed over") &&
	                  strstr(line, peer) &&
	                  strstr(line, "closed without an answer") &&
	                  strstr(line, "\"unsaid\":3"),
	          "%s", line);
	log_set_fd(-1);
	close(in);
}

/* The one told may have to ask the request's backend first. */
Test(handover, news_for_a_backend_have_its_time)
{
	struct request r = { .conn = w->conns };
	int in = open_log();
	struct h1_request request;
	struct message msg;

	setup.request_timeout_ms = 50;
	build();
	r.snap = w->snap;
	fixture_read("", "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}", &request,
	             &msg);
	play((struct fixture_answer){ .raw = "", .then = THEN_SILENT });
	handover_tell(&r, &request, SPAN("{}"), true);
	cr_assert(fixture_run(w->loop, all_told, NULL));
	const char *line = logged(in);
	cr_expect(strstr(line, "\"no answer in 2050 ms\""), "%s", line);
	log_set_fd(-1);
	close(in);
}

/* News that nobody takes does not pile up. */
Test(handover, so_much_is_told_at_once)
{
	struct request r = { .conn = w->conns, .snap = w->snap };
	struct h1_request request;
	struct message msg;

	fixture_server_deaf(there);
	fixture_read("X-A: b\r\n",
	             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}",
	             &request, &msg);
	r.request_id_len = 2;
	memcpy(r.request_id, "id", 2);
	for (size_t i = 0; i < 2 * HANDOVER_NEWS_MAX; i++)
		handover_tell(&r, &request, SPAN("{}"), true);
	cr_expect_eq(fetcher_running(w->handovers), HANDOVER_NEWS_MAX);
	while (fetcher_running(w->handovers))
		fixture_pause(w->loop, 1);
	/* Room again, when they have ended. */
	handover_tell(&r, &request, SPAN("{}"), true);
	cr_expect_eq(fetcher_running(w->handovers), 1u);
}

static void say_taken(struct timer *t)
{
	(void)t;
	fixture_server_say(there, "HTTP/1.1 202 Accepted\r\n"
	                          "Content-Length: 0\r\n\r\n");
}

/* A worker that has to end tells first what it has begun to tell. */
Test(handover, news_are_told_before_the_end)
{
	struct timer later = { 0 };

	play((struct fixture_answer){ .raw = "", .then = THEN_SILENT });
	tell(HANDOVER_NONE, true, 1);
	cr_assert_eq(w->n_news, 1u);
	w->draining = true;
	loop_close(w->loop, &caller.src); /* the last one; seen in loop_run() */
	loop_timer(w->loop, &later, 50, say_taken);
	cr_assert_eq(loop_run(w->loop), 0);
	cr_expect_null(w->conns);
	cr_expect_eq(w->n_news, 0u, "it ended before");
	loop_timer_stop(w->loop, &later);
	w->draining = false;
	buf_free(&caller.in);
	fixture_call(&caller, w);
}
