"""One round on one server with an empty store: load, wait until all is visible, count."""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import disk
import generator
from support import process
from support.imap_wire import Imap, fetched_literal, is_fetch
from support.office import Account, Office

DOMAIN = "performance.test"
VISIBLE_WITHIN = 900


@dataclass
class Measurement:
    accepted_per_second: float
    visible_per_second: float
    latency_p50: float
    latency_p99: float
    #: Seconds of server CPU for each letter, work done after the last one included.
    cpu_per_letter: float
    #: Share of the machine that server and generator used until all was visible.
    server_share: float
    generator_share: float
    disk_bytes: int
    flushes: int | None
    written_bytes: int | None
    fsync: disk.FsyncCost


def measure(office: Office, stored_in: list[Path], scratch: Path, letters: list[bytes], accounts: int,
            connections: int) -> Measurement:
    os.sync()
    fsync = disk.fsync_cost(scratch / "fsync")
    office.start()
    try:
        people = [office.add_account(f"reader{number}@{DOMAIN}") for number in range(accounts)]
        watchers = [watcher(office, account) for account in people]
        cpu_before = process.cpu_seconds(office.process_ids())
        device_before = disk.device_counters(scratch)

        load = generator.run(office.ports["smtp"], [account.address for account in people], letters, connections)
        wait_until_visible(watchers, len(letters))
        visible = time.perf_counter() - load.began

        cpu_visible = process.cpu_seconds(office.process_ids()) - cpu_before
        cpu_total = wait_until_quiet(office) - cpu_before
        device = disk.device_counters(scratch)
        used = device.since(device_before) if device and device_before else None
        check_letters(office, people, watchers, letters)
        cores = os.cpu_count()
        return Measurement(
            accepted_per_second=load.per_second,
            visible_per_second=len(letters) / visible,
            latency_p50=disk.percentile(load.latencies, 50),
            latency_p99=disk.percentile(load.latencies, 99),
            cpu_per_letter=cpu_total / len(letters),
            server_share=cpu_visible / visible / cores,
            generator_share=load.generator_cpu / (load.ended - load.began) / cores,
            disk_bytes=disk.bytes_on_disk(stored_in),
            flushes=used.flushes if used else None,
            written_bytes=used.written if used else None,
            fsync=fsync,
        )
    finally:
        office.stop()


def watcher(office: Office, account: Account) -> Imap:
    client = Imap(office.ports["imap"], timeout=120)
    client.login(account.address, account.password)
    return client


def message_count(client: Imap) -> int:
    _, untagged = client.command(b"STATUS INBOX (MESSAGES)")
    line = next(response[0] for response in untagged if response[0].startswith(b"* STATUS"))
    return int(line.rstrip(b" )").split()[-1])


def wait_until_visible(watchers: list[Imap], letters: int) -> None:
    """One mailbox after the other, so that watching costs the servers next to nothing."""
    deadline = time.monotonic() + VISIBLE_WITHIN
    for number, client in enumerate(watchers):
        expected = len(range(number, letters, len(watchers)))
        while (count := message_count(client)) != expected:
            if count > expected or time.monotonic() > deadline:
                raise AssertionError(f"mailbox {number} holds {count} letters, {expected} were sent")
            time.sleep(0.01)


def wait_until_quiet(office: Office, longest: float = 30) -> float:
    """CPU seconds so far, once the server has finished what it put off."""
    deadline = time.monotonic() + longest
    before = process.cpu_seconds(office.process_ids())
    while True:
        time.sleep(1)
        now = process.cpu_seconds(office.process_ids())
        if now - before < 0.05 or time.monotonic() > deadline:
            return now
        before = now


def check_letters(office: Office, people: list[Account], watchers: list[Imap], letters: list[bytes]) -> None:
    """One letter of each mailbox is one of those sent, with all its bytes."""
    sent = {letter.split(b"\r\n", 1)[0] + letter[-2000:]: letter for letter in letters}
    for account, client in zip(people, watchers):
        client.command(b"EXAMINE INBOX")
        number = random.randint(1, message_count(client))
        _, untagged = client.command(b"FETCH %d (BODY.PEEK[])" % number)
        octets = next(fetched_literal(response) for response in untagged if is_fetch(response))
        start = octets.find(b"Received: from mx")
        letter = sent.get(octets[start:].split(b"\r\n", 1)[0] + octets[-2000:])
        if letter is None or octets[start:] != letter:
            raise AssertionError(f"{account.address}: letter {number} is not what was sent")
        client.close()
