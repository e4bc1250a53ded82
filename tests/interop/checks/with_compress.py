"""COMPRESS=DEFLATE (RFC 4978): by hand with zlib, and as mutt uses it."""

import os
import zlib

from support.imap_wire import Imap, ImapError, fetched_literal, is_fetch

from . import Context, check
from .modes import Tap
from .tools import letter, messages, send, wait_for
from .with_neomutt import in_terminal


class Deflated:
    """A socket's face over raw deflate, flushed after each send as the RFC asks."""

    def __init__(self, inner):
        self._inner = inner
        self._compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._decompressor = zlib.decompressobj(-15)
        self._ready = b""
        self.wire_out = self.wire_in = 0

    def sendall(self, octets: bytes) -> None:
        packed = self._compressor.compress(octets) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        self.wire_out += len(packed)
        self._inner.sendall(packed)

    def _fill(self) -> bool:
        while not self._ready:
            chunk = self._inner.recv(65536)
            if not chunk:
                return False
            self.wire_in += len(chunk)
            self._ready = self._decompressor.decompress(chunk)
        return True

    def read(self, count: int) -> bytes:
        got = b""
        while len(got) < count and self._fill():
            need = count - len(got)
            got, self._ready = got + self._ready[:need], self._ready[need:]
        return got

    def readline(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and self._fill():
            end = self._ready.find(b"\n") + 1 or len(self._ready)
            line, self._ready = line + self._ready[:end], self._ready[end:]
        return line

    def close(self) -> None:
        self._inner.close()


def compressed(client: Imap) -> Deflated:
    """Turns compression on."""
    capabilities = client.command(b"CAPABILITY")[1][0][0].upper().split()
    assert b"COMPRESS=DEFLATE" in capabilities, "COMPRESS=DEFLATE is not offered after sign-in"
    client.command(b"COMPRESS DEFLATE")
    client.socket = client._input = Deflated(client.socket)
    return client.socket


def exchange(context: Context, listener: str, tls) -> None:
    account = context.account(f"compress-{listener}")
    client = Imap(context.office.ports[listener], tls)
    client.login(account.address, account.password)
    wire = compressed(client)
    # Compressible, and longer than any window or buffer.
    sent = letter("pressed", "".join(f"line {number % 977} of a long letter\r\n" for number in range(60_000)))
    client.command(b"APPEND INBOX (\\Flagged)", literal=sent)
    client.command(b"SELECT INBOX")
    _, responses = client.command(b"FETCH 1 (FLAGS BODY.PEEK[])")
    [got] = [fetched_literal(response) for response in responses if is_fetch(response)]
    assert got == sent, "the letter came back changed"
    for direction, count in (("to the server", wire.wire_out), ("to the client", wire.wire_in)):
        assert count < len(sent) / 3, f"{count} octets {direction} for a letter of {len(sent)}"
    # Pipelined in one deflate block: answered in order.
    tags = [client.next_tag() for _ in range(50)]
    client.send(b"".join(tag + b" NOOP\r\n" for tag in tags))
    for tag in tags:
        client.finish(tag)
    noise = letter("noise", os.urandom(200_000).hex() + "\r\n")
    client.command(b"APPEND INBOX", literal=noise)
    assert fetched_literal(client.command(b"FETCH 2 BODY.PEEK[]")[1][-1]) == noise, "the second letter was changed"
    try:
        client.command(b"COMPRESS DEFLATE")
    except ImapError as refusal:
        assert "COMPRESSIONACTIVE" in str(refusal), f"a second COMPRESS was answered {refusal}"
    else:
        raise AssertionError("a second COMPRESS was taken")
    client.command(b"LOGOUT")
    client.close()


@check("compress: by hand without TLS")
def plain(context: Context) -> None:
    exchange(context, "imap", None)


@check("compress: by hand over TLS")
def over_tls(context: Context) -> None:
    exchange(context, "imaps", context.office.tls_context())


CONFIGURATION = """\
set imap_user = "{address}"
set imap_pass = "{password}"
set imap_deflate = yes
set ssl_starttls = no
set ssl_force_tls = no
set folder = imap://localhost:{port}/
set spoolfile = imap://localhost:{port}/INBOX
set record = ""
set delete = yes
set quit = yes
set wait_key = no
set mark_old = no
set header_cache = ""
set confirmappend = no
set confirmcreate = no
set beep = no
"""


@check("compress: mutt with imap_deflate reads, flags and deletes")
def mutt(context: Context) -> None:
    office = context.office
    account = context.account("compress-mutt")
    folder = context.folder("compress-mutt")
    for number in range(3):
        send(office, account, letter(f"letter {number}"))
        wait_for(office, account, number + 1)
    tap = Tap(office.ports["imap"])
    (folder / "muttrc").write_text(CONFIGURATION.format(
        address=account.address, password=account.password, port=tap.port))
    presses = (f"<first-entry><copy-message>{folder}/copy<enter><first-entry><next-entry><flag-message>"
               "<last-entry><delete-message><sync-mailbox><quit>")
    in_terminal(["mutt", "-n", "-F", str(folder / "muttrc"), "-e", f'push "{presses}"'],
                {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}, folder / "screen", seconds=20)
    assert any(b"COMPRESS DEFLATE\r\n" in said for said in tap.said()), "mutt did not ask for compression"
    tap.close()
    assert b"\n..two dots\n" in (folder / "copy").read_bytes(), "the copied letter is another"
    flags = [flags for flags, _ in messages(office, account).values()]
    assert len(flags) == 2 and "\\Flagged" in flags[1], f"INBOX holds messages with {flags}"
