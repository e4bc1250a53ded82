"""POP3 sessions that list and fetch."""

import document
import servers
from sections import Plan, Results, say

KINDS = ("pennypost", "maildir")
ACCOUNTS = 20


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    for round_ in range(plan.rounds(3)):
        for kind in plan.kinds(*KINDS):
            with plan.running(kind, ACCOUNTS) as server:
                server.bench("smtp", *server.letters_in(), *server.users(ACCOUNTS),
                             "--imap-port", server.office.ports["imap"], "--messages", 400 if plan.quick else 4_000)
                report = server.bench("pop3", "--port", server.office.ports["pop3"], *server.users(ACCOUNTS),
                                      *server.pids("imap"), "--seconds", 3 if plan.quick else 10)
                results.add(report, kind)
                say(f"round {round_ + 1} {kind}: {results[kind]['', 'sessions']:.0f} sessions/s")
    return results, section(plan, results)


def section(plan: Plan, results: Results) -> str:
    kinds = plan.kinds(*KINDS)
    rows = [["sessions a second", *(document.number(results[kind]["", "sessions"]) for kind in kinds)],
            ["server CPU for a session, ms",
             *(document.number(results[kind].get("", "cpu_per_operation")) for kind in kinds)]]
    for operation in results[kinds[0]].operations("latency_p50"):
        rows.append([f"{operation}, p50 / p99 ms", *(
            f"{document.number(results[kind].get(operation, 'latency_p50'))} / "
            f"{document.number(results[kind].get(operation, 'latency_p99'))}" for kind in kinds)])
    return "\n".join([
        document.table(["", *(servers.SHORT[kind] for kind in kinds)], rows), "",
        f"Login, STAT, UIDL, LIST and RETR of the ten newest of 200 letters of 10 KB, on 4 connections over {ACCOUNTS} "
        f"accounts, without TLS. {plan.medians(3)}",
    ])
