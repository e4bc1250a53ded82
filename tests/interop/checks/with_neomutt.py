"""neomutt, scripted: key presses pushed from the command line, a real terminal by tmux."""

import os
import secrets
import shlex
import subprocess
import time

from . import Context, check
from .tools import letter, messages, run_program, send, wait_for

CONFIGURATION = """\
set imap_user = "{address}"
set imap_pass = "{password}"
set ssl_starttls = no
set ssl_force_tls = yes
set certificate_file = {certificate}
set ssl_verify_host = no
set folder = imaps://localhost:{port}/
set spoolfile = imaps://localhost:{port}/INBOX
set record = ""
set delete = yes
set quit = yes
set confirmappend = no
set confirmcreate = no
set wait_key = no
set mark_old = no
set header_cache = ""
set sort = mailbox-order
set beep = no
"""


def in_terminal(command: list[str], environment: dict, log, seconds: float = 40) -> None:
    """Runs a full-screen program in a tmux server of its own until it ends."""
    socket_name = f"interop-{secrets.token_hex(4)}"
    tmux = ["tmux", "-L", socket_name, "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "-x", "120", "-y", "40", shlex.join(command)],
                   check=True, env={**environment, "TERM": "xterm"}, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + seconds
    try:
        while subprocess.run([*tmux, "has-session"], capture_output=True).returncode == 0:
            screen = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True).stdout
            if screen.strip():
                log.write_text(screen)
            if time.monotonic() > deadline:
                raise AssertionError("did not end; its screen: " + " | ".join(screen.split("\n"))[-600:])
            time.sleep(0.1)
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True)


@check("neomutt: open the folder, read, flag, save to another folder, delete")
def keys(context: Context) -> None:
    office = context.office
    account = context.account("neomutt")
    folder = context.folder("neomutt")
    (folder / "muttrc").write_text(CONFIGURATION.format(
        address=account.address, password=account.password, certificate=office.certificate,
        port=office.ports["imaps"]))
    for number in range(4):
        send(office, account, letter(f"letter {number}"))
        wait_for(office, account, number + 1)
    archive = f"imaps://localhost:{office.ports['imaps']}/Archive2026"
    presses = "".join((
        "<first-entry><display-message><exit>",  # letter 0 becomes read
        "<first-entry><next-entry><flag-message>",  # letter 1 flagged
        f"<first-entry><next-entry><next-entry><save-message>{archive}<enter>",  # letter 2 goes to another folder
        "<last-entry><delete-message>",
        "<sync-mailbox><quit>",
    ))
    in_terminal(["neomutt", "-n", "-F", str(folder / "muttrc"), "-e", f'push "{presses}"'],
                {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}, folder / "screen")

    def subject(octets: bytes) -> str:
        return next(line[9:].decode() for line in octets.split(b"\r\n") if line.startswith(b"Subject: "))

    inbox = {subject(octets): flags for flags, octets in messages(office, account).values()}
    screen = " | ".join((folder / "screen").read_text().split("\n"))[:500]
    assert sorted(inbox) == ["letter 0", "letter 1"], f"INBOX holds {inbox}; last screen: {screen}"
    assert "\\Seen" in inbox["letter 0"], f"letter 0 has {inbox['letter 0']}"
    assert "\\Flagged" in inbox["letter 1"], f"letter 1 has {inbox['letter 1']}"
    saved = [subject(octets) for _, octets in messages(office, account, "Archive2026").values()]
    assert saved == ["letter 2"], f"Archive2026 holds {saved}"


@check("neomutt: batch send by SMTP with STARTTLS")
def batch_send(context: Context) -> None:
    office = context.office
    account = context.account("neomutt-send")
    folder = context.folder("neomutt-send")
    (folder / "muttrc").write_text(
        f"set smtp_url = smtp://localhost:{office.ports['smtp']}/\nset ssl_starttls = yes\nset ssl_force_tls = yes\n"
        f"set certificate_file = {office.certificate}\nset ssl_verify_host = no\n"
        "set from = sender@example.test\nset use_envelope_from = yes\nset copy = no\nset record = \"\"\n")
    run_program(["neomutt", "-n", "-F", str(folder / "muttrc"), "-s", "from neomutt", account.address],
                stdin="Hello\n", environment={**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"})
    assert b"Subject: from neomutt" in wait_for(office, account, 1)[0]
