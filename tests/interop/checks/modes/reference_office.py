"""Debian's Dovecot with all of these mechanisms, to try the checks themselves.

Its tokens are its one password. It has no -PLUS.
"""

from pathlib import Path

from support.office import Account
from support.reference import Reference

OVERRIDES = """
auth_mechanisms = plain login scram-sha-256 oauthbearer xoauth2
mail_plugins = $mail_plugins zlib
protocol imap {
  mail_plugins = $mail_plugins imap_zlib
}
"""


class ReferenceOffice(Reference):
    def _write_configuration(self) -> None:
        super()._write_configuration()
        with open(self.root / "dovecot/dovecot.conf", "a") as configuration:
            configuration.write(OVERRIDES)

    def add_token(self, account: Account) -> str:
        return account.password

    @property
    def log(self) -> Path:
        return self.root / "log/dovecot.log"
