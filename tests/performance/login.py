"""LOGIN, SELECT, LOGOUT as often as possible."""

import document
import servers
from sections import Plan, Results, say

KINDS = ("pennypost", "maildir")
ACCOUNTS = 20


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    connections = (plan.arguments.connections or [8])[0]
    for round_ in range(plan.rounds(3)):
        for kind in plan.kinds(*KINDS):
            with plan.running(kind, ACCOUNTS) as server:
                server.bench("smtp", *server.letters_in(), *server.users(ACCOUNTS), "--size", "2k",
                             "--imap-port", server.office.ports["imap"], "--messages", 200 if plan.quick else 2_000)
                report = server.bench("login", *server.imap(), *server.users(ACCOUNTS), *server.pids("imap"),
                                      "--connections", connections, "--seconds", 3 if plan.quick else 10)
                results.add(report, kind)
                say(f"round {round_ + 1} {kind}: {results[kind]['LOGIN SELECT LOGOUT', 'sessions']:.0f} sessions/s")
    return results, section(plan, results, connections)


def section(plan: Plan, results: Results, connections: int) -> str:
    kinds = plan.kinds(*KINDS)
    session = "LOGIN SELECT LOGOUT"
    rows = [
        [title, *(document.number(results[kind].get(operation, figure)) for kind in kinds)]
        for title, operation, figure in (
            ("sessions a second", session, "sessions"), ("p50, ms", session, "latency_p50"),
            ("p99, ms", session, "latency_p99"), ("server CPU for a session, ms", session, "cpu_per_operation"),
        )
    ]
    return "\n".join([
        document.table(["", *(servers.SHORT[kind] for kind in kinds)], rows), "",
        f"Connecting, LOGIN, SELECT, LOGOUT on {connections} connections at once, without TLS, over {ACCOUNTS} accounts "
        f"with 100 letters each. {plan.medians(3)} Dovecot compares a password that stands in its "
        "configuration, Pennypost a salted hash (argon2id) with a cache of successes.",
    ])
