"""Python's imaplib, and IDLE by hand."""

import imaplib
import re

from support.imap_wire import Imap

from . import Context, check
from .tools import assert_received, letter, send, wait_for


def login(context: Context, account, secure: str = "imaps") -> imaplib.IMAP4:
    office = context.office
    if secure == "imaps":
        client = imaplib.IMAP4_SSL("localhost", office.ports["imaps"], ssl_context=office.tls_context(), timeout=30)
    else:
        client = imaplib.IMAP4("localhost", office.ports["imap"], timeout=30)
        ok(client.starttls(ssl_context=office.tls_context()))
    ok(client.login(account.address, account.password))
    return client


def ok(answer):
    status, content = answer
    assert status == "OK", f"{status} {content}"
    return content


@check("imaplib: LOGIN over IMAPS")
def imaps(context: Context) -> None:
    client = login(context, context.account("imap-imaps"))
    ok(client.select())
    client.logout()


@check("imaplib: LOGIN over STARTTLS")
def starttls(context: Context) -> None:
    client = login(context, context.account("imap-starttls"), "starttls")
    ok(client.select())
    client.logout()


@check("imaplib: a wrong password is refused")
def wrong_password(context: Context) -> None:
    account = context.account("imap-wrong")
    client = imaplib.IMAP4_SSL("localhost", context.office.ports["imaps"],
                               ssl_context=context.office.tls_context(), timeout=60)
    try:
        client.login(account.address, account.password + "x")
    except imaplib.IMAP4.error as error:
        assert "AUTHENTICATIONFAILED" in str(error), f"refused with {error}"
        return
    raise AssertionError("logged in")


@check("imaplib: APPEND, SEARCH, FETCH")
def append_search_fetch(context: Context) -> None:
    client = login(context, context.account("imap-append"))
    sent = letter("needle in a haystack")
    ok(client.append("INBOX", "(\\Seen)", '"02-Jan-2026 10:00:00 +0000"', sent))
    ok(client.append("INBOX", None, None, letter("another one")))
    ok(client.select())
    assert ok(client.search(None, "SUBJECT", "needle")) == [b"1"], "SEARCH SUBJECT"
    assert ok(client.search(None, "UNSEEN")) == [b"2"], "SEARCH UNSEEN"
    assert ok(client.search(None, "TEXT", '"two dots"')) == [b"1 2"], "SEARCH TEXT"
    fetched = ok(client.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])"))
    assert fetched[0][1] == sent, "FETCH BODY[] differs from what APPEND took"
    text = fetched[0][0] + fetched[1]
    # RFC 3501 section 9, date-day-fixed: the day may begin with a space
    assert re.search(rb'"[ 0]2-Jan-2026 10:00:00 \+0000"', text), f"INTERNALDATE in {text}"
    assert f"RFC822.SIZE {len(sent)}".encode() in text, f"RFC822.SIZE in {text}"
    assert b'"needle in a haystack"' in text and b'"text" "plain"' in text.lower(), f"ENVELOPE in {text}"
    client.logout()


@check("imaplib: STORE, COPY, MOVE, EXPUNGE with UIDPLUS codes")
def store_copy_move(context: Context) -> None:
    client = login(context, context.account("imap-move"))
    for number in range(4):
        answer = ok(client.append("INBOX", None, None, letter(f"number {number}")))[0]
        assert re.search(rb"\[APPENDUID \d+ \d+\]", answer), f"APPEND answered {answer}"
    ok(client.create("Work"))
    ok(client.select())
    uids = ok(client.uid("SEARCH", "ALL"))[0].split()
    assert len(uids) == 4
    stored = ok(client.uid("STORE", uids[0], "+FLAGS", "(\\Flagged $Forwarded)"))
    assert b"\\Flagged" in stored[0] and b"$Forwarded" in stored[0], f"STORE answered {stored}"
    copied = ok(client.uid("COPY", uids[0], "Work"))[0]
    # imaplib gives the tagged text without the OK for COPY
    codes = copied + b"".join(client.response("COPYUID")[1][0:1] or [b""]) if copied else b""
    assert b"COPYUID" in codes or client.response("COPYUID")[1][0], "no COPYUID after COPY"
    assert "MOVE" in client.capabilities or b"MOVE" in ok(client.capability())[0], "MOVE is not offered"
    imaplib.Commands.setdefault("MOVE", ("SELECTED",))
    ok(client.uid("MOVE", uids[1], "Work"))
    left = ok(client.uid("SEARCH", "ALL"))[0].split()
    assert left == [uids[0], uids[2], uids[3]], f"after MOVE: {left}"
    ok(client.uid("STORE", b",".join(uids[2:]), "+FLAGS.SILENT", "(\\Deleted)"))
    ok(client.uid("EXPUNGE", uids[2]))
    left = ok(client.uid("SEARCH", "ALL"))[0].split()
    assert left == [uids[0], uids[3]], f"UID EXPUNGE took another message: {left}"
    ok(client.expunge())
    left = ok(client.uid("SEARCH", "ALL"))[0].split()
    assert left == [uids[0]], f"after EXPUNGE: {left}"
    ok(client.select("Work"))
    assert ok(client.search(None, "KEYWORD", "$Forwarded")) == [b"1"], "COPY lost the flags"
    assert ok(client.search(None, "SUBJECT", '"number 1"')) == [b"2"], "MOVE lost the message"
    client.logout()


@check("imaplib: LIST with SPECIAL-USE")
def special_use(context: Context) -> None:
    client = login(context, context.account("imap-list"))
    capabilities = ok(client.capability())[0].split()
    assert b"SPECIAL-USE" in capabilities, "not offered"
    listed = b"\n".join(ok(client.list()))
    for use in (rb"\Drafts", rb"\Junk", rb"\Sent", rb"\Trash"):
        assert use in listed, f"{use.decode()} is missing in {listed!r}"
    client.logout()


@check("imaplib: mailbox names in Chinese, RENAME, SUBSCRIBE, DELETE")
def mailbox_names(context: Context) -> None:
    client = login(context, context.account("imap-names"))
    ok(client.create('"&W1hoYw-"'))  # 存档 in modified UTF-7
    delimiter = re.search(rb'\) "(.)" ', ok(client.list('""', '""'))[0]).group(1).decode()
    ok(client.create(f'"Projects{delimiter}2026"'))
    ok(client.subscribe('"&W1hoYw-"'))
    assert b"&W1hoYw-" in b"".join(ok(client.lsub())), "LSUB"
    ok(client.append('"&W1hoYw-"', None, None, letter("kept")))
    ok(client.rename('"&W1hoYw-"', '"&W1hoYw-2"'))
    assert ok(client.select('"&W1hoYw-2"')) == [b"1"], "RENAME lost the message"
    ok(client.unselect())
    ok(client.delete('"&W1hoYw-2"'))
    assert b"&W1hoYw-2" not in b"".join(ok(client.list())), "DELETE"
    client.logout()


@check("imaplib: ENABLE CONDSTORE, CHANGEDSINCE, UNCHANGEDSINCE")
def condstore(context: Context) -> None:
    client = login(context, context.account("imap-condstore"))
    for number in range(2):
        ok(client.append("INBOX", None, None, letter(f"number {number}")))
    ok(client.enable("CONDSTORE"))
    ok(client.select())
    modseq = int(client.response("HIGHESTMODSEQ")[1][0])
    ok(client.uid("STORE", "2", "+FLAGS", "(\\Flagged)"))
    changed = ok(client.uid("FETCH", "1:*", f"(FLAGS) (CHANGEDSINCE {modseq})"))
    assert len(changed) == 1 and b"\\Flagged" in changed[0], f"CHANGEDSINCE gave {changed}"
    status, _ = client.uid("STORE", "2", f"(UNCHANGEDSINCE {modseq})", "+FLAGS", "(\\Seen)")
    seen = ok(client.search(None, "SEEN"))
    assert seen == [b""] , f"a conditional STORE changed what had changed: {status} {seen}"
    client.logout()


@check("imap by hand: IDLE sees a delivery")
def idle(context: Context) -> None:
    account = context.account("imap-idle")
    client = Imap(context.office.ports["imap"], timeout=20)
    client.login(account.address, account.password)
    client.command(b"SELECT INBOX")
    tag = client.next_tag()
    client.send(tag + b" IDLE\r\n")
    assert client.read_response()[0].startswith(b"+"), "no continuation"
    send(context.office, account, letter("wake up"))
    while not re.match(rb"\* 1 EXISTS", client.read_response()[0]):
        pass
    client.send(b"DONE\r\n")
    client.finish(tag)
    client.close()


@check("imap by hand: LITERAL+, NAMESPACE, ID, UNSELECT")
def small_extensions(context: Context) -> None:
    account = context.account("imap-small")
    client = Imap(context.office.ports["imap"], timeout=20)
    client.login(account.address, account.password)
    capabilities = client.command(b"CAPABILITY")[1][0][0].upper().split()
    for name in (b"LITERAL+", b"NAMESPACE", b"ID", b"UNSELECT", b"IDLE", b"UIDPLUS", b"MOVE", b"CONDSTORE", b"ENABLE"):
        assert name in capabilities, f"{name.decode()} is not offered"
    sent = letter("literal plus")
    tag = client.next_tag()
    client.send(tag + b" APPEND INBOX {%d+}\r\n" % len(sent) + sent + b"\r\n")
    client.finish(tag)
    assert any(r[0].startswith(b"* NAMESPACE") for r in client.command(b"NAMESPACE")[1])
    assert any(r[0].startswith(b"* ID") for r in client.command(b'ID ("name" "interop")')[1])
    client.command(b"SELECT INBOX")
    client.command(b"UNSELECT")
    client.close()
    assert_received(context.office, wait_for(context.office, account, 1)[0], sent)
