"""Creates every variant of the stack, and compares what is there with what the software expects of it."""

import json
import sys
from pathlib import Path

import boto3

sys.path[:0] = [str(Path(__file__).resolve().parent)]

import deployment  # noqa: E402
from record import check_record  # noqa: E402

WHOLE = "whole"
ADAPTER = {"Adapter": "single", "AdapterImage": "example/pennypost:1", "Hostname": "mx.example.com"}
VARIANTS = {
    "plain": {"CodeBucket": deployment.CODE_BUCKET},
    WHOLE: {
        "CodeBucket": deployment.CODE_BUCKET,
        "Fused": "false",
        "Encryption": "customer",
        "JournalRecovery": "false",
        "VersionDays": "0",
        "ArchiveMode": "GOVERNANCE",
        "AlarmEmail": "postmaster@example.com",
        "ReservedConcurrency": "20",
        "TlsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls-abcdef",
        "Sending": "adapter",
        "SmartHost": "email-smtp.us-east-1.amazonaws.com:465",
        "SmartHostSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls-ses",
        **ADAPTER,
    },
    "handling": {"Handlers": "adapter", **ADAPTER},
}
#: What only the load balancer needs: moto's CloudFormation makes application load balancers only.
BALANCED = {"Balancer", "BalancedService", "BalancedRecord", "AddressA", "AddressB"} | {
    door + part for door in ("Smtp", "Submission", "Submissions", "Imap", "Imaps", "Pop3", "Pop3s") for part in ("Targets", "Listener")
}

FACTS = deployment.facts()
VARIANTS[WHOLE] |= {"Receiving": "ses", "ReceivingDomains": "example.com,example.org"}
VARIANTS[WHOLE] |= {"Api": "http", "OutgoingServer": "smtp.example.net:465"}
faults: list[str] = []


def main() -> int:
    deployment.upload_packages()
    VARIANTS[WHOLE]["HostedZoneId"] = zone = hosted_zone()
    wanted = deployment.resources()
    created: set[str] = set()
    for stack, parameters in VARIANTS.items():
        found = deployment.create(stack, parameters)
        created |= set(found)
        check_tables(stack)
        check_queues(stack, parameters)
        check_buckets(stack, parameters)
        check_functions(stack, parameters)
        check_roles(stack, found)
        check_adapter(stack, parameters)
        print(f"  {stack}: {len(found)} resources")
    check_record(zone, "mx.example.com", expect)
    check_what_is_not_set(wanted)
    check_completeness(wanted, created)
    print("\n".join(f"error: {fault}" for fault in faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


def expect(what: str, is_there: object, wanted: object) -> None:
    if is_there != wanted:
        faults.append(f"{what} is {is_there!r}, not {wanted!r}")


def hosted_zone() -> str:
    zone = boto3.client("route53").create_hosted_zone(Name="example.com.", CallerReference="template")
    return zone["HostedZone"]["Id"].rpartition("/")[2]


def check_tables(stack: str) -> None:
    client = boto3.client("dynamodb")
    mine = [name for name in client.list_tables()["TableNames"] if name.startswith(f"{stack}-")]
    expect(f"tables of {stack}", sorted(mine), sorted(stack + table["suffix"] for table in FACTS["tables"]))
    for fact in FACTS["tables"]:
        name = stack + fact["suffix"]
        table = client.describe_table(TableName=name)["Table"]
        types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
        names = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
        keys = {kind: {"name": key, "type": types[key]} for kind, key in names.items()}
        expect(f"keys of {name}", keys, {"HASH": fact["partition"], "RANGE": fact["sort"]})
        expect(f"billing of {name}", table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        expect(f"deletion protection of {name}", str(table["DeletionProtectionEnabled"]).lower(), "true")
        expect(f"indexes of {name}", table.get("GlobalSecondaryIndexes", []), [])


def check_queues(stack: str, parameters: dict) -> None:
    client = boto3.client("sqs")
    urls = client.list_queues(QueueNamePrefix=f"{stack}-").get("QueueUrls", [])
    names = {url.rpartition("/")[2]: url for url in urls}
    wanted = {f"{stack}-{queue}{suffix}" for queue in FACTS["queues"] for suffix in ("", "-dead")}
    expect(f"queues of {stack}", set(names), wanted)
    for queue in FACTS["queues"]:
        name = f"{stack}-{queue}"
        attributes = client.get_queue_attributes(QueueUrl=names[name], AttributeNames=["All"])["Attributes"]
        dead = client.get_queue_attributes(QueueUrl=names[f"{name}-dead"], AttributeNames=["All"])["Attributes"]
        redrive = json.loads(attributes["RedrivePolicy"])
        works = [*FACTS["unfused"], FACTS["remote"]]
        trigger = next(n["trigger"] for n in works if n["trigger"].get("queue") == queue)
        expect(f"dead letters of {name}", redrive["deadLetterTargetArn"], dead["QueueArn"])
        expect(f"hand-outs of {name}", int(redrive["maxReceiveCount"]), trigger["maximum_receives"])
        expect(f"visibility of {name}", int(attributes["VisibilityTimeout"]), trigger["visibility_seconds"])
        for each, of in ((attributes, name), (dead, f"{name}-dead")):
            expect(f"retention of {of}", int(each["MessageRetentionPeriod"]), 14 * 86400)
            expect(f"largest message of {of}", int(each["MaximumMessageSize"]), 1 << 20)
            expect(f"own key of {of}", "KmsMasterKeyId" in each, parameters.get("Encryption") == "customer")


def check_buckets(stack: str, parameters: dict) -> None:
    s3 = boto3.client("s3")
    names = {name: f"{stack}-{name}-123456789012-us-east-1" for name in ("mail", "archive", "raw")}
    expect(f"mail bucket of {stack}", deployment.outputs(stack).get("MailBucket"), names["mail"])
    if parameters.get("Receiving") != "ses":
        names.pop("raw")
    mine = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"] if bucket["Name"].startswith(f"{stack}-")}
    expect(f"buckets of {stack}", mine, set(names.values()))
    for bucket in names.values():
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        algorithm = "aws:kms" if parameters.get("Encryption") == "customer" else "AES256"
        expect(f"encryption of {bucket}", rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], algorithm)


def check_functions(stack: str, parameters: dict) -> None:
    client = boto3.client("lambda")
    wanted = {}
    if parameters.get("Handlers") != "adapter":
        needs = FACTS["unfused" if parameters.get("Fused") == "false" else "fused"]
        receives, answers = parameters.get("Receiving") == "ses", parameters.get("Api") == "http"
        wanted = {
            f"{stack}-{each['name']}": each
            for each in needs
            if (receives or not each["raw_mail"]) and (answers or each["trigger"]["kind"] != "http")
        }
    there = {function["FunctionName"]: function for function in client.list_functions()["Functions"]}
    mine = {name for name in there if name.startswith(f"{stack}-") and name != f"{stack}-record"}
    expect(f"functions of {stack}", mine, set(wanted))
    for name in mine & set(wanted):
        needs, function = wanted[name], there[name]
        expect(f"time of {name}", function["Timeout"], needs["timeout_seconds"])
        expect(f"memory of {name}", function["MemorySize"] >= needs["memory_mb"], True)
        variables = function["Environment"]["Variables"]
        expect(f"bucket of {name}", variables["PENNYPOST_BUCKET"], deployment.outputs(stack)["MailBucket"])
        for queue in [*needs["sends"], *needs["measures"]]:
            url = variables.get(f"PENNYPOST_QUEUE_{queue.upper()}", "")
            expect(f"queue {queue} of {name}", url.rpartition("/")[2], f"{stack}-{queue}")
        if needs["raw_mail"]:
            expect(f"bucket of raw mail of {name}", variables["PENNYPOST_RAW_BUCKET"], deployment.outputs(stack)["RawBucket"])
            expect(f"hostname of {name}", variables["PENNYPOST_HOSTNAME"], parameters["Hostname"])
        if needs["trigger"]["kind"] == "http":
            told = [variables[f"PENNYPOST_{what}"] for what in ("HOSTNAME", "OUTGOING")]
            expect(f"what {name} tells", told, [parameters["Hostname"], parameters["OutgoingServer"]])
        mappings = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        trigger = needs["trigger"]
        expect(f"mappings of {name}", len(mappings), 1 if trigger["kind"] == "queue" else 0)
        for mapping in mappings:
            expect(f"queue of {name}", mapping["EventSourceArn"].rpartition(":")[2], f"{stack}-{trigger['queue']}")
            expect(f"batch of {name}", mapping["BatchSize"], trigger["batch"])


def check_roles(stack: str, found: dict) -> None:
    """Every permission names something of this stack, and nothing is allowed that a call does not need."""
    roles = [each["PhysicalResourceId"] for each in found.values() if each["ResourceType"] == "AWS::IAM::Role"]
    for role in roles:
        for statement in deployment.statements(role):
            check_statement(f"{role}, {statement['Sid']}", statement, stack)


def check_statement(what: str, statement: dict, stack: str) -> None:
    actions, resources = listed(statement["Action"]), listed(statement["Resource"])
    everything = {"ecr:GetAuthorizationToken", "ec2:DescribeNetworkInterfaces"}
    for resource in resources:
        if resource == "*":
            expect(f"{what}: on everything", set(actions) <= everything, True)
            continue
        elsewhere = (":repository/*", ":secret:tls-", ":hostedzone/", ":key/")
        own = f":{stack}-" in resource or f"/{stack}-" in resource or f"/{stack}/" in resource
        expect(f"{what}: {resource} is of the stack", own or any(part in resource for part in elsewhere), True)
    for action in actions:
        expect(f"{what}: {action} names one call", "*" not in action, True)


def listed(value: object) -> list:
    return value if isinstance(value, list) else [value]


def check_adapter(stack: str, parameters: dict) -> None:
    ecs = boto3.client("ecs")
    clusters = [arn for arn in ecs.list_clusters()["clusterArns"] if arn.endswith(f"/{stack}")]
    expect(f"clusters of {stack}", len(clusters), 1 if "Adapter" in parameters else 0)
    for cluster in clusters:
        services = ecs.list_services(cluster=cluster)["serviceArns"]
        expect(f"services of {stack}", [arn.rpartition("/")[2] for arn in services], ["single"])


def check_what_is_not_set(wanted: dict) -> None:
    """What moto's CloudFormation leaves out of resources that it makes, as it stands in the template."""
    properties = {name: body.get("Properties", {}) for name, body in wanted.items()}
    for fact in FACTS["tables"]:
        name = fact["suffix"].strip("-").capitalize() + "Table"
        ttl = {"AttributeName": fact["ttl"], "Enabled": True} if fact["ttl"] else None
        expect(f"TTL of {name}", properties[name].get("TimeToLiveSpecification"), ttl)
        recovery = properties[name].get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled")
        on = {"Ref": "JournalRecovery"} if name == "JournalTable" else True
        expect(f"point-in-time recovery of {name}", recovery, on if fact["point_in_time_recovery"] else None)
        encryption = properties[name]["SSESpecification"]["If"]
        expect(f"key of {name}", (encryption[0], encryption[1]["KMSMasterKeyId"]), ("HasKey", {"GetAtt": "Key.Arn"}))
    for bucket in (name for name, body in wanted.items() if body["Type"] == "AWS::S3::Bucket"):
        blocked = properties[bucket]["PublicAccessBlockConfiguration"]
        expect(f"closed doors of {bucket}", list(blocked.values()), [True] * 4)
    action = properties["ReceiptRule"]["Rule"]["Actions"][0]["S3Action"]
    said = {"BucketName": {"Ref": "RawBucket"}, "ObjectKeyPrefix": FACTS["raw_mail"], "TopicArn": {"Ref": "ReceivedTopic"}}
    expect("what the receipt rule does", action, said)
    expect("the topic's messages are as SES writes them", properties["ReceivedSubscription"]["RawMessageDelivery"], True)
    for name, needs in {each["name"]: each for each in FACTS["unfused"]}.items():
        function = properties[f"{name.capitalize()}Function"]
        expect(f"architecture of {name}", function["Architectures"], [{"Ref": "Architecture"}])
        if needs["trigger"]["kind"] == "queue":
            mapping = properties[f"{name.capitalize()}Mapping"]
            expect(f"partial answers of {name}", mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
            expect(f"concurrency of {name}", list(mapping["ScalingConfig"]), ["MaximumConcurrency"])


def check_completeness(wanted: dict, created: set[str]) -> None:
    """Every resource was created in some variant, but for those that are known not to be."""
    for name, body in wanted.items():
        is_known = name not in BALANCED and body["Type"] not in deployment.UNKNOWN
        if is_known != (name in created):
            faults.append(f"{name} ({body['Type']}) was {'not ' if is_known else ''}created: see UNKNOWN and BALANCED")
    print(f"  {len(created)} of {len(wanted)} resources were created")
    unknown = sorted({body["Type"] for body in wanted.values()} & deployment.UNKNOWN)
    print(f"  not created, unknown to the emulator: {', '.join(unknown)}")
    print(f"  not created, only with a network load balancer: {', '.join(sorted(BALANCED))}")


if __name__ == "__main__":
    sys.exit(main())
