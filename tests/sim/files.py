"""The files of a client of the tenancy: configuration, keys, tokens."""

import os
import pathlib
import shutil
import tempfile

import der
from principals import PASS_PHRASE
from world import HOME

# Profile, what differs from DEFAULT. {dir} is the folder. None: left out.
PROFILES = (
    ("ENCRYPTED", {"key_file": "{dir}/user-encrypted.pem",
                   "pass_phrase": PASS_PHRASE}),
    ("LEGACY", {"key_file": "{dir}/user-legacy.pem",
                "pass_phrase": PASS_PHRASE}),
    ("PKCS1", {"key_file": "{dir}/user-pkcs1.pem"}),
    ("SESSION", {"key_file": "{dir}/session.pem",
                 "security_token_file": "{dir}/session-token"}),
    ("EXPIRED", {"key_file": "{dir}/session.pem",
                 "security_token_file": "{dir}/expired-token"}),
    ("FRANKFURT", {"region": "eu-frankfurt-1"}),
    ("INSTANCE", {"authentication_type": "instance_principal"}),
    # What does not work, and why.
    ("WRONGPASS", {"key_file": "{dir}/user-encrypted.pem",
                   "pass_phrase": "open barley"}),
    ("NOPASS", {"key_file": "{dir}/user-encrypted.pem"}),
    ("NOKEY", {"key_file": "{dir}/missing.pem"}),
    ("NOTAKEY", {"key_file": "{dir}/garbage.pem"}),
    ("PUBLICKEY", {"key_file": "{dir}/user-public.pem"}),
    ("OTHERKEY", {"key_file": "{dir}/session.pem"}),
    ("BADREGION", {"region": "xx-nowhere-1"}),
    ("BADFINGERPRINT", {"fingerprint": ":".join(["00"] * 16)}),
    ("BADUSER", {"user": "not-an-ocid"}),
    ("STRANGER", {"user": "{stranger}"}),
    ("NOPOLICY", {"user": "{nobody}"}),
)


class Files:
    def __init__(self, directory=None):
        self.own = directory is None
        self.path = pathlib.Path(directory or
                                 tempfile.mkdtemp(prefix="tenancy-"))
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def __getitem__(self, name):
        return str(self.path / name)

    def write(self, name, text):
        """Whole or not at all, and for the owner alone."""
        handle, temporary = tempfile.mkstemp(dir=self.path, prefix=".new-")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(temporary, self[name])

    def fill(self, world, principals):
        key, session = principals.user_key, principals.session_key
        self.write("user.pem", key.pem() + "OCI_API_KEY\n")
        self.write("user-pkcs1.pem", key.pem_pkcs1())
        self.write("user-encrypted.pem", key.pem_encrypted(PASS_PHRASE))
        self.write("user-legacy.pem", key.pem_legacy(PASS_PHRASE))
        self.write("user-public.pem", key.public.pem())
        self.write("garbage.pem", "this is not a key\n")
        self.write("session.pem", session.pem())
        self.write("session-token", principals.session_token())
        self.write("expired-token", principals.session_token(lifetime_s=-60))
        resource = principals.resource_key
        self.write("rp-private.pem", resource.pem())
        self.write("rpst", principals.function_token(resource.public))
        self.write("service-account-token", principals.service_account_token())
        self.write("ca.crt", der.pem("CERTIFICATE",
                                     principals.root_certificate))
        self.write("tls.pem", der.pem("CERTIFICATE",
                                      principals.tls_certificate) +
                   principals.tls_key.pem())
        self.write("config", self.config(world, principals))

    def config(self, world, principals):
        words = {"dir": str(self.path), "nobody": principals.nobody["id"],
                 "stranger": world.ocid("user", "", "stranger")}
        default = {"user": principals.user["id"], "tenancy": world.tenancy,
                   "fingerprint": principals.user_key.public.fingerprint(),
                   "key_file": self["user.pem"], "region": HOME}
        lines = ["# A simulated tenancy: these keys open nothing else."]
        for profile, changes in (("DEFAULT", {}),) + PROFILES:
            lines += ["", "[%s]" % profile]
            for name, value in {**default, **changes}.items():
                lines.append("%s=%s" % (name, value.format(**words)))
        return "\n".join(lines) + "\n"

    def environments(self, url, workload_port):
        """Variables with which a client of each kind is started."""
        return {
            "api_key": {"OCI_CLI_AUTH": "api_key",
                        "OCI_CLI_CONFIG_FILE": self["config"],
                        "OCI_CLI_ENDPOINT": url},
            "security_token": {"OCI_CLI_AUTH": "security_token",
                               "OCI_CLI_CONFIG_FILE": self["config"],
                               "OCI_CLI_PROFILE": "SESSION",
                               "OCI_CLI_ENDPOINT": url},
            "instance_principal": {
                "OCI_CLI_AUTH": "instance_principal",
                "OCI_METADATA_BASE_URL": url + "/opc/v2",
                "OCI_CLI_FEDERATION_ENDPOINT": url + "/v1/x509",
                "OCI_SDK_AUTH_CLIENT_REGION_URL": url,
                "OCI_CLI_ENDPOINT": url},
            "resource_principal": {
                "OCI_CLI_AUTH": "resource_principal",
                "OCI_RESOURCE_PRINCIPAL_VERSION": "2.2",
                "OCI_RESOURCE_PRINCIPAL_RPST": self["rpst"],
                "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM": self["rp-private.pem"],
                "OCI_RESOURCE_PRINCIPAL_REGION": HOME,
                "OCI_CLI_ENDPOINT": url},
            "resource_principal_1_1": {
                "OCI_CLI_AUTH": "resource_principal",
                "OCI_RESOURCE_PRINCIPAL_VERSION": "1.1",
                "OCI_RESOURCE_PRINCIPAL_RPT_ENDPOINT": url,
                "OCI_RESOURCE_PRINCIPAL_RPST_ENDPOINT": url,
                "OCI_METADATA_BASE_URL": url + "/opc/v2",
                "OCI_CLI_FEDERATION_ENDPOINT": url + "/v1/x509",
                "OCI_CLI_ENDPOINT": url},
            "oke_workload_identity": {
                "OCI_CLI_AUTH": "oke_workload_identity",
                "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT_PROXYMUX": str(workload_port),
                "OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH":
                    self["service-account-token"],
                "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH": self["ca.crt"],
                "OCI_RESOURCE_PRINCIPAL_VERSION": "2.2",
                "OCI_RESOURCE_PRINCIPAL_REGION": HOME,
                "OCI_CLI_ENDPOINT": url}}

    def remove(self):
        if self.own:
            shutil.rmtree(self.path, ignore_errors=True)
