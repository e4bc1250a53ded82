"""IAM statements from what a function needs.

The tables below say which calls each way of use may make: no more and no fewer than shared/backend-aws makes, which
tests/cloud/template compares with its source. Each statement names one table, bucket or queue.
"""

from .block import NOTHING, attribute, choice, ref, sub

#: The journal's and the control table's names of their resources.
TABLES = {"journal": "JournalTable", "control": "ControlTable", "log": "LogTable"}

READ = {
    "journal": ["Query"],
    "control": ["GetItem", "Query"],
    "log": ["Query"],
}
WRITE = {
    "journal": ["PutItem"],
    "control": ["PutItem", "UpdateItem", "DeleteItem"],
    "log": ["BatchWriteItem"],
}
#: Beyond writing, of whoever erases tenants that have ended.
ERASE = {"journal": ["BatchWriteItem"], "log": ["BatchWriteItem"]}
#: The name of the bucket of raw mail.
RAW_BUCKET = "${AWS::StackName}-raw-${AWS::AccountId}-${AWS::Region}"
#: In the partitions of dead letters and suspects, of whoever works a queue.
GIVE_UP = ["GetItem", "PutItem", "UpdateItem", "DeleteItem"]
#: Events that share a message are sent back one by one where one of them is to come again.
RECEIVE = ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "SendMessage"]
SEND = ["SendMessage"]
MEASURE = ["GetQueueAttributes"]
DRAIN = ["ReceiveMessage", "DeleteMessage"]
BELL = ["CreateQueue", "DeleteQueue", "ReceiveMessage", "DeleteMessage"]
OBJECTS = {"read": "GetObject", "write": "PutObject", "delete": "DeleteObject"}
LIST = "ListBucket"


def statements(needs: dict, facts: dict) -> list:
    """What a function with these needs may do, but for its log."""
    found = []
    found += tables(needs, facts)
    found += objects(needs, facts)
    found += queues(needs, facts)
    found.append(key(needs))
    return found


def tables(needs: dict, facts: dict) -> list:
    found = []
    for table, resource in TABLES.items():
        access = needs[table]
        actions = []
        if access in ("read", "read-write"):
            actions += READ[table]
        if access in ("write", "read-write"):
            actions += WRITE[table]
        if needs.get("erases"):
            actions += [action for action in ERASE.get(table, []) if action not in actions]
        if actions:
            found.append(allow(table.capitalize(), dynamodb(actions), attribute(f"{resource}.Arn")))
    if receives(needs) and needs["control"] != "read-write":
        found.append(in_partitions("GivenUp", GIVE_UP, [facts["dead_letters"], facts["suspects"]]))
    if needs["wakes"] and needs["control"] not in ("read", "read-write"):
        found.append(in_partitions("Adapters", ["Query"], [facts["adapters"]]))
    return found


def in_partitions(sid: str, actions: list[str], partitions: list[str]) -> dict:
    """Of the control table only these partitions."""
    statement = allow(sid, dynamodb(actions), attribute("ControlTable.Arn"))
    statement["Condition"] = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": partitions}}
    return statement


def receives(needs: dict) -> list[str]:
    """The queues that it works: of a function that of its trigger, of a process those that it polls."""
    if "receives" in needs:
        return needs["receives"]
    return [needs["trigger"]["queue"]] if "queue" in needs["trigger"] else []


def objects(needs: dict, facts: dict) -> list:
    found = []
    access = needs["objects"]
    for use, action in OBJECTS.items():
        if access[use]:
            found.append(allow("Objects" + use.capitalize(), [f"s3:{action}"], names(access[use])))
    if access["list"] or access["read"]:
        # Also for whoever only reads: without it S3 answers for an object that is missing as for one that is forbidden.
        found.append(allow("ObjectsList", [f"s3:{LIST}"], attribute("MailBucket.Arn")))
    if needs["raw_mail"]:
        raw = sub("${RawBucket.Arn}/" + facts["raw_mail"] + "*")
        found.append(allow("RawMail", ["s3:GetObject", "s3:DeleteObject"], raw))
        found.append(allow("RawMailList", [f"s3:{LIST}"], attribute("RawBucket.Arn")))
    return found


def names(kinds: list[str]) -> list:
    """Names of objects: tenant, kind, and the rest."""
    return [sub("${MailBucket.Arn}/*/" + kind + "/*") for kind in kinds]


def queues(needs: dict, facts: dict) -> list:
    found = []
    for sid, actions, named in (
        ("Receives", RECEIVE, receives(needs)),
        ("Sends", SEND, needs["sends"]),
        ("Measures", MEASURE, needs["measures"]),
    ):
        if named:
            arns = [attribute(f"{resource_of(queue)}.Arn") for queue in named]
            found.append(allow(sid, sqs(actions), arns))
    if needs["wakes"]:
        found.append(allow("Wakes", sqs(SEND), bells()))
    if needs.get("is_woken"):
        found.append(allow("IsWoken", sqs(BELL), bells()))
    if needs["dead_letters"]:
        arns = [attribute(f"{resource_of(queue)}Dead.Arn") for queue in facts["queues"]]
        found.append(allow("DrainsDeadLetters", sqs(DRAIN), arns))
    return found


def bells() -> object:
    """The queues that adapters make for themselves."""
    return sub("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-adapter-*")


def key(needs: dict) -> object:
    """The key of what it reads and writes, if the stack has one."""
    statement = allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], attribute("Key.Arn"))
    return choice("HasKey", statement, NOTHING)


def allow(sid: str, actions: list[str], resources: object) -> dict:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def dynamodb(actions: list[str]) -> list[str]:
    return [f"dynamodb:{action}" for action in actions]


def sqs(actions: list[str]) -> list[str]:
    return [f"sqs:{action}" for action in actions]


def resource_of(queue: str) -> str:
    return queue.capitalize() + "Queue"


def role(service: str, **extra: object) -> dict:
    """The properties of a role that a service takes."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}, **extra}


def policy(name: str, role_name: str, found: list) -> dict:
    document = {"Version": "2012-10-17", "Statement": found}
    return {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": name, "Roles": [ref(role_name)], "PolicyDocument": document},
    }
