"""Change notifications, between clients and backends of both eras."""

import os
import signal
import socket
import threading
import time

import pytest

import tokens
from backend import Backend, prompt, resource, template, tool
from harness import Gateway, Pair
from messages import LEGACY, META, MODERN, legacy, modern
from wire import Closed, Connection, eventually, http

ALL = {"toolsListChanged": True, "promptsListChanged": True,
       "resourcesListChanged": True}
URI = "test://alpha/one"
TWO = "test://alpha/two"
UPDATED = "notifications/resources/updated"
TOOLS = "notifications/tools/list_changed"
ERAS = ("modern", "legacy")


def alpha(era="modern", **more):
    backend = Backend("alpha", era=era, resources=[resource(URI),
                                                   resource(TWO)],
                      templates=[template("test://alpha/t/{name}")],
                      prompts=[prompt("p")], **more)
    backend.subscribe = True
    return backend


def entry(backend, **more):
    return backend.entry(namespace_tools=False, **more)


def gateway(backend, **settings):
    return Gateway(backend, entries=[entry(backend)], **settings)


class Listener:
    """An open stream: a thread that reads, and what came."""

    def __init__(self, gateway, data):
        self.connection = gateway.connect(timeout=60)
        self.connection.send(data)
        self.head = self.connection.head()
        self.messages, self.ended = [], False
        self.closed, self.fault = False, None
        self.growing = threading.Condition()
        if self.head.status == 200:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()

    def __enter__(self):
        assert self.head.status == 200, self.head.head
        return self

    def __exit__(self, *_):
        self.close()
        if self.fault:
            raise self.fault

    def close(self):
        self.closed = True
        try:  # the other thread sits in recv()
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()

    def _read(self):
        try:
            for message in self.head.stream():
                with self.growing:
                    self.messages.append(message)
        except (Closed, OSError):
            pass
        except Exception as error:
            # A socket that is closed meanwhile fails in many ways; from an
            # open one it is something that no client can read.
            if not self.closed:
                self.fault = error
        self.ended = True

    def of(self, method):
        return [m for m in list(self.messages) if m.get("method") == method]

    def wait(self, method, count=1):
        eventually(lambda: len(self.of(method)) >= count,
                   "%d of %s, not %s" % (count, method, self.messages))
        return self.of(method)[count - 1]

    def updated(self):
        return [m["params"]["uri"] for m in self.of(UPDATED)]

    def hears(self, backend, uri, public=None):
        """Of a change from some moment on; before, a stream that is about to
        end may have heard of it in our place."""
        before = self.updated().count(public or uri)

        def told():
            backend.update(uri)
            return self.updated().count(public or uri) > before
        eventually(told, "%s is heard of" % uri, every=0.1)

    def wait_end(self):
        eventually(lambda: self.ended, "the end of the stream")


def listen(gateway, uris=(), id="s", wanted=ALL, **more):
    filters = dict(wanted)
    if uris:
        filters["resourceSubscriptions"] = list(uris)
    listener = Listener(gateway, modern(
        "subscriptions/listen", {"notifications": filters}, id=id, **more))
    if listener.head.status == 200:
        eventually(lambda: listener.messages, "an acknowledgement")
    return listener


def get(session, fields=None, accept="text/event-stream"):
    merged = {"Host": "localhost", "Accept": accept,
              "MCP-Protocol-Version": LEGACY[0]}
    if session:
        merged["Mcp-Session-Id"] = session
    merged.update(fields or {})
    return http("GET", "/mcp", [i for i in merged.items() if i[1]])


class Legacy:
    """A client with a session; its stream is opened when it is asked for."""

    def __init__(self, gateway, token=None):
        self.gateway = gateway
        self.client = gateway.client(token)
        self.result, self.session = self.client.initialize()

    def ask(self, method, params=None):
        return self.client.legacy(method, params, session=self.session)

    def subscribe(self, uri, ok=True):
        answer = self.ask("resources/subscribe", {"uri": uri})
        assert answer.status == 200
        if ok:
            assert answer.result == {}
        return answer

    def unsubscribe(self, uri):
        assert self.ask("resources/unsubscribe", {"uri": uri}).result == {}

    def stream(self):
        return Listener(self.gateway, get(self.session, self.client.fields(
            None)))


def watched(backend, uri, count=1):
    """Until the backend has so many who want to hear of it."""
    eventually(lambda: backend.watchers(uri) == count,
               "%d watch %s" % (count, uri))


# -- what is promised


@pytest.mark.parametrize("era", ERAS)
def test_capabilities(era):
    with alpha(era) as backend, gateway(backend) as g, g.client() as c:
        promised = {"tools": {"listChanged": True},
                    "prompts": {"listChanged": True},
                    "resources": {"listChanged": True, "subscribe": True}}
        for answer in (c.initialize()[0], c.modern("server/discover").result):
            found = answer["capabilities"]
            assert {k: found[k] for k in promised} == promised
        if era == "legacy":
            return  # what it said when its session began
        backend.subscribe = False
        backend.notify("resources")
        eventually(lambda: "subscribe" not in c.modern(
            "server/discover").result["capabilities"]["resources"])


def test_stateless_promises_nothing_to_older_clients():
    with alpha() as backend, gateway(backend, stateless=True) as g, \
            g.client() as c:
        result, session = c.initialize()
        assert session is None
        assert result["capabilities"]["tools"] == {}
        assert result["capabilities"]["resources"] == {}
        assert c.ask(get("anything")).status == 405


# -- the stream of older clients


def test_get_is_judged():
    with alpha() as backend, gateway(backend) as g:
        c = Legacy(g)
        with g.connect() as plain:
            for data, status in (
                    (get(None), 405),
                    (get(c.session, accept="application/json"), 406),
                    (get(c.session, accept=None), 406),
                    (get(c.session, {"MCP-Protocol-Version": MODERN}), 405),
                    (get(c.session, {"MCP-Protocol-Version": "1999"}), 400),
                    (get("forged"), 404),
                    (get(c.session[:-1] + ("A" if c.session[-1] != "A"
                                           else "B")), 404),
                    (get("x" * 5000), 404)):
                answer = plain.ask(data)
                assert answer.status == status, data
                assert answer.json["error"]["message"]
        with c.stream() as stream:
            assert stream.head.header("cache-control") == (
                "no-cache, no-transform")
            again = c.stream()
            assert again.head.status == 409
            assert again.head.json["error"]["code"] == -32000
        # And when it is gone there may be another.
        def reopened():
            stream = c.stream()
            stream.close()
            return stream.head.status == 200
        eventually(reopened, "a stream after the first")


def test_get_with_a_body():
    with alpha() as backend, gateway(backend) as g:
        c = Legacy(g)
        with g.connect() as plain:
            assert plain.ask(get(c.session, {"Content-Length": "2"}) +
                             b"{}").status == 400


def test_first_bytes_come_at_once_and_then_keepalives():
    with alpha() as backend, gateway(backend, keepalive_interval=1) as g:
        c = Legacy(g)
        with g.connect() as plain:
            pieces = plain.send(get(c.session)).head().pieces()
            assert next(pieces) == b":\n\n"
            assert next(pieces) == b":\n\n"


@pytest.mark.parametrize("era", ERAS)
def test_list_changes(era):
    with alpha(era) as backend, gateway(backend) as g:
        with listen(g, id=7) as young, Legacy(g).stream() as old:
            assert young.messages[0]["params"] == {
                "notifications": ALL, "_meta": {META + "subscriptionId": 7}}
            backend.tools.append(tool("fresh"))
            backend.notify()
            began = time.monotonic()
            assert young.wait(TOOLS) == {
                "jsonrpc": "2.0", "method": TOOLS,
                "params": {"_meta": {META + "subscriptionId": 7}}}
            assert old.wait(TOOLS) == {"jsonrpc": "2.0", "method": TOOLS}
            if not os.environ.get("SLOW"):
                assert time.monotonic() - began < 5
            assert "fresh" in g.names()
            backend.prompts.append(prompt("q"))
            backend.notify("prompts")
            young.wait("notifications/prompts/list_changed")
            old.wait("notifications/prompts/list_changed")
            assert len(young.of(TOOLS)) == len(old.of(TOOLS)) == 1


@pytest.mark.parametrize("era", ERAS)
def test_an_announcement_is_passed_on_though_nothing_changed(era):
    with alpha(era) as backend, gateway(backend) as g:
        with listen(g, wanted={"toolsListChanged": True}) as young, \
                Legacy(g).stream() as old:
            assert eventually(backend.notify)
            young.wait(TOOLS)
            old.wait(TOOLS)
            backend.notify("prompts")
            old.wait("notifications/prompts/list_changed")
            assert not young.of("notifications/prompts/list_changed")


def test_a_storm_of_announcements():
    with alpha() as backend, gateway(backend) as g:
        with listen(g) as young, Legacy(g).stream() as old:
            backend.forget()
            began = time.monotonic()
            sent = 0
            while time.monotonic() - began < 3:
                sent += backend.notify()
                time.sleep(0.001)
            young.wait(TOOLS)
            old.wait(TOOLS)
            assert sent > 300
            # At most one reading a second, and at most one notification
            # for each.
            seconds = time.monotonic() - began + 1
            readings = len(backend.calls("tools/list"))
            assert readings <= seconds + 1, readings
            assert len(young.of(TOOLS)) <= seconds + 1
            assert len(old.of(TOOLS)) <= seconds + 1


# -- resources


@pytest.mark.parametrize("server", ERAS)
def test_updates_for_modern_clients(server):
    with alpha(server) as backend, gateway(backend) as g:
        with listen(g, [URI, "test://nobody/x"], id="mine") as a, \
                listen(g, [URI, TWO], id=12, wanted={}) as b:
            acknowledged = a.messages[0]["params"]["notifications"]
            assert acknowledged == {**ALL, "resourceSubscriptions": [URI]}
            watched(backend, TWO)
            eventually(lambda: backend.watchers(URI) in (1, 2))
            backend.update(URI)
            assert a.wait(UPDATED)["params"] == {
                "uri": URI, "_meta": {META + "subscriptionId": "mine"}}
            assert b.wait(UPDATED)["params"] == {
                "uri": URI, "_meta": {META + "subscriptionId": 12}}
            backend.update(TWO)
            b.wait(UPDATED, 2)
            assert b.updated() == [URI, TWO]
            assert a.updated() == [URI]
        # Nobody wants anything: nothing stays open there.
        watched(backend, URI, 0)
        watched(backend, TWO, 0)


@pytest.mark.parametrize("server", ERAS)
def test_updates_for_older_clients(server):
    with alpha(server) as backend, gateway(backend) as g:
        early, late = Legacy(g), Legacy(g)
        early.subscribe(URI)  # before its stream is there
        with early.stream() as a, late.stream() as b:
            a.hears(backend, URI)
            assert a.wait(UPDATED) == {
                "jsonrpc": "2.0", "method": UPDATED, "params": {"uri": URI}}
            late.subscribe(TWO)
            b.hears(backend, TWO)
            assert set(a.updated()) == {URI} and set(b.updated()) == {TWO}
            late.unsubscribe(TWO)
            watched(backend, TWO, 0)
            early.unsubscribe(URI)
            watched(backend, URI, 0)
            assert backend.update(URI) == 0


def test_many_connections_and_workers():
    """The stream is in one worker, subscriptions come to all of them."""
    with alpha() as backend, gateway(backend, workers=2) as g:
        c = Legacy(g)
        with c.stream() as stream:
            for i in range(12):
                uri = "test://alpha/t/%d" % i
                with g.connect() as other:
                    assert other.ask(legacy(
                        "resources/subscribe", {"uri": uri},
                        session=c.session)).result == {}
                stream.hears(backend, uri)
            assert list(dict.fromkeys(stream.updated())) == [
                "test://alpha/t/%d" % i for i in range(12)]


@pytest.mark.parametrize("server", ERAS)
def test_refused_subscriptions(server):
    with alpha(server) as backend, gateway(backend) as g:
        backend.templates[0] = template("test://alpha/{name}")
        c = Legacy(g)
        assert c.subscribe("test://nobody/x", ok=False).code == -32602
        # The lists say that it may be one of the backend's.
        eventually(backend.notify)
        backend.resources.pop()
        unknown = "test://alpha/t/x"
        backend.templates.clear()
        answer = c.subscribe(unknown, ok=False)
        assert answer.code in (-32602, -32002)
        long = "test://alpha/t/" + "x" * 480
        assert c.subscribe(long, ok=False).code == -32602
        assert c.ask("resources/subscribe", {}).code == -32602


def test_without_a_session_it_is_accepted_and_nobody_hears():
    with alpha("legacy") as backend, gateway(backend) as g, g.client() as c:
        assert c.legacy("resources/subscribe", {"uri": URI}).result == {}
        backend.wait_for("resources/unsubscribe")
        assert c.legacy("resources/unsubscribe", {"uri": URI}).result == {}
        watched(backend, URI, 0)


def test_names_are_the_gateways():
    with alpha() as backend, Gateway(backend, entries=[
            backend.entry(namespace_tools=True)]) as g:
        public = g.client().all("resources")[0]["uri"]
        assert public != URI and "alpha" in public
        c = Legacy(g)
        c.subscribe(public)
        with c.stream() as old, listen(g, [public, "other:x"]) as young:
            acknowledged = young.messages[0]["params"]["notifications"]
            assert acknowledged["resourceSubscriptions"] == [public]
            old.hears(backend, URI, public)
            young.hears(backend, URI, public)
            assert set(old.updated()) == set(young.updated()) == {public}


def test_a_part_of_a_resource():
    with alpha() as backend, gateway(backend) as g:
        with listen(g, [URI]) as stream:
            watched(backend, URI)
            backend.update(URI + "/part/of/it")
            stream.wait(UPDATED)
            assert stream.updated() == [URI]


def test_one_unknown_resource_does_not_spoil_the_others():
    with alpha() as backend, gateway(backend) as g:
        backend.strict_listen = True
        with listen(g, [URI]) as good:
            watched(backend, URI)
            unknown = ["test://alpha/t/%d" % i for i in range(3)]
            backend.templates.clear()
            with listen(g, unknown + [TWO]) as mixed:
                watched(backend, TWO)
                watched(backend, URI)
                backend.update(URI)
                backend.update(TWO)
                good.wait(UPDATED)
                mixed.wait(UPDATED)
                assert mixed.updated() == [TWO]


@pytest.mark.parametrize("number, wanted", [
    (128, [URI]), (129, None)])
def test_limit_of_resources(number, wanted):
    with alpha() as backend, gateway(backend) as g:
        uris = [URI] + ["test://nobody/%d" % i for i in range(number - 1)]
        with g.client() as c:
            data = modern("subscriptions/listen", {"notifications": {
                "resourceSubscriptions": uris}})
            c.send(data)
            head = c.connection.head()
            first = next(head.stream()) if wanted else head.json
            if wanted:
                assert first["params"]["notifications"] == {
                    "resourceSubscriptions": wanted}
            else:
                assert first["error"]["code"] == -32602


@pytest.mark.parametrize("bad", [1, {}, [1], [None], "x"])
def test_bad_filters(bad):
    with alpha() as backend, gateway(backend) as g, g.client() as c:
        answer = c.modern("subscriptions/listen", {
            "notifications": {"resourceSubscriptions": bad}})
        assert answer.status == 200 and answer.code == -32602


# -- who may


def test_scopes_and_sessions_of_others():
    with alpha() as backend, Gateway(
            backend, entries=[entry(backend, required_scopes=["alpha"])],
            auth={"enabled": True, "static_tokens": [
                {"token": "token-of-the-one-who-may", "client_id": "may",
                 "scopes": ["alpha"]},
                {"token": "token-of-another-who-may", "client_id": "other",
                 "scopes": ["alpha"]},
                {"token": "token-of-one-who-may-not", "client_id": "not",
                 "scopes": []}]}) as g:
        c = Legacy(g, "token-of-the-one-who-may")
        other = Legacy(g, "token-of-another-who-may")
        barred = Legacy(g, "token-of-one-who-may-not")
        c.subscribe(URI)
        assert barred.ask("resources/subscribe", {"uri": URI}).status == 403
        stolen = Listener(g, get(c.session, other.client.fields(None)))
        assert stolen.head.status == 404
        assert Listener(g, get(c.session)).head.status == 401
        with c.stream() as mine, barred.stream() as theirs, listen(
                g, [URI], fields=barred.client.fields(None)) as young:
            notifications = young.messages[0]["params"]["notifications"]
            assert "resourceSubscriptions" not in notifications
            mine.hears(backend, URI)
            assert not theirs.updated() and not young.updated()


def test_streams_end_with_their_tokens():
    first = {"token": "token-of-the-first-client", "client_id": "one"}
    second = {"token": "token-of-the-second-client", "client_id": "two"}
    auth = {"enabled": True, "static_tokens": [first, second]}
    with alpha() as backend, gateway(backend, auth=auth) as g:
        one, two = Legacy(g, first["token"]), Legacy(g, second["token"])
        with one.stream() as old, listen(
                g, fields=two.client.fields(None)) as young:
            g.reload(entries=[entry(backend)], auth=auth,
                     limits={"batch": 7})
            backend.tools.append(tool("new"))
            backend.notify()
            old.wait(TOOLS)
            young.wait(TOOLS)
            # The second is not let in any more, the first comes again.
            g.reload(entries=[entry(backend)],
                     auth={"enabled": True, "static_tokens": [first]})
            old.wait_end()
            young.wait_end()
        with one.stream() as again:
            backend.tools.append(tool("newer"))
            backend.notify()
            again.wait(TOOLS)
        assert two.stream().head.status == 401


@pytest.mark.parametrize("era", ERAS)
def test_streams_end_when_their_tokens_expire(era):
    key = tokens.key("p256")
    with alpha() as backend, gateway(backend, auth={
            "enabled": True, "jwt_public_key_file": key.public,
            "jwt_algorithms": ["ES256"], "jwt_clock_skew": 0}) as g:
        ends = int(time.time()) + 3
        client = Legacy(g, key.token(exp=ends))
        with (client.stream() if era == "legacy" else listen(
                g, fields=client.client.fields(None))) as stream:
            stream.wait_end()
        assert time.time() >= ends


# -- what goes wrong


@pytest.mark.parametrize("server", ERAS)
def test_a_backend_that_starts_anew(server):
    with alpha(server) as backend, gateway(backend, workers=1) as g:
        c = Legacy(g)
        c.subscribe(URI)
        with c.stream() as old, listen(g, [URI]) as young:
            old.hears(backend, URI)
            young.hears(backend, URI)
            counts = len(old.updated()), len(young.updated())
            backend.stop()
            backend.sessions.clear()
            backend.subscriptions.clear()
            backend.start()
            # What changed meanwhile nobody knows: all are told.
            old.wait(UPDATED, counts[0] + 1)
            young.wait(UPDATED, counts[1] + 1)
            old.hears(backend, URI)


def test_a_stream_goes_on_where_it_was():
    with alpha("legacy") as backend, gateway(backend) as g:
        backend.event_ids = True
        with listen(g, [URI], wanted={}) as stream:
            watched(backend, URI)
            backend.update(URI)
            stream.wait(UPDATED)
            backend.forget()
            backend.hang_up_listeners()
            eventually(lambda: [r for r in backend.requests
                                if r.method == "GET" and
                                r.header("last-event-id")])
            watched(backend, URI)
            assert stream.updated() == [URI]
            backend.update(URI)
            stream.wait(UPDATED, 2)


def test_a_stream_of_lines():
    with alpha() as backend:
        backend.lines = True
        with gateway(backend) as g, listen(g, [URI]) as stream:
            watched(backend, URI)
            backend.update(URI)
            stream.wait(UPDATED)
            backend.tools.append(tool("fresh"))
            backend.notify()
            stream.wait(TOOLS)


GARBAGE = (
    b"not json", b"{", b"[]", b"{}", b"[1,2,{}]", b"\"x\"", b"null",
    b'{"jsonrpc":"2.0","method":"notifications/resources/updated"}',
    b'{"jsonrpc":"2.0","method":"notifications/resources/updated",'
    b'"params":{"uri":7}}',
    b'{"jsonrpc":"2.0","method":"notifications/resources/updated",'
    b'"params":{"uri":"test://alpha/other"}}',
    b'{"jsonrpc":"2.0","method":"notifications/resources/updated",'
    b'"params":{"uri":"' + b"x" * 100000 + b'"}}',
    b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}',
    b'{"jsonrpc":"2.0","method":"tools/list","id":"%s"}' % (b"i" * 1000),
    b'{"jsonrpc":"2.0","method":"ping","id":"their-ping"}',
    b'{"jsonrpc":"2.0","method":"roots/list","id":"their-question"}',
)


@pytest.mark.parametrize("server", ERAS)
def test_wrong_events(server):
    with alpha(server) as backend, gateway(backend) as g:
        with listen(g, [URI], wanted={}) as stream:
            watched(backend, URI)
            for exchange, _ in list(backend.listeners):
                if exchange.request.params.get("notifications", {}).get(
                        "resourceSubscriptions") or server == "legacy":
                    for text in GARBAGE:
                        exchange.event(text)
            backend.update(URI)
            stream.wait(UPDATED)
            assert stream.updated() == [URI]
            if server == "legacy":
                eventually(lambda: [
                    r for r in backend.requests
                    if r.message.get("id") == "their-ping" and
                    r.message.get("result") == {}])
                eventually(lambda: [
                    r for r in backend.requests
                    if r.message.get("id") == "their-question" and
                    "error" in r.message])


def test_a_storm_of_updates():
    with alpha() as backend, gateway(backend) as g:
        with listen(g, [URI], wanted={}) as stream:
            watched(backend, URI)
            began = time.monotonic()
            sent = 0
            while time.monotonic() - began < 1:
                sent += backend.update(URI)
            stream.wait(UPDATED)
            seconds = time.monotonic() - began
            assert sent > 200
            assert len(stream.updated()) <= 20 * seconds + 2


def test_a_backend_that_tells_of_nothing():
    with Backend("alpha", resources=[resource(URI)]) as backend, \
            gateway(backend) as g:
        with listen(g, [URI]) as stream:
            assert "resourceSubscriptions" not in (
                stream.messages[0]["params"]["notifications"])
        assert Legacy(g).ask("resources/subscribe", {
            "uri": URI}).code == -32601


def test_streams_take_none_of_max_connections():
    with alpha() as backend, Gateway(backend, entries=[
            entry(backend, max_connections=1)], workers=1) as g:
        with listen(g, [URI]), g.client() as c:
            watched(backend, URI)
            assert c.call("echo", {"nonce": "n"}) == "n"


def test_a_worker_is_killed():
    with alpha() as backend, gateway(backend, workers=2) as g:
        c = Legacy(g)
        c.subscribe(URI)
        stream = c.stream()
        assert stream.head.status == 200
        watched(backend, URI)
        for pid in g.workers():
            os.kill(pid, signal.SIGKILL)
        stream.wait_end()
        g.wait_until("/readyz")
        def reopened():
            again = c.stream()
            if again.head.status == 200:
                return again
            again.close()
            return None
        with eventually(reopened, "another stream") as again:
            # What it subscribed to is not forgotten.
            again.hears(backend, URI)


def test_reload_during_streams():
    with alpha() as backend, Backend("beta", tools=[tool("b")]) as beta, gateway(backend) as g:
        c = Legacy(g)
        c.subscribe(URI)
        with c.stream() as old, listen(g, [TWO]) as young:
            old.hears(backend, URI)
            young.hears(backend, TWO)
            g.reload(entries=[entry(backend), entry(beta)])
            old.wait(TOOLS)
            young.wait(TOOLS)
            old.hears(backend, URI)
            young.hears(backend, TWO)
            # The backend goes and comes.
            g.reload(entries=[entry(beta)])
            watched(backend, URI, 0)
            g.reload(entries=[entry(backend), entry(beta)])
            old.hears(backend, URI)
            young.hears(backend, TWO)


def test_draining_ends_them():
    with alpha() as backend, gateway(backend) as g:
        c = Legacy(g)
        with c.stream() as old, listen(g, id="x") as young:
            g.signal(signal.SIGTERM)
            old.wait_end()
            young.wait_end()
            assert young.messages[-1] == {
                "jsonrpc": "2.0", "id": "x", "result": {
                    "resultType": "complete",
                    "_meta": {META + "subscriptionId": "x"}}}
            assert not old.messages and old.head.complete


def test_limit_of_streams():
    with alpha() as backend, gateway(backend, workers=1,
                                     limits={"streams": 2}) as g:
        c = Legacy(g)
        with listen(g), listen(g):
            assert c.stream().head.status == 503
            assert listen(g).head.status == 503
        def free():
            stream = c.stream()
            stream.close()
            return stream.head.status == 200
        eventually(free, "a place")


# -- log levels


@pytest.mark.parametrize("era", ERAS)
def test_log_level_of_a_session(era):
    def logs(exchange):
        for level in ("debug", "info", "warning", "error"):
            exchange.notify("notifications/message", {
                "level": level, "data": level})
        exchange.result({"content": []})

    with alpha(era) as backend, gateway(backend) as g:
        backend.set_handler("echo", logs)
        quiet, usual, noisy = Legacy(g), Legacy(g), Legacy(g)

        def heard(c):
            answer = c.ask("tools/call", {"name": "echo", "arguments": {}})
            return [m["params"]["data"] for m in answer.messages
                    if m.get("method") == "notifications/message"]

        assert quiet.ask("logging/setLevel", {"level": "error"}).result == {}
        assert noisy.ask("logging/setLevel", {"level": "debug"}).result == {}
        for _ in range(3):
            assert heard(quiet) == ["error"]
            assert heard(usual) == ["info", "warning", "error"]
            assert heard(noisy) == ["debug", "info", "warning", "error"]
        if era == "legacy":
            # Once for each session that is shared, never for a call.
            assert set(backend.levels.values()) == {"debug"}
            assert len(backend.calls("logging/setLevel")) <= 2
        else:
            asked = [r.meta[META + "logLevel"]
                     for r in backend.calls("tools/call")]
            assert asked[:3] == ["error", "info", "debug"]
        quiet.ask("logging/setLevel", {"level": "warning"})
        assert heard(quiet) == ["warning", "error"]
        assert quiet.ask("logging/setLevel", {"level": "loud"}).code == -32602


# -- other ways


def test_the_end_of_a_session_ends_its_stream():
    with alpha() as backend, gateway(backend) as g:
        c = Legacy(g)
        with c.stream() as stream:
            with g.connect() as other:
                assert other.ask(http("DELETE", "/mcp", [
                    ("Host", "localhost"),
                    ("Mcp-Session-Id", c.session)])).status == 204
            stream.wait_end()
        assert c.stream().head.status == 404


def test_replicas():
    with alpha() as backend, Pair(backend, entries=[entry(backend)]) as (
            one, two):
        c = Legacy(one)
        with c.stream() as stream, two.client() as other:
            assert other.legacy("resources/subscribe", {"uri": URI},
                                session=c.session).result == {}
            stream.hears(backend, URI)
            assert other.legacy("logging/setLevel", {"level": "error"},
                                session=c.session).result == {}

            def told():
                backend.forget()
                c.ask("tools/call", {"name": "echo", "arguments": {}})
                return backend.last().meta[META + "logLevel"] == "error"
            eventually(told)
            assert other.legacy("resources/unsubscribe", {"uri": URI},
                                session=c.session).result == {}
            watched(backend, URI, 0)


@pytest.mark.parametrize("server", ERAS)
def test_backends_behind_tls(server):
    cert = tokens.certificate()
    with alpha(server, tls=cert.server()) as backend, Gateway(
            backend, entries=[entry(backend, tls_ca_file=cert.cert)]) as g:
        c = Legacy(g)
        c.subscribe(URI)
        with c.stream() as stream:
            stream.hears(backend, URI)
        watched(backend, URI, 0)
