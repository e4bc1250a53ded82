#!/usr/bin/env python3
"""What an installation costs while nobody writes: the tables in docs/deploy.md and docs/deploy.zh-CN.md.

    infra/rest.py           writes them
    infra/rest.py --check   fails if they are not what would be written

From the prices in shared/meter/prices and what the template makes. What has a price for each use (mail) is not here.
"""

import json
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "infra")]
sys.dont_write_bytecode = True

from generator import watching  # noqa: E402

PRICES = ROOT / "shared/meter/prices/us-east-1.toml"
HOURS = 730
#: One task as the template's defaults have it: a quarter of a processor, 1 GB.
PROCESSOR, MEMORY = Decimal("0.25"), 1
#: Lambda asks an empty queue by five pollers, each waiting 20 seconds.
POLLS = 5 * HOURS * 3600 // 20
#: An adapter asks the queue by which it is woken, and says once a minute that it lives.
BELL_POLLS, BELL_WRITES = HOURS * 3600 // 20, HOURS * 60

#: Which conditions of the template hold, how many tasks, public addresses and queues that are asked.
VARIANTS = {
    "functions": ({"HasFunctions"}, 0, 0, 2),
    "single": ({"HasFunctions", "HasAdapter"}, 1, 1, 2),
    "balanced": ({"HasFunctions", "HasAdapter", "IsBalanced"}, 2, 4, 2),
}
WORDS = {
    "docs/deploy.md": {
        "head": "| dollars a month | functions alone | one task | two tasks behind a load balancer |",
        "tasks": "tasks (0.25 vCPU, 1 GB, arm64)",
        "addresses": "public IPv4 addresses",
        "balancer": "load balancer, without traffic",
        "alarms": "alarms",
        "polling": "asking empty queues, saying that an adapter lives",
        "sum": "**at rest**",
        "receiving": "more with `Receiving=ses`",
    },
    "docs/deploy.zh-CN.md": {
        "head": "| 美元/月 | 仅函数 | 单任务 | 负载均衡器后两个任务 |",
        "tasks": "任务（0.25 vCPU、1 GB、arm64）",
        "addresses": "公网 IPv4 地址",
        "balancer": "负载均衡器（不含流量）",
        "alarms": "告警",
        "polling": "轮询空队列、适配器报到",
        "sum": "**静置合计**",
        "receiving": "`Receiving=ses` 另加",
    },
}
BEGIN, END = "<!-- infra/rest.py -->\n", "<!-- end -->\n"


def main() -> int:
    is_check, code = "--check" in sys.argv[1:], 0
    for name, words in WORDS.items():
        file = ROOT / name
        text = file.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        wanted = before + BEGIN + table(words) + END + after
        if not is_check:
            file.write_text(wanted, encoding="utf-8")
        elif text != wanted:
            code = 1
            print(f"error: {name} is out of date: run infra/rest.py", file=sys.stderr)
    return code


def table(words: dict[str, str]) -> str:
    columns = [items(*variant) for variant in VARIANTS.values()]
    lines = [words["head"], "| --- |" + " ---: |" * len(columns)]
    for item in columns[0]:
        lines.append(f"| {words[item]} | " + " | ".join(shown(column[item]) for column in columns) + " |")
    lines.append(f"| {words['sum']} | " + " | ".join(f"**{shown(sum(column.values()))}**" for column in columns) + " |")
    receiving = [receiving_too(*variant) for variant in VARIANTS.values()]
    lines.append(f"| {words['receiving']} | " + " | ".join(shown(dollars) for dollars in receiving) + " |")
    return "\n".join(lines) + "\n"


def receiving_too(conditions: set[str], tasks: int, addresses: int, queues: int) -> Decimal:
    """What it is more if SES receives: alarms, and a queue that a function is asking for."""
    without = items(conditions, tasks, addresses, queues)
    return sum(items(conditions | {"HasReceiving"}, tasks, addresses, queues + 1).values()) - sum(without.values())


def shown(dollars: Decimal) -> str:
    return f"{dollars:.2f}" if dollars else "–"


def items(conditions: set[str], tasks: int, addresses: int, queues: int) -> dict[str, Decimal]:
    hour = PROCESSOR * price("adapter-processor") + MEMORY * price("adapter-memory")
    return {
        "tasks": tasks * hour * HOURS,
        "addresses": addresses * price("address") * HOURS,
        "balancer": price("balancer") * HOURS if "IsBalanced" in conditions else Decimal(0),
        "alarms": alarms(conditions) * price("alarm"),
        "polling": (queues * POLLS + tasks * BELL_POLLS) * price("queue-request")
        + tasks * BELL_WRITES * price("control-write"),
    }


def alarms(conditions: set[str]) -> int:
    """An alarm is billed for each metric that it looks at."""
    facts = json.loads((ROOT / "infra/facts.json").read_text(encoding="utf-8"))
    count = 0
    for body in watching.alarms(facts).values():
        if body["Type"] == "AWS::CloudWatch::Alarm" and body.get("Condition", "HasFunctions") in conditions:
            metrics = body["Properties"].get("Metrics", [{"MetricStat": {}}])
            count += sum("MetricStat" in metric for metric in metrics)
    return count


def price(item: str) -> Decimal:
    prices = tomllib.loads(PRICES.read_text(encoding="utf-8"))["price"]
    found = next(price for price in prices if price["item"] == item)
    return Decimal(found["amount"]) / found["per"]


if __name__ == "__main__":
    sys.exit(main())
