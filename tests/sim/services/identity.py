"""Identity: compartments, people and what they may do, regions."""

import der
import rsa
from catalog import ServiceError, invalid, not_found
from engine import general, operation
from http1 import Response
from principals import normal
from world import HOME, REGIONS, SHORT_KEYS, public

ALL_REGIONS = (("IAD", "us-ashburn-1"), ("PHX", "us-phoenix-1"),
               ("FRA", "eu-frankfurt-1"), ("LHR", "uk-london-1"),
               ("NRT", "ap-tokyo-1"), ("SYD", "ap-sydney-1"),
               ("GRU", "sa-saopaulo-1"), ("ZRH", "eu-zurich-1"))
# Name, parent, what it is for.
COMPARTMENTS = (("prod", None, "Everything that customers see"),
                ("dev", None, "Development and tests"),
                ("shared", None, "Networks, security, build machines"))
# Name, group names, state, whether MFA is on.
USERS = (
    ("ada.kern@acme.example", ("Administrators",), "ACTIVE", True),
    ("bruno.vidal@acme.example", ("Administrators", "Operators"), "ACTIVE",
     True),
    ("chloe.marsh@acme.example", ("Operators",), "ACTIVE", True),
    ("deniz.acar@acme.example", ("Developers",), "ACTIVE", False),
    ("emil.nowak@acme.example", ("Developers",), "ACTIVE", True),
    ("fatima.rahal@acme.example", ("Developers", "DatabaseAdmins"), "ACTIVE",
     True),
    ("goran.ilic@acme.example", ("DatabaseAdmins",), "ACTIVE", False),
    ("hana.sato@acme.example", ("NetworkAdmins",), "ACTIVE", True),
    ("igor.blok@acme.example", ("Auditors",), "ACTIVE", True),
    ("jana.kral@acme.example", ("Developers",), "INACTIVE", False),
    ("gateway@acme.example", ("Gateways",), "ACTIVE", False),
    ("nobody@acme.example", (), "ACTIVE", False),
    ("backup-robot@acme.example", ("Robots",), "ACTIVE", False),
    ("ci-robot@acme.example", ("Robots", "Developers"), "ACTIVE", False),
)
GROUPS = (("Administrators", "May do everything"),
          ("Operators", "Run production"), ("Developers", "Build things"),
          ("DatabaseAdmins", "Look after the databases"),
          ("NetworkAdmins", "Look after the networks"),
          ("Auditors", "Read everything"), ("Gateways", "MCP gateways"),
          ("Robots", "Programs"))
POLICIES = (
    ("tenant-admins", None, (
        "Allow group Administrators to manage all-resources in tenancy",)),
    ("gateway-policy", None, (
        "Allow group Gateways to inspect all-resources in tenancy",
        "Allow group Gateways to use instances in compartment dev",
        "Allow dynamic-group gateway-hosts to read metrics in tenancy")),
    ("auditors", None, (
        "Allow group Auditors to read all-resources in tenancy",
        "Allow group Auditors to read audit-events in tenancy")),
    ("operators", "prod", (
        "Allow group Operators to manage instance-family in compartment prod",
        "Allow group Operators to use virtual-network-family in compartment "
        "shared")),
    ("developers", "dev", (
        "Allow group Developers to manage all-resources in compartment dev",)),
    ("databases", "prod", (
        "Allow group DatabaseAdmins to manage database-family in compartment "
        "prod",)),
    ("networks", "shared", (
        "Allow group NetworkAdmins to manage virtual-network-family in "
        "tenancy",)),
)
DYNAMIC_GROUPS = (("gateway-hosts", "instance.compartment.id = '{shared}'"),
                  ("functions", "resource.type = 'fnfunc'"))


def fill(world):
    tenancy = world.tenancy
    stamp = {"timeCreated": world.time(days=700), "freeformTags": {},
             "definedTags": {}}

    def add(kind, ocid_type, name, **fields):
        return world.add("identity/" + kind, HOME, {
            "id": world.ocid(ocid_type, "", name), "name": name,
            "compartmentId": tenancy, **stamp, "lifecycleState": "ACTIVE",
            **fields})
    world.add("identity/Tenancy", HOME, {
        "id": tenancy, "name": "acme", "description": "Acme Retail",
        "homeRegionKey": SHORT_KEYS[HOME], "freeformTags": {},
        "definedTags": {}, "upiIdcsCompatibilityLayerEndpoint": ""})
    world.names["tenancy"] = tenancy
    for name, parent, text in COMPARTMENTS:
        made = add("Compartment", "compartment", name, description=text,
                   compartmentId=world.names.get(parent, tenancy),
                   isAccessible=True,
                   freeformTags={"owner": "platform"})
        world.names[name] = made["id"]
    add("Compartment", "compartment", "legacy", description="Deleted",
        isAccessible=False, lifecycleState="DELETED")
    groups = {name: add("Group", "group", name, description=text)
              for name, text in GROUPS}
    people = {}
    for n, (name, member_of, state, mfa) in enumerate(USERS):
        user = people[name] = add(
            "User", "user", name, description=name.split("@")[0].replace(
                ".", " ").title(), email=name, emailVerified=True,
            lifecycleState=state, isMfaActivated=mfa,
            timeCreated=world.time(days=650 - 11 * n),
            lastSuccessfulLoginTime=world.time(days=3 * n + 1),
            capabilities={"canUseConsolePassword": "robot" not in name,
                          "canUseApiKeys": True, "canUseAuthTokens": True,
                          "canUseSmtpCredentials": False,
                          "canUseCustomerSecretKeys": True})
        for group in member_of:
            world.add("identity/UserGroupMembership", HOME, {
                "id": world.ocid("groupmembership", "", name, group),
                "compartmentId": tenancy, "userId": user["id"],
                "groupId": groups[group]["id"], "lifecycleState": "ACTIVE",
                "timeCreated": world.time(days=600 - n)})
        if "robot" in name or name.startswith("gateway"):
            add_key(world, user, "-----BEGIN PUBLIC KEY-----\nnone\n"
                    "-----END PUBLIC KEY-----\n",
                    ":".join("%02x" % b for b in world.random(
                        "key", name).randbytes(16)), days=400)
    for name, where, statements in POLICIES:
        add("Policy", "policy", name, description=name.replace("-", " "),
            compartmentId=world.names.get(where, tenancy),
            statements=list(statements), versionDate=None)
    for name, rule in DYNAMIC_GROUPS:
        add("DynamicGroup", "dynamicgroup", name, description=name,
            matchingRule=rule.format(**world.names))
    world.add("identity/Domain", HOME, {
        "id": world.ocid("domain", "", "Default"), "compartmentId": tenancy,
        "displayName": "Default", "description": "Default domain",
        "url": "https://idcs-0000.identity.oraclecloud.com:443",
        "homeRegionUrl": "https://idcs-0000.identity.oraclecloud.com:443",
        "homeRegion": HOME, "type": "DEFAULT", "licenseType": "free",
        "isHiddenOnLogin": False, "replicaRegions": [], **stamp,
        "lifecycleState": "ACTIVE"})
    tags = add("TagNamespaceSummary", "tagnamespace", "Operations",
               description="Operations", isRetired=False)
    tags.pop("_etag")
    return {"user": people["gateway@acme.example"],
            "nobody": people["nobody@acme.example"]}


def add_key(world, user, pem, fingerprint, days=0):
    return world.add("identity/ApiKey", HOME, {
        "name": "%s/%s" % (user["id"], fingerprint), "_etag": "k",
        "keyId": "%s/%s/%s" % (world.tenancy, user["id"], fingerprint),
        "keyValue": pem, "fingerprint": fingerprint, "userId": user["id"],
        "lifecycleState": "ACTIVE", "inactiveStatus": None,
        "timeCreated": world.time(days=days)})


@operation("identity.ListCompartments")
def list_compartments(call):
    subtree = call.query.get("compartmentIdInSubtree")
    if subtree and call.query["compartmentId"] != call.world.tenancy:
        raise invalid("compartmentIdInSubtree needs the tenancy's OCID")
    items = call.all("identity/Compartment")
    if "lifecycleState" not in call.query:
        items = [c for c in items if c["lifecycleState"] != "DELETED"]
    # The root is not in the list, and belongs to no compartment.
    return call.answer_list(items)


@operation("identity.GetCompartment")
def get_compartment(call):
    ocid = call.params["compartmentId"]
    if ocid == call.world.tenancy:
        tenancy = call.find("identity/Tenancy", ocid)
        return {"id": ocid, "compartmentId": ocid, "name": tenancy["name"],
                "description": tenancy["description"],
                "lifecycleState": "ACTIVE",
                "timeCreated": call.world.time(days=800),
                "freeformTags": {}, "definedTags": {}}
    return general(call)


@operation("identity.ListAvailabilityDomains")
def list_domains(call):
    call.compartments()
    world = call.world
    return [{"name": world.domain(call.region, n),
             "id": world.ocid("availabilitydomain", "", call.region, n),
             "compartmentId": call.query["compartmentId"]}
            for n in (1, 2, 3)]


@operation("identity.ListFaultDomains")
def list_fault_domains(call):
    call.compartments()
    domain = call.query["availabilityDomain"]
    if domain not in [call.world.domain(call.region, n) for n in (1, 2, 3)]:
        raise not_found()
    return [{"name": "FAULT-DOMAIN-%d" % n, "availabilityDomain": domain,
             "id": call.world.ocid("faultdomain", "", domain, n),
             "compartmentId": call.query["compartmentId"]} for n in (1, 2, 3)]


@operation("identity.ListRegions")
def list_regions(call):
    return [{"key": key, "name": name} for key, name in ALL_REGIONS]


@operation("identity.ListRegionSubscriptions")
def list_subscriptions(call):
    if call.params["tenancyId"] != call.world.tenancy:
        raise not_found()
    return [{"regionKey": SHORT_KEYS[name], "regionName": name,
             "status": "READY", "isHomeRegion": name == HOME}
            for name in REGIONS]


def user_of(call):
    return call.find("identity/User", call.params["userId"])


@operation("identity.ListApiKeys")
def list_api_keys(call):
    user = user_of(call)
    return [public(k) for k in call.all("identity/ApiKey")
            if k["userId"] == user["id"]]


@operation("identity.UploadApiKey")
def upload_api_key(call):
    user, world = user_of(call), call.world
    try:
        key = rsa.read_spki(der.unpem(call.body["key"]))
    except ValueError:
        raise invalid("key is not an RSA public key in PEM")
    fingerprint = key.fingerprint()
    world.principals.api_keys[user["id"], normal(fingerprint)] = key
    made = add_key(world, user, call.body["key"], fingerprint)
    return call.answer(made)


@operation("identity.DeleteApiKey")
def delete_api_key(call):
    name = "%s/%s" % (user_of(call)["id"], call.params["fingerprint"])
    call.find("identity/ApiKey", name)
    del call.table("identity/ApiKey")[name]
    call.world.principals.api_keys.pop(
        (call.params["userId"], normal(call.params["fingerprint"])), None)
    return Response(204)


@operation("identity.ListAuthTokens", "identity.ListCustomerSecretKeys",
           "identity.ListMfaTotpDevices")
def list_of_user(call):
    user = user_of(call)
    if call.op.name == "ListMfaTotpDevices" and user["isMfaActivated"]:
        return [{"id": call.world.ocid("mfatotpdevice", "", user["id"]),
                 "userId": user["id"], "isActivated": True,
                 "lifecycleState": "ACTIVE",
                 "timeCreated": user["timeCreated"]}]
    return []


@operation("identity.ListTags")
def list_tags(call):
    call.find("identity/TagNamespaceSummary", call.params["tagNamespaceId"])
    return [{"name": "CostCenter", "isRetired": False}]


@operation("identity.ListTagNamespaces")
def list_tag_namespaces(call):
    return call.answer_list(call.all("identity/TagNamespaceSummary"))


@operation("identity.ListNetworkSources")
def list_network_sources(call):
    return call.answer_list([])


def named(kind, ocid_type):
    """A function that creates something that has a name of its own."""
    def create(call):
        if any(r["name"] == call.body["name"] and
               r["lifecycleState"] == "ACTIVE" for r in call.all(kind)):
            raise ServiceError(409, "NotAuthorizedOrResourceAlreadyExists",
                               "%s exists already." % call.body["name"])
        fields = {"lifecycleState": "ACTIVE"}
        if kind == "identity/Compartment":
            fields["isAccessible"] = True
        if kind == "identity/User":
            fields["isMfaActivated"] = False
        return call.answer(call.create(kind, ocid_type, fields))
    return create


for _kind, _type in (("User", "user"), ("Group", "group"),
                     ("Policy", "policy"), ("Compartment", "compartment")):
    operation("identity.Create" + _kind)(named("identity/" + _kind, _type))


@operation("identity.AddUserToGroup")
def add_member(call):
    call.find("identity/User", call.body["userId"])
    call.find("identity/Group", call.body["groupId"])
    return call.answer(call.create(
        "identity/UserGroupMembership", "groupmembership",
        {"compartmentId": call.world.tenancy, "lifecycleState": "ACTIVE"}))
