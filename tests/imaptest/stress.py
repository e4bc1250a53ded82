"""Stateful stress: 20 clients at random, imaptest following what each must see."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from letters import write_mbox
from program import ImapTest, Outcome
from support.imap_wire import Imap, ImapError

CLIENTS = 20
#: Made beforehand: imaptest makes it on [TRYCREATE], and is angry when another of its clients was quicker.
COPIES = "stress-copies"
#: Without CHECK: imaptest says it while no mailbox is selected, where RFC 3501 (section 6.4.1) has no such command.
STATES = (
    f"copybox={COPIES}", "UIDFETCH=80", "SEARCH=20", "STORE=60", "COPY=30,5", "MOVE=15", "NOOP=30",
    "LIST=30", "STATUS=40", "MSUBS=15", "MCREATE=20", "MDELETE=15", "MRENAME=15", "APPEND=100,15",
)
#: States that imaptest enters without asking for the capability. Without COMPRESS: where it was the last thing planned,
#: imaptest says nothing more after the OK, and calls that stalled.
FOR_CAPABILITY = {"SORT": "SORT=10", "THREAD=REFERENCES": "THREAD=10"}

COMPLAINT = re.compile(r"Error: |Warning: |Fatal: |^ - .*stalled")
#: imaptest fell over its own state, which it does with Dovecot too (it may plan a STORE of messages it has not fetched).
OWN_PANIC = re.compile(r"Panic: file (?:array|client-state)\.c: ")
BACKTRACE = "Error: Raw backtrace: "
#: So often it may fall in ten seconds.
PANICS = 10


@dataclass(frozen=True)
class Part:
    name: str
    accounts: int
    arguments: tuple[str, ...]
    #: The capability without which it is skipped.
    needs: str = "IMAP4rev1"


PARTS = (
    Part("one mailbox of one account", 1, ("checkpoint=2",)),
    Part("one mailbox of one account, QRESYNC", 1, ("checkpoint=2", "qresync"), "QRESYNC"),
    # Without checkpoints: before the first one, imaptest wants to see \Recent in each account, and panics soon after.
    Part("one mailbox of each of five accounts", 5, ()),
)


def run(office, program: ImapTest, seconds: int, scratch: Path) -> bool:
    """Gives whether anything was wrong."""
    mbox = scratch / "letters.mbox"
    write_mbox(mbox)
    capabilities = capabilities_of(office)
    states = [*STATES, *(state for capability, state in FOR_CAPABILITY.items() if capability in capabilities)]
    failed = False
    for index, part in enumerate(PARTS):
        if part.needs not in capabilities:
            print(f"SKIPPED {part.name}: the server does not offer {part.needs}", flush=True)
            continue
        folder = scratch / f"part{index}"
        folder.mkdir()
        accounts = [office.add_account(f"stress{index}-{number}@imap.test") for number in range(part.accounts)]
        passwords = folder / "users"
        passwords.write_text("".join(f"{account.address}:{account.password}\n" for account in accounts))
        command = [
            f"user={accounts[0].address}", f"userfile={passwords}", f"mbox={mbox}", f"clients={CLIENTS}", "msgs=60",
            *states, *part.arguments,
        ]
        outcomes: list[Outcome] = []
        began = time.monotonic()
        while not outcomes or (panicked(outcomes[-1]) and len(outcomes) <= PANICS * max(1, seconds // 10)):
            for account in accounts:
                prepare(office, account)
            left = max(1, round(seconds - (time.monotonic() - began)))
            seed = len(outcomes) + 1
            outcomes.append(program.run([f"secs={left},60", f"seed={seed}", *command], left + 120, str(folder)))
        failed |= judge(part.name, outcomes, time.monotonic() - began)
        if not office.alive():
            print("FAIL: the server has ended")
            return True
    return failed


def capabilities_of(office) -> set[str]:
    client = signed_in(office, office.add_account("asks@imap.test"))
    _, untagged = client.command(b"CAPABILITY")
    client.close()
    return {word for line in untagged if line[0].startswith(b"* CAPABILITY ") for word in line[0].decode().split()[2:]}


def prepare(office, account) -> None:
    """An empty INBOX: only from one does imaptest see that nothing in it is \\Recent for anybody else."""
    client = signed_in(office, account)
    try:
        client.command(b"CREATE " + COPIES.encode())
    except ImapError:
        pass  # it is there from the run before
    client.command(b"SELECT INBOX")
    client.command(b"UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
    client.command(b"EXPUNGE")
    client.close()


def signed_in(office, account) -> Imap:
    client = Imap(office.ports["imap"])
    client.login(account.address, account.password)
    return client


def panicked(outcome: Outcome) -> bool:
    """imaptest fell by itself: it is begun again with another seed."""
    return OWN_PANIC.search(outcome.errors) is not None


def judge(name: str, outcomes: list[Outcome], seconds: float) -> bool:
    complaints = [
        line
        for outcome in outcomes
        for line in (outcome.errors + outcome.output).splitlines()
        if COMPLAINT.search(line) and not line.startswith(BACKTRACE)
    ]
    last = outcomes[-1]
    commands = commands_done(last.output)
    if last.exit_code != 0:
        complaints.append(f"exit code {last.exit_code}: {last.errors.strip()[-500:]}")
    elif commands < CLIENTS * 10:
        complaints.append(f"only {commands} commands were done: {last.errors.strip()[-500:]}")
    panics = f", {len(outcomes) - 1} panics of imaptest's own before" if len(outcomes) > 1 else ""
    print(f"{'FAIL' if complaints else 'PASS'} {name}: {commands} commands, {seconds:.0f} s in all{panics}", flush=True)
    for line in complaints[:40]:
        print(f"  {line[:1000]}")
    if len(complaints) > 40:
        print(f"  and {len(complaints) - 40} more")
    return bool(complaints)


def commands_done(output: str) -> int:
    """The line of numbers under `Totals:`, one for each kind of command."""
    _, found, totals = output.partition("Totals:")
    rows = [line.split() for line in totals.splitlines() if line.strip()]
    numbers = [row for row in rows if all(word.isdigit() for word in row)]
    return sum(int(word) for word in numbers[-1]) if found and numbers else 0
