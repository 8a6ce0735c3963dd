/*
 * dbmetrics - figures of one database: step function database_get_metrics, and
 * what oci/dbhealth needs of it.
 *
 * Monitoring is asked for this resource alone (dimension resourceId). What is
 * a level (percent, sessions) is read as mean, maximum and minimum of each
 * interval; what is counted (executions) as the sum of each interval.
 */
#ifndef OCI_DBMETRICS_H
#define OCI_DBMETRICS_H

#include "lib/base.h"
#include "lib/span.h"
#include "oci/output.h"
#include "oci/tool.h"

#define DBMETRICS_MAX        20 /* metrics of one call */
#define DBMETRICS_DATABASES  50 /* of a DB system */
#define DBMETRICS_STATISTICS 3

/* What kind of database an OCID is of. */
struct dbmetrics_kind {
	const char *type;      /* of the OCID */
	const char *label;     /* for people */
	const char *operation; /* reads it ... */
	const char *parameter; /* ... by this path parameter */
	const char *name;      /* path of its name in the answer */
	const char *namespace; /* of its metrics */
	const char *metrics[4];
};

/* NULL for an OCID of another type. */
const struct dbmetrics_kind *dbmetrics_kind(struct span id);

/* One metric. */
struct dbmetrics_metric {
	struct span name;
	struct tool_ask *asks[DBMETRICS_STATISTICS];
	size_t n_asks;
};

/* What all metrics of a call are about. */
struct dbmetrics_query {
	struct span filter, compartment;
	const char *namespace;
	int64_t start_s, end_s;
};

/* The interval that fits a window of so many seconds: "1m", "5m", "1h". */
const char *dbmetrics_interval(int64_t window_s);

/* The end of a window up to now: the last whole minute, so that answers can be
 * kept and used again. */
int64_t dbmetrics_now(const struct tool_run *run);

/* Ask for the databases of a DB system, whose metrics are those of its
 * databases. Failure does not end the run. */
struct tool_ask *dbmetrics_databases(struct tool_run *run, struct span system,
                                     struct span compartment);

/* The filter for one resource; with databases (an array) for those as well. */
struct span dbmetrics_filter(struct tool_run *run, struct span id,
                             struct span databases);

/* Ask for a metric; its failure does not end the run. */
void dbmetrics_ask(struct tool_run *run, const struct dbmetrics_query *query,
                   struct span name, struct dbmetrics_metric *out);

/* What has come back. Without points the figures mean nothing. */
struct dbmetrics_value {
	double current, average, max, min;
	size_t points;
	struct span unit;  /* may be empty */
	struct span error; /* why it could not be read; else empty */
};

void dbmetrics_read(struct tool_run *run, const struct dbmetrics_metric *metric,
                    struct dbmetrics_value *out);

/* Write a metric as one object. */
void dbmetrics_write(struct output *o, const struct dbmetrics_value *value);

extern const struct tool_function dbmetrics_functions[];
extern const size_t dbmetrics_n_functions;

#endif
