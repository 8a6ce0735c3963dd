"""Cloud Guard, the audit, vaults, keys and secrets."""

import datetime
import hashlib

from catalog import ServiceError, invalid, not_found, read_time, write_time
from engine import operation
from world import HOME

RETENTION = datetime.timedelta(days=365)
# Rule, risk, resource (kind, name), compartment, still there, days, labels.
PROBLEMS = (
    ("SECURITY_LISTS_OPEN_SOURCE", "CRITICAL",
     ("core/SecurityList", "dev-open"), "dev", True, 40, ("Network",)),
    ("SECURITY_LISTS_OPEN_PORTS", "HIGH", ("core/SecurityList", "prod-db"),
     "prod", True, 12, ("Network", "Database")),
    ("NSG_INGRESS_RULE_PORTS", "HIGH",
     ("core/NetworkSecurityGroup", "prod-admin"), "prod", True, 9,
     ("Network",)),
    ("BUCKET_IS_PUBLIC", "CRITICAL", ("object_storage/Bucket", "media"),
     "prod", True, 55, ("ObjectStorage",)),
    ("USER_NOT_MFA_ENABLED", "MEDIUM",
     ("identity/User", "deniz.acar@acme.example"), "tenancy", True, 90,
     ("IAM", "CIS_OCI_V1.1_IAM")),
    ("API_KEY_TOO_OLD", "MEDIUM",
     ("identity/User", "backup-robot@acme.example"), "tenancy", True, 33,
     ("IAM",)),
    ("INSTANCE_PUBLIC_IP", "HIGH", ("core/Instance", "dev-web-1"), "dev",
     True, 28, ("Compute",)),
    ("INSTANCE_PUBLIC_IP", "HIGH", ("core/Instance", "dev-web-2"), "dev",
     True, 28, ("Compute",)),
    ("DATABASE_SYSTEM_IS_NOT_PATCHED", "LOW", ("database/DbSystem", "crm"),
     "prod", True, 70, ("Database",)),
    ("VCN_FLOW_LOGS_DISABLED", "MINOR", ("core/Vcn", "dev-vcn"), "dev", True,
     120, ("Network",)),
    ("KMS_KEY_NOT_ROTATED", "MEDIUM", ("key_management/Key", "legacy"),
     "shared", True, 61, ("KMS",)),
    ("INSTANCE_PUBLIC_IP", "HIGH", ("core/Instance", "web-2"), "prod", False,
     200, ("Compute",)),
    ("BUCKET_IS_PUBLIC", "CRITICAL", ("object_storage/Bucket", "backups"),
     "shared", False, 150, ("ObjectStorage",)))
# Event, service, kind of resource, status.
EVENTS = (("GetInstance", "ComputeApi", "core/Instance", "200"),
          ("ListInstances", "ComputeApi", None, "200"),
          ("InstanceAction", "ComputeApi", "core/Instance", "200"),
          ("ListVcns", "VirtualNetwork", None, "200"),
          ("UpdateSecurityList", "VirtualNetwork", "core/SecurityList",
           "200"),
          ("GetUser", "IdentityControlPlane", "identity/User", "200"),
          ("CreatePolicy", "IdentityControlPlane", None, "404"),
          ("StopAutonomousDatabase", "DatabaseService",
           "database/AutonomousDatabase", "200"),
          ("GetBucket", "objectstorage", None, "200"),
          ("LaunchInstance", "ComputeApi", None, "429"))
EVENT_EVERY_S = 1800
SECRETS = (("orders-db-password", "prod", 4), ("payment-api-key", "prod", 2),
           ("ci-deploy-token", "shared", 7), ("dev-db-password", "dev", 1))


def fill(world):
    target = world.add("cloud_guard/Target", HOME, {
        "id": world.ocid("cloudguardtarget", HOME, "root"),
        "displayName": "acme", "compartmentId": world.tenancy,
        "targetResourceType": "COMPARTMENT", "recipeCount": 2,
        "targetResourceId": world.tenancy, "lifecycleState": "ACTIVE",
        "timeCreated": world.time(days=300),
        "timeUpdated": world.time(days=40)})
    for detector in ("IAAS_CONFIGURATION_DETECTOR", "IAAS_ACTIVITY_DETECTOR"):
        world.add("cloud_guard/DetectorRecipe", HOME, {
            "id": world.ocid("cloudguarddetectorrecipe", HOME, detector),
            "displayName": detector.title().replace("_", " "),
            "compartmentId": world.tenancy, "owner": "ORACLE",
            "detector": detector, "sourceDetectorRecipeId": world.ocid(
                "cloudguarddetectorrecipe", HOME, "source", detector),
            "detectorRecipeType": "STANDARD",
            "lifecycleState": "ACTIVE", "timeCreated": world.time(days=300)})
    for number, row in enumerate(PROBLEMS):
        fill_problem(world, target, number, *row)
    fill_vault(world)


def find_named(world, kind, name):
    for resource in world.table(kind, HOME).values():
        if name in (resource.get("displayName"), resource.get("name")):
            return resource["id"]
    return world.ocid(kind.partition("/")[2].lower(), HOME, name)


def fill_problem(world, target, number, rule, risk, resource, where, active,
                 days, labels):
    kind, name = resource
    world.add("cloud_guard/Problem", HOME, {
        "id": world.ocid("cloudguardproblem", HOME, number),
        "compartmentId": world.names[where], "detectorRuleId": rule,
        "detectorId": "IAAS_CONFIGURATION_DETECTOR", "region": HOME,
        "regions": [HOME], "riskLevel": risk,
        "riskScore": {"CRITICAL": 97.0, "HIGH": 81.5, "MEDIUM": 55.0,
                      "LOW": 24.0, "MINOR": 9.0}[risk],
        "resourceId": find_named(world, kind, name), "resourceName": name,
        "resourceType": kind.partition("/")[2], "labels": list(labels),
        "lifecycleState": "ACTIVE" if active else "INACTIVE",
        "lifecycleDetail": "OPEN" if active else "RESOLVED",
        "targetId": target["id"], "timeFirstDetected": world.time(days=days),
        "timeLastDetected": world.time(
            hours=number if active else 24 * days - 48),
        "description": rule.replace("_", " ").capitalize(),
        "recommendation": "Close what does not have to be open.",
        "additionalDetails": {}, "comment": None})


def fill_vault(world):
    shared = world.names["shared"]
    host = "https://main-%s.kms.us-ashburn-1.oraclecloud.com"
    stamp = {"timeCreated": world.time(days=320), "freeformTags": {},
             "definedTags": {}}
    vault = world.add("key_management/Vault", HOME, {
        "id": world.ocid("vault", HOME, "main"), "compartmentId": shared,
        "displayName": "main", "lifecycleState": "ACTIVE",
        "vaultType": "DEFAULT", "cryptoEndpoint": host % "crypto",
        "managementEndpoint": host % "management", "wrappingkeyId":
        world.ocid("key", HOME, "wrapping"), **stamp})
    keys = {}
    for name, algorithm, state in (("orders", "AES", "ENABLED"),
                                   ("signing", "RSA", "ENABLED"),
                                   ("legacy", "AES", "DISABLED")):
        keys[name] = world.add("key_management/Key", HOME, {
            "id": world.ocid("key", HOME, name), "compartmentId": shared,
            "displayName": name, "vaultId": vault["id"],
            "lifecycleState": state, "algorithm": algorithm,
            "protectionMode": "HSM", "isAutoRotationEnabled": False,
            "currentKeyVersion": world.ocid("keyversion", HOME, name, 1),
            "keyShape": {"algorithm": algorithm, "length": 32}, **stamp})
    for name, where, versions in SECRETS:
        world.add("vault/Secret", HOME, {
            "id": world.ocid("vaultsecret", HOME, name), "secretName": name,
            "compartmentId": world.names[where], "vaultId": vault["id"],
            "keyId": keys["orders"]["id"], "lifecycleState": "ACTIVE",
            "description": name.replace("-", " "), "isReplica": False,
            "currentVersionNumber": versions, "rotationStatus": None,
            "timeOfCurrentVersionExpiry": None, "metadata": {}, **stamp})


# Cloud Guard

@operation("cloud_guard.ListProblems")
def list_problems(call):
    items = call.all("cloud_guard/Problem")
    for name, field in (("label", "labels"), ("detectorType", "detectorId")):
        wanted = call.query.get(name)
        if wanted:
            items = [p for p in items if p[field] == wanted or
                     isinstance(p[field], list) and wanted in p[field]]
    rules = call.query.get("detectorRuleIdList")
    if rules:
        items = [p for p in items if p["detectorRuleId"] in rules]
    if "lifecycleState" not in call.query:
        items = [p for p in items if p["lifecycleState"] == "ACTIVE"]
    return call.answer_list(items, ignore=(
        "label", "detectorType", "detectorRuleIdList", "city", "state",
        "country", "problemCategory"))


@operation("cloud_guard.UpdateProblemStatus")
def update_problem(call):
    problem = call.find("cloud_guard/Problem", call.params["problemId"])
    call.check_match(problem)
    status = call.body["status"]
    return call.answer(call.world.change(
        problem, lifecycleDetail=status, comment=call.body.get("comment"),
        lifecycleState="ACTIVE" if status == "OPEN" else "INACTIVE"))


@operation("cloud_guard.GetConfiguration")
def guard_configuration(call):
    call.compartments()
    return {"reportingRegion": HOME, "status": "ENABLED",
            "selfManageResources": False}


@operation("cloud_guard.RequestSummarizedProblems")
def summarize_problems(call):
    names = {"RISK_LEVEL": "riskLevel", "RESOURCE_TYPE": "resourceType",
             "REGION": "region", "COMPARTMENT_ID": "compartmentId"}
    wanted, counts = call.query["listDimensions"], {}
    for problem in call.select(call.all("cloud_guard/Problem"),
                               ignore=("listDimensions",)):
        if problem["lifecycleState"] == "ACTIVE":
            key = tuple(problem.get(names.get(d, d)) for d in wanted)
            counts[key] = counts.get(key, 0) + 1
    return {"items": [{"dimensionsMap": dict(zip(wanted, key)), "count": n}
                      for key, n in counts.items()]}


@operation("cloud_guard.ListRecommendations")
def list_recommendations(call):
    problems = [p for p in call.all("cloud_guard/Problem")
                if p["riskLevel"] == "CRITICAL" and
                p["lifecycleState"] == "ACTIVE"]
    return call.answer_list([{
        "id": call.world.ocid("cloudguardrecommendation", HOME, p["id"]),
        "type": "DETECTOR_PROBLEMS", "tenantId": call.world.tenancy,
        "compartmentId": p["compartmentId"], "targetId": p["targetId"],
        "details": {}, "riskLevel": p["riskLevel"], "problemCount": 1,
        "lifecycleState": "ACTIVE", "lifecycleDetail": "OPEN",
        "timeCreated": p["timeFirstDetected"], "name": p["detectorRuleId"],
        "description": p["description"]} for p in problems])


@operation("cloud_guard.ListResponderRecipes")
def list_recipes(call):
    return call.answer_list([])


# Audit

def event(world, moment):
    """The event of a moment: one each half hour, for ever."""
    dice = world.random("audit", moment)
    name, source, kind, status = dice.choice(EVENTS)
    users = list(world.table("identity/User", HOME).values())
    user = dice.choice(users)
    where = dice.choice(["prod", "dev", "shared"])
    resource = {}
    if kind:
        resource = dice.choice([r for r in world.table(
            kind, HOME).values()])
    compartment = resource.get("compartmentId", world.names[where])
    when = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    method = "GET" if name.startswith(("Get", "List")) else "POST"
    return {
        "eventType": "com.oraclecloud.%s.%s" % (source, name),
        "cloudEventsVersion": "0.1", "eventTypeVersion": "2.0",
        "source": source, "eventTime": write_time(when),
        "eventId": hashlib.md5(b"%d" % moment).hexdigest(),
        "contentType": "application/json", "compartmentId": compartment,
        "data": {
            "eventGroupingId": None, "eventName": name,
            "compartmentId": compartment, "compartmentName": next(
                n for n, i in world.names.items() if i == compartment),
            "resourceName": resource.get("displayName") or
            resource.get("name"), "resourceId": resource.get("id"),
            "availabilityDomain": "AD1", "freeformTags": None,
            "definedTags": None, "identity": {
                "principalName": user["name"], "principalId": user["id"],
                "authType": "natv", "ipAddress": "203.0.113.%d" %
                dice.randrange(1, 250), "tenantId": world.tenancy,
                "callerId": None, "callerName": None, "consoleSessionId":
                None, "credentials": "%s/%s/aa:bb" % (
                    world.tenancy, user["id"]),
                "userAgent": "Oracle-PythonSDK/2.1"},
            "request": {"id": hashlib.md5(b"r%d" % moment).hexdigest(),
                        "path": "/20160918/" + name, "action": method,
                        "parameters": {}, "headers": {
                            "authorization": ["Signature keyId=\"hidden\""],
                            "opc-request-id": ["hidden"]}},
            "response": {"status": status, "responseTime": write_time(when),
                         "headers": {}, "payload": {}, "message": None},
            "stateChange": {"previous": None, "current": None}}}


@operation("audit.ListEvents")
def list_events(call):
    world = call.world
    start, end = (read_time(call.query[n]).replace(second=0, microsecond=0)
                  for n in ("startTime", "endTime"))
    if end < start:
        raise invalid("endTime must not be before startTime")
    now = world.now()
    if start < now - RETENTION:
        raise invalid("startTime is more than 365 days ago")
    among = call.compartments()
    first = -(-int(start.timestamp()) // EVENT_EVERY_S) * EVENT_EVERY_S
    events = [event(world, moment) for moment in range(
        first, int(min(end, now).timestamp()), EVENT_EVERY_S)]
    events = [{k: v for k, v in e.items() if k != "compartmentId"}
              for e in events if e["compartmentId"] in among]
    if "page" not in call.query and end > now - datetime.timedelta(minutes=5):
        # What is newest is still being looked for.
        call.headers["opc-next-page"] = call.write_page(0)
        return []
    return call.page(events[::-1])


@operation("audit.GetConfiguration")
def audit_configuration(call):
    call.compartments()
    return {"retentionPeriodDays": RETENTION.days}


# Vaults, keys, secrets: their names, never what is in them

@operation("key_management.ListKeyVersions")
def list_key_versions(call):
    key = call.find("key_management/Key", call.params["keyId"])
    return call.answer_list([{
        "id": key["currentKeyVersion"], "keyId": key["id"],
        "compartmentId": key["compartmentId"], "vaultId": key["vaultId"],
        "lifecycleState": key["lifecycleState"], "origin": "INTERNAL",
        "timeCreated": key["timeCreated"]}])


@operation("vault.ListSecrets")
def list_secrets(call):
    items = call.all("vault/Secret")
    if "name" in call.query:
        items = [s for s in items if s["secretName"] == call.query["name"]]
    return call.answer_list(items, ignore=("name",))


def versions_of(secret):
    last = secret["currentVersionNumber"]
    return [{"secretId": secret["id"], "versionNumber": n, "name": None,
             "contentType": "BASE64", "timeCreated": secret["timeCreated"],
             "stages": ["CURRENT", "LATEST"] if n == last else
             ["PREVIOUS"] if n == last - 1 else ["DEPRECATED"]}
            for n in range(last, 0, -1)]


@operation("vault.ListSecretVersions", "secrets.ListSecretBundleVersions")
def list_secret_versions(call):
    secret = call.world.table("vault/Secret", call.region).get(
        call.params["secretId"])
    if not secret:
        raise not_found()
    return call.answer_list(versions_of(secret))


@operation("secrets.GetSecretBundle", "secrets.GetSecretBundleByName")
def no_contents(call):
    raise ServiceError(404, "NotAuthorizedOrNotFound",
                       "The simulator gives no contents of secrets.")
