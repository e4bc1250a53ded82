"""Well-formed mail as people send it every day."""

import binascii

from .build import (
    ADA,
    BOB,
    LIN,
    Corpus,
    Part,
    attach,
    mail,
    multi,
    pdf,
    png,
    text,
    zip_bytes,
)


def build(c: Corpus) -> None:
    plain_and_html(c)
    attachments(c)
    nested(c)
    small_cases(c)


HTML = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><style>p { color: #234 }</style></head>
<body><p>The <b>harbour</b> report is ready.</p><p>Tide: 3&nbsp;m &lt; limit.</p></body></html>
"""


def plain_and_html(c: Corpus) -> None:
    c.add(
        "plain",
        "text/plain, 7bit: the simplest mail",
        mail(
            "plain", "Lunch on Thursday", text("Hello Wang,\n\nshall we meet at noon?\n\nAda\n", "us-ascii"), sender=ADA
        ),
        subject="Lunch on Thursday",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["shall we meet at noon?"],
    )
    flowed = text(
        "This paragraph is one long line that the sender's program has \nbroken softly, as RFC 3676 says.\n\n"
        "> A quoted line \n> that continues.\n\n-- \nAda\n",
        "us-ascii",
        params="; format=flowed; delsp=no",
    )
    c.add(
        "format-flowed",
        "text/plain; format=flowed (RFC 3676) with quotes and a signature",
        mail("format-flowed", "Flowed text", flowed, sender=ADA),
        subject="Flowed text",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["This paragraph is one long line"],
    )
    c.add(
        "html-only",
        "text/html alone, quoted-printable; a preview must come from the markup",
        mail("html-only", "Harbour report", text(HTML, "utf-8", "quoted-printable", "html"), sender=BOB),
        subject="Harbour report",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["report is ready."],
    )
    hostile = (
        '<html><body><script>alert("x")</script><p onclick="alert(1)">Please look at the '
        '<a href="javascript:alert(2)">price list</a>.</p><img src="http://tracker.example/p.gif?id=7" width=1 height=1>'
        '<form action="http://phish.example/"><input name=password></form><iframe src="http://phish.example/"></iframe>'
        "<style>@import url(http://tracker.example/x.css);</style></body></html>\n"
    )
    c.add(
        "html-active-content",
        "text/html with script, event handler, remote image, form and frame: none may run or load",
        mail(
            "html-active-content",
            "Price list",
            text(hostile, "us-ascii", "7bit", "html"),
            sender=(None, "offers@phish.example"),
        ),
        subject="Price list",
        from_=[(None, "offers@phish.example")],
        leaf_parts=1,
        attachment_names=[],
    )
    both = multi(
        "alternative",
        "alt-1",
        [text("The harbour report is ready.\n", "us-ascii"), text(HTML, "utf-8", "quoted-printable", "html")],
    )
    c.add(
        "alternative",
        "multipart/alternative: plain and HTML",
        mail("alternative", "Harbour report, both ways", both, sender=BOB),
        subject="Harbour report, both ways",
        from_=[BOB],
        leaf_parts=2,
        attachment_names=[],
        preview_contains=["The harbour report is ready."],
    )


def attachments(c: Corpus) -> None:
    three = multi(
        "mixed",
        "mixed-1",
        [
            text("Three files are attached.\n", "us-ascii"),
            attach("report.pdf", "application/pdf", pdf("Harbour report")),
            attach("chart.png", "image/png", png()),
            attach("figures.zip", "application/zip", zip_bytes({"figures.csv": b"month,tons\r\n2026-01,120\r\n"})),
        ],
        preamble=b"This is a multi-part message in MIME format.\r\n",
    )
    c.add(
        "mixed-attachments",
        "multipart/mixed: text, PDF, PNG and ZIP",
        mail("mixed-attachments", "Report with files", three, sender=BOB),
        subject="Report with files",
        from_=[BOB],
        leaf_parts=4,
        attachment_names=["report.pdf", "chart.png", "figures.zip"],
        preview_contains=["Three files are attached."],
    )
    image = attach("logo.png", "image/png", png(), "inline", (("Content-ID", "<logo.1@sample.test>"),))
    related = multi(
        "related",
        "rel-1",
        [
            text(
                '<html><body><p>Our new logo:</p><img src="cid:logo.1@sample.test" alt="logo"></body></html>\n',
                "us-ascii",
                "7bit",
                "html",
            ),
            image,
        ],
        ' type="text/html";',
    )
    c.add(
        "related-inline-image",
        "multipart/related: HTML with an image by Content-ID (RFC 2392)",
        mail("related-inline-image", "New logo", related, sender=ADA),
        subject="New logo",
        from_=[ADA],
        leaf_parts=2,
        attachment_names=["logo.png"],
        content_ids=["logo.1@sample.test"],
        preview_contains=["Our new logo:"],
    )
    whole = multi(
        "mixed",
        "outer-2",
        [
            multi(
                "alternative",
                "alt-2",
                [
                    text("附件是新标志和合同。\n", "utf-8", "base64"),
                    multi(
                        "related",
                        "rel-2",
                        [
                            text(
                                '<p>附件是新标志和合同。<img src="cid:logo.2@sample.test"></p>\n',
                                "utf-8",
                                "base64",
                                "html",
                            ),
                            attach("标志.png", "image/png", png(), "inline", (("Content-ID", "<logo.2@sample.test>"),)),
                        ],
                    ),
                ],
            ),
            attach("合同.pdf", "application/pdf", pdf("Contract")),
        ],
    )
    c.add(
        "mixed-alternative-related",
        "mixed of alternative of related: what common mail programs send",
        mail("mixed-alternative-related", "新标志和合同", whole),
        subject="新标志和合同",
        from_=[LIN],
        leaf_parts=4,
        attachment_names=["标志.png", "合同.pdf"],
        preview_contains=["附件是新标志和合同"],
    )
    only = multi(
        "mixed",
        "only-1",
        [
            attach("scan-1.pdf", "application/pdf", pdf("Scan 1")),
            attach("scan-2.pdf", "application/pdf", pdf("Scan 2")),
        ],
    )
    c.add(
        "only-attachments",
        "multipart/mixed with attachments and no text",
        mail("only-attachments", "Scans", only, sender=BOB),
        subject="Scans",
        from_=[BOB],
        leaf_parts=2,
        attachment_names=["scan-1.pdf", "scan-2.pdf"],
    )
    c.add(
        "attachment-as-body",
        "the message itself is one PDF, no multipart",
        mail("attachment-as-body", "Fax", attach("fax.pdf", "application/pdf", pdf("Fax")), sender=BOB),
        subject="Fax",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=["fax.pdf"],
    )
    c.add(
        "multipart-one-part",
        "multipart/mixed with a single part",
        mail("multipart-one-part", "One part", multi("mixed", "one-1", [text("Only this.\n", "us-ascii")]), sender=ADA),
        subject="One part",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["Only this."],
    )
    c.add(
        "empty-attachment",
        "an attachment of zero bytes",
        mail(
            "empty-attachment",
            "Nothing in it",
            multi(
                "mixed",
                "empty-1",
                [text("The file is empty.\n", "us-ascii"), attach("empty.bin", "application/octet-stream", b"")],
            ),
            sender=ADA,
        ),
        subject="Nothing in it",
        from_=[ADA],
        leaf_parts=2,
        attachment_names=["empty.bin"],
        preview_contains=["The file is empty."],
    )
    tnef = b"\x78\x9f\x3e\x22" + b"\x01\x00" + b"\x01\x06\x90\x08\x00\x04\x00\x00\x00\x00\x00\x01\x00\x01\x00\x01\x00"
    c.add(
        "winmail-dat",
        "application/ms-tnef: the wrapper that Outlook makes (signature and version attribute, shape only)",
        mail(
            "winmail-dat",
            "Meeting notes",
            multi(
                "mixed",
                "tnef-1",
                [text("See the notes.\n", "us-ascii"), attach("winmail.dat", "application/ms-tnef", tnef)],
            ),
            sender=BOB,
        ),
        subject="Meeting notes",
        from_=[BOB],
        leaf_parts=2,
        attachment_names=["winmail.dat"],
        preview_contains=["See the notes."],
    )


def nested(c: Corpus) -> None:
    def wrap(message: bytes, name: str) -> Part:
        return Part(
            [("Content-Type", "message/rfc822"), ("Content-Disposition", f'attachment; filename="{name}"')], message
        )

    innermost = mail("nested-inner-2", "最里面的一封", text("第三层。\n", "utf-8", "base64"))
    inner = mail(
        "nested-inner-1",
        "Middle",
        multi("mixed", "nest-2", [text("Level two.\n", "us-ascii"), wrap(innermost, "inner.eml")]),
        sender=BOB,
    )
    c.add(
        "nested-rfc822",
        "message/rfc822 in message/rfc822, two levels, inner subject in Chinese",
        mail(
            "nested-rfc822",
            "Fwd: Middle",
            multi("mixed", "nest-1", [text("Level one.\n", "us-ascii"), wrap(inner, "middle.eml")]),
            sender=ADA,
        ),
        subject="Fwd: Middle",
        from_=[ADA],
        leaf_parts=2,
        leaf_parts_deep=3,
        attachment_names=["middle.eml"],
        nested_subjects=["Middle", "最里面的一封"],
        preview_contains=["Level one."],
    )
    digest = multi(
        "digest",
        "digest-1",
        [
            Part([], mail(f"digest-{n}", f"Topic {n}", text(f"Body of topic {n}.\n", "us-ascii"), sender=ADA))
            for n in (1, 2, 3)
        ],
    )
    c.add(
        "digest",
        "multipart/digest: parts without Content-Type are message/rfc822 (RFC 2046 section 5.1.5)",
        mail("digest", "Weekly digest", digest, sender=(None, "weekly@lists.example")),
        subject="Weekly digest",
        from_=[(None, "weekly@lists.example")],
        leaf_parts=3,
        leaf_parts_deep=3,
        attachment_names=[],
        nested_subjects=["Topic 1", "Topic 2", "Topic 3"],
    )


def small_cases(c: Corpus) -> None:
    c.add(
        "dot-lines",
        "lines that begin with dots, among them a line that is one dot: a client dot-stuffs them",
        mail("dot-lines", "Dots", text("First\n.\n..\n.hidden\n...\nLast line\n", "us-ascii"), sender=ADA),
        subject="Dots",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["First"],
        text_lines=["First", ".", "..", ".hidden", "...", "Last line"],
    )
    c.add(
        "read-receipt-request",
        "Disposition-Notification-To and old Return-Receipt-To",
        mail(
            "read-receipt-request",
            "Please confirm",
            text("Tell me when you have read it.\n", "us-ascii"),
            sender=ADA,
            extra=[
                ("Disposition-Notification-To", "Ada Verne <ada@sample.test>"),
                ("Return-Receipt-To", "ada@sample.test"),
                ("Importance", "high"),
                ("X-Priority", "1"),
            ],
        ),
        subject="Please confirm",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        headers={"Disposition-Notification-To": "Ada Verne <ada@sample.test>"},
        preview_contains=["Tell me when"],
    )
    uu = "The file follows.\n\nbegin 644 note.txt\n" + uuencode(b"uuencoded text from long ago\n") + "`\nend\n"
    c.add(
        "uuencode-inline",
        "a file uuencoded inside text/plain; it stays text unless a reader knows better",
        mail("uuencode-inline", "Old style", text(uu, "us-ascii"), sender=BOB),
        subject="Old style",
        from_=[BOB],
        leaf_parts=1,
        preview_contains=["The file follows."],
    )
    c.add(
        "markdown-and-urls",
        "plain text with long addresses, brackets and tabs",
        mail(
            "markdown-and-urls",
            "Links",
            text("See <https://docs.sample.test/a/b?c=d&e=%20f#g>.\n\n\t* item\n\t* item 2\n\n| a | b |\n", "us-ascii"),
            sender=ADA,
        ),
        subject="Links",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["https://docs.sample.test/a/b?c=d"],
    )


def uuencode(data: bytes) -> str:
    lines = [binascii.b2a_uu(data[i : i + 45], backtick=True).decode() for i in range(0, len(data), 45)]
    return "".join(lines)
