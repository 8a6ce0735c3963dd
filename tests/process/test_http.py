"""HTTP/1.1: what is served, what is refused, and with which status."""

import socket
import time

import pytest

import backend as b
import messages
from backend import Backend
from harness import Gateway
from messages import compact, legacy, modern
from wire import CRLF, SLOW, chunked, eventually, http, proxy_header

BODY_MAX = 65536
PING = legacy("ping")
GET_PAGE = http("GET", "/healthz", [("Host", "localhost")])


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha") as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(alpha):
    with Gateway(alpha, workers=1,
                 auth={"cors_origins": ["https://good.example"]},
                 limits={"body_bytes": BODY_MAX, "head_bytes": 8192,
                         "fields": 40}) as g:
        yield g


@pytest.fixture
def connection(gateway):
    with gateway.connect() as c:
        yield c


def barrier(gateway):
    """The worker has seen everything that was sent before."""
    assert gateway.get("/healthz").status == 200


def refuses(gateway, data, *statuses):
    """An answer with one of these, then the end of the connection."""
    with gateway.connect() as c:
        r = c.try_send(data).read()
        assert r is not None, "no answer to %r" % data[:200]
        assert r.status in statuses, "%r gives %r" % (data[:200], r.head)
        assert c.is_closed(), "open after %r" % data[:200]
        return r


# -- connections


def test_keep_alive(connection):
    for i in range(5):
        r = connection.ask(legacy("ping", id=i))
        assert r.status == 200 and r.json == {"jsonrpc": "2.0", "id": i,
                                              "result": {}}


def test_connection_close(connection):
    r = connection.ask(legacy("ping", fields={"Connection": "close"}))
    assert r.status == 200 and r.header("connection", "").lower() == "close"
    assert connection.is_closed()


def test_http_1_0_closes(connection):
    r = connection.ask(http("GET", "/healthz", [("Host", "localhost")],
                            version="HTTP/1.0"))
    assert r.status == 200
    assert connection.is_closed()


def test_pipelining(connection):
    count = 50
    connection.send(b"".join(legacy("ping", id=i) for i in range(count)))
    assert [connection.read().json["id"] for _ in range(count)] == list(
        range(count))


def test_pipelining_behind_a_slow_call(gateway, alpha):
    alpha.set_handler("slow", b.slow(0.2))
    gateway.client().call("alpha_echo", {"nonce": "x"})
    with gateway.connect() as c:
        c.send(modern("tools/call", {"name": "alpha_echo",
                                     "arguments": {"nonce": "first"}}, id=1) +
               legacy("ping", id=2) + GET_PAGE)
        assert c.read().result["content"][0]["text"] == "first"
        assert c.read().json["id"] == 2
        assert c.read().status == 200


def test_empty_line_before_a_request(connection):
    assert connection.ask(PING).status == 200
    assert connection.ask(CRLF + PING).status == 200


def test_cut_at_every_byte(gateway):
    """In two pieces, cut everywhere, the verdict is the same."""
    data = legacy("ping", fields={"Accept": "*/*"})
    with gateway.connect() as c:
        for at in range(1, len(data)):
            c.send(data[:at])
            if at % 16 == 0:
                barrier(gateway)
            assert c.ask(data[at:]).json["result"] == {}


def test_byte_by_byte(gateway, connection):
    for i in range(len(PING)):
        connection.send(PING[i:i + 1])
    assert connection.read().status == 200


def test_half_close(gateway, connection):
    connection.send(PING)
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.read().status == 200
    assert connection.is_closed()


def test_request_count_per_connection(alpha):
    with Gateway(alpha, limits={"requests_per_connection": 3}) as g:
        with g.connect() as c:
            assert not c.ask(PING).closes
            assert not c.ask(PING).closes
            assert c.ask(PING).closes
            assert c.is_closed()


# -- bodies


def chunked_post(body, extra=b""):
    return (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n" + extra + b"\r\n" + body)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_body(connection, size):
    body = compact(messages.legacy_body("ping"))
    assert connection.ask(chunked_post(chunked(body, size))).json["id"] == 1
    assert connection.ask(PING).status == 200


def test_chunked_body_with_trailer(connection):
    body = compact(messages.legacy_body("ping"))
    data = chunked(body)[:-2] + b"X-Trailer: 1\r\n\r\n"
    r = connection.ask(chunked_post(data))
    assert r.status in (200, 400)
    if r.status == 200:
        assert connection.ask(PING).status == 200


def test_body_limit_content_length(gateway):
    fits = legacy("ping", {"x": "y" * (BODY_MAX - 100)})
    with gateway.connect() as c:
        assert c.ask(fits).status == 200
    head = (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            b"application/json\r\nContent-Length: %d\r\n\r\n")
    # Refused by its length, before a byte of it.
    refuses(gateway, head % (BODY_MAX + 1), 413)
    refuses(gateway, head % (1 << 40), 413)
    refuses(gateway, head % ((1 << 64) - 1), 413, 400)
    refuses(gateway, head % (1 << 64), 400, 413)


def test_body_limit_chunked(gateway):
    refuses(gateway, chunked_post(chunked(b"x" * (BODY_MAX + 1), 8192)), 413)
    for size in (b"%x" % (BODY_MAX + 1), b"ffffffffffffffff"):
        refuses(gateway, chunked_post(size + b"\r\n" + b"x" *
                                      (BODY_MAX + 1)), 413, 400)


@pytest.mark.parametrize("kind, status", [
    ("application/json", 200),
    ("APPLICATION/JSON", 200),
    ("application/json; charset=utf-8", 200),
    ("application/json;charset=\"UTF-8\"", 200),
    ("application/json; charset=iso-8859-1", 415),
    ("text/plain", 415),
    ("text/plain;application/json", 415),
    ("application/x-www-form-urlencoded", 415),
    ("multipart/form-data; boundary=x", 415),
    ("application/jsonx", 415),
    ("application/json-patch+json", 415),
    ("", 415),
    (None, 415),
])
def test_content_type(connection, kind, status):
    r = connection.ask(legacy("ping", fields={"Content-Type": kind}))
    assert r.status == status
    assert r.closes or connection.ask(PING).status == 200


def test_content_encoding_is_refused(connection):
    assert connection.ask(legacy("ping", fields={
        "Content-Encoding": "gzip"})).status == 415


def test_expect_continue(connection):
    data = legacy("ping", fields={"Expect": "100-continue"})
    head, body = data.split(b"\r\n\r\n")
    r = connection.send(head + b"\r\n\r\n").head()
    assert r.status == 100
    assert connection.ask(body).json["result"] == {}
    assert connection.ask(PING).status == 200


def test_expect_continue_refused_before_the_body(gateway):
    refuses(gateway, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            b"application/json\r\nExpect: 100-continue\r\n"
            b"Content-Length: 99999999\r\n\r\n", 413)


def test_unknown_expectation(gateway):
    refuses(gateway, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
            b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\n", 417)


# -- methods and targets


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH"])
def test_method_not_allowed(connection, method):
    r = connection.ask(http(method, "/mcp", [
        ("Host", "localhost"), ("Accept", "text/event-stream")]))
    assert r.status == 405
    assert "POST" in r.header("allow")
    assert connection.ask(PING).status == 200


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
def test_odd_methods(gateway, method):
    with gateway.connect() as c:
        r = c.ask(http(method, "/mcp", [("Host", "localhost")]))
        assert r.status in (400, 405, 501)


@pytest.mark.parametrize("path", [
    "/", "/mcp/", "/mcpx", "/MCP", "/nothing", "/.well-known/nothing",
    "/mcp/../health", "/%6dcp", "//mcp", "/register", "/authorize"])
def test_not_found_is_json(connection, path):
    for method, body in (("GET", None), ("POST", b"{}")):
        r = connection.ask(http(method, path, [
            ("Host", "localhost"), ("Content-Type", "application/json")],
            body))
        assert r.status == 404
        assert r.type == "application/json" and r.json
    assert connection.ask(PING).status == 200


def test_head(connection):
    get = connection.ask(GET_PAGE)
    head = connection.ask(GET_PAGE.replace(b"GET", b"HEAD"), to_head=True)
    assert head.status == 200 and head.body == b""
    assert head.header("content-length") == get.header("content-length")
    assert connection.ask(PING).status == 200


def test_absolute_target(gateway, connection):
    r = connection.ask(http("GET", "http://localhost/healthz",
                            [("Host", "localhost")]))
    assert r.status == 200
    refuses(gateway, http("GET", "http://other.example/healthz",
                          [("Host", "localhost")]), 400)


def test_query_is_ignored(connection):
    data = PING.replace(b"POST /mcp ", b"POST /mcp?a=b ")
    assert connection.ask(data).status == 200


# -- CORS


def test_preflight(connection):
    r = connection.ask(http("OPTIONS", "/mcp", [
        ("Host", "localhost"), ("Origin", "https://good.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, mcp-method")]))
    assert r.status in (200, 204)
    assert r.header("access-control-allow-origin") == "https://good.example"
    assert "POST" in r.header("access-control-allow-methods")
    allowed = r.header("access-control-allow-headers").lower()
    for name in ("authorization", "content-type", "accept", "last-event-id",
                 "mcp-session-id", "mcp-protocol-version", "mcp-method",
                 "mcp-name", "traceparent", "tracestate", "baggage"):
        assert name in allowed, name
    assert "origin" in r.header("vary", "").lower()


def test_cors_on_answers(connection):
    r = connection.ask(legacy("ping", fields={
        "Origin": "https://good.example"}))
    assert r.status == 200
    assert r.header("access-control-allow-origin") == "https://good.example"
    exposed = r.header("access-control-expose-headers").lower()
    for name in ("mcp-session-id", "mcp-protocol-version", "www-authenticate"):
        assert name in exposed
    assert not connection.ask(PING).has("access-control-allow-origin")


@pytest.mark.parametrize("origin", [
    "https://evil.example", "http://good.example", "https://good.example:444",
    "https://good.example.evil.example", "https://x.good.example", "null",
    "https://GOOD.example.", "https://good.example/", "good.example",
    "http://localhost.evil.example", "http://127.0.0.1.nip.io"])
def test_foreign_origin(connection, origin):
    for data in (legacy("ping", fields={"Origin": origin}),
                 http("OPTIONS", "/mcp", [
                     ("Host", "localhost"), ("Origin", origin),
                     ("Access-Control-Request-Method", "POST")])):
        r = connection.ask(data)
        assert r.status == 403, origin
        assert not r.has("access-control-allow-origin")
        if r.closes:
            return


def test_two_origins(gateway):
    with gateway.connect() as c:
        r = c.ask(PING.replace(CRLF, b"\r\nOrigin: https://good.example\r\n"
                               b"Origin: https://evil.example\r\n", 1))
        assert r.status in (400, 403)


# -- Host: a listener on loopback, without TLS and tokens


@pytest.mark.parametrize("host", [
    "localhost", "localhost:9000", "127.0.0.1", "127.0.0.1:80", "[::1]",
    "[::1]:9000", "LOCALHOST"])
def test_own_host(connection, host):
    assert connection.ask(legacy("ping", host=host)).status == 200


@pytest.mark.parametrize("host", [
    "evil.example.com", "evil.example.com:9000", "127.0.0.1.nip.io",
    "localhost.evil.example", "evil@localhost", "localhost@evil.example",
    "0.0.0.0", "10.0.0.1", "[::]", "[::1", "localhost:80:80", "localhost:x",
    "localhost/", "localhost\\evil", "local host", "localhost,evil", "",
    "xn--localhost"])
def test_foreign_host(gateway, host):
    with gateway.connect() as c:
        r = c.ask(legacy("ping", host=host))
        assert r.status in (400, 403), host


def test_host_missing_or_twice(gateway):
    refuses(gateway, b"POST /mcp HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400)
    refuses(gateway, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
            b"Host: localhost\r\nContent-Length: 0\r\n\r\n", 400)
    refuses(gateway, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
            b"hOST: evil.example\r\nContent-Length: 0\r\n\r\n", 400)


def test_any_host_with_a_token(alpha):
    """Rebinding is a danger for doors without a lock: a reverse proxy on the
    same machine that keeps Host is served."""
    token = "any-host-token-0123456789"
    with Gateway(alpha, auth={"enabled": True, "static_tokens": {
            token: {"client_id": "x"}}}) as g:
        with g.connect() as c:
            assert c.ask(legacy("ping", host="mcp.example", fields={
                "Authorization": "Bearer " + token})).status == 200


def test_allowed_hosts(alpha):
    with Gateway(alpha, allowed_hosts=["mcp.example", "localhost"]) as g:
        with g.connect() as c:
            for host in ("mcp.example", "mcp.example:443", "MCP.example"):
                assert c.ask(legacy("ping", host=host)).status == 200
        for host in ("other.example", "mcp.example.evil", "x.mcp.example"):
            with g.connect() as c:
                assert c.ask(legacy("ping", host=host)).status in (400, 403)


# -- heads that are too big, broken or ambiguous


def test_long_target(gateway):
    refuses(gateway, http("GET", "/" + "x" * 8000, [("Host", "localhost")]),
            414, 431)
    refuses(gateway, http("GET", "/" + "x" * 100000, [("Host", "localhost")]),
            414, 431)


def test_big_head(gateway):
    refuses(gateway, http("GET", "/healthz", [
        ("Host", "localhost"), ("X-Fill", "x" * 9000)]), 431)
    refuses(gateway, http("GET", "/healthz", [("Host", "localhost")] + [
        ("X-%d" % i, "y") for i in range(60)]), 431)
    refuses(gateway, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " +
            b"x" * 70000, 431)


AMBIGUOUS = {
    "length and coding": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "coding and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6",
    "the same length twice": b"Content-Length: 5\r\nContent-Length: 5",
    "a list of lengths": b"Content-Length: 5, 5",
    "signed length": b"Content-Length: +5",
    "negative length": b"Content-Length: -5",
    "length in hex": b"Content-Length: 0x5",
    "length with a space": b"Content-Length: 5 5",
    "empty length": b"Content-Length:",
    "length with a fraction": b"Content-Length: 5.0",
    "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked not last": b"Transfer-Encoding: chunked, identity",
    "unknown coding": b"Transfer-Encoding: xchunked",
    "gzip first": b"Transfer-Encoding: gzip, chunked",
    "identity": b"Transfer-Encoding: identity",
    "quoted coding": b'Transfer-Encoding: "chunked"',
    "vertical tab": b"Transfer-Encoding: \x0bchunked",
    "space before the colon": b"Content-Length : 5",
    "tab before the colon": b"Transfer-Encoding\t: chunked",
    "folded line": b"X-A: b\r\n Content-Length: 5",
    "folded length": b"Content-Length:\r\n 5",
    "line feed alone": b"X-A: b\nContent-Length: 5",
    "carriage return alone": b"X-A: b\rContent-Length: 5",
    "NUL in a value": b"X-A: b\0c",
    "NUL in a name": b"X\0A: b",
    "no colon": b"X-A",
    "empty name": b": b",
    "space in a name": b"X A: b",
    "bracket in a name": b"X(A): b",
    "escape in a value": b"X-A: \x1b[31m",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_framing(gateway, alpha, name):
    """400 (or 501 for a coding) and the end: what follows is not a request."""
    alpha.forget()
    smuggled = modern("tools/call", {"name": "alpha_echo"})
    refuses(gateway, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\n" + AMBIGUOUS[name] +
            b"\r\n\r\n0\r\n\r\n" + smuggled, 400, 501)
    assert not alpha.calls()


@pytest.mark.parametrize("line", [
    b"GET /healthz", b"GET  /healthz HTTP/1.1", b"GET /healthz HTTP/1.1 x",
    b"GET /healthz HTTP/1.1\t", b"GET\t/healthz\tHTTP/1.1",
    b" GET /healthz HTTP/1.1", b"GET /heal\0thz HTTP/1.1",
    b"GET /health\x7fz HTTP/1.1", b"GET healthz HTTP/1.1",
    b"GET * HTTP/1.1", b"GET /healthz http/1.1", b"GET /healthz HTTP/1",
    b"GET /healthz HTTP/1.1.1", b"GET /healthz#x HTTP/1.1",
    b"G(T /healthz HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_bad_request_line(gateway, line):
    refuses(gateway, line + b"\r\nHost: localhost\r\n\r\n", 400)


def test_http_2_and_unknown_versions(gateway):
    refuses(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505)
    refuses(gateway, b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505, 400)


def test_line_feeds_only(gateway):
    refuses(gateway, b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400)


BAD_CHUNKS = {
    "not hex": b"xyz\r\n", "signed": b"+5\r\nhello\r\n",
    "prefixed": b"0x5\r\nhello\r\n", "empty": b"\r\nhello\r\n",
    "line feed": b"5\nhello\r\n0\r\n\r\n", "too long": b"5\r\nhello!\r\n",
    "no end": b"5\r\nhello0\r\n\r\n", "space": b"5 \r\nhello\r\n0\r\n\r\n",
    "negative": b"-1\r\n", "huge": b"1" * 40 + b"\r\n",
    "long extension": b"5;" + b"a" * 20000,
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunk(gateway, name):
    refuses(gateway, chunked_post(BAD_CHUNKS[name]), 400, 413)


def test_upgrade_is_not_done(connection):
    for what in ("websocket", "h2c"):
        r = connection.ask(http("GET", "/healthz", [
            ("Host", "localhost"), ("Connection", "Upgrade"),
            ("Upgrade", what)]))
        assert r.status in (200, 400, 426)
        if r.closes:
            return


def test_internal_looking_fields_change_nothing(gateway, alpha):
    """What other gateways trust from their own hops comes from anybody."""
    alpha.forget()
    for name in ("router-key", "mcp-init-host", "X-Mcp-Backend",
                 "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Host",
                 "X-HTTP-Method-Override", "Forwarded"):
        r = gateway.client().modern("tools/call", {
            "name": "alpha_echo"}, fields={name: "evil.example"})
        assert r.status == 200
        assert "evil.example" not in alpha.last().head.decode("latin-1")


# -- time


@pytest.fixture(scope="module")
def hasty(alpha):
    with Gateway(alpha, limits={"header_timeout": 0.3, "body_timeout": 0.3,
                                "idle_timeout": 0.3}) as g:
        yield g


@pytest.mark.parametrize("begun", [
    b"P", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    b"\r\nContent-Length: 50\r\n\r\n{",
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_slow_request(hasty, begun):
    with hasty.connect() as c:
        r = c.send(begun).read()
        assert r is None or r.status == 408
        assert c.is_closed()


def test_slowloris(hasty):
    """A byte now and then does not keep a head alive."""
    with hasty.connect() as c:
        c.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        start = time.monotonic()
        while c.is_open() and time.monotonic() - start < 5 * SLOW:
            c.try_send(b"X-A: b\r\n")
            time.sleep(0.05)
        assert time.monotonic() - start < 5 * SLOW, "still listens"


def test_idle_connection_is_closed(hasty):
    with hasty.connect() as c:
        assert c.ask(PING).status == 200
        assert c.is_closed()
    with hasty.connect() as c:
        assert c.is_closed()


# -- how many


def is_refused(c, *statuses):
    r = c.try_send(PING).read()
    return r is None or r.status in statuses and r.status != 200


def test_connections_of_a_worker(alpha):
    with Gateway(alpha, workers=1, limits={"connections": 10}) as g:
        held = []
        for _ in range(10):
            held.append(g.connect())
            assert held[-1].ask(PING).status == 200
        with g.connect() as c:
            assert is_refused(c, 503)
        for c in held:
            assert c.ask(PING).status == 200
        held.pop().close()
        eventually(lambda: g.get("/healthz").status == 200, "room again")
        for c in held:
            c.close()


def test_connections_of_an_address(alpha):
    with Gateway(alpha, workers=1,
                 limits={"connections_per_address": 5}) as g:
        held = []
        for _ in range(5):
            held.append(g.connect())
            assert held[-1].ask(PING).status == 200
        with g.connect() as c:
            assert is_refused(c, 429, 503)
        # Another address is not concerned.
        with g.connect(source="127.0.0.7") as c:
            assert c.ask(PING).status == 200
        for c in held:
            c.close()


# -- whose address


def addresses(g):
    """The client's address in every access log line of a ping."""
    return [line["client"] for line in g.log(event="access", method="ping")]


def served_for(g, data, **options):
    """The address in the access log of one request."""
    known = len(addresses(g))
    with g.connect(**options) as c:
        assert c.ask(data).status == 200
    eventually(lambda: len(addresses(g)) > known, "an access log line")
    return addresses(g)[known]


OWN_CHECK = proxy_header("127.0.0.1", 1, command=0)  # a balancer's own


def test_proxy_protocol(alpha):
    with Gateway(alpha, access_log=True, proxy_protocol=True,
                 trusted_proxies=["127.0.0.1"], preamble=OWN_CHECK) as g:
        g.preamble = b""
        for header, seen in (
                (proxy_header("192.0.2.77", 4711), "192.0.2.77"),
                (proxy_header("2001:db8::77", 1, "::1"), "2001:db8::77"),
                (proxy_header("192.0.2.78", 1, extra=b"\x04\0\x02ab"),
                 "192.0.2.78")):
            assert seen in served_for(g, header + PING)
        # The balancer's own health check keeps its address.
        assert "127.0.0.1" in served_for(g, proxy_header(
            "192.0.2.79", 1, command=0) + PING)


def test_proxy_protocol_cut_at_every_byte(alpha):
    with Gateway(alpha, proxy_protocol=True, trusted_proxies=["127.0.0.1"],
                 preamble=OWN_CHECK, workers=1) as g:
        header = proxy_header("192.0.2.77", 4711)
        for at in range(1, len(header) + 1):
            with g.connect() as barrier:
                g.preamble, keep = b"", g.preamble
                with g.connect() as c:
                    c.send(header[:at])
                    assert barrier.ask(GET_PAGE).status == 200
                    assert c.ask(header[at:] + PING).status == 200
                g.preamble = keep


def test_proxy_protocol_broken(alpha):
    with Gateway(alpha, proxy_protocol=True, trusted_proxies=["127.0.0.1"],
                 preamble=OWN_CHECK) as g:
        g.preamble = b""
        good = proxy_header("192.0.2.77", 4711)
        for bad in (PING, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + PING,
                    good[:12] + b"\x31" + good[13:] + PING,
                    good[:14] + b"\xff\xff" + good[16:] + PING,
                    good[:12] + b"\x2f" + good[13:] + PING):
            with g.connect() as c:
                c.try_send(bad)
                c.try_send(b"x" * 2000)
                r = c.read()
                assert r is None or r.status == 400
        with g.connect() as c:
            assert c.ask(good + PING).status == 200


def test_proxy_header_from_a_stranger(alpha):
    """Whoever is not trusted cannot give himself another address."""
    with Gateway(alpha, access_log=True, proxy_protocol=True,
                 trusted_proxies=["127.0.0.9"]) as g:
        with g.connect() as c:
            r = c.try_send(proxy_header("192.0.2.77", 4711) + PING).read()
            assert r is None or r.status == 400
        assert "127.0.0.1" in served_for(g, PING)
        assert "192.0.2.77" not in str(g.lines)


def test_forwarded_for(alpha):
    fields = {"X-Forwarded-For": "203.0.113.5, 192.0.2.88"}
    data = legacy("ping", fields=fields)
    with Gateway(alpha, access_log=True,
                 trusted_proxies=["127.0.0.2"]) as g:
        assert "127.0.0.1" in served_for(g, data)
        # The nearest address that is not a proxy of ours.
        assert "192.0.2.88" in served_for(g, data, source="127.0.0.2")
        assert "127.0.0.2" in served_for(g, legacy("ping", fields={
            "X-Forwarded-For": "nonsense<script>"}), source="127.0.0.2")
