"""What callers and administrators may get wrong: each fault has its sentence,
and nothing is sent."""

import json

import pytest

from cloud import Cloud, simclient
from harness import ROOT, run

LIST = "oci_compute_list_instances"
GET = "oci_compute_get_instance"
VCNS = "oci_network_list_vcns"


@pytest.fixture(scope="module")
def tenancy():
    with simclient.Tenancy("--settle", "0.2") as running:
        yield running


@pytest.fixture(scope="module")
def cloud(tenancy):
    with Cloud(tenancy=tenancy) as running:
        yield running


def ocid(kind):
    return "ocid1.%s.oc1.iad.%s" % (kind, "a" * 60)


# -- arguments


@pytest.mark.parametrize("tool, arguments, words", [
    # OCIDs
    (GET, {"instance_id": ocid("vcn")}, ["instance_id", "vcn"]),
    (GET, {"instance_id": "web-1"}, ["instance_id"]),
    (GET, {"instance_id": ""}, ["instance_id"]),
    (GET, {"instance_id": 7}, ["instance_id", "OCID"]),
    (GET, {"instance_id": ["a"]}, ["instance_id"]),
    (GET, {"instance_id": "ocid1.instance.oc1.iad.../../x"}, ["instance_id"]),
    (GET, {}, ["instance_id"]),
    (LIST, {"compartment_id": ocid("instance")}, ["compartment"]),
    (LIST, {"compartment_id": "prod"}, ["compartment"]),
    # regions
    (LIST, {"region": "us-ashbrun-1"}, ["us-ashburn-1"]),
    (LIST, {"region": "eu-frankfort-1"}, ["eu-frankfurt-1"]),
    (LIST, {"region": "evil.example.com"}, ["region"]),
    (LIST, {"region": "a/../b"}, ["region"]),
    # numbers, choices, names
    (LIST, {"limit": 101}, ["limit", "100"]),
    (LIST, {"limit": 0}, ["limit", "1"]),
    (LIST, {"limit": "many"}, ["limit"]),
    (LIST, {"limit": 2.5}, ["limit"]),
    (LIST, {"limit": 1e30}, ["limit"]),
    (LIST, {"limit": True}, ["limit"]),
    (LIST, {"lifecycle_state": "SLEEPING"}, ["lifecycle_state", "RUNNING"]),
    (LIST, {"response_format": "xml"}, ["response_format", "json"]),
    (LIST, {"compartmentId": ocid("compartment")}, ["compartment_id"]),
    (LIST, {"limmit": 5}, ["limmit", "limit"]),
    (LIST, {"zzzz": 5}, ["zzzz"]),
    (LIST, {"params": 7}, ["params"]),
    (LIST, {"params": {"limmit": 5}}, ["limmit", "limit"]),
    (LIST, {"params": {"limit": 5}, "limit": 5}, ["params"]),
    (GET, {"instance_id": ocid("instance"), "include_metrics": "perhaps"},
     ["include_metrics"]),
])
def test_refused_before_anything_is_sent(cloud, tool, arguments, words):
    after = cloud.last_request()
    error = cloud.fails(tool, **arguments)
    assert error["category"] == "validation", error
    for word in words:
        assert word in error["error"], error
    assert [row for row in cloud.requests(after) if row["operation"]] == []


@pytest.mark.parametrize("arguments, count", [
    ({"limit": "3"}, 3), ({"limit": 3.0}, 3), ({"limit": None}, 20),
    ({"params": {"limit": 3}}, 3), ({"params": {"limit": "3"}}, 3),
    ({"params": "{\"limit\": 3}"}, 3),
    ({"include_ips": "false"}, 20),
    ({"region": "iad"}, 20), ({"region": "US-ASHBURN-1"}, 20),
    ({"lifecycle_state": "running", "limit": 3}, 3),
    ({"compartment_id": None}, 20), ({}, 20),
])
def test_taken_as_meant(cloud, arguments, count):
    result = cloud.result(LIST, arguments)
    assert not result.get("isError"), result["structuredContent"]
    assert result["structuredContent"]["count"] == count


def test_arguments_may_be_left_out(cloud):
    with cloud.gateway.client() as client:
        for params in ({"name": LIST}, {"name": LIST, "arguments": {}}):
            assert not client.modern("tools/call", params).result.get(
                "isError")


def test_both_forms_of_the_text(cloud):
    markdown = cloud.result(LIST, {"limit": 2})
    data = cloud.result(LIST, {"limit": 2, "response_format": "json"})
    assert markdown["content"][0]["text"].startswith("#")
    assert json.loads(data["content"][0]["text"]) == \
        data["structuredContent"] == markdown["structuredContent"]
    error = cloud.result(GET, {"instance_id": "x", "response_format": "json"})
    assert json.loads(error["content"][0]["text"]) == \
        error["structuredContent"]


def test_a_compartment_that_is_not_there(cloud):
    error = cloud.fails(LIST, compartment_id=ocid("compartment"))
    assert error["category"] == "not_found"
    assert error["details"]["opc_request_id"]


def test_without_a_compartment_the_tenancy_is_meant(tenancy):
    with Cloud(tenancy=tenancy, compartment=None) as cloud:
        assert cloud.call(LIST)["compartment_id"] == tenancy.said["tenancy"]


def test_a_tool_that_is_not_there(cloud):
    with cloud.gateway.client() as client:
        response = client.modern("tools/call", {
            "name": "oci_compute_list_instance", "arguments": {}})
        assert "oci_compute_list_instance" in json.dumps(response.json)
        assert "error" in response.json or response.json["result"]["isError"]


def test_text_of_the_cloud_is_only_text(tenancy):
    """Names that mean something to Markdown or to a terminal."""
    evil = "a | b\n# c \u001b[31m <b>`"
    with Cloud(tenancy=tenancy) as cloud:
        there = cloud.one("core/Instance", displayName="web-1")
        with cloud.fault("core.ListInstances", status=200, body=[
                dict(there, displayName=evil)]):
            result = cloud.result(LIST, {})
        row, = result["structuredContent"]["instances"]
        assert row["display_name"] == evil
        text = result["content"][0]["text"]
        assert "\u001b" not in text and "\n# c" not in text
        table = [line for line in text.splitlines()
                 if line.startswith("|") and "ocid1.instance" in line]
        assert len(table) == 1


def test_an_answer_that_is_too_large(tenancy):
    """Cut honestly: what is there, and where to go on."""
    with Cloud(tenancy=tenancy) as cloud:
        there = cloud.one("core/Instance", displayName="web-1")
        many = [dict(there, displayName="n%d" % i, extendedMetadata={
            "x": "y" * 20000}) for i in range(60)]
        call = {"operation": "core/Compute/ListInstances", "limit": 60}
        with cloud.fault("core.ListInstances", status=200, body=many):
            page = cloud.call("oci_call_operation", **call)
            assert page["truncated"] is True and page["has_more"]
            assert 0 < page["count"] < 60
            assert page["next_offset"] == page["count"]
            names, offset = [], 0
            while offset is not None:
                page = cloud.call("oci_call_operation", offset=offset, **call)
                names += [item["displayName"] for item in page["items"]]
                offset = page["next_offset"]
            assert names == [row["displayName"] for row in many]


# -- packs of administrators

@pytest.fixture
def stock_tool():
    """A tool that the program brings, to write another like it."""
    pack = json.loads((ROOT / "etc/tools/network.json").read_text())
    return next(tool for tool in pack["tools"] if tool["name"] == VCNS)


def packs(tmp_path, tool):
    """A good tool, a broken one, a file that is no JSON, one with both."""
    directory = tmp_path / "tools"
    directory.mkdir()
    mine = dict(tool, name="acme_list_vcns", title="Our networks")
    mine.pop("aliases", None)
    broken = dict(mine, name="acme_broken", function="no_such_function")
    good = {"pack": "ours", "title": "Ours", "description": "Of our own.",
            "tools": [mine]}
    (directory / "ours.json").write_text(json.dumps(good, indent=1))
    (directory / "half.json").write_text(json.dumps(dict(
        good, pack="half", tools=[broken, dict(mine, name="acme_second")]),
        indent=1))
    (directory / "torn.json").write_text('{\n "pack": "torn",\n "tools": [,]\n}')
    (directory / "README").write_text("no pack")
    return directory


def test_packs_of_an_administrator(tenancy, tmp_path, stock_tool):
    directory = packs(tmp_path, stock_tool)
    with Cloud(tenancy=tenancy, tools_dir=str(directory)) as cloud:
        tools = cloud.definitions()
        assert {"acme_list_vcns", "acme_second", LIST} <= set(tools)
        assert "acme_broken" not in tools
        assert tools["acme_list_vcns"]["title"] == "Our networks"
        assert cloud.call("acme_list_vcns") == cloud.call(VCNS)
        assert "ours" in [d["name"] for d in
                          cloud.call("oci_list_domains")["domains"]]
        said = [line for line in cloud.gateway.lines
                if "torn.json" in json.dumps(line)]
        assert said and said[0]["level"] in ("warning", "error")
        # A reload takes what is new, and leaves what is broken.
        (directory / "ours.json").unlink()
        cloud.gateway.hup()
        tools = cloud.definitions()
        assert "acme_list_vcns" not in tools and "acme_second" in tools


def test_check_names_file_line_and_reason(tmp_path, stock_tool):
    directory = packs(tmp_path, stock_tool)
    file = tmp_path / "gateway.json"
    file.write_text(json.dumps({
        "oci": {"tools_dir": str(directory)}, "auth": {"enabled": False},
        "backends": [{"name": "oci", "transport": "in_process"}]}))
    status, output, errors = run("--config", file, "--check")
    said = output + errors
    torn, = [line for line in said.splitlines() if "torn.json" in line]
    assert "torn.json:3:" in torn
    half, = [line for line in said.splitlines() if "half.json" in line]
    text = (directory / "half.json").read_text().splitlines()
    line = 1 + next(i for i, row in enumerate(text)
                    if "no_such_function" in row)
    assert "half.json:%d:" % line in half
    assert "acme_broken" in half and "no_such_function" in half
    assert "ours.json" not in said


def test_a_directory_that_is_not_there(tmp_path):
    file = tmp_path / "gateway.json"
    file.write_text(json.dumps({
        "oci": {"tools_dir": str(tmp_path / "nowhere")},
        "auth": {"enabled": False},
        "backends": [{"name": "oci", "transport": "in_process"}]}))
    _, output, errors = run("--config", file, "--check")
    assert str(tmp_path / "nowhere") in output + errors
