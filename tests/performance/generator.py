"""The SMTP load generator: one thread, epoll, raw sockets, rendered letters.

Each connection carries many letters one after the other, as a busy relay
does: MAIL, RCPT and DATA in one packet, the letter after the 354, the next
envelope after the 250. Its own ceiling is measured against `sink.py`.
"""

import gc
import select
import socket
import time
from dataclasses import dataclass, field

GREETING, EHLO, ENVELOPE, CONTENT = range(4)
#: Replies to wait for in each state.
AWAITED = {GREETING: 1, EHLO: 1, ENVELOPE: 3, CONTENT: 1}


@dataclass
class Outcome:
    accepted: int = 0
    refused: list[str] = field(default_factory=list)
    #: Seconds from the final dot's being sent to its 250, one per letter.
    latencies: list[float] = field(default_factory=list)
    began: float = 0
    ended: float = 0
    generator_cpu: float = 0

    @property
    def per_second(self) -> float:
        return self.accepted / (self.ended - self.began)


class Connection:
    def __init__(self, port: int, tasks, outcome: Outcome):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.tasks = tasks
        self.outcome = outcome
        self.state = GREETING
        self.awaited = 1
        self.received = b""
        self.unsent = b""
        self.content = b""
        self.dot_sent = 0.0
        self.done = False

    def readable(self) -> None:
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self.received += chunk
        *lines, self.received = self.received.split(b"\r\n")
        for line in lines:
            if line[3:4] == b"-":
                continue
            if line[0] not in b"23":
                self.outcome.refused.append(line.decode(errors="replace"))
                raise ConnectionError(f"the server answered {line!r}")
            self.awaited -= 1
            if self.awaited == 0:
                self._advance()

    def _advance(self) -> None:
        if self.state == GREETING:
            self._send(b"EHLO load.example\r\n", EHLO)
        elif self.state == ENVELOPE:
            self._send(self.content, CONTENT)
        else:
            if self.state == CONTENT:
                self.outcome.latencies.append(time.perf_counter() - self.dot_sent)
                self.outcome.accepted += 1
            task = next(self.tasks, None)
            if task is None:
                self.done = True
                return
            envelope, self.content = task
            self._send(envelope, ENVELOPE)

    def _send(self, octets: bytes, state: int) -> None:
        self.state = state
        self.awaited = AWAITED[state]
        self.unsent = octets
        self.writable()

    def writable(self) -> None:
        try:
            sent = self.socket.send(self.unsent)
        except BlockingIOError:
            sent = 0
        self.unsent = self.unsent[sent:]
        if not self.unsent and self.state == CONTENT:
            self.dot_sent = time.perf_counter()


def run(port: int, recipients: list[str], letters: list[bytes], connections: int) -> Outcome:
    """Letter n goes to recipient n modulo their number."""
    tasks = [
        (
            f"MAIL FROM:<sender@example.test> BODY=8BITMIME\r\n"
            f"RCPT TO:<{recipients[number % len(recipients)]}>\r\nDATA\r\n".encode(),
            content + b".\r\n",
        )
        for number, content in enumerate(letters)
    ]
    outcome = Outcome()
    remaining = iter(tasks)
    gc.disable()
    poll = select.epoll()
    outcome.began, cpu = time.perf_counter(), time.process_time()
    open_connections = {}
    for _ in range(connections):
        connection = Connection(port, remaining, outcome)
        open_connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    try:
        while open_connections:
            for descriptor, event in poll.poll(30) or _stalled():
                connection = open_connections[descriptor]
                if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    connection.readable()
                if event & select.EPOLLOUT and connection.unsent:
                    connection.writable()
                if connection.done:
                    poll.unregister(descriptor)
                    del open_connections[descriptor]
                    connection.socket.close()
                else:
                    wanted = select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0)
                    poll.modify(descriptor, wanted)
    finally:
        gc.enable()
        poll.close()
    outcome.ended = time.perf_counter()
    outcome.generator_cpu = time.process_time() - cpu
    return outcome


def _stalled():
    raise TimeoutError("no answer from the server for 30 s")
