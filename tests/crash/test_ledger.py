#!/usr/bin/env python3
"""The ledger itself: it must notice each kind of loss, and accept each allowed outcome."""

import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
sys.dont_write_bytecode = True

from ledger import GONE, Account, Copy, Seen, settle  # noqa: E402


def at(mailbox: str, uid: int, *flags: str) -> Seen:
    return Seen("t", mailbox, uid, frozenset(flags))


class Ledger(unittest.TestCase):
    def setUp(self):
        self.account = Account("a@crash.test", "")

    def settled(self, *seen: Seen) -> tuple[int, int, int]:
        """How many were lost, doubled, wrongly flagged."""
        difference = settle(self.account, list(seen))
        return len(difference.lost), len(difference.doubled), len(difference.wrong_flags)

    def copy(self, *places, **flags) -> Copy:
        copy = Copy(set(places), seen=True)
        copy.flags |= flags
        self.account.copies.setdefault("t", []).append(copy)
        return copy

    def test_an_acknowledged_letter_has_to_be_there_once(self):
        for seen, expected in (([], (1, 0, 0)), ([at("INBOX", 1)], (0, 0, 0)), ([at("INBOX", 1), at("INBOX", 2)], (0, 1, 0))):
            self.setUp()
            self.account.arrived(self.account.expect("t", "INBOX"))
            self.assertEqual(self.settled(*seen), expected)

    def test_an_unacknowledged_letter_may_be_there_once(self):
        for seen, expected in (([], (0, 0, 0)), ([at("INBOX", 1)], (0, 0, 0)), ([at("INBOX", 1), at("INBOX", 2)], (0, 1, 0))):
            self.setUp()
            self.account.expect("t", "INBOX")
            self.assertEqual(self.settled(*seen), expected)

    def test_a_letter_in_another_mailbox_is_lost_and_one_too_many(self):
        self.account.arrived(self.account.expect("t", "INBOX"))
        self.assertEqual(self.settled(at("Junk", 1)), (1, 1, 0))

    def test_what_an_audit_found_gone_must_not_come_back(self):
        self.account.expect("t", "INBOX")
        self.assertEqual(self.settled(), (0, 0, 0))
        self.assertEqual(self.settled(at("INBOX", 1)), (0, 1, 0))

    def test_an_unanswered_move_ends_in_exactly_one_place(self):
        outcomes = (
            ([at("INBOX", 4)], (0, 0, 0)), ([at("Work", 9)], (0, 0, 0)),
            ([at("INBOX", 4), at("Work", 9)], (0, 1, 0)), ([], (1, 0, 0)),
        )
        for seen, expected in outcomes:
            self.setUp()
            self.copy(("INBOX", 4), ("Work", None))
            self.assertEqual(self.settled(*seen), expected)

    def test_an_unanswered_copy_leaves_the_original(self):
        for seen, expected in (([at("INBOX", 4)], (0, 0, 0)), ([at("INBOX", 4), at("Work", 9)], (0, 0, 0)), ([at("Work", 9)], (1, 0, 0))):
            self.setUp()
            self.copy(("INBOX", 4))
            self.copy(("Work", None), GONE)
            self.assertEqual(self.settled(*seen), expected)

    def test_an_acknowledged_expunge_took_effect(self):
        self.copy(GONE)
        self.assertEqual(self.settled(at("INBOX", 4)), (0, 1, 0))

    def test_acknowledged_flags_are_there_and_no_others(self):
        flags = {"\\Seen": True, "\\Flagged": None}
        for shown, expected in ((("\\Seen",), 0), (("\\Seen", "\\Flagged"), 0), ((), 1), (("\\Seen", "\\Draft"), 1)):
            self.setUp()
            self.copy(("INBOX", 4), **flags)
            self.assertEqual(self.settled(at("INBOX", 4, *shown)), (0, 0, expected))

    def test_a_late_reply_does_not_undo_a_deletion(self):
        copy = self.account.expect("t", "INBOX")
        self.account.seen_by_client("t", "INBOX", 4)
        copy.possible = {GONE}
        self.account.arrived(copy)
        self.assertEqual(self.settled(), (0, 0, 0))

    def test_a_uid_belongs_to_one_letter_for_all_time(self):
        self.assertEqual(self.account.note_new_uid("t", "INBOX", 4), [])
        self.assertEqual(len(self.account.note_new_uid("u", "INBOX", 4)), 1)

    def test_nothing_new_appears_below_uidnext(self):
        self.account.floor["INBOX"] = 5
        self.assertEqual(len(self.account.note_new_uid("t", "INBOX", 4)), 1)
        self.assertEqual(self.account.note_new_uid("t", "INBOX", 5), [])

    def test_uidvalidity_stays(self):
        self.assertEqual(self.account.note_validity("INBOX", 1), [])
        self.assertEqual(len(self.account.note_validity("INBOX", 2)), 1)


if __name__ == "__main__":
    unittest.main()
