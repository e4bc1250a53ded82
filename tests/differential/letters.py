"""The corpus: awkward mails of `samplemail/`, and plain ones that form threads."""

import email
import email.message
import email.utils
import re
from pathlib import Path

MAILS = Path(__file__).resolve().parents[2] / "samplemail" / "mails"
LARGEST = 16_384
#: A literal may hold no NUL (RFC 3501 section 9, CHAR8), and Dovecot rewrites bare CR and LF when it stores.
UNFIT = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n")


def corpus() -> dict[str, bytes]:
    letters = {f"plain{number}": plain(number) for number in range(12)}
    for path in sorted(MAILS.glob("*.eml")):
        octets = path.read_bytes()
        if 0 < len(octets) <= LARGEST and UNFIT.search(octets) is None:
            letters[path.stem] = octets
    return letters


def plain(number: int) -> bytes:
    """In order of number: three conversations, dates that go to and fro, names to sort by."""
    conversation = number % 3
    subject = ("Lunch", "lunch plans", "Invoice [42]")[conversation]
    headers = [
        f"From: {('Zoe', 'adam', 'Mia')[number % 3]} <{('zoe', 'adam', 'mia')[number % 3]}{number}@diff.test>",
        f"To: \"Reader, A.\" <reader@diff.test>, Other{number} <other{number}@diff.test>",
        f"Subject: {'Re: ' * (number // 3 % 3)}{subject}{' (fwd)' if number == 7 else ''}",
        f"Date: {1 + number * 7 % 28} {('Jan', 'Feb', 'Mar')[number % 3]} 2024 {number:02}:30:00 +0{number % 10}00",
        f"Message-ID: <plain{number}@diff.test>",
    ]
    if number >= 3:
        headers.append(f"References: <plain{number % 3}@diff.test> <plain{number - 3}@diff.test>")
        headers.append(f"In-Reply-To: <plain{number - 3}@diff.test>")
    if number % 4 == 1:
        headers.append(f"Cc: Émile <emile@diff.test>, list{number}@diff.test" if number == 5 else "Cc: cc@diff.test")
    body = f"Letter {number}.\r\nStamps and parcels {'very ' * number}soon.\r\n" + "long line\r\n" * (number * number)
    return ("\r\n".join(headers) + "\r\n\r\n" + body).encode()


def has_date(letter: bytes) -> bool:
    try:
        return email.utils.parsedate_to_datetime(email.message_from_bytes(letter)["Date"]) is not None
    except (TypeError, ValueError):
        return False


#: RFC 2045 section 6.1.
ENCODINGS = {"7bit", "8bit", "binary", "quoted-printable", "base64"}


def is_decodable(letter: bytes) -> bool:
    parts = email.message_from_bytes(letter).walk()
    return all(str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower() in ENCODINGS for part in parts)


def decoded_sizes(letter: bytes) -> dict[str, int]:
    """Of the parts that do not hold others, and are not text, whose line ends a server may have to mend."""
    return {
        number: len(part.get_payload(decode=True))
        for number, part in numbered_parts(letter).items()
        if part.get_content_maintype() not in ("text", "multipart", "message")
    }


def part_numbers(letter: bytes) -> dict[str, bool]:
    """The numbered parts, and which hold others."""
    return {number: part.is_multipart() for number, part in numbered_parts(letter).items()}


def numbered_parts(letter: bytes) -> dict[str, email.message.Message]:
    """The parts that RFC 3501 section 6.4.5 numbers, in the eyes of another parser."""
    numbers: dict[str, email.message.Message] = {}

    def message_within(message, above: str) -> None:
        if message.get_content_maintype() == "multipart" and message.is_multipart():
            children_of(message, above)
        else:
            numbers[f"{above}1"] = message
            below(message, f"{above}1")

    def children_of(multipart, above: str) -> None:
        for number, child in enumerate(multipart.get_payload(), 1):
            numbers[f"{above}{number}"] = child
            below(child, f"{above}{number}")

    def below(part, number: str) -> None:
        if not part.is_multipart():
            return
        if part.get_content_type() == "message/rfc822":
            message_within(part.get_payload(0), f"{number}.")
        elif part.get_content_maintype() == "multipart":
            children_of(part, f"{number}.")

    message_within(email.message_from_bytes(letter), "")
    return numbers
