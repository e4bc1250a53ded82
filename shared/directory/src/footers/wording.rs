//! What a footer or a card says, in both forms, with words that stand for what the directory knows of a member.

use std::borrow::Cow;

use pennypost_mime::footer::{check_markup, escape, markup_of};
use serde::{Deserialize, Serialize};

use super::{FooterFault, FooterProblem, at};

/// Characters of a text.
pub const MAX_FOOTER_TEXT: usize = 4_000;
/// Lines of a text.
pub const MAX_FOOTER_LINES: usize = 60;
/// Bytes of HTML.
pub const MAX_FOOTER_HTML: usize = 20_000;
/// Bytes of a text with what stands for its words: from there on they are left out.
const MAX_FILLED: usize = 64 * 1024;
/// Characters of what stands for a word.
const MAX_VALUE: usize = 200;

/// The words, as they stand in braces.
pub const PLACEHOLDERS: [&str; 6] = ["name", "department", "title", "company", "phone", "email"];

/// What stands for them, in the same order.
pub(super) type Values = [String; PLACEHOLDERS.len()];

/// A text, and perhaps the same as HTML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    /// Plain text; lines end with a line feed.
    pub text: String,
    /// As HTML; `None`: the text, line by line.
    pub html: Option<String>,
}

/// What a text is made of.
enum Piece<'a> {
    Text(&'a str),
    Word(usize),
    Unknown(&'a str),
}

/// A text from left to right. A brace that begins no word is a brace.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word = rest.strip_prefix('{').and_then(|inner| {
            let (word, behind) = inner.split_once('}')?;
            let is_word =
                !word.is_empty() && word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_lowercase());
            is_word.then_some((word, behind))
        });
        if let Some((word, behind)) = word {
            rest = behind;
            let known = PLACEHOLDERS.iter().position(|known| *known == word);
            return Some(known.map_or(Piece::Unknown(word), Piece::Word));
        }
        let next = rest.get(1..).and_then(|behind| behind.find('{')).map_or(rest.len(), |at| at + 1);
        // A first character of several bytes is no brace.
        let next = if rest.is_char_boundary(1) { next } else { rest.find('{').unwrap_or(rest.len()) };
        let (text, behind) = rest.split_at(next);
        rest = behind;
        Some(Piece::Text(text))
    })
}

fn filled(text: &str, values: &Values, escape: impl Fn(&str) -> Cow<'_, str>) -> String {
    let mut filled = String::with_capacity(text.len() + 64);
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Word(word) if filled.len() < MAX_FILLED => filled.push_str(&escape(&values[word])),
            Piece::Word(_) => {}
            // Stored by a version that knew more.
            Piece::Unknown(_) => {}
        }
    }
    filled
}

/// What is known of a member as it stands on a line.
pub(super) fn value(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().chars().take(MAX_VALUE).collect()
}

impl Wording {
    pub(super) fn check(&self, pointer: &str) -> Result<(), FooterProblem> {
        let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        let is_good = !self.text.trim().is_empty()
            && self.text.chars().count() <= MAX_FOOTER_TEXT
            && self.text.lines().count() <= MAX_FOOTER_LINES
            && !self.text.chars().any(is_odd);
        if !is_good {
            return Err(at(format!("{pointer}/text"), FooterFault::Text));
        }
        let html = self.html.as_deref().unwrap_or_default();
        if html.len() > MAX_FOOTER_HTML || html.chars().any(|c| is_odd(c) && c != '\r') {
            return Err(at(format!("{pointer}/html"), FooterFault::Html));
        }
        if self.html.is_some() && html.trim().is_empty() {
            return Err(at(format!("{pointer}/html"), FooterFault::Html));
        }
        check_markup(html).map_err(|problem| at(format!("{pointer}/html"), FooterFault::Markup(problem)))?;
        for (form, text) in [("text", &*self.text), ("html", html)] {
            let unknown = pieces(text)
                .find_map(|piece| if let Piece::Unknown(word) = piece { Some(word) } else { None });
            if let Some(word) = unknown {
                return Err(at(format!("{pointer}/{form}"), FooterFault::Placeholder(word.to_owned())));
            }
        }
        Ok(())
    }

    /// Does that word stand in it?
    pub(super) fn asks_for(&self, placeholder: &str) -> bool {
        let word = format!("{{{placeholder}}}");
        self.text.contains(&word) || self.html.as_ref().is_some_and(|html| html.contains(&word))
    }

    /// Both forms for a member. A line of the text that tells nothing but what is not known is left out.
    pub(super) fn written(&self, values: &Values) -> (String, String) {
        let tells = |line: &&str| {
            let mut words = pieces(line)
                .filter_map(|piece| if let Piece::Word(word) = piece { Some(word) } else { None });
            words
                .next()
                .is_none_or(|first| !values[first].is_empty() || words.any(|word| !values[word].is_empty()))
        };
        let lines: Vec<&str> = self.text.lines().filter(tells).collect();
        let text = filled(&lines.join("\n"), values, |value| Cow::Borrowed(value));
        let html = match &self.html {
            Some(html) => filled(html, values, |value| Cow::Owned(escape(value))),
            None => markup_of(&text),
        };
        (text, html)
    }
}
