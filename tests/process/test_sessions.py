"""Session ids of older clients: sealed, one caller's own, on every replica."""

import pytest

from backend import Backend
from harness import Gateway
from messages import legacy

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
