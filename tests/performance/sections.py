"""What a section of the document has in common: which servers run, in turn, how often, and who measures."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import servers
from load import Figures


@dataclass
class Plan:
    """What the person who runs it chose."""

    binary: str
    #: The server program, if it is another one than the load generator.
    server: str
    work: Path
    filesystem: str
    arguments: argparse.Namespace

    @property
    def quick(self) -> bool:
        return self.arguments.quick

    def rounds(self, usual: int) -> int:
        return self.arguments.rounds or (1 if self.quick else usual)

    def medians(self, usual: int) -> str:
        rounds = self.rounds(usual)
        return "One round." if rounds == 1 else f"Medians of {rounds} rounds."

    def kinds(self, *usual: str) -> list[str]:
        return [kind for kind in usual if not self.arguments.only or kind in self.arguments.only]

    def running(self, kind: str, accounts: int, filling: bool = False):
        return servers.running(
            kind, accounts, self.work, self.binary, self.server, self.arguments.set, filling)


class Results:
    """Reports by server and case, gathered over the rounds."""

    def __init__(self):
        self.reports: dict[tuple, list[dict]] = {}

    def add(self, report: dict, *key: object) -> None:
        self.reports.setdefault(key, []).append(report)

    def __getitem__(self, key: object) -> Figures:
        return Figures(self.reports.get(key if isinstance(key, tuple) else (key,), []))

    def as_json(self) -> list[dict]:
        return [{"case": list(key), "rounds": reports} for key, reports in self.reports.items()]


def say(text: str) -> None:
    print(text, flush=True)
