"""The mail programs of Debian, each told to sign in by exactly one mechanism."""

import mailbox
import os
import shutil

from ..tools import run_program
from ..with_getmail import DESTINATION, unprivileged_owner
from ..with_neomutt import in_terminal
from .program import NO_BINDING, NO_CHOICE, NO_TOKENS, Program, all_but
from .way import Mode, Run


class Curl(Program):
    name = "curl"
    cannot = {
        "command": "takes SASL wherever it is offered",
        "XOAUTH2": "takes OAUTHBEARER wherever it is offered",
        "SCRAM-SHA-256": "is built without GNU SASL, which it has SCRAM from",
        "SCRAM-SHA-256-PLUS": NO_BINDING,
    }

    def fetch(self, run: Run) -> bytes:
        mode = run.mode
        path = "INBOX;MAILINDEX=1" if mode.protocol == "imap" else "1"
        tls = ["--ssl-reqd"] if mode.transport == "STARTTLS" else []
        user = (["-u", f"{run.account.address}:", "--oauth2-bearer", run.secret] if mode.by_token
                else ["-u", f"{run.account.address}:{run.secret}"])
        output = run.folder / "mail.eml"
        run_program(["curl", "-sS", "--max-time", "30", "--cacert", run.certificate, *tls, *user,
                     "--login-options", f"AUTH={mode.sasl}", "-o", str(output),
                     f"{mode.listener}://localhost:{run.port}/{path}"])
        return output.read_bytes()


class Mbsync(Program):
    name = "mbsync"
    protocols = ("imap",)
    cannot = {
        "sasl-login": "its LOGIN is always the command",
        "SCRAM-SHA-256-PLUS": NO_BINDING,
        "OAUTHBEARER": "Debian has no Cyrus SASL plug-in for tokens",
        "XOAUTH2": "Debian has no Cyrus SASL plug-in for tokens",
    }
    configuration = """\
IMAPAccount office
Host localhost
Port {port}
User {address}
Pass {password}
AuthMechs {mechanism}
SSLType {tls}
CertificateFile {certificate}

IMAPStore far
Account office

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX

Channel office
Far :far:
Near :near:
Create Near
Sync Pull
SyncState *
"""

    def fetch(self, run: Run) -> bytes:
        (run.folder / "mail").mkdir()
        (run.folder / "mbsyncrc").write_text(self.configuration.format(
            port=run.port, address=run.account.address, password=run.secret, certificate=run.certificate,
            mechanism=run.mode.sasl or "LOGIN", folder=run.folder,
            tls={"plain": "None", "STARTTLS": "STARTTLS", "TLS": "IMAPS"}[run.mode.transport]))
        run_program(["mbsync", "-c", str(run.folder / "mbsyncrc"), "office"],
                    environment={**os.environ, "HOME": str(run.folder)})
        [letter] = [path for part in ("cur", "new") for path in (run.folder / "mail/INBOX" / part).iterdir()]
        return letter.read_bytes()


class Neomutt(Program):
    name = "neomutt"
    cannot = {
        "SCRAM-SHA-256-PLUS": "asks GNU SASL for no channel binding",
        "imap command": "its LOGIN is the mechanism wherever that is offered",
        "imap SCRAM-SHA-256": "takes PLAIN before it asks GNU SASL, which it has SCRAM from",
        "pop3 STARTTLS SCRAM-SHA-256": "takes -PLUS wherever that is offered, and then has no channel binding for it",
        "pop3 TLS SCRAM-SHA-256": "takes -PLUS wherever that is offered, and then has no channel binding for it",
        "imap plain OAUTHBEARER": "sends tokens over TLS only",
        "imap plain XOAUTH2": "sends tokens over TLS only",
        "pop3 PLAIN": "leaves the choice among passwords' mechanisms to GNU SASL",
        "pop3 sasl-login": "leaves the choice among passwords' mechanisms to GNU SASL",
        "pop3 XOAUTH2": "knows OAUTHBEARER only",
    }
    configuration = """\
set {protocol}_user = "{address}"
set {protocol}_pass = "{secret}"
{authenticators}
set ssl_starttls = {starttls}
set ssl_force_tls = {tls}
set certificate_file = {certificate}
set ssl_verify_host = no
set folder = {url}/
set spoolfile = {url}
set record = ""
set quit = yes
set delete = no
set pop_delete = no
set confirmappend = no
set confirmcreate = no
set mbox_type = mbox
set wait_key = no
set header_cache = ""
set sleep_time = 0
set beep = no
"""

    @staticmethod
    def authenticators(mode: Mode, secret: str) -> str:
        protocol = "pop" if mode.protocol == "pop3" else "imap"
        if mode.mechanism == "SCRAM-SHA-256":
            return ""  # unless told, it lets GNU SASL take the strongest that is offered
        name = "user" if mode.sasl is None else mode.sasl.lower()
        told = f'set {protocol}_authenticators = "{name}"'
        return told + (f'\nset {protocol}_oauth_refresh_command = "printf %s {secret}"' if mode.by_token else "")

    def fetch(self, run: Run) -> bytes:
        mode = run.mode
        url = f"{'pop' if mode.protocol == 'pop3' else 'imap'}{'s' if mode.transport == 'TLS' else ''}"
        url = f"{url}://localhost:{run.port}{'/INBOX' if mode.protocol == 'imap' else ''}"
        (run.folder / "muttrc").write_text(self.configuration.format(
            protocol="pop" if mode.protocol == "pop3" else "imap", address=run.account.address, secret=run.secret,
            authenticators=self.authenticators(mode, run.secret), certificate=run.certificate, url=url,
            starttls="yes" if mode.transport == "STARTTLS" else "no", tls="no" if mode.transport == "plain" else "yes"))
        copy = run.folder / "copy"
        in_terminal(["neomutt", "-n", "-F", str(run.folder / "muttrc"), "-e",
                     f'push "<first-entry><copy-message>{copy}<enter><exit>"'],
                    {**os.environ, "HOME": str(run.folder), "LC_ALL": "C.UTF-8"}, run.folder / "screen", seconds=12)
        assert copy.exists(), "nothing was copied"
        return mailbox.mbox(copy)[0].as_bytes()


class Getmail(Program):
    name = "getmail6"
    cannot = {
        **all_but("command", "XOAUTH2", reason="knows the protocol's own command and, in IMAP, XOAUTH2 only"),
        "pop3 XOAUTH2": "knows the protocol's own command and, in IMAP, XOAUTH2 only",
        "STARTTLS": "knows no STARTTLS and no STLS",
    }
    configuration = """\
[retriever]
type = Simple{protocol}{tls}Retriever
server = localhost
port = {port}
username = {address}
{secret}
{certificate}
timeout = 30

""" + DESTINATION + """
[options]
delete = false
read_all = true
received = false
delivered_to = false
message_log = {folder}/log
"""

    def fetch(self, run: Run) -> bytes:
        (run.folder / "mail").mkdir()
        (run.folder / "getmailrc").write_text(self.configuration.format(
            protocol=run.mode.protocol.upper(), tls="SSL" if run.mode.transport == "TLS" else "", port=run.port,
            address=run.account.address, folder=run.folder,
            secret=(f'use_xoauth2 = True\npassword_command = ("/bin/echo", "{run.secret}")' if run.mode.by_token
                    else f"password = {run.secret}"),
            certificate=(f"ca_certs = {shutil.copy(run.certificate, run.folder / 'cert.pem')}"
                         if run.mode.transport == "TLS" else "")))
        user = unprivileged_owner(run.folder)
        run_program(["getmail", "--getmaildir", str(run.folder), "--rcfile", "getmailrc"],
                    environment={**os.environ, "HOME": str(run.folder)}, user=user)
        [letter] = (run.folder / "mail").iterdir()
        return letter.read_bytes()


class Fetchmail(Program):
    name = "fetchmail"
    cannot = all_but("command", reason=NO_CHOICE)
    configuration = """\
set idfile "{folder}/ids"
poll localhost with proto {protocol} port {port} auth password
  user "{address}" password "{password}"
  {tls}
  keep fetchall
  mda "cat >> {folder}/mail"
"""
    tls = {"plain": "sslproto ''", "STARTTLS": "sslproto TLS1.2+", "TLS": "ssl"}

    def fetch(self, run: Run) -> bytes:
        verified = f' sslcertck sslcertfile "{run.certificate}"' if run.mode.transport != "plain" else ""
        rc = run.folder / "fetchmailrc"
        rc.write_text(self.configuration.format(
            protocol=run.mode.protocol.upper(), port=run.port, address=run.account.address, password=run.secret,
            tls=self.tls[run.mode.transport] + verified, folder=run.folder))
        rc.chmod(0o600)
        run_program(["fetchmail", "-f", str(rc), "--nosyslog", "--invisible"],
                    environment={**os.environ, "HOME": str(run.folder), "FETCHMAILHOME": str(run.folder)})
        return (run.folder / "mail").read_bytes()


class Mpop(Program):
    name = "mpop"
    protocols = ("pop3",)
    cannot = {"SCRAM-SHA-256-PLUS": NO_BINDING}
    configuration = """\
account office
host localhost
port {port}
user {address}
password {secret}
auth {mechanism}
tls {tls}
tls_starttls {starttls}
tls_trust_file {certificate}
keep on
only_new off
received_header off
uidls_file {folder}/uidls
delivery mbox {folder}/mail
"""

    def fetch(self, run: Run) -> bytes:
        rc = run.folder / "mpoprc"
        rc.write_text(self.configuration.format(
            port=run.port, address=run.account.address, secret=run.secret, folder=run.folder,
            mechanism=(run.mode.sasl or "user").lower(), certificate=run.certificate,
            tls="off" if run.mode.transport == "plain" else "on",
            starttls="on" if run.mode.transport == "STARTTLS" else "off"))
        rc.chmod(0o600)
        run_program(["mpop", "-C", str(rc), "-q", "office"], environment={**os.environ, "HOME": str(run.folder)})
        return mailbox.mbox(run.folder / "mail")[0].as_bytes()


class Gsasl(Program):
    """GNU SASL's own test program: it signs in and leaves."""

    name = "gsasl"
    protocols = ("imap",)
    cannot = {
        "command": "speaks SASL only",
        "OAUTHBEARER": NO_TOKENS,
        "XOAUTH2": NO_TOKENS,
        "TLS": "knows STARTTLS only",
    }

    def fetch(self, run: Run) -> None:
        plain = run.mode.transport == "plain"
        tls = ["--no-starttls"] if plain else ["--starttls", f"--x509-ca-file={run.certificate}"]
        # Otherwise it says that it could bind: a server that can, too, takes that for a downgrade (RFC 5802 section 6).
        binding = ["--no-cb"] if run.mode.mechanism == "SCRAM-SHA-256" else []
        run_program(["gsasl", "--imap", *binding, f"--mechanism={run.mode.sasl}",
                     f"--authentication-id={run.account.address}", f"--password={run.secret}", "--quiet", *tls,
                     f"--connect=localhost:{run.port}"], stdin="")


PROGRAMS = (Curl(), Mbsync(), Neomutt(), Getmail(), Fetchmail(), Mpop(), Gsasl())
