"""What the server has acknowledged, and what it may have done beyond that.

For each account the ledger keeps the copies of each letter (named by its
token). A copy knows the places where it may be: a mailbox with its UID, a
mailbox with a UID not known yet, or nowhere. Before a client sends a command
the ledger widens what is possible; the server's OK narrows it to the outcome,
and so does an audit, which sees what really is there.

What is never forgotten: which letter had which UID, the UIDVALIDITY of each
mailbox, and the UIDNEXT below which nothing new may appear any more.
"""

import threading
from dataclasses import dataclass, field

GONE = None
WATCHED_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$Forwarded", "crash-test")
#: (mailbox, UID); the UID is None while it is not known.
Place = tuple[str, int | None]


@dataclass(eq=False)
class Copy:
    possible: set[Place | None]
    #: Flag to True (set), False (not set) or None (a change of it was not answered).
    flags: dict[str, bool | None] = field(default_factory=lambda: dict.fromkeys(WATCHED_FLAGS, False))
    #: Once seen, the copy's being gone needs a deletion.
    seen: bool = False

    def certain_place(self) -> tuple[str, int] | None:
        if len(self.possible) == 1:
            [place] = self.possible
            if place is not GONE and place[1] is not None:
                return place
        return None

    def may_be_at(self, mailbox: str, uid: int) -> bool:
        return (mailbox, uid) in self.possible or (mailbox, None) in self.possible

    def flags_fit(self, present: set[str]) -> bool:
        return all(state is None or state == (flag in present) for flag, state in self.flags.items())


@dataclass(frozen=True)
class Seen:
    """A message as an audit found it."""

    token: str
    mailbox: str
    uid: int
    flags: frozenset[str]


class Account:
    def __init__(self, address: str, password: str):
        self.address = address
        self.password = password
        self.lock = threading.RLock()
        self.copies: dict[str, list[Copy]] = {}
        self.tokens_by_uid: dict[tuple[str, int], str] = {}
        self.uid_validity: dict[str, int] = {}
        #: Everything below was seen; a new message below it comes too late.
        self.floor: dict[str, int] = {}

    def expect(self, token: str, mailbox: str) -> Copy:
        """A letter is about to be sent, appended or imported."""
        with self.lock:
            copy = Copy({(mailbox, None), GONE})
            self.copies.setdefault(token, []).append(copy)
            return copy

    def arrived(self, copy: Copy) -> None:
        """The server took the letter; if nobody has seen it yet, it has to be there."""
        with self.lock:
            if not copy.seen:
                copy.possible.discard(GONE)

    def arrived_at(self, copy: Copy, token: str, mailbox: str, uid: int) -> list[str]:
        with self.lock:
            copy.possible, copy.seen = {(mailbox, uid)}, True
            return self.note_uid(token, mailbox, uid)

    def refused(self, copy: Copy) -> None:
        with self.lock:
            if not copy.seen:
                copy.possible = {GONE}

    def note_uid(self, token: str, mailbox: str, uid: int) -> list[str]:
        """Remembers for all time whose UID this is; gives violations."""
        with self.lock:
            known = self.tokens_by_uid.setdefault((mailbox, uid), token)
            if known != token:
                return [f"{self.address} {mailbox}: UID {uid} was {known} and is now {token}"]
            return []

    def note_new_uid(self, token: str, mailbox: str, uid: int) -> list[str]:
        """As `note_uid`, for a message that just came into view."""
        with self.lock:
            late = (mailbox, uid) not in self.tokens_by_uid and uid < self.floor.get(mailbox, 0)
            faults = self.note_uid(token, mailbox, uid)
            if late:
                faults.append(
                    f"{self.address} {mailbox}: {token} appeared at UID {uid}, below UIDNEXT {self.floor[mailbox]}"
                )
            return faults

    def note_validity(self, mailbox: str, validity: int) -> list[str]:
        with self.lock:
            known = self.uid_validity.setdefault(mailbox, validity)
            return [] if known == validity else [f"{self.address} {mailbox}: UIDVALIDITY {known} became {validity}"]

    def seen_by_client(self, token: str, mailbox: str, uid: int) -> list[str]:
        """A client saw a delivered letter while the load was running."""
        with self.lock:
            faults = self.note_new_uid(token, mailbox, uid)
            candidates = self.copies.get(token, [])
            if len(candidates) == 1 and (mailbox, None) in candidates[0].possible and not candidates[0].seen:
                candidates[0].possible, candidates[0].seen = {(mailbox, uid)}, True
            return faults

    def certain_copies(self, mailbox: str) -> list[tuple[int, str, Copy]]:
        """Copies whose place is known beyond doubt, as (UID, token, copy)."""
        with self.lock:
            found = []
            for token, copies in self.copies.items():
                for copy in copies:
                    place = copy.certain_place()
                    if place and place[0] == mailbox and copy.seen:
                        found.append((place[1], token, copy))
            return found


@dataclass
class Difference:
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong_flags: list[str] = field(default_factory=list)


def settle(account: Account, seen: list[Seen]) -> Difference:
    """Compares the ledger with what an audit saw, and takes that over."""
    difference = Difference()
    by_token: dict[str, list[Seen]] = {}
    for message in seen:
        by_token.setdefault(message.token, []).append(message)
    with account.lock:
        for token in account.copies.keys() | by_token.keys():
            copies = account.copies.get(token, [])
            found = by_token.get(token, [])
            _settle_letter(account, token, copies, found, difference)
            account.copies[token] = [
                Copy(
                    {(message.mailbox, message.uid)},
                    {flag: flag in message.flags for flag in WATCHED_FLAGS},
                    seen=True,
                )
                for message in found
            ]
    return difference


def _settle_letter(account: Account, token: str, copies: list[Copy], found: list[Seen], difference: Difference) -> None:
    matched = best_match(copies, found)
    unmatched_copies = [copy for copy in copies if copy not in matched]
    unmatched_seen = [message for message in found if message not in matched.values()]
    where = ", ".join(f"{m.mailbox}/{m.uid}" for m in found) or "nowhere"
    for copy in unmatched_copies:
        if GONE not in copy.possible:
            expected = " or ".join(f"{place[0]}/{place[1] or 'any UID'}" for place in copy.possible)
            difference.lost.append(f"{account.address}: {token} is {where}, expected at {expected}")
    for message in unmatched_seen:
        difference.doubled.append(
            f"{account.address}: {token} is at {where}; {message.mailbox}/{message.uid} is one too many "
            f"(expected: {[sorted(map(str, copy.possible)) for copy in copies]})"
        )
    for copy, message in matched.items():
        if not copy.flags_fit(message.flags):
            difference.wrong_flags.append(
                f"{account.address}: {token} at {message.mailbox}/{message.uid} has {sorted(message.flags)}, "
                f"the ledger says {copy.flags}"
            )


def best_match(copies: list[Copy], found: list[Seen]) -> dict[Copy, Seen]:
    """The assignment that explains most; copies that have to exist come first, then fitting flags."""

    def score(assignment: dict[Copy, Seen]) -> tuple[int, int, int]:
        explained = len(assignment)
        demanded = sum(GONE not in copy.possible for copy in assignment)
        fitting = sum(copy.flags_fit(message.flags) for copy, message in assignment.items())
        return explained, demanded, fitting

    by_place = {(message.mailbox, message.uid): message for message in found}
    sure = {copy: by_place[place] for copy in copies if (place := copy.certain_place()) in by_place}
    copies = [copy for copy in copies if copy not in sure]
    found = [message for message in found if message not in sure.values()]
    best: dict[Copy, Seen] = {}

    def extend(position: int, assignment: dict[Copy, Seen]) -> None:
        nonlocal best
        if position == len(found):
            if not best or score(assignment) > score(best):
                best = dict(assignment)
            return
        message = found[position]
        for copy in copies:
            if copy not in assignment and copy.may_be_at(message.mailbox, message.uid):
                assignment[copy] = message
                extend(position + 1, assignment)
                del assignment[copy]
        extend(position + 1, assignment)

    extend(0, {})
    return sure | best
