#include "worker/login.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "tests/unit/fixture_worker.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define N 3

static struct settings settings;
static struct fixture_setup setups[N];
static struct fixture_server *servers[N];
static struct worker *w;
static struct fixture_caller caller;

static void build(void)
{
	fixture_worker_build(&w, fixture_snapshot(setups, N, &settings, NULL));
}

/* Two backends with sessions of their own, and one with a shared one. */
static void begin(void)
{
	static const char *const names[N] = { "one", "two", "shared" };

	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&settings);
	settings.auth_enabled = 0;
	settings.breaker_failures = 100000;
	for (size_t i = 0; i < N; i++)
		setups[i] = (struct fixture_setup){
			.name = names[i],
			.flags = BACKEND_NAMESPACE |
			         (i < 2 ? BACKEND_PER_CLIENT : 0),
			.eras = ERA_LEGACY,
			.items = { [VIEW_LEGACY] = { ITEM("t") } },
		};
	build();
	for (size_t i = 0; i < N; i++) {
		servers[i] = fixture_server_new(w->loop);
		fixture_server_legacy(servers[i], true);
		setups[i].port = fixture_server_port(servers[i]);
	}
	build();
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_pause(w->loop, 5);
	for (size_t i = 0; i < N; i++)
		fixture_server_free(servers[i]);
	fixture_worker_free(w);
}

TestSuite(login, .init = begin, .fini = end, .timeout = 60);

static void initialize(void)
{
	char *text = fixture_post(
		"", "{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"method\":"
		    "\"initialize\",\"params\":{\"protocolVersion\":"
		    "\"2025-06-18\",\"capabilities\":{\"roots\":{}},"
		    "\"clientInfo\":{\"name\":\"x\",\"version\":\"1\"}}}");

	fixture_hang_up(&caller);
	fixture_call(&caller, w);
	fixture_say(&caller, span_str(text), 0);
	free(text);
}

/* What the client's session id says of those of the backends; to be freed. */
static char *lines(void)
{
	struct span head = fixture_answer_head(&caller, 0);
	const char *at = memmem(head.at, head.len, "Mcp-Session-Id: ", 16);
	struct sealed_room room;
	struct sealed s;
	struct span id;
	char *text;

	if (!at)
		return NULL;
	id = span_from(head, (size_t)(at + 16 - head.at));
	id = span_first(id, span_find(id, '\r'));
	cr_assert_eq(sealed_read(w->snap, SPAN("anonymous"),
	                         SEALED_BIT(SEALED_SESSION), id,
	                         clock_utc_ms() / 1000, &s, &room),
	             SEALED_OK);
	cr_expect_eq(s.abilities, CLIENT_ROOTS);
	text = strndup(s.texts[0].len ? s.texts[0].at : "", s.texts[0].len);
	sealed_free(&room);
	return text;
}

static void expect_lines(bool one, bool two)
{
	char *text = lines(), want[256] = "";
	const bool has[] = { one, two };

	cr_assert_not_null(text);
	for (uint32_t i = 0; i < 2; i++)
		if (has[i])
			snprintf(want + strlen(want), 64,
			         "%08x 2025-06-18 session-1\n",
			         sealed_backend(w->snap, i));
	cr_expect_str_eq(text, want);
	free(text);
}

static size_t count(size_t server, const char *text)
{
	return fixture_server_count(servers[server], text);
}

Test(login, all_are_opened)
{
	initialize();
	fixture_await(&caller, 1);
	cr_expect_eq(fixture_status(&caller, 0), 200);
	cr_expect(memmem(caller.in.bytes, caller.in.len, "\"id\":\"i\"", 8));
	expect_lines(true, true);
	cr_expect_eq(fixture_server_requests(servers[2]), 0u);
	cr_expect_eq(count(0, "\"roots\":{}"), 1u, "as the client can");
	fixture_pause(w->loop, 10);
	cr_expect_eq(count(0, "DELETE "), 0u, "they are the client's now");
}

/* Backends that refuse, or are not there, are left out at once. */
Test(login, what_fails_is_left_out)
{
	static const struct fixture_answer refusal = { .status = 500,
		                                       .body = "" };

	fixture_server_legacy(servers[1], false);
	fixture_server_play(servers[1], &refusal, 1);
	initialize();
	fixture_await(&caller, 1);
	expect_lines(true, false);
	setups[0].port = 0;
	build();
	initialize();
	fixture_await(&caller, 1);
	expect_lines(false, false);
}

/* One that does not greet in time is left out, and what it opened later is
 * given up. */
Test(login, one_that_is_silent)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };
	uint64_t before = clock_mono_ms();

	fixture_server_legacy(servers[1], false);
	fixture_server_play(servers[1], &silent, 1);
	initialize();
	fixture_await(&caller, 1);
	cr_expect_geq(clock_mono_ms() - before, LOGIN_MS - 50u);
	expect_lines(true, false);
	while (fixture_server_open(servers[1]))
		fixture_pause(w->loop, 1);
}

/* The client goes away in the middle: nothing stays open. */
Test(login, a_client_that_leaves)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };
	static const struct fixture_answer deleted = { .status = 204,
		                                       .body = "" };

	fixture_server_legacy(servers[1], false);
	fixture_server_play(servers[1], &silent, 1);
	fixture_server_play(servers[0], &deleted, 1);
	initialize();
	while (!count(0, "notifications/initialized") ||
	       !fixture_server_requests(servers[1]))
		fixture_pause(w->loop, 1);
	fixture_pause(w->loop, 5);
	fixture_hang_up(&caller);
	while (fixture_server_open(servers[1]) || !count(0, "DELETE "))
		fixture_pause(w->loop, 1);
	cr_expect_eq(count(0, "DELETE "), 1u);
	fixture_call(&caller, w);
}

#define TEN(x) x x x x x x x x x x

/* One that does not fit into the client's is ended again. */
Test(login, ids_that_are_too_long)
{
	static const struct fixture_answer greeting[] = {
		{ .fields = "Content-Type: application/json\r\n"
		            "Mcp-Session-Id: " TEN(TEN("0123456789")) "\r\n",
		  .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
		          "\"protocolVersion\":\"2025-06-18\","
		          "\"capabilities\":{}}}" },
		{ .status = 202, .body = "" },
		{ .status = 204, .body = "" },
	};

	for (size_t n = 2; n <= N; n++) {
		char *text;

		setups[n - 1].flags |= BACKEND_PER_CLIENT;
		build();
		for (size_t i = 0; i < n; i++) {
			fixture_server_legacy(servers[i], false);
			fixture_server_play(servers[i], greeting, 3);
		}
		initialize();
		fixture_await(&caller, 1);
		cr_expect_eq(fixture_status(&caller, 0), 200);
		text = lines();
		cr_expect_eq(strlen(text), 2 * (8 + 1 + 10 + 1 + 1000 + 1u));
		free(text);
		while (n > 2 && !count(2, "DELETE "))
			fixture_pause(w->loop, 1);
		for (size_t i = 0; i < n; i++)
			cr_expect_eq(count(i, "DELETE "), i == 2, "%zu", i);
	}
}

/* Nothing to open: it is answered at once, or nothing is handed out. */
Test(login, none_to_open)
{
	for (size_t i = 0; i < 2; i++)
		setups[i].flags &= ~BACKEND_PER_CLIENT;
	build();
	initialize();
	fixture_await(&caller, 1);
	expect_lines(false, false);
	setups[0].flags |= BACKEND_PER_CLIENT;
	settings.stateless = 1;
	build();
	initialize();
	fixture_await(&caller, 1);
	cr_expect_null(lines());
	cr_expect_eq(fixture_server_requests(servers[0]), 0u);
}
