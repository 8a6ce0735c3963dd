#include "proxy/route.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "proxy/catalog.h"
#include "tests/unit/fixture_call.h"

TestSuite(route, .init = fixture_call_begin, .fini = fixture_call_end,
          .timeout = 60);

static bool find(enum view_era era, const char *method, const char *name,
                 const char *params, struct route *route, struct problem *why)
{
	struct h1_request request;
	struct message msg;

	fixture_ask(era, "1", method, name, params, "", &request, &msg);
	memset(route, 0x55, sizeof(*route));
	return route_find(way.snap, &msg, route, why);
}

static const struct {
	const char *method, *name, *params;
	const char *upstream; /* NULL: unknown */
	uint32_t backend;
	enum view_era modern, legacy; /* the era spoken, by the way.client's */
} routes[] = {
	{ "tools/call", "new_t", "\"name\":\"new_t\"", "t", 0, VIEW_MODERN,
	  VIEW_MODERN },
	{ "tools/call", "old_t", "\"name\":\"old_t\"", "t", 1, VIEW_LEGACY,
	  VIEW_LEGACY },
	{ "tools/call", "plain", "\"name\":\"pl\\u0061in\"", "plain", 2,
	  VIEW_MODERN, VIEW_LEGACY },
	{ "prompts/get", "old_p", "\"name\":\"old_p\"", "p", 1, VIEW_LEGACY,
	  VIEW_LEGACY },
	{ "resources/read", "x://new/r", "\"uri\":\"x://new/r\"", "x://r", 0,
	  VIEW_MODERN, VIEW_MODERN },
	/* by a template, and by a prefix that no list has */
	{ "resources/read", "x://new/h/5/end", "\"uri\":\"x://new/h/5/end\"",
	  "x://h/5/end", 0, VIEW_MODERN, VIEW_MODERN },
	{ "resources/read", "y://old/z?q", "\"uri\":\"y://old/z?q\"", "y://z?q",
	  1, VIEW_LEGACY, VIEW_LEGACY },
	{ "completion/complete", "",
	  "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"new_p\"}", "p", 0,
	  VIEW_MODERN, VIEW_MODERN },
	{ "completion/complete", "",
	  "\"ref\":{\"type\":\"ref/resource\",\"uri\":\"x://old/h/{id}/end\"}",
	  "x://h/{id}/end", 1, VIEW_LEGACY, VIEW_LEGACY },
	/* names that are none */
	{ "tools/call", "t", "\"name\":\"t\"", NULL, 0, 0, 0 },
	{ "tools/call", "NEW_t", "\"name\":\"NEW_t\"", NULL, 0, 0, 0 },
	{ "tools/call", "new_", "\"name\":\"new_\"", NULL, 0, 0, 0 },
	{ "tools/call", "new_p", "\"name\":\"new_p\"", NULL, 0, 0, 0 },
	{ "tools/call", "", "\"name\":\"\"", NULL, 0, 0, 0 },
	{ "prompts/get", "new_t", "\"name\":\"new_t\"", NULL, 0, 0, 0 },
	{ "resources/read", "x://r", "\"uri\":\"x://r\"", NULL, 0, 0, 0 },
	{ "resources/read", "x://flat/r", "\"uri\":\"x://flat/r\"", NULL, 0, 0,
	  0 },
	{ "completion/complete", "", "\"ref\":{\"type\":\"ref/tool\"}", NULL, 0,
	  0, 0 },
	{ "completion/complete", "", "\"ref\":7", NULL, 0, 0, 0 },
	{ "completion/complete", "",
	  "\"ref\":{\"type\":\"ref/prompt\",\"uri\":\"new_p\"}", NULL, 0, 0,
	  0 },
	{ "tools/call", "", "\"x\":1", NULL, 0, 0, 0 },
	{ "tools/call", "", "\"name\":7", NULL, 0, 0, 0 },
	{ "tools/call", "", "\"name\":null", NULL, 0, 0, 0 },
	{ "resources/read", "", "\"name\":\"x://new/r\"", NULL, 0, 0, 0 },
};

Test(route, of_every_kind)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(routes); i++) {
		enum view_era era = i % 2 ? VIEW_MODERN : VIEW_LEGACY;
		const char *want = routes[i / 2].upstream;
		struct route r;
		struct problem why;
		bool found = find(era, routes[i / 2].method, routes[i / 2].name,
		                  routes[i / 2].params, &r, &why);

		cr_assert_eq(found, want != NULL, "row %zu: %s", i / 2,
		             found ? "found" : why.text);
		if (!found) {
			cr_expect_eq(why.code, RPC_INVALID_PARAMS, "row %zu",
			             i / 2);
			cr_expect_eq(why.status, 200);
			continue;
		}
		cr_expect(span_is(span_of(r.name, r.name_len), want),
		          "row %zu: %.*s", i / 2, (int)r.name_len, r.name);
		cr_expect_eq(r.backend, routes[i / 2].backend);
		cr_expect_eq(r.server, era == VIEW_MODERN
		                               ? routes[i / 2].modern
		                               : routes[i / 2].legacy);
		cr_expect_not(r.own);
	}
}

Test(route, own_tools_and_backends_that_have_not_answered)
{
	struct route r;
	struct problem why;

	cr_assert(find(VIEW_MODERN, "tools/call", "gateway_health",
	               "\"name\":\"gateway_health\"", &r, &why));
	cr_expect(r.own);
	cr_expect_eq(r.entry->backend, (uint32_t)OWN_HEALTH);
	cr_assert_not(find(VIEW_LEGACY, "tools/call", "dead_t",
	                   "\"name\":\"dead_t\"", &r, &why));
	cr_expect_eq(why.code, RPC_INTERNAL);
	cr_expect_eq(why.status, 200);
	cr_expect_not_null(strstr(why.text, "dead"));
}

Test(route, data_of_an_unknown_resource_is_its_uri)
{
	struct route r;
	struct problem why;
	char params[9000];

	cr_assert_not(find(VIEW_LEGACY, "resources/read", "",
	                   "\"uri\":\"a\\n\\\"b\"", &r, &why));
	cr_expect_str_eq(why.data, "{\"uri\":\"a\\n\\\"b\"}");
	/* Not when it is longer than there is room for. */
	snprintf(params, sizeof(params), "\"uri\":\"%0*d\"", 3000, 7);
	cr_assert_not(
		find(VIEW_LEGACY, "resources/read", "", params, &r, &why));
	cr_expect_str_eq(why.data, "");
	cr_expect_lt(strlen(why.text), sizeof(why.text));
	snprintf(params, sizeof(params), "\"uri\":\"%0*d\"", 8000, 7);
	cr_assert_not(
		find(VIEW_LEGACY, "resources/read", "", params, &r, &why));
	cr_expect_eq(why.code, RPC_INVALID_PARAMS);
}
