#include "oci/rules.h"

#include <stdio.h>

#include "lib/ip.h"
#include "oci/output.h"
#include "oci/path.h"

/* --- who may send --------------------------------------------------------- */

#define V4_BITS       96 /* of an IPv4 network's prefix come before it */
#define ANYWHERE_BITS 7  /* 0.0.0.0/1 and its like are two halves of all */
#define WIDE_V4_BITS  16 /* networks larger than this are large */
#define WIDE_V6_BITS  48 /* the same: a site's prefix (RFC 6177) */

static const char *const privates[] = {
	"10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
	"169.254.0.0/16", "fc00::/7",      "fe80::/10",
};

static bool is_private(const struct ip_net *net)
{
	for (size_t i = 0; i < ARRAY_LEN(privates); i++) {
		struct ip_net within;

		if (ip_net_parse(span_str(privates[i]), &within) &&
		    net->bits >= within.bits &&
		    ip_net_contains(&within, &net->base))
			return true;
	}
	return false;
}

enum rules_reach rules_reach(struct span cidr)
{
	struct ip_net net;
	unsigned bits, wide;

	if (!ip_net_parse(cidr, &net))
		return RULES_NARROW;
	if (ip_is_v4(&net.base)) {
		bits = net.bits - V4_BITS;
		wide = WIDE_V4_BITS;
	} else {
		bits = net.bits;
		wide = WIDE_V6_BITS;
	}
	if (is_private(&net))
		return bits < wide ? RULES_PRIVATE : RULES_NARROW;
	if (bits <= ANYWHERE_BITS)
		return RULES_ANYWHERE;
	return bits < wide ? RULES_PUBLIC : RULES_NARROW;
}

/* --- what is open --------------------------------------------------------- */

enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58 };

#define ALL_PORTS 65535

/* What listens where, and how bad it is for anyone to reach it. */
static const struct port {
	uint16_t first, last;
	uint8_t protocol;
	uint8_t risk;
	const char *name;
} ports[] = {
	{ 22, 22, TCP, RULES_HIGH, "SSH" },
	{ 3389, 3389, TCP, RULES_HIGH, "Remote Desktop" },
	{ 3389, 3389, UDP, RULES_HIGH, "Remote Desktop" },
	{ 1521, 1522, TCP, RULES_HIGH, "Oracle Database" },
	{ 2484, 2484, TCP, RULES_HIGH, "Oracle Database with TLS" },
	{ 3306, 3306, TCP, RULES_HIGH, "MySQL" },
	{ 33060, 33060, TCP, RULES_HIGH, "MySQL X Protocol" },
	{ 5432, 5432, TCP, RULES_HIGH, "PostgreSQL" },
	{ 1433, 1434, TCP, RULES_HIGH, "Microsoft SQL Server" },
	{ 1434, 1434, UDP, RULES_HIGH, "Microsoft SQL Server" },
	{ 27017, 27019, TCP, RULES_HIGH, "MongoDB" },
	{ 6379, 6379, TCP, RULES_HIGH, "Redis" },
	{ 9200, 9200, TCP, RULES_HIGH, "Elasticsearch or OpenSearch" },
	{ 9300, 9300, TCP, RULES_HIGH, "Elasticsearch nodes" },
	{ 5601, 5601, TCP, RULES_HIGH, "OpenSearch Dashboards" },
	{ 9042, 9042, TCP, RULES_HIGH, "Cassandra" },
	{ 11211, 11211, TCP, RULES_HIGH, "Memcached" },
	{ 11211, 11211, UDP, RULES_HIGH, "Memcached" },
	{ 161, 162, UDP, RULES_HIGH, "SNMP" },
	{ 389, 389, TCP, RULES_HIGH, "LDAP" },
	{ 389, 389, UDP, RULES_HIGH, "LDAP" },
	{ 445, 445, TCP, RULES_HIGH, "SMB file sharing" },
	{ 135, 139, TCP, RULES_HIGH, "NetBIOS and Windows RPC" },
	{ 137, 138, UDP, RULES_HIGH, "NetBIOS" },
	{ 2375, 2376, TCP, RULES_HIGH, "Docker" },
	{ 2379, 2380, TCP, RULES_HIGH, "etcd" },
	{ 10250, 10250, TCP, RULES_HIGH, "Kubernetes nodes" },
	{ 6443, 6443, TCP, RULES_MEDIUM, "Kubernetes API" },
	{ 23, 23, TCP, RULES_HIGH, "Telnet" },
	{ 21, 21, TCP, RULES_HIGH, "FTP" },
	{ 69, 69, UDP, RULES_HIGH, "TFTP" },
	{ 111, 111, TCP, RULES_HIGH, "RPC" },
	{ 111, 111, UDP, RULES_HIGH, "RPC" },
	{ 2049, 2049, TCP, RULES_HIGH, "NFS" },
	{ 2049, 2049, UDP, RULES_HIGH, "NFS" },
	{ 5900, 5903, TCP, RULES_HIGH, "VNC" },
	{ 5985, 5986, TCP, RULES_HIGH, "Windows Remote Management" },
	{ 9092, 9092, TCP, RULES_HIGH, "Kafka" },
	{ 2181, 2181, TCP, RULES_HIGH, "ZooKeeper" },
	{ 5672, 5672, TCP, RULES_HIGH, "AMQP" },
	{ 15672, 15672, TCP, RULES_HIGH, "RabbitMQ management" },
	{ 7001, 7002, TCP, RULES_HIGH, "WebLogic administration" },
	{ 1900, 1900, UDP, RULES_HIGH, "SSDP" },
	{ 53, 53, UDP, RULES_MEDIUM, "DNS" },
	{ 53, 53, TCP, RULES_MEDIUM, "DNS" },
	{ 123, 123, UDP, RULES_MEDIUM, "NTP" },
	{ 514, 514, UDP, RULES_MEDIUM, "syslog" },
	{ 25, 25, TCP, RULES_MEDIUM, "SMTP" },
	{ 636, 636, TCP, RULES_MEDIUM, "LDAP with TLS" },
	{ 500, 500, UDP, RULES_LOW, "IPsec" },
	{ 4500, 4500, UDP, RULES_LOW, "IPsec" },
	{ 51820, 51820, UDP, RULES_LOW, "WireGuard" },
	{ 80, 80, TCP, RULES_LOW, "HTTP" },
	{ 443, 443, TCP, RULES_LOW, "HTTPS" },
	{ 443, 443, UDP, RULES_LOW, "HTTP/3" },
	{ 587, 587, TCP, RULES_LOW, "mail submission" },
	{ 993, 993, TCP, RULES_LOW, "IMAP with TLS" },
};

/* Nothing in the table is known about these. */
#define UNKNOWN_PORT_RISK RULES_MEDIUM

struct opening {
	int protocol; /* -1: all */
	int64_t first, last;
	int64_t icmp_type, icmp_code; /* -1: all */
	bool all_ports;
};

static void read_opening(struct span rule, struct opening *out)
{
	struct span raw = path_get(rule, "protocol"), text = SPAN("");
	uint64_t number;
	const char *range;

	*out = (struct opening){ .protocol = -1,
		                 .icmp_type = -1,
		                 .icmp_code = -1,
		                 .last = ALL_PORTS,
		                 .all_ports = true };
	if (value_string_plain(raw, &text) && span_u64(text, 255, &number))
		out->protocol = (int)number;
	if (out->protocol == ICMP || out->protocol == ICMPV6) {
		out->icmp_type = path_integer(rule, "icmpOptions.type", -1);
		out->icmp_code = path_integer(rule, "icmpOptions.code", -1);
		return;
	}
	range = out->protocol == TCP   ? "tcpOptions.destinationPortRange"
	        : out->protocol == UDP ? "udpOptions.destinationPortRange"
	                               : NULL;
	if (!range || !path_has(rule, range))
		return;
	out->first = path_integer(path_get(rule, range), "min", 0);
	out->last = path_integer(path_get(rule, range), "max", ALL_PORTS);
	out->all_ports = out->first <= 1 && out->last >= ALL_PORTS;
}

static void describe(const struct opening *open, struct rules_verdict *out)
{
	static const struct {
		int number;
		const char *name;
	} names[] = { { -1, "all" },  { ICMP, "ICMP" },     { TCP, "TCP" },
		      { UDP, "UDP" }, { ICMPV6, "ICMPv6" }, { 47, "GRE" },
		      { 50, "ESP" },  { 51, "AH" },         { 89, "OSPF" } };
	bool icmp = open->protocol == ICMP || open->protocol == ICMPV6;

	snprintf(out->protocol, sizeof(out->protocol), "%d", open->protocol);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].number == open->protocol)
			snprintf(out->protocol, sizeof(out->protocol), "%s",
			         names[i].name);
	if (icmp && open->icmp_type >= 0 && open->icmp_code >= 0)
		snprintf(out->ports, sizeof(out->ports), "type %d code %d",
		         (int)open->icmp_type, (int)open->icmp_code);
	else if (icmp && open->icmp_type >= 0)
		snprintf(out->ports, sizeof(out->ports), "type %d",
		         (int)open->icmp_type);
	else if (icmp || open->all_ports)
		snprintf(out->ports, sizeof(out->ports), "all");
	else if (open->first == open->last)
		snprintf(out->ports, sizeof(out->ports), "%d",
		         (int)open->first);
	else
		snprintf(out->ports, sizeof(out->ports), "%d-%d",
		         (int)open->first, (int)open->last);
}

/* --- how bad it is -------------------------------------------------------- */

struct rating {
	enum rules_risk risk;
	char what[80]; /* "SSH (port 22)" */
};

/* Types that a host needs from others: unreachable (path MTU), time exceeded,
 * parameter problem (RFC 792); and for ICMPv6 those of RFC 4890, 4.3.1. */
static bool icmp_is_needed(const struct opening *open)
{
	if (open->protocol == ICMPV6)
		return open->icmp_type >= 1 && open->icmp_type <= 4;
	return open->icmp_type == 3 || open->icmp_type == 11 ||
	       open->icmp_type == 12;
}

static void rate_icmp(const struct opening *open, struct rating *out)
{
	bool echo = open->icmp_type == (open->protocol == ICMPV6 ? 128 : 8);

	if (icmp_is_needed(open))
		return;
	out->risk = echo ? RULES_LOW : RULES_MEDIUM;
	snprintf(out->what, sizeof(out->what), "%s",
	         echo                    ? "echo (ping)"
	         : open->icmp_type == -1 ? "every type of ICMP"
	                                 : "this type of ICMP");
}

/* The worst of what the table knows in the range. */
static void rate_range(const struct opening *open, struct rating *out)
{
	size_t known = 0;

	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		const struct port *p = &ports[i];

		if (p->protocol != open->protocol || p->last < open->first ||
		    p->first > open->last)
			continue;
		known++;
		if (p->risk <= out->risk)
			continue;
		out->risk = p->risk;
		snprintf(out->what, sizeof(out->what), "%s (port %d)", p->name,
		         (int)MAX(p->first, open->first));
	}
	/* a single port that is known, or more than is known */
	if (known && (open->first == open->last || out->risk == RULES_HIGH))
		return;
	if (out->risk >= UNKNOWN_PORT_RISK)
		return;
	out->risk = UNKNOWN_PORT_RISK;
	snprintf(out->what, sizeof(out->what), "%s",
	         open->first == open->last ? "this port" : "these ports");
}

static void rate(const struct opening *open, struct rating *out)
{
	*out = (struct rating){ .risk = RULES_NONE };
	if (open->protocol == ICMP || open->protocol == ICMPV6) {
		rate_icmp(open, out);
	} else if (open->protocol == -1) {
		out->risk = RULES_HIGH;
		snprintf(out->what, sizeof(out->what), "every protocol");
	} else if (open->protocol != TCP && open->protocol != UDP) {
		out->risk = RULES_MEDIUM;
		snprintf(out->what, sizeof(out->what), "this protocol");
	} else if (open->all_ports) {
		out->risk = RULES_HIGH;
		snprintf(out->what, sizeof(out->what), "every %s port",
		         open->protocol == TCP ? "TCP" : "UDP");
	} else {
		rate_range(open, out);
	}
}

const char *rules_risk_name(enum rules_risk risk)
{
	static const char *const names[] = {
		[RULES_NONE] = "NONE",
		[RULES_LOW] = "LOW",
		[RULES_MEDIUM] = "MEDIUM",
		[RULES_HIGH] = "HIGH",
	};

	return names[risk];
}

static const char *const advice[] = {
	[RULES_NONE] = "",
	[RULES_LOW] = "Keep it if it is meant to be reached from there; else "
		      "narrow the source.",
	[RULES_MEDIUM] = "Open it only to the networks that need it, and only "
			 "the ports that are used.",
	[RULES_HIGH] = "Close it: use a bastion, a VPN or a private endpoint, "
		       "or allow only the addresses that need it.",
};

static const char *const from[] = {
	[RULES_NARROW] = "",
	[RULES_PRIVATE] = "a large private network",
	[RULES_PUBLIC] = "a large public network",
	[RULES_ANYWHERE] = "anywhere on the Internet",
};

/* What a risk for all the world comes to from somewhere nearer. */
static enum rules_risk from_there(enum rules_risk risk, enum rules_reach reach)
{
	switch (reach) {
	case RULES_ANYWHERE:
		return risk;
	case RULES_PUBLIC:
		return risk == RULES_NONE ? RULES_NONE : risk - 1;
	case RULES_PRIVATE:
		return risk == RULES_HIGH ? RULES_LOW : RULES_NONE;
	case RULES_NARROW:
		break;
	}
	return RULES_NONE;
}

void rules_judge(struct span rule, bool ingress, struct rules_verdict *out)
{
	struct span source = SPAN("");
	struct opening open;
	struct rating rating;
	enum rules_reach reach;

	*out = (struct rules_verdict){ .recommendation = "" };
	read_opening(rule, &open);
	describe(&open, out);
	if (!ingress || !value_string_plain(path_get(rule, "source"), &source))
		return;
	reach = rules_reach(source);
	rate(&open, &rating);
	out->risk = from_there(rating.risk, reach);
	if (out->risk == RULES_NONE)
		return;
	out->recommendation = advice[out->risk];
	snprintf(out->reason, sizeof(out->reason), "%s is open to %s",
	         rating.what, from[reach]);
}

bool rules_lets_all_out(struct span rule)
{
	struct span to = SPAN("");

	return path_is(rule, "protocol", "all") &&
	       value_string_plain(path_get(rule, "destination"), &to) &&
	       rules_reach(to) == RULES_ANYWHERE;
}

/* --- oci_network_analyze_security ----------------------------------------- */

#define VN "core/VirtualNetwork/"

struct analysis {
	struct tool_ask *vcn, *list, *group; /* what was named */
	struct tool_ask *lists, *groups;     /* of the VCN */
	struct tool_ask *group_rules[RULES_GROUPS_MAX];
	struct span group_items[RULES_GROUPS_MAX];
	size_t n_groups, groups_left_out;

	size_t n_lists, ingress, egress, all_out, by_risk[RULES_HIGH + 1];
	size_t shown;
};

/* Where a rule stands. */
struct place {
	struct span resource; /* security list or group */
	bool is_group;
};

static struct tool_ask *ask_one(struct tool_run *run, const char *operation,
                                const char *parameter, const char *argument)
{
	struct tool_ask *ask = tool_ask(run, operation);

	tool_ask_path(ask, parameter, tool_text(run, argument));
	tool_ask_cache(ask, "config");
	return ask;
}

static bool ask_named(struct tool_run *run, struct analysis *a)
{
	if (tool_text(run, "vcn_id").len)
		a->vcn = ask_one(run, VN "GetVcn", "vcnId", "vcn_id");
	if (tool_text(run, "security_list_id").len)
		a->list = ask_one(run, VN "GetSecurityList", "securityListId",
		                  "security_list_id");
	if (tool_text(run, "nsg_id").len)
		a->group = ask_one(run, VN "GetNetworkSecurityGroup",
		                   "networkSecurityGroupId", "nsg_id");
	if (a->vcn || a->list || a->group)
		return true;
	tool_fail(run, TOOL_VALIDATION,
	          "oci_network_list_vcns and oci_network_list_security_lists "
	          "show their OCIDs.",
	          "one of vcn_id, security_list_id and nsg_id is needed");
	return false;
}

static struct tool_ask *ask_of_vcn(struct tool_run *run, struct analysis *a,
                                   const char *operation)
{
	struct tool_ask *ask = tool_ask(run, operation);
	struct span given = tool_text(run, "compartment_id");

	tool_ask_query(ask, "compartmentId",
	               given.len ? given
	                         : path_text(run, tool_ask_answer(a->vcn),
	                                     "compartmentId"));
	tool_ask_query(ask, "vcnId", tool_text(run, "vcn_id"));
	tool_ask_items(ask, TOOL_ITEMS_MAX);
	tool_ask_cache(ask, "config");
	return ask;
}

static void ask_group_rules(struct tool_run *run, struct analysis *a,
                            struct span group)
{
	struct tool_ask *ask;

	if (a->n_groups == RULES_GROUPS_MAX) {
		a->groups_left_out++;
		return;
	}
	ask = tool_ask(run, VN "ListNetworkSecurityGroupSecurityRules");
	tool_ask_path(ask, "networkSecurityGroupId",
	              path_text(run, group, "id"));
	tool_ask_items(ask, TOOL_ITEMS_MAX);
	tool_ask_cache(ask, "config");
	a->group_items[a->n_groups] = group;
	a->group_rules[a->n_groups++] = ask;
}

static void ask_groups_rules(struct tool_run *run, struct analysis *a)
{
	struct value_iter it;
	struct span group;

	if (a->group)
		ask_group_rules(run, a, tool_ask_answer(a->group));
	if (!a->groups)
		return;
	it = path_items(tool_ask_answer(a->groups), "");
	while (value_array_next(&it, &group))
		ask_group_rules(run, a, group);
}

/* Called for every rule; a member of the analysis counts or writes it. */
typedef void visit(struct tool_run *run, struct analysis *a, struct output *o,
                   const struct place *where, struct span rule, bool ingress,
                   enum rules_risk wanted);

static void count_rule(struct tool_run *run, struct analysis *a,
                       struct output *o, const struct place *where,
                       struct span rule, bool ingress, enum rules_risk wanted)
{
	struct rules_verdict verdict;

	(void)run;
	(void)o;
	(void)where;
	(void)wanted;
	if (ingress)
		a->ingress++;
	else
		a->egress++;
	if (!ingress && rules_lets_all_out(rule))
		a->all_out++;
	rules_judge(rule, ingress, &verdict);
	a->by_risk[verdict.risk]++;
}

static void write_finding(struct tool_run *run, struct analysis *a,
                          struct output *o, const struct place *where,
                          struct span rule, bool ingress,
                          enum rules_risk wanted)
{
	const char *end = ingress ? "source" : "destination";
	struct rules_verdict v;

	rules_judge(rule, ingress, &v);
	if (v.risk != wanted || a->shown == RULES_FINDINGS_MAX)
		return;
	a->shown++;
	output_object(o, NULL);
	output_string(o, "risk_level", rules_risk_name(v.risk));
	output_path(o, "resource_name", where->resource, "displayName");
	output_path(o, "security_list_id",
	            where->is_group ? SPAN("{}") : where->resource, "id");
	output_path(o, "security_list_name",
	            where->is_group ? SPAN("{}") : where->resource,
	            "displayName");
	output_path(o, "nsg_id", where->is_group ? where->resource : SPAN("{}"),
	            "id");
	output_object(o, "rule");
	output_string(o, "direction", ingress ? "INGRESS" : "EGRESS");
	output_string(o, "protocol", v.protocol);
	output_text_or_null(o, "source_or_destination",
	                    path_text(run, rule, end));
	output_string(o, "port_range", v.ports);
	output_path(o, "description", rule, "description");
	output_end(o);
	output_string(o, "reason", v.reason);
	output_string(o, "recommendation", v.recommendation);
	output_end(o);
}

static void visit_list(struct tool_run *run, struct analysis *a,
                       struct output *o, struct span list, visit *each,
                       enum rules_risk wanted)
{
	struct place where = { .resource = list };
	struct value_iter in = path_items(list, "ingressSecurityRules");
	struct value_iter out = path_items(list, "egressSecurityRules");
	struct span rule;

	while (value_array_next(&in, &rule))
		each(run, a, o, &where, rule, true, wanted);
	while (value_array_next(&out, &rule))
		each(run, a, o, &where, rule, false, wanted);
}

static void visit_group(struct tool_run *run, struct analysis *a,
                        struct output *o, size_t i, visit *each,
                        enum rules_risk wanted)
{
	struct place where = { .resource = a->group_items[i],
		               .is_group = true };
	struct value_iter it =
		path_items(tool_ask_answer(a->group_rules[i]), "");
	struct span rule;

	while (value_array_next(&it, &rule))
		each(run, a, o, &where, rule,
		     path_is(rule, "direction", "INGRESS"), wanted);
}

static void visit_all(struct tool_run *run, struct analysis *a,
                      struct output *o, visit *each, enum rules_risk wanted)
{
	struct value_iter it;
	struct span list;

	a->n_lists = 0;
	if (a->list) {
		a->n_lists++;
		visit_list(run, a, o, tool_ask_answer(a->list), each, wanted);
	}
	if (a->lists) {
		it = path_items(tool_ask_answer(a->lists), "");
		while (value_array_next(&it, &list)) {
			a->n_lists++;
			visit_list(run, a, o, list, each, wanted);
		}
	}
	for (size_t i = 0; i < a->n_groups; i++)
		visit_group(run, a, o, i, each, wanted);
}

static void write_notes(struct tool_run *run, const struct analysis *a,
                        struct output *o, bool rated)
{
	size_t risky = a->by_risk[RULES_HIGH] + a->by_risk[RULES_MEDIUM] +
	               a->by_risk[RULES_LOW];

	output_array(o, "notes");
	if (!rated)
		output_string(o, NULL, "The rules were only counted.");
	if (a->all_out)
		output_format(o, NULL,
		              "%zu egress rules let everything out to "
		              "anywhere.",
		              a->all_out);
	if (rated && risky > a->shown)
		output_format(o, NULL, "%zu more risky rules are not shown.",
		              risky - a->shown);
	if (a->groups_left_out)
		output_format(o, NULL,
		              "%zu more network security groups were not read.",
		              a->groups_left_out);
	if (a->vcn && tool_text(run, "compartment_id").len)
		output_string(o, NULL,
		              "Lists and groups of the VCN in other "
		              "compartments were not read.");
	output_end(o);
}

static void write_analysis(struct tool_run *run, struct analysis *a)
{
	bool rated = tool_flag(run, "check_risky_rules");
	struct output o;

	visit_all(run, a, NULL, count_rule, RULES_NONE);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_integer(&o, "total_rules", (int64_t)(a->ingress + a->egress));
	output_integer(&o, "ingress_rules", (int64_t)a->ingress);
	output_integer(&o, "egress_rules", (int64_t)a->egress);
	output_integer(&o, "security_lists_analyzed", (int64_t)a->n_lists);
	output_integer(&o, "nsgs_analyzed", (int64_t)a->n_groups);
	output_object(&o, "summary");
	output_integer(&o, "high_risk",
	               rated ? (int64_t)a->by_risk[RULES_HIGH] : 0);
	output_integer(&o, "medium_risk",
	               rated ? (int64_t)a->by_risk[RULES_MEDIUM] : 0);
	output_integer(&o, "low_risk",
	               rated ? (int64_t)a->by_risk[RULES_LOW] : 0);
	output_end(&o);
	output_array(&o, "risky_rules");
	for (enum rules_risk r = RULES_HIGH; rated && r > RULES_NONE; r--)
		visit_all(run, a, &o, write_finding, r);
	output_end(&o);
	write_notes(run, a, &o, rated);
	output_end(&o);
}

static enum tool_next analyze_security(struct tool_run *run)
{
	struct analysis *a = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		return ask_named(run, a) ? TOOL_WAIT : TOOL_DONE;
	case 1:
		if (a->vcn) {
			a->lists = ask_of_vcn(run, a, VN "ListSecurityLists");
			a->groups = ask_of_vcn(run, a,
			                       VN "ListNetworkSecurityGroups");
		}
		return TOOL_WAIT;
	case 2:
		tool_progress(run, 0.4, "Reading the rules of groups");
		ask_groups_rules(run, a);
		return TOOL_WAIT;
	default:
		tool_progress(run, 0.9, "Rating the rules");
		write_analysis(run, a);
		return TOOL_DONE;
	}
}

const struct tool_function rules_functions[] = {
	{ .name = "analyze_security",
	  .step = analyze_security,
	  .state_bytes = sizeof(struct analysis) },
};
const size_t rules_n_functions = ARRAY_LEN(rules_functions);
