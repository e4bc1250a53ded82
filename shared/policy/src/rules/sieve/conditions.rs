//! Tests of Sieve as conditions.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_model::Timestamp;

use super::fault::{Position, SieveError, SieveFault};
use super::own_patterns;
use super::syntax::{Argument, Piece, Test, Value};
use crate::address::{DomainName, MailAddress};
use crate::rules::apply::zone_named;
use crate::rules::{Condition, Join, MAX_CONDITIONS, MAX_RULE_WORDS, RulesFault, TimeOfDay, Words};

/// What a test says: a condition, or a half of one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Whole(Condition),
    Least(u64),
    Below(u64),
    From(Timestamp),
    Until(Timestamp),
    HourFrom(u16, String),
    HourUntil(u16, String),
    OneRecipient,
}

/// Every letter.
pub(super) const fn always() -> Condition {
    Condition::Size { least: Some(0), below: None }
}

/// How conditions are joined, and which they are. What can't be said is put to the errors.
pub(super) fn conditions(
    test: &Test,
    own: &[MailAddress],
    errors: &mut Vec<SieveError>,
) -> (Join, Vec<Condition>) {
    if let Some(condition) = full_text(test) {
        return (Join::All, vec![condition]);
    }
    let (join, tests) = match test.name.as_str() {
        "anyof" => (Join::Any, test.tests.as_slice()),
        "allof" => (Join::All, test.tests.as_slice()),
        _ => (Join::All, std::slice::from_ref(test)),
    };
    let is_join = matches!(test.name.as_str(), "anyof" | "allof");
    if tests.is_empty() || is_join && !test.arguments.is_empty() {
        errors.push(SieveFault::Arguments(test.name.clone()).at(test.at));
    }
    if tests.len() > MAX_CONDITIONS {
        errors.push(SieveFault::Rules(RulesFault::Conditions).at(test.at));
        return (join, Vec::new());
    }
    let mut conditions = Vec::with_capacity(tests.len());
    for test in tests {
        match condition(test, own) {
            Ok(condition) => conditions.push(condition),
            Err(error) => errors.push(error),
        }
    }
    (join, conditions)
}

/// One of two tests for the same words, in the subject and in the text.
fn full_text(test: &Test) -> Option<Condition> {
    let ("anyof", [], [one, other]) = (test.name.as_str(), test.arguments.as_slice(), test.tests.as_slice())
    else {
        return None;
    };
    let (subject, text) = match (one.name.as_str(), other.name.as_str()) {
        ("header", "body") => (one, other),
        ("body", "header") => (other, one),
        _ => return None,
    };
    match (header(subject).ok()?, body(text).ok()?) {
        (Part::Whole(Condition::Subject(words)), same) if words == same => Some(Condition::FullText(words)),
        _ => None,
    }
}

fn condition(test: &Test, own: &[MailAddress]) -> Result<Condition, SieveError> {
    if let Some(condition) = full_text(test) {
        return Ok(condition);
    }
    let is_all = match test.name.as_str() {
        "allof" => true,
        "anyof" => false,
        _ => return whole(part(test, own)?, test.at),
    };
    if let Some(argument) = test.arguments.first() {
        return Err(SieveFault::Arguments(test.name.clone()).at(argument.at));
    }
    // Each says a word at least, or half of a condition.
    if test.tests.len() > MAX_RULE_WORDS {
        return Err(SieveFault::Rules(RulesFault::Words).at(test.at));
    }
    let parts = test.tests.iter().map(|test| part(test, own)).collect::<Result<Vec<Part>, _>>()?;
    joined(is_all, parts, test.at)
}

/// A part by itself.
fn whole(part: Part, at: Position) -> Result<Condition, SieveError> {
    Ok(match part {
        Part::Whole(condition) => condition,
        Part::Least(least) => Condition::Size { least: Some(least), below: None },
        Part::Below(below) => Condition::Size { least: None, below: Some(below) },
        Part::From(from) => Condition::Time { from: Some(from), until: None },
        Part::Until(until) => Condition::Time { from: None, until: Some(until) },
        // To the end of the day, or from its beginning.
        Part::HourFrom(from, zone) => hours(from, 0, zone, at)?,
        Part::HourUntil(until, zone) => hours(0, until, zone, at)?,
        Part::OneRecipient => return Err(SieveFault::Addresses.at(at)),
    })
}

fn hours(from: u16, until: u16, zone: String, at: Position) -> Result<Condition, SieveError> {
    if from == until {
        return Err(SieveFault::NeverOrAlways.at(at));
    }
    Ok(Condition::Hours { from, until, zone })
}

/// Parts of one condition.
fn joined(is_all: bool, parts: Vec<Part>, at: Position) -> Result<Condition, SieveError> {
    let wrong = || SieveFault::Joined.at(at);
    match (is_all, parts.as_slice()) {
        (true, [Part::Least(least), Part::Below(below)] | [Part::Below(below), Part::Least(least)]) => {
            Ok(Condition::Size { least: Some(*least), below: Some(*below) })
        }
        (true, [Part::From(from), Part::Until(until)] | [Part::Until(until), Part::From(from)]) => {
            Ok(Condition::Time { from: Some(*from), until: Some(*until) })
        }
        (
            _,
            [Part::HourFrom(from, zone), Part::HourUntil(until, other)]
            | [Part::HourUntil(until, other), Part::HourFrom(from, zone)],
        ) => {
            if zone != other {
                return Err(wrong());
            }
            if (from < until) != is_all {
                return Err(SieveFault::NeverOrAlways.at(at));
            }
            hours(*from, *until, zone.clone(), at)
        }
        (
            true,
            [Part::OneRecipient, Part::Whole(Condition::ToMe)]
            | [Part::Whole(Condition::ToMe), Part::OneRecipient],
        ) => Ok(Condition::OnlyToMe),
        _ => words_of(is_all, parts, at),
    }
}

/// Several tests for words in the same place, as one condition.
fn words_of(is_all: bool, parts: Vec<Part>, at: Position) -> Result<Condition, SieveError> {
    let wrong = || SieveFault::Joined.at(at);
    let is_alone = parts.len() == 1;
    let mut parts = parts.into_iter();
    let mut first = whole(parts.next().ok_or_else(wrong)?, at)?;
    if is_alone && first.words().is_none() {
        return Ok(first);
    }
    let mut words = taken(&mut first).ok_or_else(wrong)?;
    let kind = std::mem::discriminant(&first);
    for part in parts {
        let mut other = whole(part, at)?;
        if std::mem::discriminant(&other) != kind {
            return Err(wrong());
        }
        let more = taken(&mut other).ok_or_else(wrong)?;
        if is_all && (words.words.len() > 1 && words.join == Join::Any || more.words.len() > 1) {
            return Err(wrong());
        }
        words.join = if is_all { Join::All } else { Join::Any };
        words.words.extend(more.words);
    }
    if is_alone && is_all && words.words.len() == 1 {
        words.join = Join::All;
    }
    match &mut first {
        Condition::Sender(place)
        | Condition::Recipient(place)
        | Condition::SenderDomain(place)
        | Condition::Subject(place)
        | Condition::FullText(place) => *place = words,
        _ => return Err(wrong()),
    }
    Ok(first)
}

fn taken(condition: &mut Condition) -> Option<Words> {
    match condition {
        Condition::Sender(words)
        | Condition::Recipient(words)
        | Condition::SenderDomain(words)
        | Condition::Subject(words)
        | Condition::FullText(words) => Some(std::mem::take(words)),
        _ => None,
    }
}

fn part(test: &Test, own: &[MailAddress]) -> Result<Part, SieveError> {
    if test.name == "not" {
        let [inner] = test.tests.as_slice() else { return Err(SieveFault::Not.at(test.at)) };
        if inner.name != "size" {
            return Err(SieveFault::Not.at(inner.at));
        }
        return Ok(match part(inner, own)? {
            Part::Least(least) => Part::Below(least),
            Part::Below(below) => Part::Least(below),
            other => other,
        });
    }
    if let Some(condition) = full_text(test) {
        return Ok(Part::Whole(condition));
    }
    if let Some(inner) = test.tests.first() {
        return Err(SieveFault::Joined.at(inner.at));
    }
    match test.name.as_str() {
        "true" if test.arguments.is_empty() => Ok(Part::Whole(always())),
        "header" => header(test),
        // Beside one for the subject it is taken with that.
        "body" => body(test).and(Err(SieveFault::Body.at(test.at))),
        "address" => address(test, own),
        "size" => size(test),
        "currentdate" => date(test),
        other => Err(SieveFault::Test(other.to_owned()).at(test.at)),
    }
}

/// The arguments of a test: tags, those with what stands behind them, and the others.
struct Asked<'a> {
    test: &'a Test,
    tags: BTreeMap<&'a str, (Position, Option<&'a Argument>)>,
    others: Vec<&'a Argument>,
}

impl<'a> Asked<'a> {
    fn of(test: &'a Test, known: &[&str]) -> Result<Asked<'a>, SieveError> {
        let mut asked = Asked { test, tags: BTreeMap::new(), others: Vec::new() };
        let mut arguments = test.arguments.iter();
        while let Some(argument) = arguments.next() {
            let Value::Tag(tag) = &argument.value else {
                asked.others.push(argument);
                continue;
            };
            if !known.contains(&tag.as_str()) {
                return Err(SieveFault::Argument(tag.clone()).at(argument.at));
            }
            let has_value = matches!(tag.as_str(), ":comparator" | ":value" | ":count" | ":zone");
            let value = if has_value { arguments.next() } else { None };
            if has_value && value.is_none() || asked.tags.contains_key(tag.as_str()) {
                return Err(SieveFault::Arguments(test.name.clone()).at(argument.at));
            }
            asked.tags.insert(tag, (argument.at, value));
        }
        Ok(asked)
    }

    fn has(&self, tag: &str) -> bool {
        self.tags.contains_key(tag)
    }

    fn wrong(&self) -> SieveError {
        SieveFault::Arguments(self.test.name.clone()).at(self.test.at)
    }

    /// The one string behind a tag.
    fn text(&self, tag: &str) -> Result<Option<&'a Piece>, SieveError> {
        let Some((at, argument)) = self.tags.get(tag) else { return Ok(None) };
        match argument.map(|argument| &argument.value) {
            Some(Value::Texts(pieces)) if pieces.len() == 1 => Ok(pieces.first()),
            _ => Err(SieveFault::Arguments(self.test.name.clone()).at(*at)),
        }
    }

    /// Nothing compares texts otherwise than letter by letter.
    fn check_comparator(&self, known: &[&str]) -> Result<(), SieveError> {
        match self.text(":comparator")? {
            Some(piece) if !known.contains(&piece.text.as_str()) => {
                Err(SieveFault::Argument(format!("{:?}", piece.text)).at(piece.at))
            }
            _ => Ok(()),
        }
    }

    /// The two lists that all tests of texts end with.
    fn lists(&self) -> Result<(&'a [Piece], &'a [Piece]), SieveError> {
        match self.others.as_slice() {
            [Argument { value: Value::Texts(first), .. }, Argument { value: Value::Texts(second), .. }] => {
                Ok((first, second))
            }
            _ => Err(self.wrong()),
        }
    }
}

const CASELESS: &[&str] = &["i;ascii-casemap", "i;unicode-casemap"];

fn lower(pieces: &[Piece]) -> BTreeSet<String> {
    pieces.iter().map(|piece| piece.text.to_lowercase()).collect()
}

fn check_keys(keys: &[Piece], limit: usize, at: Position) -> Result<(), SieveError> {
    if keys.len() > limit { Err(SieveFault::Rules(RulesFault::Words).at(at)) } else { Ok(()) }
}

fn is_recipients(names: &BTreeSet<String>) -> bool {
    names.len() == 2 && names.contains("to") && names.contains("cc")
}

fn header(test: &Test) -> Result<Part, SieveError> {
    let asked = Asked::of(test, &[":contains", ":is", ":matches", ":comparator"])?;
    for other in [":is", ":matches"] {
        if let Some((at, _)) = asked.tags.get(other) {
            return Err(SieveFault::Match.at(*at));
        }
    }
    if !asked.has(":contains") {
        return Err(SieveFault::Match.at(test.at));
    }
    asked.check_comparator(CASELESS)?;
    let (names, keys) = asked.lists()?;
    check_keys(keys, MAX_RULE_WORDS, test.at)?;
    let words = Words { join: Join::Any, words: keys.iter().map(|key| key.text.clone()).collect() };
    let names_said = lower(names);
    let is_one = |name: &str| names_said.len() == 1 && names_said.contains(name);
    let condition = if is_recipients(&names_said) {
        Condition::Recipient(words)
    } else if is_one("from") {
        Condition::Sender(words)
    } else if is_one("subject") {
        Condition::Subject(words)
    } else {
        return Err(SieveFault::Headers.at(names.first().map_or(test.at, |name| name.at)));
    };
    Ok(Part::Whole(condition))
}

/// The words that are looked for in the text (RFC 5173).
fn body(test: &Test) -> Result<Words, SieveError> {
    let asked = Asked::of(test, &[":contains", ":is", ":matches", ":comparator", ":text"])?;
    for other in [":is", ":matches"] {
        if let Some((at, _)) = asked.tags.get(other) {
            return Err(SieveFault::Match.at(*at));
        }
    }
    if !asked.has(":contains") {
        return Err(SieveFault::Match.at(test.at));
    }
    asked.check_comparator(CASELESS)?;
    let [Argument { value: Value::Texts(keys), .. }] = asked.others.as_slice() else {
        return Err(asked.wrong());
    };
    check_keys(keys, MAX_RULE_WORDS, test.at)?;
    Ok(Words { join: Join::Any, words: keys.iter().map(|key| key.text.clone()).collect() })
}

fn address(test: &Test, own: &[MailAddress]) -> Result<Part, SieveError> {
    let known = &[":domain", ":all", ":is", ":matches", ":count", ":comparator"];
    let asked = Asked::of(test, known).map_err(|error| match error.fault {
        SieveFault::Argument(_) => SieveFault::Addresses.at(error.at),
        _ => error,
    })?;
    let (names, keys) = asked.lists()?;
    let names_said = lower(names);
    let wrong = || SieveFault::Addresses.at(test.at);
    if let Some(relation) = asked.text(":count")? {
        asked.check_comparator(&["i;ascii-numeric"])?;
        let is_one = relation.text == "eq" && matches!(keys, [key] if key.text == "1");
        let is_good = is_one && is_recipients(&names_said) && !asked.has(":domain");
        return if is_good { Ok(Part::OneRecipient) } else { Err(wrong()) };
    }
    asked.check_comparator(CASELESS)?;
    if asked.has(":domain") {
        let is_author = names_said.len() == 1 && names_said.contains("from");
        if !asked.has(":matches") || asked.has(":is") || asked.has(":all") || !is_author {
            return Err(wrong());
        }
        // Two for each domain.
        check_keys(keys, 2 * MAX_RULE_WORDS, test.at)?;
        return domains(keys).map(Part::Whole);
    }
    if asked.has(":is") && asked.has(":matches") || !is_recipients(&names_said) {
        return Err(wrong());
    }
    let mut mine: BTreeSet<String> = own.iter().map(|address| address.to_string().to_lowercase()).collect();
    if asked.has(":matches") {
        mine = own_patterns(own).into_iter().map(|pattern| pattern.to_lowercase()).collect();
    }
    match keys.iter().find(|key| !mine.contains(&key.text.to_lowercase())) {
        Some(other) => Err(SieveFault::NotOwn(other.text.chars().take(80).collect()).at(other.at)),
        None => Ok(Part::Whole(Condition::ToMe)),
    }
}

/// Each domain has to be there with those below it.
fn domains(keys: &[Piece]) -> Result<Condition, SieveError> {
    let said = lower(keys);
    let mut words = Vec::new();
    for key in keys {
        let text = key.text.to_lowercase();
        let (domain, other) = match text.strip_prefix("*.") {
            Some(domain) => (domain, domain.to_owned()),
            None => (text.as_str(), format!("*.{text}")),
        };
        if !said.contains(&other) {
            return Err(SieveFault::Addresses.at(key.at));
        }
        DomainName::parse(domain).map_err(|error| SieveFault::Rules(RulesFault::Domain(error)).at(key.at))?;
        if !words.iter().any(|word| word == domain) {
            words.push(domain.to_owned());
        }
    }
    Ok(Condition::SenderDomain(Words { join: Join::Any, words }))
}

fn size(test: &Test) -> Result<Part, SieveError> {
    let asked = Asked::of(test, &[":over", ":under"])?;
    let [Argument { value: Value::Number(number), at, .. }] = asked.others.as_slice() else {
        return Err(asked.wrong());
    };
    match (asked.has(":over"), asked.has(":under")) {
        (true, false) => Ok(Part::Least(number.checked_add(1).ok_or(SieveFault::Number.at(*at))?)),
        (false, true) => Ok(Part::Below(*number)),
        _ => Err(asked.wrong()),
    }
}

fn date(test: &Test) -> Result<Part, SieveError> {
    let wrong = || SieveFault::Date.at(test.at);
    let asked = Asked::of(test, &[":zone", ":value", ":comparator"]).map_err(|error| match error.fault {
        SieveFault::Argument(_) => SieveFault::Date.at(error.at),
        _ => error,
    })?;
    asked.check_comparator(&["i;ascii-casemap", "i;octet"])?;
    let (Some(zone), Some(relation)) = (asked.text(":zone")?, asked.text(":value")?) else {
        return Err(wrong());
    };
    let ([part], [key]) = asked.lists()? else { return Err(wrong()) };
    let minutes = offset(&zone.text).ok_or(SieveFault::Date.at(zone.at))?;
    let is_from = match relation.text.as_str() {
        "ge" => true,
        "lt" => false,
        _ => return Err(SieveFault::Date.at(relation.at)),
    };
    let bad_key = SieveFault::Date.at(key.at);
    match part.text.to_lowercase().as_str() {
        "iso8601" => {
            let time = moment(&key.text, minutes).ok_or(bad_key)?;
            Ok(if is_from { Part::From(time) } else { Part::Until(time) })
        }
        "time" => {
            let time = key.text.strip_suffix(":00").filter(|rest| rest.len() == 5);
            let time = TimeOfDay::parse(time.unwrap_or(&key.text)).ok_or(bad_key)?.0;
            let zone = zone_of(test, zone, minutes)?;
            Ok(if is_from { Part::HourFrom(time, zone) } else { Part::HourUntil(time, zone) })
        }
        _ => Err(SieveFault::Date.at(part.at)),
    }
}

/// Minutes of `+0800`, or of `+08:00`.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+')?),
    };
    let digits = digits.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits[..2].parse::<i64>().ok()?, digits[2..].parse::<i64>().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// A time at the offset in which it is compared.
fn moment(text: &str, minutes: i64) -> Option<Timestamp> {
    let (local, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(local) => (local, 0),
        None => {
            let at = text.len().checked_sub(6)?;
            (text.get(..at)?, offset(text.get(at..)?)?)
        }
    };
    let time = Timestamp::from_rfc3339(&format!("{local}Z"))?;
    (zone == minutes).then(|| time.plus_millis(-minutes * 60_000))
}

/// The zone that a comment behind the offset names, or one that always has it.
fn zone_of(test: &Test, zone: &Piece, minutes: i64) -> Result<String, SieveError> {
    let behind = test.arguments.iter().find(|argument| argument.at > zone.at);
    let named = behind.into_iter().flat_map(|argument| &argument.notes).map(|note| note.text.trim());
    if let Some(name) = named.into_iter().find(|name| zone_named(name).is_some()) {
        return Ok(name.to_owned());
    }
    let hours = minutes / 60;
    match (minutes % 60, hours) {
        (0, 0) => Ok("UTC".to_owned()),
        // Named as POSIX has it: what is east is less.
        (0, 1..=14) => Ok(format!("Etc/GMT-{hours}")),
        (0, -12..=-1) => Ok(format!("Etc/GMT+{}", -hours)),
        _ => Err(SieveFault::Zone.at(zone.at)),
    }
}
