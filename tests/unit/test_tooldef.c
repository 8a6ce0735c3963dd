#include "proxy/tooldef.h"

#include <criterion/criterion.h>

#include "lib/value.h"
#include "proxy/catalog.h"

/* Through catalogues it is tested in test_catalog.c; here are its details. */

Test(tooldef, visible)
{
	static const struct {
		const char *text;
		bool visible;
	} cases[] = {
		{ "", true },
		{ "get_x.y-Z 9", true },
		{ "\u00e9\u65e5\u672c\U0001f600", true },
		{ "a\tb", false },
		{ "\x7f", false },
		{ "\xc2\x80", false },
		{ "\u00a0", false },
		{ "\u00ad", false },
		{ "\u061c", false },
		{ "\u200b", false },
		{ "\u200f", false },
		{ "\u202e", false },
		{ "\u2066", false },
		{ "\u3164", false },
		{ "\ufe0f", false },
		{ "\ufeff", false },
		{ "\U000e0041", false },
		{ "\xff", false },
		{ "\xc3", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_expect_eq(tooldef_visible(span_str(cases[i].text)),
		             cases[i].visible, "%zu", i);
}

Test(tooldef, without_a_member)
{
	static const struct {
		const char *item, *left;
	} cases[] = {
		{ "{\"x\":1}", "{}" },
		{ "{ \"x\" : [ 1 ] }", "{  }" },
		{ "{\"x\":1,\"a\":2}", "{\"a\":2}" },
		{ "{\"x\" : 1 , \"a\":2}", "{\"a\":2}" },
		{ "{\"a\":2,\"x\":1}", "{\"a\":2}" },
		{ "{\"a\":2 , \"x\" : 1 }", "{\"a\":2 }" },
		{ "{\"a\":2,\"x\":1,\"b\":3}", "{\"a\":2,\"b\":3}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span item = span_str(cases[i].item);
		struct span cut =
			tooldef_member(item, value_get(item, SPAN("x")));
		struct buf left = { .max = 256 };

		buf_add(&left, item.at, (size_t)(cut.at - item.at));
		buf_add(&left, cut.at + cut.len,
		        (size_t)(item.at + item.len - cut.at) - cut.len);
		cr_expect(span_is(buf_span(&left), cases[i].left), "%zu: %.*s",
		          i, SPAN_ARG(buf_span(&left)));
		buf_free(&left);
	}
}

Test(tooldef, own_tools)
{
	struct tooldef def = { 0 };

	for (uint32_t i = 0; i < OWN_TOOLS; i++) {
		cr_expect_null(tooldef_read(LIST_TOOLS, VIEW_MODERN,
		                            tooldef_own(i), &def));
		cr_expect_eq(def.flags, ENTRY_READ_ONLY | ENTRY_IDEMPOTENT);
		cr_expect(tooldef_is_object_schema(def.input_schema));
		cr_expect_null(
			value_get(def.input_schema, SPAN("required")).at);
	}
	tooldef_fini(&def);
}

Test(tooldef, object_schemas)
{
	cr_expect(tooldef_is_object_schema(SPAN("{\"type\":\"object\"}")));
	cr_expect(
		tooldef_is_object_schema(SPAN("{\"type\":\"\\u006fbject\"}")));
	cr_expect_not(
		tooldef_is_object_schema(SPAN("{\"type\":[\"object\"]}")));
	cr_expect_not(tooldef_is_object_schema(SPAN("{}")));
	cr_expect_not(tooldef_is_object_schema(SPAN("true")));
}

#define TOOL(more) \
	"{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}" more "}"

Test(tooldef, tools_that_run_as_tasks_only)
{
	static const struct {
		const char *item;
		bool task;
	} rows[] = {
		{ TOOL(""), false },
		{ TOOL(",\"execution\":{\"taskSupport\":\"required\"}"), true },
		{ TOOL(",\"execution\":{\"taskSupport\":\"optional\"}"),
		  false },
		{ TOOL(",\"execution\":{\"taskSupport\":true}"), false },
		{ TOOL(",\"execution\":\"required\""), false },
	};
	struct tooldef def = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span item = span_str(rows[i].item);

		for (enum view_era era = 0; era < VIEWS; era++) {
			cr_expect_null(
				tooldef_read(LIST_TOOLS, era, item, &def));
			cr_expect_eq(def.flags, rows[i].task ? ENTRY_TASK : 0);
		}
	}
	tooldef_fini(&def);
}

Test(tooldef, pages_of_apps)
{
	static const struct {
		const char *item, *apps[2];
	} rows[] = {
		{ TOOL(""), { "", "" } },
		{ TOOL(",\"_meta\":{\"ui\":{\"resourceUri\":\"a\"}}"),
		  { "\"a\"", "" } },
		{ TOOL(",\"_meta\":{\"ui/resourceUri\":\"b\",\"ui\":7}"),
		  { "", "\"b\"" } },
		{ TOOL(",\"_meta\":[],\"ui\":{\"resourceUri\":\"a\"}"),
		  { "", "" } },
	};
	struct tooldef def = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_expect_null(tooldef_read(LIST_TOOLS, VIEW_MODERN,
		                            span_str(rows[i].item), &def));
		for (size_t k = 0; k < ARRAY_LEN(def.apps); k++)
			cr_expect(span_is(def.apps[k], rows[i].apps[k]),
			          "%zu %zu", i, k);
	}
	tooldef_fini(&def);
}
