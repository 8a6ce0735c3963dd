#include "proxy/enlist.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "proxy/tap.h"
#include "tests/unit/fixture_proxy.h"

#define OTHERS 20 /* more than go at once */

static struct fixture_setup setup;
static struct fixture_server *server;
static struct settings settings;
static struct snapshot *snap;
static struct proxy proxy;
static struct watched_set set;
static struct watcher someone;
static struct enlist list;
static struct session_wait wait;
static bool ready;

/* What it said. */
static unsigned n_done, n_failed;
static const struct watched *last;
static bool gone;

static void on_done(struct enlist *e, struct watched *u)
{
	cr_expect_eq(e, &list);
	cr_expect_not(u->posting);
	n_done++;
	last = u;
}

static void on_failed(struct enlist *e, bool session_gone)
{
	cr_expect_eq(e, &list);
	n_failed++;
	gone = session_gone;
}

static void on_session(struct session_wait *w, const char *error)
{
	(void)w;
	cr_assert_null(error, "%s", error);
	ready = true;
}

static bool is_ready(void *arg)
{
	(void)arg;
	return ready;
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 100000;
	fixture_proxy_begin(&proxy);
	server = fixture_server_new(proxy.loop);
	fixture_server_legacy(server, true);
	setup = (struct fixture_setup){
		.name = "b",
		.eras = ERA_LEGACY,
		.subscribe = true,
		.port = fixture_server_port(server),
	};
	snap = fixture_snapshot(&setup, 1, &settings, NULL);
	upstream_adopt(proxy.up, snap);
	sessions_adopt(proxy.sessions, snap);
	list = (struct enlist){ .up = proxy.up,
		                .sessions = proxy.sessions,
		                .set = &set,
		                .done = on_done,
		                .failed = on_failed };
	wait.done = on_session;
	if (!session_want(proxy.sessions, snap, 0, TAP_SESSION, &wait))
		cr_assert(fixture_run(proxy.loop, is_ready, NULL));
}

static void end(void)
{
	enlist_stop(&list);
	while (watched_next(&set, NULL))
		watched_remove(watched_next(&set, NULL));
	fixture_server_free(server);
	fixture_proxy_end(&proxy);
	snapshot_unref(snap);
}

TestSuite(enlist, .init = begin, .fini = end, .timeout = 60);

static struct watched *want(enum watch_kind kind, const char *uri)
{
	struct watched *u = watched_add(&set, kind, span_str(uri));

	cr_assert_not_null(u);
	u->watchers = &someone;
	return u;
}

static bool push(void)
{
	return enlist_push(&list, snap, 0);
}

static size_t count(const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < fixture_server_requests(server); i++)
		n += fixture_has(fixture_server_request(server, i), text);
	return n;
}

static bool has_ended(void *arg)
{
	return n_done + n_failed >= *(unsigned *)arg;
}

static void await(unsigned n)
{
	cr_assert(fixture_run(proxy.loop, has_ended, &n), "%u done, %u failed",
	          n_done, n_failed);
}

#define RESULT "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}"
#define ERROR(id)                                                  \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":-" \
	"32002,\"message\":\"no\"}}"
#define EVENTS "Content-Type: text/event-stream\r\n"

static void play(struct fixture_answer answer)
{
	static struct fixture_answer script;

	script = answer;
	fixture_server_play(server, &script, 1);
}

Test(enlist, what_is_wanted_is_told_and_taken_back)
{
	struct watched *u = want(WATCH_RESOURCE, "a:\"1\"");

	want(WATCH_TASK, "a task is none of it");
	play((struct fixture_answer){ .body = RESULT });
	cr_expect(push());
	cr_expect(u->posting && !u->told);
	cr_expect(push(), "it is under way");
	await(1);
	cr_expect(u->told);
	cr_expect_eq(last, u);
	cr_expect_eq(count("\"method\":\"resources/subscribe\",\"params\":{"
	                   "\"uri\":\"a:\\\"1\\\"\"}"),
	             1u);
	cr_expect_eq(count("\r\nMcp-Session-Id: session-1\r\n"), 2u,
	             "and notifications/initialized");
	cr_expect_not(push());
	u->watchers = NULL;
	cr_expect(push());
	await(2);
	cr_expect_not(u->told);
	cr_expect_eq(count("resources/unsubscribe"), 1u);
	cr_expect_not(push());
	cr_expect_eq(count("\"id\":1,\"method\":\"resources/subscribe\""), 1u);
	cr_expect_eq(count("\"id\":2,\"method\":\"resources/unsubscribe\""),
	             1u);
}

/* Who changes his mind meanwhile is heard afterwards: the last word counts. */
Test(enlist, one_at_a_time_for_each)
{
	struct watched *u = want(WATCH_RESOURCE, "a:1");

	play((struct fixture_answer){ .body = RESULT });
	cr_expect(push());
	u->watchers = NULL;
	cr_expect(push());
	await(1);
	cr_expect(u->told);
	cr_expect_eq(count("resources/"), 1u);
	cr_expect(push());
	await(2);
	cr_expect_not(u->told);
	cr_expect_not(push());
}

static bool all_came(void *arg)
{
	(void)arg;
	return count("resources/subscribe") == ENLIST_MAX;
}

/* Each once, a few at the same time. */
Test(enlist, many)
{
	struct watched *all[OTHERS];
	char uri[16];

	for (size_t i = 0; i < OTHERS; i++) {
		snprintf(uri, sizeof(uri), "a:%zu.", i);
		all[i] = want(WATCH_RESOURCE, uri);
	}
	play((struct fixture_answer){ .raw = "", .then = THEN_SILENT });
	cr_expect(push());
	cr_expect(push());
	cr_assert(fixture_run(proxy.loop, all_came, NULL));
	fixture_pause(proxy.loop, 5);
	cr_expect_eq(count("resources/subscribe"), (size_t)ENLIST_MAX);
	enlist_stop(&list);
	for (size_t i = 0; i < OTHERS; i++)
		cr_expect_not(all[i]->posting || all[i]->told, "%zu", i);
	cr_expect_eq(n_done + n_failed, 0u, "who stops it hears nothing");

	size_t before = count("resources/subscribe");
	play((struct fixture_answer){ .body = RESULT });
	while (push())
		await(n_done + 1);
	cr_expect_eq(n_done, (unsigned)OTHERS);
	cr_expect_eq(count("resources/subscribe") - before, (size_t)OTHERS);
	for (size_t i = 0; i < OTHERS; i++) {
		cr_expect(all[i]->told);
		snprintf(uri, sizeof(uri), "\"a:%zu.\"", i);
		cr_expect_geq(count(uri), 1u);
	}
}

/* What an answer means: that it is told, though perhaps refused; that the
 * session is gone; or nothing, so that it is tried again. */
Test(enlist, answers)
{
	enum { TOLD, GONE, LOST };
	static char large[80000];
	static const struct {
		struct fixture_answer answer;
		int means;
	} rows[] = {
		{ { .body = RESULT }, TOLD },
		{ { .body = ERROR("$ID") }, TOLD },
		{ { .status = 202, .body = "" }, TOLD },
		{ { .status = 404, .body = "" }, GONE },
		{ { .status = 404, .body = "Not Found" }, GONE },
		{ { .status = 404, .body = ERROR("null") }, GONE },
		{ { .status = 404, .body = ERROR("\"server-error\"") }, GONE },
		{ { .status = 404, .body = ERROR("\"$ID\"") }, GONE },
		{ { .status = 404, .body = ERROR("4711") }, GONE },
		{ { .status = 404, .body = RESULT }, GONE },
		{ { .status = 404, .body = large }, GONE },
		{ { .status = 400, .body = "" }, GONE },
		{ { .status = 400, .body = ERROR("null") }, GONE },
		/* The method says no. */
		{ { .status = 404, .body = ERROR("$ID") }, TOLD },
		{ { .status = 400, .body = ERROR("$ID") }, TOLD },
		{ { .status = 400, .body = ERROR("$ID"), .piece = 1 }, TOLD },
		{ { .status = 400, .body = "\n[" ERROR("$ID") "]" }, TOLD },
		{ { .status = 404,
		    .fields = EVENTS,
		    .body = "data: " ERROR("$ID") "\n\n" },
		  TOLD },
		{ { .status = 429, .body = ERROR("$ID") }, LOST },
		{ { .status = 500, .body = "" }, LOST },
		{ { .status = 503, .body = ERROR("$ID") }, LOST },
		{ { .status = 403, .body = "" }, TOLD },
		{ { .raw = "", .then = THEN_CLOSE }, LOST },
		{ { .raw = "junk\r\n\r\n", .then = THEN_CLOSE }, LOST },
	};

	memset(large, 'x', sizeof(large) - 1);
	large[0] = '{';
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct watched *u = want(WATCH_RESOURCE, "a:1");

		n_done = n_failed = 0;
		gone = false;
		u->told = false;
		play(rows[i].answer);
		cr_expect(push());
		await(1);
		cr_expect_eq(u->told, rows[i].means == TOLD, "%zu", i);
		cr_expect_eq(n_done, (unsigned)(rows[i].means == TOLD), "%zu",
		             i);
		cr_expect_eq(gone, rows[i].means == GONE, "%zu", i);
		cr_expect_not(u->posting, "%zu", i);
	}
}
