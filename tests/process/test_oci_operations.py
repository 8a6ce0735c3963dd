"""The whole catalogue through three tools, the guard of changes, the tools
about tools, the cache."""

import json
import urllib.parse

import pytest

from cloud import Cloud, simclient
from harness import Client

CALL = "oci_call_operation"
LAUNCH = "core/Compute/LaunchInstance"
TERMINATE = "core/Compute/TerminateInstance"
READER, WRITER = "reader-token-0123456789", "writer-token-0123456789"
AUTH = {"auth": {"enabled": True, "static_tokens": [
    {"token": READER, "client_id": "reader", "subject": "reader",
     "scopes": ["read:tools"]},
    {"token": WRITER, "client_id": "writer", "subject": "writer",
     "scopes": ["read:tools", "write:tools"]}]}}


@pytest.fixture(scope="module")
def tenancy():
    with simclient.Tenancy("--settle", "0.2") as running:
        yield running


@pytest.fixture(scope="module")
def shared(tenancy):
    with Cloud(tenancy=tenancy) as cloud:
        yield cloud


def call(cloud, operation, **arguments):
    return cloud.call(CALL, operation=operation, **arguments)


def refused(cloud, operation, **arguments):
    return cloud.fails(CALL, operation=operation, **arguments)


def instance(cloud, name="web-1"):
    return cloud.one("core/Instance", displayName=name)


def launch_body(cloud, name="fresh"):
    there = instance(cloud)
    return {"availabilityDomain": there["availabilityDomain"],
            "compartmentId": there["compartmentId"],
            "shape": there["shape"], "displayName": name,
            "shapeConfig": {"ocpus": 1, "memoryInGBs": 8},
            "sourceDetails": {"sourceType": "image",
                              "imageId": there["imageId"]},
            "createVnicDetails": {"subnetId": cloud.table(
                "core/Subnet", compartmentId=there["compartmentId"])[0]["id"]}}


# -- finding and describing


def test_launch_instance_is_found_first(cloud):
    for words in ("launch instance", "Launch an instance", "launchinstance",
                  "instance launch"):
        found = cloud.call("oci_search_operations", query=words)
        assert found["operations"][0]["operation"] == LAUNCH, words
    assert found["total"] >= found["count"] == len(found["operations"])
    row = found["operations"][0]
    assert row["method"] == "POST" and row["path"] == "/20160918/instances"
    assert row["read_only"] is False and row["required"] == ["body"]


@pytest.mark.parametrize("words, first", [
    ("list vcns", "core/VirtualNetwork/ListVcns"),
    ("terminate instance", TERMINATE),
    ("create bucket", "object_storage/ObjectStorage/CreateBucket"),
    ("list autonomous databases", "database/Database/ListAutonomousDatabases"),
])
def test_what_is_meant_is_found_first(cloud, words, first):
    found = cloud.call("oci_search_operations", query=words)
    assert found["operations"][0]["operation"] == first


def test_search_is_filtered_and_the_same_every_time(cloud):
    asked = dict(query="instance", service="core", method="GET", limit=10)
    found = cloud.call("oci_search_operations", **asked)
    assert found["count"] == 10 < found["total"]
    for row in found["operations"]:
        assert row["operation"].startswith("core/") and row["method"] == "GET"
    assert cloud.call("oci_search_operations", **asked) == found
    found = cloud.call("oci_search_operations", query="instance", limit=50,
                       read_only=True)
    assert all(row["read_only"] for row in found["operations"])
    found = cloud.call("oci_search_operations", query="xyzzyplugh")
    assert found["count"] == found["total"] == 0


def test_describe_shows_the_body(cloud):
    found = cloud.call("oci_describe_operation", operation=LAUNCH)
    assert found["method"] == "POST" and found["destructive"] is False
    body = found["body"]
    assert body["model"] == "LaunchInstanceDetails" and body["required"]
    schema = body["schema"]
    assert set(schema["required"]) == {"availabilityDomain", "compartmentId"}
    assert {"shape", "sourceDetails", "createVnicDetails"} <= set(
        schema["properties"])
    names = {p["name"]: p for p in found["parameters"]}
    assert names["opc-retry-token"]["in"] == "header"
    assert found["documentation"].startswith("https://docs.oracle.com/")
    assert found["response"]["model"] == "Instance"
    found = cloud.call("oci_describe_operation", operation=TERMINATE)
    assert found["destructive"] is True and found["body"] is None
    assert {"name": "instanceId", "in": "path", "type": "string",
            "required": True, "list": False}.items() <= \
        found["parameters"][0].items()


def test_unknown_operations_name_the_nearest(cloud):
    for wrong, near in (("core/Compute/LunchInstance", LAUNCH),
                        ("core/Compute/ListInstance",
                         "core/Compute/ListInstances"),
                        ("LaunchInstances", LAUNCH)):
        for tool in ("oci_describe_operation", CALL):
            error = cloud.fails(tool, operation=wrong)
            assert error["category"] == "not_found"
            assert near in error["error"], error


# -- calling what reads


def test_call_a_list_page_by_page(cloud):
    there = {row["id"] for row in cloud.table(
        "core/Instance", compartmentId=cloud.compartments["prod"])}
    ids, offset = [], 0
    while offset is not None:
        page = call(cloud, "core/Compute/ListInstances", limit=6,
                    offset=offset)
        assert page["status"] == 200 and page["opc_request_id"]
        assert page["offset"] == offset and page["count"] <= 6
        assert page["has_more"] == (page["next_offset"] is not None)
        ids += [item["id"] for item in page["items"]]
        offset = page["next_offset"]
    assert len(ids) == len(set(ids)) == 20 and set(ids) == there
    assert call(cloud, "core/Compute/ListInstances",
                offset=1000)["items"] == []


def test_call_a_get(cloud):
    there = instance(cloud)
    found = call(cloud, "core/Compute/GetInstance",
                 parameters={"instanceId": there["id"]})
    assert found["data"]["displayName"] == "web-1"
    assert found["etag"] and found["status"] == 200


def test_parameters_are_checked_before_anything_is_sent(cloud):
    after = cloud.last_request()
    there = instance(cloud)["id"]
    cases = [
        ("core/Compute/GetInstance", {}, "instanceId"),
        ("core/Compute/GetInstance",
         {"parameters": {"instanceid": there}}, "instanceId"),
        ("core/Compute/GetInstance",
         {"parameters": {"instanceId": {"a": 1}}}, "instanceId"),
        ("core/Compute/ListInstances",
         {"parameters": {"lifecycleState": "DEAD"}}, "RUNNING"),
        ("core/Compute/ListInstances", {"parameters": {"limit": 5}}, "limit"),
        ("core/Compute/GetInstance", {"parameters": {"instanceId": there},
                                      "body": {}}, "no body"),
    ]
    for operation, arguments, word in cases:
        error = refused(cloud, operation, **arguments)
        assert error["category"] == "validation"
        assert word in error["error"], error
    assert [r for r in cloud.requests(after) if r["operation"]] == []


@pytest.mark.parametrize("value", [
    "../../x", "..", ".", "a/b", "a%2Fb", "a?b=c", "a#b", "../vcns", "a\\b",
    "a b", "a\r\nHost: evil", "\u00e4", ";x", "//evil/"])
def test_path_segments_cannot_leave_their_place(cloud, value):
    """Refused, or sent as one encoded segment and not found."""
    after = cloud.last_request()
    error = refused(cloud, "core/Compute/GetInstance",
                    parameters={"instanceId": value})
    assert error["category"] in ("validation", "not_found")
    for row in cloud.requests(after):
        if row["operation"] is None and row["target"].startswith("/sim/"):
            continue
        path = row["target"]
        assert "?" not in path and "#" not in path
        first, segment = path.rsplit("/", 1)
        assert first == "/20160918/instances", path
        assert segment not in ("", ".", "..")
        assert urllib.parse.unquote(segment) == value
        assert row["operation"] == "core.GetInstance"


def test_secrets_are_refused(cloud):
    after = cloud.last_request()
    for operation, parameters in (
            ("secrets/Secrets/GetSecretBundle",
             {"secretId": "ocid1.vaultsecret.oc1.iad.x"}),
            ("object_storage/ObjectStorage/GetObject",
             {"namespaceName": "a", "bucketName": "b", "objectName": "c"})):
        error = refused(cloud, operation, parameters=parameters)
        assert error["category"] == "authorization"
        assert "secret" in error["error"]
        assert cloud.call("oci_describe_operation",
                          operation=operation)["secret"] is True
    assert [r for r in cloud.requests(after) if r["operation"]] == []


# -- calling what changes


def test_launch_happens_once(cloud):
    """A 500 after the work was done: the retry token finds it again."""
    before = len(cloud.table("core/Instance"))
    after = cloud.last_request()
    with cloud.fault("core.LaunchInstance", times=1, status=500):
        made = call(cloud, LAUNCH, body=launch_body(cloud))
    assert made["data"]["displayName"] == "fresh"
    assert made["status"] == 200 and made["opc_request_id"]
    asked = [r for r in cloud.requests(after)
             if r["operation"] == "core.LaunchInstance"]
    assert [r["status"] for r in asked] == [500, 200]
    assert len({r["headers"]["opc-retry-token"] for r in asked}) == 1
    assert len(cloud.table("core/Instance")) == before + 1


def test_launch_whose_answer_is_lost_happens_once(cloud):
    before = len(cloud.table("core/Instance"))
    with cloud.fault("core.LaunchInstance", times=1, hang_up=True):
        made = call(cloud, LAUNCH, body=launch_body(cloud, "once"))
    assert made["data"]["displayName"] == "once"
    assert len(cloud.table("core/Instance")) == before + 1
    assert instance(cloud, "once")["id"] == made["data"]["id"]


def test_two_launches_are_two(cloud):
    ids = {call(cloud, LAUNCH, body=launch_body(cloud, "twin"))["data"]["id"]
           for _ in range(2)}
    assert len(ids) == 2


def test_dry_run_sends_nothing(cloud):
    after = cloud.last_request()
    body = launch_body(cloud)
    found = call(cloud, LAUNCH, body=body, dry_run=True)
    assert found["dry_run"] is True
    assert found["body"] == body and found["method"] == "POST"
    assert found["path"] == "/20160918/instances"
    found = call(cloud, TERMINATE, dry_run=True,
                 parameters={"instanceId": instance(cloud)["id"]})
    assert found["dry_run"] is True
    assert [r for r in cloud.requests(after)
            if r["method"] in ("POST", "DELETE", "PUT") and r["operation"]] \
        == []
    # A dry run is checked like a real one.
    error = refused(cloud, LAUNCH, body={}, dry_run=True)
    assert error["category"] == "validation"


def test_destructive_needs_confirm(cloud):
    there = instance(cloud, "web-2")
    after = cloud.last_request()
    error = refused(cloud, TERMINATE, parameters={"instanceId": there["id"]})
    assert error["category"] == "validation" and "confirm" in error["error"]
    assert [r for r in cloud.requests(after)
            if r["method"] == "DELETE" and r["operation"]] == []
    call(cloud, TERMINATE, parameters={"instanceId": there["id"]},
         confirm=True)
    assert instance(cloud, "web-2")["lifecycleState"] in (
        "TERMINATING", "TERMINATED")


@pytest.mark.parametrize("change, field", [
    ({"availabilityDomain": None}, "availabilityDomain"),
    ({"shapeConfig": {"ocpus": "many"}}, "shapeConfig.ocpus"),
    ({"displayname": "x"}, "displayname"),
    ({"sourceDetails": {"sourceType": "imago"}}, "sourceDetails"),
    ({"compartmentId": 7}, "compartmentId"),
    ({"freeformTags": {"a": 1}}, "freeformTags"),
    ({"createVnicDetails": {"nsgIds": [3]}}, "createVnicDetails.nsgIds"),
])
def test_body_that_breaks_the_model(cloud, change, field):
    after = cloud.last_request()
    body = {**launch_body(cloud), **change}
    body = {k: v for k, v in body.items() if v is not None}
    error = refused(cloud, LAUNCH, body=body)
    assert error["category"] == "validation"
    assert "body" in error["error"] and field in error["error"], error
    assert [r for r in cloud.requests(after)
            if r["operation"] == "core.LaunchInstance"] == []


def test_a_body_is_needed(cloud):
    error = refused(cloud, LAUNCH)
    assert error["category"] == "validation" and "body" in error["error"]


# -- who may change what


def test_mutations_off(tenancy):
    with Cloud(tenancy=tenancy, allow_mutations=False) as cloud:
        after = cloud.last_request()
        error = refused(cloud, LAUNCH, body=launch_body(cloud))
        assert error["category"] == "authorization"
        assert "ALLOW_MUTATIONS" in error["suggestion"]
        error = refused(cloud, TERMINATE, confirm=True,
                        parameters={"instanceId": instance(cloud)["id"]})
        assert error["category"] == "authorization"
        tools = cloud.definitions()
        assert "oci_compute_list_instances" in tools and CALL in tools
        for name in ("oci_compute_stop_instance", "oci_compute_start_instance",
                     "oci_compute_restart_instance"):
            assert name not in tools
            with cloud.gateway.client() as client:
                answer = client.modern("tools/call", {
                    "name": name, "arguments": {
                        "instance_id": instance(cloud)["id"],
                        "confirm": True}})
                assert "error" in answer.json or \
                    answer.json["result"]["isError"]
        # What is listed as changing is only the tool that can do either.
        assert [name for name, tool in tools.items() if not tool.get(
            "annotations", {}).get("readOnlyHint")] == [CALL]
        assert not [r for r in cloud.requests(after) if r["operation"] and
                    r["method"] in ("POST", "DELETE", "PUT") and
                    "summarize" not in r["operation"].lower()]


def test_allowed_by_the_environment(tenancy):
    env = {"OCI_CLI_CONFIG_FILE": tenancy.said["config_file"],
           "ALLOW_MUTATIONS": "true"}
    with Cloud(tenancy=tenancy, env=env, allow_mutations=False) as cloud:
        assert "oci_compute_stop_instance" in cloud.definitions()
        assert cloud.call("oci_ping")["details"]["oci"]["mutations_allowed"]
        assert call(cloud, LAUNCH, body=launch_body(cloud),
                    dry_run=True)["dry_run"]
    env["ALLOW_MUTATIONS"] = "false"
    with Cloud(tenancy=tenancy, env=env, allow_mutations=False) as cloud:
        assert "oci_compute_stop_instance" not in cloud.definitions()


def test_scopes(tenancy):
    with Cloud(tenancy=tenancy, settings=AUTH) as cloud:
        stop = "oci_compute_stop_instance"
        there = instance(cloud, "web-3")["id"]
        names = {}
        for token in (READER, WRITER):
            with Client(cloud.gateway, token) as client:
                names[token] = client.names()
        assert stop in names[WRITER] and stop not in names[READER]
        assert "oci_compute_list_instances" in names[READER]
        # A reader reads with the tool for everything, and changes nothing.
        def by(token, operation, **more):
            return cloud.result(CALL, {"operation": operation, **more},
                                token=token)
        assert not by(READER, "core/Compute/ListInstances").get("isError")
        after = cloud.last_request()
        for more in ({"dry_run": True}, {"confirm": True}):
            result = by(READER, TERMINATE, parameters={"instanceId": there},
                        **more)
            assert result["isError"]
            error = result["structuredContent"]
            assert error["category"] == "authorization"
            assert "write:tools" in error["suggestion"]
        assert [r for r in cloud.requests(after)
                if r["method"] == "DELETE" and r["operation"]] == []
        result = by(WRITER, TERMINATE, parameters={"instanceId": there},
                    dry_run=True)
        assert result["structuredContent"]["dry_run"] is True


def test_compartments_where_changes_are_allowed(tenancy):
    dev = tenancy.said["compartments"]["dev"]
    with Cloud(tenancy=tenancy, mutation_compartments=[dev]) as cloud:
        body = launch_body(cloud)  # in prod
        error = refused(cloud, LAUNCH, body=body)
        assert error["category"] == "authorization"
        assert body["compartmentId"] in error["error"]
        body["compartmentId"] = dev
        assert call(cloud, LAUNCH, body=body, dry_run=True)["dry_run"]
        # A tool finds out where its instance is.
        error = cloud.fails("oci_compute_stop_instance", confirm=True,
                            instance_id=instance(cloud)["id"])
        assert error["category"] == "authorization"
        there = cloud.table("core/Instance", compartmentId=dev,
                            lifecycleState="RUNNING")[0]
        assert cloud.call("oci_compute_stop_instance", confirm=True,
                          instance_id=there["id"])["success"]
        # An operation that does not say where is not carried out.
        error = refused(cloud, TERMINATE, confirm=True,
                        parameters={"instanceId": there["id"]})
        assert error["category"] == "authorization"
    tenancy.control("POST", "reset", {})


# -- privacy


def test_masked(tenancy):
    env = {"OCI_CLI_CONFIG_FILE": tenancy.said["config_file"],
           "MCP_OCI_PRIVACY": "true"}
    with Cloud(tenancy=tenancy, env=env) as cloud:
        there = {row["id"] for row in cloud.table("core/Instance")}
        result = cloud.result("oci_compute_list_instances", {"limit": 20})
        text = json.dumps(result)
        assert result["structuredContent"]["count"] == 20
        assert not [ocid for ocid in there if ocid in text]
        assert cloud.compartments["prod"] not in text
        assert "ocid1.instance" in text  # a short form of them is there
        text = json.dumps(cloud.result(CALL, {
            "operation": "core/Compute/ListInstances"}))
        assert not [ocid for ocid in there if ocid in text]
        # Errors of the service, too.
        ocid = "ocid1.instance.oc1.iad." + "a" * 52
        text = json.dumps(cloud.result("oci_compute_get_instance", {
            "instance_id": ocid}))
        assert ocid not in text


# -- tools about tools


def test_ping_domains_and_search(cloud):
    ping = cloud.call("oci_ping")
    assert ping["healthy"] and ping["oci_connected"]
    assert ping["region"] == "us-ashburn-1"
    assert ping["server_name"] and ping["version"]
    tools = cloud.definitions()
    found = cloud.call("oci_list_domains")
    assert found["total_tools"] == sum(d["tool_count"]
                                       for d in found["domains"])
    assert found["count"] == len(found["domains"])
    names = {d["name"] for d in found["domains"]}
    assert {"compute", "network", "cost", "database"} <= names
    found = cloud.call("oci_search_tools", query="list instances")
    assert "oci_compute_list_instances" in [
        t["name"] for t in found["tools"]]
    assert all(t["name"] in tools for t in found["tools"])
    found = cloud.call("oci_search_tools", query="instance",
                       domain="compute", detail_level="full", limit=2)
    assert found["count"] == 2
    assert all(t["schema"]["type"] == "object" for t in found["tools"])
    assert cloud.call("oci_search_tools", query="xyzzyplugh")["count"] == 0


def test_every_tool_is_well_formed(cloud):
    tools = cloud.definitions()
    assert len(tools) > 100
    for name, tool in tools.items():
        if not name.startswith("oci_"):
            continue
        assert tool["inputSchema"]["type"] == "object"
        assert tool["outputSchema"]["type"] == "object"
        assert tool["title"] and tool["description"]
        assert {"readOnlyHint", "destructiveHint", "idempotentHint",
                "openWorldHint"} <= set(tool["annotations"])


# -- the cache


def tiers(cloud):
    return {t["tier"]: t for t in cloud.call("oci_get_cache_stats")["tiers"]}


def test_answers_are_kept_and_forgotten(tenancy):
    with Cloud(tenancy=tenancy, cache_operational=60) as cloud:
        listing = "core/Compute/ListInstances"

        def sent():
            return len([r for r in cloud.requests()
                        if r["operation"] == "core.ListInstances"])
        before, start = tiers(cloud)["operational"], sent()
        assert before["ttl_seconds"] == 60
        first = call(cloud, listing, limit=50)
        for _ in range(5):  # by whichever worker
            again = call(cloud, listing, limit=50)
            assert again["items"] == first["items"]
        assert sent() == start + 1
        now = tiers(cloud)["operational"]
        assert now["hits"] - before["hits"] == 5
        assert now["misses"] - before["misses"] == 1
        assert 0 < now["hit_rate_percent"] <= 100 and now["size"] >= 1
        # Other arguments are another answer.
        call(cloud, listing, limit=50,
             parameters={"lifecycleState": "STOPPED"})
        assert sent() == start + 2
        # A change forgets.
        made = call(cloud, LAUNCH, body=launch_body(cloud, "kept"))
        found = call(cloud, listing, limit=50)
        assert made["data"]["id"] in [i["id"] for i in found["items"]]
        assert sent() == start + 3
    tenancy.control("POST", "reset", {})


def test_errors_are_not_kept(tenancy):
    with Cloud(tenancy=tenancy, cache_operational=60) as cloud:
        with cloud.fault("core.ListInstances", times=1, status=404):
            refused(cloud, "core/Compute/ListInstances")
        assert call(cloud, "core/Compute/ListInstances")["count"] == 20


def test_credentials_do_not_share_answers(tenancy):
    with Cloud(tenancy=tenancy, cache_operational=60, entries=[
            {"name": name.lower(), "transport": "in_process",
             "oci_profile": name} for name in ("DEFAULT", "NOPOLICY")]) as it:
        listing = {"operation": "core/Compute/ListInstances"}
        assert it.call("default_" + CALL, **listing)["count"] == 20
        assert it.fails("nopolicy_" + CALL,
                        **listing)["category"] == "not_found"
