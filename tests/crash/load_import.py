"""`pennypost import` of a small folder while the server runs, killed at random.

A folder whose import did not end with exit code 0 is imported again in a later
round: it has to resume, and must not double what the first try brought in.
"""

import itertools
import random
import signal
import subprocess
from pathlib import Path

from ledger import Account
from letters import letter, new_token
from support.pennypost import Pennypost
from tally import Tally

NUMBERS = itertools.count(1)
MAILBOX = "Imported"
LETTERS = 25


class Importer:
    """One folder at a time, until it is through."""

    def __init__(self, office: Pennypost, account: Account, scratch: Path, seed: int, tally: Tally):
        self.office = office
        self.account = account
        self.scratch = scratch
        self.chance = random.Random(seed)
        self.tally = tally
        self.folder: Path | None = None
        self.tokens: list[str] = []
        self.process: subprocess.Popen | None = None

    def _new_folder(self) -> None:
        number = next(NUMBERS)
        self.folder = self.scratch / f"import-{number}"
        self.folder.mkdir(parents=True)
        self.tokens = [new_token(f"import-{number}", at, self.chance) for at in range(LETTERS)]
        for at, token in enumerate(self.tokens):
            (self.folder / f"{at}.eml").write_bytes(letter(token))

    def start(self, environment: dict[str, str]) -> None:
        if self.folder is None:
            self._new_folder()
        with self.account.lock:
            for token in self.tokens:
                if not self.account.copies.get(token):
                    self.account.expect(token, MAILBOX)
        self.process = subprocess.Popen(
            [self.office.binary, "import", self.account.address, str(self.folder),
             "--mailbox", MAILBOX, "--json", "--data", str(self.office.data)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        )

    def finish(self, may_kill: bool) -> None:
        """Lets the import end or, half of the times if it may, kills it; enters what it said."""
        if self.process is None:
            return
        if may_kill and self.process.poll() is None and self.chance.random() < 0.5:
            self.process.kill()
        try:
            _, said = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.tally.fault("refusal", "import did not end within 60 s")
            self.process.kill()
            _, said = self.process.communicate()
        code, self.process = self.process.returncode, None
        if code == 0:
            with self.account.lock:
                for token in self.tokens:
                    for copy in self.account.copies.get(token, []):
                        self.account.arrived(copy)
            self.tally.count("acknowledged", len(self.tokens))
            self.tally.count("acknowledged by import", len(self.tokens))
            self._drop_folder()
        elif code == -signal.SIGABRT:
            self.tally.count("commands aborted")
        elif code > 0:
            # The server may have been killed under it; a later round tries again.
            self.tally.count(f"import ended with code {code}")
            self.last_words = said.decode(errors="replace").strip()[-300:]

    def _drop_folder(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()
        self.folder = None
