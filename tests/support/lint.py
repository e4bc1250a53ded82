"""cfn-lint (https://github.com/aws-cloudformation/cfn-lint), installed below the target directory, once for a clone."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from . import packages
from .emulator import cache

VERSION = "1.58.0"


def cfn_lint() -> Path:
    """The program, which is installed if it is missing."""
    folder = cache() / f"cfn-lint-{VERSION}"
    program, mark = folder / "bin" / "cfn-lint", folder / "complete"
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lint.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            packages.ensure_modules({"ensurepip": ["python3-venv"]})
            print(f"installing cfn-lint {VERSION}", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, f"cfn-lint=={VERSION}"], check=True)
            mark.touch()
    return program
