"""Mail that breaks the rules: structure, headers, line endings, smuggling."""

from typing import Any

from .build import ADA, CRLF, Corpus, crlf, header_block, noise

BASE: list[tuple[str, str | bytes]] = [
    ("From", "Ada Verne <ada@sample.test>"),
    ("To", "wang.jianguo@sample.test"),
    ("Subject", "Broken"),
    ("Date", "Mon, 02 Mar 2026 08:00:00 +0800"),
]


def build(c: Corpus) -> None:
    boundaries(c)
    headers(c)
    content_types(c)
    bytes_and_lines(c)
    smuggling(c)


def block(name: str, *drop: str) -> bytes:
    return header_block(
        [h for h in BASE if h[0] not in drop]
        + ([] if "Message-ID" in drop else [("Message-ID", f"<{name}@sample.test>")])
    )


def raw_mail(name: str, body: str | bytes, headers: str = "", *drop: str) -> bytes:
    data = body if isinstance(body, bytes) else crlf(body).encode()
    return block(name, *drop) + crlf(headers).encode() + CRLF + data


def boundaries(c: Corpus) -> None:
    def one(name: str, shows: str, headers: str, body: str, **more: Any) -> None:
        c.add(name, shows, raw_mail(name, body, "MIME-Version: 1.0\n" + headers), subject="Broken", from_=[ADA], **more)

    mixed = 'Content-Type: multipart/mixed; boundary="b1"\n'
    first = "--b1\nContent-Type: text/plain\n\nFirst part.\n"
    second = '--b1\nContent-Type: text/plain; name="two.txt"\n\nSecond part.\n'
    one(
        "boundary-no-final",
        "the closing boundary is missing",
        mixed,
        first + second,
        leaf_parts=2,
        attachment_names=["two.txt"],
        preview_contains=["First part."],
    )
    one(
        "boundary-cut-in-headers",
        "the mail ends within a part's headers",
        mixed,
        first + "--b1\nContent-Type: text/pl\n",
        preview_contains=["First part."],
    )
    one(
        "boundary-never-found",
        "the declared boundary does not occur; the text must still be readable by somebody",
        mixed,
        "No boundary anywhere.\n",
        text_best="No boundary anywhere.",
    )
    one(
        "boundary-missing-parameter",
        "multipart without a boundary parameter",
        "Content-Type: multipart/mixed\n",
        first + "--b1--\n",
    )
    one(
        "boundary-empty",
        "empty boundary parameter",
        'Content-Type: multipart/mixed; boundary=""\n',
        "--\n\ntext\n----\n",
    )
    one(
        "boundary-prefix",
        "the outer boundary is a prefix of the inner one (RFC 2046 section 5.1.1: whole-line match)",
        'Content-Type: multipart/mixed; boundary="b"\n',
        '--b\nContent-Type: multipart/alternative; boundary="b-inner"\n\n--b-inner\nContent-Type: text/plain\n\nPlain in.\n'
        "--b-inner\nContent-Type: text/html\n\n<p>HTML in.</p>\n--b-inner--\n\n--b\n"
        'Content-Type: text/plain; name="after.txt"\n\nAfter.\n--b--\n',
        leaf_parts=3,
        attachment_names=["after.txt"],
        preview_contains=["Plain in."],
    )
    one(
        "boundary-same-nested",
        "inner and outer multipart use the same boundary",
        mixed,
        '--b1\nContent-Type: multipart/alternative; boundary="b1"\n\n' + first + "--b1--\n--b1--\n",
    )
    one(
        "boundary-odd-characters",
        "boundary with every punctuation mark that RFC 2046 allows, trailing white space on the lines",
        'Content-Type: multipart/mixed;\n boundary="a\'()+_,-./:=? z"\n',
        "--a'()+_,-./:=? z \t\nContent-Type: text/plain\n\nOdd but legal.\n--a'()+_,-./:=? z-- \n",
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["Odd but legal."],
    )
    one(
        "boundary-epilogue",
        "preamble and epilogue with text that must not be shown",
        mixed,
        "PREAMBLE\n" + first + "--b1--\nEPILOGUE --b1 is here\n",
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["First part."],
        text_lacks=["PREAMBLE", "EPILOGUE"],
    )
    one("boundary-no-parts", "a multipart that is closed at once", mixed, "--b1--\n")


def headers(c: Corpus) -> None:
    text_body = "A body.\n"
    for drop in ("From", "Date", "Message-ID"):
        name = f"missing-{drop.lower()}"
        expect: dict[str, Any] = {
            "subject": "Broken",
            "leaf_parts": 1,
            "attachment_names": [],
            "preview_contains": ["A body."],
        }
        expect["from_"] = [] if drop == "From" else [ADA]
        c.add(name, f"no {drop} header", raw_mail(name, text_body, "", drop), **expect)
    c.add(
        "headers-empty-block",
        "the mail begins with an empty line: no headers at all",
        CRLF + b"Only text after an empty line.\r\n",
        subject=None,
        from_=[],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["Only text after an empty line."],
    )
    c.add(
        "headers-none",
        "a body without headers and without the empty line",
        b"This is only a body\r\nwithout any header.\r\n",
        subject=None,
        from_=[],
    )
    c.add(
        "no-body",
        "headers and the empty line, no body",
        raw_mail("no-body", ""),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "no-body-no-blank-line",
        "headers alone, without even the empty line",
        block("no-body-no-blank-line"),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add("empty-line-only", "one CRLF and nothing else", CRLF, subject=None, from_=[])
    folded = "X-Long: " + "\n ".join("word%05d and some more text to fill the line" % i for i in range(1250)) + "\n"
    c.add(
        "header-60k-folded",
        "one header of 60 KB, folded properly",
        raw_mail("header-60k-folded", text_body, folded),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["A body."],
    )
    c.add(
        "header-60k-unfolded",
        "one header line of 60 KB, beyond the 998 of RFC 5322 section 2.1.1",
        raw_mail("header-60k-unfolded", text_body, "X-Long: " + "x" * 60_000 + "\n"),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["A body."],
    )
    c.add(
        "header-no-colon",
        "a line without a colon among the headers: later headers still count",
        raw_mail("header-no-colon", text_body, "this line has no colon\nX-After: still a header\n"),
        subject="Broken",
        from_=[ADA],
        python_skips=("subject", "from"),
    )
    c.add(
        "header-odd-names",
        "header with space before the colon, empty name, empty value, 8-bit name",
        block("header-odd-names")
        + b"X-Space : v\r\n: no name\r\nX-Empty:\r\nX-\xd6\xd0: v\r\nX-NoSpace:v\r\n\r\nA body.\r\n",
        subject="Broken",
        from_=[ADA],
        python_skips=("subject", "from"),
    )
    c.add(
        "header-continuation-first",
        "the first line is a continuation line",
        b" folded from nowhere\r\n" + raw_mail("header-continuation-first", text_body),
    )
    c.add(
        "header-blank-continuation",
        "a continuation line of white space alone (obsolete folding, RFC 5322 section 4.2)",
        raw_mail("header-blank-continuation", text_body, "X-Fold: a\n \n b\nX-After: after\n"),
        headers={"X-After": "after"},
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["A body."],
    )
    c.add(
        "headers-duplicate",
        "two From and two Subject headers (RFC 5322 section 3.6 allows one)",
        raw_mail("headers-duplicate", text_body, "From: Bob Quill <bob@harbour.example>\nSubject: Another subject\n"),
        from_count=2,
        subject_count=2,
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["A body."],
    )
    c.add(
        "date-broken",
        "a date that no grammar reads",
        raw_mail("date-broken", text_body, "Date: yesterday, 25:61 o'clock\n", "Date"),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["A body."],
    )
    c.add(
        "date-obsolete",
        "obsolete date form: two-digit year, zone name, comment (RFC 5322 section 4.3)",
        raw_mail("date-obsolete", text_body, "Date: 2 Mar 26 08:00 EST (eastern)\n", "Date"),
        date="2026-03-02T13:00:00Z",
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["A body."],
    )
    c.add(
        "mbox-from-line",
        "the first line is an mbox separator that somebody forgot, the body has From lines",
        b"From ada@sample.test Mon Mar  2 08:00:00 2026\r\n"
        + raw_mail("mbox-from-line", "From here on\n>From there\n"),
    )
    received = "".join(
        f"Received: from hop{i}.example (hop{i}.example [192.0.2.{i}])\n\tby hop{i + 1}.example with ESMTP id q{i:04};\n\tMon, 02 Mar 2026 08:{i:02}:00 +0800\n"
        for i in range(40)
    )
    c.add(
        "received-40",
        "40 Received headers: a loop or a long way",
        raw_mail("received-40", text_body, received),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        received_count=40,
        preview_contains=["A body."],
    )


def content_types(c: Corpus) -> None:
    for name, shows, value in (
        (
            "content-type-garbage",
            "a Content-Type that cannot be read: treat it as text/plain (RFC 2045 section 5.2)",
            "Content-Type: ;;=;/ /x\n",
        ),
        (
            "content-type-no-subtype",
            "Content-Type: text, without a subtype, as very old programs sent",
            "Content-Type: text\n",
        ),
        (
            "content-type-twice",
            "two Content-Type headers",
            "Content-Type: text/plain; charset=utf-8\nContent-Type: text/html\n",
        ),
    ):
        c.add(
            name,
            shows,
            raw_mail(name, "A body.\n", "MIME-Version: 1.0\n" + value),
            subject="Broken",
            from_=[ADA],
            leaf_parts=1,
        )
    c.add(
        "content-type-unquoted",
        "parameters with spaces and slashes that should be quoted, stray semicolons",
        raw_mail(
            "content-type-unquoted",
            "--u1\nContent-Type: application/octet-stream; name=my file.bin;;\nContent-Disposition: attachment; filename=my file.bin;\n\nbytes\n--u1--\n",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed ; boundary = u1 ;\n",
        ),
        subject="Broken",
        from_=[ADA],
    )
    c.add(
        "message-external-body",
        "message/external-body (RFC 2046 section 5.2.3): nothing may be fetched",
        raw_mail(
            "message-external-body",
            "Content-Type: image/png\nContent-ID: <e@sample.test>\n\nPHANTOM\n",
            'MIME-Version: 1.0\nContent-Type: message/external-body; access-type=anon-ftp;\n site="ftp.example"; name="x.png"\n',
        ),
        subject="Broken",
        from_=[ADA],
    )
    c.add(
        "message-partial",
        "message/partial, part 1 of 2 (RFC 2046 section 5.2.2): not joined",
        raw_mail(
            "message-partial",
            "Subject: Whole\n\nfirst half\n",
            'MIME-Version: 1.0\nContent-Type: message/partial; id="abc@sample.test"; number=1; total=2\n',
        ),
        subject="Broken",
        from_=[ADA],
    )


def bytes_and_lines(c: Corpus) -> None:
    c.add(
        "nul-bytes",
        "NUL bytes in a header and in the body (forbidden by RFC 5322 section 4)",
        raw_mail("nul-bytes", b"before\0after\r\n\0\0\r\n").replace(b"Subject: Broken", b"Subject: Bro\0ken"),
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "control-bytes",
        "every control character but NUL, CR and LF in the body",
        raw_mail("control-bytes", b"x" + bytes(b for b in range(1, 32) if b not in (10, 13)) + b"\x7f\r\n"),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "eight-bit-noise",
        "all bytes from 128 to 255 with no charset",
        raw_mail("eight-bit-noise", bytes(range(128, 256)) + b"\r\n"),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "binary-cte",
        "Content-Transfer-Encoding: binary without CR or LF problems",
        raw_mail(
            "binary-cte",
            noise("binary", 600).translate(None, b"\r\n\0") + CRLF,
            "MIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n",
        ),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
    )
    c.add(
        "long-line-20k",
        "a body line of 20 KB, beyond the 998 of RFC 5322 section 2.1.1",
        raw_mail("long-line-20k", "A long line: " + "lorem ipsum " * 1700 + "\nA short one.\n"),
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["A long line:"],
    )
    lf = raw_mail("bare-lf", "Every line of this file ends in LF alone.\nAs Unix tools write it.\n").replace(
        CRLF, b"\n"
    )
    c.add(
        "bare-lf",
        "bare LF throughout, as a file written by Unix tools; SMTP must refuse it (RFC 5321 section 2.3.8), import may normalise",
        lf,
        transmit="import",
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["Every line of this file"],
    )
    c.add(
        "bare-lf-mixed",
        "CRLF headers, bare LF in the middle of the body",
        raw_mail("bare-lf-mixed", b"one\r\ntwo\nthree\r\n"),
        transmit="import",
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "bare-cr",
        "bare CR in header and body",
        raw_mail("bare-cr", b"one\rtwo\r\nthree\r\r\n", "X-Bare: a\rX-Injected: b\n"),
        transmit="import",
    )
    c.add(
        "no-final-newline",
        "the last line has no line ending: DATA cannot carry it unchanged, BDAT and APPEND can",
        raw_mail("no-final-newline", b"The end"),
        transmit="import",
        subject="Broken",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["The end"],
    )
    c.add("empty-file", "a file of no bytes", b"", transmit="import")


def smuggling(c: Corpus) -> None:
    """CVE-2023-51764 and its kin: the sequence in the middle must not end the mail."""
    for name, sequence, written in (
        ("smuggle-lf-dot-crlf", b"\n.\r\n", "LF . CRLF"),
        ("smuggle-crlf-dot-lf", b"\r\n.\n", "CRLF . LF"),
        ("smuggle-lf-dot-lf", b"\n.\n", "LF . LF"),
        ("smuggle-cr-dot-cr", b"\r.\r", "CR . CR"),
        ("smuggle-cr-dot-crlf", b"\r.\r\n", "CR . CRLF"),
        ("smuggle-crlf-dot-cr", b"\r\n.\r", "CRLF . CR"),
        ("smuggle-nul-dot", b"\r\n\0.\r\n", "CRLF NUL . CRLF"),
    ):
        second = (
            b"MAIL FROM:<ceo@sample.test>\r\nRCPT TO:<wang.jianguo@sample.test>\r\nDATA\r\n"
            b"From: ceo@sample.test\r\nTo: wang.jianguo@sample.test\r\nSubject: SMUGGLED\r\n\r\nPay at once.\r\n.\r\n"
        )
        raw = raw_mail(name, b"Harmless text." + sequence + second)
        c.add(
            name,
            f"SMTP smuggling with {written}: the bytes to write after the 354 reply, the true end included; "
            "a server refuses it or takes one mail, and never takes SMUGGLED as a mail of its own",
            raw,
            transmit="raw-smtp",
            messages_at_most=1,
            smuggled_subject="SMUGGLED",
        )
