#include "proxy/watch.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/fixture_proxy.h"

#define OK     "HTTP/1.1 200 OK\r\n"
#define EVENTS OK "Content-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define ACK(uris)                                                   \
	"{\"jsonrpc\":\"2.0\",\"method\":"                          \
	"\"notifications/subscriptions/acknowledged\",\"params\":{" \
	"\"notifications\":{\"resourceSubscriptions\":[" uris "]}}}"
#define UPDATED(uri)                                       \
	"{\"jsonrpc\":\"2.0\",\"method\":"                 \
	"\"notifications/resources/updated\",\"params\":{" \
	"\"uri\":\"" uri "\"}}"
#define EVENT(json) "data: " json "\n\n"

static struct fixture_setup setup;
static struct settings settings;
static struct snapshot *snap;
static struct loop *loop;
static struct upstream *up;
static struct sessions *sessions;
static struct watches *all;
static struct fixture_server *server;

static struct client {
	struct watcher watcher;
	unsigned told, settled;
	char last[200]; /* of a task: what was told */
} clients[3];

static void on_updated(struct watcher *w, struct span task)
{
	struct client *c = CONTAINER_OF(w, struct client, watcher);

	cr_assert_eq(task.len > 0, w->kind == WATCH_TASK);
	c->told++;
	snprintf(c->last, sizeof(c->last), "%.*s", SPAN_ARG(task));
}

static void on_settled(struct watcher *w)
{
	cr_assert(watch_is_settled(w));
	CONTAINER_OF(w, struct client, watcher)->settled++;
}

static void build(uint32_t eras)
{
	snapshot_unref(snap);
	setup.eras = eras;
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	upstream_adopt(up, snap);
	sessions_adopt(sessions, snap);
	watches_adopt(all, snap);
}

static void begin(void)
{
	fixture_settings(&settings);
	loop = loop_new();
	up = upstream_new(loop, fixture_board(), &fixture_board()->workers[0]);
	sessions = sessions_new(up, loop);
	all = watches_new(loop, up, sessions);
	server = fixture_server_new(loop);
	setup = (struct fixture_setup){ .name = "b",
		                        .subscribe = true,
		                        .port = fixture_server_port(server) };
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		clients[i] = (struct client){ .watcher.updated = on_updated,
			                      .watcher.settled = on_settled };
	build(ERA_MODERN);
}

static void end(void)
{
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		watch_drop(&clients[i].watcher);
	watches_free(all);
	fixture_pause(loop, 10);
	sessions_free(sessions);
	fixture_server_free(server);
	fixture_pause(loop, 10);
	upstream_free(up);
	fixture_pause(loop, 0);
	loop_free(loop);
	snapshot_unref(snap);
}

TestSuite(watch, .init = begin, .fini = end, .timeout = 60);

static void play(const char *raw, enum fixture_then then)
{
	static struct fixture_answer a;

	a = (struct fixture_answer){ .raw = raw, .then = then };
	fixture_server_play(server, &a, 1);
}

static void watch(size_t i, const char *uri)
{
	cr_assert(watch_add(all, 0, span_str(uri), &clients[i].watcher));
}

static bool is_told(void *arg)
{
	return ((struct client *)arg)->told > 0;
}

static bool is_asked(void *arg)
{
	return fixture_server_requests(server) >= *(size_t *)arg;
}

static void await_requests(size_t n)
{
	cr_assert(fixture_run(loop, is_asked, &n), "%zu requests", n);
}

static bool are_open(void *arg)
{
	return fixture_server_open(server) == *(size_t *)arg;
}

static bool asked_for(size_t n, const char *uris)
{
	struct span body = fixture_server_body(server, n);

	return memmem(body.at, body.len, uris, strlen(uris)) != NULL;
}

Test(watch, who_wants_it_is_told_and_nobody_else)
{
	play(EVENTS EVENT(ACK("\"a:1\",\"a:2\"")) EVENT(UPDATED("a:1"))
	             EVENT(UPDATED("a:1")) EVENT(UPDATED("a:3")),
	     THEN_KEEP);
	watch(0, "a:1");
	watch(1, "a:2");
	watch(2, "a:1");
	cr_expect(watch_is(&clients[0].watcher, all, 0, SPAN("a:1")));
	cr_expect_not(watch_is(&clients[0].watcher, all, 0, SPAN("a:2")));
	cr_assert(fixture_run(loop, is_told, &clients[0]));
	fixture_pause(loop, 2 * WATCH_GATHER_MS);
	/* Two changes at once are one. */
	cr_expect_eq(clients[0].told, 1u);
	cr_expect_eq(clients[2].told, 1u);
	cr_expect_eq(clients[1].told, 0u);
	/* And all wishes at once were one request. */
	cr_expect_eq(fixture_server_requests(server), 1u);
}

Test(watch, what_is_added_is_asked_for_before_the_old_stream_ends)
{
	play(EVENTS EVENT(ACK("\"a:1\"")), THEN_KEEP);
	watch(0, "a:1");
	await_requests(1);
	fixture_pause(loop, 20);
	play(EVENTS EVENT(ACK("\"a:1\",\"a:2\"")), THEN_KEEP);
	watch(1, "a:2");
	await_requests(2);
	fixture_pause(loop, 20);
	cr_expect_eq(fixture_server_open(server), 2u);
	cr_expect(asked_for(1, "a:1") && asked_for(1, "a:2"));
	cr_assert(fixture_run(loop, are_open, &(size_t){ 1 }));
}

Test(watch, nothing_is_open_when_nobody_wants_anything)
{
	play(EVENTS EVENT(ACK("\"a:1\"")), THEN_KEEP);
	watch(0, "a:1");
	await_requests(1);
	watch_drop(&clients[0].watcher);
	watch_drop(&clients[0].watcher);
	cr_assert(fixture_run(loop, are_open, &(size_t){ 0 }));
	cr_expect_eq(fixture_server_requests(server), 1u);
}

Test(watch, after_a_loss_all_are_told)
{
	play(EVENTS EVENT(ACK("\"a:1\"")), THEN_CLOSE);
	watch(0, "a:1");
	await_requests(2);
	cr_assert(fixture_run(loop, is_told, &clients[0]));
}

Test(watch, one_that_is_refused_does_not_spoil_the_others)
{
	static const struct fixture_answer answers[] = {
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{"
		          "\"code\":-32602,\"message\":\"no\"}}" },
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{"
		          "\"code\":-32602,\"message\":\"no\"}}" },
		{
			.raw = EVENTS EVENT(ACK("\"a:1\",\"a:2\"")),
		},
	};

	fixture_server_play(server, answers, ARRAY_LEN(answers));
	watch(0, "a:1");
	watch(1, "a:2");
	await_requests(3);
	fixture_pause(loop, 100);
	cr_expect_eq(fixture_server_requests(server), 3u);
	cr_expect(asked_for(0, "a:1") && asked_for(0, "a:2"));
	/* One of them, then the other. */
	cr_expect_neq(asked_for(1, "a:1"), asked_for(1, "a:2"));
	cr_expect_neq(asked_for(2, "a:1"), asked_for(2, "a:2"));
	cr_expect_neq(asked_for(1, "a:1"), asked_for(2, "a:1"));
}

Test(watch, a_backend_of_both_eras_that_does_not_listen)
{
	build(ERA_MODERN | ERA_LEGACY);
	fixture_server_legacy(server, true);
	play("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", THEN_KEEP);
	watch(0, "a:1");
	await_requests(1);
	play(EVENTS, THEN_KEEP);
	await_requests(5);
	/* initialize, initialized, GET, subscribe */
	cr_expect(asked_for(1, "initialize"));
	cr_expect(span_starts(fixture_server_request(server, 3), SPAN("GET ")));
	cr_expect(asked_for(4, "resources/subscribe"));
}

static bool all_are_settled(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		if (!watch_is_settled(&clients[i].watcher))
			return false;
	return true;
}

/* An answer of a legacy backend is about one resource, and told to those who
 * want that. */
Test(watch, each_answer_settles_its_own)
{
	static const struct fixture_answer answers[] = {
		{ .raw = EVENTS },
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}" },
	};

	build(ERA_LEGACY);
	fixture_server_legacy(server, true);
	fixture_server_play(server, answers, ARRAY_LEN(answers));
	watch(0, "a:1");
	watch(1, "a:2");
	watch(2, "a:1");
	cr_assert(fixture_run(loop, all_are_settled, NULL));
	fixture_pause(loop, 20);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		cr_expect_eq(clients[i].settled, 1u, "%zu", i);
	cr_expect_eq(fixture_server_requests(server), 5u);
}

Test(watch, what_the_backend_does_not_tell_of)
{
	setup.subscribe = false;
	build(ERA_MODERN);
	cr_expect_not(watch_add(all, 0, SPAN("a:1"), &clients[0].watcher));
	cr_expect_null(clients[0].watcher.prev);
}

Test(watch, a_backend_that_moves_is_asked_anew)
{
	play(EVENTS EVENT(ACK("\"a:1\"")), THEN_KEEP);
	watch(0, "a:1");
	await_requests(1);
	build(ERA_MODERN);
	fixture_pause(loop, 50);
	cr_expect_eq(fixture_server_requests(server), 1u);
	setup.fields = "X-Key: other\r\n";
	build(ERA_MODERN);
	await_requests(2);
	cr_assert(fixture_run(loop, is_told, &clients[0]));
}

/* ---- tasks ---- */

#define ACK_TASKS(ids)                                              \
	"{\"jsonrpc\":\"2.0\",\"method\":"                          \
	"\"notifications/subscriptions/acknowledged\",\"params\":{" \
	"\"notifications\":{\"taskIds\":[" ids "]}}}"
#define TASK(id)                                                               \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\",\"params\":{" \
	"\"taskId\":\"" id "\"}}"
#define REFUSAL                                     \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{" \
	"\"code\":-32602,\"message\":\"no\"}}"

#define HAS_TASKS "{\"io.modelcontextprotocol/tasks\":{}}"

static void watch_task(size_t i, const char *id)
{
	setup.extensions[VIEW_MODERN] = HAS_TASKS;
	build(ERA_MODERN);
	clients[i].watcher.kind = WATCH_TASK;
	watch(i, id);
}

static bool is_settled(void *arg)
{
	return watch_is_settled(&((struct client *)arg)->watcher);
}

Test(watch, each_state_of_a_task_is_told_to_who_wants_it)
{
	play(EVENTS EVENT(ACK_TASKS("\"t\"")) EVENT(TASK("t")) EVENT(TASK("t"))
	             EVENT(TASK("u")) EVENT(TASK("v")),
	     THEN_KEEP);
	watch_task(0, "t");
	watch_task(1, "u");
	watch_task(2, "t");
	cr_expect_not(watch_is_settled(&clients[0].watcher));
	cr_assert(fixture_run(loop, is_told, &clients[1]));
	cr_expect_eq(clients[0].told, 2u);
	cr_expect_eq(clients[2].told, 2u);
	cr_expect_str_eq(clients[0].last, "{\"taskId\":\"t\"}");
	/* What the backend says it does not tell of is settled too. */
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(clients[i].settled, 1u, "%zu", i);
	cr_expect(asked_for(0, "\"taskIds\":["));
	cr_expect_not(asked_for(0, "resourceSubscriptions"));
	cr_expect_eq(fixture_server_requests(server), 1u);
}

#define STATE(id, state)                                                       \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\",\"params\":{" \
	"\"taskId\":\"" id "\",\"status\":\"" state "\"}}"

/* One stream takes over from another; both say the same, in its order. */
Test(watch, two_streams_that_overlap_tell_of_no_state_twice)
{
	play(EVENTS EVENT(ACK_TASKS("\"t\"")) EVENT(STATE("t", "a"))
	             EVENT(STATE("t", "b")),
	     THEN_SILENT);
	watch_task(0, "t");
	cr_assert(fixture_run(loop, is_told, &clients[0]));
	cr_expect_eq(clients[0].told, 2u);
	/* The new one begins with a state that the old one told of. */
	play(EVENTS EVENT(ACK_TASKS("\"t\",\"u\"")) EVENT(STATE("t", "b"))
	             EVENT(STATE("u", "a")) EVENT(STATE("t", "d")),
	     THEN_KEEP);
	watch_task(1, "u");
	cr_assert(fixture_run(loop, is_told, &clients[1]));
	cr_expect_eq(fixture_server_open(server), 2u);
	cr_expect_eq(clients[0].told, 3u);
	/* The old one is read late, and missed nothing in between. */
	fixture_server_say(server, EVENT(STATE("t", "b")) EVENT(STATE("t", "c"))
	                                   EVENT(STATE("t", "d")));
	cr_assert(fixture_run(loop, are_open, &(size_t){ 1 }));
	cr_expect_eq(clients[0].told, 3u);
	cr_expect_str_eq(clients[0].last,
	                 "{\"taskId\":\"t\",\"status\":\"d\"}");
	cr_expect_eq(clients[1].told, 1u);
}

Test(watch, a_task_that_was_told_of_may_be_forgotten)
{
	static const struct fixture_answer answers[] = {
		{ .raw = EVENTS EVENT(ACK_TASKS("\"t\"")), .then = THEN_KEEP },
		{ .body = REFUSAL },
		{ .raw = EVENTS EVENT(ACK_TASKS("\"u\"")) EVENT(TASK("u")),
		  .then = THEN_KEEP },
	};

	fixture_server_play(server, answers, ARRAY_LEN(answers));
	watch_task(0, "t");
	cr_assert(fixture_run(loop, is_settled, &clients[0]));
	watch_task(1, "u");
	await_requests(3);
	cr_expect(asked_for(1, "\"t\"") && asked_for(1, "\"u\""));
	/* Both are in doubt: one of them is asked for. */
	cr_expect_neq(asked_for(2, "\"t\""), asked_for(2, "\"u\""));
}

Test(watch, a_backend_that_does_not_listen_settles_tasks)
{
	play("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", THEN_KEEP);
	watch_task(0, "t");
	cr_assert(fixture_run(loop, is_settled, &clients[0]));
	cr_expect_eq(clients[0].settled, 1u);
	cr_expect_eq(clients[0].told, 0u);
}

Test(watch, tasks_of_a_backend_without_the_extension)
{
	clients[0].watcher.kind = WATCH_TASK;
	cr_expect_not(watch_add(all, 0, SPAN("t"), &clients[0].watcher));
	setup.extensions[VIEW_LEGACY] = HAS_TASKS;
	build(ERA_LEGACY);
	cr_expect_not(watch_add(all, 0, SPAN("t"), &clients[0].watcher));
	cr_expect(watch_is_settled(&clients[0].watcher));
}
