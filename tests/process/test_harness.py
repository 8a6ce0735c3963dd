"""The mocks and the client against each other, without a gateway."""


import pytest

import backend as b
import messages
import tokens
from backend import Backend
from harness import Metrics
from messages import LEGACY, MODERN, compact, legacy, modern
from wire import Connection, chunked, eventually, proxy_header


def ask(server, data, **options):
    with Connection(server.port, **options) as c:
        return c.ask(data.replace(b"Host: localhost",
                                  b"Host: 127.0.0.1:%d" % server.port))


def call(name, arguments=None, **more):
    return modern("tools/call", {"name": name, "arguments": arguments or {}},
                  **more)


@pytest.mark.parametrize("answers", ["json", "sse"])
def test_modern(answers):
    with Backend(answers=answers, resources=[b.resource("x://1")]) as server:
        r = ask(server, modern("server/discover"))
        assert r.result["supportedVersions"] == [MODERN]
        assert r.result["resultType"] == "complete"
        r = ask(server, call("echo", {"nonce": "n1"}))
        assert r.result["content"][0]["text"] == "n1"
        assert server.executed["n1"] == 1
        assert ask(server, modern("resources/read", {
            "uri": "x://1"})).result["contents"][0]["uri"] == "x://1"
        assert ask(server, modern("resources/read", {
            "uri": "x://2"})).code == -32602
        assert ask(server, modern("ping")).status == 404
        assert not server.violations
        assert server.last("tools/call").arguments_bytes == b'{"nonce":"n1"}'


def test_pages():
    with Backend(tools=b.tools(5), page_size=2) as server:
        seen, cursor = [], None
        while True:
            r = ask(server, modern("tools/list", {"cursor": cursor}
                                   if cursor else {})).result
            seen += [t["name"] for t in r["tools"]]
            cursor = r.get("nextCursor")
            if not cursor:
                break
        assert seen == ["tool_%05d" % i for i in range(5)]


@pytest.mark.parametrize("version", LEGACY)
def test_legacy(version):
    with Backend(era="legacy", version=version) as server:
        r = ask(server, legacy("initialize", messages.initialize_params()))
        session = r.header("mcp-session-id")
        assert r.result["protocolVersion"] == version
        kw = {"session": session, "version": version}
        assert ask(server, legacy("tools/list", version=version)).status == 400
        assert ask(server, legacy("tools/list", session="x",
                                  version=version)).status == 404
        assert ask(server, legacy("notifications/initialized", id=None,
                                  **kw)).status == 202
        r = ask(server, legacy("tools/call", {
            "name": "echo", "arguments": {"nonce": "é"}}, **kw))
        assert r.result == {"content": [{"type": "text", "text": "é"}]}
        assert not server.violations


def test_violations_are_seen():
    with Backend() as server:
        ask(server, call("echo", fields={"Mcp-Name": "other"}))
        ask(server, call("echo", fields={"Mcp-Session-Id": "s"}))
        with Connection(server.port) as c:
            c.ask(call("echo"))  # its Host is another's
        assert len(server.violations) == 3, server.violations


def test_steps():
    with Backend(tools=[b.tool("steps", b.steps())]) as server:
        r = ask(server, call("steps", meta=messages.client_meta(
            progressToken="t")))
        assert [m.get("method") for m in r.messages] == [
            "notifications/progress", "notifications/message"] * 3 + [None]


def test_huge():
    with Backend(tools=[b.tool("huge", b.huge(3))]) as server:
        assert len(ask(server, call("huge")).result["content"][0][
            "text"]) == 3 << 20


@pytest.mark.parametrize("name", b.ODDITIES)
def test_oddities(name):
    with Backend(tools=[b.tool("odd", b.ODDITIES[name])]) as server:
        with Connection(server.port) as c:
            c.send(call("odd"))
            mark = b"e" if name == "one_byte_chunks" else b"fine"
            assert c.reader.until(mark)


@pytest.mark.parametrize("name", b.FAULTS)
def test_faults(name):
    with Backend(tools=[b.tool("bad", b.FAULTS[name]), b.tool("echo")]) as s:
        with Connection(s.port) as c:
            c.send(call("bad"))
            c.reader.until(b"\r\n")
        assert ask(s, call("echo", {"nonce": "1"})).status == 200


def test_chunked_and_restart():
    server = Backend().start()
    body = compact(messages.modern_body("tools/list"))
    head = modern("tools/list").split(b"\r\n\r\n")[0]
    head = head.rsplit(b"\r\n", 1)[0] + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert ask(server, head + chunked(body)).status == 200
    server.stop()
    with pytest.raises(OSError):
        ask(server, modern("tools/list"))
    server.start()
    assert ask(server, modern("tools/list")).status == 200
    server.stop()


def test_listen():
    with Backend() as server:
        with Connection(server.port) as c:
            c.send(modern("subscriptions/listen", {
                "notifications": {"toolsListChanged": True}}))
            stream = c.head().stream()
            assert next(stream)["method"].endswith("acknowledged")
            assert eventually(server.notify, "the stream is known") == 1
            assert next(stream)["method"] == "notifications/tools/list_changed"


@pytest.mark.parametrize("kind, alg", [
    ("rsa", "RS256"), ("rsa", "RS512"), ("rsa", "PS256"), ("p256", "ES256"),
    ("p384", "ES384"), ("ed25519", "EdDSA")])
def test_tokens(kind, alg):
    head, payload, signature = tokens.key(kind).token(alg).split(".")
    size = {"rsa": 256, "p256": 64, "p384": 96, "ed25519": 64}[kind]
    assert len(signature) == -(-size * 4 // 3)


def test_tls():
    cert = tokens.certificate()
    with Backend(tls=cert.server()) as server:
        assert ask(server, modern("tools/list"),
                   tls=cert.client()).status == 200


def test_sentinel():
    for text, sent in (("us west 1", "us west 1"),
                       (" us-west1", "=?base64?IHVzLXdlc3Qx?="),
                       ("日本", "=?base64?5pel5pys?="),
                       ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
                       ("=?base64?literal?=",
                        "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=")):
        assert messages.sentinel(text) == sent
        assert messages.unsentinel(sent) == text


def test_metrics():
    m = Metrics('# TYPE a counter\na{b="c\\"d",e="f"} 3\na{b="x"} 4\n'
                '# TYPE h histogram\nh_bucket{le="1"} 1\n'
                'h_bucket{le="+Inf"} 2\nh_sum 3.5\nh_count 2\n')
    assert m.find("a") == 7 and m.find("a", e="f") == 3
    for bad in ("a 1\n", "# TYPE a counter\na 1", "# TYPE a counter\na{b=c} 1\n",
                "# TYPE a counter\na 1\na 2\n",
                '# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_sum 1\n'
                "h_count 3\n"):
        with pytest.raises(AssertionError):
            Metrics(bad)


def test_member_bytes():
    text = b'{"a" : [1, 2], "params":{ "n":"}", "arguments": {"x": 1e3 }}}'
    assert b.member_bytes(text, "params", "arguments") == b'{"x": 1e3 }'


def test_proxy_header():
    assert len(proxy_header("192.0.2.1", 1)) == 28
