#include "proxy/message.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/scan.h"
#include "lib/value.h"

#define P "\"io.modelcontextprotocol/"
#define VERSION_META(v)                                  \
	"\"_meta\":{" P "protocolVersion\":\"" v "\"," P \
	"clientCapabilities\":{}}"
#define META      VERSION_META("2026-07-28")
#define FIELDS(m) "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " m "\r\n"
#define LEGACY(v) "MCP-Protocol-Version: " v "\r\n"
#define MODERN(m)                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" m "\",\"params\":{" META \
	"}}"
#define REQUEST(m) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" m "\"}"
#define CALL(name)                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," \
	"\"params\":{\"name\":" name "," META "}}"
#define READ(uri)                                                      \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\"," \
	"\"params\":{\"uri\":" uri "," META "}}"

static struct h1_request request;
static struct message msg;
static struct problem why;
static char *room;

/* Read a body behind these header lines; the body's own memory is exact. */
static bool take(const char *fields, struct span body)
{
	static const struct h1_limits limits = { 65536, 8192, H1_FIELDS_MAX };
	static char text[65536];
	int n = snprintf(text, sizeof(text),
	                 "POST /mcp HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);

	cr_assert_lt(n, (int)sizeof(text));
	cr_assert_eq(h1_parse_request(span_of(text, (size_t)n), 0, &limits,
	                              &request),
	             H1_OK, "%s", fields);
	free(room);
	room = malloc(body.len + 1);
	memcpy(room, body.at, body.len);
	memset(&why, 0x55, sizeof(why));
	return message_read(&request.head, span_of(room, body.len), &msg, &why);
}

static bool take_text(const char *fields, const char *body)
{
	return take(fields, span_str(body));
}

static void end(void)
{
	free(room);
	room = NULL;
}

TestSuite(message, .fini = end);

/* ---- what is taken ---- */

static const struct {
	const char *fields, *body;
	enum message_kind kind;
	enum view_era era;
	int method; /* enum method_id; -1: none */
	const char *id;
} taken[] = {
	/* legacy opens, with and without a version field */
	{ "", REQUEST("initialize"), MESSAGE_REQUEST, VIEW_LEGACY,
	  METHOD_INITIALIZE, "1" },
	{ LEGACY("2025-06-18"), REQUEST("initialize"), MESSAGE_REQUEST,
	  VIEW_LEGACY, METHOD_INITIALIZE, "1" },
	{ LEGACY("1999-01-01"), REQUEST("initialize"), MESSAGE_REQUEST,
	  VIEW_LEGACY, METHOD_INITIALIZE, "1" },
	/* anything else without a claim is legacy */
	{ "", REQUEST("ping"), MESSAGE_REQUEST, VIEW_LEGACY, METHOD_PING, "1" },
	{ LEGACY("2025-03-26"), REQUEST("ping"), MESSAGE_REQUEST, VIEW_LEGACY,
	  METHOD_PING, "1" },
	{ LEGACY("2025-06-18"), REQUEST("tools/list"), MESSAGE_REQUEST,
	  VIEW_LEGACY, METHOD_TOOLS_LIST, "1" },
	{ LEGACY("2025-11-25"), REQUEST("logging/setLevel"), MESSAGE_REQUEST,
	  VIEW_LEGACY, METHOD_SET_LEVEL, "1" },
	{ "Mcp-Session-Id: a\r\n" LEGACY("2025-11-25"), REQUEST("tools/list"),
	  MESSAGE_REQUEST, VIEW_LEGACY, METHOD_TOOLS_LIST, "1" },
	/* fields of the other era mean nothing to a legacy request */
	{ "Mcp-Method: x\r\nMcp-Name: y\r\n", REQUEST("tools/call"),
	  MESSAGE_REQUEST, VIEW_LEGACY, METHOD_TOOLS_CALL, "1" },
	{ "", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}",
	  MESSAGE_NOTIFICATION, VIEW_LEGACY, -1, "" },
	{ "", "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}", MESSAGE_RESPONSE,
	  VIEW_LEGACY, -1, "7" },
	{ "",
	  "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"error\":{\"code\":-1,"
	  "\"message\":\"\"}}",
	  MESSAGE_RESPONSE, VIEW_LEGACY, -1, "\"a\"" },
	/* ids: kept as they were written */
	{ "", "{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"ping\"}",
	  MESSAGE_REQUEST, VIEW_LEGACY, METHOD_PING, "\"\"" },
	{ "", "{\"jsonrpc\":\"2.0\",\"id\":\"\\u0041\",\"method\":\"ping\"}",
	  MESSAGE_REQUEST, VIEW_LEGACY, METHOD_PING, "\"\\u0041\"" },
	{ "",
	  "{\"jsonrpc\":\"2.0\",\"id\":-9007199254740991,"
	  "\"method\":\"ping\"}",
	  MESSAGE_REQUEST, VIEW_LEGACY, METHOD_PING, "-9007199254740991" },
	{ "", "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\"}",
	  MESSAGE_REQUEST, VIEW_LEGACY, METHOD_PING, "0" },
	/* modern */
	{ FIELDS("tools/list"), MODERN("tools/list"), MESSAGE_REQUEST,
	  VIEW_MODERN, METHOD_TOOLS_LIST, "1" },
	{ FIELDS("server/discover"), MODERN("server/discover"), MESSAGE_REQUEST,
	  VIEW_MODERN, METHOD_DISCOVER, "1" },
	{ FIELDS("subscriptions/listen"), MODERN("subscriptions/listen"),
	  MESSAGE_REQUEST, VIEW_MODERN, METHOD_LISTEN, "1" },
	{ "mcp-protocol-version:2026-07-28 \r\nMCP-METHOD:\ttools/list\r\n",
	  MODERN("tools/list"), MESSAGE_REQUEST, VIEW_MODERN, METHOD_TOOLS_LIST,
	  "1" },
	{ FIELDS("tools/list") "Mcp-Session-Id: x\r\n", MODERN("tools/list"),
	  MESSAGE_REQUEST, VIEW_MODERN, METHOD_TOOLS_LIST, "1" },
	{ FIELDS("tools/call") "Mcp-Name: a b\r\n", CALL("\"a b\""),
	  MESSAGE_REQUEST, VIEW_MODERN, METHOD_TOOLS_CALL, "1" },
	{ FIELDS("tools/call") "Mcp-Name: =?base64?5pel5pys?=\r\n",
	  CALL("\"\\u65e5\\u672c\""), MESSAGE_REQUEST, VIEW_MODERN,
	  METHOD_TOOLS_CALL, "1" },
	{ FIELDS("resources/read") "Mcp-Name: file:///a\r\n",
	  READ("\"file:\\/\\/\\/a\""), MESSAGE_REQUEST, VIEW_MODERN,
	  METHOD_RES_READ, "1" },
	{ FIELDS("completion/complete"), MODERN("completion/complete"),
	  MESSAGE_REQUEST, VIEW_MODERN, METHOD_COMPLETE, "1" },
	/* fields are not asked for with a notification */
	{ "",
	  "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
	  "\"params\":{" META "}}",
	  MESSAGE_NOTIFICATION, VIEW_MODERN, -1, "" },
};

Test(message, classification)
{
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		const struct method *m =
			taken[i].method < 0 ? NULL
					    : &method_table[taken[i].method];

		cr_assert(take_text(taken[i].fields, taken[i].body),
		          "row %zu: %s", i, why.text);
		cr_expect_eq(msg.kind, taken[i].kind, "row %zu", i);
		cr_expect_eq(msg.era, taken[i].era, "row %zu", i);
		cr_expect_eq(msg.method, m, "row %zu", i);
		cr_expect(span_is(msg.id, taken[i].id), "row %zu: %.*s", i,
		          SPAN_ARG(msg.id));
	}
}

/* ---- what is refused, and with what ---- */

#define IN_2_0(members) "{\"jsonrpc\":\"2.0\"," members "}"
#define BOTH_META(members)                                                   \
	IN_2_0("\"id\":\"x\",\"method\":\"tools/list\",\"params\":{" members \
	       "}")

static const struct {
	const char *fields, *body;
	int status, code;
	bool has_id;
} refused[] = {
	/* not JSON */
	{ "", "", 400, RPC_PARSE, false },
	{ "", " ", 400, RPC_PARSE, false },
	{ "", "{", 400, RPC_PARSE, false },
	{ "", "\xef\xbb\xbf" REQUEST("ping"), 400, RPC_PARSE, false },
	{ "", REQUEST("ping") REQUEST("ping"), 400, RPC_PARSE, false },
	{ "", REQUEST("ping") "\n" REQUEST("ping"), 400, RPC_PARSE, false },
	{ "", REQUEST("ping") "x", 400, RPC_PARSE, false },
	{ "", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc0\x80\"}", 400,
	  RPC_PARSE, false },
	{ "", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\ud800\"}", 400,
	  RPC_PARSE, false },
	{ "", "{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"ping\"}", 400,
	  RPC_PARSE, false },
	{ "", "{'jsonrpc':'2.0'}", 400, RPC_PARSE, false },
	/* two readers could read two things */
	{ "", IN_2_0("\"id\":1,\"method\":\"ping\",\"method\":\"tools/list\""),
	  400, RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1,\"method\":\"ping\",\"Method\":\"tools/list\""),
	  400, RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1,\"m\\u0065thod\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1,\"method\":\"ping\",\"param\xc5\xbf\":{}"), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1,\"id\":2,\"method\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "",
	  IN_2_0("\"id\":1,\"method\":\"tools/"
	         "call\",\"params\":{\"name\":\"a\","
	         "\"name\":\"b\"}"),
	  400, RPC_INVALID_REQUEST, false },
	{ "",
	  IN_2_0("\"id\":1,\"method\":\"tools/"
	         "call\",\"params\":{\"NAME\":\"a\","
	         "\"name\":\"b\"}"),
	  400, RPC_INVALID_REQUEST, false },
	{ "",
	  IN_2_0("\"id\":1,\"method\":\"tools/"
	         "call\",\"params\":{\"n\\u0061me\":"
	         "\"b\"}"),
	  400, RPC_INVALID_REQUEST, false },
	{ "",
	  IN_2_0("\"id\":1,\"method\":\"tools/call\",\"params\":{"
	         "\"arguments\":{},\"arguments\":{}}"),
	  400, RPC_INVALID_REQUEST, false },
	{ "", BOTH_META("\"_meta\":{},\"_meta\":{}"), 400, RPC_INVALID_REQUEST,
	  false },
	{ "", BOTH_META("\"_META\":{}"), 400, RPC_INVALID_REQUEST, false },
	{ "",
	  BOTH_META("\"_meta\":{" P "protocolVersion\":\"2026-07-28\"," P
	            "protocolversion\":\"2025-11-25\"}"),
	  400, RPC_INVALID_REQUEST, false },
	/* no JSON-RPC */
	{ LEGACY("2025-06-18"), "[]", 400, RPC_INVALID_REQUEST, false },
	{ LEGACY("2025-11-25"), "[" REQUEST("ping") "]", 400,
	  RPC_INVALID_REQUEST, false },
	{ LEGACY("x"), "[" REQUEST("ping") "]", 400, RPC_LEGACY, false },
	{ "", "[" REQUEST("ping"), 400, RPC_PARSE, false },
	{ FIELDS("tools/list"), "[" MODERN("tools/list") "]", 400,
	  RPC_INVALID_REQUEST, false },
	{ "", "1", 400, RPC_INVALID_REQUEST, false },
	{ "", "\"a\"", 400, RPC_INVALID_REQUEST, false },
	{ "", "null", 400, RPC_INVALID_REQUEST, false },
	{ "", "{}", 400, RPC_INVALID_REQUEST, false },
	{ "", "{\"id\":1,\"method\":\"ping\"}", 400, RPC_INVALID_REQUEST,
	  false },
	{ "", "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}", 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1"), 400, RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1,\"method\":7"), 400, RPC_INVALID_REQUEST,
	  false },
	{ "", IN_2_0("\"id\":null,\"method\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1.5,\"method\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1e2,\"method\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":9007199254740992,\"method\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":true,\"method\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":{},\"method\":\"ping\""), 400, RPC_INVALID_REQUEST,
	  false },
	{ "", IN_2_0("\"id\":[1],\"method\":\"ping\""), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1,\"method\":\"ping\",\"params\":[]"), 400,
	  RPC_INVALID_REQUEST, false },
	{ "", IN_2_0("\"id\":1,\"method\":\"ping\",\"params\":null"), 400,
	  RPC_INVALID_REQUEST, false },
	/* both at once, and a response with a modern version */
	{ "", IN_2_0("\"id\":1,\"method\":\"ping\",\"result\":{}"), 400,
	  RPC_INVALID_REQUEST, false },
	{ LEGACY("2026-07-28"), IN_2_0("\"id\":1,\"result\":{}"), 400,
	  RPC_INVALID_REQUEST, false },
	/* legacy: the version field */
	{ LEGACY("2024-11-05"), REQUEST("ping"), 400, RPC_LEGACY, true },
	{ LEGACY("2027-01-01"), REQUEST("ping"), 400, RPC_LEGACY, true },
	{ LEGACY(""), REQUEST("ping"), 400, RPC_LEGACY, true },
	{ LEGACY("2025-11-25, 2025-11-25"), REQUEST("ping"), 400, RPC_LEGACY,
	  true },
	{ LEGACY("2025-11-25") LEGACY("2025-11-25"), REQUEST("ping"), 400,
	  RPC_LEGACY, true },
	{ LEGACY("2024-11-05"), IN_2_0("\"method\":\"notifications/x\""), 400,
	  RPC_LEGACY, false },
	/* legacy: errors of the protocol travel in 200 */
	{ "", REQUEST("nonsense"), 200, RPC_NO_METHOD, true },
	{ "", REQUEST("PING"), 200, RPC_NO_METHOD, true },
	{ "", REQUEST("p\\u0069ng"), 200, RPC_NO_METHOD, true },
	{ "", REQUEST("server/discover"), 200, RPC_NO_METHOD, true },
	{ "", REQUEST("subscriptions/listen"), 200, RPC_NO_METHOD, true },
	{ "",
	  IN_2_0("\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":{"
	         "\"progressToken\":1.5}}"),
	  200, RPC_INVALID_PARAMS, true },
	/* modern, malformed: the field names the version, the body does not */
	{ FIELDS("tools/list"), REQUEST("tools/list"), 400, RPC_INVALID_PARAMS,
	  true },
	{ LEGACY("2026-07-28"), REQUEST("initialize"), 400, RPC_INVALID_PARAMS,
	  true },
	{ FIELDS("tools/list"), BOTH_META("\"_meta\":{}"), 400,
	  RPC_INVALID_PARAMS, true },
	{ FIELDS("tools/list"), BOTH_META("\"_meta\":null"), 400,
	  RPC_INVALID_PARAMS, true },
	{ FIELDS("tools/list"),
	  BOTH_META("\"_meta\":{" P "protocolVersion\":\"2026-07-28\"}"), 400,
	  RPC_INVALID_PARAMS, true },
	{ FIELDS("tools/list"),
	  BOTH_META("\"_meta\":{" P "protocolVersion\":\"2026-07-28\"," P
	            "clientCapabilities\":[]}"),
	  400, RPC_INVALID_PARAMS, true },
	{ FIELDS("tools/list"),
	  BOTH_META("\"_meta\":{" P "protocolVersion\":20260728," P
	            "clientCapabilities\":{}}"),
	  400, RPC_INVALID_PARAMS, true },
	/* modern: the version field */
	{ "Mcp-Method: tools/list\r\n", MODERN("tools/list"), 400,
	  RPC_HEADER_MISMATCH, true },
	{ LEGACY("2025-11-25") "Mcp-Method: tools/list\r\n",
	  MODERN("tools/list"), 400, RPC_HEADER_MISMATCH, true },
	{ LEGACY("2026-07-28, 2026-07-28") "Mcp-Method: tools/list\r\n",
	  MODERN("tools/list"), 400, RPC_HEADER_MISMATCH, true },
	{ LEGACY("2026-07-28") FIELDS("tools/list"), MODERN("tools/list"), 400,
	  RPC_HEADER_MISMATCH, true },
	{ FIELDS("tools/list"), BOTH_META(VERSION_META("2025-11-25")), 400,
	  RPC_HEADER_MISMATCH, true },
	/* a version that is not served, before the method is looked at */
	{ LEGACY("2027-01-01"), BOTH_META(VERSION_META("2027-01-01")), 400,
	  RPC_UNSUPPORTED_VERSION, true },
	{ LEGACY("2025-11-25"), BOTH_META(VERSION_META("2025-11-25")), 400,
	  RPC_UNSUPPORTED_VERSION, true },
	/* modern: method and name */
	{ LEGACY("2026-07-28"), MODERN("tools/list"), 400, RPC_HEADER_MISMATCH,
	  true },
	{ FIELDS("Tools/list"), MODERN("tools/list"), 400, RPC_HEADER_MISMATCH,
	  true },
	{ FIELDS("tools/list") "Mcp-Method: tools/list\r\n",
	  MODERN("tools/list"), 400, RPC_HEADER_MISMATCH, true },
	{ FIELDS("nonsense"), MODERN("tools/list"), 400, RPC_HEADER_MISMATCH,
	  true },
	{ LEGACY("2026-07-28"), MODERN("nonsense"), 400, RPC_HEADER_MISMATCH,
	  true },
	{ FIELDS("nonsense"), MODERN("nonsense"), 404, RPC_NO_METHOD, true },
	{ FIELDS("tools/call"), CALL("\"a\""), 400, RPC_HEADER_MISMATCH, true },
	{ FIELDS("tools/call") "Mcp-Name: A\r\n", CALL("\"a\""), 400,
	  RPC_HEADER_MISMATCH, true },
	{ FIELDS("tools/call") "Mcp-Name: a\r\nMcp-Name: a\r\n", CALL("\"a\""),
	  400, RPC_HEADER_MISMATCH, true },
	{ FIELDS("tools/call") "Mcp-Name: =?base64?SGVsbG8?=\r\n",
	  CALL("\"Hello\""), 400, RPC_HEADER_MISMATCH, true },
	{ FIELDS("tools/call") "Mcp-Name: =?base64?YQ==?=\r\n", CALL("\"b\""),
	  400, RPC_HEADER_MISMATCH, true },
	{ FIELDS("resources/read") "Mcp-Name: a\r\n",
	  "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\","
	  "\"params\":{\"name\":\"a\",\"uri\":\"b\"," META "}}",
	  400, RPC_HEADER_MISMATCH, true },
	/* modern: methods that were removed do not exist */
	{ FIELDS("initialize"), MODERN("initialize"), 404, RPC_NO_METHOD,
	  true },
	{ FIELDS("ping"), MODERN("ping"), 404, RPC_NO_METHOD, true },
	{ FIELDS("logging/setLevel"), MODERN("logging/setLevel"), 404,
	  RPC_NO_METHOD, true },
	{ FIELDS("resources/subscribe"), MODERN("resources/subscribe"), 404,
	  RPC_NO_METHOD, true },
	{ FIELDS("resources/unsubscribe"), MODERN("resources/unsubscribe"), 404,
	  RPC_NO_METHOD, true },
	{ FIELDS("tools/list"),
	  BOTH_META("\"_meta\":{" P "protocolVersion\":\"2026-07-28\"," P
	            "clientCapabilities\":{}," P "logLevel\":\"loud\"}"),
	  400, RPC_INVALID_PARAMS, true },
};

Test(message, refusals)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		cr_assert_not(take_text(refused[i].fields, refused[i].body),
		              "row %zu: %s", i, refused[i].body);
		cr_expect_eq(why.status, refused[i].status, "row %zu: %d %s", i,
		             why.status, why.text);
		cr_expect_eq(why.code, refused[i].code, "row %zu: %d %s", i,
		             why.code, why.text);
		cr_expect_eq(why.has_id, refused[i].has_id, "row %zu: %s", i,
		             why.text);
		cr_expect_eq(msg.id.len > 0, refused[i].has_id, "row %zu", i);
		cr_expect_gt(strlen(why.text), 10u, "row %zu", i);
	}
}

/* A body of which each cut is refused, and reads nothing behind its end. */
Test(message, a_cut_body_is_never_taken)
{
	static const char text[] = CALL("\"a\"");

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		cr_assert_not(take(FIELDS("tools/call") "Mcp-Name: a\r\n",
		                   span_of(text, n)));
		cr_assert_eq(why.code, RPC_PARSE);
		cr_assert_not(why.has_id);
	}
}

Test(message, unsupported_version_names_both)
{
	cr_assert_not(take_text(LEGACY("2027-01-01"),
	                        BOTH_META(VERSION_META("2027-01-01"))));
	cr_expect_str_eq(why.data, "{\"supported\":[\"2026-07-28\"],"
	                           "\"requested\":\"2027-01-01\"}");
}

Test(message, data_of_an_error_is_json_whatever_was_asked)
{
	static const char *const versions[] = {
		"",
		"\\\"",
		"\\u0000",
		"1",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"a"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"a",
		"\\u0041",
		"<script>",
	};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		char body[1024], fields[512], plain[256];
		struct scan_error at;
		struct buf raw = { .max = 512 };

		buf_addf(&raw, "\"%s\"", versions[i]);
		int n = value_string(buf_span(&raw), plain, sizeof(plain) - 1);
		buf_free(&raw);
		if (n < 0 || memchr(plain, '\0', (size_t)n))
			continue;
		plain[n] = '\0';
		snprintf(fields, sizeof(fields), LEGACY("%s"), plain);
		snprintf(body, sizeof(body),
		         BOTH_META("\"_meta\":{" P "protocolVersion\":\"%s\"," P
		                   "clientCapabilities\":{}}"),
		         versions[i]);
		cr_assert_not(take_text(fields, body));
		cr_assert_eq(why.code, RPC_UNSUPPORTED_VERSION, "%zu", i);
		cr_expect_eq(
			scan_document(span_str(why.data), NULL, 0, NULL, &at),
			SCAN_OK, "%s", why.data);
		cr_expect(value_get(span_str(why.data), SPAN("requested")).at);
	}
}

Test(message, unknown_methods_are_shown_short_and_plain)
{
	char name[900], body[1024];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(body, sizeof(body),
	         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}", name);
	cr_assert_not(take_text("", body));
	cr_expect_eq(why.code, RPC_NO_METHOD);
	cr_expect_lt(strlen(why.text), 100u);
	cr_assert_not(take_text("", REQUEST("a\\nb")));
	cr_expect_eq(strchr(why.text, '\n'), NULL);
}

/* ---- ids, tokens, depth ---- */

static void long_id(size_t quoted, bool good)
{
	char body[1024], id[512];

	memset(id, 'i', sizeof(id));
	id[quoted - 2] = '\0';
	snprintf(body, sizeof(body),
	         "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"ping\"}", id);
	cr_expect_eq(take_text("", body), good, "%zu", quoted);
	snprintf(body, sizeof(body),
	         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\","
	         "\"params\":{\"_meta\":{\"progressToken\":\"%s\"}}}",
	         id);
	cr_expect_eq(take_text("", body), good, "token %zu", quoted);
	if (good)
		cr_expect_eq(msg.progress_token.len, quoted);
}

Test(message, ids_and_tokens_have_a_limit)
{
	long_id(2, true);
	long_id(MESSAGE_ID_MAX - 1, true);
	long_id(MESSAGE_ID_MAX, true);
	long_id(MESSAGE_ID_MAX + 1, false);
}

Test(message, depth_has_a_limit)
{
	for (int depth = SCAN_DEPTH_MAX - 4; depth < SCAN_DEPTH_MAX + 4;
	     depth++) {
		struct buf body = { .max = 4096 };

		buf_puts(&body, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		                "\"ping\",\"params\":{\"x\":");
		for (int i = 2; i < depth; i++)
			buf_putc(&body, '[');
		for (int i = 2; i < depth; i++)
			buf_putc(&body, ']');
		buf_puts(&body, "}}");
		cr_expect_eq(take("", buf_span(&body)), depth <= SCAN_DEPTH_MAX,
		             "%d: %s", depth, why.text);
		buf_free(&body);
	}
}

Test(message, everything_is_located)
{
	cr_assert(take_text(
		FIELDS("tools/call") "Mcp-Name: n\r\n",
		IN_2_0("\"id\":3,\"method\":\"tools/call\",\"params\":{"
	               "\"name\":\"n\",\"arguments\":{\"a\":[1, 2]},"
	               "\"cursor\":\"c\",\"x\":null,\"_meta\":{" P
	               "protocolVersion\":\"2026-07-28\"," P
	               "clientCapabilities\":{\"roots\":{}}," P
	               "logLevel\":\"error\",\"progressToken\":\"t\"}}")));
	cr_expect(span_is(msg.name, "\"n\""));
	cr_expect(span_is(msg.arguments, "{\"a\":[1, 2]}"));
	cr_expect(span_is(msg.cursor, "\"c\""));
	cr_expect(span_is(msg.capabilities, "{\"roots\":{}}"));
	cr_expect(span_is(msg.log_level, "\"error\""));
	cr_expect(span_is(msg.progress_token, "\"t\""));
	cr_expect(span_starts(msg.meta, SPAN("{" P)));
	cr_expect(span_starts(msg.params, SPAN("{\"name\"")));
	cr_expect_not(msg.ref.at);
	cr_assert(take_text(LEGACY("2025-06-18"), REQUEST("ping")));
	cr_expect(msg.revision == REVISION_2025_06_18);
	cr_assert(take_text("", REQUEST("ping")));
	cr_expect(msg.revision == REVISION_2025_03_26);
}

/* ---- sentinels ---- */

static const struct {
	const char *value, *header;
} sentinels[] = {
	{ "", "" },
	{ "us west 1", "us west 1" },
	{ "a\tb", "a\tb" },
	{ " us-west1", "=?base64?IHVzLXdlc3Qx?=" },
	{ "us-west1 ", "=?base64?dXMtd2VzdDEg?=" },
	{ "\tx", "=?base64?CXg=?=" },
	{ " ", "=?base64?IA==?=" },
	{ "\xe6\x97\xa5\xe6\x9c\xac", "=?base64?5pel5pys?=" },
	{ "line1\nline2", "=?base64?bGluZTEKbGluZTI=?=" },
	{ "a\rb", "=?base64?YQ1i?=" },
	{ "\x7f", "=?base64?fw==?=" },
	{ "=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=" },
	{ "=?base64?"
	  "?=",
	  "=?base64?PT9iYXNlNjQ/Pz0=?=" },
	{ "=?base64?=", "=?base64?=" },
	{ "=?base64?open", "=?base64?open" },
	{ "=?BASE64?eA==?=", "=?BASE64?eA==?=" },
	{ "eA==?=", "eA==?=" },
};

Test(message, sentinel_vectors_both_ways)
{
	for (size_t i = 0; i < ARRAY_LEN(sentinels); i++) {
		struct buf out = { .max = 4096 };
		char to[256];
		struct span got;

		message_sentinel(span_str(sentinels[i].value), &out);
		cr_expect(span_is(buf_span(&out), sentinels[i].header),
		          "%zu: %.*s", i, SPAN_ARG(buf_span(&out)));
		cr_assert(message_unsentinel(span_str(sentinels[i].header), to,
		                             &got),
		          "%zu", i);
		cr_expect(span_is(got, sentinels[i].value), "%zu: %.*s", i,
		          SPAN_ARG(got));
		buf_free(&out);
	}
}

Test(message, broken_sentinels)
{
	static const char *const broken[] = {
		"=?base64?SGVsbG8?=",      "=?base64?SGVs bG8=?=",
		"=?base64?SGVsbG8==?=",    "=?base64?SGVsbG9=?=",
		"=?base64?SGVs-_8=?=",     "=?base64?=?=",
		"=?base64?SGVsbG8=AA==?=", "=?base64?\xff\xff\xff\xff?=",
	};
	char to[256];
	struct span got;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		cr_expect_not(message_unsentinel(span_str(broken[i]), to, &got),
		              "%s", broken[i]);
}

Test(message, sentinel_round_trip_of_any_bytes)
{
	unsigned seed = 7;

	for (int round = 0; round < 2000; round++) {
		char value[48], to[256];
		struct buf out = { .max = 4096 };
		struct span got;
		size_t n = (size_t)(round % (int)sizeof(value));

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245u + 12345u;
			value[i] = (char)(seed >> 16);
		}
		message_sentinel(span_of(value, n), &out);
		cr_assert_leq(out.len, sizeof(to));
		for (size_t i = 0; i < out.len; i++)
			cr_assert(
				out.bytes[i] == '\t' ||
				(out.bytes[i] >= 0x20 && out.bytes[i] < 0x7f));
		cr_assert(message_unsentinel(buf_span(&out), to, &got));
		cr_assert(span_eq(got, span_of(value, n)));
		buf_free(&out);
	}
}

/* Names and URIs up to their limit are compared; longer ones are refused
 * before anything is written past a buffer. */
Test(message, names_of_4_kib)
{
	static const size_t sizes[] = { 1, 255, 4095, 4096, 4097, 6000 };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i];
		struct buf body = { .max = 1 << 20 }, f = { .max = 1 << 20 };

		buf_puts(&f, FIELDS("resources/read") "Mcp-Name: ");
		for (size_t k = 0; k < n; k++)
			buf_putc(&f, 'u');
		buf_puts(&f, "\r\n");
		buf_putc(&f, '\0');
		buf_puts(&body, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		                "\"resources/read\",\"params\":{\"uri\":\"");
		for (size_t k = 0; k < n; k++)
			buf_puts(&body, k % 2 ? "\\u0075" : "u");
		buf_puts(&body, "\"," META "}}");
		bool good = take(f.bytes, buf_span(&body));
		if (n <= MESSAGE_URI_MAX)
			cr_expect(good, "%zu: %s", n, why.text);
		buf_free(&body);
		buf_free(&f);
	}
}

/* ---- small ones ---- */

Test(message, levels)
{
	static const char *const words[] = { "debug",   "info",     "notice",
		                             "warning", "error",    "critical",
		                             "alert",   "emergency" };
	static const char *const others[] = { "\"\"", "\"Debug\"", "\"warn\"",
		                              "1",    "null",      "\"errors\"",
		                              "[]",   "" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		char raw[32];

		snprintf(raw, sizeof(raw), "\"%s\"", words[i]);
		cr_expect_eq(message_level(span_str(raw)), (int)i);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		cr_expect_eq(message_level(span_str(others[i])), -1, "%s",
		             others[i]);
	cr_expect_eq(message_level(SPAN("\"\\u0069nfo\"")), 1);
	cr_expect_eq(message_level(span_of(NULL, 0)), -1);
}

Test(message, batches)
{
	static const char *const bodies[] = { "[]", "[1]", " [ ] ",
		                              "[" REQUEST("ping") "]" };

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		cr_assert(take_text("", bodies[i]), "%s", why.text);
		cr_expect_eq(msg.kind, MESSAGE_BATCH);
		cr_expect_eq(msg.era, VIEW_LEGACY);
		cr_expect_eq(msg.revision, REVISION_2025_03_26);
		cr_expect_not(msg.has_version);
		cr_assert(take_text(LEGACY("2025-03-26"), bodies[i]));
		cr_expect(msg.has_version);
	}
	for (int i = 0; i < REVISIONS; i++)
		cr_expect_eq(message_batch_allowed((enum revision)i, &why),
		             i == REVISION_2025_03_26);
}

static enum revision revision_of(const char *fields)
{
	/* The body is read too; only the head matters. */
	(void)take_text(fields, "{");
	return message_head_revision(&request.head);
}

Test(message, revision_of_a_head)
{
	cr_expect_eq(revision_of(""), REVISION_2025_03_26);
	cr_expect_eq(revision_of(LEGACY("2025-03-26")), REVISION_2025_03_26);
	cr_expect_eq(revision_of(LEGACY("2025-06-18")), REVISION_2025_06_18);
	cr_expect_eq(revision_of(LEGACY("2025-11-25")), REVISION_2025_11_25);
	cr_expect_eq(revision_of(LEGACY("2026-07-28")), REVISION_2026_07_28);
	cr_expect_eq(revision_of(LEGACY("2099-01-01")), REVISION_2026_07_28);
}

Test(message, legacy_versions)
{
	enum revision revision;

	cr_expect(message_legacy_version(SPAN("2025-11-25"), &revision));
	cr_expect(message_legacy_version(SPAN("2025-06-18"), &revision));
	cr_expect(message_legacy_version(SPAN("2025-03-26"), &revision));
	cr_expect_not(message_legacy_version(SPAN("2026-07-28"), &revision));
	cr_expect_not(message_legacy_version(SPAN("2024-11-05"), &revision));
	cr_expect_not(message_legacy_version(SPAN(""), &revision));
	cr_expect_not(message_legacy_version(SPAN("2025-11-25 "), &revision));
}

Test(message, the_table_of_methods_is_consistent)
{
	for (size_t i = 0; i < METHODS; i++) {
		const struct method *m = &method_table[i];

		cr_expect_eq(m->id, (enum method_id)i);
		cr_expect_gt(m->name.len, 0u);
		cr_expect(m->eras);
		if (m->work == WORK_LIST)
			cr_expect_lt(m->kind, LIST_KINDS);
		for (size_t k = 0; k < i; k++)
			cr_expect_not(span_eq(m->name, method_table[k].name));
	}
}
