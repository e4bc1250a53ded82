"""What Lambda does with the functions of a stack: starts their programs, invokes them by the runtime's interface, polls
the queues that their mappings name.

Environment, memory, mappings and role of each are those that the stack gave it; each sees the emulator through a guard
that holds it to its role. Only what the adapter and the functions need of the service is here: an invocation at a time
for each function, batches of ten, and partial answers.
"""

import json
import os
import queue
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import boto3
import deployment
from guard import Guard, Server, read_body

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
INTERFACE = "/2018-06-01/runtime"


class Function:
    """A function's program and the interface that it is invoked by."""

    def __init__(self, name: str, program: Path, role: str, log: Path):
        self.name = name
        self._configuration = boto3.client("lambda").get_function_configuration(FunctionName=name)
        self._program, self._log = program, log
        self._events: queue.Queue = queue.Queue()
        self._answers: dict[str, queue.Queue] = {}
        self.guard = Guard(os.environ["AWS_ENDPOINT_URL"], deployment.statements(role))

    def __enter__(self) -> "Function":
        self.guard.__enter__()
        handler = type("InterfaceOfOne", (Interface,), {"function": self})
        self._server = Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        endpoints = {name: self.guard.url for name in os.environ if name.startswith("AWS_ENDPOINT_URL")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PENNYPOST_")}
        environment = {
            **kept,
            **endpoints,
            **self._configuration["Environment"]["Variables"],
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._configuration["MemorySize"]),
            "AWS_LAMBDA_LOG_GROUP_NAME": "log",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        }
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [self._program], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()
        self.guard.__exit__()

    def invoke(self, event: dict) -> object:
        """What it answers."""
        request = str(uuid.uuid4())
        self._answers[request] = answer = queue.Queue()
        self._events.put((request, event))
        while True:
            try:
                is_error, text = answer.get(timeout=1)
            except queue.Empty:
                assert self._process.poll() is None, f"{self.name} ended by itself: {self.log_tail()}"
                continue
            assert not is_error, f"{self.name}: {text}: {self.log_tail()}"
            return json.loads(text or "null")

    def log_tail(self) -> str:
        return self._log.read_bytes()[-3000:].decode(errors="replace")

    def next(self) -> tuple[str, dict]:
        return self._events.get()

    def answered(self, request: str, is_error: bool, text: str) -> None:
        self._answers.pop(request).put((is_error, text))

    @property
    def seconds(self) -> int:
        return self._configuration["Timeout"]


class Interface(BaseHTTPRequestHandler):
    """The interface between a function's program and the service."""

    protocol_version = "HTTP/1.1"
    function: Function

    def do_GET(self) -> None:
        assert self.path == f"{INTERFACE}/invocation/next", self.path
        request, event = self.function.next()
        body = json.dumps(event).encode()
        self.send_response_only(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", request)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + self.function.seconds) * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", ARN + self.function.name)
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = read_body(self).decode()
        request, _, kind = self.path.removeprefix(f"{INTERFACE}/invocation/").partition("/")
        self.send_response_only(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if kind in ("response", "error"):
            self.function.answered(request, kind == "error", body)

    def log_message(self, *_: object) -> None:
        pass


class Mappings:
    """The event source mappings of a stack: from its queues to its functions, until the end of `with`."""

    def __init__(self, functions: dict[str, Function]):
        self._functions = functions
        self._stop = threading.Event()
        self.faults: list[str] = []

    def __enter__(self) -> "Mappings":
        self._threads = []
        for name, function in self._functions.items():
            found = boto3.client("lambda").list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
            for mapping in found:
                arguments = (function, mapping["EventSourceArn"])
                self._threads.append(threading.Thread(target=self._poll, args=arguments, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _poll(self, function: Function, arn: str) -> None:
        try:
            self._poll_queue(function, arn)
        except Exception as fault:  # The thread's end must reach the test.
            self.faults.append(f"{function.name}: {fault!r}")

    def _poll_queue(self, function: Function, arn: str) -> None:
        sqs = boto3.client("sqs")
        url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
        while not self._stop.is_set():
            answer = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageSystemAttributeNames=["All"]
            )
            messages = answer.get("Messages", [])
            if not messages:
                continue
            response = function.invoke({"Records": [record(message, arn) for message in messages]}) or {}
            failed = {each["itemIdentifier"] for each in response.get("batchItemFailures", [])}
            for message in messages:
                if message["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def record(message: dict, arn: str) -> dict:
    """A message as a function gets it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }
