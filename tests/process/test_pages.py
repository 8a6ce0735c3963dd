"""Pages for machines that watch, and the gateway's own tools."""

import json

import pytest

import backend as b
from backend import FAULTS, Backend
from harness import Gateway
from messages import MODERN, VERSIONS, modern
from wire import eventually, http

TOKEN = "pages-token-0123456789abcdef"


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha", tools=[
            b.tool("echo"), b.tool("iserror", lambda e: e.result({
                "content": [{"type": "text", "text": "no"}],
                "isError": True})),
            b.tool("broken", FAULTS["close_at_once"])]) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(alpha):
    with Gateway(alpha, access_log=True, workers=2, breaker={"failures": 1000},
                 auth={"enabled": True, "static_tokens": {TOKEN: {
                     "client_id": "watcher", "subject": "sam",
                     "scopes": ["read:tools"]}}}) as g:
        yield g


@pytest.mark.parametrize("path", ["/health", "/healthz"])
def test_health(gateway, path):
    r = gateway.get(path)
    assert r.status == 200 and r.type == "application/json"
    assert r.json["status"] == "ok"
    assert r.json["uptime_seconds"] >= 0 and r.json["version"]


@pytest.mark.parametrize("path", ["/ready", "/readyz"])
def test_ready(gateway, path):
    r = gateway.get(path)
    assert r.status == 200 and r.type == "application/json"
    assert r.json["status"] == "ready"
    assert r.json["total"] == 1 and r.json["healthy"] == 1
    assert "alpha" in r.json["backends"]


def test_ready_means_every_worker(alpha):
    """Who was told that this machine is ready finds the tools, whichever
    worker the next connection goes to."""
    for _ in range(3):
        # Without the wait for the master's word.
        with Gateway(alpha, workers=4, log_level="ERROR") as g:
            for _ in range(12):
                with g.client() as client:
                    assert "alpha_echo" in client.names()


def test_ready_without_backends():
    with Gateway() as g:
        assert g.get("/ready").json["status"] == "ready"


def test_not_ready_without_a_healthy_backend():
    dead = Backend("dead").start()
    dead.stop()
    with Gateway(dead, ready=False, discovery={"timeout": 0.5}) as g:
        def says():
            r = g.get("/ready")
            return r.json.get("reason") == "no_healthy_backends" and r
        r = eventually(says, "not ready, and why")
        assert r.status == 503 and r.json["status"] == "not_ready"
        assert r.json["total"] == 1 and r.json["healthy"] == 0
        assert g.get("/health").status == 200


def test_pages_say_nothing_secret(gateway, alpha):
    for path in ("/health", "/ready", "/metrics"):
        body = gateway.get(path).body.decode()
        for word in (TOKEN, str(alpha.port), "watcher", "sam"):
            assert word not in body, (path, word)


def test_methods_of_pages(gateway):
    with gateway.connect() as c:
        r = c.ask(http("POST", "/health", [("Host", "localhost")], b"{}"))
        assert r.status == 405 and "GET" in r.header("allow")


def test_pages_are_answered_for_any_host(gateway):
    """Probes come by address; the pages hold nothing to protect."""
    assert gateway.get("/healthz", {"Host": "10.0.0.7:9000"}).status == 200


def test_metrics(gateway, alpha):
    client = gateway.client(TOKEN)
    before = gateway.metrics()
    for _ in range(5):
        client.call("alpha_echo", {"nonce": "1"})
    client.modern("tools/call", {"name": "alpha_iserror"})
    client.modern("tools/call", {"name": "alpha_broken"})
    with gateway.connect() as c:
        c.ask(modern("tools/list"))
    assert gateway.get("/metrics").type == "text/plain"
    after = eventually(lambda: _grown(before, gateway.metrics()), "counters")
    names = {name for name, _ in after.samples}
    kinds = set(after.types.values())
    assert {"counter", "gauge", "histogram"} <= kinds
    labels = {k for _, pairs in after.samples for k, _ in pairs}
    assert {"tool", "backend", "worker"} <= labels, labels
    for name, kind in after.types.items():
        assert after.help.get(name), "HELP is missing: " + name
        if kind == "counter":
            assert name.endswith("_total"), name
    assert names


def _grown(before, after):
    """The metrics, when five more calls of the tool are in them."""
    def calls(m):
        return sum(v for (n, labels), v in m.samples.items()
                   if dict(labels).get("tool") == "alpha_echo" and
                   n.endswith("_total"))
    return after if calls(after) >= calls(before) + 5 else None


def test_metrics_can_be_off(alpha):
    with Gateway(alpha, enable_metrics=False) as g:
        assert g.get("/metrics").status == 404


def test_names_in_metrics_are_escaped():
    with Backend("alpha", tools=[b.tool('q"uo\\te'), b.tool("echo")]) as x:
        with Gateway(x) as g:
            client = g.client()
            for name in client.names():
                client.modern("tools/call", {"name": name})
            g.metrics()


# -- the gateway's own tools


def structured(client, name, arguments=None, version=MODERN):
    r = client.era(version, "tools/call", {"name": name,
                                           "arguments": arguments or {}})
    assert not r.result.get("isError"), r.result
    return r.result


@pytest.mark.parametrize("version", VERSIONS)
def test_gateway_health(gateway, version):
    result = structured(gateway.client(TOKEN), "gateway_health",
                        version=version)
    found = json.loads(result["content"][0]["text"])
    assert found["gateway"]["name"] == "oci-mcp-gateway"
    assert found["gateway"]["status"] == "healthy"
    assert found["gateway"]["auth_enabled"] is True
    backends = found["backends"]
    assert backends["total"] == 1 and backends["healthy"] == 1
    alpha = backends["backends"]["alpha"]
    assert alpha["status"] == "healthy" and alpha["tool_count"] == 3
    assert alpha["transport"] == "streamable_http"
    assert alpha["consecutive_failures"] == 0
    assert {"auth_method", "latency_ms", "last_check", "error"} <= set(alpha)
    if "structuredContent" in result:
        assert result["structuredContent"] == found


def test_gateway_list_backends(gateway):
    text = structured(gateway.client(TOKEN), "gateway_list_backends")[
        "content"][0]["text"]
    assert "alpha" in text and "streamable_http" in text
    assert "healthy" in text.lower()


def test_gateway_audit_log(gateway):
    client = gateway.client(TOKEN)
    client.call("alpha_echo", {"nonce": "audited"})
    client.modern("tools/call", {"name": "alpha_iserror"})

    def text(limit):
        return structured(client, "gateway_audit_log", {"limit": limit})[
            "content"][0]["text"]

    found = text(10)
    assert "alpha_echo" in found and "watcher" in found
    # The newest first.
    assert found.index("alpha_iserror") < found.index("alpha_echo")
    assert "audited" not in found, "arguments are nobody's business"
    assert len(text(1)) < len(found)


@pytest.mark.parametrize("arguments", [
    {"limit": 0}, {"limit": 101}, {"limit": -1}, {"limit": "x"},
    {"limit": 1.5}, {"other": 1}, {"limit": None}])
def test_gateway_audit_log_arguments(gateway, arguments):
    r = gateway.client(TOKEN).modern("tools/call", {
        "name": "gateway_audit_log", "arguments": arguments})
    assert r.status == 200
    assert r.code == -32602 or r.result.get("isError")


def test_own_tools_are_annotated(gateway):
    for t in gateway.client(TOKEN).all()[:3]:
        assert t["name"].startswith("gateway_")
        assert t["annotations"]["readOnlyHint"] is True
        assert t["annotations"]["idempotentHint"] is True
        assert t["annotations"]["openWorldHint"] is False


# -- logs


def test_access_log(gateway):
    since = len(gateway.lines)
    client = gateway.client(TOKEN)
    r = client.modern("tools/call", {"name": "alpha_echo",
                                     "arguments": {"nonce": "1"}})
    assert r.result

    def line():
        return [l for l in gateway.lines[since:]
                if l.get("tool") == "alpha_echo" and "status" in l]

    found = eventually(line, "an access log line")[0]
    assert found["status"] == 200
    assert found["backend"] == "alpha"
    assert "watcher" in json.dumps(found) or "sam" in json.dumps(found)
    text = json.dumps(sorted(found))
    assert "request" in text and "bytes" in text and "duration" in text, text


def test_request_id(gateway):
    """Every answer can be found in the log; a given id is kept if it is one."""
    since = len(gateway.lines)
    r = gateway.client(TOKEN).modern("tools/list", fields={
        "X-Request-Id": "my-request-1234"})
    id = r.header("x-request-id")
    if id is None:
        pytest.fail("no X-Request-Id in the answer")
    eventually(lambda: id in json.dumps(gateway.lines[since:]), "id in the log")
    r = gateway.client(TOKEN).modern("tools/list", fields={
        "X-Request-Id": 'evil" x\x7f' + "y" * 500})
    assert len(r.header("x-request-id", "")) < 200


def test_log_lines_cannot_be_forged(gateway):
    since = len(gateway.lines)
    client = gateway.client(TOKEN)
    evil = 'x\n{"level":"error","event":"forged"}'
    client.modern("tools/call", {"name": evil})
    with gateway.connect() as c:
        c.ask(http("GET", "/%0a%7b%22event%22:%22forged%22%7d",
                   [("Host", "localhost"), ("User-Agent", '{"x":"\t"}')]))
    client.call("alpha_echo", {"nonce": "1"})
    eventually(lambda: [l for l in gateway.lines[since:]
                        if l.get("tool") == "alpha_echo"], "the last line")
    assert not [l for l in gateway.lines[since:]
                if l.get("event") == "forged" or l.get("level") == "raw"]


def test_audit_log_file(alpha, tmp_path):
    with Gateway(alpha, audit_log_file=str(tmp_path / "audit.log")) as g:
        g.client().call("alpha_echo", {"nonce": "1"})
        lines = eventually(
            lambda: (tmp_path / "audit.log").read_text().splitlines(),
            "audit lines")
        assert any(json.loads(l).get("tool") == "alpha_echo" for l in lines)
        assert "nonce" not in (tmp_path / "audit.log").read_text()


def test_log_file_and_format(alpha, tmp_path):
    path = tmp_path / "gateway.log"
    with Gateway(alpha, log_file=str(path), access_log=True,
                 access_log_file=str(tmp_path / "access.log")) as g:
        g.client().call("alpha_echo", {"nonce": "1"})
        eventually(lambda: (tmp_path / "access.log").read_text(), "access log")
        for line in path.read_text().splitlines():
            json.loads(line)
        assert path.stat().st_mode & 0o007 == 0, "readable by everybody"


def test_log_level_applies(alpha):
    with Gateway(alpha, log_level="ERROR") as g:
        g.client().call("alpha_echo", {"nonce": "1"})
        assert not [l for l in g.lines if l.get("level") in ("info", "debug")
                    and l.get("event") != "audit"]  # a record, not a log
