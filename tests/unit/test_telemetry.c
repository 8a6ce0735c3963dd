#include "oci/telemetry.h"

#include <criterion/criterion.h>

#include "tests/unit/fixture_tool.h"

TestSuite(telemetry, .init = fixture_tool_begin, .fini = fixture_tool_end);

#define INSTANCE  "ocid1.instance.oc1.iad.i"
#define ID        "{\"instance_id\":\"" INSTANCE "\""
#define SUMMARIZE "monitoring/Monitoring/SummarizeMetricsData"

static const char stream[] =
	"[{\"metadata\":{\"unit\":\"Percent\"},\"aggregatedDatapoints\":["
	"{\"timestamp\":\"2026-01-01T00:00:00Z\",\"value\":10},"
	"{\"timestamp\":\"2026-01-01T00:02:00Z\",\"value\":40.0},"
	"{\"timestamp\":\"2026-01-01T00:01:00Z\",\"value\":1e1}]}]";

static void answer_instance(void)
{
	fixture_tool_answer("core/Compute/GetInstance",
	                    "{\"id\":\"" INSTANCE "\",\"displayName\":\"web\","
	                    "\"compartmentId\":\"comp\"}");
}

Test(telemetry, names)
{
	cr_assert(telemetry_is_name(SPAN("CpuUtilization")));
	cr_assert(telemetry_is_name(SPAN("a.b:c-d_1")));
	cr_assert_not(telemetry_is_name(SPAN("")));
	cr_assert_not(telemetry_is_name(SPAN("1a")));
	cr_assert_not(telemetry_is_name(SPAN("a b")));
	cr_assert_not(telemetry_is_name(SPAN("a{b}")));
	cr_assert_not(telemetry_is_name(SPAN("a[1m].max()")));
}

Test(telemetry, trend)
{
	static const struct {
		size_t n;
		double current, average;
		const char *trend;
	} rows[] = {
		{ 0, 0, 0, "insufficient_data" },
		{ 1, 9, 9, "insufficient_data" },
		{ 5, 50, 50, "stable" },
		{ 5, 54, 50, "stable" },
		{ 5, 56, 50, "increasing" },
		{ 5, 44, 50, "decreasing" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct telemetry_summary s = { .n = rows[i].n,
			                       .current = rows[i].current,
			                       .average = rows[i].average };

		cr_expect_str_eq(telemetry_trend(&s), rows[i].trend);
	}
}

Test(telemetry, of_an_instance)
{
	answer_instance();
	fixture_tool_answer(SUMMARIZE, stream);
	fixture_tool_stock("oci_observability_get_instance_metrics", ID "}");
	fixture_tool_is("instance_name", "\"web\"");
	fixture_tool_is("window", "\"1h\"");
	/* the latest is the one with the latest time, not the last one */
	fixture_tool_is("cpu.current", "40");
	fixture_tool_is("cpu.average", "20");
	fixture_tool_is("cpu.max", "40");
	fixture_tool_is("cpu.min", "10");
	fixture_tool_is("memory.average", "20");
	fixture_tool_is("disk", NULL);
	fixture_tool_is("trend", "\"increasing\"");
	cr_assert_not_null(
		strstr(fixture_tool_asked(1),
	               "compartmentId=comp {\"namespace\":"
	               "\"oci_computeagent\",\"query\":"
	               "\"CpuUtilization[1m]{resourceId = \\\"" INSTANCE
	               "\\\"}.mean()\""));
}

Test(telemetry, disk_is_per_second)
{
	answer_instance();
	fixture_tool_answer(SUMMARIZE, stream);
	fixture_tool_stock("oci_observability_get_instance_metrics",
	                   ID ",\"include_disk\":true,\"include_memory\":false,"
	                      "\"window\":\"7d\"}");
	fixture_tool_is("memory", NULL);
	fixture_tool_is("disk.read_iops", "0.07"); /* 20 in 300 s */
	fixture_tool_is("disk.write_iops", "0.07");
	fixture_tool_is("disk.read_throughput", "0.07");
	fixture_tool_is("disk.write_throughput", "0.07");
	cr_assert_not_null(strstr(fixture_tool_asked(2), "DiskIopsRead[5m]"));
	cr_assert_not_null(strstr(fixture_tool_asked(2), ".sum()"));
}

Test(telemetry, without_data)
{
	answer_instance();
	fixture_tool_answer(SUMMARIZE, "[]");
	fixture_tool_stock("oci_observability_get_instance_metrics", ID "}");
	fixture_tool_is("cpu.current", "null");
	fixture_tool_is("cpu.average", "null");
	fixture_tool_is("trend", "\"insufficient_data\"");
}

Test(telemetry, the_short_name)
{
	answer_instance();
	fixture_tool_answer(SUMMARIZE, stream);
	fixture_tool_stock("get_instance_metrics",
	                   ID ",\"hours_back\":3,\"metric_names\":["
	                      "\"LoadAverage\"]}");
	fixture_tool_is("time_window", "\"3h\"");
	fixture_tool_is("metrics.LoadAverage.statistics.average", "20");
	fixture_tool_is("metrics.LoadAverage.current", "40");
	fixture_tool_is("metrics.LoadAverage.unit", "\"Percent\"");
	fixture_tool_is("metrics.CpuUtilization", NULL);
}

Test(telemetry, the_short_name_with_a_window)
{
	answer_instance();
	fixture_tool_answer(SUMMARIZE, stream);
	fixture_tool_stock("get_instance_metrics",
	                   ID ",\"time_window\":\"30m\"}");
	fixture_tool_is("time_window", "\"30m\"");
	fixture_tool_is("metrics.CpuUtilization.current", "40");
	fixture_tool_is("metrics.MemoryUtilization.current", "40");
}

Test(telemetry, names_cannot_leave_their_place)
{
	static const char *const bad[] = {
		ID ",\"metric_names\":[\"Cpu[1m].max() || X\"]}",
		ID ",\"time_window\":\"soon\"}",
		ID ",\"time_window\":\"0h\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct fixture_tool_result *result =
			fixture_tool_stock("get_instance_metrics", bad[i]);

		cr_assert(result->is_error);
		cr_assert_str_eq(result->category, "validation");
		cr_assert_null(fixture_tool_asked(0));
	}
}

#define METRIC                                                       \
	"{\"resource_id\":\"ocid1.volume.oc1.iad.v\",\"namespace\":" \
	"\"oci_blockstore\",\"metric_name\":\"VolumeReadOps\""

Test(telemetry, of_anything)
{
	fixture_tool_answer(SUMMARIZE, stream);
	fixture_tool_stock("oci_observability_get_metrics",
	                   METRIC ",\"statistic\":\"max\",\"window\":\"6h\"}");
	fixture_tool_is("statistic", "\"max\"");
	fixture_tool_is("interval", "\"1m\"");
	fixture_tool_is("unit", "\"Percent\"");
	fixture_tool_is("average", "20");
	fixture_tool_is("datapoint_count", "3");
	fixture_tool_is("datapoints[1].timestamp", "\"2026-01-01T00:02:00Z\"");
	fixture_tool_is("datapoints[1].value", "40");
	cr_assert_not_null(strstr(fixture_tool_asked(0), "VolumeReadOps[1m]"));
}

Test(telemetry, a_failure_is_told)
{
	const struct fixture_tool_result *result;

	fixture_tool_refuse(SUMMARIZE, 429, "TooManyRequests", "Slow down.");
	result =
		fixture_tool_stock("oci_observability_get_metrics", METRIC "}");
	cr_assert(result->is_error);
	cr_assert_str_eq(result->category, "rate_limit");
}
