"""Limits and quotas, the search for resources, work requests,
announcements."""

import re

from catalog import ServiceError, invalid, missing, not_found
from engine import operation
from world import HOME

# Service, its name, limits (name, scope, value, what counts against it).
LIMITS = (
    ("compute", "Compute", (
        ("standard-e4-core-count", "AD", 150, "VM.Standard.E4.Flex"),
        ("standard-e5-core-count", "AD", 100, "VM.Standard.E5.Flex"),
        ("standard-a1-core-count", "AD", 80, "VM.Standard.A1.Flex"),
        ("gpu-a10-count", "AD", 2, "VM.GPU.A10.1"),
        ("custom-image-count", "REGION", 100, None))),
    ("block-storage", "Block Volume", (
        ("total-storage-gb", "AD", 50000, "core/Volume"),
        ("volume-count", "AD", 1000, "core/Volume"))),
    ("database", "Database", (
        ("adw-ecpu-count", "REGION", 64, None),
        ("atp-ecpu-count", "REGION", 64, None))),
    ("vcn", "Virtual Cloud Network", (
        ("vcn-count", "REGION", 50, "core/Vcn"),
        ("reserved-public-ip-count", "REGION", 50, None))),
    ("load-balancer", "LbaaS", (
        ("lb-flexible-count", "REGION", 50,
         "load_balancer/LoadBalancer"),)),
    ("object-storage", "Object Storage", (
        ("storage-bytes", "REGION", 1 << 50, None),)),
    ("faas", "Functions", (
        ("application-count", "REGION", 20, "functions/Application"),)))
QUOTAS = (("dev-cap", "set compute-core quota standard-e4-core-count to 32 in "
           "compartment dev"),
          ("no-gpu-in-dev", "zero compute-core quota gpu-a10-count in "
           "compartment dev"))
# Type of the search, kind of table, field of the name.
TYPES = (("Instance", "core/Instance"), ("Image", "core/Image"),
         ("BootVolume", "core/BootVolume"), ("Volume", "core/Volume"),
         ("VolumeBackup", "core/VolumeBackup"), ("Vcn", "core/Vcn"),
         ("Subnet", "core/Subnet"), ("SecurityList", "core/SecurityList"),
         ("NetworkSecurityGroup", "core/NetworkSecurityGroup"),
         ("RouteTable", "core/RouteTable"), ("Vnic", "core/Vnic"),
         ("PublicIp", "core/PublicIp"),
         ("AutonomousDatabase", "database/AutonomousDatabase"),
         ("DbSystem", "database/DbSystem"),
         ("Bucket", "object_storage/Bucket"),
         ("LoadBalancer", "load_balancer/LoadBalancer"),
         ("ClustersCluster", "container_engine/Cluster"),
         ("FunctionsFunction", "functions/Function"),
         ("FunctionsApplication", "functions/Application"),
         ("Vault", "key_management/Vault"), ("Key", "key_management/Key"),
         ("VaultSecret", "vault/Secret"), ("Alarm", "monitoring/Alarm"),
         ("User", "identity/User"), ("Group", "identity/Group"),
         ("Policy", "identity/Policy"),
         ("Compartment", "identity/Compartment"))
ANNOUNCEMENTS = (
    ("ACTION_REQUIRED", "Update of TLS certificates of load balancers",
     ("Load Balancer",), "ACTIVE", 20, True),
    ("SCHEDULED_MAINTENANCE", "Maintenance of instances of fleet payments",
     ("Compute",), "ACTIVE", 6, False),
    ("PRODUCTION_EVENT_NOTIFICATION", "Higher latency of Object Storage",
     ("Object Storage",), "ACTIVE", 2, False),
    ("INFORMATION", "New versions of Kubernetes", ("Container Engine for "
                                                   "Kubernetes",), "ACTIVE",
     11, False),
    ("ACTION_RECOMMENDED", "Autonomous Database: rotate wallets",
     ("Autonomous Database",), "INACTIVE", 45, False))


def fill(world):
    for name, statement in QUOTAS:
        world.add("limits/Quota", HOME, {
            "id": world.ocid("quota", HOME, name), "name": name,
            "compartmentId": world.tenancy, "description": name,
            "lifecycleState": "ACTIVE", "statements": [statement],
            "timeCreated": world.time(days=190), "freeformTags": {},
            "definedTags": {}})
    for number, (kind, text, names, state, days, banner) in enumerate(
            ANNOUNCEMENTS):
        ocid = world.ocid("announcement", HOME, number)
        world.add("announcements_service/Announcement", HOME, {
            "id": ocid, "type": "AnnouncementSummary", "summary": text,
            "referenceTicketNumber": "ACME-%d" % (4000 + number),
            "announcementType": kind, "lifecycleState": state,
            "services": list(names), "affectedRegions": [HOME],
            "isBanner": banner, "platformType": "IAAS", "chainId": ocid,
            "environmentName": None, "timeOneTitle": "Start",
            "timeOneType": "START_TIME", "timeOneValue": world.time(
                days=days - 14), "timeTwoTitle": None, "timeTwoType": None,
            "timeTwoValue": None, "timeCreated": world.time(days=days),
            "timeUpdated": world.time(days=days - 1),
            "_description": text + ". What to do is written here."})


# Limits

def check_tenancy(call):
    if call.query["compartmentId"] != call.world.tenancy:
        if call.op.name != "GetResourceAvailability" or \
                not call.world.is_compartment(call.query["compartmentId"]):
            raise not_found()


def limits_of(call, wanted):
    for name, _, limits in LIMITS:
        if name == wanted:
            return limits
    raise not_found()


@operation("limits.ListServices")
def list_services(call):
    check_tenancy(call)
    return call.answer_list([{"name": name, "description": text}
                             for name, text, _ in LIMITS], select=False)


@operation("limits.ListLimitDefinitions")
def list_definitions(call):
    check_tenancy(call)
    return call.answer_list([
        {"name": limit[0], "serviceName": name, "scopeType": limit[1],
         "description": limit[0].replace("-", " "),
         "areQuotasSupported": True, "isDeprecated": False,
         "isResourceAvailabilitySupported": limit[3] is not None,
         "isEligibleForLimitIncrease": True, "isDynamic": False}
        for name, _, limits in LIMITS for limit in limits
        if call.query.get("serviceName") in (None, name) and
        call.query.get("name") in (None, limit[0])], select=False)


@operation("limits.ListLimitValues")
def list_values(call):
    check_tenancy(call)
    out = []
    for name, scope, value, _ in limits_of(call, call.query["serviceName"]):
        for n in (1, 2, 3) if scope == "AD" else (0,):
            out.append({"name": name, "scopeType": scope, "value": value,
                        "availabilityDomain": call.world.domain(
                            call.region, n) if n else None})
    return call.answer_list([v for v in out if all(
        call.query.get(k) in (None, v[k])
        for k in ("name", "scopeType", "availabilityDomain"))], select=False)


@operation("limits.GetResourceAvailability")
def get_availability(call):
    check_tenancy(call)
    world = call.world
    rows = [r for r in limits_of(call, call.params["serviceName"])
            if r[0] == call.params["limitName"]]
    if not rows:
        raise not_found()
    name, scope, value, what = rows[0]
    domain = call.query.get("availabilityDomain")
    if scope == "AD" and not domain:
        raise missing("availabilityDomain")
    if scope != "AD" and domain:
        raise invalid("availabilityDomain is not for this limit")
    used = 0
    kind = what if what and "/" in what else "core/Instance"
    for resource in world.table(kind, call.region).values():
        if what is None or resource["lifecycleState"] == "TERMINATED" or \
                domain and resource.get("availabilityDomain") != domain:
            continue
        if kind == "core/Instance":
            if resource["shape"] == what:
                used += int(resource["shapeConfig"]["ocpus"])
        else:
            used += resource["sizeInGBs"] if name.endswith("-gb") else 1
    return {"used": used, "available": max(0, value - used),
            "fractionalUsage": float(used), "fractionalAvailability":
            float(max(0, value - used)), "effectiveQuotaValue": None}


# Search

QUERY = re.compile(r"\s*query\s+(?P<types>[\w,\s]+?)\s+resources"
                   r"(?:\s+return\s+\S+)?(?:\s+where\s+(?P<where>.*?))?"
                   r"(?:\s+sorted\s+by\s+(?P<sort>\w+)(?:\s+(?P<order>asc|"
                   r"desc))?)?\s*$", re.I | re.S)
CONDITION = re.compile(r"\(?\s*([\w.]+)\s*(!=|==|=~|=)\s*'([^']*)'\s*\)?$")


def summary(kind, resource):
    name = resource.get("displayName") or resource.get("name") or \
        resource.get("secretName")
    return {"resourceType": kind, "identifier": resource["id"],
            "compartmentId": resource.get("compartmentId"),
            "timeCreated": resource.get("timeCreated"), "displayName": name,
            "availabilityDomain": resource.get("availabilityDomain"),
            "lifecycleState": resource.get("lifecycleState", "ACTIVE"),
            "freeformTags": resource.get("freeformTags", {}),
            "definedTags": resource.get("definedTags", {}),
            "systemTags": {}, "searchContext": None,
            "identityContext": {}, "additionalDetails": {}}


def everything(call):
    return [summary(kind, resource) for kind, table in TYPES
            for resource in call.all(table)]


@operation("resource_search.SearchResources")
def search(call):
    body = call.body
    if body["type"] == "FreeText":
        text = (body.get("text") or "").strip().lower()
        if not text:
            raise missing("text")
        found = [s for s in everything(call)
                 if text in str(s["displayName"]).lower() or
                 text == s["identifier"] or
                 text in str(s["freeformTags"]).lower()]
    else:
        found = structured(call, body.get("query") or "")
    return {"items": call.page(found)}


def structured(call, text):
    match = QUERY.match(text)
    if not match:
        raise ServiceError(400, "InvalidParameter",
                           "The query could not be parsed: %s" % text)
    types = {t.strip().lower() for t in match.group("types").split(",")}
    known = {t.lower() for t, _ in TYPES} | {"all"}
    if types - known:
        raise invalid("Unknown resource type: %s" % ", ".join(types - known))
    found = [s for s in everything(call)
             if "all" in types or s["resourceType"].lower() in types]
    if match.group("where"):
        found = [s for s in found if holds(match.group("where"), s)]
    by = match.group("sort")
    if by:
        field = next((f for f in found[0] if f.lower() == by.lower()), by) \
            if found else by
        found.sort(key=lambda s: str(s.get(field)),
                   reverse=(match.group("order") or "asc").lower() == "desc")
    return found


def holds(text, item):
    """Terms joined by || of terms joined by &&."""
    return any(all(condition(term, item)
                   for term in re.split(r"&&|\band\b", part))
               for part in re.split(r"\|\||\bor\b", text))


def condition(text, item):
    match = CONDITION.match(text.strip())
    if not match:
        raise invalid("The condition could not be parsed: %s" % text)
    name, how, value = match.groups()
    name = {"lifecyclestate": "lifecycleState"}.get(name.lower(), name)
    tag = name.lower().startswith("freeformtags.")
    have = item["freeformTags"].get(name.partition(".")[2]) if tag else \
        next((v for k, v in item.items() if k.lower() == name.lower()), None)
    have = str(have or "")
    if how == "=~":
        return value.lower() in have.lower()
    return (have.lower() == value.lower()) == (how != "!=")


@operation("resource_search.ListResourceTypes")
def list_types(call):
    return call.answer_list([{"name": kind, "fields": [
        {"fieldName": "displayName", "fieldType": "STRING"},
        {"fieldName": "lifecycleState", "fieldType": "STRING"}]}
        for kind, _ in TYPES], select=False)


@operation("resource_search.GetResourceType")
def get_type(call):
    for kind, _ in TYPES:
        if kind.lower() == call.params["name"].lower():
            return {"name": kind, "fields": []}
    raise not_found()


# Work requests

@operation("work_requests.ListWorkRequests")
def list_work_requests(call):
    items = call.all("work_requests/WorkRequest")
    wanted = call.query.get("resourceId")
    if wanted:
        items = [w for w in items
                 if wanted in [r["identifier"] for r in w["resources"]]]
    return call.answer_list(items, ignore=("resourceId",))


@operation("work_requests.ListWorkRequestErrors")
def list_errors(call):
    request = call.find("work_requests/WorkRequest",
                        call.params["workRequestId"])
    if request["status"] != "FAILED":
        return []
    return [{"code": "InternalError", "message": "It failed.",
             "timestamp": request["timeAccepted"]}]


@operation("work_requests.ListWorkRequestLogs")
def list_logs(call):
    request = call.find("work_requests/WorkRequest",
                        call.params["workRequestId"])
    return [{"message": "%s began." % request["operationType"],
             "timestamp": request["timeAccepted"]}]


# Announcements

@operation("announcements_service.ListAnnouncements")
def list_announcements(call):
    items = call.all("announcements_service/Announcement")
    wanted = call.query.get("service")
    if wanted:
        items = [a for a in items if wanted in a["services"]]
    out = call.answer_list(
        [dict(a, compartmentId=call.world.tenancy) for a in items],
        ignore=("service", "timeOneEarliestTime", "timeOneLatestTime",
                "excludeAnnouncementTypes", "shouldShowOnlyLatestInChain"))
    for item in out["items"]:
        del item["compartmentId"]
    return dict(out, userStatuses=[])


@operation("announcements_service.GetAnnouncement")
def get_announcement(call):
    found = call.find("announcements_service/Announcement",
                      call.params["announcementId"])
    return dict(call.answer(found), type="Announcement",
                description=found["_description"], additionalInformation="",
                affectedResources=[])
