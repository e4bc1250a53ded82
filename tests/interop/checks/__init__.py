"""One module per mail program. Importing a module registers its checks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from support.office import Account, Office

DOMAIN = "interop.test"


@dataclass(eq=False)
class Context:
    office: Office
    #: A directory for the clients' own files.
    scratch: Path

    def account(self, name: str) -> Account:
        """A fresh account, so that no check sees another one's mail."""
        return self.office.add_account(f"{name}@{DOMAIN}")

    def folder(self, name: str) -> Path:
        path = self.scratch / name
        path.mkdir(parents=True)
        return path


CHECKS: list[tuple[str, Callable[[Context], None]]] = []


def check(name: str):
    def register(function: Callable[[Context], None]):
        CHECKS.append((name, function))
        return function

    return register
