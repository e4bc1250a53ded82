"""Mailboxes of 10,000 and 100,000 messages: Pennypost beside Dovecot with maildir and with mdbox."""

import time

import document
import servers
from load import Figures
from sections import Plan, Results, say

#: Seconds in which a server does what it has put off, after it was filled and after each measurement.
REST = 10
#: How often each server is started anew on the mailbox it has, which gives one first time of each operation; and on a
#: larger one, in which Dovecot searches for minutes each time.
STARTS, FEW_STARTS = 5, 3
#: The largest mailbox that is measured with all of them.
MANY_STARTS_UP_TO = 10_000
#: Milliseconds of a search from which the searches are measured at the first start only: minutes of reading all letters
#: do not depend on what a start leaves undone.
LONG_SEARCH = 5_000

KINDS = ("pennypost", "maildir", "mdbox")
#: Dovecot as durable as Pennypost, and the operations that change something.
SYNCED = "mdbox-synced"
CHANGES = ("store", "copy", "move", "append", "multiappend")
#: Bodies have a section of their own.
MEASURED = ("fetch", "search", *CHANGES)


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    sizes = plan.arguments.messages or ([2_000] if plan.quick else [10_000, 100_000])
    for messages in sizes:
        for round_ in range(plan.rounds(1)):
            for kind in plan.kinds(*KINDS):
                measured(plan, results, kind, messages, MEASURED, round_)
    if plan.kinds(*KINDS) == list(KINDS):
        for report in one(plan, SYNCED, sizes[0], CHANGES):
            results.add(report, sizes[0], SYNCED)
    return results, section(plan, results, sizes)


def measured(plan: Plan, results: Results, kind: str, messages: int, only: tuple[str, ...], round_: int) -> None:
    reports = one(plan, kind, messages, only)
    for report in reports:
        results.add(report, messages, kind)
    figures = Figures(reports)
    say(f"{messages} messages, round {round_ + 1}, {kind}: " + ", ".join(
        f"{operation} {figures[operation, 'first']:.1f}/{figures[operation, 'repeated']:.1f} ms"
        for operation in figures.operations("first")))


def one(plan: Plan, kind: str, messages: int, only: tuple[str, ...]) -> list[dict]:
    """One report of each start."""
    with plan.running(kind, 1, filling=True) as server:
        filled = server.bench("imap", *common(plan, server, messages), "--fill-only")
        reports = []
        for _ in range(1 if plan.quick else starts(messages)):
            reports.append(started(plan, server, messages, only))
            if longest_search(reports[0]) > LONG_SEARCH:
                only = tuple(operation for operation in only if operation != "search")
        reports[0]["figures"] += filled["figures"]
        return reports


def common(plan: Plan, server: servers.Running, messages: int) -> list:
    return [*server.imap(), *server.users(1), "--mailbox", "bench", "--messages", messages,
            "--size", plan.arguments.size or "mix"]


def started(plan: Plan, server: servers.Running, messages: int, only: tuple[str, ...]) -> dict:
    """The report of one start on a filled mailbox."""
    # Letters that have just come are not yet as a server keeps them: some put work off until it is quiet.
    time.sleep(REST)
    # The first time is the first one of new processes.
    server.start_anew()
    return server.bench("imap", *common(plan, server, messages), "--fill", "none", *server.pids("imap"),
                        *(word for operation in only for word in ("--only", operation)))


def longest_search(report: dict) -> float:
    return max((figure["median"] for figure in report["figures"] if figure["operation"].startswith("SEARCH")), default=0)


def starts(messages: int) -> int:
    return STARTS if messages <= MANY_STARTS_UP_TO else FEW_STARTS


def section(plan: Plan, results: Results, sizes: list[int]) -> str:
    kinds = plan.kinds(*KINDS)
    parts = []
    for messages in sizes:
        parts += [f"### {messages:,} messages", "", timings(results, kinds, messages), ""]
        memory = [f"{servers.SHORT[kind]} {results[messages, kind]['', 'memory_peak'] / 1024:.0f} MB" for kind in kinds]
        rate = [f"{servers.SHORT[kind]} {document.number(results[messages, kind].get('APPEND', 'accepted'))}"
                for kind in kinds]
        parts += [f"Memory at most (PSS of all processes): {', '.join(memory)}. "
                  f"Messages a second while it was filled: {', '.join(rate)}.", ""]
    if (sizes[0], SYNCED) in results.reports:
        parts += [
            f"### Changes of {sizes[0]:,} messages, synced", "",
            synced(results, sizes[0]), "",
            "Dovecot does not sync flags, copies and expunged messages before it says OK, unless `mail_fsync = always` "
            "tells it to; Pennypost always does. This is Dovecot as durable as Pennypost.", "",
        ]
    parts += [
        "Milliseconds for the whole operation until the tagged OK, every answer counted. Each server was left "
        f"alone for {REST} seconds after it was filled and before each start. First: the first time after "
        f"the server was started anew on the filled mailbox, each operation in a session of its own, the median of {STARTS} "
        f"starts ({FEW_STARTS} of more than {MANY_STARTS_UP_TO:,} messages; searches of a server that needs more than "
        f"{LONG_SEARCH // 1000} seconds for one: the first start). Repeated: the median of three more times in that session, and of those of all starts. × is how many times as fast Pennypost is; bold if it is slower. "
        "STORE, COPY, MOVE, EXPUNGE, APPEND work on 1,000 messages. Letters are 2 KB to 100 KB, 9 KB on the average. A "
        "server may load at LOGIN what SELECT needs: look at both.",
    ]
    return "\n".join(parts)


def timings(results: Results, kinds: list[str], messages: int) -> str:
    others = [kind for kind in kinds if kind != "pennypost"]
    ours = "pennypost" in kinds
    heads = ["ms"]
    for measure_ in ("first", "repeated"):
        heads += [f"{servers.SHORT[kind]}, {measure_}" for kind in kinds]
        heads += [f"× {servers.SHORT[kind].split()[-1]}" for kind in others if ours]
    rows = []
    for operation in results[messages, kinds[0]].operations("first"):
        row = [operation]
        for measure_ in ("first", "repeated"):
            values = {kind: results[messages, kind].get(operation, measure_) for kind in kinds}
            row += [document.number(values[kind]) for kind in kinds]
            row += [document.ratio(values["pennypost"], values[kind]) for kind in others if ours]
        rows.append(row)
    return document.table(heads, rows)


def synced(results: Results, messages: int) -> str:
    ours, theirs = results[messages, "pennypost"], results[messages, SYNCED]
    heads = ["ms", "Pennypost, first", f"{servers.SHORT[SYNCED]}, first", "×",
             "Pennypost, repeated", f"{servers.SHORT[SYNCED]}, repeated", "×"]
    rows = []
    for operation in theirs.operations("first"):
        if operation in ("LOGIN", "SELECT"):
            continue
        row = [operation]
        for measure_ in ("first", "repeated"):
            values = ours.get(operation, measure_), theirs.get(operation, measure_)
            row += [document.number(value) for value in values] + [document.ratio(*values)]
        rows.append(row)
    return document.table(heads, rows)
