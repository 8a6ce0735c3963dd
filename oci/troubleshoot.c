#include "oci/troubleshoot.h"

#include "lib/clock.h"
#include "oci/alarm.h"
#include "oci/listing.h"
#include "oci/logquery.h"
#include "oci/output.h"
#include "oci/path.h"
#include "oci/telemetry.h"
#include "oci/when.h"

enum level { NORMAL, WARNING, CRITICAL, UNKNOWN };

static const char *const level_names[] = {
	[NORMAL] = "NORMAL",
	[WARNING] = "WARNING",
	[CRITICAL] = "CRITICAL",
	[UNKNOWN] = "UNKNOWN",
};

enum { CPU, MEMORY, METERS };

static const struct meter {
	struct span metric;
	const char *key, *status_key;
	double warning, critical;
	const char *advice[CRITICAL + 1]; /* what to do about it */
} meters[METERS] = {
	[CPU] = { { "CpuUtilization", 14 },
	          "cpu",
	          "cpu_status",
	          TROUBLESHOOT_CPU_WARNING,
	          TROUBLESHOOT_CPU_CRITICAL,
	          { [WARNING] = "CPU is high: look at what runs, and plan for "
	                        "a larger shape.",
	            [CRITICAL] = "CPU is exhausted: find the process that "
	                         "takes it, or change to a shape with more "
	                         "OCPUs." } },
	[MEMORY] = { { "MemoryUtilization", 17 },
	             "memory",
	             "memory_status",
	             TROUBLESHOOT_MEMORY_WARNING,
	             TROUBLESHOOT_MEMORY_CRITICAL,
	             { [WARNING] = "Memory is scarce: look for processes that "
	                           "keep growing.",
	               [CRITICAL] = "Memory is exhausted: find the process "
	                            "that takes it, or change to a shape "
	                            "with more memory." } },
};

/* An alarm about the instance. */
struct suspect {
	struct span alarm, state;
	struct tool_ask *streams; /* what it fires for; NULL: not asked */
	bool by_name;             /* its query names the instance */
	bool firing;              /* for this instance */
};

struct case_file {
	uint64_t since_ms;
	struct telemetry_window window;
	struct tool_ask *instance;
	struct tool_ask *meter_asks[METERS];
	struct tool_ask *namespaces, *logs;
	struct tool_ask *alarms, *states_ask;

	struct telemetry_summary sums[METERS];
	enum level levels[METERS];
	struct alarm_states states;
	struct suspect suspects[TROUBLESHOOT_ALARMS];
	size_t n_suspects, n_asked, n_firing, n_related;
	int64_t errors; /* -1: not known */
	bool running;
	enum level health;
};

/* --- asking --------------------------------------------------------------- */

static bool open_case(struct tool_run *run, struct case_file *c)
{
	int64_t length_s;

	c->since_ms = clock_mono_ms();
	c->errors = -1;
	if (!when_window(tool_text(run, "time_window"), &length_s)) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "time_window is a number and one of m, h and d, such "
		          "as 1h");
		return false;
	}
	c->window = telemetry_window(run, length_s);
	c->instance = tool_ask(run, "core/Compute/GetInstance");
	tool_ask_path(c->instance, "instanceId", tool_text(run, "instance_id"));
	return true;
}

/* Where the instance is, unless the caller says where to look. */
static struct span compartment_of(struct tool_run *run,
                                  const struct case_file *c)
{
	struct span given = tool_text(run, "compartment_id");

	return given.len ? given
	                 : path_text(run, tool_ask_answer(c->instance),
	                             "compartmentId");
}

static void ask_witnesses(struct tool_run *run, struct case_file *c)
{
	struct telemetry_query query = {
		.compartment = path_text(run, tool_ask_answer(c->instance),
		                         "compartmentId"),
		.namespace = SPAN(TELEMETRY_INSTANCE),
		.resource = tool_text(run, "instance_id"),
		.statistic = "mean",
		.window = c->window,
	};

	for (size_t i = 0; i < METERS; i++) {
		query.metric = meters[i].metric;
		c->meter_asks[i] = telemetry_ask(run, &query);
		tool_ask_optional(c->meter_asks[i]);
	}
	if (tool_flag(run, "include_logs")) {
		c->namespaces = logquery_ask_namespaces(run);
		tool_ask_optional(c->namespaces);
	}
	if (tool_flag(run, "check_alarms")) {
		c->alarms = alarm_ask_list(run, compartment_of(run, c), false);
		tool_ask_optional(c->alarms);
		c->states_ask =
			alarm_ask_states(run, compartment_of(run, c), false);
	}
}

/* Errors that name the instance, by its OCID or its name. */
static void ask_logs(struct tool_run *run, struct case_file *c)
{
	struct span name =
		path_text(run, tool_ask_answer(c->instance), "displayName");
	struct logquery query = {
		.namespace = logquery_namespace(run, c->namespaces),
		.compartment = compartment_of(run, c),
		.start_s = c->window.start_s,
		.end_s = c->window.end_s,
		.limit = TROUBLESHOOT_SAMPLES,
		.subtree = true,
	};
	struct buf b = { .max = 2048 };

	if (!query.namespace.len)
		return;
	buf_addf(&b, "('%.*s'", SPAN_ARG(tool_text(run, "instance_id")));
	if (name.len && logquery_is_plain(name))
		buf_addf(&b, " or '%.*s'", SPAN_ARG(name));
	buf_puts(&b, ") and Severity in ('error', 'critical', 'alert', "
	             "'emergency', 'fatal')");
	query.text = tool_keep(run, buf_span(&b));
	buf_free(&b);
	c->logs = logquery_ask(run, &query);
	tool_ask_optional(c->logs);
}

/* Which streams an alarm fires for, as far as they are the instance's. */
static struct tool_ask *ask_streams(struct tool_run *run, struct span alarm)
{
	struct tool_ask *ask =
		tool_ask(run, "monitoring/Monitoring/RetrieveDimensionStates");
	struct output o;

	tool_ask_path(ask, "alarmId", path_text(run, alarm, "id"));
	tool_ask_items(ask, TOOL_ITEMS_MAX);
	tool_ask_optional(ask);
	tool_ask_cache(ask, "metrics");
	output_init(&o, tool_ask_body(ask));
	output_object(&o, NULL);
	output_string(&o, "status", "FIRING");
	output_object(&o, "dimensionFilters");
	output_text(&o, "resourceId", tool_text(run, "instance_id"));
	output_end(&o);
	output_end(&o);
	return ask;
}

static void suspect(struct tool_run *run, struct case_file *c,
                    struct span alarm)
{
	struct span query = path_text(run, alarm, "query");
	struct suspect s = {
		.alarm = alarm,
		.state = alarm_state(&c->states, alarm),
		.by_name =
			listing_contains(query, tool_text(run, "instance_id")),
	};

	if (!s.by_name && (!path_is(alarm, "namespace", TELEMETRY_INSTANCE) ||
	                   listing_contains(query, SPAN("resourceId"))))
		return;
	c->n_related++;
	if (c->n_suspects == TROUBLESHOOT_ALARMS)
		return;
	if (!s.by_name && alarm_is_firing(s.state) &&
	    c->n_asked < TROUBLESHOOT_FIRING) {
		s.streams = ask_streams(run, alarm);
		c->n_asked++;
	}
	c->suspects[c->n_suspects++] = s;
}

static void ask_suspects(struct tool_run *run, struct case_file *c)
{
	struct value_iter it = path_items(tool_ask_answer(c->alarms), "");
	struct span alarm;

	alarm_read_states(run, c->states_ask, &c->states);
	while (value_array_next(&it, &alarm))
		suspect(run, c, alarm);
}

/* --- weighing ------------------------------------------------------------- */

static enum level weigh_meter(const struct meter *m,
                              const struct telemetry_summary *s)
{
	if (!s->n)
		return UNKNOWN;
	if (s->average > m->critical)
		return CRITICAL;
	return s->average > m->warning ? WARNING : NORMAL;
}

/* Does an alarm fire for this instance? */
static bool fires_here(struct tool_run *run, struct case_file *c,
                       const struct suspect *s)
{
	struct span id = tool_text(run, "instance_id"), stream;
	struct span name =
		path_text(run, tool_ask_answer(c->instance), "displayName");
	struct value_iter it;

	if (s->by_name)
		return alarm_is_firing(s->state);
	if (!s->streams)
		return false;
	it = path_items(tool_ask_answer(s->streams), "");
	while (value_array_next(&it, &stream)) {
		struct span which =
			path_text(run, stream, "dimensions.resourceId");

		if (which.len ? span_eq(which, id)
		              : span_eq(path_text(run, stream,
		                                  "dimensions."
		                                  "resourceDisplayName"),
		                        name))
			return true;
	}
	return false;
}

static void weigh_alarms(struct tool_run *run, struct case_file *c)
{
	for (size_t i = 0; i < c->n_suspects; i++) {
		c->suspects[i].firing = fires_here(run, c, &c->suspects[i]);
		c->n_firing += c->suspects[i].firing;
	}
}

static void weigh_logs(struct case_file *c)
{
	struct span answer;
	int64_t rows;

	if (!c->logs || !tool_ask_ok(c->logs))
		return;
	answer = tool_ask_answer(c->logs);
	rows = (int64_t)path_count(answer, "items");
	c->errors = path_integer(answer, "totalMatchedCount",
	                         path_integer(answer, "totalCount", rows));
}

static void weigh(struct tool_run *run, struct case_file *c)
{
	bool critical, warning;

	for (size_t i = 0; i < METERS; i++) {
		telemetry_summarize(run, tool_ask_answer(c->meter_asks[i]),
		                    &c->sums[i]);
		c->levels[i] = weigh_meter(&meters[i], &c->sums[i]);
	}
	if (c->alarms)
		weigh_alarms(run, c);
	weigh_logs(c);
	c->running = path_is(tool_ask_answer(c->instance), "lifecycleState",
	                     "RUNNING");
	critical = !c->running || c->levels[CPU] == CRITICAL ||
	           c->levels[MEMORY] == CRITICAL;
	warning = c->levels[CPU] == WARNING || c->levels[MEMORY] == WARNING ||
	          c->n_firing || c->errors > TROUBLESHOOT_ERRORS_BAD;
	c->health = critical ? CRITICAL : warning ? WARNING : NORMAL;
}

/* --- the report ----------------------------------------------------------- */

static const char *health_name(const struct case_file *c)
{
	return c->health == NORMAL ? "HEALTHY" : level_names[c->health];
}

static void write_instance(struct case_file *c, struct output *o)
{
	struct span instance = tool_ask_answer(c->instance);

	output_object(o, "instance");
	output_path(o, "name", instance, "displayName");
	output_path(o, "state", instance, "lifecycleState");
	output_path(o, "shape", instance, "shape");
	output_path(o, "availability_domain", instance, "availabilityDomain");
	output_string(o, "warning",
	              c->running ? NULL : "The instance is not running.");
	output_end(o);
}

static void write_metrics(struct tool_run *run, struct case_file *c,
                          struct output *o)
{
	output_object(o, "metrics");
	for (size_t i = 0; i < METERS; i++) {
		output_object(o, meters[i].key);
		telemetry_write(&c->sums[i], o, 1);
		if (!tool_ask_ok(c->meter_asks[i]))
			output_text(o, "error",
			            tool_ask_error(c->meter_asks[i]));
		output_end(o);
		output_string(o, meters[i].status_key,
		              level_names[c->levels[i]]);
	}
	output_text(o, "window", tool_text(run, "time_window"));
	output_end(o);
}

static void write_logs(struct tool_run *run, struct case_file *c,
                       struct output *o)
{
	struct value_iter it;
	struct span row;
	size_t n = 0;

	output_object(o, "logs");
	if (c->errors < 0) {
		output_string(o, "status", "unavailable");
		output_text(o, "reason",
		            c->logs ? tool_ask_error(c->logs)
		                    : logquery_no_namespace(c->namespaces));
		output_end(o);
		return;
	}
	output_integer(o, "error_count", c->errors);
	output_array(o, "samples");
	it = path_items(tool_ask_answer(c->logs), "items");
	while (n++ < TROUBLESHOOT_SAMPLES && value_array_next(&it, &row))
		output_raw(o, NULL, row);
	output_end(o);
	output_text(o, "window", tool_text(run, "time_window"));
	output_end(o);
}

static void write_related(struct tool_run *run, struct case_file *c,
                          struct output *o, const char *key, bool firing)
{
	output_array(o, key);
	for (size_t i = 0; i < c->n_suspects; i++) {
		const struct suspect *s = &c->suspects[i];

		if (firing && !s->firing)
			continue;
		output_object(o, NULL);
		alarm_write(run, o, s->alarm, s->state);
		output_string(o, "relation",
		              s->by_name ? "names the instance"
		                         : "watches the compartment");
		output_flag(o, "firing_for_instance", s->firing);
		output_end(o);
	}
	output_end(o);
}

static void write_alarms(struct tool_run *run, struct case_file *c,
                         struct output *o)
{
	output_object(o, "alarms");
	if (!tool_ask_ok(c->alarms)) {
		output_string(o, "status", "unavailable");
		output_text(o, "reason", tool_ask_error(c->alarms));
		output_end(o);
		return;
	}
	output_integer(o, "total_related", (int64_t)c->n_related);
	if (tool_ask_ok(c->states_ask))
		output_integer(o, "firing_count", (int64_t)c->n_firing);
	else
		output_null(o, "firing_count");
	write_related(run, c, o, "firing", true);
	write_related(run, c, o, "all_related", false);
	output_end(o);
}

static void recommend_for_alarms(struct tool_run *run, struct case_file *c,
                                 struct output *o)
{
	size_t named = 0;

	for (size_t i = 0; i < c->n_suspects; i++) {
		struct span name =
			path_text(run, c->suspects[i].alarm, "displayName");

		if (!c->suspects[i].firing || named == TROUBLESHOOT_NAMED)
			continue;
		output_format(o, NULL, "Look into the firing alarm %.*s.",
		              SPAN_ARG(span_first(name, 255)));
		named++;
	}
}

static void write_recommendations(struct tool_run *run, struct case_file *c,
                                  struct output *o)
{
	output_array(o, "recommendations");
	if (path_is(tool_ask_answer(c->instance), "lifecycleState", "STOPPED"))
		output_string(o, NULL,
		              "Start the instance with "
		              "oci_compute_start_instance if it is meant to "
		              "run.");
	else if (!c->running)
		output_string(o, NULL,
		              "The instance is not running: look at its work "
		              "requests and the audit events.");
	for (size_t i = 0; i < METERS; i++) {
		if (c->levels[i] == WARNING || c->levels[i] == CRITICAL)
			output_string(o, NULL, meters[i].advice[c->levels[i]]);
	}
	if (c->running && c->levels[CPU] == UNKNOWN &&
	    tool_ask_ok(c->meter_asks[CPU]))
		output_string(o, NULL,
		              "There are no metrics: check the Oracle Cloud "
		              "Agent and its monitoring plugin.");
	if (c->errors > TROUBLESHOOT_ERRORS_BAD)
		output_format(o, NULL,
		              "There are many errors in the logs (%lld): look "
		              "at the samples first.",
		              (long long)c->errors);
	else if (c->errors > TROUBLESHOOT_ERRORS_NOTED)
		output_format(o, NULL,
		              "There are errors in the logs (%lld): look at "
		              "the samples.",
		              (long long)c->errors);
	recommend_for_alarms(run, c, o);
	output_end(o);
}

/* Answers as the services gave them, only those that the findings are from. */
static void write_raw_data(struct case_file *c, struct output *o)
{
	const struct {
		const char *key;
		const struct tool_ask *ask;
	} rows[] = {
		{ "instance", c->instance },
		{ "cpu", c->meter_asks[CPU] },
		{ "memory", c->meter_asks[MEMORY] },
		{ "logs", c->logs },
	};

	output_object(o, "raw_data");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].ask)
			output_raw(o, rows[i].key,
			           tool_ask_answer(rows[i].ask));
	output_end(o);
}

static const char *how_it_ended(bool wanted, bool ok)
{
	return !wanted ? "skipped" : ok ? "success" : "failed";
}

static void write_progress(struct case_file *c, struct output *o)
{
	const struct {
		const char *step, *status;
	} rows[] = {
		{ "get_instance", "success" },
		{ "get_metrics",
		  how_it_ended(true,
		               tool_ask_ok(c->meter_asks[CPU]) &&
		                       tool_ask_ok(c->meter_asks[MEMORY])) },
		{ "check_logs", how_it_ended(c->namespaces, c->errors >= 0) },
		{ "check_alarms",
		  how_it_ended(c->alarms,
		               c->alarms && tool_ask_ok(c->alarms)) },
		{ "analyze", "success" },
	};

	output_array(o, "progress");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		output_object(o, NULL);
		output_string(o, "step", rows[i].step);
		output_string(o, "status", rows[i].status);
		output_end(o);
	}
	output_end(o);
}

static void write_summary(struct tool_run *run, struct case_file *c,
                          struct output *o)
{
	struct span instance = tool_ask_answer(c->instance);

	output_format(o, "summary",
	              "%.*s is %s: state %.*s, CPU %s, memory %s, firing "
	              "alarms: %zu.",
	              SPAN_ARG(span_first(
			      path_text(run, instance, "displayName"), 255)),
	              health_name(c),
	              SPAN_ARG(path_text(run, instance, "lifecycleState")),
	              level_names[c->levels[CPU]],
	              level_names[c->levels[MEMORY]], c->n_firing);
}

static void write_report(struct tool_run *run, struct case_file *c)
{
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_string(&o, "skill_name", "troubleshoot_instance");
	output_flag(&o, "success", true);
	write_summary(run, c, &o);
	output_object(&o, "details");
	output_text(&o, "instance_id", tool_text(run, "instance_id"));
	output_text(&o, "time_window", tool_text(run, "time_window"));
	output_string(&o, "health_status", health_name(c));
	write_instance(c, &o);
	write_metrics(run, c, &o);
	if (c->namespaces)
		write_logs(run, c, &o);
	if (c->alarms)
		write_alarms(run, c, &o);
	output_end(&o);
	write_recommendations(run, c, &o);
	if (tool_flag(run, "include_raw_data"))
		write_raw_data(c, &o);
	if (tool_flag(run, "verbose"))
		write_progress(c, &o);
	output_integer(&o, "execution_time_ms",
	               (int64_t)(clock_mono_ms() - c->since_ms));
	output_end(&o);
}

static enum tool_next troubleshoot_instance(struct tool_run *run)
{
	struct case_file *c = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		tool_progress(run, 0.1, "Looking at the instance");
		return open_case(run, c) ? TOOL_WAIT : TOOL_DONE;
	case 1:
		tool_progress(run, 0.3, "Reading metrics and alarms");
		ask_witnesses(run, c);
		return TOOL_WAIT;
	case 2:
		tool_progress(run, 0.6, "Looking for errors in the logs");
		if (c->namespaces)
			ask_logs(run, c);
		if (c->alarms)
			ask_suspects(run, c);
		return TOOL_WAIT;
	default:
		tool_progress(run, 0.9, "Weighing what was found");
		weigh(run, c);
		write_report(run, c);
		return TOOL_DONE;
	}
}

const struct tool_function troubleshoot_functions[] = {
	{ .name = "troubleshoot_instance",
	  .step = troubleshoot_instance,
	  .state_bytes = sizeof(struct case_file) },
};
const size_t troubleshoot_n_functions = ARRAY_LEN(troubleshoot_functions);
