"""The tools of Oracle Cloud end to end: a gateway with an in-process backend,
and the simulated tenancy it talks to.

	with Cloud() as cloud:
	    result = cloud.call("oci_compute_list_instances", limit=5)
	    assert result["total"] == 40
"""

import contextlib
import json
import sys

from harness import ROOT, Gateway
from messages import LEGACY, MODERN
from wire import DEADLINE, eventually

sys.path.insert(0, str(ROOT / "tests/sim"))

import simclient  # noqa: E402


class Failed(Exception):
    """A result with isError: what the contract's error object says."""

    def __init__(self, result):
        self.error = result["structuredContent"]
        self.category = self.error["category"]
        self.details = self.error.get("details") or {}
        Exception.__init__(self, json.dumps(self.error))


class Cloud:
    """A tenancy and a gateway. sim: options of tenancy.py; entry: of the
    backend, or entries; env: the gateway's variables, instead of a
    configuration file's; settings: of the gateway; oci: of the tools. A
    tenancy that is given is not ended."""

    def __init__(self, compartment="prod", sim=(), entry=None, env=None,
                 settings=None, tenancy=None, entries=None, **oci):
        self.owned = tenancy is None
        self.tenancy = tenancy or simclient.Tenancy("--settle", "0.2", *sim)
        self.said = self.tenancy.said
        self.compartments = self.said["compartments"]
        oci.setdefault("allow_mutations", True)
        oci.setdefault("endpoint", self.tenancy.url)
        # What a test changes it wants to see.
        for tier in ("static", "config", "operational", "metrics"):
            oci.setdefault("cache_" + tier, 0)
        if compartment:
            oci.setdefault("compartment_id", self.compartments[compartment])
        self.gateway = Gateway(
            *(entries or [{"name": "oci", "transport": "in_process",
                           "namespace_tools": False, **(entry or {})}]),
            env={"OCI_CLI_CONFIG_FILE": self.said["config_file"]}
            if env is None else env(self.said) if callable(env) else env,
            oci=oci, **(settings or {}))

    def __enter__(self):
        try:
            self.gateway.start()
        except BaseException:
            self.gateway.free()
            self.end_tenancy()
            raise
        return self

    def __exit__(self, *why):
        try:
            self.gateway.__exit__(*why)
        finally:
            self.end_tenancy()

    def end_tenancy(self):
        if self.owned:
            self.tenancy.__exit__()

    # -- tools

    def result(self, name, arguments, version=MODERN, token=None,
               within=DEADLINE):
        with self.gateway.client(token, connection=self.gateway.connect(
                timeout=within)) as client:
            response = client.era(version, "tools/call", {
                "name": name, "arguments": arguments})
            assert response.status == 200, "%d %s" % (
                response.status, response.body[:500])
            return response.result

    def call(self, name, **arguments):
        """structuredContent; raises Failed for a result that is an error."""
        result = self.result(name, arguments)
        if result.get("isError"):
            raise Failed(result)
        return result["structuredContent"]

    def text(self, name, **arguments):
        result = self.result(name, arguments)
        assert not result.get("isError"), result
        return result["content"][0]["text"]

    def fails(self, name, **arguments):
        """The error object of a result that must be one."""
        result = self.result(name, arguments)
        assert result.get("isError"), result
        error = result["structuredContent"]
        assert error["success"] is False and error["error"]
        assert error["suggestion"]
        return error

    def pages(self, name, key, **arguments):
        """All items of a list, page by page."""
        items, offset = [], 0
        while True:
            page = self.call(name, offset=offset, **arguments)
            assert page["offset"] == offset
            assert page["count"] == len(page[key])
            items += page[key]
            if not page["has_more"]:
                assert page["next_offset"] is None
                assert page["total"] in (None, len(items))
                return items
            assert page["next_offset"] == offset + page["count"]
            offset = page["next_offset"]

    def eventually_good(self, name, within=DEADLINE, **arguments):
        """Call until it is no error; the structuredContent."""
        def good():
            result = self.result(name, arguments, within=within)
            return not result.get("isError") and result
        return eventually(good, name + " works", within,
                          every=0.05)["structuredContent"]

    def definitions(self):
        with self.gateway.client() as client:
            return {tool["name"]: tool for page in client.pages()
                    for tool in page["tools"]}

    # -- the tenancy

    def table(self, kind, **fields):
        """What the tenancy holds: resources of a kind with these values."""
        rows = self.tenancy.control("GET", "resources?kind=" + kind)
        rows = rows.get("items", rows) if isinstance(rows, dict) else rows
        return [r for r in rows if all(r.get(k) == v
                                       for k, v in fields.items())]

    def one(self, kind, **fields):
        rows = self.table(kind, **fields)
        assert len(rows) == 1, (kind, fields, len(rows))
        return rows[0]

    def reset(self):
        self.tenancy.control("POST", "reset", {})

    def requests(self, after=0):
        rows = self.tenancy.control("GET", "requests?after=%d" % after)
        return rows.get("items", rows) if isinstance(rows, dict) else rows

    def last_request(self):
        """For requests(after)."""
        return self.tenancy.control("GET", "health")["requests"]

    @contextlib.contextmanager
    def fault(self, operation, times=-1, **how):
        self.tenancy.control("POST", "faults", {
            "match": {"operation": operation}, "times": times, **how})
        try:
            yield
        finally:
            self.tenancy.control("DELETE", "faults")


__all__ = ["Cloud", "Failed", "LEGACY", "MODERN", "simclient"]
