"""Headers: encoded words, parameter names, addresses, awkward subjects."""

import base64
from typing import Any

from .build import (
    ADA,
    BOB,
    LIN,
    Address,
    Corpus,
    Part,
    base64_lines,
    encoded_word,
    encoded_words,
    mail,
    multi,
    percent,
    png,
    text,
)

BODY = "See the subject and the headers.\n"


def body() -> Part:
    return text(BODY, "us-ascii")


def build(c: Corpus) -> None:
    encoded_word_cases(c)
    filename_cases(c)
    raw_headers(c)
    addresses(c)
    subjects(c)


def encoded_word_cases(c: Corpus) -> None:
    sentence = "关于二〇二六年第一季度海运报价单的确认函（修订版）"
    data = sentence.encode()
    cut = [data[i : i + 25] for i in range(0, len(data), 25)]

    def one(name: str, shows: str, raw_subject: str, subject: str, **more: Any) -> None:
        c.add(
            name,
            shows,
            mail(name, raw_subject.encode(), body()),
            subject=subject,
            from_=[LIN],
            leaf_parts=1,
            attachment_names=[],
            preview_contains=["See the subject"],
            **more,
        )

    one("rfc2047-b", "RFC 2047 B, folded over several words", encoded_words(sentence), sentence)
    one("rfc2047-q", "RFC 2047 Q, folded over several words", encoded_words(sentence, "utf-8", "Q"), sentence)
    one(
        "rfc2047-split-multibyte",
        "encoded words cut inside multi-byte characters (forbidden, common): join the bytes first",
        "\r\n ".join(encoded_word(piece) for piece in cut),
        sentence,
    )
    one(
        "rfc2047-adjacent",
        "white space between two encoded words vanishes, between a word and text it stays",
        f"{encoded_word('你'.encode())} \r\n {encoded_word('好'.encode())} and {encoded_word('世界'.encode('gbk'), 'gbk')} ok",
        "你好 and 世界 ok",
    )
    one(
        "rfc2047-mixed-charsets",
        "adjacent words in GB2312, Big5 and UTF-8",
        "\r\n ".join(
            encoded_word(t.encode(cs), cs) for t, cs in (("会议", "gb2312"), ("會議", "big5"), ("会議", "utf-8"))
        ),
        "会议會議会議",
    )
    one(
        "rfc2047-language",
        "encoded word with a language suffix (RFC 2231 section 5)",
        f"=?utf-8*zh-CN?B?{base64.b64encode('语言'.encode()).decode()}?=",
        "语言",
        python_skips=("subject",),
    )
    one(
        "rfc2047-lower-case",
        "lower-case encoding letters, upper-case charset, underscores",
        "=?UTF-8?q?Caf=C3=A9_au_lait?= =?UTF-8?b?" + base64.b64encode(" ☕".encode()).decode() + "?=",
        "Café au lait ☕",
    )
    one(
        "rfc2047-broken-words",
        "things that look like encoded words and are not; they stay as they are",
        "=?utf-8?X?abc?= =?utf-8?B? and =?",
        "=?utf-8?X?abc?= =?utf-8?B? and =?",
        python_skips=("subject",),
    )


def file_part(content_type: str, disposition: str | bytes) -> Part:
    return Part(
        [("Content-Type", content_type), ("Content-Transfer-Encoding", "base64"), ("Content-Disposition", disposition)],
        base64_lines(b"file content\r\n"),
    )


def filename_cases(c: Corpus) -> None:
    def one(name: str, shows: str, parts: list[Part], names: list[str], **more: Any) -> None:
        raw = mail(name, "File names", multi("mixed", f"{name}-b", [text("Look at the name.\n", "us-ascii"), *parts]))
        c.add(
            name,
            shows,
            raw,
            subject="File names",
            from_=[LIN],
            leaf_parts=1 + len(parts),
            attachment_names=names,
            preview_contains=["Look at the name."],
            **more,
        )

    long_name = "二〇二六年第一季度海运报价单（修订版）.xlsx"
    encoded = percent(long_name.encode())
    half = encoded[:48], encoded[48:96], encoded[96:]
    continued = (
        "attachment;\r\n filename*0*=utf-8'zh-CN'"
        + half[0]
        + "".join(f";\r\n filename*{i}*={piece}" for i, piece in enumerate(half[1:], 1))
    )
    one(
        "rfc2231-continuations",
        "RFC 2231 name in three encoded continuations with charset and language, cut inside characters",
        [file_part("application/octet-stream", continued)],
        [long_name],
    )
    one(
        "rfc2231-gb18030",
        "RFC 2231 name in GB18030",
        [file_part("application/pdf", f"attachment; filename*=gb18030''{percent('合同.pdf'.encode('gb18030'))}")],
        ["合同.pdf"],
    )
    one(
        "rfc2231-mixed-continuations",
        "continuations, one encoded, one plain and quoted",
        [
            file_part(
                "text/plain", "attachment;\r\n filename*0*=utf-8''%E5%90%88%E5%90%8C;\r\n filename*1=\" copy.txt\""
            )
        ],
        ["合同 copy.txt"],
    )
    one(
        "rfc2231-and-plain",
        "filename= and filename*= together: the encoded one counts (RFC 6266 section 4.3)",
        [file_part("text/plain", "attachment; filename=\"fallback.txt\"; filename*=utf-8''%E5%90%88%E5%90%8C.txt")],
        ["合同.txt"],
        python_skips=("attachment_names",),
    )
    word = encoded_word("报价单.xlsx".encode())
    gbk_words = "\r\n ".join(encoded_word(piece.encode("gbk"), "gbk") for piece in ("合同", "终稿.doc"))
    one(
        "rfc2047-in-filename",
        "encoded words inside quoted filename and name (forbidden by RFC 2047 section 5, everywhere in practice)",
        [
            file_part(f'application/vnd.ms-excel; name="{word}"', f'attachment; filename="{word}"'),
            file_part("application/octet-stream", f'attachment; filename="{gbk_words}"'),
        ],
        ["报价单.xlsx", "合同终稿.doc"],
    )
    one(
        "filename-raw-utf8",
        "raw UTF-8 in filename",
        [file_part("text/plain", 'attachment; filename="说明.txt"')],
        ["说明.txt"],
        python_skips=("attachment_names",),
    )
    raw_gbk = mail(
        "filename-raw-gbk",
        "File names",
        multi(
            "mixed",
            "raw-gbk-b",
            [
                text("Look at the name.\n", "us-ascii"),
                file_part("text/plain", b'attachment; filename="' + "说明.txt".encode("gbk") + b'"'),
            ],
        ),
    )
    c.add(
        "filename-raw-gbk",
        "raw GBK in filename: best guess, never a failure",
        raw_gbk,
        subject="File names",
        from_=[LIN],
        leaf_parts=2,
        attachment_names_best=["说明.txt"],
        preview_contains=["Look at the name."],
    )
    one(
        "filename-traversal",
        "names with paths, quotes and control characters: decode as they are, never use as a path",
        [
            file_part("text/plain", 'attachment; filename="../../etc/passwd"'),
            file_part("text/plain", 'attachment; filename="a \\"quoted\\" name.txt"'),
            file_part("text/plain", "attachment; filename*=utf-8''C%3A%5Cboot.ini"),
        ],
        ["../../etc/passwd", 'a "quoted" name.txt', "C:\\boot.ini"],
    )
    one(
        "filename-in-name-only",
        "no disposition, only the old name parameter, unquoted",
        [
            Part(
                [("Content-Type", "image/png; name=photo.png"), ("Content-Transfer-Encoding", "base64")],
                base64_lines(png()),
            )
        ],
        ["photo.png"],
    )


def raw_headers(c: Corpus) -> None:
    c.add(
        "header-raw-utf8",
        "raw UTF-8 in Subject and display name, no SMTPUTF8 asked for",
        mail(
            "header-raw-utf8", "原始 UTF-8 主题".encode(), body(), sender="林晓雨 <lin.xiaoyu@northwind.test>".encode()
        ),
        subject="原始 UTF-8 主题",
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
        python_skips=("subject", "from"),
    )
    c.add(
        "header-raw-gbk",
        "raw GBK in Subject and display name: best guess, never a failure",
        mail(
            "header-raw-gbk",
            "原始国标主题".encode("gbk"),
            body(),
            sender="林晓雨 <lin.xiaoyu@northwind.test>".encode("gbk"),
        ),
        subject_best="原始国标主题",
        from_address="lin.xiaoyu@northwind.test",
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "smtputf8",
        "SMTPUTF8 (RFC 6531/6532): address 用户@例子.中国, raw UTF-8 headers",
        mail(
            "smtputf8",
            "国际化邮件地址".encode(),
            text("来自国际化地址。\n"),
            sender="用户 <用户@例子.中国>".encode(),
            to="收件人@例子.测试",
        ),
        needs=("smtputf8",),
        subject="国际化邮件地址",
        from_=[("用户", "用户@例子.中国")],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["来自国际化地址"],
        python_skips=("subject", "from"),
    )
    c.add(
        "idn-punycode",
        "internationalised domain in its ASCII form",
        mail("idn-punycode", "Punycode", body(), sender=("Bücher", "shop@xn--bcher-kva.example")),
        subject="Punycode",
        from_=[("Bücher", "shop@xn--bcher-kva.example")],
        leaf_parts=1,
        attachment_names=[],
    )


def addresses(c: Corpus) -> None:
    def one(
        name: str, shows: str, sender: str, expected: list[Address], to: str = "wang.jianguo@sample.test", **more: Any
    ) -> None:
        c.add(
            name,
            shows,
            mail(name, "Addresses", body(), sender=sender, to=to, extra=more.pop("extra", None)),
            subject="Addresses",
            from_=expected,
            leaf_parts=1,
            attachment_names=[],
            **more,
        )

    one(
        "address-undisclosed",
        "empty group in To (RFC 5322 section 3.4)",
        "ada@sample.test",
        [(None, "ada@sample.test")],
        to="undisclosed-recipients:;",
        to_addresses=[],
    )
    one(
        "address-groups",
        "groups with members, a list of several addresses",
        "ada@sample.test",
        [(None, "ada@sample.test")],
        to='Harbour team: bob@harbour.example,\r\n "Quill, Bob" <bob.q@harbour.example>; , wang.jianguo@sample.test',
        to_addresses=["bob@harbour.example", "bob.q@harbour.example", "wang.jianguo@sample.test"],
    )
    one(
        "address-comments",
        "comments, nested, and folding white space inside an address",
        "Ada (the (first) one) Verne\r\n <ada@sample.test> (office)",
        [("Ada Verne", "ada@sample.test")],
        python_skips=("from",),
    )
    one(
        "address-quoted-local",
        "quoted local part with space and at sign, quoted name with comma and escapes",
        '"Verne, Ada \\"A\\"" <"ada v@x"@sample.test>',
        [('Verne, Ada "A"', '"ada v@x"@sample.test')],
        python_skips=("from",),
    )
    one(
        "address-route",
        "obsolete source route (RFC 5322 section 4.4); the route is dropped",
        "Ada Verne <@relay.example,@hub.example:ada@sample.test>",
        [ADA],
        python_skips=("from",),
    )
    one("address-domain-literal", "domain literal", "Ada Verne <ada@[192.0.2.7]>", [("Ada Verne", "ada@[192.0.2.7]")])
    one(
        "address-x400",
        "a gateway address of the X.400 kind",
        '"/G=Ada/S=Verne/O=Harbour/PRMD=Post/ADMD= /C=XX/"@x400.example',
        [(None, '"/G=Ada/S=Verne/O=Harbour/PRMD=Post/ADMD= /C=XX/"@x400.example')],
        python_skips=("from",),
    )
    one(
        "address-two-authors",
        "two addresses in From with a Sender (RFC 5322 section 3.6.2)",
        "Ada Verne <ada@sample.test>, Bob Quill <bob@harbour.example>",
        [ADA, BOB],
        extra=[("Sender", "bob@harbour.example")],
    )
    c.add(
        "address-name-is-address",
        "display name that pretends to be another address",
        mail("address-name-is-address", "Urgent transfer", body(), sender='"ceo@sample.test" <thief@phish.example>'),
        subject="Urgent transfer",
        from_=[("ceo@sample.test", "thief@phish.example")],
        leaf_parts=1,
        attachment_names=[],
    )
    c.add(
        "address-garbage",
        "a From that no grammar reads: keep the text, do not fail",
        mail("address-garbage", "Garbage", body(), sender='<<>>,,;:@@ not an address "unclosed'),
        subject="Garbage",
        leaf_parts=1,
        attachment_names=[],
    )
    many = ",\r\n ".join(f"reader{i:03}@lists.example" for i in range(300))
    c.add(
        "address-300-recipients",
        "300 addresses in To",
        mail("address-300-recipients", "To all", body(), sender=ADA, to=many),
        subject="To all",
        from_=[ADA],
        leaf_parts=1,
        attachment_names=[],
        to_count=300,
    )


def subjects(c: Corpus) -> None:
    def one(name: str, shows: str, raw: str | bytes, subject: str, **more: Any) -> None:
        c.add(
            name,
            shows,
            mail(name, raw, body()),
            subject=subject,
            from_=[LIN],
            leaf_parts=1,
            attachment_names=[],
            **more,
        )

    one("subject-empty", "Subject present and empty", b"", "")
    c.add(
        "subject-missing",
        "no Subject",
        mail("subject-missing", None, body()),
        subject=None,
        from_=[LIN],
        leaf_parts=1,
        attachment_names=[],
    )
    thousand = ("长主题一二三四五六七" * 100)[:1000]
    one("subject-1000", "a subject of 1,000 Chinese characters", thousand, thousand)
    one(
        "subject-emoji",
        "emoji with joiners, flags and skin tones",
        "🎉 发布成功 👩🏽‍💻🇨🇳 ✅",
        "🎉 发布成功 👩🏽‍💻🇨🇳 ✅",
    )
    one(
        "subject-rtl",
        "right-to-left text, and an override that must not turn the page around",
        "مرحبا بالعالم שלום \u202egnp.exe",
        "مرحبا بالعالم שלום \u202egnp.exe",
    )
    one(
        "subject-folded-tabs",
        "folded with tabs in odd places",
        b"A\r\n\tsubject\r\n   that is\r\n \t folded",
        "A subject that is folded",
        subject_normalised=True,
    )
    one(
        "subject-control",
        "encoded word that decodes to line breaks and NUL: header injection",
        encoded_word(b"Hi\r\nBcc: all@sample.test\0!"),
        "Hi\r\nBcc: all@sample.test\0!",
        subject_normalised=True,
        python_skips=("subject",),
    )
