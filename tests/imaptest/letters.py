"""The letters that the stress appends: generated, each with a Message-ID of its own.

imaptest fetches BODY[1] and then searches BODY for pieces of it, so the first
part is always plain text: encoded, or with MIME headers of parts inside, its
pieces are nothing that BODY must find (RFC 9051 section 6.4.4).
"""

import random
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

LETTERS = 400
#: ASCII only: imaptest searches for pieces of these without naming a CHARSET.
WORDS = "post letter stamp parcel counter window clerk bag round morning street bell".split()


def write_mbox(path: Path) -> None:
    chance = random.Random(7)
    with open(path, "wb") as mbox:
        for number in range(LETTERS):
            mbox.write(b"From clerk@imap.test Thu Jan  1 00:00:%02d 2026\n" % (number % 60))
            mbox.write(as_mbox(letter(chance, number)))


def letter(chance: random.Random, number: int) -> EmailMessage:
    message = EmailMessage()
    message["From"] = f"Clerk {number % 7} <clerk{number % 7}@imap.test>"
    message["To"] = "Reader <reader@imap.test>"
    message["Subject"] = sentence(chance, 4)
    message["Date"] = f"Thu, 01 Jan 2026 {number // 60:02}:{number % 60:02}:00 +0800"
    message["Message-ID"] = f"<{number}@stress.imap.test>"
    if number and number % 3 == 0:
        message["In-Reply-To"] = f"<{number - 1}@stress.imap.test>"
        message["References"] = f"<{number - 1}@stress.imap.test>"
    message.set_content("\n".join(sentence(chance, 9) for _ in range(chance.choice((1, 3, 20, 200)))) + "\n")
    if number % 4 == 0:
        message.add_alternative(f"<p>{sentence(chance, 12)}</p>\n", subtype="html")
    elif number % 5 == 0:
        message.add_attachment(chance.randbytes(chance.choice((10, 3000, 40000))), "application", "octet-stream",
                               filename=f"parcel-{number}.bin")
    return message


def as_mbox(message: EmailMessage) -> bytes:
    return message.as_bytes(policy=SMTP.clone(linesep="\n")).rstrip(b"\n") + b"\n\n"


def sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(words))
