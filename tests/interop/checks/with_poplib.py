"""Python's poplib over STLS and POP3S."""

import poplib

from . import Context, check
from .tools import assert_received, letter, messages, send, wait_for


def connect(context: Context, account, secure: str) -> poplib.POP3:
    office = context.office
    if secure == "pop3s":
        client = poplib.POP3_SSL("localhost", office.ports["pop3s"], context=office.tls_context(), timeout=30)
    else:
        client = poplib.POP3("localhost", office.ports["pop3"], timeout=30)
        client.stls(context=office.tls_context())
    client.user(account.address)
    client.pass_(account.password)
    return client


def round_trip(context: Context, secure: str) -> None:
    account = context.account(f"poplib-{secure}")
    sent = [letter(f"letter {number}") for number in range(3)]
    for number, message in enumerate(sent):
        send(context.office, account, message)
        wait_for(context.office, account, number + 1)
    client = connect(context, account, secure)
    assert {"UIDL", "TOP"} <= set(client.capa()), f"CAPA {client.capa()}"
    count, total = client.stat()
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert count == 3 and sum(sizes) == total, f"STAT {count} {total}, LIST {sizes}"
    uids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(uids)) == 3, f"UIDL {uids}"
    for number, message in enumerate(sent, 1):
        got = b"".join(line + b"\r\n" for line in client.retr(number)[1])
        assert_received(context.office, got, message)
    top = client.top(1, 1)[1]
    assert b"Subject: letter 0" in top and top[-1] == b"Ein Brief.", f"TOP {top}"
    client.dele(2)
    client.rset()
    client.dele(1)
    client.quit()
    left = messages(context.office, account)
    assert len(left) == 2, f"{len(left)} messages after DELE of one"
    client = connect(context, account, secure)
    assert [line.split()[1] for line in client.uidl()[1]] == uids[1:], "UIDL changed between sessions"
    client.dele(1)
    client.close()  # without QUIT nothing is deleted (RFC 1939 section 6)
    assert len(messages(context.office, account)) == 2, "a dropped connection deleted mail"


@check("poplib: STLS, LIST, UIDL, TOP, RETR, DELE")
def stls(context: Context) -> None:
    round_trip(context, "stls")


@check("poplib: POP3S, LIST, UIDL, TOP, RETR, DELE")
def pop3s(context: Context) -> None:
    round_trip(context, "pop3s")
