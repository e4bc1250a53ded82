"""What the server itself says about who signed in, and how."""

import re
import urllib.request
from collections import Counter
from pathlib import Path

from support.pennypost import Pennypost

from .way import COMMAND, Mode

SIGN_IN = re.compile(
    r'^pennypost_sign_ins_total\{mechanism="([^"]+)",protocol="([^"]+)",result="ok"\} ([0-9]+)$', re.MULTILINE
)
COMMANDS = re.compile(r'^pennypost_commands_total\{command="([^"]+)",protocol="([^"]+)"\} ([0-9]+)$', re.MULTILINE)
#: A line of Dovecot's log.
DOVECOT = re.compile(r"(imap|pop3)-login: (?:Info: )?Login: user=<[^>]+>, method=([^,]+),")


class Metrics:
    """Pennypost counts sign-ins by protocol and mechanism, and commands by their verbs."""

    def __init__(self, office: Pennypost):
        self._url = f"http://127.0.0.1:{office.ports['http']}/metrics"

    def counters(self) -> Counter:
        with urllib.request.urlopen(self._url, timeout=30) as answer:
            text = answer.read().decode()
        found = Counter()
        for mechanism, protocol, count in SIGN_IN.findall(text):
            found["sign-in", protocol, mechanism] = int(count)
        # LOGIN is a mechanism and, in IMAP, a command: the verbs tell them apart.
        for command, protocol, count in COMMANDS.findall(text):
            if command.upper() in ("LOGIN", "AUTHENTICATE", "AUTH"):
                found["verb", protocol, command.upper()] = int(count)
        return found

    @staticmethod
    def signed_in_by(mode: Mode, change: Counter) -> bool:
        mechanism = mode.sasl or COMMAND[mode.protocol]
        sign_ins = {key: count for key, count in change.items() if key[0] == "sign-in"}
        if set(sign_ins) != {("sign-in", mode.protocol, mechanism)}:
            return False
        authenticated = any(key[0] == "verb" and key[2].startswith("AUTH") for key in change)
        return authenticated == (mode.sasl is not None)


class DovecotLog:
    """Dovecot calls LOGIN and USER PLAIN, too."""

    def __init__(self, log: Path):
        self._log = log

    def counters(self) -> Counter:
        return Counter(DOVECOT.findall(self._log.read_text(errors="replace")))

    @staticmethod
    def signed_in_by(mode: Mode, change: Counter) -> bool:
        return set(change) == {(mode.protocol, mode.sasl or "PLAIN")}
