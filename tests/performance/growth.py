"""Cost grows with the work, not with the past: delivery into ever larger mailboxes. Pennypost only."""

import os
import time

import document
from sections import Plan, Results, say
from servers import Running

#: So many seconds without work, and the server has done what it had put off.
QUIET = 5
#: Deliveries are measured so often.
ROUNDS = 3
#: It may take so long.
PATIENCE = 1800


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    sizes = plan.arguments.messages or ([1_000, 5_000] if plan.quick else [1_000, 100_000, 1_000_000])
    for round_ in range(plan.rounds(1)):
        for messages in sizes:
            with plan.running("pennypost", 1) as server:
                mailbox = [*server.imap(), *server.users(1), "--mailbox", "INBOX", "--size", "2k", "--messages"]
                filled = server.bench("imap", *mailbox, messages, "--fill-only")
                say(f"{messages}: filled with {filled['figures'][0]['median']:.0f} letters/s")
                results.add(deliver(plan, server, 10_000_000), messages, "at work")
                say(f"{messages}: quiet after {until_quiet(server):.0f} s")
                server.start_anew()
                mailbox[1] = server.office.ports["imap"]
                there = messages + ROUNDS * letters(plan)
                results.add(server.bench("imap", *mailbox, there, "--fill", "none", "--only", "select",
                                         *server.pids()), messages, "select")
                results.add(deliver(plan, server, 20_000_000), messages, "deliver")
                say(f"round {round_ + 1}, {messages}: {results[messages, 'deliver']['', 'visible']:.0f} visible/s, "
                    f"{results[messages, 'at work']['', 'visible']:.0f} before, "
                    f"{results[messages, 'deliver']['', 'cpu_per_message']:.2f} ms CPU, SELECT "
                    f"{results[messages, 'select']['SELECT', 'first']:.1f} ms")
    return results, section(plan, results, sizes)


def deliver(plan: Plan, server: Running, first_letter: int) -> dict:
    return server.bench(
        "smtp", *server.letters_in(), *server.users(1), *server.pids(), "--connections", 8, "--size", "10k",
        "--imap-port", server.office.ports["imap"], "--messages", letters(plan),
        "--rounds", ROUNDS, "--first-letter", first_letter)


def until_quiet(server: Running) -> float:
    """Waits until the server has done what it put off; gives the seconds."""
    began = quiet_since = time.monotonic()
    used = processor_seconds(server)
    while time.monotonic() - quiet_since < QUIET:
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"error: the server is still at work after {PATIENCE} s")
        time.sleep(1)
        now = processor_seconds(server)
        if now - used > 0.05:
            quiet_since = time.monotonic()
        used = now
    return quiet_since - began


def processor_seconds(server: Running) -> float:
    ticks = 0
    for pid in server.office.process_ids():
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def letters(plan: Plan) -> int:
    return 300 if plan.quick else 2_000


def section(plan: Plan, results: Results, sizes: list[int]) -> str:
    rows = []
    for title, case, operation, figure, divisor in (
        ("accepted a second, housekeeping at work", "at work", "", "accepted", 1),
        ("visible a second, housekeeping at work", "at work", "", "visible", 1),
        ("DATA → 250, p99, ms, housekeeping at work", "at work", "DATA", "latency_p99", 1),
        ("accepted a second", "deliver", "", "accepted", 1),
        ("visible a second", "deliver", "", "visible", 1),
        ("DATA → 250, p50, ms", "deliver", "DATA", "latency_p50", 1),
        ("DATA → 250, p99, ms", "deliver", "DATA", "latency_p99", 1),
        ("server CPU for a letter, ms", "deliver", "", "cpu_per_message", 1),
        ("memory before (PSS), MB", "deliver", "", "memory_before", 1024),
        ("memory at most (PSS), MB", "deliver", "", "memory_peak", 1024),
        ("memory afterwards (PSS), MB", "deliver", "", "memory_after", 1024),
        ("LOGIN, first after a start, ms", "select", "LOGIN", "first", 1),
        ("SELECT, first after a start, ms", "select", "SELECT", "first", 1),
        ("SELECT, repeated, ms", "select", "SELECT", "repeated", 1),
    ):
        values = [results[messages, case].get(operation, figure) for messages in sizes]
        rows.append([title, *(document.number(None if value is None else value / divisor) for value in values)])
    return "\n".join([
        document.table(["letters in the mailbox before", *(f"{messages:,}" for messages in sizes)], rows), "",
        f"{letters(plan):,} letters of 10 KB on 8 connections into the one mailbox, {ROUNDS} times, medians; the mailbox was filled "
        "with letters of 2 KB. With housekeeping at work: at once after the last of these, while bases and segments of them "
        f"are made. The rest: after that was done, when the server had used no processor time for {QUIET} seconds, and "
        "had been started anew.",
    ])
