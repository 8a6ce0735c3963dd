#include "oci/functions.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/value.h"
#include "oci/pack.h"
#include "oci/stock.h"

Test(functions, by_name)
{
	static const struct {
		const char *name;
		bool there;
	} rows[] = {
		{ "ping", true }, { "call_operation", true }, { "Ping", false },
		{ "pin", false }, { "pings", false },         { "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct tool_function *f =
			functions_by_name(span_str(rows[i].name));

		cr_expect_eq(f != NULL, rows[i].there, "%s", rows[i].name);
		if (f) {
			cr_expect_str_eq(f->name, rows[i].name);
			cr_expect_not_null(f->step);
		}
	}
}

Test(functions, of_a_recipe)
{
	const struct tool_function *f;

	f = functions_find(SPAN("{\"name\":\"x\",\"function\":\"ping\"}"));
	cr_assert_not_null(f);
	cr_expect_str_eq(f->name, "ping");
	f = functions_find(SPAN("{\"name\":\"x\",\"requests\":[]}"));
	cr_assert_not_null(f);
	cr_expect_str_eq(f->name, "");
	cr_expect_not_null(f->step);
	cr_expect_gt(f->state_bytes, 0);
	cr_expect_null(functions_find(SPAN("{\"function\":\"no such\"}")));
}

static bool has_function(struct span name)
{
	return functions_by_name(name) != NULL;
}

/* What a pack names is there, and its own name leads back to it. */
Test(functions, all_that_the_stock_packs_name)
{
	struct pack_rules rules = { .has_function = has_function };
	struct packs packs = { 0 };
	size_t named = 0;

	cr_assert_geq(pack_load_all(&packs, stock_packs(), &rules), 0);
	for (size_t i = 0; i < packs.n_tools; i++) {
		struct span recipe = packs.tools[i].recipe, name;
		const struct tool_function *f = functions_find(recipe);

		cr_assert_not_null(f, "%s", packs.tools[i].name);
		if (!value_string_plain(value_get(recipe, SPAN("function")),
		                        &name))
			continue;
		named++;
		cr_expect(span_is(name, f->name));
		cr_expect_eq(functions_by_name(name), f, "%s twice", f->name);
	}
	cr_expect_gt(named, 20);
	pack_fini(&packs);
}
