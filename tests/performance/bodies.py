"""Bodies of random messages: asked for by one command, and one by one."""

import mailboxes
from sections import Plan, Results

#: One tells what a server does, the other, mostly, how soon two processes wake each other.
ONLY = ("bodies",)


def measure(plan: Plan) -> tuple[Results, str]:
    results = Results()
    sizes = plan.arguments.messages or ([2_000] if plan.quick else [10_000, 100_000])
    for messages in sizes:
        for round_ in range(plan.rounds(1)):
            for kind in plan.kinds(*mailboxes.KINDS):
                mailboxes.measured(plan, results, kind, messages, ONLY, round_)
    return results, section(plan, results, sizes)


def section(plan: Plan, results: Results, sizes: list[int]) -> str:
    kinds = plan.kinds(*mailboxes.KINDS)
    parts = []
    for messages in sizes:
        parts += [f"### {messages:,} messages", "", mailboxes.timings(results, kinds, messages), ""]
    parts += [
        f"Milliseconds for 100 random messages of 2 KB to 100 KB, 9 KB on the average, in mailboxes as above: "
        f"{mailboxes.STARTS} starts ({mailboxes.FEW_STARTS} of the larger one), each after {mailboxes.REST} seconds of rest. "
        "By one command: until the tagged OK. One by one: each is asked for when the one before has come and was compared "
        "with what was stored, which is not timed; that is mostly the time to wake a sleeping processor, on both sides, and "
        "depends on whether the scheduler puts both on one processor or on two; so it is also measured with both held on one.",
    ]
    return "\n".join(parts)
