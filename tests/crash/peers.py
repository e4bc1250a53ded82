"""Mail servers on loopback that behave in every way, each at an address and with a domain of its own, all at one port.

What they do depends on whose address they are reached at. Where a manner says "the first time", the second attempt for the
same recipient finds a server that is well again.
"""

import asyncio
import logging
import re
import ssl
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_ports
from support.zone import Zone

TOKEN = re.compile(rb"^Message-ID: <([a-z0-9-]+)@", re.MULTILINE)
#: Whoever begins so is known to no server.
UNKNOWN = "nobody"
LONG_LINE = 10_000_000

SENT, FAILED = "sent", "failed"
#: What the trace says of those that were given up.
EXPIRED = "5.4.7"
#: Of those whose server may have it twice, and never said so.
UNCONFIRMED = "5.4.2"


class Register:
    """What all servers together have seen. Written by the thread of the servers alone."""

    def __init__(self):
        #: Whole messages, by token and recipient.
        self.copies: Counter[tuple[str, str]] = Counter()
        #: Those of them to which nothing was said.
        self.withheld: Counter[tuple[str, str]] = Counter()
        #: Those to which something was said, when nobody was there any more to hear it.
        self.unheard: Counter[tuple[str, str]] = Counter()
        self.over_tls: set[str] = set()
        self.connections: Counter[str] = Counter()
        self.broken: list[str] = []
        self._known: set[tuple[str, str]] = set()

    def is_first(self, what: str, who: str) -> bool:
        is_first = (what, who) not in self._known
        self._known.add((what, who))
        return is_first


class Closed(Exception):
    """The connection is to be closed, or is."""


class Peer:
    """A connection to a server that is well."""

    #: What is true of its recipients at the end: the outcome, and what the status may be.
    ends: tuple[tuple[str, str], ...] = ((SENT, "2"),)
    #: Whoever comes the first time has to come again.
    puts_off = False
    #: How many letters go there, beside others.
    weight = 2
    offers = ("8BITMIME", "SIZE 10000000", "SMTPUTF8")
    has_tls = True

    def __init__(self, town: "Town", reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.town, self.register, self.reader, self.writer = town, town.register, reader, writer
        self.is_private = False
        self.recipients: list[str] = []

    async def run(self) -> None:
        await self.greet()
        while True:
            line = (await self.reader.readline()).decode(errors="replace")
            if not line.endswith("\n"):
                raise Closed
            verb, _, rest = line.rstrip("\r\n").partition(" ")
            await getattr(self, f"on_{verb.lower()}", self.on_other)(rest)

    async def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def greet(self) -> None:
        await self.say("220 peer.test ESMTP")

    async def on_ehlo(self, _: str) -> None:
        offers = [*self.offers, *(["STARTTLS"] if self.has_tls and not self.is_private else [])]
        lines = ["peer.test", *offers]
        await self.say("\r\n".join(f"250{'-' if number + 1 < len(lines) else ' '}{line}" for number, line in enumerate(lines)))

    async def on_starttls(self, _: str) -> None:
        # What the client says next is TLS, and not for this reader.
        self.writer.transport.pause_reading()
        await self.say("220 2.0.0 go on")
        await self.writer.start_tls(self.town.tls)
        self.is_private = True

    async def on_mail(self, _: str) -> None:
        self.recipients = []
        await self.say("250 2.1.0 fine")

    async def on_rcpt(self, rest: str) -> None:
        address = rest[rest.index("<") + 1 : rest.index(">")]
        if address.startswith(UNKNOWN):
            await self.say("550 5.1.1 nobody has this address")
        else:
            await self.receive_for(address)

    async def receive_for(self, address: str) -> None:
        self.recipients.append(address)
        await self.say("250 2.1.5 fine")

    async def on_data(self, _: str) -> None:
        await self.say("354 go on")
        message = bytearray()
        while (line := await self.reader.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise Closed
            message += line[1:] if line.startswith(b".") else line
        token = TOKEN.search(message)[1].decode()
        for recipient in self.recipients:
            self.register.copies[token, recipient] += 1
            if self.is_private:
                self.register.over_tls.add(recipient)
        await self.answer(token)
        if self.reader.at_eof():
            for recipient in self.recipients:
                self.register.unheard[token, recipient] += 1

    async def answer(self, token: str) -> None:
        await self.say("250 2.0.0 taken")

    async def on_quit(self, _: str) -> None:
        await self.say("221 2.0.0 bye")
        raise Closed

    async def on_other(self, _: str) -> None:
        await self.say("500 5.5.1 what?")


class Good(Peer):
    weight = 12


class Picky(Peer):
    """Every other recipient is unknown: the ledger asks for such addresses here."""

    weight = 4


class Slow(Peer):
    """Says each reply byte by byte, in time."""

    async def say(self, text: str) -> None:
        for byte in text.encode() + b"\r\n":
            self.writer.write(bytes([byte]))
            await self.writer.drain()
            await asyncio.sleep(0.002)


class Drips(Peer):
    """A byte a second, from the greeting on."""

    ends = ((FAILED, EXPIRED),)
    weight = 1

    async def say(self, text: str) -> None:
        for byte in text.encode() + b"\r\n":
            self.writer.write(bytes([byte]))
            await self.writer.drain()
            await asyncio.sleep(1)


class ClosesAtData(Peer):
    """Closes in place of 354, the first time."""

    puts_off = True

    async def on_data(self, rest: str) -> None:
        if any([self.register.is_first("data", recipient) for recipient in self.recipients]):
            raise Closed
        await super().on_data(rest)


class ClosesInData(Peer):
    """Says 354 and closes before the message has come, the first time."""

    puts_off = True

    async def on_data(self, rest: str) -> None:
        if any([self.register.is_first("in data", recipient) for recipient in self.recipients]):
            await self.say("354 go on")
            await self.reader.readline()
            raise Closed
        await super().on_data(rest)


class NeverTakesData(Peer):
    """Closes after DATA, whenever it comes."""

    ends = ((FAILED, EXPIRED),)
    weight = 1

    async def on_data(self, _: str) -> None:
        raise Closed


class ClosesAfterTheDot(Peer):
    """Takes the message and closes without a word, the first time: it comes twice."""

    puts_off = True

    async def answer(self, token: str) -> None:
        if any([self.register.is_first("dot", recipient) for recipient in self.recipients]):
            for recipient in self.recipients:
                self.register.withheld[token, recipient] += 1
            raise Closed
        await super().answer(token)


class Late(Peer):
    """Answers late, and in time."""

    async def answer(self, token: str) -> None:
        await asyncio.sleep(self.town.seconds_for_an_answer / 4)
        await super().answer(token)


class Twice(Peer):
    """Says 250 twice to the message."""

    async def answer(self, token: str) -> None:
        await self.say("250 2.0.0 taken\r\n250 2.0.0 taken")


class LosesCount(Peer):
    """Says 250 twice to MAIL: what it says from then on is no answer to what was asked last."""

    ends = ((FAILED, EXPIRED),)
    weight = 1

    async def on_mail(self, _: str) -> None:
        self.recipients = []
        await self.say("250 2.1.0 fine\r\n250 2.1.0 fine")


class Small(Peer):
    """Takes 100 bytes."""

    ends = ((FAILED, "5.3.4"),)
    offers = ("8BITMIME", "SIZE 100")


class Full(Peer):
    """Says that it takes ten megabytes, and takes none."""

    ends = ((FAILED, "5.3.4"),)

    async def answer(self, token: str) -> None:
        for recipient in self.recipients:
            self.register.copies[token, recipient] -= 1
        await self.say("552 5.3.4 too large")


class NotEightBit(Peer):
    """Offers 8BITMIME and does not know the parameter."""

    ends = ((SENT, "2"), (FAILED, "5.5.4"))

    async def on_mail(self, rest: str) -> None:
        if "BODY=8BITMIME" in rest:
            await self.say("555 5.5.4 no such parameter")
        else:
            await super().on_mail(rest)


class SevenBit(Peer):
    """Does not offer 8BITMIME."""

    ends = ((SENT, "2"), (FAILED, "5.6.3"))
    offers = ("SIZE",)


class TlsCloses(Peer):
    async def on_starttls(self, _: str) -> None:
        await self.say("220 2.0.0 go on")
        raise Closed


class TlsIsGarbage(Peer):
    async def on_starttls(self, _: str) -> None:
        await self.say("220 2.0.0 go on")
        await self.reader.read(1)
        await self.say("500 what?")
        raise Closed


class TlsIsInjected(Peer):
    """Somebody on the way says more behind 220."""

    async def on_starttls(self, _: str) -> None:
        await self.say("220 2.0.0 go on\r\n250 2.0.0 all of it was taken")
        await self.reader.read(1)
        raise Closed


class TlsHangs(Peer):
    weight = 1

    async def on_starttls(self, _: str) -> None:
        await self.say("220 2.0.0 go on")
        await self.reader.read()
        raise Closed


class LongLine(Peer):
    """Ten megabytes in one line of a reply."""

    ends = ((FAILED, EXPIRED),)
    weight = 1

    async def on_ehlo(self, _: str) -> None:
        for _ in range(LONG_LINE // 100_000):
            self.writer.write(b"2" * 100_000)
            await self.writer.drain()
        raise Closed


class Busy(Peer):
    ends = ((FAILED, EXPIRED),)
    weight = 1

    async def greet(self) -> None:
        await self.say("421 4.3.2 too much to do")
        raise Closed


class BusyOnce(Peer):
    """421 in the middle, the first time."""

    puts_off = True

    async def receive_for(self, address: str) -> None:
        if self.register.is_first("busy", address):
            await self.say("421 4.3.2 too much to do")
            raise Closed
        await super().receive_for(address)


class Grey(Peer):
    """Knows nobody the first time."""

    puts_off = True
    weight = 4

    async def receive_for(self, address: str) -> None:
        if self.register.is_first("grey", address):
            await self.say("451 4.7.1 come again")
        else:
            await super().receive_for(address)


SERVERS: list[type[Peer]] = [
    Good, Picky, Slow, Drips, ClosesAtData, ClosesInData, NeverTakesData, ClosesAfterTheDot, Late, Twice, LosesCount, Small,
    Full, NotEightBit, SevenBit, TlsCloses, TlsIsGarbage, TlsIsInjected, TlsHangs, LongLine, Busy, BusyOnce, Grey,
]
#: Nothing that is sent there goes over TLS.
IN_THE_CLEAR = (TlsCloses, TlsIsGarbage, TlsIsInjected, TlsHangs)


@dataclass(frozen=True)
class Place:
    """A domain, and what becomes of letters that go there."""

    domain: str
    ends: tuple[tuple[str, str], ...]
    weight: int
    server: type[Peer] | None = None


class Town:
    """All servers, with their names in the zone. They run in a thread until the process ends."""

    def __init__(self, zone: Zone, scratch: Path, seconds_for_an_answer: float):
        self.register = Register()
        self.seconds_for_an_answer = seconds_for_an_answer
        (self.port,) = free_ports(1)
        self.tls = certificate(scratch)
        self.places: list[Place] = []
        self._by_address: dict[str, type[Peer]] = {}
        for number, server in enumerate(SERVERS, 1):
            domain, address = f"{server.__name__.lower()}.test", f"127.0.1.{number}"
            zone.add(domain, "MX", f"10 mx.{domain}.")
            zone.add(f"mx.{domain}", "A", address)
            self._by_address[address] = server
            self.places.append(Place(domain, server.ends, server.weight, server))
        #: A domain whose first server is busy has a second one.
        zone.add("backup.test", "MX", "10 mx.busy.test.")
        zone.add("backup.test", "MX", "20 mx.good.test.")
        self.places.append(Place("backup.test", Good.ends, 2, Good))
        zone.add("null.test", "MX", "0 .")
        self.places.append(Place("null.test", ((FAILED, "5.1.10"),), 1))
        self.places.append(Place("nowhere.test", ((FAILED, "5.1.2"),), 1))
        #: An address at which nobody listens.
        zone.add("refused.test", "MX", "10 mx.refused.test.")
        zone.add("mx.refused.test", "A", "127.0.2.1")
        self.places.append(Place("refused.test", ((FAILED, EXPIRED),), 1))
        #: Servers that are not of the world: for those who may not be led into networks of ours.
        zone.add("private.test", "MX", "10 mx.private.test.")
        zone.add("mx.private.test", "A", "10.0.0.1")
        zone.add("local.test", "MX", "10 mx.good.test.")
        self.inside = [Place("private.test", ((FAILED, "5.1.2"),), 1), Place("local.test", ((FAILED, "5.1.2"),), 1)]
        # Peers that break TLS off are what this is about.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        if not ready.wait(20):
            raise SystemExit("error: the servers did not start")

    def _run(self, ready: threading.Event) -> None:
        async def serve() -> None:
            servers = [await asyncio.start_server(self._connected, address, self.port) for address in self._by_address]
            ready.set()
            await asyncio.gather(*(server.serve_forever() for server in servers))

        asyncio.run(serve())

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = self._by_address[writer.get_extra_info("sockname")[0]]
        self.register.connections[server.__name__] += 1
        peer = server(self, reader, writer)
        try:
            await peer.run()
        except (Closed, OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        except Exception as error:  # a fault of the test itself, which has to be seen
            self.register.broken.append(f"{server.__name__}: {error!r}")
        finally:
            writer.close()


def certificate(scratch: Path) -> ssl.SSLContext:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=nobody.example", "-keyout", scratch / "peer-key.pem", "-out", scratch / "peer.pem"],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(scratch / "peer.pem", scratch / "peer-key.pem")
    return context
