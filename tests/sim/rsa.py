"""RSA with pow(): keys, RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017), and every
PEM form in which a private key comes along."""

import base64
import hashlib
import json
import pathlib
import secrets
import threading

import aes
import der

RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
# DigestInfo of SHA-256 up to the digest itself (RFC 8017 9.2, note 1).
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SMALL_PRIMES = [n for n in range(3, 2000, 2)
                if all(n % d for d in range(3, int(n ** 0.5) + 1, 2))]


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def colons(data):
    return ":".join("%02x" % byte for byte in data)


def encoded(data, size):
    """EMSA-PKCS1-v1_5 of data's SHA-256."""
    tail = b"\0" + DIGEST_INFO + hashlib.sha256(data).digest()
    return b"\0\1" + b"\xff" * (size - 2 - len(tail)) + tail


class PublicKey:
    def __init__(self, n, e):
        self.n, self.e = n, e
        self.size = (n.bit_length() + 7) // 8

    def verify(self, data, signature):
        if len(signature) != self.size:
            return False
        number = int.from_bytes(signature, "big")
        if number >= self.n:
            return False
        found = pow(number, self.e, self.n).to_bytes(self.size, "big")
        return secrets.compare_digest(found, encoded(data, self.size))

    def spki(self):
        return der.sequence(
            der.sequence(der.oid(RSA_ENCRYPTION), der.null()),
            der.bits(der.sequence(der.integer(self.n), der.integer(self.e))))

    def pem(self):
        return der.pem("PUBLIC KEY", self.spki())

    def fingerprint(self):
        """The name of an API key: MD5 of the public key."""
        return colons(hashlib.md5(self.spki()).digest())

    def jwk(self, kid):
        return {"kid": kid, "n": b64url(self.n.to_bytes(self.size, "big")),
                "e": b64url(self.e.to_bytes((self.e.bit_length() + 7) // 8,
                                            "big")),
                "kty": "RSA", "alg": "RS256", "use": "sig"}


class PrivateKey:
    def __init__(self, p, q, e=65537):
        self.p, self.q = p, q
        self.public = PublicKey(p * q, e)
        self.d = pow(e, -1, (p - 1) * (q - 1))
        self.dp, self.dq = self.d % (p - 1), self.d % (q - 1)
        self.inverse = pow(q, -1, p)

    def sign(self, data):
        size = self.public.size
        number = int.from_bytes(encoded(data, size), "big")
        a = pow(number % self.p, self.dp, self.p)
        b = pow(number % self.q, self.dq, self.q)
        return (b + (a - b) * self.inverse % self.p * self.q).to_bytes(
            size, "big")

    def pkcs1(self):
        return der.sequence(*(der.integer(number) for number in (
            0, self.public.n, self.public.e, self.d, self.p, self.q, self.dp,
            self.dq, self.inverse)))

    def pkcs8(self):
        return der.sequence(
            der.integer(0),
            der.sequence(der.oid(RSA_ENCRYPTION), der.null()),
            der.octets(self.pkcs1()))

    def pem(self):
        return der.pem("PRIVATE KEY", self.pkcs8())

    def pem_pkcs1(self):
        return der.pem("RSA PRIVATE KEY", self.pkcs1())

    def pem_encrypted(self, pass_phrase):
        """ENCRYPTED PRIVATE KEY: PBES2, PBKDF2 with SHA-256, AES-256-CBC."""
        salt, iv = secrets.token_bytes(16), secrets.token_bytes(16)
        rounds = 2048
        key = hashlib.pbkdf2_hmac("sha256", pass_phrase.encode(), salt, rounds,
                                  32)
        derive = der.sequence(
            der.oid("1.2.840.113549.1.5.12"),
            der.sequence(der.octets(salt), der.integer(rounds), der.sequence(
                der.oid("1.2.840.113549.2.9"), der.null())))
        cipher = der.sequence(der.oid("2.16.840.1.101.3.4.1.42"),
                              der.octets(iv))
        return der.pem("ENCRYPTED PRIVATE KEY", der.sequence(
            der.sequence(der.oid("1.2.840.113549.1.5.13"),
                         der.sequence(derive, cipher)),
            der.octets(aes.encrypt_cbc(key, iv, self.pkcs8()))))

    def pem_legacy(self, pass_phrase):
        """RSA PRIVATE KEY with Proc-Type (RFC 1421) and AES-256-CBC."""
        iv = secrets.token_bytes(16)
        key = block = b""
        while len(key) < 32:
            block = hashlib.md5(block + pass_phrase.encode() + iv[:8]).digest()
            key += block
        headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,%s\n\n" % (
            iv.hex().upper())
        return der.pem("RSA PRIVATE KEY",
                       aes.encrypt_cbc(key[:32], iv, self.pkcs1()), headers)


def read_spki(data):
    """PublicKey of a DER SubjectPublicKeyInfo."""
    top = der.Reader(data).enter()
    algorithm = top.enter()
    if der.read_oid(algorithm.take(der.OID)) != RSA_ENCRYPTION:
        raise ValueError("not an RSA key")
    numbers = der.Reader(top.take(der.BITS)[1:]).enter()
    return PublicKey(numbers.integer(), numbers.integer())


def read_jwk(jwk):
    return PublicKey(int.from_bytes(unb64url(jwk["n"]), "big"),
                     int.from_bytes(unb64url(jwk["e"]), "big"))


def read_private(text):
    """PrivateKey of an unencrypted PEM block."""
    reader = der.Reader(der.unpem(text)).enter()
    reader.integer()
    if " RSA " not in text:
        reader.enter()
        reader = der.Reader(reader.take(der.OCTETS)).enter()
        reader.integer()
    _, e, _, p, q = (reader.integer() for _ in range(5))
    return PrivateKey(p, q, e)


def is_prime(n):
    if any(n % prime == 0 for prime in SMALL_PRIMES):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(6):
        x = pow(secrets.randbelow(n - 3) + 2, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(size):
    while True:
        n = secrets.randbits(size) | 3 << size - 2 | 1
        if n % 65537 != 1 and is_prime(n):
            return n


def generate(size=2048):
    return PrivateKey(prime(size // 2), prime(size // 2))


class Pool:
    """Keys that belong to nobody, made beforehand because making one takes a
    second; when they are used up, new ones are made."""

    FILE = pathlib.Path(__file__).with_name("throwaway-keys.json")

    def __init__(self, fresh=False):
        self.lock = threading.Lock()
        self.ready = [] if fresh else json.loads(self.FILE.read_text())["keys"]

    def take(self):
        with self.lock:
            row = self.ready.pop(0) if self.ready else None
        if row is None:
            return generate()
        return PrivateKey(int(row["p"], 16), int(row["q"], 16))


if __name__ == "__main__":
    made = [generate() for _ in range(16)]
    Pool.FILE.write_text(json.dumps({
        "about": "RSA keys of the simulated tenancy: they open nothing. Made "
                 "by: python3 rsa.py",
        "keys": [{"p": "%x" % key.p, "q": "%x" % key.q} for key in made]},
        indent=1) + "\n")
