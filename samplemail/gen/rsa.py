"""RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2) with the committed test key, and
enough DER (X.690) to read the key and to write certificates and CMS.

Not constant-time and not for real keys: the key of this folder is public.
"""

import base64
import hashlib
from pathlib import Path

KEY_FILE = Path(__file__).resolve().parent.parent / "dkim" / "test-key.pem"
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def der(tag: int, content: bytes) -> bytes:
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def seq(*items: bytes) -> bytes:
    return der(0x30, b"".join(items))


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    out = bytes([first * 40 + second])
    for number in rest:
        piece = [number & 0x7F]
        while number := number >> 7:
            piece.insert(0, 0x80 | number & 0x7F)
        out += bytes(piece)
    return der(0x06, out)


NULL = b"\x05\x00"


def read_integers(data: bytes) -> list[int]:
    """The integers of one SEQUENCE OF INTEGER (RFC 8017 appendix A.1.2)."""

    def head(at: int) -> tuple[int, int]:
        length, at = data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            return int.from_bytes(data[at : at + count], "big"), at + count
        return length, at

    _, at = head(0)
    numbers = []
    while at < len(data):
        length, at = head(at)
        numbers.append(int.from_bytes(data[at : at + length], "big"))
        at += length
    return numbers


class TestKey:
    def __init__(self) -> None:
        lines = [line for line in KEY_FILE.read_text().splitlines() if line and not line.startswith("-")]
        _, self.n, self.e, self.d, *_ = read_integers(base64.b64decode("".join(lines)))
        self.size = (self.n.bit_length() + 7) // 8

    def sign(self, data: bytes) -> bytes:
        info = SHA256_PREFIX + hashlib.sha256(data).digest()
        padded = b"\0\1" + b"\xff" * (self.size - len(info) - 3) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), self.d, self.n).to_bytes(self.size, "big")

    def public_key_info(self) -> bytes:
        key = seq(integer(self.n), integer(self.e))
        return seq(seq(oid("1.2.840.113549.1.1.1"), NULL), der(0x03, b"\0" + key))
