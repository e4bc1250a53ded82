"""DKIM signatures that verify against dkim/, and S/MIME and PGP shapes."""

import base64
import hashlib
import re
from typing import Any

from .build import (
    ADA,
    BOB,
    CRLF,
    Corpus,
    Part,
    attach,
    base64_lines,
    crlf,
    entity,
    mail,
    multi,
    noise,
    text,
)
from .rsa import NULL, TestKey, der, integer, oid, seq

SELECTOR, DOMAIN = "test", "sample.test"
DATA, SIGNED, ENVELOPED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.3"
RSA, SHA256, SHA256_RSA, AES256_CBC = (
    "1.2.840.113549.1.1.1",
    "2.16.840.1.101.3.4.2.1",
    "1.2.840.113549.1.1.11",
    "2.16.840.1.101.3.4.1.42",
)


def build(c: Corpus) -> None:
    key = TestKey()
    dkim_mails(c, key)
    smime(c, key)
    pgp(c)


def dkim_txt(key: TestKey) -> str:
    return f"v=DKIM1; k=rsa; p={base64.b64encode(key.public_key_info()).decode()}\n"


def relaxed_header(name: str, value: str) -> str:
    """RFC 6376 section 3.4.2."""
    folded = re.sub(r"[ \t]+", " ", value.replace("\r\n", "")).strip()
    return f"{name.lower().strip()}:{folded}"


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(CRLF)]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + CRLF for line in lines)


def simple_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.3."""
    while body.endswith(CRLF + CRLF):
        body = body[:-2]
    return body or CRLF


def dkim_sign(raw: bytes, key: TestKey, relaxed: bool = True, domain: str = DOMAIN) -> bytes:
    block, body = raw.split(CRLF + CRLF, 1)
    fields = re.findall(r"([^:\r\n]+):((?:[^\r]|\r\n[ \t])*)\r\n", (block + CRLF).decode())
    wanted = ["from", "to", "subject", "date", "message-id", "mime-version", "content-type"]
    # The last field of a name is signed first (section 5.4.2); ours are single.
    chosen = [(n, v) for w in wanted for n, v in fields if n.lower() == w]
    mode = "relaxed/relaxed" if relaxed else "simple/simple"
    digest = base64.b64encode(hashlib.sha256(relaxed_body(body) if relaxed else simple_body(body)).digest()).decode()
    value = (
        f" v=1; a=rsa-sha256; c={mode}; d={domain}; s={SELECTOR};\r\n\tt=1772409600; "
        f"h={':'.join(n for n, _ in chosen)};\r\n\tbh={digest};\r\n\tb="
    )
    fold = relaxed_header if relaxed else (lambda n, v: f"{n}:{v}")
    signed = "".join(fold(n, v) + "\r\n" for n, v in chosen) + fold("DKIM-Signature", value)
    signature = base64.b64encode(key.sign(signed.encode())).decode()
    pieces = "\r\n\t ".join(signature[i : i + 68] for i in range(0, len(signature), 68))
    return f"DKIM-Signature:{value}{pieces}\r\n".encode() + raw


def dkim_mails(c: Corpus, key: TestKey) -> None:
    expect: dict[str, Any] = {
        "from_": [ADA],
        "leaf_parts": 1,
        "attachment_names": [],
        "dkim_record": f"{SELECTOR}._domainkey.{DOMAIN}",
    }
    body = text("This mail is signed.\n\nSpaces   and tabs\tare folded.  \n\n\n", "us-ascii")
    good = dkim_sign(mail("dkim-relaxed", "Signed, relaxed", body, sender=ADA), key)
    c.add(
        "dkim-relaxed",
        "DKIM rsa-sha256 relaxed/relaxed that verifies",
        good,
        subject="Signed, relaxed",
        dkim="pass",
        preview_contains=["This mail is signed."],
        **expect,
    )
    relayed = good.replace(b"Subject: Signed, relaxed", b"SUBJECT:   Signed,\r\n\trelaxed").replace(
        b"Spaces   and", b"Spaces and"
    )
    c.add(
        "dkim-relaxed-refolded",
        "the same after a relay refolded a header and squeezed spaces: still verifies",
        relayed,
        subject="Signed, relaxed",
        subject_normalised=True,
        dkim="pass",
        preview_contains=["This mail is signed."],
        **expect,
    )
    c.add(
        "dkim-simple",
        "DKIM simple/simple that verifies",
        dkim_sign(mail("dkim-simple", "Signed, simple", body, sender=ADA), key, False),
        subject="Signed, simple",
        dkim="pass",
        preview_contains=["This mail is signed."],
        **expect,
    )
    chinese = mail("dkim-chinese", "签名的中文邮件", text("这封邮件带有签名。\n", "utf-8", "base64"), sender=ADA)
    c.add(
        "dkim-chinese",
        "DKIM over a Chinese mail with encoded words",
        dkim_sign(chinese, key),
        subject="签名的中文邮件",
        dkim="pass",
        preview_contains=["这封邮件带有签名"],
        **expect,
    )
    c.add(
        "dkim-body-changed",
        "a body changed after signing: the body hash fails",
        dkim_sign(mail("dkim-body-changed", "Changed", body, sender=ADA), key).replace(
            b"This mail is signed", b"This mail was signed"
        ),
        subject="Changed",
        dkim="fail",
        preview_contains=["This mail was signed."],
        **expect,
    )
    c.add(
        "dkim-header-changed",
        "a From changed after signing: the signature fails",
        dkim_sign(mail("dkim-header-changed", "Forged", body, sender=ADA), key).replace(
            b"From: Ada Verne", b"From: Eve Verne"
        ),
        subject="Forged",
        dkim="fail",
        preview_contains=["This mail is signed."],
        **(expect | {"from_": [("Eve Verne", ADA[1])]}),
    )
    c.add(
        "dkim-two-signatures",
        "two signatures: one by a domain without a key, one that verifies",
        dkim_sign(dkim_sign(mail("dkim-two-signatures", "Twice", body, sender=ADA), key), key, domain="nokey.example"),
        subject="Twice",
        dkim="pass",
        preview_contains=["This mail is signed."],
        **expect,
    )


def smime(c: Corpus, key: TestKey) -> None:
    name = seq(der(0x31, seq(oid("2.5.4.3"), der(0x0C, b"Ada Verne (test)"))))
    validity = seq(der(0x17, b"260101000000Z"), der(0x17, b"360101000000Z"))
    algorithm = seq(oid(SHA256_RSA), NULL)
    tbs = seq(der(0xA0, integer(2)), integer(7), algorithm, name, validity, name, key.public_key_info())
    certificate = seq(tbs, algorithm, der(0x03, b"\0" + key.sign(tbs)))
    issuer = seq(name, integer(7))
    sha, rsa = seq(oid(SHA256), NULL), seq(oid(RSA), NULL)

    def signed_data(content: bytes, detached: bool) -> bytes:
        """CMS SignedData (RFC 5652 section 5.1) without signed attributes."""
        inner = seq(oid(DATA)) if detached else seq(oid(DATA), der(0xA0, der(0x04, content)))
        signer = seq(integer(1), issuer, sha, rsa, der(0x04, key.sign(content)))
        return seq(
            oid(SIGNED), der(0xA0, seq(integer(1), der(0x31, sha), inner, der(0xA0, certificate), der(0x31, signer)))
        )

    content = text("Signed with S/MIME.\n", "us-ascii")
    bytes_signed = entity(content)
    signature = attach("smime.p7s", "application/pkcs7-signature; name=smime.p7s", signed_data(bytes_signed, True))
    # The CRLF before the delimiter is not part of what is signed (RFC 1847 section 2.1).
    body = b"--smime-1\r\n" + bytes_signed + b"\r\n--smime-1\r\n" + entity(signature) + b"\r\n--smime-1--\r\n"
    clear = Part(
        [
            (
                "Content-Type",
                'multipart/signed; protocol="application/pkcs7-signature";\r\n micalg=sha-256; boundary="smime-1"',
            )
        ],
        body,
    )
    c.add(
        "smime-signed",
        "S/MIME multipart/signed; the signature is right, the certificate is self-signed",
        mail("smime-signed", "S/MIME signed", clear, sender=ADA),
        subject="S/MIME signed",
        from_=[ADA],
        leaf_parts=2,
        attachment_names=["smime.p7s"],
        smime="signed",
        preview_contains=["Signed with S/MIME."],
    )
    opaque = attach(
        "smime.p7m", "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", signed_data(bytes_signed, False)
    )
    c.add(
        "smime-opaque",
        "S/MIME opaque signed-data",
        mail("smime-opaque", "S/MIME opaque", opaque, sender=ADA),
        subject="S/MIME opaque",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=["smime.p7m"],
        smime="opaque",
    )
    recipient = seq(integer(0), issuer, rsa, der(0x04, noise("smime key", 256)))
    encrypted = seq(
        oid(DATA), seq(oid(AES256_CBC), der(0x04, noise("smime iv", 16))), der(0x80, noise("smime content", 256))
    )
    enveloped = seq(oid(ENVELOPED), der(0xA0, seq(integer(0), der(0x31, recipient), encrypted)))
    c.add(
        "smime-enveloped",
        "S/MIME enveloped-data: right structure, the secret is noise that nobody can open",
        mail(
            "smime-enveloped",
            "S/MIME encrypted",
            attach("smime.p7m", "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", enveloped),
            sender=ADA,
        ),
        subject="S/MIME encrypted",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=["smime.p7m"],
        smime="enveloped",
    )


def armor(kind: str, data: bytes) -> str:
    """RFC 9580 section 6.2, with the CRC-24 that older programs want."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    lines = base64_lines(data).decode().replace("\r\n", "\n")
    check = base64.b64encode((crc & 0xFFFFFF).to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP {kind}-----\n\n{lines}={check}\n-----END PGP {kind}-----\n"


def pgp(c: Corpus) -> None:
    # Packet heads of RFC 9580 section 4.2 (tag 2 signature, tag 1 session key,
    # tag 18 encrypted data) before bytes without meaning.
    signature = armor("SIGNATURE", b"\xc2\x5e\x04\x00\x16\x0a" + noise("pgp signature", 90))
    message = armor("MESSAGE", b"\xc1\x4c\x03" + noise("pgp session", 75) + b"\xd2\x81\x01" + noise("pgp data", 192))
    signed = multi(
        "signed",
        "pgp-1",
        [
            text("Signed with PGP.\n", "us-ascii"),
            Part(
                [
                    ("Content-Type", "application/pgp-signature; name=signature.asc"),
                    ("Content-Description", "OpenPGP digital signature"),
                ],
                crlf(signature).encode(),
            ),
        ],
        ' micalg=pgp-sha256;\r\n protocol="application/pgp-signature";',
    )
    c.add(
        "pgp-mime-signed",
        "PGP/MIME multipart/signed (RFC 3156): right structure, the signature is noise",
        mail("pgp-mime-signed", "PGP signed", signed, sender=BOB),
        subject="PGP signed",
        from_=[BOB],
        leaf_parts=2,
        attachment_names=["signature.asc"],
        pgp="signed",
        preview_contains=["Signed with PGP."],
    )
    encrypted = multi(
        "encrypted",
        "pgp-2",
        [
            Part([("Content-Type", "application/pgp-encrypted")], b"Version: 1\r\n"),
            Part(
                [
                    ("Content-Type", "application/octet-stream; name=encrypted.asc"),
                    ("Content-Disposition", "inline; filename=encrypted.asc"),
                ],
                crlf(message).encode(),
            ),
        ],
        ' protocol="application/pgp-encrypted";',
    )
    c.add(
        "pgp-mime-encrypted",
        "PGP/MIME multipart/encrypted (RFC 3156): right structure, the content is noise",
        mail("pgp-mime-encrypted", "...", encrypted, sender=BOB),
        subject="...",
        from_=[BOB],
        leaf_parts=2,
        attachment_names=["encrypted.asc"],
        pgp="encrypted",
    )
    c.add(
        "pgp-inline",
        "old inline PGP in text/plain",
        mail("pgp-inline", "PGP inline", text("Below.\n\n" + message, "us-ascii"), sender=BOB),
        subject="PGP inline",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
        pgp="inline",
        preview_contains=["BEGIN PGP MESSAGE"],
    )
