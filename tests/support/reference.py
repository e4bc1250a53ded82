"""Debian's Postfix -> Dovecot (LMTP, maildir) in a directory of its own.

Own configuration, own queue, high loopback ports: the system's services and
their files are not touched. Settings are Debian's defaults where nothing is
said, so fsync is on in both (Postfix syncs its queue files, Dovecot syncs
what LMTP delivers); virtual mailboxes, no content filters, and concurrency
raised so that neither server waits for an artificial limit.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import process
from .office import Account, Office
from .ports import accepts_connections, free_ports

PACKAGES = {
    "postfix": ["postfix"],
    "dovecot": ["dovecot-core", "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd"],
    "openssl": ["openssl"],
}
#: Names in front of the @ that begin so are unknown recipients.
UNKNOWN_PREFIX = "nobody"

MASTER_CF = """\
127.0.0.1:{smtp} inet n - n - 100 smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
virtual   unix  - n n - - virtual
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/postfix-data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {root}/log/postfix.log
maillog_file_prefixes = {root}
myhostname = localhost
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = regexp:{root}/postfix/domains
virtual_mailbox_maps = regexp:{root}/postfix/mailboxes
virtual_transport = lmtp:unix:{root}/run/lmtp
smtputf8_enable = yes
message_size_limit = 104857600
mailbox_size_limit = 0
virtual_mailbox_limit = 0
default_process_limit = 100
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
in_flow_delay = 0
virtual_destination_recipient_limit = 50
lmtp_destination_concurrency_limit = 20
lmtp_destination_recipient_limit = 50
initial_destination_concurrency = 20
smtpd_tls_security_level = may
smtpd_tls_cert_file = {root}/tls/cert.pem
smtpd_tls_key_file = {root}/tls/key.pem
"""

DOVECOT_CONF = """\
base_dir = {root}/run
state_dir = {root}/dovecot-state
log_path = {root}/log/dovecot.log
protocols = imap pop3 lmtp
listen = 127.0.0.1
instance_name = {instance}
ssl = yes
ssl_cert = <{root}/tls/cert.pem
ssl_key = <{root}/tls/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:~/Maildir
mail_max_userip_connections = 200
first_valid_uid = 1
auth_failure_delay = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home={root}/mail/%u
}}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = create
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  process_limit = 50
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@localhost
}}
"""


class Reference(Office):
    name = "postfix-dovecot"
    keeps_bytes = False

    def __init__(self, root: Path):
        self.root = Path(root)
        names = ("smtp", "imap", "imaps", "pop3", "pop3s")
        self.ports = dict(zip(names, free_ports(len(names))))
        self.certificate = str(self.root / "tls" / "cert.pem")
        self._dovecot: subprocess.Popen | None = None
        self._master_pid = 0
        # Every address exists as soon as it is named; one password serves all.
        self._password = secrets.token_hex(12)
        self._write_configuration()

    def _write_configuration(self) -> None:
        # Daemons that gave up root walk through here.
        self.root.mkdir(parents=True, exist_ok=True)
        os.chmod(self.root, 0o755)
        owner = pwd.getpwnam("nobody")
        for folder in ("postfix", "dovecot", "log", "run", "dovecot-state", "tls", "queue"):
            (self.root / folder).mkdir(exist_ok=True)
        for folder, user in (("mail", "nobody"), ("postfix-data", "postfix")):
            (self.root / folder).mkdir(exist_ok=True)
            shutil.chown(self.root / folder, user)
        self._make_certificate()
        facts = dict(
            root=self.root, password=self._password, instance=self.root.name, owner=owner.pw_uid, group=owner.pw_gid,
            **self.ports,
        )
        postfix = self.root / "postfix"
        (postfix / "main.cf").write_text(MAIN_CF.format(**facts))
        (postfix / "master.cf").write_text(MASTER_CF.format(**facts))
        (postfix / "domains").write_text(r"/\.test$/ OK" + "\n")
        (postfix / "mailboxes").write_text(f"!/^{UNKNOWN_PREFIX}/ OK\n")
        (self.root / "dovecot/dovecot.conf").write_text(DOVECOT_CONF.format(**facts))

    def _make_certificate(self) -> None:
        if not os.path.exists(self.certificate):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-days", "30", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                 "-keyout", str(self.root / "tls/key.pem"), "-out", self.certificate],
                check=True, capture_output=True,
            )

    def start(self) -> None:
        with open(self.root / "log/start.log", "ab") as log:
            self._dovecot = subprocess.Popen(
                ["dovecot", "-F", "-c", str(self.root / "dovecot/dovecot.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
            subprocess.run(
                ["postfix", "-c", str(self.root / "postfix"), "start"],
                check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self._master_pid = int((self.root / "queue/pid/master.pid").read_text())
        deadline = time.monotonic() + 20
        while not all(accepts_connections(port) for port in self.ports.values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"postfix or dovecot did not start; see {self.root}/log")
            time.sleep(0.05)

    def stop(self) -> int:
        subprocess.run(["postfix", "-c", str(self.root / "postfix"), "stop"],
                       capture_output=True, stdin=subprocess.DEVNULL)
        self._dovecot.send_signal(signal.SIGTERM)
        return self._dovecot.wait(30)

    def kill(self) -> None:
        # The masters first, so that nothing new is started.
        doomed = process.tree(self.process_ids())
        for pid in [*self.process_ids(), *doomed]:
            process.kill(pid)
        self._dovecot.wait()
        deadline = time.monotonic() + 10
        while any(process.is_running(pid) for pid in doomed) and time.monotonic() < deadline:
            time.sleep(0.01)
        # Dovecot takes a socket file that still answers, or just stopped to, for a running server.
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir()

    def alive(self) -> bool:
        return self._dovecot is not None and self._dovecot.poll() is None

    def add_account(self, address: str) -> Account:
        return Account(address, self._password)

    def queue_depth(self) -> int | None:
        queued = 0
        for folder in ("maildrop", "incoming", "active", "deferred"):
            for _, _, files in os.walk(self.root / "queue" / folder):
                queued += len(files)
        return queued

    def verify(self) -> list[str]:
        return []

    def process_ids(self) -> list[int]:
        # No postfix yet is no process, and least of all 0, to which a signal is one to all of us.
        return [pid for pid in (self._dovecot.pid, self._master_pid) if pid]
