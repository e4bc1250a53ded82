"""IMAP responses as values: numbers and atoms as bytes, strings as Text, NIL, lists.

A response is what `support.imap_wire` reads: line pieces and literals in turn.
"""


class Text(bytes):
    """A quoted string or a literal; an atom stays plain bytes."""


class Nil:
    def __repr__(self):
        return "NIL"


NIL = Nil()


class Malformed(Exception):
    """The server said something that is no IMAP response."""


def parse(parts: list[bytes]) -> list:
    """All tokens of one response, without the leading `*` or tag."""
    return Parser(parts).tokens(b"")


class Parser:
    def __init__(self, parts: list[bytes]):
        self.parts = parts
        self.index = 0
        self.line = parts[0]
        self.at = 0

    def tokens(self, until: bytes) -> list:
        found: list = []
        while True:
            if self.at >= len(self.line):
                if self.index + 2 < len(self.parts):
                    if found and found[-1] == b"~":
                        found.pop()  # literal8 (RFC 3516)
                    found.append(Text(self.parts[self.index + 1]))
                    self.index += 2
                    self.line = self.parts[self.index]
                    self.at = 0
                    continue
                if until:
                    raise Malformed(f"no closing {until!r}: {self.line[-200:]!r}")
                return found
            byte = self.line[self.at : self.at + 1]
            if byte == until:
                self.at += 1
                return found
            if byte == b" ":
                self.at += 1
            elif byte == b"(":
                self.at += 1
                found.append(self.tokens(b")"))
            elif byte == b'"':
                found.append(self.quoted())
            elif byte == b")":
                raise Malformed(f"a ) too many: {self.line[:200]!r}")
            else:
                atom = self.atom()
                found.append(NIL if atom.upper() == b"NIL" else atom)

    def quoted(self) -> Text:
        out = bytearray()
        self.at += 1
        while True:
            if self.at >= len(self.line):
                raise Malformed(f"no closing quote: {self.line[-200:]!r}")
            byte = self.line[self.at]
            if byte == 0x5C:
                self.at += 1
                out += self.line[self.at : self.at + 1]
            elif byte == 0x22:
                self.at += 1
                return Text(out)
            else:
                out.append(byte)
            self.at += 1

    def atom(self) -> bytes:
        """With a section in brackets and all that it holds: BODY[HEADER.FIELDS (TO)]<0>."""
        start = self.at
        depth = 0
        while self.at < len(self.line):
            byte = self.line[self.at : self.at + 1]
            if byte == b"[":
                depth += 1
            elif byte == b"]" and depth:
                depth -= 1
            elif not depth and byte in b' ()"':
                break
            self.at += 1
        if self.at == start:
            raise Malformed(f"empty atom: {self.line[start:start + 100]!r}")
        return self.line[start : self.at]
