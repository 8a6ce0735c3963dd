#include "worker/cancel.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/crypto.h"
#include "proxy/waiting.h"
#include "tests/unit/fixture_worker.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"

static struct settings settings;
static struct fixture_setup setup;
static struct fixture_server *server;
static struct worker *w;
static struct fixture_caller caller, other;
static char *sessions[2];

static void build(void)
{
	fixture_worker_build(&w, fixture_snapshot(&setup, 1, &settings, NULL));
}

static void begin(void)
{
	struct sealed s = { .kind = SEALED_SESSION,
		            .revision = REVISION_2025_11_25 };

	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&settings);
	settings.auth_enabled = 0;
	settings.breaker_failures = 100000;
	setup = (struct fixture_setup){
		.name = "b",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_LEGACY,
		.items = { [VIEW_LEGACY] = { ITEM("t") } },
	};
	build();
	server = fixture_server_new(w->loop);
	fixture_server_legacy(server, true);
	setup.port = fixture_server_port(server);
	build();
	for (size_t i = 0; i < ARRAY_LEN(sessions); i++)
		sessions[i] = fixture_seal(w, s, "anonymous");
	fixture_call(&caller, w);
	fixture_call(&other, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_hang_up(&other);
	fixture_pause(w->loop, 5);
	cr_expect_null(w->watched, "nothing is over and watched");
	fixture_server_free(server);
	fixture_worker_free(w);
	for (size_t i = 0; i < ARRAY_LEN(sessions); i++)
		free(sessions[i]);
}

TestSuite(cancel, .init = begin, .fini = end, .timeout = 60);

/* Post in a session; NULL: in none. */
static void post(struct fixture_caller *c, const char *session,
                 const char *accept, const char *body)
{
	char *text, *fields;

	fixture_hang_up(c);
	fixture_call(c, w);
	cr_assert_gt(asprintf(&fields, "Accept: %s\r\n%s%s%s", accept,
	                      session ? "Mcp-Session-Id: " : "",
	                      session ? session : "", session ? "\r\n" : ""),
	             0);
	text = fixture_post(fields, body);
	fixture_say(c, span_str(text), 0);
	free(text);
	free(fields);
}

#define BOTH "application/json, text/event-stream"
#define CALL(id)                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\"," \
	"\"params\":{\"name\":\"b_t\"}}"
#define CANCEL(id)                                                     \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"," \
	"\"params\":{\"requestId\":" id "}}"

static size_t count(const char *text)
{
	return fixture_server_count(server, text);
}

static void await(const char *text, size_t n)
{
	fixture_server_await(server, text, n);
}

static void silent(void)
{
	static const struct fixture_answer script = { .raw = "",
		                                      .then = THEN_SILENT };

	fixture_server_play(server, &script, 1);
}

static void cancel(const char *session, const char *body)
{
	post(&other, session, BOTH, body);
	fixture_await(&other, 1);
	cr_expect_eq(fixture_status(&other, 0), 202);
}

Test(cancel, who_cancels_what)
{
	const struct {
		const char *session, *body;
		bool hits;
	} rows[] = {
		{ sessions[0], CANCEL("\"a\""), true },
		{ sessions[0], CANCEL("\"b\""), false },
		{ sessions[0], CANCEL("\"\\u0061\""), false },
		{ sessions[1], CANCEL("\"a\""), false },
		{ NULL, CANCEL("\"a\""), false },
		{ sessions[0],
		  "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\""
		  "}",
		  false },
		{ sessions[0],
		  "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\","
		  "\"params\":{\"requestId\":\"a\"}}",
		  false },
	};
	size_t calls = 0, told = 0;

	silent();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		post(&caller, sessions[0], BOTH, CALL("\"a\""));
		await("tools/call", ++calls);
		cancel(rows[i].session, rows[i].body);
		if (rows[i].hits) {
			await("notifications/cancelled", ++told);
			fixture_await(&caller, 1);
		}
		cr_expect_eq(fixture_answers(&caller), rows[i].hits, "%zu", i);
		cr_expect_eq(count("notifications/cancelled"), told, "%zu", i);
		fixture_hang_up(&caller);
		fixture_pause(w->loop, 2);
		fixture_call(&caller, w);
		cancel_fini(w); /* of the calls that were left */
	}
}

/* What the client sees, however its answer goes. */
Test(cancel, what_the_client_sees)
{
	static const struct {
		const char *accept, *raw;
		int status;
		const char *body;
	} rows[] = {
		{ BOTH, "", 200, "" },
		{ "application/json", "", 200, "Cancelled" },
		{ BOTH,
		  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
		  "data: {\"jsonrpc\":\"2.0\",\"method\":"
		  "\"notifications/message\",\"params\":{\"level\":"
		  "\"error\"}}\n\n",
		  200, "notifications/message" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture_answer script = { .raw = rows[i].raw,
			                         .then = THEN_SILENT };

		fixture_server_play(server, &script, 1);
		post(&caller, sessions[0], rows[i].accept, CALL("7"));
		await("tools/call", i + 1);
		fixture_pause(w->loop, 5);
		cancel(sessions[0], CANCEL("7"));
		fixture_await(&caller, 1);
		cr_expect_eq(fixture_status(&caller, 0), rows[i].status);
		struct span body = fixture_answer_body(&caller, 0);
		cr_expect(rows[i].body[0] ? fixture_has(body, rows[i].body)
		                          : body.len == 0,
		          "%zu: %.*s", i, SPAN_ARG(body));
		/* It is over: nobody is told again. */
		cancel(sessions[0], CANCEL("7"));
		await("notifications/cancelled", i + 1);
		cr_expect_eq(count("notifications/cancelled"), i + 1);
	}
}

/* Two with the same id in one session: each is cancelled once. */
Test(cancel, one_at_a_time)
{
	struct fixture_caller second;

	silent();
	fixture_call(&second, w);
	post(&caller, sessions[0], BOTH, CALL("7"));
	post(&second, sessions[0], BOTH, CALL("7"));
	await("tools/call", 2);
	cancel(sessions[0], CANCEL("7"));
	await("notifications/cancelled", 1);
	fixture_pause(w->loop, 5);
	cr_expect_eq(fixture_answers(&caller) + fixture_answers(&second), 1u);
	cancel(sessions[0], CANCEL("7"));
	fixture_await(&caller, 1);
	fixture_await(&second, 1);
	await("notifications/cancelled", 2);
	fixture_hang_up(&second);
}

/* Whose client went away can be cancelled later, once. */
Test(cancel, those_that_were_left)
{
	silent();
	post(&caller, sessions[0], BOTH, CALL("7"));
	await("tools/call", 1);
	fixture_hang_up(&caller);
	fixture_pause(w->loop, 5);
	fixture_call(&caller, w);
	cr_expect_eq(w->n_left, 1u);
	cr_expect_eq(count("notifications/cancelled"), 0u);
	cancel(sessions[1], CANCEL("7"));
	cancel(sessions[0], CANCEL("8"));
	cr_expect_eq(w->n_left, 1u);
	cancel(sessions[0], CANCEL("7"));
	await("notifications/cancelled", 1);
	cr_expect(fixture_has(
		fixture_server_request(server,
	                               fixture_server_requests(server) - 1),
		"Mcp-Session-Id: session-1"));
	cr_expect_eq(w->n_left, 0u);
	cancel(sessions[0], CANCEL("7"));
	fixture_pause(w->loop, 5);
	cr_expect_eq(count("notifications/cancelled"), 1u);
}

/* The newest are kept, and nothing longer than it may be. */
Test(cancel, so_many_are_left)
{
	struct call *c = call_take(&w->proxy);
	struct request r = { .conn = w->conns,
		             .call = c,
		             .caller = { .session = 5 } };
	char id[16];

	c->server = VIEW_LEGACY;
	c->snap = w->snap;
	cancel_watch(&r, SPAN("0"));
	cancel_left(&r);
	cr_expect_eq(w->n_left, 0u, "it was nowhere");
	c->rejoin.due_ms = 1; /* it waits for its backend */
	for (unsigned i = 0; i < CANCEL_LEFT_MAX + 3; i++) {
		snprintf(id, sizeof(id), "%u", i);
		buf_reset(&r.id);
		buf_puts(&r.id, id);
		c->id = i;
		cancel_left(&r);
		cr_assert_leq(w->n_left, (size_t)CANCEL_LEFT_MAX);
	}
	cr_expect_eq(w->n_left, (size_t)CANCEL_LEFT_MAX);
	cr_expect_eq(w->left_over.due_ms, loop_now_ms(w->loop) + CANCEL_LEFT_MS,
	             "all are forgotten when the last is old");
	cancel_forget(&r);
	cancel_left(&r);
	cr_expect_eq(w->n_left, (size_t)CANCEL_LEFT_MAX, "not watched");
	c->rejoin.due_ms = 0;
	cancel_fini(w);
	cr_expect_eq(w->n_left, 0u);
	cr_expect_null(w->left);
	cr_expect_eq(w->left_over.due_ms, 0u);
	buf_free(&r.id);
	c->snap = NULL;
	c->running = false;
	call_give(c);
}
