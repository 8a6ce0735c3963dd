"""Troubleshooting an instance, against a simulated tenancy."""

from messages import client_meta

TOOL = "oci_skill_troubleshoot_instance"


def examine(cloud, name, **arguments):
    there = cloud.one("core/Instance", displayName=name)
    found = cloud.call(TOOL, instance_id=there["id"], **arguments)
    assert found["skill_name"] == "troubleshoot_instance"
    assert found["success"] is True and found["execution_time_ms"] >= 0
    assert found["details"]["instance_id"] == there["id"]
    assert found["details"]["instance"]["name"] == name
    assert found["details"]["instance"]["state"] == there["lifecycleState"]
    assert found["details"]["instance"]["shape"] == there["shape"]
    return found


def test_a_busy_instance(cloud):
    found = examine(cloud, "orders-2")
    details = found["details"]
    assert details["health_status"] == "CRITICAL"
    assert details["metrics"]["cpu_status"] == "CRITICAL"
    assert 91 <= details["metrics"]["cpu"]["average"] <= 95
    assert details["metrics"]["memory_status"] == "NORMAL"
    assert "CPU is exhausted" in found["recommendations"][0]
    assert "CRITICAL" in found["summary"]


def test_an_alarm_that_fires_for_it_and_not_for_others(cloud):
    alarms = examine(cloud, "orders-2")["details"]["alarms"]
    assert alarms["firing_count"] == 1
    assert [row["display_name"] for row in alarms["firing"]] == [
        "orders-cpu-high"]
    assert {row["display_name"] for row in alarms["all_related"]} == {
        "orders-cpu-high", "payments-memory-high"}
    alarms = examine(cloud, "orders-1")["details"]["alarms"]
    assert alarms["firing_count"] == 0 and alarms["firing"] == []
    assert alarms["total_related"] == 2


def test_memory(cloud):
    found = examine(cloud, "payments-1", time_window="3h")
    assert found["details"]["metrics"]["memory_status"] == "CRITICAL"
    assert found["details"]["time_window"] == "3h"
    assert any("Memory" in text for text in found["recommendations"])


def test_a_healthy_instance(cloud):
    found = examine(cloud, "web-1")
    assert found["details"]["health_status"] == "HEALTHY"
    assert found["details"]["logs"]["error_count"] == 0
    assert found["recommendations"] == []


def test_one_that_does_not_run(cloud):
    found = examine(cloud, "batch-2")
    assert found["details"]["health_status"] == "CRITICAL"
    assert found["details"]["instance"]["warning"]
    assert found["details"]["metrics"]["cpu_status"] == "UNKNOWN"
    assert "oci_compute_start_instance" in found["recommendations"][0]


def test_parts_and_more(cloud):
    found = examine(cloud, "web-1", include_logs=False, check_alarms=False,
                    verbose=True, include_raw_data=True)
    assert "logs" not in found["details"]
    assert "alarms" not in found["details"]
    assert {row["step"]: row["status"] for row in found["progress"]} == {
        "get_instance": "success", "get_metrics": "success",
        "check_logs": "skipped", "check_alarms": "skipped",
        "analyze": "success"}
    assert found["raw_data"]["instance"]["displayName"] == "web-1"
    assert found["raw_data"]["cpu"][0]["name"] == "CpuUtilization"


def test_what_cannot_be_read_does_not_end_it(cloud):
    with cloud.fault("monitoring|log_analytics", status=404):
        found = examine(cloud, "web-1", verbose=True)
    details = found["details"]
    assert details["metrics"]["cpu_status"] == "UNKNOWN"
    assert details["metrics"]["cpu"]["error"]
    assert details["logs"]["status"] == "unavailable"
    assert details["logs"]["reason"]
    assert details["alarms"]["status"] == "unavailable"
    assert [row["status"] for row in found["progress"]] == [
        "success", "failed", "failed", "failed", "success"]


def test_failures(cloud):
    error = cloud.fails(TOOL, instance_id="ocid1.instance.oc1.iad.nowhere")
    assert error["category"] == "not_found"
    error = cloud.fails(TOOL, instance_id="ocid1.vnic.oc1.iad.x")
    assert error["category"] == "validation"
    ocid = cloud.one("core/Instance", displayName="web-1")["id"]
    error = cloud.fails(TOOL, instance_id=ocid, time_window="a day")
    assert error["category"] == "validation"


def test_it_tells_how_far_it_is(cloud):
    ocid = cloud.one("core/Instance", displayName="web-1")["id"]
    with cloud.gateway.client() as client:
        response = client.modern("tools/call", {
            "name": TOOL, "arguments": {"instance_id": ocid}},
            meta=client_meta(progressToken="tok"))
        steps = [m["params"]["progress"] for m in response.messages
                 if m.get("method") == "notifications/progress"]
    assert len(steps) >= 3 and steps == sorted(set(steps))


def test_the_text(cloud):
    ocid = cloud.one("core/Instance", displayName="orders-2")["id"]
    text = cloud.text(TOOL, instance_id=ocid)
    assert "CRITICAL" in text and "orders-2" in text
    assert "orders-cpu-high" in text
