//! In which language people read an answer.

use axum::http::{HeaderMap, header};

use crate::domain::parameter;

/// The languages that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

impl Language {
    /// That of `?lang=`, else the first of `Accept-Language` that is one of them, else English. Weights are not compared:
    /// programs write what they like best first.
    pub(crate) fn of(headers: &HeaderMap, query: Option<&str>) -> Language {
        if let Some(asked) = parameter(query, "lang").and_then(|tag| Language::of_tag(&tag)) {
            return asked;
        }
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let tags = accepted.unwrap_or_default().split(',').take(20);
        let known = tags.filter_map(|tag| Language::of_tag(tag.split(';').next().unwrap_or_default().trim()));
        known.into_iter().next().unwrap_or(Language::English)
    }

    fn of_tag(tag: &str) -> Option<Language> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "zh" => Some(Language::Chinese),
            "en" => Some(Language::English),
            _ => None,
        }
    }

    /// As in Content-Language.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh-CN",
        }
    }

    /// One of two texts.
    pub(crate) const fn say(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_language_wins() {
        for (accepted, query, expected) in [
            ("", None, Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", None, Language::Chinese),
            ("de, zh_TW;q=0.5", None, Language::Chinese),
            ("de", None, Language::English),
            ("en", Some("lang=zh-CN"), Language::Chinese),
            ("zh", Some("lang=en"), Language::English),
            ("zh", Some("lang=de"), Language::Chinese),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().expect("a value"));
            assert_eq!(Language::of(&headers, query), expected, "{accepted} {query:?}");
        }
    }
}
