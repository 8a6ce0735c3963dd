"""Backends that ask their clients, and clients that answer, of both eras."""

import threading

from backend import tool
from messages import META, client_meta, legacy_body, post
from wire import DEADLINE, eventually

FORM = {"mode": "form", "message": "Your name?", "requestedSchema": {
    "type": "object", "properties": {"name": {"type": "string"}}}}
URL = {"mode": "url", "message": "Sign in", "url": "https://x.example/y"}
SAMPLE = {"messages": [{"role": "user", "content": {
    "type": "text", "text": "capital?"}}], "maxTokens": 10}
QUESTIONS = {
    "form": ("elicitation/create", FORM),
    "url": ("elicitation/create", URL),
    "sampling": ("sampling/createMessage", SAMPLE),
    "roots": ("roots/list", {}),
}
ANSWERS = {
    "form": {"action": "accept", "content": {"name": "Ada"}},
    "url": {"action": "accept"},
    "sampling": {"role": "assistant", "model": "m", "content": {
        "type": "text", "text": "Paris"}},
    "roots": {"roots": [{"uri": "file:///a"}]},
}
FULL = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
ids = iter(range(1, 1 << 30))
lock = threading.Lock()


def text_result(text):
    return {"content": [{"type": "text", "text": text}]}


def nonce_of(exchange):
    return str(exchange.request.arguments.get("nonce", ""))


# -- backends


def ask(exchange, kind, within=DEADLINE):
    """Ask on the stream of a legacy request; the id of the question."""
    with lock:
        number = 1000 + next(ids)
    method, params = QUESTIONS[kind]
    if kind == "url":
        params = {**params, "elicitationId": "e%d" % number}
    exchange.event({"jsonrpc": "2.0", "id": number, "method": method,
                    "params": params})
    return number


def answer_of(backend, number):
    for r in list(backend.requests):
        if r.rpc is None and r.message.get("id") == number:
            return r
    return None


def await_answer(exchange, number, within=DEADLINE):
    request = eventually(
        lambda: answer_of(exchange.backend, number) or exchange.backend.stopping,
        "an answer to question %d" % number, within)
    if request is True:
        exchange.close()
    session = exchange.request.header("mcp-session-id")
    exchange.backend.check(request.header("mcp-session-id") == session,
                           "an answer in another session")
    return request.message


def describe(message):
    if "error" in message:
        return "error %d" % message["error"]["code"]
    result = message["result"]
    if "action" in result:
        return "%s %s" % (result["action"],
                          (result.get("content") or {}).get("name"))
    if "roots" in result:
        return result["roots"][0]["uri"]
    return result["content"]["text"]


def legacy_asker(*kinds, rounds=1, gate=None):
    """Asks all kinds at once, in each of the rounds, then tells the answers."""
    def handler(exchange):
        said = []
        for _ in range(rounds):
            numbers = [ask(exchange, kind) for kind in kinds]
            said += [describe(await_answer(exchange, n, 60))
                     for n in numbers]
        if gate:
            gate.wait(DEADLINE)
        exchange.result(text_result(", ".join([nonce_of(exchange)] + said)))
    return handler


def modern_asker(*kinds, rounds=1, state=True):
    """The same by input_required; the state counts the rounds."""
    def handler(exchange):
        params = exchange.request.params
        have = params.get("requestState", "0:")
        done, said = have.split(":", 1)
        answers = params.get("inputResponses")
        if answers is not None:
            said += "".join(", " + describe({"result": answers[kind]})
                            for kind in kinds)
            done = str(int(done) + 1)
        if int(done) == rounds:
            return exchange.result(text_result(nonce_of(exchange) + said))
        result = {"resultType": "input_required", "inputRequests": {
            kind: dict(zip(("method", "params"), QUESTIONS[kind]))
            for kind in kinds}}
        if state:
            result["requestState"] = "%s:%s" % (done, said)
        return exchange.result(result)
    return handler


def asker(era, *kinds, **more):
    make = legacy_asker if era == "legacy" else modern_asker
    return tool("ask", make(*kinds, **more))


# -- clients


def call_modern(client, name="alpha_ask", arguments=None, capabilities=None,
                answers=None, **more):
    """One request of a modern client."""
    params = {"name": name, "arguments": arguments or {}}
    if answers:
        params.update(answers)
    meta = client_meta(capabilities=FULL if capabilities is None
                       else capabilities)
    return client.modern("tools/call", params, meta=meta, **more)


def answer_all(result, answers=ANSWERS):
    """What a client sends back for an input_required."""
    out = {}
    for key, request in result["inputRequests"].items():
        kind = {"sampling/createMessage": "sampling",
                "roots/list": "roots"}.get(request["method"])
        kind = kind or request["params"].get("mode", "form")
        assert request["params"].get("elicitationId") is None
        out[key] = answers[kind]
    return {"inputResponses": out, "requestState": result["requestState"]}


def run_modern(client, rounds=8, other=None, **more):
    """The whole conversation; other: a client that sends every second."""
    answers = None
    for turn in range(rounds):
        who = other if other and turn % 2 else client
        response = call_modern(who, answers=answers, **more)
        assert response.status == 200, response.body
        result = response.result
        if result["resultType"] == "complete":
            return result["content"][0]["text"]
        answers = answer_all(result)
    raise AssertionError("no end")


def run_legacy(client, session, name="alpha_ask", arguments=None,
               answer_by=None, version="2025-11-25", answers=ANSWERS):
    """A call on a stream; questions are answered by another client."""
    poster = answer_by or client.gateway.client(client.token)
    client.send(post(legacy_body("tools/call", {
        "name": name, "arguments": arguments or {}}, 7),
        client.fields({"Mcp-Session-Id": session,
                       "MCP-Protocol-Version": version}), client.path))
    head = client.connection.head()
    assert head.status == 200, head.body
    if head.type != "text/event-stream":
        return head.message
    for message in head.stream():
        if "method" in message and "id" in message:
            kind = {"sampling/createMessage": "sampling",
                    "roots/list": "roots"}.get(message["method"])
            params = message.get("params", {})
            kind = kind or params.get("mode", "form")
            if version == "2025-06-18":
                assert "mode" not in params
            if kind == "url":
                assert params["elicitationId"]
            reply = answers[kind]
            body = {"jsonrpc": "2.0", "id": message["id"]}
            body.update(reply if "error" in reply else {"result": reply})
            done = poster.post(body, {"Mcp-Session-Id": session,
                                      "MCP-Protocol-Version": version})
            assert done.status == 202 and not done.body, done.body
        elif message.get("id") == 7:
            return message
    raise AssertionError("a stream without an answer")


def session_of(client, version="2025-11-25", capabilities=None):
    response = client.legacy("initialize", {
        "protocolVersion": version, "clientInfo": {"name": "t",
                                                   "version": "1"},
        "capabilities": FULL if capabilities is None else capabilities})
    assert response.status == 200, response.body
    return response.header("mcp-session-id")
