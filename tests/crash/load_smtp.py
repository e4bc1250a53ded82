"""SMTP senders: unique letters, one to three recipients, commands pipelined."""

import itertools
import random

from ledger import Account, Copy
from letters import letter, new_token
from support.smtp_wire import Smtp, SmtpLost, dot_stuffed
from tally import Tally

NUMBERS = itertools.count(1)
LETTERS_PER_CONNECTION = 40
SENDER = "sender@example.test"


class Transaction:
    """One letter on its way, entered in the ledger before its last octet is sent."""

    def __init__(self, accounts: list[Account], chance: random.Random, tally: Tally):
        self.tally = tally
        self.recipients = chance.sample(accounts, k=min(len(accounts), chance.choices((1, 2, 3), (60, 25, 15))[0]))
        self.token = new_token("smtp", next(NUMBERS), chance)
        self.octets = letter(self.token)
        self.chunked = chance.random() < 0.15
        self.taken: list[tuple[Account, Copy]] = []

    def envelope(self) -> bytes:
        lines = [f"MAIL FROM:<{SENDER}>"] + [f"RCPT TO:<{account.address}>" for account in self.recipients]
        if not self.chunked:
            lines.append("DATA")
        return "".join(line + "\r\n" for line in lines).encode()

    def read_envelope_replies(self, client: Smtp) -> bool:
        """Enters the letter for each recipient that was accepted; False when there is nothing to send."""
        mail = client.reply()
        accepted = []
        for account in self.recipients:
            code, text = client.reply()
            if code == 250:
                accepted.append(account)
            else:
                self.tally.fault("refusal", f"RCPT: {code} {text}")
        if mail[0] != 250:
            self.tally.fault("refusal", f"MAIL: {mail}")
        if not self.chunked:
            code, text = client.reply()
            if code != 354:
                self.tally.fault("refusal", f"DATA: {code} {text}")
                return False
        if not accepted:
            return False
        self.taken = [(account, account.expect(self.token, "INBOX")) for account in accepted]
        return True

    def content(self) -> bytes:
        if self.chunked:
            half = len(self.octets) // 2
            return (b"BDAT %d\r\n" % half + self.octets[:half]
                    + b"BDAT %d LAST\r\n" % (len(self.octets) - half) + self.octets[half:])
        return dot_stuffed(self.octets) + b".\r\n"

    def read_outcome(self, client: Smtp) -> None:
        if self.chunked:
            client.reply()
        code, text = client.reply()
        for account, copy in self.taken:
            if code == 250:
                account.arrived(copy)
            else:
                account.refused(copy)
        if code == 250:
            self.tally.count("acknowledged")
            self.tally.count("acknowledged by SMTP")
        else:
            self.tally.fault("refusal", f"after DATA: {code} {text}")


def send_letters(port: int, accounts: list[Account], seed: int, tally: Tally) -> None:
    """Sends until the server is gone."""
    chance = random.Random(seed)
    client = None
    try:
        while True:
            client = Smtp(port, timeout=20)
            run_connection(client, accounts, chance, tally)
            client.send(b"QUIT\r\n")
            client.close()
    except SmtpLost:
        pass
    finally:
        if client:
            client.close()


def run_connection(client: Smtp, accounts: list[Account], chance: random.Random, tally: Tally) -> None:
    current = Transaction(accounts, chance, tally)
    client.send(current.envelope())
    for _ in range(LETTERS_PER_CONNECTION):
        if not current.read_envelope_replies(client):
            return
        following = Transaction(accounts, chance, tally)
        if chance.random() < 0.5:
            # The next envelope goes out behind this letter, before its reply.
            client.send(current.content() + following.envelope())
            current.read_outcome(client)
        else:
            client.send(current.content())
            current.read_outcome(client)
            client.send(following.envelope())
        current = following
