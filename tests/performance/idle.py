"""Thousands of idle connections: memory, CPU in quiet, time from a letter's 250 to EXISTS."""

import document
import servers
from sections import Plan, Results, say

#: Connections of each, unless told otherwise: a process for each connection is not worth more of them.
KINDS = {"pennypost": 10_000, "maildir": 1_000, "hibernate": 1_000}
#: Linux lets one user watch 128 things by default; those beyond are looked at every half minute.
BUSY = {"pennypost": 1_000, "maildir": 100, "hibernate": 0}


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    counts = {}
    for round_ in range(plan.rounds(1)):
        for kind in plan.kinds(*KINDS):
            count = (plan.arguments.connections or [KINDS[kind] // (10 if plan.quick else 1)])[0]
            accounts, busy = max(count // 10, 1), min(BUSY[kind], count // 10)
            counts[kind] = (count, busy)
            with plan.running(kind, accounts) as server:
                report = server.bench(
                    "idle", *server.imap(), *server.users(accounts), *server.pids("imap"), "--connections", count,
                    "--busy", busy, "--smtp-port", server.office.ports["smtp"], "--letters", 100 if plan.quick else 600,
                    "--size", plan.arguments.size or "10k", "--quiet", 5 if plan.quick else 30)
            results.add(report, kind)
            say(f"round {round_ + 1} {kind}: {results[kind]['', 'memory_per_connection']:.1f} KiB a connection, "
                f"p99 {results[kind].get('250 → EXISTS', 'latency_p99') or 0:.1f} ms")
    return results, section(plan, results, counts)


def section(plan: Plan, results: Results, counts: dict) -> str:
    kinds = plan.kinds(*KINDS)
    notice = "250 → EXISTS"
    rows = [["idle connections", *(f"{counts[kind][0]:,}" for kind in kinds)],
            ["… of them on accounts that get letters", *(f"{counts[kind][1]:,}" for kind in kinds)]]
    for title, operation, figure, divisor in (
        ("memory of the server before (PSS), MB", "", "memory_before", 1024),
        ("memory with all of them (PSS), MB", "", "memory_after", 1024),
        ("memory of one connection (PSS), KiB", "", "memory_per_connection", 1),
        (f"CPU in {5 if plan.quick else 30} quiet seconds, s", "", "cpu_quiet", 1),
        ("opened a second", "LOGIN SELECT IDLE", "sessions", 1),
        ("250 → EXISTS, p50, ms", notice, "latency_p50", 1),
        ("250 → EXISTS, p99, ms", notice, "latency_p99", 1),
        ("notices that were waited for", notice, "count", 1),
    ):
        values = [results[kind].get(operation, figure) for kind in kinds]
        rows.append([title, *(document.number(None if value is None else value / divisor) for value in values)])
    return "\n".join([
        document.table(["", *(servers.SHORT[kind] for kind in kinds)], rows), "",
        "Connections without TLS in IDLE, ten for each account. Letters of 10 KB come by SMTP, 20 a second, one after the "
        "other over the busy accounts; every connection of the account must hear of each. A notice that comes before "
        "the sender's 250 counts as 0 ms. Dovecot with hibernation hands idle connections to one process, here after "
        "a second.",
    ])
