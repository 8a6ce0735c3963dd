"""The control plane under /sim/: faults, the log of requests, tokens."""

import collections
import json
import re
import threading
import time
import urllib.parse

from http1 import Response
from world import HOME, public

MAX_LOG = 20000
MAX_LOGGED_BODY = 4096
SECRET_HEADERS = {"authorization", "opc-obo-token", "security-context"}
CODES = {400: "InvalidParameter", 401: "NotAuthenticated",
         403: "NotAllowed", 404: "NotAuthorizedOrNotFound",
         409: "IncorrectState", 412: "NoEtagMatch", 413: "PayloadTooLarge",
         429: "TooManyRequests", 500: "InternalServerError",
         501: "MethodNotImplemented", 502: "BadGateway",
         503: "ServiceUnavailable", 504: "GatewayTimeout"}
FAULT_KEYS = {"match", "status", "code", "message", "times", "skip",
              "latency_ms", "retry_after", "close", "empty_page",
              "clock_skew_s", "body", "headers", "hang_up"}
MATCH_KEYS = {"method", "path_regex", "operation"}


class Fault:
    """One wish for something to go wrong."""

    def __init__(self, wish):
        unknown = set(wish) - FAULT_KEYS | \
            set(wish.get("match", {})) - MATCH_KEYS
        if unknown:
            raise ValueError("unknown: %s" % ", ".join(sorted(unknown)))
        match = wish.get("match", {})
        self.method = match.get("method")
        self.path = re.compile(match.get("path_regex", ""))
        self.operation = re.compile(match.get("operation", ""))
        self.wish = wish
        self.times = wish.get("times", 1)  # negative: for ever
        self.skip = wish.get("skip", 0)

    def applies(self, request, operation):
        if self.times == 0 or self.method not in (None, request.method) or \
                not self.path.search(request.target) or \
                not self.operation.search(operation or ""):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True

    def response(self):
        """Instead of the right answer, or None."""
        wish = self.wish
        status = wish.get("status")
        if status is None and "body" not in wish:
            return None
        headers = dict(wish.get("headers", {}))
        if "retry_after" in wish:
            headers["retry-after"] = str(wish["retry_after"])
        if "body" in wish:
            body = wish["body"]
            if not isinstance(body, str):
                body = json.dumps(body)
            return Response(status or 200, body=body.encode(), headers=headers)
        return Response(status, {
            "code": wish.get("code", CODES.get(status, "Unknown")),
            "message": wish.get("message", "A fault that was asked for.")},
            headers=headers)


class Control:
    def __init__(self, tenancy):
        self.tenancy = tenancy
        self.lock = threading.Lock()
        self.faults = []
        self.log = collections.deque(maxlen=MAX_LOG)
        self.count = 0
        self.busy = self.most_busy = 0

    def find_fault(self, request, operation):
        if not self.faults:
            return None
        with self.lock:
            for fault in self.faults:
                if fault.applies(request, operation):
                    return fault
        return None

    def record(self, request, operation):
        entry = {"method": request.method, "target": request.target,
                 "operation": operation, "key": key_kind(request),
                 "headers": {name: "(secret)" if name in SECRET_HEADERS
                             else value
                             for name, value in request.headers.items()},
                 "size": len(request.body), "time": request.received,
                 "status": None}
        if operation and len(request.body) <= MAX_LOGGED_BODY:
            entry["body"] = request.body.decode("utf-8", "replace")
        with self.lock:
            self.count += 1
            entry["number"] = self.count
            self.log.append(entry)
        return entry

    def handle(self, request):
        function = ROUTES.get((request.method, request.path.rstrip("/")))
        if function is None:
            return Response(404, {"code": "NotFound", "message": "one of %s" %
                                  ", ".join("%s %s" % r for r in ROUTES)})
        try:
            return Response(200, function(self, request.json(), dict(
                urllib.parse.parse_qsl(request.query))))
        except (ValueError, KeyError, TypeError, re.error) as error:
            return Response(400, {"code": "InvalidParameter",
                                  "message": repr(error)})

    def health(self, body, query):
        with self.lock:
            return {"healthy": True, "requests": self.count,
                    "busy": self.busy, "most_busy": self.most_busy,
                    "faults": len([f for f in self.faults if f.times])}

    def add_faults(self, body, query):
        wishes = body if isinstance(body, list) else [body]
        made = [Fault(wish) for wish in wishes]
        with self.lock:
            self.faults += made
        return {"faults": len(self.faults)}

    def list_faults(self, body, query):
        return [dict(f.wish, left=f.times) for f in self.faults]

    def clear_faults(self, body, query):
        with self.lock:
            self.faults = []
        return {"faults": 0}

    def requests(self, body, query):
        """?after=NUMBER&operation=NAME&method=M&path_regex=R"""
        after = int(query.get("after", 0))
        path = re.compile(query.get("path_regex", ""))
        with self.lock:
            rows = list(self.log)
        return [row for row in rows if row["number"] > after and
                query.get("operation") in (None, row["operation"]) and
                query.get("method") in (None, row["method"]) and
                path.search(row["target"])]

    def clear_requests(self, body, query):
        with self.lock:
            self.log.clear()
            self.most_busy = self.busy
        return {"requests": self.count}

    def token(self, body, query):
        """expire: what was issued until now is refused. lifetime_s,
        session_lifetime_s: of tokens from now on. rotate: "resource",
        "leaf", "session" or "service_account"; torn_ms: the key is new that long before its
        token is."""
        principals = self.tenancy.principals
        if body.get("expire"):
            # iat counts whole seconds: only later ones are valid.
            principals.not_before = int(time.time()) + 1
        if "lifetime_s" in body:
            principals.lifetime_s = body["lifetime_s"]
        if "session_lifetime_s" in body:
            principals.session_lifetime_s = body["session_lifetime_s"]
        rotate = body.get("rotate")
        if rotate == "resource":
            self.tenancy.rotation.rotate(body.get("lifetime_s"),
                                         body.get("torn_ms", 0))
        elif rotate == "leaf":
            principals.rotate_leaf()
        elif rotate == "session":
            self.tenancy.files.write("session-token",
                                     principals.session_token())
        elif rotate == "service_account":
            self.tenancy.files.write(
                "service-account-token",
                principals.service_account_token(body.get("lifetime_s",
                                                          3600)))
        elif rotate:
            raise ValueError("rotate: resource, leaf, session or "
                             "service_account")
        return {"lifetime_s": principals.lifetime_s,
                "session_lifetime_s": principals.session_lifetime_s}

    def reset(self, body, query):
        """The data as they were at the start; no faults, an empty log."""
        self.clear_faults(body, query)
        self.clear_requests(body, query)
        self.tenancy.reset()
        return {"reset": True}

    def settle(self, body, query):
        """delay_s: how long changes of state take from now on."""
        self.tenancy.world.settle_s = float(body["delay_s"])
        return {"delay_s": self.tenancy.world.settle_s}

    def resources(self, body, query):
        """?kind=core/Instance[&region=...]: a table, for a test to compare."""
        world = self.tenancy.world
        with world.lock:
            return [public(world.settle(r)) for r in world.table(
                query["kind"], query.get("region", HOME)).values()]

    def jwks(self, body, query):
        return self.tenancy.principals.jwks()


def key_kind(request):
    """Which sort of key a request says it is signed with."""
    value = request.headers.get("authorization", "")
    if value.startswith("Bearer"):
        return "bearer"
    key_id = re.search(r'keyId="([^"]*)"', value)
    if not key_id:
        return None
    key_id = key_id.group(1)
    for start, kind in (("ST$", "token"), ("resource/", "resource")):
        if key_id.startswith(start):
            return kind
    return "fed-x509" if "/fed-x509" in key_id else "api_key"


ROUTES = {
    ("GET", "/sim/health"): Control.health,
    ("GET", "/sim/faults"): Control.list_faults,
    ("POST", "/sim/faults"): Control.add_faults,
    ("DELETE", "/sim/faults"): Control.clear_faults,
    ("GET", "/sim/requests"): Control.requests,
    ("DELETE", "/sim/requests"): Control.clear_requests,
    ("POST", "/sim/token"): Control.token,
    ("POST", "/sim/reset"): Control.reset,
    ("POST", "/sim/settle"): Control.settle,
    ("GET", "/sim/resources"): Control.resources,
    ("GET", "/sim/jwks"): Control.jwks,
}
