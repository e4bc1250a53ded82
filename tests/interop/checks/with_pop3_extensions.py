"""POP3 beyond RFC 1939: CAPA, UTF8, LANG, SASL, response codes and pipelining."""

import poplib

from support.smtp_wire import Smtp

from . import Context, check
from .modes.sasl import in_turn
from .modes.with_python import pop3_authenticate
from .tools import SENDER, assert_received, letter, send, wait_for


def connect(context: Context) -> poplib.POP3:
    office = context.office
    return poplib.POP3_SSL("localhost", office.ports["pop3s"], context=office.tls_context(), timeout=30)


def sign_in(context: Context, account) -> poplib.POP3:
    client = connect(context)
    client.user(account.address)
    client.pass_(account.password)
    return client


def is_refused(function, *arguments) -> str:
    try:
        function(*arguments)
    except poplib.error_proto as refusal:
        return str(refusal)
    raise AssertionError("was not refused")


@check("pop3: CAPA tells every extension before and after sign-in")
def capabilities(context: Context) -> None:
    account = context.account("pop3-capa")
    client = connect(context)
    before = client.capa()
    for name in ("TOP", "UIDL", "USER", "SASL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "LANG",
                 "EXPIRE", "IMPLEMENTATION"):
        assert name in before, f"{name} is not told: {sorted(before)}"
    assert "STLS" not in before, "STLS is told inside TLS"
    assert {"PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"} <= set(before["SASL"]), f"SASL {before['SASL']}"
    client.user(account.address)
    client.pass_(account.password)
    after = client.capa()
    assert {"TOP", "UIDL", "PIPELINING", "RESP-CODES", "LANG"} <= set(after), f"after sign-in: {sorted(after)}"
    client.quit()


@check("pop3: UTF8 gives a letter with UTF-8 headers as it is, and so does its absence not lose it")
def utf8(context: Context) -> None:
    account = context.account("pop3-utf8")
    sent = letter("Grüße aus dem Postamt 邮局", "中文\r\n")
    smtp = Smtp(context.office.ports["smtp"])
    smtp.transmit(SENDER, [account.address], sent, " BODY=8BITMIME SMTPUTF8")
    smtp.close()
    wait_for(context.office, account, 1)
    client = connect(context)
    assert "UTF8" in client.capa(), "UTF8 is not told"
    client.utf8()
    client.user(account.address)
    client.pass_(account.password)
    got = b"".join(line + b"\r\n" for line in client.retr(1)[1])
    assert_received(context.office, got, sent)
    client.quit()
    client = sign_in(context, account)
    assert client.retr(1)[2] > 0, "a client without UTF8 gets nothing"
    client.quit()


@check("pop3: LANG lists languages and changes to one")
def languages(context: Context) -> None:
    account = context.account("pop3-lang")
    client = connect(context)
    assert "LANG" in client.capa(), "LANG is not told"
    _, lines, _ = client._longcmd("LANG")
    tags = [line.split()[0].decode() for line in lines]
    assert any(tag.lower().startswith("en") for tag in tags), f"LANG lists {tags}"
    for tag in tags:
        answer = client._shortcmd(f"LANG {tag}")
        assert answer.startswith(b"+OK " + tag.encode()), f"LANG {tag} was answered {answer}"
    client._shortcmd("LANG *")
    is_refused(client._shortcmd, "LANG xx-no-such-tongue")
    client.user(account.address)
    client.pass_(account.password)
    client.quit()


@check("pop3: response codes tell a wrong password from other failures")
def response_codes(context: Context) -> None:
    account = context.account("pop3-codes")
    client = connect(context)
    client.user(account.address)
    assert "[AUTH]" in is_refused(client.pass_, account.password + "x"), "no [AUTH]"
    wrong = in_turn(f"\0{account.address}\0wrong")
    assert "[AUTH]" in is_refused(pop3_authenticate, client, "PLAIN", wrong), "no [AUTH]"
    is_refused(pop3_authenticate, client, "NO-SUCH", in_turn())
    pop3_authenticate(client, "PLAIN", in_turn(f"\0{account.address}\0{account.password}"))
    assert client.stat() == (0, 0)
    client.quit()


@check("pop3: a whole session in one packet is answered in order")
def pipelining(context: Context) -> None:
    account = context.account("pop3-pipelined")
    sent = [letter(f"pipelined {number}") for number in range(3)]
    for number, message in enumerate(sent, 1):
        send(context.office, account, message)
        wait_for(context.office, account, number)
    client = sign_in(context, account)
    commands = ("STAT", "UIDL", "RETR 1", "RETR 2", "NOOP", "RETR 9", "TOP 3 0", "DELE 2", "RETR 2", "LIST", "QUIT")
    client.sock.sendall("".join(f"{command}\r\n" for command in commands).encode())
    assert client._getresp().split()[1] == b"3", "STAT"
    assert len(client._getlongresp()[1]) == 3, "UIDL"
    for message in sent[:2]:
        got = b"".join(line + b"\r\n" for line in client._getlongresp()[1])
        assert_received(context.office, got, message)
    client._getresp()  # NOOP
    is_refused(client._getresp)  # RETR 9
    assert b"Subject: pipelined 2" in client._getlongresp()[1], "TOP"
    client._getresp()  # DELE
    is_refused(client._getresp)  # RETR 2
    assert [line.split()[0] for line in client._getlongresp()[1]] == [b"1", b"3"], "LIST"
    client._getresp()  # QUIT
    client.close()
    wait_for(context.office, account, 2)
