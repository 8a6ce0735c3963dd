#include "oci/dbmetrics.h"

#include <stdio.h>

#include "oci/ocid.h"
#include "oci/path.h"
#include "oci/when.h"

static const struct dbmetrics_kind kinds[] = {
	{ .type = "autonomousdatabase",
	  .label = "Autonomous Database",
	  .operation = "database/Database/GetAutonomousDatabase",
	  .parameter = "autonomousDatabaseId",
	  .name = "displayName",
	  .namespace = "oci_autonomous_database",
	  .metrics = { "CpuUtilization", "StorageUtilization", "Sessions",
	               "ExecuteCount" } },
	{ .type = "dbsystem",
	  .label = "DB system",
	  .operation = "database/Database/GetDbSystem",
	  .parameter = "dbSystemId",
	  .name = "displayName",
	  .namespace = "oci_database",
	  .metrics = { "CpuUtilization", "StorageUtilization", "Sessions",
	               "ExecuteCount" } },
	{ .type = "database",
	  .label = "Database",
	  .operation = "database/Database/GetDatabase",
	  .parameter = "databaseId",
	  .name = "dbName",
	  .namespace = "oci_database",
	  .metrics = { "CpuUtilization", "StorageUtilization", "Sessions",
	               "ExecuteCount" } },
	{ .type = "mysqldbsystem",
	  .label = "MySQL DB system",
	  .operation = "mysql/DbSystem/GetDbSystem",
	  .parameter = "dbSystemId",
	  .name = "displayName",
	  .namespace = "oci_mysql_database",
	  .metrics = { "CPUUtilization", "MemoryUtilization",
	               "CurrentConnections", "StatementCount" } },
};

const struct dbmetrics_kind *dbmetrics_kind(struct span id)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (ocid_is(id, span_str(kinds[i].type)))
			return &kinds[i];
	return NULL;
}

const char *dbmetrics_interval(int64_t window_s)
{
	if (window_s <= 3 * WHEN_HOUR_S)
		return "1m";
	return window_s <= 2 * WHEN_DAY_S ? "5m" : "1h";
}

int64_t dbmetrics_now(const struct tool_run *run)
{
	return tool_now_s(run) - tool_now_s(run) % WHEN_MINUTE_S;
}

/* --- asking --------------------------------------------------------------- */

/* What counts events adds up; everything else is a level. */
static bool is_counter(struct span name)
{
	static const char *const ends[] = { "Count", "Calls", "Commits",
		                            "Rollbacks", "Logons" };

	if (span_starts(name, SPAN("Current")))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct span end = span_str(ends[i]);

		if (name.len >= end.len &&
		    span_eq(span_from(name, name.len - end.len), end))
			return true;
	}
	return false;
}

/* Names end up in a query: letters, digits, dot, dash and underscore only. */
static bool is_name(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = ascii_lower((unsigned char)name.at[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '.' && c != '-' && c != '_' && c != '/')
			return false;
	}
	return name.len > 0;
}

struct tool_ask *dbmetrics_databases(struct tool_run *run, struct span system,
                                     struct span compartment)
{
	struct tool_ask *ask = tool_ask(run, "database/Database/ListDatabases");

	tool_ask_query(ask, "compartmentId", compartment);
	tool_ask_query(ask, "systemId", system);
	tool_ask_items(ask, DBMETRICS_DATABASES);
	tool_ask_optional(ask);
	return ask;
}

struct span dbmetrics_filter(struct tool_run *run, struct span id,
                             struct span databases)
{
	struct value_iter it = path_items(databases, "");
	size_t max = 32 + (DBMETRICS_DATABASES + 1) * (OCID_MAX + 1);
	char *text = tool_alloc(run, max);
	size_t n = (size_t)snprintf(text, max, "resourceId %s \"%.*s",
	                            path_count(databases, "") ? "=~" : "=",
	                            (int)MIN(id.len, (size_t)OCID_MAX), id.at);
	struct span database;

	for (size_t i = 0;
	     i < DBMETRICS_DATABASES && value_array_next(&it, &database); i++) {
		struct span one = path_text(run, database, "id");

		n += (size_t)snprintf(text + n, max - n, "|%.*s",
		                      (int)MIN(one.len, (size_t)OCID_MAX),
		                      one.at);
	}
	text[n++] = '"';
	return span_of(text, n);
}

/* In MQL: CpuUtilization[5m]{resourceId = "..."}.mean() */
static struct span write_query(struct tool_run *run,
                               const struct dbmetrics_query *query,
                               struct span name, const char *statistic)
{
	size_t max = name.len + query->filter.len + 64;
	char *text = tool_alloc(run, max);
	int n = snprintf(text, max, "%.*s[%s]{%.*s}.%s()", SPAN_ARG(name),
	                 dbmetrics_interval(query->end_s - query->start_s),
	                 SPAN_ARG(query->filter), statistic);

	return span_of(text, (size_t)n);
}

static struct tool_ask *ask_statistic(struct tool_run *run,
                                      const struct dbmetrics_query *query,
                                      struct span name, const char *statistic)
{
	struct tool_ask *ask =
		tool_ask(run, "monitoring/Monitoring/SummarizeMetricsData");
	struct output o;

	tool_ask_query(ask, "compartmentId", query->compartment);
	tool_ask_cache(ask, "metrics");
	tool_ask_optional(ask);
	output_init(&o, tool_ask_body(ask));
	output_object(&o, NULL);
	output_string(&o, "namespace", query->namespace);
	output_text(&o, "query", write_query(run, query, name, statistic));
	output_time(&o, "startTime", query->start_s);
	output_time(&o, "endTime", query->end_s);
	output_end(&o);
	return ask;
}

void dbmetrics_ask(struct tool_run *run, const struct dbmetrics_query *query,
                   struct span name, struct dbmetrics_metric *out)
{
	static const char *const levels[DBMETRICS_STATISTICS] = { "mean", "max",
		                                                  "min" };

	out->name = name;
	out->n_asks = 0;
	if (is_counter(name)) {
		out->asks[out->n_asks++] =
			ask_statistic(run, query, name, "sum");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		out->asks[out->n_asks++] =
			ask_statistic(run, query, name, levels[i]);
}

/* --- answers -------------------------------------------------------------- */

/* Figures of one statistic, over all streams of the answer. */
struct series {
	double sum, max, min, last;
	size_t n;
	struct span unit, last_time;
};

static void add_point(struct tool_run *run, struct series *s, struct span point)
{
	struct span time = path_text(run, point, "timestamp");
	double value;

	if (!path_double(path_get(point, "value"), &value))
		return;
	s->max = s->n ? MAX(s->max, value) : value;
	s->min = s->n ? MIN(s->min, value) : value;
	s->sum += value;
	if (s->n++ == 0 || span_cmp(time, s->last_time) >= 0) {
		s->last = value;
		s->last_time = time;
	}
}

static struct series read_series(struct tool_run *run, struct span answer)
{
	struct series s = { 0 };
	struct value_iter streams = path_items(answer, ""), points;
	struct span stream, point;

	while (value_array_next(&streams, &stream)) {
		points = path_items(stream, "aggregatedDatapoints");
		while (value_array_next(&points, &point))
			add_point(run, &s, point);
		if (s.unit.len == 0)
			s.unit = path_text(run, stream, "metadata.unit");
	}
	return s;
}

void dbmetrics_read(struct tool_run *run, const struct dbmetrics_metric *metric,
                    struct dbmetrics_value *out)
{
	struct series s[DBMETRICS_STATISTICS] = { { 0 } };

	*out = (struct dbmetrics_value){ 0 };
	for (size_t i = 0; i < metric->n_asks; i++) {
		if (!tool_ask_ok(metric->asks[i]) && out->error.len == 0)
			out->error = tool_ask_error(metric->asks[i]);
		s[i] = read_series(run, tool_ask_answer(metric->asks[i]));
	}
	if (s[0].n == 0)
		return;
	out->points = s[0].n;
	out->current = s[0].last;
	out->average = s[0].sum / (double)s[0].n;
	out->max = s[1].n ? s[1].max : s[0].max;
	out->min = s[2].n ? s[2].min : s[0].min;
	out->unit = s[0].unit;
}

void dbmetrics_write(struct output *o, const struct dbmetrics_value *value)
{
	const struct {
		const char *key;
		double value;
	} figures[] = {
		{ "current", value->current },
		{ "average", value->average },
		{ "max", value->max },
		{ "min", value->min },
	};

	output_object(o, NULL);
	for (size_t i = 0; i < ARRAY_LEN(figures); i++)
		if (value->points)
			output_number(o, figures[i].key, figures[i].value, 2);
		else
			output_null(o, figures[i].key);
	output_text_or_null(o, "unit", value->unit);
	output_integer(o, "points", (int64_t)value->points);
	if (value->error.len)
		output_text(o, "error", value->error);
	else if (value->points == 0)
		output_string(o, "error",
		              "no data: the metric does not exist for this "
		              "resource, or nothing was measured");
	output_end(o);
}

/* --- the tool ------------------------------------------------------------- */

struct state {
	const struct dbmetrics_kind *kind;
	struct span id;
	struct tool_ask *database, *databases;
	struct dbmetrics_query query;
	struct dbmetrics_metric metrics[DBMETRICS_MAX];
	size_t n_metrics;
};

static bool ask_database(struct tool_run *run, struct state *state)
{
	state->id = tool_text(run, "database_id");
	state->kind = dbmetrics_kind(state->id);
	if (!state->kind) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "database_id is not the OCID of a database");
		return false;
	}
	state->database = tool_ask(run, state->kind->operation);
	tool_ask_path(state->database, state->kind->parameter, state->id);
	return true;
}

static bool ask_metric(struct tool_run *run, struct state *state,
                       struct span name)
{
	if (!is_name(name)) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "metric_names: \"%.*s\" is not the name of a metric",
		          SPAN_ARG(span_first(name, 80)));
		return false;
	}
	dbmetrics_ask(run, &state->query, name,
	              &state->metrics[state->n_metrics++]);
	return true;
}

static bool ask_metrics(struct tool_run *run, struct state *state)
{
	struct span names = tool_raw(run, "metric_names"), name;
	struct value_iter it = path_items(names, "");

	state->query.filter = dbmetrics_filter(
		run, state->id,
		state->databases ? tool_ask_answer(state->databases)
				 : SPAN(""));
	state->query.namespace = state->kind->namespace;
	state->query.end_s = dbmetrics_now(run);
	state->query.start_s =
		state->query.end_s -
		tool_integer(run, "hours_back", 24) * WHEN_HOUR_S;
	while (state->n_metrics < DBMETRICS_MAX && value_array_next(&it, &name))
		if (!ask_metric(run, state, path_means(run, name)))
			return false;
	if (state->n_metrics)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(state->kind->metrics); i++)
		ask_metric(run, state, span_str(state->kind->metrics[i]));
	return true;
}

static void write_metrics(struct tool_run *run, const struct state *state)
{
	const struct dbmetrics_query *query = &state->query;
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_path(&o, "database", tool_ask_answer(state->database),
	            state->kind->name);
	output_text(&o, "database_id", state->id);
	output_string(&o, "namespace", query->namespace);
	output_integer(&o, "hours_back",
	               (query->end_s - query->start_s) / WHEN_HOUR_S);
	output_string(&o, "interval",
	              dbmetrics_interval(query->end_s - query->start_s));
	output_time(&o, "start_time", query->start_s);
	output_time(&o, "end_time", query->end_s);
	output_object(&o, "metrics");
	for (size_t i = 0; i < state->n_metrics; i++) {
		struct dbmetrics_value value;

		dbmetrics_read(run, &state->metrics[i], &value);
		output_name(&o, state->metrics[i].name);
		dbmetrics_write(&o, &value);
	}
	output_end(&o);
	output_end(&o);
}

/* Nothing at all could be read: that is a failure, not an answer. */
static const struct tool_ask *all_failed(const struct state *state)
{
	for (size_t i = 0; i < state->n_metrics; i++)
		for (size_t k = 0; k < state->metrics[i].n_asks; k++)
			if (tool_ask_ok(state->metrics[i].asks[k]))
				return NULL;
	return state->metrics[0].asks[0];
}

static enum tool_next get_metrics(struct tool_run *run)
{
	struct state *state = tool_state(run);

	if (tool_phase(run) == 0) {
		tool_progress(run, 0.1, "Looking at the database");
		return ask_database(run, state) ? TOOL_WAIT : TOOL_DONE;
	}
	if (tool_phase(run) == 1) {
		state->query.compartment = path_text(
			run, tool_ask_answer(state->database), "compartmentId");
		if (ocid_is(state->id, SPAN("dbsystem"))) {
			state->databases = dbmetrics_databases(
				run, state->id, state->query.compartment);
			return TOOL_WAIT;
		}
	}
	if (state->n_metrics == 0) {
		tool_progress(run, 0.4, "Asking for the metrics");
		return ask_metrics(run, state) ? TOOL_WAIT : TOOL_DONE;
	}
	if (all_failed(state))
		tool_fail_ask(run, all_failed(state));
	else
		write_metrics(run, state);
	return TOOL_DONE;
}

const struct tool_function dbmetrics_functions[] = {
	{ .name = "database_get_metrics",
	  .step = get_metrics,
	  .state_bytes = sizeof(struct state) },
};
const size_t dbmetrics_n_functions = ARRAY_LEN(dbmetrics_functions);
