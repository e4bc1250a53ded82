//! Conditions of SEARCH, ready to be tested: sets resolved, texts folded, cheap ones first.
//!
//! A condition is tested on what is known of a message, and the answer may be that more must be known: first
//! the row, then the header, then the text.

use memchr::memmem::Finder;
use pennypost_fold::{Row, RowFlags, State};
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
}

/// A text to look for, folded.
pub(super) struct Needle(Finder<'static>);

impl Needle {
    fn new(text: &str) -> Needle {
        Needle(Finder::new(fold(text).as_bytes()).into_owned())
    }

    fn is_in(&self, folded: &str) -> bool {
        self.0.find(folded.as_bytes()).is_some()
    }
}

/// Folds case, and white space so that folded header lines match.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A condition.
pub(super) enum Test {
    Always(bool),
    Numbers(UidSet),
    Uids(UidSet),
    Flags(u64),
    Recent,
    Internal(When, Day),
    Sent(When, Day),
    Larger(u64),
    Smaller(u64),
    NotBefore(Timestamp),
    Header(String, Needle),
    Body(Needle),
    Text(Needle),
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
    /// Its header fields, names in lower case, values decoded and folded; those that are asked for.
    pub header: Option<&'a Header>,
    /// Its text, decoded and folded.
    pub text: Option<&'a str>,
}

/// The header of a message.
#[derive(Default)]
pub(super) struct Header {
    /// Name and value.
    pub fields: Vec<(String, String)>,
    /// The day that its Date field shows.
    pub sent: Option<Day>,
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
            SearchKey::Larger(size) => Test::Larger(*size),
            SearchKey::Smaller(size) => Test::Smaller(*size),
            SearchKey::Younger(seconds) => Test::NotBefore(ago(with.now, *seconds)),
            SearchKey::Older(seconds) => Test::Not(Box::new(Test::NotBefore(ago(with.now, *seconds)))),
            SearchKey::Header(HeaderKey { field, text }) => {
                Test::Header(field.to_ascii_lowercase(), Needle::new(text))
            }
            // Every message contains the empty text.
            SearchKey::Body(text) | SearchKey::Text(text) if text.is_empty() => Test::Always(true),
            SearchKey::Body(text) => Test::Body(Needle::new(text)),
            SearchKey::Text(text) => Test::Text(Needle::new(text)),
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

    /// The header fields that the condition looks at, in lower case; `None`: all of them.
    pub fn fields(&self) -> Option<Vec<String>> {
        match self {
            Test::Header(field, _) => Some(vec![field.clone()]),
            Test::Text(_) => None,
            Test::Not(test) => test.fields(),
            Test::Any(tests) | Test::All(tests) => tests.iter().try_fold(Vec::new(), |mut fields, test| {
                fields.extend(test.fields()?);
                Some(fields)
            }),
            _ => Some(Vec::new()),
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
            Test::Larger(size) => row.size > *size,
            Test::Smaller(size) => row.size < *size,
            Test::NotBefore(time) => row.internal_date >= *time,
            Test::Header(field, needle) => {
                let fields = &known.header?.fields;
                fields.iter().any(|(name, value)| name == field && needle.is_in(value))
            }
            Test::Body(needle) => needle.is_in(known.text?),
            Test::Text(needle) => {
                let in_header =
                    known.header?.fields.iter().any(|(name, value)| {
                        needle.is_in(value) || needle.is_in(&format!("{name}: {value}"))
                    });
                in_header || needle.is_in(known.text?)
            }
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
    if let Some(header) = known.header {
        return Some(header.sent.is_some_and(|day| compare(day, when, with)));
    }
    let sent = known.row.sent?.timestamp();
    let earliest = compare(Day::of(sent.plus_millis(-WIDEST)), when, with);
    let latest = compare(Day::of(sent.plus_millis(WIDEST)), when, with);
    let around = compare(Day::of(sent), when, with);
    (earliest == around && latest == around).then_some(around)
}

/// The day that a Date field shows: `Fri, 20 Nov 2026 …`.
pub(super) fn day_of_date_field(value: &str) -> Option<Day> {
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
