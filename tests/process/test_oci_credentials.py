"""Where credentials for Oracle Cloud come from, and what is said when none do."""

import pathlib

import pytest

from cloud import Cloud, simclient
from harness import run

LIST = "oci_compute_list_instances"
WORDS = {"api_key": "config_file"}  # the others are called by their names


@pytest.fixture(scope="module")
def tenancy():
    with simclient.Tenancy("--settle", "0.2") as running:
        yield running


@pytest.fixture
def home(tmp_path):
    """A home directory without ~/.oci."""
    return {"HOME": str(tmp_path)}


def cloud(tenancy, env, entry=None, **oci):
    """A gateway with nothing but these variables to know the cloud from."""
    oci.setdefault("endpoint", None)
    return Cloud(tenancy=tenancy, env=env, entry=entry,
                 settings={"workers": 1}, **oci)


def check(it, method, key, tenancy):
    """Instances are listed, by this kind of credential and key."""
    after = it.last_request()
    assert it.call(LIST, limit=3)["count"] == 3
    asked = [row for row in it.requests(after)
             if row["operation"] == "core.ListInstances"]
    assert [(row["status"], row["key"]) for row in asked] == [(200, key)]
    ping = it.call("oci_ping")
    assert ping["healthy"] and ping["auth_method"] == method
    assert ping["region"] == "us-ashburn-1"
    assert ping["details"]["oci"]["tenancy_id"]


KINDS = [("api_key", "api_key"), ("security_token", "token"),
         ("instance_principal", "token"), ("resource_principal", "token"),
         ("resource_principal_1_1", "token"),
         ("oke_workload_identity", "token")]


def method_of(kind):
    return WORDS.get(kind, kind.removesuffix("_1_1"))


@pytest.mark.parametrize("kind, key", KINDS)
def test_named_by_the_environment(tenancy, home, kind, key):
    env = {**home, **tenancy.said["environments"][kind]}
    with cloud(tenancy, env) as it:
        check(it, method_of(kind), key, tenancy)


@pytest.mark.parametrize("kind, key", KINDS)
def test_found_without_a_name(tenancy, home, kind, key):
    env = {**home, **tenancy.said["environments"][kind]}
    del env["OCI_CLI_AUTH"]
    with cloud(tenancy, env) as it:
        check(it, method_of(kind), key, tenancy)


@pytest.mark.parametrize("kind, method", [
    ("api_key", "oci_config"), ("security_token", "security_token"),
    ("instance_principal", "instance_principal"),
    ("resource_principal", "resource_principal"),
    ("oke_workload_identity", "oke_workload_identity")])
def test_named_by_the_backend(tenancy, home, kind, method):
    """The configuration goes before variables that say something else."""
    env = {**home, **tenancy.said["environments"][kind],
           "OCI_CLI_AUTH": "resource_principal" if kind == "api_key"
           else "api_key"}
    with cloud(tenancy, env, {"auth_method": method}) as it:
        check(it, method_of(kind), dict(KINDS)[kind], tenancy)


def test_resource_principal_by_value(tenancy, home):
    env = {**home, **tenancy.said["environments"]["resource_principal"]}
    for name in ("RPST", "PRIVATE_PEM"):
        name = "OCI_RESOURCE_PRINCIPAL_" + name
        env[name] = pathlib.Path(env[name]).read_text()
    with cloud(tenancy, env) as it:
        it.gateway.secrets.add(env["OCI_RESOURCE_PRINCIPAL_RPST"].strip())
        check(it, "resource_principal", "token", tenancy)


def test_a_key_by_value(tenancy, home):
    """A key and all that belongs to it in variables; there is no file."""
    key_id = simclient.identity(tenancy.said["config_file"], "DEFAULT")[0]
    owner, user, fingerprint = key_id.split("/")
    directory = pathlib.Path(tenancy.said["directory"])
    env = {**home, "OCI_CLI_TENANCY": owner, "OCI_CLI_USER": user,
           "OCI_CLI_FINGERPRINT": fingerprint, "OCI_CLI_REGION":
           "us-ashburn-1", "OCI_CLI_ENDPOINT": tenancy.url,
           "OCI_CLI_KEY_CONTENT":
           (directory / "user-encrypted.pem").read_text(),
           "OCI_CLI_PASSPHRASE": "open sesame"}
    with cloud(tenancy, env) as it:
        it.gateway.secrets.add("open sesame")
        check(it, "config_file", "api_key", tenancy)


def test_the_platform_goes_before_a_file(tenancy, home):
    """Order of auto: pod, resource principal, file, instance."""
    environments = tenancy.said["environments"]
    order = ["oke_workload_identity", "resource_principal", "api_key",
             "instance_principal"]
    for i, kind in enumerate(order):
        env = dict(home)
        for other in reversed(order[i:]):
            env.update(environments[other])
        if kind == "oke_workload_identity":
            # A token in place is that of a resource principal.
            env = {k: v for k, v in env.items() if not k.endswith(
                ("_RPST", "_PRIVATE_PEM"))}
        del env["OCI_CLI_AUTH"]
        with cloud(tenancy, env) as it:
            ping = it.call("oci_ping")
            assert (kind, ping["auth_method"]) == (kind, method_of(kind))


# -- profiles: a backend for each, in one gateway

GOOD = {"DEFAULT": "api_key", "PKCS1": "api_key", "ENCRYPTED": "api_key",
        "LEGACY": "api_key", "SESSION": "token"}
# Profile: category, what the sentence or the suggestion has to say.
BAD = {
    "NOKEY": ("authentication", "missing.pem"),
    "WRONGPASS": ("authentication", "does not open"),
    "NOPASS": ("authentication", "pass_phrase"),
    "NOTAKEY": ("authentication", "garbage.pem"),
    "PUBLICKEY": ("authentication", "user-public.pem"),
    "BADFINGERPRINT": ("authentication", "fingerprint"),
    "BADUSER": ("authentication", "not-an-ocid"),
    "EXPIRED": ("authentication", "oci session authenticate"),
    "OTHERKEY": ("authentication", "fingerprint"),
    "STRANGER": ("authentication", "401"),
    "NOPOLICY": ("not_found", "NotAuthorizedOrNotFound"),
    "NOSUCHPROFILE": ("authentication", "FRANKFURT"),
}


@pytest.fixture(scope="module")
def profiles(tenancy):
    with Cloud(tenancy=tenancy, settings={"workers": 1}, entries=[
            {"name": name.lower(), "transport": "in_process",
             "oci_profile": name} for name in [*GOOD, *BAD]]) as it:
        it.gateway.secrets |= {"open sesame", "open barley"}
        yield it


@pytest.mark.parametrize("profile", GOOD)
def test_profile(profiles, profile):
    after = profiles.last_request()
    name = "%s_%s" % (profile.lower(), LIST)
    assert profiles.call(name, limit=3)["count"] == 3
    asked = profiles.requests(after)[-1]
    assert asked["key"] == GOOD[profile]


@pytest.mark.parametrize("profile", BAD)
def test_profile_that_does_not_work(profiles, profile):
    category, word = BAD[profile]
    error = profiles.fails("%s_%s" % (profile.lower(), LIST), limit=3)
    assert error["category"] == category
    assert word in str(error), error
    ping = profiles.call("%s_oci_ping" % profile.lower())
    if category == "authentication":
        assert ping["healthy"] is False and ping["oci_connected"] is False
        assert ping["details"]["oci"]["error"]


def test_the_second_region_of_a_profile(tenancy):
    with Cloud(tenancy=tenancy, settings={"workers": 1},
               endpoint=tenancy.said["urls"]["eu-frankfurt-1"],
               entry={"oci_profile": "FRANKFURT"}) as it:
        page = it.call(LIST, limit=100)
        there = it.table("core/Instance&region=eu-frankfurt-1",
                         compartmentId=it.compartments["prod"])
        assert page["total"] == len(there)
        assert it.call("oci_ping")["region"] == "eu-frankfurt-1"


def test_no_credentials_at_all(tenancy, home):
    """Tools are listed; a call explains three ways to have credentials."""
    env = {**home, "OCI_METADATA_BASE_URL": "http://127.0.0.1:9/opc/v2"}
    with cloud(tenancy, env) as it:
        assert LIST in it.definitions()
        error = it.fails(LIST)
        assert error["category"] == "authentication"
        for way in ("oci setup config", "principal",
                    "oci session authenticate"):
            assert way in str(error), error
        # What needs no cloud works.
        assert it.call("oci_search_operations", query="vcn")["count"]
        assert it.call("oci_list_domains")["count"] > 10
        ping = it.call("oci_ping")
        assert ping["healthy"] is False and ping["details"]["oci"]["error"]
        assert it.tenancy.said["config_file"] not in str(error)


def test_a_file_that_may_not_be_read(tenancy, home, tmp_path):
    config = tmp_path / "config"
    config.write_text("[DEFAULT]\nuser=x\nthis is no line\n")
    env = {**home, "OCI_CLI_CONFIG_FILE": str(config)}
    with cloud(tenancy, env) as it:
        error = it.fails(LIST)
        assert error["category"] == "authentication"
        assert "line 3" in error["error"]


@pytest.mark.parametrize("region, word", [
    ("us ashburn 1", "us-ashburn-1"), (None, "region")])
def test_a_profile_whose_region_is_none(tenancy, home, tmp_path, region, word):
    config = tmp_path / "config"
    lines = pathlib.Path(tenancy.said["config_file"]).read_text().splitlines()
    lines = [line for line in lines if not line.startswith("region")]
    lines += ["[PLACE]", "region=" + region] if region else ["[PLACE]"]
    config.write_text("\n".join(lines) + "\n")
    env = {**home, "OCI_CLI_CONFIG_FILE": str(config)}
    with cloud(tenancy, env, {"oci_profile": "PLACE"}) as it:
        error = it.fails(LIST)
        assert error["category"] in ("authentication", "validation"), error
        assert word in error["error"], error


def test_credentials_that_come_later_are_found(tenancy, home, tmp_path):
    """A file is written while the gateway runs: no restart, no reload."""
    config = tmp_path / ".oci" / "config"
    config.parent.mkdir(mode=0o700)
    config.write_text("[OTHER]\n")
    env = {**home, "OCI_CLI_ENDPOINT": tenancy.url}
    with cloud(tenancy, env, {"auth_method": "oci_config"}) as it:
        assert it.fails(LIST)["category"] == "authentication"
        config.write_text(pathlib.Path(
            tenancy.said["config_file"]).read_text().replace(
                tenancy.said["directory"], str(config.parent)))
        (config.parent / "user.pem").write_text(pathlib.Path(
            tenancy.said["key_file"]).read_text())
        it.eventually_good(LIST, limit=1)


def test_a_method_that_is_none(tmp_path):
    file = tmp_path / "gateway.json"
    file.write_text("""{"backends": [{"name": "oci",
 "transport": "in_process", "auth_method": "api_key"}]}""")
    status, _, errors = run("--config", file, "--check")
    assert status != 0 and "security_token" in errors and "2" in errors
