#include "oci/tally.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "oci/output.h"
#include "tests/unit/fixture_tool.h"

TestSuite(tally, .init = fixture_tool_begin, .fini = fixture_tool_end);

static enum tool_next few(struct tool_run *run)
{
	struct tally t = { 0 };
	size_t row;

	cr_assert(tally_add(run, &t, SPAN("b"), SPAN(""), 2, NULL));
	cr_assert(tally_add(run, &t, SPAN("a"), SPAN(""), 1, NULL));
	cr_assert(tally_add(run, &t, SPAN("b"), SPAN("x"), 4, &row));
	cr_assert_eq(row, 2);
	cr_assert(tally_add(run, &t, SPAN("b"), SPAN(""), 2, &row));
	cr_assert_eq(row, 0);
	/* The border between the names counts. */
	cr_assert(tally_add(run, &t, SPAN("bx"), SPAN(""), 1, NULL));
	cr_assert_eq(t.n_rows, 4);
	cr_assert_float_eq(t.sum, 10, 1e-12);
	tally_sort(&t);
	cr_assert(span_is(t.rows[0].name, "b"));
	cr_assert(span_is(t.rows[2].name, "a"));
	cr_assert(span_is(t.rows[3].name, "bx"));
	buf_puts(tool_out(run), "{}");
	return TOOL_DONE;
}

static enum tool_next many(struct tool_run *run)
{
	struct tally t = { 0 };
	char text[16];

	for (int i = 0; i < TALLY_ROWS_MAX; i++) {
		int n = snprintf(text, sizeof(text), "%d", i);
		struct span name = tool_keep(run, span_of(text, (size_t)n));

		cr_assert(tally_add(run, &t, name, name, i, NULL));
	}
	cr_assert_not(tally_add(run, &t, SPAN("x"), SPAN(""), 1, NULL));
	cr_assert(tally_add(run, &t, SPAN("7"), SPAN("7"), 1e9, NULL));
	cr_assert_eq(t.n_rows, TALLY_ROWS_MAX);
	tally_sort(&t);
	cr_assert(span_is(t.rows[0].name, "7"));
	buf_puts(tool_out(run), "{}");
	return TOOL_DONE;
}

Test(tally, names)
{
	static const struct tool_function f = { .step = few };

	cr_assert_not(fixture_tool_call(&f, "{}", NULL)->is_error);
}

Test(tally, limit)
{
	static const struct tool_function f = { .step = many };

	cr_assert_not(fixture_tool_call(&f, "{}", NULL)->is_error);
}
