"""A letter through each kind of stack: in by SMTP, out by IMAP, at a post office that runs as the stack's task would.

Command and environment are those of the task in the stack, certificate and key as its secret would give them, and it is
started by the image's entry point; only the ports are free ones of this machine. Where functions handle events their
programs run as Lambda would run them (functions.py). Each is held to the role that the stack gave it (guard.py).

    mail.py PENNYPOST [FOLDER OF THE FUNCTIONS' PROGRAMS]
"""

import datetime
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
from support import imap_wire  # noqa: E402
from support.office import Account  # noqa: E402
from support.pennypost import LISTENERS, Pennypost  # noqa: E402

HOSTNAME = "mx.acme.example"
TASK = {
    "Adapter": "single",
    "AdapterImage": "example/pennypost:1",
    "Hostname": HOSTNAME,
    "TlsSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:tls-abcdef",
}
FUNCTIONS = {"CodeBucket": deployment.CODE_BUCKET, **TASK}
#: Stacks in which the task handles events, and in which functions do.
ALONE = {"alone": {"Handlers": "adapter", **TASK}}
TOGETHER = {"fused": FUNCTIONS, "unfused": {"Fused": "false", **FUNCTIONS}}
IMAGE = deployment.INFRA / "container"
ADDRESS = "ann@acme.example"
SENDER = "me@example.org"
LETTER = f"From: {SENDER}\r\nTo: {ADDRESS}\r\nSubject: through a stack\r\n\r\n".encode() + b"hello\r\n" * 100


class Task(Pennypost):
    """The adapter's task, as ECS would start it; and the command line as an operator uses it."""

    def __init__(self, binary: str, folder: Path, container: dict, secret: dict[str, str]):
        super().__init__(binary, folder / "data")
        self.arguments = container["command"]
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
    secret, faults = make_certificate(), []
    for stack, parameters in {**ALONE, **(TOGETHER if programs else {})}.items():
        created = deployment.create(stack, parameters)
        with tempfile.TemporaryDirectory(prefix="pennypost-stack-") as folder:
            task = Task(binary, Path(folder), container(stack), secret)
            functions = functions_of(stack, created, Path(programs[0]), Path(folder)) if stack in TOGETHER else {}
            faults += through(stack, created, task, functions, secret)
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


def through(stack: str, created: dict, task: Task, functions: dict[str, Function], secret: dict[str, str]) -> list[str]:
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
        code = deliver(task, account, secret, guard.url, mappings.faults)
        if f"{stack}-schedule" in functions:
            functions[f"{stack}-schedule"].invoke({})
        while functions and waiting(stack) and not mappings.faults:
            time.sleep(0.1)
    assert not mappings.faults, mappings.faults
    assert code == 0, f"serve ended with code {code}: {task.log_tail()}"
    assert not (faults := task.verify()), faults
    assert not (letters := task.dead_letters()), letters
    check_where_it_lies(stack)
    print(f"  {stack}: in by SMTP, out by IMAP, byte for byte; verify is clean")
    guards = {"the task": guard, **{name: function.guard for name, function in functions.items()}}
    for name, guard in guards.items():
        print(f"  {stack}: {name} made {guard.made.total()} calls: {', '.join(sorted(guard.made))}")
    return [
        f"{stack}: the role of {name} does not allow {call} ({count} times)"
        for name, guard in guards.items()
        for call, count in guard.refused.items()
    ]


def deliver(task: Task, account: Account, secret: dict[str, str], url: str, faults: list[str]) -> int:
    """Runs the task against `url`, and a letter through it; the task's exit code."""
    names = [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]
    task.start(dict.fromkeys(names, url))
    try:
        assert task.is_well(), task.log_tail()
        greeting = send(task.ports["smtp"], secret)
        letter = fetch(task, account, secret, faults)
    finally:
        code = task.stop()
    assert HOSTNAME in greeting, greeting
    assert letter == LETTER, letter
    assert not task.is_well(), "the health check finds a task well that has ended"
    return code


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


def fetch(task: Task, account: Account, secret: dict[str, str], faults: list[str]) -> bytes:
    """The one letter, as soon as it is there."""
    client = imap_wire.Imap(task.ports["imaps"], trusting(secret))
    client.login(account.address, account.password)
    while task.alive() and not faults:
        client.command(b"SELECT INBOX")
        _, responses = client.command(b"UID FETCH 1:* (BODY.PEEK[])")
        letters = [imap_wire.fetched_literal(response) for response in responses if imap_wire.is_fetch(response)]
        if letters:
            client.close()
            assert len(letters) == 1, letters
            return letters[0]
        time.sleep(0.1)
    raise SystemExit(f"error: no letter came: {faults or task.log_tail()}")


def make_certificate() -> dict[str, str]:
    """The two texts of a secret as docs/deploy.md makes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOSTNAME)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    day = datetime.timedelta(days=1)
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    names = x509.SubjectAlternativeName([x509.DNSName(HOSTNAME), x509.DNSName("localhost")])
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
