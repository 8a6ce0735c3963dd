#include "proxy/mirror.h"

#include <criterion/criterion.h>

#include "tests/unit/fixture_call.h"

TestSuite(mirror, .init = fixture_call_begin, .fini = fixture_call_end,
          .timeout = 60);

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

Test(mirror, fields_and_arguments)
{
	const struct entry *e = snapshot_find(
		way.snap,
		&snapshot_view(way.snap, VIEW_MODERN)->lists[LIST_TOOLS],
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
		cr_expect_eq(mirror_check(way.snap, e, &request.head,
		                          span_str(params[i].arguments), &why),
		             params[i].good, "row %zu", i);
		if (!params[i].good) {
			cr_expect_eq(why.code, RPC_HEADER_MISMATCH);
			cr_expect_eq(why.status, 400);
		}
	}
}
