"""Looks at every mailbox over IMAP and compares it with the ledger."""

import re
import time

from ledger import Account, Seen, settle
from letters import letter, token_of
from support.imap_wire import Imap, fetched_flags, fetched_literal, fetched_uid, is_fetch, quoted, uid_set_of
from support.office import Office
from tally import Tally

LISTED = re.compile(rb'^\* LIST \(([^)]*)\) (?:"[^"]*"|NIL) "?([^"]*)"?$')
BODIES_AT_ONCE = 200
#: Flags that come and go by themselves.
NOT_COMPARED = {"\\Recent"}


def wait_until_drained(office: Office, accounts: list[Account], seconds: float = 60) -> bool:
    """Nothing queued, and the counts of the mailboxes stand still."""
    deadline = time.monotonic() + seconds
    before = None
    while time.monotonic() < deadline:
        depth = office.queue_depth()
        counts = [inbox_count(office, account) for account in accounts]
        if depth in (0, None) and counts == before:
            return True
        before = counts
        time.sleep(0.1 if depth is not None else 0.5)
    return False


def inbox_count(office: Office, account: Account) -> bytes:
    client = Imap(office.ports["imap"])
    client.login(account.address, account.password)
    _, untagged = client.command(b"STATUS INBOX (MESSAGES UIDNEXT)")
    client.close()
    return next(response[0] for response in untagged if response[0].startswith(b"* STATUS"))


def audit(office: Office, accounts: list[Account], tally: Tally, every_body: bool) -> None:
    for account in accounts:
        client = Imap(office.ports["imap"])
        client.login(account.address, account.password)
        seen: list[Seen] = []
        for mailbox in mailboxes(client):
            seen += look_into(client, account, mailbox, tally, every_body, office.keeps_bytes)
        client.close()
        difference = settle(account, seen)
        tally.fault("lost", *difference.lost)
        tally.fault("doubled", *difference.doubled)
        tally.fault("flags", *difference.wrong_flags)
        tally.count("messages audited", len(seen))


def mailboxes(client: Imap) -> list[str]:
    _, untagged = client.command(b'LIST "" "*"')
    listed = [match for response in untagged if (match := LISTED.match(response[0]))]
    return [match.group(2).decode() for match in listed if b"\\noselect" not in match.group(1).lower()]


def look_into(
    client: Imap, account: Account, mailbox: str, tally: Tally, every_body: bool, keeps_bytes: bool
) -> list[Seen]:
    _, untagged = client.command(b"EXAMINE " + quoted(mailbox))
    text = b"\n".join(response[0] for response in untagged)
    next_uid = int(re.search(rb"\[UIDNEXT (\d+)\]", text).group(1))
    exists = int(re.search(rb"\* (\d+) EXISTS", text).group(1))
    tally.fault("uid", *account.note_validity(mailbox, int(re.search(rb"\[UIDVALIDITY (\d+)\]", text).group(1))))
    if exists == 0:
        account.floor[mailbox] = max(account.floor.get(mailbox, 0), next_uid)
        return []

    _, untagged = client.command(b"UID FETCH 1:* (FLAGS)")
    flags = {fetched_uid(response): fetched_flags(response) for response in untagged if is_fetch(response)}
    uids = list(flags)
    where = f"{account.address} {mailbox}"
    if uids != sorted(uids) or len(uids) != exists or uids[-1] >= next_uid:
        tally.fault("uid", f"{where}: UIDs do not ascend, or {len(uids)} differ from EXISTS {exists}, UIDNEXT {next_uid}")

    known = {uid: account.tokens_by_uid.get((mailbox, uid)) for uid in uids}
    to_read = uids if every_body else [uid for uid in uids if known[uid] is None]
    for uid, octets in bodies(client, to_read):
        token = token_of(octets)
        if token is None:
            tally.fault("corrupt", f"{where}: UID {uid} has no token, {len(octets)} octets")
            continue
        same = octets == letter(token) if keeps_bytes else octets.endswith(letter(token))
        if not same:
            tally.fault("corrupt", f"{where}: UID {uid} differs from {token}")
        tally.fault("uid", *account.note_new_uid(token, mailbox, uid))
        known[uid] = token
    account.floor[mailbox] = max(account.floor.get(mailbox, 0), next_uid)
    return [
        Seen(known[uid], mailbox, uid, frozenset(flags[uid] - NOT_COMPARED))
        for uid in uids
        if known[uid] is not None
    ]


def bodies(client: Imap, uids: list[int]):
    for start in range(0, len(uids), BODIES_AT_ONCE):
        _, untagged = client.command(b"UID FETCH %s (BODY.PEEK[])" % uid_set_of(uids[start : start + BODIES_AT_ONCE]))
        for response in filter(is_fetch, untagged):
            if (octets := fetched_literal(response)) is not None:
                yield fetched_uid(response), octets
