"""MCP servers that do as they are told, well or badly.

A Backend is a thread per connection on an ephemeral port. It keeps every
request byte for byte, and it is strict: whatever the gateway sends that a
server of that revision may refuse is a violation, and a test that ends with
one has failed (see conftest.py).
"""

import collections
import copy
import itertools
import json
import select
import socket
import struct
import threading
import time

from messages import (LEGACY, META, MODERN, NAMED, TASKS, compact, sentinel,
                      unsentinel)
from wire import (CRLF, DEADLINE, Closed, Fields, Reader, chunked, eventually,
                  parse_fields, strict_json)


# Methods that the other era does not have.
LEGACY_ONLY = ("initialize", "ping", "logging/setLevel",
               "resources/subscribe", "resources/unsubscribe")
MODERN_ONLY = ("server/discover", "subscriptions/listen")


class Disconnected(Exception):
    """The gateway is gone, or was thrown out."""


class Request(Fields):
    """One request, as it came."""

    def __init__(self, head, body, connection, is_chunked):
        line = head.split(CRLF, 1)[0].decode("latin-1")
        self.method, self.target, self.version = line.split(" ")
        self.fields = parse_fields(head[:-4].split(CRLF)[1:])
        self.head, self.body = head, body
        self.connection = connection
        self.chunked = is_chunked
        self.at = time.monotonic()
        try:
            self.message = strict_json(body) if body else {}
            self.broken = None
        except ValueError as why:
            self.message, self.broken = {}, str(why)

    def __repr__(self):
        return "<%s %s>" % (self.method, self.rpc or self.target)

    @property
    def rpc(self):
        return self.message.get("method")

    @property
    def params(self):
        return self.message.get("params") or {}

    @property
    def meta(self):
        return self.params.get("_meta") or {}

    @property
    def arguments(self):
        found = self.params.get("arguments")
        return found if isinstance(found, dict) else {}

    @property
    def arguments_bytes(self):
        """The arguments as they were written, not as they were meant."""
        return member_bytes(self.body, "params", "arguments")


def member_bytes(text, *path):
    """The raw bytes of a member of a JSON text."""
    text = text.decode("utf-8")
    for name in path:
        at = skip(text, text.index("{") + 1)
        while True:
            key, at = json.decoder.scanstring(text, at + 1)
            at = skip(text, skip(text, at) + 1)
            _, end = json.JSONDecoder().raw_decode(text, at)
            if key == name:
                text = text[at:end]
                break
            at = skip(text, skip(text, end) + 1)
    return text.encode("utf-8")


def skip(text, at):
    while text[at] in " \t\r\n":
        at += 1
    return at


class Exchange:
    """A request and the way to answer it: properly, or byte by byte."""

    def __init__(self, backend, sock, request, modern):
        self.backend, self.sock, self.request = backend, sock, request
        self.modern = modern
        self.id = request.message.get("id")
        self.started = False  # something was sent
        self.framing = None   # "length", "chunked" or "close"
        self.closed = False

    # -- bytes

    def raw(self, data):
        try:
            self.sock.sendall(data)
        except OSError as why:
            self.closed = True
            raise Disconnected(str(why)) from why
        self.started = True

    def head(self, status=200, type="application/json", length=None,
             fields=()):
        """Status line and fields; without a length the body is chunked."""
        lines = ["HTTP/1.1 %d Whatever" % status]
        if type:
            lines.append("Content-Type: " + type)
        if length is None:
            lines.append("Transfer-Encoding: chunked")
            self.framing = "chunked"
        else:
            lines.append("Content-Length: %d" % length)
            self.framing = "length"
        lines += ["%s: %s" % field for field in fields]
        if self.backend.says_close:
            lines.append("Connection: close")
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n")

    def chunk(self, data):
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        if self.framing == "chunked":
            self.raw(b"0\r\n\r\n")

    def answer(self, status, body=b"", type="application/json", fields=()):
        self.head(status, type, len(body), fields)
        self.raw(body)

    def close(self):
        self.closed = True
        raise Disconnected("closed on purpose")

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.close()

    def peer_closed(self, within=DEADLINE):
        """Has the gateway hung up? Anything it still sends is dropped."""
        end = time.monotonic() + within
        while not self.backend.stopping:
            left = end - time.monotonic()
            if left <= 0:
                return False
            if not select.select([self.sock], [], [], min(left, 0.05))[0]:
                continue
            try:
                if not self.sock.recv(65536):
                    return True
            except OSError:
                return True
        return False

    def hang(self):
        """Say nothing until the gateway gives up."""
        self.peer_closed(within=60)
        self.close()

    # -- messages

    def message(self, result=None, error=None, id=None):
        out = {"jsonrpc": "2.0", "id": self.id if id is None else id}
        if error is not None:
            out["error"] = error
        else:
            out["result"] = result
        return out

    def event(self, message):
        """One event; the stream begins with the first."""
        if not self.started:
            self.head(200, "text/event-stream", fields=[
                ("Cache-Control", "no-cache")])
        data = message if isinstance(message, bytes) else compact(message)
        if self.backend.lines:
            self.chunk(data + b"\n")
            return
        number = b""
        if self.backend.event_ids:
            number = b"id: %d\n" % next(self.backend.event_numbers)
        self.chunk(number + b"event: message\ndata: " + data + b"\n\n")

    def notify(self, method, params):
        self.event({"jsonrpc": "2.0", "method": method, "params": params})

    def result(self, result, cacheable=False):
        """The answer, in the way this backend likes to answer."""
        if self.modern:
            result = {"resultType": "complete", **result}
            if cacheable:
                result.setdefault("ttlMs", self.backend.ttl_ms)
                result.setdefault("cacheScope", "public")
            result.setdefault("_meta", {})[META + "serverInfo"] = {
                "name": self.backend.name, "version": "1"}
        self.respond(self.message(result))

    def error(self, code, message, data=None, status=200):
        error = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        self.respond(self.message(error=error), status)

    def respond(self, message, status=200):
        if self.framing == "chunked":
            self.event(message)
            self.end()
        elif self.backend.answers == "sse" and status == 200:
            self.event(message)
            self.end()
        elif self.backend.pieces:
            body = compact(message)
            self.head(status)
            size = self.backend.pieces
            for at in range(0, len(body), size):
                self.chunk(body[at:at + size])
            self.end()
        else:
            self.answer(status, compact(message),
                        fields=self.backend.extra_fields)


Tool = collections.namedtuple("Tool", "spec handler")


def echo(exchange):
    """The nonce comes back; how often it was run is counted."""
    nonce = str(exchange.request.arguments.get("nonce", ""))
    with exchange.backend.changed:
        exchange.backend.executed[nonce] += 1
    exchange.result({"content": [{"type": "text", "text": nonce}]})


def tool(name, handler=echo, **members):
    """A tool with an open input schema. members: title, annotations..."""
    spec = {"name": name, "description": "The tool " + name,
            "inputSchema": {"type": "object"}, **members}
    return Tool(spec, handler)


def tools(n, prefix="tool", handler=echo):
    return [tool("%s_%05d" % (prefix, i), handler) for i in range(n)]


def prompt(name, **members):
    return {"name": name, "description": "The prompt " + name,
            "arguments": [{"name": "topic", "required": False}], **members}


def resource(uri, **members):
    return {"uri": uri, "name": uri.rsplit("/", 1)[-1],
            "mimeType": "text/plain", **members}


def template(uri, **members):
    return {"uriTemplate": uri, "name": "template", "mimeType": "text/plain",
            **members}


class Backend:
    """One MCP server.

    era      "modern", "legacy" or "both"
    version  what a legacy server negotiates
    answers  "json" or "sse"
    Everything public may be changed while it runs.
    """

    def __init__(self, name="alpha", era="modern", tools=None, prompts=(),
                 resources=(), templates=(), page_size=0, version=LEGACY[0],
                 sessions=True, answers="json", tls=None, ttl_ms=600000,
                 instructions=None):
        self.name, self.era, self.version = name, era, version
        self.tools = list(tools) if tools is not None else [tool("echo")]
        self.prompts, self.resources = list(prompts), list(resources)
        self.templates = list(templates)
        self.page_size, self.ttl_ms = page_size, ttl_ms
        self.sessions_wanted, self.answers = sessions, answers
        self.instructions = instructions
        self.delay = 0          # seconds before every answer
        self.fault = None       # called with each exchange; True: it is done
        self.says_close = False  # Connection: close in every answer
        self.requests_per_connection = 0  # then hang up without a word
        self.pieces = 0         # bytes of a chunk; 0: Content-Length
        self.extra_fields = []
        self.listen_allowed = True
        self.subscribe = False  # tells of changes of resources
        self.strict_listen = False  # an unknown URI spoils the whole listen,
        self.knows_task = lambda id: False  # and an unknown id of a task
        self.event_ids = False  # legacy streams number their events
        self.lines = False      # streams are JSON lines, not events
        self.subscriptions = collections.defaultdict(set)  # by session
        self.levels = {}        # by session
        self.token = None       # demanded as a bearer token
        self.extensions = {}    # capabilities.extensions
        self.methods = {}       # other methods, and what answers them
        self.unlisted = {}      # URIs that no list has: their contents
        self.requests = []
        self.violations = []
        self.executed = collections.Counter()
        self.sessions = {}
        self.changed = threading.Condition()
        self.connections = 0    # accepted so far
        self.open = set()       # sockets
        self.listeners = []     # (exchange, subscription id or None)
        self.joining = threading.Lock()
        self.stopping = False
        self._ids = itertools.count(1)
        self.event_numbers = itertools.count(1)
        self._tls = tls
        self._threads = []
        self._listener = None
        self.port = 0

    # -- life

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Listen; again on the same port when it was stopped."""
        self.stopping = False
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(256)
        self.port = self._listener.getsockname()[1]
        thread = threading.Thread(target=self._accept,
                                  args=(self._listener,), daemon=True)
        thread.start()
        return self

    def stop(self):
        """Refuse connections from now on and cut those that are open."""
        self.stopping = True
        if self._listener:
            try:
                self._listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self._listener.close()
            self._listener = None
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @property
    def url(self):
        return "%s://127.0.0.1:%d/mcp" % ("https" if self._tls else "http",
                                          self.port)

    def entry(self, **more):
        """Its element of backends[] in gateway.json."""
        return {"name": self.name, "transport": "streamable_http",
                "url": self.url, "auth_method": "none",
                "health_check_interval": 0, **more}

    # -- what was asked

    def calls(self, rpc="tools/call"):
        return [r for r in list(self.requests) if r.rpc == rpc]

    def last(self, rpc="tools/call"):
        return self.calls(rpc)[-1]

    def wait_for(self, rpc="tools/call", count=1, within=DEADLINE):
        """The count-th request of this method, once it is here."""
        eventually(lambda: len(self.calls(rpc)) >= count,
                   "%d of %s at %s" % (count, rpc, self.name), within)
        return self.calls(rpc)[count - 1]

    def forget(self):
        """Forget the requests so far, not the sessions."""
        self.requests.clear()
        self.executed.clear()

    def handler(self, name):
        """Set another handler for a tool."""
        for i, t in enumerate(self.tools):
            if t.spec.get("name") == name:
                return t.handler
        return None

    def set_handler(self, name, handler):
        self.tools = [t for t in self.tools if t.spec.get("name") != name]
        self.tools.append(tool(name, handler))

    def streams(self):
        """All who listen: who has been told that it does is among them."""
        with self.joining:
            return list(self.listeners)

    def notify(self, kind="tools"):
        """Tell all who listen that a list has changed; how many did."""
        told = 0
        for exchange, subscription in self.streams():
            params = {}
            if subscription is not None:
                params["_meta"] = {META + "subscriptionId": subscription}
            try:
                exchange.notify("notifications/%s/list_changed" % kind, params)
                told += 1
            except Disconnected:
                self._forget_listener(exchange, subscription)
        return told

    def update(self, uri):
        """Tell all who subscribed to it that a resource has changed; how
        many did."""
        told = 0
        for exchange, subscription in self.streams():
            request = exchange.request
            params = {"uri": uri}
            if subscription is not None:
                params["_meta"] = {META + "subscriptionId": subscription}
                wanted = request.params["notifications"].get(
                    "resourceSubscriptions", ())
            else:
                wanted = self.subscriptions[request.header("mcp-session-id")]
            if not any(uri == w or uri.startswith(w + "/") for w in wanted):
                continue
            try:
                exchange.notify("notifications/resources/updated", params)
                told += 1
            except Disconnected:
                self._forget_listener(exchange, subscription)
        return told

    def watchers(self, uri):
        """How many streams have subscribed to it."""
        found = 0
        for exchange, subscription in self.streams():
            request = exchange.request
            wanted = (request.params["notifications"].get(
                "resourceSubscriptions", ()) if subscription is not None else
                self.subscriptions[request.header("mcp-session-id")])
            found += uri in wanted
        return found

    def hang_up_listeners(self):
        """Cut every stream; the sessions stay."""
        for exchange, _ in self.streams():
            try:
                exchange.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _forget_listener(self, *listener):
        if listener in self.listeners:
            self.listeners.remove(listener)

    # -- serving

    def _accept(self, listener):
        while not self.stopping:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        self.open.add(sock)
        try:
            if self._tls:
                plain, sock = sock, self._tls.wrap_socket(sock,
                                                          server_side=True)
                self.open.discard(plain)
                self.open.add(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._talk(sock, self.connections)
        except (Disconnected, Closed, OSError, ValueError):
            pass
        finally:
            self.open.discard(sock)
            sock.close()

    def _talk(self, sock, connection):
        reader = Reader(sock)
        for served in itertools.count(1):
            request = self._read(reader, connection)
            if request is None:
                return
            with self.changed:
                self.requests.append(request)
                self.changed.notify_all()
            modern = self._is_modern(request)
            exchange = Exchange(self, sock, request, modern)
            if self.delay:
                time.sleep(self.delay)
            if not (self.fault and self.fault(exchange)):
                self._dispatch(exchange)
            if exchange.closed or self.says_close:
                return
            if served == self.requests_per_connection:
                return

    def _read(self, reader, connection):
        head = reader.until(b"\r\n\r\n")
        if head is None:
            return None
        request = Request(head, b"", connection, False)
        length = request.header("content-length")
        coding = request.header("transfer-encoding")
        if coding:
            self.check(length is None, "both framings: %r" % head)
            body = b""
            while size := int(reader.until(CRLF), 16):
                body += reader.exactly(size)
                reader.exactly(2)
            reader.exactly(2)
        else:
            body = reader.exactly(int(length or 0))
        request = Request(head, body, connection, bool(coding))
        self.check(not request.broken, "not JSON: %s" % request.broken)
        return request

    def check(self, ok, text):
        if not ok:
            self.violations.append(text)
        return ok

    def _is_modern(self, request):
        if self.era == "both":
            return META + "protocolVersion" in request.meta
        return self.era == "modern"

    def _dispatch(self, exchange):
        request = exchange.request
        self.check(request.header("host") == "127.0.0.1:%d" % self.port,
                   "Host: %s" % request.header("host"))
        if self.token is not None and (request.header("authorization") !=
                                       "Bearer " + self.token):
            exchange.answer(401, b"{}", fields=[("WWW-Authenticate", "Bearer")])
        elif request.method == "POST":
            self._post(exchange)
        elif request.method == "GET" and not exchange.modern:
            self._get(exchange)
        elif request.method == "DELETE" and not exchange.modern:
            self.sessions.pop(request.header("mcp-session-id"), None)
            exchange.answer(200)
        else:
            exchange.answer(405, fields=[("Allow", "POST")])

    def _post(self, exchange):
        request = exchange.request
        accept = request.header("accept", "")
        self.check("application/json" in accept and
                   "text/event-stream" in accept, "Accept: " + accept)
        self.check(request.header("content-type") == "application/json",
                   "Content-Type: %s" % request.header("content-type"))
        self.check(request.message.get("jsonrpc") == "2.0", "jsonrpc")
        if exchange.modern:
            self._post_modern(exchange)
        else:
            self._post_legacy(exchange)

    # -- the stateless era

    def _post_modern(self, exchange):
        request, rpc = exchange.request, exchange.request.rpc
        if rpc == "initialize" or META + "protocolVersion" not in request.meta:
            return exchange.error(-32602, "modern only", status=400)
        version = request.meta[META + "protocolVersion"]
        self.check(version == MODERN, "version %s" % version)
        self.check(isinstance(request.meta.get(META + "clientCapabilities"),
                              dict), "no clientCapabilities")
        self.check(request.header("mcp-protocol-version") == version,
                   "version field: %s" % request.head)
        self.check(not request.has("mcp-session-id"), "a session, modern")
        if exchange.id is None:
            return exchange.answer(202)
        self.check(request.header("mcp-method") == rpc, "Mcp-Method: %s" %
                   request.header("mcp-method"))
        if rpc in NAMED:
            name = request.params.get(NAMED[rpc])
            sent = request.header("mcp-name")
            self.check(sent is not None and unsentinel(sent) == name,
                       "Mcp-Name: %r for %r" % (sent, name))
        if rpc == "tools/call":
            self._check_mirrors(request)
        self._method(exchange)

    def _check_mirrors(self, request):
        for t in self.tools:
            if t.spec.get("name") != request.params.get("name"):
                continue
            schema = t.spec["inputSchema"].get("properties", {})
            for name, rule in schema.items():
                if "x-mcp-header" not in rule:
                    continue
                field = "mcp-param-" + rule["x-mcp-header"]
                value = request.arguments.get(name)
                expected = None if value is None else sentinel(value)
                self.check(request.header(field) == expected, "%s: %s, not %s"
                           % (field, request.header(field), expected))

    # -- the handshake era

    def _post_legacy(self, exchange):
        request, rpc = exchange.request, exchange.request.rpc
        if rpc == "server/discover":
            return exchange.error(-32000, "Bad Request: not initialized",
                                  status=400)
        self.check(META + "protocolVersion" not in request.meta,
                   "modern _meta to a legacy server")
        self.check(not request.has("mcp-method"),
                   "Mcp-Method to a legacy server")
        if rpc == "initialize":
            return self._initialize(exchange)
        if self.version != "2025-03-26":
            self.check(request.header("mcp-protocol-version") == self.version,
                       "version field: %s" %
                       request.header("mcp-protocol-version"))
        if self.sessions_wanted:
            session = request.header("mcp-session-id")
            if session is None:
                return exchange.error(-32000, "no session", status=400)
            if session not in self.sessions:
                return exchange.error(-32001, "Session not found", status=404)
            if rpc == "notifications/initialized":
                self.sessions[session] = True
            elif rpc != "ping":
                self.check(self.sessions[session],
                           "%s before initialized" % rpc)
        if exchange.id is None or rpc is None:
            return exchange.answer(202)
        return self._method(exchange)

    def _initialize(self, exchange):
        request = exchange.request
        self.check(not request.has("mcp-session-id"), "session on initialize")
        self.check(request.params.get("protocolVersion") in LEGACY,
                   "initialize with %s" % request.params)
        self.check("clientInfo" in request.params and
                   "capabilities" in request.params, "initialize params")
        fields = []
        if self.sessions_wanted:
            session = "%s-session-%d" % (self.name, next(self._ids))
            self.sessions[session] = False
            fields.append(("Mcp-Session-Id", session))
        result = {"protocolVersion": self.version,
                  "capabilities": self.capabilities(),
                  "serverInfo": {"name": self.name, "version": "1"}}
        if self.instructions:
            result["instructions"] = self.instructions
        exchange.answer(200, compact(exchange.message(result)), fields=fields)

    def _get(self, exchange):
        if not self.listen_allowed:
            return exchange.answer(405, fields=[("Allow", "POST")])
        session = exchange.request.header("mcp-session-id")
        if self.sessions_wanted and session not in self.sessions:
            return exchange.error(-32001, "Session not found", status=404)
        exchange.head(200, "text/event-stream")
        return self._stay(exchange, None,
                          lambda: exchange.chunk(b": here\n\n"))

    def _stay(self, exchange, subscription, greet):
        with self.joining:
            greet()
            self.listeners.append((exchange, subscription))
        try:
            exchange.peer_closed(within=3600)
        finally:
            self._forget_listener(exchange, subscription)
        exchange.close()

    # -- methods of both

    def capabilities(self):
        changes = {"listChanged": True} if self.listen_allowed else {}
        out = {"tools": dict(changes), "logging": {}, "completions": {}}
        if self.prompts:
            out["prompts"] = dict(changes)
        if self.resources or self.templates or self.unlisted:
            out["resources"] = dict(changes)
            if self.subscribe:
                out["resources"]["subscribe"] = True
        if self.extensions:
            out["extensions"] = self.extensions
        return out

    def _method(self, exchange):
        rpc = exchange.request.rpc
        method = {
            "server/discover": self._discover,
            "subscriptions/listen": self._listen,
            "ping": lambda e: e.result({}),
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._subscribe,
            "completion/complete": self._complete,
            "tools/call": self._call,
            "prompts/get": self._prompt,
            "resources/read": self._resource,
            "tools/list": lambda e: self._list(
                e, "tools", [t.spec for t in self.tools]),
            "prompts/list": lambda e: self._list(e, "prompts", self.prompts),
            "resources/list": lambda e: self._list(e, "resources",
                                                   self.resources),
            "resources/templates/list": lambda e: self._list(
                e, "resourceTemplates", self.templates),
        }.get(rpc, self.methods.get(rpc))
        gone = LEGACY_ONLY if exchange.modern else MODERN_ONLY
        if not method or rpc in gone:
            return exchange.error(-32601, "no method " + str(rpc),
                                  status=404 if exchange.modern else 200)
        return method(exchange)

    def _discover(self, exchange):
        result = {"supportedVersions": [MODERN],
                  "capabilities": self.capabilities()}
        if self.instructions:
            result["instructions"] = self.instructions
        exchange.result(result, cacheable=True)

    def _listen(self, exchange):
        if not self.listen_allowed:
            return exchange.error(-32601, "no listen", status=404)
        wanted = dict(exchange.request.params.get("notifications", {}))
        uris = wanted.get("resourceSubscriptions", [])
        ids = wanted.get("taskIds", [])
        if self.strict_listen and not (all(map(self.knows, uris)) and
                                       all(map(self.knows_task, ids))):
            return exchange.error(-32602, "Unknown resource or task")
        if ids:
            declared = exchange.request.meta[META + "clientCapabilities"]
            self.check(TASKS in declared.get("extensions", {}),
                       "taskIds without the extension")
            wanted["taskIds"] = [i for i in ids if self.knows_task(i)]
        if uris:
            wanted["resourceSubscriptions"] = [
                u for u in uris if self.subscribe and self.knows(u)]
        if self.lines:
            exchange.head(200)
        return self._stay(exchange, exchange.id, lambda: exchange.notify(
            "notifications/subscriptions/acknowledged", {
                "notifications": wanted,
                "_meta": {META + "subscriptionId": exchange.id}}))

    def _list(self, exchange, key, items):
        cursor = exchange.request.params.get("cursor")
        if cursor is not None and not cursor.startswith("from-"):
            return exchange.error(-32602, "bad cursor")
        start = int(cursor[5:]) if cursor is not None else 0
        size = self.page_size or max(1, len(items))
        result = {key: copy.deepcopy(items[start:start + size])}
        if start + size < len(items):
            result["nextCursor"] = "from-%d" % (start + size)
        return exchange.result(result, cacheable=True)

    def _call(self, exchange):
        name = exchange.request.params.get("name")
        for t in self.tools:
            if t.spec.get("name") == name:
                return t.handler(exchange)
        return exchange.error(-32602, "Unknown tool: %s" % name)

    def _prompt(self, exchange):
        name = exchange.request.params.get("name")
        if name not in [p["name"] for p in self.prompts]:
            return exchange.error(-32602, "Unknown prompt: %s" % name)
        text = "%s about %s" % (name, exchange.request.arguments.get("topic"))
        return exchange.result({"messages": [
            {"role": "user", "content": {"type": "text", "text": text}}]})

    def _resource(self, exchange):
        uri = exchange.request.params.get("uri", "")
        if uri in self.unlisted:
            return exchange.result({"contents": [
                {"uri": uri, **self.unlisted[uri]}]}, cacheable=True)
        known = [r["uri"] for r in self.resources]
        heads = [t["uriTemplate"].split("{")[0] for t in self.templates]
        if uri not in known and not any(uri.startswith(h) for h in heads):
            code = -32602 if exchange.modern else -32002
            return exchange.error(code, "Unknown resource", {"uri": uri})
        return exchange.result({"contents": [
            {"uri": uri, "mimeType": "text/plain", "text": "text of " + uri}]},
            cacheable=True)

    def knows(self, uri):
        return (uri in [r["uri"] for r in self.resources] or
                any(uri.startswith(t["uriTemplate"].split("{")[0])
                    for t in self.templates))

    def _subscribe(self, exchange):
        request = exchange.request
        uri = request.params.get("uri", "")
        mine = self.subscriptions[request.header("mcp-session-id")]
        if not self.subscribe:
            return exchange.error(-32601, "no subscriptions")
        if not self.knows(uri):
            return exchange.error(-32002, "Unknown resource", {"uri": uri})
        if request.rpc == "resources/subscribe":
            mine.add(uri)
        else:
            mine.discard(uri)
        return exchange.result({})

    def _set_level(self, exchange):
        self.levels[exchange.request.header("mcp-session-id")] = (
            exchange.request.params["level"])
        exchange.result({})

    def _complete(self, exchange):
        ref = exchange.request.params.get("ref", {})
        name = ref.get("name") or ref.get("uri")
        exchange.result({"completion": {"values": [str(name)],
                                        "hasMore": False}})


class Tasks:
    """The extension tasks, for a modern backend: handlers of tools that make
    tasks, and the methods that ask for them. Ids are as a backend likes them.
    """

    def __init__(self, backend):
        self.backend = backend
        self.tasks = {}
        backend.extensions[TASKS] = {}
        backend.knows_task = lambda id: id in self.tasks
        backend.methods.update({"tasks/get": self.get,
                                "tasks/update": self.update,
                                "tasks/cancel": self.cancel})

    def __getitem__(self, id):
        return self.tasks[id]

    def begin(self, id=None, **members):
        """A tool that makes a task, whoever asks for it. members: of every
        answer about it."""
        def handler(exchange):
            name = id or "%s/t\u00e4sk %d" % (self.backend.name,
                                             len(self.tasks))
            self.tasks[name] = {
                "taskId": name, "status": "working", "ttlMs": None,
                "createdAt": "2026-01-01T00:00:00Z",
                "lastUpdatedAt": "2026-01-01T00:00:00Z",
                "pollIntervalMs": 50, **members}
            exchange.result({**self.tasks[name], "resultType": "task"})
        return handler

    def only(self):
        """The one task that there is."""
        assert len(self.tasks) == 1, list(self.tasks)
        return next(iter(self.tasks.values()))

    def listeners(self, id):
        """The streams that want to hear of it."""
        return [(exchange, subscription)
                for exchange, subscription in self.backend.streams()
                if subscription is not None and id in
                exchange.request.params["notifications"].get("taskIds", ())]

    def tell(self, id, **members):
        """Its state to all who want to hear of it, with changes; how many
        heard."""
        self.tasks[id].update(members)
        found = self.listeners(id)
        for exchange, subscription in found:
            exchange.notify("notifications/tasks", {
                **self.tasks[id], "_meta": {
                    META + "subscriptionId": subscription, "other": 1}})
        return len(found)

    def find(self, exchange):
        backend, meta = self.backend, exchange.request.meta
        declared = meta[META + "clientCapabilities"].get("extensions", {})
        backend.check(TASKS in declared, "tasks/* without the extension")
        found = self.tasks.get(exchange.request.params.get("taskId"))
        if found is None:
            exchange.error(-32602, "Unknown task")
        return found

    def get(self, exchange):
        found = self.find(exchange)
        if found is not None:
            exchange.result(found)

    def update(self, exchange):
        found = self.find(exchange)
        if found is not None:
            found["answers"] = exchange.request.params["inputResponses"]
            exchange.result({})

    def cancel(self, exchange):
        found = self.find(exchange)
        if found is not None:
            found["status"] = "cancelled"
            exchange.result({})


class CoreTasks:
    """Tasks of 2025-11-25, for a legacy backend: tools that run as nothing
    else, and tasks/result, which waits until finish()."""

    def __init__(self, backend, id="own/t\u00e4sk"):
        self.backend, self.id = backend, id
        self.done = threading.Event()
        self.answer = None      # of tasks/result: handler(exchange)
        self.token = None       # of progress, for the life of the task
        backend.methods.update({"tasks/result": self.result,
                                "tasks/cancel": self.cancel})

    def tool(self, name):
        return tool(name, self.begin, execution={"taskSupport": "required"})

    def begin(self, exchange):
        if not isinstance(exchange.request.params.get("task"), dict):
            return exchange.error(-32601, "only as a task")
        self.token = exchange.request.meta.get("progressToken")
        return exchange.result({"task": {
            "taskId": self.id, "status": "working", "ttl": 60000,
            "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z"}})

    def finish(self, handler=None):
        self.answer = handler or echo
        self.done.set()

    def result(self, exchange):
        self.backend.check(exchange.request.params["taskId"] == self.id,
                           "another task: %r" % exchange.request.params)
        exchange.event(b"")  # the head, and nothing yet
        while not self.done.wait(0.02):
            if exchange.peer_closed(within=0.01):
                exchange.close()
        self.answer(exchange)

    def cancel(self, exchange):
        exchange.result({"status": "cancelled"})


# -- handlers of tools that behave

def steps(count=3, gate=None, level="info"):
    """Progress and log notifications, then the result, as one stream. gate:
    a semaphore; one is taken before each message but the first."""
    def handler(exchange):
        token = exchange.request.meta.get("progressToken")
        for i in range(count):
            if gate and i and not gate.acquire(timeout=DEADLINE):
                exchange.close()
            if token is not None:
                exchange.notify("notifications/progress", {
                    "progressToken": token, "progress": i + 1,
                    "total": count, "message": "step %d" % (i + 1)})
            exchange.notify("notifications/message", {
                "level": level, "logger": "steps", "data": "step %d" % (i + 1)})
        if gate and not gate.acquire(timeout=DEADLINE):
            exchange.close()
        nonce = str(exchange.request.arguments.get("nonce", ""))
        exchange.result({"content": [{"type": "text", "text": nonce}]})
    return handler


def raw_result(text):
    """Exactly these bytes as the value of result."""
    def handler(exchange):
        body = b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (
            compact(exchange.id), text)
        if exchange.backend.answers == "sse":
            exchange.event(body)
            exchange.end()
        else:
            exchange.answer(200, body)
    return handler


def huge(megabytes, sse=False, sent=None):
    """A result of so many MiB of text, sent as the gateway takes it. sent: a
    list to which the bytes sent so far are appended."""
    def handler(exchange):
        kind = b'"resultType":"complete",' if exchange.modern else b""
        before = (b'{"jsonrpc":"2.0","id":%s,"result":{%s"content":[{"type":'
                  b'"text","text":"' % (compact(exchange.id), kind))
        after = b'"}]}}'
        size = megabytes << 20
        block = b"0123456789abcdef" * 4096
        if sse:
            exchange.head(200, "text/event-stream")
            before, after = b"data: " + before, after + b"\n\n"
        else:
            exchange.head(200)
        exchange.chunk(before)
        for i in range(size // len(block)):
            exchange.chunk(block)
            if sent is not None:
                sent.append(len(block))
        exchange.chunk(after)
        exchange.end()
    return handler


def hang(exchange):
    exchange.hang()


def slow(seconds):
    def handler(exchange):
        time.sleep(seconds)
        echo(exchange)
    return handler


# -- handlers of tools that do not

SECRET = b"BACKEND-BYTES-THAT-ARE-NOBODYS-BUSINESS"


def _ok(exchange, id=None):
    result = {"content": [{"type": "text", "text": "fine"}]}
    if exchange.modern:
        result["resultType"] = "complete"
    return compact(exchange.message(result, id=id))


def _stream(exchange, *messages, end=True):
    exchange.head(200, "text/event-stream")
    for message in messages:
        exchange.chunk(b"data: " + message + b"\n\n")
    if end:
        exchange.end()


def _progress(exchange):
    return compact({"jsonrpc": "2.0", "method": "notifications/message",
                    "params": {"level": "debug", "data": "x"}})


def _close_at_once(e):
    e.close()


def _reset_at_once(e):
    e.reset()


def _close_after_head(e):
    e.head(200, length=500)
    e.close()


def _close_in_body(e):
    e.head(200, length=500)
    e.raw(_ok(e)[:20])
    e.close()


def _reset_in_body(e):
    e.head(200, length=500)
    e.raw(_ok(e)[:20])
    e.reset()


def _close_in_chunk(e):
    e.head(200)
    e.raw(b"ff\r\n" + _ok(e)[:20])
    e.close()


def _bad_chunk(e):
    e.head(200)
    e.raw(b"zz\r\n" + _ok(e) + b"\r\n0\r\n\r\n")
    e.close()


def _stream_without_answer(e):
    _stream(e, _progress(e))


def _stream_cut(e):
    _stream(e, _progress(e), end=False)
    e.close()


def _garbage(e):
    e.answer(200, SECRET)


def _not_http(e):
    e.raw(SECRET + b"\r\n\r\n" + SECRET)
    e.close()


def _html(e):
    e.answer(200, b"<html>" + SECRET + b"</html>", "text/html")


def _html_as_json(e):
    e.answer(200, b"<html>" + SECRET + b"</html>")


def _empty(e):
    e.answer(200)


def _no_content(e):
    e.raw(b"HTTP/1.1 204 No Content\r\n\r\n")


def _accepted(e):
    e.answer(202)


def _array(e):
    e.answer(200, b"[" + _ok(e) + b"," + _ok(e, "other") + b"]")


def _wrong_id(e):
    e.answer(200, _ok(e, "a-wrong-id"))


def _wrong_id_in_stream(e):
    _stream(e, _ok(e, "a-wrong-id"))


def _no_id(e):
    e.answer(200, b'{"jsonrpc":"2.0","result":{}}')


def _neither(e):
    e.answer(200, compact({"jsonrpc": "2.0", "id": e.id}))


def _both_members(e):
    e.answer(200, compact({"jsonrpc": "2.0", "id": e.id, "result": {},
                           "error": {"code": 1, "message": "x"}}))


def _truncated(e):
    e.answer(200, _ok(e)[:-2])


def _bad_utf8(e):
    e.answer(200, _ok(e).replace(b"fine", b"\xff\xfe"))


def _control_byte(e):
    e.answer(200, _ok(e).replace(b"fine", b"a\x01b"))


def _deep(e):
    e.answer(200, _ok(e).replace(b'"fine"', b"[" * 5000 + b"]" * 5000))


def _duplicate_result(e):
    e.answer(200, b'{"jsonrpc":"2.0","id":%s,"result":{},"result":{}}' %
             compact(e.id))


def _negative_length(e):
    e.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
          b"Content-Length: -5\r\n\r\n" + _ok(e))
    e.close()


def _two_framings(e):
    e.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
          b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" +
          chunked(_ok(e)))
    e.close()


def _huge_head(e):
    e.raw(b"HTTP/1.1 200 OK\r\n" + b"X-Fill: %s\r\n" % (b"x" * 1000) * 500)
    e.close()


def _gzip(e):
    e.answer(200, b"\x1f\x8b\x08" + b"\0" * 50,
             fields=[("Content-Encoding", "gzip")])


def _redirect(e):
    e.answer(302, fields=[("Location", "http://169.254.169.254/opc/v2/")])


def _status(code):
    def handler(e):
        e.answer(code, SECRET, "text/plain")
    handler.__name__ = "status_%d" % code
    return handler


# A tool with one of these fails, and its error names the backend.
FAULTS = {
    f.__name__.strip("_"): f for f in (
        _close_at_once, _reset_at_once, _close_after_head, _close_in_body,
        _reset_in_body, _close_in_chunk, _bad_chunk, _stream_without_answer,
        _stream_cut, _garbage, _not_http, _html, _html_as_json, _empty,
        _no_content, _accepted, _wrong_id, _wrong_id_in_stream, _no_id,
        _neither, _both_members, _truncated, _bad_utf8, _control_byte, _deep,
        _duplicate_result, _negative_length, _two_framings, _huge_head, _gzip,
        _redirect, _status(401), _status(403), _status(404), _status(429),
        _status(500), _status(502), _status(503))
}


def _sse_labelled_json(e):
    e.head(200)
    e.chunk(b": hello\n\nevent: message\ndata: " + _ok(e) + b"\n\n")
    e.end()


def _newline_delimited(e):
    e.answer(200, _progress(e) + b"\n" + _ok(e) + b"\n")


def _endless_stream_after_answer(e):
    _stream(e, _ok(e), end=False)
    e.hang()


def _two_answers(e):
    _stream(e, _ok(e), _ok(e).replace(b"fine", b"again"))


def _one_byte_chunks(e):
    e.head(200)
    for byte in _ok(e):
        e.chunk(bytes([byte]))
    e.end()


def _one_byte_writes(e):
    body = _ok(e)
    head = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json; "
            b"charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body))
    for byte in head + body:
        e.raw(bytes([byte]))


def _until_close(e):
    e.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
          b"Connection: close\r\n\r\n" + _ok(e))
    e.close()


def _http_1_0(e):
    body = _ok(e)
    e.raw(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"
          b"Content-Length: %d\r\n\r\n" % len(body) + body)
    e.close()


def _interim_first(e):
    e.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    e.answer(200, _ok(e))


def _chunk_extension(e):
    e.head(200)
    e.raw(b'%x;a=b;c="d"\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n' % (
        len(_ok(e)), _ok(e)))


def _crlf_events(e):
    e.head(200, "text/event-stream; charset=utf-8")
    e.chunk(b"\xef\xbb\xbfevent: message\r\nid: 7\r\nretry: 10\r\ndata: " +
            _ok(e) + b"\r\n\r\n")
    e.end()


def _many_data_lines(e):
    e.head(200, "text/event-stream")
    lines = json.dumps(json.loads(_ok(e)), indent=1).encode().split(b"\n")
    e.chunk(b"".join(b"data: " + line + b"\n" for line in lines) + b"\n")
    e.end()


def _priming_event(e):
    e.head(200, "text/event-stream")
    e.chunk(b"id: 1\ndata:\n\n: comment\n\nretry: 5\n\nunknown: x\n\n")
    e.chunk(b"data: " + _ok(e) + b"\n\n")
    e.end()


def _unknown_event_type(e):
    e.head(200, "text/event-stream")
    e.chunk(b"event: other\ndata: ignored\n\n")
    e.chunk(b"event: message\ndata: " + _ok(e) + b"\n\n")
    e.end()


def _spaced_json(e):
    spaced = json.dumps(json.loads(_ok(e)), indent=4).encode()
    e.answer(200, b"\r\n " + spaced + b"\n\n")


# Odd, but a reader can tell what is meant: the call succeeds with "fine".
ODDITIES = {
    f.__name__.strip("_"): f for f in (
        _sse_labelled_json, _newline_delimited, _endless_stream_after_answer,
        _two_answers, _one_byte_chunks, _one_byte_writes, _until_close,
        _http_1_0, _interim_first, _chunk_extension, _crlf_events,
        _many_data_lines, _priming_event, _unknown_event_type, _spaced_json)
}
