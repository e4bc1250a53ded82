"""What is repeated for each port of the adapter, and its role."""

from dataclasses import dataclass

from . import permissions
from .block import NOTHING, attribute, choice, ref, sub
from .functions import document


@dataclass(frozen=True)
class Door:
    """A port that clients come to."""

    name: str
    port: int
    #: For how long the load balancer keeps a connection on which nothing is said. IMAP's IDLE is silent for up to 29
    #: minutes (RFC 2177 section 3), and sessions wait for a command for 31.
    idle_seconds: int
    #: What it is there for: `Sends`, `OnlyReceives`, or always.
    condition: str | None = None


#: A service takes five target groups. Where members send, those who read go by TLS from the beginning (RFC 8314 section 3).
DOORS = [
    Door("Smtp", 25, 360),
    Door("Submission", 587, 360, "Sends"),
    Door("Submissions", 465, 360, "Sends"),
    Door("Imap", 143, 1920, "OnlyReceives"),
    Door("Imaps", 993, 1920),
    Door("Pop3", 110, 660, "OnlyReceives"),
    Door("Pop3s", 995, 660),
]


def ingress(_facts: dict) -> list:
    return [opened(door) for door in DOORS if not door.condition]


def opened(door: Door) -> dict:
    return {"IpProtocol": "tcp", "FromPort": door.port, "ToPort": door.port, "CidrIp": "0.0.0.0/0", "Description": door.name}


def some_ingress(_facts: dict) -> dict:
    """Doors that are not always there."""
    return {
        f"{door.name}Door": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Condition": "Adapter" + door.condition,
            "Properties": {"GroupId": attribute("AdapterDoors.GroupId"), **opened(door)},
        }
        for door in DOORS
        if door.condition
    }


def ports(_facts: dict) -> list:
    return [{"ContainerPort": door.port, "Protocol": "tcp"} for door in DOORS]


def command(_facts: dict) -> list:
    settings = [
        sub("adapter.hostname=${Hostname}"),
        sub("pipeline.fused=${Fused}"),
        choice("Sends", "sending.enabled=true", "sending.enabled=false"),
    ]
    return ["serve", *(part for setting in settings for part in ("--set", setting))]


def environment(facts: dict) -> list:
    # A door that nobody reaches from outside is on this machine alone.
    listen = {
        f"PENNYPOST_{door.name.upper()}": choice(door.condition, f"0.0.0.0:{door.port}", f"127.0.0.1:{door.port}")
        if door.condition
        else f"0.0.0.0:{door.port}"
        for door in DOORS
    }
    queues = {f"PENNYPOST_QUEUE_{queue.upper()}": ref(permissions.resource_of(queue)) for queue in facts["queues"]}
    variables = {
        "PENNYPOST_BACKEND": "aws",
        "PENNYPOST_HANDLERS": choice("AdapterHandles", "all", "sending"),
        "PENNYPOST_STACK": ref("AWS::StackName"),
        "PENNYPOST_BUCKET": ref("MailBucket"),
        "PENNYPOST_LOG": "info",
        **listen,
        "PENNYPOST_HTTP": "0.0.0.0:2080",
        # What opens the keys by which letters are signed. Empty is as good as not there.
        "PENNYPOST_SEALING_KEYS": ref("SealingKeys"),
        "PENNYPOST_SMART_HOST": ref("SmartHost"),
        **queues,
    }
    return [{"Name": name, "Value": value} for name, value in variables.items()]


def secrets(_facts: dict) -> object:
    """What the image's entry point puts into files."""

    def of(arn: str, keys: dict[str, str]) -> list:
        return [{"Name": name, "ValueFrom": sub("${" + arn + "}:" + key + "::")} for name, key in keys.items()]

    certificate = of("TlsSecretArn", {"PENNYPOST_TLS_CERTIFICATE": "certificate", "PENNYPOST_TLS_KEY": "key"})
    login = of("SmartHostSecretArn", {"PENNYPOST_SMART_HOST_USER": "user", "PENNYPOST_SMART_HOST_PASSWORD": "password"})
    return choice(
        "HasCertificate",
        choice("HasSmartHostLogin", certificate + login, certificate),
        choice("HasSmartHostLogin", login, NOTHING),
    )


def role(facts: dict) -> dict:
    sending = document(permissions.statements(facts["sending_adapter"], facts))
    handling = document(permissions.statements(facts["handling_adapter"], facts))
    policy = {"PolicyName": "needs", "PolicyDocument": choice("AdapterHandles", handling, sending)}
    properties = permissions.role("ecs-tasks.amazonaws.com", Policies=[policy])
    return {"AdapterRole": {"Type": "AWS::IAM::Role", "Condition": "HasAdapter", "Properties": properties}}


def depends(_facts: dict) -> list:
    # A resource with a condition may stand here: where it is left out, so is the wait for it.
    return ["DefaultRoute", *(f"{door.name}Listener" for door in DOORS)]


def targets(_facts: dict) -> object:
    def where(condition: str) -> list:
        return [
            {"ContainerName": "adapter", "ContainerPort": door.port, "TargetGroupArn": ref(f"{door.name}Targets")}
            for door in DOORS
            if door.condition in (None, condition)
        ]

    return choice("Sends", where("Sends"), where("OnlyReceives"))


def balancer_ports(_facts: dict) -> dict:
    found = {}
    for door in DOORS:
        condition = "Balanced" + door.condition if door.condition else "IsBalanced"
        found[f"{door.name}Targets"] = {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Condition": condition,
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
            "Condition": condition,
            "Properties": {
                "LoadBalancerArn": ref("Balancer"),
                "Protocol": "TCP",
                "Port": door.port,
                "DefaultActions": [{"Type": "forward", "TargetGroupArn": ref(f"{door.name}Targets")}],
                "ListenerAttributes": [{"Key": "tcp.idle_timeout.seconds", "Value": str(door.idle_seconds)}],
            },
        }
    return found
