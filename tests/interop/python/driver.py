"""The tests: which servers and clients there are, what each pair is to do.
Started by run. One line per test, "N passed, N failed" at the end.

A client program gets its plan on standard input:

    {"groups": [{"name", "token", "servers": [server...]}], "restarts": bool}

where a server is {"name", "url", "node", "namespaced", "checks", "version"}, the
names of the checks that it is to pass and, without a gateway, its revision.
"""

import argparse
import asyncio
import contextlib
import fnmatch
import json
import os
import random
import re
import signal
import socket
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
AT_ONCE = 2          # client programs
START_S = 20
READY_S = 30
CLIENT_S = 240
STOP_S = 5
KEPT_LINES = 40      # of a program's output
TOKEN = "interop-token-0123456789abcdef"
SESSION_KEY = "interop-session-key-0123456789abcdef"
PER_CLIENT = {"v1", "fast"}  # servers that ask beside their calls
# Below the range that connections take their ports from, so that a port is
# still free when it is used, also after a restart.
PORTS = (12000, 32000)
MODERN, LEGACY = "2026-07-28", "2025-11-25"

ASKS = {"elicitation", "sampling", "roots"}
STREAMS = {"progress", "logging"}
COMMON = {"tools_list", "text", "unicode", "large", "image", "is_error", "unknown_tool",
          "prompts", "resources", "templates", "completion", "callers"} | STREAMS | ASKS
APART = {"sampling_apart"}
PYTHON = COMMON | {"structured", "cancellation"}
NODE = COMMON | {"header_parameter"}

# name: (program, its options, checks for an older client, and for a modern one).
# Checks are taken away where the server itself cannot do it: answers of plain
# JSON leave no room for anything before the result, and without a session there
# is nobody to ask, and nothing that a cancellation could refer to.
SERVERS = {
    "v1": ("v1", [], PYTHON | APART, PYTHON | APART),
    "v1json": ("v1", ["--json"], PYTHON - STREAMS - ASKS, PYTHON - STREAMS - ASKS),
    "v1less": ("v1", ["--stateless"], PYTHON - ASKS - {"cancellation"},
               PYTHON - ASKS - {"cancellation"}),
    "v1plain": ("v1", ["--stateless", "--json"],
                PYTHON - STREAMS - ASKS - {"cancellation"},
                PYTHON - STREAMS - ASKS - {"cancellation"}),
    "v2": ("v2", [], PYTHON, PYTHON),
    "v2json": ("v2", ["--json"], PYTHON - STREAMS - ASKS,
               PYTHON - STREAMS - {"cancellation"}),
    "fast": ("fastmcp", [], PYTHON, PYTHON),
    "fastless": ("fastmcp", ["--stateless"], PYTHON - ASKS - {"cancellation"}, PYTHON),
    "nodeold": ("node", ["--era", "legacy"], NODE, NODE),
    "nodenew": ("node", ["--era", "modern"], NODE, NODE),
}
ERAS = {"v1": {LEGACY}, "v2": {LEGACY, MODERN}, "fastmcp": {LEGACY, MODERN}}
# Clients that are not tried with every server: the inspector, which starts a
# process for each operation, and what differs from another only in how it
# comes to its revision.
ONLY = {
    "inspector-legacy": {"v1", "v2", "fast"},
    "inspector-modern": {"v1", "v2", "fast"},
    "mcp2-modern": {"v1", "v2", "fast", "nodenew"},
    "client-v2-legacy": {"v1", "v2", "fast"},
    "client-v2-modern": {"v1", "v2", "fast"},
}
WITH_TOKEN = ["v1", "v2"]
TOKEN_CHECKS = {"tools_list", "unicode", "elicitation"}

# kind: (program, newest revision).
CLIENTS = {
    "mcp1": ("v1", LEGACY),
    "mcp2-legacy": ("v2", LEGACY),
    "mcp2-auto": ("v2", MODERN),
    "mcp2-modern": ("v2", MODERN),
    "fastmcp-legacy": ("fastmcp", LEGACY),
    "fastmcp-auto": ("fastmcp", MODERN),
    "client-v1": ("node", LEGACY),
    "client-v2-legacy": ("node", LEGACY),
    "client-v2-auto": ("node", MODERN),
    "client-v2-modern": ("node", MODERN),
    "inspector-legacy": ("node", LEGACY),
    "inspector-modern": ("node", MODERN),
}


class Program:
    """A child process; its output is kept for a person."""

    def __init__(self, name, command):
        self.name, self.command = name, command
        self.lines = []
        self.child = None
        self.stopping = False

    async def start(self, **options):
        self.child = await asyncio.create_subprocess_exec(
            *self.command, stderr=asyncio.subprocess.STDOUT if "stdout" not in options
            else asyncio.subprocess.PIPE, start_new_session=True, limit=1 << 24,
            **{"stdout": asyncio.subprocess.PIPE, **options})
        return self

    async def keep(self, stream):
        while line := await stream.readline():
            if b'"event":"audit"' not in line:
                self.lines.append(line.decode(errors="replace").rstrip())
                del self.lines[:-KEPT_LINES]

    def send(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)

    async def stop(self, number=signal.SIGTERM):
        self.stopping = True
        if self.child is None or self.child.returncode is not None:
            return
        self.send(number)
        try:
            await asyncio.wait_for(self.child.wait(), STOP_S)
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.child.wait()

    def tail(self):
        code = self.child.returncode
        ended = f", ended with {code}" if code is not None and not self.stopping else ""
        return "\n".join([f"--- {self.name}{ended}", *self.lines])


class Server(Program):
    """One of SERVERS. Comes back at the same port after restart()."""

    def __init__(self, name):
        program, arguments, *_ = SERVERS[name]
        super().__init__(name, program_of(program, "server") + arguments +
                         ["--name", name, "--port", "0"])

    async def listen(self):
        await self.start()
        async with asyncio.timeout(START_S):
            while line := (await self.child.stdout.readline()).decode():
                if found := re.match(r"listening (\d+)$", line):
                    self.url = f"http://127.0.0.1:{found[1]}/mcp"
                    self.command[-1] = found[1]
                    self.reader = asyncio.create_task(self.keep(self.child.stdout))
                    return self
                self.lines.append(line.rstrip())
        await self.child.wait()
        raise RuntimeError(self.tail())

    # As after a crash: nothing is said to anybody.
    async def restart(self):
        await self.stop(signal.SIGKILL)
        self.stopping = False
        await self.listen()


def free_port():
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=2) as answer:
        return json.load(answer)


class Gateway(Program):
    """The gateway in front of these servers, names prefixed."""

    def __init__(self, name, servers, auth, directory):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.base}/mcp"
        run = os.path.join(directory, f"run-{name}")
        os.mkdir(run)
        file = os.path.join(directory, f"{name}.json")
        with open(file, "w", encoding="utf-8") as config:
            json.dump({
                "host": "127.0.0.1", "port": self.port, "workers": 2,
                "shutdown_grace": 1, "runtime_dir": run, "auth": auth,
                "session_key": SESSION_KEY,
                "backends": [{
                    "name": server.name, "url": server.url, "auth_method": "none",
                    "transport": "streamable_http", "namespace_tools": True,
                    # These ask beside their calls, so each client needs a
                    # session of its own.
                    "sessions": "per_client" if server.name in PER_CLIENT else "shared",
                } for server in servers],
            }, config)
        super().__init__(f"gateway {name}", [options.gateway, "--config", file])

    async def listen(self):
        await self.start()
        self.reader = asyncio.create_task(self.keep(self.child.stdout))
        await self.ready()
        return self

    async def ready(self):
        """Until it says that it and all backends are well."""
        last = "no answer"
        end = time.monotonic() + READY_S
        while time.monotonic() < end and self.child.returncode is None:
            try:
                last = await asyncio.to_thread(get, f"{self.base}/ready")
                if last["healthy"] == last["total"]:
                    return
            except (OSError, ValueError, KeyError) as error:
                last = error
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the gateway is not ready: {last}\n{self.tail()}")

    async def restart(self):
        await self.stop()
        self.stopping = False
        await self.listen()


class Barrier:
    """Lets the clients on when all of them wait for the same thing."""

    def __init__(self, clients, actions):
        self.running = set(clients)
        self.actions = actions
        self.waiting = {}

    async def wait(self, client, what):
        event = asyncio.Event()
        self.waiting[client] = (what, event)
        await self.check()
        await event.wait()

    async def leave(self, client):
        self.running.discard(client)
        await self.check()

    async def check(self):
        if not self.waiting or set(self.waiting) != self.running:
            return
        waiting, self.waiting = self.waiting, {}
        for what in sorted({what for what, _ in waiting.values()}, reverse=True):
            await self.actions[what]()
        for _, event in waiting.values():
            event.set()


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def result(self, name, ok, text=""):
        if ok:
            self.passed += 1
            print(f"ok    {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {name}: {text}", flush=True)


def program_of(program, part):
    if program == "node":
        script = os.path.join(HERE, "..", "fixture.mjs") if part == "server" \
            else os.path.join(HERE, "client.mjs")
        return [options.node, script]
    script = f"server_{program}.py" if part == "server" else "client.py"
    return [os.path.join(options.venvs, program, "bin", "python"), os.path.join(HERE, script)]


async def run_client(kind, plan, barrier, slots):
    """Passes on what the program says. A program that waits holds no slot."""
    program = Program(kind, program_of(CLIENTS[kind][0], "client") + [kind])
    failed = report.failed
    try:
        async with slots:
            await program.start(stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
            reader = asyncio.create_task(program.keep(program.child.stderr))
            program.child.stdin.write(json.dumps(plan).encode() + b"\n")
            finished = await follow(program, None)
        while not finished:
            await barrier.wait(kind, program.waits)
            finished = await follow(program, b"\n")
        await reader
    except (OSError, TimeoutError) as error:
        report.result(f"{kind}/all program", False, repr(error))
    finally:
        await barrier.leave(kind)
        if program.child:
            await program.stop()
            code = program.child.returncode
            report.result(f"{kind}/all end", code == 0, f"ended with {code}")
    if report.failed > failed and options.verbose:
        print(program.tail())


async def follow(program, word):
    """Reads results until the end (true) or until the program waits (false)."""
    if word:
        program.child.stdin.write(word)
    async with asyncio.timeout(CLIENT_S):
        while line := await program.child.stdout.readline():
            try:
                said = json.loads(line)
            except ValueError:
                program.lines.append(line.decode(errors="replace").rstrip())
                continue
            if "wait" in said:
                program.waits = said["wait"]
                return False
            report.result(said["name"], said["ok"], said.get("text", ""))
        await program.child.wait()
    return True


def entry(kind, server, gateway, checks):
    """A server as a client program is told of it."""
    name = server.name
    program, _, older, modern = SERVERS[name]
    newest = CLIENTS[kind][1]
    able = modern if newest == MODERN else older
    told = {"name": name, "url": (gateway or server).url, "node": program == "node",
            "namespaced": gateway is not None, "checks": sorted(able & checks)}
    # Servers answer it in different ways; the gateway in one.
    if gateway is None:
        told["version"] = newest
        told["checks"].remove("unknown_tool")
    return told


# Clients and servers for Node.js meet in the other interop tests. Without a
# gateway there must be a revision in common.
def meet(kind, name):
    program, arguments, *_ = SERVERS[name]
    if CLIENTS[kind][0] == "node" and program == "node":
        return False
    if name not in ONLY.get(kind, SERVERS):
        return False
    if not options.direct:
        return True
    eras = ERAS.get(program) or ({MODERN} if "modern" in arguments else {LEGACY})
    return CLIENTS[kind][1] in eras


def chosen(kind, name):
    return meet(kind, name) and (not options.names or any(
        fnmatch.fnmatch(f"{kind}/{name}", want if "/" in want else f"{want}/*")
        for want in options.names))


def plan_of(kind, servers, gateways):
    mine = [server for server in servers if chosen(kind, server.name)]
    if not mine:
        return None
    groups = [{"name": "", "token": None, "servers": [
        entry(kind, server, gateways.get("open"), PYTHON | APART | NODE) for server in mine]}]
    if any(server.name in WITH_TOKEN for server in mine) and "auth" in gateways:
        groups.append({"name": "token-", "token": TOKEN, "servers": [
            entry(kind, server, gateways["auth"], TOKEN_CHECKS)
            for server in mine if server.name in WITH_TOKEN]})
    return {"groups": groups, "restarts": not options.direct}


async def main():
    names = [name for name in SERVERS if any(chosen(kind, name) for kind in CLIENTS)]
    kinds = [kind for kind in CLIENTS if any(chosen(kind, name) for name in names)]
    if options.list:
        print("\n".join(f"{kind}/{name}" for kind in kinds for name in names
                        if chosen(kind, name)))
        return
    programs, gateways = [], {}
    with tempfile.TemporaryDirectory() as directory:
        try:
            servers = [Server(name) for name in names]
            programs += servers
            await asyncio.gather(*(server.listen() for server in servers))
            if not options.direct:
                gateways["open"] = Gateway("open", servers, {"enabled": False}, directory)
                behind = [server for server in servers if server.name in WITH_TOKEN]
                if behind:
                    gateways["auth"] = Gateway("auth", behind, {
                        "enabled": True, "static_tokens": {TOKEN: {
                            "client_id": "interop", "subject": "interop",
                            "scopes": ["read:tools", "write:tools"]}}}, directory)
                programs += gateways.values()
                await asyncio.gather(*(gateway.listen() for gateway in gateways.values()))

            async def restart_servers():
                await asyncio.gather(*(server.restart() for server in servers))
                await gateways["open"].ready()

            plans = {kind: plan for kind in kinds
                     if (plan := plan_of(kind, servers, gateways))}
            barrier = Barrier(plans, {"servers": restart_servers,
                                      "gateway": lambda: gateways["open"].restart()})
            slots = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(run_client(kind, plan, barrier, slots)
                                   for kind, plan in plans.items()))
            for program in programs:
                report.result(f"{program.name} lives", program.child.returncode is None,
                              f"ended with {program.child.returncode}")
        except (OSError, RuntimeError, TimeoutError) as error:
            report.result("servers", False, repr(error) if not str(error) else str(error))
        finally:
            for program in reversed(programs):
                await program.stop()
    if report.failed:
        for program in programs:
            if program.lines and program.child:
                print(program.tail())
    print(f"{report.passed} passed, {report.failed} failed")


parser = argparse.ArgumentParser()
parser.add_argument("names", nargs="*", help="CLIENT or CLIENT/SERVER, with * and ?")
parser.add_argument("--venvs", required=True)
parser.add_argument("--node", required=True)
parser.add_argument("--root", required=True)
parser.add_argument("--gateway")
parser.add_argument("--direct", action="store_true", help="no gateway")
parser.add_argument("--list", action="store_true", help="only names")
parser.add_argument("--verbose", action="store_true", help="what failing clients said")
options = parser.parse_args()
options.gateway = os.path.abspath(
    options.gateway or os.path.join(options.root, "build/release/oci-mcp-gateway"))
report = Report()
asyncio.run(main())
sys.exit(1 if report.failed or not (report.passed or options.list) else 0)
