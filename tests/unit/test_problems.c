#include "oci/problems.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/fixture_tool.h"

#define LIST "cloud_guard/CloudGuard/ListProblems"

TestSuite(problems, .init = fixture_tool_begin, .fini = fixture_tool_end);

Test(problems, gravest_first_with_advice)
{
	fixture_tool_answer(LIST,
	                    "{\"items\":[{\"id\":\"1\",\"riskLevel\":\"LOW\"},"
	                    "{\"id\":\"2\",\"riskLevel\":\"CRITICAL\","
	                    "\"detectorRuleId\":\"BUCKET_IS_PUBLIC\"},"
	                    "{\"id\":\"3\",\"riskLevel\":\"LOW\"}]}");
	fixture_tool_answer_for("cloud_guard/CloudGuard/GetProblem",
	                        "problems/2",
	                        "{\"recommendation\":\"Close it\"}");
	fixture_tool_stock("oci_security_list_cloud_guard_problems",
	                   "{\"limit\":2,\"include_recommendations\":true}");
	fixture_tool_is("total", "3");
	fixture_tool_is("summary.CRITICAL", "1");
	fixture_tool_is("summary.LOW", "2");
	fixture_tool_is("problems[0].problem_name", "\"BUCKET_IS_PUBLIC\"");
	fixture_tool_is("problems[0].recommendation", "\"Close it\"");
	fixture_tool_is("problems[1].recommendation", "null");
	fixture_tool_is("next_offset", "2");
	cr_assert(strstr(fixture_tool_asked(0), "compartmentIdInSubtree=true"));
	cr_assert(strstr(fixture_tool_asked(0), "lifecycleState=ACTIVE"));
	/* A filter that is not given is not sent. */
	cr_assert_not(strstr(fixture_tool_asked(0), "riskLevel"));
}

Test(problems, filters_go_to_the_service)
{
	fixture_tool_answer(LIST, "{\"items\":[]}");
	fixture_tool_stock("oci_security_list_cloud_guard_problems",
	                   "{\"risk_level\":\"HIGH\","
	                   "\"lifecycle_state\":\"INACTIVE\"}");
	fixture_tool_is("total", "0");
	cr_assert(strstr(fixture_tool_asked(0), "riskLevel=HIGH"));
	cr_assert(strstr(fixture_tool_asked(0), "lifecycleState=INACTIVE"));
}
