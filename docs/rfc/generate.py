#!/usr/bin/env python3
"""The support matrix docs/rfc/support.md from the index files docs/rfc/*.toml.

    docs/rfc/generate.py           writes support.md
    docs/rfc/generate.py --check   fails if support.md is not what would be written

Both fail when the index is wrong: a file or test that is named does not exist, a capability that the server
tells of stands in no entry, an entry claims a capability that the server never tells of, or the code cites an
RFC that the index does not know.

An entry: number, title, status ("full", "partial", "none", or "reference" for what is only cited), capability
(names as they are told on the wire), implemented (files), tests (files, or file::name of a test), note.
"""

import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MATRIX = HERE / "support.md"
STATUSES = ("full", "partial", "none", "reference")
FIELDS = {"number", "title", "status", "capability", "implemented", "tests", "note"}
CAPABILITIES = ROOT / "ingress/src/imap/capability.rs"
CITED = re.compile(r"\bRFCs? ?(\d{3,5})\b", re.IGNORECASE)
MARK = {"full": "yes", "partial": "in part", "none": "no"}


def main() -> int:
    entries, faults = read_index()
    faults += check_paths(entries) + check_capabilities(entries) + check_citations(entries)
    if faults:
        print("\n".join(f"error: {fault}" for fault in faults), file=sys.stderr)
        return 1
    text = render(entries)
    if "--check" in sys.argv[1:]:
        if not MATRIX.exists() or MATRIX.read_text(encoding="utf-8") != text:
            print("error: docs/rfc/support.md is out of date: run docs/rfc/generate.py", file=sys.stderr)
            return 1
        return 0
    MATRIX.write_text(text, encoding="utf-8")
    return 0


def read_index() -> tuple[list[dict], list[str]]:
    entries: dict[int, dict] = {}
    faults = []
    for file in sorted(HERE.glob("*.toml")):
        for entry in tomllib.loads(file.read_text(encoding="utf-8")).get("rfc", []):
            number = entry.get("number")
            where = f"{file.name}: RFC {number}"
            if unknown := set(entry) - FIELDS:
                faults.append(f"{where}: unknown field {', '.join(sorted(unknown))}")
            if not isinstance(number, int) or not entry.get("title"):
                faults.append(f"{where}: number and title are needed")
                continue
            if entry.get("status") not in STATUSES:
                faults.append(f"{where}: status is one of {', '.join(STATUSES)}")
                continue
            if entry["status"] in ("full", "partial"):
                faults += [f"{where}: {field} is missing" for field in ("implemented", "tests") if not entry.get(field)]
            if entry["status"] == "partial" and not entry.get("note"):
                faults.append(f"{where}: what is missing? (note)")
            if number in entries:
                faults.append(f"{where}: a second entry")
            entries[number] = entry
    return [entries[number] for number in sorted(entries)], faults


def check_paths(entries: list[dict]) -> list[str]:
    faults = []
    for entry in entries:
        for place in [*entry.get("implemented", []), *entry.get("tests", [])]:
            path, _, name = place.partition("::")
            target = ROOT / path
            if not target.exists():
                faults.append(f"RFC {entry['number']}: there is no {path}")
            elif name and not re.search(rf"\b(fn|def) {re.escape(name.rsplit('::', 1)[-1])}\b", read_all(target)):
                faults.append(f"RFC {entry['number']}: {path} has no test {name}")
    return faults


def read_all(target: Path) -> str:
    files = sorted(target.rglob("*.rs")) if target.is_dir() else [target]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def check_capabilities(entries: list[dict]) -> list[str]:
    """The capabilities that the IMAP server tells of are those of the index."""
    told = set(re.findall(r'\("([^"]+)",\s*When::', CAPABILITIES.read_text(encoding="utf-8")))
    claimed = {name for entry in entries for name in entry.get("capability", [])} | set(without_rfc())
    if not told:
        return [f"no capabilities found in {CAPABILITIES.relative_to(ROOT)}"]
    faults = [f"the capability {name} stands in no entry" for name in sorted(told - claimed)]
    for entry in entries:
        if entry["status"] in ("none", "reference"):
            faults += [
                f"RFC {entry['number']} is not supported, but {name} is told"
                for name in entry.get("capability", [])
                if name in told
            ]
    return faults


def without_rfc() -> dict[str, str]:
    """Capabilities that no RFC describes, with what they are: the table [other] of an index file."""
    files = sorted(HERE.glob("*.toml"))
    tables = (tomllib.loads(file.read_text(encoding="utf-8")).get("other", {}) for file in files)
    return {name: title for table in tables for name, title in table.items()}


def check_citations(entries: list[dict]) -> list[str]:
    known = {entry["number"] for entry in entries}
    faults = []
    for top in ("shared", "functions", "ingress", "pennypost", "bench", "tests"):
        for file in sorted((ROOT / top).rglob("*")):
            if file.suffix not in (".rs", ".py", ".ftl") or not file.is_file():
                continue
            cited = {int(number) for number in CITED.findall(file.read_text(encoding="utf-8"))} - {822}
            faults += [f"{file.relative_to(ROOT)} cites RFC {number}, which is in no index file"
                       for number in sorted(cited - known)]
    return faults


def render(entries: list[dict]) -> str:
    supported = [entry for entry in entries if entry["status"] != "reference"]
    lines = [
        "# What Pennypost supports, RFC by RFC",
        "",
        "Made by `docs/rfc/generate.py` from the index files beside it; CI checks that it is up to date, that the files and",
        "tests it names exist, that it holds every capability the IMAP server tells of, and every RFC that the code cites.",
        "",
        "| RFC | what | told as | supported | implemented in | shown by |",
        "| ---: | --- | --- | --- | --- | --- |",
    ]
    for entry in supported:
        note = f": {entry['note']}" if entry.get("note") else ""
        lines.append(
            f"| [{entry['number']}](https://www.rfc-editor.org/rfc/rfc{entry['number']}) | {entry['title']} "
            f"| {', '.join(f'`{name}`' for name in entry.get('capability', []))} | {MARK[entry['status']]}{note} "
            f"| {places(entry.get('implemented', []))} | {places(entry.get('tests', []))} |"
        )
    lines += ["", "Told, but described by no RFC:", ""]
    lines += [f"- `{name}`: {title}" for name, title in sorted(without_rfc().items())]
    lines += ["", "Cited only:", ""]
    lines += [f"- RFC {entry['number']}, {entry['title']}" for entry in entries if entry["status"] == "reference"]
    return "\n".join(lines) + "\n"


def places(names: list[str]) -> str:
    return "<br>".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.exit(main())
