"""A TCP relay in front of a listener that remembers how the last connection began.

What goes before TLS is visible, what goes inside is not: enough to know
whether a program used TLS at all, and from its first byte or after STARTTLS.
What a client says is kept before it is handed on: who has had an answer from
the server has been heard.
"""

import socket
import threading

#: Bytes kept of each direction.
KEPT = 65536
#: Content type and major version of a TLS handshake record (RFC 8446 section 5.1).
HANDSHAKE = b"\x16\x03"


class Tap:
    def __init__(self, port: int):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._beginnings: list[bytearray] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Nobody listens any more when this returns.

        A thread that still waits in accept() keeps the old socket listening, and when the system call starts anew
        (after a stop of the process, or of the whole machine) it takes a connection of whatever listens under the
        same file descriptor by then: the next tap would have heard nothing.
        """
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, which close() does not
        self._accepting.join()
        self._listener.close()

    def forget(self) -> None:
        with self._lock:
            self._beginnings = []

    def said(self) -> list[bytes]:
        """How the clients' side of each connection since `forget` began."""
        with self._lock:
            return [bytes(said) for said in self._beginnings]

    def transports(self) -> set[str]:
        """Of the connections since `forget` on which a client said something."""
        return {_transport(said) for said in self.said() if said}

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()  # the server is gone
                continue
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            said = bytearray()
            with self._lock:
                self._beginnings.append(said)
            threading.Thread(target=_pump, args=(client, server, said), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, None), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
    try:
        while chunk := source.recv(65536):
            if kept is not None and len(kept) < KEPT:
                kept += chunk
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # not connected any more


def _transport(said: bytes) -> str:
    if said.startswith(HANDSHAKE):
        return "TLS"
    for command in (b"STARTTLS\r\n", b"STLS\r\n"):
        before, found, after = said.upper().partition(command)
        # TLS records look the same in upper case as far as is looked at here.
        if found and after.startswith(HANDSHAKE):
            return "STARTTLS"
    return "plain"
