"""The tools that packs alone describe, against a simulated tenancy: one table
of lists, one of single resources, and a failure of each."""

import json

import pytest

from harness import ROOT

PACKS = ("announcements", "blockstorage", "budgets", "functions", "identity",
         "limits", "loadbalancer", "objectstorage", "oke", "search", "vault",
         "workrequests")


def recipes():
    for name in PACKS:
        pack = json.loads((ROOT / "etc/tools" / (name + ".json")).read_text())
        yield from pack["tools"]


RECIPES = {tool["name"]: tool for tool in recipes()}


def first(kind, **fields):
    """Arguments: the OCID of the first such resource of the tenancy."""
    return lambda cloud: cloud.table(kind, **fields)[0]


DOMAIN = "Uocm:US-ASHBURN-AD-1"
NAMED = {"id": "id", "display_name": "displayName",
         "lifecycle_state": "lifecycleState", "time_created": "timeCreated"}
STORED = dict(NAMED, size_in_gbs="sizeInGBs",
              availability_domain="availabilityDomain")
BACKED = dict(NAMED, size_in_gbs="sizeInGBs", type="type")
SECRET = {"id": "id", "name": "secretName", "vault_id": "vaultId",
          "lifecycle_state": "lifecycleState"}
WHERE = "compartmentId"

# Tool, key of the items, arguments, table of the tenancy, its members (a
# compartment by name), field of the answer: field of the resource.
LISTS = [
    ("oci_objectstorage_list_buckets", "buckets", {},
     "object_storage/Bucket", {WHERE: "prod"},
     {"name": "name", "time_created": "timeCreated"}),
    ("oci_blockstorage_list_volumes", "volumes", {}, "core/Volume",
     {WHERE: "prod"}, dict(STORED, vpus_per_gb="vpusPerGB")),
    ("oci_blockstorage_list_volumes", "volumes", {"display_name": "ORDERS-1"},
     "core/Volume", {"displayName": "orders-1-data"}, STORED),
    ("oci_blockstorage_list_boot_volumes", "boot_volumes", {},
     "core/BootVolume", {WHERE: "prod"}, dict(STORED, image_id="imageId")),
    ("oci_blockstorage_list_volume_attachments", "attachments", {},
     "core/VolumeAttachment", {WHERE: "prod"},
     {"id": "id", "instance_id": "instanceId", "volume_id": "volumeId"}),
    ("oci_blockstorage_list_boot_volume_attachments", "attachments",
     {"availability_domain": DOMAIN}, "core/BootVolumeAttachment",
     {WHERE: "prod", "availabilityDomain": DOMAIN},
     {"id": "id", "instance_id": "instanceId",
      "boot_volume_id": "bootVolumeId"}),
    ("oci_blockstorage_list_volume_backups", "backups", {},
     "core/VolumeBackup", {WHERE: "prod"}, dict(BACKED,
                                                volume_id="volumeId")),
    ("oci_blockstorage_list_boot_volume_backups", "backups", {},
     "core/BootVolumeBackup", {WHERE: "prod"},
     dict(BACKED, boot_volume_id="bootVolumeId")),
    ("oci_loadbalancer_list_load_balancers", "load_balancers", {},
     "load_balancer/LoadBalancer", {WHERE: "prod"},
     dict(NAMED, shape="shapeName", is_private="isPrivate")),
    ("oci_loadbalancer_list_network_load_balancers",
     "network_load_balancers", {},
     "network_load_balancer/NetworkLoadBalancer", {WHERE: "prod"}, NAMED),
    ("oci_oke_list_clusters", "clusters", {}, "container_engine/Cluster",
     {WHERE: "prod"}, {"id": "id", "name": "name", "type": "type",
                       "kubernetes_version": "kubernetesVersion"}),
    ("oci_oke_list_node_pools", "node_pools", {}, "container_engine/NodePool",
     {WHERE: "prod"}, {"id": "id", "name": "name",
                       "cluster_id": "clusterId",
                       "node_shape": "nodeShape"}),
    ("oci_functions_list_applications", "applications", {},
     "functions/Application", {WHERE: "prod"}, NAMED),
    ("oci_functions_list_functions", "functions",
     {"application_id": first("functions/Application",
                              displayName="shop-events")},
     "functions/Function", {WHERE: "prod"},
     dict(NAMED, image="image", memory_in_mbs="memoryInMBs")),
    ("oci_vault_list_vaults", "vaults", {WHERE: "shared"},
     "key_management/Vault", {WHERE: "shared"}, NAMED),
    ("oci_vault_list_keys", "keys", {}, "key_management/Key", {}, NAMED),
    ("oci_vault_list_keys", "keys", {WHERE: "prod"}, "key_management/Key",
     {WHERE: "prod"}, NAMED),
    ("oci_vault_list_secrets", "secrets", {}, "vault/Secret",
     {WHERE: "prod"}, SECRET),
    ("oci_vault_list_secrets", "secrets", {"name_contains": "API"},
     "vault/Secret", {"secretName": "payment-api-key"}, SECRET),
    ("oci_limits_list_quotas", "quotas", {}, "limits/Quota", {},
     {"id": "id", "name": "name"}),
    ("oci_search_query_resources", "resources",
     {"query": "query instance resources where lifeCycleState = 'STOPPED'"},
     "core/Instance", {"lifecycleState": "STOPPED"},
     {"identifier": "id", "display_name": "displayName"}),
    ("oci_search_query_resources", "resources",
     {"query": "query vcn, subnet resources sorted by displayName desc",
      WHERE: "dev"}, ("core/Vcn", "core/Subnet"), {WHERE: "dev"},
     {"identifier": "id", "display_name": "displayName"}),
    ("oci_search_find_resources", "resources",
     {"text": "warehouse", "resource_type": "AutonomousDatabase"},
     "database/AutonomousDatabase", {"displayName": "warehouse"},
     {"identifier": "id"}),
    ("oci_budgets_list_budgets", "budgets", {}, "budget/Budget", {},
     {"id": "id", "display_name": "displayName", "amount": "amount",
      "actual_spend": "actualSpend", "targets": "targets"}),
    ("oci_budgets_list_alert_rules", "alert_rules",
     {"budget_id": first("budget/Budget", displayName="prod-monthly")},
     "budget/AlertRule",
     {"budgetId": first("budget/Budget", displayName="prod-monthly")},
     {"id": "id", "threshold": "threshold", "type": "type"}),
    ("oci_announcements_list_announcements", "announcements", {},
     "announcements_service/Announcement", {},
     {"id": "id", "summary": "summary", "services": "services"}),
    ("oci_announcements_list_announcements", "announcements",
     {"announcement_type": "INFORMATION"},
     "announcements_service/Announcement",
     {"announcementType": "INFORMATION"}, {"id": "id"}),
    ("oci_identity_list_compartments", "compartments", {},
     "identity/Compartment", {"lifecycleState": "ACTIVE"},
     {"id": "id", "name": "name", "parent_id": "compartmentId"}),
    ("oci_identity_list_compartments", "compartments",
     {"name_contains": "SHAR"}, "identity/Compartment", {"name": "shared"},
     {"id": "id"}),
]

# Tool, name of the OCID's argument, table, member that is chosen, more
# arguments, field of the answer: field of the resource.
GETS = [
    ("oci_blockstorage_get_volume", "volume_id", "core/Volume", {}, {},
     dict(STORED, is_auto_tune_enabled="isAutoTuneEnabled")),
    ("oci_blockstorage_get_boot_volume", "boot_volume_id", "core/BootVolume",
     {}, {}, STORED),
    ("oci_loadbalancer_get_load_balancer", "load_balancer_id",
     "load_balancer/LoadBalancer", {"displayName": "shop"}, {}, NAMED),
    ("oci_loadbalancer_get_health", "load_balancer_id",
     "load_balancer/LoadBalancer", {"displayName": "shop"}, {}, {}),
    ("oci_loadbalancer_get_backend_set_health", "load_balancer_id",
     "load_balancer/LoadBalancer", {"displayName": "shop"},
     {"backend_set_name": "web"}, {}),
    ("oci_loadbalancer_get_network_load_balancer",
     "network_load_balancer_id", "network_load_balancer/NetworkLoadBalancer",
     {}, {}, NAMED),
    ("oci_oke_get_cluster", "cluster_id", "container_engine/Cluster", {}, {},
     {"name": "name", "vcn_id": "vcnId"}),
    ("oci_oke_get_node_pool", "node_pool_id", "container_engine/NodePool", {},
     {}, {"name": "name", "node_shape": "nodeShape"}),
    ("oci_functions_get_application", "application_id",
     "functions/Application", {}, {}, NAMED),
    ("oci_functions_get_function", "function_id", "functions/Function", {},
     {}, dict(NAMED, image="image", invoke_endpoint="invokeEndpoint")),
    ("oci_vault_get_vault", "vault_id", "key_management/Vault", {}, {},
     NAMED),
    ("oci_vault_get_secret", "secret_id", "vault/Secret", {}, {},
     dict(SECRET, current_version_number="currentVersionNumber")),
    ("oci_limits_get_quota", "quota_id", "limits/Quota", {}, {},
     {"name": "name", "statements": "statements"}),
    ("oci_budgets_get_budget", "budget_id", "budget/Budget", {}, {},
     {"display_name": "displayName", "amount": "amount",
      "forecasted_spend": "forecastedSpend"}),
    ("oci_announcements_get_announcement", "announcement_id",
     "announcements_service/Announcement", {}, {},
     {"summary": "summary", "affected_regions": "affectedRegions"}),
    ("oci_identity_get_compartment", "compartment_id",
     "identity/Compartment", {"name": "dev"}, {},
     {"name": "name", "parent_id": "compartmentId"}),
]

# Tools that need more than an OCID, for the table of failures.
OTHERS = {
    "oci_objectstorage_get_namespace": {},
    "oci_objectstorage_get_bucket": {"bucket_name": "media"},
    "oci_objectstorage_list_objects": {"bucket_name": "media"},
    "oci_objectstorage_head_object": {"bucket_name": "media",
                                      "object_name": "x"},
    "oci_loadbalancer_list_backend_sets": {
        "load_balancer_id": first("load_balancer/LoadBalancer",
                                  displayName="shop")},
    "oci_vault_list_secret_versions": {"secret_id": first("vault/Secret")},
    "oci_limits_list_services": {},
    "oci_limits_list_values": {"service_name": "compute"},
    "oci_limits_list_definitions": {},
    "oci_limits_get_availability": {"service_name": "vcn",
                                    "limit_name": "vcn-count"},
    "oci_search_list_resource_types": {},
    "oci_workrequests_list_requests": {},
    "oci_workrequests_get_request": {
        "work_request_id": "ocid1.coreservicesworkrequest.oc1.iad.x"},
    "oci_workrequests_list_errors": {
        "work_request_id": "ocid1.coreservicesworkrequest.oc1.iad.x"},
    "oci_identity_get_tenancy": {},
    "oci_identity_list_region_subscriptions": {},
    "oci_identity_list_availability_domains": {},
}


def resolved(cloud, values):
    """Compartments by their OCIDs, resources by theirs."""
    out = {}
    for name, value in values.items():
        if name == WHERE:
            value = cloud.compartments[value]
        elif callable(value):
            value = value(cloud)["id"]
        out["compartment_id" if name == WHERE else name] = value
    return out


def rows_of(cloud, kinds, fields):
    fields = resolved(cloud, fields)
    if "compartment_id" in fields:
        fields[WHERE] = fields.pop("compartment_id")
    return [row for kind in ([kinds] if isinstance(kinds, str) else kinds)
            for row in cloud.table(kind, **fields)]


@pytest.mark.parametrize("tool, key, arguments, kind, members, fields",
                         LISTS, ids=["%s-%d" % (row[0], n)
                                     for n, row in enumerate(LISTS)])
def test_list(cloud, tool, key, arguments, kind, members, fields):
    arguments = resolved(cloud, arguments)
    ident = next(iter(fields))  # the first says which is which
    there = {row[fields[ident]]: row
             for row in rows_of(cloud, kind, members)}
    page = cloud.call(tool, limit=100, **arguments)
    assert page["total"] == page["count"] == len(there)
    assert {row[ident] for row in page[key]} == set(there)
    for row in page[key]:
        real = there[row[ident]]
        assert {f: row[f] for f in fields} == {
            f: real[member] for f, member in fields.items()}
    # Page by page it is the same, in the same order.
    assert cloud.pages(tool, key, limit=max(1, len(there) // 3),
                       **arguments) == page[key]


@pytest.mark.parametrize("tool, argument, kind, which, more, fields", GETS,
                         ids=[row[0] for row in GETS])
def test_get(cloud, tool, argument, kind, which, more, fields):
    real = cloud.table(kind, **which)[0]
    found = cloud.call(tool, **{argument: real["id"]}, **more)
    assert {f: found[f] for f in fields} == {
        f: real[member] for f, member in fields.items()}
    cut = real["id"].rpartition(".")[0]
    error = cloud.fails(tool, **{argument: cut + ".missing"}, **more)
    assert error["category"] == "not_found"
    error = cloud.fails(tool, **{argument: "missing"}, **more)
    assert error["category"] in ("validation", "not_found")


def failures():
    """Each tool once, with arguments that it takes."""
    known = {row[0]: row[2] for row in LISTS}
    known.update({row[0]: {row[1]: first(row[2], **row[3]), **row[4]}
                  for row in GETS})
    known.update(OTHERS)
    assert set(known) == set(RECIPES), set(known) ^ set(RECIPES)
    return sorted(known.items())


@pytest.mark.parametrize("tool, arguments", failures(),
                         ids=[name for name, _ in failures()])
def test_failure(cloud, tool, arguments):
    """What a service refuses is an error that says who, what and which."""
    arguments = resolved(cloud, arguments)
    with cloud.fault(".", status=403, code="NotAuthorized",
                     message="The policy says no."):
        error = cloud.fails(tool, **arguments)
    assert error["category"] == "authorization"
    assert "The policy says no." in error["error"]
    assert error["details"]["status"] == 403
    assert error["details"]["opc_request_id"]


def test_all_only_read(cloud):
    tools = cloud.definitions()
    for name in RECIPES:
        assert tools[name]["annotations"] == {
            "title": RECIPES[name]["title"],
            "readOnlyHint": True, "destructiveHint": False,
            "idempotentHint": True, "openWorldHint": True}, name
        assert tools[name]["outputSchema"]["type"] == "object"


# -- object storage


def test_bucket(cloud):
    found = cloud.call("oci_objectstorage_get_bucket", bucket_name="media")
    real = cloud.one("object_storage/Bucket", name="media")
    assert found["public_access_type"] == real["publicAccessType"]
    assert found["approximate_count"] > 0
    error = cloud.fails("oci_objectstorage_get_bucket", bucket_name="none")
    assert error["details"]["code"] == "BucketNotFound"


def test_objects_with_a_cursor(cloud):
    names, start = [], None
    for _ in range(100):
        page = cloud.call("oci_objectstorage_list_objects", limit=5,
                          bucket_name="invoices",
                          **({"start": start} if start else {}))
        assert page["count"] == len(page["objects"]) <= 5
        names += [row["name"] for row in page["objects"]]
        start = page["next_start"]
        if not start:
            break
    assert len(names) > 5 and names == sorted(set(names))
    month = names[0].rpartition("/")[0] + "/"
    page = cloud.call("oci_objectstorage_list_objects", limit=100,
                      bucket_name="invoices", prefix=month)
    assert [row["name"] for row in page["objects"]] == [
        name for name in names if name.startswith(month)]
    page = cloud.call("oci_objectstorage_list_objects", limit=100,
                      bucket_name="invoices", delimiter="/")
    assert page["objects"] == []
    assert page["prefixes"] == sorted({n.partition("/")[0] + "/"
                                       for n in names})


def test_head_of_an_object(cloud):
    row = cloud.call("oci_objectstorage_list_objects", limit=1,
                     bucket_name="invoices")["objects"][0]
    found = cloud.call("oci_objectstorage_head_object",
                       bucket_name="invoices", object_name=row["name"])
    assert found["size"] == row["size"] and found["etag"] == row["etag"]
    assert found["namespace"] == cloud.call(
        "oci_objectstorage_get_namespace")["namespace"]
    error = cloud.fails("oci_objectstorage_head_object",
                        bucket_name="invoices",
                        object_name=row["name"][:-1])
    assert error["category"] == "not_found"


# -- load balancers, clusters


def test_backend_sets(cloud):
    real = cloud.one("load_balancer/LoadBalancer", displayName="shop")
    page = cloud.call("oci_loadbalancer_list_backend_sets",
                      load_balancer_id=real["id"])
    assert {row["name"] for row in page["backend_sets"]} == set(
        real["backendSets"])
    for row in page["backend_sets"]:
        there = real["backendSets"][row["name"]]
        assert [b["ip_address"] for b in row["backends"]] == [
            b["ipAddress"] for b in there["backends"]]
        assert row["health_checker"]["port"] == there["healthChecker"]["port"]
    health = cloud.call("oci_loadbalancer_get_health",
                        load_balancer_id=real["id"])
    assert health["total_backend_set_count"] == len(real["backendSets"])
    whole = cloud.call("oci_loadbalancer_get_load_balancer",
                       load_balancer_id=real["id"])
    assert whole["health"]["status"] == health["status"]
    assert whole["ip_addresses"][0]["is_public"] is True


def test_health_that_cannot_be_read(cloud):
    real = cloud.one("load_balancer/LoadBalancer", displayName="shop")
    with cloud.fault("load_balancer.GetLoadBalancerHealth", status=404,
                     code="NotAuthorizedOrNotFound", message="no"):
        found = cloud.call("oci_loadbalancer_get_load_balancer",
                           load_balancer_id=real["id"])
    assert found["display_name"] == "shop" and not found.get("health")


def test_cluster_with_and_without_its_pools(cloud):
    ocid = cloud.said["cluster"]
    found = cloud.call("oci_oke_get_cluster", cluster_id=ocid)
    assert {p["name"] for p in found["node_pools"]} == {
        p["name"] for p in cloud.table("container_engine/NodePool",
                                       clusterId=ocid)}
    found = cloud.call("oci_oke_get_cluster", cluster_id=ocid,
                       include_node_pools=False)
    assert not found.get("node_pools")


# -- what must not be told


def test_secrets_have_no_values(cloud):
    real = cloud.one("vault/Secret", secretName="orders-db-password")
    page = cloud.call("oci_vault_list_secret_versions", secret_id=real["id"])
    assert page["total"] == real["currentVersionNumber"] == 4
    assert {"CURRENT", "LATEST"} <= set(page["versions"][0]["stages"])
    assert len(cloud.pages("oci_vault_list_secret_versions", "versions",
                           limit=1, secret_id=real["id"])) == 4
    for name in RECIPES:
        assert "GetSecretBundle" not in json.dumps(RECIPES[name])


def test_functions_have_no_configuration(cloud):
    found = cloud.call("oci_functions_get_function",
                       function_id=cloud.said["function"])
    assert "config" not in found


# -- limits, search, work requests


def test_limits(cloud):
    assert len(cloud.pages("oci_limits_list_services", "services",
                           limit=3)) == 7
    rows = cloud.pages("oci_limits_list_values", "limits", limit=4,
                       service_name="compute")
    assert len(rows) == 13
    assert {r["availability_domain"] is None for r in rows
            if r["scope_type"] == "REGION"} == {True}
    page = cloud.call("oci_limits_list_values", service_name="compute",
                      name_contains="GPU", scope_type="AD")
    assert page["total"] == 3 and page["limits"][0]["value"] == 2
    page = cloud.call("oci_limits_list_definitions", service_name="vcn")
    assert {row["name"] for row in page["definitions"]} == {
        "vcn-count", "reserved-public-ip-count"}
    error = cloud.fails("oci_limits_list_values", service_name="nothing")
    assert error["category"] == "not_found"


def test_availability(cloud):
    found = cloud.call("oci_limits_get_availability", service_name="vcn",
                       limit_name="vcn-count")
    assert found["used"] == len(cloud.table("core/Vcn"))
    assert found["used"] + found["available"] == 50
    error = cloud.fails("oci_limits_get_availability", limit_name="volume-"
                        "count", service_name="block-storage")
    assert error["details"]["code"] == "MissingParameter"


def test_queries_that_are_none(cloud):
    error = cloud.fails("oci_search_query_resources", query="select * from x")
    assert error["category"] == "validation"
    error = cloud.fails("oci_search_query_resources",
                        query="query dragon resources")
    assert "dragon" in error["error"]


def test_resource_types(cloud):
    rows = cloud.pages("oci_search_list_resource_types", "resource_types",
                       limit=5, name_contains="volume")
    assert "BootVolume" in {row["name"] for row in rows}
    assert all(row["fields"] for row in rows)


def test_work_requests(cloud):
    database = cloud.one("database/AutonomousDatabase", displayName="reports")
    started = cloud.call("oci_database_start_autonomous",
                         database_id=database["id"])
    ocid = started["work_request_id"]
    found = cloud.call("oci_workrequests_get_request", work_request_id=ocid,
                       include_logs=True)
    assert found["operation_type"] == "StartAutonomousDatabase"
    assert found["status"] in ("ACCEPTED", "IN_PROGRESS", "SUCCEEDED")
    assert found["resources"][0]["identifier"] == database["id"]
    assert found["errors"] == []
    rows = cloud.pages("oci_workrequests_list_requests", "work_requests",
                       limit=1)
    assert ocid in {row["id"] for row in rows}
    assert cloud.call("oci_workrequests_list_errors",
                      work_request_id=ocid)["total"] == 0


# -- the tenancy


def test_tenancy(cloud):
    found = cloud.call("oci_identity_get_tenancy")
    assert found["id"] == cloud.said["tenancy"] and found["name"] == "acme"
    home = [r for r in found["regions"] if r["is_home_region"]]
    assert [r["region_name"] for r in home] == [cloud.said["region"]]
    rows = cloud.pages("oci_identity_list_region_subscriptions", "regions",
                       limit=1)
    assert [r["region_name"] for r in rows] == [
        r["region_name"] for r in found["regions"]]


def test_domains(cloud):
    rows = cloud.pages("oci_identity_list_availability_domains",
                       "availability_domains", limit=2)
    assert DOMAIN in {row["name"] for row in rows} and len(rows) == 3


def test_compartments_of_a_parent(cloud):
    page = cloud.call("oci_identity_list_compartments",
                      parent_id=cloud.said["tenancy"])
    assert page["total"] == 3
    page = cloud.call("oci_identity_list_compartments",
                      parent_id=cloud.compartments["prod"])
    assert page["total"] == 0


# -- texts


def test_texts(cloud):
    text = cloud.text("oci_budgets_list_budgets")
    assert "| prod-monthly |" in text and "20000" in text
    data = json.loads(cloud.text("oci_identity_list_compartments",
                                 response_format="json"))
    assert data["total"] == 3
    text = cloud.text("oci_vault_list_secrets", name_contains="nothing")
    assert "No secrets." in text
