"""TLS itself: its versions on every listener, and that nothing said in clear text counts inside."""

import imaplib
import poplib
import smtplib
import socket
import ssl
from typing import Callable

from support.office import Office

from . import Context, check
from .modes.sasl import Scram, end_point
from .modes.with_python import pop3_authenticate

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
#: What each listener says first, how TLS is asked for, and how one asks what it can.
UPGRADES = {
    "smtp": (b"STARTTLS\r\n", b"220", b"EHLO injected.example\r\n"),
    "imap": (b"s STARTTLS\r\n", b"s OK", b"i LOGIN somebody password\r\n"),
    "pop3": (b"STLS\r\n", b"+OK", b"USER somebody\r\n"),
}


def pinned(office: Office, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = office.tls_context()
    context.minimum_version = context.maximum_version = version
    return context


def by_smtp(office: Office, context: ssl.SSLContext) -> ssl.SSLSocket:
    client = smtplib.SMTP("localhost", office.ports["smtp"], local_hostname="client.example", timeout=30)
    client.ehlo()
    client.starttls(context=context)
    assert client.ehlo()[0] == 250
    return client.sock


def by_imaps(office: Office, context: ssl.SSLContext) -> ssl.SSLSocket:
    client = imaplib.IMAP4_SSL("localhost", office.ports["imaps"], ssl_context=context, timeout=30)
    assert client.noop()[0] == "OK"
    return client.sock


def by_starttls(office: Office, context: ssl.SSLContext) -> ssl.SSLSocket:
    client = imaplib.IMAP4("localhost", office.ports["imap"], timeout=30)
    client.starttls(ssl_context=context)
    assert client.noop()[0] == "OK"
    return client.sock


def by_pop3s(office: Office, context: ssl.SSLContext) -> ssl.SSLSocket:
    client = poplib.POP3_SSL("localhost", office.ports["pop3s"], context=context, timeout=30)
    client.capa()
    return client.sock


def by_stls(office: Office, context: ssl.SSLContext) -> ssl.SSLSocket:
    client = poplib.POP3("localhost", office.ports["pop3"], timeout=30)
    client.stls(context=context)
    client.capa()
    return client.sock


WAYS: dict[str, Callable[[Office, ssl.SSLContext], ssl.SSLSocket]] = {
    "SMTP STARTTLS": by_smtp, "IMAPS": by_imaps, "IMAP STARTTLS": by_starttls, "POP3S": by_pop3s, "POP3 STLS": by_stls,
}


@check("tls: 1.2 and 1.3 on every listener, with forward secrecy")
def versions(context: Context) -> None:
    for name, way in WAYS.items():
        for version in VERSIONS:
            sock = way(context.office, pinned(context.office, version))
            spoken = sock.version()
            assert spoken == version.name.replace("_", "."), f"{name}: {spoken} instead of {version.name}"
            suite = sock.cipher()[0]
            assert suite.startswith(("TLS_", "ECDHE")), f"{name}: {suite} has no forward secrecy"
            sock.close()


@check("tls: 1.1 and 1.0 are refused")
def old_versions(context: Context) -> None:
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = pinned(context.office, version)
        # OpenSSL itself would not offer them otherwise.
        old.set_ciphers("ALL:@SECLEVEL=0")
        for listener in ("imaps", "pop3s"):
            with socket.create_connection(("localhost", context.office.ports[listener]), timeout=30) as connection:
                try:
                    spoken = old.wrap_socket(connection, server_hostname="localhost").version()
                except (ssl.SSLError, ConnectionError):
                    continue
                raise AssertionError(f"{listener} speaks {spoken}")


@check("tls: SCRAM-SHA-256-PLUS binds to the certificate over 1.2 and 1.3")
def bound(context: Context) -> None:
    account = context.account("tls-bound")
    for version in VERSIONS:
        tls = pinned(context.office, version)
        imap = imaplib.IMAP4_SSL("localhost", context.office.ports["imaps"], ssl_context=tls, timeout=30)
        scram = Scram(account.address, account.password, end_point(imap.sock))
        imap.authenticate("SCRAM-SHA-256-PLUS", scram)
        imap.logout()
        pop3 = poplib.POP3_SSL("localhost", context.office.ports["pop3s"], context=tls, timeout=30)
        answers = Scram(account.address, account.password, end_point(pop3.sock))
        pop3_authenticate(pop3, "SCRAM-SHA-256-PLUS", answers)
        pop3.quit()
        assert scram.verified and answers.verified, "the server did not show that it knows the password's keys"


@check("tls: what comes in one packet with STARTTLS or STLS is not done inside TLS")
def nothing_across(context: Context) -> None:
    for listener, (upgrade, go, injected) in UPGRADES.items():
        with socket.create_connection(("localhost", context.office.ports[listener]), timeout=30) as connection:
            lines = connection.makefile("rb")
            lines.readline()
            connection.sendall(upgrade + injected)
            if not lines.readline().startswith(go):
                continue  # refused, which is as good
            try:
                tls = context.office.tls_context().wrap_socket(connection, server_hostname="localhost")
                tls.settimeout(1)
                said = tls.recv(1000)
            except (TimeoutError, ssl.SSLError, ConnectionError):
                continue  # not answered, or the connection is given up
            assert not said, f"{listener}: the injected command was answered inside TLS: {said!r}"


@check("tls: a client that trusts nobody here is told which certificate, and the server serves on")
def distrust(context: Context) -> None:
    office = context.office
    for listener in ("imaps", "pop3s"):
        with socket.create_connection(("localhost", office.ports[listener]), timeout=30) as connection:
            try:
                ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
            except ssl.SSLCertVerificationError:
                pass
            else:
                raise AssertionError("a certificate of nobody's was trusted")
        # Clear text, and half a handshake, where TLS is spoken.
        for garbage in (b"a LOGIN x y\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 3000):
            with socket.create_connection(("localhost", office.ports[listener]), timeout=30) as connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1000)
    by_imaps(office, office.tls_context()).close()
    by_pop3s(office, office.tls_context()).close()
