#include "worker/listen.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "proxy/sealed.h"
#include "proxy/task.h"
#include "tests/unit/fixture_stream.h"

#define ANN "Authorization: Bearer ann\r\n"
#define BOB "Authorization: Bearer bob\r\n"

static struct fixture_stream *const f = &fixture_stream;
static struct fixture_caller *const caller = &fixture_stream.callers[0];
static struct fixture_caller *const other = &fixture_stream.callers[1];

TestSuite(listen, .init = fixture_stream_start, .fini = fixture_stream_stop,
          .timeout = 60);

/* ---- GET ---- */

#define NO_SESSION                                                  \
	"GET opens the event stream of a session: POST a JSON-RPC " \
	"message to this path; probes are answered at /health and /ready"
#define VERSION(v) "MCP-Protocol-Version: " v "\r\n"

static void refuse(const char *fields, const char *session, int status,
                   int code, const char *text)
{
	fixture_get(caller, fields, session);
	fixture_expect_refusal(caller, status, code, text, NULL);
	cr_expect_eq(fixture_has_line(caller, 0, "Allow: POST, OPTIONS"),
	             status == 405, "%s", text);
}

Test(listen, a_get_is_judged)
{
	static const struct {
		const char *fields;
		bool session;
		int status, code;
		const char *text;
	} rows[] = {
		{ FIXTURE_ACCEPT, false, 405, RPC_INVALID_REQUEST, NO_SESSION },
		{ "", false, 405, RPC_INVALID_REQUEST, NO_SESSION },
		{ VERSION("2026-07-28"), false, 405, RPC_INVALID_REQUEST,
		  NO_SESSION },
		{ FIXTURE_ACCEPT VERSION("2026-07-28"), true, 405,
		  RPC_INVALID_REQUEST,
		  "GET is not part of MCP 2026-07-28: POST "
		  "subscriptions/listen" },
		{ FIXTURE_ACCEPT VERSION("2024-11-05"), true, 400, RPC_LEGACY,
		  "MCP-Protocol-Version is not one that is served" },
		{ VERSION(""), true, 400, RPC_LEGACY,
		  "MCP-Protocol-Version is not one that is served" },
		{ "", true, 406, RPC_LEGACY,
		  "Accept must allow text/event-stream" },
		{ "Accept: application/json\r\n", true, 406, RPC_LEGACY,
		  "Accept must allow text/event-stream" },
		{ "Accept: text/event-stream;q=0\r\n", true, 406, RPC_LEGACY,
		  "Accept must allow text/event-stream" },
		{ FIXTURE_ACCEPT "Content-Length: 1\r\n", true, 400,
		  RPC_INVALID_REQUEST, "GET takes no body" },
		{ FIXTURE_ACCEPT "Transfer-Encoding: chunked\r\n", true, 400,
		  RPC_INVALID_REQUEST, "GET takes no body" },
		{ FIXTURE_ACCEPT "Mcp-Session-Id: x\r\n", false, 404,
		  RPC_LEGACY_NO_SESSION,
		  "Session not found: initialize again" },
		{ FIXTURE_ACCEPT "Mcp-Session-Id: x\r\n", true, 404,
		  RPC_LEGACY_NO_SESSION,
		  "Session not found: initialize again" },
		{ FIXTURE_ACCEPT "Last-Event-ID: x\r\n", true, 400, RPC_LEGACY,
		  "Last-Event-ID is not what was given" },
	};
	char *session = fixture_session("");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuse(rows[i].fields, rows[i].session ? session : NULL,
		       rows[i].status, rows[i].code, rows[i].text);
	f->settings.stateless = 1;
	fixture_stream_build();
	refuse(FIXTURE_ACCEPT, session, 405, RPC_INVALID_REQUEST, NO_SESSION);
	fixture_await_streams(0);
	free(session);
}

static bool has_begun(void *arg)
{
	(void)arg;
	return fixture_body_so_far(caller).len > 0;
}

static void expect_open(const char *fields, const char *session)
{
	fixture_get(caller, fields, session);
	cr_assert(fixture_run(f->w->loop, has_begun, NULL), "%s", fields);
	cr_expect(span_is(fixture_body_so_far(caller), ":\n\n"), "%s", fields);
	cr_expect(fixture_has(buf_span(&caller->in),
	                      "\r\nContent-Type: text/event-stream\r\n"
	                      "Cache-Control: no-cache, no-transform\r\n"
	                      "X-Accel-Buffering: no\r\n"));
	fixture_hang_up(caller);
	fixture_await_streams(0);
	fixture_call(caller, f->w);
}

Test(listen, a_get_that_is_good)
{
	static const char *const fields[] = {
		FIXTURE_ACCEPT,
		"Accept: */*\r\n",
		"Accept: text/*\r\n",
		FIXTURE_ACCEPT VERSION("2025-11-25"),
		FIXTURE_ACCEPT VERSION("2025-03-26"),
		FIXTURE_ACCEPT "Content-Length: 0\r\n",
		FIXTURE_ACCEPT "Last-Event-ID: \r\n",
	};
	char *session = fixture_session("");

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		expect_open(fields[i], session);
	free(session);
}

/* A subscription is nothing for a client that takes no stream. */
Test(listen, what_a_subscription_accepts)
{
	fixture_listen(caller, "Accept: application/json\r\n", "3", "", "");
	fixture_expect_refusal(
		caller, 406, RPC_INVALID_REQUEST,
		"subscriptions/listen is answered by an event stream: Accept "
		"must allow text/event-stream",
		"3");
	fixture_listen(caller, "Accept: */*\r\n", "3", "", "");
	fixture_await_streams(1);
	fixture_listen(caller, "Accept: text/event-stream\r\n", "4", "", "");
	fixture_await_streams(1);
}

/* One stream of a session at a time, and none of another caller's. */
Test(listen, whose_session_it_is)
{
	char *anns, *bobs;

	f->settings.auth_enabled = 1;
	fixture_stream_build();
	anns = fixture_session(ANN);
	bobs = fixture_session(BOB);
	refuse(FIXTURE_ACCEPT BOB, anns, 404, RPC_LEGACY_NO_SESSION,
	       "Session not found: initialize again");
	fixture_get(other, FIXTURE_ACCEPT ANN, anns);
	fixture_await_streams(1);
	refuse(FIXTURE_ACCEPT ANN, anns, 409, RPC_LEGACY,
	       "This session has an event stream already");
	fixture_get(caller, FIXTURE_ACCEPT BOB, bobs);
	fixture_await_streams(2);
	fixture_hang_up(other);
	fixture_await_streams(1);
	fixture_get(caller, FIXTURE_ACCEPT ANN, anns);
	fixture_call(other, f->w);
	fixture_await_streams(1);
	cr_expect(clients_held(&f->w->board->clients,
	                       fixture_session_hash(anns)));
	cr_expect_not(clients_held(&f->w->board->clients,
	                           fixture_session_hash(bobs)));
	free(anns);
	free(bobs);
}

/* The id of an event of a backend, as a call's stream has them; its caller's to
 * free. */
static char *event_id(uint32_t backend, struct span asker)
{
	struct sealed s = { .kind = SEALED_EVENT, .backend = backend };
	struct buf out = { .max = SEALED_MAX };
	char *line;

	cr_assert(sealed_write(f->w->snap, asker, &s, &out));
	cr_assert_gt(asprintf(&line, FIXTURE_ACCEPT "Last-Event-ID: %.*s\r\n",
	                      SPAN_ARG(buf_span(&out))),
	             0);
	buf_free(&out);
	return line;
}

/* An id of an event that was given, but leads nowhere, or to another. */
Test(listen, ids_of_events_that_are_of_no_use)
{
	char *session = fixture_session("");
	char *lines[] = { event_id(4711, SPAN("anonymous")),
		          event_id(sealed_backend(f->w->snap, VIEW_LEGACY),
		                   SPAN("somebody")) };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		refuse(lines[i], session, 400, RPC_LEGACY,
		       "Last-Event-ID is not what was given");
		free(lines[i]);
	}
	free(session);
}

/* It goes on with a call of a backend that the caller may not use any more. */
Test(listen, an_event_of_a_backend_that_needs_a_scope)
{
	char *session, *line, *fields;

	f->settings.auth_enabled = 1;
	f->setups[VIEW_MODERN].needs = 1 + 0;
	fixture_stream_build();
	session = fixture_session(BOB);
	fixture_get(other, FIXTURE_ACCEPT BOB, session);
	fixture_await_streams(1);
	line = event_id(sealed_backend(f->w->snap, VIEW_MODERN),
	                caller_id(&other->conn->req->caller));
	cr_assert_gt(asprintf(&fields, BOB "%s", line), 0);
	refuse(fields, session, 403, RPC_FORBIDDEN,
	       "The token lacks a scope that this needs");
	cr_expect(fixture_has(fixture_answer_head(caller, 0),
	                      "error=\"insufficient_scope\""));
	free(fields);
	free(line);
	free(session);
}

/* ---- the limit ---- */

Test(listen, so_many_streams_are_open)
{
	static const char text[] = "Too many open event streams";
	uint64_t refused = count_read(&f->w->me->refused);
	char *session = fixture_session("");

	f->settings.limits_streams = 2;
	fixture_stream_build();
	fixture_listen(&f->callers[2], "", "1", "", "");
	fixture_listen(&f->callers[3], "", "2", "", "");
	fixture_await_streams(2);
	fixture_listen(caller, "", "\"x\"", "", "");
	fixture_expect_refusal(caller, 503, RPC_BUSY, text, "\"x\"");
	refuse(FIXTURE_ACCEPT, session, 503, RPC_BUSY, text);
	cr_expect_eq(count_read(&f->w->me->refused), refused + 2);
	cr_expect_not(clients_held(&f->w->board->clients,
	                           fixture_session_hash(session)));
	fixture_hang_up(&f->callers[3]);
	fixture_await_streams(1);
	fixture_call(&f->callers[3], f->w);
	fixture_get(caller, FIXTURE_ACCEPT, session);
	fixture_await_streams(2);
	free(session);
}

/* ---- filters ---- */

#define WANTS(filter) "\"notifications\":{" filter "}"
#define URIS(list)    WANTS("\"resourceSubscriptions\":" list)
#define TASKS(list)   WANTS("\"taskIds\":" list)
#define LONG_URI                                                         \
	"notifications.resourceSubscriptions must hold URIs of at most " \
	"4096 bytes"

Test(listen, filters_that_are_none)
{
	static const struct {
		const char *params, *text;
	} rows[] = {
		{ "\"notifications\":[]",
		  "params.notifications must be an object" },
		{ "\"notifications\":null",
		  "params.notifications must be an object" },
		{ "\"notifications\":\"toolsListChanged\"",
		  "params.notifications must be an object" },
		{ URIS("{}"),
		  "notifications.resourceSubscriptions must be an array" },
		{ URIS("\"new:1\""),
		  "notifications.resourceSubscriptions must be an array" },
		{ URIS("null"),
		  "notifications.resourceSubscriptions must be an array" },
		{ URIS("[1]"), LONG_URI },
		{ URIS("[\"new:1\",null]"), LONG_URI },
		{ URIS("[[\"new:1\"]]"), LONG_URI },
		{ TASKS("{}"), "notifications.taskIds must be an array" },
		{ TASKS("\"t\""), "notifications.taskIds must be an array" },
		{ TASKS("[1]"), "notifications.taskIds must hold strings" },
		{ TASKS("[\"t\",{}]"),
		  "notifications.taskIds must hold strings" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fixture_listen(caller, "", "7", rows[i].params, FIXTURE_TASKS);
		fixture_expect_refusal(caller, 200, RPC_INVALID_PARAMS,
		                       rows[i].text, "7");
	}
	cr_expect_eq(count_read(&f->w->me->streams_open), 0u);
}

Test(listen, tasks_of_a_client_that_has_not_declared_them)
{
	fixture_listen(caller, "", "7", TASKS("[]"), "\"extensions\":{}");
	fixture_await(caller, 1);
	cr_expect_eq(fixture_status(caller, 0), 400);
	cr_expect(span_is(fixture_answer_body(caller, 0),
	                  "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":"
	                  "-32021,\"message\":\"The client has not declared "
	                  "the extension io.modelcontextprotocol/tasks in "
	                  "this request\",\"data\":{\"requiredCapabilities\":"
	                  "{\"extensions\":{\"io.modelcontextprotocol/tasks\":"
	                  "{}}}}}}"));
}

/* A filter with this member, whose n elements are the same. */
static char *many(const char *member, const char *element, size_t n)
{
	struct buf out = { .max = 1 << 20 };

	buf_addf(&out, "\"notifications\":{\"%s\":[", member);
	for (size_t i = 0; i < n; i++)
		buf_addf(&out, "%s\"%s\"", i ? "," : "", element);
	buf_puts(&out, "]}");
	buf_putc(&out, '\0');
	cr_assert_eq(buf_err(&out), 0);
	return out.bytes;
}

/* What cannot be watched counts as well: it is judged first. */
Test(listen, as_many_as_there_may_be)
{
	static const struct {
		const char *member, *element;
		size_t most;
		const char *text;
	} rows[] = {
		{ "resourceSubscriptions", "x:1", LISTEN_URIS_MAX,
		  "notifications.resourceSubscriptions may have 128 "
		  "elements" },
		{ "taskIds", "t", LISTEN_TASKS_MAX,
		  "notifications.taskIds may have 128 elements" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *fits =
			many(rows[i].member, rows[i].element, rows[i].most);
		char *over =
			many(rows[i].member, rows[i].element, rows[i].most + 1);

		fixture_listen(caller, "", "7", fits, FIXTURE_TASKS);
		fixture_expect_event(caller, 0, FIXTURE_ACKED("7", ""));
		fixture_listen(caller, "", "7", over, FIXTURE_TASKS);
		fixture_expect_refusal(caller, 200, RPC_INVALID_PARAMS,
		                       rows[i].text, "7");
		free(fits);
		free(over);
	}
}

/* A URI as long as it may be is watched, and a byte more is refused. */
Test(listen, the_longest_uri)
{
	static char uri[MESSAGE_URI_MAX + 2] = "new:t/";
	char *params, *ack;

	memset(uri + strlen(uri), 'x', MESSAGE_URI_MAX - strlen(uri));
	params = many("resourceSubscriptions", uri, 1);
	fixture_listen(caller, "", "7", params, "");
	cr_assert_gt(asprintf(&ack,
	                      FIXTURE_ACKED("7", "\"resourceSubscriptions\":["
	                                         "\"%s\"]"),
	                      uri),
	             0);
	fixture_expect_event(caller, 0, ack);
	free(params);
	free(ack);
	uri[MESSAGE_URI_MAX] = 'x';
	params = many("resourceSubscriptions", uri, 1);
	fixture_listen(caller, "", "7", params, "");
	fixture_expect_refusal(caller, 200, RPC_INVALID_PARAMS, LONG_URI, "7");
	free(params);
}

/* ---- what is acknowledged ---- */

#define TOOLS     "\"toolsListChanged\":true"
#define PROMPTS   "\"promptsListChanged\":true"
#define RESOURCES "\"resourcesListChanged\":true"

Test(listen, acknowledgements)
{
	static const struct {
		const char *id, *params, *ack;
	} rows[] = {
		{ "1", "", FIXTURE_ACKED("1", "") },
		{ "-5", WANTS(""), FIXTURE_ACKED("-5", "") },
		{ "\"\\u0061\\\"\"", WANTS(TOOLS),
		  FIXTURE_ACKED("\"\\u0061\\\"\"", TOOLS) },
		/* In our order, and without what was not asked for. */
		{ "2", WANTS(RESOURCES "," TOOLS "," PROMPTS),
		  FIXTURE_ACKED("2", TOOLS "," PROMPTS "," RESOURCES) },
		{ "2",
		  WANTS("\"toolsListChanged\":false,"
		        "\"promptsListChanged\":1,"
		        "\"resourcesListChanged\":\"true\",\"x\":true"),
		  FIXTURE_ACKED("2", "") },
		{ "2", WANTS(TOOLS ",\"toolsListChanged\":false"),
		  FIXTURE_ACKED("2", TOOLS) },
		{ "2", URIS("[]"), FIXTURE_ACKED("2", "") },
		{ "2", TASKS("[]"), FIXTURE_ACKED("2", "") },
		{ "2", URIS("[\"x:1\",\"\"]"), FIXTURE_ACKED("2", "") },
		/* Raw, as they were asked for, also twice. */
		{ "2",
		  WANTS(PROMPTS ",\"resourceSubscriptions\":[\"new:2\","
		                "\"x:1\",\"\\u006eew:1\",\"new:2\"]"),
		  FIXTURE_ACKED("2", PROMPTS ",\"resourceSubscriptions\":["
		                             "\"new:2\",\"\\u006eew:1\","
		                             "\"new:2\"]") },
		{ "2", URIS("[\"old:1\"]"),
		  FIXTURE_ACKED("2", "\"resourceSubscriptions\":[\"old:1\"]") },
		{ "2", TASKS("[\"x\",\"\"]"), FIXTURE_ACKED("2", "") },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fixture_listen(caller, "", rows[i].id, rows[i].params,
		               FIXTURE_TASKS);
		fixture_expect_event(caller, 0, rows[i].ack);
		cr_expect_eq(fixture_events(caller), 1u, "%zu", i);
	}
}

/* Resources and tasks of a backend that the caller may not use, and those of
 * one that does not tell of changes, are left out. */
Test(listen, what_the_caller_may_hear_of)
{
	static const char params[] = URIS("[\"old:1\",\"new:1\"]");

	f->settings.auth_enabled = 1;
	f->setups[VIEW_MODERN].needs = 1 + 0;
	f->setups[VIEW_LEGACY].needs = 1 + 1;
	fixture_stream_build();
	fixture_listen(caller, ANN, "1", params, "");
	fixture_expect_event(caller, 0,
	                     FIXTURE_ACKED("1", "\"resourceSubscriptions\":["
	                                        "\"old:1\",\"new:1\"]"));
	fixture_listen(other, BOB, "1", params, "");
	fixture_expect_event(
		other, 0,
		FIXTURE_ACKED("1", "\"resourceSubscriptions\":[\"old:1\"]"));
	f->setups[VIEW_LEGACY].subscribe = false;
	fixture_stream_build();
	fixture_listen(other, BOB, "1", params, "");
	fixture_expect_event(other, 0, FIXTURE_ACKED("1", ""));
}

/* The public id of a task of the modern backend; the caller's to free. */
static char *task_id(const char *asker, const char *own)
{
	struct caller who = { .id_len = (uint8_t)strlen(asker) };
	struct buf out = { .max = SEALED_MAX };

	memcpy(who.id, asker, who.id_len);
	cr_assert(task_public(f->w->snap, &who, VIEW_MODERN, SPAN("t"),
	                      span_str(own), &out));
	buf_putc(&out, '\0');
	return out.bytes;
}

Test(listen, tasks_of_this_caller)
{
	char *mine = task_id("anonymous", "one");
	char *foreign = task_id("ann", "one");
	char *params, *ack;

	fixture_play_stream("\"taskIds\":[\"one\"]");
	cr_assert_gt(asprintf(&params,
	                      WANTS(TOOLS ",\"taskIds\":[\"%s\",\"%s\"]"),
	                      foreign, mine),
	             0);
	cr_assert_gt(asprintf(&ack,
	                      FIXTURE_ACKED("9", TOOLS ",\"taskIds\":[\"%s\"]"),
	                      mine),
	             0);
	fixture_listen(caller, "", "9", params, FIXTURE_TASKS);
	fixture_expect_event(caller, 0, ack);
	fixture_server_await(f->servers[VIEW_MODERN], "\"taskIds\":[\"one\"]",
	                     1);
	free(mine);
	free(foreign);
	free(params);
	free(ack);
}

/* ---- a worker that ends ---- */

/* It says so at once, without asking any backend: the client comes again. */
Test(listen, draining)
{
	char *session = fixture_session("");

	f->w->draining = true;
	fixture_listen(caller, "", "\"d\"",
	               WANTS(TOOLS ",\"resourceSubscriptions\":[\"new:1\"]"),
	               "");
	cr_expect(fixture_await_end(caller));
	fixture_expect_event(caller, 0,
	                     FIXTURE_ACKED("\"d\"",
	                                   TOOLS ",\"resourceSubscriptions\":["
	                                         "\"new:1\"]"));
	fixture_expect_event(caller, 1, FIXTURE_OVER("\"d\""));
	cr_expect_eq(fixture_answers(caller), 1u, "it is whole");
	fixture_get(other, FIXTURE_ACCEPT, session);
	cr_expect(fixture_await_end(other));
	cr_expect(span_is(fixture_answer_body(other, 0), ":\n\n"));
	cr_expect_not(clients_held(&f->w->board->clients,
	                           fixture_session_hash(session)));
	cr_expect_eq(fixture_server_requests(f->servers[VIEW_MODERN]), 0u);
	free(session);
}
