/*
 * telemetry - metrics of the Monitoring service: asking for them, and what is
 * to be said about the answer.
 *
 * A query of the service (MQL) gives one data point per interval of a window,
 * each the statistic of the values in its interval. Average, highest and lowest
 * are those of the data points.
 */
#ifndef OCI_TELEMETRY_H
#define OCI_TELEMETRY_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"
#include "oci/tool.h"

#define TELEMETRY_NAME_MAX 256 /* bytes of a namespace and of a metric */

/* Up to so long a window has a data point a minute, a longer one fewer: at most
 * 2,100 for the 7 days that tools take. */
#define TELEMETRY_FINE_S (24 * 3600)

/* What instances report themselves, through the agent on them. */
#define TELEMETRY_INSTANCE "oci_computeagent"

struct telemetry_window {
	int64_t start_s, end_s;
	const char *interval; /* "1m" */
	unsigned interval_s;
};

/* The window that ends with the last whole minute. */
struct telemetry_window telemetry_window(const struct tool_run *run,
                                         int64_t length_s);

/* The metric of one resource. */
struct telemetry_query {
	struct span compartment; /* that holds the metric */
	struct span namespace;
	struct span metric;
	struct span resource;  /* the value of the dimension resourceId */
	const char *statistic; /* "mean", "max", "sum", ... */
	struct telemetry_window window;
};

/*
 * Ask for it (SummarizeMetricsData). Namespace and metric must be names
 * (telemetry_is_name()), the resource an OCID: they become part of the query.
 */
struct tool_ask *telemetry_ask(struct tool_run *run,
                               const struct telemetry_query *query);

/* Letters, digits and _ . : - behind a first letter, TELEMETRY_NAME_MAX bytes
 * at most. */
bool telemetry_is_name(struct span text);

/* What a series of data points comes to. n is 0 when there are none. */
struct telemetry_summary {
	size_t n;
	double current; /* the latest data point */
	double average, max, min;
	struct span unit; /* as the service names it: "Percent"; or empty */
};

/*
 * Sum up the answer to telemetry_ask(), whatever streams it has: a resource
 * that reports for several devices has one for each. Data points without a
 * number do not count.
 */
void telemetry_summarize(struct tool_run *run, struct span answer,
                         struct telemetry_summary *out);

/* Write the members "current", "average", "max", "min", each divided by per;
 * null when there is no data. */
void telemetry_write(const struct telemetry_summary *s, struct output *o,
                     double per);

/*
 * Where it goes: "increasing" or "decreasing" when the latest data point is
 * more than a tenth above or below the average, else "stable";
 * "insufficient_data" for fewer than 2 data points.
 */
const char *telemetry_trend(const struct telemetry_summary *s);

/* Write the object "metrics" of a compute tool: for each metric that was asked
 * for, by name, its statistics, latest value and unit. */
void telemetry_write_metrics(struct tool_run *run, struct output *o,
                             const struct span *names,
                             struct tool_ask *const *asks, size_t n);

extern const struct tool_function telemetry_functions[];
extern const size_t telemetry_n_functions;

#endif
