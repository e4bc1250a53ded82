"""What an account holds, as a third session sees it; and emptying it."""

import hashlib

from commands import Command
from session import Session
from support.imap_wire import ImapError

#: Made with the account, in both servers.
STANDING = {b"INBOX", b"Archive", b"Drafts", b"Junk", b"Sent", b"Trash"}
ITEMS = b"(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"


def ask(session: Session, text: bytes) -> dict:
    answer = session.say(Command(0, text))
    if answer.status != "OK":
        raise ImapError(f"{text!r}: {answer.raw[-1]!r}")
    return answer.told


def quoted(name: bytes) -> bytes:
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def state_of(session: Session) -> dict:
    listed = ask(session, b'LIST "" *').get("LIST", {})
    mailboxes = {}
    for name, (attributes, _, _) in sorted(listed.items()):
        if "\\noselect" in attributes or name in STANDING - {b"INBOX"}:
            continue
        status = ask(session, b"STATUS %s (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)" % quoted(name))["STATUS"]
        selected = ask(session, b"EXAMINE " + quoted(name))
        validity = session.validity
        fetched = ask(session, b"FETCH 1:* " + ITEMS)["FETCH"] if session.view else {}
        ask(session, b"UNSELECT")
        mailboxes[name] = {
            "validity": validity,
            "status": next(iter(status.values())),
            "permanent": selected.get("PERMANENTFLAGS"),
            "messages": {items["UID"]: digest(items) for _, items in sorted(fetched.items())},
        }
    subscribed = sorted(ask(session, b'LSUB "" *').get("LSUB", {}).items())
    return {"list": listed, "subscribed": subscribed, "mailboxes": mailboxes}


def digest(items: dict) -> dict:
    kept = dict(items)
    body = kept.pop("BODY[]", None)
    kept["content"] = (len(body), hashlib.sha256(body).hexdigest()[:16]) if isinstance(body, bytes) else repr(body)
    return kept


def reset(session: Session) -> None:
    ask(session, b"NOOP")
    subscribed = ask(session, b'LSUB "" *').get("LSUB", {})
    for name in set(subscribed) - STANDING:
        ask(session, b"UNSUBSCRIBE " + quoted(name))
    for name in STANDING - set(subscribed):
        ask(session, b"SUBSCRIBE " + quoted(name))
    listed = ask(session, b'LIST "" *').get("LIST", {})
    for name in sorted(set(listed) - STANDING, key=lambda name: -name.count(b"/")):
        answer = session.say(Command(0, b"DELETE " + quoted(name)))
        if answer.status != "OK" and "\\noselect" not in listed[name][0]:
            raise ImapError(f"DELETE {name!r}: {answer.raw[-1]!r}")
    ask(session, b"SELECT INBOX")
    if session.view:
        ask(session, b"STORE 1:* +FLAGS.SILENT (\\Deleted)")
    ask(session, b"CLOSE")
