"""A small DKIM verifier (RFC 6376 section 6.1) for the self-test: it reads the
mail and the committed key record only, and shares no code with the signer."""

import base64
import hashlib
import re
from pathlib import Path

DKIM_DIR = Path(__file__).resolve().parent.parent / "dkim"


def dkim_result(raw: bytes) -> str:
    """`pass` if any signature verifies, else `fail`."""
    block, body = raw.split(b"\r\n\r\n", 1)
    fields = re.split(rb"\r\n(?![ \t])", block)
    signatures = [f for f in fields if f.lower().startswith(b"dkim-signature:")]
    return "pass" if any(verifies(s, fields, body) for s in signatures) else "fail"


def verifies(signature: bytes, fields: list[bytes], body: bytes) -> bool:
    pairs = (item.split("=", 1) for item in signature.split(b":", 1)[1].decode().split(";") if "=" in item)
    tags = {name.strip(): re.sub(r"\s", "", value) for name, value in pairs}
    record = DKIM_DIR / f"{tags['s']}._domainkey.{tags['d']}.txt"
    if not record.is_file():
        return False
    relaxed = tags["c"] == "relaxed/relaxed"
    if relaxed:
        body = re.sub(rb"[ \t]+(?=\r\n)", b"", body)
        body = re.sub(rb"[ \t]+", b" ", body)
    body = re.sub(rb"(\r\n)+\Z", b"", body) + b"\r\n"
    if base64.b64encode(hashlib.sha256(body).digest()).decode() != tags["bh"]:
        return False
    hashed = b""
    for name in tags["h"].split(":"):
        found = [f for f in fields if f.split(b":", 1)[0].strip().lower() == name.lower().encode()]
        hashed += canonical(found[-1], relaxed) + b"\r\n"
    hashed += canonical(re.sub(rb"(;\s*b=)[^;]*", rb"\1", signature), relaxed)
    modulus, exponent = public_key(record.read_text())
    value = pow(int.from_bytes(base64.b64decode(tags["b"]), "big"), exponent, modulus)
    # 00 01 FF.. 00 DigestInfo: the digest is the last 32 octets, the rest is fixed.
    expected = "1" + "ff" * (modulus.bit_length() // 8 - 54) + "003031300d060960864801650304020105000420"
    return f"{value:x}" == expected + hashlib.sha256(hashed).hexdigest()


def canonical(field: bytes, relaxed: bool) -> bytes:
    if not relaxed:
        return field
    name, value = field.split(b":", 1)
    return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()


def public_key(record: str) -> tuple[int, int]:
    """The fixed layout of a 2048-bit RSA SubjectPublicKeyInfo with e = 65537."""
    info = base64.b64decode(record.split("p=", 1)[1])
    return int.from_bytes(info[-5 - 256 : -5], "big"), int.from_bytes(info[-3:], "big")
