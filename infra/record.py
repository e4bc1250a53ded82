"""Points the adapter's name to the public address of its newest task (Lambda, on "ECS Task State Change")."""

import os

import boto3


def handler(event, _context):
    details = [detail for part in event["detail"]["attachments"] for detail in part["details"]]
    interface = next(detail["value"] for detail in details if detail["name"] == "networkInterfaceId")
    found = boto3.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[interface])
    address = found["NetworkInterfaces"][0]["Association"]["PublicIp"]
    record = {
        "Name": os.environ["HOSTNAME_OF_ADAPTER"] + ".",
        "Type": "A",
        "TTL": 60,
        "ResourceRecords": [{"Value": address}],
    }
    changes = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    boto3.client("route53").change_resource_record_sets(HostedZoneId=os.environ["ZONE"], ChangeBatch=changes)
    print(f"{record['Name']} is {address}")
