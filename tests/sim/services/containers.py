"""Kubernetes clusters, functions, container instances."""

import hashlib

from catalog import not_found
from engine import operation
from http1 import Response
from world import HOME

CLUSTERS = (("shop", "prod", "ENHANCED_CLUSTER", "v1.31.1", "ACTIVE"),
            ("dev", "dev", "BASIC_CLUSTER", "v1.30.1", "ACTIVE"),
            ("old", "dev", "BASIC_CLUSTER", "v1.27.2", "DELETED"))
POOLS = (("shop-general", "shop", "VM.Standard.E5.Flex", 4),
         ("shop-gpu", "shop", "VM.GPU.A10.1", 1),
         ("dev-general", "dev", "VM.Standard.E4.Flex", 2))
APPLICATIONS = (("shop-events", "prod", (
    ("thumbnails", 512), ("order-mail", 256), ("stock-sync", 256))),
    ("dev-events", "dev", (("echo", 128),)))
INSTANCES = (("metrics-relay", "shared", "ACTIVE", 2),
             ("license-server", "prod", "ACTIVE", 1),
             ("experiment", "dev", "INACTIVE", 1))


def fill(world):
    vcns = {v["displayName"]: v["id"]
            for v in world.table("core/Vcn", HOME).values()}
    clusters = {}
    for name, where, kind, version, state in CLUSTERS:
        clusters[name] = world.add("container_engine/Cluster", HOME, {
            "id": world.ocid("cluster", HOME, name), "name": name,
            "compartmentId": world.names[where], "type": kind,
            "vcnId": vcns[where + "-vcn"], "kubernetesVersion": version,
            "lifecycleState": state, "lifecycleDetails": "",
            "endpointConfig": {"isPublicIpEnabled": False, "nsgIds": []},
            "endpoints": {"kubernetes": None,
                          "publicEndpoint": None,
                          "privateEndpoint": "10.0.1.250:6443"},
            "availableKubernetesUpgrades": [] if version == "v1.31.1"
            else ["v1.31.1"], "options": {"serviceLbSubnetIds": []},
            "metadata": {"timeCreated": world.time(days=220)},
            "timeCreated": world.time(days=220), "freeformTags": {},
            "definedTags": {}})
    for name, cluster, shape, size in POOLS:
        owner = clusters[cluster]
        world.add("container_engine/NodePool", HOME, {
            "id": world.ocid("nodepool", HOME, name), "name": name,
            "clusterId": owner["id"], "lifecycleState": "ACTIVE",
            "compartmentId": owner["compartmentId"], "nodeShape": shape,
            "kubernetesVersion": owner["kubernetesVersion"],
            "nodeShapeConfig": {"ocpus": 4.0, "memoryInGBs": 48.0},
            "nodeConfigDetails": {"size": size, "placementConfigs": []},
            "subnetIds": [], "initialNodeLabels": [], "nodes": [{
                "id": world.ocid("instance", HOME, name, n),
                "name": "%s-%d" % (name, n), "privateIp": "10.0.1.%d" % (
                    200 + n), "lifecycleState": "ACTIVE",
                "kubernetesVersion": owner["kubernetesVersion"]}
                for n in range(size)], "freeformTags": {},
            "definedTags": {}})
    function = fill_functions(world)
    fill_instances(world)
    return {"function": function, "cluster": clusters["shop"]["id"]}


def fill_functions(world):
    made = {}
    for name, where, functions in APPLICATIONS:
        stamp = {"compartmentId": world.names[where],
                 "lifecycleState": "ACTIVE", "shape": "GENERIC_X86",
                 "timeCreated": world.time(days=180),
                 "timeUpdated": world.time(days=18), "freeformTags": {},
                 "definedTags": {}}
        application = world.add("functions/Application", HOME, {
            "id": world.ocid("fnapp", HOME, name), "displayName": name,
            "subnetIds": [], "networkSecurityGroupIds": [],
            "config": {}, "traceConfig": {"isEnabled": False}, **stamp})
        for function, memory in functions:
            ocid = world.ocid("fnfunc", HOME, function)
            made[function] = world.add("functions/Function", HOME, {
                "id": ocid, "displayName": function, "config": {},
                "applicationId": application["id"], "memoryInMBs": memory,
                "image": "iad.ocir.io/acme/%s:1.4" % function,
                "imageDigest": "sha256:" + hashlib.sha256(
                    function.encode()).hexdigest(), "timeoutInSeconds": 30,
                "provisionedConcurrencyConfig": {"strategy": "NONE"},
                "invokeEndpoint": "https://%s.us-ashburn-1.functions.oci."
                "oraclecloud.com" % ocid[-12:], **stamp})
    return made["thumbnails"]


def fill_instances(world):
    for number, (name, where, state, count) in enumerate(INSTANCES):
        stamp = {"compartmentId": world.names[where],
                 "availabilityDomain": world.domain(HOME, number + 1),
                 "faultDomain": "FAULT-DOMAIN-1", "lifecycleState": state,
                 "timeCreated": world.time(days=90),
                 "timeUpdated": world.time(days=4), "freeformTags": {},
                 "definedTags": {}}
        instance = world.add("container_instances/ContainerInstance", HOME, {
            "id": world.ocid("computecontainerinstance", HOME, name),
            "displayName": name, "shape": "CI.Standard.E4.Flex",
            "shapeConfig": {"ocpus": 1.0, "memoryInGBs": 8.0,
                            "networkingBandwidthInGbps": 1.0,
                            "processorDescription": "2.55 GHz AMD EPYC"},
            "containerCount": count, "volumeCount": 0, "vnics": [],
            "containers": [], "containerRestartPolicy": "ALWAYS", **stamp})
        for n in range(count):
            container = world.add("container_instances/Container", HOME, {
                "id": world.ocid("computecontainer", HOME, name, n),
                "displayName": "%s-%d" % (name, n),
                "containerInstanceId": instance["id"],
                "imageUrl": "iad.ocir.io/acme/%s:2" % name,
                "isResourcePrincipalDisabled": False, **stamp})
            instance["containers"].append({
                "containerId": container["id"],
                "displayName": container["displayName"]})


@operation("container_engine.ListAddons")
def list_addons(call):
    call.find("container_engine/Cluster", call.params["clusterId"])
    return [{"name": n, "lifecycleState": "ACTIVE", "currentInstalledVersion":
             "v1.0"} for n in ("CoreDNS", "KubeProxy")]


@operation("container_engine.ListWorkRequestErrors")
def list_errors(call):
    call.find("container_engine/WorkRequest", call.params["workRequestId"])
    return []


@operation("container_engine.ListWorkRequests")
def list_work_requests(call):
    return call.answer_list(call.all("container_engine/WorkRequest"),
                            ignore=("resourceType", "resourceId",
                                    "clusterId"))


@operation("functions.ListFunctions")
def list_functions(call):
    if call.query["applicationId"] not in call.table("functions/Application"):
        raise not_found()
    return call.answer_list(call.all("functions/Function"))


@operation("functions.CreateFunction")
def create_function(call):
    application = call.find("functions/Application",
                            call.body["applicationId"])
    return call.answer(call.create("functions/Function", "fnfunc", {
        "compartmentId": application["compartmentId"], "timeoutInSeconds":
        call.body.get("timeoutInSeconds") or 30, "lifecycleState": "ACTIVE",
        "invokeEndpoint": "https://x.us-ashburn-1.functions.oci."
        "oraclecloud.com"}))


@operation("functions.InvokeFunction")
def invoke(call):
    """It answers what it was sent."""
    call.find("functions/Function", call.params["functionId"])
    return Response(200, body=call.request.body or b"{}", headers={
        "fn-call-id": "01SIM%016d" % call.world.counter})


def container_instance(call):
    return call.find("container_instances/ContainerInstance",
                     call.params["containerInstanceId"])


# Operation: states it is for, the state it leads through and to.
ACTIONS = {"StartContainerInstance": (("INACTIVE",), "UPDATING", "ACTIVE"),
           "StopContainerInstance": (("ACTIVE",), "UPDATING", "INACTIVE"),
           "RestartContainerInstance": (("ACTIVE",), "UPDATING", "ACTIVE")}


@operation(*("container_instances." + name for name in ACTIONS))
def container_action(call):
    instance = container_instance(call)
    call.transition(instance, *ACTIONS[call.op.name])
    call.work(call.op.name, instance)
    return Response(202)


@operation("container_instances.CreateContainerInstance")
def create_container_instance(call):
    made = call.create("container_instances/ContainerInstance",
                       "computecontainerinstance", {
                           "lifecycleState": "CREATING",
                           "containerCount": len(call.body["containers"])},
                       "ACTIVE")
    call.work("CREATE_CONTAINER_INSTANCE", made, action="CREATED")
    return call.answer(made)
