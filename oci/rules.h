/*
 * rules - which security rules let in more than they should.
 *
 * A rule is one of a security list or of a network security group; the two
 * have the same members (Core Services API: IngressSecurityRule, SecurityRule).
 * What counts is who may send (the source) and what is open to them (protocol,
 * destination ports, ICMP type). Without ports a rule opens all of them.
 *
 *	source                      risk
 *	anywhere (up to /7)         that of what is open, by a table of ports
 *	a large public network      one level below
 *	a large private network     LOW for what would be HIGH
 *	others, and services        none
 *
 * What leaves the network is not rated: unrestricted egress is noted.
 */
#ifndef OCI_RULES_H
#define OCI_RULES_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/tool.h"

/* Network security groups of a VCN whose rules are read. */
#define RULES_GROUPS_MAX 100

/* Risky rules that are shown, the worst first. */
#define RULES_FINDINGS_MAX 500

enum rules_risk { RULES_NONE, RULES_LOW, RULES_MEDIUM, RULES_HIGH };

/* "HIGH", "MEDIUM", "LOW", "NONE" */
const char *rules_risk_name(enum rules_risk risk);

/* From how far away a rule lets in. */
enum rules_reach {
	RULES_NARROW,  /* a small network, or not a network at all */
	RULES_PRIVATE, /* private addresses (RFC 1918, RFC 4193), wider than
	                  a /16 or a /48 */
	RULES_PUBLIC,  /* public addresses, as wide */
	RULES_ANYWHERE,
};

/* Of a CIDR block; what is none is narrow. */
enum rules_reach rules_reach(struct span cidr);

#define RULES_TEXT_MAX 160

struct rules_verdict {
	enum rules_risk risk;
	char protocol[16];           /* "TCP", "all", or a number */
	char ports[48];              /* "22", "1000-2000", "all", "type 3" */
	char reason[RULES_TEXT_MAX]; /* "" without a risk */
	const char *recommendation;  /* "" without a risk */
};

/* Rate one rule, raw JSON. Ingress only: the other members are filled in for
 * egress as well. */
void rules_judge(struct span rule, bool ingress, struct rules_verdict *out);

/* Does the rule let everything out, to anywhere? */
bool rules_lets_all_out(struct span rule);

extern const struct tool_function rules_functions[];
extern const size_t rules_n_functions;

#endif
