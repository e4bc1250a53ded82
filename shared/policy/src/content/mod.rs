//! What may leave: rules of an organisation about what stands in its members' letters, asked before these are accepted.
//!
//! Everything here is a value: what the rules are, whether they can be ([`check`]), and what they say of one letter
//! ([`ContentFilter::judge`]). Conditions know nothing of what is done when they hold, so that others can ask them, too.

mod detect;
mod letter;
mod limits;

use std::borrow::Cow;
use std::collections::HashSet;

use pennypost_model::message::cut;
use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::iter::Searcher;
use serde::{Deserialize, Serialize};

use crate::rules::{Join, Words, fold};
pub use detect::{Detector, masked};
pub use letter::{ContentFacts, ContentLetter};
pub use limits::{
    ContentFault, ContentProblem, MAX_CONTENT_ALL_WORDS, MAX_CONTENT_CONDITIONS, MAX_CONTENT_LEAST,
    MAX_CONTENT_NAME, MAX_CONTENT_PATTERN, MAX_CONTENT_PATTERNS, MAX_CONTENT_RULES, MAX_CONTENT_TEXT,
    MAX_CONTENT_WORD, MAX_CONTENT_WORDS, PatternFault, check,
};

/// Rules of which a letter's trace tells that it goes all the same.
const MAX_NOTED: usize = 10;
/// Bytes of a line in which a pattern is looked for at once. To find all that is as it says takes time by their square.
const PIECE: usize = 1_024;

/// A rule: which letters it is about, and what is done with these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRule {
    /// What it is called; no other one is called so.
    pub name: String,
    /// It is asked.
    pub enabled: bool,
    /// About letters to others only; else about all.
    pub is_outside_only: bool,
    /// Whether one of the conditions is enough.
    pub join: Join,
    /// When something is done: one condition at least.
    pub conditions: Vec<ContentCondition>,
    /// What is done.
    pub action: ContentAction,
}

/// Where words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentPlace {
    /// In the subject.
    Subject,
    /// In the text, and in that of what is attached.
    Text,
    /// In the names of what is attached.
    Names,
    /// In any of these.
    Anywhere,
}

/// What a rule asks of a letter that goes out. Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentCondition {
    /// The words stand there.
    Words(ContentPlace, Words),
    /// So many different ones of these are in it.
    Detected {
        /// What is looked for.
        what: Detector,
        /// So many at least.
        least: u32,
    },
    /// So many different texts in it are as the pattern says, each within a line, of which 1,024 bytes are looked at at once.
    Pattern {
        /// A regular expression.
        pattern: String,
        /// So many at least.
        least: u32,
    },
    /// Something attached has one of these endings (`xlsx`) or types (`application/pdf`, `image/*`).
    Attachment(Vec<String>),
    /// It has so many bytes at least.
    Size(u64),
    /// It goes to so many recipients outside at least.
    Outside(u32),
    /// It, or something attached, is encrypted.
    Encrypted,
    /// Something in it was not looked into.
    Unread,
}

/// What is done with a letter. Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentAction {
    /// It goes, and its trace names the rule.
    Note,
    /// It does not go; its writer is told that.
    Refuse(String),
}

/// What rules say of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentVerdict {
    /// It goes.
    Goes {
        /// The rules that name it.
        noted: Vec<String>,
    },
    /// It does not.
    Refused {
        /// By that rule.
        rule: String,
        /// What its writer is told.
        text: String,
    },
}

impl Default for ContentVerdict {
    fn default() -> ContentVerdict {
        ContentVerdict::Goes { noted: Vec::new() }
    }
}

/// What became of a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// It holds.
    pub holds: bool,
    /// How many different ones were found, as far as they were counted.
    pub found: Option<u32>,
    /// The first of them, with nearly all of it hidden.
    pub sample: Option<String>,
}

/// Rules that are ready to be asked.
#[derive(Debug, Default)]
pub struct ContentFilter {
    rules: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    rule: ContentRule,
    /// What belongs to the condition of the same number.
    ready: Vec<Prepared>,
}

#[derive(Debug)]
enum Prepared {
    Nothing,
    Words(Vec<String>),
    Pattern(Option<Regex>),
}

impl Ready {
    fn new(rule: ContentRule) -> Ready {
        let prepared = |condition: &ContentCondition| match condition {
            ContentCondition::Words(_, words) => Prepared::Words(
                words.words.iter().map(|word| letter::spaced(&fold(word.trim()), ' ')).collect(),
            ),
            // It was looked at when it was said.
            ContentCondition::Pattern { pattern, .. } => Prepared::Pattern(limits::compiled(pattern).ok()),
            _ => Prepared::Nothing,
        };
        Ready { ready: rule.conditions.iter().map(prepared).collect(), rule }
    }

    fn asked(&self, letter: &ContentLetter, most: u32) -> impl Iterator<Item = Asked> {
        self.rule
            .conditions
            .iter()
            .zip(&self.ready)
            .map(move |(condition, ready)| ask(condition, ready, letter, most))
    }

    fn holds(&self, letter: &ContentLetter) -> bool {
        let mut asked = self.asked(letter, 0);
        match self.rule.join {
            Join::Any => asked.any(|asked| asked.holds),
            Join::All => asked.all(|asked| asked.holds),
        }
    }

    fn is_about(&self, letter: &ContentLetter) -> bool {
        letter.facts.outside > 0 || !self.rule.is_outside_only
    }
}

/// Different texts, as they are counted: up to as many as are needed, or `most` if that is more.
struct Count<'a> {
    known: HashSet<Cow<'a, str>>,
    sample: Option<String>,
    least: u32,
    enough: usize,
}

impl<'a> Count<'a> {
    fn new(least: u32, most: u32) -> Count<'a> {
        let enough = usize::try_from(least.max(most)).unwrap_or(usize::MAX);
        Count { known: HashSet::new(), sample: None, least, enough }
    }

    /// Counts one; are these enough?
    fn add(&mut self, one: Cow<'a, str>) -> bool {
        if self.sample.is_none() {
            self.sample = Some(masked(&one));
        }
        self.known.insert(one);
        self.known.len() >= self.enough
    }

    fn done(self) -> Asked {
        let found = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        Asked { holds: found >= self.least, found: Some(found), sample: self.sample }
    }
}

fn counted<'a>(mut found: impl Iterator<Item = Cow<'a, str>>, least: u32, most: u32) -> Asked {
    let mut count = Count::new(least, most);
    // It ends with the first that is enough.
    let _ = found.any(|one| count.add(one));
    count.done()
}

/// The lines of a text, in pieces of [`PIECE`] bytes at most.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| {
        let mut rest = line;
        std::iter::from_fn(move || {
            let (piece, more) = rest.split_at_checked(cut(rest, PIECE).len())?;
            rest = more;
            Some(piece).filter(|piece| !piece.is_empty())
        })
    })
}

/// Places that are looked at of one pattern in a letter.
const MAX_PLACES: u32 = 10_000;

/// Counts what is as a pattern says. What stands nowhere is not counted.
fn matched(pattern: &Regex, text: &str, least: u32, most: u32) -> Asked {
    let mut count = Count::new(least, most);
    // It goes with the letter: that of the pattern itself would stay, for each thread.
    let mut cache = pattern.create_cache();
    let mut left = MAX_PLACES;
    for piece in pieces(text) {
        let mut places = Searcher::new(Input::new(piece));
        while let Some(found) = places.advance(|input| Ok(pattern.search_with(&mut cache, input))) {
            // Equal ones count once: a letter of a million would be searched as often.
            left -= 1;
            if left == 0 {
                return count.done();
            }
            let one = piece.get(found.range()).unwrap_or_default();
            if !one.is_empty() && count.add(one.into()) {
                return count.done();
            }
        }
    }
    count.done()
}

fn ask(condition: &ContentCondition, ready: &Prepared, letter: &ContentLetter, most: u32) -> Asked {
    let plainly = |holds| Asked { holds, ..Asked::default() };
    match (condition, ready) {
        (ContentCondition::Words(place, said), Prepared::Words(words)) => {
            let stands = |word: &String| letter.has(*place, word);
            plainly(match said.join {
                Join::Any => words.iter().any(stands),
                Join::All => words.iter().all(stands),
            })
        }
        (ContentCondition::Detected { what, least }, _) => counted(what.find(letter.plain()), *least, most),
        (ContentCondition::Pattern { least, .. }, Prepared::Pattern(Some(pattern))) => {
            matched(pattern, letter.plain(), *least, most)
        }
        (ContentCondition::Attachment(wanted), _) => {
            let is_wanted =
                |(name, kind): &(String, String)| wanted.iter().any(|wanted| is_of(name, kind, wanted));
            plainly(letter.facts.attached.iter().any(is_wanted))
        }
        (ContentCondition::Size(least), _) => plainly(letter.facts.size >= *least),
        (ContentCondition::Outside(least), _) => plainly(letter.facts.outside >= *least),
        (ContentCondition::Encrypted, _) => plainly(letter.facts.is_encrypted),
        (ContentCondition::Unread, _) => plainly(letter.facts.is_unread),
        (ContentCondition::Words(..) | ContentCondition::Pattern { .. }, _) => plainly(false),
    }
}

/// Has an attachment that ending, or that type?
fn is_of(name: &str, kind: &str, wanted: &str) -> bool {
    let is_same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    match wanted.split_once('/') {
        Some((whole, "*")) => kind.split_once('/').is_some_and(|(kind, _)| is_same(kind, whole)),
        Some(_) => is_same(kind, wanted),
        None => {
            let ending =
                |name: &str| name.trim_end().rsplit_once('.').is_some_and(|(_, end)| is_same(end, wanted));
            ending(&fold(name))
        }
    }
}

impl ContentFilter {
    /// Gets the rules that are on ready. The rules must have been [checked](check).
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = ContentRule>) -> ContentFilter {
        ContentFilter { rules: rules.into_iter().filter(|rule| rule.enabled).map(Ready::new).collect() }
    }

    /// Has it no rule?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Is it that of these rules, all of which are on?
    #[must_use]
    pub fn is_of(&self, rules: &[ContentRule]) -> bool {
        self.rules.iter().map(|ready| &ready.rule).eq(rules)
    }

    /// How many patterns it has.
    #[must_use]
    pub fn patterns(&self) -> usize {
        let of_rule = |ready: &Ready| {
            let is_pattern = |one: &&ContentCondition| matches!(one, ContentCondition::Pattern { .. });
            ready.rule.conditions.iter().filter(is_pattern).count()
        };
        self.rules.iter().map(of_rule).sum()
    }

    /// Is no rule about a letter that goes to others, or to nobody else?
    #[must_use]
    pub fn is_nothing_for(&self, leaves: bool) -> bool {
        self.rules.iter().all(|ready| ready.rule.is_outside_only && !leaves)
    }

    /// What the rules say: the first that refuses, whatever the others say; else all that note.
    #[must_use]
    pub fn judge(&self, letter: &ContentLetter) -> ContentVerdict {
        let about = || self.rules.iter().filter(|ready| ready.is_about(letter));
        for ready in about() {
            if let ContentAction::Refuse(text) = &ready.rule.action
                && ready.holds(letter)
            {
                return ContentVerdict::Refused { rule: ready.rule.name.clone(), text: text.clone() };
            }
        }
        let notes = about().filter(|ready| ready.rule.action == ContentAction::Note && ready.holds(letter));
        let noted = notes.take(MAX_NOTED).map(|ready| ready.rule.name.clone());
        ContentVerdict::Goes { noted: noted.collect() }
    }

    /// What each rule that is about the letter says, and what each of its conditions has found: `most` different ones at most, or as many
    /// as it asks for.
    #[must_use]
    pub fn tried(&self, letter: &ContentLetter, most: u32) -> Vec<(&ContentRule, bool, Vec<Asked>)> {
        let about = self.rules.iter().filter(|ready| ready.is_about(letter));
        about.map(|ready| (&ready.rule, ready.holds(letter), ready.asked(letter, most).collect())).collect()
    }
}

/// The beginning of the reason that names a rule, and the reason: as the trace has it.
pub const CONTENT_REASON: &str = "content:";

/// The reason of a letter that a rule notes.
#[must_use]
pub fn content_reason(rule: &str) -> String {
    format!("{CONTENT_REASON}{}", cut(rule, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(subject: &str, text: &str) -> ContentLetter {
        ContentLetter::new(ContentFacts {
            subject: subject.to_owned(),
            text: text.to_owned(),
            attached: vec![("Plan.XLSX".to_owned(), "application/octet-stream".to_owned())],
            size: 1_000,
            outside: 2,
            is_encrypted: false,
            is_unread: true,
        })
    }

    fn words(join: Join, words: &[&str]) -> Words {
        Words { join, words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    fn rule(name: &str, conditions: Vec<ContentCondition>, action: ContentAction) -> ContentRule {
        ContentRule {
            name: name.to_owned(),
            enabled: true,
            is_outside_only: true,
            join: Join::All,
            conditions,
            action,
        }
    }

    /// Feature APR-01 (part): conditions of letters that go out: words, what is detected, attachments, size, recipients
    #[test]
    fn each_condition_asks_what_it_says() {
        use ContentCondition::{Attachment, Detected, Encrypted, Outside, Pattern, Size, Unread, Words};
        use ContentPlace::{Anywhere, Names, Subject, Text};
        let it = letter("ＴＯＰ  Secret", "call 13812345678\nor 138-1234-5678, 内部\n资料 Straße");
        for (condition, holds) in [
            (Words(Subject, words(Join::All, &["top secret"])), true),
            (Words(Text, words(Join::All, &["top secret"])), false),
            (Words(Text, words(Join::Any, &["nothing", "内部 资料"])), true),
            (Words(Text, words(Join::All, &["nothing", "内部"])), false),
            (Words(Names, words(Join::All, &["plan"])), true),
            (Words(Anywhere, words(Join::All, &["PLAN.xlsx", "TOP", "straße"])), true),
            (Detected { what: Detector::Mobile, least: 1 }, true),
            // Twice the same one is one.
            (Detected { what: Detector::Mobile, least: 2 }, false),
            (Pattern { pattern: "se.ret".to_owned(), least: 1 }, true),
            (Pattern { pattern: "(".to_owned(), least: 1 }, false),
            (Attachment(vec!["docx".to_owned(), "xlsx".to_owned()]), true),
            (Attachment(vec!["application/*".to_owned()]), true),
            (Attachment(vec!["application/pdf".to_owned()]), false),
            (Size(1_000), true),
            (Size(1_001), false),
            (Outside(2), true),
            (Outside(3), false),
            (Encrypted, false),
            (Unread, true),
        ] {
            let filter = ContentFilter::new([rule("x", vec![condition.clone()], ContentAction::Note)]);
            let noted = if holds { vec!["x".to_owned()] } else { vec![] };
            assert_eq!(filter.judge(&it), ContentVerdict::Goes { noted }, "{condition:?}");
        }
    }

    #[test]
    fn the_strictest_action_wins_and_what_stays_inside_is_not_meant() {
        let holds = || vec![ContentCondition::Size(1)];
        let refuse = |text: &str| ContentAction::Refuse(text.to_owned());
        let off = ContentRule { enabled: false, ..rule("off", holds(), refuse("no")) };
        let rules = [
            off,
            rule("seen", holds(), ContentAction::Note),
            rule("never", vec![ContentCondition::Encrypted], refuse("a")),
            rule("first", holds(), refuse("b")),
            rule("second", holds(), refuse("c")),
        ];
        let filter = ContentFilter::new(rules.clone());
        let it = letter("", "");
        let refused = ContentVerdict::Refused { rule: "first".to_owned(), text: "b".to_owned() };
        assert_eq!(filter.judge(&it), refused);
        assert!(filter.is_nothing_for(false) && !filter.is_nothing_for(true));
        let inside = ContentLetter::new(ContentFacts { outside: 0, ..it.facts });
        assert_eq!(filter.judge(&inside), ContentVerdict::default());
        let all = rules.map(|rule| ContentRule { is_outside_only: false, ..rule });
        assert_eq!(ContentFilter::new(all).judge(&inside), refused);
    }

    #[test]
    fn a_pattern_holds_within_a_line_a_piece_at_a_time() {
        let long = "内部".repeat(1_000);
        let text = format!("\nab\n\n{long}\n");
        let all: Vec<&str> = pieces(&text).collect();
        assert_eq!((all[0], all[1..].concat()), ("ab", long));
        assert!(
            all.iter().all(|piece| (1..=PIECE).contains(&piece.len())) && all.len() == 7,
            "{}",
            all.len()
        );
        assert_eq!(pieces("").count(), 0);

        let of = |pattern: &str, text: &str, most: u32| {
            let pattern = limits::compiled(pattern).expect("a pattern");
            let asked = matched(&pattern, text, 1, most);
            (asked.holds, asked.found)
        };
        assert_eq!(of(r"a\sb", "a b", 0), (true, Some(1)));
        assert_eq!(of(r"a\sb", "a\nb", 0), (false, Some(0)));
        assert_eq!(of("[0-9]+", "1 22 1\n333 22", 10), (true, Some(3)));
        assert_eq!(of("[0-9]+", "1 22 1\n333 22", 2), (true, Some(2)));
        // Empty ones are none.
        assert_eq!(of(r"\b|x", "a b", 10), (false, Some(0)));
    }

    #[test]
    fn a_filter_knows_its_rules() {
        let note = |name: &str| rule(name, vec![ContentCondition::Size(1)], ContentAction::Note);
        let filter = ContentFilter::new([note("a"), note("b")]);
        assert!(filter.is_of(&[note("a"), note("b")]));
        assert!(!filter.is_of(&[note("a")]) && !filter.is_of(&[note("b"), note("a")]));
    }

    #[test]
    fn a_trial_counts_and_hides_what_it_found() {
        let detected = ContentCondition::Detected { what: Detector::Mobile, least: 1 };
        let filter = ContentFilter::new([rule("x", vec![detected], ContentAction::Note)]);
        let it = letter("", "13812345678 13912345678 13712345678");
        let tried = filter.tried(&it, 1_000);
        let [(_, true, asked)] = &*tried else { panic!("{tried:?}") };
        assert_eq!((asked[0].found, asked[0].sample.as_deref()), (Some(3), Some("13****8")));
    }
}
