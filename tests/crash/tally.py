"""What the load and the audits counted and complained about, from all threads."""

import threading
import time
from collections import Counter
from contextlib import contextmanager

SHOWN = 10


class Tally:
    def __init__(self):
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.faults: dict[str, list[str]] = {}
        #: Where the time of a run goes, in seconds.
        self.seconds: Counter[str] = Counter()

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def fault(self, kind: str, *descriptions: str) -> None:
        with self._lock:
            known = self.faults.setdefault(kind, [])
            for description in descriptions:
                self.counts[f"fault: {kind}"] += 1
                if len(known) < SHOWN:
                    known.append(description)
                    print(f"  {kind}: {description}", flush=True)

    def faults_of(self, kind: str) -> int:
        return self.counts[f"fault: {kind}"]

    @contextmanager
    def timed(self, what: str):
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[what] += time.monotonic() - began
