"""Alarms and the dashboard.

The functions' own dead letters become items of the control table, which no service counts: each is one line in a log,
and those lines are counted.
"""

import json

from .block import attribute, choice, ref, sub
from .functions import condition_of
from .permissions import TABLES, resource_of

MINUTE = 60
#: In this namespace stand the metrics that are made from logs.
OWN = sub("Pennypost/${AWS::StackName}")
DEAD_LETTERS = "DeadLetters"
#: What functions and adapter write when an event becomes a dead letter.
DEAD_LINE = '"event is a dead letter"'

#: Seconds that a message may wait before somebody is told. Housekeeping may take its time.
PATIENCE = {"house": 6 * 3600}
SHORT_PATIENCE = 900

#: Metrics whose sum is a table's throttling.
THROTTLES = ("ReadThrottleEvents", "WriteThrottleEvents")


def alarms(facts: dict) -> dict:
    found = {}
    fused = {needs["trigger"].get("queue") for needs in facts["fused"]}
    raw = {needs["trigger"]["queue"] for needs in facts["unfused"] if needs["raw_mail"]}
    for queue in facts["queues"]:
        # What only some stacks send to. What lies for other servers when sending is switched off is put down by the adapter.
        condition = "HasReceiving" if queue in raw else "HasAdapter" if queue == facts["remote"]["name"] else None
        if condition:
            alarms_of_queue = queue_alarms(queue, condition)
            found |= {name: {**body, "Condition": condition} for name, body in alarms_of_queue.items()}
        else:
            found |= queue_alarms(queue, None if queue in fused else "HasEveryQueue")
    for name, condition in functions_of(facts):
        found |= function_alarms(name, condition)
    for table in TABLES:
        found |= table_alarm(table)
    found |= adapter_alarms()
    given_up = {"Namespace": OWN, "MetricName": DEAD_LETTERS, "Statistic": "Sum"}
    found["GivenUp"] = alarm("Events were given up: pennypost dead-letters list", given_up, above=0)
    return found


def functions_of(facts: dict) -> list[tuple[str, str]]:
    fused = {needs["name"]: needs for needs in facts["fused"]}
    return [(needs["name"], condition_of(fused.get(needs["name"]), needs)) for needs in facts["unfused"]]


def queue_alarms(queue: str, condition: str | None) -> dict:
    """Nobody dies of a queue that nobody works, but somebody has to know if a message lies in it."""
    resource = resource_of(queue)
    patience = PATIENCE.get(queue, SHORT_PATIENCE)
    old = alarm(
        f"Messages wait in {queue}",
        metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", QueueName=attribute(f"{resource}.QueueName")),
        above=patience,
        periods=3,
    )
    dead_queue = attribute(f"{resource}Dead.QueueName")
    dead = alarm(
        f"Functions died with messages of {queue}: pennypost dead-letters list",
        metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", QueueName=dead_queue),
        above=0,
        condition=condition,
    )
    return {f"{resource}Old": old, f"{resource}DeadFull": dead}


def function_alarms(name: str, condition: str) -> dict:
    prefix = name.capitalize()
    found = {}
    for what, text in (("Errors", "fails"), ("Throttles", "is throttled")):
        found[f"{prefix}{what}"] = alarm(
            f"Function {name} {text}",
            metric("AWS/Lambda", what, "Sum", FunctionName=ref(f"{prefix}Function")),
            above=0,
            periods=3,
            condition=condition,
        )
    return found | dead_lines(f"{prefix}Log", condition)


def dead_lines(log: str, condition: str) -> dict:
    """Counts the lines of one log. A line counts nothing where there is none: a metric that is silent is free."""
    counted = {"MetricNamespace": OWN, "MetricName": DEAD_LETTERS, "MetricValue": "1"}
    return {
        f"{log.removesuffix('Log')}DeadLines": {
            "Type": "AWS::Logs::MetricFilter",
            "Condition": condition,
            "Properties": {
                "LogGroupName": ref(log),
                "FilterPattern": DEAD_LINE,
                "MetricTransformations": [counted],
            },
        }
    }


def table_alarm(table: str) -> dict:
    name = ref(TABLES[table])

    def query(number: int, what: str) -> dict:
        stat = {
            "Metric": {
                "Namespace": "AWS/DynamoDB",
                "MetricName": what,
                "Dimensions": [{"Name": "TableName", "Value": name}],
            },
            "Period": 5 * MINUTE,
            "Stat": "Sum",
        }
        return {"Id": f"m{number}", "ReturnData": False, "MetricStat": stat}

    metrics = [query(number, what) for number, what in enumerate(THROTTLES, 1)]
    total = {"Id": "throttled", "Expression": "FILL(m1, 0) + FILL(m2, 0)", "Label": "throttled"}
    body = alarm(f"Table {table} is throttled", {"Metrics": [total, *metrics]}, above=0, periods=3)
    body["Properties"].pop("Period")
    return {f"{table.capitalize()}Throttled": body}


def adapter_alarms() -> dict:
    name = choice("IsBalanced", attribute("BalancedService.Name"), attribute("SingleService.Name"))
    service = {"ClusterName": ref("Cluster"), "ServiceName": name}
    memory = alarm(
        "The adapter's memory is nearly full",
        metric("AWS/ECS", "MemoryUtilization", "Maximum", **service),
        above=90,
        periods=3,
        condition="HasAdapter",
    )
    # A service whose tasks are gone reports nothing.
    gone = alarm(
        "No adapter runs",
        metric("AWS/ECS", "CPUUtilization", "SampleCount", **service),
        above=1,
        periods=2,
        condition="HasAdapter",
    )
    gone["Properties"] |= {"ComparisonOperator": "LessThanThreshold", "TreatMissingData": "breaching"}
    unwell = alarm(
        "An adapter is not well",
        metric(
            "AWS/NetworkELB",
            "UnHealthyHostCount",
            "Maximum",
            LoadBalancer=attribute("Balancer.LoadBalancerFullName"),
            TargetGroup=attribute("SmtpTargets.TargetGroupFullName"),
        ),
        above=0,
        periods=3,
        condition="IsBalanced",
    )
    lines = dead_lines("AdapterLog", "HasAdapter")
    return {"AdapterMemoryFull": memory, "AdapterGone": gone, "AdapterUnwell": unwell, **lines}


def metric(namespace: str, name: str, statistic: str, **dimensions: object) -> dict:
    listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, "Statistic": statistic, "Dimensions": listed}


def alarm(text: str, measured: dict, above: int, periods: int = 1, condition: str | None = None) -> dict:
    properties = {
        "AlarmDescription": text,
        **measured,
        "Period": 5 * MINUTE,
        "EvaluationPeriods": periods,
        "Threshold": above,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [ref("Alarms")],
        "OKActions": [ref("Alarms")],
    }
    head = {"Type": "AWS::CloudWatch::Alarm"}
    return {**head, **({"Condition": condition} if condition else {}), "Properties": properties}


# ---- the dashboard ----


def dashboard(facts: dict) -> dict:
    """Names stand in it as the services make them, so that a resource that a condition leaves out shows an empty line."""
    queues, names = facts["queues"], [name for name, _ in functions_of(facts)]
    stack = "${AWS::StackName}"
    by_queue = lambda what, suffix="": [["AWS/SQS", what, "QueueName", f"{stack}-{queue}{suffix}"] for queue in queues]
    by_function = lambda what: [["AWS/Lambda", what, "FunctionName", f"{stack}-{name}"] for name in names]
    by_table = lambda what: [["AWS/DynamoDB", what, "TableName", f"{stack}-{table}"] for table in TABLES]
    adapter = [["ClusterName", stack, "ServiceName", service] for service in ("single", "balanced")]
    graphs = [
        ("Oldest message, seconds", "Maximum", by_queue("ApproximateAgeOfOldestMessage")),
        ("Messages waiting", "Maximum", by_queue("ApproximateNumberOfMessagesVisible")),
        ("Dead letters in queues", "Maximum", by_queue("ApproximateNumberOfMessagesVisible", "-dead")),
        ("Invocations", "Sum", by_function("Invocations")),
        ("Errors and throttles", "Sum", by_function("Errors") + by_function("Throttles")),
        ("Duration, milliseconds", "p90", by_function("Duration")),
        ("Units written", "Sum", by_table("ConsumedWriteCapacityUnits")),
        ("Units read", "Sum", by_table("ConsumedReadCapacityUnits")),
        ("Adapter, percent", "Maximum", [
            ["AWS/ECS", what, *each] for what in ("CPUUtilization", "MemoryUtilization") for each in adapter
        ]),
    ]
    widgets = [
        {
            "type": "metric",
            "x": number % 3 * 8,
            "y": number // 3 * 6,
            "width": 8,
            "height": 6,
            "properties": {"title": title, "stat": stat, "period": 300, "region": "${AWS::Region}", "metrics": metrics},
        }
        for number, (title, stat, metrics) in enumerate(graphs)
    ]
    body = json.dumps({"widgets": widgets}, separators=(",", ":"))
    properties = {"DashboardName": ref("AWS::StackName"), "DashboardBody": sub(body)}
    return {"Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": properties}}
