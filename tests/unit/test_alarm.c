#include "oci/alarm.h"

#include <criterion/criterion.h>

#include "tests/unit/fixture_tool.h"

TestSuite(alarm, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define LIST    "monitoring/Monitoring/ListAlarms"
#define STATES  "monitoring/Monitoring/ListAlarmsStatus"
#define GET     "monitoring/Monitoring/GetAlarm"
#define HISTORY "monitoring/Monitoring/GetAlarmHistory"
#define OCID    "ocid1.alarm.oc1.iad.x"

static const char alarms[] =
	"[{\"id\":\"b\",\"displayName\":\"CPU high\",\"severity\":\"CRITICAL\","
	"\"lifecycleState\":\"ACTIVE\",\"isEnabled\":true,\"query\":"
	"\"CpuUtilization[1m].mean() > 90\"},"
	"{\"id\":\"a\",\"displayName\":\"disk\",\"severity\":\"WARNING\","
	"\"lifecycleState\":\"ACTIVE\",\"isEnabled\":true,\"query\":\"D[1m]\"},"
	"{\"id\":\"c\",\"displayName\":\"off\",\"severity\":\"WARNING\","
	"\"lifecycleState\":\"ACTIVE\",\"isEnabled\":false,\"query\":\"E\"}]";
static const char states[] =
	"[{\"id\":\"b\",\"displayName\":\"CPU high\",\"severity\":\"CRITICAL\","
	"\"status\":\"FIRING\",\"alarmSummary\":\"why\","
	"\"timestampTriggered\":\"2026-01-01T00:00:00Z\"},"
	"{\"id\":\"a\",\"status\":\"OK\",\"severity\":\"WARNING\"}]";

Test(alarm, metric_of_a_query)
{
	cr_assert(span_is(alarm_metric(SPAN("CpuUtilization [1m].mean()")),
	                  "CpuUtilization"));
	cr_assert(span_is(alarm_metric(SPAN("Odd")), "Odd"));
	cr_assert_eq(alarm_metric(SPAN("")).len, 0);
}

Test(alarm, status_of_an_entry)
{
	static const struct {
		const char *summary, *alarm, *status;
	} rows[] = {
		{ "State transitioned from OK to Firing", "", "FIRING" },
		{ "State transitioned from FIRING to OK", "", "OK" },
		{ "State transitioned from OK to Suspended", "", "SUSPENDED" },
		{ "Evaluated",
		  "Alarm \"x to y\" is in a \"FIRING\" state; because 1 ...",
		  "FIRING" },
		{ "Went up to eleven", "", "UNKNOWN" },
		{ "", "", "UNKNOWN" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_str_eq(alarm_entry_status(span_str(rows[i].summary),
		                                    span_str(rows[i].alarm)),
		                 rows[i].status, "%s", rows[i].summary);
}

Test(alarm, list_with_states)
{
	fixture_tool_answer(LIST, alarms);
	fixture_tool_answer(STATES, states);
	fixture_tool_stock("oci_observability_list_alarms", "{}");
	fixture_tool_is("total", "3");
	fixture_tool_is("firing_count", "1");
	fixture_tool_is("summary", "{\"CRITICAL\":1,\"WARNING\":2}");
	fixture_tool_is("alarms[0].status", "\"FIRING\"");
	fixture_tool_is("alarms[0].time_triggered", "\"2026-01-01T00:00:00Z\"");
	fixture_tool_is("alarms[0].metric_name", "\"CpuUtilization\"");
	fixture_tool_is("alarms[0].summary", "\"why\"");
	fixture_tool_is("alarms[1].status", "\"OK\"");
	fixture_tool_is("alarms[2].status", "null"); /* switched off */
	fixture_tool_is("status_error", NULL);
}

Test(alarm, list_filters)
{
	static const struct {
		const char *arguments, *total, *first;
	} rows[] = {
		{ "{\"status\":\"FIRING\"}", "1", "\"b\"" },
		{ "{\"severity\":\"WARNING\"}", "2", "\"a\"" },
		{ "{\"display_name\":\"cpu\"}", "1", "\"b\"" },
		{ "{\"severity\":\"WARNING\",\"offset\":1,\"limit\":1}", "2",
		  "\"c\"" },
		{ "{\"lifecycle_state\":\"DELETED\"}", "0", NULL },
	};

	fixture_tool_answer(LIST, alarms);
	fixture_tool_answer(STATES, states);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fixture_tool_stock("oci_observability_list_alarms",
		                   rows[i].arguments);
		fixture_tool_is("total", rows[i].total);
		fixture_tool_is("alarms[0].id", rows[i].first);
	}
}

Test(alarm, list_without_states)
{
	fixture_tool_answer(LIST, alarms);
	fixture_tool_refuse(STATES, 500, "InternalServerError", "Oh.");
	fixture_tool_stock("oci_observability_list_alarms", "{}");
	fixture_tool_is("firing_count", "null");
	fixture_tool_is("alarms[0].status", "null");
	/* but not when that is what was asked for */
	cr_assert(fixture_tool_stock("oci_observability_list_alarms",
	                             "{\"status\":\"FIRING\"}")
	                  ->is_error);
}

Test(alarm, subcompartments)
{
	fixture_tool_answer(LIST, "[]");
	fixture_tool_answer(STATES, "[]");
	fixture_tool_stock("oci_observability_list_alarms",
	                   "{\"include_subcompartments\":true}");
	cr_assert_not_null(
		strstr(fixture_tool_asked(0), "compartmentIdInSubtree=true"));
	cr_assert_not_null(
		strstr(fixture_tool_asked(1), "compartmentIdInSubtree=true"));
}

Test(alarm, one)
{
	fixture_tool_answer(GET, "{\"id\":\"b\",\"displayName\":\"CPU high\","
	                         "\"compartmentId\":\"comp\",\"body\":\"text\","
	                         "\"query\":\"CpuUtilization[1m].mean() > 90\","
	                         "\"destinations\":[\"topic\"]}");
	fixture_tool_answer(STATES, states);
	fixture_tool_stock("oci_observability_get_alarm",
	                   "{\"alarm_id\":\"" OCID "\"}");
	fixture_tool_is("status", "\"FIRING\"");
	fixture_tool_is("body", "\"text\"");
	fixture_tool_is("destinations", "[\"topic\"]");
	fixture_tool_is("metric_name", "\"CpuUtilization\"");
	cr_assert_not_null(strstr(fixture_tool_asked(1), "compartmentId=comp"));
}

Test(alarm, history)
{
	fixture_tool_answer(GET, "{\"displayName\":\"CPU high\"}");
	fixture_tool_answer(
		HISTORY,
		"{\"entries\":[{\"summary\":\"State transitioned from OK to "
		"Firing\",\"alarmSummary\":\"because 1 metric\",\"timestamp\":"
		"\"2026-01-01T00:00:00Z\"},{\"summary\":\"State transitioned "
		"from FIRING to OK\",\"alarmSummary\":\"\",\"timestamp\":"
		"\"2026-01-01T00:05:00Z\"}]}");
	fixture_tool_stock("oci_observability_get_alarm_history",
	                   "{\"alarm_id\":\"" OCID "\",\"window\":\"7d\"}");
	fixture_tool_is("alarm_name", "\"CPU high\"");
	fixture_tool_is("count", "2");
	fixture_tool_is("events[0].status", "\"FIRING\"");
	fixture_tool_is("events[0].message", "\"because 1 metric\"");
	fixture_tool_is("events[1].status", "\"OK\"");
	fixture_tool_is("events[1].message",
	                "\"State transitioned from FIRING to OK\"");
	fixture_tool_is("has_more", "false");
	cr_assert_not_null(strstr(fixture_tool_asked(1),
	                          "alarmHistorytype=STATE_TRANSITION_HISTORY"));
	cr_assert_not_null(strstr(fixture_tool_asked(1),
	                          "timestampGreaterThanOrEqualTo=20"));
}

#define NAMESPACES "log_analytics/LogAnalytics/ListNamespaces"
#define SOURCES    "log_analytics/LogAnalytics/ListSources"

Test(alarm, overview)
{
	fixture_tool_answer("identity/Identity/GetCompartment",
	                    "{\"name\":\"root\"}");
	fixture_tool_answer(LIST, alarms);
	fixture_tool_answer(STATES, states);
	fixture_tool_answer(NAMESPACES,
	                    "{\"items\":[{\"namespaceName\":\"no\","
	                    "\"isOnboarded\":false},{\"namespaceName\":\"ns\","
	                    "\"isOnboarded\":true}]}");
	fixture_tool_answer(SOURCES, "{\"items\":[{\"typeName\":\"os_file\"},"
	                             "{\"typeName\":\"os_file\"},{}]}");
	fixture_tool_stock("oci_observability_overview", "{}");
	fixture_tool_is("compartment_name", "\"root\"");
	fixture_tool_is("alarms_summary.total", "3");
	fixture_tool_is("alarms_summary.enabled", "2");
	fixture_tool_is("alarms_summary.firing_count", "1");
	fixture_tool_is("alarms_summary.triggered_in_window", "0");
	fixture_tool_is("alarms_summary.firing[0].display_name",
	                "\"CPU high\"");
	fixture_tool_is("log_sources_summary.total", "3");
	fixture_tool_is("log_sources_summary.by_type",
	                "{\"os_file\":2,\"unknown\":1}");
	fixture_tool_is("recommendations[0]",
	                "\"Look at the critical alarms that are firing first: "
	                "1.\"");
	fixture_tool_is("recommendations[1]",
	                "\"Alarms that are switched off and watch nothing: "
	                "1.\"");
	cr_assert_not_null(strstr(fixture_tool_asked(4), "/ns/"));
}

Test(alarm, overview_of_what_cannot_be_read)
{
	fixture_tool_answer(NAMESPACES, "{\"items\":[]}");
	cr_assert_not(fixture_tool_stock("oci_observability_overview", "{}")
	                      ->is_error);
	fixture_tool_is("compartment_name", "null");
	fixture_tool_is("alarms_summary.total", NULL);
	fixture_tool_is("log_sources_summary.error",
	                "\"Log Analytics is not enabled for this tenancy in "
	                "this region\"");
	fixture_tool_is("recommendations", "[]");
}

Test(alarm, overview_of_a_part)
{
	fixture_tool_answer(LIST, "[]");
	fixture_tool_answer(STATES, "[]");
	fixture_tool_stock("oci_observability_overview",
	                   "{\"include_log_sources\":false}");
	fixture_tool_is("log_sources_summary", NULL);
	fixture_tool_is("alarms_summary.total", "0");
	fixture_tool_is("recommendations[0]",
	                "\"No alarm watches this compartment: create some for "
	                "CPU, memory and availability.\"");
}
