"""The section of docs/performance.md that these measurements fill."""

import os
import platform
import subprocess
from pathlib import Path
from statistics import median

from measure import Measurement

BEGIN, END = "<!-- ingest:begin -->", "<!-- ingest:end -->"


def middle(rounds: list[Measurement], name: str) -> float | None:
    values = [getattr(measurement, name) for measurement in rounds]
    return None if any(value is None for value in values) else median(values)


ROWS = [
    ("accepted letters per second", lambda r: f"{middle(r, 'accepted_per_second'):.0f}"),
    ("IMAP-visible letters per second", lambda r: f"{middle(r, 'visible_per_second'):.0f}"),
    ("DATA → 250, median", lambda r: f"{1000 * middle(r, 'latency_p50'):.1f} ms"),
    ("DATA → 250, p99", lambda r: f"{1000 * middle(r, 'latency_p99'):.1f} ms"),
    ("server CPU per letter", lambda r: f"{1000 * middle(r, 'cpu_per_letter'):.2f} ms"),
    ("share of all cores used by the server", lambda r: f"{100 * middle(r, 'server_share'):.0f} %"),
    ("share of all cores used by the load generator", lambda r: f"{100 * middle(r, 'generator_share'):.0f} %"),
    ("bytes on disk afterwards", lambda r: f"{middle(r, 'disk_bytes') / 1e6:.0f} MB"),
    ("bytes written to the device meanwhile",
     lambda r: "–" if (value := middle(r, "written_bytes")) is None else f"{value / 1e6:.0f} MB"),
    ("device flushes meanwhile",
     lambda r: "–" if (value := middle(r, "flushes")) is None else f"{value:.0f}"),
]


def table(results: dict[str, list[Measurement]], names: dict[str, str]) -> str:
    lines = ["| | " + " | ".join(names[name] for name in results) + " |", "| --- |" + " ---: |" * len(results)]
    for title, show in ROWS:
        lines.append(f"| {title} | " + " | ".join(show(rounds) for rounds in results.values()) + " |")
    return "\n".join(lines)


def each_round(results: dict[str, list[Measurement]], names: dict[str, str]) -> str:
    lines = ["| round | server | accepted/s | visible/s | p99 | fsync of a 4 KB append, median / p99 |",
             "| ---: | --- | ---: | ---: | ---: | ---: |"]
    for number in range(max(len(rounds) for rounds in results.values())):
        for name, rounds in results.items():
            if number < len(rounds):
                one = rounds[number]
                lines.append(
                    f"| {number + 1} | {names[name]} | {one.accepted_per_second:.0f} | {one.visible_per_second:.0f} | "
                    f"{1000 * one.latency_p99:.1f} ms | {one.fsync.append_median:.2f} / {one.fsync.append_p99:.2f} ms |")
    return "\n".join(lines)


def section(results, names, ceiling, arguments, filesystem: str) -> str:
    everything = [measurement for rounds in results.values() for measurement in rounds]
    append = median(m.fsync.append_median for m in everything)
    append_p99 = median(m.fsync.append_p99 for m in everything)
    new_file = median(m.fsync.new_file_median for m in everything)
    parts = [
        BEGIN,
        f"{arguments.letters:,} letters of {arguments.size // 1024} KB to {arguments.accounts} accounts on "
        f"{arguments.connections} connections, fsync on, "
        f"medians of {arguments.rounds} rounds in turn, each with an empty store.",
        "",
        table(results, names),
        "",
    ]
    if len(results) == 2:
        ours, theirs = (middle(results[name], "visible_per_second") for name in ("pennypost", "postfix"))
        parts += [f"IMAP-visible letters per second, Pennypost to the reference: **{ours / theirs:.1f} : 1**.", ""]
    parts += [
        f"Disk in the same run: fsync of a 4 KB append {append:.2f} ms (median of medians; p99 {append_p99:.2f} ms), "
        f"of a new 10 KB file with its directory {new_file:.2f} ms.",
        f"Load generator: {ceiling['per_second']:.0f} letters per second against a null sink; its own CPU allows "
        f"{ceiling['by_cpu']:.0f}.",
        f"Machine: {machine_facts(filesystem)}.",
        "",
        each_round(results, names),
        "",
        "Commands:",
        "",
        "```sh",
        "cargo build --release -p pennypost",
        f"tests/performance/run --letters {arguments.letters} --rounds {arguments.rounds} --write",
        "```",
        "",
        "Visible means: from the first connection until STATUS has shown every letter in all mailboxes. CPU per letter "
        "includes what the server put off until after the load. The generator shares the cores with the server. "
        f"The reference: {versions()}, LMTP over a Unix socket, Maildir, no content filters, fsync as Debian has it "
        "(configuration: `tests/support/reference.py`).",
        END,
    ]
    return "\n".join(parts)


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


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    old = path.read_text() if path.exists() else f"# Performance\n\n## From SMTP to IMAP\n\n{BEGIN}\n{END}\n"
    if BEGIN not in old or END not in old:
        old = old.rstrip("\n") + f"\n\n## From SMTP to IMAP\n\n{BEGIN}\n{END}\n"
    before, rest = old.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    path.write_text(before + text + after)
