"""Installing the Debian packages a script needs, only when they are missing.

Nothing is started: while apt runs, a policy file keeps package scripts from
starting services (it is taken away again, and an existing one is left alone).
"""

import importlib.util
import os
import shutil
import subprocess
from contextlib import contextmanager

POLICY_FILE = "/usr/sbin/policy-rc.d"


def ensure(programs: dict[str, list[str]]) -> None:
    """`programs` maps a program name to the packages that bring it."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted(
        {
            package
            for program, packages in programs.items()
            if shutil.which(program, path=search) is None
            for package in packages
        }
    )
    _ensure_installed(missing)


def ensure_modules(modules: dict[str, list[str]]) -> None:
    """`modules` maps a module of Debian's Python to the packages that bring it."""
    missing = {
        package for module, packages in modules.items() if importlib.util.find_spec(module) is None for package in packages
    }
    _ensure_installed(sorted(missing))
    importlib.invalidate_caches()


def _ensure_installed(missing: list[str]) -> None:
    if not missing:
        return
    if os.geteuid() != 0:
        raise SystemExit(
            "error: packages are missing; as root run: apt-get install -y --no-install-recommends "
            + " ".join(missing)
        )
    print(f"installing {' '.join(missing)}", flush=True)
    with services_not_started():
        if not _install(missing):
            _apt(["update"], check=True)
            if not _install(missing):
                raise SystemExit("error: apt-get could not install " + " ".join(missing))


def _install(packages: list[str]) -> bool:
    return _apt(["install", "-y", "--no-install-recommends", *packages], check=False)


def _apt(arguments: list[str], check: bool) -> bool:
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    done = subprocess.run(
        ["apt-get", "-q", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if check and done.returncode != 0:
        raise SystemExit(f"error: apt-get {arguments[0]} failed:\n{done.stdout[-2000:]}")
    return done.returncode == 0


@contextmanager
def services_not_started():
    if os.path.exists(POLICY_FILE):
        yield
        return
    with open(POLICY_FILE, "w") as policy:
        policy.write("#!/bin/sh\nexit 101\n")
    os.chmod(POLICY_FILE, 0o755)
    try:
        yield
    finally:
        os.unlink(POLICY_FILE)
