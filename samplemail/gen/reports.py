"""Mail that machines send, calendar mail, list mail, threads, business mail."""

from .build import (
    ADA,
    BOB,
    CRLF,
    LIN,
    WANG,
    Address,
    Corpus,
    Part,
    attach,
    crlf,
    header_text,
    mail,
    multi,
    pdf,
    text,
    zip_bytes,
)

DAEMON: Address = ("Mail Delivery System", "mailer-daemon@mx.sample.test")


def build(c: Corpus) -> None:
    calendar(c)
    notifications(c)
    lists(c)
    thread(c)
    business(c)


def ics(method: str, status: str) -> str:
    return (
        f"BEGIN:VCALENDAR\nPRODID:-//Sample//Calendar 1.0//EN\nVERSION:2.0\nMETHOD:{method}\nBEGIN:VTIMEZONE\nTZID:Asia/Shanghai\n"
        "BEGIN:STANDARD\nDTSTART:19910915T000000\nTZOFFSETFROM:+0800\nTZOFFSETTO:+0800\nTZNAME:CST\nEND:STANDARD\nEND:VTIMEZONE\n"
        "BEGIN:VEVENT\nUID:meeting-20260311@northwind.test\nDTSTAMP:20260302T000000Z\nDTSTART;TZID=Asia/Shanghai:20260311T150000\n"
        "DTEND;TZID=Asia/Shanghai:20260311T160000\nSEQUENCE:0\nSUMMARY:新产品报价讨论\nLOCATION:三号会议室\n"
        "ORGANIZER;CN=林晓雨:mailto:lin.xiaoyu@northwind.test\n"
        f"ATTENDEE;CN=王建国;PARTSTAT={status};RSVP=TRUE:mailto:wang.jianguo@sample.test\nEND:VEVENT\nEND:VCALENDAR\n"
    )


def calendar(c: Corpus) -> None:
    for name, shows, method, status, subject, sender in (
        (
            "calendar-request",
            "an invitation: text/calendar METHOD:REQUEST (RFC 6047)",
            "REQUEST",
            "NEEDS-ACTION",
            "邀请：新产品报价讨论",
            LIN,
        ),
        ("calendar-reply", "the answer to it: METHOD:REPLY", "REPLY", "ACCEPTED", "已接受：新产品报价讨论", WANG),
        (
            "calendar-cancel",
            "the meeting is called off: METHOD:CANCEL",
            "CANCEL",
            "NEEDS-ACTION",
            "已取消：新产品报价讨论",
            LIN,
        ),
    ):
        parts = multi(
            "mixed",
            f"{name}-m",
            [
                multi(
                    "alternative",
                    f"{name}-a",
                    [
                        text("时间：3月11日 15:00，三号会议室\n", "utf-8", "base64"),
                        text(ics(method, status), "utf-8", "base64", "calendar", f"; method={method}"),
                    ],
                ),
                attach("invite.ics", "application/ics", crlf(ics(method, status)).encode()),
            ],
        )
        c.add(
            name,
            shows,
            mail(name, subject, parts, sender=sender, to=LIN if sender is WANG else WANG),
            subject=subject,
            from_=[sender],
            leaf_parts=3,
            attachment_names=["invite.ics"],
            calendar_method=method,
            calendar_uid="meeting-20260311@northwind.test",
            preview_contains=["时间：3月11日 15:00"],
        )


def report(kind: str, boundary: str, parts: list[Part]) -> Part:
    return multi("report", boundary, parts, f" report-type={kind};")


def lines_part(content_type: str, lines: str) -> Part:
    return Part([("Content-Type", content_type)], crlf(lines).encode())


def notifications(c: Corpus) -> None:
    returned = mail(
        "returned", "Quarterly figures", text("The figures.\n", "us-ascii"), sender=ADA, to="nobody@harbour.example"
    )
    status = (
        "Reporting-MTA: dns; mx.sample.test\nArrival-Date: Mon, 02 Mar 2026 08:00:00 +0800\n\n"
        "Original-Recipient: rfc822;nobody@harbour.example\nFinal-Recipient: rfc822;nobody@harbour.example\nAction: failed\n"
        "Status: 5.1.1\nRemote-MTA: dns; mx.harbour.example\nDiagnostic-Code: smtp; 550 5.1.1 no such mailbox\n"
    )
    c.add(
        "dsn-failed",
        "a DSN for a failed recipient with the whole mail returned (RFC 3464, RFC 6522)",
        mail(
            "dsn-failed",
            "Undelivered Mail Returned to Sender",
            report(
                "delivery-status",
                "dsn-1",
                [
                    text("Your mail could not be delivered to nobody@harbour.example.\n", "us-ascii"),
                    lines_part("message/delivery-status", status),
                    Part([("Content-Type", "message/rfc822")], returned),
                ],
            ),
            sender=DAEMON,
            to=ADA,
            extra=[("Auto-Submitted", "auto-replied"), ("Return-Path", "<>")],
        ),
        subject="Undelivered Mail Returned to Sender",
        from_=[DAEMON],
        leaf_parts=3,
        report_type="delivery-status",
        dsn={"action": "failed", "status": "5.1.1", "final_recipient": "nobody@harbour.example"},
        preview_contains=["Your mail could not be delivered"],
    )
    delayed = (
        status.replace("Action: failed", "Action: delayed")
        .replace("5.1.1\n", "4.4.1\n")
        .replace("550 5.1.1 no such mailbox", "connection timed out")
    )
    headers_only = Part([("Content-Type", "text/rfc822-headers")], returned.split(CRLF + CRLF)[0] + CRLF)
    c.add(
        "dsn-delayed",
        "a DSN for a delay, headers only returned",
        mail(
            "dsn-delayed",
            "Delivery delayed",
            report(
                "delivery-status",
                "dsn-2",
                [
                    text("Your mail is late; we keep trying.\n", "us-ascii"),
                    lines_part("message/delivery-status", delayed),
                    headers_only,
                ],
            ),
            sender=DAEMON,
            to=ADA,
            extra=[("Auto-Submitted", "auto-generated")],
        ),
        subject="Delivery delayed",
        from_=[DAEMON],
        leaf_parts=3,
        report_type="delivery-status",
        dsn={"action": "delayed", "status": "4.4.1", "final_recipient": "nobody@harbour.example"},
        preview_contains=["Your mail is late"],
    )
    mdn = (
        "Reporting-UA: sample.test; Sample Reader 1.0\nOriginal-Recipient: rfc822;wang.jianguo@sample.test\n"
        "Final-Recipient: rfc822;wang.jianguo@sample.test\nOriginal-Message-ID: <read-receipt-request@sample.test>\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\n"
    )
    c.add(
        "mdn-displayed",
        "an MDN: the mail was displayed (RFC 8098)",
        mail(
            "mdn-displayed",
            "已读: Please confirm",
            report(
                "disposition-notification",
                "mdn-1",
                [text("您的邮件已被阅读。\n", "utf-8", "base64"), lines_part("message/disposition-notification", mdn)],
            ),
            sender=WANG,
            to=ADA,
        ),
        subject="已读: Please confirm",
        from_=[WANG],
        leaf_parts=2,
        report_type="disposition-notification",
        mdn={"disposition": "displayed", "original_message_id": "read-receipt-request@sample.test"},
        preview_contains=["您的邮件已被阅读"],
    )
    c.add(
        "auto-reply",
        "an out-of-office reply: Auto-Submitted: auto-replied (RFC 3834), which must not be answered",
        mail(
            "auto-reply",
            "自动回复：出差中",
            text("我在出差，3月9日回来。\n"),
            sender=WANG,
            to=LIN,
            extra=[
                ("Auto-Submitted", "auto-replied"),
                ("Precedence", "bulk"),
                ("In-Reply-To", "<thread-1@sample.test>"),
            ],
        ),
        subject="自动回复：出差中",
        from_=[WANG],
        leaf_parts=1,
        attachment_names=[],
        headers={"Auto-Submitted": "auto-replied"},
        preview_contains=["我在出差"],
    )
    feedback = (
        "Feedback-Type: abuse\nUser-Agent: SampleFBL/1.0\nVersion: 1\nOriginal-Mail-From: <offers@phish.example>\n"
    )
    c.add(
        "arf-abuse",
        "an abuse report (RFC 5965)",
        mail(
            "arf-abuse",
            "FW: Price list",
            report(
                "feedback-report",
                "arf-1",
                [
                    text("This is an abuse report.\n", "us-ascii"),
                    lines_part("message/feedback-report", feedback),
                    Part([("Content-Type", "message/rfc822")], returned),
                ],
            ),
            sender=(None, "fbl@harbour.example"),
        ),
        subject="FW: Price list",
        from_=[(None, "fbl@harbour.example")],
        leaf_parts=3,
        report_type="feedback-report",
        preview_contains=["This is an abuse report."],
    )


def lists(c: Corpus) -> None:
    extra: list[tuple[str, str | bytes]] = [
        ("Sender", "builders-bounces@lists.example"),
        ("List-Id", "Builders of harbours <builders.lists.example>"),
        ("List-Post", "<mailto:builders@lists.example>"),
        ("List-Archive", "<https://lists.example/builders/>"),
        ("List-Unsubscribe", "<https://lists.example/u/7f3a>,\r\n <mailto:builders-leave@lists.example?subject=leave>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Precedence", "list"),
    ]
    c.add(
        "list-mail",
        "list mail: List-Id, List-Unsubscribe, one-click (RFC 2919, 2369, 8058)",
        mail(
            "list-mail",
            "[builders] New crane",
            text("The new crane has come.\n\n-- \nbuilders mailing list\n", "us-ascii"),
            sender=BOB,
            to="builders@lists.example",
            extra=extra,
        ),
        subject="[builders] New crane",
        from_=[BOB],
        leaf_parts=1,
        attachment_names=[],
        list_id="builders.lists.example",
        preview_contains=["The new crane has come."],
    )


def thread(c: Corpus) -> None:
    """Six mails of one thread; prefixes in English and Chinese do not split it."""
    subject = "第二季度船期安排"
    people = [LIN, WANG]
    for n, (prefix, parent, says) in enumerate(
        [
            ("", 0, "请问四月的船期定了吗？"),
            ("回复：", 1, "四月八日和十五日两班。"),
            ("Re: ", 2, "谢谢，十五日那班还有舱位吗？"),
            ("答复: 回复: ", 3, "还有十二个标准箱。"),
            ("RE: 答复: ", 4, "请留六个。"),
            ("回复: Re: ", 2, "八日那班已满，特此补充。"),
        ],
        1,
    ):
        name, ancestors = f"thread-{n}", []
        walk = parent
        parents = {2: 1, 3: 2, 4: 3, 5: 4, 6: 2}
        while walk:
            ancestors.insert(0, f"<thread-{walk}@sample.test>")
            walk = parents.get(walk, 0)
        extra: list[tuple[str, str | bytes]] = []
        if ancestors:
            extra = [("In-Reply-To", ancestors[-1]), ("References", "\r\n ".join(ancestors))]
        sender, to = people[(n - 1) % 2], people[n % 2]
        quoted = f"{says}\n" if not ancestors else f"{says}\n\n> 上一封来信的引文\n"
        date = f"Tue, 03 Mar 2026 09:{n * 7:02}:00 +0800"
        c.add(
            name,
            f"thread of six, mail {n}" + (f", answer to {parent}" if parent else ""),
            mail(name, prefix + subject, text(quoted, "utf-8", "base64"), sender=sender, to=to, extra=extra, date=date),
            subject=prefix + subject,
            from_=[sender],
            leaf_parts=1,
            attachment_names=[],
            preview_contains=[says],
            message_id=f"{name}@sample.test",
            thread="six",
            base_subject=subject,
            in_reply_to=ancestors[-1].strip("<>") if ancestors else None,
            references=[a.strip("<>") for a in ancestors],
        )


def business(c: Corpus) -> None:
    rows = [
        ("角钢 50×50×5", "12 吨", "4,150.00", "49,800.00"),
        ("镀锌管 DN50", "300 米", "38.60", "11,580.00"),
        ("运费", "1 次", "2,200.00", "2,200.00"),
    ]
    table = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    html = (
        f"<html><body style=\"font-family:'Microsoft YaHei'\"><p>王经理，您好：</p><p>贵司 3 月订单的电子发票已开具，价税合计 <b>¥63,580.00</b>，"
        f"请查收附件并于 3 月 31 日前安排付款。</p>\n<table border=1><tr><th>品名</th><th>数量</th><th>单价</th><th>金额</th></tr>\n{table}</table>\n"
        "<p>林晓雨<br>北风钢贸有限公司 财务部<br>电话 000-0000-0000</p></body></html>\n"
    )
    plain = (
        "王经理，您好：\n\n贵司 3 月订单的电子发票已开具，价税合计 ¥63,580.00，请查收附件并于 3 月 31 日前安排付款。\n\n"
        + "".join("    ".join(row) + "\n" for row in rows)
        + "\n林晓雨\n北风钢贸有限公司 财务部\n"
    )
    parts = multi(
        "mixed",
        "----=_Part_20260305_001",
        [
            multi(
                "alternative",
                "----=_Part_20260305_002",
                [text(plain, "gb18030", "base64"), text(html, "gb18030", "base64", "html")],
            ),
            attach("电子发票_20260305.pdf", "application/pdf", pdf("E-INVOICE 20260305  CNY 63,580.00")),
            attach(
                "对账单.xlsx",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                zip_bytes({"[Content_Types].xml": b"<Types/>"}),
            ),
        ],
    )
    c.add(
        "business-invoice-zh",
        "an invoice as a Chinese company sends it: GB18030, alternative, two attachments with Chinese names",
        mail(
            "business-invoice-zh",
            "【发票】北风钢贸有限公司 2026年3月电子发票 ¥63,580.00",
            parts,
            extra=[
                ("Cc", f"{header_text('财务部')} <finance@sample.test>"),
                ("X-Mailer", "Foxmail 7 [cn] (shape)"),
                ("X-Priority", "3"),
            ],
        ),
        subject="【发票】北风钢贸有限公司 2026年3月电子发票 ¥63,580.00",
        from_=[LIN],
        leaf_parts=4,
        attachment_names=["电子发票_20260305.pdf", "对账单.xlsx"],
        preview_contains=["电子发票已开具"],
    )
    code = "【示例商城】验证码 482915，五分钟内有效，请勿告诉他人。\n"
    c.add(
        "business-code-zh",
        "a verification code as services send it",
        mail(
            "business-code-zh",
            "验证码 482915",
            text(code, "utf-8", "base64"),
            sender=("示例商城", "no-reply@shop.example"),
        ),
        subject="验证码 482915",
        from_=[("示例商城", "no-reply@shop.example")],
        leaf_parts=1,
        attachment_names=[],
        preview_contains=["验证码 482915"],
    )
