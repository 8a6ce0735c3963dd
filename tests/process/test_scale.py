"""Many tools, many backends, many connections: complete, in order, and
small."""

import os
import time

import pytest

import backend as b
from backend import Backend
from harness import SANITIZED, Gateway, Process
from messages import LEGACY, MODERN, legacy, modern
from wire import SLOW, eventually

BACKENDS = 50
TOOLS = 10000
PER_BACKEND = TOOLS // (BACKENDS - 2)  # of those that answer
IDLE = 2000
IDLE_BYTES = 1.3 * 1024
WORKER_BYTES = 8 << 20

# The allocator of a sanitizer is no measure of anything.
measured = pytest.mark.skipif(
    SANITIZED, reason="memory is not measured under a sanitizer")


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


def timings(client, name, count):
    out = []
    for i in range(count):
        start = time.monotonic()
        assert client.call(name, {"nonce": str(i)}) == str(i)
        out.append(time.monotonic() - start)
    return out


def test_ten_thousand_tools():
    """48 backends answer, one hangs, one is dead: the lists are complete and
    in order, and calls take as long as ever."""
    living = [Backend("b%02d" % i, tools=[b.tool("echo")] + b.tools(
        PER_BACKEND + (TOOLS - PER_BACKEND * (BACKENDS - 2) if i == 0 else 0)
        - 1), page_size=97, era=("modern", "legacy")[i % 2])
        for i in range(BACKENDS - 2)]
    hanging, dead = Backend("hanging"), Backend("dead")
    hanging.fault = lambda e: e.hang()
    everyone = living + [hanging, dead]
    for backend in everyone:
        backend.start()
    dead.stop()
    try:
        entries = [x.entry(request_timeout=2, connect_timeout=2)
                   for x in everyone]
        with Gateway(*living, entries=entries, workers=2, ready=False,
                     discovery={"timeout": 3}) as g:
            expected = sorted("%s_%s" % (x.name, t.spec["name"])
                              for x in living for t in x.tools)
            assert len(expected) == TOOLS
            total = eventually(lambda: len(g.names()) == TOOLS + 3,
                               "all tools", within=60 * SLOW, every=0.2)
            assert total
            client = g.client()
            for version in (MODERN, LEGACY[0]):
                pages = list(client.pages(version=version))
                names = [t["name"] for page in pages for t in page["tools"]]
                assert names[3:] == expected
                assert len(pages) == -(-(TOOLS + 3) // 1000)
            # Alone first, then while others wait for the two broken ones.
            alone = timings(client, "b07_echo", 200)
            waiting = []
            for name in ("hanging_echo", "dead_echo"):
                for _ in range(4):
                    c = g.connect()
                    c.send(modern("tools/call", {"name": name}))
                    waiting.append(c)
            beside = timings(client, "b07_echo", 200)
            for c in waiting:
                r = c.read()
                assert r.status == 200 and "error" in r.message
                c.close()
            assert quantile(beside, 0.99) < 3 * quantile(alone, 0.99) + 0.02
            for x in living[::7]:
                assert client.call(x.name + "_echo", {"nonce": "1"}) == "1"
    finally:
        for backend in everyone:
            backend.stop()


def pss(pids):
    return sum(Process.memory(pid)["Pss"] for pid in pids)


@measured
def test_idle_connections_are_small():
    """2,000 kept connections that have served a request, each under 1.3 KB of
    user memory."""
    with Backend("alpha") as alpha, Gateway(
            alpha, workers=2, limits={"connections_per_address": 0}) as g:
        ping = legacy("ping")
        # Warm: whatever is allocated once is allocated now.
        warm = [g.connect() for _ in range(50)]
        for c in warm:
            assert c.ask(ping).status == 200
        client = g.client()
        for i in range(20):
            client.call("alpha_echo", {"nonce": "1"})
        workers = g.workers()
        before = pss(workers)
        held = []
        try:
            for _ in range(IDLE):
                c = g.connect()
                held.append(c)
                assert c.ask(ping).status == 200
            each = (pss(workers) - before) / IDLE
            print("%.0f bytes a connection" % each)
            assert each < IDLE_BYTES, "%.0f bytes a connection" % each
            # They all still work.
            for c in held[::50]:
                assert c.ask(ping).status == 200
            assert g.workers() == workers
        finally:
            for c in held + warm:
                c.close()


@measured
def test_memory_comes_back():
    """Big bodies on many connections leave nothing behind."""
    with Backend("alpha") as alpha, Gateway(
            alpha, workers=1, limits={"connections_per_address": 0}) as g:
        (worker,) = g.workers()
        held = [g.connect() for _ in range(100)]
        big = legacy("ping", {"x": "y" * 200000})
        for c in held:
            assert c.ask(legacy("ping")).status == 200
        before = pss([worker])
        for _ in range(3):
            for c in held:
                assert c.ask(big).status == 200
        for c in held:
            assert c.ask(legacy("ping")).status == 200
        after = eventually(
            lambda: (lambda p: p if p - before < 4 << 20 else 0)(
                pss([worker])), "the buffers are given back")
        assert after
        for c in held:
            c.close()


@measured
def test_worker_with_a_thousand_tools():
    """Under 8 MiB beyond what is shared."""
    with Backend("alpha", tools=[b.tool("echo")] + b.tools(
            999), page_size=250) as alpha, Gateway(alpha, workers=2) as g:
        assert len(g.names()) == 1003
        for _ in range(30):
            with g.client() as client:
                client.call("alpha_echo", {"nonce": "1"})
                client.names()
        for pid in g.workers():
            own = 0
            with open("/proc/%d/smaps" % pid) as file:
                shared = False
                for line in file:
                    if line.split()[0].count("-") == 1 and ":" not in (
                            line.split()[0]):
                        shared = "memfd:" in line or "/dev/shm" in line or (
                            line.split()[1].endswith("s"))
                    elif line.startswith("Rss:") and not shared:
                        own += int(line.split()[1]) * 1024
            print("%.1f MiB" % (own / 1048576))
            assert own < WORKER_BYTES, "%.1f MiB" % (own / 1048576)


@measured
def test_thousand_calls_leave_no_trace():
    """The steady path does not grow."""
    with Backend("alpha") as alpha, Gateway(
            alpha, workers=1, audit_entries=16) as g:  # the ring is full soon
        client = g.client()
        (worker,) = g.workers()

        def work(count):
            for i in range(count):
                client.call("alpha_echo", {"nonce": str(i)},
                            (MODERN, LEGACY[0])[i % 2])

        work(500)
        before = pss([worker])
        work(2000)
        assert pss([worker]) - before < 256 << 10


def test_open_descriptors_do_not_grow():
    with Backend("alpha") as alpha, Gateway(alpha, workers=1) as g:
        (worker,) = g.workers()

        def count():
            return len(os.listdir("/proc/%d/fd" % worker))

        for _ in range(10):
            with g.client() as client:
                client.call("alpha_echo", {"nonce": "1"})
        before = count()
        for i in range(200):
            with g.client() as client:
                client.call("alpha_echo", {"nonce": "1"})
        with g.connect() as c:
            c.send(modern("tools/call", {"name": "alpha_echo"}))
        eventually(lambda: count() <= before + 1, "all closed")
