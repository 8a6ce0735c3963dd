#include "worker/subscribe.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "tests/unit/fixture_stream.h"

#define OK      "{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"result\":{}}"
#define RESULT  "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}"
#define HOLD_MS 1000 /* for which an answer waits for the session's stream */

static struct fixture_stream *const f = &fixture_stream;
static struct fixture_caller *const caller = &fixture_stream.callers[0];
static struct fixture_caller *const other = &fixture_stream.callers[1];
static struct fixture_server *old, *new; /* the backends */
static char *session;

static void begin(void)
{
	fixture_stream_start();
	old = f->servers[VIEW_LEGACY];
	new = f->servers[VIEW_MODERN];
	session = fixture_session("");
}

static void end(void)
{
	free(session);
	fixture_stream_stop();
}

TestSuite(subscribe, .init = begin, .fini = end, .timeout = 60);

static void ask(const char *in, const char *method, const char *uri)
{
	char *body;

	cr_assert_gt(asprintf(&body,
	                      "{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":"
	                      "\"resources/%s\",\"params\":{\"uri\":\"%s\"}}",
	                      method, uri),
	             0);
	fixture_tell(caller, "", in, body);
	free(body);
}

static void expect_ok(void)
{
	struct span got;

	fixture_await(caller, 1);
	got = fixture_answer_body(caller, 0);
	cr_expect(span_is(got, OK), "%.*s", SPAN_ARG(got));
	cr_expect_eq(fixture_status(caller, 0), 200);
}

/* How many subscriptions of the session stand on the board. */
static size_t recorded(void)
{
	const struct clients *clients = &f->w->board->clients;
	char uri[CLIENTS_URI_MAX];
	uint32_t at = 0;
	size_t n = 0, len;

	while (clients_next(clients, fixture_session_hash(session),
	                    clock_utc_ms() / 1000, &at, uri, &len))
		n++;
	return n;
}

static void expect_refusal(const char *uri, int code, const char *text)
{
	ask(session, "subscribe", uri);
	fixture_expect_refusal(caller, 200, code, text, "\"s\"");
	cr_expect_eq(recorded(), 0u);
}

/* ---- what no backend is asked ---- */

static char *long_uri(const char *head, size_t len)
{
	char *uri = calloc(1, len + 1);

	memset(uri, 'x', len);
	memcpy(uri, head, strlen(head));
	return uri;
}

Test(subscribe, what_is_refused_at_once)
{
	char *over = long_uri("old:t/", CLIENTS_URI_MAX + 1);

	expect_refusal(over, RPC_INVALID_PARAMS,
	               "A URI of more than 472 bytes cannot be subscribed to");
	f->setups[VIEW_LEGACY].subscribe = false;
	fixture_stream_build();
	expect_refusal("old:1", RPC_INVALID_PARAMS,
	               "Backend old does not tell of changes of its resources");
	expect_refusal(over, RPC_INVALID_PARAMS,
	               "Backend old does not tell of changes of its resources");
	f->setups[VIEW_MODERN].subscribe = false;
	fixture_stream_build();
	expect_refusal(
		"new:1", RPC_NO_METHOD,
		"Method not found: no backend offers resources/subscribe");
	cr_expect_eq(fixture_server_requests(old), 0u);
	cr_expect_eq(fixture_server_requests(new), 0u);
	free(over);
}

/* As long as it may be, and told of like any other. */
Test(subscribe, the_longest_uri)
{
	char *uri = long_uri("old:t/", CLIENTS_URI_MAX), *told;

	fixture_get(other, FIXTURE_ACCEPT, session);
	fixture_await_streams(1);
	ask(session, "subscribe", uri);
	expect_ok();
	cr_expect_eq(recorded(), 1u);
	cr_assert_gt(asprintf(&told, FIXTURE_UPDATED_PLAIN("%s"), uri), 0);
	fixture_server_tell(VIEW_LEGACY, told);
	fixture_expect_event(other, 0, told);
	free(told);
	free(uri);
}

/* ---- a legacy backend ---- */

/* It is asked in the session that all share, and asked to forget it again. */
Test(subscribe, a_legacy_backend_agrees)
{
	struct span asked, taken_back;

	ask(session, "subscribe", "old:1");
	expect_ok();
	cr_expect_eq(recorded(), 1u);
	fixture_server_await(old, "resources/unsubscribe", 1);
	cr_expect_eq(fixture_server_requests(old), 4u);
	asked = fixture_server_request(old, 2);
	taken_back = fixture_server_request(old, 3);
	cr_expect(fixture_has(asked, "\"resources/subscribe\""));
	cr_expect(fixture_has(asked, "\"uri\":\"old:1\""));
	cr_expect(fixture_has(asked, "Mcp-Session-Id: session-1\r\n"));
	cr_expect(fixture_has(taken_back, "\"uri\":\"old:1\""));
	cr_expect(fixture_has(taken_back, "Mcp-Session-Id: session-1\r\n"));
	/* Once more is the same. */
	ask(session, "subscribe", "old:1");
	expect_ok();
	cr_expect_eq(recorded(), 1u);
}

static void play_error(struct fixture_server *s, const char *error)
{
	static char body[8192];
	static const struct fixture_answer answer = { .body = body };

	snprintf(body, sizeof(body),
	         "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"error\":{%s}}", error);
	fixture_server_play(s, &answer, 1);
}

/* Its own words and its own code; there is nothing to take back. */
Test(subscribe, a_legacy_backend_refuses)
{
	static const struct {
		const char *error;
		int code;
		const char *text;
	} rows[] = {
		{ "\"code\":-32002,\"message\":\"Gone: \\u00e9\"", -32002,
		  "Gone: \303\251" },
		{ "\"code\":-32602,\"message\":\"\"", -32602, "" },
		{ "\"code\":-32601,\"message\":\"Method not found\"", -32601,
		  "Method not found" },
		{ "\"code\":7,\"message\":\"seven\"", 7, "seven" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *want;

		play_error(old, rows[i].error);
		ask(session, "subscribe", "old:1");
		fixture_await(caller, 1);
		cr_assert_gt(asprintf(&want,
		                      "{\"jsonrpc\":\"2.0\",\"id\":\"s\","
		                      "\"error\":{%s}}",
		                      rows[i].error),
		             0);
		cr_expect(span_is(fixture_answer_body(caller, 0), want), "%.*s",
		          SPAN_ARG(fixture_answer_body(caller, 0)));
		free(want);
	}
	cr_expect_eq(recorded(), 0u);
	cr_expect_eq(fixture_server_count(old, "resources/unsubscribe"), 0u);
}

Test(subscribe, a_legacy_backend_that_is_not_there)
{
	fixture_server_deaf(old);
	ask(session, "subscribe", "old:1");
	fixture_await(caller, 1);
	cr_expect(fixture_has(fixture_answer_body(caller, 0),
	                      "\"error\":{\"code\":-32603,\"message\":"
	                      "\"Backend old: "));
	cr_expect_eq(recorded(), 0u);
}

/* The answer may come as an event stream. */
Test(subscribe, a_legacy_backend_that_streams)
{
	static const struct fixture_answer answer = {
		.fields = "Content-Type: text/event-stream\r\n",
		.body = "data: {\"jsonrpc\":\"2.0\",\"method\":"
			"\"notifications/message\",\"params\":{\"level\":"
			"\"error\",\"data\":1}}\n\n"
			"data: {\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}"
			"\n\n",
	};

	fixture_server_play(old, &answer, 1);
	ask(session, "subscribe", "old:1");
	expect_ok();
	cr_expect_eq(recorded(), 1u);
}

#define CALL_WINDOW_AND_MORE (CALL_WINDOW + 65536)

/* An answer that is too large to be one is passed on, and means nothing. */
Test(subscribe, a_large_answer)
{
	char *text = long_uri("", CALL_WINDOW_AND_MORE), *body;
	struct fixture_answer answer = { .status = 200 };
	struct span got;

	cr_assert_gt(asprintf(&body,
	                      "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
	                      "\"x\":\"%s\"}}",
	                      text),
	             0);
	answer.body = body;
	fixture_server_play(old, &answer, 1);
	ask(session, "subscribe", "old:1");
	fixture_await(caller, 1);
	got = fixture_answer_body(caller, 0);
	cr_expect_gt(got.len, (size_t)CALL_WINDOW_AND_MORE);
	cr_expect(fixture_has(got, "\"id\":\"s\""));
	cr_expect_eq(recorded(), 0u);
	free(text);
	free(body);
}

/* ---- a modern backend ---- */

static void play(const char *raw)
{
	static struct fixture_answer answer;

	answer = (struct fixture_answer){ .raw = raw, .then = THEN_SILENT };
	fixture_server_play(new, &answer, 1);
}

/* Its stream is open no longer than the question takes. */
static bool is_closed(void *arg)
{
	return fixture_server_open(arg) == 0;
}

static void await_closed(void)
{
	cr_assert(fixture_run(f->w->loop, is_closed, new));
}

Test(subscribe, a_modern_backend_agrees)
{
	fixture_play_stream(
		"\"resourceSubscriptions\":[\"x\",\"n\\u0065w:1\"]");
	ask(session, "subscribe", "new:1");
	expect_ok();
	cr_expect_eq(recorded(), 1u);
	await_closed();
	cr_expect_eq(fixture_server_requests(new), 1u);
	cr_expect(fixture_has(fixture_server_body(new, 0),
	                      "\"resourceSubscriptions\":[\"new:1\"]"));
}

#define NOT_THIS "Backend new does not tell of changes of this resource"

Test(subscribe, a_modern_backend_that_does_not_tell_of_it)
{
	static const char *const filters[] = {
		"",
		"\"resourceSubscriptions\":[]",
		"\"resourceSubscriptions\":[\"new:2\",1,null]",
		"\"resourceSubscriptions\":\"new:1\"",
		"\"taskIds\":[\"new:1\"]",
	};

	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		fixture_play_stream(filters[i]);
		expect_refusal("new:1", RPC_INVALID_PARAMS, NOT_THIS);
		await_closed();
	}
}

#define TEN(x) x x x x x x x x x x

/* Its words, cut where they do not end; its code, if that means the same. */
Test(subscribe, a_modern_backend_refuses)
{
	static const struct {
		const char *error;
		int code;
		const char *text;
	} rows[] = {
		{ "\"code\":-32602,\"message\":\"no \\\"such\\\"\"", -32602,
		  "Backend new: no \"such\"" },
		{ "\"code\":-32601,\"message\":\"x\"", -32601,
		  "Backend new: x" },
		{ "\"code\":-32000,\"message\":\"x\"", RPC_INTERNAL,
		  "Backend new: x" },
		{ "\"code\":-32021,\"message\":\"x\"", RPC_INTERNAL,
		  "Backend new: x" },
		{ "\"code\":-32099,\"message\":\"x\"", RPC_INTERNAL,
		  "Backend new: x" },
		{ "\"code\":-32100,\"message\":\"x\"", -32100,
		  "Backend new: x" },
		{ "\"code\":-31999,\"message\":\"x\"", -31999,
		  "Backend new: x" },
		{ "\"code\":4294967296,\"message\":\"x\"", RPC_INTERNAL,
		  "Backend new: x" },
		{ "\"code\":\"-32602\",\"message\":\"x\"", RPC_INTERNAL,
		  "Backend new: x" },
		{ "\"message\":\"x\"", RPC_INTERNAL, "Backend new: x" },
		{ "\"code\":-32602", -32602,
		  "Backend new: it does not tell of changes" },
		{ "\"code\":-32602,\"message\":\"\"", -32602,
		  "Backend new: it does not tell of changes" },
		{ "\"code\":-32602,\"message\":7", -32602,
		  "Backend new: it does not tell of changes" },
		{ "\"code\":-32602,\"message\":\"" TEN(TEN("xxxxx")) "\"",
		  -32602, "Backend new: " TEN(TEN("xxx")) "xxxxxx" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		play_error(new, rows[i].error);
		expect_refusal("new:1", rows[i].code, rows[i].text);
	}
}

#define EVENTS                                                   \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" \
	"Connection: close\r\n\r\n"

Test(subscribe, a_modern_backend_without_words)
{
	static const struct {
		const char *raw;
		enum fixture_then then;
		const char *text;
	} rows[] = {
		{ "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
		  THEN_KEEP, "Backend new: it does not tell of changes" },
		{ "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", THEN_KEEP,
		  "Backend new: it does not answer" },
		{ EVENTS, THEN_CLOSE, "Backend new: it does not answer" },
		{ EVENTS "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"
		         "\n\n",
		  THEN_KEEP, "Backend new: it does not answer" },
		{ "", THEN_RESET, "Backend new: it does not answer" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture_answer answer = { .raw = rows[i].raw,
			                         .then = rows[i].then };

		fixture_server_play(new, &answer, 1);
		expect_refusal("new:1", RPC_INTERNAL, rows[i].text);
	}
}

Test(subscribe, a_modern_backend_that_takes_its_time)
{
	f->setups[VIEW_MODERN].request_timeout_ms = 50;
	fixture_stream_build();
	play(EVENTS);
	expect_refusal("new:1", RPC_INTERNAL,
	               "Backend new: no answer within request_timeout");
	await_closed();
}

/* ---- both ---- */

#define NO_ROOM "Too many resources are subscribed to"

/* What the backend accepted and cannot be remembered is refused after all. */
Test(subscribe, no_room)
{
	static const char *const uris[] = { "old:1", "new:1" };
	int64_t now_s = clock_utc_ms() / 1000;

	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\"]");
	for (size_t i = 0; i < CLIENTS_PER_SESSION; i++) {
		char uri[16];

		snprintf(uri, sizeof(uri), "x:%zu", i);
		cr_assert(clients_subscribe(&f->w->board->clients, 1,
		                            fixture_session_hash(session),
		                            span_str(uri), now_s + 100, now_s));
	}
	for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
		ask(session, "subscribe", uris[i]);
		fixture_expect_refusal(caller, 200, RPC_BUSY, NO_ROOM, "\"s\"");
	}
	cr_expect_eq(recorded(), (size_t)CLIENTS_PER_SESSION);
	fixture_server_await(old, "resources/unsubscribe", 1);
	await_closed();
}

Test(subscribe, without_a_session)
{
	uint64_t changes = atomic_load(&f->w->board->clients.n_changes);

	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\"]");
	ask(NULL, "subscribe", "new:1");
	expect_ok();
	ask(NULL, "subscribe", "old:1");
	expect_ok();
	ask(NULL, "unsubscribe", "old:1");
	expect_ok();
	fixture_server_await(old, "resources/unsubscribe", 1);
	cr_expect_eq(atomic_load(&f->w->board->clients.n_changes), changes);
	play_error(new, "\"code\":-32602,\"message\":\"no\"");
	ask(NULL, "subscribe", "new:1");
	fixture_await(caller, 1);
	cr_expect(fixture_has(fixture_answer_body(caller, 0), "-32602"));
}

/* Nobody is asked; what was never subscribed to is as good. */
Test(subscribe, unsubscribe)
{
	static const char *const uris[] = { "new:1", "new:1", "old:2" };

	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\",\"new:2\"]");
	fixture_get(other, FIXTURE_ACCEPT, session);
	fixture_await_streams(1);
	ask(session, "subscribe", "new:1");
	expect_ok();
	ask(session, "subscribe", "new:2");
	expect_ok();
	cr_expect_eq(recorded(), 2u);
	for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
		ask(session, "unsubscribe", uris[i]);
		expect_ok();
		cr_expect_eq(recorded(), 1u);
	}
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:2"));
	fixture_expect_event(other, 0, FIXTURE_UPDATED_PLAIN("new:2"));
	cr_expect_eq(fixture_server_requests(old), 0u);
}

/* ---- when it is answered ---- */

/* Not before the session's stream would tell of a change ... */
Test(subscribe, the_stream_hears_first)
{
	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\"]");
	fixture_get(other, FIXTURE_ACCEPT, session);
	fixture_await_streams(1);
	ask(session, "subscribe", "new:1");
	expect_ok();
	cr_expect_eq(fixture_server_requests(new), 2u, "asked, and watched");
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_expect_event(other, 0, FIXTURE_UPDATED_PLAIN("new:1"));
}

#define AGREES                         \
	EVENTS "data: " FIXTURE_ACKED( \
		"1", "\"resourceSubscriptions\":[\"new:1\"]") "\n\n"

#define PEERS_MS 300 /* for which it waits when the stream may be elsewhere */

/* With other replicas the stream may be there: they are told, and the answer
 * waits for them. */
Test(subscribe, a_stream_that_may_be_in_another_replica)
{
	struct fixture_server *replica = fixture_server_new(f->w->loop);
	static const struct fixture_answer answer = { .body = "{}" };
	uint64_t began_ms;

	fixture_server_play(replica, &answer, 1);
	f->peer_port = fixture_server_port(replica);
	fixture_stream_build();
	began_ms = loop_now_ms(f->w->loop);
	ask(session, "subscribe", "old:1");
	expect_ok();
	cr_expect_geq(loop_now_ms(f->w->loop), began_ms + PEERS_MS);
	fixture_server_await(replica, "resources/subscribe", 1);
	fixture_get(other, FIXTURE_ACCEPT, session);
	fixture_await_streams(1);
	ask(session, "subscribe", "old:2");
	expect_ok();
	ask(NULL, "subscribe", "old:2");
	expect_ok();
	ask(session, "unsubscribe", "old:1");
	expect_ok();
	fixture_server_await(replica, "resources/subscribe", 2);
	fixture_server_await(replica, "resources/unsubscribe", 1);
	cr_expect_eq(fixture_server_requests(replica), 3u);
	fixture_server_free(replica);
}

/* The backend agrees, and is silent when it shall tell of changes. */
static void hold(const char *uri)
{
	static const struct fixture_answer modern[] = {
		{ .raw = AGREES, .then = THEN_SILENT },
		{ .raw = "", .then = THEN_SILENT },
	};
	static const struct fixture_answer legacy[] = {
		{ .body = RESULT },
		{ .body = RESULT }, /* of what is taken back */
		{ .raw = "", .then = THEN_SILENT },
	};

	fixture_server_play(new, modern, ARRAY_LEN(modern));
	fixture_server_play(old, legacy, ARRAY_LEN(legacy));
	fixture_get(other, FIXTURE_ACCEPT, session);
	fixture_await_streams(1);
	ask(session, "subscribe", uri);
	fixture_server_await(*uri == 'n' ? new : old,
	                     *uri == 'n' ? "subscriptions/listen"
	                                 : "resources/subscribe",
	                     2);
	cr_expect_eq(fixture_answers(caller), 0u);
	cr_expect_eq(recorded(), 1u);
}

/* ... but for so long at most. */
Test(subscribe, a_stream_that_does_not_hear)
{
	uint64_t began_ms = loop_now_ms(f->w->loop);

	hold("new:1");
	expect_ok();
	cr_expect_geq(loop_now_ms(f->w->loop), began_ms + HOLD_MS);
}

#define CANCEL                                                         \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"," \
	"\"params\":{\"requestId\":\"s\"}}"

static void cancel(void)
{
	fixture_tell(&f->callers[2], "", session, CANCEL);
	fixture_expect_refusal(caller, 200, RPC_INTERNAL, "Cancelled", "\"s\"");
}

static void leave(void)
{
	fixture_hang_up(caller);
	fixture_call(caller, f->w);
}

static bool nobody_waits(void *arg)
{
	(void)arg;
	return !f->w->watched;
}

/* A client that cancels it, or goes away, while the backend is asked ... */
Test(subscribe, one_that_ends_while_a_backend_is_asked)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };
	void (*const ends[])(void) = { cancel, leave };

	fixture_server_play(old, &silent, 1);
	fixture_server_play(new, &silent, 1);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		ask(session, "subscribe", "new:1");
		fixture_server_await(new, "subscriptions/listen", i + 1);
		ends[i]();
		await_closed();
		ask(session, "subscribe", "old:1");
		fixture_server_await(old, "resources/subscribe", i + 1);
		ends[i]();
		cr_expect(fixture_run(f->w->loop, nobody_waits, NULL));
	}
	cr_expect_eq(recorded(), 0u);
}

/* ... and while its answer waits. It stays subscribed to. */
static void end_it(const char *uri, void (*how)(void))
{
	hold(uri);
	how();
	cr_expect(fixture_run(f->w->loop, nobody_waits, NULL));
	fixture_pause(f->w->loop, 50); /* it does not come back */
	cr_expect_eq(recorded(), 1u);
	cr_expect_eq(fixture_server_count(old, "notifications/cancelled"), 0u);
}

Test(subscribe, a_modern_one_is_cancelled_while_it_waits)
{
	end_it("new:1", cancel);
}

Test(subscribe, a_modern_one_is_left_while_it_waits)
{
	end_it("new:1", leave);
}

Test(subscribe, a_legacy_one_is_cancelled_while_it_waits)
{
	end_it("old:1", cancel);
}

Test(subscribe, a_legacy_one_is_left_while_it_waits)
{
	end_it("old:1", leave);
}
