"""Sequences of commands from a seed.

A rough model of the account (which mailboxes were made, how many messages
were put in) makes most commands sensible; some are wild on purpose.
"""

import random

from commands import Command

NAMES = [b"one", b"two", b"one/deep", b"&ZeVnLIqe-", b'"with space"', b"one/deep/deeper", b"oneself"]
FLAGS = [b"\\Seen", b"\\Flagged", b"\\Answered", b"\\Draft", b"\\Deleted", b"$Label1", b"work", b"$Forwarded"]
HEADERS = [b"Subject", b"From", b"To", b"Cc", b"Date", b"Message-ID", b"References", b"X-None", b"Content-Type"]
WORDS = [b"lunch", b"Letter", b"stamps", b"diff.test", b"e", b"invoice", b"zoe", b"very", b'"parcels very"', b'""']
DATES = [b"1-Jan-2024", b"15-Feb-2024", b"28-Mar-2024", b"1-Jan-2020", b"14-Nov-2023", b"31-Dec-2030"]
INTERNAL_DATES = [
    b'" 1-Jan-2020 00:00:01 +0000"', b'"14-Nov-2023 23:30:00 -0800"', b'"29-Feb-2024 12:00:00 +0530"',
    b'"31-Dec-2023 23:59:59 +1400"', b'"15-Nov-2023 00:10:00 +0100"',
]
STATUS_ITEMS = [b"MESSAGES", b"UNSEEN", b"UIDNEXT UIDVALIDITY", b"RECENT", b"SIZE", b"UIDVALIDITY", b"HIGHESTMODSEQ"]
BROKEN = [
    b"FETCH", b"FETCH 1", b"FETCH 0 FLAGS", b"FETCH 1 (FLAGS", b"FETCH 1:0 FLAGS", b"FETCH a FLAGS", b"FETCH 1 NOTHING",
    b"STORE 1 FLAGS", b"STORE 1 +FLAGS (\\Wrong)", b"SEARCH", b"SEARCH NOSUCH", b"SEARCH SUBJECT", b"SEARCH OR SEEN",
    b"SEARCH (SEEN", b"COPY 1", b"STATUS one", b"STATUS one ()", b"STATUS one (NOSUCH)", b"CREATE",
    b'CREATE ""', b'CREATE "one//two"', b"RENAME one", b"DELETE INBOX", b"DELETE nothing-here", b"CREATE INBOX",
    b"CREATE inbox", b"RENAME nothing-here two", b"FROBNICATE", b"UID", b"UID FROBNICATE 1", b"UID FETCH 0 FLAGS",
    b"FETCH 1 BODY[", b"FETCH 1 BODY[0]", b"FETCH 1 BODY[HEADER.FIELDS]", b"FETCH 1 BODY[HEADER.FIELDS ()]",
    b"FETCH 1 BODY[TEXT]<5>", b"FETCH 1 BODY[TEXT]<0.0>", b"FETCH 1 BODY[MIME]", b"NOOP extra", b"CAPABILITY extra",
    b"LIST", b'LIST ""', b"FETCH 4294967296 FLAGS", b"UID FETCH 4294967296 FLAGS", b"FETCH 1:* ()", b"FETCH 99 FLAGS",
    b"SEARCH BEFORE 32-Jan-2024", b"SEARCH BEFORE tomorrow", b"SEARCH LARGER x", b"SEARCH CHARSET X-NO ALL",
    b"APPEND one", b'APPEND one "99-Jan-2024 00:00:00 +0000" <<t:plain0>>', b"STORE 1 FLAGS.SILENT", b"COPY 1 nowhere",
    b"MOVE 1 nowhere", b"UID COPY 1:* nowhere", b"UID EXPUNGE", b"SUBSCRIBE", b"SEARCH 99", b"SEARCH 1:99", b"COPY 99 one",
]


#: Seeds that begin so ask everything about one letter of the corpus.
LETTER = "letter/"


class Generator:
    def __init__(self, seed: str, letters: list[str], capabilities: set[str]):
        self.chance = random.Random(seed)
        self.awkward = [name for name in letters if not name.startswith("plain")]
        self.plain = [name for name in letters if name.startswith("plain")]
        self.capabilities = capabilities
        self.sessions = 1
        #: The first session: 2 for those with QRESYNC.
        self.first = 0
        self.commands: list[Command] = []
        #: Mailbox -> how many messages were ever put into it.
        self.made: dict[bytes, int] = {b"INBOX": 0}
        self.selected: list[bytes | None] = [None, None]
        self.stale = [False, False]
        #: Selected with CONDSTORE: Dovecot notes mod-sequences only from then on.
        self.tracked = [False, False]
        self.marks = 0

    def sequence_of(self, seed: str) -> list[Command]:
        name = seed.removeprefix(LETTER)
        return self.everything_of(name.encode()) if name != seed else self.sequence()

    def everything_of(self, letter: bytes) -> list[Command]:
        """All that can be asked about one letter, each by itself."""
        self.say(0, b"APPEND INBOX <<t:%s>>" % letter)
        self.say(0, b"SELECT INBOX")
        for item in (b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"RFC822.SIZE", b"RFC822.HEADER", b"RFC822.TEXT", b"RFC822"):
            self.say(0, b"FETCH 1 (%s)" % item)
        for part in (b"1", b"2", b"3", b"1.1", b"1.2", b"2.1", b"2.2", b"2.1.1", b"2.2.1"):
            for section in (part, part + b".MIME", part + b".HEADER", part + b".TEXT"):
                self.say(0, b"FETCH 1 (BODY.PEEK[%s])" % section)
            if "BINARY" in self.capabilities:
                self.say(0, b"FETCH 1 (BINARY.PEEK[%s])" % part)
                self.say(0, b"FETCH 1 (BINARY.SIZE[%s])" % part)
        for fields in (b"Subject", b"From To Cc", b"Content-Type", b"X-None"):
            self.say(0, b"FETCH 1 (BODY.PEEK[HEADER.FIELDS (%s)] BODY.PEEK[HEADER.FIELDS.NOT (%s)])" % (fields, fields))
        for key in (b"SENTSINCE 1-Jan-2024", b"SENTON 12-Apr-2026", b"HEADER Subject \"\"", b"HEADER X-None \"\"", b"FROM ada", b"TO wang"):
            self.say(0, b"SEARCH " + key)
        return self.commands

    def sequence(self) -> list[Command]:
        chance = self.chance
        self.sessions = 2 if chance.random() < 0.35 else 1
        if "QRESYNC" in self.capabilities and chance.random() < 0.3:
            self.first = 2
        for name in chance.sample(NAMES, chance.choice((0, 1, 1, 2))):
            self.create(0, name)
        where = chance.choice(list(self.made))
        for _ in range(chance.choice((0, 1, 2, 3, 3, 5))):
            self.append(0, where)
        for session in range(self.sessions):
            self.select(session, where)
        steps = [step for step, weight in self.steps() for _ in range(weight)]
        for _ in range(chance.randint(4, 9)):
            session = chance.randrange(self.sessions)
            if self.stale[session]:
                self.say(session, b"NOOP")
                self.stale[session] = False
            chance.choice(steps)(session)
        for session in range(self.sessions):
            self.say(session, b"NOOP")
        return self.commands

    def steps(self):
        return [
            (self.fetch, 8), (self.store, 7), (self.search, 6), (self.copy, 4), (self.expunge, 3), (self.status, 2),
            (self.list, 2), (self.any_append, 2), (self.any_create, 1), (self.delete, 1), (self.rename, 1),
            (self.subscribe, 1), (self.any_select, 2), (self.leave, 1), (self.broken, 2), (self.mark, 1),
            (self.sort_or_thread, 3), (self.small, 1),
        ]

    def say(self, session: int, text: bytes, changes: bool = False, mark: bool = False) -> None:
        self.commands.append(Command(self.first + session, text, mark))
        if changes:
            self.stale = [True if other != session else stale for other, stale in enumerate(self.stale)]

    def some_name(self) -> bytes:
        return self.chance.choice(list(self.made)) if self.chance.random() < 0.85 else self.chance.choice(NAMES)

    def in_use(self, name: bytes) -> bool:
        inside = name.strip(b'"') + b"/"
        return any(box is not None and (box == name or box.startswith(inside)) for box in self.selected)

    def create(self, session: int, name: bytes) -> None:
        parts = name.split(b"/")
        for depth in range(1, len(parts) + 1):
            parent = b"/".join(parts[:depth])
            if parent not in self.made or depth == len(parts):
                self.say(session, b"CREATE " + parent)
                self.made.setdefault(parent, 0)

    def any_create(self, session: int) -> None:
        self.create(session, self.chance.choice(NAMES))

    def delete(self, session: int) -> None:
        name = self.some_name()
        children = any(other.startswith(name + b"/") for other in self.made)
        if name != b"INBOX" and not self.in_use(name) and not children:
            self.say(session, b"DELETE " + name)
            self.made.pop(name, None)

    def rename(self, session: int) -> None:
        old, new = self.some_name(), self.chance.choice(NAMES)
        if self.in_use(old) or old == b"INBOX" or b"/" in new or new.startswith(old + b"/"):
            return
        if new.startswith(b'"') and any(name.startswith(old + b"/") for name in self.made):
            return  # its children would need quotes around all of their names
        self.say(session, b"RENAME %s %s" % (old, new))
        if old in self.made and new not in self.made and old != new:
            for name in [name for name in self.made if name == old or name.startswith(old + b"/")]:
                self.made[new + name[len(old) :]] = self.made.pop(name)

    def subscribe(self, session: int) -> None:
        verb = self.chance.choice((b"SUBSCRIBE", b"UNSUBSCRIBE"))
        self.say(session, b"%s %s" % (verb, self.some_name()))
        if self.chance.random() < 0.5:
            self.say(session, self.chance.choice((b'LSUB "" *', b'LSUB "" %', b'LIST (SUBSCRIBED) "" *')))

    def list(self, session: int) -> None:
        chance = self.chance
        reference = chance.choice((b'""', b'""', b'""', b"one/", b"one"))
        pattern = chance.choice((b"*", b"%", b"one*", b"one%", b"%/%", b"*deep*", b'""', b"INBOX", b"inbox", b"o*e", b"*e%"))
        verb = chance.choice((b"LIST", b"LIST", b"LSUB"))
        returned = b""
        if verb == b"LIST" and pattern != b'""' and "LIST-EXTENDED" in self.capabilities and chance.random() < 0.5:
            options = [b"CHILDREN", b"SUBSCRIBED", b"SPECIAL-USE"]
            if "LIST-STATUS" in self.capabilities:
                options.append(b"STATUS (MESSAGES UNSEEN)")
            returned = b" RETURN (%s)" % b" ".join(chance.sample(options, chance.randint(1, len(options))))
            if chance.random() < 0.4:
                verb = b"LIST " + chance.choice(
                    (b"(SUBSCRIBED)", b"(SPECIAL-USE)", b"(SUBSCRIBED RECURSIVEMATCH)", b"()", b"(REMOTE)")
                )
            if chance.random() < 0.3:
                pattern = b"(%s %s)" % (pattern, chance.choice((b"two", b"one/%", b"*deep")))
        self.say(session, b"%s %s %s%s" % (verb, reference, pattern, returned))

    def status(self, session: int) -> None:
        items = self.chance.sample(STATUS_ITEMS, self.chance.randint(1, 5))
        if "STATUS=SIZE" not in self.capabilities:
            items = [item for item in items if item != b"SIZE"] or [b"MESSAGES"]
        if self.chance.random() < 0.9 and self.selected[session] is not None:
            name = self.some_name()
            if name == self.selected[session]:
                return
        self.say(session, b"STATUS %s (%s)" % (self.some_name(), b" ".join(items)))

    def append(self, session: int, name: bytes) -> None:
        chance = self.chance
        letter = chance.choice(self.plain if chance.random() < 0.6 else self.awkward).encode()
        flags = b""
        if chance.random() < 0.5:
            flags = b"(%s) " % b" ".join(chance.sample(FLAGS, chance.randint(0, 3)))
        date = chance.choice(INTERNAL_DATES) + b" " if chance.random() < 0.5 else b""
        self.say(session, b"APPEND %s %s%s<<t:%s>>" % (name, flags, date, letter), changes=True)
        if name in self.made:
            self.made[name] += 1

    def any_append(self, session: int) -> None:
        if "MULTIAPPEND" in self.capabilities and self.chance.random() < 0.2:
            name = self.some_name()
            several = b" ".join(b"(\\Seen) <<t:%s>>" % self.chance.choice(self.plain).encode() for _ in range(3))
            self.say(session, b"APPEND %s %s" % (name, several), changes=True)
        else:
            self.append(session, self.some_name())

    def select(self, session: int, name: bytes) -> None:
        verb = b"EXAMINE" if self.chance.random() < 0.15 else b"SELECT"
        parameter = b" (CONDSTORE)" if "CONDSTORE" in self.capabilities and self.chance.random() < 0.3 else b""
        if self.first and self.marks and self.chance.random() < 0.6:
            known = b" 1:<<u%d>>" % self.chance.randint(1, 4) if self.chance.random() < 0.2 else b""
            parameter = b" (QRESYNC (<<v:%s>> <<m%d>>%s))" % (name, self.chance.randint(1, self.marks), known)
        self.say(session, b"%s %s%s" % (verb, name, parameter))
        self.selected[session] = name if name in self.made else None
        self.tracked[session] = bool(parameter or self.first)
        self.stale[session] = False

    def any_select(self, session: int) -> None:
        self.select(session, self.some_name())

    def leave(self, session: int) -> None:
        verb = self.chance.choice((b"CLOSE", b"UNSELECT"))
        self.say(session, verb, changes=True)
        self.selected[session] = None
        if self.chance.random() < 0.8:
            self.any_select(session)

    def small(self, session: int) -> None:
        self.say(session, self.chance.choice((b"NOOP", b"CHECK", b"NAMESPACE", b"CAPABILITY", b"ID NIL")))

    def broken(self, session: int) -> None:
        self.say(session, self.chance.choice(BROKEN), changes=True)

    def mark(self, session: int) -> None:
        """Notes the HIGHESTMODSEQ, then something changes; later commands refer to it."""
        name = self.selected[session]
        if not self.tracked[session] or name is None:
            return
        self.say(session, b"STATUS %s (HIGHESTMODSEQ)" % name, mark=True)
        self.marks += 1
        self.store(session)
        self.conditional(session)

    def conditional(self, session: int) -> None:
        mark = b"%d>>" % self.chance.randint(1, self.marks)
        self.say(session, self.chance.choice((
            b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE <<m%s)", b"FETCH 1:* (UID FLAGS) (CHANGEDSINCE <<m%s)",
            b"STORE 1:* (UNCHANGEDSINCE <<m%s) +FLAGS ($Label1)", b"UID STORE 1:* (UNCHANGEDSINCE <<m%s) -FLAGS.SILENT (\\Seen)",
            b"SEARCH MODSEQ <<n%s",
        )) % mark, changes=True)

    def numbers(self, session: int) -> tuple[bytes, bytes]:
        """Prefix and set: sequence numbers, or UIDs by rank."""
        chance = self.chance
        count = max(1, self.made.get(self.selected[session] or b"", 1))
        by_uid = chance.random() < 0.5

        def one() -> bytes:
            number = chance.randint(1, count + (1 if chance.random() < 0.1 else 0))
            return b"<<u%d>>" % number if by_uid else b"%d" % number

        numbers = chance.choice((
            b"1:*", b"*", one(), one(), one() + b":" + one(), one() + b":*", b"*:" + one(), one() + b"," + one(),
        ))
        if "SEARCHRES" in self.capabilities and chance.random() < 0.1:
            numbers = b"$"
        return (b"UID " if by_uid else b""), numbers

    def fetch(self, session: int) -> None:
        prefix, numbers = self.numbers(session)
        chance = self.chance
        if chance.random() < 0.1:
            items = chance.choice((b"ALL", b"FAST", b"FULL"))
        else:
            items = b"(%s)" % b" ".join(self.fetch_item() for _ in range(chance.randint(1, 4)))
        self.say(session, b"%sFETCH %s %s" % (prefix, numbers, items), changes=True)

    def fetch_item(self) -> bytes:
        chance = self.chance
        if "SAVEDATE" in self.capabilities and chance.random() < 0.05:
            return b"SAVEDATE"
        if "BINARY" in self.capabilities and chance.random() < 0.1:
            return b"%s[%s]" % (chance.choice((b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE")), chance.choice((b"", b"1", b"2", b"1.1")))
        if chance.random() < 0.55:
            return chance.choice((
                b"FLAGS", b"UID", b"ENVELOPE", b"ENVELOPE", b"BODYSTRUCTURE", b"BODYSTRUCTURE", b"BODY", b"INTERNALDATE",
                b"RFC822.SIZE", b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT",
            ))
        part = chance.choice((b"", b"", b"1", b"2", b"1.1", b"2.1", b"1.2", b"3", b"2.2.1"))
        kinds = [b"HEADER", b"TEXT", self.header_fields(), self.header_fields()]
        section = chance.choice([*kinds, b""] if not part else [b"", b"", b"MIME", *kinds])
        name = b".".join(piece for piece in (part, section) if piece)
        partial = b""
        if chance.random() < 0.3:
            partial = b"<%d.%d>" % (chance.choice((0, 0, 1, 10, 100, 5000)), chance.choice((1, 10, 64, 100000)))
        return b"%s[%s]%s" % (chance.choice((b"BODY", b"BODY.PEEK", b"BODY.PEEK")), name, partial)

    def header_fields(self) -> bytes:
        verb = self.chance.choice((b"HEADER.FIELDS", b"HEADER.FIELDS.NOT"))
        return b"%s (%s)" % (verb, b" ".join(self.chance.sample(HEADERS, self.chance.randint(1, 4))))

    def store(self, session: int) -> None:
        prefix, numbers = self.numbers(session)
        chance = self.chance
        verb = chance.choice((b"FLAGS", b"+FLAGS", b"+FLAGS", b"-FLAGS")) + chance.choice((b"", b"", b".SILENT"))
        flags = b" ".join(chance.sample(FLAGS, chance.randint(0, 3)))
        self.say(session, b"%sSTORE %s %s (%s)" % (prefix, numbers, verb, flags), changes=True)

    def expunge(self, session: int) -> None:
        prefix, numbers = self.numbers(session)
        if self.chance.random() < 0.6:
            self.say(session, b"%sSTORE %s +FLAGS.SILENT (\\Deleted)" % (prefix, numbers), changes=True)
        if prefix and self.chance.random() < 0.5:
            self.say(session, b"UID EXPUNGE " + numbers, changes=True)
        else:
            self.say(session, b"EXPUNGE", changes=True)

    def copy(self, session: int) -> None:
        prefix, numbers = self.numbers(session)
        target = self.some_name()
        verb = b"MOVE" if "MOVE" in self.capabilities and self.chance.random() < 0.4 else b"COPY"
        if verb == b"MOVE" and target == self.selected[session]:
            return
        self.say(session, b"%s%s %s %s" % (prefix, verb, numbers, target), changes=True)
        if target in self.made:
            self.made[target] += 2

    def search(self, session: int) -> None:
        chance = self.chance
        returned = b""
        if "ESEARCH" in self.capabilities and chance.random() < 0.4:
            options = chance.sample((b"MIN", b"MAX", b"COUNT", b"ALL"), chance.randint(0, 4))
            if "SEARCHRES" in self.capabilities and chance.random() < 0.3:
                options.append(b"SAVE")
            returned = b"RETURN (%s) " % b" ".join(options)
        prefix = chance.choice((b"", b"UID "))
        keys = b" ".join(self.search_key(2) for _ in range(chance.choice((1, 1, 2, 3))))
        self.say(session, b"%sSEARCH %s%s" % (prefix, returned, keys))

    def search_key(self, depth: int) -> bytes:
        chance = self.chance
        if depth and chance.random() < 0.25:
            return chance.choice((
                b"NOT " + self.search_key(depth - 1),
                b"OR %s %s" % (self.search_key(depth - 1), self.search_key(depth - 1)),
                b"(%s %s)" % (self.search_key(depth - 1), self.search_key(depth - 1)),
            ))
        kind = chance.randrange(6)
        if kind == 0 and "SEARCHRES" in self.capabilities and chance.random() < 0.15:
            return chance.choice((b"$", b"UID $"))
        if kind == 0:
            return chance.choice((
                b"ALL", b"SEEN", b"UNSEEN", b"DELETED", b"UNDELETED", b"FLAGGED", b"UNFLAGGED", b"ANSWERED", b"UNANSWERED",
                b"DRAFT", b"UNDRAFT", b"KEYWORD work", b"UNKEYWORD $Label1", b"KEYWORD never", b"OLD", b"1:*", b"*", b"2,1",
                b"UID 1:*", b"UID <<u2>>", b"UID <<u1>>:<<u3>>",
            ))
        if kind == 1:
            return b"%s %s" % (chance.choice((
                b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE")), chance.choice(DATES))
        if kind == 2:
            return b"%s %d" % (chance.choice((b"LARGER", b"SMALLER")), chance.choice((0, 300, 500, 1000, 4000, 100000)))
        if kind == 3:
            return b"HEADER %s %s" % (chance.choice(HEADERS), chance.choice(WORDS))
        if kind == 4 and "WITHIN" in self.capabilities:
            return b"%s %d" % (chance.choice((b"OLDER", b"YOUNGER")), chance.choice((1000, 100000, 10000000, 90000000)))
        return b"%s %s" % (chance.choice((b"SUBJECT", b"FROM", b"TO", b"CC", b"BCC", b"BODY", b"TEXT")), chance.choice(WORDS))

    def sort_or_thread(self, session: int) -> None:
        chance = self.chance
        prefix = chance.choice((b"", b"UID "))
        if "SORT" in self.capabilities and chance.random() < 0.6:
            keys = [b"ARRIVAL", b"CC", b"DATE", b"FROM", b"SIZE", b"SUBJECT", b"TO", b"REVERSE DATE", b"REVERSE SUBJECT"]
            if "SORT=DISPLAY" in self.capabilities:
                keys += [b"DISPLAYFROM", b"DISPLAYTO", b"REVERSE DISPLAYFROM"]
            order = b" ".join(chance.sample(keys, chance.randint(1, 3)))
            if "ESORT" in self.capabilities and chance.random() < 0.3:
                prefix += b"SORT RETURN (%s) " % chance.choice((b"COUNT", b"MIN MAX", b"ALL", b""))
                self.say(session, b"%s(%s) UTF-8 %s" % (prefix, order, self.search_key(0)))
                return
            self.say(session, b"%sSORT (%s) UTF-8 %s" % (prefix, order, self.search_key(0)))
        elif "THREAD=REFERENCES" in self.capabilities:
            algorithm = chance.choice((b"REFERENCES", b"ORDEREDSUBJECT"))
            if b"THREAD=" + algorithm in {name.encode() for name in self.capabilities}:
                self.say(session, b"%sTHREAD %s UTF-8 %s" % (prefix, algorithm, self.search_key(0)))
