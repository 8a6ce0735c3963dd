"""Oracle's SDK for Python against the simulated tenancy: argument, the line
that the simulator printed, in a file."""

import io
import json
import os
import sys
import traceback
import urllib.request

import oci

SIM = json.load(open(sys.argv[1]))
URL, PROD = SIM["url"], SIM["compartments"]["prod"]
DATA = bytes(range(256)) * 40


def config(profile="DEFAULT"):
    return oci.config.from_file(SIM["config_file"], profile)


def fault(**wish):
    urllib.request.urlopen(urllib.request.Request(
        URL + "/sim/faults", json.dumps(wish).encode(),
        {"content-type": "application/json"})).read()


def compute(**options):
    options.setdefault("config", config())
    return oci.core.ComputeClient(service_endpoint=URL, **options)


def list_instances():
    instances = compute().list_instances(PROD, limit=100).data
    assert len(instances) == 20, len(instances)
    assert instances[0].display_name == "web-1"
    assert instances[0].shape_config.ocpus == 2.0


def page_by_hand():
    client, names, page, count = compute(), [], None, 0
    while True:
        answer = client.list_instances(PROD, limit=6, page=page)
        names += [i.display_name for i in answer.data]
        count += 1
        if not answer.has_next_page:
            break
        page = answer.next_page
    assert (len(names), len(set(names)), count) == (20, 20, 4)


def page_with_pagination():
    data = oci.pagination.list_call_get_all_results(
        compute().list_instances, PROD, limit=3).data
    assert len(data) == 20


def objects():
    storage = oci.object_storage.ObjectStorageClient(
        config(), service_endpoint=URL)
    namespace = storage.get_namespace().data
    name = "python/a b (1) ü.bin"
    put = storage.put_object(namespace, "dev-scratch", name, io.BytesIO(DATA),
                             opc_meta={"who": "python"})
    got = storage.get_object(namespace, "dev-scratch", name)
    assert got.data.content == DATA
    assert got.headers["etag"] == put.headers["etag"]
    assert got.headers["opc-meta-who"] == "python"
    listed = storage.list_objects(namespace, "dev-scratch",
                                  prefix="python/").data
    assert [o.name for o in listed.objects] == [name]
    storage.delete_object(namespace, "dev-scratch", name)


def multipart():
    storage = oci.object_storage.ObjectStorageClient(
        config(), service_endpoint=URL)
    manager = oci.object_storage.UploadManager(
        storage, allow_parallel_uploads=False)
    data = os.urandom(3 << 20)
    manager.upload_stream("acmens", "dev-scratch", "python-big",
                          io.BytesIO(data), part_size=1 << 20)
    got = storage.get_object("acmens", "dev-scratch", "python-big")
    assert got.data.content == data


def errors():
    try:
        compute().get_instance("ocid1.instance.oc1.iad.none")
    except oci.exceptions.ServiceError as error:
        assert (error.status, error.code) == (404, "NotAuthorizedOrNotFound")
        assert error.request_id
    else:
        raise AssertionError("no error")
    try:
        compute(config=config("BADFINGERPRINT")).list_instances(PROD)
    except oci.exceptions.ServiceError as error:
        assert (error.status, error.code) == (401, "NotAuthenticated")
    else:
        raise AssertionError("no error")


def retries():
    fault(match={"operation": "ListInstances"}, status=429, times=2)
    client = compute(retry_strategy=oci.retry.DEFAULT_RETRY_STRATEGY)
    assert len(client.list_instances(PROD, limit=5).data) == 5


def start_and_wait():
    client = compute()
    stopped = client.list_instances(PROD, lifecycle_state="STOPPED").data[0]
    client.instance_action(stopped.id, "START")
    done = oci.wait_until(client, client.get_instance(stopped.id),
                          "lifecycle_state", "RUNNING",
                          max_interval_seconds=1, max_wait_seconds=30)
    assert done.data.lifecycle_state == "RUNNING"


def launch_and_terminate():
    client = compute()
    network = oci.core.VirtualNetworkClient(config(), service_endpoint=URL)
    identity = oci.identity.IdentityClient(config(), service_endpoint=URL)
    domain = identity.list_availability_domains(PROD).data[0].name
    subnet = network.list_subnets(PROD).data[0].id
    image = client.list_images(PROD).data[0].id
    models = oci.core.models
    made = client.launch_instance(models.LaunchInstanceDetails(
        availability_domain=domain, compartment_id=PROD,
        display_name="by-python", shape="VM.Standard.E4.Flex",
        shape_config=models.LaunchInstanceShapeConfigDetails(
            ocpus=1, memory_in_gbs=8),
        create_vnic_details=models.CreateVnicDetails(subnet_id=subnet),
        source_details=models.InstanceSourceViaImageDetails(image_id=image)))
    assert made.data.lifecycle_state == "PROVISIONING"
    assert made.headers["opc-work-request-id"]
    client.terminate_instance(made.data.id)


def other_services():
    database = oci.database.DatabaseClient(config(), service_endpoint=URL)
    assert len(database.list_autonomous_databases(PROD).data) == 5
    identity = oci.identity.IdentityClient(config(), service_endpoint=URL)
    assert len(identity.list_users(SIM["tenancy"]).data) == 14
    guard = oci.cloud_guard.CloudGuardClient(config(), service_endpoint=URL)
    assert guard.list_problems(
        SIM["tenancy"], compartment_id_in_subtree=True).data.items
    monitoring = oci.monitoring.MonitoringClient(config(),
                                                 service_endpoint=URL)
    rows = monitoring.summarize_metrics_data(
        PROD, oci.monitoring.models.SummarizeMetricsDataDetails(
            namespace="oci_computeagent", query="CpuUtilization[5m].mean()"))
    assert rows.data and rows.data[0].aggregated_datapoints[0].value > 0
    search = oci.resource_search.ResourceSearchClient(config(),
                                                      service_endpoint=URL)
    found = search.search_resources(
        oci.resource_search.models.StructuredSearchDetails(
            query="query vcn resources"))
    assert len(found.data.items) == 3


def other_keys():
    for profile in ("ENCRYPTED", "LEGACY", "PKCS1"):
        client = compute(config=config(profile))
        assert client.list_instances(PROD, limit=1).data


def session_token():
    parsed = config("SESSION")
    token = open(parsed["security_token_file"]).read()
    key = oci.signer.load_private_key_from_file(parsed["key_file"])
    signer = oci.auth.signers.SecurityTokenSigner(token, key)
    client = compute(config={"region": "us-ashburn-1"}, signer=signer)
    assert client.list_instances(PROD, limit=1).data


def instance_principal():
    os.environ["OCI_METADATA_BASE_URL"] = URL + "/opc/v2"
    signer = oci.auth.signers.InstancePrincipalsSecurityTokenSigner(
        federation_endpoint=URL + "/v1/x509")
    assert signer.tenancy_id == SIM["tenancy"]
    assert signer.region == "us-ashburn-1"
    client = compute(config={}, signer=signer)
    assert client.list_instances(PROD, limit=1).data
    signer.refresh_security_token()
    assert client.list_instances(PROD, limit=1).data


def resource_principal():
    os.environ.update(SIM["environments"]["resource_principal"])
    signer = oci.auth.signers.get_resource_principals_signer()
    assert compute(config={}, signer=signer).list_instances(
        PROD, limit=1).data


def resource_principal_1_1():
    os.environ.update(SIM["environments"]["resource_principal_1_1"])
    os.environ["OCI_RESOURCE_PRINCIPAL_RPT_ID"] = SIM["instance"]
    instance = oci.auth.signers.InstancePrincipalsSecurityTokenSigner
    original = instance.__init__

    def at_simulator(self, **options):
        options["federation_endpoint"] = URL + "/v1/x509"
        original(self, **options)
    instance.__init__ = at_simulator
    signer = oci.auth.signers.get_resource_principals_signer()
    assert compute(config={}, signer=signer).list_instances(
        PROD, limit=1).data


CHECKS = (list_instances, page_by_hand, page_with_pagination, objects,
          multipart, errors, retries, start_and_wait, launch_and_terminate,
          other_services, other_keys, session_token, instance_principal,
          resource_principal, resource_principal_1_1)

failed = 0
for check in CHECKS:
    try:
        check()
        print("ok   python sdk: %s" % check.__name__, flush=True)
    except Exception:
        failed += 1
        print("FAIL python sdk: %s" % check.__name__, flush=True)
        traceback.print_exc()
sys.exit(failed > 0)
