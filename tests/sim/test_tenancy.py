"""The tenancy as a client sees it."""

import base64
import concurrent.futures
import datetime
import hashlib
import json
import pathlib
import ssl
import sys
import time
import urllib.request

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import catalog  # noqa: E402
import certificates  # noqa: E402
import der  # noqa: E402
import engine  # noqa: E402
import rsa  # noqa: E402
import services  # noqa: E402
import simclient  # noqa: E402
import world  # noqa: E402

INSTANCES = "/20160918/instances"


@pytest.fixture(scope="module")
def tenancy():
    with simclient.Tenancy("--settle", "0.2") as running:
        yield running


@pytest.fixture
def client(tenancy):
    yield tenancy.client()
    tenancy.control("DELETE", "faults")


def days_ago(days):
    return (datetime.datetime.now(datetime.timezone.utc) -
            datetime.timedelta(days=days)).strftime("%Y-%m-%dT00:00:00Z")


def eventually(test, deadline_s=5):
    until = time.monotonic() + deadline_s
    while not test():
        assert time.monotonic() < until
        time.sleep(0.02)


def code(answer):
    return answer.status, answer.value["code"]


# Tables

def test_every_operation_is_answered():
    made = world.World()
    services.fill(made)
    tables = set(made.shared)
    for of_region in made.regions.values():
        tables |= set(of_region)
    known = catalog.Catalog().operations
    assert set(engine.functions) <= set(known)
    for name, op in known.items():
        if name in engine.functions or op.kind.endswith("/WorkRequest") or \
                op.service == "identity_data_plane":
            continue
        kind = op.kind
        if op.method == "DELETE":
            call = type("Call", (), {"op": op})
            kind = engine.deleted_kind(call)
        assert kind in tables, name
        assert op.method != "POST", name


def test_same_seed_same_company():
    def ids(seed):
        made = world.World(seed)
        services.fill(made)
        return [r["id"] for r in made.table("core/Instance",
                                            world.HOME).values()]
    assert ids(1) == ids(1) != ids(2)
    assert len(ids(1)) == 40


# Signatures and principals

@pytest.mark.parametrize("order", simclient.ORDERS)
@pytest.mark.parametrize("date", ["date", "x-date"])
def test_every_order_of_parameters(tenancy, order, date):
    client = tenancy.client(order=order, date=date)
    assert client.get("/20160918/regions").status == 200
    assert client.call("POST", "/20180401/metrics/actions/listMetrics"
                       "?compartmentId=" + tenancy.said["tenancy"],
                       {}).status == 200


@pytest.mark.parametrize("skew_s, status", [
    (0, 200), (-290, 200), (290, 200), (-310, 401), (310, 401)])
def test_clock(tenancy, skew_s, status):
    answer = tenancy.client(skew_s=skew_s).get("/20160918/regions")
    assert answer.status == status
    assert answer.headers["date"].endswith("GMT")


@pytest.mark.parametrize("profile, status", [
    ("DEFAULT", 200), ("PKCS1", 200), ("SESSION", 200), ("EXPIRED", 401),
    ("OTHERKEY", 401), ("BADFINGERPRINT", 401), ("STRANGER", 401),
    ("NOPOLICY", 404)])
def test_profile(tenancy, profile, status):
    client = tenancy.client(profile)
    assert client.get("/20160918/regions").status == status


def test_body_must_be_signed_except_uploads(tenancy, client):
    path = "/n/acmens/b/dev-scratch/o/unsigned"
    assert client.call("PUT", path, body=b"x", sign_body=False).status == 200
    assert client.call("PUT", path, body=b"x").status == 200
    answer = client.call("POST", "/20180401/metrics/actions/listMetrics"
                         "?compartmentId=" + tenancy.said["tenancy"], {},
                         sign_body=False)
    assert code(answer) == (401, "NotAuthenticated")


def test_delegation_token_must_be_signed(client):
    assert client.call("GET", "/20160918/regions",
                       more={"opc-obo-token": "t"}).status == 401
    assert client.call("GET", "/20160918/regions", more={
        "opc-obo-token": "t"}, names=[
            "date", "(request-target)", "host", "opc-obo-token"]).status == 200


def metadata(tenancy, path, header="Bearer Oracle"):
    return simclient.send(tenancy.url, "GET", "/opc/v2/" + path,
                          {"authorization": header} if header else {})


def federate(tenancy, algorithm="sha1", names=None, spoil=None):
    text = metadata(tenancy, "identity/cert.pem").body.decode()
    leaf = certificates.Certificate(der.unpem(text))
    key = rsa.read_private(metadata(tenancy, "identity/key.pem").body.decode())
    session = rsa.generate()
    body = {"certificate": base64.b64encode(leaf.data).decode(),
            "publicKey": base64.b64encode(session.public.spki()).decode(),
            "intermediateCertificates": [base64.b64encode(der.unpem(metadata(
                tenancy, "identity/intermediate.pem").body.decode())).decode(
                )]}
    kind = "fed-x509"
    if algorithm == "sha256":
        kind, body["fingerprintAlgorithm"] = "fed-x509-sha256", "SHA256"
    if spoil:
        spoil(body)
    key_id = "%s/%s/%s" % (leaf.unit("opc-tenant:"), kind,
                           leaf.fingerprint(algorithm).upper())
    answer = simclient.Client(tenancy.url, key_id, key).call(
        "POST", "/v1/x509", body, names=names)
    return answer, session


def test_metadata(tenancy):
    assert metadata(tenancy, "instance/region").body == b"iad"
    assert metadata(tenancy, "instance/").value["id"] == \
        tenancy.said["instance"]
    assert metadata(tenancy, "instance/nothing").status == 404
    assert metadata(tenancy, "instance/", None).status == 401
    assert metadata(tenancy, "instance/regionInfo").value["realmKey"] == "oc1"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("names", [
    None, ["date", "(request-target)", "content-length", "content-type",
           "x-content-sha256"]])
def test_federation(tenancy, algorithm, names):
    answer, session = federate(tenancy, algorithm, names)
    assert answer.status == 200
    client = simclient.Client(tenancy.url, "ST$" + answer.value["token"],
                              session)
    assert client.get("/20160918/regions").status == 200
    other = simclient.Client(tenancy.url, client.key_id, rsa.Pool().take())
    assert other.get("/20160918/regions").status == 401


def test_federation_refuses(tenancy):
    def own_certificate(body):
        key = rsa.Pool().take()
        body["certificate"] = base64.b64encode(certificates.make(
            [("CN", "me")], key.public, [("CN", "me")], key, 60)).decode()

    def no_intermediate(body):
        body["intermediateCertificates"] = []
    for spoil in (own_certificate, no_intermediate):
        assert federate(tenancy, spoil=spoil)[0].status == 401


def test_resource_principal_files_rotate(tenancy):
    def call():
        key = rsa.read_private(pathlib.Path(
            tenancy.said["rp_private_pem"]).read_text())
        token = pathlib.Path(tenancy.said["rpst"]).read_text()
        return simclient.Client(tenancy.url, "ST$" + token, key).get(
            "/20160918/regions").status
    assert call() == 200
    tenancy.control("POST", "token", {"rotate": "resource"})
    assert call() == 200
    tenancy.control("POST", "token", {"rotate": "resource", "torn_ms": 300})
    assert call() == 401
    eventually(lambda: call() == 200)


def test_resource_principal_1_1(tenancy):
    answer, session = federate(tenancy)
    instance = simclient.Client(tenancy.url, "ST$" + answer.value["token"],
                                session)
    tokens = instance.get("/20180711/resourcePrincipalToken/" +
                          tenancy.said["instance"]).value
    mine = rsa.Pool().take()
    answer = instance.call("POST", "/v1/resourcePrincipalSessionToken", dict(
        tokens, sessionPublicKey=base64.b64encode(
            mine.public.spki()).decode()))
    client = simclient.Client(tenancy.url, "ST$" + answer.value["token"],
                              mine)
    assert client.get("/20160918/regions").status == 200


def test_resource_principal_2_1(tenancy):
    key = rsa.read_private(pathlib.Path(
        tenancy.said["rp_private_pem"]).read_text())
    function, owner = tenancy.said["function"], tenancy.said["tenancy"]
    for key_id, path in (
            ("resource/v2.1/" + function, "V2"),
            ("resource/v2.1.1/%s/%s" % (owner, function), "V2"),
            ("resource/v2.1.2/%s/%s" % (owner, function), "V212")):
        client = simclient.Client(tenancy.url, key_id, key)
        tokens = client.get("/20180711/resourcePrincipalToken%s/%s" % (
            path, function)).value
        answer = client.call("POST", "/v1/resourcePrincipalSessionToken", dict(
            tokens, sessionPublicKey=base64.b64encode(
                key.public.spki()).decode()))
        assert simclient.Client(
            tenancy.url, "ST$" + answer.value["token"], key).get(
                "/20160918/regions").status == 200


def test_workload_identity(tenancy):
    key = rsa.Pool().take()
    context = ssl.create_default_context(cafile=tenancy.said["ca_file"])
    request = urllib.request.Request(
        tenancy.said["tls_url"] + "/resourcePrincipalSessionTokens",
        json.dumps({"podKey": base64.b64encode(
            key.public.spki()).decode()}).encode(), {
                "authorization": "Bearer " + pathlib.Path(
                    tenancy.said["service_account_token"]).read_text(),
                "content-type": "application/json"})
    with urllib.request.urlopen(request, context=context) as response:
        text = json.loads(response.read())
    token = json.loads(base64.b64decode(text))["token"]
    assert token.startswith("ST$")
    assert simclient.Client(tenancy.url, token, key).get(
        "/20160918/regions").status == 200


def test_session_refresh_and_upst(tenancy):
    client = tenancy.client("SESSION")
    answer = client.call("POST", "/v1/authentication/refresh", {
        "currentToken": client.key_id[3:]})
    again = simclient.Client(tenancy.url, "ST$" + answer.value["token"],
                             client.key)
    assert again.get("/20160918/regions").status == 200
    key = rsa.Pool().take()
    answer = tenancy.client().call(
        "POST", "/v1/token/upst/actions/GenerateUpst",
        {"publicKey": key.public.pem(), "sessionExpirationInMinutes": 5})
    assert simclient.Client(tenancy.url, "ST$" + answer.value["token"],
                            key).get("/20160918/regions").status == 200


def test_authenticate_client(tenancy, client):
    signed = client.sign("GET", "/20160918/regions")
    headers = {k: [v] for k, v in signed.items()}
    headers["(request-target)"] = ["get /20160918/regions"]
    answer = client.call("POST", "/v1/authentication/authenticateClient",
                         {"requestHeaders": headers})
    assert answer.value["principal"]["subjectId"] == tenancy.said["user"]
    headers["host"] = ["elsewhere"]
    answer = client.call("POST", "/v1/authentication/authenticateClient",
                         {"requestHeaders": headers})
    assert answer.value["success"] is False


# Lists, pages, errors

def test_pages(tenancy, client):
    prod = tenancy.said["compartments"]["prod"]
    whole, count = client.pages(INSTANCES, compartmentId=prod, limit=3)
    assert (len(whole), count) == (20, 7)
    assert len({i["id"] for i in whole}) == 20
    tenancy.control("POST", "faults", {
        "match": {"operation": "core.ListInstances"}, "empty_page": True,
        "times": 3})
    assert client.pages(INSTANCES, compartmentId=prod, limit=7)[1] == 6


def test_filters_and_sorting(tenancy, client):
    query = {"compartmentId": tenancy.said["compartments"]["prod"]}
    names = [i["displayName"] for i in client.get(
        INSTANCES, lifecycleState="STOPPED", **query).value]
    assert names == ["batch-2", "forecast-1"]
    names = [i["displayName"] for i in client.get(
        INSTANCES, sortBy="DISPLAYNAME", sortOrder="DESC", limit=2,
        **query).value]
    assert names == ["web-4", "web-3"]


@pytest.mark.parametrize("query, expected", [
    ({}, (400, "MissingParameter")),
    ({"compartmentId": "x"}, (400, "InvalidParameter")),
    ({"compartmentId": "ocid1.compartment.oc1..no"},
     (404, "NotAuthorizedOrNotFound")),
    ({"lifecycleState": "BROKEN"}, (400, "InvalidParameter")),
    ({"limit": "many"}, (400, "InvalidParameter")),
    ({"limit": "0"}, (400, "InvalidParameter")),
    ({"page": "nonsense"}, (400, "InvalidParameter")),
    ({"sortOrder": "UP"}, (400, "InvalidParameter"))])
def test_bad_query(tenancy, client, query, expected):
    if query and "compartmentId" not in query:
        query["compartmentId"] = tenancy.said["tenancy"]
    assert code(client.get(INSTANCES, **query)) == expected


def test_what_is_not_there(client):
    assert client.get(INSTANCES + "/ocid1.instance.oc1.iad.no").status == 404
    assert client.get("/20990101/things").status == 404
    assert client.call("PATCH", INSTANCES).status == 405


def test_request_id(client):
    answer = client.call("GET", "/20160918/regions",
                         more={"opc-request-id": "MINE/other"})
    assert answer.headers["opc-request-id"].startswith("MINE/")
    assert answer.headers["opc-request-id"].count("/") == 2


def test_compartments(tenancy, client):
    root = tenancy.said["tenancy"]
    names = [c["name"] for c in client.get(
        "/20160918/compartments", compartmentId=root,
        compartmentIdInSubtree="true").value]
    assert names == ["prod", "dev", "shared"]
    answer = client.get("/20160918/compartments", compartmentIdInSubtree="true",
                        compartmentId=tenancy.said["compartments"]["dev"])
    assert code(answer) == (400, "InvalidParameter")


def test_regions(tenancy, client):
    prod = tenancy.said["compartments"]["prod"]
    other = simclient.Client(tenancy.said["urls"]["eu-frankfurt-1"],
                             client.key_id, client.key)
    here = client.get(INSTANCES, compartmentId=prod).value
    there = other.get(INSTANCES, compartmentId=prod).value
    assert len(there) == 4
    assert not {i["id"] for i in here} & {i["id"] for i in there}
    named = tenancy.client(host="iaas.eu-frankfurt-1.oraclecloud.com")
    assert named.get(INSTANCES, compartmentId=prod).value == there
    named = tenancy.client(host="iaas.ap-tokyo-1.oraclecloud.com")
    assert named.get(INSTANCES, compartmentId=prod).status == 401


# States

def test_instance_actions(tenancy, client):
    prod = tenancy.said["compartments"]["prod"]
    stopped = client.get(INSTANCES, compartmentId=prod,
                         lifecycleState="STOPPED").value[0]
    path = "%s/%s" % (INSTANCES, stopped["id"])
    assert code(client.call("POST", path + "?action=SOFTSTOP")) == (
        409, "IncorrectState")
    answer = client.call("POST", path + "?action=START")
    assert answer.value["lifecycleState"] == "STARTING"
    work = "/20160918/workRequests/" + answer.headers["opc-work-request-id"]
    assert client.get(work).value["status"] == "IN_PROGRESS"
    eventually(lambda: client.get(path).value["lifecycleState"] == "RUNNING")
    assert client.get(work).value["status"] == "SUCCEEDED"
    assert code(client.call("POST", path + "?action=FLY"))[0] == 400
    client.call("POST", path + "?action=STOP")
    eventually(lambda: client.get(path).value["lifecycleState"] == "STOPPED")


def launch_body(tenancy):
    subnet = tenancy.control("GET", "resources?kind=core/Subnet")[0]
    image = tenancy.control("GET", "resources?kind=core/Image")[0]
    return {"availabilityDomain": "Uocm:US-ASHBURN-AD-2",
            "compartmentId": tenancy.said["compartments"]["dev"],
            "displayName": "fresh", "shape": "VM.Standard.E4.Flex",
            "shapeConfig": {"ocpus": 1, "memoryInGBs": 8},
            "createVnicDetails": {"subnetId": subnet["id"]},
            "sourceDetails": {"sourceType": "image", "imageId": image["id"]}}


def test_launch_and_terminate(tenancy, client):
    body = launch_body(tenancy)
    answer = client.call("POST", INSTANCES, body,
                         more={"opc-retry-token": "once"})
    assert answer.status == 200, answer.body
    again = client.call("POST", INSTANCES, body,
                        more={"opc-retry-token": "once"})
    assert again.value["id"] == answer.value["id"]
    body["displayName"] = "other"
    assert code(client.call("POST", INSTANCES, body, more={
        "opc-retry-token": "once"})) == (409, "InvalidatedRetryToken")
    path = "%s/%s" % (INSTANCES, answer.value["id"])
    eventually(lambda: client.get(path).value["lifecycleState"] == "RUNNING")
    vnics = client.get("/20160918/vnicAttachments", instanceId=answer.value[
        "id"], compartmentId=body["compartmentId"]).value
    vnic = client.get("/20160918/vnics/" + vnics[0]["vnicId"]).value
    assert vnic["isPrimary"] and vnic["privateIp"]
    assert client.call("DELETE", path, more={
        "if-match": "wrong"}).status == 412
    assert client.call("DELETE", path).status == 204
    eventually(lambda: client.get(path).value["lifecycleState"] ==
               "TERMINATED")
    assert client.call("DELETE", path).status == 404


@pytest.mark.parametrize("change, expected", [
    ({"availabilityDomain": None}, (400, "MissingParameter")),
    ({"availabilityDomain": "AD-9"}, (400, "InvalidParameter")),
    ({"shape": "VM.None"}, (400, "InvalidParameter")),
    ({"shapeConfig": {"ocpus": "two"}}, (400, "CannotParseRequest")),
    ({"createVnicDetails": {"subnetId": "ocid1.subnet.oc1.iad.no"}},
     (400, "RelatedResourceNotAuthorizedOrNotFound"))])
def test_bad_launch(tenancy, client, change, expected):
    body = dict(launch_body(tenancy), **change)
    assert code(client.call("POST", INSTANCES, body)) == expected


def test_autonomous_database(tenancy, client):
    databases = client.get("/20160918/autonomousDatabases", compartmentId=(
        tenancy.said["compartments"]["dev"]), dbWorkload="OLTP").value
    database = databases[0]
    path = "/20160918/autonomousDatabases/" + database["id"]
    answer = client.call("POST", path + "/actions/stop")
    assert answer.value["lifecycleState"] == "STOPPING"
    assert answer.headers["opc-work-request-id"]
    eventually(lambda: client.get(path).value["lifecycleState"] == "STOPPED")
    assert code(client.call("POST", path + "/actions/stop"))[0] == 409
    client.call("POST", path + "/actions/start")


# Services

def test_objects(client):
    base = "/n/acmens/b/dev-scratch"
    data = bytes(range(256)) * 100
    name = base + "/o/dir%2Fsome%20thing"
    answer = client.call("PUT", name, body=data, sign_body=False, more={
        "content-type": "image/png", "opc-meta-who": "me"})
    assert answer.status == 200
    assert answer.headers["opc-content-md5"] == base64.b64encode(
        hashlib.md5(data).digest()).decode()
    got = client.get(name)
    assert got.body == data and got.headers["opc-meta-who"] == "me"
    assert client.get(base + "/o/dir/some%20thing").body == data
    part = client.call("GET", name, more={"range": "bytes=10-19"})
    assert (part.status, part.body) == (206, data[10:20])
    head = client.call("HEAD", name)
    assert head.headers["content-length"] == str(len(data))
    assert client.call("PUT", name, body=b"", sign_body=False, more={
        "if-none-match": "*"}).status == 412
    assert client.call("DELETE", name).status == 204
    assert code(client.get(name)) == (404, "ObjectNotFound")
    assert code(client.get("/n/acmens/b/none")) == (404, "BucketNotFound")
    assert client.get("/n").value == "acmens"


def test_list_objects_goes_on(client):
    names, start = [], None
    while True:
        query = {"limit": 50, "prefix": "2026/", "fields": "name,size"}
        if start:
            query["start"] = start
        value = client.get("/n/acmens/b/invoices/o", **query).value
        names += [o["name"] for o in value["objects"]]
        start = value.get("nextStartWith")
        if not start:
            break
    assert len(names) == 130 == len(set(names))
    value = client.get("/n/acmens/b/invoices/o", prefix="2026/",
                       delimiter="/").value
    assert len(value["prefixes"]) == 12 and not value["objects"]


def test_buckets_and_multipart(tenancy, client):
    body = {"name": "made-here",
            "compartmentId": tenancy.said["compartments"]["dev"]}
    assert client.call("POST", "/n/acmens/b", body).status == 200
    assert code(client.call("POST", "/n/acmens/b", body)) == (
        409, "BucketAlreadyExists")
    base = "/n/acmens/b/made-here"
    upload = client.call("POST", base + "/u", {"object": "big"}).value
    target = "%s/u/big?uploadId=%s" % (base, upload["uploadId"])
    etags = [client.call("PUT", target + "&uploadPartNum=%d" % n,
                         body=b"part %d." % n, sign_body=False).headers["etag"]
             for n in (1, 2)]
    assert client.call("POST", target, {"partsToCommit": [
        {"partNum": n + 1, "etag": etag}
        for n, etag in enumerate(etags)]}).status == 200
    assert client.get(base + "/o/big").body == b"part 1.part 2."
    assert code(client.call("DELETE", base)) == (409, "BucketNotEmpty")
    client.call("DELETE", base + "/o/big")
    assert client.call("DELETE", base).status == 204


def usage(tenancy, client, **changes):
    body = {"tenantId": tenancy.said["tenancy"], "granularity": "DAILY",
            "timeUsageStarted": days_ago(30), "timeUsageEnded": days_ago(0),
            "queryType": "COST"}
    body.update(changes)
    items, page = [], ""
    while True:
        answer = client.call("POST", "/20200107/usage" + page, body)
        if answer.status != 200:
            return answer
        items += answer.value["items"]
        following = answer.headers.get("opc-next-page")
        if not following:
            return items
        page = "?page=" + following


def test_usage(tenancy, client):
    days = usage(tenancy, client)
    assert len(days) == 30
    top = max(days, key=lambda d: d["computedAmount"])
    by_service = usage(tenancy, client, groupBy=["service"])
    assert len(by_service) > 200
    assert sum(i["computedAmount"] for i in by_service) == pytest.approx(
        sum(i["computedAmount"] for i in days))
    assert top["timeUsageStarted"] == days_ago(17)[:-1] + ".000Z"
    total = usage(tenancy, client, isAggregateByTime=True, filter={
        "operator": "AND", "dimensions": [{"key": "compartmentName",
                                           "value": "dev"}]})
    assert len(total) == 1
    assert 0 < total[0]["computedAmount"] < sum(
        d["computedAmount"] for d in days)


@pytest.mark.parametrize("changes, expected", [
    ({"timeUsageEnded": "2026-01-02T23:59:59Z"}, 400),
    ({"timeUsageStarted": "2025-01-01T00:00:00Z",
      "timeUsageEnded": "2025-12-01T00:00:00Z"}, 400),
    ({"granularity": "MONTHLY", "timeUsageStarted": "2026-01-02T00:00:00Z",
      "timeUsageEnded": "2026-03-01T00:00:00Z"}, 400),
    ({"granularity": "WEEKLY"}, 400), ({"granularity": None}, 400),
    ({"groupBy": ["colour"]}, 400), ({"groupBy": ["compartmentId"]}, 400),
    ({"tenantId": "ocid1.tenancy.oc1..no"}, 404)])
def test_bad_usage(tenancy, client, changes, expected):
    assert usage(tenancy, client, **changes).status == expected


def summarize(tenancy, client, query, namespace="oci_computeagent", **body):
    return client.call(
        "POST", "/20180401/metrics/actions/summarizeMetricsData?compartmentId="
        + tenancy.said["compartments"]["prod"],
        dict(body, namespace=namespace, query=query))


def test_metrics(tenancy, client):
    prod = tenancy.said["compartments"]["prod"]
    instances = client.get(INSTANCES, compartmentId=prod).value
    busy = [i for i in instances if i["displayName"] == "orders-2"][0]
    query = 'CpuUtilization[5m]{resourceId = "%s"}.mean()' % busy["id"]
    end = datetime.datetime.now(datetime.timezone.utc)
    start = end - datetime.timedelta(hours=1)
    rows = summarize(tenancy, client, query, startTime=start.isoformat(),
                     endTime=end.isoformat()).value
    assert len(rows) == 1
    assert rows[0]["dimensions"]["resourceId"] == busy["id"]
    points = rows[0]["aggregatedDatapoints"]
    assert len(points) == 12 and all(p["value"] > 90 for p in points)
    everything = summarize(tenancy, client, "CpuUtilization[5m].max()").value
    running = [i for i in instances if i["lifecycleState"] == "RUNNING"]
    assert {r["dimensions"]["resourceId"] for r in everything} <= {
        i["id"] for i in instances} and len(everything) >= len(running) - 1
    assert len(summarize(tenancy, client, "CpuUtilization[1h].groupBy("
                         "availabilityDomain).mean()").value) == 3
    assert summarize(tenancy, client, "CpuUtilization[1m].mean() > 1000"
                     ).value == []
    for bad in ("CpuUtilization", "CpuUtilization[1y].mean()", "x[1m].y()"):
        assert code(summarize(tenancy, client, bad))[0] == 400


def test_alarms(tenancy, client):
    root = tenancy.said["tenancy"]
    status = client.get("/20180401/alarms/status", compartmentId=root,
                        compartmentIdInSubtree="true").value
    firing = [a["displayName"] for a in status if a["status"] == "FIRING"]
    assert firing == ["orders-cpu-high", "payments-memory-high",
                      "warehouse-storage"]
    history = client.get("/20180401/alarms/%s/history" % status[0]["id"],
                         limit=2)
    assert len(history.value["entries"]) == 2
    assert history.headers["opc-next-page"]
    assert "from OK to Firing" in history.value["entries"][0]["summary"]


def test_audit_events(tenancy, client):
    events, pages = client.pages(
        "/20190901/auditEvents", startTime=days_ago(3),
        endTime=datetime.datetime.now(datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%SZ"),
        compartmentId=tenancy.said["compartments"]["prod"])
    assert events and pages >= 2
    times = [e["eventTime"] for e in events]
    assert times == sorted(times, reverse=True)


def test_cloud_guard(tenancy, client):
    problems = client.pages(
        "/20200131/problems", compartmentId=tenancy.said["tenancy"],
        compartmentIdInSubtree="true", limit=4)[0]
    assert len(problems) == 11
    assert sum(p["riskLevel"] == "CRITICAL" for p in problems) == 2
    path = "/20200131/problems/%s/actions/updateStatus" % problems[0]["id"]
    assert client.call("POST", path, {
        "status": "RESOLVED"}).value["lifecycleState"] == "INACTIVE"


def test_log_search(tenancy, client):
    prod = tenancy.said["compartments"]["prod"]
    body = {"timeStart": days_ago(1), "timeEnd": days_ago(0),
            "searchQuery": 'search "%s" | where data.level = \'error\' '
            '| sort by datetime desc' % prod}
    results = client.call("POST", "/20190909/search?limit=1000",
                          body).value["results"]
    assert results and all(r["data"]["logContent"]["data"]["level"] == "error"
                           for r in results)
    body["timeStart"] = days_ago(20)
    assert client.call("POST", "/20190909/search", body).status == 400


def test_log_analytics(tenancy, client):
    root = tenancy.said["tenancy"]
    spaces = client.get("/20200601/namespaces", compartmentId=root).value
    assert spaces["items"][0]["namespaceName"] == "acmens"
    path = "/20200601/namespaces/acmens/"
    sources = client.pages(path + "sources", compartmentId=root)[0]
    assert len(sources) == 9
    body = {"compartmentId": root, "subSystem": "LOG", "queryString":
            "* | stats count by 'Log Source'", "maxTotalCount": 100,
            "timeFilter": {"timeStart": days_ago(1), "timeEnd": days_ago(0),
                           "timeZone": "UTC"}}
    value = client.call("POST", path + "search/actions/query", body).value
    assert sum(i["Count"] for i in value["items"]) == 288


@pytest.mark.parametrize("query, count", [
    ("query instance resources", 40),
    ("query instance resources where lifeCycleState = 'STOPPED'", 5),
    ("query instance, autonomousdatabase resources where lifecycleState = "
     "'STOPPED' sorted by displayName desc", 7),
    ("query all resources where displayName = 'prod-vcn'", 1)])
def test_search(tenancy, client, query, count):
    tenancy.control("POST", "reset")
    items, pages = [], ""
    while True:
        answer = client.call("POST", "/20180409/resources" + pages, {
            "type": "Structured", "query": query})
        items += answer.value["items"]
        following = answer.headers.get("opc-next-page")
        if not following:
            break
        pages = "?page=" + following
    assert len(items) == count


def test_limits(tenancy, client):
    query = {"compartmentId": tenancy.said["tenancy"]}
    path = "/20190729/services/compute/limits/standard-e4-core-count/"
    assert client.get(path + "resourceAvailability", **query).status == 400
    value = client.get(path + "resourceAvailability", **query,
                       availabilityDomain="Uocm:US-ASHBURN-AD-1").value
    assert value["used"] > 0


# Faults

def test_faults(tenancy, client):
    def fault(**wish):
        tenancy.control("DELETE", "faults")
        tenancy.control("POST", "faults", dict(
            wish, match={"operation": "identity.ListRegions"}))
    path = "/20160918/regions"
    fault(status=429, retry_after=3, times=2)
    answers = [client.get(path) for _ in range(3)]
    assert [a.status for a in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "3"
    assert code(answers[0])[1] == "TooManyRequests"
    fault(latency_ms=200)
    before = time.monotonic()
    assert client.get(path).status == 200
    assert time.monotonic() - before >= 0.2
    for end in ("close", "hang_up"):
        fault(**{end: True})
        with pytest.raises(Exception):
            client.get(path)
    fault(status=502, body="<html>Bad Gateway</html>",
          headers={"content-type": "text/html"})
    assert client.get(path).body.startswith(b"<html>")
    fault(clock_skew_s=600)
    answer = client.get(path)
    assert answer.status == 401
    with pytest.raises(AssertionError):
        tenancy.control("POST", "faults", {"colour": "red"})


def test_log_of_requests_has_no_secrets(tenancy, client):
    tenancy.control("DELETE", "requests")
    client.get("/20160918/regions")
    row = tenancy.control("GET", "requests?operation=identity.ListRegions")[0]
    assert row["headers"]["authorization"] == "(secret)"
    assert (row["key"], row["status"]) == ("api_key", 200)
    tenancy.client("STRANGER").get("/20160918/regions")
    assert tenancy.control("GET", "requests")[-1]["refused"]


def test_expired_tokens(tenancy):
    client = tenancy.client("SESSION")
    assert client.get("/20160918/regions").status == 200
    tenancy.control("POST", "token", {"expire": True})
    assert client.get("/20160918/regions").status == 401

    def fresh():
        tenancy.control("POST", "token", {"rotate": "session"})
        return tenancy.client("SESSION").get(
            "/20160918/regions").status == 200
    eventually(fresh)


def test_many_slow_calls_at_once(tenancy, client):
    tenancy.control("DELETE", "requests")
    tenancy.control("POST", "faults", {
        "match": {"operation": "identity.ListRegions"}, "latency_ms": 1500,
        "times": -1})
    headers = client.sign("GET", "/20160918/regions")
    with concurrent.futures.ThreadPoolExecutor(300) as pool:
        answers = list(pool.map(lambda _: simclient.send(
            tenancy.url, "GET", "/20160918/regions", headers).status,
            range(300)))
    assert answers == [200] * 300
    assert tenancy.control("GET", "health")["most_busy"] > 200
