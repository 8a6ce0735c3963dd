"""The gateway under test, its clients, and what its processes are doing.

	with Backend("alpha") as alpha, Gateway(alpha) as gateway:
	    assert gateway.client().call("alpha_echo", {"nonce": "1"}) == "1"

Leaving the with block stops the gateway and demands exit status 0, a log
without a sanitizer's words, without a token, and backends without complaints.
"""

import collections
import copy
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import messages
from backend import Backend
from messages import LEGACY, MODERN
from wire import DEADLINE, SLOW, Closed, Connection, eventually, http

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get(
    "GATEWAY", ROOT / "build/release/oci-mcp-gateway"))
if not PROGRAM.is_absolute():
    PROGRAM = ROOT / PROGRAM
SANITIZED = "asan" in PROGRAM.parts

SANITIZER = re.compile(rb"(Address|Leak|Thread|UndefinedBehavior|Memory)"
                       rb"Sanitizer|runtime error:")

# Long enough for a rack of busy machines, short enough for a test run.
DEFAULTS = {
    "host": "127.0.0.1",
    "workers": 2,
    "shutdown_grace": 10,
    "auth": {"enabled": False},
    "discovery": {"timeout": 2},
}


def merged(base, more):
    """Objects inside each other, the later value wins; None takes one out."""
    out = copy.deepcopy(base)
    for name, value in more.items():
        if value is None:
            out.pop(name, None)
        elif isinstance(value, dict) and isinstance(out.get(name), dict):
            out[name] = merged(out[name], value)
        else:
            out[name] = copy.deepcopy(value)
    return out


def die_with_parent():
    """The gateway does not outlive a test run that is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


SESSION_KEY = "a-session-key-of-more-than-32-characters"


class Port:
    """A port nobody else gets: bound, never listened on."""

    def __init__(self, host="127.0.0.1", number=0):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.sock.bind((host, number))
        self.number = self.sock.getsockname()[1]

    def free(self):
        self.sock.close()


def run(*args, env=None, data=None, timeout=30 * SLOW):
    """The program as a command: (status, output, errors)."""
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(("MCP_", "OCI_", "FASTMCP_"))}
    environment.update(env or {})
    done = subprocess.run([str(PROGRAM), *map(str, args)], input=data,
                          env=environment, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert not SANITIZER.search(done.stderr), done.stderr.decode()
    return (done.returncode, done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"))


class Process:
    """What /proc knows of a pid."""

    @staticmethod
    def alive(pid):
        try:
            with open("/proc/%d/stat" % pid) as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    @staticmethod
    def children(pid):
        try:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
                return [c for c in map(int, file.read().split())
                        if Process.alive(c)]
        except OSError:
            return []

    @staticmethod
    def memory(pid):
        """Sums over the mappings, in bytes: Rss, Pss, Private_Dirty..."""
        out = {}
        with open("/proc/%d/smaps_rollup" % pid) as file:
            for line in file.readlines()[1:]:
                name, value = line.split()[:2]
                out[name.rstrip(":")] = int(value) * 1024
        return out


class Gateway:
    """The real program, started on a port of its own.

    settings are keys of gateway.json, over DEFAULTS. ready=False does not wait
    until every backend was asked.
    """

    def __init__(self, *backends, ready=True, env=None, args=(), tls=None,
                 entries=None, preamble=b"", **settings):
        self.backends = [b for b in backends if isinstance(b, Backend)]
        self.entries = entries if entries is not None else [
            b.entry() if isinstance(b, Backend) else b for b in backends]
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="gateway-"))
        self.file = self.dir / "gateway.json"
        self.reserved = Port()
        self.port = self.reserved.number
        self.settings = settings
        self.wait_ready, self.env, self.args = ready, env or {}, args
        self.tls = tls  # a client's context
        self.preamble = preamble  # bytes at the front of each connection
        self.process = None
        self.raw_log = bytearray()
        self.lines = []
        self.growing = threading.Condition()
        self.secrets = set()
        self.clients = []

    # -- configuration

    def config(self):
        base = merged(DEFAULTS, {"port": self.port, "backends": self.entries,
                                 "runtime_dir": str(self.dir / "run")})
        return merged(base, self.settings)

    def write(self, text=None):
        """gateway.json anew: from the settings, or exactly this text."""
        if text is None:
            text = json.dumps(self.config(), indent=1)
        self.file.write_text(text)

    def set(self, **settings):
        self.settings = merged(self.settings, settings)
        return self

    # -- life

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            self.stop(check=kind is None)
        finally:
            self.free()

    def start(self):
        if not self.file.exists():
            self.write()
        (self.dir / "run").mkdir(exist_ok=True)
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith(("MCP_", "OCI_", "FASTMCP_",
                                            "NOTIFY_", "LISTEN_"))}
        environment.update(self.env)
        self.process = subprocess.Popen(
            [str(PROGRAM), "--config", str(self.file), *map(str, self.args)],
            env=environment, cwd=self.dir, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        try:
            self.wait_until("/readyz" if self.wait_ready else "/healthz")
            if self.wait_ready and not {"log_file", "log_level"} & set(
                    self.settings):
                # A page speaks for one worker, the master for all.
                self.wait_log(event="ready", process="master")
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.free()
            raise
        return self

    def wait_until(self, path):
        """A page says 200."""
        def check():
            assert self.process.poll() is None, (
                "exit status %s\n%s" % (self.process.returncode,
                                        self.log_tail()))
            try:
                with self.connect() as c:
                    return c.ask(http("GET", path, [
                        ("Host", "localhost"),
                        ("Connection", "close")])).status == 200
            except (OSError, Closed):
                return False
        eventually(check, path + " is not 200\n", within=20 * SLOW, every=0.01)

    def stop(self, check=True, status=0):
        """SIGTERM, and the end is clean."""
        for client in self.clients:
            client.close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.join(check=check, status=status)

    def join(self, check=True, status=0, within=20 * SLOW):
        if not self.process:
            return
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            if check:
                raise AssertionError("does not stop\n" + self.log_tail())
        self.reader.join(DEADLINE)
        self.process.stderr.close()
        if not check:
            return
        assert self.process.returncode == status, (
            "exit status %s\n%s" % (self.process.returncode, self.log_tail()))
        self.check_log()
        for backend in self.backends:
            assert not backend.violations, (
                backend.name, list(dict.fromkeys(backend.violations))[:10])

    def check_log(self):
        """No sanitizer spoke, and nothing secret was said."""
        log = bytes(self.raw_log)
        for file in self.dir.glob("*.log*"):
            log += file.read_bytes()
        found = SANITIZER.search(log)
        assert not found, log[found.start():][:5000].decode("utf-8", "replace")
        for secret in self.secrets:
            assert secret.encode() not in log, "the log tells " + secret

    def free(self):
        self.reserved.free()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- log

    def _read_log(self):
        rest = b""
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.raw_log += data
            *lines, rest = (rest + data).split(b"\n")
            with self.growing:
                for line in lines:
                    try:
                        self.lines.append(json.loads(line))
                    except ValueError:
                        self.lines.append({"event": line.decode(
                            "utf-8", "replace"), "level": "raw"})
                self.growing.notify_all()

    def log_tail(self, count=15):
        return "\n".join(json.dumps(line)[:400] for line in self.lines[-count:])

    def log(self, since=0, **fields):
        """Lines whose fields have these values; event is a part of it."""
        def fits(line):
            return all(value in str(line.get("event", "")) if name == "event"
                       else line.get(name) == value
                       for name, value in fields.items())
        return [line for line in self.lines[since:] if fits(line)]

    def wait_log(self, since=0, within=DEADLINE, **fields):
        return eventually(lambda: self.log(since, **fields),
                          "a line with %s in\n%s" % (fields, self.log_tail()),
                          within)[0]

    # -- signals

    def signal(self, number):
        self.process.send_signal(number)

    def hup(self, ok=True):
        """SIGHUP, and wait for the line that says how it went."""
        since = len(self.lines)
        self.signal(signal.SIGHUP)
        return self.wait_reload(since, ok)

    def wait_reload(self, since, ok=True):
        event = "reloaded" if ok else "not reloaded"
        def found():
            return [line for line in self.lines[since:]
                    if RELOADED.search(line.get("event", "")) and
                    (line.get("level") == "error") != ok]
        return eventually(found, "the line of a reload (%s) in\n%s" %
                          (event, self.log_tail()))[0]

    def reload(self, **settings):
        """Other settings or backends, published."""
        if "entries" in settings:
            self.entries = settings.pop("entries")
        self.set(**settings)
        self.write()
        return self.hup()

    # -- processes

    def children(self):
        return Process.children(self.pid)

    def by_role(self):
        """{"worker": [pids], "keeper": [pids]}"""
        out = collections.defaultdict(list)
        for pid in self.children():
            try:
                with open("/proc/%d/comm" % pid) as file:
                    comm = file.read().strip()
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode()
            except OSError:
                continue
            text = comm + " " + line
            out["keeper" if "keeper" in text else "worker"].append(pid)
        return out

    def workers(self):
        return sorted(self.by_role()["worker"])

    def keeper(self):
        """The pid of the keeper; None while there is none, or two."""
        found = self.by_role()["keeper"]
        return found[0] if len(found) == 1 else None

    # -- clients

    def connect(self, **options):
        c = Connection(self.port, tls=self.tls, **options)
        return c.send(self.preamble) if self.preamble else c

    def client(self, token=None, **options):
        client = Client(self, token, **options)
        self.clients.append(client)
        return client

    def names(self, **more):
        """The tools that a client of its own sees."""
        with Client(self) as client:
            return client.names(**more)

    def get(self, path, fields=None):
        with self.connect() as c:
            all_fields = {"Host": "localhost", **(fields or {})}
            return c.ask(http("GET", path, all_fields.items()))

    def metrics(self):
        response = self.get("/metrics")
        assert response.status == 200, response.head
        return Metrics(response.body.decode())


class Pair:
    """Two replicas that know each other."""

    def __init__(self, *backends, **settings):
        ports = [Port(), Port()]
        at = ["127.0.0.1:%d" % p.number for p in ports]
        self.gateways = []
        for i in range(2):
            g = Gateway(*backends, session_key=SESSION_KEY,
                        replica={"address": at[i], "peers": [at[1 - i]]},
                        **settings)
            g.reserved.free()
            g.reserved, g.port = ports[i], ports[i].number
            self.gateways.append(g)

    def __enter__(self):
        return [g.__enter__() for g in self.gateways]

    def __exit__(self, *why):
        for g in self.gateways:
            g.__exit__(*why)


# The event of the one line that a SIGHUP is answered with.
RELOADED = re.compile("^configuration (not )?reloaded")


class Client:
    """An MCP client of any revision, on one connection that is kept."""

    def __init__(self, gateway, token=None, connection=None, path="/mcp"):
        self.gateway, self.token, self.path = gateway, token, path
        self.connection = connection
        self.ids = 0
        self.retried = 0
        if token and len(token) >= 16:  # less may be anywhere by chance
            gateway.secrets.add(token)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def fields(self, more):
        out = dict(more or {})
        if self.token:
            out.setdefault("Authorization", "Bearer " + self.token)
        return out

    def send(self, data):
        if not self.connection:
            self.connection = self.gateway.connect()
        self.connection.send(data)

    def ask(self, data, to_head=False):
        """One request; the connection is kept when the answer allows it."""
        self.send(data)
        try:
            response = self.connection.read(to_head)
        except BaseException:
            self.close()
            raise
        if response is None:
            self.close()
            raise Closed("without an answer")
        if response.closes:
            self.close()
        return response

    def next_id(self):
        self.ids += 1
        return self.ids

    def modern(self, method, params=None, fields=None, **more):
        more.setdefault("id", self.next_id())
        return self.ask(messages.modern(method, params, path=self.path,
                                        fields=self.fields(fields), **more))

    def legacy(self, method, params=None, fields=None, **more):
        more.setdefault("id", self.next_id())
        return self.ask(messages.legacy(method, params, path=self.path,
                                        fields=self.fields(fields), **more))

    def era(self, version, method, params=None, **more):
        """The same request in the words of a revision."""
        if version == MODERN:
            return self.modern(method, params, **more)
        return self.legacy(method, params, version=version, **more)

    def post(self, body, fields=None):
        return self.ask(messages.post(body, self.fields(fields), self.path))

    def request(self, method, target, fields=None, body=None, to_head=False):
        merged = {"Host": "localhost", **self.fields(fields)}
        return self.ask(http(method, target, merged.items(), body), to_head)

    def get(self, target, fields=None):
        return self.request("GET", target, fields)

    def call(self, name, arguments=None, version=MODERN, **more):
        """The text of a tool's answer."""
        response = self.era(version, "tools/call", {
            "name": name, "arguments": arguments or {}}, **more)
        assert response.status == 200, "%d %s" % (response.status,
                                                  response.body[:500])
        return response.result["content"][0]["text"]

    def pages(self, kind="tools", version=MODERN):
        """The pages of a list, as results."""
        cursor = None
        for _ in range(10000):
            params = {} if cursor is None else {"cursor": cursor}
            method = {"resourceTemplates": "resources/templates"}.get(
                kind, kind) + "/list"
            response = self.era(version, method, params)
            assert response.status == 200, response.body[:500]
            yield response.result
            cursor = response.result.get("nextCursor")
            if cursor is None:
                return
        raise AssertionError("a list without an end")

    def all(self, kind="tools", version=MODERN):
        """Every entry of a list."""
        return [item for page in self.pages(kind, version)
                for item in page[kind]]

    def names(self, kind="tools", version=MODERN):
        return [item["name"] for item in self.all(kind, version)]

    def initialize(self, version=LEGACY[0]):
        """The handshake; returns (result, session or None)."""
        response = self.legacy("initialize",
                               messages.initialize_params(version))
        session = response.header("mcp-session-id")
        done = self.legacy("notifications/initialized", id=None,
                           session=session,
                           version=response.result["protocolVersion"])
        assert done.status == 202 and not done.body, done.head
        return response.result, session


class Load:
    """Clients of both eras that call, list, and check what they get.

    with Load(gateway, ["alpha_echo"]) as load:
        ...
    assert not load.failures

    An HTTP client may send a request again, on a new connection, when a kept
    connection ended without a byte of an answer; that is counted in retried.
    """

    def __init__(self, gateway, names, threads=4, lists=True,
                 until_refused=False, own_tools=("gateway_health",)):
        self.gateway, self.names, self.lists = gateway, names, lists
        self.until_refused = until_refused
        self.own_tools = set(own_tools)
        self.failures = []
        self.answered = []
        self.lost = []       # nonces of fresh connections, no answer
        self.retried = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,),
                                         daemon=True) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60 * SLOW)
            assert not thread.is_alive(), "a client hangs"

    def wait(self, more, within=DEADLINE):
        """Until so many more requests were answered."""
        until = len(self.answered) + more
        eventually(lambda: len(self.answered) >= until or self.failures,
                   "%d answers under load" % more, within)

    def _run(self, number):
        client = Client(self.gateway)
        turn = 0
        try:
            while not self.stopping.is_set():
                turn += 1
                if turn % 20 == 0:
                    client.close()  # and the next one is a new connection
                if not self._turn(client, number, turn):
                    return
        finally:
            client.close()

    def _turn(self, client, number, turn):
        nonce = "%d-%d-%d" % (number, turn, time.monotonic_ns())
        name = self.names[turn % len(self.names)]
        version = messages.VERSIONS[turn % len(messages.VERSIONS)]
        for attempt in range(2):
            kept = client.connection is not None
            try:
                if self.lists and turn % 10 == 5:
                    found = client.names(version=version)
                    ok = self.own_tools <= set(found)
                    ok = ok and len(found) == len(set(found))
                    text = "list %s" % found[:5]
                else:
                    text = client.call(name, {"nonce": nonce}, version)
                    ok = text == nonce
                break
            except ConnectionRefusedError as why:
                if self.until_refused:
                    return False
                return self._failed(nonce, why)
            except (OSError, Closed) as why:
                half = client.connection and client.connection.reader.buffer
                client.close()
                if isinstance(why, Closed) and str(why) != (
                        "without an answer") or half:
                    return self._failed(nonce, why)
                if isinstance(why, TimeoutError):
                    return self._failed(nonce, why)
                if not kept:
                    with self.lock:
                        self.lost.append(nonce)
                    return not self.until_refused
                with self.lock:
                    self.retried += 1
            except AssertionError as why:
                return self._failed(nonce, why)
        else:
            return self._failed(nonce, "twice without an answer")
        if not ok:
            return self._failed(nonce, "wrong answer: " + text)
        with self.lock:
            self.answered.append(nonce)
        return True

    def _failed(self, nonce, why):
        with self.lock:
            self.failures.append("%s: %r" % (nonce, why))
        return len(self.failures) < 50


class Metrics:
    """Prometheus text, read as strictly as the format is written."""

    NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
    LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
    SAMPLE = re.compile(r"^(%s)(?:\{(%s(?:,%s)*)?,?\})? (\S+)(?: \d+)?$" %
                        (NAME, LABEL, LABEL))

    def __init__(self, text):
        assert text.endswith("\n"), "the last line has no end"
        self.types, self.help, self.samples = {}, {}, {}
        ended = set()
        family = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name, _, words = line[7:].partition(" ")
                assert name not in self.help, "HELP twice: " + name
                self.help[name] = words
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name not in self.types, "TYPE twice: " + name
                assert kind in ("counter", "gauge", "histogram", "summary",
                                "untyped")
                self.types[name] = kind
            elif line and not line.startswith("#"):
                found = self.SAMPLE.match(line)
                assert found, "sample: %r" % line
                name, labels, value = found.groups()
                base = name
                if name not in self.types:
                    base = re.sub("_(bucket|sum|count)$", "", name)
                assert base in self.types, "no TYPE for " + name
                if base != family:
                    assert base not in ended, "not in one group: " + base
                    ended.add(base)
                    family = base
                pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")
                key = (name, tuple(sorted(pairs)))
                assert key not in self.samples, "twice: %r" % line
                self.samples[key] = float(value)
        self._check_histograms()

    def _check_histograms(self):
        series = collections.defaultdict(list)
        for (name, labels), value in self.samples.items():
            base = name.removesuffix("_bucket")
            if name != base and self.types.get(base) == "histogram":
                rest = tuple(l for l in labels if l[0] != "le")
                bound = float(dict(labels)["le"].replace("+Inf", "inf"))
                series[base, rest].append((bound, value))
        for (base, rest), buckets in series.items():
            values = [v for _, v in sorted(buckets)]
            assert values == sorted(values), "buckets shrink: " + base
            assert max(b for b, _ in buckets) == float("inf"), base
            assert self.samples[base + "_count", rest] == values[-1], base
            assert (base + "_sum", rest) in self.samples, base

    def find(self, name, **labels):
        """Sum of the samples of a name that have these labels."""
        wanted = {(k, str(v)) for k, v in labels.items()}
        return sum(v for (n, l), v in self.samples.items()
                   if n == name and wanted <= set(l))


class Notified:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="notify-")
        self.path = os.path.join(self.dir.name, "socket")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(0.1)
        self.messages = []  # dictionaries
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping:
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            self.messages.append(dict(
                line.split("=", 1) for line in data.decode().splitlines()
                if line))

    def wait(self, name, value, since=0, within=DEADLINE):
        return eventually(
            lambda: [m for m in self.messages[since:] if m.get(name) == value],
            "%s=%s in %s" % (name, value, self.messages), within)[0]

    def stop(self):
        self.stopping = True
        self.thread.join(DEADLINE)
        self.sock.close()
        self.dir.cleanup()
