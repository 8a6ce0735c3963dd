"""Answers operations: checks what the catalogue says, calls the function of
the operation or else the general one, pages, and writes errors."""

import base64
import hashlib
import json
import re
import secrets
import zlib

from catalog import (Catalog, Models, ServiceError, incorrect_state, invalid,
                     not_found, read_time)
from http1 import Response
from world import public

MAX_LIMIT = 1000
# Query parameters that are not filters.
NOT_FILTERS = {"limit", "page", "sortBy", "sortOrder", "compartmentId",
               "compartmentIdInSubtree", "accessLevel", "tenantId", "detail",
               "subscriptionId", "resourceMetadataOnly", "isCompartmentDelete",
               "isCompartmentIdInSubtree"}
SORT_FIELDS = {"TIMECREATED": "timeCreated", "TIME_CREATED": "timeCreated",
               "DISPLAYNAME": "displayName", "NAME": "name", "ID": "id",
               "DBNAME": "dbName", "DISPLAY_NAME": "displayName"}
# What a summary in a list does not have and the whole resource has.
NOT_IN_SUMMARY = {
    "monitoring/Alarm": "body messageFormat metricCompartmentIdInSubtree "
    "pendingDuration repeatNotificationDuration resolution timeCreated "
    "timeUpdated",
    "functions/Application": "config", "functions/Function": "config",
    "container_instances/ContainerInstance": "containers vnics",
    "core/InstancePool": "placementConfigurations",
    "key_management/Key": "currentKeyVersion keyShape",
    "logging/Log": "tenancyId", "limits/Quota": "statements",
    "events/Rule": "actions", "streaming/Stream": "retentionInHours",
    "vault/Secret": "currentVersionNumber metadata",
    "secrets/SecretBundleVersion": "contentType name",
    "mysql/DbSystem": "dataStorage dataStorageSizeInGBs maintenance subnetId",
    "container_engine/NodePool": "nodes",
    "cloud_guard/Problem": "description recommendation additionalDetails "
    "comment",
    "key_management/Vault": "wrappingkeyId",
}
# What is only there to be filtered by.
NEVER_SHOWN = {"container_engine/Cluster": "timeCreated",
               "database/Database": "systemId",
               "database/DbNode": "compartmentId",
               "log_analytics/LogAnalyticsSource": "sourceType"}
NOT_IN_WHOLE = {"key_management/Key": "algorithm",
                "core/InstancePool": "availabilityDomains"}
TIME_FILTER = re.compile(r"(.*?)(GreaterThanOrEqualTo|LessThanOrEqualTo"
                         r"|GreaterThan|LessThan)$")

functions = {}


def operation(*names):
    """Register the function of operations, each "service.Operation"."""
    def register(function):
        for name in names:
            assert name not in functions, name
            functions[name] = function
        return function
    return register


class Call:
    """One call of one operation."""

    def __init__(self, world, region, op, params, request, principal):
        self.world, self.region, self.op = world, region, op
        self.params, self.request = params, request
        self.principal = principal
        self.query, self.body = {}, None
        self.headers = {}

    def table(self, kind):
        return self.world.table(kind, self.region)

    def find(self, kind, ocid):
        """The resource of that kind, or 404."""
        resource = self.table(kind).get(ocid)
        if resource is None:
            raise not_found()
        return self.world.settle(resource)

    def all(self, kind):
        return [self.world.settle(r) for r in self.table(kind).values()]

    def compartments(self):
        """What compartmentId and compartmentIdInSubtree select; None is no
        restriction."""
        ocid = self.query.get("compartmentId")
        if ocid is None:
            return None
        if not ocid.startswith("ocid1."):
            raise invalid("compartmentId is not an OCID")
        if not self.world.is_compartment(ocid):
            raise not_found()
        subtree = self.query.get("compartmentIdInSubtree") or \
            self.query.get("isCompartmentIdInSubtree")
        return self.world.under(ocid) if subtree else {ocid}

    def matches(self, resource, name, wanted):
        order = TIME_FILTER.match(name)
        if order and order.group(1) in resource:
            have = read_time(resource[order.group(1)])
            limit = read_time(wanted)
            return {"GreaterThanOrEqualTo": have >= limit,
                    "LessThanOrEqualTo": have <= limit,
                    "GreaterThan": have > limit,
                    "LessThan": have < limit}[order.group(2)]
        if name.endswith("NotEqualTo"):
            return resource.get(name[:-len("NotEqualTo")]) != wanted
        have = resource.get(name)
        if isinstance(wanted, list):
            return have in wanted
        if isinstance(have, list):
            return wanted in have
        return have == wanted

    def select(self, items, ignore=()):
        """Those of items that the query's filters let through."""
        among = self.compartments()
        if among is not None:
            items = [r for r in items
                     if r.get("compartmentId") in among or
                     "compartmentId" not in r]
        for name, wanted in self.query.items():
            if name in NOT_FILTERS or name in ignore or \
                    name not in self.op.query:
                continue
            items = [r for r in items if self.matches(r, name, wanted)]
        return items

    def sort(self, items):
        by = self.query.get("sortBy")
        order = self.query.get("sortOrder")
        if not by and not order:
            return items
        field = SORT_FIELDS.get(by, by) or "timeCreated"
        if order is None:
            order = "DESC" if field.startswith("time") else "ASC"
        return sorted(items, key=lambda r: str(r.get(field, "")).lower(),
                      reverse=order == "DESC")

    def page(self, items):
        """The page asked for; the next one is named in a header."""
        limit = self.query.get("limit")
        if limit is not None and not 1 <= limit <= MAX_LIMIT:
            raise invalid("limit must be between 1 and %d" % MAX_LIMIT)
        limit = limit or self.world.page_size
        start = self.read_page(self.query.get("page"))
        if start > len(items):
            raise invalid("page is beyond the end")
        if start + limit < len(items):
            self.headers["opc-next-page"] = self.write_page(start + limit)
        if start:
            self.headers["opc-prev-page"] = self.write_page(
                max(0, start - limit))
        self.headers["opc-total-items"] = str(len(items))
        return items[start:start + limit]

    def write_page(self, start):
        sign = zlib.crc32(("%s %d" % (self.op.path, start)).encode())
        return base64.urlsafe_b64encode(
            b"%08x:%d" % (sign, start)).decode()

    def read_page(self, token):
        if not token or token == "first":
            return 0
        try:
            start = int(base64.urlsafe_b64decode(token).split(b":")[1])
        except (ValueError, IndexError):
            raise invalid("page is not what opc-next-page said")
        if self.write_page(start) != token or start < 0:
            raise invalid("page is not what opc-next-page said")
        return start

    def answer_list(self, items, ignore=(), select=True, sort=True):
        """Filter, sort, page and shape a list of resources."""
        if select:
            items = self.select(items, ignore)
        if sort:
            items = self.sort(items)
        hidden = hidden_fields(self.op.kind, NOT_IN_SUMMARY)
        items = [public(r, hidden) for r in self.page(items)]
        return {"items": items} if self.op.shape == "{" else items

    def answer(self, resource):
        if "etag" in self.op.flags and "_etag" in resource:
            self.headers["etag"] = resource["_etag"]
        return public(resource, hidden_fields(self.op.kind, NOT_IN_WHOLE))

    def check_match(self, resource):
        wanted = self.request.headers.get("if-match")
        if wanted and wanted not in ("*", resource.get("_etag")):
            raise ServiceError(412, "NoEtagMatch",
                               "The if-match header does not match the etag.")

    def work(self, name, *resources, compartment=None, action="UPDATED"):
        """Start a work request about resources, named in a header."""
        world = self.world
        service = self.op.service
        kind = "work_requests" if service in (
            "core", "database", "identity") else service
        done = "SUCCEEDED"
        if kind != "work_requests":
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        if service == "object_storage":
            done = "COMPLETED"
        ocid = world.fresh_ocid("coreservicesworkrequest" if service == "core"
                                else service.replace("_", "") + "workrequest",
                                self.region)
        now = world.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        first = resources[0] if resources else {}
        request = world.add("%s/WorkRequest" % kind, self.region, {
            "id": ocid, "operationType": name, "status": "ACCEPTED",
            "compartmentId": compartment or first.get("compartmentId"),
            "percentComplete": 0.0, "timeAccepted": now, "timeStarted": now,
            "resources": [{
                "entityType": r["_entity"] if "_entity" in r else
                r["id"].split(".")[1], "actionType": action,
                "identifier": r["id"],
                "entityUri": self.request.path} for r in resources]})
        world.later(request, {"status": done, "percentComplete": 100.0,
                              "timeFinished": now},
                    status="IN_PROGRESS", percentComplete=10.0)
        self.headers["opc-work-request-id"] = ocid
        return request

    def transition(self, resource, allowed, going, then):
        """Set a state that settles, or 409 when the present one forbids it."""
        self.check_match(resource)
        state = resource["lifecycleState"]
        if state not in allowed:
            raise incorrect_state(
                "The resource %s is in state %s; this needs %s." % (
                    resource["id"], state, " or ".join(allowed)))
        return self.world.later(resource, {"lifecycleState": then},
                                lifecycleState=going)

    def create(self, kind, ocid_type, fields, then=None):
        """A new resource of the body's fields and those given."""
        made = {"id": self.world.fresh_ocid(ocid_type, self.region),
                "timeCreated": self.world.now().strftime(
                    "%Y-%m-%dT%H:%M:%S.000Z"),
                "freeformTags": {}, "definedTags": {}}
        made.update({k: v for k, v in (self.body or {}).items()
                     if v is not None})
        made.update(fields)
        if "compartmentId" in made and \
                not self.world.is_compartment(made["compartmentId"]):
            raise not_found()
        self.world.add(kind, self.region, made)
        if then:
            self.world.later(made, {"lifecycleState": then})
        return made


def hidden_fields(kind, table):
    return (table.get(kind, "") + " " + NEVER_SHOWN.get(kind, "")).split()


def general(call):
    """What an operation without a function of its own does."""
    op = call.op
    if op.method == "GET" and op.shape:
        return call.answer_list(call.all(op.kind))
    resource_id = call.params[op.names[-1]]
    if op.method == "GET":
        return call.answer(call.find(op.kind, resource_id))
    if op.method == "DELETE":
        kind = deleted_kind(call)
        resource = call.find(kind, resource_id)
        call.check_match(resource)
        if resource.get("lifecycleState") in ("TERMINATED", "DELETED"):
            raise not_found()
        if "work" in op.flags:
            call.work(op.name, resource, action="DELETED")
        call.world.remove(kind, call.region, resource)
        return Response(204)
    if op.method == "PUT":
        resource = call.find(op.kind, resource_id)
        call.check_match(resource)
        call.world.change(resource, **call.body)
        if "work" in op.flags:
            call.work(op.name, resource)
        return call.answer(resource)
    raise ServiceError(501, "MethodNotImplemented",
                       "%s is not simulated." % op.full_name)


def deleted_kind(call):
    """DeleteVcn deletes a core/Vcn, TerminateInstance a core/Instance."""
    name = re.sub(r"^(Delete|Terminate|Detach|Remove)", "", call.op.name)
    return "%s/%s" % (call.op.service,
                      {"UserFromGroup": "UserGroupMembership"}.get(name, name))


class Engine:
    def __init__(self):
        self.catalog = Catalog()
        self.models = Models()

    def find(self, method, path):
        return self.catalog.find(method, path)

    def run(self, call):
        """The Response of a call whose signature has been checked."""
        op, request = call.op, call.request
        try:
            if not call.principal["allowed"]:
                raise not_found()
            with call.world.lock:
                return self.answer(call, op, request)
        except ServiceError as error:
            return error_response(error)

    def answer(self, call, op, request):
        call.query = op.check_query(request.query)
        if op.body and op.body != "stream":
            call.body = self.read_body(op, request)
        remembered = self.remembered(call)
        if remembered is not None:
            return remembered
        function = functions.get(op.full_name, general)
        answer = function(call)
        if not isinstance(answer, Response):
            answer = Response(204 if answer is None and op.result == "-"
                              else 200, answer)
        answer.headers = {**call.headers, **answer.headers}
        self.remember(call, answer)
        return answer

    def read_body(self, op, request):
        if not request.body.strip():
            if op.body_required and any(
                    field.required for field in
                    self.models.fields(op.service, op.body)):
                raise ServiceError(400, "MissingParameter",
                                   "The request body is required.")
            return {}
        try:
            body = json.loads(request.body)
        except ValueError:
            raise ServiceError(400, "CannotParseRequest",
                               "Could not parse the body as JSON.")
        self.models.check(op.service, op.body, body)
        return body

    def remembered(self, call):
        token = call.request.headers.get("opc-retry-token")
        if not token or "retry" not in call.op.flags:
            return None
        if len(token) > 64:
            raise invalid("opc-retry-token has more than 64 characters")
        entry = call.world.retries.get((call.op.full_name, token))
        if entry is None:
            return None
        if entry[0] != hashlib.sha256(call.request.body).digest():
            raise ServiceError(409, "InvalidatedRetryToken",
                               "The retry token was used with another body.")
        return Response(entry[1], body=entry[2], headers=dict(entry[3]))

    def remember(self, call, answer):
        token = call.request.headers.get("opc-retry-token")
        if token and "retry" in call.op.flags and answer.status < 300:
            call.world.retries[call.op.full_name, token] = (
                hashlib.sha256(call.request.body).digest(), answer.status,
                answer.body, dict(answer.headers))


def error_response(error):
    return Response(error.status, dict(error.more, code=error.code,
                                       message=error.message))


def request_id(request):
    """The client's part, then two of the services'."""
    client = request.headers.get("opc-request-id", "").split("/")[0]
    return "%s/%s/%s" % (client or secrets.token_hex(16).upper(),
                         secrets.token_hex(16).upper(),
                         secrets.token_hex(16).upper())
