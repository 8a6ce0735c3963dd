#include "oci/dbmetrics.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

#define GET     "database/Database/GetAutonomousDatabase"
#define METRICS "monitoring/Monitoring/SummarizeMetricsData"
#define ID      "\"database_id\":\"ocid1.autonomousdatabase.oc1.iad.x\""
#define POINTS(a, b)                                                       \
	"[{\"metadata\":{\"unit\":\"percent\"},\"aggregatedDatapoints\":[" \
	"{\"timestamp\":\"2026-01-01T00:00:00Z\",\"value\":" a "},"        \
	"{\"timestamp\":\"2026-01-01T00:05:00Z\",\"value\":" b "}]}]"

TestSuite(dbmetrics, .init = fixture_tool_begin, .fini = fixture_tool_end);

Test(dbmetrics, kinds)
{
	cr_assert_str_eq(
		dbmetrics_kind(SPAN("ocid1.dbsystem.oc1.iad.x"))->namespace,
		"oci_database");
	cr_assert_str_eq(dbmetrics_kind(SPAN("ocid1.mysqldbsystem.oc1.iad.x"))
	                         ->namespace,
	                 "oci_mysql_database");
	cr_assert_null(dbmetrics_kind(SPAN("ocid1.instance.oc1.iad.x")));
	cr_assert_str_eq(dbmetrics_interval(3600), "1m");
	cr_assert_str_eq(dbmetrics_interval(86400), "5m");
	cr_assert_str_eq(dbmetrics_interval(7 * 86400), "1h");
}

Test(dbmetrics, figures_of_this_resource)
{
	fixture_tool_answer(
		GET, "{\"displayName\":\"sales\",\"compartmentId\":\"c\"}");
	fixture_tool_answer_for(METRICS, NULL, POINTS("10", "30"));
	fixture_tool_answer_for(METRICS, NULL, POINTS("40", "90"));
	fixture_tool_answer_for(METRICS, NULL, POINTS("5", "1.5"));
	cr_assert_not(fixture_tool_stock("oci_database_get_metrics",
	                                 "{" ID ",\"metric_names\":"
	                                 "[\"CpuUtilization\"]}")
	                      ->is_error);
	fixture_tool_is("database", "\"sales\"");
	fixture_tool_is("metrics.CpuUtilization.current", "30");
	fixture_tool_is("metrics.CpuUtilization.average", "20");
	fixture_tool_is("metrics.CpuUtilization.max", "90");
	fixture_tool_is("metrics.CpuUtilization.min", "1.5");
	fixture_tool_is("metrics.CpuUtilization.unit", "\"percent\"");
	fixture_tool_is("metrics.CpuUtilization.error", NULL);
	cr_assert(strstr(fixture_tool_asked(1),
	                 "CpuUtilization[5m]{resourceId = "
	                 "\\\"ocid1.autonomousdatabase.oc1.iad.x\\\"}.mean()"),
	          "%s", fixture_tool_asked(1));
	cr_assert(strstr(fixture_tool_asked(1),
	                 "\"namespace\":\"oci_autonomous_database\""));
	cr_assert(strstr(fixture_tool_asked(1), "compartmentId=c"));
	cr_assert(strstr(fixture_tool_asked(2), ".max()"));
}

Test(dbmetrics, counts_are_added_up)
{
	fixture_tool_answer(GET, "{\"compartmentId\":\"c\"}");
	fixture_tool_answer(METRICS, "[]");
	fixture_tool_stock("oci_database_get_metrics",
	                   "{" ID ",\"metric_names\":[\"ExecuteCount\"]}");
	cr_assert(strstr(fixture_tool_asked(1), ".sum()"));
	cr_assert_null(fixture_tool_asked(2));
	fixture_tool_is("metrics.ExecuteCount.current", "null");
	fixture_tool_is("metrics.ExecuteCount.points", "0");
}

Test(dbmetrics, what_cannot_be_read)
{
	fixture_tool_answer(GET, "{\"compartmentId\":\"c\"}");
	fixture_tool_refuse(METRICS, 404, "NotAuthorizedOrNotFound", "no");
	cr_assert_str_eq(
		fixture_tool_stock("oci_database_get_metrics", "{" ID "}")
			->category,
		"not_found");
	cr_assert_str_eq(fixture_tool_stock("oci_database_get_metrics",
	                                    "{" ID
	                                    ",\"metric_names\":[\"a}[\"]}")
	                         ->category,
	                 "validation");
}
