"""DER (X.690), as much of it as keys and certificates need."""

import base64
import datetime

SEQUENCE, SET, INTEGER, BITS, OCTETS, NULL, OID = 48, 49, 2, 3, 4, 5, 6
UTF8, UTCTIME, BOOLEAN = 12, 23, 1


def tlv(tag, content):
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(length))) + length + content


def sequence(*parts):
    return tlv(SEQUENCE, b"".join(parts))


def set_of(*parts):
    return tlv(SET, b"".join(parts))


def integer(number):
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def octets(data):
    return tlv(OCTETS, data)


def bits(data):
    return tlv(BITS, b"\0" + data)


def null():
    return tlv(NULL, b"")


def boolean(value):
    return tlv(BOOLEAN, b"\xff" if value else b"\0")


def utf8(text):
    return tlv(UTF8, text.encode())


def utctime(moment):
    return tlv(UTCTIME, moment.strftime("%y%m%d%H%M%SZ").encode())


def tagged(number, content):
    """An explicit tag of the context class."""
    return tlv(0xA0 | number, content)


def oid(dotted):
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = bytearray((40 * first + second,))
    for part in rest:
        group = [part & 127]
        while part := part >> 7:
            group.append(128 | part & 127)
        out += bytes(reversed(group))
    return tlv(OID, bytes(out))


class Reader:
    """Walks the elements of one DER value. Raises ValueError on bad input."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def __bool__(self):
        return self.at < len(self.data)

    def element(self):
        """(tag, content, whole element)"""
        start = self.at
        if start + 2 > len(self.data):
            raise ValueError("DER ends too early")
        tag, size = self.data[start], self.data[start + 1]
        at = start + 2
        if size & 128:
            count = size & 127
            size = int.from_bytes(self.data[at:at + count], "big")
            at += count
        if at + size > len(self.data):
            raise ValueError("DER ends too early")
        self.at = at + size
        return tag, self.data[at:self.at], self.data[start:self.at]

    def take(self, tag):
        found, content, _ = self.element()
        if found != tag:
            raise ValueError("DER tag %d where %d was due" % (found, tag))
        return content

    def enter(self, tag=SEQUENCE):
        return Reader(self.take(tag))

    def integer(self):
        return int.from_bytes(self.take(INTEGER), "big", signed=True)


def read_oid(content):
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 127
        if not byte & 128:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first] + numbers[1:]))


def pem(label, data, headers=""):
    text = base64.b64encode(data).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "-----BEGIN %s-----\n%s%s\n-----END %s-----\n" % (
        label, headers, "\n".join(lines), label)


def unpem(text):
    """The bytes of a PEM block, or of its bare base64."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return base64.b64decode("".join(
        line for line in lines if line and not line.startswith("-----")),
        validate=True)


def now():
    return datetime.datetime.now(datetime.timezone.utc)
