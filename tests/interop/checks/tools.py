"""What several checks need: running a program, planting and finding mail."""

import subprocess
import time
from pathlib import Path

from support.imap_wire import Imap, fetched_flags, fetched_literal, fetched_uid, is_fetch
from support.office import Account, Office
from support.smtp_wire import Smtp

SENDER = "sender@example.test"


def run_program(command: list[str], expect: int | None = 0, stdin: str | None = None,
                environment: dict | None = None, timeout: float = 60, user: str | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run(command, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                          capture_output=True, text=True, errors="replace", env=environment, timeout=timeout,
                          user=user, group="nogroup" if user else None, extra_groups=[] if user else None)
    if expect is not None:
        assert done.returncode == expect, (
            f"{Path(command[0]).name} ended with code {done.returncode}: {(done.stdout + done.stderr)[-400:]}"
        )
    return done


def letter(subject: str, body: str = "Ein Brief.\r\n.dot\r\n..two dots\r\n") -> bytes:
    return (
        f"From: Sender <{SENDER}>\r\nTo: undisclosed-recipients:;\r\nSubject: {subject}\r\n"
        f"Date: Fri, 02 Jan 2026 10:00:00 +0000\r\nMessage-ID: <{subject.replace(' ', '.')}@example.test>\r\n"
        f"\r\n{body}"
    ).encode()


def send(office: Office, account: Account, message: bytes) -> None:
    connection = Smtp(office.ports["smtp"])
    connection.transmit(SENDER, [account.address], message)
    connection.close()


def open_mailbox(office: Office, account: Account, mailbox: str = "INBOX") -> Imap:
    client = Imap(office.ports["imap"])
    client.login(account.address, account.password)
    client.command(b'SELECT "%s"' % mailbox.encode())
    return client


def messages(office: Office, account: Account, mailbox: str = "INBOX") -> dict[int, tuple[set[str], bytes]]:
    """What the mailbox holds: uid to flags and bytes."""
    client = open_mailbox(office, account, mailbox)
    _, responses = client.command(b"UID FETCH 1:* (FLAGS BODY.PEEK[])")
    client.close()
    return {
        fetched_uid(response): (fetched_flags(response), fetched_literal(response))
        for response in responses
        if is_fetch(response)
    }


def wait_for(office: Office, account: Account, count: int, mailbox: str = "INBOX", seconds: float = 15) -> list[bytes]:
    """The bytes of the messages, once there are `count` of them."""
    deadline = time.monotonic() + seconds
    while True:
        found = messages(office, account, mailbox)
        if len(found) == count or time.monotonic() > deadline:
            assert len(found) == count, f"{mailbox} holds {len(found)} messages, not {count}"
            return [octets for _, octets in found.values()]
        time.sleep(0.05)


def assert_received(office: Office, got: bytes, sent: bytes) -> None:
    """Equal, or, at an office that puts headers in front, equal after those."""
    same = got == sent if office.keeps_bytes else got.endswith(sent)
    assert same, difference(got, sent)


def difference(got: bytes, sent: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(got, sent)) if a != b), min(len(got), len(sent)))
    return (
        f"{len(got)} octets came back, {len(sent)} were sent; first difference at {at}: "
        f"{got[max(at - 10, 0):at + 20]!r} instead of {sent[max(at - 10, 0):at + 20]!r}"
    )
