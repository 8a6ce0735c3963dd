#include "proxy/rejoin.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "proxy/relay.h"
#include "tests/unit/fixture_proxy.h"

static struct fixture_setup setup;
static struct fixture_server *server;
static struct settings settings;
static struct snapshot *snap;
static struct proxy proxy;
static struct call *call;
static struct fixture_client client;

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 100000;
	fixture_proxy_begin(&proxy);
	server = fixture_server_new(proxy.loop);
	setup = (struct fixture_setup){
		.name = "b",
		.eras = ERA_LEGACY,
		.port = fixture_server_port(server),
	};
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	call = call_take(&proxy);
	call->snap = snap;
	call->method = &method_table[METHOD_TOOLS_CALL];
	call->client = call->server = VIEW_LEGACY;
	call->caller = (struct caller){ .session = 5,
		                        .revision = REVISION_2025_11_25 };
}

static void end(void)
{
	call_cancel(call);
	call_give(call);
	fixture_client_free(&client);
	fixture_server_free(server);
	fixture_proxy_end(&proxy);
	snapshot_unref(snap);
}

TestSuite(rejoin, .init = begin, .fini = end, .timeout = 60);

static void note(struct span id, const char *data)
{
	struct sse_event event = { .type = SPAN("message"),
		                   .data = span_str(data),
		                   .id = id };

	rejoin_note(call, &event);
}

/* ---- ids ---- */

Test(rejoin, ids_that_are_remembered)
{
	static const struct {
		struct span id;
		const char *kept;
	} rows[] = {
		{ { "1", 1 }, "1" },
		{ { "", 0 }, "1" },
		{ { "1", 1 }, "1" },
		{ { "a b~\xc3\xa4", 6 }, "a b~\xc3\xa4" },
		/* It goes into a header line. */
		{ { "a\rb", 3 }, "a b~\xc3\xa4" },
		{ { "a\tb", 3 }, "a b~\xc3\xa4" },
		{ { "\0", 1 }, "a b~\xc3\xa4" },
		{ { "a\x7f", 2 }, "a b~\xc3\xa4" },
		{ { "2", 1 }, "2" },
	};
	static char longest[SSE_ID_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		note(rows[i].id, "{}");
		cr_expect(span_is(buf_span(&call->event), rows[i].kept),
		          "%zu: %.*s", i, SPAN_ARG(buf_span(&call->event)));
	}
	memset(longest, 'x', sizeof(longest));
	note(span_of(longest, sizeof(longest)), "{}");
	cr_expect_eq(call->event.len, sizeof(longest));
	call->server = VIEW_MODERN;
	note(SPAN("3"), "{}");
	cr_expect_eq(call->event.len, sizeof(longest), "of the older era only");
}

Test(rejoin, what_is_gone_on_with)
{
	cr_expect_not(rejoin_possible(call), "without an id");
	note(SPAN("1"), "{}");
	for (unsigned i = 0; i <= REJOIN_TRIES_MAX; i++) {
		call->rejoins = i;
		cr_expect_eq(rejoin_possible(call), i < REJOIN_TRIES_MAX);
	}
	note(SPAN("1"), "");
	cr_expect_not(rejoin_possible(call), "the same id is no news");
	note(SPAN("a\tb"), "");
	cr_expect_not(rejoin_possible(call), "nor one that is not kept");
	note(SPAN("1"), "{}");
	cr_expect(rejoin_possible(call), "it goes on");
	call->rejoins = REJOIN_TRIES_MAX;
	note(SPAN("2"), "");
	cr_expect(rejoin_possible(call), "so it does with another id");
	call->server = VIEW_MODERN;
	cr_expect_not(rejoin_possible(call));
}

Test(rejoin, how_long_it_waits)
{
	static const uint64_t rows[][2] = {
		{ 0, REJOIN_WAIT_MS },
		{ 1, REJOIN_LEAST_MS },
		{ REJOIN_LEAST_MS + 1, REJOIN_LEAST_MS + 1 },
		{ REJOIN_MOST_MS, REJOIN_MOST_MS },
		{ REJOIN_MOST_MS + 1, REJOIN_MOST_MS },
		{ UINT32_MAX, REJOIN_MOST_MS },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		call->retry_ms = rows[i][0];
		rejoin_later(call);
		cr_expect_eq(call->rejoin.due_ms,
		             loop_now_ms(proxy.loop) + rows[i][1], "%zu", i);
		rejoin_stop(call);
		cr_expect_eq(call->rejoin.due_ms, 0u);
		rejoin_stop(call);
	}
	cr_expect_eq(call->rejoins, ARRAY_LEN(rows));
}

/* ---- what the client is told ---- */

Test(rejoin, who_is_told_an_id)
{
	note(SPAN("1"), "{}");
	cr_expect(span_starts(rejoin_line(call), SPAN("id: gw2.")));
	call->client = VIEW_MODERN;
	cr_expect_eq(rejoin_line(call).len, 0u, "another era");
	call->client = VIEW_LEGACY;
	call->caller.session = 0;
	cr_expect_eq(rejoin_line(call).len, 0u, "nobody knows who comes back");
	call->caller.session = 5;
	buf_reset(&call->event);
	cr_expect_eq(rejoin_line(call).len, 0u, "the backend gave none");
}

/* The longest of everything fits, and comes back. */
Test(rejoin, all_of_it_comes_back)
{
	static char text[2048];
	struct sealed_room room;
	struct sealed s;
	struct span line;

	memset(text, 'x', sizeof(text));
	call->fields.max = 65536;
	buf_puts(&call->fields, "Own: 1\r\n");
	call->own_fields = call->fields.len;
	buf_add(&call->fields, text, SESSION_ID_MAX + 64);
	call->client_id.max = call->client_token.max = 256;
	buf_add(&call->client_id, text, MESSAGE_ID_MAX);
	buf_add(&call->client_token, text, MESSAGE_TOKEN_MAX);
	call->id = 12;
	call->number = 11;
	note(span_of(text, SSE_ID_MAX), "{}");
	line = rejoin_line(call);
	cr_assert(span_starts(line, SPAN("id: ")));
	cr_assert_eq(line.at[line.len - 1], '\n');
	cr_assert_eq(sealed_read(snap, SPAN(""), SEALED_BIT(SEALED_EVENT),
	                         span_of(line.at + 4, line.len - 5),
	                         clock_utc_ms() / 1000, &s, &room),
	             SEALED_OK);
	cr_expect_eq(s.call, 12u);
	cr_expect_eq(s.digest, 11u);
	cr_expect_eq(s.round, (uint32_t)METHOD_TOOLS_CALL);
	cr_expect_eq(s.backend, sealed_backend(snap, 0));
	cr_expect_gt(s.expires_s, clock_utc_ms() / 1000);
	cr_expect_eq(s.texts[0].len, SESSION_ID_MAX + 64u);
	cr_expect_eq(s.texts[1].len, (size_t)SSE_ID_MAX);
	cr_expect_eq(s.texts[2].len, (size_t)MESSAGE_ID_MAX);
	cr_expect_eq(s.texts[3].len, (size_t)MESSAGE_TOKEN_MAX);
	sealed_free(&room);
}

/* ---- a client that goes on ---- */

#define SSE(more) \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" more
#define RESULT "data: {\"jsonrpc\":\"2.0\",\"id\":12,\"result\":{}}\n\n"
#define PROGRESS(n)                                                    \
	"id: p" n "\ndata: {\"jsonrpc\":\"2.0\",\"method\":"           \
	"\"notifications/progress\",\"params\":{\"progressToken\":11," \
	"\"progress\":" n "}}\n\n"

static bool done(void *arg)
{
	(void)arg;
	return fixture_client_done(&client);
}

static void go_on(const struct fixture_answer *answers, size_t n)
{
	const struct sealed s = {
		.round = METHOD_TOOLS_CALL,
		.call = 12,
		.digest = 11,
		.texts = { SPAN("Mcp-Session-Id: s\r\n"), SPAN("e 1"),
		           SPAN("\"c\""), SPAN("\"tok\"") },
	};

	fixture_server_play(server, answers, n);
	fixture_client_free(&client);
	fixture_client_init(&client, false, true);
	call_cancel(call);
	call_fini(call);
	call->reply = &client.reply;
	rejoin_start(call, &s, 0);
}

static void await(void)
{
	cr_assert(fixture_run(proxy.loop, done, NULL));
	cr_expect_null(fixture_client_fault(&client, "\"c\""), "%s",
	               fixture_client_fault(&client, "\"c\""));
}

Test(rejoin, a_stream_goes_on)
{
	static const struct fixture_answer answers[] = {
		{ .raw = SSE("retry: 1\n" PROGRESS("1")), .then = THEN_CLOSE },
		{ .raw = SSE("id: p2\ndata: \n\n"), .then = THEN_RESET },
		{ .raw = SSE(RESULT), .then = THEN_CLOSE },
	};

	call->caller.session = 0;
	go_on(answers, 3);
	await();
	static const char *const ids[] = { "e 1", "p1", "p2" };
	for (size_t i = 0; i < 3; i++) {
		struct span got = fixture_server_request(server, i);
		char line[40];

		snprintf(line, sizeof(line), "\r\nLast-Event-ID: %s\r\n",
		         ids[i]);
		cr_expect(span_starts(got, SPAN("GET ")));
		cr_expect(fixture_has(got, line), "%.*s", SPAN_ARG(got));
		cr_expect(fixture_has(got, "\r\nMcp-Session-Id: s\r\n"));
	}
	cr_expect(fixture_has(fixture_client_message(&client, 0),
	                      "\"progressToken\":\"tok\""));
	cr_expect(fixture_has(fixture_client_last(&client), "\"result\":{}"));
}

#define POLL(n)                                               \
	{                                                     \
		.raw = SSE("retry: 1\nid: " n "\ndata:\n\n"), \
		.then = THEN_CLOSE                            \
	}

/* A backend that wants to be polled says nothing but where it is. */
Test(rejoin, a_stream_that_is_polled)
{
	static const struct fixture_answer answers[] = {
		POLL("1"), POLL("2"),
		POLL("3"), POLL("4"),
		POLL("5"), POLL("6"),
		POLL("7"), { .raw = SSE(RESULT), .then = THEN_CLOSE },
	};

	static_assert(ARRAY_LEN(answers) > REJOIN_TRIES_MAX + 2, "it counts");
	call->caller.session = 0;
	go_on(answers, ARRAY_LEN(answers));
	await();
	cr_expect(fixture_has(fixture_client_last(&client), "\"result\":{}"));
	cr_expect_eq(fixture_server_requests(server), ARRAY_LEN(answers));
}

Test(rejoin, what_does_not_go_on)
{
	static const struct {
		struct fixture_answer answer;
		size_t requests;
		const char *why;
	} rows[] = {
		{ { .status = 405, .body = "" }, 1, "does not go on with it" },
		{ { .status = 404, .body = "{}" },
		  1,
		  "does not go on with it" },
		{ { .status = 401, .body = "" }, 1, "does not go on with it" },
		{ { .status = 202, .body = "" }, 1, "does not go on with it" },
		{ { .raw = SSE(""), .then = THEN_CLOSE },
		  REJOIN_TRIES_MAX + 1,
		  "ended without a result" },
		{ { .raw = SSE(" \n"), .then = THEN_CLOSE },
		  REJOIN_TRIES_MAX + 1,
		  "ended without a result" },
		{ { .raw = SSE("retry: 1\n: no event\n\n"),
		    .then = THEN_CLOSE },
		  REJOIN_TRIES_MAX + 1,
		  "ended without a result" },
		{ { .raw = SSE("retry: 1\nid: n\ndata:\n\n"),
		    .then = THEN_CLOSE },
		  REJOIN_TRIES_MAX + 1,
		  "ended without a result" },
		{ { .raw = SSE("data: junk\n\n"), .then = THEN_CLOSE },
		  1,
		  "not valid JSON" },
		{ { .body = "<html>" }, 1, "neither JSON" },
	};

	call->caller.session = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t before = fixture_server_requests(server);

		call->retry_ms = 1;
		go_on(&rows[i].answer, 1);
		await();
		cr_expect(
			fixture_has(fixture_client_last(&client), rows[i].why),
			"%zu: %.*s", i, SPAN_ARG(fixture_client_last(&client)));
		cr_expect_eq(fixture_server_requests(server) - before,
		             rows[i].requests, "%zu", i);
	}
}

/* The client goes away before, while and after it is asked for. */
Test(rejoin, a_client_that_leaves)
{
	static const struct fixture_answer answers[] = {
		{ .raw = "", .then = THEN_SILENT },
		{ .raw = SSE(PROGRESS("1")), .then = THEN_SILENT },
		{ .raw = SSE("retry: 1000\n" PROGRESS("1")),
		  .then = THEN_CLOSE },
	};

	call->caller.session = 0;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		for (int early = 0; early < 2; early++) {
			size_t before = fixture_server_requests(server);

			go_on(&answers[i], 1);
			while (!early &&
			       fixture_server_requests(server) == before)
				fixture_pause(proxy.loop, 1);
			if (!early)
				fixture_pause(proxy.loop, 5);
			call_cancel(call);
			cr_expect_eq(call->rejoin.due_ms, 0u);
			cr_expect_not(exchange_running(&call->x));
			fixture_pause(proxy.loop, 5);
			cr_expect_eq(client.ends, 0u);
		}
}
