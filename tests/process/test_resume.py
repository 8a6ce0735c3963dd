"""Streams that break before their answer: the gateway goes on with them where
its backend gave its events ids, and lets its own clients do the same."""

import json
import re

import pytest

from backend import Backend, tool
from harness import Gateway, Pair
from interactive import session_of
from messages import compact, legacy_body, post
from wire import eventually, http


class Resumable:
    """A tool whose stream ends after each event, like a server that wants to
    be polled. after: what happens behind each."""

    def __init__(self, events=2, retry=10, breaks=True):
        self.n, self.retry, self.breaks = events, retry, breaks
        self.asked = []      # Last-Event-ID of each GET
        self.refuse = 0      # a status for all of them
        self.id = None
        self.tool = tool("long", self.call)

    def event(self, exchange, i):
        if i < self.n:
            data = {"jsonrpc": "2.0", "method": "notifications/message",
                    "params": {"level": "info", "data": "part %d" % i}}
        else:
            data = {"jsonrpc": "2.0", "id": self.id, "result": {
                "content": [{"type": "text", "text": "whole"}]}}
        exchange.chunk(b"id: stream_%d\ndata: %s\n\n" % (i, compact(data)))

    def go_on(self, exchange, i):
        exchange.head(200, "text/event-stream")
        if i == 0:
            exchange.chunk(b"id: stream_first\nretry: %d\ndata:\n\n" %
                           self.retry)
        while i <= self.n:
            self.event(exchange, i)
            i += 1
            if self.breaks:
                break
        exchange.end()

    def call(self, exchange):
        self.id = exchange.id
        self.go_on(exchange, 0)

    def fault(self, exchange):
        last = exchange.request.header("last-event-id")
        if exchange.request.method != "GET" or last is None:
            return False
        self.asked.append(last)
        if self.refuse:
            exchange.answer(self.refuse, b"")
            return True
        self.go_on(exchange, 0 if last == "stream_first"
                   else int(last.split("_")[1]) + 1)
        return True


def parts_of(messages):
    return [m["params"]["data"] for m in messages if "method" in m]


def ask(client, session, name="alpha_long"):
    client.send(post(legacy_body("tools/call", {"name": name}, 7),
                     client.fields({"Mcp-Session-Id": session} if session
                                   else {})))
    return client.connection.head()


@pytest.mark.parametrize("modern", [False, True])
def test_the_gateway_goes_on(modern):
    long = Resumable(3)
    with Backend("alpha", "legacy", tools=[long.tool]) as alpha, \
            Gateway(alpha) as g:
        alpha.fault = long.fault
        if modern:
            assert g.client().call("alpha_long") == "whole"
        else:
            messages = ask(g.client(), session_of(g.client())).messages
            assert parts_of(messages) == ["part 0", "part 1", "part 2"]
            assert messages[-1]["result"]["content"][0]["text"] == "whole"
            assert messages[-1]["id"] == 7
        assert long.asked == ["stream_0", "stream_1", "stream_2"]
        get = [r for r in alpha.requests if r.method == "GET" and
               r.has("last-event-id")][0]
        assert get.header("mcp-session-id") == alpha.last().header(
            "mcp-session-id")
        assert len(alpha.calls()) == 1


@pytest.mark.parametrize("status", [400, 404, 405, 500])
def test_a_backend_that_does_not_go_on(status):
    long = Resumable()
    long.refuse = status
    with Backend("alpha", "legacy", tools=[long.tool]) as alpha, \
            Gateway(alpha) as g:
        alpha.fault = long.fault
        messages = ask(g.client(), session_of(g.client())).messages
        assert messages[-1]["error"]["code"] == -32603
        assert str(status) in messages[-1]["error"]["message"]


def test_a_backend_that_has_not_noticed_yet():
    long = Resumable(1)

    def busy_once(exchange):
        if exchange.request.has("last-event-id") and not long.asked:
            long.asked.append("busy")
            exchange.answer(409, b"")
            return True
        return long.fault(exchange)

    with Backend("alpha", "legacy", tools=[long.tool]) as alpha, \
            Gateway(alpha) as g:
        alpha.fault = busy_once
        assert g.client().call("alpha_long") == "whole"
        assert long.asked == ["busy", "stream_0"]


def test_a_backend_that_goes_on_for_ever():
    """Streams without an event in between: not more than a few times."""
    long = Resumable()

    def nothing(exchange):
        if exchange.request.method == "GET" and exchange.request.has(
                "last-event-id"):
            long.asked.append(1)
            exchange.head(200, "text/event-stream")
            exchange.end()
            return True
        return False

    with Backend("alpha", "legacy", tools=[long.tool]) as alpha, \
            Gateway(alpha) as g:
        alpha.fault = nothing
        messages = ask(g.client(), session_of(g.client())).messages
        assert messages[-1]["error"]["code"] == -32603
        assert "ended without a result" in messages[-1]["error"]["message"]
        assert len(long.asked) == 5


def events_of(response):
    """(id, message or None) of each event."""
    out = []
    for block in response.body.split(b"\n\n"):
        event = re.search(rb"^id: (.*)$", block, re.M)
        data = re.search(rb"^data: ?(.*)$", block, re.M)
        if data:
            out.append((event and event.group(1).decode(),
                        json.loads(data.group(1)) if data.group(1) else None))
    return out


def go_on(client, session, last, **more):
    fields = {"Host": "localhost", "Accept": "text/event-stream",
              "Mcp-Session-Id": session, "Last-Event-ID": last,
              **client.fields(more)}
    return client.ask(http("GET", "/mcp", fields.items()))


def test_a_client_goes_on_anywhere():
    long = Resumable(3, breaks=False)
    with Backend("alpha", "legacy", tools=[long.tool]) as alpha, \
            Pair(alpha) as (one, two):
        alpha.fault = long.fault
        session = session_of(one.client())
        whole = events_of(ask(one.client(), session))
        assert whole[0][1] is None and all(e for e, _ in whole)
        assert whole[-1][1]["result"]["content"][0]["text"] == "whole"
        for g in (one, two):
            for at, (event, _) in enumerate(whole[:-1]):
                rest = events_of(go_on(g.client(), session, event))
                said = [m for _, m in rest if m]
                assert said == [m for _, m in whole[at + 1:] if m]
        assert len(alpha.calls()) == 1


def test_event_ids_that_do_not_hold():
    long = Resumable(2, breaks=False)
    tokens = {"token-of-ann-0123456789": {"client_id": "ann"},
              "token-of-bob-0123456789": {"client_id": "bob"}}
    with Backend("alpha", "legacy", tools=[long.tool]) as alpha, \
            Gateway(alpha, auth={"enabled": True,
                                 "static_tokens": tokens}) as g:
        alpha.fault = long.fault
        ann, bob = (g.client(token) for token in tokens)
        session = session_of(ann)
        whole = events_of(ask(ann, session))
        event = whole[0][0]
        assert go_on(bob, session_of(bob), event).status == 400
        assert go_on(ann, session, event[:-1] + "x").status == 400
        assert go_on(ann, session, "stream_1").status == 400
        assert go_on(ann, "x", event).status == 404
        assert long.asked == []
        assert go_on(ann, session, event).status == 200


def test_no_ids_without_a_session():
    long = Resumable(1, breaks=False)
    with Backend("alpha", "legacy", tools=[long.tool]) as alpha, \
            Gateway(alpha) as g:
        answer = ask(g.client(), None)
        assert b"\nid:" not in answer.body and answer.messages
        r = g.client().modern("tools/call", {"name": "alpha_long"})
        assert b"\nid:" not in r.body and r.result
