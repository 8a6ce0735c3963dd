#!/usr/bin/env python3
"""A simulated OCI tenancy on 127.0.0.1. README.md beside this file."""

import argparse
import json
import os
import re
import resource
import signal
import ssl
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True

import rsa  # noqa: E402
import services  # noqa: E402
import signing  # noqa: E402
from catalog import read_time  # noqa: E402
from control import Control  # noqa: E402
from engine import Call, Engine, request_id  # noqa: E402
from files import Files  # noqa: E402
from http1 import Response, Server  # noqa: E402
from principals import Principals, Rotation, not_authenticated  # noqa: E402
from signing import Refused  # noqa: E402
from world import HOME, REGIONS, World  # noqa: E402

REGION_IN_HOST = re.compile(r"\b([a-z]{2}-[a-z]+-\d)\b")
THREAD_STACK = 512 * 1024


class Tenancy:
    def __init__(self, options):
        self.options = options
        self.engine = Engine()
        self.control = Control(self)
        self.keys = rsa.Pool(options.fresh_keys)
        self.files = Files(options.directory)
        self.principals = None
        self.reset()
        self.files.fill(self.world, self.principals)
        self.rotation = Rotation(self.principals, self.files)

    def reset(self):
        """New data; keys, certificates and tokens stay."""
        options = self.options
        self.world = World(options.seed, options.now, options.settle,
                           self.keys, options.page_size)
        found = services.fill(self.world)
        if self.principals is None:
            self.principals = Principals(self.world, options.token_lifetime,
                                         options.session_lifetime)
        self.principals.world = self.world
        self.world.principals = self.principals
        self.principals.adopt(**found)

    def region(self, request, default):
        """The region of a real host name, else that of the port."""
        match = REGION_IN_HOST.search(request.headers.get("host", ""))
        return match.group(1) if match else default

    def handle(self, request, default_region):
        control = self.control
        if request.path.startswith("/sim/"):
            return control.handle(request)
        with control.lock:
            control.busy += 1
            control.most_busy = max(control.most_busy, control.busy)
        op, params = self.engine.find(request.method, request.path)
        entry = control.record(request, op and op.full_name)
        fault = control.find_fault(request, op and op.full_name)
        skew_s = fault.wish.get("clock_skew_s", 0) if fault else 0
        try:
            response = fault.response() if fault else None
            if response is None:
                response = self.answer(request, op, params, default_region,
                                       time.time() + skew_s, entry)
            if fault:
                self.spoil(fault, request, response)
            entry["status"] = response.status
            response.headers["opc-request-id"] = request_id(request)
            response.headers["date"] = signing.http_date(time.time() + skew_s)
            if response.latency_s:
                time.sleep(response.latency_s)
                response.latency_s = 0
            return response
        finally:
            with control.lock:
                control.busy -= 1

    @staticmethod
    def spoil(fault, request, response):
        wish = fault.wish
        response.latency_s = wish.get("latency_ms", 0) / 1000
        response.cut = bool(wish.get("close"))
        response.hang_up = bool(wish.get("hang_up"))
        if wish.get("empty_page") and response.status == 200:
            # Nothing yet, and the same page again.
            empty = json.loads(response.body)
            if isinstance(empty, dict):
                empty["items"] = []
            response.body = json.dumps(empty if isinstance(empty, dict)
                                       else []).encode()
            match = re.search(r"[?&]page=([^&]*)", request.target)
            response.headers["opc-next-page"] = match.group(1) if match \
                else "first"

    def answer(self, request, op, params, default_region, now, entry):
        """What a tenancy in good health says."""
        route = self.principals.find_route(request.method, request.path)
        try:
            if route is None:
                return self.serve(request, op, params, default_region, now)
            try:
                return route(request, now)
            except (ValueError, KeyError, TypeError) as error:
                entry["refused"] = repr(error)
                return Response(400, {
                    "code": "InvalidParameter",
                    "message": "The request is not understood."})
        except Refused as refused:
            entry["refused"] = str(refused)
            return not_authenticated()
        except Exception as bug:
            traceback.print_exc()
            entry["refused"] = repr(bug)
            return Response(500, {"code": "InternalServerError",
                                  "message": "A bug of the simulator."})

    def serve(self, request, op, params, default_region, now):
        principal = self.principals.check(
            request, now, op is not None and "unsigned" in op.flags)
        region = self.region(request, default_region)
        if region not in REGIONS:
            raise Refused("the tenancy is not subscribed to %s" % region)
        if op is None:
            if params is False:
                return Response(405, {"code": "MethodNotAllowed",
                                      "message": "Method not allowed."})
            return Response(404, {"code": "NotAuthorizedOrNotFound",
                                  "message": "There is no such operation."})
        return self.engine.run(Call(self.world, region, op, params, request,
                                    principal))

    def listen(self):
        port = self.options.port
        self.servers = {}
        for region in REGIONS:
            self.servers[region] = Server(
                lambda request, region=region: self.handle(request, region),
                port if region == HOME else 0).start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files["tls.pem"])
        self.secure = Server(lambda request: self.handle(request, HOME),
                             self.options.tls_port, tls=context).start()

    def describe(self):
        """What the one line on standard output says."""
        urls = {region: "http://127.0.0.1:%d" % server.port
                for region, server in self.servers.items()}
        principals, files = self.principals, self.files
        return {"port": self.servers[HOME].port, "url": urls[HOME],
                "urls": urls, "tls_port": self.secure.port,
                "tls_url": "https://127.0.0.1:%d" % self.secure.port,
                "directory": str(files.path), "config_file": files["config"],
                "tenancy": self.world.tenancy, "region": HOME,
                "compartments": self.world.names,
                "user": principals.user["id"],
                "instance": principals.instance["id"],
                "function": principals.function["id"],
                "cluster": principals.cluster_id,
                "key_file": files["user.pem"],
                "session_token_file": files["session-token"],
                "rpst": files["rpst"],
                "rp_private_pem": files["rp-private.pem"],
                "service_account_token": files["service-account-token"],
                "ca_file": files["ca.crt"], "pid": os.getpid(),
                "environments": files.environments(urls[HOME],
                                                   self.secure.port)}


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls-port", type=int, default=0)
    parser.add_argument("--directory", help="for the files of clients; "
                        "without it one that is removed at the end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--now", type=read_time,
                        help="the clock of the data, RFC 3339")
    parser.add_argument("--settle", type=float, default=2.0, metavar="SECONDS",
                        help="how long a change of state takes")
    parser.add_argument("--token-lifetime", type=float, default=1200,
                        metavar="SECONDS")
    parser.add_argument("--session-lifetime", type=float, default=3600,
                        metavar="SECONDS")
    parser.add_argument("--page-size", type=int, default=25,
                        help="items of a page when no limit is asked for")
    parser.add_argument("--fresh-keys", action="store_true",
                        help="make keys instead of taking those at hand")
    return parser.parse_args()


def main():
    threading.stack_size(THREAD_STACK)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    tenancy = Tenancy(read_options())
    tenancy.listen()
    print(json.dumps(tenancy.describe()), flush=True)
    done.wait()
    tenancy.files.remove()
    # Threads that wait for a client do not keep the program.
    os._exit(0)


if __name__ == "__main__":
    main()
