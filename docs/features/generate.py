#!/usr/bin/env python3
"""The table of features in docs/features.md, from what stands above the tests that show them.

    docs/features/generate.py           writes the table
    docs/features/generate.py --check   fails if the table is not what would be written

A line above a test, or at the head of a file of tests, says which feature of the catalogue it shows:

    /// Feature ORG-21: deleted: out of every list at once, 30 days in the recycle bin
    /// Feature ORG-22 (part): deleted directly, and erased; backing up into another account not yet

in Python and shell with `#`. With "(part)" the line says what is missing. A feature may stand above several tests; it
is in part as long as one of them says so. It is not for the lack of a page: a feature works if the API or a protocol does
what the catalogue says, and the line says that no page shows it yet. Ids that the issues' areas need and that no test shows are listed as
missing, so that the table tells what is not built, too.
"""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = HERE.parent / "features.md"
BEGIN, END = "<!-- features: begin -->\n", "<!-- features: end -->\n"
ID = r"[A-Z]{2,3}(?:-\d+)?"
LINE = re.compile(rf"^\s*(?://[/!]|#) Feature ({ID}(?:, {ID})*)( \(part\))?: (.+?)\s*$")
NAME = re.compile(r"^\s*(?:pub(?:\([^)]*\))? )?(?:async )?(?:fn|def) (\w+)")
SOURCES = ("*.rs", "*.py", "tests/*/run", "tests/run")
#: What areas are built from; how many rows each has in the catalogue.
AREAS = {"TEN": 17, "DOM": 14, "PLN": 13, "ORG": 28, "BIZ": 8, "GRP": 11, "DLG": 4, "ADM": 15, "AUT": 22, "LOG": 11}


def main() -> int:
    table = render(found())
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    written = head + BEGIN + table + END + rest.split(END)[1]
    if "--check" in sys.argv[1:]:
        if page != written:
            print("error: docs/features.md is out of date: run docs/features/generate.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(written, encoding="utf-8")
    return 0


def found() -> dict[str, list[tuple[bool, str, str]]]:
    """By id: whether in part, what is there, and the test."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCES]
    files = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True)
    features = defaultdict(list)
    for name in sorted(filter(None, files.stdout.decode().split("\0"))):
        if name == str(Path(__file__).resolve().relative_to(ROOT)):
            continue
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            match = LINE.match(line)
            if not match:
                continue
            is_head = line.lstrip().startswith("//!")
            test = None if is_head else test_below(lines, number)
            shown = f"`{name}`" if test is None else f"`{name}`: {test}"
            for feature in match[1].split(", "):
                features[feature].append((bool(match[2]), match[3], shown))
    return features


def test_below(lines: list[str], number: int) -> str | None:
    for line in lines[number + 1:number + 40]:
        if match := NAME.match(line):
            return match[1].replace("_", " ")
        if not line.strip():
            return None
    return None


def render(features: dict[str, list[tuple[bool, str, str]]]) -> str:
    rows = ["| id | state | what is there | shown by |", "| --- | --- | --- | --- |"]
    for feature in sorted(features, key=order):
        entries = features[feature]
        state = "in part" if any(part for part, _, _ in entries) else "works"
        said = list(dict.fromkeys(text for _, text, _ in entries))
        shown = list(dict.fromkeys(shown for _, _, shown in entries))
        rows.append(f"| {feature} | {state} | {cell('; '.join(said))} | {cell(', '.join(shown))} |")
    missing = [f"{area}-{number:02}" for area, count in AREAS.items() for number in range(1, count + 1)
               if f"{area}-{number:02}" not in features]
    return "\n".join(rows) + f"\n\nOf these areas, not built: {', '.join(missing) or 'nothing'}.\n"


def order(feature: str) -> tuple[str, int]:
    area, _, number = feature.partition("-")
    return area, int(number or 0)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
