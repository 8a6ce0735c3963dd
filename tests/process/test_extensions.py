"""Extensions: what is offered, what goes on, and pages of MCP Apps."""

import contextlib

import pytest

import backend as b
from backend import Backend, Tasks
from harness import Gateway
from messages import (APP_TYPE, META, MODERN, SKILLS, TASKS, UI, client_meta,
                      declaring, initialize_params)

OTHER = "com.example/colours"
AUTH = [META + name for name in (
    "oauth-client-credentials", "enterprise-managed-authorization",
    "auth/dpop", "auth/wif")]
PAGE = "ui://pages/clock.html"


@contextlib.contextmanager
def gateways(*backends, namespace=True, **settings):
    """A gateway and a client of it, in front of running backends."""
    entries = [x.entry(namespace_tools=namespace) for x in backends]
    with Gateway(*backends, entries=entries, **settings) as g, \
            g.client() as client:
        yield g, client


def backend(name="alpha", extensions=None, **more):
    made = Backend(name, **more)
    made.extensions = extensions or {}
    return made


def offered(client):
    """Of both eras: what the gateway says it has."""
    modern = client.modern("server/discover").result["capabilities"]
    legacy = client.initialize()[0]["capabilities"]
    return modern.get("extensions"), legacy.get("extensions")


def sent(backend, rpc="tools/call"):
    """The extensions that a modern backend was told of."""
    return backend.last(rpc).meta[META + "clientCapabilities"].get(
        "extensions")


# -- what is offered

@pytest.mark.parametrize("era", ["modern", "legacy", "both"])
def test_what_one_backend_has(era):
    has = {TASKS: {}, UI: {"x": 1}, SKILLS: {"directoryRead": True},
           OTHER: {"hues": [1, 2]}, **{name: {} for name in AUTH},
           "noprefix": {}, "a/b": 5, "/x": {}, "x/": {}, "a b/c": {}}
    with backend(extensions=has, era=era) as alpha, \
            gateways(alpha) as (_, client):
        modern, legacy = offered(client)
    assert legacy == {UI: {"x": 1}}
    if era == "legacy":
        assert modern == {UI: {"x": 1}}
    else:
        assert modern == {TASKS: {}, UI: {"x": 1},
                          SKILLS: {"directoryRead": True},
                          OTHER: {"hues": [1, 2]}}


def test_what_two_backends_have():
    has = {TASKS: {"a": 1}, UI: {"b": 2}, SKILLS: {}, OTHER: {}}
    with backend("alpha", has) as alpha, backend("beta", has) as beta, \
            gateways(alpha, beta) as (_, client):
        assert offered(client) == ({TASKS: {}, UI: {}}, {UI: {}})
        r = client.modern("skills/list", {}, meta=declaring(SKILLS))
        assert r.status == 404 and r.json["error"]["code"] == -32601


def test_what_a_backend_gets_and_loses():
    with backend() as alpha, gateways(alpha) as (g, client):
        assert offered(client) == (None, None)
        alpha.extensions = {UI: {}}
        alpha.notify()
        b.eventually(lambda: offered(client) == ({UI: {}}, {UI: {}}),
                     "not offered")
        alpha.extensions = {}
        alpha.notify()
        b.eventually(lambda: offered(client) == (None, None), "still offered")


def test_too_much_of_it_is_left_out():
    has = {"com.example/%d" % i: {} for i in range(100)}
    has["com.example/5"] = {"long": "x" * 9000}
    with backend(extensions=has) as alpha, gateways(alpha) as (_, client):
        modern, _ = offered(client)
        assert sorted(modern) == sorted(
            "com.example/%d" % i for i in range(32) if i != 5)


# -- what goes on

def test_what_a_modern_backend_is_told():
    has = {TASKS: {}, UI: {}, OTHER: {}}
    wants = {UI: {"mimeTypes": [APP_TYPE, "x/y"], "more": [1]}, TASKS: {},
             OTHER: {"z": None}, "com.example/unknown": {}, SKILLS: {},
             AUTH[0]: {}}
    meta = client_meta(capabilities={"extensions": wants, "roots": {}})
    meta["com.example/key"] = {"kept": [True]}
    with backend("alpha", has) as alpha, backend("beta", {UI: {}}) as beta, \
            gateways(alpha, beta) as (_, client):
        for name in ("alpha", "beta"):
            client.call(name + "_echo", meta=dict(meta))
        assert sent(alpha) == {k: wants[k] for k in has}
        assert sent(beta) == {UI: wants[UI]}
        for x in (alpha, beta):
            assert x.last().meta["com.example/key"] == {"kept": [True]}
            assert x.last().meta[META + "clientCapabilities"]["roots"] == {}


def test_results_of_an_extension_that_passes():
    def result(exchange):
        exchange.result({"resultType": "colour", "hue": 7,
                         "_meta": {"com.example/k": 1}})
    with backend(extensions={OTHER: {}}, tools=[
            b.tool("paint", result)]) as alpha, gateways(alpha) as (_, client):
        ask = {"name": "alpha_paint", "arguments": {}}
        r = client.modern("tools/call", ask, meta=declaring(OTHER))
        assert r.result["resultType"] == "colour" and r.result["hue"] == 7
        assert r.result["_meta"]["com.example/k"] == 1
        for meta in (None, declaring(UI)):
            r = client.modern("tools/call", ask, meta=meta)
            assert r.json["error"]["code"] == -32603
            assert "alpha" in r.json["error"]["message"]
        r = client.legacy("tools/call", ask)
        assert r.json["error"]["code"] == -32603


def opened(client, **extensions):
    r = client.legacy("initialize", initialize_params(
        capabilities={"extensions": extensions}))
    return r.header("mcp-session-id")


def test_an_older_host_of_apps_and_a_modern_backend():
    with backend(extensions={UI: {}, TASKS: {}}) as alpha, \
            gateways(alpha) as (_, client):
        for settings, told in (
                ({UI: {"mimeTypes": [APP_TYPE]}, TASKS: {}, OTHER: {}}, True),
                ({UI: {}}, True), ({UI: {"mimeTypes": ["x/y"]}}, False),
                ({TASKS: {}}, False), ({}, False)):
            session = opened(client, **settings)
            client.call("alpha_echo", version="2025-11-25", session=session)
            assert sent(alpha) == ({UI: {"mimeTypes": [APP_TYPE]}} if told
                                   else None), settings


def test_sessions_with_older_backends_are_apart():
    """One for who shows apps, one for the others; and none is opened for an
    extension that the backend does not have."""
    def told(request):
        return request.params["capabilities"].get("extensions")
    with backend("alpha", {UI: {}}, era="legacy") as alpha, \
            backend("beta", era="legacy") as beta, \
            gateways(alpha, beta, workers=1) as (_, client):
        alpha.forget()
        beta.forget()
        with_ui = opened(client, **{UI: {}})
        for name in ("alpha_echo", "beta_echo"):
            client.call(name, version="2025-11-25")
            client.call(name, version="2025-11-25", session=with_ui)
            client.call(name, version="2025-11-25", session=with_ui)
            client.call(name, meta=declaring(UI))
            client.call(name, meta=declaring(TASKS))
        ui = {UI: {"mimeTypes": [APP_TYPE]}}
        assert [told(r) for r in alpha.calls("initialize")] == [None, ui]
        assert [told(r) for r in beta.calls("initialize")] == [None]
        used = [r.header("mcp-session-id") for r in alpha.calls()]
        assert len(set(used)) == 2
        assert used[1] == used[2] == used[3] and used[0] == used[4]


# -- MCP Apps

def clock(**meta):
    return b.tool("clock", _meta=meta)


def app(name="alpha", **more):
    """A backend with a tool that is shown in a page no list has."""
    made = backend(name, {UI: {}}, tools=[
        b.tool("echo"),
        clock(ui={"resourceUri": PAGE, "visibility": ["app"]}, other=[1]),
        b.tool("old", _meta={"ui/resourceUri": PAGE}),
        b.tool("odd", _meta={"ui": {"resourceUri": "https://x/y"},
                             "ui/resourceUri": 5})], **more)
    made.unlisted[PAGE] = {
        "mimeType": APP_TYPE, "text": "<html>" + name + "</html>",
        "_meta": {"ui": {"csp": {"connectDomains": ["https://a.example"]},
                         "prefersBorder": True}}}
    return made


def tool_named(client, name, version=MODERN):
    return next(t for t in client.all(version=version) if t["name"] == name)


@pytest.mark.parametrize("era", ["modern", "legacy", "both"])
@pytest.mark.parametrize("namespace", [True, False])
@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
def test_pages_of_tools(era, namespace, version):
    prefix = "alpha_" if namespace else ""
    public = "ui://alpha/pages/clock.html" if namespace else PAGE
    with app(era=era) as alpha, \
            gateways(alpha, namespace=namespace) as (_, client):
        found = tool_named(client, prefix + "clock", version)
        assert found["_meta"] == {"ui": {
            "resourceUri": public, "visibility": ["app"]}, "other": [1]}
        found = tool_named(client, prefix + "old", version)
        assert found["_meta"] == {"ui/resourceUri": public}
        found = tool_named(client, prefix + "odd", version)
        assert found["_meta"] == {"ui": {"resourceUri": "https://x/y"},
                                  "ui/resourceUri": 5}
        # tools for apps alone can be called, hosts hide them
        client.call(prefix + "clock", version=version)

        r = client.era(version, "resources/read", {"uri": public})
        assert r.result["contents"] == [
            {"uri": public, **alpha.unlisted[PAGE]}]
        assert alpha.last("resources/read").params["uri"] == PAGE
        r = client.era(version, "resources/read", {"uri": public + "x"})
        assert r.json["error"]["code"] in (-32602, -32002)


def test_pages_of_two_backends():
    """With a namespace each has its own; without, the first has it."""
    with app("alpha") as alpha, app("beta") as beta:
        beta.tools[1] = clock(ui={"resourceUri": "ui://beta-only"})
        beta.unlisted["ui://beta-only"] = {"text": "b"}

        def read(client, uri):
            r = client.modern("resources/read", {"uri": uri})
            return r.result["contents"][0]["text"]
        with gateways(alpha, beta) as (_, client):
            assert "alpha" in read(client, "ui://alpha/pages/clock.html")
            assert "beta" in read(client, "ui://beta/pages/clock.html")
        for x in (alpha, beta):
            x.tools = [b.tool(t.spec["name"] + "_" + x.name, t.handler,
                              **{k: v for k, v in t.spec.items()
                                 if k == "_meta"}) for t in x.tools]
        with gateways(alpha, beta, namespace=False) as (_, client):
            assert "alpha" in read(client, PAGE)
            assert read(client, "ui://beta-only") == "b"


def test_pages_need_the_scopes_of_their_backend():
    token = "token-without-scopes-0123456789"
    with app() as alpha, gateways(alpha, namespace=False, auth={
            "enabled": True, "tool_scopes": {"clock": ["time"]},
            "static_tokens": {token: {"client_id": "c"}}}) as (g, _), \
            g.client(token) as client:
        assert "clock" not in client.names()
        r = client.modern("resources/read", {"uri": PAGE})
        assert r.status == 200  # a page is no secret of the tool's


def test_tools_that_hosts_of_apps_see():
    """Lists are read as a host of apps reads them: one list for everybody.
    Calls say what the caller can do."""
    def page(exchange, key, items):
        told = exchange.request.meta[META + "clientCapabilities"]
        if UI not in told.get("extensions", {}):
            items = [t for t in items if t["name"] != "clock"]
        return Backend._list(exchange.backend, exchange, key, items)
    with app() as alpha:
        alpha._list = page
        with gateways(alpha) as (_, client):
            assert "alpha_clock" in client.names()
            client.call("alpha_echo")
            assert sent(alpha) is None
            client.call("alpha_echo", meta=declaring(UI))
            assert sent(alpha) == {UI: {"mimeTypes": [APP_TYPE]}}


CONTENT = [
    {"type": "text", "text": "x://r", "uri": "y"},
    {"type": "resource_link", "uri": "x://h/r?a#b", "name": "\u00e9",
     "_meta": {"ui": {"resourceUri": PAGE}}},
    {"type": "resource_link", "uri": "https://example.com/x", "name": "n"},
    {"type": "resource_link", "uri": "DATA:,x", "name": "n"},
    {"type": "resource", "resource": {"uri": "urn:x", "text": "uri",
                                      "_meta": {"uri": "x://stays"}}},
    {"type": "image", "data": "", "mimeType": "image/png"},
]
PUBLIC = [
    CONTENT[0],
    {**CONTENT[1], "uri": "x://alpha/h/r?a#b",
     "_meta": {"ui": {"resourceUri": "ui://alpha/pages/clock.html"}}},
    CONTENT[2], CONTENT[3],
    {"type": "resource", "resource": {"uri": "urn:alpha/x", "text": "uri",
                                      "_meta": {"uri": "x://stays"}}},
    CONTENT[5],
]


@pytest.mark.parametrize("answers", ["json", "sse"])
@pytest.mark.parametrize("namespace", [True, False])
@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
def test_uris_in_results(answers, namespace, version):
    more = {"structuredContent": {"uri": "x://stays"}}
    meta = {"ui": {"resourceUri": PAGE}, "ui/resourceUri": PAGE, "k": [1]}

    def result(exchange):
        exchange.result({"content": CONTENT, **more, "_meta": dict(meta)})

    def prompt(exchange):
        exchange.result({"messages": [{"role": "user", "content": c}
                                      for c in CONTENT]})
    with backend(tools=[b.tool("links", result)], answers=answers,
                 prompts=[b.prompt("p")]) as alpha, \
            gateways(alpha, namespace=namespace) as (_, client):
        prefix = "alpha_" if namespace else ""
        page = "ui://alpha/pages/clock.html" if namespace else PAGE
        content = PUBLIC if namespace else CONTENT
        r = client.era(version, "tools/call", {
            "name": prefix + "links", "arguments": {}})
        assert r.result["content"] == content
        assert r.result["structuredContent"] == more["structuredContent"]
        found = r.result["_meta"]
        assert found["ui"] == {"resourceUri": page}
        assert found["ui/resourceUri"] == page and found["k"] == [1]

        alpha._prompt = prompt
        r = client.era(version, "prompts/get", {"name": prefix + "p"})
        assert [m["content"] for m in r.result["messages"]] == content


# -- others

@pytest.mark.parametrize("namespace", [True, False])
def test_skills_of_the_one_backend_that_has_them(namespace):
    skills = {"skills": [{"uri": "skill://a/b", "name": "b"}]}
    with backend("alpha", {SKILLS: {"directoryRead": True}}) as alpha, \
            backend("beta") as beta:
        alpha.unlisted["skill://a/b"] = {"text": "how"}
        alpha.methods.update({
            "skills/list": lambda e: e.result(skills, cacheable=True),
            "skills/get": lambda e: e.result(
                {"skill": e.request.params["uri"]}),
            "resources/directory/read": lambda e: e.result({"entries": []})})
        beta.tools = [b.tool("other")]
        with gateways(alpha, beta, namespace=namespace) as (_, client):
            meta = declaring(SKILLS)
            r = client.modern("skills/list", {"cursor": "c"}, meta=meta)
            assert r.result["skills"] == skills["skills"]
            assert r.result["ttlMs"] == alpha.ttl_ms
            assert alpha.last("skills/list").params["cursor"] == "c"
            assert sent(alpha, "skills/list") == {SKILLS: {}}
            r = client.modern("skills/get", {"uri": "skill://a/b"}, meta=meta,
                              fields={"Mcp-Name": "skill://a/b"})
            assert r.result["skill"] == "skill://a/b"
            assert alpha.last("skills/get").header("mcp-name") == "skill://a/b"
            r = client.modern("resources/directory/read", {}, meta=meta)
            assert r.result["entries"] == []
            r = client.modern("resources/read", {"uri": "skill://a/b"})
            assert r.result["contents"][0]["text"] == "how"
            assert client.legacy("skills/list").json["error"]["code"] == -32601


def test_methods_of_an_extension_nobody_knows():
    with backend(extensions={OTHER: {}}) as alpha, \
            gateways(alpha) as (_, client):
        alpha.methods["colours/list"] = lambda e: e.result({})
        alpha.forget()
        r = client.modern("colours/list", {}, meta=declaring(OTHER))
        assert r.status == 404 and r.json["error"]["code"] == -32601
        assert not alpha.calls("colours/list")


def test_tasks_and_apps_of_different_backends():
    with backend("alpha", {UI: {}}) as alpha, backend("beta") as beta:
        Tasks(beta)
        with gateways(alpha, beta) as (_, client):
            assert offered(client) == ({UI: {}, TASKS: {}}, {UI: {}})
