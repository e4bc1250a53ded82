"""Letters out: from members' hands to the other server, beside Postfix; and what many letters cost that have to wait."""

import os
import re
import shutil
import smtplib
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import disk
import document
from sections import Plan, Results, say
from support import packages, process
from support.pennypost import Pennypost
from support.ports import accepts_connections, free_ports
from support.reference import MASTER_CF
from support.zone import Zone

KINDS = ("pennypost", "postfix")
TITLES = {"pennypost": "Pennypost", "postfix": "Postfix"}
#: Domains that letters go to, all of which lead to one sink.
DESTINATIONS = (1, 16)
SENDERS = 4
DOMAIN = "performance.test"
#: An address of loopback at which nobody listens.
NOBODY = "127.0.9.9"
PATIENCE = 600

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/postfix-data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/log/postfix.log
maillog_file_prefixes = {root}
myhostname = mx.performance.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
in_flow_delay = 0
transport_maps = regexp:{root}/config/transport
smtpd_tls_security_level = may
smtpd_tls_cert_file = {root}/cert.pem
smtpd_tls_key_file = {root}/key.pem
"""


class Sink:
    """Debian's smtp-sink: takes everything, and says how many messages it has."""

    def __init__(self):
        (self.port,) = free_ports(1)
        program = shutil.which("smtp-sink", path=os.environ.get("PATH", "") + ":/usr/sbin")
        command = [program, "-c", *(["-u", "nobody"] if os.geteuid() == 0 else []), f"inet:127.0.0.1:{self.port}", "1000"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.messages, self.last = 0, time.monotonic()
        threading.Thread(target=self._read, daemon=True).start()
        deadline = time.monotonic() + 20
        while not accepts_connections(self.port):
            if time.monotonic() > deadline:
                raise SystemExit("error: smtp-sink does not start")
            time.sleep(0.05)

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._process.stdout.fileno(), 65536):
            rest = (rest + chunk)[-200:]
            if found := re.findall(rb"mesg=(\d+)", rest):
                if int(found[-1]) != self.messages:
                    self.messages, self.last = int(found[-1]), time.monotonic()

    def wait_for(self, messages: int) -> float:
        """Until it has so many. When the last one came."""
        deadline = time.monotonic() + PATIENCE
        while self.messages < messages:
            if time.monotonic() > deadline:
                raise SystemExit(f"error: {self.messages} of {messages} letters have come out after {PATIENCE} s")
            time.sleep(0.01)
        return self.last

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Relay:
    """Debian's Postfix with its own settings, as they are, for letters out: it asks no DNS."""

    kind = "postfix"

    def __init__(self, root: Path, sink: int):
        self.root, self.port = root, free_ports(1)[0]
        for folder in ("config", "queue", "postfix-data", "log"):
            (root / folder).mkdir(parents=True)
        os.chmod(root, 0o755)
        shutil.chown(root / "postfix-data", "postfix")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", "/CN=localhost", "-keyout", root / "key.pem", "-out", root / "cert.pem"],
            check=True, capture_output=True,
        )
        facts = {"root": root, "smtp": self.port}
        (root / "config/main.cf").write_text(MAIN_CF.format(**facts))
        (root / "config/master.cf").write_text(MASTER_CF.format(**facts))
        (root / "config/transport").write_text(
            f"/@sink[0-9]+\\.test$/ smtp:[127.0.0.1]:{sink}\n/@nobody[0-9]+\\.test$/ smtp:[{NOBODY}]:{sink}\n")
        self._run("start", check=True)
        deadline = time.monotonic() + 20
        while not accepts_connections(self.port):
            if time.monotonic() > deadline:
                raise SystemExit(f"error: Postfix does not start; see {root}/log")
            time.sleep(0.05)
        self._master = int((root / "queue/pid/master.pid").read_text())

    def _run(self, what: str, check: bool = False) -> None:
        with open(self.root / "log/start.log", "ab") as log:
            command = ["postfix", "-c", str(self.root / "config"), what]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=check)

    def stop(self) -> None:
        self._run("stop")

    def client(self, _: int) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.port, timeout=60)
        client.ehlo()
        client.starttls()
        return client

    def processes(self) -> list[int]:
        return [self._master]

    def deferred(self) -> int:
        return sum(len(files) for _, _, files in os.walk(self.root / "queue/deferred"))


class PostOffice:
    """Pennypost, whose DNS is a zone of this test."""

    kind = "pennypost"

    def __init__(self, root: Path, sink: int, plan: Plan):
        self.root = root
        zone = Zone({})
        for number in range(max(DESTINATIONS)):
            for name, address in ((f"sink{number}.test", "127.0.0.1"), (f"nobody{number}.test", NOBODY)):
                zone.add(name, "MX", f"10 mx.{name}.")
                zone.add(f"mx.{name}", "A", address)
        settings = (
            "sending.enabled=true", f"sending.port={sink}", "sending.private_networks=true", "adapter.hostname=mx.performance.test",
            f'adapter.dns.servers=["127.0.0.1:{zone.port}"]', "adapter.limits.submission.messages_per_minute_and_account=0", "adapter.limits.smtp.messages_per_session=1000000",
        )
        self.office = Pennypost(plan.server, root / "office", (*settings, *plan.arguments.set))
        self.office.start()
        self.accounts = [self.office.add_account(f"member{number}@{DOMAIN}") for number in range(SENDERS)]

    def stop(self) -> None:
        self.office.stop()

    def client(self, number: int) -> smtplib.SMTP:
        account = self.accounts[number % len(self.accounts)]
        client = smtplib.SMTP("127.0.0.1", self.office.ports["submission"], timeout=60)
        client.ehlo()
        client.starttls()
        client.login(account.address, account.password)
        return client

    def processes(self) -> list[int]:
        return self.office.process_ids()

    def deferred(self) -> int:
        """Letters whose bytes wait for an attempt."""
        return sum(1 for path in (self.root / "office/objects").glob("*/spool/**/*") if path.is_file())


@contextmanager
def running(kind: str, plan: Plan):
    """The server with an empty queue, and a sink; both are gone afterwards."""
    scratch = Path(tempfile.mkdtemp(prefix="pennypost-outbound-", dir=plan.work))
    os.chmod(scratch, 0o755)
    sink = Sink()
    server = None
    os.sync()
    try:
        server = PostOffice(scratch, sink.port, plan) if kind == "pennypost" else Relay(scratch / "postfix", sink.port)
        yield server, sink
    finally:
        if server:
            server.stop()
        sink.stop()
        shutil.rmtree(scratch, ignore_errors=True)


class Watch:
    """Processor time of the server, and the most memory that it takes (PSS)."""

    def __init__(self, server):
        self._server, self._began = server, process.cpu_seconds(server.processes())
        self.most, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.25):
            self.most = max(self.most, memory(self._server))

    def end(self) -> float:
        """Seconds of the processor."""
        self._ended.set()
        self._thread.join()
        return process.cpu_seconds(self._server.processes()) - self._began


def memory(server) -> int:
    """KB (PSS) of all processes."""
    total = 0
    for pid in process.tree(server.processes()):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def letter(sender: str, to: str, number: int, size: int) -> bytes:
    head = f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: letter {number}\r\nMessage-ID: <{number}@{DOMAIN}>\r\n\r\n"
    line = "All work and no play makes a dull letter, so here is another line of it.\r\n"
    return (head + f"{number:08} {line}" * (size // (len(line) + 9))).encode()


def hand_in(server, letters: int, domain: str, destinations: int, size: int) -> float:
    """By several connections, one letter after the other on each. When it began."""
    faults, clients = [], [server.client(number) for number in range(SENDERS)]

    def work(place: int, client: smtplib.SMTP) -> None:
        sender = f"member{place}@{DOMAIN}"
        try:
            for number in range(place, letters, SENDERS):
                to = f"you{number}@{domain}{number % destinations}.test"
                client.sendmail(sender, [to], letter(sender, to, number, size))
            client.quit()
        except (OSError, smtplib.SMTPException) as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=each) for each in enumerate(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise SystemExit(f"error: {server.kind} refused a letter: {faults[0]!r}")
    return began


def measure(plan: Plan) -> tuple[Results, str]:
    packages.ensure({"smtp-sink": ["postfix"], "postfix": ["postfix"], "openssl": ["openssl"]})
    packages.ensure_modules({"dns": ["python3-dnspython"]})
    results = Results()
    kinds = kinds_of(plan)
    for round_ in range(plan.rounds(3)):
        for kind in kinds:
            for destinations in DESTINATIONS:
                with running(kind, plan) as (server, sink):
                    results.add(send(plan, server, sink, destinations), "sent", destinations, kind)
                figures = results["sent", destinations, kind]
                say(f"round {round_ + 1} {kind}, {destinations} destinations: {figures['', 'sent']:.0f} sent/s, "
                    f"{figures['', 'accepted']:.0f} accepted/s, {figures['', 'cpu_per_message']:.2f} ms CPU")
    for number in waiting(plan):
        for kind in kinds:
            with running(kind, plan) as (server, sink):
                results.add(wait(plan, server, sink, number), "waiting", number, kind)
            figures = results["waiting", number, kind]
            say(f"{number} waiting, {kind}: {figures['', 'memory_waiting'] / 1024:.0f} MB, "
                f"{figures['', 'sent']:.0f} sent/s to others")
    return results, section(plan, results, kinds)


def kinds_of(plan: Plan) -> list[str]:
    only = plan.arguments.only
    return [kind for kind in KINDS if not only or kind in only]


def letters_of(plan: Plan) -> int:
    return 200 if plan.quick else 3_000


def waiting(plan: Plan) -> list[int]:
    return plan.arguments.messages or ([200] if plan.quick else [1_000, 10_000])


def bytes_of(plan: Plan) -> int:
    return {"2k": 2_000, "100k": 100_000}.get(plan.arguments.size, 10_000)


def send(plan: Plan, server, sink: Sink, destinations: int) -> dict:
    letters, watch = letters_of(plan), Watch(server)
    began = hand_in(server, letters, "sink", destinations, bytes_of(plan))
    accepted = time.monotonic()
    ended = sink.wait_for(letters)
    processor = watch.end()
    return figures(accepted=letters / (accepted - began), sent=letters / (ended - began),
                   cpu_per_message=1000 * processor / letters, memory_peak=watch.most)


def wait(plan: Plan, server, sink: Sink, letters: int, until_quiet: bool = True) -> dict:
    """So many letters to where nobody is; when each was tried, others to where somebody is. Very many are never quiet: while the
    last are tried once, the first are tried again."""
    os.sync()
    before, occupied = memory(server), disk.bytes_on_disk([server.root])
    watch = Watch(server)
    hand_in(server, letters, "nobody", max(DESTINATIONS), bytes_of(plan))
    deadline = time.monotonic() + PATIENCE
    settle(server, letters, deadline, until_quiet)
    processor = watch.end()
    os.sync()
    grown = disk.bytes_on_disk([server.root]) - occupied
    rested, there = process.cpu_seconds(server.processes()), memory(server)
    rest = 5 if plan.quick else 60
    time.sleep(rest)
    resting = process.cpu_seconds(server.processes()) - rested
    others = letters_of(plan) // 4
    began = hand_in(server, others, "sink", 1, bytes_of(plan))
    ended = sink.wait_for(others)
    return figures(memory_before=before, memory_waiting=there, memory_peak=watch.most, cpu_per_message=1000 * processor / letters,
                   disk_per_message=grown / letters, cpu_resting=1000 * resting / rest, sent=others / (ended - began))


def settle(server, letters: int, deadline: float, until_quiet: bool) -> None:
    """Until all of them wait, and the server has done what it had to for the first attempts."""
    quiet, used = 0, process.cpu_seconds(server.processes())
    while server.deferred() < letters or (until_quiet and quiet < 3):
        if time.monotonic() > deadline:
            raise SystemExit(f"error: {server.deferred()} of {letters} letters wait after {PATIENCE} s")
        time.sleep(1)
        now = process.cpu_seconds(server.processes())
        quiet, used = (quiet + 1 if now - used < 0.1 else 0), now


def figures(**values: float) -> dict:
    return {"figures": [{"operation": "", "measure": name, "median": value} for name, value in values.items()]}


def section(plan: Plan, results: Results, kinds: list[str]) -> str:
    both = len(kinds) == 2
    heads = [*(TITLES[kind] for kind in kinds), *(["× Postfix"] if both else [])]
    size = bytes_of(plan) // 1000

    def row(title: str, case: tuple, name: str, divisor: float = 1, more_is_better: bool = False) -> list[str]:
        values = [results[(*case, kind)].get("", name) for kind in kinds]
        shown = [document.number(None if value is None else value / divisor) for value in values]
        if not both:
            return [title, *shown]
        return [title, *shown, document.ratio(*(reversed(values) if more_is_better else values))]

    parts = []
    rows = []
    for destinations in DESTINATIONS:
        case, where = ("sent", destinations), "1 domain" if destinations == 1 else f"{destinations} domains"
        rows += [
            row(f"to {where}: sent a second", case, "sent", 1, True),
            row(f"to {where}: accepted a second meanwhile", case, "accepted", 1, True),
            row(f"to {where}: server CPU for a letter, ms", case, "cpu_per_message"),
            row(f"to {where}: memory at most (PSS), MB", case, "memory_peak", 1024),
        ]
    parts += [document.table([f"{letters_of(plan):,} letters of {size} KB", *heads], rows), ""]
    for number in waiting(plan):
        case = ("waiting", number)
        rest = 5 if plan.quick else 60
        rows = [
            row("memory before (PSS), MB", case, "memory_before", 1024),
            row("memory while they wait (PSS), MB", case, "memory_waiting", 1024),
            row("server CPU for a letter, accepted and tried once, ms", case, "cpu_per_message"),
            row("on disk for a letter, KB", case, "disk_per_message", 1024),
            row(f"server CPU in a second of the next {rest}, ms", case, "cpu_resting"),
            row("then, to a domain that is there: sent a second", case, "sent", 1, True),
        ]
        parts += [document.table([f"{number:,} letters of {size} KB to {max(DESTINATIONS)} domains where nobody is", *heads], rows), ""]
    parts.append(
        f"{SENDERS} connections with STARTTLS hand the letters in, members with a password at Pennypost, anybody at Postfix; sent: from the "
        "first letter's MAIL until smtp-sink has the last one. Both have their own settings for how much goes out at once: Pennypost "
        "50 attempts, 25 of one tenant and 10 of it to one domain; Postfix 100 processes, 20 to one domain. Pennypost asks a name server on this "
        f"machine, Postfix has a table; Pennypost keeps the sender a copy, Postfix none; both sync what they accept. {plan.medians(3)} "
        "× is how many times as good Pennypost is; bold if it is worse.")
    return "\n".join(parts)

