#include "master/envelope.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/span.h"

#define META(version)                                                       \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" version \
	"\"}"

static struct buf out = { .max = 65536 };

static const char *text(void)
{
	cr_assert(buf_err(&out) == 0);
	buf_putc(&out, '\0');
	return out.bytes;
}

Test(envelope, kinds)
{
	static const struct {
		const char *text;
		enum envelope_kind kind;
	} rows[] = {
		{ "{\"id\":1,\"method\":\"ping\"}", ENVELOPE_REQUEST },
		{ "{\"id\":\"a\",\"method\":\"initialize\"}",
		  ENVELOPE_REQUEST },
		{ "{\"id\":1,\"method\":\"subscriptions/listen\"}",
		  ENVELOPE_REQUEST },
		{ "{\"method\":\"notifications/initialized\"}",
		  ENVELOPE_NOTIFICATION },
		{ "{\"id\":1,\"result\":{}}", ENVELOPE_RESPONSE },
		{ "{\"id\":null,\"method\":\"ping\"}", ENVELOPE_OTHER },
		{ "{\"id\":1,\"method\":7}", ENVELOPE_OTHER },
		{ "[{\"id\":1,\"method\":\"ping\"}]", ENVELOPE_OTHER },
		{ "{}", ENVELOPE_OTHER },
		{ "\"method\"", ENVELOPE_OTHER },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct envelope e;
		const char *why;

		cr_expect(envelope_read(span_str(rows[i].text), &e, &why) == 0);
		cr_expect(e.kind == rows[i].kind, "%s", rows[i].text);
		cr_expect(e.opens == !!strstr(rows[i].text, "initialize\""));
		cr_expect(e.listens == !!strstr(rows[i].text, "/listen"));
	}
}

Test(envelope, faults)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "", ENVELOPE_PARSE_ERROR },
		{ "{\"id\":1", ENVELOPE_PARSE_ERROR },
		{ "{\"id\":\"\xff\"}", ENVELOPE_PARSE_ERROR },
		{ "{\"id\":1,\"id\":2}", ENVELOPE_INVALID_REQUEST },
		{ "{\"ID\":1}", ENVELOPE_INVALID_REQUEST },
		{ "{\"\\u0069d\":1}", ENVELOPE_INVALID_REQUEST },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct envelope e;
		const char *why = NULL;

		cr_expect(envelope_read(span_str(rows[i].text), &e, &why) ==
		                  rows[i].code,
		          "%s", rows[i].text);
		cr_expect(why && *why);
	}
}

/* A message that is cut anywhere is no message. */
Test(envelope, every_cut)
{
	static const char whole[] = "{\"id\":1,\"method\":\"tools/"
				    "call\",\"params\":{\"name\":\"a\"}}";

	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		struct envelope e;
		const char *why;

		cr_expect(envelope_read(span_of(whole, n), &e, &why) ==
		          ENVELOPE_PARSE_ERROR);
	}
}

Test(envelope, header_fields)
{
	static const struct envelope_session session = { .version =
		                                                 "2025-11-25",
		                                         .id = "s1" };
	static const struct {
		const char *text, *fields;
	} rows[] = {
		{ "{\"id\":1,\"method\":\"initialize\"}", "" },
		{ "{\"id\":1,\"method\":\"ping\"}",
		  "MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: "
		  "s1\r\n" },
		{ "{\"id\":1,\"method\":\"tools/list\",\"params\":{" META(
			  "2026-07-28") "}}",
		  "MCP-Protocol-Version: 2026-07-28\r\n"
		  "Mcp-Method: tools/list\r\n" },
		{ "{\"id\":1,\"method\":\"tools/call\",\"params\":{"
		  "\"name\":\"us \\u0077est 1\"," META("2026-07-28") "}}",
		  "MCP-Protocol-Version: 2026-07-28\r\n"
		  "Mcp-Method: tools/call\r\nMcp-Name: us west 1\r\n" },
		{ "{\"id\":1,\"method\":\"resources/read\",\"params\":{"
		  "\"uri\":\"日本\"," META("2026-07-28") "}}",
		  "MCP-Protocol-Version: 2026-07-28\r\n"
		  "Mcp-Method: resources/read\r\n"
		  "Mcp-Name: =?base64?5pel5pys?=\r\n" },
		{ "{\"id\":1,\"method\":\"tools/call\",\"params\":{"
		  "\"name\":\"=?base64?literal?=\"," META("2026-07-28") "}}",
		  "MCP-Protocol-Version: 2026-07-28\r\n"
		  "Mcp-Method: tools/call\r\n"
		  "Mcp-Name: =?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=\r\n" },
		{ "{\"id\":1,\"method\":\"a\\r\\nX: y\",\"params\":{" META(
			  "1\\n") "}}",
		  "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct envelope e;
		const char *why;

		cr_assert(envelope_read(span_str(rows[i].text), &e, &why) == 0);
		buf_reset(&out);
		envelope_fields(&e, &session, &out);
		cr_expect_str_eq(text(), rows[i].fields);
	}
}

Test(envelope, answers)
{
	static const struct {
		const char *text, *id;
		enum envelope_answer verdict;
		const char *line;
	} rows[] = {
		{ "{\"id\":1,\r\n\"result\":{}}", "1", ENVELOPE_ANSWERED,
		  "{\"id\":1,  \"result\":{}}\n" },
		{ "{\"method\":\"notifications/progress\"}", "1",
		  ENVELOPE_ON_THE_WAY,
		  "{\"method\":\"notifications/progress\"}\n" },
		{ "{\"error\":{\"code\":-1}}", "\"a\"", ENVELOPE_ANSWERED,
		  "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"error\":{\"code\":-1}}"
		  "\n" },
		{ "{\"id\":null,\"error\":{}}", "", ENVELOPE_ANSWERED,
		  "{\"id\":null,\"error\":{}}\n" },
		{ "{\"status\":\"busy\"}", "1", ENVELOPE_NOT_JSON, "" },
		{ "<html>", "1", ENVELOPE_NOT_JSON, "" },
		{ "[]", "1", ENVELOPE_NOT_JSON, "" },
		{ "[{\"id\":1,\"result\":{}}]", "", ENVELOPE_ANSWERED,
		  "[{\"id\":1,\"result\":{}}]\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		cr_expect(envelope_answer(span_str(rows[i].text),
		                          span_str(rows[i].id), NULL,
		                          &out) == rows[i].verdict,
		          "%s", rows[i].text);
		cr_expect_str_eq(text(), rows[i].line);
	}
}

Test(envelope, what_an_initialize_settles)
{
	char version[ENVELOPE_VERSION_MAX + 1] = "";

	envelope_answer(SPAN("{\"id\":1,\"result\":{\"protocolVersion\":"
	                     "\"2025-06-18\"}}"),
	                SPAN("1"), version, &out);
	cr_expect_str_eq(version, "2025-06-18");
	envelope_answer(SPAN("{\"id\":1,\"result\":{\"protocolVersion\":"
	                     "\"a\\r\\nb\"}}"),
	                SPAN("1"), version, &out);
	cr_expect_str_eq(version, "");
}

Test(envelope, an_error_of_our_own)
{
	envelope_error(span_of(NULL, 0), -32700, "a \"b\"", &out);
	cr_expect_str_eq(text(), "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{"
	                         "\"code\":-32700,\"message\":\"a \\\"b\\\"\"}}"
	                         "\n");
}
