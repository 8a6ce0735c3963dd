#include "oci/vcn.h"

#include <criterion/criterion.h>

#include "tests/unit/fixture_tool.h"

TestSuite(vcn, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define VCNS    "core/VirtualNetwork/ListVcns"
#define SUBNETS "core/VirtualNetwork/ListSubnets"

static const char vcns[] =
	"[{\"id\":\"v1\",\"displayName\":\"Prod\",\"cidrBlocks\":[\"10.0.0.0/"
	"16\"],\"lifecycleState\":\"AVAILABLE\"},"
	"{\"id\":\"v2\",\"displayName\":\"dev\"},"
	"{\"id\":\"v3\",\"displayName\":\"prod-2\"}]";
static const char subnets[] =
	"[{\"vcnId\":\"v3\"},{\"vcnId\":\"v1\"},{\"vcnId\":\"v3\"}]";

Test(vcn, lists_with_counts)
{
	fixture_tool_answer(VCNS, vcns);
	fixture_tool_answer(SUBNETS, subnets);
	fixture_tool_stock("oci_network_list_vcns", "{\"limit\":2}");
	fixture_tool_is("total", "3");
	fixture_tool_is("count", "2");
	fixture_tool_is("has_more", "true");
	fixture_tool_is("next_offset", "2");
	fixture_tool_is("compartment_id", "\"" FIXTURE_TENANCY "\"");
	fixture_tool_is("vcns[0].subnet_count", "1");
	fixture_tool_is("vcns[0].cidr_blocks", "[\"10.0.0.0/16\"]");
	fixture_tool_is("vcns[1].subnet_count", "0");
	cr_assert_null(fixture_tool_asked(2));
}

Test(vcn, filters_before_paging)
{
	fixture_tool_answer(VCNS, vcns);
	fixture_tool_answer(SUBNETS, subnets);
	fixture_tool_stock("oci_network_list_vcns",
	                   "{\"display_name\":\"PROD\",\"limit\":1,"
	                   "\"offset\":1}");
	fixture_tool_is("total", "2");
	fixture_tool_is("vcns[0].id", "\"v3\"");
	fixture_tool_is("vcns[0].subnet_count", "2");
	fixture_tool_is("has_more", "false");
	fixture_tool_is("next_offset", "null");
}

Test(vcn, without_subnets_the_list_is_there)
{
	fixture_tool_answer(VCNS, vcns);
	fixture_tool_refuse(SUBNETS, 404, "NotAuthorizedOrNotFound", "No.");
	fixture_tool_stock("oci_network_list_vcns", "{}");
	fixture_tool_is("count", "3");
	fixture_tool_is("vcns[0].subnet_count", "null");
}
