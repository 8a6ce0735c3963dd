#include "oci/telemetry.h"

#include "oci/path.h"
#include "oci/when.h"

#define SUMMARIZE   "monitoring/Monitoring/SummarizeMetricsData"
#define METRICS_MAX 10 /* of one call of summarize_instance */
#define DECIMALS    2  /* of what is shown */
#define DATAPOINTS_MAX \
	500 /* that get_metrics shows: the latest; the summary is of all */

struct telemetry_window telemetry_window(const struct tool_run *run,
                                         int64_t length_s)
{
	bool fine = length_s <= TELEMETRY_FINE_S;
	int64_t now = tool_now_s(run);

	/* whole minutes: the same question has the same text for a while, and
	 * its answer can be kept */
	now -= now % 60;
	return (struct telemetry_window){
		.start_s = now - length_s,
		.end_s = now,
		.interval = fine ? "1m" : "5m",
		.interval_s = fine ? 60 : 300,
	};
}

bool telemetry_is_name(struct span text)
{
	if (!text.len || text.len > TELEMETRY_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		unsigned char low = ascii_lower(c);
		bool letter = low >= 'a' && low <= 'z';

		if (letter)
			continue;
		if (i == 0 || !((c >= '0' && c <= '9') || c == '_' ||
		                c == '.' || c == ':' || c == '-'))
			return false;
	}
	return true;
}

struct tool_ask *telemetry_ask(struct tool_run *run,
                               const struct telemetry_query *query)
{
	struct tool_ask *ask = tool_ask(run, SUMMARIZE);
	struct output o;

	tool_ask_query(ask, "compartmentId", query->compartment);
	tool_ask_cache(ask, "metrics");
	output_init(&o, tool_ask_body(ask));
	output_object(&o, NULL);
	output_text(&o, "namespace", query->namespace);
	output_format(&o, "query", "%.*s[%s]{resourceId = \"%.*s\"}.%s()",
	              SPAN_ARG(query->metric), query->window.interval,
	              SPAN_ARG(query->resource), query->statistic);
	output_time(&o, "startTime", query->window.start_s);
	output_time(&o, "endTime", query->window.end_s);
	output_end(&o);
	return ask;
}

/* --- what it comes to ----------------------------------------------------- */

struct series {
	struct telemetry_summary *out;
	double sum;
	int64_t latest_s;
};

static void add_point(struct series *s, struct span when, struct span point)
{
	struct telemetry_summary *out = s->out;
	int64_t at_s = INT64_MIN;
	double value;

	if (!path_double(path_get(point, "value"), &value))
		return;
	when_parse(when, &at_s);
	out->max = out->n ? MAX(out->max, value) : value;
	out->min = out->n ? MIN(out->min, value) : value;
	if (!out->n || at_s >= s->latest_s) {
		s->latest_s = at_s;
		out->current = value;
	}
	s->sum += value;
	out->n++;
	out->average = s->sum / (double)out->n;
}

void telemetry_summarize(struct tool_run *run, struct span answer,
                         struct telemetry_summary *out)
{
	struct series series = { .out = out };
	struct value_iter streams = path_items(answer, ""), points;
	struct span stream, point;

	*out = (struct telemetry_summary){ 0 };
	while (value_array_next(&streams, &stream)) {
		if (!out->unit.len)
			out->unit = path_text(run, stream, "metadata.unit");
		points = path_items(stream, "aggregatedDatapoints");
		while (value_array_next(&points, &point))
			add_point(&series, path_text(run, point, "timestamp"),
			          point);
	}
}

static void write_value(const struct telemetry_summary *s, struct output *o,
                        const char *key, double value)
{
	if (s->n)
		output_number(o, key, value, DECIMALS);
	else
		output_null(o, key);
}

void telemetry_write(const struct telemetry_summary *s, struct output *o,
                     double per)
{
	write_value(s, o, "current", s->current / per);
	write_value(s, o, "average", s->average / per);
	write_value(s, o, "max", s->max / per);
	write_value(s, o, "min", s->min / per);
}

const char *telemetry_trend(const struct telemetry_summary *s)
{
	if (s->n < 2)
		return "insufficient_data";
	if (s->current > s->average * 1.1)
		return "increasing";
	if (s->current < s->average * 0.9)
		return "decreasing";
	return "stable";
}

void telemetry_write_metrics(struct tool_run *run, struct output *o,
                             const struct span *names,
                             struct tool_ask *const *asks, size_t n)
{
	struct telemetry_summary s;

	output_object(o, "metrics");
	for (size_t i = 0; i < n; i++) {
		telemetry_summarize(run, tool_ask_answer(asks[i]), &s);
		output_name(o, names[i]);
		output_object(o, NULL);
		output_object(o, "statistics");
		write_value(&s, o, "average", s.average);
		write_value(&s, o, "max", s.max);
		write_value(&s, o, "min", s.min);
		output_end(o);
		write_value(&s, o, "current", s.current);
		output_text_or_null(o, "unit", s.unit);
		if (!tool_ask_ok(asks[i]))
			output_text(o, "error", tool_ask_error(asks[i]));
		output_end(o);
	}
	output_end(o);
}

static void write_window(struct output *o, const char *key, struct span text,
                         const struct telemetry_window *window)
{
	output_text(o, key, text);
	output_time(o, "start_time", window->start_s);
	output_time(o, "end_time", window->end_s);
}

/* The compartment that a tool is told, or that the instance is in. */
static struct span compartment_of(struct tool_run *run,
                                  const struct tool_ask *instance)
{
	struct span given = tool_text(run, "compartment_id");

	return given.len ? given
	                 : path_text(run, tool_ask_answer(instance),
	                             "compartmentId");
}

static struct tool_ask *ask_instance(struct tool_run *run)
{
	struct tool_ask *ask = tool_ask(run, "core/Compute/GetInstance");

	tool_ask_path(ask, "instanceId", tool_text(run, "instance_id"));
	return ask;
}

static bool take_window(struct tool_run *run, const char *name,
                        struct telemetry_window *window)
{
	int64_t length_s;

	if (!when_window(tool_text(run, name), &length_s)) {
		tool_fail(run, TOOL_VALIDATION, NULL,
		          "%s is a number and one of m, h, d and w, such as 6h",
		          name);
		return false;
	}
	*window = telemetry_window(run, length_s);
	return true;
}

/* --- oci_observability_get_instance_metrics ------------------------------- */

enum {
	CPU,
	MEMORY,
	DISK_READS,
	DISK_WRITES,
	DISK_READ_BYTES,
	DISK_WRITTEN_BYTES,
	METERS
};

/* A rate comes as what happened in each interval, and is shown per second. */
static const struct meter {
	struct span metric;
	const char *statistic;
	const char *flag; /* the argument that asks for it; NULL: always */
	const char *disk; /* its name under "disk" */
} meters[METERS] = {
	[CPU] = { { "CpuUtilization", 14 }, "mean", NULL, NULL },
	[MEMORY] = { { "MemoryUtilization", 17 },
	             "mean",
	             "include_memory",
	             NULL },
	[DISK_READS] = { { "DiskIopsRead", 12 },
	                 "sum",
	                 "include_disk",
	                 "read_iops" },
	[DISK_WRITES] = { { "DiskIopsWritten", 15 },
	                  "sum",
	                  "include_disk",
	                  "write_iops" },
	[DISK_READ_BYTES] = { { "DiskBytesRead", 13 },
	                      "sum",
	                      "include_disk",
	                      "read_throughput" },
	[DISK_WRITTEN_BYTES] = { { "DiskBytesWritten", 16 },
	                         "sum",
	                         "include_disk",
	                         "write_throughput" },
};

struct metering {
	struct telemetry_window window;
	struct tool_ask *instance;
	struct tool_ask *asks[METERS];
};

static void ask_meters(struct tool_run *run, struct metering *m)
{
	struct telemetry_query query = {
		.compartment = compartment_of(run, m->instance),
		.namespace = SPAN(TELEMETRY_INSTANCE),
		.resource = tool_text(run, "instance_id"),
		.window = m->window,
	};

	for (size_t i = 0; i < METERS; i++) {
		if (meters[i].flag && !tool_flag(run, meters[i].flag))
			continue;
		query.metric = meters[i].metric;
		query.statistic = meters[i].statistic;
		m->asks[i] = telemetry_ask(run, &query);
	}
}

static void write_meter(struct tool_run *run, struct metering *m,
                        struct output *o, size_t which, const char *key)
{
	struct telemetry_summary s;

	if (!m->asks[which])
		return;
	telemetry_summarize(run, tool_ask_answer(m->asks[which]), &s);
	output_object(o, key);
	telemetry_write(&s, o, 1);
	output_end(o);
}

static void write_disk(struct tool_run *run, struct metering *m,
                       struct output *o)
{
	struct telemetry_summary s;

	if (!m->asks[DISK_READS])
		return;
	output_object(o, "disk");
	for (size_t i = DISK_READS; i < METERS; i++) {
		telemetry_summarize(run, tool_ask_answer(m->asks[i]), &s);
		write_value(&s, o, meters[i].disk,
		            s.average / m->window.interval_s);
	}
	output_end(o);
}

static void write_metering(struct tool_run *run, struct metering *m)
{
	struct telemetry_summary cpu;
	struct output o;

	telemetry_summarize(run, tool_ask_answer(m->asks[CPU]), &cpu);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "instance_id", tool_text(run, "instance_id"));
	output_path(&o, "instance_name", tool_ask_answer(m->instance),
	            "displayName");
	write_window(&o, "window", tool_text(run, "window"), &m->window);
	write_meter(run, m, &o, CPU, "cpu");
	write_meter(run, m, &o, MEMORY, "memory");
	write_disk(run, m, &o);
	output_string(&o, "trend", telemetry_trend(&cpu));
	output_end(&o);
}

static enum tool_next get_instance_metrics(struct tool_run *run)
{
	struct metering *m = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		if (!take_window(run, "window", &m->window))
			return TOOL_DONE;
		m->instance = ask_instance(run);
		return TOOL_WAIT;
	case 1:
		tool_progress(run, 0.3, "Asking for the metrics");
		ask_meters(run, m);
		return TOOL_WAIT;
	default:
		write_metering(run, m);
		return TOOL_DONE;
	}
}

/* --- get_instance_metrics, the short name --------------------------------- */

struct summarizing {
	struct telemetry_window window;
	struct span length; /* as the caller writes it */
	struct tool_ask *instance;
	struct tool_ask *asks[METRICS_MAX];
	struct span names[METRICS_MAX];
	size_t n;
};

static bool take_hours(struct tool_run *run, struct summarizing *s)
{
	int64_t hours = tool_integer(run, "hours_back", 1);
	char text[24];
	struct buf out = { .max = sizeof(text) };

	s->length = tool_text(run, "time_window");
	if (s->length.len)
		return take_window(run, "time_window", &s->window);
	s->window = telemetry_window(run, hours * WHEN_HOUR_S);
	buf_add_i64(&out, hours);
	buf_putc(&out, 'h');
	s->length = tool_keep(run, buf_span(&out));
	buf_free(&out);
	return true;
}

static bool take_names(struct tool_run *run, struct summarizing *s)
{
	struct value_iter it = path_items(tool_raw(run, "metric_names"), "");
	struct span raw;

	while (s->n < METRICS_MAX && value_array_next(&it, &raw)) {
		struct span name = path_means(run, raw);

		if (!telemetry_is_name(name)) {
			tool_fail(run, TOOL_VALIDATION, NULL,
			          "metric_names: \"%.*s\" is no name of a "
			          "metric",
			          SPAN_ARG(span_first(name, 64)));
			return false;
		}
		s->names[s->n++] = name;
	}
	return true;
}

static void ask_names(struct tool_run *run, struct summarizing *s)
{
	struct telemetry_query query = {
		.compartment = compartment_of(run, s->instance),
		.namespace = SPAN(TELEMETRY_INSTANCE),
		.resource = tool_text(run, "instance_id"),
		.statistic = "mean",
		.window = s->window,
	};

	for (size_t i = 0; i < s->n; i++) {
		query.metric = s->names[i];
		s->asks[i] = telemetry_ask(run, &query);
	}
}

static void write_summary(struct tool_run *run, struct summarizing *s)
{
	struct output o;

	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "instance_id", tool_text(run, "instance_id"));
	write_window(&o, "time_window", s->length, &s->window);
	telemetry_write_metrics(run, &o, s->names, s->asks, s->n);
	output_end(&o);
}

static enum tool_next summarize_instance(struct tool_run *run)
{
	struct summarizing *s = tool_state(run);

	switch (tool_phase(run)) {
	case 0:
		if (!take_hours(run, s) || !take_names(run, s))
			return TOOL_DONE;
		s->instance = ask_instance(run);
		return TOOL_WAIT;
	case 1:
		ask_names(run, s);
		return TOOL_WAIT;
	default:
		write_summary(run, s);
		return TOOL_DONE;
	}
}

/* --- oci_observability_get_metrics ---------------------------------------- */

struct metric {
	struct telemetry_window window;
	struct tool_ask *ask;
};

static bool take_name(struct tool_run *run, const char *argument,
                      struct span *out)
{
	*out = tool_text(run, argument);
	if (telemetry_is_name(*out))
		return true;
	tool_fail(run, TOOL_VALIDATION, NULL,
	          "%s begins with a letter, and has only letters, digits and "
	          "_ . : - in it",
	          argument);
	return false;
}

static const char *statistic_of(struct tool_run *run)
{
	struct span text = tool_text(run, "statistic");

	return text.len ? tool_keep(run, text).at : "mean";
}

static void write_points(struct tool_run *run, struct output *o,
                         struct span answer, size_t n)
{
	struct value_iter streams = path_items(answer, ""), points;
	size_t skip = n > DATAPOINTS_MAX ? n - DATAPOINTS_MAX : 0;
	struct span stream, point;

	output_array(o, "datapoints");
	while (value_array_next(&streams, &stream)) {
		points = path_items(stream, "aggregatedDatapoints");
		while (value_array_next(&points, &point)) {
			double value;

			if (!path_double(path_get(point, "value"), &value))
				continue;
			if (skip) {
				skip--;
				continue;
			}
			output_object(o, NULL);
			output_text(o, "timestamp",
			            path_text(run, point, "timestamp"));
			output_number(o, "value", value, 4);
			output_end(o);
		}
	}
	output_end(o);
}

static void write_metric(struct tool_run *run, struct metric *m)
{
	struct span answer = tool_ask_answer(m->ask);
	struct telemetry_summary s;
	struct output o;

	telemetry_summarize(run, answer, &s);
	output_init(&o, tool_out(run));
	output_object(&o, NULL);
	output_text(&o, "resource_id", tool_text(run, "resource_id"));
	output_text(&o, "namespace", tool_text(run, "namespace"));
	output_text(&o, "metric_name", tool_text(run, "metric_name"));
	output_string(&o, "statistic", statistic_of(run));
	output_string(&o, "interval", m->window.interval);
	write_window(&o, "window", tool_text(run, "window"), &m->window);
	output_text_or_null(&o, "unit", s.unit);
	telemetry_write(&s, &o, 1);
	output_string(&o, "trend", telemetry_trend(&s));
	output_integer(&o, "datapoint_count", (int64_t)s.n);
	write_points(run, &o, answer, s.n);
	output_end(&o);
}

static enum tool_next get_metrics(struct tool_run *run)
{
	struct metric *m = tool_state(run);
	struct telemetry_query query = {
		.compartment = tool_compartment(run),
		.resource = tool_text(run, "resource_id"),
		.statistic = statistic_of(run),
	};

	if (tool_phase(run) == 0) {
		if (!take_window(run, "window", &m->window) ||
		    !take_name(run, "namespace", &query.namespace) ||
		    !take_name(run, "metric_name", &query.metric))
			return TOOL_DONE;
		query.window = m->window;
		m->ask = telemetry_ask(run, &query);
		return TOOL_WAIT;
	}
	write_metric(run, m);
	return TOOL_DONE;
}

const struct tool_function telemetry_functions[] = {
	{ .name = "get_instance_metrics",
	  .step = get_instance_metrics,
	  .state_bytes = sizeof(struct metering) },
	{ .name = "summarize_instance",
	  .step = summarize_instance,
	  .state_bytes = sizeof(struct summarizing) },
	{ .name = "get_metrics",
	  .step = get_metrics,
	  .state_bytes = sizeof(struct metric) },
};
const size_t telemetry_n_functions = ARRAY_LEN(telemetry_functions);
