"""A POP3 client that reads and deletes some of its account's mail.

Deletions happen at QUIT (RFC 1939 section 6): after its +OK they have to have
happened, before QUIT is sent none may have, in between each may.
"""

import random
import socket

from ledger import GONE, Account, Copy
from letters import letter, token_of
from tally import Tally


class Lost(Exception):
    pass


class Client:
    def __init__(self, port: int, account: Account):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        except OSError as error:
            raise Lost from error
        self.lines = self.socket.makefile("rb")
        self.status()
        self.command(f"USER {account.address}")
        self.command(f"PASS {account.password}")

    def close(self) -> None:
        try:
            self.lines.close()
            self.socket.close()
        except OSError:
            pass

    def command(self, text: str) -> str:
        try:
            self.socket.sendall(text.encode() + b"\r\n")
        except OSError as error:
            raise Lost from error
        return self.status()

    def line(self) -> bytes:
        try:
            line = self.lines.readline()
        except (OSError, ValueError) as error:
            raise Lost from error
        if not line.endswith(b"\n"):
            raise Lost
        return line

    def status(self) -> str:
        line = self.line()
        if not line.startswith(b"+OK"):
            raise ValueError(f"POP3 answered {line!r}")
        return line.decode()

    def retrieve(self, number: int) -> bytes:
        self.command(f"RETR {number}")
        content = bytearray()
        while (line := self.line()) != b".\r\n":
            content += line[1:] if line.startswith(b".") else line
        return bytes(content)


def session(port: int, account: Account, chance: random.Random, tally: Tally) -> None:
    client = Client(port, account)
    try:
        count = int(client.command("STAT").split()[1])
        if count == 0:
            return
        doomed: list[Copy] = []
        for number in chance.sample(range(1, count + 1), k=min(count, 12)):
            octets = client.retrieve(number)
            token = token_of(octets)
            if token is None or octets[-len(letter(token)):] != letter(token):
                tally.fault("corrupt", f"{account.address}: POP3 message {number} differs from {token}")
                continue
            with account.lock:
                copies = account.copies.get(token, [])
                if len(copies) != 1:
                    continue  # doubled or unknown: the audit says so
                copies[0].seen = True
                copies[0].possible.discard(GONE)
                copies[0].flags["\\Seen"] = None  # a server may count RETR as reading
            if chance.random() < 0.7:
                client.command(f"DELE {number}")
                doomed.append(copies[0])
        with account.lock:
            for copy in doomed:
                copy.possible.add(GONE)
        client.command("QUIT")
        with account.lock:
            for copy in doomed:
                copy.possible = {GONE}
        tally.count("acknowledged", len(doomed))
        tally.count("acknowledged DELE", len(doomed))
    finally:
        client.close()


def read_and_delete(port: int, account: Account, seed: int, tally: Tally) -> None:
    chance = random.Random(seed)
    try:
        while True:
            session(port, account, chance, tally)
    except Lost:
        pass
    except ValueError as error:
        tally.fault("refusal", f"{account.address}: {error}")
