"""Administration while the server runs and dies: aliases, added and removed, each entered once its command ended well."""

import itertools
import signal
import subprocess
import threading

from support.pennypost import Pennypost
from tally import Tally

NUMBERS = itertools.count(1)
#: An account may have 50 (ORG-08): the oldest one goes before there are so many.
MOST = 30


class Administrator:
    def __init__(self, office: Pennypost, target: str, tally: Tally):
        self.office = office
        self.target = target
        self.tally = tally
        #: Those that may be there, the oldest first.
        self.tried: list[str] = []
        self.acknowledged: set[str] = set()
        self.removed: set[str] = set()

    def work(self, environment: dict[str, str], ending: threading.Event) -> None:
        """Adds and removes aliases until told to end; the last command is killed."""
        while not ending.is_set():
            is_full = len(self.tried) >= MOST
            going_on = self.remove(environment, ending) if is_full else self.add(environment, ending)
            if not going_on:
                return
            # Starting a process costs more than the change; leave the machine to the mail.
            ending.wait(0.2)

    def add(self, environment: dict[str, str], ending: threading.Event) -> bool:
        alias = f"alias{next(NUMBERS)}@{self.target.split('@')[1]}"
        self.tried.append(alias)
        code = self.run(["add", alias, self.target], environment, ending, allowed=(0,))
        if code == 0:
            self.acknowledged.add(alias)
        return code is not None

    def remove(self, environment: dict[str, str], ending: threading.Event) -> bool:
        alias = self.tried[0]
        was_there = alias in self.acknowledged
        self.acknowledged.discard(alias)
        # One whose command was killed may not be there.
        code = self.run(["remove", alias], environment, ending, allowed=(0,) if was_there else (0, 1))
        if code is not None and code >= 0:
            self.tried.pop(0)
            self.removed.add(alias)
        return code is not None

    def run(self, words: list[str], environment: dict[str, str], ending: threading.Event, allowed: tuple) -> int | None:
        """What the command ended with: below 0 if it was killed; None if no further one is to be tried."""
        command = subprocess.Popen(
            [self.office.binary, "alias", *words, "--data", str(self.office.data)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        )
        while command.poll() is None and not ending.wait(0.01):
            pass
        if command.poll() is None:
            command.kill()
        _, said = command.communicate()
        if command.returncode in allowed:
            self.tally.count("acknowledged")
            self.tally.count(f"acknowledged by alias {words[0]}")
        elif command.returncode == -signal.SIGABRT:
            self.tally.count("commands aborted")
            return None
        elif command.returncode > 0 and not ending.is_set():
            self.tally.fault("refusal", f"alias {words[0]}: {said.decode(errors='replace').strip()[-300:]}")
            return None
        return command.returncode

    def missing(self) -> list[str]:
        listed = self.office.run_ok("alias", "list", "--json")
        lost = [f"alias {alias} is not listed" for alias in sorted(self.acknowledged) if f'"{alias}"' not in listed]
        back = [f"alias {alias} is there again" for alias in sorted(self.removed) if f'"{alias}"' in listed]
        return lost + back
