"""imaptest's scripted groups: one run each, read from what it prints."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from program import ImapTest, Outcome

#: A group takes well below a second; this says that an answer never came.
HANGS_AFTER = 120

GROUPS = re.compile(r"^(\d+) test groups: (\d+) failed, (\d+) skipped", re.MULTILINE)
COUNTS = re.compile(r"^(?:base protocol|extensions): (\d+)/(\d+) individual", re.MULTILINE)
FAILURE = re.compile(r"^\*\*\* Test \S+ command (\d+)/\d+ .*?(?=^\*\*\* |\Z)", re.MULTILINE | re.DOTALL)


@dataclass
class Result:
    group: str
    total: int = 0
    #: Number of the command in its group -> what imaptest said.
    failures: dict[int, str] = field(default_factory=dict)
    skipped: bool = False
    #: Why the group has no outcome at all.
    broken: str = ""


def groups_of(tests: Path) -> list[str]:
    """A group is a file beside an optional mailbox; folders hold what imaptest itself does not run."""
    return sorted(path.name for path in tests.iterdir() if path.is_file() and path.suffix != ".mbox")


def run_group(program: ImapTest, account, path: Path) -> Result:
    arguments = [f"user={account.address}", f"pass={account.password}", f"test={path}", "secs=100"]
    return read_outcome(path.name, program.run(arguments, HANGS_AFTER))


def read_outcome(group: str, outcome: Outcome) -> Result:
    result = Result(group)
    groups = GROUPS.search(outcome.output)
    counts = COUNTS.findall(outcome.output)
    if outcome.exit_code is None:
        result.broken = f"no end after {HANGS_AFTER} s: {outcome.errors.strip()[-500:]}"
    elif groups is None or groups.group(1) != "1" or len(counts) != 2:
        result.broken = f"exit code {outcome.exit_code}: {(outcome.errors or outcome.output).strip()[-500:]}"
    else:
        result.skipped = groups.group(3) == "1"
        result.total = sum(int(total) for _, total in counts)
        result.failures = {int(match.group(1)): match.group(0).strip() for match in FAILURE.finditer(outcome.errors)}
        failed = sum(int(failed) for failed, _ in counts)
        if failed != len(result.failures) or (groups.group(2) == "1" or outcome.exit_code != 0) != (failed > 0):
            result.broken = f"{failed} failed, exit code {outcome.exit_code}: {outcome.errors.strip()[-500:]}"
    return result


def report(results: list[Result], excuses: dict[str, set[int]], complete: bool) -> bool:
    """Prints the table, then what failed; gives whether anything is unexplained."""
    faults: list[str] = []
    print(f"{'group':<34}{'failed/total':>14}")
    for result in results:
        print(f"{result.group:<34}{verdict(result, excuses):>14}", flush=True)
        faults += faults_of(result, excuses.get(result.group, set()))
    if complete:
        names = {result.group for result in results}
        faults += [f"justified.md names {name}, which is no group" for name in excuses if name not in names]
    for fault in faults:
        print(f"\nFAIL {fault}")
    ran = [result for result in results if not result.skipped]
    explained = sum(len(excuses.get(result.group, set()) & set(result.failures)) for result in ran)
    print(f"\n{len(ran)} groups ran, {len(results) - len(ran)} skipped for want of a capability, "
          f"{len(faults)} faults, {explained} failed commands explained in justified.md")
    if not ran:
        print("FAIL: nothing was tested")
    return bool(faults) or not ran


def verdict(result: Result, excuses: dict[str, set[int]]) -> str:
    if result.broken:
        return "broken"
    if result.skipped:
        return "skipped"
    mark = " justified" if result.failures and set(result.failures) == excuses.get(result.group) else ""
    return f"{len(result.failures)}/{result.total}{mark}"


def faults_of(result: Result, excused: set[int]) -> list[str]:
    if result.broken:
        return [f"{result.group}: {result.broken}"]
    if result.skipped:
        return []
    faults = [f"{result.group}: {text}" for number, text in result.failures.items() if number not in excused]
    faults += [
        f"{result.group}: command {number} passes, but justified.md says that it fails"
        for number in sorted(excused - set(result.failures))
    ]
    return faults
