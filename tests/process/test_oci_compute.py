"""The tools of compute, against a simulated tenancy: values, pages, actions,
failures."""

import pytest

from cloud import Cloud
from messages import LEGACY, client_meta

STATES = "MOVING PROVISIONING RUNNING STARTING STOPPED STOPPING " \
    "TERMINATED TERMINATING CREATING_IMAGE".split()
NOWHERE = "ocid1.instance.oc1.iad.nowhere"


def instances(cloud, where="prod"):
    return cloud.table("core/Instance",
                       compartmentId=cloud.compartments[where])


def instance(cloud, name):
    return cloud.one("core/Instance", displayName=name)


def named(rows):
    return [row["display_name"] for row in rows]


# -- listing


def test_list_shows_what_there_is(cloud):
    found = {row["id"]: row for row in cloud.pages(
        "oci_compute_list_instances", "instances", limit=7)}
    there = {row["id"]: row for row in instances(cloud)}
    assert set(found) == set(there) and len(found) == 20
    for ocid, row in found.items():
        assert row["display_name"] == there[ocid]["displayName"]
        assert row["lifecycle_state"] == there[ocid]["lifecycleState"]
        assert row["shape"] == there[ocid]["shape"]
        assert row["availability_domain"] == there[ocid]["availabilityDomain"]
        assert row["fault_domain"] == there[ocid]["faultDomain"]
        assert row["compartment_id"] == cloud.compartments["prod"]
        assert row["time_created"] == there[ocid]["timeCreated"]
        assert row["public_ip"] is None and row["private_ip"] is None


def test_list_knows_the_total_when_it_read_everything(cloud):
    page = cloud.call("oci_compute_list_instances", limit=100)
    assert page["total"] == page["count"] == 20
    assert page["has_more"] is False and page["next_offset"] is None
    assert sum(page["states"].values()) == 20
    assert page["states"]["STOPPED"] == 2
    page = cloud.call("oci_compute_list_instances", offset=30)
    assert page["total"] == 20 and page["count"] == 0


def test_list_filters_before_paging(cloud):
    page = cloud.call("oci_compute_list_instances", display_name="ORDERS",
                      limit=3)
    assert page["total"] == 4 and page["count"] == 3 and page["has_more"]
    assert all("orders" in name for name in named(page["instances"]))
    page = cloud.call("oci_compute_list_instances", display_name="orders",
                      limit=3, offset=3)
    assert page["count"] == 1 and not page["has_more"]
    page = cloud.call("oci_compute_list_instances", lifecycle_state="STOPPED")
    assert sorted(named(page["instances"])) == ["batch-2", "forecast-1"]


def test_list_follows_the_pages_of_the_service():
    with Cloud(sim=("--page-size", "4")) as cloud:
        with cloud.fault("core.ListInstances", times=1, empty_page=True):
            assert len(cloud.pages("list_instances", "instances")) == 20


def test_list_with_addresses(cloud):
    page = cloud.call("oci_compute_list_instances", include_ips=True,
                      limit=100)
    vnics = {row["_instance"] if "_instance" in row else row["displayName"]:
             row for row in cloud.table("core/Vnic")}
    for row in page["instances"]:
        vnic = vnics.get(row["id"]) or vnics[row["display_name"]]
        assert row["private_ip"] == vnic["privateIp"]
        assert row["public_ip"] == vnic["publicIp"]
    assert sum(bool(row["public_ip"]) for row in page["instances"]) == 4


def test_list_asks_once_for_all_attachments(cloud):
    cloud.tenancy.control("DELETE", "requests")
    cloud.call("oci_compute_list_instances", include_ips=True, limit=5)
    asked = [row["operation"] for row in cloud.requests()]
    assert asked.count("core.ListVnicAttachments") == 1
    assert asked.count("core.GetVnic") == 5


def test_list_without_the_network_is_still_a_list(cloud):
    with cloud.fault("core.ListVnicAttachments", status=404):
        page = cloud.call("oci_compute_list_instances", include_ips=True)
    assert page["count"] == 20 and page["network_error"]
    assert not any(row["private_ip"] for row in page["instances"])


def test_other_compartments_and_regions(cloud):
    page = cloud.call("oci_compute_list_instances", limit=100,
                      compartment_id=cloud.compartments["dev"])
    assert page["compartment_id"] == cloud.compartments["dev"]
    assert page["total"] == 12


def test_alias_and_params_and_old_protocol(cloud):
    flat = cloud.call("oci_compute_list_instances", limit=5)
    assert cloud.call("list_instances", limit=5) == flat
    assert cloud.call("list_instances", params={"limit": 5}) == flat
    for version in LEGACY:
        result = cloud.result("list_instances", {"limit": 5}, version)
        # The oldest revision has only the text.
        assert result.get("structuredContent", flat) == flat
        assert ("structuredContent" in result) == (version > "2025-03-26")


def test_the_text_is_a_table_or_json(cloud):
    text = cloud.text("oci_compute_list_instances", limit=2)
    assert "| Name | State | Shape |" in text
    assert "call again with offset 2" in text
    result = cloud.result("oci_compute_list_instances",
                          {"limit": 2, "response_format": "json"})
    assert '\n  "instances": [\n' in result["content"][0]["text"]


@pytest.mark.parametrize("arguments, word", [
    ({"limit": 0}, "limit"), ({"limit": 101}, "limit"),
    ({"offset": -1}, "offset"), ({"lifecycle_state": "DEAD"}, "RUNNING"),
    ({"displayname": "x"}, "display_name"),
    ({"compartment_id": NOWHERE}, "compartment"),
    ({"region": "us-ashbrun-1"}, "us-ashburn-1"),
])
def test_arguments_that_are_refused(cloud, arguments, word):
    cloud.tenancy.control("DELETE", "requests")
    error = cloud.fails("oci_compute_list_instances", **arguments)
    assert error["category"] == "validation"
    assert word in error["error"]
    assert cloud.requests() == []


def test_a_compartment_that_is_not_there(cloud):
    error = cloud.fails("oci_compute_list_instances",
                        compartment_id="ocid1.compartment.oc1..nowhere")
    assert error["category"] == "not_found"
    assert error["details"]["status"] == 404
    assert error["details"]["code"] == "NotAuthorizedOrNotFound"
    assert error["details"]["opc_request_id"]


def test_too_many_requests_once_is_not_seen(cloud):
    with cloud.fault("core.ListInstances", times=1, status=429):
        assert cloud.call("oci_compute_list_instances")["count"] == 20


# -- one instance


def test_get(cloud):
    there = instance(cloud, "orders-1")
    found = cloud.call("oci_compute_get_instance", instance_id=there["id"])
    assert found["display_name"] == "orders-1"
    assert found["region"] == there["region"]
    assert found["image_id"] == there["imageId"]
    assert found["shape_config"]["ocpus"] == there["shapeConfig"]["ocpus"]
    assert found["shape_config"]["memory_in_gbs"] == \
        there["shapeConfig"]["memoryInGBs"]
    assert found["freeform_tags"] == {"fleet": "orders"}
    vnic = cloud.one("core/Vnic", displayName="orders-1")
    assert found["private_ip"] == vnic["privateIp"]
    assert found["vnics"] == [{
        "id": vnic["id"], "display_name": "orders-1", "is_primary": True,
        "public_ip": None, "private_ip": vnic["privateIp"],
        "hostname_label": "orders-1", "subnet_id": vnic["subnetId"],
        "nsg_ids": vnic["nsgIds"]}]
    assert "metrics" not in found


def test_get_with_metrics(cloud):
    found = cloud.call("oci_compute_get_instance", include_metrics=True,
                       instance_id=instance(cloud, "orders-2")["id"])
    cpu = found["metrics"]["CpuUtilization"]["statistics"]
    assert 91 <= cpu["min"] <= cpu["average"] <= cpu["max"] <= 95
    memory = found["metrics"]["MemoryUtilization"]["statistics"]
    assert 0 < memory["average"] < 100


def test_get_what_is_not_there(cloud):
    error = cloud.fails("oci_compute_get_instance", instance_id=NOWHERE)
    assert error["category"] == "not_found"
    error = cloud.fails("oci_compute_get_instance",
                        instance_id="ocid1.vcn.oc1.iad.x")
    assert error["category"] == "validation" and "vcn" in error["error"]
    assert cloud.fails("oci_compute_get_instance")["category"] == "validation"


def test_short_metrics(cloud):
    found = cloud.call("get_instance_metrics", hours_back=2,
                       instance_id=instance(cloud, "payments-1")["id"])
    assert found["time_window"] == "2h"
    assert found["metrics"]["MemoryUtilization"]["statistics"]["min"] >= 93
    assert set(found["metrics"]) == {"CpuUtilization", "MemoryUtilization"}
    found = cloud.call("get_instance_metrics", metric_names=["LoadAverage"],
                       instance_id=instance(cloud, "payments-1")["id"])
    assert found["metrics"]["LoadAverage"]["current"] > 0
    error = cloud.fails("get_instance_metrics", metric_names=["a[1m].max()"],
                        instance_id=instance(cloud, "payments-1")["id"])
    assert error["category"] == "validation"


# -- start, stop, restart


def actions(cloud):
    return [row["target"].partition("action=")[2] for row in cloud.requests()
            if row["operation"] == "core.InstanceAction"]


@pytest.mark.parametrize("verb, name, arguments, sent, said", [
    ("start", "batch-2", {}, "START", "start"),
    ("stop", "web-1", {"confirm": True}, "SOFTSTOP", "stop"),
    ("stop", "web-1", {"confirm": True, "force": True}, "STOP",
     "stop (forced)"),
    ("restart", "web-1", {"confirm": True}, "SOFTRESET", "restart (soft)"),
    ("restart", "web-1", {"confirm": True, "force": True}, "RESET",
     "restart (hard)"),
])
def test_action(cloud, verb, name, arguments, sent, said):
    cloud.tenancy.control("DELETE", "requests")
    there = instance(cloud, name)
    found = cloud.call("oci_compute_%s_instance" % verb,
                       instance_id=there["id"], **arguments)
    assert found["success"] is True and found["action"] == said
    assert found["previous_state"] == there["lifecycleState"]
    assert found["target_state"] == {"stop": "STOPPED"}.get(verb, "RUNNING")
    assert found["current_state"] in ("STARTING", "STOPPING")
    assert found["changed"] is True and name in found["message"]
    assert actions(cloud) == [sent]


def test_stop_and_start_wait(cloud):
    ocid = instance(cloud, "web-2")["id"]
    found = cloud.call("stop_instance", instance_id=ocid, confirm=True,
                       wait_for_state=True)
    assert found["current_state"] == "STOPPED" and found["target_reached"]
    assert instance(cloud, "web-2")["lifecycleState"] == "STOPPED"
    found = cloud.call("start_instance", instance_id=ocid,
                       wait_for_state=True)
    assert found["current_state"] == "RUNNING" and found["target_reached"]
    assert found["waited_seconds"] >= 1


def test_restart_waits(cloud):
    found = cloud.call("restart_instance", confirm=True, wait_for_state=True,
                       instance_id=instance(cloud, "web-3")["id"])
    assert found["current_state"] == "RUNNING" and found["target_reached"]


def test_waiting_tells_how_far_it_is(cloud):
    with cloud.gateway.client() as client:
        response = client.modern("tools/call", {
            "name": "stop_instance", "arguments": {
                "instance_id": instance(cloud, "web-4")["id"],
                "confirm": True, "wait_for_state": True}},
            meta=client_meta(progressToken="tok"))
        notes = [m["params"] for m in response.messages
                 if m.get("method") == "notifications/progress"]
    assert notes and all(n["progressToken"] == "tok" for n in notes)
    steps = [n["progress"] for n in notes]
    assert steps == sorted(set(steps)) and 0 < steps[-1] <= 1
    assert "STOPPING" in notes[0]["message"]


def test_nothing_is_done_twice(cloud):
    cloud.tenancy.control("DELETE", "requests")
    for tool, name, state in (("stop", "batch-2", "STOPPED"),
                              ("start", "web-1", "RUNNING"),
                              ("start", "build-4", "STARTING"),
                              ("stop", "integration-2", "STOPPING")):
        found = cloud.call("oci_compute_%s_instance" % tool,
                           instance_id=instance(cloud, name)["id"],
                           confirm=True)
        assert found["success"] is True and found["changed"] is False
        assert found["current_state"] == state
    assert actions(cloud) == []


def test_states_that_are_refused(cloud):
    for tool, name in (("restart", "batch-2"), ("start", "search-2"),
                       ("stop", "dev-web-3")):
        error = cloud.fails("oci_compute_%s_instance" % tool, confirm=True,
                            instance_id=instance(cloud, name)["id"])
        assert error["category"] == "service"
        assert instance(cloud, name)["lifecycleState"] in error["error"]


def test_dry_run(cloud):
    cloud.tenancy.control("DELETE", "requests")
    ocid = instance(cloud, "web-1")["id"]
    found = cloud.call("oci_compute_stop_instance", instance_id=ocid,
                       force=True, dry_run=True)
    assert found["dry_run"] is True and found["changed"] is False
    assert found["request"] == {"operation": "core/Compute/InstanceAction",
                                "instanceId": ocid, "action": "STOP"}
    assert actions(cloud) == []


def test_confirm_is_needed(cloud):
    cloud.tenancy.control("DELETE", "requests")
    for verb in ("stop", "restart"):
        error = cloud.fails("oci_compute_%s_instance" % verb,
                            instance_id=instance(cloud, "web-1")["id"])
        assert "confirm" in error["error"] + error["suggestion"]
    assert actions(cloud) == []


def test_a_conflict(cloud):
    with cloud.fault("core.InstanceAction", status=409, code="Conflict",
                     message="Somebody else was faster."):
        error = cloud.fails("oci_compute_stop_instance", confirm=True,
                            instance_id=instance(cloud, "web-1")["id"])
    assert error["category"] == "service"
    assert error["details"]["code"] == "Conflict"
    assert "faster" in error["error"]


def test_the_retry_of_an_action_has_its_token(cloud):
    cloud.tenancy.control("DELETE", "requests")
    with cloud.fault("core.InstanceAction", times=1, status=503):
        cloud.call("oci_compute_stop_instance", confirm=True,
                   instance_id=instance(cloud, "web-1")["id"])
    tokens = [row["headers"].get("opc-retry-token") for row in
              cloud.requests() if row["operation"] == "core.InstanceAction"]
    assert len(tokens) == 2 and tokens[0] and tokens[0] == tokens[1]


def test_annotations(cloud):
    tools = cloud.definitions()
    hints = {name: tools["oci_compute_%s_instance" % name]["annotations"]
             for name in ("start", "stop", "restart", "get")}
    assert [hints[n]["destructiveHint"] for n in hints] == [
        False, True, True, False]
    assert [hints[n]["readOnlyHint"] for n in hints] == [
        False, False, False, True]
    assert hints["restart"]["idempotentHint"] is False


def test_changes_that_are_not_allowed():
    with Cloud(allow_mutations=False) as cloud:
        tools = cloud.definitions()
        assert "oci_compute_get_instance" in tools
        assert "list_instances" in tools
        for name in ("oci_compute_start_instance", "stop_instance"):
            assert name not in tools
        with cloud.gateway.client() as client:
            response = client.modern("tools/call", {
                "name": "stop_instance", "arguments": {
                    "instance_id": instance(cloud, "web-1")["id"],
                    "confirm": True}})
            assert "Unknown tool" in response.error["message"]
        assert actions(cloud) == []


def test_changes_in_one_compartment_only():
    with Cloud() as first:
        dev = first.compartments["dev"]
    with Cloud(mutation_compartments=[dev]) as cloud:
        error = cloud.fails("stop_instance", confirm=True,
                            instance_id=instance(cloud, "web-1")["id"])
        assert error["category"] == "authorization"
        assert cloud.call("stop_instance", confirm=True, instance_id=instance(
            cloud, "dev-box-1")["id"])["success"]


# -- shapes, images, availability domains


def test_shapes(cloud):
    found = cloud.pages("oci_compute_list_shapes", "shapes", limit=3)
    assert "VM.Standard.E4.Flex" in {row["shape"] for row in found}
    flexible = cloud.call("oci_compute_list_shapes", shape="e5.flex")
    assert {row["shape"] for row in flexible["shapes"]} == {
        "VM.Standard.E5.Flex"}
    row = flexible["shapes"][0]
    assert row["is_flexible"] is True
    assert row["ocpu_options"]["max"] == 94
    assert row["memory_options"]["max_in_gbs"] == 1049


def test_images(cloud):
    found = cloud.pages("oci_compute_list_images", "images", limit=2)
    there = cloud.table("core/Image")
    assert {row["id"] for row in found} == {row["id"] for row in there}
    ubuntu = cloud.call("oci_compute_list_images",
                        operating_system="Canonical Ubuntu")["images"]
    assert [row["operating_system_version"] for row in ubuntu] == ["22.04"]
    named_so = cloud.call("oci_compute_list_images", display_name="AARCH64")
    assert named_so["total"] == 1


def test_availability_domains(cloud):
    found = cloud.call("oci_compute_list_availability_domains")
    assert found["total"] == 3
    assert {row["availability_domain"] for row in cloud.call(
        "list_instances", limit=100)["instances"]} == {
            row["name"] for row in found["availability_domains"]}


@pytest.mark.parametrize("tool, operation", [
    ("oci_compute_list_shapes", "core.ListShapes"),
    ("oci_compute_list_images", "core.ListImages"),
    ("oci_compute_list_availability_domains",
     "identity.ListAvailabilityDomains"),
])
def test_lists_that_fail(cloud, tool, operation):
    with cloud.fault(operation, status=403, code="NotAllowed",
                     message="A policy is missing."):
        error = cloud.fails(tool)
    assert error["category"] == "authorization"
    assert "policy" in error["error"]
