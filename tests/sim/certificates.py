"""X.509 certificates: made and read, with RSA keys and SHA-256."""

import datetime
import hashlib
import ipaddress
import secrets

import der
import rsa

SHA256_WITH_RSA = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.null())
ATTRIBUTES = {"CN": "2.5.4.3", "O": "2.5.4.10", "OU": "2.5.4.11"}
NAMES = {dotted: name for name, dotted in ATTRIBUTES.items()}


def name(pairs):
    return der.sequence(*(der.set_of(der.sequence(
        der.oid(ATTRIBUTES[kind]), der.utf8(text))) for kind, text in pairs))


def extension(dotted, critical, value):
    parts = [der.oid(dotted)] + ([der.boolean(True)] if critical else [])
    return der.sequence(*parts, der.octets(value))


def extensions(ca, hosts):
    out = [extension("2.5.29.19", True, der.sequence(
        *([der.boolean(True)] if ca else [])))]
    # keyCertSign and cRLSign, or digitalSignature and keyEncipherment.
    usage = b"\1\6" if ca else b"\5\xa0"
    out.append(extension("2.5.29.15", True, der.tlv(der.BITS, usage)))
    if hosts:
        names = []
        for host in hosts:
            try:
                names.append(der.tlv(0x87, ipaddress.ip_address(host).packed))
            except ValueError:
                names.append(der.tlv(0x82, host.encode()))
        out.append(extension("2.5.29.17", False, der.sequence(*names)))
    return der.tagged(3, der.sequence(*out))


def make(subject, public, issuer, issuer_key, lifetime_s, ca=False, hosts=()):
    """DER of a certificate. subject, issuer: lists of ("CN", text)."""
    start = der.now() - datetime.timedelta(minutes=5)
    body = der.sequence(
        der.tagged(0, der.integer(2)), der.integer(secrets.randbits(120) | 1),
        SHA256_WITH_RSA, name(issuer),
        der.sequence(der.utctime(start), der.utctime(
            der.now() + datetime.timedelta(seconds=lifetime_s))),
        name(subject), public.spki(), extensions(ca, hosts))
    return der.sequence(body, SHA256_WITH_RSA,
                        der.bits(issuer_key.sign(body)))


class Certificate:
    """One that was read. Raises ValueError when it cannot be."""

    def __init__(self, data):
        self.data = data
        top = der.Reader(data).enter()
        _, content, self.body = top.element()
        top.element()
        self.signature = top.take(der.BITS)[1:]
        reader = der.Reader(content)
        for _ in range(4):  # version, serial number, algorithm, issuer
            reader.element()
        dates = reader.enter()
        self.not_before, self.not_after = (
            datetime.datetime.strptime(
                dates.take(der.UTCTIME).decode(), "%y%m%d%H%M%SZ").replace(
                    tzinfo=datetime.timezone.utc) for _ in range(2))
        self.subject = list(self.read_name(reader.enter()))
        self.public = rsa.read_spki(reader.element()[2])

    @staticmethod
    def read_name(reader):
        while reader:
            pair = reader.enter(der.SET).enter()
            kind = der.read_oid(pair.take(der.OID))
            yield NAMES.get(kind, kind), pair.element()[1].decode()

    def is_by(self, public, moment=None):
        moment = moment or der.now()
        return self.not_before <= moment <= self.not_after and \
            public.verify(self.body, self.signature)

    def unit(self, prefix):
        """What follows the prefix in an organizational unit."""
        for kind, text in self.subject:
            if kind == "OU" and text.startswith(prefix):
                return text[len(prefix):]
        return None

    def fingerprint(self, algorithm):
        return rsa.colons(hashlib.new(algorithm, self.data).digest())
