#include "proxy/tap.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fixture_proxy.h"

#define OK     "HTTP/1.1 200 OK\r\n"
#define EVENTS OK "Content-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define LINES  OK "Content-Type: application/json\r\nConnection: close\r\n\r\n"
#define ACK                                                             \
	"{\"jsonrpc\":\"2.0\",\"method\":"                              \
	"\"notifications/subscriptions/acknowledged\",\"params\":{"     \
	"\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":\"1\"}," \
	"\"notifications\":{\"resourceSubscriptions\":[\"a:b\"]}}}"
#define UPDATED(uri)                                       \
	"{\"jsonrpc\":\"2.0\",\"method\":"                 \
	"\"notifications/resources/updated\",\"params\":{" \
	"\"uri\":" uri "}}"
#define NONE        span_of("", 0)
#define EVENT(json) "event: message\ndata: " json "\n\n"

static struct fixture_setup setup;
static struct settings settings;
static struct snapshot *snap;
static struct loop *loop;
static struct upstream *up;
static struct sessions *sessions;
static struct fixture_server *server;
static struct tap tap;
static char told[1000]; /* what the owner was told */

static void say(const char *what, struct span more)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s%.*s;", what, SPAN_ARG(more));
}

static void on_open(struct tap *t, struct span uris, struct span tasks)
{
	cr_assert_eq(t, &tap);
	say("open", uris);
	if (tasks.len)
		say("tasks", tasks);
}

static void on_task(struct tap *t, struct span id, struct span task)
{
	cr_assert_eq(t, &tap);
	cr_assert_gt(id.len, 0u);
	say("task ", task);
}

static void on_updated(struct tap *t, struct span uri)
{
	cr_assert_eq(t, &tap);
	say("updated ", uri);
}

static void on_end(struct tap *t, enum tap_end why, struct span error)
{
	cr_assert_eq(t, &tap);
	cr_assert_not(tap_runs(t));
	say(why == TAP_LOST ? "lost" : "refused", error);
}

static const struct tap_ops ops = { on_open, on_updated, on_task, on_end };

static void begin(void)
{
	fixture_settings(&settings);
	loop = loop_new();
	up = upstream_new(loop, fixture_board(), &fixture_board()->workers[0]);
	sessions = sessions_new(up, loop);
	server = fixture_server_new(loop);
	setup = (struct fixture_setup){ .name = "b",
		                        .eras = ERA_MODERN | ERA_LEGACY,
		                        .port = fixture_server_port(server),
		                        .max_connections = 1 };
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	upstream_adopt(up, snap);
	tap = (struct tap){
		.ops = &ops, .up = up, .sessions = sessions, .loop = loop
	};
	told[0] = '\0';
}

static void end(void)
{
	tap_fini(&tap);
	fixture_pause(loop, 10);
	sessions_free(sessions);
	fixture_server_free(server);
	fixture_pause(loop, 10);
	upstream_free(up);
	fixture_pause(loop, 0);
	loop_free(loop);
	snapshot_unref(snap);
}

TestSuite(tap, .init = begin, .fini = end, .timeout = 60);

static bool has_ended(void *arg)
{
	(void)arg;
	return strstr(told, "lost") || strstr(told, "refused");
}

/* Has it answered the backend's two requests? */
static bool has_answered(void *arg)
{
	size_t n = 0;

	(void)arg;
	for (size_t i = 0; i < fixture_server_requests(server); i++) {
		struct span body = fixture_server_body(server, i);

		n += fixture_has(body, "\"id\":\"p\"") ||
		     fixture_has(body, "-32601");
	}
	return n == 2;
}

static bool has_told(void *arg)
{
	return strstr(told, arg) != NULL;
}

static void play(const char *raw, size_t piece, enum fixture_then then)
{
	static struct fixture_answer a; /* the server keeps it */

	a = (struct fixture_answer){ .raw = raw, .piece = piece, .then = then };
	told[0] = '\0';
	fixture_server_play(server, &a, 1);
}

/* ---- modern ---- */

static const struct {
	const char *raw, *told;
} answers[] = {
	{ EVENTS EVENT(ACK) EVENT(UPDATED("\"a:b\"")),
	  "open[\"a:b\"];updated a:b;lost;" },
	{ LINES ACK "\n" UPDATED("\"a:b\"") "\n",
	  "open[\"a:b\"];updated a:b;lost;" },
	{ EVENTS ":\n\n" EVENT(ACK) ": x\n\n" EVENT(UPDATED("\"a\\u003ab\"")),
	  "open[\"a:b\"];updated a:b;lost;" },
	/* Nothing is heard before the stream is acknowledged. */
	{ EVENTS EVENT(UPDATED("\"a:b\"")) EVENT(ACK), "open[\"a:b\"];lost;" },
	{ EVENTS EVENT(ACK) EVENT(ACK), "open[\"a:b\"];lost;" },
	{ EVENTS EVENT(ACK)
	          EVENT("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}")
	                  EVENT(UPDATED("\"a:b\"")),
	  "open[\"a:b\"];lost;" },
	{ EVENTS EVENT("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":5}}"),
	  "refused{\"code\":5};" },
	{ "HTTP/1.1 404 Not Found\r\nContent-Length: 52\r\n\r\n"
	  "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601}}  \n",
	  "refused{\"code\":-32601};" },
	{ "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", "refused;" },
	{ "HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n\r\n", "lost;" },
	{ "HTTP/1.1 429 Not now\r\nContent-Length: 0\r\n\r\n", "lost;" },
	{ EVENTS EVENT(ACK) EVENT("{") EVENT("x") EVENT("{}") EVENT("[]")
	          EVENT("7") EVENT("{\"method\":7}") EVENT(UPDATED("7"))
	                  EVENT(UPDATED("\"\"")) EVENT(UPDATED("{}"))
	                          EVENT("{\"method\":"
	                                "\"notifications/resources/updated\"}"),
	  "open[\"a:b\"];lost;" },
	{ OK "\r\n", "lost;" },
	{ "garbage", "lost;" },
	{ "", "lost;" },
};

Test(tap, listens)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		/* Byte by byte only the first: each piece takes its turn. */
		for (size_t piece = 0; piece < 40;
		     piece += i && !piece ? 3 : 1 + piece / 3) {
			play(answers[i].raw, piece, THEN_CLOSE);
			tap_listen(&tap, snap, 0, SPAN("\"a:b\""), NONE);
			cr_assert_str_eq(told, "");
			cr_assert(fixture_run(loop, has_ended, NULL), "%zu", i);
			cr_expect_str_eq(told, answers[i].told, "%zu", i);
		}
	}
}

Test(tap, asks_for_what_it_was_told_to)
{
	struct span text;

	play(answers[0].raw, 0, THEN_CLOSE);
	tap_listen(&tap, snap, 0, SPAN("\"a:b\",\"c:d\""), NONE);
	cr_assert(fixture_run(loop, has_ended, NULL));
	text = fixture_server_body(server, 0);
	cr_expect(memmem(text.at, text.len,
	                 "\"notifications\":{\"resourceSubscriptions\":"
	                 "[\"a:b\",\"c:d\"]}",
	                 55));
	text = fixture_server_request(server, 0);
	cr_expect(memmem(text.at, text.len, "Mcp-Method: subscriptions/listen",
	                 32));
}

#define ACK_TASKS                                                   \
	"{\"jsonrpc\":\"2.0\",\"method\":"                          \
	"\"notifications/subscriptions/acknowledged\",\"params\":{" \
	"\"notifications\":{\"taskIds\":[\"t\"]}}}"
#define TASK(params) \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\"" params "}"

Test(tap, hears_of_tasks)
{
	struct span body;

	play(EVENTS EVENT(TASK(",\"params\":{\"taskId\":\"t\"}")) EVENT(
		     ACK_TASKS) EVENT(TASK("")) EVENT(TASK(",\"params\":7"))
	             EVENT(TASK(",\"params\":{}"))
	                     EVENT(TASK(",\"params\":{\"taskId\":7}"))
	                             EVENT(TASK(",\"params\":{"
	                                        "\"taskId\":\"\"}"))
	                                     EVENT(TASK(",\"params\":{"
	                                                "\"taskId\":"
	                                                "\"t\"}")),
	     0, THEN_CLOSE);
	tap_listen(&tap, snap, 0, NONE, SPAN("\"t\",\"u\""));
	cr_assert(fixture_run(loop, has_ended, NULL));
	cr_expect_str_eq(told,
	                 "open;tasks[\"t\"];task {\"taskId\":\"t\"};lost;");
	body = fixture_server_body(server, 0);
	cr_expect(memmem(body.at, body.len,
	                 "\"notifications\":{\"taskIds\":[\"t\",\"u\"]}}}", 39),
	          "%.*s", SPAN_ARG(body));
	cr_expect(memmem(body.at, body.len,
	                 "{\"extensions\":"
	                 "{\"io.modelcontextprotocol/tasks\":{}}}",
	                 51));
}

static bool is_answered(void *arg)
{
	return *(unsigned *)arg > 0;
}

static void count_end(struct exchange *x, enum exchange_end why,
                      const char *detail);

struct other {
	struct exchange x;
	unsigned ends;
};

static void ignore_head(struct exchange *x, const struct exchange_head *head)
{
	(void)x;
	(void)head;
}

static void ignore_body(struct exchange *x, struct span bytes)
{
	(void)x;
	(void)bytes;
}

static const struct exchange_ops other_ops = { ignore_head, ignore_body,
	                                       count_end };

static void count_end(struct exchange *x, enum exchange_end why,
                      const char *detail)
{
	cr_expect_eq(why, EXCHANGE_COMPLETE, "%s", detail);
	CONTAINER_OF(x, struct other, x)->ends++;
}

Test(tap, takes_none_of_the_connections_for_calls)
{
	struct other other = { .x = { .ops = &other_ops, .snap = snap } };

	play(EVENTS EVENT(ACK), 0, THEN_KEEP);
	tap_listen(&tap, snap, 0, SPAN("\"a:b\""), NONE);
	cr_assert(fixture_run(loop, has_told, (void *)(uintptr_t) "open"));
	play(OK "Content-Length: 2\r\n\r\n{}", 0, THEN_KEEP);
	other.x.body = SPAN("{}");
	exchange_start(up, &other.x);
	cr_assert(fixture_run(loop, is_answered, &other.ends));
	cr_expect(tap_runs(&tap));
	tap_close(&tap);
	cr_expect_not(tap_runs(&tap));
	cr_expect_str_eq(told, "");
}

/* ---- legacy ---- */

static bool ended_twice(void *arg)
{
	const char *first = strstr(told, "lost");

	(void)arg;
	return first && strstr(first + 1, "lost");
}

Test(tap, gets_and_goes_on)
{
	struct span text;
	size_t n;

	fixture_server_legacy(server, true);
	play(EVENTS "id: one\ndata:\n\n" EVENT(UPDATED("\"a:b\"")), 0,
	     THEN_CLOSE);
	tap_get(&tap, snap, 0);
	cr_assert(fixture_run(loop, has_ended, NULL));
	cr_expect_str_eq(told, "open;updated a:b;lost;");
	cr_expect(tap.resumable);
	n = fixture_server_requests(server);
	text = fixture_server_request(server, n - 1);
	cr_expect(span_starts(text, SPAN("GET ")));
	cr_expect(memmem(text.at, text.len, "Mcp-Session-Id: ", 16));
	cr_expect_not(memmem(text.at, text.len, "Last-Event-ID", 13));
	cr_expect_not(memmem(text.at, text.len, "Content-", 8));
	tap_get(&tap, snap, 0);
	cr_assert(fixture_run(loop, ended_twice, NULL));
	text = fixture_server_request(server, n);
	cr_expect(memmem(text.at, text.len, "Last-Event-ID: one\r\n", 20));
}

Test(tap, answers_what_is_asked)
{
	size_t n;

	fixture_server_legacy(server, true);
	play(EVENTS EVENT(
		     "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}")
	             EVENT("{\"jsonrpc\":\"2.0\",\"id\":9,"
	                   "\"method\":\"roots/list\"}"),
	     0, THEN_CLOSE);
	tap_get(&tap, snap, 0);
	cr_assert(fixture_run(loop, has_ended, NULL));
	play(OK "Content-Length: 0\r\n\r\n", 0, THEN_KEEP);
	cr_assert(fixture_run(loop, has_answered, NULL));
	n = fixture_server_requests(server);
	for (size_t i = n - 2; i < n; i++) {
		struct span body = fixture_server_body(server, i);

		cr_expect(span_is(body, "{\"jsonrpc\":\"2.0\",\"id\":\"p\","
		                        "\"result\":{}}") ||
		                  span_is(body, "{\"jsonrpc\":\"2.0\",\"id\":9,"
		                                "\"error\":{"
		                                "\"code\":-32601,\"message\":"
		                                "\"Method not found\"}}"),
		          "%.*s", SPAN_ARG(body));
	}
}

Test(tap, a_session_that_is_gone_is_opened_anew)
{
	uint64_t first;

	fixture_server_legacy(server, true);
	play("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0,
	     THEN_KEEP);
	tap_get(&tap, snap, 0);
	cr_assert(fixture_run(loop, has_ended, NULL));
	cr_expect_str_eq(told, "lost;");
	first = tap.session;
	play(EVENTS, 0, THEN_CLOSE);
	tap_get(&tap, snap, 0);
	cr_assert(fixture_run(loop, has_ended, NULL));
	cr_expect_str_eq(told, "open;lost;");
	cr_expect_gt(tap.session, first);
}

Test(tap, a_backend_without_a_stream)
{
	fixture_server_legacy(server, true);
	play("HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", 0, THEN_KEEP);
	tap_get(&tap, snap, 0);
	cr_assert(fixture_run(loop, has_ended, NULL));
	cr_expect_str_eq(told, "refused;");
}

/* One that is too long to be handed on is a refusal all the same. */
Test(tap, a_long_error)
{
	static const struct {
		const char *format, *want;
	} rows[] = {
		{ "{\"data\":\"%0*d\",\"code\":-32602,\"message\":\"no\"}",
		  "refused{\"code\":-32602,\"message\":\"no\"};" },
		{ "{\"code\":-32602,\"message\":\"%0*d\"}",
		  "refused{\"code\":-32602};" },
		{ "{\"data\":\"%0*d\"}", "refused{};" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *error, *raw;

		cr_assert_gt(asprintf(&error, rows[i].format, TAP_ERROR_MAX, 0),
		             0);
		cr_assert_gt(asprintf(&raw,
		                      EVENTS EVENT("{\"jsonrpc\":\"2.0\","
		                                   "\"id\":1,\"error\":%s}"),
		                      error),
		             0);
		told[0] = '\0';
		play(raw, 0, THEN_KEEP);
		tap_listen(&tap, snap, 0, SPAN("\"a:b\""), NONE);
		cr_assert(fixture_run(loop, has_ended, NULL));
		cr_expect_str_eq(told, rows[i].want);
		free(error);
		free(raw);
	}
}
