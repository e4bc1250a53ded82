"""One round: the server starts, load runs against it, it is killed, the store is verified."""

import os
import random
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import audit
from ledger import Account
from load_admin import Administrator
from load_imap import work_on_account
from load_import import Importer
from load_pop3 import read_and_delete
from load_smtp import send_letters
from support.office import Office
from support.pennypost import CommandFailed, Pennypost
from tally import Tally

DOMAIN = "crash.test"
SMTP_SENDERS = 4
SHORTEST_LIFE, LONGEST_LIFE = 0.02, 1.5
#: So often the server is killed while it is still starting up.
KILLED_AT_START = 0.08
#: So often `verify` looks at the store while the server is at work on it.
VERIFIED_LIVE = 0.05


@dataclass
class Store:
    """The one long-lived store, with everybody who works on it."""

    office: Office
    chance: random.Random
    tally: Tally
    imap_accounts: list[Account]
    pop3_account: Account
    importer: Importer | None
    administrator: Administrator | None

    @property
    def accounts(self) -> list[Account]:
        imported = [self.importer.account] if self.importer else []
        return [*self.imap_accounts, self.pop3_account, *imported]


def open_store(office: Office, scratch: Path, seed: int) -> Store:
    """Starts the server once and makes the accounts and their mailboxes."""
    chance, tally = random.Random(seed), Tally()
    office.start()

    def account(name: str) -> Account:
        made = office.add_account(f"{name}@{DOMAIN}")
        return Account(made.address, made.password)

    imap_accounts = [account(f"imap{number}") for number in range(4)]
    for each in imap_accounts:
        client = audit.Imap(office.ports["imap"])
        client.login(each.address, each.password)
        client.command(b"CREATE Work")
        client.command(b"CREATE Filed")
        client.close()
    importer = administrator = None
    if isinstance(office, Pennypost):
        administrator = Administrator(office, imap_accounts[0].address, tally)
        importer = Importer(office, account("importer"), scratch, chance.getrandbits(32), tally)
    store = Store(office, chance, tally, imap_accounts, account("pop3"), importer, administrator)
    office.stop()
    return store


class Load:
    """All clients at work; they end by themselves when the server is gone."""

    def __init__(self, store: Store, command_environment: dict[str, str] | None = None):
        self.store = store
        self.ending = threading.Event()
        environment = {**os.environ, **(command_environment or {})}
        ports, chance, tally = store.office.ports, store.chance, store.tally
        recipients = [*store.imap_accounts, store.pop3_account]
        jobs = [(send_letters, (ports["smtp"], recipients)) for _ in range(SMTP_SENDERS)]
        jobs += [(work_on_account, (ports["imap"], account)) for account in store.imap_accounts]
        jobs += [(read_and_delete, (ports["pop3"], store.pop3_account))]
        self.threads = [
            threading.Thread(target=self._guarded, args=(job, *arguments, chance.getrandbits(32), tally), daemon=True)
            for job, arguments in jobs
        ]
        if store.administrator:
            arguments = (store.administrator.work, environment, self.ending)
            self.threads.append(threading.Thread(target=self._guarded, args=arguments, daemon=True))
        for thread in self.threads:
            thread.start()
        if store.importer:
            store.importer.start(environment)

    def _guarded(self, job, *arguments) -> None:
        try:
            job(*arguments)
        except Exception:
            self.store.tally.fault("broken client", traceback.format_exc())

    def join(self, kill_import: bool) -> None:
        """After the kill: waits for the clients, and ends the commands that still run."""
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                self.store.tally.fault("broken client", f"{thread.name} did not end with the server")
        if self.store.importer:
            self.store.importer.finish(kill_import)


def random_kill(store: Store) -> None:
    office, chance = store.office, store.chance
    if isinstance(office, Pennypost) and chance.random() < KILLED_AT_START:
        office.spawn()
        time.sleep(chance.uniform(0, 0.1))
        office.kill()
    else:
        with store.tally.timed("starting"):
            office.start()
        load = Load(store)
        time.sleep(chance.uniform(SHORTEST_LIFE, LONGEST_LIFE))
        if chance.random() < VERIFIED_LIVE:
            verify(store)
        if not office.alive():
            store.tally.fault("server ended", f"by itself; its log ends: {log_tail(office)}")
        office.kill()
        with store.tally.timed("ending the clients"):
            load.join(kill_import=True)
    verify(store)


def abort_at_point(store: Store, point: str, passing: int, seconds: float) -> bool:
    """Server or command aborts at this durable step; False when none came there in time."""
    office = store.office
    environment = {"PENNYPOST_CRASH_AT": f"{point}:{passing}"}
    aborted_before = store.tally.counts["commands aborted"]
    office.spawn(environment)
    try:
        office.wait_ready(30)
    except CommandFailed:
        reached = office.process.poll() is not None and office.process.returncode < 0
        office.kill()
    else:
        load = Load(store, environment)
        deadline = time.monotonic() + seconds
        while office.alive() and store.tally.counts["commands aborted"] == aborted_before and time.monotonic() < deadline:
            time.sleep(0.01)
        reached = not office.alive()
        office.kill()
        load.join(kill_import=False)
    verify(store)
    return reached or store.tally.counts["commands aborted"] > aborted_before


def verify(store: Store) -> None:
    """Of the stopped store right after the kill, now and then of the live one."""
    with store.tally.timed("verify"):
        violations = store.office.verify()
        if isinstance(store.office, Pennypost):
            violations += [f"dead letter: {letter}" for letter in store.office.dead_letters()]
    if violations:
        store.tally.count("unclean")
        store.tally.fault("verify", *violations[:5])


def full_audit(store: Store, every_body: bool = False) -> None:
    """Everything acknowledged against everything there; then a graceful stop."""
    office = store.office
    office.start()
    with store.tally.timed("draining"):
        drained = audit.wait_until_drained(office, store.accounts)
    if not drained:
        store.tally.fault("not drained", f"queue depth {office.queue_depth()} after 60 s")
    with store.tally.timed("audits"):
        audit.audit(office, store.accounts, store.tally, every_body)
    if store.administrator:
        store.tally.fault("lost", *store.administrator.missing())
    with store.tally.timed("stopping"):
        code = office.stop()
    if code != 0:
        store.tally.fault("stop", f"SIGTERM ended the server with exit code {code}")
    verify(store)


def log_tail(office: Office) -> str:
    return office.log_tail() if isinstance(office, Pennypost) else ""
