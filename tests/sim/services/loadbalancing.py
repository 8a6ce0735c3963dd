"""Load balancers and network load balancers with their health."""

from catalog import ServiceError, not_found
from engine import operation
from http1 import Response
from world import HOME

# Name, compartment, subnet, public address, backend sets: name, port, fleet,
# how many of the backends are down.
BALANCERS = (("shop", "prod", "prod-public", "198.51.100.200",
              (("web", 443, "web", 0), ("api", 8080, "orders", 1))),
             ("intranet", "shared", "shared-hub", None,
              (("monitor", 3000, "monitor", 0),)),
             ("dev", "dev", "dev-public", "198.51.100.201",
              (("dev", 8080, "dev-web", 2),)))
NETWORK_BALANCERS = (("edge", "prod", "prod-public", "198.51.100.210",
                      (("tcp", 443, "web", 0),)),)


def fill(world):
    for row in BALANCERS:
        fill_balancer(world, *row)
    for row in NETWORK_BALANCERS:
        fill_network_balancer(world, *row)


def backends(world, port, fleet):
    """The fleet's instances that run, by address."""
    out = []
    for vnic in world.table("core/Vnic", HOME).values():
        name = vnic["displayName"].rpartition("-")[0]
        if name == fleet:
            out.append((vnic["privateIp"], vnic["_instance"]))
    return [{"name": "%s:%d" % (address, port), "ipAddress": address,
             "port": port, "weight": 1, "drain": False, "backup": False,
             "offline": False, "_instance": instance}
            for address, instance in out]


def checker(port):
    return {"protocol": "HTTP", "urlPath": "/healthz", "port": port,
            "returnCode": 200, "retries": 3, "timeoutInMillis": 3000,
            "intervalInMillis": 10000, "responseBodyRegex": ".*",
            "isForcePlainText": False}


def base(world, kind, name, where, subnet, address):
    subnets = {s["displayName"]: s["id"]
               for s in world.table("core/Subnet", HOME).values()}
    return {"id": world.ocid(kind, HOME, name), "displayName": name,
            "compartmentId": world.names[where], "lifecycleState": "ACTIVE",
            "timeCreated": world.time(days=280), "isPrivate": not address,
            "ipAddresses": [{"ipAddress": address or "10.2.0.9",
                             "isPublic": bool(address)}],
            "freeformTags": {}, "definedTags": {}, "_down": {},
            "_subnet": subnets[subnet]}


def fill_balancer(world, name, where, subnet, address, sets):
    made = base(world, "loadbalancer", name, where, subnet, address)
    made.update({
        "shapeName": "flexible", "shapeDetails": {
            "minimumBandwidthInMbps": 10, "maximumBandwidthInMbps": 100},
        "subnetIds": [made["_subnet"]], "networkSecurityGroupIds": [],
        "isDeleteProtectionEnabled": False, "hostnames": {},
        "sslCipherSuites": {}, "certificates": {}, "pathRouteSets": {},
        "ruleSets": {}, "routingPolicies": {}, "ipMode": "IPV4",
        "backendSets": {}, "listeners": {}})
    for set_name, port, fleet, down in sets:
        members = backends(world, port, fleet)
        made["backendSets"][set_name] = {
            "name": set_name, "policy": "ROUND_ROBIN",
            "backends": [{k: v for k, v in b.items() if k[0] != "_"}
                         for b in members],
            "healthChecker": checker(port), "sslConfiguration": None}
        made["_down"][set_name] = [b["name"] for b in members[:down]]
        made["listeners"][set_name] = {
            "name": set_name, "defaultBackendSetName": set_name,
            "port": 443 if address else port, "protocol": "HTTP",
            "hostnameNames": [], "ruleSetNames": [],
            "connectionConfiguration": {"idleTimeout": 60}}
    world.add("load_balancer/LoadBalancer", HOME, made)


def fill_network_balancer(world, name, where, subnet, address, sets):
    made = base(world, "networkloadbalancer", name, where, subnet, address)
    made.update({
        "subnetId": made["_subnet"], "networkSecurityGroupIds": [],
        "isPreserveSourceDestination": False, "nlbIpVersion": "IPV4",
        "timeUpdated": world.time(days=90), "backendSets": {},
        "listeners": {}})
    for set_name, port, fleet, down in sets:
        members = backends(world, port, fleet)
        made["backendSets"][set_name] = {
            "name": set_name, "policy": "FIVE_TUPLE",
            "isPreserveSource": True, "backends": [{
                "name": b["name"], "ipAddress": b["ipAddress"], "port": port,
                "weight": 1, "isDrain": False, "isBackup": False,
                "isOffline": False, "targetId": b["_instance"]}
                for b in members],
            "healthChecker": {"protocol": "TCP", "port": port}}
        made["_down"][set_name] = [b["name"] for b in members[:down]]
        made["listeners"][set_name] = {
            "name": set_name, "defaultBackendSetName": set_name,
            "port": port, "protocol": "TCP"}
    world.add("network_load_balancer/NetworkLoadBalancer", HOME, made)


def balancer(call):
    if "loadBalancerId" in call.params:
        return call.find("load_balancer/LoadBalancer",
                         call.params["loadBalancerId"])
    return call.find("network_load_balancer/NetworkLoadBalancer",
                     call.params["networkLoadBalancerId"])


def set_of(call):
    found = balancer(call)["backendSets"].get(call.params["backendSetName"])
    if found is None:
        raise not_found()
    return found


def set_status(owner, name):
    total = len(owner["backendSets"][name]["backends"])
    down = len(owner["_down"].get(name, ()))
    if not total:
        return "UNKNOWN"
    return "OK" if not down else "CRITICAL" if down == total else "WARNING"


def health_of(owner):
    states = {name: set_status(owner, name) for name in owner["backendSets"]}
    worst = [s for s in ("CRITICAL", "WARNING", "UNKNOWN", "OK")
             if s in states.values()]
    return {"status": worst[0] if worst else "UNKNOWN",
            "totalBackendSetCount": len(states), **{
                state.lower() + "StateBackendSetNames":
                [n for n, s in states.items() if s == state]
                for state in ("WARNING", "CRITICAL", "UNKNOWN")}}


@operation("load_balancer.GetLoadBalancerHealth",
           "network_load_balancer.GetNetworkLoadBalancerHealth")
def get_health(call):
    return health_of(balancer(call))


@operation("load_balancer.ListLoadBalancerHealths")
def list_healths(call):
    owners = call.select(call.all("load_balancer/LoadBalancer"))
    return call.answer_list([{"loadBalancerId": o["id"],
                              "status": health_of(o)["status"]}
                             for o in owners], select=False)


@operation("load_balancer.ListBackendSets",
           "network_load_balancer.ListBackendSets")
def list_sets(call):
    return call.answer_list(list(balancer(call)["backendSets"].values()))


@operation("load_balancer.GetBackendSet")
def get_set(call):
    return set_of(call)


@operation("load_balancer.GetBackendSetHealth",
           "network_load_balancer.GetBackendSetHealth")
def get_set_health(call):
    owner, found = balancer(call), set_of(call)
    down = owner["_down"].get(found["name"], [])
    return {"status": set_status(owner, found["name"]),
            "totalBackendCount": len(found["backends"]),
            "warningStateBackendNames": [], "unknownStateBackendNames": [],
            "criticalStateBackendNames": down}


@operation("load_balancer.ListBackends")
def list_backends(call):
    return set_of(call)["backends"]


@operation("load_balancer.GetBackendHealth")
def get_backend_health(call):
    owner, found = balancer(call), set_of(call)
    name = call.params["backendName"]
    if name not in [b["name"] for b in found["backends"]]:
        raise not_found()
    bad = name in owner["_down"].get(found["name"], [])
    return {"status": "CRITICAL" if bad else "OK", "healthCheckResults": [{
        "subnetId": owner["_subnet"], "sourceIpAddress": "10.0.0.5",
        "timestamp": call.world.time(minutes=1), "healthCheckStatus":
        "CONNECT_FAILED" if bad else "OK"}]}


@operation("load_balancer.CreateBackend")
def create_backend(call):
    found, body = set_of(call), call.body
    name = "%s:%d" % (body["ipAddress"], body["port"])
    if name in [b["name"] for b in found["backends"]]:
        raise ServiceError(409, "NotAuthorizedOrResourceAlreadyExists",
                           "There is a backend %s." % name)
    found["backends"].append({
        "name": name, "weight": 1, "drain": False, "backup": False,
        "offline": False, **body})
    owner = balancer(call)
    request = call.work("CreateBackend", owner)
    request.update({"loadBalancerId": owner["id"], "type": "CreateBackend",
                    "message": "", "errorDetails": []})
    return Response(204)


@operation("load_balancer.GetWorkRequest")
def get_work_request(call):
    return shown(call.find("load_balancer/WorkRequest",
                           call.params["workRequestId"]))


def shown(request):
    """Work requests of this service have fields of their own."""
    out = {k: request.get(k) for k in (
        "id", "loadBalancerId", "type", "compartmentId", "message",
        "timeAccepted", "timeFinished", "errorDetails")}
    return dict(out, lifecycleState=request["status"])


@operation("load_balancer.ListWorkRequests")
def list_work_requests(call):
    owner = balancer(call)
    return call.answer_list([shown(r) for r in call.all(
        "load_balancer/WorkRequest") if r["loadBalancerId"] == owner["id"]])


@operation("load_balancer.ListShapes")
def list_shapes(call):
    call.compartments()
    return [{"name": n} for n in ("flexible", "100Mbps", "400Mbps")]
