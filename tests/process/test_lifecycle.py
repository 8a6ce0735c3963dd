"""From the command line to the last signal."""

import json
import os
import re
import signal
import socket
import threading
import time

import pytest

import backend as b
import tokens
from backend import Backend
from harness import (Gateway, Load, Notified, Process,
                     run)
from messages import legacy, modern
from wire import SLOW, eventually

SECRET = "a-secret-token-0123456789"


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha") as backend:
        yield backend


@pytest.fixture
def file(tmp_path):
    """file(object or text) is the path of a configuration."""
    def write(content, name="gateway.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str)
                        else json.dumps(content, indent=1))
        return path
    return write


# -- commands


def test_version():
    status, out, err = run("--version")
    assert status == 0 and not err
    assert re.match(r"^oci-mcp-gateway \d+\.\d+\.\d+", out), out


def test_help():
    status, out, err = run("--help")
    assert status == 0 and not err
    for flag in ("--config", "--host", "--port", "--path", "--no-auth",
                 "--stateless", "--log-level", "--scan", "--backends-dir",
                 "--discover-only", "--check", "--dump", "--version", "token",
                 "status"):
        assert flag in out, flag
    assert all(len(line) <= 80 for line in out.splitlines())
    assert run("-h")[:2] == (0, out)


@pytest.mark.parametrize("args", [
    ["--no-such-flag"], ["--port", "x"], ["--port", "0"], ["--port", "65536"],
    ["--port"], ["surplus"], ["--config"], ["--workers", "-1"]])
def test_wrong_usage(args):
    status, out, err = run(*args)
    assert status == 2 and not out
    assert "--help" in err and args[0].lstrip("-").split("=")[0] in err


def test_check(file):
    status, out, err = run("--check", "--config", file(
        {"auth": {"enabled": False}}))
    assert status == 0, err


BROKEN = {
    "syntax": ('{\n "host": "127.0.0.1",\n "port": 9,,\n}', 3, ""),
    "unknown key": ('{\n "wrokers": 2\n}', 2, "workers"),
    "unknown group": ('{\n "limts": {}\n}', 2, "limits"),
    "unknown key of a backend": (
        '{"backends": [{"name": "a",\n "transport": "streamable_http",\n'
        '"url": "http://127.0.0.1/",\n "request_timout": 5}]}', 4,
        "request_timeout"),
    "duplicate key": ('{"name": "a",\n "name": "b"}', 2, ""),
    "wrong type": ('{"port":\n "9000"}', 2, "port"),
    "range": ('{"port":\n 70000}', 2, "65535"),
    "no url": ('{"backends": [\n{"name": "a", "transport": '
               '"streamable_http"}]}', 2, "url"),
    "url": ('{"backends": [{"name": "a", "transport": "streamable_http",\n'
            '"url": "ftp://x/"}]}', 2, "url"),
    "stdio": ('{"backends": [\n{"name": "a", "transport": "stdio",'
              '"command": "true"}]}', 2, "stdio"),
    "control byte": ('{"name": "a\tb"}', 1, ""),
    "not UTF-8": ('{"name": "\udcff"}', 1, ""),
    "comma at the end": ('{"port": 9000,\n}', 2, ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_configuration(tmp_path, name):
    """Exit status 1, the place and the reason: --check and a start alike."""
    text, line, word = BROKEN[name]
    path = tmp_path / "gateway.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for args in (["--check"], []):
        status, out, err = run(*args, "--config", path)
        said = out + err
        assert status == 1, said
        # In a start's log a line is JSON; the text is the same.
        assert re.search(r"gateway\.json:%d:\d+: \S" % line,
                         said.replace("\\", "")), said
        assert word in said, said


def test_first_definition_of_a_backend_wins(file):
    def backend(port):
        return {"name": "a", "transport": "streamable_http",
                "url": "http://127.0.0.1:%d/" % port, "auth_method": "none"}

    path = file({"backends": [backend(11), backend(12)]})
    status, out, err = run("--check", "--config", path)
    assert status == 0 and '"a" is ignored' in out + err
    status, out, err = run("--discover-only", "--config", path)
    assert [x["url"] for x in json.loads(out)["backends"]] == [
        "http://127.0.0.1:11/"]


def test_missing_key_file_is_a_warning(file):
    """The key may come later; until then nobody gets in with a token."""
    path = file({"auth": {"jwt_public_key_file": "/nonexistent/key.pem"}})
    status, out, err = run("--check", "--config", path)
    assert status == 0 and "/nonexistent/key.pem" in out + err


def test_missing_configuration_file(tmp_path):
    for args in (["--check"], []):
        status, out, err = run(*args, "--config", tmp_path / "nothing.json")
        assert status == 1 and "nothing.json" in out + err


def test_dump(file):
    path = file({
        "port": 9123, "workers": 3,
        "auth": {"static_tokens": {SECRET: {"client_id": "someone"}}},
        "limits": {"idle_timeout": 1.5},
        "backends": [{
            "name": "x", "transport": "streamable_http",
            "url": "http://127.0.0.1:1/mcp", "auth_method": "bearer_token",
            "bearer_token": SECRET + "-bearer",
            "headers": {"X-Tenant": SECRET + "-header"}}, {
            "name": "y", "transport": "streamable_http",
            "url": "http://127.0.0.1:2/mcp", "auth_method": "api_key",
            "api_key": SECRET + "-key"}]})
    status, out, err = run("--dump", "--config", path)
    assert status == 0, err
    assert SECRET not in out + err
    dump = json.loads(out)
    text = json.dumps(dump)
    assert text.count("[redacted]") >= 4
    for known in ('"port": 9123', '"workers": 3', "someone", "X-Tenant",
                  "127.0.0.1:2"):
        assert known in text, known


def test_precedence(file):
    """Command line over environment over file."""
    path = file({"port": 9001, "path": "/file", "name": "file"})

    def effective(*args, **env):
        status, out, err = run("--dump", "--config", path, *args, env=env)
        assert status == 0, err
        settings = json.loads(out)["settings"]
        return settings["port"], settings["path"], settings["name"]

    assert effective() == (9001, "/file", "file")
    env = {"MCP_GATEWAY_PORT": "9002", "MCP_GATEWAY_PATH": "/env",
           "MCP_GATEWAY_NAME": "env"}
    assert effective(**env) == (9002, "/env", "env")
    assert effective("--port", "9003", "--path", "/cli", **env) == (
        9003, "/cli", "env")


def test_environment(file):
    path = file({})
    status, out, err = run("--dump", env={
        "MCP_GATEWAY_CONFIG": str(path), "MCP_GATEWAY_HOST": "127.0.0.1",
        "MCP_GATEWAY_AUTH_ENABLED": "false",
        "MCP_GATEWAY_JWT_ISSUER": "https://issuer.example",
        "MCP_GATEWAY_JWT_AUDIENCE": "aud-from-env",
        "MCP_GATEWAY_LOG_LEVEL": "ERROR",
        "MCP_GATEWAY_STATIC_TOKEN": SECRET})
    assert status == 0, err
    text = json.dumps(json.loads(out))
    assert SECRET not in text
    for known in ("https://issuer.example", "aud-from-env", "env-token",
                  "control-plane", "read:tools"):
        assert known in text, known


def test_secrets_by_reference(alpha, tmp_path):
    (tmp_path / "token").write_text("token-from-file-0123456789\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "key").write_text("key-from-credential-0123")
    with Backend("one") as one, Backend("two") as two, Backend(
            "three") as three:
        with Gateway(one, two, three, entries=[
                one.entry(auth_method="bearer_token", bearer_token={
                    "file": str(tmp_path / "token")}),
                two.entry(auth_method="bearer_token", bearer_token={
                    "env": "MY_TOKEN"}),
                three.entry(auth_method="api_key", api_key={
                    "credential": "key"})],
                env={"MY_TOKEN": "token-from-env-0123456789",
                     "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
                ) as g:
            client = g.client()
            for name in ("one", "two", "three"):
                client.call(name + "_echo")
            assert one.last().header("authorization") == (
                "Bearer token-from-file-0123456789")
            assert two.last().header("authorization") == (
                "Bearer token-from-env-0123456789")
            assert b"key-from-credential-0123" in three.last().head
            g.secrets |= {"token-from-file-0123456789",
                          "token-from-env-0123456789",
                          "key-from-credential-0123"}


def test_include_configs_and_backends_dir(file, tmp_path):
    directory = tmp_path / "backends.d"
    directory.mkdir()

    def backend(name, port):
        return {"name": name, "transport": "streamable_http",
                "url": "http://127.0.0.1:%d/mcp" % port,
                "auth_method": "none"}

    (directory / "10-a.json").write_text(json.dumps(backend("a", 11)))
    (directory / "20-b.json").write_text(json.dumps(backend("b", 12)))
    (directory / "30-bad.json").write_text("{")
    (directory / "ignored.txt").write_text("{")
    other = file({"backends": [backend("c", 13), backend("a", 14)]},
                 "other.json")
    path = file({"backends": [backend("d", 15)], "backends_dir":
                 str(directory), "include_configs": [str(other)]})
    status, out, err = run("--discover-only", "--config", path)
    assert status == 0, err
    found = json.loads(out)
    # The first definition of a name wins: included files before the directory.
    urls = {x["name"]: x["url"] for x in found["backends"]}
    assert urls == {"d": "http://127.0.0.1:15/mcp",
                    "c": "http://127.0.0.1:13/mcp",
                    "a": "http://127.0.0.1:14/mcp",
                    "b": "http://127.0.0.1:12/mcp"}
    assert found["summary"]["total"] == found["summary"]["enabled"] == 4
    assert found["summary"]["by_transport"]["streamable_http"] == 4
    assert "30-bad.json" in err


def test_scan(file, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": {
        "web": {"type": "http", "url": "http://127.0.0.1:19/mcp",
                "headers": {"Authorization": "Bearer " + SECRET}},
        "local": {"command": "npx", "args": ["x"]}}}))
    status, out, err = run("--discover-only", "--scan", tmp_path, "--config",
                           file({}))
    assert status == 0, err
    assert SECRET not in out + err
    found = {x["name"]: x for x in json.loads(out)["backends"]}
    assert {"web", "local"} <= set(found)
    assert not any(x["enabled"] for x in found.values())


def test_no_auth_flag(alpha):
    with Gateway(alpha, auth={"enabled": True}, args=["--no-auth"]) as g:
        assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"


def test_nothing_secret_in_argv(alpha):
    with Gateway(alpha, auth={"enabled": True, "static_tokens": {
            SECRET: {"client_id": "x"}}}) as g:
        for pid in [g.pid] + g.children():
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                assert SECRET.encode() not in f.read()


# -- token


def test_token_mint_and_inspect(alpha, tmp_path):
    key = str(tmp_path / "key.pem")
    status, out, err = run("token", "mint", "--new-key", key, "--subject",
                           "me", "--scope", "read:tools write:tools",
                           "--issuer", "https://i.example", "--audience",
                           "https://a.example", "--ttl", "600")
    assert status == 0, err
    token = out.strip()
    assert token.count(".") == 2 and "\n" not in token
    assert os.stat(key).st_mode & 0o077 == 0, "the key can be read by others"
    status, out, err = run("token", "inspect", "--key", key + ".pub",
                           "--issuer", "https://i.example", "--audience",
                           "https://a.example", data=token.encode())
    assert status == 0, err
    for word in ("me", "read:tools", "https://i.example"):
        assert word in out
    status, out, err = run("token", "inspect", "--key", key + ".pub",
                           "--audience", "https://other.example",
                           data=token.encode())
    assert status == 1 and "audience" in (out + err).lower()
    # And the gateway takes it.
    with open(key + ".pub") as f:
        assert "PUBLIC KEY" in f.read()
    alg = json.loads(tokens.base64.urlsafe_b64decode(
        token.split(".")[0] + "=="))["alg"]
    with Gateway(alpha, auth={
            "enabled": True, "jwt_public_key_file": key + ".pub",
            "jwt_algorithms": [alg], "jwt_issuer": "https://i.example",
            "jwt_audience": "https://a.example"}) as g:
        assert g.client(token).modern("tools/list").status == 200


@pytest.mark.parametrize("kind, alg", [("rsa", "RS256"), ("rsa", "PS256"),
                                       ("p256", "ES256"),
                                       ("ed25519", "EdDSA")])
def test_token_mint_with_a_key(kind, alg):
    status, out, err = run("token", "mint", "--key", tokens.key(kind).private,
                           "--alg", alg, "--ttl", "60")
    assert status == 0, err
    head = json.loads(tokens.base64.urlsafe_b64decode(
        out.split(".")[0] + "=="))
    assert head["alg"] == alg


def test_token_hash():
    status, out, err = run("token", "hash", data=SECRET.encode() + b"\n")
    assert (status, out.strip()) == (0, tokens.hashed(SECRET)), err
    status, out, err = run("token", "hash", "--generate")
    token = re.search(r"token: (\S+)", out).group(1)
    assert "hash: " + tokens.hashed(token) in out
    assert len(token) >= 32


@pytest.mark.parametrize("args, data", [
    (["hash"], b""), (["inspect"], b"x"), (["mint"], b""), (["nothing"], b""),
    ([], b""), (["mint", "--key", "/nonexistent"], b"")])
def test_token_wrong(args, data):
    status, out, err = run("token", *args, data=data)
    assert status in (1, 2) and err and not out.startswith("ey")


# -- status


def test_status(alpha):
    with Gateway(alpha) as g:
        g.client().call("alpha_echo", {"nonce": "1"})
        status, out, err = run("status", "--config", g.file)
        assert status == 0, err
        assert "alpha" in out and "worker" in out and "keeper" in out
    status, out, err = run("status", "--config", g.dir / "gateway.json")
    assert status == 1 and err


# -- start and stop


def test_port_in_use(file):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        status, out, err = run("--config", file({
            "host": "127.0.0.1", "port": port, "auth": {"enabled": False}}))
        assert status == 1
        assert str(port) in out + err


def test_sigterm_and_sigint(alpha):
    for number in (signal.SIGTERM, signal.SIGINT):
        with Gateway(alpha) as g:
            assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"
            children = g.children()
            assert len(children) == 3  # two workers and the keeper
            g.signal(number)
            g.join()
            assert not [c for c in children if Process.alive(c)]


def test_sigterm_under_load(alpha):
    """No request that was accepted is lost."""
    alpha.forget()
    with Gateway(alpha) as g:
        load = Load(g, ["alpha_echo"], until_refused=True)
        with load:
            load.wait(50)
            g.signal(signal.SIGTERM)
            g.join()
        assert not load.failures, load.failures[:5]
        lost = [n for n in load.lost if alpha.executed[n]]
        assert not lost, "executed, but not answered"
        assert max(alpha.executed.values()) == 1


def test_open_requests_finish(alpha):
    """shutdown_grace: a call that runs when SIGTERM comes ends properly."""
    gate = threading.Semaphore(0)
    alpha.set_handler("slow", b.steps(2, gate))
    with Gateway(alpha, shutdown_grace=20) as g, g.connect() as c:
        c.send(legacy("tools/call", {
            "name": "alpha_slow", "arguments": {"nonce": "1"},
            "_meta": {"progressToken": 1}}))
        stream = c.head().stream()
        next(stream)
        g.signal(signal.SIGTERM)

        def refused():
            try:
                g.connect().close()
                return False
            except OSError:
                return True

        eventually(refused, "nothing new is accepted")
        for _ in range(3):
            gate.release()
        assert list(stream)[-1]["result"]["content"][0]["text"] == "1"
        g.join()
    alpha.tools = [b.tool("echo")]


def test_grace_ends(alpha):
    """What takes longer than shutdown_grace is cut."""
    alpha.set_handler("hang", b.hang)
    with Gateway(alpha, shutdown_grace=0.5) as g, g.connect() as c:
        c.send(modern("tools/call", {"name": "alpha_hang"}))
        alpha.wait_for()
        start = time.monotonic()
        g.signal(signal.SIGTERM)
        g.join()
        assert 0.4 < time.monotonic() - start < 5 * SLOW
    alpha.tools = [b.tool("echo")]


def test_readiness_fails_first(alpha):
    """shutdown_delay: /readyz says no while requests are still served."""
    with Gateway(alpha, shutdown_delay=1.5) as g:
        client = g.client()
        g.signal(signal.SIGTERM)
        r = eventually(lambda: (lambda r: r.status == 503 and r)(
            g.get("/readyz")), "not ready")
        assert r.json["reason"] == "draining"
        assert client.call("alpha_echo", {"nonce": "1"}) == "1"
        with g.client() as fresh:
            assert fresh.call("alpha_echo", {"nonce": "2"}) == "2"
        g.join()


def test_second_sigterm_cuts(alpha):
    """Whoever asks twice is in a hurry: open calls are cut at once."""
    alpha.set_handler("hang", b.hang)
    alpha.forget()
    with Gateway(alpha, shutdown_grace=60) as g, g.connect() as c:
        c.send(modern("tools/call", {"name": "alpha_hang"}))
        alpha.wait_for()
        g.signal(signal.SIGTERM)
        g.wait_log(event="stopping")
        g.signal(signal.SIGTERM)
        g.join()
    alpha.tools = [b.tool("echo")]


# -- processes that die


def test_kill_each_worker_under_load(alpha):
    """Only what was in flight on it fails; the next connection works."""
    alpha.forget()
    with Gateway(alpha, workers=3) as g:
        with Load(g, ["alpha_echo"], threads=6, lists=False) as load:
            load.wait(30)
            for pid in g.workers():
                failed = len(load.failures)
                lost, retried = len(load.lost), load.retried
                os.kill(pid, signal.SIGKILL)
                # At once, on a new connection; its queue waits for the
                # successor, so this may take as long as a start.
                with g.client() as client:
                    assert client.call("alpha_echo", {"nonce": "n"}) == "n"
                eventually(lambda: len(g.workers()) == 3 and
                           pid not in g.workers(), "a successor")
                load.wait(30)
                # Six clients: no more than their six requests in flight.
                hurt = (len(load.failures) - failed + len(load.lost) - lost +
                        load.retried - retried)
                assert hurt <= 6, (load.failures, load.lost)
        assert all("wrong answer" not in f for f in load.failures)
        eventually(lambda: [("SIGKILL" in line["cause"]) for line in g.log(
            event="worker died")] == [True] * 3, "an obituary for each")


def test_killed_workers_come_back_with_the_catalogue(alpha):
    with Gateway(alpha, workers=1) as g:
        before = g.names()
        for _ in range(3):
            (pid,) = g.workers()
            os.kill(pid, signal.SIGKILL)
            with g.client() as client:
                assert client.names() == before
                assert client.call("alpha_echo", {"nonce": "1"}) == "1"


def test_connections_wait_for_a_successor(alpha):
    """A dead worker's queue is not reset: it is served by the next one."""
    with Gateway(alpha, workers=1) as g:
        (pid,) = g.workers()
        os.kill(pid, signal.SIGSTOP)
        held = [g.connect() for _ in range(5)]
        for c in held:
            c.send(legacy("ping"))
        os.kill(pid, signal.SIGKILL)
        answers = []
        for c in held:
            answers.append(c.read())
            c.close()
        assert all(r is not None and r.status == 200 for r in answers)


def test_hanging_worker_is_replaced(alpha):
    with Gateway(alpha, workers=2, worker_hang_timeout=1) as g:
        pid = g.workers()[0]
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: pid not in g.workers() and len(g.workers()) == 2,
                   "a successor of the one that hangs", within=20 * SLOW)
        for _ in range(10):
            with g.client() as client:
                assert client.call("alpha_echo", {"nonce": "1"}) == "1"


def test_keeper_killed(alpha):
    """The tools stay, and its successor finds out what is new."""
    with Backend("beta") as beta, Gateway(alpha, beta) as g:
        with Load(g, ["alpha_echo", "beta_echo"], threads=2) as load:
            load.wait(10)
            for i in range(3):
                keeper = g.keeper()
                os.kill(keeper, signal.SIGKILL)
                assert "beta_echo" in g.names()
                eventually(lambda: len(g.by_role()["keeper"]) == 1 and
                           g.keeper() not in (None, keeper), "a new keeper")
                load.wait(5)
            eventually(lambda: beta.listeners, "it listens again", within=20)
            beta.tools = beta.tools + [b.tool("later")]
            beta.notify()
            eventually(lambda: "beta_later" in g.names(), "new tool",
                       within=20)
        assert not load.failures, load.failures[:5]
        assert not load.lost and not load.retried


def test_reload_with_a_new_keeper(alpha):
    """A keeper that was born a moment ago knows nothing yet; the catalogue
    that is served stays until it does."""
    with Gateway(alpha) as g:
        with Load(g, ["alpha_echo"], threads=2) as load:
            load.wait(5)
            for i in range(5):
                keeper = g.keeper()
                os.kill(keeper, signal.SIGKILL)
                eventually(lambda: len(g.by_role()["keeper"]) == 1 and
                           g.keeper() not in (None, keeper), "a new keeper", within=20)
                line = g.hup()
                assert line["tools"] == 4, line
        assert not load.failures, load.failures[:5]


def test_keeper_killed_by_signal_after_signal(alpha):
    """It dies again and again: back-off, and the workers serve on."""
    with Gateway(alpha) as g:
        client = g.client()
        end = time.monotonic() + 2
        deaths = 0
        while time.monotonic() < end:
            for pid in g.by_role()["keeper"]:
                os.kill(pid, signal.SIGKILL)
                deaths += 1
            assert client.call("alpha_echo", {"nonce": "1"}) == "1"
            time.sleep(0.01)
        assert 1 <= deaths < 50, "no back-off"


def test_master_killed(alpha):
    """Without a master nobody stays behind."""
    with Gateway(alpha) as g:
        children = g.children()
        g.process.kill()
        g.process.wait()
        eventually(lambda: not [c for c in children if Process.alive(c)],
                   "all are gone", within=20 * SLOW)
        g.process.returncode = 0
        g.check_log()


# -- the service manager


def test_notify(alpha):
    manager = Notified()
    try:
        with Gateway(alpha, env={"NOTIFY_SOCKET": manager.path,
                                 "WATCHDOG_USEC": "400000"}) as g:
            ready = manager.wait("READY", "1")
            assert ready.get("MAINPID", str(g.pid)) == str(g.pid)
            eventually(lambda: any("STATUS" in m for m in manager.messages),
                       "STATUS")
            manager.wait("WATCHDOG", "1")
            count = len([m for m in manager.messages if "WATCHDOG" in m])
            eventually(lambda: len([m for m in manager.messages
                                    if "WATCHDOG" in m]) > count + 2,
                       "watchdog messages")
            since = len(manager.messages)
            g.hup()
            reloading = manager.wait("RELOADING", "1", since)
            assert int(reloading["MONOTONIC_USEC"]) > 0
            manager.wait("READY", "1", since)
            order = [k for m in manager.messages[since:] for k in m
                     if k in ("RELOADING", "READY")]
            assert order == ["RELOADING", "READY"]
            since = len(manager.messages)
            g.signal(signal.SIGTERM)
            manager.wait("STOPPING", "1", since)
            g.join()
    finally:
        manager.stop()


def test_notify_reload_that_fails(alpha):
    """systemd is told that the reload is over, also when it changed nothing."""
    manager = Notified()
    try:
        with Gateway(alpha, env={"NOTIFY_SOCKET": manager.path}) as g:
            manager.wait("READY", "1")
            since = len(manager.messages)
            g.write("{")
            g.hup(ok=False)
            manager.wait("RELOADING", "1", since)
            manager.wait("READY", "1", since)
            g.write()
    finally:
        manager.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_user_is_dropped(alpha):
    with Gateway(alpha, user="nobody") as g:
        os.chmod(g.dir, 0o755)
        for pid in g.children():
            with open("/proc/%d/status" % pid) as f:
                text = f.read()
            uids = re.search(r"^Uid:\s+(.*)$", text, re.M).group(1).split()
            assert "0" not in uids, text
            assert re.search(r"^NoNewPrivs:\s+1$", text, re.M)
            assert re.search(r"^CapEff:\s+0+$", text, re.M)
        assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"
