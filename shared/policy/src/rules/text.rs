//! The text of a letter, as words are looked for in it.

use pennypost_model::message::cut;

use super::fold;

/// Bytes of a letter's text in which words are looked for. Whoever takes the text out of a letter needs no more of it.
pub const MAX_TEXT: usize = 256 * 1024;

/// The text of a letter: folded, and all white space is one space, so that words are found over the ends of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FullText(String);

impl FullText {
    /// Of a text as search takes it out of a letter; of its first [`MAX_TEXT`] bytes.
    #[must_use]
    pub fn of(text: &str) -> FullText {
        FullText(on_one_line(&fold(cut(text, MAX_TEXT))))
    }

    /// Is a word that is folded in it?
    pub(super) fn has(&self, word: &str) -> bool {
        if word.split_whitespace().count() > 1 {
            self.0.contains(&on_one_line(word))
        } else {
            self.0.contains(word)
        }
    }
}

fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_over_the_ends_of_lines_and_not_beyond_the_bound() {
        let text = FullText::of("Please pay\r\nBY  Friday,\u{a0}Ｂｉｌｌ 42\n发票");
        for word in ["pay by friday", "by  friday", "bill 42", "发票", "42 发"] {
            assert!(text.has(word), "{word}");
        }
        assert!(!text.has("payby") && !text.has("friday bill"));
        let long = format!("{}end", "x".repeat(MAX_TEXT));
        assert!(!FullText::of(&long).has("end") && FullText::of(&long[1..]).has("xe"));
    }
}
