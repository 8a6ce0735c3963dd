"""HTTP/1.1 by hand: exact bytes out, every byte in accounted for.

A test that wants to know what a server does with a broken request cannot use
an HTTP library: the library would repair the request. Nothing here waits
without a deadline.
"""

import json
import os
import select
import socket
import struct
import time

# Everything is slower under a sanitizer; deadlines are only there to end a
# test that hangs, so they may be generous.
SLOW = float(os.environ.get("SLOW", "1"))
DEADLINE = 10.0 * SLOW

CRLF = b"\r\n"


def eventually(check, what="", within=DEADLINE, every=0.005):
    """Ask check() until it says something true; return that."""
    end = time.monotonic() + within
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(
                "did not happen within %.1f s: %s" % (within, what or check))
        time.sleep(every)


def strict_json(data):
    """Parse; refuse what two parsers could read differently."""
    def pairs(members):
        keys = [key for key, _ in members]
        if len(keys) != len(set(keys)):
            raise ValueError("a key twice: %r" % keys)
        return dict(members)

    if isinstance(data, (bytes, bytearray)):
        data = bytes(data).decode("utf-8")
    return json.loads(data, object_pairs_hook=pairs)


class Closed(Exception):
    """The peer ended the connection before a message was complete."""


class Reader:
    """Bytes of a socket, taken apart by length or by mark."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.ended = False

    def fill(self):
        """One more read; False at the end."""
        if self.ended:
            return False
        try:
            data = self.sock.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            self.ended = True
            return False
        self.buffer += data
        return True

    def take(self, n):
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def until(self, mark):
        """All up to and including mark. None if nothing came before the end."""
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                return self.take(at + len(mark))
            start = max(0, len(self.buffer) - len(mark) + 1)
            if not self.fill():
                if not self.buffer:
                    return None
                raise Closed("after %r" % bytes(self.buffer[-80:]))

    def exactly(self, n):
        while len(self.buffer) < n:
            if not self.fill():
                raise Closed("%d bytes are missing" % (n - len(self.buffer)))
        return self.take(n)

    def rest(self):
        while self.fill():
            pass
        return self.take(len(self.buffer))


def parse_fields(lines):
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        assert colon and name and name == name.strip(), "field %r" % line
        fields.append((name.decode("latin-1"), value.strip().decode("latin-1")))
    return fields


class Fields:
    """What requests and responses share: a list of fields."""

    fields = ()

    def header(self, name, default=None):
        values = self.headers(name)
        assert len(values) <= 1, "%s came %d times" % (name, len(values))
        return values[0] if values else default

    def headers(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def has(self, name):
        return bool(self.headers(name))


class Response(Fields):
    """A response whose head has arrived; the body is read when asked for."""

    def __init__(self, reader, head, to_head=False):
        lines = head[:-4].split(CRLF)
        version, status, *reason = lines[0].split(b" ", 2)
        assert version in (b"HTTP/1.1", b"HTTP/1.0"), lines[0]
        self.head = head
        self.status = int(status)
        self.reason = reason[0].decode() if reason else ""
        self.fields = parse_fields(lines[1:])
        self.reader = reader
        self.arrived = []  # (time, bytes) of every piece of the body
        self._body = None
        self.complete = False
        self._pieces = self._read(to_head)

    def _read(self, to_head):
        coding = self.header("transfer-encoding")
        length = self.header("content-length")
        if to_head or self.status in (204, 304) or self.status < 200:
            self.complete = True
            return
        if coding:
            assert coding.lower() == "chunked" and length is None, self.head
            while True:
                size_line = self.reader.until(CRLF)
                if size_line is None:
                    raise Closed("inside a chunked body")
                size = int(size_line.split(b";")[0], 16)
                if not size:
                    break
                yield self.reader.exactly(size)
                assert self.reader.exactly(2) == CRLF
            while self.reader.until(CRLF) != CRLF:
                pass
        elif length is not None:
            left = int(length)
            while left:
                if not self.reader.buffer and not self.reader.fill():
                    raise Closed("%d bytes of the body are missing" % left)
                piece = self.reader.take(min(left, len(self.reader.buffer)))
                left -= len(piece)
                yield piece
        else:
            while self.reader.buffer or self.reader.fill():
                yield self.reader.take(len(self.reader.buffer))
        self.complete = True

    def pieces(self):
        """The body as it arrives."""
        for piece in self._pieces:
            self.arrived.append((time.monotonic(), piece))
            yield piece

    @property
    def body(self):
        if self._body is None:
            for _ in self.pieces():
                pass
            self._body = b"".join(piece for _, piece in self.arrived)
        return self._body

    @property
    def closes(self):
        return "close" in self.header("connection", "").lower() or not (
            self.has("content-length") or self.has("transfer-encoding") or
            self.status in (204, 304))

    @property
    def type(self):
        return self.header("content-type", "").split(";")[0].strip().lower()

    @property
    def json(self):
        return strict_json(self.body)

    def stream(self):
        """The messages of an event stream, each as soon as it is whole."""
        assert self.type == "text/event-stream", self.head
        text = b""
        for piece in self.pieces():
            text += piece
            while b"\n\n" in text:
                block, text = text.split(b"\n\n", 1)
                data = event_data(block)
                if data:
                    yield strict_json(data)
        assert not event_data(text), "event without its empty line"

    @property
    def messages(self):
        """All messages of the answer, however it is framed."""
        if self.type != "text/event-stream":
            return [self.json]
        if self._body is None:
            found = list(self.stream())
            self._body = b"".join(piece for _, piece in self.arrived)
            return found
        blocks = self.body.split(b"\n\n")
        return [strict_json(event_data(b)) for b in blocks if event_data(b)]

    @property
    def message(self):
        """The JSON-RPC response; there is exactly one, and it comes last."""
        messages = self.messages
        answers = [m for m in messages if "method" not in m]
        assert len(answers) == 1 and messages[-1] is answers[0], messages
        assert answers[0].get("jsonrpc") == "2.0", answers
        return answers[0]

    @property
    def result(self):
        message = self.message
        assert "result" in message, "%d %s" % (self.status, message)
        return message["result"]

    @property
    def error(self):
        message = self.message
        assert "error" in message, "%d %.300s" % (self.status, message)
        return message["error"]

    @property
    def code(self):
        """Code of the JSON-RPC error, None for a result."""
        return self.message.get("error", {}).get("code")


def event_data(block):
    lines = block.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ")
                      for line in lines if line.startswith(b"data:"))


class Connection:
    """A client's connection."""

    def __init__(self, port, host="127.0.0.1", tls=None, server_name=None,
                 timeout=DEADLINE, source=None, receive_buffer=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 receive_buffer)
        if source:
            self.sock.bind((source, 0))
        try:
            self.sock.connect((host, port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                self.sock = tls.wrap_socket(
                    self.sock, server_hostname=server_name or host)
        except BaseException:
            self.sock.close()
            raise
        self.reader = Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def try_send(self, data):
        """The same for a peer that may have hung up already."""
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return self

    def head(self, to_head=False):
        """The next response, its body still on the way. None at the end."""
        head = self.reader.until(b"\r\n\r\n")
        return None if head is None else Response(self.reader, head, to_head)

    def read(self, to_head=False):
        """The next response with its body. None at the end."""
        response = self.head(to_head)
        if response is not None:
            assert response.body is not None
        return response

    def ask(self, data, to_head=False):
        response = self.send(data).read(to_head)
        if response is None:
            raise Closed("without an answer")
        return response

    def is_closed(self, within=DEADLINE):
        """Does the peer end the connection, without sending more?"""
        self.sock.settimeout(within)
        try:
            more = self.reader.buffer or self.reader.fill()
        except TimeoutError:
            return False
        assert not more, "more bytes: %r" % bytes(self.reader.buffer[:200])
        return True

    def is_open(self):
        """Nothing to read and no end, at this moment."""
        ready, _, _ = select.select([self.sock], [], [], 0)
        return not ready

    def reset(self):
        """Leave without a word: RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def http(method, target, fields=(), body=None, version="HTTP/1.1"):
    """A request as bytes; a field with the value None is left out."""
    lines = ["%s %s %s" % (method, target, version)]
    lines += ["%s: %s" % (n, v) for n, v in fields if v is not None]
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head + (body or b"")


def chunked(body, size=7):
    """A body in chunked coding."""
    out = b""
    for at in range(0, len(body), size):
        piece = body[at:at + size]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


def proxy_header(source, port, target="127.0.0.1", target_port=9000,
                 command=1, extra=b""):
    """PROXY protocol, version 2."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = (socket.inet_pton(family, source) +
                 socket.inet_pton(family, target) +
                 struct.pack("!HH", port, target_port)) + extra
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, kind]) +
            struct.pack("!H", len(addresses)) + addresses)
