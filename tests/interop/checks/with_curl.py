"""curl: smtp:// out, imaps:// and pop3s:// in."""

from . import Context, check
from .tools import SENDER, assert_received, letter, run_program, send, wait_for


@check("curl: smtp:// with STARTTLS")
def smtp(context: Context) -> None:
    account = context.account("curl-smtp")
    folder = context.folder("curl-smtp")
    sent = letter("from curl")
    (folder / "mail.eml").write_bytes(sent)
    run_program(["curl", "-sS", "--max-time", "30", "--ssl-reqd", "--cacert", context.office.certificate,
                 "--mail-from", SENDER, "--mail-rcpt", account.address,
                 "-T", str(folder / "mail.eml"), f"smtp://localhost:{context.office.ports['smtp']}/client.example"])
    assert_received(context.office, wait_for(context.office, account, 1)[0], sent)


def fetched(context: Context, scheme: str, path: str) -> tuple[bytes, bytes]:
    account = context.account(f"curl-{scheme}")
    sent = letter(f"to {scheme}")
    send(context.office, account, sent)
    wait_for(context.office, account, 1)
    output = context.folder(f"curl-{scheme}") / "mail.eml"
    run_program(["curl", "-sS", "--max-time", "30", "--cacert", context.office.certificate,
                 "-u", f"{account.address}:{account.password}", "-o", str(output),
                 f"{scheme}://localhost:{context.office.ports[scheme]}/{path}"])
    return output.read_bytes(), sent


@check("curl: imaps:// fetch")
def imaps(context: Context) -> None:
    assert_received(context.office, *fetched(context, "imaps", "INBOX;MAILINDEX=1"))


@check("curl: pop3s:// fetch")
def pop3s(context: Context) -> None:
    assert_received(context.office, *fetched(context, "pop3s", "1"))
