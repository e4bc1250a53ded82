"""Every program in every mode that it knows, with proof that the mode was that one."""

import socket
import time
from collections import Counter
from functools import cache

from support.imap_wire import Imap
from support.office import Account
from support.pennypost import Pennypost

from . import Context, check
from .modes import MECHANISMS, TRANSPORTS, Mode, Run, Table, Tap
from .modes.evidence import DovecotLog, Metrics
from .modes.offered import mechanisms
from .modes.program import Program
from .modes.table import FAILED, IMPOSSIBLE, OK
from .modes.with_programs import PROGRAMS
from .modes.with_python import Python
from .tools import letter, send, wait_for

TABLE = Table()


class Post:
    """What all modes share: one account a program with one letter in it, taps, and what the server offers."""

    def __init__(self, context: Context):
        self.context = context
        office = context.office
        self.evidence = Metrics(office) if isinstance(office, Pennypost) else DovecotLog(office.log)
        self.tap = cache(lambda listener: Tap(office.ports[listener]))
        self.offered = cache(lambda mode: mechanisms(office, mode))
        self.token = cache(lambda account: office.add_token(account))

    @cache
    def account(self, program: str) -> Account:
        office = self.context.office
        account = self.context.account(f"modes-{program}")
        send(office, account, letter(f"for {program}"))
        wait_for(office, account, 1)
        return account


@cache
def post(context: Context) -> Post:
    return Post(context)


def counted(evidence: Metrics | DovecotLog, before: Counter, seconds: float = 5) -> Counter:
    """What has been counted since; a log may be written a moment later."""
    deadline = time.monotonic() + seconds
    while not (change := evidence.counters() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    return change


def run_mode(program: Program, mode: Mode, context: Context) -> None:
    shared = post(context)
    offered = shared.offered(Mode(mode.protocol, mode.transport, "command"))
    assert mode.sasl is None or mode.sasl in offered, (
        f"the server does not offer {mode.sasl} over {mode.transport}: {' '.join(sorted(offered)) or 'nothing'}"
    )
    account = shared.account(program.name)
    secret = shared.token(account) if mode.by_token else account.password
    tap = shared.tap(mode.listener)
    folder = context.folder(f"modes/{program.name}/{mode}".replace(" ", "-"))
    before = shared.evidence.counters()
    tap.forget()
    got = program.fetch(Run(mode, account, secret, tap.port, context.office.certificate, folder))
    change = counted(shared.evidence, before)
    assert tap.transports() == {mode.transport}, f"the transport was {tap.transports()}"
    assert shared.evidence.signed_in_by(mode, change), f"signed in otherwise: {dict(change)}"
    if got is not None:
        text = got.replace(b"\r\n", b"\n")
        assert f"Subject: for {program.name}\n".encode() in text, f"another letter: {got[:300]!r}"
        assert text.rstrip(b"\n").endswith(b"\n.dot\n..two dots"), f"another body: {got[-100:]!r}"


def register(program: Program, mode: Mode) -> None:
    if not mode.exists:
        TABLE.put(program.name, mode, IMPOSSIBLE)
        return
    if reason := program.reason_against(mode):
        TABLE.unsupported(program.name, mode, reason)
        return

    @check(f"mode: {program.name}: {mode}")
    def in_mode(context: Context) -> None:
        TABLE.put(program.name, mode, FAILED)
        run_mode(program, mode, context)
        TABLE.put(program.name, mode, OK)


@check("mode: a tap hears all, and takes no connection once it is closed")
def closed_tap(context: Context) -> None:
    tap = Tap(context.office.ports["imap"])
    client = Imap(tap.port)
    client.command(b"NOOP")
    client.close()
    assert any(b" NOOP\r\n" in said for said in tap.said()), f"heard {tap.said()}"
    tap.close()
    try:
        socket.create_connection(("127.0.0.1", tap.port), timeout=5).close()
    except ConnectionRefusedError:
        return
    raise AssertionError("somebody still listens")


for each in (Python(), *PROGRAMS):
    for protocol in each.protocols:
        for mechanism in MECHANISMS:
            for transport in TRANSPORTS:
                register(each, Mode(protocol, transport, mechanism))
