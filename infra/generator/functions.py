"""Functions with their roles, logs and triggers.

What `facts["fused"]` and `facts["unfused"]` say of the same function becomes one function; where they differ in
permissions or environment, the template chooses by its parameter Fused.
"""

from . import permissions
from .block import NOTHING, attribute, choice, ref, sub

#: Stages whose batches the template's parameters set: their figures in the facts are the parameters' defaults.
MAIL_PATH = ("inbound", "filter", "deliver")


def functions(facts: dict) -> dict:
    fused = {needs["name"]: needs for needs in facts["fused"]}
    unfused = {needs["name"]: needs for needs in facts["unfused"]}
    found = {}
    for name in unfused:
        found |= one_function(name, fused.get(name), unfused[name], facts)
    return found


def condition_of(fused: dict | None, needs: dict) -> str:
    if needs["raw_mail"]:
        return "HasReceiving"
    if needs["trigger"]["kind"] == "http":
        return "HasApi"
    return "HasFunctions" if fused else "HasStageFunctions"


def one_function(name: str, fused: dict | None, unfused: dict, facts: dict) -> dict:
    condition = condition_of(fused, unfused)
    prefix = name.capitalize()
    either = [needs for needs in (fused, unfused) if needs]
    found = {
        f"{prefix}Log": log(name),
        f"{prefix}Role": {"Type": "AWS::IAM::Role", "Properties": role(name, fused, unfused, facts)},
        f"{prefix}Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": sub("${AWS::StackName}-" + name),
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Architectures": [ref("Architecture")],
                "Code": {"S3Bucket": ref("CodeBucket"), "S3Key": sub("${CodePrefix}/" + name + ".zip")},
                "Role": attribute(f"{prefix}Role.Arn"),
                "MemorySize": max(needs["memory_mb"] for needs in either),
                "Timeout": max(needs["timeout_seconds"] for needs in either),
                "ReservedConcurrentExecutions": choice("ReservesConcurrency", ref("ReservedConcurrency"), NOTHING),
                "LoggingConfig": {"LogGroup": ref(f"{prefix}Log"), "LogFormat": "JSON", "SystemLogLevel": "WARN"},
                "Environment": {"Variables": environment(either, facts)},
                "KmsKeyArn": choice("HasKey", attribute("Key.Arn"), NOTHING),
            },
        },
    }
    found |= trigger(prefix, unfused)
    return {resource: conditioned(body, condition) for resource, body in found.items()}


def conditioned(body: dict, condition: str) -> dict:
    kind = body.pop("Type")
    return {"Type": kind, "Condition": condition, **body}


def log(name: str) -> dict:
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": sub("/pennypost/${AWS::StackName}/" + name),
            "RetentionInDays": ref("LogDays"),
            "KmsKeyId": choice("HasKey", attribute("Key.Arn"), NOTHING),
        },
    }


def role(name: str, fused: dict | None, unfused: dict, facts: dict) -> dict:
    own_log = permissions.allow(
        "OwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], attribute(f"{name.capitalize()}Log.Arn")
    )
    wanted = document([own_log, *permissions.statements(unfused, facts)])
    if fused:
        joined = document([own_log, *permissions.statements(fused, facts)])
        if joined != wanted:
            wanted = choice("IsFused", joined, wanted)
    return permissions.role("lambda.amazonaws.com", Policies=[{"PolicyName": "needs", "PolicyDocument": wanted}])


def document(statements: list) -> dict:
    return {"Version": "2012-10-17", "Statement": statements}


def environment(either: list[dict], facts: dict) -> dict:
    queues = set()
    for needs in either:
        queues |= {*needs["sends"], *needs["measures"], *permissions.receives(needs)}
        # The dead-letter queues are found by the addresses of the queues.
        queues |= set(facts["queues"]) if needs["dead_letters"] else set()
    found = {
        "PENNYPOST_STACK": ref("AWS::StackName"),
        "PENNYPOST_BUCKET": ref("MailBucket"),
        "PENNYPOST_FUSE": ref("Fused"),
    }
    # Whoever forwards and answers, lets letters of mailings go, and says whether letters go out: administration.
    sends = lambda needs: "remote" in needs["sends"] or needs["trigger"]["kind"] == "schedule"
    if any(sends(needs) or is_administration(needs) for needs in either):
        found["PENNYPOST_SENDING"] = choice("Sends", "on", "off")
    if any(needs["raw_mail"] for needs in either):
        found["PENNYPOST_RAW_BUCKET"] = ref("RawBucket")
        found["PENNYPOST_HOSTNAME"] = choice("HasHostname", ref("Hostname"), NOTHING)
    if any(needs["trigger"]["kind"] == "http" for needs in either):
        # Ports as the template's adapter listens; without an adapter, as whatever serves in its place.
        found["PENNYPOST_HOSTNAME"] = ref("Hostname")
        found["PENNYPOST_OUTGOING"] = choice(
            "HasOutgoing", ref("OutgoingServer"), choice("Sends", sub("${Hostname}:465"), NOTHING)
        )
    # Whoever makes keys of domains.
    if any(is_administration(needs) for needs in either):
        found["PENNYPOST_SEALING_KEYS"] = choice("HasSealingKeys", ref("SealingKeys"), NOTHING)
    for queue in sorted(queues):
        found[f"PENNYPOST_QUEUE_{queue.upper()}"] = ref(permissions.resource_of(queue))
    return found


def is_administration(needs: dict) -> bool:
    return needs["trigger"]["kind"] == "http" or needs["trigger"].get("queue") == "house"


def trigger(prefix: str, needs: dict) -> dict:
    how = needs["trigger"]
    if how["kind"] == "queue":
        return {f"{prefix}Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping(prefix, how)}}
    if how["kind"] == "http":
        return http(prefix)
    return schedule(prefix, how["minutes"])


def mapping(prefix: str, how: dict) -> dict:
    batch, window, concurrency = how["batch"], how["window_seconds"], how["maximum_concurrency"]
    if how["queue"] in MAIL_PATH:
        batch, window, concurrency = ref("MailBatchSize"), ref("MailBatchWindow"), ref("MailConcurrency")
    return {
        "FunctionName": ref(f"{prefix}Function"),
        "EventSourceArn": attribute(permissions.resource_of(how["queue"]) + ".Arn"),
        "BatchSize": batch,
        "MaximumBatchingWindowInSeconds": window,
        "ScalingConfig": {"MaximumConcurrency": concurrency},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }


def schedule(prefix: str, minutes: int) -> dict:
    invoke = permissions.allow("Invoke", ["lambda:InvokeFunction"], attribute(f"{prefix}Function.Arn"))
    clock = permissions.role(
        "scheduler.amazonaws.com", Policies=[{"PolicyName": "invoke", "PolicyDocument": document([invoke])}]
    )
    trust = clock["AssumeRolePolicyDocument"]["Statement"][0]
    trust["Condition"] = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    return {
        f"{prefix}ClockRole": {"Type": "AWS::IAM::Role", "Properties": clock},
        f"{prefix}Clock": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": sub("${AWS::StackName}-" + prefix.lower()),
                "ScheduleExpression": f"rate({minutes} minutes)",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": attribute(f"{prefix}Function.Arn"),
                    "RoleArn": attribute(f"{prefix}ClockRole.Arn"),
                    # The next tick does what this one did not.
                    "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": minutes * 60},
                },
            },
        },
    }


def http(prefix: str) -> dict:
    """An HTTP API in front of the function: it takes names of the domains' own, and bounds how often the function is asked,
    which an address of the function by itself would not."""
    function = attribute(f"{prefix}Function.Arn")
    return {
        f"{prefix}Http": {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {"Name": sub("${AWS::StackName}-" + prefix.lower()), "ProtocolType": "HTTP"},
        },
        f"{prefix}Integration": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": ref(f"{prefix}Http"),
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": function,
                "PayloadFormatVersion": "2.0",
            },
        },
        f"{prefix}Route": {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {
                "ApiId": ref(f"{prefix}Http"),
                "RouteKey": "$default",
                "Target": sub("integrations/${" + prefix + "Integration}"),
            },
        },
        f"{prefix}Stage": {
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {
                "ApiId": ref(f"{prefix}Http"),
                "StageName": "$default",
                "AutoDeploy": True,
                "DefaultRouteSettings": {
                    "ThrottlingRateLimit": ref("ApiRate"),
                    "ThrottlingBurstLimit": ref("ApiRate"),
                },
            },
        },
        f"{prefix}Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": ref(f"{prefix}Function"),
                "Action": "lambda:InvokeFunction",
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": sub(
                    "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${" + prefix + "Http}/*"
                ),
            },
        },
    }
