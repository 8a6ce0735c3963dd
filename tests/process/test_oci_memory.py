"""Private keys and pass phrases are in the keeper and in no other process:
what the memory and the environment of all of them hold, while they work."""

import contextlib
import pathlib
import re
import threading

import pytest

from cloud import Cloud, simclient
from harness import SANITIZED
from wire import eventually

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="the shadow memory of a sanitizer has no end")

LIST = "oci_compute_list_instances"
PIECE = 16  # bytes that are looked for: no chance makes them
CHUNK = 1 << 20
PASS_PHRASE = "open sesame"
# Program text and files cannot hold it; sealed memory files can.
MEMORY = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r(?:w|.*memfd:)")


@pytest.fixture(scope="module")
def tenancy():
    with simclient.Tenancy("--settle", "0.2") as running:
        yield running


# -- images


def image(pid):
    """What a process remembers, mapping by mapping."""
    with open("/proc/%d/maps" % pid) as file:
        places = [tuple(int(x, 16) for x in found.groups())
                  for found in map(MEMORY.match, file) if found]
    with open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for first, last in places:
            parts = []
            while first < last:
                try:
                    memory.seek(first)
                    data = memory.read(min(last - first, CHUNK))
                except OSError:
                    break  # a mapping that went away
                if not data:
                    break
                parts.append(data)
                first += len(data)
            yield b"".join(parts)


def found_in(pid, needles):
    """The names of the needles that a process holds."""
    total, out = 0, set()
    for data in image(pid):
        total += len(data)
        out |= {name for name, piece in needles.items() if piece in data}
    assert total > 100000, "that is no image of a process"
    return out


def lines_of(pem):
    """The second half of a PEM block: the first may be public numbers."""
    lines = re.findall(r"^[A-Za-z0-9+/=]{64}$", pem, re.M)
    assert len(lines) > 10
    return {"line %d" % i: line.encode() for i, line in enumerate(lines)
            if i > len(lines) // 2}


def numbers_of(pem):
    """Pieces of the secret numbers, as files and as computers write them."""
    key, out = simclient.rsa.read_private(pem.replace("OCI_API_KEY", "")), {}
    for name in ("p", "q", "d", "dp", "dq", "inverse"):
        number = getattr(key, name)
        big = number.to_bytes((number.bit_length() + 7) // 8, "big")
        for order, text in (("big", big), ("little", big[::-1])):
            middle = len(text) // 2
            out["%s %s middle" % (name, order)] = text[middle:middle + PIECE]
            out["%s %s end" % (name, order)] = text[-PIECE - 8:-8]
    return out


@contextlib.contextmanager
def load(cloud, threads=3):
    """Calls from several sides, for as long as the block runs."""
    stopping, failed, done = threading.Event(), [], []

    def work():
        while not stopping.is_set():
            result = cloud.result(LIST, {"limit": 3})
            (failed if result.get("isError") else done).append(result)

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        eventually(lambda: len(done) > 20 or failed, "calls under load")
        yield
    finally:
        stopping.set()
        for thread in running:
            thread.join()
    assert not failed, failed[:1]


def processes(cloud):
    """{"master": pid, "worker 1": pid...}, and the keeper's pid."""
    gateway = cloud.gateway
    out = {"worker %d" % i: pid for i, pid in enumerate(gateway.workers())}
    assert len(out) == 2
    out["master"] = gateway.pid
    try:
        next(image(gateway.pid))
    except PermissionError:
        pytest.skip("only root may look into processes that do not want it")
    return out, gateway.keeper()


def check_images(cloud, needles, in_keeper):
    with load(cloud):
        others, keeper = processes(cloud)
        for name, pid in others.items():
            assert (name, found_in(pid, needles)) == (name, set())
        assert in_keeper <= found_in(keeper, needles), "the search is blind"
        assert cloud.gateway.keeper() == keeper


def environs(cloud):
    out = b""
    for pid in [cloud.gateway.pid, *cloud.gateway.children()]:
        text = pathlib.Path("/proc/%d/environ" % pid).read_bytes()
        assert b"HOME=" in text or not text
        out += text
    return out


# -- tests

AT_WORK = {"p little middle", "q little middle"}


def test_a_key_of_a_file(tenancy):
    pem = pathlib.Path(tenancy.said["key_file"]).read_text()
    with Cloud(tenancy=tenancy) as cloud:
        check_images(cloud, {**lines_of(pem), **numbers_of(pem)}, AT_WORK)


def test_an_encrypted_key_of_a_file(tenancy):
    """The clear key is nowhere in a file: what is found was decrypted."""
    directory = pathlib.Path(tenancy.said["directory"])
    needles = {
        "pass phrase": PASS_PHRASE.encode(),
        **numbers_of(pathlib.Path(tenancy.said["key_file"]).read_text()),
        **lines_of((directory / "user-encrypted.pem").read_text())}
    with Cloud(tenancy=tenancy, entry={"oci_profile": "ENCRYPTED"}) as cloud:
        check_images(cloud, needles, AT_WORK)


def test_a_key_and_a_pass_phrase_of_variables(tenancy, tmp_path):
    directory = pathlib.Path(tenancy.said["directory"])
    encrypted = (directory / "user-encrypted.pem").read_text()
    key_id = simclient.identity(tenancy.said["config_file"], "DEFAULT")[0]
    owner, user, fingerprint = key_id.split("/")
    needles = {
        "pass phrase": PASS_PHRASE.encode(),
        **numbers_of(pathlib.Path(tenancy.said["key_file"]).read_text()),
        **lines_of(encrypted)}
    env = {"HOME": str(tmp_path), "OCI_CLI_TENANCY": owner,
           "OCI_CLI_USER": user, "OCI_CLI_FINGERPRINT": fingerprint,
           "OCI_CLI_REGION": "us-ashburn-1",
           "OCI_CLI_KEY_CONTENT": encrypted,
           "OCI_CLI_PASSPHRASE": PASS_PHRASE}
    with Cloud(tenancy=tenancy, env=env) as cloud:
        cloud.gateway.secrets.add(PASS_PHRASE)
        check_images(cloud, needles, AT_WORK | {"pass phrase"})
        text = environs(cloud)
        assert not {name for name, piece in needles.items() if piece in text}


def test_a_resource_principal_of_variables(tenancy, tmp_path):
    env = dict(tenancy.said["environments"]["resource_principal"],
               HOME=str(tmp_path))
    pem = pathlib.Path(tenancy.said["rp_private_pem"]).read_text()
    token = pathlib.Path(tenancy.said["rpst"]).read_text().strip()
    env.update(OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM=pem,
               OCI_RESOURCE_PRINCIPAL_RPST=token)
    needles = {**lines_of(pem), **numbers_of(pem)}
    with Cloud(tenancy=tenancy, env=env) as cloud:
        cloud.gateway.secrets.add(token)
        check_images(cloud, needles, AT_WORK)
        text = environs(cloud)
        assert token.encode() not in text
        assert not {name for name, piece in needles.items() if piece in text}


def test_nobody_else_may_look(tenancy):
    """Processes that hold or ask for signatures leave no dump and are not
    debugged by their own user."""
    with Cloud(tenancy=tenancy) as cloud:
        cloud.call(LIST, limit=1)
        # What may not be dumped belongs to root, whoever runs it.
        for pid in cloud.gateway.children():
            limits = pathlib.Path("/proc/%d/limits" % pid).read_text()
            found = re.search(r"Max core file size\s+(\S+)\s+(\S+)", limits)
            assert found.groups() == ("0", "0"), limits
