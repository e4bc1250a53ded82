"""Ending on SIGTERM as on Ctrl-C: `finally` blocks run, no server is left behind."""

import ctypes
import signal
import sys

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def end_on_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def end_with_parent() -> None:
    """For `preexec_fn`: the child gets SIGTERM also when this process is killed outright."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
