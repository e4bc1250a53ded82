"""Character sets and transfer encodings of bodies, and labels that lie."""

import base64

from .build import (
    BOB,
    CRLF,
    LIN,
    Corpus,
    Part,
    attach,
    crlf,
    encoded_words,
    mail,
    multi,
    text,
)

CHINESE = "各位同事：\n\n下周三下午三点在会议室讨论新产品的报价，请准时参加。\n\n林晓雨\n"
TRADITIONAL = "各位同仁：\n\n下週三下午三點在會議室討論新產品的報價，請準時參加。\n"
JAPANESE = "お世話になっております。\n\n来週の会議は水曜日の午後三時からです。\n"
KOREAN = "안녕하세요.\n\n다음 주 수요일 회의에 참석해 주시기 바랍니다.\n"
RUSSIAN = "Добрый день!\n\nСовещание состоится в среду в три часа.\n"


def build(c: Corpus) -> None:
    real(c)
    lies(c)
    transfer(c)


def real(c: Corpus) -> None:
    rows = [
        ("zh-gb18030", "gb18030", "8bit", CHINESE + "生僻字：㐀𠀀\n", "会议通知𠀀", "下周三下午三点"),
        ("zh-gbk", "gbk", "8bit", CHINESE + "朱镕基、㎡、囍\n", "会议通知囍", "下周三下午三点"),
        ("zh-gb2312", "gb2312", "base64", CHINESE, "会议通知", "下周三下午三点"),
        ("zh-big5", "big5", "quoted-printable", TRADITIONAL, "會議通知", "下週三下午三點"),
        ("zh-utf8-8bit", "utf-8", "8bit", CHINESE, "会议通知", "下周三下午三点"),
        ("zh-utf8-base64", "utf-8", "base64", CHINESE, "会议通知", "下周三下午三点"),
        ("zh-utf8-qp", "utf-8", "quoted-printable", CHINESE, "会议通知", "下周三下午三点"),
        ("ja-iso-2022-jp", "iso-2022-jp", "7bit", JAPANESE, "会議のご案内", "来週の会議は水曜日"),
        ("ja-shift-jis", "shift_jis", "base64", JAPANESE, "会議のご案内", "来週の会議は水曜日"),
        ("ko-euc-kr", "euc-kr", "8bit", KOREAN, "회의 안내", "다음 주 수요일"),
        ("ru-koi8-r", "koi8-r", "8bit", RUSSIAN, "Совещание", "Добрый день!"),
        (
            "de-iso-8859-1",
            "iso-8859-1",
            "quoted-printable",
            "Grüße aus Köln,\n\nschöne Tage!\n",
            "Grüße",
            "Grüße aus Köln",
        ),
        (
            "windows-1252",
            "windows-1252",
            "8bit",
            "“Smart quotes” – and a € sign.\n",
            "“Quotes” – €5",
            "“Smart quotes” – and a €",
        ),
    ]
    for name, charset, cte, content, subject, needle in rows:
        folded = encoded_words(subject, charset)
        c.add(
            name,
            f"text/plain in {charset}, {cte}; subject as encoded word in the same charset",
            mail(name, folded.encode(), text(content, charset, cte)),
            subject=subject,
            from_=[LIN],
            leaf_parts=1,
            attachment_names=[],
            preview_contains=[needle],
        )
    c.add(
        "utf-7",
        "text/plain in UTF-7 (RFC 2152)",
        mail("utf-7", "UTF-7", text("Price: £5, naïve.\n", "utf-7", "7bit"), sender=BOB),
        subject="UTF-7",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "utf-8-bom",
        "UTF-8 text that begins with a byte order mark",
        mail("utf-8-bom", "BOM", text("\ufeff带有字节序标记的正文。\n", "utf-8", "base64")),
        subject="BOM",
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["带有字节序标记的正文"],
    )
    mixed = multi(
        "mixed",
        "charsets-1",
        [
            text("第一部分\n", "gb18030", "8bit"),
            text("第二部分\n", "utf-8", "base64"),
            text("第三部份\n", "big5", "quoted-printable"),
        ],
    )
    c.add(
        "three-charsets",
        "three text parts in three charsets in one mail",
        mail("three-charsets", "三种编码", mixed),
        subject="三种编码",
        from_=[LIN],
        leaf_parts=3,
        attachment_names=[],
        preview_contains=["第一部分"],
    )


def labelled(content_type: str, cte: str, body: bytes) -> Part:
    return Part([("Content-Type", content_type), ("Content-Transfer-Encoding", cte)], body)


def lies(c: Corpus) -> None:
    utf8 = crlf(CHINESE).encode()
    c.add(
        "lie-us-ascii-is-utf8",
        "says us-ascii 7bit, is UTF-8",
        mail("lie-us-ascii-is-utf8", "谎称 ASCII", labelled("text/plain; charset=us-ascii", "7bit", utf8)),
        subject="谎称 ASCII",
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
        text_best="下周三下午三点",
    )
    c.add(
        "lie-utf8-is-gbk",
        "says UTF-8, is GBK",
        mail(
            "lie-utf8-is-gbk", "谎称 UTF-8", labelled("text/plain; charset=utf-8", "8bit", crlf(CHINESE).encode("gbk"))
        ),
        subject="谎称 UTF-8",
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
        text_best="下周三下午三点",
    )
    c.add(
        "lie-gb2312-is-gbk",
        "says GB2312, uses characters that only GBK has: treat GB2312 as GBK/GB18030",
        mail(
            "lie-gb2312-is-gbk",
            "朱镕基的信",
            labelled("text/plain; charset=gb2312", "8bit", crlf("朱镕基，囍。\n").encode("gbk")),
        ),
        subject="朱镕基的信",
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["朱镕基，囍。"],
        python_skips=("preview_contains",),
    )
    c.add(
        "charset-unknown",
        "charset=x-foo: the ASCII in it must still be readable",
        mail(
            "charset-unknown",
            "Unknown charset",
            labelled("text/plain; charset=x-foo", "8bit", "Readable part. 与其余。\r\n".encode()),
            sender=BOB,
        ),
        subject="Unknown charset",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["Readable part."],
        python_skips=("preview_contains",),
    )
    c.add(
        "no-charset-utf8",
        "no MIME headers at all, body is UTF-8",
        mail("no-charset-utf8", "没有 MIME 头", Part([], utf8), mime_version=False),
        subject="没有 MIME 头",
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
        text_best="下周三下午三点",
    )
    c.add(
        "truncated-multibyte",
        "UTF-8 body cut in the middle of a character",
        mail(
            "truncated-multibyte",
            "Cut",
            labelled("text/plain; charset=utf-8", "8bit", "Before the cut 中".encode()[:-1] + CRLF),
            sender=BOB,
        ),
        subject="Cut",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["Before the cut"],
    )


def transfer(c: Corpus) -> None:
    good = base64.b64encode("垃圾字符之间的正文".encode()).decode().rstrip("=")
    dirty = (good[:8] + "!*\r\n" + good[8:20] + " ~\r\n\r\n" + good[20:] + "\r\n").encode()
    c.add(
        "base64-garbage",
        "base64 body with foreign characters and without padding; both must be overlooked (RFC 2045 section 6.8)",
        mail("base64-garbage", "Dirty base64", labelled("text/plain; charset=utf-8", "base64", dirty)),
        subject="Dirty base64",
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
        text_best="垃圾字符之间的正文",
    )
    c.add(
        "base64-missing-padding",
        "base64 attachment whose padding is missing",
        mail(
            "base64-missing-padding",
            "No padding",
            multi(
                "mixed",
                "pad-1",
                [
                    text("See file.\n", "us-ascii"),
                    Part(
                        [("Content-Type", 'text/csv; name="a.csv"'), ("Content-Transfer-Encoding", "base64")],
                        base64.b64encode(b"a,b\r\n1,22\r\n").rstrip(b"=") + CRLF,
                    ),
                ],
            ),
            sender=BOB,
        ),
        subject="No padding",
        from_=[BOB],
        leaf_parts=2,
        attachment_names=["a.csv"],
        preview_contains=["See file."],
    )
    c.add(
        "qp-broken",
        "quoted-printable with wrong escapes, lower-case hex and a soft break at the end",
        mail(
            "qp-broken",
            "Broken QP",
            labelled(
                "text/plain; charset=utf-8",
                "quoted-printable",
                b"Fine =e4=b8=ad=E6=96=87 then =XY and =4 and 100%=\r\n joined=\r\n",
            ),
            sender=BOB,
        ),
        subject="Broken QP",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["Fine 中文 then"],
    )
    c.add(
        "cte-unknown",
        "Content-Transfer-Encoding: x-rot13 is unknown: keep the bytes, do not decode (RFC 2045 section 6.4)",
        mail(
            "cte-unknown",
            "Unknown encoding",
            labelled("text/plain; charset=us-ascii", "x-rot13", b"Uryyb\r\n"),
            sender=BOB,
        ),
        subject="Unknown encoding",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "cte-on-multipart",
        "base64 declared on a multipart, which RFC 2045 section 6.4 forbids and old programs send",
        mail(
            "cte-on-multipart",
            "Encoded multipart?",
            Part(
                [("Content-Transfer-Encoding", "base64")] + multi("mixed", "cte-1", []).headers,
                multi(
                    "mixed",
                    "cte-1",
                    [text("Still readable.\n", "us-ascii"), attach("x.bin", "application/octet-stream", b"xyz")],
                ).body,
            ),
            sender=BOB,
        ),
        subject="Encoded multipart?",
        from_=[BOB],
        leaf_parts=2,
        attachment_names=["x.bin"],
        preview_contains=["Still readable."],
    )
