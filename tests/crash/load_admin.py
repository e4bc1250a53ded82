"""Administration while the server runs and dies: aliases, each entered once its command ended well."""

import itertools
import signal
import subprocess
import threading

from support.pennypost import Pennypost
from tally import Tally

NUMBERS = itertools.count(1)


class Administrator:
    def __init__(self, office: Pennypost, target: str, tally: Tally):
        self.office = office
        self.target = target
        self.tally = tally
        self.acknowledged: set[str] = set()

    def work(self, environment: dict[str, str], ending: threading.Event) -> None:
        """Adds aliases until told to end; the last command is killed."""
        while not ending.is_set():
            alias = f"alias{next(NUMBERS)}@{self.target.split('@')[1]}"
            command = subprocess.Popen(
                [self.office.binary, "alias", "add", alias, self.target, "--data", str(self.office.data)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
            )
            while command.poll() is None and not ending.wait(0.01):
                pass
            if command.poll() is None:
                command.kill()
            _, said = command.communicate()
            if command.returncode == 0:
                self.acknowledged.add(alias)
                self.tally.count("acknowledged")
                self.tally.count("acknowledged by alias add")
            elif command.returncode == -signal.SIGABRT:
                self.tally.count("commands aborted")
                return
            elif command.returncode > 0 and not ending.is_set():
                self.tally.fault("refusal", f"alias add: {said.decode(errors='replace').strip()[-300:]}")
                return
            # Starting a process costs more than the change; leave the machine to the mail.
            ending.wait(0.2)

    def missing(self) -> list[str]:
        listed = self.office.run_ok("alias", "list", "--json")
        return [f"alias {alias} is not listed" for alias in sorted(self.acknowledged) if f'"{alias}"' not in listed]
