#include "oci/posture.h"

#include <stdio.h>

#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/problems.h"
#include "oci/rules.h"
#include "oci/when.h"

/* --- what is asked for ---------------------------------------------------- */

enum { USERS, GROUPS, POLICIES, PROBLEMS, ASKS };
enum { VCNS, SUBNETS, LISTS, NSGS, NETWORK };

/* The network of a compartment. */
struct place {
	struct tool_ask *asks[NETWORK];
};

struct state {
	struct span compartment;
	struct tool_ask *name, *compartments, *asks[ASKS];
	struct place places[POSTURE_PLACES_MAX];
	struct tool_ask *keys[POSTURE_USERS_MAX];
	struct tool_ask *rules[POSTURE_GROUPS_MAX];
	size_t n_places, n_keys, n_rules;
	size_t unread_places, unread_users, unread_groups; /* too many */
};

static struct tool_ask *ask_list(struct tool_run *run, const char *operation,
                                 struct span compartment)
{
	struct tool_ask *ask = tool_ask(run, operation);

	tool_ask_query(ask, "compartmentId", compartment);
	tool_ask_items(ask, TOOL_ITEMS_MAX);
	tool_ask_optional(ask);
	return ask;
}

static void ask_iam(struct tool_run *run, struct state *state)
{
	static const char *const operations[] = {
		[USERS] = "identity/Identity/ListUsers",
		[GROUPS] = "identity/Identity/ListGroups",
		[POLICIES] = "identity/Identity/ListPolicies",
	};

	for (size_t i = 0; i < ARRAY_LEN(operations); i++)
		state->asks[i] =
			ask_list(run, operations[i], tool_tenancy(run));
}

static bool is_tenancy(const struct tool_run *run, const struct state *state)
{
	return span_eq(state->compartment, tool_tenancy(run));
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
	if (tool_flag(run, "include_iam"))
		ask_iam(run, state);
	if (tool_flag(run, "include_cloud_guard")) {
		state->asks[PROBLEMS] = problems_ask(run, state->compartment,
		                                     SPAN("ACTIVE"), SPAN(""));
		tool_ask_optional(state->asks[PROBLEMS]);
	}
	if (!tool_flag(run, "include_network_security") ||
	    !is_tenancy(run, state))
		return;
	state->compartments = ask_list(
		run, "identity/Identity/ListCompartments", state->compartment);
	tool_ask_query(state->compartments, "compartmentIdInSubtree",
	               SPAN("true"));
	tool_ask_query(state->compartments, "accessLevel", SPAN("ANY"));
	tool_ask_query(state->compartments, "lifecycleState", SPAN("ACTIVE"));
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

static void ask_place(struct tool_run *run, struct state *state,
                      struct span compartment)
{
	static const char *const operations[NETWORK] = {
		[VCNS] = "core/VirtualNetwork/ListVcns",
		[SUBNETS] = "core/VirtualNetwork/ListSubnets",
		[LISTS] = "core/VirtualNetwork/ListSecurityLists",
		[NSGS] = "core/VirtualNetwork/ListNetworkSecurityGroups",
	};

	if (state->n_places == POSTURE_PLACES_MAX) {
		state->unread_places++;
		return;
	}
	for (size_t i = 0; i < NETWORK; i++)
		state->places[state->n_places].asks[i] =
			ask_list(run, operations[i], compartment);
	state->n_places++;
}

static void ask_places(struct tool_run *run, struct state *state)
{
	struct value_iter it = items_of(state->compartments);
	struct span item;

	if (!tool_flag(run, "include_network_security"))
		return;
	ask_place(run, state, state->compartment);
	while (value_array_next(&it, &item))
		ask_place(run, state, path_text(run, item, "id"));
}

/* Keys of active users who may have some. */
static void ask_keys(struct tool_run *run, struct state *state)
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
}

static void ask_rules(struct tool_run *run, struct state *state,
                      const struct place *place)
{
	struct value_iter it = items_of(place->asks[NSGS]);
	struct span item;

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
static const struct tool_ask *first_error(struct tool_ask *const *asks,
                                          size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (asks[i] && !tool_ask_ok(asks[i]))
			return asks[i];
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
	                first_error(&state->asks[USERS], 3)))
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
	                first_error(&state->asks[PROBLEMS], 1)))
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
	size_t vcns, subnets, public_subnets, lists, groups, unread_groups;
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

static void judge_lists(const struct place *place, struct network *network,
                        struct output *o)
{
	struct value_iter it = items_of(place->asks[LISTS]), rules;
	struct span list, rule;

	while (value_array_next(&it, &list)) {
		network->lists++;
		rules = path_items(list, "ingressSecurityRules");
		while (value_array_next(&rules, &rule))
			judge(network, o,
			      path_text(network->run, list, "displayName"),
			      rule);
	}
}

/* The rules were asked for in the same order as the groups. */
static void judge_groups(const struct state *state, const struct place *place,
                         struct network *network, struct output *o)
{
	struct value_iter it = items_of(place->asks[NSGS]), rules;
	struct span group, rule;

	for (; value_array_next(&it, &group); network->groups++) {
		const struct tool_ask *ask;

		if (network->groups >= state->n_rules)
			continue;
		ask = state->rules[network->groups];
		network->unread_groups += !tool_ask_ok(ask);
		rules = items_of(ask);
		while (value_array_next(&rules, &rule))
			if (path_is(rule, "direction", "INGRESS"))
				judge(network, o,
				      path_text(network->run, group,
				                "displayName"),
				      rule);
	}
}

static void count_subnets(const struct place *place, struct network *network)
{
	struct value_iter it = items_of(place->asks[SUBNETS]);
	struct span subnet;

	network->vcns += count_of(place->asks[VCNS]);
	for (; value_array_next(&it, &subnet); network->subnets++)
		network->public_subnets +=
			!path_flag(subnet, "prohibitPublicIpOnVnic");
}

/* The findings on the way. */
static void judge_places(const struct state *state, struct network *network,
                         struct output *o)
{
	output_array(o, "findings");
	for (size_t i = 0; i < state->n_places; i++) {
		const struct place *place = &state->places[i];

		count_subnets(place, network);
		judge_lists(place, network, o);
		judge_groups(state, place, network, o);
	}
	output_end(o);
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

static void write_network_counts(struct output *o, const struct state *state,
                                 const struct network *n)
{
	const struct {
		const char *key;
		size_t value;
	} rows[] = {
		{ "compartments_checked", state->n_places },
		{ "compartments_unread", state->unread_places },
		{ "total_vcns", n->vcns },
		{ "total_subnets", n->subnets },
		{ "public_subnets", n->public_subnets },
		{ "security_lists", n->lists },
		{ "network_security_groups", n->groups },
		{ "unread_groups", n->unread_groups + state->unread_groups },
		{ "rules_checked", n->rules },
		{ "open_rules", n->open },
		{ "high_risk_rules", n->by_risk[RULES_HIGH] },
		{ "medium_risk_rules", n->by_risk[RULES_MEDIUM] },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		output_integer(o, rows[i].key, (int64_t)rows[i].value);
}

static const struct tool_ask *network_error(const struct state *state)
{
	const struct tool_ask *failed = first_error(&state->compartments, 1);

	for (size_t i = 0; !failed && i < state->n_places; i++)
		failed = first_error(state->places[i].asks, NETWORK);
	return failed;
}

static void write_network(struct tool_run *run, const struct state *state,
                          struct report *report)
{
	struct network network = { .run = run };
	struct output *o = &report->o;

	if (!tool_flag(run, "include_network_security") ||
	    write_error(o, "network_summary", &report->network,
	                network_error(state)))
		return;
	output_object(o, "network_summary");
	judge_places(state, &network, o);
	write_network_counts(o, state, &network);
	output_end(o);
	/* Where there is nothing, nothing is safe or unsafe. */
	if (network.subnets == 0 && network.rules == 0)
		return;
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

	for (size_t i = 0; i < ASKS + state->n_places; i++) {
		const struct tool_ask *ask =
			i < ASKS ? state->asks[i]
				 : state->places[i - ASKS].asks[VCNS];

		if (ask && tool_ask_ok(ask))
			return NULL;
		if (ask)
			failed = ask;
	}
	return failed;
}

static enum tool_next audit(struct tool_run *run)
{
	struct state *state = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		tool_progress(run, 0.1, "Reading users and policies");
		ask_first(run, state);
		return TOOL_WAIT;
	case 1:
		tool_progress(run, 0.4, "Reading API keys and networks");
		ask_keys(run, state);
		ask_places(run, state);
		if (state->n_keys || state->n_places)
			return TOOL_WAIT;
		break;
	case 2:
		tool_progress(run, 0.7, "Reading rules");
		for (size_t i = 0; i < state->n_places; i++)
			ask_rules(run, state, &state->places[i]);
		if (state->n_rules)
			return TOOL_WAIT;
		break;
	default:
		break;
	}
	if (all_failed(state))
		tool_fail_ask(run, all_failed(state));
	else
		write_report(run, state);
	return TOOL_DONE;
}

const struct tool_function posture_functions[] = {
	{ .name = "security_audit",
	  .step = audit,
	  .state_bytes = sizeof(struct state) },
};
const size_t posture_n_functions = ARRAY_LEN(posture_functions);
