# Feature RUL-04 (part): rules are run on old mail beside a session of IMAP, which sees it; nothing is forwarded or answered
# Feature RUL-01: rules are exported as a script that Pigeonhole (RFC 5228) compiles and carries out alike, with texts (RFC 5173) and refusals (RFC 5429)
"""A member's rules as Debian's Pigeonhole understands them: the script is compiled, and asked about letters."""

import json
import os
import time

from . import Context, check
from .tools import messages, open_mailbox, run_program, send, wait_for

RULES = {
    "rules": [
        {
            "name": "Everything 全部 [1]",
            "match": "any",
            "conditions": [
                {"subject": {"words": ["no such \"word\"", "没有"]}},
                {"sender": {"words": ["far", "away"], "match": "all"}},
                {"recipient": {"words": ["nobody@"]}},
                {"time": {"from": "2199-01-01T00:00:00Z", "until": "2199-02-01T00:00:00Z"}},
                {"size": {"at-least": 1000000, "below": 2000000}},
                {"sender-domain": {"words": ["shop.example"]}},
            ],
            "actions": ["mark-read", {"label": "shop"}, {"move": {"folder": "Archive"}}],
            "stop": True,
        },
        {
            "name": "Mine",
            "conditions": ["only-to-me", "to-me"],
            "actions": ["flag", {"reply": "Away.\nUntil \"Monday\"."}],
        },
        {
            "name": "Off",
            "enabled": False,
            "conditions": ["to-me", {"hours": {"from": "22:00", "until": "06:00", "zone": "Asia/Shanghai"}}],
            "actions": ["delete"],
        },
        {
            "name": "Text",
            "conditions": [{"full-text": {"words": ["settlement", "机密"]}}, {"full-text": {"words": ["one", "two"], "match": "all"}}],
            "actions": [{"refuse": "Not here.\n不收"}],
        },
        {
            "name": "Gone",
            "conditions": [{"subject": {"words": ["GONE"]}}],
            "actions": [{"forward": ["bob@far.example"]}, "delete"],
        },
    ]
}


def letter(sender: str, to: str, subject: str) -> bytes:
    return f"From: Somebody <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()


def asked(folder, script, name: str, message: bytes) -> str:
    """What Pigeonhole would do with a letter."""
    path = folder / name
    path.write_bytes(message)
    os.chmod(path, 0o644)
    user = "nobody" if os.geteuid() == 0 else None
    done = run_program(["sieve-test", "-r", "me@sieve.test", str(script), str(path)], user=user,
                       environment={"HOME": str(folder), "PATH": os.environ["PATH"]})
    return done.stdout


@check("pigeonhole: rules that are exported compile, and do what they say")
def exported(context: Context) -> None:
    member = context.account("sieve")
    folder = context.folder("sieve")
    file = folder / "rules.json"
    file.write_text(json.dumps(RULES), encoding="utf-8")
    context.office.run_ok("rules", "set", member.address, str(file))
    script = folder / "rules.sieve"
    exported = context.office.run_ok("rules", "export", member.address)
    script.write_text(exported, encoding="utf-8")
    os.chmod(folder, 0o755)
    os.chmod(script, 0o644)
    run_program(["sievec", str(script), str(folder / "rules.svbin")])

    done = asked(folder, script, "shop", letter("a@mail.shop.example", member.address, "hello"))
    assert "Archive" in done and "shop" in done and "\\seen" in done.lower() and "flagged" not in done.lower(), done
    done = asked(folder, script, "mine", letter("a@any.example", member.address, "hello"))
    assert "INBOX" in done and "flagged" in done.lower() and "Archive" not in done and "Trash" not in done, done
    done = asked(folder, script, "others", letter("a@any.example", f"{member.address}, b@any.example", "hello"))
    assert "INBOX" in done and "flagged" not in done.lower(), done
    done = asked(folder, script, "gone", letter("a@any.example", "b@any.example", "It is gone"))
    assert "bob@far.example" in done and "Trash" in done, done
    text = letter("a@any.example", "b@any.example", "One").replace(b"hello", b"The Settlement,\r\nand two")
    done = asked(folder, script, "text", text)
    assert "reject" in done and "Not here." in done and "INBOX" not in done, done

    # And it comes back as what it was.
    before = json.loads(context.office.run_ok("rules", "show", member.address))
    context.office.run_ok("rules", "import", member.address, str(script))
    after = json.loads(context.office.run_ok("rules", "show", member.address))
    assert after == before, (before, after)


def run_rules(context: Context, member) -> tuple[int, int]:
    """How many letters were looked at and changed, whoever did it: the command, or the server beside it."""
    told = json.loads(context.office.run_ok("rules", "run", member.address, "INBOX", "--json"))
    tenant = member.address.split("@")[1].split(".")[0]
    while True:
        task = json.loads(context.office.run_ok("task", "show", told["task"], "--tenant", tenant, "--json"))
        if task["state"] not in ("queued", "running"):
            break
        time.sleep(0.1)
    assert task["state"] == "done", task
    return task["done"], task["done"] - task["counts"]["skipped"] - task["counts"]["refused"]


@check("rules: run on old mail, which a session of IMAP sees go")
def on_old_mail(context: Context) -> None:
    member = context.account("oldmail")
    for number in range(6):
        subject = "bill" if number % 2 else "news"
        send(context.office, member, letter("a@any.example", member.address, f"{subject} {number}"))
    wait_for(context.office, member, 6)
    folder = context.folder("oldmail")
    file = folder / "rules.sieve"
    file.write_text(
        'require ["fileinto", "imap4flags"];\n# rule:[Bills]\n'
        'if header :contains "subject" "BILL" { addflag "unpaid"; fileinto "Archive"; }\n', encoding="utf-8",
    )
    context.office.run_ok("rules", "import", member.address, str(file))
    session = open_mailbox(context.office, member)
    assert run_rules(context, member) == (6, 3)
    _, responses = session.command(b"NOOP")
    gone = [response for response in responses if b"EXPUNGE" in bytes(str(response), "utf-8")]
    session.close()
    assert len(gone) == 3, responses
    archived = messages(context.office, member, "Archive")
    assert len(archived) == 3 and all("unpaid" in flags for flags, _ in archived.values()), archived
    assert len(messages(context.office, member)) == 3
    assert run_rules(context, member) == (3, 0), "run again, they change nothing"
