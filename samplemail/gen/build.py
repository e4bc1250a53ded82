"""Primitives the sample mails are put together from.

Everything here is a pure function of its arguments, and avoids library code
whose output may change between Python versions (header folding, boundary
choice, compression), so that the corpus is the same bytes everywhere.
"""

import base64
import datetime
import hashlib
import random
import re
import struct
import zipfile
import zlib
from io import BytesIO
from typing import Any, NamedTuple

CRLF = b"\r\n"

Address = tuple[str | None, str]

LIN: Address = ("林晓雨", "lin.xiaoyu@northwind.test")
WANG: Address = ("王建国", "wang.jianguo@sample.test")
ADA: Address = ("Ada Verne", "ada@sample.test")
BOB: Address = ("Bob Quill", "bob@harbour.example")


class Part(NamedTuple):
    """A MIME entity without the message headers."""

    headers: list[tuple[str, str | bytes]]
    body: bytes


class Corpus:
    """The mails in the order in which they were added; names are unique."""

    def __init__(self) -> None:
        self.mails: dict[str, bytes] = {}
        self.entries: list[dict[str, Any]] = []
        self.python_skips: dict[str, tuple[str, ...]] = {}

    def add(
        self,
        name: str,
        shows: str,
        raw: bytes,
        *,
        transmit: str = "smtp",
        needs: tuple[str, ...] = (),
        python_skips: tuple[str, ...] = (),
        **expect: Any,
    ) -> None:
        """Adds one mail; `python_skips` names facts on which Python's own
        parser is known to be wrong or silent, so the self-test leaves them."""
        if name in self.mails:
            raise ValueError(f"two mails are named {name}")
        if transmit == "smtp" and not raw.endswith(CRLF):
            raise ValueError(f"{name}: DATA cannot carry a mail that does not end in CRLF")
        if transmit == "smtp" and re.search(rb"\r(?!\n)|(?<!\r)\n", raw):
            raise ValueError(f"{name}: a bare CR or LF, which SMTP refuses")
        wanted = set(needs)
        if any(byte > 127 for byte in raw):
            wanted.add("8bitmime")
        if max(map(len, raw.split(CRLF))) > 998:
            wanted.add("long-line")
        if b"\0" in raw:
            wanted.add("nul")
        self.mails[name] = raw
        self.python_skips[name] = python_skips
        entry: dict[str, Any] = {
            "file": f"mails/{name}.eml",
            "sha256": hashlib.sha256(raw).hexdigest(),
            "size": len(raw),
            "shows": shows,
            "transmit": transmit,
            "byte_identity": transmit == "smtp",
            "needs": sorted(wanted),
            "expect": {},
        }
        for key, value in expect.items():
            if key == "from_":
                value = [{"name": n, "address": a} for n, a in value]
            entry["expect"][key.rstrip("_")] = value
        self.entries.append(entry)


def crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def date_of(name: str) -> str:
    """A fixed date of spring 2026 that depends on the mail's name only."""
    minutes = zlib.crc32(name.encode()) % (90 * 24 * 60)
    zone = datetime.timezone(datetime.timedelta(hours=8))
    return rfc5322_date(datetime.datetime(2026, 3, 2, 8, 0, tzinfo=zone) + datetime.timedelta(minutes=minutes))


def rfc5322_date(moment: datetime.datetime) -> str:
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return (
        f"{days[moment.weekday()]}, {moment.day:02} {months[moment.month - 1]} {moment.year} "
        f"{moment:%H:%M:%S} {moment:%z}"
    )


def encoded_words(text: str, charset: str = "utf-8", encoding: str = "B") -> str:
    """RFC 2047 encoded words, split between characters, folded."""
    words, piece = [], ""
    limit = 36 if encoding == "B" else 18
    for character in text:
        if piece and len((piece + character).encode(charset)) > limit:
            words.append(piece)
            piece = ""
        piece += character
    words.append(piece)
    return "\r\n ".join(encoded_word(word.encode(charset), charset, encoding) for word in words)


def encoded_word(data: bytes, charset: str = "utf-8", encoding: str = "B") -> str:
    if encoding == "B":
        inner = base64.b64encode(data).decode()
    else:
        safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        inner = "".join(chr(b) if b in safe else "_" if b == 32 else f"={b:02X}" for b in data)
    return f"=?{charset}?{encoding}?{inner}?="


def header_text(text: str) -> str:
    return text if text.isascii() else encoded_words(text)


def address_text(address: Address) -> str:
    name, addr_spec = address
    if name is None:
        return addr_spec
    return f"{header_text(name)} <{addr_spec}>"


def base64_lines(data: bytes) -> bytes:
    encoded = base64.b64encode(data)
    return b"".join(encoded[i : i + 76] + CRLF for i in range(0, len(encoded), 76))


def quoted_printable(data: bytes) -> bytes:
    """RFC 2045 section 6.7, soft breaks before column 76, spaces at line ends encoded."""
    out = []
    for line in data.split(CRLF):
        if re.fullmatch(rb"[ \t!-<>-~]*[!-<>-~]", line):
            # Nothing to encode, which is most lines of most mails: only break it.
            pieces = [line[i : i + 75] for i in range(0, len(line), 75)]
            out += [piece + b"=" for piece in pieces[:-1]] + pieces[-1:]
            continue
        current = b""
        for index, byte in enumerate(line):
            last = index == len(line) - 1
            plain = 33 <= byte <= 126 and byte != 61 or byte in (9, 32) and not last
            token = bytes([byte]) if plain else b"=%02X" % byte
            if len(current) + len(token) > 75:
                out.append(current + b"=")
                current = b""
            current += token
        out.append(current)
    return CRLF.join(out)


def text(content: str, charset: str = "utf-8", cte: str = "", subtype: str = "plain", params: str = "") -> Part:
    data = crlf(content).encode(charset)
    if not cte:
        cte = "7bit" if data.isascii() else "8bit"
    if cte == "base64":
        body = base64_lines(data)
    elif cte == "quoted-printable":
        body = quoted_printable(data)
    else:
        body = data
    label = "us-ascii" if charset == "ascii" else charset
    return Part(
        [("Content-Type", f"text/{subtype}; charset={label}{params}"), ("Content-Transfer-Encoding", cte)], body
    )


def percent(data: bytes) -> str:
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
    return "".join(chr(b) if b in safe else f"%{b:02X}" for b in data)


def attach(
    name: str, content_type: str, data: bytes, disposition: str = "attachment", extra: tuple[tuple[str, str], ...] = ()
) -> Part:
    """An attachment; a name outside ASCII is written as RFC 2231 says."""
    parameter = f'filename="{name}"' if name.isascii() else f"filename*=utf-8''{percent(name.encode())}"
    return Part(
        [
            ("Content-Type", content_type),
            ("Content-Transfer-Encoding", "base64"),
            ("Content-Disposition", f"{disposition};\r\n {parameter}"),
            *extra,
        ],
        base64_lines(data),
    )


def multi(
    subtype: str,
    boundary: str,
    parts: list[Part],
    params: str = "",
    preamble: bytes = b"",
    epilogue: bytes = b"",
) -> Part:
    delimiter = b"--" + boundary.encode()
    body = preamble
    for part in parts:
        body += delimiter + CRLF + entity(part)
        if not body.endswith(CRLF):
            body += CRLF
    body += delimiter + b"--" + CRLF + epilogue
    return Part([("Content-Type", f'multipart/{subtype};{params}\r\n boundary="{boundary}"')], body)


def header_block(headers: list[tuple[str, str | bytes]]) -> bytes:
    out = b""
    for name, value in headers:
        data = value if isinstance(value, bytes) else value.encode("utf-8")
        out += name.encode() + b": " + data + CRLF
    return out


def entity(part: Part) -> bytes:
    return header_block(part.headers) + CRLF + part.body


def mail(
    name: str,
    subject: str | bytes | None,
    part: Part,
    *,
    sender: Address | str | bytes | None = LIN,
    to: Address | str | None = WANG,
    extra: list[tuple[str, str | bytes]] | None = None,
    date: str | None = "",
    message_id: str | None = "",
    mime_version: bool = True,
) -> bytes:
    """A whole message. `None` leaves a header out; a `str` or `bytes` sender
    is written as it stands."""
    headers: list[tuple[str, str | bytes]] = []
    if sender is not None:
        headers.append(("From", address_text(sender) if isinstance(sender, tuple) else sender))
    if to is not None:
        headers.append(("To", address_text(to) if isinstance(to, tuple) else to))
    if subject is not None:
        headers.append(("Subject", header_text(subject) if isinstance(subject, str) else subject))
    if date is not None:
        headers.append(("Date", date or date_of(name)))
    if message_id is not None:
        headers.append(("Message-ID", message_id or f"<{name}@sample.test>"))
    headers += extra or []
    if mime_version:
        headers.append(("MIME-Version", "1.0"))
    return header_block(headers + part.headers) + CRLF + part.body


def noise(seed: str, length: int) -> bytes:
    """Bytes without meaning that are the same everywhere."""
    return random.Random(seed).randbytes(length)


def png(width: int = 8, height: int = 8, rgb: tuple[int, int, int] = (32, 96, 160)) -> bytes:
    """A valid PNG; the pixels are in a stored deflate block, because
    compressors differ between zlib versions."""
    rows = b"".join(b"\0" + bytes(rgb) * width for _ in range(height))
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    stored += struct.pack(">I", zlib.adler32(rows))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


def pdf(line: str) -> bytes:
    """A one-page PDF with a correct cross-reference table."""
    stream = f"BT /F1 18 Tf 72 720 Td ({line}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return out


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (2026, 3, 2, 8, 0, 0))
            info.create_system = 3
            archive.writestr(info, data)
    return buffer.getvalue()
