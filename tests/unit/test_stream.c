#include "worker/stream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "proxy/task.h"
#include "tests/unit/fixture_stream.h"

#define ANN "Authorization: Bearer ann\r\n"
#define BOB "Authorization: Bearer bob\r\n"

#define ALL_LISTS                                                \
	"\"toolsListChanged\":true,\"promptsListChanged\":true," \
	"\"resourcesListChanged\":true"
#define WANTS(filter) "\"notifications\":{" filter "}"
#define WATCHES(list) WANTS("\"resourceSubscriptions\":[" list "]")
#define TOOL(name)    "{\"name\":\"" name "\",\"inputSchema\":{}},"
#define PROMPT(name)  "{\"name\":\"" name "\"},"
#define RESOURCE(uri) "{\"uri\":\"" uri "\",\"name\":\"x\"},"
#define SUBSCRIBED(uri) \
	"\"resources/subscribe\",\"params\":{\"uri\":\"" uri "\"}"

static struct fixture_stream *const f = &fixture_stream;
static struct fixture_caller *const callers = fixture_stream.callers;

TestSuite(stream, .init = fixture_stream_start, .fini = fixture_stream_stop,
          .timeout = 60);

/* ---- streams that are open ---- */

struct awaited {
	const struct fixture_caller *c;
	const char *part;
	size_t n;
};

static bool has_come(void *arg)
{
	struct awaited *a = arg;

	return fixture_has(fixture_body_so_far(a->c), a->part);
}

static void await_part(const struct fixture_caller *c, const char *part)
{
	struct awaited a = { c, part, 0 };

	cr_assert(fixture_run(f->w->loop, has_come, &a), "no %s", part);
}

static bool are_there(void *arg)
{
	struct awaited *a = arg;

	return fixture_events(a->c) >= a->n;
}

static void await_events(const struct fixture_caller *c, size_t n)
{
	struct awaited a = { c, NULL, n };

	cr_assert(fixture_run(f->w->loop, are_there, &a), "%zu of %zu events",
	          fixture_events(c), n);
}

static void hear_as(size_t i, const char *fields, const char *params)
{
	fixture_listen(&callers[i], fields, "1", params, FIXTURE_TASKS);
	await_part(&callers[i], "acknowledged");
}

static void hear(size_t i, const char *params)
{
	hear_as(i, "", params);
}

static void get(size_t i, const char *fields, const char *session)
{
	fixture_get(&callers[i], fields, session);
	await_part(&callers[i], ":\n\n");
}

static void offer(enum list_kind kind, const char *items)
{
	f->setups[VIEW_MODERN].items[VIEW_MODERN][kind] = items;
	fixture_stream_build();
}

static bool is_over(void *arg)
{
	return fixture_answers(arg) == 1;
}

/* The stream ends, and as it should. */
static void expect_end(size_t i)
{
	cr_assert(fixture_run(f->w->loop, is_over, &callers[i]), "%zu", i);
	cr_expect_null(callers[i].conn->req);
	cr_expect_not(callers[i].closed, "the connection stays");
}

/* ---- lists ---- */

/* Many changes at once are told once, in one order, to who wants them. */
Test(stream, changes_of_lists_are_gathered)
{
	char *session = fixture_session("");
	uint64_t began_ms;

	get(0, FIXTURE_ACCEPT, session);
	hear(1, WANTS(ALL_LISTS));
	hear(2, WANTS("\"promptsListChanged\":true"));
	hear(3, "");
	began_ms = loop_now_ms(f->w->loop);
	offer(LIST_PROMPTS, PROMPT("q"));
	offer(LIST_TOOLS, TOOL("u"));
	offer(LIST_PROMPTS, PROMPT("r"));
	offer(LIST_TOOLS, TOOL("v"));
	fixture_expect_event(&callers[0], 0, FIXTURE_CHANGED_PLAIN("tools"));
	fixture_expect_event(&callers[0], 1, FIXTURE_CHANGED_PLAIN("prompts"));
	fixture_expect_event(&callers[1], 1, FIXTURE_CHANGED("1", "tools"));
	fixture_expect_event(&callers[1], 2, FIXTURE_CHANGED("1", "prompts"));
	fixture_expect_event(&callers[2], 1, FIXTURE_CHANGED("1", "prompts"));
	cr_expect_geq(loop_now_ms(f->w->loop), began_ms + STREAM_GATHER_MS);
	/* The next are told a good while later. */
	offer(LIST_TEMPLATES, NULL);
	fixture_expect_event(&callers[0], 2,
	                     FIXTURE_CHANGED_PLAIN("resources"));
	fixture_expect_event(&callers[1], 3, FIXTURE_CHANGED("1", "resources"));
	cr_expect_geq(loop_now_ms(f->w->loop),
	              began_ms + STREAM_GATHER_MS + STREAM_CALM_MS);
	cr_expect_eq(fixture_events(&callers[0]), 3u);
	cr_expect_eq(fixture_events(&callers[1]), 4u);
	cr_expect_eq(fixture_events(&callers[2]), 2u);
	cr_expect_eq(fixture_events(&callers[3]), 1u);
	free(session);
}

/* A stream hears of the lists that clients of its era see. */
Test(stream, lists_of_an_era)
{
	struct fixture_setup *both = &f->setups[VIEW_MODERN];
	char *session;

	both->eras = ERA_LEGACY | ERA_MODERN;
	both->items[VIEW_LEGACY][LIST_TOOLS] = TOOL("t");
	fixture_stream_build();
	session = fixture_session("");
	get(0, FIXTURE_ACCEPT, session);
	hear(1, WANTS(ALL_LISTS));
	fixture_stream_build(); /* where nothing has changed */
	both->items[VIEW_LEGACY][LIST_TOOLS] = TOOL("t") TOOL("u");
	fixture_stream_build();
	fixture_expect_event(&callers[0], 0, FIXTURE_CHANGED_PLAIN("tools"));
	offer(LIST_PROMPTS, NULL);
	fixture_expect_event(&callers[1], 1, FIXTURE_CHANGED("1", "prompts"));
	fixture_pause(f->w->loop, 0);
	cr_expect_eq(fixture_events(&callers[0]), 1u);
	free(session);
}

/* What a backend announces is passed on, though its lists are the same. */
Test(stream, announcements)
{
	char *session = fixture_session("");

	count_own(&f->w->board->announced[LIST_TOOLS], 1); /* before them */
	get(0, FIXTURE_ACCEPT, session);
	hear(1, WANTS("\"resourcesListChanged\":true"));
	count_own(&f->w->board->announced[LIST_PROMPTS], 1);
	count_own(&f->w->board->announced[LIST_RESOURCES], 2);
	fixture_expect_event(&callers[0], 0, FIXTURE_CHANGED_PLAIN("prompts"));
	fixture_expect_event(&callers[0], 1,
	                     FIXTURE_CHANGED_PLAIN("resources"));
	fixture_expect_event(&callers[1], 1, FIXTURE_CHANGED("1", "resources"));
	free(session);
}

/* ---- resources and tasks ---- */

Test(stream, resources_of_backends_of_both_eras)
{
	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\"]");
	fixture_listen(&callers[0], "", "\"\\u0061\"",
	               WATCHES("\"old:1\",\"new:1\",\"new:1\""), "");
	await_part(&callers[0], "acknowledged");
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:2"));
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_expect_event(&callers[0], 1,
	                     FIXTURE_UPDATED("\"\\u0061\"", "new:1"));
	fixture_server_tell(VIEW_LEGACY, FIXTURE_UPDATED_PLAIN("old:1"));
	fixture_expect_event(&callers[0], 2,
	                     FIXTURE_UPDATED("\"\\u0061\"", "old:1"));
	cr_expect_eq(fixture_server_count(f->servers[VIEW_LEGACY],
	                                  SUBSCRIBED("old:1")),
	             1u);
}

#define TASK(members) \
	FIXTURE_SAYS("notifications/tasks") ",\"params\":{" members "}}"

/* The public id of the modern backend's task "one"; the caller's to free. */
static char *task_id(void)
{
	struct caller who = { .id_len = 9, .id = "anonymous" };
	struct buf out = { .max = SEALED_MAX };

	cr_assert(task_public(f->w->snap, &who, VIEW_MODERN, SPAN("t"),
	                      SPAN("one"), &out));
	buf_putc(&out, '\0');
	return out.bytes;
}

/* A state of it, with these members before its id and after it. */
static void expect_task(size_t i, size_t n, const char *before, const char *id,
                        const char *after)
{
	char *want;

	cr_assert_gt(asprintf(&want, TASK("%s\"taskId\":\"%s\",%s"), before, id,
	                      after),
	             0);
	fixture_expect_event(&callers[i], n, want);
	free(want);
}

#define ONE    "\"taskId\":\"one\""
#define FAILED "\"status\":\"failed\""
#define ASKS(method)                                                       \
	"\"inputRequests\":{\"q\":{\"method\":\"" method "\",\"params\":{" \
	"\"message\":\"m\",\"requestedSchema\":{\"type\":\"object\","      \
	"\"properties\":{}}}}}"

/* Listen for the task, and for resources as well. */
static void listen_for_task(size_t i, const char *id, const char *capabilities)
{
	char *params;

	cr_assert_gt(asprintf(&params,
	                      WANTS(ALL_LISTS ",\"resourceSubscriptions\":["
	                                      "\"new:1\",\"new:2\"],"
	                                      "\"taskIds\":[\"%s\"]"),
	                      id),
	             0);
	fixture_listen(&callers[i], "", "1", params, capabilities);
	await_part(&callers[i], "acknowledged");
	free(params);
}

#define HONOURS                                            \
	"\"resourceSubscriptions\":[\"new:1\",\"new:2\"]," \
	"\"taskIds\":[\"one\"]"

/* Each state under the id that the client knows, and its own subscription. */
Test(stream, states_of_a_task)
{
	char *id = task_id();

	fixture_play_stream(HONOURS);
	listen_for_task(0, id, FIXTURE_TASKS);
	listen_for_task(1, id, FIXTURE_TASKS ",\"elicitation\":{\"form\":{}}");
	fixture_server_tell(VIEW_MODERN,
	                    TASK("\"status\":\"working\"," ONE
	                         ",\"_meta\":{\"x\":[1],"
	                         "\"" MESSAGE_LISTEN_ID "\":\"theirs\"}"));
	expect_task(0, 1, "\"status\":\"working\",", id,
	            "\"_meta\":{\"" MESSAGE_LISTEN_ID "\":1,\"x\":[1]}");
	/* What it asks is not told to who has not declared it. */
	fixture_server_tell(VIEW_MODERN, TASK(ONE "," ASKS("elicitation/"
	                                                   "create")));
	fixture_server_tell(VIEW_MODERN, TASK(ONE "," FAILED));
	expect_task(0, 2, "", id, FAILED "," FIXTURE_ID("1"));
	expect_task(1, 2, "", id,
	            ASKS("elicitation/create") "," FIXTURE_ID("1"));
	expect_task(1, 3, "", id, FAILED "," FIXTURE_ID("1"));
	free(id);
}

/* ---- clients that read slowly ---- */

/* Read nothing until so much is kept that no more is told. */
static void block(struct fixture_caller *c)
{
	c->deaf = true;
	for (size_t i = 0; !c->conn->req->reply.full; i++) {
		cr_assert_lt(i, 1u << 20);
		stream_keepalive(c->conn->req);
	}
}

static void unblock(struct fixture_caller *c)
{
	c->deaf = false;
	loop_set(f->w->loop, &c->src, EPOLLIN);
}

/* It is told once of each, and of a task the last state; one that reads has
 * heard of all of it. A new snapshot in between takes nothing away. */
Test(stream, a_client_that_reads_slowly)
{
	static const char working[] = TASK(ONE ",\"status\":\"working\"");
	static const char failed[] = TASK(ONE "," FAILED);
	char *id = task_id();

	fixture_play_stream(HONOURS);
	listen_for_task(0, id, FIXTURE_TASKS);
	listen_for_task(1, id, FIXTURE_TASKS);
	block(&callers[0]);
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:2"));
	fixture_server_tell(VIEW_MODERN, working);
	offer(LIST_TOOLS, TOOL("u"));
	await_events(&callers[1], 4);
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:2"));
	fixture_server_tell(VIEW_MODERN, failed);
	offer(LIST_TOOLS, TOOL("v"));
	await_events(&callers[1], 7);
	stream_keepalive(callers[0].conn->req);
	cr_expect_eq(fixture_events(&callers[0]), 1u);
	unblock(&callers[0]);
	fixture_expect_event(&callers[0], 1, FIXTURE_CHANGED("1", "tools"));
	expect_task(0, 2, "", id, FAILED "," FIXTURE_ID("1"));
	fixture_expect_event(&callers[0], 3, FIXTURE_UPDATED("1", "new:2"));
	fixture_pause(f->w->loop, 0);
	cr_expect_eq(fixture_events(&callers[0]), 4u);
	free(id);
}

/* The end is not lost behind what is kept. */
Test(stream, a_client_that_reads_slowly_hears_the_end)
{
	hear(0, WANTS(ALL_LISTS));
	block(&callers[0]);
	stream_end_all(f->w);
	unblock(&callers[0]);
	fixture_expect_event(&callers[0], 1, FIXTURE_OVER("1"));
	expect_end(0);
}

/* ---- what is held back ---- */

static void play_silence(void)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };

	fixture_server_play(f->servers[VIEW_MODERN], &silent, 1);
}

/* Nothing comes before the acknowledgement, which waits so long at most. */
Test(stream, a_backend_that_does_not_say_what_it_tells_of)
{
	uint64_t began_ms;

	play_silence();
	began_ms = loop_now_ms(f->w->loop);
	fixture_listen(
		&callers[0], "", "1",
		WANTS(ALL_LISTS ",\"resourceSubscriptions\":[\"new:1\"]"), "");
	hear(1, WANTS(ALL_LISTS));
	offer(LIST_TOOLS, TOOL("u"));
	fixture_expect_event(&callers[1], 1, FIXTURE_CHANGED("1", "tools"));
	cr_expect(span_is(fixture_body_so_far(&callers[0]), ":\n\n"));
	fixture_expect_event(&callers[0], 1, FIXTURE_CHANGED("1", "tools"));
	cr_expect(fixture_has(fixture_event(&callers[0], 0), "acknowledged"));
	cr_expect_geq(loop_now_ms(f->w->loop), began_ms + STREAM_HOLD_MS);
}

static bool is_asked(void *arg)
{
	(void)arg;
	return fixture_server_requests(f->servers[VIEW_MODERN]) > 0;
}

Test(stream, one_that_ends_while_it_is_held_back)
{
	play_silence();
	fixture_listen(&callers[0], "", "1", WATCHES("\"new:1\""), "");
	cr_assert(fixture_run(f->w->loop, is_asked, NULL));
	stream_end_all(f->w);
	fixture_expect_event(
		&callers[0], 0,
		FIXTURE_ACKED("1", "\"resourceSubscriptions\":[\"new:1\"]"));
	fixture_expect_event(&callers[0], 1, FIXTURE_OVER("1"));
	expect_end(0);
}

/* ---- silence ---- */

Test(stream, comments_on_a_silent_stream)
{
	char *session = fixture_session("");

	f->settings.keepalive_interval = 5;
	fixture_stream_build();
	get(0, FIXTURE_ACCEPT, session);
	hear(1, "");
	await_part(&callers[0], ":\n\n:\n\n:\n\n");
	await_part(&callers[1], "}\n\n:\n\n:\n\n");
	free(session);
}

/* ---- another snapshot ---- */

/* A resource that another backend has from now on is asked for there; when that
 * backend knows, it may have changed meanwhile. */
Test(stream, a_resource_that_moves)
{
	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\"]");
	hear(0, WATCHES("\"new:1\""));
	f->setups[VIEW_LEGACY].items[VIEW_LEGACY][LIST_RESOURCES] =
		RESOURCE("new:1");
	offer(LIST_RESOURCES, RESOURCE("new:2"));
	fixture_expect_event(&callers[0], 1, FIXTURE_UPDATED("1", "new:1"));
	cr_expect_eq(fixture_server_count(f->servers[VIEW_LEGACY],
	                                  SUBSCRIBED("new:1")),
	             1u);
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_server_tell(VIEW_LEGACY, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_expect_event(&callers[0], 2, FIXTURE_UPDATED("1", "new:1"));
	fixture_pause(f->w->loop, 2 * WATCH_GATHER_MS);
	cr_expect_eq(fixture_events(&callers[0]), 3u,
	             "where it was does not count");
	cr_expect_eq(fixture_server_requests(f->servers[VIEW_MODERN]), 1u);
}

/* One that nobody has for a while is heard of again when somebody does, and may
 * have changed. */
Test(stream, a_resource_that_comes_again)
{
	const char *items =
		f->setups[VIEW_MODERN].items[VIEW_MODERN][LIST_RESOURCES];

	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\",\"new:2\"]");
	hear(0, WATCHES("\"new:1\",\"new:2\""));
	offer(LIST_RESOURCES, RESOURCE("new:2"));
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:2"));
	fixture_expect_event(&callers[0], 1, FIXTURE_UPDATED("1", "new:2"));
	offer(LIST_RESOURCES, items);
	fixture_expect_event(&callers[0], 2, FIXTURE_UPDATED("1", "new:1"));
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_expect_event(&callers[0], 3, FIXTURE_UPDATED("1", "new:1"));
}

/* Scopes keep their names, not their places; what needs another one than the
 * caller has is not told any more. */
Test(stream, scopes_after_a_reload)
{
	f->settings.auth_enabled = 1;
	f->setups[VIEW_MODERN].needs = 1 + 1;
	fixture_stream_build();
	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\"]");
	hear_as(0, ANN, WATCHES("\"new:1\""));
	hear_as(1, BOB, WATCHES("\"new:1\""));
	f->new_scope = "B";
	f->generation = 2;
	f->setups[VIEW_MODERN].needs = 1 + 2;
	fixture_stream_build();
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_expect_event(&callers[0], 1, FIXTURE_UPDATED("1", "new:1"));
	fixture_expect_event(&callers[1], 1, FIXTURE_UPDATED("1", "new:1"));
	f->generation = 3;
	f->setups[VIEW_MODERN].needs = 1 + 1;
	fixture_stream_build();
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_expect_event(&callers[0], 2, FIXTURE_UPDATED("1", "new:1"));
	fixture_pause(f->w->loop, 0);
	cr_expect_eq(fixture_events(&callers[1]), 2u);
	fixture_await_streams(2);
}

/* When the configuration changes who the callers are, they all come again. */
Test(stream, other_callers)
{
	char *session;

	f->settings.auth_enabled = 1;
	fixture_stream_build();
	session = fixture_session(ANN);
	get(0, FIXTURE_ACCEPT ANN, session);
	hear_as(1, ANN, WANTS(ALL_LISTS));
	hear_as(2, BOB, WANTS(ALL_LISTS));
	f->generation = 2;
	f->without_bob = true;
	offer(LIST_TOOLS, TOOL("u"));
	for (size_t i = 0; i < 3; i++)
		expect_end(i);
	fixture_await_streams(0);
	cr_expect_eq(fixture_events(&callers[0]), 0u);
	fixture_expect_event(&callers[1], 1, FIXTURE_OVER("1"));
	fixture_expect_event(&callers[2], 1, FIXTURE_OVER("1"));
	get(0, FIXTURE_ACCEPT ANN, session);
	hear_as(1, ANN, WANTS(ALL_LISTS));
	fixture_listen(&callers[2], BOB, "1", "", "");
	fixture_await(&callers[2], 1);
	cr_expect_eq(fixture_status(&callers[2], 0), 401);
	free(session);
}

/* ---- the end ---- */

static void look_back(const char *session)
{
	struct clients *clients = &f->w->board->clients;

	for (size_t i = 0; i < CLIENTS_ROWS; i++)
		if (clients->rows[i].session == fixture_session_hash(session))
			clients->rows[i].seen_s = 1;
}

static bool is_seen(const char *session)
{
	const struct clients *clients = &f->w->board->clients;

	for (size_t i = 0; i < CLIENTS_ROWS; i++)
		if (clients->rows[i].session == fixture_session_hash(session))
			return clients->rows[i].seen_s > 1;
	return false;
}

/* Another worker writes what a session subscribes to. */
static void subscribe(const char *session, const char *uri)
{
	int64_t now_s = clock_utc_ms() / 1000;

	cr_assert(clients_subscribe(&f->w->board->clients, 1,
	                            fixture_session_hash(session),
	                            span_str(uri), now_s + 100, now_s));
}

/* With its token or its session; one that lasts is seen to be in use. */
Test(stream, what_expires)
{
	char *sessions[] = { fixture_session(""), fixture_session("") };
	struct request *r;
	int64_t now_s = clock_utc_ms() / 1000;

	subscribe(sessions[1], "new:1");
	look_back(sessions[1]);
	for (size_t i = 0; i < 2; i++) {
		get(i, FIXTURE_ACCEPT, sessions[i]);
		hear(2 + i, WANTS(ALL_LISTS));
		r = callers[2 + i].conn->req;
		r->principal.everything = false;
		r->principal.who.expires_s = i ? now_s + 100 : now_s;
	}
	callers[0].conn->req->caller.session_expires_s = now_s;
	fixture_pause(f->w->loop, STREAM_REFRESH_MS);
	expect_end(0);
	expect_end(2);
	fixture_expect_event(&callers[2], 1, FIXTURE_OVER("1"));
	fixture_await_streams(2);
	cr_expect_eq(fixture_answers(&callers[1]), 0u);
	cr_expect_eq(fixture_answers(&callers[3]), 0u);
	cr_expect(is_seen(sessions[1]));
	cr_expect_not(clients_held(&f->w->board->clients,
	                           fixture_session_hash(sessions[0])));
	for (size_t i = 0; i < 2; i++)
		free(sessions[i]);
}

Test(stream, draining)
{
	char *session = fixture_session("");

	get(0, FIXTURE_ACCEPT, session);
	fixture_listen(&callers[1], "", "\"a\"", WANTS(ALL_LISTS), "");
	await_part(&callers[1], "acknowledged");
	stream_end_all(f->w);
	fixture_await_streams(0);
	expect_end(0);
	expect_end(1);
	cr_expect_eq(fixture_events(&callers[0]), 0u);
	fixture_expect_event(&callers[1], 1, FIXTURE_OVER("\"a\""));
	cr_expect_not(clients_held(&f->w->board->clients,
	                           fixture_session_hash(session)));
	free(session);
}

/* ---- what sessions subscribe to ---- */

static bool is_settled(void *arg)
{
	return clients_settled(&f->w->board->clients, fixture_session_hash(arg),
	                       SPAN("new:1"));
}

/* The stream of a session tells of what stands on the board. */
Test(stream, what_another_worker_has_subscribed_to)
{
	char *session = fixture_session("");
	uint64_t hash = fixture_session_hash(session);

	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\",\"new:2\"]");
	subscribe(session, "new:2");
	get(0, FIXTURE_ACCEPT, session);
	subscribe(session, "new:1");
	cr_expect_not(is_settled(session));
	cr_assert(fixture_run(f->w->loop, is_settled, session));
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_expect_event(&callers[0], 0, FIXTURE_UPDATED_PLAIN("new:1"));
	clients_unsubscribe(&f->w->board->clients, 1, hash, SPAN("new:1"));
	fixture_pause(f->w->loop, 2 * STREAM_POLL_MS);
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:1"));
	fixture_server_tell(VIEW_MODERN, FIXTURE_UPDATED_PLAIN("new:2"));
	fixture_expect_event(&callers[0], 1, FIXTURE_UPDATED_PLAIN("new:2"));
	free(session);
}

/* When more has changed than is remembered, all are looked at. */
Test(stream, more_changes_than_are_remembered)
{
	char *sessions[] = { fixture_session(""), fixture_session("") };
	struct clients *clients = &f->w->board->clients;

	fixture_play_stream("\"resourceSubscriptions\":[\"new:1\"]");
	for (size_t i = 0; i < 2; i++)
		get(i, FIXTURE_ACCEPT, sessions[i]);
	hear(2, "");
	subscribe(sessions[0], "new:1");
	clients_end(clients, 1, fixture_session_hash(sessions[1]),
	            clock_utc_ms() / 1000);
	atomic_fetch_add(&clients->n_changes, 2 * CLIENTS_CHANGES);
	cr_assert(fixture_run(f->w->loop, is_settled, sessions[0]));
	expect_end(1);
	fixture_await_streams(2);
	for (size_t i = 0; i < 2; i++)
		free(sessions[i]);
}

/* Its session has ended, wherever it was told so. */
Test(stream, the_end_of_its_session)
{
	char *session = fixture_session("");

	get(0, FIXTURE_ACCEPT, session);
	hear(1, "");
	clients_end(&f->w->board->clients, 1, fixture_session_hash(session),
	            clock_utc_ms() / 1000);
	expect_end(0);
	fixture_await_streams(1);
	fixture_get(&callers[0], FIXTURE_ACCEPT, session);
	fixture_expect_refusal(&callers[0], 404, RPC_LEGACY_NO_SESSION,
	                       "Session not found: initialize again", NULL);
	free(session);
}
