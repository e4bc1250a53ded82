"""What must not sign in, and UNAUTHENTICATE: by hand, over TLS."""

import base64
import json

from support.imap_wire import ConnectionLost, Imap, ImapError, is_fetch
from support.office import Account

from . import DOMAIN, Context, check
from .modes import Mode
from .modes.sasl import Responder, Scram, end_point, in_turn, responder
from .tools import letter, send, wait_for


def connect(context: Context) -> Imap:
    return Imap(context.office.ports["imaps"], context.office.tls_context())


def authenticate(client: Imap, mechanism: str, answers: Responder) -> list[bytes]:
    """Gives the challenges; an ImapError is the refusal."""
    tag = client.next_tag()
    client.send(tag + b" AUTHENTICATE " + mechanism.encode() + b"\r\n")
    challenges = []
    while True:
        response = client.read_response()[0]
        if response.startswith(b"+"):
            challenges.append(base64.b64decode(response[1:].strip()))
            client.send(base64.b64encode(answers(challenges[-1])) + b"\r\n")
        elif response.startswith(tag):
            if not response.startswith(tag + b" OK"):
                raise ImapError(response.decode())
            return challenges


def is_refused(client: Imap, mechanism: str, answers: Responder) -> str:
    """The refusal; nobody is signed in after it, and the connection serves on."""
    try:
        authenticate(client, mechanism, answers)
    except ImapError as refusal:
        try:
            client.command(b"SELECT INBOX")
        except ImapError:
            return str(refusal)
        raise AssertionError(f"refused with {refusal}, and then SELECT worked") from None
    raise AssertionError("signed in")


def offers(client: Imap, capability: bytes) -> None:
    capabilities = client.command(b"CAPABILITY")[1][0][0].upper().split()
    assert capability in capabilities, f"{capability.decode()} is not offered: {b' '.join(capabilities).decode()}"


@check("sign-in: a wrong password is refused by each mechanism")
def wrong_password(context: Context) -> None:
    for mechanism in ("PLAIN", "sasl-login", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
        # Failures slow the next sign-in of the same account.
        account = context.account(f"wrong-{mechanism.lower()}")
        mode = Mode("imap", "TLS", mechanism)
        client = connect(context)
        offers(client, b"AUTH=" + mode.sasl.encode())
        answers = responder(mode, account.address, account.password + "x", client.socket)
        refusal = is_refused(client, mode.sasl, answers)
        assert "AUTHENTICATIONFAILED" in refusal, f"{mechanism}: {refusal}"
        authenticate(client, mode.sasl, responder(mode, account.address, account.password, client.socket))
        client.close()


@check("sign-in: an unknown account gets the same SCRAM challenge each time, and the same refusal")
def unknown_account(context: Context) -> None:
    context.account("known")
    salts = set()
    for _ in range(2):
        client = connect(context)
        offers(client, b"AUTH=SCRAM-SHA-256")
        scram = Scram("nobody-at-all@interop.test", "guessed")
        seen = []
        refusal = is_refused(client, "SCRAM-SHA-256", lambda challenge: (seen.append(challenge), scram(challenge))[1])
        assert "AUTHENTICATIONFAILED" in refusal, refusal
        salts.add(dict(part.split("=", 1) for part in seen[1].decode().split(","))["s"])
        client.close()
    assert len(salts) == 1, "a salt that changes tells which accounts there are"


@check("sign-in: SCRAM-SHA-256-PLUS bound to another channel is refused, as is a downgrade")
def binding(context: Context) -> None:
    account = context.account("binding")
    client = connect(context)
    offers(client, b"AUTH=SCRAM-SHA-256-PLUS")
    other = bytes(octet ^ 1 for octet in end_point(client.socket))
    is_refused(client, "SCRAM-SHA-256-PLUS", Scram(account.address, account.password, other))
    # The client could bind, and somebody told it that the server can't.
    downgraded = Scram(account.address, account.password)
    downgraded._gs2 = "y,,"
    downgraded._binding = base64.b64encode(b"y,,").decode()
    is_refused(client, "SCRAM-SHA-256", downgraded)
    authenticate(client, "SCRAM-SHA-256-PLUS", Scram(account.address, account.password, end_point(client.socket)))
    client.close()


@check("sign-in: nobody acts for somebody else, and another account's token opens nothing")
def somebody_else(context: Context) -> None:
    mine, other = context.account("sign-in-mine"), context.account("sign-in-other")
    client = connect(context)
    plain = in_turn(f"{other.address}\0{mine.address}\0{mine.password}")
    is_refused(client, "PLAIN", plain)
    offers(client, b"AUTH=OAUTHBEARER")
    token = context.office.add_token(mine)
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        is_refused(client, mechanism, responder(Mode("imap", "TLS", mechanism), other.address, token, None))
    authenticate(client, "OAUTHBEARER", responder(Mode("imap", "TLS", "OAUTHBEARER"), mine.address, token, None))
    client.close()


@check("sign-in: a wrong token is told as JSON and refused")
def wrong_token(context: Context) -> None:
    account = context.account("wrong-token")
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        client = connect(context)
        offers(client, b"AUTH=" + mechanism.encode())
        told = []
        inner = responder(Mode("imap", "TLS", mechanism), account.address, "not-a-token", None)
        is_refused(client, mechanism, lambda challenge: (told.append(challenge), inner(challenge))[1])
        assert len(told) == 2 and "status" in json.loads(told[1]), f"{mechanism} told {told}"
        client.close()


def forgive(context: Context) -> None:
    """From here on failures from this machine, which are counted for all checks together, slow none of them."""
    context.office.run_ok("sign-in", "lock", "--trust", "127.0.0.0/8", "--tenant", DOMAIN.split(".")[0])


@check("sign-in: garbage in every step leaves the connection usable")
def garbage(context: Context) -> None:
    account = context.account("sign-in-garbage")
    forgive(context)
    client = connect(context)
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2", "NO-SUCH"):
        for response in (b"", b"\0", b"n,,n=,r=", b"p=tls-unique,,n=a,r=b", b"\xff" * 300, b"n,,\x01\x01"):
            try:
                authenticate(client, mechanism, lambda _challenge: response)
            except ImapError:
                pass
            except ConnectionLost:
                client = connect(context)  # too many failures may end it
            else:
                raise AssertionError(f"{mechanism} took {response!r}")
    fresh = connect(context)
    fresh.login(account.address, account.password)
    fresh.close()
    client.close()


@check("unauthenticate: another account on the same connection, nothing left of the first")
def unauthenticate(context: Context) -> None:
    first, second = context.account("first-user"), context.account("second-user")
    forgive(context)
    for account, count in ((first, 2), (second, 1)):
        for number in range(count):
            send(context.office, account, letter(f"for {account.address} {number}"))
        wait_for(context.office, account, count)
    client = connect(context)
    client.login(first.address, first.password)
    offers(client, b"UNAUTHENTICATE")
    for account, count in ((first, 2), (second, 1), (first, 2)):
        assert subjects(client, account) == count, f"{account.address} sees another number of letters"
        client.command(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        client.command(b"UNAUTHENTICATE")
        offers(client, b"AUTH=SCRAM-SHA-256-PLUS")
        for command in (b"FETCH 1 FLAGS", b"EXPUNGE", b'LIST "" "*"', b"CLOSE"):
            try:
                client.command(command)
            except ImapError:
                continue
            raise AssertionError(f"{command} works after UNAUTHENTICATE")
        following = second if account is first else first
        scram = Scram(following.address, following.password, end_point(client.socket))
        authenticate(client, "SCRAM-SHA-256-PLUS", scram)
        assert scram.verified, "the server did not show that it knows the password's keys"
    client.close()


def subjects(client: Imap, account: Account) -> int:
    """How many letters INBOX holds, all of them this account's."""
    client.command(b"SELECT INBOX")
    _, responses = client.command(b"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    fetched = [response for response in responses if is_fetch(response)]
    mine = f"for {account.address} ".encode()
    assert all(mine in response[1] for response in fetched), f"letters of another: {fetched}"
    return len(fetched)
