#include "oci/cost.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "oci/when.h"
#include "tests/unit/fixture_tool.h"

#define USAGE "usage_api/Usageapi/RequestSummarizedUsages"
#define TREE  "identity/Identity/ListCompartments"
#define PERIOD \
	"\"time_start\":\"2026-01-01\",\"time_end\":\"2026-01-31T23:59:59Z\""

static void begin(void)
{
	fixture_tool_begin();
	fixture_tool_answer("identity/Identity/ListRegionSubscriptions",
	                    "[{\"regionName\":\"eu-frankfurt-1\","
	                    "\"isHomeRegion\":true}]");
}

TestSuite(cost, .init = begin, .fini = fixture_tool_end);

Test(cost, spread)
{
	const double values[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
	struct cost_spread s = cost_spread(values, 8);

	cr_assert_float_eq(s.mean, 5, 1e-12);
	cr_assert_float_eq(s.deviation, sqrt(32.0 / 7), 1e-12);
	cr_assert_float_eq(cost_spread(values, 1).deviation, 0, 1e-12);
}

Test(cost, words)
{
	const double up[] = { 100, 100, 160 }, down[] = { 100, 100, 40 },
		     flat[] = { 500, 100, 100, 105 };

	cr_assert_str_eq(cost_severity(4.1), "critical");
	cr_assert_str_eq(cost_severity(4), "high");
	cr_assert_str_eq(cost_severity(2.6), "medium");
	cr_assert_str_eq(cost_severity(2.5), "low");
	cr_assert_str_eq(cost_trend(up, 3), "increasing");
	cr_assert_str_eq(cost_trend(down, 3), "decreasing");
	cr_assert_str_eq(cost_trend(flat, 4), "stable");
	cr_assert_str_eq(cost_trend(up, 1), "insufficient_data");
}

/* Both are sent at once, in any order. */
static const char *request_of(const char *operation)
{
	for (size_t i = 0; fixture_tool_asked(i); i++)
		if (strncmp(fixture_tool_asked(i), operation,
		            strlen(operation)) == 0)
			return fixture_tool_asked(i);
	return "";
}

Test(cost, summary)
{
	fixture_tool_answer(
		USAGE, "{\"items\":["
		       "{\"timeUsageStarted\":\"2026-01-01T00:00:00.000Z\","
		       "\"service\":\"Compute\",\"computedAmount\":30.5,"
		       "\"currency\":\"EUR\"},"
		       "{\"timeUsageStarted\":\"2026-01-02T00:00:00.000Z\","
		       "\"service\":\"Compute\",\"computedAmount\":20.5,"
		       "\"currency\":\"EUR\"},"
		       "{\"timeUsageStarted\":\"2026-01-02T00:00:00.000Z\","
		       "\"service\":\"Database\",\"computedAmount\":11,"
		       "\"currency\":\" \"},"
		       "{\"service\":\"Padding\",\"computedAmount\":null},"
		       "{\"service\":\"Ahead\",\"computedAmount\":9,"
		       "\"isForecast\":true}]}");
	cr_assert_not(fixture_tool_stock("oci_cost_get_summary",
	                                 "{" PERIOD ",\"top_n\":1}")
	                      ->is_error);
	fixture_tool_is("total_cost", "62");
	fixture_tool_is("currency", "\"EUR\"");
	fixture_tool_is("days", "31");
	fixture_tool_is("daily_average", "2");
	fixture_tool_is("period_end", "\"2026-02-01T00:00:00Z\"");
	fixture_tool_is("by_service[0].service", "\"Compute\"");
	fixture_tool_is("by_service[0].cost", "51");
	fixture_tool_is("by_service[0].percentage", "82.3");
	fixture_tool_is("by_service[1]", NULL);
	fixture_tool_is("other_cost", "11");
	fixture_tool_is("by_period[1].start", "\"2026-01-02\"");
	fixture_tool_is("by_period[1].cost", "31.5");
	cr_assert(strstr(request_of(USAGE),
	                 "\"timeUsageStarted\":\"2026-01-01T00:00:00Z\","
	                 "\"timeUsageEnded\":\"2026-02-01T00:00:00Z\","
	                 "\"granularity\":\"DAILY\",\"queryType\":\"COST\""));
	cr_assert(strstr(request_of(USAGE),
	                 "\"tenantId\":\"" FIXTURE_TENANCY "\""));
}

Test(cost, two_currencies_are_not_added_up)
{
	fixture_tool_answer(
		USAGE, "{\"items\":[{\"service\":\"A\",\"computedAmount\":1,"
		       "\"currency\":\"EUR\"},{\"service\":\"A\","
		       "\"computedAmount\":1,\"currency\":\"USD\"}]}");
	cr_assert(fixture_tool_stock("oci_cost_get_summary", "{" PERIOD "}")
	                  ->is_error);
}

#define A "ocid1.compartment.oc1..a"
#define B "ocid1.compartment.oc1..b"
#define C "ocid1.compartment.oc1..c"

/* tenancy > a > b, tenancy > c */
static void script_tree(void)
{
	fixture_tool_answer(TREE,
	                    "[{\"id\":\"" A "\",\"name\":\"prod\","
	                    "\"compartmentId\":\"" FIXTURE_TENANCY "\"},"
	                    "{\"id\":\"" B "\",\"name\":\"web\","
	                    "\"compartmentId\":\"" A "\"},"
	                    "{\"id\":\"" C "\",\"name\":\"test\","
	                    "\"compartmentId\":\"" FIXTURE_TENANCY "\"}]");
	fixture_tool_answer("identity/Identity/GetTenancy",
	                    "{\"name\":\"company\"}");
	fixture_tool_answer(USAGE,
	                    "{\"items\":[{\"compartmentId\":\"" A
	                    "\",\"service\":\"X\","
	                    "\"computedAmount\":5,\"currency\":\"USD\"},"
	                    "{\"compartmentId\":\"" B "\",\"service\":\"X\","
	                    "\"computedAmount\":7,\"currency\":\"USD\"},"
	                    "{\"compartmentId\":\"" B "\",\"service\":\"Y\","
	                    "\"computedAmount\":1,\"currency\":\"USD\"},"
	                    "{\"compartmentId\":\"" C "\",\"service\":\"X\","
	                    "\"computedAmount\":4,\"currency\":\"USD\"}]}");
}

Test(cost, compartments_roll_up)
{
	script_tree();
	fixture_tool_stock("oci_cost_by_compartment",
	                   "{" PERIOD ",\"compartment_depth\":1}");
	fixture_tool_is("total_cost", "17");
	fixture_tool_is("compartments[0].name", "\"prod\"");
	fixture_tool_is("compartments[0].cost", "13");
	fixture_tool_is("compartments[0].services[0].service", "\"X\"");
	fixture_tool_is("compartments[0].services[0].cost", "12");
	fixture_tool_is("compartments[1].path", "\"company / test\"");
	fixture_tool_stock("oci_cost_by_compartment", "{" PERIOD "}");
	fixture_tool_is("compartments[0].path", "\"company / prod / web\"");
	fixture_tool_is("compartments[0].cost", "8");
	fixture_tool_is("compartments[2].cost", "4");
}

Test(cost, scope_with_and_without_children)
{
	script_tree();
	fixture_tool_stock("oci_cost_by_service",
	                   "{" PERIOD ",\"scope_compartment_id\":\"" A "\"}");
	fixture_tool_is("total", "5");
	cr_assert(strstr(request_of(USAGE), "\"value\":\"" A "\""));
	fixture_tool_stock("oci_cost_by_service",
	                   "{" PERIOD ",\"scope_compartment_id\":\"" A
	                   "\",\"include_children\":true}");
	fixture_tool_is("total", "13");
	fixture_tool_is("services[0].compartments[0].name", "\"web\"");
	fixture_tool_is("scope.include_children", "true");
	cr_assert(strstr(request_of(USAGE), "\"value\":\"" B "\""));
	cr_assert_not(strstr(request_of(USAGE), "\"value\":\"" C "\""));
}

Test(cost, periods_that_are_none)
{
	cr_assert_str_eq(fixture_tool_stock("oci_cost_by_service",
	                                    "{\"time_start\":\"2026-02-01\","
	                                    "\"time_end\":\"2026-01-01\"}")
	                         ->category,
	                 "validation");
	cr_assert_null(fixture_tool_asked(1));
}

/* Ten quiet days and one that is not; days is the text of the answer. */
static void script_days(void)
{
	static char text[8192];
	char date[WHEN_LEN + 1];
	int64_t start = 1767225600; /* 2026-01-01 */
	size_t n = 0;

	n += (size_t)snprintf(text, sizeof(text), "{\"items\":[");
	for (int day = 0; day < 12; day++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"%s{\"timeUsageStarted\":\"%s\",\"service\":\"Quiet\","
			"\"computedAmount\":10,\"currency\":\"USD\"},"
			"{\"timeUsageStarted\":\"%s\",\"service\":\"Loud\","
			"\"computedAmount\":%d,\"currency\":\"USD\"}",
			day ? "," : "",
			when_write(start + day * WHEN_DAY_S, date), date,
			day == 7 ? 90 : 2 + day % 2);
	snprintf(text + n, sizeof(text) - n, "]}");
	fixture_tool_answer(USAGE, text);
}

Test(cost, anomalies)
{
	script_days();
	fixture_tool_stock("oci_cost_detect_anomalies",
	                   "{\"time_start\":\"2026-01-01\","
	                   "\"time_end\":\"2026-01-13\"}");
	fixture_tool_is("summary.total_anomalies", "1");
	fixture_tool_is("anomalies[0].date", "\"2026-01-08\"");
	fixture_tool_is("anomalies[0].cost", "100");
	fixture_tool_is("anomalies[0].severity", "\"high\"");
	fixture_tool_is("anomalies[0].root_cause.contributors[0].service",
	                "\"Loud\"");
	fixture_tool_is("anomalies[0].root_cause.contributors[0].increase",
	                "87.55");
	fixture_tool_is("anomalies[0].root_cause.contributors[1]", NULL);
	fixture_tool_is("detection_params.days", "12");
	cr_assert(fixture_tool_stock("oci_cost_detect_anomalies",
	                             "{\"time_start\":\"2026-01-01\","
	                             "\"time_end\":\"2026-01-03\"}")
	                  ->is_error);
}

Test(cost, months_and_budget)
{
	char text[512], date[WHEN_LEN + 1], last[WHEN_LEN + 1];
	int64_t now = when_month(clock_utc_ms() / 1000);

	when_write(when_add_months(now, -2), date);
	when_write(when_add_months(now, -1), last);
	snprintf(text, sizeof(text),
	         "{\"items\":[{\"timeUsageStarted\":\"%s\","
	         "\"computedAmount\":100,\"currency\":\"USD\"},"
	         "{\"timeUsageStarted\":\"%s\",\"computedAmount\":150,"
	         "\"currency\":\"USD\"}]}",
	         date, last);
	fixture_tool_answer(USAGE, text);
	fixture_tool_answer("budget/Budget/GetBudget",
	                    "{\"id\":\"b\",\"amount\":200,\"actualSpend\":50,"
	                    "\"forecastedSpend\":250}");
	fixture_tool_stock("oci_cost_monthly_trend",
	                   "{\"budget_ocid\":\"ocid1.budget.oc1..b\"}");
	/* Months before the first bill do not count. */
	fixture_tool_is("summary.months_analyzed", "2");
	fixture_tool_is("summary.average_monthly", "125");
	fixture_tool_is("monthly_costs[1].change_percent", "50");
	fixture_tool_is("forecast.estimate", "125");
	fixture_tool_is("forecast.trend", "\"increasing\"");
	fixture_tool_is("budget.remaining", "150");
	fixture_tool_is("budget.actual_percent", "25");
	fixture_tool_is("budget.status", "\"forecast to be exceeded\"");
	fixture_tool_stock("oci_cost_monthly_trend",
	                   "{\"include_forecast\":false}");
	fixture_tool_is("forecast", NULL);
	fixture_tool_is("budget", NULL);
}
