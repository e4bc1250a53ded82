"""An installation on the emulated services: tables, queues and the bucket, as the software's facts describe them; and the
service's part of a queue's function: it takes messages, invokes, and deletes what the answer does not name."""

import json
import uuid
from pathlib import Path

import boto3

REPOSITORY = Path(__file__).resolve().parents[3]
FACTS = json.loads((REPOSITORY / "infra" / "facts.json").read_text())


class Installation:
    def __init__(self) -> None:
        self.stack = f"test-{uuid.uuid4().hex[:12]}"
        self.sqs, self.s3, self.dynamodb = boto3.client("sqs"), boto3.client("s3"), boto3.client("dynamodb")
        for table in FACTS["tables"]:
            keys = [(table["partition"], "HASH"), (table["sort"], "RANGE")]
            self.dynamodb.create_table(
                TableName=self.stack + table["suffix"],
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": key["name"], "KeyType": kind} for key, kind in keys],
                AttributeDefinitions=[{"AttributeName": key["name"], "AttributeType": key["type"]} for key, _ in keys],
            )
        self.urls = {}
        for name in FACTS["queues"]:
            self.urls[name] = self.sqs.create_queue(QueueName=f"{self.stack}-{name}")["QueueUrl"]
            self.sqs.create_queue(QueueName=f"{self.stack}-{name}-dead")
        for bucket in ("mail", "raw"):
            self.s3.create_bucket(Bucket=f"{self.stack}-{bucket}")

    def environment(self, fuse: str) -> dict[str, str]:
        return {
            "PENNYPOST_STACK": self.stack,
            "PENNYPOST_FUSE": fuse,
            "PENNYPOST_RAW_BUCKET": f"{self.stack}-raw",
            "PENNYPOST_HOSTNAME": "mx.demo.test",
        }

    def send(self, queue: str, sample: dict) -> None:
        for record in sample["Records"]:
            # SQS takes no empty body.
            self.sqs.send_message(QueueUrl=self.urls[queue], MessageBody=record["body"] or " ")

    def batch(self, queue: str) -> dict:
        """What waits in a queue, as the service hands it to a function."""
        records = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=self.urls[queue], MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=300
            )
            if not answer.get("Messages"):
                return {"Records": records}
            records += [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                    "eventSource": "aws:sqs",
                }
                for message in answer["Messages"]
            ]

    def delete_what_is_done(self, queue: str, batch: dict, answer: dict) -> int:
        failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
        done = [record for record in batch["Records"] if record["messageId"] not in failed]
        for record in done:
            self.sqs.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=record["receiptHandle"])
        return len(done)

    def left(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())

    def items(self, suffix: str) -> list[dict]:
        return self.dynamodb.scan(TableName=self.stack + suffix)["Items"]

    def dead_letters(self) -> int:
        return sum(FACTS["dead_letters"] in json.dumps(item, default=str) for item in self.items("-control"))

    def objects(self, bucket: str = "mail") -> list[str]:
        answer = self.s3.list_objects_v2(Bucket=f"{self.stack}-{bucket}")
        return [found["Key"] for found in answer.get("Contents", [])]
