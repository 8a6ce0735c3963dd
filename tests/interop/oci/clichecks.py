"""Oracle's command line against the simulated tenancy: arguments, the file
with the line that the simulator printed, and the oci program."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SIM = json.load(open(sys.argv[1]))
PROGRAM = sys.argv[2]
URL, PROD = SIM["url"], SIM["compartments"]["prod"]
QUIET = {"OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING": "True",
         "OCI_CLI_RC_FILE": os.devnull}


def run(*words, environment=None, fails=False, raw=False):
    """What the command printed, read as JSON."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OCI_")}
    done = subprocess.run(
        [PROGRAM, "--endpoint", URL] + list(words), timeout=120, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**kept, **QUIET, **(environment or {})})
    assert (done.returncode != 0) == fails, done.stderr or done.stdout
    if fails:
        return done.stderr
    return done.stdout if raw else json.loads(done.stdout or "{}")


def api_key(*words, profile="DEFAULT", **options):
    return run("--config-file", SIM["config_file"], "--profile", profile,
               *words, **options)


def list_instances():
    rows = api_key("compute", "instance", "list", "--compartment-id", PROD,
                   "--all")["data"]
    assert len(rows) == 20 and rows[0]["display-name"] == "web-1"


def pages():
    first = api_key("compute", "instance", "list", "--compartment-id", PROD,
                    "--limit", "15")
    second = api_key("compute", "instance", "list", "--compartment-id", PROD,
                     "--page", first["opc-next-page"])
    names = {r["display-name"] for r in first["data"] + second["data"]}
    assert len(names) == 20


def objects():
    with tempfile.TemporaryDirectory() as folder:
        file, back = pathlib.Path(folder, "in"), pathlib.Path(folder, "out")
        file.write_bytes(bytes(range(256)) * 9)
        where = ("--namespace", "acmens", "--bucket-name", "dev-scratch",
                 "--name", "cli/a b")
        api_key("os", "object", "put", *where, "--file", str(file), "--force")
        api_key("os", "object", "get", *where, "--file", str(back), raw=True)
        assert back.read_bytes() == file.read_bytes()


def error():
    text = api_key("compute", "instance", "get", "--instance-id",
                   "ocid1.instance.oc1.iad.none", "--no-retry", fails=True)
    assert "NotAuthorizedOrNotFound" in text


def security_token():
    assert api_key("iam", "region", "list", "--auth", "security_token",
                   profile="SESSION")["data"]


def instance_principal():
    rows = run("compute", "instance", "list", "--compartment-id", PROD,
               "--limit", "3",
               environment=SIM["environments"]["instance_principal"])["data"]
    assert len(rows) == 3


def resource_principal():
    assert run("iam", "region", "list", environment=SIM["environments"][
        "resource_principal"])["data"]


CHECKS = (list_instances, pages, objects, error, security_token,
          instance_principal, resource_principal)

failed = 0
for check in CHECKS:
    try:
        check()
        print("ok   command line: %s" % check.__name__, flush=True)
    except Exception as problem:
        failed += 1
        print("FAIL command line: %s: %s" % (check.__name__, problem),
              flush=True)
sys.exit(failed > 0)
