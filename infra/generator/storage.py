"""Tables and queues."""

from .block import NOTHING, attribute, choice, ref, sub
from .permissions import resource_of

#: Days that a message may wait in a queue: the most that there is.
FORTNIGHT = 14 * 24 * 3600


def tables(facts: dict) -> dict:
    return {table["suffix"].strip("-").capitalize() + "Table": one_table(table) for table in facts["tables"]}


def one_table(table: dict) -> dict:
    keys = [("HASH", table["partition"]), ("RANGE", table["sort"])]
    name = table["suffix"].strip("-")
    properties = {
        "TableName": sub("${AWS::StackName}" + table["suffix"]),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key["name"], "AttributeType": key["type"]} for _, key in keys],
        "KeySchema": [{"AttributeName": key["name"], "KeyType": kind} for kind, key in keys],
        "SSESpecification": choice(
            "HasKey", {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": attribute("Key.Arn")}, NOTHING
        ),
        "DeletionProtectionEnabled": ref("DeletionProtection"),
    }
    if table["point_in_time_recovery"]:
        on = ref("JournalRecovery") if name == "journal" else True
        properties["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": on}
    if table["ttl"]:
        properties["TimeToLiveSpecification"] = {"AttributeName": table["ttl"], "Enabled": True}
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    return {"Type": "AWS::DynamoDB::Table", **kept, "Properties": properties}


def queues(facts: dict) -> dict:
    found = {}
    for queue in facts["queues"]:
        visibility, receives = limits(queue, facts)
        common = {
            "MessageRetentionPeriod": FORTNIGHT,
            "MaximumMessageSize": 1048576,
            "SqsManagedSseEnabled": choice("HasKey", NOTHING, True),
            "KmsMasterKeyId": choice("HasKey", attribute("Key.Arn"), NOTHING),
            "KmsDataKeyReusePeriodSeconds": choice("HasKey", 3600, NOTHING),
        }
        resource = resource_of(queue)
        found[resource] = {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": sub("${AWS::StackName}-" + queue),
                "VisibilityTimeout": visibility,
                "ReceiveMessageWaitTimeSeconds": 20,
                **common,
                "RedrivePolicy": {
                    "deadLetterTargetArn": attribute(f"{resource}Dead.Arn"),
                    "maxReceiveCount": receives,
                },
            },
        }
        found[f"{resource}Dead"] = {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": sub("${AWS::StackName}-" + queue + "-dead"),
                **common,
                "RedriveAllowPolicy": {
                    "redrivePermission": "byQueue",
                    "sourceQueueArns": [
                        sub("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-" + queue)
                    ],
                },
            },
        }
    return found


def limits(queue: str, facts: dict) -> tuple[int, int]:
    """Seconds of visibility and the most hand-outs: what any function that works the queue asks for."""
    triggers = [
        needs["trigger"]
        for needs in [*facts["fused"], *facts["unfused"], facts["remote"]]
        if needs["trigger"].get("queue") == queue
    ]
    visibility = max(trigger["visibility_seconds"] for trigger in triggers)
    return visibility, max(trigger["maximum_receives"] for trigger in triggers)
