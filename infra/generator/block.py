"""Writes values as YAML blocks with CloudFormation's short tags. Standard library only.

Dictionaries and lists become blocks, small ones of scalars stand on one line, strings are quoted where YAML would
take them for something else.
"""

import json
import re
from dataclasses import dataclass

#: What needs no quotes, as a value in block or flow style.
PLAIN = re.compile(r"^[A-Za-z/][A-Za-z0-9_./-]*$")
WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
WIDTH = 120


@dataclass(frozen=True)
class Tag:
    """A short form of an intrinsic function: `!Ref X`, `!If [A, B, C]`."""

    name: str
    value: object


@dataclass(frozen=True)
class Text:
    """A text over several lines."""

    value: str


def ref(name: str) -> Tag:
    return Tag("Ref", name)


def attribute(name: str) -> Tag:
    return Tag("GetAtt", name)


def sub(text: str) -> Tag:
    return Tag("Sub", text)


def choice(condition: str, yes: object, no: object) -> Tag:
    return Tag("If", [condition, yes, no])


NOTHING = ref("AWS::NoValue")


def write(value: object, indent: int) -> str:
    """A value as lines that stand `indent` spaces in; the last line ends with a newline."""
    return "".join(" " * indent + line + "\n" for line in lines(value, WIDTH - indent))


def lines(value: object, width: int) -> list[str]:
    short = on_one_line(value)
    if short is not None and len(short) <= width and not is_resource(value):
        return [short]
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in pair(scalar(key) + ":", inner, width)]
    if isinstance(value, list):
        return [line for inner in value for line in item(inner, width)]
    if isinstance(value, Text):
        return ["|", *("  " + line if line else "" for line in value.value.rstrip("\n").split("\n"))]
    if isinstance(value, Tag):
        if isinstance(value.value, str):
            return [f"!{value.name} {scalar(value.value)}"]
        return [f"!{value.name}", *("  " + line for line in lines(value.value, width - 2))]
    return [scalar(value)]


def pair(head: str, value: object, width: int) -> list[str]:
    inner = lines(value, width - 2)
    if len(inner) == 1 and not (isinstance(value, dict | list) and on_one_line(value) != inner[0]):
        if len(head) + 1 + len(inner[0]) <= width:
            return [f"{head} {inner[0]}"]
    if isinstance(value, Tag | Text) and len(inner) > 1:
        rest = inner[1:] if isinstance(value, Tag) else inner[1:]
        return [f"{head} {inner[0]}", *rest]
    if isinstance(value, Tag | str):
        return [f"{head} {inner[0]}"]
    return [head, *("  " + line for line in inner)]


def item(value: object, width: int) -> list[str]:
    inner = lines(value, width - 2)
    return [("- " if number == 0 else "  ") + line for number, line in enumerate(inner)]


def is_resource(value: object) -> bool:
    return isinstance(value, dict) and "Type" in value and "Properties" in value


def on_one_line(value: object) -> str | None:
    """The value in flow style, if it is small enough to be read so."""
    if isinstance(value, Text):
        return None
    if isinstance(value, Tag):
        if isinstance(value.value, str):
            return f"!{value.name} {scalar(value.value)}"
        inner = on_one_line(value.value)
        return None if inner is None else f"!{value.name} {inner}"
    if isinstance(value, dict):
        if not value:
            return "{}"
        inner = [(scalar(key), on_one_line(each)) for key, each in value.items()]
        if len(inner) > 3 or any(each is None or each.startswith("{") for _, each in inner):
            return None
        return "{ " + ", ".join(f"{key}: {each}" for key, each in inner) + " }"
    if isinstance(value, list):
        inner = [on_one_line(each) for each in value]
        if any(each is None or each.startswith("{") for each in inner):
            return None
        return "[" + ", ".join(inner) + "]"
    return scalar(value)


def scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if PLAIN.match(value) and value.lower() not in WORDS_OF_YAML:
        return value
    # `AWS::SQS::Queue` and the like: colons without a space after them are plain.
    if re.fullmatch(r"[A-Za-z0-9]+(::[A-Za-z0-9]+)+", value):
        return value
    return json.dumps(value, ensure_ascii=False)
