"""SIGHUP: the new configuration as a whole, or nothing of it; and nobody
notices."""

import os
import signal
import threading

import pytest

import backend as b
import tokens
from backend import Backend
from harness import Gateway, Load
from messages import legacy
from wire import SLOW, eventually

RELOADS = 200


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha") as backend:
        yield backend


def served(backend, load):
    """Every answered nonce was executed once, also if it was sent twice."""
    twice = {n: c for n, c in backend.executed.items() if n and c > 1}
    assert not twice, list(twice.items())[:5]


def test_many_reloads_under_load(alpha):
    """Zero failed requests, while the catalogue changes all the time."""
    alpha.forget()
    with Backend("beta", tools=[b.tool("echo")]) as beta, Gateway(
            alpha, beta) as g:
        with Load(g, ["alpha_echo", "beta_echo"]) as load:
            load.wait(20)
            for i in range(RELOADS):
                beta.tools = [b.tool("echo")] + b.tools(i % 7)
                if i % 3 == 0:
                    beta.notify()
                g.entries = [alpha.entry(), beta.entry(
                    description="reload %d" % i)]
                g.reload(list_page_size=1 + i % 5)
            load.wait(20)
        assert not load.failures, load.failures[:5]
        assert not load.lost and not load.retried
        served(alpha, load)
        assert not g.log(level="error"), g.log(level="error")[:5]
        eventually(lambda: len(g.names()) == 3 + 2 + (RELOADS - 1) % 7,
                   "the last catalogue")


def test_reload_while_calls_are_open(alpha):
    """A call that began before ends after."""
    gate = threading.Semaphore(0)
    alpha.set_handler("slow", b.steps(2, gate))
    with Gateway(alpha) as g, g.connect() as c:
        c.send(legacy("tools/call", {
            "name": "alpha_slow", "arguments": {"nonce": "long"},
            "_meta": {"progressToken": 1}}))
        r = c.head()
        stream = r.stream()
        next(stream)
        for i in range(5):
            g.reload(list_page_size=10 + i)
        # Even when its backend is not configured any more.
        g.reload(entries=[])
        for _ in range(3):
            gate.release()
        last = list(stream)[-1]
        assert last["result"]["content"][0]["text"] == "long"
        assert "alpha_slow" not in g.names()
    alpha.tools = [b.tool("echo")]


def test_workers_up_and_down(alpha):
    alpha.forget()
    with Gateway(alpha, workers=2) as g:
        with Load(g, ["alpha_echo"]) as load:
            load.wait(20)
            for count in (4, 1, 3, 1, 2):
                g.reload(workers=count)
                eventually(lambda: len(g.workers()) == count,
                           "%d workers" % count, within=20 * SLOW)
                load.wait(40)
        assert not load.failures, load.failures[:5]
        assert not load.lost
        served(alpha, load)


def test_drained_worker_finishes_its_calls(alpha):
    """Fewer workers: an open stream of one that goes ends properly."""
    gate = threading.Semaphore(0)
    alpha.set_handler("slow", b.steps(2, gate))
    with Gateway(alpha, workers=4) as g:
        held = []
        for i in range(16):
            c = g.connect()
            c.send(legacy("tools/call", {
                "name": "alpha_slow", "arguments": {"nonce": str(i)},
                "_meta": {"progressToken": i}}))
            held.append((c, c.head()))
        streams = [r.stream() for _, r in held]
        for stream in streams:
            next(stream)
        g.reload(workers=1)
        for _ in range(16 * 3):
            gate.release()
        for i, stream in enumerate(streams):
            assert list(stream)[-1]["result"]["content"][0]["text"] == str(i)
        for c, _ in held:
            c.close()
        eventually(lambda: len(g.workers()) == 1, "one worker")
    alpha.tools = [b.tool("echo")]


BROKEN = {
    "syntax": ('{\n "host": "127.0.0.1",\n "port": 9,,\n}', 3),
    "unknown key": ('{\n "host": "127.0.0.1",\n "wrokers": 2\n}', 3),
    "wrong type": ('{\n\n\n "workers": "two"\n}', 4),
    "out of range": ('{\n "workers": 100000\n}', 2),
    "unknown key inside": ('{\n "limits": {\n  "body_byte": 1}\n}', 3),
    "bad backend": ('{\n "backends": [\n  {"name": "x", "transport":\n'
                    '   "carrier_pigeon"}]\n}', 4),
    "empty": ("", 1),
    "not an object": ("[1]", 1),
}


def test_broken_file(alpha):
    """The old one serves on, and one error line says where it is wrong."""
    with Gateway(alpha) as g:
        client = g.client()
        for name, (text, line) in BROKEN.items():
            since = len(g.lines)
            g.write(text)
            g.hup(ok=False)
            errors = g.log(since, level="error")
            assert len(errors) == 1, (name, errors)
            place = "%s:%d:" % (g.file, line)
            assert place in str(errors[0]), (name, errors)
            assert client.call("alpha_echo", {"nonce": name}) == name
        # The nearest key that exists is named.
        since = len(g.lines)
        g.write(BROKEN["unknown key"][0])
        g.hup(ok=False)
        assert "workers" in str(g.log(since, level="error"))
        g.write()
        g.hup()
        assert client.call("alpha_echo", {"nonce": "1"}) == "1"


def test_missing_file(alpha):
    with Gateway(alpha) as g:
        g.file.rename(g.dir / "away")
        g.hup(ok=False)
        assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"
        (g.dir / "away").rename(g.file)
        g.hup()


def test_broken_file_under_load(alpha):
    alpha.forget()
    with Gateway(alpha) as g:
        with Load(g, ["alpha_echo"], threads=2) as load:
            load.wait(5)
            for i in range(10):
                g.write("{" * (i + 1))
                g.hup(ok=False)
            load.wait(5)
        assert not load.failures and not load.lost and not load.retried
        g.write()


def test_changed_tokens_take_effect(alpha):
    old, new = "old-token-0123456789abc", "new-token-0123456789abc"
    with Gateway(alpha, auth={"enabled": True, "static_tokens": {
            old: {"client_id": "x"}}}) as g:
        assert g.client(old).modern("tools/list").status == 200
        assert g.client(new).modern("tools/list").status == 401
        g.set(auth={"static_tokens": None})
        g.reload(auth={"static_tokens": {new: {"client_id": "x"}}})
        assert g.client(old).modern("tools/list").status == 401
        assert g.client(new).modern("tools/list").status == 200


def test_changed_keys_take_effect_for_remembered_tokens(alpha):
    """A verified token is forgotten with the key that verified it."""
    one, two = tokens.key("p256"), tokens.key("p256", 1)
    with Gateway(alpha, auth={
            "enabled": True, "jwt_public_key_file": one.public,
            "jwt_algorithms": ["ES256"]}) as g:
        token = one.token()
        for _ in range(2):
            assert g.client(token).modern("tools/list").status == 200
        g.reload(auth={"jwt_public_key_file": two.public})
        assert g.client(token).modern("tools/list").status == 401
        assert g.client(two.token()).modern("tools/list").status == 200


def test_changed_limits_take_effect(alpha):
    with Gateway(alpha, limits={"body_bytes": 2000}) as g:
        big = legacy("ping", {"x": "y" * 3000})
        with g.connect() as c:
            assert c.ask(big).status == 413
        g.reload(limits={"body_bytes": 4000})
        with g.connect() as c:
            assert c.ask(big).status == 200


def test_settings_that_wait_for_a_restart_are_named(alpha):
    with Gateway(alpha) as g:
        since = len(g.lines)
        g.reload(audit_entries=5000)
        assert "audit_entries" in str(g.log(since, level="warning"))
        assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"


def test_backends_come_and_go(alpha):
    with Backend("beta") as beta, Gateway(alpha) as g:
        client = g.client()
        assert "beta_echo" not in client.names()
        g.reload(entries=[alpha.entry(), beta.entry()])
        g.backends.append(beta)
        eventually(lambda: "beta_echo" in client.names(), "beta's tools")
        assert client.call("beta_echo", {"nonce": "1"}) == "1"
        g.reload(entries=[alpha.entry(), beta.entry(enabled=False)])
        eventually(lambda: "beta_echo" not in client.names(), "beta is off")
        g.reload(entries=[beta.entry()])
        eventually(lambda: client.names()[3:] == ["beta_echo"], "only beta")


def test_what_is_known_stays_listed(alpha):
    """A reload does not empty the list until the backends are asked anew."""
    with Gateway(alpha) as g:
        with Load(g, ["alpha_echo"], threads=2) as load:
            load.wait(5)
            names = set()
            for i in range(20):
                g.reload(list_page_size=50 + i)
                names.add(tuple(g.names()))
        assert len(names) == 1 and "alpha_echo" in names.pop()
        assert not load.failures


def test_storm_of_signals(alpha):
    """As many as can be sent: it lives, and the last file is what counts."""
    with Gateway(alpha) as g:
        for i in range(300):
            g.signal(signal.SIGHUP)
            if i % 50 == 0:
                g.set(list_page_size=2)
                g.write()
        g.reload(list_page_size=3)
        client = g.client()
        eventually(lambda: len(client.modern("tools/list").result[
            "tools"]) == 3, "the last setting")


def test_reopen_logs(alpha, tmp_path):
    """SIGUSR1, after a logrotate: lines go to the new file, none is lost."""
    paths = {name: tmp_path / name for name in ("log", "access", "audit")}
    with Gateway(alpha, log_file=str(paths["log"]), access_log=True,
                 access_log_file=str(paths["access"]),
                 audit_log_file=str(paths["audit"])) as g:
        client = g.client()
        client.call("alpha_echo", {"nonce": "1"})
        eventually(lambda: all(p.stat().st_size for p in paths.values()),
                   "all three are written")
        before = {}
        for name, path in paths.items():
            os.rename(path, str(path) + ".1")
        g.signal(signal.SIGUSR1)
        eventually(lambda: all(p.exists() for p in paths.values()),
                   "new files")

        def both_written():
            g.client().call("alpha_echo", {"nonce": "2"})
            return paths["access"].stat().st_size and (
                paths["audit"].stat().st_size)

        eventually(both_written, "lines in the new files")
        before = {n: os.path.getsize(str(p) + ".1") for n, p in paths.items()}
        for _ in range(20):
            with g.client() as one:
                one.call("alpha_echo", {"nonce": "3"})
        after = {n: os.path.getsize(str(p) + ".1") for n, p in paths.items()}
        assert before == after, "somebody still writes to the old file"
