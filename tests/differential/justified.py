"""Differences that RFC text explains; `justified.md` quotes it under the same names.

A rule looks at one difference. `ends` is for those after which the two stores
are not the same any more, so that the rest of the sequence says nothing.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from commands import Command
from compare import Difference
from letters import corpus, decoded_sizes, has_date, is_decodable, part_numbers
from messages import Messages, arrived, criteria, dateless, flat, message_id, sent, sort_key, without
from tokens import NIL


@dataclass(frozen=True)
class Rule:
    name: str
    applies: Callable[[Command, Difference, set[str]], bool]
    ends: bool = False


def both_refuse(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind in ("NO for BAD", "BAD for NO")


SECTION = re.compile(r"(?:BODY|BINARY|BINARY\.SIZE)\[([0-9.]+?)(?:\.[A-Z].*)?\]")
#: Headers and text belong to messages: of any other part there are none.
OF_MESSAGES = re.compile(r"BODY\[[0-9.]+\.(?:HEADER|TEXT)")


def absent_part(command: Command, difference: Difference, letters: set[str]) -> bool:
    nothing = {"item BODY": NIL, "item BINARY": NIL, "item BINARY.SIZE": b"0"}
    if difference.kind not in nothing or list(difference.ours.values()) != [nothing[difference.kind]]:
        return False
    if list(difference.theirs.values()) in ([b""], [b"\r\n"]):
        return True
    item = next(iter(difference.ours))
    section = SECTION.match(item)
    if section is None:
        return False
    return any(section.group(1) not in PARTS[letter] for letter in letters) or OF_MESSAGES.match(item) is not None


def read_only(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind in ("NO for OK", "OK for NO") and any(
        b"read-only" in line.lower() for line in (difference.ours, difference.theirs)
    )


def refused_before(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind == "response code" and difference.ours.startswith(b"NO [NOPERM]")


def star_of_nothing(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind == "OK for BAD" and b"*" in command.text and b"Invalid messageset" in difference.theirs


def nothing_to_copy(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind == "NO for OK" and b"[TRYCREATE]" in difference.ours and b"No messages found" in difference.theirs


def malformed(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind == "BAD for OK" and command.text in NOT_IN_GRAMMAR


#: What Dovecot takes although the formal syntax has no such command.
NOT_IN_GRAMMAR = {
    b"STORE 1 FLAGS.SILENT", b"STORE 1 FLAGS", b"FETCH 1 BODY[TEXT]<0.0>", b"FETCH 1 BODY[TEXT]<5>", b"NOOP extra",
    b"CAPABILITY extra", b"FETCH 1 BODY[0]", b"SEARCH BEFORE 32-Jan-2024", b'APPEND one "99-Jan-2024 00:00:00 +0000" <<t:plain0>>',
}


def unknown_system_flag(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind == "OK for BAD" and b"Invalid system flag" in difference.theirs


def subscribe_unchecked(command: Command, difference: Difference, letters: set[str]) -> bool:
    return command.verb == "SUBSCRIBE" and difference.kind == "OK for NO"


def root_name(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind in ("LIST extra", "LIST missing") and command.text.endswith(b' ""')


def subscribed_told(command: Command, difference: Difference, letters: set[str]) -> bool:
    if difference.kind != "LIST differs" or b"SUBSCRIBED" not in command.text:
        return False
    (ours, *mine), (theirs, *other) = (next(iter(side.values())) for side in (difference.ours, difference.theirs))
    return mine == other and set(ours) - set(theirs) == {"\\subscribed"} and set(theirs) <= set(ours)


def vanished_more(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind == "VANISHED" and set(difference.ours or ()) > set(difference.theirs or ())


def no_date(command: Command, difference: Difference, letters: set[str]) -> bool:
    if b"SENT" not in command.text or not letters & DATELESS:
        return False
    free = {number for number, items in difference.messages.items() if dateless(items)}
    if difference.kind in ("SEARCH", "SORT", "THREAD"):
        told = set(flat(difference.ours)) ^ set(flat(difference.theirs))
        return bool(told) and without(free, difference.ours) == without(free, difference.theirs)
    if not difference.kind.startswith("ESEARCH"):
        return False
    (item, ours), (_, theirs) = (next(iter(side.items())) for side in (difference.ours, difference.theirs))
    if item == "COUNT":
        return None not in (ours, theirs) and abs(int(ours) - int(theirs)) <= len(free)
    if item == "ALL":
        return without(free, ours) == without(free, theirs)
    return ours in free or theirs in free


def no_date_saved(command: Command, difference: Difference, letters: set[str]) -> bool:
    """From then on `$` stands for other messages (RFC 5182)."""
    return b"SAVE" in command.text and no_date(command, difference, letters)


def sent_date_lost(command: Command, difference: Difference, letters: set[str]) -> bool:
    wanted = criteria(command)
    if difference.kind != "SORT" or b"DATE" not in wanted:
        return False
    ours, theirs = flat(difference.ours), flat(difference.theirs)
    if set(ours) != set(theirs) or not set(ours) <= set(difference.messages):
        return False
    return any(
        without({one}, ours) == without({one}, theirs) and sorted_by_arrival(one, ours, theirs, wanted, difference.messages)
        for one in ours
    )


def sorted_by_arrival(one: object, ours: list, theirs: list, wanted: list[bytes], messages: Messages) -> bool:
    """Pennypost has put this message where its Date says, and Dovecot where its INTERNALDATE says."""
    at = wanted.index(b"DATE")
    falling = wanted[at - 1 : at] == [b"REVERSE"]
    for other in ours:
        first = ours.index(one) < ours.index(other)
        if other == one or first == (theirs.index(one) < theirs.index(other)):
            continue
        if sort_key(one, messages[one], wanted[:at]) != sort_key(other, messages[other], wanted[:at]):
            return False
        date, arrival, compared = sent(messages[one]), arrived(messages[one]), sent(messages[other])
        if date == compared:
            equal = sort_key(one, messages[one], wanted[at + 1 :]) == sort_key(other, messages[other], wanted[at + 1 :])
            if not equal or first != (one < other):
                return False
        elif first != ((date < compared) != falling):
            return False
        if arrival == compared or first == ((arrival < compared) != falling):
            return False
    return True


def moment_of_arrival(command: Command, difference: Difference, letters: set[str]) -> bool:
    wanted = criteria(command)
    if difference.kind != "SORT" or b"ARRIVAL" not in wanted:
        return False
    ours, theirs, messages = flat(difference.ours), flat(difference.theirs), difference.messages
    if set(ours) != set(theirs) or not set(ours) <= set(messages):
        return False
    before = wanted[: wanted.index(b"ARRIVAL")]
    return all(
        messages[left]["INTERNALDATE"] == messages[right]["INTERNALDATE"] == "now"
        and sort_key(left, messages[left], before) == sort_key(right, messages[right], before)
        for at, left in enumerate(ours) for right in ours[at + 1 :] if theirs.index(left) > theirs.index(right)
    )


def sender_garbage(command: Command, difference: Difference, letters: set[str]) -> bool:
    if not {b"FROM", b"DISPLAYFROM"} & set(criteria(command)):
        return False
    if difference.kind == "ESEARCH differs":
        # Only the first or the last message is told.
        return "address-garbage" in letters
    if difference.kind != "SORT":
        return False
    garbage = {n for n, items in difference.messages.items() if message_id(items) == b"<address-garbage@sample.test>"}
    ours, theirs = flat(difference.ours), flat(difference.theirs)
    return set(ours) == set(theirs) and without(garbage, ours) == without(garbage, theirs)


def undecodable_name(command: Command, difference: Difference, letters: set[str]) -> bool:
    if difference.kind != "SORT" or not {b"FROM", b"DISPLAYFROM"} & set(criteria(command)):
        return False
    raw = {n for n, items in difference.messages.items() if message_id(items) == b"<header-raw-gbk@sample.test>"}
    ours, theirs = flat(difference.ours), flat(difference.theirs)
    return bool(raw) and set(ours) == set(theirs) and without(raw, ours) == without(raw, theirs)


def thread_crash(command: Command, difference: Difference, letters: set[str]) -> bool:
    numbers = re.fullmatch(rb"(?:UID )?THREAD REFERENCES UTF-8 [0-9,:*]+", command.text)
    return numbers is not None and difference.kind == "OK for ConnectionLost"


def blank_line(command: Command, difference: Difference, letters: set[str]) -> bool:
    if difference.kind != "item BODY":
        return False
    (item, ours), (_, theirs) = (next(iter(side.items())) for side in (difference.ours, difference.theirs))
    return "HEADER.FIELDS" in item and item.endswith("]<1>") and (ours, theirs) == (b"\n", b"\r")


def unknown_cte(command: Command, difference: Difference, letters: set[str]) -> bool:
    asked = BINARY.findall(command.text.upper())
    if not asked or not letters & UNDECODABLE:
        return False
    if difference.kind == "OK for NO":
        parts = {number for letter in letters & UNDECODABLE for number in PARTS[letter]}
        only_whole = b"" in asked and not parts & {section.decode() for section in asked}
        return only_whole and UNKNOWN_CTE.match(difference.tagged[1]) is not None
    untold = difference.kind in ("FETCH missing", "FETCH extra") or (
        difference.kind.startswith("item ")
        and "absent" in (*difference.ours.values(), *difference.theirs.values())
    )
    return untold and all(map(UNKNOWN_CTE.match, difference.tagged))


BINARY = re.compile(rb"BINARY(?:\.PEEK|\.SIZE)?\[([0-9.]*)\]")
UNKNOWN_CTE = re.compile(rb"NO \[UNKNOWN-CTE\]")


def decoded_size(command: Command, difference: Difference, letters: set[str]) -> bool:
    if difference.kind != "item BINARY.SIZE":
        return False
    (item, ours), (_, theirs) = (next(iter(side.items())) for side in (difference.ours, difference.theirs))
    section = item.partition("[")[2].rstrip("]")
    sizes = {b"%d" % SIZES[letter][section] for letter in letters if section in SIZES[letter]}
    return ours in sizes and theirs not in sizes


def gave_up(command: Command, difference: Difference, letters: set[str]) -> bool:
    if b"BINARY" not in command.text:
        return False
    lost = difference.kind in ("NO for ConnectionLost", "OK for ConnectionLost")
    return lost or (difference.kind == "OK for NO" and b"Invalid data in MIME part" in difference.theirs)


def binary_of_everything(command: Command, difference: Difference, letters: set[str]) -> bool:
    if not difference.kind.startswith("item BINARY"):
        return False
    item = next(iter(difference.ours))
    section = SECTION.match(item)
    return "[]" in item or section is not None and any(PARTS[letter].get(section.group(1)) for letter in letters)


def not_of_sizes(command: Command, difference: Difference, letters: set[str]) -> bool:
    text = command.text
    twice = any(text.count(key) > 1 for key in (b"LARGER", b"SMALLER", b"BEFORE", b"SINCE"))
    return difference.kind in ("SEARCH", "ESEARCH differs", "ESEARCH missing") and b"NOT " in text and twice


def reply_prefixes(command: Command, difference: Difference, letters: set[str]) -> bool:
    by_subject = difference.kind == "THREAD" or difference.kind == "SORT" and b"SUBJECT" in criteria(command)
    return by_subject and {"thread-2", "thread-6"} <= letters


def created_unlisted(command: Command, difference: Difference, letters: set[str]) -> bool:
    # Seen with these names alone: of any other one a mailbox too many is a fault.
    unlisted = difference.theirs in ({b"with space": None}, {b"one": None})
    return difference.kind == "state LIST extra" and unlisted


def markup(command: Command, difference: Difference, letters: set[str]) -> bool:
    searched = difference.kind in ("SEARCH", "ESEARCH differs", "ESEARCH missing", "SORT", "THREAD")
    return searched and "mixed-alternative-related" in letters and re.search(rb"BODY e\b", command.text) is not None


def repeated_criterion(command: Command, difference: Difference, letters: set[str]) -> bool:
    wanted = [key for key in criteria(command) if key != b"REVERSE"]
    repeated = {key for key in wanted if wanted.count(key) > 1}
    if difference.kind != "SORT" or not repeated or b"REVERSE" not in criteria(command):
        return False
    return set(flat(difference.ours)) == set(flat(difference.theirs))


def decomposed(command: Command, difference: Difference, letters: set[str]) -> bool:
    searched = difference.kind in ("SEARCH", "ESEARCH differs", "ESEARCH missing", "SORT", "THREAD")
    return searched and "rfc2047-lower-case" in letters and re.search(rb"(SUBJECT|TEXT|HEADER Subject) e\b", command.text) is not None


def file_names(command: Command, difference: Difference, letters: set[str]) -> bool:
    searched = difference.kind in ("SEARCH", "ESEARCH differs", "ESEARCH missing", "SORT", "THREAD")
    return searched and "smime-enveloped" in letters and re.search(rb"BODY e\b", command.text) is not None


def last_line_end(command: Command, difference: Difference, letters: set[str]) -> bool:
    if difference.kind not in ("item BODY", "item BODYSTRUCTURE", "item BINARY"):
        return False
    if "[" not in next(iter(difference.ours)):
        return "nested-rfc822" in letters
    ours, theirs = (next(iter(side.values())) for side in (difference.ours, difference.theirs))
    if not isinstance(ours, bytes):
        return False
    return theirs == ours + b"\r\n" or (".MIME" in next(iter(difference.ours)) and ours == theirs + b"\r\n")


def joined_parameters(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind in ("item BODYSTRUCTURE", "item BODY") and "rfc2231-mixed-continuations" in letters


def broken_mime(command: Command, difference: Difference, letters: set[str]) -> bool:
    if not letters & BROKEN_LETTERS:
        return False
    searched = difference.kind in ("SEARCH", "ESEARCH differs", "SORT", "THREAD") and (b"BODY" in command.text or b"TEXT" in command.text)
    return searched or difference.kind in ("item BINARY", "item BINARY.SIZE", "item BODY", "item BODYSTRUCTURE", "item ENVELOPE")


#: Letters that break the grammar of MIME or of headers where Dovecot and Pennypost guess differently.
BROKEN_LETTERS = {
    "boundary-no-parts", "boundary-missing-parameter", "boundary-never-found", "boundary-empty", "content-type-unquoted",
    "content-type-garbage", "content-type-no-subtype", "headers-duplicate", "address-garbage", "boundary-same-nested",
}

RULES = (
    Rule("no-or-bad", both_refuse),
    Rule("absent-part", absent_part),
    Rule("read-only", read_only, ends=True),
    Rule("refused-before", refused_before),
    Rule("star-of-nothing", star_of_nothing),
    Rule("nothing-to-copy", nothing_to_copy),
    Rule("malformed", malformed, ends=True),
    Rule("unknown-system-flag", unknown_system_flag, ends=True),
    Rule("subscribe-unchecked", subscribe_unchecked, ends=True),
    Rule("root-name", root_name),
    Rule("subscribed-told", subscribed_told),
    Rule("not-of-sizes", not_of_sizes),
    Rule("reply-prefixes", reply_prefixes),
    Rule("created-unlisted", created_unlisted, ends=True),
    Rule("repeated-criterion", repeated_criterion),
    Rule("decomposed", decomposed),
    Rule("file-names", file_names),
    Rule("markup", markup),
    Rule("vanished-more", vanished_more),
    Rule("no-date", no_date_saved, ends=True),
    Rule("no-date", no_date),
    Rule("sent-date-lost", sent_date_lost),
    Rule("moment-of-arrival", moment_of_arrival),
    Rule("sender-garbage", sender_garbage),
    Rule("undecodable-name", undecodable_name),
    Rule("thread-crash", thread_crash, ends=True),
    Rule("blank-line", blank_line),
    Rule("unknown-cte", unknown_cte, ends=True),
    Rule("decoded-size", decoded_size),
    Rule("gave-up", gave_up, ends=True),
    Rule("binary-of-everything", binary_of_everything),
    Rule("joined-parameters", joined_parameters),
    Rule("last-line-end", last_line_end),
    Rule("broken-mime", broken_mime),
)

DATELESS = {name for name, letter in corpus().items() if not has_date(letter)}
PARTS = {name: part_numbers(letter) for name, letter in corpus().items()}
SIZES = {name: decoded_sizes(letter) for name, letter in corpus().items()}
UNDECODABLE = {name for name, letter in corpus().items() if not is_decodable(letter)}


def explained() -> set[str]:
    """The sections of `justified.md`: one for each rule."""
    text = (Path(__file__).parent / "justified.md").read_text()
    return set(re.findall(r"^## (\S+)$", text, re.MULTILINE))


def forgive(command: Command, difference: Difference, letters: set[str]) -> Rule | None:
    return next((rule for rule in RULES if rule.applies(command, difference, letters)), None)
