"""What the server offers before sign-in, so that a missing capability is told as such."""

import socket
import ssl

from support.office import Office

from .way import Mode


def mechanisms(office: Office, mode: Mode) -> set[str]:
    """SASL mechanisms that are offered over that transport."""
    connection = socket.create_connection(("localhost", office.ports[mode.listener]), timeout=30)
    try:
        if mode.transport == "TLS":
            connection = _tls(office, connection)
        lines = connection.makefile("rb")
        lines.readline()  # greeting
        if mode.transport == "STARTTLS":
            command = b"t STARTTLS" if mode.protocol == "imap" else b"STLS"
            connection.sendall(command + b"\r\n")
            answer = lines.readline()
            assert answer.startswith((b"t OK", b"+OK")), f"{command} was answered {answer}"
            connection = _tls(office, connection)
            lines = connection.makefile("rb")
        if mode.protocol == "imap":
            connection.sendall(b"c CAPABILITY\r\n")
            words = _until(lines, b"c ")[0].split()
            return {word[5:].decode() for word in words if word.startswith(b"AUTH=")}
        connection.sendall(b"CAPA\r\n")
        found = [line.split()[1:] for line in _until(lines, b".") if line.startswith(b"SASL")]
        return {word.decode() for word in found[0]} if found else set()
    finally:
        connection.close()


def _tls(office: Office, connection: socket.socket) -> ssl.SSLSocket:
    return office.tls_context().wrap_socket(connection, server_hostname="localhost")


def _until(lines, end: bytes) -> list[bytes]:
    found = []
    while not (line := lines.readline()).startswith(end):
        assert line, "connection closed"
        found.append(line)
    return found
