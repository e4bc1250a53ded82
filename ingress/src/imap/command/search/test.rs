//! Conditions of SEARCH, ready to be tested: sets resolved, texts folded, cheap ones first.
//!
//! A condition is tested on what is known of a message, and the answer may be that more must be known: first
//! the row, then the header, then the text.

use std::cell::RefCell;
use std::sync::Arc;

use pennypost_fold::{Row, RowFlags, State};
use pennypost_mime::search::{MAIN_FIELDS, Needle, fold, values};
use pennypost_model::{Timestamp, Uid, UidSet};

use crate::imap::grammar::SearchKey;
use crate::imap::grammar::date::{Day, month_number};
use crate::imap::grammar::search::{HeaderKey, When};

/// What resolves the sets and names of a condition.
pub(super) struct Resolver<'a> {
    /// For keywords.
    pub state: &'a State,
    /// For `$`.
    pub saved: &'a UidSet,
    /// The highest sequence number.
    pub last_number: u32,
    /// The highest UID.
    pub last_uid: u32,
    /// For YOUNGER and OLDER.
    pub now: Timestamp,
    /// The texts of the condition.
    pub leaves: RefCell<Leaves>,
}

impl Resolver<'_> {
    fn leaf(&self, text: &str) -> Arc<Leaf> {
        let mut leaves = self.leaves.borrow_mut();
        let leaf = Arc::new(Leaf { number: leaves.len(), needle: Needle::new(text) });
        leaves.push(Arc::clone(&leaf));
        leaf
    }
}

/// A text to look for, and its number among those of the condition.
#[derive(Debug)]
pub(super) struct Leaf {
    pub number: usize,
    pub needle: Needle,
}

/// All texts that a condition looks for, by their numbers.
pub(super) type Leaves = Vec<Arc<Leaf>>;

/// A condition.
#[derive(Debug)]
pub(super) enum Test {
    Always(bool),
    Numbers(UidSet),
    Uids(UidSet),
    Flags(u64),
    Recent,
    Internal(When, Day),
    Sent(When, Day),
    Saved(When, Day),
    Larger(u64),
    Smaller(u64),
    NotBefore(Timestamp),
    Header(String, Arc<Leaf>),
    Body(Arc<Leaf>),
    Text(Arc<Leaf>),
    ModSeq(u64),
    EmailId(String),
    ThreadId(String),
    Not(Box<Test>),
    Any(Vec<Test>),
    All(Vec<Test>),
}

/// What is known of a message.
pub(super) struct Known<'a> {
    /// Its row, as it is now.
    pub row: &'a Row,
    /// Its sequence number.
    pub number: u32,
    /// `\Recent`
    pub recent: bool,
    /// Lines of its main header fields.
    pub main: Option<&'a [u8]>,
    /// Lines of its other header fields.
    pub other: Option<&'a [u8]>,
    /// Its text, decoded and folded, and lines of the headers of its parts.
    pub text: Option<(&'a [u8], &'a [u8])>,
    /// Which texts are known to be nowhere in it.
    pub absent: Option<&'a Absent>,
}

/// Which texts, by their numbers, are nowhere in the header and nowhere in the text of some messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Absent {
    pub header: Vec<bool>,
    pub text: Vec<bool>,
}

/// What a condition looks at beside the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub main: bool,
    pub other: bool,
    pub text: bool,
}

/// A condition on flags alone: of these bits just those are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits {
    of: u64,
    set: u64,
}

impl Bits {
    pub const fn hold(self, row: &Row) -> bool {
        row.flags.0 & self.of == self.set
    }

    /// Both; `None` if one wants set what the other wants not set.
    const fn and(self, other: Bits) -> Option<Bits> {
        let both = self.of & other.of;
        if self.set & both != other.set & both {
            return None;
        }
        Some(Bits { of: self.of | other.of, set: self.set | other.set })
    }
}

impl Known<'_> {
    fn lacks_in_header(&self, leaf: &Leaf) -> bool {
        self.absent.is_some_and(|absent| absent.header.get(leaf.number) == Some(&true))
    }

    fn lacks_in_text(&self, leaf: &Leaf) -> bool {
        self.absent.is_some_and(|absent| absent.text.get(leaf.number) == Some(&true))
    }

    fn in_field(&self, field: &str, leaf: &Leaf) -> Option<bool> {
        if self.lacks_in_header(leaf) {
            return Some(false);
        }
        let lines = if MAIN_FIELDS.contains(&field) { self.main? } else { self.other? };
        Some(leaf.needle.is_in_field(field, lines))
    }

    fn in_text(&self, leaf: &Leaf) -> Option<bool> {
        if self.lacks_in_text(leaf) {
            return Some(false);
        }
        let (body, _) = self.text?;
        Some(leaf.needle.is_in(body))
    }

    fn in_part_headers(&self, leaf: &Leaf) -> Option<bool> {
        if self.lacks_in_text(leaf) {
            return Some(false);
        }
        let (_, headers) = self.text?;
        Some(leaf.needle.is_in_lines(headers))
    }

    /// In the header or in the text.
    fn anywhere(&self, leaf: &Leaf) -> Option<bool> {
        let in_lines = |lines: Option<&[u8]>| match lines {
            _ if self.lacks_in_header(leaf) => Some(false),
            Some(lines) => Some(leaf.needle.is_in_lines(lines)),
            None => None,
        };
        let mut is_open = false;
        let everywhere =
            [in_lines(self.main), in_lines(self.other), self.in_text(leaf), self.in_part_headers(leaf)];
        for found in everywhere {
            match found {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_open = true,
            }
        }
        if is_open { None } else { Some(false) }
    }
}

impl Test {
    /// Makes a key ready. Sequence numbers that no message has are nobody's, not an error as they are in FETCH:
    /// a search finds what is there.
    pub fn of(key: &SearchKey, with: &Resolver<'_>) -> Test {
        let all = |keys: &[&SearchKey]| {
            let mut tests: Vec<Test> = keys.iter().map(|key| Test::of(key, with)).collect();
            tests.sort_by_key(Test::cost);
            tests
        };
        match key {
            SearchKey::All => Test::Always(true),
            SearchKey::Sequence(set) if set.ranges.is_empty() => Test::Uids(with.saved.clone()),
            SearchKey::Sequence(set) if set.saved => {
                Test::Any(vec![Test::Numbers(set.resolve(with.last_number)), Test::Uids(with.saved.clone())])
            }
            SearchKey::Sequence(set) => Test::Numbers(set.resolve(with.last_number)),
            SearchKey::Uids(set) if set.saved => {
                let named = set.resolve(with.last_uid);
                let both = named.ranges().iter().chain(with.saved.ranges()).copied();
                Test::Uids(UidSet::from_ranges(both))
            }
            SearchKey::Uids(set) => Test::Uids(set.resolve(with.last_uid)),
            SearchKey::Flag(flag) => Test::Flags(u64::from(flag.0)),
            SearchKey::Keyword(keyword) => {
                match keyword.as_ref().and_then(|keyword| with.state.keyword_bit(keyword)) {
                    Some(RowFlags(bit)) => Test::Flags(bit),
                    None => Test::Always(false),
                }
            }
            SearchKey::Recent => Test::Recent,
            SearchKey::Internal(when, day) => Test::Internal(*when, *day),
            SearchKey::Sent(when, day) => Test::Sent(*when, *day),
            SearchKey::Saved(when, day) => Test::Saved(*when, *day),
            SearchKey::Larger(size) => Test::Larger(*size),
            SearchKey::Smaller(size) => Test::Smaller(*size),
            SearchKey::Younger(seconds) => Test::NotBefore(ago(with.now, *seconds)),
            SearchKey::Older(seconds) => Test::Not(Box::new(Test::NotBefore(ago(with.now, *seconds)))),
            SearchKey::Header(HeaderKey { field, text }) => Test::Header(fold(field), with.leaf(text)),
            // Every message contains the empty text.
            SearchKey::Body(text) | SearchKey::Text(text) if text.is_empty() => Test::Always(true),
            SearchKey::Body(text) => Test::Body(with.leaf(text)),
            SearchKey::Text(text) => Test::Text(with.leaf(text)),
            SearchKey::ModSeq(modseq) => Test::ModSeq(*modseq),
            SearchKey::EmailId(id) => Test::EmailId(id.clone()),
            SearchKey::ThreadId(id) => Test::ThreadId(id.clone()),
            SearchKey::Not(key) => Test::Not(Box::new(Test::of(key, with))),
            SearchKey::Or(first, second) => Test::Any(all(&[first, second])),
            SearchKey::And(keys) => Test::All(all(&keys.iter().collect::<Vec<_>>())),
        }
    }

    /// 0 for what the row tells, 1 for the header, 2 for the text.
    fn cost(&self) -> u8 {
        match self {
            Test::Sent(..) | Test::Header(..) => 1,
            Test::Body(_) | Test::Text(_) => 2,
            Test::Not(test) => test.cost(),
            Test::Any(tests) | Test::All(tests) => tests.iter().map(Test::cost).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// What the condition looks at beside the rows.
    pub fn needs(&self) -> Needs {
        match self {
            Test::Sent(..) => Needs { other: true, ..Needs::default() },
            Test::Header(field, _) => {
                let is_main = MAIN_FIELDS.contains(&&**field);
                Needs { main: is_main, other: !is_main, text: false }
            }
            Test::Body(_) => Needs { text: true, ..Needs::default() },
            Test::Text(_) => Needs { main: true, other: true, text: true },
            Test::Not(test) => test.needs(),
            Test::Any(tests) | Test::All(tests) => {
                tests.iter().map(Test::needs).fold(Needs::default(), |all, one| Needs {
                    main: all.main || one.main,
                    other: all.other || one.other,
                    text: all.text || one.text,
                })
            }
            _ => Needs::default(),
        }
    }

    /// The same condition as bits of the flags, if that is all it asks: it is tested in a fraction of the time, and
    /// is what mail programs ask most (UNSEEN, FLAGGED, UNDELETED).
    pub fn bits(&self) -> Option<Bits> {
        match self {
            Test::Always(true) => Some(Bits { of: 0, set: 0 }),
            Test::Flags(bits) => Some(Bits { of: *bits, set: *bits }),
            Test::Not(test) => match **test {
                Test::Flags(bit) if bit.is_power_of_two() => Some(Bits { of: bit, set: 0 }),
                _ => None,
            },
            Test::All(tests) => {
                tests.iter().try_fold(Bits { of: 0, set: 0 }, |all, test| all.and(test.bits()?))
            }
            _ => None,
        }
    }

    /// Does it ask for `\Recent`?
    pub fn asks_recent(&self) -> bool {
        match self {
            Test::Recent => true,
            Test::Not(test) => test.asks_recent(),
            Test::Any(tests) | Test::All(tests) => tests.iter().any(Test::asks_recent),
            _ => false,
        }
    }

    /// Holds it? `None`: more must be known.
    pub fn holds(&self, known: &Known<'_>) -> Option<bool> {
        let row = known.row;
        Some(match self {
            Test::Always(holds) => *holds,
            Test::Numbers(set) => set.contains(Uid(known.number)),
            Test::Uids(set) => set.contains(row.uid),
            Test::Flags(bits) => row.flags.0 & bits == *bits,
            Test::Recent => known.recent,
            Test::Internal(when, day) => compare(Day::of(row.internal_date), *when, *day),
            Test::Sent(when, day) => return sent(known, *when, *day),
            // Of mail that came before this was noted it is not known: INTERNALDATE stands for it.
            Test::Saved(when, day) => {
                let saved = row.saved.map_or(row.internal_date, pennypost_fold::Seconds::timestamp);
                compare(Day::of(saved), *when, *day)
            }
            Test::Larger(size) => row.size > *size,
            Test::Smaller(size) => row.size < *size,
            Test::NotBefore(time) => row.internal_date >= *time,
            Test::Header(field, leaf) => return known.in_field(field, leaf),
            Test::Body(leaf) => return known.in_text(leaf),
            Test::Text(leaf) => return known.anywhere(leaf),
            Test::ModSeq(modseq) => row.modseq.0 >= *modseq,
            Test::EmailId(id) => *id == super::super::fetch::email_id(row),
            Test::ThreadId(id) => *id == super::super::fetch::thread_id(row),
            Test::Not(test) => !test.holds(known)?,
            Test::Any(tests) => return any(tests, known, true),
            Test::All(tests) => return any(tests, known, false),
        })
    }
}

/// Does any of the tests give `wanted`? Then that is the answer; if none can, the contrary.
fn any(tests: &[Test], known: &Known<'_>, wanted: bool) -> Option<bool> {
    let mut is_open = false;
    for test in tests {
        match test.holds(known) {
            Some(holds) if holds == wanted => return Some(wanted),
            Some(_) => {}
            None => is_open = true,
        }
    }
    if is_open { None } else { Some(!wanted) }
}

fn ago(now: Timestamp, seconds: u32) -> Timestamp {
    now.plus_millis(-1000 * i64::from(seconds))
}

fn compare(day: Day, when: When, with: Day) -> bool {
    match when {
        When::Before => day < with,
        When::On => day == with,
        When::Since => day >= with,
    }
}

/// The Date field counts as written, without its zone (RFC 3501 section 6.4.4); the row has the moment only,
/// which decides unless it is within a zone's breadth of a day's border.
fn sent(known: &Known<'_>, when: When, with: Day) -> Option<bool> {
    const WIDEST: i64 = 24 * 3_600_000;
    if let Some(lines) = known.other {
        let mut days =
            values("date", lines).filter_map(|value| day_of_date_field(&String::from_utf8_lossy(value)));
        return Some(days.next().is_some_and(|day| compare(day, when, with)));
    }
    let sent = known.row.sent?.timestamp();
    let earliest = compare(Day::of(sent.plus_millis(-WIDEST)), when, with);
    let latest = compare(Day::of(sent.plus_millis(WIDEST)), when, with);
    let around = compare(Day::of(sent), when, with);
    (earliest == around && latest == around).then_some(around)
}

/// The day that a Date field shows: `Fri, 20 Nov 2026 …`.
fn day_of_date_field(value: &str) -> Option<Day> {
    let mut words = value
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '-'))
        .filter(|word| !word.is_empty())
        .skip_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    let day: u32 = words.next()?.parse().ok()?;
    let month = month_number(words.next()?.as_bytes())?;
    let year = words.next()?;
    let value: i64 = year.parse().ok()?;
    // RFC 5322 section 4.3.
    let value = match (year.len(), value) {
        (1 | 2, 0..=49) => value + 2000,
        (1..=3, _) => value + 1900,
        _ => value,
    };
    Day::from_civil(value, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_fold::RowFlags;
    use pennypost_model::message::BlobRef;
    use pennypost_model::{EventId, Rid, Seq, ThreadId};
    use proptest::prelude::*;

    fn flag_test() -> impl Strategy<Value = Test> {
        let leaf = prop_oneof![
            proptest::bool::ANY.prop_map(Test::Always),
            (0..4_u32).prop_map(|bit| Test::Flags(1 << bit)),
            (0..16_u64).prop_map(Test::Flags),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|test| Test::Not(Box::new(test))),
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Test::Any),
                proptest::collection::vec(inner, 0..3).prop_map(Test::All),
            ]
        })
    }

    fn row(flags: RowFlags) -> Row {
        Row {
            uid: Uid(1),
            flags,
            rid: Rid(1),
            origin: Rid(1),
            modseq: Seq(1),
            internal_date: Timestamp(0),
            sent: None,
            saved: None,
            size: 1,
            thread: ThreadId(1),
            blob: BlobRef { pack: EventId::from_parts(Timestamp(0), 0), entry: 0, offset: 0, len: 1 },
        }
    }

    proptest! {
        #[test]
        fn bits_are_the_condition_itself(test in flag_test()) {
            let Some(bits) = test.bits() else { return Ok(()) };
            for flags in 0..16 {
                let row = row(RowFlags(flags));
                let known =
                    Known { row: &row, number: 1, recent: false, main: None, other: None, text: None, absent: None };
                prop_assert_eq!(test.holds(&known), Some(bits.hold(&row)));
            }
        }
    }

    #[test]
    fn what_mail_programs_ask_most_is_bits() {
        let unseen = || Test::Not(Box::new(Test::Flags(1)));
        assert!(unseen().bits().is_some());
        assert!(Test::All(vec![unseen(), Test::Flags(4), Test::Always(true)]).bits().is_some());
        assert!(Test::All(vec![unseen(), Test::Flags(1)]).bits().is_none());
        assert!(Test::All(vec![unseen(), Test::Larger(1)]).bits().is_none());
    }

    #[test]
    fn date_fields_show_their_day() {
        let day = |year, month, day| Day::from_civil(year, month, day);
        for (value, expected) in [
            ("Fri, 20 Nov 2026 23:59:59 -0800", day(2026, 11, 20)),
            ("1 january 99 00:00", day(1999, 1, 1)),
            ("Mon,  3 Feb 03 10:00:00 +0100 (CET)", day(2003, 2, 3)),
            ("31 Feb 2026 10:00", None),
            ("garbage", None),
            ("", None),
        ] {
            assert_eq!(day_of_date_field(value), expected, "{value}");
        }
    }
}
