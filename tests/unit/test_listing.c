#include "oci/listing.h"

#include <criterion/criterion.h>

#include "tests/unit/fixture_tool.h"

TestSuite(listing, .init = fixture_tool_begin, .fini = fixture_tool_end);

Test(listing, contains)
{
	cr_assert(listing_contains(SPAN("Web Server"), SPAN("b s")));
	cr_assert(listing_contains(SPAN("web"), SPAN("WEB")));
	cr_assert(listing_contains(SPAN(""), SPAN("")));
	cr_assert(listing_contains(SPAN("x"), SPAN("")));
	cr_assert_not(listing_contains(SPAN("we"), SPAN("web")));
	cr_assert_not(listing_contains(SPAN(""), SPAN("w")));
}

#define RECIPE                                               \
	"{\"parameters\":{\"limit\":{\"type\":\"integer\"}," \
	"\"offset\":{\"type\":\"integer\"}}}"

static bool complete;

static bool matches(void *context, struct span item)
{
	(void)context;
	return !span_is(item, "0");
}

static void write_number(void *context, struct output *o, struct span item)
{
	(void)context;
	output_raw(o, NULL, item);
}

static enum tool_next step(struct tool_run *run)
{
	struct listing listing = { .key = "numbers",
		                   .complete = complete,
		                   .matches = matches,
		                   .write = write_number };
	struct output o;
	size_t n;
	const struct span *items =
		listing_items(run, SPAN("[1,0,2,3,0,4]"), &n);

	cr_assert_eq(n, 6);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	listing_write(run, &o, &listing, items, n);
	output_end(&o);
	return TOOL_DONE;
}

Test(listing, pages)
{
	static const struct {
		const char *arguments;
		bool complete;
		const char *total, *count, *more, *next, *last;
	} rows[] = {
		{ "{}", true, "4", "4", "false", "null", "4" },
		{ "{\"limit\":3}", true, "4", "3", "true", "3", NULL },
		{ "{\"limit\":3,\"offset\":3}", true, "4", "1", "false", "null",
		  NULL },
		{ "{\"offset\":4}", true, "4", "0", "false", "null", NULL },
		{ "{\"offset\":400}", true, "4", "0", "false", "null", NULL },
		{ "{\"limit\":4}", false, "null", "4", "true", "4", "4" },
		{ "{\"offset\":4}", false, "null", "0", "false", "null", NULL },
	};
	static const struct tool_function function = { .step = step };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		complete = rows[i].complete;
		fixture_tool_call(&function, RECIPE, rows[i].arguments);
		fixture_tool_is("total", rows[i].total);
		fixture_tool_is("count", rows[i].count);
		fixture_tool_is("has_more", rows[i].more);
		fixture_tool_is("next_offset", rows[i].next);
		fixture_tool_is("numbers[3]", rows[i].last);
	}
}
