"""OpenSMTPD as another server. Its Debian package keeps out every other server for mail, so it is unpacked and not installed, and
run in a mount namespace of its own, where users and folders are those that it expects (root only).

As a server, OpenSMTPD 6.8.0p2 of Debian 12 can't do TLS with any certificate: the process that speaks to the network has no key, and what
it marks as kept by another process OpenSSL 3 loses, so each handshake ends with an internal error. As a client it can.
"""

import os
import shutil
import subprocess
from pathlib import Path

from .ports import accepts_connections, free_ports
from .postfix import Authority, wait_for

#: Users that its package would make.
USERS = ("opensmtpd:x:64990:64990::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n"
         "opensmtpq:x:64991:64991::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n")
GROUPS = "opensmtpd:x:64990:\nopensmtpq:x:64991:\n"

CONF = """\
pki ours cert "{root}/cert.pem"
pki ours key "{root}/key.pem"
table users {{ "you@{domain}" = "nobody" }}
listen on 127.0.0.1 port {port} tls pki ours hostname mx.{domain}
action "keep" maildir "{root}/mail" virtual <users>
action "pass on" relay host "smtp+tls://127.0.0.1:{onward}" tls no-verify helo "mx.{domain}"
match from any for domain "{domain}" action "keep"
match from local for any action "pass on"
"""

RUN = """\
set -e
mount --make-rprivate /
mount --bind {root}/passwd /etc/passwd
mount --bind {root}/group /etc/group
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/opensmtpd/empty
mount -t tmpfs tmpfs /var/spool
mkdir -m 711 /var/spool/smtpd
mount -t tmpfs tmpfs /var/mail || true
mount --bind {root}/unpacked/usr/libexec /usr/libexec
mount -t tmpfs tmpfs /run
exec {root}/unpacked/usr/sbin/smtpd -d -f {root}/smtpd.conf
"""


class OpenSmtpd:
    """Takes mail for `you` in a domain, offers STARTTLS that breaks, and hands on what programs here give it, over TLS, to one port."""

    def __init__(self, root: Path, authority: Authority, domain: str):
        self.root, self.authority, self.domain = root, authority, domain
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen | None = None

    def start(self, onward: int) -> None:
        root = self.root
        (root / "unpacked").mkdir(parents=True)
        (root / "mail").mkdir()
        os.chmod(root, 0o755)
        shutil.chown(root / "mail", "nobody")
        run("apt-get", "-q", "download", "opensmtpd", cwd=root)
        (package,) = root.glob("opensmtpd_*.deb")
        run("dpkg", "-x", str(package), str(root / "unpacked"), cwd=root)
        self.authority.sign([f"mx.{self.domain}"], root / "cert.pem", root / "key.pem")
        os.chmod(root / "key.pem", 0o600)
        (root / "passwd").write_text(Path("/etc/passwd").read_text() + USERS)
        (root / "group").write_text(Path("/etc/group").read_text() + GROUPS)
        (root / "smtpd.conf").write_text(CONF.format(root=root, domain=self.domain, port=self.port, onward=onward))
        with open(root / "smtpd.log", "ab") as log:
            command = ["unshare", "-m", "sh", "-c", RUN.format(root=root)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: accepts_connections(self.port), f"OpenSMTPD does not start; see {root}/smtpd.log")

    def letters(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.root / "mail" / "new").glob("*"))]

    def log(self) -> str:
        return (self.root / "smtpd.log").read_text(errors="replace")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)


def run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
