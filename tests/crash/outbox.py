"""Letters that members hand in for other servers, and what has to be true of each of them at the end."""

import imaplib
import json
import random
import re
import smtplib
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes

from peers import EXPIRED, FAILED, IN_THE_CLEAR, SENT, UNCONFIRMED, UNKNOWN, Picky, Place, Town
from support.office import Account
from support.pennypost import Pennypost
from tally import Tally

DOMAIN = "chaos.test"
#: Letters whose traces are asked for at once.
BATCH = 400
SIZES, WEIGHTS = (300, 3_000, 40_000, 400_000), (50, 40, 8, 2)
#: One that was begun and of which nobody knows how it ended.
CUT_OFF = re.compile(r'an attempt was cut off.*?\b([0-9A-HJKMNP-TV-Z]{26})\b.*?destination="?([a-z0-9.-]+)')
OPEN = ("outside", "deferred")


@dataclass
class Letter:
    token: str
    sender: Account
    is_eight_bit: bool
    size: int
    #: Where each recipient is.
    recipients: dict[str, Place]
    #: None: the server was gone before it had said anything.
    acknowledged: bool | None = None

    def octets(self) -> bytes:
        line = "Grüße aus dem Büro " if self.is_eight_bit else "Greetings from the office "
        body = "".join(f"{number} {line * 3}\r\n" for number in range(self.size // 60 + 1))
        return (
            f"From: <{self.sender.address}>\r\nTo: {', '.join(self.recipients)}\r\nSubject: {self.token}\r\n"
            f"Message-ID: <{self.token}@{DOMAIN}>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            f".a line that SMTP has to stuff\r\n{body}"
        ).encode()


@dataclass
class Ledger:
    chance: random.Random
    places: list[Place]
    lock: threading.Lock = field(default_factory=threading.Lock)
    letters: dict[str, Letter] = field(default_factory=dict)

    def new_letter(self, sender: Account) -> Letter:
        with self.lock:
            number = len(self.letters)
            token = f"out-{number // BATCH}-{number}"
            recipients: dict[str, Place] = {}
            for _ in range(self.chance.choices((1, 2, 3), (60, 25, 15))[0]):
                (place,) = self.chance.choices(self.places, [place.weight for place in self.places])
                is_unknown = place.server is Picky and self.chance.random() < 0.5
                name = UNKNOWN if is_unknown else "you"
                recipients[f"{name}-{token}-{len(recipients)}@{place.domain}"] = place
            size = self.chance.choices(SIZES, WEIGHTS)[0]
            letter = Letter(token, sender, self.chance.random() < 0.3, size, recipients)
            self.letters[token] = letter
            return letter

    def acknowledged(self) -> int:
        with self.lock:
            return sum(letter.acknowledged is True for letter in self.letters.values())

    def batches(self) -> list[str]:
        return [f"out-{number}-" for number in range((len(self.letters) - 1) // BATCH + 1)]


class Members:
    """Hand letters in, as many as they are let, whenever there is a server."""

    def __init__(self, office: Pennypost, accounts: list[Account], ledger: Ledger, tally: Tally):
        self.office, self.ledger, self.tally = office, ledger, tally
        self._left = 0
        self._changed = threading.Condition()
        self._serving = threading.Event()
        self._life = 0
        for account in accounts:
            threading.Thread(target=self._work, args=(account,), daemon=True).start()

    def let(self, letters: int) -> None:
        """So many more are handed in until the server has taken them."""
        with self._changed:
            self._left += letters
            self._changed.notify_all()

    def fill_up_to(self, letters: int) -> None:
        """As many are handed in as are missing."""
        with self._changed:
            self._left = max(0, letters - self.ledger.acknowledged())
            self._changed.notify_all()

    def go(self) -> None:
        self._life += 1
        self._serving.set()

    def halt(self) -> None:
        self._serving.clear()

    def _work(self, account: Account) -> None:
        client, life = None, 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._left > 0)
                self._left -= 1
            letter = self.ledger.new_letter(account)
            while letter.acknowledged is None:
                self._serving.wait()
                try:
                    if client is None or life != self._life:
                        life, client = self._life, self._sign_in(account)
                except (OSError, smtplib.SMTPException):
                    # It was killed meanwhile: nothing was handed in.
                    client = None
                    time.sleep(0.02)
                    continue
                try:
                    options = ["BODY=8BITMIME"] if letter.is_eight_bit else []
                    refused = client.sendmail(account.address, list(letter.recipients), letter.octets(), options)
                    letter.acknowledged = True
                    if refused:
                        self.tally.fault("refusal", f"{letter.token}: {refused}")
                except smtplib.SMTPServerDisconnected:
                    client = None
                    break
                except smtplib.SMTPException as error:
                    self.tally.fault("refusal", f"{letter.token}: {error!r}")
                    letter.acknowledged = False
                except OSError:
                    client = None
                    break
            if letter.acknowledged is None:
                # Nobody knows: another one takes its place in the count.
                self.tally.count("handed in to a server that died")
                self.let(1)

    def _sign_in(self, account: Account) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.office.ports["submission"], timeout=60)
        client.ehlo()
        client.starttls()
        client.login(account.address, account.password)
        return client


@dataclass
class Report:
    """A report in a member's mailbox."""

    token: str
    #: Recipients with what is said of them.
    actions: list[tuple[str, str, str]]


class Audit:
    """What the traces say, what the servers have, and what the members were told, beside the ledger."""

    def __init__(self, office: Pennypost, town: Town, ledger: Ledger, tally: Tally):
        self.office, self.town, self.ledger, self.tally = office, town, ledger, tally

    def journeys(self) -> dict[str, list[dict]]:
        """By token."""
        found = defaultdict(list)
        for batch in self.ledger.batches():
            done = self.office.run("trace", batch, "--json", "--limit", "1000")
            for line in done.stdout.splitlines():
                journey = json.loads(line)
                token = (journey.get("message_id") or "").strip("<>").split("@")[0]
                found[token].append(journey)
        return found

    def open_recipients(self) -> list[str]:
        """Those of whom it is not decided what becomes of them; those of letters that have no trace yet."""
        journeys = self.journeys()
        still = []
        for token, letter in list(self.ledger.letters.items()):
            known = journeys.get(token, [])
            if not known and letter.acknowledged:
                still += letter.recipients
            for journey in known:
                still += [one["address"] for one in journey.get("recipients", []) if one["outcome"] in OPEN]
        return still

    def run(self, accounts: list[Account], give_up: timedelta, letters: list[Letter] | None = None) -> None:
        """Of all letters, or of these."""
        journeys, reports = self.journeys(), self.reports(accounts)
        cut_off = Counter(CUT_OFF.findall(self.office.log_path.read_text(errors="replace")))
        for letter in list(self.ledger.letters.values()) if letters is None else letters:
            token = letter.token
            known = journeys.get(token, [])
            if len(known) > 1:
                self.tally.fault("doubled", f"{token} was accepted {len(known)} times")
            if not known:
                self._never_came(letter, reports)
                continue
            outcomes = {one["address"]: one["outcome"] for one in known[0]["recipients"]}
            for address, place in letter.recipients.items():
                self._recipient(letter, address, place, (known[0], outcomes.get(address, "not named")), cut_off, give_up)
                self._told(letter, address, outcomes.get(address, "not named"), reports)
        self.tally.fault("broken peer", *self.town.register.broken)
        # Who is late in a handshake, since all is in haste here, gets it in the clear: few.
        private, clear = (self.tally.counts[f"recipients reached {how}"] for how in ("over TLS", "in the clear all the same"))
        if 9 * clear > private:
            self.tally.fault("untrue", f"{clear} of {private + clear} were reached in the clear where there is TLS")

    def _never_came(self, letter: Letter, reports: list[Report]) -> None:
        if letter.acknowledged:
            self.tally.fault("lost", f"{letter.token} was acknowledged, and has no trace")
        for address in letter.recipients:
            if self.town.register.copies[letter.token, address]:
                self.tally.fault("doubled", f"{letter.token} is at {address}, and was never accepted")
        if any(report.token == letter.token for report in reports):
            self.tally.fault("reports", f"{letter.token}: a report of what was never accepted")

    def _recipient(self, letter: Letter, address: str, place: Place, traced, cut_off: Counter, give_up: timedelta) -> None:
        journey, outcome = traced
        register, key = self.town.register, (letter.token, address)
        attempts = [attempt for attempt in journey["attempts"] if attempt["destination"] == place.domain]
        answers = [(attempt, one) for attempt in attempts for one in attempt["recipients"] if one["address"] == address]
        ends = [one for _, one in answers if one["outcome"] != "deferred"]
        self.tally.count(f"recipients {outcome}")
        if outcome not in (SENT, FAILED) or len(ends) != 1 or ends[0]["outcome"] != outcome:
            self.tally.fault("not final", f"{address} is {outcome} after {len(ends)} ends: {answers[-2:]}")
            return
        status, text = ends[0]["status"], ends[0]["text"]
        wanted = ((FAILED, "5.1.1"),) if address.startswith(UNKNOWN) else place.ends
        expired = status == EXPIRED
        if expired:
            self.tally.count("recipients given up")
            accepted, ended = (datetime.fromisoformat(time) for time in (journey["accepted"], answers[-1][0]["time"]))
            if ended - accepted < give_up - timedelta(seconds=1) or "last answer was" not in text:
                self.tally.fault("untrue", f"{address} was given up after {ended - accepted}: {text}")
            attempts_ended = answers[-1][0]["attempt"] - cut_off[journey["id"], place.domain]
            # Who says 421 to one recipient puts the next one off the next time.
            together = sum(other == place for other in letter.recipients.values())
            if place.server and place.server.puts_off and attempts_ended <= together:
                wanted += ((FAILED, EXPIRED),)
                self.tally.count("recipients with too few attempts, since others were cut off")
        copies, withheld, unheard = register.copies[key], register.withheld[key], register.unheard[key]
        told = cut_off[journey["id"], place.domain]
        late = sum(one["status"] == "4.4.2" for _, one in answers)
        if status == UNCONFIRMED:
            # An attempt was cut off or not confirmed, and then the last one; or the server has it twice.
            self.tally.count("recipients who may have it twice")
            wanted += ((FAILED, UNCONFIRMED),)
            if max(told + late + 1, copies) < 2 or "may have" not in text:
                self.tally.fault("untrue", f"{address}: {status} {text}, and {told} attempts were cut off, {late} late")
            late += 1
        if not any(outcome == end and status.startswith(start) for end, start in wanted):
            self.tally.fault("untrue", f"{address} is {outcome}: {status} {text}")
        if outcome == SENT and place.server and place.server.has_tls:
            self._over_tls(address, place, (answers[-1][0], register.copies[key]))

        if outcome == SENT and copies == 0:
            self.tally.fault("lost", f"{address} is sent, and has nothing")
        # A 250 that was lost brings a letter again: where the server kept it to itself, or the sender was killed before it
        # was written, which it says when it tries again, or had waited too long. The same letter may meet with both.
        lost = withheld + max(unheard, told, late - withheld)
        if copies > min(2, (1 if outcome == SENT else 0) + lost):
            self.tally.fault("doubled", f"{address} has {copies} copies; {withheld} 250s were not said, {unheard} not heard, "
                                        f"{told} attempts cut off")
        if copies > 1:
            self.tally.count(f"recipients with {copies} copies since a 250 was lost")

    def _over_tls(self, address: str, place: Place, sent) -> None:
        """What its last attempt tells of TLS is what the server has seen."""
        attempt, copies = sent
        has_tls, is_spoilt = address in self.town.register.over_tls, place.server in IN_THE_CLEAR
        # Of several copies only the last is told of.
        if copies == 1 and has_tls != bool(attempt["tls"]):
            self.tally.fault("untrue", f"{address}: TLS is told as {attempt['tls']!r}, and was {has_tls}")
        if is_spoilt and attempt["tls"]:
            self.tally.fault("untrue", f"{address} has it over TLS from a server that can't do it")
        if not is_spoilt:
            self.tally.count("recipients reached over TLS" if has_tls else "recipients reached in the clear all the same")

    def _told(self, letter: Letter, address: str, outcome: str, reports: list[Report]) -> None:
        ours = [report for report in reports if report.token == letter.token]
        actions = Counter(action for report in ours for to, action, _ in report.actions if to == address)
        if actions["failed"] != (1 if outcome == FAILED else 0):
            self.tally.fault("reports", f"{address} is {outcome} and was reported {actions['failed']} times")
        if actions["delayed"] > 1:
            self.tally.fault("reports", f"{address} was reported {actions['delayed']} times as late")
        self.tally.count("failures reported", actions["failed"])
        self.tally.count("delays reported", actions["delayed"])

    def reports(self, accounts: list[Account]) -> list[Report]:
        """Of all members; each has to be in the mailbox of whoever sent the letter."""
        found, seen = [], set()
        for account in accounts:
            with imaplib.IMAP4("127.0.0.1", self.office.ports["imap"]) as client:
                client.login(account.address, account.password)
                client.select("INBOX", readonly=True)
                numbers = client.search(None, "ALL")[1][0].decode().split()
                for first in range(0, len(numbers), 100):
                    _, parts = client.fetch(",".join(numbers[first : first + 100]), "(BODY.PEEK[])")
                    for part in parts:
                        if isinstance(part, tuple):
                            found.append(self._read(account, part[1], seen))
        return found

    def _read(self, account: Account, octets: bytes, seen: set[str]) -> Report:
        message = message_from_bytes(octets)
        number = message["Message-ID"]
        if number in seen:
            self.tally.fault("reports", f"{number} came twice")
        seen.add(number)
        actions, token = [], ""
        for part in message.walk():
            kind = part.get_content_type()
            if kind == "message/delivery-status":
                for fields in part.get_payload()[1:]:
                    recipient = fields["Final-Recipient"].partition(";")[2].strip()
                    actions.append((recipient, fields["Action"], fields["Status"]))
            elif kind in ("text/rfc822-headers", "message/global-headers"):
                match = re.search(r"^Message-ID: <([a-z0-9-]+)@", part.as_string(), re.MULTILINE)
                token = match[1] if match else ""
        letter = self.ledger.letters.get(token)
        if letter is None or letter.sender != account:
            self.tally.fault("reports", f"{account.address} has a report about {token or 'nothing known'}")
        return Report(token, actions)
