"""One process of the run: its share of the sequences, on accounts of its own."""

import collections
import traceback
from dataclasses import dataclass, field

from commands import Command
from generate import Generator
from justified import forgive
from letters import corpus
from pair import Outcome, Pair
from shrink import shrink

#: An account's past grows with each sequence; a new one keeps the work of each the same.
SEQUENCES_PER_ACCOUNT = 100


@dataclass
class Finding:
    signature: str
    seed: str
    detail: str
    wire: list[str]
    sequence: list[str]
    count: int = 1


@dataclass
class Tally:
    sequences: int = 0
    commands: int = 0
    forgiven: collections.Counter = field(default_factory=collections.Counter)
    findings: dict[str, Finding] = field(default_factory=dict)
    verbs: collections.Counter = field(default_factory=collections.Counter)


class Worker:
    def __init__(self, number: int, offices: list, capabilities: set[str], shrinks: bool):
        self.number = number
        self.offices = offices
        self.capabilities = capabilities
        self.letters = corpus()
        self.shrinks = shrinks
        self.tally = Tally()
        self.pair: Pair | None = None
        self.used = 0
        self.accounts = 0

    def work(self, seeds: list[str], tell) -> Tally:
        for seed in seeds:
            try:
                self.one(seed)
            except Exception:
                self.note(Finding("fault of the script", seed, traceback.format_exc(), [], []))
                self.renew()
            tell(self.tally.sequences)
        if self.pair:
            self.pair.close()
        return self.tally

    def renew(self) -> None:
        if self.pair:
            self.pair.close()
        self.accounts += 1
        self.used = 0
        self.pair = Pair(self.offices, f"d{self.number}-{self.accounts}@diff.test", self.letters, self.capabilities)

    def run(self, sequence: list[Command]) -> Outcome:
        if self.pair is None or self.used >= SEQUENCES_PER_ACCOUNT:
            self.renew()
        self.used += 1
        outcome = self.pair.run(sequence, forgive)
        if outcome.broken or outcome.difference:
            # What one of them is left with may be strange: begin afresh.
            self.renew()
        return outcome

    def one(self, seed: str) -> None:
        sequence = Generator(seed, list(self.letters), self.capabilities).sequence_of(seed)
        outcome = self.run(sequence)
        self.tally.sequences += 1
        self.tally.commands += len(sequence)
        self.tally.verbs.update(command.verb for command in sequence)
        self.tally.forgiven.update(set(outcome.forgiven))
        if outcome.difference is None:
            return
        signature = outcome.signature
        if signature in self.tally.findings:
            self.tally.findings[signature].count += 1
            return
        if self.shrinks:
            def shows(candidate: list[Command]) -> bool:
                again = self.run(candidate)
                return again.difference is not None and again.signature == signature

            smaller = shrink(sequence, shows)
            again = self.run(smaller)
            if again.difference is not None and again.signature == signature:
                sequence, outcome = smaller, again
        wire = [
            f"{side}: {line.decode(errors='backslashreplace')[:600]}"
            for side, answer in zip(("pennypost", "dovecot"), outcome.answers)
            for line in answer.raw[-6:]
        ]
        self.note(Finding(signature, seed, outcome.difference.detail, wire, [str(command) for command in sequence]))

    def note(self, finding: Finding) -> None:
        if finding.signature in self.tally.findings:
            self.tally.findings[finding.signature].count += 1
        else:
            self.tally.findings[finding.signature] = finding
