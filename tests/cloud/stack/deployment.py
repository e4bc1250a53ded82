"""Creating the template's stack on the emulator, and reading the template as data."""

import ast
import io
import json
import zipfile
from pathlib import Path

import boto3
import yaml

INFRA = Path(__file__).resolve().parents[3] / "infra"
CODE_BUCKET = "packages"
#: What moto's CloudFormation does not know: the stack is created without it.
UNKNOWN = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::Logs::MetricFilter",
    "AWS::S3::BucketPolicy",
    "AWS::SES::ReceiptRule",
    "AWS::SES::ReceiptRuleSet",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
}


class Loader(yaml.SafeLoader):
    """Reads the short tags as what they stand for, as far as the tests look at them."""


Loader.add_multi_constructor(
    "!",
    lambda loader, tag, node: {
        tag: loader.construct_scalar(node)
        if isinstance(node, yaml.ScalarNode)
        else loader.construct_sequence(node, deep=True)
    },
)


def template() -> str:
    return (INFRA / "pennypost.yaml").read_text(encoding="utf-8")


def resources() -> dict:
    return yaml.load(template(), Loader)["Resources"]


def facts() -> dict:
    return json.loads((INFRA / "facts.json").read_text(encoding="utf-8"))


def open_code_bucket():
    """The client for the bucket of templates and packages, which is there afterwards."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=CODE_BUCKET)
    return s3


def upload_packages() -> None:
    """A package for each function. Functions do not run here."""
    s3 = open_code_bucket()
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
    for needs in facts()["unfused"]:
        s3.put_object(Bucket=CODE_BUCKET, Key=f"pennypost/{needs['name']}.zip", Body=package.getvalue())


def create(stack: str, parameters: dict) -> dict[str, dict]:
    """Creates the stack; the resources that are there, by their names in the template."""
    open_code_bucket().put_object(Bucket=CODE_BUCKET, Key="template.yaml", Body=template())
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack,
        TemplateURL=f"https://s3.amazonaws.com/{CODE_BUCKET}/template.yaml",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    assert described["StackStatus"] == "CREATE_COMPLETE", described
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    found = (each for page in pages for each in page["StackResourceSummaries"])
    # What moto does not know has no name.
    return {each["LogicalResourceId"]: each for each in found if each["LogicalResourceId"]}


def outputs(stack: str) -> dict[str, str]:
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def statements(role: str) -> list[dict]:
    """What a role of a stack is allowed."""
    iam, found = boto3.client("iam"), []
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        # moto keeps the policies of a stack's roles as Python writes them, and does not leave AWS::NoValue out of lists.
        document = ast.literal_eval(document) if isinstance(document, str) else document
        found += filter(None, document["Statement"])
    return found
