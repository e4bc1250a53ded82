"""A command as it is written for both servers, with what differs between them left open.

`<<u3>>` is the UID of the third message that this sequence put into the
selected mailbox, `<<m2>>` the HIGHESTMODSEQ that the second mark found,
`<<n2>>` the next after it, `<<v:NAME>>` the UIDVALIDITY of a mailbox, and `<<t:NAME>>` a letter of the corpus as a literal.
"""

import re
from dataclasses import dataclass

PLACEHOLDER = re.compile(rb"<<([umntv]):?([^>]+)>>")


@dataclass(frozen=True)
class Command:
    #: Which of the sequence's sessions says it.
    session: int
    text: bytes
    #: The HIGHESTMODSEQ in the answer to this is the next mark.
    mark: bool = False

    @property
    def words(self) -> list[bytes]:
        return self.text.upper().split()

    @property
    def verb(self) -> str:
        words = self.words or [b""]
        if words[0] == b"UID" and len(words) > 1:
            return f"UID {words[1].decode(errors='replace')}"
        return words[0].decode(errors="replace")

    def __str__(self) -> str:
        return f"[{self.session}] {self.text.decode(errors='backslashreplace')}"
