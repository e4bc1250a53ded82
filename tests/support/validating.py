"""A name server that validates: Debian's unbound over signed zones of our own, on a port of loopback."""

import re
import subprocess
import time
from pathlib import Path

from .ports import free_ports

CONF = """\
server:
  directory: "{root}"
  username: ""
  chroot: ""
  pidfile: "{root}/unbound.pid"
  logfile: "{root}/unbound.log"
  use-syslog: no
  val-log-level: 2
  do-daemonize: no
  interface: 127.0.0.1@{port}
  module-config: "validator iterator"
  qname-minimisation: no
  do-not-query-localhost: no
  cache-max-ttl: 1
  cache-max-negative-ttl: 1
  local-zone: "test." nodefault
"""


class ValidatingServer:
    """Zones by their names, signed or not. Only of the signed ones with an anchor it says that answers are proved."""

    def __init__(self, root: Path):
        self.root = root
        root.mkdir(parents=True)
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen | None = None
        self.conf = CONF.format(root=root, port=self.port)

    def add(self, name: str, records: list[str], signed: bool = False, forge: tuple[str, str] | None = None) -> None:
        """`forge` is a text of the zone, and what stands there after it was signed."""
        lines = [f"$ORIGIN {name}.", "$TTL 60", f"@ IN SOA ns.{name}. host.{name}. 1 3600 600 86400 1", f"@ IN NS ns.{name}.",
                 "ns IN A 127.0.0.1", *records]
        file = self.root / f"{name}.zone"
        file.write_text("\n".join(lines) + "\n")
        if signed:
            key = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", name).strip()
            self._run("ldns-signzone", file.name, key)
            file = file.with_name(file.name + ".signed")
            self.conf += f'  trust-anchor-file: "{self.root}/{key}.key"\n'
            if forge:
                found, text = forge[0], file.read_text()
                assert len(re.findall(re.escape(found), text)) >= 1, f"{found} is not in the signed zone"
                file.write_text(text.replace(found, forge[1]))
        with open(self.root / "zones.conf", "a") as zones:
            zones.write(f'auth-zone:\n  name: "{name}."\n  zonefile: "{file}"\n  for-downstream: no\n  for-upstream: yes\n'
                        "  fallback-enabled: no\n")

    def _run(self, *command: str) -> str:
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout

    def start(self) -> None:
        file = self.root / "unbound.conf"
        file.write_text(self.conf + (self.root / "zones.conf").read_text())
        self.process = subprocess.Popen(["/usr/sbin/unbound", "-c", str(file)], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"error: unbound does not start; see {self.root}/unbound.log")
            time.sleep(0.1)

    def answers(self) -> bool:
        import dns.exception
        import dns.message
        import dns.query

        try:
            dns.query.udp(dns.message.make_query("localhost.", "A"), "127.0.0.1", timeout=0.5, port=self.port)
            return True
        except (dns.exception.DNSException, OSError):
            return False

    def ask(self, name: str, kind: str) -> tuple[str, bool, list[str]]:
        """Code, whether it is said to be proved, and the records."""
        import dns.flags
        import dns.message
        import dns.query
        import dns.rcode

        query = dns.message.make_query(name, kind, want_dnssec=True)
        answer = dns.query.udp(query, "127.0.0.1", timeout=5, port=self.port)
        found = [rdata.to_text() for rrset in answer.answer if dns.rdatatype.to_text(rrset.rdtype) == kind for rdata in rrset]
        return dns.rcode.to_text(answer.rcode()), bool(answer.flags & dns.flags.AD), found

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)
