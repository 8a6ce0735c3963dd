#include "oci/posture.h"

#include <stdio.h>

#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/problems.h"
#include "oci/rules.h"
#include "oci/when.h"

/* --- what is asked for ---------------------------------------------------- */

enum { USERS, GROUPS, POLICIES, PROBLEMS, VCNS, SUBNETS, LISTS, NSGS, ASKS };

struct state {
	struct span compartment;
	struct tool_ask *name, *asks[ASKS];
	struct tool_ask *keys[POSTURE_USERS_MAX];
	struct tool_ask *rules[POSTURE_GROUPS_MAX];
	size_t n_keys, n_rules;
	size_t unread_users, unread_groups; /* beyond the limits */
};

/* Lists, by the argument that asks for them. */
static const struct {
	const char *flag;
	const char *operation;
	bool of_tenancy;
} lists[ASKS] = {
	[USERS] = { "include_iam", "identity/Identity/ListUsers", true },
	[GROUPS] = { "include_iam", "identity/Identity/ListGroups", true },
	[POLICIES] = { "include_iam", "identity/Identity/ListPolicies", false },
	[VCNS] = { "include_network_security", "core/VirtualNetwork/ListVcns",
	           false },
	[SUBNETS] = { "include_network_security",
	              "core/VirtualNetwork/ListSubnets", false },
	[LISTS] = { "include_network_security",
	            "core/VirtualNetwork/ListSecurityLists", false },
	[NSGS] = { "include_network_security",
	           "core/VirtualNetwork/ListNetworkSecurityGroups", false },
};

static void ask_lists(struct tool_run *run, struct state *state)
{
	for (size_t i = 0; i < ASKS; i++) {
		if (!lists[i].operation || !tool_flag(run, lists[i].flag))
			continue;
		state->asks[i] = tool_ask(run, lists[i].operation);
		tool_ask_query(state->asks[i], "compartmentId",
		               lists[i].of_tenancy ? tool_tenancy(run)
		                                   : state->compartment);
		tool_ask_items(state->asks[i], TOOL_ITEMS_MAX);
		tool_ask_optional(state->asks[i]);
	}
	if (!tool_flag(run, "include_cloud_guard"))
		return;
	state->asks[PROBLEMS] =
		problems_ask(run, state->compartment, SPAN("ACTIVE"), SPAN(""));
	tool_ask_optional(state->asks[PROBLEMS]);
}

static void ask_first(struct tool_run *run, struct state *state)
{
	state->compartment = tool_text(run, "compartment_id");
	if (state->compartment.len == 0)
		state->compartment = tool_tenancy(run);
	state->name = tool_ask(run, "identity/Identity/GetCompartment");
	tool_ask_path(state->name, "compartmentId", state->compartment);
	tool_ask_cache(state->name, "config");
	tool_ask_optional(state->name);
	ask_lists(run, state);
}

static struct value_iter items_of(const struct tool_ask *ask)
{
	return path_items(ask ? tool_ask_answer(ask) : SPAN(""), "");
}

static size_t count_of(const struct tool_ask *ask)
{
	return path_count(ask ? tool_ask_answer(ask) : SPAN(""), "");
}

static bool is_active(struct span resource)
{
	return path_is(resource, "lifecycleState", "ACTIVE");
}

/* Keys of active users who may have some, and rules of each NSG. */
static void ask_second(struct tool_run *run, struct state *state)
{
	struct value_iter it = items_of(state->asks[USERS]);
	struct span item;

	while (value_array_next(&it, &item)) {
		struct tool_ask *ask;

		if (!is_active(item) ||
		    (path_has(item, "capabilities.canUseApiKeys") &&
		     !path_flag(item, "capabilities.canUseApiKeys")))
			continue;
		if (state->n_keys == POSTURE_USERS_MAX) {
			state->unread_users++;
			continue;
		}
		ask = tool_ask(run, "identity/Identity/ListApiKeys");
		tool_ask_path(ask, "userId", path_text(run, item, "id"));
		tool_ask_optional(ask);
		state->keys[state->n_keys++] = ask;
	}
	it = items_of(state->asks[NSGS]);
	while (value_array_next(&it, &item)) {
		struct tool_ask *ask;

		if (state->n_rules == POSTURE_GROUPS_MAX) {
			state->unread_groups++;
			continue;
		}
		ask = tool_ask(run, "core/VirtualNetwork/"
		                    "ListNetworkSecurityGroupSecurityRules");
		tool_ask_path(ask, "networkSecurityGroupId",
		              path_text(run, item, "id"));
		tool_ask_items(ask, TOOL_ITEMS_MAX);
		tool_ask_optional(ask);
		state->rules[state->n_rules++] = ask;
	}
}

/* --- scores --------------------------------------------------------------- */

/* What points are lost for. */
enum loss {
	BROAD_POLICY,
	OLD_KEY,
	ANY_CRITICAL,
	ANY_HIGH,
	ANY_MEDIUM,
	RISKY_RULE,
	OPEN_RULE,
	MOSTLY_PUBLIC,
	LOSSES,
};

static const struct {
	int points;
	const char *advice;
} losses[LOSSES] = {
	[BROAD_POLICY] = { 25, "Replace \"manage all-resources in tenancy\" by "
	                       "policies for the resources and compartments "
	                       "that are needed." },
	[OLD_KEY] = { 15, "Rotate API keys that are older than 90 days." },
	[ANY_CRITICAL] = { 40, "Resolve the critical problems of Cloud Guard "
	                       "first: "
	                       "oci_security_list_cloud_guard_problems." },
	[ANY_HIGH] = { 20, "Resolve the high-risk problems of Cloud Guard." },
	[ANY_MEDIUM] = { 10, "Look through the medium problems of Cloud "
	                     "Guard." },
	[RISKY_RULE] = { 30, "Close the rules that open sensitive ports to "
	                     "large networks: oci_network_analyze_security "
	                     "lists them." },
	[OPEN_RULE] = { 15, "Narrow the rules of medium risk." },
	[MOSTLY_PUBLIC] = { 10, "Move what need not be reached from the "
	                        "Internet to private subnets." },
};

/* The score of an area; -1: none. */
struct area {
	const char *name;
	int score;
};

struct report {
	struct output o;
	struct area iam, guard, network;
	const char *advice[LOSSES + 3];
	size_t n_advice;
};

static void advise(struct report *report, const char *text)
{
	assert(report->n_advice < ARRAY_LEN(report->advice));
	report->advice[report->n_advice++] = text;
}

static void lose(struct report *report, struct area *area, enum loss loss)
{
	area->score -= losses[loss].points;
	advise(report, losses[loss].advice);
}

/* --- identities ----------------------------------------------------------- */

struct iam {
	size_t users, active, without_mfa, console, keys, old_keys, unread;
	size_t broad;
};

/* Words of a statement, in lower case and without what lies between. */
static bool next_word(struct span *text, struct span *word)
{
	while (text->len && (unsigned char)text->at[0] <= ' ')
		*text = span_from(*text, 1);
	*word = span_of(text->at, 0);
	while (word->len < text->len &&
	       (unsigned char)text->at[word->len] > ' ')
		word->len++;
	*text = span_from(*text, word->len);
	return word->len > 0;
}

bool posture_is_broad(struct span statement)
{
	static const char *const end[] = { "to", "manage", "all-resources",
		                           "in", "tenancy" };
	struct span word;
	size_t matched = 0;
	bool administrators = false;

	if (!next_word(&statement, &word) ||
	    !span_eq_nocase(word, SPAN("allow")))
		return false;
	while (matched < ARRAY_LEN(end) && next_word(&statement, &word)) {
		if (span_eq_nocase(word, span_str(end[matched])))
			matched++;
		else if (matched)
			return false;
		administrators |= span_eq_nocase(word, SPAN("Administrators"));
	}
	/* A condition ("where ...") narrows it. */
	return matched == ARRAY_LEN(end) && !next_word(&statement, &word) &&
	       !administrators;
}

static void count_users(const struct state *state, struct iam *iam)
{
	struct value_iter it = items_of(state->asks[USERS]);
	struct span user;

	while (value_array_next(&it, &user)) {
		iam->users++;
		if (!is_active(user))
			continue;
		iam->active++;
		if (!path_flag(user, "capabilities.canUseConsolePassword"))
			continue;
		iam->console++;
		iam->without_mfa += !path_flag(user, "isMfaActivated");
	}
}

static void count_keys(struct tool_run *run, const struct state *state,
                       struct iam *iam)
{
	struct span key;
	int64_t made;

	iam->unread = state->unread_users;
	for (size_t i = 0; i < state->n_keys; i++) {
		struct value_iter it = items_of(state->keys[i]);

		iam->unread += !tool_ask_ok(state->keys[i]);
		for (; value_array_next(&it, &key); iam->keys++)
			if (is_active(key) &&
			    when_parse(path_text(run, key, "timeCreated"),
			               &made) &&
			    tool_now_s(run) - made >
			            POSTURE_KEY_DAYS * WHEN_DAY_S)
				iam->old_keys++;
	}
}

/* Findings about policies, told one by one. */
static void write_broad(struct tool_run *run, const struct state *state,
                        struct output *o, struct iam *iam)
{
	struct value_iter it = items_of(state->asks[POLICIES]), statements;
	struct span policy, statement;

	while (value_array_next(&it, &policy)) {
		statements = path_items(policy, "statements");
		while (value_array_next(&statements, &statement)) {
			struct span text = path_means(run, statement);

			if (!posture_is_broad(text) ||
			    ++iam->broad > POSTURE_FINDINGS)
				continue;
			output_format(o, NULL, "Policy %.*s: %.*s",
			              SPAN_ARG(path_text(run, policy, "name")),
			              SPAN_ARG(span_first(text, 300)));
		}
	}
}

/* Which of these could not be read; NULL: all could. */
static const struct tool_ask *first_error(const struct state *state,
                                          size_t from, size_t to)
{
	for (size_t i = from; i <= to; i++)
		if (state->asks[i] && !tool_ask_ok(state->asks[i]))
			return state->asks[i];
	return NULL;
}

/* An area that could not be read has this and no score. */
static bool write_error(struct output *o, const char *key, struct area *area,
                        const struct tool_ask *failed)
{
	if (!failed)
		return false;
	area->score = -1;
	output_object(o, key);
	output_text(o, "error", tool_ask_error(failed));
	output_end(o);
	return true;
}

static void score_iam(struct report *report, const struct iam *iam)
{
	if (iam->broad)
		lose(report, &report->iam, BROAD_POLICY);
	if (iam->without_mfa) {
		report->iam.score -=
			(int)((iam->without_mfa * POSTURE_SHARE_LOSS +
		               iam->console - 1) /
		              iam->console);
		advise(report, "Require multi-factor authentication of every "
		               "user with a console password.");
	}
	if (iam->old_keys)
		lose(report, &report->iam, OLD_KEY);
}

static void write_iam_findings(struct tool_run *run, const struct state *state,
                               struct output *o, struct iam *iam)
{
	output_array(o, "findings");
	if (iam->without_mfa)
		output_format(o, NULL,
		              "%zu of %zu active users with a console password "
		              "have no multi-factor authentication",
		              iam->without_mfa, iam->console);
	if (iam->old_keys)
		output_format(o, NULL,
		              "%zu of %zu API keys are older than %d "
		              "days",
		              iam->old_keys, iam->keys, POSTURE_KEY_DAYS);
	write_broad(run, state, o, iam);
	output_end(o);
}

static void write_iam(struct tool_run *run, const struct state *state,
                      struct report *report)
{
	struct output *o = &report->o;
	struct iam iam = { 0 };

	if (!tool_flag(run, "include_iam") ||
	    write_error(o, "iam_summary", &report->iam,
	                first_error(state, USERS, POLICIES)))
		return;
	count_users(state, &iam);
	count_keys(run, state, &iam);
	output_object(o, "iam_summary");
	output_integer(o, "total_users", (int64_t)iam.users);
	output_integer(o, "active_users", (int64_t)iam.active);
	output_integer(o, "console_users_without_mfa",
	               (int64_t)iam.without_mfa);
	output_integer(o, "api_keys_checked", (int64_t)iam.keys);
	output_integer(o, "users_with_unread_keys", (int64_t)iam.unread);
	output_integer(o, "old_api_keys", (int64_t)iam.old_keys);
	output_integer(o, "total_groups",
	               (int64_t)count_of(state->asks[GROUPS]));
	output_integer(o, "total_policies",
	               (int64_t)count_of(state->asks[POLICIES]));
	write_iam_findings(run, state, o, &iam);
	output_integer(o, "broad_statements", (int64_t)iam.broad);
	output_end(o);
	report->iam.score = 100;
	score_iam(report, &iam);
}

/* --- Cloud Guard ---------------------------------------------------------- */

static void write_guard(struct tool_run *run, const struct state *state,
                        struct report *report)
{
	static const char *const keys[PROBLEMS_RISKS] = { "critical", "high",
		                                          "medium", "low",
		                                          "minor" };
	static const enum loss loss[] = { ANY_CRITICAL, ANY_HIGH, ANY_MEDIUM };
	struct output *o = &report->o;
	size_t counts[PROBLEMS_RISKS];

	if (!tool_flag(run, "include_cloud_guard") ||
	    write_error(o, "cloud_guard_summary", &report->guard,
	                first_error(state, PROBLEMS, PROBLEMS)))
		return;
	output_object(o, "cloud_guard_summary");
	output_integer(o, "total",
	               (int64_t)problems_count(
			       tool_ask_answer(state->asks[PROBLEMS]), counts));
	for (size_t i = 0; i < PROBLEMS_RISKS; i++)
		output_integer(o, keys[i], (int64_t)counts[i]);
	output_end(o);
	report->guard.score = 100;
	for (size_t i = 0; i < ARRAY_LEN(loss); i++)
		if (counts[i])
			lose(report, &report->guard, loss[i]);
}

/* --- the network ---------------------------------------------------------- */

struct network {
	struct tool_run *run;
	size_t subnets, public_subnets;
	size_t rules, open, by_risk[RULES_HIGH + 1];
	size_t told;
};

static void judge(struct network *network, struct output *o, struct span where,
                  struct span rule)
{
	struct rules_verdict verdict;
	struct span source = path_text(network->run, rule, "source");

	rules_judge(rule, true, &verdict);
	network->rules++;
	network->open += rules_reach(source) == RULES_ANYWHERE;
	network->by_risk[verdict.risk]++;
	if (verdict.risk < RULES_MEDIUM || network->told == POSTURE_FINDINGS)
		return;
	network->told++;
	output_format(o, NULL, "%s: %.*s lets %.*s in on %s %s: %s",
	              rules_risk_name(verdict.risk), SPAN_ARG(where),
	              SPAN_ARG(source), verdict.protocol, verdict.ports,
	              verdict.reason);
}

static void judge_lists(const struct state *state, struct network *network,
                        struct output *o)
{
	struct value_iter it = items_of(state->asks[LISTS]), rules;
	struct span list, rule;

	while (value_array_next(&it, &list)) {
		rules = path_items(list, "ingressSecurityRules");
		while (value_array_next(&rules, &rule))
			judge(network, o,
			      path_text(network->run, list, "displayName"),
			      rule);
	}
}

static void judge_groups(const struct state *state, struct network *network,
                         struct output *o)
{
	struct value_iter it = items_of(state->asks[NSGS]), rules;
	struct span group, rule;

	for (size_t i = 0; i < state->n_rules && value_array_next(&it, &group);
	     i++) {
		rules = items_of(state->rules[i]);
		while (value_array_next(&rules, &rule))
			if (path_is(rule, "direction", "INGRESS"))
				judge(network, o,
				      path_text(network->run, group,
				                "displayName"),
				      rule);
	}
}

static size_t unread_groups(const struct state *state)
{
	size_t n = state->unread_groups;

	for (size_t i = 0; i < state->n_rules; i++)
		n += !tool_ask_ok(state->rules[i]);
	return n;
}

static void count_subnets(const struct state *state, struct network *network)
{
	struct value_iter it = items_of(state->asks[SUBNETS]);
	struct span subnet;

	for (; value_array_next(&it, &subnet); network->subnets++)
		network->public_subnets +=
			!path_flag(subnet, "prohibitPublicIpOnVnic");
}

static void score_network(struct report *report, const struct network *network)
{
	if (network->by_risk[RULES_HIGH])
		lose(report, &report->network, RISKY_RULE);
	if (network->by_risk[RULES_MEDIUM])
		lose(report, &report->network, OPEN_RULE);
	if (network->public_subnets * 2 > network->subnets)
		lose(report, &report->network, MOSTLY_PUBLIC);
}

static void write_network(struct tool_run *run, const struct state *state,
                          struct report *report)
{
	struct network network = { .run = run };
	struct output *o = &report->o;

	if (!tool_flag(run, "include_network_security") ||
	    write_error(o, "network_summary", &report->network,
	                first_error(state, VCNS, NSGS)))
		return;
	count_subnets(state, &network);
	output_object(o, "network_summary");
	output_integer(o, "total_vcns", (int64_t)count_of(state->asks[VCNS]));
	output_integer(o, "total_subnets", (int64_t)network.subnets);
	output_integer(o, "public_subnets", (int64_t)network.public_subnets);
	output_integer(o, "security_lists",
	               (int64_t)count_of(state->asks[LISTS]));
	output_integer(o, "network_security_groups",
	               (int64_t)count_of(state->asks[NSGS]));
	output_integer(o, "unread_groups", (int64_t)unread_groups(state));
	output_array(o, "findings");
	judge_lists(state, &network, o);
	judge_groups(state, &network, o);
	output_end(o);
	output_integer(o, "rules_checked", (int64_t)network.rules);
	output_integer(o, "open_rules", (int64_t)network.open);
	output_integer(o, "high_risk_rules",
	               (int64_t)network.by_risk[RULES_HIGH]);
	output_integer(o, "medium_risk_rules",
	               (int64_t)network.by_risk[RULES_MEDIUM]);
	output_end(o);
	report->network.score = 100;
	score_network(report, &network);
}

/* --- the report ----------------------------------------------------------- */

static void write_score(struct output *o, const char *key, int score)
{
	if (score < 0)
		output_null(o, key);
	else
		output_integer(o, key, score);
}

static void write_scores(struct report *report)
{
	const struct area *areas[] = { &report->iam, &report->guard,
		                       &report->network };
	int sum = 0, n = 0;

	for (size_t i = 0; i < ARRAY_LEN(areas); i++)
		if (areas[i]->score >= 0) {
			sum += areas[i]->score;
			n++;
		}
	output_object(&report->o, "security_score");
	write_score(&report->o, "overall", n ? sum / n : -1);
	for (size_t i = 0; i < ARRAY_LEN(areas); i++)
		write_score(&report->o, areas[i]->name, areas[i]->score);
	output_end(&report->o);
	if (n && sum / n < POSTURE_SCORE_LOW)
		advise(report,
		       "The overall score is below 70: plan a review of "
		       "the whole tenancy.");
}

static void write_report(struct tool_run *run, const struct state *state)
{
	struct report report = {
		.iam = { "iam", -1 },
		.guard = { "cloud_guard", -1 },
		.network = { "network", -1 },
	};
	struct output *o = &report.o;

	output_init(o, tool_out(run));
	output_object(o, NULL);
	output_time(o, "audit_time", tool_now_s(run));
	output_text(o, "compartment_id", state->compartment);
	output_path(o, "compartment_name", tool_ask_answer(state->name),
	            "name");
	write_iam(run, state, &report);
	write_guard(run, state, &report);
	write_network(run, state, &report);
	write_scores(&report);
	output_array(o, "recommendations");
	for (size_t i = 0; i < report.n_advice; i++)
		output_string(o, NULL, report.advice[i]);
	output_end(o);
	output_end(o);
}

/* Nothing that was asked for could be read. */
static const struct tool_ask *all_failed(const struct state *state)
{
	const struct tool_ask *failed = NULL;

	for (size_t i = 0; i < ASKS; i++) {
		if (state->asks[i] && tool_ask_ok(state->asks[i]))
			return NULL;
		if (state->asks[i])
			failed = state->asks[i];
	}
	return failed;
}

static enum tool_next audit(struct tool_run *run)
{
	struct state *state = tool_state(run);

	if (tool_phase(run) == 0) {
		tool_progress(run, 0.1, "Reading users, policies, networks");
		ask_first(run, state);
		return TOOL_WAIT;
	}
	if (tool_phase(run) == 1) {
		if (all_failed(state)) {
			tool_fail_ask(run, all_failed(state));
			return TOOL_DONE;
		}
		tool_progress(run, 0.5, "Reading API keys and rules");
		ask_second(run, state);
		if (state->n_keys || state->n_rules)
			return TOOL_WAIT;
	}
	tool_progress(run, 0.9, "Judging");
	write_report(run, state);
	return TOOL_DONE;
}

const struct tool_function posture_functions[] = {
	{ .name = "security_audit",
	  .step = audit,
	  .state_bytes = sizeof(struct state) },
};
const size_t posture_n_functions = ARRAY_LEN(posture_functions);
