#include "oci/comptree.h"

#include <criterion/criterion.h>

#include "oci/output.h"
#include "tests/unit/fixture_tool.h"

TestSuite(comptree, .init = fixture_tool_begin, .fini = fixture_tool_end);

static const struct {
	const char *id;
	int depth;
	const char *path, *above_one;
	bool within_a;
} rows[] = {
	{ FIXTURE_TENANCY, 0, "company", FIXTURE_TENANCY, false },
	{ "a", 1, "company / A", "a", true },
	{ "b", 2, "company / A / B", "a", true },
	{ "c", 3, "company / A / B / C", "a", true },
	{ "d", 1, "company / D", "d", false },
	{ "lost", -1, "Lost", "lost", false },
	{ "loop", -1, NULL, "loop", false },
	{ "unknown", -1, "", "unknown", false },
};

static enum tool_next step(struct tool_run *run)
{
	struct comptree *tree = tool_state(run);

	if (tool_phase(run) == 0) {
		comptree_ask(run, tree, SPAN(FIXTURE_TENANCY));
		return TOOL_WAIT;
	}
	cr_assert(comptree_read(run, tree));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span id = span_str(rows[i].id);

		cr_assert_eq(comptree_depth(tree, id), rows[i].depth, "%s",
		             rows[i].id);
		if (rows[i].path)
			cr_assert(span_is(comptree_path(run, tree, id),
			                  rows[i].path),
			          "%s", rows[i].id);
		cr_assert(span_is(comptree_above(tree, id, 1),
		                  rows[i].above_one));
		cr_assert_eq(comptree_within(tree, id, SPAN("a")),
		             rows[i].within_a);
	}
	cr_assert(comptree_within(tree, SPAN("c"), SPAN(FIXTURE_TENANCY)));
	buf_puts(tool_out(run), "{}");
	return TOOL_DONE;
}

Test(comptree, shapes)
{
	static const struct tool_function f = {
		.step = step, .state_bytes = sizeof(struct comptree)
	};

	fixture_tool_answer(
		"identity/Identity/ListCompartments",
		"[{\"id\":\"c\",\"name\":\"C\",\"compartmentId\":\"b\"},"
		"{\"id\":\"a\",\"name\":\"A\",\"compartmentId\":"
		"\"" FIXTURE_TENANCY "\"},"
		"{\"id\":\"b\",\"name\":\"B\",\"compartmentId\":\"a\"},"
		"{\"id\":\"d\",\"name\":\"D\",\"compartmentId\":"
		"\"" FIXTURE_TENANCY "\"},"
		"{\"id\":\"lost\",\"name\":\"Lost\","
		"\"compartmentId\":\"gone\"},"
		"{\"id\":\"loop\",\"name\":\"Loop\","
		"\"compartmentId\":\"loop\"}]");
	fixture_tool_answer("identity/Identity/GetTenancy",
	                    "{\"name\":\"company\"}");
	cr_assert_not(fixture_tool_call(&f, "{}", NULL)->is_error);
}
