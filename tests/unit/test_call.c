#include "proxy/call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/version.h"
#include "proxy/catalog.h"
#include "tests/unit/fixture_proxy.h"

#define K "io.modelcontextprotocol/"
#define ITEM(name) \
	"{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}},"
#define MIRRORED                                                        \
	"{\"name\":\"m\",\"inputSchema\":{\"type\":\"object\","         \
	"\"properties\":{"                                              \
	"\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}," \
	"\"count\":{\"type\":\"integer\",\"x-mcp-header\":\"Count\"},"  \
	"\"dry\":{\"type\":\"boolean\",\"x-mcp-header\":\"Dry-Run\"},"  \
	"\"o\":{\"type\":\"object\",\"properties\":{\"deep\":{"         \
	"\"type\":\"string\",\"x-mcp-header\":\"Deep\"}}}}}},"
#define OFFER                                                               \
	{                                                                   \
		[LIST_TOOLS] = ITEM("t") ITEM("a b/\xe6\x97\xa5") MIRRORED, \
		[LIST_PROMPTS] = "{\"name\":\"p\"},",                       \
		[LIST_RESOURCES] = "{\"uri\":\"x://r\",\"name\":\"r\"},",   \
		[LIST_TEMPLATES] = "{\"uriTemplate\":\"x://h/{id}/end\","   \
				   "\"name\":\"w\"},",                      \
	}

static struct fixture_setup setups[] = {
	{ .name = "new",
	  .flags = BACKEND_NAMESPACE,
	  .eras = ERA_MODERN,
	  .items = { [VIEW_MODERN] = OFFER } },
	{ .name = "old",
	  .flags = BACKEND_NAMESPACE,
	  .eras = ERA_LEGACY,
	  .items = { [VIEW_LEGACY] = OFFER },
	  .fields = "X-Key: secret\r\n" },
	{ .name = "flat",
	  .eras = ERA_MODERN | ERA_LEGACY,
	  .items = { [VIEW_MODERN] = { ITEM("plain") },
	             [VIEW_LEGACY] = { ITEM("plain") } } },
	{ .name = "dead",
	  .flags = BACKEND_NAMESPACE,
	  .eras = 0,
	  .items = { [VIEW_LEGACY] = { ITEM("t") } } },
};

static struct settings settings;
static struct snapshot *snap;
static struct proxy proxy;
static struct call call;
static struct fixture_client client;
static struct fixture_server *servers[2];

static void build(void)
{
	snapshot_unref(snap);
	snap = fixture_snapshot(setups, ARRAY_LEN(setups), &settings, NULL);
	upstream_adopt(proxy.up, snap);
}

static void begin(void)
{
	fixture_settings(&settings);
	settings.breaker_failures = 1000;
	fixture_proxy_begin(&proxy);
	proxy.next_id = 40;
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		servers[i] = fixture_server_new(proxy.loop);
		setups[i].port = fixture_server_port(servers[i]);
	}
	fixture_server_legacy(servers[1], true);
	build();
}

static void end(void)
{
	struct buf *bufs[] = { &call.body,      &call.fields,
		               &call.client_id, &call.client_token,
		               &call.in,        &call.out };

	call_cancel(&call);
	call_fini(&call);
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_free(bufs[i]);
	fixture_client_free(&client);
	for (size_t i = 0; i < ARRAY_LEN(servers); i++)
		fixture_server_free(servers[i]);
	fixture_proxy_end(&proxy);
	snapshot_unref(snap);
}

TestSuite(call, .init = begin, .fini = end, .timeout = 60);

/* ---- the way there ---- */

static bool find(enum view_era era, const char *method, const char *name,
                 const char *params, struct route *route, struct problem *why)
{
	struct h1_request request;
	struct message msg;

	fixture_ask(era, "1", method, name, params, "", &request, &msg);
	memset(route, 0x55, sizeof(*route));
	return call_route(snap, &msg, route, why);
}

static const struct {
	const char *method, *name, *params;
	const char *upstream; /* NULL: unknown */
	uint32_t backend;
	enum view_era modern, legacy; /* the era spoken, by the client's */
} routes[] = {
	{ "tools/call", "new_t", "\"name\":\"new_t\"", "t", 0, VIEW_MODERN,
	  VIEW_MODERN },
	{ "tools/call", "old_t", "\"name\":\"old_t\"", "t", 1, VIEW_LEGACY,
	  VIEW_LEGACY },
	{ "tools/call", "plain", "\"name\":\"pl\\u0061in\"", "plain", 2,
	  VIEW_MODERN, VIEW_LEGACY },
	{ "prompts/get", "old_p", "\"name\":\"old_p\"", "p", 1, VIEW_LEGACY,
	  VIEW_LEGACY },
	{ "resources/read", "x://new/r", "\"uri\":\"x://new/r\"", "x://r", 0,
	  VIEW_MODERN, VIEW_MODERN },
	/* by a template, and by a prefix that no list has */
	{ "resources/read", "x://new/h/5/end", "\"uri\":\"x://new/h/5/end\"",
	  "x://h/5/end", 0, VIEW_MODERN, VIEW_MODERN },
	{ "resources/read", "y://old/z?q", "\"uri\":\"y://old/z?q\"", "y://z?q",
	  1, VIEW_LEGACY, VIEW_LEGACY },
	{ "completion/complete", "",
	  "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"new_p\"}", "p", 0,
	  VIEW_MODERN, VIEW_MODERN },
	{ "completion/complete", "",
	  "\"ref\":{\"type\":\"ref/resource\",\"uri\":\"x://old/h/{id}/end\"}",
	  "x://h/{id}/end", 1, VIEW_LEGACY, VIEW_LEGACY },
	/* names that are none */
	{ "tools/call", "t", "\"name\":\"t\"", NULL, 0, 0, 0 },
	{ "tools/call", "NEW_t", "\"name\":\"NEW_t\"", NULL, 0, 0, 0 },
	{ "tools/call", "new_", "\"name\":\"new_\"", NULL, 0, 0, 0 },
	{ "tools/call", "new_p", "\"name\":\"new_p\"", NULL, 0, 0, 0 },
	{ "tools/call", "", "\"name\":\"\"", NULL, 0, 0, 0 },
	{ "prompts/get", "new_t", "\"name\":\"new_t\"", NULL, 0, 0, 0 },
	{ "resources/read", "x://r", "\"uri\":\"x://r\"", NULL, 0, 0, 0 },
	{ "resources/read", "x://flat/r", "\"uri\":\"x://flat/r\"", NULL, 0, 0,
	  0 },
	{ "completion/complete", "", "\"ref\":{\"type\":\"ref/tool\"}", NULL, 0,
	  0, 0 },
	{ "completion/complete", "", "\"ref\":7", NULL, 0, 0, 0 },
	{ "completion/complete", "",
	  "\"ref\":{\"type\":\"ref/prompt\",\"uri\":\"new_p\"}", NULL, 0, 0,
	  0 },
	{ "tools/call", "", "\"x\":1", NULL, 0, 0, 0 },
	{ "tools/call", "", "\"name\":7", NULL, 0, 0, 0 },
	{ "tools/call", "", "\"name\":null", NULL, 0, 0, 0 },
	{ "resources/read", "", "\"name\":\"x://new/r\"", NULL, 0, 0, 0 },
};

Test(call, routes_of_every_kind)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(routes); i++) {
		enum view_era era = i % 2 ? VIEW_MODERN : VIEW_LEGACY;
		const char *want = routes[i / 2].upstream;
		struct route r;
		struct problem why;
		bool found = find(era, routes[i / 2].method, routes[i / 2].name,
		                  routes[i / 2].params, &r, &why);

		cr_assert_eq(found, want != NULL, "row %zu: %s", i / 2,
		             found ? "found" : why.text);
		if (!found) {
			cr_expect_eq(why.code, RPC_INVALID_PARAMS, "row %zu",
			             i / 2);
			cr_expect_eq(why.status, 200);
			continue;
		}
		cr_expect(span_is(span_of(r.name, r.name_len), want),
		          "row %zu: %.*s", i / 2, (int)r.name_len, r.name);
		cr_expect_eq(r.backend, routes[i / 2].backend);
		cr_expect_eq(r.server, era == VIEW_MODERN
		                               ? routes[i / 2].modern
		                               : routes[i / 2].legacy);
		cr_expect_not(r.own);
	}
}

Test(call, own_tools_and_backends_that_have_not_answered)
{
	struct route r;
	struct problem why;

	cr_assert(find(VIEW_MODERN, "tools/call", "gateway_health",
	               "\"name\":\"gateway_health\"", &r, &why));
	cr_expect(r.own);
	cr_expect_eq(r.entry->backend, (uint32_t)OWN_HEALTH);
	cr_assert_not(find(VIEW_LEGACY, "tools/call", "dead_t",
	                   "\"name\":\"dead_t\"", &r, &why));
	cr_expect_eq(why.code, RPC_INTERNAL);
	cr_expect_eq(why.status, 200);
	cr_expect_not_null(strstr(why.text, "dead"));
}

Test(call, data_of_an_unknown_resource_is_its_uri)
{
	struct route r;
	struct problem why;
	char params[9000];

	cr_assert_not(find(VIEW_LEGACY, "resources/read", "",
	                   "\"uri\":\"a\\n\\\"b\"", &r, &why));
	cr_expect_str_eq(why.data, "{\"uri\":\"a\\n\\\"b\"}");
	/* Not when it is longer than there is room for. */
	snprintf(params, sizeof(params), "\"uri\":\"%0*d\"", 3000, 7);
	cr_assert_not(
		find(VIEW_LEGACY, "resources/read", "", params, &r, &why));
	cr_expect_str_eq(why.data, "");
	cr_expect_lt(strlen(why.text), sizeof(why.text));
	snprintf(params, sizeof(params), "\"uri\":\"%0*d\"", 8000, 7);
	cr_assert_not(
		find(VIEW_LEGACY, "resources/read", "", params, &r, &why));
	cr_expect_eq(why.code, RPC_INVALID_PARAMS);
}

/* ---- the message, written anew ---- */

static void start(enum view_era era, const char *method, const char *name,
                  const char *params, const char *meta)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct problem why;

	fixture_ask(era, "\"c1\"", method, name, params, meta, &request, &msg);
	cr_assert(call_route(snap, &msg, &route, &why), "%s", why.text);
	fixture_client_free(&client);
	fixture_client_init(&client, true, true);
	call.proxy = &proxy;
	call.reply = &client.reply;
	call.snap = snap;
	call_cancel(&call);
	call_fini(&call);
	proxy.next_id = 40;
	call_start(&call, &msg, &request.head, &route);
}

#define GATEWAY "{\"name\":\"oci-mcp-gateway\",\"version\":\"" VERSION "\"}"
#define TO_MODERN(info, capabilities, more)                                    \
	"\"_meta\":{\"" K "protocolVersion\":\"2026-07-28\",\"" K              \
	"clientInfo\":" info ",\"" K "clientCapabilities\":" capabilities more \
	"}"
#define SENT(method, params)                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":41,\"method\":\"" method "\"," \
	"\"params\":{" params "}}"
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define NAMED(method, name)                                              \
	"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " method "\r\n" \
	"Mcp-Name: " name "\r\n"
#define NAMED_TRACED(method, name) \
	NAMED(method, name) "traceparent: " TRACE "\r\n"
#define M VIEW_MODERN
#define L VIEW_LEGACY

static const struct {
	enum view_era era;
	const char *method, *name, *params, *meta;
	const char *body, *fields;
} composed[] = {
	/* modern to modern */
	{ M, "tools/call", "new_t",
	  "\"arguments\":{ \"a\" : [1, 2.50,\t9007199254740993 ],\"a\":0},"
	  "\"name\":\"new_t\"",
	  "",
	  SENT("tools/call",
	       "\"name\":\"t\",\"arguments\":{ \"a\" : [1, 2.50,\t"
	       "9007199254740993 ],\"a\":0}," TO_MODERN(GATEWAY, "{}", "")),
	  NAMED("tools/call", "t") },
	{ M, "tools/call", "new_a b/\xe6\x97\xa5",
	  "\"name\":\"new_a b\\/\\u65e5\",\"requestState\":\"s\","
	  "\"inputResponses\":{\"k\":{}}",
	  "\"" K "clientInfo\":{\"name\":\"c\"},\"" K
	  "logLevel\":\"error\",\"progressToken\":\"x\","
	  "\"traceparent\":\"" TRACE "\",\"mine\":{}",
	  SENT("tools/call",
	       "\"name\":\"a b/\xe6\x97\xa5\",\"inputResponses\":{\"k\":{}},"
	       "\"requestState\":\"s\"," TO_MODERN(
		       "{\"name\":\"c\"}", "{}",
		       ",\"" K "logLevel\":\"error\",\"progressToken\":41,"
		       "\"mine\":{},\"traceparent\":\"" TRACE "\"")),
	  NAMED_TRACED("tools/call", "=?base64?YSBiL+aXpQ==?=") },
	{ M, "resources/read", "x://new/r", "\"uri\":\"x://new/r\"", "",
	  SENT("resources/read",
	       "\"uri\":\"x://r\"," TO_MODERN(GATEWAY, "{}", "")),
	  NAMED("resources/read", "x://r") },
	{ M, "completion/complete", "",
	  "\"argument\":{\"name\":\"n\",\"value\":\"v\"},"
	  "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"new_p\",\"title\":1}",
	  "",
	  SENT("completion/complete",
	       "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"p\",\"title\":1},"
	       "\"argument\":{\"name\":\"n\",\"value\":\"v\"}," TO_MODERN(
		       GATEWAY, "{}", "")),
	  "MCP-Protocol-Version: 2026-07-28\r\n"
	  "Mcp-Method: completion/complete\r\n" },
	/* modern to legacy: nothing of the hop stays */
	{ M, "tools/call", "old_t", "\"name\":\"old_t\",\"arguments\":{}", "",
	  SENT("tools/call", "\"name\":\"t\",\"arguments\":{},\"_meta\":{}"),
	  "" },
	{ M, "tools/call", "old_t", "\"name\":\"old_t\"",
	  "\"progressToken\":7,\"mine\":1,\"" K "logLevel\":\"info\"",
	  SENT("tools/call", "\"name\":\"t\",\"_meta\":{\"progressToken\":41,"
	                     "\"mine\":1}"),
	  "" },
	/* legacy to modern: made of nothing */
	{ L, "tools/call", "", "\"name\":\"new_t\",\"arguments\":null", "",
	  SENT("tools/call",
	       "\"name\":\"t\",\"arguments\":null," TO_MODERN(
		       GATEWAY, "{}", ",\"" K "logLevel\":\"info\"")),
	  NAMED("tools/call", "t") },
	{ L, "prompts/get", "", "\"name\":\"new_p\"",
	  "\"progressToken\":\"t\",\"" K "clientCapabilities\":{\"roots\":{}}",
	  SENT("prompts/get",
	       "\"name\":\"p\"," TO_MODERN(GATEWAY, "{}",
	                                   ",\"" K "logLevel\":\"info\","
	                                   "\"progressToken\":41")),
	  NAMED("prompts/get", "p") },
	/* legacy to legacy */
	{ L, "tools/call", "", "\"name\":\"old_t\"", "",
	  SENT("tools/call", "\"name\":\"t\""), "" },
	{ L, "tools/call", "", "\"name\":\"old_t\",\"task\":{\"ttl\":1}",
	  "\"progressToken\":0,\"a\":[]",
	  SENT("tools/call", "\"name\":\"t\","
	                     "\"_meta\":{\"progressToken\":41,\"a\":[]}"),
	  "" },
	{ L, "resources/read", "", "\"uri\":\"x://old/h/ab/end\"", "",
	  SENT("resources/read", "\"uri\":\"x://h/ab/end\""), "" },
	{ L, "completion/complete", "",
	  "\"ref\":{\"type\":\"ref/resource\",\"uri\":\"x://old/r\"}", "",
	  SENT("completion/complete",
	       "\"ref\":{\"type\":\"ref/resource\",\"uri\":\"x://r\"}"),
	  "" },
	/* arguments that travel in the head */
	{ L, "tools/call", "",
	  "\"name\":\"new_m\",\"arguments\":{\"region\":\"us\\u0020w\","
	  "\"count\":42,\"dry\":true,\"o\":{\"deep\":\"\\u65e5\"}}",
	  "",
	  SENT("tools/call",
	       "\"name\":\"m\",\"arguments\":{\"region\":\"us\\u0020w\","
	       "\"count\":42,\"dry\":true,\"o\":{\"deep\":"
	       "\"\\u65e5\"}}," TO_MODERN(GATEWAY, "{}",
	                                  ",\"" K "logLevel\":\"info\"")),
	  NAMED("tools/call", "m") "Mcp-Param-Region: us w\r\n"
	                           "Mcp-Param-Count: 42\r\n"
	                           "Mcp-Param-Dry-Run: true\r\n"
	                           "Mcp-Param-Deep: =?base64?5pel?=\r\n" },
	{ L, "tools/call", "",
	  "\"name\":\"new_m\",\"arguments\":{\"region\":\"\","
	  "\"count\":null,\"o\":[]}",
	  "",
	  SENT("tools/call",
	       "\"name\":\"m\",\"arguments\":{\"region\":\"\",\"count\":null,"
	       "\"o\":[]}," TO_MODERN(GATEWAY, "{}",
	                              ",\"" K "logLevel\":\"info\"")),
	  NAMED("tools/call", "m") "Mcp-Param-Region: \r\n" },
	{ L, "tools/call", "",
	  "\"name\":\"new_m\",\"arguments\":{\"region\":\"a\\r\\nX: y\"}", "",
	  SENT("tools/call",
	       "\"name\":\"m\",\"arguments\":{\"region\":\"a\\r\\nX: "
	       "y\"}," TO_MODERN(GATEWAY, "{}", ",\"" K "logLevel\":\"info\"")),
	  NAMED("tools/call",
	        "m") "Mcp-Param-Region: =?base64?YQ0KWDogeQ==?=\r\n" },
};

Test(call, bytes_that_go_to_the_backend)
{
	for (size_t i = 0; i < ARRAY_LEN(composed); i++) {
		struct scan_error why;

		start(composed[i].era, composed[i].method, composed[i].name,
		      composed[i].params, composed[i].meta);
		cr_expect(span_is(buf_span(&call.body), composed[i].body),
		          "row %zu:\n%.*s\n%s", i,
		          SPAN_ARG(buf_span(&call.body)), composed[i].body);
		cr_expect_eq(scan_document(buf_span(&call.body), NULL, 0, NULL,
		                           &why),
		             SCAN_OK, "row %zu", i);
		cr_expect(span_is(buf_span(&call.fields), composed[i].fields),
		          "row %zu:\n%.*s\n%s", i,
		          SPAN_ARG(buf_span(&call.fields)), composed[i].fields);
	}
}

/* What the client can do reaches the backend, but for extensions. */
Test(call, capabilities_pass_without_extensions)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct problem why;

	fixture_read("MCP-Protocol-Version: 2026-07-28\r\n"
	             "Mcp-Method: tools/call\r\nMcp-Name: new_t\r\n"
	             "traceparent: " TRACE "\r\nTraceState: b=c\r\n"
	             "Authorization: Bearer client\r\nCookie: c\r\n"
	             "Mcp-Session-Id: s\r\nX-Forwarded-For: 1.2.3.4\r\n"
	             "Mcp-Param-Other: o\r\n",
	             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
	             "\"params\":{\"name\":\"new_t\",\"_meta\":{\"" K
	             "protocolVersion\":\"2026-07-28\",\"" K
	             "clientCapabilities\":{\"extensions\":{\"x\":{}},"
	             "\"elicitation\":{ },\"sampling\":{}}}}}",
	             &request, &msg);
	cr_assert(call_route(snap, &msg, &route, &why));
	fixture_client_init(&client, true, true);
	call.proxy = &proxy;
	call.reply = &client.reply;
	call.snap = snap;
	call_start(&call, &msg, &request.head, &route);
	cr_expect(span_is(buf_span(&call.body),
	                  SENT("tools/call",
	                       "\"name\":\"t\"," TO_MODERN(
				       GATEWAY,
				       "{\"elicitation\":{ },\"sampling\":{}}",
				       ",\"traceparent\":\"" TRACE
				       "\",\"tracestate\":\"b=c\""))),
	          "%.*s", SPAN_ARG(buf_span(&call.body)));
	cr_expect(span_is(buf_span(&call.fields),
	                  NAMED("tools/call", "t") "Mcp-Param-Other: o\r\n"
	                                           "traceparent: " TRACE "\r\n"
	                                           "tracestate: b=c\r\n"),
	          "%.*s", SPAN_ARG(buf_span(&call.fields)));
}

/* ---- arguments that stand in the head too ---- */

static const struct {
	const char *fields, *arguments;
	bool good;
} params[] = {
	{ "", "{}", true },
	{ "", "", true },
	{ "Mcp-Param-Region: a\r\n", "{\"region\":\"a\"}", true },
	{ "mcp-param-REGION: a \r\n", "{\"region\":\"\\u0061\"}", true },
	{ "Mcp-Param-Region: =?base64?YQ==?=\r\n", "{\"region\":\"a\"}", true },
	{ "Mcp-Param-Region: \r\n", "{\"region\":\"\"}", true },
	{ "Mcp-Param-Count: 42\r\n", "{\"count\":42}", true },
	{ "Mcp-Param-Count: 42.0\r\n", "{\"count\":42}", true },
	{ "Mcp-Param-Count: -7\r\n", "{\"count\":-7}", true },
	{ "Mcp-Param-Dry-Run: false\r\n", "{\"dry\":false}", true },
	{ "Mcp-Param-Deep: d\r\n", "{\"o\":{\"deep\":\"d\"}}", true },
	{ "Mcp-Param-Unknown: z\r\n", "{\"unknown\":1}", true },
	{ "", "{\"region\":null}", true },
	{ "", "{\"o\":{\"region\":\"x\"}}", true },
	/* absent on one side */
	{ "", "{\"region\":\"a\"}", false },
	{ "Mcp-Param-Region: a\r\n", "{}", false },
	{ "Mcp-Param-Region: a\r\n", "{\"region\":null}", false },
	{ "Mcp-Param-Region: \r\n", "{}", false },
	{ "Mcp-Param-Deep: d\r\n", "{\"o\":\"deep\"}", false },
	/* different */
	{ "Mcp-Param-Region: A\r\n", "{\"region\":\"a\"}", false },
	{ "Mcp-Param-Region: 1\r\n", "{\"region\":1}", false },
	{ "Mcp-Param-Region: a\r\nMcp-Param-Region: a\r\n",
	  "{\"region\":\"a\"}", false },
	{ "Mcp-Param-Region: a\r\nmcp-param-region: b\r\n",
	  "{\"region\":\"a\"}", false },
	{ "Mcp-Param-Region: =?base64?YQ?=\r\n", "{\"region\":\"a\"}", false },
	{ "Mcp-Param-Count: 42.5\r\n", "{\"count\":42}", false },
	{ "Mcp-Param-Count: 42.\r\n", "{\"count\":42}", false },
	{ "Mcp-Param-Count: 42x\r\n", "{\"count\":42}", false },
	{ "Mcp-Param-Count: 42\r\n", "{\"count\":\"42\"}", false },
	{ "Mcp-Param-Dry-Run: TRUE\r\n", "{\"dry\":true}", false },
	{ "Mcp-Param-Dry-Run: 1\r\n", "{\"dry\":true}", false },
};

Test(call, mirrored_arguments)
{
	const struct entry *e = snapshot_find(
		snap, &snapshot_view(snap, VIEW_MODERN)->lists[LIST_TOOLS],
		SPAN("new_m"));

	cr_assert_not_null(e);
	cr_assert_eq(e->mirrors.len, 4u);
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		struct h1_request request;
		struct message msg;
		struct problem why = { 0 };

		fixture_read(params[i].fields,
		             "{\"jsonrpc\":\"2.0\",\"id\":1,"
		             "\"method\":\"ping\"}",
		             &request, &msg);
		cr_expect_eq(call_check_params(snap, e, &request.head,
		                               span_str(params[i].arguments),
		                               &why),
		             params[i].good, "row %zu", i);
		if (!params[i].good) {
			cr_expect_eq(why.code, RPC_HEADER_MISMATCH);
			cr_expect_eq(why.status, 400);
		}
	}
}

/* ---- over the wire ---- */

static bool done(void *arg)
{
	(void)arg;
	return fixture_client_done(&client);
}

static void expect_answer(const char *text)
{
	const char *fault = fixture_client_fault(&client, "\"c1\"");

	cr_assert_null(fault, "%s: %.*s", fault,
	               SPAN_ARG(buf_span(&client.out)));
	cr_assert(span_is(buf_span(&client.out), text), "%.*s",
	          SPAN_ARG(buf_span(&client.out)));
}

static const struct fixture_answer good = {
	.body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{\"content\":[]}}",
};

#define ANSWER(more)                                     \
	"{\"jsonrpc\":\"2.0\",\"id\":\"c1\",\"result\":" \
	"{\"content\":[]" more "}}"

Test(call, a_modern_request_byte_for_byte)
{
	char text[1024];

	fixture_server_play(servers[0], &good, 1);
	start(M, "tools/call", "new_t", "\"name\":\"new_t\"", "");
	cr_assert(fixture_run(proxy.loop, done, NULL));
	expect_answer(ANSWER(",\"resultType\":\"complete\""));
	snprintf(text, sizeof(text),
	         "POST /m?q=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
	         "User-Agent: oci-mcp-gateway/" VERSION
	         "\r\nContent-Type: application/json\r\n"
	         "Accept: application/json, text/event-stream\r\n" NAMED(
			 "tools/call", "t") "Content-Length: %zu\r\n\r\n%.*s",
	         setups[0].port, call.body.len, SPAN_ARG(buf_span(&call.body)));
	cr_expect_eq(fixture_server_requests(servers[0]), 1u);
	cr_expect(span_is(fixture_server_request(servers[0], 0), text), "%.*s",
	          SPAN_ARG(fixture_server_request(servers[0], 0)));
}

static bool has(size_t n, const char *what)
{
	struct span r = fixture_server_request(servers[1], n);

	return memmem(r.at, r.len, what, strlen(what)) != NULL;
}

Test(call, a_legacy_backend_gets_its_handshake_once)
{
	fixture_server_play(servers[1], &good, 1);
	for (int i = 0; i < 3; i++) {
		start(M, "tools/call", "old_t", "\"name\":\"old_t\"", "");
		cr_assert(fixture_run(proxy.loop, done, NULL));
		expect_answer(ANSWER(",\"resultType\":\"complete\""));
	}
	cr_assert_eq(fixture_server_requests(servers[1]), 5u);
	cr_expect(has(0, "\"method\":\"initialize\""));
	cr_expect_not(has(0, "Mcp-Session-Id"));
	cr_expect(has(0, "X-Key: secret\r\n"));
	cr_expect(has(1, "notifications/initialized"));
	for (size_t i = 1; i < 5; i++) {
		cr_expect(has(i, "\r\nMcp-Session-Id: session-1\r\n"));
		cr_expect(has(i, "\r\nMCP-Protocol-Version: 2025-06-18\r\n"));
		cr_expect(has(i, "X-Key: secret\r\n"));
	}
	cr_expect_not(has(2, "Mcp-Method"));
	cr_expect_eq(fixture_server_connections(servers[1]), 1u);
}

Test(call, a_session_that_was_forgotten_is_opened_again)
{
	static const struct fixture_answer gone[] = {
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}" },
		{ .status = 404,
		  .body = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{"
		          "\"code\":-32001,\"message\":\"Session not "
		          "found\"}}" },
		{ .body = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{"
		          "\"content\":[]}}" },
	};
	static const struct fixture_answer never[] = {
		{ .status = 404,
		  .fields = "Content-Type: text/plain\r\n",
		  .body = "no" },
	};

	fixture_server_play(servers[1], gone, ARRAY_LEN(gone));
	start(L, "tools/call", "", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(proxy.loop, done, NULL));
	start(L, "tools/call", "", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(proxy.loop, done, NULL));
	expect_answer(ANSWER(""));
	cr_assert_eq(fixture_server_requests(servers[1]), 7u);
	cr_expect(has(3, "session-1"));
	cr_expect(has(6, "\r\nMcp-Session-Id: session-2\r\n"));
	cr_expect_not(has(6, "session-1"));

	/* One that always forgets is asked twice, and no more. */
	fixture_server_play(servers[1], never, 1);
	start(L, "tools/call", "", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(proxy.loop, done, NULL));
	cr_expect_null(fixture_client_fault(&client, "\"c1\""));
	cr_expect_eq(fixture_server_requests(servers[1]), 11u);
}

/* Whatever the pieces, framing and form: the client gets the same. */
Test(call, answers_in_pieces)
{
	static const char *const heads[] = {
		"Content-Type: application/json\r\n",
		"Content-Type: text/event-stream\r\n",
		"Content-Type: text/event-stream\r\nConnection: close\r\n",
		"",
	};
	static const size_t pieces[] = { 0, 3, 50 };

	for (size_t i = 0; i < 2 * ARRAY_LEN(heads) * ARRAY_LEN(pieces); i++) {
		struct fixture_answer a = good;
		static const char event[] =
			"data: {\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":"
			"{\"content\":[]}}\n\n";

		a.fields = heads[i / 2 % ARRAY_LEN(heads)];
		a.chunked = i % 2;
		a.piece = pieces[i / 2 / ARRAY_LEN(heads)];
		/* Slack's backend labels JSON as events, and the reverse. */
		if (i % 3)
			a.body = event;
		fixture_server_play(servers[0], &a, 1);
		start(L, "tools/call", "", "\"name\":\"new_t\"", "");
		cr_assert(fixture_run(proxy.loop, done, NULL), "%zu", i);
		expect_answer(ANSWER(""));
	}
}

Test(call, progress_goes_both_ways)
{
	static const struct fixture_answer a = {
		.fields = "Content-Type: text/event-stream\r\n",
		.body = "data: {\"jsonrpc\":\"2.0\",\"method\":"
			"\"notifications/progress\",\"params\":{"
			"\"progressToken\":$TOKEN,\"progress\":1}}\n\n"
			"data: {\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":"
			"{\"content\":[]}}\n\n",
		.chunked = true,
		.piece = 20,
	};

	fixture_server_play(servers[0], &a, 1);
	start(L, "tools/call", "", "\"name\":\"new_t\"",
	      "\"progressToken\":\"tok\"");
	cr_assert(fixture_run(proxy.loop, done, NULL));
	expect_answer("event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":"
	              "\"notifications/progress\",\"params\":{"
	              "\"progressToken\":\"tok\",\"progress\":1}}\n\n"
	              "event: message\ndata: " ANSWER("") "\n\n");
}

/* A modern client that leaves cancels at a legacy backend by a message, and at
 * a modern one by closing. */
Test(call, cancellation)
{
	static const struct fixture_answer silent = { .raw = "",
		                                      .then = THEN_SILENT };

	fixture_server_play(servers[1], &good, 1);
	start(M, "tools/call", "old_t", "\"name\":\"old_t\"", "");
	cr_assert(fixture_run(proxy.loop, done, NULL));

	fixture_server_play(servers[1], &silent, 1);
	start(M, "tools/call", "old_t", "\"name\":\"old_t\"", "");
	fixture_pause(proxy.loop, 30);
	call_cancel(&call);
	fixture_pause(proxy.loop, 30);
	cr_assert_eq(fixture_server_requests(servers[1]), 5u);
	cr_expect(span_is(fixture_server_body(servers[1], 4),
	                  "{\"jsonrpc\":\"2.0\",\"method\":"
	                  "\"notifications/cancelled\",\"params\":{"
	                  "\"requestId\":41}}"),
	          "%.*s", SPAN_ARG(fixture_server_body(servers[1], 4)));
	cr_expect_not(fixture_client_done(&client));

	fixture_server_play(servers[0], &silent, 1);
	start(M, "tools/call", "new_t", "\"name\":\"new_t\"", "");
	fixture_pause(proxy.loop, 30);
	cr_expect_eq(fixture_server_open(servers[0]), 1u);
	call_cancel(&call);
	fixture_pause(proxy.loop, 30);
	cr_expect_eq(fixture_server_open(servers[0]), 0u);
	cr_expect_eq(fixture_server_requests(servers[0]), 1u);
	cr_expect_not(fixture_client_done(&client));
}

Test(call, a_backend_that_fails_too_often_is_left_alone)
{
	static const struct fixture_answer bye = { .raw = "",
		                                   .then = THEN_CLOSE };
	struct backend_row *row = &proxy.board->backends[1];

	settings.breaker_failures = 3;
	settings.breaker_open_time = 100;
	build();
	row->open_until_ms = 0;
	row->call_failures = 0;
	fixture_server_play(servers[0], &bye, 1);
	for (int i = 0; i < 6; i++) {
		start(M, "tools/call", "new_t", "\"name\":\"new_t\"", "");
		cr_assert(fixture_run(proxy.loop, done, NULL));
		cr_expect_null(fixture_client_fault(&client, "\"c1\""));
		cr_expect_eq(client.reply.outcome, OUTCOME_UNAVAILABLE);
	}
	cr_expect_eq(fixture_server_requests(servers[0]), 3u);
	/* After a while one may try, and its success closes the breaker. */
	fixture_pause(proxy.loop, 120);
	fixture_server_play(servers[0], &good, 1);
	for (int i = 0; i < 2; i++) {
		start(M, "tools/call", "new_t", "\"name\":\"new_t\"", "");
		cr_assert(fixture_run(proxy.loop, done, NULL));
		expect_answer(ANSWER(",\"resultType\":\"complete\""));
	}
	cr_expect_eq(fixture_server_requests(servers[0]), 5u);
}

/* The connection comes back at once, though the stream has not ended. */
Test(call, the_rest_of_a_stream_does_not_hold_the_answer)
{
	static const struct fixture_answer open = {
		.raw = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		       "\r\n"
		       "data: {\"jsonrpc\":\"2.0\",\"id\":$ID,"
		       "\"result\":{\"content\":[]}}\n\n",
		.then = THEN_SILENT,
	};
	uint64_t before = clock_mono_ms();

	fixture_server_play(servers[0], &open, 1);
	start(L, "tools/call", "", "\"name\":\"new_t\"", "");
	cr_assert(fixture_run(proxy.loop, done, NULL));
	expect_answer(ANSWER(""));
	cr_expect_lt(clock_mono_ms() - before, 1000u);
}

/* Where a URI or a name is no target it is a member like any other. */
Test(call, members_that_do_not_route_pass)
{
	start(L, "tools/call", "",
	      "\"uri\":\"u\",\"ref\":{},\"name\":\"old_t\",\"cursor\":\"c\"",
	      "");
	cr_expect(span_is(buf_span(&call.body),
	                  SENT("tools/call", "\"name\":\"t\",\"uri\":\"u\","
	                                     "\"ref\":{},\"cursor\":\"c\"")),
	          "%.*s", SPAN_ARG(buf_span(&call.body)));
}
