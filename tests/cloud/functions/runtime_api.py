"""The part of the service that starts a function and invokes it: the runtime interface of AWS Lambda
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) on loopback, for one process at a time.

What is measured is between the start of the program and its first answer, as the function itself sees it: there is no
machine to be booted and no package to be fetched here.
"""

import json
import os
import queue
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "/2018-06-01/runtime/"


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A function that ends while it waits for an event breaks its connection: that is no error here."""


class RuntimeApi:
    """Hands out events to whoever asks for the next one, and keeps the answers."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, str, bytes]] = queue.Queue()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                if self.path != VERSION + "invocation/next":
                    self.answer(404, b"")
                    return
                api.first_asked = api.first_asked or time.perf_counter()
                request, body = api.waiting.get()
                deadline = str(int((time.time() + api.seconds) * 1000))
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", request)
                self.send_header("Lambda-Runtime-Deadline-Ms", deadline)
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:::function:test")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = self.path.removeprefix(VERSION).split("/")
                api.answers.put((parts[-1], parts[1] if len(parts) > 2 else "", body))
                try:
                    self.answer(202, b"")
                except ConnectionError:
                    # A function that was told to stop does not wait for this.
                    pass

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        #: How long an invocation may take.
        self.seconds = 60.0
        #: When the function first asked for an event: then it was ready.
        self.first_asked = 0.0
        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Function:
    """A function's process; `invoke` gives what it answers."""

    def __init__(self, program: str, name: str, memory_mb: int, **environment: str) -> None:
        self.api = RuntimeApi()
        self.log: list[str] = []
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [program],
            env={
                **os.environ,
                "AWS_LAMBDA_RUNTIME_API": self.api.address,
                "AWS_LAMBDA_FUNCTION_NAME": name,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
                "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.log.append(line.rstrip("\n"))

    def hand(self, event: object) -> None:
        """Hands an event out to the process, now or when it asks."""
        self.api.waiting.put((str(uuid.uuid4()), json.dumps(event).encode()))

    def answer(self) -> object:
        """The next answer. An error of the function, or its end, is an error here."""
        while True:
            try:
                kind, _, body = self.api.answers.get(timeout=0.5)
            except queue.Empty:
                if self.process.poll() is not None:
                    raise RuntimeError(f"the function ended: {self.log}") from None
                continue
            if kind != "response":
                raise RuntimeError(f"{kind}: {body.decode()} {self.log}")
            return json.loads(body)

    def invoke(self, event: object) -> object:
        self.hand(event)
        return self.answer()

    def peak_memory_mb(self) -> float:
        """The most that was resident of it so far."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        raise RuntimeError("no VmHWM")

    def lines(self) -> list[dict]:
        """What it logged of its invocations."""
        found = [json.loads(line) for line in self.log if line.startswith("{")]
        return [line for line in found if "request_id" in line]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        self.api.stop()
