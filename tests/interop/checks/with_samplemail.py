"""Every sample mail through SMTP (or APPEND) and back, byte for byte."""

import json
from pathlib import Path

from support.imap_wire import Imap, ImapError
from support.pennypost import REPOSITORY
from support.smtp_wire import Smtp, SmtpRefused, is_crlf_text

from . import Context, check
from .tools import SENDER, difference, messages, open_mailbox

SAMPLES = REPOSITORY / "samplemail"


def sample_files() -> list[Path]:
    """All mails of the corpus but those that are raw SMTP dialogues."""
    manifest = json.loads((SAMPLES / "manifest.json").read_text())
    entries = manifest if isinstance(manifest, list) else manifest.get("mails", manifest)
    if isinstance(entries, dict):
        entries = [{"file": name, **facts} for name, facts in entries.items()]
    left_out = {Path(entry["file"]).name for entry in entries if entry.get("transmit") == "raw-smtp"}
    files = sorted(path for path in (SAMPLES / "mails").rglob("*") if path.is_file())
    return [path for path in files if path.name not in left_out]


def append(context: Context, account, message: bytes) -> None:
    client = Imap(context.office.ports["imap"])
    client.login(account.address, account.password)
    client.command(b"APPEND INBOX", literal=message)
    client.close()


def pop3_retrieve_all(context: Context, account) -> list[bytes]:
    from .with_poplib import connect

    client = connect(context, account, "pop3s")
    count, _ = client.stat()
    mails = [b"".join(line + b"\r\n" for line in client.retr(number)[1]) for number in range(1, count + 1)]
    client.close()
    return mails


@check("samplemail: every mail comes back byte-identical over IMAP and POP3")
def round_trip(context: Context) -> None:
    import poplib
    import time

    poplib._MAXLINE = 64 * 1024 * 1024  # the corpus has very long lines
    office = context.office
    account = context.account("samplemail")
    files = sample_files()
    assert len(files) >= 10, f"only {len(files)} sample mails found"
    faults = []
    by_append = []
    expected: list[tuple[Path, bytes]] = []
    for path in files:
        message = path.read_bytes()
        if is_crlf_text(message):
            client = Smtp(office.ports["smtp"])
            eight_bit = any(octet > 127 for octet in message)
            try:
                client.transmit(SENDER, [account.address], message, " BODY=8BITMIME" if eight_bit else "")
                expected.append((path, message))
            except SmtpRefused as refusal:
                faults.append(f"{path.name} was refused: {refusal}")
            finally:
                client.close()
        else:
            by_append.append(path.name)
            try:
                append(context, account, message)
                expected.append((path, message))
            except ImapError as refusal:
                faults.append(f"APPEND of {path.name} was refused: {refusal}")
        deadline = time.monotonic() + 20
        while exists(context, account) < len(expected) and time.monotonic() < deadline:
            time.sleep(0.01)
    in_inbox = [octets for _, (_, octets) in sorted(messages(office, account).items())]
    in_junk = [octets for _, (_, octets) in sorted(messages(office, account, "Junk").items())]
    if in_junk:
        faults.append(f"{len(in_junk)} mails are in Junk")
    retrieved = pop3_retrieve_all(context, account)
    for way, got in (("IMAP", in_inbox), ("POP3", retrieved)):
        if len(got) != len(expected):
            faults.append(f"{way} shows {len(got)} mails, {len(expected)} were sent")
        for (path, sent), octets in zip(expected, got):
            # POP3 ends the last line where the message does not (RFC 1939 section 3).
            if way == "POP3" and path.name in by_append and is_pop3_form(octets, sent):
                continue
            same = octets == sent if office.keeps_bytes else octets.endswith(sent)
            if not same:
                faults.append(f"{path.name} over {way}: {difference(octets, sent)}")
    print(f"     {len(expected)} mails, {len(by_append)} of them by APPEND: {' '.join(by_append)}")
    assert not faults, f"{len(faults)} faults: " + "; ".join(faults)


def is_pop3_form(octets: bytes, sent: bytes) -> bool:
    """poplib joins lines at any LF; equal when line ends are left aside."""
    return octets.replace(b"\r\n", b"\n").rstrip(b"\n") == sent.replace(b"\r\n", b"\n").rstrip(b"\n")


def exists(context: Context, account) -> int:
    client = open_mailbox(context.office, account)
    total = 0
    for mailbox in (b"INBOX", b"Junk"):
        _, responses = client.command(b"STATUS %s (MESSAGES)" % mailbox)
        total += sum(int(r[0].rstrip(b")").split()[-1]) for r in responses if r[0].startswith(b"* STATUS"))
    client.close()
    return total
