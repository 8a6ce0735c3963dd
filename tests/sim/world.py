"""The state of the simulated tenancy: tables of resources by kind, in each
region or shared by all of them, and the clock."""

import datetime
import hashlib
import random
import threading
import time

import catalog
import rsa

# Region identifier and the key that stands in its OCIDs; home region first.
REGIONS = {"us-ashburn-1": "iad", "eu-frankfurt-1": "eu-frankfurt-1"}
SHORT_KEYS = {"us-ashburn-1": "IAD", "eu-frankfurt-1": "FRA"}
HOME = "us-ashburn-1"
REALM_DOMAIN = "oraclecloud.com"
# Services that answer the same everywhere.
SHARED = {"identity", "budget", "usage_api", "cloud_guard", "limits",
          "announcements_service", "sim"}
# The states through which a deleted resource goes.
GONE = {"core": ("TERMINATING", "TERMINATED"),
        "database": ("TERMINATING", "TERMINATED")}
GONE_OTHERWISE = ("DELETING", "DELETED")
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class World:
    def __init__(self, seed=1, now=None, settle_s=2.0, keys=None,
                 page_size=25):
        self.seed, self.settle_s, self.page_size = seed, settle_s, page_size
        self.lock = threading.RLock()
        self.keys = keys or rsa.Pool()
        self.shift_s = 0.0
        if now is not None:
            self.shift_s = now.timestamp() - time.time()
        self.start = self.now().replace(microsecond=0)
        self.regions = {name: {} for name in REGIONS}
        self.shared = {}
        self.tenancy = self.ocid("tenancy", "")
        self.names = {}      # compartments by their short name
        self.retries = {}    # answers remembered by retry token
        self.counter = 0

    def now(self):
        """The clock of the data; signatures are checked by the real one."""
        return datetime.datetime.fromtimestamp(
            time.time() + self.shift_s, datetime.timezone.utc)

    def time(self, **ago):
        """A time before the start, as the API writes it."""
        return catalog.write_time(self.start - datetime.timedelta(**ago))

    def random(self, *what):
        """Random numbers that depend on the seed and the words alone."""
        return random.Random("%s/%s" % (self.seed, "/".join(map(str, what))))

    def ocid(self, kind, region, *what):
        """The same words give the same OCID."""
        digest = hashlib.sha512(repr((self.seed, kind, region) + what)
                                .encode()).digest()
        unique = "".join(LETTERS[byte & 31] for byte in digest[:60])
        return "ocid1.%s.oc1.%s.%s" % (kind, REGIONS.get(region, region),
                                       "aaaaaaaa" + unique[8:])

    def fresh_ocid(self, kind, region):
        self.counter += 1
        return self.ocid(kind, region, "created", self.counter)

    def table(self, kind, region):
        tables = self.shared if kind.partition("/")[0] in SHARED \
            else self.regions[region]
        return tables.setdefault(kind, {})

    def add(self, kind, region, resource):
        """Put a resource under its id (or name) into its table."""
        key = resource.get("_id") or resource.get("id") or resource["name"]
        resource.setdefault("_etag", hashlib.md5(key.encode()).hexdigest())
        self.table(kind, region)[key] = resource
        return resource

    def change(self, resource, **values):
        self.counter += 1
        resource.update(values)
        resource["_etag"] = hashlib.md5(
            b"%d" % self.counter).hexdigest()
        return resource

    def later(self, resource, then=None, **values):
        """Change a resource now, and to what then says when it has settled."""
        self.change(resource, **values)
        resource["_then"] = (time.monotonic() + self.settle_s, then or {})
        return resource

    def settle(self, resource):
        due = resource.get("_then")
        if due and time.monotonic() >= due[0]:
            del resource["_then"]
            self.change(resource, **due[1])
        return resource

    def remove(self, kind, region, resource):
        """Through the states of going away, or at once without states."""
        if "lifecycleState" not in resource:
            self.table(kind, region).pop(
                resource.get("_id") or resource.get("id") or resource["name"])
            return
        going, gone = GONE.get(kind.partition("/")[0], GONE_OTHERWISE)
        self.later(resource, {"lifecycleState": gone}, lifecycleState=going)

    def is_compartment(self, ocid):
        return ocid == self.tenancy or \
            ocid in self.table("identity/Compartment", HOME)

    def under(self, ocid):
        """A compartment and everything below it."""
        found = {ocid}
        while True:
            more = {c["id"] for c in
                    self.table("identity/Compartment", HOME).values()
                    if c["compartmentId"] in found} - found
            if not more:
                return found
            found |= more

    def domain(self, region, number):
        """The name of an availability domain."""
        return "Uocm:%s-AD-%d" % (
            region.upper() if region != HOME else "US-ASHBURN", number)


def public(resource, hidden=()):
    """A resource as it is answered: without what the simulator keeps in it."""
    return {name: value for name, value in resource.items()
            if name[0] != "_" and name not in hidden}
