"""Metrics and alarms. The values are made from the time and the resource, so
the same question has the same answer."""

import datetime
import hashlib
import math
import re

from catalog import ServiceError, invalid, read_time, write_time
from engine import operation
from world import HOME

MAX_POINTS = 100000
DEFAULT_WINDOW = datetime.timedelta(hours=3)
# Namespace: kind of resource, states that give data, metrics (name, unit,
# usual value, amplitude).
NAMESPACES = {
    "oci_computeagent": ("core/Instance", ("RUNNING",), (
        ("CpuUtilization", "percent", 35, 20),
        ("MemoryUtilization", "percent", 55, 10),
        ("LoadAverage", "count", 1.2, 0.8),
        ("DiskBytesRead", "bytes", 4e6, 3e6),
        ("DiskBytesWritten", "bytes", 6e6, 4e6),
        ("DiskIopsRead", "operations", 120, 80),
        ("DiskIopsWritten", "operations", 210, 120),
        ("NetworksBytesIn", "bytes", 9e6, 5e6),
        ("NetworksBytesOut", "bytes", 11e6, 6e6))),
    "oci_autonomous_database": ("database/AutonomousDatabase",
                                ("AVAILABLE",), (
        ("CpuUtilization", "percent", 30, 20),
        ("StorageUtilization", "percent", 42, 1),
        ("Sessions", "count", 40, 25),
        ("ExecuteCount", "count", 5200, 3000),
        ("CurrentLogons", "count", 35, 20),
        ("UserCalls", "count", 9000, 5000),
        ("QueryLatency", "milliseconds", 6, 4))),
    "oci_database": ("database/Database", ("AVAILABLE",), (
        ("CpuUtilization", "percent", 25, 15),
        ("StorageUtilization", "percent", 61, 1),
        ("Sessions", "count", 80, 30),
        ("ExecuteCount", "count", 8000, 4000))),
    "oci_blockstore": ("core/Volume", ("AVAILABLE",), (
        ("VolumeReadOps", "operations", 300, 200),
        ("VolumeWriteOps", "operations", 400, 300))),
    "oci_lbaas": ("load_balancer/LoadBalancer", ("ACTIVE",), (
        ("HttpRequests", "count", 5000, 3000),
        ("ResponseTimeFirstByte", "milliseconds", 80, 50),
        ("ActiveConnections", "count", 240, 150))),
}
# It is busy here: the name of the resource, the metric, its least value.
BUSY = {("orders-2", "CpuUtilization"): 91, ("payments-1",
        "MemoryUtilization"): 93, ("warehouse", "StorageUtilization"): 88}
QUERY = re.compile(
    r"\s*(?P<name>[A-Za-z_][\w.\-$]*|\"[^\"]+\")\s*\[(?P<interval>[^\]]+)\]"
    r"\s*(?:\{(?P<filters>[^}]*)\})?"
    r"(?P<group>\s*\.\s*(?:groupBy|grouping)\s*\([^)]*\))?"
    r"\s*\.\s*(?P<statistic>\w+)\s*\((?P<argument>[^)]*)\)"
    r"\s*(?:(?P<compare>[<>]=?|==|!=)\s*(?P<limit>-?[\d.]+))?\s*$")
FILTER = re.compile(r'\s*(\w+)\s*(=~|!=|=)\s*"([^"]*)"\s*(?:,|&&|$)')
INTERVALS = {"m": 60, "h": 3600, "d": 86400}
STATISTICS = ("mean", "min", "max", "sum", "count", "rate", "percentile",
              "first", "last", "increment", "absent")
# Name, compartment, namespace, query, severity, state now, enabled.
ALARMS = (
    ("orders-cpu-high", "prod", "oci_computeagent",
     "CpuUtilization[5m].mean() > 90", "CRITICAL", "FIRING", True),
    ("payments-memory-high", "prod", "oci_computeagent",
     "MemoryUtilization[5m].mean() > 92", "ERROR", "FIRING", True),
    ("warehouse-storage", "prod", "oci_autonomous_database",
     "StorageUtilization[1h].max() > 85", "WARNING", "FIRING", True),
    ("shop-latency", "prod", "oci_lbaas",
     "ResponseTimeFirstByte[1m].percentile(0.95) > 500", "CRITICAL", "OK",
     True),
    ("ordersdb-sessions", "prod", "oci_autonomous_database",
     "Sessions[1m].max() > 300", "ERROR", "OK", True),
    ("web-traffic-gone", "prod", "oci_lbaas", "HttpRequests[5m].absent()",
     "CRITICAL", "OK", True),
    ("dev-cpu", "dev", "oci_computeagent", "CpuUtilization[1h].mean() > 95",
     "INFO", "OK", False),
    ("build-disk", "shared", "oci_computeagent",
     "DiskIopsWritten[5m].max() > 5000", "WARNING", "SUSPENDED", True),
    ("bastion-absent", "shared", "oci_computeagent",
     "CpuUtilization[5m].absent()", "WARNING", "OK", True))


def fill(world):
    for name, where, namespace, query, severity, state, enabled in ALARMS:
        world.add("monitoring/Alarm", HOME, {
            "id": world.ocid("alarm", HOME, name), "displayName": name,
            "compartmentId": world.names[where],
            "metricCompartmentId": world.names[where],
            "metricCompartmentIdInSubtree": False, "namespace": namespace,
            "query": query, "severity": severity, "isEnabled": enabled,
            "lifecycleState": "ACTIVE", "pendingDuration": "PT5M",
            "resolution": "1m", "body": name + ": see the runbook.",
            "destinations": [world.ocid("onstopic", HOME, "operations")],
            "repeatNotificationDuration": "PT2H", "messageFormat": "RAW",
            "suppression": {
                "timeSuppressFrom": world.time(days=1),
                "timeSuppressUntil": world.time(days=-1),
                "description": "Maintenance"} if state == "SUSPENDED"
            else None, "overrides": [], "resourceGroup": None,
            "isNotificationsPerMetricDimensionEnabled": False,
            "timeCreated": world.time(days=200),
            "timeUpdated": world.time(days=20), "freeformTags": {},
            "definedTags": {}, "_status": state,
            "_history": history(world, name, state)})


def history(world, name, state):
    """(minutes ago, from, to), newest first."""
    words = {"FIRING": "Firing", "OK": "OK", "SUSPENDED": "Suspended"}
    minutes = world.random("alarm", name).randrange(20, 100)
    out, now = [], state
    for _ in range(7):
        before = "OK" if now != "OK" else "FIRING"
        out.append((minutes, words[before], words[now]))
        minutes += world.random("alarm", name, minutes).randrange(90, 700)
        now = before
    return out


class Query:
    """A query in MQL, as much of it as is needed."""

    def __init__(self, text):
        match = QUERY.match(text)
        if not match:
            raise invalid("Invalid query: %s" % text)
        self.name = match.group("name").strip('"')
        interval = re.match(r"(\d+)([mhd])$", match.group("interval").strip())
        self.statistic = match.group("statistic")
        if not interval or self.statistic not in STATISTICS:
            raise invalid("Invalid query: interval or statistic: %s" % text)
        self.step = int(interval.group(1)) * INTERVALS[interval.group(2)]
        if not 60 <= self.step <= 86400:
            raise invalid("The interval must be between 1m and 1d")
        self.filters, at = [], 0
        filters = (match.group("filters") or "").strip()
        while at < len(filters):
            one = FILTER.match(filters, at)
            if not one:
                raise invalid("Invalid query: dimensions: %s" % filters)
            self.filters.append(one.groups())
            at = one.end()
        group = match.group("group")
        self.group = [w.strip() for w in group[group.index("(") + 1:-1]
                      .split(",")] if group else None
        self.argument = match.group("argument").strip()
        self.compare = match.group("compare")
        self.limit = float(match.group("limit") or 0)

    def wants(self, dimensions):
        for name, how, value in self.filters:
            have = dimensions.get(name)
            fuzzy = have is not None and re.fullmatch(
                "|".join(re.escape(part).replace(r"\*", ".*")
                         for part in value.split("|")), have) is not None
            if how == "=" and have != value or how == "!=" and have == value \
                    or how == "=~" and not fuzzy:
                return False
        return True

    def holds(self, value):
        return {None: True, ">": value > self.limit, "<": value < self.limit,
                ">=": value >= self.limit, "<=": value <= self.limit,
                "==": value == self.limit, "!=": value != self.limit}[
                    self.compare]


def dimensions_of(resource, namespace):
    out = {"resourceId": resource["id"],
           "resourceDisplayName": resource["displayName"]
           if "displayName" in resource else resource["dbName"]}
    if namespace == "oci_computeagent":
        out.update({"availabilityDomain": resource["availabilityDomain"],
                    "faultDomain": resource["faultDomain"],
                    "imageId": resource["imageId"] or "",
                    "instancePoolId": "Default", "region": resource["region"],
                    "shape": resource["shape"]})
    if "database" in namespace:
        out["deploymentType"] = "Shared"
        if "dbSystemId" in resource:
            out["dbSystemId"] = resource["dbSystemId"]
    return out


def sample(name, resource, metric, minute):
    """The value of one minute: a day's wave, a slower one, some noise."""
    title, unit, usual, amplitude = metric
    seed = hashlib.md5((resource + title).encode()).digest()
    noise = hashlib.md5(b"%s%d" % (seed, minute)).digest()
    value = (usual * (0.7 + seed[0] / 425) +
             amplitude * 0.6 * math.sin(minute / 229.18 + seed[1]) +
             amplitude * 0.3 * (noise[0] / 127.5 - 1))
    floor = BUSY.get((name, title))
    if floor:
        value = floor + noise[1] / 256 * 4
    return max(0.0, min(99.0, value) if unit == "percent" else value)


def point(query, name, resource, metric, moment):
    """The aggregate of the interval that ends at moment (seconds)."""
    minutes = query.step // 60
    every = max(1, minutes // 12)  # at most 12 samples of an interval
    last = moment // 60
    values = [sample(name, resource, metric, last - n)
              for n in range(0, minutes, every)]
    statistic = query.statistic
    if statistic == "mean":
        return sum(values) / len(values)
    if statistic in ("min", "max"):
        return {"min": min, "max": max}[statistic](values)
    if statistic == "percentile":
        share = float(query.argument or 0.95)
        return sorted(values)[min(len(values) - 1, int(share * len(values)))]
    if statistic == "count":
        return float(minutes)
    if statistic in ("first", "last"):
        return values[-1] if statistic == "first" else values[0]
    if statistic == "increment":
        return values[0] - values[-1]
    total = sum(values) * every
    return total / query.step if statistic == "rate" else total


def window_of(call):
    now = call.world.now()
    body = call.body
    end = read_time(body["endTime"]) if body.get("endTime") else now
    start = read_time(body["startTime"]) if body.get("startTime") \
        else end - DEFAULT_WINDOW
    if start >= end:
        raise invalid("startTime must be before endTime")
    return start, min(end, now)


def sources(call, namespace):
    """The resources of a namespace that give data, and what is measured."""
    if namespace not in NAMESPACES:
        if not re.match(r"[a-z][a-z0-9_]*$", namespace):
            raise invalid("namespace has a wrong form")
        return [], ()
    kind, states, metrics = NAMESPACES[namespace]
    among = call.compartments()
    return [r for r in call.all(kind)
            if r["compartmentId"] in among and
            r["lifecycleState"] in states], metrics


@operation("monitoring.SummarizeMetricsData")
def summarize(call):
    query, namespace = Query(call.body["query"]), call.body["namespace"]
    start, end = window_of(call)
    resources, metrics = sources(call, namespace)
    out, count = [], 0
    for metric in metrics:
        if metric[0].lower() != query.name.lower():
            continue
        for resource in resources:
            dimensions = dimensions_of(resource, namespace)
            if not query.wants(dimensions):
                continue
            points = series(query, resource, dimensions, metric, start, end)
            count += len(points)
            if count > MAX_POINTS:
                raise invalid("The answer would have more than %d points" %
                              MAX_POINTS)
            if points:
                out.append({
                    "namespace": namespace, "name": metric[0],
                    "resourceGroup": None,
                    "compartmentId": resource["compartmentId"],
                    "dimensions": dimensions, "resolution": None,
                    "metadata": {"unit": metric[1], "displayName": metric[0]},
                    "aggregatedDatapoints": points})
    return grouped(query, out) if query.group is not None else out


def series(query, resource, dimensions, metric, start, end):
    name = dimensions["resourceDisplayName"]
    first = -(-int(start.timestamp()) // query.step) * query.step
    points = []
    for moment in range(first, int(end.timestamp()) + 1, query.step):
        value = point(query, name, resource["id"], metric, moment)
        if query.statistic == "absent":
            value = 0.0
        if query.holds(value):
            points.append({"timestamp": write_time(
                datetime.datetime.fromtimestamp(
                    moment, datetime.timezone.utc)),
                "value": round(value, 4)})
    return points


def grouped(query, rows):
    """One stream for each value of the dimensions grouped by."""
    groups = {}
    for row in rows:
        key = tuple(row["dimensions"].get(name, "") for name in query.group)
        groups.setdefault(key, []).append(row)
    out = []
    for key, members in groups.items():
        sums = {}
        for row in members:
            for p in row["aggregatedDatapoints"]:
                sums.setdefault(p["timestamp"], []).append(p["value"])
        combine = {"max": max, "min": min, "sum": sum, "count": sum}.get(
            query.statistic, lambda v: sum(v) / len(v))
        out.append(dict(members[0], dimensions=dict(zip(query.group, key)),
                        aggregatedDatapoints=[
                            {"timestamp": t, "value": round(combine(v), 4)}
                            for t, v in sorted(sums.items())]))
    return out


@operation("monitoring.ListMetrics")
def list_metrics(call):
    body, out = call.body, []
    wanted = body.get("dimensionFilters") or {}
    for namespace in NAMESPACES:
        if body.get("namespace") not in (None, namespace):
            continue
        resources, metrics = sources(call, namespace)
        for resource in resources:
            dimensions = dimensions_of(resource, namespace)
            if any(dimensions.get(k) != v for k, v in wanted.items()):
                continue
            out += [{"namespace": namespace, "name": metric[0],
                     "compartmentId": resource["compartmentId"],
                     "resourceGroup": None, "dimensions": dimensions}
                    for metric in metrics
                    if body.get("name") in (None, metric[0])]
    if body.get("groupBy"):
        seen = {}
        for m in out:
            flat = {**m, **m["dimensions"]}
            row = {k: flat.get(k) for k in body["groupBy"]}
            seen[tuple(row.values())] = row
        out = list(seen.values())
    return call.answer_list(out, select=False, sort=False)


@operation("monitoring.PostMetricData")
def post_metric_data(call):
    failed = []
    for row in call.body["metricData"]:
        if re.match(r"(oci_|oracle_)", row["namespace"]):
            failed.append({"message": "The namespace is reserved",
                           "metricData": row})
    return {"failedMetricsCount": len(failed), "failedMetrics": failed}


def status_of(alarm):
    return alarm.get("_status", "OK")


@operation("monitoring.ListAlarmsStatus")
def list_status(call):
    now = call.world.now()
    alarms = call.select(call.all("monitoring/Alarm"),
                         ignore=("status", "resourceId", "serviceName",
                                 "entityId"))
    rows = []
    for alarm in alarms:
        if not alarm["isEnabled"] or \
                call.query.get("status") not in (None, status_of(alarm)):
            continue
        ago = (alarm.get("_history") or [(5,)])[0][0]
        rows.append({
            "id": alarm["id"], "displayName": alarm["displayName"],
            "severity": alarm["severity"], "ruleName": "BASE",
            "timestampTriggered": write_time(
                now - datetime.timedelta(minutes=ago)),
            "alarmSummary": "%s: %s" % (alarm["displayName"],
                                        alarm["query"]),
            "status": status_of(alarm), "suppression": alarm["suppression"]})
    return call.answer_list(rows, select=False)


@operation("monitoring.GetAlarmHistory")
def get_history(call):
    alarm = call.find("monitoring/Alarm", call.params["alarmId"])
    after = call.query.get("timestampGreaterThanOrEqualTo")
    before = call.query.get("timestampLessThan")
    entries = []
    for minutes, old, new in alarm.get("_history") or []:
        moment = call.world.start - datetime.timedelta(minutes=minutes)
        if after and moment < read_time(after) or \
                before and moment >= read_time(before):
            continue
        entries.append({"alarmSummary": alarm["displayName"],
                        "summary": "State transitioned from %s to %s" % (
                            old, new),
                        "timestamp": write_time(moment),
                        "timestampTriggered": write_time(moment)})
    return {"alarmId": alarm["id"], "isEnabled": alarm["isEnabled"],
            "entries": call.page(entries)}


@operation("monitoring.RetrieveDimensionStates")
def dimension_states(call):
    alarm = call.find("monitoring/Alarm", call.params["alarmId"])
    if status_of(alarm) != "FIRING":
        return {"items": []}
    busy = [name for name, metric in BUSY if alarm["query"].startswith(metric)]
    return {"items": [{"alarmSummary": alarm["displayName"],
                       "ruleName": "BASE", "status": "FIRING",
                       "timestamp": call.world.time(),
                       "dimensions": {"resourceDisplayName": name}}
                      for name in busy]}


@operation("monitoring.CreateAlarm")
def create_alarm(call):
    Query(call.body["query"])
    if not call.body["destinations"]:
        raise ServiceError(400, "InvalidParameter",
                           "destinations must not be empty")
    return call.answer(call.create("monitoring/Alarm", "alarm", {
        "lifecycleState": "ACTIVE", "suppression": None,
        "timeUpdated": call.world.time(), "_status": "OK"}))
