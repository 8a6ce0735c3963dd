#include "proxy/session.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "tests/unit/fixture_proxy.h"

#define KEY ((struct session_key){ .abilities = 0 })

static struct fixture_setup setups[2];
static struct settings settings;
static struct snapshot *snap;
static struct loop *loop;
static struct upstream *up;
static struct sessions *all;
static struct fixture_server *server;

/* Somebody who waits, and what he was told. */
static struct waiter {
	struct session_wait wait;
	unsigned told;
	char error[200];
	bool wants_again; /* asks once more when told */
} waiters[4];

static void build(void)
{
	snapshot_unref(snap);
	snap = fixture_snapshot(setups, ARRAY_LEN(setups), &settings, NULL);
	upstream_adopt(up, snap);
	sessions_adopt(all, snap);
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 1000;
	loop = loop_new();
	up = upstream_new(loop, fixture_board(), &fixture_board()->workers[0]);
	all = sessions_new(up, loop);
	server = fixture_server_new(loop);
	setups[0] =
		(struct fixture_setup){ .name = "one",
		                        .eras = ERA_LEGACY,
		                        .port = fixture_server_port(server) };
	setups[1] = setups[0];
	setups[1].name = "two";
	fixture_server_legacy(server, true);
	build();
}

static void end(void)
{
	fixture_pause(loop, 10);
	sessions_free(all);
	fixture_server_free(server);
	fixture_pause(loop, 10);
	upstream_free(up);
	fixture_pause(loop, 0);
	loop_free(loop);
	snapshot_unref(snap);
}

TestSuite(session, .init = begin, .fini = end, .timeout = 60);

static void on_done(struct session_wait *w, const char *error)
{
	struct waiter *me = CONTAINER_OF(w, struct waiter, wait);

	me->told++;
	snprintf(me->error, sizeof(me->error), "%s", error ? error : "");
	if (me->wants_again) {
		me->wants_again = false;
		cr_assert_not(session_want(all, snap, 0, KEY, w));
	}
}

static bool want(size_t i, uint32_t backend)
{
	waiters[i].wait.done = on_done;
	waiters[i].told = 0;
	return session_want(all, snap, backend, KEY, &waiters[i].wait);
}

static bool told(void *arg)
{
	return ((struct waiter *)arg)->told > 0;
}

static void wait_for(size_t i)
{
	cr_assert(fixture_run(loop, told, &waiters[i]));
}

static void expect_fields(uint32_t backend, const char *want_)
{
	struct buf out = { .max = 4096 };

	session_fields(all, snap, backend, KEY, &out);
	cr_expect(span_is(buf_span(&out), want_), "%.*s",
	          SPAN_ARG(buf_span(&out)));
	buf_free(&out);
}

Test(session, many_wait_for_one_handshake)
{
	expect_fields(0, "");
	cr_expect_eq(session_number(all, snap, 0, KEY), 0u);
	for (size_t i = 0; i < ARRAY_LEN(waiters); i++)
		cr_expect_not(want(i, 0));
	session_forgo(&waiters[2].wait);
	session_forgo(&waiters[2].wait);
	wait_for(0);
	for (size_t i = 0; i < ARRAY_LEN(waiters); i++) {
		cr_expect_eq(waiters[i].told, i == 2 ? 0u : 1u);
		cr_expect_str_empty(waiters[i].error);
	}
	cr_expect_eq(fixture_server_requests(server), 2u);
	cr_expect(want(0, 0));
	expect_fields(0, "Mcp-Session-Id: session-1\r\n"
	                 "MCP-Protocol-Version: 2025-06-18\r\n");
	cr_expect_eq(session_number(all, snap, 0, KEY), 1u);
	/* Each backend has its own. */
	cr_expect_not(want(0, 1));
	wait_for(0);
	expect_fields(1, "Mcp-Session-Id: session-2\r\n"
	                 "MCP-Protocol-Version: 2025-06-18\r\n");
	expect_fields(0, "Mcp-Session-Id: session-1\r\n"
	                 "MCP-Protocol-Version: 2025-06-18\r\n");
}

Test(session, a_lost_one_is_opened_again_and_a_newer_one_stays)
{
	uint64_t first;

	want(0, 0);
	wait_for(0);
	first = session_number(all, snap, 0, KEY);
	session_lost(all, snap, 0, KEY, first);
	cr_expect_not(want(0, 0));
	wait_for(0);
	cr_expect_gt(session_number(all, snap, 0, KEY), first);
	/* News of the old one comes late. */
	session_lost(all, snap, 0, KEY, first);
	cr_expect(want(0, 0));
	session_lost(all, snap, 1, KEY, 7); /* there was none */
}

#define ID_OF(id) "Content-Type: application/json\r\nMcp-Session-Id: " id "\r\n"
#define INIT(version)                                \
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{" \
	"\"protocolVersion\":" version ",\"capabilities\":{}}}"

static const struct {
	struct fixture_answer answer;
	bool good;
	const char *fields;
} handshakes[] = {
	{ { .body = INIT("\"2025-03-26\"") },
	  true,
	  "MCP-Protocol-Version: 2025-03-26\r\n" },
	{ { .body = INIT("\"2025-11-25\""), .fields = ID_OF("a!~") },
	  true,
	  "Mcp-Session-Id: a!~\r\nMCP-Protocol-Version: 2025-11-25\r\n" },
	{ { .body = INIT("\"2025-11-25\""), .fields = ID_OF("a b") },
	  true,
	  "MCP-Protocol-Version: 2025-11-25\r\n" },
	{ { .body = "event: message\nid: 1\ndata: " INIT(
		    "\"2025-06-18\"") "\n\n",
	    .fields = "Content-Type: text/event-stream\r\n"
	              "Mcp-Session-Id: e\r\n",
	    .chunked = true,
	    .piece = 7 },
	  true,
	  "Mcp-Session-Id: e\r\nMCP-Protocol-Version: 2025-06-18\r\n" },
	{ { .body = INIT("\"a\\r\\nX: y\"") }, false, NULL },
	{ { .body = INIT("\"a b\"") }, false, NULL },
	{ { .body = INIT("1") }, false, NULL },
	{ { .body = INIT("\"20250618-and-much-longer\"") }, false, NULL },
	{ { .body = "{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{\"code\":1,"
	            "\"message\":\"no\"}}" },
	  false,
	  NULL },
	{ { .body = "{}" }, false, NULL },
	{ { .body = "" }, false, NULL },
	{ { .body = "<html>" }, false, NULL },
	{ { .status = 401, .body = "" }, false, NULL },
	{ { .raw = "", .then = THEN_CLOSE }, false, NULL },
	{ { .raw = "junk\r\n\r\n", .then = THEN_CLOSE }, false, NULL },
};

Test(session, handshakes)
{
	static const struct fixture_answer accepted = { .status = 202,
		                                        .body = "" };

	fixture_server_legacy(server, false);
	for (size_t i = 0; i < ARRAY_LEN(handshakes); i++) {
		struct fixture_answer script[] = { handshakes[i].answer,
			                           accepted };

		session_lost(all, snap, 0, KEY,
		             session_number(all, snap, 0, KEY));
		fixture_server_play(server, script, 2);
		cr_assert_not(want(0, 0));
		wait_for(0);
		cr_expect_eq(waiters[0].error[0] == '\0', handshakes[i].good,
		             "row %zu: %s", i, waiters[0].error);
		if (handshakes[i].good)
			expect_fields(0, handshakes[i].fields);
	}
}

/* Who does not end its stream after the answer holds nobody up. */
Test(session, a_stream_that_stays_open)
{
	static const struct fixture_answer script[] = {
		{ .raw = "HTTP/1.1 200 OK\r\n"
		         "Content-Type: text/event-stream\r\n"
		         "Mcp-Session-Id: s\r\n\r\n"
		         "data: " INIT("\"2025-06-18\"") "\n\n",
		  .then = THEN_SILENT },
		{ .status = 202, .body = "" },
	};
	uint64_t before = clock_mono_ms();

	fixture_server_legacy(server, false);
	fixture_server_play(server, script, 2);
	want(0, 0);
	wait_for(0);
	cr_expect_str_empty(waiters[0].error);
	cr_expect_lt(clock_mono_ms() - before, 1000u);
	expect_fields(0, "Mcp-Session-Id: s\r\n"
	                 "MCP-Protocol-Version: 2025-06-18\r\n");
}

/* Who asks again when told of a failure waits for the next handshake, and is
 * not told of the old one twice. */
Test(session, asking_again_while_being_told)
{
	static const struct fixture_answer script[] = {
		{ .status = 500, .body = "" },
		{ .body = INIT("\"2025-06-18\"") },
		{ .status = 202, .body = "" },
	};

	fixture_server_legacy(server, false);
	fixture_server_play(server, script, 3);
	waiters[0].wants_again = true;
	want(0, 0);
	wait_for(0);
	cr_expect_eq(waiters[0].told, 1u);
	waiters[0].told = 0;
	wait_for(0);
	cr_expect_str_empty(waiters[0].error);
	cr_expect(want(1, 0));
}

Test(session, a_backend_that_moved_gets_a_new_one)
{
	struct fixture_server *other = fixture_server_new(loop);

	fixture_server_legacy(other, true);
	want(0, 0);
	wait_for(0);
	setups[0].port = fixture_server_port(other);
	build();
	cr_expect_not(want(0, 0));
	wait_for(0);
	cr_expect_eq(fixture_server_requests(other), 2u);
	fixture_server_free(other);
}

Test(session, small_messages)
{
	want(0, 0);
	wait_for(0);
	session_post(all, snap, 0, SPAN("Mcp-Session-Id: s\r\n"),
	             SPAN("{\"method\":\"a\"}"));
	session_post(all, snap, 0, span_of(NULL, 0),
	             SPAN("{\"method\":\"b\"}"));
	fixture_pause(loop, 30);
	cr_assert_eq(fixture_server_requests(server), 4u);
	for (size_t i = 2; i < 4; i++) {
		struct span r = fixture_server_request(server, i);
		bool a = memmem(r.at, r.len, "\"a\"", 3) != NULL;

		cr_expect_eq(memmem(r.at, r.len, "Mcp-Session-Id", 14) != NULL,
		             a);
	}
	/* Nobody is there: nothing is left of it. */
	setups[0].port = 0;
	build();
	session_post(all, snap, 0, SPAN(""), SPAN("{}"));
	fixture_pause(loop, 10);
}
