"""The letters of the load: unique, about 10 KB each, compressible like text.

All are rendered before the clock starts. Bodies are put together from a pool
of paragraphs, so that no two are alike and none is a repetition of one line.
"""

import random

WORDS = (
    "post office letter stamp carrier window morning counter parcel street river answer market winter garden "
    "record ledger number return address sorting wagon station evening window signal harbour mountain copper "
    "邮局 信件 地址 早晨 回信 Gruß Brief Straße"
).split()
PARAGRAPHS = 400


def render(count: int, size: int, seed: int = 1) -> list[bytes]:
    """Messages as they go out after DATA, dot-stuffed and without the final dot."""
    chance = random.Random(seed)
    paragraphs = [_paragraph(chance) for _ in range(PARAGRAPHS)]
    letters = []
    for number in range(count):
        header = (
            f"Received: from mx{number % 7}.example.test (mx.example.test [192.0.2.{number % 250}])\r\n"
            f"\tby relay.example.test with ESMTPS id {chance.getrandbits(60):x}; Fri, 02 Jan 2026 10:00:00 +0000\r\n"
            f"From: Sender {number % 900} <sender{number % 900}@example.test>\r\n"
            f"To: Recipient <recipient@performance.test>\r\n"
            f"Subject: Letter {number} of the measurement\r\n"
            f"Message-ID: <{number}.{chance.getrandbits(60):x}@example.test>\r\n"
            f"Date: Fri, 02 Jan 2026 10:00:00 +0000\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        ).encode()
        parts, length = [header], len(header)
        while length < size:
            paragraph = chance.choice(paragraphs)[: size - length]
            # Not in the middle of a character; the cut line gets an end of its own.
            paragraph = paragraph.decode(errors="ignore").encode()
            parts.append(paragraph)
            length += max(len(paragraph), 1)
        letters.append(b"".join(parts).rstrip(b"\r\n") + b"\r\n")
    return letters


def _paragraph(chance: random.Random) -> bytes:
    lines = []
    for _ in range(14):
        lines.append(" ".join(chance.choices(WORDS, k=10)))
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
