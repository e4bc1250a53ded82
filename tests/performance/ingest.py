"""Letters in: accepted and visible a second, times of replies, CPU and memory."""

import document
import servers
from sections import Plan, Results, say

KINDS = ("pennypost", "maildir", "lmtp")
ACCOUNTS = 20


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    cases = list_of_cases(plan)
    for round_ in range(plan.rounds(3)):
        for kind in plan.kinds(*KINDS):
            with plan.running(kind, ACCOUNTS * len(cases)) as server:
                for place, (connections, size, recipients) in enumerate(cases):
                    messages = letters(plan, connections, size)
                    # Accounts and letters of their own, so that every case meets empty mailboxes.
                    report = server.bench(
                        "smtp", *server.letters_in(), *server.users(ACCOUNTS, ACCOUNTS * place), *server.pids(),
                        "--imap-port", server.office.ports["imap"], "--connections", connections, "--size", size,
                        "--recipients", recipients, "--messages", messages, "--first-letter", 100_000 * place)
                    results.add(report, connections, size, recipients, kind)
                    figures = results[connections, size, recipients, kind]
                    say(f"round {round_ + 1} {kind}, {connections} connections, {size}, to {recipients}: "
                        f"{figures['', 'accepted']:.0f} accepted/s, {figures['', 'visible']:.0f} visible/s, "
                        f"p99 {figures['DATA', 'latency_p99']:.1f} ms, "
                        f"{figures['', 'cpu_per_message']:.2f} ms CPU")
    return results, section(plan, results, cases)


def list_of_cases(plan: Plan) -> list[tuple[int, str, int]]:
    chosen = plan.arguments
    connections = chosen.connections or ([8] if plan.quick else [1, 8, 32])
    sizes = [chosen.size] if chosen.size else (["10k"] if plan.quick else ["2k", "10k", "100k"])
    recipients = chosen.recipients or ([1] if plan.quick else [1, 3])
    return [(c, s, r) for r in recipients for c in connections for s in sizes]


def letters(plan: Plan, connections: int, size: str) -> int:
    """As many as take some seconds."""
    if plan.arguments.messages:
        return plan.arguments.messages[0]
    if plan.quick:
        return 300
    return (1_500 if size == "100k" else 3_000) // (4 if connections == 1 else 1)


def section(plan: Plan, results: Results, cases: list[tuple]) -> str:
    kinds = plan.kinds(*KINDS)
    parts = []
    for title, operation, measure_, better in (
        ("Accepted a second", "", "accepted", True),
        ("Visible by IMAP, copies a second", "", "visible", True),
        ("DATA → 250, median, ms", "DATA", "latency_p50", False),
        ("DATA → 250, p99, ms", "DATA", "latency_p99", False),
        ("Server CPU for a letter, ms", "", "cpu_per_message", False),
        ("Memory of the server at most (PSS), MB", "", "memory_peak", False),
    ):
        parts += [f"**{title}**", "", one_table(results, cases, kinds, operation, measure_, better), ""]
    parts.append(
        f"{ACCOUNTS} accounts with empty mailboxes in each case; the store grows from case to case. "
        f"{plan.medians(3)} × is how many times as good Pennypost is; bold if it is worse. Visible: until STATUS "
        "has shown the last copy of the last letter. CPU and memory: all processes of the server, until it has done "
        "what it put off. LMTP replies once for each recipient, when the letter is in the mailbox.")
    return "\n".join(parts)


def one_table(results: Results, cases, kinds, operation: str, measure_: str, better: bool) -> str:
    others = [kind for kind in kinds if kind != "pennypost" and "pennypost" in kinds]
    rows = []
    for connections, size, recipients in cases:
        values = {kind: results[connections, size, recipients, kind].get(operation, measure_) for kind in kinds}
        if measure_ == "memory_peak":
            values = {kind: value and value / 1024 for kind, value in values.items()}
        pairs = [(values[kind], values["pennypost"]) if better else (values["pennypost"], values[kind])
                 for kind in others]
        rows.append([f"{connections} × {size.upper()}B × {recipients}", *(document.number(values[k]) for k in kinds),
                     *(document.ratio(*pair) for pair in pairs)])
    heads = ["connections × size × recipients", *(servers.TITLES[kind] for kind in kinds),
             *(f"× {'Postfix' if kind == 'maildir' else 'LMTP'}" for kind in others)]
    return document.table(heads, rows)
