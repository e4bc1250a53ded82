"""The imaptest program as a child process."""

import os
import subprocess
from dataclasses import dataclass

#: Where Debian keeps the libraries that an imaptest linked against its Dovecot needs.
DOVECOT_LIBRARIES = "/usr/lib/dovecot"


@dataclass(frozen=True)
class Outcome:
    #: None when it had to be stopped because it did not end by itself.
    exit_code: int | None
    output: str
    errors: str


class ImapTest:
    def __init__(self, program: str, port: int):
        self.program = program
        self.port = port

    def run(self, arguments: list[str], seconds: float, folder: str | None = None) -> Outcome:
        """`seconds` is when it counts as hanging; `folder` is where it writes its files."""
        libraries = os.environ.get("LD_LIBRARY_PATH", "")
        environment = dict(os.environ, LD_LIBRARY_PATH=f"{libraries}:{DOVECOT_LIBRARIES}".lstrip(":"))
        command = [self.program, "host=127.0.0.1", f"port={self.port}", *arguments]
        child = subprocess.Popen(
            command, env=environment, cwd=folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        try:
            output, errors = child.communicate(timeout=seconds)
            code = child.returncode
        except subprocess.TimeoutExpired:
            child.kill()
            output, errors = child.communicate()
            code = None
        finally:
            if child.poll() is None:
                child.kill()
        return Outcome(code, output.decode(errors="replace"), errors.decode(errors="replace"))
