"""The servers that are measured, each with an empty store of its own and many accounts with one password.

All of them sync what they accept. Dovecot has what its documentation advises for speed and is the default
otherwise: reused login processes, no limits that a load generator would meet.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from load import bench
from support.office import Office
from support.pennypost import Pennypost
from support.ports import free_ports
from support.reference import Reference

DOMAIN = "performance.test"
PATTERN = f"user{{}}@{DOMAIN}"
PASSWORD = secrets.token_urlsafe(12)

TITLES = {
    "pennypost": "Pennypost",
    "maildir": "Postfix → Dovecot, maildir",
    "mdbox": "Postfix → Dovecot, mdbox",
    "mdbox-synced": "Postfix → Dovecot, mdbox, mail_fsync = always",
    "lmtp": "Dovecot alone by LMTP, maildir",
    "hibernate": "Dovecot, maildir, hibernating",
}
SHORT = {"pennypost": "Pennypost", "maildir": "Dovecot maildir", "mdbox": "Dovecot mdbox",
         "mdbox-synced": "Dovecot mdbox that syncs",
         "lmtp": "Dovecot LMTP", "hibernate": "Dovecot hibernating"}

DOVECOT = """
mail_location = {location}
mail_max_userip_connections = 0
default_vsz_limit = 0
service imap-login {{
  service_count = 0
  client_limit = 20000
  process_min_avail = 2
  process_limit = 2
}}
service pop3-login {{
  service_count = 0
  client_limit = 2000
  process_min_avail = 2
}}
service imap {{
  process_limit = 20000
}}
service auth {{
  client_limit = 50000
}}
service anvil {{
  client_limit = 50000
}}
service imap-hibernate {{
  client_limit = 50000
}}
service stats {{
  client_limit = 50000
}}
{more}
"""
HIBERNATE = """
imap_hibernate_timeout = 1s
service imap {
  unix_listener imap-master {
    user = $default_internal_user
  }
  extra_groups = $default_internal_group
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0660
    group = $default_internal_group
  }
}
"""


class Debian(Reference):
    """Postfix and Dovecot with the store of this name."""

    def __init__(self, root: Path, kind: str):
        self.kind = kind
        #: While a mailbox is filled, nothing of which is measured, nothing is synced either.
        self.filling = False
        super().__init__(root)

    def _write_configuration(self) -> None:
        super()._write_configuration()
        more = HIBERNATE if self.kind == "hibernate" else ""
        if self.filling:
            more += "mail_fsync = never\n"
        elif self.kind == "mdbox-synced":
            more += "mail_fsync = always\n"
        location = "mdbox:~/mdbox" if self.kind.startswith("mdbox") else "maildir:~/Maildir"
        with open(self.root / "dovecot/dovecot.conf", "a") as configuration:
            configuration.write(DOVECOT.format(location=location, more=more))

    def start(self) -> None:
        self._write_configuration()
        for _ in range(3):
            try:
                return super().start()
            except (subprocess.CalledProcessError, FileNotFoundError, TimeoutError):
                # Somebody else took a port between its choice and now.
                self.kill()
                self.ports = dict(zip(self.ports, free_ports(len(self.ports))))
                self._write_configuration()
        super().start()


@dataclass
class Running:
    """A server, and the options that tell the load generator about it."""

    kind: str
    office: Office
    root: Path
    generator: str
    password: str

    def pids(self, of: str = "all") -> list[str]:
        """Options that name the processes; `of` is "imap" for those that serve mail programs."""
        pids = self.office.process_ids()
        if of == "imap" or self.kind == "lmtp":
            pids = pids[:1]
        return [word for pid in pids for word in ("--pid", str(pid))]

    def users(self, count: int, first: int = 0) -> list[str]:
        return ["--user-pattern", PATTERN, "--users", str(count), "--first-user", str(first)]

    def imap(self) -> list[str]:
        return ["--port", str(self.office.ports["imap"])]

    def letters_in(self) -> list[str]:
        if self.kind == "lmtp":
            return ["--lmtp", "--socket", str(self.root / "run" / "lmtp"), "--imap-host", "127.0.0.1"]
        return ["--port", str(self.office.ports["smtp"])]

    def bench(self, *options: object) -> dict:
        return bench(self.generator, self.password, *options)

    def rest(self) -> None:
        """It takes nothing from others that are measured, until it is started anew."""
        if self.office.alive():
            self.office.stop()

    def start_anew(self) -> None:
        """Nothing stays in the memory of its processes."""
        self.rest()
        os.sync()
        if self.kind != "pennypost":
            shutil.rmtree(self.root / "run", ignore_errors=True)
            (self.root / "run").mkdir()
            self.office.filling = False
        self.office.start(**({"timeout": 300} if self.kind == "pennypost" else {}))


@contextmanager
def running(kind: str, accounts: int, work: Path, generator: str, binary: str, settings: list[str],
            filling: bool = False):
    """The server on an empty store, with accounts 0 to `accounts` - 1; gone afterwards.

    With `filling`, it only becomes itself by `start_anew`.
    """
    scratch = Path(tempfile.mkdtemp(prefix="pennypost-performance-", dir=work))
    os.chmod(scratch, 0o755)
    root = scratch / "office"
    if kind == "pennypost":
        office: Office = Pennypost(binary, root, ("adapter.limits.connections=19000", *settings))
    else:
        office = Debian(root, kind)
        office.filling = filling
    os.sync()
    try:
        office.start()
        password = PASSWORD if kind == "pennypost" else office.add_account("any@test").password
        if kind == "pennypost":
            add_accounts(office, scratch / "people.csv", accounts)
        server = Running(kind, office, root, generator, password)
        yield server
        server.rest()
    finally:
        if office.alive():
            office.kill()
        shutil.rmtree(scratch, ignore_errors=True)


def add_accounts(office: Pennypost, path: Path, count: int) -> None:
    office.run_ok("tenant", "add", "performance")
    office.run_ok("domain", "add", DOMAIN, "--tenant", "performance")
    rows = ["address,password", *(f"{PATTERN.replace('{}', str(number))},{PASSWORD}" for number in range(count))]
    path.write_text("\n".join(rows) + "\n")
    office.run_ok("account", "add", "--csv", str(path))
