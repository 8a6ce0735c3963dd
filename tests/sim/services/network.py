"""Virtual networks: VCNs, subnets, rules, gateways, addresses."""

import ipaddress

from catalog import ServiceError, invalid, missing, not_found
from engine import operation
from http1 import Response
from world import HOME, REGIONS

ANYWHERE = "0.0.0.0/0"
# Name, compartment, block, subnets (name, block, public).
NETWORKS = {
    HOME: (
        ("prod-vcn", "prod", "10.0.0.0/16", (
            ("prod-public", "10.0.0.0/24", True),
            ("prod-app", "10.0.1.0/24", False),
            ("prod-db", "10.0.2.0/24", False))),
        ("dev-vcn", "dev", "10.1.0.0/16", (
            ("dev-public", "10.1.0.0/24", True),
            ("dev-app", "10.1.1.0/24", False))),
        ("shared-vcn", "shared", "10.2.0.0/16", (
            ("shared-hub", "10.2.0.0/24", False),
            ("shared-bastion", "10.2.1.0/24", True)))),
    "eu-frankfurt-1": (
        ("recovery-vcn", "prod", "10.8.0.0/16", (
            ("recovery-app", "10.8.1.0/24", False),)),)}


def ports(low, high=None):
    return {"destinationPortRange": {"min": low, "max": high or low}}


def ingress(protocol, source, text, **options):
    return {"protocol": protocol, "source": source,
            "sourceType": "CIDR_BLOCK", "isStateless": False,
            "description": text, **options}


EVERYWHERE_OUT = {"protocol": "all", "destination": ANYWHERE,
                  "destinationType": "CIDR_BLOCK", "isStateless": False,
                  "description": "Out to everywhere"}
# Name, network, ingress rules: some of them should not be there.
SECURITY_LISTS = {
    "prod-vcn": (
        ("prod-web", (
            ingress("6", ANYWHERE, "Web", tcpOptions=ports(443)),
            ingress("6", ANYWHERE, "Web, redirected", tcpOptions=ports(80)),
            ingress("1", "10.0.0.0/16", "Path MTU",
                    icmpOptions={"type": 3, "code": 4}))),
        ("prod-app", (
            ingress("6", "10.0.0.0/24", "From the web tier",
                    tcpOptions=ports(8080, 8090)),)),
        ("prod-db", (
            ingress("6", "10.0.1.0/24", "From the applications",
                    tcpOptions=ports(1521)),
            ingress("6", ANYWHERE, "Temporary, for the migration",
                    tcpOptions=ports(1521))))),
    "dev-vcn": (
        ("dev-open", (
            ingress("6", ANYWHERE, "SSH from anywhere", tcpOptions=ports(22)),
            ingress("6", ANYWHERE, "Remote desktop", tcpOptions=ports(3389)),
            ingress("17", ANYWHERE, "DNS and more", udpOptions=ports(53)),
            # No options: all ports.
            ingress("6", ANYWHERE, "To be tidied up"),
            ingress("all", "10.1.0.0/16", "Inside"))),
        ("dev-app", (ingress("all", "10.1.0.0/16", "Inside"),))),
    "shared-vcn": (
        ("shared-hub", (ingress("all", "10.0.0.0/8", "Our own"),)),
        ("shared-bastion", (
            ingress("6", "203.0.113.0/24", "SSH from the office",
                    tcpOptions=ports(22)),))),
    "recovery-vcn": (
        ("recovery-app", (ingress("6", "10.0.0.0/8", "Our own",
                                  tcpOptions=ports(8080)),)),),
}
# Name, network, rules (direction, protocol, peer, options).
SECURITY_GROUPS = (
    ("prod-lb", "prod-vcn", (
        ("INGRESS", "6", ANYWHERE, {"tcpOptions": ports(443)}),
        ("EGRESS", "6", "10.0.1.0/24", {"tcpOptions": ports(8080)}))),
    ("prod-admin", "prod-vcn", (
        ("INGRESS", "6", ANYWHERE, {"tcpOptions": ports(22)}),
        ("INGRESS", "17", "::/0", {"udpOptions": ports(161)}))),
    ("prod-orders", "prod-vcn", (
        ("INGRESS", "6", "10.0.0.0/24", {"tcpOptions": ports(8080)}),)),
    ("dev-all", "dev-vcn", (
        ("INGRESS", "all", ANYWHERE, {}),
        ("EGRESS", "all", ANYWHERE, {}))),
)


def fill(world):
    for region in REGIONS:
        for network in NETWORKS[region]:
            Network(world, region, *network)
    fill_groups(world)
    fill_drg(world)


class Network:
    """Everything of one VCN."""

    def __init__(self, world, region, name, where, block, subnets):
        self.world, self.region, self.name = world, region, name
        self.compartment = world.names[where]
        self.block = block
        self.vcn_id = world.ocid("vcn", region, name)
        self.label = name.split("-")[0]
        self.tables = {}
        self.gateways()
        self.routes()
        lists = {row[0]: self.security_list(*row)
                 for row in SECURITY_LISTS[name]}
        default = self.security_list(
            "Default Security List for " + name,
            (ingress("6", block, "SSH inside", tcpOptions=ports(22)),))
        dhcp = self.add("DhcpOptions", "dhcpoptions",
                        "Default DHCP Options for " + name,
                        options=[{"type": "DomainNameServer", "serverType":
                                  "VcnLocalPlusInternet"}],
                        domainNameType="CUSTOM_DOMAIN")
        self.add("Vcn", "vcn", name, cidrBlock=block, cidrBlocks=[block],
                 byoipv6CidrBlocks=[], ipv6PrivateCidrBlocks=[],
                 defaultDhcpOptionsId=dhcp["id"],
                 defaultRouteTableId=self.tables["private"]["id"],
                 defaultSecurityListId=default["id"], dnsLabel=self.label,
                 vcnDomainName=self.label + ".oraclevcn.com")
        del world.table("core/Vcn", region)[self.vcn_id]["vcnId"]
        for n, (subnet, cidr, is_public) in enumerate(subnets):
            own = [entry for key, entry in lists.items()
                   if key.split("-")[-1] in subnet]
            chosen = own or [list(lists.values())[min(n, len(lists) - 1)]]
            label = subnet.replace("-", "")
            self.add("Subnet", "subnet", subnet, cidrBlock=cidr,
                     availabilityDomain=None,
                     prohibitPublicIpOnVnic=not is_public,
                     prohibitInternetIngress=not is_public,
                     dhcpOptionsId=dhcp["id"], dnsLabel=label,
                     routeTableId=self.tables[
                         "public" if is_public else "private"]["id"],
                     securityListIds=[r["id"] for r in chosen],
                     subnetDomainName="%s.%s.oraclevcn.com" % (
                         label, self.label),
                     virtualRouterIp=str(ipaddress.ip_network(cidr)[1]),
                     virtualRouterMac="00:00:17:%02x:00:01" % n)

    def add(self, kind, ocid_type, name, **fields):
        world = self.world
        return world.add("core/" + kind, self.region, {
            "id": world.ocid(ocid_type, self.region, name)
            if kind != "Vcn" else self.vcn_id,
            "compartmentId": self.compartment, "displayName": name,
            "vcnId": self.vcn_id, "lifecycleState": "AVAILABLE",
            "timeCreated": world.time(days=500),
            "freeformTags": {"environment": self.label}, "definedTags": {},
            **fields})

    def gateways(self):
        name = self.name
        self.internet = self.add("InternetGateway", "internetgateway",
                                 name + "-internet", isEnabled=True)
        self.nat = self.add("NatGateway", "natgateway", name + "-nat",
                            blockTraffic=False, natIp="192.0.2.%d" % (
                                10 + len(self.world.table(
                                    "core/NatGateway", self.region))))
        self.service = self.add(
            "ServiceGateway", "servicegateway", name + "-services",
            blockTraffic=False, services=[{
                "serviceId": self.world.ocid("service", self.region, "all"),
                "serviceName": "All Services In Oracle Services Network"}])

    def routes(self):
        for kind, gateway in (("public", self.internet),
                              ("private", self.nat)):
            self.tables[kind] = self.add(
                "RouteTable", "routetable", "%s-%s" % (self.name, kind),
                routeRules=[{"destination": ANYWHERE,
                             "destinationType": "CIDR_BLOCK",
                             "cidrBlock": ANYWHERE, "description": kind,
                             "networkEntityId": gateway["id"]}])

    def security_list(self, name, rules):
        return self.add("SecurityList", "securitylist", name,
                        ingressSecurityRules=[dict(r) for r in rules],
                        egressSecurityRules=[dict(EVERYWHERE_OUT)])


def fill_groups(world):
    vcns = {v["displayName"]: v
            for v in world.table("core/Vcn", HOME).values()}
    for name, network, rules in SECURITY_GROUPS:
        vcn = vcns[network]
        group = world.add("core/NetworkSecurityGroup", HOME, {
            "id": world.ocid("networksecuritygroup", HOME, name),
            "compartmentId": vcn["compartmentId"], "vcnId": vcn["id"],
            "displayName": name, "lifecycleState": "AVAILABLE",
            "timeCreated": world.time(days=450), "freeformTags": {},
            "definedTags": {}, "_rules": []})
        for n, (direction, protocol, peer, options) in enumerate(rules):
            end = "source" if direction == "INGRESS" else "destination"
            group["_rules"].append({
                "id": "%05X" % world.random("rule", name, n).randrange(
                    1 << 20),
                "direction": direction, "protocol": protocol, end: peer,
                end + "Type": "CIDR_BLOCK", "isStateless": False,
                "isValid": True, "timeCreated": world.time(days=440),
                "description": "%s %d" % (name, n), **options})


def fill_drg(world):
    shared = world.names["shared"]
    drg = world.add("core/Drg", HOME, {
        "id": world.ocid("drg", HOME, "hub"), "compartmentId": shared,
        "displayName": "hub", "lifecycleState": "AVAILABLE",
        "timeCreated": world.time(days=480), "freeformTags": {},
        "definedTags": {}})
    for vcn in world.table("core/Vcn", HOME).values():
        world.add("core/DrgAttachment", HOME, {
            "id": world.ocid("drgattachment", HOME, vcn["id"]),
            "compartmentId": shared, "drgId": drg["id"],
            "displayName": "to-" + vcn["displayName"],
            "lifecycleState": "ATTACHED", "vcnId": vcn["id"],
            "networkDetails": {"type": "VCN", "id": vcn["id"]},
            "timeCreated": world.time(days=470)})


@operation("core.ListDrgAttachments")
def list_drg_attachments(call):
    items = call.all("core/DrgAttachment")
    network = call.query.get("networkId")
    if network:
        items = [a for a in items if a["networkDetails"]["id"] == network]
    return call.answer_list(items, ignore=("networkId", "attachmentType"))


@operation("core.ListPrivateIps")
def list_private_ips(call):
    if not set(call.query) & {"ipAddress", "subnetId", "vnicId", "vlanId"}:
        raise missing("subnetId")
    return call.answer_list(call.all("core/PrivateIp"),
                            ignore=("ipState", "lifetime"))


@operation("core.GetPublicIpByIpAddress")
def get_public_ip(call):
    for address in call.all("core/PublicIp"):
        if address["ipAddress"] == call.body["ipAddress"]:
            return call.answer(address)
    raise not_found()


def group_of(call):
    return call.find("core/NetworkSecurityGroup",
                     call.params["networkSecurityGroupId"])


@operation("core.ListNetworkSecurityGroupSecurityRules")
def list_rules(call):
    return call.answer_list(group_of(call)["_rules"])


@operation("core.ListNetworkSecurityGroupVnics")
def list_group_vnics(call):
    group = group_of(call)["id"]
    return call.answer_list([
        {"vnicId": v["id"], "resourceId": v["_instance"],
         "timeAssociated": v["timeCreated"]}
        for v in call.all("core/Vnic") if group in v["nsgIds"]], select=False)


@operation("core.AddNetworkSecurityGroupSecurityRules")
def add_rules(call):
    group, made = group_of(call), []
    for wish in call.body.get("securityRules") or []:
        call.world.counter += 1
        made.append({"id": "%06X" % (0xA00000 + call.world.counter),
                     "isValid": True, "timeCreated": call.world.time(),
                     "isStateless": False, **wish})
    call.world.change(group, _rules=group["_rules"] + made)
    return {"securityRules": made}


@operation("core.RemoveNetworkSecurityGroupSecurityRules")
def remove_rules(call):
    group = group_of(call)
    gone = set(call.body.get("securityRuleIds") or [])
    if gone - {r["id"] for r in group["_rules"]}:
        raise not_found()
    call.world.change(group, _rules=[r for r in group["_rules"]
                                     if r["id"] not in gone])
    return Response(204)


@operation("core.UpdateNetworkSecurityGroupSecurityRules")
def update_rules(call):
    group = group_of(call)
    known = {r["id"]: r for r in group["_rules"]}
    wishes = call.body.get("securityRules") or []
    for wish in wishes:
        if wish["id"] not in known:
            raise not_found()
        known[wish["id"]].update(wish)
    return {"securityRules": [known[w["id"]] for w in wishes]}


@operation("core.CreateVcn")
def create_vcn(call):
    blocks = call.body.get("cidrBlocks") or [call.body.get("cidrBlock")]
    if not blocks[0]:
        raise missing("cidrBlocks")
    try:
        for block in blocks:
            ipaddress.ip_network(block)
    except ValueError:
        raise invalid("cidrBlocks: %s is not a block" % block)
    vcn = call.create("core/Vcn", "vcn", {
        "cidrBlock": blocks[0], "cidrBlocks": blocks,
        "lifecycleState": "PROVISIONING"}, "AVAILABLE")
    for kind, ocid_type, field, more in (
            ("RouteTable", "routetable", "defaultRouteTableId",
             {"routeRules": []}),
            ("SecurityList", "securitylist", "defaultSecurityListId",
             {"ingressSecurityRules": [],
              "egressSecurityRules": [dict(EVERYWHERE_OUT)]})):
        made = {"id": call.world.fresh_ocid(ocid_type, call.region),
                "compartmentId": vcn["compartmentId"], "vcnId": vcn["id"],
                "displayName": "Default for " + vcn.get("displayName", "vcn"),
                "lifecycleState": "AVAILABLE", "freeformTags": {},
                "definedTags": {}, "timeCreated": vcn["timeCreated"], **more}
        call.world.add("core/" + kind, call.region, made)
        vcn[field] = made["id"]
    return call.answer(vcn)


@operation("core.DeleteVcn")
def delete_vcn(call):
    vcn = call.find("core/Vcn", call.params["vcnId"])
    for subnet in call.all("core/Subnet"):
        if subnet["vcnId"] == vcn["id"] and \
                subnet["lifecycleState"] == "AVAILABLE":
            raise ServiceError(409, "Conflict",
                               "The VCN still has the subnet %s." %
                               subnet["id"])
    call.check_match(vcn)
    call.world.remove("core/Vcn", call.region, vcn)
    return Response(204)


@operation("core.CreateSubnet")
def create_subnet(call):
    vcn = call.find("core/Vcn", call.body["vcnId"])
    try:
        block = ipaddress.ip_network(call.body.get("cidrBlock") or "")
    except ValueError:
        raise invalid("cidrBlock is not a block")
    return call.answer(call.create("core/Subnet", "subnet", {
        "lifecycleState": "PROVISIONING",
        "virtualRouterIp": str(block[1]),
        "virtualRouterMac": "00:00:17:00:00:99", "availabilityDomain":
        call.body.get("availabilityDomain"),
        "prohibitPublicIpOnVnic": call.body.get("prohibitPublicIpOnVnic",
                                                False),
        "routeTableId": call.body.get("routeTableId") or
        vcn["defaultRouteTableId"],
        "securityListIds": call.body.get("securityListIds") or
        [vcn["defaultSecurityListId"]]}, "AVAILABLE"))


@operation("core.CreateNetworkSecurityGroup")
def create_group(call):
    call.find("core/Vcn", call.body["vcnId"])
    return call.answer(call.create(
        "core/NetworkSecurityGroup", "networksecuritygroup",
        {"lifecycleState": "AVAILABLE", "_rules": []}))


@operation("core.CreateSecurityList")
def create_security_list(call):
    call.find("core/Vcn", call.body["vcnId"])
    return call.answer(call.create("core/SecurityList", "securitylist",
                                   {"lifecycleState": "AVAILABLE"}))


@operation("core.ListServices")
def list_services(call):
    return [{"id": call.world.ocid("service", call.region, "all"),
             "name": "All Services In Oracle Services Network",
             "cidrBlock": "all-services", "description": "All services"}]


@operation("core.ListLocalPeeringGateways")
def list_peering(call):
    return call.answer_list([])
