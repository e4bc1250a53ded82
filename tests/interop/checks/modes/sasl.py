"""The client's side of SASL, with the standard library alone."""

import base64
import hashlib
import hmac
import secrets
import ssl
from typing import Callable

from .way import Mode

#: Signature algorithms whose hash tls-server-end-point takes over (RFC 5929 section 4.1), as DER of their OIDs.
SIGNATURES = {
    bytes.fromhex("06082a8648ce3d040302"): "sha256",  # ecdsa-with-SHA256
    bytes.fromhex("06082a8648ce3d040303"): "sha384",
    bytes.fromhex("06082a8648ce3d040304"): "sha512",
    bytes.fromhex("06092a864886f70d01010b"): "sha256",  # sha256WithRSAEncryption
    bytes.fromhex("06092a864886f70d01010c"): "sha384",
    bytes.fromhex("06092a864886f70d01010d"): "sha512",
}


class SaslError(Exception):
    """The server did not keep to the mechanism."""


#: Called with each challenge, decoded; gives the response.
Responder = Callable[[bytes], bytes]


def responder(mode: Mode, address: str, secret: str, tls: ssl.SSLSocket | None) -> Responder:
    match mode.sasl:
        case "PLAIN":
            return in_turn(f"\0{address}\0{secret}")
        case "LOGIN":
            return in_turn(address, secret)
        case "OAUTHBEARER":  # RFC 7628 section 3.1
            return in_turn(f"n,a={escaped(address)},\1host=localhost\1auth=Bearer {secret}\1\1", "\1")
        case "XOAUTH2":
            return in_turn(f"user={address}\1auth=Bearer {secret}\1\1", "")
        case "SCRAM-SHA-256":
            return Scram(address, secret)
        case "SCRAM-SHA-256-PLUS":
            return Scram(address, secret, end_point(tls))
    raise ValueError(f"no such mechanism: {mode.sasl}")


def in_turn(*responses: str) -> Responder:
    left = list(responses)
    return lambda _challenge: left.pop(0).encode()


def escaped(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def end_point(tls: ssl.SSLSocket) -> bytes:
    """tls-server-end-point: the certificate's hash (RFC 5929 section 4)."""
    certificate = tls.getpeercert(binary_form=True)
    found = [name for oid, name in SIGNATURES.items() if oid in certificate]
    if len(found) != 1:
        raise SaslError(f"the certificate's signature algorithm is not known: {found}")
    return hashlib.new(found[0], certificate).digest()


class Scram:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677); with a channel binding, SCRAM-SHA-256-PLUS."""

    def __init__(self, name: str, password: str, end_point: bytes | None = None):
        self._password = password.encode()
        self._gs2 = "n,," if end_point is None else "p=tls-server-end-point,,"
        self._binding = base64.b64encode(self._gs2.encode() + (end_point or b"")).decode()
        self._nonce = secrets.token_urlsafe(18)
        self._first = f"n={escaped(name)},r={self._nonce}"
        self._signature: bytes | None = None
        self._steps = [self._client_first, self._client_final, self._verify]
        #: The server has shown that it knows the password's keys, too.
        self.verified = False

    def __call__(self, challenge: bytes) -> bytes:
        if not self._steps:
            raise SaslError(f"one challenge too many: {challenge!r}")
        return self._steps.pop(0)(challenge)

    def _client_first(self, _challenge: bytes) -> bytes:
        return (self._gs2 + self._first).encode()

    def _client_final(self, challenge: bytes) -> bytes:
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        if not fields["r"].startswith(self._nonce) or len(fields["r"]) <= len(self._nonce):
            raise SaslError("the server's nonce does not go on with ours")
        if int(fields["i"]) < 4096:
            raise SaslError(f"{fields['i']} iterations are fewer than RFC 7677 asks for")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = f"c={self._binding},r={fields['r']}"
        message = f"{self._first},{challenge.decode()},{without_proof}".encode()
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self._signature = _hmac(_hmac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def _verify(self, challenge: bytes) -> bytes:
        expected = b"v=" + base64.b64encode(self._signature)
        if challenge != expected:
            raise SaslError(f"the server's signature is wrong: {challenge!r}")
        self.verified = True
        return b""


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
