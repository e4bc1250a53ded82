"""Mail that SES takes for us: its bucket and rule. SES puts each message there, and that starts a function."""

from .block import NOTHING, attribute, choice, ref, sub
from .functions import conditioned
from .permissions import RAW_BUCKET, allow


def receiving(facts: dict) -> dict:
    found = {}
    for needs in facts["unfused"]:
        if needs["trigger"]["kind"] == "object":
            found |= resources(needs["name"].capitalize(), needs["trigger"]["prefix"])
    return {resource: conditioned(body, "HasReceiving") for resource, body in found.items()}


def resources(prefix: str, names: str) -> dict:
    begins = {"S3Key": {"Rules": [{"Name": "prefix", "Value": names}]}}
    encryption = {
        "BucketKeyEnabled": choice("HasKey", True, NOTHING),
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": choice("HasKey", "aws:kms", "AES256"),
            "KMSMasterKeyID": choice("HasKey", attribute("Key.Arn"), NOTHING),
        },
    }
    private = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"]
    return {
        "RawBucket": {
            "Type": "AWS::S3::Bucket",
            "DependsOn": f"{prefix}Permission",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "BucketName": sub(RAW_BUCKET),
                "PublicAccessBlockConfiguration": {name: True for name in private},
                "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
                "LifecycleConfiguration": {
                    "Rules": [
                        # What its function has taken is gone by then; what it could not take was told by an alarm.
                        {"Id": "leftovers", "Status": "Enabled", "ExpirationInDays": 30},
                    ]
                },
                "NotificationConfiguration": {
                    "LambdaConfigurations": [
                        {"Event": "s3:ObjectCreated:*", "Filter": begins, "Function": attribute(f"{prefix}Function.Arn")}
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
        f"{prefix}Failures": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": ref(f"{prefix}Function"),
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 2,
                "DestinationConfig": {"OnFailure": {"Destination": ref("Alarms")}},
            },
        },
        "ReceiptRules": {
            "Type": "AWS::SES::ReceiptRuleSet",
            "Properties": {"RuleSetName": ref("AWS::StackName")},
        },
        "ReceiptRule": {
            "Type": "AWS::SES::ReceiptRule",
            "DependsOn": "RawBucketPolicy",
            "Properties": {
                "RuleSetName": ref("ReceiptRules"),
                "Rule": {
                    "Name": "everything",
                    "Enabled": True,
                    "ScanEnabled": True,
                    "TlsPolicy": "Optional",
                    "Recipients": ref("ReceivingDomains"),
                    "Actions": [{"S3Action": {"BucketName": ref("RawBucket"), "ObjectKeyPrefix": names}}],
                },
            },
        },
    }


def bucket_statements(names: str) -> list:
    arn = attribute("RawBucket.Arn")
    everything = [arn, sub("${RawBucket.Arn}/*")]
    tls = {"Sid": "OnlyOverTls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything}
    tls["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    put = allow("MailFromSes", ["s3:PutObject"], sub("${RawBucket.Arn}/" + names + "*"))
    put |= {"Principal": {"Service": "ses.amazonaws.com"}}
    put["Condition"] = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    return [tls, put]
