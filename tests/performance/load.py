"""Running `pennypost bench` and reading its figures."""

import json
import os
import subprocess
import tempfile
from statistics import median


class Figures:
    """Of one run: `figures["SELECT", "first"]`; of several with `gather`, medians over all their rounds."""

    def __init__(self, reports: list[dict]):
        self.values: dict[tuple[str, str], list[float]] = {}
        for report in reports:
            for figure in report["figures"]:
                key = (figure["operation"], figure["measure"])
                self.values.setdefault(key, []).append(figure["median"])

    def __getitem__(self, key: tuple[str, str]) -> float:
        return median(self.values[key])

    def get(self, operation: str, measure: str) -> float | None:
        values = self.values.get((operation, measure))
        return None if values is None else median(values)

    def operations(self, measure: str) -> list[str]:
        return [operation for operation, of in self.values if of == measure]


def bench(binary: str, password: str, kind: str, *options: object) -> dict:
    environment = {**os.environ, "PENNYPOST_BENCH_PASSWORD": password}
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [binary, "bench", kind, *map(str, options), "--output", file.name]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=environment)
        if done.returncode != 0:
            raise SystemExit(f"error: {' '.join(command)}\n{(done.stderr or done.stdout).strip()}")
        return json.load(file)
