"""swaks, the SMTP test program."""

from . import Context, check
from .tools import run_program, wait_for

BODY = "sent by swaks"


def swaks(context: Context, recipient: str, *options: str, expect: int = 0):
    return run_program(
        ["swaks", "--server", "127.0.0.1", "--port", str(context.office.ports["smtp"]),
         "--ehlo", "client.example", "--from", "sender@example.test", "--to", recipient,
         "--body", BODY, *options],
        expect=expect,
    )


@check("swaks: plain")
def plain(context: Context) -> None:
    account = context.account("swaks-plain")
    swaks(context, account.address)
    assert BODY.encode() in wait_for(context.office, account, 1)[0], "another body arrived"


@check("swaks: STARTTLS")
def starttls(context: Context) -> None:
    account = context.account("swaks-tls")
    done = swaks(context, account.address, "--tls", "--tls-verify", "--tls-ca-path", context.office.certificate)
    assert "TLS started" in done.stdout, "no TLS was started"
    assert BODY.encode() in wait_for(context.office, account, 1)[0], "another body arrived"


@check("swaks: pipelining")
def pipelining(context: Context) -> None:
    account = context.account("swaks-pipe")
    swaks(context, account.address, "--pipeline")
    wait_for(context.office, account, 1)


@check("swaks: unknown recipient gets 550")
def unknown_recipient(context: Context) -> None:
    context.account("swaks-known")  # the domain itself is known
    # 24: no recipient was accepted
    done = swaks(context, "nobody-here@interop.test", expect=24)
    answers = [line for line in done.stdout.splitlines() if line.startswith("<** ")]
    assert any(line.startswith("<** 550 ") for line in answers), f"answers: {answers}"


@check("swaks: foreign domain is not relayed")
def no_relay(context: Context) -> None:
    done = swaks(context, "someone@elsewhere.example", expect=24)
    answers = [line for line in done.stdout.splitlines() if line.startswith("<** ")]
    assert any(line.startswith("<** 55") for line in answers), f"answers: {answers}"
