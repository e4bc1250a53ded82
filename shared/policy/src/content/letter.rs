//! A letter as rules look at it.

use unicode_normalization::UnicodeNormalization;

use super::ContentPlace;
use crate::rules::fold;

/// What is known of a letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentFacts {
    /// Its subject, decoded.
    pub subject: String,
    /// Its text, and that of what is attached.
    pub text: String,
    /// The names and types of what is attached.
    pub attached: Vec<(String, String)>,
    /// Its bytes.
    pub size: u64,
    /// Recipients outside the organisation.
    pub outside: u32,
    /// It, or something attached, is encrypted.
    pub is_encrypted: bool,
    /// Something in it was not looked into.
    pub is_unread: bool,
}

/// The same, with its texts as they are compared.
#[derive(Debug)]
pub struct ContentLetter {
    /// What is known of it; its text is not kept here any more.
    pub(super) facts: ContentFacts,
    /// Subject, names and text, each character in its plain form, a line feed between lines.
    plain: String,
    subject: String,
    names: String,
    text: String,
}

/// With one `space` for white space of any length, but a line feed where that has one and it is no blank. Characters that nobody sees are left out.
pub(super) fn spaced(text: &str, line_feed: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = None;
    for c in text.chars() {
        let is_unseen = matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
        if is_unseen {
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            let is_line = gap == Some(line_feed) || matches!(c, '\n' | '\r');
            gap = Some(if is_line { line_feed } else { ' ' });
            continue;
        }
        if let Some(gap) = gap.take()
            && !out.is_empty()
        {
            out.push(gap);
        }
        out.push(c);
    }
    out
}

impl ContentLetter {
    /// Gets the texts ready. That takes time linear in them.
    #[must_use]
    pub fn new(facts: ContentFacts) -> ContentLetter {
        let plainly = |text: &str| spaced(&text.nfkc().collect::<String>(), '\n');
        let names: Vec<&str> = facts.attached.iter().map(|(name, _)| name.as_str()).collect();
        let parts = [plainly(&facts.subject), plainly(&names.join("\n")), plainly(&facts.text)];
        let plain = parts.join("\n");
        let [subject, names, text] = parts.map(|part| fold(&part).replace('\n', " "));
        let facts = ContentFacts { text: String::new(), ..facts };
        ContentLetter { facts, plain, subject, names, text }
    }

    /// What is known of it, without its text.
    #[must_use]
    pub const fn facts(&self) -> &ContentFacts {
        &self.facts
    }

    pub(super) fn plain(&self) -> &str {
        &self.plain
    }

    /// Does a folded word stand there?
    pub(super) fn has(&self, place: ContentPlace, word: &str) -> bool {
        match place {
            ContentPlace::Subject => self.subject.contains(word),
            ContentPlace::Names => self.names.contains(word),
            ContentPlace::Text => self.text.contains(word),
            ContentPlace::Anywhere => {
                [&self.subject, &self.names, &self.text].iter().any(|text| text.contains(word))
            }
        }
    }
}
