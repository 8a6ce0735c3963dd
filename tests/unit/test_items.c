#include "lib/items.h"

#include <criterion/criterion.h>

#include "lib/base.h"

Test(items, come_one_by_one)
{
	static const struct {
		const char *list;
		char separator;
		const char *items[4]; /* up to NULL */
	} rows[] = {
		{ "", ',', { NULL } },
		{ "a", ',', { "a" } },
		{ "a,b", ',', { "a", "b" } },
		{ " a \t,, b c ", ',', { "a", "", "b c" } },
		{ "a,", ',', { "a" } },
		{ ",a", ',', { "", "a" } },
		{ "a;q=1, b", ';', { "a", "q=1, b" } },
		{ "\"a,b\",c", ',', { "\"a,b\"", "c" } },
		{ "\"a\\\",b\",c", ',', { "\"a\\\",b\"", "c" } },
		{ "\"a,b", ',', { "\"a,b" } },
		{ "\"a\\", ',', { "\"a\\" } },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span rest = span_str(rows[i].list);
		size_t n = 0;

		for (; rest.len; n++) {
			struct span item = items_next(&rest, rows[i].separator);

			cr_assert_lt(n, ARRAY_LEN(rows[i].items));
			cr_assert_not_null(rows[i].items[n], "%s",
			                   rows[i].list);
			cr_assert(span_is(item, rows[i].items[n]), "%s: %.*s",
			          rows[i].list, SPAN_ARG(item));
		}
		cr_assert_null(rows[i].items[n], "%s", rows[i].list);
	}
}

Test(items, tokens_are_found)
{
	static const struct {
		const char *list;
		bool has;
	} rows[] = {
		{ "", false },        { "close", true },
		{ "x, Close", true }, { "close;x", false },
		{ "closed", false },  { "\"x, close\"", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_assert_eq(items_have(span_str(rows[i].list), SPAN("close")),
		             rows[i].has, "%s", rows[i].list);
}
