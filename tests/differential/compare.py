"""Two answers, or two states, and how they differ."""

from dataclasses import dataclass, field

from commands import Command
from session import Answer


@dataclass(frozen=True)
class Difference:
    #: A short name that is the same for all differences of a sort.
    kind: str
    #: What each said.
    detail: str
    ours: object = None
    theirs: object = None
    #: The tagged lines of both.
    tagged: tuple[bytes, ...] = ()
    #: Of SEARCH and its like: the messages by the numbers in the answer.
    messages: dict = field(default_factory=dict)


REFUSALS = {"NO", "BAD"}
#: Codes that say what a client must do next; others are help for persons, and free.
CODES = {"READ-ONLY", "READ-WRITE", "TRYCREATE", "MODIFIED"}
UNASKED = {"FLAGS", "UID"}


def differs(kind: str, ours, theirs) -> Difference:
    return Difference(kind, f"pennypost {ours!r:.1500}\n      dovecot   {theirs!r:.1500}", ours, theirs)


def compare_answers(command: Command, ours: Answer, theirs: Answer):
    if ours.status != theirs.status:
        yield differs(f"{ours.status} for {theirs.status}", ours.raw[-1], theirs.raw[-1])
        if (ours.status == "OK") != (theirs.status == "OK"):
            return
    codes = [answer.code if answer.code in CODES else "" for answer in (ours, theirs)]
    if codes[0] != codes[1] and "BAD" not in (ours.status, theirs.status):
        yield differs("response code", ours.raw[-1], theirs.raw[-1])
    for key in sorted((set(ours.told) | set(theirs.told)) - {"FETCH", "UIDNEXT"}):
        if key.startswith("_"):
            continue
        if ours.told.get(key) != theirs.told.get(key):
            yield from narrowed(key, ours.told.get(key), theirs.told.get(key))
    yield from compare_fetched(command, ours.told.get("FETCH", {}), theirs.told.get("FETCH", {}))


def narrowed(key: str, ours, theirs):
    """For a table of mailboxes, one of them."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(set(ours) | set(theirs), key=str):
            if ours.get(name) != theirs.get(name):
                what = "missing" if name not in ours else "extra" if name not in theirs else "differs"
                yield differs(f"{key} {what}", {name: ours.get(name)}, {name: theirs.get(name)})
    else:
        yield differs(key, ours, theirs)


def compare_fetched(command: Command, ours: dict, theirs: dict):
    asked = command.verb in ("FETCH", "UID FETCH")
    words = command.text.upper()
    flags_asked = asked and any(word in words for word in (b"FLAGS", b" ALL", b" FAST", b" FULL"))
    for position in sorted(set(ours) | set(theirs), key=str):
        mine, other = ours.get(position), theirs.get(position)
        if mine is None or other is None:
            if asked and (set(mine or other) - UNASKED or flags_asked):
                yield differs("FETCH missing" if mine is None else "FETCH extra", mine, other)
            continue
        for item in sorted(set(mine) | set(other)):
            if (item not in mine or item not in other) and item in UNASKED and not (item == "FLAGS" and flags_asked):
                continue
            if mine.get(item, "absent") != other.get(item, "absent"):
                yield differs(f"item {item.split('[')[0]}", {item: mine.get(item, "absent")}, {item: other.get(item, "absent")})


def compare_states(ours: dict, theirs: dict):
    yield from narrowed("state LIST", ours["list"], theirs["list"])
    if ours["subscribed"] != theirs["subscribed"]:
        yield differs("state subscriptions", ours["subscribed"], theirs["subscribed"])
    for name in sorted(set(ours["mailboxes"]) & set(theirs["mailboxes"])):
        mine, other = ours["mailboxes"][name], theirs["mailboxes"][name]
        for key in ("status", "permanent"):
            if mine[key] != other[key]:
                yield differs(f"state {key}", mine[key], other[key])
        if list(mine["messages"]) != list(other["messages"]):
            yield differs("state messages", list(mine["messages"]), list(other["messages"]))
            continue
        for uid, items in mine["messages"].items():
            for item in sorted(set(items) | set(other["messages"][uid])):
                if items.get(item) != other["messages"][uid].get(item):
                    yield differs(f"state {item}", items.get(item), other["messages"][uid].get(item))
