"""POP3 without poplib, which joins lines at any LF and refuses long ones."""

import socket

from support.office import Account, Office


def retrieve_all(office: Office, account: Account) -> list[bytes]:
    """RETR of every message, dot-unstuffed, otherwise as it came."""
    with socket.create_connection(("localhost", office.ports["pop3"]), timeout=60) as connection:
        lines = connection.makefile("rb")

        def command(text: str) -> bytes:
            connection.sendall(text.encode() + b"\r\n")
            return status()

        def status() -> bytes:
            line = lines.readline()
            assert line.startswith(b"+OK"), f"POP3 answered {line[:200]!r}"
            return line

        status()
        command(f"USER {account.address}")
        command(f"PASS {account.password}")
        count = int(command("STAT").split()[1])
        mails = []
        for number in range(1, count + 1):
            command(f"RETR {number}")
            mails.append(_multi_line(lines))
        command("QUIT")
        return mails


def _multi_line(lines) -> bytes:
    """Up to CRLF . CRLF; a line ends at CRLF only, so that a bare LF is kept."""
    content = bytearray()
    at_line_start = True
    while True:
        piece = lines.readline()
        assert piece, "connection closed in a message"
        if at_line_start:
            if piece == b".\r\n":
                return bytes(content)
            if piece.startswith(b"."):
                piece = piece[1:]
        content += piece
        at_line_start = content.endswith(b"\r\n")
