#include "worker/resume.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/value.h"
#include "tests/unit/fixture_worker.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"

static uint8_t keys[2][32] = { { 1 }, { 2 } };
static bool has_previous;
static struct settings settings;
static struct fixture_setup setups[2];
static struct fixture_server *server;
static struct worker *w;
static struct fixture_caller caller;

static void more(struct builder *b)
{
	memcpy(builder_header(b)->session_keys, keys, sizeof(keys));
	builder_header(b)->has_previous_key = has_previous;
}

static void build(void)
{
	fixture_worker_build(&w, fixture_snapshot(setups, 2, &settings, more));
}

static void begin(void)
{
	static const struct fixture_answer result = {
		.body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
			"\"resultType\":\"complete\"}}"
	};

	cr_assert_eq(crypto_init(), 0);
	fixture_settings(&settings);
	settings.auth_enabled = 0;
	settings.breaker_failures = 100000;
	for (size_t i = 0; i < 2; i++)
		setups[i] = (struct fixture_setup){
			.name = i ? "c" : "b",
			.flags = BACKEND_NAMESPACE,
			.eras = ERA_MODERN,
			.items = { [VIEW_MODERN] = { ITEM("t") ITEM("u") } },
		};
	build();
	server = fixture_server_new(w->loop);
	fixture_server_play(server, &result, 1);
	for (size_t i = 0; i < 2; i++)
		setups[i].port = fixture_server_port(server);
	build();
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_server_free(server);
	fixture_worker_free(w);
}

TestSuite(resume, .init = begin, .fini = end, .timeout = 60);

static void post(const char *fields, const char *body)
{
	char *text = fixture_post(fields, body);

	fixture_ask_anew(&caller, w, text);
	free(text);
}

/* Call a tool with these members more. */
static struct span call(const char *tool, const char *params)
{
	char fields[256], *body;

	snprintf(fields, sizeof(fields),
	         "MCP-Protocol-Version: 2026-07-28\r\n"
	         "Mcp-Method: tools/call\r\nMcp-Name: %s\r\n",
	         tool);
	cr_assert_gt(asprintf(&body,
	                      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
	                      "\"tools/call\",\"params\":{\"name\":\"%s\","
	                      "%s,\"_meta\":{" FIXTURE_META "}}}",
	                      tool, params),
	             0);
	post(fields, body);
	free(body);
	return fixture_answer_body(&caller, 0);
}

#define ARGUMENTS "\"arguments\":{\"a\":1}"

static struct span call_with(const char *tool, const char *state)
{
	char *params;
	struct span answer;

	cr_assert_gt(asprintf(&params,
	                      ARGUMENTS ",\"inputResponses\":{\"k\":{}},"
	                                "\"requestState\":\"%s\"",
	                      state),
	             0);
	answer = call(tool, params);
	free(params);
	return answer;
}

static struct sealed state_of(enum sealed_kind kind, const char *text)
{
	return (struct sealed){
		.kind = kind,
		.backend = sealed_backend(w->snap, 0),
		.digest = waiting_digest(SPAN("tools/call"), SPAN("t"),
		                         SPAN("{\"a\":1}")),
		.texts = { span_str(text) },
		.place = { .instance = w->board->instance,
		           .born_ms = atomic_load(&w->me->started_ms) },
	};
}

/* ---- requests ---- */

Test(resume, the_backends_own_state_goes_back_to_it)
{
	char *state = fixture_seal(
		w, state_of(SEALED_STATE, "\"own\\u0020one\""), "anonymous");

	cr_expect(fixture_has(call_with("b_t", state),
	                      "\"resultType\":\"complete\""));
	cr_expect(fixture_has(fixture_server_body(server, 0),
	                      ",\"inputResponses\":{\"k\":{}},\"requestState\":"
	                      "\"own\\u0020one\","),
	          "%.*s", SPAN_ARG(fixture_server_body(server, 0)));
	/* A state that only marks where a call begins anew. */
	free(state);
	state = fixture_seal(w, state_of(SEALED_STATE, ""), "anonymous");
	call_with("b_t", state);
	cr_expect_not(
		fixture_has(fixture_server_body(server, 1), "inputResponses"));
	cr_expect_not(
		fixture_has(fixture_server_body(server, 1), "requestState"));
	free(state);
}

Test(resume, states_that_do_not_hold)
{
	struct sealed good = state_of(SEALED_STATE, "\"s\"");
	struct sealed expired = good, other_backend = good, other = good;
	struct sealed session = good, question = good, over = good;

	expired.expires_s = clock_utc_ms() / 1000 - 1;
	other_backend.backend++;
	other.digest++;
	session.kind = SEALED_SESSION;
	question.kind = SEALED_INPUT;
	over.kind = SEALED_PARKED;
	const struct {
		struct sealed s;
		const char *asker, *tool, *why; /* NULL: it is good */
	} rows[] = {
		{ good, "anonymous", "b_t", NULL },
		{ good, "ann", "b_t", "not what was given" },
		{ good, "", "b_t", "not what was given" },
		{ good, "anonymous", "b_u", "another request" },
		{ good, "anonymous", "c_t", "another request" },
		{ expired, "anonymous", "b_t", "expired" },
		{ other_backend, "anonymous", "b_t", "another request" },
		{ other, "anonymous", "b_t", "another request" },
		{ session, "anonymous", "b_t", "not what was given" },
		{ question, "anonymous", "b_t", "not what was given" },
		{ over, "anonymous", "b_t", "this call is over" },
	};
	size_t calls = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *state = fixture_seal(w, rows[i].s, rows[i].asker);
		struct span answer = call_with(rows[i].tool, state);

		calls += !rows[i].why;
		cr_expect(fixture_has(answer,
		                      rows[i].why ? rows[i].why : "complete"),
		          "%zu: %.*s", i, SPAN_ARG(answer));
		cr_expect_eq(fixture_server_requests(server), calls, "%zu", i);
		free(state);
	}
}

Test(resume, places_that_are_gone)
{
	struct sealed s = state_of(SEALED_PARKED, "");
	const struct place places[] = {
		{ .instance = w->board->instance + 1 },
		{ .instance = w->board->instance,
		  .born_ms = s.place.born_ms + 1 },
		{ .instance = w->board->instance, .worker = 200 },
		{ .instance = w->board->instance, .worker = UINT32_MAX },
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		s.place = places[i];
		char *state = fixture_seal(w, s, "anonymous");

		cr_expect(fixture_has(call_with("b_t", state), "has ended"),
		          "%zu", i);
		free(state);
	}
}

Test(resume, no_character_of_a_state_can_be_changed_or_cut)
{
	char *state =
		fixture_seal(w, state_of(SEALED_STATE, "\"s\""), "anonymous");

	for (size_t i = 0; state[i]; i++) {
		char was = state[i];

		state[i] = was == 'x' ? 'y' : 'x';
		cr_assert(fixture_has(call_with("b_t", state),
		                      "not what was given"),
		          "%zu", i);
		state[i] = '\0';
		cr_assert(fixture_has(call_with("b_t", state),
		                      "not what was given"),
		          "%zu", i);
		state[i] = was;
	}
	cr_expect_eq(fixture_server_requests(server), 0u);
	free(state);
}

Test(resume, members_of_other_types)
{
	static const char *const rows[][2] = {
		{ ARGUMENTS ",\"inputResponses\":[]", "must be an object" },
		{ ARGUMENTS ",\"inputResponses\":null", "must be an object" },
		{ ARGUMENTS ",\"requestState\":7", "must be what was given" },
		{ ARGUMENTS ",\"requestState\":null",
		  "must be what was given" },
		{ ARGUMENTS ",\"requestState\":\"\\u0067w2.\"",
		  "must be what was given" },
		{ ARGUMENTS ",\"requestState\":\"\"", "not what was given" },
		{ ARGUMENTS ",\"requestState\":\"gw2.\"",
		  "not what was given" },
		{ ARGUMENTS ",\"inputResponses\":{}", "complete" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span answer = call("b_t", rows[i][0]);

		cr_expect(fixture_has(answer, rows[i][1]), "%zu: %.*s", i,
		          SPAN_ARG(answer));
	}
}

Test(resume, keys_are_changed)
{
	char *state =
		fixture_seal(w, state_of(SEALED_STATE, "\"s\""), "anonymous");

	memcpy(keys[1], keys[0], sizeof(keys[0]));
	keys[0][0] = 99;
	build();
	cr_expect(fixture_has(call_with("b_t", state), "not what was given"));
	has_previous = true;
	build();
	cr_expect(fixture_has(call_with("b_t", state), "complete"));
	free(state);
}

/* ---- answers to questions ---- */

static void respond(const char *id, const char *member)
{
	char *body;

	cr_assert_gt(asprintf(&body, "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",%s}",
	                      id, member),
	             0);
	post("", body);
	cr_expect_eq(fixture_status(&caller, 0), 202);
	free(body);
}

static bool came(void *arg)
{
	return fixture_server_requests(server) >= *(size_t *)arg;
}

/* To the backend that asked, in its session, whoever has that name here. */
Test(resume, an_answer_goes_to_the_backend_that_asked)
{
	struct sealed q = { .kind = SEALED_QUESTION,
		            .backend = sealed_backend(w->snap, 1),
		            .texts = { SPAN("Mcp-Session-Id: s7\r\n"),
		                       SPAN("\"own\\u0041\"") } };
	struct sealed expired = q, gone = q, input = q;
	size_t n = 1;
	char *id = fixture_seal(w, q, "anonymous");

	fixture_server_legacy(server, true);
	respond(id, "\"result\":{\"x\" : 1}");
	cr_assert(fixture_run(w->loop, came, &n));
	cr_expect(fixture_has(fixture_server_request(server, 0),
	                      "\r\nMcp-Session-Id: s7\r\n"));
	cr_expect(span_is(fixture_server_body(server, 0),
	                  "{\"jsonrpc\":\"2.0\",\"id\":\"own\\u0041\","
	                  "\"result\":{\"x\" : 1}}"),
	          "%.*s", SPAN_ARG(fixture_server_body(server, 0)));
	n = 2;
	respond(id, "\"error\":{\"code\":-1,\"message\":\"no\"}");
	cr_assert(fixture_run(w->loop, came, &n));
	cr_expect(fixture_has(fixture_server_body(server, 1),
	                      "\"error\":{\"code\":-1,\"message\":\"no\"}}"));
	free(id);
	/* Answers nothing, and goes nowhere. */
	expired.expires_s = 1;
	gone.backend ^= 1;
	input.kind = SEALED_INPUT;
	const struct {
		struct sealed s;
		const char *asker;
	} rows[] = { { q, "ann" },
		     { expired, "anonymous" },
		     { gone, "anonymous" },
		     { input, "anonymous" },
		     { state_of(SEALED_STATE, "\"s\""), "anonymous" } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		id = fixture_seal(w, rows[i].s, rows[i].asker);
		respond(id, "\"result\":{}");
		free(id);
	}
	respond("", "\"result\":{}");
	respond("gw2.", "\"result\":{}");
	fixture_pause(w->loop, 20);
	cr_expect_eq(fixture_server_requests(server), 2u);
}

/* An answer to a question of a call that is over, here or elsewhere. */
Test(resume, an_answer_comes_too_late)
{
	struct sealed s = state_of(SEALED_INPUT, "\"k\"");

	for (uint64_t i = 0; i < 3; i++) {
		s.place.instance = w->board->instance + i;
		s.place.worker = (uint32_t)i * 400;
		char *id = fixture_seal(w, s, "anonymous");

		respond(id, "\"result\":{}");
		respond(id, "\"error\":{\"code\":1,\"message\":\"\"}");
		free(id);
	}
	cr_expect_eq(fixture_server_requests(server), 0u);
}
