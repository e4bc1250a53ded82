"""The sections of docs/performance.md that these measurements fill, each between markers of its own."""

import os
import platform
import subprocess
from pathlib import Path

HEADINGS = {
    "ingest": "Letters in: from SMTP to IMAP",
    "mailboxes": "Large mailboxes",
    "bodies": "Bodies",
    "mixed": "Twenty mail programs at once",
    "login": "Signing in",
    "pop3": "POP3",
    "idle": "Idle connections",
    "outbound": "Letters out",
    "fairness": "Single letters behind very many",
    "waiting": "A long queue",
    "growth": "Cost grows with the work, not with the past",
    "profile": "Where the time goes",
}
#: Where the part that nobody generates begins.
BY_HAND = "## Reading messages"


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value: float | None, digits: int = 3) -> str:
    """So many digits that count; a dash for nothing."""
    if value is None:
        return "–"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(digits - max(whole, 1), 0)}f}"


def ratio(better: float | None, worse: float | None) -> str:
    """How many times as fast; bold if it is not faster at all."""
    if not better or not worse:
        return "–"
    times = worse / better
    return f"{times:.1f}" if times >= 1 else f"**{times:.2f}**"


def machine_facts(filesystem: str) -> str:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = ".".join(platform.release().split("-")[0].split(".")[:3])
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB memory, Linux {kernel}, {filesystem}"


def versions() -> str:
    found = []
    for title, package in (("Postfix", "postfix"), ("Dovecot", "dovecot-core")):
        shown = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
        found.append(f"{title} {shown.stdout or 'unknown'}")
    return ", ".join(found)


def write(path: Path, name: str, text: str) -> None:
    """Puts the section between its markers; one that is new goes before those written by hand, or to the end."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    path.parent.mkdir(exist_ok=True)
    old = path.read_text() if path.exists() else "# Performance\n"
    if begin not in old or end not in old:
        measured, by_hand, rest = old.partition(BY_HAND)
        old = f"{measured.rstrip()}\n\n## {HEADINGS[name]}\n\n{begin}\n{end}\n"
        old += f"\n{by_hand}{rest}" if by_hand else ""
    before, rest = old.split(begin, 1)
    _, after = rest.split(end, 1)
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")
