"""What goes wrong between a call and the cloud: it recovers, or it fails with
a sentence that helps, in time, and leaves nothing behind."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import time

import pytest

from cloud import Cloud, simclient
from harness import SANITIZED, Process
from messages import modern
from wire import SLOW, Closed, eventually

LIST = "oci_compute_list_instances"
GET = "oci_compute_get_instance"
CALL = "oci_call_operation"
# Takes no retry token: nobody may send it twice.
CREATE_BUCKET = "object_storage/ObjectStorage/CreateBucket"
INSTANCES = "core.ListInstances"
PATIENT = 90 * SLOW  # calls that are tried again for a while


@pytest.fixture(scope="module")
def tenancy():
    with simclient.Tenancy("--settle", "0.2") as running:
        yield running


@pytest.fixture(scope="module")
def shared(tenancy):
    with Cloud(tenancy=tenancy) as cloud:
        yield cloud


def asked(cloud, after, operation=INSTANCES):
    return [row for row in cloud.requests(after)
            if row["operation"] == operation]


def refused(result):
    """The error object of a result."""
    assert result.get("isError"), result
    error = result["structuredContent"]
    assert error["error"] and error["suggestion"]
    return error


def new_bucket(cloud, name):
    """Arguments of CALL."""
    return {"operation": CREATE_BUCKET, "parameters": {
        "namespaceName": cloud.table("object_storage/Bucket")[0]["namespace"]},
        "body": {"name": name, "compartmentId": cloud.compartments["prod"]}}


@contextlib.contextmanager
def background(function, *args, **named):
    """What it returns is .result() of what this gives."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(function, *args, **named)


def busy(tenancy, count=1):
    """So many calls have reached the tenancy and wait there."""
    eventually(lambda: tenancy.control("GET", "health")["busy"] >= count,
               "%d calls under way" % count)


# -- statuses


@pytest.mark.parametrize("how, statuses", [
    ({"status": 500}, [500, 200]), ({"status": 502}, [502, 200]),
    ({"status": 503}, [503, 200]), ({"status": 504}, [504, 200]),
    ({"status": 429}, [429, 200]), ({"status": 409}, [409, 200]),
    ({"status": 503, "times": 3}, [503, 503, 503, 200]),
    ({"status": 503, "body": "<html>down</html>"}, [503, 200]),
])
def test_passing_trouble_is_not_seen(cloud, how, statuses):
    after = cloud.last_request()
    with cloud.fault(INSTANCES, **{"times": 1, **how}):
        assert cloud.call(LIST)["count"] == 20
    assert [row["status"] for row in asked(cloud, after)] == statuses


@pytest.mark.parametrize("status, category", [
    (400, "validation"), (403, "authorization"), (404, "not_found"),
    (412, "service"), (501, "unknown")])
def test_other_statuses_are_not_tried_again(cloud, status, category):
    after = cloud.last_request()
    with cloud.fault(INSTANCES, status=status, message="Because."):
        error = cloud.fails(LIST)
    assert error["category"] == category
    assert error["details"]["status"] == status
    assert error["details"]["opc_request_id"]
    assert error["details"]["code"] and "Because." in error["error"]
    assert len(asked(cloud, after)) == 1


def test_retry_after_is_waited_for(cloud):
    after = cloud.last_request()
    with cloud.fault(INSTANCES, times=1, status=429, retry_after=2):
        assert cloud.call(LIST)["count"] == 20
    first, second = (row["time"] for row in asked(cloud, after))
    assert second - first >= 1.9


def test_a_conflict_of_a_change_is_told(cloud):
    """Nobody starts an instance twice because of a passing state."""
    there = cloud.one("core/Instance", displayName="batch-2")
    after = cloud.last_request()
    with cloud.fault("core.InstanceAction", status=409,
                     message="The instance is moving."):
        error = cloud.fails("oci_compute_start_instance",
                            instance_id=there["id"])
    assert error["category"] == "service"
    assert error["details"]["code"] == "IncorrectState"
    assert "The instance is moving." in error["error"]
    assert len(asked(cloud, after, "core.InstanceAction")) == 1


def test_storms(cloud):
    """So many in a row are too many for one call; side by side, as each of
    these ends only after some time."""
    storms = {
        "core.ListInstances": ({"status": 429}, LIST, {}, "rate_limit"),
        "core.ListVolumes": ({"status": 429, "retry_after": 1}, CALL,
                             {"operation": "core/Blockstorage/ListVolumes"},
                             "rate_limit"),
        "core.ListVcns": ({"status": 503}, CALL,
                          {"operation": "core/VirtualNetwork/ListVcns"},
                          "service"),
        "core.ListSubnets": ({"hang_up": True}, CALL,
                             {"operation": "core/VirtualNetwork/ListSubnets"},
                             "network"),
        "core.ListImages": ({"close": True}, CALL,
                            {"operation": "core/Compute/ListImages"},
                            "network")}
    after = cloud.last_request()
    cloud.tenancy.control("POST", "faults", [
        {"match": {"operation": name + "$"}, **row[0],
         # A kept connection that breaks is not counted as a try.
         "times": 10 if "status" in row[0] else 40}
        for name, row in storms.items()])
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(len(storms)) as pool:
        calls = {name: pool.submit(cloud.result, row[1], row[2],
                                   within=PATIENT)
                 for name, row in storms.items()}
        # Nothing else waits for it.
        eventually(lambda: len(asked(cloud, after)) > 1, "a second try")
        assert cloud.call("oci_call_operation",
                          operation="core/Compute/ListShapes")["count"] > 0
        for name, row in storms.items():
            error = refused(calls[name].result())
            assert error["category"] == row[3], (name, error)
            most = 16 if "status" in row[0] else 32
            assert 4 <= len(asked(cloud, after, name)) <= most, name
    assert time.monotonic() - began < 65 * SLOW
    # The rest of the storm is not seen; then it is over.
    after = cloud.last_request()
    assert cloud.call(LIST)["count"] == 20
    assert [row["status"] for row in asked(cloud, after)] == [429, 429, 200]
    cloud.tenancy.control("DELETE", "faults")
    for name, row in storms.items():
        assert not cloud.result(row[1], row[2]).get("isError"), name


# -- connections


@pytest.mark.parametrize("how", [
    {"hang_up": True}, {"close": True}, {"close": True, "latency_ms": 50}])
def test_a_broken_connection_is_not_seen(cloud, how):
    with cloud.fault(INSTANCES, times=2, **how):
        assert cloud.call(LIST)["count"] == 20


@pytest.mark.parametrize("how", [{"hang_up": True}, {"close": True}])
def test_a_change_without_a_retry_token_is_sent_once(cloud, how):
    """Who knows whether it was done?"""
    arguments = new_bucket(cloud, "sent-once")
    after = cloud.last_request()
    with cloud.fault("CreateBucket", times=1, **how):
        error = cloud.fails(CALL, **arguments)
    assert error["category"] == "network"
    rows = asked(cloud, after, "object_storage.CreateBucket")
    assert [row["headers"].get("opc-retry-token") for row in rows] == [None]
    # Too busy means that it was not done.
    after = cloud.last_request()
    with cloud.fault("CreateBucket", times=1, status=429):
        cloud.call(CALL, **new_bucket(cloud, "not-so-busy"))
    rows = asked(cloud, after, "object_storage.CreateBucket")
    assert [row["status"] for row in rows] == [429, 200]


def test_an_answer_that_is_no_json(cloud):
    for body in ("<html>proxy</html>", "[{]", "", "\x00"):
        with cloud.fault(INSTANCES, status=200, body=body):
            result = cloud.result(LIST, {})
            if body:
                assert refused(result)["category"] == "service"
    assert cloud.call(LIST)["count"] == 20


def test_the_tenancy_is_killed_and_comes_back(tmp_path):
    """In the middle of a change, which fails at once: it may not be sent
    again."""
    options = ("--directory", str(tmp_path / "sim"), "--settle", "0.2")
    first = simclient.Tenancy(*options)
    port, second = str(first.said["port"]), None
    try:
        with Cloud(tenancy=first) as cloud:
            arguments = new_bucket(cloud, "lost")
            first.control("POST", "faults", {
                "match": {"operation": "CreateBucket"}, "latency_ms": 60000})
            with background(cloud.result, CALL, arguments) as call:
                busy(first)
                first.process.kill()
                first.process.wait()
                error = refused(call.result())
            assert error["category"] == "network"
            assert "127.0.0.1:" + port in error["error"], error
            # What needs no cloud works.
            assert cloud.call("oci_search_operations", query="vcn")["count"]
            second = simclient.Tenancy(*options, "--port", port)
            cloud.tenancy = second
            assert cloud.call(LIST)["count"] == 20
            assert cloud.call("oci_ping")["healthy"]
    finally:
        first.process.kill()
        if second:
            second.__exit__()


def test_a_tenancy_that_comes_back_in_time_is_not_missed(tmp_path):
    """The call that was under way succeeds: it is tried again."""
    options = ("--directory", str(tmp_path / "sim"), "--settle", "0.2")
    first = simclient.Tenancy(*options)
    second = None
    try:
        with Cloud(tenancy=first) as cloud:
            first.control("POST", "faults", {
                "match": {"operation": INSTANCES}, "latency_ms": 60000})
            with background(cloud.result, LIST, {}, within=PATIENT) as call:
                busy(first)
                first.process.kill()
                first.process.wait()
                second = simclient.Tenancy(
                    *options, "--port", str(first.said["port"]))
                cloud.tenancy = second
                result = call.result()
            assert not result.get("isError"), result
            assert result["structuredContent"]["count"] == 20
    finally:
        first.process.kill()
        if second:
            second.__exit__()


def test_no_answer_in_time(tenancy):
    """request_timeout of the backend is the time for one answer."""
    with Cloud(tenancy=tenancy, entry={"request_timeout": 0.3}) as cloud:
        arguments = new_bucket(cloud, "late")
        with cloud.fault("CreateBucket", latency_ms=3000):
            began = time.monotonic()
            error = cloud.fails(CALL, **arguments)
        assert error["category"] == "timeout", error
        assert time.monotonic() - began < 3 * SLOW
    tenancy.control("POST", "reset", {})


# -- tokens and clocks


def environment(tenancy, kind, **more):
    return dict(tenancy.said["environments"][kind], **more)


@pytest.mark.parametrize("kind, route", [
    ("instance_principal", "/v1/x509"),
    ("oke_workload_identity", "/resourcePrincipalSessionTokens"),
    ("resource_principal_1_1", "/v1/resourcePrincipalSessionToken"),
])
def test_a_refused_token_is_renewed_once(kind, route, tmp_path):
    """All tokens are taken back: a 401, a new token, and the call succeeds."""
    with simclient.Tenancy("--settle", "0.2") as tenancy, \
            Cloud(tenancy=tenancy, env=environment(
                tenancy, kind, HOME=str(tmp_path)), endpoint=None) as cloud:
        assert cloud.call(LIST)["count"] == 20
        # iat counts whole seconds: a token of this second is not valid.
        after = cloud.last_request()
        tenancy.control("POST", "token", {"expire": True})
        second = int(time.time()) + 1
        eventually(lambda: time.time() >= second, "the next second")
        assert cloud.call(LIST)["count"] == 20
        rows = cloud.requests(after)
        assert [row["target"].split("?")[0].endswith(route)
                for row in rows].count(True) == 1, rows
        assert [row["status"] for row in asked(cloud, after)] == [401, 200]
        # And it is the one that everybody uses.
        after = cloud.last_request()
        for _ in range(4):
            assert cloud.call(LIST)["count"] == 20
        assert {row["status"] for row in asked(cloud, after)} == {200}


def test_short_tokens_are_renewed_before_they_are_refused(tmp_path):
    """Tokens of three seconds, calls all the time, and never a 401."""
    with simclient.Tenancy("--settle", "0.2", "--token-lifetime",
                           "3") as tenancy, \
            Cloud(tenancy=tenancy, env=environment(
                tenancy, "instance_principal", HOME=str(tmp_path)),
                endpoint=None) as cloud:
        def renewals():
            return len([row for row in cloud.requests()
                        if row["target"] == "/v1/x509"])
        calls = 0

        def three():
            nonlocal calls
            calls += 1
            assert cloud.call(LIST, limit=1)["count"] == 1
            return renewals() >= 3
        eventually(three, "three tokens", every=0.05)
        assert calls > 3
        refused_rows = [row for row in asked(cloud, 0)
                        if row["status"] != 200]
        assert refused_rows == []


def test_a_session_is_renewed(tmp_path):
    """A session's token is near its end: the service gives a new one."""
    with simclient.Tenancy("--settle", "0.2", "--session-lifetime",
                           "4") as tenancy, \
            Cloud(tenancy=tenancy, env=environment(
                tenancy, "security_token", HOME=str(tmp_path)),
                endpoint=None) as cloud:
        def renewed():
            assert cloud.call(LIST, limit=1)["count"] == 1
            return [row for row in cloud.requests()
                    if row["target"].endswith("/v1/authentication/refresh") and
                    row["status"] == 200]
        eventually(renewed, "a renewal", every=0.1)
        until = time.monotonic() + 5

        def over():
            assert cloud.call(LIST, limit=1)["count"] == 1
            return time.monotonic() > until
        eventually(over, "the first token is over", every=0.1)


@pytest.mark.parametrize("torn_ms", [0, 500])
def test_files_of_a_resource_principal_are_rotated(tmp_path, torn_ms):
    """The old token is taken back, and new files are there; for a moment the
    key does not belong to the token."""
    with simclient.Tenancy("--settle", "0.2") as tenancy, \
            Cloud(tenancy=tenancy, env=environment(
                tenancy, "resource_principal", HOME=str(tmp_path)),
                endpoint=None) as cloud:
        assert cloud.call(LIST)["count"] == 20
        tenancy.control("POST", "token", {"expire": True})
        second = int(time.time()) + 1
        eventually(lambda: time.time() >= second, "the next second")
        tenancy.control("POST", "token", {"rotate": "resource",
                                          "torn_ms": torn_ms})
        after = cloud.last_request()
        cloud.eventually_good(LIST, limit=1)
        if torn_ms == 0:
            assert [row["status"] for row in asked(cloud, after)] == [401, 200]
        assert cloud.call("oci_ping")["healthy"]


def test_resource_principal_whose_token_ends(tmp_path):
    """New files before the old token is over: no call fails."""
    with simclient.Tenancy("--settle", "0.2", "--token-lifetime",
                           "3") as tenancy, \
            Cloud(tenancy=tenancy, env=environment(
                tenancy, "resource_principal", HOME=str(tmp_path)),
                endpoint=None) as cloud:
        first = pathlib.Path(tenancy.said["rpst"]).read_text()
        assert cloud.call(LIST)["count"] == 20
        tenancy.control("POST", "token", {"rotate": "resource",
                                          "lifetime_s": 1200})
        assert pathlib.Path(tenancy.said["rpst"]).read_text() != first
        until = time.monotonic() + 4

        def over():
            assert cloud.call(LIST, limit=1)["count"] == 1
            return time.monotonic() > until
        eventually(over, "the first token is over", every=0.1)
        assert {row["status"] for row in asked(cloud, 0)} == {200}


@pytest.mark.parametrize("skew_s", [400, -400, 86400])
def test_a_clock_that_is_wrong(tenancy, skew_s):
    """The cloud's clock is another: signed with its time, and said."""
    with Cloud(tenancy=tenancy, settings={"workers": 1}) as cloud:
        with cloud.fault("", clock_skew_s=skew_s):
            after = cloud.last_request()
            assert cloud.call(LIST)["count"] == 20
            rows = cloud.requests(after)
            assert 401 in [row["status"] for row in rows]
            line = cloud.gateway.wait_log(event="clock of this machine")
            assert line["level"] == "warning"
            assert abs(line["seconds_behind"] - skew_s) <= 3
            after = cloud.last_request()
            assert cloud.call(LIST)["count"] == 20  # known by now
            assert [row["status"] for row in asked(cloud, after)] == [200]
            skew = cloud.call("oci_ping")["details"]["oci"][
                "clock_skew_seconds"]
            assert abs(skew - skew_s) <= 3
        # And when the clock is right again.
        assert cloud.call(LIST)["count"] == 20
        cloud.tenancy.control("DELETE", "faults")


# -- processes that end


def test_the_keeper_is_killed(cloud):
    """Calls under way succeed or say why; the next ones work."""
    gateway = cloud.gateway
    keeper = gateway.keeper()
    with cloud.fault(INSTANCES, latency_ms=300):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(cloud.result, LIST, {"limit": 1 + i},
                                 within=PATIENT) for i in range(8)]
            busy(cloud.tenancy, 4)
            os.kill(keeper, signal.SIGKILL)
            more = [pool.submit(cloud.result, LIST, {"limit": 30 + i},
                                within=PATIENT) for i in range(8)]
            results = [call.result() for call in calls + more]
    for result in results:
        if result.get("isError"):
            assert refused(result)["category"] in ("timeout",
                                                   "authentication"), result
    # Those that were signed already did not notice.
    assert sum(not result.get("isError") for result in results) >= 8
    eventually(lambda: gateway.keeper() not in (None, keeper), "a new keeper")
    assert cloud.eventually_good(LIST)["count"] == 20


def test_the_keeper_stands_still(cloud):
    """SIGSTOP: a call waits for its signature, and gets it."""
    gateway = cloud.gateway
    keeper = gateway.keeper()
    os.kill(keeper, signal.SIGSTOP)
    try:
        with background(cloud.result, LIST, {}, within=PATIENT) as call:
            assert cloud.call("oci_search_operations", query="vcn")["count"]
            os.kill(keeper, signal.SIGCONT)
            assert not call.result().get("isError")
    finally:
        os.kill(keeper, signal.SIGCONT)


def test_a_worker_is_killed(cloud):
    """Its calls end with it; others do not."""
    gateway = cloud.gateway
    with cloud.fault(INSTANCES, latency_ms=500):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            calls = [pool.submit(cloud.result, LIST, {"limit": 1 + i},
                                 within=PATIENT) for i in range(16)]
            busy(cloud.tenancy, 12)
            victim = gateway.workers()[0]
            os.kill(victim, signal.SIGKILL)
            good = broken = 0
            for call in calls:
                try:
                    assert not call.result().get("isError")
                    good += 1
                except (OSError, Closed):
                    broken += 1
    assert good + broken == 16
    eventually(lambda: len(gateway.workers()) == 2 and
               victim not in gateway.workers(), "a new worker")
    for _ in range(6):
        assert cloud.call(LIST)["count"] == 20


# -- nothing is left behind


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def test_nothing_leaks(tenancy):
    """Two hundred failures of every kind, and the processes are as before."""
    with Cloud(tenancy=tenancy, settings={"workers": 1}) as cloud:
        gateway = cloud.gateway
        pids = {"worker": gateway.workers()[0], "keeper": gateway.keeper()}
        kinds = [{"status": 400}, {"status": 404}, {"status": 401},
                 {"hang_up": True, "times": 1}, {"close": True, "times": 1},
                 {"status": 503, "times": 1}, {"status": 200, "body": "[{]"},
                 {"status": 409}]

        def round_of(count):
            for i in range(count):
                kind = kinds[i % len(kinds)]
                # Changes are not tried again, so each call is quick.
                with cloud.fault("core.(ListInstances|UpdateInstance)",
                                 **{"times": 2, **kind}):
                    cloud.result(CALL, {
                        "operation": "core/Compute/UpdateInstance",
                        "parameters": {"instanceId": "ocid1.instance.oc1."
                                       "iad.x"}, "body": {}}, within=PATIENT)
            # Clients that do not wait for the end.
            with cloud.fault(INSTANCES, latency_ms=200):
                for _ in range(count // 8):
                    with gateway.client() as client:
                        client.send(modern("tools/call", {
                            "name": LIST, "arguments": {}}))
                        busy(tenancy)
            eventually(lambda: tenancy.control(
                "GET", "health")["busy"] == 0, "an end of all calls")
            assert cloud.call(LIST)["count"] == 20

        round_of(24)
        before = {role: (descriptors(pid), Process.memory(pid)["Rss"])
                  for role, pid in pids.items()}
        round_of(200)
        for role, pid in pids.items():
            def settled():
                return descriptors(pid) <= before[role][0] + 8
            eventually(settled, "descriptors of the %s as before (%d): %d" % (
                role, before[role][0], descriptors(pid)))
            if not SANITIZED:
                grown = Process.memory(pid)["Rss"] - before[role][1]
                assert grown < 8 << 20, (role, grown)
        assert gateway.workers() == [pids["worker"]]
        assert gateway.keeper() == pids["keeper"]


def test_five_hundred_slow_calls(tenancy):
    """On one worker; and who asks for a list does not wait for them."""
    with Cloud(tenancy=tenancy, settings={"workers": 1}) as cloud:
        gateway = cloud.gateway
        # One call first: what is looked up once is known.
        assert cloud.call(LIST)["count"] == 20
        tenancy.control("DELETE", "requests")
        connections = [gateway.connect(timeout=PATIENT) for _ in range(500)]
        try:
            with cloud.fault(INSTANCES, latency_ms=1000):
                for i, connection in enumerate(connections):
                    connection.send(modern("tools/call", {
                        "name": LIST, "arguments": {"limit": 1}}, id=i))
                busy(tenancy, 100)
                slowest = 0
                with gateway.client() as client:
                    for _ in range(5):
                        began = time.monotonic()
                        assert client.modern("tools/list").status == 200
                        slowest = max(slowest, time.monotonic() - began)
                results = [connection.read() for connection in connections]
            for response in results:
                assert response.status == 200
                assert not response.result.get("isError"), response.result
                assert response.result["structuredContent"]["count"] == 1
        finally:
            for connection in connections:
                connection.close()
        most = tenancy.control("GET", "health")["most_busy"]
        assert most > 100, most
        assert slowest < 1 * SLOW
        assert len(asked(cloud, 0)) == 500
