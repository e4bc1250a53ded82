"""The function that points the adapter's name to its task: run as Lambda runs it, against the emulator."""

import importlib.util
import os

import boto3
from deployment import INFRA


def check_record(zone: str, hostname: str, expect) -> None:
    ec2 = boto3.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    address = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=interface)
    os.environ |= {"ZONE": zone, "HOSTNAME_OF_ADAPTER": hostname}
    spec = importlib.util.spec_from_file_location("record_function", INFRA / "record.py")
    function = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(function)
    # As ECS writes it: the interface is a detail of an attachment.
    details = [{"name": "subnetId", "value": subnet}, {"name": "networkInterfaceId", "value": interface}]
    attachments = [{"type": "sdi", "details": []}, {"type": "eni", "status": "ATTACHED", "details": details}]
    function.handler({"detail": {"lastStatus": "RUNNING", "attachments": attachments}}, None)
    records = boto3.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    mine = [record for record in records if (record["Name"], record["Type"]) == (f"{hostname}.", "A")]
    expect(f"the record of {hostname}", [record["ResourceRecords"] for record in mine], [[{"Value": address["PublicIp"]}]])
