"""The tools of databases, against a simulated tenancy."""

import pytest

from cloud import Cloud, Failed
from messages import client_meta

GET = "database.GetAutonomousDatabase"


def autonomous(cloud, name):
    return cloud.one("database/AutonomousDatabase", displayName=name)


def of_prod(cloud, kind):
    return cloud.table(kind, compartmentId=cloud.compartments["prod"])


# -- lists


LISTS = [
    ("oci_database_list_autonomous", "database/AutonomousDatabase", "prod", 5),
    ("oci_database_list_dbsystems", "database/DbSystem", "prod", 2),
    ("oci_database_list_mysql", "mysql/DbSystem", "prod", 1),
]


@pytest.mark.parametrize("tool, kind, where, count", LISTS,
                         ids=[row[0] for row in LISTS])
def test_lists(cloud, tool, kind, where, count):
    compartment = cloud.compartments[where]
    there = {row["id"]: row for row in cloud.table(
        kind, compartmentId=compartment)}
    page = cloud.call(tool, compartment_id=compartment)
    assert page["total"] == page["count"] == count
    for row in page["items"]:
        real = there[row["id"]]
        assert row["display_name"] == real["displayName"]
        assert row["lifecycle_state"] == real["lifecycleState"]
        assert row["time_created"] == real["timeCreated"]
    assert [row["id"] for row in page["items"]] == [
        row["id"] for row in cloud.pages(tool, "items", limit=1)]


@pytest.mark.parametrize("tool", [row[0] for row in LISTS])
def test_lists_of_a_compartment_that_is_not_there(cloud, tool):
    error = cloud.fails(tool,
                        compartment_id="ocid1.compartment.oc1..nothing")
    assert error["category"] == "not_found"
    assert error["details"]["status"] == 404


def test_filters_come_before_paging(cloud):
    page = cloud.call("oci_database_list_autonomous", workload_type="DW",
                      limit=1, offset=1)
    assert page["count"] == 1 and page["has_more"] is False
    page = cloud.call("oci_database_list_autonomous", display_name="SDB")
    assert {row["display_name"] for row in page["items"]} == {
        "ordersdb", "paymentsdb"}
    page = cloud.call("oci_database_list_autonomous",
                      lifecycle_state="stopped")
    assert [row["display_name"] for row in page["items"]] == ["reports"]
    error = cloud.fails("oci_database_list_autonomous", lifecycle_state="OFF")
    assert error["category"] == "validation"


def test_get_autonomous(cloud):
    real = autonomous(cloud, "warehouse")
    row = cloud.call("oci_database_get_autonomous", database_id=real["id"])
    assert row["db_name"] == "WAREHOUSE" and row["db_workload"] == "DW"
    assert row["data_storage_size_in_tbs"] == 8
    assert row["connection_strings"] == {
        level: real["connectionStrings"][level]
        for level in ("high", "medium", "low")}
    error = cloud.fails("oci_database_get_autonomous",
                        database_id=real["id"][:-4] + "none")
    assert error["category"] == "not_found"
    error = cloud.fails("oci_database_get_autonomous",
                        database_id=cloud.said["instance"])
    assert error["category"] == "validation"
    assert "autonomousdatabase" in error["error"]


def test_get_dbsystem(cloud):
    real = cloud.one("database/DbSystem", displayName="erp")
    row = cloud.call("oci_database_get_dbsystem", db_system_id=real["id"])
    assert row["shape"] == real["shape"] and row["node_count"] == 2
    assert row["version"] == "19.24.0.0.0"


# -- start and stop


def test_start_and_wait(cloud):
    real = autonomous(cloud, "reports")
    found = cloud.call("oci_database_start_autonomous",
                       database_id=real["id"], wait_for_state=True)
    assert found["success"] and found["changed"]
    assert found["previous_state"] == "STOPPED"
    assert found["database"]["lifecycle_state"] == "AVAILABLE"
    assert "workrequest" in found["work_request_id"]
    again = cloud.call("oci_database_start_autonomous",
                       database_id=real["id"])
    assert again["changed"] is False
    assert again["work_request_id"] is None


def test_waiting_tells_its_progress(cloud):
    meta = client_meta(progressToken="tok")
    with cloud.gateway.client() as client:
        response = client.modern("tools/call", {
            "name": "oci_database_start_autonomous", "arguments": {
                "database_id": autonomous(cloud, "playground")["id"],
                "wait_for_state": True}}, meta=meta)
        seen = [m["params"] for m in response.messages
                if m.get("method") == "notifications/progress"]
        result = response.result["structuredContent"]
    assert result["database"]["lifecycle_state"] == "AVAILABLE"
    assert seen and {p["progressToken"] for p in seen} == {"tok"}
    steps = [p["progress"] for p in seen]
    assert steps == sorted(set(steps)) and 0 < steps[-1] <= 1


def test_stop_needs_consent(cloud):
    real = autonomous(cloud, "ordersdb")
    error = cloud.fails("oci_database_stop_autonomous",
                        database_id=real["id"])
    assert error["category"] == "validation" and "confirm" in error["error"]
    dry = cloud.call("oci_database_stop_autonomous", database_id=real["id"],
                     dry_run=True)
    assert dry["dry_run"] and not dry["changed"]
    assert autonomous(cloud, "ordersdb")["lifecycleState"] == "AVAILABLE"
    done = cloud.call("oci_database_stop_autonomous", database_id=real["id"],
                      confirm=True, wait_for_state=True)
    assert done["database"]["lifecycle_state"] == "STOPPED"
    assert done["target_state"] == "STOPPED"


@pytest.mark.parametrize("tool, name, state", [
    ("oci_database_start_autonomous", "scratch", "TERMINATED"),
    ("oci_database_stop_autonomous", "oldtests", "UNAVAILABLE")])
def test_states_that_refuse(cloud, tool, name, state):
    error = cloud.fails(tool, database_id=autonomous(cloud, name)["id"],
                        **({"confirm": True} if "stop" in tool else {}))
    assert error["category"] == "service" and state in error["error"]


def test_a_conflict_on_the_way(cloud):
    """A change is sent once: whoever sees the conflict decides."""
    real = autonomous(cloud, "reports")
    with cloud.fault("database.StartAutonomousDatabase", status=409,
                     code="IncorrectState", message="Try later.", times=1):
        error = cloud.fails("oci_database_start_autonomous",
                            database_id=real["id"])
    assert error["category"] == "service"
    assert error["details"]["status"] == 409
    assert error["details"]["code"] == "IncorrectState"
    assert cloud.call("oci_database_start_autonomous",
                      database_id=real["id"])["changed"]


def test_the_end_of_patience(cloud):
    cloud.tenancy.control("POST", "settle", {"delay_s": 60})
    try:
        error = cloud.fails("oci_database_start_autonomous",
                            database_id=autonomous(cloud, "reports")["id"],
                            wait_for_state=True, max_wait_seconds=1)
    finally:
        cloud.tenancy.control("POST", "settle", {"delay_s": 0.2})
    assert error["category"] == "timeout" and "STARTING" in error["error"]


def test_annotations(cloud):
    tools = cloud.definitions()
    stop = tools["oci_database_stop_autonomous"]["annotations"]
    assert stop["destructiveHint"] is True and not stop["readOnlyHint"]
    start = tools["oci_database_start_autonomous"]["annotations"]
    assert start["destructiveHint"] is False and not start["readOnlyHint"]


def test_without_mutations():
    with Cloud(allow_mutations=False) as cloud:
        assert "oci_database_stop_autonomous" not in cloud.definitions()
        with pytest.raises((Failed, AssertionError)):
            cloud.call("oci_database_stop_autonomous", confirm=True,
                       database_id=autonomous(cloud, "ordersdb")["id"])
        assert autonomous(cloud, "ordersdb")["lifecycleState"] == "AVAILABLE"


# -- metrics


def points(cloud, namespace, query, compartment, hours):
    """The same question, asked by another client."""
    import datetime
    end = datetime.datetime.now(datetime.timezone.utc)
    start = end - datetime.timedelta(hours=hours)
    answer = cloud.tenancy.client().call(
        "POST", "/20180401/metrics/actions/summarizeMetricsData"
        "?compartmentId=" + compartment, {
            "namespace": namespace, "query": query,
            "startTime": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "endTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")})
    assert answer.status == 200, answer.body
    return [p["value"] for stream in answer.value
            for p in stream["aggregatedDatapoints"]]


def test_metrics_are_those_of_the_database(cloud):
    real = autonomous(cloud, "warehouse")
    found = cloud.call("oci_database_get_metrics", database_id=real["id"],
                       hours_back=6)
    assert found["database"] == "warehouse" and found["hours_back"] == 6
    assert found["namespace"] == "oci_autonomous_database"
    assert set(found["metrics"]) == {"CpuUtilization", "StorageUtilization",
                                     "Sessions", "ExecuteCount"}
    storage = found["metrics"]["StorageUtilization"]
    query = 'StorageUtilization[5m]{resourceId = "%s"}.' % real["id"]
    args = (real["compartmentId"], 6)
    means = points(cloud, "oci_autonomous_database", query + "mean()", *args)
    assert storage["average"] == pytest.approx(sum(means) / len(means),
                                               abs=0.5)
    assert storage["max"] == pytest.approx(max(points(
        cloud, "oci_autonomous_database", query + "max()", *args)), abs=0.5)
    assert storage["min"] <= storage["average"] <= storage["max"]
    assert storage["unit"] == "percent" and storage["points"] > 60
    # It is full; the others of the compartment are not.
    assert storage["min"] > 85


def test_metrics_of_a_system_are_those_of_its_databases(cloud):
    real = cloud.one("database/DbSystem", displayName="erp")
    found = cloud.call("oci_database_get_metrics", database_id=real["id"],
                       metric_names=["CpuUtilization"], hours_back=1)
    assert found["metrics"]["CpuUtilization"]["points"] >= 55
    database = cloud.one("database/Database", dbSystemId=real["id"])
    same = cloud.call("oci_database_get_metrics", database_id=database["id"],
                      metric_names=["CpuUtilization"], hours_back=1)
    assert same["metrics"]["CpuUtilization"]["average"] == pytest.approx(
        found["metrics"]["CpuUtilization"]["average"], abs=1)


def test_a_metric_that_does_not_exist(cloud):
    real = autonomous(cloud, "warehouse")
    found = cloud.call("oci_database_get_metrics", database_id=real["id"],
                       metric_names=["Happiness", "Sessions"])
    assert found["metrics"]["Happiness"]["points"] == 0
    assert "no data" in found["metrics"]["Happiness"]["error"]
    assert found["metrics"]["Sessions"]["points"] > 0


def test_metrics_that_are_refused(cloud):
    with cloud.fault("monitoring.SummarizeMetricsData", status=403,
                     code="NotAuthorized", message="No."):
        error = cloud.fails("oci_database_get_metrics",
                            database_id=autonomous(cloud, "warehouse")["id"])
    assert error["category"] == "authorization"


# -- backups


BACKUPS = {"autonomous": "database/AutonomousDatabaseBackup",
           "db_system": "database/Backup", "mysql": "mysql/Backup"}


@pytest.mark.parametrize("kind", [*BACKUPS, "all"])
def test_backups_of_a_compartment(cloud, kind):
    kinds = BACKUPS.values() if kind == "all" else [BACKUPS[kind]]
    real = {row["id"] for k in kinds for row in of_prod(cloud, k)}
    assert real
    rows = cloud.pages("oci_database_list_backups", "items", limit=7,
                       database_type=kind)
    assert {row["id"] for row in rows} == real
    times = [row["time_started"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert {row["database_type"] for row in rows} == (
        set(BACKUPS) if kind == "all" else {kind})


def test_backups_of_a_database(cloud):
    real = autonomous(cloud, "warehouse")
    rows = cloud.call("oci_database_list_backups", database_id=real["id"])
    assert rows["total"] == 4
    assert {row["database_id"] for row in rows["items"]} == {real["id"]}
    assert rows["items"][0]["database_size_in_gbs"] == pytest.approx(819.2)
    assert "FAILED" in {row["lifecycle_state"] for row in rows["items"]}


def test_backups_of_systems(cloud):
    erp = cloud.one("database/DbSystem", displayName="erp")
    rows = cloud.call("oci_database_list_backups", database_id=erp["id"])
    assert rows["total"] == 3
    assert rows["items"][0]["database_type"] == "db_system"
    mysql = cloud.one("mysql/DbSystem", displayName="shopfront")
    rows = cloud.call("oci_database_list_backups", database_id=mysql["id"])
    assert rows["total"] == 2
    assert rows["items"][0]["database_type"] == "mysql"


def test_backups_when_one_list_fails(cloud):
    with cloud.fault("mysql.ListBackups", status=404,
                     code="NotAuthorizedOrNotFound", message="no"):
        rows = cloud.call("oci_database_list_backups", database_type="all",
                          limit=100)
        error = cloud.fails("oci_database_list_backups",
                            database_type="mysql")
    assert rows["total"] is None and len(rows["errors"]) == 1
    assert {r["database_type"] for r in rows["items"]} == {"autonomous",
                                                          "db_system"}
    assert error["category"] == "not_found"


# -- troubleshooting


def test_troubleshoot(cloud):
    real = autonomous(cloud, "warehouse")
    found = cloud.call("oci_skill_troubleshoot_database",
                       database_id=real["id"])
    details = found["details"]
    assert found["success"] and details["database"]["state"] == "AVAILABLE"
    # Measured, not invented: it is nearly full, and a backup has failed.
    assert details["metrics"]["storage"]["current"] > 85
    assert details["backups"]["failed"] == 1
    areas = {row["area"] for row in found["findings"]}
    assert {"storage", "backup"} <= areas
    assert details["health_status"] in ("WARNING", "CRITICAL")
    assert found["unavailable"] == [] and found["recommendations"]


def test_troubleshoot_what_is_stopped(cloud):
    found = cloud.call("oci_skill_troubleshoot_database",
                       database_id=autonomous(cloud, "reports")["id"])
    assert found["details"]["health_status"] == "CRITICAL"
    assert "STOPPED" in found["findings"][0]["message"]
    assert any("CpuUtilization" in line for line in found["unavailable"])


def test_troubleshoot_a_system(cloud):
    found = cloud.call("oci_skill_troubleshoot_database",
                       issue_type="performance", database_id=cloud.one(
                           "database/DbSystem", displayName="erp")["id"])
    assert set(found["details"]["metrics"]) == {"cpu", "sessions",
                                                "executions"}
    assert "backups" not in found["details"]


def test_troubleshoot_nothing(cloud):
    error = cloud.fails(
        "oci_skill_troubleshoot_database",
        database_id="ocid1.autonomousdatabase.oc1.iad.nothing")
    assert error["category"] == "not_found"
