"""Notifications, events, streams."""

import uuid

from catalog import ServiceError
from engine import operation
from world import HOME

TOPICS = (("operations", "shared", ("ops@acme.example",)),
          ("finance", "shared", ("finance@acme.example",)),
          ("dev", "dev", ()))
RULES = (("instance-stopped", "prod", "com.oraclecloud.computeapi."
          "stopinstance.end", True),
         ("bucket-changed", "prod", "com.oraclecloud.objectstorage."
          "updatebucket", True),
         ("dev-noise", "dev", "com.oraclecloud.computeapi.*", False))
ENDPOINT = "https://cell1.notification.us-ashburn-1.oraclecloud.com"
STREAMS = (("orders", "prod", 4), ("clicks", "prod", 8), ("dev", "dev", 1))


def fill(world):
    for name, where, addresses in TOPICS:
        ocid = world.ocid("onstopic", HOME, name)
        world.add("ons/NotificationTopic", HOME, {
            "_id": ocid, "topicId": ocid, "name": name,
            "compartmentId": world.names[where], "description": name,
            "shortTopicId": name[:6], "lifecycleState": "ACTIVE",
            "apiEndpoint": ENDPOINT, "timeCreated": world.time(days=210),
            "freeformTags": {}, "definedTags": {}})
        for address in addresses:
            world.add("ons/Subscription", HOME, {
                "id": world.ocid("onssubscription", HOME, name, address),
                "topicId": ocid, "protocol": "EMAIL", "endpoint": address,
                "compartmentId": world.names[where],
                "lifecycleState": "ACTIVE", "createdTime": 1700000000000})
    for name, where, event, enabled in RULES:
        world.add("events/Rule", HOME, {
            "id": world.ocid("eventrule", HOME, name), "displayName": name,
            "compartmentId": world.names[where], "isEnabled": enabled,
            "condition": '{"eventType":"%s"}' % event, "description": name,
            "lifecycleState": "ACTIVE" if enabled else "INACTIVE",
            "timeCreated": world.time(days=170), "actions": {"actions": []},
            "freeformTags": {}, "definedTags": {}})
    pool = world.add("streaming/StreamPool", HOME, {
        "id": world.ocid("streampool", HOME, "main"), "name": "main",
        "compartmentId": world.names["prod"], "lifecycleState": "ACTIVE",
        "isPrivate": False, "timeCreated": world.time(days=160)})
    for name, where, partitions in STREAMS:
        world.add("streaming/Stream", HOME, {
            "id": world.ocid("stream", HOME, name), "name": name,
            "compartmentId": world.names[where], "partitions": partitions,
            "streamPoolId": pool["id"], "lifecycleState": "ACTIVE",
            "retentionInHours": 24, "messagesEndpoint": "https://cell-1."
            "streaming.us-ashburn-1.oci.oraclecloud.com",
            "timeCreated": world.time(days=159), "freeformTags": {},
            "definedTags": {}})


@operation("ons.CreateTopic")
def create_topic(call):
    for topic in call.all("ons/NotificationTopic"):
        if topic["name"] == call.body["name"] and \
                topic["lifecycleState"] == "ACTIVE":
            raise ServiceError(409, "Conflict", "There is such a topic.")
    ocid = call.world.fresh_ocid("onstopic", call.region)
    made = call.create("ons/NotificationTopic", "onstopic", {
        "_id": ocid, "topicId": ocid, "lifecycleState": "ACTIVE",
        "apiEndpoint": ENDPOINT})
    del made["id"]  # it is called topicId
    return call.answer(made)


@operation("ons.DeleteTopic")
def delete_topic(call):
    topic = call.find("ons/NotificationTopic", call.params["topicId"])
    call.world.remove("ons/NotificationTopic", call.region, topic)


@operation("ons.PublishMessage")
def publish(call):
    call.find("ons/NotificationTopic", call.params["topicId"])
    return {"messageId": str(uuid.uuid4()),
            "timeStamp": call.world.time()}


@operation("streaming.ListStreams")
def list_streams(call):
    items = [s for s in call.all("streaming/Stream")
             if call.query.get("id") in (None, s["id"])]
    return call.answer_list(items, ignore=("id",))
