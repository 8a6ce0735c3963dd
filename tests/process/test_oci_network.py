"""The tools of networks, against a simulated tenancy."""

import pytest

from cloud import Cloud

ANYWHERE = ("0.0.0.0/0", "::/0")


def vcn(cloud, name="prod-vcn"):
    return cloud.one("core/Vcn", displayName=name)


def of_vcn(cloud, kind, name="prod-vcn"):
    return cloud.table("core/" + kind, vcnId=vcn(cloud, name)["id"])


def ids(rows):
    return sorted(row["id"] for row in rows)


# -- VCNs


def test_list_vcns(cloud):
    page = cloud.call("oci_network_list_vcns")
    there = vcn(cloud)
    assert page["total"] == page["count"] == 1
    assert page["compartment_id"] == cloud.compartments["prod"]
    row = page["vcns"][0]
    assert row == {
        "id": there["id"], "display_name": "prod-vcn",
        "cidr_block": "10.0.0.0/16", "cidr_blocks": ["10.0.0.0/16"],
        "lifecycle_state": "AVAILABLE", "dns_label": there["dnsLabel"],
        "default_dhcp_options_id": there["defaultDhcpOptionsId"],
        "default_route_table_id": there["defaultRouteTableId"],
        "default_security_list_id": there["defaultSecurityListId"],
        "time_created": there["timeCreated"],
        "compartment_id": cloud.compartments["prod"], "subnet_count": 3}
    assert cloud.call("oci_network_list_vcns", display_name="DEV")[
        "total"] == 0
    assert cloud.call("oci_network_list_vcns", display_name="DEV",
                      compartment_id=cloud.compartments["dev"])[
        "vcns"][0]["subnet_count"] == 2


def test_list_vcns_in_a_state(cloud):
    page = cloud.call("oci_network_list_vcns", lifecycle_state="TERMINATED")
    assert page["vcns"] == []


def test_list_vcns_without_subnets(cloud):
    with cloud.fault("core.ListSubnets", status=404):
        page = cloud.call("oci_network_list_vcns")
    assert page["vcns"][0]["subnet_count"] is None


def test_get_vcn(cloud):
    there = vcn(cloud)
    found = cloud.call("oci_network_get_vcn", vcn_id=there["id"])
    assert found["vcn"]["cidr_blocks"] == there["cidrBlocks"]
    assert found["vcn"]["domain_name"] == there["vcnDomainName"]
    assert ids(found["subnets"]) == ids(of_vcn(cloud, "Subnet"))
    assert ids(found["security_lists"]) == ids(of_vcn(cloud, "SecurityList"))
    rules = {row["display_name"]: row for row in found["security_lists"]}
    web = rules["prod-web"]["ingress_security_rules"][0]
    assert web["direction"] == "INGRESS" and web["protocol"] == "6"
    assert web["source"] == "0.0.0.0/0" and web["is_stateless"] is False
    assert web["tcp_options"]["destination_port_range"] == {
        "min": 443, "max": 443}
    icmp = rules["prod-web"]["ingress_security_rules"][2]
    assert icmp["icmp_options"] == {"type": 3, "code": 4}
    out = rules["prod-web"]["egress_security_rules"][0]
    assert out["direction"] == "EGRESS"
    assert out["destination"] == "0.0.0.0/0"


def test_get_vcn_alone(cloud):
    cloud.tenancy.control("DELETE", "requests")
    found = cloud.call("oci_network_get_vcn", vcn_id=vcn(cloud)["id"],
                       include_subnets=False, include_security_lists=False)
    assert not found.get("subnets") and not found.get("security_lists")
    assert [row["operation"] for row in cloud.requests()] == ["core.GetVcn"]


def test_get_vcn_that_is_not_there(cloud):
    error = cloud.fails("oci_network_get_vcn",
                        vcn_id="ocid1.vcn.oc1.iad.nowhere")
    assert error["category"] == "not_found"
    error = cloud.fails("oci_network_get_vcn",
                        vcn_id="ocid1.subnet.oc1.iad.x")
    assert error["category"] == "validation"


# -- lists


@pytest.mark.parametrize("tool, key, kind", [
    ("oci_network_list_subnets", "subnets", "Subnet"),
    ("oci_network_list_security_lists", "security_lists", "SecurityList"),
    ("oci_network_list_nsgs", "nsgs", "NetworkSecurityGroup"),
    ("oci_network_list_route_tables", "route_tables", "RouteTable"),
])
def test_lists(cloud, tool, key, kind):
    there = cloud.table("core/" + kind,
                        compartmentId=cloud.compartments["prod"])
    there = [row for row in there if ".iad." in row["id"]]
    found = cloud.pages(tool, key, limit=1)
    assert ids(found) == ids(there) and there
    for row in found:
        other = [r for r in there if r["id"] == row["id"]][0]
        assert row["display_name"] == other["displayName"]
        assert row["vcn_id"] == other["vcnId"]
        assert row["lifecycle_state"] == "AVAILABLE"
    name = there[-1]["displayName"]
    some = cloud.call(tool, display_name=name.upper())
    assert name in [row["display_name"] for row in some[key]]
    of_one = cloud.call(tool, vcn_id=vcn(cloud)["id"], limit=100)
    assert ids(of_one[key]) == ids(of_vcn(cloud, kind))
    with cloud.fault("core.List" + {"Subnet": "Subnets"}.get(kind, kind + "s"),
                     status=403, code="NotAllowed"):
        assert cloud.fails(tool)["category"] == "authorization"


def test_subnets_say_whether_they_are_public(cloud):
    found = cloud.call("oci_network_list_subnets")["subnets"]
    assert {row["display_name"]: row["is_public"] for row in found} == {
        "prod-public": True, "prod-app": False, "prod-db": False}
    assert all(row["security_list_ids"] for row in found)


def test_get_subnet(cloud):
    there = cloud.one("core/Subnet", displayName="prod-public")
    found = cloud.call("oci_network_get_subnet", subnet_id=there["id"])
    assert found["subnet"]["cidr_block"] == "10.0.0.0/24"
    assert found["subnet"]["is_public"] is True
    table = cloud.one("core/RouteTable", id=there["routeTableId"])
    assert [rule["destination"] for rule in found["route_rules"]] == [
        rule["destination"] for rule in table["routeRules"]]
    with cloud.fault("core.GetRouteTable", status=404):
        assert cloud.call("oci_network_get_subnet", subnet_id=there["id"])[
            "subnet"]["id"] == there["id"]
    error = cloud.fails("oci_network_get_subnet",
                        subnet_id="ocid1.subnet.oc1.iad.nowhere")
    assert error["category"] == "not_found"


def test_route_tables_have_their_rules(cloud):
    found = cloud.call("oci_network_list_route_tables")["route_tables"]
    rules = [rule for row in found for rule in row["route_rules"]]
    assert {"destination", "destination_type", "network_entity_id",
            "route_type", "description"} == set(rules[0])
    assert "0.0.0.0/0" in [rule["destination"] for rule in rules]


def test_nsg_rules(cloud):
    group = cloud.one("core/NetworkSecurityGroup", displayName="prod-admin")
    found = cloud.pages("oci_network_list_nsg_rules", "rules",
                        nsg_id=group["id"], limit=1)
    assert [(rule["protocol"], rule["source"]) for rule in found] == [
        ("6", "0.0.0.0/0"), ("17", "::/0")]
    assert found[0]["tcp_options"]["destination_port_range"]["min"] == 22
    assert found[1]["udp_options"]["destination_port_range"]["max"] == 161
    assert found[0]["direction"] == "INGRESS"
    egress = cloud.call("oci_network_list_nsg_rules", direction="EGRESS",
                        nsg_id=group["id"])
    assert egress["rules"] == []
    error = cloud.fails("oci_network_list_nsg_rules",
                        nsg_id="ocid1.networksecuritygroup.oc1.iad.nowhere")
    assert error["category"] == "not_found"


def test_gateways(cloud):
    found = cloud.call("oci_network_list_gateways", vcn_id=vcn(cloud)["id"])
    for key, kind in (("internet_gateways", "InternetGateway"),
                      ("nat_gateways", "NatGateway"),
                      ("service_gateways", "ServiceGateway")):
        assert ids(found[key]) == ids(of_vcn(cloud, kind)), key
    there = of_vcn(cloud, "NatGateway")
    assert [row["nat_ip"] for row in found["nat_gateways"]] == [
        row["natIp"] for row in there]
    assert found["internet_gateways"][0]["is_enabled"] is True
    assert found["service_gateways"][0]["services"]
    with cloud.fault("core.ListNatGateways", status=404):
        assert cloud.fails("oci_network_list_gateways")[
            "category"] == "not_found"


def test_public_ips(cloud):
    there = cloud.table("core/PublicIp", scope="REGION",
                        compartmentId=cloud.compartments["prod"])
    found = cloud.pages("oci_network_list_public_ips", "public_ips", limit=1)
    assert {row["ip_address"] for row in found} == {
        row["ipAddress"] for row in there} and there
    assert all(row["lifetime"] == "RESERVED" for row in found)
    with cloud.fault("core.ListPublicIps", status=400,
                     code="InvalidParameter", message="Not so."):
        assert cloud.fails("oci_network_list_public_ips")[
            "category"] == "validation"


# -- the analysis


def analyze(cloud, **arguments):
    found = cloud.call("oci_network_analyze_security", **arguments)
    risky = {}
    for rule in found["risky_rules"]:
        risky.setdefault(rule["resource_name"], []).append(
            (rule["risk_level"], rule["rule"]["protocol"],
             rule["rule"]["port_range"]))
    return found, risky


def test_analyze_a_network(cloud):
    found, risky = analyze(cloud, vcn_id=vcn(cloud)["id"])
    lists = of_vcn(cloud, "SecurityList")
    assert found["security_lists_analyzed"] == len(lists)
    assert found["nsgs_analyzed"] == 3
    count = sum(len(row["ingressSecurityRules"]) +
                len(row["egressSecurityRules"]) for row in lists) + 5
    assert found["total_rules"] == count
    assert risky == {
        "prod-web": [("LOW", "TCP", "443"), ("LOW", "TCP", "80")],
        "prod-db": [("HIGH", "TCP", "1521")],
        "prod-lb": [("LOW", "TCP", "443")],
        "prod-admin": [("HIGH", "TCP", "22"), ("HIGH", "UDP", "161")]}
    assert found["summary"] == {"high_risk": 3, "medium_risk": 0,
                                "low_risk": 3}
    levels = [rule["risk_level"] for rule in found["risky_rules"]]
    assert levels == sorted(levels)  # HIGH before LOW
    assert any("let everything out" in note for note in found["notes"])


def test_analyze_says_where_and_why(cloud):
    found, _ = analyze(cloud, vcn_id=vcn(cloud)["id"])
    by_name = {rule["resource_name"]: rule for rule in found["risky_rules"]}
    rule = by_name["prod-db"]
    there = cloud.one("core/SecurityList", displayName="prod-db")
    assert rule["security_list_id"] == there["id"]
    assert rule["security_list_name"] == "prod-db" and rule["nsg_id"] is None
    assert rule["rule"]["source_or_destination"] in ANYWHERE
    assert rule["rule"]["direction"] == "INGRESS"
    assert "Oracle Database" in rule["reason"] and rule["recommendation"]
    rule = by_name["prod-admin"]
    assert rule["security_list_id"] is None
    assert rule["nsg_id"].startswith("ocid1.networksecuritygroup.")


def test_analyze_absent_ports_and_groups_open_to_all(cloud):
    _, risky = analyze(cloud, vcn_id=vcn(cloud, "dev-vcn")["id"])
    assert sorted(risky["dev-open"]) == [
        ("HIGH", "TCP", "22"), ("HIGH", "TCP", "3389"),
        ("HIGH", "TCP", "all"), ("MEDIUM", "UDP", "53")]
    assert risky["dev-all"] == [("HIGH", "all", "all")]
    _, risky = analyze(cloud, vcn_id=vcn(cloud, "shared-vcn")["id"])
    assert risky == {"shared-hub": [("LOW", "all", "all")]}


def test_analyze_one(cloud):
    there = cloud.one("core/SecurityList", displayName="prod-db")
    found, risky = analyze(cloud, security_list_id=there["id"])
    assert list(risky) == ["prod-db"]
    assert found["security_lists_analyzed"] == 1
    group = cloud.one("core/NetworkSecurityGroup", displayName="prod-admin")
    found, risky = analyze(cloud, nsg_id=group["id"])
    assert list(risky) == ["prod-admin"] and found["nsgs_analyzed"] == 1
    found, risky = analyze(cloud, nsg_id=group["id"],
                           check_risky_rules=False)
    assert found["total_rules"] == 2 and risky == {}


def test_analyze_reads_every_page():
    with Cloud(sim=("--page-size", "1")) as cloud:
        found, _ = analyze(cloud, vcn_id=vcn(cloud)["id"])
        assert found["security_lists_analyzed"] == 4
        assert found["summary"]["high_risk"] == 3


def test_analyze_fails_whole(cloud):
    error = cloud.fails("oci_network_analyze_security")
    assert error["category"] == "validation"
    error = cloud.fails("oci_network_analyze_security",
                        vcn_id="ocid1.vcn.oc1.iad.nowhere")
    assert error["category"] == "not_found"
    # Half an analysis would look like a clean bill.
    with cloud.fault("core.ListNetworkSecurityGroupSecurityRules",
                     status=404):
        error = cloud.fails("oci_network_analyze_security",
                            vcn_id=vcn(cloud)["id"])
    assert error["category"] == "not_found"


def test_the_text_of_an_analysis(cloud):
    text = cloud.text("oci_network_analyze_security", vcn_id=vcn(cloud)["id"])
    assert "| HIGH |" in text and "| 1521 |" in text
