"""SMTP by hand: pipelining, BDAT, and exact bytes in DATA.

smtplib rewrites line ends; these scripts must know which bytes were sent.
"""

import re
import socket


class SmtpRefused(Exception):
    def __init__(self, code: int, text: str):
        super().__init__(f"{code} {text}")
        self.code = code


class SmtpLost(Exception):
    """The connection ended; whether the message was taken is not known."""


class Smtp:
    def __init__(self, port: int, timeout: float = 60):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise SmtpLost(str(error)) from error
        self._input = self.socket.makefile("rb")
        self.expect(220)
        self.extensions = self.command("EHLO client.example", 250)

    def close(self) -> None:
        try:
            self._input.close()
            self.socket.close()
        except OSError:
            pass

    def send(self, octets: bytes) -> None:
        try:
            self.socket.sendall(octets)
        except OSError as error:
            raise SmtpLost(str(error)) from error

    def reply(self) -> tuple[int, str]:
        lines = []
        while True:
            try:
                line = self._input.readline()
            except (OSError, ValueError) as error:
                raise SmtpLost(str(error)) from error
            if not line.endswith(b"\r\n"):
                raise SmtpLost("connection closed")
            lines.append(line[4:-2].decode(errors="replace"))
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def expect(self, *codes: int) -> str:
        code, text = self.reply()
        if code not in codes:
            raise SmtpRefused(code, text)
        return text

    def command(self, line: str, *codes: int) -> str:
        self.send(line.encode() + b"\r\n")
        return self.expect(*codes)

    def transmit(self, sender: str, recipients: list[str], message: bytes, parameters: str = "") -> str:
        """One transaction with DATA; the bytes go out as they are, dot-stuffed."""
        self.command(f"MAIL FROM:<{sender}>{parameters}", 250)
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", 250)
        self.command("DATA", 354)
        self.send(dot_stuffed(message) + b".\r\n")
        return self.expect(250)


def dot_stuffed(message: bytes) -> bytes:
    if not message.endswith(b"\r\n"):
        raise ValueError("DATA can only carry a message that ends in CRLF")
    return re.sub(rb"(\A|\r\n)\.", rb"\1..", message)


def is_crlf_text(message: bytes) -> bool:
    """What DATA can carry unaltered: CRLF line ends only, no NUL."""
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", message)
    return bare is None and message.endswith(b"\r\n")
