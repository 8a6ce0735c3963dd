"""Keys, certificates and tokens, made with the openssl command."""

import base64
import functools
import hashlib
import hmac
import json
import os
import ssl
import subprocess
import tempfile
import time


def openssl(*args, data=None):
    done = subprocess.run(("openssl",) + args, input=data, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, (args, done.stderr.decode())
    return done.stdout


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(der, size):
    """ECDSA: the two integers of the DER form, size bytes each (RFC 7518)."""
    assert der[0] == 0x30
    at = 3 if der[1] & 0x80 else 2
    out = b""
    for _ in range(2):
        assert der[at] == 2
        length = der[at + 1]
        number = der[at + 2:at + 2 + length].lstrip(b"\0")
        out += number.rjust(size, b"\0")
        at += 2 + length
    return out


class Key:
    """A key pair. kind: rsa, p256, p384, ed25519."""

    OPTIONS = {
        "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        "p256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        "p384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
        "ed25519": ("-algorithm", "ED25519"),
    }
    DEFAULT = {"rsa": "RS256", "p256": "ES256", "p384": "ES384",
               "ed25519": "EdDSA"}

    def __init__(self, kind):
        self.kind = kind
        self.dir = tempfile.TemporaryDirectory(prefix="key-")
        self.private = os.path.join(self.dir.name, "private.pem")
        self.public = os.path.join(self.dir.name, "public.pem")
        openssl("genpkey", *self.OPTIONS[kind], "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def sign(self, data, alg):
        if alg == "EdDSA":
            # One-shot algorithms take their input from a file only.
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                return openssl("pkeyutl", "-sign", "-rawin", "-inkey",
                               self.private, "-in", file.name)
        options = ["-sha" + alg[2:], "-sign", self.private]
        if alg.startswith("PS"):
            options += ["-sigopt", "rsa_padding_mode:pss",
                        "-sigopt", "rsa_pss_saltlen:digest"]
        signature = openssl("dgst", *options, data=data)
        if alg.startswith("ES"):
            return raw_signature(signature, {"p256": 32, "p384": 48}[self.kind])
        return signature

    def token(self, alg=None, header=None, **claims):
        """A token that is good for an hour; a claim of None is left out."""
        alg = alg or self.DEFAULT[self.kind]
        now = int(time.time())
        payload = {"iss": "https://issuer.example", "sub": "someone",
                   "aud": "https://gateway.example/mcp", "iat": now,
                   "exp": now + 3600}
        payload.update(claims)
        payload = {k: v for k, v in payload.items() if v is not None}
        head = {"alg": alg, "typ": "JWT", **(header or {})}
        text = "%s.%s" % (b64(json.dumps(head).encode()),
                          b64(json.dumps(payload).encode()))
        return "%s.%s" % (text, b64(self.sign(text.encode(), alg)))


@functools.lru_cache(None)
def key(kind, number=0):
    """One key pair of a kind for the whole run; number tells them apart."""
    return Key(kind)


def unsigned(header, payload, signature=b""):
    return "%s.%s.%s" % (b64(json.dumps(header).encode()),
                         b64(json.dumps(payload).encode()), b64(signature))


def hs256(secret, header, payload):
    text = unsigned({"alg": "HS256", "typ": "JWT", **header}, payload)
    text = text.rsplit(".", 1)[0]
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return "%s.%s" % (text, b64(mac))


def hashed(token):
    """A static token as the configuration may keep it."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost."""

    def __init__(self, name="localhost"):
        self.dir = tempfile.TemporaryDirectory(prefix="cert-")
        self.key = os.path.join(self.dir.name, "key.pem")
        self.cert = os.path.join(self.dir.name, "cert.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-keyout", self.key, "-out", self.cert, "-subj", "/CN=" + name,
                "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")

    def client(self, minimum=None, maximum=None):
        """A client's context that trusts this certificate only."""
        context = ssl.create_default_context(cafile=self.cert)
        if minimum:
            context.minimum_version = minimum
        if maximum:
            context.maximum_version = maximum
        return context

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


@functools.lru_cache(None)
def certificate(number=0):
    return Certificate("certificate %d" % number)
