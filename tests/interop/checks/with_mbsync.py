"""mbsync (isync): both directions between IMAP and a local Maildir."""

import os
import re
from pathlib import Path

from support.imap_wire import uid_set_of

from . import Context, check
from .tools import assert_received, letter, messages, open_mailbox, run_program, send, wait_for

CONFIGURATION = """\
IMAPAccount office
Host localhost
Port {port}
User {address}
Pass {password}
SSLType {ssl}
CertificateFile {certificate}

IMAPStore far
Account office

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel office
Far :far:
Near :near:
Patterns INBOX Archive
Create Both
Expunge Both
SyncState *
"""


class Maildir:
    """The near side, looked at and changed as another mail program would."""

    def __init__(self, path: Path):
        self.path = path

    def files(self) -> dict[str, Path]:
        """Subject to file."""
        found = {}
        for folder in ("cur", "new"):
            for path in (self.path / folder).iterdir():
                subject = next(line for line in path.read_text().splitlines() if line.startswith("Subject: "))
                found[subject[9:]] = path
        return found

    def flags(self, subject: str) -> str:
        return self.files()[subject].name.partition(":2,")[2]

    def set_flags(self, subject: str, flags: str) -> None:
        path = self.files()[subject]
        path.rename(self.path / "cur" / (path.name.partition(":2,")[0] + ":2," + flags))

    def add(self, subject: str) -> None:
        # mbsync keeps local files with LF and sends CRLF.
        (self.path / "new" / f"1700000000.{os.getpid()}_{len(self.files())}.near").write_bytes(
            letter(subject).replace(b"\r\n", b"\n"))


@check("mbsync: mail, flags and deletions in both directions")
def both_directions(context: Context) -> None:
    office = context.office
    account = context.account("mbsync")
    folder = context.folder("mbsync")
    (folder / "mail").mkdir()
    configuration = folder / "mbsyncrc"
    configuration.write_text(CONFIGURATION.format(
        port=office.ports["imaps"], ssl="IMAPS", address=account.address, password=account.password,
        certificate=office.certificate, folder=folder))

    def sync() -> None:
        run_program(["mbsync", "-c", str(configuration), "-a"], environment={**os.environ, "HOME": str(folder)})

    def far() -> dict[str, tuple[int, set[str]]]:
        return {
            next(line[9:] for line in octets.decode().split("\r\n") if line.startswith("Subject: ")): (uid, flags)
            for uid, (flags, octets) in messages(office, account).items()
        }

    def far_command(subject: str, *commands: bytes) -> None:
        uid = uid_set_of([far()[subject][0]])
        client = open_mailbox(office, account)
        for command in commands:
            client.command(command % uid)
        client.close()

    near = Maildir(folder / "mail" / "INBOX")

    for number in range(3):
        send(office, account, letter(f"far {number}"))
    wait_for(office, account, 3)
    sync()
    assert sorted(near.files()) == ["far 0", "far 1", "far 2"], f"server to local: {sorted(near.files())}"

    near.add("near 0")
    near.set_flags("far 0", "FS")
    sync()
    assert sorted(far()) == ["far 0", "far 1", "far 2", "near 0"], f"local to server: {sorted(far())}"
    assert {"\\Flagged", "\\Seen"} <= far()["far 0"][1], f"flags to server: {far()['far 0'][1]}"
    uploaded = messages(office, account)[far()["near 0"][0]][1]
    # mbsync adds its X-TUID header to what it uploads
    assert b"\r\nX-TUID:" in uploaded or uploaded == letter("near 0"), "upload differs"

    far_command("far 1", b"UID STORE %s +FLAGS (\\Answered)")
    far_command("far 2", b"UID STORE %s +FLAGS (\\Deleted)", b"UID EXPUNGE %s")
    sync()
    assert near.flags("far 1") == "R", f"flags to local: {near.flags('far 1')}"
    assert sorted(near.files()) == ["far 0", "far 1", "near 0"], f"deletion to local: {sorted(near.files())}"

    near.files()["far 0"].unlink()
    sync()
    assert sorted(far()) == ["far 1", "near 0"], f"deletion to server: {sorted(far())}"

    before = messages(office, account)
    sync()
    assert messages(office, account) == before, "a sync with nothing to do changed the server"
    assert len(near.files()) == 2, "a sync with nothing to do changed the local folder"


@check("mbsync: STARTTLS")
def starttls(context: Context) -> None:
    office = context.office
    account = context.account("mbsync-starttls")
    folder = context.folder("mbsync-starttls")
    (folder / "mail").mkdir()
    (folder / "mbsyncrc").write_text(CONFIGURATION.format(
        port=office.ports["imap"], ssl="STARTTLS", address=account.address, password=account.password,
        certificate=office.certificate, folder=folder))
    sent = letter("over STARTTLS")
    send(office, account, sent)
    wait_for(office, account, 1)
    run_program(["mbsync", "-c", str(folder / "mbsyncrc"), "-a"], environment={**os.environ, "HOME": str(folder)})
    [path] = Maildir(folder / "mail" / "INBOX").files().values()
    # mbsync marks its local copy with a header of its own
    got = re.sub(rb"X-TUID: .*\n", b"", path.read_bytes())
    assert_received(office, got.replace(b"\n", b"\r\n"), sent)
