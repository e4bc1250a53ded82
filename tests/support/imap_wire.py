"""A small IMAP client that shows responses as they came over the wire.

imaplib hides what these scripts must see: response codes, IDLE, literals of
many messages at once. A response is a list of parts, text line pieces and
literals in turn: `[b'* 1 FETCH (UID 7 BODY[] ', b'<literal>', b')']`.
"""

import re
import socket
import ssl

Response = list[bytes]

LITERAL_AT_END = re.compile(rb"\{(\d+)\}\r\n$")


class ImapError(Exception):
    """The server answered NO or BAD, or said something outside the protocol."""


class ConnectionLost(Exception):
    """The server went away; whether the command took effect is not known."""


class Imap:
    def __init__(self, port: int, context: ssl.SSLContext | None = None, timeout: float = 60):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        self._input = self.socket.makefile("rb", buffering=262144)
        self._tag = 0
        greeting = self.read_response()
        if not greeting[0].startswith((b"* OK", b"* PREAUTH")):
            raise ImapError(f"greeting {greeting}")

    def close(self) -> None:
        try:
            self._input.close()
            self.socket.close()
        except OSError:
            pass

    def login(self, address: str, password: str) -> None:
        self.command(b"LOGIN %s %s" % (quoted(address), quoted(password)))

    def command(self, line: bytes, literal: bytes | None = None) -> tuple[bytes, list[Response]]:
        """Sends one command; gives the tagged line after OK and the untagged responses.

        `literal` is sent after the line as a synchronizing literal.
        """
        tag = self.next_tag()
        untagged: list[Response] = []
        if literal is None:
            self.send(tag + b" " + line + b"\r\n")
        else:
            self.send(tag + b" " + line + b" {%d}\r\n" % len(literal))
            refusal = self._read_until_continuation(tag, untagged)
            if refusal is not None:
                raise ImapError(refusal.decode(errors="replace"))
            self.send(literal + b"\r\n")
        return self.finish(tag, untagged)

    def next_tag(self) -> bytes:
        self._tag += 1
        return b"T%d" % self._tag

    def finish(self, tag: bytes, untagged: list[Response] | None = None) -> tuple[bytes, list[Response]]:
        untagged = [] if untagged is None else untagged
        prefix = tag + b" "
        while True:
            response = self.read_response()
            if response[0].startswith(prefix):
                text = response[0][len(prefix) :]
                if not text.upper().startswith(b"OK"):
                    raise ImapError(text.decode(errors="replace"))
                return text, untagged
            untagged.append(response)

    def _read_until_continuation(self, tag: bytes, untagged: list[Response]) -> bytes | None:
        while True:
            response = self.read_response()
            if response[0].startswith(b"+"):
                return None
            if response[0].startswith(tag + b" "):
                return response[0]
            untagged.append(response)

    def send(self, octets: bytes) -> None:
        try:
            self.socket.sendall(octets)
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def read_response(self) -> Response:
        parts: Response = []
        while True:
            line = self._read_line()
            match = LITERAL_AT_END.search(line)
            if match is None:
                parts.append(line[:-2])
                return parts
            parts.append(line[: match.start()])
            parts.append(self._read_exactly(int(match.group(1))))

    def _read_line(self) -> bytes:
        try:
            line = self._input.readline()
        except (OSError, ValueError) as error:
            raise ConnectionLost(str(error)) from error
        if not line.endswith(b"\n"):
            raise ConnectionLost("connection closed")
        if not line.endswith(b"\r\n"):
            raise ImapError(f"line without CRLF: {line[:100]!r}")
        return line

    def _read_exactly(self, count: int) -> bytes:
        try:
            octets = self._input.read(count)
        except (OSError, ValueError) as error:
            raise ConnectionLost(str(error)) from error
        if len(octets) != count:
            raise ConnectionLost("connection closed in a literal")
        return octets


def quoted(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


FETCH = re.compile(rb"^\* \d+ FETCH \(", re.IGNORECASE)
UID = re.compile(rb"\bUID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")


def is_fetch(response: Response) -> bool:
    return FETCH.match(response[0]) is not None


def fetched_uid(response: Response) -> int | None:
    match = UID.search(b" ".join(response[0::2]))
    return int(match.group(1)) if match else None


def fetched_flags(response: Response) -> set[str] | None:
    match = FLAGS.search(b" ".join(response[0::2]))
    return set(match.group(1).decode().split()) if match else None


def fetched_literal(response: Response) -> bytes | None:
    return response[1] if len(response) > 1 else None


def code_of(text: bytes, name: bytes) -> list[bytes]:
    """The arguments of a response code: `[APPENDUID 38505 3955]` gives two."""
    match = re.search(rb"\[" + name + rb" ([^\]]*)\]", text)
    if match is None:
        raise ImapError(f"no {name.decode()} response code in {text!r}")
    return match.group(1).split(b" ")


def numbers_of(uid_set: bytes) -> list[int]:
    """`3,5:7` gives 3, 5, 6, 7."""
    numbers: list[int] = []
    for part in uid_set.split(b","):
        first, _, last = part.partition(b":")
        low, high = sorted((int(first), int(last or first)))
        numbers.extend(range(low, high + 1))
    return numbers


def uid_set_of(uids: list[int]) -> bytes:
    return b",".join(b"%d" % uid for uid in uids)
