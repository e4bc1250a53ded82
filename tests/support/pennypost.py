"""`pennypost serve` as a child process on ports of its own choosing."""

import json
import os
import re
import secrets
import select
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from .office import Account, Office

REPOSITORY = Path(__file__).resolve().parents[2]
LISTENERS = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http")


def find_binary(given: str | None, profile: str = "debug") -> str:
    if given:
        return str(Path(given).resolve())
    target = os.environ.get("CARGO_TARGET_DIR", str(REPOSITORY / "target"))
    binary = Path(target) / profile / "pennypost"
    if not binary.exists():
        release = " --release" if profile == "release" else ""
        raise SystemExit(f"error: {binary} is missing; build it with: cargo build{release} -p pennypost")
    return str(binary)


class CommandFailed(Exception):
    pass


class Pennypost(Office):
    name = "pennypost"
    keeps_bytes = True

    def __init__(self, binary: str, data: Path, settings: tuple[str, ...] = (), backend: str = "embedded"):
        self.binary = binary
        self.backend = backend
        #: A stack of its own for each office: others may stand at the same services.
        self.environment = {"PENNYPOST_BACKEND": backend}
        if backend == "aws":
            self.environment["PENNYPOST_STACK"] = f"test-{secrets.token_hex(6)}"
        self.data = Path(data)
        self.data.mkdir(parents=True, exist_ok=True)
        # Nothing goes to the world, unless a test says so.
        self.settings = ("sending.enabled=false", *settings)
        self.ports = {}
        self.certificate = ""
        self.process: subprocess.Popen | None = None
        #: Kept beside the store: what the server said on stderr, for a report.
        self.log_path = self.data.parent / (self.data.name + ".log")
        self._tenants_made: set[str] = set()

    def start(self, environment: dict[str, str] | None = None, timeout: float = 30) -> None:
        if self.backend == "aws":
            self.run_ok("create")
        self.spawn(environment)
        self.wait_ready(timeout)

    def spawn(self, environment: dict[str, str] | None = None) -> None:
        command = [self.binary, "serve", "--json", "--data", str(self.data)]
        for listener in LISTENERS:
            command += [f"--{listener}", "127.0.0.1:0"]
        for setting in self.settings:
            command += ["--set", setting]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.environment, **(environment or {})},
            )

    def wait_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        received = b""
        output = self.process.stdout
        while b"\n" not in received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise CommandFailed(f"serve was not ready after {timeout} s; log: {self.log_tail()}")
            if select.select([output], [], [], left)[0]:
                chunk = os.read(output.fileno(), 65536)
                if not chunk:
                    code = self.process.wait()
                    raise CommandFailed(f"serve ended with code {code}: {self.log_tail()}")
                received += chunk
        ready = json.loads(received.split(b"\n", 1)[0])
        if ready.get("event") != "ready":
            raise CommandFailed(f"first line of serve is not the ready event: {ready}")
        self.ports = {
            name: int(address.rsplit(":", 1)[1]) for name, address in ready["listeners"].items()
        }
        self.certificate = ready["tls_certificate"]

    def stop(self, timeout: float = 30) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.binary, *arguments, "--data", str(self.data)],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **self.environment},
        )

    def run_ok(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise CommandFailed(f"pennypost {' '.join(arguments)} ended with code {done.returncode}: {said}")
        return done.stdout

    def add_account(self, address: str) -> Account:
        domain = address.split("@")[1]
        if domain not in self._tenants_made:
            tenant = domain.split(".")[0]
            self.run_ok("tenant", "add", tenant)
            self.run_ok("domain", "add", domain, "--tenant", tenant)
            self._tenants_made.add(domain)
        password = secrets.token_urlsafe(12)
        self.run_ok("account", "add", address, "--password-stdin", stdin=password + "\n")
        return Account(address, password)

    def add_token(self, account: Account) -> str:
        """A bearer token that opens everything of the account."""
        made = json.loads(self.run_ok("account", "token", "create", account.address, "--name", "test", "--json"))
        return made["token"]

    def queue_depth(self) -> int | None:
        url = f"http://127.0.0.1:{self.ports['http']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        depths = re.findall(r"^pennypost_queue_depth(?:\{[^}]*\})? ([0-9.e+]+)$", text, re.MULTILINE)
        return int(sum(float(depth) for depth in depths)) if depths else None

    def verify(self) -> list[str]:
        done = self.run("verify", "--json")
        if done.returncode == 0:
            return []
        return (done.stdout + done.stderr).strip().splitlines() or [f"verify exit code {done.returncode}"]

    def dead_letters(self) -> list[str]:
        """Why each dead letter died: nothing that a crash does may make one."""
        done = self.run("dead-letters", "list", "--json")
        if done.returncode != 0:
            return [f"dead-letters exit code {done.returncode}: {done.stderr.strip()}"]
        return [line for line in done.stdout.splitlines() if line.strip()]

    def process_ids(self) -> list[int]:
        return [self.process.pid]

    def log_tail(self, size: int = 1500) -> str:
        return self.log_path.read_bytes()[-size:].decode(errors="replace") if self.log_path.exists() else ""
