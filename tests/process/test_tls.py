"""TLS in the worker, and TLS towards backends."""

import contextlib
import itertools
import ssl
import warnings

import pytest

import backend as b
import tokens
from backend import Backend
from harness import SESSION_KEY, Gateway, Port
from interactive import asker, run_legacy, run_modern, session_of
from messages import client_meta, legacy
from wire import Connection, eventually

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
PING = legacy("ping")


@pytest.fixture(scope="module")
def alpha():
    with Backend("alpha") as backend:
        yield backend


def tls_settings(cert, **more):
    return {"cert": cert.cert, "key": cert.key, **more}


# Gateway(tls=...) is the clients' side; the key of the file is "tls" too.
class TlsGateway(Gateway):
    def __init__(self, *backends, server=None, **more):
        super().__init__(*backends, **more)
        self.settings["tls"] = server


@pytest.fixture(scope="module")
def gateway(alpha):
    cert = tokens.certificate()
    with TlsGateway(alpha, tls=cert.client(), server=tls_settings(cert)) as g:
        yield g


@pytest.fixture(scope="module")
def single(alpha):
    """One worker: whoever is held up is held up by another."""
    cert = tokens.certificate()
    with TlsGateway(alpha, tls=cert.client(), server=tls_settings(cert),
                    workers=1) as g:
        yield g


@pytest.mark.parametrize("version, name", [(V12, "TLSv1.2"), (V13, "TLSv1.3")])
def test_versions(gateway, version, name):
    context = tokens.certificate().client(version, version)
    with Connection(gateway.port, tls=context) as c:
        assert c.sock.version() == name
        for i in range(3):
            assert c.ask(legacy("ping", id=i)).json["id"] == i


def test_old_versions_are_refused(gateway):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        Connection(gateway.port, tls=context)


def test_minimum_version(alpha):
    cert = tokens.certificate()
    with TlsGateway(alpha, tls=cert.client(),
                    server=tls_settings(cert, min_version="1.3")) as g:
        with pytest.raises((ssl.SSLError, OSError)):
            Connection(g.port, tls=cert.client(V12, V12))
        with Connection(g.port, tls=cert.client(V13)) as c:
            assert c.ask(PING).status == 200


def test_calls_and_big_bodies(gateway):
    client = gateway.client()
    nonce = "x" * 300000
    assert client.call("alpha_echo", {"nonce": nonce}) == nonce
    assert "alpha_echo" in client.names()


def test_huge_results_and_streams(gateway, alpha):
    alpha.set_handler("huge", b.huge(8))
    alpha.set_handler("steps", b.steps(3))
    client = gateway.client()
    r = client.modern("tools/call", {"name": "alpha_echo"})
    assert r.result
    eventually(lambda: (alpha.notify(), "alpha_huge" in gateway.names())[1],
               "new tools")
    assert len(client.call("alpha_huge")) == 8 << 20
    r = client.modern("tools/call", {"name": "alpha_steps"},
                      meta=client_meta(progressToken=1))
    assert len(r.messages) == 4


def test_pipelined_in_one_record(gateway):
    with gateway.connect() as c:
        c.send(PING * 20)
        for _ in range(20):
            assert c.read().status == 200


def test_plain_http_is_refused(gateway):
    with Connection(gateway.port) as c:
        r = c.try_send(PING)
        try:
            r = c.read()
        except AssertionError:
            r = None  # a TLS alert
        assert r is None or r.status == 400
    assert gateway.client().call("alpha_echo", {"nonce": "1"}) == "1"


@pytest.mark.parametrize("part", [1, 5, 9, 100])
def test_half_a_handshake_holds_nobody_up(single, part):
    """The begin of a ClientHello, and silence."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)
    with Connection(single.port) as c:
        c.send(hello[:part])
        for i in range(3):
            with single.client() as client:
                assert client.call("alpha_echo", {"nonce": "2"}) == "2"


def test_half_a_record_holds_nobody_up(single):
    """A record of a good connection, cut on its way."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tokens.certificate().client().wrap_bio(
        incoming, outgoing, server_hostname="localhost")
    with Connection(single.port) as c:
        def turn(action):
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    c.send(outgoing.read())
                    incoming.write(c.sock.recv(65536))

        turn(tls.do_handshake)
        tls.write(PING)
        record = outgoing.read()
        for at in (3, 20, len(record) - 1):
            c.send(record[:at])
            with single.client() as client:
                assert client.call("alpha_echo", {"nonce": "2"}) == "2"
            c.send(record[at:])
            assert b"200 OK" in turn(lambda: tls.read(65536))
            tls.write(PING)
            record = outgoing.read()


def test_handshake_timeout(alpha):
    cert = tokens.certificate()
    with TlsGateway(alpha, tls=cert.client(),
                    server=tls_settings(cert, handshake_timeout=0.3)) as g:
        with Connection(g.port) as c:
            assert c.is_closed()


def test_close_notify(gateway):
    """The end of a TLS stream is told, so nobody can cut it unseen."""
    with gateway.connect() as c:
        assert c.ask(legacy("ping", fields={"Connection": "close"})).closes
        assert c.sock.recv(10) == b""  # ssl raises on a ragged end


def test_certificate_reload(alpha):
    old, new = tokens.certificate(0), tokens.certificate(1)
    with TlsGateway(alpha, tls=old.client(), server=tls_settings(old)) as g:
        with g.connect() as kept:
            assert kept.ask(PING).status == 200
            g.reload(tls={"cert": new.cert, "key": new.key})
            with Connection(g.port, tls=new.client()) as c:
                assert c.ask(PING).status == 200
            with pytest.raises(ssl.SSLError):
                Connection(g.port, tls=old.client())
            # What is open stays open.
            assert kept.ask(PING).status == 200
        g.tls = new.client()


def test_wrong_key_on_reload(alpha):
    old, new = tokens.certificate(0), tokens.certificate(1)
    with TlsGateway(alpha, tls=old.client(), server=tls_settings(old)) as g:
        g.set(tls={"cert": new.cert, "key": old.key})
        g.write()
        g.hup(ok=False)
        assert g.client().call("alpha_echo", {"nonce": "1"}) == "1"


def test_https_backend():
    cert = tokens.certificate(2)
    with Backend("beta", tls=cert.server()) as beta, Gateway(
            beta, entries=[beta.entry(tls_ca_file=cert.cert)]) as g:
        client = g.client()
        for i in range(5):
            assert client.call("beta_echo", {"nonce": str(i)}) == str(i)
        big = "y" * 200000
        assert client.call("beta_echo", {"nonce": big}) == big
        beta.answers = "sse"
        assert client.call("beta_echo", {"nonce": "sse"}) == "sse"


def test_https_backend_is_verified():
    cert, other = tokens.certificate(2), tokens.certificate(1)
    with Backend("beta", tls=cert.server()) as beta, Backend("alpha") as alpha:
        with Gateway(alpha, entries=[
                alpha.entry(), beta.entry(tls_ca_file=other.cert)],
                ready=False) as g:
            client = g.client()
            eventually(lambda: "alpha_echo" in client.names(), "alpha's tools")
            assert "beta_echo" not in client.names()
            assert not beta.requests


# ---- replicas ----

class Replica(TlsGateway):
    """One of several that differ by nothing but their addresses."""

    def __init__(self, backend, host, port, peers, url):
        cert = tokens.certificate()
        super().__init__(
            backend, tls=cert.client(), server=tls_settings(cert), workers=1,
            host=host, public_url=url, session_key=SESSION_KEY, replica={
                "address": "%s:%d" % (host, port.number),
                "peers": ["%s:%d" % (peer, port.number) for peer in peers],
                "ca_file": cert.cert})
        self.host = host
        self.reserved.free()
        self.reserved, self.port = port, port.number

    def connect(self, **options):
        return Connection(self.port, host=self.host, tls=self.tls,
                          server_name="localhost", **options)


@contextlib.contextmanager
def replicas(backend, url, n=3):
    """On one port of so many addresses, and with one name."""
    hosts = ["127.0.0.%d" % (i + 1) for i in range(n)]
    ports = [Port()]
    ports += [Port(host, ports[0].number) for host in hosts[1:]]
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Replica(
            backend, host, port, [h for h in hosts if h != host], url))
               for host, port in zip(hosts, ports)]


@pytest.mark.parametrize("url", ["https://localhost", "https://127.0.0.1"])
def test_replicas(url):
    """The name that certificates are checked for does not say which one."""
    with Backend("asker", "legacy", tools=[asker("legacy", "form")]) as asks, \
            replicas(asks, url) as all_of_them:
        for one, other in itertools.permutations(all_of_them, 2):
            assert run_modern(one.client(), name="asker_ask",
                              arguments={"nonce": "n"},
                              other=other.client()) == "n, accept Ada"
            message = run_legacy(
                one.client(), session_of(one.client()), name="asker_ask",
                arguments={"nonce": "m"}, answer_by=other.client())
            assert message["result"]["content"][0]["text"] == "m, accept Ada"


def test_replicas_are_told():
    with Backend("alpha") as alpha, \
            replicas(alpha, "https://localhost") as all_of_them:
        for one in all_of_them:
            session = session_of(one.client())
            field = {"Mcp-Session-Id": session}
            assert one.client().request("DELETE", "/mcp",
                                        field).status == 204
            for g in all_of_them:
                eventually(lambda: g.client().post(
                    {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                    field).status == 404, "the session has ended here too")
