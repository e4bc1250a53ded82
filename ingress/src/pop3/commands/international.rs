//! UTF8 and LANG (RFC 6856).

use crate::pop3::session::Session;

/// The languages of reply texts: tag, and its description in the language itself.
const LANGUAGES: &[(&str, &str)] = &[("en", "English")];

impl Session {
    /// Names and passwords are UTF-8 anyway, and messages go out as they were received.
    pub(super) fn utf8(&mut self) {
        if self.maildrop.is_some() {
            return self.mistake("UTF8 comes before signing in");
        }
        self.ok("UTF-8 it is");
    }

    /// Lists the languages, or takes one.
    pub(super) fn lang(&mut self, range: Option<&str>) {
        let Some(range) = range else {
            self.ok("languages follow");
            for (tag, description) in LANGUAGES {
                self.line(&format!("{tag} {description}"));
            }
            return self.line(".");
        };
        match language(range) {
            Some(tag) => self.ok(&format!("{tag} is the language from here on")),
            None => self.mistake("this language is not spoken here"),
        }
    }
}

/// The language that is best for a range, by lookup (RFC 4647 section 3.4); `*` leaves it to the server.
fn language(range: &str) -> Option<&'static str> {
    if range == "*" {
        return LANGUAGES.first().map(|(tag, _)| *tag);
    }
    let mut range = range;
    loop {
        let found = LANGUAGES.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(range));
        if let Some((tag, _)) = found {
            return Some(tag);
        }
        range = range.rsplit_once('-')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_looked_up() {
        for (range, found) in [
            ("en", Some("en")),
            ("EN-us", Some("en")),
            ("en-Latn-GB-oxendict", Some("en")),
            ("*", Some("en")),
            ("eng", None),
            ("xx-no-such-tongue", None),
            ("-", None),
        ] {
            assert_eq!(language(range), found, "{range}");
        }
    }
}
