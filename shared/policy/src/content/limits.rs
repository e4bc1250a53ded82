//! What rules about contents can't be.

use std::collections::BTreeSet;

use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::util::syntax;

use super::letter::spaced;
use super::{ContentAction, ContentCondition, ContentRule};
use crate::rules::fold;

/// Rules of an organisation.
pub const MAX_CONTENT_RULES: usize = 50;
/// Characters of a rule's name.
pub const MAX_CONTENT_NAME: usize = 60;
/// Conditions of a rule.
pub const MAX_CONTENT_CONDITIONS: usize = 20;
/// Words of a condition, or endings and types.
pub const MAX_CONTENT_WORDS: usize = 50;
/// Characters of a word.
pub const MAX_CONTENT_WORD: usize = 100;
/// Words of all rules: each is looked for in each letter.
pub const MAX_CONTENT_ALL_WORDS: usize = 500;
/// Patterns of all rules.
pub const MAX_CONTENT_PATTERNS: usize = 20;
/// Characters of a pattern.
pub const MAX_CONTENT_PATTERN: usize = 200;
/// Bytes of what a writer is told: a line of SMTP has 512.
pub const MAX_CONTENT_TEXT: usize = 400;
/// What a condition may count up to.
pub const MAX_CONTENT_LEAST: u32 = 1_000;
/// Bytes that a pattern takes in memory.
const PATTERN_SIZE: usize = 128 * 1024;
/// Bytes of what is remembered of it while a letter is looked at, in each direction.
const PATTERN_CACHE: usize = 512 * 1024;

/// Rules that can't be, and where they are wrong: a JSON pointer into the rules as the API shows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {fault:?}")]
pub struct ContentProblem {
    /// Where.
    pub pointer: String,
    /// What.
    pub fault: ContentFault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentFault {
    /// There are too many rules.
    Rules,
    /// The name is none, or too long.
    Name,
    /// Another rule is called so.
    NameTaken,
    /// What the writer is told is nothing, or too long.
    Text,
    /// There is no condition, or there are too many.
    Conditions,
    /// There is no word, or there are too many.
    Words,
    /// All rules together have too many words.
    AllWords,
    /// The word is none, or too long.
    Word,
    /// It can't be counted up to that.
    Least,
    /// All rules together have too many patterns.
    Patterns,
    /// The pattern can't be used.
    Pattern(PatternFault),
    /// No ending and no type.
    Ending,
    /// A size of nothing.
    Size,
    /// It names nobody.
    Nobody,
    /// It names too many.
    Targets,
    /// All together is too long.
    TooLarge,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternFault {
    /// It is empty, or too long.
    Length,
    /// It takes too much memory.
    TooLarge,
    /// It can't be read.
    Syntax {
        /// At that character, from 1.
        at: usize,
        /// Why.
        cause: String,
    },
    /// It is as nothing.
    Empty,
}

fn at(pointer: impl Into<String>, fault: ContentFault) -> ContentProblem {
    ContentProblem { pointer: pointer.into(), fault }
}

/// The pattern, ready to be looked for, whatever the case of letters. The time of one search is linear in the text, memory is bounded.
pub(super) fn compiled(pattern: &str) -> Result<Regex, PatternFault> {
    if !(1..=MAX_CONTENT_PATTERN).contains(&pattern.chars().count()) {
        return Err(PatternFault::Length);
    }
    let config = Config::new()
        .nfa_size_limit(Some(PATTERN_SIZE))
        .onepass_size_limit(Some(PATTERN_SIZE))
        .hybrid_cache_capacity(PATTERN_CACHE);
    let syntax = syntax::Config::new().case_insensitive(true).nest_limit(50);
    let built = Regex::builder().configure(config).syntax(syntax).build(pattern);
    let regex = built.map_err(|error| fault_of(&error, pattern))?;
    if regex.is_match("") { Err(PatternFault::Empty) } else { Ok(regex) }
}

fn fault_of(error: &BuildError, pattern: &str) -> PatternFault {
    let Some(error) = error.syntax_error() else { return PatternFault::TooLarge };
    let (offset, cause) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span().start.offset, error.kind().to_string()),
        other => (0, other.to_string()),
    };
    let before = pattern.char_indices().take_while(|(at, _)| *at < offset).count();
    PatternFault::Syntax { at: before + 1, cause }
}

fn is_text(text: &str, limit: usize) -> bool {
    let is_short = (1..=limit).contains(&text.chars().count());
    is_short && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// Is it an ending without its dot, or a type?
fn is_ending(text: &str) -> bool {
    let is_token = |part: &str| {
        (1..=100).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    match text.split_once('/') {
        Some((whole, sub)) => is_token(whole) && (sub == "*" || is_token(sub)),
        None => is_text(text, 20) && text.chars().all(char::is_alphanumeric),
    }
}

/// Can these be an organisation's rules, in their order?
///
/// # Errors
/// The first that is wrong.
pub fn check<'a>(rules: impl IntoIterator<Item = &'a ContentRule>) -> Result<(), ContentProblem> {
    let mut names = BTreeSet::new();
    let (mut words, mut patterns) = (0, 0);
    for (number, rule) in rules.into_iter().enumerate() {
        if number >= MAX_CONTENT_RULES {
            return Err(at("/rules", ContentFault::Rules));
        }
        let pointer = format!("/rules/{number}");
        if !is_text(&rule.name, MAX_CONTENT_NAME) || rule.name.trim() != rule.name {
            return Err(at(format!("{pointer}/name"), ContentFault::Name));
        }
        if !names.insert(fold(&rule.name).into_owned()) {
            return Err(at(format!("{pointer}/name"), ContentFault::NameTaken));
        }
        if let ContentAction::Refuse(text) = &rule.action
            && (!is_text(text, MAX_CONTENT_TEXT) || text.len() > MAX_CONTENT_TEXT)
        {
            return Err(at(format!("{pointer}/action/refuse/text"), ContentFault::Text));
        }
        if !(1..=MAX_CONTENT_CONDITIONS).contains(&rule.conditions.len()) {
            return Err(at(format!("{pointer}/conditions"), ContentFault::Conditions));
        }
        for (number, condition) in rule.conditions.iter().enumerate() {
            let pointer = format!("{pointer}/conditions/{number}");
            check_condition(condition, &pointer)?;
            match condition {
                ContentCondition::Words(_, said) => words += said.words.len(),
                ContentCondition::Pattern { .. } => patterns += 1,
                _ => {}
            }
            if words > MAX_CONTENT_ALL_WORDS {
                return Err(at(pointer, ContentFault::AllWords));
            }
            if patterns > MAX_CONTENT_PATTERNS {
                return Err(at(pointer, ContentFault::Patterns));
            }
        }
    }
    Ok(())
}

fn check_condition(condition: &ContentCondition, pointer: &str) -> Result<(), ContentProblem> {
    let check_least = |least: u32, name: &str| {
        let is_good = (1..=MAX_CONTENT_LEAST).contains(&least);
        if is_good { Ok(()) } else { Err(at(format!("{pointer}/{name}/least"), ContentFault::Least)) }
    };
    let check_count = |count: usize, name: &str| {
        let is_good = (1..=MAX_CONTENT_WORDS).contains(&count);
        if is_good { Ok(()) } else { Err(at(format!("{pointer}/{name}"), ContentFault::Words)) }
    };
    match condition {
        ContentCondition::Words(_, words) => {
            check_count(words.words.len(), "words/words")?;
            // Of characters that nobody sees nothing is left to look for.
            let is_word = |word: &String| {
                is_text(word, MAX_CONTENT_WORD) && !spaced(&fold(word.trim()), ' ').is_empty()
            };
            match words.words.iter().position(|word| !is_word(word)) {
                Some(bad) => Err(at(format!("{pointer}/words/words/{bad}"), ContentFault::Word)),
                None => Ok(()),
            }
        }
        ContentCondition::Detected { least, .. } => check_least(*least, "found"),
        ContentCondition::Pattern { pattern, least } => {
            check_least(*least, "pattern")?;
            let wrong = |fault| at(format!("{pointer}/pattern/pattern"), ContentFault::Pattern(fault));
            compiled(pattern).map(drop).map_err(wrong)
        }
        ContentCondition::Attachment(endings) => {
            check_count(endings.len(), "attachment")?;
            match endings.iter().position(|ending| !is_ending(ending)) {
                Some(bad) => Err(at(format!("{pointer}/attachment/{bad}"), ContentFault::Ending)),
                None => Ok(()),
            }
        }
        ContentCondition::Size(least) => match least {
            0 => Err(at(format!("{pointer}/size/least"), ContentFault::Size)),
            _ => Ok(()),
        },
        ContentCondition::Outside(least) => check_least(*least, "outside"),
        ContentCondition::Encrypted | ContentCondition::Unread => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::content::{ContentPlace, Detector};
    use crate::rules::{Join, Words};

    use super::*;

    fn rule(condition: ContentCondition) -> ContentRule {
        ContentRule {
            name: "x".to_owned(),
            enabled: true,
            is_outside_only: true,
            join: Join::Any,
            conditions: vec![condition],
            action: ContentAction::Note,
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let pattern = |pattern: &str| ContentCondition::Pattern { pattern: pattern.to_owned(), least: 1 };
        let endings = |ending: &str| ContentCondition::Attachment(vec![ending.to_owned()]);
        for good in [
            pattern(r"内部\d{4}"),
            pattern("[0-9]{17}[0-9x]"),
            endings("xlsx"),
            endings("image/*"),
            endings("a/b+c"),
            ContentCondition::Unread,
        ] {
            assert_eq!(check([&rule(good)]), Ok(()));
        }
        let syntax = check([&rule(pattern("文件a(b"))]).expect_err("wrong");
        assert_eq!(syntax.pointer, "/rules/0/conditions/0/pattern/pattern");
        let ContentFault::Pattern(PatternFault::Syntax { at: 4, .. }) = syntax.fault else {
            panic!("{syntax:?}")
        };
        for (condition, pointer, fault) in [
            (pattern(""), "/pattern/pattern", ContentFault::Pattern(PatternFault::Length)),
            (pattern("a*"), "/pattern/pattern", ContentFault::Pattern(PatternFault::Empty)),
            (pattern(r"\w{1000}{1000}"), "/pattern/pattern", ContentFault::Pattern(PatternFault::TooLarge)),
            (pattern(r"\w{100}"), "/pattern/pattern", ContentFault::Pattern(PatternFault::TooLarge)),
            (endings(".xlsx"), "/attachment/0", ContentFault::Ending),
            (ContentCondition::Size(0), "/size/least", ContentFault::Size),
            (ContentCondition::Outside(0), "/outside/least", ContentFault::Least),
            (
                ContentCondition::Detected { what: Detector::Iban, least: MAX_CONTENT_LEAST + 1 },
                "/found/least",
                ContentFault::Least,
            ),
            (
                ContentCondition::Words(
                    ContentPlace::Text,
                    Words { join: Join::Any, words: vec!["\u{200b}".to_owned()] },
                ),
                "/words/words/0",
                ContentFault::Word,
            ),
        ] {
            let problem = check([&rule(condition)]).expect_err("wrong");
            assert_eq!((problem.pointer, problem.fault), (format!("/rules/0/conditions/0{pointer}"), fault));
        }
        let twice = [
            rule(ContentCondition::Unread),
            ContentRule { name: "X".to_owned(), ..rule(ContentCondition::Unread) },
        ];
        assert_eq!(check(&twice).map_err(|problem| problem.fault), Err(ContentFault::NameTaken));
        let told =
            ContentRule { action: ContentAction::Refuse(String::new()), ..rule(ContentCondition::Unread) };
        assert_eq!(
            check([&told]).map_err(|problem| problem.pointer),
            Err("/rules/0/action/refuse/text".to_owned())
        );
    }
}
