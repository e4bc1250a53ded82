#!/usr/bin/env python3
"""Writes the tables of a large organisation for `pennypost organisation import`: departments.csv and groups.csv in UTF-8,
people.csv in GB18030. The same arguments give the same tables.

    tests/performance/organisation_tables.py FOLDER [PEOPLE DEPARTMENTS GROUPS]
"""

import csv
import random
import sys
from pathlib import Path

FAMILY_NAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林高罗曾单仇解"
GIVEN_NAMES = "伟芳娜敏静丽强磊军洋勇艳杰涛明超兰霞平刚桂英小文建国志华海燕雪梅"
DOMAIN = "big.example"


def main() -> None:
    folder = Path(sys.argv[1])
    people, departments, groups = (int(number) for number in sys.argv[2:5] or (10_000, 1_000, 500))
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(5)

    paths: list[str] = []
    for number in range(departments):
        parent = chance.choice(paths[:200]) if number >= 20 else ""
        # One level is left below the deepest parent.
        path = f"部门{number}" if not parent or parent.count("/") >= 13 else f"{parent}/小组{number}"
        paths.append(path)
    with (folder / "departments.csv").open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(["department", "description"])
        table.writerows([path, "说明"] for path in paths)

    addresses = [f"user{number:05}@{DOMAIN}" for number in range(people)]
    with (folder / "people.csv").open("w", encoding="gb18030", newline="") as file:
        table = csv.writer(file)
        table.writerow(["邮箱", "姓名", "部门", "职务", "手机", "工号"])
        for number, address in enumerate(addresses):
            given = "".join(chance.choices(GIVEN_NAMES, k=chance.choice([1, 2, 2])))
            own = chance.sample(paths, k=2 if number % 10 == 0 else 1)
            name = chance.choice(FAMILY_NAMES) + given
            table.writerow([address, name, "; ".join(own), "工程师", f"138{number:08}", f"{number:05}"])

    with (folder / "groups.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["address", "name", "members", "senders"])
        for number in range(groups):
            members = "; ".join(chance.sample(addresses, k=20))
            senders = chance.choice(["everyone", "inside", "members"])
            table.writerow([f"group{number:03}@{DOMAIN}", f"组{number}", members, senders])


if __name__ == "__main__":
    main()
