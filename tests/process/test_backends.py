"""Backends that are slow, dead or talk nonsense: an error that names them,
and nobody else notices."""

import threading
import time

import pytest

import backend as b
import tokens
from backend import FAULTS, ODDITIES, SECRET, Backend
from harness import SANITIZED, Gateway, Process
from messages import LEGACY, MODERN, VERSIONS, client_meta, legacy, modern
from wire import DEADLINE, SLOW, Closed, eventually

# Opened and closed on purpose in its own tests; elsewhere it would be noise.
NO_BREAKER = {"failures": 1000}


@pytest.fixture(scope="module")
def good():
    with Backend("good") as backend:
        yield backend


@pytest.fixture(scope="module")
def bad():
    """Its tool "target" does what a test wants."""
    with Backend("bad", tools=[b.tool("target"), b.tool("echo")]) as backend:
        yield backend


@pytest.fixture(scope="module")
def old():
    with Backend("old", era="legacy",
                 tools=[b.tool("target"), b.tool("echo")]) as backend:
        yield backend


@pytest.fixture(scope="module")
def safe():
    """The same over https, which goes another way through the gateway."""
    with Backend("safe", tls=tokens.certificate().server(),
                 tools=[b.tool("target"), b.tool("echo")]) as backend:
        yield backend


@pytest.fixture(scope="module")
def gateway(good, bad, old, safe):
    times = {"request_timeout": 2, "connect_timeout": 1, "idle_timeout": 2,
             "stream_idle_timeout": 2}
    entries = [x.entry(**times) for x in (good, bad, old)]
    entries.append(safe.entry(tls_ca_file=tokens.certificate().cert, **times))
    with Gateway(good, bad, old, safe, entries=entries, workers=1,
                 breaker=NO_BREAKER, limits={"message_bytes": 1 << 20}) as g:
        yield g


@pytest.fixture
def backends(good, bad, old, safe):
    return {x.name: x for x in (good, bad, old, safe)}


@pytest.fixture
def client(gateway, backends):
    for x in backends.values():
        x.forget()
    with gateway.client() as c:
        yield c
        for x in list(backends.values())[1:]:
            x.set_handler("target", b.echo)
            x.answers, x.fault, x.delay = "json", None, 0
            x.says_close, x.requests_per_connection, x.pieces = False, 0, 0
        # Whatever happened, the others work, and so does this one.
        for x in backends.values():
            assert c.call(x.name + "_echo", {"nonce": "after"}) == "after"


def fails(response, name):
    """A JSON-RPC error, or a tool's error, that says which backend it was and
    repeats nothing of what the backend said."""
    assert response.status == 200, "%d %s" % (response.status, response.body)
    message = response.message
    if "error" in message:
        assert message["error"]["code"] == -32603 or not (
            -32768 <= message["error"]["code"] <= -32000), message
        text = message["error"]["message"]
    else:
        assert message["result"]["isError"] is True, message
        text = message["result"]["content"][0]["text"]
    assert name in text, text
    assert SECRET not in response.body
    return text


# -- nonsense


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["bad", "old", "safe"])
def test_fault(client, backends, fault, name):
    backend = backends[name]
    backend.set_handler("target", FAULTS[fault])
    for version in (MODERN, LEGACY[0]):
        r = client.era(version, "tools/call", {"name": name + "_target"})
        if (name, fault) == ("safe", "two_framings"):
            # The backend closes without a word: the next call may meet that.
            for _ in range(3):
                if b"kept connection broke" in r.body:
                    r = client.era(version, "tools/call",
                                   {"name": name + "_target"})
            # libcurl lets the coding win, as RFC 9112, section 6.3 permits.
            assert r.result["content"][0]["text"] == "fine"
        else:
            fails(r, name)


@pytest.mark.parametrize("oddity", ODDITIES)
@pytest.mark.parametrize("name", ["bad", "old", "safe"])
def test_oddity(client, backends, oddity, name):
    backend = backends[name]
    backend.set_handler("target", ODDITIES[oddity])
    for version in (MODERN, LEGACY[0]):
        assert client.call(name + "_target", version=version) == "fine"


@pytest.mark.parametrize("change", [
    {"says_close": True}, {"requests_per_connection": 1},
    {"requests_per_connection": 3}, {"pieces": 1}, {"pieces": 1000},
    {"answers": "sse"}, {"answers": "sse", "says_close": True}])
def test_manners(client, bad, old, safe, change):
    """Ways of a backend that are its right."""
    for backend in (bad, old, safe):
        for name, value in change.items():
            setattr(backend, name, value)
        for i in range(8):
            for version in (MODERN, LEGACY[0]):
                nonce = "%s %d" % (version, i)
                assert client.call(backend.name + "_echo", {"nonce": nonce},
                                   version) == nonce
        assert set(backend.executed.values()) == {1}, "twice"


def test_unknown_result_type(client, bad):
    """A result of a kind nobody declared is an invalid answer."""
    bad.set_handler("target", lambda e: e.respond(e.message({
        "resultType": "surprise", "content": []})))
    fails(client.modern("tools/call", {"name": "bad_target"}), "bad")


def test_error_of_a_tool_is_passed_on(client, bad):
    bad.set_handler("target", lambda e: e.error(12345, "Mine: \"x\"\n", {
        "a": [1, {"b": None}]}))
    for version in VERSIONS:
        error = client.era(version, "tools/call", {
            "name": "bad_target"}).error
        assert error == {"code": 12345, "message": "Mine: \"x\"\n",
                         "data": {"a": [1, {"b": None}]}}


@pytest.mark.parametrize("code", [-32020, -32022, -32023, -32099])
def test_reserved_codes_do_not_leave(client, bad, code):
    bad.set_handler("target", lambda e: e.error(code, "reserved"))
    for version in VERSIONS:
        r = client.era(version, "tools/call", {"name": "bad_target"})
        assert r.status == 200 and r.code == -32603


def test_missing_capability_leaves_with_400(client, bad):
    data = {"requiredCapabilities": {"sampling": {}}}
    bad.set_handler("target", lambda e: e.error(
        -32021, "needs sampling", data, status=400))
    r = client.modern("tools/call", {"name": "bad_target"})
    assert (r.status, r.code) == (400, -32021)
    assert r.error["data"] == data


# -- time


def test_hanging_backend(client, bad, old, safe):
    """Its callers wait for request_timeout; nobody else waits at all."""
    for backend in (bad, old, safe):
        backend.set_handler("target", b.hang)
        start = time.monotonic()
        with client.gateway.client() as waiting:
            waiting.send(modern("tools/call", {
                "name": backend.name + "_target"}))
            for _ in range(20):
                assert client.call("good_echo", {"nonce": "1"}) == "1"
                assert client.call(backend.name + "_echo",
                                   {"nonce": "1"}) == "1"
            assert time.monotonic() - start < 2, "others waited"
            r = waiting.connection.read()
            took = time.monotonic() - start
        text = fails(r, backend.name)
        assert 1.8 < took < 4 * SLOW, took
        assert text


@pytest.mark.parametrize("name", ["bad", "safe"])
def test_silence_inside_an_answer(client, backends, name):
    """idle_timeout: the head came, and then nothing."""
    def handler(e):
        e.head(200, length=500)
        e.raw(b'{"jsonrpc":')
        e.hang()

    backends[name].set_handler("target", handler)
    start = time.monotonic()
    r = client.modern("tools/call", {"name": name + "_target"})
    fails(r, name)
    assert 1.8 < time.monotonic() - start < 4 * SLOW


@pytest.mark.parametrize("name", ["bad", "safe"])
def test_silence_on_a_stream(client, backends, name):
    def handler(e):
        e.notify("notifications/message", {"level": "info", "data": "begun"})
        e.hang()

    backends[name].set_handler("target", handler)
    start = time.monotonic()
    r = client.modern("tools/call", {"name": name + "_target"},
                      meta=client_meta(logLevel="debug"))
    fails(r, name)
    assert 1.8 < time.monotonic() - start < 4 * SLOW


def test_stream_that_speaks_outlives_the_timeouts(client, bad):
    """Between two bytes, not altogether."""
    def handler(e):
        for i in range(6):
            time.sleep(0.5)
            e.notify("notifications/message", {"level": "info", "data": i})
        b.echo(e)

    bad.set_handler("target", handler)
    assert client.call("bad_target", {"nonce": "long"}) == "long"


def test_endless_stream_without_answer(client, bad):
    """Events for ever, and none of them is the answer: a client may leave."""
    gone = threading.Event()

    def handler(e):
        try:
            while True:
                e.notify("notifications/message", {"level": "info",
                                                   "data": "x" * 1000})
                time.sleep(0.001)
        finally:
            gone.set()

    bad.set_handler("target", handler)
    with client.gateway.connect() as c:
        r = c.send(modern("tools/call", {"name": "bad_target"},
                          meta=client_meta(logLevel="debug"))).head()
        stream = r.stream()
        for _ in range(100):
            assert next(stream)["method"] == "notifications/message"
    assert gone.wait(DEADLINE), "it still streams to nobody"


def test_slow_connect():
    """A backend that does not answer SYN: connect_timeout."""
    import socket
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fill = []
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(full.getsockname())
        fill.append(s)
    with Backend("good") as good:
        entry = {"name": "full", "transport": "streamable_http",
                 "url": "http://127.0.0.1:%d/mcp" % full.getsockname()[1],
                 "auth_method": "none", "connect_timeout": 0.5,
                 "request_timeout": 0.5}
        with Gateway(good, entries=[good.entry(), entry],
                     discovery={"timeout": 0.5}, ready=False) as g:
            eventually(lambda: "good_echo" in g.names(), "good tools")
            assert g.client().call("good_echo", {"nonce": "1"}) == "1"
    for s in fill + [full]:
        s.close()


# -- dead, and back again


def test_dead_at_start_then_alive():
    with Backend("good") as good:
        late = Backend("late").start()
        late.stop()
        with Gateway(good, late, discovery={"interval": 1},
                     ready=False) as g:
            eventually(lambda: "good_echo" in g.names(), "good tools")
            assert "late_echo" not in g.names()
            late.start()
            eventually(lambda: "late_echo" in g.names(),
                       "tools of the backend that came late", within=20)
            assert g.client().call("late_echo", {"nonce": "1"}) == "1"
        late.stop()


def test_tools_of_a_dead_backend_stay_listed(good):
    """A list that flaps with every outage would confuse every client."""
    with Backend("bad") as bad, Gateway(
            good, bad, discovery={"interval": 1}, breaker=NO_BREAKER) as g:
        client = g.client()
        assert client.call("bad_echo", {"nonce": "1"}) == "1"
        bad.stop()
        before = len(g.lines)
        r = client.modern("tools/call", {"name": "bad_echo"})
        fails(r, "bad")
        eventually(lambda: g.log(before), "a line about it")
        names = client.names()
        assert "bad_echo" in names and "good_echo" in names
        bad.start()
        eventually(lambda: "result" in client.modern(
            "tools/call", {"name": "bad_echo"}).message, "it is back")


def test_breaker(good):
    """Opens after failures in a row, refuses at once, lets one try later."""
    with Backend("bad", tools=[b.tool("target"), b.tool("echo")]) as bad:
        with Gateway(good, bad, breaker={"failures": 3, "open_time": 1},
                     workers=2) as g:
            client = g.client()
            bad.set_handler("target", FAULTS["close_at_once"])
            for _ in range(3):
                fails(client.modern("tools/call", {"name": "bad_target"}),
                      "bad")
            bad.forget()
            opened = time.monotonic()
            text = fails(client.modern("tools/call", {"name": "bad_echo"}),
                         "bad")
            assert text and time.monotonic() - opened < 0.5
            with g.client() as other:  # perhaps on the other worker
                fails(other.modern("tools/call", {"name": "bad_echo"}), "bad")
            assert not bad.calls(), "the breaker is open"
            assert client.call("good_echo", {"nonce": "1"}) == "1"
            eventually(lambda: "result" in client.modern(
                "tools/call", {"name": "bad_echo"}).message, "closes again")
            assert time.monotonic() - opened > 0.5, "too early"
            for _ in range(10):
                assert client.call("bad_echo", {"nonce": "1"}) == "1"


def test_tool_errors_do_not_open_the_breaker(good):
    with Backend("bad", tools=[
            b.tool("echo"), b.tool("iserror", lambda e: e.result({
                "content": [], "isError": True})),
            b.tool("rpc", lambda e: e.error(-32602, "no"))]) as bad:
        with Gateway(good, bad, breaker={"failures": 2,
                                         "open_time": 60}) as g:
            client = g.client()
            for _ in range(5):
                client.modern("tools/call", {"name": "bad_iserror"})
                client.modern("tools/call", {"name": "bad_rpc"})
            assert client.call("bad_echo", {"nonce": "1"}) == "1"


# -- once is once


@pytest.mark.parametrize("fault", ["close_at_once", "reset_at_once",
                                   "close_after_head", "close_in_body",
                                   "stream_cut"])
def test_what_may_have_run_is_not_sent_again(client, bad, old, safe, fault):
    for backend in (bad, old, safe):
        def handler(e):
            with e.backend.changed:
                e.backend.executed["ran"] += 1
            FAULTS[fault](e)

        backend.set_handler("target", handler)
        for i in range(5):
            fails(client.modern("tools/call", {
                "name": backend.name + "_target"}), backend.name)
        assert backend.executed["ran"] == 5


def test_stale_connection_is_replaced(client, bad):
    """Connections that ended while idle are noticed before they are used."""
    for i in range(5):
        assert client.call("bad_echo", {"nonce": str(i)}) == str(i)
        for sock in list(bad.open):
            try:
                sock.shutdown(2)
            except OSError:
                pass
        eventually(lambda: not bad.open, "all closed")
    assert set(bad.executed.values()) == {1}


def test_pool_is_used(client, good):
    before = good.connections
    for i in range(50):
        client.call("good_echo", {"nonce": str(i)})
    assert good.connections - before <= 2


def test_max_connections():
    """More calls than connections: they wait in line."""
    with Backend("alpha", tools=[b.tool("slow", b.slow(0.05))]) as x:
        with Gateway(x, entries=[x.entry(max_connections=2)],
                     workers=1) as g:
            done = []

            def run(n):
                done.append(g.client().call("alpha_slow", {"nonce": n}))

            threads = [threading.Thread(target=run, args=(str(n),))
                       for n in range(10)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert sorted(done) == sorted(str(n) for n in range(10))
            open_now = len({r.connection for r in x.calls()})
            assert open_now <= 2, open_now


# -- streams


@pytest.mark.parametrize("name", ["bad", "old", "safe"])
@pytest.mark.parametrize("version", [MODERN, LEGACY[0]])
def test_streams_are_not_buffered(client, backends, name, version):
    """Each event is here before the next one is sent."""
    backend = backends[name]
    gate = threading.Semaphore(0)
    backend.set_handler("target", b.steps(3, gate))
    meta = client_meta(logLevel="debug", progressToken="tok")
    params = {"name": name + "_target", "arguments": {"nonce": "n"}}
    with client.gateway.connect() as c:
        if version == MODERN:
            c.send(modern("tools/call", params, meta=meta))
        else:
            c.send(legacy("tools/call", {
                **params, "_meta": {"progressToken": "tok"}}))
        r = c.head()
        assert r.type == "text/event-stream"
        stream = r.stream()
        for i in range(3):
            message = next(stream)
            while message["method"] == "notifications/message":
                message = next(stream)
            assert message["method"] == "notifications/progress"
            assert message["params"]["progressToken"] == "tok"
            assert message["params"]["progress"] == i + 1
            gate.release()
        rest = list(stream)
        assert rest[-1]["result"]["content"][0]["text"] == "n"
        assert all(m["method"] == "notifications/message" for m in rest[:-1])


@pytest.mark.parametrize("token", ["t", "", 0, 7, -1, "ä\"\\"])
def test_progress_token_keeps_its_type(client, bad, token):
    bad.set_handler("target", b.steps(2))
    r = client.modern("tools/call", {"name": "bad_target"},
                      meta=client_meta(progressToken=token))
    seen = [m["params"]["progressToken"] for m in r.messages
            if m.get("method") == "notifications/progress"]
    assert seen == [token] * 2


def test_progress_tokens_do_not_cross(gateway, bad, client):
    """Two calls with one token: each hears of its own progress only."""
    gate = threading.Semaphore(0)
    bad.set_handler("target", b.steps(3, gate))
    with gateway.connect() as one, gateway.connect() as two:
        for c, nonce in ((one, "one"), (two, "two")):
            c.send(modern("tools/call", {
                "name": "bad_target", "arguments": {"nonce": nonce}},
                meta=client_meta(progressToken="same")))
        for _ in range(6):
            gate.release()
        for c, nonce in ((one, "one"), (two, "two")):
            messages_ = c.read().messages
            assert [m["params"]["progress"] for m in messages_ if m.get(
                "method") == "notifications/progress"] == [1, 2, 3]
            assert messages_[-1]["result"]["content"][0]["text"] == nonce


@pytest.mark.parametrize("level, sent", [
    (None, False), ("debug", True), ("info", True), ("notice", False),
    ("emergency", False)])
def test_log_level(client, bad, level, sent):
    """A modern client hears nothing below the level it asked for."""
    bad.set_handler("target", b.steps(2, level="info"))
    meta = client_meta(logLevel=level) if level else client_meta()
    r = client.modern("tools/call", {"name": "bad_target"}, meta=meta)
    found = [m for m in r.messages
             if m.get("method") == "notifications/message"]
    assert bool(found) == sent


def test_stream_headers(client, bad):
    bad.set_handler("target", b.steps(1))
    r = client.modern("tools/call", {"name": "bad_target"},
                      meta=client_meta(progressToken=1))
    assert r.type == "text/event-stream"
    assert "no-cache" in r.header("cache-control")
    assert r.header("x-accel-buffering") == "no"
    assert b"\nid:" not in r.body and b"\nretry:" not in r.body


def test_keepalive_comments():
    """A stream that is silent for long gets a comment line."""
    with Backend("alpha", tools=[b.tool("slow", b.steps(2))]) as x:
        gate = threading.Semaphore(0)
        x.set_handler("slow", b.steps(2, gate))
        with Gateway(x, keepalive_interval=1) as g, g.connect() as c:
            r = c.send(modern("tools/call", {"name": "alpha_slow"},
                              meta=client_meta(progressToken=1))).head()
            pieces = r.pieces()
            while not next(pieces).startswith(b":"):
                pass
            for _ in range(3):
                gate.release()
            assert b"".join(pieces).count(b'"result"') == 1


@pytest.mark.parametrize("sse", [False, True])
@pytest.mark.parametrize("name", ["bad", "safe"])
def test_huge_result(client, backends, name, sse):
    """8 MiB pass through although a message in memory may have 1 MiB."""
    backends[name].set_handler("target", b.huge(8, sse))
    r = client.modern("tools/call", {"name": name + "_target"})
    assert r.status == 200
    if "result" in r.message:
        assert len(r.result["content"][0]["text"]) == 8 << 20
    else:
        # An event is one message: it may be over the limit, and that is said.
        assert sse
        fails(r, name)


def test_response_limit():
    """limits.response_bytes: an answer that never ends is cut, and the client
    can see that it is not whole."""
    with Backend("alpha", tools=[b.tool("huge", b.huge(4)),
                                 b.tool("echo")]) as x:
        with Gateway(x, limits={"response_bytes": 1 << 20}) as g:
            with g.connect() as c:
                c.send(modern("tools/call", {"name": "alpha_huge"}))
                with pytest.raises(Closed):
                    r = c.read()
                    if r and "error" in r.message:
                        assert "alpha" in r.error["message"]
                        raise Closed("refused in words")
            assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"


def test_client_that_reads_nothing():
    """limits.write_timeout: who takes no byte of an answer is cut off, and
    its call with it."""
    gone = threading.Event()

    def handler(e):
        try:
            b.huge(64)(e)
        finally:
            gone.set()

    with Backend("alpha", tools=[b.tool("huge", handler)]) as x:
        with Gateway(x, limits={"write_timeout": 0.5}) as g:
            with g.connect(receive_buffer=4096) as c:
                c.send(modern("tools/call", {"name": "alpha_huge"}))
                assert gone.wait(DEADLINE), "it waits for ever"


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("sse", [False, True])
def test_back_pressure(sse, tls):
    """A client that does not read stops its backend, not the worker, and
    costs no memory."""
    sent = []
    server = tokens.certificate().server() if tls else None
    with Backend("alpha", tls=server, tools=[b.tool("echo")] + [
            b.tool("huge", b.huge(64, False, sent) if not sse else None)]) as x:
        if sse:
            def handler(e):
                for _ in range(64 * 16):
                    e.notify("notifications/message", {
                        "level": "info", "data": "x" * 65536})
                    sent.append(65536)
                b.echo(e)
            x.set_handler("huge", handler)
        entry = x.entry(**({"tls_ca_file": tokens.certificate().cert}
                           if tls else {}))
        with Gateway(x, entries=[entry], workers=1) as g:
            client = g.client()
            client.call("alpha_echo", {"nonce": "warm"})
            (worker,) = g.workers()
            before = Process.memory(worker)["Rss"]
            with g.connect(receive_buffer=65536) as c:
                c.send(modern("tools/call", {"name": "alpha_huge"},
                              meta=client_meta(logLevel="debug")))
                # It goes until all buffers on the way are full, and stops.
                last = [-1]

                def stopped():
                    now, last[0] = len(sent), len(sent)
                    time.sleep(0.3)
                    return len(sent) == now > 0

                eventually(stopped, "the backend is held back")
                assert sum(sent) < 40 << 20, "all of it was taken"
                for i in range(10):
                    assert client.call("alpha_echo", {"nonce": "1"}) == "1"
                grown = Process.memory(worker)["Rss"] - before
                # The allocator of a sanitizer is no measure of anything.
                assert SANITIZED or grown < 4 << 20, "%d KiB" % (grown >> 10)
                # And it goes on when the client does.
                r = c.head()
                total = 0
                for piece in r.pieces():
                    total += len(piece)
                assert total > 60 << 20


# -- cancellation


@pytest.mark.parametrize("name", ["bad", "old", "safe"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_modern_client_that_leaves(client, old, backends, name, how):
    """Leaving is the cancellation: a modern backend's stream is closed, a
    legacy backend is told."""
    backend = backends[name]
    seen = threading.Event()

    def handler(e):
        e.notify("notifications/message", {"level": "info", "data": "begun"})
        if e.peer_closed():
            seen.set()
        e.close()

    backend.set_handler("target", handler)
    with client.gateway.connect() as c:
        r = c.send(modern("tools/call", {"name": name + "_target"},
                          meta=client_meta(logLevel="debug"))).head()
        next(r.stream())
        getattr(c, how)()
    if name != "old":
        assert seen.wait(DEADLINE), "the backend works on"
    else:
        told = old.wait_for("notifications/cancelled")
        assert told.params["requestId"] == old.last().message["id"]


def test_modern_client_leaves_before_an_answer(client, bad):
    seen = threading.Event()

    def handler(e):
        if e.peer_closed():
            seen.set()
        e.close()

    bad.set_handler("target", handler)
    with client.gateway.connect() as c:
        c.send(modern("tools/call", {"name": "bad_target"}))
        bad.wait_for()
    assert seen.wait(DEADLINE)


def test_legacy_cancellation(client, old, bad):
    """notifications/cancelled is accepted; nothing breaks, late or early."""
    client.initialize()
    for backend in (old, bad):
        gate = threading.Semaphore(0)
        backend.set_handler("target", b.steps(2, gate))
        with client.gateway.connect() as c:
            c.send(legacy("tools/call", {
                "name": backend.name + "_target",
                "_meta": {"progressToken": 5}}, id="to-cancel"))
            r = client.legacy("notifications/cancelled", {
                "requestId": "to-cancel", "reason": "enough"}, id=None)
            assert r.status == 202
            for _ in range(3):
                gate.release()


# -- discovery


def test_list_changed_is_heard(good):
    """A change shows up without waiting for the timer."""
    for era in ("modern", "legacy"):
        with Backend("x", era=era) as x, Gateway(x) as g:
            assert "x_later" not in g.names()
            eventually(lambda: x.listeners, "the gateway listens to " + era)
            x.tools = x.tools + [b.tool("later")]
            assert x.notify()
            eventually(lambda: "x_later" in g.names(), "new tool")
            assert g.client().call("x_later", {"nonce": "1"}) == "1"


def test_timer_finds_changes():
    with Backend("x", ttl_ms=0) as x:
        x.listen_allowed = False
        with Gateway(x, discovery={"interval": 1}) as g:
            x.tools = [b.tool("only")]
            eventually(lambda: g.names()[3:] == ["x_only"], "change")


def test_cursor_loop_of_a_backend(good):
    """A backend whose pages never end does not keep the keeper busy."""
    with Backend("loop") as loop:
        def fault(e):
            if e.request.rpc != "tools/list":
                return False
            e.result({"tools": [b.tool("t").spec], "nextCursor": "from-0"},
                     cacheable=True)
            return True

        loop.fault = fault
        with Gateway(good, loop, ready=False) as g:
            eventually(lambda: "good_echo" in g.names(), "good tools")
            count = len(loop.calls("tools/list"))
            assert count < 20000
            assert g.client().call("good_echo", {"nonce": "1"}) == "1"


def test_list_with_a_broken_page(good):
    """Half a list is not published as a whole one; the backend is named."""
    with Backend("half", tools=b.tools(10), page_size=5) as half:
        def fault(e):
            if e.request.rpc == "tools/list" and e.request.params.get(
                    "cursor"):
                e.answer(500, SECRET, "text/plain")
                return True
            return False

        half.fault = fault
        with Gateway(good, half, ready=False,
                     discovery={"interval": 1}) as g:
            eventually(lambda: "good_echo" in g.names(), "good tools")
            g.wait_log(backend="half")
            half.fault = None
            eventually(lambda: len(g.names()) == 3 + 1 + 10,
                       "the whole list", within=20)
            assert SECRET not in bytes(g.raw_log)
