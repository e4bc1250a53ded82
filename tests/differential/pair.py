"""One account on each of the two servers, and the sequences that both are told."""

import re
from dataclasses import dataclass, field, replace

from commands import Command
from compare import Difference, compare_answers, compare_states
from messages import ASKED, KINDS, Messages, messages_of
from session import Answer, Session, Uids
from state import reset, state_of
from support.imap_wire import ConnectionLost, ImapError
from tokens import Malformed

#: Plain ones, then as many with QRESYNC where both servers have it.
SESSIONS = 2


class Side:
    """An account on one server: the sessions of a sequence, and one that looks at what became of it."""

    def __init__(self, office, address: str, letters: dict[str, bytes], capabilities: set[str]):
        self.name = office.name
        self.port = office.ports["imap"]
        self.account = office.add_account(address)
        self.letters = letters
        self.uids = Uids()
        self.marks: list[int] = []
        self.sessions: list[Session] = []
        self.watcher = self.connect()
        self.sessions = [self.connect() for _ in range(SESSIONS)]
        if "QRESYNC" in capabilities:
            self.sessions += [self.connect(b"QRESYNC") for _ in range(SESSIONS)]

    def connect(self, enable: bytes = b"") -> Session:
        return Session(self.port, self.account, self.uids, self.letters, self.marks, enable)

    def close(self) -> None:
        for session in [*self.sessions, self.watcher]:
            session.close()

    def begin(self) -> None:
        """As empty as on the first day, by commands."""
        for index, session in enumerate(self.sessions):
            if session.selected:
                session.say(Command(index, b"UNSELECT"))
        reset(self.watcher)
        self.uids.ranks.clear()
        self.uids.counts.clear()
        self.uids.validities.clear()
        self.marks.clear()

    def say(self, command: Command) -> Answer:
        answer = self.sessions[command.session].say(command)
        if command.mark:
            self.marks.append(answer.told.get("_highest", 1))
        return answer


class Pair:
    def __init__(self, offices: list, address: str, letters: dict[str, bytes], capabilities: set[str]):
        self.sides: list[Side] = []
        try:
            for office in offices:
                self.sides.append(Side(office, address, letters, capabilities))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for side in self.sides:
            side.close()

    def run(self, sequence: list[Command], forgive) -> "Outcome":
        """Says the sequence to both; ends at the first difference that `forgive` does not know."""
        outcome = Outcome()
        try:
            for side in self.sides:
                side.begin()
        except (ConnectionLost, ImapError, Malformed) as error:
            outcome.difference = Difference("reset", f"{side.name}: {error}")
            outcome.broken = True
            return outcome
        for position, command in enumerate(sequence):
            answers = []
            for side in self.sides:
                try:
                    answers.append(side.say(command))
                except (ConnectionLost, Malformed, ImapError, ValueError, IndexError, AttributeError, TypeError) as error:
                    outcome.broken = True
                    answers.append(Answer(type(error).__name__, told={"error": shape(str(error))}, raw=[str(error).encode()]))
            for difference in compare_answers(command, *answers):
                difference = replace(difference, tagged=tuple(answer.raw[-1] for answer in answers))
                if difference.kind in KINDS and not outcome.broken:
                    difference = replace(difference, messages=self.look(command, outcome))
                rule = forgive(command, difference, self.letters_of(sequence))
                if rule is None:
                    return outcome.end(difference, command, answers)
                outcome.forgiven.append(rule.name)
                if rule.ends:
                    return outcome
            if outcome.broken:
                return outcome.end(Difference("protocol", str([answer.told for answer in answers])), command, answers)
        return self.compare_ends(sequence, outcome, forgive)

    def look(self, command: Command, outcome: "Outcome") -> Messages:
        """At the messages that the answer numbers. Both are asked, so that both sessions have heard the same."""
        try:
            answers = [side.sessions[command.session].say(Command(command.session, ASKED)) for side in self.sides]
        except (ConnectionLost, Malformed, ImapError, ValueError, IndexError, AttributeError, TypeError):
            outcome.broken = True
            return {}
        return messages_of(command, answers[1].told.get("FETCH", {}))

    def compare_ends(self, sequence: list[Command], outcome: "Outcome", forgive) -> "Outcome":
        last = Command(0, b"the state at the end")
        try:
            states = [state_of(side.watcher) for side in self.sides]
        except (ConnectionLost, ImapError, Malformed) as error:
            outcome.broken = True
            return outcome.end(Difference("dump", str(error)), last, [])
        for difference in compare_states(*states):
            rule = forgive(last, difference, self.letters_of(sequence))
            if rule is None:
                return outcome.end(difference, last, [])
            outcome.forgiven.append(rule.name)
        for side, state in zip(self.sides, states):
            for difference in stale_views(side, state):
                return outcome.end(difference, last, [])
        return outcome

    def letters_of(self, sequence: list[Command]) -> set[str]:
        return {name.decode() for command in sequence for name in re.findall(rb"<<t:([^>]+)>>", command.text)}


@dataclass
class Outcome:
    difference: Difference | None = None
    command: Command | None = None
    answers: list[Answer] = field(default_factory=list)
    #: Names of the rules that explained something on the way.
    forgiven: list[str] = field(default_factory=list)
    #: A connection was lost: the pair is of no more use.
    broken: bool = False

    def end(self, difference: Difference, command: Command, answers: list[Answer]) -> "Outcome":
        self.difference, self.command, self.answers = difference, command, answers
        return self

    @property
    def signature(self) -> str:
        verb = self.command.verb if self.command else "-"
        return f"{verb}: {self.difference.kind}"


def shape(text: str) -> str:
    return re.sub(r"\d+", "N", text)


def stale_views(side: Side, state: dict):
    """After NOOP a session knows every change (RFC 3501 section 5.2): nobody may hold old flags or dead messages."""
    for index, session in enumerate(side.sessions):
        if not session.selected:
            continue
        truth = next((box for box in state["mailboxes"].values() if box["validity"] == session.validity), None)
        if truth is None:
            continue
        messages = truth["messages"]
        if len(messages) != len(session.view):
            yield Difference("stale count", f"{side.name} session {index}: {len(session.view)} of {len(messages)}")
            return
        for position, (known, (uid, items)) in enumerate(zip(session.view, messages.items())):
            if known.uid is not None and known.uid != uid:
                yield Difference("stale uid", f"{side.name} session {index}: {position + 1} is {uid}, told {known.uid}")
            elif known.flags is not None and known.flags != items["FLAGS"]:
                yield Difference("stale flags", f"{side.name} session {index}: {position + 1} has {sorted(items['FLAGS'])}, "
                                                f"told {sorted(known.flags)}")
