#include "oci/troubleshoot.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/fixture_tool.h"

TestSuite(troubleshoot, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define TOOL      "oci_skill_troubleshoot_instance"
#define OCID      "ocid1.instance.oc1.iad.i"
#define ID        "{\"instance_id\":\"" OCID "\""
#define GET       "core/Compute/GetInstance"
#define SUMMARIZE "monitoring/Monitoring/SummarizeMetricsData"
#define ALARMS    "monitoring/Monitoring/ListAlarms"
#define STATES    "monitoring/Monitoring/ListAlarmsStatus"
#define STREAMS   "monitoring/Monitoring/RetrieveDimensionStates"
#define NAMES     "log_analytics/LogAnalytics/ListNamespaces"
#define QUERY     "log_analytics/LogAnalytics/Query"

static void answer_instance(const char *state)
{
	static char text[256];

	snprintf(text, sizeof(text),
	         "{\"id\":\"" OCID "\",\"displayName\":\"web-1\","
	         "\"compartmentId\":\"comp\",\"shape\":\"E4\","
	         "\"lifecycleState\":\"%s\"}",
	         state);
	fixture_tool_answer(GET, text);
}

/* Both meters show this, in percent. */
static void answer_load(double percent)
{
	static char text[256];

	snprintf(text, sizeof(text),
	         "[{\"aggregatedDatapoints\":[{\"timestamp\":"
	         "\"2026-01-01T00:00:00Z\",\"value\":%g}]}]",
	         percent);
	fixture_tool_answer(SUMMARIZE, text);
}

static void answer_logs(int errors)
{
	static char text[256];

	snprintf(text, sizeof(text),
	         "{\"items\":[{\"Severity\":\"error\"}],"
	         "\"totalMatchedCount\":%d}",
	         errors);
	fixture_tool_answer(NAMES, "{\"items\":[{\"namespaceName\":\"ns\","
	                           "\"isOnboarded\":true}]}");
	fixture_tool_answer(QUERY, text);
}

static void answer_no_alarms(void)
{
	fixture_tool_answer(ALARMS, "[]");
	fixture_tool_answer(STATES, "[]");
}

static const struct {
	const char *state;
	double load;
	int errors;
	const char *health, *cpu, *memory;
} rows[] = {
	{ "RUNNING", 20, 0, "\"HEALTHY\"", "\"NORMAL\"", "\"NORMAL\"" },
	{ "RUNNING", 70, 100, "\"HEALTHY\"", "\"NORMAL\"", "\"NORMAL\"" },
	{ "RUNNING", 75, 0, "\"WARNING\"", "\"WARNING\"", "\"NORMAL\"" },
	{ "RUNNING", 85, 0, "\"WARNING\"", "\"WARNING\"", "\"WARNING\"" },
	{ "RUNNING", 95, 0, "\"CRITICAL\"", "\"CRITICAL\"", "\"CRITICAL\"" },
	{ "RUNNING", 20, 101, "\"WARNING\"", "\"NORMAL\"", "\"NORMAL\"" },
	{ "STOPPED", 20, 0, "\"CRITICAL\"", "\"NORMAL\"", "\"NORMAL\"" },
};

Test(troubleshoot, health)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char errors[16];

		fixture_tool_end();
		fixture_tool_begin();
		answer_instance(rows[i].state);
		answer_load(rows[i].load);
		answer_logs(rows[i].errors);
		answer_no_alarms();
		fixture_tool_stock(TOOL, ID "}");
		snprintf(errors, sizeof(errors), "%d", rows[i].errors);
		fixture_tool_is("details.health_status", rows[i].health);
		fixture_tool_is("details.metrics.cpu_status", rows[i].cpu);
		fixture_tool_is("details.metrics.memory_status",
		                rows[i].memory);
		fixture_tool_is("details.logs.error_count", errors);
		fixture_tool_is("details.logs.samples[0].Severity",
		                "\"error\"");
		fixture_tool_is("details.alarms.total_related", "0");
		fixture_tool_is("success", "true");
	}
}

static const char alarms[] =
	"[{\"id\":\"named\",\"displayName\":\"Named\",\"namespace\":\"x\","
	"\"query\":\"C[1m]{resourceId = \\\"" OCID "\\\"}.mean() > 1\"},"
	"{\"id\":\"all\",\"displayName\":\"All\",\"namespace\":"
	"\"oci_computeagent\",\"query\":\"CpuUtilization[1m].mean() > 1\"},"
	"{\"id\":\"other\",\"displayName\":\"Other\",\"namespace\":"
	"\"oci_computeagent\",\"query\":\"C[1m]{resourceId = "
	"\\\"ocid1.instance."
	"oc1.iad.j\\\"}.mean() > 1\"},"
	"{\"id\":\"db\",\"displayName\":\"DB\",\"namespace\":\"oci_database\","
	"\"query\":\"C[1m].mean() > 1\"}]";
static const char firing[] = "[{\"id\":\"named\",\"status\":\"OK\"},"
			     "{\"id\":\"all\",\"status\":\"FIRING\"},"
			     "{\"id\":\"other\",\"status\":\"FIRING\"},"
			     "{\"id\":\"db\",\"status\":\"FIRING\"}]";

static void answer_all_but_alarms(void)
{
	answer_instance("RUNNING");
	answer_load(20);
	answer_logs(0);
	fixture_tool_answer(ALARMS, alarms);
}

Test(troubleshoot, an_alarm_on_the_compartment_fires_for_it)
{
	answer_all_but_alarms();
	fixture_tool_answer(STATES, firing);
	fixture_tool_answer(STREAMS, "{\"items\":[{\"dimensions\":{"
	                             "\"resourceId\":\"" OCID "\"}}]}");
	fixture_tool_stock(TOOL, ID "}");
	fixture_tool_is("details.alarms.total_related", "2");
	fixture_tool_is("details.alarms.firing_count", "1");
	fixture_tool_is("details.alarms.firing[0].display_name", "\"All\"");
	fixture_tool_is("details.alarms.all_related[0].display_name",
	                "\"Named\"");
	fixture_tool_is("details.alarms.all_related[0].firing_for_instance",
	                "false");
	fixture_tool_is("details.health_status", "\"WARNING\"");
	fixture_tool_is("recommendations[0]",
	                "\"Look into the firing alarm All.\"");
}

Test(troubleshoot, an_alarm_on_the_compartment_fires_for_others)
{
	answer_all_but_alarms();
	fixture_tool_answer(STATES, firing);
	fixture_tool_answer(STREAMS,
	                    "{\"items\":[{\"dimensions\":{\"resourceId\":"
	                    "\"ocid1.instance.oc1.iad.j\","
	                    "\"resourceDisplayName\":\"web-1\"}}]}");
	fixture_tool_stock(TOOL, ID "}");
	fixture_tool_is("details.alarms.firing_count", "0");
	fixture_tool_is("details.health_status", "\"HEALTHY\"");
}

Test(troubleshoot, an_alarm_names_the_instance)
{
	answer_all_but_alarms();
	fixture_tool_answer(STATES, "[{\"id\":\"named\",\"status\":"
	                            "\"FIRING\"}]");
	fixture_tool_stock(TOOL, ID ",\"include_logs\":false}");
	fixture_tool_is("details.logs", NULL);
	fixture_tool_is("details.alarms.firing[0].display_name", "\"Named\"");
	fixture_tool_is("details.alarms.firing[0].relation",
	                "\"names the instance\"");
}

Test(troubleshoot, what_cannot_be_read_is_said)
{
	answer_instance("RUNNING");
	cr_assert_not(
		fixture_tool_stock(TOOL, ID ",\"verbose\":true}")->is_error);
	fixture_tool_is("details.metrics.cpu.average", "null");
	fixture_tool_is("details.metrics.cpu_status", "\"UNKNOWN\"");
	fixture_tool_is("details.logs.status", "\"unavailable\"");
	fixture_tool_is("details.alarms.status", "\"unavailable\"");
	fixture_tool_is("progress[0].status", "\"success\"");
	fixture_tool_is("progress[1].status", "\"failed\"");
	fixture_tool_is("progress[2].status", "\"failed\"");
	fixture_tool_is("progress[3].status", "\"failed\"");
}

Test(troubleshoot, only_what_was_asked_for)
{
	answer_instance("RUNNING");
	answer_load(20);
	fixture_tool_stock(TOOL, ID ",\"include_logs\":false,"
	                            "\"check_alarms\":false,\"verbose\":true,"
	                            "\"include_raw_data\":true}");
	fixture_tool_is("details.logs", NULL);
	fixture_tool_is("details.alarms", NULL);
	fixture_tool_is("progress[2].status", "\"skipped\"");
	fixture_tool_is("raw_data.instance.displayName", "\"web-1\"");
	fixture_tool_is("raw_data.logs", NULL);
	cr_assert_null(fixture_tool_asked(3));
}

Test(troubleshoot, an_instance_that_is_not_there)
{
	const struct fixture_tool_result *result =
		fixture_tool_stock(TOOL, ID "}");

	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "not_found");
}
