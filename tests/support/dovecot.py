"""Debian's Dovecot alone, speaking IMAP, in a directory of its own.

For scripts that compare what two IMAP servers answer, not how fast they are:
nothing is synced, and the store is sdbox, which keeps flags, keywords and
mod-sequences in indexes instead of file names. Configuration and ports are as
in `reference`, whose Postfix is not started.
"""

import os
import pwd
import shutil
import signal
import subprocess
import time

from . import process
from .ports import accepts_connections
from .reference import DOVECOT_CONF, Reference

PACKAGES = {
    "dovecot": ["dovecot-core", "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd"],
    "openssl": ["openssl"],
}

#: The same mailboxes in each account as Pennypost makes.
OVERRIDES = """
mail_location = sdbox:~/sdbox
mail_fsync = never
mail_max_userip_connections = 500
namespace inbox {
  mailbox Archive {
    special_use = \\Archive
    auto = create
  }
}
"""


class Dovecot(Reference):
    name = "dovecot"
    keeps_bytes = True

    def _write_configuration(self) -> None:
        # Daemons that gave up root walk through here.
        self.root.mkdir(parents=True, exist_ok=True)
        os.chmod(self.root, 0o755)
        owner = pwd.getpwnam("nobody")
        for folder in ("dovecot", "log", "run", "dovecot-state", "tls", "mail"):
            (self.root / folder).mkdir(exist_ok=True)
        shutil.chown(self.root / "mail", "nobody")
        self._make_certificate()
        facts = dict(
            root=self.root, password=self._password, instance=self.root.name, owner=owner.pw_uid, group=owner.pw_gid,
            **self.ports,
        )
        (self.root / "dovecot/dovecot.conf").write_text(DOVECOT_CONF.format(**facts) + OVERRIDES)

    def start(self) -> None:
        with open(self.root / "log/start.log", "ab") as log:
            self._dovecot = subprocess.Popen(
                ["dovecot", "-F", "-c", str(self.root / "dovecot/dovecot.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        deadline = time.monotonic() + 20
        while not accepts_connections(self.ports["imap"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"dovecot did not start; see {self.root}/log")
            time.sleep(0.05)

    def stop(self) -> int:
        self._dovecot.send_signal(signal.SIGTERM)
        return self._dovecot.wait(30)

    def kill(self) -> None:
        # The master first, so that nothing new is started.
        doomed = process.tree(self.process_ids())
        for pid in [*self.process_ids(), *doomed]:
            process.kill(pid)
        self._dovecot.wait()

    def queue_depth(self) -> int | None:
        return None

    def process_ids(self) -> list[int]:
        return [self._dovecot.pid]
