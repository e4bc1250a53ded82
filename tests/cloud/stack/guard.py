"""Holds what a program calls to the statements of a role, which the emulator does not do.

A proxy on loopback stands between a program and the emulator. It passes everything on, and notes each call that the
role would not have allowed.
"""

import http.client
import json
import re
import sys
import threading
from collections import Counter
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

#: The emulator's.
PLACE = "us-east-1:123456789012"
OBJECT_CALLS = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


class Guard:
    """From `with` to its end; `url` is where the program is to go."""

    def __init__(self, emulator: str, statements: list[dict]):
        self.emulator = urlsplit(emulator).netloc
        self.statements = statements
        self.made: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> "Guard":
        handler = type("PassingForOne", (Passing,), {"emulator": self.emulator, "guard": self})
        self._server = Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def note(self, method: str, path: str, headers: object, body: bytes) -> None:
        action, resource, partition = call(method, path, headers, body)
        allowed = any(allows(statement, action, resource, partition) for statement in self.statements)
        with self._lock:
            self.made[action] += 1
            if not allowed:
                self.refused[f"{action} on {resource}" + (f" in {partition}" if partition else "")] += 1


def call(method: str, path: str, headers, body: bytes) -> tuple[str, str, str | None]:
    """Action, resource, and the partition of the control table if it is about one."""
    service, _, operation = headers.get("X-Amz-Target", "").partition(".")
    if service.startswith("DynamoDB"):
        document = json.loads(body)
        tables = [document["TableName"]] if "TableName" in document else list(document.get("RequestItems", {}))
        return f"dynamodb:{operation}", f"arn:aws:dynamodb:{PLACE}:table/{tables[0]}", partition_of(document)
    if service == "AmazonSQS":
        document = json.loads(body)
        name = document.get("QueueName") or document.get("QueueUrl", "").rpartition("/")[2]
        return f"sqs:{operation.removesuffix('Batch')}", f"arn:aws:sqs:{PLACE}:{name}", None
    parts = urlsplit(path)
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    if not key:
        listing = method == "GET" and "list-type" in parse_qs(parts.query, keep_blank_values=True)
        return f"s3:{'ListBucket' if listing else method + ' of a bucket'}", f"arn:aws:s3:::{bucket}", None
    return f"s3:{OBJECT_CALLS.get(method, method)}", f"arn:aws:s3:::{bucket}/{key}", None


def partition_of(document: dict) -> str | None:
    key = document.get("Key") or document.get("Item") or {}
    if equals := re.match(r"\(?(#?\w+) = (:\w+)", document.get("KeyConditionExpression", "")):
        name, value = equals.groups()
        name = document.get("ExpressionAttributeNames", {}).get(name, name)
        key = {name: document["ExpressionAttributeValues"][value]}
    return key.get("P", {}).get("S")


def allows(statement: dict, action: str, resource: str, partition: str | None) -> bool:
    named = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    if action not in statement["Action"] or not any(fnmatchcase(resource, each) for each in named):
        return False
    condition = statement.get("Condition")
    if condition is None:
        return True
    return partition in condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"]


class Server(ThreadingHTTPServer):
    """Says nothing of peers that have gone: programs are ended in the middle of what they ask."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Passing(BaseHTTPRequestHandler):
    """Passes requests on, over one connection for each of the program's."""

    protocol_version = "HTTP/1.1"
    emulator: str
    guard: Guard

    def setup(self) -> None:
        super().setup()
        self.connection_onwards = http.client.HTTPConnection(self.emulator)

    def finish(self) -> None:
        self.connection_onwards.close()
        super().finish()

    def pass_on(self) -> None:
        body = read_body(self)
        self.guard.note(self.command, self.path, self.headers, body)
        onwards = self.connection_onwards
        onwards.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "expect"):
                onwards.putheader(name, value)
        onwards.putheader("Content-Length", str(len(body)))
        onwards.endheaders(body)
        answer = onwards.getresponse()
        content = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def log_message(self, *_: object) -> None:
        pass


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    chunks = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        chunks.append(request.rfile.read(size))
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass
    return b"".join(chunks)
