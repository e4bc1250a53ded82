"""Everything that keeps mail, or carries it, is encrypted by its service; with the stack's key where it is wanted. And nothing is
taken or given without TLS."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "infra/pennypost.yaml"
#: What carries alarms, and no mail.
WITHOUT_MAIL = {"Alarms"}
KEY = {"GetAtt": "Key.Arn"}
NOTHING = {"Ref": "AWS::NoValue"}


class Reader(yaml.SafeLoader):
    """Reads functions of the template as a mapping with their name."""


def function(reader: Reader, name: str, node: yaml.Node) -> dict:
    if isinstance(node, yaml.ScalarNode):
        return {name: node.value}
    if isinstance(node, yaml.SequenceNode):
        return {name: reader.construct_sequence(node, deep=True)}
    return {name: reader.construct_mapping(node, deep=True)}


Reader.add_multi_constructor("!", function)


def main() -> int:
    template = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Reader)  # noqa: S506: a safe loader
    wrong = what_is_open(template["Resources"])
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


# Feature AUT-22: in the cloud buckets, tables, queues, topics and logs are encrypted, with a key of the installation where it is wanted, and buckets refuse what comes without TLS; elsewhere secrets are sealed and the rest is the disk's
def what_is_open(resources: dict[str, dict]) -> list[str]:
    wrong, seen = [], set()
    policies = [resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::S3::BucketPolicy"]
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        kind = resource["Type"]
        seen.add(kind)
        if kind == "AWS::S3::Bucket":
            rules = properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
            wanted = {"SSEAlgorithm": if_key("aws:kms", "AES256"), "KMSMasterKeyID": if_key(KEY, NOTHING)}
            if [rule.get("ServerSideEncryptionByDefault") for rule in rules] != [wanted]:
                wrong.append(f"{name}: objects are not encrypted")
            if not any(policy["Bucket"] == {"Ref": name} and refuses_without_tls(policy, name) for policy in policies):
                wrong.append(f"{name}: takes and gives objects without TLS")
        elif kind == "AWS::DynamoDB::Table":
            # Without a word the service encrypts with a key of its own.
            wanted = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
            if properties.get("SSESpecification") != if_key(wanted, NOTHING):
                wrong.append(f"{name}: items are not encrypted with the stack's key")
        elif kind == "AWS::SQS::Queue":
            wanted = (if_key(NOTHING, True), if_key(KEY, NOTHING))
            if (properties.get("SqsManagedSseEnabled"), properties.get("KmsMasterKeyId")) != wanted:
                wrong.append(f"{name}: messages are not encrypted")
        elif kind == "AWS::SNS::Topic" and name not in WITHOUT_MAIL:
            if properties.get("KmsMasterKeyId") != if_key(KEY, NOTHING):
                wrong.append(f"{name}: messages are not encrypted with the stack's key")
        elif kind == "AWS::Logs::LogGroup" and properties.get("KmsKeyId") != if_key(KEY, NOTHING):
            wrong.append(f"{name}: lines are not encrypted with the stack's key")
    stores = {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::Logs::LogGroup"}
    # Something that nobody has thought of here would be taken for encrypted.
    others = {"AWS::Kinesis::Stream", "AWS::EFS::FileSystem", "AWS::EC2::Volume", "AWS::RDS::DBInstance"} & seen
    wrong += [f"{kind}: is it encrypted?" for kind in sorted(others)]
    wrong += [f"there is no {kind}" for kind in sorted(stores - seen)]
    return wrong


def if_key(wanted: object, otherwise: object) -> dict:
    return {"If": ["HasKey", wanted, otherwise]}


def refuses_without_tls(policy: dict, bucket: str) -> bool:
    wanted = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [{"GetAtt": f"{bucket}.Arn"}, {"Sub": f"${{{bucket}.Arn}}/*"}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    statements = policy["PolicyDocument"]["Statement"]
    return any({key: value for key, value in one.items() if key != "Sid"} == wanted for one in statements)


if __name__ == "__main__":
    sys.exit(main())
