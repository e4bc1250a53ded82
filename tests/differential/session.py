"""One connection to one server: says commands, keeps what it was told, makes the answers comparable.

UIDs become ranks: the n-th message that this sequence brought into a mailbox
is n, as APPENDUID and COPYUID tell in both servers. What may differ by right
(text, order, RECENT, mod-sequence numbers, generation times) is left out.
"""

import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from commands import PLACEHOLDER, Command
from support.imap_wire import Imap, Response, numbers_of
from tokens import NIL, Malformed, Text, parse

CODE = re.compile(rb"^(OK|NO|BAD|BYE|PREAUTH)(?: \[([A-Z0-9-]+)(?: ([^\]]*))?\])?", re.IGNORECASE)
SPECIAL_USES = {"\\all", "\\archive", "\\drafts", "\\flagged", "\\junk", "\\sent", "\\trash", "\\important"}


@dataclass
class Uids:
    """What UIDs of one account mean, shared by its sessions; UIDVALIDITY names the mailbox."""

    ranks: dict[tuple[int, int], int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    #: Name of a mailbox, as it was written -> its UIDVALIDITY when it was last selected.
    validities: dict[bytes, int] = field(default_factory=dict)

    def add(self, validity: int, uid: int) -> int:
        if (validity, uid) not in self.ranks:
            self.counts[validity] = self.counts.get(validity, 0) + 1
            self.ranks[validity, uid] = self.counts[validity]
        return self.ranks[validity, uid]

    def rank(self, validity: int, uid: int):
        return self.ranks.get((validity, uid), "unknown UID")

    def rank_of_next(self, validity: int, uid_next: int) -> int:
        return 1 + sum(1 for known, uid in self.ranks if known == validity and uid < uid_next)

    def uid(self, validity: int, rank: int) -> int:
        for (known, uid), found in self.ranks.items():
            if known == validity and found == rank:
                return uid
        return 4_000_000_000 + rank


@dataclass(eq=False)
class Message:
    uid: object = None
    flags: frozenset | None = None


@dataclass
class Answer:
    status: str
    code: str = ""
    #: What the command asked for, in a form that can be compared.
    told: dict = field(default_factory=dict)
    #: The wire, for a report.
    raw: list[bytes] = field(default_factory=list)


class Session:
    def __init__(self, port: int, account, uids: Uids, letters: dict[str, bytes], marks: list[int], enable: bytes = b""):
        self.imap = Imap(port, timeout=30)
        self.imap.login(account.address, account.password)
        if enable:
            self.imap.command(b"ENABLE " + enable)
        #: VANISHED names UIDs: such a session must know those of all messages in its view.
        self.knows_uids = bool(enable)
        self.uids = uids
        self.letters = letters
        self.marks = marks
        self.forget()

    def forget(self) -> None:
        self.validity = 0
        self.selected = False
        self.view: list[Message] = []

    def close(self) -> None:
        self.imap.close()

    def say(self, command: Command) -> Answer:
        answer = self.say_only(command)
        if self.knows_uids and self.selected:
            unknown = next((at for at, message in enumerate(self.view, 1) if message.uid is None), None)
            if unknown:
                self.say_only(Command(command.session, b"FETCH %d:* (UID)" % unknown))
        return answer

    def say_only(self, command: Command) -> Answer:
        tag = self.imap.next_tag()
        self.imap.send(tag + b" " + self.fill(command.text) + b"\r\n")
        responses: list[Response] = []
        while True:
            response = self.imap.read_response()
            if response[0].startswith(tag + b" "):
                return self.answer(command, responses, response[0][len(tag) + 1 :])
            if response[0].startswith(b"+"):
                # Only a broken command makes a server wait for more: an empty line ends it.
                self.imap.send(b"\r\n")
            responses.append(response)

    def fill(self, text: bytes) -> bytes:
        def value(match: re.Match) -> bytes:
            kind, what = match.groups()
            if kind == b"u":
                return b"%d" % self.uids.uid(self.validity, int(what))
            if kind == b"m":
                index = int(what) - 1
                return b"%d" % (self.marks[index] if index < len(self.marks) else 1)
            if kind == b"n":
                index = int(what) - 1
                return b"%d" % (self.marks[index] + 1 if index < len(self.marks) else 1)
            if kind == b"v":
                return b"%d" % self.uids.validities.get(what, 1)
            letter = self.letters[what.decode()]
            return b"{%d+}\r\n%s" % (len(letter), letter)

        return PLACEHOLDER.sub(value, text)

    def answer(self, command: Command, responses: list[Response], tagged: bytes) -> Answer:
        match = CODE.match(tagged)
        if match is None:
            raise Malformed(f"tagged line {tagged[:200]!r}")
        status, code, argument = match.groups()
        answer = Answer(status.decode().upper(), (code or b"").decode().upper())
        answer.raw = [b" ".join(response)[:2000] for response in responses] + [tagged]
        words = command.words
        selects = bool(words) and words[0] in (b"SELECT", b"EXAMINE")
        if selects:
            # A failed SELECT leaves nothing selected (RFC 3501 section 6.3.1), a malformed one is no SELECT.
            if answer.status != "BAD":
                self.forget()
        start = list(self.view)
        fetched: dict[int, dict] = {}
        for response in responses:
            self.read(command, response, answer.told, fetched)
        order = {id(message): position for position, message in enumerate(start)}
        if fetched:
            now = {id(message): ("new", position) for position, message in enumerate(self.view)}
            answer.told["FETCH"] = {order.get(identity, now.get(identity)): items for identity, items in fetched.items()}
        if selects and answer.status == "OK":
            self.selected = True
            self.uids.validities[command.text.split(b" ", 1)[1].split(b" (")[0]] = self.validity
            answer.told["READ-ONLY"] = answer.code == "READ-ONLY"
        if words[:1] in ([b"CLOSE"], [b"UNSELECT"]) and answer.status == "OK":
            self.forget()
        if b"STORE" in words[:2] and b".SILENT" in command.text.upper():
            # The client is to know what it stored itself, and is not told.
            for message in self.view:
                message.flags = None
        if argument is not None:
            self.read_code(answer.code, argument, answer.told)
        if not selects:
            # A new keyword may be announced with them at any time.
            answer.told.pop("PERMANENTFLAGS", None)
        return answer

    def read(self, command: Command, response: Response, told: dict, fetched: dict) -> None:
        line = response[0]
        if line.startswith(b"+"):
            return
        if not line.startswith(b"* "):
            raise Malformed(f"line {line[:200]!r}")
        match = CODE.match(line[2:])
        if match:
            status, code, argument = match.groups()
            if status.upper() == b"BYE":
                told["BYE"] = True
            if code:
                self.read_code(code.decode().upper(), argument or b"", told)
            return
        tokens = parse([line[2:], *response[1:]])
        if not tokens:
            raise Malformed(f"line {line[:200]!r}")
        if len(tokens) > 1 and isinstance(tokens[0], bytes) and tokens[0].isdigit():
            self.read_numbered(int(tokens[0]), tokens[1].upper(), tokens[2:], command, fetched)
            return
        name = tokens[0].upper().decode(errors="replace")
        reader = getattr(self, "read_" + name.lower(), None)
        if reader:
            reader(command, tokens[1:], told)
        elif name not in ("FLAGS", "ENABLED", "CAPABILITY", "ID", "NAMESPACE"):
            told.setdefault("OTHER", []).append(name)

    def read_code(self, code: str, argument: bytes, told: dict) -> None:
        """Codes of untagged lines and of the tagged one."""
        if code == "UIDVALIDITY":
            self.validity = int(argument)
        elif code == "UIDNEXT":
            told["UIDNEXT"] = int(argument)
        elif code == "PERMANENTFLAGS":
            flags = {flag.lower() for flag in argument.strip(b"()").split()}
            told["PERMANENTFLAGS"] = sorted(flag for flag in flags if flag.startswith(b"\\"))
        elif code == "HIGHESTMODSEQ":
            told["_highest"] = int(argument)
        elif code == "APPENDUID":
            validity, uids = argument.split()
            told["APPENDUID"] = [self.uids.add(int(validity), uid) for uid in numbers_of(uids)]
        elif code == "COPYUID":
            validity, sources, targets = argument.split()
            told["COPYUID"] = (
                [self.uids.rank(self.validity, uid) for uid in numbers_of(sources)],
                [self.uids.add(int(validity), uid) for uid in numbers_of(targets)],
            )
        elif code == "MODIFIED":
            told["_modified"] = sorted(numbers_of(argument))

    def read_numbered(self, number: int, kind: bytes, rest: list, command: Command, fetched: dict) -> None:
        if kind == b"EXISTS":
            if number < len(self.view):
                raise Malformed(f"EXISTS {number} after {len(self.view)}")
            self.view += [Message() for _ in range(number - len(self.view))]
        elif kind == b"EXPUNGE":
            if not 1 <= number <= len(self.view):
                raise Malformed(f"EXPUNGE {number} of {len(self.view)}")
            if command.verb in ("FETCH", "STORE", "SEARCH"):
                raise Malformed(f"EXPUNGE during {command.verb} (RFC 3501 section 7.4.1)")
            del self.view[number - 1]
        elif kind == b"FETCH":
            if not 1 <= number <= len(self.view):
                raise Malformed(f"FETCH of {number} among {len(self.view)}")
            message = self.view[number - 1]
            items = fetched.setdefault(id(message), {})
            pairs = rest[0]
            if len(pairs) % 2:
                raise Malformed(f"FETCH items {pairs!r:.200}")
            for name, value in zip(pairs[::2], pairs[1::2]):
                key, canonical = self.item(name.upper().decode(), value)
                if key == "FLAGS":
                    message.flags = canonical
                if key == "UID":
                    if message.uid not in (None, canonical):
                        raise Malformed(f"UID of {number} changed from {message.uid} to {canonical}")
                    message.uid = canonical
                if key != "MODSEQ":
                    items[key] = canonical

    def item(self, name: str, value) -> tuple[str, object]:
        if name == "FLAGS":
            return name, flags_of(value)
        if name == "UID":
            return name, self.uids.rank(self.validity, int(value))
        if name in ("INTERNALDATE", "SAVEDATE"):
            return name, moment(value)
        if name in ("BODY", "BODYSTRUCTURE"):
            return name, structure(value)
        return name, value

    def read_vanished(self, command: Command, tokens: list, told: dict) -> None:
        ranks = {self.uids.rank(self.validity, uid) for uid in numbers_of(tokens[-1])}
        ranks.discard("unknown UID")
        if isinstance(tokens[0], list) and ranks:
            told.setdefault("VANISHED", set()).update(ranks)
        elif not isinstance(tokens[0], list):
            self.view = [message for message in self.view if message.uid is None or message.uid not in ranks]

    def read_search(self, command: Command, tokens: list, told: dict) -> None:
        numbers = [int(token) for token in tokens if isinstance(token, bytes) and token.isdigit()]
        if any(isinstance(token, list) for token in tokens):
            told["MODSEQ"] = True
        told["SEARCH"] = sorted(self.numbers(command, numbers), key=str)

    def read_sort(self, command: Command, tokens: list, told: dict) -> None:
        told["SORT"] = self.numbers(command, [int(token) for token in tokens if not isinstance(token, list)])

    def read_thread(self, command: Command, tokens: list, told: dict) -> None:
        told["THREAD"] = self.tree(command, tokens)

    def tree(self, command: Command, tokens: list) -> list:
        return [
            self.tree(command, token) if isinstance(token, list) else self.numbers(command, [int(token)])[0]
            for token in tokens
        ]

    def read_esearch(self, command: Command, tokens: list, told: dict) -> None:
        if tokens and isinstance(tokens[0], list):
            tokens = tokens[1:]
        by_uid = bool(tokens) and tokens[0].upper() == b"UID"
        if by_uid:
            tokens = tokens[1:]
        result: dict = {}
        for name, value in zip(tokens[::2], tokens[1::2]):
            key = name.upper().decode()
            if key in ("MIN", "MAX"):
                result[key] = self.numbers(command, [int(value)])[0]
            elif key == "ALL":
                result[key] = sorted(self.numbers(command, numbers_of(value)), key=str)
            elif key != "MODSEQ":
                result[key] = value
        told["ESEARCH"] = result

    def numbers(self, command: Command, numbers: list[int]) -> list:
        if command.words[:1] == [b"UID"]:
            return [self.uids.rank(self.validity, number) for number in numbers]
        return numbers

    def read_list(self, command: Command, tokens: list, told: dict, key: str = "LIST") -> None:
        attributes, delimiter, name, *extended = tokens
        known = {attribute.decode().lower() for attribute in attributes} - not_asked(command)
        if "\\nonexistent" in known:
            known.add("\\noselect")
        told.setdefault(key, {})[bytes(name)] = (sorted(known), delimiter, repr(extended).upper())

    def read_lsub(self, command: Command, tokens: list, told: dict) -> None:
        attributes, delimiter, name, *_ = tokens
        unselectable = b"\\noselect" in {attribute.lower() for attribute in attributes}
        told.setdefault("LSUB", {})[bytes(name)] = (unselectable, delimiter)

    def read_status(self, command: Command, tokens: list, told: dict) -> None:
        name, pairs = bytes(tokens[0]), tokens[1]
        items = {key.upper().decode(): value for key, value in zip(pairs[::2], pairs[1::2])}
        if "UIDNEXT" in items:
            validity = int(items.get("UIDVALIDITY", 0))
            items["UIDNEXT"] = self.uids.rank_of_next(validity, int(items["UIDNEXT"])) if validity else "given"
        if "HIGHESTMODSEQ" in items:
            told["_highest"] = int(items["HIGHESTMODSEQ"])
        for private in ("HIGHESTMODSEQ", "UIDVALIDITY", "MAILBOXID", "RECENT"):
            if private in items:
                items[private] = "given"
        told.setdefault("STATUS", {})[name] = items


def not_asked(command: Command) -> set[str]:
    """Attributes that a LIST need not tell: an extended one tells what RETURN asks for (RFC 5258 section 3.2)."""
    text = command.text.upper()
    free = {"\\marked", "\\unmarked"}
    if b"RETURN (" in text or text.startswith(b"LIST ("):
        if b"CHILDREN" not in text:
            free |= {"\\haschildren", "\\hasnochildren"}
        if b"SPECIAL-USE" not in text:
            free |= SPECIAL_USES
        if b"SUBSCRIBED" not in text:
            free.add("\\subscribed")
    return free


def flags_of(value) -> frozenset:
    lowered = {flag.lower() if flag.startswith(b"\\") else flag for flag in value}
    return frozenset(lowered - {b"\\recent"})


def moment(value) -> object:
    """Seconds, whatever the zone; `now` when the server set it."""
    if value is NIL:
        return NIL
    when = parsedate_to_datetime(value.decode().replace("-", " ", 2)).timestamp()
    return "now" if abs(when - time.time()) < 3600 else when


def structure(value) -> object:
    """Types, encodings and names of parameters are case-insensitive (RFC 2045 section 5.1)."""
    if not isinstance(value, list):
        return value
    if value and len(value) % 2 == 0 and all(isinstance(one, Text) for one in value):
        return [parameter(value, index) for index in range(len(value))]
    parts = [structure(one) for one in value]
    if parts and isinstance(parts[0], list):
        subtype = next((index for index, part in enumerate(parts) if not isinstance(part, list)), None)
        insensitive = [] if subtype is None else [subtype]
    else:
        # A part of seven fields or more, or a disposition.
        insensitive = [0, 1, 5] if len(parts) >= 7 and isinstance(parts[1], Text) else [0] if len(parts) == 2 else []
    for index in insensitive:
        if index < len(parts) and isinstance(parts[index], Text):
            parts[index] = Text(parts[index].lower())
    return parts


def parameter(pairs: list, index: int) -> Text:
    named_charset = index % 2 and pairs[index - 1].lower() == b"charset"
    return Text(pairs[index].lower()) if index % 2 == 0 or named_charset else pairs[index]
