#include "oci/instance.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/buf.h"
#include "tests/unit/fixture_tool.h"

TestSuite(instance, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define LIST        "core/Compute/ListInstances"
#define GET         "core/Compute/GetInstance"
#define ACTION      "core/Compute/InstanceAction"
#define ATTACHMENTS "core/Compute/ListVnicAttachments"
#define VNIC        "core/VirtualNetwork/GetVnic"
#define SUMMARIZE   "monitoring/Monitoring/SummarizeMetricsData"
#define OCID        "ocid1.instance.oc1.iad.i"
#define ID          "{\"instance_id\":\"" OCID "\""

/* --- which action when ---------------------------------------------------- */

static const struct {
	enum instance_verb verb;
	const char *state;
	enum instance_plan plan, forced;
} plans[] = {
	{ INSTANCE_START, "STOPPED", INSTANCE_ACT, INSTANCE_ACT },
	{ INSTANCE_START, "RUNNING", INSTANCE_DONE, INSTANCE_DONE },
	{ INSTANCE_START, "STARTING", INSTANCE_WAIT, INSTANCE_WAIT },
	{ INSTANCE_START, "STOPPING", INSTANCE_REFUSE, INSTANCE_REFUSE },
	{ INSTANCE_START, "TERMINATED", INSTANCE_REFUSE, INSTANCE_REFUSE },
	{ INSTANCE_STOP, "RUNNING", INSTANCE_ACT, INSTANCE_ACT },
	{ INSTANCE_STOP, "STOPPED", INSTANCE_DONE, INSTANCE_DONE },
	{ INSTANCE_STOP, "STOPPING", INSTANCE_WAIT, INSTANCE_ACT },
	{ INSTANCE_STOP, "PROVISIONING", INSTANCE_REFUSE, INSTANCE_REFUSE },
	{ INSTANCE_RESTART, "RUNNING", INSTANCE_ACT, INSTANCE_ACT },
	{ INSTANCE_RESTART, "STOPPED", INSTANCE_REFUSE, INSTANCE_REFUSE },
	{ INSTANCE_RESTART, "STARTING", INSTANCE_REFUSE, INSTANCE_REFUSE },
};

Test(instance, plans)
{
	for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
		struct span state = span_str(plans[i].state);

		cr_expect_eq(instance_plan(plans[i].verb, state, false),
		             plans[i].plan, "%zu", i);
		cr_expect_eq(instance_plan(plans[i].verb, state, true),
		             plans[i].forced, "%zu forced", i);
	}
}

static const char *in_state(const char *state)
{
	static char texts[8][256];
	static size_t n;
	char *text = texts[n++ % ARRAY_LEN(texts)];

	snprintf(text, sizeof(texts[0]),
	         "{\"id\":\"" OCID "\",\"displayName\":\"web\","
	         "\"compartmentId\":\"comp\",\"lifecycleState\":\"%s\"}",
	         state);
	return text;
}

static const struct {
	const char *tool, *arguments, *state, *sent, *action, *target;
} actions[] = {
	{ "oci_compute_start_instance", ID "}", "STOPPED", "START", "start",
	  "RUNNING" },
	{ "oci_compute_stop_instance", ID ",\"confirm\":true}", "RUNNING",
	  "SOFTSTOP", "stop", "STOPPED" },
	{ "oci_compute_stop_instance", ID ",\"confirm\":true,\"force\":true}",
	  "RUNNING", "STOP", "stop (forced)", "STOPPED" },
	{ "oci_compute_restart_instance", ID ",\"confirm\":true}", "RUNNING",
	  "SOFTRESET", "restart (soft)", "RUNNING" },
	{ "oci_compute_restart_instance",
	  ID ",\"confirm\":true,\"force\":true}", "RUNNING", "RESET",
	  "restart (hard)", "RUNNING" },
	{ "stop_instance", ID ",\"confirm\":true}", "RUNNING", "SOFTSTOP",
	  "stop", "STOPPED" },
};

Test(instance, actions)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		char quoted[64], sent[64];

		fixture_tool_end();
		fixture_tool_begin();
		fixture_tool_answer(GET, in_state(actions[i].state));
		fixture_tool_answer(ACTION, in_state("STOPPING"));
		fixture_tool_stock(actions[i].tool, actions[i].arguments);
		fixture_tool_is("success", "true");
		snprintf(quoted, sizeof(quoted), "\"%s\"", actions[i].action);
		fixture_tool_is("action", quoted);
		snprintf(quoted, sizeof(quoted), "\"%s\"", actions[i].state);
		fixture_tool_is("previous_state", quoted);
		snprintf(quoted, sizeof(quoted), "\"%s\"", actions[i].target);
		fixture_tool_is("target_state", quoted);
		fixture_tool_is("current_state", "\"STOPPING\"");
		fixture_tool_is("changed", "true");
		fixture_tool_is("waited_seconds", "null");
		snprintf(sent, sizeof(sent), "action=%s", actions[i].sent);
		cr_assert_not_null(strstr(fixture_tool_asked(1), sent));
		cr_assert_null(fixture_tool_asked(2));
	}
}

Test(instance, nothing_to_do)
{
	fixture_tool_answer(GET, in_state("STOPPED"));
	fixture_tool_stock("oci_compute_stop_instance",
	                   ID ",\"confirm\":true,\"wait_for_state\":true}");
	fixture_tool_is("success", "true");
	fixture_tool_is("changed", "false");
	fixture_tool_is("target_reached", "true");
	fixture_tool_is("message",
	                "\"Nothing to do: instance web is STOPPED\"");
	cr_assert_null(fixture_tool_asked(1));
}

Test(instance, not_from_this_state)
{
	const struct fixture_tool_result *result;

	fixture_tool_answer(GET, in_state("STOPPED"));
	result = fixture_tool_stock("oci_compute_restart_instance",
	                            ID ",\"confirm\":true}");
	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "service");
	cr_assert_null(fixture_tool_asked(1));
}

Test(instance, dry_run_sends_nothing)
{
	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_stock("oci_compute_stop_instance",
	                   ID ",\"dry_run\":true,\"wait_for_state\":true}");
	fixture_tool_is("dry_run", "true");
	fixture_tool_is("changed", "false");
	fixture_tool_is("request.operation", "\"" ACTION "\"");
	fixture_tool_is("request.action", "\"SOFTSTOP\"");
	fixture_tool_is("request.instanceId", "\"" OCID "\"");
	cr_assert_null(fixture_tool_asked(1));
}

Test(instance, guards)
{
	const struct fixture_tool_result *result;

	fixture_tool_answer(GET, in_state("RUNNING"));
	result = fixture_tool_stock("oci_compute_stop_instance", ID "}");
	cr_assert(result->is_error, "without confirm");
	fixture_tool_may_write(false);
	result = fixture_tool_stock("oci_compute_start_instance", ID "}");
	cr_assert(result->is_error, "without the scope");
	cr_assert_str_eq(result->category, "authorization");
	fixture_tool_may_write(true);
	fixture_tool_account()->allow_mutations = false;
	result = fixture_tool_stock("oci_compute_start_instance", ID "}");
	cr_assert(result->is_error, "while changes are off");
	fixture_tool_account()->allow_mutations = true;
	cr_assert_null(fixture_tool_asked(1));
}

Test(instance, waits_until_it_is_there)
{
	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_answer(GET, in_state("STOPPING"));
	fixture_tool_answer(GET, in_state("STOPPED"));
	fixture_tool_answer(ACTION, in_state("STOPPING"));
	fixture_tool_stock("oci_compute_stop_instance",
	                   ID ",\"confirm\":true,\"wait_for_state\":true}");
	fixture_tool_is("success", "true");
	fixture_tool_is("target_reached", "true");
	fixture_tool_is("current_state", "\"STOPPED\"");
	fixture_tool_is("message", "\"Done: instance web is STOPPED\"");
	cr_assert_not_null(fixture_tool_asked(3));
	cr_assert_null(fixture_tool_asked(4));
	cr_assert_gt(fixture_tool_progress(), 0);
}

Test(instance, what_is_on_its_way_is_waited_for)
{
	fixture_tool_answer(GET, in_state("STARTING"));
	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_stock("oci_compute_start_instance",
	                   ID ",\"wait_for_state\":true}");
	fixture_tool_is("changed", "false");
	fixture_tool_is("current_state", "\"RUNNING\"");
	cr_assert_null(fixture_tool_asked(2));
}

Test(instance, a_restart_is_over_when_it_has_been_seen)
{
	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_answer(GET, in_state("STARTING"));
	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_answer(ACTION, in_state("RUNNING"));
	fixture_tool_stock("oci_compute_restart_instance",
	                   ID ",\"confirm\":true,\"wait_for_state\":true}");
	fixture_tool_is("target_reached", "true");
	cr_assert_not_null(fixture_tool_asked(4));
	cr_assert_null(fixture_tool_asked(5));
}

Test(instance, somebody_terminates_it)
{
	const struct fixture_tool_result *result;

	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_answer(GET, in_state("TERMINATING"));
	fixture_tool_answer(ACTION, in_state("STOPPING"));
	result = fixture_tool_stock(
		"oci_compute_stop_instance",
		ID ",\"confirm\":true,\"wait_for_state\":true}");
	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "service");
}

Test(instance, a_conflict_is_told)
{
	const struct fixture_tool_result *result;

	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_refuse(ACTION, 409, "IncorrectState", "It moves.");
	result = fixture_tool_stock("oci_compute_stop_instance",
	                            ID ",\"confirm\":true}");
	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "service");
	fixture_tool_is("details.code", "\"IncorrectState\"");
}

/* --- listing -------------------------------------------------------------- */

static const char instances[] =
	"[{\"id\":\"a\",\"displayName\":\"web-1\",\"lifecycleState\":"
	"\"RUNNING\",\"shape\":\"E4\",\"faultDomain\":\"FD-1\"},"
	"{\"id\":\"b\",\"displayName\":\"db-1\",\"lifecycleState\":\"STOPPED\"}"
	","
	"{\"id\":\"c\",\"displayName\":\"WEB-2\",\"lifecycleState\":"
	"\"RUNNING\"}]";

Test(instance, list_filters_before_paging)
{
	fixture_tool_answer(LIST, instances);
	fixture_tool_stock("list_instances",
	                   "{\"display_name\":\"web\",\"limit\":1,"
	                   "\"lifecycle_state\":\"RUNNING\"}");
	fixture_tool_is("total", "2");
	fixture_tool_is("count", "1");
	fixture_tool_is("has_more", "true");
	fixture_tool_is("next_offset", "1");
	fixture_tool_is("instances[0].id", "\"a\"");
	fixture_tool_is("instances[0].fault_domain", "\"FD-1\"");
	fixture_tool_is("instances[0].public_ip", "null");
	fixture_tool_is("states", "{\"RUNNING\":1}");
	cr_assert_not_null(
		strstr(fixture_tool_asked(0), "lifecycleState=RUNNING"));
	cr_assert_null(fixture_tool_asked(1));
}

Test(instance, list_with_addresses)
{
	fixture_tool_answer(LIST, instances);
	fixture_tool_answer(ATTACHMENTS,
	                    "[{\"instanceId\":\"c\",\"vnicId\":\"second\","
	                    "\"lifecycleState\":\"ATTACHED\",\"timeCreated\":"
	                    "\"2026-02-01T00:00:00Z\"},"
	                    "{\"instanceId\":\"c\",\"vnicId\":\"first\","
	                    "\"lifecycleState\":\"ATTACHED\",\"timeCreated\":"
	                    "\"2026-01-01T00:00:00Z\"},"
	                    "{\"instanceId\":\"c\",\"vnicId\":\"gone\","
	                    "\"lifecycleState\":\"DETACHED\",\"timeCreated\":"
	                    "\"2025-01-01T00:00:00Z\"},"
	                    "{\"instanceId\":\"a\",\"vnicId\":\"other\","
	                    "\"lifecycleState\":\"ATTACHED\"}]");
	fixture_tool_answer_for(VNIC, "/first",
	                        "{\"publicIp\":\"192.0.2.7\",\"privateIp\":"
	                        "\"10.0.0.7\",\"isPrimary\":true}");
	fixture_tool_stock("oci_compute_list_instances",
	                   "{\"include_ips\":true,\"offset\":1}");
	fixture_tool_is("instances[0].public_ip", "null");
	fixture_tool_is("instances[1].public_ip", "\"192.0.2.7\"");
	fixture_tool_is("instances[1].private_ip", "\"10.0.0.7\"");
	/* one request for all attachments, one VNIC for the page */
	cr_assert_not_null(fixture_tool_asked(2));
	cr_assert_null(fixture_tool_asked(3));
}

Test(instance, list_without_the_network)
{
	fixture_tool_answer(LIST, instances);
	fixture_tool_stock("oci_compute_list_instances",
	                   "{\"include_ips\":true}");
	fixture_tool_is("count", "3");
	fixture_tool_is("instances[0].private_ip", "null");
}

/* --- showing one ---------------------------------------------------------- */

Test(instance, details)
{
	fixture_tool_answer(GET,
	                    "{\"id\":\"" OCID "\",\"displayName\":\"web\","
	                    "\"compartmentId\":\"comp\",\"lifecycleState\":"
	                    "\"RUNNING\",\"region\":\"iad\",\"shapeConfig\":{"
	                    "\"ocpus\":2.0,\"memoryInGBs\":32.0},"
	                    "\"freeformTags\":{\"a\":\"b\"}}");
	fixture_tool_answer(ATTACHMENTS,
	                    "[{\"vnicId\":\"v1\",\"lifecycleState\":"
	                    "\"ATTACHED\"},{\"vnicId\":\"v2\","
	                    "\"lifecycleState\":\"ATTACHED\"}]");
	fixture_tool_answer_for(VNIC, "/v1",
	                        "{\"id\":\"v1\",\"privateIp\":\"10.0.0.1\"}");
	fixture_tool_answer_for(VNIC, "/v2",
	                        "{\"id\":\"v2\",\"isPrimary\":true,"
	                        "\"privateIp\":\"10.0.0.2\",\"publicIp\":"
	                        "\"192.0.2.2\",\"nsgIds\":[\"g\"]}");
	fixture_tool_answer(SUMMARIZE,
	                    "[{\"aggregatedDatapoints\":[{\"timestamp\":"
	                    "\"2026-01-01T00:00:00Z\",\"value\":12.5}]}]");
	fixture_tool_stock("oci_compute_get_instance",
	                   ID ",\"include_metrics\":true}");
	fixture_tool_is("public_ip", "\"192.0.2.2\"");
	fixture_tool_is("private_ip", "\"10.0.0.2\"");
	fixture_tool_is("shape_config.ocpus", "2.0");
	fixture_tool_is("shape_config.memory_in_gbs", "32.0");
	fixture_tool_is("freeform_tags", "{\"a\":\"b\"}");
	fixture_tool_is("vnics[0].is_primary", "false");
	fixture_tool_is("vnics[0].nsg_ids", "[]");
	fixture_tool_is("vnics[1].nsg_ids", "[\"g\"]");
	fixture_tool_is("metrics.CpuUtilization.statistics.average", "12.5");
	fixture_tool_is("metrics.MemoryUtilization.statistics.max", "12.5");
	fixture_tool_is("network_error", NULL);
}

Test(instance, details_without_network_and_metrics)
{
	fixture_tool_answer(GET, in_state("RUNNING"));
	fixture_tool_refuse(ATTACHMENTS, 403, "NotAuthorized", "No.");
	fixture_tool_refuse(SUMMARIZE, 403, "NotAuthorized", "No.");
	cr_assert_not(fixture_tool_stock("oci_compute_get_instance",
	                                 ID ",\"include_metrics\":true}")
	                      ->is_error);
	fixture_tool_is("public_ip", "null");
	fixture_tool_is("vnics", "[]");
	fixture_tool_is("metrics.CpuUtilization.statistics.average", "null");
}

Test(instance, details_of_none)
{
	const struct fixture_tool_result *result =
		fixture_tool_stock("oci_compute_get_instance", ID "}");

	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "not_found");
}
