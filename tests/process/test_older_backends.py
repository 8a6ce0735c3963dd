"""Backends that choose 2025-03-26 or 2025-06-18 when they are offered
2025-11-25: what they get, what they may say, what they may not."""

import pytest

import backend as b
import messages
from backend import Backend
from harness import Gateway
from messages import LEGACY, META, VERSIONS, compact
from wire import eventually

OLDEST, OLDER, NEWEST = "2025-03-26", "2025-06-18", "2025-11-25"
ALL = {"elicitation": {"form": {}, "url": {}}, "roots": {},
       "sampling": {"tools": {}}}


class Asking(Backend):
    """Its tool "ask" asks what it is told to, and tells what it heard."""

    def __init__(self, version):
        super().__init__("alpha", era="legacy", version=version, tools=[
            b.tool("ask", self.ask)], answers="sse")
        self.question = None

    def heard(self):
        for r in list(self.requests):
            if r.message.get("id") == "q1":
                return r.message
        return None

    def ask(self, exchange):
        method, params = self.question
        exchange.event({"jsonrpc": "2.0", "id": "q1", "method": method,
                        "params": params})
        answer = eventually(self.heard, "an answer")
        exchange.result({"content": [{
            "type": "text", "text": str(answer.get("error", {}).get(
                "code", answer.get("result")))}]})


FORM = ("elicitation/create", {"message": "m", "requestedSchema": {
    "type": "object", "properties": {}}})
URL = ("elicitation/create", {"mode": "url", "message": "m", "url": "https://a",
                              "elicitationId": "e"})
SAMPLE = ("sampling/createMessage", {"maxTokens": 1, "messages": [
    {"role": "user", "content": {"type": "text", "text": "t"}}]})
TOOLS = (SAMPLE[0], {**SAMPLE[1], "tools": [{"name": "n", "inputSchema": {
    "type": "object"}}]})
ROOTS = ("roots/list", {})
ASKED = {  # by the revision of the backend, and of the client
    OLDEST: (SAMPLE, ROOTS),
    OLDER: (FORM, SAMPLE, ROOTS),
    NEWEST: (FORM, URL, SAMPLE, TOOLS, ROOTS),
}


@pytest.fixture(scope="module", params=LEGACY)
def asking(request):
    with Asking(request.param) as x, Gateway(x, workers=1) as g:
        yield x, g


@pytest.mark.parametrize("version", LEGACY)
@pytest.mark.parametrize("question", [FORM, URL, SAMPLE, TOOLS, ROOTS],
                         ids=["form", "url", "sample", "tools", "roots"])
def test_questions(asking, version, question):
    """Both sides must know what is asked; else the gateway says no."""
    x, g = asking
    x.question = question
    x.forget()
    with g.client() as client:
        r = client.legacy("initialize",
                          messages.initialize_params(version, ALL))
        session = {"version": version, "session": r.header("mcp-session-id")}
        client.send(messages.legacy("tools/call", {"name": "alpha_ask"},
                                    id=1, **session))
        head = client.connection.head()
        known = question in ASKED[x.version] and question in ASKED[version]
        for message in head.stream() if head.type != "application/json" else ():
            if "method" not in message:
                break
            assert known and message["method"] == question[0]
            assert message["params"] == question[1]
            with g.client() as other:
                done = other.post({"jsonrpc": "2.0", "id": message["id"],
                                   "result": {"heard": 1}}, {
                    "Mcp-Session-Id": session["session"],
                    "MCP-Protocol-Version": version})
                assert done.status == 202
        else:
            message = head.json
        text = message["result"]["content"][0]["text"]
        assert text == ("{'heard': 1}" if known else "-32601")


@pytest.mark.parametrize("version", [OLDEST, OLDER])
def test_what_they_are_offered(version):
    """The newest revision of the handshake; then they are met in theirs."""
    with Backend("alpha", era="legacy", version=version) as x, \
            Gateway(x, workers=1) as g, g.client() as client:
        assert client.call("alpha_echo", {"nonce": "1"}) == "1"
        for r in x.calls("initialize"):
            assert r.params["protocolVersion"] == NEWEST
            assert not r.has("mcp-protocol-version")
        assert x.calls("notifications/initialized")
        for r in x.calls() + x.calls("tools/list"):
            assert r.header("mcp-protocol-version") in (
                (version, None) if version == OLDEST else (version,))
            assert META not in str(r.message)


@pytest.mark.parametrize("version", [OLDEST, OLDER])
@pytest.mark.parametrize("sessions", [True, False])
def test_with_and_without_sessions(version, sessions):
    with Backend("alpha", era="legacy", version=version, sessions=sessions
                 ) as x, Gateway(x, workers=1) as g, g.client() as client:
        for spoken in VERSIONS:
            assert client.call("alpha_echo", {"nonce": spoken},
                               spoken) == spoken
        x.sessions.clear()  # forgotten: opened anew, nothing runs twice
        for spoken in VERSIONS:
            assert client.call("alpha_echo", {"nonce": "2" + spoken},
                               spoken) == "2" + spoken
        assert set(x.executed.values()) == {1}


def answer(e):
    return {"jsonrpc": "2.0", "id": e.id, "result": {
        "content": [{"type": "text", "text": "fine"}]}}


def progress(e, n):
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": {
        "progressToken": e.request.meta.get("progressToken"), "progress": n}}


def whole(e):
    e.answer(200, compact([answer(e)]))


def with_notifications(e):
    e.answer(200, compact([progress(e, 1), progress(e, 2), answer(e)]))


def in_events(e):
    e.event([progress(e, 1)])
    e.event([progress(e, 2), answer(e)])
    e.end()


def spaced(e):
    e.answer(200, b" [\r\n " + compact(progress(e, 1)) + b"\n,\n" + compact(
        progress(e, 2)) + b" , " + compact(answer(e)) + b" ]\n")


@pytest.mark.parametrize("how", [whole, with_notifications, in_events, spaced])
def test_answers_in_batches(how):
    with Backend("alpha", era="legacy", version=OLDEST,
                 tools=[b.tool("t", how)]) as x, Gateway(
                     x, workers=1) as g, g.client() as client:
        for version in VERSIONS:
            meta = {"progressToken": "p"}
            params = {"name": "alpha_t"}
            if version in LEGACY:
                r = client.legacy("tools/call", {**params, "_meta": meta},
                                  version=version)
            else:
                r = client.modern("tools/call", params,
                                  meta=messages.client_meta(**meta))
            assert r.result["content"][0]["text"] == "fine"
            told = [m["params"] for m in r.messages if "method" in m]
            if how is not whole:
                assert [m["progress"] for m in told] == [1, 2]
            assert all(m["progressToken"] == "p" for m in told)


@pytest.mark.parametrize("body", [
    b"[]", b"[1]", b"[[]]", b'["x",{}]', b"[{}]",
    b'[{"jsonrpc":"2.0","id":"no","result":{}}]'])
def test_batches_that_are_none(body):
    with Backend("alpha", era="legacy", version=OLDEST, tools=[
            b.tool("t", lambda e: e.answer(200, body)), b.tool("echo")]
            ) as x, Gateway(x, workers=1) as g, g.client() as client:
        r = client.legacy("tools/call", {"name": "alpha_t"}, version=OLDEST)
        assert r.code == -32603 and "alpha" in r.error["message"]
        assert client.call("alpha_echo", {"nonce": "1"}) == "1"


def test_never_a_batch_towards_them():
    """A client's batch is single requests to the backend."""
    with Backend("alpha", era="legacy", version=OLDEST) as x, Gateway(
            x, workers=1) as g, g.client() as client:
        r = client.post([messages.legacy_body("tools/call", {
            "name": "alpha_echo", "arguments": {"nonce": str(i)}}, i)
            for i in range(20)], {"MCP-Protocol-Version": OLDEST})
        assert sorted(m["id"] for m in r.json) == list(range(20))
        assert len({c.message["id"] for c in x.calls()}) == 20


@pytest.mark.parametrize("chosen", ["1999-01-01", "2099-01-01", ""])
def test_a_version_that_nobody_speaks(chosen):
    """Such a backend offers nothing; the others are served."""
    with Backend("alpha", era="legacy", version=chosen) as x, Backend(
            "beta") as y, Gateway(x, y, workers=1, ready=False) as g, \
            g.client() as client:
        g.wait_until("/readyz")
        assert client.call("beta_echo", {"nonce": "1"}) == "1"
        assert not [n for n in client.names() if n.startswith("alpha_")]
