"""Locks, rules of addresses, tokens, secure sign-in, second factors and the record of sign-ins, with real mail programs.

All of 127.0.0.0/8 is this machine: curl is told from which address of it to come, so that strangers and known networks
differ. Each check uses a tenant of its own, so that its rules hold for nobody else.
"""

import base64
import hmac
import imaplib
import json
import os
import poplib
import time
import urllib.error
import urllib.request

from support.imap_wire import ConnectionLost, Imap, ImapError
from support.office import Account

from . import Context, check
from .tools import run_program
from .with_fetchmail import CONFIGURATION as FETCHMAIL
from .with_mbsync import CONFIGURATION as MBSYNC

HOME = "127.0.0.1"
DENIED = 67  # what curl ends with when it is not let in


def account(context: Context, name: str) -> Account:
    return context.office.add_account(f"{name}@{name}.test")


def rules(context: Context, member: Account, *arguments: str) -> None:
    tenant = member.address.split("@")[1].split(".")[0]
    context.office.run_ok("sign-in", *arguments, "--tenant", tenant)


def curl(context: Context, member: Account, scheme: str, source: str = HOME, password: str | None = None) -> int:
    """Fetches nothing; the code with which curl ends."""
    port = context.office.ports[scheme]
    secret = member.password if password is None else password
    done = run_program(["curl", "-sS", "--max-time", "30", "--cacert", context.office.certificate, "--interface", source,
                        "-4", "-u", f"{member.address}:{secret}", f"{scheme}://localhost:{port}/"], expect=None)
    return done.returncode


def lets_in(context: Context, member: Account, scheme: str, source: str = HOME, password: str | None = None) -> bool:
    code = curl(context, member, scheme, source, password)
    assert code in (0, DENIED), f"curl ended with code {code}"
    return code == 0


def over_http(context: Context, method: str, path: str, body: dict, source: str = HOME, key: str = "") -> tuple[int, dict]:
    """What the API answers curl: status and document."""
    url = f"http://127.0.0.1:{context.office.ports['http']}/api/v1{path}"
    command = ["curl", "-sS", "--max-time", "30", "--interface", source, "-X", method, "-w", "\n%{http_code}",
               "-H", "Content-Type: application/json", "--data-binary", json.dumps(body), url]
    if key:
        command += ["-H", f"Authorization: Bearer {key}"]
    text, _, status = run_program(command).stdout.rpartition("\n")
    return int(status), json.loads(text) if text.strip() else {}


def sign_in(context: Context, member: Account, source: str = HOME, password: str | None = None,
            code: str | None = None) -> tuple[int, dict]:
    body = {"address": member.address, "password": member.password if password is None else password, "code": code}
    return over_http(context, "POST", "/sessions", body, source)


def refused(answer: tuple[int, dict]) -> str:
    """Why nobody was let in over HTTP."""
    status, document = answer
    assert status in (401, 403), answer
    return document["type"].rsplit(":", 1)[1]


def totp(secret: str, steps: int = 0) -> str:
    """What an authenticator shows so many steps from now (RFC 6238)."""
    step = int(time.time()) // 30 + steps
    tag = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    at = tag[-1] & 15
    return f"{(int.from_bytes(tag[at:at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def fetchmail(context: Context, member: Account, folder: str, password: str) -> int:
    path = context.folder(folder)
    rc = path / "fetchmailrc"
    rc.write_text(FETCHMAIL.format(
        protocol="POP3", port=context.office.ports["pop3s"], address=member.address, password=password, tls="ssl",
        certificate=context.office.certificate, options="uidl", folder=path))
    rc.chmod(0o600)
    environment = {**os.environ, "HOME": str(path), "FETCHMAILHOME": str(path)}
    done = run_program(["fetchmail", "-f", str(rc), "--nosyslog", "--invisible"], expect=None, environment=environment)
    return done.returncode


def mbsync(context: Context, member: Account, folder: str, password: str) -> int:
    """By PLAIN: a token is no password that SCRAM could prove."""
    path = context.folder(folder)
    (path / "mail").mkdir()
    rc = path / "mbsyncrc"
    rc.write_text(MBSYNC.format(
        port=context.office.ports["imaps"], address=member.address, password=password, ssl="IMAPS",
        certificate=context.office.certificate, folder=path).replace("SSLType", "AuthMechs PLAIN\nSSLType"))
    rc.chmod(0o600)
    return run_program(["mbsync", "-c", str(rc), "-a"], expect=None).returncode


def recorded(context: Context, member: Account, *arguments: str, wanted: int = 1) -> list[dict]:
    """Records of sign-ins, which are written some seconds later."""
    tenant = member.address.split("@")[1].split(".")[0]
    for _ in range(300):
        lines = context.office.run_ok("log", "sign-ins", member.address, *arguments, "--tenant", tenant, "--json")
        found = [json.loads(line) for line in lines.splitlines()]
        if len(found) >= wanted:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{len(found)} records of {arguments}, not {wanted}")


# Feature AUT-16: wrong passwords lock the account for IMAP, POP3 and HTTP alike; list and unlock by the command line
@check("sign-in rules: wrong passwords lock strangers out over IMAP, POP3 and HTTP, and not the member at home; unlock")
def lock(context: Context) -> None:
    member = account(context, "lockout")
    rules(context, member, "lock", "--count", "3", "--minutes", "0")
    assert lets_in(context, member, "imaps")
    for scheme in ("imaps", "pop3s"):
        assert not lets_in(context, member, scheme, "127.20.1.1", "a wrong password")
    assert refused(sign_in(context, member, "127.20.1.1", "a wrong password")) == "sign-in-refused"
    for scheme in ("imaps", "pop3s"):
        assert not lets_in(context, member, scheme, "127.20.2.1"), "a stranger with the right password is let in"
        assert lets_in(context, member, scheme), "the member is locked out at home"
    assert refused(sign_in(context, member, "127.20.2.1")) == "sign-in-refused", "a stranger is let in over HTTP"
    assert sign_in(context, member)[0] == 201, "the member is locked out at home over HTTP"
    assert fetchmail(context, member, "lockout-fetchmail", member.password) == 1, "fetchmail: no mail was there"
    assert mbsync(context, member, "lockout-mbsync", member.password) == 0
    listed = json.loads(context.office.run_ok("sign-in", "locked", "--tenant", "lockout", "--json"))
    assert (listed["address"], listed["place"], listed["from"]) == (member.address, "strangers", "127.20.1.1"), listed
    context.office.run_ok("sign-in", "unlock", member.address)
    for scheme in ("imaps", "pop3s"):
        assert lets_in(context, member, scheme, "127.20.2.1"), "still locked"
    assert sign_in(context, member, "127.20.2.1")[0] == 201, "still locked over HTTP"
    locks = recorded(context, member, "--kind", "lock", wanted=2)
    assert {one["outcome"] for one in locks} == {"lock-began", "unlocked"}, locks


# Feature AUT-17: wrong passwords from a trusted network never lock
@check("sign-in rules: wrong passwords from a trusted network never lock")
def trusted(context: Context) -> None:
    member = account(context, "trusted")
    rules(context, member, "lock", "--count", "3", "--minutes", "0", "--trust", "127.21.0.0/16")
    for _ in range(4):
        assert not lets_in(context, member, "imaps", "127.21.1.1", "a wrong password")
    assert lets_in(context, member, "imaps", "127.21.1.1")
    assert not context.office.run_ok("sign-in", "locked", "--tenant", "trusted", "--json")


# Feature AUT-14: only from these addresses, for IMAP, POP3 and HTTP
# Feature AUT-15: rules for single members; open sessions end when they change
@check("sign-in rules: addresses are allowed and denied over IMAP, POP3 and HTTP; open sessions end")
def addresses(context: Context) -> None:
    member = account(context, "addresses")
    open_session = Imap(context.office.ports["imaps"], context.office.tls_context())
    open_session.login(member.address, member.password)
    rules(context, member, "addresses", "--allow", "127.22.0.0/16", "--allow", "127.0.0.1")
    for scheme in ("imaps", "pop3s"):
        assert lets_in(context, member, scheme) and lets_in(context, member, scheme, "127.22.7.7")
        assert not lets_in(context, member, scheme, "127.23.1.1")
    assert sign_in(context, member, "127.22.7.7")[0] == 201
    assert refused(sign_in(context, member, "127.23.1.1")) == "elsewhere"
    token = sign_in(context, member)[1]["token"]
    assert http(context, token, "GET", "/me")[0] == 200
    open_session.command(b"NOOP")
    context.office.run_ok("sign-in", "account", member.address, "--deny", "127.0.0.1")
    for scheme in ("imaps", "pop3s"):
        assert not lets_in(context, member, scheme) and lets_in(context, member, scheme, "127.23.1.1")
    assert fetchmail(context, member, "addresses-fetchmail", member.password) == 3, "fetchmail: not let in"
    key = json.loads(context.office.run_ok("key", "add", "own", "--tenant", "addresses", "--account", member.address,
                                           "--json"))["key"]
    assert http(context, key, "GET", "/me")[0] == 403
    assert refused(sign_in(context, member)) == "elsewhere"
    assert over_http(context, "GET", "/me", {}, key=token)[0] in (401, 403)
    assert over_http(context, "GET", "/me", {}, "127.23.1.1", token)[0] == 401, "it was opened where nobody may sign in"
    ended = False
    for _ in range(600):
        try:
            open_session.command(b"NOOP")
        except (ConnectionLost, ImapError, OSError):
            ended = True
            break
        time.sleep(0.1)
    assert ended, "the open session went on"
    context.office.run_ok("sign-in", "account", member.address, "--as-tenant")
    assert lets_in(context, member, "imaps") and http(context, key, "GET", "/me")[0] == 200
    failed = recorded(context, member, "--result", "failed")
    assert {one["outcome"] for one in failed} == {"elsewhere"}, failed


def http(context: Context, key: str, method: str, path: str, body: dict | None = None) -> tuple[int, str]:
    url = f"http://127.0.0.1:{context.office.ports['http']}/api/v1{path}"
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


# Feature AUT-10: no page of members yet; passwords for mail programs: made, scoped to a protocol, with their last use; compulsory where secure sign-in is on
# Feature AUT-09: secure sign-in forced for one member
@check("sign-in rules: a token opens its protocol only; with secure sign-in the password opens none")
def tokens(context: Context) -> None:
    member = account(context, "tokens")
    made = context.office.run_ok("account", "token", "create", member.address, "--name", "fetcher", "--scope", "pop3", "--json")
    token = json.loads(made)["token"]
    assert lets_in(context, member, "pop3s", password=token) and not lets_in(context, member, "imaps", password=token)
    assert fetchmail(context, member, "tokens-fetchmail", token) == 1
    assert mbsync(context, member, "tokens-mbsync", token) != 0
    context.office.run_ok("sign-in", "account", member.address, "--secure", "on")
    assert not lets_in(context, member, "imaps") and not lets_in(context, member, "pop3s")
    assert mbsync(context, member, "tokens-mbsync-password", member.password) != 0
    everything = context.office.add_token(member)
    assert mbsync(context, member, "tokens-mbsync-token", everything) == 0
    assert lets_in(context, member, "pop3s", password=token)
    listed = [json.loads(line) for line in context.office.run_ok("account", "token", "list", member.address, "--json").splitlines()]
    used = {one["name"]: one["used"] for one in listed}
    assert used["fetcher"]["address"] == "127.0.0.1" and used["fetcher"]["kind"] == "pop3", used


# Feature AUT-11: a second factor asked for over HTTP, by codes and recovery codes that are good once
@check("sign-in rules: a second factor over HTTP: a code opens once, a recovery code once; mail programs need a token")
def second_factor(context: Context) -> None:
    member, home = account(context, "totp"), "127.24.1.1"
    status, opened = sign_in(context, member, home)
    assert status == 201, opened
    place = f"/tenants/{opened['tenant']}/accounts/{opened['account']}/second-factor"
    status, begun = over_http(context, "POST", f"{place}/authenticator", {}, home, opened["token"])
    assert status == 200, begun
    first = {"code": totp(begun["secret"])}
    status, done = over_http(context, "POST", f"{place}/authenticator/first-code", first, home, opened["token"])
    assert status == 200 and len(done["recovery_codes"]) == 10, done

    assert refused(sign_in(context, member, home)) == "code-needed"
    code, recovery = totp(begun["secret"], 1), done["recovery_codes"][0]
    for shown in (code, recovery):
        status, opened = sign_in(context, member, home, code=shown)
        assert (status, opened.get("signed_in_by")) == (201, "password-and-code"), opened
        assert refused(sign_in(context, member, home, code=shown)) == "sign-in-refused", "it opens twice"
    assert not lets_in(context, member, "imaps", home) and not lets_in(context, member, "pop3s", home)
    assert lets_in(context, member, "imaps", home, context.office.add_token(member))
    told = json.loads(context.office.run_ok("second-factor", "show", member.address, "--json"))
    assert (told["on"], told["recovery_codes"]) == (True, 9), told
    sessions = context.office.run_ok("session", "list", member.address, "--json").splitlines()
    assert len(sessions) == 3, sessions

    found = {(one["kind"], one["mechanism"], one["outcome"]) for one in recorded(context, member, wanted=7)}
    assert {("api", "password", "ok"), ("api", "password", "code-needed"), ("api", "password", "wrong-code"),
            ("api", "password-and-code", "ok")} <= found, found
    assert {(kind, outcome) for kind, _, outcome in found} >= {("imap", "closed"), ("pop3", "closed"), ("imap", "ok")}, found
    context.office.run_ok("second-factor", "reset", member.address)
    assert sign_in(context, member, home)[0] == 201 and lets_in(context, member, "imaps", home)


# Feature AUT-10: a token is the only way into a business mailbox; no page yet
@check("sign-in rules: a business mailbox is opened by its tokens")
def business(context: Context) -> None:
    member = account(context, "business")
    context.office.run_ok("account", "to-business", member.address, "--name", "Sales")
    assert not lets_in(context, member, "imaps")
    token = context.office.add_token(member)
    assert lets_in(context, member, "imaps", password=token) and lets_in(context, member, "pop3s", password=token)


# Feature LOG-05: way, address, program and result of each sign-in
# Feature AUT-05: a member sets another password over HTTP, and mail programs need the new one; no page yet
@check("sign-in rules: the record names way, address, program and result; a password changed over HTTP holds")
def record(context: Context) -> None:
    member = account(context, "record")
    client = imaplib.IMAP4_SSL("localhost", context.office.ports["imaps"], ssl_context=context.office.tls_context())
    client.login(member.address, member.password)
    imaplib.Commands["ID"] = ("AUTH", "SELECTED", "NONAUTH")
    client._simple_command("ID", '("name" "Letter Opener" "version" "7")')
    client.logout()
    pop3 = poplib.POP3_SSL("localhost", context.office.ports["pop3s"], context=context.office.tls_context())
    pop3.user(member.address)
    pop3.pass_(member.password)
    pop3.quit()
    try:
        imaplib.IMAP4_SSL("localhost", context.office.ports["imaps"], ssl_context=context.office.tls_context()).login(
            member.address, "a wrong password")
    except imaplib.IMAP4.error:
        pass
    found = {(one["kind"], one["outcome"], one["program"]) for one in recorded(context, member, wanted=3)}
    assert found == {("imap", "ok", "Letter Opener 7"), ("pop3", "ok", None), ("imap", "wrong-password", None)}, found
    key = json.loads(context.office.run_ok("key", "add", "own", "--tenant", "record", "--account", member.address,
                                           "--json"))["key"]
    me = json.loads(http(context, key, "GET", "/me")[1])
    place = f"/tenants/{me['tenant']}/accounts/{me['account']}/password"
    status, text = http(context, key, "POST", place, {"old": "a wrong password", "new": "another good one"})
    assert status == 403 and "wrong-password" in text, text
    status, text = http(context, key, "POST", place, {"old": member.password, "new": "another good one"})
    assert status == 204, text
    assert not lets_in(context, member, "imaps") and lets_in(context, member, "imaps", password="another good one")
