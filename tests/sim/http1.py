"""An HTTP/1.1 server with a thread for each connection: small, because the
head of a request has to be kept as it came, and quick to make."""

import json
import socket
import threading
import time

MAX_HEAD = 65536
MAX_BODY = 256 << 20
REASONS = {100: "Continue", 200: "OK", 201: "Created", 202: "Accepted",
           204: "No Content", 206: "Partial Content", 304: "Not Modified",
           400: "Bad Request", 401: "Unauthorized", 402: "Payment Required",
           403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           409: "Conflict", 412: "Precondition Failed",
           413: "Payload Too Large", 416: "Range Not Satisfiable",
           429: "Too Many Requests", 500: "Internal Server Error",
           501: "Not Implemented", 502: "Bad Gateway",
           503: "Service Unavailable", 504: "Gateway Timeout"}


class Request:
    """raw_headers keeps names and order; headers has one value by lower-case
    name, repeated ones joined, which no signature survives."""

    def __init__(self, method, target, version, raw_headers):
        self.method, self.target, self.version = method, target, version
        self.raw_headers = raw_headers
        self.headers = {}
        for name, value in raw_headers:
            name = name.lower()
            self.headers[name] = "%s, %s" % (self.headers[name], value) \
                if name in self.headers else value
        self.body = b""
        self.path, _, self.query = target.partition("?")

    def json(self):
        return json.loads(self.body) if self.body.strip() else {}


class Response:
    def __init__(self, status=200, value=None, headers=None, body=None,
                 content_type="application/json"):
        self.status = status
        self.headers = headers or {}
        self.latency_s = 0
        self.cut = False  # close the connection in the middle of the body
        self.hang_up = False  # close it without an answer
        self.content_type = content_type
        if body is not None:
            self.body = body
        elif value is not None:
            self.body = json.dumps(value, separators=(",", ":"),
                                   ensure_ascii=False).encode()
        else:
            self.body = b""


class BadRequest(Exception):
    pass


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb", 65536)

    def line(self):
        line = self.file.readline(MAX_HEAD)
        if not line.endswith(b"\n"):
            raise BadRequest("end of file in the head")
        return line.rstrip(b"\r\n").decode("latin-1")

    def request(self):
        """One request, or None at the end of the connection."""
        first = self.file.readline(MAX_HEAD)
        if not first:
            return None
        words = first.decode("latin-1").rstrip("\r\n").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadRequest("request line")
        headers, size = [], len(first)
        while line := self.line():
            name, colon, value = line.partition(":")
            size += len(line)
            if not colon or not name or name != name.strip() \
                    or size > MAX_HEAD:
                raise BadRequest("header")
            headers.append((name, value.strip(" \t")))
        request = Request(*words, headers)
        request.received = time.time()
        self.read_body(request)
        return request

    def read_body(self, request):
        if request.headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.line().partition(";")[0], 16):
                parts.append(self.file.read(size))
                self.line()
            while self.line():
                pass
            request.body = b"".join(parts)
            return
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            raise BadRequest("content-length")
        if int(length):
            request.body = self.file.read(int(length))
            if len(request.body) != int(length):
                raise BadRequest("end of file in the body")

    def respond(self, request, response, keep):
        body = response.body
        lines = ["HTTP/1.1 %d %s" % (response.status,
                                     REASONS.get(response.status, "Other"))]
        headers = {name.lower(): value
                   for name, value in response.headers.items()}
        if body and "content-type" not in headers:
            headers["content-type"] = response.content_type
        if response.status != 204:
            headers.setdefault("content-length", str(len(body)))
        headers["connection"] = "keep-alive" if keep else "close"
        lines += ["%s: %s" % item for item in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if request is not None and request.method == "HEAD":
            body = b""
        if response.cut:
            body = body[:len(body) // 2]
        self.sock.sendall(head + body)


class Server:
    """handle(request) gives a Response. The port is chosen when it is 0."""

    def __init__(self, handle, port=0, host="127.0.0.1", tls=None):
        self.handle, self.tls = handle, tls
        self.listener = socket.create_server((host, port), backlog=1024)
        self.port = self.listener.getsockname()[1]

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                if self.listener.fileno() < 0:
                    return
                time.sleep(0.05)  # out of descriptors for a moment
                continue
            threading.Thread(target=self.serve, args=(sock,),
                             daemon=True).start()

    def stop(self):
        self.listener.close()

    def serve(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            self.talk(Connection(sock))
        except (OSError, ValueError):
            pass
        finally:
            sock.close()

    def talk(self, connection):
        while True:
            try:
                request = connection.request()
            except BadRequest as bad:
                connection.respond(None, Response(400, {
                    "code": "CannotParseRequest", "message": str(bad)}), False)
                return
            if request is None:
                return
            response = self.handle(request)
            if response.latency_s:
                time.sleep(response.latency_s)
            if response.hang_up:
                return
            keep = (not response.cut and request.version == "HTTP/1.1" and
                    request.headers.get("connection", "").lower() != "close")
            connection.respond(request, response, keep)
            if not keep:
                return
