"""What is repeated for each port of the adapter, and its role."""

from dataclasses import dataclass

from . import permissions
from .block import choice, ref, sub
from .functions import document


@dataclass(frozen=True)
class Door:
    """A port that clients come to."""

    name: str
    port: int
    #: For how long the load balancer keeps a connection on which nothing is said. IMAP's IDLE is silent for up to 29
    #: minutes (RFC 2177 section 3), and sessions wait for a command for 31.
    idle_seconds: int


DOORS = [
    Door("Smtp", 25, 360),
    Door("Imap", 143, 1920),
    Door("Imaps", 993, 1920),
    Door("Pop3", 110, 660),
    Door("Pop3s", 995, 660),
]


def ingress(_facts: dict) -> list:
    return [
        {"IpProtocol": "tcp", "FromPort": door.port, "ToPort": door.port, "CidrIp": "0.0.0.0/0", "Description": door.name}
        for door in DOORS
    ]


def ports(_facts: dict) -> list:
    return [{"ContainerPort": door.port, "Protocol": "tcp"} for door in DOORS]


def command(_facts: dict) -> list:
    settings = [sub("adapter.hostname=${Hostname}"), sub("pipeline.fused=${Fused}")]
    return ["serve", *(part for setting in settings for part in ("--set", setting))]


def environment(facts: dict) -> list:
    listen = {f"PENNYPOST_{door.name.upper()}": f"0.0.0.0:{door.port}" for door in DOORS}
    queues = {f"PENNYPOST_QUEUE_{queue.upper()}": ref(permissions.resource_of(queue)) for queue in facts["queues"]}
    variables = {
        "PENNYPOST_BACKEND": "aws",
        "PENNYPOST_HANDLERS": choice("AdapterHandles", "all", "none"),
        "PENNYPOST_STACK": ref("AWS::StackName"),
        "PENNYPOST_BUCKET": ref("MailBucket"),
        "PENNYPOST_LOG": "info",
        **listen,
        "PENNYPOST_HTTP": "0.0.0.0:2080",
        **queues,
    }
    return [{"Name": name, "Value": value} for name, value in variables.items()]


def role(facts: dict) -> dict:
    alone = document(permissions.statements(facts["adapter"], facts))
    handling = document(permissions.statements(facts["handling_adapter"], facts))
    policy = {"PolicyName": "needs", "PolicyDocument": choice("AdapterHandles", handling, alone)}
    properties = permissions.role("ecs-tasks.amazonaws.com", Policies=[policy])
    return {"AdapterRole": {"Type": "AWS::IAM::Role", "Condition": "HasAdapter", "Properties": properties}}


def depends(_facts: dict) -> list:
    # A resource with a condition may stand here: where it is left out, so is the wait for it.
    return ["DefaultRoute", *(f"{door.name}Listener" for door in DOORS)]


def targets(_facts: dict) -> list:
    return [
        {"ContainerName": "adapter", "ContainerPort": door.port, "TargetGroupArn": ref(f"{door.name}Targets")}
        for door in DOORS
    ]


def balancer_ports(_facts: dict) -> dict:
    found = {}
    for door in DOORS:
        found[f"{door.name}Targets"] = {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Condition": "IsBalanced",
            "Properties": {
                "VpcId": ref("Network"),
                "Protocol": "TCP",
                "Port": door.port,
                "TargetType": "ip",
                "HealthCheckProtocol": "HTTP",
                "HealthCheckPort": "2080",
                "HealthCheckPath": "/healthz",
                "HealthCheckIntervalSeconds": 10,
                "HealthyThresholdCount": 2,
                "UnhealthyThresholdCount": 3,
                "TargetGroupAttributes": [
                    {"Key": "preserve_client_ip.enabled", "Value": "true"},
                    {"Key": "deregistration_delay.timeout_seconds", "Value": "30"},
                    {"Key": "deregistration_delay.connection_termination.enabled", "Value": "true"},
                ],
            },
        }
        found[f"{door.name}Listener"] = {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Condition": "IsBalanced",
            "Properties": {
                "LoadBalancerArn": ref("Balancer"),
                "Protocol": "TCP",
                "Port": door.port,
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": ref(f"{door.name}Targets")}],
                "ListenerAttributes": [{"Key": "tcp.idle_timeout.seconds", "Value": str(door.idle_seconds)}],
            },
        }
    return found
