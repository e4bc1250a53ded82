#!/usr/bin/env python3
"""Writes many realistic mails for benchmarks; the same seed gives the same bytes.

    corpus.py --count 10000 --size 10k --seed 1 DIR           DIR/000000.eml …, CRLF
    corpus.py --count 10000 --size 10k --seed 1 --mbox FILE   one mboxrd file, LF

Chinese and English business mail of invented people: threads with quotations,
HTML alternatives, now and then an attachment. Each mail is within about 5 % of
the size asked for (from 2k upwards); `--spread` varies the sizes as in real
mailboxes, with the size asked for as their mean. Memory does not grow with
the count. Python 3.11 or later, standard library only.
"""

import argparse
import datetime
import math
import random
import re
import sys
from collections import deque
from pathlib import Path
from typing import Iterator, NamedTuple

from gen.build import (
    CRLF,
    Address,
    Part,
    attach,
    mail,
    multi,
    pdf,
    rfc5322_date,
    text,
    zip_bytes,
)

ZONE = datetime.timezone(datetime.timedelta(hours=8))
START = datetime.datetime(2026, 1, 5, 8, 30, tzinfo=ZONE)
RECENT_MAILS = 200

PEOPLE: list[Address] = [
    ("林晓雨", "lin.xiaoyu@northwind.test"),
    ("王建国", "wang.jianguo@sample.test"),
    ("陈思远", "chen.siyuan@sample.test"),
    ("赵敏华", "zhao.minhua@harbour.example"),
    ("刘一帆", "liu.yifan@northwind.test"),
    ("周静", "zhou.jing@sample.test"),
    ("吴海涛", "wu.haitao@harbour.example"),
    ("Ada Verne", "ada@sample.test"),
    ("Bob Quill", "bob@harbour.example"),
    ("Clara Moss", "clara.moss@northwind.test"),
    ("Dan Okoro", "dan.okoro@sample.test"),
    ("Eva Lindqvist", "eva@harbour.example"),
]

ZH = {
    "who": "采购部 财务部 王经理 仓库同事 客户 供应商 法务 华东区 技术支持 项目组 货代 总经办 陈工 质检".split(),
    "what": "合同 报价单 发票 订单 样品 图纸 会议纪要 付款申请 船期表 对账单 测试报告 验收单 库存清单 预算 方案".split(),
    "do": "确认 修改 提交 审核 寄出 核对 更新 取消 延期 汇总 签字 盖章 归档 转发".split(),
    "when": "今天下午 明天上午 周三之前 月底 下周一 节后 三个工作日内 本季度末 四月中旬 收到邮件后".split(),
    "place": "上海 宁波港 深圳仓 成都分公司 三号会议室 苏州工厂 青岛 北京办事处".split(),
    "why": "价格有调整 数量不符 客户催得急 系统正在升级 单证不齐 运力紧张 汇率变动 参数需要复测 人员有变动".split(),
}
ZH_SENTENCES = [
    "请{who}在{when}{do}{what}，编号 {n}。",
    "因为{why}，{what}需要重新{do}。",
    "{who}已经把{what}送到{place}，请{when}查收。",
    "本次{what}合计 {m} 元，请{who}{do}。",
    "{place}的{what}还没有{do}，预计{when}完成。",
    "关于{what}，{who}的意见是{when}再{do}。",
    "如有问题请联系{who}，或{when}到{place}面谈。",
    "另外，{what}第 {s} 条因{why}改为{when}{do}。",
    "附上{place}发来的{what}，共 {s} 页。",
]
ZH_SUBJECTS = [
    "关于{what}的{do}",
    "{place}{what}（编号 {n}）",
    "请{do}：{what}",
    "【通知】{when}{do}{what}",
    "{who}：{what}",
]
EN = {
    "who": "purchasing|the finance team|our customer|the supplier|legal|the warehouse|support|the project team|the carrier|Dan".split(
        "|"
    ),
    "what": "contract|quotation|invoice|purchase order|sample|drawing|minutes|payment request|schedule|statement|test report|budget".split(
        "|"
    ),
    "do": "confirm|revise|submit|review|ship|check|update|cancel|postpone|sign|archive|forward".split("|"),
    "when": "this afternoon|tomorrow morning|before Wednesday|by the end of the month|next Monday|within three days|after the holiday".split(
        "|"
    ),
    "place": "Shanghai|Rotterdam|the Hamburg office|room 3|the Ningbo terminal|Leeds|the Gdansk plant".split("|"),
    "why": "prices have moved|the quantities differ|the customer is waiting|papers are missing|space is short|rates have changed".split(
        "|"
    ),
}
EN_SENTENCES = [
    "Could {who} {do} the {what} {when}? The number is {n}.",
    "Because {why}, we have to {do} the {what} again.",
    "The {what} for {place} comes to {m} EUR; please {do} it {when}.",
    "We sent the {what} to {place}, and {who} will {do} it {when}.",
    "About the {what}: {who} would rather {do} it {when}.",
    "If anything is unclear, ask {who}, or meet us at {place} {when}.",
    "Item {s} of the {what} changes, since {why}.",
    "I attach what {place} wrote about the {what}, {s} pages in all.",
]
EN_SUBJECTS = [
    "{what} for {place}",
    "Please {do}: {what} {n}",
    "{what} - {when}",
    "Question about the {what}",
    "{place}: {what}",
]


class Past(NamedTuple):
    """What a later mail needs to know to answer this one."""

    message_id: str
    references: tuple[str, ...]
    subject: str
    sender: Address
    to: Address
    chinese: bool
    first_lines: list[str]


class Writer:
    """One deterministic stream of mails."""

    def __init__(self, seed: int, size: int, spread: bool) -> None:
        self.random = random.Random(f"pennypost corpus {seed}")
        self.seed, self.size, self.spread = seed, size, spread
        self.recent: deque[Past] = deque(maxlen=RECENT_MAILS)
        self.number = 0
        self.clock = START

    def fill(self, pattern: str, chinese: bool) -> str:
        words, pick = (ZH if chinese else EN), self.random
        values = {key: pick.choice(choices) for key, choices in words.items()}
        return pattern.format(
            n=f"{pick.choice('ABCDHKPX')}{pick.randrange(10**6):06}",
            m=f"{pick.randrange(100, 10**6):,}.{pick.randrange(100):02}",
            s=pick.randrange(2, 30),
            **values,
        )

    def paragraphs(self, chinese: bool, budget: int) -> list[str]:
        """Paragraphs of at least `budget` bytes of UTF-8 together."""
        out, length, sentences = [], 0, (ZH_SENTENCES if chinese else EN_SENTENCES)
        while length < budget:
            count = self.random.randrange(2, 6)
            out.append(
                ("" if chinese else " ").join(self.fill(self.random.choice(sentences), chinese) for _ in range(count))
            )
            length += len(out[-1].encode()) + 2
        return out

    def target(self) -> int:
        if not self.spread:
            return self.size
        sigma = 1.1  # of the logarithm: most mails small, a few large
        return max(
            600, min(int(self.random.lognormvariate(math.log(self.size) - sigma * sigma / 2, sigma)), self.size * 50)
        )

    def next(self) -> tuple[bytes, str, datetime.datetime]:
        """The next mail, its sender's address and its date."""
        pick, name = self.random, f"corpus-{self.seed}-{self.number}"
        self.number += 1
        self.clock += datetime.timedelta(seconds=pick.randrange(20, 900))
        parent = pick.choice(self.recent) if self.recent and pick.random() < 0.45 else None
        extra: list[tuple[str, str | bytes]] = []
        if parent:
            chinese, sender, to = parent.chinese, parent.to, parent.sender
            prefix = pick.choice(("回复：", "答复: ", "Re: ")) if chinese else "Re: "
            subject = prefix + parent.subject
            references = (*parent.references[-9:], parent.message_id)
            extra = [("In-Reply-To", parent.message_id), ("References", "\r\n ".join(references))]
            base_subject = parent.subject
        else:
            chinese = pick.random() < 0.6
            sender, to = pick.sample(PEOPLE, 2)
            base_subject = subject = self.fill(pick.choice(ZH_SUBJECTS if chinese else EN_SUBJECTS), chinese)
            references = ()
        message_id = f"<{name}@{sender[1].split('@')[1]}>"
        target = self.target()
        html, attached = pick.random() < 0.4, target >= 4000 and pick.random() < 0.15
        files = [self.attachment(chinese, int(target * pick.uniform(0.3, 0.6) / 1.37))] if attached else []
        # Base64 makes 78 bytes of 57; an HTML twin says everything twice.
        text_share = (0.74 if chinese else 1.0) * (0.52 if html else 1.0)
        stock = self.paragraphs(chinese, int(target * text_share))
        greeting = f"{to[0]}，您好：" if chinese else f"Dear {to[0].split()[0]},"
        quote = [f"> {line}" for line in parent.first_lines] if parent and target >= 1500 else []
        regards = ["此致", sender[0]] if chinese else ["Best regards,", sender[0]]

        def compose(budget: int) -> bytes:
            lines = [greeting, "", *cut(stock, budget), "", *regards, *([""] + quote if quote else [])]
            return mail(
                name,
                subject,
                assemble(name, lines, chinese, html, files),
                sender=sender,
                to=to,
                extra=extra,
                date=rfc5322_date(self.clock),
                message_id=message_id,
            )

        overhead = len(compose(0))
        room = max(0, target - overhead)
        probe = room // 4
        first = compose(probe)
        budget = int(probe * room / max(1, len(first) - overhead))
        self.recent.append(Past(message_id, references, base_subject, sender, to, chinese, cut(stock, 400)[:4]))
        return compose(budget), sender[1], self.clock

    def attachment(self, chinese: bool, size: int) -> Part:
        kind = self.random.randrange(3)
        what = self.random.choice((ZH if chinese else EN)["what"]).replace(" ", "-")
        if kind == 0:
            rows = "".join(
                f"{i},{self.random.randrange(10**6)},{self.random.random():.4f}\r\n" for i in range(max(1, size // 21))
            )
            return attach(f"{what}.csv", "text/csv", rows.encode())
        if kind == 1:
            page = pdf(f"No {self.random.randrange(10**6)}")
            return attach(f"{what}.pdf", "application/pdf", page + self.random.randbytes(max(0, size - len(page))))
        return attach(
            f"{what}.zip", "application/zip", zip_bytes({"data.bin": self.random.randbytes(max(1, size - 120))})
        )


def cut(paragraphs: list[str], budget: int) -> list[str]:
    """The paragraphs that fit `budget` bytes; the last one is cut to fit."""
    out = []
    for paragraph in paragraphs:
        if budget <= 0:
            break
        data = paragraph.encode()
        out.append(data[:budget].decode("utf-8", "ignore"))
        budget -= len(data) + 2
    return out


def assemble(name: str, lines: list[str], chinese: bool, html: bool, files: list[Part]) -> Part:
    # Lines longer than 76 are broken by the encoding of the Chinese mails and
    # by soft breaks in the English ones.
    cte = "base64" if chinese else "quoted-printable"
    body = text("\n".join(lines) + "\n", "utf-8", cte)
    if html:
        markup = (
            "<html><body>\n"
            + "\n".join(f"<p>{line.replace('>', '&gt;')}</p>" for line in lines if line)
            + "\n</body></html>\n"
        )
        body = multi("alternative", f"=_alt_{name}", [body, text(markup, "utf-8", cte, "html")])
    return multi("mixed", f"=_mix_{name}", [body, *files]) if files else body


def mbox_entry(raw: bytes, sender: str, moment: datetime.datetime) -> bytes:
    """The mboxrd form: LF, `>` before every line that looks like a separator."""
    stamp = moment.astimezone(datetime.timezone.utc).ctime()
    quoted = re.sub(rb"(?m)^(>*From )", rb">\1", raw.replace(CRLF, b"\n"))
    return f"From {sender} {stamp}\n".encode() + quoted + b"\n"


def stream(count: int, size: int, seed: int, spread: bool) -> Iterator[tuple[bytes, str, datetime.datetime]]:
    writer = Writer(seed, size, spread)
    for _ in range(count):
        yield writer.next()


def size_argument(value: str) -> int:
    match = re.fullmatch(r"(\d+)([km]?)", value.lower())
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"not a size: {value} (write 800, 10k or 2m)")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2]]


def count_argument(value: str) -> int:
    if not value.isdigit():
        raise argparse.ArgumentTypeError(f"not a count: {value}")
    return int(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=count_argument, required=True, metavar="N")
    parser.add_argument(
        "--size", type=size_argument, default=10 * 1024, help="bytes per mail, with k or m (default 10k)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spread", action="store_true", help="vary the sizes as in real mailboxes")
    parser.add_argument("--mbox", type=Path, metavar="FILE")
    parser.add_argument("directory", type=Path, nargs="?", metavar="DIR")
    arguments = parser.parse_args()
    if (arguments.mbox is None) == (arguments.directory is None):
        parser.error("give either DIR or --mbox FILE")
    total = 0
    mails = stream(arguments.count, arguments.size, arguments.seed, arguments.spread)
    try:
        if arguments.mbox:
            with arguments.mbox.open("wb") as out:
                for raw, sender, moment in mails:
                    total += out.write(mbox_entry(raw, sender, moment))
        else:
            arguments.directory.mkdir(parents=True, exist_ok=True)
            for number, (raw, _, _) in enumerate(mails):
                total += (arguments.directory / f"{number:06}.eml").write_bytes(raw)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.count} mails, {total} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
