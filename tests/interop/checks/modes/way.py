"""What a mode is, and what a program is handed to run in one."""

from dataclasses import dataclass
from pathlib import Path

from support.office import Account

#: `plain` is without TLS: allowed over loopback.
TRANSPORTS = ("plain", "STARTTLS", "TLS")
#: The protocol's own command first, then the SASL mechanisms; `sasl-login` is AUTHENTICATE LOGIN, or AUTH LOGIN.
MECHANISMS = ("command", "PLAIN", "sasl-login", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2")
COMMAND = {"imap": "LOGIN", "pop3": "USER"}


@dataclass(frozen=True)
class Mode:
    protocol: str
    transport: str
    mechanism: str

    @property
    def listener(self) -> str:
        return self.protocol + "s" if self.transport == "TLS" else self.protocol

    @property
    def sasl(self) -> str | None:
        """As capabilities and the server's counters name it; None for the protocol's own command."""
        return {"command": None, "sasl-login": "LOGIN"}.get(self.mechanism, self.mechanism)

    @property
    def by_token(self) -> bool:
        return self.mechanism in ("OAUTHBEARER", "XOAUTH2")

    @property
    def exists(self) -> bool:
        """A channel binding binds to TLS: without it there is nothing to bind to."""
        return not (self.transport == "plain" and self.mechanism.endswith("-PLUS"))

    def __str__(self) -> str:
        transport = "STLS" if self.transport == "STARTTLS" and self.protocol == "pop3" else self.transport
        mechanism = {"command": COMMAND[self.protocol], "sasl-login": "SASL LOGIN"}.get(self.mechanism, self.mechanism)
        return f"{self.protocol.upper()} {transport} {mechanism}"


@dataclass(frozen=True)
class Run:
    """One program in one mode."""

    mode: Mode
    account: Account
    #: The bearer token, or else the password.
    secret: str
    #: Of the tap in front of the listener.
    port: int
    certificate: str
    #: Fresh and empty, owned by who runs the script.
    folder: Path
