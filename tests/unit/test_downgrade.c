#include "proxy/downgrade.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/scan.h"
#include "proxy/sealed.h"

#define R03 REVISION_2025_03_26
#define R06 REVISION_2025_06_18
#define R11 REVISION_2025_11_25
#define LINK                                                             \
	"{\"type\":\"resource_link\",\"uri\":\"x://\\u00e9\",\"name\":"  \
	"\"a\\\"b\",\"description\":\"d\",\"size\":1,\"annotations\":{}" \
	"}"
#define TEXT                                                                  \
	"{\"type\":\"text\",\"text\":\"a\\\"b: x://\\u00e9\\nd\",\"annotatio" \
	"ns\":{}}"
#define AUDIO "{\"type\":\"audio\",\"data\":\"\",\"mimeType\":\"a/b\"}"

static const struct {
	enum revision to;
	enum method_id method;
	const char *result, *want; /* NULL: as it is */
} results[] = {
	{ R03, METHOD_TOOLS_CALL, "{\"content\":[" LINK "]}",
	  "{\"content\":[" TEXT "]}" },
	{ R03, METHOD_TOOLS_CALL,
	  "{ \"content\" : [ " AUDIO " , " LINK " ] , \"isError\" : true }",
	  "{\"content\":[" AUDIO "," TEXT "],\"isError\":true}" },
	{ R03, METHOD_TOOLS_CALL,
	  "{\"content\":[{\"type\":\"resource\\u005f"
	  "link\",\"uri\":\"x:y\"}]}",
	  "{\"content\":[{\"type\":\"text\",\"text\":\"x:y\"}]}" },
	{ R03, METHOD_TOOLS_CALL,
	  "{\"content\":[{\"type\":\"resource_link\",\"uri\":1,\"name\":{}}]}",
	  "{\"content\":[{\"type\":\"text\",\"text\":\"\"}]}" },
	{ R03, METHOD_TOOLS_CALL, "{\"content\":[" AUDIO ",1,null,[" LINK "]]}",
	  NULL },
	{ R03, METHOD_TOOLS_CALL, "{\"content\":" LINK "}", NULL },
	{ R03, METHOD_TOOLS_CALL, "{}", NULL },
	{ R03, METHOD_TOOLS_CALL, "{ }", NULL },
	{ R03, METHOD_TOOLS_CALL, "{\"structuredContent\":{},\"content\":[]}",
	  "{\"content\":[]}" },
	{ R03, METHOD_TOOLS_CALL, "{\"structuredContent\":{}}", "{}" },
	{ R03, METHOD_PROMPTS_GET,
	  "{\"messages\":[{\"role\":\"user\",\"content\":" LINK
	  "},{\"content\":" AUDIO ",\"role\":\"user\"},5]}",
	  "{\"messages\":[{\"role\":\"user\",\"content\":" TEXT
	  "},{\"content\":" AUDIO ",\"role\":\"user\"},5]}" },
	{ R03, METHOD_PROMPTS_GET,
	  "{\"content\":[" LINK "],\"structuredContent\":1}", NULL },
	{ R03, METHOD_RES_READ,
	  "{\"messages\":[{\"content\":" LINK "}],\"content\":[" LINK "]}",
	  NULL },
	{ R06, METHOD_TOOLS_CALL, "{\"content\":[" LINK "]}", NULL },
	{ R06, METHOD_TOOLS_CALL, "{\"structuredContent\":{\"a\":[]}}", NULL },
	{ R06, METHOD_TOOLS_CALL,
	  "{\"content\":[" LINK "],\"structuredContent\":[1]}",
	  "{\"content\":[" LINK "]}" },
	{ R11, METHOD_TOOLS_CALL, "{\"structuredContent\":null,\"a\":1}",
	  "{\"a\":1}" },
	{ R11, METHOD_TOOLS_CALL, "{\"a\":1,\"structuredContent\":\"x\"}",
	  "{\"a\":1}" },
	{ R11, METHOD_PROMPTS_GET, "{\"messages\":[{\"content\":" LINK "}]}",
	  NULL },
};

Test(downgrade, results)
{
	struct buf out = { .max = 1 << 20 };

	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		const char *want =
			results[i].want ? results[i].want : results[i].result;
		struct span in = span_str(results[i].result);
		struct span got = downgrade_result(results[i].to,
		                                   results[i].method, in, &out);

		cr_expect(span_eq(got, span_str(want)), "row %zu: %.*s", i,
		          SPAN_ARG(got));
		cr_expect_eq(got.at == in.at, results[i].want == NULL,
		             "row %zu is copied for nothing", i);
	}
	buf_free(&out);
}

Test(downgrade, no_room)
{
	struct buf out = { .max = 20 };

	downgrade_result(R03, METHOD_TOOLS_CALL,
	                 SPAN("{\"content\":[" LINK "]}"), &out);
	cr_expect_eq(buf_err(&out), -ENOBUFS);
	buf_free(&out);
}

Test(downgrade, tools)
{
	static const char *const rows[][2] = {
		{ "{\"name\":\"a\",\"outputSchema\":{\"type\":\"object\"},"
		  "\"title\":\"t\"}",
		  "{\"name\":\"a\",\"title\":\"t\"}" },
		{ "{\"outputSchema\":{}}", "{}" },
		{ "{\"inputSchema\":{\"outputSchema\":1}}",
		  "{\"inputSchema\":{\"outputSchema\":1}}" },
	};
	struct buf out = { .max = 4096 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		downgrade_tool(span_str(rows[i][0]), &out);
		cr_expect(span_is(buf_span(&out), rows[i][1]), "%.*s",
		          SPAN_ARG(buf_span(&out)));
	}
	cr_expect_not(downgrade_structured(R03));
	cr_expect(downgrade_structured(R06));
	buf_free(&out);
}

Test(downgrade, url_errors)
{
	static const char *const rows[][3] = {
		{ "\"m\\n\"",
		  "{\"elicitations\":[{\"url\":\"https://a/\\\"\",\"message\":"
		  "\"Go\"},{\"url\":\"https://b\"}]}",
		  "\"m\\n\\nGo: https://a/\\\"\\nhttps://b\"" },
		{ "\"m\"", "", "\"m\"" },
		{ "\"m\"", "[]", "\"m\"" },
		{ "\"m\"", "{\"elicitations\":{}}", "\"m\"" },
		{ "\"m\"",
		  "{\"elicitations\":[1,{\"url\":2},{\"message\":\"x\"}]}",
		  "\"m\"" },
	};
	struct buf out = { .max = 4096 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		downgrade_url_error(span_str(rows[i][0]), span_str(rows[i][1]),
		                    &out);
		cr_expect(span_is(buf_span(&out), rows[i][2]), "%.*s",
		          SPAN_ARG(buf_span(&out)));
	}
	buf_free(&out);
}

Test(downgrade, abilities)
{
	uint32_t all = CLIENT_FORM | CLIENT_URL | CLIENT_SAMPLING |
	               CLIENT_TOOLS | CLIENT_CONTEXT | CLIENT_ROOTS;

	cr_expect_eq(downgrade_abilities(R03, all),
	             CLIENT_SAMPLING | CLIENT_ROOTS);
	cr_expect_eq(downgrade_abilities(R06, all),
	             CLIENT_SAMPLING | CLIENT_ROOTS | CLIENT_FORM);
	cr_expect_eq(downgrade_abilities(R11, all), all);
	cr_expect_eq(downgrade_abilities(R06, CLIENT_URL), 0u);
}
