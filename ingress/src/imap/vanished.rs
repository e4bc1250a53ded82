//! Which messages a mailbox has lost since a client looked last (RFC 7162 section 3.2.5 and 3.2.6).
//!
//! The answer may name more than what is lost since then, as the RFC allows, but never less. Of deleted messages
//! that can still be restored it is known when they went away, and what went before is not told again. Of those moved
//! away, or given up for good, it is not known: every such UID that the client may know is told.

use pennypost_fold::{Ascending, Deleted, Mailbox};
use pennypost_model::{Uid, UidSet};

use super::print;

/// Octets of one VANISHED line.
const LINE: usize = 8 * 1024;
/// Pairs of numbers and UIDs that are looked at.
const MAX_PAIRS: usize = 10_000;

/// What the client knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// As of this MODSEQ.
    pub since: u64,
    /// These UIDs; `None`: all.
    pub uids: Option<&'a UidSet>,
    /// Which message had which number (RFC 7162 section 3.2.5.2).
    pub pairs: Option<&'a (UidSet, UidSet)>,
    /// Messages go out of its sight also without a change.
    pub ages: bool,
}

/// UIDs that the client should forget. `deleted` are those messages of the account that can still be restored.
pub(super) fn vanished(mailbox: &Mailbox, deleted: &Ascending<Deleted>, known: &Known<'_>) -> UidSet {
    if (mailbox.modseq.0 <= known.since && !known.ages) || mailbox.highest_uid == 0 {
        return UidSet::new();
    }
    let all = [(1, mailbox.highest_uid)];
    let candidates = known.uids.map_or(&all[..], UidSet::ranges);
    let above = known.pairs.map_or(0, |pairs| unshifted(mailbox, pairs));
    let mut lost: Vec<(u32, u32)> = Vec::new();
    for (first, last) in candidates {
        let (first, last) = ((*first).max(above + 1), (*last).min(mailbox.highest_uid));
        if first > last {
            continue;
        }
        let mut next = first;
        let start = mailbox.rows.position_of(Uid(first));
        for row in mailbox.rows.from_position(start).take_while(|row| row.uid.0 <= last) {
            if row.uid.0 > next {
                lost.extend(told(mailbox, deleted, known.since, (next, row.uid.0 - 1)));
            }
            next = row.uid.0.saturating_add(1);
        }
        if next <= last {
            lost.extend(told(mailbox, deleted, known.since, (next, last)));
        }
    }
    UidSet::from_ranges(lost)
}

/// What of a gap is told: from the first to the last UID that may have gone since. In between nothing is left out, so
/// that there are never more ranges than gaps.
fn told(
    mailbox: &Mailbox,
    deleted: &Ascending<Deleted>,
    since: u64,
    (mut first, mut last): (u32, u32),
) -> Option<(u32, u32)> {
    // A UID is given once in an account: what was deleted from another mailbox was never in this one.
    let is_old = |gone: &Deleted| gone.mailbox != mailbox.id || gone.row.modseq.0 <= since;
    let start = deleted.position_of(Uid(first));
    for gone in deleted.from_position(start) {
        if gone.row.uid.0 != first || !is_old(gone) {
            break;
        }
        if first == last {
            return None;
        }
        first += 1;
    }
    let mut position = deleted.position_of(Uid(last));
    while last > first
        && let Some(gone) = deleted.at(position)
        && gone.row.uid.0 == last
        && is_old(gone)
    {
        last -= 1;
        let Some(before) = position.checked_sub(1) else { break };
        position = before;
    }
    Some((first, last))
}

/// The highest UID that still has the number under which the client knows it: up to there it knows of every
/// message that is gone.
fn unshifted(mailbox: &Mailbox, (numbers, uids): &(UidSet, UidSet)) -> u32 {
    let pairs = numbers.iter().zip(uids.iter()).take(MAX_PAIRS);
    let still = pairs.take_while(|(number, uid)| {
        mailbox.rows.at(number.0 as usize - 1).is_some_and(|row| row.uid == *uid)
    });
    still.last().map_or(0, |(_, uid)| uid.0)
}

/// VANISHED lines for these UIDs, one after the other; none for none.
pub(super) fn lines(uids: &UidSet, earlier: bool) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut ranges = uids.ranges().iter().peekable();
    std::iter::from_fn(move || {
        ranges.peek()?;
        let mut line = b"* VANISHED ".to_vec();
        if earlier {
            line.extend_from_slice(b"(EARLIER) ");
        }
        while let Some((first, last)) = ranges.next_if(|_| line.len() < LINE) {
            print::number(&mut line, u64::from(*first));
            if first != last {
                line.push(b':');
                print::number(&mut line, u64::from(*last));
            }
            line.push(b',');
        }
        line.pop();
        line.extend_from_slice(b"\r\n");
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use pennypost_fold::Mailbox;

    use super::*;

    /// HIGHESTMODSEQ stays when messages go out of sight by growing old; the client is told of them all the same.
    #[test]
    fn what_grows_old_has_vanished() {
        let state = pennypost_fold::Draft::new(
            &pennypost_fold::State::default(),
            pennypost_model::journal::Actor::System,
            pennypost_model::Timestamp(0),
        );
        let inbox = state.state().mailbox(pennypost_model::MailboxId::INBOX).expect("there");
        let mailbox = Mailbox { highest_uid: 3, ..Mailbox::clone(inbox) };
        let known = Known { since: mailbox.modseq.0, uids: None, pairs: None, ages: false };
        assert_eq!(vanished(&mailbox, &Ascending::default(), &known), UidSet::new());
        let all = UidSet::from_ranges([(1, 3)]);
        assert_eq!(vanished(&mailbox, &Ascending::default(), &Known { ages: true, ..known }), all);
    }

    #[test]
    fn lines_hold_all_and_stay_short() {
        let uids = UidSet::from_ranges((0..10_000).map(|n| (3 * n + 1, 3 * n + 2)));
        let mut told = Vec::new();
        for line in lines(&uids, true) {
            assert!(line.len() < LINE + 30);
            let text = String::from_utf8(line).expect("ASCII");
            let set = text.strip_prefix("* VANISHED (EARLIER) ").and_then(|text| text.strip_suffix("\r\n"));
            for range in set.expect("a line").split(',') {
                let (first, last) = range.split_once(':').expect("range");
                told.push((first.parse().expect("number"), last.parse().expect("number")));
            }
        }
        assert_eq!(UidSet::from_ranges(told), uids);
        assert_eq!(lines(&UidSet::new(), false).count(), 0);
        let one: Vec<_> = lines(&UidSet::from_ranges([(7, 7)]), false).collect();
        assert_eq!(one, [b"* VANISHED 7\r\n".to_vec()]);
    }
}
