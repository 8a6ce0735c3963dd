"""From a public name to a backend: whose it is, and the exact bytes sent."""

import threading

import pytest

import backend as b
import messages
from backend import Backend
from harness import Gateway
from messages import (LEGACY, META, MODERN, VERSIONS, client_meta, compact,
                      modern_fields, post)
from wire import eventually


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha", prompts=[b.prompt("p")],
                 resources=[b.resource("x://one")],
                 templates=[b.template("x://item/{id}")]) as backend:
        yield backend


@pytest.fixture(scope="module")
def beta():
    with Backend("beta", era="legacy", prompts=[b.prompt("p")],
                 resources=[b.resource("x://one")]) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(alpha, beta):
    with Gateway(alpha, beta) as g:
        yield g


@pytest.fixture
def client(gateway, alpha, beta):
    alpha.forget()
    beta.forget()
    with gateway.client() as c:
        yield c


# -- names


def test_each_to_its_backend(client, alpha, beta):
    for version in VERSIONS:
        assert client.call("alpha_echo", {"nonce": "a"}, version) == "a"
        assert client.call("beta_echo", {"nonce": "b"}, version) == "b"
    assert alpha.executed == {"a": 4} and beta.executed == {"b": 4}


def test_names_of_backends_become_identifiers():
    with Backend("my-own.server") as x, Gateway(x) as g:
        assert g.client().call("my_own_server_echo", {"nonce": "1"}) == "1"


def test_no_namespace():
    with Backend("alpha", resources=[b.resource("x://one")]) as x, Gateway(
            entries=[x.entry(namespace_tools=False)]) as g:
        client = g.client()
        assert "echo" in client.names()
        assert client.call("echo", {"nonce": "1"}) == "1"
        assert client.modern("resources/read", {"uri": "x://one"}).result
        assert client.modern("tools/call", {
            "name": "alpha_echo"}).code == -32602


def test_prefix_confusion():
    """a + b_c and a_b + c are one name: one of them has it, always the same,
    and the log says so."""
    def answers(who):
        return lambda e: e.result({"content": [{"type": "text", "text": who}]})

    with Backend("a", tools=[b.tool("b_c", answers("a"))]) as first, Backend(
            "a_b", tools=[b.tool("c", answers("a_b"))]) as second:
        won = set()
        for backends in ((first, second), (first, second)):
            with Gateway(*backends) as g:
                client = g.client()
                assert client.names().count("a_b_c") == 1
                won.add(client.call("a_b_c"))
                line = g.wait_log(level="warning", name="a_b_c")
                assert line["backend"] in ("a", "a_b")
        assert len(won) == 1


def test_collision_without_namespace():
    with Backend("alpha") as x, Backend("beta", tools=[
            b.tool("echo"), b.tool("gateway_health"), b.tool("mine")]) as y:
        with Gateway(x, y, entries=[x.entry(namespace_tools=False),
                                    y.entry(namespace_tools=False)]) as g:
            names = g.names()
            assert names.count("echo") == 1 and "mine" in names
            assert names.count("gateway_health") == 1
            # A backend cannot take the place of the gateway's own tools.
            assert "status" in g.client().call("gateway_health")
            for name in ("echo", "gateway_health"):
                line = g.wait_log(level="warning", name=name)
                assert line["backend"] == "beta", line


@pytest.mark.parametrize("name", ["ünïcode", "with space", "日本", "a/b", "a.b",
                                  "<b>", "x" * 64, "quo\"te", "back\\slash"])
def test_odd_tool_names(name):
    """Listed and callable, or left out with a word in the log."""
    with Backend("alpha", tools=[b.tool("echo"), b.tool(name)]) as x:
        with Gateway(x) as g:
            client = g.client()
            public = "alpha_" + name
            if public in client.names():
                assert client.call(public, {"nonce": "1"}) == "1"
                assert x.last().params["name"] == name
            else:
                assert [l for l in g.lines if l.get("level") == "warning"]


@pytest.mark.parametrize("item", [
    {"name": "no_schema"}, {"inputSchema": {"type": "object"}},
    {"name": 5, "inputSchema": {"type": "object"}},
    {"name": "", "inputSchema": {"type": "object"}},
    {"name": "escape\x1b[31m", "inputSchema": {"type": "object"}},
    {"name": "bad_header", "inputSchema": {"type": "object", "properties": {
        "n": {"type": "number", "x-mcp-header": "N"}}}},
    {"name": "twice", "inputSchema": {"type": "object", "properties": {
        "a": {"type": "string", "x-mcp-header": "N"},
        "b": {"type": "string", "x-mcp-header": "n"}}}},
    {"name": "in_items", "inputSchema": {"type": "object", "properties": {
        "a": {"type": "array", "items": {"type": "string",
                                         "x-mcp-header": "N"}}}}},
    {"name": "crlf", "inputSchema": {"type": "object", "properties": {
        "a": {"type": "string", "x-mcp-header": "N\r\nX: y"}}}},
])
def test_bad_tools_are_left_out_alone(item):
    """One bad definition costs itself, never the list."""
    bad = b.Tool(item, b.echo)
    with Backend("alpha", tools=[b.tool("echo"), bad]) as x, Gateway(x) as g:
        names = g.names()
        assert "alpha_echo" in names
        if item.get("name") not in ("no_schema",):
            assert "alpha_%s" % item.get("name") not in names
            g.wait_log(level="warning", backend="alpha")
        assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"


def test_public_uris(client, alpha, beta):
    uris = [r["uri"] for r in client.all("resources")]
    assert uris == ["x://alpha/one", "x://beta/one"]
    for backend in (alpha, beta):
        client.modern("resources/read",
                      {"uri": "x://%s/one" % backend.name}).result
        assert backend.last("resources/read").params["uri"] == "x://one"
    client.modern("resources/read", {"uri": "x://alpha/item/a%2Fb?c"}).result
    assert alpha.last("resources/read").params["uri"] == "x://item/a%2Fb?c"


def test_public_uris_come_back_public(client):
    """The contents of a resource name it as the client knows it."""
    for version in VERSIONS:
        r = client.era(version, "resources/read", {"uri": "x://alpha/one"})
        assert r.result["contents"][0]["uri"] in ("x://alpha/one", "x://one")


# -- bytes


ARGUMENTS = [
    b"{}",
    b'{ "a" : 1 }',
    b'{"big":9007199254740993,"bigger":123456789012345678901234567890}',
    b'{"e":1e400,"f":0.1000000000000000055511151231257827,"g":-0,"h":1E+2}',
    b'{"u":"\\u00e4\\u65e5\\ud83d\\ude00","raw":"\xc3\xa4"}',
    b'{"nul":"\\u0000","tab":"\\t","slash":"\\/","del":"\x7f"}',
    b'{"\xe2\x80\xa8":"\xe2\x80\xa9","":"","a.b":{"":[]}}',
    b'{"deep":[[[[[[[[[[{"x":[null,true,false]}]]]]]]]]]]}',
    b'{"sse":"data: x\\n\\nevent: y\\r\\n","http":"\\r\\n\\r\\nGET / HTTP/1.1"}',
    b'{"path":"../../etc/passwd","query":"?a=b#c","pct":"%2e%2e%00"}',
    b'{"name":"other","method":"tools/list","id":5,"params":{"name":"x"}}',
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("version", [MODERN, LEGACY[0]])
def test_arguments_to_the_byte(client, alpha, beta, arguments, version):
    for backend in (alpha, beta):
        name = backend.name + "_echo"
        if version == MODERN:
            fields = {**modern_fields("tools/call"), "Mcp-Name": name}
            meta = b',"_meta":' + compact(client_meta())
        else:
            fields, meta = {"MCP-Protocol-Version": version}, b""
        r = client.ask(post(
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
            b'"%s","arguments":%s%s}}' % (name.encode(), arguments, meta),
            fields))
        assert r.status == 200 and r.result
        assert backend.last().arguments_bytes == arguments
        assert backend.last().params["name"] == "echo"


@pytest.mark.parametrize("text", [
    b'{"content":[],"resultType":"complete"}',
    b'{ "content" : [ {"type":"text","text":"\\u00e4\xc3\xa4\\ud83d\\ude00"} ]'
    b', "n":9007199254740993, "resultType" : "complete" }',
    b'{"resultType":"complete","structuredContent":{"z":1,"a":[1.0,1e2,-0]},'
    b'"content":[],"isError":true,"_meta":{"com.example/x":1}}',
])
@pytest.mark.parametrize("answers", ["json", "sse"])
def test_result_to_the_byte(client, alpha, text, answers):
    alpha.set_handler("echo", b.raw_result(text))
    alpha.answers = answers
    try:
        r = client.modern("tools/call", {"name": "alpha_echo"})
        assert r.result
        assert text.strip() in r.body or text[:-1].rstrip() in r.body, r.body
    finally:
        alpha.set_handler("echo", b.echo)
        alpha.answers = "json"


def test_sse_injection(client, alpha):
    """Line ends inside a text stay inside it."""
    evil = "x\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\nid: 1"
    for answers in ("json", "sse"):
        alpha.answers = answers
        try:
            for version in VERSIONS:
                assert client.call("alpha_echo", {"nonce": evil},
                                   version) == evil
        finally:
            alpha.answers = "json"


def test_ids_are_the_gateways_own(client, alpha, beta):
    """Two clients may use one id; the backend sees two, or no harm in it."""
    for id in ("same", 1):
        for backend in (alpha, beta):
            r = client.modern("tools/call", {
                "name": backend.name + "_echo",
                "arguments": {"nonce": "n"}}, id=id)
            assert r.message["id"] == id


def test_nonces_never_cross(gateway):
    """Many clients with the same request id at once, each gets its own."""
    wrong = []

    def run(n):
        client = gateway.client()
        for i in range(30):
            nonce = "%d/%d" % (n, i)
            name = "alpha_echo" if (n + i) % 2 else "beta_echo"
            got = client.era(VERSIONS[i % 4], "tools/call", {
                "name": name, "arguments": {"nonce": nonce}}, id=1)
            if got.result["content"][0]["text"] != nonce:
                wrong.append((nonce, got.body))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


# -- what goes along, and what does not


def test_nothing_of_the_client_is_forwarded(client, alpha, beta):
    private = {"Authorization": "Bearer client-secret-0123456789",
               "Cookie": "session=client-secret-0123456789",
               "DPoP": "client-secret-0123456789",
               "Proxy-Authorization": "Basic client-secret-0123456789",
               "X-Api-Key": "client-secret-0123456789",
               "Last-Event-ID": "client-secret-0123456789"}
    for version in VERSIONS:
        for backend in (alpha, beta):
            client.era(version, "tools/call", {"name": backend.name + "_echo"},
                       fields=private)
            assert b"client-secret" not in backend.last().head
    r = client.legacy("initialize", messages.initialize_params())
    session = r.header("mcp-session-id")
    client.legacy("tools/call", {"name": "beta_echo"}, session=session)
    if session:
        assert session.encode() not in beta.last().head


def test_reserved_meta_does_not_reach_a_legacy_backend(client, beta):
    """The backend would call it a violation; what is free goes along."""
    client.modern("tools/call", {"name": "beta_echo"}, meta={
        **client_meta(), "com.example/mine": 5, "progressToken": "t"})
    assert beta.last().meta.get("com.example/mine") == 5
    assert not [k for k in beta.last().meta if k.startswith(META)]


def test_meta_to_a_modern_backend(client, alpha):
    client.modern("tools/call", {"name": "alpha_echo"}, meta={
        **client_meta(), "com.example/mine": {"a": [1]}})
    assert alpha.last().meta["com.example/mine"] == {"a": [1]}
    assert alpha.last().meta[META + "protocolVersion"] == MODERN
    client.legacy("tools/call", {"name": "alpha_echo"})
    assert alpha.last().meta[META + "protocolVersion"] == MODERN


def test_client_capabilities_are_not_inherited(client, alpha):
    """A legacy client without a session declares nothing."""
    client.legacy("tools/call", {"name": "alpha_echo"})
    assert alpha.last().meta[META + "clientCapabilities"] == {}


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("version", VERSIONS)
def test_trace_context_goes_along(era, version):
    """From _meta first, else from the head; to the backend in both."""
    other = TRACE.replace("0af7", "1af7")
    rows = [  # _meta, head, what the backend gets
        (TRACE, other, TRACE), (TRACE, None, TRACE), (None, other, other),
        ("00-bad", other, other), ("00-bad", None, None), (None, "x", None),
        (None, None, None), (TRACE.replace("00-", "ff-"), None, None),
        (TRACE + "-more", None, None)]
    with Backend("alpha", era=era) as alpha, Gateway(alpha) as g:
        c = g.client()
        for inside, outside, expected in rows:
            meta = client_meta() if version == MODERN else {}
            if inside:
                meta.update(traceparent=inside, tracestate="a=1")
            fields = {"traceparent": outside, "tracestate": "b=2",
                      "baggage": "user=1"} if outside else {}
            params = {"name": "alpha_echo"}
            if version == MODERN:
                c.modern("tools/call", params, meta=meta, fields=fields)
            else:
                c.legacy("tools/call", {**params, "_meta": meta},
                         version=version, fields=fields)
            request = alpha.last()
            assert request.header("traceparent") == expected
            assert request.meta.get("traceparent") == expected
            state = expected and ("a=1" if expected == inside else "b=2")
            assert request.header("tracestate") == state
            assert request.meta.get("tracestate") == state
            assert not request.has("baggage")


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_credentials_of_a_backend(era):
    """Each backend gets its own, on the data path and while discovered."""
    with Backend("alpha", era=era) as x, Backend("beta", era=era) as y, \
            Backend("gamma", era=era) as z:
        x.token = "alpha-token-0123456789"
        with Gateway(x, y, z, entries=[
                x.entry(auth_method="bearer_token", bearer_token=x.token),
                y.entry(auth_method="api_key", api_key="beta-key-0123456789",
                        headers={"X-Tenant": "acme"}),
                z.entry()]) as g:
            g.secrets |= {x.token, "beta-key-0123456789"}
            client = g.client()
            for name in ("alpha", "beta", "gamma"):
                assert client.call(name + "_echo", {"nonce": "1"},
                                   fields={"Authorization": "Bearer "
                                           "client-secret"}) == "1"
            for r in x.requests:
                assert r.header("authorization") == "Bearer " + x.token
            for r in y.requests:
                assert b"beta-key-0123456789" in r.head
                assert r.header("x-tenant") == "acme"
                assert not r.has("authorization")
            for r in z.requests:
                assert not r.has("authorization")
                assert b"beta-key" not in r.head and b"acme" not in r.head


def test_api_key_header():
    with Backend("alpha") as x, Gateway(entries=[x.entry(
            auth_method="api_key", api_key="key-0123456789abcdef",
            api_key_header="X-Special-Key")]) as g:
        g.secrets.add("key-0123456789abcdef")
        g.client().call("alpha_echo")
        assert x.last().header("x-special-key") == "key-0123456789abcdef"


def test_refused_by_a_backend_is_not_relayed():
    """Its 401 is not the gateway's: the client would log in at the wrong
    door."""
    with Backend("alpha") as x, Gateway(x) as g:
        x.token = "now-it-wants-one"
        client = g.client()
        for version in VERSIONS:
            r = client.era(version, "tools/call", {"name": "alpha_echo"})
            assert r.status == 200 and not r.has("www-authenticate")
            assert "alpha" in str(r.message)


# -- revisions against each other


@pytest.mark.parametrize("spoken", VERSIONS)
@pytest.mark.parametrize("answers", ["json", "sse"])
def test_sixteen_pairs(spoken, answers):
    """Every client revision with a backend of every revision."""
    era = "modern" if spoken == MODERN else "legacy"
    with Backend("alpha", era=era, version=spoken, answers=answers,
                 prompts=[b.prompt("p")], resources=[b.resource("x://1")],
                 tools=[b.tool("echo"), b.tool("fail", lambda e: e.error(
                     -32050, "own error", {"why": [1]})),
                     b.tool("iserror", lambda e: e.result({
                         "content": [{"type": "text", "text": "no"}],
                         "isError": True})),
                     b.tool("bad", lambda e: e.error(-32602, "bad x"))]
                 ) as x, Gateway(x) as g:
        for version in VERSIONS:
            client = g.client()
            if version != MODERN:
                client.initialize(version)
            assert "alpha_echo" in client.names(version=version)
            assert client.call("alpha_echo", {"nonce": "é"}, version) == "é"
            r = client.era(version, "tools/call", {"name": "alpha_iserror"})
            assert r.result["isError"] is True
            assert ("resultType" in r.result) == (version == MODERN)
            r = client.era(version, "tools/call", {"name": "alpha_bad"})
            assert (r.status, r.code) == (200, -32602)
            r = client.era(version, "tools/call", {"name": "alpha_fail"})
            assert r.status == 200 and r.code in (-32050, -32603)
            r = client.era(version, "prompts/get", {"name": "alpha_p"})
            assert r.result["messages"]
            r = client.era(version, "resources/read", {"uri": "x://alpha/1"})
            assert r.result["contents"]
            assert ("ttlMs" in r.result) == (version == MODERN)


def test_backend_of_both_eras():
    """Modern clients get its modern side, legacy clients its legacy side."""
    with Backend("alpha", era="both") as x, Gateway(x) as g:
        client = g.client()
        assert client.call("alpha_echo", {"nonce": "1"}) == "1"
        assert META + "protocolVersion" in x.last().meta
        for version in LEGACY:
            assert client.call("alpha_echo", {"nonce": "2"}, version) == "2"


@pytest.mark.parametrize("protocol", ["modern", "legacy"])
def test_pinned_protocol(protocol):
    with Backend("alpha", era="both") as x, Gateway(
            x, entries=[x.entry(protocol=protocol)]) as g:
        client = g.client()
        for version in VERSIONS:
            assert client.call("alpha_echo", {"nonce": "1"}, version) == "1"
        for r in x.calls():
            assert (META + "protocolVersion" in r.meta) == (
                protocol == "modern")


def test_era_is_remembered():
    """server/discover is not asked before every call."""
    with Backend("alpha", era="legacy") as x, Gateway(x) as g:
        client = g.client()
        client.call("alpha_echo")
        x.forget()
        for _ in range(10):
            client.call("alpha_echo")
        assert not x.calls("server/discover")
        assert len(x.calls("initialize")) <= 2  # a worker, perhaps, its first


def test_legacy_session_that_is_forgotten():
    """404 from the backend: a new handshake, and the call goes through."""
    with Backend("alpha", era="legacy") as x, Gateway(x, workers=1) as g:
        client = g.client()
        assert client.call("alpha_echo", {"nonce": "1"}) == "1"
        x.sessions.clear()
        for version in VERSIONS:
            assert client.call("alpha_echo", {"nonce": version},
                               version) == version
        assert all(n == 1 for n in x.executed.values())


def test_legacy_backend_without_sessions():
    with Backend("alpha", era="legacy", sessions=False) as x, Gateway(x) as g:
        for version in VERSIONS:
            assert g.client().call("alpha_echo", {"nonce": "1"},
                                   version) == "1"


def test_era_changes_with_an_upgrade():
    """A legacy backend comes back as a modern one."""
    with Backend("alpha", era="legacy") as x, Gateway(
            x, discovery={"interval": 1}) as g:
        client = g.client()
        assert client.call("alpha_echo", {"nonce": "1"}) == "1"
        x.stop()
        x.era = "modern"
        x.start()

        def works():
            r = client.modern("tools/call", {
                "name": "alpha_echo", "arguments": {"nonce": "2"}})
            return "result" in r.message

        eventually(works, "a call of the new era", within=15)
        # What was sent to it in the old words is no fault.
        x.violations.clear()


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_unlisted_tools(era):
    """Callable where the administrator says so, by whom the rules let."""
    tokens = {"token-of-ann-0123456789": {"client_id": "ann",
                                          "scopes": ["hidden"]},
              "token-of-bob-0123456789": {"client_id": "bob"}}

    def hide(backend):
        shown = backend._list
        backend._list = lambda exchange, key, items: shown(
            exchange, key, [i for i in items if i.get("name") != "secret"])
        return backend

    with hide(Backend("alpha", era, tools=[b.tool("echo"), b.tool("secret")])) \
            as alpha, hide(Backend("beta", era, tools=[
                b.tool("echo"), b.tool("secret")])) as beta, Gateway(
                alpha.entry(unlisted_tools=True), beta,
                auth={"enabled": True, "static_tokens": tokens,
                      "tool_scopes": {"alpha_secret": ["hidden"]}}) as g:
        ann, bob = (g.client(token) for token in tokens)
        assert "alpha_secret" not in ann.names()
        for version in VERSIONS:
            assert ann.call("alpha_secret", {"nonce": "n"},
                            version=version) == "n"
            r = bob.era(version, "tools/call", {"name": "alpha_secret"})
            assert r.status == 403
            for name in ("beta_secret", "secret", "alpha_", "alphasecret"):
                r = ann.era(version, "tools/call", {"name": name})
                assert r.code == -32602
        assert not [r for r in beta.calls()]
        assert ann.era(VERSIONS[0], "tools/call",
                       {"name": "alpha_none"}).code == -32602
