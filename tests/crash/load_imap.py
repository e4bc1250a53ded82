"""An IMAP client that appends, flags, copies, moves and expunges at random.

It alone changes its account's messages, so the ledger knows what to expect;
letters go on arriving by SMTP meanwhile. It touches only messages whose place
is certain, and never uses CLOSE or a bare EXPUNGE.
"""

import itertools
import random
import re

from ledger import GONE, Account, Copy
from letters import letter, new_token, token_of
from support.imap_wire import (ConnectionLost, Imap, ImapError, code_of, fetched_literal, fetched_uid, is_fetch,
                               numbers_of, uid_set_of)
from tally import Tally

NUMBERS = itertools.count(1)
MAILBOXES = ("INBOX", "Work", "Filed")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "crash-test")
MOST_MESSAGES_AT_ONCE = 5
#: Above this many messages in a mailbox the client expunges more than it adds.
CROWDED = 300


class Client:
    def __init__(self, port: int, account: Account, seed: int, tally: Tally):
        self.account = account
        self.chance = random.Random(seed)
        self.tally = tally
        self.imap = Imap(port, timeout=20)
        self.imap.login(account.address, account.password)
        self.selected = ""

    def select(self, mailbox: str) -> None:
        _, untagged = self.imap.command(b"SELECT %s" % mailbox.encode())
        text = b"\n".join(response[0] for response in untagged)
        validity = int(re.search(rb"\[UIDVALIDITY (\d+)\]", text).group(1))
        next_uid = int(re.search(rb"\[UIDNEXT (\d+)\]", text).group(1))
        self.tally.fault("uid", *self.account.note_validity(mailbox, validity))
        self.selected = mailbox
        if mailbox == "INBOX":
            self.look_for_new(next_uid)

    def look_for_new(self, next_uid: int) -> None:
        """Everything from the old floor on; what is below `next_uid` now has all been seen."""
        floor = self.account.floor.get("INBOX", 1)
        _, untagged = self.imap.command(b"UID FETCH %d:* (BODY.PEEK[HEADER.FIELDS (X-Ledger-Id)])" % floor)
        for response in filter(is_fetch, untagged):
            uid, header = fetched_uid(response), fetched_literal(response)
            if uid is None or header is None or uid < floor:
                continue
            token = token_of(header)
            if token is None:
                self.tally.fault("corrupt", f"{self.account.address} INBOX: UID {uid} has no token: {header!r}")
                continue
            self.tally.fault("uid", *self.account.seen_by_client(token, "INBOX", uid))
        self.account.floor["INBOX"] = max(floor, next_uid)

    def run(self) -> None:
        """Until the server is gone."""
        self.select("INBOX")
        while True:
            known = self.account.certain_copies(self.selected)
            actions = [self.append, self.store, self.store, self.copy, self.move, self.expunge, self.change_mailbox]
            if len(known) > CROWDED:
                actions += [self.expunge] * 4
            action = self.chance.choice(actions)
            if action in (self.append, self.change_mailbox):
                action()
            elif known:
                action(self.chance.sample(known, k=min(len(known), self.chance.randint(1, MOST_MESSAGES_AT_ONCE))))
            else:
                self.change_mailbox()

    def change_mailbox(self) -> None:
        self.select(self.chance.choice(MAILBOXES))

    def other_mailbox(self) -> str:
        return self.chance.choice([mailbox for mailbox in MAILBOXES if mailbox != self.selected])

    def acknowledged(self, what: str, number: int = 1) -> None:
        self.tally.count("acknowledged", number)
        self.tally.count(f"acknowledged {what}", number)

    def append(self) -> None:
        mailbox = self.chance.choice(MAILBOXES)
        token = new_token(f"append-{self.account.address.split('@')[0]}", next(NUMBERS), self.chance)
        flags = self.chance.sample(FLAGS, k=self.chance.randint(0, 3))
        copy = self.account.expect(token, mailbox)
        copy.flags |= dict.fromkeys(flags, True)
        line = b"APPEND %s (%s)" % (mailbox.encode(), " ".join(flags).encode())
        try:
            text, _ = self.imap.command(line, literal=letter(token))
        except ImapError:
            self.account.refused(copy)
            raise
        _, uid = code_of(text, b"APPENDUID")
        self.tally.fault("uid", *self.account.arrived_at(copy, token, mailbox, int(uid)))
        self.acknowledged("APPEND")

    def store(self, chosen: list[tuple[int, str, Copy]]) -> None:
        flag = self.chance.choice(FLAGS)
        setting = self.chance.random() < 0.6
        with self.account.lock:
            for _, _, copy in chosen:
                copy.flags[flag] = None
        silent = b".SILENT" if self.chance.random() < 0.5 else b""
        sign = b"+" if setting else b"-"
        uids = uid_set_of([uid for uid, _, _ in chosen])
        self.imap.command(b"UID STORE %s %sFLAGS%s (%s)" % (uids, sign, silent, flag.encode()))
        with self.account.lock:
            for _, _, copy in chosen:
                copy.flags[flag] = setting
        self.acknowledged("STORE", len(chosen))

    def copy(self, chosen: list[tuple[int, str, Copy]]) -> None:
        target = self.other_mailbox()
        duplicates = {}
        with self.account.lock:
            for uid, token, original in chosen:
                duplicate = self.account.expect(token, target)
                duplicate.flags = dict(original.flags)
                duplicates[uid] = (token, duplicate)
        for uid, new_uid in self.transfer(b"COPY", chosen, target):
            token, duplicate = duplicates[uid]
            self.tally.fault("uid", *self.account.arrived_at(duplicate, token, target, new_uid))
        self.acknowledged("COPY", len(chosen))

    def move(self, chosen: list[tuple[int, str, Copy]]) -> None:
        target = self.other_mailbox()
        with self.account.lock:
            for uid, _, copy in chosen:
                copy.possible = {(self.selected, uid), (target, None)}
        moved = {uid: (token, copy) for uid, token, copy in chosen}
        for uid, new_uid in self.transfer(b"MOVE", chosen, target):
            token, copy = moved[uid]
            self.tally.fault("uid", *self.account.arrived_at(copy, token, target, new_uid))
        self.acknowledged("MOVE", len(chosen))

    def transfer(self, verb: bytes, chosen: list[tuple[int, str, Copy]], target: str) -> list[tuple[int, int]]:
        """Old and new UIDs, from COPYUID (in MOVE it comes untagged, RFC 6851 section 4.3)."""
        uids = uid_set_of([uid for uid, _, _ in chosen])
        text, untagged = self.imap.command(b"UID %s %s %s" % (verb, uids, target.encode()))
        answer = b" ".join([text, *(response[0] for response in untagged if b"COPYUID" in response[0])])
        _, old, new = code_of(answer, b"COPYUID")
        pairs = list(zip(numbers_of(old), numbers_of(new), strict=True))
        if sorted(uid for uid, _ in pairs) != sorted(uid for uid, _, _ in chosen):
            raise ImapError(f"COPYUID names other messages: {answer!r}, asked for {uids!r}")
        return pairs

    def expunge(self, chosen: list[tuple[int, str, Copy]]) -> None:
        uids = uid_set_of([uid for uid, _, _ in chosen])
        with self.account.lock:
            for _, _, copy in chosen:
                copy.flags["\\Deleted"] = None
        self.imap.command(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % uids)
        with self.account.lock:
            for _, _, copy in chosen:
                copy.flags["\\Deleted"] = True
                copy.possible.add(GONE)
        self.imap.command(b"UID EXPUNGE %s" % uids)
        with self.account.lock:
            for _, _, copy in chosen:
                copy.possible = {GONE}
        self.acknowledged("EXPUNGE", len(chosen))


def work_on_account(port: int, account: Account, seed: int, tally: Tally) -> None:
    client = None
    try:
        client = Client(port, account, seed, tally)
        client.run()
    except ConnectionLost:
        pass
    except ImapError as error:
        tally.fault("refusal", f"{account.address}: {error}")
    finally:
        if client:
            client.imap.close()
