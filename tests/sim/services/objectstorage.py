"""Object storage: buckets, objects, multipart uploads."""

import base64
import hashlib
import re

from catalog import ServiceError, invalid, missing
from engine import operation
from http1 import Response
from services.logs import NAMESPACE
from signing import http_date
from world import HOME

BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}$")
MAX_LIMIT = 1000
# Name, compartment, public access, objects (name, text).
BUCKETS = (
    ("media", "prod", "ObjectRead", [
        ("images/%04d.jpg" % n, "picture %d " % n * 10) for n in range(40)] +
     [("videos/intro.mp4", "not a film"), ("index.html", "<h1>Acme</h1>")]),
    ("invoices", "prod", "NoPublicAccess", [
        ("2026/%02d/invoice-%03d.pdf" % (n % 12 + 1, n), "invoice %d" % n)
        for n in range(130)]),
    ("dev-scratch", "dev", "NoPublicAccess", [
        ("notes.txt", "hello world\n"), ("Grüße & more (1).txt", "ümlaut"),
        ("empty", "")]),
    ("backups", "shared", "NoPublicAccess", []),
    ("terraform-state", "shared", "NoPublicAccess", [
        ("prod.tfstate", "{}"), ("dev.tfstate", "{}")]))
FIELDS = ("name", "size", "etag", "md5", "timeCreated", "timeModified",
          "storageTier", "archivalState")


def fill(world):
    for name, where, access, objects in BUCKETS:
        bucket = make_bucket(world, HOME, name, world.names[where])
        bucket["publicAccessType"] = access
        for key, text in objects:
            put(world, bucket, key, text.encode(), {})


def make_bucket(world, region, name, compartment):
    return world.add("object_storage/Bucket", region, {
        "name": name, "namespace": NAMESPACE, "compartmentId": compartment,
        "id": world.ocid("bucket", region, name), "_id": name,
        "createdBy": world.ocid("user", "", "gateway@acme.example"),
        "timeCreated": world.time(days=260), "metadata": {},
        "etag": hashlib.md5(name.encode()).hexdigest(),
        "publicAccessType": "NoPublicAccess", "storageTier": "Standard",
        "objectEventsEnabled": False, "freeformTags": {}, "definedTags": {},
        "versioning": "Disabled", "replicationEnabled": False,
        "isReadOnly": False, "autoTiering": "Disabled", "_objects": {},
        "_uploads": {}})


def put(world, bucket, name, data, headers):
    world.counter += 1
    now = world.now()
    old = bucket["_objects"].get(name)
    made = {"name": name, "size": len(data), "data": data,
            "md5": base64.b64encode(hashlib.md5(data).digest()).decode(),
            "etag": hashlib.md5(b"%d" % world.counter).hexdigest(),
            "timeCreated": old["timeCreated"] if old else
            now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "timeModified": now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "modified": http_date(now.timestamp()), "storageTier": "Standard",
            "archivalState": None, "type": headers.get(
                "content-type", "application/octet-stream"),
            "meta": {k: v for k, v in headers.items()
                     if k.startswith("opc-meta-")}}
    bucket["_objects"][name] = made
    return made


def bucket_of(call):
    if call.params["namespaceName"] != NAMESPACE:
        raise ServiceError(404, "NamespaceNotFound",
                           "The namespace does not exist.")
    bucket = call.table("object_storage/Bucket").get(call.params["bucketName"])
    if bucket is None:
        raise ServiceError(
            404, "BucketNotFound", "Either the bucket named '%s' does not "
            "exist in the namespace '%s' or you are not authorized to access "
            "it" % (call.params["bucketName"], NAMESPACE))
    return bucket


def object_of(call):
    found = bucket_of(call)["_objects"].get(call.params["objectName"])
    if found is None:
        raise ServiceError(404, "ObjectNotFound", "The object '%s' was not "
                           "found in the bucket '%s'" % (
                               call.params["objectName"],
                               call.params["bucketName"]))
    return found


def check_conditions(call, found):
    headers = call.request.headers
    wanted = headers.get("if-match")
    if wanted and (not found or wanted.strip('"') not in (
            "*", found["etag"])):
        raise ServiceError(412, "IfMatchFailed", "The etag does not match.")
    unwanted = headers.get("if-none-match")
    if unwanted and found and unwanted.strip('"') in ("*", found["etag"]):
        raise ServiceError(412, "IfNoneMatchFailed", "The object exists.")


@operation("object_storage.GetNamespace")
def get_namespace(call):
    return NAMESPACE


@operation("object_storage.GetNamespaceMetadata")
def get_namespace_metadata(call):
    return {"namespace": NAMESPACE,
            "defaultS3CompartmentId": call.world.tenancy,
            "defaultSwiftCompartmentId": call.world.tenancy}


@operation("object_storage.ListBuckets")
def list_buckets(call):
    if call.params["namespaceName"] != NAMESPACE:
        raise ServiceError(404, "NamespaceNotFound",
                           "The namespace does not exist.")
    items = call.select(call.all("object_storage/Bucket"), ignore=("fields",))
    shown = ("namespace", "name", "compartmentId", "createdBy", "timeCreated",
             "etag")
    more = ("freeformTags", "definedTags") \
        if "tags" in call.query.get("fields", ()) else ()
    return [{k: b[k] for k in shown + more}
            for b in call.page(sorted(items, key=lambda b: b["name"]))]


@operation("object_storage.GetBucket", "object_storage.HeadBucket")
def get_bucket(call):
    bucket = bucket_of(call)
    call.headers["etag"] = bucket["etag"]
    out = {k: v for k, v in bucket.items() if k[0] != "_"}
    fields = call.query.get("fields", ())
    if "approximateCount" in fields:
        out["approximateCount"] = len(bucket["_objects"])
    if "approximateSize" in fields:
        out["approximateSize"] = sum(o["size"] for o in
                                     bucket["_objects"].values())
    return out


@operation("object_storage.CreateBucket")
def create_bucket(call):
    body = call.body
    if not BUCKET_NAME.match(body["name"]):
        raise ServiceError(400, "InvalidBucketName",
                           "The name of the bucket is not valid.")
    if not call.world.is_compartment(body["compartmentId"]):
        raise ServiceError(404, "NotAuthorizedOrNotFound",
                           "The compartment was not found.")
    if body["name"] in call.table("object_storage/Bucket"):
        raise ServiceError(409, "BucketAlreadyExists",
                           "There is a bucket of that name.")
    bucket = make_bucket(call.world, call.region, body["name"],
                         body["compartmentId"])
    bucket.update({k: v for k, v in body.items() if v is not None})
    call.headers["etag"] = bucket["etag"]
    call.headers["location"] = "/n/%s/b/%s" % (NAMESPACE, body["name"])
    return {k: v for k, v in bucket.items() if k[0] != "_"}


@operation("object_storage.UpdateBucket")
def update_bucket(call):
    bucket = bucket_of(call)
    bucket.update({k: v for k, v in call.body.items()
                   if v is not None and k not in ("namespace", "name")})
    return get_bucket(call)


@operation("object_storage.DeleteBucket")
def delete_bucket(call):
    bucket = bucket_of(call)
    if bucket["_objects"]:
        raise ServiceError(409, "BucketNotEmpty", "The bucket is not empty.")
    del call.table("object_storage/Bucket")[bucket["name"]]
    return Response(204)


@operation("object_storage.ListObjects", "object_storage.ListObjectVersions")
def list_objects(call):
    query, bucket = call.query, bucket_of(call)
    limit = query.get("limit") or MAX_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid("limit must be between 1 and %d" % MAX_LIMIT)
    fields = (query.get("fields") or "name").split(",")
    for field in fields:
        if field not in FIELDS:
            raise invalid("fields: %s" % field)
    prefix, delimiter = query.get("prefix") or "", query.get("delimiter")
    if delimiter not in (None, "", "/"):
        raise invalid("delimiter can only be /")
    objects, prefixes, following = [], [], None
    for name in sorted(bucket["_objects"]):
        if not name.startswith(prefix) or \
                name < (query.get("start") or "") or \
                name <= (query.get("startAfter") or "") and \
                query.get("startAfter") or \
                query.get("end") and name >= query["end"]:
            continue
        if len(objects) + len(prefixes) >= limit:
            following = name
            break
        slash = name.find("/", len(prefix)) if delimiter else -1
        if slash >= 0:
            if name[:slash + 1] not in prefixes:
                prefixes.append(name[:slash + 1])
            continue
        found = bucket["_objects"][name]
        objects.append({field: found[field]
                        for field in dict.fromkeys(["name"] + fields)})
    if call.op.name == "ListObjectVersions":
        return {"items": [dict(o, versionId="1", isDeleteMarker=False,
                               timeModified=bucket["_objects"][o["name"]][
                                   "timeModified"])
                          for o in objects], "prefixes": prefixes}
    out = {"objects": objects, "prefixes": prefixes}
    if following is not None:
        out["nextStartWith"] = following
    return out


def object_headers(found):
    return {"etag": found["etag"], "content-md5": found["md5"],
            "last-modified": found["modified"], "accept-ranges": "bytes",
            "storage-tier": found["storageTier"],
            "content-type": found["type"], **found["meta"]}


@operation("object_storage.GetObject", "object_storage.HeadObject")
def get_object(call):
    found = object_of(call)
    check_conditions(call, found)
    data, status, headers = found["data"], 200, object_headers(found)
    wanted = re.match(r"bytes=(\d*)-(\d*)$",
                      call.request.headers.get("range", ""))
    if wanted and any(wanted.groups()):
        first, last = wanted.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last) + 1 if first and last else len(data), len(data))
        if start >= len(data) or start >= end:
            raise ServiceError(416, "InvalidRange", "The range is outside.")
        headers["content-range"] = "bytes %d-%d/%d" % (start, end - 1,
                                                       len(data))
        data, status = data[start:end], 206
    for name in ("Type", "Disposition", "Language", "Encoding"):
        asked = call.query.get("httpResponseContent" + name)
        if asked:
            headers["content-" + name.lower()] = asked
    return Response(status, body=data, headers=headers,
                    content_type=found["type"])


@operation("object_storage.PutObject")
def put_object(call):
    bucket, name = bucket_of(call), call.params["objectName"]
    check_conditions(call, bucket["_objects"].get(name))
    data, headers = call.request.body, call.request.headers
    digest = base64.b64encode(hashlib.md5(data).digest()).decode()
    if headers.get("content-md5", digest) != digest:
        raise ServiceError(400, "UnmatchedContentMD5",
                           "content-md5 is not that of the body.")
    made = put(call.world, bucket, name, data, headers)
    return Response(200, headers={
        "etag": made["etag"], "opc-content-md5": made["md5"],
        "last-modified": made["modified"]})


@operation("object_storage.DeleteObject")
def delete_object(call):
    found = object_of(call)
    check_conditions(call, found)
    del bucket_of(call)["_objects"][found["name"]]
    return Response(204, headers={"last-modified": found["modified"]})


@operation("object_storage.RenameObject", "object_storage.CopyObject")
def rename_object(call):
    bucket, body = bucket_of(call), call.body
    copy = call.op.name == "CopyObject"
    source = body["sourceObjectName" if copy else "sourceName"]
    found = bucket["_objects"].get(source)
    if found is None:
        raise ServiceError(404, "ObjectNotFound", "The object was not found.")
    if copy:
        target = call.table("object_storage/Bucket").get(
            body["destinationBucket"])
        if target is None:
            raise ServiceError(404, "BucketNotFound", "No such bucket.")
        put(call.world, target, body["destinationObjectName"], found["data"],
            dict(found["meta"], **{"content-type": found["type"]}))
        call.work("COPY_OBJECT", bucket)
        return Response(202)
    made = put(call.world, bucket, body["newName"], found["data"],
               dict(found["meta"], **{"content-type": found["type"]}))
    del bucket["_objects"][source]
    return Response(200, headers={"etag": made["etag"],
                                  "last-modified": made["modified"]})


# Multipart uploads

@operation("object_storage.CreateMultipartUpload")
def create_upload(call):
    bucket, world = bucket_of(call), call.world
    world.counter += 1
    upload = {"namespace": NAMESPACE, "bucket": bucket["name"],
              "object": call.body["object"], "storageTier": "Standard",
              "uploadId": hashlib.md5(b"u%d" % world.counter).hexdigest(),
              "timeCreated": world.time(), "_parts": {},
              "_type": call.body.get("contentType")}
    bucket["_uploads"][upload["uploadId"]] = upload
    return {k: v for k, v in upload.items() if k[0] != "_"}


def upload_of(call):
    upload = bucket_of(call)["_uploads"].get(call.query["uploadId"])
    if upload is None or upload["object"] != call.params["objectName"]:
        raise ServiceError(404, "NoSuchUpload", "The upload does not exist.")
    return upload


@operation("object_storage.UploadPart")
def upload_part(call):
    number = call.query["uploadPartNum"]
    if not 1 <= number <= 10000:
        raise invalid("uploadPartNum must be between 1 and 10000")
    data = call.request.body
    etag = hashlib.md5(data + b"part").hexdigest()
    upload_of(call)["_parts"][number] = (etag, data)
    return Response(200, headers={
        "etag": etag, "opc-content-md5": base64.b64encode(
            hashlib.md5(data).digest()).decode()})


@operation("object_storage.CommitMultipartUpload")
def commit_upload(call):
    upload, bucket = upload_of(call), bucket_of(call)
    parts = sorted((p["partNum"], p["etag"])
                   for p in call.body["partsToCommit"])
    if not parts:
        raise missing("partsToCommit")
    for number, etag in parts:
        if upload["_parts"].get(number, (None,))[0] != etag:
            raise ServiceError(400, "InvalidUploadPart",
                               "Part %d is not what was sent." % number)
    data = b"".join(upload["_parts"][number][1] for number, _ in parts)
    made = put(call.world, bucket, upload["object"], data,
               {"content-type": upload["_type"] or
                "application/octet-stream"})
    del bucket["_uploads"][upload["uploadId"]]
    return Response(200, headers={"etag": made["etag"],
                                  "last-modified": made["modified"]})


@operation("object_storage.AbortMultipartUpload")
def abort_upload(call):
    del bucket_of(call)["_uploads"][upload_of(call)["uploadId"]]
    return Response(204)


@operation("object_storage.ListMultipartUploads")
def list_uploads(call):
    return [{k: v for k, v in u.items() if k[0] != "_"}
            for u in bucket_of(call)["_uploads"].values()]


# Pre-authenticated requests: they are noted, not served.

@operation("object_storage.CreatePreauthenticatedRequest")
def create_request(call):
    bucket = bucket_of(call)
    call.world.counter += 1
    made = dict(call.body, id="par-%d" % call.world.counter,
                timeCreated=call.world.time(),
                accessUri="/p/hidden/n/%s/b/%s/o/" % (NAMESPACE,
                                                      bucket["name"]))
    bucket.setdefault("_requests", []).append(made)
    return made


@operation("object_storage.ListPreauthenticatedRequests")
def list_requests(call):
    return [{k: v for k, v in r.items() if k != "accessUri"}
            for r in bucket_of(call).get("_requests", [])]
