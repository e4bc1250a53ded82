"""PASS and FAIL lines, a summary, and the exit code that goes with them."""

import time
import traceback


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def run(self, name: str, check, *arguments) -> None:
        began = time.monotonic()
        try:
            check(*arguments)
        except Exception as error:  # every fault of a check is that check's FAIL
            self.fail(name, describe(error))
        else:
            self.ok(name, time.monotonic() - began)

    def ok(self, name: str, seconds: float = 0) -> None:
        self.passed += 1
        took = f" ({seconds:.1f} s)" if seconds >= 1 else ""
        print(f"PASS {name}{took}", flush=True)

    def fail(self, name: str, reason: str) -> None:
        self.failed += 1
        print(f"FAIL {name}: {reason}", flush=True)

    def finish(self) -> int:
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1


def describe(error: Exception) -> str:
    """One line: what was wrong, and where in the scripts it was noticed."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, AssertionError):
        text = f"{type(error).__name__}: {text}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/" in frame.filename]
    where = f" [{frames[-1].filename.rsplit('/tests/')[-1]}:{frames[-1].lineno}]" if frames else ""
    return text[:600] + where
