"""Members' programs hand mail in: smtplib, swaks and msmtp."""

import smtplib
from email.message import EmailMessage

from support.office import Account

from . import Context, check
from .tools import messages, run_program, wait_for


def compose(author: Account, *recipients: Account, subject: str = "hello") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = author.address, subject
    message["To"] = ", ".join(recipient.address for recipient in recipients)
    message.set_content("from a colleague\n")
    return message


def connected(context: Context, implicit: bool) -> smtplib.SMTP:
    tls = context.office.tls_context()
    if implicit:
        return smtplib.SMTP_SSL("localhost", context.office.ports["submissions"], context=tls, timeout=30)
    client = smtplib.SMTP("localhost", context.office.ports["submission"], timeout=30)
    client.starttls(context=tls)
    return client


@check("smtplib: submission over TLS and STARTTLS, to a colleague and to Sent")
def submission(context: Context) -> None:
    for implicit in (True, False):
        name = f"submission-{'tls' if implicit else 'starttls'}"
        author, colleague = context.account(name), context.account(f"{name}-to")
        with connected(context, implicit) as client:
            client.login(author.address, author.password)
            message = compose(author, colleague)
            message["Bcc"] = author.address
            client.send_message(message)
        got = wait_for(context.office, colleague, 1)[0]
        assert b"from a colleague" in got and b"\nMessage-ID: <" in b"\n" + got and b"\nDate: " in b"\n" + got
        wait_for(context.office, author, 1)
        wait_for(context.office, author, 1, "Sent")
        flags = [flags for flags, _ in messages(context.office, author, "Sent").values()]
        assert "\\Seen" in flags[0], f"the copy in Sent has the flags {flags}"


@check("smtplib: every mechanism of submission that it knows")
def mechanisms(context: Context) -> None:
    author, colleague = context.account("submission-auth"), context.account("submission-auth-to")
    for mechanism in ("auth_plain", "auth_login"):
        with connected(context, True) as client:
            client.user, client.password = author.address, author.password
            client.ehlo()
            client.auth(mechanism.removeprefix("auth_").upper(), getattr(client, mechanism))
            client.send_message(compose(author, colleague))
    wait_for(context.office, colleague, 2)


def refused_with(code: int, enhanced: bytes, attempt) -> None:
    try:
        attempt()
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        answers = error.recipients.values() if isinstance(error, smtplib.SMTPRecipientsRefused) else [
            (error.smtp_code, error.smtp_error)]
        for answer in answers:
            assert answer[0] == code and answer[1].startswith(enhanced), f"{answer} instead of {code} {enhanced!r}"
        return
    raise AssertionError(f"not refused with {code}")


@check("smtplib: submission refuses strangers, other authors and other servers")
def refusals(context: Context) -> None:
    author, colleague = context.account("submission-no"), context.account("submission-no-to")
    with connected(context, True) as client:
        refused_with(530, b"5.7.0", lambda: client.send_message(compose(author, colleague)))
        refused_with(535, b"5.7.8", lambda: client.login(author.address, "a wrong password"))
        client.login(author.address, author.password)
        refused_with(550, b"5.7.1", lambda: client.send_message(compose(colleague, author)))
        refused_with(
            550, b"5.7.1",
            lambda: client.send_message(compose(colleague, author), from_addr=author.address),
        )
        outside = Account("someone@elsewhere.example", "")
        refused_with(550, b"5.7.1", lambda: client.send_message(compose(author, outside)))
    assert messages(context.office, author) == {}, "something arrived nevertheless"


@check("swaks: submission by STARTTLS and TLS, and port 25 has no AUTH")
def by_swaks(context: Context) -> None:
    author, colleague = context.account("submission-swaks"), context.account("submission-swaks-to")
    common = ["swaks", "--server", "127.0.0.1", "--from", author.address, "--to", colleague.address,
              "--auth-user", author.address, "--auth-password", author.password]
    ports = context.office.ports
    run_program([*common, "--port", str(ports["submission"]), "--tls", "--auth", "PLAIN"])
    run_program([*common, "--port", str(ports["submissions"]), "--tls-on-connect", "--auth", "LOGIN"])
    # 28: the server offers no mechanism
    run_program([*common, "--port", str(ports["smtp"]), "--tls", "--auth", "PLAIN"], expect=28)
    wait_for(context.office, colleague, 2)
    wait_for(context.office, author, 2, "Sent")


@check("msmtp: submission by STARTTLS and TLS with SCRAM-SHA-256")
def by_msmtp(context: Context) -> None:
    author, colleague = context.account("submission-msmtp"), context.account("submission-msmtp-to")
    folder = context.folder("msmtp")
    for number, (port, starttls, auth) in enumerate(
        (("submission", "on", "scram-sha-256"), ("submissions", "off", "plain"))
    ):
        config = folder / f"config-{number}"
        config.write_text(
            f"account default\nhost localhost\nport {context.office.ports[port]}\nfrom {author.address}\n"
            f"tls on\ntls_starttls {starttls}\ntls_trust_file {context.office.certificate}\n"
            f"auth {auth}\nuser {author.address}\npassword {author.password}\n",
            encoding="utf-8",
        )
        config.chmod(0o600)
        letter = compose(author, colleague, subject=f"by msmtp {number}").as_string()
        run_program(["msmtp", "--file", str(config), colleague.address], stdin=letter)
    wait_for(context.office, colleague, 2)
