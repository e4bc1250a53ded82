"""Letters that can be written again from their token alone.

So the audit compares every byte of a stored letter without keeping a copy.
"""

import base64
import random
import re

TOKEN = re.compile(rb"^X-Ledger-Id: ([A-Za-z0-9._-]+)\r$", re.MULTILINE | re.IGNORECASE)
#: The stages at which a message is stored apart are between the last two.
SIZES = (300, 1_500, 6_000, 40_000, 300_000)
WEIGHTS = (30, 40, 20, 8, 2)


def new_token(kind: str, number: int, chance: random.Random) -> str:
    size = chance.choices(SIZES, WEIGHTS)[0]
    return f"{kind}.{number}.{size}"


def letter(token: str) -> bytes:
    size = int(token.rsplit(".", 1)[1])
    body = base64.encodebytes(random.Random(token).randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    return (
        b"From: Sender <sender@example.test>\r\n"
        b"To: undisclosed-recipients:;\r\n"
        b"Subject: ledger %(token)s\r\n"
        b"X-Ledger-Id: %(token)s\r\n"
        b"Message-ID: <%(token)s@example.test>\r\n"
        b"Date: Fri, 02 Jan 2026 10:00:00 +0000\r\n"
        b"\r\n"
        b".a line that SMTP has to stuff\r\n" % {b"token": token.encode()}
    ) + body


def token_of(octets: bytes) -> str | None:
    match = TOKEN.search(octets)
    return match.group(1).decode() if match else None
