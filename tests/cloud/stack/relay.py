"""A smart host on loopback: takes letters over STARTTLS from whoever knows the password."""

import base64
import re
import socketserver
import ssl
import threading
from pathlib import Path

LOGIN = {"user": "AKIAEXAMPLE", "password": "open 'sesame' \"$1\""}


class Relay:
    """`received` has the letters: sender, recipients, bytes."""

    def __init__(self, certificate: dict[str, str], folder: Path):
        self.received: list[tuple[str, list[str], bytes]] = []
        (folder / "relay.pem").write_text(certificate["key"] + certificate["certificate"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "relay.pem")
        relay = self

        class Talk(socketserver.BaseRequestHandler):
            def handle(self):
                relay.talk(self.request, context)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def talk(self, stream, context: ssl.SSLContext) -> None:
        lines = stream.makefile("rb")
        say = lambda text: stream.sendall(f"{text}\r\n".encode())
        is_secret = is_known = False
        sender, recipients = "", []
        say("220 relay.example ready")
        while line := lines.readline():
            text = line.decode().strip()
            verb = text.split(" ")[0].upper()
            if verb == "EHLO":
                say("250-relay.example\r\n250 " + ("AUTH PLAIN" if is_secret else "STARTTLS"))
            elif verb == "STARTTLS":
                say("220 go on")
                stream = context.wrap_socket(stream, server_side=True)
                lines, is_secret = stream.makefile("rb"), True
            elif verb == "AUTH":
                wanted = f"\0{LOGIN['user']}\0{LOGIN['password']}".encode()
                is_known = is_secret and base64.b64decode(text.rpartition(" ")[2]) == wanted
                say("235 2.7.0 come in" if is_known else "535 5.7.8 no")
            elif verb == "MAIL" and not is_known:
                say("530 5.7.0 who are you?")
            elif verb == "MAIL":
                sender, recipients = re.search("<(.*?)>", text)[1], []
                say("250 2.1.0 good")
            elif verb == "RCPT":
                recipients.append(re.search("<(.*?)>", text)[1])
                say("250 2.1.5 good")
            elif verb == "DATA":
                say("354 go on")
                body = []
                while (line := lines.readline()) not in (b".\r\n", b""):
                    body.append(line.removeprefix(b"."))
                self.received.append((sender, recipients, b"".join(body)))
                say("250 2.0.0 taken")
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 good")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
