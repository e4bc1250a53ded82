"""The emulators of AWS services: installed below the target directory, started on free ports of 127.0.0.1."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from . import packages
from .interrupts import end_with_parent
from .ports import free_ports

REPOSITORY = Path(__file__).resolve().parents[2]
MOTO = "5.2.5"
DYNOXIDE = "3.2.0"
REGION = "us-east-1"

# Requests are not logged: a run makes tens of thousands.
MOTO_SERVER = """
import logging, sys
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import main
main(sys.argv[1:])
"""


def cache() -> Path:
    target = os.environ.get("CARGO_TARGET_DIR", str(REPOSITORY / "target"))
    return Path(target).resolve() / "cloud"


def moto_python() -> Path:
    return cache() / f"moto-{MOTO}" / "bin" / "python"


def dynoxide() -> Path:
    return cache() / f"dynoxide-{DYNOXIDE}" / "bin" / "dynoxide"


def _is_complete(program: Path) -> bool:
    return _mark(program.parents[1]).exists()


def _mark(folder: Path) -> Path:
    return folder / "complete"


def install() -> None:
    """Installs what is missing; of several processes that want it one does it, and the others wait."""
    if _is_complete(moto_python()) and _is_complete(dynoxide()):
        return
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_complete(moto_python()):
            _install_moto()
        if not _is_complete(dynoxide()):
            _install_dynoxide()


def _install_moto() -> None:
    packages.ensure_modules({"ensurepip": ["python3-venv"]})
    with _installing(f"moto {MOTO}", moto_python().parents[1]) as folder:
        _check([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _check([*pip, f"moto[server]=={MOTO}"])


def _install_dynoxide() -> None:
    packages.ensure({"cc": ["gcc", "libc6-dev"]})
    with _installing(f"dynoxide {DYNOXIDE}", dynoxide().parents[1]) as folder:
        command = ["cargo", "install", "dynoxide-rs", "--version", DYNOXIDE, "--locked", "--root", str(folder)]
        command += ["--no-default-features", "--features", "native-sqlite,http-server,cli"]
        # Its own release profile (one unit, whole-program optimization) takes several times as long to build.
        profile = {"OPT_LEVEL": "1", "LTO": "off", "CODEGEN_UNITS": "16", "PANIC": "unwind"}
        environment = {f"CARGO_PROFILE_RELEASE_{name}": value for name, value in profile.items()}
        with tempfile.TemporaryDirectory(dir=cache(), prefix="build-") as build:
            _check(command, environment | {"CARGO_TARGET_DIR": build}, cwd=build)


@contextmanager
def _installing(name: str, folder: Path):
    """An empty folder, marked as complete when everything is in it. (Its programs know its name: it can't be moved.)"""
    print(f"installing {name}", file=sys.stderr, flush=True)
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    _mark(folder).touch()
    print(f"installed {name} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def _check(command: list[str], environment: dict[str, str] | None = None, cwd: str | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"error: {' '.join(command[:4])} ended with code {done.returncode}:\n{done.stdout[-3000:]}")


class Emulator:
    """Both emulators, from `with` to its end."""

    def __init__(self, dynamodb: str = "dynoxide", keep_log: Path | None = None):
        self._dynamodb = dynamodb
        self._keep_log = keep_log
        self._processes: list[subprocess.Popen] = []

    def __enter__(self) -> "Emulator":
        install()
        self._folder = Path(tempfile.mkdtemp(prefix="pennypost-emulator-"))
        logs = self._keep_log or self._folder
        logs.mkdir(parents=True, exist_ok=True)
        moto, dynamodb = free_ports(2)
        self._moto = f"http://127.0.0.1:{moto}"
        self._tables = f"http://127.0.0.1:{dynamodb}" if self._dynamodb == "dynoxide" else self._moto
        try:
            command = [str(moto_python()), "-c", MOTO_SERVER, "-H", "127.0.0.1", "-p", str(moto)]
            self._start("moto", command, logs, self._moto + "/moto-api/data.json")
            if self._dynamodb == "dynoxide":
                command = [str(dynoxide()), "serve", "--host", "127.0.0.1", "--port", str(dynamodb)]
                self._start("dynoxide", command, logs, self._tables + "/")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """What a program needs to find them."""
        return {
            "AWS_ENDPOINT_URL": self._moto,
            "AWS_ENDPOINT_URL_S3": self._moto,
            "AWS_ENDPOINT_URL_SQS": self._moto,
            "AWS_ENDPOINT_URL_DYNAMODB": self._tables,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY", ""), "127.0.0.1"])),
            "PENNYPOST_TEST_AWS": "1",
        }

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, name: str, command: list[str], logs: Path, probe: str) -> None:
        path = logs / f"{name}.log"
        with open(path, "ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                # The tests' own settings do not reach the emulators.
                env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        self._processes.append(process)
        while not _answers(probe):
            if process.poll() is not None:
                said = path.read_bytes()[-2000:].decode(errors="replace")
                raise SystemExit(f"error: {name} ended with code {process.returncode}:\n{said}")
            time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        # Any answer: what counts is that somebody speaks HTTP there.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True
