"""Twenty mail programs at once, each doing a random mix of what mail programs do."""

import document
import servers
from sections import Plan, Results, say

KINDS = ("pennypost", "maildir", "mdbox")
SESSIONS = 20


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    messages = (plan.arguments.messages or [300 if plan.quick else 1_000])[0]
    for round_ in range(plan.rounds(3)):
        for kind in plan.kinds(*KINDS):
            with plan.running(kind, SESSIONS, filling=True) as server:
                options = [*server.users(SESSIONS), "--sessions", SESSIONS, "--messages", messages,
                           "--size", plan.arguments.size or "mix"]
                server.bench("mixed", *server.imap(), *options, "--seconds", 1)
                server.start_anew()
                report = server.bench("mixed", *server.imap(), *options, *server.pids("imap"),
                                      "--seconds", 5 if plan.quick else 30)
                results.add(report, kind)
                say(f"round {round_ + 1} {kind}: {results[kind]['', 'operations']:.0f} operations/s")
    return results, section(plan, results, messages)


def section(plan: Plan, results: Results, messages: int) -> str:
    kinds = plan.kinds(*KINDS)
    rows = [["operations a second", *(document.number(results[kind]["", "operations"]) for kind in kinds)],
            ["server CPU for an operation, ms",
             *(document.number(results[kind].get("", "cpu_per_operation")) for kind in kinds)],
            ["memory at most (PSS), MB",
             *(document.number(results[kind]["", "memory_peak"] / 1024) for kind in kinds)]]
    for operation in results[kinds[0]].operations("latency_p50"):
        rows.append([f"{operation}, p50 / p99 ms", *(
            f"{document.number(results[kind].get(operation, 'latency_p50'))} / "
            f"{document.number(results[kind].get(operation, 'latency_p99'))}" for kind in kinds)])
    text = document.table(["", *(servers.SHORT[kind] for kind in kinds)], rows)
    ours = results["pennypost"].get("", "operations") if "pennypost" in kinds else None
    ratios = [f"{document.ratio(results[kind]['', 'operations'], ours)} times as many operations as "
              f"{servers.SHORT[kind]}" for kind in kinds if kind != "pennypost" and ours]
    return "\n".join([
        text, "", "; ".join(ratios) + ("." if ratios else ""), "",
        f"{SESSIONS} sessions, each with an account of its own with {messages:,} letters of 2 KB to 100 KB; each does the "
        "next operation as soon as the one before is answered. Of 100 operations 10 are SELECT, 15 FETCH of flags "
        "(100 messages), 20 of envelopes (50), 20 of a whole letter, 5 SEARCH (unseen, subject, text), 10 STORE, 5 "
        f"APPEND, 3 COPY, 5 EXPUNGE, 7 NOOP. {plan.medians(3)}",
    ])
