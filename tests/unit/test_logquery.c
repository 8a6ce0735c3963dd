#include "oci/logquery.h"

#include <criterion/criterion.h>

#include "tests/unit/fixture_tool.h"

TestSuite(logquery, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define NAMESPACES "log_analytics/LogAnalytics/ListNamespaces"
#define QUERY      "log_analytics/LogAnalytics/Query"
#define SOURCES    "log_analytics/LogAnalytics/ListSources"
#define SEARCH     "loggingsearch/LogSearch/SearchLogs"

static void onboarded(void)
{
	fixture_tool_answer(NAMESPACES, "{\"items\":[{\"namespaceName\":"
	                                "\"ns\",\"isOnboarded\":true}]}");
}

Test(logquery, quotes)
{
	cr_assert(logquery_is_plain(SPAN("web-1 (blue)")));
	cr_assert(logquery_is_plain(SPAN("")));
	cr_assert_not(logquery_is_plain(SPAN("a' or 'b")));
	cr_assert_not(logquery_is_plain(SPAN("a\\")));
	cr_assert_not(logquery_is_plain(SPAN("a\nb")));
}

Test(logquery, rows_and_columns)
{
	onboarded();
	fixture_tool_answer(QUERY,
	                    "{\"columns\":[{\"displayName\":\"Log Source\"},"
	                    "{\"internalName\":\"count\"}],\"items\":["
	                    "{\"Log Source\":\"a\",\"count\":3},{\"count\":1}],"
	                    "\"totalCount\":12,\"percentComplete\":100,"
	                    "\"arePartialResults\":false}");
	fixture_tool_stock("oci_observability_execute_log_query",
	                   "{\"query\":\"* | stats count\",\"time_range\":"
	                   "\"2d\",\"limit\":7}");
	fixture_tool_is("columns", "[\"Log Source\",\"count\"]");
	fixture_tool_is("results[0].count", "3");
	fixture_tool_is("count", "2");
	fixture_tool_is("total", "12");
	fixture_tool_is("complete", "true");
	fixture_tool_is("namespace", "\"ns\"");
	fixture_tool_is("time_range", "\"2d\"");
	cr_assert_not_null(strstr(fixture_tool_asked(1),
	                          "/namespaces/ns/search/actions/query?limit=7"
	                          " {\"compartmentId\":\"" FIXTURE_TENANCY
	                          "\",\"compartmentIdInSubtree\":false,"
	                          "\"queryString\":\"* | stats count\","
	                          "\"subSystem\":\"LOG\",\"maxTotalCount\":7"));
}

Test(logquery, partial_results_are_said)
{
	onboarded();
	fixture_tool_answer(QUERY, "{\"items\":[{}],\"percentComplete\":40,"
	                           "\"arePartialResults\":true}");
	fixture_tool_stock("oci_observability_execute_log_query",
	                   "{\"query\":\"*\"}");
	fixture_tool_is("complete", "false");
	fixture_tool_is("total", "1");
}

Test(logquery, a_tenancy_without_log_analytics)
{
	const struct fixture_tool_result *result;

	fixture_tool_answer(NAMESPACES, "{\"items\":[{\"namespaceName\":"
	                                "\"ns\",\"isOnboarded\":false}]}");
	result = fixture_tool_stock("oci_observability_execute_log_query",
	                            "{\"query\":\"*\"}");
	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "not_found");
	result = fixture_tool_stock("oci_observability_list_log_sources", "{}");
	cr_assert(result->is_error);
}

Test(logquery, a_window_that_is_none)
{
	const struct fixture_tool_result *result = fixture_tool_stock(
		"oci_observability_execute_log_query",
		"{\"query\":\"*\",\"time_range\":\"yesterday\"}");

	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "validation");
	cr_assert_null(fixture_tool_asked(0));
}

static const char sources[] =
	"{\"items\":[{\"name\":\"LinuxSyslog\",\"displayName\":\"Linux Logs\","
	"\"typeName\":\"os_file\",\"entityTypes\":[{\"entityType\":\"host\"}],"
	"\"isSystem\":true},"
	"{\"name\":\"Windows\",\"displayName\":\"Windows Events\","
	"\"typeName\":\"os_windows_sys\"},"
	"{\"name\":\"Other\",\"displayName\":\"linux too\","
	"\"typeName\":\"os_file\"}]}";

Test(logquery, log_sources)
{
	onboarded();
	fixture_tool_answer(SOURCES, sources);
	fixture_tool_stock("oci_observability_list_log_sources",
	                   "{\"name_contains\":\"linux\",\"limit\":1}");
	fixture_tool_is("total", "2");
	fixture_tool_is("sources[0].name", "\"LinuxSyslog\"");
	fixture_tool_is("sources[0].entity_types", "[\"host\"]");
	fixture_tool_is("sources[0].is_system", "true");
	fixture_tool_is("next_offset", "1");
	fixture_tool_stock("oci_observability_list_log_sources",
	                   "{\"source_type\":\"OS_FILE\",\"offset\":1}");
	fixture_tool_is("total", "2");
	fixture_tool_is("sources[0].name", "\"Other\"");
}

#define GROUP "ocid1.loggroup.oc1.iad.g"
#define LOG   "ocid1.log.oc1.iad.l"

static const struct {
	const char *arguments, *query;
} searches[] = {
	{ "{}", "search \\\"" FIXTURE_TENANCY "\\\" | sort by datetime desc" },
	{ "{\"log_group_id\":\"" GROUP "\"}",
	  "search \\\"" FIXTURE_TENANCY "/" GROUP
	  "\\\" | sort by datetime desc" },
	{ "{\"log_group_id\":\"" GROUP "\",\"log_id\":\"" LOG
	  "\",\"contains\":\"error 5\"}",
	  "search \\\"" FIXTURE_TENANCY "/" GROUP "/" LOG
	  "\\\" | where logContent = '*error 5*' | sort by datetime desc" },
	{ "{\"query\":\"search \\\"x\\\"\"}", "search \\\"x\\\"" },
};

Test(logquery, searches)
{
	for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
		fixture_tool_end();
		fixture_tool_begin();
		fixture_tool_answer(SEARCH, "{\"results\":[]}");
		fixture_tool_stock("oci_observability_search_logs",
		                   searches[i].arguments);
		cr_assert_not_null(
			strstr(fixture_tool_asked(0), searches[i].query), "%s",
			fixture_tool_asked(0));
	}
}

Test(logquery, entries)
{
	fixture_tool_answer(
		SEARCH,
		"{\"results\":[{\"data\":{\"datetime\":1767225600000,"
		"\"logContent\":{\"type\":\"t\",\"source\":\"s\",\"data\":"
		"{\"a\":1},\"oracle\":{\"logid\":\"l\"}}}},"
		"{\"data\":{\"type\":\"t\",\"count\":4}}]}");
	fixture_tool_stock("oci_observability_search_logs", "{\"limit\":2}");
	fixture_tool_is("count", "2");
	fixture_tool_is("has_more", "true");
	fixture_tool_is("results[0].time", "\"2026-01-01T00:00:00.000Z\"");
	fixture_tool_is("results[0].data", "{\"a\":1}");
	fixture_tool_is("results[0].log_id", "\"l\"");
	fixture_tool_is("results[1].time", "null");
	fixture_tool_is("results[1].data.count", "4");
}

Test(logquery, searches_that_cannot_be)
{
	static const char *const bad[] = {
		"{\"log_id\":\"" LOG "\"}",
		"{\"contains\":\"it's\"}",
		"{\"query\":\"search\",\"contains\":\"a\"}",
		"{\"time_range\":\"15d\"}",
		"{\"time_range\":\"x\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct fixture_tool_result *result = fixture_tool_stock(
			"oci_observability_search_logs", bad[i]);

		cr_assert(result->is_error, "%s", bad[i]);
		cr_assert_str_eq(result->category, "validation");
		cr_assert_null(fixture_tool_asked(0));
	}
}
