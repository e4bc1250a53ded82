"""One tenant's letters behind another's: single letters while very many of somebody else wait to go out. Pennypost only."""

import asyncio
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

import document
from outbound import DOMAIN, PATIENCE, SENDERS, hand_in, letter, memory
from sections import Plan, Results, say
from support import packages
from support.pennypost import Pennypost
from support.ports import free_ports
from support.zone import Zone

#: Domains that the many letters go to.
DESTINATIONS = 16
#: Where the single letters go: to one of those, and to one that nobody else writes to.
KINDS = {"the same": "sink0.test", "another": "quiet.test"}
ALONE = "single.test"


class Slow:
    """A server that takes each message, a while after its end; it knows when each came whose recipient has a name that begins with `single`."""

    def __init__(self, seconds: float):
        (self.port,) = free_ports(1)
        self.seconds, self.came, self.messages = seconds, {}, 0
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1000, limit=1 << 20))
        ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        try:
            await answer("220 slow.test ESMTP")
            recipients = []
            while line := await reader.readline():
                word = line[:4].upper()
                if word == b"RCPT":
                    recipients.append(line.decode().split("<", 1)[1].split(">")[0])
                if word == b"DATA":
                    await answer("354 go on")
                    while (await reader.readline()) not in (b".\r\n", b""):
                        pass
                    for single in (one for one in recipients if one.startswith("single")):
                        self.came[single] = time.monotonic()
                    self.messages += 1
                    recipients = []
                    await asyncio.sleep(self.seconds)
                if word == b"QUIT":
                    await answer("221 bye")
                    break
                await answer("250 mx.slow.test" if word != b"EHLO" else "250-slow.test\r\n250 8BITMIME")
        except (OSError, ValueError):
            pass
        finally:
            writer.close()


class PostOffice:
    """Pennypost with two tenants: one that writes very much, and one that writes now and then."""

    kind = "pennypost"

    def __init__(self, root: Path, sink: int, plan: Plan):
        zone = Zone({})
        for name in [*(f"sink{number}.test" for number in range(DESTINATIONS)), KINDS["another"]]:
            zone.add(name, "MX", f"10 mx.{name}.")
            zone.add(f"mx.{name}", "A", "127.0.0.1")
        settings = (
            "sending.enabled=true", f"sending.port={sink}", "sending.private_networks=true", "adapter.hostname=mx.performance.test",
            f'adapter.dns.servers=["127.0.0.1:{zone.port}"]', "adapter.limits.submission.messages_per_minute_and_account=0", "adapter.limits.smtp.messages_per_session=1000000",
        )
        self.office = Pennypost(plan.server, root / "office", (*settings, *plan.arguments.set))
        self.office.start()
        self.accounts = [self.office.add_account(f"member{number}@{DOMAIN}") for number in range(SENDERS)]
        self.single = self.office.add_account(f"ann@{ALONE}")

    def client(self, number: int):
        return self._client(self.accounts[number % SENDERS])

    def _client(self, account):
        import smtplib

        client = smtplib.SMTP("127.0.0.1", self.office.ports["submission"], timeout=60)
        client.ehlo()
        client.starttls()
        client.login(account.address, account.password)
        return client

    def processes(self) -> list[int]:
        return self.office.process_ids()

    def send_single(self, number: int, domain: str) -> tuple[str, float, float]:
        """To whom, and when it was begun and accepted: over a connection of its own, as a mail program does it."""
        to = f"single{number}@{domain}"
        began = time.monotonic()
        with self._client(self.single) as client:
            client.sendmail(self.single.address, [to], letter(self.single.address, to, number, 10_000))
        return to, began, time.monotonic()


def measure(plan: Plan) -> tuple[Results, str]:
    packages.ensure_modules({"dns": ["python3-dnspython"]})
    results = Results()
    many = plan.arguments.messages[0] if plan.arguments.messages else (300 if plan.quick else 50_000)
    singles = 20 if plan.quick else 200
    scratch = Path(tempfile.mkdtemp(prefix="pennypost-fairness-", dir=plan.work))
    slow = Slow(0.2)
    office = PostOffice(scratch, slow.port, plan)
    try:
        alone = {kind: one_by_one(office, slow, singles // 2, domain, 0) for kind, domain in KINDS.items()}
        before = memory(office)
        began = time.monotonic()
        hand_in(office, many, "sink", DESTINATIONS, 10_000)
        say(f"{many} handed in after {time.monotonic() - began:.0f} s, {slow.messages} of them sent by then")
        there = slow.messages
        behind = {kind: one_by_one(office, slow, singles // 2, domain, 1_000_000) for kind, domain in KINDS.items()}
        waiting = many - (slow.messages - 2 * singles)
        facts = {"many": many, "left": waiting, "sent_before": there, "memory_before": before, "memory": memory(office)}
        for kind in KINDS:
            say(f"to {kind} domain: p50 {quantile(behind[kind], 50):.2f} s, p95 {quantile(behind[kind], 95):.2f} s; "
                f"alone p50 {quantile(alone[kind], 50):.2f} s, p95 {quantile(alone[kind], 95):.2f} s")
    finally:
        office.office.kill()
        shutil.rmtree(scratch, ignore_errors=True)
    figures = [{"operation": f"{when}, {kind}", "measure": f"p{share}", "median": quantile(times[kind], share)}
               for when, times in (("alone", alone), ("behind", behind)) for kind in KINDS for share in (50, 95, 100)]
    results.add({"figures": figures}, "fairness")
    return results, section(results, facts, singles, slow.seconds)


def quantile(times: list[float], share: int) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, round(share / 100 * (len(ordered) - 1)))] if share != 50 else statistics.median(ordered)


def one_by_one(office: PostOffice, slow: Slow, count: int, domain: str, first: int) -> list[float]:
    """Seconds from the first word of a mail program until the other server has the letter's end."""
    sent = []
    for number in range(first + hash_of(domain), first + hash_of(domain) + count):
        sent.append(office.send_single(number, domain))
        time.sleep(0.25)
    deadline = time.monotonic() + PATIENCE
    while any(to not in slow.came for to, _, _ in sent):
        if time.monotonic() > deadline:
            raise SystemExit(f"error: single letters have not come out after {PATIENCE} s")
        time.sleep(0.05)
    return [slow.came[to] - began for to, began, _ in sent]


def hash_of(domain: str) -> int:
    """Letters to each domain have numbers of their own."""
    return 10_000 * list(KINDS.values()).index(domain)


def section(results: Results, facts: dict, singles: int, seconds: float) -> str:
    found = results["fairness"]
    rows = []
    for when, title in (("alone", "nothing else goes out"), ("behind", f"behind {facts['many']:,} letters of another tenant")):
        for kind in KINDS:
            values = [found.get(f"{when}, {kind}", f"p{share}") for share in (50, 95, 100)]
            rows.append([f"{title}; to {kind} domain", *(document.number(value) for value in values)])
    return "\n".join([
        document.table(["seconds until the other server has a single letter", "p50", "p95", "at most"], rows), "",
        f"{facts['many']:,} letters of 10 KB to {DESTINATIONS} domains were handed in by {SENDERS} connections of one tenant; the server of all "
        f"domains answers each message after {seconds} s, so that they queue up: {facts['sent_before']:,} were sent when the last was accepted, "
        f"{facts['left']:,} were still left at the end. Then another tenant's member sends {singles} letters, one after the other, each over a "
        "connection of its own with STARTTLS and a password: half to one of the domains (“the same”), half to a domain that nobody else writes to (“another”). "
        f"Memory of the server (PSS) {facts['memory_before'] / 1024:.0f} MB before, {facts['memory'] / 1024:.0f} MB with all of them. One round.",
    ])
