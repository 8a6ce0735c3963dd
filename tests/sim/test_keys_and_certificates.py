"""The cryptography that the standard library lacks."""

import datetime
import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import aes  # noqa: E402
import certificates  # noqa: E402
import der  # noqa: E402
import rsa  # noqa: E402

POOL = rsa.Pool()
KEY, OTHER = POOL.take(), POOL.take()


def test_aes_256():
    """FIPS 197, C.3."""
    rounds = aes.expand(bytes(range(32)))
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert aes.encrypt_block(rounds, block).hex() == \
        "8ea2b7ca516745bfeafc49904b496089"


def test_aes_256_cbc():
    """NIST SP 800-38A, F.2.5, the first block."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d7781"
                        "1f352c073b6108d72d9810a30914dff4")
    data = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    assert aes.encrypt_cbc(key, bytes(range(16)), data)[:16].hex() == \
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6"


@pytest.mark.parametrize("form", ["pem", "pem_pkcs1"])
def test_private_key_round_trip(form):
    text = getattr(KEY, form)()
    again = rsa.read_private(text)
    assert again.public.n == KEY.public.n and again.d == KEY.d


def test_public_key_round_trip():
    spki = KEY.public.spki()
    assert rsa.read_spki(spki).spki() == spki
    assert rsa.read_jwk(KEY.public.jwk("k")).n == KEY.public.n
    assert der.unpem(KEY.public.pem()) == spki


def test_signature():
    signature = KEY.sign(b"text")
    assert KEY.public.verify(b"text", signature)
    assert not KEY.public.verify(b"texT", signature)
    assert not KEY.public.verify(b"text", signature[:-1])
    assert not KEY.public.verify(b"text", b"\xff" * 256)
    assert not KEY.public.verify(b"text", bytes(256))


def test_certificate():
    data = certificates.make(
        [("CN", "leaf"), ("OU", "opc-tenant:x")], OTHER.public,
        [("CN", "root")], KEY, 60, hosts=("127.0.0.1", "localhost"))
    leaf = certificates.Certificate(data)
    assert leaf.subject[0] == ("CN", "leaf") and leaf.unit(
        "opc-tenant:") == "x" and leaf.unit("opc-other:") is None
    assert leaf.is_by(KEY.public)
    assert not leaf.is_by(OTHER.public)
    late = der.now() + datetime.timedelta(seconds=61)
    assert not leaf.is_by(KEY.public, late)
    changed = data.replace(b"leaf", b"LEAF")
    assert not certificates.Certificate(changed).is_by(KEY.public)


@pytest.mark.parametrize("size", range(0, 400, 7))
def test_cut_certificate(size):
    data = certificates.make([("CN", "x")], KEY.public, [("CN", "x")], KEY,
                             60)
    with pytest.raises((ValueError, IndexError)):
        certificates.Certificate(data[:size])
