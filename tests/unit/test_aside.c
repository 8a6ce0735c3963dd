#include "proxy/aside.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/value.h"
#include "proxy/waiting.h"
#include "tests/unit/fixture_user.h"

static struct fixture_setup setup;
static struct fixture_server *server;
static struct settings settings;
static struct snapshot *snap;
static struct proxy proxy;

static struct fixture_user ann, ann_too, bob;
static struct fixture_user *const users[] = { &ann, &ann_too, &bob };

static void here(const struct proxy *p, const struct snapshot *s,
                 struct place *place)
{
	(void)p;
	(void)s;
	*place = (struct place){ .worker = 1 };
}

static void build(void)
{
	snapshot_unref(snap);
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	upstream_adopt(proxy.up, snap);
	sessions_adopt(proxy.sessions, snap);
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 100000;
	fixture_proxy_begin(&proxy);
	proxy.here = here;
	server = fixture_server_new(proxy.loop);
	fixture_server_legacy(server, true);
	setup = (struct fixture_setup){
		.name = "b",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_LEGACY,
		.legacy_version = "2025-11-25",
		.items = { [VIEW_LEGACY] = { [LIST_TOOLS] = "{\"name\":\"t\","
		                                            "\"inputSchema\":{"
		                                            "\"type\":"
		                                            "\"object\"}}," } },
		.port = fixture_server_port(server),
	};
	build();
}

static void end(void)
{
	for (size_t i = 0; i < ARRAY_LEN(users); i++)
		fixture_user_leave(users[i]);
	waiting_end_all(&proxy);
	aside_end_all(&proxy);
	cr_expect_null(proxy.asides);
	cr_expect_eq(proxy.n_asides, 0u);
	fixture_server_free(server);
	fixture_proxy_end(&proxy);
	snapshot_unref(snap);
}

TestSuite(aside, .init = begin, .fini = end, .timeout = 60);

/* ---- clients ---- */

static void call_with(struct fixture_user *u, enum view_era era,
                      uint32_t abilities)
{
	struct caller caller = {
		.abilities = abilities,
		.revision = era == VIEW_MODERN ? REVISION_2026_07_28
		                               : REVISION_2025_11_25,
		.session = u == &bob ? 6 : 5,
		.id_len = 3,
	};

	memcpy(caller.id, u == &bob ? "bob" : "ann", 3);
	fixture_user_call(u, &proxy, snap, era, "b_t", true, &caller);
}

static void call(struct fixture_user *u, enum view_era era)
{
	call_with(u, era, CLIENT_MASK);
}

static void await(struct fixture_user *u)
{
	fixture_user_await(u, &proxy);
}

static bool is_asked(const struct fixture_user *u)
{
	return fixture_has(buf_span(&u->client.out), "elicitation/create");
}

static bool asked(void *arg)
{
	return is_asked(arg);
}

static void await_question(struct fixture_user *u)
{
	cr_assert(fixture_run(proxy.loop, asked, u), "not asked: %.*s",
	          SPAN_ARG(buf_span(&u->client.out)));
}

/* ---- the backend ---- */

#define STREAM                \
	"HTTP/1.1 200 OK\r\n" \
	"Content-Type: text/event-stream\r\n\r\n"
#define EVENT(text) "data: " text "\n\n"
#define FORM(id)                                                   \
	EVENT("{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":"     \
	      "\"elicitation/create\",\"params\":{\"message\":\"m" \
	      "\"}}")
#define DONE EVENT("{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}")

static const struct fixture_answer goes_on = { .raw = STREAM,
	                                       .then = THEN_SILENT };
static const struct fixture_answer no_stream = { .status = 405, .body = "" };
static const struct fixture_answer answered = { .raw = STREAM DONE,
	                                        .then = THEN_CLOSE };
static const struct fixture_answer one_too_many = { .status = 409, .body = "" };

/* Answers of a GET and of calls, in the order in which they come. */
#define PLAY(...)                                                      \
	do {                                                           \
		static struct fixture_answer script[8];                \
		const struct fixture_answer these[] = { __VA_ARGS__ }; \
		memcpy(script, these, sizeof(these));                  \
		fixture_server_play(server, script, ARRAY_LEN(these)); \
	} while (0)

struct sought {
	const char *part;
	size_t n;
};

static size_t count(const char *part)
{
	size_t n = 0;

	for (size_t i = 0; i < fixture_server_requests(server); i++)
		n += fixture_has(fixture_server_request(server, i), part);
	return n;
}

static bool came(void *arg)
{
	struct sought *s = arg;

	return count(s->part) >= s->n;
}

static void await_requests(const char *part, size_t n)
{
	struct sought s = { part, n };

	cr_assert(fixture_run(proxy.loop, came, &s), "%zu of %zu: %s",
	          count(part), n, part);
}

static void await_calls(size_t n)
{
	await_requests("\"method\":\"tools/call\"", n);
}

#define GET       "GET /m"
#define SESSION_1 "Mcp-Session-Id: session-1\r\n"
#define SESSION_2 "Mcp-Session-Id: session-2\r\n"

/* On the stream that a GET opened in this session. */
static void ask_apart(const char *session, const char *text)
{
	fixture_server_say_to(server, GET, session, text);
}

#define REFUSED(id) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":-32603,"

/* ---- whose a question is ---- */

Test(aside, a_question_goes_to_the_only_call)
{
	PLAY(goes_on, goes_on);
	call(&ann, VIEW_LEGACY);
	await_calls(1);
	cr_expect_eq(count(GET), 1u);
	cr_expect(span_starts(fixture_server_request(server, 2), SPAN(GET)),
	          "it is there before the call");
	ask_apart(SESSION_1,
	          EVENT("{\"jsonrpc\":\"2.0\",\"method\":"
	                "\"notifications/message\",\"params\":{"
	                "\"level\":\"error\",\"data\":1}}") FORM("9"));
	await_question(&ann);
	cr_expect_eq(fixture_client_count(&ann.client), 1u,
	             "notifications there are nobody's");
	cr_expect(fixture_has(buf_span(&ann.client.out), "\"id\":\"gw2."));
	fixture_server_say_to(server, "POST ", "tools/call", DONE);
	await(&ann);
	cr_expect_eq(count("-32603"), 0u);

	/* The stream stays for the next, of the other era too. */
	call(&bob, VIEW_MODERN);
	await_calls(2);
	ask_apart(SESSION_1, FORM("10"));
	await(&bob);
	cr_expect(fixture_has(buf_span(&bob.client.out), "input_required"));
	cr_expect_eq(count(GET), 1u);
}

static void run_two(struct fixture_user *other)
{
	PLAY(goes_on, goes_on);
	call(&ann, VIEW_MODERN);
	await_calls(1);
	call(other, VIEW_LEGACY);
	await_calls(2);
	ask_apart(SESSION_1, FORM("9"));
	await_requests(REFUSED("9"), 1);
	cr_expect_not(is_asked(&ann) || is_asked(other));
	cr_expect_not(fixture_client_done(&ann.client) ||
	              fixture_client_done(&other->client));
	cr_expect_eq(count(GET), 1u);
}

Test(aside, two_calls_of_two_callers)
{
	run_two(&bob);
}

Test(aside, two_calls_of_one_caller)
{
	run_two(&ann_too);
}

Test(aside, a_ping_is_answered)
{
	PLAY(goes_on, goes_on);
	call(&ann, VIEW_MODERN);
	await_calls(1);
	ask_apart(SESSION_1, EVENT("{\"jsonrpc\":\"2.0\",\"id\":\"p\","
	                           "\"method\":\"ping\"}"));
	await_requests("{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}", 1);
	cr_expect_not(fixture_client_done(&ann.client));
}

/* A legacy client that hangs up cancels nothing: its tool may go on and ask. */
Test(aside, a_client_that_hung_up_is_not_replaced_by_another)
{
	PLAY(goes_on, goes_on);
	call(&ann, VIEW_LEGACY);
	await_calls(1);
	call(&bob, VIEW_MODERN);
	await_calls(2);
	fixture_user_leave(&ann);
	ask_apart(SESSION_1, FORM("9"));
	await_requests(REFUSED("9"), 1);
	cr_expect_not(is_asked(&bob) || fixture_client_done(&bob.client));
	cr_expect_eq(count("notifications/cancelled"), 0u);

	/* Who comes now is in another session, and can be asked there. */
	PLAY(goes_on, goes_on);
	call(&ann_too, VIEW_LEGACY);
	await_calls(3);
	cr_expect_eq(count(GET), 2u);
	ask_apart(SESSION_1, FORM("10"));
	await_requests(REFUSED("10"), 1);
	ask_apart(SESSION_2, FORM("11"));
	await_question(&ann_too);
	cr_expect_not(is_asked(&bob) || fixture_client_done(&bob.client));
	cr_expect_eq(count("-32603"), 2u);
}

/* The same when nobody else was there at that time. */
Test(aside, a_stream_whose_client_hung_up_asks_nobody)
{
	PLAY(goes_on, goes_on);
	call(&ann, VIEW_LEGACY);
	await_calls(1);
	fixture_user_leave(&ann);
	ask_apart(SESSION_1, FORM("9"));
	await_requests(REFUSED("9"), 1);
	PLAY(goes_on, goes_on);
	call(&bob, VIEW_MODERN);
	await_calls(2);
	ask_apart(SESSION_1, FORM("10"));
	await_requests(REFUSED("10"), 1);
	cr_expect_not(is_asked(&bob) || fixture_client_done(&bob.client));
	ask_apart(SESSION_2, FORM("11"));
	await_question(&bob);
}

/* A call that fails says as little about the end of its tool. */
Test(aside, a_call_that_failed_is_not_replaced_by_another)
{
	static const struct fixture_answer fails[] = {
		{ .raw = "", .then = THEN_CLOSE },
		{ .raw = STREAM, .then = THEN_RESET },
		{ .raw = STREAM, .then = THEN_CLOSE },
		{ .raw = STREAM ": nothing\n\n", .then = THEN_RESET },
		{ .raw = STREAM ": nothing\n\n", .then = THEN_CLOSE },
		{ .raw = STREAM "data: junk\n\n", .then = THEN_SILENT },
		{ .status = 202, .body = "" },
	};
	char session[64];

	for (size_t i = 0; i < ARRAY_LEN(fails); i++) {
		PLAY(goes_on, goes_on, fails[i]);
		call(&bob, VIEW_MODERN);
		await_calls(2 * i + 1);
		call(&ann, VIEW_LEGACY);
		await(&ann);
		cr_expect(fixture_has(buf_span(&ann.client.out), "-32603"));
		snprintf(session, sizeof(session),
		         "Mcp-Session-Id: session-%zu\r\n", i + 1);
		ask_apart(session, FORM("9"));
		await_requests(REFUSED("9"), i + 1);
		cr_expect_not(is_asked(&bob) ||
		                      fixture_client_done(&bob.client),
		              "%zu", i);
		fixture_user_leave(&bob);
	}
}

/* One that refuses has not begun: the session stays as good as it was. */
Test(aside, a_call_that_was_refused)
{
	PLAY(goes_on, ((struct fixture_answer){ .status = 500, .body = "" }),
	     goes_on);
	call(&ann, VIEW_LEGACY);
	await(&ann);
	call(&bob, VIEW_MODERN);
	await_calls(2);
	ask_apart(SESSION_1, FORM("9"));
	await_question(&bob);
}

/* One that is parked has asked already; but its tool may ask once more. */
Test(aside, a_parked_call_and_a_call_of_another)
{
	PLAY(goes_on, goes_on);
	call(&ann, VIEW_MODERN);
	await_calls(1);
	ask_apart(SESSION_1, FORM("8"));
	await(&ann);
	cr_expect_eq(proxy.n_waiting, 1u);
	call(&bob, VIEW_LEGACY);
	await_calls(2);
	ask_apart(SESSION_1, FORM("9"));
	await_requests(REFUSED("9"), 1);
	cr_expect_not(is_asked(&bob) || fixture_client_done(&bob.client));
	cr_expect_eq(proxy.n_waiting, 1u);
}

Test(aside, a_parked_call_that_was_lost)
{
	struct h1_request request;
	struct message msg;
	struct call *parked;

	PLAY(goes_on, goes_on);
	call(&ann, VIEW_MODERN);
	parked = ann.call;
	await_calls(1);
	ask_apart(SESSION_1, FORM("8"));
	await(&ann);
	fixture_server_break(server);
	fixture_pause(proxy.loop, 10);
	call(&bob, VIEW_LEGACY);
	await_calls(2);
	/* It comes back, to hear that its connection broke. */
	fixture_ask(VIEW_MODERN, "\"c\"", "tools/call", "b_t",
	            "\"name\":\"b_t\",\"arguments\":{}", "", &request, &msg);
	fixture_user_init(&ann_too, true);
	ann_too.call = parked;
	waiting_resume(parked, &msg, &ann_too.client.reply);
	await(&ann_too);
	cr_expect(fixture_has(buf_span(&ann_too.client.out), "-32603"));
	ask_apart(SESSION_1, FORM("9"));
	await_requests(REFUSED("9"), 1);
	cr_expect_not(is_asked(&bob) || fixture_client_done(&bob.client));
}

Test(aside, a_parked_call_and_another_of_the_same_caller)
{
	PLAY(goes_on, goes_on);
	call(&ann, VIEW_MODERN);
	await_calls(1);
	ask_apart(SESSION_1, FORM("8"));
	await(&ann);
	call(&ann_too, VIEW_LEGACY);
	await_calls(2);
	ask_apart(SESSION_1, FORM("9"));
	await_question(&ann_too);
	cr_expect_eq(count("-32603"), 0u);
}

/* ---- the stream ---- */

/* 405 is a server's way to say that it has none: it is asked once. */
Test(aside, a_backend_without_a_stream)
{
	PLAY(no_stream, answered);
	for (size_t i = 0; i < 3; i++) {
		call(&ann, VIEW_MODERN);
		await(&ann);
		cr_expect(fixture_has(buf_span(&ann.client.out), "\"result\""));
	}
	cr_expect_eq(count(GET), 1u);
	cr_expect_eq(count("tools/call"), 3u);
}

/* 409: another stream of the session has not ended yet. */
Test(aside, a_stream_that_is_there_already)
{
	PLAY(one_too_many, one_too_many, goes_on, goes_on);
	call(&ann, VIEW_LEGACY);
	await_calls(1);
	cr_expect_eq(count(GET), 3u);
	ask_apart(SESSION_1, FORM("9"));
	await_question(&ann);
}

Test(aside, a_stream_that_is_there_for_ever)
{
	static struct fixture_answer script[12];

	for (size_t i = 0; i < 11; i++)
		script[i] = one_too_many;
	script[11] = answered;
	fixture_server_play(server, script, ARRAY_LEN(script));
	call(&ann, VIEW_LEGACY);
	await(&ann);
	cr_expect(fixture_has(buf_span(&ann.client.out), "\"result\""));
	cr_expect_eq(count(GET), 11u, "one, and ten more");
}

/* Many servers send the head with the first event. */
Test(aside, a_stream_without_a_head)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };

	PLAY(silent, goes_on);
	call(&ann, VIEW_LEGACY);
	await_calls(1);
	ask_apart(SESSION_1, STREAM FORM("9"));
	await_question(&ann);
}

Test(aside, a_stream_that_ended_is_opened_by_the_next_call)
{
	PLAY(((struct fixture_answer){ .raw = STREAM, .then = THEN_CLOSE }),
	     goes_on);
	call(&ann, VIEW_LEGACY);
	await_calls(1);
	PLAY(goes_on, goes_on);
	call(&ann_too, VIEW_LEGACY);
	await_calls(2);
	cr_expect_eq(count(GET), 2u);
}

/* Who cannot be asked needs none. */
Test(aside, a_client_without_abilities)
{
	PLAY(answered);
	call_with(&ann, VIEW_LEGACY, 0);
	await(&ann);
	cr_expect_eq(count(GET), 0u);
	cr_expect_null(proxy.asides);
}

static bool is_over(void *arg)
{
	(void)arg;
	return !proxy.asides;
}

/* Of a session for one call, the stream ends with it. */
Test(aside, a_session_for_one_call)
{
	setup.flags |= BACKEND_PER_CLIENT;
	build();
	PLAY(goes_on, answered);
	call(&ann, VIEW_MODERN);
	await(&ann);
	cr_expect_eq(count(GET), 1u);
	cr_expect(fixture_run(proxy.loop, is_over, NULL));
}

/* The client leaves while the stream is being opened. */
Test(aside, a_client_that_leaves_before)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };

	PLAY(silent);
	call(&ann, VIEW_LEGACY);
	await_requests(GET, 1);
	fixture_user_leave(&ann);
	fixture_pause(proxy.loop, ASIDE_WAIT_MS + 20);
	cr_expect_eq(count("tools/call"), 0u);
	/* Nothing ran, so that nothing can ask: the session is as good as new.
	 */
	PLAY(goes_on, answered);
	call(&bob, VIEW_LEGACY);
	await(&bob);
	cr_expect_eq(count(SESSION_1 "MCP-Protocol-Version"), 4u);
	cr_expect_eq(count("\"initialize\""), 1u);
}
