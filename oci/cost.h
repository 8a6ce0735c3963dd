/*
 * cost - what the tenancy costs: step functions cost_get_summary,
 * cost_by_service, cost_by_compartment, cost_monthly_trend and
 * cost_detect_anomalies.
 *
 * Figures are those of the Usage API (oci/usage), added up here. Money is
 * written with two decimals, in the currency of the bill; nothing is estimated
 * but the forecast, which says how.
 */
#ifndef OCI_COST_H
#define OCI_COST_H

#include "lib/base.h"
#include "oci/tool.h"

#define COST_DECIMALS     2
#define COST_TOP          10   /* rows shown, when the call does not say */
#define COST_SECOND_MAX   5    /* services of a compartment, and the reverse */
#define COST_CAUSES_MAX   3    /* contributors of an anomaly */
#define COST_SERVICES_MAX 512  /* services an anomaly is looked for in */
#define COST_MEAN_MONTHS  3    /* months a forecast is the mean of */
#define COST_CHANGE       0.10 /* a trend is a change by more than this */

/* Mean and sample standard deviation (n - 1) of n values; n is at least 1,
 * the deviation of one value is 0. */
struct cost_spread {
	double mean, deviation;
};
struct cost_spread cost_spread(const double *values, size_t n);

/* "critical", "high", "medium" or "low", by how many deviations above. */
const char *cost_severity(double z_score);

/* "increasing", "decreasing", "stable"; "insufficient_data" under two months.
 * The last month against the mean of the last COST_MEAN_MONTHS. */
const char *cost_trend(const double *months, size_t n);

extern const struct tool_function cost_functions[];
extern const size_t cost_n_functions;

#endif
