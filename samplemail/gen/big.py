"""Mails too big to commit; written at need by `generate.py --big DIR`."""

from .build import (
    ADA,
    LIN,
    Corpus,
    Part,
    attach,
    encoded_word,
    mail,
    multi,
    noise,
    text,
)

LIMIT_25_MB = 25 * 1024 * 1024


def build(c: Corpus) -> None:
    name = "big-25mb"
    # 57 bytes make one base64 line of 76 and CRLF; leave room for the headers.
    content = noise(name, (LIMIT_25_MB - 4096) // 78 * 57)
    c.add(
        name,
        "just below 25 MiB: a short text and one attachment",
        mail(
            name,
            "大附件",
            multi(
                "mixed",
                "big-1",
                [
                    text("附件约 18 MB。\n", "utf-8", "base64"),
                    attach("大文件.bin", "application/octet-stream", content),
                ],
            ),
        ),
        subject="大附件",
        from_=[LIN],
        leaf_parts=2,
        attachment_names=["大文件.bin"],
        attachment_size=len(content),
        preview_contains=["附件约 18 MB"],
    )
    name = "big-10000-headers"
    extra: list[tuple[str, str | bytes]] = [(f"X-Line-{n:05}", f"value {n}") for n in range(10_000)]
    c.add(
        name,
        "10,000 header lines",
        mail(name, "Many headers", text("A body.\n", "us-ascii"), sender=ADA, extra=extra),
        subject="Many headers",
        from_=[ADA],
    )
    name, part = "big-1000-levels", text("The innermost text.\n", "us-ascii")
    for level in range(1000, 0, -1):
        part = multi("mixed", f"level-{level:04}", [part])
    c.add(
        name,
        "multipart nested 1,000 levels deep: a parser may stop at its limit, and must not overflow",
        mail(name, "Deep", part, sender=ADA),
        subject="Deep",
        from_=[ADA],
    )
    name = "big-1000-rfc822"
    inner = mail(name, "Deep 1000", text("The innermost mail.\n", "us-ascii"), sender=ADA)
    for level in range(999, -1, -1):
        inner = mail(name, f"Deep {level}", Part([("Content-Type", "message/rfc822")], inner), sender=ADA)
    c.add(name, "message/rfc822 nested 1,000 levels deep", inner, subject="Deep 0", from_=[ADA])
    name = "big-2000-parts"
    parts = [text(f"Part {n}.\n", "us-ascii") for n in range(2000)]
    c.add(
        name,
        "2,000 MIME parts",
        mail(name, "Many parts", multi("mixed", "parts-1", parts), sender=ADA),
        subject="Many parts",
        from_=[ADA],
    )
    name = "big-1mb-line"
    c.add(
        name,
        "one body line of 1 MB",
        mail(name, "One line", text("x" * 1_000_000 + "\n", "us-ascii"), sender=ADA),
        subject="One line",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
    )
    name = "big-encoded-words"
    raw = " ".join(encoded_word(b"a") for _ in range(100_000)).replace("?= =?", "?=\r\n =?")
    c.add(
        name,
        "a subject of 100,000 encoded words",
        mail(name, raw.encode(), text("A body.\n", "us-ascii"), sender=ADA),
        from_=[ADA],
    )
