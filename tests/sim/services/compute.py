"""Compute and block storage: instances, their VNICs, images and volumes."""

import ipaddress

from catalog import ServiceError, incorrect_state, invalid, missing, not_found
from engine import operation
from http1 import Response
from world import HOME, REGIONS

# Name, shape, processors, memory in GB (None: fixed by the shape).
SHAPES = (("VM.Standard.E4.Flex", 2, 32, True, 64, 1024),
          ("VM.Standard.E5.Flex", 4, 48, True, 94, 1049),
          ("VM.Standard.A1.Flex", 4, 24, True, 80, 512),
          ("VM.Standard3.Flex", 2, 16, True, 32, 512),
          ("VM.Standard.E2.1.Micro", 1, 1, False, 1, 1),
          ("VM.GPU.A10.1", 15, 240, False, 15, 240),
          ("BM.Standard.E4.128", 128, 2048, False, 128, 2048))
IMAGES = (("Oracle-Linux-9.4-2024.10.31-0", "Oracle Linux", "9"),
          ("Oracle-Linux-8.10-2024.10.31-0", "Oracle Linux", "8"),
          ("Oracle-Linux-9.4-aarch64-2024.10.31-0", "Oracle Linux", "9"),
          ("Canonical-Ubuntu-22.04-2024.10.04-0", "Canonical Ubuntu", "22.04"),
          ("Windows-Server-2022-Standard-VM-2024.10.08-0", "Windows",
           "Server 2022 Standard"))
# Name, how many, compartment, subnet, index of shape, index of image.
FLEETS = {
    HOME: (
        ("web", 4, "prod", "prod-public", 0, 0),
        ("orders", 4, "prod", "prod-app", 1, 0),
        ("payments", 3, "prod", "prod-app", 1, 1),
        ("catalog", 3, "prod", "prod-app", 2, 2),
        ("search", 2, "prod", "prod-app", 3, 3),
        ("batch", 2, "prod", "prod-app", 6, 0),
        ("forecast", 1, "prod", "prod-app", 5, 3),
        ("erp-windows", 1, "prod", "prod-app", 3, 4),
        ("dev-box", 6, "dev", "dev-app", 0, 3),
        ("dev-web", 3, "dev", "dev-public", 4, 0),
        ("integration", 3, "dev", "dev-app", 2, 2),
        ("bastion", 1, "shared", "shared-bastion", 4, 0),
        ("build", 4, "shared", "shared-hub", 1, 3),
        ("monitor", 2, "shared", "shared-hub", 0, 0),
        ("gateway", 1, "shared", "shared-hub", 2, 2)),
    "eu-frankfurt-1": (
        ("recovery", 4, "prod", "recovery-app", 0, 0),)}
ORACLE = "ocid1.tenancy.oc1..aaaaaaaaoracle"
# What is not RUNNING.
STATES = {"batch-2": "STOPPED", "forecast-1": "STOPPED",
          "dev-box-3": "STOPPED", "dev-box-5": "STOPPED",
          "dev-web-3": "TERMINATED", "integration-2": "STOPPING",
          "integration-3": "STOPPED", "build-4": "STARTING",
          "recovery-3": "STOPPED", "recovery-4": "STOPPED",
          "search-2": "PROVISIONING"}
RESERVED = {"web-1", "bastion-1"}
GROUPS = {"web": "prod-lb", "orders": "prod-orders", "dev-web": "dev-all",
          "erp-windows": "prod-admin"}
# Action: states it is for, the state it leads through and to.
ACTIONS = {"START": (("STOPPED",), "STARTING", "RUNNING"),
           "STOP": (("RUNNING", "STOPPING"), "STOPPING", "STOPPED"),
           "SOFTSTOP": (("RUNNING",), "STOPPING", "STOPPED"),
           "RESET": (("RUNNING",), "STARTING", "RUNNING"),
           "SOFTRESET": (("RUNNING",), "STOPPING", "RUNNING"),
           "REBOOTMIGRATE": (("RUNNING",), "STOPPING", "RUNNING"),
           "SENDDIAGNOSTICINTERRUPT": (("RUNNING",), "RUNNING", "RUNNING"),
           "DIAGNOSTICREBOOT": (("RUNNING",), "STOPPING", "RUNNING")}


def fill(world):
    for region in REGIONS:
        for name, system, version in IMAGES:
            world.add("core/Image", region, {
                "id": world.ocid("image", region, name),
                "compartmentId": ORACLE, "displayName": name,
                "operatingSystem": system, "operatingSystemVersion": version,
                "lifecycleState": "AVAILABLE", "createImageAllowed": True,
                "launchMode": "PARAVIRTUALIZED", "sizeInMBs": 47694,
                "timeCreated": world.time(days=60), "freeformTags": {},
                "definedTags": {}})
        Fleet(world, region).fill()
    fill_pools(world)
    gateway = [i for i in world.table("core/Instance", HOME).values()
               if i["displayName"] == "gateway-1"]
    return {"instance": gateway[0]}


class Fleet:
    """The instances of a region with what hangs on them."""

    def __init__(self, world, region):
        self.world, self.region = world, region
        self.subnets = {s["displayName"]: s for s in
                        world.table("core/Subnet", region).values()}
        self.groups = {g["displayName"]: g["id"] for g in world.table(
            "core/NetworkSecurityGroup", region).values()}
        self.used = {}

    def fill(self):
        number = 0
        for fleet, count, where, subnet, shape, image in FLEETS[self.region]:
            for n in range(1, count + 1):
                self.instance("%s-%d" % (fleet, n), fleet, number, where,
                              self.subnets[subnet], SHAPES[shape],
                              IMAGES[image])
                number += 1

    def instance(self, name, fleet, number, where, subnet, shape, image):
        world, region = self.world, self.region
        domain = world.domain(region, number % 3 + 1)
        state = STATES.get(name, "RUNNING")
        image_id = world.ocid("image", region, image[0])
        made = world.add("core/Instance", region, {
            "id": world.ocid("instance", region, name),
            "compartmentId": world.names[where], "displayName": name,
            "availabilityDomain": domain,
            "faultDomain": "FAULT-DOMAIN-%d" % (number // 3 % 3 + 1),
            "region": region, "shape": shape[0],
            "shapeConfig": shape_config(shape), "lifecycleState": state,
            "imageId": image_id, "launchMode": "PARAVIRTUALIZED",
            "sourceDetails": {"sourceType": "image", "imageId": image_id,
                              "bootVolumeSizeInGBs": 50},
            "timeCreated": world.time(days=400 - 7 * number, hours=number),
            "metadata": {"ssh_authorized_keys": "ssh-ed25519 AAAA example"},
            "extendedMetadata": {}, "launchOptions": {
                "bootVolumeType": "PARAVIRTUALIZED", "firmware": "UEFI_64",
                "networkType": "PARAVIRTUALIZED"},
            "availabilityConfig": {"recoveryAction": "RESTORE_INSTANCE"},
            "agentConfig": {"isMonitoringDisabled": False,
                            "isManagementDisabled": False},
            "instanceOptions": {"areLegacyImdsEndpointsDisabled": True},
            "freeformTags": {"fleet": fleet}, "definedTags": {
                "Operations": {"CostCenter": str(100 + number % 4)}}})
        if state in ("STOPPING", "STARTING", "PROVISIONING"):
            made["_stuck"] = True  # on its way for as long as it is looked at
        if state == "TERMINATED":
            return
        self.vnic(made, subnet, [self.groups[GROUPS[fleet]]]
                  if GROUPS.get(fleet) in self.groups else [])
        boot_volume(world, region, made)
        if fleet in ("orders", "payments", "batch", "search"):
            self.data_volume(made)

    def vnic(self, instance, subnet, groups):
        n = self.used[subnet["id"]] = self.used.get(subnet["id"], 9) + 1
        public = None
        if not subnet["prohibitPublicIpOnVnic"]:
            public = "198.51.100.%d" % (
                10 + len(self.world.table("core/PublicIp", self.region)))
        attach(self.world, self.region, instance, subnet,
               str(ipaddress.ip_network(subnet["cidrBlock"])[n]), public,
               groups)

    def data_volume(self, instance):
        world, region, name = self.world, self.region, instance["displayName"]
        volume = world.add("core/Volume", region, {
            "id": world.ocid("volume", region, name),
            "compartmentId": instance["compartmentId"],
            "availabilityDomain": instance["availabilityDomain"],
            "displayName": name + "-data", "sizeInGBs": 200,
            "sizeInMBs": 204800, "vpusPerGB": 10, "isHydrated": True,
            "isAutoTuneEnabled": False, "lifecycleState": "AVAILABLE",
            "timeCreated": instance["timeCreated"], "freeformTags": {},
            "definedTags": {}})
        attach_volume(world, region, instance, volume,
                      world.ocid("volumeattachment", region, name))
        for day in range(3):
            world.add("core/VolumeBackup", region, {
                "id": world.ocid("volumebackup", region, name, day),
                "compartmentId": volume["compartmentId"],
                "volumeId": volume["id"], "type": "INCREMENTAL",
                "displayName": "%s-backup-%d" % (name, day + 1),
                "lifecycleState": "AVAILABLE", "sizeInGBs": 200,
                "uniqueSizeInGBs": 12 + day, "sourceType": "SCHEDULED",
                "timeCreated": world.time(days=day, hours=3),
                "timeRequestReceived": world.time(days=day, hours=4),
                "freeformTags": {}, "definedTags": {}})


def shape_config(shape):
    return {"ocpus": float(shape[1]), "memoryInGBs": float(shape[2]),
            "vcpus": 2 * shape[1], "networkingBandwidthInGbps": float(
                min(40, shape[1])), "maxVnicAttachments": max(2, shape[1]),
            "gpus": 1 if "GPU" in shape[0] else 0, "localDisks": 0,
            "processorDescription": "2.55 GHz AMD EPYC"}


def attach(world, region, instance, subnet, private, public, groups):
    """A primary VNIC with its addresses."""
    name, compartment = instance["displayName"], instance["compartmentId"]
    common = {"compartmentId": compartment, "displayName": name,
              "availabilityDomain": instance["availabilityDomain"],
              "timeCreated": instance["timeCreated"]}
    tags = {"freeformTags": {}, "definedTags": {}}
    vnic = world.add("core/Vnic", region, {
        "id": world.ocid("vnic", region, instance["id"]), **common, **tags,
        "lifecycleState": "AVAILABLE", "hostnameLabel": name,
        "isPrimary": True, "macAddress": "02:00:17:%02x:%02x:%02x" % tuple(
            world.random("mac", instance["id"]).randbytes(3)),
        "nsgIds": groups, "privateIp": private, "publicIp": public,
        "skipSourceDestCheck": False, "subnetId": subnet["id"],
        "_instance": instance["id"]})
    world.add("core/VnicAttachment", region, {
        "id": world.ocid("vnicattachment", region, instance["id"]), **common,
        "displayName": None, "instanceId": instance["id"],
        "lifecycleState": "ATTACHED", "nicIndex": 0,
        "subnetId": subnet["id"], "vlanTag": 1000, "vnicId": vnic["id"]})
    address = world.add("core/PrivateIp", region, {
        "id": world.ocid("privateip", region, instance["id"]), **common,
        **tags, "hostnameLabel": name, "ipAddress": private,
        "isPrimary": True, "subnetId": subnet["id"], "vnicId": vnic["id"]})
    if public:
        reserved = name in RESERVED
        world.add("core/PublicIp", region, {
            "id": world.ocid("publicip", region, instance["id"]), **common,
            **tags, "ipAddress": public, "lifecycleState": "ASSIGNED",
            "lifetime": "RESERVED" if reserved else "EPHEMERAL",
            "scope": "REGION" if reserved else "AVAILABILITY_DOMAIN",
            "availabilityDomain": None if reserved
            else instance["availabilityDomain"],
            "assignedEntityId": address["id"], "privateIpId": address["id"],
            "assignedEntityType": "PRIVATE_IP"})


def boot_volume(world, region, instance):
    name = instance["displayName"]
    volume = world.add("core/BootVolume", region, {
        "id": world.ocid("bootvolume", region, instance["id"]),
        "compartmentId": instance["compartmentId"],
        "availabilityDomain": instance["availabilityDomain"],
        "displayName": name + " (Boot Volume)", "sizeInGBs": 50,
        "sizeInMBs": 51200, "vpusPerGB": 10, "isHydrated": True,
        "imageId": instance["imageId"], "lifecycleState": "AVAILABLE",
        "timeCreated": instance["timeCreated"], "freeformTags": {},
        "definedTags": {}})
    world.add("core/BootVolumeAttachment", region, {
        "id": world.ocid("instance", region, instance["id"], "boot"),
        "compartmentId": instance["compartmentId"],
        "availabilityDomain": instance["availabilityDomain"],
        "displayName": "Remote boot attachment", "instanceId": instance["id"],
        "bootVolumeId": volume["id"], "lifecycleState": "ATTACHED",
        "timeCreated": instance["timeCreated"]})
    world.add("core/BootVolumeBackup", region, {
        "id": world.ocid("bootvolumebackup", region, instance["id"]),
        "compartmentId": instance["compartmentId"],
        "bootVolumeId": volume["id"], "displayName": name + "-boot-backup",
        "lifecycleState": "AVAILABLE", "type": "FULL", "sizeInGBs": 50,
        "uniqueSizeInGBs": 9, "imageId": instance["imageId"],
        "sourceType": "SCHEDULED", "timeCreated": world.time(days=1, hours=2),
        "timeRequestReceived": world.time(days=1, hours=2),
        "freeformTags": {}, "definedTags": {}})


def attach_volume(world, region, instance, volume, ocid):
    return world.add("core/VolumeAttachment", region, {
        "id": ocid, "attachmentType": "paravirtualized",
        "availabilityDomain": instance["availabilityDomain"],
        "compartmentId": instance["compartmentId"],
        "device": "/dev/oracleoci/oraclevdb", "displayName": "data",
        "instanceId": instance["id"], "isReadOnly": False,
        "isShareable": False, "lifecycleState": "ATTACHED",
        "timeCreated": instance["timeCreated"], "volumeId": volume["id"]})


def fill_pools(world):
    prod = world.names["prod"]
    configuration = world.add("core/InstanceConfiguration", HOME, {
        "id": world.ocid("instanceconfiguration", HOME, "web"),
        "compartmentId": prod, "displayName": "web",
        "timeCreated": world.time(days=300), "freeformTags": {},
        "definedTags": {}})
    world.add("core/InstancePool", HOME, {
        "id": world.ocid("instancepool", HOME, "web"),
        "compartmentId": prod, "displayName": "web-pool", "size": 4,
        "instanceConfigurationId": configuration["id"],
        "availabilityDomains": [world.domain(HOME, n) for n in (1, 2, 3)],
        "placementConfigurations": [], "lifecycleState": "RUNNING",
        "timeCreated": world.time(days=300), "freeformTags": {},
        "definedTags": {}})


@operation("core.ListShapes")
def list_shapes(call):
    call.compartments()
    return call.answer_list([
        {"shape": name, "ocpus": float(cpus), "memoryInGBs": float(memory),
         "isFlexible": flexible, "processorDescription": "2.55 GHz AMD EPYC",
         "networkingBandwidthInGbps": float(min(40, cpus)),
         "maxVnicAttachments": 2, "gpus": 1 if "GPU" in name else 0,
         **({"ocpuOptions": {"min": 1.0, "max": float(most)},
             "memoryOptions": {"minInGBs": 1.0, "maxInGBs": float(most_gb)}}
            if flexible else {})}
        for name, cpus, memory, flexible, most, most_gb in SHAPES
        if call.query.get("shape") in (None, name)], select=False)


@operation("core.ListImages")
def list_images(call):
    call.compartments()
    # Oracle's own are in every compartment's list.
    items = call.all("core/Image")
    for name in ("displayName", "operatingSystem", "operatingSystemVersion",
                 "lifecycleState"):
        if name in call.query:
            items = [i for i in items if i[name] == call.query[name]]
    return call.answer_list(items, select=False)


@operation("core.InstanceAction")
def instance_action(call):
    instance = call.find("core/Instance", call.params["instanceId"])
    action = call.query["action"]
    if action not in ACTIONS:
        raise invalid("action must be one of %s" % ", ".join(ACTIONS))
    instance.pop("_stuck", None)
    call.transition(instance, *ACTIONS[action])
    call.work("InstanceAction", instance)
    return call.answer(instance)


@operation("core.LaunchInstance")
def launch_instance(call):
    body, world, region = call.body, call.world, call.region
    if not world.is_compartment(body["compartmentId"]):
        raise not_found()
    if body["availabilityDomain"] not in [world.domain(region, n)
                                          for n in (1, 2, 3)]:
        raise invalid("availabilityDomain is not one of the region's")
    shape = {s[0]: s for s in SHAPES}.get(body.get("shape"))
    if not shape:
        raise invalid("shape is not known") if body.get("shape") \
            else missing("shape")
    vnic = body.get("createVnicDetails") or {}
    subnet_id = vnic.get("subnetId") or body.get("subnetId")
    if not subnet_id:
        raise missing("createVnicDetails.subnetId")
    subnet = call.table("core/Subnet").get(subnet_id)
    source = body.get("sourceDetails") or {}
    image = source.get("imageId") or body.get("imageId")
    if not subnet or not source and not image or \
            image and image not in call.table("core/Image"):
        raise ServiceError(400, "RelatedResourceNotAuthorizedOrNotFound",
                           "The subnet or the image was not found.")
    if len([i for i in call.all("core/Instance")
            if i["lifecycleState"] != "TERMINATED"]) >= 200:
        raise ServiceError(400, "LimitExceeded", "The limit of instances.")
    config = dict(shape_config(shape), **{
        k: v for k, v in (body.get("shapeConfig") or {}).items() if v})
    instance = call.create("core/Instance", "instance", {
        "displayName": body.get("displayName") or "instance",
        "region": region, "imageId": image, "shapeConfig": config,
        "faultDomain": body.get("faultDomain") or "FAULT-DOMAIN-1",
        "lifecycleState": "PROVISIONING"}, "RUNNING")
    instance.pop("createVnicDetails", None)
    instance.pop("subnetId", None)
    block = ipaddress.ip_network(subnet["cidrBlock"])
    private = vnic.get("privateIp") or str(block[100 + world.counter % 100])
    public = None
    if vnic.get("assignPublicIp", not subnet["prohibitPublicIpOnVnic"]):
        if subnet["prohibitPublicIpOnVnic"]:
            raise invalid("the subnet has no public addresses")
        public = "198.51.100.%d" % (100 + world.counter % 100)
    attach(world, region, instance, subnet, private, public,
           vnic.get("nsgIds") or [])
    boot_volume(world, region, instance)
    call.work("LaunchInstance", instance, action="CREATED")
    return call.answer(instance)


@operation("core.TerminateInstance")
def terminate_instance(call):
    instance = call.find("core/Instance", call.params["instanceId"])
    call.check_match(instance)
    if instance["lifecycleState"] in ("TERMINATED", "TERMINATING"):
        raise not_found()
    call.work("TerminateInstance", instance, action="DELETED")
    call.world.remove("core/Instance", call.region, instance)
    for kind in ("VnicAttachment", "BootVolumeAttachment"):
        for attachment in call.all("core/" + kind):
            if attachment["instanceId"] == instance["id"]:
                call.world.change(attachment, lifecycleState="DETACHED")
    return Response(204)


@operation("core.CreateVolume")
def create_volume(call):
    size = call.body.get("sizeInGBs") or 1024
    if not 50 <= size <= 32768:
        raise invalid("sizeInGBs must be between 50 and 32768")
    return call.answer(call.create("core/Volume", "volume", {
        "sizeInGBs": size, "sizeInMBs": 1024 * size, "isHydrated": True,
        "vpusPerGB": call.body.get("vpusPerGB") or 10,
        "lifecycleState": "PROVISIONING"}, "AVAILABLE"))


@operation("core.DeleteVolume")
def delete_volume(call):
    volume = call.find("core/Volume", call.params["volumeId"])
    for attachment in call.all("core/VolumeAttachment"):
        if attachment["volumeId"] == volume["id"] and \
                attachment["lifecycleState"] == "ATTACHED":
            raise incorrect_state("The volume is attached.")
    call.check_match(volume)
    call.world.remove("core/Volume", call.region, volume)
    return Response(204)


@operation("core.CreateVolumeBackup")
def create_volume_backup(call):
    volume = call.find("core/Volume", call.body["volumeId"])
    return call.answer(call.create("core/VolumeBackup", "volumebackup", {
        "compartmentId": volume["compartmentId"],
        "sizeInGBs": volume["sizeInGBs"], "sourceType": "MANUAL",
        "type": call.body.get("type") or "INCREMENTAL",
        "lifecycleState": "CREATING"}, "AVAILABLE"))


@operation("core.AttachVolume")
def attach_volume_operation(call):
    instance = call.find("core/Instance", call.body["instanceId"])
    volume = call.find("core/Volume", call.body["volumeId"])
    made = attach_volume(call.world, call.region, instance, volume,
                         call.world.fresh_ocid("volumeattachment",
                                               call.region))
    made["attachmentType"] = call.body["type"]
    call.world.later(made, {"lifecycleState": "ATTACHED"},
                     lifecycleState="ATTACHING")
    call.work("AttachVolume", made, action="CREATED")
    return call.answer(made)


@operation("core.DetachVolume")
def detach_volume(call):
    attachment = call.find("core/VolumeAttachment",
                           call.params["volumeAttachmentId"])
    call.check_match(attachment)
    call.work("DetachVolume", attachment, action="DELETED")
    call.world.later(attachment, {"lifecycleState": "DETACHED"},
                     lifecycleState="DETACHING")
    return Response(204)


@operation("core.ListConsoleHistories", "core.ListDedicatedVmHosts",
           "core.ListVolumeGroups")
def list_none(call):
    return call.answer_list([])
