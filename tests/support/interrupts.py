"""Ending on SIGTERM as on Ctrl-C: `finally` blocks run, no server is left behind."""

import signal
import sys


def end_on_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
