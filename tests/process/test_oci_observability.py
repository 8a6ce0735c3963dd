"""Metrics, alarms and logs, against a simulated tenancy."""

import datetime

import pytest

from cloud import Cloud
from messages import client_meta

SUMMARIZE = "monitoring.SummarizeMetricsData"


def instance(cloud, name="orders-2"):
    return cloud.one("core/Instance", displayName=name)["id"]


def alarm(cloud, name="orders-cpu-high"):
    return cloud.one("monitoring/Alarm", displayName=name)


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def ordered(stats):
    return stats["min"] <= stats["average"] <= stats["max"] and \
        stats["min"] <= stats["current"] <= stats["max"]


# -- metrics


def test_instance_metrics(cloud):
    found = cloud.call("oci_observability_get_instance_metrics",
                       instance_id=instance(cloud))
    assert found["instance_name"] == "orders-2"
    assert found["window"] == "1h"
    assert ordered(found["cpu"]) and 91 <= found["cpu"]["min"]
    assert found["cpu"]["max"] <= 95
    assert ordered(found["memory"]) and "disk" not in found
    assert found["trend"] == "stable"
    length = when(found["end_time"]) - when(found["start_time"])
    assert length == datetime.timedelta(hours=1)


def test_instance_metrics_with_disk(cloud):
    found = cloud.call("oci_observability_get_instance_metrics",
                       instance_id=instance(cloud), include_memory=False,
                       include_disk=True, window="24h")
    assert "memory" not in found
    # Sums of a minute, shown per second.
    disk = {name: cloud.call("oci_observability_get_metrics", window="24h",
                             resource_id=instance(cloud), statistic="sum",
                             namespace="oci_computeagent",
                             metric_name=metric)["average"] / 60
            for name, metric in (("read_iops", "DiskIopsRead"),
                                 ("write_iops", "DiskIopsWritten"),
                                 ("read_throughput", "DiskBytesRead"),
                                 ("write_throughput", "DiskBytesWritten"))}
    for name, value in disk.items():
        assert found["disk"][name] == pytest.approx(value, rel=0.01)
        assert value > 0


def test_instance_metrics_of_one_that_does_not_run(cloud):
    found = cloud.call("oci_observability_get_instance_metrics",
                       instance_id=instance(cloud, "batch-2"))
    assert found["cpu"] == {"current": None, "average": None, "max": None,
                            "min": None}
    assert found["trend"] == "insufficient_data"


def test_instance_metrics_ask_for_the_instance_alone(cloud):
    cloud.tenancy.control("DELETE", "requests")
    ocid = instance(cloud)
    cloud.call("oci_observability_get_instance_metrics", instance_id=ocid)
    bodies = [row["body"] for row in cloud.requests()
              if row["operation"] == SUMMARIZE]
    assert len(bodies) == 2
    assert all(ocid in str(body) for body in bodies)


def test_instance_metrics_that_fail(cloud):
    error = cloud.fails("oci_observability_get_instance_metrics",
                        instance_id="ocid1.instance.oc1.iad.nowhere")
    assert error["category"] == "not_found"
    with cloud.fault(SUMMARIZE, status=403, code="NotAllowed"):
        error = cloud.fails("oci_observability_get_instance_metrics",
                            instance_id=instance(cloud))
    assert error["category"] == "authorization"
    error = cloud.fails("oci_observability_get_instance_metrics",
                        instance_id=instance(cloud), window="2h")
    assert error["category"] == "validation"


def test_any_metric(cloud):
    volume = cloud.one("core/Volume", displayName="orders-1-data")["id"]
    found = cloud.call("oci_observability_get_metrics", resource_id=volume,
                       namespace="oci_blockstore", statistic="max",
                       metric_name="VolumeReadOps", window="30m")
    assert found["unit"] == "operations" and ordered(found)
    assert found["datapoint_count"] == len(found["datapoints"])
    assert 30 <= found["datapoint_count"] <= 31
    values = [point["value"] for point in found["datapoints"]]
    assert found["max"] == pytest.approx(max(values), abs=0.01)
    assert found["current"] == pytest.approx(values[-1], abs=0.01)
    error = cloud.fails("oci_observability_get_metrics", resource_id=volume,
                        namespace="oci_blockstore", metric_name="a{b}")
    assert error["category"] == "validation"
    with cloud.fault(SUMMARIZE, status=404):
        error = cloud.fails("oci_observability_get_metrics",
                            resource_id=volume, metric_name="VolumeReadOps",
                            namespace="oci_blockstore")
    assert error["category"] == "not_found"


def test_list_metrics(cloud):
    found = cloud.pages("oci_observability_list_metrics", "metrics", limit=50,
                        namespace="oci_computeagent",
                        metric_name="CpuUtilization")
    running = cloud.table("core/Instance", lifecycleState="RUNNING",
                          compartmentId=cloud.compartments["prod"])
    running = [r for r in running if ".iad." in r["id"]]
    assert {row["dimensions"]["resourceId"] for row in found} == {
        row["id"] for row in running}
    some = cloud.call("oci_observability_list_metrics", limit=100,
                      dimensions={"resourceId": instance(cloud)})
    assert {row["name"] for row in some["metrics"]} >= {
        "CpuUtilization", "MemoryUtilization", "DiskIopsRead"}
    with cloud.fault("monitoring.ListMetrics", status=404):
        assert cloud.fails("oci_observability_list_metrics")[
            "category"] == "not_found"


# -- alarms


def test_alarms_with_their_states(cloud):
    found = cloud.call("oci_observability_list_alarms")
    there = cloud.table("monitoring/Alarm",
                        compartmentId=cloud.compartments["prod"])
    assert found["total"] == len(there) == 6
    assert found["firing_count"] == 3
    assert found["summary"] == {"CRITICAL": 3, "ERROR": 2, "WARNING": 1}
    by_name = {row["display_name"]: row for row in found["alarms"]}
    row = by_name["orders-cpu-high"]
    assert row["status"] == "FIRING" and row["severity"] == "CRITICAL"
    assert row["metric_name"] == "CpuUtilization"
    assert row["namespace"] == "oci_computeagent" and row["is_enabled"]
    assert row["time_triggered"] and row["summary"]
    assert by_name["shop-latency"]["status"] == "OK"


def test_alarms_filtered_and_paged(cloud):
    firing = cloud.pages("oci_observability_list_alarms", "alarms", limit=2,
                         status="FIRING")
    assert {row["display_name"] for row in firing} == {
        "orders-cpu-high", "payments-memory-high", "warehouse-storage"}
    found = cloud.call("oci_observability_list_alarms", severity="error")
    assert found["total"] == 2
    found = cloud.call("oci_observability_list_alarms", display_name="CPU")
    assert found["total"] == 1
    found = cloud.call("oci_observability_list_alarms", limit=200,
                       compartment_id=cloud.said["tenancy"],
                       include_subcompartments=True)
    assert found["total"] == 9
    assert "SUSPENDED" in {row["status"] for row in found["alarms"]}


def test_alarms_on_many_pages_of_the_service():
    with Cloud(sim=("--page-size", "2")) as cloud:
        found = cloud.call("oci_observability_list_alarms")
        assert found["total"] == 6 and found["firing_count"] == 3


def test_alarms_without_states(cloud):
    with cloud.fault("monitoring.ListAlarmsStatus", status=404):
        found = cloud.call("oci_observability_list_alarms")
        assert found["total"] == 6 and found["firing_count"] is None
        assert found["status_error"]
        assert cloud.fails("oci_observability_list_alarms",
                           status="FIRING")["category"] == "not_found"


def test_alarms_that_fail(cloud):
    with cloud.fault("monitoring.ListAlarms$", status=403,
                     code="NotAllowed"):
        error = cloud.fails("oci_observability_list_alarms")
    assert error["category"] == "authorization"


def test_one_alarm(cloud):
    there = alarm(cloud)
    found = cloud.call("oci_observability_get_alarm", alarm_id=there["id"])
    assert found["status"] == "FIRING" and found["query"] == there["query"]
    assert found["pending_duration"] == "PT5M"
    assert found["destinations"] == there["destinations"]
    assert found["body"] == there["body"]
    error = cloud.fails("oci_observability_get_alarm",
                        alarm_id="ocid1.alarm.oc1.iad.nowhere")
    assert error["category"] == "not_found"


def test_alarm_history(cloud):
    there = alarm(cloud)
    found = cloud.call("oci_observability_get_alarm_history",
                       alarm_id=there["id"], window="7d")
    assert found["alarm_name"] == "orders-cpu-high"
    assert found["count"] == len(found["events"]) == 7
    assert [event["status"] for event in found["events"]] == [
        "FIRING", "OK"] * 3 + ["FIRING"]
    assert all(event["message"] and event["timestamp"]
               for event in found["events"])
    assert found["events"][0]["transition"] == \
        "State transitioned from OK to Firing"
    few = cloud.call("oci_observability_get_alarm_history",
                     alarm_id=there["id"], window="3h")
    assert 0 < few["count"] < 7
    assert all(when(event["timestamp"]) >= when(few["start_time"])
               for event in few["events"])
    error = cloud.fails("oci_observability_get_alarm_history",
                        alarm_id="ocid1.alarm.oc1.iad.nowhere")
    assert error["category"] == "not_found"


def test_overview(cloud):
    found = cloud.call("oci_observability_overview", window="7d")
    assert found["compartment_name"] == "prod"
    alarms = found["alarms_summary"]
    assert alarms["total"] == 6 and alarms["firing_count"] == 3
    assert alarms["by_severity"] == {"CRITICAL": 3, "ERROR": 2, "WARNING": 1}
    assert alarms["triggered_in_window"] == 3
    assert {row["display_name"] for row in alarms["firing"]} == {
        "orders-cpu-high", "payments-memory-high", "warehouse-storage"}
    sources = found["log_sources_summary"]
    assert sources["total"] == 9
    assert sources["by_type"] == {"os_file": 5, "os_rest": 3,
                                  "os_windows_sys": 1}
    assert "critical" in found["recommendations"][0]
    assert cloud.call("oci_observability_overview", window="15m")[
        "alarms_summary"]["triggered_in_window"] == 0


def test_overview_of_what_can_be_read(cloud):
    with cloud.fault("log_analytics.ListNamespaces", status=404):
        found = cloud.call("oci_observability_overview")
    assert found["log_sources_summary"]["error"]
    assert found["alarms_summary"]["total"] == 6
    with cloud.fault("monitoring.ListAlarms", status=404):
        found = cloud.call("oci_observability_overview",
                           include_log_sources=False)
    assert found["alarms_summary"]["error"]
    assert "log_sources_summary" not in found
    error = cloud.fails("oci_observability_overview",
                        compartment_id="ocid1.vcn.oc1.iad.x")
    assert error["category"] == "validation"


# -- logs


def test_log_query(cloud):
    found = cloud.call("oci_observability_execute_log_query", query="*",
                       time_range="2h", limit=1000)
    assert found["namespace"] == "acmens" and found["complete"] is True
    assert found["count"] == found["total"] == len(found["results"])
    assert 23 <= found["count"] <= 25
    assert found["columns"] == ["Time", "Log Source", "Severity",
                                "Original Log Content"]
    assert set(found["results"][0]) == set(found["columns"])
    counts = cloud.call("oci_observability_execute_log_query",
                        query="* | stats count by 'Severity'",
                        time_range="2h")
    assert sum(row["Count"] for row in counts["results"]) == found["count"]


def test_log_query_says_when_there_is_more(cloud):
    found = cloud.call("oci_observability_execute_log_query", query="*",
                       time_range="1d", limit=5)
    assert found["count"] == 5 and found["complete"] is False


def test_log_query_that_fails(cloud):
    error = cloud.fails("oci_observability_execute_log_query",
                        query="* | frobnicate")
    assert error["category"] == "validation"
    assert "frobnicate" in error["error"]
    error = cloud.fails("oci_observability_execute_log_query", query="*",
                        time_range="60")
    assert error["category"] == "validation"
    with cloud.fault("log_analytics.ListNamespaces", body={"items": []}):
        error = cloud.fails("oci_observability_execute_log_query", query="*")
    assert error["category"] == "not_found"
    assert "search_logs" in error["suggestion"]


def test_log_query_tells_how_far_it_is(cloud):
    with cloud.gateway.client() as client:
        response = client.modern("tools/call", {
            "name": "oci_observability_execute_log_query",
            "arguments": {"query": "*"}},
            meta=client_meta(progressToken=7))
        notes = [m["params"] for m in response.messages
                 if m.get("method") == "notifications/progress"]
    assert [n["progressToken"] for n in notes] == [7]


def test_log_sources(cloud):
    found = cloud.pages("oci_observability_list_log_sources", "sources",
                        limit=4)
    there = cloud.table("log_analytics/LogAnalyticsSource")
    assert {row["name"] for row in found} == {row["name"] for row in there}
    assert len(found) == 9
    row = [r for r in found if r["name"] == "LinuxSyslogSource"][0]
    assert row["display_name"] == "Linux Syslog Logs"
    assert row["source_type"] == "os_file"
    assert row["entity_types"] == ["host (linux)"]
    some = cloud.call("oci_observability_list_log_sources",
                      name_contains="LINUX")
    assert some["total"] == 2
    some = cloud.call("oci_observability_list_log_sources",
                      source_type="OS_REST", limit=1, offset=1)
    assert some["total"] == 3 and some["count"] == 1 and some["has_more"]
    with cloud.fault("log_analytics.ListSources", status=404):
        assert cloud.fails("oci_observability_list_log_sources")[
            "category"] == "not_found"


def group(cloud):
    return cloud.one("logging/LogGroup", displayName="prod-logs")["id"]


def test_log_groups(cloud):
    found = cloud.call("oci_observability_list_log_groups")
    assert [row["display_name"] for row in found["log_groups"]] == [
        "prod-logs"]
    found = cloud.pages("oci_observability_list_log_groups", "log_groups",
                        compartment_id=cloud.said["tenancy"], limit=1,
                        include_subcompartments=True)
    assert {row["id"] for row in found} == {
        row["id"] for row in cloud.table("logging/LogGroup")}
    with cloud.fault("logging.ListLogGroups", status=404):
        assert cloud.fails("oci_observability_list_log_groups")[
            "category"] == "not_found"


def test_logs_of_a_group(cloud):
    found = cloud.pages("oci_observability_list_logs", "logs", limit=2,
                        log_group_id=group(cloud))
    assert {row["display_name"]: row["log_type"] for row in found} == {
        "orders": "CUSTOM", "web-access": "SERVICE", "flow": "SERVICE"}
    services = {row["display_name"]: row["source_service"] for row in found}
    assert services["flow"] == "flowlogs" and services["orders"] is None
    error = cloud.fails("oci_observability_list_logs",
                        log_group_id="ocid1.loggroup.oc1.iad.nowhere")
    assert error["category"] == "not_found"


def test_log_search(cloud):
    found = cloud.call("oci_observability_search_logs", time_range="2h")
    assert found["count"] >= 30 and found["has_more"] is False
    times = [when(row["time"]) for row in found["results"]]
    assert times == sorted(times, reverse=True)
    row = found["results"][0]
    assert row["log_group_id"] == group(cloud)
    assert set(row["data"]) == {"level", "message", "order"}


def test_log_search_in_one_log(cloud):
    log = cloud.one("logging/Log", displayName="orders")["id"]
    found = cloud.call("oci_observability_search_logs", time_range="7d",
                       log_group_id=group(cloud), log_id=log, limit=10)
    assert found["count"] == 10 and found["has_more"] is True
    assert {row["log_id"] for row in found["results"]} == {log}


def test_log_search_for_a_text(cloud):
    found = cloud.call("oci_observability_search_logs", time_range="1d",
                       contains="connection reset", limit=1000)
    assert found["query"] == 'search "%s" | where logContent = ' \
        "'*connection reset*' | sort by datetime desc" % \
        cloud.compartments["prod"]
    assert all("connection reset" in row["data"]["message"]
               for row in found["results"])


def test_log_search_with_a_query(cloud):
    query = 'search "%s" | where data.level = \'error\'' % \
        cloud.compartments["prod"]
    found = cloud.call("oci_observability_search_logs", query=query,
                       time_range="1d")
    assert found["count"] and found["query"] == query
    assert {row["data"]["level"] for row in found["results"]} == {"error"}


@pytest.mark.parametrize("arguments", [
    {"time_range": "15d"}, {"time_range": "later"}, {"contains": "it's"},
    {"query": "search", "contains": "x"},
    {"log_id": "ocid1.log.oc1.iad.x"},
])
def test_log_search_that_is_refused(cloud, arguments):
    assert cloud.fails("oci_observability_search_logs", **arguments)[
        "category"] == "validation"


def test_log_search_that_fails(cloud):
    with cloud.fault("loggingsearch.SearchLogs", status=403,
                     code="NotAllowed"):
        error = cloud.fails("oci_observability_search_logs")
    assert error["category"] == "authorization"
