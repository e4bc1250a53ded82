# Feature RUL-01: rules are exported as a script that Pigeonhole (RFC 5228) compiles and carries out alike
"""A member's rules as Debian's Pigeonhole understands them: the script is compiled, and asked about letters."""

import json
import os

from . import Context, check
from .tools import run_program

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

    # And it comes back as what it was.
    before = json.loads(context.office.run_ok("rules", "show", member.address))
    context.office.run_ok("rules", "import", member.address, str(script))
    after = json.loads(context.office.run_ok("rules", "show", member.address))
    assert after == before, (before, after)
