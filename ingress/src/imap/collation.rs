//! The collation `i;unicode-casemap` (RFC 5051): what SORT and THREAD compare by (RFC 5256 section 2).

use unicode_normalization::UnicodeNormalization;

/// Characters of a text that count.
const MAX_LEN: usize = 256;

/// A text as it is compared, by octets: letters in title case, characters decomposed.
pub(super) fn key(text: &str) -> String {
    let title = |character: char| {
        let mut upper = character.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            // Letters like ß have no upper case in one character.
            _ => character,
        }
    };
    text.chars().map(title).take(MAX_LEN).nfkd().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_make_no_difference() {
        assert_eq!(key("Übung"), key("u\u{308}BUNG"));
        assert_eq!(key("straße"), key("STRAßE"));
        assert!(key("zebra") < key("_"), "as titlecase orders them");
        assert!(key("会议") < key("会议纪要"));
        assert!(key(&"\u{fdfa}".repeat(10_000)).len() <= MAX_LEN * 40);
    }
}
