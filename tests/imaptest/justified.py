"""`justified.md`: the failures that another reading of an RFC explains.

A section `## GROUP: commands N, M` names a scripted group and the numbers of
its commands that fail; its text quotes the RFC. A group that fails otherwise,
and one that no longer fails, are both wrong: the list stays exact.
"""

import re
from pathlib import Path

HEADING = re.compile(r"^## (\S+): commands? ([\d, ]+)$")
RFC = re.compile(r"\bRFC \d{4}\b.*\bsection\b", re.IGNORECASE | re.DOTALL)


def read(path: Path) -> dict[str, set[int]]:
    excuses: dict[str, set[int]] = {}
    for section in re.split(r"^(?=## )", path.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        match = HEADING.match(heading)
        if match is None:
            raise SystemExit(f"error: {path}: {heading!r} does not read '## GROUP: commands N, M'")
        if RFC.search(text) is None:
            raise SystemExit(f"error: {path}: {heading!r} cites no section of an RFC")
        excuses[match.group(1)] = {int(number) for number in match.group(2).split(",")}
    return excuses
