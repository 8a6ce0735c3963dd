"""Session ids of older clients: sealed, one caller's own, on every replica."""

import threading

import pytest

from backend import Backend, tool
from harness import Gateway, Pair
from interactive import session_of
from messages import legacy
from wire import DEADLINE, eventually

KEY = "a-session-key-of-more-than-32-characters"
FULL = {"protocolVersion": "2025-11-25", "clientInfo": {
    "name": "t", "version": "1"}, "capabilities": {"elicitation": {}}}


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha") as backend:
        yield backend


def opened(client):
    r = client.ask(legacy("initialize", FULL))
    assert r.status == 200
    return r.header("mcp-session-id")


def ping(client, session):
    fields = {"Mcp-Session-Id": session} if session else {}
    return client.ask(legacy("ping", fields=fields)).status


def test_session_is_optional(alpha):
    with Gateway(alpha) as g, g.connect() as c:
        session = opened(c)
        assert session and all(0x21 <= ord(x) <= 0x7e for x in session)
        assert ping(c, session) == 200
        assert ping(c, None) == 200
        assert ping(c, session[:-1] + ("A" if session[-1] != "A" else "B")) \
            == 404
        assert ping(c, "unknown") == 404


def test_stateless_hands_out_nothing(alpha):
    with Gateway(alpha, stateless=True) as g, g.connect() as c:
        assert opened(c) is None
        assert ping(c, "whatever-somebody-sends") == 200


def test_replicas_with_one_key(alpha):
    with Gateway(alpha, session_key=KEY) as one, \
            Gateway(alpha, session_key=KEY) as two, \
            Gateway(alpha) as other:
        with one.connect() as c:
            session = opened(c)
        with two.connect() as c:
            assert ping(c, session) == 200
        with other.connect() as c:
            assert ping(c, session) == 404
        one.reload()
        with one.connect() as c:
            assert ping(c, session) == 200


# ---- their end, and other keys ----

def end(client, session, **more):
    fields = {"Mcp-Session-Id": session} if session else {}
    return client.request("DELETE", "/mcp", {**fields, **more}).status


def test_delete(alpha):
    with Gateway(alpha, workers=2) as g:
        c = g.client()
        session, other = session_of(c), session_of(c)
        assert end(c, None) == 405
        assert end(c, "x") == 404
        assert end(c, session) == 204
        for _ in range(10):
            with g.connect() as fresh:
                assert ping(fresh, session) == 404
                assert ping(fresh, other) == 200
        assert end(c, session) == 404
    with Gateway(alpha, stateless=True) as g:
        assert end(g.client(), "x") == 405


def test_delete_of_somebody_elses(alpha):
    tokens = {"token-of-ann-0123456789": {"client_id": "ann"},
              "token-of-bob-0123456789": {"client_id": "bob"}}
    with Gateway(alpha, auth={"enabled": True, "static_tokens": tokens}) as g:
        ann, bob = (g.client(token) for token in tokens)
        session = session_of(ann)
        assert end(bob, session) == 404
        assert ann.legacy("ping", session=session).status == 200
        assert bob.legacy("ping", session=session).status == 404


def test_delete_is_known_to_replicas(alpha):
    with Pair(alpha) as (one, two):
        session = session_of(one.client())
        assert end(two.client(), session) == 204

        def gone():
            return one.client().legacy("ping", session=session).status == 404
        eventually(gone, "the other replica knows")


def test_keys_are_changed(alpha):
    new = "another-session-key-of-more-than-32-characters"
    with Gateway(alpha, session_key=KEY) as g:
        old = session_of(g.client())
        g.reload(session_key=new, session_key_previous=KEY)
        c = g.client()
        assert c.legacy("ping", session=old).status == 200
        fresh = session_of(c)
        g.reload(session_key=new, session_key_previous=None)
        assert c.legacy("ping", session=old).status == 404
        assert c.legacy("ping", session=fresh).status == 200


def test_sessions_expire(alpha):
    with Gateway(alpha, session_lifetime=2) as g:
        c = g.client()
        session = session_of(c)
        assert c.legacy("ping", session=session).status == 200
        eventually(lambda: c.legacy("ping", session=session).status == 404,
                   "it has expired")


# ---- a backend's sessions for each client ----

def counting(exchange):
    """Counts its calls in the session."""
    session = exchange.request.header("mcp-session-id")
    counts = exchange.backend.__dict__.setdefault("counts", {})
    counts[session] = counts.get(session, 0) + 1
    exchange.result({"content": [{"type": "text", "text": "%d in %s" % (
        counts[session], session)}]})


def count(client, session, version="2025-11-25"):
    return client.call("alpha_count", version=version, session=session)


def test_per_client():
    with Backend("alpha", "legacy", tools=[tool("count", counting)]) as alpha, \
            Pair(alpha.entry(sessions="per_client")) as (one, two):
        a, b = session_of(one.client()), session_of(one.client())
        turns = [one.client(), two.client(), one.client()]
        in_a = [count(c, a) for c in turns]
        in_b = [count(c, b) for c in turns]
        assert [t.split()[0] for t in in_a + in_b] == ["1", "2", "3"] * 2
        sessions = {t.split()[-1] for t in in_a} | {
            t.split()[-1] for t in in_b}
        assert len(sessions) == 2
        # A client without a session, and a modern one: each call its own.
        c = one.client()
        loose = [c.call("alpha_count", version="2025-11-25"),
                 c.call("alpha_count", version="2025-11-25"),
                 c.call("alpha_count")]
        assert [t.split()[0] for t in loose] == ["1"] * 3
        assert len({t.split()[-1] for t in loose} | sessions) == 5
        eventually(lambda: not {t.split()[-1] for t in loose} &
                   set(alpha.sessions), "they are ended")
        assert sessions <= set(alpha.sessions)
        # The client's end is theirs.
        assert end(two.client(), a) == 204
        eventually(lambda: len(sessions & set(alpha.sessions)) == 1,
                   "the backend's session is ended")


def test_requests_of_two_replicas_in_one_session_have_ids_of_their_own():
    """The backend tells them apart by nothing else."""
    with Backend("alpha", "legacy", tools=[tool("count", counting)]) as alpha, \
            Pair(alpha.entry(sessions="per_client")) as (one, two):
        a = session_of(one.client())
        for client in (one.client(), two.client()) * 8:
            count(client, a)
        ids = [call.message["id"] for call in alpha.calls()]
        assert len(set(ids)) == len(ids) == 16, ids
        assert all(0 < id < 2 ** 53 for id in ids), ids


def test_per_client_end_that_does_not_wait_for_a_call():
    """The only connection to the backend is busy."""
    gate = threading.Event()

    def waits(exchange):
        gate.wait(DEADLINE)
        counting(exchange)

    with Backend("alpha", "legacy", tools=[
            tool("count", counting), tool("waits", waits)]) as alpha, \
            Gateway(alpha.entry(sessions="per_client", max_connections=1),
                    workers=1) as g:
        c, busy = g.client(), g.client()
        mine, other = session_of(c), session_of(busy)
        own = count(c, mine).split()[-1]
        assert own in alpha.sessions
        said = []
        call = threading.Thread(target=lambda: said.append(busy.call(
            "alpha_waits", version="2025-11-25", session=other)))
        call.start()
        eventually(lambda: [r for r in alpha.calls()
                            if r.params["name"] == "waits"], "it runs")
        assert end(c, mine) == 204
        eventually(lambda: own not in alpha.sessions,
                   "the backend's session is ended")
        assert not said
        gate.set()
        call.join()
        assert said[0].split()[0] == "1"


def test_per_client_session_that_the_backend_forgot():
    with Backend("alpha", "legacy", tools=[tool("count", counting)]) as alpha, \
            Gateway(alpha.entry(sessions="per_client"), workers=1) as g:
        c = g.client()
        session = session_of(c)
        first = count(c, session)
        alpha.sessions.clear()
        second, third = count(c, session), count(c, session)
        assert [first[0], second[0], third[0]] == ["1", "1", "2"]
        alpha.sessions.clear()
        assert count(c, session)[0] == "1"


def test_per_client_backend_that_is_slow_to_greet():
    with Backend("alpha", "legacy", tools=[tool("count", counting)]) as alpha, \
            Backend("beta", "legacy", tools=[tool("count", counting)]) as beta, \
            Gateway(alpha.entry(sessions="per_client"),
                    beta.entry(sessions="per_client")) as g:
        def slow(exchange):
            if exchange.request.rpc == "initialize":
                exchange.hang()
        beta.fault = slow
        c = g.client()
        session = session_of(c)
        assert count(c, session)[0] == "1" and count(c, session)[0] == "2"
        beta.fault = None
        assert c.call("beta_count", version="2025-11-25",
                      session=session)[0] == "1"
