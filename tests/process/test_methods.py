"""Every method, as clients of each revision ask for it."""

import json
import subprocess

import pytest

import backend as b
import messages
from backend import Backend
from harness import Gateway
from messages import BOTH, LEGACY, META, MODERN, VERSIONS, legacy, modern, post
from wire import eventually, http

OWN = ["gateway_audit_log", "gateway_health", "gateway_list_backends"]
KINDS = {"tools": "name", "prompts": "name", "resources": "uri",
         "resourceTemplates": "uriTemplate"}


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha", tools=[b.tool("echo", annotations={
            "readOnlyHint": True, "destructiveHint": False})] + b.tools(24),
            prompts=[b.prompt("p%02d" % i) for i in range(25)],
            resources=[b.resource("x://r/%02d" % i) for i in range(25)],
            templates=[b.template("x://t/%02d/{id}" % i) for i in range(25)],
            page_size=7) as backend:
        yield backend


@pytest.fixture(scope="module")
def beta():
    with Backend("beta", era="legacy", tools=[b.tool("echo")] + b.tools(9),
                 prompts=[b.prompt("q")], resources=[b.resource("y:z")],
                 page_size=4) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(alpha, beta):
    with Gateway(alpha, beta, list_page_size=10) as g:
        yield g


@pytest.fixture
def client(gateway):
    with gateway.client() as c:
        yield c


# -- modern


def test_discover(client, gateway):
    r = client.modern("server/discover")
    result = r.result
    assert r.status == 200 and result["resultType"] == "complete"
    assert MODERN in result["supportedVersions"]
    for name in ("tools", "prompts", "resources"):
        assert name in result["capabilities"]
    assert isinstance(result["ttlMs"], int) and result["ttlMs"] >= 0
    assert result["cacheScope"] in ("public", "private")
    info = result["_meta"][META + "serverInfo"]
    assert info["name"] == "oci-mcp-gateway" and info["version"]
    assert not r.has("mcp-session-id")


def test_capabilities_are_truthful():
    """What no backend has is not declared, and does not exist."""
    with Backend("alpha") as only_tools, Gateway(only_tools) as g:
        client = g.client()
        capabilities = client.modern("server/discover").result["capabilities"]
        assert "tools" in capabilities
        for name, method in (("prompts", "prompts/list"),
                             ("resources", "resources/list")):
            r = client.modern(method)
            if name in capabilities:
                assert r.result[name] == []
            else:
                assert (r.status, r.code) == (404, -32601)


@pytest.mark.parametrize("kind", KINDS)
def test_modern_lists_can_be_cached(client, kind):
    scopes = set()
    for page in client.pages(kind):
        assert page["resultType"] == "complete"
        assert page["ttlMs"] >= 0 and isinstance(page["ttlMs"], int)
        scopes.add(page["cacheScope"])
        assert META + "serverInfo" in page.get("_meta", {
            META + "serverInfo": 1})
    assert len(scopes) == 1 and scopes <= {"public", "private"}


def test_modern_ignores_sessions(client):
    r = client.modern("tools/list", fields={"Mcp-Session-Id": "whatever",
                                            "Last-Event-ID": "5"})
    assert r.status == 200 and not r.has("mcp-session-id")


@pytest.mark.parametrize("method", [
    "notifications/cancelled", "notifications/initialized",
    "notifications/unheard-of"])
def test_modern_notification(client, method):
    for fields in ({}, {"Mcp-Method": None}):
        r = client.modern(method, {"requestId": 1}, id=None, fields=fields)
        assert r.status == 202 and r.body == b""


def test_modern_response_is_refused(client):
    r = client.post({"jsonrpc": "2.0", "id": 1, "result": {
        "_meta": messages.client_meta()}}, {"MCP-Protocol-Version": MODERN})
    assert r.status == 400 and r.code == -32600


def test_modern_call(client):
    r = client.modern("tools/call", {"name": "alpha_echo",
                                     "arguments": {"nonce": "1"}})
    assert r.result["resultType"] == "complete"
    assert r.result["content"] == [{"type": "text", "text": "1"}]


def test_modern_read_can_be_cached(client):
    result = client.modern("resources/read",
                           {"uri": "x://alpha/r/03"}).result
    assert result["resultType"] == "complete"
    assert result["ttlMs"] >= 0 and result["cacheScope"]


def test_listen_acknowledges(gateway, alpha):
    """The first frame of a subscription is its acknowledgement, tagged."""
    with gateway.connect() as c:
        r = c.send(modern("subscriptions/listen", {
            "notifications": {"toolsListChanged": True}}, id="l1")).head()
        assert r.status == 200
        assert r.type == "text/event-stream"
        assert r.header("cache-control", "").startswith("no-cache")
        first = next(r.stream())
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert str(first["params"]["_meta"][META + "subscriptionId"]) == "l1"


def test_listen_tells_of_changes():
    with Backend("alpha", prompts=[b.prompt("p")]) as alpha, Gateway(
            alpha, discovery={"interval": 1}) as g:
        with g.connect() as c, g.connect() as other:
            stream = c.send(modern("subscriptions/listen", {
                "notifications": {"toolsListChanged": True}})).head().stream()
            assert next(stream)["method"].endswith("acknowledged")
            prompts = other.send(modern("subscriptions/listen", {
                "notifications": {"promptsListChanged": True}})
            ).head().stream()
            assert next(prompts)["method"].endswith("acknowledged")
            alpha.tools = alpha.tools + [b.tool("new")]
            alpha.notify("tools")
            change = next(stream)
            assert change["method"] == "notifications/tools/list_changed"
            assert change["params"]["_meta"][META + "subscriptionId"] == 1
            assert "alpha_new" in g.names()
            alpha.prompts = alpha.prompts + [b.prompt("newer")]
            alpha.notify("prompts")
            # Not one of the tools: this one asked for prompts only.
            assert next(prompts)["method"] == (
                "notifications/prompts/list_changed")


# -- the handshake


@pytest.mark.parametrize("version", LEGACY)
def test_initialize(client, version):
    result, session = client.initialize(version)
    assert result["protocolVersion"] == version
    assert result["serverInfo"]["name"] == "oci-mcp-gateway"
    for name in ("tools", "prompts", "resources"):
        assert name in result["capabilities"]
    assert "resultType" not in result and "ttlMs" not in result
    if session:
        assert all(0x21 <= ord(c) <= 0x7e for c in session)
    for use in (session, None):
        r = client.legacy("tools/list", version=version, session=use)
        assert r.status == 200 and len(r.result["tools"]) == 10


@pytest.mark.parametrize("asked", ["2024-11-05", "2099-01-01", MODERN, "x"])
def test_initialize_with_another_version(client, asked):
    result = client.legacy("initialize",
                           messages.initialize_params(asked)).result
    assert result["protocolVersion"] == LEGACY[0] or (
        asked == "2024-11-05" and result["protocolVersion"] in LEGACY)


def test_initialize_with_a_modern_field_only(client):
    """Some clients send the version they hope for: it is still initialize."""
    r = client.legacy("initialize", messages.initialize_params(),
                      fields={"MCP-Protocol-Version": LEGACY[0]})
    assert r.status == 200 and r.result


def test_sdk_sequence(gateway):
    """What the official clients do, in their order and on one connection."""
    client = gateway.client()
    result, session = client.initialize()
    with gateway.client() as other:
        r = other.request("GET", "/mcp", {
            "Accept": "text/event-stream", "MCP-Protocol-Version": LEGACY[0]})
        assert r.status == 405
        other.send(http("GET", "/mcp", [
            ("Host", "localhost"), ("Accept", "text/event-stream"),
            ("MCP-Protocol-Version", LEGACY[0]), ("Mcp-Session-Id", session)]))
        assert next(other.connection.head().pieces()) == b":\n\n"
    r = client.ask(post({"method": "tools/list", "jsonrpc": "2.0", "id": 1},
                        {"MCP-Protocol-Version": LEGACY[0],
                         "Mcp-Session-Id": session}))
    assert r.status == 200
    r = client.request("DELETE", "/mcp", {
        "Accept": "*/*", "MCP-Protocol-Version": LEGACY[0],
        **({"Mcp-Session-Id": session} if session else {})})
    assert r.status in (200, 202, 204, 405)


def test_stateless_hands_out_no_session(alpha):
    with Gateway(alpha, stateless=True) as g:
        result, session = g.client().initialize()
        assert session is None and result["protocolVersion"] == LEGACY[0]


def test_sessions_work_on_every_worker(alpha):
    with Gateway(alpha, workers=4) as g:
        _, session = g.client().initialize()
        for _ in range(20):
            with g.client() as client:
                assert client.legacy("tools/list",
                                     session=session).status == 200


def test_ping(client):
    for version in LEGACY:
        r = client.legacy("ping", version=version)
        assert r.status == 200 and r.result == {}


@pytest.mark.parametrize("level", ["debug", "info", "notice", "warning",
                                   "error", "critical", "alert", "emergency"])
def test_set_level(client, level):
    assert client.legacy("logging/setLevel", {"level": level}).result == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", LEGACY)
def test_legacy_lists(client, kind, version):
    for page in client.pages(kind, version):
        for name in ("resultType", "ttlMs", "cacheScope"):
            assert name not in page


# -- both


@pytest.mark.parametrize("version", VERSIONS)
def test_lists_are_complete_and_sorted(client, alpha, beta, version):
    names = client.names(version=version)
    assert names[:3] == OWN
    expected = sorted("%s_%s" % (x.name, t.spec["name"])
                      for x in (alpha, beta) for t in x.tools)
    assert names[3:] == expected
    prompts = client.names("prompts", version)
    assert prompts == sorted(["alpha_p%02d" % i for i in range(25)] +
                             ["beta_q"])
    uris = [r["uri"] for r in client.all("resources", version)]
    assert sorted(uris) == sorted(["x://alpha/r/%02d" % i for i in range(25)] +
                                  ["y:beta/z"])
    templates = [t["uriTemplate"]
                 for t in client.all("resourceTemplates", version)]
    assert templates == ["x://alpha/t/%02d/{id}" % i for i in range(25)]


@pytest.mark.parametrize("version", [MODERN, LEGACY[0]])
def test_pages_are_full_and_cursors_stable(gateway, version):
    client, again = gateway.client(), gateway.client()
    pages = list(client.pages(version=version))
    sizes = [len(page["tools"]) for page in pages]
    assert sizes[:-1] == [10] * (len(pages) - 1) and 0 < sizes[-1] <= 10
    assert "nextCursor" not in pages[-1]
    for before, page in zip(pages, pages[1:]):
        # The same cursor gives the same page, on whichever worker.
        for _ in range(3):
            with gateway.client() as other:
                r = other.era(version, "tools/list",
                              {"cursor": before["nextCursor"]})
                assert r.result["tools"] == page["tools"]
    assert list(again.pages(version=version)) == pages


def test_cursor_of_another_list(client):
    cursor = client.modern("tools/list").result["nextCursor"]
    for method in ("prompts/list", "resources/list"):
        r = client.modern(method, {"cursor": cursor})
        assert (r.status, r.code) == (200, -32602)


def test_cursor_tampered_with(client):
    cursor = client.modern("tools/list").result["nextCursor"]
    for bad in (cursor[:-1], cursor + "A", cursor[::-1], "A" + cursor[1:]):
        if bad == cursor:
            continue
        r = client.modern("tools/list", {"cursor": bad})
        # A cursor may be a name in plain words; then it is only a place.
        assert r.status == 200 and r.code in (-32602, None)


def test_cursor_survives_a_change():
    """Pages of a list that changes meanwhile leave nobody out."""
    with Backend("alpha", tools=b.tools(30)) as alpha, Gateway(
            alpha, list_page_size=10) as g:
        client = g.client()
        first = client.modern("tools/list").result
        alpha.tools = [b.tool("aaa")] + alpha.tools[:2] + alpha.tools[3:]
        alpha.notify() or g.hup()
        eventually(lambda: "alpha_aaa" in g.names(), "a new list")
        seen = [t["name"] for t in first["tools"]]
        cursor = first["nextCursor"]
        while cursor:
            page = client.modern("tools/list", {"cursor": cursor}).result
            seen += [t["name"] for t in page["tools"]]
            cursor = page.get("nextCursor")
        assert len(seen) == len(set(seen)), "twice"
        for i in range(30):
            assert "alpha_tool_%05d" % i in seen or i == 2, i


def test_tool_definitions_are_passed_through(client, alpha):
    spec = {"type": "object", "$schema":
            "https://json-schema.org/draft/2020-12/schema",
            "$defs": {"a": {"$anchor": "x", "const": 9007199254740993}},
            "properties": {"z": {"$ref": "#/$defs/a"}, "b": {"type": "number",
                           "maximum": 1.50}}, "additionalProperties": False}
    with Backend("gamma", tools=[b.tool(
            "t", title="Ä title", inputSchema=spec,
            annotations={"readOnlyHint": True, "destructiveHint": False,
                         "idempotentHint": True, "openWorldHint": False},
            icons=[{"src": "https://x.example/i.png"}],
            _meta={"com.example/x": [1, {"y": None}]})]) as gamma, Gateway(
                gamma) as g:
        for version in VERSIONS:
            (t,) = [t for t in g.client().all(version=version)
                    if t["name"] == "gamma_t"]
            assert list(t["inputSchema"]) == list(spec)  # their order, too
            assert t["inputSchema"] == spec
            assert t["annotations"] == gamma.tools[0].spec["annotations"]
            assert t["description"] == "The tool t"
            assert t["_meta"] == {"com.example/x": [1, {"y": None}]}


@pytest.mark.parametrize("version", VERSIONS)
def test_prompts_get(client, version):
    for name, text in (("alpha_p03", "p03 about tea"),
                       ("beta_q", "q about tea")):
        r = client.era(version, "prompts/get", {
            "name": name, "arguments": {"topic": "tea"}})
        assert r.result["messages"][0]["content"]["text"] == text


@pytest.mark.parametrize("version", VERSIONS)
def test_resources_read(client, version):
    for uri, own in (("x://alpha/r/07", "x://r/07"), ("y:beta/z", "y:z"),
                     ("x://alpha/t/05/some%20id", "x://t/05/some%20id")):
        r = client.era(version, "resources/read", {"uri": uri})
        (content,) = r.result["contents"]
        assert content["text"] == "text of " + own


@pytest.mark.parametrize("version", VERSIONS)
def test_completion(client, alpha, version):
    r = client.era(version, "completion/complete", {
        "ref": {"type": "ref/prompt", "name": "alpha_p01"},
        "argument": {"name": "topic", "value": "t"}})
    assert r.result["completion"]["values"] == ["p01"]
    r = client.era(version, "completion/complete", {
        "ref": {"type": "ref/resource", "uri": "x://alpha/t/01/{id}"},
        "argument": {"name": "id", "value": ""}})
    assert r.result["completion"]["values"] == ["x://t/01/{id}"]
    r = client.era(version, "completion/complete", {
        "ref": {"type": "ref/prompt", "name": "nothing"},
        "argument": {"name": "topic", "value": "t"}})
    assert r.code == -32602


# -- how the answer is framed


def test_the_guides_curl(gateway):
    """As the deployment guide has it, by the real curl."""
    done = subprocess.run(
        ["curl", "-s", "-H", "Authorization: Bearer <your-token>",
         "-H", "Content-Type: application/json", "-d",
         '{"jsonrpc":"2.0","method":"tools/list","id":1}',
         "http://127.0.0.1:%d/mcp" % gateway.port],
        stdout=subprocess.PIPE, timeout=30)
    message = json.loads(done.stdout)
    assert message["id"] == 1 and len(message["result"]["tools"]) == 10


@pytest.mark.parametrize("accept", [
    None, "*/*", "application/json", "application/*",
    "text/html, application/json;q=0.5", BOTH])
def test_accept_json(gateway, accept):
    with gateway.connect() as c:
        for data in (legacy("tools/list", fields={"Accept": accept}),
                     legacy("tools/call", {"name": "alpha_echo"},
                            fields={"Accept": accept})):
            r = c.ask(data)
            assert r.status == 200 and r.type == "application/json", accept
            assert r.result


def test_accept_events_only(gateway):
    with gateway.connect() as c:
        for data in (legacy("tools/list", fields={
                "Accept": "text/event-stream"}),
                legacy("tools/call", {"name": "alpha_echo"},
                       fields={"Accept": "text/event-stream"})):
            r = c.ask(data)
            assert r.status in (200, 406)
            if r.status == 200:
                assert r.type == "text/event-stream" and r.result


def test_json_only_from_a_streaming_backend(gateway, alpha):
    """A client that cannot read events gets the last one as plain JSON."""
    alpha.answers = "sse"
    try:
        with gateway.connect() as c:
            r = c.ask(legacy("tools/call", {
                "name": "alpha_echo", "arguments": {"nonce": "7"}},
                fields={"Accept": "application/json"}))
            assert r.type == "application/json"
            assert r.result["content"][0]["text"] == "7"
    finally:
        alpha.answers = "json"


def test_one_charset(client):
    r = client.modern("tools/list")
    assert "charset" not in r.header("content-type") or "utf-8" in r.header(
        "content-type").lower()
    assert r.header("x-content-type-options", "nosniff") == "nosniff"
