"""What is known of the messages that SEARCH, SORT and THREAD number: enough to say which of them are equal.

It comes from Dovecot's ENVELOPE, RFC822.SIZE and INTERNALDATE, so that a fault of Pennypost cannot excuse itself.
"""

import datetime
import email.utils
import re
import time

from commands import Command
from tokens import NIL

ASKED = b"FETCH 1:* (UID ENVELOPE RFC822.SIZE INTERNALDATE)"
#: Kinds of differences whose numbers are messages.
KINDS = ("SEARCH", "SORT", "THREAD", "ESEARCH differs", "ESEARCH missing", "ESEARCH extra")
#: Criterion of RFC 5256 -> the field of the envelope whose first address it looks at.
ADDRESSES = {b"FROM": 2, b"DISPLAYFROM": 2, b"TO": 5, b"DISPLAYTO": 5, b"CC": 6}

Messages = dict[object, dict]


def messages_of(command: Command, fetched: dict) -> Messages:
    """By the numbers that the command's answer has: ranks of UIDs after UID, else sequence numbers."""
    by_uid = command.words[:1] == [b"UID"]
    return {
        items["UID"] if by_uid else position + 1: items
        for position, items in fetched.items()
        if isinstance(position, int) and {"UID", "ENVELOPE", "RFC822.SIZE", "INTERNALDATE"} <= set(items)
    }


def dateless(items: dict) -> bool:
    return date_of(items) is None


def date_of(items: dict) -> float | None:
    try:
        date = email.utils.parsedate_to_datetime(items["ENVELOPE"][0].decode(errors="replace"))
    except (AttributeError, TypeError, ValueError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=datetime.timezone.utc)).timestamp()


def sent(items: dict) -> float:
    """RFC 5256 section 2.2."""
    date = date_of(items)
    return arrived(items) if date is None else date


def arrived(items: dict) -> float:
    return time.time() if items["INTERNALDATE"] == "now" else items["INTERNALDATE"]


def message_id(items: dict) -> object:
    return items["ENVELOPE"][9]


def criteria(command: Command) -> list[bytes]:
    match = re.search(rb"\(([A-Z ]+)\) UTF-8 ", command.text)
    return match.group(1).split() if match else []


def sort_key(number: object, items: dict, wanted: list[bytes]) -> str:
    """Equal for two messages only if all that the criteria look at is octet for octet the same."""
    # The second in which a server took a message in is not known here: such a one is like no other.
    arrival = number if items["INTERNALDATE"] == "now" else items["INTERNALDATE"]
    parts: list[object] = []
    for criterion in wanted:
        if criterion == b"ARRIVAL":
            parts.append(arrival)
        elif criterion == b"SIZE":
            parts.append(items["RFC822.SIZE"])
        elif criterion == b"DATE":
            parts.append((items["ENVELOPE"][0], arrival if dateless(items) else None))
        elif criterion == b"SUBJECT":
            parts.append(items["ENVELOPE"][1])
        elif criterion in ADDRESSES:
            addresses = items["ENVELOPE"][ADDRESSES[criterion]]
            parts.append(NIL if addresses is NIL else addresses[0])
    return repr(parts)


def flat(numbers: object) -> list:
    """The messages of a SEARCH, SORT or THREAD, in their order."""
    if isinstance(numbers, (list, tuple)):
        return [one for inner in numbers for one in flat(inner)]
    return [] if numbers is None else [numbers]


def without(some: set, numbers: object) -> list:
    """The rest of a SEARCH, SORT or THREAD; a thread of which one list is left is that list."""
    left: list = []
    for one in numbers or ():
        if isinstance(one, list):
            inner = without(some, one)
            inner = inner[0] if len(inner) == 1 and isinstance(inner[0], list) else inner
            if inner:
                left.append(inner)
        elif one not in some:
            left.append(one)
    return left
