#include "oci/problems.h"

#include "oci/listing.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/slice.h"

static const char *const risks[PROBLEMS_RISKS] = { "CRITICAL", "HIGH", "MEDIUM",
	                                           "LOW", "MINOR" };

struct state {
	struct tool_ask *problems, *compartment;
	const struct span *items; /* gravest first */
	size_t n_items;
	struct tool_ask *details[100]; /* of those shown; limit is at most so */
	size_t n_details, written;
};

struct tool_ask *problems_ask(struct tool_run *run, struct span compartment,
                              struct span state, struct span risk)
{
	struct tool_ask *ask =
		tool_ask(run, "cloud_guard/CloudGuard/ListProblems");

	tool_ask_query(ask, "compartmentId", compartment);
	tool_ask_query(ask, "compartmentIdInSubtree", SPAN("true"));
	tool_ask_query(ask, "accessLevel", SPAN("ACCESSIBLE"));
	tool_ask_query(ask, "lifecycleState", state);
	tool_ask_query(ask, "riskLevel", risk);
	tool_ask_items(ask, TOOL_ITEMS_MAX);
	return ask;
}

/* The row of risks[]; PROBLEMS_RISKS for one we do not know. */
static size_t rank(struct span problem)
{
	size_t i = 0;

	while (i < PROBLEMS_RISKS && !path_is(problem, "riskLevel", risks[i]))
		i++;
	return i;
}

size_t problems_count(struct span answer, size_t counts[PROBLEMS_RISKS])
{
	struct value_iter it = path_items(answer, "");
	struct span problem;
	size_t n = 0;

	for (size_t i = 0; i < PROBLEMS_RISKS; i++)
		counts[i] = 0;
	for (; value_array_next(&it, &problem); n++)
		if (rank(problem) < PROBLEMS_RISKS)
			counts[rank(problem)]++;
	return n;
}

/* The order of the service within a risk stays. */
static const struct span *sort(struct tool_run *run, const struct span *items,
                               size_t n)
{
	struct span *sorted = tool_alloc(run, n * sizeof(*sorted) + 1);
	size_t filled = 0;

	for (size_t r = 0; r <= PROBLEMS_RISKS; r++)
		for (size_t i = 0; i < n; i++)
			if (rank(items[i]) == r)
				sorted[filled++] = items[i];
	return sorted;
}

static void ask_details(struct tool_run *run, struct state *state)
{
	struct slice page;

	slice_init(&page, run);
	for (size_t i = 0; i < state->n_items; i++)
		slice_add(&page, state->items[i]);
	for (size_t i = 0;
	     i < page.n && state->n_details < ARRAY_LEN(state->details); i++) {
		struct tool_ask *ask =
			tool_ask(run, "cloud_guard/CloudGuard/GetProblem");

		tool_ask_path(ask, "problemId",
		              path_text(run, page.items[i], "id"));
		tool_ask_optional(ask);
		state->details[state->n_details++] = ask;
	}
}

static void write_problem(void *context, struct output *o, struct span item)
{
	static const struct listing_field fields[] = {
		{ "id", "id" },
		{ "problem_name", "detectorRuleId" },
		{ "risk_level", "riskLevel" },
		{ "risk_score", "riskScore" },
		{ "resource_id", "resourceId" },
		{ "resource_name", "resourceName" },
		{ "resource_type", "resourceType" },
		{ "compartment_id", "compartmentId" },
		{ "region", "region" },
		{ "lifecycle_detail", "lifecycleDetail" },
		{ "time_first_detected", "timeFirstDetected" },
		{ "time_last_detected", "timeLastDetected" },
	};
	struct state *state = context;
	struct span detail = SPAN("");

	if (state->written < state->n_details)
		detail = tool_ask_answer(state->details[state->written]);
	state->written++;
	output_object(o, NULL);
	listing_fields(o, item, fields, ARRAY_LEN(fields));
	if (path_has(item, "labels"))
		output_path(o, "labels", item, "labels");
	output_path(o, "recommendation", detail, "recommendation");
	output_end(o);
}

static void write_all(struct tool_run *run, struct state *state)
{
	size_t counts[PROBLEMS_RISKS];
	struct output o;

	problems_count(tool_ask_answer(state->problems), counts);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_path(&o, "compartment_name", tool_ask_answer(state->compartment),
	            "name");
	output_object(&o, "summary");
	for (size_t i = 0; i < PROBLEMS_RISKS; i++)
		output_integer(&o, risks[i], (int64_t)counts[i]);
	output_end(&o);
	listing_write(run, &o,
	              &(struct listing){
			      .key = "problems",
			      .complete = !tool_ask_more(state->problems),
			      .write = write_problem,
			      .context = state,
		      },
	              state->items, state->n_items);
	output_end(&o);
}

static void ask_list(struct tool_run *run, struct state *state)
{
	struct span compartment = tool_text(run, "compartment_id");

	if (compartment.len == 0)
		compartment = tool_tenancy(run);
	state->problems = problems_ask(run, compartment,
	                               tool_text(run, "lifecycle_state"),
	                               tool_text(run, "risk_level"));
	state->compartment = tool_ask(run, "identity/Identity/GetCompartment");
	tool_ask_path(state->compartment, "compartmentId", compartment);
	tool_ask_cache(state->compartment, "config");
	tool_ask_optional(state->compartment);
}

static enum tool_next list_problems(struct tool_run *run)
{
	struct state *state = tool_state(run);
	const struct span *items;

	if (tool_phase(run) == 0) {
		ask_list(run, state);
		return TOOL_WAIT;
	}
	if (tool_phase(run) == 1) {
		items = listing_items(run, tool_ask_answer(state->problems),
		                      &state->n_items);
		state->items = sort(run, items, state->n_items);
		if (tool_flag(run, "include_recommendations"))
			ask_details(run, state);
		if (state->n_details)
			return TOOL_WAIT;
	}
	write_all(run, state);
	return TOOL_DONE;
}

const struct tool_function problems_functions[] = {
	{ .name = "security_list_cloud_guard_problems",
	  .step = list_problems,
	  .state_bytes = sizeof(struct state) },
};
const size_t problems_n_functions = ARRAY_LEN(problems_functions);
