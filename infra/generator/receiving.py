"""Mail that SES takes for us: its bucket, its rule, and how its function learns of each letter.

The rule's S3 action puts a letter into the bucket and publishes to a topic for whom it is, which an object does not say;
the topic's subscription passes that on, as it is, to the queue of the function.
"""

from .block import NOTHING, attribute, choice, ref, sub
from .functions import conditioned
from .permissions import RAW_BUCKET, allow, resource_of

TOPIC = "${AWS::StackName}-received"
#: The rule set and its one rule.
RULES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:receipt-rule-set/${AWS::StackName}:receipt-rule/everything"


def receiving(facts: dict) -> dict:
    found = {}
    for needs in facts["unfused"]:
        if needs["raw_mail"]:
            found |= resources(needs["trigger"]["queue"], facts["raw_mail"])
    return {resource: conditioned(body, "HasReceiving") for resource, body in found.items()}


def resources(queue: str, names: str) -> dict:
    encryption = {
        "BucketKeyEnabled": choice("HasKey", True, NOTHING),
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": choice("HasKey", "aws:kms", "AES256"),
            "KMSMasterKeyID": choice("HasKey", attribute("Key.Arn"), NOTHING),
        },
    }
    private = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"]
    action = {"BucketName": ref("RawBucket"), "ObjectKeyPrefix": names, "TopicArn": ref("ReceivedTopic")}
    return {
        "RawBucket": {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "BucketName": sub(RAW_BUCKET),
                "PublicAccessBlockConfiguration": {name: True for name in private},
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
                "LifecycleConfiguration": {
                    "Rules": [
                        # What its function has taken is gone by then; what it could not take is a dead letter, what has
                        # a virus in it stands in the trace.
                        {"Id": "leftovers", "Status": "Enabled", "ExpirationInDays": 30},
                    ]
                },
            },
        },
        "RawBucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": ref("RawBucket"),
                "PolicyDocument": {"Version": "2012-10-17", "Statement": bucket_statements(names)},
            },
        },
        "ReceivedTopic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "TopicName": sub(TOPIC),
                "KmsMasterKeyId": choice("HasKey", attribute("Key.Arn"), NOTHING),
            },
        },
        "ReceivedTopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [ref("ReceivedTopic")],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [publish()]},
            },
        },
        "ReceivedSubscription": {
            "Type": "AWS::SNS::Subscription",
            "DependsOn": "ReceivedQueuePolicy",
            "Properties": {
                "TopicArn": ref("ReceivedTopic"),
                "Protocol": "sqs",
                "Endpoint": attribute(f"{resource_of(queue)}.Arn"),
                "RawMessageDelivery": True,
            },
        },
        "ReceivedQueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [ref(resource_of(queue))],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [hand_on(resource_of(queue))]},
            },
        },
        "ReceiptRules": {
            "Type": "AWS::SES::ReceiptRuleSet",
            "Properties": {"RuleSetName": ref("AWS::StackName")},
        },
        "ReceiptRule": {
            "Type": "AWS::SES::ReceiptRule",
            # SES tries both when the rule is made. The subscription is there first, so that no letter goes unsaid.
            "DependsOn": ["RawBucketPolicy", "ReceivedTopicPolicy", "ReceivedSubscription"],
            "Properties": {
                "RuleSetName": ref("ReceiptRules"),
                "Rule": {
                    "Name": "everything",
                    "Enabled": True,
                    "ScanEnabled": True,
                    "TlsPolicy": "Optional",
                    "Recipients": ref("ReceivingDomains"),
                    "Actions": [{"S3Action": action}],
                },
            },
        },
    }


def from_rule() -> dict:
    """Only for this rule of this account."""
    return {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId"), "aws:SourceArn": sub(RULES)}}


def publish() -> dict:
    said = allow("ReceivedMail", ["sns:Publish"], ref("ReceivedTopic"))
    return said | {"Principal": {"Service": "ses.amazonaws.com"}, "Condition": from_rule()}


def hand_on(queue: str) -> dict:
    handed = allow("ReceivedMail", ["sqs:SendMessage"], attribute(f"{queue}.Arn"))
    condition = {"ArnEquals": {"aws:SourceArn": ref("ReceivedTopic")}}
    return handed | {"Principal": {"Service": "sns.amazonaws.com"}, "Condition": condition}


def bucket_statements(names: str) -> list:
    arn = attribute("RawBucket.Arn")
    everything = [arn, sub("${RawBucket.Arn}/*")]
    tls = {"Sid": "OnlyOverTls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything}
    tls["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    put = allow("MailFromSes", ["s3:PutObject"], sub("${RawBucket.Arn}/" + names + "*"))
    return [tls, put | {"Principal": {"Service": "ses.amazonaws.com"}, "Condition": from_rule()}]
