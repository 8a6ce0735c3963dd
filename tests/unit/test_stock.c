#include "oci/stock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/scan.h"
#include "lib/value.h"
#include "oci/functions.h"
#include "oci/pack.h"

static bool has_function(struct span name)
{
	return functions_by_name(name) != NULL;
}

static void report(void *owner, const struct pack_defect *defect)
{
	(void)owner;
	cr_expect(false, "%s:%u: %s: %s", defect->file, defect->place.line,
	          defect->tool, defect->reason);
}

static void load(struct packs *packs)
{
	struct pack_rules rules = { .has_function = has_function,
		                    .report = report };

	memset(packs, 0, sizeof(*packs));
	cr_assert_eq(pack_load_all(packs, stock_packs(), &rules), 0);
}

Test(stock, all_of_them_load)
{
	struct packs packs;

	load(&packs);
	cr_expect_gt(packs.n_tools, 100);
	pack_fini(&packs);
}

/* What clients and the tests of process hold on to. */
Test(stock, tools_that_must_be_there)
{
	static const char *const names[] = {
		"oci_ping",
		"oci_list_domains",
		"oci_search_tools",
		"oci_get_cache_stats",
		"oci_search_operations",
		"oci_describe_operation",
		"oci_call_operation",
	};
	struct packs packs;

	load(&packs);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		cr_expect_not_null(pack_find(&packs, span_str(names[i])), "%s",
		                   names[i]);
	cr_expect_null(pack_find(&packs, SPAN("oci_no_such_tool")));
	pack_fini(&packs);
}

Test(stock, every_recipe_is_whole)
{
	static const char *const members[] = { "name", "title", "description",
		                               "pack", "inputSchema" };
	struct scan_error why;
	struct packs packs;

	load(&packs);
	for (size_t i = 0; i < packs.n_tools; i++) {
		const struct pack_tool *tool = &packs.tools[i];

		cr_assert_eq(scan_document(tool->recipe, NULL, 0, NULL, &why),
		             SCAN_OK, "%s", tool->name);
		for (size_t k = 0; k < ARRAY_LEN(members); k++)
			cr_expect_gt(
				value_get(tool->recipe, span_str(members[k]))
					.len,
				2, "%s has no %s", tool->name, members[k]);
	}
	pack_fini(&packs);
}
