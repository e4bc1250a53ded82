"""A running post office: where its listeners are and how it is administered.

Two kinds share this face: `pennypost.Pennypost`, the server under test, and
`reference.Reference`, Debian's Postfix and Dovecot, against which the scripts
themselves are tried (a check that fails on both is a fault of the check).
"""

import ssl
from dataclasses import dataclass

HOST = "localhost"


@dataclass(frozen=True)
class Account:
    address: str
    password: str


class Office:
    """What both kinds offer. Ports are of 127.0.0.1."""

    name: str
    #: What IMAP returns is exactly what SMTP was sent (headers stand beside it).
    keeps_bytes: bool
    ports: dict[str, int]
    #: PEM file of the self-signed certificate that clients are to trust.
    certificate: str

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> int:
        """Graceful stop; gives the exit code."""
        raise NotImplementedError

    def kill(self) -> None:
        """Like a power cut for the processes: SIGKILL, nothing else."""
        raise NotImplementedError

    def alive(self) -> bool:
        raise NotImplementedError

    def add_account(self, address: str) -> Account:
        raise NotImplementedError

    def queue_depth(self) -> int | None:
        """Messages accepted and not yet in a mailbox; None when unknown."""
        raise NotImplementedError

    def verify(self) -> list[str]:
        """Violations found in the store; an empty list is a clean store."""
        raise NotImplementedError

    def process_ids(self) -> list[int]:
        """The roots of the server's process trees."""
        raise NotImplementedError

    def tls_context(self) -> ssl.SSLContext:
        """Verifies the certificate and the host name, as mail programs do."""
        return ssl.create_default_context(cafile=self.certificate)
