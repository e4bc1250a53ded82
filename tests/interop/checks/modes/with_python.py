"""imaplib and poplib; the mechanisms are our own."""

import base64
import imaplib
import poplib
import ssl

from .program import Program
from .sasl import Responder, SaslError, Scram, responder
from .way import Mode, Run


class Python(Program):
    name = "python"

    def fetch(self, run: Run) -> bytes:
        return fetch_by_imap(run) if run.mode.protocol == "imap" else fetch_by_pop3(run)


def fetch_by_imap(run: Run) -> bytes:
    client = imap_client(run.mode.transport, run.port, run.certificate)
    try:
        if run.mode.sasl is None:
            client.login(run.account.address, run.account.password)
        else:
            answers = responder(run.mode, run.account.address, run.secret, socket_of(client, run.mode))
            client.authenticate(run.mode.sasl, answers)
            assert_verified(answers)
        client.select("INBOX", readonly=True)
        return client.fetch("1", "(BODY.PEEK[])")[1][0][1]
    finally:
        client.logout()


def imap_client(transport: str, port: int, certificate: str) -> imaplib.IMAP4:
    context = ssl.create_default_context(cafile=certificate)
    if transport == "TLS":
        return imaplib.IMAP4_SSL("localhost", port, ssl_context=context, timeout=30)
    client = imaplib.IMAP4("localhost", port, timeout=30)
    if transport == "STARTTLS":
        client.starttls(ssl_context=context)
    return client


def fetch_by_pop3(run: Run) -> bytes:
    client = pop3_client(run.mode.transport, run.port, run.certificate)
    try:
        if run.mode.sasl is None:
            client.user(run.account.address)
            client.pass_(run.account.password)
        else:
            answers = responder(run.mode, run.account.address, run.secret, socket_of(client, run.mode))
            pop3_authenticate(client, run.mode.sasl, answers)
            assert_verified(answers)
        return b"\r\n".join(client.retr(1)[1]) + b"\r\n"
    finally:
        client.quit()


def pop3_client(transport: str, port: int, certificate: str) -> poplib.POP3:
    context = ssl.create_default_context(cafile=certificate)
    if transport == "TLS":
        return poplib.POP3_SSL("localhost", port, context=context, timeout=30)
    client = poplib.POP3("localhost", port, timeout=30)
    if transport == "STARTTLS":
        client.stls(context=context)
    return client


def pop3_authenticate(client: poplib.POP3, mechanism: str, answers: Responder) -> bytes:
    """AUTH (RFC 5034), which poplib does not have."""
    client._putcmd(f"AUTH {mechanism}")
    while True:
        line, _ = client._getline()
        if not line.startswith(b"+ "):
            if not line.startswith(b"+OK"):
                raise poplib.error_proto(line)
            return line
        client._putline(base64.b64encode(answers(base64.b64decode(line[2:]))))


def socket_of(client, mode: Mode) -> ssl.SSLSocket | None:
    return client.sock if mode.transport != "plain" else None


def assert_verified(answers: Responder) -> None:
    if isinstance(answers, Scram) and not answers.verified:
        raise SaslError("the server did not show that it knows the password's keys")
