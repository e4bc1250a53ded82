"""Runs the functions' programs on the emulated services. Called by tests/cloud/invoke."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

from installation import FACTS, REPOSITORY, Installation  # noqa: E402
from runtime_api import Function  # noqa: E402
from support.ports import accepts_connections, free_ports  # noqa: E402

EVENTS = REPOSITORY / "events"
FUSED = "true"
UNFUSED = "false"
STARTS = 25
#: What the issue asks for.
MOST_MILLISECONDS = 60.0
MOST_MEGABYTES = 128.0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries", type=Path, required=True)
    parser.add_argument("--letters", type=Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--cargo-lambda", type=Path)
    arguments = parser.parse_args()
    programs = Programs(arguments.binaries)
    if arguments.measure:
        return measure(programs, arguments.letters)
    check_fused(programs)
    check_unfused(programs)
    check_bad_records(programs)
    check_receive(programs)
    check_tick(programs)
    check_api(programs)
    if arguments.cargo_lambda:
        check_cargo_lambda(programs, arguments.cargo_lambda)
    return 0


class Programs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        for path in (self.folder / name / "bootstrap", self.folder / name):
            if path.is_file():
                return str(path)
        raise SystemExit(f"error: {self.folder} has no {name}")

    def start(self, name: str, there: Installation, fuse: str) -> Function:
        needs = {needs["name"]: needs for needs in FACTS["unfused"] + FACTS["fused"]}
        return Function(self.path(name), name, needs[name]["memory_mb"], **there.environment(fuse))


def sample(path: str) -> dict:
    return json.loads((EVENTS / path).read_text())


def work(programs: Programs, there: Installation, name: str, fuse: str) -> dict:
    """One batch of a queue through its function. The line of its log."""
    function = programs.start(name, there, fuse)
    try:
        batch = there.batch(name)
        there.delete_what_is_done(name, batch, function.invoke(batch))
    finally:
        function.stop()
    lines = function.lines()
    check(f"{name} logs one line for a batch", len(lines), 1)
    check(f"{name} left nothing in its queue", there.left(name), 0)
    return lines[0]


def check(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise SystemExit(f"error: {what}: {found!r}, not {expected!r}")


def check_delivered(there: Installation) -> None:
    # Each of the two accounts has one entry of the batch, and is noted as having a journal.
    check("items of the journals", len(there.items("-journal")), 4)
    packs = [name for name in there.objects() if "/pk/" in name]
    check("packs", len(packs), 1)


def check_fused(programs: Programs) -> None:
    there = Installation()
    there.send("inbound", sample("inbound/letters.json"))
    line = work(programs, there, "inbound", FUSED)
    check("letters done", (line["records"], line["done"], line["dead"]), (3, 3, 0))
    check_delivered(there)
    # Again: nothing is doubled.
    there.send("inbound", sample("inbound/letters.json"))
    work(programs, there, "inbound", FUSED)
    check_delivered(there)
    print("- fused: letters are delivered by one function, and not twice")


def check_unfused(programs: Programs) -> None:
    there = Installation()
    there.send("inbound", sample("inbound/letters.json"))
    for name in ("inbound", "filter", "deliver", "notify"):
        line = work(programs, there, name, UNFUSED)
        check(f"{name}: dead letters", line["dead"], 0)
    check_delivered(there)
    there.send("house", sample("house/chores.json"))
    line = work(programs, there, "house", UNFUSED)
    check("chores done", line["done"], 4)
    print("- unfused: letters are delivered by three functions; notify and house do theirs")


def check_bad_records(programs: Programs) -> None:
    there = Installation()
    there.send("inbound", sample("inbound/mixed.json"))
    line = work(programs, there, "inbound", FUSED)
    check("a mixed batch", (line["records"], line["done"], line["dead"], line["open"]), (7, 2, 5, 0))
    check("dead letters", there.dead_letters(), 5)
    there.send("inbound", sample("inbound/malformed.json"))
    there.send("inbound", sample("inbound/unknown-version.json"))
    line = work(programs, there, "inbound", FUSED)
    check("bad records", (line["done"], line["dead"]), (0, 4))
    check("dead letters", there.dead_letters(), 9)
    print("- bad records fail alone and are dead letters")


def check_receive(programs: Programs) -> None:
    """An installation without domains: what SES says of itself is done, what it received for strangers is kept. A letter
    for somebody goes through the whole stack in tests/cloud/template."""
    there = Installation()
    said = sample("receive/letters.json")
    for letter in (EVENTS / "receive" / "raw").glob("*.eml"):
        there.s3.put_object(Bucket=f"{there.stack}-raw", Key=f"inbound/{letter.stem}", Body=letter.read_bytes())
    for record in said["Records"]:
        record["body"] = record["body"].replace('"pennypost-raw"', f'"{there.stack}-raw"')
    there.send("receive", said)
    there.send("receive", sample("receive/rule-was-made.json"))
    line = work(programs, there, "receive", FUSED)
    check("what SES says", (line["records"], line["done"], line["dead"], line["open"]), (4, 1, 3, 0))
    check("dead letters", there.dead_letters(), 3)
    check("raw letters", len(there.objects("raw")), 3)
    check("accepted letters", there.left("inbound"), 0)
    print("- what SES receives for a domain that is not here is kept")


def check_tick(programs: Programs) -> None:
    there = Installation()
    function = programs.start("schedule", there, FUSED)
    try:
        answer = function.invoke(sample("schedule/tick.json"))
    finally:
        function.stop()
    check("a tick without tenants", answer, {"tenants": 0, "events": 0, "left": 0, "letters": 0})
    print("- the clock's function answers")


def check_api(programs: Programs) -> None:
    """An installation without domains: nobody learns anything. What is told of a domain is tested in functions/lambda."""
    there = Installation()
    function = programs.start("api", there, FUSED)
    try:
        for name, status in (("health", 200), ("autoconfig", 404), ("autodiscover-malformed", 400)):
            answer = function.invoke(sample(f"api/{name}.json"))
            check(f"the status of {name}", answer["statusCode"], status)
    finally:
        function.stop()
    check("api logs one line for a request", [line["status"] for line in function.lines()], [200, 404, 400])
    print("- the function that is asked over HTTP answers")


def check_cargo_lambda(programs: Programs, cargo_lambda: Path) -> None:
    """The same program below `cargo lambda watch`, invoked by `cargo lambda invoke` with a file of events/."""
    there = Installation()
    (port,) = free_ports(1)
    address = ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    watch = subprocess.Popen(
        [str(cargo_lambda), "lambda", "watch", "--only-lambda-apis", *address],
        cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    environment = {
        **os.environ,
        **there.environment(FUSED),
        "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{port}/.rt/inbound",
        "AWS_LAMBDA_FUNCTION_NAME": "inbound",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    }
    function = None
    try:
        wait_for(port, watch)
        function = subprocess.Popen([programs.path("inbound")], env=environment, stdout=subprocess.DEVNULL)
        letters = str(EVENTS / "inbound" / "letters.json")
        command = [str(cargo_lambda), "lambda", "invoke", "inbound", *address, "--data-file", letters]
        invoke = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    finally:
        for process in filter(None, (function, watch)):
            process.terminate()
            process.wait()
    check("the answer that cargo lambda invoke shows", json.loads(invoke.stdout), {"batchItemFailures": []})
    check_delivered(there)
    print("- cargo lambda watch and invoke: letters are delivered")


def wait_for(port: int, process: subprocess.Popen) -> None:
    while not accepts_connections(port):
        if process.poll() is not None:
            raise SystemExit("error: cargo lambda watch ended")
        time.sleep(0.05)


def measure(programs: Programs, letters: Path) -> int:
    there = Installation()
    rows = []
    for what, event in (("an empty batch", {"Records": []}), ("a letter", None)):
        asked, answered = [], []
        for _ in range(STARTS):
            batch = event or one_letter(there)
            function = programs.start("inbound", there, FUSED)
            try:
                function.invoke(batch)
                answered.append((time.perf_counter() - function.started) * 1000)
                asked.append((function.api.first_asked - function.started) * 1000)
            finally:
                function.stop()
            if batch["Records"]:
                there.delete_what_is_done("inbound", batch, {"batchItemFailures": []})
        rows.append((f"inbound, from the start of its program to its first question, {what}", asked))
        rows.append((f"inbound, from the start of its program to its first answer, {what}", answered))
    rows += [cold(programs, there, name, event) for name, event in others()]
    print(f"{STARTS} starts each, milliseconds")
    for what, times in rows:
        times.sort()
        print(f"  {what}: p50 {statistics.median(times):.1f}, min {times[0]:.1f}, max {times[-1]:.1f}")
    peak = peak_memory(programs, there, letters)
    print(f"inbound, peak of resident memory after 3 batches of 30 letters of 10 KB: {peak:.1f} MB")
    slow = [what for what, times in rows if statistics.median(times) >= MOST_MILLISECONDS]
    if slow or peak > MOST_MEGABYTES:
        print(f"error: beyond {MOST_MILLISECONDS:.0f} ms or {MOST_MEGABYTES:.0f} MB: {', '.join(slow) or 'memory'}")
        return 1
    return 0


def others() -> list[tuple[str, dict]]:
    """The other functions, each with something small: the directory looked into, a tick, an empty batch."""
    queues = ["filter", "deliver", "notify", "house", "receive"]
    asked = [("api", sample("api/autoconfig.json")), ("schedule", sample("schedule/tick.json"))]
    return [(name, {"Records": []}) for name in queues] + asked


def cold(programs: Programs, there: Installation, name: str, event: dict) -> tuple[str, list[float]]:
    answered = []
    for _ in range(STARTS):
        function = programs.start(name, there, FUSED)
        try:
            function.invoke(event)
            answered.append((time.perf_counter() - function.started) * 1000)
        finally:
            function.stop()
    return f"{name}, from the start of its program to its first answer", answered


def one_letter(there: Installation) -> dict:
    letter = sample("inbound/letters.json")
    there.send("inbound", {"Records": letter["Records"][:1]})
    return there.batch("inbound")


def peak_memory(programs: Programs, there: Installation, letters: Path) -> float:
    function = programs.start("inbound", there, FUSED)
    try:
        for number in range(3):
            printed = subprocess.run(
                [str(letters), "--count", "30", "--bytes", "10240", "--seed", str(number)],
                stdout=subprocess.PIPE, text=True, check=True,
            )
            answer = function.invoke(json.loads(printed.stdout))
            check("a batch of 30 letters", answer, {"batchItemFailures": []})
        line = function.lines()[-1]
        print(f"  the last batch: {line['milliseconds']:.0f} ms, units {line['units']}")
        return function.peak_memory_mb()
    finally:
        function.stop()


if __name__ == "__main__":
    sys.exit(main())
