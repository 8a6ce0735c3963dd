"""oci-mcp-server as a desktop client starts it: messages are lines of standard
input and output, and nothing else is."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness import (PROGRAM, ROOT, SANITIZER, Port, Process,
                     die_with_parent)
from messages import LEGACY, META, MODERN, initialize_params, modern_body
from wire import DEADLINE, SLOW, eventually, http, strict_json, Connection

sys.path.insert(0, str(ROOT / "tests/sim"))

import simclient  # noqa: E402

SERVER = PROGRAM.with_name("oci-mcp-server")
LIST = "oci_compute_list_instances"
STOP = "oci_compute_stop_instance"


def descendants(pid):
    out = []
    for child in Process.children(pid):
        out += [child] + descendants(child)
    return out


class Server:
    """The program, its standard input and what it says."""

    def __init__(self, tenancy=None, args=(), tmp=None, **env):
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith(("MCP_", "OCI_", "FASTMCP_",
                                            "NOTIFY_", "LISTEN_"))}
        if tenancy:
            environment.update(
                OCI_CLI_CONFIG_FILE=tenancy.said["config_file"],
                OCI_CLI_ENDPOINT=tenancy.url,
                COMPARTMENT_OCID=tenancy.said["compartments"]["prod"],
                ALLOW_MUTATIONS="true", MCP_CACHE_TTL_OPERATIONAL="0")
        environment.update(env)
        if tmp:
            environment["XDG_RUNTIME_DIR"] = str(tmp)
        self.process = subprocess.Popen(
            [str(SERVER), *args], env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent)
        self.messages, self.log = [], bytearray()
        self.growing = threading.Condition()
        self.reading = threading.Event()
        self.reading.set()
        self.ended = False
        self.threads = [threading.Thread(target=f, daemon=True)
                        for f in (self._read_out, self._read_log)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            if kind:
                self.process.kill()
            else:
                self.end()
        self.process.wait(DEADLINE)

    def _read_out(self):
        for line in self.process.stdout:
            self.reading.wait()
            message = strict_json(line)  # nothing but JSON, one per line
            with self.growing:
                self.messages.append(message)
                self.growing.notify_all()
        self.ended = True

    def _read_log(self):
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.log += data

    def line(self, data):
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def send(self, message):
        self.line(json.dumps(message).encode())

    def legacy(self, method, params=None, id=None):
        self.send({"jsonrpc": "2.0", "method": method,
                   **({} if id is None else {"id": id}),
                   **({} if params is None else {"params": params})})

    def modern(self, method, params=None, id=None, **meta):
        body = modern_body(method, params, id)
        body["params"]["_meta"].update(meta)
        self.send(body)

    def find(self, id):
        return [m for m in self.messages if "method" not in m and
                m.get("id", "none") == id]

    def answer(self, id, within=DEADLINE):
        """The one answer to a request."""
        found = eventually(lambda: self.find(id), lambda: bytes(
            self.log[-2000:]).decode(), within)
        assert len(found) == 1
        return found[0]

    def initialize(self, version=LEGACY[0]):
        self.legacy("initialize", initialize_params(version), "open")
        result = self.answer("open", 20 * SLOW)["result"]
        self.legacy("notifications/initialized")
        return result

    def end(self, status=0, within=20 * SLOW):
        """End of input; all processes go, with this status."""
        family = descendants(self.process.pid)
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.gone(family, status, within)

    def gone(self, family, status, within=20 * SLOW):
        assert self.process.wait(within) == status, self.text()
        for thread in self.threads:
            thread.join(DEADLINE)
        assert self.ended, "standard output had something else"
        for pid in family:
            eventually(lambda: not Process.alive(pid), "the end of %d" % pid)
        assert not SANITIZER.search(self.log), self.text()

    def text(self):
        return bytes(self.log).decode("utf-8", "replace")


@pytest.fixture(scope="module")
def tenancy():
    with simclient.Tenancy("--settle", "0.5") as tenancy:
        yield tenancy


@pytest.fixture
def server(tenancy, tmp_path):
    with Server(tenancy, tmp=tmp_path) as server:
        yield server


def call(name, **arguments):
    return {"name": name, "arguments": arguments}


# -- both eras


@pytest.mark.parametrize("version", LEGACY)
def test_a_legacy_client(server, version):
    assert server.initialize(version)["protocolVersion"] == version
    server.legacy("tools/list", id=2)
    assert LIST in [t["name"] for t in server.answer(2)["result"]["tools"]]
    server.legacy("tools/call", call(LIST, limit=3), id="three")
    result = server.answer("three")["result"]
    assert not result.get("isError")
    assert "web-1" in result["content"][0]["text"] or result["content"]


def test_a_modern_client(server):
    server.modern("server/discover", id=1)
    result = server.answer(1)["result"]
    assert MODERN in result["supportedVersions"]
    server.modern("tools/list", id=2)
    assert LIST in [t["name"] for t in server.answer(2)["result"]["tools"]]
    server.modern("tools/call", call(LIST, limit=3), id=3)
    result = server.answer(3)["result"]
    assert result["resultType"] == "complete"
    assert result["structuredContent"]["count"] == 3


def test_a_script_sends_everything_at_once_and_ends(tenancy, tmp_path):
    with Server(tenancy, tmp=tmp_path) as server:
        server.legacy("initialize", initialize_params(LEGACY[0]), 1)
        server.legacy("notifications/initialized")
        server.legacy("tools/call", call(LIST, limit=3), 2)
        server.line(b"")
        server.process.stdin.write(b'{"jsonrpc":"2.0","id":3,'
                                   b'"method":"ping"}')  # without an end
        server.end()
        assert server.answer(2)["result"] and server.answer(3)["result"] == {}
    assert not list(tmp_path.iterdir())


def test_versions_that_are_not_served(server):
    server.send({"jsonrpc": "2.0", "id": 1, "method": "tools/list",
                 "params": {"_meta": {META + "protocolVersion": "2099-01-01",
                                      META + "clientCapabilities": {}}}})
    error = server.answer(1)["error"]
    assert error["code"] == -32022 and MODERN in error["data"]["supported"]


def test_names_that_no_header_takes(server):
    for id, name in enumerate(("no such tool", " ünknown\n", "=?base64?YQ==?=",
                               "")):
        server.modern("tools/call", call(name), id=id)
        assert server.answer(id)["error"]["code"] == -32602


# -- many at once


def test_answers_come_as_they_are_ready(server, tenancy):
    server.initialize()
    with Fault(tenancy, "core.ListVcns", latency_ms=1500):
        server.legacy("tools/call", call("oci_network_list_vcns"), 1)
        for id in range(2, 40):
            server.legacy("tools/call", call(LIST, limit=id % 7 + 1), id)
        for id in range(2, 40):
            found = server.answer(id)["result"]["structuredContent"]
            assert found["count"] == id % 7 + 1
        assert not server.find(1)
        assert not server.answer(1)["result"].get("isError")


class Fault:
    def __init__(self, tenancy, operation, **how):
        self.tenancy = tenancy
        self.fault = {"match": {"operation": operation}, "times": -1, **how}

    def __enter__(self):
        self.tenancy.control("POST", "faults", self.fault)

    def __exit__(self, *_):
        self.tenancy.control("DELETE", "faults")


@pytest.mark.parametrize("modern", (False, True))
def test_cancelled(server, tenancy, modern):
    if not modern:
        server.initialize()
    say = server.modern if modern else server.legacy
    with Fault(tenancy, "core.ListInstances", latency_ms=4000):
        say("tools/call", call(LIST), id="slow")
        time.sleep(0.5)
        say("notifications/cancelled", {"requestId": "slow"})
        say("tools/list", id="next")
        assert server.answer("next")["result"]
        began = time.monotonic()
        server.end()
        assert time.monotonic() - began < 4
    assert not server.find("slow")


def test_progress_of_a_wait(server, tenancy):
    tenancy.control("POST", "reset", {})
    found = tenancy.control("GET", "resources?kind=core/Instance")
    rows = found["items"] if isinstance(found, dict) else found
    target = next(r for r in rows if r["displayName"] == "web-1")
    server.initialize()
    server.legacy("tools/call", {
        **call(STOP, instance_id=target["id"], confirm=True,
               wait_for_state=True),
        "_meta": {"progressToken": "tok"}}, 7)
    result = server.answer(7, 30 * SLOW)["result"]
    assert not result.get("isError"), result
    kinds = [m.get("method") or m.get("id") for m in server.messages]
    assert "notifications/progress" in kinds
    assert kinds.index("notifications/progress") < kinds.index(7)
    assert all(m["params"]["progressToken"] == "tok"
               for m in server.messages if "method" in m)


def test_a_client_that_does_not_read(server):
    """Nothing is lost, and no more is taken than there is room for."""
    server.modern("tools/list", id="size")
    size = len(json.dumps(server.answer("size")))
    count = 64 * 2**20 // size
    server.reading.clear()

    def write():
        for id in range(count):
            server.modern("tools/list", id=id)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    time.sleep(2)
    memory = Process.memory(server.process.pid)["Private_Dirty"]
    server.reading.set()
    writer.join(60 * SLOW)
    assert not writer.is_alive()
    for id in range(count):
        assert server.answer(id, 60 * SLOW)["result"]["tools"]
    if "asan" not in SERVER.parts:
        # The answers to 64 open calls, some of them twice, not to all.
        assert memory < 40 * 2**20


# -- bad input


@pytest.mark.parametrize("line, code", [
    (b"hello", -32700), (b'{"jsonrpc":"2.0","id":1', -32700),
    (b'{"id":"\xff"}', -32700), (b"{} {}", -32700),
    (b'{"id":1,"id":2,"method":"ping"}', -32600),
    (b'"text"', -32600), (b"[]", -32600), (b"{}", -32600),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
])
def test_bad_lines(server, line, code):
    server.line(line)
    server.modern("tools/list", id="next")
    assert server.answer("next")["result"]
    error = eventually(lambda: [m for m in server.messages if "error" in m])
    assert error[0]["error"]["code"] == code
    assert error[0].get("id") is None


def test_a_line_that_is_too_long(server):
    server.line(b'{"x":"' + b"x" * (5 << 20) + b'"}')
    server.modern("tools/list", id="next")
    assert server.answer("next")["result"]
    errors = [m for m in server.messages if "error" in m]
    assert len(errors) == 1 and errors[0]["error"]["code"] == -32600


def test_an_unknown_method(server):
    server.modern("no/such", id=1)
    assert server.answer(1)["error"]["code"] == -32601
    server.initialize()
    server.legacy("no/such", id=2)
    assert server.answer(2)["error"]["code"] == -32601


# -- beginning and end


def test_the_transport_is_chosen(tenancy, tmp_path):
    done = subprocess.run([str(SERVER)], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=DEADLINE,
                          env={"OCI_MCP_TRANSPORT": "nonsense"})
    assert done.returncode == 1 and not done.stdout
    assert (b'OCI_MCP_TRANSPORT: must be \\"stdio\\" or '
            b'\\"streamable_http\\"') in done.stderr
    # Named, it may be /dev/null or a file.
    file = tmp_path / "input"
    file.write_bytes(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    for way in ({"args": [str(SERVER), "--transport", "stdio"], "env": {}},
                {"args": [str(SERVER)], "env": {"OCI_MCP_TRANSPORT": "stdio"}}):
        with open(file) as stdin:
            done = subprocess.run(stdin=stdin, capture_output=True,
                                  timeout=20 * SLOW, **way)
        assert done.returncode == 0
        assert strict_json(done.stdout)["result"] == {}
    done = subprocess.run([str(SERVER), "--transport", "sse"],
                          capture_output=True, timeout=DEADLINE)
    assert done.returncode == 2


def test_a_pipe_need_not_mean_it(tmp_path):
    port = Port()
    process = subprocess.Popen(
        [str(SERVER), "--transport", "streamable_http", "--host", "127.0.0.1",
         "--port", str(port.number)], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={"RUNTIME_DIRECTORY": str(tmp_path)}, preexec_fn=die_with_parent)
    try:
        assert any(b'"listening"' in line and b'%d' % port.number in line
                   for line in process.stderr)
    finally:
        process.terminate()
        process.communicate(timeout=20 * SLOW)
        port.free()
    assert process.returncode == 0


def test_a_configuration_that_is_wrong(tmp_path):
    file = tmp_path / "server.json"
    file.write_text('{"nonsense": 1, "log_level": 7}')
    with Server(args=["--config", str(file)], tmp=tmp_path) as server:
        server.modern("tools/list", id=1)
        assert server.answer(1)["error"]["code"] == -32603
        server.gone([], 1)
        assert "log_level" in server.text()
    assert list(tmp_path.iterdir()) == [file]


def test_the_server_dies(server, tenancy):
    server.initialize()
    with Fault(tenancy, "core.ListInstances", latency_ms=8000):
        server.legacy("tools/call", call(LIST), 1)
        time.sleep(0.5)
        family = descendants(server.process.pid)
        master, = Process.children(server.process.pid)
        os.kill(master, signal.SIGKILL)
        assert server.answer(1)["error"]["code"] == -32603
        server.gone(family, 1)
    assert "the server ended by itself" in server.text()


def test_the_bridge_dies(server):
    server.initialize()
    family = descendants(server.process.pid)
    assert len(family) >= 3
    server.process.kill()
    server.gone(family, -signal.SIGKILL)


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_a_signal_ends_it(server, tenancy, number):
    server.initialize()
    with Fault(tenancy, "core.ListInstances", latency_ms=1000):
        server.legacy("tools/call", call(LIST), 1)
        time.sleep(0.3)
        family = descendants(server.process.pid)
        server.process.send_signal(number)
        server.gone(family, 0)
    assert server.answer(1)["result"]  # what was open was finished


def test_an_end_that_waits_for_nobody_for_ever(server, tenancy):
    server.initialize()
    with Fault(tenancy, "core.ListInstances", latency_ms=20000):
        server.legacy("tools/call", call(LIST), 1)
        time.sleep(0.3)
        server.end()
    assert "stopped before" in server.answer(1)["error"]["message"]


def test_a_subscription_ends_with_the_input(server):
    server.modern("subscriptions/listen", {
        "notifications": {"toolsListChanged": True}}, id="s")
    eventually(lambda: [m for m in server.messages if "method" in m],
               "an acknowledgement")
    began = time.monotonic()
    server.end()
    assert time.monotonic() - began < 4 * SLOW


def test_a_client_that_goes_away():
    process = subprocess.Popen(
        [str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    process.stdin.flush()
    assert process.stdout.readline()
    family = descendants(process.pid)
    process.stdout.close()
    assert process.wait(20 * SLOW) == 0
    process.stdin.close()
    for pid in family:
        eventually(lambda: not Process.alive(pid))


# -- what others see


def test_nobody_else_gets_in(server):
    server.initialize()
    ports = listening(descendants(server.process.pid))
    assert len(ports) == 2  # the endpoint, and the one between workers
    answers = []
    for port in ports:
        with Connection(port) as c:
            answers.append(c.ask(http("POST", "/mcp", [
                ("Host", "localhost"), ("Content-Type", "application/json"),
                ("Accept", "application/json, text/event-stream")],
                b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}')).status)
    assert sorted(answers) == [401, 403]


def listening(pids):
    """TCP ports of 127.0.0.1 that these processes listen on."""
    inodes = set()
    for pid in pids:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    found = [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
    assert all(at.startswith("0100007F:") for at in found), found
    return {int(at.split(":")[1], 16) for at in found}


def test_the_bridge_holds_no_secret(tenancy, tmp_path):
    secret = "correct horse battery staple"
    with Server(tenancy, tmp=tmp_path, OCI_CLI_PASSPHRASE=secret) as server:
        server.initialize()
        pid = server.process.pid
        with open("/proc/%d/environ" % pid, "rb") as file:
            assert secret.encode() not in file.read()
        for at in ("cmdline", "environ"):
            for one in [pid] + descendants(pid):
                with open("/proc/%d/%s" % (one, at), "rb") as file:
                    assert b"Bearer" not in file.read()
        assert secret not in server.text()
