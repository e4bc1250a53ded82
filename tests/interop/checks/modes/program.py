"""What a mail program has to say about itself to take part."""

from .way import MECHANISMS, Mode, Run

NO_TOKENS = "knows no bearer tokens"
NO_BINDING = "knows no channel binding"
NO_CHOICE = "knows the protocol's own command only"


class Program:
    name: str
    protocols: tuple[str, ...] = ("imap", "pop3")
    #: Why a transport, a mechanism, or both in a protocol are not for this program.
    cannot: dict[str, str] = {}
    #: Connections that one run signs in on.
    sign_ins = 1

    def reason_against(self, mode: Mode) -> str | None:
        for key in (mode.transport, mode.mechanism, f"{mode.protocol} {mode.transport}",
                    f"{mode.protocol} {mode.mechanism}", f"{mode.protocol} {mode.transport} {mode.mechanism}"):
            if key in self.cannot:
                return self.cannot[key]
        return None

    def fetch(self, run: Run) -> bytes | None:
        """The mailbox's one letter, as it came; None from a program that only signs in."""
        raise NotImplementedError


def all_but(*mechanisms: str, reason: str) -> dict[str, str]:
    return {mechanism: reason for mechanism in MECHANISMS if mechanism not in mechanisms}
