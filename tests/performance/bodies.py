"""Bodies of random messages: asked for by one command, and one by one."""

import time
from contextlib import ExitStack

import mailboxes
from load import Figures
from sections import Plan, Results, say

#: One tells what a server does, the other, mostly, how soon two processes wake each other.
ONLY = ("bodies",)
#: How often each server is started anew, in turn with the others.
STARTS = 5


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    sizes = plan.arguments.messages or ([2_000] if plan.quick else [10_000, 100_000])
    for messages in sizes:
        in_turn(plan, results, messages)
    return results, section(plan, results, sizes)


def in_turn(plan: Plan, results: Results, messages: int) -> None:
    """These take milliseconds: what else goes on on the machine is to meet all servers alike, so none is measured alone."""
    with ExitStack() as stack:
        filled = []
        for kind in plan.kinds(*mailboxes.KINDS):
            server = stack.enter_context(plan.running(kind, 1, filling=True))
            server.bench("imap", *mailboxes.common(plan, server, messages), "--fill-only")
            # What it has put off is done before it is measured.
            time.sleep(mailboxes.REST)
            server.rest()
            filled.append(server)
            say(f"{messages} messages, {kind}: filled")
        for number in range(1 if plan.quick else plan.rounds(STARTS)):
            for server in filled:
                report = mailboxes.started(plan, server, messages, ONLY)
                server.rest()
                results.add(report, messages, server.kind)
                figures = Figures([report])
                say(f"{messages} messages, start {number + 1}, {server.kind}: " + ", ".join(
                    f"{operation} {figures[operation, 'first']:.1f}/{figures[operation, 'repeated']:.1f} ms"
                    for operation in figures.operations("first")))


def section(plan: Plan, results: Results, sizes: list[int]) -> str:
    kinds = plan.kinds(*mailboxes.KINDS)
    parts = []
    for messages in sizes:
        parts += [f"### {messages:,} messages", "", mailboxes.timings(results, kinds, messages), ""]
    parts += [
        f"Milliseconds for 100 random messages of 2 KB to 100 KB, 9 KB on the average, in mailboxes as above: "
        f"{plan.rounds(STARTS)} starts of each server in turn with the others, each after {mailboxes.REST} seconds of rest. "
        "By one command: until the tagged OK. One by one: each is asked for when the one before has come and was compared "
        "with what was stored, which is not timed; that is mostly the time to wake a sleeping processor, on both sides, and "
        "depends on whether the scheduler puts both on one processor or on two; so it is also measured with both held on one.",
    ]
    return "\n".join(parts)
