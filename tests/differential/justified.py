"""Differences that RFC text explains; `justified.md` quotes it under the same names.

A rule looks at one difference. `ends` is for those after which the two stores
are not the same any more, so that the rest of the sequence says nothing.
"""

from dataclasses import dataclass
from typing import Callable

from commands import Command
from compare import Difference
from tokens import NIL


@dataclass(frozen=True)
class Rule:
    name: str
    applies: Callable[[Command, Difference, set[str]], bool]
    ends: bool = False


def both_refuse(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind in ("NO for BAD", "BAD for NO")


def absent_part(command: Command, difference: Difference, letters: set[str]) -> bool:
    if difference.kind != "item BODY":
        return False
    return list(difference.ours.values()) == [NIL] and list(difference.theirs.values()) == [b""]


def read_only(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind in ("NO for OK", "OK for NO") and any(
        b"read-only" in line.lower() for line in (difference.ours, difference.theirs)
    )


def star_of_nothing(command: Command, difference: Difference, letters: set[str]) -> bool:
    return difference.kind == "OK for BAD" and b"*" in command.text and b"Invalid messageset" in difference.theirs


RULES = (
    Rule("no-or-bad", both_refuse),
    Rule("absent-part", absent_part),
    Rule("read-only", read_only),
    Rule("star-of-nothing", star_of_nothing),
)


def forgive(command: Command, difference: Difference, letters: set[str]) -> Rule | None:
    return next((rule for rule in RULES if rule.applies(command, difference, letters)), None)
