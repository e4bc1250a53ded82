"""A queue of very many letters that wait for servers where nobody is. Pennypost only: Postfix keeps a file for each."""

import document
import outbound
from sections import Plan, Results, say
from support import packages


def measure(plan: Plan) -> tuple[Results, str]:
    packages.ensure({"smtp-sink": ["postfix"], "openssl": ["openssl"]})
    packages.ensure_modules({"dns": ["python3-dnspython"]})
    results = Results()
    numbers = plan.arguments.messages or ([200] if plan.quick else [10_000, 100_000])
    for number in numbers:
        with outbound.running("pennypost", plan) as (server, sink):
            results.add(outbound.wait(plan, server, sink, number, until_quiet=False), number)
        figures = results[number]
        say(f"{number} waiting: {figures['', 'memory_waiting'] / 1024:.0f} MB, {figures['', 'sent']:.0f} sent/s to others")
    return results, section(plan, results, numbers)


def section(plan: Plan, results: Results, numbers: list[int]) -> str:
    rest = 5 if plan.quick else 60
    rows = []
    for title, name, divisor in (
        ("memory before (PSS), MB", "memory_before", 1024),
        ("memory while they wait (PSS), MB", "memory_waiting", 1024),
        ("memory at most until then (PSS), MB", "memory_peak", 1024),
        ("server CPU for a letter, accepted and tried, ms", "cpu_per_message", 1),
        ("on disk for a letter, KB", "disk_per_message", 1024),
        (f"server CPU in a second of the next {rest}, ms", "cpu_resting", 1),
        ("then, to a domain that is there: sent a second", "sent", 1),
    ):
        values = [results[number].get("", name) for number in numbers]
        rows.append([title, *(document.number(None if value is None else value / divisor) for value in values)])
    return "\n".join([
        document.table(["letters that wait", *(f"{number:,}" for number in numbers)], rows), "",
        f"Letters of {outbound.bytes_of(plan) // 1000} KB to {max(outbound.DESTINATIONS)} domains where nobody is, handed in by {outbound.SENDERS} connections; "
        "each is tried when it comes, and again after 1, 5, 15 and 30 minutes, which is what takes the processor while they wait. "
        "What waits is found by one query of what is due: nothing is read of what is not. One round.",
    ])
