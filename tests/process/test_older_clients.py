"""Clients of 2025-03-26 and 2025-06-18: everything that they have and later
ones have not, and what later ones have and they have not."""

import contextlib
import json
import threading

import pytest

import backend as b
import messages
from backend import Backend
from harness import Gateway
from messages import LEGACY, MODERN, VERSIONS, legacy_body
from wire import chunked, eventually, http

OLDEST, OLDER, NEWEST = "2025-03-26", "2025-06-18", "2025-11-25"
LINK = {"type": "resource_link", "uri": "x://é/1", "name": "re\"port",
        "description": "line\nline", "mimeType": "text/plain",
        "annotations": {"priority": 0.5}}
AUDIO = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}
BLOCKS = [{"type": "text", "text": "t"}, LINK, AUDIO]
# What clients see of them: a URI that they can read.
SEEN = [BLOCKS[0], {**LINK, "uri": "x://alpha/é/1"}, AUDIO]
AS_TEXT = {"type": "text", "text": "re\"port: x://alpha/é/1\nline\nline",
           "annotations": {"priority": 0.5}}
URLS = {"elicitations": [
    {"mode": "url", "elicitationId": "e1", "url": "https://a.example/1?x=\"",
     "message": "Sign in"},
    {"mode": "url", "elicitationId": "e2", "url": "https://b.example/2"}]}


def gives(result):
    return lambda e: e.result(dict(result))


def make(name="alpha", **more):
    """A server with one of everything that a revision may not know."""
    return Backend(name, tools=[
        b.tool("echo"), b.tool("steps", b.steps()),
        b.tool("blocks", gives({"content": BLOCKS})),
        b.tool("typed", gives({"content": [], "structuredContent": {"n": 1}}),
               title="Typed", outputSchema={"type": "object"}),
        b.tool("list", gives({"content": [], "structuredContent": [1]}),
               outputSchema={"type": "array"}),
        b.tool("url", lambda e: e.error(-32042, "Go there", URLS)),
        b.tool("large", b.huge(1)), b.tool("huge", b.huge(9)),
        b.tool("cut", b.FAULTS["close_in_body"]),
        b.tool("bad", lambda e: e.error(-32602, "bad x")),
        b.tool("hang", b.hang)],
        prompts=[b.prompt("p")], resources=[b.resource("x://1")],
        templates=[b.template("x://t/{id}")], **more)


@pytest.fixture(scope="module")
def alpha():
    with make() as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(alpha):
    with Gateway(alpha, workers=1) as g:
        yield g


@pytest.fixture
def client(gateway):
    with gateway.client() as c:
        yield c


def call(name, id=1, **params):
    return legacy_body("tools/call", {"name": "alpha_" + name, **params}, id)


def oldest(client, body, fields=None):
    return client.post(body, {"MCP-Protocol-Version": OLDEST,
                              **(fields or {})})


JSON_ONLY = {"Accept": "application/json"}
EVENTS_ONLY = {"Accept": "text/event-stream"}


def by_id(response):
    """The answers of a batch, whatever carries them."""
    assert response.status == 200, response.body
    found = response.messages
    if response.type != "text/event-stream":
        found = found[0]
        assert isinstance(found, list)
    answers = [m for m in found if "method" not in m]
    assert all(m["jsonrpc"] == "2.0" for m in answers)
    out = {m["id"]: m for m in answers}
    assert len(out) == len(answers), answers
    return out


# -- the handshake


@pytest.mark.parametrize("asked, answered", [
    (OLDEST, OLDEST), (OLDER, OLDER), (NEWEST, NEWEST), (MODERN, NEWEST),
    ("2024-11-05", NEWEST), ("2099-01-01", NEWEST), ("", NEWEST)])
def test_negotiation(client, asked, answered):
    r = client.legacy("initialize", messages.initialize_params(asked))
    assert r.status == 200 and r.result["protocolVersion"] == answered
    assert r.has("mcp-session-id")


@pytest.mark.parametrize("params", [{}, {"protocolVersion": 7}, None])
def test_negotiation_without_a_version(client, params):
    r = client.legacy("initialize", params)
    assert r.result["protocolVersion"] == NEWEST


METHODS = {
    "ping": {}, "tools/list": {}, "prompts/list": {}, "resources/list": {},
    "resources/templates/list": {}, "logging/setLevel": {"level": "info"},
    "tools/call": {"name": "alpha_echo", "arguments": {"nonce": "1"}},
    "prompts/get": {"name": "alpha_p"},
    "resources/read": {"uri": "x://alpha/1"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "alpha_p"},
                            "argument": {"name": "topic", "value": "x"}},
}
LATER = ("server/discover", "subscriptions/listen", "tasks/update")


@pytest.mark.parametrize("version", LEGACY + (None,))
@pytest.mark.parametrize("method", METHODS)
def test_methods(client, version, method):
    """With the version field and without; with a session and without."""
    _, session = client.initialize(version or OLDEST)
    for use in (session, None):
        r = client.legacy(method, METHODS[method], session=use, fields={
            "MCP-Protocol-Version": version})
        assert r.status == 200 and "resultType" not in r.result
        assert "ttlMs" not in r.result


@pytest.mark.parametrize("version", [OLDEST, OLDER])
@pytest.mark.parametrize("method", LATER)
def test_methods_of_later(client, version, method):
    r = client.legacy(method, {}, version=version)
    assert (r.status, r.code) == (200, -32601)


@pytest.mark.parametrize("version", LEGACY + (None,))
@pytest.mark.parametrize("method", [
    "initialized", "cancelled", "progress", "roots/list_changed",
    "unheard-of"])
def test_notifications(client, version, method):
    r = client.legacy("notifications/" + method, {
        "requestId": 99, "progressToken": 1, "progress": 1}, id=None,
        fields={"MCP-Protocol-Version": version})
    assert r.status == 202 and r.body == b""


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-27", "", "x",
                                     "2099-01-01"])
def test_version_fields_that_are_refused(client, version):
    r = client.legacy("ping", version=version)
    assert r.status == 400 and r.message["id"] == client.ids


def test_version_field_twice(client):
    data = messages.legacy("ping", version=OLDER).replace(
        b"MCP-Protocol-Version: 2025-06-18\r\n",
        b"MCP-Protocol-Version: 2025-06-18\r\n" * 2)
    assert client.ask(data).status == 400


@pytest.mark.parametrize("version, has_id", [
    (None, True), (OLDEST, True), (OLDER, True), (NEWEST, False),
    (MODERN, False)])
@pytest.mark.parametrize("body", [b"{", b'"x"', b'{"jsonrpc":"2.0"}'])
def test_error_of_what_cannot_be_read(client, version, has_id, body):
    """id null until 2025-06-18, and none at all from then on."""
    r = client.post(body, {"MCP-Protocol-Version": version})
    assert r.status == 400 and ("id" in r.json) == has_id
    assert r.json.get("id") is None


# -- what older clients do not know


@pytest.mark.parametrize("version, how", [
    *((v, how) for v in LEGACY for how in ("field", "session")),
    (None, "field")])
def test_structured_results(client, version, how):
    _, session = client.initialize(version or OLDEST)
    given = {"fields": {"MCP-Protocol-Version": version}}
    if how == "session":
        given = {"session": session, "fields": {"MCP-Protocol-Version": None}}
    knows = version in (OLDER, NEWEST)
    tools = {t["name"]: t for t in client.legacy(
        "tools/list", **given).result["tools"]}
    assert tools["alpha_typed"]["title"] == "Typed"
    assert ("outputSchema" in tools["alpha_typed"]) == knows
    assert "outputSchema" not in tools["alpha_list"]
    for own in ("gateway_health", "gateway_list_backends"):
        r = client.legacy("tools/call", {"name": own}, **given).result
        assert ("structuredContent" in r) == knows and r["content"]
    r = client.legacy("tools/call", {"name": "alpha_typed"}, **given).result
    assert r.get("structuredContent") == ({"n": 1} if knows else None)
    r = client.legacy("tools/call", {"name": "alpha_list"}, **given).result
    assert "structuredContent" not in r and r["content"] == []


@pytest.fixture(params=["modern", "legacy"], scope="module")
def either(request, alpha, gateway):
    """A backend and its gateway, of both eras."""
    if request.param == "modern":
        yield alpha, gateway
        return
    with make(era="legacy") as x, Gateway(x, workers=1) as g:
        yield x, g


@pytest.mark.parametrize("version", LEGACY)
@pytest.mark.parametrize("answers", ["json", "sse"])
def test_links(either, version, answers):
    x, g = either
    x.answers = answers
    with g.client() as client:
        r = client.legacy("tools/call", {"name": "alpha_blocks"},
                          version=version)
    x.answers = "json"
    assert r.result["content"] == (
        [BLOCKS[0], AS_TEXT, AUDIO] if version == OLDEST else SEEN)


def test_links_in_prompts():
    with make() as x, Gateway(x, workers=1) as g, g.client() as client:
        x._prompt = lambda e: e.result({"messages": [
            {"role": "user", "content": block} for block in BLOCKS]})
        for version in LEGACY:
            r = client.legacy("prompts/get", {"name": "alpha_p"},
                              version=version)
            assert [m["content"] for m in r.result["messages"]] == (
                [BLOCKS[0], AS_TEXT, AUDIO] if version == OLDEST else SEEN)
            assert all(m["role"] == "user" for m in r.result["messages"])


def test_large_results_pass_as_they_are():
    """Over 256 KiB nothing is looked into."""
    text = {"type": "text", "text": "x" * (512 << 10)}
    with Backend("alpha", tools=[b.tool("big", gives({
            "content": [text, LINK], "structuredContent": {"n": 1}}))]
            ) as x, Gateway(x, workers=1) as g:
        r = g.client().legacy("tools/call", {"name": "alpha_big"},
                              version=OLDEST)
        assert r.result["content"] == [text, LINK]
        assert r.result["structuredContent"] == {"n": 1}


@pytest.mark.parametrize("version", LEGACY)
def test_url_errors(either, version):
    with either[1].client() as client:
        error = client.legacy("tools/call", {"name": "alpha_url"},
                              version=version).error
    if version == NEWEST:
        assert error == {"code": -32042, "message": "Go there", "data": URLS}
    else:
        assert error == {"code": -32603, "message":
                         "Go there\nSign in: https://a.example/1?x=\"\n"
                         "https://b.example/2"}


ABILITIES = {"elicitation": {"form": {}, "url": {}}, "roots": {},
             "sampling": {"tools": {}, "context": {}}}
DECLARED = {
    OLDEST: {"roots": {}, "sampling": {}},
    OLDER: {"elicitation": {}, "roots": {}, "sampling": {}},
    NEWEST: {"elicitation": {"form": {}, "url": {}}, "roots": {},
             "sampling": {"tools": {}, "context": {}}},
}


@pytest.mark.parametrize("version", LEGACY)
def test_what_is_declared_for_them(version):
    """A client cannot have what its revision has not, whatever it says."""
    with Backend("alpha", era="legacy") as x, Gateway(x, workers=1) as g:
        client = g.client()
        r = client.legacy("initialize",
                          messages.initialize_params(version, ABILITIES))
        x.forget()
        client.call("alpha_echo", version=version,
                    session=r.header("mcp-session-id"))
        declared = x.last("initialize").params["capabilities"]
        assert {k: v for k, v in declared.items()} == DECLARED[version]


# -- batches


BATCH = [
    legacy_body("ping", id=1),
    legacy_body("notifications/cancelled", {"requestId": 77}, None),
    call("echo", "two", arguments={"nonce": "é"}),
    legacy_body("tools/list", id=3),
    call("bad", 4),
    legacy_body("no/such", id=5),
    legacy_body("resources/read", {"uri": "x://alpha/1"}, 6),
    legacy_body("prompts/get", {"name": "alpha_p"}, 7),
]


def check_batch(found):
    assert set(found) == {1, "two", 3, 4, 5, 6, 7}
    assert found[1]["result"] == {}
    assert found["two"]["result"]["content"][0]["text"] == "é"
    assert found[3]["result"]["tools"]
    assert found[4]["error"]["code"] == -32602
    assert found[5]["error"]["code"] == -32601
    assert found[6]["result"]["contents"] and found[7]["result"]["messages"]


@pytest.mark.parametrize("fields", [{}, JSON_ONLY, EVENTS_ONLY])
@pytest.mark.parametrize("how", ["field", "session", "nothing"])
def test_batch(client, fields, how):
    fields = dict(fields)
    if how == "field":
        fields["MCP-Protocol-Version"] = OLDEST
    if how == "session":
        fields["Mcp-Session-Id"] = client.initialize(OLDEST)[1]
    r = client.post(BATCH, fields)
    assert r.type == ("text/event-stream" if "event" in fields.get(
        "Accept", "") else "application/json")
    check_batch(by_id(r))
    assert client.legacy("ping").status == 200  # the connection goes on


@pytest.mark.parametrize("size", [1, 16, 17, 100])
def test_batch_sizes(client, alpha, size):
    alpha.forget()
    found = by_id(oldest(client, [call("echo", i, arguments={"nonce": str(i)})
                                  for i in range(size)]))
    assert set(found) == set(range(size))
    for i in found:
        assert found[i]["result"]["content"][0]["text"] == str(i)
    assert all(alpha.executed[str(i)] == 1 for i in range(size))


@pytest.mark.parametrize("batch", [
    [legacy_body("notifications/initialized", id=None)],
    [legacy_body("notifications/x", id=None)] * 100,
    [{"jsonrpc": "2.0", "id": 1, "result": {}},
     {"jsonrpc": "2.0", "id": 2, "error": {"code": 1, "message": "m"}}]])
def test_batch_without_a_request(client, batch):
    r = oldest(client, batch)
    assert r.status == 202 and r.body == b""


@pytest.mark.parametrize("element, id, code", [
    (1, None, -32600), (None, None, -32600), ([], None, -32600),
    ([legacy_body("ping")], None, -32600), ({}, None, -32600),
    ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, None, -32600),
    ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, None, -32600),
    (legacy_body("initialize", messages.initialize_params(), 9), 9, -32600),
    ({"jsonrpc": "2.0", "id": 9, "method": "tools/call"}, 9, -32602),
    (messages.modern_body("tools/list", {}, 9), 9, -32020)])
def test_batch_with_a_bad_element(client, element, id, code):
    """Its failure is its own."""
    found = by_id(oldest(client, [legacy_body("ping", id=1), element,
                                  call("echo", 2)]))
    assert set(found) == {1, 2, id}
    assert found[id]["error"]["code"] == code
    assert "result" in found[1] and "result" in found[2]


@pytest.mark.parametrize("how", ["field", "session", "modern"])
def test_batches_of_later_revisions(client, how):
    for version in (OLDER, NEWEST):
        fields = {"MCP-Protocol-Version": version}
        if how == "modern":
            fields = {"MCP-Protocol-Version": MODERN}
        if how == "session":
            fields = {"Mcp-Session-Id": client.initialize(version)[1]}
        r = client.post([legacy_body("ping")], fields)
        assert r.status == 400 and r.json["error"]["code"] == -32600
        assert ("id" in r.json) == (version == OLDER and how != "modern")


@pytest.mark.parametrize("batch", [
    [], [legacy_body("ping", id=i) for i in range(101)]])
def test_batches_that_are_refused(client, alpha, batch):
    r = oldest(client, batch)
    assert r.status == 400 and r.json["error"]["code"] == -32600
    assert r.json["id"] is None


def test_batch_limit(alpha):
    with Gateway(alpha, limits={"batch": 2}) as g, g.client() as client:
        assert by_id(oldest(client, [call("echo", 1), call("echo", 2)]))
        r = oldest(client, [call("echo", i) for i in range(3)])
        assert r.status == 400 and "limits.batch" in r.json["error"]["message"]


def test_broken_batch(client):
    r = oldest(client, b'[{"jsonrpc":"2.0","id":1,"method":"ping"},')
    assert r.status == 400 and r.json["error"]["code"] == -32700


def head_of():
    return http("POST", "/mcp", {
        "Host": "localhost", "Content-Type": "application/json",
        "Accept": messages.BOTH, "Transfer-Encoding": "chunked"}.items())


def test_batch_that_arrives_in_pieces(client):
    body = messages.compact(BATCH)
    for piece in (head_of(), chunked(body, 100)):
        client.send(piece)
    check_batch(by_id(client.connection.read()))


def progress(count):
    return [call("steps", i, arguments={"nonce": str(i)},
                 _meta={"progressToken": "t%d" % i}) for i in range(count)]


@pytest.mark.parametrize("count", [1, 5, 40])
def test_batch_as_a_stream(client, count):
    """One answer streams, so all are events; each call has its progress."""
    r = oldest(client, [call("echo", "plain")] + progress(count))
    assert r.type == "text/event-stream"
    found = by_id(r)
    assert set(found) == {"plain", *range(count)}
    for i in range(count):
        at = [m["params"]["progress"] for m in r.messages
              if m.get("method") == "notifications/progress" and
              m["params"]["progressToken"] == "t%d" % i]
        assert at == [1, 2, 3]
        assert found[i]["result"]["content"][0]["text"] == str(i)


def test_batch_for_a_client_without_streams(client):
    r = oldest(client, progress(3), JSON_ONLY)
    assert r.type == "application/json" and set(by_id(r)) == {0, 1, 2}


@pytest.mark.parametrize("fields", [{}, JSON_ONLY, EVENTS_ONLY])
def test_batch_with_large_answers(client, fields):
    """Two of 1 MiB, held until they are whole: they do not mix."""
    found = by_id(oldest(client, [call("large", 1), call("echo", 2),
                                  call("large", 3)], fields))
    for i in (1, 3):
        assert len(found[i]["result"]["content"][0]["text"]) == 1 << 20
    assert "result" in found[2]


def too_large(message):
    error = message["error"]
    return error["code"] == -32603 and "limits.message_bytes" in error[
        "message"]


def test_batch_over_what_is_held(client):
    """limits.message_bytes is for all of them together; then one is told."""
    found = by_id(oldest(client, [call("large", i) for i in range(6)],
                         JSON_ONLY))
    assert set(found) == set(range(6))
    errors = [m for m in found.values() if "error" in m]
    assert errors and len(errors) < 6 and all(map(too_large, errors))


@pytest.mark.parametrize("fields", [{}, JSON_ONLY])
def test_batch_with_an_answer_that_is_too_large(client, fields):
    found = by_id(oldest(client, [call("huge", 1), call("echo", 2)], fields))
    assert too_large(found[1]) and "result" in found[2]
    assert client.legacy("ping").status == 200


@pytest.mark.parametrize("fields", [{}, JSON_ONLY])
def test_batch_with_an_answer_that_breaks_off(client, fields):
    def half(e):
        e.head(200)
        e.chunk(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":'
                b'"text","text":"' % e.id + b"x" * (400 << 10))
        e.close()

    with Backend("alpha", tools=[b.tool("half", half), b.tool("echo")]
                 ) as x, Gateway(x, workers=1) as g, g.client() as c:
        found = by_id(oldest(c, [call("half", 1), call("echo", 2)], fields))
        assert found[1]["error"]["code"] == -32603
        assert "result" in found[2]


def test_batch_downgrades_too(client):
    found = by_id(oldest(client, [call("blocks", 1), call("typed", 2),
                                  call("url", 3), call("cut", 4)]))
    assert found[1]["result"]["content"] == [BLOCKS[0], AS_TEXT, AUDIO]
    assert "structuredContent" not in found[2]["result"]
    assert found[3]["error"]["code"] == -32603
    assert "alpha" in found[4]["error"]["message"]


def test_batch_runs_at_the_same_time():
    """Sixteen wait for each other at the backend."""
    barrier = threading.Barrier(16)

    def together(e):
        barrier.wait(timeout=10)
        b.echo(e)

    with Backend("alpha", tools=[b.tool("together", together)]
                 ) as x, Gateway(x, workers=1) as g, g.client() as client:
        found = by_id(oldest(client, [call("together", i)
                                      for i in range(16)]))
        assert all("result" in m for m in found.values())


@contextlib.contextmanager
def twenty_of_which_sixteen_wait():
    """A batch of calls; each is answered when the gate is released once."""
    gate = threading.Semaphore(0)

    def gated(e):
        assert gate.acquire(timeout=20)
        b.echo(e)

    with Backend("alpha", tools=[b.tool("gated", gated)]
                 ) as x, Gateway(x, workers=1) as g, g.client() as client:
        client.send(messages.post([call("gated", i) for i in range(20)],
                                  {"MCP-Protocol-Version": OLDEST}))
        x.wait_for(count=16)
        yield x, g, client, gate


def test_batch_is_bounded():
    """The seventeenth is sent when one of the sixteen is done."""
    with twenty_of_which_sixteen_wait() as (x, g, client, gate):
        assert len(x.calls()) == 16
        gate.release()
        x.wait_for(count=17)
        gate.release(19)
        assert len(by_id(client.connection.read())) == 20


def test_batch_whose_client_leaves():
    """All of it is cancelled, and what is not begun never will be."""
    with Backend("alpha", tools=[b.tool("hang", b.hang)]) as x, Gateway(
            x, workers=1) as g:
        with g.client() as client:
            client.send(messages.post([call("hang", i) for i in range(30)],
                                      {"MCP-Protocol-Version": OLDEST}))
            x.wait_for(count=16)
        found = eventually(lambda: (lambda rows: rows if len(rows) == 16 else
                                    None)(g.log(event="audit")), "16 records")
        assert {row["outcome"] for row in found} == {"cancelled"}
        assert len(x.calls()) == 16
        assert g.client().legacy("ping").status == 200


def test_one_of_a_batch_is_cancelled():
    """It gets no answer, the others do."""
    gate = threading.Semaphore(0)

    def gated(e):
        assert gate.acquire(timeout=20)
        b.echo(e)

    with Backend("alpha", tools=[b.tool("gated", gated), b.tool(
            "hang", b.hang)]) as x, Gateway(x, workers=1) as g, \
            g.client() as client, g.client() as other:
        session = {"Mcp-Session-Id": client.initialize(OLDEST)[1]}
        client.send(messages.post([call("hang", "h"), call("gated", "g")],
                                  {"MCP-Protocol-Version": OLDEST, **session}))
        x.wait_for(count=2)
        assert oldest(other, [legacy_body("notifications/cancelled", {
            "requestId": "h"}, None)], session).status == 202
        g.wait_log(event="audit", tool="alpha_hang", outcome="cancelled")
        gate.release()
        assert set(by_id(client.connection.read())) == {"g"}


def test_batch_with_a_slow_reader(gateway):
    """A client that takes nothing holds up its own batch only."""
    with gateway.connect() as c:
        c.send(messages.post([call("large", i) for i in range(12)],
                             {"MCP-Protocol-Version": OLDEST}))
        head = c.head()
        assert gateway.client().legacy("ping").status == 200
        assert set(by_id(head)) == set(range(12))


def test_batch_scopes_records_and_metrics():
    with make() as x, Gateway(
            x, workers=1, access_log=True,
            auth={"enabled": True, "tool_scopes": {"alpha_bad": ["b"]},
                  "static_tokens": {"t" * 32: {
                      "client_id": "few", "scopes": ["a"]}}}
            ) as g, g.client("t" * 32) as c:
        r = oldest(c, [call("echo", 1), call("bad", 2),
                       legacy_body("tools/list", id=3)],
                   {"X-Request-Id": "batch-1"})
        found = by_id(r)
        assert found[2]["error"]["code"] == -31403
        assert "result" in found[1]
        assert "alpha_bad" not in [t["name"] for t in
                                   found[3]["result"]["tools"]]
        rows = {row["tool"]: row for row in eventually(
            lambda: (lambda rows: rows if len(rows) == 2 else None)(
                g.log(event="audit")), "two records")}
        assert rows["alpha_echo"]["outcome"] == "success"
        assert rows["alpha_bad"]["outcome"] == "unauthorized"
        assert {row["request_id"] for row in rows.values()} == {"batch-1"}
        lines = g.wait_log(event="access", request_id="batch-1")
        assert lines["status"] == 200
        assert len(g.log(event="access", request_id="batch-1")) == 1


def test_batch_after_the_reload(alpha):
    """A batch is served by the configuration that it began on."""
    with twenty_of_which_sixteen_wait() as (x, g, client, gate):
        g.reload(limits={"batch": 5, "head_bytes": 1024})
        gate.release(20)
        assert len(by_id(client.connection.read())) == 20
        assert oldest(client, [call("gated", i) for i in range(6)]
                      ).status == 400


def test_batch_of_the_same_id(client):
    r = oldest(client, [legacy_body("ping", id=1)] * 2)
    assert [m["id"] for m in r.json] == [1, 1]


def test_batch_in_lines(client):
    """White space between the elements and in them."""
    r = oldest(client, json.dumps(BATCH, indent=2).encode(), EVENTS_ONLY)
    check_batch(by_id(r))


# -- every client with every backend


def server(version, answers):
    era = "modern" if version == MODERN else "legacy"
    return make(era=era, version=LEGACY[0] if era == "modern" else version,
                answers=answers)


@pytest.mark.parametrize("answers", ["json", "sse"])
@pytest.mark.parametrize("spoken", VERSIONS)
def test_table(spoken, answers):
    with server(spoken, answers) as x, Gateway(x, workers=1) as g:
        for version in VERSIONS:
            with g.client() as client:
                check_pair(client, version)
        assert all(isinstance(r.message, dict) for r in x.requests)


def check_pair(client, version):
    def ask(method, params, **more):
        return client.era(version, method, params, **more)

    session = None
    if version != MODERN:
        session = client.initialize(version)[1]
    more = {"session": session} if session else {}
    names = [t["name"] for t in ask("tools/list", {}, **more).result["tools"]]
    assert "alpha_echo" in names
    for kind, key in (("prompts", "prompts"), ("resources", "resources"),
                      ("resources/templates", "resourceTemplates")):
        assert len(ask(kind + "/list", {}, **more).result[key]) == 1
    r = ask("tools/call", {"name": "alpha_echo", "arguments": {"nonce": "n"}},
            **more)
    assert r.result["content"] == [{"type": "text", "text": "n"}]
    assert ("resultType" in r.result) == (version == MODERN)
    assert ask("resources/read", {"uri": "x://alpha/1"},
               **more).result["contents"][0]["uri"] == "x://alpha/1"
    assert ask("prompts/get", {"name": "alpha_p"}, **more).result["messages"]
    assert ask("completion/complete", {
        "ref": {"type": "ref/prompt", "name": "alpha_p"},
        "argument": {"name": "topic", "value": ""}},
        **more).result["completion"]["values"] == ["p"]
    check_stream(client, version, more)
    r = ask("tools/call", {"name": "alpha_bad"}, **more)
    assert (r.status, r.code, r.error["message"]) == (200, -32602, "bad x")
    r = ask("resources/read", {"uri": "x://alpha/none"}, **more)
    assert r.status == 200 and r.code in (
        (-32602,) if version == MODERN else (-32602, -32002))
    if version != MODERN:
        assert ask("logging/setLevel", {"level": "debug"}, **more).result == {}
        assert ask("ping", {}, **more).result == {}


def check_stream(client, version, more):
    """Progress under the client's token, log messages, then the result."""
    meta = {"progressToken": "pt"}
    params = {"name": "alpha_steps", "arguments": {"nonce": "s"}}
    if version == MODERN:
        r = client.modern("tools/call", params, meta=messages.client_meta(
            logLevel="info", **meta))
    else:
        r = client.legacy("tools/call", {**params, "_meta": meta},
                          version=version, **more)
    told = [m for m in r.messages if "method" in m]
    assert [m["params"]["progress"] for m in told
            if m["method"] == "notifications/progress" and
            m["params"]["progressToken"] == "pt"] == [1, 2, 3]
    assert [m["params"]["data"] for m in told
            if m["method"] == "notifications/message"] == [
                "step 1", "step 2", "step 3"]
    assert r.result["content"][0]["text"] == "s"
