"""Logging, the search in logs, Log Analytics."""

import datetime
import re

from catalog import ServiceError, invalid, not_found, read_time, write_time
from engine import operation
from http1 import Response
from world import HOME

NAMESPACE = "acmens"
LONGEST_SEARCH = datetime.timedelta(days=14)
MAX_RESULTS = 1000
# Group, compartment, logs (name, type, service).
GROUPS = (("prod-logs", "prod", (("orders", "CUSTOM", None),
                                 ("web-access", "SERVICE", "loadbalancer"),
                                 ("flow", "SERVICE", "flowlogs"))),
          ("dev-logs", "dev", (("dev", "CUSTOM", None),)),
          ("audit-copies", "shared", (("bastion", "CUSTOM", None),)))
MESSAGES = (("info", "order accepted"), ("info", "payment done"),
            ("warning", "slow answer of the payment provider"),
            ("error", "connection reset by the database"),
            ("info", "stock updated"))
# Name, title, type, entity types, of Oracle.
SOURCES = (
    ("LinuxSyslogSource", "Linux Syslog Logs", "os_file",
     ("Host (Linux)",), True),
    ("LinuxSecureSource", "Linux Secure Logs", "os_file", ("Host (Linux)",),
     True),
    ("OciAuditSource", "OCI Audit Logs", "os_rest", ("OCI Audit",), True),
    ("OciVcnFlowSource", "OCI VCN Flow Unified Schema Logs", "os_rest",
     ("OCI VCN",), True),
    ("OciLbAccessSource", "OCI Load Balancer Access Logs", "os_rest",
     ("OCI Load Balancer",), True),
    ("DbAlertSource", "Database Alert Logs", "os_file", ("Oracle Database",),
     True),
    ("ApacheAccessSource", "Apache HTTP Server Access Logs", "os_file",
     ("Apache HTTP Server",), True),
    ("AcmeOrdersSource", "Acme Orders Application", "os_file",
     ("Host (Linux)",), False),
    ("WindowsSystemSource", "Windows System Events", "os_windows_sys",
     ("Host (Windows)",), True))


def fill(world):
    for group, where, logs in GROUPS:
        compartment = world.names[where]
        stamp = {"compartmentId": compartment, "lifecycleState": "ACTIVE",
                 "timeCreated": world.time(days=250), "freeformTags": {},
                 "timeLastModified": world.time(days=25), "definedTags": {}}
        made = world.add("logging/LogGroup", HOME, {
            "id": world.ocid("loggroup", HOME, group), "displayName": group,
            "description": group.replace("-", " "), **stamp})
        for name, kind, service in logs:
            world.add("logging/Log", HOME, {
                "id": world.ocid("log", HOME, group, name),
                "logGroupId": made["id"], "displayName": name,
                "logType": kind, "isEnabled": True, "retentionDuration": 30,
                "tenancyId": world.tenancy, **stamp, "configuration": {
                    "compartmentId": compartment, "source": {
                        "sourceType": "OCISERVICE", "service": service,
                        "resource": "all", "category": "all"}}
                if service else None})
    world.add("log_analytics/LogAnalyticsLogGroup", HOME, {
        "id": world.ocid("loganalyticsloggroup", HOME, "main"),
        "displayName": "main", "description": "Everything",
        "compartmentId": world.names["shared"],
        "timeCreated": world.time(days=240), "freeformTags": {},
        "timeUpdated": world.time(days=24), "definedTags": {}})
    for number, (name, title, kind, entities, system) in enumerate(SOURCES):
        world.add("log_analytics/LogAnalyticsSource", HOME, {
            "name": name, "displayName": title, "sourceId": 1000 + number,
            "description": title, "typeName": kind, "sourceType": kind,
            "typeDisplayName": kind, "isSystem": system,
            "isAutoAssociationEnabled": False, "lifecycleState": "ACTIVE",
            "entityTypes": [{"entityType": e.lower(), "entityTypeDisplay"
                             "Name": e, "entityTypeCategory": "Other"}
                            for e in entities],
            "associationCount": number % 3, "labels": [], "parsers": [],
            "timeUpdated": world.time(days=30 + number)})


def log_group(call):
    return call.find("logging/LogGroup", call.params["logGroupId"])


@operation("logging.ListLogs")
def list_logs(call):
    group = log_group(call)
    return call.answer_list([log for log in call.all("logging/Log")
                             if log["logGroupId"] == group["id"]],
                            ignore=("sourceService", "sourceResource"))


@operation("logging.GetLog")
def get_log(call):
    log_group(call)
    return call.answer(call.find("logging/Log", call.params["logId"]))


@operation("logging.CreateLogGroup", "logging.CreateLog")
def create_log(call):
    fields = {"lifecycleState": "ACTIVE", "timeLastModified":
              call.world.time()}
    kind = "LogGroup"
    if call.op.name == "CreateLog":
        group = log_group(call)
        kind = "Log"
        fields.update({"logGroupId": group["id"], "compartmentId":
                       group["compartmentId"]})
    made = call.create("logging/" + kind, kind.lower(), fields)
    call.work(call.op.name, made, action="CREATED")
    return Response(202)


@operation("loggingingestion.PutLogs")
def put_logs(call):
    log = call.world.table("logging/Log", call.region).get(
        call.params["logId"])
    if not log or log["logType"] != "CUSTOM":
        raise not_found()
    entries = log.setdefault("_entries", [])
    for batch in call.body["logEntryBatches"]:
        for entry in batch["entries"]:
            entries.append((entry.get("time") or
                            batch["defaultlogentrytime"], entry["data"],
                            batch["source"], batch["type"]))
    return Response(200)


STREAM = re.compile(r'"([^"]*)"')
WHERE = re.compile(r"\s*([\w.]+)\s*(=|!=|like)\s*'([^']*)'\s*$")


def entries_of(call, log, start, end):
    """What a log holds: one line in each ten minutes, and what was sent."""
    world = call.world
    out = []
    first = -(-int(start.timestamp()) // 600) * 600
    for moment in range(first, int(end.timestamp()), 600):
        dice = world.random("log", log["id"], moment)
        level, text = dice.choice(MESSAGES)
        out.append((datetime.datetime.fromtimestamp(
            moment, datetime.timezone.utc), {
                "level": level, "message": text,
                "order": dice.randrange(10000, 99999)},
            log["displayName"], "com.acme." + log["displayName"]))
    for when, data, source, kind in log.get("_entries", ()):
        moment = read_time(when)
        if start <= moment < end:
            out.append((moment, {"message": data}, source, kind))
    return out


@operation("loggingsearch.SearchLogs")
def search_logs(call):
    body = call.body
    start, end = read_time(body["timeStart"]), read_time(body["timeEnd"])
    if end <= start or end - start > LONGEST_SEARCH:
        raise invalid("The time range must be positive and at most 14 days")
    limit = call.query.get("limit", 500)
    if not 1 <= limit <= MAX_RESULTS:
        raise invalid("limit must be between 1 and %d" % MAX_RESULTS)
    steps = [s.strip() for s in body["searchQuery"].split("|")]
    if not steps[0].startswith("search"):
        raise invalid("The query must begin with search")
    rows = []
    end = min(end, call.world.now())
    for stream in STREAM.findall(steps[0]):
        rows += stream_rows(call, stream, start, end)
    rows.sort(key=lambda row: row["datetime"], reverse=True)
    for step in steps[1:]:
        rows = apply_step(rows, step)
    call.query["limit"] = limit
    page = call.page(rows)
    fields = [{"fieldName": "datetime", "fieldType": "NUMBER"},
              {"fieldName": "logContent.type", "fieldType": "STRING"}]
    return {"results": [{"data": row} for row in page],
            "fields": fields if body.get("isReturnFieldInfo", True) else [],
            "summary": {"resultCount": len(page), "fieldCount": len(fields)}}


def stream_rows(call, stream, start, end):
    compartment, _, rest = stream.partition("/")
    group, _, wanted = rest.partition("/")
    if not call.world.is_compartment(compartment):
        raise not_found()
    rows = []
    for log in call.world.table("logging/Log", call.region).values():
        if log["compartmentId"] not in call.world.under(compartment) or \
                group and log["logGroupId"] != group or \
                wanted and log["id"] != wanted:
            continue
        for moment, data, source, kind in entries_of(call, log, start, end):
            rows.append({
                "datetime": int(moment.timestamp() * 1000), "logContent": {
                    "id": "%s-%d" % (log["id"][-8:], moment.timestamp()),
                    "time": write_time(moment), "type": kind,
                    "source": source, "subject": "", "specversion": "1.0",
                    "data": data, "oracle": {
                        "compartmentid": log["compartmentId"],
                        "ingestedtime": write_time(moment),
                        "loggroupid": log["logGroupId"], "logid": log["id"],
                        "tenantid": call.world.tenancy}}})
    return rows


def field_of(row, name):
    value = row if name.startswith("logContent") or name == "datetime" \
        else row["logContent"]
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def apply_step(rows, step):
    word, _, rest = step.partition(" ")
    if word == "where":
        for term in re.split(r"\s+and\s+|&&", rest):
            match = WHERE.match(term)
            if not match:
                raise invalid("Cannot parse: %s" % step)
            name, how, value = match.groups()
            pattern = re.escape(value).replace("%", ".*").replace(r"\*", ".*")
            rows = [r for r in rows if (
                str(field_of(r, name)) == value if how == "=" else
                str(field_of(r, name)) != value if how == "!=" else
                re.fullmatch(pattern, str(field_of(r, name)), re.S)
                is not None)]
        return rows
    if word == "sort":
        return sorted(rows, key=lambda r: r["datetime"],
                      reverse="desc" in rest)
    if word == "summarize":
        name = rest.rpartition(" by ")[2].strip()
        counts = {}
        for row in rows:
            key = field_of(row, name)
            counts[key] = counts.get(key, 0) + 1
        return [{name: key, "count": n} for key, n in counts.items()]
    if word == "limit":
        return rows[:int(rest)]
    raise invalid("Cannot parse: %s" % step)


# Log Analytics

def check_namespace(call):
    if call.params["namespaceName"] != NAMESPACE:
        raise not_found()


@operation("log_analytics.ListNamespaces")
def list_namespaces(call):
    call.compartments()
    return {"items": [namespace(call)]}


def namespace(call):
    return {"namespaceName": NAMESPACE, "isOnboarded": True,
            "compartmentId": call.world.tenancy, "isLogSetEnabled": False,
            "isDataEverIngested": True, "isArchivingEnabled": False,
            "lifecycleState": "ACTIVE"}


@operation("log_analytics.GetNamespace")
def get_namespace(call):
    check_namespace(call)
    return namespace(call)


@operation("log_analytics.ListSources")
def list_sources(call):
    check_namespace(call)
    call.compartments()
    items = call.all("log_analytics/LogAnalyticsSource")
    kind = call.query.get("isSystem")
    if kind in ("BUILT_IN", "CUSTOM"):
        items = [s for s in items if s["isSystem"] == (kind == "BUILT_IN")]
    text = call.query.get("sourceDisplayText")
    if text:
        items = [s for s in items if text.lower() in
                 s["displayName"].lower()]
    return call.answer_list(items, ignore=(
        "isSystem", "sourceDisplayText", "entityType", "categories",
        "patternText", "isSimplified", "isAutoAssociated", "lifecycleState"))


@operation("log_analytics.GetSource")
def get_source(call):
    check_namespace(call)
    return call.answer(call.find("log_analytics/LogAnalyticsSource",
                                 call.params["sourceName"]))


@operation("log_analytics.ListLogAnalyticsLogGroups",
           "log_analytics.ListLogAnalyticsEntities")
def list_groups(call):
    check_namespace(call)
    return call.answer_list(call.all(call.op.kind))


@operation("log_analytics.ListFields")
def list_fields(call):
    check_namespace(call)
    return {"items": [{"name": n.replace(" ", "").lower(), "displayName": n,
                       "dataType": t, "isSystem": True}
                      for n, t in (("Time", "TIMESTAMP"),
                                   ("Log Source", "STRING"),
                                   ("Severity", "STRING"),
                                   ("Original Log Content", "STRING"))]}


TERM = re.compile(r"'([^']+)'\s*(=|!=|like)\s*'?([^'|]*?)'?\s*$")


@operation("log_analytics.Query")
def query(call):
    check_namespace(call)
    body, world = call.body, call.world
    if not world.is_compartment(body["compartmentId"]):
        raise not_found()
    window = body.get("timeFilter") or {
        "timeStart": write_time(world.now() - datetime.timedelta(hours=1)),
        "timeEnd": write_time(world.now())}
    start, end = read_time(window["timeStart"]), read_time(window["timeEnd"])
    if end <= start:
        raise invalid("timeEnd must be after timeStart")
    rows = records(world, start, min(end, world.now()))
    steps = [s.strip() for s in body["queryString"].split("|")]
    rows = [r for r in rows if fits(r, steps[0])]
    columns = ["Time", "Log Source", "Severity", "Original Log Content"]
    for step in steps[1:]:
        rows, columns = analyse(rows, columns, step)
    most = min(body.get("maxTotalCount") or 2000, 2000)
    found = rows[:most]
    call.query.setdefault("limit", 1000)
    return {"totalCount": len(found), "totalMatchedCount": len(rows),
            "totalGroupCount": None, "timeFilter": window,
            "arePartialResults": len(found) < len(rows),
            "partialResultReason": None, "isContentHidden": False,
            "columns": [{"type": "COLUMN", "displayName": c,
                         "internalName": c.lower().replace(" ", ""),
                         "valueType": "STRING"} for c in columns],
            "fields": [], "items": call.page(found),
            "queryExecutionTimeInMs": 12, "percentComplete": 100}


def records(world, start, end):
    rows = []
    first = -(-int(start.timestamp()) // 300) * 300
    for moment in range(first, int(end.timestamp()), 300):
        dice = world.random("analytics", moment)
        level, text = dice.choice(MESSAGES)
        source = dice.choice(SOURCES)[1]
        rows.append({"Time": moment * 1000, "Log Source": source,
                     "Severity": level, "Original Log Content":
                     "%s: %s" % (level, text)})
    return rows[::-1]


def fits(row, text):
    """'Field' = value and ..., a word to search for, or *."""
    if text in ("", "*"):
        return True
    for term in re.split(r"\s+and\s+", text):
        match = TERM.match(term)
        if match:
            name, how, value = match.groups()
            have = str(row.get(name, ""))
            if how == "like":
                good = re.fullmatch(re.escape(value).replace(r"\*", ".*"),
                                    have, re.I) is not None
            else:
                good = (have.lower() == value.lower()) == (how == "=")
            if not good:
                return False
        elif re.search(r"[=<>]", term):
            raise ServiceError(400, "InvalidParameter",
                               "Invalid query: %s" % term)
        elif term.strip("'\" *").lower() not in \
                row["Original Log Content"].lower():
            return False
    return True


def analyse(rows, columns, step):
    word, _, rest = step.partition(" ")
    if word == "stats":
        name = rest.rpartition(" by ")[2].strip().strip("'") \
            if " by " in rest else None
        counts = {}
        for row in rows:
            counts[row.get(name)] = counts.get(row.get(name), 0) + 1
        if name is None:
            return [{"Count": len(rows)}], ["Count"]
        return [{name: key, "Count": n} for key, n in sorted(
            counts.items(), key=lambda item: -item[1])], [name, "Count"]
    if word in ("head", "limit", "top"):
        return rows[:int(re.search(r"\d+", rest).group())], columns
    if word == "where":
        return [r for r in rows if fits(r, rest)], columns
    if word == "sort":
        name = rest.strip().lstrip("-").strip("'")
        return sorted(rows, key=lambda r: str(r.get(name)),
                      reverse=rest.strip().startswith("-")), columns
    if word == "fields":
        return rows, columns
    raise ServiceError(400, "InvalidParameter", "Invalid query: %s" % step)
