"""Cancellation in the words of each era, on any worker and any replica."""

import threading

import pytest

from backend import Backend, Disconnected, tool
from harness import Gateway, Pair
from interactive import session_of
from messages import legacy_body, modern, post
from wire import DEADLINE, eventually


class Slow:
    """A tool that runs until it is released, or the gateway hangs up."""

    def __init__(self, streams=False):
        self.free = threading.Event()
        self.hung_up = threading.Event()
        self.streams = streams
        self.tool = tool("slow", self.run)

    def run(self, exchange):
        if self.streams:
            exchange.notify("notifications/message", {
                "level": "info", "data": "here"})
        while not self.free.is_set():
            if exchange.peer_closed(within=0.05):
                self.hung_up.set()
                raise Disconnected("as the test wants it")
        exchange.result({"content": [{"type": "text", "text": "late"}]})


def begin(client, session, id=7, **fields):
    client.send(post(legacy_body("tools/call", {"name": "alpha_slow"}, id),
                     client.fields({"Mcp-Session-Id": session, **fields})))


def cancel(client, session, id=7):
    fields = {"Mcp-Session-Id": session} if session else {}
    r = client.post({"jsonrpc": "2.0", "method": "notifications/cancelled",
                     "params": {"requestId": id, "reason": "enough"}}, fields)
    assert r.status == 202 and not r.body


def cancelled_at(backend):
    """The backend was told, with the id of the request that it has."""
    request = backend.wait_for("notifications/cancelled")
    assert request.params["requestId"] == backend.last().message["id"]
    assert request.header("mcp-session-id") == backend.last().header(
        "mcp-session-id")


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_legacy_client(era, streams):
    slow = Slow(streams)
    with Backend("alpha", era, tools=[slow.tool]) as alpha, \
            Gateway(alpha, workers=3) as g:
        session = session_of(g.client())
        c = g.client()
        begin(c, session)
        alpha.wait_for()
        cancel(g.client(), session)
        answer = c.connection.head()
        assert answer.status == 200
        assert [m for m in answer.messages if "method" not in m] == []
        if era == "legacy":
            cancelled_at(alpha)
        else:
            assert slow.hung_up.wait(DEADLINE)
        slow.free.set()


def test_legacy_client_that_hangs_up_first():
    """As SDK clients do: the stream closes, the notification follows."""
    slow = Slow()
    with Backend("alpha", "legacy", tools=[slow.tool]) as alpha, \
            Gateway(alpha, workers=2) as g:
        session = session_of(g.client())
        c = g.client()
        begin(c, session)
        alpha.wait_for()
        c.close()
        eventually(lambda: slow.hung_up.is_set(), "it is hung up")
        assert not alpha.calls("notifications/cancelled")
        cancel(g.client(), session)
        cancelled_at(alpha)
        slow.free.set()


def test_the_cancellation_of_one_call_does_not_wait_for_another():
    """The only connection to the backend is busy with another call."""
    slow = Slow()
    with Backend("alpha", "legacy", tools=[slow.tool]) as alpha, \
            Gateway(alpha.entry(max_connections=1), workers=1) as g:
        session = session_of(g.client())
        gone, other = g.client(), g.client()
        begin(gone, session)
        alpha.wait_for()
        gone.close()
        assert slow.hung_up.wait(DEADLINE)
        begin(other, session, 8)
        eventually(lambda: len(alpha.calls()) == 2, "the other runs")
        cancel(g.client(), session)
        told = alpha.wait_for("notifications/cancelled")
        assert told.params["requestId"] == alpha.calls()[0].message["id"]
        slow.free.set()
        answer = other.connection.head()
        assert answer.messages[-1]["result"]["content"][0]["text"] == "late"


def test_legacy_client_on_the_other_replica():
    slow = Slow()
    with Backend("alpha", "legacy", tools=[slow.tool]) as alpha, \
            Pair(alpha) as (one, two):
        session = session_of(one.client())
        c = one.client()
        begin(c, session)
        alpha.wait_for()
        cancel(two.client(), session)
        cancelled_at(alpha)
        assert c.connection.head().messages == []
        slow.free.set()


def test_modern_client_hangs_up():
    for era in ("legacy", "modern"):
        slow = Slow()
        with Backend("alpha", era, tools=[slow.tool]) as alpha, \
                Gateway(alpha) as g:
            c = g.client()
            c.send(modern("tools/call", {"name": "alpha_slow"}))
            alpha.wait_for()
            c.close()
            if era == "legacy":
                cancelled_at(alpha)
            assert slow.hung_up.wait(DEADLINE)


def test_only_its_own_session_cancels():
    slow = Slow()
    tokens = {"token-of-ann-0123456789": {"client_id": "ann"},
              "token-of-bob-0123456789": {"client_id": "bob"}}
    with Backend("alpha", "legacy", tools=[slow.tool]) as alpha, \
            Gateway(alpha, auth={"enabled": True,
                                 "static_tokens": tokens}) as g:
        ann, bob = (g.client(token) for token in tokens)
        session, others = session_of(ann), session_of(bob)
        mine = session_of(ann)
        begin(ann, session)
        alpha.wait_for()
        again = g.client(ann.token)
        cancel(bob, others)    # another caller's session
        cancel(bob, None)      # no session at all
        cancel(again, None)
        cancel(again, mine)    # another session of the same caller
        cancel(again, session, "7")
        cancel(again, session, 8)
        r = bob.post({"jsonrpc": "2.0", "method": "notifications/cancelled",
                      "params": {"requestId": 7}},
                     {"Mcp-Session-Id": session})
        assert r.status == 404
        slow.free.set()
        answer = ann.connection.head().message
        assert answer["result"]["content"][0]["text"] == "late"
        assert not alpha.calls("notifications/cancelled")


def test_what_is_over_cannot_be_cancelled():
    with Backend("alpha", "legacy") as alpha, Gateway(alpha) as g:
        session = session_of(g.client())
        c = g.client()
        assert c.call("alpha_echo", {"nonce": "n"}, version="2025-11-25",
                      session=session, id=7) == "n"
        cancel(c, session)
        for bad in (None, {}, [], "x" * 1000, 10 ** 30):
            cancel(c, session, bad)
        assert c.call("alpha_echo", {"nonce": "m"}) == "m"
        assert not alpha.calls("notifications/cancelled")
