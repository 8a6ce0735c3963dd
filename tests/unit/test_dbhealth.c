#include "oci/dbhealth.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

#define GET     "database/Database/GetAutonomousDatabase"
#define METRICS "monitoring/Monitoring/SummarizeMetricsData"
#define BACKUPS "database/Database/ListAutonomousDatabaseBackups"
#define ID      "{\"database_id\":\"ocid1.autonomousdatabase.oc1.iad.x\"}"

TestSuite(dbhealth, .init = fixture_tool_begin, .fini = fixture_tool_end);

static const struct fixture_tool_result *call(const char *arguments)
{
	return fixture_tool_call(&dbhealth_functions[0],
	                         "{\"parameters\":{\"database_id\":{\"type\":"
	                         "\"string\"},\"issue_type\":{\"type\":"
	                         "\"string\",\"default\":\"general\"},"
	                         "\"time_window\":{\"type\":\"string\","
	                         "\"default\":\"1h\"},"
	                         "\"include_recommendations\":{\"type\":"
	                         "\"boolean\",\"default\":true}}}",
	                         arguments);
}

Test(dbhealth, grades)
{
	cr_assert_eq(dbhealth_grade(70, 70, 90), DBHEALTH_FINE);
	cr_assert_eq(dbhealth_grade(70.1, 70, 90), DBHEALTH_WARNING);
	cr_assert_eq(dbhealth_grade(90.1, 70, 90), DBHEALTH_CRITICAL);
}

Test(dbhealth, a_busy_open_database)
{
	fixture_tool_answer(GET, "{\"displayName\":\"sales\","
	                         "\"lifecycleState\":\"AVAILABLE\","
	                         "\"compartmentId\":\"c\","
	                         "\"isMtlsConnectionRequired\":true}");
	fixture_tool_answer(METRICS, "[{\"aggregatedDatapoints\":[{"
	                             "\"timestamp\":\"2026-01-01T00:00:00Z\","
	                             "\"value\":95}]}]");
	fixture_tool_answer(BACKUPS, "[{\"lifecycleState\":\"FAILED\"}]");
	cr_assert_not(call(ID)->is_error);
	fixture_tool_is("details.health_status", "\"CRITICAL\"");
	fixture_tool_is("details.metrics.cpu.average", "95");
	fixture_tool_is("details.backups.failed", "1");
	fixture_tool_is("details.backups.last_good", "null");
	fixture_tool_is("details.access.private_network", "false");
	fixture_tool_is("findings[0].area", "\"performance\"");
	fixture_tool_is("findings[1].area", "\"storage\"");
	fixture_tool_is("findings[2].area", "\"backup\"");
	fixture_tool_is("findings[4].area", "\"security\"");
	fixture_tool_is("unavailable[0]", NULL);
}

Test(dbhealth, what_cannot_be_read_is_said)
{
	fixture_tool_answer(GET, "{\"displayName\":\"sales\","
	                         "\"lifecycleState\":\"STOPPED\"}");
	cr_assert_not(call(ID)->is_error);
	fixture_tool_is("findings[0].severity", "\"CRITICAL\"");
	fixture_tool_is("details.metrics.cpu.current", "null");
	cr_assert(strstr(call(ID)->structured.at,
	                 "\"unavailable\":[\"metric CpuUtilization: "));
	cr_assert(call("{\"database_id\":\"ocid1.dbsystem.oc1.iad.x\","
	               "\"time_window\":\"9w\"}")
	                  ->is_error);
}
