"""Every sample mail through SMTP (or APPEND, or import) and back, byte for byte."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from support.imap_wire import Imap, ImapError
from support.pennypost import REPOSITORY, Pennypost
from support.smtp_wire import Smtp, SmtpLost, SmtpRefused

from . import Context, check
from .pop3_by_hand import retrieve_all
from .tools import SENDER, difference, messages, open_mailbox

SAMPLES = REPOSITORY / "samplemail"


@dataclass
class Sample:
    name: str
    octets: bytes
    transmit: str
    needs: list[str]
    #: The way it went in, once it did.
    way: str = ""

    def parameters(self) -> str:
        """What MAIL FROM has to announce."""
        words = [" BODY=8BITMIME" if any(octet > 127 for octet in self.octets) else ""]
        words += [" SMTPUTF8" if "smtputf8" in self.needs else ""]
        return "".join(words)


def samples(folder: Path, listing: str) -> list[Sample]:
    entries = json.loads((SAMPLES / "manifest.json").read_text())[listing]
    return [
        Sample(entry["file"], (folder / entry["file"]).read_bytes(), entry["transmit"], entry["needs"])
        for entry in entries
    ]


@check("samplemail: every mail comes back byte-identical over IMAP and POP3")
def small(context: Context) -> None:
    round_trip(context, "samplemail", [s for s in samples(SAMPLES, "mails") if s.transmit != "raw-smtp"])


@check("samplemail: so do the mails of up to 25 MB")
def big(context: Context) -> None:
    folder = context.folder("big")
    subprocess.run([sys.executable, str(SAMPLES / "generate.py"), "--big", str(folder)],
                   check=True, capture_output=True)
    round_trip(context, "samplemail-big", [s for s in samples(folder, "big") if s.transmit != "raw-smtp"])


def round_trip(context: Context, account_name: str, mails: list[Sample]) -> None:
    office = context.office
    account = context.account(account_name)
    faults = []
    sent: list[Sample] = []
    for mail in mails:
        try:
            put_in(context, account, mail)
            sent.append(mail)
        except (SmtpRefused, SmtpLost, ImapError, AssertionError) as refusal:
            faults.append(f"{mail.name} was not taken: {refusal}")
        # One after the other, so that the order in the mailbox is known.
        if not arrived(context, account, len(sent)):
            faults.append(f"{mail.name} was taken by {mail.way} and did not arrive")
            sent.pop()
    in_inbox = [octets for _, (_, octets) in sorted(messages(office, account).items())]
    if junk := messages(office, account, "Junk"):
        faults.append(f"{len(junk)} mails are in Junk")
    retrieved = retrieve_all(office, account)
    for protocol, got in (("IMAP", in_inbox), ("POP3", retrieved)):
        if len(got) != len(sent):
            faults.append(f"{protocol} shows {len(got)} mails, {len(sent)} were taken")
        for mail, octets in zip(sent, got):
            if not is_same(office.keeps_bytes, protocol, mail, octets):
                faults.append(f"{mail.name} (by {mail.way}) over {protocol}: {difference(octets, mail.octets)}")
    by_other_ways = [f"{mail.name} by {mail.way}" for mail in sent if mail.way != "SMTP"]
    print(f"     {len(sent)} mails, all by SMTP but: {', '.join(by_other_ways) or 'none'}")
    assert not faults, f"{len(faults)} faults: " + "; ".join(faults)


def is_same(keeps_bytes: bool, protocol: str, mail: Sample, got: bytes) -> bool:
    expected = mail.octets
    if mail.way == "import" and got.replace(b"\r\n", b"\n") == expected.replace(b"\r\n", b"\n"):
        return True  # a file with Unix line ends becomes a mail with CRLF
    if protocol == "POP3" and not expected.endswith(b"\r\n"):
        expected += b"\r\n"  # RFC 1939 section 3: the terminator stands on a line of its own
    return got == expected if keeps_bytes else got.endswith(expected)


def put_in(context: Context, account, mail: Sample) -> None:
    """By SMTP if it can carry the bytes; if not, by APPEND; if not, by import."""
    if mail.transmit == "smtp":
        client = Smtp(context.office.ports["smtp"])
        try:
            client.transmit(SENDER, [account.address], mail.octets, mail.parameters())
            mail.way = "SMTP"
            return
        except SmtpRefused:
            if "nul" not in mail.needs:
                raise
        finally:
            client.close()
    try:
        client = Imap(context.office.ports["imap"])
        client.login(account.address, account.password)
        client.command(b"APPEND INBOX", literal=mail.octets)
        client.close()
        mail.way = "APPEND"
    except ImapError:
        if not isinstance(context.office, Pennypost):
            raise
        folder = context.folder(f"import-{Path(mail.name).stem}")
        (folder / "mail.eml").write_bytes(mail.octets)
        done = context.office.run("import", account.address, str(folder), "--mailbox", "INBOX")
        assert done.returncode == 0, f"import: {done.stderr.strip()}"
        mail.way = "import"


def arrived(context: Context, account, count: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while total(context, account) < count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def total(context: Context, account) -> int:
    client = open_mailbox(context.office, account)
    count = 0
    for mailbox in (b"INBOX", b"Junk"):
        _, responses = client.command(b"STATUS %s (MESSAGES)" % mailbox)
        count += sum(int(r[0].rstrip(b") ").split()[-1]) for r in responses if r[0].startswith(b"* STATUS"))
    client.close()
    return count


@check("samplemail: no smuggled mail is taken as one of its own")
def smuggling(context: Context) -> None:
    account = context.account("smuggling")
    faults = []
    attempts = [s for s in samples(SAMPLES, "mails") if s.transmit == "raw-smtp"]
    assert attempts, "no smuggling samples"
    for attempt in attempts:
        client = Smtp(context.office.ports["smtp"], timeout=5)
        client.command(f"MAIL FROM:<{SENDER}>", 250)
        client.command(f"RCPT TO:<{account.address}>", 250)
        client.command("DATA", 354)
        client.send(attempt.octets)
        try:
            client.reply()
            client.command("NOOP", 250)
        except (SmtpLost, SmtpRefused, TimeoutError):
            pass  # refusing or dropping the connection is as good
        client.close()
    # A clean letter goes last; what came before it must have arrived by then.
    control = b"From: a@example.test\r\nSubject: control\r\n\r\nlast\r\n"
    Smtp(context.office.ports["smtp"]).transmit(SENDER, [account.address], control)
    deadline = time.monotonic() + 15
    while True:
        received = [octets for _, octets in messages(context.office, account).values()]
        if any(b"\nSubject: control\r\n" in octets for octets in received):
            break
        assert time.monotonic() < deadline, "the letter after the attempts is missing"
        time.sleep(0.1)
    for octets in received:
        header = octets.partition(b"\r\n\r\n")[0]
        if b"\nSubject: SMUGGLED" in header:
            faults.append(f"smuggled: {octets[:200]!r}")
    assert len(received) <= len(attempts) + 1, f"{len(received)} mails of {len(attempts) + 1} transactions"
    assert not faults, "; ".join(faults)
