#include "oci/rules.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/buf.h"
#include "tests/unit/fixture_tool.h"

TestSuite(rules, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define VN "core/VirtualNetwork/"

static const struct {
	const char *cidr;
	enum rules_reach reach;
} reaches[] = {
	{ "0.0.0.0/0", RULES_ANYWHERE },
	{ "::/0", RULES_ANYWHERE },
	{ "128.0.0.0/1", RULES_ANYWHERE },
	{ "2000::/3", RULES_ANYWHERE },
	{ "64.0.0.0/8", RULES_PUBLIC },
	{ "2603::/16", RULES_PUBLIC },
	{ "202.0.0.0/15", RULES_PUBLIC },
	{ "10.0.0.0/8", RULES_PRIVATE },
	{ "172.16.0.0/12", RULES_PRIVATE },
	{ "fc00::/7", RULES_PRIVATE },
	{ "100.64.0.0/10", RULES_PRIVATE },
	{ "10.1.0.0/16", RULES_NARROW },
	{ "192.168.0.0/16", RULES_NARROW },
	{ "192.0.2.1/32", RULES_NARROW },
	{ "192.0.2.1", RULES_NARROW },
	{ "203.0.0.0/16", RULES_NARROW },
	{ "2001:db8::/48", RULES_NARROW },
	{ "all-iad-services", RULES_NARROW },
	{ "", RULES_NARROW },
	{ "10.0.0.0/33", RULES_NARROW },
};

Test(rules, reach_of_a_source)
{
	for (size_t i = 0; i < ARRAY_LEN(reaches); i++)
		cr_expect_eq(rules_reach(span_str(reaches[i].cidr)),
		             reaches[i].reach, "%s", reaches[i].cidr);
}

#define TCP(first, last)                                               \
	"\"protocol\":\"6\",\"tcpOptions\":{\"destinationPortRange\":" \
	"{\"min\":" #first ",\"max\":" #last "}}"
#define UDP(first, last)                                                \
	"\"protocol\":\"17\",\"udpOptions\":{\"destinationPortRange\":" \
	"{\"min\":" #first ",\"max\":" #last "}}"
#define ICMP(options) "\"protocol\":\"1\",\"icmpOptions\":{" options "}"

/* Ingress from a source: how bad, and what is said of it. */
static const struct {
	const char *source, *rule;
	enum rules_risk risk;
	const char *protocol, *ports, *what;
} verdicts[] = {
	{ "0.0.0.0/0", TCP(22, 22), RULES_HIGH, "TCP", "22", "SSH (port 22)" },
	{ "::/0", TCP(3389, 3389), RULES_HIGH, "TCP", "3389", "Remote" },
	{ "0.0.0.0/0", TCP(1521, 1521), RULES_HIGH, "TCP", "1521", "Oracle" },
	{ "0.0.0.0/0", TCP(3306, 3306), RULES_HIGH, "TCP", "3306", "MySQL" },
	{ "0.0.0.0/0", TCP(5432, 5432), RULES_HIGH, "TCP", "5432", "Postgre" },
	{ "0.0.0.0/0", TCP(27017, 27017), RULES_HIGH, "TCP", "27017", "Mongo" },
	{ "0.0.0.0/0", TCP(6379, 6379), RULES_HIGH, "TCP", "6379", "Redis" },
	{ "0.0.0.0/0", TCP(9200, 9200), RULES_HIGH, "TCP", "9200", "Elastic" },
	{ "0.0.0.0/0", UDP(11211, 11211), RULES_HIGH, "UDP", "11211", "Memc" },
	{ "0.0.0.0/0", UDP(161, 161), RULES_HIGH, "UDP", "161", "SNMP" },
	{ "0.0.0.0/0", TCP(389, 389), RULES_HIGH, "TCP", "389", "LDAP" },
	{ "0.0.0.0/0", TCP(445, 445), RULES_HIGH, "TCP", "445", "SMB" },
	{ "0.0.0.0/0", TCP(2375, 2375), RULES_HIGH, "TCP", "2375", "Docker" },
	/* the same number, but another protocol */
	{ "0.0.0.0/0", UDP(22, 22), RULES_MEDIUM, "UDP", "22", "this port" },
	{ "0.0.0.0/0", TCP(161, 161), RULES_MEDIUM, "TCP", "161", "this port" },
	{ "0.0.0.0/0", UDP(53, 53), RULES_MEDIUM, "UDP", "53", "DNS" },
	{ "0.0.0.0/0", TCP(8080, 8080), RULES_MEDIUM, "TCP", "8080", "this" },
	{ "0.0.0.0/0", TCP(443, 443), RULES_LOW, "TCP", "443", "HTTPS" },
	{ "0.0.0.0/0", TCP(80, 80), RULES_LOW, "TCP", "80", "HTTP" },
	{ "0.0.0.0/0", TCP(80, 90), RULES_MEDIUM, "TCP", "80-90", "these" },
	{ "0.0.0.0/0", TCP(20, 30), RULES_HIGH, "TCP", "20-30", "SSH" },
	/* no ports: all of them */
	{ "0.0.0.0/0", "\"protocol\":\"6\"", RULES_HIGH, "TCP", "all",
	  "every TCP port" },
	{ "0.0.0.0/0", "\"protocol\":\"6\",\"tcpOptions\":null", RULES_HIGH,
	  "TCP", "all", "every TCP port" },
	{ "0.0.0.0/0",
	  "\"protocol\":\"6\",\"tcpOptions\":{\"sourcePortRange\":"
	  "{\"min\":1024,\"max\":65535}}",
	  RULES_HIGH, "TCP", "all", "every TCP port" },
	{ "0.0.0.0/0", TCP(1, 65535), RULES_HIGH, "TCP", "all", "every TCP" },
	{ "0.0.0.0/0", "\"protocol\":\"17\"", RULES_HIGH, "UDP", "all",
	  "every UDP port" },
	{ "0.0.0.0/0", "\"protocol\":\"all\"", RULES_HIGH, "all", "all",
	  "every protocol" },
	{ "0.0.0.0/0", "\"protocol\":\"47\"", RULES_MEDIUM, "GRE", "all",
	  "this protocol" },
	/* what a host needs from others is no risk */
	{ "0.0.0.0/0", ICMP("\"type\":3,\"code\":4"), RULES_NONE, "ICMP",
	  "type 3 code 4", "" },
	{ "0.0.0.0/0", ICMP("\"type\":8"), RULES_LOW, "ICMP", "type 8",
	  "echo" },
	{ "0.0.0.0/0", "\"protocol\":\"1\"", RULES_MEDIUM, "ICMP", "all",
	  "every type" },
	{ "::/0", "\"protocol\":\"58\",\"icmpOptions\":{\"type\":128}",
	  RULES_LOW, "ICMPv6", "type 128", "echo" },
	/* from nearer */
	{ "64.0.0.0/8", TCP(22, 22), RULES_MEDIUM, "TCP", "22", "SSH" },
	{ "64.0.0.0/8", TCP(443, 443), RULES_NONE, "TCP", "443", "" },
	{ "10.0.0.0/8", "\"protocol\":\"all\"", RULES_LOW, "all", "all",
	  "every protocol is open to a large private" },
	{ "10.0.0.0/8", TCP(8080, 8080), RULES_NONE, "TCP", "8080", "" },
	{ "10.0.0.0/16", TCP(22, 22), RULES_NONE, "TCP", "22", "" },
	{ "all-iad-services-in-oracle-services-network", TCP(22, 22),
	  RULES_NONE, "TCP", "22", "" },
};

Test(rules, verdicts)
{
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		struct rules_verdict v;
		char json[512];

		snprintf(json, sizeof(json), "{\"source\":\"%s\",%s}",
		         verdicts[i].source, verdicts[i].rule);
		rules_judge(span_str(json), true, &v);
		cr_expect_eq(v.risk, verdicts[i].risk, "%s: %s", json,
		             rules_risk_name(v.risk));
		cr_expect_str_eq(v.protocol, verdicts[i].protocol, "%s", json);
		cr_expect_str_eq(v.ports, verdicts[i].ports, "%s", json);
		cr_expect_not_null(strstr(v.reason, verdicts[i].what), "%s: %s",
		                   json, v.reason);
		cr_expect_eq(v.recommendation[0] == '\0', v.risk == RULES_NONE);
	}
}

Test(rules, egress_is_not_rated)
{
	const char *rule = "{\"destination\":\"0.0.0.0/0\",\"protocol\":"
			   "\"all\",\"source\":\"0.0.0.0/0\"}";
	struct rules_verdict v;

	rules_judge(span_str(rule), false, &v);
	cr_assert_eq(v.risk, RULES_NONE);
	cr_assert(rules_lets_all_out(span_str(rule)));
	cr_assert_not(rules_lets_all_out(
		SPAN("{\"destination\":\"10.0.0.0/8\",\"protocol\":\"all\"}")));
	cr_assert_not(rules_lets_all_out(
		SPAN("{\"destination\":\"0.0.0.0/0\",\"protocol\":\"6\"}")));
}

#define OPEN_SSH \
	"{\"source\":\"0.0.0.0/0\"," TCP(22, 22) ",\"description\":\"d\"}"
#define OPEN_WEB "{\"source\":\"0.0.0.0/0\"," TCP(443, 443) "}"
#define ALL_OUT  "{\"destination\":\"0.0.0.0/0\",\"protocol\":\"all\"}"

static const char list[] =
	"{\"id\":\"ocid1.securitylist.oc1.iad.a\",\"displayName\":\"one\","
	"\"ingressSecurityRules\":[" OPEN_WEB "," OPEN_SSH "],"
	"\"egressSecurityRules\":[" ALL_OUT "]}";

Test(rules, one_security_list)
{
	fixture_tool_answer(VN "GetSecurityList", list);
	fixture_tool_stock(
		"oci_network_analyze_security",
		"{\"security_list_id\":\"ocid1.securitylist.oc1.iad.a\"}");
	fixture_tool_is("total_rules", "3");
	fixture_tool_is("ingress_rules", "2");
	fixture_tool_is("egress_rules", "1");
	fixture_tool_is("summary.high_risk", "1");
	fixture_tool_is("summary.medium_risk", "0");
	fixture_tool_is("summary.low_risk", "1");
	/* the worst first */
	fixture_tool_is("risky_rules[0].risk_level", "\"HIGH\"");
	fixture_tool_is("risky_rules[0].security_list_name", "\"one\"");
	fixture_tool_is("risky_rules[0].nsg_id", "null");
	fixture_tool_is("risky_rules[0].rule.port_range", "\"22\"");
	fixture_tool_is("risky_rules[0].rule.source_or_destination",
	                "\"0.0.0.0/0\"");
	fixture_tool_is("risky_rules[0].rule.description", "\"d\"");
	fixture_tool_is("risky_rules[1].risk_level", "\"LOW\"");
	fixture_tool_is("notes[0]",
	                "\"1 egress rules let everything out to anywhere.\"");
}

Test(rules, only_counted)
{
	fixture_tool_answer(VN "GetSecurityList", list);
	fixture_tool_stock(
		"oci_network_analyze_security",
		"{\"security_list_id\":\"ocid1.securitylist.oc1.iad.a\","
		"\"check_risky_rules\":false}");
	fixture_tool_is("total_rules", "3");
	fixture_tool_is("summary.high_risk", "0");
	fixture_tool_is("risky_rules", "[]");
	fixture_tool_is("notes[0]", "\"The rules were only counted.\"");
}

Test(rules, a_network_with_lists_and_groups)
{
	fixture_tool_answer(VN "GetVcn", "{\"id\":\"ocid1.vcn.oc1.iad.v\","
	                                 "\"compartmentId\":\"comp\"}");
	fixture_tool_answer(VN "ListSecurityLists",
	                    "[{\"id\":\"l\",\"displayName\":\"empty\","
	                    "\"ingressSecurityRules\":[],"
	                    "\"egressSecurityRules\":[]}]");
	fixture_tool_answer(VN "ListNetworkSecurityGroups",
	                    "[{\"id\":\"g1\",\"displayName\":\"admin\"},"
	                    "{\"id\":\"g2\",\"displayName\":\"none\"}]");
	fixture_tool_answer_for(
		VN "ListNetworkSecurityGroupSecurityRules", "/g1/",
		"[{\"direction\":\"INGRESS\",\"source\":\"::/0\"," UDP(
			161, 161) "},{\"direction\":\"EGRESS\","
				  "\"destination\":\"10.0.0.0/"
				  "8\",\"protocol\":\"6\"}]");
	fixture_tool_answer_for(VN "ListNetworkSecurityGroupSecurityRules",
	                        "/g2/", "[]");
	fixture_tool_stock("oci_network_analyze_security",
	                   "{\"vcn_id\":\"ocid1.vcn.oc1.iad.v\"}");
	fixture_tool_is("total_rules", "2");
	fixture_tool_is("security_lists_analyzed", "1");
	fixture_tool_is("nsgs_analyzed", "2");
	fixture_tool_is("risky_rules[0].nsg_id", "\"g1\"");
	fixture_tool_is("risky_rules[0].resource_name", "\"admin\"");
	fixture_tool_is("risky_rules[0].security_list_id", "null");
	fixture_tool_is("risky_rules[0].rule.protocol", "\"UDP\"");
	cr_assert_not_null(strstr(fixture_tool_asked(1), "compartmentId=comp"));
}

Test(rules, something_must_be_named)
{
	const struct fixture_tool_result *result =
		fixture_tool_stock("oci_network_analyze_security", "{}");

	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "validation");
	cr_assert_null(fixture_tool_asked(0));
}

Test(rules, groups_beyond_the_limit_are_said)
{
	struct buf groups = { .max = 1 << 20 };

	buf_putc(&groups, '[');
	for (int i = 0; i < RULES_GROUPS_MAX + 7; i++)
		buf_addf(&groups, "%s{\"id\":\"g%d\"}", i ? "," : "", i);
	buf_puts(&groups, "]");
	buf_putc(&groups, '\0');
	fixture_tool_answer(VN "GetVcn", "{\"compartmentId\":\"comp\"}");
	fixture_tool_answer(VN "ListSecurityLists", "[]");
	fixture_tool_answer(VN "ListNetworkSecurityGroups", groups.bytes);
	fixture_tool_answer(VN "ListNetworkSecurityGroupSecurityRules", "[]");
	fixture_tool_stock("oci_network_analyze_security",
	                   "{\"vcn_id\":\"ocid1.vcn.oc1.iad.v\"}");
	fixture_tool_is("nsgs_analyzed", "100");
	fixture_tool_is("notes[0]",
	                "\"7 more network security groups were not read.\"");
	buf_free(&groups);
}
