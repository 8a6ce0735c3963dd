"""Request signatures, version 1, as the services check them, and the tokens
that carry a key (JWT, RS256)."""

import base64
import binascii
import calendar
import hashlib
import json
import re
import secrets
import time

import rsa

SKEW_S = 300
MAX_AUTHORIZATION = 16384
EMPTY_SHA256 = base64.b64encode(hashlib.sha256(b"").digest()).decode()
PARAMETER = re.compile(r'\s*([A-Za-z]+)="([^"]*)"\s*(?:,|$)')
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) (Jan|Feb|Mar|Apr|May"
                  r"|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) "
                  r"(\d{2}):(\d{2}):(\d{2}) GMT$")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
# What must be signed besides a date. Federation of instances leaves out host.
ALWAYS = ("(request-target)", "host")
WITH_BODY = ("content-length", "content-type", "x-content-sha256")
BODY_METHODS = ("POST", "PUT", "PATCH")
# Headers that must be signed when they are sent.
SIGNED_IF_SENT = ("opc-obo-token",)


class Refused(Exception):
    """The reason is for the simulator's log; the client learns nothing."""


def http_date(seconds):
    t = time.gmtime(seconds)
    return "%s, %02d %s %d %02d:%02d:%02d GMT" % (
        DAYS[t.tm_wday], t.tm_mday, MONTHS[t.tm_mon - 1], t.tm_year, t.tm_hour,
        t.tm_min, t.tm_sec)


def read_date(text):
    match = DATE.match(text)
    if not match:
        raise Refused("date is not an IMF-fixdate: %r" % text)
    _, day, month, *rest = match.groups()
    year, hour, minute, second = map(int, rest)
    return calendar.timegm((year, MONTHS.index(month) + 1, int(day), hour,
                            minute, second))


class Authorization:
    """The parameters of one Authorization header, in whichever order."""

    def __init__(self, value):
        if len(value) > MAX_AUTHORIZATION:
            raise Refused("Authorization is too long")
        scheme, _, rest = value.partition(" ")
        if scheme.lower() != "signature":
            raise Refused("the scheme is not Signature")
        found, at = {}, 0
        while at < len(rest):
            match = PARAMETER.match(rest, at)
            if not match:
                raise Refused("Authorization cannot be parsed")
            name, text = match.groups()
            if name in found:
                raise Refused("parameter %s stands twice" % name)
            found[name], at = text, match.end()
        for name in ("keyId", "headers", "signature", "algorithm"):
            if not found.get(name):
                raise Refused("parameter %s is missing" % name)
        if found["algorithm"] != "rsa-sha256":
            raise Refused("the algorithm is not rsa-sha256")
        if found.get("version", "1") != "1":
            raise Refused("the version is not 1")
        self.key_id = found["keyId"]
        self.headers = [name.lower() for name in found["headers"].split()]
        if len(set(self.headers)) != len(self.headers):
            raise Refused("a header is listed twice")
        try:
            self.signature = base64.b64decode(found["signature"],
                                              validate=True)
        except binascii.Error:
            raise Refused("the signature is not base64")


def signing_string(method, target, headers, names):
    """headers: one value by lower-case name."""
    lines = []
    for name in names:
        if name == "(request-target)":
            value = "%s %s" % (method.lower(), target)
        elif name in headers:
            value = headers[name]
        else:
            raise Refused("%s is signed but was not sent" % name)
        lines.append("%s: %s" % (name, value))
    return "\n".join(lines)


def check_date(names, headers, now):
    if "x-date" not in names and "date" not in names:
        raise Refused("no date is signed")
    # Of two dates x-date counts, whichever is signed: federation by
    # oci-common sends both and signs the other.
    name = "x-date" if "x-date" in headers else "date"
    if now is None:
        return
    behind = now - read_date(headers[name])
    if abs(behind) > SKEW_S:
        raise Refused("the date is %d s away" % behind)


def check_body(method, names, headers, body, unsigned_body):
    if method not in BODY_METHODS:
        return
    some = [name for name in WITH_BODY if name in names]
    if unsigned_body and "x-content-sha256" not in names:
        return
    if len(some) != len(WITH_BODY):
        raise Refused("not signed: %s" % ", ".join(
            sorted(set(WITH_BODY) - set(some))))
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    if not secrets.compare_digest(digest, headers["x-content-sha256"]):
        raise Refused("x-content-sha256 is not that of the body")
    if headers["content-length"] != str(len(body)):
        raise Refused("content-length is not that of the body")


def verify(request, find_key, now=None, unsigned_body=False, host=True,
           body=True):
    """Check one request; the Authorization or Refused.

    request: .method, .target, .headers (one value by lower-case name), .body.
    find_key(key id) gives (PublicKey, anything) or raises Refused. now None
    leaves the date alone. host False: the host need not be signed. body False:
    the body is not at hand.
    """
    authorization = Authorization(request.headers.get("authorization", ""))
    names = authorization.headers
    for name in ALWAYS:
        if name not in names and (host or name != "host"):
            raise Refused("%s is not signed" % name)
    for name in SIGNED_IF_SENT:
        if name in request.headers and name not in names:
            raise Refused("%s is sent but not signed" % name)
    text = signing_string(request.method, request.target, request.headers,
                          names)
    check_date(names, request.headers, now)
    if body:
        check_body(request.method, names, request.headers, request.body,
                   unsigned_body)
    key, found = find_key(authorization.key_id)
    if not key.verify(text.encode("latin-1"), authorization.signature):
        raise Refused("the signature does not fit")
    return authorization, found


def make_token(key, kid, claims):
    parts = [rsa.b64url(json.dumps(part, separators=(",", ":")).encode())
             for part in ({"alg": "RS256", "kid": kid, "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    return "%s.%s" % (signed, rsa.b64url(key.sign(signed.encode())))


# A token is presented thousands of times; its signature is checked once.
verified = {}


def read_token(token, keys, now):
    """The claims of a token signed by one of keys (PublicKey by kid)."""
    cached = token, tuple(keys)
    claims = verified.get(cached)
    if claims is None:
        try:
            head, body, signature = token.split(".")
            header = json.loads(rsa.unb64url(head))
            claims = json.loads(rsa.unb64url(body))
            raw = rsa.unb64url(signature)
        except (ValueError, UnicodeDecodeError):
            raise Refused("the token is not a JWT")
        if header.get("alg") != "RS256" or header.get("kid") not in keys:
            raise Refused("the token is by a stranger")
        key = keys[header["kid"]]
        if not key.verify(("%s.%s" % (head, body)).encode(), raw):
            raise Refused("the token's signature does not fit")
        if len(verified) > 4096:
            verified.clear()
        verified[cached] = claims
    if now >= claims.get("exp", 0):
        raise Refused("the token expired %d s ago" % (now - claims["exp"]))
    return claims
