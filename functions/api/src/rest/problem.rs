//! Why there is no answer: `application/problem+json` (RFC 9457), in the language of whoever asks. With the details in
//! [`details`], this is the catalogue of what the API says to people.

pub(crate) mod details;
mod kinds;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::language::Language;
pub(crate) use details::Detail;
pub(crate) use kinds::Kind;

/// A part of a body that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// JSON pointer to it.
    pub(crate) pointer: String,
    pub(crate) detail: Detail,
}

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    pub(crate) detail: Option<Detail>,
    pub(crate) wrong: Vec<Wrong>,
    /// Seconds to wait.
    pub(crate) retry_after: Option<u64>,
}

impl From<Kind> for Refusal {
    fn from(kind: Kind) -> Refusal {
        let retry_after = match kind {
            Kind::Unavailable => Some(10),
            Kind::InProgress => Some(2),
            _ => None,
        };
        Refusal { kind, detail: None, wrong: Vec::new(), retry_after }
    }
}

impl Refusal {
    pub(crate) fn new(kind: Kind, detail: Detail) -> Refusal {
        Refusal { detail: Some(detail), ..Refusal::from(kind) }
    }

    pub(crate) fn at(self, pointer: String, detail: Detail) -> Refusal {
        Refusal { wrong: vec![Wrong { pointer, detail }], ..self }
    }

    fn document(&self, language: Language) -> Value {
        let mut document = json!({
            "type": self.kind.uri(),
            "title": self.kind.title(language),
            "status": self.kind.status().as_u16(),
        });
        if let Some(detail) = &self.detail {
            document["detail"] = detail.say(language).into();
        }
        if !self.wrong.is_empty() {
            let wrong = self.wrong.iter();
            document["errors"] = wrong
                .map(|wrong| json!({ "pointer": wrong.pointer, "detail": wrong.detail.say(language) }))
                .collect();
        }
        document
    }

    /// The answer, in a language.
    pub(crate) fn say(&self, language: Language) -> Response {
        let mut response = (self.kind.status(), self.document(language).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.kind == Kind::Unauthorised {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pennypost\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
