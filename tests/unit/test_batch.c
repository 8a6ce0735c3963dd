#include "worker/batch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/scan.h"
#include "lib/value.h"
#include "tests/unit/fixture_worker.h"

#define PING(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"ping\"}"
#define CALL(id)                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\"," \
	"\"params\":{\"name\":\"b_t\"}}"
#define NOTE   "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}"
#define OLDEST "MCP-Protocol-Version: 2025-03-26\r\n"

static struct settings settings;
static struct worker *w;
static struct fixture_caller caller;
static struct fixture_server *server;
static struct loop *loop;

static void begin(void)
{
	struct fixture_setup setup = {
		.name = "b",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_LEGACY,
		.max_connections = 64,
		.items = { [VIEW_LEGACY] = { "{\"name\":\"t\",\"inputSchema\":"
		                             "{\"type\":\"object\"}}," } },
	};

	fixture_settings(&settings);
	settings.auth_enabled = 0;
	settings.limits_batch = 40;
	w = fixture_worker_new(fixture_snapshot(&setup, 1, &settings, NULL));
	loop = w->loop;
	server = fixture_server_new(loop);
	fixture_server_legacy(server, true);
	setup.port = fixture_server_port(server);
	fixture_worker_adopt(w, fixture_snapshot(&setup, 1, &settings, NULL));
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_server_free(server);
	fixture_pause(loop, 10);
	fixture_worker_free(w);
}

TestSuite(batch, .init = begin, .fini = end, .timeout = 60);

static int post(const char *fields, const char *body, size_t piece)
{
	char *text = fixture_post(fields, body);

	fixture_hang_up(&caller);
	fixture_call(&caller, w);
	fixture_say(&caller, span_str(text), piece);
	fixture_await(&caller, 1);
	free(text);
	return fixture_status(&caller, 0);
}

static struct span answer(void)
{
	return fixture_answer_body(&caller, 0);
}

/* How many elements does the answer have? 0: it is no good array. */
static size_t elements(void)
{
	struct scan_error why;
	struct value_iter it;
	struct span one;
	size_t n = 0;

	if (scan_document(answer(), NULL, 0, NULL, &why) != SCAN_OK ||
	    value_type(answer()) != VALUE_ARRAY)
		return 0;
	value_iter_init(&it, answer());
	while (value_array_next(&it, &one)) {
		cr_expect(value_string_eq(value_get(one, SPAN("jsonrpc")),
		                          SPAN("2.0")));
		cr_expect(value_get(one, SPAN("id")).at);
		n++;
	}
	return n;
}

static bool says(const char *text)
{
	return memmem(answer().at, answer().len, text, strlen(text)) != NULL;
}

static const struct {
	const char *fields, *body;
	int status;
	size_t n; /* elements of the answer */
} rows[] = {
	{ OLDEST, "[" PING("1") "]", 200, 1 },
	{ "", "[" PING("1") "," NOTE "," PING("\"a\"") "]", 200, 2 },
	{ "", " [ " PING("1") " ,\r\n " PING("2") " ] ", 200, 2 },
	{ "", "[" NOTE "," NOTE "]", 202, 0 },
	{ "", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]", 202, 0 },
	{ "", "[1,\"\",null,{},[],[" PING("1") "]]", 200, 6 },
	{ "",
	  "[" PING("1") ",{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
	                "\"initialize\",\"params\":{}}]",
	  200, 2 },
	{ "", "[" PING("1") "," PING("1") "]", 200, 2 },
	{ "", "[]", 400, 0 },
	{ "", "[ ]", 400, 0 },
	{ "", "[" PING("1"), 400, 0 },
	{ "", "[" PING("1") ",]", 400, 0 },
	{ "MCP-Protocol-Version: 2025-06-18\r\n", "[" PING("1") "]", 400, 0 },
	{ "MCP-Protocol-Version: 2025-11-25\r\n", "[" PING("1") "]", 400, 0 },
	{ "MCP-Protocol-Version: 2026-07-28\r\n", "[" PING("1") "]", 400, 0 },
	{ "MCP-Protocol-Version: 1\r\n", "[" PING("1") "]", 400, 0 },
};

Test(batch, kinds)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect_eq(post(rows[i].fields, rows[i].body, 0),
		             rows[i].status, "row %zu: %.*s", i,
		             SPAN_ARG(answer()));
		cr_expect_eq(elements(), rows[i].n, "row %zu: %.*s", i,
		             SPAN_ARG(answer()));
	}
}

Test(batch, byte_by_byte)
{
	cr_expect_eq(post(OLDEST, rows[1].body, 1), 200);
	cr_expect_eq(elements(), 2u);
}

static const struct fixture_answer good[] = {
	{ .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}" },
};

Test(batch, sizes)
{
	fixture_server_play(server, good, 1);
	for (size_t n = 1; n <= 41; n += 5) {
		struct buf body = { .max = 1 << 20 };

		for (size_t i = 0; i < n; i++)
			buf_puts(&body, i ? "," CALL("7") : "[" CALL("7"));
		buf_add(&body, "]", 2); /* with its NUL */
		cr_expect_eq(post(OLDEST, body.bytes, 0), n > 40 ? 400 : 200);
		cr_expect_eq(elements(), n > 40 ? 0 : n);
		buf_free(&body);
	}
	cr_expect(says("limits.batch"));
}

static const struct fixture_answer streams[] = {
	{ .fields = "Content-Type: text/event-stream\r\n",
	  .body = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
	          "message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n"
	          "data: {\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}\n\n",
	  .chunked = true },
};

Test(batch, events_when_one_streams)
{
	fixture_server_play(server, streams, 1);
	cr_expect_eq(post(OLDEST "Accept: application/json, text/event-stream"
	                         "\r\n",
	                  "[" PING("1") "," CALL("2") "," CALL("3") "]", 0),
	             200);
	cr_expect(fixture_has_line(&caller, 0,
	                           "Content-Type: text/event-stream"));
	cr_expect(says("data: {\"jsonrpc\":\"2.0\",\"id\":1,"));
	cr_expect(says("data: {\"jsonrpc\":\"2.0\",\"id\":2,"));
	cr_expect(says("data: {\"jsonrpc\":\"2.0\",\"id\":3,"));
	cr_expect(says("notifications/message"));
	/* Who takes one document gets that. */
	cr_expect_eq(post(OLDEST "Accept: application/json\r\n",
	                  "[" PING("1") "," CALL("2") "," CALL("3") "]", 0),
	             200);
	cr_expect_eq(elements(), 3u);
}

static const struct fixture_answer silent[] = { { .then = THEN_SILENT } };

static bool all_there(void *arg)
{
	return fixture_server_requests(server) >= *(size_t *)arg;
}

Test(batch, at_once_and_cancelled)
{
	struct buf body = { .max = 1 << 20 };
	/* initialize and notifications/initialized come first */
	size_t expected = 2 + BATCH_AT_ONCE;
	char *text;

	for (size_t i = 0; i < BATCH_AT_ONCE + 4; i++)
		buf_puts(&body, i ? "," CALL("7") : "[" CALL("7"));
	buf_add(&body, "]", 2);
	fixture_server_play(server, silent, 1);
	text = fixture_post(OLDEST, body.bytes);
	fixture_say(&caller, span_str(text), 0);
	cr_assert(fixture_run(loop, all_there, &expected));
	fixture_pause(loop, 20);
	cr_expect_eq(fixture_server_requests(server), expected);
	fixture_hang_up(&caller);
	fixture_pause(loop, 20);
	/* Nothing of it begins later, and the worker serves on. */
	cr_expect_eq(fixture_server_requests(server), expected);
	cr_expect_eq(post("", PING("1"), 0), 200);
	free(text);
	buf_free(&body);
}
