"""A letter through each kind of stack: in by SMTP, out by IMAP, at a post office that runs as the stack's task would; and
one from its reader to somebody elsewhere, by the stack's smart host.

Command and environment are those of the task in the stack, certificate and key as its secret would give them, and it is
started by the image's entry point; only the ports are free ones of this machine. Where functions handle events their
programs run as Lambda would run them (functions.py). Each is held to the role that the stack gave it (guard.py).

Where SES receives, a second letter is put into the bucket of raw mail and told to the topic, as SES would.

    mail.py PENNYPOST [FOLDER OF THE FUNCTIONS' PROGRAMS]
"""

import base64
import datetime
import ipaddress
import json
import os
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2])]

import deployment  # noqa: E402
from functions import Function, Mappings  # noqa: E402
from guard import Guard  # noqa: E402
from relay import LOGIN, Relay  # noqa: E402
from support import imap_wire  # noqa: E402
from support.office import Account  # noqa: E402
from support.pennypost import LISTENERS, Pennypost  # noqa: E402

HOSTNAME = "mx.acme.example"
TASK = {
    "Adapter": "single",
    "AdapterImage": "example/pennypost:1",
    "Hostname": HOSTNAME,
    "TlsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls-abcdef",
    "Sending": "adapter",
    "SmartHostSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:relay-abcdef",
    "SealingKeys": base64.b64encode(os.urandom(32)).decode(),
}
FUNCTIONS = {"CodeBucket": deployment.CODE_BUCKET, **TASK}
#: Stacks in which the task handles events, and in which functions do.
ALONE = {"alone": {"Handlers": "adapter", **TASK}}
RECEIVING = {"Receiving": "ses", "ReceivingDomains": "acme.example"}
API = {"Api": "http", "OutgoingServer": "smtp.example.net:465"}
TOGETHER = {"fused": {**FUNCTIONS, **RECEIVING, **API}, "unfused": {"Fused": "false", **FUNCTIONS}}
IMAGE = deployment.INFRA / "container"
ADDRESS = "ann@acme.example"
SENDER = "me@example.org"
ELSEWHERE = "you@elsewhere.example"
#: SES's id of the letter that it receives, and the letter as it puts it into the bucket.
RECEIVED = "o3vrnil0e2ic28trm7dfhrc2v0clambda4nbp0g1"
RECEIVED_LETTER = (
    f"Return-Path: <{SENDER}>\r\nReceived: from mx.example.org (mx.example.org [192.0.2.25])\r\n by "
    f"inbound-smtp.us-east-1.amazonaws.com with SMTP id {RECEIVED}\r\n for {ADDRESS};\r\n "
    f"Sat, 21 Nov 2026 08:15:30 +0000 (UTC)\r\nFrom: {SENDER}\r\nTo: {ADDRESS}\r\nSubject: by way of SES\r\n\r\nhello\r\n"
).encode()
OUT = "out@acme.example"
LETTER_OUT = (
    f"From: {ADDRESS}\r\nTo: {ELSEWHERE}\r\nSubject: out of a stack\r\nMessage-ID: <{OUT}>\r\n"
    "Date: Sat, 21 Nov 2026 09:15:30 +0000\r\n\r\nhello\r\n"
).encode()
LETTER = f"From: {SENDER}\r\nTo: {ADDRESS}\r\nSubject: through a stack\r\n\r\n".encode() + b"hello\r\n" * 100


class Task(Pennypost):
    """The adapter's task, as ECS would start it; and the command line as an operator uses it."""

    def __init__(self, binary: str, folder: Path, container: dict, secret: dict[str, str]):
        super().__init__(binary, folder / "data")
        self.arguments = [*container["command"], "--set", f"sending.authorities='{folder}/authority.pem'"]
        (folder / "authority.pem").write_text(secret["certificate"])
        self.environment = {each["name"]: each["value"] for each in container["environment"]}
        for each in container["secrets"]:
            self.environment[each["name"]] = secret[each["valueFrom"].split(":")[-3]]
        (folder / "bin").mkdir()
        (folder / "bin" / "pennypost").symlink_to(Path(binary).resolve())
        self.environment["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
        self.environment["PENNYPOST_DATA"] = str(self.data)

    def spawn(self, environment: dict[str, str] | None = None) -> None:
        listen = [part for name in LISTENERS for part in (f"--{name}", "127.0.0.1:0")]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(IMAGE / "start"), *self.arguments, "--json", *listen],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.environment, **(environment or {})},
            )

    def is_well(self) -> bool:
        """What the image's health check finds."""
        environment = {**os.environ, "PENNYPOST_HTTP": f"0.0.0.0:{self.ports['http']}"}
        looked = subprocess.run([str(IMAGE / "is-well")], env=environment, stderr=subprocess.DEVNULL)
        return looked.returncode == 0


def main() -> int:
    binary, *programs = sys.argv[1:]
    deployment.upload_packages()
    secret, faults = make_certificate() | LOGIN, []
    for stack, parameters in {**ALONE, **(TOGETHER if programs else {})}.items():
        with tempfile.TemporaryDirectory(prefix="pennypost-stack-") as folder:
            relay = Relay(secret, Path(folder))
            created = deployment.create(stack, {**parameters, "SmartHost": relay.address})
            task = Task(binary, Path(folder), container(stack), secret)
            functions = functions_of(stack, created, Path(programs[0]), Path(folder)) if stack in TOGETHER else {}
            faults += through(stack, created, task, functions, secret, relay)
            relay.close()
    print("\n".join(f"error: {fault}" for fault in faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


def functions_of(stack: str, created: dict, programs: Path, folder: Path) -> dict[str, Function]:
    """The functions of a stack by their names."""
    found = {}
    for name in sorted({each["name"] for each in deployment.facts()["unfused"]}):
        if f"{name.capitalize()}Function" in created:
            role = created[f"{name.capitalize()}Role"]["PhysicalResourceId"]
            found[f"{stack}-{name}"] = Function(f"{stack}-{name}", programs / name, role, folder / f"{name}.log")
    return found


def through(
    stack: str, created: dict, task: Task, functions: dict[str, Function], secret: dict[str, str], relay: Relay
) -> list[str]:
    """A letter through a stack; what its roles did not allow."""
    # What an operator sets is what the stack says; the task has its own.
    os.environ |= dict(word.split("=", 1) for word in deployment.outputs(stack)["Environment"].split())
    account = task.add_account(ADDRESS)
    role = created["AdapterRole"]["PhysicalResourceId"]
    guard = Guard(os.environ["AWS_ENDPOINT_URL"], deployment.statements(role))
    with ExitStack() as running:
        running.enter_context(guard)
        for function in functions.values():
            running.enter_context(function)
        mappings = running.enter_context(Mappings(functions))
        receiving = parameters_of(stack).get("Receiving") == "ses"
        code = deliver(stack if receiving else None, task, account, secret, guard.url, mappings.faults, relay)
        if f"{stack}-schedule" in functions:
            functions[f"{stack}-schedule"].invoke({})
        if f"{stack}-api" in functions:
            ask(functions[f"{stack}-api"], stack)
        while functions and waiting(stack) and not mappings.faults:
            time.sleep(0.1)
    assert not mappings.faults, mappings.faults
    assert code == 0, f"serve ended with code {code}: {task.log_tail()}"
    assert not (faults := task.verify()), faults
    assert not (letters := task.dead_letters()), letters
    check_where_it_lies(stack)
    print(f"  {stack}: in by SMTP, out by IMAP, byte for byte; verify is clean")
    check_what_went_out(stack, task, relay)
    if "RawBucket" in created:
        left = boto3.client("s3").list_objects_v2(Bucket=deployment.outputs(stack)["RawBucket"]).get("Contents", [])
        assert not left, left
        assert "nobody@" in task.run_ok("trace", RECEIVED), "the trace does not tell who was not reached"
        print(f"  {stack}: in by SES, once, out by IMAP; the bucket of raw mail is empty")
    guards = {"the task": guard, **{name: function.guard for name, function in functions.items()}}
    for name, guard in guards.items():
        print(f"  {stack}: {name} made {guard.made.total()} calls: {', '.join(sorted(guard.made))}")
    return [
        f"{stack}: the role of {name} does not allow {call} ({count} times)"
        for name, guard in guards.items()
        for call, count in guard.refused.items()
    ]


def parameters_of(stack: str) -> dict:
    return {**ALONE, **TOGETHER}[stack]


def deliver(
    receiving: str | None,
    task: Task,
    account: Account,
    secret: dict[str, str],
    url: str,
    faults: list[str],
    relay: Relay,
) -> int:
    """Runs the task against `url`, and a letter through it, a second one if SES receives for the stack; the task's exit
    code."""
    names = [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]
    task.start(dict.fromkeys(names, url))
    try:
        assert task.is_well(), task.log_tail()
        greeting = send(task.ports["smtp"], secret)
        letters = fetch(task, account, secret, faults, 1)
        if receiving:
            receive(receiving)
            letters = fetch(task, account, secret, faults, 2)
            # Again, as SNS may: the letter is gone by now.
            publish(receiving)
        submit(task, account, secret)
        # Its end is in the trace when the smart host's answer has been written down.
        while outcome(task) in (None, "deferred") and task.alive() and not faults:
            time.sleep(0.5)
    finally:
        code = task.stop()
    assert HOSTNAME in greeting, greeting
    assert letters == ([LETTER, RECEIVED_LETTER] if receiving else [LETTER]), letters
    assert not task.is_well(), "the health check finds a task well that has ended"
    return code


def submit(task: Task, account: Account, secret: dict[str, str]) -> None:
    """A letter of the reader to somebody elsewhere."""
    with smtplib.SMTP("127.0.0.1", task.ports["submission"], local_hostname="client.example.org") as client:
        client._host = HOSTNAME
        client.starttls(context=trusting(secret))
        client.login(account.address, account.password)
        client.sendmail(ADDRESS, [ELSEWHERE], LETTER_OUT)


def outcome(task: Task) -> str | None:
    """What became of the letter to somebody elsewhere."""
    lines = task.run("trace", OUT, "--json").stdout.splitlines()
    attempts = [attempt for line in lines for attempt in json.loads(line)["attempts"]]
    return attempts[-1]["recipients"][0]["outcome"] if attempts else None


def check_what_went_out(stack: str, task: Task, relay: Relay) -> None:
    """The smart host has the letter once, and the trace says so."""
    assert outcome(task) == "sent", (outcome(task), relay.received, task.log_tail())
    (sender, recipients, letter), *more = relay.received
    assert not more, more
    assert recipients == [ELSEWHERE], recipients
    assert sender == ADDRESS, sender
    assert letter.endswith(LETTER_OUT), letter
    print(f"  {stack}: in by submission, out by the smart host, once")


def container(stack: str) -> dict:
    """What the stack's task definition runs."""
    found = boto3.client("ecs").describe_task_definition(taskDefinition=f"{stack}-adapter")["taskDefinition"]
    return found["containerDefinitions"][0]


def send(port: int, secret: dict[str, str]) -> str:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example.org") as client:
        client.ehlo()
        # The name that the certificate has to be for.
        client._host = HOSTNAME
        client.starttls(context=trusting(secret))
        _, greeting = client.ehlo()
        client.sendmail(SENDER, [ADDRESS], LETTER)
    return greeting.decode()


def fetch(task: Task, account: Account, secret: dict[str, str], faults: list[str], count: int) -> list[bytes]:
    """The letters, as soon as so many are there, in the order of their UIDs."""
    client = imap_wire.Imap(task.ports["imaps"], trusting(secret))
    client.login(account.address, account.password)
    while task.alive() and not faults:
        client.command(b"SELECT INBOX")
        _, responses = client.command(b"UID FETCH 1:* (BODY.PEEK[])")
        letters = [imap_wire.fetched_literal(response) for response in responses if imap_wire.is_fetch(response)]
        if len(letters) >= count:
            client.close()
            return letters
        time.sleep(0.1)
    raise SystemExit(f"error: no letter came: {faults or task.log_tail()}")


def receive(stack: str) -> None:
    """SES's part: the letter into the bucket, its notification to the topic. The emulator's CloudFormation knows no
    subscriptions: it is made here as the template has it."""
    outputs = deployment.outputs(stack)
    wanted = deployment.resources()["ReceivedSubscription"]["Properties"]
    assert wanted["Endpoint"] == {"GetAtt": "ReceiveQueue.Arn"}, wanted
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{stack}-receive")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(
        TopicArn=outputs["ReceivedTopic"],
        Protocol=wanted["Protocol"],
        Endpoint=arn,
        Attributes={"RawMessageDelivery": str(wanted["RawMessageDelivery"]).lower()},
    )
    rule = deployment.resources()["ReceiptRule"]["Properties"]["Rule"]
    name = rule["Actions"][0]["S3Action"]["ObjectKeyPrefix"] + RECEIVED
    boto3.client("s3").put_object(Bucket=outputs["RawBucket"], Key=name, Body=RECEIVED_LETTER)
    publish(stack)


def ask(function: Function, stack: str) -> None:
    """What a mail program is told of a domain of this stack, and of one that is elsewhere."""
    event = json.loads((deployment.INFRA.parent / "events/api/autoconfig.json").read_text())
    for domain, status in ((ADDRESS.rpartition("@")[2], 200), ("elsewhere.example", 404)):
        event["rawQueryString"] = f"emailaddress=nobody%40{domain}"
        answer = function.invoke(event)
        assert answer["statusCode"] == status, answer
        if status == 200:
            assert f"<hostname>{HOSTNAME}</hostname>" in answer["body"], answer
            assert "<hostname>smtp.example.net</hostname>" in answer["body"], answer
    print(f"  {stack}: mail programs are told their servers")


def publish(stack: str) -> None:
    outputs = deployment.outputs(stack)
    sample = json.loads((deployment.INFRA.parent / "events/receive/letters.json").read_text())["Records"][0]
    said = json.loads(sample["body"])
    said["mail"] |= {"messageId": RECEIVED, "source": SENDER, "timestamp": "2026-11-21T08:15:30.000Z"}
    said["receipt"]["recipients"] = [ADDRESS, f"nobody@{ADDRESS.rpartition('@')[2]}"]
    said["receipt"]["action"] |= {"bucketName": outputs["RawBucket"], "objectKey": f"inbound/{RECEIVED}"}
    boto3.client("sns").publish(TopicArn=outputs["ReceivedTopic"], Message=json.dumps(said))


def make_certificate() -> dict[str, str]:
    """The two texts of a secret as docs/deploy.md makes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOSTNAME)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    day = datetime.timedelta(days=1)
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    names = x509.SubjectAlternativeName([x509.DNSName(HOSTNAME), x509.DNSName("localhost"), loopback])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "key": key.private_bytes(serialization.Encoding.PEM, *plain).decode(),
    }


def trusting(secret: dict[str, str]) -> ssl.SSLContext:
    """Trusts the secret's certificate and no other."""
    return ssl.create_default_context(cadata=secret["certificate"])


def check_where_it_lies(stack: str) -> None:
    """In the stack's own tables, bucket and queues, and nowhere else."""
    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    for table in deployment.facts()["tables"]:
        count = dynamodb.scan(TableName=stack + table["suffix"], Select="COUNT")["Count"]
        assert count > 0, f"nothing lies in {stack}{table['suffix']}"
    tables = {name for name in dynamodb.list_tables()["TableNames"] if name.startswith(f"{stack}-")}
    assert tables == {stack + table["suffix"] for table in deployment.facts()["tables"]}, tables
    objects = s3.list_objects_v2(Bucket=deployment.outputs(stack)["MailBucket"]).get("Contents", [])
    assert any("/pk/" in each["Key"] for each in objects), objects
    # What housekeeping was asked for may wait when the task that does it ends.
    left = set(waiting(stack)) - {f"{stack}-house"}
    assert not left, left


def waiting(stack: str) -> dict[str, int]:
    """The queues in which messages lie, and how many."""
    sqs, found = boto3.client("sqs"), {}
    for url in sqs.list_queues(QueueNamePrefix=f"{stack}-").get("QueueUrls", []):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        if count := sum(map(int, counts.values())):
            found[url.rpartition("/")[2]] = count
    return found


if __name__ == "__main__":
    sys.exit(main())
