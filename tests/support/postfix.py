"""Debian's Postfix as a server that receives, its certificates, and what tests say to each other."""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from .ports import accepts_connections, free_ports
from .reference import MASTER_CF

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/postfix-data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/postfix.log
maillog_file_prefixes = {root}
myhostname = mx.other.test
mydestination =
mynetworks = 127.0.0.2/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = inline:{{{mailboxes}}}
relay_domains = {relays}
transport_maps = inline:{{{transports}}}
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{group}
virtual_minimum_uid = 1
smtputf8_enable = yes
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_cert_file = {root}/cert.pem
smtpd_tls_key_file = {root}/key.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = mx.other.test
cyrus_sasl_config_path = {root}/config/sasl
"""

SMTPD_CONF = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
mech_list: PLAIN LOGIN
sasldb_path: {root}/config/sasl/sasldb2
"""


class Authority:
    """Signs certificates."""

    def __init__(self, root: Path):
        self.root, self.certificate = root, root / "authority.pem"
        root.mkdir(parents=True)
        self._openssl("req", "-x509", *self.KEY, "-days", "30", "-subj", "/CN=Authority of a test",
                      "-keyout", str(root / "authority.key"), "-out", str(self.certificate))

    KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def sign(self, names: list[str], certificate: Path, key: Path) -> None:
        request = self.root / "request.pem"
        self._openssl("req", *self.KEY, "-subj", f"/CN={names[0]}", "-keyout", str(key), "-out", str(request))
        (self.root / "names").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")
        self._openssl("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self.root / "authority.key"),
                      "-CAcreateserial", "-days", "30", "-extfile", str(self.root / "names"), "-out", str(certificate))


class Receiver:
    """Postfix, which takes mail for addresses, by their folders, and from who signs in for `away.test`. Its certificate is for the
    names that are given. It also takes mail for domains that it relays, and brings mail where `transports` says."""

    def __init__(self, root: Path, authority: Authority, mailboxes: dict[str, str], names: list[str],
                 relays: list[str] | None = None, transports: dict[str, str] | None = None):
        self.root, self.authority, self.mailboxes, self.names = root, authority, mailboxes, names
        self.relays, self.transports = relays or [], {"away.test": "discard:"} | (transports or {})
        (self.port,) = free_ports(1)

    def start(self) -> None:
        root, owner = self.root, pwd.getpwnam("nobody")
        for folder in ("config", "queue", "mail", "postfix-data", "config/sasl"):
            (root / folder).mkdir(parents=True)
        os.chmod(root, 0o755)
        shutil.chown(root / "mail", "nobody")
        shutil.chown(root / "postfix-data", "postfix")
        self.authority.sign(self.names, root / "cert.pem", root / "key.pem")
        with open(root / "cert.pem", "a") as chain:
            chain.write(self.authority.certificate.read_text())
        (root / "config/sasl/smtpd.conf").write_text(SMTPD_CONF.format(root=root))
        subprocess.run(["saslpasswd2", "-p", "-c", "-f", str(root / "config/sasl/sasldb2"), "-u", "mx.other.test", "office"],
                       input="open sesame", text=True, check=True, capture_output=True)
        shutil.chown(root / "config/sasl/sasldb2", "postfix")
        facts = {"root": root, "owner": owner.pw_uid, "group": owner.pw_gid, "smtp": self.port,
                 "domains": " ".join(sorted({address.split("@")[1] for address in self.mailboxes})),
                 "relays": " ".join(self.relays),
                 "transports": ", ".join(f"{domain}={transport}" for domain, transport in self.transports.items()),
                 "mailboxes": ", ".join(f"{address}={folder}/" for address, folder in self.mailboxes.items())}
        (root / "config/main.cf").write_text(MAIN_CF.format(**facts))
        (root / "config/master.cf").write_text(MASTER_CF.format(**facts))
        self._run("start")
        wait_for(lambda: accepts_connections(self.port), "Postfix does not start")

    def stop(self) -> None:
        self._run("stop")

    def _run(self, what: str) -> None:
        with open(self.root / "start.log", "ab") as log:
            command = ["postfix", "-c", str(self.root / "config"), what]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=what == "start")

    def letters(self, mailbox: str = "you") -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.root / "mail" / mailbox / "new").glob("*"))]

    def log(self) -> str:
        return (self.root / "postfix.log").read_text()


def wait_for(condition, what: str, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(what)
        time.sleep(0.1)
    return found


def expect(found, wanted) -> None:
    assert found == wanted, f"{found!r} and not {wanted!r}"
