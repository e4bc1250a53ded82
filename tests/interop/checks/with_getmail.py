"""getmail6 over IMAPS and POP3S.

Its destinations run in a child, and getmail6 6.18 sets up the handler for the
child's end only after the fork: a child that ends at once ends getmail, too
(AttributeError: …__orig_handler). So the child takes its time.
"""

import os
import shutil
from pathlib import Path

from . import Context, check
from .tools import letter, messages, run_program, send, wait_for

DESTINATION = """\
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "sleep 0.5; exec cat > {folder}/mail/$$")
"""
CONFIGURATION = """\
[retriever]
type = {retriever}
server = localhost
port = {port}
username = {address}
password = {password}
ca_certs = {certificate}
timeout = 30

""" + DESTINATION + """
[options]
delete = true
read_all = false
received = false
delivered_to = false
message_log = {folder}/log
"""


def unprivileged_owner(folder: Path) -> str | None:
    """getmail refuses to deliver as root: gives the folder to another user, if we are root."""
    if os.geteuid() != 0:
        return None
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, "nobody", "nogroup")
    return "nobody"


def fetch_twice(context: Context, retriever: str, port: str) -> None:
    office = context.office
    account = context.account(f"getmail-{port}")
    folder = context.folder(f"getmail-{port}")
    (folder / "mail").mkdir()
    (folder / "getmailrc").write_text(CONFIGURATION.format(
        retriever=retriever, port=office.ports[port], address=account.address, password=account.password,
        certificate=shutil.copy(office.certificate, folder / "cert.pem"), folder=folder))
    user = unprivileged_owner(folder)
    for number in range(3):
        send(office, account, letter(f"letter {number}"))
    wait_for(office, account, 3)
    command = ["getmail", "--getmaildir", str(folder), "--rcfile", "getmailrc"]
    run_program(command, environment={**os.environ, "HOME": str(folder)}, user=user)
    files = list((folder / "mail").iterdir())
    assert len(files) == 3, f"{len(files)} messages were fetched"
    bodies = letter("x").partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
    assert all(path.read_bytes().endswith(bodies) for path in files), "a body was changed"
    assert not messages(office, account), "getmail's deletion did not take effect"
    run_program(command, environment={**os.environ, "HOME": str(folder)}, user=user)
    assert len(list((folder / "mail").iterdir())) == 3, "a second run fetched again"


@check("getmail6: IMAPS, fetch and delete")
def imap(context: Context) -> None:
    fetch_twice(context, "SimpleIMAPSSLRetriever", "imaps")


@check("getmail6: POP3S, fetch and delete")
def pop3(context: Context) -> None:
    fetch_twice(context, "SimplePOP3SSLRetriever", "pop3s")
