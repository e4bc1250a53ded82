"""fetchmail over IMAP (STARTTLS) and POP3S, handing on to a file."""

import os

from . import Context, check
from .tools import letter, messages, run_program, send, wait_for

CONFIGURATION = """\
poll localhost with proto {protocol} port {port} {options}
  user "{address}" password "{password}"
  {tls} sslcertck sslcertfile "{certificate}"
  fetchall
  mda "cat >> {folder}/mbox"
"""


def fetch(context: Context, protocol: str, port: str, tls: str, options: str) -> None:
    office = context.office
    account = context.account(f"fetchmail-{port}")
    folder = context.folder(f"fetchmail-{port}")
    rc = folder / "fetchmailrc"
    rc.write_text(CONFIGURATION.format(
        protocol=protocol, port=office.ports[port], address=account.address, password=account.password,
        tls=tls, certificate=office.certificate, options=options, folder=folder))
    rc.chmod(0o600)
    for number in range(2):
        send(office, account, letter(f"letter {number}"))
    wait_for(office, account, 2)
    environment = {**os.environ, "HOME": str(folder), "FETCHMAILHOME": str(folder)}
    run_program(["fetchmail", "-f", str(rc), "--nosyslog", "--invisible"], environment=environment)
    text = (folder / "mbox").read_text()
    assert "Subject: letter 0" in text and "Subject: letter 1" in text, "a letter is missing"
    assert not messages(office, account), "fetchmail's deletion did not take effect"
    # 1: no mail was there
    run_program(["fetchmail", "-f", str(rc), "--nosyslog", "--invisible"], expect=1, environment=environment)


@check("fetchmail: IMAP with STARTTLS, fetch and delete")
def imap(context: Context) -> None:
    fetch(context, "IMAP", "imap", "sslproto TLS1.2+", "")


@check("fetchmail: POP3S with UIDL, fetch and delete")
def pop3(context: Context) -> None:
    fetch(context, "POP3", "pop3s", "ssl", "uidl")
