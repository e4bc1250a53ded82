"""Python's smtplib, and by hand what it does not offer."""

import smtplib
from email.message import EmailMessage

from support.smtp_wire import Smtp

from . import Context, check
from .tools import SENDER, assert_received, letter, wait_for

SUBJECT = "邮局开张 – Grüße"


def connect(context: Context) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", context.office.ports["smtp"], local_hostname="client.example", timeout=30)
    client.ehlo()
    return client


@check("smtplib: STARTTLS, UTF-8 subject in RFC 2047 form")
def starttls_subject(context: Context) -> None:
    account = context.account("smtplib-tls")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, account.address, SUBJECT
    message["Date"], message["Message-ID"] = "Fri, 02 Jan 2026 10:00:00 +0000", "<starttls@example.test>"
    message.set_content("Grüße aus dem Postamt\n", cte="base64")
    with connect(context) as client:
        client.starttls(context=context.office.tls_context())
        client.ehlo()
        assert not client.has_extn("starttls"), "STARTTLS is offered again inside TLS"
        client.send_message(message)
    got = wait_for(context.office, account, 1)[0]
    assert_received(context.office, got, message.as_bytes().replace(b"\n", b"\r\n"))


@check("smtplib: 8BITMIME")
def eight_bit(context: Context) -> None:
    account = context.account("smtplib-8bit")
    sent = letter("eight bit", "Grüße, 中文, ñ\r\n")
    with connect(context) as client:
        assert client.has_extn("8bitmime"), "not offered"
        client.sendmail(SENDER, [account.address], sent, mail_options=["BODY=8BITMIME"])
    assert_received(context.office, wait_for(context.office, account, 1)[0], sent)


@check("smtplib: SMTPUTF8")
def smtputf8(context: Context) -> None:
    account = context.account("smtplib-utf8")
    sent = letter(SUBJECT)
    with connect(context) as client:
        assert client.has_extn("smtputf8"), "not offered"
        client.sendmail("用户@example.test", [account.address], sent, mail_options=["BODY=8BITMIME", "SMTPUTF8"])
    assert_received(context.office, wait_for(context.office, account, 1)[0], sent)


@check("smtplib: SIZE is offered and too large is refused at MAIL")
def size(context: Context) -> None:
    account = context.account("smtplib-size")
    with connect(context) as client:
        limit = int(client.esmtp_features["size"])
        assert limit >= 25_000_000, f"limit {limit}"
        code, _ = client.mail(SENDER, [f"SIZE={limit + 1}"])
        assert code == 552, f"MAIL answered {code}"
        client.sendmail(SENDER, [account.address], letter("after the refusal"))
    wait_for(context.office, account, 1)


@check("smtp by hand: BDAT in chunks, nothing stuffed")
def bdat(context: Context) -> None:
    account = context.account("smtp-bdat")
    sent = letter("bdat", ".\r\n..\r\nlast line\r\n")
    client = Smtp(context.office.ports["smtp"])
    assert "CHUNKING" in client.extensions.upper().split("\n"), "not offered"
    client.command(f"MAIL FROM:<{SENDER}>", 250)
    client.command(f"RCPT TO:<{account.address}>", 250)
    for chunk, last in ((sent[:50], ""), (sent[50:], ""), (b"", " LAST")):
        client.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
        client.expect(250)
    client.command("QUIT", 221)
    assert_received(context.office, wait_for(context.office, account, 1)[0], sent)


@check("smtp by hand: three messages pipelined in one connection")
def pipelined(context: Context) -> None:
    account = context.account("smtp-pipelined")
    client = Smtp(context.office.ports["smtp"])
    for number in range(3):
        envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{account.address}>\r\nRCPT TO:<nobody1@interop.test>\r\nDATA\r\n"
        client.send(envelope.encode())
        client.expect(250)
        client.expect(250)
        client.expect(550)
        client.expect(354)
        client.send(letter(f"pipelined {number}").replace(b"\r\n.", b"\r\n..") + b".\r\n")
        client.expect(250)
    client.command("QUIT", 221)
    wait_for(context.office, account, 3)


@check("smtp by hand: commands sent in the same packet as STARTTLS are dropped or refused")
def nothing_across_starttls(context: Context) -> None:
    client = Smtp(context.office.ports["smtp"])
    client.send(b"STARTTLS\r\nNOOP injected\r\n")
    code, _ = client.reply()
    if code != 220:
        return  # refused: RFC 3207 section 4 allows 501, 554 …
    client.socket = context.office.tls_context().wrap_socket(client.socket, server_hostname="localhost")
    client._input = client.socket.makefile("rb")
    client.send(b"EHLO client.example\r\n")
    code, text = client.reply()
    assert code == 250 and "\n" in text, f"the injected command was answered inside TLS: {code} {text}"
