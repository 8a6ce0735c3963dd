#include "worker/request.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/crypto.h"
#include "lib/value.h"
#include "tests/unit/fixture_worker.h"
#include "worker/stream.h"

#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define RPC(id, method, params)                                         \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"," \
	"\"params\":{" params "}}"
#define PING   RPC("1", "ping", "")
#define BEARER "Authorization: Bearer "

/* What the configuration says in a test. */
static struct {
	const char *hosts[4], *origins[4];
	const char *public_url, *server;
	bool required;
} with;

static struct settings settings;
static struct fixture_setup setups[2];
static struct worker *w;
static struct fixture_caller caller;

static struct ref list(struct builder *b, const char *const texts[4])
{
	struct ref refs[4];
	size_t n = 0;

	while (n < 4 && texts[n]) {
		refs[n] = builder_text(b, span_str(texts[n]));
		n++;
	}
	return builder_array(b, refs, n, sizeof(refs[0]));
}

static struct token_row token(struct builder *b, const char *text,
                              const char *client, unsigned scopes)
{
	struct token_row row = { .client_id = builder_text(b, span_str(client)),
		                 .subject = builder_text(b, SPAN("who")) };

	crypto_sha256(span_str(text), row.hash);
	for (unsigned i = 0; i < 3; i++)
		if (scopes >> i & 1)
			scope_set_add(&row.scopes, i);
	return row;
}

static void more(struct builder *b)
{
	static const char *const scopes[4] = { "a", "b", "c" };
	const char *const servers[4] = { with.server };
	struct token_row tokens[] = { token(b, "all", "root", 7),
		                      token(b, "base", "plain", 1),
		                      token(b, "other", "odd", 2) };
	struct scope_rule rule = { .pattern = builder_text(b, SPAN("b_x*")) };
	struct ref r = list(b, with.hosts);

	scope_set_add(&rule.needs, 2);
	builder_header(b)->allowed_hosts = r;
	r = list(b, with.origins);
	builder_header(b)->cors_origins = r;
	r = list(b, scopes);
	builder_header(b)->scopes = r;
	r = list(b, servers);
	builder_header(b)->authorization_servers = r;
	if (with.public_url) {
		r = builder_text(b, span_str(with.public_url));
		builder_header(b)->public_url = r;
	}
	if (with.required)
		scope_set_add(&builder_header(b)->required, 0);
	r = builder_array(b, tokens, ARRAY_LEN(tokens), sizeof(tokens[0]));
	builder_header(b)->tokens = r;
	r = builder_array(b, &rule, 1, sizeof(rule));
	builder_header(b)->scope_rules = r;
}

static void build(void)
{
	fixture_worker_build(&w, fixture_snapshot(setups, 1, &settings, more));
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.auth_enabled = 0;
	setups[0] = (struct fixture_setup){
		.name = "b",
		.flags = BACKEND_NAMESPACE,
		.eras = ERA_MODERN,
		.items = { [VIEW_MODERN] = { ITEM("t") ITEM("x1") } },
	};
	build();
	fixture_call(&caller, w);
}

static void end(void)
{
	fixture_hang_up(&caller);
	fixture_worker_free(w);
}

TestSuite(request, .init = begin, .fini = end, .timeout = 60);

/* Send and wait; the answer is the caller's first. */
static int ask(const char *text)
{
	fixture_hang_up(&caller);
	fixture_call(&caller, w);
	fixture_say(&caller, span_str(text), 0);
	fixture_await(&caller, 1);
	return fixture_status(&caller, 0);
}

static int post(const char *fields, const char *body)
{
	char *text = fixture_post(fields, body);
	int status = ask(text);

	free(text);
	return status;
}

static int code(void)
{
	int64_t n = 0;

	value_integer(value_get(value_get(fixture_answer_body(&caller, 0),
	                                  SPAN("error")),
	                        SPAN("code")),
	              &n);
	return (int)n;
}

static bool says(const char *text)
{
	struct span body = fixture_answer_body(&caller, 0);

	return memmem(body.at, body.len, text, strlen(text)) != NULL;
}

/* ---- Host and Origin ---- */

static const struct {
	const char *host, *origin; /* origin NULL: none */
	bool good;
} sources[] = {
	{ "localhost", NULL, true },
	{ "LocalHost:9000", NULL, true },
	{ "127.0.0.1:9000", NULL, true },
	{ "127.9.9.9", NULL, true },
	{ "[::1]:9000", NULL, true },
	{ "evil.example", NULL, false },
	{ "127.0.0.1.nip.io", NULL, false },
	{ "localhost.evil.example", NULL, false },
	{ "0.0.0.0", NULL, false },
	{ "169.254.169.254", NULL, false },
	{ "[::ffff:10.0.0.1]", NULL, false },
	{ "localhost", "http://localhost:3000", true },
	{ "localhost", "http://127.0.0.1", true },
	{ "localhost:9000", "http://localhost:9000", true },
	{ "localhost", "https://evil.example", false },
	{ "localhost", "http://localhost.evil.example", false },
	{ "localhost", "http://127.0.0.1.nip.io", false },
	{ "localhost", "null", false },
	{ "localhost", "", false },
	{ "localhost", "localhost", false },
	{ "localhost", "http:localhost", false },
	{ "localhost", "file://", false },
};

Test(request, host_and_origin_of_a_local_gateway)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		char text[1024];
		const char *o = sources[i].origin;
		int status;

		snprintf(text, sizeof(text),
		         "POST /mcp HTTP/1.1\r\nHost: %s\r\n%s%s%sContent-Type:"
		         " application/json\r\nContent-Length: %zu\r\n\r\n%s",
		         sources[i].host, o ? "Origin: " : "", o ? o : "",
		         o ? "\r\n" : "", strlen(PING), PING);
		status = ask(text);
		cr_expect_eq(status, sources[i].good ? 200 : 403, "row %zu: %d",
		             i, status);
		if (status == 403)
			cr_expect_eq(code(), RPC_FORBIDDEN);
		/* Who is refused may not read why from a page. */
		if (o && !sources[i].good)
			cr_expect_not(memmem(caller.in.bytes, caller.in.len,
			                     "Access-Control-Allow-Origin",
			                     27));
	}
}

Test(request, two_origins_are_refused)
{
	cr_expect_eq(post("Origin: http://localhost\r\n"
	                  "Origin: http://localhost\r\n",
	                  PING),
	             403);
}

Test(request, lists_of_hosts_and_origins)
{
	with.hosts[0] = "gw.example";
	with.hosts[1] = "gw2.example:444";
	with.origins[0] = "https://app.example";
	w->loopback_only = false;
	build();
	static const struct {
		const char *host, *origin;
		int status;
	} rows[] = {
		{ "gw.example", NULL, 200 },
		{ "GW.example:8443", NULL, 200 },
		{ "gw2.example:444", NULL, 200 },
		{ "gw2.example", NULL, 403 },
		{ "gw2.example:445", NULL, 403 },
		{ "localhost", NULL, 403 },
		{ "gw.example.", NULL, 403 },
		{ "gw.example", "https://app.example", 200 },
		{ "gw.example", "https://app.example:444", 403 },
		{ "gw.example", "http://app.example", 403 },
		{ "gw.example", "https://app.example.evil", 403 },
		{ "gw.example", "https://gw.example", 200 },
		{ "gw.example", "null", 403 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[1024];
		const char *o = rows[i].origin;

		snprintf(text, sizeof(text),
		         "POST /mcp HTTP/1.1\r\nHost: %s\r\n%s%s%sContent-Type:"
		         " application/json\r\nContent-Length: %zu\r\n\r\n%s",
		         rows[i].host, o ? "Origin: " : "", o ? o : "",
		         o ? "\r\n" : "", strlen(PING), PING);
		cr_expect_eq(ask(text), rows[i].status, "row %zu", i);
		if (o && rows[i].status == 200) {
			snprintf(text, sizeof(text),
			         "Access-Control-Allow-Origin: %s", o);
			cr_expect(fixture_has_line(&caller, 0, text));
			cr_expect(fixture_has_line(&caller, 0, "Vary: Origin"));
		}
	}
}

Test(request, preflight)
{
	with.origins[0] = "*";
	settings.auth_enabled = 1;
	build();
	cr_expect_eq(ask("OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\n"
	                 "Origin: https://app.example\r\n"
	                 "Access-Control-Request-Method: POST\r\n\r\n"),
	             204);
	cr_expect(fixture_has_line(
		&caller, 0,
		"Access-Control-Allow-Origin: https://app.example"));
	cr_expect(memmem(caller.in.bytes, caller.in.len, "Mcp-Session-Id", 14));
	cr_expect(memmem(caller.in.bytes, caller.in.len, "Authorization", 13));
	cr_expect_not(
		memmem(caller.in.bytes, caller.in.len, "Credentials", 11));
}

/* ---- what kind of request ---- */

static const struct {
	const char *text;
	int status;
	const char *line; /* of the answer's head */
} kinds[] = {
	{ "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: "
	  "text/event-stream\r\n\r\n",
	  405, "Allow: POST, OPTIONS" },
	{ "DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: x\r\n"
	  "\r\n",
	  404, NULL },
	{ "DELETE /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 405,
	  "Allow: POST, OPTIONS" },
	{ "GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: x\r\n"
	  "Accept: text/event-stream\r\n\r\n",
	  404, NULL },
	{ "GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: x\r\n"
	  "Accept: application/json\r\n\r\n",
	  406, NULL },
	{ "PUT /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, NULL },
	{ "TRACE /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, NULL },
	{ "POST /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 405,
	  "Allow: GET, HEAD" },
	{ "POST /mcp/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, NULL },
	{ "POST /MCP HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, NULL },
	{ "POST /%6dcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, NULL },
	{ "POST //mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, NULL },
	{ "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404,
	  "Content-Type: application/json" },
	{ "GET /health HTTP/1.1\r\nHost: any.name\r\n\r\n", 200, NULL },
	{ "POST /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 415, NULL },
};

Test(request, paths_and_methods)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		int status = ask(kinds[i].text);

		cr_expect_eq(status, kinds[i].status, "row %zu: %d", i, status);
		if (kinds[i].line)
			cr_expect(fixture_has_line(&caller, 0, kinds[i].line),
			          "row %zu: %.*s", i,
			          SPAN_ARG(fixture_answer_head(&caller, 0)));
	}
}

static const struct {
	const char *type, *more;
	int status;
} types[] = {
	{ "application/json", "", 200 },
	{ "Application/JSON; charset=UTF-8", "", 200 },
	{ "text/plain", "", 415 },
	{ "application/x-www-form-urlencoded", "", 415 },
	{ "multipart/form-data; boundary=application/json", "", 415 },
	{ "application/jsonx", "", 415 },
	{ "application/json; charset=utf-16", "", 415 },
	{ "application/json", "Content-Type: application/json\r\n", 415 },
	{ "application/json", "Content-Encoding: gzip\r\n", 415 },
	{ "application/json", "Content-Encoding: identity\r\n", 200 },
	{ "application/json", "Accept: */*\r\n", 200 },
	{ "application/json", "Accept: application/json\r\n", 200 },
	{ "application/json", "Accept: text/html\r\n", 406 },
	{ "application/json",
	  "Accept: application/json;q=0, text/event-stream;q=0\r\n", 406 },
};

Test(request, types)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		char text[1024];
		int status;

		snprintf(text, sizeof(text),
		         "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
		         "Content-Type: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
		         types[i].type, types[i].more, strlen(PING), PING);
		status = ask(text);
		cr_expect_eq(status, types[i].status, "row %zu: %d", i, status);
	}
}

Test(request, ids_of_requests)
{
	post("X-Request-Id: abc-1.2_3\r\n", PING);
	cr_expect(fixture_has_line(&caller, 0, "X-Request-Id: abc-1.2_3"));
	post("X-Request-Id: a\"b\r\n", PING);
	cr_expect_not(fixture_has_line(&caller, 0, "X-Request-Id: a\"b"));
	post("X-Request-Id: 1234567890123456789012345678901234567890\r\n",
	     PING);
	cr_expect_not(fixture_has_line(
		&caller, 0,
		"X-Request-Id: 1234567890123456789012345678901234567890"));
}

/* ---- who asks ---- */

static const struct {
	const char *fields, *body;
	int status;
	const char *challenge; /* NULL: none */
} identities[] = {
	{ "", PING, 401,
	  "WWW-Authenticate: Bearer scope=\"a\", resource_"
	  "metadata=\"https://gw.example/.well-known/"
	  "oauth-protected-resource/p/mcp\"" },
	{ "", "this is no JSON", 401, "" },
	{ BEARER "nobody\r\n", PING, 401,
	  "WWW-Authenticate: Bearer error=\"invalid_token\", error_"
	  "description=\"The token is not known here\", scope=\"a\", "
	  "resource_metadata=\"https://gw.example/.well-known/"
	  "oauth-protected-resource/p/mcp\"" },
	{ "Authorization: Basic YTpi\r\n", PING, 401, "" },
	{ "Authorization: Bearer\r\n", PING, 401, "" },
	{ BEARER "all\r\n" BEARER "all\r\n", PING, 401, "" },
	{ BEARER "all, base\r\n", PING, 401, "" },
	{ BEARER "ALL\r\n", PING, 401, "" },
	{ "X: y\r\nCookie: token=all\r\n", PING, 401, "" },
	{ BEARER "all\r\n", PING, 200, NULL },
	{ "authorization: bearer   all \r\n", PING, 200, NULL },
	{ BEARER "base\r\n", PING, 200, NULL },
	/* a scope that everything needs */
	{ BEARER "other\r\n", PING, 403,
	  "WWW-Authenticate: Bearer error=\"insufficient_scope\", error_"
	  "description=\"The token lacks a scope that every request needs\", "
	  "scope=\"a\", resource_metadata=\"https://gw.example/.well-known/"
	  "oauth-protected-resource/p/mcp\"" },
	/* a scope that this tool needs: named with those that all need */
	{ BEARER "base\r\n", RPC("1", "tools/call", "\"name\":\"b_x1\""), 403,
	  "WWW-Authenticate: Bearer error=\"insufficient_scope\", error_"
	  "description=\"The token lacks a scope that this needs\", "
	  "scope=\"a c\", resource_metadata=\"https://gw.example/.well-known/"
	  "oauth-protected-resource/p/mcp\"" },
};

Test(request, challenges)
{
	settings.auth_enabled = 1;
	with.required = true;
	with.server = "https://as.example";
	with.public_url = "https://gw.example/p/mcp";
	build();
	for (size_t i = 0; i < ARRAY_LEN(identities); i++) {
		const char *want = identities[i].challenge;
		int status = post(identities[i].fields, identities[i].body);

		cr_expect_eq(status, identities[i].status, "row %zu: %d", i,
		             status);
		cr_expect_eq(memmem(caller.in.bytes, caller.in.len,
		                    "WWW-Authenticate: Bearer", 24) != NULL,
		             want != NULL, "row %zu", i);
		if (want && *want)
			cr_expect(fixture_has_line(&caller, 0, want),
			          "row %zu: %.*s", i,
			          SPAN_ARG(fixture_answer_head(&caller, 0)));
		if (status == 401) {
			cr_expect_eq(code(), RPC_UNAUTHORIZED);
			cr_expect_not(says("nobody"));
		}
	}
	/* In a query there is no token. */
	cr_expect_eq(ask("POST /mcp?access_token=all HTTP/1.1\r\nHost: l\r\n"
	                 "Content-Type: application/json\r\n"
	                 "Content-Length: 0\r\n\r\n"),
	             401);
}

/* The list shows what may be called, and nothing else may be. */
Test(request, lists_and_calls_agree)
{
	settings.auth_enabled = 1;
	build();
	cr_expect_eq(post(BEARER "base\r\n", RPC("1", "tools/list", "")), 200);
	cr_expect(says("b_t"));
	cr_expect_not(says("b_x1"));
	cr_expect_eq(post(BEARER "all\r\n", RPC("1", "tools/list", "")), 200);
	cr_expect(says("b_x1"));
	cr_expect_eq(post(BEARER "base\r\n",
	                  RPC("1", "tools/call", "\"name\":\"b_x1\"")),
	             403);
	cr_expect_eq(post(BEARER "all\r\n",
	                  RPC("1", "tools/call", "\"name\":\"b_x1\"")),
	             200);
	cr_expect_eq(code(), RPC_INTERNAL); /* its backend has no address */
}

/* ---- what the gateway answers itself ---- */

Test(request, initialize_of_every_revision)
{
	static const char *const rows[][2] = {
		{ "2025-03-26", "2025-03-26" }, { "2025-06-18", "2025-06-18" },
		{ "2025-11-25", "2025-11-25" }, { "2024-11-05", "2025-11-25" },
		{ "2026-07-28", "2025-11-25" }, { "", "2025-11-25" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char body[256], want[64];

		snprintf(body, sizeof(body),
		         RPC("0", "initialize", "\"protocolVersion\":\"%s\""),
		         rows[i][0]);
		cr_expect_eq(post("", body), 200);
		snprintf(want, sizeof(want), "\"protocolVersion\":\"%s\"",
		         rows[i][1]);
		cr_expect(says(want), "row %zu", i);
		cr_expect(says("\"tools\":{\"listChanged\":true}"));
		cr_expect_not(says("\"subscribe\""));
	}
}

#define K    "io.modelcontextprotocol/"
#define META "\"_meta\":{" FIXTURE_META "}"
#define NEW(method) \
	"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " method "\r\n"

Test(request, small_methods)
{
	cr_expect_eq(post("", RPC("\"x\"", "ping", "")), 200);
	cr_expect(span_is(fixture_answer_body(&caller, 0),
	                  "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}"));
	cr_expect_eq(
		post("", RPC("1", "logging/setLevel", "\"level\":\"error\"")),
		200);
	cr_expect_eq(code(), 0);
	cr_expect_eq(
		post("", RPC("1", "logging/setLevel", "\"level\":\"loud\"")),
		200);
	cr_expect_eq(code(), RPC_INVALID_PARAMS);
	cr_expect_eq(
		post(NEW("server/discover"), RPC("1", "server/discover", META)),
		200);
	cr_expect(says("\"supportedVersions\":[\"2026-07-28\"]"));
	cr_expect(says("\"resultType\":\"complete\""));
	cr_expect(says("\"ttlMs\":"));
	cr_expect_eq(post(NEW("ping"), RPC("1", "ping", META)), 404);
	cr_expect_eq(code(), RPC_NO_METHOD);
	/* Nobody offers prompts of either era. */
	cr_expect_eq(post("", "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}"), 202);
	cr_expect_eq(fixture_answer_body(&caller, 0).len, 0u);
	cr_expect_eq(post("", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"),
	             202);
	/* The id of a refused response is none of ours. */
	cr_expect_eq(post("MCP-Protocol-Version: 1999-01-01\r\n",
	                  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"),
	             400);
	cr_expect_not(says("\"id\""));
	cr_expect_eq(post("", "[]"), 400);
	cr_expect_eq(code(), RPC_INVALID_REQUEST);
	cr_expect_eq(post("", "{"), 400);
	cr_expect_eq(code(), RPC_PARSE);
	/* As the revision has it that the head tells. */
	cr_expect(says("\"id\":null"));
	cr_expect_eq(post("MCP-Protocol-Version: 2025-11-25\r\n", "{"), 400);
	cr_expect_not(says("\"id\""));
	cr_expect_eq(post("", RPC("5", "tools/call", "\"name\":\"zz\"")), 200);
	cr_expect_eq(code(), RPC_INVALID_PARAMS);
	cr_expect(says("\"id\":5"));
}

static bool has_bytes(void *arg)
{
	struct buf *in = &caller.in;

	return in->len && memmem(in->bytes, in->len, arg, strlen(arg));
}

Test(request, a_subscription_hears_of_changes_and_of_the_end)
{
	char *text = fixture_post(NEW("subscriptions/listen"),
	                          RPC("\"s\"", "subscriptions/listen",
	                              "\"notifications\":{\"toolsListChanged\":"
	                              "true,\"x\":1}," META));

	fixture_say(&caller, span_str(text), 0);
	cr_assert(
		fixture_run(w->loop, has_bytes,
	                    (void *)(uintptr_t) "\"notifications\":"
	                                        "{\"toolsListChanged\":true}"));
	cr_expect(has_bytes((void *)(uintptr_t)K "subscriptionId\":\"s\""));
	cr_expect(has_bytes((void *)(uintptr_t) "X-Accel-Buffering: no\r\n"));
	cr_expect_not(has_bytes((void *)(uintptr_t) "list_changed"));
	setups[0].items[VIEW_MODERN][LIST_TOOLS] = ITEM("t");
	build();
	cr_assert(fixture_run(w->loop, has_bytes,
	                      (void *)(uintptr_t) "notifications/tools/"
	                                          "list_changed"));
	stream_end_all(w);
	fixture_await(&caller, 1);
	cr_expect(says("\"result\":{\"resultType\":\"complete\""));
	free(text);
}

/* ---- what stays of a request ---- */

Test(request, calls_are_recorded)
{
	struct audit_row row;

	settings.auth_enabled = 1;
	build();
	post(BEARER "base\r\nX-Request-Id: r-1\r\n",
	     RPC("1", "tools/call", "\"name\":\"b_x1\""));
	cr_assert(board_audit_get(w->board, 0, &row));
	cr_expect_str_eq(row.request_id, "r-1");
	cr_expect_str_eq(row.tool, "b_x1");
	cr_expect_str_eq(row.backend, "b");
	cr_expect_str_eq(row.client_id, "plain");
	cr_expect_str_eq(row.subject, "who");
	cr_expect_eq(row.status, 403);
	cr_expect_eq(row.outcome, (uint32_t)OUTCOME_UNAUTHORIZED);
	post(BEARER "all\r\nX-Request-Id: r-2\r\n",
	     RPC("1", "tools/call", "\"name\":\"b_t\""));
	cr_assert(board_audit_get(w->board, 0, &row));
	cr_expect_str_eq(row.request_id, "r-2");
	cr_expect_eq(row.outcome, (uint32_t)OUTCOME_UNAVAILABLE);
	cr_expect_str_eq(row.client_id, "root");
	cr_expect_eq(row.status, 200);
	cr_expect_not_null(strstr(row.error, "Backend b"));
}
