#include "oci/posture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

TestSuite(posture, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define RECIPE                                                         \
	"{\"parameters\":{\"include_iam\":{\"type\":\"boolean\","      \
	"\"default\":true},\"include_cloud_guard\":{\"type\":"         \
	"\"boolean\",\"default\":true},\"include_network_security\":{" \
	"\"type\":\"boolean\",\"default\":true}}}"

static const struct fixture_tool_result *call(const char *arguments)
{
	return fixture_tool_call(&posture_functions[0], RECIPE, arguments);
}

Test(posture, broad_statements)
{
	static const struct {
		const char *statement;
		bool broad;
	} rows[] = {
		{ "Allow group Ops to manage all-resources in tenancy", true },
		{ "allow GROUP Ops TO  manage\tALL-RESOURCES in Tenancy",
		  true },
		{ "allow any-user to manage all-resources in tenancy", true },
		{ "Allow group Administrators to manage all-resources in "
		  "tenancy",
		  false },
		{ "Allow group Ops to manage all-resources in compartment dev",
		  false },
		{ "Allow group Ops to manage all-resources in tenancy where "
		  "request.region='iad'",
		  false },
		{ "Allow group Ops to read all-resources in tenancy", false },
		{ "Define tenancy x as ocid1.tenancy.oc1..x", false },
		{ "allow group Ops to manage all-resources in", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_assert_eq(posture_is_broad(span_str(rows[i].statement)),
		             rows[i].broad, "%s", rows[i].statement);
}

static void script_iam(void)
{
	fixture_tool_answer("identity/Identity/ListUsers",
	                    "[{\"id\":\"u1\",\"lifecycleState\":\"ACTIVE\","
	                    "\"capabilities\":{\"canUseConsolePassword\":true,"
	                    "\"canUseApiKeys\":true},\"isMfaActivated\":false},"
	                    "{\"id\":\"u2\",\"lifecycleState\":\"ACTIVE\","
	                    "\"capabilities\":{\"canUseConsolePassword\":true,"
	                    "\"canUseApiKeys\":false},\"isMfaActivated\":true},"
	                    "{\"id\":\"u3\",\"lifecycleState\":\"INACTIVE\"}]");
	fixture_tool_answer("identity/Identity/ListGroups", "[{},{}]");
	fixture_tool_answer("identity/Identity/ListPolicies",
	                    "[{\"name\":\"p\",\"statements\":[\"allow group X "
	                    "to manage all-resources in tenancy\"]}]");
	fixture_tool_answer("identity/Identity/ListApiKeys",
	                    "[{\"lifecycleState\":\"ACTIVE\","
	                    "\"timeCreated\":\"2020-01-01T00:00:00Z\"}]");
}

static void script_network(const char *compartments)
{
	fixture_tool_answer("identity/Identity/ListCompartments", compartments);
	fixture_tool_answer("core/VirtualNetwork/ListVcns", "[{}]");
	fixture_tool_answer("core/VirtualNetwork/ListSubnets",
	                    "[{\"prohibitPublicIpOnVnic\":true},{}]");
	fixture_tool_answer(
		"core/VirtualNetwork/ListSecurityLists",
		"[{\"displayName\":\"default\",\"ingressSecurityRules\":["
		"{\"source\":\"0.0.0.0/0\",\"protocol\":\"6\",\"tcpOptions\":"
		"{\"destinationPortRange\":{\"min\":22,\"max\":22}}},"
		"{\"source\":\"10.0.0.0/24\",\"protocol\":\"all\"}]}]");
	fixture_tool_answer("core/VirtualNetwork/ListNetworkSecurityGroups",
	                    "[{\"id\":\"n1\",\"displayName\":\"web\"}]");
	fixture_tool_answer(
		"core/VirtualNetwork/ListNetworkSecurityGroupSecurityRules",
		"[{\"direction\":\"INGRESS\",\"source\":\"0.0.0.0/0\","
		"\"protocol\":\"6\",\"tcpOptions\":{\"destinationPortRange\":{"
		"\"min\":443,\"max\":443}}},{\"direction\":\"EGRESS\","
		"\"destination\":\"0.0.0.0/0\",\"protocol\":\"all\"}]");
}

Test(posture, everything_is_counted)
{
	script_iam();
	script_network("[]");
	fixture_tool_answer("cloud_guard/CloudGuard/ListProblems",
	                    "{\"items\":[{\"riskLevel\":\"HIGH\"},"
	                    "{\"riskLevel\":\"HIGH\"}]}");
	cr_assert_not(call("{}")->is_error);
	fixture_tool_is("iam_summary.total_users", "3");
	fixture_tool_is("iam_summary.active_users", "2");
	fixture_tool_is("iam_summary.console_users_without_mfa", "1");
	fixture_tool_is("iam_summary.old_api_keys", "1");
	fixture_tool_is("iam_summary.broad_statements", "1");
	fixture_tool_is("cloud_guard_summary.high", "2");
	fixture_tool_is("network_summary.public_subnets", "1");
	fixture_tool_is("network_summary.rules_checked", "3");
	fixture_tool_is("network_summary.open_rules", "2");
	fixture_tool_is("network_summary.high_risk_rules", "1");
	/* 100 - 25 - 13 - 15, 100 - 20, 100 - 30 */
	fixture_tool_is("security_score.iam", "47");
	fixture_tool_is("security_score.cloud_guard", "80");
	fixture_tool_is("security_score.network", "70");
	fixture_tool_is("security_score.overall", "65");
}

Test(posture, an_area_that_cannot_be_read_has_no_score)
{
	script_network("[]");
	cr_assert_not(call("{\"include_iam\":false}")->is_error);
	fixture_tool_is("iam_summary", NULL);
	fixture_tool_is("security_score.iam", "null");
	fixture_tool_is("security_score.cloud_guard", "null");
	fixture_tool_is("security_score.overall", "70");
	cr_assert(strstr(call("{\"include_iam\":false}")->structured.at,
	                 "\"cloud_guard_summary\":{\"error\":"));
}

Test(posture, every_compartment_of_the_tenancy)
{
	script_network("[{\"id\":\"ocid1.compartment.oc1..a\"},"
	               "{\"id\":\"ocid1.compartment.oc1..b\"}]");
	cr_assert_not(call("{\"include_iam\":false}")->is_error);
	fixture_tool_is("network_summary.compartments_checked", "3");
	fixture_tool_is("network_summary.public_subnets", "3");
	fixture_tool_is("network_summary.network_security_groups", "3");
	fixture_tool_is("network_summary.rules_checked", "9");
}

Test(posture, an_empty_network_has_no_score)
{
	fixture_tool_answer("identity/Identity/ListCompartments", "[]");
	fixture_tool_answer("core/VirtualNetwork/ListVcns", "[]");
	fixture_tool_answer("core/VirtualNetwork/ListSubnets", "[]");
	fixture_tool_answer("core/VirtualNetwork/ListSecurityLists", "[]");
	fixture_tool_answer("core/VirtualNetwork/ListNetworkSecurityGroups",
	                    "[]");
	cr_assert_not(call("{\"include_iam\":false,"
	                   "\"include_cloud_guard\":false}")
	                      ->is_error);
	fixture_tool_is("security_score.overall", "null");
	fixture_tool_is("network_summary.total_subnets", "0");
}

Test(posture, nothing_can_be_read)
{
	cr_assert_str_eq(call("{}")->category, "not_found");
}
