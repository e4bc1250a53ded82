"""Every way to a mailbox: protocol, transport, and how one signs in.

A mode counts as done when the program brought the letter home, a tap between
program and server saw the transport, and the server itself counted one
sign-in by that mechanism: a program that quietly took another way fails.
"""

from .table import Table
from .tap import Tap
from .way import MECHANISMS, TRANSPORTS, Mode, Run

__all__ = ["MECHANISMS", "TRANSPORTS", "Mode", "Run", "Table", "Tap"]
