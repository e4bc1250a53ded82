"""mpop, left to itself: it takes the best mechanism, and pipelines."""

import mailbox
import os

from . import Context, check
from .tools import letter, messages, run_program, send, wait_for

CONFIGURATION = """\
account office
host localhost
port {port}
user {address}
password {password}
auth on
tls on
tls_starttls {starttls}
tls_trust_file {certificate}
pipelining on
received_header off
uidls_file {folder}/uidls
delivery mbox {folder}/mail
"""


@check("mpop: POP3S and STLS, fetch and delete, what was fetched is not fetched again")
def fetch(context: Context) -> None:
    office = context.office
    account = context.account("mpop")
    for port, starttls in (("pop3s", "off"), ("pop3", "on")):
        folder = context.folder(f"mpop-{port}")
        rc = folder / "mpoprc"
        rc.write_text(CONFIGURATION.format(
            port=office.ports[port], address=account.address, password=account.password, starttls=starttls,
            certificate=office.certificate, folder=folder))
        rc.chmod(0o600)
        for number in range(3):
            send(office, account, letter(f"letter {number}"))
        wait_for(office, account, 3)
        command = ["mpop", "-C", str(rc), "-q"]
        environment = {**os.environ, "HOME": str(folder)}
        run_program([*command, "--keep=on", "office"], environment=environment)
        run_program([*command, "office"], environment=environment)
        fetched = sorted(mail["Subject"] for mail in mailbox.mbox(folder / "mail"))
        assert fetched == ["letter 0", "letter 1", "letter 2"], f"fetched {fetched}"
        assert not messages(office, account), "mpop's deletion did not take effect"
