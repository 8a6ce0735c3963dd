#include "oci/discovery.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/value.h"
#include "oci/path.h"
#include "tests/unit/fixture_tool.h"

TestSuite(discovery, .init = fixture_tool_begin, .fini = fixture_tool_end,
          .timeout = 60);

#define REGIONS "identity/Identity/ListRegionSubscriptions"

/* --- oci_ping ------------------------------------------------------------- */

Test(discovery, ping)
{
	fixture_tool_answer(REGIONS, "[]");
	cr_expect_not(fixture_tool_stock("oci_ping", NULL)->is_error);
	fixture_tool_is("healthy", "true");
	fixture_tool_is("oci_connected", "true");
	fixture_tool_is("server_name", "\"fixture\"");
	fixture_tool_is("version", "\"1\"");
	fixture_tool_is("auth_method", "\"" FIXTURE_METHOD "\"");
	fixture_tool_is("region", "\"" FIXTURE_REGION "\"");
	fixture_tool_is("details.oci.error", "null");
	fixture_tool_is("details.oci.mutations_allowed", "true");
	cr_expect_str_eq(fixture_tool_asked(0),
	                 REGIONS " GET /20160918/tenancies/" FIXTURE_TENANCY
	                         "/regionSubscriptions");
}

/* That it does not work is its answer, no error. */
Test(discovery, ping_without_an_answer)
{
	fixture_tool_refuse(REGIONS, 401, "NotAuthenticated", "The clock.");
	fixture_tool_account()->allow_mutations = false;
	cr_expect_not(fixture_tool_stock("oci_ping", NULL)->is_error);
	fixture_tool_is("healthy", "false");
	fixture_tool_is("oci_connected", "false");
	fixture_tool_is("details.oci.mutations_allowed", "false");
	fixture_tool_is("details.oci.error",
	                "\"NotAuthenticated: The clock. (opc-request-id "
	                "fixture-1)\"");
}

Test(discovery, a_long_tenancy_is_shortened)
{
	static const struct {
		const char *tenancy, *shown;
	} rows[] = {
		{ "ocid1.tenancy.oc1..short", "\"ocid1.tenancy.oc1..short\"" },
		{ "ocid1.tenancy.oc1..aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcdef",
		  "\"ocid1.tenancy.oc1..a...bcdef\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fixture_tool_account()->tenancy = span_str(rows[i].tenancy);
		fixture_tool_answer(REGIONS, "[]");
		fixture_tool_stock("oci_ping", NULL);
		fixture_tool_is("details.oci.tenancy_id", rows[i].shown);
	}
}

/* --- oci_list_domains ----------------------------------------------------- */

Test(discovery, domains)
{
	const struct fixture_tool_result *r =
		fixture_tool_stock("oci_list_domains", NULL);
	struct value_iter it = path_items(r->structured, "domains");
	int64_t sum = 0, n = 0, total = 0, count = 0;
	struct span item, before = SPAN("");

	while (value_array_next(&it, &item)) {
		struct span name;

		cr_assert(value_string_plain(path_get(item, "name"), &name));
		cr_expect_gt(span_cmp(name, before), 0, "in order, no twice");
		before = name;
		cr_assert(value_integer(path_get(item, "tool_count"), &n));
		cr_expect_gt(n, 0);
		sum += n;
		count++;
	}
	cr_assert(
		value_integer(path_get(r->structured, "total_tools"), &total));
	cr_assert(value_integer(path_get(r->structured, "count"), &n));
	cr_expect_eq(total, sum);
	cr_expect_eq(n, count);
	cr_expect_gt(count, 10);
	fixture_tool_stock("oci_list_domains",
	                   "{\"include_tool_count\":false}");
	fixture_tool_is("domains[0].tool_count", NULL);
}

/* --- oci_search_tools ----------------------------------------------------- */

Test(discovery, tools_are_found)
{
	static const struct {
		const char *arguments, *path, *raw;
	} rows[] = {
		{ "{\"query\":\"oci_ping\"}", "tools[0].name", "\"oci_ping\"" },
		{ "{\"query\":\"PING\"}", "tools[0].name", "\"oci_ping\"" },
		{ "{\"query\":\"ping zzzz\"}", "total", "0" },
		{ "{\"query\":\"ping zzzz\"}", "tools", "[]" },
		{ "{\"query\":\"instance\",\"limit\":1}", "count", "1" },
		{ "{\"query\":\" ,_\",\"domain\":\"Discovery\"}", "total",
		  "4" },
		{ "{\"query\":\"list\",\"domain\":\"no such\"}", "total", "0" },
		{ "{\"query\":\"oci_ping\",\"detail_level\":\"name_only\"}",
		  "tools[0].description", NULL },
		{ "{\"query\":\"oci_ping\"}", "tools[0].domain",
		  "\"discovery\"" },
		{ "{\"query\":\"oci_ping\"}", "tools[0].schema", NULL },
		{ "{\"query\":\"oci_ping\",\"detail_level\":\"full\"}",
		  "tools[0].schema.type", "\"object\"" },
		/* More words than are looked at. */
		{ "{\"query\":\"a a a a a a a a zzzz\",\"limit\":1}", "count",
		  "1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fixture_tool_result *r = fixture_tool_stock(
			"oci_search_tools", rows[i].arguments);

		cr_expect_not(r->is_error, "%zu: %s", i, r->text);
		fixture_tool_is(rows[i].path, rows[i].raw);
	}
}

/* The best of many stay, whatever comes later. */
Test(discovery, the_best_are_kept)
{
	const struct fixture_tool_result *r;
	char first[3][80];
	int64_t total;

	r = fixture_tool_stock("oci_search_tools",
	                       "{\"query\":\"list\",\"limit\":50}");
	for (size_t i = 0; i < 3; i++) {
		char path[32];

		snprintf(path, sizeof(path), "tools[%zu].name", i);
		snprintf(first[i], sizeof(first[i]), "%.*s",
		         SPAN_ARG(path_get(r->structured, path)));
	}
	cr_assert(value_integer(path_get(r->structured, "total"), &total));
	cr_expect_gt(total, 3);
	fixture_tool_stock("oci_search_tools",
	                   "{\"query\":\"list\",\"limit\":3}");
	fixture_tool_is("tools[0].name", first[0]);
	fixture_tool_is("tools[1].name", first[1]);
	fixture_tool_is("tools[2].name", first[2]);
	fixture_tool_is("count", "3");
}

/* --- oci_get_cache_stats -------------------------------------------------- */

Test(discovery, statistics_without_a_cache)
{
	cr_expect_not(
		fixture_tool_stock("oci_get_cache_stats", NULL)->is_error);
	fixture_tool_is("max_entries", "0");
	fixture_tool_is("tiers[0].tier", "\"static\"");
	fixture_tool_is("tiers[4].tier", "\"realtime\"");
	fixture_tool_is("tiers[0].hits", "0");
	fixture_tool_is("tiers[5]", NULL);
}
