#include "oci/indent.h"

#include <criterion/criterion.h>

#include "lib/base.h"

/* clang-format off */
static const struct {
	const char *json, *text;
} rows[] = {
	{ "1", "1" },
	{ "\"a\"", "\"a\"" },
	{ "{}", "{}" },
	{ " [ ] ", "[]" },
	{ "{\"a\":1}", "{\n  \"a\": 1\n}" },
	{ " { \"a\" : [ 1 ,\t2.5e3, \"x,{:}\" , true,null ] , \"b\" : { } }",
	  "{\n  \"a\": [\n    1,\n    2.5e3,\n    \"x,{:}\",\n    true,\n"
	  "    null\n  ],\n  \"b\": {}\n}" },
	{ "[[],{},[{}]]", "[\n  [],\n  {},\n  [\n    {}\n  ]\n]" },
	{ "[\"\\\"\",\"\\\\\",\"\\u005b\"]",
	  "[\n  \"\\\"\",\n  \"\\\\\",\n  \"\\u005b\"\n]" },
};
/* clang-format on */

Test(indent, breaks_lines)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = { .max = 4096 };

		indent_write(&out, span_str(rows[i].json));
		cr_assert(span_is(buf_span(&out), rows[i].text), "%.*s",
		          SPAN_ARG(buf_span(&out)));
		buf_free(&out);
	}
}

Test(indent, goes_deeper_than_its_row_of_spaces)
{
	struct buf json = { .max = 4096 }, out = { .max = 1 << 20 };

	for (int i = 0; i < 100; i++)
		buf_puts(&json, "[1,");
	buf_puts(&json, "2");
	for (int i = 0; i < 100; i++)
		buf_puts(&json, "]");
	indent_write(&out, buf_span(&json));
	cr_assert_eq(buf_err(&out), 0);
	/* Lines: 200 openings and ones, 1, 100 closings, less the first. */
	cr_assert_eq(out.len, 300 + 401 + 2 * (2 * 5050 + 4950));
	buf_free(&json);
	buf_free(&out);
}

Test(indent, survives_what_is_not_json)
{
	static const char bad[] = "}]{\"a:[,\\\",:[\"";

	for (size_t n = 0; n < sizeof(bad); n++) {
		struct buf out = { .max = 4096 };

		indent_write(&out, span_of(bad, n));
		cr_assert_eq(buf_err(&out), 0);
		buf_free(&out);
	}
}
