#include "proxy/backsession.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/crypto.h"
#include "proxy/relay.h"
#include "tests/unit/fixture_proxy.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define N 2

static struct fixture_setup setups[N];
static struct fixture_server *server;
static struct settings settings;
static struct snapshot *snap;
static struct proxy proxy;
static struct fixture_client client;
static struct call *call;

static void build(void)
{
	snapshot_unref(snap);
	snap = fixture_snapshot(setups, N, &settings, NULL);
	upstream_adopt(proxy.up, snap);
	sessions_adopt(proxy.sessions, snap);
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 100000;
	fixture_proxy_begin(&proxy);
	server = fixture_server_new(proxy.loop);
	fixture_server_legacy(server, true);
	for (size_t i = 0; i < N; i++)
		setups[i] = (struct fixture_setup){
			.name = i ? "two" : "one",
			.flags = BACKEND_NAMESPACE | BACKEND_PER_CLIENT,
			.eras = ERA_LEGACY,
			.items = { [VIEW_LEGACY] = { ITEM("t") } },
			.port = fixture_server_port(server),
		};
	build();
}

static void finish(void)
{
	if (call)
		call_cancel(call);
	call_give(call);
	call = NULL;
}

static void end(void)
{
	finish();
	fixture_client_free(&client);
	fixture_server_free(server);
	fixture_proxy_end(&proxy);
	snapshot_unref(snap);
}

TestSuite(backsession, .init = begin, .fini = end, .timeout = 60);

static bool find(uint32_t backend, struct span lines, const char *fields)
{
	struct buf out = { .max = 4096 };
	struct span id;
	bool found = backsession_find(snap, backend, lines, &id, &out);

	if (found && fields)
		cr_expect(span_is(buf_span(&out), fields), "%.*s",
		          SPAN_ARG(buf_span(&out)));
	if (!found)
		cr_expect_eq(out.len, 0u);
	buf_free(&out);
	return found;
}

/* ---- lines ---- */

Test(backsession, what_is_added_is_found)
{
	struct buf lines = { .max = 4096 };

	cr_expect_not(find(0, buf_span(&lines), NULL));
	backsession_add(snap, 1, SPAN("a:b~!"), SPAN("2025-06-18"), &lines);
	cr_expect_not(find(0, buf_span(&lines), NULL));
	backsession_add(snap, 0, SPAN(""), SPAN("2025-03-26"), &lines);
	cr_expect(find(1, buf_span(&lines),
	               "Mcp-Session-Id: a:b~!\r\n"
	               "MCP-Protocol-Version: 2025-06-18\r\n"));
	cr_expect(find(0, buf_span(&lines),
	               "MCP-Protocol-Version: 2025-03-26\r\n"));
	/* A name that is not served any more is nobody's. */
	setups[1].name = "three";
	build();
	cr_expect_not(find(1, buf_span(&lines), NULL));
	cr_expect(find(0, buf_span(&lines), NULL));
	buf_free(&lines);
}

Test(backsession, lines_that_are_cut_anywhere)
{
	struct buf lines = { .max = 4096 };

	backsession_add(snap, 0, SPAN("ab"), SPAN("2025-06-18"), &lines);
	backsession_add(snap, 1, SPAN("cd"), SPAN("2025-06-18"), &lines);
	for (size_t n = 0; n <= lines.len; n++) {
		/* Its own memory: nothing behind it may be read. */
		char *cut = malloc(n + 1);

		memcpy(cut, lines.bytes, n);
		cr_expect_eq(find(0, span_of(cut, n), NULL), n >= 8, "%zu", n);
		cr_expect_eq(find(1, span_of(cut, n), NULL),
		             n >= lines.len / 2 + 8, "%zu", n);
		free(cut);
	}
	buf_free(&lines);
}

/* ---- calls ---- */

static bool done(void *arg)
{
	(void)arg;
	return fixture_client_done(&client);
}

static void start(uint32_t backend, struct span sessions)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct problem why;

	fixture_ask(VIEW_LEGACY, "\"c\"", "tools/call", NULL,
	            backend ? "\"name\":\"two_t\"" : "\"name\":\"one_t\"", "",
	            &request, &msg);
	cr_assert(route_find(snap, &msg, &route, &why), "%s", why.text);
	fixture_client_free(&client);
	fixture_client_init(&client, true, false);
	call = call_take(&proxy);
	call->caller = (struct caller){ .sessions = sessions };
	call->reply = &client.reply;
	call->snap = snap;
	call_start(call, &msg, &request.head, &route);
}

static void ask(uint32_t backend, struct span sessions)
{
	start(backend, sessions);
	cr_assert(fixture_run(proxy.loop, done, NULL));
	finish();
}

static size_t count(const char *text)
{
	return fixture_server_count(server, text);
}

static void await(const char *text, size_t n)
{
	fixture_server_await(server, text, n);
}

static const struct fixture_answer result = {
	.body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}"
};

/* One that the client does not bring is for the call alone. */
Test(backsession, a_session_for_one_call)
{
	fixture_server_play(server, &result, 1);
	for (size_t i = 1; i <= 3; i++) {
		ask(0, span_of("", 0));
		cr_expect(fixture_has(buf_span(&client.out), "\"result\":{}"));
		await("DELETE ", i);
		cr_expect_eq(count("\"initialize\""), i);
	}
	cr_expect_eq(count("Mcp-Session-Id: session-2"), 3u,
	             "introduced, called, deleted");
}

/* The call ends while its session is being opened. */
Test(backsession, a_call_that_ends_before_its_session_is_open)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };

	fixture_server_legacy(server, false);
	fixture_server_play(server, &silent, 1);
	start(0, span_of("", 0));
	await("\"initialize\"", 1);
	finish();
	cr_expect_eq(client.ends, 0u);
	while (fixture_server_open(server))
		fixture_pause(proxy.loop, 1);
}

Test(backsession, a_session_that_cannot_be_opened)
{
	static const struct fixture_answer refusal = { .status = 500,
		                                       .body = "" };

	fixture_server_legacy(server, false);
	fixture_server_play(server, &refusal, 1);
	ask(0, span_of("", 0));
	cr_expect(fixture_has(buf_span(&client.out), "no session"));
}

/* One that the client brings is used; when it is forgotten, another takes its
 * place for this client, until that is forgotten too. */
Test(backsession, a_session_that_the_client_brings)
{
	static const struct fixture_answer gone[] = {
		{ .status = 404, .body = "" },
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}" },
	};
	struct buf lines = { .max = 4096 };

	backsession_add(snap, 0, SPAN("mine"), SPAN("2025-06-18"), &lines);
	fixture_server_play(server, &result, 1);
	ask(0, buf_span(&lines));
	cr_expect_eq(count("Mcp-Session-Id: mine"), 1u);
	cr_expect_eq(count("\"initialize\""), 0u);
	/* Of another backend it says nothing. */
	ask(1, buf_span(&lines));
	await("DELETE ", 1);
	cr_expect_eq(count("\"initialize\""), 1u);
	fixture_server_play(server, gone, 2);
	ask(0, buf_span(&lines));
	cr_expect(fixture_has(buf_span(&client.out), "\"result\":{}"));
	cr_expect_eq(count("\"initialize\""), 2u);
	cr_expect_eq(count("Mcp-Session-Id: mine"), 2u);
	/* The other one serves from now on. */
	fixture_server_play(server, &result, 1);
	ask(0, buf_span(&lines));
	cr_expect_eq(count("\"initialize\""), 2u);
	cr_expect_eq(count("Mcp-Session-Id: mine"), 2u);
	fixture_server_play(server, gone, 2);
	ask(0, buf_span(&lines));
	cr_expect(fixture_has(buf_span(&client.out), "\"result\":{}"));
	cr_expect_eq(count("\"initialize\""), 3u);
	cr_expect_eq(count("DELETE "), 1u);
	buf_free(&lines);
}

Test(backsession, all_of_a_clients_are_ended)
{
	static const struct fixture_answer deleted = { .status = 204,
		                                       .body = "" };
	struct buf lines = { .max = 4096 };

	fixture_server_play(server, &deleted, 1);
	backsession_add(snap, 0, SPAN("x"), SPAN("2025-06-18"), &lines);
	backsession_add(snap, 1, SPAN(""), SPAN("2025-06-18"), &lines);
	buf_puts(&lines, "00000000 2025-06-18 y\n");
	backsession_delete_all(proxy.sessions, snap, buf_span(&lines));
	await("DELETE ", 1);
	fixture_pause(proxy.loop, 5);
	cr_expect_eq(fixture_server_requests(server), 1u);
	cr_expect(fixture_has(fixture_server_request(server, 0),
	                      "Mcp-Session-Id: x\r\n"));
	buf_free(&lines);
}

/* ---- how many ---- */

static void on_done(struct session_wait *w, const char *error)
{
	(void)w;
	(void)error;
}

static struct session_key key_of(size_t i)
{
	return (struct session_key){ .owner = i + 1 };
}

/* Sessions with owners, of a backend that is not there. */
static void fill(void)
{
	static struct session_wait waits[SESSION_OWNED_MAX];

	for (size_t i = 0; i < SESSION_OWNED_MAX; i++) {
		cr_assert(session_room(proxy.sessions, snap), "%zu", i);
		waits[i].done = on_done;
		cr_assert_not(session_want(proxy.sessions, snap, 1, key_of(i),
		                           &waits[i]));
	}
	fixture_pause(proxy.loop, 5);
	for (size_t i = 0; i < SESSION_OWNED_MAX; i++)
		cr_assert_null(waits[i].prev, "it was told");
}

Test(backsession, so_many_have_owners)
{
	setups[1].port = 0;
	build();
	fixture_server_play(server, &result, 1);
	fill();
	cr_expect_not(session_room(proxy.sessions, snap));
	ask(0, span_of("", 0));
	cr_expect(fixture_has(buf_span(&client.out),
	                      "too many clients have sessions "
	                      "of their own; try again later"),
	          "%.*s", SPAN_ARG(buf_span(&client.out)));
	session_close(proxy.sessions, snap, 1, key_of(7));
	ask(0, span_of("", 0));
	cr_expect(fixture_has(buf_span(&client.out), "\"result\":{}"));
	/* Those that are shared are not counted. */
	setups[0].flags &= ~BACKEND_PER_CLIENT;
	session_release(proxy.sessions, snap, 1, key_of(8));
	build();
	ask(0, span_of("", 0));
	cr_expect(fixture_has(buf_span(&client.out), "\"result\":{}"));
}

/* With a backend that is taken away, its sessions make room. */
Test(backsession, a_backend_that_goes_away)
{
	struct snapshot *old;

	setups[1].port = 0;
	build();
	fill();
	old = snapshot_ref(snap);
	snapshot_unref(snap);
	snap = fixture_snapshot(setups, 1, &settings, NULL);
	sessions_adopt(proxy.sessions, snap);
	cr_expect(session_room(proxy.sessions, snap));
	/* A call of before may still close its own. */
	session_close(proxy.sessions, old, 1, key_of(3));
	session_lost(proxy.sessions, old, 1, key_of(3), 1);
	snapshot_unref(old);
}
