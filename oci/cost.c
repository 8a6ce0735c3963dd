#include "oci/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "oci/output.h"
#include "oci/path.h"
#include "oci/tally.h"
#include "oci/usage.h"
#include "oci/when.h"

/* --- figures -------------------------------------------------------------- */

struct cost_spread cost_spread(const double *values, size_t n)
{
	struct cost_spread s = { 0 };
	double squares = 0;

	for (size_t i = 0; i < n; i++)
		s.mean += values[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - s.mean) * (values[i] - s.mean);
	if (n > 1)
		s.deviation = sqrt(squares / (double)(n - 1));
	return s;
}

const char *cost_severity(double z_score)
{
	if (z_score > 4)
		return "critical";
	if (z_score > 3)
		return "high";
	return z_score > 2.5 ? "medium" : "low";
}

/* The mean of the last months, which is the forecast. */
static double mean_of_last(const double *months, size_t n)
{
	size_t used = MIN(n, (size_t)COST_MEAN_MONTHS);

	return cost_spread(months + n - used, used).mean;
}

const char *cost_trend(const double *months, size_t n)
{
	double mean;

	if (n < 2)
		return "insufficient_data";
	mean = mean_of_last(months, n);
	if (months[n - 1] > mean * (1 + COST_CHANGE))
		return "increasing";
	if (months[n - 1] < mean * (1 - COST_CHANGE))
		return "decreasing";
	return "stable";
}

static void write_money(struct output *o, const char *key, double amount)
{
	output_number(o, key, amount, COST_DECIMALS);
}

/* null when there is nothing to compare with. */
static void write_percent(struct output *o, const char *key, double part,
                          double whole)
{
	if (whole > 0)
		output_number(o, key, part / whole * 100, 1);
	else
		output_null(o, key);
}

static void write_share(struct output *o, double part, double whole)
{
	output_number(o, "percentage", whole > 0 ? part / whole * 100 : 0, 1);
}

static void write_period(struct output *o, const struct usage_period *period,
                         struct span currency)
{
	output_time(o, "period_start", period->start_s);
	output_time(o, "period_end", period->end_s);
	output_text_or_null(o, "currency", currency);
}

static size_t top_n(const struct tool_run *run)
{
	return (size_t)tool_integer(run, "top_n", COST_TOP);
}

/* What the rows behind the first n come to. */
static double rest(const struct tally *tally, size_t n)
{
	double sum = 0;

	for (size_t i = n; i < tally->n_rows; i++)
		sum += tally->rows[i].sum;
	return sum;
}

static void write_scope(struct output *o, const struct usage *usage)
{
	output_object(o, "scope");
	output_text_or_null(o, "compartment_id", usage->scope);
	output_flag(o, "include_children", usage->with_children);
	output_end(o);
}

/* --- asking, the same for all --------------------------------------------- */

struct state {
	struct usage usage;
	bool with_names; /* the tree of compartments is needed */
	bool asked;
};

/* Usage is asked for at once, unless the tree decides about it. */
static void ask_first(struct tool_run *run, struct state *state)
{
	if (state->with_names || state->usage.with_children)
		comptree_ask(run, &state->usage.tree, state->usage.tenancy);
	if (!state->usage.with_children) {
		usage_ask(run, &state->usage);
		state->asked = true;
	}
}

/* True: there is something to wait for. A run that has failed ends. */
static bool ask_second(struct tool_run *run, struct state *state)
{
	bool has_tree = state->with_names || state->usage.with_children;

	if (has_tree && state->usage.tree.n == 0 &&
	    !comptree_read(run, &state->usage.tree) &&
	    state->usage.with_children) {
		tool_fail(run, TOOL_SERVICE,
		          "Leave out include_children, or allow \"inspect "
		          "compartments in tenancy\".",
		          "the compartments of the tenancy are not known: "
		          "%.*s",
		          SPAN_ARG(comptree_error(&state->usage.tree)));
		return false;
	}
	if (state->asked)
		return false;
	usage_ask(run, &state->usage);
	state->asked = true;
	return true;
}

/* The shape of all tools with time_start and time_end. */
struct query {
	const char *group_by[2];
	bool added_up;
	bool with_names;
	void (*finish)(struct tool_run *run, struct state *state);
};

static enum tool_next step(struct tool_run *run, const struct query *query)
{
	struct state *state = tool_state(run);
	bool monthly = span_is(tool_text(run, "granularity"), "MONTHLY");

	if (tool_phase(run) == 0) {
		if (!usage_arguments(run, monthly, &state->usage))
			return TOOL_DONE;
		for (size_t i = 0; i < ARRAY_LEN(query->group_by); i++)
			state->usage.group_by[i] = query->group_by[i];
		state->usage.added_up = query->added_up;
		state->with_names = query->with_names;
		ask_first(run, state);
		tool_progress(run, 0.1, "Asking for the bill");
		return TOOL_WAIT;
	}
	if (ask_second(run, state)) {
		tool_progress(run, 0.5, "Asking for the bill");
		return TOOL_WAIT;
	}
	tool_progress(run, 0.9, "Adding up");
	query->finish(run, state);
	return TOOL_DONE;
}

/* Sums by one or two names; what rows are added by. */
struct sums {
	struct tool_run *run;
	const struct state *state;
	int depth; /* compartments are rolled up to it; 0: not */
	struct tally first, second;
};

/* --- summary -------------------------------------------------------------- */

static void add_summary(void *context, const struct usage_row *row)
{
	struct sums *sums = context;

	tally_add(sums->run, &sums->first, row->service, SPAN(""), row->amount,
	          NULL);
	tally_add(sums->run, &sums->second,
	          span_first(row->start, WHEN_DATE_LEN), SPAN(""), row->amount,
	          NULL);
}

static int by_name(const void *a, const void *b)
{
	const struct tally_row *x = a, *y = b;

	return span_cmp(x->name, y->name);
}

static void write_by_period(struct output *o, const struct tally *tally)
{
	if (tally->n_rows)
		qsort(tally->rows, tally->n_rows, sizeof(*tally->rows),
		      by_name);
	output_array(o, "by_period");
	for (size_t i = 0; i < tally->n_rows; i++) {
		output_object(o, NULL);
		output_text(o, "start", tally->rows[i].name);
		write_money(o, "cost", tally->rows[i].sum);
		output_end(o);
	}
	output_end(o);
}

static void write_services(struct output *o, const struct tally *tally,
                           size_t n, struct span currency)
{
	output_array(o, "by_service");
	for (size_t i = 0; i < MIN(n, tally->n_rows); i++) {
		output_object(o, NULL);
		output_text(o, "service", tally->rows[i].name);
		write_money(o, "cost", tally->rows[i].sum);
		write_share(o, tally->rows[i].sum, tally->sum);
		output_text_or_null(o, "currency", currency);
		output_end(o);
	}
	output_end(o);
	write_money(o, "other_cost", rest(tally, n));
}

static void finish_summary(struct tool_run *run, struct state *state)
{
	struct sums sums = { .run = run, .state = state };
	const struct usage_period *period = &state->usage.period;
	struct span currency;
	struct output o;

	if (!usage_each(run, &state->usage, &currency, add_summary, &sums))
		return;
	tally_sort(&sums.first);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	write_money(&o, "total_cost", sums.first.sum);
	write_period(&o, period, currency);
	write_money(&o, "daily_average",
	            sums.first.sum / (double)usage_days(period));
	output_integer(&o, "days", usage_days(period));
	write_services(&o, &sums.first, top_n(run), currency);
	write_by_period(&o, &sums.second);
	output_end(&o);
}

static enum tool_next get_summary(struct tool_run *run)
{
	static const struct query query = {
		.group_by = { "service" },
		.finish = finish_summary,
	};

	return step(run, &query);
}

/* --- by service and by compartment ---------------------------------------- */

/* The compartment a row counts for. */
static struct span compartment_of(const struct sums *sums,
                                  const struct usage_row *row)
{
	if (sums->depth == 0)
		return row->compartment;
	return comptree_above(&sums->state->usage.tree, row->compartment,
	                      sums->depth);
}

/* first: by one name; second: by that and another. */
static void add_service(void *context, const struct usage_row *row)
{
	struct sums *sums = context;

	tally_add(sums->run, &sums->first, row->service, SPAN(""), row->amount,
	          NULL);
	tally_add(sums->run, &sums->second, row->service, row->compartment,
	          row->amount, NULL);
}

static void add_compartment(void *context, const struct usage_row *row)
{
	struct sums *sums = context;
	struct span compartment = compartment_of(sums, row);

	tally_add(sums->run, &sums->first, compartment, SPAN(""), row->amount,
	          NULL);
	tally_add(sums->run, &sums->second, compartment, row->service,
	          row->amount, NULL);
}

/* A name for people: the OCID when there is no other. */
static struct span name_of(const struct comptree *tree, struct span id)
{
	struct span name = comptree_name(tree, id);

	return name.len ? name : id;
}

/* The largest rows of second whose first name this is; second is sorted. */
static void write_parts(struct output *o, const char *key,
                        const struct tally *second, struct span name,
                        const struct comptree *tree)
{
	size_t n = 0;

	output_array(o, key);
	for (size_t i = 0; i < second->n_rows && n < COST_SECOND_MAX; i++) {
		const struct tally_row *row = &second->rows[i];

		if (!span_eq(row->name, name))
			continue;
		n++;
		output_object(o, NULL);
		if (tree) {
			output_text_or_null(o, "id", row->second);
			output_text_or_null(o, "name",
			                    name_of(tree, row->second));
		} else {
			output_text(o, "service", row->second);
		}
		write_money(o, "cost", row->sum);
		output_end(o);
	}
	output_end(o);
}

static void finish_by_service(struct tool_run *run, struct state *state)
{
	struct sums sums = { .run = run, .state = state };
	struct span currency;
	struct output o;

	if (!usage_each(run, &state->usage, &currency, add_service, &sums))
		return;
	tally_sort(&sums.first);
	tally_sort(&sums.second);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	write_money(&o, "total", sums.first.sum);
	write_period(&o, &state->usage.period, currency);
	output_array(&o, "services");
	for (size_t i = 0; i < MIN(top_n(run), sums.first.n_rows); i++) {
		const struct tally_row *row = &sums.first.rows[i];

		output_object(&o, NULL);
		output_text(&o, "service", row->name);
		write_money(&o, "cost", row->sum);
		write_share(&o, row->sum, sums.first.sum);
		write_parts(&o, "compartments", &sums.second, row->name,
		            &state->usage.tree);
		output_end(&o);
	}
	output_end(&o);
	write_money(&o, "other_cost", rest(&sums.first, top_n(run)));
	write_scope(&o, &state->usage);
	output_end(&o);
}

static enum tool_next by_service(struct tool_run *run)
{
	static const struct query query = {
		.group_by = { "service", "compartmentId" },
		.added_up = true,
		.with_names = true,
		.finish = finish_by_service,
	};

	return step(run, &query);
}

static void write_compartment(struct tool_run *run, struct output *o,
                              const struct sums *sums,
                              const struct tally_row *row)
{
	const struct comptree *tree = &sums->state->usage.tree;

	output_object(o, NULL);
	output_text_or_null(o, "id", row->name);
	output_text(o, "name", name_of(tree, row->name));
	output_text_or_null(o, "path", comptree_path(run, tree, row->name));
	write_money(o, "cost", row->sum);
	write_share(o, row->sum, sums->first.sum);
	write_parts(o, "services", &sums->second, row->name, NULL);
	output_end(o);
}

static void finish_by_compartment(struct tool_run *run, struct state *state)
{
	struct sums sums = {
		.run = run,
		.state = state,
		.depth = (int)tool_integer(run, "compartment_depth", 0),
	};
	struct span currency;
	struct output o;

	if (!usage_each(run, &state->usage, &currency, add_compartment, &sums))
		return;
	tally_sort(&sums.first);
	tally_sort(&sums.second);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	write_money(&o, "total_cost", sums.first.sum);
	write_period(&o, &state->usage.period, currency);
	output_array(&o, "compartments");
	for (size_t i = 0; i < MIN(top_n(run), sums.first.n_rows); i++)
		write_compartment(run, &o, &sums, &sums.first.rows[i]);
	output_end(&o);
	write_money(&o, "other_cost", rest(&sums.first, top_n(run)));
	write_scope(&o, &state->usage);
	output_end(&o);
}

static enum tool_next by_compartment(struct tool_run *run)
{
	static const struct query query = {
		.group_by = { "compartmentId", "service" },
		.added_up = true,
		.with_names = true,
		.finish = finish_by_compartment,
	};

	return step(run, &query);
}

/* --- months --------------------------------------------------------------- */

#define MONTHS_MAX 24

struct trend_state {
	struct usage months, current; /* complete ones, and this one */
	bool has_current;             /* not on the first of a month */
	struct tool_ask *budget;
};

struct month_sums {
	double cost[MONTHS_MAX];
	bool has[MONTHS_MAX];
	size_t n;
	int64_t start_s;
	double current;
};

static void add_month(void *context, const struct usage_row *row)
{
	struct month_sums *sums = context;
	int64_t t;

	if (!when_parse(row->start, &t))
		return;
	for (size_t i = 0; i < sums->n; i++)
		if (when_month(t) == when_add_months(sums->start_s, (int)i)) {
			sums->cost[i] += row->amount;
			sums->has[i] = true;
		}
}

static void add_current(void *context, const struct usage_row *row)
{
	struct month_sums *sums = context;

	sums->current += row->amount;
}

static void ask_trend(struct tool_run *run, struct trend_state *state)
{
	int64_t now = tool_now_s(run);
	int months = (int)tool_integer(run, "months_back", 6);
	struct span budget = tool_text(run, "budget_ocid");

	state->months.tenancy = state->current.tenancy = usage_tenancy(run);
	state->months.added_up = false;
	state->months.period = (struct usage_period){
		.start_s = when_add_months(when_month(now), -months),
		.end_s = when_month(now),
		.monthly = true,
	};
	usage_ask(run, &state->months);
	/* Whole days that are over; on the first there are none. */
	state->current.period = (struct usage_period){
		.start_s = when_month(now),
		.end_s = when_midnight(now),
	};
	state->has_current = usage_days(&state->current.period) > 0;
	if (state->has_current)
		usage_ask(run, &state->current);
	if (budget.len) {
		state->budget = tool_ask(run, "budget/Budget/GetBudget");
		tool_ask_path(state->budget, "budgetId", budget);
		tool_ask_home(state->budget);
	}
}

/* Months before the first bill are not months without costs. */
static size_t first_month(const struct month_sums *sums)
{
	size_t i = 0;

	while (i < sums->n && !sums->has[i])
		i++;
	return i;
}

static void write_month(struct output *o, const char *key, int64_t month_s)
{
	char date[WHEN_DATE_LEN + 1];

	output_text(o, key,
	            span_first(span_str(when_write_date(month_s, date)), 7));
}

static void write_months(struct output *o, const struct month_sums *sums,
                         size_t first)
{
	output_array(o, "monthly_costs");
	for (size_t i = first; i < sums->n; i++) {
		output_object(o, NULL);
		write_month(o, "month", when_add_months(sums->start_s, (int)i));
		write_money(o, "cost", sums->cost[i]);
		if (i > first)
			write_percent(o, "change_percent",
			              sums->cost[i] - sums->cost[i - 1],
			              sums->cost[i - 1]);
		else
			output_null(o, "change_percent");
		output_end(o);
	}
	output_end(o);
}

static void write_forecast(struct output *o, const double *months, size_t n,
                           int64_t month_s)
{
	size_t used = MIN(n, (size_t)COST_MEAN_MONTHS);
	double lowest, highest;

	if (n == 0) {
		output_null(o, "forecast");
		return;
	}
	lowest = highest = months[n - 1];
	for (size_t i = n - used; i < n; i++) {
		lowest = MIN(lowest, months[i]);
		highest = MAX(highest, months[i]);
	}
	output_object(o, "forecast");
	write_month(o, "month", month_s);
	write_money(o, "estimate", mean_of_last(months, n));
	output_format(o, "method", "mean of the last %zu complete month%s",
	              used, used == 1 ? "" : "s");
	output_string(o, "trend", cost_trend(months, n));
	write_money(o, "lowest", lowest);
	write_money(o, "highest", highest);
	output_end(o);
}

static const char *budget_status(double amount, double actual, double forecast)
{
	if (actual > amount)
		return "exceeded";
	return forecast > amount ? "forecast to be exceeded" : "within budget";
}

static void write_budget(struct output *o, struct span budget)
{
	double amount = path_number(budget, "amount", 0);
	double actual = path_number(budget, "actualSpend", 0);
	double forecast = path_number(budget, "forecastedSpend", 0);

	output_object(o, "budget");
	output_path(o, "id", budget, "id");
	output_path(o, "name", budget, "displayName");
	output_path(o, "amount", budget, "amount");
	output_path(o, "actual_spend", budget, "actualSpend");
	output_path(o, "forecasted_spend", budget, "forecastedSpend");
	write_money(o, "remaining", amount - actual);
	write_percent(o, "actual_percent", actual, amount);
	write_percent(o, "forecast_percent", forecast, amount);
	output_string(o, "status", budget_status(amount, actual, forecast));
	output_end(o);
}

static void write_trend(struct tool_run *run, const struct trend_state *state,
                        const struct month_sums *sums, struct span currency)
{
	size_t first = first_month(sums), n = sums->n - first;
	double total = 0;
	struct output o;

	for (size_t i = first; i < sums->n; i++)
		total += sums->cost[i];
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_object(&o, "summary");
	output_integer(&o, "months_analyzed", (int64_t)n);
	write_money(&o, "total_spend", total);
	if (n)
		write_money(&o, "average_monthly", total / (double)n);
	else
		output_null(&o, "average_monthly");
	output_text_or_null(&o, "currency", currency);
	output_end(&o);
	write_months(&o, sums, first);
	output_object(&o, "current_month");
	write_month(&o, "month", state->current.period.start_s);
	write_money(&o, "cost_to_date", sums->current);
	output_integer(&o, "days", usage_days(&state->current.period));
	output_end(&o);
	if (tool_flag(run, "include_forecast"))
		write_forecast(&o, sums->cost + first, n,
		               state->current.period.start_s);
	if (state->budget)
		write_budget(&o, tool_ask_answer(state->budget));
	output_end(&o);
}

static enum tool_next monthly_trend(struct tool_run *run)
{
	struct trend_state *state = tool_state(run);
	struct month_sums sums = { 0 };
	struct span currency, current_currency;

	if (tool_phase(run) == 0) {
		ask_trend(run, state);
		tool_progress(run, 0.1, "Asking for the bill");
		return TOOL_WAIT;
	}
	sums.n = (size_t)tool_integer(run, "months_back", 6);
	sums.start_s = state->months.period.start_s;
	if (usage_each(run, &state->months, &currency, add_month, &sums) &&
	    usage_each(run, &state->current, &current_currency, add_current,
	               &sums))
		write_trend(run, state, &sums,
		            currency.len ? currency : current_currency);
	return TOOL_DONE;
}

/* --- anomalies ------------------------------------------------------------ */

struct service_days {
	struct span name;
	double *days;
	double sum;
};

struct days {
	struct tool_run *run;
	int64_t start_s;
	size_t n;
	double *total;
	struct service_days services[COST_SERVICES_MAX];
	struct tally index; /* service -> its row in services */
};

static void add_day(void *context, const struct usage_row *row)
{
	struct days *days = context;
	int64_t t;
	size_t day, at;

	if (!when_parse(row->start, &t) || t < days->start_s)
		return;
	day = (size_t)((t - days->start_s) / WHEN_DAY_S);
	if (day >= days->n)
		return;
	days->total[day] += row->amount;
	if (!tally_add(days->run, &days->index, row->service, SPAN(""),
	               row->amount, &at) ||
	    at >= COST_SERVICES_MAX)
		return;
	if (!days->services[at].days) {
		days->services[at].name = row->service;
		days->services[at].days =
			tool_alloc(days->run, days->n * sizeof(double));
	}
	days->services[at].days[day] += row->amount;
	days->services[at].sum += row->amount;
}

/* What a service costs on the other days, on average. */
static double usual(const struct days *days, const struct service_days *service,
                    size_t day)
{
	return (service->sum - service->days[day]) / (double)(days->n - 1);
}

/* The services that grew most on that day. */
static void write_causes(struct output *o, const struct days *days, size_t day)
{
	bool used[COST_SERVICES_MAX] = { false };
	size_t n = MIN(days->index.n_rows, (size_t)COST_SERVICES_MAX);

	output_object(o, "root_cause");
	output_array(o, "contributors");
	for (size_t k = 0; k < COST_CAUSES_MAX; k++) {
		size_t best = n;
		double increase = 0;

		for (size_t i = 0; i < n; i++) {
			double delta = days->services[i].days[day] -
			               usual(days, &days->services[i], day);

			if (!used[i] && delta > increase) {
				increase = delta;
				best = i;
			}
		}
		if (best == n)
			break;
		used[best] = true;
		output_object(o, NULL);
		output_text(o, "service", days->services[best].name);
		write_money(o, "increase", increase);
		write_money(o, "cost", days->services[best].days[day]);
		write_money(o, "usual_cost",
		            usual(days, &days->services[best], day));
		output_end(o);
	}
	output_end(o);
	output_end(o);
}

struct anomaly {
	size_t day;
	double z_score;
};

static int graver_first(const void *a, const void *b)
{
	const struct anomaly *x = a, *y = b;

	return (x->z_score < y->z_score) - (x->z_score > y->z_score);
}

static size_t find_anomalies(const struct days *days,
                             const struct cost_spread *spread, double threshold,
                             struct anomaly *out)
{
	size_t n = 0;

	if (!(spread->deviation > 0))
		return 0;
	for (size_t i = 0; i < days->n; i++) {
		double z = (days->total[i] - spread->mean) / spread->deviation;

		if (z > threshold)
			out[n++] = (struct anomaly){ .day = i, .z_score = z };
	}
	qsort(out, n, sizeof(*out), graver_first);
	return n;
}

static void write_anomaly(struct output *o, const struct days *days,
                          const struct cost_spread *spread,
                          const struct anomaly *anomaly)
{
	char date[WHEN_DATE_LEN + 1];
	double cost = days->total[anomaly->day];

	output_object(o, NULL);
	output_string(o, "date",
	              when_write_date(days->start_s + (int64_t)anomaly->day *
	                                                      WHEN_DAY_S,
	                              date));
	write_money(o, "cost", cost);
	write_money(o, "expected_cost", spread->mean);
	write_percent(o, "deviation_percent", cost - spread->mean,
	              spread->mean);
	output_number(o, "z_score", anomaly->z_score, 2);
	output_string(o, "severity", cost_severity(anomaly->z_score));
	write_causes(o, days, anomaly->day);
	output_end(o);
}

static void write_tally(struct output *o, const struct anomaly *anomalies,
                        size_t n)
{
	static const char *const names[] = { "critical", "high", "medium",
		                             "low" };

	output_object(o, "summary");
	output_integer(o, "total_anomalies", (int64_t)n);
	for (size_t k = 0; k < ARRAY_LEN(names); k++) {
		int64_t count = 0;

		for (size_t i = 0; i < n; i++)
			count += strcmp(cost_severity(anomalies[i].z_score),
			                names[k]) == 0;
		output_integer(o, names[k], count);
	}
	output_end(o);
}

static void write_detection(struct output *o, const struct days *days,
                            const struct cost_spread *spread, double threshold)
{
	char from[WHEN_DATE_LEN + 1], to[WHEN_DATE_LEN + 1];

	output_object(o, "detection_params");
	output_number(o, "threshold_std_dev", threshold, 3);
	output_format(o, "period", "%s to %s",
	              when_write_date(days->start_s, from),
	              when_write_date(days->start_s + (int64_t)(days->n - 1) *
	                                                      WHEN_DAY_S,
	                              to));
	output_integer(o, "days", (int64_t)days->n);
	write_money(o, "mean", spread->mean);
	write_money(o, "standard_deviation", spread->deviation);
	output_end(o);
}

/* Today, and what lies ahead, has no figures yet. */
static void cut_future(struct tool_run *run, struct usage *usage)
{
	int64_t today = when_midnight(tool_now_s(run));

	usage->period.end_s = MIN(usage->period.end_s, today);
}

static void finish_anomalies(struct tool_run *run, struct state *state)
{
	double threshold = tool_number(run, "threshold", 2);
	struct days *days = tool_alloc(run, sizeof(*days));
	struct cost_spread spread;
	struct anomaly *anomalies;
	struct span currency;
	struct output o;
	size_t n;

	days->run = run;
	days->start_s = state->usage.period.start_s;
	days->n = (size_t)usage_days(&state->usage.period);
	days->total = tool_alloc(run, days->n * sizeof(double));
	anomalies = tool_alloc(run, days->n * sizeof(*anomalies));
	if (!usage_each(run, &state->usage, &currency, add_day, days))
		return;
	spread = cost_spread(days->total, days->n);
	n = find_anomalies(days, &spread, threshold, anomalies);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_array(&o, "anomalies");
	for (size_t i = 0; i < MIN(n, top_n(run)); i++)
		write_anomaly(&o, days, &spread, &anomalies[i]);
	output_end(&o);
	write_detection(&o, days, &spread, threshold);
	write_tally(&o, anomalies, n);
	output_text_or_null(&o, "currency", currency);
	if (when_midnight(tool_now_s(run)) == state->usage.period.end_s)
		output_string(&o, "note",
		              "The last days may still grow: figures reach the "
		              "bill with a delay.");
	else
		output_null(&o, "note");
	output_end(&o);
}

static enum tool_next detect_anomalies(struct tool_run *run)
{
	struct state *state = tool_state(run);

	if (tool_phase(run) == 0) {
		if (!usage_arguments(run, false, &state->usage))
			return TOOL_DONE;
		cut_future(run, &state->usage);
		if (usage_days(&state->usage.period) < 3) {
			tool_fail(run, TOOL_VALIDATION,
			          "Choose a longer period that has passed; 30 "
			          "days are a good one.",
			          "anomalies need at least three whole days of "
			          "figures");
			return TOOL_DONE;
		}
		state->usage.group_by[0] = "service";
		ask_first(run, state);
		tool_progress(run, 0.1, "Asking for the bill");
		return TOOL_WAIT;
	}
	if (ask_second(run, state))
		return TOOL_WAIT;
	finish_anomalies(run, state);
	return TOOL_DONE;
}

const struct tool_function cost_functions[] = {
	{ .name = "cost_get_summary",
	  .step = get_summary,
	  .state_bytes = sizeof(struct state) },
	{ .name = "cost_by_service",
	  .step = by_service,
	  .state_bytes = sizeof(struct state) },
	{ .name = "cost_by_compartment",
	  .step = by_compartment,
	  .state_bytes = sizeof(struct state) },
	{ .name = "cost_monthly_trend",
	  .step = monthly_trend,
	  .state_bytes = sizeof(struct trend_state) },
	{ .name = "cost_detect_anomalies",
	  .step = detect_anomalies,
	  .state_bytes = sizeof(struct state) },
};
const size_t cost_n_functions = ARRAY_LEN(cost_functions);
