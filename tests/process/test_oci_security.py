"""The tools of identities, Cloud Guard and the audit, against a simulated
tenancy."""

import pytest


def named(cloud, kind, name):
    return cloud.one("identity/" + kind, name=name)


# -- users, groups, policies


@pytest.mark.parametrize("tool, key, kind", [
    ("oci_security_list_users", "users", "identity/User"),
    ("oci_security_list_groups", "groups", "identity/Group")])
def test_lists(cloud, tool, key, kind):
    """They are the tenancy's, although another compartment is configured."""
    there = {row["id"]: row for row in cloud.table(kind)}
    rows = cloud.pages(tool, key, limit=3)
    assert {row["id"] for row in rows} == set(there)
    for row in rows:
        assert row["name"] == there[row["id"]]["name"]
        assert row["time_created"] == there[row["id"]]["timeCreated"]
    page = cloud.call(tool)
    assert page["total"] == len(there)
    assert page["compartment_name"] == "acme"


def test_users_are_filtered_before_paging(cloud):
    page = cloud.call("oci_security_list_users", name_contains="ROBOT",
                      limit=1, offset=1)
    assert page["total"] == 2 and page["count"] == 1
    assert page["users"][0]["name"] == "ci-robot@acme.example"
    page = cloud.call("oci_security_list_users", lifecycle_state="INACTIVE")
    assert [u["name"] for u in page["users"]] == ["jana.kral@acme.example"]


def test_policies(cloud):
    page = cloud.call("oci_security_list_policies")
    there = cloud.table("identity/Policy", compartmentId=cloud.said["tenancy"])
    assert page["total"] == len(there)
    by_name = {row["name"]: row for row in page["policies"]}
    assert by_name["auditors"]["statements"][0] == \
        "Allow group Auditors to read all-resources in tenancy"
    page = cloud.call("oci_security_list_policies",
                      compartment_id=cloud.compartments["prod"])
    assert page["compartment_name"] == "prod"
    assert {row["name"] for row in page["policies"]} == {
        row["name"] for row in cloud.table(
            "identity/Policy", compartmentId=cloud.compartments["prod"])}


@pytest.mark.parametrize("tool, operation", [
    ("oci_security_list_users", "identity.ListUsers"),
    ("oci_security_list_groups", "identity.ListGroups"),
    ("oci_security_list_policies", "identity.ListPolicies"),
    ("oci_security_list_cloud_guard_problems", "cloud_guard.ListProblems")])
def test_refusals(cloud, tool, operation):
    with cloud.fault(operation, status=403, code="NotAuthorized",
                     message="Not for you."):
        error = cloud.fails(tool)
    assert error["category"] == "authorization"
    assert error["details"]["code"] == "NotAuthorized"
    assert error["details"]["opc_request_id"]


def test_too_many_requests_are_waited_out(cloud):
    with cloud.fault("identity.ListUsers", status=429, times=1,
                     code="TooManyRequests", message="Slow down.",
                     retry_after=1):
        assert cloud.call("oci_security_list_users")["total"] == 14


def test_user(cloud):
    real = named(cloud, "User", "bruno.vidal@acme.example")
    found = cloud.call("oci_security_get_user", user_id=real["id"])
    assert found["user"]["email"] == "bruno.vidal@acme.example"
    assert found["user"]["is_mfa_activated"] is True
    assert {g["name"] for g in found["groups"]} == {"Administrators",
                                                    "Operators"}
    assert "api_keys" not in found


def test_keys_of_a_user(cloud):
    real = named(cloud, "User", "ci-robot@acme.example")
    found = cloud.call("oci_security_get_user", user_id=real["id"],
                       include_api_keys=True, include_groups=False)
    keys = cloud.table("identity/ApiKey", userId=real["id"])
    assert {k["fingerprint"] for k in found["api_keys"]} == {
        k["fingerprint"] for k in keys}
    assert found["api_keys"][0]["age_days"] > 90
    assert "groups" not in found
    assert "PUBLIC KEY" not in str(found)


def test_no_user(cloud):
    error = cloud.fails("oci_security_get_user",
                        user_id="ocid1.user.oc1..nobody")
    assert error["category"] == "not_found"
    error = cloud.fails("oci_security_get_user",
                        user_id=cloud.said["instance"])
    assert error["category"] == "validation"


# -- Cloud Guard


def problems(cloud, where, state="ACTIVE", **fields):
    return [p for p in cloud.table("cloud_guard/Problem",
                                   lifecycleState=state, **fields)
            if where == "tenancy" or
            p["compartmentId"] == cloud.compartments[where]]


@pytest.mark.parametrize("where", ["tenancy", "prod", "dev"])
def test_problems(cloud, where):
    real = problems(cloud, where)
    tool = "oci_security_list_cloud_guard_problems"
    page = cloud.call(tool, compartment_id=cloud.compartments[where])
    assert page["total"] == len(real)
    assert page["summary"] == {
        risk: sum(p["riskLevel"] == risk for p in real)
        for risk in ("CRITICAL", "HIGH", "MEDIUM", "LOW", "MINOR")}
    rows = cloud.pages(tool, "problems", limit=2,
                       compartment_id=cloud.compartments[where])
    assert {r["id"] for r in rows} == {p["id"] for p in real}
    order = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "MINOR"]
    ranks = [order.index(r["risk_level"]) for r in rows]
    assert ranks == sorted(ranks)
    assert all(r["recommendation"] is None for r in rows)


def test_problems_with_filters_and_advice(cloud):
    page = cloud.call("oci_security_list_cloud_guard_problems",
                      risk_level="critical", include_recommendations=True)
    assert page["total"] == len(problems(cloud, "tenancy",
                                         riskLevel="CRITICAL"))
    assert {p["recommendation"] for p in page["problems"]} == {
        "Close what does not have to be open."}
    page = cloud.call("oci_security_list_cloud_guard_problems",
                      lifecycle_state="INACTIVE")
    assert {p["lifecycle_detail"] for p in page["problems"]} == {"RESOLVED"}


# -- the audit


def test_audit(cloud):
    found = cloud.call("oci_security_audit")
    users = cloud.table("identity/User")
    active = [u for u in users if u["lifecycleState"] == "ACTIVE"]
    console = [u for u in active
               if u["capabilities"]["canUseConsolePassword"]]
    without = [u for u in console if not u["isMfaActivated"]]
    iam = found["iam_summary"]
    assert iam["total_users"] == len(users)
    assert iam["active_users"] == len(active)
    assert iam["console_users_without_mfa"] == len(without) > 0
    assert iam["total_groups"] == len(cloud.table("identity/Group"))
    assert iam["broad_statements"] == 0
    assert iam["users_with_unread_keys"] == 0
    keys = [k for k in cloud.table("identity/ApiKey")
            if k["userId"] in {u["id"] for u in active}]
    assert iam["api_keys_checked"] == len(keys)
    guard = found["cloud_guard_summary"]
    real = problems(cloud, "tenancy")
    assert guard["total"] == len(real)
    for risk in ("CRITICAL", "HIGH", "MEDIUM", "LOW", "MINOR"):
        assert guard[risk.lower()] == sum(
            p["riskLevel"] == risk for p in real)
    network = found["network_summary"]
    subnets = cloud.table("core/Subnet")
    assert network["total_vcns"] == len(cloud.table("core/Vcn"))
    assert network["total_subnets"] == len(subnets)
    assert network["public_subnets"] == sum(
        not s["prohibitPublicIpOnVnic"] for s in subnets)
    assert network["compartments_checked"] == 4
    lists = cloud.table("core/SecurityList")
    assert network["security_lists"] == len(lists)
    assert network["rules_checked"] >= sum(
        len(row["ingressSecurityRules"]) for row in lists)
    assert network["high_risk_rules"] > 0 and network["open_rules"] > 0
    assert any("dev-open" in text for text in network["findings"])
    # 100 less what the description of the tool says.
    score = found["security_score"]
    old = 15 if iam["old_api_keys"] else 0
    share = -(-25 * len(without) // len(console))
    assert score["iam"] == 100 - share - old
    assert score["cloud_guard"] == 100 - 40 - 20 - 10
    assert score["overall"] == (score["iam"] + score["cloud_guard"] +
                                score["network"]) // 3
    assert found["recommendations"]


def test_audit_finds_a_broad_policy(cloud):
    client = cloud.tenancy.client()
    answer = client.call("POST", "/20160918/policies", {
        "compartmentId": cloud.said["tenancy"], "name": "too-much",
        "description": "x", "statements": [
            "Allow group Developers to manage all-resources in tenancy"]})
    assert answer.status == 200, answer.body
    before = cloud.call("oci_security_audit")
    assert before["iam_summary"]["broad_statements"] == 1
    assert any("too-much" in text
               for text in before["iam_summary"]["findings"])


def test_audit_of_a_part(cloud):
    found = cloud.call("oci_security_audit", include_iam=False,
                       include_cloud_guard=False,
                       compartment_id=cloud.compartments["prod"])
    assert "iam_summary" not in found
    assert found["compartment_name"] == "prod"
    assert found["security_score"]["iam"] is None
    assert found["security_score"]["overall"] == \
        found["security_score"]["network"]
    assert found["network_summary"]["total_vcns"] == 1


def test_audit_says_what_it_could_not_read(cloud):
    with cloud.fault("cloud_guard.ListProblems", status=404,
                     code="NotAuthorizedOrNotFound", message="no"):
        found = cloud.call("oci_security_audit")
    assert "opc-request-id" in found["cloud_guard_summary"]["error"]
    assert found["security_score"]["cloud_guard"] is None
    assert found["security_score"]["overall"] is not None
    with cloud.fault(".", status=403, code="NotAuthorized", message="no"):
        error = cloud.fails("oci_security_audit", include_iam=False,
                            include_network_security=False)
    assert error["category"] == "authorization"


# -- audit events


def test_audit_events(cloud):
    rows = cloud.pages("oci_audit_list_events", "events", limit=5,
                       hours_back=24)
    times = [row["event_time"] for row in rows]
    assert len(rows) > 5 and times == sorted(times, reverse=True)
    found = cloud.call("oci_audit_list_events", hours_back=24,
                       changes_only=True, limit=100)
    assert 0 < found["total"] < len(rows)
    assert {row["request_action"] for row in found["events"]}.isdisjoint(
        {"GET", "HEAD"})
    failed = cloud.call("oci_audit_list_events", hours_back=24,
                        failures_only=True, limit=100)
    assert failed["total"] == sum(row["status"] >= "400" for row in rows)
    name = rows[0]["event_name"]
    assert cloud.call("oci_audit_list_events", hours_back=24, event_name=name,
                      limit=100)["total"] == sum(
        row["event_name"] == name for row in rows)


def test_audit_events_tell_no_secrets(cloud):
    text = str(cloud.call("oci_audit_list_events", hours_back=12, limit=100))
    for word in ("headers", "payload", "credentials", "uthorization"):
        assert word not in text, word


def test_audit_events_of_no_window(cloud):
    error = cloud.fails("oci_audit_list_events",
                        start_time="2026-01-02T00:00:00Z",
                        end_time="2026-01-01T00:00:00Z")
    assert error["category"] == "validation"
    error = cloud.fails("oci_audit_list_events", hours_back=1000)
    assert error["category"] == "validation"
    with cloud.fault("audit.ListEvents", status=404, message="no",
                     code="NotAuthorizedOrNotFound"):
        assert cloud.fails("oci_audit_list_events")["category"] == "not_found"
