"""Starts a tenancy and calls it with signed requests: for tests, in Python's
standard library alone."""

import base64
import configparser
import hashlib
import http.client
import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse

import rsa
import signing

PROGRAM = pathlib.Path(__file__).with_name("tenancy.py")
# The order of the parameters of Authorization, by client.
ORDERS = {"python": "algorithm headers keyId signature version",
          "go": "version headers keyId algorithm signature",
          "java": "headers keyId algorithm signature version",
          "typescript": "version keyId algorithm headers signature"}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def value(self):
        return json.loads(self.body) if self.body else None


class Tenancy:
    """A running simulator; what it said is in .said and its url in .url."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)] + list(options),
            stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line, "the simulator did not start"
        self.said = json.loads(line)
        self.url = self.said["url"]
        self.directory = pathlib.Path(self.said["directory"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def client(self, profile="DEFAULT", **options):
        return Client(self.url, *identity(self.said["config_file"], profile),
                      **options)

    def control(self, method, path, value=None):
        answer = send(self.url, method, "/sim/" + path,
                      {"content-type": "application/json"},
                      json.dumps(value).encode() if value is not None
                      else b"")
        assert answer.status == 200, answer.body
        return answer.value


def identity(config_file, profile):
    """Key id and key of a profile with an unencrypted key."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(config_file)
    row = parser[profile]
    key = rsa.read_private(pathlib.Path(row["key_file"]).read_text().replace(
        "OCI_API_KEY", ""))
    if "security_token_file" in row:
        return "ST$" + pathlib.Path(
            row["security_token_file"]).read_text().strip(), key
    return "%s/%s/%s" % (row["tenancy"], row["user"], row["fingerprint"]), key


def send(url, method, target, headers, body=b""):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port,
                                            timeout=30)
    try:
        connection.putrequest(method, target, skip_host=True,
                              skip_accept_encoding=True)
        for name, value in {"host": parts.netloc, **headers}.items():
            connection.putheader(name, value)
        if "content-length" not in headers and body:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(response.status, {
            name.lower(): value for name, value in response.getheaders()},
            response.read())
    finally:
        connection.close()


class Client:
    def __init__(self, url, key_id, key, order="python", date="date",
                 host=None, skew_s=0):
        self.url, self.key_id, self.key = url, key_id, key
        self.order, self.date, self.skew_s = order, date, skew_s
        self.host = host or urllib.parse.urlsplit(url).netloc

    def sign(self, method, target, body=b"", sign_body=True, names=None,
             more=None):
        headers = {"host": self.host,
                   self.date: signing.http_date(time.time() + self.skew_s),
                   **(more or {})}
        signed = [self.date, "(request-target)", "host"]
        if method in signing.BODY_METHODS:
            headers["content-length"] = str(len(body))
            headers.setdefault("content-type", "application/json")
            if sign_body:
                headers["x-content-sha256"] = base64.b64encode(
                    hashlib.sha256(body).digest()).decode()
                signed += list(signing.WITH_BODY)
        signed = names or signed
        text = signing.signing_string(method, target, headers, signed)
        words = {"algorithm": "rsa-sha256", "version": "1",
                 "keyId": self.key_id, "headers": " ".join(signed),
                 "signature": base64.b64encode(
                     self.key.sign(text.encode())).decode()}
        headers["authorization"] = "Signature " + ",".join(
            '%s="%s"' % (name, words[name])
            for name in ORDERS[self.order].split())
        return headers

    def call(self, method, target, value=None, body=None, more=None,
             **options):
        """An Answer. value: sent as JSON."""
        if body is None:
            body = json.dumps(value).encode() if value is not None else b""
        headers = self.sign(method, target, body, more=more, **options)
        return send(self.url, method, target, headers, body)

    def get(self, path, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        return self.call("GET", path)

    def pages(self, path, **query):
        """All items of all pages, and the number of pages."""
        items, count = [], 0
        while True:
            answer = self.get(path, **query)
            assert answer.status == 200, answer.body
            value = answer.value
            items += value["items"] if isinstance(value, dict) else value
            count += 1
            query["page"] = answer.headers.get("opc-next-page")
            if not query["page"]:
                return items, count
