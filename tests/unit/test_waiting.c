#include "proxy/waiting.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/value.h"
#include "tests/unit/fixture_user.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"

/* A backend of the older era, "old", and one of the newer, "new". */
static struct fixture_setup setups[2];
static struct fixture_server *old, *new;
static struct settings settings;
static struct snapshot *snap;
static struct proxy proxy;

static struct fixture_user users[4];

static void here(const struct proxy *p, const struct snapshot *s,
                 struct place *place)
{
	(void)p;
	(void)s;
	*place = (struct place){ .instance = 7, .worker = 1 };
}

static void build(void)
{
	snapshot_unref(snap);
	snap = fixture_snapshot(setups, ARRAY_LEN(setups), &settings, NULL);
	upstream_adopt(proxy.up, snap);
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 100000;
	fixture_proxy_begin(&proxy);
	proxy.here = here;
	old = fixture_server_new(proxy.loop);
	fixture_server_legacy(old, true);
	fixture_server_no_stream(old);
	new = fixture_server_new(proxy.loop);
	setups[0] = (struct fixture_setup){
		.name = "old",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_LEGACY,
		.legacy_version = "2025-11-25",
		.items = { [VIEW_LEGACY] = { [LIST_TOOLS] = ITEM("t") } },
		.port = fixture_server_port(old),
	};
	setups[1] = (struct fixture_setup){
		.name = "new",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_MODERN,
		.items = { [VIEW_MODERN] = { [LIST_TOOLS] = ITEM("t") } },
		.port = fixture_server_port(new),
	};
	build();
}

static void end(void)
{
	for (size_t i = 0; i < ARRAY_LEN(users); i++)
		fixture_user_leave(&users[i]);
	waiting_end_all(&proxy);
	cr_expect_eq(proxy.n_waiting, 0u);
	cr_expect_null(proxy.waiting);
	fixture_server_free(old);
	fixture_server_free(new);
	fixture_proxy_end(&proxy);
	snapshot_unref(snap);
	snap = NULL;
}

TestSuite(waiting, .init = begin, .fini = end, .timeout = 60);

/* ---- clients ---- */

static void ask(struct fixture_user *u, enum view_era era, uint32_t abilities,
                bool events)
{
	const struct caller caller = {
		.abilities = abilities,
		.revision = era == VIEW_MODERN ? REVISION_2026_07_28
		                               : REVISION_2025_11_25,
		.session = 5,
		.id_len = 3,
		.id = "ann",
	};

	fixture_user_call(u, &proxy, snap, era,
	                  era == VIEW_MODERN ? "old_t" : "new_t", events,
	                  &caller);
}

static void await(struct fixture_user *u)
{
	fixture_user_await(u, &proxy);
}

static struct span result_of(const struct fixture_user *u)
{
	return value_get(fixture_client_last(&u->client), SPAN("result"));
}

/* ---- a legacy backend asks a modern client ---- */

#define STREAM                \
	"HTTP/1.1 200 OK\r\n" \
	"Content-Type: text/event-stream\r\n\r\n"
#define EVENT(text) "data: " text "\n\n"
#define ASK(id, method, params)                                         \
	EVENT("{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method \
	      "\",\"params\":" params "}")
#define FORM(id)   ASK(id, "elicitation/create", "{\"message\":\"m\"}")
#define ROOTS(id)  ASK(id, "roots/list", "{}")
#define SAMPLE(id) ASK(id, "sampling/createMessage", "{\"maxTokens\":1}")
#define DONE       EVENT("{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}")

static void play(const char *text)
{
	static struct fixture_answer script;

	script = (struct fixture_answer){ .raw = text, .then = THEN_SILENT };
	fixture_server_play(old, &script, 1);
}

static void ask_old(struct fixture_user *u, const char *text)
{
	play(text);
	ask(u, VIEW_MODERN, CLIENT_MASK, true);
}

/* The state that the client was given. */
static char *state_of(const struct fixture_user *u)
{
	struct span state;

	cr_assert(
		value_string_plain(
			value_get(result_of(u), SPAN("requestState")), &state),
		"no state: %.*s", SPAN_ARG(fixture_client_last(&u->client)));
	return strndup(state.at, state.len);
}

static struct call *find(const char *state)
{
	struct sealed_room room;
	struct sealed s;
	struct call *c = NULL;

	cr_assert_eq(sealed_read(snap, SPAN("ann"), SEALED_BIT(SEALED_PARKED),
	                         span_str(state), clock_utc_ms() / 1000, &s,
	                         &room),
	             SEALED_OK);
	cr_expect_eq(s.place.instance, 7u);
	c = waiting_find(&proxy, &s);
	sealed_free(&room);
	return c;
}

/* Come back with these answers, as another request. */
static void resume(struct fixture_user *u, const char *state,
                   const char *answers)
{
	struct h1_request request;
	struct message msg;
	struct buf params = { .max = 8 << 20 };

	buf_puts(&params, "\"name\":\"old_t\",\"arguments\":{},"
	                  "\"inputResponses\":{");
	buf_puts(&params, answers);
	buf_puts(&params, "},\"requestState\":\"");
	buf_puts(&params, state);
	buf_add(&params, "\"", 2);
	fixture_ask(VIEW_MODERN, "\"d\"", "tools/call", "old_t", params.bytes,
	            "", &request, &msg);
	fixture_user_init(u, true);
	u->call = find(state);
	cr_assert_not_null(u->call);
	waiting_resume(u->call, &msg, &u->client.reply);
	buf_free(&params);
}

#define ACCEPT "{\"action\":\"accept\",\"content\":{}}"

/* Both ask and answer; the state is the caller's to free. */
static char *park(struct fixture_user *u, const char *text)
{
	ask_old(u, text);
	await(u);
	cr_assert_null(fixture_client_fault(&u->client, "\"c\""), "%s",
	               fixture_client_fault(&u->client, "\"c\""));
	cr_assert(
		fixture_has(result_of(u), "\"resultType\":\"input_required\""),
		"%.*s", SPAN_ARG(fixture_client_last(&u->client)));
	cr_assert_null(u->call);
	return state_of(u);
}

Test(waiting, a_call_is_parked_and_goes_on)
{
	char *state = park(&users[0], STREAM FORM("\"a\\u0062\"") ROOTS("7"));
	struct span asked =
		value_get(result_of(&users[0]), SPAN("inputRequests"));

	cr_expect_eq(proxy.n_waiting, 1u);
	cr_expect(span_is(asked, "{\"q1\":{\"method\":\"elicitation/create\","
	                         "\"params\":{\"message\":\"m\"}},"
	                         "\"q2\":{\"method\":\"roots/list\","
	                         "\"params\":{}}}"),
	          "%.*s", SPAN_ARG(asked));
	resume(&users[1], state,
	       "\"q2\":{\"roots\":[]},\"q9\":{},\"q1\":" ACCEPT);
	cr_expect_null(find(state), "a state is good once");
	fixture_server_await(old,
	                     "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\","
	                     "\"result\":" ACCEPT "}",
	                     1);
	fixture_server_await(old, "\"id\":7,\"result\":{\"roots\":[]}}", 1);
	cr_expect_eq(fixture_server_count(old, "Mcp-Session-Id: session-1"), 4u,
	             "all of it in the call's session");
	fixture_server_say(old, DONE);
	await(&users[1]);
	cr_expect_null(fixture_client_fault(&users[1].client, "\"d\""));
	cr_expect_eq(proxy.n_waiting, 0u);
	free(state);
}

Test(waiting, so_many_questions_at_once)
{
	struct buf text = { .max = 1 << 20 };

	buf_puts(&text, STREAM);
	for (int i = 1; i <= WAITING_QUESTIONS_MAX + 1; i++)
		buf_addf(&text,
		         "data: {\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		         "\"roots/list\"}\n\n",
		         100 + i);
	buf_putc(&text, '\0');
	char *state = park(&users[0], text.bytes);
	struct span asked =
		value_get(result_of(&users[0]), SPAN("inputRequests"));
	char key[8];

	snprintf(key, sizeof(key), "q%d", WAITING_QUESTIONS_MAX);
	cr_expect(value_get(asked, span_str(key)).at != NULL);
	snprintf(key, sizeof(key), "q%d", WAITING_QUESTIONS_MAX + 1);
	cr_expect_null(value_get(asked, span_str(key)).at);
	/* The one too many is refused at once. */
	fixture_server_await(old, "\"id\":117,\"error\":{\"code\":-32601", 1);
	cr_expect_eq(fixture_server_count(old, "-32601"), 1u);
	buf_free(&text);
	free(state);
}

Test(waiting, an_id_has_a_limit)
{
	struct buf text = { .max = 1 << 20 };

	for (size_t len = SEALED_ID_MAX; len <= SEALED_ID_MAX + 1; len++) {
		buf_reset(&text);
		buf_puts(&text, STREAM "data: {\"jsonrpc\":\"2.0\",\"id\":\"");
		memset(buf_reserve(&text, len - 2), 'i', len - 2);
		buf_commit(&text, len - 2);
		buf_puts(&text, "\",\"method\":\"roots/list\"}\n\n");
		buf_putc(&text, '\0');
		ask_old(&users[0], text.bytes);
		if (len > SEALED_ID_MAX) {
			fixture_server_await(
				old, "iii\",\"error\":{\"code\":-32601", 1);
		} else {
			await(&users[0]);
			cr_expect(fixture_has(result_of(&users[0]), "\"q1\""));
		}
		fixture_user_leave(&users[0]);
	}
	buf_free(&text);
}

/* What a client has not declared is not asked; the rest is. */
Test(waiting, abilities)
{
	play(STREAM FORM("1") ROOTS("2") SAMPLE("3"));
	ask(&users[0], VIEW_MODERN, CLIENT_ROOTS, true);
	await(&users[0]);
	cr_expect(fixture_has(result_of(&users[0]), "roots/list"));
	cr_expect_not(fixture_has(result_of(&users[0]), "elicitation"));
	cr_expect_not(fixture_has(result_of(&users[0]), "sampling"));
	fixture_server_await(old, "-32601", 2);
}

/* Those that were answered are gone, the others are asked again. */
Test(waiting, rounds)
{
	char *first = park(&users[0], STREAM FORM("1") ROOTS("2"));

	resume(&users[1], first, "\"q1\":" ACCEPT ",\"q2\":[]");
	await(&users[1]);
	struct span asked =
		value_get(result_of(&users[1]), SPAN("inputRequests"));
	cr_expect(fixture_has(asked, "\"q2\""));
	cr_expect_not(fixture_has(asked, "\"q1\""));
	cr_expect_null(find(first));
	char *second = state_of(&users[1]);
	/* An answer that came before is no answer now. */
	resume(&users[2], second, "\"q1\":" ACCEPT ",\"q2\":{\"roots\":[]}");
	fixture_server_await(old, "\"roots\":[]", 1);
	cr_expect_eq(fixture_server_count(old, "accept\""), 1u);
	/* The backend asks more: numbers go on. */
	fixture_server_say(old, FORM("8"));
	await(&users[2]);
	cr_expect(fixture_has(result_of(&users[2]), "\"q3\""));
	char *third = state_of(&users[2]);
	cr_expect_null(find(second));
	resume(&users[3], third, "\"q3\":" ACCEPT);
	fixture_server_await(old, "\"id\":8,\"result\"", 1);
	fixture_server_say(old, DONE);
	await(&users[3]);
	cr_expect_null(fixture_client_fault(&users[3].client, "\"d\""));
	free(first);
	free(second);
	free(third);
}

/* More that the backend says meanwhile waits for the client. */
Test(waiting, a_backend_that_goes_on_while_parked)
{
	static const char *const more[] = { DONE, FORM("9") };

	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		char *state = park(&users[0], STREAM ROOTS("1"));

		fixture_server_say(old, more[i]);
		fixture_pause(proxy.loop, 30);
		cr_expect_eq(proxy.n_waiting, 1u);
		resume(&users[1], state, "\"q1\":{\"roots\":[]}");
		await(&users[1]);
		cr_expect_null(fixture_client_fault(&users[1].client, "\"d\""));
		cr_expect_eq(fixture_has(result_of(&users[1]), "\"q2\""),
		             i == 1);
		fixture_user_leave(&users[1]);
		waiting_end_all(&proxy);
		free(state);
	}
}

/* The answer overtakes the question. */
Test(waiting, an_answer_behind_a_question)
{
	ask_old(&users[0], STREAM ROOTS("1") DONE);
	await(&users[0]);
	cr_expect_not(fixture_has(result_of(&users[0]), "input_required"));
	cr_expect_eq(proxy.n_waiting, 0u);
	fixture_pause(proxy.loop, 2 * WAITING_GATHER_MS);
	cr_expect_eq(users[0].client.ends, 1u);
}

Test(waiting, a_connection_that_breaks_while_parked)
{
	for (int reset = 0; reset < 2; reset++) {
		char *state = park(&users[0], STREAM ROOTS("1"));

		if (reset)
			fixture_server_break(old);
		else
			fixture_server_hang_up(old);
		fixture_pause(proxy.loop, 10);
		cr_expect_not_null(find(state), "the client is told later");
		resume(&users[1], state, "\"q1\":{\"roots\":[]}");
		await(&users[1]);
		cr_expect(fixture_has(fixture_client_last(&users[1].client),
		                      reset ? "broke while the client was asked"
		                            : "ended without a result"),
		          "%.*s",
		          SPAN_ARG(fixture_client_last(&users[1].client)));
		cr_expect_eq(proxy.n_waiting, 0u);
		free(state);
	}
}

/* A GET has no id of its own: the answer is to the call's. */
#define DONE_41        EVENT("{\"jsonrpc\":\"2.0\",\"id\":41,\"result\":{}}")
#define GOES_ON(retry) STREAM "retry: " retry "\nid: e1\n" ROOTS("1")

/* With ids the stream is asked for again when the client is back, and not
 * before: wherever it ended. */
Test(waiting, a_stream_that_can_be_gone_on_with)
{
	enum { AT_ONCE, WHILE_PARKED, MOMENTS };
	static const struct fixture_answer scripts[MOMENTS][2] = {
		[AT_ONCE] = { { .raw = GOES_ON("40"), .then = THEN_CLOSE },
		              { .raw = STREAM DONE_41, .then = THEN_CLOSE } },
		[WHILE_PARKED] = { { .raw = GOES_ON("40"),
		                     .then = THEN_SILENT },
		                   { .raw = STREAM DONE_41,
		                     .then = THEN_CLOSE } },
	};

	for (size_t i = 0; i < MOMENTS; i++) {
		size_t asked = fixture_server_count(old, "Last-Event-ID: e1");

		fixture_server_play(old, scripts[i], 2);
		proxy.next_id = 40;
		ask(&users[0], VIEW_MODERN, CLIENT_MASK, true);
		await(&users[0]);
		char *state = state_of(&users[0]);

		if (i == WHILE_PARKED)
			fixture_server_break(old);
		fixture_pause(proxy.loop, 80);
		cr_expect_eq(fixture_server_count(old, "Last-Event-ID: e1"),
		             asked, "%zu", i);
		resume(&users[1], state, "\"q1\":{\"roots\":[]}");
		fixture_server_await(old, "\"roots\":[]", i + 1);
		await(&users[1]);
		cr_expect_null(fixture_client_fault(&users[1].client, "\"d\""),
		               "%zu", i);
		cr_expect(fixture_has(fixture_client_last(&users[1].client),
		                      "\"result\""),
		          "%.*s",
		          SPAN_ARG(fixture_client_last(&users[1].client)));
		cr_expect_eq(fixture_server_count(old, "Last-Event-ID: e1"),
		             asked + 1);
		free(state);
	}
}

/* It is asked for again, but has not answered yet, when questions that came
 * before are put to the client: the answer waits. */
Test(waiting, a_stream_that_is_being_asked_for)
{
	static const struct fixture_answer script[] = {
		{ .raw = GOES_ON("1"), .then = THEN_CLOSE },
		{ .raw = "", .then = THEN_SILENT },
	};

	fixture_server_play(old, script, 2);
	proxy.next_id = 40;
	ask(&users[0], VIEW_MODERN, CLIENT_MASK, true);
	fixture_server_await(old, "Last-Event-ID: e1", 1);
	await(&users[0]);
	char *state = state_of(&users[0]);

	fixture_server_say(old, STREAM DONE_41);
	fixture_pause(proxy.loop, 30);
	cr_expect_not_null(find(state));
	resume(&users[1], state, "\"q1\":{\"roots\":[]}");
	await(&users[1]);
	cr_expect(fixture_has(fixture_client_last(&users[1].client),
	                      "\"result\""),
	          "%.*s", SPAN_ARG(fixture_client_last(&users[1].client)));
	cr_expect_eq(fixture_server_count(old, "Last-Event-ID: e1"), 1u);
	free(state);
}

/* A question that came beside the stream of its call, before that began: the
 * answer waits, for longer than a request may take. */
Test(waiting, an_answer_that_has_not_begun)
{
	struct fixture_user *u = &users[0];

	setups[0].request_timeout_ms = 60;
	build();
	for (size_t early = 0; early < 2; early++) {
		ask_old(u, "");
		fixture_server_await(old, "tools/call", early + 1);
		cr_assert(waiting_park(u->call, SPAN("7"),
		                       SPAN("\"roots/list\""), SPAN("{}")));
		await(u);
		char *state = state_of(u);

		if (early)
			fixture_server_say(old, STREAM DONE);
		fixture_pause(proxy.loop, 150);
		cr_expect_not_null(find(state));
		resume(&users[1], state, "\"q1\":{\"roots\":[]}");
		fixture_server_await(old, "\"id\":7,\"result\"", early + 1);
		if (!early)
			fixture_server_say(old, STREAM DONE);
		await(&users[1]);
		cr_expect(fixture_has(fixture_client_last(&users[1].client),
		                      "\"result\""),
		          "%.*s",
		          SPAN_ARG(fixture_client_last(&users[1].client)));
		free(state);
	}
}

/* What goes through libcurl waits as well: for longer than a stream of a
 * backend may be silent, and when it ends. */
Test(waiting, a_call_at_a_backend_with_https)
{
	setups[0].flags |= BACKEND_TLS; /* its URL is plain all the same */
	setups[0].idle_timeout_ms = 60;
	build();
	for (int ends = 0; ends < 2; ends++) {
		char *state = park(&users[0], STREAM "id: 1\n" ROOTS("1"));

		if (ends)
			fixture_server_hang_up(old);
		fixture_pause(proxy.loop, 300);
		cr_expect_not_null(find(state));
		if (ends) {
			play(STREAM EVENT("{}"));
			resume(&users[1], state, "\"q1\":{\"roots\":[]}");
			fixture_server_await(old, "Last-Event-ID: 1", 1);
		} else {
			resume(&users[1], state, "\"q1\":{\"roots\":[]}");
			fixture_server_await(old, "\"roots\":[]", 1);
			cr_expect_eq(fixture_server_count(old, "Last-Event-ID"),
			             0u);
			fixture_server_say(old, DONE);
		}
		await(&users[1]);
		cr_expect_eq(fixture_has(fixture_client_last(&users[1].client),
		                         "\"result\""),
		             ends == 0, "%d: %.*s", ends,
		             SPAN_ARG(fixture_client_last(&users[1].client)));
		free(state);
	}
}

Test(waiting, sampling_with_several_blocks)
{
	setups[0].legacy_version = "2025-06-18";
	build();
	char *state = park(&users[0], STREAM SAMPLE("1") SAMPLE("2"));

	resume(&users[1], state,
	       "\"q1\":{\"content\":[{\"a\":1},{\"a\":2}]},"
	       "\"q2\":{\"role\":\"x\",\"content\":[{\"a\":3}],\"m\":0}");
	fixture_server_await(old, "\"id\":1,\"error\":{\"code\":-32602", 1);
	fixture_server_await(old,
	                     "\"id\":2,\"result\":{\"role\":\"x\",\"content\":"
	                     "{\"a\":3},\"m\":0}}",
	                     1);
	free(state);
}

/* As large as a request may be, which is more than other small messages. */
Test(waiting, a_large_answer)
{
	size_t len = 3 << 20;
	struct buf answers = { .max = 8 << 20 };
	char *state = park(&users[0], STREAM ROOTS("1"));

	buf_puts(&answers, "\"q1\":{\"x\":\"");
	memset(buf_reserve(&answers, len), 'x', len);
	buf_commit(&answers, len);
	buf_puts(&answers, "\",\"y\":\"the end\"}");
	buf_putc(&answers, '\0');
	resume(&users[1], state, answers.bytes);
	fixture_server_await(old, "the end", 1);
	buf_free(&answers);
	free(state);
}

Test(waiting, too_many_calls_wait)
{
	settings.limits_waiting_calls = 1;
	build();
	char *state = park(&users[0], STREAM ROOTS("1"));

	ask_old(&users[1], STREAM ROOTS("2") ROOTS("3"));
	await(&users[1]);
	cr_expect(fixture_has(fixture_client_last(&users[1].client),
	                      "limits.waiting_calls"));
	cr_expect_eq(proxy.n_waiting, 1u);
	/* One that waits already may ask again. */
	resume(&users[2], state, "");
	await(&users[2]);
	cr_expect(fixture_has(result_of(&users[2]), "\"q1\""));
	free(state);
}

Test(waiting, nobody_comes_back)
{
	settings.interactive_timeout = 40;
	build();
	char *state = park(&users[0], STREAM FORM("1") ROOTS("2"));

	fixture_server_await(old, "\"id\":1,\"result\":{\"action\":\"cancel\"}",
	                     1);
	fixture_server_await(old, "\"id\":2,\"error\":{\"code\":-32603", 1);
	fixture_server_await(old, "notifications/cancelled", 1);
	cr_expect_eq(proxy.n_waiting, 0u);
	cr_expect_null(find(state));
	free(state);
}

/* A call may end at any stage, in any way; nothing is left of it. */
enum stage { GATHERING, PARKED, AGAIN, RESUMED, LOST, BREAKING, STAGES };
enum way { CANCEL, ABORT, GIVE_UP, HANG_UP, BREAK, WAYS };

static char *reach(enum stage stage)
{
	char *state;

	switch (stage) {
	case GATHERING:
		ask_old(&users[0], STREAM ROOTS("1"));
		while (!proxy.n_waiting)
			fixture_pause(proxy.loop, 1);
		return NULL;
	case PARKED:
		return park(&users[0], STREAM ROOTS("1"));
	case AGAIN:
		state = park(&users[0], STREAM ROOTS("1"));
		resume(&users[1], state, "");
		return state;
	case RESUMED:
		state = park(&users[0], STREAM ROOTS("1"));
		resume(&users[1], state, "\"q1\":{}");
		return state;
	case LOST:
		state = park(&users[0], STREAM ROOTS("1"));
		fixture_server_break(old);
		fixture_pause(proxy.loop, 5);
		return state;
	case BREAKING:
		state = park(&users[0], GOES_ON("1"));
		fixture_server_break(old);
		fixture_pause(proxy.loop, 5);
		resume(&users[1], state, "\"q1\":{}");
		return state;
	case STAGES:
		break;
	}
	return NULL;
}

static void go(enum way way)
{
	struct fixture_user *u = users[1].call ? &users[1] : &users[0];

	switch (way) {
	case CANCEL:
		fixture_user_leave(u);
		return;
	case ABORT:
		if (u->call)
			call_abort(u->call);
		return;
	case GIVE_UP:
		waiting_end_all(&proxy);
		return;
	case HANG_UP:
		fixture_server_hang_up(old);
		return;
	case BREAK:
		fixture_server_break(old);
		return;
	case WAYS:
		return;
	}
}

Test(waiting, a_call_ends_at_any_stage)
{
	for (int stage = 0; stage < STAGES; stage++)
		for (int way = 0; way < WAYS; way++) {
			char *state = reach((enum stage)stage);

			go((enum way)way);
			fixture_pause(proxy.loop, 2 * WAITING_GATHER_MS);
			for (size_t i = 0; i < ARRAY_LEN(users); i++)
				fixture_user_leave(&users[i]);
			waiting_end_all(&proxy);
			cr_assert_eq(proxy.n_waiting, 0u, "%d %d", stage, way);
			cr_assert_null(proxy.waiting);
			fixture_server_hang_up(old);
			fixture_pause(proxy.loop, 2);
			free(state);
		}
}

/* ---- a modern backend asks a legacy client ---- */

#define INPUT(more)                                                   \
	"{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"resultType\":" \
	"\"input_required\"" more "}}"
#define REQUESTS(list) ",\"inputRequests\":{" list "}"
#define STATE(text)    ",\"requestState\":" text
#define ONE(key, method) \
	"\"" key "\":{\"method\":\"" method "\",\"params\":{\"x\":1}}"
#define RESULT                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"resultType\":" \
	"\"complete\",\"content\":[]}}"
#define TYPE_EVENTS "Content-Type: text/event-stream\r\n"

static struct fixture_answer script[2];

/* The backend asks in this way, then has its result. */
static void ask_new(struct fixture_user *u, struct fixture_answer first)
{
	script[0] = first;
	script[1] = (struct fixture_answer){ .body = RESULT };
	fixture_server_play(new, script, 2);
	ask(u, VIEW_LEGACY, CLIENT_MASK, true);
}

static bool asked(void *arg)
{
	struct fixture_user *u = arg;

	return u->client.out.len > 0 || u->client.ends;
}

static void await_question(struct fixture_user *u)
{
	cr_assert(fixture_run(proxy.loop, asked, u));
	cr_assert_eq(u->client.ends, 0u, "%.*s",
	             SPAN_ARG(buf_span(&u->client.out)));
}

/* The n-th message that it got is a question: its sealed id, opened. */
static struct sealed question(const struct fixture_user *u, size_t n,
                              struct sealed_room *room)
{
	struct span text = fixture_client_message(&u->client, n), id;
	struct sealed s = { .kind = 0 };

	cr_assert(value_string_plain(value_get(text, SPAN("id")), &id),
	          "%zu: %.*s", n, SPAN_ARG(text));
	cr_assert_eq(sealed_read(snap, SPAN("ann"), SEALED_BIT(SEALED_INPUT),
	                         id, clock_utc_ms() / 1000, &s, room),
	             SEALED_OK);
	return s;
}

static void answer(const struct fixture_user *u, size_t n, const char *result)
{
	struct sealed_room room;
	struct sealed s = question(u, n, &room);

	waiting_answer(&proxy, &s,
	               result ? span_str(result) : span_of(NULL, 0));
	sealed_free(&room);
}

#define BOTH                                                   \
	INPUT(REQUESTS(ONE("a", "elicitation/create") "," ONE( \
		"b\\u0022\\\\", "roots/list")) STATE("\"s\\u0041\\n\""))

/* However the result comes. */
Test(waiting, a_client_is_asked_and_its_answers_go_back)
{
	static const struct fixture_answer ways[] = {
		{ .body = BOTH },
		{ .body = BOTH, .chunked = true },
		{ .body = BOTH, .piece = 1 },
		{ .body = BOTH, .chunked = true, .piece = 7 },
		{ .body = "data: " BOTH "\n\n", .fields = TYPE_EVENTS },
		{ .body = "data: " BOTH "\n\n",
		  .fields = TYPE_EVENTS,
		  .chunked = true,
		  .piece = 5 },
		{ .raw = STREAM "data: " BOTH "\n\n", .then = THEN_CLOSE },
		{ .raw = STREAM "data: " BOTH "\n\n", .then = THEN_SILENT },
	};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct fixture_user *u = &users[0];

		ask_new(u, ways[i]);
		await_question(u);
		cr_expect_eq(fixture_client_count(&u->client), 2u, "%zu", i);
		/* Out of order, and one of them twice. */
		answer(u, 1, "{\"roots\":[]}");
		answer(u, 1, "{\"roots\":[1]}");
		fixture_pause(proxy.loop, 1);
		cr_expect_eq(proxy.n_waiting, 1u);
		answer(u, 0, ACCEPT);
		await(u);
		cr_expect(fixture_has(fixture_client_last(&u->client),
		                      "\"result\":{\"content\":[]}"),
		          "%zu: %.*s", i, SPAN_ARG(buf_span(&u->client.out)));
		cr_expect_eq(fixture_server_requests(new), 2 * (i + 1));
		struct span body = fixture_server_body(new, 2 * i + 1);
		cr_expect(fixture_has(body,
		                      ",\"inputResponses\":{\"a\":" ACCEPT
		                      ",\"b\\u0022\\\\\":{\"roots\":[]}},"
		                      "\"requestState\":\"s\\u0041\\n\"}}"),
		          "%.*s", SPAN_ARG(body));
		cr_expect_eq(proxy.n_waiting, 0u);
	}
}

/* A backend that says it twice in one piece asked once. */
Test(waiting, a_backend_that_goes_on_after_it_asked)
{
	static const char *const behind[] = {
		EVENT(BOTH),
		EVENT(INPUT(STATE("\"x\""))),
		EVENT(RESULT),
		EVENT("{}"),
		EVENT("junk"),
		EVENT("{\"jsonrpc\":\"2.0\",\"method\":"
		      "\"notifications/message\",\"params\":{\"level\":"
		      "\"error\"}}"),
	};
	struct buf text = { .max = 1 << 16 };

	for (size_t i = 0; i < ARRAY_LEN(behind); i++) {
		struct fixture_user *u = &users[0];

		buf_reset(&text);
		buf_puts(&text, STREAM EVENT(BOTH));
		buf_puts(&text, behind[i]);
		buf_putc(&text, '\0');
		ask_new(u, (struct fixture_answer){ .raw = text.bytes,
		                                    .then = THEN_SILENT });
		await_question(u);
		cr_expect_eq(fixture_client_count(&u->client), 2u, "%zu", i);
		answer(u, 0, "{}");
		answer(u, 1, "{}");
		await(u);
		cr_expect(fixture_has(fixture_client_last(&u->client),
		                      "\"result\""),
		          "%zu: %.*s", i, SPAN_ARG(buf_span(&u->client.out)));
	}
	buf_free(&text);
}

static void add_many(struct buf *out, const char *format, int n)
{
	for (int i = 0; i < n; i++) {
		buf_puts(out, i ? "," : "");
		buf_addf(out, "\"k%d\":{\"method\":\"%s\"}", i, format);
	}
}

Test(waiting, so_many_requests_at_once)
{
	for (int n = WAITING_QUESTIONS_MAX - 1; n < WAITING_QUESTIONS_MAX + 3;
	     n++) {
		struct buf text = { .max = 1 << 16 };
		struct fixture_user *u = &users[0];
		bool good = n <= WAITING_QUESTIONS_MAX;

		buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
		                "\"resultType\":\"input_required\","
		                "\"inputRequests\":{");
		add_many(&text, "roots/list", n);
		buf_add(&text, "}}}", 4);
		ask_new(u, (struct fixture_answer){ .body = text.bytes });
		cr_assert(fixture_run(proxy.loop, asked, u));
		cr_expect_eq(u->client.ends, good ? 0u : 1u, "%d", n);
		if (good)
			cr_expect_eq(fixture_client_count(&u->client),
			             (size_t)n);
		else
			cr_expect(fixture_has(fixture_client_last(&u->client),
			                      "asks too much"));
		fixture_user_leave(u);
		buf_free(&text);
	}
}

Test(waiting, a_key_has_a_limit)
{
	for (size_t len = 256; len <= 257; len++) {
		struct buf text = { .max = 1 << 16 };
		struct fixture_user *u = &users[0];

		buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
		                "\"resultType\":\"input_required\","
		                "\"inputRequests\":{\"");
		memset(buf_reserve(&text, len - 2), 'k', len - 2);
		buf_commit(&text, len - 2);
		buf_puts(&text, "\":{\"method\":\"roots/list\"}}}}");
		buf_putc(&text, '\0');
		ask_new(u, (struct fixture_answer){ .body = text.bytes });
		cr_assert(fixture_run(proxy.loop, asked, u));
		cr_expect_eq(u->client.ends, len > 256 ? 1u : 0u);
		if (len <= 256) {
			answer(u, 0, "{}");
			await(u);
			cr_expect(fixture_has(fixture_server_body(new, 1),
			                      "kkk\":{}}"));
		}
		fixture_user_leave(u);
		buf_free(&text);
	}
}

/* What cannot be asked ends the call, and what was asked is withdrawn. */
Test(waiting, results_that_do_not_hold)
{
	static const struct {
		const char *body, *why;
	} rows[] = {
		{ INPUT(""), "does not say which" },
		{ INPUT(REQUESTS("")), "does not say which" },
		{ INPUT(",\"inputRequests\":[]"), "no object" },
		{ INPUT(",\"inputRequests\":null"), "no object" },
		{ INPUT(REQUESTS("\"a\":1")), "does not hold" },
		{ INPUT(REQUESTS("\"a\":{}")), "has not declared" },
		{ INPUT(REQUESTS(ONE("a", "tools/call"))), "has not declared" },
		{ INPUT(REQUESTS(ONE("a", "roots/list") "," ONE("b", "x"))),
		  "has not declared" },
		{ INPUT(STATE("7")), "requestState is no string" },
		{ INPUT(STATE("null")), "requestState is no string" },
		{ INPUT(REQUESTS(ONE("a", "roots/list")) STATE("{}")),
		  "requestState is no string" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture_user *u = &users[0];

		ask_new(u, (struct fixture_answer){ .body = rows[i].body });
		await(u);
		cr_expect(fixture_has(fixture_client_last(&u->client),
		                      rows[i].why),
		          "%zu: %.*s", i, SPAN_ARG(buf_span(&u->client.out)));
		cr_expect_eq(proxy.n_waiting, 0u);
	}
}

Test(waiting, a_state_has_a_limit)
{
	for (size_t len = WAITING_STATE_MAX; len <= WAITING_STATE_MAX + 1;
	     len++) {
		struct buf text = { .max = 1 << 20 };
		struct fixture_user *u = &users[0];

		buf_puts(&text, "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
		                "\"resultType\":\"input_required\","
		                "\"requestState\":\"");
		memset(buf_reserve(&text, len - 2), 's', len - 2);
		buf_commit(&text, len - 2);
		buf_add(&text, "\"}}", 4);
		ask_new(u, (struct fixture_answer){ .body = text.bytes });
		await(u);
		cr_expect_eq(fixture_has(fixture_client_last(&u->client),
		                         "too long"),
		             len > WAITING_STATE_MAX);
		buf_free(&text);
	}
}

Test(waiting, a_client_without_a_stream_is_not_asked)
{
	script[0] = (struct fixture_answer){ .body = INPUT(STATE("\"s\"")) };
	fixture_server_play(new, script, 1);
	ask(&users[0], VIEW_LEGACY, CLIENT_MASK, false);
	await(&users[0]);
	cr_expect(fixture_has(fixture_client_last(&users[0].client),
	                      "takes no event stream"));
	cr_expect_eq(proxy.n_waiting, 0u);
}

Test(waiting, so_many_rounds)
{
	struct fixture_user *u = &users[0];
	size_t n = 0;

	script[0] = (struct fixture_answer){ .body = INPUT(REQUESTS(
						     ONE("a", "roots/list"))) };
	fixture_server_play(new, script, 1);
	ask(u, VIEW_LEGACY, CLIENT_MASK, true);
	while (!u->client.ends) {
		struct sealed_room room;
		struct sealed s, before;

		cr_assert(fixture_run(proxy.loop, asked, u));
		if (u->client.ends || fixture_client_count(&u->client) == n) {
			fixture_pause(proxy.loop, 1);
			continue;
		}
		s = question(u, n, &room);
		cr_expect_eq(s.round, n + 1);
		/* Of another round, another call, another key: nobody's. */
		before = s;
		before.round--;
		waiting_answer(&proxy, &before, SPAN("{}"));
		before = s;
		before.call++;
		waiting_answer(&proxy, &before, SPAN("{}"));
		before = s;
		before.texts[0] = SPAN("\"b\"");
		waiting_answer(&proxy, &before, SPAN("{}"));
		cr_expect_eq(fixture_server_requests(new), n + 1);
		sealed_free(&room);
		answer(u, n++, "{}");
	}
	cr_expect_eq(n, (size_t)WAITING_ROUNDS_MAX);
	cr_expect(fixture_has(fixture_client_last(&u->client),
	                      "again and again"));
}

Test(waiting, a_client_that_refuses)
{
	static const struct {
		const char *body, *result, *sends, *says;
	} rows[] = {
		{ INPUT(REQUESTS(ONE("a", "elicitation/create"))), NULL,
		  "{\"a\":{\"action\":\"cancel\"}}", "\"result\"" },
		{ INPUT(REQUESTS(ONE("a", "elicitation/create"))), "[]",
		  "{\"a\":{\"action\":\"cancel\"}}", "\"result\"" },
		{ INPUT(REQUESTS(ONE("a", "roots/list"))), NULL, NULL,
		  "refused to answer" },
		{ INPUT(REQUESTS(
			  ONE("a", "roots/list") "," ONE("b", "roots/list"))),
		  NULL, NULL, "refused to answer" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture_user *u = &users[0];
		size_t before = fixture_server_requests(new);

		ask_new(u, (struct fixture_answer){ .body = rows[i].body });
		await_question(u);
		answer(u, 0, rows[i].result);
		await(u);
		cr_expect(fixture_has(fixture_client_last(&u->client),
		                      rows[i].says),
		          "%zu: %.*s", i, SPAN_ARG(buf_span(&u->client.out)));
		cr_expect_eq(fixture_server_requests(new) - before,
		             rows[i].sends ? 2u : 1u);
		if (rows[i].sends)
			cr_expect(fixture_has(
				fixture_server_body(new, before + 1),
				rows[i].sends));
		/* The other question is withdrawn. */
		cr_expect_eq(fixture_has(buf_span(&u->client.out),
		                         "notifications/cancelled"),
		             i == 3);
		/* The call is over: what comes now is nobody's. */
		answer(u, 0, "{}");
	}
}

Test(waiting, a_client_that_does_not_answer)
{
	struct fixture_user *u = &users[0];

	settings.interactive_timeout = 30;
	build();
	ask_new(u, (struct fixture_answer){ .body = BOTH });
	await_question(u);
	answer(u, 1, "{}");
	await(u);
	cr_expect_eq(fixture_client_count(&u->client), 4u,
	             "two questions, one withdrawn, the error");
	cr_expect(fixture_has(fixture_client_last(&u->client),
	                      "interactive_timeout"));
	answer(u, 0, "{}");
	cr_expect_eq(fixture_server_requests(new), 1u);
}

/* The client leaves while it is asked, or while a state is tried again, or
 * while the call is made again. */
Test(waiting, a_client_that_leaves)
{
	static const char *const bodies[] = { BOTH, INPUT(STATE("\"s\"")),
		                              BOTH };

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct fixture_user *u = &users[0];

		ask_new(u, (struct fixture_answer){ .body = bodies[i] });
		while (!proxy.n_waiting)
			fixture_pause(proxy.loop, 1);
		if (i == 2) {
			answer(u, 0, "{}");
			answer(u, 1, "{}");
		}
		fixture_user_leave(u);
		cr_expect_eq(proxy.n_waiting, 0u);
		fixture_pause(proxy.loop, 20);
	}
}

Test(waiting, a_request_and_its_digest)
{
	static const struct {
		const char *method, *name, *arguments;
	} rows[] = {
		{ "a", "b", "{}" }, { "a", "b", "" },    { "ab", "", "{}" },
		{ "", "ab", "{}" }, { "b", "a", "{}" },  { "a", "{}", "b" },
		{ "", "", "" },     { "a", "b", "{ }" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t j = 0; j < ARRAY_LEN(rows); j++)
			cr_expect_eq(
				waiting_digest(span_str(rows[i].method),
			                       span_str(rows[i].name),
			                       span_str(rows[i].arguments)) ==
					waiting_digest(
						span_str(rows[j].method),
						span_str(rows[j].name),
						span_str(rows[j].arguments)),
				i == j, "%zu %zu", i, j);
}
