#include "proxy/forward.h"

#include <criterion/criterion.h>

#include "tests/unit/fixture_call.h"

#define M VIEW_MODERN
#define L VIEW_LEGACY

TestSuite(forward, .init = fixture_call_begin, .fini = fixture_call_end,
          .timeout = 60);

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

Test(forward, bytes_that_go_to_the_backend)
{
	for (size_t i = 0; i < ARRAY_LEN(composed); i++) {
		struct scan_error why;

		fixture_call_start(composed[i].era, composed[i].method,
		                   composed[i].name, composed[i].params,
		                   composed[i].meta);
		cr_expect(span_is(buf_span(&way.call.body), composed[i].body),
		          "row %zu:\n%.*s\n%s", i,
		          SPAN_ARG(buf_span(&way.call.body)), composed[i].body);
		cr_expect_eq(scan_document(buf_span(&way.call.body), NULL, 0,
		                           NULL, &why),
		             SCAN_OK, "row %zu", i);
		cr_expect(
			span_is(buf_span(&way.call.fields), composed[i].fields),
			"row %zu:\n%.*s\n%s", i,
			SPAN_ARG(buf_span(&way.call.fields)),
			composed[i].fields);
	}
}

/* What the way.client can do reaches the backend, but for extensions. */
Test(forward, capabilities_pass_without_extensions)
{
	struct h1_request request;
	struct message msg;
	struct route route;
	struct problem why;

	fixture_read("MCP-Protocol-Version: 2026-07-28\r\n"
	             "Mcp-Method: tools/call\r\nMcp-Name: new_t\r\n"
	             "traceparent: " TRACE "\r\nTraceState: b=c\r\n"
	             "Authorization: Bearer way.client\r\nCookie: c\r\n"
	             "Mcp-Session-Id: s\r\nX-Forwarded-For: 1.2.3.4\r\n"
	             "Mcp-Param-Other: o\r\n",
	             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
	             "\"params\":{\"name\":\"new_t\",\"_meta\":{\"" K
	             "protocolVersion\":\"2026-07-28\",\"" K
	             "clientCapabilities\":{\"extensions\":{\"x\":{}},"
	             "\"elicitation\":{ },\"sampling\":{}}}}}",
	             &request, &msg);
	cr_assert(route_find(way.snap, &msg, &route, &why));
	fixture_client_init(&way.client, true, true);
	way.call.proxy = &way.proxy;
	way.call.reply = &way.client.reply;
	way.call.snap = way.snap;
	call_start(&way.call, &msg, &request.head, &route);
	cr_expect(span_is(buf_span(&way.call.body),
	                  SENT("tools/call",
	                       "\"name\":\"t\"," TO_MODERN(
				       GATEWAY,
				       "{\"elicitation\":{ },\"sampling\":{}}",
				       ",\"traceparent\":\"" TRACE
				       "\",\"tracestate\":\"b=c\""))),
	          "%.*s", SPAN_ARG(buf_span(&way.call.body)));
	cr_expect(span_is(buf_span(&way.call.fields),
	                  NAMED("tools/call", "t") "Mcp-Param-Other: o\r\n"
	                                           "traceparent: " TRACE "\r\n"
	                                           "tracestate: b=c\r\n"),
	          "%.*s", SPAN_ARG(buf_span(&way.call.fields)));
}
