"""cargo-lambda, installed below the target directory: it builds functions' packages and invokes them locally."""

import subprocess
import sys
from pathlib import Path

from . import packages
from .emulator import cache

VERSION = "1.9.2"


def program() -> Path:
    """Its path; installs it when it is missing, with the compiler for other machines (ziglang) that it uses."""
    folder = cache() / f"cargo-lambda-{VERSION}"
    found = folder / "bin" / "cargo-lambda"
    mark = folder / "complete"
    if not mark.exists():
        packages.ensure_modules({"ensurepip": ["python3-venv"]})
        print(f"installing cargo-lambda {VERSION}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"cargo-lambda=={VERSION}"], check=True)
        mark.touch()
    return found
