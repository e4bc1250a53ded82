"""After a whole session the local copy is what the server has: neomutt's cache by CONDSTORE and QRESYNC, mbsync's
Maildir, and a second account that interimap keeps equal by QRESYNC, compressed.
"""

import mailbox
import os
import random
import subprocess

from support.imap_wire import Imap
from support.office import Account, Office

from . import Context, check
from .modes import Tap
from .tools import letter, messages, open_mailbox, run_program
from .with_mbsync import CONFIGURATION as MBSYNC
from .with_neomutt import in_terminal

#: What a round of changes does to a mailbox that other programs hold a copy of.
ROUNDS = 5
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"$Forwarded")

State = dict[str, frozenset[str]]


def subject(octets: bytes) -> str:
    header = octets.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode()
    return next(line[9:] for line in header.split("\n") if line.startswith("Subject: "))


def state(office: Office, account: Account, mailbox_name: str = "INBOX") -> State:
    """Subject to flags."""
    found = messages(office, account, mailbox_name).values()
    result = {subject(octets): frozenset(flags) - {"\\Recent"} for flags, octets in found}
    assert len(result) == len(found), "a letter is there twice"
    return result


def change(office: Office, account: Account, chance: random.Random, prefix: str, mailbox_name: str = "INBOX") -> None:
    """New letters, flags on some, some gone: as another program of the same member would."""
    client = open_mailbox(office, account, mailbox_name)
    for number in range(chance.randint(1, 4)):
        flags = b" ".join(flag for flag in FLAGS if chance.random() < 0.3)
        client.command(b"APPEND %s (%s)" % (mailbox_name.encode(), flags), literal=letter(f"{prefix}-{number}"))
    client.command(b"NOOP")
    uids = uids_of(client)
    for uid in uids:
        if chance.random() < 0.3:
            sign = chance.choice((b"+", b"-"))
            client.command(b"UID STORE %d %sFLAGS.SILENT (%s)" % (uid, sign, chance.choice(FLAGS)))
    for uid in [uid for uid in uids[:-1] if chance.random() < 0.15]:
        client.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
        client.command(b"UID EXPUNGE %d" % uid)
    client.close()


def uids_of(client: Imap) -> list[int]:
    _, responses = client.command(b"UID SEARCH ALL")
    [words] = [response[0].split()[2:] for response in responses if response[0].startswith(b"* SEARCH")]
    return [int(word) for word in words]


NEOMUTT = """\
set imap_user = "{address}"
set imap_pass = "{password}"
set ssl_starttls = no
set ssl_force_tls = no
set imap_condstore = {condstore}
set imap_qresync = {qresync}
set folder = imap://localhost:{port}/
set spoolfile = imap://localhost:{port}/INBOX
set header_cache = {folder}/cache
set message_cachedir = {folder}/bodies
set record = ""
set quit = yes
set delete = yes
set confirmappend = no
set confirmcreate = no
set mbox_type = mbox
set wait_key = no
set mark_old = no
set auto_tag = no
set sleep_time = 0
set beep = no
"""


def through_neomutt(context: Context, condstore: str, qresync: str, asked: bytes) -> None:
    office = context.office
    name = "qresync" if qresync == "yes" else "condstore"
    account = context.account(f"neomutt-{name}")
    folder = context.folder(f"neomutt-{name}")
    tap = Tap(office.ports["imap"])
    (folder / "cache").mkdir()
    (folder / "muttrc").write_text(NEOMUTT.format(
        address=account.address, password=account.password, port=tap.port, folder=folder,
        condstore=condstore, qresync=qresync))
    chance = random.Random(7)
    for number in range(ROUNDS):
        change(office, account, chance, f"round-{number}")
        tap.forget()
        copy = folder / f"copy-{number}"
        presses = (f"<tag-pattern>~A<enter><tag-prefix><copy-message>{copy}<enter>"
                   "<first-entry><flag-message><sync-mailbox><exit>")
        in_terminal(["neomutt", "-n", "-F", str(folder / "muttrc"), "-e", f'push "{presses}"'],
                    {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}, folder / "screen", seconds=20)
        said = b"".join(tap.said())
        assert asked in said, f"{asked.decode()} was not used"
        resynchronised = b" VANISHED)" in said or qresync == "no" or number == 0
        assert resynchronised, "the cache was not resynchronised by QRESYNC"
        shown = in_copy(copy)
        # The first message was flagged, or not any more, after the copy.
        there = plain_flags(state(office, account))
        first = next(iter(shown))
        toggled = {**shown, first: shown[first] ^ {"\\Flagged"}}
        assert there == toggled, f"round {number}: differ in {set(there.items()) ^ set(toggled.items())}"
    tap.close()


def in_copy(path) -> State:
    """What neomutt saw: it writes flags into the Status headers of an mbox."""
    shown = {}
    for mail in mailbox.mbox(path):
        marks = mail.get_flags()
        names = (("R", "\\Seen"), ("F", "\\Flagged"), ("A", "\\Answered"))
        shown[mail["Subject"]] = frozenset(name for mark, name in names if mark in marks)
    return shown


def plain_flags(found: State) -> State:
    return {name: frozenset(flag for flag in flags if flag.startswith("\\")) for name, flags in found.items()}


@check("local copy: neomutt with CONDSTORE sees what the server has, round after round")
def neomutt_condstore(context: Context) -> None:
    through_neomutt(context, "yes", "no", b"CONDSTORE")


@check("local copy: neomutt with QRESYNC sees what the server has, round after round")
def neomutt_qresync(context: Context) -> None:
    through_neomutt(context, "yes", "yes", b"QRESYNC")


@check("local copy: mbsync's Maildir is what the server has, round after round")
def mbsync(context: Context) -> None:
    office = context.office
    account = context.account("mbsync-copy")
    folder = context.folder("mbsync-copy")
    (folder / "mail").mkdir()
    (folder / "mbsyncrc").write_text(MBSYNC.format(
        port=office.ports["imaps"], ssl="IMAPS", address=account.address, password=account.password,
        certificate=office.certificate, folder=folder))
    chance = random.Random(11)
    for number in range(ROUNDS):
        change(office, account, chance, f"far-{number}")
        if number:
            near = mailbox.Maildir(folder / "mail/INBOX", create=False)
            for key, mail in list(near.iteritems()):
                if chance.random() < 0.2:
                    mail.set_subdir("cur")
                    mail.set_flags("".join(sorted({*mail.get_flags(), chance.choice("FRS")})))
                    near[key] = mail
        run_program(["mbsync", "-c", str(folder / "mbsyncrc"), "-a"], environment={**os.environ, "HOME": str(folder)})
        names = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered"}
        near = {
            mail["Subject"]: frozenset(names[mark] for mark in mail.get_flags() if mark in names)
            for mail in mailbox.Maildir(folder / "mail/INBOX", create=False)
        }
        far = plain_flags(state(office, account))
        assert near == far, f"round {number}: differ in {set(near.items()) ^ set(far.items())}"


INTERIMAP = """\
database = {folder}/database
list-mailbox = "INBOX"

[local]
type = imap
host = localhost
port = {near_port}
STARTTLS = NO
auth = PLAIN
username = {near.address}
password = {near.password}

[remote]
type = imap
host = localhost
port = {far_port}
STARTTLS = NO
auth = LOGIN
compress = YES
username = {far.address}
password = {far.password}
"""


@check("local copy: interimap keeps two accounts equal by QRESYNC, compressed, round after round")
def interimap(context: Context) -> None:
    office = context.office
    near, far = context.account("interimap-near"), context.account("interimap-far")
    folder = context.folder("interimap")
    configuration = folder / "config"
    # Without TLS, so that the taps see what was asked for.
    near_tap, far_tap = Tap(office.ports["imap"]), Tap(office.ports["imap"])
    configuration.write_text(INTERIMAP.format(
        near=near, far=far, folder=folder, near_port=near_tap.port, far_port=far_tap.port))
    configuration.chmod(0o600)
    chance = random.Random(13)
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    for number in range(ROUNDS):
        change(office, near, chance, f"near-{number}")
        change(office, far, chance, f"far-{number}")
        near_tap.forget()
        far_tap.forget()
        done = subprocess.run(["interimap", f"--config={configuration}"], env=environment, capture_output=True,
                              text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=60)
        assert done.returncode == 0, f"interimap ended with code {done.returncode}: {done.stderr[-400:]}"
        here, there = state(office, near), state(office, far)
        assert here == there, f"round {number}: differ in {set(here.items()) ^ set(there.items())}"
        assert b"COMPRESS DEFLATE\r\n" in b"".join(far_tap.said()), "the far side was not compressed"
        assert number == 0 or b"(QRESYNC (" in b"".join(near_tap.said()), "QRESYNC was not used"
    near_tap.close()
    far_tap.close()
