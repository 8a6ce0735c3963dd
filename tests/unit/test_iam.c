#include "oci/iam.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

TestSuite(iam, .init = fixture_tool_begin, .fini = fixture_tool_end);

Test(iam, lists_are_filtered_before_paging)
{
	fixture_tool_answer(
		"identity/Identity/ListUsers",
		"[{\"id\":\"1\",\"name\":\"anna\"},{\"id\":\"2\","
		"\"name\":\"bert\"},{\"id\":\"3\",\"name\":\"Hanna\","
		"\"isMfaActivated\":true}]");
	fixture_tool_answer("identity/Identity/GetCompartment",
	                    "{\"name\":\"company\"}");
	fixture_tool_account()->compartment = SPAN("ocid1.compartment.oc1..x");
	fixture_tool_stock("oci_security_list_users",
	                   "{\"name_contains\":\"ANN\",\"limit\":1,"
	                   "\"offset\":1,\"lifecycle_state\":\"ACTIVE\"}");
	fixture_tool_is("total", "2");
	fixture_tool_is("users[0].id", "\"3\"");
	fixture_tool_is("users[0].is_mfa_activated", "true");
	fixture_tool_is("users[1]", NULL);
	fixture_tool_is("compartment_name", "\"company\"");
	fixture_tool_is("has_more", "false");
	/* Users are the tenancy's, whatever compartment is configured. */
	cr_assert(strstr(fixture_tool_asked(0),
	                 "compartmentId=" FIXTURE_TENANCY));
	cr_assert(strstr(fixture_tool_asked(0), "lifecycleState=ACTIVE"));
}

Test(iam, policies_of_a_compartment)
{
	fixture_tool_answer("identity/Identity/ListPolicies",
	                    "[{\"name\":\"p\",\"statements\":[\"allow x\"]}]");
	fixture_tool_stock("oci_security_list_policies",
	                   "{\"compartment_id\":\"ocid1.compartment.oc1..c\"}");
	fixture_tool_is("policies[0].statements[0]", "\"allow x\"");
	fixture_tool_is("compartment_name", "null");
	cr_assert(strstr(fixture_tool_asked(0),
	                 "compartmentId=ocid1.compartment.oc1..c"));
}

Test(iam, groups_refused)
{
	fixture_tool_refuse("identity/Identity/ListGroups", 403,
	                    "NotAuthorized", "no");
	cr_assert_str_eq(
		fixture_tool_stock("oci_security_list_groups", "{}")->category,
		"authorization");
}

Test(iam, a_user_with_groups_and_keys)
{
	fixture_tool_answer("identity/Identity/GetUser",
	                    "{\"id\":\"u\",\"name\":\"anna\"}");
	fixture_tool_answer("identity/Identity/ListUserGroupMemberships",
	                    "[{\"groupId\":\"g1\"},{\"groupId\":\"g2\"}]");
	fixture_tool_answer_for("identity/Identity/GetGroup", "/g1",
	                        "{\"name\":\"Admins\"}");
	fixture_tool_answer("identity/Identity/ListApiKeys",
	                    "[{\"keyId\":\"k\",\"fingerprint\":\"aa:bb\","
	                    "\"keyValue\":\"PEM\","
	                    "\"timeCreated\":\"2020-01-01T00:00:00Z\"}]");
	fixture_tool_stock("oci_security_get_user",
	                   "{\"user_id\":\"ocid1.user.oc1..u\","
	                   "\"include_api_keys\":true}");
	fixture_tool_is("user.name", "\"anna\"");
	fixture_tool_is("groups[0].name", "\"Admins\"");
	fixture_tool_is("groups[1].name", "null");
	fixture_tool_is("groups[1].id", "\"g2\"");
	fixture_tool_is("api_keys[0].fingerprint", "\"aa:bb\"");
	cr_assert_null(
		strstr(fixture_tool_stock("oci_security_get_user",
	                                  "{\"user_id\":\"ocid1.user.oc1..u\","
	                                  "\"include_api_keys\":true}")
	                       ->structured.at,
	               "PEM"));
	fixture_tool_stock("oci_security_get_user",
	                   "{\"user_id\":\"ocid1.user.oc1..u\","
	                   "\"include_groups\":false}");
	fixture_tool_is("groups", NULL);
	fixture_tool_is("api_keys", NULL);
}
