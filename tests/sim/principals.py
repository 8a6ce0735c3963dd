"""Who may call: API keys, tokens, and the places that give tokens out
(instance metadata, federation, resource principals, workload identity)."""

import base64
import json
import re
import threading
import time
import uuid

import certificates
import der
import rsa
import signing
from http1 import Response
from signing import Refused
from world import HOME, REALM_DOMAIN, SHORT_KEYS

ISSUER = "authService.oracle.com"
KID, CLUSTER_KID = "asw_iad_1", "cluster_1"
PASS_PHRASE = "open sesame"
LEAF_LIFETIME_S = 7200
SERVICE_ACCOUNT = ("system:serviceaccount:shop:orders", "shop", "orders")
NOT_AUTHENTICATED = ("The required information to complete authentication was "
                     "not provided or was incorrect.")


def not_authenticated():
    return Response(401, {"code": "NotAuthenticated",
                          "message": NOT_AUTHENTICATED},
                    headers={"www-authenticate": 'Signature version="1"'})


def normal(fingerprint):
    return fingerprint.replace(":", "").lower()


class Principals:
    def __init__(self, world, lifetime_s=1200, session_lifetime_s=3600):
        self.world = world
        self.lifetime_s = lifetime_s
        self.session_lifetime_s = session_lifetime_s
        self.not_before = 0  # tokens issued earlier are refused
        take = world.keys.take
        (self.auth, self.cluster, self.root, self.intermediate, self.user_key,
         self.session_key, self.resource_key, self.tls_key) = (
             take() for _ in range(8))
        self.token_keys = {KID: self.auth.public,
                           CLUSTER_KID: self.cluster.public}
        # (user, fingerprint without colons) -> key; more by UploadApiKey.
        self.api_keys = {}
        self.leaf = None
        self.certify()

    def adopt(self, user, nobody, instance, function, cluster):
        """Say who is who, once there are resources."""
        self.user, self.nobody = user, nobody
        self.instance, self.function = instance, function
        self.cluster_id = cluster
        fingerprint = normal(self.user_key.public.fingerprint())
        self.api_keys.clear()
        for ocid in (user["id"], nobody["id"]):
            self.api_keys[ocid, fingerprint] = self.user_key.public
        if self.leaf is None:
            self.rotate_leaf()

    def certify(self):
        root_name = [("CN", "Simulated Instance Principal Root")]
        middle = [("CN", "Simulated Instance Principal Intermediate")]
        self.middle_name = middle
        years = 10 * 365 * 86400
        self.root_certificate = certificates.make(
            root_name, self.root.public, root_name, self.root, years, ca=True)
        self.intermediate_certificate = certificates.make(
            middle, self.intermediate.public, root_name, self.root, years,
            ca=True)
        self.tls_certificate = certificates.make(
            [("CN", "127.0.0.1")], self.tls_key.public, root_name, self.root,
            years, hosts=("127.0.0.1", "localhost", "::1"))

    def rotate_leaf(self):
        """A new leaf certificate of the instance, with a new key."""
        tenancy, instance = self.world.tenancy, self.instance
        self.leaf_key = self.world.keys.take()
        self.leaf = certificates.make(
            [("CN", instance["id"]), ("OU", "opc-certtype:instance"),
             ("OU", "opc-compartment:" + instance["compartmentId"]),
             ("OU", "opc-instance:" + instance["id"]),
             ("OU", "opc-tenant:" + tenancy)],
            self.leaf_key.public, self.middle_name, self.intermediate,
            LEAF_LIFETIME_S)

    # Tokens

    def issue(self, subject, public, lifetime_s, **claims):
        now = int(time.time())
        claims.update({"sub": subject, "iss": ISSUER, "aud": "oci",
                       "iat": now, "exp": now + int(lifetime_s),
                       "jti": str(uuid.uuid4()),
                       "tenant": self.world.tenancy,
                       "opc-tenant": self.world.tenancy,
                       "jwk": json.dumps(public.jwk("ignored"))})
        return signing.make_token(self.auth, KID, claims)

    def instance_token(self, public, certificate):
        return self.issue(
            self.instance["id"], public, self.lifetime_s,
            ptype="instance", ttype="x509",
            fprint=certificate.fingerprint("sha1").upper(),
            **{"opc-certtype": "instance", "opc-instance": self.instance["id"],
               "opc-compartment": self.instance["compartmentId"],
               "opc-tag": "V3,%s,AAAAAQ==,AAAAAA==" % self.world.tenancy})

    def resource_token(self, public, ocid, kind, compartment, **claims):
        return self.issue(ocid, public, claims.pop("lifetime_s",
                                                   self.lifetime_s),
                          ptype="resource", ttype="res", res_type=kind,
                          res_id=ocid, res_tenant=self.world.tenancy,
                          res_compartment=compartment, **claims)

    def function_token(self, public, lifetime_s=None):
        return self.resource_token(
            public, self.function["id"], "fnfunc",
            self.function["compartmentId"],
            lifetime_s=lifetime_s or self.lifetime_s)

    def session_token(self, public=None, lifetime_s=None):
        return self.issue(self.user["id"], public or self.session_key.public,
                          self.session_lifetime_s if lifetime_s is None
                          else lifetime_s, ptype="user", ttype="login")

    def service_account_token(self, lifetime_s=3600):
        now = int(time.time())
        subject, namespace, name = SERVICE_ACCOUNT
        return signing.make_token(self.cluster, CLUSTER_KID, {
            "iss": "https://kubernetes.default.svc.cluster.local",
            "aud": ["api"], "sub": subject, "iat": now,
            "exp": now + int(lifetime_s),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {
                "name": name}}})

    def read_token(self, token, now):
        claims = signing.read_token(token, self.token_keys, now)
        if claims.get("iss") != ISSUER:
            raise Refused("the token is for something else")
        if claims["iat"] < self.not_before:
            raise Refused("the token was revoked")
        return claims

    # Signatures

    def find_key(self, now):
        """For signing.verify(): the key and the principal of a key id."""
        def find(key_id):
            if key_id.startswith("ST$"):
                claims = self.read_token(key_id[3:], now)
                return rsa.read_jwk(json.loads(claims["jwk"])), {
                    "type": claims["ptype"], "id": claims["sub"],
                    "claims": claims, "allowed": True}
            parts = key_id.split("/")
            if len(parts) == 3 and parts[0] == self.world.tenancy:
                key = self.api_keys.get((parts[1], normal(parts[2])))
                if key:
                    return key, {"type": "user", "id": parts[1], "claims": {},
                                 "allowed": parts[1] != self.nobody["id"]}
            raise Refused("there is no such API key")
        return find

    def find_resource_key(self, key_id):
        match = re.match(r"resource/v2\.1(?:\.[12]/(ocid1\.tenancy\.[^/]+))?"
                         r"/(ocid1\.[^/]+)$", key_id)
        if not match or match.group(2) != self.function["id"] or \
                match.group(1) not in (None, self.world.tenancy):
            raise Refused("there is no such resource")
        return self.resource_key.public, {
            "type": "resource", "id": match.group(2), "claims": {},
            "allowed": True}

    def check(self, request, now, unsigned_body=False):
        """The principal that signed, or Refused."""
        return signing.verify(request, self.find_key(now), now,
                              unsigned_body)[1]

    # What is asked of the platform itself. Each function takes the request
    # and the time, and gives a Response or raises Refused or ValueError.

    def find_route(self, method, path):
        for route_method, pattern, function in ROUTES:
            if method == route_method:
                match = pattern.match(path)
                if match:
                    return lambda request, now: function(
                        self, request, now, **match.groupdict())
        return None

    def metadata(self, request, now, path):
        if request.headers.get("authorization") != "Bearer Oracle":
            return Response(401, {"code": "NotAuthenticated", "message":
                                  "Authorization: Bearer Oracle is missing"})
        value = self.metadata_value(path.strip("/"))
        if value is None:
            return Response(404, {"code": "NotFound", "message": "no such key"})
        if isinstance(value, str):
            return Response(200, body=value.encode(),
                            content_type="text/plain")
        return Response(200, value)

    def old_metadata(self, request, now):
        return Response(404, {"code": "NotFound",
                              "message": "Version 1 is off."})

    def metadata_value(self, path):
        pem = {"cert.pem": lambda: der.pem("CERTIFICATE", self.leaf),
               "key.pem": self.leaf_key.pem_pkcs1,
               "intermediate.pem": lambda: der.pem(
                   "CERTIFICATE", self.intermediate_certificate)}
        top, _, rest = path.partition("/")
        if top == "identity" and rest in pem:
            return pem[rest]()
        if top == "vnics":
            return [{"vnicId": v["id"], "privateIp": v["privateIp"],
                     "macAddr": v["macAddress"]}
                    for v in self.world.table("core/Vnic", HOME).values()
                    if v["_instance"] == self.instance["id"]]
        if top != "instance":
            return None
        value = self.describe_instance()
        for step in filter(None, rest.split("/")):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def describe_instance(self):
        i = self.instance
        region = i["region"]
        return {"id": i["id"], "displayName": i["displayName"],
                "compartmentId": i["compartmentId"],
                "tenantId": self.world.tenancy,
                "region": SHORT_KEYS[region].lower(),
                "canonicalRegionName": region,
                "availabilityDomain": i["availabilityDomain"],
                "ociAdName": "iad-ad-1", "faultDomain": i["faultDomain"],
                "shape": i["shape"], "shapeConfig": i["shapeConfig"],
                "image": i["imageId"], "hostname": i["displayName"],
                "state": "Running", "timeCreated": 1700000000000,
                "metadata": {}, "definedTags": i["definedTags"],
                "freeformTags": i["freeformTags"],
                "regionInfo": {"realmDomainComponent": REALM_DOMAIN,
                               "realmKey": "oc1", "regionIdentifier": region,
                               "regionKey": SHORT_KEYS[region]}}

    def federate(self, request, now):
        """POST /v1/x509"""
        body = request.json()
        leaf = certificates.Certificate(der.unpem(body["certificate"]))
        middle = [certificates.Certificate(der.unpem(text))
                  for text in body.get("intermediateCertificates", [])]
        if not any(c.is_by(self.root.public) and leaf.is_by(c.public)
                   for c in middle):
            raise Refused("the certificate is not by the root")
        tenancy = leaf.unit("opc-tenant:") or leaf.unit("opc-identity:")

        def find(key_id):
            parts = key_id.split("/")
            algorithm = {"fed-x509": "sha1", "fed-x509-sha256": "sha256"}.get(
                parts[1] if len(parts) == 3 else "")
            if not algorithm or parts[0] != tenancy or \
                    tenancy != self.world.tenancy:
                raise Refused("key id of the federation")
            said = body.get("fingerprintAlgorithm")
            if (said == "SHA256") != (algorithm == "sha256"):
                raise Refused("fingerprintAlgorithm is not that of the key id")
            if normal(parts[2]) != normal(leaf.fingerprint(algorithm)):
                raise Refused("fingerprint of another certificate")
            return leaf.public, None
        signing.verify(request, find, now, host=False)
        session = rsa.read_spki(der.unpem(body["publicKey"]))
        return Response(200, {"token": self.instance_token(session, leaf)})

    def resource_principal_token(self, request, now, ocid):
        """Step 2 of resource principals 1.1 and 2.1*."""
        if request.headers["authorization"].find('keyId="resource/') >= 0:
            _, principal = signing.verify(request, self.find_resource_key, now)
        else:
            principal = self.check(request, now)
        tokens = {"resourcePrincipalToken": "rpt", "servicePrincipalSession"
                  "Token": "spst"}
        return Response(200, {name: self.issue(
            ocid, self.resource_key.public, self.lifetime_s, ptype="resource",
            ttype=kind, by=principal["id"]) for name, kind in tokens.items()})

    def resource_principal_session(self, request, now):
        """Step 3: POST /v1/resourcePrincipalSessionToken"""
        if request.headers["authorization"].find('keyId="resource/') >= 0:
            signing.verify(request, self.find_resource_key, now)
        else:
            self.check(request, now)
        body = request.json()
        claims = self.read_token(body["resourcePrincipalToken"], now)
        service = self.read_token(body["servicePrincipalSessionToken"], now)
        if (claims["ttype"], service["ttype"]) != ("rpt", "spst"):
            raise Refused("tokens of the wrong kind")
        session = rsa.read_spki(der.unpem(body["sessionPublicKey"]))
        return Response(200, {"token": self.resource_token(
            session, claims["sub"], claims["sub"].split(".")[1],
            self.function["compartmentId"])})

    def workload(self, request, now):
        """POST /resourcePrincipalSessionTokens of a cluster's proxymux"""
        scheme, _, token = request.headers.get(
            "authorization", "").partition(" ")
        if scheme != "Bearer":
            raise Refused("no service account token")
        claims = signing.read_token(token, {CLUSTER_KID: self.cluster.public},
                                    now)
        session = rsa.read_spki(der.unpem(request.json()["podKey"]))
        subject, namespace, name = SERVICE_ACCOUNT
        made = self.resource_token(
            session, self.cluster_id, "workload",
            self.instance["compartmentId"],
            sub_type="workload", cluster_id=self.cluster_id,
            namespace=namespace, service_account=name,
            service_account_subject=claims["sub"])
        text = base64.b64encode(json.dumps({"token": "ST$" + made}).encode())
        return Response(200, text.decode())

    def refresh(self, request, now):
        principal = self.check(request, now)
        token = request.json()["currentToken"]
        claims = self.read_token(token, now)
        if claims["sub"] != principal["id"]:
            raise Refused("the token is somebody else's")
        return Response(200, {"token": self.session_token(
            rsa.read_jwk(json.loads(claims["jwk"])))})

    def generate_upst(self, request, now):
        self.check(request, now)
        body = request.json()
        return Response(200, {"token": self.session_token(
            rsa.read_spki(der.unpem(body["publicKey"])),
            60 * body.get("sessionExpirationInMinutes", 60))})

    def generate_scoped(self, request, now):
        principal = self.check(request, now)
        public = rsa.read_spki(der.unpem(request.json()["publicKey"]))
        return Response(200, {"token": self.issue(
            principal["id"], public, self.lifetime_s, ptype="user",
            ttype="scoped", scope=request.json()["scope"])})

    def authenticate_client(self, request, now):
        self.check(request, now)
        inner = ClientRequest(request.json()["requestHeaders"])
        failed = {"principal": None, "success": False}
        try:
            # The body was for the service to check.
            _, found = signing.verify(inner, self.find_key(now), now,
                                      body=False)
        except Refused as refused:
            return Response(200, dict(failed, errorMessage=str(refused)))
        claims = [{"key": k, "value": str(v), "issuer": ISSUER}
                  for k, v in found["claims"].items()]
        return Response(200, {"errorMessage": None, "success": True,
                              "principal": {"tenantId": self.world.tenancy,
                                            "subjectId": found["id"],
                                            "claims": claims}})

    def filter_groups(self, request, now):
        self.check(request, now)
        body = request.json()
        member = {m["groupId"] for m in self.world.table(
            "identity/UserGroupMembership", HOME).values()
            if m["userId"] == body["principal"]["subjectId"]}
        return Response(200, {"principal": body["principal"], "groupIds": [
            g for g in body.get("groupIds", []) if g in member]})

    def root_certificates(self, request, now):
        self.check(request, now)
        return Response(200, {"certificates": [
            der.pem("CERTIFICATE", self.root_certificate)]})

    def jwks(self):
        return {"keys": [self.auth.public.jwk(KID)]}


class ClientRequest:
    """The request that a service describes when it asks who signed it."""

    def __init__(self, headers):
        self.headers = {name.lower(): values[0]
                        for name, values in headers.items()}
        method, _, self.target = self.headers["(request-target)"].partition(
            " ")
        self.method = method.upper()


ROUTES = [(method, re.compile(pattern + "$"), function)
          for method, pattern, function in (
    ("GET", r"/opc/v2/(?P<path>.*)", Principals.metadata),
    ("GET", r"/opc/v1/.*", Principals.old_metadata),
    ("POST", r"/v1/x509", Principals.federate),
    ("GET", r"/20180711/resourcePrincipalToken(?:V2|V212)?/(?P<ocid>[^/]+)",
     Principals.resource_principal_token),
    ("POST", r"/v1/resourcePrincipalSessionToken",
     Principals.resource_principal_session),
    ("POST", r"/resourcePrincipalSessionTokens", Principals.workload),
    ("POST", r"/v1/authentication/refresh", Principals.refresh),
    ("POST", r"/v1/token/upst/actions/GenerateUpst",
     Principals.generate_upst),
    ("POST", r"/v1/actions/generateScopedAccessToken",
     Principals.generate_scoped),
    ("POST", r"/v1/authentication/authenticateClient",
     Principals.authenticate_client),
    ("POST", r"/v1/filterGroupMembership", Principals.filter_groups),
    ("GET", r"/v1/instancePrincipalRootCACertificates",
     Principals.root_certificates),
)]


class Rotation:
    """Replaces the files of a resource principal, as the platform does."""

    def __init__(self, principals, files):
        self.principals, self.files = principals, files

    def rotate(self, lifetime_s=None, torn_ms=0):
        """torn_ms: how long the new key stands beside the old token."""
        principals = self.principals
        key = principals.world.keys.take()
        principals.resource_key = key
        self.files.write("rp-private.pem", key.pem())
        token = principals.function_token(key.public, lifetime_s)

        def finish():
            self.files.write("rpst", token)
        if torn_ms:
            threading.Timer(torn_ms / 1000, finish).start()
        else:
            finish()

