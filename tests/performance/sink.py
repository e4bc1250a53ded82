#!/usr/bin/env python3
"""A null SMTP server: says yes to everything and keeps nothing.

Prints its port. It only serves to find the load generator's ceiling.
"""

import select
import socket


class Session:
    def __init__(self, connection: socket.socket):
        self.connection = connection
        self.received = b""
        self.in_data = False
        connection.sendall(b"220 sink\r\n")

    def readable(self) -> bool:
        chunk = self.connection.recv(262144)
        if not chunk:
            return False
        if self.in_data:
            tail = (self.received + chunk)[-5:]
            self.received = tail
            if tail == b"\r\n.\r\n":
                self.in_data, self.received = False, b""
                self.connection.sendall(b"250 2.0.0 kept nothing\r\n")
            return True
        self.received += chunk
        *lines, self.received = self.received.split(b"\r\n")
        answers = []
        for line in lines:
            if line.startswith(b"DATA"):
                self.in_data = True
                answers.append(b"354 go on\r\n")
            else:
                answers.append(b"250 2.0.0 ok\r\n")
        self.connection.sendall(b"".join(answers))
        return True


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    sessions: dict[int, Session] = {}
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sessions[connection.fileno()] = Session(connection)
                poll.register(connection, select.EPOLLIN)
            elif not sessions[descriptor].readable():
                poll.unregister(descriptor)
                sessions.pop(descriptor).connection.close()


if __name__ == "__main__":
    main()
