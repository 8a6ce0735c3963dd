"""The verifier accepts what Oracle's clients sign, and nothing else."""

import base64
import json
import pathlib
import sys
import urllib.parse

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import der  # noqa: E402
import http1  # noqa: E402
import rsa  # noqa: E402
import signing  # noqa: E402

DATA = json.loads(pathlib.Path(__file__).with_name(
    "vectors.json").read_text())
KEY = rsa.read_spki(der.unpem(DATA["public_key"]))
VECTORS = {vector["name"]: vector for vector in DATA["vectors"]}


def request_of(vector):
    """The request as it came over the wire."""
    rest = vector["url"].split("://", 1)[1]
    slash = rest.find("/")
    target = rest[slash:] if slash >= 0 else "/"
    request = http1.Request(vector["method"], target, "HTTP/1.1",
                            list(vector["headers"].items()) +
                            [("Authorization", vector["authorization"])])
    request.body = base64.b64decode(vector["body_base64"] or "")
    return request


def verify(request, now=None, unsigned=False, host=True):
    return signing.verify(request, lambda key_id: (KEY, key_id), now,
                          unsigned, host)


def is_upload(vector):
    return vector["method"] == "PUT" and "/o/" in vector["url"]


def check(vector, request, now=None):
    return verify(request, now, unsigned=is_upload(vector),
                  host="x509" not in vector["name"])


def test_there_are_all_vectors():
    assert len(VECTORS) == 60


@pytest.mark.parametrize("name", VECTORS)
def test_vector_is_accepted(name):
    authorization, key_id = check(VECTORS[name], request_of(VECTORS[name]))
    assert key_id and authorization.headers


def change_target(request):
    request.target += "x"


def change_host(request):
    request.headers["host"] = "elsewhere.example"


def change_body(request):
    request.body += b" "


def change_date(request):
    name = "x-date" if "x-date" in request.headers else "date"
    request.headers[name] = "Thu, 05 Jan 2023 21:31:41 GMT"


def change_signature(request):
    text = request.headers["authorization"]
    at = text.index('signature="') + 20
    request.headers["authorization"] = \
        text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]


def drop_target(request):
    request.headers["authorization"] = request.headers[
        "authorization"].replace("(request-target) ", "")


def repeat_parameter(request):
    request.headers["authorization"] += ',version="1"'


def change_method(request):
    request.method = "DELETE" if request.method != "DELETE" else "GET"


CHANGES = (change_target, change_host, change_body, change_date,
           change_signature, drop_target, repeat_parameter, change_method)


def is_covered(vector, change):
    """Whether what is changed is signed at all."""
    if change is change_host:
        return "x509" not in vector["name"]
    return change is not change_body or "x-content-sha256" in vector["headers"]


@pytest.mark.parametrize("name, change", [
    (name, change) for name, vector in VECTORS.items() for change in CHANGES
    if is_covered(vector, change)])
def test_mutated_vector_is_refused(name, change):
    vector = VECTORS[name]
    request = request_of(vector)
    change(request)
    with pytest.raises(signing.Refused):
        check(vector, request)


@pytest.mark.parametrize("away_s, fine", [
    (0, True), (299, True), (300, True), (301, False), (-300, True),
    (-301, False)])
def test_date_may_be_five_minutes_away(away_s, fine):
    vector = VECTORS["py-get-simple"]
    now = signing.read_date(vector["headers"]["date"]) + away_s
    if fine:
        check(vector, request_of(vector), now)
    else:
        with pytest.raises(signing.Refused):
            check(vector, request_of(vector), now)


def test_of_two_dates_x_date_counts():
    request = request_of(VECTORS["py-get-simple"])
    now = signing.read_date(request.headers["date"])
    request.headers["x-date"] = "Thu, 01 Jan 1970 00:00:00 GMT"
    with pytest.raises(signing.Refused):
        verify(request, now)
    request = request_of(VECTORS["ts-get-simple"])
    request.headers["date"] = "Thu, 01 Jan 1970 00:00:00 GMT"
    verify(request, signing.read_date(request.headers["x-date"]))


@pytest.mark.parametrize("text", [
    "", "Basic abc", "Signature", 'Signature version="1"',
    'Signature version="2",keyId="k",algorithm="rsa-sha256",headers="date",'
    'signature="AAAA"',
    'Signature keyId="k",algorithm="hs2019",headers="date",signature="AAAA"',
    'Signature keyId="k",algorithm="rsa-sha256",headers="date date",'
    'signature="AAAA"',
    'Signature keyId="k",algorithm="rsa-sha256",headers="date",'
    'signature="*"',
    "Signature " + "x" * 20000])
def test_malformed_authorization(text):
    with pytest.raises(signing.Refused):
        signing.Authorization(text)


def test_token_round_trip():
    key = rsa.Pool().take()
    token = signing.make_token(key, "k", {"exp": 100, "sub": "me"})
    keys = {"k": key.public}
    assert signing.read_token(token, keys, 99)["sub"] == "me"
    with pytest.raises(signing.Refused):
        signing.read_token(token, keys, 100)
    head, body, signature = token.split(".")
    other = rsa.b64url(b'{"exp":999999,"sub":"you"}')
    for bad in ("", "a.b", "%s.%s.%s" % (head, other, signature),
                "%s.%s.%s" % (head, body, signature[:-8] + "AAAAAAAA")):
        with pytest.raises(signing.Refused):
            signing.read_token(bad, keys, 1)
    with pytest.raises(signing.Refused):
        signing.read_token(token, {"other": key.public}, 1)


def test_query_is_not_normalised():
    """What is verified is the target as it came."""
    vector = VECTORS["ts-get-simple"]
    request = request_of(vector)
    request.target = urllib.parse.unquote(request.target) + "&"
    with pytest.raises(signing.Refused):
        verify(request)
