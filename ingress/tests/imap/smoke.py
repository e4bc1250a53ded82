"""imaplib against a running server: smoke.py starttls|tls PORT USER PASSWORD."""

import imaplib
import ssl
import sys

mode, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl._create_unverified_context()
RAW = b"Subject: =?utf-8?B?5L2g5aW9?=\r\nFrom: a@example.test\r\n\r\nbody of the letter\r\n"


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


if mode == "tls":
    connection = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context)
else:
    connection = imaplib.IMAP4("127.0.0.1", port)
    ok(connection.starttls(context))
assert "LOGINDISABLED" not in connection.capabilities
ok(connection.login(user, password))
box = "smoke-" + mode
ok(connection.create(box))
assert any(box.encode() in line for line in ok(connection.list()))
ok(connection.append(box, "(\\Flagged kw)", imaplib.Time2Internaldate(1_700_000_000), RAW))
ok(connection.append(box, None, None, RAW.replace(b"body", b"other")))
assert ok(connection.select(box)) == [b"2"]
assert ok(connection.search(None, "FLAGGED")) == [b"1"]
assert ok(connection.search(None, "BODY", '"other of"')) == [b"2"]
connection.literal = "你好".encode()
assert ok(connection.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT"))[0].split()
data = ok(connection.fetch("1", "(UID FLAGS RFC822.SIZE BODY[])"))
assert data[0][1] == RAW, data
assert b"RFC822.SIZE %d" % len(RAW) in data[0][0], data
ok(connection.store("1", "+FLAGS", "\\Deleted"))
ok(connection.expunge())
assert ok(connection.search(None, "ALL")) == [b"1"]
ok(connection.copy("1", "Trash"))
ok(connection.close())
assert b"MESSAGES 1" in ok(connection.status(box, "(MESSAGES UIDNEXT)"))[0]
ok(connection.rename(box, box + "-renamed"))
ok(connection.delete(box + "-renamed"))
kind, _ = connection.logout()
assert kind == "BYE", kind
