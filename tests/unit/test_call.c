#include "proxy/call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "tests/unit/fixture_call.h"

#define M VIEW_MODERN
#define L VIEW_LEGACY

TestSuite(call, .init = fixture_call_begin, .fini = fixture_call_end,
          .timeout = 60);

static bool done(void *arg)
{
	(void)arg;
	return fixture_client_done(&way.client);
}

static void expect_answer(const char *text)
{
	const char *fault = fixture_client_fault(&way.client, "\"c1\"");

	cr_assert_null(fault, "%s: %.*s", fault,
	               SPAN_ARG(buf_span(&way.client.out)));
	cr_assert(span_is(buf_span(&way.client.out), text), "%.*s",
	          SPAN_ARG(buf_span(&way.client.out)));
}

static const struct fixture_answer good = {
	.body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[]}}",
};

#define ANSWER(more)                                     \
	"{\"jsonrpc\":\"2.0\",\"id\":\"c1\",\"result\":" \
	"{\"content\":[]" more "}}"

Test(call, a_modern_request_byte_for_byte)
{
	char text[1024];

	fixture_server_play(way.servers[0], &good, 1);
	fixture_call_start(M, "tools/call", "new_t", "\"name\":\"new_t\"", "");
	cr_assert(fixture_run(way.proxy.loop, done, NULL));
	expect_answer(ANSWER(",\"resultType\":\"complete\""));
	snprintf(text, sizeof(text),
	         "POST /m?q=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	         "User-Agent: oci-mcp-gateway/" VERSION
	         "\r\nContent-Type: application/json\r\n"
	         "Accept: application/json, text/event-stream\r\n" NAMED(
			 "tools/call", "t") "Content-Length: %zu\r\n\r\n%.*s",
	         way.setups[0].port, way.call.body.len,
	         SPAN_ARG(buf_span(&way.call.body)));
	cr_expect_eq(fixture_server_requests(way.servers[0]), 1u);
	cr_expect(span_is(fixture_server_request(way.servers[0], 0), text),
	          "%.*s", SPAN_ARG(fixture_server_request(way.servers[0], 0)));
}

static bool has(size_t n, const char *what)
{
	struct span r = fixture_server_request(way.servers[1], n);

	return memmem(r.at, r.len, what, strlen(what)) != NULL;
}

Test(call, a_legacy_backend_gets_its_handshake_once)
{
	fixture_server_play(way.servers[1], &good, 1);
	for (int i = 0; i < 3; i++) {
		fixture_call_start(M, "tools/call", "old_t",
		                   "\"name\":\"old_t\"", "");
		cr_assert(fixture_run(way.proxy.loop, done, NULL));
		expect_answer(ANSWER(",\"resultType\":\"complete\""));
	}
	cr_assert_eq(fixture_server_requests(way.servers[1]), 5u);
	cr_expect(has(0, "\"method\":\"initialize\""));
	cr_expect_not(has(0, "Mcp-Session-Id"));
	cr_expect(has(0, "X-Key: secret\r\n"));
	cr_expect(has(1, "notifications/initialized"));
	for (size_t i = 1; i < 5; i++) {
		cr_expect(has(i, "\r\nMcp-Session-Id: session-1\r\n"));
		cr_expect(has(i, "\r\nMCP-Protocol-Version: 2025-06-18\r\n"));
		cr_expect(has(i, "X-Key: secret\r\n"));
	}
	cr_expect_not(has(2, "Mcp-Method"));
	cr_expect_eq(fixture_server_connections(way.servers[1]), 1u);
}

Test(call, a_session_that_was_forgotten_is_opened_again)
{
	static const struct fixture_answer gone[] = {
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}" },
		{ .status = 404,
		  .body = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{"
		          "\"code\":-32001,\"message\":\"Session not "
		          "found\"}}" },
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
		          "\"content\":[]}}" },
	};
	static const struct fixture_answer never[] = {
		{ .status = 404,
		  .fields = "Content-Type: text/plain\r\n",
		  .body = "no" },
	};

	fixture_server_play(way.servers[1], gone, ARRAY_LEN(gone));
	fixture_call_start(L, "tools/call", "", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(way.proxy.loop, done, NULL));
	fixture_call_start(L, "tools/call", "", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(way.proxy.loop, done, NULL));
	expect_answer(ANSWER(""));
	cr_assert_eq(fixture_server_requests(way.servers[1]), 7u);
	cr_expect(has(3, "session-1"));
	cr_expect(has(6, "\r\nMcp-Session-Id: session-2\r\n"));
	cr_expect_not(has(6, "session-1"));

	/* One that always forgets is asked twice, and no more. */
	fixture_server_play(way.servers[1], never, 1);
	fixture_call_start(L, "tools/call", "", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(way.proxy.loop, done, NULL));
	cr_expect_null(fixture_client_fault(&way.client, "\"c1\""));
	cr_expect_eq(fixture_server_requests(way.servers[1]), 11u);
}

/* Whatever the pieces, framing and form: the way.client gets the same. */
Test(call, answers_in_pieces)
{
	static const char *const heads[] = {
		"Content-Type: application/json\r\n",
		"Content-Type: text/event-stream\r\n",
		"Content-Type: text/event-stream\r\nConnection: close\r\n",
		"",
	};
	static const size_t pieces[] = { 0, 3, 50 };

	for (size_t i = 0; i < 2 * ARRAY_LEN(heads) * ARRAY_LEN(pieces); i++) {
		struct fixture_answer a = good;
		static const char event[] =
			"data: {\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":"
			"{\"content\":[]}}\n\n";

		a.fields = heads[i / 2 % ARRAY_LEN(heads)];
		a.chunked = i % 2;
		a.piece = pieces[i / 2 / ARRAY_LEN(heads)];
		/* Slack's backend labels JSON as events, and the reverse. */
		if (i % 3)
			a.body = event;
		fixture_server_play(way.servers[0], &a, 1);
		fixture_call_start(L, "tools/call", "", "\"name\":\"new_t\"",
		                   "");
		cr_assert(fixture_run(way.proxy.loop, done, NULL), "%zu", i);
		expect_answer(ANSWER(""));
	}
}

Test(call, progress_goes_both_ways)
{
	static const struct fixture_answer a = {
		.fields = "Content-Type: text/event-stream\r\n",
		.body = "data: {\"jsonrpc\":\"2.0\",\"method\":"
			"\"notifications/progress\",\"params\":{"
			"\"progressToken\":$TOKEN,\"progress\":1}}\n\n"
			"data: {\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":"
			"{\"content\":[]}}\n\n",
		.chunked = true,
		.piece = 20,
	};

	fixture_server_play(way.servers[0], &a, 1);
	fixture_call_start(L, "tools/call", "", "\"name\":\"new_t\"",
	                   "\"progressToken\":\"tok\"");
	cr_assert(fixture_run(way.proxy.loop, done, NULL));
	expect_answer("event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":"
	              "\"notifications/progress\",\"params\":{"
	              "\"progressToken\":\"tok\",\"progress\":1}}\n\n"
	              "event: message\ndata: " ANSWER("") "\n\n");
}

/* A modern way.client that leaves cancels at a legacy backend by a message, and
 * at a modern one by closing. */
Test(call, cancellation)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };

	fixture_server_play(way.servers[1], &good, 1);
	fixture_call_start(M, "tools/call", "old_t", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(way.proxy.loop, done, NULL));

	fixture_server_play(way.servers[1], &silent, 1);
	fixture_call_start(M, "tools/call", "old_t", "\"name\":\"old_t\"", "");
	fixture_pause(way.proxy.loop, 30);
	call_cancel(&way.call);
	fixture_pause(way.proxy.loop, 30);
	cr_assert_eq(fixture_server_requests(way.servers[1]), 5u);
	cr_expect(span_is(fixture_server_body(way.servers[1], 4),
	                  "{\"jsonrpc\":\"2.0\",\"method\":"
	                  "\"notifications/cancelled\",\"params\":{"
	                  "\"requestId\":41}}"),
	          "%.*s", SPAN_ARG(fixture_server_body(way.servers[1], 4)));
	cr_expect_not(fixture_client_done(&way.client));

	fixture_server_play(way.servers[0], &silent, 1);
	fixture_call_start(M, "tools/call", "new_t", "\"name\":\"new_t\"", "");
	fixture_pause(way.proxy.loop, 30);
	cr_expect_eq(fixture_server_open(way.servers[0]), 1u);
	call_cancel(&way.call);
	fixture_pause(way.proxy.loop, 30);
	cr_expect_eq(fixture_server_open(way.servers[0]), 0u);
	cr_expect_eq(fixture_server_requests(way.servers[0]), 1u);
	cr_expect_not(fixture_client_done(&way.client));
}

Test(call, a_backend_that_fails_too_often_is_left_alone)
{
	static const struct fixture_answer bye = { .raw = "",
		                                   .then = THEN_CLOSE };
	struct backend_row *row = &way.proxy.board->backends[1];

	way.settings.breaker_failures = 3;
	way.settings.breaker_open_time = 100;
	fixture_call_build();
	row->open_until_ms = 0;
	row->call_failures = 0;
	fixture_server_play(way.servers[0], &bye, 1);
	for (int i = 0; i < 6; i++) {
		fixture_call_start(M, "tools/call", "new_t",
		                   "\"name\":\"new_t\"", "");
		cr_assert(fixture_run(way.proxy.loop, done, NULL));
		cr_expect_null(fixture_client_fault(&way.client, "\"c1\""));
		cr_expect_eq(way.client.reply.outcome, OUTCOME_UNAVAILABLE);
	}
	cr_expect_eq(fixture_server_requests(way.servers[0]), 3u);
	/* After a while one may try, and its success closes the breaker. */
	fixture_pause(way.proxy.loop, 120);
	fixture_server_play(way.servers[0], &good, 1);
	for (int i = 0; i < 2; i++) {
		fixture_call_start(M, "tools/call", "new_t",
		                   "\"name\":\"new_t\"", "");
		cr_assert(fixture_run(way.proxy.loop, done, NULL));
		expect_answer(ANSWER(",\"resultType\":\"complete\""));
	}
	cr_expect_eq(fixture_server_requests(way.servers[0]), 5u);
}

/* The connection comes back at once, though the stream has not ended. */
Test(call, the_rest_of_a_stream_does_not_hold_the_answer)
{
	static const struct fixture_answer open = {
		.raw = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		       "\r\n"
		       "data: {\"jsonrpc\":\"2.0\",\"id\":$ID,"
		       "\"result\":{\"content\":[]}}\n\n",
		.then = THEN_SILENT,
	};
	uint64_t before = clock_mono_ms();

	fixture_server_play(way.servers[0], &open, 1);
	fixture_call_start(L, "tools/call", "", "\"name\":\"new_t\"", "");
	cr_assert(fixture_run(way.proxy.loop, done, NULL));
	expect_answer(ANSWER(""));
	cr_expect_lt(clock_mono_ms() - before, 1000u);
}

/* Where a URI or a name is no target it is a member like any other. */
Test(call, members_that_do_not_route_pass)
{
	fixture_call_start(
		L, "tools/call", "",
		"\"uri\":\"u\",\"ref\":{},\"name\":\"old_t\",\"cursor\":\"c\"",
		"");
	cr_expect(span_is(buf_span(&way.call.body),
	                  SENT("tools/call", "\"name\":\"t\",\"uri\":\"u\","
	                                     "\"ref\":{},\"cursor\":\"c\"")),
	          "%.*s", SPAN_ARG(buf_span(&way.call.body)));
}
